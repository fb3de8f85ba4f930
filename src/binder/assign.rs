//! Values for columns: what a pattern, SET or a map writes, and what defaults put where nothing is written.

use super::bind::Binder;
use super::bound::*;
use super::create::Creating;
use super::error::{BindError, BindErrorKind, BindResult};
use super::expression::literal;
use super::property::value_type;
use crate::catalog::ColumnSchema;
use crate::functions::{assign_value, assignable};
use crate::parser::ast::{MapEntry, Name, Properties, Span};
use crate::parser::parse_expression;
use crate::types::{DataType, TableId, Value};

/// A property that is written, before it is known to be a column.
pub(super) type Written = (Name, BoundExpression);

impl Binder<'_> {
    /// The property map of a pattern; a parameter gives its fields.
    pub fn written_properties(
        &mut self,
        properties: Option<&Properties>,
        clause: Creating,
    ) -> BindResult<Vec<Written>> {
        match properties {
            None => Ok(Vec::new()),
            Some(Properties::Map { entries, .. }) => self.written_entries(entries),
            Some(Properties::Parameter(parameter)) if clause == Creating::Merge => {
                let message = "MERGE needs a property map that is written out, not a parameter";
                let error = BindError::new(BindErrorKind::InvalidParameterUse, parameter.span, message);
                Err(error.with_hint(format!("Write {{key: ${}.key}}", parameter.name)))
            }
            Some(Properties::Parameter(parameter)) => {
                let (position, data_type) = self.parameter(&parameter.name);
                let kind = ExpressionKind::Parameter(position);
                let bound = BoundExpression { kind, data_type, span: parameter.span };
                self.fields_of(bound, parameter.span)?.ok_or_else(|| {
                    let message = format!("${} has to be a map with known keys", parameter.name);
                    BindError::new(BindErrorKind::TypeMismatch, parameter.span, message)
                })
            }
        }
    }

    /// The entries of a map that is written out.
    pub fn written_entries(&mut self, entries: &[MapEntry]) -> BindResult<Vec<Written>> {
        let mut written: Vec<Written> = Vec::with_capacity(entries.len());
        for entry in entries {
            if written.iter().any(|(name, _)| name.text == entry.key.text) {
                let message = format!("the key {} appears twice", entry.key.text);
                return Err(BindError::new(BindErrorKind::DuplicateColumn, entry.key.span, message));
            }
            written.push((entry.key.clone(), self.bind_expression(&entry.value)?));
        }
        Ok(written)
    }

    /// The fields of a struct with their names; NULL has none. `None`: they are not known before the query runs.
    pub fn fields_of(&mut self, map: BoundExpression, span: Span) -> BindResult<Option<Vec<Written>>> {
        let fields = match &map.data_type {
            DataType::Null => return Ok(Some(Vec::new())),
            DataType::Struct(fields) => fields.clone(),
            _ => return Ok(None),
        };
        let mut written = Vec::with_capacity(fields.len());
        for field in fields {
            let value = match &map.kind {
                ExpressionKind::Literal(Value::Struct(values)) => {
                    let value = values.iter().find(|(name, _)| *name == field.name);
                    literal(value.map_or(Value::Null, |(_, value)| value.clone()), span)
                }
                ExpressionKind::Literal(_) => literal(Value::Null, span),
                _ => self.field_call(map.clone(), &field.name, span)?,
            };
            written.push((Name::new(field.name, span), value));
        }
        Ok(Some(written))
    }

    /// Values of columns from what is written, and from defaults for what is not.
    pub fn assignments(
        &mut self,
        table: TableId,
        written: Vec<Written>,
        span: Span,
        clause: Creating,
    ) -> BindResult<Vec<Assignment>> {
        let columns: Vec<ColumnSchema> = self.columns(table).to_vec();
        let mut assigned = Vec::with_capacity(columns.len());
        for (key, value) in written {
            let Some(column) = columns.iter().find(|column| column.name == key.text) else {
                return Err(self.unknown_property(&[table], &key));
            };
            let value = self.to_column(value, table, column)?;
            let data_type = value_type(&column.data_type);
            let merged = (clause == Creating::Merge)
                .then(|| self.new_anonymous(VariableKind::Value(data_type.clone())));
            assigned.push(Assignment { column: column.id, name: key.text, data_type, value, merged });
        }
        for column in &columns {
            if assigned.iter().any(|other| other.column == column.id) {
                continue;
            }
            if let Some(default) = &column.default {
                let value = self.default_of(default, table, column, span)?;
                let data_type = value_type(&column.data_type);
                let name = column.name.clone();
                assigned.push(Assignment { column: column.id, name, data_type, value, merged: None });
            } else if self.is_key(table, column) {
                return Err(self.not_given(table, column, span));
            } else if column.not_null && column.data_type != DataType::Serial && clause == Creating::Create {
                self.not_given.push((table, column.clone(), span));
            }
        }
        Ok(assigned)
    }

    /// Refuses CREATE without a value that must be there, if no SET of the statement can give it either. What only
    /// rows can tell, and whether MERGE makes anything at all, is seen when the statement has run.
    pub fn refuse_missing_values(&self) -> BindResult<()> {
        let missing = self.not_given.iter().find(|(_, column, _)| !self.columns_set.contains(&column.id));
        match missing {
            Some((table, column, span)) => Err(self.not_given(*table, column, *span)),
            None => Ok(()),
        }
    }

    fn not_given(&self, table: TableId, column: &ColumnSchema, span: Span) -> BindError {
        let owner = self.table_name(table);
        let message = format!("{owner}.{} must not be null and is given no value", column.name);
        let error = BindError::new(BindErrorKind::InvalidPattern, span, message);
        error.with_hint(format!("Write {{{}: …}}", column.name))
    }

    /// Whether a value of the column names the row; those of SERIAL columns come by themselves.
    fn is_key(&self, table: TableId, column: &ColumnSchema) -> bool {
        let schema = self.catalog.node_table_by_id(table);
        schema.is_some_and(|schema| schema.primary_key.contains(&column.id))
            && column.data_type != DataType::Serial
    }

    /// A DEFAULT as it was declared, for each new row anew.
    fn default_of(
        &mut self,
        default: &str,
        table: TableId,
        column: &ColumnSchema,
        span: Span,
    ) -> BindResult<BoundExpression> {
        let damaged = |reason: String| {
            let message = format!("the default of {} cannot be used: {reason}", column.name);
            BindError::new(BindErrorKind::InvalidDefinition, span, message)
        };
        let mut parsed = parse_expression(default).map_err(|error| damaged(error.message))?;
        let outer = std::mem::take(&mut self.scope);
        let bound = self.bind_expression(&parsed);
        self.scope = outer;
        parsed.span = span;
        let mut bound = bound.map_err(|error| damaged(error.message))?;
        bound.span = span;
        self.to_column(bound, table, column)
    }

    /// The value if it can be written into the column. Constants are converted at once, others when the row is there.
    pub fn to_column(
        &self,
        value: BoundExpression,
        table: TableId,
        column: &ColumnSchema,
    ) -> BindResult<BoundExpression> {
        let target = value_type(&column.data_type);
        let wrong = |message: String| Err(BindError::new(BindErrorKind::TypeMismatch, value.span, message));
        let owner = self.table_name(table);
        if !assignable(&value.data_type, &target) {
            let found = &value.data_type;
            return wrong(format!(
                "{owner}.{} holds values of type {target}, this is of type {found}",
                column.name
            ));
        }
        let ExpressionKind::Literal(constant) = &value.kind else { return Ok(value) };
        match assign_value(constant, &target) {
            Ok(assigned) => {
                let kind = ExpressionKind::Literal(assigned);
                Ok(BoundExpression { kind, data_type: target, span: value.span })
            }
            Err(error) => {
                let quote = if matches!(constant, Value::String(_)) { "'" } else { "" };
                wrong(format!("{owner}.{} cannot be {quote}{constant}{quote}: {error}", column.name))
            }
        }
    }

    /// The columns of a property among the tables of a variable.
    pub fn columns_named(&self, tables: &[TableId], key: &Name) -> BindResult<Vec<(TableId, ColumnSchema)>> {
        let found: Vec<(TableId, ColumnSchema)> = tables
            .iter()
            .filter_map(|table| {
                let column = self.columns(*table).iter().find(|column| column.name == key.text)?;
                Some((*table, column.clone()))
            })
            .collect();
        if found.is_empty() && !tables.is_empty() {
            return Err(self.unknown_property(tables, key));
        }
        Ok(found)
    }
}
