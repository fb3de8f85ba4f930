//! Joins inside sub-plans whose build side does not fit. The rows of the other side have to be joined before their
//! sub-plan settles them, so only the build side is put aside. `Number` lets as many rows through as there is memory for
//! before it settles them; here they are gathered, and each time the partitions are read once for all of them.

use super::super::chunks::ChunkList;
use super::super::context::{Context, QueryContext};
use super::super::counters::count;
use super::super::error::ExecutionResult;
use super::super::evaluate::Evaluator;
use super::super::operator::{Flow, Next, Operator};
use super::super::spill::{PARTITIONS, Room, Unseen, partitions_of};
use super::grace::{Forward, JoinSide, Partitions};
use super::{HashProbe, evaluate_all, without_nulls};
use crate::planner::physical_plan::Expression;
use crate::storage::memory::Reservation;
use crate::types::DataType;
use crate::vector::{Batch, Multiplicity, Selection, SelectionBuffer, ValueVector, VectorBuffer};

/// What errors call it.
const OPERATOR: &str = "HashJoin";

/// Joins rows with the partitions of their keys.
pub struct BatchProbe<'x> {
    build: &'x JoinSide<'x>,
    rows: &'x Partitions,
    keys: &'x [Expression],
    key_types: Vec<DataType>,
    evaluators: Vec<Evaluator<'x>>,
    selection: SelectionBuffer,
    selected: Vec<u32>,
    gathered: GatheredRows<'x>,
    next: Next<'x>,
}

/// Rows on their way to a side that was put aside.
pub(super) struct GatheredRows<'x> {
    types: &'x [DataType],
    pub rows: ChunkList,
    held: Reservation,
    /// Rows since the account was looked at.
    unseen: Unseen,
}

impl<'x> GatheredRows<'x> {
    /// Rows of these types.
    pub fn new(types: &'x [DataType], query: &QueryContext) -> GatheredRows<'x> {
        GatheredRows { types, rows: ChunkList::default(), held: query.account(), unseen: Unseen::default() }
    }

    /// Keeps the rows of a batch, and says whether there is room for more.
    pub fn add(&mut self, batch: &Batch<'_>, operator: &str, query: &QueryContext) -> ExecutionResult<Room> {
        if batch.selected() > 0 {
            self.rows.append(self.types, batch);
        }
        let bytes = self.rows.bytes();
        if !self.unseen.is_due(batch.selected(), bytes, query) {
            return Ok(Room::Held);
        }
        query.room(&mut self.held, bytes, operator)
    }

    /// The rows were joined.
    pub fn clear(&mut self) {
        self.rows = ChunkList::default();
        self.unseen.clear();
        self.held.shrink_to(0);
    }
}

/// Some gathered rows: in which chunk they are, the first of them, how many, and by partition which, as masks.
struct Piece {
    chunk: usize,
    start: usize,
    length: usize,
    masks: Vec<Vec<u64>>,
}

impl<'x> BatchProbe<'x> {
    /// Probes the rows of `build` that were put aside before `next`; the other side has these types and keys.
    pub fn new(
        build: &'x JoinSide<'x>,
        rows: &'x Partitions,
        (types, keys): (&'x [DataType], &'x [Expression]),
        query: &QueryContext,
        next: Next<'x>,
    ) -> ExecutionResult<BatchProbe<'x>> {
        Ok(BatchProbe {
            build,
            rows,
            keys,
            key_types: keys.iter().map(|key| key.data_type.clone()).collect(),
            evaluators: Evaluator::all(keys, query)?,
            selection: SelectionBuffer::default(),
            selected: Vec::new(),
            gathered: GatheredRows::new(types, query),
            next,
        })
    }

