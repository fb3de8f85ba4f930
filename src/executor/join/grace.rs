//! Hash joins whose build side does not fit. The rows of both sides are put aside in partitions, by a hash of the keys;
//! then each partition is joined by itself. One that is still too large is split once more by other bits of the hash,
//! and what cannot be split (many rows with one key) is joined slice by slice: each slice of the build side with all
//! rows of the other.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use parking_lot::Mutex;

use super::super::chunks::{Chunk, ChunkList};
use super::super::context::{Context, QueryContext};
use super::super::counters::count;
use super::super::error::ExecutionResult;
use super::super::evaluate::Evaluator;
use super::super::operator::{Flow, Next, Operator};
use super::super::pieces::Pieces;
use super::super::pipeline::Source;
use super::super::spill::{LEVELS, PARTITIONS, Room, Unseen, bytes_of, partitions, write_blocks};
use super::{BuildRows, HashProbe, HashTableSide, evaluate_all, without_nulls};
use crate::planner::physical_plan::Expression;
use crate::storage::memory::{Meter, Reservation};
use crate::storage::spill::{SpillBlock, SpillFile};
use crate::types::DataType;
use crate::vector::{Batch, SelectionBuffer, ValueVector, VectorBuffer};

const OPERATOR: &str = "HashJoin";
/// What the table takes per row of the build side, beside the row.
const TABLE_BYTES: u64 = 48;

/// One side of a join: its rows are kept, or put aside.
pub struct JoinSide<'x> {
    types: &'x [DataType],
    keys: &'x [Expression],
    /// The types of rows that are put aside: the columns and the multiplicity.
    stored_types: Vec<DataType>,
    /// Whether all rows are put aside.
    always: bool,
    kept: Mutex<ChunkList>,
    held: Mutex<Reservation>,
    aside: Mutex<Option<Arc<Partitions>>>,
    meter: Option<Arc<Meter>>,
}

/// Blocks by partition.
pub struct Partitions {
    file: Arc<SpillFile>,
    level: usize,
    parts: Vec<Mutex<Vec<SpillBlock>>>,
}

impl Partitions {
    fn new(level: usize, query: &QueryContext) -> ExecutionResult<Partitions> {
        let parts = (0..PARTITIONS).map(|_| Mutex::default()).collect();
        Ok(Partitions { file: query.spill_file(OPERATOR)?, level, parts })
    }
}

/// What a side has come to.
pub enum Gathered {
    Kept(ChunkList, Reservation),
    Aside(Arc<Partitions>),
}

