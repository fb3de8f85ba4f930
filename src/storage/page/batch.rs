//! Pages written on the way to one root switch. A batch owns what it allocated: dropped, it gives all of it back;
//! handed to the switch, the pages become part of the database. Several threads may write into one batch.

use std::sync::Arc;

use parking_lot::Mutex;

use super::intervals::IntervalSet;
use super::page_file::PageFile;
use super::writer::ExtentWriter;
use super::{ExtentRef, PageRef, PageRun, pages_for, reference_pages};
use crate::storage::{StorageError, StorageResult};

/// Reserved pages and the ways to fill them.
pub struct WriteBatch {
    page_file: Arc<PageFile>,
    runs: Mutex<IntervalSet>,
}

impl PageFile {
    /// Begins writing. Nothing is reserved yet; the first write of a process reads the free list.
    pub fn begin_batch(self: &Arc<Self>) -> StorageResult<WriteBatch> {
        self.check_writable()?;
        Ok(WriteBatch { page_file: self.clone(), runs: Mutex::default() })
    }
}

impl WriteBatch {
    /// The file that is written.
    pub fn page_file(&self) -> &Arc<PageFile> {
        &self.page_file
    }

    /// Writes bytes as one extent; none give the empty extent, which has no pages.
    pub fn write_extent(&self, bytes: &[u8]) -> StorageResult<ExtentRef> {
        let mut writer = self.extent_writer(bytes.len() as u64)?;
        writer.push(bytes)?;
        writer.finish()
    }

    /// Begins an extent of at most `bytes_max` bytes that arrive in pieces. What is not used is given back.
    pub fn extent_writer(&self, bytes_max: u64) -> StorageResult<ExtentWriter<'_>> {
        if bytes_max > super::EXTENT_BYTES_MAX {
            let what = "the bytes of one extent".to_owned();
            return Err(StorageError::Limit { what, limit: super::EXTENT_BYTES_MAX });
        }
        let pages = pages_for(bytes_max);
        let with_references = pages + reference_pages(pages);
        // The largest extents leave no room in their region for the reference pages.
        let wanted = if with_references <= super::REGION_PAGES { with_references } else { pages };
        let run = match wanted {
            0 => None,
            _ => Some(self.allocate(wanted)?),
        };
        Ok(ExtentWriter::new(self, run, bytes_max))
    }

    /// Writes bytes as contiguous pages whose references the caller keeps, as trees of pages do.
    pub fn write_pages(&self, bytes: &[u8]) -> StorageResult<Vec<PageRef>> {
        let run = match pages_for(bytes.len() as u64) {
            0 => None,
            pages => Some(self.allocate(pages)?),
        };
        let mut writer = ExtentWriter::new(self, run, bytes.len() as u64);
        writer.push(bytes)?;
        writer.finish_pages()
    }

    /// Gives back pages that this batch has written and that its root will not name.
    pub fn release(&self, run: PageRun) -> StorageResult<()> {
        self.runs.lock().remove(run).map_err(|_| {
            let detail = format!("{} pages from here are not of this batch", run.count);
            self.page_file.corrupt_page(run.first, "write batch", detail)
        })?;
        self.page_file.free_runs(&[run]);
        Ok(())
    }

    /// The number of pages reserved so far.
    pub fn page_count(&self) -> u64 {
        self.runs.lock().pages()
    }

    pub(super) fn allocate(&self, count: u64) -> StorageResult<PageRun> {
        let mut allocator = self.page_file.open_space()?;
        let run = allocator.allocate(count)?;
        self.adopt(run)?;
        Ok(run)
    }

    /// Takes over pages that were reserved for this batch.
    pub(super) fn adopt(&self, run: PageRun) -> StorageResult<()> {
        self.runs.lock().insert(run).map_err(|_| {
            let detail = format!("{} pages from here were handed out twice", run.count);
            self.page_file.corrupt_page(run.first, "free space", detail)
        })
    }

    pub(super) fn write_extent_into(&self, run: PageRun, bytes: &[u8]) -> StorageResult<ExtentRef> {
        let mut writer = ExtentWriter::new(self, Some(run), bytes.len() as u64);
        writer.push(bytes)?;
        writer.finish()
    }

    /// The pages reserved so far.
    pub fn runs(&self) -> Vec<PageRun> {
        self.runs.lock().runs().collect()
    }

    /// The pages are somebody else's from now on; nothing is given back when the batch is dropped.
    pub(super) fn take_runs(&self) -> Vec<PageRun> {
        std::mem::take(&mut *self.runs.lock()).runs().collect()
    }
}

impl Drop for WriteBatch {
    fn drop(&mut self) {
        let runs = self.runs();
        // A poisoned file keeps them: a header in doubt may name them.
        if !runs.is_empty() && self.page_file.check_writable().is_ok() {
            self.page_file.free_runs(&runs);
        }
    }
}
