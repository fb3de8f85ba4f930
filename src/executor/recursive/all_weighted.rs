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
use crate::vector::Batch;

/// The best walks to a node with one number of relationships.
struct Best {
    cost: f64,
    walks: u64,
    /// The last relationship of each, and the node before it.
    before: Vec<(u64, u64)>,
}

type Round = FxHashMap<u64, Best>;

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
    /// How many last relationships the walks of all rounds remember.
    ways: usize,
    /// Entries that the rounds so far have room for.
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
            ways: 0,
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
        self.ways = 0;
        self.kept = 0;
        let first = Best { cost: 0.0, walks: 1, before: Vec::new() };
        self.rounds.push(Round::from_iter([(node, first)]));
        // A path has fewer relationships than nodes are reached.
        while self.rounds.len() <= rules.max_hops() as usize && self.rounds.len() <= self.least.len() {
            let next = self.round(start, context)?;
            if next.is_empty() {
                break;
            }
            self.kept += next.capacity();
            self.rounds.push(next);
        }
        for hops in 1..self.rounds.len() {
            context.query.check()?;
            let mut reached: Vec<(u64, f64)> = self.rounds[hops]
                .iter()
                .filter(|(end, best)| {
                    **end != node && rules.wants(**end, target) && self.least.get(*end) == Some(&best.cost)
                })
                .map(|(end, best)| (*end, best.cost))
                .collect();
            reached.sort_unstable_by_key(|(end, _)| *end);
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
        let AllWeighted { rules, edge, costs, found, steps, rounds, least, free_steps, ways, kept, held } =
            self;
        let mut next = Round::default();
        let Some(last) = rounds.last() else { return Ok(next) };
        for (node, best) in last {
            context.query.check()?;
            let bests = (*kept + next.capacity()) * size_of::<(u64, Best)>();
            held.hold(bests + least.capacity() * 16 + *ways * 16)?;
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
                let there = next.entry(*far).or_insert_with(|| Best { cost, walks: 0, before: Vec::new() });
                if cost < there.cost {
                    *there = Best { cost, walks: 0, before: Vec::new() };
                }
                there.before.push((*rel, *node));
                *ways += 1;
                // Around a free cycle this is not the number of paths, so what is too much is found later.
                there.walks = there.walks.saturating_add(best.walks);
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
        let before =
            |hops: usize, node: u64| self.rounds[hops].get(&node).map_or(&[][..], |best| &best.before);
        if !self.rules.spec.emit_path && !self.free_steps {
            let times = self.rounds[hops].get(&end.node).map_or(0, |best| best.walks);
            if times == u64::MAX {
                return Err(too_many());
            }
            return ends.push(End { times, ..end }, context, batch);
        }
        // Depth first from the end: the choices on each level, the nodes and relationships chosen so far.
        let (mut choices, mut nodes, mut rels) = (vec![0usize], vec![end.node], Vec::new());
        while let Some(choice) = choices.last_mut() {
            context.query.check()?;
            let left = hops - rels.len();
            let taken = before(left, nodes[rels.len()]).get(*choice).copied();
            *choice += 1;
            let Some((rel, node)) = taken else {
                choices.pop();
                nodes.pop();
                rels.pop();
                continue;
            };
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
                choices.push(0);
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
