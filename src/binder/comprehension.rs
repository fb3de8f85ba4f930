//! Expressions with a variable of their own: list comprehensions, quantifiers, and functions that take a lambda.

use super::aggregate::AggregateContext;
use super::bind::Binder;
use super::bound::*;
use super::error::{BindError, BindErrorKind, BindResult};
use super::expression::literal;
use super::functions::names;
use super::grouping::variable_of;
use super::pattern::conjuncts;
use crate::parser::ast::{self, Expression, Name, Span};
use crate::types::{DataType, Value};

/// A list and the variable that stands for its elements while the body is bound.
struct OpenElement {
    variable: VariableId,
    list: Box<BoundExpression>,
    /// The context outside.
    aggregates: AggregateContext,
}

impl Binder<'_> {
    /// `[x IN list WHERE filter | map]`.
    pub fn bind_list_comprehension(
        &mut self,
        comprehension: &ast::ListComprehension,
        span: Span,
    ) -> BindResult<BoundExpression> {
        let list = self.bind_optional(Some(&comprehension.list))?;
        let opened = self.open_element(list, &comprehension.variable)?;
        let filter = self.bind_optional(comprehension.predicate.as_ref())?;
        let map = self.bind_optional(comprehension.projection.as_ref())?;
        self.comprehension(opened, filter, map, span)
    }

    /// A list comprehension of parts that are bound.
    fn comprehension(
        &mut self,
        opened: OpenElement,
        filter: Option<Box<BoundExpression>>,
        map: Option<Box<BoundExpression>>,
        span: Span,
    ) -> BindResult<BoundExpression> {
        let (variable, list) = self.close_element(opened);
        let filter = filter.map(|filter| self.expect_boolean(*filter, "WHERE").map(Box::new)).transpose()?;
        if filter.iter().chain(&map).any(|part| asks_about(part, variable)) {
            let value = map.unwrap_or_else(|| Box::new(self.variable_expression(variable, span)));
            return self.collected_elements(list, variable, filter, *value, span);
        }
        let data_type = match &map {
            Some(map) => DataType::list(map.data_type.clone()),
            None => DataType::list(element_type(&list.data_type)),
        };
        let kind = ExpressionKind::ListComprehension { variable, list, filter, map };
        Ok(BoundExpression { kind, data_type, span })
    }

    /// `all(x IN list WHERE predicate)` and its like.
    pub fn bind_quantifier(
        &mut self,
        quantifier: &ast::Quantifier,
        span: Span,
    ) -> BindResult<BoundExpression> {
        let list = self.bind_optional(Some(&quantifier.list))?;
        let opened = self.open_element(list, &quantifier.variable)?;
        let predicate = self.bind_optional(quantifier.predicate.as_ref())?;
        self.quantifier(quantifier.kind, opened, predicate, span)
    }

    fn quantifier(
        &mut self,
        kind: ast::QuantifierKind,
        opened: OpenElement,
        predicate: Option<Box<BoundExpression>>,
        span: Span,
    ) -> BindResult<BoundExpression> {
        let name = kind.name();
        let kind = match kind {
            ast::QuantifierKind::All => QuantifierKind::All,
            ast::QuantifierKind::Any => QuantifierKind::Any,
            ast::QuantifierKind::None => QuantifierKind::None,
            ast::QuantifierKind::Single => QuantifierKind::Single,
        };
        let (variable, list) = self.close_element(opened);
        let predicate = match predicate {
            Some(predicate) => *predicate,
            None => self.variable_expression(variable, span),
        };
        let predicate = Box::new(self.expect_boolean(predicate, name)?);
        self.quantified(kind, (variable, list), predicate, span)
    }

    /// A quantifier of parts that are bound.
    pub(super) fn quantified(
        &mut self,
        kind: QuantifierKind,
        (mut variable, mut list): (VariableId, Box<BoundExpression>),
        mut predicate: Box<BoundExpression>,
        span: Span,
    ) -> BindResult<BoundExpression> {
        if asks_about(&predicate, variable) {
            let truth = VariableKind::Value(predicate.data_type.clone());
            list = Box::new(self.collected_elements(list, variable, None, *predicate, span)?);
            variable = self.new_anonymous(truth);
            predicate = Box::new(self.variable_expression(variable, span));
        }
        let kind = ExpressionKind::Quantifier { kind, variable, list, predicate };
        Ok(BoundExpression { kind, data_type: DataType::Bool, span })
    }

    /// Queries are asked about rows, so where a list expression asks one about its elements these become rows: it is
    /// `COLLECT { UNWIND list AS element WITH element WHERE filter RETURN value }`, or NULL where the list is.
    fn collected_elements(
        &mut self,
        list: Box<BoundExpression>,
        element: VariableId,
        filter: Option<Box<BoundExpression>>,
        value: BoundExpression,
        span: Span,
    ) -> BindResult<BoundExpression> {
        let unwound = self.variable_for(&list);
        let keeps_order = filter.as_deref().into_iter().chain([&value]).all(asks_row_by_row);
        let (mut clauses, order_by) = if keeps_order {
            let list = self.variable_expression(unwound, span);
            (vec![BoundClause::Unwind { list, variable: element }], Vec::new())
        } else {
            self.unwound_in_order(unwound, element, span)?
        };
        if let Some(filter) = filter {
            let sorted_by = order_by.iter().map(|key| &key.expression.kind).filter_map(variable_of);
            let passed: Vec<VariableId> = sorted_by.chain([element]).collect();
            let pass =
                |variable| ProjectionItem { expression: self.variable_expression(variable, span), variable };
            let items = passed.into_iter().map(pass).collect();
            let filtered = BoundProjection { predicates: conjuncts(*filter), ..BoundProjection::of(items) };
            clauses.push(BoundClause::Project(filtered));
        }
        let given = vec![(unwound, (*list).clone())];
        let found = self.collecting((clauses, value), order_by, given, element, span);
        if matches!(list.kind, ExpressionKind::Subquery(_)) {
            // What is collected is never NULL.
            return Ok(found);
        }
        let data_type = found.data_type.clone();
        let is_null = ExpressionKind::IsNull { operand: list, negated: false };
        let is_null = BoundExpression { kind: is_null, data_type: DataType::Bool, span };
        let null = BoundExpression { data_type: data_type.clone(), ..literal(Value::Null, span) };
        let kind = ExpressionKind::Case { branches: vec![(is_null, null)], otherwise: Some(Box::new(found)) };
        Ok(BoundExpression { kind, data_type, span })
    }

    /// `UNWIND` of a list's places, with what to sort by: queries that are asked about all rows together answer in any
    /// order.
    fn unwound_in_order(
        &mut self,
        list: VariableId,
        element: VariableId,
        span: Span,
    ) -> BindResult<(Vec<BoundClause>, Vec<SortKey>)> {
        let place = self.new_anonymous(VariableKind::Value(DataType::Int64));
        let number = |number| literal(Value::Int64(number), span);
        let list = self.variable_expression(list, span);
        let size = self.call("size", vec![list.clone()], span)?;
        let places = if self.is_kuzu() {
            self.call("range", vec![number(1), size], span)?
        } else {
            let last = self.call("-", vec![size, number(1)], span)?;
            self.call("range", vec![number(0), last], span)?
        };
        let at = self.variable_expression(place, span);
        let value = self.call(names::ELEMENT, vec![list, at.clone()], span)?;
        let items = vec![
            ProjectionItem { expression: value, variable: element },
            ProjectionItem { expression: at.clone(), variable: place },
        ];
        let clauses = vec![
            BoundClause::Unwind { list: places, variable: place },
            BoundClause::Project(BoundProjection::of(items)),
        ];
        Ok((clauses, vec![SortKey { expression: at, descending: false }]))
    }

    /// What `body` says of a node or relationship for which no variable stands, as in `nodes(p)[1].name`: of the only
    /// element of a list.
    pub fn about_entity(
        &mut self,
        target: BoundExpression,
        span: Span,
        body: impl FnOnce(&mut Self, VariableId) -> BindResult<BoundExpression>,
    ) -> BindResult<BoundExpression> {
        let list = self.call(names::LIST, vec![target], span)?;
        let opened = self.open_element(Some(Box::new(list)), &Name::new("", span))?;
        let said = body(self, opened.variable)?;
        let list = self.comprehension(opened, None, Some(Box::new(said)), span)?;
        let first = literal(Value::Int64(i64::from(self.is_kuzu())), span);
        self.call(names::ELEMENT, vec![list, first], span)
    }

    /// Lets `name` stand for one element of the list, until `close_element`.
    fn open_element(&mut self, list: Option<Box<BoundExpression>>, name: &Name) -> BindResult<OpenElement> {
        let list = list.unwrap_or_else(|| Box::new(literal(Value::Null, name.span)));
        let kind = self.element_kind(&list)?;
        let variable = self.new_variable(name.as_str(), kind);
        self.note_contents(variable, &list);
        self.scope.add(name.as_str(), variable);
        let place = AggregateContext::forbidden("in the body of a list expression");
        let aggregates = std::mem::replace(&mut self.aggregates, place);
        Ok(OpenElement { variable, list, aggregates })
    }

    fn close_element(&mut self, opened: OpenElement) -> (VariableId, Box<BoundExpression>) {
        self.scope.remove_last();
        self.aggregates = opened.aggregates;
        (opened.variable, opened.list)
    }

    /// What a variable is that stands for the elements of the list.
    pub fn element_kind(&self, list: &BoundExpression) -> BindResult<VariableKind> {
        let element = match &list.data_type {
            DataType::List(element) | DataType::Array(element, _) => (**element).clone(),
            DataType::Any | DataType::Json => DataType::Any,
            DataType::Null => DataType::Null,
            other => {
                let message = format!("a list is needed here, this is of type {other}");
                return Err(BindError::new(BindErrorKind::TypeMismatch, list.span, message));
            }
        };
        Ok(self.kind_of_type(element, &self.tables_inside(list)))
    }

    /// `list_transform(list, x -> …)` and `list_filter(list, x -> …)`.
    pub fn bind_lambda_function(
        &mut self,
        name: &str,
        list: &Expression,
        lambda: &ast::Lambda,
        span: Span,
    ) -> BindResult<BoundExpression> {
        let [parameter] = lambda.parameters.as_slice() else {
            let message = format!("the lambda of {name} takes one parameter");
            return Err(BindError::new(BindErrorKind::WrongArguments, lambda.body.span, message));
        };
        let list = self.bind_optional(Some(list))?;
        let opened = self.open_element(list, parameter)?;
        let body = self.bind_optional(Some(&lambda.body))?;
        match name {
            "list_transform" => self.comprehension(opened, None, body, span),
            "list_filter" => self.comprehension(opened, body, None, span),
            _ => Err(BindError::not_supported(&format!("{name} with a lambda"), span)),
        }
    }
}

/// Whether a query inside the body of a list expression is about its element.
fn asks_about(body: &BoundExpression, element: VariableId) -> bool {
    let mut asks = false;
    body.walk(&mut |part| {
        if let ExpressionKind::Subquery(query) = &part.kind {
            for (_, value) in &query.imports {
                value.walk(&mut |part| asks |= variable_of(&part.kind) == Some(element));
            }
        }
    });
    asks
}

fn element_type(list: &DataType) -> DataType {
    match list {
        DataType::Null => DataType::Null,
        other => other.element().cloned().unwrap_or(DataType::Any),
    }
}
