//! Groups that are put aside. They are split by a hash of their keys into partitions; a row holds the keys and the parts
//! of the states, and for DISTINCT a row of its own holds keys and value. At the end each partition is put together by
//! itself. One that is still too large is split once more, by other bits of the hash; after that the memory has to do:
//! what other workers do not hold, or, once they are done, all of it.

use std::sync::Arc;

use parking_lot::Mutex;

use super::super::chunks::{Chunk, push_chunk};
use super::super::context::{Context, QueryContext};
use super::super::counters::count;
use super::super::error::ExecutionResult;
use super::super::operator::{Flow, Operator};
use super::super::partitioned::{PARTS, PartRows, Partitioned};
use super::super::pipeline::Source;
use super::super::spill::{LEVELS, PARTITIONS, Room, partitions, write_blocks};
use super::aside_values::{InOrder, Values};
use super::groups::Groups;
use super::{Grouping, OPERATOR};
use crate::planner::physical_plan::KeyKind;
use crate::storage::memory::Reservation;
use crate::storage::spill::{SpillBlock, SpillFile};
use crate::types::DataType;
use crate::vector::{ValueVector, VectorBuffer};

/// The blocks of one partition.
#[derive(Default)]
struct Part {
    groups: Vec<SpillBlock>,
    /// By aggregate; those that are not over distinct values have none.
    distinct: Vec<Vec<SpillBlock>>,
}

/// All partitions of one level.
pub(super) struct Aside {
    file: Arc<SpillFile>,
    level: usize,
    parts: Vec<Mutex<Part>>,
}

impl Aside {
    pub fn new(grouping: &Grouping<'_>, level: usize, query: &QueryContext) -> ExecutionResult<Aside> {
        let distinct = || (0..grouping.aggregates.len()).map(|_| Vec::new()).collect();
        let part = || Mutex::new(Part { groups: Vec::new(), distinct: distinct() });
        let parts = (0..PARTITIONS).map(|_| part()).collect();
        Ok(Aside { file: query.spill_file(OPERATOR)?, level, parts })
    }

    /// Puts groups aside.
    pub fn put(&self, grouping: &Grouping<'_>, groups: &Groups, query: &QueryContext) -> ExecutionResult<()> {
        let keys = groups.keys();
        let part_of = partitions(&keys, &grouping.key_types(), groups.len(), self.level);
        let types = grouping.stored_types();
        let mut members: Vec<Vec<u32>> = vec![Vec::new(); PARTITIONS];
        part_of.iter().enumerate().for_each(|(group, part)| members[usize::from(*part)].push(group as u32));
        for (members, part) in members.iter().zip(&self.parts).filter(|(members, _)| !members.is_empty()) {
            let mut columns: Vec<VectorBuffer> = types.iter().cloned().map(VectorBuffer::new).collect();
            columns.iter_mut().zip(&keys).for_each(|(column, key)| column.append_rows(key, members));
            let mut parts = &mut columns[keys.len()..];
            for (at, state) in groups.states.iter().enumerate() {
                if groups.distinct[at].is_none() {
                    let count = grouping.aggregates[at].function.part_types().len();
                    let (own, rest) = parts.split_at_mut(count);
                    // A worker that saw no rows has no states yet.
                    if state.groups() < groups.len() {
                        grouping.aggregates[at].function.new_states().export_initial(members.len(), own)?;
                    } else {
                        state.export(members, own)?;
                    }
                    parts = rest;
                }
            }
            let blocks = write_blocks(&columns, &types, members.len(), &self.file, query)?;
            count(&query.counters.partitions_spilled, 1);
            part.lock().groups.extend(blocks);
        }
        for (at, distinct) in groups.distinct.iter().enumerate() {
            let Some(distinct) = distinct else { continue };
            let group_of = distinct.groups();
            let mut members: Vec<Vec<u32>> = vec![Vec::new(); PARTITIONS];
            for (entry, group) in group_of.iter().enumerate() {
                let part = part_of.get(*group as usize).copied().unwrap_or(0);
                members[usize::from(part)].push(entry as u32);
            }
            let types = grouping.distinct_types(at);
            for (members, part) in members.iter().zip(&self.parts).filter(|(members, _)| !members.is_empty())
            {
                let of_groups: Vec<u32> = members.iter().map(|entry| group_of[*entry as usize]).collect();
                let mut columns: Vec<VectorBuffer> = types.iter().cloned().map(VectorBuffer::new).collect();
                columns.iter_mut().zip(&keys).for_each(|(column, key)| column.append_rows(key, &of_groups));
                for (column, values) in columns[keys.len()..].iter_mut().zip(&distinct.values()) {
                    column.append_rows(values, members);
                }
                let blocks = write_blocks(&columns, &types, members.len(), &self.file, query)?;
                part.lock().distinct[at].extend(blocks);
            }
            // Values without a group beside them are there only where there is one group, in the first part.
            for values in distinct.parted().iter().flat_map(Partitioned::parts).filter(|part| part.rows > 0) {
                let blocks = write_blocks(&values.columns, &types, values.rows, &self.file, query)?;
                self.parts[0].lock().distinct[at].extend(blocks);
            }
        }
        Ok(())
    }

