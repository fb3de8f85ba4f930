//! Bytes on disk and how they are read: the page file, the buffer pool, columns, tables and indexes.
//! Nothing in here knows Cypher; the doors are `engine` (open, scan, apply) and the table types.

pub mod backend;
pub mod buffer_pool;
pub mod check;
pub mod codec;
pub mod column;
pub mod delta;
pub mod directory;
pub mod engine;
pub mod error;
mod files;
pub mod index;
mod levels;
pub mod memory;
pub mod page;
mod patience;
pub mod spill;
pub mod state;
mod stripes;
pub mod table;
pub mod wal;

pub use buffer_pool::{Plain, as_bytes, bytes_as, try_bytes_as};
pub use error::{StorageError, StorageResult};
