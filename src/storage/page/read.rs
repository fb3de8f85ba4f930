//! Verified reading: nothing is handed on that was not compared with its reference.

use std::io;
use std::ops::Range;
use std::sync::atomic::Ordering;

use super::extent::{Level, check_extent, levels_above};
use super::page_file::{FILE_NAME, PageFile};
use super::{ExtentRef, PAGE_SIZE, PageId, PageRef, PageSource, REFS_PER_PAGE};
use crate::storage::{StorageError, StorageResult};

impl PageFile {
    /// The bytes of an extent, past the buffer pool: for metadata that is decoded once.
    pub fn read_extent(&self, extent: &ExtentRef, what: &str) -> StorageResult<Vec<u8>> {
        let references = self.read_references(extent, 0..extent.page_count(), what)?;
        let mut bytes = vec![0; references.len() * PAGE_SIZE];
        self.read_pages(&references, what, &mut bytes)?;
        // The references were checked against the length, so it is at most that of the pages.
        bytes.truncate(extent.byte_length as usize);
        Ok(bytes)
    }

    /// The references of an extent's data pages with these indexes. Per level one read of what is needed.
    pub fn read_references(
        &self,
        extent: &ExtentRef,
        range: Range<u64>,
        what: &str,
    ) -> StorageResult<Vec<PageRef>> {
        check_extent(extent).map_err(|detail| self.corrupt(extent, what, detail))?;
        if range.start >= range.end {
            return Ok(Vec::new());
        }
        if range.end > extent.page_count() {
            let detail = format!("page {} of {} was asked for", range.end - 1, extent.page_count());
            return Err(self.corrupt(extent, what, detail));
        }
        let mut references = vec![extent.root];
        let mut parents_from = 0;
        let mut levels = levels_above(extent, &range);
        // The root reference names the topmost level itself.
        levels.pop();
        for level in levels.iter().rev() {
            let mut pages = self.buffers.take();
            pages.resize(references.len() * PAGE_SIZE, 0);
            self.read_pages(&references, what, &mut pages)?;
            let skip = (level.needed.start - parents_from * REFS_PER_PAGE as u64) as usize;
            let (entries, _) = pages.as_chunks();
            references = self.decode_references(extent, level, &entries[skip..], what)?;
            parents_from = level.needed.start;
            self.buffers.give(pages);
        }
        Ok(references)
    }

    /// Decodes the references to the needed pages of a level, each of which must name the right page.
    fn decode_references(
        &self,
        extent: &ExtentRef,
        level: &Level,
        entries: &[[u8; PageRef::SIZE]],
        what: &str,
    ) -> StorageResult<Vec<PageRef>> {
        let decode = |(index, entry)| {
            let (reference, page) = (PageRef::decode(entry), level.first.plus(index));
            match reference.page == page {
                true => Ok(reference),
                false => {
                    let detail = format!("a reference to page {}, not {page}", reference.page);
                    Err(self.corrupt(extent, what, detail))
                }
            }
        };
        level.needed.clone().zip(entries).map(decode).collect()
    }

    fn verify(&self, reference: &PageRef, what: &str, bytes: &mut [u8]) -> StorageResult<()> {
        let got = self.checksum.of(reference.page, bytes);
        if got != reference.checksum {
            return Err(StorageError::ChecksumMismatch {
                file: FILE_NAME.to_owned(),
                page: reference.page,
                what: what.to_owned(),
                expected: reference.checksum,
                got,
            });
        }
        self.codec
            .open_page(reference, bytes)
            .map_err(|error| self.corrupt_page(reference.page, what, error.detail))
    }

    pub(super) fn corrupt(&self, extent: &ExtentRef, what: &str, detail: String) -> StorageError {
        self.corrupt_page(extent.root.page, what, detail)
    }

    pub(super) fn corrupt_page(&self, page: PageId, what: &str, detail: String) -> StorageError {
        StorageError::Corrupt { file: FILE_NAME.to_owned(), page, what: what.to_owned(), detail }
    }

    fn read_run(&self, references: &[PageRef], what: &str, out: &mut [u8]) -> StorageResult<()> {
        let first = references[0].page;
        self.file.read_at(first.offset(), out).map_err(|error| match error {
            StorageError::Io { source, .. } if source.kind() == io::ErrorKind::UnexpectedEof => {
                let detail = format!("{} pages from here lie beyond the end of the file", references.len());
                self.corrupt_page(first, what, detail)
            }
            other => other,
        })?;
        self.counters.pages_read.fetch_add(references.len() as u64, Ordering::Relaxed);
        for (reference, page) in references.iter().zip(out.chunks_exact_mut(PAGE_SIZE)) {
            self.verify(reference, what, page)?;
        }
        Ok(())
    }
}

impl PageSource for PageFile {
    fn read_pages(&self, references: &[PageRef], what: &str, out: &mut [u8]) -> StorageResult<()> {
        if out.len() != references.len() * PAGE_SIZE {
            let what = format!("a buffer of {} bytes for {} pages", out.len(), references.len());
            return Err(StorageError::Limit { what, limit: (references.len() * PAGE_SIZE) as u64 });
        }
        let mut out = out;
        for run in references.chunk_by(|a, b| a.page.plus(1) == b.page) {
            let (now, rest) = out.split_at_mut(run.len() * PAGE_SIZE);
            self.read_run(run, what, now)?;
            out = rest;
        }
        Ok(())
    }
}
