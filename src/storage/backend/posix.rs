//! Files of the operating system. Reads and writes name their offset, so one open file serves all threads.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::faults::{io_error, read_fully, retry, write_fully};
use super::{LockGuard, LockKind, OpenMode, StorageBackend, StorageFile, lock_file, posix_sys};
use crate::storage::{StorageError, StorageResult};

/// Zeros are written in pieces of this size where blocks cannot be reserved.
static ZEROS: [u8; 32 * 1024] = [0; 32 * 1024];

/// A directory of the file system.
#[derive(Clone)]
pub struct PosixBackend {
    directory: PathBuf,
}

impl PosixBackend {
    /// Nothing is touched before the first call.
    pub fn new(directory: impl Into<PathBuf>) -> PosixBackend {
        PosixBackend { directory: directory.into() }
    }

    fn path(&self, name: &str) -> PathBuf {
        if name.is_empty() { self.directory.clone() } else { self.directory.join(name) }
    }

    fn open_file(&self, name: &str, mode: OpenMode) -> io::Result<File> {
        let mut options = OpenOptions::new();
        options.read(true);
        match mode {
            OpenMode::Read => &mut options,
            OpenMode::Write => options.write(true),
            OpenMode::Create => options.write(true).create_new(true),
            OpenMode::CreateOrOpen => options.write(true).create(true).truncate(false),
        };
        let path = self.path(name);
        retry(|| options.open(&path))
    }

    /// A database on read-only media has a LOCK file that can be locked for reading, but not opened for writing; or none,
    /// where it was copied without: then there is no writer either, who would have made one.
    fn open_lock(&self, name: &str, kind: LockKind) -> io::Result<Option<File>> {
        match self.open_file(name, OpenMode::CreateOrOpen) {
            Err(error) if kind == LockKind::Shared && is_read_only(&error) => {
                match self.open_file(name, OpenMode::Read) {
                    Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
                    other => other.map(Some),
                }
            }
            other => other.map(Some),
        }
    }
}

fn is_read_only(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem)
}

/// Where a directory does not exist its parents are made too, and each new name is made durable in its parent.
fn create_durably(path: &Path) -> io::Result<()> {
    match fs::create_dir(path) {
        Ok(()) => sync_parent(path),
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists && path.is_dir() => Ok(()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            // A parent that is there and holds no new names will not hold one after it was made again.
            let missing = |parent: &&Path| !parent.as_os_str().is_empty() && !parent.exists();
            create_durably(path.parent().filter(missing).ok_or(error)?)?;
            match fs::create_dir(path) {
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists && path.is_dir() => Ok(()),
                made => made.and_then(|()| sync_parent(path)),
            }
        }
        Err(error) => Err(error),
    }
}

fn sync_parent(path: &Path) -> io::Result<()> {
    let parent = match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    };
    match File::open(parent) {
        Ok(directory) => retry(|| directory.sync_all()),
        // A parent that may be passed through but not read cannot be synced by us.
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied => Ok(()),
        Err(error) => Err(error),
    }
}

impl StorageBackend for PosixBackend {
    fn shared(&self) -> Arc<dyn StorageBackend> {
        Arc::new(self.clone())
    }

    fn location(&self) -> String {
        self.directory.display().to_string()
    }

    fn open(&self, name: &str, mode: OpenMode) -> StorageResult<Arc<dyn StorageFile>> {
        let file = self.open_file(name, mode).map_err(|error| io_error("open", name, error))?;
        Ok(Arc::new(PosixFile { name: name.to_owned(), file }))
    }

    fn create_dir(&self, name: &str) -> StorageResult<()> {
        let path = self.path(name);
        create_durably(&path).map_err(|error| match error.kind() {
            io::ErrorKind::AlreadyExists if path.is_file() => {
                StorageError::NoDirectory { path: path.display().to_string() }
            }
            _ => io_error("create directory", &path.display().to_string(), error),
        })
    }

    fn sync_dir(&self, name: &str) -> StorageResult<()> {
        File::open(self.path(name))
            .and_then(|directory| retry(|| directory.sync_all()))
            .map_err(|error| io_error("sync directory", name, error))
    }

    fn rename(&self, from: &str, to: &str) -> StorageResult<()> {
        retry(|| fs::rename(self.path(from), self.path(to))).map_err(|error| io_error("rename", from, error))
    }

    fn remove(&self, name: &str) -> StorageResult<()> {
        retry(|| fs::remove_file(self.path(name))).map_err(|error| io_error("remove", name, error))
    }

    fn list(&self, name: &str) -> StorageResult<Vec<String>> {
        let failed = |error| io_error("list", name, error);
        let mut names = Vec::new();
        for entry in fs::read_dir(self.path(name)).map_err(failed)? {
            let entry = entry.map_err(failed)?;
            if entry.file_type().map_err(failed)?.is_file() {
                names.push(entry.file_name().to_string_lossy().into_owned());
            }
        }
        names.sort();
        Ok(names)
    }

    fn exists(&self, name: &str) -> StorageResult<bool> {
        self.path(name).try_exists().map_err(|error| io_error("look up", name, error))
    }

