//! Sums and means of INTERVAL.

use std::any::Any;

use super::super::parts::{get, put};
use super::super::{AggregateState, BoundAggregate, Rows, same_kind};
use crate::functions::{FunctionError, FunctionResult};
use crate::types::{DataType, Interval};
use crate::vector::{ValueVector, VectorBuffer};

#[derive(Default)]
pub(super) struct IntervalSum {
    name: &'static str,
    null_when_empty: bool,
    sums: Vec<Interval>,
    counts: Vec<u64>,
}

impl IntervalSum {
    pub fn new(aggregate: &BoundAggregate) -> Self {
        let (name, null_when_empty) = (aggregate.name, aggregate.null_when_empty);
        IntervalSum { name, null_when_empty, ..IntervalSum::default() }
    }

    fn add(&mut self, group: usize, interval: Interval, count: u64) -> FunctionResult<()> {
        let overflow = || FunctionError::Overflow { function: self.name, data_type: DataType::Interval };
        self.sums[group] = self.sums[group].checked_add(&interval).ok_or_else(overflow)?;
        self.counts[group] = self.counts[group].saturating_add(count);
        Ok(())
    }
}

/// An interval, as often as it counts.
fn interval_times(interval: Interval, count: u64) -> Option<Interval> {
    let count = i64::try_from(count).ok()?;
    Interval::new(
        interval.months.checked_mul(count)?,
        interval.days.checked_mul(count)?,
        interval.seconds.checked_mul(count)?,
        i128::from(interval.nanos) * i128::from(count),
    )
}

impl AggregateState for IntervalSum {
    fn resize(&mut self, groups: usize) {
        self.sums.resize(groups, Interval::ZERO);
        self.counts.resize(groups, 0);
    }

    fn update(
        &mut self,
        groups: &[u32],
        arguments: &[ValueVector<'_>],
        rows: &Rows<'_>,
    ) -> FunctionResult<()> {
        let argument = &arguments[0];
        let Some(reader) = argument.native_reader::<Interval>() else { return Ok(()) };
        rows.each(argument, |row, count| {
            let overflow = FunctionError::Overflow { function: "sum", data_type: DataType::Interval };
            let interval = interval_times(reader.get(row), count).ok_or(overflow)?;
            self.add(groups[row] as usize, interval, count)
        })
    }

    fn merge(&mut self, other: &dyn AggregateState, mapping: &[u32]) -> FunctionResult<()> {
        let other: &Self = same_kind(other, self.name)?;
        for (position, group) in mapping.iter().enumerate() {
            self.add(*group as usize, other.sums[position], other.counts[position])?;
        }
        Ok(())
    }

    fn export(&self, groups: &[u32], parts: &mut [VectorBuffer]) -> FunctionResult<()> {
        put(&self.sums, groups, &mut parts[0]);
        put(&self.counts, groups, &mut parts[1]);
        Ok(())
    }

    fn append(&mut self, parts: &[ValueVector<'_>], rows: usize) -> FunctionResult<()> {
        get(&parts[0], rows, &mut self.sums)?;
        get(&parts[1], rows, &mut self.counts)
    }

    fn finish(&self, start: usize, count: usize, out: &mut VectorBuffer) -> FunctionResult<()> {
        for group in start..start + count {
            let (sum, rows) = (self.sums[group], self.counts[group]);
            match (self.name, i64::try_from(rows)) {
                ("sum", Ok(0)) if self.null_when_empty => out.push_null(),
                ("sum", _) => out.push(sum),
                (_, Ok(rows @ 1..)) => {
                    let time = sum.time_nanos() / i128::from(rows);
                    out.push(
                        Interval::new(sum.months / rows, sum.days / rows, 0, time).unwrap_or(Interval::ZERO),
                    );
                }
                _ => out.push_null(),
            }
        }
        Ok(())
    }

    fn bytes(&self) -> usize {
        self.sums.capacity() * size_of::<Interval>() + self.counts.capacity() * 8
    }

    fn as_any(&self) -> &dyn Any {
        self
    }
}
