//! Writing extents: bytes become sealed pages in few large writes, and their references become the pages above.

use std::sync::atomic::Ordering;

use super::batch::WriteBatch;
use super::buffers::{WRITE_BYTES, WRITE_PAGES};
use super::extent::{reference_levels, reference_pages};
use super::page_file::PageFile;
use super::{ExtentRef, PAGE_SIZE, PageId, PageRef, PageRun, REFS_PER_PAGE};
use crate::storage::{StorageError, StorageResult};

/// An extent that is being written. Dropped unfinished, it gives its pages back.
pub struct ExtentWriter<'a> {
    batch: &'a WriteBatch,
    /// Data pages from the front; the reference pages follow where there is room.
    run: Option<PageRun>,
    bytes_max: u64,
    pushed: u64,
    /// The references of the pages already written.
    references: Vec<PageRef>,
    buffer: Vec<u8>,
}

impl<'a> ExtentWriter<'a> {
    pub(super) fn new(batch: &'a WriteBatch, run: Option<PageRun>, bytes_max: u64) -> ExtentWriter<'a> {
        let buffer = batch.page_file().buffers.take();
        ExtentWriter { batch, run, bytes_max, pushed: 0, references: Vec::new(), buffer }
    }

    /// The bytes pushed so far.
    pub fn len(&self) -> u64 {
        self.pushed
    }

    /// Whether nothing was pushed yet.
    pub fn is_empty(&self) -> bool {
        self.pushed == 0
    }

    /// Appends bytes; more than were announced are an error.
    pub fn push(&mut self, mut bytes: &[u8]) -> StorageResult<()> {
        if self.pushed + bytes.len() as u64 > self.bytes_max {
            let what = "the bytes pushed into an extent".to_owned();
            return Err(StorageError::Limit { what, limit: self.bytes_max });
        }
        self.pushed += bytes.len() as u64;
        while !bytes.is_empty() {
            let whole = bytes.len() / WRITE_BYTES * WRITE_BYTES;
            if self.buffer.is_empty() && whole > 0 && self.file().codec.keeps_pages() {
                self.write_borrowed(&bytes[..whole])?;
                bytes = &bytes[whole..];
                continue;
            }
            let (now, rest) = bytes.split_at(bytes.len().min(WRITE_BYTES - self.buffer.len()));
            self.buffer.extend_from_slice(now);
            bytes = rest;
            if self.buffer.len() == WRITE_BYTES {
                self.write_buffer()?;
            }
        }
        Ok(())
    }

    /// Writes what is left and the reference pages, and names the extent.
    pub fn finish(mut self) -> StorageResult<ExtentRef> {
        let Some(run) = self.run else { return Ok(ExtentRef::default()) };
        if self.pushed == 0 {
            return Ok(ExtentRef::default());
        }
        self.seal_rest()?;
        let pages = self.references.len() as u64;
        let above = reference_pages(pages);
        let levels = reference_levels(pages);
        let (root, used) = if pages + above <= run.count {
            // One write for the last data pages and all references.
            let first_buffered = run.first.plus(pages - (self.buffer.len() / PAGE_SIZE) as u64);
            let root = self.append_references(run.first.plus(pages), levels.len())?;
            self.file().write_sealed(first_buffered, &self.buffer)?;
            (root, pages + above)
        } else {
            self.write_sealed_buffer(pages)?;
            let apart = self.batch.allocate(above)?;
            let root = self.append_references(apart.first, levels.len())?;
            self.file().write_sealed(apart.first, &self.buffer)?;
            (root, pages)
        };
        self.keep(used)?;
        // At most three levels stand above the pages of a region.
        Ok(ExtentRef { root, first_page: run.first, depth: levels.len() as u8, byte_length: self.pushed })
    }

    /// Writes what is left and gives the references of all pages.
    pub(super) fn finish_pages(mut self) -> StorageResult<Vec<PageRef>> {
        self.seal_rest()?;
        let pages = self.references.len() as u64;
        self.write_sealed_buffer(pages)?;
        self.keep(pages)?;
        Ok(std::mem::take(&mut self.references))
    }

    /// The front of the run belongs to the batch from now on; the rest is given back.
    fn keep(&mut self, used: u64) -> StorageResult<()> {
        match self.run.take() {
            Some(run) if used < run.count => {
                self.batch.release(PageRun { first: run.first.plus(used), count: run.count - used })
            }
            _ => Ok(()),
        }
    }

    fn file(&self) -> &'a PageFile {
        self.batch.page_file()
    }

