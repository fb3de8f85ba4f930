//! Rewrites of expressions that need to know the pattern or the schema: the length of a path from its edges, and keys
//! that stand for their nodes.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::cardinality::Estimator;
use super::rewrite::walk_mut;
use crate::binder::bound::{
    BoundExpression, BoundPattern, ExpressionKind, Variable, VariableId, VariableKind,
};
use crate::functions::{Dialect, resolve_scalar};
use crate::types::{DataType, Value};

/// How the length of a path follows from its edges.
#[derive(Debug, Clone, Copy)]
enum PathLength {
    /// All edges are single relationships.
    Fixed(i64),
    /// The path is one variable-length edge.
    Of(VariableId),
}

/// Paths of the matches in hand whose length is known without building them.
#[derive(Debug, Default)]
pub struct PathLengths(BTreeMap<VariableId, PathLength>);

impl PathLengths {
    /// Takes note of the paths of a pattern.
    pub fn add(&mut self, pattern: &BoundPattern) {
        for path in &pattern.paths {
            let edges: Vec<_> = path.edges.iter().filter_map(|at| pattern.edges.get(*at)).collect();
            let known = match edges[..] {
                [only] if only.length.is_some() => Some(PathLength::Of(only.variable)),
                _ if edges.iter().all(|edge| edge.length.is_none()) => {
                    Some(PathLength::Fixed(edges.len() as i64))
                }
                _ => None,
            };
            self.0.extend(known.map(|length| (path.variable, length)));
        }
    }

    /// Forgets all paths: from here on their variables are values.
    pub fn clear(&mut self) {
        self.0.clear();
    }

    /// Replaces lengths of paths, so that the paths need not be built for them.
    pub fn rewrite(&self, expression: &mut BoundExpression) {
        if self.0.is_empty() {
            return;
        }
        walk_mut(expression, &mut |node| {
            let ExpressionKind::PathLength(path) = &node.kind else { return };
            match self.0.get(path) {
                Some(PathLength::Of(edge)) => node.kind = ExpressionKind::PathLength(*edge),
                Some(PathLength::Fixed(length)) => {
                    node.kind = ExpressionKind::Literal(Value::Int64(*length));
                }
                None => {}
            }
        });
    }
}

/// Replaces `a.key <> b.key`, where both are the primary key of one table, by `id(a) <> id(b)`: no key has to be
/// read. Keys are never null, so both are true for the same rows.
pub fn compare_nodes(expression: &mut BoundExpression, variables: &[Variable], estimator: &Estimator<'_>) {
    walk_mut(expression, &mut |node| {
        let ExpressionKind::Call { function, arguments } = &mut node.kind else { return };
        let [a, b] = &mut arguments[..] else { return };
        if function.name != "<>" {
            return;
        }
        let key = |argument: &BoundExpression| key_of(argument, variables, estimator);
        let (Some(first), Some(second)) = (key(a), key(b)) else { return };
        if first.1 != second.1 {
            return;
        }
        let types = [DataType::Id, DataType::Id];
        let Ok(different) = resolve_scalar("<>", Dialect::OpenCypher, &types) else { return };
        for (argument, (variable, _)) in [(a, first), (b, second)] {
            argument.kind = ExpressionKind::InternalId(variable);
            argument.data_type = DataType::Id;
        }
        *function = Arc::new(different);
    });
}

/// The variable and the table, if the expression is the whole primary key of a node of one table.
fn key_of(
    expression: &BoundExpression,
    variables: &[Variable],
    estimator: &Estimator<'_>,
) -> Option<(VariableId, crate::types::TableId)> {
    let ExpressionKind::Property { variable, columns, .. } = &expression.kind else { return None };
    let [(table, column)] = columns[..] else { return None };
    // A node of another table has no such property: it is null there.
    match variables.get(variable.0 as usize).map(|variable| &variable.kind) {
        Some(VariableKind::Node { tables }) if tables[..] == [table] => {}
        _ => return None,
    }
    // NaN, which a float key can be, differs from itself.
    let exact = !expression.data_type.is_floating();
    (exact && estimator.is_key(table, column)).then_some((*variable, table))
}
