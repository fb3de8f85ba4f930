//! Queries that are one pattern: a look for an edge, counts for all nodes, rows that are joined by their nodes, or
//! matches from each row, whichever is expected to cost least.

use std::collections::{BTreeMap, BTreeSet};

use crate::binder::bound::{
    BoundClause, BoundExpression, BoundSubquery, ExpressionKind, Variable, VariableId, VariableKind,
};
use crate::planner::build::{Builder, extend_by_paths};
use crate::planner::decorrelate::variable_of_type;
use crate::planner::factorize::whole_graph;
use crate::planner::join_order::Partial;
use crate::planner::logical_plan::{ExpandEdge, LogicalPlan, SettleKind};
use crate::planner::query_graph::{QueryGraph, legs};
use crate::planner::rewrite::{rename_expression, variables_of};
use crate::planner::unroll::unroll;
use crate::types::DataType;

/// What a row costs that is kept in a hash table, in edges that are visited.
const KEPT_ROW_COST: f64 = 3.0;
/// What a row costs that looks its answer up in an array.
const WEIGHED_ROW_COST: f64 = 0.1;

/// Share of rows for which a pattern is found of which nothing is known, and the least that is counted with.
const SHARE_UNKNOWN: f64 = 0.5;
const SHARE_MIN: f64 = 1e-6;

/// Pairs of values that are equal where rows are joined.
type Keys = Vec<(BoundExpression, BoundExpression)>;
type Names = BTreeSet<VariableId>;

