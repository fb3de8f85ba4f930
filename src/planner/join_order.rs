//! From a query graph to a plan over its variables. Components are taken one after the other; the order in which the
//! nodes of one are bound is found in `enumerate`, and built here step by step with the checks that become possible:
//! conjuncts, trails, weights.

mod limited;
mod steps;

use std::collections::{BTreeMap, BTreeSet};

use super::cardinality::{Estimator, ListLengths};
use super::enumerate::{Found, Search};
use super::figures::Part;
use super::logical_plan::{DifferentRels, LogicalPlan, PathParts, WeightTerms};
use super::query_graph::QueryGraph;
use super::rewrite::{uses_only, variables_of};
use super::saturated::saturated;
use crate::binder::bound::{BoundExpression, ExpressionKind, VariableId};
use crate::types::DataType;

/// What the plan under construction has bound, and what it is expected to cost.
#[derive(Clone)]
pub struct Partial {
    pub plan: LogicalPlan,
    pub bound: BTreeSet<VariableId>,
    pub rows: f64,
    pub cost: f64,
    pub done: Done,
}

/// Which parts of the graph the plan takes care of already, by position.
#[derive(Clone, Default)]
pub struct Done {
    filters: BTreeSet<usize>,
    trails: BTreeSet<usize>,
    weights: BTreeSet<VariableId>,
    /// Members of a trail, by its number, that were compared with each other before all of it was bound.
    compared: Vec<(usize, BTreeSet<VariableId>)>,
    /// Edges that were intersected: no column has their relationships, and nothing can be compared with them later.
    intersected: BTreeSet<usize>,
    /// The order was chosen for so many rows.
    ordered_for: Option<f64>,
}

impl Done {
    /// For how many rows, of which a LIMIT asks for no more, the order was chosen.
    pub fn ordered_for(&self) -> Option<f64> {
        self.ordered_for
    }

    /// What is told of the order up to the next LIMIT.
    pub fn before_limit(&self) -> Done {
        Done { ordered_for: self.ordered_for, ..Done::default() }
    }

    fn with(mut self, other: &Done) -> Done {
        self.filters.extend(&other.filters);
        self.trails.extend(&other.trails);
        self.weights.extend(&other.weights);
        self.compared.extend(other.compared.iter().cloned());
        self.intersected.extend(&other.intersected);
        self.ordered_for = self.ordered_for.or(other.ordered_for);
        self
    }

    /// What concerns nodes and conjuncts alone.
    fn without_edges(&self) -> Done {
        let (filters, weights) = (self.filters.clone(), self.weights.clone());
        Done { filters, weights, ..Done::default() }
    }

    /// What still holds once the rows so far, which are one without columns, are left out: constant conjuncts go with
    /// them and are looked at again.
    fn after_unit(self) -> Done {
        Done { filters: BTreeSet::new(), ..self }
    }
}

impl Partial {
    /// Before anything is bound.
    pub fn unit() -> Partial {
        Partial::of(1.0, 0.0, Done::default())
    }

    /// Nothing bound, with these figures.
    fn of(rows: f64, cost: f64, done: Done) -> Partial {
        let (rows, cost) = (saturated(rows), saturated(cost));
        Partial { plan: LogicalPlan::Unit, bound: BTreeSet::new(), rows, cost, done }
    }

    /// The same with other figures, which stay finite.
    pub(super) fn with_figures(self, rows: f64, cost: f64) -> Partial {
        Partial { rows: saturated(rows), cost: saturated(cost), ..self }
    }

    /// Whether a conjunct over several variables is dealt with.
    pub(super) fn has_filter(&self, at: usize) -> bool {
        self.done.filters.contains(&at)
    }

    /// Whether no column has the edge's relationships.
    pub(super) fn is_intersected(&self, edge: usize) -> bool {
        self.done.intersected.contains(&edge)
    }
}

