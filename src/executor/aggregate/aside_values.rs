//! Values of DISTINCT that were put aside, and are told apart at the end beside the groups of their partition. Where the
//! result shows in which order they came first, as that of `collect` does, they keep it.

use std::sync::Arc;

use super::super::context::QueryContext;
use super::super::distinct_values::DistinctValues;
use super::super::error::ExecutionResult;
use super::super::spill::{LEVELS, PARTITIONS, Room, bytes_of};
use super::aside::{hold, split};
use super::groups::Groups;
use super::{Grouping, OPERATOR};
use crate::storage::memory::Reservation;
use crate::storage::spill::{SpillBlock, SpillFile};
use crate::types::DataType;
use crate::vector::{Multiplicity, Selection, ValueVector, VectorBuffer};

impl Grouping<'_> {
    /// Feeds each value once to the states of a partition's groups. Values that do not fit are split by a hash of keys
    /// and value: those of different parts are different. Where their order shows, they are numbered before, and go into
    /// `found` instead. False where the memory does not do, see `restore`.
    pub(super) fn feed_values(
        &self,
        aggregate: usize,
        values: &Values<'_>,
        found: &mut Option<InOrder>,
        last: bool,
        groups: &mut Groups,
        query: &QueryContext,
    ) -> ExecutionResult<bool> {
        let Some(mut seen) = self.distinct_values(aggregate) else { return Ok(true) };
        let types = self.value_types(aggregate, values.numbered);
        let (keys, width) = (self.keys.len(), self.distinct_types(aggregate).len());
        // The numbers of what was seen, and of the row that comes next where rows have none yet.
        let (mut numbers, mut next): (Vec<u64>, u64) = (Vec::new(), 0);
        let mut held = self.account(query);
        for (at, block) in values.blocks.iter().enumerate() {
            let columns = query.take_back(values.file, block, &types)?;
            let vectors: Vec<ValueVector<'_>> = columns.iter().map(VectorBuffer::vector).collect();
            let by_row = groups.find(&vectors[..keys], block.rows as usize);
            // Told apart at once: what is fed or goes to smaller parts below is what is in the table.
            seen.add_each(&vectors[keys..width], &by_row, block.rows as usize, Selection::All);
            if found.is_some() {
                let own = vectors.get(width).and_then(|numbers| numbers.slice_of::<u64>());
                let number = |row: &u32| own.map_or(next + u64::from(*row), |own| own[*row as usize]);
                numbers.extend(seen.first_rows().iter().map(number));
                next += u64::from(block.rows);
            }
            let bytes = seen.bytes() + numbers.capacity() as u64 * 8;
            if values.level + 1 >= 2 * LEVELS {
                if !hold(&mut held, bytes, last)? {
                    return Ok(false);
                }
            } else if query.room(&mut held, bytes, OPERATOR)? == Room::Short {
                let kept = self.kept_values(aggregate, &seen, found.is_some().then_some(&numbers), groups);
                drop((seen, held));
                let others = Values { blocks: &values.blocks[at + 1..], ..*values };
                let (file, parts) = self.split_further(aggregate, kept, &others, next, query)?;
                for blocks in &parts {
                    let (level, numbered) = (values.level + 1, found.is_some());
                    let part = Values { blocks, file: &file, level, numbered };
                    if !self.feed_values(aggregate, &part, found, last, groups, query)? {
                        return Ok(false);
                    }
                }
                return Ok(true);
            }
        }
        match found {
            Some(found) => found.add(&seen, &numbers, last),
            None => {
                let count = groups.len();
                groups.states[aggregate].resize(count);
                seen.feed(&mut groups.states[aggregate])?;
                Ok(true)
            }
        }
    }

    /// The columns of values of DISTINCT on their way to smaller parts.
    fn value_types(&self, aggregate: usize, numbered: bool) -> Vec<DataType> {
        let mut types = self.distinct_types(aggregate);
        types.extend(numbered.then_some(DataType::UInt64));
        types
    }

    /// What was told apart so far, with the keys of its groups.
    fn kept_values(
        &self,
        aggregate: usize,
        seen: &DistinctValues,
        numbers: Option<&Vec<u64>>,
        groups: &Groups,
    ) -> Vec<VectorBuffer> {
        let types = self.value_types(aggregate, numbers.is_some());
        let mut kept: Vec<VectorBuffer> = types.into_iter().map(VectorBuffer::new).collect();
        for (column, key) in kept.iter_mut().zip(&groups.keys()) {
            column.append_rows(key, seen.groups());
        }
        for (column, values) in kept[self.keys.len()..].iter_mut().zip(&seen.values()) {
            column.append_range(values, 0, seen.groups().len());
        }
        if let (Some(column), Some(numbers)) = (kept.last_mut(), numbers) {
            column.extend(numbers);
        }
        kept
    }

    /// Splits values by a hash of keys and value: those that were kept so far, and those that come, whose first one is
    /// number `next`.
    fn split_further(
        &self,
        aggregate: usize,
        kept: Vec<VectorBuffer>,
        others: &Values<'_>,
        mut next: u64,
        query: &QueryContext,
    ) -> ExecutionResult<(Arc<SpillFile>, Vec<Vec<SpillBlock>>)> {
        let file = query.spill_file(OPERATOR)?;
        let hashed = self.distinct_types(aggregate).len();
        let types = self.value_types(aggregate, kept.len() > hashed);
        let mut parts: Vec<Vec<SpillBlock>> = vec![Vec::new(); PARTITIONS];
        let mut add = |columns: &[VectorBuffer]| -> ExecutionResult<()> {
            let split = split(columns, &types, hashed, others.level + 1, &file, query)?;
            parts.iter_mut().zip(split).for_each(|(part, blocks)| part.extend(blocks));
            Ok(())
        };
        add(&kept)?;
        drop(kept);
        for block in others.blocks {
            let own = self.value_types(aggregate, others.numbered);
            let mut columns = query.take_back(others.file, block, &own)?;
            if columns.len() < types.len() {
                let mut numbers = VectorBuffer::new(DataType::UInt64);
                let end = next + u64::from(block.rows);
                numbers.extend(&(next..end).collect::<Vec<u64>>());
                next = end;
                columns.push(numbers);
            }
            add(&columns)?;
        }
        Ok((file, parts))
    }
}

