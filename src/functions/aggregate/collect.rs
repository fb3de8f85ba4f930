//! `collect`: all values lie in one buffer beside the group of each, and are put into lists at the end.

use std::any::Any;

use super::super::FunctionResult;
use super::super::kernel::mistyped;
use super::{AggregateState, BoundAggregate, Rows, same_kind};
use crate::types::DataType;
use crate::vector::{Validity, ValueVector, VectorBuffer};

pub fn resolve(types: &[DataType]) -> Option<BoundAggregate> {
    let [only] = types else { return None };
    Some(BoundAggregate::new("collect", [only.clone()], DataType::list(only.clone()), |aggregate| {
        Box::new(Collect {
            values: VectorBuffer::new(aggregate.arguments[0].clone()),
            group_of: Vec::new(),
            groups: 0,
        })
    }))
}

struct Collect {
    values: VectorBuffer,
    group_of: Vec<u32>,
    groups: usize,
}

impl AggregateState for Collect {
    fn resize(&mut self, groups: usize) {
        self.groups = groups;
    }

    fn update(
        &mut self,
        groups: &[u32],
        arguments: &[ValueVector<'_>],
        rows: &Rows<'_>,
    ) -> FunctionResult<()> {
        let mut chosen: Vec<u32> = Vec::new();
        rows.each(&arguments[0], |row, count| {
            for _ in 0..count {
                chosen.push(row as u32);
                self.group_of.push(groups[row]);
            }
            Ok(())
        })?;
        self.values.append_rows(&arguments[0], &chosen);
        Ok(())
    }

    fn merge(&mut self, other: &dyn AggregateState, mapping: &[u32]) -> FunctionResult<()> {
        let other: &Self = same_kind(other, "collect")?;
        self.group_of.extend(other.group_of.iter().map(|group| mapping[*group as usize]));
        self.values.append_range(&other.values.vector(), 0, other.values.len());
        Ok(())
    }

    fn finish(&self, start: usize, count: usize, out: &mut VectorBuffer) -> FunctionResult<()> {
        // Counting sort by group keeps the order within each.
        let wanted = |group: u32| (group as usize).checked_sub(start).filter(|position| *position < count);
        let mut ends = vec![0u32; count + 1];
        self.group_of.iter().filter_map(|group| wanted(*group)).for_each(|position| ends[position + 1] += 1);
        (0..count).for_each(|position| ends[position + 1] += ends[position]);
        let mut next = ends.clone();
        let mut rows = vec![0u32; ends[count] as usize];
        for (row, group) in self.group_of.iter().enumerate() {
            if let Some(position) = wanted(*group) {
                rows[next[position] as usize] = row as u32;
                next[position] += 1;
            }
        }
        let (offsets, child) = out.list_mut().ok_or_else(|| mistyped("collect"))?;
        let base = child.len() as u32;
        child.append_rows(&self.values.vector(), &rows);
        offsets.extend(ends[1..].iter().map(|end| base + end));
        out.finish_rows(count, Validity::AllValid);
        Ok(())
    }

    fn bytes(&self) -> usize {
        self.values.bytes() + self.group_of.capacity() * 4
    }

    fn as_any(&self) -> &dyn Any {
        self
    }
}
