//! The search for the cheapest order in which a component's variables are bound: dynamic programming over sets of
//! bound nodes (Selinger and others, 1979; Moerkotte and Neumann, 2006), on figures alone; the plan is built once at
//! the end. A first order is found step by step by the fewest expected rows; whatever costs more than that is not
//! followed, and large patterns keep it.

use rustc_hash::FxHashMap;

use super::figures::{BITS, EdgeFacts, FilterFacts, NodeFacts, Part, bits, edge_facts, node_facts};
use super::join_order::{JoinOrder, Partial, key_equality};
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

/// What a neighbour costs whose bit says that it is not wanted, beside one that is put out.
const FILTERED_NEIGHBOUR_COST: f64 = 0.1;
/// A scanned row; packed columns are cheap beside following edges.
const SCANNED_COST: f64 = 0.1;
/// A row for which the key index is searched.
const LOOKUP_COST: f64 = 2.0;
/// A row for whose both ends a list is searched.
const SEARCHED_COST: f64 = 2.0;
/// A row whose conjunct has to be evaluated on gathered values.
const CHECKED_COST: f64 = 0.5;
/// A row that a hash join keeps, and one that it looks up.
const BUILD_COST: f64 = 5.0;
const PROBE_COST: f64 = 3.0;
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
                if self.given == 0 && finished.len() <= HALVES_MAX {
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

    /// All ways to go on that cost less than `limit`.
    fn each_step(&self, state: &State, limit: f64, offer: &mut dyn FnMut(Step, State)) {
        for at in 0..self.nodes.len() {
            if state.nodes >> at & 1 == 0
                && let Some(to) = self.looked_up(state, at)
            {
                offer(Step::Lookup(at), to);
            }
        }
        for (at, edge) in self.edges.iter().enumerate() {
            if state.edges >> at & 1 == 1 {
                continue;
            }
            for side in 0..2 {
                let (from, to) = (edge.ends[side], edge.ends[1 - side]);
                let (has_from, has_to) = (state.nodes >> from & 1 == 1, state.nodes >> to & 1 == 1);
                if has_from
                    && (!has_to || edge.variable_length)
                    && let Some(to) = self.followed(state, at, side, limit)
                {
                    offer(Step::Edge { edge: at, from }, to);
                }
            }
        }
        for to in 0..self.nodes.len() {
            if state.nodes >> to & 1 == 0
                && let Some((step, next)) = self.intersected(state, to)
                && next.cost < limit
            {
                offer(step, next);
            }
        }
    }

    fn scanned(&self, at: usize) -> State {
        let node = &self.nodes[at];
        let rows = (node.rows * node.share).max(if node.rows > 0.0 { 1.0 } else { 0.0 });
        let state = State {
            nodes: 1 << at,
            edges: 0,
            intersected: 0,
            filters: 0,
            rows,
            cost: node.read * SCANNED_COST + rows,
            parent: None,
            step: Some((Step::Scan(at), 0.0)),
            closed: Vec::new(),
        };
        self.settled(state)
    }

    /// Scanning the relationships themselves pays when neither end narrows them down.
    fn scanned_rels(&self, at: usize) -> Option<State> {
        let edge = &self.edges[at];
        if !edge.scannable {
            return None;
        }
        let edges = edge.reached[0].0 * self.nodes[edge.ends[0]].rows;
        let rows = edges * edge.share;
        let state = State {
            nodes: 1 << edge.ends[0] | 1 << edge.ends[1],
            edges: 1 << at,
            intersected: 0,
            filters: 0,
            rows,
            // In the order of the table, without a step from list to list.
            cost: edges * SCANNED_COST + rows * 0.4,
            parent: None,
            step: Some((Step::ScanRels(at), 0.0)),
            closed: Vec::new(),
        };
        Some(self.settled(state))
    }

    fn looked_up(&self, state: &State, at: usize) -> Option<State> {
        let (needs, filters, share) = self.nodes[at].lookup?;
        if needs & !state.nodes != 0 || filters & state.filters != 0 {
            return None;
        }
        let next = State {
            nodes: state.nodes | 1 << at,
            filters: state.filters | filters,
            rows: state.rows * share,
            cost: state.cost + state.rows * LOOKUP_COST,
            parent: None,
            step: Some((Step::Lookup(at), state.rows)),
            closed: Vec::new(),
            ..*state
        };
        Some(self.settled(next))
    }

    /// Follows an edge from a bound end, to a new node or to one that is bound as well.
    fn followed(&self, state: &State, at: usize, side: usize, limit: f64) -> Option<State> {
        let edge = &self.edges[at];
        let to = edge.ends[1 - side];
        let into = state.nodes >> to & 1 == 1;
        let node = &self.nodes[to];
        let (mut ends, looked_at) = edge.reached[side];
        let arrived = edge.arrivals[side].iter().filter(|(by, _)| state.edges >> by & 1 == 1);
        if let Some(longer) = arrived.map(|(_, ends)| *ends).reduce(f64::max) {
            ends = longer;
        }
        let reached = state.rows * ends;
        let (rows, cost) = if into {
            let rows = state.rows * edge.connections * edge.share;
            let read = if edge.variable_length { looked_at } else { SEARCHED_COST };
            (rows, (state.rows * read).max(rows) + if edge.has_predicates { rows } else { 0.0 })
        } else {
            let rows = reached * edge.share * node.share;
            let read = if edge.variable_length { state.rows * looked_at } else { reached };
            let checked = if edge.has_predicates { reached } else { 0.0 };
            let on_node = match node.has_predicates {
                false => read.max(state.rows),
                true if reached >= node.rows && !edge.variable_length => {
                    read * FILTERED_NEIGHBOUR_COST + node.rows * SCANNED_COST + rows
                }
                true => read.max(state.rows) + reached * edge.share * CHECKED_COST,
            };
            (rows, on_node + checked)
        };
        if state.cost + cost >= limit {
            return None;
        }
        let next = State {
            nodes: state.nodes | 1 << to,
            edges: state.edges | 1 << at,
            rows,
            cost: state.cost + cost,
            parent: None,
            step: Some((Step::Edge { edge: at, from: edge.ends[side] }, state.rows)),
            closed: Vec::new(),
            ..*state
        };
        Some(self.settled(next))
    }

    /// Binds a node that two or more edges lead to at once.
    fn intersected(&self, state: &State, to: usize) -> Option<(Step, State)> {
        let closes = |at: &usize| {
            let edge = &self.edges[*at];
            let other = if edge.ends[0] == to { edge.ends[1] } else { edge.ends[0] };
            edge.intersects
                && edge.rivals_allow
                && edge.ends.contains(&to)
                && other != to
                && state.nodes >> other & 1 == 1
        };
        if (0..self.edges.len()).filter(closes).nth(1).is_none() {
            return None;
        }
        let mut closing: Vec<usize> = (0..self.edges.len()).filter(closes).collect();
        // Each one that cannot be intersected may rule out another.
        let met = state.edges & !state.intersected;
        while let Some(place) =
            closing.iter().position(|at| self.edges[*at].rivals & !(met | bits(closing.iter().copied())) != 0)
        {
            closing.remove(place);
        }
        if closing.len() < 2 {
            return None;
        }
        let lengths = closing.iter().map(|at| {
            let edge = &self.edges[*at];
            edge.reached[usize::from(edge.ends[0] == to)].0
        });
        let lengths: Vec<f64> = lengths.collect();
        let shortest = lengths.iter().copied().fold(f64::MAX, f64::min);
        // The shortest list is walked, the others beside it or by searches.
        let walked: f64 = lengths.iter().map(|length| length.min(shortest * SEARCHED_COST)).sum();
        let work = 0.5 * (lengths.len() as f64 + walked);
        let node = &self.nodes[to];
        let mut rows = state.rows * shortest * node.share;
        let first = lengths.iter().position(|length| *length == shortest).unwrap_or(0);
        for (place, at) in closing.iter().enumerate() {
            if place != first {
                rows *= self.edges[*at].connections.min(1.0);
            }
        }
        let mask = bits(closing.iter().copied());
        let step = Step::Intersect { to, edges: closing };
        let next = State {
            nodes: state.nodes | 1 << to,
            edges: state.edges | mask,
            intersected: state.intersected | mask,
            rows,
            cost: state.cost + state.rows * work + if node.has_predicates { rows } else { 0.0 },
            parent: None,
            step: Some((step.clone(), state.rows)),
            closed: Vec::new(),
            ..*state
        };
        Some((step, self.settled(next)))
    }

    /// Two orders that share just one node, joined by it.
    fn joined(&self, left: usize, right: usize, limit: f64) -> Option<State> {
        let (a, b) = (&self.states[left], &self.states[right]);
        let shared = a.nodes & b.nodes;
        let both = |state: &State| state.nodes.count_ones() >= 2;
        let dear = a.cost + b.cost >= limit;
        if dear || shared.count_ones() != 1 || a.edges & b.edges != 0 || !both(a) || !both(b) {
            return None;
        }
        // The kept side is the smaller one.
        let (probe, build) = if a.rows >= b.rows { (left, right) } else { (right, left) };
        let (a, b) = (&self.states[probe], &self.states[build]);
        let node = shared.trailing_zeros() as usize;
        let facts = &self.nodes[node];
        let rows = a.rows * b.rows / (facts.rows * facts.share).max(1.0) * self.correlation(a, b, node);
        let state = State {
            nodes: a.nodes | b.nodes,
            edges: a.edges | b.edges,
            intersected: a.intersected | b.intersected,
            filters: a.filters | b.filters,
            rows,
            cost: a.cost + b.cost + b.rows * BUILD_COST + a.rows * PROBE_COST + rows,
            parent: Some(probe),
            step: Some((Step::Join { other: build, node }, a.rows)),
            closed: Vec::new(),
        };
        Some(self.settled(state))
    }

    /// How much more often than by chance two orders meet in a node, since both may come to the same nodes by many ways.
    fn correlation(&self, a: &State, b: &State, node: usize) -> f64 {
        let mut most: Option<f64> = None;
        for (at, edge) in self.edges.iter().enumerate().filter(|(at, _)| b.edges >> at & 1 == 1) {
            for side in (0..2).filter(|side| edge.ends[*side] == node) {
                let usual = edge.reached[side].0;
                let arrived =
                    edge.arrivals[side].iter().filter(|(by, _)| a.edges >> by & 1 == 1 && *by != at);
                for (_, ends) in arrived.filter(|_| usual > 0.0) {
                    most = Some(most.map_or(ends / usual, |most| most.max(ends / usual)));
                }
            }
        }
        most.unwrap_or(1.0)
    }

    /// Closes what can be closed and applies conjuncts.
    fn settled(&self, mut state: State) -> State {
        self.filter(&mut state);
        self.close(&mut state);
        state
    }

    fn ready_filters(&self, state: &State) -> u64 {
        bits((0..self.filters.len()).filter(|at| {
            let filter = &self.filters[*at];
            filter.possible && filter.needs & !state.nodes == 0 && filter.needs_edges & !state.edges == 0
        }))
    }

    fn filter(&self, state: &mut State) {
        let ready = self.ready_filters(state) & !state.filters;
        state.filters |= ready;
        if ready != 0 {
            state.cost += state.rows * CHECKED_COST;
        }
        for at in 0..self.filters.len() {
            if ready >> at & 1 == 1 {
                state.rows *= self.filters[at].share;
            }
        }
    }

    /// Looks for the edges between bound nodes, the rarest first.
    fn close(&self, state: &mut State) {
        loop {
            let open = (0..self.edges.len()).filter(|at| {
                let edge = &self.edges[*at];
                let between = edge.ends.iter().all(|end| state.nodes >> end & 1 == 1);
                state.edges >> at & 1 == 0 && between && !edge.variable_length
            });
            let expected = |at: &usize| self.edges[*at].connections * self.edges[*at].share;
            let Some(at) = open.min_by(|a, b| expected(a).total_cmp(&expected(b))) else { return };
            let edge = &self.edges[at];
            // From the end with the shorter lists.
            let side = usize::from(edge.reached[1].0 < edge.reached[0].0 * CLEARLY_LESS);
            let (before, rows) = (state.rows, state.rows * expected(&at));
            state.cost +=
                (state.rows * SEARCHED_COST).max(rows) + if edge.has_predicates { rows } else { 0.0 };
            state.rows = rows;
            state.edges |= 1 << at;
            state.closed.push((Step::Edge { edge: at, from: edge.ends[side] }, before));
            self.filter(state);
        }
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
