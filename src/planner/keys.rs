//! Primary keys that conjuncts give: nodes are looked up by them instead of being scanned.

use super::cardinality::{Estimator, list_length};
use super::rewrite::is_fixed;
use crate::binder::bound::{BoundExpression, ExpressionKind, VariableId};
use crate::types::{DataType, TableId};

/// Rows that are scanned in the time of a look into the key index.
pub(super) const SCANNED_PER_LOOKUP: f64 = 20.0;

/// The values of a node's whole primary key, and which of the conjuncts say so.
pub(super) fn key_equality(
    estimator: &Estimator<'_>,
    node: VariableId,
    table: TableId,
    conjuncts: &[&BoundExpression],
    known: &dyn Fn(&BoundExpression) -> bool,
) -> Option<(Vec<BoundExpression>, Vec<usize>)> {
    let schema = estimator.catalog.node_table_by_id(table)?;
    if schema.primary_key.is_empty() {
        return None;
    }
    let (mut key, mut used) = (Vec::new(), Vec::new());
    for column in &schema.primary_key {
        let is_key = |e: &BoundExpression| {
            matches!(&without_widening(e).kind, ExpressionKind::Property { variable, columns, .. }
                if *variable == node && columns[..] == [(table, *column)])
        };
        let value = conjuncts.iter().enumerate().find_map(|(at, conjunct)| match &conjunct.kind {
            ExpressionKind::Call { function, arguments } if function.name == "=" => match &arguments[..] {
                [a, b] if is_key(a) && known(b) => Some((at, b)),
                [a, b] if is_key(b) && known(a) => Some((at, a)),
                _ => None,
            },
            _ => None,
        });
        let (at, value) = value?;
        used.push(at);
        key.push(value.clone());
    }
    Some((key, used))
}

/// The list that has a node's primary key among its elements, and which of the conjuncts says so, if so few keys are
/// expected that they are looked up for less than a scan. A list that is another one for each row is none.
pub(super) fn key_list<'e>(
    estimator: &Estimator<'_>,
    node: VariableId,
    tables: &[TableId],
    conjuncts: &'e [BoundExpression],
) -> Option<(usize, &'e BoundExpression)> {
    let [table] = *tables else { return None };
    conjuncts.iter().enumerate().find_map(|(at, conjunct)| {
        let ExpressionKind::Call { function, arguments } = &conjunct.kind else { return None };
        let [key, list] = &arguments[..] else { return None };
        let DataType::List(element) = &list.data_type else { return None };
        let is_key = matches!(&without_widening(key).kind, ExpressionKind::Property { variable, columns, .. }
            if *variable == node && matches!(columns[..], [(of, column)] if of == table && estimator.is_key(table, column)));
        let same_type = **element == key.data_type && (element.is_integer() || **element == DataType::String);
        let few = list_length(list) * SCANNED_PER_LOOKUP < estimator.rows(table);
        (function.name == "IN" && is_key && same_type && is_fixed(list) && few).then_some((at, list))
    })
}

/// A key of integers is compared as a wider integer where the other side is one, and a key of integers or texts as a
/// value that carries its type where the other side's type is not known; the index finds the same rows for them.
fn without_widening(expression: &BoundExpression) -> &BoundExpression {
    let ExpressionKind::Call { function, arguments } = &expression.kind else { return expression };
    let [inner] = &arguments[..] else { return expression };
    let (from, to) = (&inner.data_type, &expression.data_type);
    let same_rows = match to {
        DataType::Any => from.is_integer() || *from == DataType::String,
        _ => from.is_integer() && to.is_integer(),
    };
    if function.name == "CAST" && same_rows { inner } else { expression }
}
