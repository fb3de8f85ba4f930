//! The reader: blocks in, chunks out, in the order of the files, on one thread or on several.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use crate::types::{DataType, ask_caller};

use super::block_parser::BlockParser;
use super::chunk::{ChunkOrigin, CsvChunk, Layout};
use super::options::{CsvOptions, ErrorPolicy};
use super::row_error::{CsvError, CsvResult, RowError, RowOrigin};
use super::schedule::run_ordered;
use super::source::{Block, Cutting, Source};
use super::tokenizer::BLOCK_BYTES_MAX;

/// Bounds on what a reader holds.
#[derive(Debug, Clone, Copy)]
pub struct CsvLimits {
    /// How much text a chunk is made of, about.
    pub block_bytes: usize,
    /// The longest record that is accepted.
    pub record_bytes_max: usize,
    /// How many rejected rows are kept with their errors; all are counted.
    pub rejects_kept_max: usize,
}

impl Default for CsvLimits {
    fn default() -> Self {
        CsvLimits { block_bytes: 1 << 20, record_bytes_max: 256 << 20, rejects_kept_max: 1000 }
    }
}

/// How far a load has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct CsvProgress {
    /// Bytes of text whose rows have been consumed.
    pub bytes_read: u64,
    /// Bytes of text in all files.
    pub bytes_total: u64,
    /// Rows consumed.
    pub rows: u64,
}

/// Who watches a load.
#[derive(Clone, Copy, Default)]
pub struct CsvMonitor<'m> {
    /// Called on the calling thread after each chunk.
    pub progress: Option<&'m dyn Fn(CsvProgress)>,
    /// Ends the load with [`CsvError::Cancelled`] once it is set.
    pub cancelled: Option<&'m AtomicBool>,
    /// Ends it likewise once it is over.
    pub deadline: Option<Instant>,
}

impl CsvMonitor<'_> {
    pub(super) fn is_cancelled(&self) -> bool {
        ask_caller();
        self.cancelled.is_some_and(|flag| flag.load(Ordering::Relaxed))
            || self.deadline.is_some_and(|deadline| Instant::now() > deadline)
    }
}

/// What was read: rows read = rows + rejected.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct CsvSummary {
    /// Rows handed on.
    pub rows: u64,
    /// Bad rows passed over.
    pub rejected: u64,
    /// The first of the bad rows.
    pub rejects: Vec<RowError>,
}

/// Reads CSV files into typed columns.
///
/// Chunks come in the order of the files whatever the number of threads, and the first bad row in that order is
/// the one that is reported. Memory is bounded by a few blocks per thread, whatever the size of the files.
pub struct CsvReader {
    layout: Arc<Layout>,
    source: Option<Source>,
    parser: BlockParser,
    block: Block,
    bytes_total: u64,
    bytes_read: u64,
    /// First row and origin of each chunk so far, for [`CsvReader::locate`].
    origins: Vec<(u64, ChunkOrigin)>,
    summary: CsvSummary,
}

impl CsvReader {
    /// A reader of `files` (see [`super::expand_files`]), whose columns are `columns` in this order.
    pub fn open(
        files: Vec<PathBuf>,
        options: CsvOptions,
        columns: Vec<(String, DataType)>,
        limits: CsvLimits,
    ) -> CsvResult<Self> {
        options.check()?;
        if columns.is_empty() {
            return Err(CsvError::option("columns", "a CSV without columns cannot be read"));
        }
        let cutting = Cutting {
            block_bytes: limits.block_bytes.clamp(1, BLOCK_BYTES_MAX / 2),
            record_bytes_max: limits.record_bytes_max.clamp(1, BLOCK_BYTES_MAX / 2),
            skip_lines: options.skip,
            skip_blank_lines: options.header && columns.len() > 1,
        };
        let source = Source::new(files.clone(), options.dialect.clone(), cutting);
        let rejects_kept_max = limits.rejects_kept_max;
        let layout = Arc::new(Layout { files, options, columns, rejects_kept_max });
        Ok(CsvReader {
            bytes_total: source.bytes_total(),
            source: Some(source),
            parser: BlockParser::new(&layout),
            layout,
            block: Block::default(),
            bytes_read: 0,
            origins: Vec::new(),
            summary: CsvSummary::default(),
        })
    }

    /// A chunk for [`CsvReader::next_chunk`].
    pub fn new_chunk(&self) -> CsvChunk {
        CsvChunk::new(&self.layout)
    }

