//! All paths of the least cost: what the best walk to each node costs is found for every number of relationships, round
//! by round, as long as it is not dearer than what fewer do. With costs above zero the walks that are best of all are
//! paths; around a cycle that costs nothing, those that meet a node twice are left out as they are written down.

use rustc_hash::FxHashMap;

use super::super::context::{Context, QueryContext};
use super::super::counters::count;
use super::super::error::{ExecutionError, ExecutionResult};
use super::super::lists::{EdgeReader, Matches};
use super::super::operator::Flow;
use super::costs::Costs;
use super::ends::{End, Ends};
use super::{Rules, SearchAccount, Start};
use crate::types::{leave_if_stopped, leave_vector_if_stopped};
use crate::vector::{Batch, sort_in_pieces};

/// Nodes that are gone through between two looks.
const NODES_PER_LOOK: usize = 1 << 14;

/// The best walks to a node with one number of relationships.
struct Best {
    cost: f64,
    walks: u64,
    /// The first and the last of their ends, or none.
    ends: Option<(u32, u32)>,
}

/// The end of walks: the last relationship, the node before it, and the next one to the same node.
#[derive(Clone, Copy)]
struct WalkEnd {
    rel: u64,
    node: u64,
    next: Option<u32>,
}

/// What is known of walks with one number of relationships. The ends of all lie side by side, so that a round is freed
/// at once however many nodes it has met.
#[derive(Default)]
struct Round {
    bests: FxHashMap<u64, Best>,
    ends: Vec<WalkEnd>,
}

impl Drop for Round {
    fn drop(&mut self) {
        leave_if_stopped((self.bests.capacity() * size_of::<(u64, Best)>()) as u64, &mut self.bests);
        leave_vector_if_stopped(&mut self.ends);
    }
}

impl Round {
    /// The walks of a start alone.
    fn of_start(node: u64) -> Round {
        let best = Best { cost: 0.0, walks: 1, ends: None };
        Round { bests: FxHashMap::from_iter([(node, best)]), ends: Vec::new() }
    }

    /// Takes note of walks to a node, as long as none are known that cost less.
    fn offer(&mut self, far: u64, cost: f64, walks: u64, (rel, node): (u64, u64)) {
        let Round { bests, ends } = self;
        let there = bests.entry(far).or_insert(Best { cost, walks: 0, ends: None });
        if cost < there.cost {
            *there = Best { cost, walks: 0, ends: None };
        }
        let at = ends.len() as u32;
        ends.push(WalkEnd { rel, node, next: None });
        let first = match there.ends {
            Some((first, last)) => {
                ends[last as usize].next = Some(at);
                first
            }
            None => at,
        };
        there.ends = Some((first, at));
        // Around a free cycle this is not the number of paths, so what is too much is found later.
        there.walks = there.walks.saturating_add(walks);
    }

    fn bytes(&self) -> usize {
        self.bests.capacity() * size_of::<(u64, Best)>() + self.ends.capacity() * size_of::<WalkEnd>()
    }

    /// The first end of the walks to a node.
    fn first_end(&self, node: u64) -> Option<u32> {
        Some(self.bests.get(&node)?.ends?.0)
    }
}

/// Searches for all paths of the least cost, one start after the other.
pub struct AllWeighted<'x> {
    rules: Rules<'x>,
    edge: EdgeReader<'x>,
    costs: Costs<'x>,
    found: Matches,
    steps: Vec<Option<f64>>,
    rounds: Vec<Round>,
    least: FxHashMap<u64, f64>,
    /// A relationship on a best walk costs nothing.
    free_steps: bool,
    /// Bytes of the rounds so far.
    kept: usize,
    held: SearchAccount,
}

