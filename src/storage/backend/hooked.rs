//! For tests and benches: a backend that is asked before each sync of a file, and may take time or refuse.

use std::sync::Arc;

use super::{LockGuard, LockKind, OpenMode, StorageBackend, StorageFile};
use crate::storage::StorageResult;

/// Hears the name of a file before its sync; an error is the sync's.
pub type BeforeSync = dyn Fn(&str) -> StorageResult<()> + Send + Sync;

/// Another backend with a hook before its syncs. It never counts as memory, so that there is something to sync.
#[derive(Clone)]
pub struct HookedBackend {
    backend: Arc<dyn StorageBackend>,
    before_sync: Arc<BeforeSync>,
}

struct HookedFile {
    file: Arc<dyn StorageFile>,
    before_sync: Arc<BeforeSync>,
}

impl HookedBackend {
    /// Calls `before_sync` before each sync of a file of `backend`.
    pub fn new(
        backend: Arc<dyn StorageBackend>,
        before_sync: impl Fn(&str) -> StorageResult<()> + Send + Sync + 'static,
    ) -> HookedBackend {
        HookedBackend { backend, before_sync: Arc::new(before_sync) }
    }
}

impl StorageFile for HookedFile {
    fn name(&self) -> &str {
        self.file.name()
    }

    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> StorageResult<()> {
        self.file.read_at(offset, buffer)
    }

    fn write_at(&self, offset: u64, bytes: &[u8]) -> StorageResult<()> {
        self.file.write_at(offset, bytes)
    }

    fn sync(&self) -> StorageResult<()> {
        (self.before_sync)(self.file.name())?;
        self.file.sync()
    }

    fn preallocate(&self, offset: u64, length: u64) -> StorageResult<()> {
        self.file.preallocate(offset, length)
    }

    fn truncate(&self, size: u64) -> StorageResult<()> {
        self.file.truncate(size)
    }

    fn size(&self) -> StorageResult<u64> {
        self.file.size()
    }
}

impl StorageBackend for HookedBackend {
    fn location(&self) -> String {
        self.backend.location()
    }

    fn open(&self, name: &str, mode: OpenMode) -> StorageResult<Arc<dyn StorageFile>> {
        let (file, before_sync) = (self.backend.open(name, mode)?, Arc::clone(&self.before_sync));
        Ok(Arc::new(HookedFile { file, before_sync }))
    }

    fn create_dir(&self, name: &str) -> StorageResult<()> {
        self.backend.create_dir(name)
    }

    fn sync_dir(&self, name: &str) -> StorageResult<()> {
        self.backend.sync_dir(name)
    }

    fn rename(&self, from: &str, to: &str) -> StorageResult<()> {
        self.backend.rename(from, to)
    }

    fn remove(&self, name: &str) -> StorageResult<()> {
        self.backend.remove(name)
    }

    fn list(&self, name: &str) -> StorageResult<Vec<String>> {
        self.backend.list(name)
    }

    fn exists(&self, name: &str) -> StorageResult<bool> {
        self.backend.exists(name)
    }

    fn lock(&self, name: &str, kind: LockKind) -> StorageResult<Box<dyn LockGuard>> {
        self.backend.lock(name, kind)
    }

    fn shared(&self) -> Arc<dyn StorageBackend> {
        Arc::new(self.clone())
    }
}
