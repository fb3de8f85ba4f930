//! What can go wrong while a plan runs.

use crate::functions::FunctionError;
use crate::storage::StorageError;
use crate::types::TypeError;

/// A result of execution.
pub type ExecutionResult<T> = Result<T, ExecutionError>;

/// Faults of a running query.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ExecutionError {
    #[error(transparent)]
    Storage(#[from] StorageError),
    #[error(transparent)]
    Function(#[from] FunctionError),
    #[error(transparent)]
    Type(#[from] TypeError),
    /// A count or sum left its type's range.
    #[error("{what} is out of range: the result does not fit into {data_type}")]
    Overflow { what: String, data_type: String },
    /// SKIP or LIMIT got something else than a non-negative integer.
    #[error("{clause} takes a non-negative integer, got {value}")]
    BadCount { clause: &'static str, value: String },
    /// `Connection::interrupt` or the query timeout.
    #[error("the query was interrupted")]
    Interrupted,
    /// The query took longer than its time limit.
    #[error("the query ran longer than its limit of {limit_ms} ms")]
    TimedOut { limit_ms: u64 },
    /// A worker thread ended by a panic: a bug of ours, reported instead of hanging.
    #[error("internal error in {operator}: {detail}")]
    Internal { operator: &'static str, detail: String },
}
