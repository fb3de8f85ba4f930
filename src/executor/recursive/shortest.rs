//! Shortest paths by levels: around the start, or around both ends at once where both are known. The levels of two ends
//! together meet far fewer nodes than those of one.

use super::super::context::{Context, QueryContext};
use super::super::counters::count;
use super::super::error::ExecutionResult;
use super::super::operator::Flow;
use super::ends::{End, Ends};
use super::levels::{Levels, Ways, too_many};
use super::{Rules, Start};
use crate::planner::physical_plan::PathMode;
use crate::vector::Batch;

/// Searches for shortest paths, one start after the other.
pub struct Shortest<'x> {
    rules: Rules<'x>,
    /// All shortest paths count, not one per pair.
    all: bool,
    ahead: Levels<'x>,
    back: Levels<'x>,
    /// The nodes in which the two sides meet.
    meets: Vec<u64>,
    way: Ways,
    rest: Ways,
    rels: Vec<u64>,
    inner: Vec<u64>,
    level: Vec<u64>,
}

impl<'x> Shortest<'x> {
    /// Prepares to search.
    pub(super) fn new(rules: Rules<'x>, query: &QueryContext) -> ExecutionResult<Shortest<'x>> {
        let edge = &rules.spec.edge;
        Ok(Shortest {
            rules,
            all: rules.spec.mode == PathMode::AllShortest && !rules.spec.distinct_ends,
            ahead: Levels::new(rules, edge, query)?,
            back: Levels::new(rules, &edge.reversed(), query)?,
            meets: Vec::new(),
            way: Ways::default(),
            rest: Ways::default(),
            rels: Vec::new(),
            inner: Vec::new(),
            level: Vec::new(),
        })
    }

    /// Adds the ends of one start, which is not its own target.
    pub(super) fn run(
        &mut self,
        start: Start,
        ends: &mut Ends<'_>,
        context: &mut Context<'_>,
        batch: &Batch<'_>,
    ) -> ExecutionResult<Flow> {
        let rules = self.rules;
        if rules.spec.min == 0 && rules.wants(start.node, start.target) {
            ends.add(End { row: start.row, node: start.node, length: 0, cost: 0.0, times: 1, path: None });
        }
        match start.target {
            Some(target) if target == start.node || !rules.wants(target, None) => Ok(Flow::Continue),
            Some(target) => {
                if !self.meet(start.node, target, context)? {
                    return Ok(Flow::Continue);
                }
                self.emit_met(start.row, target, ends, context, batch)
            }
            None => self.around(start, ends, context, batch),
        }
    }

    /// Grows the levels of both ends until they meet; whether they do within the bound.
    fn meet(&mut self, start: u64, target: u64, context: &mut Context<'_>) -> ExecutionResult<bool> {
        let Shortest { rules, all, ahead, back, meets, .. } = self;
        meets.clear();
        ahead.begin(start);
        back.begin(target);
        while meets.is_empty() {
            let (first, second) = (ahead.level().len(), back.level().len());
            if first == 0 || second == 0 || ahead.depth() + back.depth() >= rules.max_hops() {
                return Ok(false);
            }
            let forward = first <= second;
            let (side, other) = if forward { (&mut *ahead, &*back) } else { (&mut *back, &*ahead) };
            let (enough, far) = (!*all, if forward { target } else { start });
            side.advance(*all, context, &mut |node| {
                let met = (node == far || rules.passes(node)) && other.paths(node) > 0;
                if met {
                    meets.push(node);
                }
                met && enough
            })?;
        }
        count(&context.query.counters.bidirectional_meets, 1);
        Ok(true)
    }

    /// Adds the paths through the nodes in which the sides met.
    fn emit_met(
        &mut self,
        row: u32,
        target: u64,
        ends: &mut Ends<'_>,
        context: &mut Context<'_>,
        batch: &Batch<'_>,
    ) -> ExecutionResult<Flow> {
        let Shortest { rules, all, ahead, back, meets, way, rest, rels, inner, .. } = self;
        let length = ahead.depth() + back.depth();
        let end = End { row, node: target, length, cost: 0.0, times: 1, path: None };
        if !*all {
            meets.truncate(1);
        }
        if !rules.spec.emit_path {
            let mut times = 0u64;
            for node in meets.iter().filter(|_| *all) {
                let through = ahead.paths(*node).checked_mul(back.paths(*node));
                times = through.and_then(|more| times.checked_add(more)).ok_or_else(too_many)?;
            }
            return ends.push(End { times: if *all { times } else { 1 }, ..end }, context, batch);
        }
        for node in meets.iter() {
            way.begin(*node, ahead, !*all, context)?;
            loop {
                rest.begin(*node, back, !*all, context)?;
                loop {
                    rels.clear();
                    inner.clear();
                    rels.extend(way.rels.iter().rev().chain(&rest.rels));
                    // Both ways end in an end of the path; where they meet may be one itself.
                    let middle =
                        [*node].into_iter().filter(|_| !way.nodes.is_empty() && !rest.nodes.is_empty());
                    inner.extend(way.nodes.iter().rev().skip(1));
                    inner.extend(middle);
                    inner.extend(&rest.nodes[..rest.nodes.len().saturating_sub(1)]);
                    let found = End { path: Some((rels, inner)), ..end };
                    if ends.push(found, context, batch)? == Flow::Stop {
                        return Ok(Flow::Stop);
                    }
                    if !*all || !rest.next(back, context)? {
                        break;
                    }
                }
                if !*all || !way.next(ahead, context)? {
                    break;
                }
            }
        }
        Ok(Flow::Continue)
    }

    /// Adds every node around the start.
    fn around(
        &mut self,
        start: Start,
        ends: &mut Ends<'_>,
        context: &mut Context<'_>,
        batch: &Batch<'_>,
    ) -> ExecutionResult<Flow> {
        let Shortest { rules, all, ahead, way, rels, inner, level, .. } = self;
        ahead.begin(start.node);
        while ahead.depth() < rules.max_hops() {
            ahead.advance(*all, context, &mut |_| false)?;
            level.clear();
            level.extend(ahead.level());
            if level.is_empty() {
                break;
            }
            let length = ahead.depth();
            for node in level.iter().copied().filter(|node| rules.wants(*node, None)) {
                let end = End { row: start.row, node, length, cost: 0.0, times: 1, path: None };
                if !rules.spec.emit_path {
                    let times = if *all { ahead.paths(node) } else { 1 };
                    if ends.push(End { times, ..end }, context, batch)? == Flow::Stop {
                        return Ok(Flow::Stop);
                    }
                    continue;
                }
                way.begin(node, ahead, !*all, context)?;
                loop {
                    rels.clear();
                    inner.clear();
                    rels.extend(way.rels.iter().rev());
                    inner.extend(way.nodes.iter().rev().skip(1));
                    let found = End { path: Some((rels, inner)), ..end };
                    if ends.push(found, context, batch)? == Flow::Stop {
                        return Ok(Flow::Stop);
                    }
                    if !*all || !way.next(ahead, context)? {
                        break;
                    }
                }
            }
        }
        Ok(Flow::Continue)
    }
}