/// Values of DISTINCT that were put aside: of a partition, or of a part of one.
#[derive(Clone, Copy)]
pub(super) struct Values<'v> {
    pub blocks: &'v [SpillBlock],
    pub file: &'v Arc<SpillFile>,
    pub level: usize,
    /// Whether a last column tells the order in which they came.
    pub numbered: bool,
}

/// Values of DISTINCT whose order shows in the result: they are found part by part, and fed in the order in which they
/// came.
pub(super) struct InOrder {
    /// Number, group, and the row of `columns`.
    rows: Vec<(u64, u32, u32)>,
    columns: Vec<VectorBuffer>,
    held: Reservation,
}

impl InOrder {
    pub fn new(types: Vec<DataType>, held: Reservation) -> InOrder {
        InOrder { rows: Vec::new(), columns: types.into_iter().map(VectorBuffer::new).collect(), held }
    }

    /// Adds values that no other part has; false where there is no memory for them, unless that is an error.
    fn add(&mut self, seen: &DistinctValues, numbers: &[u64], last: bool) -> ExecutionResult<bool> {
        let first = self.rows.len() as u32;
        let rows = numbers.iter().zip(seen.groups()).zip(first..);
        self.rows.extend(rows.map(|((number, group), row)| (*number, *group, row)));
        for (column, values) in self.columns.iter_mut().zip(&seen.values()) {
            column.append_range(values, 0, seen.groups().len());
        }
        let bytes =
            bytes_of(&self.columns) + self.rows.capacity() as u64 * size_of::<(u64, u32, u32)>() as u64;
        hold(&mut self.held, bytes, last)
    }

    pub fn feed(mut self, groups: &mut Groups, aggregate: usize) -> ExecutionResult<()> {
        self.rows.sort_unstable();
        let by_row: Vec<u32> = self.rows.iter().map(|(_, group, _)| *group).collect();
        let order: Vec<u32> = self.rows.iter().map(|(.., row)| *row).collect();
        let vectors: Vec<ValueVector<'_>> = self.columns.iter().map(VectorBuffer::vector).collect();
        let ordered = vectors.iter().map(|vector| ValueVector::dictionary(&order, vector));
        let ordered: Vec<ValueVector<'_>> = ordered.collect();
        let count = groups.len();
        let state = &mut groups.states[aggregate];
        state.resize(count);
        Ok(state.update(&by_row, &ordered, by_row.len(), Selection::All, Multiplicity::One)?)
    }
}
