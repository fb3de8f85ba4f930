//! What operators that keep rows share: their account, and the decision to put rows aside.

use std::sync::Arc;

use super::context::QueryContext;
use super::counters::count;
use super::error::ExecutionResult;
use super::key_table::KeyTable;
use crate::planner::physical_plan::PlanNode;
use crate::storage::StorageError;
use crate::storage::memory::{MemoryClass, Meter, Reservation};
use crate::storage::spill::{SpillBlock, SpillFile};
use crate::types::DataType;
use crate::vector::{Selection, ValueVector, VectorBuffer};

/// Rows between two looks at the account: more than most batches have.
const ROWS_PER_LOOK: usize = 4096;
/// Bytes that a buffer grows by between two looks: wide rows are looked at sooner.
const BYTES_PER_LOOK: u64 = 1 << 20;
/// The same where batches are tiny, so that tests meet with few rows what happens to many.
const ROWS_PER_LOOK_TINY: usize = 8;
/// An operator that holds no more than this part of the limit, or so many bytes, puts nothing aside: it is not worth a
/// block.
const HOLDERS_IN_LIMIT: u64 = 32;
const SPILL_BYTES_MIN: u64 = 64 << 10;
/// About how large a block is: this, or less where memory is little.
const BLOCK_BYTES: u64 = 128 << 10;
const BLOCKS_IN_LIMIT: u64 = 64;

/// What an operator took since it looked at its account.
#[derive(Debug, Default)]
pub struct Unseen {
    rows: usize,
    /// What its buffers took then.
    bytes: u64,
}

impl Unseen {
    /// Takes note of rows; `bytes` is what the buffers take by now. Whether it is time to look at the account: then
    /// nothing is unseen.
    pub fn is_due(&mut self, rows: usize, bytes: u64, query: &QueryContext) -> bool {
        self.rows += rows;
        // What was put aside is not there any more.
        self.bytes = self.bytes.min(bytes);
        let is_due = self.rows >= query.rows_per_look() || bytes - self.bytes >= BYTES_PER_LOOK;
        if is_due {
            (self.rows, self.bytes) = (0, bytes);
        }
        is_due
    }

    /// Whether there are rows that the account does not know.
    pub fn any(&self) -> bool {
        self.rows > 0
    }

    /// All of them are counted now.
    pub fn clear(&mut self) {
        self.rows = 0;
    }
}

/// What came of the question for more memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Room {
    /// It is counted.
    Held,
    /// There is none: the operator puts rows aside.
    Short,
}

impl QueryContext {
    /// An account for one operator of one worker.
    pub fn account(&self) -> Reservation {
        self.memory().reservation(MemoryClass::Operators)
    }

    /// An account for what the operator of a plan's node holds, which `PROFILE` shows beside it.
    pub fn account_of(&self, meter: Option<&Arc<Meter>>) -> Reservation {
        self.account().metered(meter)
    }

    /// The meter of a node; none but under PROFILE.
    pub fn meter(&self, node: &PlanNode) -> Option<Arc<Meter>> {
        Some(self.profile.as_ref()?.counts(node)?.memory())
    }

    /// Counts what an operator holds that can put rows aside instead. Where there is no place for them it is an error.
    /// What would not be worth a block is counted without asking, since there is nothing else that could be done with it.
    pub fn room(&self, held: &mut Reservation, bytes: u64, operator: &str) -> ExecutionResult<Room> {
        if held.try_hold_share(bytes) {
            return Ok(Room::Held);
        }
        let least = SPILL_BYTES_MIN.min(self.memory().limit() / HOLDERS_IN_LIMIT);
        if !self.transaction.spill().is_there() {
            held.hold(operator, bytes)?;
        } else if bytes > least {
            return Ok(Room::Short);
        } else {
            held.force(bytes);
        }
        Ok(Room::Held)
    }

    /// Rows that an operator takes between two looks at the account.
    fn rows_per_look(&self) -> usize {
        if self.is_tiny() { ROWS_PER_LOOK_TINY } else { ROWS_PER_LOOK }
    }

    /// A file for rows that an operator puts aside.
    pub fn spill_file(&self, operator: &str) -> ExecutionResult<Arc<SpillFile>> {
        let limit = self.memory().limit();
        let none = || StorageError::OutOfMemory { operator: operator.to_owned(), needed: 1, limit };
        Ok(Arc::new(self.transaction.spill().file()?.ok_or_else(none)?))
    }

