//! A database: opened once, used through any number of connections.

mod import;

use std::path::Path;
use std::sync::Arc;

use arc_swap::ArcSwapOption;

use crate::config::{Config, DatabaseBuilder};
use crate::connection::Connection;
use crate::error::{Error, ErrorKind, Result};
use crate::storage::backend::{MemoryBackend, StorageBackend};
use crate::storage::buffer_pool::{Accounted, BufferPoolStats};
use crate::storage::check::CheckReport;
use crate::storage::engine::{Engine, StorageStats};
use crate::transaction::ReadTransaction;

pub use import::{CsvImportConfig, ImportSummary};

/// The path of a database that lives in memory.
pub(crate) const IN_MEMORY: &str = ":memory:";

/// An open database.
///
/// Connections keep what they need: they go on working when the `Database` is dropped before them, and the files are
/// closed with the last of them. After [`close`](Database::close) every use of them is an error.
///
/// ```
/// # fn main() -> quiredb::Result<()> {
/// # let folder = tempfile::tempdir().unwrap();
/// # let path = folder.path().join("movies");
/// let database = quiredb::Database::open(&path)?;
/// let connection = database.connect()?;
/// connection.query("CREATE NODE TABLE Movie(title STRING, year INT64, PRIMARY KEY (title))")?;
/// database.close()?;
/// # Ok(())
/// # }
/// ```
pub struct Database {
    shared: Arc<Shared>,
    engine: Arc<Engine>,
}

/// What a database and its connections share.
pub(crate) struct Shared {
    /// None once the database is closed.
    engine: ArcSwapOption<Engine>,
    /// The newest version that a statement has seen, with the tables it has opened: the next statements find them
    /// open. Whoever commits puts the new version here, so that nothing older is held.
    newest: ArcSwapOption<ReadTransaction>,
    pub config: Config,
}

impl Shared {
    /// The engine, for as long as the caller needs it.
    pub fn engine(&self) -> Result<Arc<Engine>> {
        self.engine.load_full().ok_or_else(|| {
            Error::new(ErrorKind::Unavailable, "the database is closed")
                .compile()
                .with_hint("Open it again by Database::open")
        })
    }

    /// A transaction over the newest version.
    pub fn newest(&self, engine: &Engine) -> ReadTransaction {
        let snapshot = engine.snapshot();
        if let Some(known) = &*self.newest.load()
            && known.snapshot().is_same(&snapshot)
        {
            return ReadTransaction::clone(known);
        }
        let transaction = ReadTransaction::over(snapshot);
        self.newest.store(Some(Arc::new(transaction.clone())));
        transaction
    }

    /// After a commit: lets an older version go that nobody may ask for again.
    pub fn refresh(&self) {
        if let Some(engine) = &*self.engine.load()
            && let Some(known) = &*self.newest.load()
            && !known.snapshot().is_same(&engine.snapshot())
        {
            self.newest.store(None);
        }
    }
}

impl Drop for Shared {
    fn drop(&mut self) {
        self.newest.store(None);
        if let Some(engine) = self.engine.swap(None) {
            // Nobody is left who could be told; `Database::close` reports.
            let _ = engine.close();
        }
    }
}

impl Database {
    /// Opens the database of a directory, or makes one.
    pub fn open(path: impl AsRef<Path>) -> Result<Database> {
        Database::builder().open(path)
    }

    /// A database that lives in this process's memory and ends with it.
    pub fn in_memory() -> Result<Database> {
        Database::builder().in_memory()
    }

    /// Says how to open a database.
    pub fn builder() -> DatabaseBuilder {
        DatabaseBuilder::default()
    }

    pub(crate) fn open_with(path: &Path, config: Config) -> Result<Database> {
        config.check()?;
        let engine = match &config.backend {
            Some(backend) => Engine::open(&**backend, &config.engine_options())?,
            None if path == Path::new(IN_MEMORY) && config.read_only => {
                let message = "a database in memory starts empty, so it cannot be opened read-only";
                return Err(Error::new(ErrorKind::NotSupported, message).compile());
            }
            None if path == Path::new(IN_MEMORY) => {
                Engine::open(&MemoryBackend::new(), &config.engine_options())?
            }
            None => Engine::open(&*directory(path)?, &config.engine_options())?,
        };
        let open = ArcSwapOption::from(Some(Arc::clone(&engine)));
        let shared = Shared { engine: open, newest: ArcSwapOption::empty(), config };
        Ok(Database { shared: Arc::new(shared), engine })
    }

    /// A new connection. Cheap; many may be used at once.
    pub fn connect(&self) -> Result<Connection> {
        Ok(Connection::new(Arc::clone(&self.shared)))
    }

    /// Writes what was committed into pages, so that the log before is not needed any more. That happens by itself as
    /// well, by [`checkpoint_threshold`](DatabaseBuilder::checkpoint_threshold) and at the end.
    pub fn checkpoint(&self) -> Result<()> {
        self.shared.engine()?.checkpoint()?;
        self.shared.refresh();
        Ok(())
    }

    /// Makes everything durable that has been committed, whatever the durability mode.
    pub fn flush(&self) -> Result<()> {
        Ok(self.shared.engine()?.flush()?)
    }

    /// What the buffer pool holds and has done.
    pub fn buffer_pool_stats(&self) -> BufferPoolStats {
        self.engine.pool().stats()
    }

    /// Leaves the pool no more than `bytes` while the returned value lives: fewer than it may be opened with, so that
    /// tests see pages come and go in databases of a few.
    #[doc(hidden)]
    pub fn set_trial_pool(&self, bytes: u64) -> Result<Accounted> {
        let pool = self.engine.pool();
        Ok(pool.account("a trial", pool.limit_bytes().saturating_sub(bytes))?)
    }

    /// Numbers about files, pages and snapshots.
    pub fn storage_stats(&self) -> Result<StorageStats> {
        Ok(self.engine.storage_stats()?)
    }

    /// Reads and verifies every page. What is wrong stands in the report; an error means that nothing could be
    /// checked.
    pub fn check(&self) -> Result<CheckReport> {
        Ok(self.engine.check()?)
    }

    /// Waits for the statement that writes, if any, makes sure that nothing is left to be written, and lets the files
    /// go. Dropping the last handle does the same and cannot report.
    pub fn close(self) -> Result<()> {
        self.shared.engine.store(None);
        self.shared.newest.store(None);
        Ok(self.engine.close()?)
    }
}

#[cfg(unix)]
fn directory(path: &Path) -> Result<Box<dyn StorageBackend>> {
    Ok(Box::new(crate::storage::backend::PosixBackend::new(path)))
}

#[cfg(not(unix))]
fn directory(_: &Path) -> Result<Box<dyn StorageBackend>> {
    let message = "databases on disk are not supported on this operating system yet";
    Err(Error::new(ErrorKind::NotSupported, message).with_hint("Database::in_memory works everywhere"))
}