    /// The rows of a batch by partition, as masks; those with a NULL key are in none.
    fn masks(&mut self, query: &QueryContext, batch: &Batch<'_>) -> ExecutionResult<Vec<Vec<u64>>> {
        let BatchProbe { evaluators, selection, selected, key_types: types, .. } = self;
        let vectors = evaluate_all(evaluators, query, batch)?;
        without_nulls(&vectors, batch, selection);
        selected.clear();
        selection.view().indices(batch.length, selected);
        let parts = partitions_of(&vectors, types, batch.length, selection.view(), 0);
        let mut masks = vec![Vec::new(); PARTITIONS];
        for (row, part) in selected.iter().zip(parts) {
            let mask: &mut Vec<u64> = &mut masks[usize::from(part)];
            mask.resize(batch.length.div_ceil(64), 0);
            mask[*row as usize / 64] |= 1 << (row % 64);
        }
        Ok(masks)
    }

    /// Finds the partitions of all rows that were gathered.
    fn pieces(&mut self, rows: &ChunkList, query: &QueryContext) -> ExecutionResult<Vec<Piece>> {
        let mut pieces = Vec::new();
        for (at, chunk) in rows.chunks.iter().enumerate() {
            for start in (0..chunk.rows).step_by(query.vector_size) {
                query.check()?;
                let length = query.vector_size.min(chunk.rows - start);
                let columns = columns_of(&chunk.columns, start);
                let masks = self.masks(query, &Batch::new(&columns, length))?;
                pieces.push(Piece { chunk: at, start, length, masks });
            }
        }
        Ok(pieces)
    }

    /// Joins all rows that were gathered.
    fn join(&mut self, context: &mut Context<'_>) -> ExecutionResult<Flow> {
        if self.gathered.rows.chunks.is_empty() {
            return Ok(Flow::Continue);
        }
        let query = context.query;
        let gathered = std::mem::take(&mut self.gathered.rows);
        count(&query.counters.batches_joined_with_parts, 1);
        let pieces = self.pieces(&gathered, query)?;
        let BatchProbe { build, rows, keys, next, .. } = self;
        for part in 0..PARTITIONS {
            if pieces.iter().all(|piece| piece.masks[part].is_empty()) {
                continue;
            }
            let flow = build.each_slice(rows, part, query, |side| {
                let next: Next<'_> = Box::new(Forward { next: &mut **next });
                let mut probe = HashProbe::new(side, Evaluator::all(keys, query)?, next);
                for Piece { chunk, start, length, masks } in
                    pieces.iter().filter(|piece| !piece.masks[part].is_empty())
                {
                    let chunk = &gathered.chunks[*chunk];
                    let columns = columns_of(&chunk.columns, *start);
                    let selection = Selection::Mask(&masks[part]);
                    let mut batch = Batch { selection, ..Batch::new(&columns, *length) };
                    if !chunk.multiplicity.is_empty() {
                        batch.multiplicity =
                            Multiplicity::PerRow(&chunk.multiplicity[*start..start + length]);
                    }
                    if probe.push(context, batch)? == Flow::Stop {
                        return Ok(Flow::Stop);
                    }
                }
                Ok(Flow::Continue)
            })?;
            if flow == Flow::Stop {
                return Ok(Flow::Stop);
            }
        }
        drop(gathered);
        self.gathered.clear();
        Ok(Flow::Continue)
    }
}

fn columns_of(columns: &[VectorBuffer], start: usize) -> Vec<ValueVector<'_>> {
    columns.iter().map(|column| column.vector().slice_from(start)).collect()
}

impl Operator for BatchProbe<'_> {
    fn push<'b>(&mut self, context: &mut Context<'_>, batch: Batch<'b>) -> ExecutionResult<Flow> {
        match self.gathered.add(&batch, OPERATOR, context.query)? {
            Room::Held => Ok(Flow::Continue),
            Room::Short => self.join(context),
        }
    }

    fn next(&mut self) -> Option<&mut dyn Operator> {
        Some(&mut *self.next)
    }

    fn let_through(&mut self, context: &mut Context<'_>) -> ExecutionResult<Flow> {
        self.join(context)
    }
}
