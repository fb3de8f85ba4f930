//! Common sub-expressions: what several items of a projection compute is computed once, in a projection below.

use super::rewrite::{is_constant, replace, same_expression, variables_of};
use crate::binder::bound::{BoundExpression, ExpressionKind, VariableId};

/// Rounds of looking for more; each takes out the largest expression that is left.
const ROUNDS_MAX: usize = 8;
/// Calls that are compared with each other; longer projections are left alone.
const CALLS_MAX: usize = 128;

/// Takes out of the expressions what occurs more than once; `fresh` makes the variables that stand for it.
pub fn share(
    expressions: &mut [&mut BoundExpression],
    fresh: &mut dyn FnMut(&BoundExpression) -> VariableId,
) -> Vec<(VariableId, BoundExpression)> {
    let mut shared: Vec<(VariableId, BoundExpression)> = Vec::new();
    for _ in 0..ROUNDS_MAX {
        let mut calls = Vec::new();
        expressions.iter().for_each(|expression| collect(expression, &mut calls));
        if calls.len() > CALLS_MAX {
            return shared;
        }
        let twice = |at: &usize| calls[at + 1..].iter().any(|other| same_expression(other, calls[*at]));
        let largest = (0..calls.len()).filter(twice).max_by_key(|at| (size(calls[*at]), calls.len() - at));
        let Some(common) = largest.map(|at| calls[at].clone()) else { return shared };
        let variable = fresh(&common);
        let by = |e: &BoundExpression| {
            same_expression(e, &common).then(|| BoundExpression {
                kind: ExpressionKind::Variable(variable),
                data_type: e.data_type.clone(),
                span: e.span,
            })
        };
        expressions.iter_mut().for_each(|expression| **expression = replace(expression, &by));
        shared.push((variable, common));
    }
    shared
}

/// Calls that every row evaluates: not those behind a condition, nor those inside lists.
fn collect<'e>(expression: &'e BoundExpression, calls: &mut Vec<&'e BoundExpression>) {
    match &expression.kind {
        ExpressionKind::Call { arguments, .. } => {
            if is_shareable(expression) {
                calls.push(expression);
            }
            arguments.iter().for_each(|argument| collect(argument, calls));
        }
        ExpressionKind::Not(operand) | ExpressionKind::IsNull { operand, .. } => collect(operand, calls),
        _ => {}
    }
}

fn is_shareable(expression: &BoundExpression) -> bool {
    let mut plain = !is_constant(expression) && !expression.is_volatile();
    expression.walk(&mut |node| match &node.kind {
        // Two comprehensions are never the same: each has a variable of its own.
        ExpressionKind::Aggregate(_)
        | ExpressionKind::ListComprehension { .. }
        | ExpressionKind::Quantifier { .. } => plain = false,
        _ => {}
    });
    plain && !variables_of(expression).is_empty()
}

fn size(expression: &BoundExpression) -> usize {
    let mut nodes = 0;
    expression.walk(&mut |_| nodes += 1);
    nodes
}
