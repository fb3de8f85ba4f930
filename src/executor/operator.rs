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

/// One step of a pipeline, with the next one inside. Every worker thread has its own instance.
pub trait Operator: Send {
    /// Takes one batch.
    fn push<'b>(&mut self, context: &mut Context<'_>, batch: Batch<'b>) -> ExecutionResult<Flow>;
    /// All that the rows of `batch` lead to inside the sub-plan `name` has been pushed: handed on to its end, which
    /// settles them. Operators that take part in sub-plans hand it on.
    fn settle<'b>(&mut self, _: &mut Context<'_>, _: u32, _: Batch<'b>) -> ExecutionResult<Flow> {
        Err(ExecutionError::Internal { operator: "sub-plan", detail: "it has no end".into() })
    }
    /// No batch comes any more: hands on what is left and finishes the next operator.
    fn finish(&mut self, context: &mut Context<'_>) -> ExecutionResult<()>;
}

/// The next operator of a pipeline.
pub type Next<'x> = Box<dyn Operator + 'x>;

/// Makes one instance of the rest of a pipeline; called once per worker thread.
pub type Factory<'x> = dyn Fn() -> ExecutionResult<Next<'x>> + Sync + 'x;
