//! Few rows from which much work starts: collected first and then shared among the workers in small pieces, since the
//! pipeline that finds the starts is too little work for more than one.

use std::sync::atomic::{AtomicUsize, Ordering};

use super::super::build::collect;
use super::super::chunks::Chunk;
use super::super::context::{Context, QueryContext};
use super::super::error::ExecutionResult;
use super::super::operator::{Factory, Flow, Operator};
use super::super::pipeline::{Source, drive};
use crate::planner::inputs;
use crate::planner::physical_plan::{PhysicalOperator, PlanNode};
use crate::vector::{Batch, Multiplicity, ValueVector};

/// So many starts at most are collected, as far as can be foreseen.
const STARTS_MAX: f64 = 50_000.0;
/// Starts of one piece at most.
const PIECE_STARTS: usize = 64;
/// Pieces per worker, so that one with much work does not hold up all.
const PIECES_PER_WORKER: usize = 8;
/// Fewer starts are not worth a second thread.
const STARTS_SHARED: usize = 8;

/// Whether the rows of `input` are collected before anything starts from them.
pub fn are_shared(input: &PlanNode, query: &QueryContext) -> bool {
    let several = (2.0..=STARTS_MAX).contains(&input.estimated_rows);
    query.threads > 1 && several && !in_sub_plan(input)
}

/// Whether the rows belong to a sub-plan, which is settled batch by batch.
fn in_sub_plan(node: &PlanNode) -> bool {
    match &node.operator {
        PhysicalOperator::Number { .. } => true,
        // That sub-plan is over; what it stands on may be part of another one.
        PhysicalOperator::Settle { input, name, .. } => below(input, *name).is_some_and(in_sub_plan),
        PhysicalOperator::HashJoin { probe, .. } => in_sub_plan(probe),
        PhysicalOperator::CrossProduct { left, .. } => in_sub_plan(left),
        other => inputs(other).into_iter().any(in_sub_plan),
    }
}

/// The rows that are numbered by `name`.
fn below(node: &PlanNode, name: u32) -> Option<&PlanNode> {
    match &node.operator {
        PhysicalOperator::Number { input, name: own, .. } if *own == name => Some(input),
        other => inputs(other).into_iter().find_map(|input| below(input, name)),
    }
}

/// Runs `input` to its end and shares its rows among instances of `sink`; `many` says that the more starts a piece
/// has, the less work each of them is.
pub fn share<'x>(
    input: &'x PlanNode,
    many: bool,
    query: &'x QueryContext,
    sink: &Factory<'x>,
) -> ExecutionResult<()> {
    let chunks = collect(input, query, false)?.chunks;
    let rows: usize = chunks.iter().map(|chunk| chunk.rows).sum();
    let pieces = if many { query.threads } else { query.threads * PIECES_PER_WORKER };
    let size = rows.div_ceil(pieces).clamp(1, PIECE_STARTS.min(query.vector_size));
    let mut pieces = Vec::with_capacity(rows.div_ceil(size));
    for (at, chunk) in chunks.iter().enumerate() {
        pieces.extend((0..chunk.rows).step_by(size).map(|first| (at, first)));
    }
    let source = Pieces { chunks: &chunks, pieces, size, rows, next: AtomicUsize::new(0) };
    drive(query, &source, sink)
}

struct Pieces<'c> {
    chunks: &'c [Chunk],
    /// A chunk and the first row of a piece in it.
    pieces: Vec<(usize, usize)>,
    size: usize,
    rows: usize,
    next: AtomicUsize,
}

impl Source for Pieces<'_> {
    fn next_morsel(&self) -> Option<u64> {
        let at = self.next.fetch_add(1, Ordering::Relaxed);
        (at < self.pieces.len()).then_some(at as u64)
    }

    fn morsels(&self) -> Option<u64> {
        Some(self.pieces.len() as u64)
    }

    fn run(&self, morsel: u64, context: &mut Context<'_>, next: &mut dyn Operator) -> ExecutionResult<Flow> {
        let Some((at, first)) = self.pieces.get(morsel as usize).copied() else { return Ok(Flow::Continue) };
        let chunk = &self.chunks[at];
        let length = self.size.min(chunk.rows - first);
        let columns: Vec<ValueVector<'_>> =
            chunk.columns.iter().map(|column| column.vector().slice_from(first)).collect();
        let mut batch = Batch::new(&columns, length);
        if !chunk.multiplicity.is_empty() {
            batch.multiplicity = Multiplicity::PerRow(&chunk.multiplicity[first..first + length]);
        }
        next.push(context, batch)
    }

    fn parallelism(&self) -> usize {
        if self.rows < STARTS_SHARED { 1 } else { self.pieces.len() }
    }
}
