//! The order in which the variables of a query graph are bound. Every node of a component is tried as the start;
//! from there the cheapest edge comes next, and the start with the least sum of intermediate rows wins. Ties go to
//! the variable that was mentioned first in its table's order, so that the spelling of a pattern does not matter.

use std::collections::{BTreeMap, BTreeSet};

use super::cardinality::Estimator;
use super::logical_plan::{
    ExpandEdge, LogicalPlan, OtherRel, PathParts, RecursiveEdge, TrailExclusion, WeightTerms,
};
use super::query_graph::{GraphNode, QueryGraph, legs};
use super::rewrite::{is_constant, variables_of};
use crate::binder::bound::{BoundExpression, ExpressionKind, VariableId};
use crate::types::{DataType, TableId};

/// In components of more nodes only the cheapest starts are followed to their end.
const NODES_ALL_STARTS: usize = 24;
const STARTS_MAX: usize = 3;
/// Up to this many rows, keys of further nodes are looked up before edges are followed.
const LOOKUP_ROWS_MAX: f64 = 32.0;

/// What a neighbour costs whose bit says that it is not wanted, beside one that is put out.
const FILTERED_NEIGHBOUR_COST: f64 = 0.1;

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
    /// Edges that were intersected: no column has their relationships, and nothing can be compared with them later.
    intersected: BTreeSet<usize>,
}

impl Done {
    fn with(mut self, other: &Done) -> Done {
        self.filters.extend(&other.filters);
        self.trails.extend(&other.trails);
        self.weights.extend(&other.weights);
        self.intersected.extend(&other.intersected);
        self
    }
}

impl Partial {
    /// Before anything is bound.
    pub fn unit() -> Partial {
        Partial {
            plan: LogicalPlan::Unit,
            bound: BTreeSet::new(),
            rows: 1.0,
            cost: 0.0,
            done: Done::default(),
        }
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
}

/// One way to go on.
enum Step {
    Edge { edge: usize, from: VariableId },
    Intersect { to: VariableId, edges: Vec<usize> },
}

impl JoinOrder<'_> {
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
        let mut partial = self.apply_filters(input);
        for component in components {
            partial = self.add_component(partial, &component);
        }
        self.build_paths(partial)
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

    fn add_component(&self, input: Partial, component: &BTreeSet<VariableId>) -> Partial {
        if component.iter().any(|variable| input.bound.contains(variable)) {
            let mut partial = input;
            for variable in
                component.iter().filter(|v| partial.bound.contains(v)).copied().collect::<Vec<_>>()
            {
                // A variable bound by an earlier part still has this part's predicates to fulfil.
                partial = self.filter_bound_node(partial, variable);
            }
            let partial = self.after_binding(partial);
            return self.complete(partial, component);
        }
        let keyed = component.iter().find_map(|variable| self.lookup(&input, *variable));
        // A lookup stands on the rows of the input; without names these are still rows.
        let on_input = keyed.is_some();
        let alone = input.bound.is_empty() && matches!(input.plan, LogicalPlan::Unit);
        let mut starts: Vec<Partial> = match keyed {
            Some(partial) => vec![partial],
            None => self.scans(component),
        };
        if component.len() > NODES_ALL_STARTS {
            starts.sort_by(|a, b| a.cost.total_cmp(&b.cost));
            starts.truncate(STARTS_MAX);
        }
        let finished = starts.into_iter().map(|start| {
            let start = self.after_binding(start);
            self.complete(start, component)
        });
        let best = finished.min_by(|a, b| a.cost.total_cmp(&b.cost));
        let Some(best) = best else { return input };
        if alone || on_input {
            return Partial { cost: best.cost + input.cost, ..best };
        }
        self.join(input, best)
    }

