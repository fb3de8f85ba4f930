//! What an expression beside an aggregate, or one of ORDER BY, may refer to.

use super::bound::{BoundExpression, ExpressionKind, VariableId};
use super::same::same_expression;

/// The variable that the expression itself, not one below it, refers to.
pub(super) fn variable_of(kind: &ExpressionKind) -> Option<VariableId> {
    use ExpressionKind::*;
    match kind {
        Variable(variable) | InternalId(variable) | LabelName(variable) | Labels(variable)
        | Properties(variable) | StartNode(variable) | EndNode(variable) | PathLength(variable)
        | PathNodes(variable) | PathRels(variable) | PathCost(variable) => Some(*variable),
        Property { variable, .. } | HasLabel { variable, .. } => Some(*variable),
        _ => None,
    }
}

/// Lets the expression refer to another variable.
pub(super) fn set_variable(kind: &mut ExpressionKind, to: VariableId) {
    use ExpressionKind::*;
    match kind {
        Variable(variable) | InternalId(variable) | LabelName(variable) | Labels(variable)
        | Properties(variable) | StartNode(variable) | EndNode(variable) | PathLength(variable)
        | PathNodes(variable) | PathRels(variable) | PathCost(variable) => *variable = to,
        Property { variable, .. } | HasLabel { variable, .. } => *variable = to,
        _ => {}
    }
}

/// Calls `visit` on the parts directly below the expression.
pub(super) fn for_each_part(expression: &mut BoundExpression, visit: &mut dyn FnMut(&mut BoundExpression)) {
    use ExpressionKind::*;
    match &mut expression.kind {
        Call { arguments, .. } => arguments.iter_mut().for_each(visit),
        And(parts) | Or(parts) => parts.iter_mut().for_each(visit),
        Not(operand) | IsNull { operand, .. } => visit(operand),
        Case { branches, otherwise } => {
            for (when, then) in branches {
                visit(when);
                visit(then);
            }
            if let Some(otherwise) = otherwise {
                visit(otherwise);
            }
        }
        ListComprehension { list, filter, map, .. } => {
            visit(list);
            if let Some(filter) = filter {
                visit(filter);
            }
            if let Some(map) = map {
                visit(map);
            }
        }
        Quantifier { list, predicate, .. } => {
            visit(list);
            visit(predicate);
        }
        Subquery(query) => query.imports.iter_mut().for_each(|(_, value)| visit(value)),
        _ => {}
    }
}

/// An output of a projection as other expressions see it.
pub(super) struct Output<'p> {
    pub expression: &'p BoundExpression,
    pub variable: VariableId,
}

/// How an expression over the input of a projection is turned into one over its output.
pub(super) struct Rewrite<'p> {
    /// The text of the statement.
    pub text: &'p str,
    pub outputs: &'p [Output<'p>],
    /// Whether only variables and properties are recognized as outputs, not longer expressions.
    pub simple_only: bool,
}

impl Rewrite<'_> {
    /// Replaces what the projection computes by its output variables. Afterwards the expression may still refer to
    /// input variables where nothing fitted.
    pub fn apply(&self, expression: &mut BoundExpression) {
        let fitting = |output: &&Output| {
            let simple = matches!(
                output.expression.kind,
                ExpressionKind::Variable(_) | ExpressionKind::Property { .. } | ExpressionKind::Aggregate(_)
            );
            (simple || !self.simple_only) && same_expression(self.text, output.expression, expression)
        };
        if !is_constant(expression)
            && let Some(output) = self.outputs.iter().find(fitting)
        {
            expression.kind = ExpressionKind::Variable(output.variable);
            return;
        }
        if let Some(variable) = variable_of(&expression.kind)
            && let Some(passed) = self.outputs.iter().find(|output| {
                matches!(output.expression.kind, ExpressionKind::Variable(input) if input == variable)
            })
        {
            set_variable(&mut expression.kind, passed.variable);
            return;
        }
        for_each_part(expression, &mut |part| self.apply(part));
    }
}

fn is_constant(expression: &BoundExpression) -> bool {
    matches!(expression.kind, ExpressionKind::Literal(_) | ExpressionKind::Parameter(_))
}

/// The first part of the expression that refers to a variable for which `visible` is false; variables that the
/// expression binds itself are visible.
pub(super) fn first_hidden<'e>(
    expression: &'e BoundExpression,
    visible: &dyn Fn(VariableId) -> bool,
) -> Option<(VariableId, &'e BoundExpression)> {
    let mut own = Vec::new();
    expression.walk(&mut |part| match &part.kind {
        ExpressionKind::ListComprehension { variable, .. } | ExpressionKind::Quantifier { variable, .. } => {
            own.push(*variable);
        }
        _ => {}
    });
    find_hidden(expression, &|variable| own.contains(&variable) || visible(variable))
}

fn find_hidden<'e>(
    expression: &'e BoundExpression,
    visible: &dyn Fn(VariableId) -> bool,
) -> Option<(VariableId, &'e BoundExpression)> {
    if let Some(variable) = variable_of(&expression.kind) {
        return (!visible(variable)).then_some((variable, expression));
    }
    use ExpressionKind::*;
    let find = |part: &'e BoundExpression| find_hidden(part, visible);
    match &expression.kind {
        Call { arguments, .. } => arguments.iter().find_map(find),
        And(parts) | Or(parts) => parts.iter().find_map(find),
        Not(operand) | IsNull { operand, .. } => find(operand),
        Case { branches, otherwise } => branches
            .iter()
            .find_map(|(when, then)| find(when).or_else(|| find(then)))
            .or_else(|| otherwise.as_deref().and_then(find)),
        ListComprehension { list, filter, map, .. } => {
            find(list).or_else(|| filter.as_deref().and_then(find)).or_else(|| map.as_deref().and_then(find))
        }
        Quantifier { list, predicate, .. } => find(list).or_else(|| find(predicate)),
        Subquery(query) => query.imports.iter().find_map(|(_, value)| find(value)),
        _ => None,
    }
}
