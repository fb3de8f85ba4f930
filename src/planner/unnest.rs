//! Queries inside expressions become sub-plans below the operator that asks: a condition that is one becomes a semi or
//! an anti join, any other use a mark, a count or a list per row. Nothing is run once per row.

mod patterns;

use std::collections::BTreeMap;

use super::build::{Builder, limit_of};
use super::decorrelate::{Carried, variable_of_type};
use super::inputs_mut;
use super::join_order::Partial;
use super::logical_plan::{LogicalPlan, SettleKind};
use super::rewrite::{conjuncts, replace, same_expression, variables_of, walk_mut};
use super::saturated::saturated;
use super::{bound_by, inputs_of};
use crate::binder::bound::{
    BoundClause, BoundExpression, BoundSubquery, BoundWrite, ExpressionKind, SortKey, SubqueryKind, Variable,
    VariableId, VariableKind, is_row_by_row,
};
use crate::types::{DataType, Value};

impl Builder<'_> {
    /// Replaces all queries inside the expressions of a plan.
    pub(super) fn unnest(&mut self, plan: &mut LogicalPlan) {
        let (around, below) = (self.rows_wanted, self.wanted_below(plan));
        for input in inputs_mut(plan) {
            self.rows_wanted = below;
            self.unnest(input);
        }
        self.rows_wanted = around;
        match plan {
            LogicalPlan::Filter { input, predicates }
                if predicates.iter().any(BoundExpression::has_subquery) =>
            {
                let (input, predicates) = (take(input), std::mem::take(predicates));
                *plan = self.filtered(input, predicates);
            }
            LogicalPlan::Project { input, items } => {
                let own = items.iter_mut().map(|(_, item)| item).collect();
                self.extract(input, own);
            }
            LogicalPlan::Aggregate { input, keys, aggregates } => {
                let arguments = aggregates.iter_mut().flat_map(|(_, call)| &mut call.arguments);
                self.extract(input, keys.iter_mut().map(|(_, key)| key).chain(arguments).collect());
            }
            LogicalPlan::Sort { input, keys } | LogicalPlan::TopK { input, keys, .. } => {
                self.extract(input, keys.iter_mut().map(|key| &mut key.expression).collect());
            }
            LogicalPlan::Unwind { input, list, .. } | LogicalPlan::LookupElements { input, list, .. } => {
                self.extract(input, vec![list]);
            }
            LogicalPlan::LookupNode { input, key, .. } => self.extract(input, key.iter_mut().collect()),
            LogicalPlan::HashJoin { probe, build, keys } => {
                let (left, right): (Vec<_>, Vec<_>) = keys.iter_mut().map(|(a, b)| (a, b)).unzip();
                self.extract(probe, left);
                self.extract(build, right);
            }
            _ => {}
        }
    }

    /// Of a plan's inputs so many rows are asked for, where a LIMIT above says so.
    fn wanted_below(&self, plan: &LogicalPlan) -> Option<f64> {
        match plan {
            LogicalPlan::Limit { skip, limit: Some(limit), .. } => Some(limit_of(skip.as_ref(), Some(limit))),
            LogicalPlan::Project { .. } | LogicalPlan::Filter { .. } => self.rows_wanted,
            _ => None,
        }
    }

    /// The values of a writing clause are asked for before it writes.
    pub(super) fn unnest_write(&mut self, plan: &mut LogicalPlan, write: &mut BoundWrite) {
        let mut asked = false;
        write.each_expression(&mut |value| asked |= value.has_subquery());
        if asked {
            write.each_expression_mut(&mut |value| self.extract(plan, vec![value]));
        }
        self.unnest(plan);
    }

    /// The plan with the answers to the queries in the expressions, which then refer to these.
    fn extract(&mut self, plan: &mut LogicalPlan, expressions: Vec<&mut BoundExpression>) {
        // Rows may come back from a query in any order, so those that were sorted are sorted again.
        let order =
            expressions.iter().any(|expression| expression.has_subquery()).then(|| order_of(plan)).flatten();
        for expression in expressions {
            if !expression.has_subquery() {
                continue;
            }
            walk_mut(expression, &mut |node| {
                let ExpressionKind::Subquery(query) = &node.kind else { return };
                let kind = VariableKind::Value(node.data_type.clone());
                let answer = self.fresh(Variable { name: " answer".to_owned(), kind });
                let settle = match query.kind {
                    SubqueryKind::Exists => SettleKind::Mark(answer),
                    SubqueryKind::Count => SettleKind::Count(answer),
                    SubqueryKind::Collect => {
                        let null = BoundExpression {
                            kind: ExpressionKind::Literal(Value::Null),
                            data_type: DataType::Null,
                            span: node.span,
                        };
                        let value = query.value.clone().unwrap_or(null);
                        SettleKind::Collect { variable: answer, value }
                    }
                };
                let (asked, instead) = self.ask(take(plan), query, settle);
                *plan = asked;
                node.kind = instead.map_or(ExpressionKind::Variable(answer), |instead| instead.kind);
            });
        }
        if let Some(keys) = order {
            *plan = LogicalPlan::Sort { input: Box::new(take(plan)), keys };
        }
    }

    /// A filter in which some conjuncts ask queries: these come after all others.
    fn filtered(&mut self, input: LogicalPlan, predicates: Vec<BoundExpression>) -> LogicalPlan {
        let (asking, plain): (Vec<_>, Vec<_>) =
            conjuncts(predicates).into_iter().partition(BoundExpression::has_subquery);
        let filter = |plan, predicates: Vec<_>| match predicates.is_empty() {
            true => plan,
            false => LogicalPlan::Filter { input: Box::new(plan), predicates },
        };
        let mut plan = filter(input, plain);
        let mut rest = Vec::new();
        for predicate in asking {
            match existence(&predicate) {
                Some((query, true)) => plan = self.ask(plan, query, SettleKind::Exists).0,
                Some((query, false)) => plan = self.ask(plan, query, SettleKind::Absent).0,
                None => rest.push(predicate),
            }
        }
        self.extract(&mut plan, rest.iter_mut().collect());
        filter(plan, rest)
    }

    /// Asks a query about each row of a plan. Gives what stands for the answer, if that is not the variable of `kind`.
    fn ask(
        &mut self,
        plan: LogicalPlan,
        query: &BoundSubquery,
        kind: SettleKind,
    ) -> (LogicalPlan, Option<BoundExpression>) {
        let nullable = self.nullable.clone();
        let asked = self.ask_about(plan, query, kind);
        // What is matched inside need not be there outside.
        self.nullable.extend(nullable);
        asked
    }

    fn ask_about(
        &mut self,
        plan: LogicalPlan,
        query: &BoundSubquery,
        kind: SettleKind,
    ) -> (LogicalPlan, Option<BoundExpression>) {
        if query.imports.is_empty() {
            return self.ask_once(plan, query, kind);
        }
        let (plan, names) = self.imported(plan, query);
        let rows = self.rows_of(&plan);
        if !is_row_by_row(&query.branches) {
            return self.ask_together(plan, query, &names, kind, rows);
        }
        let outer = bound_by(&plan);
        let renames = std::mem::replace(&mut self.renames, names);
        let lengths = std::mem::take(&mut self.lengths);
        let start = Partial { plan, bound: outer.clone(), rows, cost: 0.0, done: Default::default() };
        let mut settled = match is_one_graph(query) {
            true => self.ask_graph(start, query, kind),
            false => {
                let (inner, row, kind) = self.ask_clauses(start, query, kind);
                LogicalPlan::Settle { input: Box::new(inner), row, outer, kind }
            }
        };
        self.renames = renames;
        self.lengths = lengths;
        let wanted = self.rows_wanted.take();
        self.unnest(&mut settled);
        self.rows_wanted = wanted;
        (settled, None)
    }

    /// Clauses of which each takes row after row.
    fn ask_clauses(
        &mut self,
        start: Partial,
        query: &BoundSubquery,
        mut kind: SettleKind,
    ) -> (LogicalPlan, VariableId, SettleKind) {
        let row = self.row_variable();
        let mut carried = Carried::default();
        carried.variables.extend(self.renames.values());
        carried.variables.insert(row);
        let mut bound = start.bound;
        bound.insert(row);
        let plan = LogicalPlan::Number { input: Box::new(start.plan), row, multiplied: false };
        let start = Partial { plan, bound, ..start };
        let clauses = query.branches.first().map_or(&[][..], |branch| &branch.clauses);
        let (end, outputs) = self.clauses(start, clauses, &carried);
        if let (SettleKind::Collect { value, .. }, Some(output)) = (&mut kind, outputs.first())
            && matches!(clauses.last(), Some(BoundClause::Project(_)))
        {
            value.kind = ExpressionKind::Variable(*output);
        }
        (end.plan, row, kind)
    }

    /// What the query's imports are called in the plan; values that have no name there get one.
    fn imported(
        &mut self,
        mut plan: LogicalPlan,
        query: &BoundSubquery,
    ) -> (LogicalPlan, BTreeMap<VariableId, VariableId>) {
        let mut names = BTreeMap::new();
        for (own, value) in &query.imports {
            if let ExpressionKind::Variable(known) = value.kind {
                names.insert(*own, known);
                continue;
            }
            let pass = |variable: VariableId| {
                let data_type = self.type_of(variable);
                let kind = ExpressionKind::Variable(variable);
                (variable, BoundExpression { kind, data_type, span: value.span })
            };
            let mut items: Vec<_> = bound_by(&plan).into_iter().map(pass).collect();
            items.retain(|(variable, _)| variable != own);
            items.push((*own, value.clone()));
            plan = LogicalPlan::Project { input: Box::new(plan), items };
        }
        (plan, names)
    }

    pub(super) fn type_of(&self, variable: VariableId) -> DataType {
        match self.variables.get(variable.0 as usize).map(|variable| &variable.kind) {
            Some(VariableKind::Node { .. }) => DataType::Node,
            Some(VariableKind::Rel { .. }) => DataType::Rel,
            Some(VariableKind::RelList { .. }) => DataType::list(DataType::Rel),
            Some(VariableKind::Path) => DataType::Path,
            Some(VariableKind::Value(data_type)) => data_type.clone(),
            None => DataType::Any,
        }
    }

    /// About how many rows a plan puts out.
    fn rows_of(&self, plan: &LogicalPlan) -> f64 {
        use LogicalPlan as L;
        let estimator = &self.estimator;
        let below = |input: &LogicalPlan| self.rows_of(input);
        saturated(match plan {
            L::Unit | L::Kept { .. } => 1.0,
            L::Shared { .. } => 1000.0,
            L::ScanNodes { tables, predicates, .. } => {
                let rows: f64 = tables.iter().map(|table| estimator.rows(*table)).sum();
                rows * estimator.selectivity_of_all(predicates)
            }
            L::ScanWeighted { weights, .. } => {
                let tables = weights.terms.iter().take(1).flat_map(|(_, root)| &root.tables);
                tables.map(|table| estimator.rows(*table)).sum()
            }
            L::ScanRels { edge, predicates } => {
                estimator.edges(&edge.legs) * estimator.selectivity_of_all(predicates)
            }
            L::Expand { input, edge, target } => {
                let from: Vec<_> = edge.legs.iter().map(|leg| leg.from_table()).collect();
                below(input) * estimator.fanout(&edge.legs, &from) * estimator.selectivity_of_all(target)
            }
            L::ExpandRecursive { input, .. } => below(input) * 100.0,
            L::Filter { input, predicates } => below(input) * estimator.selectivity_of_all(predicates),
            L::Aggregate { input, keys, .. } => {
                if keys.is_empty() {
                    1.0
                } else {
                    below(input).sqrt().max(1.0)
                }
            }
            L::TopK { .. } => 10.0,
            L::Unwind { input, .. } => below(input) * 10.0,
            L::HashJoin { probe, build, .. } => below(probe).max(below(build)),
            L::CrossProduct { left, right } => below(left) * below(right),
            L::Union { inputs, .. } => inputs.iter().map(|(input, _)| below(input)).sum(),
            plan => inputs_of(plan).map(below).fold(0.0, f64::max),
        })
    }
}

