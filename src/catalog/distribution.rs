//! How the values of a column are spread: the most frequent ones with their numbers of rows, and an equi-depth histogram
//! of the others.

use std::cmp::Ordering;

use super::sample::RowSample;
use super::shares::between;
use crate::types::Value;

/// Frequent values that are kept.
pub const TOP_VALUES: usize = 16;
/// Parts of the histogram, each with the same number of rows.
const PARTS: usize = 16;
/// A value is frequent if it is met at least so often in the sample.
const TOP_PICKS: usize = 3;

/// The spread of a column's values that are not null.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Distribution {
    /// Frequent values with the rows that have them, the most frequent first.
    pub top: Vec<(Value, u64)>,
    /// Rows with other values.
    pub rest: u64,
    /// The least of the other values, the ends of the parts, the greatest one.
    pub bounds: Vec<Value>,
}

impl Distribution {
    /// What a sample says; none for one without values.
    pub fn of(sample: &RowSample) -> Option<Distribution> {
        let mut values: Vec<&Value> = sample.values().collect();
        values.sort_by(|a, b| a.order(b));
        let picked = values.len();
        let runs: Vec<&[&Value]> = values.chunk_by(|a, b| a.order(b) == Ordering::Equal).collect();
        let mean = picked as f64 / runs.len() as f64;
        let frequent = |run: &&&[&Value]| {
            run.len() >= TOP_PICKS.min(picked) && (runs.len() <= TOP_VALUES || run.len() as f64 > 1.25 * mean)
        };
        let mut top: Vec<&[&Value]> = runs.iter().filter(frequent).copied().collect();
        top.sort_by_key(|run| std::cmp::Reverse(run.len()));
        top.truncate(TOP_VALUES);
        let is_top = |value: &Value| top.iter().any(|run| run[0].order(value) == Ordering::Equal);
        let others: Vec<&Value> = values.iter().copied().filter(|value| !is_top(value)).collect();
        let rows = |picks: usize| (sample.rows as f64 * picks as f64 / picked as f64).round() as u64;
        (picked > 0).then(|| Distribution {
            top: top.iter().map(|run| (run[0].clone(), rows(run.len()))).collect(),
            rest: rows(others.len()),
            bounds: quantiles(&others),
        })
    }

    /// Rows with values.
    pub fn rows(&self) -> u64 {
        self.top.iter().map(|(_, rows)| rows).sum::<u64>() + self.rest
    }

    /// The share of the rows with a value; `distinct` is how many different values there are.
    pub fn equal(&self, value: &Value, distinct: f64) -> f64 {
        let total = self.rows().max(1) as f64;
        let known = self.top.iter().find(|(top, _)| top.order(value) == Ordering::Equal);
        match known {
            Some((_, rows)) => *rows as f64 / total,
            None => self.rest.max(1) as f64 / (distinct - self.top.len() as f64).max(1.0) / total,
        }
    }

    /// The share of the rows below a value, which counts itself if `inclusive`.
    pub fn below(&self, value: &Value, inclusive: bool) -> f64 {
        let less = |top: &Value| match top.order(value) {
            Ordering::Less => true,
            Ordering::Equal => inclusive,
            Ordering::Greater => false,
        };
        let top: u64 = self.top.iter().filter(|(top, _)| less(top)).map(|(_, rows)| rows).sum();
        (top as f64 + self.rest as f64 * self.below_in_parts(value)) / self.rows().max(1) as f64
    }

    fn below_in_parts(&self, value: &Value) -> f64 {
        let (Some(first), Some(last)) = (self.bounds.first(), self.bounds.last()) else { return 0.0 };
        if value.order(first) == Ordering::Less {
            return 0.0;
        }
        if value.order(last) != Ordering::Less {
            return 1.0;
        }
        // The last bound that is not above the value begins its part.
        let at = self.bounds.partition_point(|bound| bound.order(value) != Ordering::Greater).max(1) - 1;
        let within = match (self.bounds.get(at), self.bounds.get(at + 1)) {
            (Some(from), Some(to)) => between(from, to, value).unwrap_or(0.5).clamp(0.0, 1.0),
            _ => 0.0,
        };
        (at as f64 + within) / (self.bounds.len() - 1) as f64
    }

