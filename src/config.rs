//! How a database is opened: `Database::builder()` and the values it takes.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use crate::catalog::{Dialect, SchemaMode};
use crate::database::Database;
use crate::error::{Error, ErrorKind, Result};
use crate::storage::backend::StorageBackend;
use crate::storage::engine::{
    DEFAULT_CHECKPOINT_THRESHOLD, DEFAULT_INTENT_SHARE, DEFAULT_LOCK_WAIT, EngineOptions, RecoveryProgress,
    default_buffer_pool_bytes, default_memory_limit,
};
use crate::storage::wal::WalConfig;

pub use crate::storage::engine::DurabilityMode;
use crate::types::{NODE_GROUP_ROWS, VECTOR_SIZE};

/// Which files statements may touch.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum FileAccess {
    /// None: COPY fails.
    None,
    /// Files may be read (COPY FROM).
    Read,
    /// Files may be read and written.
    #[default]
    All,
}

/// The values of a builder.
#[derive(Clone)]
pub(crate) struct Config {
    pub buffer_pool_bytes: u64,
    pub memory_limit: u64,
    pub threads: usize,
    pub durability: DurabilityMode,
    pub checkpoint_threshold: u64,
    pub wal: WalConfig,
    pub lock_wait: Duration,
    pub intent_share: usize,
    pub recovery_progress: RecoveryProgress,
    pub read_only: bool,
    pub schema_mode: SchemaMode,
    pub dialect: Dialect,
    pub query_timeout: Option<Duration>,
    pub temp_directory: Option<PathBuf>,
    pub file_access: FileAccess,
    pub vector_size: usize,
    pub small_load_rows: u64,
    pub backend: Option<Arc<dyn StorageBackend>>,
}

impl Default for Config {
    fn default() -> Config {
        Config {
            buffer_pool_bytes: default_buffer_pool_bytes(),
            memory_limit: default_memory_limit(),
            threads: std::thread::available_parallelism().map_or(1, |count| count.get()),
            durability: DurabilityMode::default(),
            checkpoint_threshold: DEFAULT_CHECKPOINT_THRESHOLD,
            wal: WalConfig::default(),
            lock_wait: DEFAULT_LOCK_WAIT,
            intent_share: DEFAULT_INTENT_SHARE,
            recovery_progress: RecoveryProgress::default(),
            read_only: false,
            schema_mode: SchemaMode::default(),
            dialect: Dialect::default(),
            query_timeout: None,
            temp_directory: None,
            file_access: FileAccess::default(),
            vector_size: VECTOR_SIZE,
            small_load_rows: NODE_GROUP_ROWS,
            backend: None,
        }
    }
}

impl Config {
    /// The part that storage goes by.
    pub fn engine_options(&self) -> EngineOptions {
        EngineOptions {
            buffer_pool_bytes: self.buffer_pool_bytes,
            memory_limit: self.memory_limit,
            threads: self.threads,
            read_only: self.read_only,
            create: !self.read_only,
            dialect: self.dialect,
            schema_mode: self.schema_mode,
            durability: self.durability,
            wal: self.wal.clone(),
            checkpoint_threshold: self.checkpoint_threshold,
            lock_wait: self.lock_wait,
            intent_share: self.intent_share,
            recovery_progress: self.recovery_progress.clone(),
            temp_directory: self.temp_directory.clone(),
        }
    }

    /// Values that cannot work together.
    pub fn check(&self) -> Result<()> {
        if self.schema_mode == SchemaMode::Flexible {
            let message = "databases without a declared schema are not supported yet";
            return Err(Error::new(ErrorKind::NotSupported, message)
                .with_hint("Leave schema_mode at Strict and declare tables by CREATE NODE TABLE"));
        }
        Ok(())
    }
}

/// Says how to open a database, then opens it.
///
/// ```
/// # fn main() -> quiredb::Result<()> {
/// use std::time::Duration;
/// let database = quiredb::Database::builder()
///     .buffer_pool_size(64 << 20)
///     .threads(2)
///     .query_timeout(Duration::from_secs(30))
///     .in_memory()?;
/// assert_eq!(database.buffer_pool_stats().limit_bytes, 64 << 20);
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Default)]
#[must_use = "a builder does nothing until it opens a database"]
pub struct DatabaseBuilder {
    config: Config,
}

impl DatabaseBuilder {
    /// Most bytes of pages held in memory; never exceeded. The default is a quarter of what the machine or the
    /// container has, the least 4 MiB per thread. Queries over many tables at once need a few MiB more than that and
    /// end with an error that says so.
    pub fn buffer_pool_size(mut self, bytes: u64) -> Self {
        self.config.buffer_pool_bytes = bytes;
        self
    }

