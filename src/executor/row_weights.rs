//! How many rows each row of a batch stands for from an operator on.

use super::context::Context;
use super::counters::count;
use super::error::ExecutionResult;
use super::operator::{Flow, Operator};
use crate::vector::{Batch, Multiplicity, Selection};

/// The weights of a batch's rows; those without one are left out.
#[derive(Default)]
pub struct RowWeights {
    mask: Vec<u64>,
    counts: Vec<u64>,
    represented: u64,
}

impl RowWeights {
    /// No row of the next batch has a weight yet.
    pub fn start(&mut self, length: usize) {
        self.mask.clear();
        self.mask.resize(length.div_ceil(64), 0);
        self.counts.clear();
        self.counts.resize(length, 0);
        self.represented = 0;
    }

    /// Sets the weight of a row.
    #[inline]
    pub fn set(&mut self, row: usize, weight: u64) {
        self.counts[row] = weight;
        self.represented = self.represented.saturating_add(weight);
        self.mask[row / 64] |= u64::from(weight != 0) << (row % 64);
    }

    /// Hands the batch on with these weights, if a row has one.
    pub fn push(
        &self,
        context: &mut Context<'_>,
        batch: Batch<'_>,
        next: &mut dyn Operator,
    ) -> ExecutionResult<Flow> {
        if self.represented == 0 {
            return Ok(Flow::Continue);
        }
        count(&context.query.counters.rows_represented, self.represented);
        let (selection, multiplicity) = (Selection::Mask(&self.mask), Multiplicity::PerRow(&self.counts));
        next.push(context, Batch { selection, multiplicity, ..batch })
    }
}