impl<'x> JoinSide<'x> {
    /// A side whose rows are kept as long as there is memory for them.
    pub fn new(
        types: &'x [DataType],
        keys: &'x [Expression],
        meter: Option<Arc<Meter>>,
        query: &QueryContext,
    ) -> JoinSide<'x> {
        JoinSide {
            types,
            keys,
            stored_types: types.iter().cloned().chain([DataType::UInt64]).collect(),
            always: false,
            kept: Mutex::default(),
            held: Mutex::new(query.account_of(meter.as_ref())),
            aside: Mutex::default(),
            meter,
        }
    }

    /// A side whose rows all follow those of the other into partitions.
    pub fn aside(
        types: &'x [DataType],
        keys: &'x [Expression],
        meter: Option<Arc<Meter>>,
        query: &QueryContext,
    ) -> JoinSide<'x> {
        JoinSide { always: true, ..JoinSide::new(types, keys, meter, query) }
    }

    /// The sink of one worker.
    pub fn sink<'s>(&'s self, query: &QueryContext) -> ExecutionResult<SideSink<'s>> {
        let keys = Evaluator::all(self.keys, query)?;
        Ok(SideSink {
            side: self,
            keys,
            own: ChunkList::default(),
            held: query.account_of(self.meter.as_ref()),
            unseen: Unseen::default(),
            pieces: Pieces::default(),
        })
    }

    /// All rows, after all workers are done.
    pub fn gathered(&self, query: &QueryContext) -> ExecutionResult<Gathered> {
        let kept = std::mem::take(&mut *self.kept.lock());
        let held = std::mem::replace(&mut *self.held.lock(), query.account());
        let aside = self.aside.lock().take();
        match aside {
            None if !self.always => Ok(Gathered::Kept(kept, held)),
            aside => {
                let aside = match aside {
                    Some(aside) => aside,
                    None => Arc::new(Partitions::new(0, query)?),
                };
                self.put_aside(&kept.chunks, &mut Evaluator::all(self.keys, query)?, &aside, query)?;
                Ok(Gathered::Aside(aside))
            }
        }
    }

    fn partitions(&self, query: &QueryContext) -> ExecutionResult<Arc<Partitions>> {
        let mut aside = self.aside.lock();
        match &*aside {
            Some(aside) => Ok(Arc::clone(aside)),
            None => Ok(Arc::clone(aside.insert(Arc::new(Partitions::new(0, query)?)))),
        }
    }

    /// Puts rows aside; those with a NULL key never join and are dropped.
    fn put_aside(
        &self,
        chunks: &[Chunk],
        keys: &mut [Evaluator<'_>],
        to: &Partitions,
        query: &QueryContext,
    ) -> ExecutionResult<()> {
        let key_types: Vec<DataType> = self.keys.iter().map(|key| key.data_type.clone()).collect();
        let (mut selection, mut rows) = (SelectionBuffer::default(), Vec::new());
        // The rows of each chunk by partition.
        let mut members: Vec<Vec<Vec<u32>>> = Vec::with_capacity(chunks.len());
        for chunk in chunks {
            query.check()?;
            let columns: Vec<ValueVector<'_>> = chunk.columns.iter().map(VectorBuffer::vector).collect();
            let batch = Batch::new(&columns, chunk.rows);
            let vectors = evaluate_all(keys, query, &batch)?;
            without_nulls(&vectors, &batch, &mut selection);
            let part_of = partitions(&vectors, &key_types, chunk.rows, to.level);
            let mut by_part: Vec<Vec<u32>> = vec![Vec::new(); PARTITIONS];
            rows.clear();
            selection.view().indices(chunk.rows, &mut rows);
            rows.iter().for_each(|row| by_part[usize::from(part_of[*row as usize])].push(*row));
            members.push(by_part);
        }
        for (at, part) in to.parts.iter().enumerate() {
            let mut columns: Vec<VectorBuffer> =
                self.stored_types.iter().cloned().map(VectorBuffer::new).collect();
            let mut rows = 0;
            for (chunk, members) in chunks.iter().zip(&members) {
                let members = &members[at];
                for (column, from) in columns.iter_mut().zip(&chunk.columns) {
                    column.append_rows(&from.vector(), members);
                }
                if let Some(counts) = columns.last_mut() {
                    let times = |row: &u32| chunk.multiplicity.get(*row as usize).copied().unwrap_or(1);
                    members.iter().for_each(|row| counts.push(times(row)));
                }
                rows += members.len();
            }
            if rows > 0 {
                count(&query.counters.partitions_spilled, 1);
                let blocks = write_blocks(&columns, &self.stored_types, rows, &to.file, query)?;
                part.lock().extend(blocks);
            }
        }
        Ok(())
    }

    /// A block's rows.
    fn take_back(
        &self,
        file: &SpillFile,
        block: &SpillBlock,
        query: &QueryContext,
    ) -> ExecutionResult<Chunk> {
        let mut columns = query.take_back(file, block, &self.stored_types)?;
        let counts =
            columns.pop().and_then(|mut counts| counts.natives_mut::<u64>().map(|counts| counts.to_vec()));
        let multiplicity = counts.filter(|counts| counts.iter().any(|times| *times != 1)).unwrap_or_default();
        Ok(Chunk { columns, rows: block.rows as usize, multiplicity })
    }

    /// Calls `visit` with tables over the rows of a partition that was put aside: one if there is memory for it, or one
    /// slice after another. The rows stay where they are.
    pub fn each_slice(
        &self,
        rows: &Partitions,
        part: usize,
        query: &QueryContext,
        mut visit: impl FnMut(&HashTableSide) -> ExecutionResult<Flow>,
    ) -> ExecutionResult<Flow> {
        let blocks = rows.parts.get(part).map(|blocks| blocks.lock().clone()).unwrap_or_default();
        let mut held = query.account_of(self.meter.as_ref());
        let (mut slice, mut bytes) = (ChunkList::default(), 0);
        for (at, block) in blocks.iter().enumerate() {
            let chunk = self.take_back(&rows.file, block, query)?;
            bytes += 2 * bytes_of(&chunk.columns) + chunk.rows as u64 * TABLE_BYTES;
            slice.chunks.push(chunk);
            let last = at + 1 == blocks.len();
            if query.room(&mut held, bytes, OPERATOR)? == Room::Held && !last {
                continue;
            }
            if visit(&self.table(std::mem::take(&mut slice), query)?)? == Flow::Stop {
                return Ok(Flow::Stop);
            }
            bytes = 0;
            held.shrink_to(0);
        }
        Ok(Flow::Continue)
    }

    /// A table over some rows of the build side.
    fn table(&self, rows: ChunkList, query: &QueryContext) -> ExecutionResult<HashTableSide> {
        let types = self.keys.iter().map(|key| key.data_type.clone()).collect();
        let keys = &mut Evaluator::all(self.keys, query)?;
        HashTableSide::new(BuildRows::new(self.types, rows, query)?, keys, types, query)
    }

    /// Splits blocks into smaller partitions.
    fn split(
        &self,
        file: &SpillFile,
        blocks: &[SpillBlock],
        to: &Partitions,
        query: &QueryContext,
    ) -> ExecutionResult<()> {
        let mut keys = Evaluator::all(self.keys, query)?;
        for block in blocks {
            self.put_aside(&[self.take_back(file, block, query)?], &mut keys, to, query)?;
        }
        Ok(())
    }
}