    /// Puts a part of parted rows aside, which is of the first level.
    pub fn put_part(
        &self,
        grouping: &Grouping<'_>,
        (at, part): (usize, &PartRows),
        query: &QueryContext,
    ) -> ExecutionResult<()> {
        if part.rows == 0 {
            return Ok(());
        }
        let blocks = write_blocks(&part.columns, &grouping.stored_types(), part.rows, &self.file, query)?;
        count(&query.counters.partitions_spilled, 1);
        self.parts[at / (PARTS / PARTITIONS)].lock().groups.extend(blocks);
        Ok(())
    }
}

impl Aside {
    /// The same for keys and values of DISTINCT.
    pub fn put_values(
        &self,
        grouping: &Grouping<'_>,
        aggregate: usize,
        (at, part): (usize, &PartRows),
        query: &QueryContext,
    ) -> ExecutionResult<()> {
        if part.rows == 0 {
            return Ok(());
        }
        let types = grouping.distinct_types(aggregate);
        let blocks = write_blocks(&part.columns, &types, part.rows, &self.file, query)?;
        self.parts[at / (PARTS / PARTITIONS)].lock().distinct[aggregate].extend(blocks);
        Ok(())
    }
}

impl Grouping<'_> {
    /// The columns of groups that are put aside.
    pub(super) fn stored_types(&self) -> Vec<DataType> {
        let mut types = self.key_types();
        for (at, aggregate) in self.aggregates.iter().enumerate() {
            if self.distinct_values(at).is_none() {
                types.extend(aggregate.function.part_types());
            }
        }
        types
    }

    /// The columns of values of DISTINCT that are put aside.
    pub(super) fn distinct_types(&self, aggregate: usize) -> Vec<DataType> {
        let mut types = self.key_types();
        types.extend(self.argument_types(aggregate));
        types
    }

    /// Puts the groups of a partition together and pushes them. None, and nothing pushed, where the memory does not do
    /// although the partition was split as often as it may be, unless that is `last` and so an error.
    fn restore(
        &self,
        part: &Part,
        from: &Aside,
        last: bool,
        deeper: &mut Option<Aside>,
        query: &QueryContext,
    ) -> ExecutionResult<Restored> {
        let mut held = self.account(query);
        let mut groups = Groups::new(self, &KeyKind::Hash);
        let types = self.stored_types();
        for block in &part.groups {
            let columns = query.take_back(&from.file, block, &types)?;
            let vectors: Vec<ValueVector<'_>> = columns.iter().map(VectorBuffer::vector).collect();
            groups.import(self, &vectors, block.rows as usize)?;
            if self.keys.is_empty() || from.level + 1 == LEVELS {
                if !hold(&mut held, groups.bytes(), last)? {
                    return Ok(Restored::Short);
                }
            } else if query.room(&mut held, groups.bytes(), OPERATOR)? == Room::Short {
                let deeper = match deeper {
                    Some(deeper) => deeper,
                    None => deeper.insert(Aside::new(self, from.level + 1, query)?),
                };
                deeper.put(self, &groups, query)?;
                groups = Groups::new(self, &KeyKind::Hash);
                held.shrink_to(0);
            }
        }
        if let Some(deeper) = deeper {
            deeper.put(self, &groups, query)?;
            drop((groups, held));
            for (at, blocks) in part.distinct.iter().enumerate() {
                self.split_values(at, blocks, from, deeper, query)?;
            }
            return Ok(Restored::Split);
        }
        for (at, blocks) in part.distinct.iter().enumerate() {
            let mut found =
                self.shows_order(at).then(|| InOrder::new(self.argument_types(at), held.sibling()));
            let values = Values { blocks, file: &from.file, level: from.level, numbered: false };
            if !self.feed_values(at, &values, &mut found, last, &mut groups, query)? {
                return Ok(Restored::Short);
            }
            if let Some(found) = found {
                found.feed(&mut groups, at)?;
            }
            groups.distinct[at] = None;
        }
        Ok(Restored::Groups(Box::new(groups), held))
    }

    /// The values of DISTINCT follow their groups into smaller partitions.
    fn split_values(
        &self,
        aggregate: usize,
        blocks: &[SpillBlock],
        from: &Aside,
        to: &Aside,
        query: &QueryContext,
    ) -> ExecutionResult<()> {
        let types = self.distinct_types(aggregate);
        for block in blocks {
            let columns = query.take_back(&from.file, block, &types)?;
            let hashed = self.keys.len();
            let split = split(&columns, &types, hashed, to.level, &to.file, query)?;
            for (part, blocks) in to.parts.iter().zip(split) {
                part.lock().distinct[aggregate].extend(blocks);
            }
        }
        Ok(())
    }
}