    fn lock(&self, name: &str, kind: LockKind) -> StorageResult<Box<dyn LockGuard>> {
        let file = self.open_lock(name, kind).map_err(|error| io_error("open", name, error))?;
        let Some(file) = file else { return Ok(Box::new(NothingToLock)) };
        let taken = match kind {
            LockKind::Shared => file.try_lock_shared(),
            LockKind::Exclusive => file.try_lock(),
        };
        match taken {
            Ok(()) => {
                let guard = PosixLock { file, kind };
                match kind {
                    LockKind::Exclusive => {
                        write_fully(0, &lock_file::encode_holder(), |bytes, at| {
                            guard.file.write_at(bytes, at)
                        })
                        .map_err(|error| io_error("write", name, error))?;
                    }
                    // A reader without a slot reads all the same; it has no name for those whom it keeps out.
                    LockKind::Shared => {
                        let _ = take_slot(&guard.file);
                    }
                }
                Ok(Box::new(guard))
            }
            Err(TryLockError::WouldBlock) => {
                Err(StorageError::Locked { path: self.location(), holder: holder(&file, kind) })
            }
            Err(TryLockError::Error(error)) => Err(io_error("lock", name, error)),
        }
    }
}

/// Who is in the way of a lock of this kind. What the file says of a writer is stale when readers hold it.
fn holder(file: &File, wanted: LockKind) -> String {
    if wanted == LockKind::Exclusive && file.try_lock_shared().is_ok() {
        // Closing the file lets go of this lock again.
        return lock_file::describe_readers(&locked_slots(file));
    }
    let mut bytes = [0; lock_file::HOLDER_SIZE];
    let count = retry(|| file.read_at(&mut bytes, 0)).unwrap_or(0);
    lock_file::describe_holder(&bytes[..count])
}

/// Writes this process into the first slot that nobody has. It stays locked until the file is closed.
fn take_slot(file: &File) -> io::Result<()> {
    for slot in 0..lock_file::SLOTS {
        let at = lock_file::slot_at(slot);
        if posix_sys::lock_range(file, at, lock_file::SLOT_SIZE as u64)? {
            return write_fully(at, &lock_file::encode_slot(), |bytes, at| file.write_at(bytes, at));
        }
    }
    Ok(())
}

/// The slots of readers that are there; what others hold is stale.
fn locked_slots(file: &File) -> Vec<[u8; lock_file::SLOT_SIZE]> {
    let mut slots = Vec::new();
    for slot in 0..lock_file::SLOTS {
        let (at, mut bytes) = (lock_file::slot_at(slot), [0; lock_file::SLOT_SIZE]);
        if posix_sys::is_range_locked(file, at, lock_file::SLOT_SIZE as u64).unwrap_or(false)
            && read_fully(at, &mut bytes, |out, at| file.read_at(out, at)).is_ok()
        {
            slots.push(bytes);
        }
    }
    slots
}

struct NothingToLock;

impl LockGuard for NothingToLock {}

/// The lock belongs to the open file; closing it lets go.
struct PosixLock {
    file: File,
    kind: LockKind,
}

impl LockGuard for PosixLock {}

impl Drop for PosixLock {
    fn drop(&mut self) {
        if self.kind == LockKind::Exclusive {
            // A stale name does no harm: it is only shown to someone who meets a held lock.
            let _ = write_fully(0, &lock_file::encode_nobody(), |bytes, at| self.file.write_at(bytes, at));
        }
    }
}

struct PosixFile {
    name: String,
    file: File,
}

impl PosixFile {
    fn failed(&self, operation: &'static str) -> impl FnOnce(io::Error) -> StorageError + '_ {
        move |error| io_error(operation, &self.name, error)
    }

    /// For file systems that cannot reserve blocks: zeros from the end of the file to `end`.
    fn write_zeros(&self, end: u64) -> io::Result<()> {
        let mut at = self.file.metadata()?.len();
        while at < end {
            let piece = (end - at).min(ZEROS.len() as u64) as usize;
            write_fully(at, &ZEROS[..piece], |bytes, at| self.file.write_at(bytes, at))?;
            at += piece as u64;
        }
        Ok(())
    }
}

impl StorageFile for PosixFile {
    fn name(&self) -> &str {
        &self.name
    }

    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> StorageResult<()> {
        read_fully(offset, buffer, |out, at| self.file.read_at(out, at)).map_err(self.failed("read"))
    }

    fn write_at(&self, offset: u64, bytes: &[u8]) -> StorageResult<()> {
        write_fully(offset, bytes, |bytes, at| self.file.write_at(bytes, at)).map_err(self.failed("write"))
    }

    fn sync(&self) -> StorageResult<()> {
        // Only an interrupted sync may be made again: after a failed one the kernel may have forgotten the
        // unwritten pages, and a second call would succeed without them.
        loop {
            match self.file.sync_data() {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                other => return other.map_err(self.failed("sync")),
            }
        }
    }

    fn preallocate(&self, offset: u64, length: u64) -> StorageResult<()> {
        if length == 0 {
            return Ok(());
        }
        let end = offset.checked_add(length).ok_or_else(|| StorageError::Limit {
            what: format!("the size of {}", self.name),
            limit: i64::MAX as u64,
        })?;
        match retry(|| posix_sys::allocate(&self.file, offset, length)) {
            Err(error)
                if matches!(error.kind(), io::ErrorKind::Unsupported | io::ErrorKind::InvalidInput) =>
            {
                self.write_zeros(end).map_err(self.failed("preallocate"))
            }
            other => other.map_err(self.failed("preallocate")),
        }
    }

    fn truncate(&self, size: u64) -> StorageResult<()> {
        retry(|| self.file.set_len(size)).map_err(self.failed("truncate"))
    }

    fn size(&self) -> StorageResult<u64> {
        Ok(self.file.metadata().map_err(self.failed("measure"))?.len())
    }
}
