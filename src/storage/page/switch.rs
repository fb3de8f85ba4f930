//! Changing what is in force: the headers, the counters that they allow, and the root. Order is everything here:
//! pages first, then one header copy, then the other, each durable before the next step begins.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use parking_lot::{MappedMutexGuard, MutexGuard};

use super::allocator::Allocator;
use super::batch::WriteBatch;
use super::extent::{PAGE_NUMBER_LIMIT, extent_runs, reference_pages};
use super::free_list::{self, encode_free_list, encoded_size};
use super::header::{ChosenHeader, HEADER_PAGES, Header, Lsn, check_copy};
use super::intervals::IntervalSet;
use super::page_file::{Current, PageFile};
use super::root::Root;
use super::{ExtentRef, PAGE_SIZE, PageId, PageRun, pages_for};
use crate::storage::{StorageError, StorageResult};

/// Write counters reserved by one header: enough for 64 GiB of pages.
const COUNTER_BLOCK: u64 = 1 << 24;
/// The runs that a switch allocates after it has counted the free ones: the list (data and references) and the
/// root. Each may split a run, and growing into another region leaves one.
const OWN_RUNS_MAX: u64 = 6;

/// The headers as they lie on disk.
pub(super) struct HeaderState {
    /// The newest durable header.
    header: Header,
    copies_agree: bool,
    /// The copy to overwrite first.
    stale_copy: PageId,
    /// The next write counter; everything below the header's mark may be used.
    next_counter: u64,
}

impl HeaderState {
    pub fn new(chosen: ChosenHeader) -> HeaderState {
        // How far the last process came below the mark is not known.
        let next_counter = chosen.header.counter_mark;
        HeaderState {
            header: chosen.header,
            copies_agree: chosen.copies_agree,
            stale_copy: chosen.stale_copy,
            next_counter,
        }
    }
}

/// What the next root is. `root.generation` is that of the root it was made from; the generation and the free
/// space of the new one are set by the switch.
#[derive(Debug, Clone, Default)]
pub struct RootChange {
    /// The new content of the root page.
    pub root: Root,
    /// Pages that the old root reaches and the new one does not. The pages of the four extents that the root
    /// itself names are found without being listed here.
    pub retired: Vec<PageRun>,
    /// Where replay of the log starts; see `Header::checkpoint`.
    pub checkpoint: Lsn,
}

impl PageFile {
    /// Puts a new root in force, with everything that the batch wrote: after `Ok` both are durable, after an
    /// error the old root is in force and the batch's pages are free again. Only when the writing of the header
    /// itself failed is the outcome open until the database is opened again; then nothing more is written.
    pub fn switch_root(&self, batch: WriteBatch, change: RootChange) -> StorageResult<Root> {
        let _turn = self.switch.lock();
        self.check_writable()?;
        let old = self.current.read().clone();
        if change.root.generation != old.header.generation {
            let (based_on, current) = (change.root.generation, old.header.generation);
            return Err(StorageError::StaleRoot { based_on, current });
        }
        let mut retired = change.retired;
        retired.extend(replaced_runs(&old, &change.root));

        let mut root = Root { generation: old.header.generation + 1, ..change.root };
        let (page_count, root_extent) = self.write_free_list_and_root(&batch, &mut root, &retired)?;
        self.sync_batches(&[&batch])?;
        let header = self.write_switched_header(|header| Header {
            generation: root.generation,
            page_count,
            // The log may have begun since the change was prepared; it never goes back.
            checkpoint: change.checkpoint.max(header.checkpoint),
            root: root_extent,
            ..header
        })?;

        self.retired_ahead.store(0, Ordering::Relaxed);
        let step = old.step + 1;
        *self.current.write() = Arc::new(Current { header, root, step, durable_step: step });
        self.settle(&[&batch], &retired, old.step)?;
        self.reuse_unheld();
        self.give_back_tail();
        Ok(root)
    }

    /// Says in the header alone where replay of the log starts, with the root in force as it is.
    pub fn set_checkpoint(&self, checkpoint: Lsn) -> StorageResult<()> {
        let _turn = self.switch.lock();
        self.check_writable()?;
        let header = {
            let mut headers = self.headers.lock();
            // The mark tells the newer copy from the older one.
            let counter_mark = headers.header.counter_mark + 1;
            let header = Header { counter_mark, checkpoint, ..headers.header.clone() };
            self.write_first_copy(&mut headers, &header)?;
            self.write_second_copy(&mut headers)?;
            header
        };
        let mut current = self.current.write();
        *current = Arc::new(Current { header, ..Current::clone(&current) });
        Ok(())
    }

    /// After a failed sync the system may have forgotten pages that other batches wrote; a later sync would
    /// succeed without them. Only a batch that is alone can fail and be tried again.
    pub(super) fn sync_batches(&self, batches: &[&WriteBatch]) -> StorageResult<()> {
        self.sync_file().inspect_err(|error| {
            let reserved = self.space.lock().as_ref().map_or(0, |space| space.stats().reserved);
            if reserved != batches.iter().map(|batch| batch.page_count()).sum::<u64>() {
                self.poison(format!("a sync failed while other pages were being written: {error}"));
            }
        })
    }

