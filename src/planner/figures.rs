//! A part of a query graph in figures: what the search for an order of joins computes with.

use std::collections::BTreeSet;

use super::cardinality::{ListLengths, list_length};
use super::join_order::{JoinOrder, Partial};
use super::keys::{SCANNED_PER_LOOKUP, key_list};
use super::logical_plan::Leg;
use super::query_graph::{QueryGraph, legs};
use crate::binder::bound::VariableId;

/// Nodes, edges and conjuncts have a bit each.
pub const BITS: usize = u64::BITS as usize;
/// Larger components are ordered in parts of so many new nodes.
const PART_NODES: usize = 32;

/// A node of the part.
pub struct NodeFacts {
    pub rows: f64,
    /// Share that the node's own conjuncts keep.
    pub share: f64,
    pub has_predicates: bool,
    /// Rows that are read to find all of them, or keys that are looked up.
    pub read: f64,
    pub lookup: Option<LookupFacts>,
}

/// How a node is found by its key.
#[derive(Clone, Copy)]
pub struct LookupFacts {
    /// What has to be bound before its key is known.
    pub needs: u64,
    /// The conjuncts that say the key.
    pub filters: u64,
    /// Share of the nodes found that the other conjuncts keep.
    pub share: f64,
    /// Keys that are looked up for a row.
    pub keys: f64,
}

/// An edge of the part.
pub struct EdgeFacts {
    /// Position in the graph.
    pub at: usize,
    pub ends: [usize; 2],
    pub variable_length: bool,
    pub share: f64,
    pub has_predicates: bool,
    /// Ends per start and relationships looked at per start, from either end.
    pub reached: [(f64, f64); 2],
    /// Edges by place that end at either end, and the ends per start for who came along them, the most first: nodes with
    /// many of the one may have many of the other as well.
    pub arrivals: [Vec<(usize, f64)>; 2],
    /// Relationships between two given ends.
    pub connections: f64,
    /// Whether its relationships may go unnamed, each end having one plain index, and all that it must differ from
    /// elsewhere allows it.
    pub may_intersect: bool,
    /// Edges here that it must differ from.
    pub rivals: u64,
    pub scannable: bool,
}

/// A conjunct over several variables.
pub struct FilterFacts {
    pub needs: u64,
    pub needs_edges: u64,
    pub share: f64,
    pub possible: bool,
}

/// A connected part of a graph whose nodes and edges can be named by bits.
pub struct Part {
    pub nodes: Vec<VariableId>,
    pub edges: Vec<usize>,
}

impl Part {
    /// What is ordered next of a component: all that is left of it, or what is near to bound nodes.
    pub fn of(order: &JoinOrder<'_>, input: &Partial, component: &BTreeSet<VariableId>) -> Part {
        let graph = order.graph;
        let inside = |variable: &VariableId| component.contains(variable);
        let open = |at: &usize| {
            let pattern = &graph.edges[*at].pattern;
            inside(&pattern.source) && !input.bound.contains(&pattern.variable)
        };
        let open: Vec<usize> = (0..graph.edges.len()).filter(open).collect();
        let all = graph.nodes.iter().map(|node| node.variable).filter(inside);
        let all: Vec<VariableId> = all.collect();
        if all.len() <= BITS && open.len() <= BITS {
            return Part { nodes: all, edges: open };
        }
        let ends = |at: usize| [graph.edges[at].pattern.source, graph.edges[at].pattern.target];
        let near = open.iter().flat_map(|at| ends(*at)).filter(|end| input.bound.contains(end));
        let mut nodes: Vec<VariableId> = near.take(1).collect();
        if nodes.is_empty() {
            let size =
                |variable: &VariableId| graph.node(*variable).map_or(0.0, |node| order.estimator.nodes(node));
            nodes.extend(all.iter().copied().min_by(|a, b| size(a).total_cmp(&size(b))));
        }
        let mut edges: Vec<usize> = Vec::new();
        // Breadth first, so that the part is connected; edges between its nodes come along while there is room.
        while nodes.len() < PART_NODES {
            let next = open
                .iter()
                .copied()
                .find(|at| !edges.contains(at) && ends(*at).iter().any(|end| nodes.contains(end)));
            let Some(next) = next.filter(|_| edges.len() < BITS) else { break };
            edges.push(next);
            nodes.extend(ends(next).into_iter().filter(|end| !nodes.contains(end)).collect::<BTreeSet<_>>());
        }
        edges.sort_unstable();
        Part { nodes, edges }
    }
}

/// A bit per place.
pub fn bits(places: impl Iterator<Item = usize>) -> u64 {
    places.fold(0, |mask, place| mask | 1 << place)
}

/// The places of the bits that are set, from the lowest on.
pub fn places(mask: u64) -> impl Iterator<Item = usize> {
    let mut rest = mask;
    std::iter::from_fn(move || {
        let place = (rest != 0).then(|| rest.trailing_zeros() as usize);
        rest &= rest.wrapping_sub(1);
        place
    })
}

/// The indexes that lead across each edge of a part, from its source and from its target.
pub struct LegsOf<'p> {
    edges: &'p [usize],
    legs: Vec<[Vec<Leg>; 2]>,
}

