//! Rows that an operator keeps: copied out of their batches, chunk by chunk, with their multiplicities. Where they may
//! be put aside, the chunks in memory follow those that were.

use std::ops::Deref;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use parking_lot::Mutex;

use super::context::{Context, QueryContext};
use super::error::ExecutionResult;
use super::operator::{Flow, Operator};
use super::pieces::Pieces;
use super::pipeline::Source;
use super::spill::{Room, Unseen, bytes_of, note_shared_lists, write_blocks};
use crate::storage::memory::{Meter, Reservation};
use crate::storage::spill::{SpillBlock, SpillFile};
use crate::types::DataType;
use crate::vector::{Batch, Multiplicity, ValueVector, VectorBuffer};

/// Rows per chunk.
const CHUNK_ROWS: usize = 8192;

/// One chunk of owned columns.
pub struct Chunk {
    pub columns: Vec<VectorBuffer>,
    pub rows: usize,
    /// Empty when every row stands for itself.
    pub multiplicity: Vec<u64>,
}

impl Chunk {
    /// No rows and no columns.
    pub fn empty() -> Chunk {
        Chunk { columns: Vec::new(), rows: 0, multiplicity: Vec::new() }
    }
}

/// A list of chunks.
#[derive(Default)]
pub struct ChunkList {
    pub chunks: Vec<Chunk>,
    /// The rows before them.
    aside: Vec<AsideChunk>,
    held: Option<Reservation>,
    meter: Option<Arc<Meter>>,
    /// Full chunks whose bytes are known, and these bytes.
    counted: (usize, u64),
    /// Rows since the account was looked at.
    unseen: Unseen,
    file: Option<Arc<SpillFile>>,
}

/// A chunk that was put aside.
struct AsideChunk {
    file: Arc<SpillFile>,
    block: SpillBlock,
    /// Of the columns, and of the multiplicity where there is one.
    types: Arc<[DataType]>,
    columns: usize,
}

impl AsideChunk {
    fn take_back(&self, query: &QueryContext) -> ExecutionResult<Chunk> {
        let mut columns = query.take_back(&self.file, &self.block, &self.types)?;
        let mut counts = columns.split_off(self.columns.min(columns.len()));
        let counts =
            counts.pop().and_then(|mut counts| counts.natives_mut::<u64>().map(|counts| counts.to_vec()));
        Ok(Chunk { columns, rows: self.block.rows as usize, multiplicity: counts.unwrap_or_default() })
    }
}

impl From<Vec<Chunk>> for ChunkList {
    fn from(chunks: Vec<Chunk>) -> ChunkList {
        ChunkList { chunks, ..ChunkList::default() }
    }
}

impl ChunkList {
    /// The memory of the chunks.
    pub fn bytes(&mut self) -> u64 {
        while self.counted.0 + 1 < self.chunks.len() {
            self.counted.1 += bytes_of(&self.chunks[self.counted.0].columns);
            self.counted.0 += 1;
        }
        self.counted.1 + self.chunks.last().map_or(0, |chunk| bytes_of(&chunk.columns))
    }

    /// Counts what the rows take, for `operator`. Where memory is short and they `may` be, they are put aside.
    pub fn look(&mut self, operator: &str, may: MayPutAside, query: &QueryContext) -> ExecutionResult<()> {
        let bytes = self.bytes();
        let held = self.held.get_or_insert_with(|| query.account_of(self.meter.as_ref()));
        if may == MayPutAside::No {
            return Ok(held.hold(operator, bytes)?);
        }
        if query.room(held, bytes, operator)? == Room::Held {
            return Ok(());
        }
        let file = match &self.file {
            Some(file) => Arc::clone(file),
            None => Arc::clone(self.file.insert(query.spill_file(operator)?)),
        };
        for Chunk { mut columns, rows, multiplicity } in self.chunks.drain(..) {
            let count = columns.len();
            if !multiplicity.is_empty() {
                let mut counts = VectorBuffer::new(DataType::UInt64);
                counts.extend(&multiplicity);
                columns.push(counts);
            }
            let types: Arc<[DataType]> = columns.iter().map(|column| column.data_type().clone()).collect();
            for block in write_blocks(&columns, &types, rows, &file, query)? {
                let (file, types) = (Arc::clone(&file), Arc::clone(&types));
                self.aside.push(AsideChunk { file, block, types, columns: count });
            }
        }
        self.counted = (0, 0);
        held.shrink_to(0);
        Ok(())
    }

    /// Takes the account of the rows, for whoever goes on holding them.
    pub fn held(&mut self, query: &QueryContext) -> ExecutionResult<Reservation> {
        self.look(OPERATOR, MayPutAside::No, query)?;
        Ok(self.held.take().unwrap_or_else(|| query.account()))
    }