    /// The list names all that the new root leaves unused, so its own pages are taken before it is written.
    fn write_free_list_and_root(
        &self,
        batch: &WriteBatch,
        root: &mut Root,
        retired: &[PageRun],
    ) -> StorageResult<(u64, ExtentRef)> {
        let mut allocator = self.open_space()?;
        let list_bytes = encoded_size(allocator.unused(&batch.runs(), retired)?.uncut_runs + OWN_RUNS_MAX);
        let list_pages = pages_for(list_bytes);
        let list_run = allocator.allocate(list_pages + reference_pages(list_pages))?;
        batch.adopt(list_run)?;
        let root_run = allocator.allocate(1)?;
        batch.adopt(root_run)?;
        let unused = allocator.unused(&batch.runs(), retired)?;
        drop(allocator);

        let list = encode_free_list(&unused.runs, list_bytes as usize);
        root.free_space = batch.write_extent_into(list_run, &list)?;
        let root_extent = batch.write_extent_into(root_run, &root.encode())?;
        Ok((unused.page_count, root_extent))
    }

    /// The new root's pages become live and the old one's are held for those who read it.
    pub(super) fn settle(
        &self,
        batches: &[&WriteBatch],
        retired: &[PageRun],
        step: u64,
    ) -> StorageResult<()> {
        let runs: Vec<PageRun> = batches.iter().flat_map(|batch| batch.take_runs()).collect();
        let mut space = self.space.lock();
        let Some(allocator) = space.as_mut() else { return Ok(()) };
        let settled = runs
            .into_iter()
            .try_for_each(|run| allocator.commit(run))
            .and_then(|()| retired.iter().try_for_each(|&run| allocator.retire(run, step)));
        if let Err(error) = &settled {
            // The root is in force, but what is free is no longer certain.
            self.poison(error.to_string());
        }
        Ok(())
    }

    /// Frees what only roots read that nobody holds any more.
    pub(super) fn reuse_unheld(&self) {
        // After a half-done switch the older header may still need them.
        if self.check_writable().is_err() {
            return;
        }
        // What the root on disk reaches stays, whatever is newer in memory.
        let current = self.current.read().durable_step;
        let oldest = self.oldest_hold().unwrap_or(current).min(current);
        let taken = match self.space.lock().as_mut() {
            Some(allocator) => allocator.take_held_up_to(oldest.saturating_sub(1)),
            None => return,
        };
        match taken {
            Ok(runs) => self.free_runs(&runs),
            Err(error) => self.poison(error.to_string()),
        }
    }

    /// Makes reserved pages free, after the pool has forgotten them.
    pub(super) fn free_runs(&self, runs: &[PageRun]) {
        if let Some(hook) = self.on_reuse.get() {
            runs.iter().for_each(|&run| hook(run));
        }
        if let Some(allocator) = self.space.lock().as_mut()
            && let Err(error) = runs.iter().try_for_each(|&run| allocator.release(run))
        {
            self.poison(error.to_string());
        }
    }

    /// Cuts free pages off the end of the file. What fails here is tried again by the next switch.
    fn give_back_tail(&self) {
        if self.check_writable().is_err() {
            return;
        }
        // Under the lock, so that nobody is given pages that are being cut off.
        if let Some(allocator) = self.space.lock().as_mut()
            && let Ok(pages) = allocator.trim()
            && let Ok(size) = self.file.size()
            && size > pages * PAGE_SIZE as u64
        {
            let _ = self.file.truncate(pages * PAGE_SIZE as u64);
        }
    }