impl<'p> LegsOf<'p> {
    pub fn new(graph: &QueryGraph, edges: &'p [usize]) -> LegsOf<'p> {
        let patterns = edges.iter().map(|at| &graph.edges[*at].pattern);
        let both = patterns.map(|edge| [edge.source, edge.target].map(|end| legs(graph, edge, end)));
        LegsOf { edges, legs: both.collect() }
    }
}

/// What is expected of a node.
pub fn node_facts(order: &JoinOrder<'_>, variable: VariableId) -> NodeFacts {
    let node = order.graph.node(variable);
    let tables = node.map_or(&[][..], |node| &node.tables);
    let predicates = node.map_or(&[][..], |node| &node.predicates);
    let rows = order.estimator.rows_of(tables);
    let listed = key_list(&order.estimator, variable, tables, predicates);
    NodeFacts {
        rows,
        read: listed.map_or(rows, |(_, list)| list_length(list, &ListLengths::new()) * SCANNED_PER_LOOKUP),
        share: order.estimator.selectivity_of_all(predicates),
        has_predicates: !predicates.is_empty(),
        lookup: None,
    }
}

/// What is expected of an edge of the part.
pub fn edge_facts(
    order: &JoinOrder<'_>,
    input: &Partial,
    at: usize,
    ends: [usize; 2],
    legs: &LegsOf<'_>,
) -> EdgeFacts {
    let (graph, estimator) = (order.graph, &order.estimator);
    let edge = &graph.edges[at];
    let pattern = &edge.pattern;
    let sides = [pattern.source, pattern.target];
    let side_tables = sides.map(|side| graph.node(side).map_or(&[][..], |node| &node.tables));
    let own = legs.edges.iter().position(|known| *known == at);
    let side_legs = [0, 1].map(|side| own.map_or(&[][..], |own| &legs.legs[own][side]));
    let once = order.duplicates_irrelevant
        && pattern.length.as_ref().is_some_and(|length| length.min <= 1)
        && !order.needed.contains(&pattern.variable);
    let reached = [0, 1].map(|side| match &pattern.length {
        None => {
            let fanout = estimator.fanout(side_legs[side], side_tables[side]);
            (fanout, fanout)
        }
        Some(length) => {
            let kept = estimator.selectivity_of_all(&length.edge_predicates);
            let ends = estimator.rows_of(side_tables[1 - side]);
            let (ends, looked_at) = estimator.reached(
                side_legs[side],
                (None, ends),
                (length.min, length.max),
                (length.mode, once),
            );
            (ends * kept, looked_at)
        }
    });
    let connections = match &pattern.length {
        None => estimator.connections(side_legs[0], side_tables[0], side_tables[1]),
        Some(_) => (reached[0].0 / estimator.rows_of(side_tables[1]).max(1.0)).min(1.0),
    };
    let (rivals, rivals_allow) = rivals(graph, input, at, legs.edges);
    let plain = pattern.length.is_none() && !pattern.undirected && pattern.source != pattern.target;
    let free = |variable: &VariableId| graph.node(*variable).is_some_and(|node| node.predicates.is_empty());
    EdgeFacts {
        at,
        ends,
        variable_length: pattern.length.is_some(),
        share: estimator.selectivity_of_all(&edge.predicates),
        has_predicates: !edge.predicates.is_empty(),
        reached,
        arrivals: [0, 1].map(|side| arrivals(order, at, (sides[side], side_legs[side]), legs)),
        connections,
        may_intersect: plain
            && rivals_allow
            && !order.needed.contains(&pattern.variable)
            && edge.predicates.is_empty()
            && side_legs.iter().all(|legs| legs.len() == 1),
        rivals,
        scannable: plain && sides.iter().all(free),
    }
}

/// The edges of the part that an edge must differ from, and whether all others allow that it is intersected.
fn rivals(graph: &QueryGraph, input: &Partial, at: usize, part: &[usize]) -> (u64, bool) {
    let tables = &graph.edges[at].pattern.tables;
    let (mut rivals, mut allow) = (0, true);
    let sets = graph.distinct_edges.iter().filter(|set| set.contains(&at));
    for other in sets.flatten().filter(|other| **other != at) {
        let rival = &graph.edges[*other].pattern;
        if !tables.iter().any(|table| rival.tables.contains(table)) {
            continue;
        }
        match part.iter().position(|known| known == other) {
            _ if rival.length.is_some() => allow = false,
            Some(place) => rivals |= 1 << place,
            None => allow &= input.bound.contains(&rival.variable) && !input.is_intersected(*other),
        }
    }
    (rivals, allow)
}

/// The edges that end where an edge starts, with the ends per start for who came along them.
fn arrivals(
    order: &JoinOrder<'_>,
    at: usize,
    (start, own): (VariableId, &[Leg]),
    legs: &LegsOf<'_>,
) -> Vec<(usize, f64)> {
    let fixed = |at: usize| order.graph.edges[at].pattern.length.is_none();
    if !fixed(at) {
        return Vec::new();
    }
    let mut arrivals = Vec::new();
    for (place, other) in legs.edges.iter().enumerate() {
        let before = &order.graph.edges[*other].pattern;
        let side = [before.source, before.target].iter().position(|end| *end == start);
        if let Some(side) = side
            && *other != at
            && fixed(*other)
        {
            arrivals.push((place, order.estimator.fanout_by_entry(&legs.legs[place][side], own)));
        }
    }
    arrivals.sort_by(|a, b| b.1.total_cmp(&a.1));
    arrivals
}
