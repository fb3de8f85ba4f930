//! From clauses to a logical plan: matches between two projections become one query graph, which is factorized as
//! far as the projection allows and ordered by cost.

use std::collections::{BTreeMap, BTreeSet};

use super::canonical;
use super::cardinality::{Estimator, list_length};
use super::constants;
use super::decorrelate::{Carried, variable_of_type};
use super::factorize::{strip, visit_cost, whole_graph};
use super::implied::drop_implied;
use super::join_order::{JoinOrder, Partial};
use super::logical_plan::{LogicalPlan, LogicalStage, WeightTerms};
use super::projection::{Shape, plan_projection};
use super::query_graph::QueryGraph;
use super::rewrite::{conjuncts, rename_expression, variables_of};
use super::simplify::{PathLengths, compare_nodes};
use super::unroll::unroll;
use super::write::joined_creates;
use crate::binder::bound::{
    BoundClause, BoundExpression, BoundMatch, BoundProjection, BoundQuery, BoundSingleQuery, ExpressionKind,
    Variable, VariableId,
};

/// Starts of at most so many nodes make expanding worth a thought where counting would do.
const FEW_NODES: f64 = 32.0;
/// What a row that is written out costs, in edges that are only visited.
pub(super) const ROW_COST: f64 = 4.0;
/// How much more than pairs of rows, of which there may be many more than expected, counting them may cost that looks at
/// every row of two sides once.
const LINEAR_PREFERENCE: f64 = 4.0;

/// Builds the plan of one query part; new variables are appended to the query's.
pub struct Builder<'a> {
    pub estimator: Estimator<'a>,
    pub variables: Vec<Variable>,
    /// Writing clauses in the order in which they run.
    pub stages: Vec<LogicalStage>,
    /// Variables that WITH renamed, and what they stand for.
    pub(super) renames: BTreeMap<VariableId, VariableId>,
    pub(super) lengths: PathLengths,
    /// Nodes and relationships that may be NULL.
    pub(super) nullable: BTreeSet<VariableId>,
    /// Whether the statement makes rows: until its end these may lack what NOT NULL columns have to have.
    pub(super) creates: bool,
}

/// A query before lowering.
pub struct Built {
    /// What is run last.
    pub plan: LogicalPlan,
    pub outputs: Vec<VariableId>,
    pub stages: Vec<LogicalStage>,
    /// The query's variables and those of the planner.
    pub variables: Vec<Variable>,
}

/// The logical plan of a whole query.
pub fn build(query: &BoundQuery, estimator: Estimator<'_>) -> Built {
    let mut builder = Builder {
        estimator,
        variables: query.variables.clone(),
        stages: Vec::new(),
        renames: BTreeMap::new(),
        lengths: PathLengths::default(),
        nullable: BTreeSet::new(),
        creates: query.creates(),
    };
    let writes = query.first_write().is_some();
    let mut branches: Vec<(LogicalPlan, Vec<VariableId>)> = Vec::with_capacity(query.branches.len());
    for branch in &query.branches {
        let (mut plan, outputs) = builder.single(branch);
        if writes && query.branches.len() > 1 && query.returns {
            // The next branch writes after this one has its rows.
            plan = builder.keep(plan, &outputs);
        }
        branches.push((plan, outputs));
    }
    for (plan, _) in &mut branches {
        builder.unnest(plan);
    }
    let (plan, outputs) = match branches.len() {
        1 => branches.pop().unwrap_or((LogicalPlan::Unit, Vec::new())),
        _ => {
            let outputs = branches.first().map_or_else(Vec::new, |(_, outputs)| outputs.clone());
            (LogicalPlan::Union { inputs: branches, all: query.union_all }, outputs)
        }
    };
    Built { plan, outputs, stages: builder.stages, variables: builder.variables }
}

