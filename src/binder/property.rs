//! `target.key`: columns of nodes and relationships, fields of structs and maps, components of points in time.

use super::bind::Binder;
use super::bound::*;
use super::error::{BindError, BindErrorKind, BindResult};
use super::expression::literal;
use super::functions::names;
use crate::catalog::{ColumnSchema, SchemaMode, TableEntry};
use crate::parser::ast::{Expression, Name, Span};
use crate::types::{ColumnId, DataType, TableId, Value, closest_name};

/// Components of temporal values that are numbers.
const COMPONENTS: &[&str] = &[
    "year",
    "years",
    "quarter",
    "quarters",
    "month",
    "months",
    "week",
    "weeks",
    "weekYear",
    "day",
    "days",
    "dayOfMonth",
    "dayOfQuarter",
    "dayOfWeek",
    "weekDay",
    "ordinalDay",
    "dayOfYear",
    "hour",
    "hours",
    "minute",
    "minutes",
    "second",
    "seconds",
    "millisecond",
    "milliseconds",
    "microsecond",
    "microseconds",
    "nanosecond",
    "nanoseconds",
    "epochSeconds",
    "epochMillis",
    "offsetMinutes",
    "offsetSeconds",
    "quartersOfYear",
    "monthsOfYear",
    "monthsOfQuarter",
    "daysOfWeek",
    "minutesOfHour",
    "secondsOfMinute",
    "millisecondsOfSecond",
    "microsecondsOfSecond",
    "nanosecondsOfSecond",
];
/// Components that are texts; no function gives them yet.
const TEXT_COMPONENTS: &[&str] = &["timezone", "offset"];

