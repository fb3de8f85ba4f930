//! Expressions with a variable of their own: list comprehensions, quantifiers, and functions that take a lambda.

use super::aggregate::AggregateContext;
use super::bind::Binder;
use super::bound::*;
use super::error::{BindError, BindErrorKind, BindResult};
use super::expression::literal;
use super::functions::names;
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
        for part in filter.iter().chain(&map) {
            check_no_subquery(part, variable)?;
        }
        let filter = filter.map(|filter| self.expect_boolean(*filter, "WHERE").map(Box::new)).transpose()?;
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
        check_no_subquery(&predicate, variable)?;
        let predicate = Box::new(self.expect_boolean(predicate, name)?);
        let kind = ExpressionKind::Quantifier { kind, variable, list, predicate };
        Ok(BoundExpression { kind, data_type: DataType::Bool, span })
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

/// Queries are asked about rows, not about the elements of a list.
fn check_no_subquery(body: &BoundExpression, element: VariableId) -> BindResult<()> {
    let mut found = None;
    body.walk(&mut |part| {
        if let ExpressionKind::Subquery(query) = &part.kind
            && query.imports.iter().any(|(import, _)| *import == element)
        {
            found = Some(part.span);
        }
    });
    match found {
        Some(span) => Err(BindError::not_supported("a query about the elements of a list", span)
            .with_hint("UNWIND the list first")),
        None => Ok(()),
    }
}

fn element_type(list: &DataType) -> DataType {
    match list {
        DataType::Null => DataType::Null,
        other => other.element().cloned().unwrap_or(DataType::Any),
    }
}