    /// Adds a chunk to rows that may be put aside.
    pub fn push(&mut self, chunk: Chunk, operator: &str, query: &QueryContext) -> ExecutionResult<()> {
        let rows = chunk.rows;
        self.chunks.push(chunk);
        let bytes = self.bytes();
        if !self.unseen.is_due(rows, bytes, query) {
            return Ok(());
        }
        self.look(operator, MayPutAside::Yes, query)
    }

    /// Takes over the rows of another list.
    pub fn absorb(&mut self, mut other: ChunkList) {
        self.meter = self.meter.take().or(other.meter.take());
        self.chunks.append(&mut other.chunks);
        self.aside.append(&mut other.aside);
        match (&mut self.held, other.held) {
            (Some(held), Some(others)) => held.absorb(others),
            (held, others) => *held = held.take().or(others),
        }
    }

    /// Whether rows were put aside.
    pub fn is_aside(&self) -> bool {
        !self.aside.is_empty()
    }

    /// How many chunks there are.
    pub fn pieces(&self) -> usize {
        self.aside.len() + self.chunks.len()
    }

    /// The rows of a chunk.
    pub fn piece_rows(&self, at: usize) -> usize {
        match self.aside.get(at) {
            Some(chunk) => chunk.block.rows as usize,
            None => self.chunks.get(at - self.aside.len()).map_or(0, |chunk| chunk.rows),
        }
    }

    /// A chunk, which stays in the list.
    pub fn piece(&self, at: usize, query: &QueryContext) -> ExecutionResult<Option<Piece<'_>>> {
        match self.aside.get(at) {
            Some(chunk) => Ok(Some(Piece::Aside(chunk.take_back(query)?))),
            None => Ok(self.chunks.get(at - self.aside.len()).map(Piece::Kept)),
        }
    }

    /// The chunks one by one, in order.
    pub fn drain(self) -> ChunkDrain {
        ChunkDrain { list: self, at: 0 }
    }

    /// Copies the selected rows of a batch.
    pub fn append(&mut self, types: &[DataType], batch: &Batch<'_>) {
        let full = self.chunks.last().is_none_or(|chunk| chunk.rows >= CHUNK_ROWS);
        if full {
            let columns = types.iter().map(|data_type| VectorBuffer::new(data_type.clone())).collect();
            self.chunks.push(Chunk { columns, rows: 0, multiplicity: Vec::new() });
        }
        let Some(chunk) = self.chunks.last_mut() else { return };
        for (column, vector) in chunk.columns.iter_mut().zip(batch.columns) {
            column.append(vector, batch.length, batch.selection);
        }
        let added = batch.selected();
        if let Multiplicity::PerRow(counts) = batch.multiplicity {
            chunk.multiplicity.resize(chunk.rows, 1);
            batch.selection.for_each(batch.length, |row| chunk.multiplicity.push(counts[row]));
        } else if !chunk.multiplicity.is_empty() {
            chunk.multiplicity.resize(chunk.rows + added, 1);
        }
        chunk.rows += added;
    }
}

/// A chunk of a list: in memory, or a copy of what was put aside.
pub enum Piece<'c> {
    Kept(&'c Chunk),
    Aside(Chunk),
}

impl Deref for Piece<'_> {
    type Target = Chunk;

    fn deref(&self) -> &Chunk {
        match self {
            Piece::Kept(chunk) => chunk,
            Piece::Aside(chunk) => chunk,
        }
    }
}

/// Whether rows may be put aside where memory is short.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MayPutAside {
    Yes,
    No,
}

/// Takes the chunks of a list, those that were put aside first.
pub struct ChunkDrain {
    list: ChunkList,
    at: usize,
}

impl ChunkDrain {
    /// The next chunk.
    pub fn next(&mut self, query: &QueryContext) -> ExecutionResult<Option<Chunk>> {
        let at = self.at;
        self.at += 1;
        match self.list.aside.get(at) {
            Some(chunk) => chunk.take_back(query).map(Some),
            None => {
                let chunk = self.list.chunks.get_mut(at - self.list.aside.len());
                Ok(chunk.map(|chunk| std::mem::replace(chunk, Chunk::empty())))
            }
        }
    }
}

/// Collects all rows of a pipeline; the instances' lists are put together in `into`.
pub struct Collect<'x> {
    types: &'x [DataType],
    own: ChunkList,
    into: &'x Mutex<ChunkList>,
    may: MayPutAside,
    /// Rows since the account was looked at.
    unseen: Unseen,
    pieces: Pieces,
}