impl Builder<'_> {
    /// Matches that are one graph.
    pub(super) fn ask_graph(
        &mut self,
        start: Partial,
        query: &BoundSubquery,
        mut kind: SettleKind,
    ) -> LogicalPlan {
        let mut graph = QueryGraph::default();
        for clause in query.branches.iter().flat_map(|branch| &branch.clauses) {
            if let BoundClause::Match(matched) = clause {
                self.lengths.add(&matched.pattern);
            }
            match self.renamed(clause) {
                BoundClause::Match(matched) => self.add_match(&mut graph, &matched),
                BoundClause::Project(mut projection) => {
                    projection.is_return = false;
                    if let SettleKind::Collect { value, .. } = &mut kind
                        && let Some(item) = projection.items.iter().find(|item| {
                            matches!(value.kind, ExpressionKind::Variable(output) if output == item.variable)
                        })
                    {
                        *value = item.expression.clone();
                    }
                    self.pass_through(&projection, Some(&mut graph));
                }
                BoundClause::Unwind { .. } | BoundClause::Write(_) | BoundClause::Call(_) => {}
            }
        }
        let mut needed = BTreeSet::new();
        if let SettleKind::Collect { value, .. } = &mut kind {
            let names = &self.renames;
            rename_expression(value, &|v| names.get(&v).copied().unwrap_or(v));
            self.lengths.rewrite(value);
            needed = variables_of(value);
        }
        self.settled_graph(start, graph, needed, kind).plan
    }

    /// Rows settled by what a graph finds for them.
    pub(in crate::planner) fn settled_graph(
        &mut self,
        mut start: Partial,
        graph: QueryGraph,
        needed: BTreeSet<VariableId>,
        mut kind: SettleKind,
    ) -> Partial {
        let collects = matches!(kind, SettleKind::Collect { .. });
        let mut bound = start.bound.clone();
        bound.extend(kind.answer());
        let settled = |plan, cost, start: &Partial| {
            let (rows, done) = (start.rows, start.done.clone());
            Partial { plan, bound, rows, cost, done }
        };
        if !collects && let Some(edges) = only_edge(&graph, &start.bound, &kind) {
            let input = Box::new(start.plan.clone());
            let cost = start.cost + start.rows;
            return settled(LogicalPlan::HasEdge { input, edges, kind }, cost, &start);
        }
        if let Some(wanted) = self.rows_wanted {
            // About so many rows are looked at until enough are left.
            let left = self.share_left(&graph, &start.bound, &kind);
            start.rows = start.rows.min(wanted / left.max(SHARE_MIN));
        }
        let only_asked = matches!(kind, SettleKind::Exists | SettleKind::Absent | SettleKind::Mark(_));
        let (mut inner, row) = self.sub_plan(start.clone(), graph.clone(), needed, false, only_asked);
        if !collects
            && let Some((plan, cost)) = self.answered_for_all(&start, inner.cost, graph, &kind, only_asked)
        {
            return settled(plan, cost, &start);
        }
        if let SettleKind::Collect { value, .. } = &mut kind {
            self.extract(&mut inner.plan, vec![value]);
        }
        let (input, outer) = (Box::new(inner.plan), start.bound.clone());
        settled(LogicalPlan::Settle { input, row, outer, kind }, inner.cost, &start)
    }

    /// The share of rows that a condition leaves.
    fn share_left(&self, graph: &QueryGraph, outer: &BTreeSet<VariableId>, kind: &SettleKind) -> f64 {
        let found = shared_nodes(graph, outer)
            .and_then(|shared| whole_graph(graph, &shared, &self.estimator))
            .and_then(|weighted| Some(self.estimator.weighing(&weighted.weights.terms.first()?.1)))
            .unwrap_or(SHARE_UNKNOWN);
        match kind {
            SettleKind::Exists => found,
            SettleKind::Absent => 1.0 - found,
            _ => 1.0,
        }
    }

    /// The pattern is matched once for all nodes, where that is expected to cost less than from each row: as arrays of
    /// counts over a node's table, or as rows that are joined by the nodes that they share with the rows asked about.
    /// Gives what it costs as well.
    fn answered_for_all(
        &mut self,
        start: &Partial,
        cost: f64,
        mut graph: QueryGraph,
        kind: &SettleKind,
        only_asked: bool,
    ) -> Option<(LogicalPlan, f64)> {
        let (outer, rows) = (&start.bound, start.rows);
        let shared = shared_nodes(&graph, outer)?;
        unroll(&mut graph, &mut self.variables, &|_| false);
        if let Some(node) = shared.first().filter(|_| shared.len() == 1)
            && let Some(weighted) = whole_graph(&graph, &shared, &self.estimator)
        {
            let weighed = start.cost + weighted.cost + rows * WEIGHED_ROW_COST;
            if weighed < cost {
                let (input, variable, weights) = (Box::new(start.plan.clone()), *node, weighted.weights);
                let kind = kind.clone();
                return Some((LogicalPlan::Weigh { input, variable, weights, kind }, weighed));
            }
        }
        let (keys, owns) = self.apart(&mut graph, &shared)?;
        let found = self.order(Partial::unit(), graph, BTreeMap::new(), owns.clone(), only_asked);
        let joined = start.cost + found.cost + found.rows * KEPT_ROW_COST + rows;
        if joined >= cost {
            return None;
        }
        let mut build = found.plan;
        if only_asked {
            let items = owns.iter().map(|own| (*own, variable_of_type(*own, DataType::Node))).collect();
            let input = Box::new(LogicalPlan::Project { input: Box::new(build), items });
            build = LogicalPlan::Distinct { input, variables: owns.into_iter().collect() };
        }
        let row = self.row_variable();
        let input = Box::new(start.plan.clone());
        let probe = Box::new(LogicalPlan::Number { input, row, multiplied: false });
        let input = Box::new(LogicalPlan::HashJoin { probe, build: Box::new(build), keys });
        let (outer, kind) = (outer.clone(), kind.clone());
        Some((LogicalPlan::Settle { input, row, outer, kind }, joined))
    }

    /// The rows of an optional match as a join with its pattern, which is matched once by itself, where that is expected
    /// to cost less than `inner`, which matches it from each row.
    pub(in crate::planner) fn optional_joined(
        &mut self,
        start: &Partial,
        inner: &Partial,
        mut graph: QueryGraph,
        (mut needed, kind): (BTreeSet<VariableId>, &SettleKind),
    ) -> Option<Partial> {
        let shared = shared_nodes(&graph, &start.bound)?;
        extend_by_paths(&graph, &mut needed);
        unroll(&mut graph, &mut self.variables, &|v| needed.contains(&v));
        let (keys, owns) = self.apart(&mut graph, &shared)?;
        needed.extend(&owns);
        let found = self.order(Partial::unit(), graph, BTreeMap::new(), needed, false);
        let rows = inner.rows.max(start.rows);
        let cost = start.cost + found.cost + found.rows * KEPT_ROW_COST + start.rows + rows;
        if cost >= inner.cost {
            return None;
        }
        let mut bound: BTreeSet<VariableId> = found.bound.difference(&owns).copied().collect();
        bound.extend(&start.bound);
        let (row, outer) = (self.row_variable(), start.bound.clone());
        let input = Box::new(start.plan.clone());
        let probe = Box::new(LogicalPlan::Number { input, row, multiplied: true });
        let input = Box::new(LogicalPlan::HashJoin { probe, build: Box::new(found.plan), keys });
        let plan = LogicalPlan::Settle { input, row, outer, kind: kind.clone() };
        Some(Partial { plan, bound, rows, cost, done: start.done.clone() })
    }

    /// Gives the nodes that a pattern shares with rows names of its own. Gives what joins it to the rows, and the names.
    fn apart(&mut self, graph: &mut QueryGraph, shared: &BTreeSet<VariableId>) -> Option<(Keys, Names)> {
        let mut keys = Vec::with_capacity(shared.len());
        let mut owns = BTreeSet::new();
        for node in shared {
            let Variable { name, kind } = self.variables.get(node.0 as usize)?.clone();
            let tables = graph.node(*node)?.tables.clone();
            let kind = match kind {
                VariableKind::Node { .. } => VariableKind::Node { tables },
                other => other,
            };
            let own = self.fresh(Variable { name, kind });
            graph.rename_node(*node, own);
            let id = |variable| BoundExpression {
                kind: ExpressionKind::InternalId(variable),
                data_type: DataType::Id,
                span: Default::default(),
            };
            keys.push((id(*node), id(own)));
            owns.insert(own);
        }
        Some((keys, owns))
    }
}

