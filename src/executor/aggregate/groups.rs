//! The groups of one worker, of all, or of one partition: keys, states, and the values that DISTINCT has seen.

use super::super::context::QueryContext;
use super::super::distinct_values::DistinctValues;
use super::super::error::ExecutionResult;
use super::super::group_index::GroupIndex;
use super::super::partitioned::{PARTS, PIECE};
use super::super::spill::bytes_of;
use super::Grouping;
use crate::functions::{StateColumn, go_on};
use crate::planner::physical_plan::KeyKind;
use crate::types::DataType;
use crate::vector::{Selection, ValueVector, VectorBuffer};

/// Bytes that the order of the parts takes for a group, and for a value of DISTINCT.
const GROUP_TO_PART: u64 = 17;
const VALUE_TO_PART: u64 = 29;

/// See the module.
pub(super) struct Groups {
    pub index: GroupIndex,
    /// The keys by group; empty where the index keeps them (see `keys`).
    pub columns: Vec<VectorBuffer>,
    pub states: Vec<StateColumn>,
    /// For aggregates over distinct values: the values, fed to the state at the end.
    pub distinct: Vec<Option<DistinctValues>>,
}

impl Groups {
    /// No groups yet.
    pub fn new(grouping: &Grouping<'_>, kind: &KeyKind) -> Groups {
        let types: Vec<DataType> = grouping.key_types();
        let distinct = (0..grouping.aggregates.len()).map(|at| grouping.distinct_values(at));
        Groups {
            columns: types.iter().cloned().map(VectorBuffer::new).collect(),
            index: GroupIndex::new(kind, types),
            states: grouping.aggregates.iter().map(|aggregate| aggregate.function.new_states()).collect(),
            distinct: distinct.collect(),
        }
    }

    /// The number of groups; without keys there is always one.
    pub fn len(&self) -> usize {
        if self.columns.is_empty() { 1 } else { self.index.len() }
    }

    /// The number of groups, or of distinct values where these are more and there are groups for all parts.
    pub fn entries(&self) -> usize {
        if self.len() < PARTS {
            return self.len();
        }
        let values = self.distinct.iter().flatten().map(|distinct| distinct.groups().len());
        values.fold(self.len(), usize::max)
    }

