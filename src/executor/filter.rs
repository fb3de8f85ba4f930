//! Narrows the selection to the rows for which a predicate is true.

use super::context::Context;
use super::error::ExecutionResult;
use super::evaluate::Evaluator;
use super::operator::{Flow, Next, Operator};
use super::pieces::Pieces;
use crate::vector::{Batch, SelectionBuffer};

/// WHERE.
pub struct Filter<'x> {
    predicate: Evaluator<'x>,
    selection: SelectionBuffer,
    /// Where the predicate makes values of any length.
    pieces: Option<Pieces>,
    next: Next<'x>,
}

impl<'x> Filter<'x> {
    /// A filter before `next`.
    pub fn new(mut predicate: Evaluator<'x>, next: Next<'x>) -> Filter<'x> {
        let pieces = predicate.made().map(|_| Pieces::default());
        Filter { predicate, selection: SelectionBuffer::default(), pieces, next }
    }
}

impl Filter<'_> {
    fn push_piece(&mut self, context: &mut Context<'_>, batch: &Batch<'_>) -> ExecutionResult<Flow> {
        self.predicate.select(context.query, batch, &mut self.selection)?;
        if self.selection.is_empty() {
            return Ok(Flow::Continue);
        }
        self.next.push(context, Batch { selection: self.selection.view(), ..*batch })
    }
}

impl Operator for Filter<'_> {
    fn push<'b>(&mut self, context: &mut Context<'_>, batch: Batch<'b>) -> ExecutionResult<Flow> {
        let Some(mut pieces) = self.pieces.take() else { return self.push_piece(context, &batch) };
        let flow = pieces.each(&batch, context.query, |piece| {
            let flow = self.push_piece(context, piece)?;
            Ok((flow, self.predicate.made().unwrap_or(0)))
        });
        self.pieces = Some(pieces);
        flow
    }

    fn next(&mut self) -> Option<&mut dyn Operator> {
        Some(&mut *self.next)
    }
}