/// Orders the edges of one graph.
pub struct JoinOrder<'a> {
    pub graph: &'a QueryGraph,
    pub estimator: Estimator<'a>,
    /// What hangs below a node and was taken out of the graph, with the estimated number of matches.
    pub weights: BTreeMap<VariableId, WeightTerms>,
    /// Relationship variables that something needs.
    pub needed: BTreeSet<VariableId>,
    /// Nothing above sees how often a row occurs.
    pub duplicates_irrelevant: bool,
    /// So many of its rows are asked for, no matter which ones.
    pub wanted: Option<f64>,
    /// What is expected of lists that were bound before.
    pub list_lengths: &'a ListLengths,
}

impl<'a> JoinOrder<'a> {
    /// Extends `input` by all components of the graph.
    pub fn plan(&self, input: Partial) -> Partial {
        if self.graph.impossible {
            let nothing = BoundExpression {
                kind: ExpressionKind::Literal(crate::types::Value::Bool(false)),
                data_type: crate::types::DataType::Bool,
                span: Default::default(),
            };
            let mut bound = input.bound.clone();
            bound.extend(self.graph.nodes.iter().map(|node| node.variable));
            bound.extend(self.graph.edges.iter().map(|edge| edge.pattern.variable));
            bound.extend(self.graph.paths.iter().map(|path| path.variable));
            let plan = self.bind_nothing(input.plan, &input.bound);
            let plan = LogicalPlan::Filter { input: Box::new(plan), predicates: vec![nothing] };
            return Partial { plan, bound, rows: 0.0, cost: input.cost, done: input.done };
        }
        let mut components = self.graph.components();
        // What is connected to bound variables first, then small components before large ones.
        components.sort_by(|a, b| {
            let bound = |c: &BTreeSet<VariableId>| c.iter().any(|v| input.bound.contains(v));
            bound(b).cmp(&bound(a)).then(self.size(a).total_cmp(&self.size(b)))
        });
        let mut wanted = self.limited_first(&input, &mut components);
        let mut partial = self.apply_filters(input);
        for component in components {
            partial = self.add_component(partial, &component, wanted.take());
        }
        self.build_paths(partial)
    }

    /// A node or relationship that a plan of the graph does not bind, which is a mistake: without it the plan would have
    /// other rows than the graph.
    pub fn not_bound(&self, planned: &Partial) -> Option<VariableId> {
        let nodes = self.graph.nodes.iter().map(|node| node.variable);
        let edges = self.graph.edges.iter().map(|edge| edge.pattern.variable);
        nodes.chain(edges).find(|variable| !planned.bound.contains(variable))
    }

    /// Without any row, all that matters is that the variables exist: scans of no table.
    fn bind_nothing(&self, plan: LogicalPlan, bound: &BTreeSet<VariableId>) -> LogicalPlan {
        let mut plan = plan;
        for node in self.graph.nodes.iter().filter(|node| !bound.contains(&node.variable)) {
            let scan = LogicalPlan::ScanNodes {
                variable: node.variable,
                tables: Vec::new(),
                predicates: Vec::new(),
            };
            plan = cross(plan, scan);
        }
        let edges = self.graph.edges.iter().map(|edge| edge.pattern.variable);
        for variable in edges.chain(self.graph.paths.iter().map(|path| path.variable)) {
            let scan = LogicalPlan::ScanNodes { variable, tables: Vec::new(), predicates: Vec::new() };
            plan = cross(plan, scan);
        }
        plan
    }

    fn size(&self, component: &BTreeSet<VariableId>) -> f64 {
        component
            .iter()
            .filter_map(|variable| self.graph.node(*variable))
            .map(|node| self.estimator.nodes(node))
            .fold(f64::MAX, f64::min)
    }

    fn add_component(
        &self,
        input: Partial,
        component: &BTreeSet<VariableId>,
        wanted: Option<f64>,
    ) -> Partial {
        let mut partial = input;
        let given: Vec<VariableId> =
            component.iter().filter(|variable| partial.bound.contains(variable)).copied().collect();
        for variable in &given {
            // A variable bound by an earlier part still has this part's predicates to fulfil.
            partial = self.filter_bound_node(partial, *variable);
        }
        partial = match given.is_empty() {
            true => self.begin_component(partial, component, wanted),
            false => self.after_binding(partial),
        };
        let open = |partial: &Partial| {
            let edge = |at: usize| partial.bound.contains(&self.graph.edges[at].pattern.variable);
            component.iter().flat_map(|variable| self.graph.edges_at(*variable)).any(|at| !edge(at))
        };
        while open(&partial) {
            let part = Part::of(self, &partial, component);
            let Some(found) = Search::new(self, &partial, &part).best(partial.rows, false, wanted) else {
                // A connected part always has an order; without one `not_bound` finds what is missing.
                break;
            };
            partial = self.built(partial, found);
        }
        partial
    }

