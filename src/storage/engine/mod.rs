//! The door to storage: opening a database, snapshots of it, and commits, one at a time. A commit writes new pages
//! and switches the root; whoever holds a snapshot goes on reading what that names.

mod base;
mod checkpoint;
mod commit;
mod commit_base;
mod gate;
mod intents;
mod kept;
mod level_memory;
mod log;
mod maintenance;
mod offsets;
mod options;
mod order;
mod serials;
mod staged_fold;
mod stats;
mod sync;
#[cfg(test)]
mod tests;
mod unique;
mod write_turn;

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

use arc_swap::ArcSwap;
use parking_lot::Mutex;

use super::StorageResult;
use super::backend::{MemoryBackend, StorageBackend};
use super::buffer_pool::BufferPool;
use super::check::{CheckReport, check};
use super::files::Files;
use super::memory::{MemoryClass, Reservation};
use super::page::PageFile;
use super::state::{Snapshot, State};
use crate::types::TableId;

pub use base::{BaseStep, LoadedRows, StagedLoad};
pub use gate::{Area, Busy, Pass, Passage, Passes};
pub use intents::{Conflict, Hold, Intent, Intents, Registered};
pub use offsets::Offsets;
pub use options::{
    DEFAULT_CHECKPOINT_THRESHOLD, DEFAULT_INTENT_SHARE, DEFAULT_LOCK_WAIT, DurabilityMode, EngineOptions,
    RecoveryProgress, default_buffer_pool_bytes, default_memory_limit,
};
pub use serials::Serials;
pub use staged_fold::StagedFold;
pub use stats::StorageStats;
pub use unique::{UniqueIndex, UniqueIndexes, UniqueValues};
pub use write_turn::{CommitChanges, WriteTurn};

use checkpoint::Cut;
use commit::Commits;
use gate::Gate;
use kept::KeptLevels;
use log::Log;
use maintenance::Maintenance;
use write_turn::Turns;

/// An open database. All methods may be called from several threads.
pub struct Engine {
    /// For the background thread, which must not keep the engine.
    myself: Weak<Engine>,
    state: ArcSwap<State>,
    /// All states that somebody may still read, the current one last.
    states: Mutex<States>,
    gate: Arc<Gate>,
    turns: Turns,
    intents: Intents,
    offsets: Offsets,
    serials: Serials,
    unique_indexes: UniqueIndexes,
    commits: Commits,
    kept_levels: KeptLevels,
    log: Log,
    /// The version of the newest bulk load or definition.
    alone: AtomicU64,
    maintenance: Maintenance,
    /// The cut of the frozen level.
    frozen_at: Mutex<Option<Cut>>,
    checkpoint_threshold: u64,
    /// What had been logged when the last checkpoint began.
    logged_at_checkpoint: AtomicU64,
    checkpoints: AtomicU64,
    /// How often commits were merged into the active level.
    level_merges: AtomicU64,
    /// Patches that checkpoints wrote beside chunks.
    patches: AtomicU64,
    /// Groups of rows and of lists that large transactions have written before their commit.
    early_groups: AtomicU64,
    /// What the levels of the newest state take.
    level_memory: Mutex<Reservation>,
    lock_wait: Duration,
    intent_share: usize,
    files: Arc<Files>,
}

impl Engine {
    /// Opens the database of a directory, or makes one, and replays what the log has beyond the pages.
    pub fn open(backend: &dyn StorageBackend, options: &EngineOptions) -> StorageResult<Arc<Engine>> {
        let mut files = Files::open(backend, options)?;
        files.set_pages_read_at_open();
        let files = Arc::new(files);
        let (log, replayed) = Log::open(backend, files.page_file(), options)?;
        files.page_file().recover_roots(replayed.roots)?;
        let mut state = State::open(Arc::clone(&files))?;
        let version = replayed.version.max(state.version());
        if !replayed.delta.is_empty() || version > state.version() {
            state = state.recovered(replayed.delta, version);
        }
        let state = Arc::new(state);
        let mut level_memory = files.memory().reservation(MemoryClass::Layers);
        level_memory.force(state.change_bytes());
        Ok(Arc::new_cyclic(|myself| Engine {
            myself: Weak::clone(myself),
            states: Mutex::new(States { all: vec![Arc::downgrade(&state)], looked_through_at: STATES_MIN }),
            state: ArcSwap::new(state),
            gate: Arc::default(),
            turns: Turns::default(),
            intents: Intents::default(),
            offsets: Offsets::default(),
            serials: Serials::default(),
            unique_indexes: UniqueIndexes::default(),
            kept_levels: KeptLevels::default(),
            commits: Commits::new(version, replayed.last_transaction, replayed.end),
            log,
            alone: AtomicU64::new(0),
            maintenance: Maintenance::new(options),
            frozen_at: Mutex::new(None),
            checkpoint_threshold: options.checkpoint_threshold,
            logged_at_checkpoint: AtomicU64::new(0),
            checkpoints: AtomicU64::new(0),
            level_merges: AtomicU64::new(0),
            patches: AtomicU64::new(0),
            early_groups: AtomicU64::new(0),
            level_memory: Mutex::new(level_memory),
            lock_wait: options.lock_wait,
            intent_share: options.intent_share,
            files,
        }))
    }

    /// A database that lives in this process's memory and ends with it.
    pub fn in_memory(options: &EngineOptions) -> StorageResult<Arc<Engine>> {
        Engine::open(&MemoryBackend::new(), options)
    }

    /// The newest version, to be read for as long as the snapshot lives. One counted load.
    pub fn snapshot(&self) -> Snapshot {
        Snapshot(self.state.load_full())
    }

    /// The frames through which pages are read.
    pub fn pool(&self) -> &BufferPool {
        self.files.pool()
    }

