//! All paths, depth first. Memory is bounded by the longest path and the lists along it.

use super::super::context::{Context, QueryContext};
use super::super::counters::count;
use super::super::error::ExecutionResult;
use super::super::lists::{EdgeReader, Matches};
use super::super::operator::Flow;
use super::ends::{End, Ends};
use super::{Rules, Start};
use crate::planner::physical_plan::PathMode;
use crate::vector::Batch;

/// A depth-first enumeration.
pub struct Enumeration<'x> {
    rules: Rules<'x>,
    edge: EdgeReader<'x>,
    /// One list of matches per depth, with the next one to take.
    levels: Vec<(Matches, usize)>,
    rels: Vec<u64>,
    nodes: Vec<u64>,
}

impl<'x> Enumeration<'x> {
    /// Prepares to walk an edge.
    pub(super) fn new(rules: Rules<'x>, query: &QueryContext) -> ExecutionResult<Enumeration<'x>> {
        let edge = EdgeReader::new(&rules.spec.edge, true, query)?;
        Ok(Enumeration { rules, edge, levels: Vec::new(), rels: Vec::new(), nodes: Vec::new() })
    }

    /// Adds all paths of one start.
    pub(super) fn run(
        &mut self,
        start: Start,
        ends: &mut Ends<'_>,
        context: &mut Context<'_>,
        batch: &Batch<'_>,
    ) -> ExecutionResult<Flow> {
        let rules = self.rules;
        let (spec, most) = (rules.spec, rules.max_hops());
        let Start { row, node: start, target } = start;
        self.rels.clear();
        self.nodes.clear();
        if spec.min == 0 && rules.wants(start, target) {
            ends.add(End { row, node: start, length: 0, cost: 0.0, times: 1, path: None });
        }
        if most == 0 {
            return Ok(Flow::Continue);
        }
        self.open(0, start, context)?;
        let mut depth = 0usize;
        loop {
            let (matches, next) = &mut self.levels[depth];
            let Some(node) = matches.nodes.get(*next).copied() else {
                if depth == 0 {
                    return Ok(Flow::Continue);
                }
                depth -= 1;
                self.rels.truncate(depth);
                self.nodes.truncate(depth);
                continue;
            };
            let rel = matches.rels[*next];
            *next += 1;
            self.rels.truncate(depth);
            self.nodes.truncate(depth);
            let repeats = match spec.mode {
                PathMode::Walk => false,
                PathMode::Acyclic => node == start || self.nodes.contains(&node),
                _ => self.rels.contains(&rel),
            };
            if repeats {
                continue;
            }
            self.rels.push(rel);
            let length = depth as u32 + 1;
            if length >= spec.min && rules.wants(node, target) {
                let path = spec.emit_path.then_some((&self.rels[..], &self.nodes[..]));
                let end = End { row, node, length, cost: 0.0, times: 1, path };
                if ends.push(end, context, batch)? == Flow::Stop {
                    return Ok(Flow::Stop);
                }
            }
            self.nodes.push(node);
            if length < most && rules.passes(node) {
                depth += 1;
                self.open(depth, node, context)?;
            }
        }
    }

    fn open(&mut self, depth: usize, node: u64, context: &mut Context<'_>) -> ExecutionResult<()> {
        if self.levels.len() <= depth {
            self.levels.push((Matches::default(), 0));
        }
        count(&context.query.counters.nodes_expanded, 1);
        context.query.check()?;
        let (matches, next) = &mut self.levels[depth];
        matches.nodes.clear();
        matches.rels.clear();
        *next = 0;
        self.edge.append(node, context, matches)
    }
}
