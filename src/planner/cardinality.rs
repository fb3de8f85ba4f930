//! How many rows to expect: table sizes, degrees and distinct counts from the statistics, fixed guesses elsewhere.

use crate::binder::bound::{BoundExpression, ExpressionKind};
use crate::catalog::{Catalog, ColumnStatistics, Statistics};
use crate::types::{ColumnId, TableId, Value};

use super::logical_plan::{Direction, Leg};
use super::query_graph::GraphNode;

/// Share of rows that a predicate of unknown effect keeps.
const UNKNOWN_SELECTIVITY: f64 = 0.3;
/// Share of rows that an equality with an unknown column keeps.
const EQUALITY_SELECTIVITY: f64 = 0.05;

/// Estimates from one version of the catalog and its statistics.
#[derive(Clone, Copy)]
pub struct Estimator<'a> {
    pub catalog: &'a Catalog,
    pub statistics: &'a Statistics,
}

impl Estimator<'_> {
    /// Rows of a node or relationship table.
    pub fn rows(&self, table: TableId) -> f64 {
        self.statistics.table(table).map_or(0.0, |table| table.rows as f64)
    }

    fn column(&self, table: TableId, column: ColumnId) -> Option<&ColumnStatistics> {
        self.statistics.table(table)?.columns.get(&column)
    }

    /// Nodes that fulfil a graph node's own predicates.
    pub fn nodes(&self, node: &GraphNode) -> f64 {
        let rows: f64 = node.tables.iter().map(|table| self.rows(*table)).sum();
        (rows * self.selectivity_of_all(&node.predicates)).max(if rows > 0.0 { 1.0 } else { 0.0 })
    }

    /// Whether `column` is the whole primary key of `table`.
    pub fn is_key(&self, table: TableId, column: ColumnId) -> bool {
        self.catalog.node_table_by_id(table).is_some_and(|schema| schema.primary_key == [column])
    }

    /// Whether the column never holds NULL.
    pub fn is_not_null(&self, table: TableId, column: ColumnId) -> bool {
        self.catalog
            .node_table_by_id(table)
            .and_then(|schema| schema.column_by_id(column))
            .is_some_and(|column| column.not_null)
            || self.is_key(table, column)
    }

    /// Mean number of neighbours of a node that the legs start from.
    pub fn fanout(&self, legs: &[Leg], from: &[TableId]) -> f64 {
        let rows: f64 = from.iter().map(|table| self.rows(*table)).sum();
        if rows == 0.0 { 0.0 } else { self.edges(legs) / rows }
    }

    /// Entries of all lists of the legs.
    pub fn edges(&self, legs: &[Leg]) -> f64 {
        legs.iter()
            .map(|leg| {
                self.statistics.table(leg.rel.table).map_or(0.0, |table| match leg.direction {
                    Direction::Forward => table.forward.edges as f64,
                    Direction::Backward => table.backward.edges as f64,
                })
            })
            .sum()
    }

    /// The share of rows that all conjuncts keep, taken as independent.
    pub fn selectivity_of_all(&self, predicates: &[BoundExpression]) -> f64 {
        predicates.iter().map(|predicate| self.selectivity(predicate)).product()
    }

    /// The share of rows that a predicate keeps.
    pub fn selectivity(&self, predicate: &BoundExpression) -> f64 {
        match &predicate.kind {
            ExpressionKind::And(all) => self.selectivity_of_all(all),
            ExpressionKind::Or(all) => all.iter().map(|one| self.selectivity(one)).sum::<f64>().min(1.0),
            ExpressionKind::Not(operand) => (1.0 - self.selectivity(operand)).max(0.01),
            ExpressionKind::IsNull { operand, negated } => {
                let nulls = self.null_share(operand);
                if *negated { 1.0 - nulls } else { nulls }
            }
            ExpressionKind::Literal(Value::Bool(true)) => 1.0,
            ExpressionKind::Literal(_) => 0.0,
            ExpressionKind::Call { function, arguments } => match &arguments[..] {
                [left, right] => self.comparison(function.name, left, right),
                _ => UNKNOWN_SELECTIVITY,
            },
            _ => UNKNOWN_SELECTIVITY,
        }
    }

    fn null_share(&self, operand: &BoundExpression) -> f64 {
        let ExpressionKind::Property { columns, .. } = &operand.kind else { return 0.1 };
        let rows: f64 = columns.iter().map(|(table, _)| self.rows(*table)).sum();
        let nulls: f64 = columns
            .iter()
            .filter_map(|(table, column)| self.column(*table, *column))
            .map(|column| column.null_count as f64)
            .sum();
        if rows == 0.0 { 0.0 } else { nulls / rows }
    }

    fn comparison(&self, operator: &str, left: &BoundExpression, right: &BoundExpression) -> f64 {
        let (property, other, operator) = match (&left.kind, &right.kind) {
            (ExpressionKind::Property { columns, .. }, _) => (columns, right, operator),
            (_, ExpressionKind::Property { columns, .. }) => (columns, left, mirrored(operator)),
            _ => return if operator == "=" { EQUALITY_SELECTIVITY } else { UNKNOWN_SELECTIVITY },
        };
        let statistics: Vec<(f64, Option<&ColumnStatistics>)> = property
            .iter()
            .map(|(table, column)| (self.rows(*table), self.column(*table, *column)))
            .collect();
        let rows: f64 = statistics.iter().map(|(rows, _)| rows).sum();
        if rows == 0.0 {
            return 1.0;
        }
        let share = |(rows, column): &(f64, Option<&ColumnStatistics>)| match operator {
            "=" => {
                rows / column.map_or(1.0 / EQUALITY_SELECTIVITY, |column| (column.distinct as f64).max(1.0))
            }
            "<>" => *rows,
            "<" | "<=" | ">" | ">=" => rows * range_share(*column, operator, other),
            _ => rows * UNKNOWN_SELECTIVITY,
        };
        (statistics.iter().map(share).sum::<f64>() / rows).clamp(0.0, 1.0)
    }
}

