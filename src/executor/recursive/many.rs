//! Breadth-first search from up to 64 starts at once: each node has a bit per start, and a list that lies on the way of
//! several starts is read once for all of them (Then et al., *The More the Merrier: Efficient Multi-Source Graph
//! Traversal*, VLDB 2014).

use super::super::context::{Context, QueryContext};
use super::super::counters::count;
use super::super::error::ExecutionResult;
use super::super::lists::{EdgeReader, Matches};
use super::super::operator::Flow;
use super::Rules;
use super::ends::{End, Ends};
use super::node_numbers::NodeNumbers;
use crate::planner::physical_plan::PathMode;
use crate::vector::Batch;

/// Starts of one search.
pub const STARTS: usize = 64;
/// Nodes of a level whose lists are read between looks at the clock.
const PIECE_NODES: usize = 256;

/// Which starts have come to a node: at all, on the last level, and on the one under construction.
#[derive(Clone, Copy, Default)]
struct Reached {
    seen: u64,
    last: u64,
    next: u64,
}

/// Searches from many starts at once.
pub struct Many<'x> {
    rules: Rules<'x>,
    edge: EdgeReader<'x>,
    numbers: NodeNumbers,
    reached: Vec<Reached>,
    frontier: Vec<u64>,
    /// Numbers of the nodes of the level under construction.
    next: Vec<u32>,
    found: Matches,
}

impl<'x> Many<'x> {
    /// Whether the way back to a start needs no look of its own: an undirected trail comes back only around a cycle.
    pub(super) fn fits(rules: Rules<'x>) -> bool {
        let spec = rules.spec;
        let legs = &spec.edge.legs;
        let both_ways = legs
            .iter()
            .any(|a| legs.iter().any(|b| a.rel.table == b.rel.table && a.direction != b.direction));
        !(both_ways && spec.mode == PathMode::Trail)
    }

    /// Prepares to search.
    pub(super) fn new(rules: Rules<'x>, query: &QueryContext) -> ExecutionResult<Many<'x>> {
        Ok(Many {
            rules,
            edge: EdgeReader::new(&rules.spec.edge, false, query)?,
            numbers: NodeNumbers::default(),
            reached: Vec::new(),
            frontier: Vec::new(),
            next: Vec::new(),
            found: Matches::default(),
        })
    }

    /// Adds the ends of up to 64 starts: rows and nodes.
    pub(super) fn run(
        &mut self,
        starts: &[(u32, u64)],
        ends: &mut Ends<'_>,
        context: &mut Context<'_>,
        batch: &Batch<'_>,
    ) -> ExecutionResult<Flow> {
        let rules = self.rules;
        let spec = rules.spec;
        count(&context.query.counters.multi_source_searches, 1);
        self.numbers.clear();
        self.reached.clear();
        self.frontier.clear();
        // Elsewhere a way may come back to its start, which is an end then.
        let start_is_seen = spec.mode.is_shortest() || spec.mode == PathMode::Acyclic || spec.min == 0;
        for (bit, (row, node)) in starts.iter().enumerate() {
            let (number, fresh) = self.numbers.number(*node);
            if fresh {
                self.reached.push(Reached::default());
                self.frontier.push(*node);
            }
            let reached = &mut self.reached[number as usize];
            reached.last |= 1 << bit;
            reached.seen |= u64::from(start_is_seen) << bit;
            if spec.min == 0 && rules.wants(*node, None) {
                ends.add(End { row: *row, node: *node, length: 0, cost: 0.0, times: 1, path: None });
            }
        }
        let mut depth = 0;
        while !self.frontier.is_empty() && depth < rules.max_hops() {
            depth += 1;
            self.level(context)?;
            self.frontier.clear();
            for number in std::mem::take(&mut self.next) {
                let node = self.numbers.node(number);
                let reached = &mut self.reached[number as usize];
                reached.last = std::mem::take(&mut reached.next);
                let mut bits = reached.last;
                if rules.passes(node) {
                    self.frontier.push(node);
                }
                if !rules.wants(node, None) {
                    continue;
                }
                while bits != 0 {
                    let (row, _) = starts[bits.trailing_zeros() as usize];
                    bits &= bits - 1;
                    let end = End { row, node, length: depth, cost: 0.0, times: 1, path: None };
                    if ends.push(end, context, batch)? == Flow::Stop {
                        return Ok(Flow::Stop);
                    }
                }
            }
        }
        Ok(Flow::Continue)
    }

    /// Finds the next level of all starts.
    fn level(&mut self, context: &mut Context<'_>) -> ExecutionResult<()> {
        let Many { edge, numbers, reached, frontier, next, found, .. } = self;
        count(&context.query.counters.nodes_visited, frontier.len() as u64);
        // The starts whose level a node is on, then the neighbours that they come to.
        let mut visit = |numbers: &mut NodeNumbers, from: u64, nodes: &mut dyn Iterator<Item = u64>| {
            let Some(from) = numbers.get(from) else { return };
            let bits = reached[from as usize].last;
            for node in nodes {
                let (number, fresh) = numbers.number(node);
                if fresh {
                    reached.push(Reached::default());
                }
                let there = &mut reached[number as usize];
                let new = bits & !there.seen;
                if new != 0 {
                    if there.next == 0 {
                        next.push(number);
                    }
                    there.next |= new;
                    there.seen |= new;
                }
            }
        };
        for piece in frontier.chunks(PIECE_NODES) {
            context.query.check()?;
            if !edge.is_plain() {
                for from in piece {
                    found.nodes.clear();
                    found.rels.clear();
                    edge.append(*from, context, found)?;
                    visit(numbers, *from, &mut found.nodes.iter().copied());
                }
                continue;
            }
            for leg in &mut edge.legs {
                let base = leg.to_base;
                leg.visit(piece, context.query, &mut context.worker, &mut |from, neighbours| {
                    visit(numbers, from, &mut neighbours.iter().map(|node| base + u64::from(*node)));
                })?;
            }
        }
        Ok(())
    }
}