    /// A node whose primary key equals something that is known by now.
    fn lookup(&self, input: &Partial, variable: VariableId) -> Option<Partial> {
        let node = self.graph.node(variable)?;
        let [table] = node.tables[..] else { return None };
        let known =
            |e: &BoundExpression| is_constant(e) || variables_of(e).iter().all(|v| input.bound.contains(v));
        // Conjuncts over several variables (`b.id = a.other` where `a` is bound) give keys too.
        let all: Vec<&BoundExpression> = node.predicates.iter().chain(&self.graph.filters).collect();
        let (key, used) = key_equality(&self.estimator, variable, table, &all, &known)?;
        let own = node.predicates.iter().enumerate();
        let rest: Vec<BoundExpression> =
            own.filter(|(at, _)| !used.contains(at)).map(|(_, predicate)| predicate.clone()).collect();
        let mut done = input.done.clone();
        done.filters.extend(used.iter().filter_map(|at| at.checked_sub(node.predicates.len())));
        let mut plan = LogicalPlan::LookupNode { input: Box::new(input.plan.clone()), variable, table, key };
        if !rest.is_empty() {
            plan = LogicalPlan::Filter { input: Box::new(plan), predicates: rest };
        }
        let mut bound = input.bound.clone();
        bound.insert(variable);
        Some(Partial { plan, bound, rows: input.rows, cost: input.cost + input.rows, done })
    }

    fn scans(&self, component: &BTreeSet<VariableId>) -> Vec<Partial> {
        let mut starts = Vec::new();
        let mut nodes: Vec<&GraphNode> =
            component.iter().filter_map(|variable| self.graph.node(*variable)).collect();
        nodes.sort_by(|a, b| a.tables.cmp(&b.tables));
        for node in nodes {
            let rows = self.estimator.nodes(node);
            let scanned: f64 = node.tables.iter().map(|table| self.estimator.rows(*table)).sum();
            starts.push(Partial {
                plan: LogicalPlan::ScanNodes {
                    variable: node.variable,
                    tables: node.tables.clone(),
                    predicates: node.predicates.clone(),
                },
                bound: BTreeSet::from([node.variable]),
                rows,
                // A scan of packed columns is cheap beside following edges.
                cost: scanned * 0.1 + rows,
                done: Done::default(),
            });
        }
        starts.extend(self.rel_scans(component));
        starts
    }

    /// Scanning the relationships themselves pays when neither end narrows them down.
    fn rel_scans(&self, component: &BTreeSet<VariableId>) -> Vec<Partial> {
        let mut starts = Vec::new();
        for (at, edge) in self.graph.edges.iter().enumerate() {
            let pattern = &edge.pattern;
            let ends = [pattern.source, pattern.target];
            let usable = component.contains(&pattern.source)
                && pattern.length.is_none()
                && !pattern.undirected
                && pattern.source != pattern.target
                && ends.iter().all(|v| self.graph.node(*v).is_some_and(|node| node.predicates.is_empty()));
            if !usable {
                continue;
            }
            let expand = self.expand_edge(at, pattern.source);
            let edges = self.estimator.edges(&expand.legs);
            let rows = edges * self.estimator.selectivity_of_all(&edge.predicates);
            starts.push(Partial {
                plan: LogicalPlan::ScanRels { predicates: edge.predicates.clone(), edge: expand },
                bound: BTreeSet::from([pattern.source, pattern.target, pattern.variable]),
                rows,
                // In the order of the table, without a step from list to list.
                cost: edges * 0.1 + rows * 0.4,
                done: Done::default(),
            });
        }
        starts
    }

    /// Binds all that is left of a component, cheapest edge first.
    fn complete(&self, mut partial: Partial, component: &BTreeSet<VariableId>) -> Partial {
        partial = self.bind_keyed(partial, component);
        while let Some(step) = self.next_step(&partial, component) {
            partial = match step {
                Step::Edge { edge, from } => self.follow(partial, edge, from),
                Step::Intersect { to, edges } => self.intersect(partial, to, edges),
            };
            partial = self.after_binding(partial);
        }
        partial
    }

