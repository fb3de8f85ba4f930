//! Groups of rows in short, for an aggregate without keys that only asks how many rows and values there are and which
//! are the least and greatest: what a zone map knows becomes a few rows that stand for all rows of the group, so that
//! the aggregate adds them as it adds any others.

use super::context::{Context, QueryContext};
use super::error::ExecutionResult;
use super::operator::{Flow, Operator};
use super::rows::Rows;
use crate::planner::physical_plan::{Expression, ExpressionKind, PhysicalAggregate};
use crate::storage::table::{Asked, ColumnSummary, GroupSummary};
use crate::types::{ColumnId, DataType, GlobalId, NODE_GROUP_ROWS};
use crate::vector::{Batch, Multiplicity, Selection, ValueVector, VectorBuffer};

/// What aggregates ask of the first `columns` columns, the first of which holds ids; none where they ask for more than
/// summaries know.
pub(super) fn asked_by(
    keys: &[Expression],
    aggregates: &[PhysicalAggregate],
    columns: usize,
) -> Option<Vec<Asked>> {
    if !keys.is_empty() || aggregates.is_empty() {
        return None;
    }
    let mut asked = vec![Asked::Count; columns];
    for PhysicalAggregate { function, arguments, distinct, .. } in aggregates {
        let wanted = match function.name {
            "count" if !distinct => Asked::Count,
            "min" | "max" => Asked::Bounds,
            _ => return None,
        };
        for argument in arguments {
            let ExpressionKind::Column(at) = argument.kind else { return None };
            let known = asked.get_mut(at)?;
            *known = wanted.max(*known);
        }
    }
    (asked.first() == Some(&Asked::Count)).then_some(asked)
}

/// The groups of one table, each with its summary if it has one.
#[derive(Default)]
pub(super) struct Summaries {
    groups: Vec<Option<GroupSummary>>,
}

impl Summaries {
    /// Asks for the summaries of all groups.
    pub fn of(
        rows: &Rows,
        columns: &[(ColumnId, Asked)],
        query: &QueryContext,
    ) -> ExecutionResult<Summaries> {
        if columns.iter().any(|(column, _)| rows.end_base(*column).is_some()) {
            return Ok(Summaries::default());
        }
        let table = rows.table();
        let mut groups = Vec::with_capacity(table.group_count());
        for group in 0..table.group_count() {
            // Each may be a page that has to be read, and there may be very many.
            query.check()?;
            groups.push(table.summary(group, columns)?);
        }
        Ok(Summaries { groups })
    }

    /// The summary of a group.
    pub fn get(&self, group: usize) -> Option<&GroupSummary> {
        self.groups.get(group)?.as_ref()
    }

    /// Rows that are in summaries.
    pub fn rows(&self) -> u64 {
        self.groups.iter().flatten().map(|group| u64::from(group.rows)).sum()
    }
}

/// Pushes the rows that stand for a group: [id, columns…], where `places` says which of the summary's columns each is.
pub(super) fn push_summary(
    summary: &GroupSummary,
    (rows, group): (&Rows, usize),
    places: &[Option<usize>],
    context: &mut Context<'_>,
    next: &mut dyn Operator,
) -> ExecutionResult<Flow> {
    let ends = ends_of(summary);
    if ends.is_empty() {
        return Ok(Flow::Continue);
    }
    let counts: Vec<u64> =
        std::iter::once(&0).chain(&ends).zip(&ends).map(|(start, end)| u64::from(end - start)).collect();
    let values: Vec<VectorBuffer> = summary.columns.iter().map(|column| values_of(column, &ends)).collect();
    let mut columns = Vec::with_capacity(places.len() + 1);
    let first = GlobalId::new(rows.table().id(), 0).0 + group as u64 * NODE_GROUP_ROWS;
    columns.push(ValueVector::sequence(first));
    columns.extend(places.iter().map(|place| match place.and_then(|at| values.get(at)) {
        Some(values) => values.vector(),
        None => ValueVector::null(),
    }));
    let multiplicity = Multiplicity::PerRow(&counts);
    next.push(
        context,
        Batch { columns: &columns, length: ends.len(), selection: Selection::All, multiplicity },
    )
}

/// Imagine the rows of the group in such an order that each column has its least value first, then its others, then its
/// nulls: the places at which a column goes from one to the next. Each row put out stands for those up to its end.
fn ends_of(summary: &GroupSummary) -> Vec<u32> {
    let valid = summary.columns.iter().map(|column| column.valid);
    let mut ends: Vec<u32> = valid.chain([1, summary.rows]).collect();
    ends.retain(|end| *end > 0 && *end <= summary.rows);
    ends.sort_unstable();
    ends.dedup();
    ends
}

/// The values of a column in those rows. Where only their number is asked for, nobody looks at them.
fn values_of(column: &ColumnSummary, ends: &[u32]) -> VectorBuffer {
    let is_counted = column.bounds.is_empty();
    let data_type = if is_counted { DataType::UInt64 } else { column.bounds.data_type().clone() };
    let mut values = VectorBuffer::new(data_type);
    for (row, end) in ends.iter().enumerate() {
        match *end <= column.valid {
            false => values.push_null(),
            true if is_counted => values.push(0u64),
            true => values.append_range(&column.bounds.vector(), row.min(1), 1),
        }
    }
    values
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(rows: u32, columns: &[(u32, Option<(i64, i64)>)], expected: &[(u64, &[Option<i64>])]) {
        let column = |(valid, bounds): &(u32, Option<(i64, i64)>)| {
            let mut buffer = VectorBuffer::new(DataType::Int64);
            bounds.iter().for_each(|(low, high)| buffer.extend(&[*low, *high]));
            ColumnSummary { valid: *valid, bounds: buffer }
        };
        let summary = GroupSummary { rows, columns: columns.iter().map(column).collect() };
        let ends = ends_of(&summary);
        let values: Vec<VectorBuffer> =
            summary.columns.iter().map(|column| values_of(column, &ends)).collect();
        let mut start = 0;
        let found = ends.iter().enumerate().map(|(row, end)| {
            let of = |buffer: &VectorBuffer| buffer.vector().value(row, buffer.data_type()).as_i64();
            let count = u64::from(end - std::mem::replace(&mut start, *end));
            (count, values.iter().map(of).collect::<Vec<_>>())
        });
        let expected: Vec<_> = expected.iter().map(|(count, values)| (*count, values.to_vec())).collect();
        assert_eq!(found.collect::<Vec<_>>(), expected);
    }

    #[test]
    fn few_rows_stand_for_a_group() {
        check(0, &[(0, None)], &[]);
        check(9, &[], &[(1, &[]), (8, &[])]);
        check(1, &[(1, Some((5, 5)))], &[(1, &[Some(5)])]);
        check(9, &[(9, Some((2, 7)))], &[(1, &[Some(2)]), (8, &[Some(7)])]);
        check(9, &[(1, Some((5, 5)))], &[(1, &[Some(5)]), (8, &[None])]);
        check(
            9,
            &[(4, Some((2, 7))), (6, None), (0, None)],
            &[
                (1, &[Some(2), Some(0), None]),
                (3, &[Some(7), Some(0), None]),
                (2, &[None, Some(0), None]),
                (3, &[None, None, None]),
            ],
        );
    }
}
