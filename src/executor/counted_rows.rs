//! Counted left joins: each row stands for as many as were found for it, or for itself, and a column says whether any was.

use super::context::Context;
use super::counters::count;
use super::error::ExecutionResult;
use super::operator::{Flow, Operator};
use crate::vector::{Batch, Multiplicity, Validity, ValueVector, Values};

/// The rows of a batch with what was found for them.
#[derive(Default)]
pub struct CountedRows {
    multiplicity: Vec<u64>,
    /// A bit for each row that something was found for.
    found: Vec<u64>,
    truths: Vec<u8>,
}

impl CountedRows {
    /// Pushes the batch with `columns`, and with TRUE or NULL for whether something was found where it is `marked`.
    pub fn push(
        &mut self,
        context: &mut Context<'_>,
        batch: Batch<'_>,
        columns: &[ValueVector<'_>],
        (found, marked): (impl Fn(usize) -> u64, bool),
        next: &mut dyn Operator,
    ) -> ExecutionResult<Flow> {
        let CountedRows { multiplicity, found: words, truths } = self;
        multiplicity.clear();
        multiplicity.resize(batch.length, 0);
        words.clear();
        words.resize(batch.length.div_ceil(64), 0);
        let mut represented = 0u64;
        batch.selection.for_each(batch.length, |row| {
            let found = found(row);
            let times = batch.multiplicity.get(row).saturating_mul(found.max(1));
            multiplicity[row] = times;
            represented = represented.saturating_add(times);
            words[row / 64] |= u64::from(found != 0) << (row % 64);
        });
        count(&context.query.counters.rows_represented, represented);
        let batch = Batch { multiplicity: Multiplicity::PerRow(multiplicity), ..batch };
        if !marked {
            return next.push(context, Batch { columns, ..batch });
        }
        truths.resize(batch.length.max(truths.len()), 1);
        let mut all: Vec<ValueVector<'_>> = Vec::with_capacity(columns.len() + 1);
        all.extend_from_slice(columns);
        let mark = ValueVector::flat(Values::Bool(&truths[..batch.length]));
        all.push(mark.with_validity(Validity::Mask(words)));
        next.push(context, Batch { columns: &all, ..batch })
    }
}
