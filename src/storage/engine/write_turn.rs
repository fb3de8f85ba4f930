//! Writing: one turn at a time, from the snapshot it starts from to the root switch that publishes it.

use std::sync::atomic::Ordering;
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use parking_lot::{Condvar, Mutex};

use super::Engine;
use super::gate::{Pass, Passage};
use crate::catalog::{Catalog, Statistics, encode_catalog, encode_statistics};
use crate::storage::directory::TableChange;
use crate::storage::files::Files;
use crate::storage::page::{Lsn, Root, RootChange, WriteBatch};
use crate::storage::state::{BaseParts, Snapshot, State};
use crate::storage::{StorageError, StorageResult};
use crate::types::TableId;

/// What a commit changes. What is left out stays as it is.
#[derive(Debug, Default)]
pub struct CommitChanges {
    pub catalog: Option<Catalog>,
    pub statistics: Option<Statistics>,
    /// At most one change per table.
    pub tables: Vec<TableChange>,
    /// Tables whose pages are given back; the catalog no longer has them.
    pub dropped: Vec<TableId>,
}

impl CommitChanges {
    /// Whether nothing would change.
    pub fn is_empty(&self) -> bool {
        self.catalog.is_none()
            && self.statistics.is_none()
            && self.tables.is_empty()
            && self.dropped.is_empty()
    }
}

/// The turn to write. Dropped without a commit it gives all its pages back and the database is as before.
pub struct WriteTurn {
    engine: Arc<Engine>,
    /// The newest version; nobody else can make a newer one during the turn.
    snapshot: Snapshot,
    batch: Option<WriteBatch>,
    /// Keeps writing transactions out; given back after the turn.
    _alone: Pass,
}

impl WriteTurn {
    pub(super) fn begin(engine: &Arc<Engine>, wait: Option<Duration>) -> StorageResult<WriteTurn> {
        engine.page_file().check_writable()?;
        let wait = wait.unwrap_or(engine.lock_wait);
        let deadline = Instant::now().checked_add(wait);
        let alone = engine.gate.pass(Passage::Exclusive, Some(wait), &engine.location())?;
        // The ticket is given back by the drop of the turn.
        let left = deadline.map_or(wait, |deadline| deadline.saturating_duration_since(Instant::now()));
        engine.turns.take(Some(left), &engine.location())?.keep();
        let mut turn =
            WriteTurn { engine: Arc::clone(engine), snapshot: engine.snapshot(), batch: None, _alone: alone };
        // From here on the base is all there is: nobody commits beside the turn.
        engine.checkpoint_in_turn(false)?;
        turn.snapshot = engine.snapshot();
        turn.batch = Some(turn.engine.page_file().begin_batch()?);
        Ok(turn)
    }

    /// The version that the turn starts from.
    pub fn snapshot(&self) -> &Snapshot {
        &self.snapshot
    }

    /// Where pages are written that the commit will name. Several threads may write at once.
    pub fn batch(&self) -> StorageResult<&WriteBatch> {
        self.batch.as_ref().ok_or(StorageError::ReadOnly)
    }

    /// The engine that is written to.
    pub fn engine(&self) -> &Arc<Engine> {
        &self.engine
    }

    /// Makes the changes durable and visible, all of them or none. Gives the new version.
    pub fn commit(mut self, changes: CommitChanges) -> StorageResult<Snapshot> {
        let Some(batch) = self.batch.take() else { return Err(StorageError::ReadOnly) };
        if changes.is_empty() && batch.page_count() == 0 {
            return Ok(self.snapshot.clone());
        }
        let engine = &self.engine;
        let version = engine.commits.next_version();
        let checkpoint = engine.page_file().header().checkpoint;
        let state = switch(&self.snapshot, &engine.files, batch, changes, version, checkpoint)?;
        let _linking = engine.commits.linked();
        engine.commits.took_version(version);
        engine.alone.store(version, Ordering::SeqCst);
        engine.offsets.forget();
        engine.serials.forget();
        engine.publish(state);
        Ok(engine.snapshot())
    }
}

/// Writes what leads to the pages of a batch and puts them in force as `version`, over the base that `base` reads.
/// Replay will start at `checkpoint`. Gives the state that has no levels of changes.
pub(super) fn switch(
    base: &State,
    files: &Arc<Files>,
    batch: WriteBatch,
    changes: CommitChanges,
    version: u64,
    checkpoint: Lsn,
) -> StorageResult<State> {
    let CommitChanges { catalog, statistics, tables, dropped } = changes;
    let page_file = files.page_file();
    let mut retired = Vec::new();
    let directory = base.directory().with_changes(&tables, &dropped, &**page_file, &batch, &mut retired)?;
    let mut root = Root { table_directory: directory.top(), ..*base.root() };
    root.commit_version = version;
    let catalog = match catalog {
        Some(catalog) => {
            root.catalog = batch.write_extent(&encode_catalog(&catalog))?;
            Arc::new(catalog)
        }
        None => Arc::clone(base.catalog()),
    };
    root.catalog_version = catalog.version();
    root.next_table_id = u64::from(catalog.next_table_id());
    root.next_column_id = u64::from(catalog.next_column_id());
    let statistics = match statistics {
        Some(statistics) => {
            root.statistics = batch.write_extent(&encode_statistics(&statistics))?;
            OnceLock::from(Arc::new(statistics))
        }
        None => base.loaded_statistics(),
    };
    page_file.switch_root(batch, RootChange { root, retired, checkpoint })?;
    Ok(State::over_new_root(files, BaseParts { catalog, statistics, directory }))
}

impl Drop for WriteTurn {
    fn drop(&mut self) {
        // Pages go back before the next writer begins.
        self.batch = None;
        self.engine.turns.give_back();
    }
}

/// Who may write.
#[derive(Default)]
pub(super) struct Turns {
    state: Mutex<TurnState>,
    given_back: Condvar,
}

#[derive(Default)]
struct TurnState {
    taken: bool,
    closed: bool,
}

/// A turn within a function.
pub(super) struct Ticket<'t> {
    turns: &'t Turns,
    kept: bool,
}

impl Turns {
    pub fn take(&self, wait: Option<Duration>, path: &str) -> StorageResult<Ticket<'_>> {
        let deadline = wait.and_then(|wait| Instant::now().checked_add(wait));
        let mut state = self.state.lock();
        while state.taken {
            let late = match deadline {
                Some(deadline) => self.given_back.wait_until(&mut state, deadline).timed_out(),
                None => {
                    self.given_back.wait(&mut state);
                    false
                }
            };
            if late && state.taken {
                let holder = "another writing statement of this process".to_owned();
                return Err(StorageError::Locked { path: path.to_owned(), holder });
            }
        }
        if state.closed {
            return Err(StorageError::Poisoned { reason: "it was closed".to_owned() });
        }
        state.taken = true;
        Ok(Ticket { turns: self, kept: false })
    }

    pub fn give_back(&self) {
        self.state.lock().taken = false;
        self.given_back.notify_one();
    }

    /// No turn is given any more.
    pub fn close(&self) {
        self.state.lock().closed = true;
    }
}

impl Ticket<'_> {
    /// The turn outlives the function; its owner gives it back.
    pub fn keep(mut self) {
        self.kept = true;
    }
}

impl Drop for Ticket<'_> {
    fn drop(&mut self) {
        if !self.kept {
            self.turns.give_back();
        }
    }
}
