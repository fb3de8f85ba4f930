//! Queries that do more than match: with grouping, DISTINCT, ORDER BY and LIMIT, UNION or writes inside. The rows that
//! are asked about are kept once (`With`), the query runs over all of them together, carrying their numbers through
//! every projection (so that it groups, counts and limits for each of them), and its answers are joined to the rows by
//! these numbers.

mod calls;
mod projections;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::bound_by;
use super::build::Builder;
use super::join_order::Partial;
use super::logical_plan::{LogicalPlan, SettleKind};
use super::rewrite::variables_of;
use crate::binder::bound::{
    AggregateCall, BoundClause, BoundExpression, BoundSingleQuery, BoundSubquery, ExpressionKind, Variable,
    VariableId, VariableKind,
};
use crate::functions::{bind_struct_extract, bind_struct_pack, resolve_aggregate};
use crate::types::{DataType, Field, Value};

/// What a query about rows takes through all of its projections.
#[derive(Clone, Default)]
pub struct Carried {
    /// The number of the row, where rows are asked about all together.
    pub row: Option<VariableId>,
    /// The rows by their numbers.
    shared: BTreeSet<VariableId>,
    /// Variables of the rows.
    pub variables: BTreeSet<VariableId>,
}

impl Carried {
    /// Every variable that must not get lost.
    pub fn all(&self) -> impl Iterator<Item = VariableId> {
        self.row.into_iter().chain(self.variables.iter().copied())
    }
}

/// A variable as an expression.
pub fn variable_of_type(variable: VariableId, data_type: DataType) -> BoundExpression {
    BoundExpression { kind: ExpressionKind::Variable(variable), data_type, span: Default::default() }
}

