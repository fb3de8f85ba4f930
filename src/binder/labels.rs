//! What stands after a colon: label and type expressions as sets of tables. A node of a strict table has one label,
//! a relationship one type, so an expression is evaluated for every table once.

use super::bind::Binder;
use super::bound::RelTable;
use super::error::{BindError, BindErrorKind, BindResult};
use super::tables::{all_node_tables, all_rel_tables, table_set};
use crate::catalog::SchemaMode;
use crate::parser::ast::{LabelExpression, LabelExpressionKind, Name};
use crate::types::{TableId, closest_name};

/// Whose labels an expression speaks of.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Labelled {
    Node,
    Rel,
}

impl Binder<'_> {
    /// The node tables whose nodes fulfil the expression; all of them without one.
    pub fn node_tables(&self, labels: Option<&LabelExpression>) -> BindResult<Vec<TableId>> {
        let Some(labels) = labels else { return Ok(all_node_tables(self.catalog)) };
        self.check_labels(labels, Labelled::Node)?;
        let tables = self.catalog.node_tables().iter();
        Ok(table_set(tables.filter(|table| self.fulfils(labels, &table.name)).map(|table| table.id)))
    }

    /// The relationship tables whose relationships fulfil the expression; all of them without one.
    pub fn rel_tables(&self, types: Option<&LabelExpression>) -> BindResult<Vec<RelTable>> {
        let Some(types) = types else { return Ok(all_rel_tables(self.catalog)) };
        self.check_labels(types, Labelled::Rel)?;
        let mut tables = Vec::new();
        for (rel_type, table) in self.catalog.rel_tables() {
            if self.fulfils(types, &rel_type.name) {
                tables.push(RelTable { table: table.id, source: table.source, target: table.target });
            }
        }
        Ok(tables)
    }

    /// Whether a node or relationship whose only label is `name` fulfils the expression.
    fn fulfils(&self, labels: &LabelExpression, name: &str) -> bool {
        match &labels.kind {
            LabelExpressionKind::Name(label) => label.text == name,
            LabelExpressionKind::Any => true,
            LabelExpressionKind::Not(inner) => !self.fulfils(inner, name),
            LabelExpressionKind::And(parts) => parts.iter().all(|part| self.fulfils(part, name)),
            LabelExpressionKind::Or(parts) => parts.iter().any(|part| self.fulfils(part, name)),
            LabelExpressionKind::Colons(parts) if self.is_kuzu() => {
                parts.iter().any(|part| self.fulfils(part, name))
            }
            LabelExpressionKind::Colons(parts) => parts.iter().all(|part| self.fulfils(part, name)),
        }
    }

    /// Every name must be known, unless labels appear as they are used.
    fn check_labels(&self, labels: &LabelExpression, labelled: Labelled) -> BindResult<()> {
        if self.catalog.schema_mode() == SchemaMode::Flexible {
            return Ok(());
        }
        match &labels.kind {
            LabelExpressionKind::Name(name) => self.check_label(name, labelled),
            LabelExpressionKind::Any => Ok(()),
            LabelExpressionKind::Not(inner) => self.check_labels(inner, labelled),
            LabelExpressionKind::And(parts)
            | LabelExpressionKind::Or(parts)
            | LabelExpressionKind::Colons(parts) => {
                parts.iter().try_for_each(|part| self.check_labels(part, labelled))
            }
        }
    }

    fn check_label(&self, name: &Name, labelled: Labelled) -> BindResult<()> {
        let text = name.as_str();
        let nodes = self.catalog.node_tables().iter().map(|table| table.name.as_str());
        let rels = self.catalog.rel_types().iter().map(|rel_type| rel_type.name.as_str());
        let (known, elsewhere, what, other) = match labelled {
            Labelled::Node => (
                self.catalog.node_table(text).is_some(),
                self.catalog.rel_type(text).is_some(),
                "node table",
                "relationship table",
            ),
            Labelled::Rel => (
                self.catalog.rel_type(text).is_some(),
                self.catalog.node_table(text).is_some(),
                "relationship table",
                "node table",
            ),
        };
        if known {
            return Ok(());
        }
        let error = BindError::new(
            BindErrorKind::UnknownTable,
            name.span,
            format!("there is no {what} named {text}"),
        );
        if elsewhere {
            return Err(error.with_hint(format!("{text} is a {other}")));
        }
        Err(error.did_you_mean(match labelled {
            Labelled::Node => closest_name(text, nodes),
            Labelled::Rel => closest_name(text, rels),
        }))
    }
}
