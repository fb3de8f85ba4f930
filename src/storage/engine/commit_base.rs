//! Commits that change the base: definitions and bulk loads. Their pages are on the disk before the log names the root
//! that leads to them, and the state takes that root over as replay would; the header follows with the next checkpoint.

use std::sync::Arc;

use super::Engine;
use super::base::{Applied, BaseStep, apply};
use super::options::DurabilityMode;
use crate::catalog::{encode_catalog, encode_statistics};
use crate::storage::StorageResult;
use crate::storage::delta::Delta;
use crate::storage::page::{PreparedRoot, Root};
use crate::storage::state::{BaseParts, Snapshot, State};
use crate::types::TableId;

/// A load of so many rows through the log is followed by a checkpoint: whoever loads means to ask, and pages come with
/// the statistics that plans are made by.
const ROWS_WORTH_WRITING: u64 = 1024;

/// A base that waits for its record to be durable.
pub(super) struct NewBase {
    pub root: PreparedRoot,
    parts: BaseParts,
    dropped: Vec<TableId>,
}

impl Engine {
    /// As `commit`, for a transaction that has done steps over the base of `begun`. Gives none when definitions were
    /// committed since that do not go together with its own.
    pub fn commit_steps(
        &self,
        begun: &Snapshot,
        steps: &[Arc<BaseStep>],
        delta: Delta,
        published: impl FnOnce(u64),
    ) -> StorageResult<Option<u64>> {
        let _entered = self.commits.enter()?;
        self.page_file().check_writable()?;
        self.relieve()?;
        // No checkpoint and no other base comes between the rebase and the publication.
        let _turn = self.turns.take(None, &self.location())?;
        if self.state.load().levels().frozen.is_some() {
            // Left by a checkpoint that failed. Its cut lies before this commit, and must not go into force after it.
            self.checkpoint_in_turn(false)?;
        }
        let Some(base) = self.prepare_base(begun, steps)? else { return Ok(None) };
        // Without a log too: a later sync that fails could not be tried again, had it these pages to write.
        self.page_file().sync_prepared(&base.root)?;
        let version = match self.log.mode() {
            DurabilityMode::InMemory => self.enqueue_unlogged(Arc::new(delta), Some(base)),
            _ => {
                // A load stays, whatever the mode.
                self.commit_logged(Arc::new(delta), Some(base), DurabilityMode::Strict)?
            }
        };
        let linked = self.link_up_to(version);
        published(version);
        drop(_turn);
        self.run_merges(linked);
        self.maintenance_after_commit();
        Ok(Some(version))
    }

    /// Makes a load or a definition that was committed outlive the process, whatever the mode. `rows` of a load went
    /// into levels.
    pub fn settle_loads(&self, rows: u64) -> StorageResult<()> {
        match self.log.mode() {
            DurabilityMode::Strict => {}
            DurabilityMode::Buffered => self.flush()?,
            // The load is visible, and in memory as all else until a checkpoint: this one failed, the next may not.
            DurabilityMode::InMemory => {
                let _ = self.checkpoint();
                return Ok(());
            }
        }
        if rows >= ROWS_WORTH_WRITING && self.checkpoint_threshold > 0 {
            // The rows are in the log already; what fails here is tried again by the next checkpoint.
            let _ = self.checkpoint();
        }
        Ok(())
    }

    /// Applies the steps to the newest base and writes what leads to it.
    fn prepare_base(&self, begun: &Snapshot, steps: &[Arc<BaseStep>]) -> StorageResult<Option<NewBase>> {
        let newest = self.snapshot();
        let defines = steps.iter().any(|step| matches!(&**step, BaseStep::Define { .. }));
        if defines && !Arc::ptr_eq(newest.catalog(), begun.catalog()) {
            return Ok(None);
        }
        let paths = Arc::new(self.page_file().begin_batch()?);
        let Applied { parts, has_new_catalog, has_new_statistics, dropped, retired } =
            apply(&newest, steps, &paths, true)?;
        let mut root = Root { table_directory: parts.directory.top(), ..*newest.root() };
        if has_new_catalog {
            root.catalog = paths.write_extent(&encode_catalog(&parts.catalog))?;
        }
        if let (true, Some(statistics)) = (has_new_statistics, parts.statistics.get()) {
            root.statistics = paths.write_extent(&encode_statistics(statistics))?;
        }
        root.catalog_version = parts.catalog.version();
        root.next_table_id = u64::from(parts.catalog.next_table_id());
        root.next_column_id = u64::from(parts.catalog.next_column_id());
        let mut batches = vec![paths];
        batches.extend(steps.iter().filter_map(|step| step.pages()).cloned());
        let root = self.page_file().prepare_root(root, batches, retired)?;
        Ok(Some(NewBase { root, parts, dropped }))
    }

    /// Puts a base in force whose record is durable: the state over it has no levels, and the tables that are gone
    /// leave the levels there were.
    pub(super) fn take_over(&self, base: NewBase, version: u64) -> (State, Vec<TableId>) {
        let NewBase { root, parts, dropped } = base;
        self.page_file().advance_root(root, version);
        (State::over_new_root(&self.files, parts), dropped)
    }
}
