//! Rows with their sort keys, and sorted runs of them, in memory or put aside.

use std::sync::Arc;

use super::super::context::QueryContext;
use super::super::counters::count;
use super::super::error::ExecutionResult;
use super::super::spill::bytes_of;
use super::Sorting;
use crate::storage::memory::Reservation;
use crate::storage::spill::{SpillBlock, SpillFile};
use crate::types::DataType;
use crate::vector::{ValueVector, VectorBuffer};

/// What the order takes while it is made, per row, by one key and by several.
const ORDER_BYTES: u64 = 36;
const ORDER_BYTES_TWO: u64 = 60;

/// Rows with their sort keys.
#[derive(Default)]
pub(super) struct Rows {
    pub columns: Vec<VectorBuffer>,
    pub keys: Vec<VectorBuffer>,
    /// The first key's order-preserving prefix.
    pub prefixes: Vec<u64>,
}

impl Rows {
    pub fn bytes(&self) -> u64 {
        let prefixes = self.prefixes.capacity() as u64 * 8;
        let order = if self.keys.len() > 1 { ORDER_BYTES_TWO } else { ORDER_BYTES };
        bytes_of(&self.columns) + bytes_of(&self.keys) + prefixes + self.prefixes.len() as u64 * order
    }

    /// Appends some rows of others of the same types.
    pub fn append(&mut self, from: &Rows, rows: &[u32]) {
        let pick = |from: &[VectorBuffer], to: &mut [VectorBuffer]| {
            from.iter().zip(to).for_each(|(from, to)| to.append_rows(&from.vector(), rows));
        };
        pick(&from.columns, &mut self.columns);
        pick(&from.keys, &mut self.keys);
        self.prefixes.extend(rows.iter().map(|row| from.prefixes[*row as usize]));
    }

    pub fn clear(&mut self) {
        self.columns.iter_mut().chain(&mut self.keys).for_each(VectorBuffer::clear);
        self.prefixes.clear();
    }
}

/// Rows in order.
pub(super) enum Run {
    Held { rows: Rows, order: Vec<u32>, _held: Reservation },
    Aside { file: Arc<SpillFile>, blocks: Vec<SpillBlock> },
}

impl Run {
    /// How large its largest block is; nothing has to be read of a run in memory.
    pub fn block_bytes(&self) -> u64 {
        match self {
            Run::Held { .. } => 0,
            Run::Aside { blocks, .. } => blocks.iter().map(|block| block.bytes).max().unwrap_or(0),
        }
    }

    /// What one of its rows takes, about.
    pub fn row_bytes(&self) -> u64 {
        match self {
            Run::Held { rows, order, .. } => rows.bytes() / order.len().max(1) as u64,
            Run::Aside { blocks, .. } => {
                blocks.iter().map(|block| block.bytes / u64::from(block.rows).max(1)).max().unwrap_or(0)
            }
        }
    }

    /// How many rows its blocks have at most, if it was put aside.
    pub fn block_rows(&self) -> Option<usize> {
        match self {
            Run::Held { .. } => None,
            Run::Aside { blocks, .. } => blocks.iter().map(|block| block.rows as usize).max(),
        }
    }
}

impl Sorting<'_> {
    /// Puts rows aside in this order.
    pub(super) fn write_run(
        &self,
        rows: &Rows,
        order: &[u32],
        file: Arc<SpillFile>,
        query: &QueryContext,
    ) -> ExecutionResult<Run> {
        count(&query.counters.partitions_spilled, 1);
        let (mut blocks, mut sorted) = (Vec::new(), self.empty());
        for part in order.chunks(query.rows_per_block(rows.bytes(), rows.prefixes.len())) {
            sorted.clear();
            sorted.append(rows, part);
            blocks.push(self.write_block(&sorted, &file, query)?);
        }
        Ok(Run::Aside { file, blocks })
    }

    /// Puts rows that are in order aside as one block.
    pub(super) fn write_block(
        &self,
        rows: &Rows,
        file: &SpillFile,
        query: &QueryContext,
    ) -> ExecutionResult<SpillBlock> {
        let mut prefixes = VectorBuffer::new(DataType::UInt64);
        prefixes.extend(&rows.prefixes);
        let columns: Vec<ValueVector<'_>> =
            rows.columns.iter().chain(&rows.keys).chain([&prefixes]).map(VectorBuffer::vector).collect();
        query.put_aside(file, &columns, &self.stored_types, rows.prefixes.len())
    }

    /// Gets a block back.
    pub(super) fn read_block(
        &self,
        file: &SpillFile,
        block: &SpillBlock,
        query: &QueryContext,
    ) -> ExecutionResult<Rows> {
        let mut columns = query.take_back(file, block, &self.stored_types)?;
        let prefixes = columns.pop().and_then(|mut column| column.natives_mut().map(|words| words.to_vec()));
        let keys = columns.split_off(self.types.len().min(columns.len()));
        Ok(Rows { columns, keys, prefixes: prefixes.unwrap_or_default() })
    }
}
