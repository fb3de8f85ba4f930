//! Why a change is refused.

use crate::storage::StorageError;
use crate::storage::engine::{Busy, Conflict};

/// A result of a writing transaction.
pub type WriteResult<T> = Result<T, WriteError>;

/// What a write breaks. `row` counts the rows of the call, from 0.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum WriteError {
    /// A fault of the storage layer.
    #[error(transparent)]
    Storage(#[from] StorageError),
    /// Another transaction was first; this one has to be rolled back and may be run again.
    #[error("{what} was changed by another transaction at the same time")]
    Conflict { conflict: Conflict, what: String },
    /// Others are where the transaction wants to change something, or have been since it began; it has to be rolled back
    /// and may be run again.
    #[error("{}", busy.text(area))]
    Busy { busy: Busy, area: String },
    /// Tables were loaded or defined since the transaction began, or it is older than what can be told apart. It has
    /// to be rolled back and may be run again.
    #[error("the transaction began too long ago to change anything: the database has moved on since")]
    TooOld,
    /// The transaction only reads.
    #[error("the transaction is read-only")]
    ReadOnly,
    /// The statement has to end before it is done, as the transaction was told (see `WriteTransaction::stop_at`).
    #[error("the statement was stopped")]
    Stopped,
    /// The catalog of the transaction has no such table or column.
    #[error("there is no {what}")]
    Unknown { what: String },
    /// Another node has the primary key.
    #[error("table {table} has a node with the primary key {key} already")]
    DuplicateKey { table: String, key: String, row: usize },
    /// A part of the primary key is missing.
    #[error("the primary key of a node of table {table} cannot be NULL")]
    NullKey { table: String, row: usize },
    /// A NOT NULL column has no value.
    #[error("{table}.{column} cannot be NULL")]
    NotNull { table: String, column: String, row: usize },
    /// Another row has the value of a UNIQUE column.
    #[error("{holder} has the value {value} of the UNIQUE column {table}.{column} already")]
    Unique { table: String, column: String, value: String, holder: String, row: usize },
    /// The node has a relationship of this type already, and may have one only.
    #[error("{node} may have one {direction} relationship of type {table} only")]
    Multiplicity { table: String, direction: &'static str, node: String, row: usize },
    /// A node that has relationships is to be deleted without them.
    #[error("{node} still has relationships of type {rel}")]
    StillConnected { rel: String, node: String, row: usize },
}

impl WriteError {
    /// Whether the same statements may succeed in a new transaction.
    pub fn is_retryable(&self) -> bool {
        matches!(self, WriteError::Conflict { .. } | WriteError::Busy { .. } | WriteError::TooOld)
    }

    /// The open transaction that is in the way; `WriteTransaction::wait_for` waits for its end.
    pub fn holder(&self) -> Option<u64> {
        match self {
            WriteError::Conflict { conflict, .. } => conflict.holder,
            _ => None,
        }
    }

    /// The row of the call that the error is about.
    pub fn row(&self) -> Option<usize> {
        match self {
            WriteError::DuplicateKey { row, .. }
            | WriteError::NullKey { row, .. }
            | WriteError::NotNull { row, .. }
            | WriteError::Unique { row, .. }
            | WriteError::Multiplicity { row, .. }
            | WriteError::StillConnected { row, .. } => Some(*row),
            _ => None,
        }
    }
}
