//! What a statement sees and when its changes are seen by others. A read transaction is a snapshot: everything in it,
//! the catalog included, belongs to one version. Writes take their turn at the engine and publish by one root switch;
//! `specs/transactions.md` says what of this changes when the log comes.

mod open_tables;
mod read;
mod reader;

pub use crate::storage::table::KeyReader;
pub use read::ReadTransaction;
pub use reader::Reader;
