//! What can go wrong while a plan runs.

use std::any::Any;

use super::write::{WriteFault, WriteRow};
use crate::functions::FunctionError;
use crate::storage::StorageError;
use crate::transaction::WriteError;
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
    /// A weighted path met a relationship that it cannot add up.
    #[error("a relationship on a weighted path costs {cost}; costs must not be negative or NaN")]
    BadCost { cost: f64 },
    /// A writing clause cannot do what a row asks for.
    #[error("{fault}{}", .row.map(|row| format!(" ({row})")).unwrap_or_default())]
    Write { row: Option<WriteRow>, fault: Box<WriteFault> },
    /// A property of what the same statement has deleted.
    #[error("the properties of a deleted {what} cannot be read")]
    DeletedEntity { what: &'static str },
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

impl From<WriteFault> for ExecutionError {
    fn from(fault: WriteFault) -> ExecutionError {
        ExecutionError::Write { row: None, fault: Box::new(fault) }
    }
}

impl ExecutionError {
    /// What a thread that ended by a panic leaves behind.
    pub(super) fn of_panic(operator: &'static str, panic: &(dyn Any + Send)) -> ExecutionError {
        let text = panic.downcast_ref::<String>().map(String::as_str);
        let text = text.or_else(|| panic.downcast_ref::<&str>().copied());
        let detail = text.unwrap_or("a panic without words").to_owned();
        ExecutionError::Internal { operator, detail }
    }

    /// What the transaction refuses, if that is what the error is about.
    pub fn refusal(&self) -> Option<&WriteError> {
        match self {
            ExecutionError::Write { fault, .. } => match &**fault {
                WriteFault::Transaction(error) => Some(error),
                _ => None,
            },
            _ => None,
        }
    }
}
