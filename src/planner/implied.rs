//! Conditions that follow from others need not be checked, and what only they ask for need not be written out. Where
//! no edge leads from `c` to `x` and one leads from `c` to `y`, the nodes `x` and `y` differ.

use super::factorize::different_nodes;
use super::query_graph::QueryGraph;
use crate::binder::bound::{
    BoundClause, BoundExpression, ExpressionKind, PatternEdge, SubqueryKind, VariableId,
};

/// Drops inequalities between nodes that follow from an edge and the absence of another, and trail conditions on two
/// relationships that cannot be the same one because nodes differ that then would not.
pub fn drop_implied(graph: &mut QueryGraph) {
    let absent: Vec<PatternEdge> = graph.filters.iter().filter_map(absent_edge).collect();
    let edges: Vec<PatternEdge> = graph.edges.iter().map(|edge| edge.pattern.clone()).collect();
    let matched: Vec<VariableId> = graph.nodes.iter().map(|node| node.variable).collect();
    let mut different: Vec<(VariableId, VariableId)> = Vec::new();
    for edge in &edges {
        for absent in &absent {
            for end in [absent.source, absent.target].into_iter().filter(|end| matched.contains(end)) {
                for other in [edge.source, edge.target] {
                    if implies(absent, edge, end, other) {
                        different.push((end, other));
                    }
                }
            }
        }
    }
    let known = different.len();
    let mut asked = Vec::new();
    graph.filters.retain(|filter| {
        let Some((a, b)) = different_nodes(filter) else { return true };
        let same = |(x, y): &(VariableId, VariableId)| (*x, *y) == (a, b) || (*x, *y) == (b, a);
        asked.push((a, b));
        !different[..known].iter().any(same)
    });
    different.extend(asked);
    graph.distinct_edges.retain(|set| match set[..] {
        [first, second] => !cannot_coincide(&edges[first], &edges[second], &different),
        _ => true,
    });
}

/// Whether nodes that differ would be one if both edges were the same relationship.
fn cannot_coincide(
    first: &PatternEdge,
    second: &PatternEdge,
    different: &[(VariableId, VariableId)],
) -> bool {
    let directed = |edge: &PatternEdge| edge.length.is_none() && !edge.undirected;
    if !directed(first) || !directed(second) {
        return false;
    }
    // The two sources become one node, and so do the two targets; these are one as well if they share a variable.
    let sources = [first.source, second.source];
    let targets = [first.target, second.target];
    let joined = sources.iter().any(|source| targets.contains(source));
    let one = |node: VariableId, other: VariableId| {
        let within = |set: &[VariableId]| set.contains(&node) && set.contains(&other);
        within(&sources) || within(&targets) || joined && within(&[sources, targets].concat())
    };
    different.iter().any(|(a, b)| one(*a, *b))
}

/// Whether the edge to `y` and the absence of one to `x` from the same node tell these apart.
fn implies(absent: &PatternEdge, edge: &PatternEdge, x: VariableId, y: VariableId) -> bool {
    let forward = absent.target == x && edge.target == y && absent.source == edge.source;
    let backward = absent.source == x && edge.source == y && absent.target == edge.target;
    let covered = edge.tables.iter().all(|table| absent.tables.contains(table));
    edge.length.is_none() && !edge.undirected && covered && (forward || backward)
}

/// The edge that a conjunct denies, in the names of the row around.
fn absent_edge(filter: &BoundExpression) -> Option<PatternEdge> {
    let ExpressionKind::Not(operand) = &filter.kind else { return None };
    let ExpressionKind::Subquery(query) = &operand.kind else { return None };
    let [branch] = &query.branches[..] else { return None };
    let [BoundClause::Match(found)] = &branch.clauses[..] else { return None };
    let [edge] = &found.pattern.edges[..] else { return None };
    let plain = query.kind == SubqueryKind::Exists
        && found.predicates.is_empty()
        && found.pattern.nodes.len() == 2
        && edge.length.is_none();
    let outside = |own: VariableId| {
        let (_, value) = query.imports.iter().find(|(import, _)| *import == own)?;
        match value.kind {
            ExpressionKind::Variable(variable) => Some(variable),
            _ => None,
        }
    };
    let (source, target) = (outside(edge.source)?, outside(edge.target)?);
    let rel_is_new = outside(edge.variable).is_none();
    (plain && rel_is_new).then(|| PatternEdge { source, target, ..edge.clone() })
}
