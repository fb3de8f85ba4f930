//! WITH and RETURN: grouping keys reduced to what determines them, sorting before projecting so that only the rows
//! that survive a LIMIT have their other columns fetched.

use std::collections::{BTreeMap, BTreeSet};

use super::build::Builder;
use super::cardinality::{Estimator, ListLengths, list_length, literal_count};
use super::common;
use super::join_order::{Done, Partial};
use super::logical_plan::LogicalPlan;
use super::rewrite::{conjuncts, rename_expression, replace, same_expression, variables_of};
use crate::binder::bound::{
    AggregateCall, BoundExpression, BoundProjection, ExpressionKind, SortKey, Variable, VariableId,
    VariableKind,
};
use crate::types::{ColumnId, DataType, TableId};

/// A projection ready to plan.
pub struct Shape {
    grouped: bool,
    distinct: bool,
    keys: Vec<(VariableId, BoundExpression)>,
    aggregates: Vec<(VariableId, AggregateCall)>,
    /// Over the input, or over keys and aggregates when grouped.
    items: Vec<(VariableId, BoundExpression)>,
    /// Likewise, unless `distinct`: then over the outputs.
    order_by: Vec<SortKey>,
    skip: Option<BoundExpression>,
    limit: Option<BoundExpression>,
    predicates: Vec<BoundExpression>,
    /// `order_by` is over the outputs all the same.
    order_after: bool,
}

impl Shape {
    /// Simplifies a projection.
    pub fn of(projection: BoundProjection, estimator: &Estimator<'_>, builder: &mut Builder<'_>) -> Shape {
        let mut shape = Shape {
            grouped: projection.grouped,
            distinct: projection.distinct,
            keys: Vec::new(),
            aggregates: Vec::new(),
            items: projection.items.iter().map(|item| (item.variable, item.expression.clone())).collect(),
            order_by: projection.order_by,
            skip: projection.skip,
            limit: projection.limit,
            predicates: conjuncts(projection.predicates),
            order_after: false,
        };
        if projection.grouped {
            shape.group(projection.aggregates, estimator, builder);
        }
        if !shape.distinct {
            shape.order_before();
            if !shape.order_after && !shape.grouped {
                shape.order_by.iter_mut().for_each(|key| builder.lengths.rewrite(&mut key.expression));
            }
        }
        if shape.grouped && !shape.order_after {
            shape.rewrite_sort_keys_after_grouping();
        }
        shape
    }

    /// Sort keys over the outputs become keys over the input, so that rows are sorted before they are projected; unless
    /// a key asks something of an entity that only the projection finds.
    fn order_before(&mut self) {
        let stands_for = |variable: VariableId| {
            let item = self.items.iter().find(|(output, _)| *output == variable);
            item.map(|(_, expression)| expression)
        };
        let name = |variable: VariableId| match stands_for(variable).map(|expression| &expression.kind) {
            Some(ExpressionKind::Variable(input)) => *input,
            _ => variable,
        };
        let mut keys = self.order_by.clone();
        for key in &mut keys {
            key.expression = replace(&key.expression, &|e| match e.kind {
                ExpressionKind::Variable(v) => stands_for(v).cloned(),
                _ => None,
            });
            rename_expression(&mut key.expression, &name);
        }
        let new = |variable: &VariableId| {
            stands_for(*variable)
                .is_some_and(|e| !matches!(e.kind, ExpressionKind::Variable(v) if v == *variable))
        };
        let mut left = keys.iter().flat_map(|key| variables_of(&key.expression));
        self.order_after = left.any(|variable| new(&variable));
        if !self.order_after {
            self.order_by = keys;
        }
    }

    /// Takes out what several expressions compute, if rows are not left out before they are computed.
    pub fn share(&mut self, builder: &mut Builder<'_>) -> Vec<(VariableId, BoundExpression)> {
        let before = !self.distinct && !self.order_after;
        let mut expressions: Vec<&mut BoundExpression> = if self.grouped {
            let arguments = self.aggregates.iter_mut().flat_map(|(_, call)| &mut call.arguments);
            self.keys.iter_mut().map(|(_, key)| key).chain(arguments).collect()
        } else if self.limit.is_none() {
            let sorted = self.order_by.iter_mut().filter(|_| before).map(|key| &mut key.expression);
            self.items.iter_mut().map(|(_, item)| item).chain(sorted).collect()
        } else {
            Vec::new()
        };
        common::share(&mut expressions, &mut |common| {
            let kind = VariableKind::Value(common.data_type.clone());
            builder.fresh(Variable { name: " shared".to_owned(), kind })
        })
    }

