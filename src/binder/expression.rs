//! Expressions: one small step per kind. Recursion goes through `bind_expression` only, whose frame is kept small, so
//! that expressions nested as deeply as the parser lets them be are safe on a small stack.

use super::bind::Binder;
use super::bound::*;
use super::error::{BindError, BindErrorKind, BindResult};
use super::functions::names;
use crate::parser::ast::{self, BinaryOperator, Expression, LabelExpression, Span, UnaryOperator};
use crate::types::{DataType, Value};

impl Binder<'_> {
    /// Gives an expression its meaning and type.
    pub fn bind_expression(&mut self, expression: &Expression) -> BindResult<BoundExpression> {
        use ast::ExpressionKind::*;
        let span = expression.span;
        match &expression.kind {
            Literal(literal) => self.bind_literal(literal, span),
            Parameter(parameter) => Ok(self.bind_parameter(parameter)),
            Variable(name) => self.bind_variable(name, span),
            Property { target, key } => self.bind_property(target, key, span),
            Index { target, index } => self.bind_index(target, index, span),
            Slice { target, from, to } => self.bind_slice(target, from.as_deref(), to.as_deref(), span),
            HasLabels { target, labels } => self.bind_has_labels(target, labels, span),
            List(elements) => self.bind_list(elements, span),
            Map(entries) => self.bind_map(entries, span),
            MapProjection(projection) => self.bind_map_projection(projection, span),
            FunctionCall(call) => self.bind_function_call(call),
            CountStar => self.bind_count_star(span),
            Cast { operand, target } => self.bind_cast(operand, target, span),
            Unary { operator, operand } => self.bind_unary(*operator, operand, span),
            Binary { operator, left, right } => self.bind_binary(*operator, left, right, span),
            Comparison { first, rest } => self.bind_comparison(first, rest, span),
            And(parts) => self.bind_connective(parts, span, ExpressionKind::And),
            Or(parts) => self.bind_connective(parts, span, ExpressionKind::Or),
            Xor(parts) => self.bind_xor(parts, span),
            IsNull { operand, negated } => self.bind_is_null(operand, *negated, span),
            Case(case) => self.bind_case(case, span),
            ListComprehension(comprehension) => self.bind_list_comprehension(comprehension, span),
            Quantifier(quantifier) => self.bind_quantifier(quantifier, span),
            Subquery(subquery) => self.bind_subquery(subquery, span),
            Pattern(pattern) if pattern.shortest.is_none() => self.bind_pattern_predicate(pattern, span),
            Pattern(pattern) => self.bind_shortest(pattern, None, span),
            PatternComprehension(comprehension) => self.bind_pattern_comprehension(comprehension, span),
            other => Err(not_executed(other, span)),
        }
    }

    fn bind_parameter(&mut self, parameter: &ast::Parameter) -> BoundExpression {
        let (position, data_type) = self.parameter(&parameter.name);
        BoundExpression { kind: ExpressionKind::Parameter(position), data_type, span: parameter.span }
    }

    fn bind_variable(&mut self, name: &str, span: Span) -> BindResult<BoundExpression> {
        let variable = self.find_variable(name, span)?;
        self.mark_used(variable);
        Ok(self.variable_expression(variable, span))
    }

    /// The variable as an expression of its type.
    pub fn variable_expression(&self, variable: VariableId, span: Span) -> BoundExpression {
        let data_type = match self.kind(variable) {
            VariableKind::Node { .. } => DataType::Node,
            VariableKind::Rel { .. } => DataType::Rel,
            VariableKind::RelList { .. } => DataType::list(DataType::Rel),
            VariableKind::Path => DataType::Path,
            VariableKind::Value(data_type) => data_type.clone(),
        };
        BoundExpression { kind: ExpressionKind::Variable(variable), data_type, span }
    }

    fn bind_has_labels(
        &mut self,
        target: &Expression,
        labels: &LabelExpression,
        span: Span,
    ) -> BindResult<BoundExpression> {
        let bound = self.bind_expression(target)?;
        let variable = match bound.kind {
            ExpressionKind::Variable(variable) => Some(variable),
            _ => None,
        };
        let tables = match bound.data_type {
            DataType::Node => self.node_tables(Some(labels))?,
            DataType::Rel => self.rel_tables(Some(labels))?.iter().map(|table| table.table).collect(),
            DataType::Null => return Ok(literal(Value::Null, span)),
            ref other => {
                let message = format!("only nodes and relationships have labels, this is of type {other}");
                return Err(BindError::new(BindErrorKind::TypeMismatch, target.span, message));
            }
        };
        let said = |variable| {
            let kind = ExpressionKind::HasLabel { variable, tables };
            Ok(BoundExpression { kind, data_type: DataType::Bool, span })
        };
        match variable {
            Some(variable) => said(variable),
            None => self.about_entity(bound, span, |_, entity| said(entity)),
        }
    }

    fn bind_cast(
        &mut self,
        operand: &Expression,
        target: &ast::TypeName,
        span: Span,
    ) -> BindResult<BoundExpression> {
        let target = self.data_type(target)?;
        let bound = self.bind_expression(operand)?;
        self.explicit_cast(bound, &target, span)
    }

    fn bind_unary(
        &mut self,
        operator: UnaryOperator,
        operand: &Expression,
        span: Span,
    ) -> BindResult<BoundExpression> {
        let bound = self.bind_expression(operand)?;
        match operator {
            UnaryOperator::Not => {
                let operand = Box::new(self.expect_boolean(bound, "NOT")?);
                Ok(BoundExpression { kind: ExpressionKind::Not(operand), data_type: DataType::Bool, span })
            }
            UnaryOperator::Minus => self.call(names::NEGATE, vec![bound], span),
            UnaryOperator::Plus if is_number_like(&bound.data_type) => Ok(bound),
            UnaryOperator::Plus => {
                let message = format!("+ needs a number, this is of type {}", bound.data_type);
                Err(BindError::new(BindErrorKind::TypeMismatch, operand.span, message))
            }
        }
    }

    fn bind_binary(
        &mut self,
        operator: BinaryOperator,
        left: &Expression,
        right: &Expression,
        span: Span,
    ) -> BindResult<BoundExpression> {
        let left = self.bind_expression(left)?;
        let right = self.bind_expression(right)?;
        match operator {
            BinaryOperator::RegexMatch => Err(BindError::not_supported("=~", span)),
            BinaryOperator::In => self.membership(left, right, span),
            BinaryOperator::StartsWith | BinaryOperator::EndsWith | BinaryOperator::Contains
                if !(self.is_kuzu() || may_be_text(&left) && may_be_text(&right)) =>
            {
                // What is no text neither contains anything nor does it not.
                Ok(literal(Value::Null, span))
            }
            _ => self.call(names::binary(operator), vec![left, right], span),
        }
    }

    /// `AND` and `OR`: their parts in one flat list.
    fn bind_connective(
        &mut self,
        parts: &[Expression],
        span: Span,
        make: fn(Vec<BoundExpression>) -> ExpressionKind,
    ) -> BindResult<BoundExpression> {
        let mut bound = Vec::with_capacity(parts.len());
        for part in parts {
            let part = self.bind_expression(part)?;
            bound.push(self.expect_boolean(part, "AND and OR")?);
        }
        Ok(BoundExpression { kind: make(bound), data_type: DataType::Bool, span })
    }

    /// `a XOR b` is `a <> b` for truth values, unknown ones included.
    fn bind_xor(&mut self, parts: &[Expression], span: Span) -> BindResult<BoundExpression> {
        let mut result: Option<BoundExpression> = None;
        for part in parts {
            let part = self.bind_expression(part)?;
            let part = self.expect_boolean(part, "XOR")?;
            result = Some(match result {
                None => part,
                Some(before) => {
                    let span = before.span.join(part.span);
                    self.call(names::NOT_EQUAL, vec![before, part], span)?
                }
            });
        }
        Ok(result.unwrap_or_else(|| literal(Value::Null, span)))
    }

    fn bind_is_null(
        &mut self,
        operand: &Expression,
        negated: bool,
        span: Span,
    ) -> BindResult<BoundExpression> {
        let operand = Box::new(self.bind_expression(operand)?);
        let kind = ExpressionKind::IsNull { operand, negated };
        Ok(BoundExpression { kind, data_type: DataType::Bool, span })
    }

    /// The operand of a logical operator.
    pub fn expect_boolean(&self, bound: BoundExpression, operator: &str) -> BindResult<BoundExpression> {
        match bound.data_type {
            DataType::Bool | DataType::Any | DataType::Null => Ok(bound),
            ref other => Err(BindError::new(
                BindErrorKind::TypeMismatch,
                bound.span,
                format!("{operator} needs true or false, this is of type {other}"),
            )),
        }
    }
}

fn may_be_text(expression: &BoundExpression) -> bool {
    matches!(expression.data_type, DataType::String | DataType::Json | DataType::Any | DataType::Null)
}

fn is_number_like(data_type: &DataType) -> bool {
    data_type.is_numeric() || matches!(data_type, DataType::Any | DataType::Null | DataType::Interval)
}

/// A constant as an expression.
pub(super) fn literal(value: Value, span: Span) -> BoundExpression {
    let data_type = value.data_type();
    BoundExpression { kind: ExpressionKind::Literal(value), data_type, span }
}

/// What needs an entity that has a name.
pub(super) fn needs_variable(what: &str, span: Span) -> BindError {
    BindError::not_supported(&format!("{what} of an expression"), span)
        .with_hint("Give it a name by WITH first")
}

fn not_executed(kind: &ast::ExpressionKind, span: Span) -> BindError {
    use ast::ExpressionKind::*;
    let what = match kind {
        Reduce(_) => "reduce",
        Lambda(_) => "a lambda",
        AllProperties(_) => ".* here",
        _ => "this expression",
    };
    BindError::not_supported(what, span)
}
