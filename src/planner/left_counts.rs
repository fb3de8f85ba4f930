//! Optional matches under a projection that only counts rows: a left join multiplies a row by what it finds, or by one,
//! so it becomes one more factor of message passing and no row is written out for it.

use std::collections::{BTreeMap, BTreeSet};

use super::build::{Builder, extend_by_paths};
use super::factorize::{strip, whole_graph};
use super::join_order::Partial;
use super::logical_plan::{LogicalPlan, MessageEdge, MessageNode, WeightTerms};
use super::projection::{Shape, plan_projection};
use super::query_graph::QueryGraph;
use super::unroll::unroll;
use crate::binder::bound::{BoundMatch, BoundProjection, VariableId};

/// What is found below a node of the graph, or one.
struct LeftFactor {
    node: VariableId,
    step: MessageEdge,
}

impl Builder<'_> {
    /// Whether an optional match hangs at one node of the graph that is not planned yet.
    pub(super) fn hangs(&self, matched: &BoundMatch, graph: Option<&QueryGraph>, current: &Partial) -> bool {
        let Some(graph) = graph else { return false };
        let of_graph = |node: &&VariableId| graph.node(**node).is_some();
        let pattern = &matched.pattern;
        matches!(current.plan, LogicalPlan::Unit)
            && current.bound.is_empty()
            && pattern.nodes.iter().filter(of_graph).count() == 1
            && !pattern.edges.is_empty()
            && pattern.paths.is_empty()
    }

    /// Plans the graph and then the optional matches in their order.
    pub(super) fn apply_waiting(
        &mut self,
        current: Partial,
        graph: Option<QueryGraph>,
        waiting: Vec<BoundMatch>,
        needed: BTreeSet<VariableId>,
    ) -> Partial {
        let mut current = self.flush(current, graph, needed.clone(), false);
        for matched in waiting {
            current = self.optional(current, matched, needed.clone());
        }
        current
    }

    /// The whole projection, if it counts rows and asks for nothing of the optional matches.
    pub(super) fn count_optionals(
        &mut self,
        current: &Partial,
        graph: Option<&QueryGraph>,
        waiting: &[BoundMatch],
        projection: &BoundProjection,
    ) -> Option<Partial> {
        let mut graph = graph?.clone();
        let mut factors = Vec::with_capacity(waiting.len());
        let mut own = BTreeSet::new();
        for matched in waiting {
            factors.push(self.left_factor(matched, &graph)?);
            own.extend(matched.pattern.nodes.iter().filter(|node| graph.node(**node).is_none()));
            own.extend(matched.pattern.edges.iter().map(|edge| edge.variable));
        }
        self.nullable.extend(&own);
        self.note_nullable(projection);
        let estimator = self.estimator;
        let shape = Shape::of(projection.clone(), &estimator, self);
        let mut needed = shape.needed();
        if !shape.counts_rows() || !needed.is_disjoint(&own) {
            return None;
        }
        {
            let wanted = &needed;
            unroll(&mut graph, &mut self.variables, &|v| wanted.contains(&v));
        }
        extend_by_paths(&graph, &mut needed);
        let stripped = self.stripped(current, graph.clone(), &factors, &needed, &shape);
        let Some(mut weighted) = whole_graph(&graph, &needed, &estimator) else {
            return Some(plan_projection(stripped, shape, &self.estimator, &self.variables));
        };
        let attached = weighted
            .weights
            .terms
            .iter_mut()
            .all(|(_, tree)| factors.iter().all(|factor| attach(tree, factor.node, &factor.step)));
        if !attached || self.is_cheaper(&graph, &stripped, weighted.cost) {
            return Some(plan_projection(stripped, shape, &self.estimator, &self.variables));
        }
        let rows = graph.node(weighted.root).map_or(0.0, |node| estimator.nodes(node));
        let plan = LogicalPlan::ScanWeighted { variable: weighted.root, weights: weighted.weights };
        let bound = BTreeSet::from([weighted.root]);
        let partial = Partial { plan, bound, rows, cost: weighted.cost, done: Default::default() };
        Some(plan_projection(partial, shape, &self.estimator, &self.variables))
    }

    /// An optional match that is one step from a node and a tree below it.
    fn left_factor(&mut self, matched: &BoundMatch, graph: &QueryGraph) -> Option<LeftFactor> {
        let node = *matched.pattern.nodes.iter().find(|node| graph.node(**node).is_some())?;
        let mut below = QueryGraph::default();
        below.add_match(matched, &self.variables);
        unroll(&mut below, &mut self.variables, &|_| false);
        let weighted = whole_graph(&below, &BTreeSet::from([node]), &self.estimator)?;
        let [(1, root)] = &mut weighted.weights.terms.into_iter().collect::<Vec<_>>()[..] else {
            return None;
        };
        if !root.predicates.is_empty() || root.children.len() != 1 {
            return None;
        }
        let step = root.children.pop()?;
        Some(LeftFactor { node, step: MessageEdge { optional: true, ..step } })
    }

    /// The graph without what hangs at it: that and the optional matches become weights of the nodes that stay.
    fn stripped(
        &mut self,
        current: &Partial,
        mut graph: QueryGraph,
        factors: &[LeftFactor],
        needed: &BTreeSet<VariableId>,
        shape: &Shape,
    ) -> Partial {
        let mut kept = needed.clone();
        kept.extend(factors.iter().map(|factor| factor.node));
        let mut weights: BTreeMap<VariableId, WeightTerms> = strip(&mut graph, &kept);
        for LeftFactor { node, step } in factors {
            let tables = graph.node(*node).map_or_else(Vec::new, |node| node.tables.clone());
            let (variable, predicates, children) = (*node, Vec::new(), Vec::new());
            let alone = MessageNode { variable, tables, predicates, children };
            let terms = weights.entry(*node).or_insert_with(|| WeightTerms { terms: vec![(1, alone)] });
            terms.terms.iter_mut().for_each(|(_, root)| root.children.push(step.clone()));
        }
        self.order(current.clone(), graph, weights, needed.clone(), shape.duplicates_irrelevant())
    }
}

/// Hangs a step at a node of a tree, if the node is there.
fn attach(tree: &mut MessageNode, node: VariableId, step: &MessageEdge) -> bool {
    if tree.variable == node {
        tree.children.push(step.clone());
        return true;
    }
    tree.children.iter_mut().any(|below| attach(&mut below.child, node, step))
}
