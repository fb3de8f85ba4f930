//! Aggregates. The state of an aggregate is a column with one entry per group: plain vectors of numbers, one arena for
//! the strings, one buffer for the values that `collect` keeps. Updates take whole vectors with a group per row.
//! DISTINCT is the executor's matter; the order of `collect` is the order of updates and merges.

mod collect;
mod count;
mod extreme;
mod parts;
mod percentile;
mod spread;
mod sum;

use std::any::Any;
use std::ops::Range;

use super::{Dialect, FunctionResult};
use crate::types::{DataType, Value};
use crate::vector::{
    Multiplicity, Native, NativeReader, Selection, Shape, Validity, ValueVector, VectorBuffer,
};

/// All aggregates.
pub static TABLE: &[AggregateFunction] = &[
    aggregate("count", &["count_star"], count::resolve),
    aggregate("sum", &[], sum::resolve_sum),
    aggregate("avg", &["mean"], sum::resolve_avg),
    aggregate("min", &[], |types| extreme::resolve(types, true)),
    aggregate("max", &[], |types| extreme::resolve(types, false)),
    aggregate("collect", &["array_agg"], collect::resolve),
    aggregate("stdev", &["stddev", "stddev_samp"], |types| spread::resolve(types, spread::Spread::Deviation)),
    aggregate("stdevp", &["stddev_pop"], |types| spread::resolve(types, spread::Spread::PopulationDeviation)),
    aggregate("variance", &["var_samp"], |types| spread::resolve(types, spread::Spread::Variance)),
    aggregate("var_pop", &[], |types| spread::resolve(types, spread::Spread::PopulationVariance)),
    aggregate("percentileCont", &["percentile_cont"], |types| percentile::resolve(types, true)),
    aggregate("percentileDisc", &["percentile_disc"], |types| percentile::resolve(types, false)),
];

const fn aggregate(
    name: &'static str,
    aliases: &'static [&'static str],
    resolve: fn(&[DataType]) -> Option<BoundAggregate>,
) -> AggregateFunction {
    AggregateFunction { name, aliases, resolve }
}

/// An aggregate by name.
#[derive(Debug)]
pub struct AggregateFunction {
    pub name: &'static str,
    pub aliases: &'static [&'static str],
    /// The aggregate for the given argument types, if there is one; no types stand for `count(*)`.
    pub resolve: fn(&[DataType]) -> Option<BoundAggregate>,
}

/// An aggregate for certain argument types. Arguments must come in exactly these types.
#[derive(Debug, Clone)]
pub struct BoundAggregate {
    pub name: &'static str,
    pub arguments: Vec<DataType>,
    pub result: DataType,
    /// What a sum over no values is: 0 in openCypher, null in Kuzu.
    pub null_when_empty: bool,
    /// How often a value occurs does not matter (min, max), so that multiplicities and DISTINCT can be dropped.
    pub ignores_duplicates: bool,
    make: fn(&BoundAggregate) -> Box<dyn AggregateState>,
}

impl PartialEq for BoundAggregate {
    fn eq(&self, other: &Self) -> bool {
        self.name == other.name && self.arguments == other.arguments && self.result == other.result
    }
}

impl BoundAggregate {
    fn new(
        name: &'static str,
        arguments: impl Into<Vec<DataType>>,
        result: DataType,
        make: fn(&BoundAggregate) -> Box<dyn AggregateState>,
    ) -> Self {
        let arguments = arguments.into();
        BoundAggregate { name, arguments, result, null_when_empty: false, ignores_duplicates: false, make }
    }

    /// The aggregate with the meaning that a dialect gives it.
    pub fn with_dialect(self, dialect: Dialect) -> Self {
        BoundAggregate { null_when_empty: dialect == Dialect::Kuzu, ..self }
    }

    /// Whether this is `count(*)`, which reads no argument.
    pub fn is_count_star(&self) -> bool {
        self.name == "count" && self.arguments.is_empty()
    }

    /// What it is over no rows.
    pub fn of_nothing(&self) -> FunctionResult<Value> {
        let (mut states, mut out) = (self.new_states(), VectorBuffer::new(self.result.clone()));
        states.resize(1);
        states.finish(&mut out)?;
        Ok(out.vector().value(0, &self.result))
    }

