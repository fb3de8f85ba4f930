//! The search for the cheapest order in which a component's variables are bound: dynamic programming over sets of
//! bound nodes (Selinger and others, 1979; Moerkotte and Neumann, 2006), on figures alone; the plan is built once at
//! the end. A first order is found step by step by the fewest expected rows; whatever costs more than that is not
//! followed, and large patterns keep it.

mod dynamic;
mod steps;
mod told;

use rustc_hash::FxHashMap;

use super::figures::{
    BITS, EdgeFacts, FilterFacts, LegsOf, LookupFacts, NodeFacts, Part, bits, edge_facts, node_facts,
};
use super::join_order::{JoinOrder, Partial};
use super::keys::{RowKeys, row_keys};
use super::rewrite::variables_of;
use super::saturated::saturated;
use crate::binder::bound::{BoundExpression, VariableId};

pub(super) use told::{Found, Planned, PlannedStep};

/// Components of more nodes are ordered step by step.
const NODES_MAX: usize = 12;
/// In components of more nodes only the cheapest starts are followed step by step.
const STARTS_ALL: usize = 24;
const STARTS_MAX: usize = 3;
/// Up to this many rows, keys of further nodes are looked up before edges are followed.
const LOOKUP_ROWS_MAX: f64 = 32.0;

/// Costs that differ by less are the same: the first one stays.
const CLEARLY_LESS: f64 = 1.0 - 1e-9;

/// One step of an order; nodes and edges by position in the component.
#[derive(Debug, Clone, Copy, PartialEq)]
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
        /// By their bits.
        edges: u64,
    },
    /// What the order has so far is joined with that of another state over the node that both bind.
    Join {
        other: usize,
        node: usize,
    },
}

/// What an order has bound, and what that is expected to cost. Of thousands few are kept, so that it says no more than
/// the step it came by: what followed upon that at once is found again when the order is told.
#[derive(Debug, Clone, Copy)]
struct State {
    nodes: u64,
    edges: u64,
    /// Edges whose relationships no column has.
    intersected: u64,
    /// Conjuncts that are dealt with.
    filters: u64,
    rows: f64,
    /// What it costs to have as many rows of the whole order as are wanted, and to have all of them.
    cost: f64,
    cost_of_all: f64,
    parent: Option<usize>,
    /// How it came from its parent, or from the beginning.
    step: Option<Step>,
}

/// What a step costs: until there are as many rows as are wanted, and until all rows are there.
#[derive(Debug, Clone, Copy)]
struct Cost {
    wanted: f64,
    all: f64,
}

impl State {
    /// So many rows with nothing bound.
    fn of(rows: f64) -> State {
        let rows = saturated(rows);
        State {
            nodes: 0,
            edges: 0,
            intersected: 0,
            filters: 0,
            rows,
            cost: 0.0,
            cost_of_all: 0.0,
            parent: None,
            step: None,
        }
    }

    /// The same with so many rows behind a step of such a cost; figures stay finite.
    fn after(self, rows: f64, step: Cost) -> State {
        State {
            rows: saturated(rows),
            cost: saturated(self.cost + step.wanted),
            cost_of_all: saturated(self.cost_of_all + step.all),
            ..self
        }
    }
}