    /// Splits the items into keys and aggregates. Keys that are determined by a node whose primary key (or which
    /// itself) is among them are replaced by that node.
    fn group(&mut self, calls: Vec<AggregateCall>, estimator: &Estimator<'_>, builder: &mut Builder<'_>) {
        let has_aggregate = |e: &BoundExpression| {
            let mut found = false;
            e.walk(&mut |node| found |= matches!(node.kind, ExpressionKind::Aggregate(_)));
            found
        };
        let keys: Vec<(VariableId, BoundExpression)> =
            self.items.iter().filter(|(_, expression)| !has_aggregate(expression)).cloned().collect();
        let nodes: BTreeSet<VariableId> =
            keys.iter().filter_map(|(_, key)| determining_node(key, estimator, builder)).collect();
        let determined = |e: &BoundExpression| {
            let used = variables_of(e);
            !used.is_empty() && used.is_subset(&nodes) && !e.is_volatile()
        };
        for node in &nodes {
            let data_type = DataType::Node;
            let kind = ExpressionKind::Variable(*node);
            self.keys.push((*node, BoundExpression { kind, data_type, span: Default::default() }));
        }
        for (variable, key) in &keys {
            if !determined(key) && !self.keys.iter().any(|(_, known)| same_expression(known, key)) {
                self.keys.push((*variable, key.clone()));
            }
        }
        for mut call in calls {
            simplify_call(&mut call, estimator, builder);
            let name = format!(" aggregate{}", self.aggregates.len());
            let kind = VariableKind::Value(call.data_type.clone());
            self.aggregates.push((builder.fresh(Variable { name, kind }), call));
        }
        let items = std::mem::take(&mut self.items);
        self.items =
            items.into_iter().map(|(variable, item)| (variable, self.after_grouping(&item))).collect();
    }

    /// An expression over the group's keys and aggregates.
    fn after_grouping(&self, expression: &BoundExpression) -> BoundExpression {
        replace(expression, &|e| {
            let variable = match &e.kind {
                ExpressionKind::Aggregate(at) => {
                    self.aggregates.get(*at as usize).map(|(variable, _)| *variable)
                }
                _ => self.keys.iter().find(|(_, key)| same_expression(key, e)).map(|(variable, _)| *variable),
            }?;
            let kind = ExpressionKind::Variable(variable);
            Some(BoundExpression { kind, data_type: e.data_type.clone(), span: e.span })
        })
    }

    fn rewrite_sort_keys_after_grouping(&mut self) {
        let keys = std::mem::take(&mut self.order_by);
        self.order_by = keys
            .into_iter()
            .map(|key| SortKey { expression: self.after_grouping(&key.expression), ..key })
            .collect();
    }

    /// Variables the input must bind.
    pub fn needed(&self) -> BTreeSet<VariableId> {
        let mut needed = BTreeSet::new();
        if self.grouped {
            self.keys.iter().for_each(|(_, key)| needed.extend(variables_of(key)));
            let arguments = self.aggregates.iter().flat_map(|(_, call)| &call.arguments);
            arguments.for_each(|argument| needed.extend(variables_of(argument)));
        } else {
            self.items.iter().for_each(|(_, item)| needed.extend(variables_of(item)));
            if !self.distinct {
                self.order_by.iter().for_each(|key| needed.extend(variables_of(&key.expression)));
            }
        }
        needed
    }

