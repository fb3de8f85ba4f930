//! The share of rows that predicates keep: from ranges and distinct counts of columns where these are known, fixed
//! guesses elsewhere. Conjuncts are taken as independent, but for two bounds of one property, which make an interval.

use crate::binder::bound::{BoundExpression, ExpressionKind, VariableId};
use crate::catalog::ColumnStatistics;
use crate::types::{ColumnId, TableId, Value};

use super::cardinality::Estimator;

/// Share of rows that a predicate of unknown effect keeps.
const UNKNOWN: f64 = 0.3;
/// Share of rows that an equality with an unknown column keeps.
const EQUALITY: f64 = 0.05;
/// Share of rows between two bounds that are not known yet.
const INTERVAL: f64 = 0.1;
/// Share of texts that begin with a given one, and that contain one.
const PREFIX: f64 = 0.05;
const CONTAINS: f64 = 0.1;
/// Even where statistics see nothing left, so much is expected.
const LEAST: f64 = 1e-6;

/// The columns behind a property.
type Columns = [(TableId, ColumnId)];

/// One side of an interval: the constant, if it is known, and whether it belongs to the interval.
#[derive(Clone, Copy)]
struct Limit<'e> {
    value: Option<&'e Value>,
    inclusive: bool,
}

/// What conjuncts say about the order of one property.
struct Interval<'e> {
    variable: VariableId,
    columns: &'e Columns,
    low: Option<Limit<'e>>,
    high: Option<Limit<'e>>,
}

