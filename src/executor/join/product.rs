//! Products: every row of one side with every row of the other. The right side is kept; where it does not fit, both sides
//! are put aside, and each piece of the right one meets all of the left one, which is read once for each of them.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use super::super::build::{collect_with, run};
use super::super::chunks::{ChunkList, MayPutAside, each_batch, push_chunk};
use super::super::context::{Context, QueryContext};
use super::super::counters::count;
use super::super::error::ExecutionResult;
use super::super::operator::{Factory, Flow, Next, Operator};
use super::super::pipeline::{Source, drive};
use super::super::spill::Room;
use super::batchwise::GatheredRows;
use super::grace::Forward;
use super::{BuildRows, Pairs, sub_plan_around};
use crate::planner::physical_plan::PlanNode;
use crate::storage::memory::Meter;
use crate::types::DataType;
use crate::vector::{Batch, Multiplicity, ValueVector, VectorBuffer};

const OPERATOR: &str = "CrossProduct";

/// Runs a product: the right side first, then the left one, whose rows meet it as they come.
pub fn cross_product<'x>(
    left: &'x PlanNode,
    right: &'x PlanNode,
    meter: Option<Arc<Meter>>,
    query: &'x QueryContext,
    sink: &'x Factory<'x>,
) -> ExecutionResult<()> {
    let mut kept = collect_with(right, query, false, MayPutAside::Yes, meter.clone())?;
    kept.look(OPERATOR, MayPutAside::Yes, query)?;
    if let (true, Some(name)) = (kept.is_aside(), sub_plan_around(left)) {
        return query.gathering(name, || {
            run(left, query, &|| {
                let gathered = GatheredRows::new(&left.outputs, query);
                let next = sink()?;
                Ok(Box::new(BatchProduct { right: &kept, types: &right.outputs, gathered, next }) as Next<'_>)
            })
        });
    }
    if kept.is_aside() {
        let others = collect_with(left, query, false, MayPutAside::Yes, meter)?;
        let next = AtomicU64::new(0);
        return drive(query, &Product { left: others, right: kept, types: &right.outputs, next }, sink);
    }
    let _held = kept.held(query)?;
    let rows = BuildRows::new(&right.outputs, kept, query)?;
    run(left, query, &|| Ok(Box::new(CrossProduct::new(&rows, sink()?)) as Next<'_>))
}

/// Rows of the right side that meet a left row at once without being named one by one.
const LEAST_SLICE: usize = 32;
/// The left rows meet a right row as they come where at least one in so many is selected.
const SPARSEST: usize = 8;

/// Every row with every row of the build side. The rows of the longer side stay as they are, beside a constant of the
/// other one, so that what follows compares columns with constants.
struct CrossProduct<'x> {
    pairs: Pairs<'x>,
    rows: Vec<u32>,
}

impl<'x> CrossProduct<'x> {
    /// A product before `next`, which gets the left columns and then the right ones.
    fn new(build: &'x BuildRows, next: Next<'x>) -> CrossProduct<'x> {
        CrossProduct { pairs: Pairs::new(build, next), rows: Vec::new() }
    }
}

impl Operator for CrossProduct<'_> {
    fn push<'b>(&mut self, context: &mut Context<'_>, batch: Batch<'b>) -> ExecutionResult<Flow> {
        if self.pairs.build.columns.is_empty() {
            return self.pairs.multiply(context, &batch);
        }
        let selected = batch.selected();
        if self.pairs.build.rows <= selected && selected * SPARSEST >= batch.length {
            return self.pairs.each_right(context, &batch);
        }
        self.rows.clear();
        batch.selection.indices(batch.length, &mut self.rows);
        if self.pairs.build.rows >= LEAST_SLICE {
            return self.pairs.each_left(&self.rows, context, &batch);
        }
        for at in 0..self.rows.len() {
            for other in 0..self.pairs.build.rows as u32 {
                if self.pairs.add(self.rows[at], other, context, &batch)? == Flow::Stop {
                    return Ok(Flow::Stop);
                }
            }
        }
        self.pairs.flush(context, &batch)
    }

    fn next(&mut self) -> Option<&mut dyn Operator> {
        Some(&mut *self.pairs.next)
    }
}

