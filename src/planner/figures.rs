//! A part of a query graph in figures: what the search for an order of joins computes with.

use std::collections::BTreeSet;

use super::cardinality::list_length;
use super::join_order::{JoinOrder, Partial};
use super::keys::{SCANNED_PER_LOOKUP, key_list};
use super::logical_plan::Leg;
use super::query_graph::legs;
use crate::binder::bound::VariableId;
use crate::types::TableId;

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
    /// What has to be bound before its key is known, and the conjuncts that say the key.
    pub lookup: Option<(u64, u64, f64)>,
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
    /// Edges by place that end at either end, and the ends per start for who came along them: nodes with many of the
    /// one may have many of the other as well.
    pub arrivals: [Vec<(usize, f64)>; 2],
    /// Relationships between two given ends.
    pub connections: f64,
    /// Whether its relationships may go unnamed, each end having one plain index.
    pub intersects: bool,
    /// Edges here that it must differ from, and whether all others allow an intersection.
    pub rivals: u64,
    pub rivals_allow: bool,
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

/// What is expected of a node.
pub fn node_facts(order: &JoinOrder<'_>, variable: VariableId) -> NodeFacts {
    let node = order.graph.node(variable);
    let tables = node.map_or(&[][..], |node| &node.tables);
    let predicates = node.map_or(&[][..], |node| &node.predicates);
    let rows = order.estimator.rows_of(tables);
    let listed = key_list(&order.estimator, variable, tables, predicates);
    NodeFacts {
        rows,
        read: listed.map_or(rows, |(_, list)| list_length(list) * SCANNED_PER_LOOKUP),
        share: order.estimator.selectivity_of_all(predicates),
        has_predicates: !predicates.is_empty(),
        lookup: None,
    }
}

/// What is expected of an edge, of which the part has these.
pub fn edge_facts(
    order: &JoinOrder<'_>,
    input: &Partial,
    at: usize,
    ends: [usize; 2],
    component: &[usize],
) -> EdgeFacts {
    let (graph, estimator) = (order.graph, &order.estimator);
    let edge = &graph.edges[at];
    let pattern = &edge.pattern;
    let tables = |variable: VariableId| -> Vec<TableId> {
        graph.node(variable).map_or_else(Vec::new, |node| node.tables.clone())
    };
    let sides = [pattern.source, pattern.target];
    let side_tables = sides.map(tables);
    let side_legs: [Vec<Leg>; 2] = sides.map(|side| legs(graph, pattern, side));
    let once = order.duplicates_irrelevant
        && pattern.length.as_ref().is_some_and(|length| length.min <= 1)
        && !order.needed.contains(&pattern.variable);
    let reached = [0, 1].map(|side| match &pattern.length {
        None => {
            let fanout = estimator.fanout(&side_legs[side], &side_tables[side]);
            (fanout, fanout)
        }
        Some(length) => {
            let kept = estimator.selectivity_of_all(&length.edge_predicates);
            let ends = estimator.rows_of(&side_tables[1 - side]);
            let (ends, looked_at) = estimator.reached(
                &side_legs[side],
                (None, ends),
                (length.min, length.max),
                (length.mode, once),
            );
            (ends * kept, looked_at)
        }
    });
    let connections = match &pattern.length {
        None => estimator.connections(&side_legs[0], &side_tables[0], &side_tables[1]),
        Some(_) => (reached[0].0 / estimator.rows_of(&side_tables[1]).max(1.0)).min(1.0),
    };
    let (mut rivals, mut rivals_allow) = (0, true);
    for other in
        graph.distinct_edges.iter().filter(|set| set.contains(&at)).flatten().filter(|other| **other != at)
    {
        let rival = &graph.edges[*other].pattern;
        if !pattern.tables.iter().any(|table| rival.tables.contains(table)) {
            continue;
        }
        match component.iter().position(|known| known == other) {
            _ if rival.length.is_some() => rivals_allow = false,
            Some(place) => rivals |= 1 << place,
            None => rivals_allow &= input.bound.contains(&rival.variable) && !input.is_intersected(*other),
        }
    }
    let arrivals = [0, 1].map(|side| {
        let by = |(place, other): (usize, &usize)| {
            let before = &graph.edges[*other].pattern;
            let met = [before.source, before.target].contains(&sides[side]);
            let fixed = pattern.length.is_none() && before.length.is_none();
            if *other == at || !met || !fixed {
                return None;
            }
            let came_by = legs(graph, before, sides[side]);
            Some((place, estimator.fanout_by_entry(&came_by, &side_legs[side])))
        };
        component.iter().enumerate().filter_map(by).collect()
    });
    let plain = pattern.length.is_none() && !pattern.undirected && pattern.source != pattern.target;
    let free = |variable: &VariableId| graph.node(*variable).is_some_and(|node| node.predicates.is_empty());
    EdgeFacts {
        at,
        ends,
        variable_length: pattern.length.is_some(),
        share: estimator.selectivity_of_all(&edge.predicates),
        has_predicates: !edge.predicates.is_empty(),
        reached,
        arrivals,
        connections,
        intersects: plain
            && !order.needed.contains(&pattern.variable)
            && edge.predicates.is_empty()
            && side_legs.iter().all(|legs| legs.len() == 1),
        rivals,
        rivals_allow,
        scannable: plain && sides.iter().all(free),
    }
}
