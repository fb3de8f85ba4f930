//! WITH and RETURN: items become output variables, aggregates are collected and their neighbours become grouping keys,
//! and ORDER BY, SKIP, LIMIT and WHERE are bound over what is then visible.

use super::aggregate::AggregateContext;
use super::bind::Binder;
use super::bound::*;
use super::error::{BindError, BindErrorKind, BindResult};
use super::grouping::{Output, Rewrite, first_hidden};
use super::pattern::conjuncts;
use super::same::same_expression;
use super::scope::Scope;
use crate::parser::ast::{self, Expression, Projection, SortItem, Span};
use crate::types::{DataType, Value};

/// How deep the types of what WITH passes on may nest; every WITH can make them one level deeper.
const TYPE_DEPTH_MAX: usize = 100;

/// A projection item before it has its output variable.
struct Item {
    name: String,
    expression: BoundExpression,
    span: Span,
}

impl Binder<'_> {
    /// `RETURN …`, with names and types of its columns.
    pub fn bind_return(
        &mut self,
        projection: &Projection,
    ) -> BindResult<(BoundProjection, Vec<(String, DataType)>)> {
        let (bound, _, output) = self.bind_projection(projection, true)?;
        let names = output.names().iter().map(|(name, _)| name.clone());
        let types =
            bound.items.iter().map(|item| self.variable_expression(item.variable, item.expression.span));
        let columns = names.zip(types.map(|output| output.data_type)).collect();
        Ok((bound, columns))
    }

    /// `WITH … [WHERE …]`. Where the condition mentions what the WITH does not pass on, this is two projections.
    pub fn bind_with(
        &mut self,
        projection: &Projection,
        predicate: Option<&Expression>,
    ) -> BindResult<Vec<BoundClause>> {
        let (mut bound, input, output) = self.bind_projection(projection, false)?;
        let Some(predicate) = predicate else {
            self.enter(output, &bound.items);
            return Ok(vec![BoundClause::Project(bound)]);
        };
        self.aggregates = AggregateContext::forbidden("in WHERE");
        let over_input = !bound.grouped && !bound.distinct;
        let mut condition = self.bind_over_output(predicate, &input, &output)?;
        self.expect_boolean_condition(&condition)?;
        self.rewrite_to_output(&mut condition, &bound.items, false);
        let mut missing = Vec::new();
        condition.walk(&mut |part| {
            if let Some(variable) = super::grouping::variable_of(&part.kind)
                && self.available.contains(&variable)
                && !self.is_around(variable)
                && !bound.items.iter().any(|item| item.variable == variable)
                && !missing.contains(&variable)
            {
                missing.push(variable);
            }
        });
        if !missing.is_empty() && !over_input {
            return Err(self.hidden_after_projection(&condition, &bound, predicate.span));
        }
        bound.predicates = conjuncts(condition);
        if missing.is_empty() {
            self.enter(output, &bound.items);
            return Ok(vec![BoundClause::Project(bound)]);
        }
        Ok(self.with_hidden_inputs(bound, missing, output, predicate.span))
    }

    /// Passes on what only the condition needs, and drops it in a second projection.
    fn with_hidden_inputs(
        &mut self,
        mut bound: BoundProjection,
        missing: Vec<VariableId>,
        output: Scope,
        span: Span,
    ) -> Vec<BoundClause> {
        let pass = |binder: &Self, variable| ProjectionItem {
            expression: binder.variable_expression(variable, span),
            variable,
        };
        let items: Vec<ProjectionItem> = bound.items.iter().map(|item| pass(self, item.variable)).collect();
        bound.items.extend(missing.into_iter().map(|variable| pass(self, variable)));
        self.enter(output, &items);
        vec![BoundClause::Project(bound), BoundClause::Project(BoundProjection::of(items))]
    }

    /// Makes the outputs of a projection the visible variables.
    fn enter(&mut self, output: Scope, items: &[ProjectionItem]) {
        self.scope = self.around.clone();
        for (name, variable) in output.names() {
            self.scope.add(name, *variable);
        }
        self.available = items.iter().map(|item| item.variable).collect();
    }

    /// Everything but WHERE. Gives the scopes before and after, too; the one before is still in place.
    fn bind_projection(
        &mut self,
        projection: &Projection,
        is_return: bool,
    ) -> BindResult<(BoundProjection, Scope, Scope)> {
        self.aggregates = AggregateContext::Collecting(Vec::new());
        let items = self.bind_items(projection, is_return)?;
        let aggregated: Vec<bool> = items.iter().map(|item| has_aggregate(&item.expression)).collect();
        let grouped = aggregated.contains(&true);
        let input = self.scope.clone();
        let mut output = Scope::default();
        let mut bound_items: Vec<ProjectionItem> = Vec::with_capacity(items.len());
        let mut spans = Vec::with_capacity(items.len());
        for item in items {
            if output.find(&item.name).is_some() {
                let message = format!("two columns are named {}", item.name);
                let error = BindError::new(BindErrorKind::DuplicateColumn, item.span, message);
                return Err(error.with_hint("Give one of them another name by AS"));
            }
            let variable = self.output_variable(&item, &bound_items);
            output.add(&item.name, variable);
            bound_items.push(ProjectionItem { expression: item.expression, variable });
            spans.push(item.span);
        }
        if grouped {
            self.refer_to_keys(&mut bound_items, &aggregated)?;
        }
        let mut bound = BoundProjection {
            grouped,
            distinct: projection.distinct,
            is_return,
            ..BoundProjection::of(bound_items)
        };
        for sort in &projection.order_by {
            let key = self.bind_sort_key(sort, &bound, &input, &output)?;
            bound.order_by.push(key);
        }
        bound.aggregates =
            std::mem::replace(&mut self.aggregates, AggregateContext::forbidden("here")).into_calls();
        bound.skip = self.bind_row_count(projection.skip.as_ref(), "SKIP")?;
        bound.limit = self.bind_row_count(projection.limit.as_ref(), "LIMIT")?;
        self.scope = input.clone();
        Ok((bound, input, output))
    }

    fn bind_items(&mut self, projection: &Projection, is_return: bool) -> BindResult<Vec<Item>> {
        let mut items = Vec::new();
        if let Some(star) = projection.star {
            let visible: Vec<(String, VariableId)> = self
                .scope
                .names()
                .iter()
                .filter(|(name, variable)| self.scope.find(name) == Some(*variable))
                .cloned()
                .collect();
            if visible.is_empty() && is_return {
                let message = "there is no variable that * could stand for";
                return Err(BindError::new(BindErrorKind::NoVariables, star, message));
            }
            for (name, variable) in visible {
                self.mark_used(variable);
                let expression = self.variable_expression(variable, star);
                items.push(Item { name, expression, span: star });
            }
        }
        for item in &projection.items {
            if let ast::ExpressionKind::AllProperties(target) = &item.expression.kind {
                items.extend(self.bind_all_properties(target, item.span)?);
                continue;
            }
            if !is_return && item.alias.is_none() && item.expression.as_variable().is_none() {
                let message = "an expression in WITH needs a name";
                let error = BindError::new(BindErrorKind::MissingAlias, item.span, message);
                let written = item.expression.span.of(self.text);
                return Err(error.with_hint(format!("Write {written} AS name")));
            }
            if let ast::ExpressionKind::Pattern(pattern) = &item.expression.kind
                && pattern.shortest.is_none()
            {
                let message = "a pattern is a condition and cannot be projected";
                let error = BindError::new(BindErrorKind::InvalidPattern, item.span, message);
                return Err(error.with_hint("Write EXISTS { … } or a pattern comprehension"));
            }
            let expression = self.bind_expression(&item.expression)?;
            if !is_return && expression.data_type.is_deeper_than(TYPE_DEPTH_MAX) {
                let message = format!("the type of {} nests deeper than {TYPE_DEPTH_MAX} levels", item.name);
                return Err(BindError::new(BindErrorKind::TooDeep, item.span, message));
            }
            items.push(Item { name: item.name.clone(), expression, span: item.span });
        }
        Ok(items)
    }

    /// `n.*` as one column per property.
    fn bind_all_properties(&mut self, target: &Expression, span: Span) -> BindResult<Vec<Item>> {
        let Some(name) = target.as_variable() else {
            return Err(BindError::not_supported(".* of an expression", span));
        };
        let variable = self.find_variable(name, target.span)?;
        let properties = self.all_properties(variable, span)?;
        let item = |(key, expression)| Item { name: format!("{name}.{key}"), expression, span };
        Ok(properties.into_iter().map(item).collect())
    }

    /// The variable of an output column: what is passed on under its own name stays the same variable.
    fn output_variable(&mut self, item: &Item, before: &[ProjectionItem]) -> VariableId {
        if let ExpressionKind::Variable(variable) = item.expression.kind
            && self.variable_name(variable) == item.name
            && !before.iter().any(|other| other.variable == variable)
        {
            return variable;
        }
        let kind = match item.expression.kind {
            ExpressionKind::Variable(variable) => self.kind(variable).clone(),
            _ => {
                let tables = self.tables_inside(&item.expression);
                self.kind_of_type(item.expression.data_type.clone(), &tables)
            }
        };
        let variable = self.new_variable(&item.name, kind);
        self.note_contents(variable, &item.expression);
        variable
    }

    /// In items with aggregates, what is a grouping key refers to the key; anything else from the input is ambiguous.
    fn refer_to_keys(&self, items: &mut [ProjectionItem], aggregated: &[bool]) -> BindResult<()> {
        let keys: Vec<(BoundExpression, VariableId)> = items
            .iter()
            .zip(aggregated)
            .filter(|(_, aggregated)| !**aggregated)
            .map(|(item, _)| (item.expression.clone(), item.variable))
            .collect();
        let outputs: Vec<Output> =
            keys.iter().map(|(expression, variable)| Output { expression, variable: *variable }).collect();
        let rewrite = Rewrite { text: self.text, outputs: &outputs, simple_only: true };
        for (item, _) in items.iter_mut().zip(aggregated).filter(|(_, aggregated)| **aggregated) {
            rewrite.apply(&mut item.expression);
            let is_key = |variable: VariableId| {
                keys.iter().any(|(_, key)| *key == variable) || self.is_around(variable)
            };
            if let Some((_, part)) = first_hidden(&item.expression, &is_key) {
                return Err(self.ambiguous(part));
            }
        }
        Ok(())
    }

    fn ambiguous(&self, part: &BoundExpression) -> BindError {
        let written = part.span.of(self.text);
        let message = format!("{written} stands beside an aggregate and is not one of the grouping keys");
        let error = BindError::new(BindErrorKind::AmbiguousAggregation, part.span, message);
        error.with_hint(format!("Make {written} an item of its own, in a WITH before if need be"))
    }

    fn bind_sort_key(
        &mut self,
        sort: &SortItem,
        bound: &BoundProjection,
        input: &Scope,
        output: &Scope,
    ) -> BindResult<SortKey> {
        if let Some(nulls_first) = sort.nulls_first
            && nulls_first != sort.descending
        {
            // NULL is the largest value.
            let written = if nulls_first { "NULLS FIRST" } else { "NULLS LAST" };
            return Err(BindError::not_supported(written, sort.span));
        }
        if !bound.grouped {
            self.aggregates = AggregateContext::forbidden("in ORDER BY when the projection has none");
        }
        let expression = self.bind_sort_expression(&sort.expression, bound, input, output)?;
        if !bound.grouped {
            self.aggregates = AggregateContext::Collecting(Vec::new());
        }
        Ok(SortKey { expression, descending: sort.descending })
    }

    fn bind_sort_expression(
        &mut self,
        written: &Expression,
        bound: &BoundProjection,
        input: &Scope,
        output: &Scope,
    ) -> BindResult<BoundExpression> {
        let known = self.aggregates.calls().len();
        let is_output = written.as_variable().is_some_and(|name| output.find(name).is_some());
        if !is_output && let Some(same) = self.sort_by_item(written, bound, input) {
            return Ok(same);
        }
        let mut expression = self.bind_over_output(written, input, output)?;
        if self.aggregates.calls().len() > known {
            let message = "ORDER BY can use only the aggregates that are projected";
            return Err(BindError::new(BindErrorKind::UnknownVariable, written.span, message)
                .with_hint("Make the aggregate one of the items"));
        }
        let simple_only = has_aggregate(&expression);
        self.rewrite_to_output(&mut expression, &bound.items, simple_only);
        if bound.grouped || bound.distinct {
            let is_output = |variable: VariableId| {
                bound.items.iter().any(|item| item.variable == variable) || self.is_around(variable)
            };
            if let Some((_, part)) = first_hidden(&expression, &is_output) {
                return Err(if simple_only {
                    self.ambiguous(part)
                } else {
                    self.hidden_after_projection(&expression, bound, written.span)
                });
            }
        }
        Ok(expression)
    }

    /// The output variable, if what is sorted by is written like an item.
    fn sort_by_item(
        &mut self,
        written: &Expression,
        bound: &BoundProjection,
        input: &Scope,
    ) -> Option<BoundExpression> {
        let aggregates = self.aggregates.clone();
        self.scope = input.clone();
        let expression = self.bind_expression(written);
        self.aggregates = aggregates;
        self.scope = input.clone();
        let expression = expression.ok()?;
        let same = |item: &&ProjectionItem| same_expression(self.text, &item.expression, &expression);
        let item = bound.items.iter().find(same)?;
        Some(self.variable_expression(item.variable, written.span))
    }

    /// Binds an expression where the outputs are visible and hide inputs of the same names.
    fn bind_over_output(
        &mut self,
        written: &Expression,
        input: &Scope,
        output: &Scope,
    ) -> BindResult<BoundExpression> {
        let mut both = input.clone();
        for (name, variable) in output.names() {
            both.add(name, *variable);
        }
        self.scope = both;
        let bound = self.bind_expression(written);
        self.scope = input.clone();
        bound
    }

    /// What the projection computes is not computed again.
    fn rewrite_to_output(
        &self,
        expression: &mut BoundExpression,
        items: &[ProjectionItem],
        simple_only: bool,
    ) {
        let outputs: Vec<Output> = items
            .iter()
            .map(|item| Output { expression: &item.expression, variable: item.variable })
            .collect();
        Rewrite { text: self.text, outputs: &outputs, simple_only }.apply(expression);
    }

    /// An error about a variable that a grouping or DISTINCT has taken away.
    fn hidden_after_projection(
        &self,
        expression: &BoundExpression,
        bound: &BoundProjection,
        span: Span,
    ) -> BindError {
        let is_output = |variable: VariableId| bound.items.iter().any(|item| item.variable == variable);
        let (part, name) = match first_hidden(expression, &is_output) {
            Some((variable, part)) => (part.span, self.variable_name(variable)),
            None => (span, ""),
        };
        let why = if bound.grouped { "grouping" } else { "DISTINCT" };
        let message = format!("variable {name} is not defined after {why}");
        BindError::new(BindErrorKind::UnknownVariable, part, message)
            .with_hint(format!("Make {} one of the items", part.of(self.text)))
    }

    fn expect_boolean_condition(&self, condition: &BoundExpression) -> BindResult<()> {
        self.expect_boolean(condition.clone(), "WHERE").map(|_| ())
    }

    /// SKIP and LIMIT: the same for all rows, and no less than zero.
    fn bind_row_count(
        &mut self,
        written: Option<&Expression>,
        clause: &'static str,
    ) -> BindResult<Option<BoundExpression>> {
        let Some(written) = written else { return Ok(None) };
        if mentions_variable(written) {
            let message = format!("{clause} must not depend on rows");
            return Err(BindError::new(BindErrorKind::NonConstant, written.span, message));
        }
        let outer = std::mem::take(&mut self.scope);
        self.aggregates = AggregateContext::forbidden("in SKIP and LIMIT");
        let bound = self.bind_expression(written);
        self.scope = outer;
        let bound = bound?;
        if bound.has_subquery() {
            return Err(BindError::not_supported(&format!("a query in {clause}"), written.span));
        }
        let wrong = |kind, message| Err(BindError::new(kind, written.span, message));
        if let ExpressionKind::Literal(value) = &bound.kind
            && value.as_i128().is_some_and(|count| count < 0)
        {
            return wrong(BindErrorKind::NegativeInteger, format!("{clause} must not be negative"));
        }
        if let ExpressionKind::Literal(Value::Null) = bound.kind {
            return wrong(BindErrorKind::TypeMismatch, format!("{clause} needs a whole number, not NULL"));
        }
        match &bound.data_type {
            DataType::Any | DataType::Null => Ok(Some(bound)),
            data_type if data_type.is_integer() => Ok(Some(bound)),
            other => {
                let message = format!("{clause} needs a whole number, this is of type {other}");
                wrong(BindErrorKind::TypeMismatch, message)
            }
        }
    }
}

fn has_aggregate(expression: &BoundExpression) -> bool {
    let mut found = false;
    expression.walk(&mut |part| found |= matches!(part.kind, ExpressionKind::Aggregate(_)));
    found
}

/// Whether the expression is a variable or takes something from one.
fn mentions_variable(expression: &Expression) -> bool {
    use ast::ExpressionKind::*;
    match &expression.kind {
        Variable(_) => true,
        Property { target, .. } | AllProperties(target) | HasLabels { target, .. } => {
            mentions_variable(target)
        }
        Unary { operand, .. } => mentions_variable(operand),
        Binary { left, right, .. } => mentions_variable(left) || mentions_variable(right),
        FunctionCall(call) => call.arguments.iter().any(|argument| mentions_variable(&argument.value)),
        _ => false,
    }
}
