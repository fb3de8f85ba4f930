//! `count(*)` and `count(x)`.

use std::any::Any;

use super::super::{FunctionError, FunctionResult};
use super::parts::{get, put};
use super::{AggregateState, BoundAggregate, Rows, come_in_runs, each_run, same_kind};
use crate::types::DataType;
use crate::vector::{Multiplicity, Validity, ValueVector, VectorBuffer};

pub fn resolve(types: &[DataType]) -> Option<BoundAggregate> {
    match types {
        [] | [_] => Some(BoundAggregate::new("count", types, DataType::Int64, |_| Box::<Count>::default())),
        _ => None,
    }
}

#[derive(Default)]
struct Count {
    counts: Vec<u64>,
}

fn overflow() -> FunctionError {
    FunctionError::Overflow { function: "count", data_type: DataType::Int64 }
}

impl Count {
    #[inline]
    fn add(&mut self, group: usize, count: u64) -> FunctionResult<()> {
        self.counts[group] = self.counts[group].checked_add(count).ok_or_else(overflow)?;
        Ok(())
    }
}

impl AggregateState for Count {
    fn resize(&mut self, groups: usize) {
        self.counts.resize(groups, 0);
    }

    fn update(
        &mut self,
        groups: &[u32],
        arguments: &[ValueVector<'_>],
        rows: &Rows<'_>,
    ) -> FunctionResult<()> {
        let groups = &groups[..rows.length];
        match arguments.first().filter(|argument| !argument.has_no_nulls()) {
            Some(argument) => rows.each(argument, |row, count| self.add(groups[row] as usize, count)),
            None if rows.is_plain() && come_in_runs(groups) => {
                each_run(groups, |group, run| self.add(group, run.len() as u64))
            }
            None => rows
                .selection
                .try_for_each(rows.length, |row| self.add(groups[row] as usize, rows.multiplicity.get(row))),
        }
    }

    fn update_all(&mut self, arguments: &[ValueVector<'_>], rows: &Rows<'_>) -> FunctionResult<bool> {
        match (arguments.first().filter(|argument| !argument.has_no_nulls()), rows.multiplicity) {
            (None, Multiplicity::One) => self.add(0, rows.selection.count(rows.length) as u64)?,
            (None, Multiplicity::PerRow(counts)) if rows.selection.is_all() => {
                let total: u128 = counts[..rows.length].iter().map(|count| u128::from(*count)).sum();
                self.add(0, u64::try_from(total).map_err(|_| overflow())?)?;
            }
            _ => return Ok(false),
        }
        Ok(true)
    }

    fn merge(&mut self, other: &dyn AggregateState, mapping: &[u32]) -> FunctionResult<()> {
        let other: &Count = same_kind(other, "count")?;
        mapping.iter().zip(&other.counts).try_for_each(|(group, count)| self.add(*group as usize, *count))
    }

    fn export(&self, groups: &[u32], parts: &mut [VectorBuffer]) -> FunctionResult<()> {
        put(&self.counts, groups, &mut parts[0]);
        Ok(())
    }

    fn append(&mut self, parts: &[ValueVector<'_>], rows: usize) -> FunctionResult<()> {
        get(&parts[0], rows, &mut self.counts)
    }

    fn finish(&self, start: usize, count: usize, out: &mut VectorBuffer) -> FunctionResult<()> {
        let write = |to: &mut Vec<i64>| {
            for count in &self.counts[start..start + count] {
                to.push(i64::try_from(*count).map_err(|_| overflow())?);
            }
            Ok(())
        };
        out.fill(count, Validity::AllValid, write)
            .unwrap_or_else(|| Err(super::super::kernel::mistyped("count")))
    }

    fn bytes(&self) -> usize {
        self.counts.capacity() * 8
    }

    fn as_any(&self) -> &dyn Any {
        self
    }
}