impl Binder<'_> {
    /// `target.key`.
    pub fn bind_property(
        &mut self,
        target: &Expression,
        key: &Name,
        span: Span,
    ) -> BindResult<BoundExpression> {
        let target = self.bind_expression(target)?;
        self.property_of(target, key, span)
    }

    /// A property of what is bound already.
    pub fn property_of(
        &mut self,
        target: BoundExpression,
        key: &Name,
        span: Span,
    ) -> BindResult<BoundExpression> {
        match (&target.kind, &target.data_type) {
            (ExpressionKind::Variable(variable), DataType::Node | DataType::Rel) => {
                self.entity_property(*variable, key, span)
            }
            (_, DataType::Node | DataType::Rel) => {
                self.about_entity(target, span, |binder, entity| binder.entity_property(entity, key, span))
            }
            (_, DataType::Struct(_) | DataType::Union(_)) => self.field(target, key, span),
            (_, DataType::Null) => Ok(literal(Value::Null, span)),
            (_, DataType::Map(..) | DataType::Any | DataType::Json) => {
                let key = literal(Value::String(key.text.clone()), key.span);
                self.call(names::ELEMENT, vec![target, key], span)
            }
            (_, data_type) if data_type.is_temporal() || *data_type == DataType::Interval => {
                self.component(target, key, span)
            }
            (_, other) => {
                let message = format!("a value of type {other} has no properties");
                Err(BindError::new(BindErrorKind::TypeMismatch, span, message))
            }
        }
    }

    /// `d.year`: a component of a point in time or an interval.
    fn component(&mut self, target: BoundExpression, key: &Name, span: Span) -> BindResult<BoundExpression> {
        let name = key.text.as_str();
        if TEXT_COMPONENTS.contains(&name) {
            return Err(BindError::not_supported(&format!("the component {name}"), key.span));
        }
        if !COMPONENTS.iter().any(|known| known.eq_ignore_ascii_case(name)) {
            let message = format!("a value of type {} has no component {name}", target.data_type);
            let error = BindError::new(BindErrorKind::UnknownProperty, key.span, message);
            return Err(error.did_you_mean(closest_name(name, COMPONENTS.iter().copied())));
        }
        let part = literal(Value::String(name.to_owned()), key.span);
        self.call(names::TEMPORAL_PART, vec![part, target], span)
    }

    /// A property of a node or relationship variable: the column of each of its tables that has one of this name.
    pub fn entity_property(
        &mut self,
        variable: VariableId,
        key: &Name,
        span: Span,
    ) -> BindResult<BoundExpression> {
        self.mark_used(variable);
        let tables = self.entity_tables(variable);
        let mut columns: Vec<(TableId, ColumnId)> = Vec::new();
        let mut data_type = DataType::Null;
        for table in &tables {
            if let Some(column) = self.columns(*table).iter().find(|column| column.name == key.text) {
                // Tables that differ in the type, even inside a list, give values that carry their own.
                let own = value_type(&column.data_type);
                data_type = if columns.is_empty() || data_type == own { own } else { DataType::Any };
                columns.push((*table, column.id));
            }
        }
        if columns.is_empty() && !tables.is_empty() && self.catalog.schema_mode() == SchemaMode::Strict {
            return Err(self.unknown_property(&tables, key));
        }
        let kind = ExpressionKind::Property { variable, columns, name: key.text.clone() };
        Ok(BoundExpression { kind, data_type, span })
    }

    /// Names of all properties of a node, relationship or struct variable, in the order of declaration.
    pub fn property_names(&self, variable: VariableId, span: Span) -> BindResult<Vec<String>> {
        let mut found: Vec<String> = Vec::new();
        match self.kind(variable) {
            VariableKind::Node { .. } | VariableKind::Rel { .. } => {
                for table in self.entity_tables(variable) {
                    for column in self.columns(table) {
                        if !found.contains(&column.name) {
                            found.push(column.name.clone());
                        }
                    }
                }
                Ok(found)
            }
            VariableKind::Value(DataType::Struct(fields)) => {
                Ok(fields.iter().map(|field| field.name.clone()).collect())
            }
            _ => {
                let name = self.variable_name(variable);
                let message = format!("the properties of {name} are not known before the query runs");
                Err(BindError::new(BindErrorKind::TypeMismatch, span, message))
            }
        }
    }

    /// The tables in which a node or relationship variable may lie.
    pub fn entity_tables(&self, variable: VariableId) -> Vec<TableId> {
        match self.kind(variable) {
            VariableKind::Node { tables } => tables.clone(),
            VariableKind::Rel { tables } | VariableKind::RelList { tables } => {
                tables.iter().map(|table| table.table).collect()
            }
            VariableKind::Path | VariableKind::Value(_) => Vec::new(),
        }
    }

    /// The columns of a node or relationship table.
    pub fn columns(&self, table: TableId) -> &[ColumnSchema] {
        self.catalog.columns_of(table)
    }

    /// The name of a table.
    pub fn table_name(&self, table: TableId) -> &str {
        self.catalog.table_by_id(table).map_or("", TableEntry::name)
    }

    pub(super) fn unknown_property(&self, tables: &[TableId], key: &Name) -> BindError {
        let mut owners: Vec<&str> = tables.iter().map(|table| self.table_name(*table)).collect();
        owners.dedup();
        let message = match owners.as_slice() {
            [owner] => format!("table {owner} has no property {}", key.text),
            [first, second] => format!("neither {first} nor {second} has a property {}", key.text),
            _ => format!("none of {} tables has a property {}", owners.len(), key.text),
        };
        let known = tables.iter().flat_map(|table| self.columns(*table));
        let suggestion = closest_name(&key.text, known.map(|column| column.name.as_str()));
        BindError::new(BindErrorKind::UnknownProperty, key.span, message).did_you_mean(suggestion)
    }

    /// A field of a struct. openCypher's maps give NULL for a key that they do not have.
    pub fn field(&mut self, target: BoundExpression, key: &Name, span: Span) -> BindResult<BoundExpression> {
        let fields = target.data_type.fields().unwrap_or_default();
        let exact = fields.iter().position(|field| field.name == key.text);
        let found = if self.is_kuzu() { target.data_type.field(&key.text).map(|(at, _)| at) } else { exact };
        let Some(at) = found else {
            if !self.is_kuzu() && matches!(target.data_type, DataType::Struct(_)) {
                return Ok(literal(Value::Null, span));
            }
            let message = format!("{} has no field {}", target.data_type, key.text);
            let suggestion = closest_name(&key.text, fields.iter().map(|field| field.name.as_str()));
            let error = BindError::new(BindErrorKind::UnknownProperty, key.span, message);
            return Err(error.did_you_mean(suggestion));
        };
        let name = fields[at].name.clone();
        self.field_call(target, &name, span)
    }
}

/// SERIAL is how a column is filled; its values are INT64.
pub(super) fn value_type(data_type: &DataType) -> DataType {
    match data_type {
        DataType::Serial => DataType::Int64,
        other => other.clone(),
    }
}
