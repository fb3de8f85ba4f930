//! Computes expressions over the columns of a batch.

use super::context::Context;
use super::error::ExecutionResult;
use super::evaluate::Evaluator;
use super::operator::{Flow, Next, Operator};
use crate::vector::{Batch, ValueVector};

/// WITH and RETURN items.
pub struct Project<'x> {
    expressions: Vec<Evaluator<'x>>,
    next: Next<'x>,
}

impl<'x> Project<'x> {
    /// A projection before `next`.
    pub fn new(expressions: Vec<Evaluator<'x>>, next: Next<'x>) -> Project<'x> {
        Project { expressions, next }
    }
}

impl Operator for Project<'_> {
    fn push<'b>(&mut self, context: &mut Context<'_>, batch: Batch<'b>) -> ExecutionResult<Flow> {
        let mut columns: Vec<ValueVector<'_>> = Vec::with_capacity(self.expressions.len());
        for expression in &mut self.expressions {
            columns.push(expression.evaluate(context.query, &batch)?);
        }
        self.next.push(context, Batch { columns: &columns, ..batch })
    }

    fn next(&mut self) -> Option<&mut dyn Operator> {
        Some(&mut *self.next)
    }
}