impl<'x> AllWeighted<'x> {
    /// Prepares to search.
    pub(super) fn new(rules: Rules<'x>, query: &QueryContext) -> ExecutionResult<AllWeighted<'x>> {
        Ok(AllWeighted {
            rules,
            edge: EdgeReader::new(&rules.spec.edge, true, query)?,
            costs: Costs::new(rules.cost()?, query)?,
            found: Matches::default(),
            steps: Vec::new(),
            rounds: Vec::new(),
            least: FxHashMap::default(),
            free_steps: false,
            kept: 0,
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
        let Start { row, node, target } = start;
        if rules.spec.min == 0 && rules.wants(node, target) {
            ends.add(End { row, node, length: 0, cost: 0.0, times: 1, path: None });
        }
        if target.is_some_and(|target| target == node) {
            return Ok(Flow::Continue);
        }
        self.rounds.clear();
        self.least.clear();
        self.least.insert(node, 0.0);
        self.free_steps = false;
        self.kept = 0;
        self.rounds.push(Round::of_start(node));
        // A path has fewer relationships than nodes are reached.
        while self.rounds.len() <= rules.max_hops() as usize && self.rounds.len() <= self.least.len() {
            let next = self.round(start, context)?;
            if next.bests.is_empty() {
                break;
            }
            self.kept += next.bytes();
            self.rounds.push(next);
        }
        for hops in 1..self.rounds.len() {
            let query = context.query;
            let mut reached: Vec<(u64, f64)> = Vec::new();
            for (at, (end, best)) in self.rounds[hops].bests.iter().enumerate() {
                if at % NODES_PER_LOOK == 0 {
                    query.check()?;
                    let rounds = self.kept + self.least.capacity() * 16;
                    // Sorting them takes as much once more.
                    self.held.hold(rounds + reached.capacity() * 32)?;
                }
                if *end != node && rules.wants(*end, target) && self.least.get(end) == Some(&best.cost) {
                    reached.push((*end, best.cost));
                }
            }
            sort_in_pieces(&mut reached, |a, b| a.0.cmp(&b.0), || query.check())?;
            for (end, cost) in reached {
                let end = End { row, node: end, length: hops as u32, cost, times: 1, path: None };
                if self.emit(start, end, ends, context, batch)? == Flow::Stop {
                    return Ok(Flow::Stop);
                }
            }
        }
        Ok(Flow::Continue)
    }

    /// The best walks with one more relationship.
    fn round(&mut self, start: Start, context: &mut Context<'_>) -> ExecutionResult<Round> {
        let AllWeighted { rules, edge, costs, found, steps, rounds, least, free_steps, kept, held } = self;
        let mut next = Round::default();
        let Some(last) = rounds.last() else { return Ok(next) };
        for (node, best) in &last.bests {
            context.query.check()?;
            held.hold(*kept + next.bytes() + least.capacity() * 16)?;
            if next.ends.len() + NODES_PER_LOOK > u32::MAX as usize {
                return Err(too_many());
            }
            let bound = start.target.and_then(|target| least.get(&target)).copied().unwrap_or(f64::INFINITY);
            let goes_on = *node == start.node || rules.passes(*node);
            if !goes_on || best.cost > bound {
                continue;
            }
            count(&context.query.counters.nodes_visited, 1);
            count(&context.query.counters.nodes_settled, 1);
            found.nodes.clear();
            found.rels.clear();
            edge.append(*node, context, found)?;
            costs.read(&found.rels, context, steps)?;
            for ((far, rel), step) in found.nodes.iter().zip(&found.rels).zip(steps.iter()) {
                let Some(step) = step else { continue };
                let cost = best.cost + step;
                if *far == start.node || least.get(far).is_some_and(|least| *least < cost) {
                    continue;
                }
                least.insert(*far, cost);
                *free_steps |= *step == 0.0;
                next.offer(*far, cost, best.walks, (*rel, *node));
            }
        }
        Ok(next)
    }

    /// Adds the best walks to a node with its number of relationships: as one row where nothing asks for paths.
    fn emit(
        &self,
        start: Start,
        end: End<'_>,
        ends: &mut Ends<'_>,
        context: &mut Context<'_>,
        batch: &Batch<'_>,
    ) -> ExecutionResult<Flow> {
        let hops = end.length as usize;
        if !self.rules.spec.emit_path && !self.free_steps {
            let times = self.rounds[hops].bests.get(&end.node).map_or(0, |best| best.walks);
            if times == u64::MAX {
                return Err(too_many());
            }
            return ends.push(End { times, ..end }, context, batch);
        }
        // Depth first from the end: the choices on each level, the nodes and relationships chosen so far.
        let first = |hops: usize, node: u64| self.rounds[hops].first_end(node);
        let (mut choices, mut nodes, mut rels) = (vec![first(hops, end.node)], vec![end.node], Vec::new());
        while let Some(choice) = choices.last_mut() {
            context.query.check()?;
            let left = hops - rels.len();
            let Some(at) = *choice else {
                choices.pop();
                nodes.pop();
                rels.pop();
                continue;
            };
            let WalkEnd { rel, node, next } = self.rounds[left].ends[at as usize];
            *choice = next;
            if left == 1 {
                rels.push(rel);
                let way: Vec<u64> = rels.iter().rev().copied().collect();
                let inner: Vec<u64> = nodes[1..].iter().rev().copied().collect();
                rels.pop();
                let found = End { path: Some((&way, &inner)), ..end };
                if ends.push(found, context, batch)? == Flow::Stop {
                    return Ok(Flow::Stop);
                }
            } else if !nodes.contains(&node) && node != start.node {
                rels.push(rel);
                nodes.push(node);
                choices.push(first(left - 1, node));
            }
        }
        Ok(Flow::Continue)
    }
}

fn too_many() -> ExecutionError {
    ExecutionError::Overflow {
        what: "the number of paths of the least cost".into(),
        data_type: "UINT64".into(),
    }
}
