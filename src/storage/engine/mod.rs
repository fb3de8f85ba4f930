//! The door to storage: opening a database, snapshots of it, and commits, one at a time. A commit writes new pages
//! and switches the root; whoever holds a snapshot goes on reading what that names.

mod gate;
mod intents;
mod offsets;
mod options;
mod stats;
#[cfg(test)]
mod tests;
mod write_turn;

use std::sync::{Arc, Weak};
use std::time::Duration;

use arc_swap::ArcSwap;
use parking_lot::Mutex;

use super::StorageResult;
use super::backend::{MemoryBackend, StorageBackend};
use super::buffer_pool::BufferPool;
use super::check::{CheckReport, check};
use super::files::Files;
use super::page::PageFile;
use super::state::{Snapshot, State};

pub use intents::{Conflict, Hold, Intent, Intents, Registered};
pub use offsets::Offsets;
pub use options::{EngineOptions, default_buffer_pool_bytes};
pub use stats::StorageStats;
pub use write_turn::{CommitChanges, WriteTurn};

use write_turn::Turns;

/// An open database. All methods may be called from several threads.
pub struct Engine {
    state: ArcSwap<State>,
    /// All states that somebody may still read, the current one last.
    states: Mutex<Vec<Weak<State>>>,
    turns: Turns,
    files: Arc<Files>,
}

impl Engine {
    /// Opens the database of a directory, or makes one.
    pub fn open(backend: &dyn StorageBackend, options: &EngineOptions) -> StorageResult<Arc<Engine>> {
        let mut files = Files::open(backend, options)?;
        files.set_pages_read_at_open();
        let files = Arc::new(files);
        let state = Arc::new(State::open(Arc::clone(&files))?);
        let states = Mutex::new(vec![Arc::downgrade(&state)]);
        Ok(Arc::new(Engine { state: ArcSwap::new(state), states, turns: Turns::default(), files }))
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

    /// Waits for the turn to write, at most `wait` if given. Nothing is reserved or written yet.
    pub fn begin_write(self: &Arc<Self>, wait: Option<Duration>) -> StorageResult<WriteTurn> {
        WriteTurn::begin(self, wait)
    }

    /// Reads and verifies every page, and that each is either reachable once or free. Waits for writers.
    pub fn check(self: &Arc<Self>) -> StorageResult<CheckReport> {
        let _turn = self.turns.take(None, &self.location())?;
        check(&self.snapshot())
    }

    /// Ends the use of the database for writing: waits for the writer and makes sure that nothing is left to be
    /// made durable. Snapshots stay readable, and the lock is let go with the last of them and the engine.
    pub fn close(&self) -> StorageResult<()> {
        let _turn = self.turns.take(None, &self.location())?;
        self.turns.close();
        Ok(())
    }

    /// Numbers about files, pages and snapshots.
    pub fn storage_stats(&self) -> StorageResult<StorageStats> {
        StorageStats::gather(self)
    }

    fn location(&self) -> String {
        super::page::FILE_NAME.to_owned()
    }

    fn publish(&self, state: State) {
        let state = Arc::new(state);
        let mut states = self.states.lock();
        states.retain(|state| state.strong_count() > 0);
        states.push(Arc::downgrade(&state));
        self.state.store(state);
    }
}