impl Builder<'_> {
    /// Plans a query that takes nothing from any row, with what it puts out.
    fn alone(
        &mut self,
        branches: &[BoundSingleQuery],
        union_all: bool,
        needed: &BTreeSet<VariableId>,
    ) -> (LogicalPlan, Vec<VariableId>) {
        let mut inputs = Vec::with_capacity(branches.len());
        for branch in branches {
            let renames = std::mem::take(&mut self.renames);
            let lengths = std::mem::take(&mut self.lengths);
            let projects = branch.clauses.iter().any(|clause| matches!(clause, BoundClause::Project(_)));
            let variables = if projects { BTreeSet::new() } else { needed.clone() };
            let carried = Carried { variables, ..Carried::default() };
            let (end, outputs) = self.clauses(Partial::unit(), &branch.clauses, &carried);
            self.renames = renames;
            self.lengths = lengths;
            inputs.push((end.plan, outputs));
        }
        let outputs = inputs.first().map_or_else(Vec::new, |(_, outputs)| outputs.clone());
        match (inputs.len(), inputs.pop()) {
            (1, Some((plan, _))) => (plan, outputs),
            (_, Some(last)) => {
                inputs.push(last);
                (LogicalPlan::Union { inputs, all: union_all }, outputs)
            }
            (_, None) => (LogicalPlan::Unit, outputs),
        }
    }

    /// Asks a query that takes nothing from the rows: once, and its answer stands beside each of them.
    pub(super) fn ask_once(
        &mut self,
        plan: LogicalPlan,
        query: &BoundSubquery,
        kind: SettleKind,
    ) -> (LogicalPlan, Option<BoundExpression>) {
        let needed = query.value.as_ref().map_or_else(BTreeSet::new, variables_of);
        let (body, outputs) = self.alone(&query.branches, query.union_all, &needed);
        let outer = bound_by(&plan);
        let beside = |left: LogicalPlan, right: LogicalPlan| LogicalPlan::CrossProduct {
            left: Box::new(left),
            right: Box::new(right),
        };
        let (plan, answer) = match kind {
            SettleKind::Count(variable) => {
                let (input, keys) = (Box::new(body), Vec::new());
                let aggregates = match resolve_aggregate("count", &[]) {
                    Ok(function) => {
                        let data_type = function.result.clone();
                        let (function, arguments) = (Arc::new(function), Vec::new());
                        vec![(variable, AggregateCall { function, arguments, distinct: false, data_type })]
                    }
                    Err(_) => Vec::new(),
                };
                (beside(plan, LogicalPlan::Aggregate { input, keys, aggregates }), None)
            }
            SettleKind::Collect { value, .. } => {
                let row = self.row_variable();
                let value = match outputs.first() {
                    Some(output) => variable_of_type(*output, value.data_type.clone()),
                    None => value,
                };
                let mut together = Together { shared: LogicalPlan::Unit, row, own_row: row, body, outputs };
                let answer = self.collected(&mut together, &value, false);
                (beside(plan, together.body), answer)
            }
            kind => {
                let one = BoundExpression {
                    kind: ExpressionKind::Literal(Value::Int64(1)),
                    data_type: DataType::Int64,
                    span: Default::default(),
                };
                let first = LogicalPlan::Limit {
                    input: Box::new(body),
                    skip: None,
                    limit: Some(one),
                    ordered_for: None,
                };
                let row = self.row_variable();
                let number = LogicalPlan::Number { input: Box::new(plan), row, multiplied: false };
                let input = Box::new(beside(number, first));
                (LogicalPlan::Settle { input, row, outer, kind }, None)
            }
        };
        let mut plan = plan;
        self.unnest(&mut plan);
        (plan, answer)
    }

    /// Plans a query that is asked about all rows of a plan together.
    fn together(
        &mut self,
        plan: LogicalPlan,
        branches: &[BoundSingleQuery],
        union_all: bool,
        names: &BTreeMap<VariableId, VariableId>,
        rows: f64,
    ) -> Together {
        let outer = bound_by(&plan);
        let row = self.row_variable();
        let mut bound = outer.clone();
        bound.insert(row);
        let variables = names.values().copied().collect();
        let carried = Carried { row: Some(row), shared: outer.clone(), variables };
        let mut inputs = Vec::with_capacity(branches.len());
        let mut ends = Vec::new();
        for branch in branches {
            self.renames = names.clone();
            let lengths = std::mem::take(&mut self.lengths);
            let plan = LogicalPlan::Shared { row, variables: outer.clone(), multiplied: false };
            let start = Partial { plan, bound: bound.clone(), rows, cost: 0.0, done: Default::default() };
            let (end, outputs) = self.clauses(start, &branch.clauses, &carried);
            self.lengths = lengths;
            if ends.is_empty() {
                ends = outputs.clone();
            }
            inputs.push((end.plan, [&[row][..], &outputs[..]].concat()));
        }
        let body = match (inputs.len(), inputs.pop()) {
            (1, Some((plan, _))) => plan,
            (_, Some(last)) => {
                inputs.push(last);
                LogicalPlan::Union { inputs, all: union_all }
            }
            (_, None) => LogicalPlan::Unit,
        };
        // Beside the rows themselves the number needs another name.
        let own_row = self.row_variable();
        let mut items = Vec::with_capacity(ends.len() + 1);
        for end in &mut ends {
            let value = variable_of_type(*end, self.type_of(*end));
            if outer.contains(end) {
                // What the query passes through stands beside the row's own.
                let kind = self.variables[end.0 as usize].kind.clone();
                *end = self.fresh(Variable { name: " passed".to_owned(), kind });
            }
            items.push((*end, value));
        }
        items.push((own_row, variable_of_type(row, DataType::UInt64)));
        let body = LogicalPlan::Project { input: Box::new(body), items };
        Together { shared: plan, row, own_row, body, outputs: ends }
    }

    /// The kept rows beside what a query found for them.
    fn joined_by_row(
        &mut self,
        row: VariableId,
        own_row: VariableId,
        body: LogicalPlan,
        outer: &BTreeSet<VariableId>,
        kind: Option<SettleKind>,
    ) -> LogicalPlan {
        let (variables, multiplied) = (outer.clone(), true);
        let mut probe = LogicalPlan::Shared { row, variables, multiplied };
        let number = kind.as_ref().map(|_| self.row_variable());
        if let (Some(number), Some(kind)) = (number, &kind) {
            let multiplied = matches!(kind, SettleKind::Optional);
            probe = LogicalPlan::Number { input: Box::new(probe), row: number, multiplied };
        }
        let key = |variable| variable_of_type(variable, DataType::UInt64);
        let keys = vec![(key(row), key(own_row))];
        let plan = LogicalPlan::HashJoin { probe: Box::new(probe), build: Box::new(body), keys };
        match (number, kind) {
            (Some(row), Some(kind)) => {
                LogicalPlan::Settle { input: Box::new(plan), row, outer: outer.clone(), kind }
            }
            _ => plan,
        }
    }

    /// Asks a query of any clauses about each row of a plan. Gives what stands for its answer, where that is not the
    /// variable of `kind`.
    pub(super) fn ask_together(
        &mut self,
        plan: LogicalPlan,
        query: &BoundSubquery,
        names: &BTreeMap<VariableId, VariableId>,
        kind: SettleKind,
        rows: f64,
    ) -> (LogicalPlan, Option<BoundExpression>) {
        let outer = bound_by(&plan);
        let renames = self.renames.clone();
        let mut together = self.together(plan, &query.branches, query.union_all, names, rows);
        self.renames = renames;
        let row = together.row;
        let mut answer = None;
        let kind = match kind {
            SettleKind::Collect { value, .. } => {
                answer = self.collected_lists(&mut together, &value);
                SettleKind::Optional
            }
            SettleKind::Count(variable) => SettleKind::Count(variable),
            kind => {
                let variables = vec![together.own_row];
                together.body = LogicalPlan::Distinct { input: Box::new(together.body), variables };
                kind
            }
        };
        let plan = self.joined_by_row(row, together.own_row, together.body, &outer, Some(kind));
        let mut plan = LogicalPlan::With { shared: Box::new(together.shared), input: Box::new(plan), row };
        self.unnest(&mut plan);
        (plan, answer)
    }

    /// Puts the values of each row into a list. `collect` leaves NULL out, so they stand in structs meanwhile.
    fn collected_lists(
        &mut self,
        together: &mut Together,
        value: &BoundExpression,
    ) -> Option<BoundExpression> {
        let output = together.outputs.first().copied()?;
        let value = variable_of_type(output, value.data_type.clone());
        self.collected(together, &value, true)
    }

    /// The values of all rows as one list, or `by_row` as one for each number.
    fn collected(
        &mut self,
        together: &mut Together,
        value: &BoundExpression,
        by_row: bool,
    ) -> Option<BoundExpression> {
        let span = value.span;
        let wrapped =
            bind_struct_pack(vec![Field { name: "value".into(), data_type: value.data_type.clone() }]);
        let wrapped_type = wrapped.result.clone();
        let kind = ExpressionKind::Call { function: Arc::new(wrapped), arguments: vec![value.clone()] };
        let wrapped = BoundExpression { kind, data_type: wrapped_type.clone(), span };
        let function = resolve_aggregate("collect", std::slice::from_ref(&wrapped_type)).ok()?;
        let list_type = function.result.clone();
        let mut named = |data_type: DataType| {
            let kind = VariableKind::Value(data_type);
            self.fresh(Variable { name: " list".to_owned(), kind })
        };
        let (list, element, own_row) =
            (named(list_type.clone()), named(wrapped_type.clone()), named(DataType::UInt64));
        let call = AggregateCall {
            function: Arc::new(function),
            arguments: vec![wrapped],
            distinct: false,
            data_type: list_type.clone(),
        };
        let key = variable_of_type(together.own_row, DataType::UInt64);
        let body = std::mem::replace(&mut together.body, LogicalPlan::Unit);
        together.body = LogicalPlan::Aggregate {
            input: Box::new(body),
            keys: if by_row { vec![(own_row, key)] } else { Vec::new() },
            aggregates: vec![(list, call)],
        };
        together.own_row = own_row;
        let extract = bind_struct_extract(&wrapped_type, "value").ok()?;
        let kind = ExpressionKind::Call {
            function: Arc::new(extract),
            arguments: vec![variable_of_type(element, wrapped_type)],
        };
        let map = Some(Box::new(BoundExpression { kind, data_type: value.data_type.clone(), span }));
        let list = variable_of_type(list, list_type);
        let data_type = DataType::list(value.data_type.clone());
        let kind = ExpressionKind::ListComprehension {
            variable: element,
            list: Box::new(list.clone()),
            filter: None,
            map,
        };
        let values = BoundExpression { kind, data_type, span };
        Some(or_default(values, list, Value::List(Vec::new())))
    }
}

/// A query about rows that are kept.
struct Together {
    shared: LogicalPlan,
    /// The number of the kept rows, and its name in what the query puts out.
    row: VariableId,
    own_row: VariableId,
    body: LogicalPlan,
    outputs: Vec<VariableId>,
}

/// `CASE WHEN given IS NULL THEN default ELSE value END`.
fn or_default(value: BoundExpression, given: BoundExpression, default: Value) -> BoundExpression {
    let (data_type, span) = (value.data_type.clone(), value.span);
    let expression = |kind, data_type| BoundExpression { kind, data_type, span };
    let is_null =
        expression(ExpressionKind::IsNull { operand: Box::new(given), negated: false }, DataType::Bool);
    let default = expression(ExpressionKind::Literal(default), data_type.clone());
    let branches = vec![(is_null, default)];
    expression(ExpressionKind::Case { branches, otherwise: Some(Box::new(value)) }, data_type)
}
