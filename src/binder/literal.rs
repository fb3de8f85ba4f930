//! Constants, and lists and maps that are written out.

use super::bind::Binder;
use super::bound::*;
use super::error::{BindError, BindErrorKind, BindResult};
use super::expression::literal;
use super::functions::names;
use super::types::unify;
use crate::parser::ast::{self, Expression, Literal, MapEntry, MapProjectionItem, Name, Span};
use crate::types::{DataType, Field, Value};

impl Binder<'_> {
    /// A constant.
    pub fn bind_literal(&self, constant: &Literal, span: Span) -> BindResult<BoundExpression> {
        let value = match constant {
            Literal::Null => Value::Null,
            Literal::Boolean(value) => Value::Bool(*value),
            Literal::Integer(value) => match i64::try_from(*value) {
                Ok(value) => Value::Int64(value),
                Err(_) => {
                    let message = format!("{value} does not fit INT64");
                    return Err(BindError::new(BindErrorKind::NumberOutOfRange, span, message));
                }
            },
            Literal::Float(value) => Value::Double(*value),
            Literal::String(value) => Value::String(value.clone()),
        };
        Ok(literal(value, span))
    }

    /// `[a, b]`.
    pub fn bind_list(&mut self, elements: &[Expression], span: Span) -> BindResult<BoundExpression> {
        let mut bound = Vec::with_capacity(elements.len());
        for element in elements {
            bound.push(self.bind_expression(element)?);
        }
        self.list_of(bound, span)
    }

    /// A list of these elements, which get one type.
    pub fn list_of(&mut self, elements: Vec<BoundExpression>, span: Span) -> BindResult<BoundExpression> {
        let element_type = self.common_type(&elements);
        let elements = self.cast_all(elements, &element_type)?;
        let Some(values) = constants(&elements) else { return self.call(names::LIST, elements, span) };
        let kind = ExpressionKind::Literal(Value::List(values));
        Ok(BoundExpression { kind, data_type: DataType::list(element_type), span })
    }

    /// `{key: value}`.
    pub fn bind_map(&mut self, entries: &[MapEntry], span: Span) -> BindResult<BoundExpression> {
        let mut fields = Vec::with_capacity(entries.len());
        for entry in entries {
            let value = self.bind_expression(&entry.value)?;
            self.add_field(&mut fields, &entry.key, value)?;
        }
        self.struct_of(fields, span)
    }

    /// `variable {.key, .*, key: value, other}`.
    pub fn bind_map_projection(
        &mut self,
        projection: &ast::MapProjection,
        span: Span,
    ) -> BindResult<BoundExpression> {
        let subject = &projection.variable;
        let variable = self.find_variable(subject.as_str(), subject.span)?;
        self.mark_used(variable);
        let mut fields = Vec::new();
        for item in &projection.items {
            match item {
                MapProjectionItem::Property(key) => {
                    let target = self.variable_expression(variable, subject.span);
                    let value = self.property_of(target, key, key.span)?;
                    self.add_field(&mut fields, key, value)?;
                }
                MapProjectionItem::AllProperties(star) => {
                    for key in self.property_names(variable, *star)? {
                        let target = self.variable_expression(variable, subject.span);
                        let key = Name::new(key, *star);
                        let value = self.property_of(target, &key, *star)?;
                        self.add_field(&mut fields, &key, value)?;
                    }
                }
                MapProjectionItem::Entry(entry) => {
                    let value = self.bind_expression(&entry.value)?;
                    self.add_field(&mut fields, &entry.key, value)?;
                }
                MapProjectionItem::Variable(name) => {
                    let other = self.find_variable(name.as_str(), name.span)?;
                    self.mark_used(other);
                    let value = self.variable_expression(other, name.span);
                    self.add_field(&mut fields, name, value)?;
                }
            }
        }
        self.struct_of(fields, span)
    }

    fn add_field(
        &self,
        fields: &mut Vec<(String, BoundExpression)>,
        key: &Name,
        value: BoundExpression,
    ) -> BindResult<()> {
        if fields.iter().any(|(known, _)| *known == key.text) {
            let message = format!("the key {} appears twice", key.text);
            return Err(BindError::new(BindErrorKind::DuplicateColumn, key.span, message));
        }
        fields.push((key.text.clone(), value));
        Ok(())
    }

    fn struct_of(
        &mut self,
        fields: Vec<(String, BoundExpression)>,
        span: Span,
    ) -> BindResult<BoundExpression> {
        let types: Vec<Field> =
            fields.iter().map(|(name, value)| Field::new(name.clone(), value.data_type.clone())).collect();
        let data_type = DataType::Struct(types.clone());
        let (names, values): (Vec<String>, Vec<BoundExpression>) = fields.into_iter().unzip();
        let kind = match constants(&values) {
            Some(values) => ExpressionKind::Literal(Value::Struct(names.into_iter().zip(values).collect())),
            None => self.struct_call(types, values),
        };
        Ok(BoundExpression { kind, data_type, span })
    }

    /// The type that all the expressions can have.
    pub fn common_type(&self, expressions: &[BoundExpression]) -> DataType {
        let widen = self.is_kuzu();
        expressions.iter().fold(DataType::Null, |common, element| unify(&common, &element.data_type, widen))
    }

    /// All expressions as values of one type.
    pub fn cast_all(
        &mut self,
        expressions: Vec<BoundExpression>,
        target: &DataType,
    ) -> BindResult<Vec<BoundExpression>> {
        expressions.into_iter().map(|expression| self.implicit_cast(expression, target)).collect()
    }
}

/// The values, if all expressions are constants.
fn constants(expressions: &[BoundExpression]) -> Option<Vec<Value>> {
    expressions
        .iter()
        .map(|expression| match &expression.kind {
            ExpressionKind::Literal(value) => Some(value.clone()),
            _ => None,
        })
        .collect()
}