pub(super) fn mirrored(operator: &str) -> &str {
    match operator {
        "<" => ">",
        "<=" => ">=",
        ">" => "<",
        ">=" => "<=",
        other => other,
    }
}

/// Where a constant stands between a column's least and greatest value.
fn range_share(column: Option<&ColumnStatistics>, operator: &str, constant: &BoundExpression) -> f64 {
    let ExpressionKind::Literal(value) = &constant.kind else { return UNKNOWN_SELECTIVITY };
    let bounds =
        column.and_then(|column| Some((number(column.min.as_ref()?)?, number(column.max.as_ref()?)?)));
    let (Some((min, max)), Some(at)) = (bounds, number(value)) else { return UNKNOWN_SELECTIVITY };
    if max <= min {
        return if at == min { 1.0 } else { UNKNOWN_SELECTIVITY };
    }
    let below = ((at - min) / (max - min)).clamp(0.0, 1.0);
    let share = if operator.starts_with('<') { below } else { 1.0 - below };
    share.max(0.001)
}

fn number(value: &Value) -> Option<f64> {
    Some(match value {
        Value::Int8(x) => f64::from(*x),
        Value::Int16(x) => f64::from(*x),
        Value::Int32(x) => f64::from(*x),
        Value::Int64(x) | Value::Date(x) | Value::Timestamp(_, x) | Value::TimestampTz(x) => *x as f64,
        Value::UInt8(x) => f64::from(*x),
        Value::UInt16(x) => f64::from(*x),
        Value::UInt32(x) => f64::from(*x),
        Value::UInt64(x) => *x as f64,
        Value::Float(x) => f64::from(*x),
        Value::Double(x) => *x,
        _ => return None,
    })
}
