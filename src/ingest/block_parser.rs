//! One block to one chunk: fields first, then column by column, so that each column's loop knows its type.

use std::sync::Arc;

use crate::vector::VectorBuffer;

use super::chunk::{ChunkOrigin, CsvChunk, Layout};
use super::convert::{Cells, Converter, ValueFault};
use super::options::ErrorPolicy;
use super::row_error::{CsvError, CsvResult, RowErrorKind};
use super::source::Block;
use super::tokenizer::{Fault, FaultKind, FieldTable, Tokenizer};

/// Fields looked at together; they and their text stay in the processor's cache from one loop to the next.
const FIELDS_PER_BATCH: usize = 8192;

/// Parses blocks; one per thread.
pub(super) struct BlockParser {
    layout: Arc<Layout>,
    converters: Vec<Converter>,
    rows_per_batch: usize,
    table: FieldTable,
    unescaped: Vec<u8>,
    value_faults: Vec<ValueFault>,
}

impl BlockParser {
    pub(super) fn new(layout: &Arc<Layout>) -> Self {
        let options = &layout.options;
        BlockParser {
            converters: layout
                .columns
                .iter()
                .map(|(_, data_type)| Converter::new(data_type, options))
                .collect(),
            rows_per_batch: (FIELDS_PER_BATCH / layout.columns.len()).clamp(64, 4096),
            layout: Arc::clone(layout),
            table: FieldTable::default(),
            unescaped: Vec::new(),
            value_faults: Vec::new(),
        }
    }

    /// Replaces the content of `chunk` by the rows of `block`. Under [`ErrorPolicy::Stop`] it has those before the
    /// first bad row, and stops with its error; otherwise bad rows are listed in the chunk.
    pub(super) fn parse(&mut self, block: &Block, chunk: &mut CsvChunk) -> CsvResult<()> {
        let layout = Arc::clone(&self.layout);
        prepare(&layout, block, chunk);
        let stop = layout.options.errors == ErrorPolicy::Stop;
        let mut faults = self.pass(block, block.bytes(), chunk, stop)?;
        if faults.is_empty() {
            return Ok(());
        }
        faults.sort_by_key(|fault| (fault.ordinal, fault.column));
        faults.dedup_by_key(|fault| fault.ordinal);
        let fatal = |fault: &&Fault| stop || matches!(fault.kind, FaultKind::Unterminated { .. });
        if let Some(fault) = faults.iter().find(fatal) {
            let hint = self.header_hint(block, fault);
            let error = layout.row_error(block, fault, hint);
            if !stop {
                return Err(error.into());
            }
            // The rows before it may be bad for a reason that is found later.
            chunk.clear();
            let before = block.bytes().get(..fault.record.start).unwrap_or_default();
            self.pass(block, before, chunk, stop)?;
            chunk.stop = Some(error.into());
            return Ok(());
        }
        let kept = faults.iter().take(layout.rejects_kept_max.max(1));
        chunk.rejects = kept.map(|fault| layout.row_error(block, fault, None)).collect();
        chunk.origin.rejected = faults.iter().map(|fault| fault.ordinal).collect();
        chunk.clear();
        match self.pass(block, block.bytes(), chunk, false)?.first() {
            None => Ok(()),
            Some(fault) => Err(layout.row_error(block, fault, None).into()),
        }
    }

    /// Appends all rows of the block's beginning that are not rejected already; what is wrong with the others.
    fn pass(
        &mut self,
        block: &Block,
        bytes: &[u8],
        chunk: &mut CsvChunk,
        stop: bool,
    ) -> CsvResult<Vec<Fault>> {
        let layout = Arc::clone(&self.layout);
        let valid_utf8 = simdutf8::basic::from_utf8(bytes).is_ok();
        let dialect = &layout.options.dialect;
        let mut tokenizer = Tokenizer::new(dialect, bytes, layout.columns.len(), valid_utf8);
        if chunk.origin.has_header {
            tokenizer.skip_header().map_err(|fault| CsvError::from(layout.row_error(block, &fault, None)))?;
        }
        let mut faults = Vec::new();
        while !tokenizer.at_end() && (faults.is_empty() || !stop) {
            tokenizer.next_rows(&mut self.table, self.rows_per_batch, &chunk.origin.rejected, &mut faults);
            self.convert(bytes, chunk, stop);
            for fault in self.value_faults.drain(..) {
                faults.push(fault_of_value(&self.table, fault));
            }
            chunk.rows += self.table.rows();
        }
        Ok(faults)
    }

    fn convert(&mut self, bytes: &[u8], chunk: &mut CsvChunk, stop: bool) {
        let dialect = &self.layout.options.dialect;
        for (column, (converter, buffer)) in self.converters.iter_mut().zip(&mut chunk.columns).enumerate() {
            let cells = Cells { bytes, dialect, table: &self.table, column, stop };
            converter.append(&cells, &mut self.unescaped, buffer, &mut self.value_faults);
        }
    }

    /// A first line that holds the column's name where a value should be is mostly a header.
    fn header_hint(&self, block: &Block, fault: &Fault) -> Option<String> {
        let (name, _) = self.layout.columns.get(fault.column?)?;
        let field = block.bytes().get(fault.field.clone()?)?;
        let first = block.starts_file && fault.ordinal == 0 && !self.layout.options.header;
        (first && field.eq_ignore_ascii_case(name.as_bytes()))
            .then(|| "the first line looks like a header; say so with (HEADER = true)".to_string())
    }
}

fn prepare(layout: &Arc<Layout>, block: &Block, chunk: &mut CsvChunk) {
    // Whoever consumed the chunk may have taken its columns.
    if chunk.columns.len() == layout.columns.len() {
        chunk.clear();
    } else {
        let new_buffer = |(_, data_type): &(String, _)| VectorBuffer::new(Clone::clone(data_type));
        chunk.columns = layout.columns.iter().map(new_buffer).collect();
        chunk.rows = 0;
    }
    chunk.first_row = 0;
    chunk.rejects.clear();
    chunk.stop = None;
    chunk.origin = ChunkOrigin {
        file: block.file,
        offset: block.offset,
        length: block.bytes().len(),
        first_line: block.first_line,
        has_header: block.starts_file && layout.options.header,
        rejected: Vec::new(),
    };
}

fn fault_of_value(table: &FieldTable, fault: ValueFault) -> Fault {
    Fault {
        ordinal: table.ordinal(fault.row),
        record: table.record_range(fault.row),
        column: Some(fault.column),
        field: Some(table.field(fault.row, fault.column).range()),
        kind: FaultKind::Row(RowErrorKind::BadValue { reason: fault.reason }),
    }
}
