//! Trail semantics on expanded rows: no relationship twice within a set of pattern edges.

use super::context::Context;
use super::error::ExecutionResult;
use super::operator::{Flow, Next, Operator};
use crate::planner::physical_plan::DifferentColumns;
use crate::vector::{Batch, NativeReader, SelectionBuffer, ValueVector};

/// Drops rows in which two columns of a set share a relationship. A column holds one id or a list of ids.
pub struct DistinctRels<'x> {
    sets: &'x [DifferentColumns],
    selection: SelectionBuffer,
    seen: Vec<u64>,
    /// The ids of single relationships, a vector per column of a set.
    ids: Vec<Vec<u64>>,
    next: Next<'x>,
}

impl<'x> DistinctRels<'x> {
    /// Checks before `next`.
    pub fn new(sets: &'x [DifferentColumns], next: Next<'x>) -> DistinctRels<'x> {
        DistinctRels { sets, selection: SelectionBuffer::default(), seen: Vec::new(), ids: Vec::new(), next }
    }
}

/// Appends the relationships of one row of a column.
fn relationships(column: &ValueVector<'_>, row: usize, out: &mut Vec<u64>) {
    match column.list_at(row) {
        Some((child, range)) => out.extend(range.filter_map(|element| child.u64_at(element))),
        None => out.extend(column.u64_at(row)),
    }
}

/// Narrows the selection for columns of single ids without nulls, pair by pair; false for other columns.
fn narrow_by_pairs(
    columns: &[ValueVector<'_>],
    DifferentColumns { columns: set, compared }: &DifferentColumns,
    length: usize,
    ids: &mut Vec<Vec<u64>>,
    out: &mut SelectionBuffer,
) -> bool {
    let is_single = |column: &usize| {
        let column = &columns[*column];
        column.has_no_nulls() && column.native_reader::<u64>().is_some()
    };
    if !set.iter().all(is_single) {
        return false;
    }
    ids.resize_with(ids.len().max(set.len()), Vec::new);
    for (column, flat) in set.iter().zip(ids.iter_mut()) {
        flat.clear();
        match columns[*column].native_reader::<u64>() {
            Some(NativeReader::Flat(values)) => flat.extend_from_slice(&values[..length]),
            Some(reader) => flat.extend((0..length).map(|row| reader.get(row))),
            None => return false,
        }
    }
    let ids = &ids[..set.len()];
    for (position, left) in ids.iter().take(*compared).enumerate() {
        for right in &ids[position + 1..] {
            let pairs = left.chunks(64).zip(right.chunks(64));
            for (word, (left, right)) in out.words_mut().iter_mut().zip(pairs) {
                let differ = left.iter().zip(right).enumerate();
                *word &= differ.fold(0, |bits, (bit, (left, right))| bits | u64::from(left != right) << bit);
            }
        }
    }
    true
}

impl Operator for DistinctRels<'_> {
    fn push<'b>(&mut self, context: &mut Context<'_>, batch: Batch<'b>) -> ExecutionResult<Flow> {
        let DistinctRels { sets, selection, seen, ids, next } = self;
        selection.reset(batch.selection, batch.length);
        let mut lists: Vec<&DifferentColumns> = Vec::new();
        for set in *sets {
            if !narrow_by_pairs(batch.columns, set, batch.length, ids, selection) {
                lists.push(set);
            }
        }
        let words = if lists.is_empty() { 0 } else { selection.words_mut().len() };
        for index in 0..words {
            let mut left = selection.words_mut()[index];
            while left != 0 {
                let bit = left.trailing_zeros();
                left &= left - 1;
                let row = index * 64 + bit as usize;
                let repeats = lists.iter().any(|set| {
                    seen.clear();
                    set.columns.iter().for_each(|column| relationships(&batch.columns[*column], row, seen));
                    seen.sort_unstable();
                    seen.windows(2).any(|pair| pair[0] == pair[1])
                });
                if repeats {
                    selection.words_mut()[index] &= !(1 << bit);
                }
            }
        }
        if selection.is_empty() {
            return Ok(Flow::Continue);
        }
        next.push(context, Batch { selection: selection.view(), ..batch })
    }

    fn next(&mut self) -> Option<&mut dyn Operator> {
        Some(&mut *self.next)
    }
}
