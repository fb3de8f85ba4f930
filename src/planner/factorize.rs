//! Message passing: where only the number of matches matters, variables that nothing asks for are taken out of the
//! graph leaf by leaf. What hangs below a node becomes one dense array of partial counts per step, so a pattern
//! costs O(edges) per hop however many rows it stands for (Yannakakis 1981; Abo Khamis, Ngo, Rudra: FAQ, 2016).
//!
//! Trail semantics (no relationship twice) and `<>` between nodes are kept by inclusion–exclusion: the count over
//! all walks minus the count of the graph in which the two edges, or the two nodes, are one. Expanding the product
//! of (1 − [these two coincide]) over all pairs gives the same coefficients as the sum over set partitions.

use std::collections::{BTreeMap, BTreeSet};

use super::cardinality::Estimator;
use super::logical_plan::{ExpandEdge, Factor, MessageEdge, MessageNode, WeightTerms};
use super::query_graph::{QueryGraph, legs};
use super::rewrite::variables_of;
use crate::binder::bound::{BoundExpression, ExpressionKind, VariableId};

/// More constraints than this are checked on expanded edges: the number of terms is 2 to their number.
const CONSTRAINTS_MAX: usize = 3;

/// Roots that are compared; in larger graphs the others would only take time.
const ROOTS_MAX: usize = 24;

/// A step is expected to be pushed upwards if fewer than this part of the nodes and edges below are concerned.
const PUSH_SHARE: f64 = 16.0;

/// A pair that must not coincide.
#[derive(Debug, Clone)]
enum Constraint {
    Edges(VariableId, VariableId),
    Nodes(VariableId, VariableId),
}

/// The whole graph as a weighted scan of one node.
pub struct WeightedRoot {
    pub root: VariableId,
    pub weights: WeightTerms,
    /// Edges visited, about.
    pub cost: f64,
}

/// Turns the whole graph into one root node with weights, if every needed variable is that node and the graph, with
/// all its constraints, is acyclic. With nothing needed the root that visits the fewest edges is taken.
pub fn whole_graph(
    graph: &QueryGraph,
    needed: &BTreeSet<VariableId>,
    estimator: &Estimator<'_>,
) -> Option<WeightedRoot> {
    if graph.impossible || graph.edges.is_empty() || graph.components().len() != 1 || !estimator.arrays {
        return None;
    }
    if graph.edges.iter().any(|edge| edge.pattern.length.is_some()) {
        return None;
    }
    let constraints = constraints(graph)?;
    let mut roots: Vec<VariableId> = match needed.iter().copied().collect::<Vec<_>>()[..] {
        [] => graph.nodes.iter().map(|node| node.variable).collect(),
        [only] if graph.node(only).is_some() => vec![only],
        _ => return None,
    };
    roots.sort_by_key(|root| graph.node(*root).map(|node| node.tables.clone()));
    roots.truncate(ROOTS_MAX);
    let mut best: Option<(f64, WeightedRoot)> = None;
    for root in roots {
        let Some(terms) = all_terms(graph, &constraints, root) else { continue };
        let cost: f64 = terms.iter().map(|(_, tree)| visit_cost(tree, estimator)).sum();
        if best.as_ref().is_none_or(|(least, _)| cost < *least) {
            best = Some((cost, WeightedRoot { root, weights: WeightTerms { terms }, cost }));
        }
    }
    best.map(|(_, root)| root)
}

/// Takes out of the graph what hangs below its needed core; returns the weights of the nodes that remain.
pub fn strip(
    graph: &mut QueryGraph,
    needed: &BTreeSet<VariableId>,
    estimator: &Estimator<'_>,
) -> BTreeMap<VariableId, WeightTerms> {
    if !estimator.arrays {
        return BTreeMap::new();
    }
    let mut kept = needed.clone();
    for filter in &graph.filters {
        kept.extend(variables_of(filter));
    }
    for set in &graph.distinct_edges {
        for at in set {
            let pattern = &graph.edges[*at].pattern;
            kept.extend([pattern.variable, pattern.source, pattern.target]);
        }
    }
    let mut below: BTreeMap<VariableId, Vec<MessageEdge>> = BTreeMap::new();
    while let Some((leaf, step)) = removable_leaf(graph, &kept, None) {
        take_leaf(graph, leaf, step, &mut below);
    }
    below
        .into_iter()
        .filter_map(|(variable, children)| {
            let tables = graph.node(variable)?.tables.clone();
            let root = MessageNode { variable, tables, predicates: Vec::new(), children };
            Some((variable, WeightTerms { terms: vec![(1, root)] }))
        })
        .collect()
}