    /// A column of states without groups.
    pub fn new_states(&self) -> StateColumn {
        StateColumn { name: self.name, state: (self.make)(self), groups: 0, zeros: Vec::new() }
    }
}

/// The rows of one update.
#[derive(Debug, Clone, Copy)]
pub struct Rows<'b> {
    /// Rows, selected or not.
    pub length: usize,
    /// The rows that count.
    pub selection: Selection<'b>,
    /// How often each of them counts.
    pub multiplicity: Multiplicity<'b>,
}

impl Rows<'_> {
    /// Whether each row counts exactly once.
    fn is_plain(&self) -> bool {
        self.selection.is_all() && self.multiplicity.is_one()
    }

    /// Calls `visit` with each selected row that is not null and its multiplicity, unless that is zero.
    #[inline]
    fn each(
        &self,
        argument: &ValueVector<'_>,
        mut visit: impl FnMut(usize, u64) -> FunctionResult<()>,
    ) -> FunctionResult<()> {
        let no_nulls = argument.has_no_nulls();
        self.selection.try_for_each(self.length, |row| {
            let count = self.multiplicity.get(row);
            if count > 0 && (no_nulls || !argument.is_null(row)) { visit(row, count) } else { Ok(()) }
        })
    }
}

/// Whether rows of one group come one behind the other, as those do that come from lists of relationships: then a run
/// is summed up in a register, not in memory. Where groups change with every row, looking for the ends of runs would
/// cost more (a branch that is never foreseen), so the first rows decide for their vector.
fn come_in_runs(groups: &[u32]) -> bool {
    const LOOKED_AT: usize = 64;
    const LEAST_RUN: usize = 4;
    let looked_at = &groups[..groups.len().min(LOOKED_AT)];
    let changes = looked_at.windows(2).filter(|pair| pair[0] != pair[1]).count();
    changes * LEAST_RUN < looked_at.len()
}

/// Calls `visit` with each run of rows of one group.
#[inline]
fn each_run(
    groups: &[u32],
    mut visit: impl FnMut(usize, Range<usize>) -> FunctionResult<()>,
) -> FunctionResult<()> {
    let mut at = 0;
    while let Some(group) = groups.get(at) {
        let length = groups[at..].iter().take_while(|other| *other == group).count();
        visit(*group as usize, at..at + length)?;
        at += length;
    }
    Ok(())
}

impl Rows<'_> {
    /// Calls `visit` with each selected row that is not null, its value and its multiplicity, unless that is zero.
    /// The shape of the vector is looked at once and not row by row.
    #[inline]
    fn each_value<T: Native>(
        &self,
        argument: &ValueVector<'_>,
        mut visit: impl FnMut(usize, T, u64) -> FunctionResult<()>,
    ) -> FunctionResult<()> {
        // A vector of nulls has no values of any type.
        let Some(reader) = argument.native_reader::<T>() else { return Ok(()) };
        match reader {
            NativeReader::Flat(values) => self.each_got(argument, |row| values[row], visit),
            NativeReader::Codes(codes, values) => {
                self.each_got(argument, |row| values[codes[row] as usize], visit)
            }
            NativeReader::Constant(value) => self.each_got(argument, |_| value, visit),
            reader => self.each(argument, |row, count| visit(row, reader.get(row), count)),
        }
    }

    #[inline]
    fn each_got<T>(
        &self,
        argument: &ValueVector<'_>,
        get: impl Fn(usize) -> T,
        mut visit: impl FnMut(usize, T, u64) -> FunctionResult<()>,
    ) -> FunctionResult<()> {
        // The values of a dictionary may be null as well as its rows.
        let is_flat = !matches!(argument.shape, Shape::Dictionary { .. });
        match argument.validity {
            _ if self.is_plain() && argument.has_no_nulls() => {
                (0..self.length).try_for_each(|row| visit(row, get(row), 1))
            }
            Validity::Mask(words) if self.is_plain() && is_flat => {
                Selection::Mask(words).try_for_each(self.length, |row| visit(row, get(row), 1))
            }
            _ => self.each(argument, |row, count| visit(row, get(row), count)),
        }
    }
}

