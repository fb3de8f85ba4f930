//! Writes out rows that stand for several, for operators that must see each of them (results, LIMIT, sorting).

use super::context::Context;
use super::counters::count;
use super::error::ExecutionResult;
use super::operator::{Flow, Next, Operator};
use crate::vector::{Batch, Multiplicity, ValueVector};

/// Repeats each row as often as its multiplicity says.
pub struct Unfold<'x> {
    codes: Vec<u32>,
    next: Next<'x>,
}

impl<'x> Unfold<'x> {
    /// Unfolds before `next`.
    pub fn new(next: Next<'x>) -> Unfold<'x> {
        Unfold { codes: Vec::new(), next }
    }

    fn flush(&mut self, context: &mut Context<'_>, batch: &Batch<'_>) -> ExecutionResult<Flow> {
        if self.codes.is_empty() {
            return Ok(Flow::Continue);
        }
        let columns: Vec<ValueVector<'_>> =
            batch.columns.iter().map(|column| ValueVector::dictionary(&self.codes, column)).collect();
        let flow = self.next.push(context, Batch::new(&columns, self.codes.len()));
        self.codes.clear();
        flow
    }
}

impl Operator for Unfold<'_> {
    fn push<'b>(&mut self, context: &mut Context<'_>, batch: Batch<'b>) -> ExecutionResult<Flow> {
        let Multiplicity::PerRow(counts) = batch.multiplicity else {
            return self.next.push(context, batch);
        };
        let size = context.query.vector_size;
        let mut rows = Vec::new();
        batch.selection.indices(batch.length, &mut rows);
        for row in rows {
            count(&context.query.counters.rows_materialized, counts[row as usize]);
            for _ in 0..counts[row as usize] {
                self.codes.push(row);
                if self.codes.len() == size {
                    context.query.check()?;
                    if self.flush(context, &batch)? == Flow::Stop {
                        return Ok(Flow::Stop);
                    }
                }
            }
        }
        self.flush(context, &batch)
    }

    fn next(&mut self) -> Option<&mut dyn Operator> {
        Some(&mut *self.next)
    }
}