    /// Replaces the chunk by the next rows; `false` at the end. This is the way for a caller that pulls; it
    /// parses on the calling thread.
    pub fn next_chunk(&mut self, chunk: &mut CsvChunk) -> CsvResult<bool> {
        loop {
            let Some(source) = self.source.as_mut() else { return Ok(false) };
            if !source.next_block(&mut self.block)? {
                self.source = None;
                return Ok(false);
            }
            self.parser.parse(&self.block, chunk)?;
            if let Some(error) = chunk.stop.take() {
                return Err(error);
            }
            self.accept(chunk)?;
            if chunk.rows > 0 {
                return Ok(true);
            }
        }
    }

    /// Reads everything. `map` sees each chunk on the thread that parsed it, in any order (its
    /// [`CsvChunk::first_row`] is not known there); `consume` gets each chunk and what `map` made of it on the
    /// calling thread, in the order of the files, and may take the columns out of the chunk. Of the chunk with the
    /// first bad row both get the rows before it, so that their errors about those come first. With one thread
    /// (or `PARALLEL = false`) no thread is started; otherwise `threads - 1` help the calling one.
    pub fn run<T, E>(
        &mut self,
        threads: usize,
        monitor: CsvMonitor<'_>,
        map: impl Fn(&mut CsvChunk) -> Result<T, E> + Sync,
        mut consume: impl FnMut(&mut CsvChunk, T) -> Result<(), E>,
    ) -> Result<CsvSummary, E>
    where
        T: Send,
        E: From<CsvError> + Send,
    {
        let Some(source) = self.source.take() else { return Ok(self.summary.clone()) };
        let threads = if self.layout.options.parallel { threads.max(1) } else { 1 };
        let layout = Arc::clone(&self.layout);
        run_ordered(&layout, source, threads, monitor, &map, |chunk, mapped| {
            self.accept(chunk)?;
            if chunk.rows > 0 {
                consume(chunk, mapped)?;
            }
            if let Some(error) = chunk.stop.take() {
                return Err(error.into());
            }
            if let Some(progress) = monitor.progress {
                progress(self.progress());
            }
            Ok(())
        })?;
        Ok(self.summary.clone())
    }

    /// Where a row came from: `row` counts over all files and chunks, as [`CsvChunk::first_row`] does. It works
    /// for rows of chunks that have been consumed.
    pub fn locate(&self, row: u64) -> Option<RowOrigin> {
        if row >= self.summary.rows {
            return None;
        }
        let after = self.origins.partition_point(|(first_row, _)| *first_row <= row);
        let (first_row, origin) = self.origins.get(after.checked_sub(1)?)?;
        Some(origin.locate(&self.layout, (row - first_row) as usize))
    }

    /// The error of a later stage about a row (see [`CsvReader::locate`]) and one of its columns.
    pub fn row_error(&self, row: u64, column: Option<usize>, reason: impl Into<String>) -> Option<RowError> {
        let column = column.and_then(|column| self.layout.error_column(column));
        Some(self.locate(row)?.error(column, reason))
    }

    /// How far the reader has come.
    pub fn progress(&self) -> CsvProgress {
        CsvProgress { bytes_read: self.bytes_read, bytes_total: self.bytes_total, rows: self.summary.rows }
    }

    /// What has been read so far.
    pub fn summary(&self) -> &CsvSummary {
        &self.summary
    }

    /// Gives a chunk its place in the order and counts it.
    fn accept(&mut self, chunk: &mut CsvChunk) -> CsvResult<()> {
        self.bytes_read += chunk.origin.length as u64;
        chunk.first_row = self.summary.rows;
        self.count_rejects(chunk)?;
        if chunk.rows > 0 {
            self.origins.push((chunk.first_row, chunk.origin.clone()));
            self.summary.rows += chunk.rows as u64;
        }
        Ok(())
    }

    fn count_rejects(&mut self, chunk: &mut CsvChunk) -> CsvResult<()> {
        let count = chunk.origin.rejected.len() as u64;
        let ErrorPolicy::Ignore { limit } = self.layout.options.errors else { return Ok(()) };
        if self.summary.rejected + count > limit {
            let allowed = usize::try_from(limit - self.summary.rejected).unwrap_or(usize::MAX);
            let position = allowed.min(chunk.rejects.len().saturating_sub(1));
            let error = chunk.rejects.get(position).cloned();
            return Err(match error {
                Some(error) => CsvError::TooManyRejects { limit, error: Box::new(error) },
                None => CsvError::option("IGNORE_ERRORS", format!("more than {limit} rows were rejected")),
            });
        }
        self.summary.rejected += count;
        let room = self.layout.rejects_kept_max.saturating_sub(self.summary.rejects.len());
        self.summary.rejects.extend(chunk.rejects.drain(..).take(room));
        Ok(())
    }
}
