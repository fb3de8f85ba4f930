//! Computes expressions over the columns of a batch.

use super::context::Context;
use super::error::ExecutionResult;
use super::evaluate::Evaluator;
use super::operator::{Flow, Next, Operator};
use super::pieces::Pieces;
use crate::vector::{Batch, ValueVector};

/// WITH and RETURN items.
pub struct Project<'x> {
    expressions: Vec<Evaluator<'x>>,
    /// Where values may be of any length.
    pieces: Option<Pieces>,
    next: Next<'x>,
}

impl<'x> Project<'x> {
    /// A projection before `next`.
    pub fn new(mut expressions: Vec<Evaluator<'x>>, next: Next<'x>) -> Project<'x> {
        let is_wide = expressions.iter_mut().any(|expression| expression.made().is_some());
        Project { expressions, pieces: is_wide.then(Pieces::default), next }
    }
}

impl Project<'_> {
    fn push_piece(&mut self, context: &mut Context<'_>, batch: &Batch<'_>) -> ExecutionResult<Flow> {
        let mut columns: Vec<ValueVector<'_>> = Vec::with_capacity(self.expressions.len());
        for expression in &mut self.expressions {
            columns.push(expression.evaluate(context.query, batch)?);
        }
        self.next.push(context, Batch { columns: &columns, ..*batch })
    }
}

impl Operator for Project<'_> {
    fn push<'b>(&mut self, context: &mut Context<'_>, batch: Batch<'b>) -> ExecutionResult<Flow> {
        let Some(mut pieces) = self.pieces.take() else { return self.push_piece(context, &batch) };
        let flow = pieces.each(&batch, context.query, |piece| {
            let flow = self.push_piece(context, piece)?;
            Ok((flow, self.expressions.iter_mut().filter_map(Evaluator::made).sum()))
        });
        self.pieces = Some(pieces);
        flow
    }

    fn next(&mut self) -> Option<&mut dyn Operator> {
        Some(&mut *self.next)
    }
}
