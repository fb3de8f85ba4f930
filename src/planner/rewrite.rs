//! Small tools over bound expressions: which variables they use, renaming, replacing, comparing.

use std::collections::BTreeSet;

use crate::binder::bound::{BoundExpression, ExpressionKind, VariableId, same_literal};

/// The variable an expression node names by itself.
fn variable_mut(kind: &mut ExpressionKind) -> Option<&mut VariableId> {
    match kind {
        ExpressionKind::Variable(v)
        | ExpressionKind::InternalId(v)
        | ExpressionKind::LabelName(v)
        | ExpressionKind::Labels(v)
        | ExpressionKind::Properties(v)
        | ExpressionKind::StartNode(v)
        | ExpressionKind::EndNode(v)
        | ExpressionKind::PathLength(v)
        | ExpressionKind::PathNodes(v)
        | ExpressionKind::PathRels(v)
        | ExpressionKind::PathCost(v)
        | ExpressionKind::Property { variable: v, .. }
        | ExpressionKind::HasLabel { variable: v, .. } => Some(v),
        _ => None,
    }
}

/// The variable an expression node names by itself.
pub fn named_variable(kind: &ExpressionKind) -> Option<VariableId> {
    match kind {
        ExpressionKind::Variable(v)
        | ExpressionKind::InternalId(v)
        | ExpressionKind::LabelName(v)
        | ExpressionKind::Labels(v)
        | ExpressionKind::Properties(v)
        | ExpressionKind::StartNode(v)
        | ExpressionKind::EndNode(v)
        | ExpressionKind::PathLength(v)
        | ExpressionKind::PathNodes(v)
        | ExpressionKind::PathRels(v)
        | ExpressionKind::PathCost(v)
        | ExpressionKind::Property { variable: v, .. }
        | ExpressionKind::HasLabel { variable: v, .. } => Some(*v),
        _ => None,
    }
}

/// The free variables of an expression: those it uses without the element variables it binds itself.
pub fn variables_of(expression: &BoundExpression) -> BTreeSet<VariableId> {
    let mut used = BTreeSet::new();
    let mut own = BTreeSet::new();
    expression.walk(&mut |node| {
        used.extend(named_variable(&node.kind));
        match &node.kind {
            ExpressionKind::ListComprehension { variable, .. }
            | ExpressionKind::Quantifier { variable, .. } => {
                own.insert(*variable);
            }
            _ => {}
        }
    });
    if !own.is_empty() {
        used.retain(|variable| !own.contains(variable));
    }
    used
}

/// Whether an expression has no free variables but those that are `known`.
pub fn uses_only(expression: &BoundExpression, known: impl Fn(VariableId) -> bool) -> bool {
    let (mut others, mut own) = (Vec::new(), Vec::new());
    expression.walk(&mut |node| match &node.kind {
        ExpressionKind::ListComprehension { variable, .. } | ExpressionKind::Quantifier { variable, .. } => {
            own.push(*variable);
        }
        kind => others.extend(named_variable(kind).filter(|variable| !known(*variable))),
    });
    others.iter().all(|variable| own.contains(variable))
}

/// Calls `visit` on every node, children first; it may change the node.
pub fn walk_mut(expression: &mut BoundExpression, visit: &mut dyn FnMut(&mut BoundExpression)) {
    match &mut expression.kind {
        ExpressionKind::Call { arguments, .. } => arguments.iter_mut().for_each(|a| walk_mut(a, visit)),
        ExpressionKind::And(all) | ExpressionKind::Or(all) => all.iter_mut().for_each(|a| walk_mut(a, visit)),
        ExpressionKind::Not(operand) | ExpressionKind::IsNull { operand, .. } => walk_mut(operand, visit),
        ExpressionKind::Case { branches, otherwise } => {
            branches.iter_mut().for_each(|(when, then)| {
                walk_mut(when, visit);
                walk_mut(then, visit);
            });
            if let Some(otherwise) = otherwise {
                walk_mut(otherwise, visit);
            }
        }
        ExpressionKind::ListComprehension { list, filter, map, .. } => {
            walk_mut(list, visit);
            filter.iter_mut().chain(map.iter_mut()).for_each(|e| walk_mut(e, visit));
        }
        ExpressionKind::Quantifier { list, predicate, .. } => {
            walk_mut(list, visit);
            walk_mut(predicate, visit);
        }
        ExpressionKind::Subquery(query) => {
            query.imports.iter_mut().for_each(|(_, value)| walk_mut(value, visit));
        }
        _ => {}
    }
    visit(expression);
}

/// Renames variables in place.
pub fn rename_expression(expression: &mut BoundExpression, rename: &dyn Fn(VariableId) -> VariableId) {
    walk_mut(expression, &mut |node| {
        if let Some(variable) = variable_mut(&mut node.kind) {
            *variable = rename(*variable);
        }
    });
}

