//! What each step of an order binds and costs: scans, lookups, edges that are followed or closed, intersections and joins
//! of two halves.

use super::super::figures::{LookupFacts, bits, places};
use super::{CLEARLY_LESS, Cost, EdgeFacts, Search, State, Step};

/// What a neighbour costs whose bit says that it is not wanted, beside one that is put out.
const FILTERED_NEIGHBOUR_COST: f64 = 0.1;
/// A scanned row; packed columns are cheap beside following edges.
const SCANNED_COST: f64 = 0.1;
/// A key that the index is searched for.
const LOOKUP_COST: f64 = 2.0;
/// A row for whose both ends a list is searched.
const SEARCHED_COST: f64 = 2.0;
/// A row whose conjunct has to be evaluated on gathered values.
const CHECKED_COST: f64 = 0.5;
/// A row that a hash join keeps, and one that it looks up.
const BUILD_COST: f64 = 5.0;
const PROBE_COST: f64 = 3.0;

impl Search<'_, '_> {
    /// A step that puts rows out while it takes rows in.
    fn streaming(&self, all: f64) -> Cost {
        Cost { wanted: all * self.share, all }
    }

    /// A step that spends so much before it puts a row out.
    fn after_first(&self, first: f64, rest: f64) -> Cost {
        Cost { wanted: first + rest * self.share, all: first + rest }
    }

