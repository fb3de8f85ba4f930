//! Rows that an operator keeps: copied out of their batches, chunk by chunk, with their multiplicities.

use std::sync::atomic::{AtomicU64, Ordering};

use parking_lot::Mutex;

use super::context::Context;
use super::error::ExecutionResult;
use super::operator::{Flow, Operator};
use super::pipeline::Source;
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
}

impl ChunkList {
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

/// Collects all rows of a pipeline; the instances' lists are put together in `into`.
pub struct Collect<'x> {
    types: &'x [DataType],
    own: ChunkList,
    into: &'x Mutex<ChunkList>,
}

impl<'x> Collect<'x> {
    /// A sink for rows of these types.
    pub fn new(types: &'x [DataType], into: &'x Mutex<ChunkList>) -> Collect<'x> {
        Collect { types, own: ChunkList::default(), into }
    }
}

impl Operator for Collect<'_> {
    fn push<'b>(&mut self, _: &mut Context<'_>, batch: Batch<'b>) -> ExecutionResult<Flow> {
        if batch.selected() > 0 {
            self.own.append(self.types, &batch);
        }
        Ok(Flow::Continue)
    }

    fn finish(&mut self, _: &mut Context<'_>) -> ExecutionResult<()> {
        self.into.lock().chunks.append(&mut self.own.chunks);
        Ok(())
    }
}

/// Pushes kept rows again, in order when a single worker runs it.
pub struct ChunkSource<'x> {
    chunks: &'x [Chunk],
    next: AtomicU64,
    ordered: bool,
}

impl<'x> ChunkSource<'x> {
    /// `ordered`: the rows must arrive in order, so one worker takes them all.
    pub fn new(chunks: &'x [Chunk], ordered: bool) -> ChunkSource<'x> {
        ChunkSource { chunks, next: AtomicU64::new(0), ordered }
    }
}

impl Source for ChunkSource<'_> {
    fn next_morsel(&self) -> Option<u64> {
        let at = self.next.fetch_add(1, Ordering::Relaxed);
        (at < self.chunks.len() as u64).then_some(at)
    }

    fn run(&self, morsel: u64, context: &mut Context<'_>, next: &mut dyn Operator) -> ExecutionResult<Flow> {
        let Some(chunk) = self.chunks.get(morsel as usize) else { return Ok(Flow::Continue) };
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
    let size = context.query.vector_size;
    let mut start = 0;
    while start < chunk.rows {
        let length = size.min(chunk.rows - start);
        let columns: Vec<ValueVector<'_>> =
            chunk.columns.iter().map(|column| column.vector().slice_from(start)).collect();
        let mut batch = Batch::new(&columns, length);
        if !chunk.multiplicity.is_empty() {
            batch.multiplicity = Multiplicity::PerRow(&chunk.multiplicity[start..start + length]);
        }
        if next.push(context, batch)? == Flow::Stop {
            return Ok(Flow::Stop);
        }
        start += length;
    }
    Ok(Flow::Continue)
}
