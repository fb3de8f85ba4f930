//! Projections inside queries about rows: what is carried goes through them, and groupings without keys have a row for
//! each of the rows.

use super::{Carried, or_default, variable_of_type};
use crate::binder::bound::{
    BoundExpression, BoundProjection, ExpressionKind, ProjectionItem, SortKey, Variable, VariableId,
    VariableKind,
};
use crate::planner::bound_by;
use crate::planner::build::Builder;
use crate::planner::join_order::Partial;
use crate::planner::logical_plan::{LogicalPlan, SettleKind};
use crate::planner::query_graph::QueryGraph;
use crate::planner::rewrite::replace;
use crate::types::{DataType, Value};

impl Builder<'_> {
    /// A projection inside a query about rows: everything carried goes through it, it groups for each row, and a
    /// grouping without keys has a row for each of them.
    pub(in crate::planner) fn project_each(
        &mut self,
        current: Partial,
        graph: Option<QueryGraph>,
        mut projection: BoundProjection,
        carried: &Carried,
    ) -> Partial {
        let aggregated = |item: &ProjectionItem| {
            let mut found = false;
            item.expression.walk(&mut |node| found |= matches!(node.kind, ExpressionKind::Aggregate(_)));
            found
        };
        let without_keys = projection.grouped && projection.items.iter().all(aggregated);
        let (mut current, mut graph) = (current, graph);
        if let (true, Some(row)) = (without_keys, carried.row) {
            current = self.totals(current, graph.take(), &mut projection, row, carried);
        }
        for variable in carried.all() {
            if !projection.items.iter().any(|item| item.variable == variable) {
                let expression = variable_of_type(variable, self.type_of(variable));
                projection.items.push(ProjectionItem { expression, variable });
            }
        }
        let Some(row) = carried.row else { return self.project(current, graph, projection) };
        let (skip, limit) = (projection.skip.take(), projection.limit.take());
        if skip.is_none() && limit.is_none() {
            return self.project(current, graph, projection);
        }
        let predicates = std::mem::take(&mut projection.predicates);
        let expression = variable_of_type(row, DataType::UInt64);
        projection.order_by.insert(0, SortKey { expression, descending: false });
        let mut partial = self.project(current, graph, projection);
        partial.plan = LogicalPlan::LimitEach { input: Box::new(partial.plan), row, skip, limit };
        if !predicates.is_empty() {
            partial.plan = LogicalPlan::Filter { input: Box::new(partial.plan), predicates };
        }
        partial
    }

    /// The aggregates of a grouping without keys, for every row: one that nothing was found for has the values of no
    /// rows. The projection then only reads them.
    fn totals(
        &mut self,
        current: Partial,
        graph: Option<QueryGraph>,
        projection: &mut BoundProjection,
        row: VariableId,
        carried: &Carried,
    ) -> Partial {
        let calls = std::mem::take(&mut projection.aggregates);
        let mut items =
            vec![ProjectionItem { expression: variable_of_type(row, DataType::UInt64), variable: row }];
        let mut values = Vec::with_capacity(calls.len());
        for (at, call) in calls.iter().enumerate() {
            let name = format!(" total{at}");
            let variable = self.fresh(Variable { name, kind: VariableKind::Value(call.data_type.clone()) });
            let kind = ExpressionKind::Aggregate(at as u32);
            let expression =
                BoundExpression { kind, data_type: call.data_type.clone(), span: Default::default() };
            items.push(ProjectionItem { expression, variable });
            let total = variable_of_type(variable, call.data_type.clone());
            values.push(match call.function.of_nothing() {
                Ok(Value::Null) | Err(_) => total,
                Ok(value) => or_default(total.clone(), total, value),
            });
        }
        let grouping = BoundProjection { aggregates: calls, grouped: true, ..BoundProjection::of(items) };
        let totals = self.project(current, graph, grouping);
        let own_row = self.row_variable();
        let mut outputs: Vec<(VariableId, BoundExpression)> = totals
            .bound
            .iter()
            .filter(|variable| **variable != row)
            .map(|variable| (*variable, variable_of_type(*variable, self.type_of(*variable))))
            .collect();
        outputs.push((own_row, variable_of_type(row, DataType::UInt64)));
        let body = LogicalPlan::Project { input: Box::new(totals.plan), items: outputs };
        let (variables, number) = (carried.shared.clone(), self.row_variable());
        let probe = LogicalPlan::Shared { row, variables, multiplied: false };
        let outer = bound_by(&probe);
        let probe = LogicalPlan::Number { input: Box::new(probe), row: number, multiplied: false };
        let key = |variable| variable_of_type(variable, DataType::UInt64);
        let keys = vec![(key(row), key(own_row))];
        let joined = LogicalPlan::HashJoin { probe: Box::new(probe), build: Box::new(body), keys };
        let mut bound = totals.bound;
        bound.extend(&outer);
        let kind = SettleKind::Optional;
        let plan = LogicalPlan::Settle { input: Box::new(joined), row: number, outer, kind };
        let read = |expression: &BoundExpression| {
            replace(expression, &|e| match e.kind {
                ExpressionKind::Aggregate(at) => values.get(at as usize).cloned(),
                _ => None,
            })
        };
        projection.grouped = false;
        projection.items.iter_mut().for_each(|item| item.expression = read(&item.expression));
        projection.order_by.iter_mut().for_each(|key| key.expression = read(&key.expression));
        Partial { plan, bound, rows: totals.rows, cost: totals.cost, done: Default::default() }
    }
}