    /// Nodes whose keys are known are looked up at once where that is cheap: the edges to them then only have to be
    /// found, not followed and filtered.
    fn bind_keyed(&self, mut partial: Partial, component: &BTreeSet<VariableId>) -> Partial {
        for variable in component {
            if partial.rows <= LOOKUP_ROWS_MAX
                && !partial.bound.contains(variable)
                && let Some(found) = self.lookup(&partial, *variable)
            {
                partial = self.after_binding(found);
            }
        }
        partial
    }

    fn next_step(&self, partial: &Partial, component: &BTreeSet<VariableId>) -> Option<Step> {
        let mut best: Option<(f64, Step)> = None;
        let mut offer = |rows: f64, step: Step| {
            if best.as_ref().is_none_or(|(least, _)| rows < *least) {
                best = Some((rows, step));
            }
        };
        for (at, edge) in self.graph.edges.iter().enumerate() {
            let pattern = &edge.pattern;
            if partial.bound.contains(&pattern.variable) || !component.contains(&pattern.source) {
                continue;
            }
            let known = |v: VariableId| partial.bound.contains(&v);
            for (from, to) in [(pattern.source, pattern.target), (pattern.target, pattern.source)] {
                if known(from) && (known(to) || from != to) {
                    offer(self.rows_after(partial, at, from), Step::Edge { edge: at, from });
                }
            }
        }
        for node in component.iter().filter(|v| !partial.bound.contains(v)) {
            let mut closing: Vec<usize> = self
                .graph
                .edges_at(*node)
                .filter(|at| {
                    let pattern = &self.graph.edges[*at].pattern;
                    let other = if pattern.source == *node { pattern.target } else { pattern.source };
                    pattern.length.is_none()
                        && !pattern.undirected
                        && !self.needed.contains(&pattern.variable)
                        && self.graph.edges[*at].predicates.is_empty()
                        && other != *node
                        && partial.bound.contains(&other)
                        && legs(self.graph, pattern, other).len() == 1
                        && !partial.bound.contains(&pattern.variable)
                })
                .collect();
            // Each one that cannot be intersected may rule out another.
            while let Some(place) = closing.iter().position(|at| !self.trails_allow(partial, *at, &closing)) {
                closing.remove(place);
            }
            if closing.len() >= 2 {
                let fewest = closing
                    .iter()
                    .map(|at| {
                        let pattern = &self.graph.edges[*at].pattern;
                        let from = if pattern.source == *node { pattern.target } else { pattern.source };
                        self.rows_after(partial, *at, from)
                    })
                    .fold(f64::MAX, f64::min);
                offer(fewest * 0.5, Step::Intersect { to: *node, edges: closing });
            }
        }
        best.map(|(_, step)| step)
    }

    fn rows_after(&self, partial: &Partial, at: usize, from: VariableId) -> f64 {
        let edge = &self.graph.edges[at];
        let pattern = &edge.pattern;
        let to = if pattern.source == from { pattern.target } else { pattern.source };
        let (Some(start), Some(end)) = (self.graph.node(from), self.graph.node(to)) else {
            return partial.rows;
        };
        let mut fanout = self.estimator.fanout(&legs(self.graph, pattern, from), &start.tables)
            * self.estimator.selectivity_of_all(&edge.predicates);
        let total: f64 = end.tables.iter().map(|table| self.estimator.rows(*table)).sum();
        if let Some(length) = &pattern.length {
            fanout = length.expected_ends(fanout, total, self.duplicates_irrelevant);
        }
        if partial.bound.contains(&to) {
            partial.rows * fanout / total.max(1.0)
        } else {
            partial.rows * fanout * self.estimator.selectivity_of_all(&end.predicates)
        }
    }

