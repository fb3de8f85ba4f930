//! What can go wrong below the query path, as data. The public `Error` wraps it.

use std::io;

use super::page::PageId;
use crate::types::ByteCount;

/// A result of the storage layer.
pub type StorageResult<T> = Result<T, StorageError>;

/// Faults of the storage layer: corruption, I/O, exhausted resources.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StorageError {
    /// The operating system refused or failed an operation on a file.
    #[error("{operation} failed on {file}: {source}")]
    Io { operation: &'static str, file: String, source: io::Error },
    /// A path that is no directory.
    #[error("{path} is a file, and a database is a directory")]
    NoDirectory { path: String },
    /// The device has no room left; nothing that was acknowledged is affected.
    #[error("no space left on the device while writing {file}")]
    DiskFull { file: String },
    /// A page does not carry the bytes that its reference promises.
    #[error("checksum mismatch in {file}, page {page} ({what}): expected {expected:#010x}, got {got:#010x}")]
    ChecksumMismatch { file: String, page: PageId, what: String, expected: u32, got: u32 },
    /// A structure whose bytes are intact but whose content breaks a rule of the format.
    #[error("corrupt {what} in {file}, page {page}: {detail}")]
    Corrupt { file: String, page: PageId, what: String, detail: String },
    /// A log whose bytes before its last known sync are not those that were written. Nothing of it is skipped.
    #[error(
        "the log is damaged in {file} (segment {segment}, byte {offset}): {detail}; restore the file or the database from a backup"
    )]
    LogCorrupt { file: String, segment: u64, offset: u64, detail: String },
    /// Both copies of the header are unusable.
    #[error("{file} is not a usable quire database: {detail}")]
    BadHeader { file: String, detail: String },
    /// The file was written by a format that this release does not know.
    #[error("{file} has format version {found}; this release reads up to {supported}")]
    UnknownVersion { file: String, found: u32, supported: u32 },
    /// Another process or another open in this process holds the database.
    #[error("the database {path} is locked by {holder}")]
    Locked { path: String, holder: String },
    /// A frame could not be had in time because every frame is in use.
    #[error(
        "the buffer pool of {} is too small: {} more were needed and could not be freed in {waited_ms} ms",
        ByteCount(*limit),
        ByteCount(*needed)
    )]
    PoolTooSmall { limit: u64, needed: u64, waited_ms: u64 },
    /// The limit of the buffer pool is below what the threads can work with.
    #[error(
        "a buffer pool of {} is too small for {threads} threads: {} are needed at least",
        ByteCount(*limit),
        ByteCount(*least)
    )]
    PoolBelowMinimum { limit: u64, least: u64, threads: usize },
    /// The memory limit forbids the allocation.
    #[error("out of memory: {operator} needs {} beyond the limit of {}", ByteCount(*needed), ByteCount(*limit))]
    OutOfMemory { operator: String, needed: u64, limit: u64 },
    /// Changes that no page has yet have reached their share of the memory limit, and no checkpoint could help.
    #[error(
        "out of memory: the transaction's changes need {} beyond the {} that all changes may take, half of the memory limit",
        ByteCount(*needed),
        ByteCount(*limit)
    )]
    ChangesTooLarge { needed: u64, limit: u64 },
    /// An earlier write failed in a way that leaves the files in doubt; reading goes on.
    #[error("the database accepts no writes until it is opened again: {reason}")]
    Poisoned { reason: String },
    /// A commit was built on a root that another commit has replaced; building it again is safe.
    #[error("the commit was built on generation {based_on} of the database, but {current} is in force")]
    StaleRoot { based_on: u64, current: u64 },
    /// The database was opened for reading.
    #[error("the database is open read-only")]
    ReadOnly,
    /// Whoever wanted the work wants it no more.
    #[error("interrupted")]
    Interrupted,
    /// A value, row or table beyond what the format can hold.
    #[error("{what} exceeds the format's limit of {limit}")]
    Limit { what: String, limit: u64 },
}