/// What has become of a partition.
enum Restored {
    Groups(Box<Groups>, Reservation),
    /// Its groups are in smaller partitions now.
    Split,
    /// The memory did not do.
    Short,
}

/// Counts what has to be in memory; an error only where it is the `last` try.
pub(super) fn hold(held: &mut Reservation, bytes: u64, last: bool) -> ExecutionResult<bool> {
    if last {
        held.hold(OPERATOR, bytes)?;
        return Ok(true);
    }
    Ok(held.try_hold(bytes))
}

/// Splits rows by a hash of their first `hashed` columns and writes each part.
pub(super) fn split(
    columns: &[VectorBuffer],
    types: &[DataType],
    hashed: usize,
    level: usize,
    file: &SpillFile,
    query: &QueryContext,
) -> ExecutionResult<Vec<Vec<SpillBlock>>> {
    let rows = columns.first().map_or(0, VectorBuffer::len);
    let vectors: Vec<ValueVector<'_>> = columns.iter().map(VectorBuffer::vector).collect();
    let part_of = partitions(&vectors[..hashed], &types[..hashed], rows, level);
    let mut split = Vec::with_capacity(PARTITIONS);
    let mut members: Vec<u32> = Vec::new();
    for part in 0..PARTITIONS {
        members.clear();
        members.extend((0..rows as u32).filter(|row| usize::from(part_of[*row as usize]) == part));
        let mut own: Vec<VectorBuffer> = types.iter().cloned().map(VectorBuffer::new).collect();
        own.iter_mut().zip(&vectors).for_each(|(column, vector)| column.append_rows(vector, &members));
        split.push(if members.is_empty() {
            Vec::new()
        } else {
            write_blocks(&own, types, members.len(), file, query)?
        });
    }
    Ok(split)
}

/// Pushes the groups of all partitions; workers take one partition after another. One that does not fit beside those
/// of other workers waits until these are done, and is then put together alone: whether a query has enough memory does
/// not depend on who works at the same time.
pub(super) struct AsideSource<'g> {
    grouping: &'g Grouping<'g>,
    aside: &'g Aside,
    state: Mutex<Progress<(Part, Arc<SpillFile>, usize)>>,
}

