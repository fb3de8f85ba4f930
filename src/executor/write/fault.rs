//! Why a row cannot be written.

use std::fmt;

use crate::transaction::WriteError;
use crate::types::DataType;

/// The row of a clause's input that an error is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct WriteRow {
    pub clause: &'static str,
    /// From 1.
    pub number: u64,
}

impl fmt::Display for WriteRow {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "row {} of {}", self.number, self.clause)
    }
}

/// Why.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum WriteFault {
    /// What the transaction refuses: keys, multiplicities, conflicts.
    #[error(transparent)]
    Transaction(#[from] WriteError),
    /// A value that the column cannot hold.
    #[error("{table}.{column} cannot be {value}: {reason}")]
    Value { table: String, column: String, value: String, reason: String },
    /// NOT NULL and key columns; `of` is the row, where it exists already.
    #[error("{table}.{column} must not be null{}", .of.as_ref().map(|row| format!(" ({row})")).unwrap_or_default())]
    Null { table: String, column: String, of: Option<String> },
    /// A condition of the table.
    #[error("{what} breaks CHECK ({check}): {values}")]
    Check { check: String, values: String, what: String },
    /// A table of a strict database has the columns that were declared.
    #[error("table {table} has no property {name}")]
    NoProperty { table: String, name: String },
    /// MERGE compares, and nothing equals NULL.
    #[error("MERGE cannot look for {table}.{column} = NULL")]
    MergedNull { table: String, column: String },
    /// An end of a new relationship.
    #[error("a relationship of type {rel_type} cannot be created: its {end} node is null")]
    NullEnd { rel_type: String, end: &'static str },
    /// The FROM/TO pairs of a type.
    #[error("{rel_type} does not lead from {from} to {to}")]
    NoPair { rel_type: String, from: String, to: String },
    /// SET = and += of something that has no keys.
    #[error("a map, node or relationship is needed, not {value}")]
    NoMap { value: String },
    /// DELETE of something else.
    #[error("only nodes, relationships and paths can be deleted, not a value of type {data_type}")]
    NotDeletable { data_type: DataType },
    /// The statement has deleted it before.
    #[error("the {what} has been deleted by this statement")]
    Deleted { what: &'static str },
}
