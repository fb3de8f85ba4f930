//! Breadth-first search for ends: every node once, level by level, one bit per node and nothing else.

use std::sync::Arc;

use rustc_hash::FxHashMap;

use super::super::context::{Context, QueryContext};
use super::super::counters::count;
use super::super::error::ExecutionResult;
use super::super::lists::{EdgeReader, Matches};
use super::super::operator::Flow;
use super::ends::{End, Ends};
use super::{Rules, SearchAccount, Start};
use crate::planner::logical_plan::Leg;
use crate::planner::physical_plan::PathMode;
use crate::storage::table::Adjacency;
use crate::types::GlobalId;
use crate::vector::Batch;

/// A level is searched from the nodes that are not reached yet once these are at most so many times the frontier.
const BOTTOM_UP_SHARE: u64 = 4;
/// Nodes of the frontier expanded between checks for an interrupt.
const FRONTIER_PIECE: usize = 4096;

/// Bits by node, for every table met.
#[derive(Default)]
struct Visited {
    tables: Vec<(u32, Vec<u64>)>,
}

impl Visited {
    #[inline]
    fn words(&mut self, table: u32) -> &mut Vec<u64> {
        let at = match self.tables.iter().position(|(known, _)| *known == table) {
            Some(at) => at,
            None => {
                self.tables.push((table, Vec::new()));
                self.tables.len() - 1
            }
        };
        &mut self.tables[at].1
    }

    /// Marks a node; whether it was unmarked before.
    #[inline]
    fn insert(&mut self, node: u64) -> bool {
        let id = GlobalId(node);
        mark(self.words(id.table().0), id.offset())
    }

    fn clear(&mut self, nodes: &[u64]) {
        for node in nodes {
            let id = GlobalId(*node);
            if let Some(word) = self.words(id.table().0).get_mut(id.offset() as usize / 64) {
                *word = 0;
            }
        }
    }
}

#[inline]
fn mark(words: &mut Vec<u64>, offset: u64) -> bool {
    let (word, bit) = (offset as usize / 64, offset % 64);
    if words.len() <= word {
        words.resize((word + 1).next_power_of_two(), 0);
    }
    let fresh = words[word] >> bit & 1 == 0;
    words[word] |= 1 << bit;
    fresh
}

/// Marks nodes and calls `visit` with those that were unmarked. Nodes beyond the words do not exist.
#[inline]
fn visit_fresh(words: &mut [u64], nodes: &[u32], mut visit: impl FnMut(u32)) {
    for node in nodes {
        let Some(word) = words.get_mut(*node as usize / 64) else { continue };
        let bit = 1u64 << (node % 64);
        if *word & bit == 0 {
            *word |= bit;
            visit(*node);
        }
    }
}

/// Marks the nodes without a mark that have a list entry in the frontier, and calls `visit` with them.
fn bottom_up(
    reverse: &Arc<Adjacency>,
    frontier: &[u64],
    visited: &mut [u64],
    context: &mut Context<'_>,
    mut visit: impl FnMut(u64),
) -> ExecutionResult<()> {
    count(&context.query.counters.levels_bottom_up, 1);
    let is_set =
        |bits: &[u64], at: u64| bits.get(at as usize / 64).is_some_and(|word| word >> (at % 64) & 1 == 1);
    let mut scanner = reverse.scanner();
    for group in 0..reverse.group_count() as u64 {
        context.query.check()?;
        scanner.open(group, 0..u32::MAX)?;
        while let Some(window) = scanner.next(&mut context.worker, false)? {
            window.for_each_list(|node, entries| {
                let Some(word) = visited.get_mut(node as usize / 64) else { return };
                if *word >> (node % 64) & 1 == 1 {
                    return;
                }
                let mut entries = window.neighbours.get(entries).unwrap_or_default().iter();
                if entries.any(|near| is_set(frontier, u64::from(*near))) {
                    *word |= 1 << (node % 64);
                    visit(node);
                }
            });
        }
    }
    Ok(())
}