    /// The keys by group.
    pub fn keys(&self) -> Vec<ValueVector<'_>> {
        match self.index.column() {
            Some(column) => vec![column.vector()],
            None => self.columns.iter().map(VectorBuffer::vector).collect(),
        }
    }

    /// Makes room for so many groups.
    pub fn reserve(&mut self, groups: usize) {
        self.index.reserve(groups);
    }

    /// The memory of all of it, and what its tables take when they grow next.
    pub fn bytes(&self) -> u64 {
        let states = self.states.iter().map(|state| state.bytes() as u64).sum::<u64>();
        let distinct = self.distinct.iter().flatten().map(DistinctValues::bytes).sum::<u64>();
        self.index.bytes() + bytes_of(&self.columns) + states + distinct
    }

    /// What parting them takes beside what they take themselves: keys and states once more, lists twice, since they are
    /// written out in the order of the parts first, and for each value of DISTINCT its group's keys and its place.
    pub fn bytes_to_part(&self, grouping: &Grouping<'_>) -> u64 {
        let keys =
            self.index.column().map_or_else(|| bytes_of(&self.columns), |column| column.bytes() as u64);
        let per_value = keys / self.len().max(1) as u64 + VALUE_TO_PART;
        let states = self.states.iter().zip(grouping.aggregates).zip(&self.distinct);
        let states = states.map(|((state, aggregate), distinct)| match distinct {
            Some(distinct) => distinct.bytes() + distinct.groups().len() as u64 * per_value,
            None if aggregate.function.has_lists() => 2 * state.bytes() as u64,
            None => state.bytes() as u64,
        });
        keys + self.len() as u64 * GROUP_TO_PART + states.sum::<u64>()
    }

    /// What their results take beside them: only lists are not small beside their groups.
    pub fn bytes_of_results(&self, grouping: &Grouping<'_>) -> u64 {
        let states = self.states.iter().zip(grouping.aggregates).zip(&self.distinct);
        let lists = states.filter(|((_, aggregate), _)| aggregate.function.has_lists());
        lists
            .map(|((state, _), distinct)| match distinct {
                // They are fed to the state first.
                Some(distinct) => 2 * distinct.bytes(),
                None => state.bytes() as u64,
            })
            .sum()
    }

    /// The group of each row of key columns; unknown keys make groups.
    pub fn find(&mut self, keys: &[ValueVector<'_>], rows: usize) -> Vec<u32> {
        if keys.is_empty() {
            return vec![0; rows];
        }
        let (mut by_row, mut new_rows) = (Vec::new(), Vec::new());
        self.index.groups(keys, rows, Selection::All, &mut by_row, &mut new_rows);
        self.append_keys(keys, &new_rows);
        by_row
    }

    /// Keeps the keys of rows that started a group.
    pub fn append_keys(&mut self, keys: &[ValueVector<'_>], new_rows: &[u32]) {
        if self.index.column().is_none() {
            self.columns.iter_mut().zip(keys).for_each(|(column, key)| column.append_rows(key, new_rows));
        }
    }

    /// Adds what another worker has found.
    pub fn merge(&mut self, mut other: Groups, query: &QueryContext) -> ExecutionResult<()> {
        let mut mapping = Vec::with_capacity(other.len());
        for start in (0..other.len()).step_by(PIECE) {
            query.check()?;
            let keys: Vec<ValueVector<'_>> = other.keys().iter().map(|key| key.slice_from(start)).collect();
            mapping.extend(self.find(&keys, PIECE.min(other.len() - start)));
        }
        let others = other.states.iter().zip(&mut other.distinct);
        for ((state, distinct), (other, other_distinct)) in
            self.states.iter_mut().zip(&mut self.distinct).zip(others)
        {
            match (distinct, other_distinct.take()) {
                (Some(distinct), Some(other)) => distinct.merge(other, &mapping, query)?,
                _ => state.merge(other, &mapping[..mapping.len().min(other.groups())])?,
            }
        }
        Ok(())
    }

    /// Adds groups that were put aside or parted: key columns, then the parts of each state that is not over distinct values.
    pub fn import(
        &mut self,
        grouping: &Grouping<'_>,
        vectors: &[ValueVector<'_>],
        rows: usize,
    ) -> ExecutionResult<()> {
        let (keys, mut parts) = vectors.split_at(self.columns.len().min(vectors.len()));
        let by_row = self.find(keys, rows);
        let groups = self.len();
        for (at, (state, aggregate)) in self.states.iter_mut().zip(grouping.aggregates).enumerate() {
            state.resize(groups);
            if self.distinct[at].is_none() {
                let (own, rest) = parts.split_at(aggregate.function.part_types().len().min(parts.len()));
                state.import(&aggregate.function, own, &by_row)?;
                parts = rest;
            }
        }
        Ok(())
    }

    /// Feeds the values of DISTINCT of the only group that were parted, on all threads.
    pub fn settle_distinct(&mut self, grouping: &Grouping<'_>, query: &QueryContext) -> ExecutionResult<()> {
        let states = self.states.iter_mut().zip(&mut self.distinct).zip(grouping.aggregates);
        for ((state, distinct), aggregate) in states {
            if let Some(distinct) = distinct {
                distinct.settle(&aggregate.function, state, query)?;
            }
        }
        Ok(())
    }

    /// [keys…, results…] of all groups. Values of DISTINCT that are still kept are fed to their states first.
    pub fn results(mut self, grouping: &Grouping<'_>) -> ExecutionResult<(Vec<VectorBuffer>, usize)> {
        let rows = self.len();
        for (state, distinct) in self.states.iter_mut().zip(&self.distinct) {
            state.resize(rows);
            if let Some(distinct) = distinct {
                distinct.feed(state)?;
            }
        }
        let mut columns = self.columns;
        if let Some(column) = self.index.into_column() {
            columns = vec![column];
        }
        for (state, aggregate) in self.states.iter().zip(grouping.aggregates) {
            let mut results = VectorBuffer::new(aggregate.data_type.clone());
            // Lists are gone through as a whole for any part of them.
            let step = if aggregate.function.has_lists() { rows.max(1) } else { PIECE };
            for start in (0..rows).step_by(step) {
                go_on(aggregate.function.name)?;
                state.finish_range(start, step.min(rows - start), &mut results)?;
            }
            columns.push(results);
        }
        Ok((columns, rows))
    }
}
