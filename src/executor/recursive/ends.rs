//! What a recursion finds, gathered into batches on their way out.

use super::super::context::Context;
use super::super::error::ExecutionResult;
use super::super::operator::{Flow, Next};
use super::SearchAccount;
use crate::planner::physical_plan::PhysicalRecursion;
use crate::types::DataType;
use crate::vector::{Batch, Multiplicity, Validity, ValueVector, Values, VectorBuffer};

/// Elements of paths that wait at once, about: long paths go on in small batches.
const ELEMENTS_MAX: usize = 64 * 1024;

/// One end of a path, or of several with the same end.
pub struct End<'p> {
    /// The input row.
    pub row: u32,
    pub node: u64,
    pub length: u32,
    pub cost: f64,
    /// How many paths it stands for.
    pub times: u64,
    /// The relationships and the nodes between them, in the order of the search.
    pub path: Option<(&'p [u64], &'p [u64])>,
}

/// Ends on their way out.
pub struct Ends<'x> {
    spec: &'x PhysicalRecursion,
    codes: Vec<u32>,
    nodes: Vec<u64>,
    lengths: Vec<i64>,
    costs: Vec<f64>,
    counts: Vec<u64>,
    rels: VectorBuffer,
    inner: VectorBuffer,
    elements: usize,
    held: SearchAccount,
    pub next: Next<'x>,
}

impl<'x> Ends<'x> {
    /// Ends for `next`.
    pub(super) fn new(spec: &'x PhysicalRecursion, held: SearchAccount, next: Next<'x>) -> Ends<'x> {
        let list = |of: DataType| VectorBuffer::new(DataType::List(Box::new(of)));
        Ends {
            spec,
            codes: Vec::new(),
            nodes: Vec::new(),
            lengths: Vec::new(),
            costs: Vec::new(),
            counts: Vec::new(),
            rels: list(DataType::Rel),
            inner: list(DataType::Node),
            elements: 0,
            held,
            next,
        }
    }

    /// Adds one end.
    pub fn add(&mut self, end: End<'_>) {
        self.codes.push(end.row);
        self.nodes.push(end.node);
        if self.spec.emit_length {
            self.lengths.push(i64::from(end.length));
        }
        if self.spec.emit_cost {
            self.costs.push(end.cost);
        }
        if end.times != 1 || !self.counts.is_empty() {
            // The first one that stands for several: those before it stand for themselves.
            self.counts.resize(self.codes.len() - 1, 1);
            self.counts.push(end.times);
        }
        if self.spec.emit_path {
            let (rels, inner) = end.path.unwrap_or_default();
            self.elements += rels.len() + inner.len();
            push_list(&mut self.rels, rels, self.spec.turned);
            push_list(&mut self.inner, inner, self.spec.turned);
        }
    }

    /// Adds one end, and hands on what is there once it fills a batch.
    pub fn push(
        &mut self,
        end: End<'_>,
        context: &mut Context<'_>,
        batch: &Batch<'_>,
    ) -> ExecutionResult<Flow> {
        self.add(end);
        if self.codes.len() < context.query.vector_size && self.elements < ELEMENTS_MAX {
            return Ok(Flow::Continue);
        }
        self.flush(context, batch)
    }

    /// Hands on all ends.
    pub fn flush(&mut self, context: &mut Context<'_>, batch: &Batch<'_>) -> ExecutionResult<Flow> {
        self.held.hold(self.rels.bytes() + self.inner.bytes())?;
        let size = context.query.vector_size;
        let spec = self.spec;
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
            if spec.emit_cost {
                columns.push(ValueVector::flat(Values::F64(&self.costs[start..end])));
            }
            if spec.emit_path {
                columns.extend([self.rels.vector().slice_from(start), self.inner.vector().slice_from(start)]);
            }
            let mut out = Batch::new(&columns, codes.len());
            if self.counts.is_empty() && !matches!(batch.multiplicity, Multiplicity::One) {
                self.counts.resize(self.codes.len(), 1);
            }
            if let Some(counts) = self.counts.get_mut(start..end) {
                for (times, row) in counts.iter_mut().zip(codes) {
                    *times = times.saturating_mul(batch.multiplicity.get(*row as usize));
                }
                out.multiplicity = Multiplicity::PerRow(counts);
            }
            flow = self.next.push(context, out)?;
            start = end;
        }
        self.codes.clear();
        self.nodes.clear();
        self.lengths.clear();
        self.costs.clear();
        self.counts.clear();
        self.rels.clear();
        self.inner.clear();
        self.elements = 0;
        Ok(flow)
    }

    /// No row comes any more.
    pub fn finish(&mut self, context: &mut Context<'_>) -> ExecutionResult<()> {
        self.next.finish(context)
    }
}

fn push_list(list: &mut VectorBuffer, ids: &[u64], turned: bool) {
    if let Some((ends, child)) = list.list_mut() {
        if turned {
            ids.iter().rev().for_each(|id| child.push(*id));
        } else {
            child.extend(ids);
        }
        ends.push(child.len() as u32);
    }
    list.finish_rows(1, Validity::AllValid);
}