/// A search, used for one start after the other.
pub struct Search<'x> {
    rules: Rules<'x>,
    edge: EdgeReader<'x>,
    visited: Visited,
    reached: Vec<u64>,
    frontier: Vec<u64>,
    next: Vec<u64>,
    found: Matches,
    /// The frontier's nodes of one table as bits, for a level searched bottom-up.
    frontier_bits: Vec<u64>,
    /// A relationship can be walked both ways, so that a walk may come back along it.
    both_ways: bool,
    held: SearchAccount,
}

impl<'x> Search<'x> {
    /// Prepares to search along an edge.
    pub(super) fn new(rules: Rules<'x>, query: &QueryContext) -> ExecutionResult<Search<'x>> {
        let edge = &rules.spec.edge;
        let reversed = |a: &Leg, b: &Leg| a.rel.table == b.rel.table && a.direction != b.direction;
        let both_ways = edge.legs.iter().any(|a| edge.legs.iter().any(|b| reversed(a, b)));
        Ok(Search {
            rules,
            edge: EdgeReader::new(edge, both_ways, query)?,
            visited: Visited::default(),
            reached: Vec::new(),
            frontier: Vec::new(),
            next: Vec::new(),
            found: Matches::default(),
            frontier_bits: Vec::new(),
            both_ways,
            held: rules.account(query),
        })
    }

    /// Adds the ends of one start.
    pub(super) fn run(
        &mut self,
        start: Start,
        ends: &mut Ends<'_>,
        context: &mut Context<'_>,
        batch: &Batch<'_>,
    ) -> ExecutionResult<Flow> {
        let rules = self.rules;
        let spec = rules.spec;
        let Start { row, node: start, target } = start;
        let wanted = |node: u64| rules.wants(node, target);
        let shortest = spec.mode.is_shortest();
        self.frontier.clear();
        self.frontier.push(start);
        // A shortest or acyclic path never comes back to its start; a trail may, and then ends there. Where it could
        // go back along the relationship that it came by, its start is looked at apart.
        let trail_both_ways = self.both_ways && spec.mode == PathMode::Trail;
        if shortest || spec.mode == PathMode::Acyclic || spec.min == 0 || trail_both_ways {
            self.visited.insert(start);
            self.reached.push(start);
        }
        if spec.min == 0 && wanted(start) {
            ends.add(End { row, node: start, length: 0, cost: 0.0, times: 1, path: None });
        } else if trail_both_ways
            && !shortest
            && wanted(start)
            && let Some(length) = self.cycle_through(start, rules.max_hops(), context)?
        {
            ends.add(End { row, node: start, length, cost: 0.0, times: 1, path: None });
        }
        let mut depth = 0;
        let mut flow = Flow::Continue;
        while !self.frontier.is_empty() && depth < rules.max_hops() && flow == Flow::Continue {
            depth += 1;
            self.next.clear();
            self.level(context)?;
            self.held.hold(self.bytes())?;
            self.reached.extend_from_slice(&self.next);
            let mut hit = false;
            for at in 0..self.next.len() {
                let node = self.next[at];
                if !wanted(node) || depth < spec.min {
                    continue;
                }
                hit = true;
                let end = End { row, node, length: depth, cost: 0.0, times: 1, path: None };
                flow = ends.push(end, context, batch)?;
                if flow == Flow::Stop {
                    break;
                }
            }
            if hit && target.is_some() {
                break;
            }
            std::mem::swap(&mut self.frontier, &mut self.next);
            if rules.inner.is_some() {
                self.frontier.retain(|node| rules.passes(*node));
            }
        }
        self.visited.clear(&self.reached);
        self.reached.clear();
        Ok(flow)
    }

    /// The length of a trail of at most `most` relationships from a node back to it. Every node that a search reaches
    /// remembers the relationship by which its way left the start: where two ways meet that left by different ones,
    /// they and the relationship between them are a cycle.
    fn cycle_through(
        &mut self,
        start: u64,
        most: u32,
        context: &mut Context<'_>,
    ) -> ExecutionResult<Option<u32>> {
        let before = self.bytes();
        let Search { edge, found, held, .. } = self;
        let mut reached: FxHashMap<u64, (u32, u64)> = FxHashMap::default();
        let (mut level, mut next, mut depth) = (vec![start], Vec::new(), 0u32);
        while !level.is_empty() && depth.saturating_mul(2) < most {
            count(&context.query.counters.nodes_visited, level.len() as u64);
            for node in level.drain(..) {
                context.query.check()?;
                held.hold(before + reached.capacity() * size_of::<(u64, (u32, u64))>())?;
                found.nodes.clear();
                found.rels.clear();
                edge.append(node, context, found)?;
                let branch = reached.get(&node).map(|(_, branch)| *branch);
                for (other, rel) in found.nodes.iter().zip(&found.rels) {
                    let own = branch.unwrap_or(*rel);
                    let there = match reached.get(other) {
                        _ if *other == start => (0, *rel),
                        Some(known) => *known,
                        None => {
                            reached.insert(*other, (depth + 1, own));
                            next.push(*other);
                            continue;
                        }
                    };
                    let loops = *other == start && node == start;
                    if (loops || there.1 != own) && depth + there.0 < most {
                        return Ok(Some(depth + there.0 + 1));
                    }
                }
            }
            std::mem::swap(&mut level, &mut next);
            depth += 1;
        }
        Ok(None)
    }

    /// The memory of all that is remembered.
    fn bytes(&self) -> usize {
        let lists = [&self.reached, &self.frontier, &self.next, &self.frontier_bits];
        let marks = self.visited.tables.iter().map(|(_, words)| words);
        lists.into_iter().chain(marks).map(|words| words.capacity() * 8).sum()
    }

    /// One level: unvisited neighbours of the frontier go to `next`. A level whose frontier is large beside what is left
    /// is searched bottom-up: each node that is left looks for one neighbour in the frontier and stops at the first
    /// (direction-optimizing search; Beamer, Asanovic and Patterson, SC 2012).
    fn level(&mut self, context: &mut Context<'_>) -> ExecutionResult<()> {
        let before = self.bytes();
        let Search { edge, visited, reached, frontier, next, found, frontier_bits, held, .. } = self;
        count(&context.query.counters.nodes_visited, frontier.len() as u64);
        if !edge.is_plain() {
            for node in frontier.iter() {
                found.nodes.clear();
                found.rels.clear();
                edge.append(*node, context, found)?;
                next.extend(found.nodes.iter().copied().filter(|node| visited.insert(*node)));
            }
            return context.query.check();
        }
        for leg in &mut edge.legs {
            let base = leg.to_base;
            let table = GlobalId(base).table();
            let mut words = std::mem::take(visited.words(table.0));
            let rows = context.query.transaction.node_table(table)?.row_bound();
            words.resize(words.len().max(rows.div_ceil(64) as usize), 0);
            let left = rows.saturating_sub(reached.len() as u64);
            if left <= frontier.len() as u64 * BOTTOM_UP_SHARE {
                frontier_bits.clear();
                for node in frontier.iter().filter(|node| leg.starts_at(**node)) {
                    mark(frontier_bits, GlobalId(*node).offset());
                }
                let reverse = leg.reversed(context.query)?;
                bottom_up(&reverse, frontier_bits, &mut words, context, |node| next.push(base + node))?;
                *visited.words(table.0) = words;
                continue;
            }
            for piece in frontier.chunks(FRONTIER_PIECE) {
                context.query.check()?;
                leg.visit(piece, context.query, &mut context.worker, &mut |_, neighbours| {
                    visit_fresh(&mut words, neighbours, |node| next.push(base + u64::from(node)));
                })?;
                held.hold(before + next.capacity() * 8)?;
            }
            *visited.words(table.0) = words;
        }
        Ok(())
    }
}
