//! Breadth-first search from up to 64 starts at once: each node has a bit per start, and a list that lies on the way of
//! several starts is read once for all of them (Then et al., *The More the Merrier: Efficient Multi-Source Graph
//! Traversal*, VLDB 2014).

use super::super::context::{Context, QueryContext};
use super::super::counters::count;
use super::super::error::ExecutionResult;
use super::super::lists::{EdgeReader, Matches};
use super::super::operator::Flow;
use super::ends::{End, Ends};
use super::{Rules, SearchAccount};
use crate::planner::physical_plan::PathMode;
use crate::types::GlobalId;
use crate::vector::Batch;

/// Starts of one search.
pub const STARTS: usize = 64;
/// Nodes of a level whose lists are read between looks at the clock.
const PIECE_NODES: usize = 256;
const PAGE_NODES: usize = 1024;

/// Which starts have come to a node: at all, and on the level under construction.
#[derive(Clone, Copy, Default)]
struct Reached {
    seen: u64,
    next: u64,
}

/// What is known of the nodes of a table, as far as any are met.
#[derive(Default)]
struct Table {
    number: u32,
    pages: Vec<Option<Box<[Reached; PAGE_NODES]>>>,
    /// How many of them there are.
    filled: usize,
}

impl Table {
    #[inline]
    fn node(&mut self, offset: u64) -> &mut Reached {
        let (page, slot) = (offset as usize / PAGE_NODES, offset as usize % PAGE_NODES);
        if self.pages.len() <= page {
            self.pages.resize_with(page + 1, || None);
        }
        let page = self.pages[page].get_or_insert_with(|| {
            self.filled += 1;
            Box::new([Reached::default(); PAGE_NODES])
        });
        &mut page[slot]
    }

    /// Adds the bits of a node to its neighbours; those that are new on this level go to `next`.
    #[inline]
    fn reach(&mut self, bits: u64, base: u64, offsets: impl Iterator<Item = u64>, next: &mut Vec<u64>) {
        for offset in offsets {
            let there = self.node(offset);
            let new = bits & !there.seen;
            if new != 0 {
                if there.next == 0 {
                    next.push(base + offset);
                }
                there.next |= new;
                there.seen |= new;
            }
        }
    }
}

/// The table of a node.
fn table_of(tables: &mut Vec<Table>, number: u32) -> &mut Table {
    let at = match tables.iter().position(|table| table.number == number) {
        Some(at) => at,
        None => {
            tables.push(Table { number, ..Table::default() });
            tables.len() - 1
        }
    };
    &mut tables[at]
}

/// Searches from many starts at once.
pub struct Many<'x> {
    rules: Rules<'x>,
    edge: EdgeReader<'x>,
    tables: Vec<Table>,
    /// Nodes of the last level with the starts that came to them.
    frontier: Vec<u64>,
    bits: Vec<u64>,
    next: Vec<u64>,
    /// Nodes of all levels.
    met: Vec<u64>,
    found: Matches,
    held: SearchAccount,
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
            tables: Vec::new(),
            frontier: Vec::new(),
            bits: Vec::new(),
            next: Vec::new(),
            met: Vec::new(),
            found: Matches::default(),
            held: rules.account(query),
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
        self.clear();
        // Elsewhere a way may come back to its start, which is an end then.
        let start_is_seen = spec.mode.is_shortest() || spec.mode == PathMode::Acyclic || spec.min == 0;
        for (bit, (row, node)) in starts.iter().enumerate() {
            match self.frontier.iter().position(|known| known == node) {
                Some(at) => self.bits[at] |= 1 << bit,
                None => {
                    self.frontier.push(*node);
                    self.bits.push(1 << bit);
                    self.met.push(*node);
                }
            }
            let id = GlobalId(*node);
            table_of(&mut self.tables, id.table().0).node(id.offset()).seen |=
                u64::from(start_is_seen) << bit;
            if spec.min == 0 && rules.wants(*node, None) {
                ends.add(End { row: *row, node: *node, length: 0, cost: 0.0, times: 1, path: None });
            }
        }
        let mut depth = 0;
        while !self.frontier.is_empty() && depth < rules.max_hops() {
            depth += 1;
            self.level(context)?;
            self.frontier.clear();
            self.bits.clear();
            self.met.extend_from_slice(&self.next);
            for at in 0..self.next.len() {
                let node = self.next[at];
                let id = GlobalId(node);
                let reached = table_of(&mut self.tables, id.table().0).node(id.offset());
                let mut bits = std::mem::take(&mut reached.next);
                if rules.passes(node) {
                    self.frontier.push(node);
                    self.bits.push(bits);
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

    /// Forgets all nodes of the search before.
    fn clear(&mut self) {
        for node in self.met.drain(..) {
            let id = GlobalId(node);
            *table_of(&mut self.tables, id.table().0).node(id.offset()) = Reached::default();
        }
        self.frontier.clear();
        self.bits.clear();
    }

    /// Finds the next level of all starts.
    fn level(&mut self, context: &mut Context<'_>) -> ExecutionResult<()> {
        let lists = [&self.frontier, &self.bits, &self.met].map(|list| list.capacity() * 8);
        let before: usize = lists.into_iter().sum();
        let Many { edge, tables, frontier, bits, next, found, held, .. } = self;
        count(&context.query.counters.nodes_visited, frontier.len() as u64);
        next.clear();
        for (piece, bits) in frontier.chunks(PIECE_NODES).zip(bits.chunks(PIECE_NODES)) {
            context.query.check()?;
            let pages: usize = tables.iter().map(|table| table.filled).sum();
            held.hold(before + next.capacity() * 8 + pages * size_of::<[Reached; PAGE_NODES]>())?;
            if !edge.is_plain() {
                for (from, bits) in piece.iter().zip(bits) {
                    found.nodes.clear();
                    found.rels.clear();
                    edge.append(*from, context, found)?;
                    for node in &found.nodes {
                        let id = GlobalId(*node);
                        let table = table_of(tables, id.table().0);
                        table.reach(*bits, node - id.offset(), std::iter::once(id.offset()), next);
                    }
                }
                continue;
            }
            for leg in &mut edge.legs {
                let base = leg.to_base;
                let table = table_of(tables, GlobalId(base).table().0);
                // The nodes come in their order, each once or in several pieces.
                let mut at = 0;
                leg.visit(piece, context.query, &mut context.worker, &mut |from, neighbours| {
                    while piece[at] != from {
                        at += 1;
                    }
                    table.reach(bits[at], base, neighbours.iter().map(|node| u64::from(*node)), next);
                })?;
            }
        }
        Ok(())
    }
}
