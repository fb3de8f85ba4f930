//! What a statement sees and when its changes are seen by others. A read transaction is a snapshot: everything in it,
//! the catalog included, belongs to one version. A writing transaction adds a level of its own, which the commit puts
//! into the log and links; `specs/transactions.md` tells what can and cannot happen between several of them.

mod open_tables;
mod read;
mod reader;
#[cfg(test)]
mod tests;
mod write;

pub use crate::storage::table::KeyReader;
pub use read::ReadTransaction;
pub use reader::Reader;
pub use write::{
    Deleted, LoadPlace, Met, Savepoint, SmallLoad, WriteError, WriteOptions, WriteResult, WriteTransaction,
    areas_of_definition, areas_of_load,
};