/// Keeps the rows of one worker.
pub struct SideSink<'s> {
    side: &'s JoinSide<'s>,
    keys: Vec<Evaluator<'s>>,
    own: ChunkList,
    held: Reservation,
    /// Rows since the account was looked at.
    unseen: Unseen,
    pieces: Pieces,
}

impl SideSink<'_> {
    /// Bytes that the rows take, and will take as a table: they are copied into one piece for it.
    fn bytes(&mut self) -> u64 {
        let rows = self.own.chunks.iter().map(|chunk| chunk.rows as u64).sum::<u64>();
        2 * self.own.bytes() + rows * TABLE_BYTES
    }

    fn look(&mut self, query: &QueryContext) -> ExecutionResult<()> {
        self.unseen.clear();
        let bytes = self.bytes();
        if query.room(&mut self.held, bytes, OPERATOR)? == Room::Short {
            let own = std::mem::take(&mut self.own);
            let aside = self.side.partitions(query)?;
            self.side.put_aside(&own.chunks, &mut self.keys, &aside, query)?;
            drop(own);
            self.held.shrink_to(0);
        }
        Ok(())
    }
}

impl Operator for SideSink<'_> {
    fn push<'b>(&mut self, context: &mut Context<'_>, batch: Batch<'b>) -> ExecutionResult<Flow> {
        let mut pieces = std::mem::take(&mut self.pieces);
        let flow = pieces.each_copied(&batch, context.query, |batch| {
            let rows = batch.selected();
            if rows > 0 {
                self.own.append(self.side.types, batch);
            }
            let bytes = self.own.bytes();
            if self.unseen.is_due(rows, bytes, context.query) {
                self.look(context.query)?;
            }
            Ok(Flow::Continue)
        });
        self.pieces = pieces;
        flow
    }

    fn finish(&mut self, context: &mut Context<'_>) -> ExecutionResult<()> {
        if self.unseen.any() {
            self.look(context.query)?;
        }
        self.side.kept.lock().absorb(std::mem::take(&mut self.own));
        let held = std::mem::replace(&mut self.held, context.query.account());
        self.side.held.lock().absorb(held);
        Ok(())
    }
}

/// Joins partition after partition; workers take one after another.
pub struct GraceSource<'x> {
    pub build: &'x JoinSide<'x>,
    pub probe: &'x JoinSide<'x>,
    pub build_rows: Arc<Partitions>,
    pub probe_rows: Arc<Partitions>,
    pub next: AtomicU64,
}

