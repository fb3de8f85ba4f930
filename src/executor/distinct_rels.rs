//! Trail semantics on expanded rows: no relationship twice within a set of pattern edges.

use super::context::Context;
use super::error::ExecutionResult;
use super::operator::{Flow, Next, Operator};
use crate::vector::{Batch, SelectionBuffer, Shape, ValueVector, Values};

/// Drops rows in which two columns of a set share a relationship. A column holds one id or a list of ids.
pub struct DistinctRels<'x> {
    sets: &'x [Vec<usize>],
    selection: SelectionBuffer,
    seen: Vec<u64>,
    next: Next<'x>,
}

impl<'x> DistinctRels<'x> {
    /// Checks before `next`.
    pub fn new(sets: &'x [Vec<usize>], next: Next<'x>) -> DistinctRels<'x> {
        DistinctRels { sets, selection: SelectionBuffer::default(), seen: Vec::new(), next }
    }
}

/// Appends the relationships of one row of a column.
fn relationships(column: &ValueVector<'_>, row: usize, out: &mut Vec<u64>) {
    match column.shape {
        _ if column.is_null(row) => {}
        Shape::Dictionary { codes, values } => relationships(&values.get(), codes[row] as usize, out),
        Shape::Flat(Values::List(lists)) => {
            let (start, end) = lists.range(row);
            let child = lists.child.get();
            out.extend((start..end).filter_map(|element| child.u64_at(element)));
        }
        _ => out.extend(column.u64_at(row)),
    }
}

impl Operator for DistinctRels<'_> {
    fn push<'b>(&mut self, context: &mut Context<'_>, batch: Batch<'b>) -> ExecutionResult<Flow> {
        let DistinctRels { sets, selection, seen, next } = self;
        selection.reset(batch.selection, batch.length);
        for index in 0..selection.words_mut().len() {
            let mut left = selection.words_mut()[index];
            while left != 0 {
                let bit = left.trailing_zeros();
                left &= left - 1;
                let row = index * 64 + bit as usize;
                let repeats = sets.iter().any(|set| {
                    seen.clear();
                    set.iter().for_each(|column| relationships(&batch.columns[*column], row, seen));
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

    fn settle<'b>(
        &mut self,
        context: &mut Context<'_>,
        name: u32,
        batch: Batch<'b>,
    ) -> ExecutionResult<Flow> {
        self.next.settle(context, name, batch)
    }

    fn finish(&mut self, context: &mut Context<'_>) -> ExecutionResult<()> {
        self.next.finish(context)
    }
}