    /// Binds a component that nothing is known of yet, or a part of it.
    fn begin_component(
        &self,
        input: Partial,
        component: &BTreeSet<VariableId>,
        wanted: Option<f64>,
    ) -> Partial {
        let part = Part::of(self, &input, component);
        let unit = Partial::unit();
        if is_unit(&input.plan) {
            let cost = input.cost;
            return match Search::new(self, &input, &part).best(1.0, false, wanted) {
                Some(found) => {
                    let built = self.built(input, found);
                    let (rows, cost) = (built.rows, built.cost + cost);
                    built.with_figures(rows, cost)
                }
                None => input,
            };
        }
        let input = self.check_parts_of_trails(input);
        // Looked up for each row, or planned alone and joined.
        let over = Search::new(self, &input, &part).best(input.rows, true, wanted);
        let alone = Search::new(self, &unit, &part).best(1.0, false, None);
        match (over, alone) {
            (Some(over), alone)
                if alone.as_ref().is_none_or(|alone| over.cost <= self.joining_cost(&input, alone)) =>
            {
                self.built(input, over)
            }
            (_, Some(alone)) => {
                let alone = self.check_parts_of_trails(self.built(unit, alone));
                self.join(input, alone)
            }
            // As above, `not_bound` finds it.
            (_, None) => input,
        }
    }

    /// What a separate plan and joining it cost, about.
    fn joining_cost(&self, input: &Partial, alone: &Found) -> f64 {
        let keyed = |filter: &BoundExpression| matches!(&filter.kind, ExpressionKind::Call { function, .. } if function.name == "=");
        let rows = if self.graph.filters.iter().any(keyed) {
            input.rows.max(alone.rows)
        } else {
            input.rows * alone.rows
        };
        alone.cost + (input.rows + alone.rows) * 3.0 + rows
    }

    /// A node's own predicates, right after it was reached.
    fn filter_bound_node(&self, partial: Partial, variable: VariableId) -> Partial {
        let Some(node) = self.graph.node(variable) else { return partial };
        if node.predicates.is_empty() {
            return partial;
        }
        let plan = LogicalPlan::Filter { input: Box::new(partial.plan), predicates: node.predicates.clone() };
        Partial { plan, ..partial }
    }

    /// Weights, trail checks and filters whose variables are bound now and were not before.
    fn after_binding(&self, mut partial: Partial) -> Partial {
        for (variable, weights) in &self.weights {
            if partial.bound.contains(variable) && partial.done.weights.insert(*variable) {
                partial.plan = LogicalPlan::Weight {
                    input: Box::new(partial.plan),
                    variable: *variable,
                    weights: weights.clone(),
                };
            }
        }
        let partial = self.check_trails(partial);
        self.apply_filters(partial)
    }

    /// The relationships of a trail that rows have and that are compared with each other.
    fn compared<C: FromIterator<VariableId>>(&self, set: &[usize], done: &Done) -> C {
        let edges = set.iter().filter(|edge| !done.intersected.contains(edge));
        edges.map(|edge| self.graph.edges[*edge].pattern.variable).collect()
    }

    fn check_trails(&self, mut partial: Partial) -> Partial {
        for (at, set) in self.graph.distinct_edges.iter().enumerate() {
            let variables: Vec<VariableId> = self.compared(set, &partial.done);
            let ready = variables.iter().all(|variable| partial.bound.contains(variable));
            if ready && partial.done.trails.insert(at) {
                let sets = self.not_compared(at, variables, &partial.done);
                partial.plan = distinct(partial.plan, sets);
            }
        }
        partial
    }

