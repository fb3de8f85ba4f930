//! Sub-plans: patterns that are asked about the rows of a plan. The rows are numbered, the pattern is planned on top of
//! them like any other match, so that it starts from what they bind or from a join with them, and its end settles
//! which rows it found something for. OPTIONAL MATCH is the left join among these.

use std::collections::{BTreeMap, BTreeSet};

use super::build::{Asked, Builder, Waiting, extend_by_paths};
use super::inputs_of;
use super::join_order::Partial;
use super::logical_plan::{LogicalPlan, SettleKind};
use super::query_graph::QueryGraph;
use super::unroll::unroll;
use crate::binder::bound::{
    BoundExpression, BoundMatch, BoundProjection, ExpressionKind, Variable, VariableId, VariableKind,
};
use crate::types::DataType;

/// Whether the rows of a plan are numbered: then they have to stream through whatever is put on top.
pub fn is_numbered(plan: &LogicalPlan) -> bool {
    match plan {
        LogicalPlan::Number { .. } => true,
        // Its sub-plan is over; what it stands on may be part of another one.
        LogicalPlan::Settle { input, row, .. } => below(input, *row).is_some_and(is_numbered),
        LogicalPlan::HashJoin { probe, .. } => is_numbered(probe),
        LogicalPlan::CrossProduct { left, .. } => is_numbered(left),
        plan => inputs_of(plan).any(is_numbered),
    }
}

/// The plan whose rows are numbered by `row`.
fn below(plan: &LogicalPlan, row: VariableId) -> Option<&LogicalPlan> {
    match plan {
        LogicalPlan::Number { input, row: own, .. } if *own == row => Some(input),
        plan => inputs_of(plan).find_map(|input| below(input, row)),
    }
}

impl Builder<'_> {
    /// Adds a match to a graph; nodes that may be NULL have to be there.
    pub(super) fn add_match(&mut self, graph: &mut QueryGraph, matched: &BoundMatch) {
        graph.add_match(matched, &self.variables);
        for variable in &matched.pattern.nodes {
            if self.nullable.contains(variable) {
                graph.add_predicate(is_there(*variable));
                if !matched.optional {
                    self.nullable.remove(variable);
                }
            }
        }
    }

    /// Takes note of nodes and relationships that a projection may put out as NULL.
    pub(super) fn note_nullable(&mut self, projection: &BoundProjection) {
        for item in &projection.items {
            let nullable = match &item.expression.kind {
                ExpressionKind::Variable(variable) => self.nullable.contains(variable),
                _ => true,
            };
            if nullable {
                self.nullable.insert(item.variable);
            }
        }
    }

    /// A number for the rows that a sub-plan is asked about.
    pub(super) fn row_variable(&mut self) -> VariableId {
        self.fresh(Variable { name: " row".to_owned(), kind: VariableKind::Value(DataType::UInt64) })
    }

    /// Extends the rows by what a pattern finds for them, or by NULLs, as far as that is asked for.
    pub(super) fn optional(&mut self, current: Partial, optional: Waiting) -> Partial {
        let Waiting { matched, asked, needed } = optional;
        if asked == Asked::Nothing {
            return current;
        }
        let mut graph = QueryGraph::default();
        self.add_match(&mut graph, &matched);
        if let Some(kind) = asked.kind() {
            return self.settled_graph(current, graph, BTreeSet::new(), kind);
        }
        let outer = current.bound.clone();
        let (inner, row) = self.sub_plan(current.clone(), graph.clone(), needed.clone(), true, false);
        let kind = match matched.pattern.nodes.iter().any(|node| self.is_beside(*node, &outer))
            || matched.pattern.edges.iter().any(|edge| self.is_beside(edge.variable, &outer))
        {
            true => SettleKind::Beside,
            false => SettleKind::Optional,
        };
        let extended = match self.optional_joined(&current, &inner, graph, (needed, &kind)) {
            Some(joined) => joined,
            None => {
                let mut bound = inner.bound;
                bound.remove(&row);
                let (input, outer) = (Box::new(inner.plan), outer.clone());
                let plan = LogicalPlan::Settle { input, row, outer, kind };
                Partial {
                    plan,
                    bound,
                    rows: inner.rows.max(current.rows),
                    cost: inner.cost,
                    done: current.done,
                }
            }
        };
        self.nullable.extend(extended.bound.difference(&outer));
        extended
    }

    /// Whether an optional match that binds a variable is put beside others.
    fn is_beside(&self, variable: VariableId, outer: &BTreeSet<VariableId>) -> bool {
        self.beside.contains(&variable) && !outer.contains(&variable)
    }

    /// Numbers the rows and plans a graph on top of them.
    pub(super) fn sub_plan(
        &mut self,
        current: Partial,
        mut graph: QueryGraph,
        mut needed: BTreeSet<VariableId>,
        multiplied: bool,
        duplicates_irrelevant: bool,
    ) -> (Partial, VariableId) {
        let row = self.row_variable();
        extend_by_paths(&graph, &mut needed);
        unroll(&mut graph, &mut self.variables, &|v| needed.contains(&v));
        needed.insert(row);
        let mut bound = current.bound;
        bound.insert(row);
        let plan = LogicalPlan::Number { input: Box::new(current.plan), row, multiplied };
        let start = Partial { plan, bound, ..current };
        (self.order(start, graph, BTreeMap::new(), needed, duplicates_irrelevant), row)
    }
}

/// `variable IS NOT NULL`.
fn is_there(variable: VariableId) -> BoundExpression {
    let expression = |kind, data_type| BoundExpression { kind, data_type, span: Default::default() };
    let operand = Box::new(expression(ExpressionKind::Variable(variable), DataType::Node));
    expression(ExpressionKind::IsNull { operand, negated: true }, DataType::Bool)
}
