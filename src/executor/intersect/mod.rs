//! A node reached by several edges at once: their sorted lists are intersected, shortest first, and the numbers of
//! parallel relationships multiply (worst-case-optimal joins; Ngo, Ré, Rudra: Skew strikes back, 2013).

mod common;

pub use common::Common;

use super::context::{Context, QueryContext};
use super::counters::count;
use super::error::ExecutionResult;
use super::lists::{EdgeReader, Matches};
use super::operator::{Flow, Next, Operator};
use crate::planner::logical_plan::Direction;
use crate::planner::physical_plan::{PhysicalEdge, PhysicalExclusion};
use crate::types::{GlobalId, TableId};
use crate::vector::{Batch, Multiplicity, ValueVector, Values};

/// A relationship that a row has, with its ends.
struct BoundRel {
    /// The intersected edge that must be another one.
    edge: usize,
    rel: u64,
    ends: (u64, u64),
    /// Whether the ends are source and target.
    directed: bool,
}

/// Whether relationships that must differ are the same in a match.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Repeats {
    Never,
    /// They are where no other ones connect the same nodes.
    Surely,
    /// Their ids have to tell.
    Perhaps,
}

/// Appends the common neighbour.
pub struct Intersect<'x> {
    from: &'x [usize],
    edges: Vec<EdgeReader<'x>>,
    exclusions: &'x [PhysicalExclusion],
    /// The same edges with relationship ids, for the rare rows in which two could be one relationship.
    with_ids: Vec<EdgeReader<'x>>,
    /// The table of each edge's relationships, and whether they are followed from their sources.
    tables: Vec<(TableId, bool)>,
    /// What the row has of relationships that intersected ones must differ from.
    bound: Vec<BoundRel>,
    keep: &'x [usize],
    lists: Vec<Matches>,
    common: Common,
    codes: Vec<u32>,
    nodes: Vec<u64>,
    counts: Vec<u64>,
    /// The list of the last row's node, by edge, so that an outer node's list is read once.
    known: Vec<u64>,
    /// Whether the row's node is the last row's, by edge.
    stays: Vec<bool>,
    next: Next<'x>,
}

impl<'x> Intersect<'x> {
    /// Intersects the lists of columns `from` before `next`.
    pub fn new(
        from: &'x [usize],
        edges: &[PhysicalEdge],
        exclusions: &'x [PhysicalExclusion],
        keep: &'x [usize],
        query: &QueryContext,
        next: Next<'x>,
    ) -> ExecutionResult<Intersect<'x>> {
        let open = |with_ids| {
            let readers = edges.iter().map(|edge| EdgeReader::new(edge, with_ids, query));
            readers.collect::<ExecutionResult<Vec<EdgeReader<'x>>>>()
        };
        let with_ids = if exclusions.is_empty() { Vec::new() } else { open(true)? };
        let table = |edge: &PhysicalEdge| match edge.legs.first() {
            Some(leg) => (TableId(leg.rel.table.0 & 0xFFFF), leg.direction == Direction::Forward),
            None => (TableId(u32::MAX), true),
        };
        let tables = edges.iter().map(table).collect();
        let edges = open(false)?;
        let lists = edges.iter().map(|_| Matches::default()).collect();
        let (known, stays) = (vec![u64::MAX; edges.len()], vec![false; edges.len()]);
        Ok(Intersect {
            from,
            edges,
            exclusions,
            with_ids,
            tables,
            bound: Vec::new(),
            keep,
            lists,
            common: Common::default(),
            codes: Vec::new(),
            nodes: Vec::new(),
            counts: Vec::new(),
            known,
            stays,
            next,
        })
    }

    /// Leaves the common neighbours of one row in `common.nodes`.
    fn intersect(&mut self, nodes: &[u64], context: &mut Context<'_>) -> ExecutionResult<()> {
        context.query.check()?;
        for (at, node) in nodes.iter().enumerate() {
            self.stays[at] = self.known[at] == *node;
            if !self.stays[at] {
                let list = &mut self.lists[at];
                self.common.forget(at, &list.nodes);
                list.nodes.clear();
                list.rels.clear();
                self.known[at] = u64::MAX;
                self.edges[at].append(*node, context, list)?;
                self.known[at] = *node;
            }
        }
        self.common.find(&self.lists, |at| self.stays[at]);
        Ok(())
    }

    /// Reads the relationships of a row that intersected ones must differ from.
    fn read_bound(&mut self, row: u32, batch: &Batch<'_>) {
        self.bound.clear();
        let value = |column: usize| batch.columns[column].u64_at(row as usize);
        self.bound.extend(self.exclusions.iter().filter_map(|exclusion| match exclusion {
            PhysicalExclusion::Bound { edge, rel, ends: [from, to], directed } => {
                let (rel, from, to) = (value(*rel)?, value(*from)?, value(*to)?);
                Some(BoundRel { edge: *edge, rel, ends: (from, to), directed: *directed })
            }
            PhysicalExclusion::Edges(..) => None,
        }));
    }

    /// Whether two relationships that must differ connect the same two nodes in this match.
    fn repeats(&self, nodes: &[u64], node: u64) -> Repeats {
        let among_own = self.exclusions.iter().filter_map(|exclusion| match exclusion {
            PhysicalExclusion::Edges(a, b) if nodes[*a] == nodes[*b] => {
                // Of two that are followed in different directions only loops are the same.
                let same_way = self.tables[*a] == self.tables[*b] || nodes[*a] == node;
                (self.tables[*a].0 == self.tables[*b].0 && same_way).then_some(Repeats::Surely)
            }
            _ => None,
        });
        let with_bound = self.bound.iter().filter_map(|bound| {
            let (table, forward) = self.tables[bound.edge];
            let (near, far) = (nodes[bound.edge], node);
            let own = if forward { (near, far) } else { (far, near) };
            match bound.ends == own {
                _ if GlobalId(bound.rel).table() != table => None,
                same if bound.directed => same.then_some(Repeats::Surely),
                same => (same || bound.ends == (own.1, own.0)).then_some(Repeats::Perhaps),
            }
        });
        among_own.chain(with_bound).max().unwrap_or(Repeats::Never)
    }

    /// The number of ways to take one relationship per edge so that none that must differ are the same.
    fn count_trails(&mut self, nodes: &[u64], node: u64, context: &mut Context<'_>) -> ExecutionResult<u64> {
        let mut rels: Vec<Vec<u64>> = Vec::with_capacity(nodes.len());
        for (edge, from) in self.with_ids.iter_mut().zip(nodes) {
            let mut found = Matches::default();
            edge.append_between(*from, node, context, &mut found)?;
            rels.push(found.rels);
        }
        for bound in &self.bound {
            rels[bound.edge].retain(|other| *other != bound.rel);
        }
        Ok(self.count_ways(&rels, &mut Vec::new()))
    }

    fn count_ways(&self, rels: &[Vec<u64>], chosen: &mut Vec<u64>) -> u64 {
        let Some(choices) = rels.get(chosen.len()) else { return 1 };
        let mut ways = 0u64;
        for rel in choices {
            let edge = chosen.len();
            let repeats = self.exclusions.iter().any(|exclusion| match exclusion {
                PhysicalExclusion::Edges(a, b) => *b == edge && chosen.get(*a) == Some(rel),
                PhysicalExclusion::Bound { .. } => false,
            });
            if !repeats {
                chosen.push(*rel);
                ways = ways.saturating_add(self.count_ways(rels, chosen));
                chosen.pop();
            }
        }
        ways
    }

    fn flush(&mut self, context: &mut Context<'_>, batch: &Batch<'_>) -> ExecutionResult<Flow> {
        if self.codes.is_empty() {
            return Ok(Flow::Continue);
        }
        context.query.check()?;
        let mut columns: Vec<ValueVector<'_>> =
            self.keep.iter().map(|at| ValueVector::dictionary(&self.codes, &batch.columns[*at])).collect();
        columns.push(ValueVector::flat(Values::U64(&self.nodes)));
        let mut out = Batch::new(&columns, self.codes.len());
        if self.counts.iter().any(|total| *total != 1) {
            out.multiplicity = Multiplicity::PerRow(&self.counts);
        }
        count(&context.query.counters.rows_materialized, self.codes.len() as u64);
        let flow = self.next.push(context, out);
        self.codes.clear();
        self.nodes.clear();
        self.counts.clear();
        flow
    }
}

