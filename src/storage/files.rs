//! The files of an open database and what reads them: the lock, the page file and the buffer pool. Everything that
//! can read pages holds this together, so the lock is let go after the last reader and never before.

use std::sync::{Arc, Weak};

use super::backend::{LockGuard, LockKind, StorageBackend};
use super::buffer_pool::BufferPool;
use super::engine::EngineOptions;
use super::memory::MemoryAccountant;
use super::page::{Access, CreateOptions, FILE_NAME, HeaderFlags, PageFile, PageRun, PageSource};
use super::spill::{SPILL_FOLDER, SpillArea};
use super::{StorageError, StorageResult};
use crate::catalog::{Catalog, Dialect, SchemaMode};

/// The lock file's name.
const LOCK_FILE: &str = "LOCK";
/// The folder of log segments.
const LOG_FOLDER: &str = "wal";

/// See the module.
pub(super) struct Files {
    page_file: Arc<PageFile>,
    pool: BufferPool,
    memory: MemoryAccountant,
    spill: Arc<SpillArea>,
    pages_read_at_open: u64,
    /// Field order is drop order: the files are closed before the lock is let go.
    _lock: Box<dyn LockGuard>,
}

impl Files {
    /// Locks and opens the files, making them where there are none and that is wanted.
    pub fn open(backend: &dyn StorageBackend, options: &EngineOptions) -> StorageResult<Files> {
        let (limit, least) = (options.buffer_pool_bytes, BufferPool::bytes_min(options.threads));
        if limit < least {
            return Err(StorageError::PoolBelowMinimum { limit, least, threads: options.threads });
        }
        let (lock, page_file) = match options.read_only {
            true => open_to_read(backend)?,
            false => open_to_write(backend, options)?,
        };
        let source = Arc::clone(&page_file) as Arc<dyn PageSource>;
        let pool = BufferPool::new(options.buffer_pool_bytes, source);
        forget_reused_pages(&page_file, &pool);
        let memory = MemoryAccountant::new(options.memory_limit);
        let codec = Arc::clone(page_file.codec());
        let spill = Arc::new(match &options.temp_directory {
            Some(folder) => SpillArea::below(folder, codec)?,
            None if backend.is_memory() => SpillArea::none(codec),
            None if options.read_only => SpillArea::below(&std::env::temp_dir(), codec)?,
            None => SpillArea::own(backend.shared(), codec),
        });
        Ok(Files { page_file, pool, memory, spill, pages_read_at_open: 0, _lock: lock })
    }

    pub fn page_file(&self) -> &Arc<PageFile> {
        &self.page_file
    }

    pub fn pool(&self) -> &BufferPool {
        &self.pool
    }

    /// What is held beside the pool.
    pub fn memory(&self) -> &MemoryAccountant {
        &self.memory
    }

    /// Where operators put rows aside.
    pub fn spill(&self) -> &Arc<SpillArea> {
        &self.spill
    }

    /// Pages that were read until the database could be used.
    pub fn pages_read_at_open(&self) -> u64 {
        self.pages_read_at_open
    }

    pub fn set_pages_read_at_open(&mut self) {
        self.pages_read_at_open = self.page_file.io_stats().pages_read;
    }

    /// The catalog of a database to which nothing was added yet.
    pub fn empty_catalog(&self) -> Catalog {
        let flags = self.page_file.header().flags;
        let dialect = if flags.kuzu_dialect { Dialect::Kuzu } else { Dialect::OpenCypher };
        let mode = if flags.flexible_schema { SchemaMode::Flexible } else { SchemaMode::Strict };
        Catalog::new(dialect, mode)
    }
}

/// The pool must not show what a page held before it was written again.
fn forget_reused_pages(page_file: &Arc<PageFile>, pool: &BufferPool) {
    // The pool reads through the page file: a strong handle here would keep both, and the open file, for ever.
    let (file, pool): (Weak<PageFile>, _) = (Arc::downgrade(page_file), pool.downgrade());
    page_file.set_on_reuse(move |run: PageRun| {
        if let Some(pool) = pool.upgrade()
            && let Err(error) = pool.discard(run.first, run.count)
            && let Some(file) = file.upgrade()
        {
            file.poison(format!("pages to be reused could not be dropped from the buffer pool: {error}"));
        }
    });
}

type Opened = (Box<dyn LockGuard>, Arc<PageFile>);

fn open_to_read(backend: &dyn StorageBackend) -> StorageResult<Opened> {
    if !backend.exists(FILE_NAME)? {
        return Err(missing(backend, "there is no database here to read"));
    }
    let lock = backend.lock(LOCK_FILE, LockKind::Shared)?;
    Ok((lock, PageFile::open(backend, Access::Read)?))
}

fn open_to_write(backend: &dyn StorageBackend, options: &EngineOptions) -> StorageResult<Opened> {
    if options.create {
        backend.create_dir("")?;
    } else if !backend.exists(FILE_NAME)? {
        return Err(missing(backend, "there is no database here"));
    }
    if !backend.exists(FILE_NAME)? {
        refuse_foreign(backend)?;
    }
    let lock = backend.lock(LOCK_FILE, LockKind::Exclusive)?;
    backend.create_dir(LOG_FOLDER)?;
    backend.create_dir(SPILL_FOLDER)?;
    if backend.exists(FILE_NAME)? {
        for name in backend.list(SPILL_FOLDER)? {
            // Left by a process that ended without closing.
            backend.remove(&format!("{SPILL_FOLDER}/{name}"))?;
        }
        return Ok((lock, PageFile::open(backend, Access::Write)?));
    }
    if !backend.list(LOG_FOLDER)?.is_empty() {
        return Err(missing(backend, "the page file is gone, but there is a log of it"));
    }
    let flags = HeaderFlags {
        flexible_schema: options.schema_mode == SchemaMode::Flexible,
        kuzu_dialect: options.dialect == Dialect::Kuzu,
    };
    let page_file = PageFile::create(backend, &CreateOptions { flags, ..CreateOptions::default() })?;
    Ok((lock, page_file))
}

/// A directory with files of something else does not become a database by a slip of the hand.
fn refuse_foreign(backend: &dyn StorageBackend) -> StorageResult<()> {
    let own = |name: &String| name == LOCK_FILE || name.starts_with(FILE_NAME);
    match backend.list("")?.into_iter().find(|name| !own(name)) {
        Some(name) => {
            let detail =
                format!("the directory is not a database and holds {name}: name a new or an empty one");
            Err(missing(backend, &detail))
        }
        None => Ok(()),
    }
}

fn missing(backend: &dyn StorageBackend, detail: &str) -> StorageError {
    let file = format!("{}/{FILE_NAME}", backend.location());
    StorageError::BadHeader { file, detail: detail.to_owned() }
}
