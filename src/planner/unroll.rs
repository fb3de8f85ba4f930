//! A variable-length edge whose bounds and tables admit just one chain of tables becomes that chain of plain edges,
//! which then takes part in join ordering and factorization like any other: `(c:City)-[*1..2]->(k:Country)` where
//! cities lead to states and states to countries.

use super::query_graph::{GraphEdge, GraphNode, QueryGraph};
use super::rewrite::variables_of;
use crate::binder::bound::{PathMode, PatternEdge, RelTable, Variable, VariableId, VariableKind};
use crate::types::TableId;

/// Longer edges stay recursive.
const HOPS_MAX: u32 = 4;

/// Unrolls what can be; `needed` says which variables something asks for.
pub fn unroll(graph: &mut QueryGraph, variables: &mut Vec<Variable>, needed: &dyn Fn(VariableId) -> bool) {
    let mut at = 0;
    while at < graph.edges.len() {
        let edge = &graph.edges[at];
        let filtered = |v: VariableId| graph.filters.iter().any(|filter| variables_of(filter).contains(&v));
        let asked = |v: VariableId| needed(v) || filtered(v);
        let chain = match edge.predicates.is_empty() {
            true => chain_of(graph, &edge.pattern, &asked),
            false => None,
        };
        match chain {
            Some(chain) => replace(graph, variables, at, &chain),
            None => at += 1,
        }
    }
}

/// The only sequence of tables that leads from the source's tables to the target's within the bounds.
fn chain_of(
    graph: &QueryGraph,
    edge: &PatternEdge,
    needed: &dyn Fn(VariableId) -> bool,
) -> Option<Vec<RelTable>> {
    let length = edge.length.as_ref()?;
    let max = length.max.filter(|max| *max <= HOPS_MAX)?;
    let plain = matches!(length.mode, PathMode::Trail | PathMode::Walk)
        && length.min >= 1
        && length.edge_predicates.is_empty()
        && length.inner_predicates.is_empty()
        && !edge.undirected
        && !needed(edge.variable);
    if !plain {
        return None;
    }
    let source = &graph.node(edge.source)?.tables;
    let target = &graph.node(edge.target)?.tables;
    let mut found = Vec::new();
    let mut open: Vec<Vec<RelTable>> =
        edge.tables.iter().filter(|rel| source.contains(&rel.source)).map(|rel| vec![*rel]).collect();
    while let Some(chain) = open.pop() {
        let end = chain.last().map(|rel| rel.target)?;
        let hops = chain.len() as u32;
        if hops >= length.min && target.contains(&end) {
            found.push(chain.clone());
            if found.len() > 1 {
                return None;
            }
        }
        if hops < max {
            open.extend(edge.tables.iter().filter(|rel| rel.source == end).map(|rel| {
                let mut longer = chain.clone();
                longer.push(*rel);
                longer
            }));
        }
        if open.len() > 64 {
            return None;
        }
    }
    let chain = found.pop()?;
    // A table that occurs twice could repeat a relationship; those stay with the trail check of the recursion.
    let repeats = chain.iter().enumerate().any(|(at, rel)| chain[at + 1..].contains(rel));
    (!repeats).then_some(chain)
}

fn replace(graph: &mut QueryGraph, variables: &mut Vec<Variable>, at: usize, chain: &[RelTable]) {
    let pattern = graph.edges[at].pattern.clone();
    let mut fresh = |kind: VariableKind| {
        variables.push(Variable { name: format!(" hop{}", variables.len()), kind });
        VariableId(variables.len() as u32 - 1)
    };
    let mut from = pattern.source;
    for (hop, rel) in chain.iter().enumerate() {
        let last = hop + 1 == chain.len();
        let to = if last {
            pattern.target
        } else {
            let tables: Vec<TableId> = vec![rel.target];
            let variable = fresh(VariableKind::Node { tables: tables.clone() });
            graph.nodes.push(GraphNode { variable, tables, predicates: Vec::new() });
            variable
        };
        // The edge's own variable is a list.
        let variable = fresh(VariableKind::Rel { tables: vec![*rel] });
        let edge = PatternEdge {
            variable,
            source: from,
            target: to,
            tables: vec![*rel],
            length: None,
            referenced: false,
            undirected: false,
        };
        let edge = GraphEdge { pattern: edge, predicates: Vec::new(), merged: Vec::new() };
        if hop == 0 {
            graph.edges[at] = edge;
        } else {
            // Every trail set that held the long edge holds all of its hops.
            let position = graph.edges.len();
            graph.edges.push(edge);
            graph
                .distinct_edges
                .iter_mut()
                .filter(|set| set.contains(&at))
                .for_each(|set| set.push(position));
        }
        from = to;
    }
}