impl Operator for Intersect<'_> {
    fn push<'b>(&mut self, context: &mut Context<'_>, batch: Batch<'b>) -> ExecutionResult<Flow> {
        let mut rows = Vec::new();
        batch.selection.indices(batch.length, &mut rows);
        let flow = self.join(&rows, context, &batch);
        let counters = &context.query.counters;
        count(&counters.lists_intersected, std::mem::take(&mut self.common.intersected));
        count(&counters.lists_marked, std::mem::take(&mut self.common.met_marks));
        flow
    }

    fn next(&mut self) -> Option<&mut dyn Operator> {
        Some(&mut *self.next)
    }
}

impl Intersect<'_> {
    /// Joins row by row.
    fn join(&mut self, rows: &[u32], context: &mut Context<'_>, batch: &Batch<'_>) -> ExecutionResult<Flow> {
        let mut nodes = vec![0; self.from.len()];
        let reader = |column: &usize| {
            let column = &batch.columns[*column];
            let nulls = (!column.has_no_nulls()).then_some(column);
            (nulls, column.native_reader::<u64>())
        };
        let readers: Vec<_> = self.from.iter().map(reader).collect();
        for row in rows.iter().copied() {
            for (node, (nulls, reader)) in nodes.iter_mut().zip(&readers) {
                *node = match reader {
                    Some(reader) if nulls.is_none_or(|column| !column.is_null(row as usize)) => {
                        reader.get(row as usize)
                    }
                    _ => u64::MAX,
                };
            }
            self.intersect(&nodes, context)?;
            let times = batch.multiplicity.get(row as usize);
            if !self.common.nodes.is_empty() {
                self.read_bound(row, batch);
            }
            for at in 0..self.common.nodes.len() {
                let (node, mut found) = self.common.nodes[at];
                if !self.exclusions.is_empty() {
                    found = match self.repeats(&nodes, node) {
                        Repeats::Never => found,
                        // One relationship per edge, and one of them is taken already.
                        Repeats::Surely if found == 1 => continue,
                        _ => self.count_trails(&nodes, node, context)?,
                    };
                    if found == 0 {
                        continue;
                    }
                }
                self.codes.push(row);
                self.nodes.push(node);
                self.counts.push(found.saturating_mul(times));
                if self.codes.len() >= context.query.vector_size && self.flush(context, batch)? == Flow::Stop
                {
                    return Ok(Flow::Stop);
                }
            }
        }
        self.flush(context, batch)
    }
}
