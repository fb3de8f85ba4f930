//! Conditions that follow from others. Where no edge leads from `c` to `x` and one leads from `c` to `y`, the nodes `x`
//! and `y` differ: `x <> y` beside it need not be checked, and `y` may be counted without being written out.

use super::factorize::different_nodes;
use super::query_graph::QueryGraph;
use crate::binder::bound::{
    BoundClause, BoundExpression, ExpressionKind, PatternEdge, SubqueryKind, VariableId,
};

/// Drops inequalities between nodes that follow from an edge and the absence of another.
pub fn drop_implied(graph: &mut QueryGraph) {
    let absent: Vec<PatternEdge> = graph.filters.iter().filter_map(absent_edge).collect();
    if absent.is_empty() {
        return;
    }
    let edges: Vec<PatternEdge> = graph.edges.iter().map(|edge| edge.pattern.clone()).collect();
    let matched: Vec<VariableId> = graph.nodes.iter().map(|node| node.variable).collect();
    graph.filters.retain(|filter| match different_nodes(filter) {
        Some((a, b)) if matched.contains(&a) && matched.contains(&b) => !absent.iter().any(|absent| {
            edges.iter().any(|edge| implies(absent, edge, a, b) || implies(absent, edge, b, a))
        }),
        _ => true,
    });
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