    /// Before the rows are multiplied with those of another component: compares the members of trails that are there
    /// already. What is left for the product are pairs of one side each.
    fn check_parts_of_trails(&self, mut partial: Partial) -> Partial {
        let mut sets = Vec::new();
        for (at, set) in self.graph.distinct_edges.iter().enumerate() {
            let mut here: Vec<VariableId> = self.compared(set, &partial.done);
            here.retain(|variable| partial.bound.contains(variable));
            if partial.done.trails.contains(&at) || here.len() < 2 {
                continue;
            }
            sets.extend(self.not_compared(at, here.clone(), &partial.done));
            partial.done.compared.push((at, here.into_iter().collect()));
        }
        partial.plan = distinct(partial.plan, sets);
        partial
    }

    /// The sets that compare what was not compared yet: all of the variables, or pairs of them where some were.
    fn not_compared(&self, trail: usize, variables: Vec<VariableId>, done: &Done) -> Vec<DifferentRels> {
        let parts = done.compared.iter().filter(|(of, _)| *of == trail).map(|(_, part)| part);
        let parts: Vec<&BTreeSet<VariableId>> = parts.collect();
        if parts.is_empty() {
            return if variables.len() > 1 { vec![DifferentRels::all(variables)] } else { Vec::new() };
        }
        let mut pairs = Vec::new();
        for (position, left) in variables.iter().enumerate() {
            for right in &variables[position + 1..] {
                let together = parts.iter().any(|part| part.contains(left) && part.contains(right));
                if !together && self.may_be_same(*left, *right) {
                    pairs.push(DifferentRels::all(vec![*left, *right]));
                }
            }
        }
        pairs
    }

    /// Whether two pattern edges can be the same relationship: one of a common table.
    fn may_be_same(&self, left: VariableId, right: VariableId) -> bool {
        let tables = |variable: VariableId| {
            let edges = self.graph.edges.iter().filter(move |edge| edge.pattern.variable == variable);
            edges.flat_map(|edge| edge.pattern.tables.iter().map(|table| table.table))
        };
        tables(left).any(|table| tables(right).any(|other| other == table))
    }

    fn apply_filters(&self, mut partial: Partial) -> Partial {
        let mut ready = Vec::new();
        for (at, filter) in self.graph.filters.iter().enumerate() {
            if !partial.has_filter(at) && uses_only(filter, |variable| partial.bound.contains(&variable)) {
                partial.done.filters.insert(at);
                ready.push(filter.clone());
            }
        }
        if !ready.is_empty() {
            partial.rows *= self.estimator.selectivity_of_all(&ready);
            partial.plan = LogicalPlan::Filter { input: Box::new(partial.plan), predicates: ready };
        }
        partial
    }

    /// Joins two disconnected plans by their equality filters, or by a product.
    fn join(&self, left: Partial, right: Partial) -> Partial {
        let mut keys = Vec::new();
        let mut left = left;
        for (at, filter) in self.graph.filters.iter().enumerate() {
            let ExpressionKind::Call { function, arguments } = &filter.kind else { continue };
            let [a, b] = &arguments[..] else { continue };
            if function.name != "=" || a.data_type != b.data_type {
                continue;
            }
            let within = |e: &BoundExpression, side: &BTreeSet<VariableId>| {
                let used = variables_of(e);
                !used.is_empty() && used.iter().all(|v| side.contains(v))
            };
            if within(a, &left.bound) && within(b, &right.bound) {
                keys.push((a.clone(), b.clone()));
            } else if within(b, &left.bound) && within(a, &right.bound) {
                keys.push((b.clone(), a.clone()));
            } else {
                continue;
            }
            // Equal bytes are equal values, but not for every type.
            if a.data_type.is_integer()
                || matches!(a.data_type, DataType::String | DataType::Id | DataType::Date)
            {
                left.done.filters.insert(at);
            }
        }
        let joined = match keys.is_empty() {
            true => {
                let mut bound = left.bound;
                bound.extend(right.bound);
                let (rows, done) = (left.rows * right.rows, left.done.with(&right.done));
                let cost = left.cost + right.cost + rows;
                let plan = cross(left.plan, right.plan);
                Partial { plan, bound, ..Partial::of(rows, cost, done) }
            }
            false => self.hash_joined(left, right, keys),
        };
        let joined = self.check_trails(joined);
        self.apply_filters(joined)
    }