/// The pairs that must not coincide, or `None` where one is beyond the method.
fn constraints(graph: &QueryGraph) -> Option<Vec<Constraint>> {
    let mut found = Vec::new();
    for set in &graph.distinct_edges {
        for (at, first) in set.iter().enumerate() {
            for second in &set[at + 1..] {
                let (a, b) = (&graph.edges[*first].pattern, &graph.edges[*second].pattern);
                if !a.tables.iter().any(|table| b.tables.contains(table)) {
                    continue;
                }
                if a.undirected || b.undirected {
                    return None;
                }
                found.push(Constraint::Edges(a.variable, b.variable));
            }
        }
    }
    for filter in &graph.filters {
        let (a, b) = different_nodes(filter)?;
        graph.node(a)?;
        graph.node(b)?;
        found.push(Constraint::Nodes(a, b));
    }
    (found.len() <= CONSTRAINTS_MAX).then_some(found)
}

/// `a <> b` or `id(a) <> id(b)` of two node variables.
pub(super) fn different_nodes(filter: &BoundExpression) -> Option<(VariableId, VariableId)> {
    let node = |e: &BoundExpression| match e.kind {
        ExpressionKind::InternalId(variable) | ExpressionKind::Variable(variable) => Some(variable),
        _ => None,
    };
    match &filter.kind {
        ExpressionKind::Call { function, arguments } if function.name == "<>" => match &arguments[..] {
            [a, b] => Some((node(a)?, node(b)?)),
            _ => None,
        },
        ExpressionKind::Not(operand) => match &operand.kind {
            ExpressionKind::Call { function, arguments } if function.name == "=" => match &arguments[..] {
                [a, b] => Some((node(a)?, node(b)?)),
                _ => None,
            },
            _ => None,
        },
        _ => None,
    }
}

/// One message tree per subset of constraints, signed; `None` when one of the merged graphs is not a tree.
fn all_terms(
    graph: &QueryGraph,
    constraints: &[Constraint],
    root: VariableId,
) -> Option<Vec<(i64, MessageNode)>> {
    let mut terms = Vec::new();
    for subset in 0..1u32 << constraints.len() {
        let mut merged = graph.clone();
        merged.filters.clear();
        merged.distinct_edges.clear();
        let mut names = BTreeMap::new();
        for (at, constraint) in constraints.iter().enumerate() {
            if subset >> at & 1 == 1 {
                coincide(&mut merged, constraint, root, &mut names);
            }
        }
        if merged.impossible || merged.edges.iter().any(|edge| edge.pattern.tables.is_empty()) {
            continue;
        }
        let sign = if subset.count_ones() % 2 == 0 { 1 } else { -1 };
        terms.push((sign, tree_of(merged, root)?));
    }
    Some(terms)
}