    /// The page file.
    pub fn page_file(&self) -> &Arc<PageFile> {
        self.files.page_file()
    }

    /// How long somebody waits for others that are in the way, unless told otherwise.
    pub fn lock_wait(&self) -> Duration {
        self.lock_wait
    }

    /// What writing transactions mean to change.
    pub fn intents(&self) -> &Intents {
        &self.intents
    }

    /// Offsets for rows that are being made.
    pub fn offsets(&self) -> &Offsets {
        &self.offsets
    }

    /// Numbers of SERIAL columns.
    pub fn serials(&self) -> &Serials {
        &self.serials
    }

    /// Where values of UNIQUE columns may stand.
    pub fn unique_indexes(&self) -> &UniqueIndexes {
        &self.unique_indexes
    }

    /// The first of `count` offsets of a table that nobody else gets.
    pub fn reserve_offsets(&self, table: TableId, count: u64) -> StorageResult<u64> {
        self.offsets.reserve(table, count, || {
            let state = self.snapshot();
            let changes = state.changes_of(table);
            let above = changes.iter().map(|table| table.row_bound());
            Ok(above.max().unwrap_or(0).max(state.table_record(table)?.row_bound))
        })
    }

    /// Registers a writing transaction and gives it the newest version. Whoever calls this ends it at `intents`.
    pub fn register(&self) -> (Registered, Snapshot) {
        let mut registered = self.intents.register(|| self.state.load().version());
        // Loaded after the registration: what is older than this is remembered no longer.
        let snapshot = self.snapshot();
        registered.set_snapshot(snapshot.version());
        (registered, snapshot)
    }

    /// Lets a writing transaction in, which holds the pass to its end: no bulk load and no definition comes meanwhile.
    pub fn pass_writing(&self, wait: Option<Duration>) -> StorageResult<Pass> {
        self.page_file().check_writable()?;
        self.gate.pass(Passage::Shared, Some(wait.unwrap_or(self.lock_wait)), super::page::FILE_NAME)
    }

    /// What a writing transaction holds of the tables before it has any.
    pub fn no_passes(&self) -> Passes {
        Passes::of(&self.gate)
    }

    /// Waits for areas, by turns; done before there is a snapshot, so nothing can have come between.
    pub fn wait_for_areas(
        &self,
        wanted: &[(Area, Passage)],
        wait: Option<Duration>,
    ) -> StorageResult<Passes> {
        let deadline = Instant::now().checked_add(wait.unwrap_or(self.lock_wait));
        Passes::wait_for(&self.gate, wanted, deadline, &self.location())
    }

    /// How many things a transaction announces one by one; beyond that it wants whole tables.
    pub fn intent_share(&self) -> usize {
        self.intent_share
    }

    /// Whether a bulk load or a definition has come after the snapshot, so that no transaction over it may write.
    pub fn is_outdated(&self, snapshot: &Snapshot) -> bool {
        self.alone.load(Ordering::SeqCst) > snapshot.version()
    }

    /// Waits for the turn to write pages, at most `wait` if given, and for all writing transactions. Nothing is
    /// reserved or written yet.
    pub fn begin_write(self: &Arc<Self>, wait: Option<Duration>) -> StorageResult<WriteTurn> {
        WriteTurn::begin(self, wait)
    }

    /// Reads and verifies every page, and that each is either reachable once or free. Waits for writers, as long as
    /// `lock_wait` says.
    pub fn check(self: &Arc<Self>) -> StorageResult<CheckReport> {
        let _alone = self.gate.pass(Passage::Exclusive, Some(self.lock_wait), &self.location())?;
        let _turn = self.turns.take(None, &self.location())?;
        check(&self.snapshot())
    }

    /// Makes everything durable that has been committed, whatever the mode.
    pub fn flush(&self) -> StorageResult<()> {
        match self.log.started() {
            Some(writer) => writer.flush().map(|_| ()),
            None => Ok(()),
        }
    }

    /// Ends the use of the database for writing: waits for commits and bulk loads that are under way, rolls other open
    /// transactions back, and makes sure that nothing is left to be made durable. Snapshots stay readable, and the
    /// lock is let go with the last of them and the engine.
    pub fn close(self: &Arc<Self>) -> StorageResult<()> {
        self.maintenance.stop();
        self.gate.close();
        self.commits.close();
        let _turn = self.turns.take(None, &self.location())?;
        self.turns.close();
        self.flush()?;
        // A database in memory ends here; one that may not be written has nothing of its own.
        if self.page_file().is_memory() || self.page_file().check_writable().is_err() {
            return Ok(());
        }
        self.checkpoint_in_turn(true)?;
        self.log.retire()
    }

    /// Numbers about files, pages and snapshots.
    pub fn storage_stats(&self) -> StorageResult<StorageStats> {
        StorageStats::gather(self)
    }

    fn location(&self) -> String {
        super::page::FILE_NAME.to_owned()
    }

    fn publish(&self, state: State) {
        self.count_levels(&state);
        let state = Arc::new(state);
        self.states.lock().add(&state);
        self.state.store(state);
    }
}

/// States that are looked through at once for those that nobody reads any more, at least.
const STATES_MIN: usize = 32;

/// See `Engine::states`.
struct States {
    all: Vec<Weak<State>>,
    /// How many there may be until they are looked through.
    looked_through_at: usize,
}

impl States {
    fn add(&mut self, state: &Arc<State>) {
        if self.all.len() >= self.looked_through_at {
            self.all.retain(|state| state.strong_count() > 0);
            self.looked_through_at = (self.all.len() * 2).max(STATES_MIN);
        }
        self.all.push(Arc::downgrade(state));
    }
}
