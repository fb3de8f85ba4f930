//! Rows of groups on their way to their parts: keys and states, and beside them the values of DISTINCT.

use std::ops::Range;

use super::super::context::QueryContext;
use super::super::error::ExecutionResult;
use super::super::partitioned::{Partitioned, Scatter};
use super::Grouping;
use super::aside::Aside;
use crate::functions::{BoundAggregate, StateColumn};
use crate::vector::{ValueVector, VectorBuffer};

/// Groups by part, and for aggregates over distinct values keys and values by the part of the keys.
pub(super) struct PartedRows {
    pub groups: Partitioned,
    /// By aggregate; the others have none.
    pub values: Vec<Option<Partitioned>>,
}

impl PartedRows {
    pub fn new(grouping: &Grouping<'_>) -> PartedRows {
        let values = |at: usize| Some(Partitioned::new(&grouping.distinct_types(at)));
        let values = |at: usize| grouping.distinct_values(at).and_then(|_| values(at));
        PartedRows {
            groups: Partitioned::new(&grouping.stored_types()),
            values: (0..grouping.aggregates.len()).map(values).collect(),
        }
    }

    pub fn bytes(&self) -> u64 {
        self.groups.bytes() + self.values.iter().flatten().map(Partitioned::bytes).sum::<u64>()
    }

    /// Puts all of them aside.
    pub fn put_aside(
        self,
        grouping: &Grouping<'_>,
        aside: &Aside,
        query: &QueryContext,
    ) -> ExecutionResult<()> {
        for (at, part) in self.groups.into_parts().into_iter().enumerate() {
            aside.put_part(grouping, (at, &part), query)?;
        }
        for (aggregate, values) in self.values.into_iter().enumerate() {
            for (at, part) in values.into_iter().flat_map(Partitioned::into_parts).enumerate() {
                aside.put_values(grouping, aggregate, (at, &part), query)?;
            }
        }
        Ok(())
    }
}

/// The states of one aggregate on their way to their parts.
pub(super) enum States<'g> {
    /// There are none: the values of DISTINCT go instead.
    Values,
    Initial(&'g BoundAggregate),
    /// Each is a few numbers.
    Plain(&'g StateColumn, usize),
    /// All of them as lists, in the order of the parts.
    Lists(Vec<VectorBuffer>),
}

impl<'g> States<'g> {
    /// Of these groups, in the order of their parts.
    pub fn of(
        state: &'g StateColumn,
        function: &'g BoundAggregate,
        groups: &[u32],
    ) -> ExecutionResult<States<'g>> {
        let types = function.part_types();
        if !function.has_lists() {
            return Ok(States::Plain(state, types.len()));
        }
        let mut lists: Vec<VectorBuffer> = types.into_iter().map(VectorBuffer::new).collect();
        state.export(groups, &mut lists)?;
        Ok(States::Lists(lists))
    }

    /// Appends those of a range of `groups` to their columns, and gives the columns behind these.
    fn append<'c>(
        &self,
        groups: &[u32],
        range: &Range<usize>,
        columns: &'c mut [VectorBuffer],
    ) -> ExecutionResult<&'c mut [VectorBuffer]> {
        let width = match self {
            States::Values => 0,
            States::Initial(function) => function.part_types().len(),
            States::Plain(_, width) => *width,
            States::Lists(lists) => lists.len(),
        };
        let (own, others) = columns.split_at_mut(width.min(columns.len()));
        match self {
            States::Values => {}
            States::Initial(function) => function.new_states().export_initial(range.len(), own)?,
            States::Plain(state, _) => state.export(&groups[range.clone()], own)?,
            States::Lists(lists) => {
                for (to, from) in own.iter_mut().zip(lists) {
                    to.append_range(&from.vector(), range.start, range.len());
                }
            }
        }
        Ok(others)
    }
}

/// Appends all states of a range of groups.
pub(super) fn append_states(
    states: &[States<'_>],
    groups: &[u32],
    range: &Range<usize>,
    mut columns: &mut [VectorBuffer],
) -> ExecutionResult<()> {
    for state in states {
        columns = state.append(groups, range, columns)?;
    }
    Ok(())
}

/// Appends columns that are all there is.
pub(super) fn append_plain(
    to: &mut Partitioned,
    columns: &[ValueVector<'_>],
    scatter: &Scatter,
) -> ExecutionResult<()> {
    to.append(columns, scatter, |_, _| Ok(()))
}
