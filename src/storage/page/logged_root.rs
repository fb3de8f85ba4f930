//! Roots that the log names before the header does. A commit that changes pages writes and syncs them, and its record
//! says which root leads to them, which pages became part of the database with it, and which it needs no longer. The
//! header stays as it is until the next switch; what its root reaches is not written over before.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use super::allocator::{Allocator, Unused};
use super::batch::WriteBatch;
use super::intervals::IntervalSet;
use super::page_file::{Current, PageFile};
use super::root::Root;
use super::switch::replaced_runs;
use super::{PAGE_SIZE, PageRun, extent_runs};
use crate::storage::{StorageError, StorageResult};

/// A root over another one, as the log tells of it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct LoggedRoot {
    /// Generation and free space are those of the header's root.
    pub root: Root,
    /// Pages that became part of the database.
    pub added: Vec<PageRun>,
    /// Pages that the root before reached and this one does not.
    pub retired: Vec<PageRun>,
}

/// A root that is ready to be logged and then to be put in force.
pub struct PreparedRoot {
    logged: LoggedRoot,
    batches: Vec<Arc<WriteBatch>>,
    /// Pages of the batches that the root does not lead to.
    unneeded: Vec<PageRun>,
}

impl PreparedRoot {
    /// What the log has to tell.
    pub fn logged(&self) -> &LoggedRoot {
        &self.logged
    }
}

impl PageFile {
    /// Checks and counts what a root needs that leads to the pages of some batches; `retired` are pages of the root in
    /// force, or of the batches, that it does not reach. Nothing is changed yet. No other root may come between this
    /// and `advance_root`.
    pub fn prepare_root(
        &self,
        root: Root,
        batches: Vec<Arc<WriteBatch>>,
        mut retired: Vec<PageRun>,
    ) -> StorageResult<PreparedRoot> {
        self.check_writable()?;
        let old = self.current.read().clone();
        if root.generation != old.header.generation {
            let (based_on, current) = (root.generation, old.header.generation);
            return Err(StorageError::StaleRoot { based_on, current });
        }
        // The header's root page and free list are needed as long as the header is.
        let kept: Vec<PageRun> =
            extent_runs(&old.header.root).into_iter().chain(extent_runs(&old.root.free_space)).collect();
        retired.extend(replaced_runs(&old, &root).into_iter().filter(|run| !kept.contains(run)));
        let mut added = IntervalSet::default();
        for run in batches.iter().flat_map(|batch| batch.runs()) {
            added.insert(run).map_err(|_| self.twice(run))?;
        }
        let (unneeded, retired): (Vec<PageRun>, Vec<PageRun>) =
            retired.into_iter().filter(|run| run.count > 0).partition(|run| added.touches(*run));
        for run in &unneeded {
            added.remove(*run).map_err(|_| self.twice(*run))?;
        }
        let mut gone = IntervalSet::default();
        for run in retired {
            gone.insert(run).map_err(|_| self.twice(run))?;
        }
        if let Some(allocator) = self.space.lock().as_ref() {
            gone.runs().try_for_each(|run| allocator.check_live(run))?;
        }
        let logged = LoggedRoot { root, added: added.runs().collect(), retired: gone.runs().collect() };
        Ok(PreparedRoot { logged, batches, unneeded })
    }

    fn twice(&self, run: PageRun) -> StorageError {
        let detail = format!("{} pages from here are in two batches, or given back twice", run.count);
        self.corrupt_page(run.first, "free space", detail)
    }

    /// Makes the pages of a prepared root durable, before the log names them.
    pub fn sync_prepared(&self, prepared: &PreparedRoot) -> StorageResult<()> {
        let batches: Vec<&WriteBatch> = prepared.batches.iter().map(|batch| &**batch).collect();
        self.sync_batches(&batches)
    }

    /// Puts a root in force that the log has, or that will not outlive the process. Its pages belong to the database
    /// from now on. Should that fail, nothing more is written.
    pub fn advance_root(&self, prepared: PreparedRoot, commit_version: u64) {
        let _turn = self.switch.lock();
        let old = self.current.read().clone();
        let PreparedRoot { logged, batches, mut unneeded } = prepared;
        let root = Root { commit_version, ..logged.root };
        let (header, step) = (old.header.clone(), old.step + 1);
        let durable_step = old.durable_step;
        // Somebody may still read what a transaction has written for itself alone.
        unneeded.extend(logged.retired);
        let pages: u64 = unneeded.iter().map(|run| run.count).sum();
        self.retired_ahead.fetch_add(pages, Ordering::Relaxed);
        *self.current.write() = Arc::new(Current { header, root, step, durable_step });
        let batches: Vec<&WriteBatch> = batches.iter().map(|batch| &**batch).collect();
        // It poisons the file itself.
        let _ = self.settle(&batches, &unneeded, old.step);
    }

    /// Puts the last of the roots in force that the log tells of, oldest first; called once, after opening.
    pub fn recover_roots(&self, logged: Vec<LoggedRoot>) -> StorageResult<()> {
        let Some(newest) = logged.last() else { return Ok(()) };
        let _turn = self.switch.lock();
        let old = self.current.read().clone();
        let pages = self.file.size()?.div_ceil(PAGE_SIZE as u64);
        for run in logged.iter().flat_map(|logged| &logged.added) {
            if run.end().0 > pages {
                let detail = format!("the log names {} pages from here, but the file ends before", run.count);
                return Err(self.corrupt_page(run.first, "page of a commit", detail));
            }
        }
        // A root that the log names has no generation and no free space of its own.
        let root = Root { generation: old.root.generation, free_space: old.root.free_space, ..newest.root };
        let retired: u64 = logged.iter().flat_map(|logged| &logged.retired).map(|run| run.count).sum();
        self.retired_ahead.store(retired, Ordering::Relaxed);
        let step = old.step + 1;
        *self.current.write() =
            Arc::new(Current { header: old.header.clone(), root, step, durable_step: old.durable_step });
        *self.logged.lock() = logged;
        Ok(())
    }

    /// Whether the header's root is not the one in force.
    pub fn is_ahead(&self) -> bool {
        let current = self.current.read();
        current.step != current.durable_step
    }

    /// Bytes of pages that can be used again only after the next switch.
    pub fn bytes_retired_ahead(&self) -> u64 {
        self.retired_ahead.load(Ordering::Relaxed) * PAGE_SIZE as u64
    }

    /// The free space as the disk has it: the header's list, and what the log has changed since.
    pub(super) fn space_on_disk(&self) -> StorageResult<Allocator> {
        let free = self.read_free_list()?;
        let current = self.current.read().clone();
        let mut allocator = Allocator::new(current.header.page_count, free);
        for logged in &*self.logged.lock() {
            logged.added.iter().try_for_each(|run| allocator.adopt(*run))?;
            logged.retired.iter().try_for_each(|run| allocator.retire(*run, current.durable_step))?;
        }
        Ok(allocator)
    }

    /// The pages that the root in force does not use, and how many pages belong to the file without its free end.
    /// Pages of unfinished batches are among them.
    pub fn unused_now(&self) -> StorageResult<(Vec<PageRun>, u64)> {
        let unused = |allocator: &Allocator| -> StorageResult<(Vec<PageRun>, u64)> {
            let Unused { runs, page_count, .. } = allocator.unused(&[], &[])?;
            Ok((runs, page_count))
        };
        match &*self.space.lock() {
            Some(allocator) => unused(allocator),
            None => unused(&self.space_on_disk()?),
        }
    }
}
