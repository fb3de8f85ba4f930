//! From clauses to a logical plan: matches between two projections become one query graph, which is factorized as
//! far as the projection allows and ordered by cost.

mod beside;
mod flush;
mod found;
mod names;
mod wanted;

use std::collections::{BTreeMap, BTreeSet};

use super::cardinality::{Estimator, ListLengths, list_length};
use super::decorrelate::{Carried, variable_of_type};
use super::error::{Faults, PlanError};
use super::join_order::Partial;
use super::logical_plan::{LogicalPlan, LogicalStage};
use super::projection::{Shape, plan_projection};
use super::query_graph::QueryGraph;
use super::rewrite::variables_of;
use super::saturated::saturated;
use super::simplify::PathLengths;
use super::write::joined_creates;
use crate::binder::bound::{
    BoundClause, BoundExpression, BoundMatch, BoundProjection, BoundQuery, BoundSingleQuery, Variable,
    VariableId, asks_row_by_row,
};

use wanted::wanted_of;

pub(super) use flush::{ROW_COST, extend_by_paths};
pub(super) use found::Asked;
pub(super) use wanted::limit_of;

/// An optional match that is not planned yet.
#[derive(Clone)]
pub(super) struct Waiting {
    pub matched: BoundMatch,
    pub asked: Asked,
    /// What the clauses behind it mention.
    pub needed: BTreeSet<VariableId>,
}

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
    /// What says instead of the variables of an optional match whether it found something.
    pub(super) marks: BTreeMap<VariableId, VariableId>,
    /// Variables of optional matches that are put beside others.
    pub(super) beside: BTreeSet<VariableId>,
    /// Whether the statement makes rows: until its end these may lack what NOT NULL columns have to have.
    pub(super) creates: bool,
    /// Of the rows that are planned now so many are asked for, no matter which ones.
    pub(super) wanted: Option<f64>,
    /// Of the rows that queries in expressions are asked about so many have to be left, no matter which ones.
    pub(super) rows_wanted: Option<f64>,
    /// What is expected of lists that projections put out.
    pub(super) list_lengths: ListLengths,
    /// What the planner itself has done wrong.
    pub(super) faults: Faults,
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
pub fn build(query: &BoundQuery, estimator: Estimator<'_>) -> Result<Built, PlanError> {
    let mut builder = Builder {
        estimator,
        variables: query.variables.clone(),
        stages: Vec::new(),
        renames: BTreeMap::new(),
        lengths: PathLengths::default(),
        nullable: BTreeSet::new(),
        marks: BTreeMap::new(),
        beside: BTreeSet::new(),
        creates: query.creates(),
        wanted: None,
        rows_wanted: None,
        list_lengths: ListLengths::new(),
        faults: Faults::default(),
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
    let built = Built { plan, outputs, stages: builder.stages, variables: builder.variables };
    builder.faults.none_in(built)
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
        let mut waiting: Vec<Waiting> = Vec::new();
        let mut needed_by_waiting = BTreeSet::new();
        let mut clauses = joined_creates(clauses);
        let optional = |clause: &&BoundClause| matches!(clause, BoundClause::Match(it) if it.optional);
        if clauses.iter().filter(optional).count() > 1 {
            self.put_beside(clauses.to_mut(), &current.bound);
        }
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
            let needed_behind = |builder: &Self| {
                let mut needed = builder.needed_later(&clauses[at + 1..]);
                needed.extend(carried.all());
                needed
            };
            self.wanted = wanted_of(&clauses[at..]);
            let clause = self.renamed(clause);
            let waits = match &clause {
                BoundClause::Match(matched) => {
                    matched.optional
                        && asks_alone(matched)
                        && self.hangs(matched, graph.as_ref(), &waiting, &current)
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
                    let known = graph.iter().flat_map(QueryGraph::variables).collect();
                    let asked = self.asked_of(&matched, &known, &clauses[at + 1..], carried);
                    if asked == Asked::Nothing {
                        continue;
                    }
                    needed_by_waiting.extend(needed_later(self));
                    let needed = needed_behind(self);
                    waiting.push(Waiting { matched, asked, needed });
                }
                BoundClause::Match(matched) if matched.optional => {
                    let needed = needed_later(self);
                    current = self.flush(current, graph.take(), needed, false);
                    current = if asks_alone(&matched) {
                        let asked = self.asked_of(&matched, &current.bound, &clauses[at + 1..], carried);
                        let needed = needed_behind(self);
                        self.optional(current, Waiting { matched, asked, needed })
                    } else {
                        self.optional_together(current, matched, &needed_behind(self))
                    };
                }
                BoundClause::Match(mut matched) => {
                    let all = std::mem::take(&mut matched.predicates);
                    let (each_row, plain): (Vec<_>, _) =
                        all.into_iter().partition(BoundExpression::is_volatile);
                    matched.predicates = plain;
                    self.add_match(graph.get_or_insert_default(), &matched);
                    if !each_row.is_empty() {
                        // Each row of the whole pattern has a value of its own.
                        let needed = needed_later(self);
                        current = self.flush(current, graph.take(), needed, false);
                        let input = Box::new(current.plan);
                        current.plan = LogicalPlan::Filter { input, predicates: each_row };
                    }
                }
                BoundClause::Unwind { list, variable } => {
                    self.nullable.insert(variable);
                    let needed = needed_later(self);
                    current = self.flush(current, graph.take(), needed, false);
                    let length = list_length(&list, &self.list_lengths);
                    let input = Box::new(current.plan);
                    current.plan = LogicalPlan::Unwind { input, list, variable };
                    current.rows = saturated(current.rows * length);
                    current.bound.insert(variable);
                }
                BoundClause::Project(mut projection) => {
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
                    if let Some(graph) = &mut graph {
                        self.ask_before(&mut projection, graph);
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
        self.wanted = None;
        if !waiting.is_empty() {
            current = self.apply_waiting(current, graph.take(), waiting, needed_by_waiting);
        }
        let needed = carried.all().collect();
        (self.flush(current, graph, needed, false), outputs)
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
        let lengths = shape.list_lengths(&partial, &self.estimator, (&self.variables, &self.list_lengths));
        self.list_lengths.extend(lengths);
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
}

/// Whether the queries in the conditions of a match treat every row on its own.
fn asks_alone(matched: &BoundMatch) -> bool {
    matched.predicates.iter().all(asks_row_by_row)
}