/// How far the workers are.
struct Progress<L> {
    /// Partitions that were taken.
    taken: usize,
    /// Partitions that are worked at.
    active: usize,
    /// Partitions that did not fit.
    late: Vec<L>,
}

/// The morsel of all partitions that did not fit.
const LATE: u64 = PARTITIONS as u64;

impl<L> Progress<L> {
    /// What a worker does next; `active` falls when it is done with that.
    fn hand_out(&mut self) -> Option<u64> {
        if self.taken < PARTITIONS {
            self.taken += 1;
            self.active += 1;
            return Some(self.taken as u64 - 1);
        }
        // Whoever is done last has the memory for itself, and is at work until it is done with all that was late.
        if self.active > 0 || self.late.is_empty() {
            return None;
        }
        self.active += 1;
        Some(LATE)
    }
}

impl<'g> AsideSource<'g> {
    pub fn new(grouping: &'g Grouping<'g>, aside: &'g Aside) -> AsideSource<'g> {
        AsideSource { grouping, aside, state: Mutex::new(Progress { taken: 0, active: 0, late: Vec::new() }) }
    }

    /// Puts a partition together and pushes its groups.
    fn restore(
        &self,
        part: Part,
        from: &Aside,
        last: bool,
        context: &mut Context<'_>,
        next: &mut dyn Operator,
    ) -> ExecutionResult<Flow> {
        if part.groups.is_empty() {
            return Ok(Flow::Continue);
        }
        let mut deeper = None;
        match self.grouping.restore(&part, from, last, &mut deeper, context.query)? {
            Restored::Groups(groups, _held) => {
                let (columns, rows) = groups.results(self.grouping)?;
                push_chunk(&Chunk { columns, rows, multiplicity: Vec::new() }, context, next)
            }
            Restored::Short => {
                self.state.lock().late.push((part, Arc::clone(&from.file), from.level));
                Ok(Flow::Continue)
            }
            Restored::Split => {
                for part in deeper.iter().flat_map(|deeper| &deeper.parts) {
                    let part = std::mem::take(&mut *part.lock());
                    let Some(deeper) = &deeper else { continue };
                    if self.restore(part, deeper, last, context, next)? == Flow::Stop {
                        return Ok(Flow::Stop);
                    }
                }
                Ok(Flow::Continue)
            }
        }
    }

    fn restore_late(&self, context: &mut Context<'_>, next: &mut dyn Operator) -> ExecutionResult<Flow> {
        loop {
            let Some((part, file, level)) = self.state.lock().late.pop() else { return Ok(Flow::Continue) };
            let from = Aside { file, level, parts: Vec::new() };
            if self.restore(part, &from, true, context, next)? == Flow::Stop {
                return Ok(Flow::Stop);
            }
        }
    }
}

impl Source for AsideSource<'_> {
    fn next_morsel(&self) -> Option<u64> {
        self.state.lock().hand_out()
    }

    fn run(&self, morsel: u64, context: &mut Context<'_>, next: &mut dyn Operator) -> ExecutionResult<Flow> {
        let outcome = match self.aside.parts.get(morsel as usize) {
            Some(part) => {
                let part = std::mem::take(&mut *part.lock());
                self.restore(part, self.aside, false, context, next)
            }
            None => self.restore_late(context, next),
        };
        self.state.lock().active -= 1;
        outcome
    }

    fn parallelism(&self) -> usize {
        PARTITIONS
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn late_partitions_are_not_restored_by_two_workers_at_once() {
        let mut progress = Progress { taken: 0, active: 0, late: Vec::new() };
        (0..PARTITIONS as u64).for_each(|part| assert_eq!(progress.hand_out(), Some(part)));
        progress.late = vec![(), ()];
        progress.active = 1;
        assert_eq!(progress.hand_out(), None);
        progress.active -= 1;
        assert_eq!(progress.hand_out(), Some(LATE));
        // One late partition is being restored, the other one still waits.
        progress.late.pop();
        assert_eq!(progress.hand_out(), None);
        progress.active -= 1;
        assert_eq!(progress.hand_out(), Some(LATE));
    }
}
