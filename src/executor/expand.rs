//! From bound nodes to their neighbours, or between two bound nodes.

use std::sync::Arc;

use super::context::{Context, QueryContext};
use super::counters::count;
use super::error::ExecutionResult;
use super::lists::{EdgeReader, Matches};
use super::messages::{NodeWeights, weights_of};
use super::operator::{Flow, Next, Operator};
use crate::planner::physical_plan::PhysicalEdge;
use crate::types::GlobalId;
use crate::vector::{Batch, Multiplicity, ValueVector, Values};

/// Rows on their way out of an expansion: which input row, and what was found.
pub struct Expanded<'x> {
    pub keep: &'x [usize],
    pub codes: Vec<u32>,
    pub found: Matches,
    counts: Vec<u64>,
    pub next: Next<'x>,
}

impl<'x> Expanded<'x> {
    /// Rows for `next`.
    pub fn new(keep: &'x [usize], next: Next<'x>) -> Expanded<'x> {
        Expanded { keep, codes: Vec::new(), found: Matches::default(), counts: Vec::new(), next }
    }

    /// Pushes all rows gathered so far in batches of the vector size; the last one may stay for more.
    pub fn flush(
        &mut self,
        context: &mut Context<'_>,
        batch: &Batch<'_>,
        emit_node: bool,
        emit_rel: bool,
        all: bool,
    ) -> ExecutionResult<Flow> {
        let size = context.query.vector_size;
        let mut start = 0;
        let mut flow = Flow::Continue;
        while flow == Flow::Continue
            && (self.codes.len() - start >= size || (all && start < self.codes.len()))
        {
            let end = (start + size).min(self.codes.len());
            let codes = &self.codes[start..end];
            let mut columns: Vec<ValueVector<'_>> = Vec::with_capacity(self.keep.len() + 2);
            columns.extend(self.keep.iter().map(|at| ValueVector::dictionary(codes, &batch.columns[*at])));
            if emit_node {
                columns.push(ValueVector::flat(Values::U64(&self.found.nodes[start..end])));
            }
            if emit_rel {
                columns.push(ValueVector::flat(Values::U64(&self.found.rels[start..end])));
            }
            let mut out = Batch::new(&columns, codes.len());
            if let Multiplicity::PerRow(counts) = batch.multiplicity {
                self.counts.clear();
                self.counts.extend(codes.iter().map(|row| counts[*row as usize]));
                out.multiplicity = Multiplicity::PerRow(&self.counts);
            }
            count(&context.query.counters.rows_materialized, codes.len() as u64);
            context.query.check()?;
            flow = self.next.push(context, out)?;
            start = end;
        }
        if all || flow == Flow::Stop {
            start = self.codes.len();
        }
        self.codes.drain(..start);
        self.found.nodes.drain(..start.min(self.found.nodes.len()));
        self.found.rels.drain(..start.min(self.found.rels.len()));
        Ok(flow)
    }
}

/// Appends the neighbour and, if asked, the relationship.
pub struct Expand<'x> {
    from: usize,
    edge: EdgeReader<'x>,
    emit_id: bool,
    /// The neighbours that are wanted, as bits; all of them if there are none.
    wanted: Option<&'x NodeWeights>,
    /// The neighbours that the other side of a join has.
    joining: Option<Arc<NodeWeights>>,
    rows: Vec<u32>,
    /// Matches that the edge's own predicate was asked about.
    checked: usize,
    out: Expanded<'x>,
}

impl<'x> Expand<'x> {
    /// Expands column `from` before `next`.
    pub fn new(
        from: usize,
        edge: &PhysicalEdge,
        emit_id: bool,
        keep: &'x [usize],
        query: &QueryContext,
        next: Next<'x>,
    ) -> ExecutionResult<Expand<'x>> {
        let edge = EdgeReader::new(edge, emit_id, query)?;
        let (rows, out) = (Vec::new(), Expanded::new(keep, next));
        Ok(Expand { from, edge, emit_id, wanted: None, joining: None, rows, checked: 0, out })
    }

    /// Puts out only neighbours with a bit, in both sets.
    pub fn only(self, wanted: Option<&'x NodeWeights>, joining: Option<Arc<NodeWeights>>) -> Expand<'x> {
        Expand { wanted, joining, ..self }
    }

    /// Appends the neighbours of a row's node that the bitmaps leave.
    fn append(&mut self, node: u64, row: u32, context: &mut Context<'_>) -> ExecutionResult<()> {
        let found = &mut self.out.found;
        let first = found.nodes.len();
        self.edge.append_unchecked(node, context, found)?;
        let counters = &context.query.counters;
        if let Some(wanted) = self.wanted {
            count(&counters.neighbours_filtered, keep_wanted(found, first, wanted));
        }
        if let Some(joining) = &self.joining {
            count(&counters.rows_skipped_by_bitmap, keep_wanted(found, first, joining));
        }
        self.out.codes.resize(found.nodes.len(), row);
        Ok(())
    }

    /// Asks the edge's own predicate about what was not asked about yet, and pushes what fulfils it.
    fn flush(&mut self, context: &mut Context<'_>, batch: &Batch<'_>, all: bool) -> ExecutionResult<Flow> {
        let Expanded { codes, found, .. } = &mut self.out;
        self.edge.check(self.checked, context, found, codes)?;
        let flow = self.out.flush(context, batch, true, self.emit_id, all)?;
        self.checked = self.out.codes.len();
        Ok(flow)
    }
}