/// The query that a condition asks for rows of, and whether there must be one.
pub(super) fn existence(predicate: &BoundExpression) -> Option<(&BoundSubquery, bool)> {
    match &predicate.kind {
        ExpressionKind::Subquery(query) if query.kind == SubqueryKind::Exists => Some((query, true)),
        ExpressionKind::Not(operand) => existence(operand).map(|(query, exists)| (query, !exists)),
        ExpressionKind::Call { function, arguments } => {
            let [left, right] = &arguments[..] else { return None };
            let (query, bound, operator) = match (&left.kind, &right.kind) {
                (ExpressionKind::Subquery(query), ExpressionKind::Literal(bound)) => {
                    (query, bound, function.name)
                }
                (ExpressionKind::Literal(bound), ExpressionKind::Subquery(query)) => {
                    (query, bound, super::selectivity::mirrored(function.name))
                }
                _ => return None,
            };
            let Value::Int64(bound) = bound else { return None };
            let exists = match (operator, bound) {
                (">", 0) | (">=", 1) | ("<>", 0) => true,
                ("=" | "<=", 0) | ("<", 1) => false,
                _ => return None,
            };
            (query.kind == SubqueryKind::Count).then_some((query, exists))
        }
        _ => None,
    }
}

/// Whether all clauses of a query are matches of one graph.
fn is_one_graph(query: &BoundSubquery) -> bool {
    let clauses = query.branches.first().map_or(&[][..], |branch| &branch.clauses);
    clauses.iter().enumerate().all(|(at, clause)| match clause {
        BoundClause::Match(matched) => !matched.optional,
        BoundClause::Project(projection) => {
            let as_is = |e: &BoundExpression| matches!(e.kind, ExpressionKind::Variable(_));
            at + 1 == clauses.len() && projection.is_return
                || projection.items.iter().all(|item| as_is(&item.expression))
        }
        _ => false,
    })
}

fn take(plan: &mut LogicalPlan) -> LogicalPlan {
    std::mem::replace(plan, LogicalPlan::Unit)
}

/// What the rows of a plan are sorted by, if that can still be told from them.
fn order_of(plan: &LogicalPlan) -> Option<Vec<SortKey>> {
    match plan {
        LogicalPlan::Sort { keys, .. } | LogicalPlan::TopK { keys, .. } => Some(keys.clone()),
        LogicalPlan::Limit { input, .. } => order_of(input),
        LogicalPlan::Filter { input, .. } => order_of(input),
        LogicalPlan::Project { input, items } => {
            let output = |value: &BoundExpression| {
                let same = items.iter().find(|(_, item)| same_expression(item, value));
                same.map(|(output, _)| variable_of_type(*output, value.data_type.clone()))
            };
            let mut keys = order_of(input)?;
            for key in &mut keys {
                key.expression = replace(&key.expression, &output);
                let outputs = variables_of(&key.expression);
                if !outputs.iter().all(|used| items.iter().any(|(output, _)| output == used)) {
                    return None;
                }
            }
            Some(keys)
        }
        _ => None,
    }
}