impl Source for GraceSource<'_> {
    fn next_morsel(&self) -> Option<u64> {
        let at = self.next.fetch_add(1, Relaxed);
        (at < PARTITIONS as u64).then_some(at)
    }

    fn morsels(&self) -> Option<u64> {
        Some(PARTITIONS as u64)
    }

    fn run(&self, morsel: u64, context: &mut Context<'_>, next: &mut dyn Operator) -> ExecutionResult<Flow> {
        self.join(&self.build_rows, &self.probe_rows, morsel as usize, context, next)
    }

    fn parallelism(&self) -> usize {
        PARTITIONS
    }
}

impl GraceSource<'_> {
    fn join(
        &self,
        build: &Partitions,
        probe: &Partitions,
        part: usize,
        context: &mut Context<'_>,
        next: &mut dyn Operator,
    ) -> ExecutionResult<Flow> {
        let query = context.query;
        let of = |side: &Partitions| side.parts.get(part).map(|blocks| std::mem::take(&mut *blocks.lock()));
        let (build_blocks, probe_blocks) = (of(build).unwrap_or_default(), of(probe).unwrap_or_default());
        if build_blocks.is_empty() || probe_blocks.is_empty() {
            return Ok(Flow::Continue);
        }
        let mut held = query.account_of(self.build.meter.as_ref());
        let (mut rows, mut bytes) = (ChunkList::default(), 0);
        for (at, block) in build_blocks.iter().enumerate() {
            let chunk = self.build.take_back(&build.file, block, query)?;
            bytes += 2 * bytes_of(&chunk.columns) + chunk.rows as u64 * TABLE_BYTES;
            rows.chunks.push(chunk);
            if query.room(&mut held, bytes, OPERATOR)? == Room::Held {
                continue;
            }
            if build.level + 1 < LEVELS {
                drop((rows, held));
                let (smaller, others) =
                    (Partitions::new(build.level + 1, query)?, Partitions::new(build.level + 1, query)?);
                self.build.split(&build.file, &build_blocks, &smaller, query)?;
                self.probe.split(&probe.file, &probe_blocks, &others, query)?;
                for part in 0..PARTITIONS {
                    if self.join(&smaller, &others, part, context, next)? == Flow::Stop {
                        return Ok(Flow::Stop);
                    }
                }
                return Ok(Flow::Continue);
            }
            if at + 1 < build_blocks.len() {
                let slice = std::mem::take(&mut rows);
                if self.probe_with(slice, &probe.file, &probe_blocks, context, next)? == Flow::Stop {
                    return Ok(Flow::Stop);
                }
                bytes = 0;
                held.shrink_to(0);
            }
        }
        self.probe_with(rows, &probe.file, &probe_blocks, context, next)
    }

    /// Joins some rows of the build side with all of the other.
    fn probe_with(
        &self,
        rows: ChunkList,
        file: &SpillFile,
        blocks: &[SpillBlock],
        context: &mut Context<'_>,
        next: &mut dyn Operator,
    ) -> ExecutionResult<Flow> {
        let query = context.query;
        let side = self.build.table(rows, query)?;
        let next: Next<'_> = Box::new(Forward { next });
        let mut probe = HashProbe::new(&side, Evaluator::all(self.probe.keys, query)?, next);
        for block in blocks {
            let chunk = self.probe.take_back(file, block, query)?;
            if super::super::chunks::push_chunk(&chunk, context, &mut probe)? == Flow::Stop {
                return Ok(Flow::Stop);
            }
        }
        Ok(Flow::Continue)
    }
}

/// Hands batches on to an operator that belongs to somebody else, who also finishes it.
pub struct Forward<'n> {
    pub next: &'n mut dyn Operator,
}

impl Operator for Forward<'_> {
    fn push<'b>(&mut self, context: &mut Context<'_>, batch: Batch<'b>) -> ExecutionResult<Flow> {
        self.next.push(context, batch)
    }

    fn finish(&mut self, _: &mut Context<'_>) -> ExecutionResult<()> {
        Ok(())
    }
}
