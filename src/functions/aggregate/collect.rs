//! `collect`: all values lie in one buffer beside the group of each, and are put into lists at the end.

use std::any::Any;

use super::super::FunctionResult;
use super::parts::{append_elements, get_lists, put_lists};
use super::{AggregateState, BoundAggregate, Rows, same_kind};
use crate::types::DataType;
use crate::vector::{ValueVector, VectorBuffer};

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
        append_elements(&mut self.values, &other.values.vector(), 0..other.values.len())
    }

    fn export(&self, groups: &[u32], parts: &mut [VectorBuffer]) -> FunctionResult<()> {
        put_lists(&self.values, &self.group_of, groups, &mut parts[0])
    }

    fn append(&mut self, parts: &[ValueVector<'_>], rows: usize) -> FunctionResult<()> {
        get_lists(&parts[0], rows, self.groups as u32, &mut self.values, &mut self.group_of)?;
        self.groups += rows;
        Ok(())
    }

    fn finish(&self, start: usize, count: usize, out: &mut VectorBuffer) -> FunctionResult<()> {
        let groups: Vec<u32> = (start as u32..(start + count) as u32).collect();
        put_lists(&self.values, &self.group_of, &groups, out)
    }

    fn bytes(&self) -> usize {
        self.values.bytes() + self.group_of.capacity() * 4
    }

    fn as_any(&self) -> &dyn Any {
        self
    }
}
