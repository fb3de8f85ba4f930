//! Variable-length edges. Where only the ends or the shortest paths are asked for, a breadth-first search visits each
//! node once; all other modes enumerate paths depth first, streaming.

mod enumerate;
mod search;

use super::context::{Context, QueryContext};
use super::error::ExecutionResult;
use super::operator::{Flow, Next, Operator};
use crate::planner::physical_plan::{PathMode, PhysicalEdge};
use crate::types::{DataType, GlobalId, TableId};
use crate::vector::{Batch, Multiplicity, ValueVector, Values, VectorBuffer};

use enumerate::Enumeration;
use search::Search;

/// What a recursive expansion does and puts out.
pub struct RecursiveSpec<'x> {
    pub keep: &'x [usize],
    pub from: usize,
    pub to: Option<usize>,
    pub min: u32,
    pub max: Option<u32>,
    pub mode: PathMode,
    pub distinct_ends: bool,
    pub emit_length: bool,
    pub emit_path: bool,
    pub end_tables: &'x [TableId],
}

impl RecursiveSpec<'_> {
    fn max_hops(&self) -> u32 {
        self.max.unwrap_or(u32::MAX)
    }

    fn ends_in(&self, node: u64) -> bool {
        self.end_tables.iter().any(|table| table.0 & 0xFFFF == GlobalId(node).table().0)
    }
}

/// Ends on their way out.
pub(super) struct Ends<'x> {
    codes: Vec<u32>,
    nodes: Vec<u64>,
    lengths: Vec<i64>,
    counts: Vec<u64>,
    rels: VectorBuffer,
    inner: VectorBuffer,
    next: Next<'x>,
}

impl<'x> Ends<'x> {
    fn new(next: Next<'x>) -> Ends<'x> {
        let list = |of: DataType| VectorBuffer::new(DataType::List(Box::new(of)));
        Ends {
            codes: Vec::new(),
            nodes: Vec::new(),
            lengths: Vec::new(),
            counts: Vec::new(),
            rels: list(DataType::Rel),
            inner: list(DataType::Node),
            next,
        }
    }

    /// Adds one end; `path` is the relationships and the nodes between them.
    fn add(&mut self, row: u32, node: u64, length: u32, times: u64, path: Option<(&[u64], &[u64])>) {
        self.codes.push(row);
        self.nodes.push(node);
        self.lengths.push(i64::from(length));
        self.counts.push(times);
        if let Some((rels, inner)) = path {
            push_list(&mut self.rels, rels);
            push_list(&mut self.inner, inner);
        }
    }

    fn is_full(&self, context: &Context<'_>) -> bool {
        self.codes.len() >= context.query.vector_size
    }

    fn flush(
        &mut self,
        spec: &RecursiveSpec<'_>,
        context: &mut Context<'_>,
        batch: &Batch<'_>,
    ) -> ExecutionResult<Flow> {
        let size = context.query.vector_size;
        let mut flow = Flow::Continue;
        let mut start = 0;
        while start < self.codes.len() && flow == Flow::Continue {
            context.query.check()?;
            let end = (start + size).min(self.codes.len());
            let codes = &self.codes[start..end];
            let mut columns: Vec<ValueVector<'_>> =
                spec.keep.iter().map(|at| ValueVector::dictionary(codes, &batch.columns[*at])).collect();
            if spec.to.is_none() {
                columns.push(ValueVector::flat(Values::U64(&self.nodes[start..end])));
            }
            if spec.emit_length {
                columns.push(ValueVector::flat(Values::I64(&self.lengths[start..end])));
            }
            if spec.emit_path {
                columns.extend([self.rels.vector().slice_from(start), self.inner.vector().slice_from(start)]);
            }
            for (times, row) in self.counts[start..end].iter_mut().zip(codes) {
                *times = times.saturating_mul(batch.multiplicity.get(*row as usize));
            }
            let mut out = Batch::new(&columns, codes.len());
            if self.counts[start..end].iter().any(|times| *times != 1) {
                out.multiplicity = Multiplicity::PerRow(&self.counts[start..end]);
            }
            flow = self.next.push(context, out)?;
            start = end;
        }
        self.codes.clear();
        self.nodes.clear();
        self.lengths.clear();
        self.counts.clear();
        self.rels.clear();
        self.inner.clear();
        Ok(flow)
    }
}

fn push_list(list: &mut VectorBuffer, ids: &[u64]) {
    if let Some((ends, child)) = list.list_mut() {
        child.extend(ids);
        ends.push(child.len() as u32);
    }
    list.finish_rows(1, crate::vector::Validity::AllValid);
}

/// Expands a variable-length edge.
pub struct ExpandRecursive<'x> {
    spec: RecursiveSpec<'x>,
    way: Way<'x>,
    ends: Ends<'x>,
    rows: Vec<u32>,
}

enum Way<'x> {
    Search(Box<Search<'x>>),
    Enumerate(Box<Enumeration<'x>>),
}

impl<'x> ExpandRecursive<'x> {
    /// Expands before `next`.
    pub fn new(
        spec: RecursiveSpec<'x>,
        edge: &PhysicalEdge,
        query: &QueryContext,
        next: Next<'x>,
    ) -> ExecutionResult<ExpandRecursive<'x>> {
        let shortest = matches!(spec.mode, PathMode::Shortest | PathMode::AllShortest);
        let way = if shortest || spec.distinct_ends {
            Way::Search(Box::new(Search::new(edge, query)?))
        } else {
            Way::Enumerate(Box::new(Enumeration::new(edge, query)?))
        };
        Ok(ExpandRecursive { spec, way, ends: Ends::new(next), rows: Vec::new() })
    }
}

impl Operator for ExpandRecursive<'_> {
    fn push<'b>(&mut self, context: &mut Context<'_>, batch: Batch<'b>) -> ExecutionResult<Flow> {
        let ExpandRecursive { spec, way, ends, rows } = self;
        rows.clear();
        batch.selection.indices(batch.length, rows);
        for row in rows.iter() {
            let Some(start) = batch.columns[spec.from].u64_at(*row as usize) else { continue };
            let target = spec.to.map(|to| batch.columns[to].u64_at(*row as usize).unwrap_or(u64::MAX));
            let flow = match way {
                Way::Search(search) => search.run(spec, *row, start, target, ends, context, &batch)?,
                Way::Enumerate(enumeration) => {
                    enumeration.run(spec, *row, start, target, ends, context, &batch)?
                }
            };
            if flow == Flow::Stop {
                return Ok(Flow::Stop);
            }
        }
        ends.flush(spec, context, &batch)
    }

    fn settle<'b>(
        &mut self,
        context: &mut Context<'_>,
        name: u32,
        batch: Batch<'b>,
    ) -> ExecutionResult<Flow> {
        self.ends.next.settle(context, name, batch)
    }

    fn finish(&mut self, context: &mut Context<'_>) -> ExecutionResult<()> {
        self.ends.next.finish(context)
    }
}