/// The nodes that a pattern shares with rows, if those and nothing else tie it to them.
fn shared_nodes(graph: &QueryGraph, outer: &BTreeSet<VariableId>) -> Option<BTreeSet<VariableId>> {
    let shared: BTreeSet<VariableId> =
        graph.nodes.iter().map(|node| node.variable).filter(|node| outer.contains(node)).collect();
    let bound_edge = graph.edges.iter().any(|edge| outer.contains(&edge.pattern.variable));
    let reads = |filter: &BoundExpression| {
        variables_of(filter).iter().any(|used| outer.contains(used) && !shared.contains(used))
    };
    let tied = shared.is_empty() || bound_edge || graph.impossible || graph.filters.iter().any(reads);
    (!tied).then_some(shared)
}

/// The only edge of a pattern, from either end, if both of its ends are bound and nothing else is asked.
fn only_edge(graph: &QueryGraph, bound: &BTreeSet<VariableId>, kind: &SettleKind) -> Option<[ExpandEdge; 2]> {
    let [edge] = &graph.edges[..] else { return None };
    let pattern = &edge.pattern;
    let counts = matches!(kind, SettleKind::Count(_) | SettleKind::Counted(_));
    let plain = pattern.length.is_none()
        && edge.predicates.is_empty()
        && graph.filters.is_empty()
        && graph.nodes.len() == 2
        && graph.nodes.iter().all(|node| node.predicates.is_empty() && bound.contains(&node.variable));
    if counts || graph.impossible || !plain || bound.contains(&pattern.variable) {
        return None;
    }
    let from = |from: VariableId, to: VariableId| ExpandEdge {
        variable: pattern.variable,
        from,
        to,
        legs: legs(graph, pattern, from),
        needs_id: false,
        predicates: Vec::new(),
    };
    Some([from(pattern.source, pattern.target), from(pattern.target, pattern.source)])
}
