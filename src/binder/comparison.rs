//! Comparisons and membership. Nodes and relationships are compared by their ids, and number constants take the type
//! of what they are compared with, so that a stored column is compared as it lies.

use super::bind::Binder;
use super::bound::*;
use super::error::{BindError, BindErrorKind, BindResult};
use super::functions::names;
use crate::parser::ast::{ComparisonOperator, ComparisonPart, Expression, Span};
use crate::types::{DataType, Value};

impl Binder<'_> {
    /// `a < b <= c`, which means `a < b AND b <= c`.
    pub fn bind_comparison(
        &mut self,
        first: &Expression,
        rest: &[ComparisonPart],
        span: Span,
    ) -> BindResult<BoundExpression> {
        let mut left = self.bind_expression(first)?;
        let mut parts = Vec::with_capacity(rest.len());
        for part in rest {
            let right = self.bind_expression(&part.right)?;
            let pair = left.span.join(right.span);
            parts.push(self.compare(part.operator, left, right.clone(), pair)?);
            left = right;
        }
        if parts.len() == 1 {
            return Ok(parts.remove(0));
        }
        Ok(BoundExpression { kind: ExpressionKind::And(parts), data_type: DataType::Bool, span })
    }

    /// `left = right`.
    pub fn equality(
        &mut self,
        left: BoundExpression,
        right: BoundExpression,
        span: Span,
    ) -> BindResult<BoundExpression> {
        self.compare(ComparisonOperator::Equal, left, right, span)
    }

    fn compare(
        &mut self,
        operator: ComparisonOperator,
        left: BoundExpression,
        right: BoundExpression,
        span: Span,
    ) -> BindResult<BoundExpression> {
        let (left, right) = match (entity_id(&left), entity_id(&right)) {
            (Some(left_id), Some(right_id)) if left.data_type == right.data_type => (left_id, right_id),
            _ => (left, right),
        };
        let (left, right) = adapt_constants(left, right);
        self.call(names::comparison(operator), vec![left, right], span)
    }

    /// `element IN list`.
    pub fn membership(
        &mut self,
        element: BoundExpression,
        list: BoundExpression,
        span: Span,
    ) -> BindResult<BoundExpression> {
        match &list.data_type {
            DataType::List(_) | DataType::Array(..) | DataType::Any | DataType::Null | DataType::Json => {}
            other => {
                let message = format!("IN needs a list, this is of type {other}");
                return Err(BindError::new(BindErrorKind::TypeMismatch, list.span, message));
            }
        }
        let list = adapt_list(list, &element.data_type);
        self.call(names::IN, vec![element, list], span)
    }
}

/// The id of a node or relationship variable.
fn entity_id(expression: &BoundExpression) -> Option<BoundExpression> {
    match (&expression.kind, &expression.data_type) {
        (ExpressionKind::Variable(variable), DataType::Node | DataType::Rel) => Some(BoundExpression {
            kind: ExpressionKind::InternalId(*variable),
            data_type: DataType::Id,
            span: expression.span,
        }),
        _ => None,
    }
}

/// Gives a number constant the type of the other side where its value fits exactly.
fn adapt_constants(left: BoundExpression, right: BoundExpression) -> (BoundExpression, BoundExpression) {
    match (&left.kind, &right.kind) {
        (ExpressionKind::Literal(_), ExpressionKind::Literal(_)) => (left, right),
        (_, ExpressionKind::Literal(value)) => match number_as(value, &left.data_type) {
            Some(value) => {
                let right = BoundExpression {
                    kind: ExpressionKind::Literal(value),
                    data_type: column_type(&left.data_type),
                    span: right.span,
                };
                (left, right)
            }
            None => (left, right),
        },
        (ExpressionKind::Literal(_), _) => {
            let (right, left) = adapt_constants(right, left);
            (left, right)
        }
        _ => (left, right),
    }
}

/// A list of number constants as a list of the type that is looked for in it.
fn adapt_list(list: BoundExpression, element: &DataType) -> BoundExpression {
    let ExpressionKind::Literal(Value::List(values)) = &list.kind else { return list };
    let fits = |value: &Value| match value {
        Value::Null => Some(Value::Null),
        value => number_as(value, element),
    };
    match values.iter().map(fits).collect::<Option<Vec<Value>>>() {
        Some(values) if !values.is_empty() => BoundExpression {
            kind: ExpressionKind::Literal(Value::List(values)),
            data_type: DataType::list(column_type(element)),
            span: list.span,
        },
        _ => list,
    }
}

/// SERIAL columns hold INT64.
fn column_type(data_type: &DataType) -> DataType {
    match data_type {
        DataType::Serial => DataType::Int64,
        other => other.clone(),
    }
}

/// The number as a value of another number type, if nothing is lost.
pub(super) fn number_as(value: &Value, target: &DataType) -> Option<Value> {
    if let Some(number) = value.as_i128() {
        return match target {
            DataType::Int8 => i8::try_from(number).ok().map(Value::Int8),
            DataType::Int16 => i16::try_from(number).ok().map(Value::Int16),
            DataType::Int32 => i32::try_from(number).ok().map(Value::Int32),
            DataType::Int64 | DataType::Serial => i64::try_from(number).ok().map(Value::Int64),
            DataType::Int128 => Some(Value::Int128(number)),
            DataType::UInt8 => u8::try_from(number).ok().map(Value::UInt8),
            DataType::UInt16 => u16::try_from(number).ok().map(Value::UInt16),
            DataType::UInt32 => u32::try_from(number).ok().map(Value::UInt32),
            DataType::UInt64 => u64::try_from(number).ok().map(Value::UInt64),
            DataType::Float => (number.unsigned_abs() <= 1 << 24).then_some(Value::Float(number as f32)),
            DataType::Double => (number.unsigned_abs() <= 1 << 53).then_some(Value::Double(number as f64)),
            _ => None,
        };
    }
    match (value, target) {
        (Value::Double(number), DataType::Double) => Some(Value::Double(*number)),
        (Value::Double(number), DataType::Float) => {
            let narrow = *number as f32;
            (f64::from(narrow) == *number).then_some(Value::Float(narrow))
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(value: impl Into<Value>, target: DataType, expected: Option<Value>) {
        assert_eq!(number_as(&value.into(), &target), expected);
    }

    #[test]
    fn constants_change_their_type_only_without_loss() {
        check(3_i64, DataType::Int32, Some(Value::Int32(3)));
        check(3_i64, DataType::UInt8, Some(Value::UInt8(3)));
        check(-3_i64, DataType::UInt8, None);
        check(300_i64, DataType::Int8, None);
        check(3_i64, DataType::Double, Some(Value::Double(3.0)));
        check((1_i64 << 53) + 1, DataType::Double, None);
        check(0.5, DataType::Float, Some(Value::Float(0.5)));
        check(0.1, DataType::Float, None);
        check(1.0, DataType::Int64, None);
        check("3", DataType::Int64, None);
    }
}
