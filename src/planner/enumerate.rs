//! The search for the cheapest order in which a component's variables are bound: dynamic programming over sets of
//! bound nodes (Selinger and others, 1979; Moerkotte and Neumann, 2006), on figures alone; the plan is built once at
//! the end. A first order is found step by step by the fewest expected rows; whatever costs more than that is not
//! followed, and large patterns keep it.

mod steps;

use rustc_hash::FxHashMap;

use super::figures::{BITS, EdgeFacts, FilterFacts, NodeFacts, Part, bits, edge_facts, node_facts};
use super::join_order::{JoinOrder, Partial};
use super::keys::key_equality;
use super::rewrite::{is_constant, variables_of};
use crate::binder::bound::{BoundExpression, VariableId};

/// Components of more nodes are ordered step by step.
const NODES_MAX: usize = 12;
/// Ways to go on that are looked at before the search is given up.
const TRANSITIONS_MAX: usize = 6000;
/// States up to which plans of two halves are joined.
const HALVES_MAX: usize = 160;
/// In components of more nodes only the cheapest starts are followed step by step.
const STARTS_ALL: usize = 24;
const STARTS_MAX: usize = 3;
/// Up to this many rows, keys of further nodes are looked up before edges are followed.
const LOOKUP_ROWS_MAX: f64 = 32.0;

/// Costs that differ by less are the same: the first one stays.
const CLEARLY_LESS: f64 = 1.0 - 1e-9;

/// One step of an order; nodes and edges by position in the component.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Step {
    Scan(usize),
    ScanRels(usize),
    Lookup(usize),
    Edge {
        edge: usize,
        from: usize,
    },
    Intersect {
        to: usize,
        edges: Vec<usize>,
    },
    /// What the order has so far is joined with that of another state over the node that both bind.
    Join {
        other: usize,
        node: usize,
    },
}

/// What an order has bound, and what that is expected to cost.
#[derive(Debug, Clone)]
struct State {
    nodes: u64,
    edges: u64,
    /// Edges whose relationships no column has.
    intersected: u64,
    /// Conjuncts that are dealt with.
    filters: u64,
    rows: f64,
    cost: f64,
    parent: Option<usize>,
    /// How it came from its parent, with the rows before that.
    step: Option<(Step, f64)>,
    /// What followed at once, likewise; mostly nothing, which takes no memory.
    closed: Vec<(Step, f64)>,
}

/// A component of a graph in figures.
pub(super) struct Search<'s, 'a> {
    order: &'s JoinOrder<'a>,
    variables: Vec<VariableId>,
    nodes: Vec<NodeFacts>,
    edges: Vec<EdgeFacts>,
    filters: Vec<FilterFacts>,
    /// Nodes that were bound before.
    given: u64,
    /// Whether nothing comes before it: then two halves may be planned apart and joined. Over rows both would have those,
    /// and the half that is built could look nothing up by them.
    is_first: bool,
    states: Vec<State>,
}

/// The order that was found.
pub(super) struct Found {
    pub rows: f64,
    pub cost: f64,
    /// A tree of steps: `Join` holds the steps of the other side.
    pub steps: Vec<Planned>,
}

/// A step with the rows that are expected before it.
pub(super) struct Planned {
    pub step: PlannedStep,
    pub rows: f64,
}

/// A step by names instead of positions.
pub(super) enum PlannedStep {
    Scan(VariableId),
    ScanRels(usize),
    Lookup(VariableId),
    Edge { edge: usize, from: VariableId },
    Intersect { to: VariableId, edges: Vec<usize> },
    Join { other: Vec<Planned>, node: VariableId },
}

