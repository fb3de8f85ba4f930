//! Two parts of a pattern that meet in one node, and that beside it only one comparison ties together: where the one part
//! only has to be counted, its values are sorted for each node and every row of the other part looks up how many stand
//! in the right order to its own (sorted lists for inequality joins: Khayyat and others, *Lightning Fast and Space
//! Efficient Inequality Joins*, VLDB 2015). Both parts are written out, but not their pairs.

use std::collections::BTreeSet;

use super::build::Builder;
use super::factorize::strip;
use super::join_order::Partial;
use super::logical_plan::{CountedLoops, CountedPart, LogicalPlan};
use super::lower::predicate_op;
use super::query_graph::{GraphEdge, QueryGraph};
use super::rewrite::variables_of;
use crate::binder::bound::{BoundExpression, ExpressionKind, VariableId};
use crate::types::{DataType, PhysicalType, PredicateOp, TableId};

/// A row that is kept and sorted, and one that looks up how many stand in order to it.
const SORTED_COST: f64 = 2.0;
const COUNTED_COST: f64 = 1.0;
/// Graphs of more nodes are not looked at: each node and comparison is tried.
const NODES_MAX: usize = 12;

/// A graph in two parts.
struct Parts {
    read: QueryGraph,
    counted: QueryGraph,
    how: CountedPart,
}

impl Builder<'_> {
    /// The cheapest way to count one part of the graph for each row of the other, which binds all that is needed.
    pub(super) fn count_joined(&self, graph: &QueryGraph, needed: &BTreeSet<VariableId>) -> Option<Partial> {
        let plain = self.estimator.arrays
            && !graph.impossible
            && graph.nodes.len() <= NODES_MAX
            && graph.components().len() == 1
            && graph.edges.iter().all(|edge| edge.pattern.length.is_none())
            && !graph.filters.iter().any(BoundExpression::has_subquery)
            && !graph.paths.iter().any(|path| needed.contains(&path.variable));
        if !plain {
            return None;
        }
        let mut best: Option<Partial> = None;
        for (at, filter) in graph.filters.iter().enumerate() {
            let Some((left, op, right)) = ordered(filter) else { continue };
            let [left, right] = [left, right].map(Side::of);
            for node in &graph.nodes {
                for (value, op, other) in [(&left, op, &right), (&right, op.mirrored(), &left)] {
                    let parts = parts(graph, node.variable, at, (value, op, other), needed);
                    let Some(planned) = parts.map(|parts| self.counted(parts, needed)) else { continue };
                    if best.as_ref().is_none_or(|best| planned.cost < best.cost) {
                        best = Some(planned);
                    }
                }
            }
        }
        best
    }

    fn counted(&self, parts: Parts, needed: &BTreeSet<VariableId>) -> Partial {
        let Parts { read, counted, how } = parts;
        let side = |mut graph: QueryGraph, value: &BoundExpression, needed: BTreeSet<VariableId>| {
            let mut needed = needed;
            needed.insert(how.node);
            needed.extend(variables_of(value));
            let of_side = |variable: &VariableId| {
                let edge = |edge: &GraphEdge| edge.pattern.variable == *variable;
                graph.node(*variable).is_some() || graph.edges.iter().any(edge)
            };
            let ends = how.loops.iter().flat_map(|loops| &loops.ends);
            needed.extend(how.different.iter().flatten().chain(ends).filter(|variable| of_side(variable)));
            let weights = strip(&mut graph, &needed, &self.estimator);
            self.order(Partial::unit(), graph, weights, needed, false)
        };
        let probe = side(read, &how.values[0], needed.clone());
        let build = side(counted, &how.values[1], BTreeSet::new());
        let cost = probe.cost + build.cost + build.rows * SORTED_COST + probe.rows * COUNTED_COST;
        let (bound, rows) = (probe.bound, probe.rows);
        let (probe, build) = (Box::new(probe.plan), Box::new(build.plan));
        let plan = LogicalPlan::CountJoin { probe, build, how: Box::new(how) };
        Partial { plan, bound, rows, cost, done: Default::default() }
    }
}

/// A comparison of two values whose order is that of 64-bit numbers.
fn ordered(filter: &BoundExpression) -> Option<(&BoundExpression, PredicateOp, &BoundExpression)> {
    let ExpressionKind::Call { function, arguments } = &filter.kind else { return None };
    let [left, right] = &arguments[..] else { return None };
    let op = predicate_op(function.name)?;
    let id = matches!(left.data_type, DataType::Node | DataType::Rel | DataType::Id);
    let exact = match left.data_type.physical() {
        PhysicalType::I8 | PhysicalType::I16 | PhysicalType::I32 | PhysicalType::I64 => true,
        PhysicalType::U8 | PhysicalType::U16 | PhysicalType::U32 | PhysicalType::U64 => !id,
        // NaN differs from itself.
        PhysicalType::F32 | PhysicalType::F64 => op != PredicateOp::Ne,
        _ => false,
    };
    (exact && left.data_type == right.data_type).then_some((left, op, right))
}

/// A side of a comparison.
struct Side<'e> {
    value: &'e BoundExpression,
    variables: BTreeSet<VariableId>,
}

