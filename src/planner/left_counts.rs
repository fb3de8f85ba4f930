//! Optional matches and conditions under a projection that only counts rows: a left join multiplies a row by what it
//! finds, or by one, a semi or anti join by one or zero, so each becomes one more factor of message passing and no row
//! is written out for it.

use std::collections::{BTreeMap, BTreeSet};

use super::build::{Asked, Builder, Waiting, extend_by_paths};
use super::factorize::{strip, visit_cost, whole_graph};
use super::implied::drop_implied;
use super::join_order::Partial;
use super::logical_plan::{Factor, LogicalPlan, MessageEdge, MessageNode, SettleKind, WeightTerms};
use super::projection::{Shape, plan_projection};
use super::query_graph::QueryGraph;
use super::unnest::existence;
use super::unroll::unroll;
use crate::binder::bound::{
    BoundClause, BoundExpression, BoundMatch, BoundProjection, ExpressionKind, VariableId, VariableKind,
};

/// What a row costs that is written out, in edges that are only visited.
const WRITTEN_ROW_COST: f64 = 2.0;

/// What is found below a node of the graph, or one.
struct LeftFactor {
    node: VariableId,
    step: MessageEdge,
}

impl Builder<'_> {
    /// Whether an optional match hangs at one node of the graph that is not planned yet, and at nothing that `waiting` ones
    /// bind.
    pub(super) fn hangs(
        &self,
        matched: &BoundMatch,
        graph: Option<&QueryGraph>,
        waiting: &[Waiting],
        current: &Partial,
    ) -> bool {
        let Some(graph) = graph else { return false };
        let of_graph = |node: &&VariableId| graph.node(**node).is_some();
        let pattern = &matched.pattern;
        let of_others = |node: &VariableId| {
            graph.node(*node).is_none()
                && waiting.iter().any(|other| other.matched.pattern.nodes.contains(node))
        };
        self.estimator.arrays
            && matches!(current.plan, LogicalPlan::Unit)
            && current.bound.is_empty()
            && pattern.nodes.iter().filter(of_graph).count() == 1
            && !pattern.nodes.iter().any(of_others)
            && !pattern.edges.is_empty()
            && pattern.paths.is_empty()
    }

    /// Plans the graph and then the optional matches in their order.
    pub(super) fn apply_waiting(
        &mut self,
        current: Partial,
        graph: Option<QueryGraph>,
        waiting: Vec<Waiting>,
        needed: BTreeSet<VariableId>,
    ) -> Partial {
        let current = self.flush(current, graph, needed, false);
        waiting.into_iter().fold(current, |current, optional| self.optional(current, optional))
    }

    /// The whole projection, if it counts rows and asks of the optional matches no more than whether they found something,
    /// and if that costs less than to write rows out.
    pub(super) fn count_optionals(
        &mut self,
        current: &Partial,
        graph: Option<&QueryGraph>,
        waiting: &[Waiting],
        projection: &BoundProjection,
        needed_by_waiting: &BTreeSet<VariableId>,
    ) -> Option<Partial> {
        let mut graph = graph?.clone();
        drop_implied(&mut graph);
        let (mut factors, mut marked) = (Vec::with_capacity(waiting.len()), Vec::new());
        for Waiting { matched, asked, .. } in waiting {
            let Asked::Found(mark) = asked else { return None };
            let mut below = QueryGraph::default();
            below.add_match(matched, &self.variables);
            match mark {
                Some(mark) => marked.push((*mark, self.factor_below(below, &graph, Factor::Each)?)),
                None => factors.push(self.factor_below(below, &graph, Factor::AtLeastOne)?),
            }
        }
        self.note_nullable(projection);
        let estimator = self.estimator;
        let shape = Shape::of(projection.clone(), &estimator, self);
        if !shape.counts_rows() {
            return None;
        }
        let mut needed = shape.needed();
        needed.retain(|variable| marked.iter().all(|(mark, _)| mark != variable));
        needed.extend(marked.iter().map(|(_, factor)| factor.node));
        let general = self.apply_waiting(
            current.clone(),
            Some(graph.clone()),
            waiting.to_vec(),
            needed_by_waiting.clone(),
        );
        extend_by_paths(&graph, &mut needed);
        unroll(&mut graph, &mut self.variables, &|v| needed.contains(&v));
        let mut found = self.weighted_scan(&graph, &factors, &needed);
        if found.is_none() {
            let stripped = self.stripped(current, graph, &factors, &needed, &shape);
            found = Some(stripped);
        }
        let mut found = found?;
        for (mark, LeftFactor { node, step }) in marked {
            let tables = match self.variables.get(node.0 as usize).map(|variable| &variable.kind) {
                Some(VariableKind::Node { tables }) => tables.clone(),
                _ => return None,
            };
            let tree = MessageNode { variable: node, tables, predicates: Vec::new(), children: vec![step] };
            found.cost += visit_cost(&tree, &estimator);
            let weights = WeightTerms { terms: vec![(1, tree)] };
            let (input, kind) = (Box::new(found.plan), SettleKind::Counted(Some(mark)));
            found.plan = LogicalPlan::Weigh { input, variable: node, weights, kind };
            found.bound.insert(mark);
        }
        (found.cost < general.cost * WRITTEN_ROW_COST)
            .then(|| plan_projection(found, shape, &estimator, &self.variables))
    }

    /// The whole graph and its factors as one scan of a root with weights.
    fn weighted_scan(
        &self,
        graph: &QueryGraph,
        factors: &[LeftFactor],
        needed: &BTreeSet<VariableId>,
    ) -> Option<Partial> {
        let mut weighted = whole_graph(graph, needed, &self.estimator)?;
        let mut cost = 0.0;
        for (_, tree) in &mut weighted.weights.terms {
            if !factors.iter().all(|factor| attach(tree, factor.node, &factor.step)) {
                return None;
            }
            cost += visit_cost(tree, &self.estimator);
        }
        let rows = graph.node(weighted.root).map_or(0.0, |node| self.estimator.nodes(node));
        let plan = LogicalPlan::ScanWeighted { variable: weighted.root, weights: weighted.weights };
        let bound = BTreeSet::from([weighted.root]);
        Some(Partial { plan, bound, rows, cost, done: Default::default() })
    }

    /// A graph in which some conditions ask for patterns at one node each: they are factors like the rest of the graph.
    pub(super) fn with_conditions(
        &mut self,
        graph: &QueryGraph,
        needed: &BTreeSet<VariableId>,
    ) -> Option<Partial> {
        if !self.estimator.arrays || !graph.filters.iter().any(BoundExpression::has_subquery) {
            return None;
        }
        let mut rest = graph.clone();
        let mut factors = Vec::new();
        for filter in std::mem::take(&mut rest.filters) {
            match self.condition(&filter, graph) {
                Some(factor) => factors.push(factor),
                None => rest.filters.push(filter),
            }
        }
        if factors.is_empty() {
            return None;
        }
        self.weighted_scan(&rest, &factors, needed)
    }

    /// A condition that asks for a pattern at one node of the graph.
    fn condition(&mut self, filter: &BoundExpression, graph: &QueryGraph) -> Option<LeftFactor> {
        let (query, exists) = existence(filter)?;
        let [(own, value)] = &query.imports[..] else { return None };
        let ExpressionKind::Variable(outside) = value.kind else { return None };
        let [branch] = &query.branches[..] else { return None };
        let [BoundClause::Match(found)] = &branch.clauses[..] else { return None };
        if found.optional || found.predicates.iter().any(BoundExpression::has_subquery) {
            return None;
        }
        let mut below = QueryGraph::default();
        below.add_match(found, &self.variables);
        if *own != outside {
            below.rename_node(*own, outside);
        }
        let factor = if exists { Factor::Exists } else { Factor::Absent };
        self.factor_below(below, graph, factor)
    }

    /// A pattern that is one step from a node of the graph and a tree below it.
    fn factor_below(
        &mut self,
        mut below: QueryGraph,
        graph: &QueryGraph,
        factor: Factor,
    ) -> Option<LeftFactor> {
        let mut shared =
            below.nodes.iter().map(|node| node.variable).filter(|node| graph.node(*node).is_some());
        let node = shared.next()?;
        if shared.next().is_some() {
            return None;
        }
        unroll(&mut below, &mut self.variables, &|_| false);
        let weighted = whole_graph(&below, &BTreeSet::from([node]), &self.estimator)?;
        let mut terms = weighted.weights.terms;
        let (sign, mut root) = terms.pop()?;
        // The pattern may ask for fewer tables than the node can lie in.
        let narrowed = graph.node(node).is_some_and(|node| node.tables != root.tables);
        if sign != 1
            || !terms.is_empty()
            || !root.predicates.is_empty()
            || root.children.len() != 1
            || narrowed
        {
            return None;
        }
        let step = root.children.pop()?;
        Some(LeftFactor { node, step: MessageEdge { factor, ..step } })
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
        let mut weights: BTreeMap<VariableId, WeightTerms> = strip(&mut graph, &kept, &self.estimator);
        for LeftFactor { node, step } in factors {
            let tables = graph.node(*node).map_or_else(Vec::new, |node| node.tables.clone());
            let (variable, predicates, children) = (*node, Vec::new(), Vec::new());
            let alone = MessageNode { variable, tables, predicates, children };
            let terms = weights.entry(*node).or_insert_with(|| WeightTerms { terms: vec![(1, alone)] });
            terms.terms.iter_mut().for_each(|(_, root)| root.children.push(step.clone()));
        }
        let trees = weights.values().flat_map(|weights| &weights.terms);
        let cost: f64 = trees.map(|(_, tree)| visit_cost(tree, &self.estimator)).sum();
        let counted =
            self.order(current.clone(), graph, weights, needed.clone(), shape.duplicates_irrelevant());
        Partial { cost: counted.cost + cost, ..counted }
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