impl<'s, 'a> Search<'s, 'a> {
    /// The figures of a connected part of the graph on top of what `input` has bound.
    pub fn new(order: &'s JoinOrder<'a>, input: &Partial, part: &Part) -> Self {
        let graph = order.graph;
        let (variables, edges) = (&part.nodes, &part.edges);
        let place = |variable: VariableId| variables.iter().position(|known| *known == variable);
        let mut search = Search {
            order,
            nodes: variables.iter().map(|variable| node_facts(order, *variable)).collect(),
            edges: Vec::with_capacity(edges.len()),
            filters: Vec::new(),
            given: bits((0..variables.len()).filter(|at| input.bound.contains(&variables[*at]))),
            is_first: true,
            states: Vec::new(),
            variables: variables.clone(),
        };
        for at in edges {
            let pattern = &graph.edges[*at].pattern;
            if let (Some(source), Some(target)) = (place(pattern.source), place(pattern.target)) {
                search.edges.push(edge_facts(order, input, *at, [source, target], edges));
            }
        }
        search.filters = graph
            .filters
            .iter()
            .take(BITS)
            .enumerate()
            .map(|(at, filter)| search.filter_facts(filter, input.has_filter(at), input))
            .collect();
        for at in 0..variables.len() {
            search.nodes[at].lookup = search.lookup_facts(at, input);
        }
        search
    }

    fn filter_facts(&self, filter: &BoundExpression, done: bool, input: &Partial) -> FilterFacts {
        let (mut needs, mut needs_edges, mut possible) = (0, 0, !done);
        for variable in variables_of(filter) {
            let node = self.variables.iter().position(|known| *known == variable);
            let named = |edge: &EdgeFacts| self.order.graph.edges[edge.at].pattern.variable == variable;
            match (node, self.edges.iter().position(named)) {
                (Some(node), _) => needs |= 1 << node,
                (None, Some(edge)) => needs_edges |= 1 << edge,
                (None, None) => possible &= input.bound.contains(&variable),
            }
        }
        let share = self.order.estimator.selectivity(filter);
        FilterFacts { needs, needs_edges, share, possible }
    }

    /// What the key of a node follows from.
    fn lookup_facts(&self, at: usize, input: &Partial) -> Option<(u64, u64, f64)> {
        let (graph, variable) = (self.order.graph, self.variables[at]);
        let node = graph.node(variable)?;
        let [table] = node.tables[..] else { return None };
        let known = |e: &BoundExpression| {
            is_constant(e)
                || variables_of(e)
                    .iter()
                    .all(|v| input.bound.contains(v) || (*v != variable && self.variables.contains(v)))
        };
        let all: Vec<&BoundExpression> = node.predicates.iter().chain(&graph.filters).collect();
        let (key, used) = key_equality(&self.order.estimator, variable, table, &all, &known)?;
        let mut needs = 0;
        for value in key.iter().flat_map(variables_of) {
            if let Some(place) = self.variables.iter().position(|known| *known == value) {
                needs |= 1 << place;
            }
        }
        let own = node.predicates.len();
        let rest = node.predicates.iter().enumerate().filter(|(at, _)| !used.contains(at));
        let share = rest.map(|(_, predicate)| self.order.estimator.selectivity(predicate)).product();
        Some((needs, bits(used.iter().filter_map(|at| at.checked_sub(own))), share))
    }

    /// The cheapest order; `over` are the rows that it extends, and `lookups_only` says that it may begin with nothing
    /// else than a key.
    pub fn best(&mut self, over: f64, lookups_only: bool) -> Option<Found> {
        self.states.clear();
        self.is_first = self.given == 0 && !lookups_only;
        let mut begin = State {
            nodes: 0,
            edges: 0,
            intersected: 0,
            filters: 0,
            rows: over,
            cost: 0.0,
            parent: None,
            step: None,
            closed: Vec::new(),
        };
        let mut starts = Vec::new();
        if self.given != 0 {
            begin.nodes = self.given;
            begin.rows *= self.given_nodes().map(|at| self.nodes[at].share).product::<f64>();
            begin.filters = self.ready_filters(&begin);
            self.close(&mut begin);
            starts.push(begin);
        } else {
            for at in 0..self.nodes.len() {
                starts.extend(self.looked_up(&begin, at));
            }
            if !lookups_only && starts.is_empty() {
                starts.extend((0..self.nodes.len()).map(|at| self.scanned(at)));
                starts.extend((0..self.edges.len()).filter_map(|at| self.scanned_rels(at)));
            }
        }
        let first = self.step_by_step(&starts)?;
        if self.nodes.len() > NODES_MAX || self.nodes.len() < 3 {
            return Some(self.found(&first));
        }
        match self.dynamic(starts, &first) {
            Some(best) => Some(self.found(&best)),
            None => Some(self.found(&first)),
        }
    }

