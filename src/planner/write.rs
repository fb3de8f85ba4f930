//! Writing clauses in the logical plan: each ends a stage, and what follows starts from the rows it keeps.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};

use super::build::Builder;
use super::join_order::Partial;
use super::logical_plan::{LogicalPlan, LogicalStage, PathParts};
use super::query_graph::QueryGraph;
use super::rewrite::variables_of;
use crate::binder::bound::{
    BoundClause, BoundMatch, BoundMerge, BoundWrite, NewPattern, Variable, VariableId, VariableKind,
};
use crate::types::DataType;

/// Puts CREATE clauses that follow each other into one, as long as none of them reads what one of the others makes: then
/// nothing tells them apart from one clause.
pub(super) fn joined_creates(clauses: &[BoundClause]) -> Cow<'_, [BoundClause]> {
    let is_create = |clause: &BoundClause| matches!(clause, BoundClause::Write(BoundWrite::Create(_)));
    if !clauses.windows(2).any(|pair| pair.iter().all(is_create)) {
        return Cow::Borrowed(clauses);
    }
    let mut joined: Vec<BoundClause> = Vec::with_capacity(clauses.len());
    let mut made: BTreeSet<VariableId> = BTreeSet::new();
    for clause in clauses {
        let BoundClause::Write(BoundWrite::Create(pattern)) = clause else {
            made.clear();
            joined.push(clause.clone());
            continue;
        };
        let reads = pattern.assignments().any(|one| !variables_of(&one.value).is_disjoint(&made));
        match joined.last_mut() {
            Some(BoundClause::Write(BoundWrite::Create(before))) if !reads => {
                before.nodes.extend(pattern.nodes.iter().cloned());
                before.rels.extend(pattern.rels.iter().cloned());
                before.paths.extend(pattern.paths.iter().cloned());
            }
            _ => {
                made.clear();
                joined.push(clause.clone());
            }
        }
        made.extend(pattern.created());
        made.extend(pattern.paths.iter().map(|path| path.variable));
    }
    Cow::Owned(joined)
}

impl Builder<'_> {
    /// Ends a stage with a writing clause.
    pub(super) fn write(&mut self, current: Partial, write: BoundWrite) -> Partial {
        let Partial { mut plan, mut bound, rows, cost, .. } = current;
        let mut write = write;
        self.unnest_write(&mut plan, &mut write);
        let found = match &write {
            BoundWrite::Merge(merge) => Some(self.found(merge, &bound, rows)),
            _ => None,
        };
        let created: Option<NewPattern> = match &write {
            BoundWrite::Create(pattern) => Some(pattern.clone()),
            BoundWrite::Merge(merge) => Some(merge.created.clone()),
            BoundWrite::Set(_) | BoundWrite::Delete { .. } => None,
        };
        bound.extend(created.iter().flat_map(NewPattern::created));
        self.stages.push(LogicalStage { input: plan, write: Some(write), found });
        let mut plan = self.kept(bound.clone());
        for path in created.into_iter().flat_map(|pattern| pattern.paths) {
            bound.insert(path.variable);
            let path = PathParts { variable: path.variable, nodes: path.nodes, rels: path.rels };
            plan = LogicalPlan::BuildPath { input: Box::new(plan), path };
        }
        Partial { plan, bound, rows, cost, done: Default::default() }
    }

    /// Ends a stage that only keeps its rows.
    pub(super) fn keep(&mut self, mut plan: LogicalPlan, outputs: &[VariableId]) -> LogicalPlan {
        self.unnest(&mut plan);
        self.stages.push(LogicalStage { input: plan, write: None, found: None });
        self.kept(outputs.iter().copied().collect())
    }

    /// The rows of the last stage.
    fn kept(&self, variables: BTreeSet<VariableId>) -> LogicalPlan {
        let slot = self.stages.len();
        LogicalPlan::Kept { slot, variables, behind: slot }
    }

    /// What MERGE finds for the rows it works on, with the number of the row that it is found for.
    fn found(
        &mut self,
        merge: &BoundMerge,
        before: &BTreeSet<VariableId>,
        rows: f64,
    ) -> (LogicalPlan, VariableId) {
        let kind = VariableKind::Value(DataType::UInt64);
        let row = self.fresh(Variable { name: " row".to_owned(), kind });
        let mut bound = before.clone();
        bound.extend(merge.created.assignments().filter_map(|assignment| assignment.merged));
        bound.insert(row);
        let mut graph = QueryGraph::default();
        let (pattern, predicates) = (merge.matched.clone(), merge.predicates.clone());
        graph.add_match(&BoundMatch { optional: false, pattern, predicates }, &self.variables);
        let needed: BTreeSet<VariableId> = merge.created.created().chain([row]).collect();
        let plan = LogicalPlan::Kept { slot: 0, variables: bound.clone(), behind: 0 };
        let start = Partial { plan, bound, rows, cost: 0.0, done: Default::default() };
        (self.order(start, graph, BTreeMap::new(), needed, false).plan, row)
    }
}
