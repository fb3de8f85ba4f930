//! A directory in this process's memory, for `:memory:` databases and tests. Nothing outlives it.

use std::collections::BTreeMap;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use parking_lot::{Mutex, RwLock};

use super::faults::io_error;
use super::{LockGuard, LockKind, OpenMode, StorageBackend, StorageFile};
use crate::storage::{StorageError, StorageResult};

/// A file's bytes lie in pieces of this size, so that growing copies nothing and writers to different
/// pieces do not wait for one another.
const PIECE_SIZE: u64 = 1 << 20;

/// Files in memory; clones share them.
#[derive(Clone, Default)]
pub struct MemoryBackend {
    directory: Arc<Directory>,
}

#[derive(Default)]
struct Directory {
    files: Mutex<BTreeMap<String, Arc<MemoryFile>>>,
    locks: Mutex<BTreeMap<String, Holders>>,
}

/// Who holds a lock within this process.
#[derive(Debug, Default, Clone, Copy)]
pub(super) struct Holders {
    shared: u32,
    exclusive: bool,
}

impl Holders {
    /// Takes the lock, or names what is in the way.
    pub(super) fn take(&mut self, kind: LockKind) -> Result<(), &'static str> {
        match kind {
            _ if self.exclusive => Err("this process"),
            LockKind::Exclusive if self.shared > 0 => Err("a reader in this process"),
            LockKind::Exclusive => {
                self.exclusive = true;
                Ok(())
            }
            LockKind::Shared => {
                self.shared += 1;
                Ok(())
            }
        }
    }

    pub(super) fn let_go(&mut self, kind: LockKind) {
        match kind {
            LockKind::Exclusive => self.exclusive = false,
            LockKind::Shared => self.shared = self.shared.saturating_sub(1),
        }
    }
}

impl MemoryBackend {
    /// An empty directory.
    pub fn new() -> MemoryBackend {
        MemoryBackend::default()
    }
}

pub(super) fn not_found(operation: &'static str, name: &str) -> StorageError {
    io_error(operation, name, io::ErrorKind::NotFound.into())
}

/// The names directly in a folder among all names of a directory.
pub(super) fn names_in<'a>(folder: &str, names: impl Iterator<Item = &'a String>) -> Vec<String> {
    names
        .filter_map(|name| match folder {
            "" => Some(name.as_str()),
            _ => name.strip_prefix(folder)?.strip_prefix('/'),
        })
        .filter(|rest| !rest.contains('/'))
        .map(str::to_owned)
        .collect()
}

impl StorageBackend for MemoryBackend {
    fn shared(&self) -> Arc<dyn StorageBackend> {
        Arc::new(self.clone())
    }

    fn location(&self) -> String {
        ":memory:".to_owned()
    }

    fn open(&self, name: &str, mode: OpenMode) -> StorageResult<Arc<dyn StorageFile>> {
        let mut files = self.directory.files.lock();
        match (files.get(name), mode) {
            (Some(_), OpenMode::Create) => Err(io_error("open", name, io::ErrorKind::AlreadyExists.into())),
            (Some(file), _) => Ok(file.clone()),
            (None, OpenMode::Read | OpenMode::Write) => Err(not_found("open", name)),
            (None, OpenMode::Create | OpenMode::CreateOrOpen) => {
                let file = Arc::new(MemoryFile::new(name));
                files.insert(name.to_owned(), file.clone());
                Ok(file)
            }
        }
    }

    fn create_dir(&self, _name: &str) -> StorageResult<()> {
        Ok(())
    }

    fn sync_dir(&self, _name: &str) -> StorageResult<()> {
        Ok(())
    }

    fn rename(&self, from: &str, to: &str) -> StorageResult<()> {
        let mut files = self.directory.files.lock();
        let file = files.remove(from).ok_or_else(|| not_found("rename", from))?;
        files.insert(to.to_owned(), file);
        Ok(())
    }

    fn remove(&self, name: &str) -> StorageResult<()> {
        self.directory.files.lock().remove(name).map(|_| ()).ok_or_else(|| not_found("remove", name))
    }

    fn list(&self, name: &str) -> StorageResult<Vec<String>> {
        Ok(names_in(name, self.directory.files.lock().keys()))
    }

    fn exists(&self, name: &str) -> StorageResult<bool> {
        Ok(self.directory.files.lock().contains_key(name))
    }

    fn lock(&self, name: &str, kind: LockKind) -> StorageResult<Box<dyn LockGuard>> {
        let mut locks = self.directory.locks.lock();
        match locks.entry(name.to_owned()).or_default().take(kind) {
            Ok(()) => {
                Ok(Box::new(MemoryLock { directory: self.directory.clone(), name: name.to_owned(), kind }))
            }
            Err(holder) => Err(StorageError::Locked { path: self.location(), holder: holder.to_owned() }),
        }
    }

