//! What the reader hands on: the columns of a run of rows, and the way back from a row to its text.

use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::ops::Range;
use std::path::PathBuf;
use std::sync::Arc;

use crate::types::DataType;
use crate::vector::VectorBuffer;

use super::options::CsvOptions;
use super::row_error::{CsvError, ErrorColumn, RowError, RowErrorKind, RowOrigin, shown};
use super::source::Block;
use super::structure::count_line_ends;
use super::tokenizer::{Fault, FaultKind, FieldTable, Tokenizer};

/// What a reader and its chunks know about the whole load.
#[derive(Debug)]
pub(super) struct Layout {
    pub(super) files: Vec<PathBuf>,
    pub(super) options: CsvOptions,
    /// Names and types in the order of the file's columns.
    pub(super) columns: Vec<(String, DataType)>,
    pub(super) rejects_kept_max: usize,
}

impl Layout {
    pub(super) fn file_name(&self, file: usize) -> String {
        self.files.get(file).map(|path| path.display().to_string()).unwrap_or_default()
    }

    pub(super) fn error_column(&self, column: usize) -> Option<ErrorColumn> {
        let (name, data_type) = self.columns.get(column)?;
        Some(ErrorColumn { name: name.clone(), number: column + 1, expected: data_type.clone() })
    }

    /// The error that a fault in a block is.
    pub(super) fn row_error(&self, block: &Block, fault: &Fault, hint: Option<String>) -> RowError {
        let bytes = block.bytes();
        let line_at =
            |position: usize| block.first_line + count_line_ends(bytes.get(..position).unwrap_or_default());
        let text = |range: &Range<usize>| shown(bytes.get(range.clone()).unwrap_or_default());
        let kind = match &fault.kind {
            FaultKind::Row(kind) => kind.clone(),
            FaultKind::Unterminated { quote } => {
                RowErrorKind::UnterminatedQuote { opened_line: line_at(*quote) }
            }
        };
        RowError {
            file: self.file_name(block.file),
            line: line_at(fault.record.start),
            column: fault.column.and_then(|column| self.error_column(column)),
            field: fault.field.as_ref().map(text),
            record: text(&fault.record),
            kind,
            hint,
        }
    }
}

/// Where the rows of one chunk stand in the files: enough to read any of them again.
#[derive(Debug, Clone, Default)]
pub(super) struct ChunkOrigin {
    pub(super) file: usize,
    pub(super) offset: u64,
    pub(super) length: usize,
    pub(super) first_line: u64,
    pub(super) has_header: bool,
    /// Positions of the records that were rejected, sorted.
    pub(super) rejected: Vec<u32>,
}

impl ChunkOrigin {
    /// Reads the block again and finds the row in it.
    pub(super) fn locate(&self, layout: &Layout, row: usize) -> RowOrigin {
        let unknown = || self.origin(layout, self.first_line, String::new(), Vec::new());
        self.locate_all(layout, &[row]).pop().unwrap_or_else(unknown)
    }

    /// Reads the block again once and finds all rows in it, which are in rising order.
    pub(super) fn locate_all(&self, layout: &Layout, rows: &[usize]) -> Vec<RowOrigin> {
        let mut found = Vec::with_capacity(rows.len());
        if let Some(bytes) = self.read_again(layout) {
            let (mut line, mut counted) = (self.first_line, 0);
            find_rows(layout, &bytes, self.has_header, &self.rejected, rows, |record, fields| {
                line += count_line_ends(bytes.get(counted..record.start).unwrap_or_default());
                counted = record.start;
                let text = |range: Range<usize>| shown(bytes.get(range).unwrap_or_default());
                found.push(self.origin(layout, line, text(record), fields.map(text).collect()));
            });
        }
        while found.len() < rows.len() {
            found.push(self.origin(layout, self.first_line, String::new(), Vec::new()));
        }
        found
    }

    fn origin(&self, layout: &Layout, line: u64, raw_text: String, fields: Vec<String>) -> RowOrigin {
        RowOrigin { file: layout.file_name(self.file), line, raw_text, fields }
    }