    fn given_nodes(&self) -> impl Iterator<Item = usize> + '_ {
        (0..self.nodes.len()).filter(|at| self.given >> at & 1 == 1)
    }

    fn is_complete(&self, state: &State) -> bool {
        state.nodes.count_ones() as usize == self.nodes.len()
            && state.edges.count_ones() as usize == self.edges.len()
    }

    /// From every start the step that leaves the fewest rows.
    fn step_by_step(&mut self, starts: &[State]) -> Option<State> {
        let mut starts: Vec<&State> = starts.iter().collect();
        if self.nodes.len() > STARTS_ALL {
            starts.sort_by(|a, b| a.cost.total_cmp(&b.cost));
            starts.truncate(STARTS_MAX);
        }
        let mut best: Option<State> = None;
        for start in starts {
            let mut state = start.clone();
            let limit = best.as_ref().map_or(f64::INFINITY, |best| best.cost * CLEARLY_LESS);
            // What costs more than the best order before it is complete gets no better.
            while !self.is_complete(&state) && state.cost < limit {
                let mut next: Option<(f64, State)> = None;
                self.each_step(&state, f64::INFINITY, &mut |step, to: State| {
                    let rows = match step {
                        Step::Lookup(_) if state.rows <= LOOKUP_ROWS_MAX => 0.0,
                        Step::Lookup(_) => return,
                        Step::Intersect { .. } => to.rows * 0.5,
                        _ => to.rows,
                    };
                    if next.as_ref().is_none_or(|(least, _)| rows < *least * CLEARLY_LESS) {
                        next = Some((rows, to));
                    }
                });
                let Some((_, mut to)) = next else { break };
                let mut closed = std::mem::take(&mut state.closed);
                closed.extend(to.step.take());
                closed.append(&mut to.closed);
                state = State { step: state.step.take(), closed, ..to };
            }
            let complete = self.is_complete(&state);
            if complete && best.as_ref().is_none_or(|best| state.cost < best.cost * CLEARLY_LESS) {
                best = Some(state);
            }
        }
        best
    }

    /// All orders whose cost stays below that of `first`; none where there are too many, or none is cheaper.
    fn dynamic(&mut self, starts: Vec<State>, first: &State) -> Option<State> {
        let mut limit = first.cost * CLEARLY_LESS;
        let mut known: FxHashMap<(u64, u64), usize> = FxHashMap::default();
        let mut levels: Vec<Vec<usize>> = vec![Vec::new(); self.nodes.len() + self.edges.len() + 1];
        let mut transitions = 0;
        let mut offers = starts;
        let mut best: Option<State> = None;
        let mut finished: Vec<usize> = Vec::new();
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
                self.each_step(&self.states[at], limit, &mut |_, mut to| {
                    transitions += 1;
                    to.parent = Some(at);
                    offers.push(to);
                });
                finished.push(at);
                if self.is_first && finished.len() <= HALVES_MAX {
                    for other in &finished {
                        transitions += 1;
                        offers.extend(self.joined(at, *other, limit));
                    }
                }
                if transitions > TRANSITIONS_MAX {
                    return None;
                }
            }
        }
        best
    }

    fn found(&self, state: &State) -> Found {
        Found { rows: state.rows, cost: state.cost, steps: self.planned(state) }
    }

    fn planned(&self, state: &State) -> Vec<Planned> {
        let mut steps = state.parent.map_or_else(Vec::new, |parent| self.planned(&self.states[parent]));
        let edge = |at: &usize| self.edges[*at].at;
        let node = |at: &usize| self.variables[*at];
        steps.extend(state.step.iter().chain(&state.closed).map(|(step, rows)| {
            let step = match step {
                Step::Scan(at) => PlannedStep::Scan(node(at)),
                Step::ScanRels(at) => PlannedStep::ScanRels(edge(at)),
                Step::Lookup(at) => PlannedStep::Lookup(node(at)),
                Step::Edge { edge: at, from } => PlannedStep::Edge { edge: edge(at), from: node(from) },
                Step::Intersect { to, edges } => {
                    PlannedStep::Intersect { to: node(to), edges: edges.iter().map(edge).collect() }
                }
                Step::Join { other, node: at } => {
                    PlannedStep::Join { other: self.planned(&self.states[*other]), node: node(at) }
                }
            };
            Planned { step, rows: *rows }
        }));
        steps
    }
}