    /// All ways to go on that cost less than `limit`, not settled yet.
    pub(super) fn each_step(&self, state: &State, limit: f64, mut offer: impl FnMut(State)) {
        for at in places(self.keyed & !state.nodes) {
            if let Some(to) = self.looked_up(state, at) {
                offer(to);
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
                    offer(to);
                }
            }
        }
        for to in (0..self.nodes.len()).filter(|to| state.nodes >> to & 1 == 0) {
            if let Some(next) = self.intersected(state, to).filter(|next| next.cost < limit) {
                offer(next);
            }
        }
    }

    pub(super) fn scanned(&self, at: usize) -> State {
        let node = &self.nodes[at];
        let rows = (node.rows * node.share).max(if node.rows > 0.0 { 1.0 } else { 0.0 });
        let cost = node.read * SCANNED_COST + rows;
        State {
            nodes: 1 << at,
            step: Some(Step::Scan(at)),
            ..State::of(0.0).after(rows, self.streaming(cost))
        }
    }

    /// Scanning the relationships themselves pays when neither end narrows them down.
    pub(super) fn scanned_rels(&self, at: usize) -> Option<State> {
        let edge = &self.edges[at];
        if !edge.scannable {
            return None;
        }
        let edges = edge.reached[0].0 * self.nodes[edge.ends[0]].rows;
        let rows = edges * edge.share;
        // In the order of the table, without a step from list to list.
        let cost = edges * SCANNED_COST + rows * 0.4;
        Some(State {
            nodes: 1 << edge.ends[0] | 1 << edge.ends[1],
            edges: 1 << at,
            step: Some(Step::ScanRels(at)),
            ..State::of(0.0).after(rows, self.streaming(cost))
        })
    }

    pub(super) fn looked_up(&self, state: &State, at: usize) -> Option<State> {
        let LookupFacts { needs, filters, share, keys } = self.nodes[at].lookup?;
        if needs & !state.nodes != 0 || filters & state.filters != 0 {
            return None;
        }
        let looked_up = state.rows * keys;
        Some(State {
            nodes: state.nodes | 1 << at,
            filters: state.filters | filters,
            parent: None,
            step: Some(Step::Lookup(at)),
            ..state.after(looked_up * share, self.streaming(looked_up * LOOKUP_COST))
        })
    }

    /// Follows an edge from a bound end, to a new node or to one that is bound as well.
    pub(super) fn followed(&self, state: &State, at: usize, side: usize, limit: f64) -> Option<State> {
        let edge = &self.edges[at];
        let to = edge.ends[1 - side];
        let into = state.nodes >> to & 1 == 1;
        let node = &self.nodes[to];
        let looked_at = edge.reached[side].1;
        let reached = state.rows * self.list_length(state, at, side);
        let (rows, cost) = if into {
            let rows = state.rows * edge.connections * edge.share;
            let read = if edge.variable_length { looked_at } else { SEARCHED_COST };
            let cost = (state.rows * read).max(rows) + if edge.has_predicates { rows } else { 0.0 };
            (rows, self.streaming(cost))
        } else {
            let rows = reached * edge.share * node.share;
            let read = if edge.variable_length { state.rows * looked_at } else { reached };
            let checked = if edge.has_predicates { reached } else { 0.0 };
            let cost = match node.has_predicates {
                false => self.streaming(read.max(state.rows) + checked),
                // One look at all nodes comes before the first neighbour.
                true if reached * self.share >= node.rows && !edge.variable_length => self
                    .after_first(node.rows * SCANNED_COST, read * FILTERED_NEIGHBOUR_COST + rows + checked),
                true => self.streaming(read.max(state.rows) + reached * edge.share * CHECKED_COST + checked),
            };
            (rows, cost)
        };
        if state.cost + cost.wanted >= limit {
            return None;
        }
        Some(State {
            nodes: state.nodes | 1 << to,
            edges: state.edges | 1 << at,
            parent: None,
            step: Some(Step::Edge { edge: at, from: edge.ends[side] }),
            ..state.after(rows, cost)
        })
    }

    /// Ends per start of an edge for rows that came to its start as the state says.
    fn list_length(&self, state: &State, at: usize, side: usize) -> f64 {
        let edge = &self.edges[at];
        // The longest lists come first.
        let arrived = edge.arrivals[side].iter().find(|(by, _)| state.edges >> by & 1 == 1);
        arrived.map_or(edge.reached[side].0, |(_, ends)| *ends)
    }

    /// Entries of all lists of an edge.
    fn entries(&self, at: usize) -> f64 {
        let edge = &self.edges[at];
        edge.reached[0].0 * self.nodes[edge.ends[0]].rows
    }

    /// Relationships between two ends that the state has bound.
    fn between(&self, state: &State, at: usize) -> f64 {
        let edge = &self.edges[at];
        let entries = self.entries(at);
        if entries == 0.0 || edge.ends[0] == edge.ends[1] {
            return edge.connections;
        }
        self.list_length(state, at, 0) * self.list_length(state, at, 1) / entries
    }

    /// Binds a node that two or more edges lead to at once.
    pub(super) fn intersected(&self, state: &State, to: usize) -> Option<State> {
        let other = |edge: &EdgeFacts| if edge.ends[0] == to { edge.ends[1] } else { edge.ends[0] };
        let starts = |at: &usize| state.nodes >> other(&self.edges[*at]) & 1 == 1;
        let mut closing = bits(places(self.closing[to]).filter(starts));
        // Each one that cannot be intersected may rule out another.
        let met = state.edges & !state.intersected;
        let ruled_out =
            |closing: u64| places(closing).find(|at| self.edges[*at].rivals & !(met | closing) != 0);
        while closing.count_ones() > 1
            && let Some(at) = ruled_out(closing)
        {
            closing &= !(1 << at);
        }
        if closing.count_ones() < 2 {
            return None;
        }
        let side = |at: usize| usize::from(self.edges[at].ends[0] == to);
        let length = |at: usize| self.list_length(state, at, side(at));
        let mut first = closing.trailing_zeros() as usize;
        let mut shortest = length(first);
        for at in places(closing) {
            let own = length(at);
            if own < shortest {
                (first, shortest) = (at, own);
            }
        }
        // The shortest list is walked, the others beside it or by searches.
        let walked: f64 = places(closing).map(|at| length(at).min(shortest * SEARCHED_COST)).sum();
        let work = 0.5 * (f64::from(closing.count_ones()) + walked);
        let node = &self.nodes[to];
        let mut rows = state.rows * shortest * node.share;
        for at in places(closing).filter(|at| *at != first) {
            let edge = &self.edges[at];
            // How many of its entries lead where one of the shortest list's leads.
            let met = edge.arrivals[1 - side(at)].iter().find(|(by, _)| *by == first);
            let share = match (met, self.entries(at)) {
                (Some((_, ends)), entries) if entries > 0.0 => length(at) * ends / entries,
                _ => edge.connections,
            };
            rows *= share.min(1.0);
        }
        let cost = self.streaming(state.rows * work + if node.has_predicates { rows } else { 0.0 });
        Some(State {
            nodes: state.nodes | 1 << to,
            edges: state.edges | closing,
            intersected: state.intersected | closing,
            parent: None,
            step: Some(Step::Intersect { to, edges: closing }),
            ..state.after(rows, cost)
        })
    }

    /// Two orders, of more than a node, that share just one and no edge, joined by it.
    pub(super) fn joined(&self, left: usize, right: usize, limit: f64) -> Option<State> {
        let (a, b) = (&self.states[left], &self.states[right]);
        // The kept side is the smaller one.
        let (probe, build) = if a.rows >= b.rows { (left, right) } else { (right, left) };
        let (a, b) = (&self.states[probe], &self.states[build]);
        // One side is there as a whole before the other one is looked at.
        let built = b.cost_of_all + b.rows * BUILD_COST;
        let probed = a.rows * PROBE_COST;
        if a.cost + built + probed * self.share >= limit {
            return None;
        }
        let node = (a.nodes & b.nodes).trailing_zeros() as usize;
        let facts = &self.nodes[node];
        let rows = a.rows * b.rows / (facts.rows * facts.share).max(1.0) * self.correlation(a, b, node);
        Some(State {
            nodes: a.nodes | b.nodes,
            edges: a.edges | b.edges,
            intersected: a.intersected | b.intersected,
            filters: a.filters | b.filters,
            parent: Some(probe),
            step: Some(Step::Join { other: build, node }),
            ..a.after(rows, self.after_first(built, probed + rows))
        })
    }

    /// How much more often than by chance two orders meet in a node, since both may come to the same nodes by many ways.
    pub(super) fn correlation(&self, a: &State, b: &State, node: usize) -> f64 {
        let mut most: Option<f64> = None;
        for edge in places(b.edges).map(|at| &self.edges[at]) {
            for side in (0..2).filter(|side| edge.ends[*side] == node) {
                let usual = edge.reached[side].0;
                // The longest lists come first.
                let arrived = edge.arrivals[side].iter().find(|(by, _)| a.edges >> by & 1 == 1);
                if let Some((_, ends)) = arrived.filter(|_| usual > 0.0) {
                    most = Some(most.map_or(ends / usual, |most| most.max(ends / usual)));
                }
            }
        }
        most.unwrap_or(1.0)
    }

    /// Closes what can be closed and applies conjuncts.
    pub(super) fn settled(&self, mut state: State) -> State {
        self.settle(&mut state, |_, _| {});
        state
    }

    /// The same, told step by step with the rows before each.
    pub(super) fn settle(&self, state: &mut State, tell: impl FnMut(Step, f64)) {
        self.filter(state);
        self.close(state, tell);
    }

    /// The conjuncts that can be applied now.
    pub(super) fn ready_filters(&self, state: &State) -> u64 {
        bits(places(self.possible & !state.filters).filter(|at| {
            let filter = &self.filters[*at];
            filter.needs & !state.nodes == 0 && filter.needs_edges & !state.edges == 0
        }))
    }

    fn filter(&self, state: &mut State) {
        let ready = self.ready_filters(state);
        if ready == 0 {
            return;
        }
        let cost = self.streaming(state.rows * CHECKED_COST);
        let rows = places(ready).fold(state.rows, |rows, at| rows * self.filters[at].share);
        *state = State { filters: state.filters | ready, ..state.after(rows, cost) };
    }

    /// Looks for the edges between bound nodes, the rarest first.
    fn close(&self, state: &mut State, mut tell: impl FnMut(Step, f64)) {
        loop {
            let mut rarest: Option<(usize, f64)> = None;
            for at in places(self.fixed & !state.edges) {
                if self.ends[at] & !state.nodes == 0 {
                    let met = self.between(state, at) * self.edges[at].share;
                    if rarest.is_none_or(|(_, least)| met.total_cmp(&least).is_lt()) {
                        rarest = Some((at, met));
                    }
                }
            }
            let Some((at, met)) = rarest else { return };
            let edge = &self.edges[at];
            // From the end with the shorter lists.
            let side = usize::from(edge.reached[1].0 < edge.reached[0].0 * CLEARLY_LESS);
            let (before, rows) = (state.rows, state.rows * met);
            let cost = (before * SEARCHED_COST).max(rows) + if edge.has_predicates { rows } else { 0.0 };
            *state = State { edges: state.edges | 1 << at, ..state.after(rows, self.streaming(cost)) };
            tell(Step::Edge { edge: at, from: edge.ends[side] }, before);
            self.filter(state);
        }
    }
}