/// Replaces, top down, every sub-expression that `replace` gives another one for.
pub fn replace(
    expression: &BoundExpression,
    by: &dyn Fn(&BoundExpression) -> Option<BoundExpression>,
) -> BoundExpression {
    if let Some(other) = by(expression) {
        return other;
    }
    let boxed = |e: &BoundExpression| Box::new(replace(e, by));
    let kind = match &expression.kind {
        ExpressionKind::Call { function, arguments } => ExpressionKind::Call {
            function: function.clone(),
            arguments: arguments.iter().map(|a| replace(a, by)).collect(),
        },
        ExpressionKind::And(all) => ExpressionKind::And(all.iter().map(|a| replace(a, by)).collect()),
        ExpressionKind::Or(all) => ExpressionKind::Or(all.iter().map(|a| replace(a, by)).collect()),
        ExpressionKind::Not(operand) => ExpressionKind::Not(boxed(operand)),
        ExpressionKind::IsNull { operand, negated } => {
            ExpressionKind::IsNull { operand: boxed(operand), negated: *negated }
        }
        ExpressionKind::Case { branches, otherwise } => ExpressionKind::Case {
            branches: branches.iter().map(|(when, then)| (replace(when, by), replace(then, by))).collect(),
            otherwise: otherwise.as_deref().map(boxed),
        },
        ExpressionKind::ListComprehension { variable, list, filter, map } => {
            ExpressionKind::ListComprehension {
                variable: *variable,
                list: boxed(list),
                filter: filter.as_deref().map(boxed),
                map: map.as_deref().map(boxed),
            }
        }
        ExpressionKind::Quantifier { kind, variable, list, predicate } => ExpressionKind::Quantifier {
            kind: *kind,
            variable: *variable,
            list: boxed(list),
            predicate: boxed(predicate),
        },
        ExpressionKind::Subquery(query) => {
            let mut query = query.clone();
            query.imports.iter_mut().for_each(|(_, value)| *value = replace(value, by));
            ExpressionKind::Subquery(query)
        }
        other => other.clone(),
    };
    BoundExpression { kind, data_type: expression.data_type.clone(), span: expression.span }
}

/// Whether two expressions are the same computation, wherever they stand in the text.
pub fn same_expression(a: &BoundExpression, b: &BoundExpression) -> bool {
    let all = |x: &[BoundExpression], y: &[BoundExpression]| {
        x.len() == y.len() && x.iter().zip(y).all(|(x, y)| same_expression(x, y))
    };
    let maybe = |x: &Option<Box<BoundExpression>>, y: &Option<Box<BoundExpression>>| match (x, y) {
        (Some(x), Some(y)) => same_expression(x, y),
        (None, None) => true,
        _ => false,
    };
    use ExpressionKind as K;
    a.data_type == b.data_type
        && match (&a.kind, &b.kind) {
            (K::Literal(x), K::Literal(y)) => same_literal(x, y),
            (K::Parameter(x), K::Parameter(y)) => x == y,
            (K::Aggregate(x), K::Aggregate(y)) => x == y,
            (K::Call { function: f, arguments: x }, K::Call { function: g, arguments: y }) => {
                f == g && all(x, y) && (!f.volatile || a.span == b.span)
            }
            (K::And(x), K::And(y)) | (K::Or(x), K::Or(y)) => all(x, y),
            (K::Not(x), K::Not(y)) => same_expression(x, y),
            (K::IsNull { operand: x, negated: m }, K::IsNull { operand: y, negated: n }) => {
                m == n && same_expression(x, y)
            }
            (K::Case { branches: x, otherwise: m }, K::Case { branches: y, otherwise: n }) => {
                x.len() == y.len()
                    && x.iter()
                        .zip(y)
                        .all(|(x, y)| same_expression(&x.0, &y.0) && same_expression(&x.1, &y.1))
                    && maybe(m, n)
            }
            (K::Property { variable: x, columns: m, .. }, K::Property { variable: y, columns: n, .. }) => {
                x == y && m == n
            }
            (K::HasLabel { variable: x, tables: m }, K::HasLabel { variable: y, tables: n }) => {
                x == y && m == n
            }
            // The element's variable is the same where one is a copy of the other.
            (
                K::ListComprehension { variable: v, list: l, filter: f, map: m },
                K::ListComprehension { variable: w, list: k, filter: g, map: n },
            ) => v == w && same_expression(l, k) && maybe(f, g) && maybe(m, n),
            (
                K::Quantifier { kind: q, variable: v, list: l, predicate: p },
                K::Quantifier { kind: r, variable: w, list: k, predicate: o },
            ) => q == r && v == w && same_expression(l, k) && same_expression(p, o),
            // Queries are the same where they stand at one place of the text.
            (K::Subquery(x), K::Subquery(y)) => {
                a.span == b.span
                    && x.imports.len() == y.imports.len()
                    && x.imports.iter().zip(&y.imports).all(|(x, y)| same_expression(&x.1, &y.1))
            }
            (x, y) => {
                std::mem::discriminant(x) == std::mem::discriminant(y)
                    && named_variable(x).is_some()
                    && named_variable(x) == named_variable(y)
            }
        }
}

/// Whether the value is the same for every row: no variables and no aggregates.
pub fn is_constant(expression: &BoundExpression) -> bool {
    let mut constant = true;
    expression.walk(&mut |node| {
        constant &= named_variable(&node.kind).is_none()
            && !matches!(node.kind, ExpressionKind::Aggregate(_) | ExpressionKind::Subquery(_));
    });
    constant
}

/// Whether the value is the same for all rows of one execution: constant, and by no function such as `rand`.
pub fn is_fixed(expression: &BoundExpression) -> bool {
    is_constant(expression) && !expression.is_volatile()
}

/// The conjuncts of a list of expressions, flat.
pub fn conjuncts(expressions: Vec<BoundExpression>) -> Vec<BoundExpression> {
    let mut flat = Vec::new();
    for expression in expressions {
        match expression.kind {
            ExpressionKind::And(all) => flat.extend(conjuncts(all)),
            _ => flat.push(expression),
        }
    }
    flat
}