    /// The aggregates by the one variable that each reads, where there are no keys; one that reads none goes with others.
    pub fn aggregates_by_variable(&self) -> Option<BTreeMap<VariableId, Vec<(VariableId, AggregateCall)>>> {
        if !self.grouped || !self.keys.is_empty() {
            return None;
        }
        let (mut parts, mut rows) = (BTreeMap::<_, Vec<_>>::new(), Vec::new());
        for aggregate in &self.aggregates {
            let read: BTreeSet<VariableId> = aggregate.1.arguments.iter().flat_map(variables_of).collect();
            match read.iter().copied().collect::<Vec<_>>()[..] {
                [] => rows.push(aggregate.clone()),
                [only] => parts.entry(only).or_default().push(aggregate.clone()),
                _ => return None,
            }
        }
        parts.values_mut().next()?.extend(rows);
        Some(parts)
    }

    /// The same projection over rows that have the aggregates already.
    pub fn over_aggregates(self) -> Shape {
        Shape { grouped: false, keys: Vec::new(), aggregates: Vec::new(), ..self }
    }

    /// How many elements the lists have that are put out: those that are collected as many as a group has rows.
    pub fn list_lengths(
        &self,
        input: &Partial,
        estimator: &Estimator<'_>,
        (variables, known): (&[Variable], &ListLengths),
    ) -> ListLengths {
        let mut lengths = known.clone();
        let collected: Vec<VariableId> = self
            .aggregates
            .iter()
            .filter(|(_, call)| call.function.name == "collect")
            .map(|(variable, _)| *variable)
            .collect();
        if !collected.is_empty() {
            let keys = self.keys.iter().map(|(_, key)| key);
            let groups = estimator.groups(input.rows, keys, &input.plan, variables);
            lengths.extend(collected.into_iter().map(|variable| (variable, input.rows / groups.max(1.0))));
        }
        let lists = self.items.iter().filter(|(_, item)| matches!(item.data_type, DataType::List(_)));
        lists.map(|(variable, item)| (*variable, list_length(item, &lengths))).collect()
    }

    /// Whether rows may be represented by their number.
    pub fn counts_rows(&self) -> bool {
        let counts = |call: &AggregateCall| {
            call.distinct || matches!(call.function.name, "count" | "sum" | "avg" | "min" | "max")
        };
        let fitting = (self.grouped && self.aggregates.iter().all(|(_, call)| counts(call)))
            || (self.distinct && !self.grouped);
        fitting && !self.is_volatile()
    }

    /// Whether each row has to be there by itself, since it gets values of its own.
    fn is_volatile(&self) -> bool {
        let keys = self.keys.iter().map(|(_, key)| key);
        let arguments = self.aggregates.iter().flat_map(|(_, call)| &call.arguments);
        let items = self.items.iter().map(|(_, item)| item);
        keys.chain(arguments).chain(items).any(BoundExpression::is_volatile)
    }

    /// Whether it does not matter how often a row occurs.
    pub fn duplicates_irrelevant(&self) -> bool {
        let calls = self.aggregates.iter().map(|(_, call)| call);
        duplicates_irrelevant(self.grouped, self.distinct, calls) && !self.is_volatile()
    }
}

/// Whether a projection whose values are the same for the same rows does not see how often a row occurs.
pub fn duplicates_irrelevant<'c>(
    grouped: bool,
    distinct: bool,
    calls: impl IntoIterator<Item = &'c AggregateCall>,
) -> bool {
    let ignores = |call: &AggregateCall| call.distinct || matches!(call.function.name, "min" | "max");
    if grouped { calls.into_iter().all(ignores) } else { distinct }
}

/// The node whose identity a grouping key is: the node itself or its whole primary key.
fn determining_node(
    key: &BoundExpression,
    estimator: &Estimator<'_>,
    builder: &Builder<'_>,
) -> Option<VariableId> {
    let tables = |variable: VariableId| match builder.variables.get(variable.0 as usize).map(|v| &v.kind) {
        Some(VariableKind::Node { tables }) => Some(tables.len()),
        _ => None,
    };
    match &key.kind {
        ExpressionKind::Variable(variable) => tables(*variable).map(|_| *variable),
        ExpressionKind::Property { variable, columns, .. } => match columns[..] {
            [(table, column)] if tables(*variable) == Some(1) && estimator.is_key(table, column) => {
                Some(*variable)
            }
            _ => None,
        },
        _ => None,
    }
}