    fn expand_edge(&self, at: usize, from: VariableId) -> ExpandEdge {
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

    fn follow(&self, partial: Partial, at: usize, from: VariableId) -> Partial {
        let rows = self.rows_after(&partial, at, from);
        let edge = self.expand_edge(at, from);
        let into = partial.bound.contains(&edge.to);
        let to = edge.to;
        let reached = partial.rows * self.fanout(&edge);
        let edge_checked = !edge.predicates.is_empty();
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
                let target = self.worth_bits(partial.rows, &edge);
                if !target.is_empty() {
                    let cost = partial.cost + reached * FILTERED_NEIGHBOUR_COST + rows;
                    let plan = LogicalPlan::Expand { input, edge, target };
                    return Partial { plan, bound, rows, cost, done: partial.done };
                }
                LogicalPlan::Expand { input, edge, target }
            }
        };
        // Every neighbour is put out before the predicates on it; those on the relationship gather properties first.
        let looked_at = if into { rows.max(partial.rows) } else { reached.max(partial.rows) };
        let checked = if edge_checked { reached } else { 0.0 };
        let cost = partial.cost + looked_at + checked;
        let fulfilled = Partial { plan, bound, rows, cost, done: partial.done };
        if into { fulfilled } else { self.filter_bound_node(fulfilled, to) }
    }

    /// Neighbours per node.
    fn fanout(&self, edge: &ExpandEdge) -> f64 {
        let tables = self.graph.node(edge.from).map_or(&[][..], |node| &node.tables);
        self.estimator.fanout(&edge.legs, tables)
    }

    /// The far node's predicates, if so many neighbours are met that one look at every node of the table is cheaper
    /// than one at every neighbour.
    fn worth_bits(&self, rows: f64, edge: &ExpandEdge) -> Vec<BoundExpression> {
        let Some(node) = self.graph.node(edge.to) else { return Vec::new() };
        let nodes: f64 = node.tables.iter().map(|table| self.estimator.rows(*table)).sum();
        if rows * self.fanout(edge) < nodes { Vec::new() } else { node.predicates.clone() }
    }

    fn intersect(&self, partial: Partial, to: VariableId, edges: Vec<usize>) -> Partial {
        let (exclusions, checked) = self.exclusions(&partial.bound, &edges);
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
        done.intersected.extend(&edges);
        for set in checked {
            // The other members among themselves, if all are there; with the intersected ones the intersection deals.
            let earlier = self.compared(&self.graph.distinct_edges[set], &done);
            let ready = earlier.iter().all(|variable| bound.contains(variable));
            if ready && done.trails.insert(set) && earlier.len() > 1 {
                input = LogicalPlan::DistinctRels { input: Box::new(input), sets: vec![earlier] };
            }
        }
        let plan = LogicalPlan::Intersect { input: Box::new(input), edges: expands, exclusions };
        let partial = Partial { plan, bound, rows, cost: partial.cost + rows * 4.0, done };
        self.filter_bound_node(partial, to)
    }

    /// Whether an edge may be intersected together with others under trail semantics. It is gone afterwards, so every
    /// edge that it must differ from is bound by now, is intersected with it, or can never be the same relationship.
    fn trails_allow(&self, partial: &Partial, at: usize, closing: &[usize]) -> bool {
        let tables = &self.graph.edges[at].pattern.tables;
        self.graph.distinct_edges.iter().filter(|set| set.contains(&at)).flatten().all(|other| {
            let pattern = &self.graph.edges[*other].pattern;
            let in_rows =
                partial.bound.contains(&pattern.variable) && !partial.done.intersected.contains(other);
            let met = in_rows || closing.contains(other);
            !tables.iter().any(|table| pattern.tables.contains(table)) || (pattern.length.is_none() && met)
        })
    }

    /// What the intersected edges must differ from, and the trail sets that are then dealt with.
    fn exclusions(&self, bound: &BTreeSet<VariableId>, edges: &[usize]) -> (Vec<TrailExclusion>, Vec<usize>) {
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
                            exclusions
                                .push(TrailExclusion { edge, other: OtherRel::Bound { rel, from, to } });
                        }
                        None => {}
                    }
                }
            }
        }
        (exclusions, checked)
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
    fn compared(&self, set: &[usize], done: &Done) -> Vec<VariableId> {
        let edges = set.iter().filter(|edge| !done.intersected.contains(edge));
        edges.map(|edge| self.graph.edges[*edge].pattern.variable).collect()
    }

    fn check_trails(&self, mut partial: Partial) -> Partial {
        for (at, set) in self.graph.distinct_edges.iter().enumerate() {
            let variables = self.compared(set, &partial.done);
            let ready = variables.iter().all(|variable| partial.bound.contains(variable));
            if ready && partial.done.trails.insert(at) && variables.len() > 1 {
                partial.plan =
                    LogicalPlan::DistinctRels { input: Box::new(partial.plan), sets: vec![variables] };
            }
        }
        partial
    }

    fn apply_filters(&self, mut partial: Partial) -> Partial {
        let mut ready = Vec::new();
        for (at, filter) in self.graph.filters.iter().enumerate() {
            let known = variables_of(filter).iter().all(|variable| partial.bound.contains(variable));
            if known && partial.done.filters.insert(at) {
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
        for filter in &self.graph.filters {
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
            }
        }
        let mut bound = left.bound.clone();
        bound.extend(right.bound.iter().copied());
        let cost = left.cost + right.cost;
        let done = left.done.with(&right.done);
        let joined = if keys.is_empty() {
            let rows = left.rows * right.rows;
            Partial { plan: cross(left.plan, right.plan), bound, rows, cost: cost + rows, done }
        } else {
            let rows = left.rows.max(right.rows);
            // The smaller side is built.
            let plan = if left.rows < right.rows && !super::subquery::is_numbered(&left.plan) {
                let keys = keys.into_iter().map(|(a, b)| (b, a)).collect();
                LogicalPlan::HashJoin { probe: Box::new(right.plan), build: Box::new(left.plan), keys }
            } else {
                LogicalPlan::HashJoin { probe: Box::new(left.plan), build: Box::new(right.plan), keys }
            };
            Partial { plan, bound, rows, cost: cost + rows, done }
        };
        let joined = self.check_trails(joined);
        self.apply_filters(joined)
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

fn cross(left: LogicalPlan, right: LogicalPlan) -> LogicalPlan {
    match left {
        LogicalPlan::Unit => right,
        left => LogicalPlan::CrossProduct { left: Box::new(left), right: Box::new(right) },
    }
}

/// The values of a node's whole primary key, and which of the conjuncts say so.
fn key_equality(
    estimator: &Estimator<'_>,
    node: VariableId,
    table: TableId,
    conjuncts: &[&BoundExpression],
    known: &dyn Fn(&BoundExpression) -> bool,
) -> Option<(Vec<BoundExpression>, Vec<usize>)> {
    let schema = estimator.catalog.node_table_by_id(table)?;
    if schema.primary_key.is_empty() {
        return None;
    }
    let (mut key, mut used) = (Vec::new(), Vec::new());
    for column in &schema.primary_key {
        let is_key = |e: &BoundExpression| {
            matches!(&without_widening(e).kind, ExpressionKind::Property { variable, columns, .. }
                if *variable == node && columns[..] == [(table, *column)])
        };
        let value = conjuncts.iter().enumerate().find_map(|(at, conjunct)| match &conjunct.kind {
            ExpressionKind::Call { function, arguments } if function.name == "=" => match &arguments[..] {
                [a, b] if is_key(a) && known(b) => Some((at, b)),
                [a, b] if is_key(b) && known(a) => Some((at, a)),
                _ => None,
            },
            _ => None,
        });
        let (at, value) = value?;
        used.push(at);
        key.push(value.clone());
    }
    Some((key, used))
}

/// A key of integers is compared as a wider integer where the other side is one, and a key of integers or texts as a
/// value that carries its type where the other side's type is not known; the index finds the same rows for them.
fn without_widening(expression: &BoundExpression) -> &BoundExpression {
    let ExpressionKind::Call { function, arguments } = &expression.kind else { return expression };
    let [inner] = &arguments[..] else { return expression };
    let (from, to) = (&inner.data_type, &expression.data_type);
    let same_rows = match to {
        DataType::Any => from.is_integer() || *from == DataType::String,
        _ => from.is_integer() && to.is_integer(),
    };
    if function.name == "CAST" && same_rows { inner } else { expression }
}