    /// Adds the rows of another part of the column.
    pub fn merge(&mut self, other: &Distribution) {
        let mut bounds: Vec<&Value> = self.bounds.iter().chain(&other.bounds).collect();
        bounds.sort_by(|a, b| a.order(b));
        bounds.dedup_by(|a, b| a.order(b) == Ordering::Equal);
        let rest = self.rest + other.rest;
        let below = |bound: &Value| {
            let rows = |part: &Distribution| part.rest as f64 * part.below_in_parts(bound);
            (rows(self) + rows(other)) / rest.max(1) as f64
        };
        let placed: Vec<(f64, &Value)> = bounds.iter().map(|bound| (below(bound), *bound)).collect();
        let nearest = |share: f64| {
            placed
                .iter()
                .min_by(|a, b| (a.0 - share).abs().total_cmp(&(b.0 - share).abs()))
                .map(|(_, at)| (*at).clone())
        };
        let merged = if placed.len() <= PARTS + 1 && (self.bounds.is_empty() || other.bounds.is_empty()) {
            placed.iter().map(|(_, bound)| (*bound).clone()).collect()
        } else {
            (0..=PARTS).filter_map(|part| nearest(part as f64 / PARTS as f64)).collect()
        };
        let mut top = self.top.clone();
        for (value, rows) in &other.top {
            match top.iter_mut().find(|(known, _)| known.order(value) == Ordering::Equal) {
                Some((_, sum)) => *sum += rows,
                None => top.push((value.clone(), *rows)),
            }
        }
        top.sort_by(|a, b| b.1.cmp(&a.1).then_with(|| a.0.order(&b.0)));
        let dropped: u64 = top.iter().skip(TOP_VALUES).map(|(_, rows)| rows).sum();
        top.truncate(TOP_VALUES);
        *self = Distribution { top, rest: rest + dropped, bounds: merged };
    }

    /// Lets the values stand for so many rows.
    pub fn scale(&mut self, rows: u64) {
        let factor = rows as f64 / self.rows().max(1) as f64;
        let scaled = |rows: u64| (rows as f64 * factor).round() as u64;
        self.top.iter_mut().for_each(|(_, rows)| *rows = scaled(*rows));
        self.rest = scaled(self.rest);
    }
}

fn quantiles(sorted: &[&Value]) -> Vec<Value> {
    let Some(last) = sorted.len().checked_sub(1) else { return Vec::new() };
    let parts = PARTS.min(last.max(1));
    (0..=parts).map(|part| sorted[part * last / parts].clone()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::catalog::sample::picked_rows;

    /// The distribution of a column with these values.
    fn of(values: &[i64]) -> Distribution {
        let picks = picked_rows(0, values.len()).into_iter();
        let picks = picks.map(|(row, key)| (key, Value::Int64(values[row])));
        Distribution::of(&RowSample::of(values.len() as u64, picks)).expect("it has values")
    }

    #[track_caller]
    fn near(found: f64, expected: f64) {
        assert!((found - expected).abs() < 0.04, "{found}, not {expected}");
    }

    #[test]
    fn frequent_values_and_quantiles_are_found() {
        // Half of the rows are 7, the others lie in squares from 0 to a million.
        let values: Vec<i64> =
            (0..10_000).map(|i| if i % 2 == 0 { 7 } else { (i / 10) * (i / 10) }).collect();
        let spread = of(&values);
        assert_eq!(spread.top[0].0, Value::Int64(7));
        near(spread.equal(&Value::Int64(7), 1000.0), 0.5);
        near(spread.equal(&Value::Int64(49), 1000.0), 0.001);
        near(spread.below(&Value::Int64(7), false), 0.0);
        near(spread.below(&Value::Int64(7), true), 0.5);
        near(spread.below(&Value::Int64(250_000), false), 0.75);
        near(spread.below(&Value::Int64(2_000_000), false), 1.0);
        assert!(spread.rows().abs_diff(10_000) < 3);
    }

    #[test]
    fn few_values_are_all_frequent() {
        let values: Vec<i64> = (0..4000).map(|i| i % 4).collect();
        let spread = of(&values);
        assert_eq!((spread.top.len(), spread.rest, spread.bounds.len()), (4, 0, 0));
        near(spread.equal(&Value::Int64(2), 4.0), 0.25);
        near(spread.below(&Value::Int64(2), false), 0.5);
    }

    #[test]
    fn merging_weighs_by_rows() {
        let low: Vec<i64> = (0..3000).collect();
        let high: Vec<i64> = (3000..4000).collect();
        let mut spread = of(&low);
        spread.merge(&of(&high));
        near(spread.below(&Value::Int64(2000), false), 0.5);
        near(spread.below(&Value::Int64(3500), false), 0.875);
        spread.scale(400);
        assert_eq!(spread.rows(), 400);
        near(spread.below(&Value::Int64(1000), false), 0.25);
    }
}
