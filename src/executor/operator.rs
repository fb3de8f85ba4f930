//! The push interface: a batch is handed from operator to operator by a call; its memory belongs to the callers
//! further up, so an operator that keeps rows copies them.

use super::context::Context;
use super::error::{ExecutionError, ExecutionResult};
use crate::vector::Batch;

/// Whether a source should go on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Flow {
    /// More rows are welcome.
    Continue,
    /// Nobody further down wants another row (LIMIT).
    Stop,
}

/// What a `Number` says of a batch whose rows are settled.
#[derive(Debug, Clone, Copy)]
pub struct Numbered {
    /// The sub-plan's name.
    pub name: u32,
    /// The number of the batch's first row.
    pub first: usize,
    /// Whether the numbers begin anew behind this batch.
    pub last: bool,
}

/// One step of a pipeline, with the next one inside. Every worker thread has its own instance.
pub trait Operator: Send {
    /// Takes one batch.
    fn push<'b>(&mut self, context: &mut Context<'_>, batch: Batch<'b>) -> ExecutionResult<Flow>;
    /// The operator inside, for one that leaves the other calls to it.
    fn next(&mut self) -> Option<&mut dyn Operator> {
        None
    }
    /// Hands on what it has gathered: asked for before rows of a sub-plan are settled, and at the end.
    fn let_through(&mut self, _: &mut Context<'_>) -> ExecutionResult<Flow> {
        Ok(Flow::Continue)
    }
    /// All that the rows of `batch` lead to inside their sub-plan has been pushed: handed on to its end, which settles
    /// them.
    fn settle<'b>(
        &mut self,
        context: &mut Context<'_>,
        rows: Numbered,
        batch: Batch<'b>,
    ) -> ExecutionResult<Flow> {
        if self.let_through(context)? == Flow::Stop {
            return Ok(Flow::Stop);
        }
        match self.next() {
            Some(next) => next.settle(context, rows, batch),
            None => Err(ExecutionError::Internal { operator: "sub-plan", detail: "it has no end".into() }),
        }
    }
    /// No batch comes any more: hands on what is left and finishes the next operator.
    fn finish(&mut self, context: &mut Context<'_>) -> ExecutionResult<()> {
        self.let_through(context)?;
        match self.next() {
            Some(next) => next.finish(context),
            None => Err(ExecutionError::Internal { operator: "pipeline", detail: "it has no end".into() }),
        }
    }
}

/// The end of a pipeline whose source keeps its results itself.
pub struct Nothing;

impl Operator for Nothing {
    fn push<'b>(&mut self, _: &mut Context<'_>, _: Batch<'b>) -> ExecutionResult<Flow> {
        Ok(Flow::Continue)
    }
    fn finish(&mut self, _: &mut Context<'_>) -> ExecutionResult<()> {
        Ok(())
    }
}

/// The next operator of a pipeline.
pub type Next<'x> = Box<dyn Operator + 'x>;

/// Makes one instance of the rest of a pipeline; called once per worker thread.
pub type Factory<'x> = dyn Fn() -> ExecutionResult<Next<'x>> + Sync + 'x;