impl Builder<'_> {
    /// A variable that the text does not name.
    pub fn fresh(&mut self, variable: Variable) -> VariableId {
        self.variables.push(variable);
        VariableId(self.variables.len() as u32 - 1)
    }

    fn single(&mut self, query: &BoundSingleQuery) -> (LogicalPlan, Vec<VariableId>) {
        self.renames.clear();
        self.lengths.clear();
        let (end, outputs) = self.clauses(Partial::unit(), &query.clauses, &Carried::default());
        (end.plan, outputs)
    }

    /// Plans clauses behind `start`, with what the last projection puts out.
    pub(super) fn clauses(
        &mut self,
        start: Partial,
        clauses: &[BoundClause],
        carried: &Carried,
    ) -> (Partial, Vec<VariableId>) {
        let mut current = start;
        let mut graph: Option<QueryGraph> = None;
        let mut outputs = Vec::new();
        // Optional matches that may be counted with the graph.
        let mut waiting: Vec<BoundMatch> = Vec::new();
        let mut needed_by_waiting = BTreeSet::new();
        let clauses = joined_creates(clauses);
        for (at, clause) in clauses.iter().enumerate() {
            if let BoundClause::Match(matched) = clause
                && !matched.optional
            {
                self.lengths.add(&matched.pattern);
            }
            let needed_later = |builder: &Self| {
                let mut needed = builder.needed_later(&clauses[at..]);
                needed.extend(carried.all());
                needed
            };
            let clause = self.renamed(clause);
            let waits = match &clause {
                BoundClause::Match(matched) => {
                    matched.optional && self.hangs(matched, graph.as_ref(), &current)
                }
                BoundClause::Project(_) => true,
                _ => false,
            };
            if !waits && !waiting.is_empty() {
                let needed = std::mem::take(&mut needed_by_waiting);
                current = self.apply_waiting(current, graph.take(), std::mem::take(&mut waiting), needed);
            }
            match clause {
                BoundClause::Match(matched) if waits => {
                    needed_by_waiting.extend(needed_later(self));
                    waiting.push(matched);
                }
                BoundClause::Match(matched) if matched.optional => {
                    let needed = needed_later(self);
                    current = self.flush(current, graph.take(), needed.clone(), false);
                    current = self.optional(current, matched, needed);
                }
                BoundClause::Match(matched) => {
                    self.add_match(graph.get_or_insert_default(), &matched);
                }
                BoundClause::Unwind { list, variable } => {
                    self.nullable.insert(variable);
                    let needed = needed_later(self);
                    current = self.flush(current, graph.take(), needed, false);
                    let length = list_length(&list);
                    let input = Box::new(current.plan);
                    current.plan = LogicalPlan::Unwind { input, list, variable };
                    current.rows *= length;
                    current.bound.insert(variable);
                }
                BoundClause::Project(projection) => {
                    outputs = projection.items.iter().map(|item| item.variable).collect();
                    if !waiting.is_empty() {
                        let waiting = std::mem::take(&mut waiting);
                        let counted = match carried.all().next() {
                            None => self.count_optionals(
                                &current,
                                graph.as_ref(),
                                &waiting,
                                &projection,
                                &needed_by_waiting,
                            ),
                            Some(_) => None,
                        };
                        if let Some(counted) = counted {
                            current = counted;
                            graph = None;
                            self.lengths.clear();
                            continue;
                        }
                        let needed = std::mem::take(&mut needed_by_waiting);
                        current = self.apply_waiting(current, graph.take(), waiting, needed);
                    }
                    if self.pass_through(&projection, graph.as_mut()) {
                        continue;
                    }
                    current = self.project_each(current, graph.take(), projection, carried);
                    self.lengths.clear();
                }
                BoundClause::Write(write) => {
                    let needed = needed_later(self);
                    current = self.flush(current, graph.take(), needed, false);
                    current = self.write(current, write);
                }
                BoundClause::Call(call) => {
                    let needed = needed_later(self);
                    current = self.flush(current, graph.take(), needed, false);
                    current = self.call(current, &call, carried);
                }
            }
        }
        if !waiting.is_empty() {
            current = self.apply_waiting(current, graph.take(), waiting, needed_by_waiting);
        }
        let needed = carried.all().collect();
        (self.flush(current, graph, needed, false), outputs)
    }

    /// The clause with every renamed variable replaced by what it stands for, and simplified.
    pub(super) fn renamed(&self, clause: &BoundClause) -> BoundClause {
        let mut clause = clause.clone();
        let name = |v: VariableId| self.renames.get(&v).copied().unwrap_or(v);
        if let BoundClause::Match(matched) = &mut clause {
            matched.pattern.nodes.iter_mut().for_each(|v| *v = name(*v));
            for edge in &mut matched.pattern.edges {
                edge.source = name(edge.source);
                edge.target = name(edge.target);
            }
            for path in &mut matched.pattern.paths {
                path.nodes.iter_mut().for_each(|v| *v = name(*v));
            }
        }
        if let BoundClause::Write(write) = &mut clause {
            write.rename(&name);
        }
        each_expression(&mut clause, &mut |expression| {
            rename_expression(expression, &name);
            self.lengths.rewrite(expression);
            compare_nodes(expression, &self.variables, &self.estimator);
            constants::fold(expression);
        });
        clause
    }

    /// A WITH that only hands variables on is no boundary: what follows joins the same graph.
    pub(super) fn pass_through(
        &mut self,
        projection: &BoundProjection,
        graph: Option<&mut QueryGraph>,
    ) -> bool {
        let plain = !projection.is_return
            && !projection.grouped
            && !projection.distinct
            && projection.order_by.is_empty()
            && projection.skip.is_none()
            && projection.limit.is_none()
            && projection
                .items
                .iter()
                .all(|item| matches!(item.expression.kind, ExpressionKind::Variable(_)));
        let Some(graph) = graph.filter(|_| plain) else { return false };
        for item in &projection.items {
            if let ExpressionKind::Variable(stands_for) = item.expression.kind
                && stands_for != item.variable
            {
                self.renames.insert(item.variable, stands_for);
            }
        }
        let name = |v: VariableId| self.renames.get(&v).copied().unwrap_or(v);
        for mut predicate in conjuncts(projection.predicates.clone()) {
            rename_expression(&mut predicate, &name);
            graph.add_predicate(predicate);
        }
        true
    }

    /// Variables that clauses from here on mention.
    fn needed_later(&self, clauses: &[BoundClause]) -> BTreeSet<VariableId> {
        let mut needed = BTreeSet::new();
        for clause in clauses {
            match self.renamed(clause) {
                BoundClause::Match(matched) => {
                    matched.predicates.iter().for_each(|e| needed.extend(variables_of(e)));
                    needed.extend(&matched.pattern.nodes);
                    needed.extend(matched.pattern.edges.iter().map(|edge| edge.variable));
                }
                BoundClause::Unwind { list, .. } => needed.extend(variables_of(&list)),
                BoundClause::Project(projection) => needed.extend(needed_by(&projection)),
                BoundClause::Write(write) => {
                    needed.extend(write.uses());
                    write.each_expression(&mut |e| needed.extend(variables_of(e)));
                }
                BoundClause::Call(call) => {
                    let name = |v: &VariableId| self.renames.get(v).copied().unwrap_or(*v);
                    needed.extend(call.imports.iter().map(name));
                    needed.extend(call.outputs.iter().flatten());
                }
            }
        }
        needed
    }

    pub(super) fn project(
        &mut self,
        current: Partial,
        graph: Option<QueryGraph>,
        projection: BoundProjection,
    ) -> Partial {
        self.note_nullable(&projection);
        let estimator = self.estimator;
        let mut shape = Shape::of(projection, &estimator, self);
        let shared = shape.share(self);
        let mut needed = shape.needed();
        for (variable, common) in &shared {
            needed.remove(variable);
            needed.extend(variables_of(common));
        }
        let nothing_before = matches!(current.plan, LogicalPlan::Unit);
        let counts = shape.counts_rows() && current.bound.is_empty() && nothing_before;
        if counts
            && shared.is_empty()
            && let Some(apart) = self.aggregated_apart(&current, graph.as_ref(), &shape)
        {
            return plan_projection(apart, shape.over_aggregates(), &self.estimator, &self.variables);
        }
        let partial = if counts {
            self.flush_counted(current, graph, needed, &shape)
        } else {
            self.flush(current, graph, needed, shape.duplicates_irrelevant())
        };
        let partial = self.with_shared(partial, shared);
        plan_projection(partial, shape, &self.estimator, &self.variables)
    }

    /// Computes expressions beside what a plan binds.
    fn with_shared(&self, partial: Partial, shared: Vec<(VariableId, BoundExpression)>) -> Partial {
        let itself = |variable: VariableId| (variable, variable_of_type(variable, self.type_of(variable)));
        let (mut plan, mut bound) = (partial.plan, partial.bound);
        // One after the other: a later one may be part of an earlier one.
        for (variable, common) in shared.into_iter().rev() {
            let mut items: Vec<_> = bound.iter().map(|variable| itself(*variable)).collect();
            items.push((variable, common));
            bound.insert(variable);
            plan = LogicalPlan::Project { input: Box::new(plan), items };
        }
        Partial { plan, bound, ..partial }
    }

    /// Plans the graph when only the number of its rows matters.
    fn flush_counted(
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

    pub(super) fn flush(
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

    pub(super) fn order(
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
        let current = Partial { done: Default::default(), ..current };
        JoinOrder { graph: &graph, estimator: self.estimator, weights, needed, duplicates_irrelevant }
            .plan(current)
    }
}

/// Calls `visit` with every expression of a clause.
fn each_expression(clause: &mut BoundClause, visit: &mut dyn FnMut(&mut BoundExpression)) {
    match clause {
        BoundClause::Match(matched) => {
            matched.predicates.iter_mut().for_each(&mut *visit);
            let lengths = matched.pattern.edges.iter_mut().filter_map(|edge| edge.length.as_mut());
            for length in lengths {
                length.edge_predicates.iter_mut().for_each(&mut *visit);
                length.inner_predicates.iter_mut().for_each(&mut *visit);
                length.cost.iter_mut().for_each(&mut *visit);
            }
        }
        BoundClause::Unwind { list, .. } => visit(list),
        BoundClause::Project(projection) => {
            projection.items.iter_mut().for_each(|item| visit(&mut item.expression));
            projection.aggregates.iter_mut().flat_map(|call| &mut call.arguments).for_each(&mut *visit);
            projection.order_by.iter_mut().for_each(|key| visit(&mut key.expression));
            projection.predicates.iter_mut().for_each(visit);
        }
        BoundClause::Write(write) => write.each_expression_mut(visit),
        // Its clauses are looked at when they are planned.
        BoundClause::Call(_) => {}
    }
}

/// A needed path needs all its parts.
pub(super) fn extend_by_paths(graph: &QueryGraph, needed: &mut BTreeSet<VariableId>) {
    for path in &graph.paths {
        let filtered = graph.filters.iter().any(|filter| variables_of(filter).contains(&path.variable));
        if needed.contains(&path.variable) || filtered {
            needed.insert(path.variable);
            needed.extend(&path.nodes);
            needed.extend(path.edges.iter().map(|at| graph.edges[*at].pattern.variable));
        }
    }
}

/// Variables that a projection reads.
pub fn needed_by(projection: &BoundProjection) -> BTreeSet<VariableId> {
    let mut needed = BTreeSet::new();
    projection.items.iter().for_each(|item| needed.extend(variables_of(&item.expression)));
    projection.aggregates.iter().for_each(|call| {
        call.arguments.iter().for_each(|argument| needed.extend(variables_of(argument)));
    });
    projection.order_by.iter().for_each(|key| needed.extend(variables_of(&key.expression)));
    projection.predicates.iter().for_each(|predicate| needed.extend(variables_of(predicate)));
    needed
}