impl Pairs<'_> {
    /// Pairs of a left row with all right ones, for one left row after the other.
    fn each_left(
        &mut self,
        rows: &[u32],
        context: &mut Context<'_>,
        batch: &Batch<'_>,
    ) -> ExecutionResult<Flow> {
        let Pairs { build, same: codes, counts, next, .. } = self;
        let size = context.query.vector_size;
        for row in rows {
            let ours = batch.multiplicity.get(*row as usize);
            for start in (0..build.rows).step_by(size) {
                context.query.check()?;
                let length = size.min(build.rows - start);
                let mut columns = Vec::with_capacity(batch.columns.len() + build.columns.len());
                repeat(batch.columns, *row, length, codes, &mut columns);
                columns.extend(build.columns.iter().map(|column| column.vector().slice_from(start)));
                let mut out = Batch::new(&columns, length);
                if ours != 1 || !build.multiplicity.is_empty() {
                    counts.clear();
                    let theirs = (start..start + length).map(|other| build.multiplicity(other));
                    counts.extend(theirs.map(|theirs| ours.saturating_mul(theirs)));
                    out.multiplicity = Multiplicity::PerRow(counts);
                }
                if next.push(context, out)? == Flow::Stop {
                    return Ok(Flow::Stop);
                }
            }
        }
        Ok(Flow::Continue)
    }

    /// Pairs of all left rows with a right one, for one right row after the other.
    fn each_right(&mut self, context: &mut Context<'_>, batch: &Batch<'_>) -> ExecutionResult<Flow> {
        let Pairs { build, same: codes, counts, next, .. } = self;
        let built: Vec<ValueVector<'_>> = build.columns.iter().map(VectorBuffer::vector).collect();
        for row in 0..build.rows {
            context.query.check()?;
            let mut columns = Vec::with_capacity(batch.columns.len() + built.len());
            columns.extend_from_slice(batch.columns);
            repeat(&built, row as u32, batch.length, codes, &mut columns);
            let mut out = Batch { columns: &columns, ..*batch };
            let theirs = build.multiplicity(row);
            if theirs != 1 {
                counts.clear();
                counts.extend((0..batch.length).map(|at| batch.multiplicity.get(at).saturating_mul(theirs)));
                out.multiplicity = Multiplicity::PerRow(counts);
            }
            if next.push(context, out)? == Flow::Stop {
                return Ok(Flow::Stop);
            }
        }
        Ok(Flow::Continue)
    }
}

/// Appends one row of some columns as what `length` rows have.
fn repeat<'b>(
    columns: &'b [ValueVector<'b>],
    row: u32,
    length: usize,
    codes: &'b mut Vec<u32>,
    out: &mut Vec<ValueVector<'b>>,
) {
    codes.clear();
    if columns.iter().any(|column| column.repeated(row as usize).is_none()) {
        codes.resize(length, row);
    }
    let codes = &*codes;
    out.extend(columns.iter().map(|column| {
        column.repeated(row as usize).unwrap_or_else(|| ValueVector::dictionary(codes, column))
    }));
}

/// A product inside a sub-plan: rows are gathered until they are settled, and meet all pieces of the right side
/// together.
struct BatchProduct<'x> {
    right: &'x ChunkList,
    types: &'x [DataType],
    gathered: GatheredRows<'x>,
    next: Next<'x>,
}

impl BatchProduct<'_> {
    /// Joins all rows that were gathered.
    fn join(&mut self, context: &mut Context<'_>) -> ExecutionResult<Flow> {
        if self.gathered.rows.chunks.is_empty() {
            return Ok(Flow::Continue);
        }
        let gathered = std::mem::take(&mut self.gathered.rows);
        for at in 0..self.right.pieces() {
            let Some(piece) = self.right.piece(at, context.query)? else { break };
            count(&context.query.counters.products_in_pieces, 1);
            let mut rows = BuildRows::empty(self.types);
            rows.add(&piece);
            drop(piece);
            let next: Next<'_> = Box::new(Forward { next: &mut *self.next });
            let mut product = CrossProduct::new(&rows, next);
            for chunk in &gathered.chunks {
                let push = |context: &mut Context<'_>, batch: Batch<'_>| product.push(context, batch);
                if each_batch(chunk, context, push)? == Flow::Stop {
                    return Ok(Flow::Stop);
                }
            }
        }
        drop(gathered);
        self.gathered.clear();
        Ok(Flow::Continue)
    }
}

impl Operator for BatchProduct<'_> {
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

/// A product of rows that were put aside; workers take one piece of the right side after another.
struct Product<'x> {
    left: ChunkList,
    right: ChunkList,
    types: &'x [DataType],
    next: AtomicU64,
}

impl Source for Product<'_> {
    fn next_morsel(&self) -> Option<u64> {
        let at = self.next.fetch_add(1, Relaxed);
        (at < self.right.pieces() as u64).then_some(at)
    }

    fn run(&self, morsel: u64, context: &mut Context<'_>, next: &mut dyn Operator) -> ExecutionResult<Flow> {
        let Some(piece) = self.right.piece(morsel as usize, context.query)? else {
            return Ok(Flow::Continue);
        };
        count(&context.query.counters.products_in_pieces, 1);
        let mut rows = BuildRows::empty(self.types);
        rows.add(&piece);
        drop(piece);
        let next: Next<'_> = Box::new(Forward { next });
        let mut product = CrossProduct::new(&rows, next);
        for at in 0..self.left.pieces() {
            let Some(chunk) = self.left.piece(at, context.query)? else { break };
            if push_chunk(&chunk, context, &mut product)? == Flow::Stop {
                return Ok(Flow::Stop);
            }
        }
        Ok(Flow::Continue)
    }

    fn morsels(&self) -> Option<u64> {
        Some(self.right.pieces() as u64)
    }

    fn parallelism(&self) -> usize {
        self.right.pieces()
    }
}