    fn read_again(&self, layout: &Layout) -> Option<Vec<u8>> {
        let mut file = File::open(layout.files.get(self.file)?).ok()?;
        file.seek(SeekFrom::Start(self.offset)).ok()?;
        let mut bytes = Vec::new();
        file.take(self.length as u64).read_to_end(&mut bytes).ok()?;
        Some(bytes)
    }
}

/// Calls `visit` with the record and the fields of each of the rows, which are in rising order.
fn find_rows(
    layout: &Layout,
    bytes: &[u8],
    header: bool,
    rejected: &[u32],
    rows: &[usize],
    mut visit: impl FnMut(Range<usize>, &mut dyn Iterator<Item = Range<usize>>),
) {
    let valid_utf8 = simdutf8::basic::from_utf8(bytes).is_ok();
    let width = layout.columns.len();
    let mut tokenizer = Tokenizer::new(&layout.options.dialect, bytes, width, valid_utf8);
    if header && tokenizer.skip_header().is_err() {
        return;
    }
    let (mut table, mut faults) = (FieldTable::default(), Vec::new());
    let (mut before, mut wanted) = (0, rows.iter().peekable());
    while !tokenizer.at_end() && faults.is_empty() && wanted.peek().is_some() {
        tokenizer.next_rows(&mut table, 1024, rejected, &mut faults);
        while let Some(row) = wanted.next_if(|row| **row < before + table.rows()) {
            let mut fields = (0..width).map(|column| table.field(row - before, column).range());
            visit(table.record_range(row - before), &mut fields);
        }
        before += table.rows();
    }
}

/// A run of rows as typed columns.
#[derive(Debug)]
pub struct CsvChunk {
    /// One buffer per column, all of them with as many values as there are rows.
    pub columns: Vec<VectorBuffer>,
    pub(super) rows: usize,
    pub(super) first_row: u64,
    pub(super) origin: ChunkOrigin,
    pub(super) layout: Arc<Layout>,
    /// The rejected rows of the block, the first of them; `origin.rejected` has all.
    pub(super) rejects: Vec<RowError>,
    /// The load ends behind the rows of this chunk, with this error.
    pub(super) stop: Option<CsvError>,
}

impl CsvChunk {
    pub(super) fn new(layout: &Arc<Layout>) -> Self {
        CsvChunk {
            columns: layout
                .columns
                .iter()
                .map(|(_, data_type)| VectorBuffer::new(data_type.clone()))
                .collect(),
            rows: 0,
            first_row: 0,
            origin: ChunkOrigin::default(),
            layout: Arc::clone(layout),
            rejects: Vec::new(),
            stop: None,
        }
    }

    /// Forgets the rows, keeps the memory.
    pub(super) fn clear(&mut self) {
        self.columns.iter_mut().for_each(VectorBuffer::clear);
        self.rows = 0;
    }

    /// How many rows.
    pub fn rows(&self) -> usize {
        self.rows
    }

    /// The position of the first row among the rows of all files, rejected ones not counted. It is known when
    /// the chunk is consumed, not yet when it is mapped.
    pub fn first_row(&self) -> u64 {
        self.first_row
    }

    /// Leaves the rows before `row`; once they are consumed the load ends with the error, unless they are bad too.
    pub fn stop_at(&mut self, row: usize, error: RowError) {
        self.columns.iter_mut().for_each(|column| column.truncate(row));
        self.rows = self.rows.min(row);
        self.stop = Some(error.into());
    }

    /// Where a row of this chunk (counted from 0) came from. The file is read again for it, so this is for
    /// errors; when the file is gone, the line is that of the chunk's start and the text is empty.
    pub fn locate(&self, row: usize) -> RowOrigin {
        self.origin.locate(&self.layout, row)
    }

    /// As [`CsvChunk::locate`], for several rows in rising order with one reading of the file.
    pub fn locate_all(&self, rows: &[usize]) -> Vec<RowOrigin> {
        self.origin.locate_all(&self.layout, rows)
    }

    /// A column of the file as errors name it.
    pub fn error_column(&self, column: usize) -> Option<ErrorColumn> {
        self.layout.error_column(column)
    }

    /// The error of a later stage about a row of this chunk and one of its columns.
    pub fn row_error(&self, row: usize, column: Option<usize>, reason: impl Into<String>) -> RowError {
        self.locate(row).error(column.and_then(|column| self.layout.error_column(column)), reason)
    }
}
