//! All paths, depth first. Memory is bounded by the longest path and the lists along it. Where the end is known, the
//! distances around it say which ways cannot come there in time.

use rustc_hash::FxHashSet;

use super::super::context::{Context, QueryContext};
use super::super::counters::count;
use super::super::error::ExecutionResult;
use super::super::lists::{EdgeReader, Matches};
use super::super::operator::Flow;
use super::ends::{End, Ends};
use super::levels::Levels;
use super::{Rules, Start};
use crate::planner::physical_plan::PathMode;
use crate::vector::Batch;

/// A depth-first enumeration.
pub struct Enumeration<'x> {
    rules: Rules<'x>,
    edge: EdgeReader<'x>,
    /// One list of matches per depth, with the next one to take.
    levels: Vec<(Matches, usize)>,
    rels: OnWay,
    nodes: OnWay,
    /// The levels around the end, if ends are known.
    back: Option<Levels<'x>>,
}

/// Ids on the way so far. Behind the first ones a set says whether an id is among them.
struct OnWay {
    ids: Vec<u64>,
    /// Whether anybody asks: then no id comes twice.
    asked: bool,
    later: FxHashSet<u64>,
}

/// Ids that are compared one by one.
const COMPARED_MAX: usize = 64;

impl OnWay {
    fn new(asked: bool) -> OnWay {
        OnWay { ids: Vec::new(), asked, later: FxHashSet::default() }
    }

    fn contains(&self, id: u64) -> bool {
        let first = &self.ids[..self.ids.len().min(COMPARED_MAX)];
        first.contains(&id) || self.ids.len() > COMPARED_MAX && self.later.contains(&id)
    }

    fn push(&mut self, id: u64) {
        if self.asked && self.ids.len() >= COMPARED_MAX {
            self.later.insert(id);
        }
        self.ids.push(id);
    }

    fn truncate(&mut self, length: usize) {
        for id in self.ids.get(length.max(COMPARED_MAX)..).unwrap_or_default() {
            self.later.remove(id);
        }
        self.ids.truncate(length);
    }
}

/// Shorter paths are found sooner than distances.
const HOPS_UNGUIDED: u32 = 2;
/// Levels around the end that are wider than this are not followed any further.
const LEVEL_MAX: usize = 4096;

impl<'x> Enumeration<'x> {
    /// Prepares to walk an edge.
    pub(super) fn new(rules: Rules<'x>, query: &QueryContext) -> ExecutionResult<Enumeration<'x>> {
        let spec = rules.spec;
        let edge = EdgeReader::new(&spec.edge, true, query)?;
        let rels = OnWay::new(!matches!(spec.mode, PathMode::Walk | PathMode::Acyclic));
        let nodes = OnWay::new(spec.mode == PathMode::Acyclic);
        let guided = spec.to.is_some() && rules.max_hops() > HOPS_UNGUIDED;
        let back = guided.then(|| Levels::new(rules, &spec.edge.reversed(), query)).transpose()?;
        Ok(Enumeration { rules, edge, back, levels: Vec::new(), rels, nodes })
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
        self.rels.truncate(0);
        self.nodes.truncate(0);
        if spec.min == 0 && rules.wants(start, target) {
            ends.add(End { row, node: start, length: 0, cost: 0.0, times: 1, path: None });
        }
        if most == 0 {
            return Ok(Flow::Continue);
        }
        if let (Some(back), Some(target)) = (&mut self.back, target) {
            back.begin(target);
            while back.depth() < most - 1 && (1..=LEVEL_MAX).contains(&back.level().len()) {
                back.advance(false, context, &mut |_| false)?;
            }
            if back.least_distance(start).is_none_or(|left| left > most) {
                return Ok(Flow::Continue);
            }
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
                PathMode::Acyclic => node == start || self.nodes.contains(node),
                _ => self.rels.contains(rel),
            };
            if repeats {
                continue;
            }
            self.rels.push(rel);
            let length = depth as u32 + 1;
            if length >= spec.min && rules.wants(node, target) {
                let path = spec.emit_path.then_some((&self.rels.ids[..], &self.nodes.ids[..]));
                let end = End { row, node, length, cost: 0.0, times: 1, path };
                if ends.push(end, context, batch)? == Flow::Stop {
                    return Ok(Flow::Stop);
                }
            }
            self.nodes.push(node);
            // The end itself may lie on a longer way to it.
            let back = self.back.as_ref().filter(|_| Some(node) != target);
            let in_time = back.is_none_or(|back| {
                back.least_distance(node)
                    .is_some_and(|left| u64::from(length) + u64::from(left) <= u64::from(most))
            });
            if length < most && in_time && rules.passes(node) {
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_ways_know_what_is_on_them() {
        let mut way = OnWay::new(true);
        (0..500).for_each(|id| way.push(id * 3));
        assert!((0..500).all(|id| way.contains(id * 3) && !way.contains(id * 3 + 1)));
        way.truncate(100);
        assert!(way.contains(99 * 3) && !way.contains(100 * 3) && way.later.len() == 100 - COMPARED_MAX);
        way.truncate(10);
        assert!(way.contains(9 * 3) && !way.contains(70 * 3) && way.later.is_empty());
        way.push(1);
        assert!(way.contains(1));
    }
}
