//! A node reached by several edges at once: their sorted lists are intersected, shortest first, and the numbers of
//! parallel relationships multiply (worst-case-optimal joins; Ngo, Ré, Rudra: Skew strikes back, 2013).

use super::context::{Context, QueryContext};
use super::counters::count;
use super::error::ExecutionResult;
use super::lists::{EdgeReader, Matches};
use super::operator::{Flow, Next, Operator};
use crate::planner::physical_plan::{PhysicalEdge, PhysicalExclusion};
use crate::vector::{Batch, Multiplicity, ValueVector, Values};

/// A list this many times longer than the other is searched instead of walked.
const GALLOP_RATIO: usize = 16;

/// Appends the common neighbour.
pub struct Intersect<'x> {
    from: &'x [usize],
    edges: Vec<EdgeReader<'x>>,
    exclusions: &'x [PhysicalExclusion],
    /// The same edges with relationship ids, for the rare rows in which two could be one relationship.
    with_ids: Vec<EdgeReader<'x>>,
    keep: &'x [usize],
    lists: Vec<Matches>,
    common: Vec<(u64, u64)>,
    scratch: Vec<(u64, u64)>,
    /// The lists from the shortest to the longest.
    order: Vec<usize>,
    codes: Vec<u32>,
    nodes: Vec<u64>,
    counts: Vec<u64>,
    /// The list of the last row's node, by edge, so that an outer node's list is read once.
    known: Vec<u64>,
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
        let edges = open(false)?;
        let lists = edges.iter().map(|_| Matches::default()).collect();
        let known = vec![u64::MAX; edges.len()];
        Ok(Intersect {
            from,
            edges,
            exclusions,
            with_ids,
            keep,
            lists,
            common: Vec::new(),
            scratch: Vec::new(),
            order: Vec::new(),
            codes: Vec::new(),
            nodes: Vec::new(),
            counts: Vec::new(),
            known,
            next,
        })
    }

    /// Leaves the common neighbours of one row in `common`.
    fn intersect(&mut self, nodes: &[u64], context: &mut Context<'_>) -> ExecutionResult<()> {
        context.query.check()?;
        for (at, node) in nodes.iter().enumerate() {
            if self.known[at] != *node {
                self.lists[at].nodes.clear();
                self.lists[at].rels.clear();
                self.edges[at].append(*node, context, &mut self.lists[at])?;
                self.known[at] = *node;
            }
        }
        count(&context.query.counters.lists_intersected, nodes.len() as u64);
        let mut order = std::mem::take(&mut self.order);
        order.clear();
        order.extend(0..nodes.len());
        order.sort_by_key(|at| self.lists[*at].nodes.len());
        self.common.clear();
        let Some((first, others)) = order.split_first() else { return Ok(()) };
        for same in self.lists[*first].nodes.chunk_by(|a, b| a == b) {
            self.common.push((same[0], same.len() as u64));
        }
        for other in others {
            narrow(&self.common, &self.lists[*other].nodes, &mut self.scratch);
            std::mem::swap(&mut self.common, &mut self.scratch);
        }
        self.order = order;
        Ok(())
    }

    /// Whether two relationships that must differ connect the same two nodes in this match.
    fn may_repeat(&self, nodes: &[u64], node: u64, row: u32, batch: &Batch<'_>) -> bool {
        self.exclusions.iter().any(|exclusion| match exclusion {
            PhysicalExclusion::Edges(a, b) => nodes[*a] == nodes[*b],
            PhysicalExclusion::Bound { edge, ends, .. } => {
                let [from, to] = ends.map(|column| batch.columns[column].u64_at(row as usize));
                (from, to) == (Some(nodes[*edge]), Some(node))
                    || (to, from) == (Some(nodes[*edge]), Some(node))
            }
        })
    }

    /// The number of ways to take one relationship per edge so that none that must differ are the same.
    fn count_trails(
        &mut self,
        nodes: &[u64],
        node: u64,
        row: u32,
        batch: &Batch<'_>,
        context: &mut Context<'_>,
    ) -> ExecutionResult<u64> {
        let mut rels: Vec<Vec<u64>> = Vec::with_capacity(nodes.len());
        for (edge, from) in self.with_ids.iter_mut().zip(nodes) {
            let mut found = Matches::default();
            edge.append_between(*from, node, context, &mut found)?;
            rels.push(found.rels);
        }
        let taken: Vec<(usize, u64)> = self
            .exclusions
            .iter()
            .filter_map(|exclusion| match exclusion {
                PhysicalExclusion::Bound { edge, rel, .. } => {
                    batch.columns[*rel].u64_at(row as usize).map(|rel| (*edge, rel))
                }
                PhysicalExclusion::Edges(..) => None,
            })
            .collect();
        for (edge, rel) in taken {
            rels[edge].retain(|other| *other != rel);
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

/// Keeps of `common` what is in the sorted list, multiplying by how often it is there.
fn narrow(common: &[(u64, u64)], list: &[u64], out: &mut Vec<(u64, u64)>) {
    out.clear();
    let gallop = list.len() > common.len() * GALLOP_RATIO;
    let mut at = 0;
    for (node, times) in common {
        if gallop {
            at += list[at..].partition_point(|other| other < node);
        } else {
            while at < list.len() && list[at] < *node {
                at += 1;
            }
        }
        let same = list[at..].iter().take_while(|other| *other == node).count();
        if same > 0 {
            out.push((*node, times.saturating_mul(same as u64)));
            at += same;
        }
    }
}

impl Operator for Intersect<'_> {
    fn push<'b>(&mut self, context: &mut Context<'_>, batch: Batch<'b>) -> ExecutionResult<Flow> {
        let mut rows = Vec::new();
        batch.selection.indices(batch.length, &mut rows);
        let mut nodes = vec![0; self.from.len()];
        let reader =
            |column: &usize| (&batch.columns[*column], batch.columns[*column].native_reader::<u64>());
        let readers: Vec<_> = self.from.iter().map(reader).collect();
        for row in rows {
            for (node, (column, reader)) in nodes.iter_mut().zip(&readers) {
                *node = match reader {
                    Some(reader) if column.has_no_nulls() || !column.is_null(row as usize) => {
                        reader.get(row as usize)
                    }
                    _ => u64::MAX,
                };
            }
            self.intersect(&nodes, context)?;
            let times = batch.multiplicity.get(row as usize);
            for at in 0..self.common.len() {
                let (node, mut found) = self.common[at];
                if !self.exclusions.is_empty() && self.may_repeat(&nodes, node, row, &batch) {
                    found = self.count_trails(&nodes, node, row, &batch, context)?;
                    if found == 0 {
                        continue;
                    }
                }
                self.codes.push(row);
                self.nodes.push(node);
                self.counts.push(found.saturating_mul(times));
                if self.codes.len() >= context.query.vector_size && self.flush(context, &batch)? == Flow::Stop
                {
                    return Ok(Flow::Stop);
                }
            }
        }
        self.flush(context, &batch)
    }

    fn next(&mut self) -> Option<&mut dyn Operator> {
        Some(&mut *self.next)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parallel_edges_multiply() {
        let check = |common: &[(u64, u64)], list: &[u64], expected: &[(u64, u64)]| {
            let mut out = Vec::new();
            narrow(common, list, &mut out);
            assert_eq!(out, expected);
        };
        check(&[(1, 2), (4, 1)], &[1, 1, 2, 4], &[(1, 4), (4, 1)]);
        check(&[(3, 1)], &(0..100).collect::<Vec<_>>(), &[(3, 1)]);
        check(&[(3, 1)], &[], &[]);
    }
}