impl Estimator<'_> {
    /// The share of rows that all conjuncts keep.
    pub fn selectivity_of_all(&self, predicates: &[BoundExpression]) -> f64 {
        let mut intervals: Vec<Interval<'_>> = Vec::new();
        let mut share = 1.0;
        for predicate in predicates {
            match &predicate.kind {
                ExpressionKind::And(all) => share *= self.selectivity_of_all(all),
                _ if add_limit(predicate, &mut intervals) => {}
                _ => share *= self.selectivity(predicate),
            }
        }
        intervals.iter().fold(share, |share, interval| share * self.interval(interval))
    }

    /// The share of rows that a predicate keeps.
    pub fn selectivity(&self, predicate: &BoundExpression) -> f64 {
        let share = match &predicate.kind {
            ExpressionKind::And(all) => self.selectivity_of_all(all),
            ExpressionKind::Or(all) => {
                1.0 - all.iter().map(|one| 1.0 - self.selectivity(one)).product::<f64>()
            }
            ExpressionKind::Not(operand) => 1.0 - self.selectivity(operand),
            ExpressionKind::IsNull { operand, negated } => {
                let nulls = self.null_share(operand);
                if *negated { 1.0 - nulls } else { nulls }
            }
            ExpressionKind::Literal(Value::Bool(true)) => 1.0,
            ExpressionKind::Literal(_) => return 0.0,
            ExpressionKind::HasLabel { .. } => 0.5,
            ExpressionKind::Call { function, arguments } => match &arguments[..] {
                [left, right] => self.binary(predicate, function.name, left, right),
                _ => UNKNOWN,
            },
            _ => UNKNOWN,
        };
        share.clamp(LEAST, 1.0)
    }

    fn binary(
        &self,
        predicate: &BoundExpression,
        operator: &str,
        left: &BoundExpression,
        right: &BoundExpression,
    ) -> f64 {
        match operator {
            "=" => self.equality(left, right),
            "<>" => 1.0 - self.equality(left, right),
            "<" | "<=" | ">" | ">=" => {
                let mut one = Vec::new();
                match add_limit(predicate, &mut one) {
                    true => one.iter().map(|interval| self.interval(interval)).product(),
                    // Two things of each row: as likely one way as the other.
                    false if is_known(left) || is_known(right) => UNKNOWN,
                    false => 0.5,
                }
            }
            "IN" => match &right.kind {
                ExpressionKind::Literal(Value::List(values)) => {
                    values.iter().map(|value| self.equal_to(left, Some(value))).sum::<f64>()
                }
                ExpressionKind::Call { function, arguments } if function.name == "list_creation" => {
                    arguments.iter().map(|value| self.equality(left, value)).sum::<f64>()
                }
                _ => (self.equal_to(left, None) * 10.0).min(0.5),
            },
            "STARTS WITH" => match (property_of(left), &right.kind) {
                (Some((columns, true)), ExpressionKind::Literal(Value::String(prefix))) => {
                    self.prefix(columns, prefix)
                }
                _ => PREFIX,
            },
            "ENDS WITH" | "=~" => PREFIX,
            "CONTAINS" => CONTAINS,
            _ => UNKNOWN,
        }
    }

    /// `left = right`.
    fn equality(&self, left: &BoundExpression, right: &BoundExpression) -> f64 {
        let literal = |e: &'_ BoundExpression| match &e.kind {
            ExpressionKind::Literal(value) => Some(value.clone()),
            _ => None,
        };
        match (is_known(left), is_known(right)) {
            (false, true) => self.equal_to(left, literal(right).as_ref()),
            (true, false) => self.equal_to(right, literal(left).as_ref()),
            (true, true) => UNKNOWN,
            (false, false) => {
                let most =
                    [left, right].into_iter().filter_map(|side| self.distinct_of(side)).fold(0.0, f64::max);
                if most > 0.0 { 1.0 / most } else { EQUALITY }
            }
        }
    }

    /// How often an expression over a row has a certain value, which is known or comes with the execution.
    fn equal_to(&self, expression: &BoundExpression, value: Option<&Value>) -> f64 {
        let Some((columns, exact)) = property_of(expression) else {
            return self.distinct_of(expression).map_or(EQUALITY, |distinct| 1.0 / distinct.max(1.0));
        };
        if let Some(Value::Null) = value {
            return 0.0;
        }
        self.mean_share(columns, |column, rows| match column {
            Some(column) => column.share_equal(value.filter(|_| exact), rows),
            None => EQUALITY,
        })
    }

    fn interval(&self, interval: &Interval<'_>) -> f64 {
        let Interval { columns, low, high, .. } = interval;
        let known = |limit: &Option<Limit<'_>>| limit.is_some_and(|limit| limit.value.is_some());
        let open = [low, high].iter().filter(|limit| limit.is_some() && !known(limit)).count();
        let share = self.mean_share(columns, |column, rows| {
            let below = |limit: &Limit<'_>, inclusive: bool| {
                column.and_then(|column| column.share_below(limit.value?, inclusive, rows))
            };
            let upper = high.as_ref().map(|limit| below(limit, limit.inclusive));
            let lower = low.as_ref().map(|limit| below(limit, !limit.inclusive));
            let nulls = column.map_or(0.0, |column| column.share_of_nulls(rows));
            match (lower, upper) {
                (Some(Some(lower)), Some(Some(upper))) => (upper - lower).max(0.0),
                (Some(Some(lower)), _) => (1.0 - nulls - lower).max(0.0),
                (_, Some(Some(upper))) => upper,
                _ if open == 0 => UNKNOWN.powi(i32::from(low.is_some()) + i32::from(high.is_some())),
                _ => 1.0 - nulls,
            }
        });
        let unknown = match (open, low.is_some() && high.is_some()) {
            (0, _) => 1.0,
            (2, _) => INTERVAL,
            _ => UNKNOWN,
        };
        (share * unknown).clamp(LEAST, 1.0)
    }

    fn prefix(&self, columns: &Columns, prefix: &str) -> f64 {
        let low = Value::String(prefix.to_owned());
        let Some(high) = super::ranges::after_prefix(prefix).map(Value::String) else { return PREFIX };
        self.mean_share(columns, |column, rows| {
            let below = |limit: &Value| column?.share_below(limit, false, rows);
            let bounds = below(&low).zip(below(&high));
            bounds.map_or(PREFIX, |(below, reached)| (reached - below).max(0.0))
        })
    }

    fn null_share(&self, operand: &BoundExpression) -> f64 {
        match property_of(operand) {
            Some((columns, _)) => self
                .mean_share(columns, |column, rows| column.map_or(0.0, |column| column.share_of_nulls(rows))),
            None => 0.1,
        }
    }

    /// The mean over the tables that have the property, weighted by their rows; 1 where there are none.
    fn mean_share(&self, columns: &Columns, share: impl Fn(Option<&ColumnStatistics>, f64) -> f64) -> f64 {
        let rows: f64 = columns.iter().map(|(table, _)| self.rows(*table)).sum();
        if rows == 0.0 {
            return 1.0;
        }
        let kept = columns.iter().map(|(table, column)| {
            let rows = self.rows(*table);
            if rows > 0.0 { rows * share(self.statistics.column(*table, *column), rows) } else { 0.0 }
        });
        (kept.sum::<f64>() / rows).clamp(0.0, 1.0)
    }

    /// How many different values an expression has over all rows of its tables, where statistics tell.
    pub fn distinct_of(&self, expression: &BoundExpression) -> Option<f64> {
        if let Some((columns, _)) = property_of(expression) {
            let distinct = columns.iter().map(|(table, column)| {
                self.statistics.column(*table, *column).map_or(0.0, |column| column.distinct as f64)
            });
            return Some(distinct.sum::<f64>().max(1.0));
        }
        match &expression.kind {
            ExpressionKind::Literal(_) | ExpressionKind::Parameter(_) => Some(1.0),
            ExpressionKind::LabelName(_) | ExpressionKind::Labels(_) => Some(2.0),
            ExpressionKind::IsNull { .. } | ExpressionKind::Not(_) => Some(2.0),
            _ => None,
        }
    }
}