/// What errors call the keeper of rows.
const OPERATOR: &str = "collecting rows";

impl<'x> Collect<'x> {
    /// A sink for rows of these types.
    pub fn new(
        types: &'x [DataType],
        into: &'x Mutex<ChunkList>,
        may: MayPutAside,
        meter: Option<Arc<Meter>>,
    ) -> Collect<'x> {
        Collect {
            types,
            own: ChunkList { meter, ..ChunkList::default() },
            into,
            may,
            unseen: Unseen::default(),
            pieces: Pieces::default(),
        }
    }
}

impl Operator for Collect<'_> {
    fn push<'b>(&mut self, context: &mut Context<'_>, batch: Batch<'b>) -> ExecutionResult<Flow> {
        let Collect { types, own, may, unseen, pieces, .. } = self;
        pieces.each_copied(&batch, context.query, |batch| {
            let rows = batch.selected();
            if rows > 0 {
                own.append(types, batch);
            }
            if unseen.is_due(rows, own.bytes(), context.query) {
                own.look(OPERATOR, *may, context.query)?;
            }
            Ok(Flow::Continue)
        })
    }

    fn finish(&mut self, context: &mut Context<'_>) -> ExecutionResult<()> {
        note_shared_lists(self.own.chunks.iter().flat_map(|chunk| &chunk.columns), context.query);
        self.into.lock().absorb(std::mem::take(&mut self.own));
        Ok(())
    }
}

/// Pushes kept rows again, in order when a single worker runs it.
pub struct ChunkSource<'x> {
    aside: &'x [AsideChunk],
    chunks: &'x [Chunk],
    next: AtomicU64,
    ordered: bool,
}

impl<'x> ChunkSource<'x> {
    /// `ordered`: the rows must arrive in order, so one worker takes them all.
    pub fn new(chunks: &'x [Chunk], ordered: bool) -> ChunkSource<'x> {
        ChunkSource { aside: &[], chunks, next: AtomicU64::new(0), ordered }
    }

    /// The rows of a list, in order.
    pub fn of(list: &'x ChunkList) -> ChunkSource<'x> {
        ChunkSource { aside: &list.aside, ..ChunkSource::new(&list.chunks, true) }
    }
}

impl Source for ChunkSource<'_> {
    fn next_morsel(&self) -> Option<u64> {
        let at = self.next.fetch_add(1, Ordering::Relaxed);
        (at < (self.aside.len() + self.chunks.len()) as u64).then_some(at)
    }

    fn morsels(&self) -> Option<u64> {
        Some((self.aside.len() + self.chunks.len()) as u64)
    }

    fn run(&self, morsel: u64, context: &mut Context<'_>, next: &mut dyn Operator) -> ExecutionResult<Flow> {
        let at = morsel as usize;
        if let Some(chunk) = self.aside.get(at) {
            return push_chunk(&chunk.take_back(context.query)?, context, next);
        }
        let Some(chunk) = self.chunks.get(at - self.aside.len()) else { return Ok(Flow::Continue) };
        push_chunk(chunk, context, next)
    }

    fn parallelism(&self) -> usize {
        if self.ordered { 1 } else { self.chunks.len().div_ceil(2) }
    }
}

/// Pushes one chunk in batches of the query's vector size.
pub fn push_chunk(
    chunk: &Chunk,
    context: &mut Context<'_>,
    next: &mut dyn Operator,
) -> ExecutionResult<Flow> {
    each_batch(chunk, context, |context, batch| {
        let flow = next.push(context, batch)?;
        if flow == Flow::Continue {
            context.advance(batch.length as u64, chunk.rows as u64);
        }
        Ok(flow)
    })
}

/// Goes through one chunk in batches of the query's vector size.
pub fn each_batch(
    chunk: &Chunk,
    context: &mut Context<'_>,
    mut each: impl FnMut(&mut Context<'_>, Batch<'_>) -> ExecutionResult<Flow>,
) -> ExecutionResult<Flow> {
    let size = context.query.vector_size;
    let mut start = 0;
    while start < chunk.rows {
        context.query.check()?;
        let length = size.min(chunk.rows - start);
        let columns: Vec<ValueVector<'_>> =
            chunk.columns.iter().map(|column| column.vector().slice_from(start)).collect();
        let mut batch = Batch::new(&columns, length);
        if !chunk.multiplicity.is_empty() {
            batch.multiplicity = Multiplicity::PerRow(&chunk.multiplicity[start..start + length]);
        }
        if each(context, batch)? == Flow::Stop {
            return Ok(Flow::Stop);
        }
        start += length;
    }
    Ok(Flow::Continue)
}
