//! Checkpoints: the active level is frozen at one version, folded into pages, and a root switch puts them in force
//! together with the place in the log where replay starts. Readers and writers go on; only the freeze and the
//! publication hold up commits, each for the making of one state. What fails before the switch is tried again with
//! the same frozen level.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use super::Engine;
use super::write_turn::{CommitChanges, switch};
use crate::storage::StorageResult;
use crate::storage::delta::Delta;
use crate::storage::directory::TableChange;
use crate::storage::page::Lsn;
use crate::storage::state::{Levels, Snapshot, State};
use crate::storage::table::fold::fold_level;
use crate::types::DataType;

/// Commits wait for a checkpoint when the log, or the level in memory, is this many times the threshold.
const BACK_PRESSURE: u64 = 4;

/// The bytes of a level are counted as they were put in, each row by itself; merged parts take far less.
const MEMORY_PER_LOGGED_BYTE: u64 = 4;

/// The cut that the frozen level ends with.
#[derive(Debug, Clone, Copy)]
pub(super) struct Cut {
    /// The newest version in it.
    version: u64,
    /// The end of its record.
    end: Lsn,
    /// What had been logged by then.
    logged: u64,
}

impl Engine {
    /// Writes what commits have changed into pages, so that the log before is not needed any more.
    pub fn checkpoint(&self) -> StorageResult<()> {
        let _turn = self.turns.take(None, &self.location())?;
        self.checkpoint_in_turn(false)
    }

    /// The same for the holder of the turn. At the `last` one nobody commits any more, and the header says that no log is
    /// needed.
    pub(super) fn checkpoint_in_turn(&self, last: bool) -> StorageResult<()> {
        // What was frozen by an attempt that failed comes first, then what was committed since. What is committed
        // meanwhile is left to the next checkpoint.
        let had_failed = self.state.load().levels().frozen.is_some();
        for _ in 0..1 + usize::from(had_failed) {
            if let Some((snapshot, level, cut)) = self.freeze()? {
                self.write_frozen(&snapshot, &level, cut, last)?;
            }
        }
        Ok(())
    }

    /// The level to be written, over the state that it was frozen in. None when the base is all there is.
    fn freeze(&self) -> StorageResult<Option<(Snapshot, Arc<Delta>, Cut)>> {
        self.page_file().check_writable()?;
        let linked = self.commits.linked();
        let state = self.state.load_full();
        let levels = state.levels();
        let mut frozen_at = self.frozen_at.lock();
        if let (Some(frozen), Some(cut)) = (&levels.frozen, *frozen_at) {
            return Ok(Some((Snapshot(Arc::clone(&state)), Arc::clone(frozen), cut)));
        }
        if levels.active.is_empty() && !self.page_file().is_ahead() {
            return Ok(None);
        }
        let cut = Cut { version: state.version(), end: linked.end, logged: self.log.logged_bytes() };
        let frozen = state.frozen();
        let level = Arc::clone(&state.levels().active);
        *frozen_at = Some(cut);
        self.publish(frozen);
        Ok(Some((self.snapshot(), level, cut)))
    }

    fn write_frozen(
        &self,
        snapshot: &Snapshot,
        level: &Arc<Delta>,
        mut cut: Cut,
        last: bool,
    ) -> StorageResult<()> {
        // Pages must not hold what the log could still lose.
        self.flush()?;
        let is_all = self.state.load().levels().active.is_empty();
        if last && is_all {
            cut.end = self.log.next_beginning()?;
        }
        let batch = self.page_file().begin_batch()?;
        let folded = fold_level(snapshot, level, &batch)?;
        let (mut tables, patches) = (folded.tables, folded.counters.patches);
        tables.iter_mut().try_for_each(|change| keep_serials_in_step(snapshot, change))?;
        let changes =
            CommitChanges { statistics: Some(folded.statistics), tables, ..CommitChanges::default() };
        let state = switch(snapshot, &self.files, batch, changes, cut.version, cut.end)?;
        {
            let _linking = self.commits.linked();
            let current = self.state.load_full();
            let levels = Levels { frozen: None, ..current.levels().clone() };
            self.publish(state.with_levels(levels, current.version()));
            *self.frozen_at.lock() = None;
        }
        self.logged_at_checkpoint.store(cut.logged, Ordering::Relaxed);
        self.checkpoints.fetch_add(1, Ordering::Relaxed);
        self.patches.fetch_add(patches, Ordering::Relaxed);
        // A header that could not be written twice may still be the older one.
        if let Some(log) = self.log.started()
            && self.page_file().check_writable().is_ok()
        {
            // What stays behind is removed by the next checkpoint.
            let _ = log.remove_segments_before(cut.end.segment);
        }
        Ok(())
    }

    /// Bytes that were logged since the last checkpoint began, or what the active level takes by a generous count, or
    /// what only a checkpoint makes free again.
    fn since_checkpoint(&self, state: &State) -> u64 {
        let logged =
            self.log.logged_bytes().saturating_sub(self.logged_at_checkpoint.load(Ordering::Relaxed));
        let memory = state.active_bytes() / MEMORY_PER_LOGGED_BYTE;
        logged.max(memory).max(self.page_file().bytes_retired_ahead())
    }

    /// Whether it is time for a checkpoint.
    pub(super) fn checkpoint_is_due(&self) -> bool {
        self.lags_by(1) || self.levels_press()
    }

    /// Before a commit: helps, or waits for, a checkpoint that lags too far behind.
    pub(super) fn relieve(&self) -> StorageResult<()> {
        let lags = || self.lags_by(BACK_PRESSURE) || self.levels_are_full();
        if !lags() {
            return Ok(());
        }
        let _turn = self.turns.take(None, &self.location())?;
        // Somebody else may have done it meanwhile.
        match lags() {
            true => self.checkpoint_in_turn(false),
            false => Ok(()),
        }
    }

    /// Whether so many times the threshold has come together; never where there is none.
    fn lags_by(&self, times: u64) -> bool {
        let limit = self.checkpoint_threshold.saturating_mul(times);
        limit > 0 && self.since_checkpoint(&self.state.load()) >= limit
    }
}

/// Numbers of rows that were made and are gone again before the checkpoint are not given a second time: SERIAL columns
/// count on by at least as many as there are new offsets.
pub(super) fn keep_serials_in_step(base: &Snapshot, change: &mut TableChange) -> StorageResult<()> {
    let record = base.table_record(change.table)?;
    let grown = change.row_bound.saturating_sub(record.row_bound);
    for column in
        base.catalog().columns_of(change.table).iter().filter(|column| column.data_type == DataType::Serial)
    {
        let counted = record.next_serial(column.id) + grown;
        match change.serials.iter_mut().find(|(id, _)| *id == column.id) {
            Some((_, next)) => *next = (*next).max(counted),
            None => change.serials.push((column.id, counted)),
        }
    }
    Ok(())
}