    fn is_memory(&self) -> bool {
        true
    }
}

struct MemoryLock {
    directory: Arc<Directory>,
    name: String,
    kind: LockKind,
}

impl LockGuard for MemoryLock {}

impl Drop for MemoryLock {
    fn drop(&mut self) {
        if let Some(holders) = self.directory.locks.lock().get_mut(&self.name) {
            holders.let_go(self.kind);
        }
    }
}

/// A piece is as long as what was written into it; what is missing up to the file's size is zero.
type Piece = RwLock<Vec<u8>>;

struct MemoryFile {
    name: String,
    size: AtomicU64,
    pieces: RwLock<Vec<Arc<Piece>>>,
}

/// The part of `offset..offset + length` in one piece: index, start within the piece, bytes.
fn first_part(offset: u64, length: usize) -> (usize, usize, usize) {
    let start = offset % PIECE_SIZE;
    ((offset / PIECE_SIZE) as usize, start as usize, ((PIECE_SIZE - start) as usize).min(length))
}

impl MemoryFile {
    fn new(name: &str) -> MemoryFile {
        MemoryFile { name: name.to_owned(), size: AtomicU64::new(0), pieces: RwLock::default() }
    }

    fn piece(&self, index: usize) -> Arc<Piece> {
        if let Some(piece) = self.pieces.read().get(index) {
            return piece.clone();
        }
        let mut pieces = self.pieces.write();
        while pieces.len() <= index {
            pieces.push(Arc::default());
        }
        pieces[index].clone()
    }

    fn too_large(&self) -> StorageError {
        StorageError::Limit { what: format!("the size of {}", self.name), limit: i64::MAX as u64 }
    }
}

impl StorageFile for MemoryFile {
    fn name(&self) -> &str {
        &self.name
    }

    fn read_at(&self, mut offset: u64, mut buffer: &mut [u8]) -> StorageResult<()> {
        let size = self.size.load(Ordering::Acquire);
        if offset.checked_add(buffer.len() as u64).is_none_or(|end| end > size) {
            return Err(io_error("read", &self.name, io::ErrorKind::UnexpectedEof.into()));
        }
        while !buffer.is_empty() {
            let (index, start, length) = first_part(offset, buffer.len());
            let (now, rest) = buffer.split_at_mut(length);
            let piece = self.piece(index);
            let bytes = piece.read();
            let held = bytes.get(start..).unwrap_or(&[]);
            let held = &held[..held.len().min(length)];
            now[..held.len()].copy_from_slice(held);
            now[held.len()..].fill(0);
            offset += length as u64;
            buffer = rest;
        }
        Ok(())
    }

    fn write_at(&self, mut offset: u64, mut bytes: &[u8]) -> StorageResult<()> {
        let end = offset.checked_add(bytes.len() as u64).filter(|&end| end <= i64::MAX as u64);
        let end = end.ok_or_else(|| self.too_large())?;
        while !bytes.is_empty() {
            let (index, start, length) = first_part(offset, bytes.len());
            let (now, rest) = bytes.split_at(length);
            let piece = self.piece(index);
            let mut held = piece.write();
            if held.len() < start {
                held.resize(start, 0);
            }
            let overlap = (held.len() - start).min(length);
            held[start..start + overlap].copy_from_slice(&now[..overlap]);
            held.extend_from_slice(&now[overlap..]);
            offset += length as u64;
            bytes = rest;
        }
        self.size.fetch_max(end, Ordering::AcqRel);
        Ok(())
    }

    fn sync(&self) -> StorageResult<()> {
        Ok(())
    }

    fn preallocate(&self, offset: u64, length: u64) -> StorageResult<()> {
        let end = offset.checked_add(length).ok_or_else(|| self.too_large())?;
        self.size.fetch_max(end, Ordering::AcqRel);
        Ok(())
    }

    fn truncate(&self, size: u64) -> StorageResult<()> {
        let mut pieces = self.pieces.write();
        pieces.truncate(size.div_ceil(PIECE_SIZE) as usize);
        if let Some(piece) = pieces.get((size / PIECE_SIZE) as usize) {
            piece.write().truncate((size % PIECE_SIZE) as usize);
        }
        self.size.store(size, Ordering::Release);
        Ok(())
    }

    fn size(&self) -> StorageResult<u64> {
        Ok(self.size.load(Ordering::Acquire))
    }
}