/// Whether the value does not depend on the row: a literal or a parameter, or what is made of these.
fn is_known(expression: &BoundExpression) -> bool {
    super::rewrite::is_constant(expression)
}

/// The property that an expression reads through casts and functions of one argument, and whether the order and the
/// values are still the property's own.
fn property_of(expression: &BoundExpression) -> Option<(&Columns, bool)> {
    match &expression.kind {
        ExpressionKind::Property { columns, .. } => Some((columns, true)),
        ExpressionKind::Call { function, arguments } => match &arguments[..] {
            [inner] => property_of(inner).map(|(columns, exact)| (columns, exact && function.name == "CAST")),
            _ => None,
        },
        _ => None,
    }
}

/// Takes note of `property op constant`; false if the predicate is anything else.
fn add_limit<'e>(predicate: &'e BoundExpression, intervals: &mut Vec<Interval<'e>>) -> bool {
    let ExpressionKind::Call { function, arguments } = &predicate.kind else { return false };
    let [left, right] = &arguments[..] else { return false };
    let (property, constant, operator) = match (&left.kind, &right.kind) {
        (ExpressionKind::Property { .. }, _) if is_known(right) => (left, right, function.name),
        (_, ExpressionKind::Property { .. }) if is_known(left) => (right, left, mirrored(function.name)),
        _ => return false,
    };
    let (is_low, inclusive) = match operator {
        "<" => (false, false),
        "<=" => (false, true),
        ">" => (true, false),
        ">=" => (true, true),
        _ => return false,
    };
    let ExpressionKind::Property { variable, columns, .. } = &property.kind else { return false };
    let value = match &constant.kind {
        ExpressionKind::Literal(value) => Some(value),
        _ => None,
    };
    let limit = Limit { value, inclusive };
    let known =
        intervals.iter_mut().find(|known| known.variable == *variable && known.columns == &columns[..]);
    let interval = match known {
        Some(known) => known,
        None => {
            intervals.push(Interval { variable: *variable, columns, low: None, high: None });
            let last = intervals.len() - 1;
            &mut intervals[last]
        }
    };
    let side = if is_low { &mut interval.low } else { &mut interval.high };
    // A known limit says more than one that comes later.
    if side.is_none_or(|known| known.value.is_none()) {
        *side = Some(limit);
    }
    true
}

/// The operator with its sides exchanged.
pub fn mirrored(operator: &str) -> &str {
    match operator {
        "<" => ">",
        "<=" => ">=",
        ">" => "<",
        ">=" => "<=",
        other => other,
    }
}