/// `count` of what is never NULL counts rows; counting distinct keys counts distinct nodes.
fn simplify_call(call: &mut AggregateCall, estimator: &Estimator<'_>, builder: &Builder<'_>) {
    if call.function.name != "count" {
        return;
    }
    let [argument] = &call.arguments[..] else { return };
    if call.distinct {
        if let Some(node) = determining_node(argument, estimator, builder) {
            let kind = ExpressionKind::Variable(node);
            call.arguments = vec![BoundExpression { kind, data_type: DataType::Node, span: argument.span }];
        }
        return;
    }
    let never_null = match &argument.kind {
        ExpressionKind::Variable(variable) | ExpressionKind::Property { variable, .. }
            if builder.nullable.contains(variable) =>
        {
            false
        }
        ExpressionKind::Variable(variable) => matches!(
            builder.variables.get(variable.0 as usize).map(|v| &v.kind),
            Some(VariableKind::Node { .. } | VariableKind::Rel { .. })
        ),
        ExpressionKind::Property { variable, columns, .. } => builder.is_always_there(*variable, columns),
        _ => false,
    };
    if never_null {
        call.arguments.clear();
    }
}

impl Builder<'_> {
    /// Whether every node that a variable may be has a property of these columns.
    pub(super) fn is_always_there(&self, variable: VariableId, columns: &[(TableId, ColumnId)]) -> bool {
        let all = match self.variables.get(variable.0 as usize).map(|v| &v.kind) {
            Some(VariableKind::Node { tables }) => tables.len(),
            _ => usize::MAX,
        };
        let there =
            |(table, column): &(TableId, ColumnId)| self.estimator.is_not_null(*table, *column, self.creates);
        columns.len() == all && columns.iter().all(there)
    }
}

/// Puts the projection on top of a plan.
pub fn plan_projection(
    input: Partial,
    shape: Shape,
    estimator: &Estimator<'_>,
    variables: &[Variable],
) -> Partial {
    let Shape { grouped, distinct, keys, aggregates, items, order_by, .. } = shape;
    let Shape { skip, limit, predicates, order_after, .. } = shape;
    let mut rows = input.rows;
    let mut plan = input.plan;
    if grouped {
        rows = estimator.groups(rows, keys.iter().map(|(_, key)| key), &plan, variables);
        plan = LogicalPlan::Aggregate { input: Box::new(plan), keys, aggregates };
    }
    let bound: BTreeSet<VariableId> = items.iter().map(|(variable, _)| *variable).collect();
    let outputs: Vec<VariableId> = items.iter().map(|(variable, _)| *variable).collect();
    if distinct {
        rows = estimator.groups(rows, items.iter().map(|(_, item)| item), &plan, variables);
    }
    let done = if limit.is_some() { Done::default() } else { input.done.before_limit() };
    if let Some(most) = literal_count(limit.as_ref()) {
        rows = rows.min(most);
    }
    rows *= estimator.selectivity_of_all(&predicates);
    let project = |plan| LogicalPlan::Project { input: Box::new(plan), items };
    let order = |plan| order(plan, order_by, skip, limit, input.done.ordered_for());
    plan = if distinct {
        order(LogicalPlan::Distinct { input: Box::new(project(plan)), variables: outputs })
    } else if order_after {
        order(project(plan))
    } else {
        project(order(plan))
    };
    if !predicates.is_empty() {
        plan = LogicalPlan::Filter { input: Box::new(plan), predicates };
    }
    Partial { plan, bound, rows, cost: input.cost, done }
}

fn order(
    plan: LogicalPlan,
    keys: Vec<SortKey>,
    skip: Option<BoundExpression>,
    limit: Option<BoundExpression>,
    ordered_for: Option<f64>,
) -> LogicalPlan {
    let input = Box::new(plan);
    match (keys.is_empty(), limit) {
        (false, Some(limit)) => LogicalPlan::TopK { input, keys, skip, limit },
        (false, None) if skip.is_none() => LogicalPlan::Sort { input, keys },
        (false, None) => {
            let input = Box::new(LogicalPlan::Sort { input, keys });
            LogicalPlan::Limit { input, skip, limit: None, ordered_for: None }
        }
        (true, limit) if skip.is_some() || limit.is_some() => {
            LogicalPlan::Limit { input, skip, limit, ordered_for }
        }
        (true, _) => *input,
    }
}