    /// The page that is written next.
    fn next_page(&self) -> PageId {
        match self.run {
            Some(run) => run.first.plus(self.references.len() as u64),
            None => PageId::default(),
        }
    }

    fn write_borrowed(&mut self, bytes: &[u8]) -> StorageResult<()> {
        let first = self.next_page();
        self.file().refer(first, bytes, &mut self.references)?;
        self.file().write_sealed(first, bytes)
    }

    fn write_buffer(&mut self) -> StorageResult<()> {
        let first = self.next_page();
        self.file().seal(first, &mut self.buffer, &mut self.references)?;
        self.file().write_sealed(first, &self.buffer)?;
        self.buffer.clear();
        Ok(())
    }

    /// Fills the last page with zeros and seals what is in the buffer.
    fn seal_rest(&mut self) -> StorageResult<()> {
        self.buffer.resize(self.buffer.len().next_multiple_of(PAGE_SIZE), 0);
        let first = self.next_page();
        self.file().seal(first, &mut self.buffer, &mut self.references)
    }

    /// Writes the sealed buffer as the last of `pages` data pages.
    fn write_sealed_buffer(&mut self, pages: u64) -> StorageResult<()> {
        if let Some(run) = self.run {
            let first = run.first.plus(pages - (self.buffer.len() / PAGE_SIZE) as u64);
            self.file().write_sealed(first, &self.buffer)?;
        }
        self.buffer.clear();
        Ok(())
    }

    /// Appends the reference pages, level by level, to the buffer and gives the root's reference.
    fn append_references(&mut self, mut first: PageId, levels: usize) -> StorageResult<PageRef> {
        let mut below = std::mem::take(&mut self.references);
        for _ in 0..levels {
            let start = self.buffer.len();
            for references in below.chunks(REFS_PER_PAGE) {
                references.iter().for_each(|one| self.buffer.extend_from_slice(&one.encode()));
                self.buffer.resize(self.buffer.len().next_multiple_of(PAGE_SIZE), 0);
            }
            below.clear();
            self.file().seal(first, &mut self.buffer[start..], &mut below)?;
            first = first.plus(below.len() as u64);
        }
        // One page of data is its own root; above more pages the levels narrow to one.
        Ok(below.pop().unwrap_or_default())
    }
}

impl Drop for ExtentWriter<'_> {
    fn drop(&mut self) {
        let file = self.file();
        file.buffers.give(std::mem::take(&mut self.buffer));
        if let Some(run) = self.run.take()
            && file.check_writable().is_ok()
            && let Err(error) = self.batch.release(run)
        {
            file.poison(error.to_string());
        }
    }
}

impl PageFile {
    /// Turns pages into their stored form and appends their references.
    fn seal(&self, first: PageId, pages: &mut [u8], references: &mut Vec<PageRef>) -> StorageResult<()> {
        if self.codec.keeps_pages() {
            return self.refer(first, pages, references);
        }
        let counter = self.take_counters((pages.len() / PAGE_SIZE) as u64)?;
        for (at, page) in (0..).zip(pages.chunks_exact_mut(PAGE_SIZE)) {
            let (id, counter) = (first.plus(at), counter + at);
            let tag = self
                .codec
                .seal_page(id, counter, page)
                .map_err(|error| self.corrupt_page(id, "page to be sealed", error.detail))?;
            references.push(PageRef { page: id, counter, checksum: self.checksum.of(id, page), tag });
        }
        Ok(())
    }

    /// Appends references to pages that are stored as they are.
    fn refer(&self, first: PageId, pages: &[u8], references: &mut Vec<PageRef>) -> StorageResult<()> {
        let counter = self.take_counters((pages.len() / PAGE_SIZE) as u64)?;
        references.extend((0..).zip(pages.chunks_exact(PAGE_SIZE)).map(|(at, page)| {
            let id = first.plus(at);
            PageRef { page: id, counter: counter + at, checksum: self.checksum.of(id, page), tag: [0; 16] }
        }));
        Ok(())
    }

    fn write_sealed(&self, first: PageId, pages: &[u8]) -> StorageResult<()> {
        if pages.is_empty() {
            return Ok(());
        }
        self.check_writable()?;
        self.counters.pages_written.fetch_add((pages.len() / PAGE_SIZE) as u64, Ordering::Relaxed);
        // Pieces keep other threads' small writes from waiting behind a huge one.
        for (at, piece) in (0..).zip(pages.chunks(WRITE_BYTES * 8)) {
            self.file.write_at(first.plus(at * 8 * WRITE_PAGES as u64).offset(), piece)?;
        }
        Ok(())
    }
}
