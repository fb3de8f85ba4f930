//! Narrows the selection to the rows for which a predicate is true.

use super::context::Context;
use super::error::ExecutionResult;
use super::evaluate::Evaluator;
use super::operator::{Flow, Next, Operator};
use super::pieces::{Pieces, TakesPieces};
use crate::vector::{Batch, SelectionBuffer};

/// WHERE.
pub struct Filter<'x> {
    predicate: Evaluator<'x>,
    selection: SelectionBuffer,
    pieces: Pieces,
    next: Next<'x>,
}

impl<'x> Filter<'x> {
    /// A filter before `next`.
    pub fn new(predicate: Evaluator<'x>, next: Next<'x>) -> Filter<'x> {
        Filter { predicate, selection: SelectionBuffer::default(), pieces: Pieces::default(), next }
    }
}

impl TakesPieces for Filter<'_> {
    fn pieces(&mut self) -> &mut Pieces {
        &mut self.pieces
    }

    fn made(&mut self) -> Option<u64> {
        self.predicate.made()
    }

    fn take(&mut self, context: &mut Context<'_>, batch: &Batch<'_>) -> ExecutionResult<Flow> {
        self.predicate.select(context.query, batch, &mut self.selection)?;
        if self.selection.is_empty() {
            return Ok(Flow::Continue);
        }
        self.next.push(context, Batch { selection: self.selection.view(), ..*batch })
    }
}

impl Operator for Filter<'_> {
    fn push<'b>(&mut self, context: &mut Context<'_>, batch: Batch<'b>) -> ExecutionResult<Flow> {
        self.push_computed(context, &batch)
    }

    fn next(&mut self) -> Option<&mut dyn Operator> {
        Some(&mut *self.next)
    }
}
