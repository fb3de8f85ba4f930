//! What ends a load.

use crate::catalog::CatalogError;
use crate::ingest::CsvError;
use crate::storage::StorageError;
use crate::transaction::WriteError;
use crate::types::DataType;

/// A result of loading.
pub type CopyResult<T> = Result<T, CopyError>;

/// A fault of the files, of their rows, of the table or of storage. Nothing of the load is left behind.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CopyError {
    /// A file, an option, or a row: with file, line, column and raw text.
    #[error(transparent)]
    Csv(#[from] CsvError),
    /// Pages, memory, the disk.
    #[error(transparent)]
    Storage(#[from] StorageError),
    /// The transaction cannot have the table for itself, or is no longer what it was.
    #[error(transparent)]
    Write(#[from] WriteError),
    /// The table is not what it was when the statement was bound.
    #[error(transparent)]
    Catalog(#[from] CatalogError),
    /// A column that needs values, is not in the files and has no default.
    #[error("property {column} of table {table} needs a value, but is not among the columns of the file")]
    MissingColumn { table: String, column: String },
    /// A DEFAULT that is no value of its column or that nobody evaluated.
    #[error("the default of property {column} of table {table} cannot be used: {reason}")]
    Default { table: String, column: String, reason: String },
    /// A CHECK that fails to give an answer for a row.
    #[error("a CHECK of the table cannot be evaluated: {reason}")]
    Check { reason: String },
    /// A type whose values cannot be compared as keys are.
    #[error("property {column} of type {data_type} of table {table} cannot be kept unique")]
    NotUniqueType { table: String, column: String, data_type: DataType },
    /// The table was dropped or changed after the statement was bound.
    #[error("the table of the COPY is no longer what it was")]
    TableChanged,
    /// The number of rows read differs from those stored and rejected: a fault of this program.
    #[error("{read} rows were read, but {stored} stored and {rejected} rejected; nothing was loaded")]
    RowsLost { read: u64, stored: u64, rejected: u64 },
}
