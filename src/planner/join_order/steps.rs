//! The steps of an order as plan nodes: what is scanned, looked up, followed and intersected.

use std::collections::BTreeSet;

use super::super::enumerate::{Found, Planned, PlannedStep};
use super::super::keys::{RowKeys, row_keys};
use super::super::logical_plan::{
    DifferentRels, ExpandEdge, LogicalPlan, OtherRel, RecursiveEdge, TrailExclusion,
};
use super::super::query_graph::legs;
use super::{JoinOrder, Partial};
use crate::binder::bound::{BoundExpression, VariableId};

impl JoinOrder<'_> {
    /// Extends a plan by the steps that were found.
    pub(super) fn built(&self, input: Partial, found: Found) -> Partial {
        let cost = input.cost + found.cost;
        let mut built = self.build(input, &found.steps).with_figures(found.rows, cost);
        if found.steps.iter().any(|step| step.share < 1.0) {
            built.done.ordered_for = self.wanted;
        }
        built
    }

    pub(super) fn build(&self, mut partial: Partial, steps: &[Planned]) -> Partial {
        for Planned { step, rows, share } in steps {
            partial.rows = *rows;
            let next = match step {
                PlannedStep::Scan(variable) => self.scan(partial, *variable),
                PlannedStep::ScanRels(edge) => self.scan_rels(partial, *edge),
                PlannedStep::Lookup(variable) => self.lookup(partial, *variable),
                PlannedStep::Edge { edge, from } => self.follow(partial, *edge, *from, *share),
                PlannedStep::Intersect { to, edges } => self.intersect(partial, *to, edges),
                PlannedStep::Join { other, node } => {
                    // What this side has done needs no doing on the other one.
                    let done = partial.done.without_edges();
                    let other = self.build(Partial { done, ..Partial::unit() }, other);
                    self.join_at(partial, other, *node)
                }
            };
            partial = self.after_binding(next);
            if let PlannedStep::Edge { edge, .. } = step
                && *share < 1.0
            {
                partial = self.compare_newest(partial, *edge);
            }
        }
        partial
    }

    /// A node whose primary key equals something that is known by now, or is in a list that is.
    pub(super) fn lookup(&self, input: Partial, variable: VariableId) -> Partial {
        let Some(node) = self.graph.node(variable) else { return input };
        let [table] = node.tables[..] else { return input };
        let keys = row_keys(self, node, &|v| input.bound.contains(&v));
        let Some((keys, used)) = keys else { return input };
        let own = node.predicates.iter().enumerate();
        let rest: Vec<BoundExpression> =
            own.filter(|(at, _)| !used.contains(at)).map(|(_, predicate)| predicate.clone()).collect();
        let Partial { plan, mut bound, rows, cost, mut done } = input;
        done.filters.extend(used.iter().filter_map(|at| at.checked_sub(node.predicates.len())));
        let input = Box::new(plan);
        let mut plan = match keys {
            RowKeys::Equal(key) => LogicalPlan::LookupNode { input, variable, table, key },
            RowKeys::Among(list, length) => {
                LogicalPlan::LookupElements { input, variable, table, list, length }
            }
        };
        if !rest.is_empty() {
            plan = LogicalPlan::Filter { input: Box::new(plan), predicates: rest };
        }
        bound.insert(variable);
        Partial { plan, bound, rows, cost, done }
    }

    pub(super) fn scan(&self, input: Partial, variable: VariableId) -> Partial {
        let Some(node) = self.graph.node(variable) else { return input };
        let plan = LogicalPlan::ScanNodes {
            variable,
            tables: node.tables.clone(),
            predicates: node.predicates.clone(),
        };
        let rows = self.estimator.nodes(node);
        Partial { plan, bound: BTreeSet::from([variable]), rows, cost: 0.0, done: input.done.after_unit() }
    }

    /// All relationships of an edge with both ends.
    pub(super) fn scan_rels(&self, input: Partial, at: usize) -> Partial {
        let edge = &self.graph.edges[at];
        let expand = self.expand_edge(at, edge.pattern.source);
        let rows = self.estimator.edges(&expand.legs) * self.estimator.selectivity_of_all(&edge.predicates);
        let bound = BTreeSet::from([edge.pattern.source, edge.pattern.target, edge.pattern.variable]);
        let plan = LogicalPlan::ScanRels { predicates: edge.predicates.clone(), edge: expand };
        Partial { plan, bound, rows, cost: 0.0, done: input.done.after_unit() }
    }

    pub(super) fn expand_edge(&self, at: usize, from: VariableId) -> ExpandEdge {
        let edge = &self.graph.edges[at];
        let pattern = &edge.pattern;
        let to = if pattern.source == from { pattern.target } else { pattern.source };
        ExpandEdge {
            variable: pattern.variable,
            from,
            to,
            legs: legs(self.graph, pattern, from),
            needs_id: self.needed.contains(&pattern.variable),
            predicates: edge.predicates.clone(),
        }
    }

    pub(super) fn follow(&self, partial: Partial, at: usize, from: VariableId, share: f64) -> Partial {
        let edge = self.expand_edge(at, from);
        let into = partial.bound.contains(&edge.to);
        let to = edge.to;
        let mut bound = partial.bound;
        bound.extend([edge.variable, to]);
        let input = Box::new(partial.plan);
        let plan = match &self.graph.edges[at].pattern.length {
            Some(length) => {
                let pattern = &self.graph.edges[at].pattern;
                let recursive = RecursiveEdge::new(pattern, length, edge, self.duplicates_irrelevant);
                LogicalPlan::ExpandRecursive { input, edge: recursive, into }
            }
            None if into => LogicalPlan::ExpandInto { input, edge },
            None => {
                let target = self.worth_bits(partial.rows * share, &edge);
                if !target.is_empty() {
                    let plan = LogicalPlan::Expand { input, edge, target };
                    return Partial { plan, bound, ..Partial::of(partial.rows, partial.cost, partial.done) };
                }
                LogicalPlan::Expand { input, edge, target }
            }
        };
        let reached = Partial { plan, bound, ..Partial::of(partial.rows, partial.cost, partial.done) };
        if into { reached } else { self.filter_bound_node(reached, to) }
    }

    /// Neighbours per node.
    pub(super) fn fanout(&self, edge: &ExpandEdge) -> f64 {
        let tables = self.graph.node(edge.from).map_or(&[][..], |node| &node.tables);
        self.estimator.fanout(&edge.legs, tables)
    }

    /// The far node's predicates, if so many neighbours are met that one look at every node of the table is cheaper
    /// than one at every neighbour.
    pub(super) fn worth_bits(&self, rows: f64, edge: &ExpandEdge) -> Vec<BoundExpression> {
        let Some(node) = self.graph.node(edge.to) else { return Vec::new() };
        let nodes: f64 = node.tables.iter().map(|table| self.estimator.rows(*table)).sum();
        if rows * self.fanout(edge) < nodes { Vec::new() } else { node.predicates.clone() }
    }

    pub(super) fn intersect(&self, partial: Partial, to: VariableId, edges: &[usize]) -> Partial {
        let (exclusions, checked) = self.exclusions(&partial.bound, edges);
        let mut bound = partial.bound;
        bound.insert(to);
        let expands: Vec<ExpandEdge> = edges
            .iter()
            .map(|at| {
                let pattern = &self.graph.edges[*at].pattern;
                self.expand_edge(*at, if pattern.source == to { pattern.target } else { pattern.source })
            })
            .collect();
        bound.extend(expands.iter().map(|edge| edge.variable));
        let rows = partial.rows;
        let mut done = partial.done;
        let mut input = partial.plan;
        done.intersected.extend(edges);
        for set in checked {
            // The other members among themselves, if all are there; with the intersected ones the intersection deals.
            let earlier: Vec<VariableId> = self.compared(&self.graph.distinct_edges[set], &done);
            let ready = earlier.iter().all(|variable| bound.contains(variable));
            if ready && done.trails.insert(set) && earlier.len() > 1 {
                let sets = vec![DifferentRels::all(earlier)];
                input = LogicalPlan::DistinctRels { input: Box::new(input), sets };
            }
        }
        let plan = LogicalPlan::Intersect { input: Box::new(input), edges: expands, exclusions };
        let partial = Partial { plan, bound, rows, cost: partial.cost, done };
        self.filter_bound_node(partial, to)
    }

    /// What the intersected edges must differ from, and the trail sets that are then dealt with.
    pub(super) fn exclusions(
        &self,
        bound: &BTreeSet<VariableId>,
        edges: &[usize],
    ) -> (Vec<TrailExclusion>, Vec<usize>) {
        let mut exclusions = Vec::new();
        let mut checked = Vec::new();
        for (number, set) in self.graph.distinct_edges.iter().enumerate() {
            if !set.iter().any(|at| edges.contains(at)) {
                continue;
            }
            checked.push(number);
            for (edge, at) in edges.iter().enumerate().filter(|(_, at)| set.contains(at)) {
                let tables = &self.graph.edges[*at].pattern.tables;
                let same_tables = |other: &usize| {
                    self.graph.edges[*other].pattern.tables.iter().any(|t| tables.contains(t))
                };
                for other in set.iter().filter(|other| *other != at && same_tables(other)) {
                    let pattern = &self.graph.edges[*other].pattern;
                    match edges.iter().position(|known| known == other) {
                        Some(place) if place > edge => {
                            exclusions.push(TrailExclusion { edge, other: OtherRel::Edge(place) });
                        }
                        Some(_) => {}
                        None if bound.contains(&pattern.variable) => {
                            let (rel, from, to) = (pattern.variable, pattern.source, pattern.target);
                            let directed = !pattern.undirected;
                            let other = OtherRel::Bound { rel, from, to, directed };
                            exclusions.push(TrailExclusion { edge, other });
                        }
                        None => {}
                    }
                }
            }
        }
        (exclusions, checked)
    }
}
