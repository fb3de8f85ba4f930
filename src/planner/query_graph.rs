//! The matches of one query part as one graph of variables: nodes, edges, and the conjuncts sorted to where they
//! belong. Join ordering and factorization both start from it.

use std::collections::BTreeSet;

use super::logical_plan::{Direction, Leg};
use super::rewrite::{rename_expression, variables_of};
use crate::binder::bound::{
    BoundExpression, BoundMatch, BoundPattern, ExpressionKind, PatternEdge, PatternPath, Variable,
    VariableId, VariableKind,
};
use crate::types::TableId;

/// A node of the graph.
#[derive(Debug, Clone)]
pub struct GraphNode {
    pub variable: VariableId,
    pub tables: Vec<TableId>,
    /// Conjuncts over this variable alone.
    pub predicates: Vec<BoundExpression>,
}

/// An edge of the graph.
#[derive(Debug, Clone)]
pub struct GraphEdge {
    pub pattern: PatternEdge,
    /// Conjuncts over the relationship alone (fixed length only).
    pub predicates: Vec<BoundExpression>,
    /// Edges that were found to be this one (inclusion–exclusion).
    pub merged: Vec<VariableId>,
}

/// All matches between two projections.
#[derive(Debug, Clone, Default)]
pub struct QueryGraph {
    pub nodes: Vec<GraphNode>,
    pub edges: Vec<GraphEdge>,
    /// Conjuncts over several variables, or over none of the graph's.
    pub filters: Vec<BoundExpression>,
    /// Indexes of edges that must not hold the same relationship.
    pub distinct_edges: Vec<Vec<usize>>,
    pub paths: Vec<PatternPath>,
    /// `true` when some variable can lie in no table: no rows.
    pub impossible: bool,
}

impl QueryGraph {
    /// Adds the pattern and the conjuncts of one MATCH.
    pub fn add_match(&mut self, matched: &BoundMatch, variables: &[Variable]) {
        let BoundPattern { nodes, edges, paths, distinct_edges } = &matched.pattern;
        for &variable in nodes {
            if self.node(variable).is_none() {
                let tables = match variables.get(variable.0 as usize).map(|v| &v.kind) {
                    Some(VariableKind::Node { tables }) => tables.clone(),
                    _ => Vec::new(),
                };
                self.impossible |= tables.is_empty();
                self.nodes.push(GraphNode { variable, tables, predicates: Vec::new() });
            }
        }
        let first = self.edges.len();
        for edge in edges {
            let hops_needed = edge.length.as_ref().is_none_or(|length| length.min > 0);
            self.impossible |= edge.tables.is_empty() && hops_needed;
            self.edges.push(GraphEdge { pattern: edge.clone(), predicates: Vec::new(), merged: Vec::new() });
        }
        self.distinct_edges
            .extend(distinct_edges.iter().map(|set| set.iter().map(|at| at + first).collect::<Vec<_>>()));
        self.paths.extend(paths.iter().map(|path| PatternPath {
            edges: path.edges.iter().map(|at| at + first).collect(),
            ..path.clone()
        }));
        for predicate in &matched.predicates {
            self.add_predicate(predicate.clone());
        }
    }

    /// Sorts a conjunct to the one variable it speaks of, or to the filters.
    pub fn add_predicate(&mut self, predicate: BoundExpression) {
        if let ExpressionKind::And(all) = predicate.kind {
            all.into_iter().for_each(|one| self.add_predicate(one));
            return;
        }
        // What a query says is asked about rows, once all that it takes from them is there.
        let used = if predicate.has_subquery() { BTreeSet::new() } else { variables_of(&predicate) };
        if let [only] = used.iter().copied().collect::<Vec<_>>()[..] {
            if let Some(node) = self.nodes.iter_mut().find(|node| node.variable == only) {
                node.predicates.push(predicate);
                return;
            }
            let fixed =
                |edge: &&mut GraphEdge| edge.pattern.variable == only && edge.pattern.length.is_none();
            if let Some(edge) = self.edges.iter_mut().find(fixed) {
                edge.predicates.push(predicate);
                return;
            }
        }
        self.filters.push(predicate);
    }