    /// Puts rows aside.
    pub fn put_aside(
        &self,
        file: &SpillFile,
        columns: &[ValueVector<'_>],
        types: &[DataType],
        rows: usize,
    ) -> ExecutionResult<SpillBlock> {
        self.check()?;
        let block = file.write(columns, types, rows)?;
        count(&self.counters.bytes_spilled, block.bytes);
        Ok(block)
    }

    /// Rows per block where `rows` rows take `bytes` bytes.
    pub fn rows_per_block(&self, bytes: u64, rows: usize) -> usize {
        let block = (self.memory().limit() / BLOCKS_IN_LIMIT).clamp(4096, BLOCK_BYTES);
        let each = (bytes / rows.max(1) as u64).max(1);
        (block / each).clamp(1, 8192) as usize
    }

    /// Gets them back.
    pub fn take_back(
        &self,
        file: &SpillFile,
        block: &SpillBlock,
        types: &[DataType],
    ) -> ExecutionResult<Vec<VectorBuffer>> {
        self.check()?;
        count(&self.counters.bytes_read_back, block.bytes);
        Ok(file.read(block, types)?)
    }
}

/// Parts that rows are split into by a hash of their keys.
pub const PARTITIONS: usize = 16;
/// How often a part that is too large is split again, the first time included.
pub const LEVELS: usize = 3;
/// One multiplier per level (and further ones for values within groups), so that each level looks at other bits.
const MULTIPLIERS: [u64; 2 * LEVELS] = [
    0x9E37_79B9_7F4A_7C15,
    0xD6E8_FEB8_6659_FD93,
    0xA076_1D64_78BD_642F,
    0xE703_7ED1_A0B4_28DB,
    0x8EBC_6AF0_9C88_C6E3,
    0x5899_65CC_7537_4CC3,
];

/// What a hash is at the first level, whose uppermost bits name the part.
pub fn first_hash(hash: u64) -> u64 {
    hash.wrapping_mul(MULTIPLIERS[0])
}

/// The part of each of `rows` rows by their keys; the first one where there are no keys.
pub fn partitions(keys: &[ValueVector<'_>], types: &[DataType], rows: usize, level: usize) -> Vec<u8> {
    if keys.is_empty() {
        return vec![0; rows];
    }
    partitions_of(keys, types, rows, Selection::All, level)
}

/// The same for selected rows, one after another.
pub fn partitions_of(
    keys: &[ValueVector<'_>],
    types: &[DataType],
    length: usize,
    selection: Selection<'_>,
    level: usize,
) -> Vec<u8> {
    let mut hashes = Vec::new();
    KeyTable::new(types.to_vec()).hashes(keys, length, selection, &mut hashes);
    let multiplier = MULTIPLIERS[level % MULTIPLIERS.len()];
    hashes.into_iter().map(|hash| (hash.wrapping_mul(multiplier) >> 60) as u8).collect()
}

/// Writes `rows` rows of columns, of which there may be none, as blocks.
pub fn write_blocks(
    columns: &[VectorBuffer],
    types: &[DataType],
    rows: usize,
    file: &SpillFile,
    query: &QueryContext,
) -> ExecutionResult<Vec<SpillBlock>> {
    let step = query.rows_per_block(bytes_of(columns), rows);
    let mut blocks = Vec::new();
    let mut part: Vec<VectorBuffer> = types.iter().cloned().map(VectorBuffer::new).collect();
    for start in (0..rows).step_by(step) {
        let count = step.min(rows - start);
        for (column, from) in part.iter_mut().zip(columns) {
            column.clear();
            column.append_range(&from.vector(), start, count);
        }
        let vectors: Vec<ValueVector<'_>> = part.iter().map(VectorBuffer::vector).collect();
        blocks.push(query.put_aside(file, &vectors, types, count)?);
    }
    Ok(blocks)
}

/// Notes how many rows of some columns share their lists.
pub fn note_shared_lists<'c>(columns: impl IntoIterator<Item = &'c VectorBuffer>, query: &QueryContext) {
    match columns.into_iter().map(VectorBuffer::lists_shared).sum::<usize>() {
        0 => {}
        shared => count(&query.counters.lists_shared, shared as u64),
    }
}

/// The memory of some columns.
pub fn bytes_of(columns: &[VectorBuffer]) -> u64 {
    columns.iter().map(|column| column.bytes() as u64).sum()
}