impl Operator for Expand<'_> {
    fn push<'b>(&mut self, context: &mut Context<'_>, batch: Batch<'b>) -> ExecutionResult<Flow> {
        self.rows.clear();
        batch.selection.indices(batch.length, &mut self.rows);
        let Some(nodes) = batch.columns[self.from].native_reader::<u64>() else { return Ok(Flow::Continue) };
        let nullable = !batch.columns[self.from].has_no_nulls();
        let rows = std::mem::take(&mut self.rows);
        for row in &rows {
            if nullable && batch.columns[self.from].is_null(*row as usize) {
                continue;
            }
            // Where few neighbours are wanted, many rows go by before a batch is full.
            context.query.check()?;
            self.append(nodes.get(*row as usize), *row, context)?;
            if self.out.codes.len() - self.checked >= context.query.vector_size
                && self.flush(context, &batch, false)? == Flow::Stop
            {
                return Ok(Flow::Stop);
            }
        }
        self.rows = rows;
        let flow = self.flush(context, &batch, true)?;
        self.out.found.rels.clear();
        Ok(flow)
    }

    fn next(&mut self) -> Option<&mut dyn Operator> {
        Some(&mut *self.out.next)
    }
}

/// Drops the matches from `first` on whose node has no bit; says how many.
fn keep_wanted(found: &mut Matches, first: usize, wanted: &NodeWeights) -> u64 {
    let Matches { nodes, rels } = found;
    let with_rels = rels.len() == nodes.len();
    let mut write = first;
    for read in first..nodes.len() {
        let node = nodes[read];
        let id = GlobalId(node);
        let weights = weights_of(wanted, id.table());
        // Written in any case and kept if wanted: no branch that is hard to foresee.
        nodes[write] = node;
        if with_rels {
            rels[write] = rels[read];
        }
        write += weights.map_or(0, |weights| weights.get(id.offset())) as usize;
    }
    let dropped = nodes.len() - write;
    nodes.truncate(write);
    if with_rels {
        rels.truncate(write);
    }
    dropped as u64
}

/// Keeps rows whose two nodes are connected: once per relationship with its id, or as a multiplicity.
pub struct ExpandInto<'x> {
    from: usize,
    to: usize,
    edge: EdgeReader<'x>,
    emit_id: bool,
    rows: Vec<u32>,
    found: Matches,
    counts: Vec<u64>,
    out: Expanded<'x>,
}

impl<'x> ExpandInto<'x> {
    /// Connects columns `from` and `to` before `next`.
    pub fn new(
        from: usize,
        to: usize,
        edge: &PhysicalEdge,
        emit_id: bool,
        keep: &'x [usize],
        query: &QueryContext,
        next: Next<'x>,
    ) -> ExecutionResult<ExpandInto<'x>> {
        Ok(ExpandInto {
            from,
            to,
            edge: EdgeReader::new(edge, emit_id, query)?,
            emit_id,
            rows: Vec::new(),
            found: Matches::default(),
            counts: Vec::new(),
            out: Expanded::new(keep, next),
        })
    }

    /// Without ids the rows stay single and carry the number of relationships.
    fn push_counted(&mut self, context: &mut Context<'_>, batch: &Batch<'_>) -> ExecutionResult<Flow> {
        let codes = &self.out.codes;
        if codes.is_empty() {
            return Ok(Flow::Continue);
        }
        let mut columns: Vec<ValueVector<'_>> = Vec::with_capacity(self.out.keep.len());
        columns.extend(self.out.keep.iter().map(|at| ValueVector::dictionary(codes, &batch.columns[*at])));
        let mut out = Batch::new(&columns, codes.len());
        for (total, row) in self.counts.iter_mut().zip(codes) {
            *total = total.saturating_mul(batch.multiplicity.get(*row as usize));
        }
        if self.counts.iter().any(|total| *total != 1) {
            out.multiplicity = Multiplicity::PerRow(&self.counts);
        }
        let flow = self.out.next.push(context, out);
        self.out.codes.clear();
        self.counts.clear();
        flow
    }
}

impl Operator for ExpandInto<'_> {
    fn push<'b>(&mut self, context: &mut Context<'_>, batch: Batch<'b>) -> ExecutionResult<Flow> {
        self.rows.clear();
        batch.selection.indices(batch.length, &mut self.rows);
        let from = batch.columns[self.from].native_reader::<u64>();
        let to = batch.columns[self.to].native_reader::<u64>();
        let (Some(from), Some(to)) = (from, to) else { return Ok(Flow::Continue) };
        for row in &self.rows {
            let at = *row as usize;
            if batch.columns[self.from].is_null(at) || batch.columns[self.to].is_null(at) {
                continue;
            }
            if self.emit_id {
                self.edge.append_between(from.get(at), to.get(at), context, &mut self.out.found)?;
                self.out.codes.resize(self.out.found.nodes.len(), *row);
                if self.out.codes.len() >= context.query.vector_size
                    && self.out.flush(context, &batch, false, true, false)? == Flow::Stop
                {
                    return Ok(Flow::Stop);
                }
                continue;
            }
            self.found.nodes.clear();
            self.found.rels.clear();
            self.edge.append_between(from.get(at), to.get(at), context, &mut self.found)?;
            if !self.found.nodes.is_empty() {
                self.out.codes.push(*row);
                self.counts.push(self.found.nodes.len() as u64);
            }
        }
        if self.emit_id {
            return self.out.flush(context, &batch, false, true, true);
        }
        self.push_counted(context, &batch)
    }

    fn next(&mut self) -> Option<&mut dyn Operator> {
        Some(&mut *self.out.next)
    }
}
