//! What a schema change or a lookup can meet, as data; the binder adds the place in the text.

use std::fmt;

use crate::types::DataType;

/// What kind of thing a name stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ObjectKind {
    /// A node table (a label).
    NodeTable,
    /// A relationship type with all its tables.
    RelType,
    /// Either of them, where a statement does not say which.
    Table,
    /// A column of a table.
    Column,
}

impl fmt::Display for ObjectKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            ObjectKind::NodeTable => "node table",
            ObjectKind::RelType => "relationship table",
            ObjectKind::Table => "table",
            ObjectKind::Column => "property",
        })
    }
}

/// Why the catalog refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CatalogError {
    /// The name is taken.
    #[error("{kind} {name} exists already")]
    Exists { kind: ObjectKind, name: String },
    /// No such name; `suggestion` is the nearest known one.
    #[error("{kind} {name} does not exist{}", did_you_mean(.suggestion))]
    Missing { kind: ObjectKind, name: String, suggestion: Option<String> },
    /// A table has no such column.
    #[error("table {table} has no property {column}{}", did_you_mean(.suggestion))]
    MissingColumn { table: String, column: String, suggestion: Option<String> },
    /// A column is named twice, or exists already.
    #[error("property {column} appears twice in table {table}")]
    DuplicateColumn { table: String, column: String },
    /// The primary key names a column that the table does not declare.
    #[error("the primary key of {table} names {column}, which is not one of its properties{}", did_you_mean(.suggestion))]
    UnknownKeyColumn { table: String, column: String, suggestion: Option<String> },
    /// The primary key names a column twice.
    #[error("the primary key of {table} names {column} twice")]
    DuplicateKeyColumn { table: String, column: String },
    /// A strict node table without a primary key.
    #[error("node table {table} needs a primary key")]
    MissingKey { table: String },
    /// A type that has no order or no fixed meaning cannot be a key.
    #[error("property {column} of type {data_type} cannot be part of the primary key of {table}")]
    InvalidKeyType { table: String, column: String, data_type: DataType },
    /// A type that exists in queries only (NODE, REL, PATH …) cannot be stored.
    #[error("property {column} of table {table} cannot be stored as {data_type}")]
    InvalidColumnType { table: String, column: String, data_type: DataType },
    /// A primary key column cannot be dropped.
    #[error("property {column} is part of the primary key of {table}")]
    KeyColumn { table: String, column: String },
    /// A node table at which relationships end cannot be dropped.
    #[error("node table {table} is still used by {}", .referenced_by.join(", "))]
    Referenced { table: String, referenced_by: Vec<String> },
    /// A relationship type without FROM and TO.
    #[error("relationship table {name} needs at least one FROM … TO … pair")]
    MissingPair { name: String },
    /// A relationship type names one FROM/TO pair twice.
    #[error("relationship table {name} names FROM {source_table} TO {target_table} twice")]
    DuplicatePair { name: String, source_table: String, target_table: String },
    /// A name that cannot be used.
    #[error("{name:?} cannot be used as a name")]
    InvalidName { name: String },
    /// Ids are used up; they are never given twice.
    #[error("{what} exceed the limit of {limit}")]
    Limit { what: &'static str, limit: u64 },
}

fn did_you_mean(suggestion: &Option<String>) -> String {
    suggestion.as_ref().map_or_else(String::new, |name| format!("; did you mean {name}?"))
}