/// A component of a graph in figures.
pub(super) struct Search<'s, 'a> {
    order: &'s JoinOrder<'a>,
    variables: Vec<VariableId>,
    nodes: Vec<NodeFacts>,
    edges: Vec<EdgeFacts>,
    filters: Vec<FilterFacts>,
    /// All nodes, and all edges.
    whole: (u64, u64),
    /// The ends of each edge.
    ends: Vec<u64>,
    /// Nodes that were bound before.
    given: u64,
    /// Nodes whose key may be known, edges of fixed length, conjuncts that are not dealt with.
    keyed: u64,
    fixed: u64,
    possible: u64,
    /// The edges at each node that may be intersected there.
    closing: Vec<u64>,
    /// Before the first step.
    begin: State,
    /// Whether nothing comes before it: then two halves may be planned apart and joined. Over rows both would have those,
    /// and the half that is built could look nothing up by them.
    is_first: bool,
    /// The part of all rows that is wanted: operators that put rows out while they take them in do as much of their work.
    share: f64,
    states: Vec<State>,
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
            whole: (0, 0),
            ends: Vec::new(),
            keyed: 0,
            fixed: 0,
            possible: 0,
            closing: vec![0; variables.len()],
            begin: State::of(0.0),
            is_first: true,
            share: 1.0,
            states: Vec::new(),
            variables: variables.clone(),
        };
        let legs = LegsOf::new(graph, edges);
        for at in edges {
            let pattern = &graph.edges[*at].pattern;
            if let (Some(source), Some(target)) = (place(pattern.source), place(pattern.target)) {
                search.edges.push(edge_facts(order, input, *at, [source, target], &legs));
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
        search.whole = (bits(0..variables.len()), bits(0..search.edges.len()));
        search.ends = search.edges.iter().map(|edge| bits(edge.ends.into_iter())).collect();
        search.keyed = bits((0..variables.len()).filter(|at| search.nodes[*at].lookup.is_some()));
        search.fixed = bits((0..search.edges.len()).filter(|at| !search.edges[*at].variable_length));
        search.possible = bits((0..search.filters.len()).filter(|at| search.filters[*at].possible));
        for (at, edge) in search.edges.iter().enumerate().filter(|(_, edge)| edge.may_intersect) {
            edge.ends.iter().for_each(|end| search.closing[*end] |= 1 << at);
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
    fn lookup_facts(&self, at: usize, input: &Partial) -> Option<LookupFacts> {
        let variable = self.variables[at];
        let node = self.order.graph.node(variable)?;
        let known = |v| input.bound.contains(&v) || (v != variable && self.variables.contains(&v));
        let (keys, used) = row_keys(self.order, node, &known)?;
        let values = match &keys {
            RowKeys::Equal(values) => &values[..],
            RowKeys::Among(list, _) => std::slice::from_ref(list),
        };
        let mut needs = 0;
        for value in values.iter().flat_map(variables_of) {
            if let Some(place) = self.variables.iter().position(|known| *known == value) {
                needs |= 1 << place;
            }
        }
        let own = node.predicates.len();
        let rest = node.predicates.iter().enumerate().filter(|(at, _)| !used.contains(at));
        let share = rest.map(|(_, predicate)| self.order.estimator.selectivity(predicate)).product();
        let filters = bits(used.iter().filter_map(|at| at.checked_sub(own)));
        Some(LookupFacts { needs, filters, share, keys: keys.per_row() })
    }

    /// The cheapest order; `over` are the rows that it extends, and `lookups_only` says that it may begin with nothing
    /// else than a key. Of its rows so many may be `wanted`, no matter which ones.
    pub fn best(&mut self, over: f64, lookups_only: bool, wanted: Option<f64>) -> Option<Found> {
        self.states.clear();
        self.is_first = self.given == 0 && !lookups_only;
        let mut begin = State::of(over);
        if self.given != 0 {
            begin.nodes = self.given;
            let share = self.given_nodes().map(|at| self.nodes[at].share).product::<f64>();
            begin.rows = saturated(begin.rows * share);
            begin.filters = self.ready_filters(&begin);
        }
        self.begin = begin;
        self.share = 1.0;
        let mut starts = self.starts(lookups_only);
        let mut path = self.step_by_step(&starts)?;
        let mut first = *path.last()?;
        // How many rows there are is about the same for all orders.
        self.share = wanted.map_or(1.0, |wanted| (wanted / first.rows).min(1.0));
        if self.share < 1.0 {
            starts = self.starts(lookups_only);
            path = self.step_by_step(&starts)?;
            first = *path.last()?;
        }
        let large = self.nodes.len() > NODES_MAX || self.nodes.len() < 3;
        let best = if large { None } else { self.dynamic(starts, &first) };
        let steps = match &best {
            Some(best) => self.planned(best, self.share),
            None => self.planned_along(&path),
        };
        let State { rows, cost, .. } = best.unwrap_or(first);
        Some(Found { rows, cost, steps })
    }

    /// What an order can begin with: keys, if there are any.
    fn starts(&self, lookups_only: bool) -> Vec<State> {
        if self.given != 0 {
            return vec![self.settled(self.begin)];
        }
        let mut starts: Vec<State> =
            (0..self.nodes.len()).filter_map(|at| self.looked_up(&self.begin, at)).collect();
        if !lookups_only && starts.is_empty() {
            starts.extend((0..self.nodes.len()).map(|at| self.scanned(at)));
            starts.extend((0..self.edges.len()).filter_map(|at| self.scanned_rels(at)));
        }
        starts.into_iter().map(|start| self.settled(start)).collect()
    }

    /// Keys of a node that are looked up for a row.
    fn keys(&self, at: usize) -> f64 {
        self.nodes[at].lookup.map_or(0.0, |lookup| lookup.keys)
    }

    fn given_nodes(&self) -> impl Iterator<Item = usize> + '_ {
        (0..self.nodes.len()).filter(|at| self.given >> at & 1 == 1)
    }

    fn is_complete(&self, state: &State) -> bool {
        (state.nodes, state.edges) == self.whole
    }

    /// From every start the step that leaves the fewest rows; the states on the cheapest of these ways.
    fn step_by_step(&self, starts: &[State]) -> Option<Vec<State>> {
        let mut starts: Vec<&State> = starts.iter().collect();
        if self.nodes.len() > STARTS_ALL {
            starts.sort_by(|a, b| a.cost.total_cmp(&b.cost));
            starts.truncate(STARTS_MAX);
        }
        let mut best: Option<(f64, Vec<State>)> = None;
        let mut met = FxHashMap::default();
        let mut path = Vec::new();
        for start in starts {
            let mut state = *start;
            path.clear();
            path.push(state);
            // The first complete order is one, whatever it costs.
            let is_cheaper = |cost: f64| best.as_ref().is_none_or(|(least, _)| cost < least * CLEARLY_LESS);
            // What costs more than the best order before it is complete gets no better, nor does what comes to where
            // another start came to with no more rows for no more.
            while !self.is_complete(&state) && is_cheaper(state.cost) && is_news(&mut met, &state) {
                let mut next: Option<(f64, State)> = None;
                self.each_step(&state, f64::INFINITY, |to| {
                    let to = self.settled(to);
                    let rows = match to.step {
                        Some(Step::Lookup(at)) if state.rows * self.keys(at) <= LOOKUP_ROWS_MAX => 0.0,
                        Some(Step::Lookup(_)) => return,
                        Some(Step::Intersect { .. }) => to.rows * 0.5,
                        _ => to.rows,
                    };
                    if next.is_none_or(|(least, _)| rows < least * CLEARLY_LESS) {
                        next = Some((rows, to));
                    }
                });
                let Some((_, to)) = next else { break };
                state = to;
                path.push(state);
            }
            if self.is_complete(&state) && is_cheaper(state.cost) {
                best = Some((state.cost, std::mem::take(&mut path)));
            }
        }
        best.map(|(_, path)| path)
    }
}

/// Whether no state before had the same bound with as few rows for as little, as far as is kept in mind.
fn is_news(met: &mut FxHashMap<[u64; 3], (f64, f64)>, state: &State) -> bool {
    let key = [state.nodes, state.edges, state.intersected];
    let is_worse =
        |(rows, cost): &(f64, f64)| state.rows >= rows * CLEARLY_LESS && state.cost >= cost * CLEARLY_LESS;
    let known = met.get(&key).is_some_and(is_worse);
    if !known {
        met.insert(key, (state.rows, state.cost));
    }
    !known
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_of_a_state_are_numbers() {
        let begin = State::of(f64::INFINITY);
        let cost = |cost: f64| Cost { wanted: cost, all: cost };
        let mut state = begin.after(begin.rows * begin.rows, cost(f64::NAN));
        for _ in 0..100 {
            state = state.after(state.rows * 1e18, cost(state.rows * state.rows));
            let figures = [state.rows, state.cost, state.cost_of_all];
            assert!(figures.iter().all(|figure| figure.is_finite()), "{state:?}");
        }
    }
}