    /// Most bytes that queries, loads and changes that no checkpoint has written yet may hold together, beside the
    /// buffer pool. Queries that need more write to `tmp/`; changes may take half of it. The default is half of what
    /// the machine or the container has.
    pub fn memory_limit(mut self, bytes: u64) -> Self {
        self.config.memory_limit = bytes;
        self
    }

    /// Most threads that one statement uses; the default is one per core.
    pub fn threads(mut self, threads: usize) -> Self {
        self.config.threads = threads.max(1);
        self
    }

    /// When a commit counts as durable.
    pub fn durability(mut self, mode: DurabilityMode) -> Self {
        self.config.durability = mode;
        self
    }

    /// Bytes of log, or of changes in memory, after which a checkpoint starts by itself; 0 means never, unless changes
    /// reach their share of the memory limit.
    pub fn checkpoint_threshold(mut self, bytes: u64) -> Self {
        self.config.checkpoint_threshold = bytes;
        self
    }

    /// How the log is kept: the size of its segments, and when buffered commits are synced.
    pub fn wal_config(mut self, config: WalConfig) -> Self {
        self.config.wal = config;
        self
    }

    /// How long a statement waits for another transaction that is in its way, unless it has a timeout of its own. The
    /// default is 30 seconds.
    pub fn lock_timeout(mut self, limit: Duration) -> Self {
        self.config.lock_wait = limit;
        self
    }

    /// How many rows, keys and ends of relationships a transaction announces to others one by one. One that changes more
    /// takes whole tables for itself. The default is 1,048,576.
    pub fn intent_limit(mut self, count: usize) -> Self {
        self.config.intent_share = count;
        self
    }

    /// What is called while the log is replayed at open: bytes that were read, and all of them.
    pub fn recovery_progress(mut self, callback: impl Fn(u64, u64) + Send + Sync + 'static) -> Self {
        self.config.recovery_progress = RecoveryProgress(Some(Arc::new(callback)));
        self
    }

    /// Nothing is written, and other readers may have the database open as well. It must exist.
    pub fn read_only(mut self, read_only: bool) -> Self {
        self.config.read_only = read_only;
        self
    }

    /// Whether tables must be declared. Counts when the database is made.
    pub fn schema_mode(mut self, mode: SchemaMode) -> Self {
        self.config.schema_mode = mode;
        self
    }

    /// How texts are read where openCypher and Kuzu's Cypher differ. Counts when the database is made; a
    /// connection may choose for itself by `CALL dialect = 'kuzu'`.
    pub fn dialect(mut self, dialect: Dialect) -> Self {
        self.config.dialect = dialect;
        self
    }

    /// How long a statement may run, unless its connection says otherwise.
    pub fn query_timeout(mut self, limit: Duration) -> Self {
        self.config.query_timeout = Some(limit);
        self
    }

    /// Where queries that need more than the memory limit put rows aside, in a folder of their own that is removed at
    /// the end. The default is `tmp/` of the database, the system's folder for temporary files where the database is
    /// open for reading only, and nowhere for a database in memory.
    pub fn temp_directory(mut self, path: impl Into<PathBuf>) -> Self {
        self.config.temp_directory = Some(path.into());
        self
    }

    /// Which files statements may touch.
    pub fn file_access(mut self, access: FileAccess) -> Self {
        self.config.file_access = access;
        self
    }

    /// Rows that operators pass on at once. Answers do not depend on it; tests run with tiny ones.
    #[doc(hidden)]
    pub fn vector_size(mut self, rows: usize) -> Self {
        self.config.vector_size = rows.clamp(1, usize::from(u16::MAX));
        self
    }

    /// A COPY of fewer rows goes through the log as CREATE does, one of more writes pages; tests let few be many.
    #[doc(hidden)]
    pub fn small_load_rows(mut self, rows: u64) -> Self {
        self.config.small_load_rows = rows.min(NODE_GROUP_ROWS);
        self
    }

    /// Where the files live instead of a directory. `open`'s path is not looked at.
    #[cfg(feature = "testing")]
    pub fn backend(mut self, backend: Arc<dyn StorageBackend>) -> Self {
        self.config.backend = Some(backend);
        self
    }

    /// Opens the database of a directory, or makes one. `:memory:` means [`in_memory`](Self::in_memory).
    pub fn open(self, path: impl AsRef<Path>) -> Result<Database> {
        Database::open_with(path.as_ref(), self.config)
    }

    /// A database that lives in this process's memory and ends with it.
    pub fn in_memory(self) -> Result<Database> {
        Database::open_with(Path::new(crate::database::IN_MEMORY), self.config)
    }
}
