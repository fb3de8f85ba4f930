//! `COPY table FROM files`: which table and which columns the fields of a file belong to. What the options mean is the
//! business of whoever reads the files; only `from` and `to`, which choose a FROM/TO pair, are taken out here.

use super::bind::Binder;
use super::bound::*;
use super::error::{BindError, BindErrorKind, BindResult};
use crate::catalog::{ColumnSchema, ObjectKind, RelTableSchema, RelTypeSchema, TableEntry};
use crate::parser::ast::{CopyFrom, Name, ScanSourceKind, Span};
use crate::types::{ColumnId, DataType, Value, closest_name};

/// Options as bound: lower-case name, value, place.
type Options = Vec<(String, Value, Span)>;

impl Binder<'_> {
    /// `COPY table [(columns)] FROM files [(options)]`.
    pub fn bind_copy_from(&mut self, copy: &CopyFrom) -> BindResult<BoundStatement> {
        if copy.by_column {
            return Err(BindError::not_supported("COPY … BY COLUMN", copy.span));
        }
        let files = match &copy.source.kind {
            ScanSourceKind::Files(files) => files.iter().map(|file| file.path.clone()).collect(),
            ScanSourceKind::Query(_) => return Err(not_a_file("a query", copy)),
            ScanSourceKind::Parameter(_) => return Err(not_a_file("a parameter", copy)),
            ScanSourceKind::Object(_) => return Err(not_a_file("an object", copy)),
            ScanSourceKind::Function(_) => return Err(not_a_file("a function", copy)),
        };
        let mut options = self.bind_options(copy)?;
        let catalog = self.catalog;
        let target = match catalog.table(&copy.table.text) {
            Some(TableEntry::Node(schema)) => CopyTarget::Node {
                table: schema.id,
                columns: copied_columns(&schema.name, &schema.columns, copy.columns.as_deref())?,
            },
            Some(TableEntry::Rel(schema)) => {
                let pair = self.chosen_pair(schema, &mut options, &copy.table)?;
                CopyTarget::Rel {
                    rel: RelTable { table: pair.id, source: pair.source, target: pair.target },
                    columns: copied_columns(&schema.name, &schema.columns, copy.columns.as_deref())?,
                    multiplicity: schema.multiplicity,
                }
            }
            None => return Err(self.unknown_table(&copy.table)),
        };
        let table = match &target {
            CopyTarget::Node { table, .. } => *table,
            CopyTarget::Rel { rel, .. } => rel.table,
        };
        self.note_written(table, copy.table.span)?;
        let (checks, variables) = (std::mem::take(&mut self.checks), std::mem::take(&mut self.variables));
        Ok(BoundStatement::CopyFrom(BoundCopy { target, files, options, checks, variables, span: copy.span }))
    }

    fn bind_options(&mut self, copy: &CopyFrom) -> BindResult<Options> {
        let mut options: Options = Vec::with_capacity(copy.options.len());
        for option in &copy.options {
            let name = option.name.text.to_lowercase();
            if options.iter().any(|(known, _, _)| *known == name) {
                let message = format!("the option {name} is given twice");
                return Err(BindError::new(BindErrorKind::InvalidOption, option.span, message));
            }
            let value = match &option.value {
                None => Value::Bool(true),
                Some(value) => self.constant_option(value)?,
            };
            options.push((name, value, option.span));
        }
        Ok(options)
    }

    /// The FROM/TO pair of a relationship type, chosen by the options `from` and `to` where there are several.
    fn chosen_pair<'t>(
        &self,
        rel_type: &'t RelTypeSchema,
        options: &mut Options,
        table: &Name,
    ) -> BindResult<&'t RelTableSchema> {
        let from = self.take_table_option(options, "from")?;
        let to = self.take_table_option(options, "to")?;
        let fits = |pair: &&RelTableSchema| {
            from.as_ref().is_none_or(|(name, _)| self.table_name(pair.source) == name)
                && to.as_ref().is_none_or(|(name, _)| self.table_name(pair.target) == name)
        };
        let found: Vec<&RelTableSchema> = rel_type.tables.iter().filter(fits).collect();
        if let [pair] = found.as_slice() {
            return Ok(pair);
        }
        let pairs: Vec<String> = rel_type
            .tables
            .iter()
            .map(|pair| format!("{} → {}", self.table_name(pair.source), self.table_name(pair.target)))
            .collect();
        let span = from.or(to).map_or(table.span, |(_, span)| span);
        let message = if found.is_empty() {
            format!("{} has no such FROM/TO pair", rel_type.name)
        } else {
            format!("{} has several FROM/TO pairs and the file belongs to one of them", rel_type.name)
        };
        let error = BindError::new(BindErrorKind::InvalidOption, span, message);
        Err(error.with_hint(format!("Choose by (from = '…', to = '…'): {}", pairs.join(", "))))
    }

    fn take_table_option(&self, options: &mut Options, name: &str) -> BindResult<Option<(String, Span)>> {
        let Some(at) = options.iter().position(|(known, _, _)| known == name) else { return Ok(None) };
        let (_, value, span) = options.remove(at);
        match value {
            Value::String(table) if self.catalog.node_table(&table).is_some() => Ok(Some((table, span))),
            Value::String(table) => {
                let known = self.catalog.node_tables().iter().map(|table| table.name.as_str());
                let suggestion = closest_name(&table, known);
                let message = format!("there is no node table named {table}");
                Err(BindError::new(BindErrorKind::UnknownTable, span, message).did_you_mean(suggestion))
            }
            _ => {
                let message = format!("the option {name} needs the name of a node table");
                Err(BindError::new(BindErrorKind::InvalidOption, span, message))
            }
        }
    }

    fn unknown_table(&self, table: &Name) -> BindError {
        let nodes = self.catalog.node_tables().iter().map(|table| table.name.as_str());
        let rels = self.catalog.rel_types().iter().map(|rel_type| rel_type.name.as_str());
        let suggestion = closest_name(&table.text, nodes.chain(rels));
        let message = format!("{} {} does not exist", ObjectKind::Table, table.text);
        BindError::new(BindErrorKind::UnknownTable, table.span, message).did_you_mean(suggestion)
    }
}

fn not_a_file(what: &str, copy: &CopyFrom) -> BindError {
    BindError::not_supported(&format!("COPY from {what}"), copy.source.span)
}

/// The columns that the fields of a file fill: the named ones, or all but those that fill themselves.
fn copied_columns(
    table: &str,
    columns: &[ColumnSchema],
    named: Option<&[Name]>,
) -> BindResult<Vec<ColumnId>> {
    let Some(named) = named else {
        let filled = columns.iter().filter(|column| column.data_type != DataType::Serial);
        return Ok(filled.map(|column| column.id).collect());
    };
    let mut chosen = Vec::with_capacity(named.len());
    for name in named {
        let Some(column) = columns.iter().find(|column| column.name == name.text) else {
            let suggestion = closest_name(&name.text, columns.iter().map(|column| column.name.as_str()));
            let message = format!("table {table} has no property {}", name.text);
            let error = BindError::new(BindErrorKind::UnknownProperty, name.span, message);
            return Err(error.did_you_mean(suggestion));
        };
        if chosen.contains(&column.id) {
            let message = format!("property {} is named twice", name.text);
            return Err(BindError::new(BindErrorKind::DuplicateColumn, name.span, message));
        }
        chosen.push(column.id);
    }
    Ok(chosen)
}