impl<'e> Side<'e> {
    fn of(value: &'e BoundExpression) -> Side<'e> {
        Side { value, variables: variables_of(value) }
    }
}

/// The graph cut at a node into what the second value of a comparison is of, which is counted, and the rest.
fn parts(
    graph: &QueryGraph,
    node: VariableId,
    comparison: usize,
    (value, op, other): (&Side<'_>, PredicateOp, &Side<'_>),
    needed: &BTreeSet<VariableId>,
) -> Option<Parts> {
    if value.variables.iter().all(|variable| *variable == node) {
        return None;
    }
    let read = |variable: &VariableId| value.variables.contains(variable) || needed.contains(variable);
    let counted = beyond(graph, node, &other.variables, &read)?;
    let meets = |variables: &BTreeSet<VariableId>| !variables.is_disjoint(&counted);
    let mut filters: [Vec<BoundExpression>; 2] = Default::default();
    for (at, filter) in graph.filters.iter().enumerate().filter(|(at, _)| *at != comparison) {
        let used = variables_of(filter);
        let inside = meets(&used);
        if inside && used.iter().any(|variable| *variable != node && !counted.contains(variable)) {
            return None;
        }
        filters[usize::from(inside)].push(graph.filters[at].clone());
    }
    let is_counted = |at: &usize| counted.contains(&graph.edges[*at].pattern.variable);
    let (mut different, mut ends, mut rel_tables, mut only_loops) =
        (Vec::new(), Vec::new(), Vec::new(), true);
    for set in &graph.distinct_edges {
        for (first, second) in set.iter().flat_map(|first| set.iter().map(move |second| (first, second))) {
            if is_counted(first) || !is_counted(second) {
                continue;
            }
            let (here, there) = (&graph.edges[*first].pattern, &graph.edges[*second].pattern);
            let shared = here.tables.iter().filter(|table| there.tables.contains(table));
            let shared: Vec<TableId> = shared.map(|table| table.table).collect();
            if shared.is_empty() {
                continue;
            }
            // One that comes to the node and one that leaves it are the same only where both ends are the node.
            let opposite = !here.undirected
                && !there.undirected
                && ((here.source == node && there.target == node)
                    || (here.target == node && there.source == node));
            only_loops &= opposite;
            rel_tables.extend(shared);
            different.push([here.variable, there.variable]);
            ends.push(if there.source == node { there.target } else { there.source });
        }
    }
    let variables = |side: usize| different.iter().map(|pair| pair[side]).collect::<BTreeSet<_>>().len();
    // With several on both sides a row could repeat two of them at once.
    if variables(0) > 1 && variables(1) > 1 {
        return None;
    }
    let loops = (only_loops && !different.is_empty()).then_some(CountedLoops { tables: rel_tables, ends });
    let [read_filters, counted_filters] = filters;
    let how = CountedPart { node, values: [value.value.clone(), other.value.clone()], op, different, loops };
    let read = part(graph, &|variable| !counted.contains(&variable), read_filters);
    let counted = part(graph, &|variable| variable == node || counted.contains(&variable), counted_filters);
    Some(Parts { read, counted, how })
}

/// The nodes and edges that are connected with the variables without passing the node; none where the variables are of
/// the node alone, are not of the graph, or are connected with what is read beside them.
fn beyond(
    graph: &QueryGraph,
    node: VariableId,
    variables: &BTreeSet<VariableId>,
    read: &dyn Fn(&VariableId) -> bool,
) -> Option<BTreeSet<VariableId>> {
    let edge = |variable: &VariableId| graph.edges.iter().any(|edge| edge.pattern.variable == *variable);
    let known = |variable: &VariableId| graph.node(*variable).is_some() || edge(variable);
    let mut reached: BTreeSet<VariableId> =
        variables.iter().copied().filter(|variable| *variable != node).collect();
    if reached.is_empty() || reached.iter().any(read) || !variables.iter().all(known) {
        return None;
    }
    loop {
        let before = reached.len();
        for GraphEdge { pattern, .. } in &graph.edges {
            let own = [pattern.variable, pattern.source, pattern.target];
            if own.iter().any(|variable| reached.contains(variable)) {
                // Mostly the graph hangs together, and this is seen at once.
                let own = own.into_iter().filter(|variable| *variable != node);
                if own.clone().any(|variable| read(&variable)) {
                    return None;
                }
                reached.extend(own);
            }
        }
        if reached.len() == before {
            return Some(reached);
        }
    }
}

/// What a graph has of some variables.
fn part(graph: &QueryGraph, has: &dyn Fn(VariableId) -> bool, filters: Vec<BoundExpression>) -> QueryGraph {
    let kept: Vec<usize> =
        (0..graph.edges.len()).filter(|at| has(graph.edges[*at].pattern.variable)).collect();
    let place = |at: &usize| kept.iter().position(|known| known == at);
    let sets = graph.distinct_edges.iter().map(|set| set.iter().filter_map(place).collect::<Vec<_>>());
    QueryGraph {
        nodes: graph.nodes.iter().filter(|node| has(node.variable)).cloned().collect(),
        edges: kept.iter().map(|at| graph.edges[*at].clone()).collect(),
        filters,
        distinct_edges: sets.filter(|set| set.len() > 1).collect(),
        paths: Vec::new(),
        impossible: false,
    }
}