    /// All that its matches bind.
    pub fn variables(&self) -> impl Iterator<Item = VariableId> + '_ {
        let edges = self.edges.iter().map(|edge| edge.pattern.variable);
        let paths = self.paths.iter().map(|path| path.variable);
        self.nodes.iter().map(|node| node.variable).chain(edges).chain(paths)
    }

    /// The node of a variable.
    pub fn node(&self, variable: VariableId) -> Option<&GraphNode> {
        self.nodes.iter().find(|node| node.variable == variable)
    }

    /// Indexes of the edges at a node.
    pub fn edges_at(&self, variable: VariableId) -> impl Iterator<Item = usize> + '_ {
        self.edges
            .iter()
            .enumerate()
            .filter(move |(_, edge)| edge.pattern.source == variable || edge.pattern.target == variable)
            .map(|(at, _)| at)
    }

    /// The sets of nodes that are connected, each in order of first mention.
    pub fn components(&self) -> Vec<BTreeSet<VariableId>> {
        let mut components: Vec<BTreeSet<VariableId>> = Vec::new();
        for node in &self.nodes {
            if components.iter().any(|component| component.contains(&node.variable)) {
                continue;
            }
            let mut component = BTreeSet::from([node.variable]);
            let mut open = vec![node.variable];
            while let Some(variable) = open.pop() {
                for edge in self.edges_at(variable) {
                    for end in [self.edges[edge].pattern.source, self.edges[edge].pattern.target] {
                        if component.insert(end) {
                            open.push(end);
                        }
                    }
                }
            }
            components.push(component);
        }
        components
    }

    /// Gives a node another name.
    pub fn rename_node(&mut self, from: VariableId, to: VariableId) {
        let name = |v: VariableId| if v == from { to } else { v };
        for node in &mut self.nodes {
            node.variable = name(node.variable);
            node.predicates.iter_mut().for_each(|predicate| rename_expression(predicate, &name));
        }
        for edge in &mut self.edges {
            edge.pattern.source = name(edge.pattern.source);
            edge.pattern.target = name(edge.pattern.target);
        }
        self.filters.iter_mut().for_each(|filter| rename_expression(filter, &name));
        self.paths.iter_mut().flat_map(|path| &mut path.nodes).for_each(|node| *node = name(*node));
    }

    /// Makes node `from` the same node as `into`: tables intersect, predicates add up, edges move.
    pub fn merge_nodes(&mut self, from: VariableId, into: VariableId) {
        if from == into {
            return;
        }
        let Some(at) = self.nodes.iter().position(|node| node.variable == from) else { return };
        let gone = self.nodes.remove(at);
        for edge in &mut self.edges {
            for end in [&mut edge.pattern.source, &mut edge.pattern.target] {
                if *end == from {
                    *end = into;
                }
            }
        }
        if let Some(node) = self.nodes.iter_mut().find(|node| node.variable == into) {
            node.tables.retain(|table| gone.tables.contains(table));
            self.impossible |= node.tables.is_empty();
            node.predicates.extend(gone.predicates.into_iter().map(|mut predicate| {
                rename_expression(&mut predicate, &|v| if v == from { into } else { v });
                predicate
            }));
        }
        for filter in &mut self.filters {
            rename_expression(filter, &|v| if v == from { into } else { v });
        }
    }
}

/// The adjacency indexes that lead from `from` across the edge to the other end, given the tables of both ends.
pub fn legs(graph: &QueryGraph, edge: &PatternEdge, from: VariableId) -> Vec<Leg> {
    let to = if edge.source == from { edge.target } else { edge.source };
    let tables_of = |variable| graph.node(variable).map(|node| node.tables.as_slice());
    // Between the ends of a variable-length edge any table may lie.
    let fits = |variable: VariableId, table: TableId| {
        edge.length.is_some() || tables_of(variable).is_none_or(|all| all.contains(&table))
    };
    let mut found = Vec::new();
    for &rel in &edge.tables {
        let forward = Leg { rel, direction: Direction::Forward, skip_loops: false };
        let backward = Leg { rel, direction: Direction::Backward, skip_loops: false };
        let (first, second) = if edge.source == from { (forward, backward) } else { (backward, forward) };
        if fits(from, first.from_table()) && fits(to, first.to_table()) {
            found.push(first);
        }
        if edge.undirected && fits(from, second.from_table()) && fits(to, second.to_table()) {
            let skip_loops = rel.source == rel.target && found.last() == Some(&first);
            found.push(Leg { skip_loops, ..second });
        }
    }
    found
}
