//! Dynamic programming: for each set of bound nodes and edges the cheapest way there is kept, the smallest sets first.

use rustc_hash::FxHashMap;

use super::super::figures::places;
use super::{CLEARLY_LESS, Search, State, Step};

/// Ways to go on that are looked at before the search is given up.
const TRANSITIONS_MAX: usize = 6000;
/// States up to which plans of two halves are joined.
const HALVES_MAX: usize = 160;

/// Which of its states a search has for bound nodes and edges.
type Known = FxHashMap<(u64, u64), usize>;

/// A finished state, which may be joined with others: what is looked at first of each pair.
struct Half {
    at: usize,
    nodes: u64,
    edges: u64,
}

impl Half {
    fn of(at: usize, state: &State) -> Half {
        Half { at, nodes: state.nodes, edges: state.edges }
    }

    /// Whether the two share just one node, and each has more than that.
    fn meets(&self, other: &Half) -> bool {
        let shared = self.nodes & other.nodes;
        is_one(shared) && self.edges & other.edges == 0 && shared != self.nodes
    }
}

/// Whether there is just one bit.
fn is_one(mask: u64) -> bool {
    mask != 0 && mask & (mask - 1) == 0
}

impl Search<'_, '_> {
    /// Whether a state costs no less than the one that has the same bound, even before it is settled.
    fn is_dearer(&self, known: &Known, state: &State) -> bool {
        let open = places(self.fixed & !state.edges).filter(|at| self.ends[*at] & !state.nodes == 0);
        let edges = open.fold(state.edges, |edges, at| edges | 1 << at);
        let same = known.get(&(state.nodes, edges)).map(|at| &self.states[*at]);
        same.is_some_and(|same| state.cost >= same.cost * CLEARLY_LESS)
    }

    /// All orders whose cost stays below that of `first`; none where there are too many, or none is cheaper.
    pub(super) fn dynamic(&mut self, starts: Vec<State>, first: &State) -> Option<State> {
        let mut limit = first.cost * CLEARLY_LESS;
        let mut known = Known::default();
        let mut levels: Vec<Vec<usize>> = vec![Vec::new(); self.nodes.len() + self.edges.len() + 1];
        let mut transitions = 0;
        let mut offers = starts;
        let mut best: Option<State> = None;
        let mut finished = 0;
        let mut halves: Vec<Half> = Vec::new();
        for level in 0..levels.len() {
            let mut here = 0;
            loop {
                for offer in offers.drain(..) {
                    if offer.cost >= limit {
                        continue;
                    }
                    if self.is_complete(&offer) {
                        limit = offer.cost * CLEARLY_LESS;
                        best = Some(offer);
                        continue;
                    }
                    let key = (offer.nodes, offer.edges);
                    match known.get(&key) {
                        Some(at) if offer.cost < self.states[*at].cost * CLEARLY_LESS => {
                            self.states[*at] = offer
                        }
                        Some(_) => {}
                        None => {
                            let size = (key.0.count_ones() + key.1.count_ones()) as usize;
                            known.insert(key, self.states.len());
                            levels[size].push(self.states.len());
                            self.states.push(offer);
                        }
                    }
                }
                let Some(at) = levels[level].get(here).copied() else { break };
                here += 1;
                self.each_step(&self.states[at], limit, |to| {
                    let intersects = matches!(to.step, Some(Step::Intersect { .. }));
                    if !intersects && self.is_dearer(&known, &to) {
                        transitions += 1;
                        return;
                    }
                    let to = self.settled(to);
                    if !intersects || to.cost < limit {
                        transitions += 1;
                        offers.push(State { parent: Some(at), ..to });
                    }
                });
                finished += 1;
                if self.is_first && finished <= HALVES_MAX {
                    transitions += finished;
                    let half = Half::of(at, &self.states[at]);
                    for other in halves.iter().filter(|other| half.meets(other)) {
                        let joined = self.joined(at, other.at, limit);
                        let news = joined.filter(|state| !self.is_dearer(&known, state));
                        offers.extend(news.map(|state| self.settled(state)));
                    }
                    // One node is no half.
                    halves.extend(Some(half).filter(|half| !is_one(half.nodes)));
                }
                if transitions > TRANSITIONS_MAX {
                    return None;
                }
            }
        }
        best
    }
}
