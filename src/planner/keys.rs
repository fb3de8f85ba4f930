//! Primary keys that conjuncts give: nodes are looked up by them instead of being scanned.

use super::cardinality::{Estimator, ListLengths, list_length};
use super::join_order::JoinOrder;
use super::query_graph::GraphNode;
use super::rewrite::{is_constant, is_fixed, uses_only};
use crate::binder::bound::{BoundExpression, ExpressionKind, VariableId};
use crate::types::{DataType, TableId};

/// Rows that are scanned in the time of a look into the key index.
pub(super) const SCANNED_PER_LOOKUP: f64 = 20.0;

/// By which keys a node can be looked up for each row.
pub(super) enum RowKeys {
    /// The values of its whole primary key.
    Equal(Vec<BoundExpression>),
    /// A list that has its key among its elements, and how many of these are expected.
    Among(BoundExpression, f64),
}

impl RowKeys {
    /// Keys that are looked up for a row.
    pub fn per_row(&self) -> f64 {
        match self {
            RowKeys::Equal(_) => 1.0,
            RowKeys::Among(_, length) => *length,
        }
    }
}

/// The keys of a node that rows give in which some variables are `known`, and which conjuncts say so: by position among
/// the node's own and, behind these, the graph's. Conjuncts over several variables (`b.id = a.other`, `b.id IN a.others`)
/// give keys too.
pub(super) fn row_keys(
    order: &JoinOrder<'_>,
    node: &GraphNode,
    known: &dyn Fn(VariableId) -> bool,
) -> Option<(RowKeys, Vec<usize>)> {
    let [table] = node.tables[..] else { return None };
    let known = |e: &BoundExpression| is_constant(e) || uses_only(e, known);
    let all: Vec<&BoundExpression> = node.predicates.iter().chain(&order.graph.filters).collect();
    if let Some((key, used)) = key_equality(&order.estimator, node.variable, table, &all, &known) {
        return Some((RowKeys::Equal(key), used));
    }
    let few = |length: f64| length * SCANNED_PER_LOOKUP < order.estimator.rows(table);
    all.iter().enumerate().find_map(|(at, conjunct)| {
        let list = list_of_keys(&order.estimator, node.variable, table, conjunct)?;
        let length = list_length(list, order.list_lengths);
        // The keys of a constant list are looked up once for all rows.
        (!is_constant(list) && known(list) && few(length))
            .then(|| (RowKeys::Among(list.clone(), length), vec![at]))
    })
}

/// The values of a node's whole primary key, and which of the conjuncts say so.
fn key_equality(
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
    let few = |list| list_length(list, &ListLengths::new()) * SCANNED_PER_LOOKUP < estimator.rows(table);
    conjuncts.iter().enumerate().find_map(|(at, conjunct)| {
        let list = list_of_keys(estimator, node, table, conjunct)?;
        (is_fixed(list) && few(list)).then_some((at, list))
    })
}

/// The list of which a conjunct says that it has a node's whole primary key among its elements. The index finds for all
/// of them, or for none, the node that `=` finds.
fn list_of_keys<'e>(
    estimator: &Estimator<'_>,
    node: VariableId,
    table: TableId,
    conjunct: &'e BoundExpression,
) -> Option<&'e BoundExpression> {
    let ExpressionKind::Call { function, arguments } = &conjunct.kind else { return None };
    let [key, list] = &arguments[..] else { return None };
    let DataType::List(element) = &list.data_type else { return None };
    let is_key = matches!(&without_widening(key).kind, ExpressionKind::Property { variable, columns, .. }
        if *variable == node && matches!(columns[..], [(of, column)] if of == table && estimator.is_key(table, column)));
    let is_simple = |t: &DataType| t.is_integer() || *t == DataType::String;
    let same_values = match **element {
        DataType::Any => is_simple(&without_widening(key).data_type),
        _ => **element == key.data_type && is_simple(element),
    };
    (function.name == "IN" && is_key && same_values).then_some(list)
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
