//! `target[index]` and `target[from..to]`. openCypher counts positions from 0 and leaves the upper bound out, Kuzu
//! counts from 1 and includes it: the registry has an entry for each dialect.

use super::bind::Binder;
use super::bound::*;
use super::error::{BindError, BindErrorKind, BindResult};
use super::expression::{literal, needs_variable};
use super::functions::names;
use crate::parser::ast::{Expression, Name, Span};
use crate::types::{DataType, Value};

impl Binder<'_> {
    /// `target[index]`.
    pub fn bind_index(
        &mut self,
        target: &Expression,
        index: &Expression,
        span: Span,
    ) -> BindResult<BoundExpression> {
        let target = self.bind_expression(target)?;
        let index = self.bind_expression(index)?;
        let key = match &index.kind {
            ExpressionKind::Literal(Value::String(key)) => Some(Name::new(key.clone(), index.span)),
            _ => None,
        };
        match (&target.data_type, key) {
            (DataType::Node | DataType::Rel | DataType::Struct(_) | DataType::Union(_), Some(key)) => {
                self.property_of(target, &key, span)
            }
            (DataType::Node | DataType::Rel, None) => Err(needs_variable("a property by the name", span)),
            (DataType::Null, _) => Ok(literal(Value::Null, span)),
            (DataType::Map(..) | DataType::Struct(_) | DataType::Any | DataType::Json, _) => {
                self.call(names::ELEMENT, vec![target, index], span)
            }
            (DataType::List(_) | DataType::Array(..) | DataType::String, _) => {
                self.expect_position(&index)?;
                self.call(names::ELEMENT, vec![target, index], span)
            }
            (other, _) => {
                let message = format!("a value of type {other} has no elements");
                Err(BindError::new(BindErrorKind::TypeMismatch, target.span, message))
            }
        }
    }

    /// `target[from..to]`.
    pub fn bind_slice(
        &mut self,
        target: &Expression,
        from: Option<&Expression>,
        to: Option<&Expression>,
        span: Span,
    ) -> BindResult<BoundExpression> {
        let target = self.bind_expression(target)?;
        match &target.data_type {
            DataType::List(_) | DataType::Array(..) | DataType::Any | DataType::Json | DataType::String => {}
            DataType::Null => return Ok(literal(Value::Null, span)),
            other => {
                let message = format!("a value of type {other} has no elements");
                return Err(BindError::new(BindErrorKind::TypeMismatch, target.span, message));
            }
        }
        let mut arguments = vec![target];
        for bound in [from, to] {
            // A bound that is not written has the type NULL; one that is NULL makes the whole slice NULL.
            let position = match bound {
                Some(written) => self.bind_expression(written)?,
                None => literal(Value::Null, span),
            };
            if bound.is_some() && position.data_type == DataType::Null {
                return Ok(literal(Value::Null, span));
            }
            self.expect_position(&position)?;
            arguments.push(position);
        }
        self.call(names::SLICE, arguments, span)
    }

    fn expect_position(&self, index: &BoundExpression) -> BindResult<()> {
        match &index.data_type {
            DataType::Any | DataType::Null => Ok(()),
            data_type if data_type.is_integer() => Ok(()),
            other => {
                let message = format!("a position must be a whole number, this is of type {other}");
                Err(BindError::new(BindErrorKind::TypeMismatch, index.span, message))
            }
        }
    }
}