/// Makes the pair one. `names` remembers what edges were called before they became another one.
fn coincide(
    graph: &mut QueryGraph,
    constraint: &Constraint,
    root: VariableId,
    names: &mut BTreeMap<VariableId, VariableId>,
) {
    // A term is counted; nothing asks for its paths, which name edges by position.
    graph.paths.clear();
    let current = |mut variable: VariableId, names: &BTreeMap<VariableId, VariableId>| {
        while let Some(next) = names.get(&variable) {
            variable = *next;
        }
        variable
    };
    let mut merge = |graph: &mut QueryGraph, a: VariableId, b: VariableId| {
        let (a, b) = (current(a, names), current(b, names));
        if a != b {
            // The root keeps its name.
            let (gone, stays) = if a == root { (b, a) } else { (a, b) };
            graph.merge_nodes(gone, stays);
            names.insert(gone, stays);
        }
    };
    match constraint {
        Constraint::Nodes(a, b) => merge(graph, *a, *b),
        Constraint::Edges(a, b) => {
            let find =
                |graph: &QueryGraph, v: VariableId| graph.edges.iter().position(|e| e.pattern.variable == v);
            let first = current_edge(graph, *a);
            let second = current_edge(graph, *b);
            let (Some(first), Some(second)) = (find(graph, first), find(graph, second)) else { return };
            if first == second {
                return;
            }
            let gone = graph.edges.remove(second);
            let at = if second < first { first - 1 } else { first };
            let stays = &mut graph.edges[at];
            stays.pattern.tables.retain(|table| gone.pattern.tables.contains(table));
            stays.predicates.extend(gone.predicates.into_iter().map(|mut predicate| {
                let (from, into) = (gone.pattern.variable, stays.pattern.variable);
                super::rewrite::rename_expression(&mut predicate, &|v| if v == from { into } else { v });
                predicate
            }));
            stays.merged.push(gone.pattern.variable);
            stays.merged.extend(gone.merged);
            let ends = (stays.pattern.source, stays.pattern.target);
            merge(graph, gone.pattern.source, ends.0);
            merge(graph, gone.pattern.target, ends.1);
        }
    }
}

/// The edge that carries the name now: itself or the one it was merged into.
fn current_edge(graph: &QueryGraph, variable: VariableId) -> VariableId {
    graph
        .edges
        .iter()
        .find(|edge| edge.pattern.variable == variable || edge.merged.contains(&variable))
        .map_or(variable, |edge| edge.pattern.variable)
}

/// The graph as a tree of messages under the root, or `None` if it is cyclic.
fn tree_of(mut graph: QueryGraph, root: VariableId) -> Option<MessageNode> {
    let kept = BTreeSet::from([root]);
    let mut below = BTreeMap::new();
    while let Some((leaf, step)) = removable_leaf(&graph, &kept, Some(root)) {
        take_leaf(&mut graph, leaf, step, &mut below);
    }
    let loops: Vec<usize> = graph.edges_at(root).collect();
    if graph.nodes.len() != 1 || loops.len() != graph.edges.len() {
        return None;
    }
    let node = graph.node(root)?.clone();
    let mut children = below.remove(&root).unwrap_or_default();
    children.extend(loop_edges(&graph, root));
    Some(MessageNode { variable: root, tables: node.tables, predicates: node.predicates, children })
}

/// Edges from a node to itself: a step whose child is the node again.
fn loop_edges(graph: &QueryGraph, variable: VariableId) -> Vec<MessageEdge> {
    let Some(node) = graph.node(variable) else { return Vec::new() };
    graph
        .edges
        .iter()
        .filter(|edge| edge.pattern.source == variable && edge.pattern.target == variable)
        .map(|edge| MessageEdge {
            edges: vec![ExpandEdge {
                variable: edge.pattern.variable,
                from: variable,
                to: variable,
                legs: legs(graph, &edge.pattern, variable)
                    .into_iter()
                    .filter(|leg| leg.direction == super::logical_plan::Direction::Forward)
                    .collect(),
                needs_id: false,
                predicates: edge.predicates.clone(),
            }],
            child: MessageNode {
                variable,
                tables: node.tables.clone(),
                predicates: Vec::new(),
                children: Vec::new(),
            },
            factor: Factor::Each,
        })
        .collect()
}

/// A node that nothing needs and whose edges all lead to one other node.
fn removable_leaf(
    graph: &QueryGraph,
    kept: &BTreeSet<VariableId>,
    root: Option<VariableId>,
) -> Option<(VariableId, VariableId)> {
    graph.nodes.iter().find_map(|node| {
        let leaf = node.variable;
        if kept.contains(&leaf) || root == Some(leaf) {
            return None;
        }
        let mut other = None;
        let mut several = 0;
        for at in graph.edges_at(leaf) {
            let edge = &graph.edges[at];
            let pattern = &edge.pattern;
            if pattern.length.is_some() || kept.contains(&pattern.variable) {
                return None;
            }
            if pattern.source == pattern.target {
                continue;
            }
            let end = if pattern.source == leaf { pattern.target } else { pattern.source };
            if *other.get_or_insert(end) != end {
                return None;
            }
            several += 1;
        }
        // Lists are intersected only where each edge has one plain adjacency index.
        let simple = |at: usize| {
            let edge = &graph.edges[at];
            let loops = edge.pattern.source == edge.pattern.target;
            loops
                || (!edge.pattern.undirected
                    && edge.predicates.is_empty()
                    && other.is_some_and(|other| legs(graph, &edge.pattern, other).len() <= 1))
        };
        let countable = several <= 1 || graph.edges_at(leaf).all(simple);
        other.filter(|_| countable).map(|other| (leaf, other))
    })
}