    /// Joins two plans that bind the same node.
    fn join_at(&self, left: Partial, right: Partial, node: VariableId) -> Partial {
        let id = BoundExpression {
            kind: ExpressionKind::InternalId(node),
            data_type: DataType::Id,
            span: Default::default(),
        };
        self.hash_joined(left, right, vec![(id.clone(), id)])
    }

    fn hash_joined(
        &self,
        left: Partial,
        right: Partial,
        keys: Vec<(BoundExpression, BoundExpression)>,
    ) -> Partial {
        let mut bound = left.bound;
        bound.extend(right.bound);
        let done = left.done.with(&right.done);
        let rows = self.estimator.joined(left.rows, right.rows, &keys);
        let cost = left.cost + right.cost + left.rows.max(right.rows) + rows;
        // The smaller side is built.
        let plan = if left.rows < right.rows && !super::subquery::is_numbered(&left.plan) {
            let keys = keys.into_iter().map(|(a, b)| (b, a)).collect();
            LogicalPlan::HashJoin { probe: Box::new(right.plan), build: Box::new(left.plan), keys }
        } else {
            LogicalPlan::HashJoin { probe: Box::new(left.plan), build: Box::new(right.plan), keys }
        };
        Partial { plan, bound, ..Partial::of(rows, cost, done) }
    }

    fn build_paths(&self, mut partial: Partial) -> Partial {
        for path in &self.graph.paths {
            if !self.needed.contains(&path.variable) {
                continue;
            }
            let rels = path.edges.iter().map(|at| self.graph.edges[*at].pattern.variable).collect();
            let parts = PathParts { variable: path.variable, nodes: path.nodes.clone(), rels };
            partial.plan = LogicalPlan::BuildPath { input: Box::new(partial.plan), path: parts };
            partial.bound.insert(path.variable);
            partial = self.apply_filters(partial);
        }
        partial
    }
}

/// One row without columns, or none.
fn is_unit(plan: &LogicalPlan) -> bool {
    match plan {
        LogicalPlan::Unit => true,
        LogicalPlan::Filter { input, .. } => is_unit(input),
        _ => false,
    }
}

/// Keeps the rows without a relationship twice in any of the sets.
fn distinct(plan: LogicalPlan, sets: Vec<DifferentRels>) -> LogicalPlan {
    match sets.is_empty() {
        true => plan,
        false => LogicalPlan::DistinctRels { input: Box::new(plan), sets },
    }
}

fn cross(left: LogicalPlan, right: LogicalPlan) -> LogicalPlan {
    match left {
        LogicalPlan::Unit => right,
        left => LogicalPlan::CrossProduct { left: Box::new(left), right: Box::new(right) },
    }
}

#[cfg(test)]
mod tests {
    use super::super::query_graph::GraphNode;
    use super::*;
    use crate::catalog::{Catalog, Statistics};

    /// A plan that has lost a component is told from one that has it.
    #[test]
    fn what_no_step_binds_is_found() {
        let variable = VariableId(3);
        let node = GraphNode { variable, tables: Vec::new(), predicates: Vec::new() };
        let graph = QueryGraph { nodes: vec![node], ..QueryGraph::default() };
        let (catalog, statistics) = (Catalog::default(), Statistics::default());
        let order = JoinOrder {
            graph: &graph,
            estimator: Estimator { catalog: &catalog, statistics: &statistics, arrays: true },
            weights: BTreeMap::new(),
            needed: BTreeSet::new(),
            duplicates_irrelevant: false,
            wanted: None,
            list_lengths: &ListLengths::new(),
        };
        assert_eq!(order.not_bound(&Partial::unit()), Some(variable));
        assert_eq!(order.not_bound(&order.plan(Partial::unit())), None);
    }

    #[test]
    fn figures_of_a_plan_are_numbers() {
        let partial = Partial::unit().with_figures(f64::INFINITY, f64::NAN);
        assert!(partial.rows.is_finite() && partial.cost.is_finite());
    }
}
