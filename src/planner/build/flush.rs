//! A query graph becomes a plan: counted as a whole or in part where only its number of rows matters, else ordered.

use std::collections::{BTreeMap, BTreeSet};

use super::Builder;
use crate::binder::bound::VariableId;
use crate::planner::canonical;
use crate::planner::error::PlanError;
use crate::planner::factorize::{strip, visit_cost, whole_graph};
use crate::planner::implied::drop_implied;
use crate::planner::join_order::{JoinOrder, Partial};
use crate::planner::logical_plan::{LogicalPlan, WeightTerms};
use crate::planner::projection::Shape;
use crate::planner::query_graph::QueryGraph;
use crate::planner::rewrite::variables_of;
use crate::planner::unroll::unroll;

/// Starts of at most so many nodes make expanding worth a thought where counting would do.
const FEW_NODES: f64 = 32.0;
/// What a row that is written out costs, in edges that are only visited.
pub(in crate::planner) const ROW_COST: f64 = 4.0;
/// How much more than pairs of rows, of which there may be many more than expected, counting them may cost that looks at
/// every row of two sides once.
const LINEAR_PREFERENCE: f64 = 4.0;

impl Builder<'_> {
    /// Plans the graph when only the number of its rows matters.
    pub(super) fn flush_counted(
        &mut self,
        current: Partial,
        graph: Option<QueryGraph>,
        needed: BTreeSet<VariableId>,
        shape: &Shape,
    ) -> Partial {
        let Some(mut graph) = graph else { return current };
        drop_implied(&mut graph);
        let mut with_paths = needed;
        extend_by_paths(&graph, &mut with_paths);
        unroll(&mut graph, &mut self.variables, &|v| with_paths.contains(&v));
        canonical::sort(&mut graph, &with_paths, &current.bound);
        let few = self.few_nodes(&graph);
        if few.is_empty()
            && let Some(counted) = self.with_conditions(&graph, &with_paths)
        {
            return Partial { cost: current.cost + counted.cost, ..counted };
        }
        if let Some(weighted) = whole_graph(&graph, &with_paths, &self.estimator) {
            let expanded = self.expanded(&current, &graph, &with_paths, &few, (shape, None));
            if let Some(expanded) = expanded.filter(|expanded| expanded.cost * ROW_COST < weighted.cost) {
                return expanded;
            }
            let node = graph.node(weighted.root).cloned();
            let rows = node.map_or(0.0, |node| self.estimator.nodes(&node));
            let mut partial = current;
            partial.bound.insert(weighted.root);
            partial.rows = rows;
            partial.plan = LogicalPlan::ScanWeighted { variable: weighted.root, weights: weighted.weights };
            return partial;
        }
        let counted = self.count_joined(&graph, &with_paths);
        let mut stripped = graph.clone();
        let weights = strip(&mut stripped, &with_paths, &self.estimator);
        let expanded = self.expanded(&current, &graph, &with_paths, &few, (shape, Some(&stripped)));
        let visited = self.cost_of(&weights);
        let mut general = self.order(current, stripped, weights, with_paths, shape.duplicates_irrelevant());
        general.cost += visited;
        if let Some(expanded) = expanded.filter(|expanded| expanded.cost < general.cost) {
            general = expanded;
        }
        match counted {
            Some(counted) if counted.cost < general.cost * LINEAR_PREFERENCE => counted,
            _ => general,
        }
    }

    /// The nodes of a graph that are expected to be few.
    fn few_nodes(&self, graph: &QueryGraph) -> BTreeSet<VariableId> {
        let few = graph.nodes.iter().filter(|node| self.estimator.nodes(node) <= FEW_NODES);
        few.map(|node| node.variable).collect()
    }

    /// From few nodes it can be cheaper to write the matches out than to look at every node of a table once: the graph
    /// with such nodes in it, where it has any, and with counts of what hangs below others or without. `ordered` is
    /// ordered by the caller: what comes to the same is left out.
    fn expanded(
        &self,
        current: &Partial,
        graph: &QueryGraph,
        needed: &BTreeSet<VariableId>,
        few: &BTreeSet<VariableId>,
        (shape, ordered): (&Shape, Option<&QueryGraph>),
    ) -> Option<Partial> {
        // Whatever is kept, what is taken out goes leaf by leaf: with as many edges left it is the same graph.
        let is_ordered = |graph: &QueryGraph| ordered.is_some_and(|it| it.edges.len() == graph.edges.len());
        if few.is_empty() || is_ordered(graph) {
            return None;
        }
        let in_order = |graph: QueryGraph, weights: BTreeMap<VariableId, WeightTerms>| {
            let visited = self.cost_of(&weights);
            let partial =
                self.order(current.clone(), graph, weights, needed.clone(), shape.duplicates_irrelevant());
            Partial { cost: partial.cost + visited, ..partial }
        };
        let mut counted = graph.clone();
        let weights = strip(&mut counted, &(needed | few), &self.estimator);
        let has_weights = !weights.is_empty();
        let counted = (!is_ordered(&counted)).then(|| in_order(counted, weights));
        // Without weights nothing was taken out.
        let written = has_weights.then(|| in_order(graph.clone(), BTreeMap::new()));
        match (counted, written) {
            (Some(counted), Some(written)) if written.cost < counted.cost => Some(written),
            (counted, written) => counted.or(written),
        }
    }

    /// What it costs to count what hangs below some nodes, in rows.
    fn cost_of(&self, weights: &BTreeMap<VariableId, WeightTerms>) -> f64 {
        let trees = weights.values().flat_map(|weights| &weights.terms);
        trees.map(|(_, tree)| visit_cost(tree, &self.estimator)).sum::<f64>() / ROW_COST
    }

    pub(in crate::planner) fn flush(
        &mut self,
        current: Partial,
        graph: Option<QueryGraph>,
        needed: BTreeSet<VariableId>,
        duplicates_irrelevant: bool,
    ) -> Partial {
        let Some(mut graph) = graph else { return current };
        drop_implied(&mut graph);
        let mut needed = needed;
        extend_by_paths(&graph, &mut needed);
        unroll(&mut graph, &mut self.variables, &|v| needed.contains(&v));
        self.order(current, graph, BTreeMap::new(), needed, duplicates_irrelevant)
    }

    pub(in crate::planner) fn order(
        &self,
        current: Partial,
        mut graph: QueryGraph,
        weights: BTreeMap<VariableId, WeightTerms>,
        mut needed: BTreeSet<VariableId>,
        duplicates_irrelevant: bool,
    ) -> Partial {
        for filter in &graph.filters {
            needed.extend(variables_of(filter));
        }
        extend_by_paths(&graph, &mut needed);
        canonical::sort(&mut graph, &needed, &current.bound);
        let current = Partial { done: current.done.before_limit(), ..current };
        let order = JoinOrder {
            graph: &graph,
            estimator: self.estimator,
            weights,
            needed,
            duplicates_irrelevant,
            wanted: self.wanted,
            list_lengths: &self.list_lengths,
        };
        let planned = order.plan(current);
        if let Some(variable) = order.not_bound(&planned) {
            let variable = self.variables.get(variable.0 as usize).map_or("?", |variable| &variable.name);
            self.faults.note(PlanError::Unbound { variable: variable.trim().to_owned() });
        }
        planned
    }
}

/// A needed path needs all its parts.
pub(in crate::planner) fn extend_by_paths(graph: &QueryGraph, needed: &mut BTreeSet<VariableId>) {
    for path in &graph.paths {
        let filtered = graph.filters.iter().any(|filter| variables_of(filter).contains(&path.variable));
        if needed.contains(&path.variable) || filtered {
            needed.insert(path.variable);
            needed.extend(&path.nodes);
            needed.extend(path.edges.iter().map(|at| graph.edges[*at].pattern.variable));
        }
    }
}