fn take_leaf(
    graph: &mut QueryGraph,
    leaf: VariableId,
    parent: VariableId,
    below: &mut BTreeMap<VariableId, Vec<MessageEdge>>,
) {
    let mut children = below.remove(&leaf).unwrap_or_default();
    children.extend(loop_edges(graph, leaf));
    let between: Vec<usize> = graph
        .edges_at(leaf)
        .filter(|at| graph.edges[*at].pattern.source != graph.edges[*at].pattern.target)
        .collect();
    let edges = between
        .iter()
        .map(|at| {
            let edge = &graph.edges[*at];
            ExpandEdge {
                variable: edge.pattern.variable,
                from: parent,
                to: leaf,
                legs: legs(graph, &edge.pattern, parent),
                needs_id: false,
                predicates: edge.predicates.clone(),
            }
        })
        .collect();
    let Some(at) = graph.nodes.iter().position(|node| node.variable == leaf) else { return };
    let node = graph.nodes.remove(at);
    let child = MessageNode { variable: leaf, tables: node.tables, predicates: node.predicates, children };
    below.entry(parent).or_default().push(MessageEdge { edges, child, factor: Factor::Each });
    // Positions of the remaining edges change, and with them the sets that name edges by position.
    let mut position = 0;
    let moved: Vec<Option<usize>> = (0..graph.edges.len())
        .map(|old| {
            let pattern = &graph.edges[old].pattern;
            let stays = pattern.source != leaf && pattern.target != leaf;
            stays.then(|| {
                position += 1;
                position - 1
            })
        })
        .collect();
    graph.edges.retain(|edge| edge.pattern.source != leaf && edge.pattern.target != leaf);
    let keep = |list: &mut Vec<usize>| *list = list.iter().filter_map(|old| moved[*old]).collect();
    graph.distinct_edges.iter_mut().for_each(keep);
    graph.distinct_edges.retain(|set| set.len() > 1);
    graph.paths.retain(|path| path.edges.iter().all(|old| moved[*old].is_some()));
    graph.paths.iter_mut().for_each(|path| keep(&mut path.edges));
}

/// Edges a tree visits: a child without restriction is answered by list lengths alone, and where few nodes of a child
/// weigh anything, only their edges are followed, upwards.
pub(super) fn visit_cost(node: &MessageNode, estimator: &Estimator<'_>) -> f64 {
    visit(node, estimator).0
}

/// The cost, and the number of nodes that weigh anything.
fn visit(node: &MessageNode, estimator: &Estimator<'_>) -> (f64, f64) {
    let rows: f64 = node.tables.iter().map(|table| estimator.rows(*table)).sum();
    let admitted = estimator.selectivity_of_all(&node.predicates);
    let mut active = rows * admitted;
    let mut cost = rows * 0.2;
    for step in &node.children {
        let plain = step.child.children.is_empty() && step.child.predicates.is_empty();
        if plain && step.edges.len() == 1 && step.edges[0].predicates.is_empty() {
            continue;
        }
        let edges: f64 = step.edges.iter().map(|edge| estimator.edges(&edge.legs)).sum();
        let (below, few) = if plain { (0.0, f64::MAX) } else { visit(&step.child, estimator) };
        let nodes: f64 = step.child.tables.iter().map(|table| estimator.rows(*table)).sum();
        let pushed = few.max(1.0) * edges / nodes.max(1.0);
        if step.edges.len() == 1 && few * PUSH_SHARE < nodes && pushed * PUSH_SHARE < edges {
            cost += below + pushed;
            active = active.min(pushed);
        } else {
            // Gathering a count costs more than testing a bit.
            let per_edge = if step.child.children.is_empty() { 1.0 } else { 2.0 };
            cost += below + edges * per_edge * admitted;
        }
    }
    (cost, active)
}
