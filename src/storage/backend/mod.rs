//! Files below the engine: bytes at an offset and the moments when they are durable. Everything above reaches
//! the disk through `StorageBackend`, so the same engine runs on POSIX files, in memory and on a simulated disk.

#[cfg(test)]
mod conformance;
mod faults;
#[cfg(any(test, feature = "testing"))]
mod hooked;
mod lock_file;
mod memory;
#[cfg(unix)]
mod posix;
#[cfg(unix)]
mod posix_sys;
#[cfg(any(test, feature = "testing"))]
mod simulated;

#[cfg(any(test, feature = "testing"))]
pub use hooked::HookedBackend;
pub use memory::MemoryBackend;
#[cfg(unix)]
pub use posix::PosixBackend;
#[cfg(any(test, feature = "testing"))]
pub use simulated::SimulatedBackend;

use std::sync::Arc;

use super::StorageResult;

/// One open file. Offsets and lengths are bytes. All methods may be called from several threads at once.
pub trait StorageFile: Send + Sync {
    /// The name within the database directory, for messages.
    fn name(&self) -> &str;
    /// Fills `buffer` from `offset`; a read past the end of the file is an `Io` error (`UnexpectedEof`).
    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> StorageResult<()>;
    /// Writes all of `bytes` at `offset`, growing the file where needed. Not durable before `sync`.
    fn write_at(&self, offset: u64, bytes: &[u8]) -> StorageResult<()>;
    /// Makes all earlier writes and the file's size durable.
    fn sync(&self) -> StorageResult<()>;
    /// Reserves blocks for `offset..offset + length` so that a later write there cannot meet a full disk.
    fn preallocate(&self, offset: u64, length: u64) -> StorageResult<()>;
    /// Cuts or zero-extends the file.
    fn truncate(&self, size: u64) -> StorageResult<()>;
    /// The size of the file in bytes.
    fn size(&self) -> StorageResult<u64>;
}

/// How a file is opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OpenMode {
    /// Existing, for reading only.
    Read,
    /// Existing, for reading and writing.
    Write,
    /// Created; an error if it exists.
    Create,
    /// Created where it does not exist.
    CreateOrOpen,
}

/// A held advisory lock; released on drop.
pub trait LockGuard: Send + Sync {}

/// Why a lock is taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LockKind {
    /// Many readers.
    Shared,
    /// One writer, no readers.
    Exclusive,
}

/// A directory of files. Names are relative (`data.quire`, `wal/wal-000001.seg`).
pub trait StorageBackend: Send + Sync {
    /// What messages call this place: the path of the directory, or `:memory:`.
    fn location(&self) -> String;
    /// Opens or creates a file.
    fn open(&self, name: &str, mode: OpenMode) -> StorageResult<Arc<dyn StorageFile>>;
    /// Creates the database directory itself or a folder in it where it does not exist (`""` is the root).
    fn create_dir(&self, name: &str) -> StorageResult<()>;
    /// Makes created, renamed and removed names in a folder durable.
    fn sync_dir(&self, name: &str) -> StorageResult<()>;
    /// Renames atomically, replacing the target.
    fn rename(&self, from: &str, to: &str) -> StorageResult<()>;
    /// Removes a file.
    fn remove(&self, name: &str) -> StorageResult<()>;
    /// The names of the files in a folder, sorted.
    fn list(&self, name: &str) -> StorageResult<Vec<String>>;
    /// Whether a file exists.
    fn exists(&self, name: &str) -> StorageResult<bool>;
    /// Takes an advisory lock on a file without waiting; `Locked` names the holder as far as the file tells.
    fn lock(&self, name: &str, kind: LockKind) -> StorageResult<Box<dyn LockGuard>>;
    /// The same directory for an owner of its own.
    fn shared(&self) -> Arc<dyn StorageBackend>;
    /// Whether the bytes live in this process's memory, so that there is nothing to sync.
    fn is_memory(&self) -> bool {
        false
    }
}