/// The states of all groups for one aggregate.
pub(super) trait AggregateState: Send + Sync {
    /// Makes room for groups below `groups`, in their initial state.
    fn resize(&mut self, groups: usize);
    /// Feeds rows; `groups` has an entry for every row.
    fn update(
        &mut self,
        groups: &[u32],
        arguments: &[ValueVector<'_>],
        rows: &Rows<'_>,
    ) -> FunctionResult<()>;
    /// Feeds rows to group 0; false if there is no way better than `update`.
    fn update_all(&mut self, _arguments: &[ValueVector<'_>], _rows: &Rows<'_>) -> FunctionResult<bool> {
        Ok(false)
    }
    /// Adds another column's group `i` to group `mapping[i]`.
    fn merge(&mut self, other: &dyn AggregateState, mapping: &[u32]) -> FunctionResult<()>;
    /// Appends the states of some groups to the columns of `BoundAggregate::part_types`.
    fn export(&self, groups: &[u32], parts: &mut [VectorBuffer]) -> FunctionResult<()>;
    /// Makes further groups of exported states.
    fn append(&mut self, parts: &[ValueVector<'_>], rows: usize) -> FunctionResult<()>;
    /// Appends the results of `count` groups from `start` on.
    fn finish(&self, start: usize, count: usize, out: &mut VectorBuffer) -> FunctionResult<()>;
    /// Bytes held.
    fn bytes(&self) -> usize;
    /// For `merge`.
    fn as_any(&self) -> &dyn Any;
}

/// The states of one aggregate, one per group.
pub struct StateColumn {
    name: &'static str,
    state: Box<dyn AggregateState>,
    groups: usize,
    zeros: Vec<u32>,
}

impl StateColumn {
    /// Number of groups.
    pub fn groups(&self) -> usize {
        self.groups
    }

    /// Makes room for groups below `groups`; those there keep their states.
    pub fn resize(&mut self, groups: usize) {
        if groups > self.groups {
            self.state.resize(groups);
            self.groups = groups;
        }
    }

    /// Feeds the selected rows; `groups` holds a group below `groups()` for every row below `length`.
    pub fn update(
        &mut self,
        groups: &[u32],
        arguments: &[ValueVector<'_>],
        length: usize,
        selection: Selection<'_>,
        multiplicity: Multiplicity<'_>,
    ) -> FunctionResult<()> {
        self.state.update(groups, arguments, &Rows { length, selection, multiplicity })
    }

    /// Feeds the selected rows to the only group.
    pub fn update_all(
        &mut self,
        arguments: &[ValueVector<'_>],
        length: usize,
        selection: Selection<'_>,
        multiplicity: Multiplicity<'_>,
    ) -> FunctionResult<()> {
        self.resize(1);
        let rows = Rows { length, selection, multiplicity };
        if self.state.update_all(arguments, &rows)? {
            return Ok(());
        }
        self.zeros.resize(length.max(self.zeros.len()), 0);
        self.state.update(&self.zeros, arguments, &rows)
    }

    /// Adds the states of another column of the same aggregate: its group `i` goes to group `mapping[i]`.
    pub fn merge(&mut self, other: &StateColumn, mapping: &[u32]) -> FunctionResult<()> {
        if let Some(highest) = mapping.iter().max() {
            self.resize(*highest as usize + 1);
        }
        self.state.merge(&*other.state, mapping)
    }

    /// Appends one result per group.
    pub fn finish(&self, out: &mut VectorBuffer) -> FunctionResult<()> {
        self.finish_range(0, self.groups, out)
    }

    /// Appends the results of some groups.
    pub fn finish_range(&self, start: usize, count: usize, out: &mut VectorBuffer) -> FunctionResult<()> {
        self.state.finish(start, count, out)
    }

    /// Bytes held, for the memory limit.
    pub fn bytes(&self) -> usize {
        self.state.bytes() + self.zeros.capacity() * 4
    }
}

impl std::fmt::Debug for StateColumn {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("StateColumn").field("name", &self.name).field("groups", &self.groups).finish()
    }
}

/// The other side of a merge, which is of the same kind by construction.
fn same_kind<'s, S: 'static>(other: &'s dyn AggregateState, name: &'static str) -> FunctionResult<&'s S> {
    other.as_any().downcast_ref::<S>().ok_or_else(|| super::kernel::mistyped(name))
}

#[cfg(test)]
mod tests;
