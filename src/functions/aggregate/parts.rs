//! States as columns: how the groups of an aggregate travel to a file and back when memory is short. A state becomes one
//! row of a few plain columns, its *parts*; rows of parts become the states of further groups, which are then merged.

use super::super::kernel::mistyped;
use super::super::watch::go_on;
use super::super::{ELEMENTS_PER_LOOK, FunctionResult};
use super::{BoundAggregate, StateColumn};
use crate::types::DataType;
use crate::vector::{Native, Validity, ValueVector, VectorBuffer};

impl BoundAggregate {
    /// The types of the columns that hold a state.
    pub fn part_types(&self) -> Vec<DataType> {
        let argument = self.arguments.first();
        match (self.name, argument) {
            ("sum" | "avg", Some(DataType::Double)) => vec![DataType::Double, DataType::UInt64],
            ("sum" | "avg", Some(DataType::Interval)) => vec![DataType::Interval, DataType::UInt64],
            ("sum" | "avg", Some(DataType::Null | DataType::Any)) => {
                vec![DataType::Int128, DataType::Double, DataType::UInt8, DataType::UInt64]
            }
            ("sum" | "avg", _) => vec![DataType::Int128, DataType::UInt64],
            ("min" | "max", Some(value)) => vec![value.clone()],
            ("collect", _) => vec![self.result.clone()],
            ("percentileCont" | "percentileDisc", _) => {
                vec![DataType::list(DataType::Double), DataType::Double]
            }
            ("count", _) => vec![DataType::UInt64],
            // The moments of all spreads: count, mean, squares.
            _ => vec![DataType::Double; 3],
        }
    }
}

impl BoundAggregate {
    /// Whether a state is a list, so that writing the states of some groups means going through those of all.
    pub fn has_lists(&self) -> bool {
        matches!(self.name, "collect" | "percentileCont" | "percentileDisc")
    }
}

impl StateColumn {
    /// Appends the states of some groups to columns of `part_types`.
    pub fn export(&self, groups: &[u32], parts: &mut [VectorBuffer]) -> FunctionResult<()> {
        self.state.export(groups, parts)
    }

    /// Appends `count` states of groups that have seen nothing.
    pub fn export_initial(mut self, count: usize, parts: &mut [VectorBuffer]) -> FunctionResult<()> {
        self.resize(count);
        let groups: Vec<u32> = (0..count as u32).collect();
        self.state.export(&groups, parts)
    }

    /// Adds exported states of the same aggregate: row `i` goes to group `mapping[i]`.
    pub fn import(
        &mut self,
        aggregate: &BoundAggregate,
        parts: &[ValueVector<'_>],
        mapping: &[u32],
    ) -> FunctionResult<()> {
        let mut other = aggregate.new_states();
        other.state.append(parts, mapping.len())?;
        other.groups = mapping.len();
        self.merge(&other, mapping)
    }
}

/// Writes a fixed-size value of each group.
pub(super) fn put<T: Native>(values: &[T], groups: &[u32], out: &mut VectorBuffer) {
    groups.iter().for_each(|group| out.push(values[*group as usize]));
}

/// Reads them back.
pub(super) fn get<T: Native>(part: &ValueVector<'_>, rows: usize, out: &mut Vec<T>) -> FunctionResult<()> {
    let reader = part.native_reader::<T>().ok_or_else(|| mistyped("aggregate"))?;
    out.extend((0..rows).map(|row| reader.get(row)));
    Ok(())
}

const LISTS: &str = "collect";

/// Writes one list per group: of `values`, whose groups are `group_of`, in their order.
pub(super) fn put_lists(
    values: &VectorBuffer,
    group_of: &[u32],
    groups: &[u32],
    out: &mut VectorBuffer,
) -> FunctionResult<()> {
    const NOWHERE: u32 = u32::MAX;
    let highest = groups.iter().max().map_or(0, |group| *group as usize + 1);
    let mut places = vec![NOWHERE; highest];
    groups.iter().enumerate().for_each(|(place, group)| places[*group as usize] = place as u32);
    let place_of = |group: &u32| places.get(*group as usize).copied().filter(|place| *place != NOWHERE);
    let mut ends = vec![0u32; groups.len() + 1];
    for part in group_of.chunks(ELEMENTS_PER_LOOK) {
        go_on(LISTS)?;
        part.iter().filter_map(place_of).for_each(|place| ends[place as usize + 1] += 1);
    }
    (0..groups.len()).for_each(|place| ends[place + 1] += ends[place]);
    let mut next = ends.clone();
    let mut rows = vec![0u32; ends[groups.len()] as usize];
    for (first, part) in (0..).step_by(ELEMENTS_PER_LOOK).zip(group_of.chunks(ELEMENTS_PER_LOOK)) {
        go_on(LISTS)?;
        for (row, group) in (first..).zip(part) {
            if let Some(place) = place_of(group) {
                rows[next[place as usize] as usize] = row;
                next[place as usize] += 1;
            }
        }
    }
    let (offsets, child) = out.list_mut().ok_or_else(|| mistyped("collect"))?;
    let base = child.len() as u32;
    for part in rows.chunks(ELEMENTS_PER_LOOK) {
        go_on(LISTS)?;
        child.append_rows(&values.vector(), part);
    }
    offsets.extend(ends[1..].iter().map(|end| base + end));
    out.finish_rows(groups.len(), Validity::AllValid);
    Ok(())
}

/// Reads lists back: appends their elements to `values` and the list of each to `group_of`, counting from `first`.
pub(super) fn get_lists(
    part: &ValueVector<'_>,
    rows: usize,
    first: u32,
    values: &mut VectorBuffer,
    group_of: &mut Vec<u32>,
) -> FunctionResult<()> {
    let Some(crate::vector::Values::List(lists)) = part.values() else {
        return Err(mistyped("collect"));
    };
    let child = lists.child.get();
    for row in 0..rows {
        let (start, end) = lists.range(row);
        append_elements(values, &child, start..end)?;
        group_of.resize(group_of.len() + end - start, first + row as u32);
    }
    Ok(())
}

/// Appends elements, with a look at whether to go on now and then.
pub(super) fn append_elements(
    to: &mut VectorBuffer,
    from: &ValueVector<'_>,
    elements: std::ops::Range<usize>,
) -> FunctionResult<()> {
    for start in elements.clone().step_by(ELEMENTS_PER_LOOK) {
        go_on(LISTS)?;
        to.append_range(from, start, ELEMENTS_PER_LOOK.min(elements.end - start));
    }
    Ok(())
}
