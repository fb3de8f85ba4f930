//! From a query graph to a plan over its variables. Components are taken one after the other; the order in which the
//! nodes of one are bound is found in `enumerate`, and built here step by step with the checks that become possible:
//! conjuncts, trails, weights.

use std::collections::{BTreeMap, BTreeSet};

use super::cardinality::{Estimator, list_length};
use super::enumerate::{Found, Planned, PlannedStep, Search};
use super::figures::Part;
use super::logical_plan::{
    ExpandEdge, LogicalPlan, OtherRel, PathParts, RecursiveEdge, TrailExclusion, WeightTerms,
};
use super::query_graph::{QueryGraph, legs};
use super::rewrite::{is_constant, is_fixed, variables_of};
use crate::binder::bound::{BoundExpression, ExpressionKind, VariableId};
use crate::types::{DataType, TableId};

/// Rows that are scanned in the time of a look into the key index.
pub(super) const SCANNED_PER_LOOKUP: f64 = 20.0;

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
        Partial { plan: LogicalPlan::Unit, bound: BTreeSet::new(), rows, cost, done }
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
        let mut partial = input;
        let given: Vec<VariableId> =
            component.iter().filter(|variable| partial.bound.contains(variable)).copied().collect();
        for variable in &given {
            // A variable bound by an earlier part still has this part's predicates to fulfil.
            partial = self.filter_bound_node(partial, *variable);
        }
        partial = match given.is_empty() {
            true => self.begin_component(partial, component),
            false => self.after_binding(partial),
        };
        let open = |partial: &Partial| {
            let edge = |at: usize| partial.bound.contains(&self.graph.edges[at].pattern.variable);
            component.iter().flat_map(|variable| self.graph.edges_at(*variable)).any(|at| !edge(at))
        };
        while open(&partial) {
            let part = Part::of(self, &partial, component);
            let Some(found) = Search::new(self, &partial, &part).best(partial.rows, false) else { break };
            partial = self.built(partial, found);
        }
        partial
    }

    /// Binds a component that nothing is known of yet, or a part of it.
    fn begin_component(&self, input: Partial, component: &BTreeSet<VariableId>) -> Partial {
        let part = Part::of(self, &input, component);
        let unit = Partial::unit();
        if is_unit(&input.plan) {
            let cost = input.cost;
            return match Search::new(self, &input, &part).best(1.0, false) {
                Some(found) => {
                    let built = self.built(input, found);
                    Partial { cost: built.cost + cost, ..built }
                }
                None => input,
            };
        }
        // Looked up for each row, or planned alone and joined.
        let over = Search::new(self, &input, &part).best(input.rows, true);
        let alone = Search::new(self, &unit, &part).best(1.0, false);
        match (over, alone) {
            (Some(over), alone)
                if alone.as_ref().is_none_or(|alone| over.cost <= self.joining_cost(&input, alone)) =>
            {
                self.built(input, over)
            }
            (_, Some(alone)) => {
                let alone = self.built(unit, alone);
                self.join(input, alone)
            }
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

    /// Extends a plan by the steps that were found.
    fn built(&self, input: Partial, found: Found) -> Partial {
        let cost = input.cost + found.cost;
        Partial { rows: found.rows, cost, ..self.build(input, &found.steps) }
    }

    fn build(&self, mut partial: Partial, steps: &[Planned]) -> Partial {
        for Planned { step, rows } in steps {
            partial.rows = *rows;
            let next = match step {
                PlannedStep::Scan(variable) => self.scan(partial, *variable),
                PlannedStep::ScanRels(edge) => self.scan_rels(partial, *edge),
                PlannedStep::Lookup(variable) => match self.lookup(&partial, *variable) {
                    Some(found) => found,
                    None => partial,
                },
                PlannedStep::Edge { edge, from } => self.follow(partial, *edge, *from),
                PlannedStep::Intersect { to, edges } => self.intersect(partial, *to, edges),
                PlannedStep::Join { other, node } => {
                    // What this side has done needs no doing on the other one.
                    let done = partial.done.without_edges();
                    let other = self.build(Partial { done, ..Partial::unit() }, other);
                    self.join_at(partial, other, *node)
                }
            };
            partial = self.after_binding(next);
        }
        partial
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
        Some(Partial { plan, bound, rows: input.rows, cost: input.cost, done })
    }

    fn scan(&self, input: Partial, variable: VariableId) -> Partial {
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
    fn scan_rels(&self, input: Partial, at: usize) -> Partial {
        let edge = &self.graph.edges[at];
        let expand = self.expand_edge(at, edge.pattern.source);
        let rows = self.estimator.edges(&expand.legs) * self.estimator.selectivity_of_all(&edge.predicates);
        let bound = BTreeSet::from([edge.pattern.source, edge.pattern.target, edge.pattern.variable]);
        let plan = LogicalPlan::ScanRels { predicates: edge.predicates.clone(), edge: expand };
        Partial { plan, bound, rows, cost: 0.0, done: input.done.after_unit() }
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
                let target = self.worth_bits(partial.rows, &edge);
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

    fn intersect(&self, partial: Partial, to: VariableId, edges: &[usize]) -> Partial {
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
            let earlier = self.compared(&self.graph.distinct_edges[set], &done);
            let ready = earlier.iter().all(|variable| bound.contains(variable));
            if ready && done.trails.insert(set) && earlier.len() > 1 {
                input = LogicalPlan::DistinctRels { input: Box::new(input), sets: vec![earlier] };
            }
        }
        let plan = LogicalPlan::Intersect { input: Box::new(input), edges: expands, exclusions };
        let partial = Partial { plan, bound, rows, cost: partial.cost, done };
        self.filter_bound_node(partial, to)
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
                Partial {
                    plan: cross(left.plan, right.plan),
                    bound,
                    rows,
                    cost: left.cost + right.cost + rows,
                    done,
                }
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
        Partial { plan, bound, rows, cost, done }
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

fn cross(left: LogicalPlan, right: LogicalPlan) -> LogicalPlan {
    match left {
        LogicalPlan::Unit => right,
        left => LogicalPlan::CrossProduct { left: Box::new(left), right: Box::new(right) },
    }
}

/// The values of a node's whole primary key, and which of the conjuncts say so.
pub(super) fn key_equality(
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

/// The list that has a node's primary key among its elements, and which of the conjuncts says so, if so few keys are
/// expected that they are looked up for less than a scan. A list that is another one for each row is none.
pub(super) fn key_list<'e>(
    estimator: &Estimator<'_>,
    node: VariableId,
    tables: &[TableId],
    conjuncts: &'e [BoundExpression],
) -> Option<(usize, &'e BoundExpression)> {
    let [table] = *tables else { return None };
    conjuncts.iter().enumerate().find_map(|(at, conjunct)| {
        let ExpressionKind::Call { function, arguments } = &conjunct.kind else { return None };
        let [key, list] = &arguments[..] else { return None };
        let DataType::List(element) = &list.data_type else { return None };
        let is_key = matches!(&without_widening(key).kind, ExpressionKind::Property { variable, columns, .. }
            if *variable == node && matches!(columns[..], [(of, column)] if of == table && estimator.is_key(table, column)));
        let same_type = **element == key.data_type && (element.is_integer() || **element == DataType::String);
        let few = list_length(list) * SCANNED_PER_LOOKUP < estimator.rows(table);
        (function.name == "IN" && is_key && same_type && is_fixed(list) && few).then_some((at, list))
    })
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
