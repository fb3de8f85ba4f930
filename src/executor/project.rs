//! Computes expressions over the columns of a batch.

use super::context::Context;
use super::error::ExecutionResult;
use super::evaluate::{Evaluator, made_by};
use super::operator::{Flow, Next, Operator};
use super::pieces::{Pieces, TakesPieces};
use crate::vector::{Batch, ValueVector};

/// WITH and RETURN items.
pub struct Project<'x> {
    expressions: Vec<Evaluator<'x>>,
    pieces: Pieces,
    next: Next<'x>,
}

impl<'x> Project<'x> {
    /// A projection before `next`.
    pub fn new(expressions: Vec<Evaluator<'x>>, next: Next<'x>) -> Project<'x> {
        Project { expressions, pieces: Pieces::default(), next }
    }
}

impl TakesPieces for Project<'_> {
    fn pieces(&mut self) -> &mut Pieces {
        &mut self.pieces
    }

    fn made(&mut self) -> Option<u64> {
        made_by(&mut self.expressions)
    }

    fn take(&mut self, context: &mut Context<'_>, batch: &Batch<'_>) -> ExecutionResult<Flow> {
        let mut columns: Vec<ValueVector<'_>> = Vec::with_capacity(self.expressions.len());
        for expression in &mut self.expressions {
            columns.push(expression.evaluate(context.query, batch)?);
        }
        self.next.push(context, Batch { columns: &columns, ..*batch })
    }
}

impl Operator for Project<'_> {
    fn push<'b>(&mut self, context: &mut Context<'_>, batch: Batch<'b>) -> ExecutionResult<Flow> {
        self.push_computed(context, &batch)
    }

    fn next(&mut self) -> Option<&mut dyn Operator> {
        Some(&mut *self.next)
    }
}
