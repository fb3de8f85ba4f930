//! SET, REMOVE and DELETE.

use super::aggregate::AggregateContext;
use super::assign::Written;
use super::bind::Binder;
use super::bound::*;
use super::error::{BindError, BindErrorKind, BindResult};
use super::expression::literal;
use super::property::value_type;
use crate::parser::ast::{
    self, DeleteClause, Expression, Name, RemoveClause, RemoveItemKind, SetClause, SetItem, SetItemKind, Span,
};
use crate::types::{DataType, TableId, Value};

impl Binder<'_> {
    /// `SET items`.
    pub fn bind_set(&mut self, clause: &SetClause) -> BindResult<BoundWrite> {
        self.aggregates = AggregateContext::forbidden("in SET");
        Ok(BoundWrite::Set(self.bind_set_items(&clause.items)?))
    }

    /// Items of SET, ON CREATE SET or ON MATCH SET. What changes nothing in a strict table leaves no item.
    pub fn bind_set_items(&mut self, items: &[SetItem]) -> BindResult<Vec<BoundSet>> {
        let mut bound = Vec::with_capacity(items.len());
        for item in items {
            match &item.kind {
                SetItemKind::Property { target, value } => {
                    let (variable, key) = self.property_target(target)?;
                    let value = self.bind_expression(value)?;
                    bound.push(self.set_values(variable, vec![(key, value)], item.span)?);
                }
                SetItemKind::Replace { variable, value } => {
                    bound.push(self.set_map(variable, value, true, item.span)?);
                }
                SetItemKind::Merge { variable, value } => {
                    bound.push(self.set_map(variable, value, false, item.span)?);
                }
                SetItemKind::Labels { variable, labels } => self.keep_labels(variable, labels)?,
            }
        }
        Ok(bound)
    }

    /// `REMOVE items`: a property that is removed is NULL.
    pub fn bind_remove(&mut self, clause: &RemoveClause) -> BindResult<BoundWrite> {
        self.aggregates = AggregateContext::forbidden("in REMOVE");
        let mut bound = Vec::with_capacity(clause.items.len());
        for item in &clause.items {
            match &item.kind {
                RemoveItemKind::Property(target) => {
                    let (variable, key) = self.property_target(target)?;
                    let null = literal(Value::Null, item.span);
                    bound.push(self.set_values(variable, vec![(key, null)], item.span)?);
                }
                RemoveItemKind::Labels { variable, .. } => {
                    self.entity_variable(variable)?;
                    return Err(labels_are_fixed("removing a label from", item.span));
                }
            }
        }
        Ok(BoundWrite::Set(bound))
    }

    /// `[DETACH] DELETE expressions`.
    pub fn bind_delete(&mut self, clause: &DeleteClause) -> BindResult<BoundWrite> {
        self.aggregates = AggregateContext::forbidden("in DELETE");
        let mut targets = Vec::with_capacity(clause.targets.len());
        for target in &clause.targets {
            if matches!(target.kind, ast::ExpressionKind::HasLabels { .. }) {
                let message = "DELETE deletes nodes, relationships and paths, not labels";
                return Err(BindError::new(BindErrorKind::TypeMismatch, target.span, message));
            }
            let bound = self.bind_expression(target)?;
            match &bound.data_type {
                DataType::Node | DataType::Rel | DataType::Path | DataType::Null | DataType::Any => {}
                other => {
                    let message =
                        format!("DELETE needs a node, relationship or path, this is of type {other}");
                    return Err(BindError::new(BindErrorKind::TypeMismatch, target.span, message));
                }
            }
            targets.push(bound);
        }
        Ok(BoundWrite::Delete { targets, detach: clause.detach })
    }

    /// The node or relationship and the key of `n.key` or `n['key']`.
    fn property_target(&mut self, target: &Expression) -> BindResult<(VariableId, Name)> {
        let (entity, key) = match &target.kind {
            ast::ExpressionKind::Property { target, key } => (target, key.clone()),
            ast::ExpressionKind::Index { target, index } => {
                let ast::ExpressionKind::Literal(ast::Literal::String(key)) = &index.kind else {
                    return Err(BindError::not_supported("a property whose name is computed", index.span));
                };
                (target, Name::new(key.clone(), index.span))
            }
            _ => {
                let message = "a property of a node or relationship is needed here";
                return Err(BindError::new(BindErrorKind::TypeMismatch, target.span, message));
            }
        };
        let Some(name) = entity.as_variable() else {
            let error = BindError::not_supported("changing a property of an expression", entity.span);
            return Err(error.with_hint("Give it a name by WITH first"));
        };
        let variable = self.entity_variable(&Name::new(name, entity.span))?;
        Ok((variable, key))
    }

    /// A name that stands for a node or relationship.
    fn entity_variable(&mut self, name: &Name) -> BindResult<VariableId> {
        let variable = self.find_variable(name.as_str(), name.span)?;
        if !matches!(self.kind(variable), VariableKind::Node { .. } | VariableKind::Rel { .. }) {
            return Err(self.conflict(name, variable, "a node or relationship"));
        }
        self.mark_used(variable);
        Ok(variable)
    }

    fn set_map(&mut self, name: &Name, map: &Expression, replace: bool, span: Span) -> BindResult<BoundSet> {
        let variable = self.entity_variable(name)?;
        self.note_all_written(variable, span)?;
        let written = match &map.kind {
            ast::ExpressionKind::Map(entries) => self.written_entries(entries)?,
            _ => {
                let bound = self.bind_expression(map)?;
                if let DataType::Map(..) | DataType::Any | DataType::Json = bound.data_type {
                    for table in self.entity_tables(variable) {
                        let columns: Vec<_> = self.columns(table).iter().map(|column| column.id).collect();
                        self.columns_set.extend(columns);
                    }
                    let change = PropertyChange::Map { value: bound, replace };
                    return Ok(BoundSet { variable, change, span });
                }
                self.properties_of(bound)?
            }
        };
        let written = if replace { self.replacing(variable, written, span)? } else { written };
        self.set_values(variable, written, span)
    }

    /// The properties that a node, relationship or struct has.
    fn properties_of(&mut self, source: BoundExpression) -> BindResult<Vec<Written>> {
        let span = source.span;
        if let (ExpressionKind::Variable(variable), DataType::Node | DataType::Rel) =
            (&source.kind, &source.data_type)
        {
            let properties = self.all_properties(*variable, span)?.into_iter();
            return Ok(properties.map(|(name, value)| (Name::new(name, span), value)).collect());
        }
        let message =
            format!("a map, node or relationship is needed here, this is of type {}", source.data_type);
        let fields = self.fields_of(source, span)?;
        fields.ok_or_else(|| BindError::new(BindErrorKind::TypeMismatch, span, message))
    }

    /// `= map` sets what the map has and removes the rest; a key cannot be removed.
    fn replacing(
        &self,
        variable: VariableId,
        mut written: Vec<Written>,
        span: Span,
    ) -> BindResult<Vec<Written>> {
        for table in self.entity_tables(variable) {
            let keys = self.catalog.node_table_by_id(table).map_or(&[][..], |schema| &schema.primary_key);
            for column in self.columns(table) {
                // What counts up by itself stays what it is.
                if column.data_type == DataType::Serial
                    || written.iter().any(|(name, _)| name.text == column.name)
                {
                    continue;
                }
                if column.not_null || keys.contains(&column.id) {
                    let owner = self.table_name(table);
                    let message = format!("{owner}.{} must not be null, and = would remove it", column.name);
                    let error = BindError::new(BindErrorKind::TypeMismatch, span, message);
                    return Err(error.with_hint("Write += to change only the properties that are named"));
                }
                written.push((Name::new(column.name.clone(), span), literal(Value::Null, span)));
            }
        }
        Ok(written)
    }

    /// One item over the columns that its names stand for.
    fn set_values(
        &mut self,
        variable: VariableId,
        written: Vec<Written>,
        span: Span,
    ) -> BindResult<BoundSet> {
        self.note_all_written(variable, span)?;
        let tables = self.entity_tables(variable);
        let mut values = Vec::with_capacity(written.len());
        for (key, value) in written {
            let value = self.property_value(&tables, key, value)?;
            self.columns_set.extend(value.columns.iter().map(|(_, column, _)| *column));
            values.push(value);
        }
        Ok(BoundSet { variable, change: PropertyChange::Values(values), span })
    }

    fn note_all_written(&mut self, variable: VariableId, span: Span) -> BindResult<()> {
        self.entity_tables(variable).into_iter().try_for_each(|table| self.note_written(table, span))
    }

    fn property_value(
        &self,
        tables: &[TableId],
        key: Name,
        value: BoundExpression,
    ) -> BindResult<PropertyValue> {
        let found = self.columns_named(tables, &key)?;
        let mut types: Vec<DataType> =
            found.iter().map(|(_, column)| value_type(&column.data_type)).collect();
        types.dedup();
        let value = match (&found[..], types.len()) {
            ([(table, column), ..], 1) => self.to_column(value, *table, column)?,
            // Where tables differ in the type, the row decides.
            _ => value,
        };
        let columns = found.iter().map(|(table, column)| (*table, column.id, value_type(&column.data_type)));
        Ok(PropertyValue { name: key.text, columns: columns.collect(), value })
    }

    /// In a strict table a node has the label of its table, before and after.
    fn keep_labels(&mut self, name: &Name, labels: &[Name]) -> BindResult<()> {
        let variable = self.entity_variable(name)?;
        let tables = self.entity_tables(variable);
        for label in labels {
            let same = tables.iter().all(|table| self.table_name(*table) == label.text);
            if !same || tables.is_empty() {
                return Err(labels_are_fixed("adding a label to", label.span));
            }
        }
        Ok(())
    }
}

fn labels_are_fixed(what: &str, span: Span) -> BindError {
    BindError::not_supported(&format!("{what} a node of a strict table"), span)
        .with_hint("A node has the label of its table")
}
