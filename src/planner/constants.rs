//! Constant folding: calls whose arguments are all written out are evaluated once, and connectives lose the operands that
//! decide nothing. What would be an error stays as it is: it belongs to the rows that reach it.

use super::rewrite::walk_mut;
use crate::binder::bound::{BoundExpression, ExpressionKind};
use crate::types::{DataType, Value};

/// Evaluates what can be.
pub fn fold(expression: &mut BoundExpression) {
    walk_mut(expression, &mut |node| {
        if let Some(kind) = folded(node) {
            node.kind = kind;
        }
    });
}

fn folded(node: &mut BoundExpression) -> Option<ExpressionKind> {
    let truth = |value: bool| ExpressionKind::Literal(Value::Bool(value));
    match &mut node.kind {
        ExpressionKind::Call { function, arguments } if is_scalar(&node.data_type) => {
            let values: Option<Vec<&Value>> = arguments.iter().map(literal).collect();
            function.of_constants(&values?).map(ExpressionKind::Literal)
        }
        ExpressionKind::And(all) => connective(all, true),
        ExpressionKind::Or(all) => connective(all, false),
        ExpressionKind::Not(operand) => match literal(operand)? {
            Value::Bool(value) => Some(truth(!*value)),
            _ => None,
        },
        ExpressionKind::IsNull { operand, negated } => {
            literal(operand).map(|value| truth(matches!(value, Value::Null) != *negated))
        }
        _ => None,
    }
}

/// AND (whose neutral operand is true) or OR over operands of which some may be known.
fn connective(all: &mut Vec<BoundExpression>, neutral: bool) -> Option<ExpressionKind> {
    let is = |e: &BoundExpression, wanted: bool| matches!(literal(e), Some(Value::Bool(value)) if *value == wanted);
    if all.iter().any(|operand| is(operand, !neutral)) {
        return Some(ExpressionKind::Literal(Value::Bool(!neutral)));
    }
    all.retain(|operand| !is(operand, neutral));
    match all.len() {
        0 => Some(ExpressionKind::Literal(Value::Bool(neutral))),
        1 if all[0].data_type == DataType::Bool => all.pop().map(|only| only.kind),
        _ => None,
    }
}

fn literal(expression: &BoundExpression) -> Option<&Value> {
    match &expression.kind {
        ExpressionKind::Literal(value) => Some(value),
        _ => None,
    }
}

/// Lists and the like stay calls: they may be long.
fn is_scalar(data_type: &DataType) -> bool {
    data_type.children().is_empty()
        && !matches!(data_type, DataType::Any | DataType::Null | DataType::Map(..) | DataType::Json)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::functions::{Dialect, resolve_scalar};

    fn expression(kind: ExpressionKind, data_type: DataType) -> BoundExpression {
        BoundExpression { kind, data_type, span: Default::default() }
    }

    fn number(value: i64) -> BoundExpression {
        expression(ExpressionKind::Literal(Value::Int64(value)), DataType::Int64)
    }

    fn truth(value: bool) -> BoundExpression {
        expression(ExpressionKind::Literal(Value::Bool(value)), DataType::Bool)
    }

    fn unknown() -> BoundExpression {
        expression(ExpressionKind::Parameter(0), DataType::Bool)
    }

    fn call(name: &str, arguments: Vec<BoundExpression>) -> BoundExpression {
        let types: Vec<DataType> = arguments.iter().map(|argument| argument.data_type.clone()).collect();
        let function = resolve_scalar(name, Dialect::OpenCypher, &types).expect("a function");
        let data_type = function.result.clone();
        expression(ExpressionKind::Call { function: function.into(), arguments }, data_type)
    }

    #[track_caller]
    fn check(mut input: BoundExpression, expected: Option<Value>) {
        fold(&mut input);
        let found = literal(&input).cloned();
        assert_eq!(found, expected, "{input:?}");
    }

    #[test]
    fn calls_of_constants_become_constants() {
        check(call("+", vec![number(1), call("*", vec![number(2), number(3)])]), Some(Value::Int64(7)));
        check(call("<", vec![number(1), number(2)]), Some(Value::Bool(true)));
        check(call("rand", vec![]), None);
    }

    #[test]
    fn errors_are_left_for_the_rows() {
        check(call("/", vec![number(1), number(0)]), None);
        check(call("+", vec![number(i64::MAX), number(1)]), None);
    }

    #[test]
    fn connectives_keep_what_decides() {
        let and = |all| expression(ExpressionKind::And(all), DataType::Bool);
        let or = |all| expression(ExpressionKind::Or(all), DataType::Bool);
        check(and(vec![unknown(), truth(false)]), Some(Value::Bool(false)));
        check(or(vec![unknown(), truth(true)]), Some(Value::Bool(true)));
        check(and(vec![truth(true), truth(true)]), Some(Value::Bool(true)));
        let mut left = and(vec![truth(true), unknown()]);
        fold(&mut left);
        assert!(matches!(left.kind, ExpressionKind::Parameter(0)));
        check(
            expression(ExpressionKind::Not(Box::new(truth(true))), DataType::Bool),
            Some(Value::Bool(false)),
        );
    }
}