    /// The free space, read from the file and made ready for writing where that has not happened yet.
    pub(super) fn open_space(&self) -> StorageResult<MappedMutexGuard<'_, Allocator>> {
        self.check_writable()?;
        let mut space = self.space.lock();
        if space.is_none() {
            let allocator = self.space_on_disk()?;
            let pages = allocator.stats().pages;
            // The last process may have ended before its second header copy was durable.
            self.sync()?;
            self.reserve_counters(&mut self.headers.lock(), 0)?;
            let size = self.file.size()?;
            if size > pages * PAGE_SIZE as u64 {
                // Left by a write that was not committed.
                self.file.truncate(pages * PAGE_SIZE as u64)?;
            }
            *space = Some(allocator);
            self.logged.lock().clear();
        }
        // It was filled above.
        MutexGuard::try_map(space, Option::as_mut).map_err(|_| StorageError::ReadOnly)
    }

    pub(super) fn read_free_list(&self) -> StorageResult<IntervalSet> {
        let current = self.current.read().clone();
        let extent = &current.root.free_space;
        if extent.page_count() == 0 {
            return Ok(IntervalSet::default());
        }
        let bytes = self.read_extent(extent, "free list")?;
        free_list::decode(&bytes, current.header.page_count)
            .map_err(|detail| self.corrupt_page(extent.first_page, "free list", detail))
    }

    /// The first of `count` write counters that nobody else gets.
    pub(super) fn take_counters(&self, count: u64) -> StorageResult<u64> {
        let mut headers = self.headers.lock();
        if headers.next_counter + count > headers.header.counter_mark {
            self.check_writable()?;
            self.reserve_counters(&mut headers, count)?;
        }
        let first = headers.next_counter;
        headers.next_counter += count;
        Ok(first)
    }

    /// Raises the mark in both copies of the header, the damaged or older copy first.
    fn reserve_counters(&self, headers: &mut HeaderState, count: u64) -> StorageResult<()> {
        let counter_mark = headers.next_counter + count + COUNTER_BLOCK;
        if counter_mark > PAGE_NUMBER_LIMIT {
            let what = "the number of page writes in the life of a database".to_owned();
            return Err(StorageError::Limit { what, limit: PAGE_NUMBER_LIMIT });
        }
        let header = Header { counter_mark, ..headers.header.clone() };
        self.write_first_copy(headers, &header)?;
        self.write_second_copy(headers)
    }

    /// Writes the header of a switch and gives it as it is in force.
    fn write_switched_header(&self, change: impl FnOnce(Header) -> Header) -> StorageResult<Header> {
        let mut headers = self.headers.lock();
        let header = change(headers.header.clone());
        self.write_first_copy(&mut headers, &header)?;
        // The switch is done: when the second copy fails the writer is poisoned, and the next opening mends it.
        let _ = self.write_second_copy(&mut headers);
        Ok(header)
    }

    /// Brings the copies together after an opening found them different. The newer one may be known to the
    /// system only, so it is made durable again before the one it would fall back to is overwritten.
    pub(super) fn settle_headers(&self) -> StorageResult<()> {
        let mut headers = self.headers.lock();
        if headers.copies_agree {
            return Ok(());
        }
        let newest = PageId(1 - headers.stale_copy.0);
        self.write_copy(newest, &headers.header).inspect_err(|error| self.poison_header(error))?;
        self.write_second_copy(&mut headers)
    }

    /// Reads both copies again; an error names the one that is damaged or behind.
    pub fn check_headers(&self) -> StorageResult<()> {
        let headers = self.headers.lock();
        let mut copies = [[0; PAGE_SIZE]; 2];
        self.file.read_at(0, copies.as_flattened_mut())?;
        self.counters.pages_read.fetch_add(HEADER_PAGES, Ordering::Relaxed);
        (0..).zip(&copies).try_for_each(|(page, copy)| {
            check_copy(copy, &headers.header)
                .map_err(|detail| self.corrupt_page(PageId(page), "header", detail))
        })
    }

    fn write_first_copy(&self, headers: &mut HeaderState, header: &Header) -> StorageResult<()> {
        self.replace_copy(headers.stale_copy, header)?;
        headers.header = header.clone();
        headers.copies_agree = false;
        headers.stale_copy = PageId(1 - headers.stale_copy.0);
        Ok(())
    }

    fn write_second_copy(&self, headers: &mut HeaderState) -> StorageResult<()> {
        self.replace_copy(headers.stale_copy, &headers.header)?;
        headers.copies_agree = true;
        headers.stale_copy = PageId(0);
        Ok(())
    }

    /// Writes a copy beside a durable one. After a failure the system may show what the disk does not have, and
    /// the next opening would trust it; so the copy is made visibly bad. Should that reach the disk, the other
    /// copy is there.
    fn replace_copy(&self, page: PageId, header: &Header) -> StorageResult<()> {
        self.write_copy(page, header).inspect_err(|error| {
            self.poison_header(error);
            let _ = self.file.write_at(page.offset(), &[0; PAGE_SIZE]);
        })
    }

    fn write_copy(&self, page: PageId, header: &Header) -> StorageResult<()> {
        self.counters.pages_written.fetch_add(1, Ordering::Relaxed);
        self.file.write_at(page.offset(), &header.encode())?;
        self.sync_file()
    }

    fn poison_header(&self, error: &StorageError) {
        self.poison(format!("writing the header failed: {error}"));
    }
}

/// The runs of the old root page and of those of its extents that the new root does not take over.
pub(super) fn replaced_runs(old: &Current, new: &Root) -> Vec<PageRun> {
    let extents = [
        (&old.root.catalog, Some(&new.catalog)),
        (&old.root.statistics, Some(&new.statistics)),
        (&old.root.table_directory, Some(&new.table_directory)),
        (&old.root.free_space, None),
        (&old.header.root, None),
    ];
    extents
        .into_iter()
        .filter(|(before, after)| Some(*before) != *after)
        .flat_map(|(before, _)| extent_runs(before))
        .collect()
}
