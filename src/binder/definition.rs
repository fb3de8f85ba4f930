//! CREATE and DROP of tables, and settings. A definition is tried on a copy of the catalog, so that everything the
//! catalog would refuse is an error that points at the text.

use super::bind::Binder;
use super::bound::*;
use super::error::{BindError, BindErrorKind, BindResult};
use crate::catalog::{CatalogError, Multiplicity, NewColumn, NewNodeTable, NewRelType};
use crate::parser::ast::{
    self, ColumnDefinition, CopyOption, CreateNodeTable, CreateRelTable, DropKind, DropObject, Name,
    OnConflict, SetOption, Span,
};
use crate::types::Value;

impl Binder<'_> {
    /// `CREATE NODE TABLE`.
    pub fn bind_create_node_table(&mut self, create: &CreateNodeTable) -> BindResult<BoundStatement> {
        refuse_query(create.query.as_ref())?;
        refuse_options(&create.options)?;
        let if_not_exists = create.on_conflict == OnConflict::Ignore;
        let schema = NewNodeTable {
            name: create.name.text.clone(),
            columns: self.bind_columns(&create.columns, &create.checks)?,
            primary_key: create.primary_key.iter().map(|name| name.text.clone()).collect(),
            open: false,
        };
        if !(if_not_exists && self.catalog.node_table(&schema.name).is_some()) {
            let tried = self.catalog.clone().create_node_table(schema.clone());
            tried.map_err(|error| {
                let columns = create.columns.iter().map(|column| &column.name);
                definition_error(error, create.span, &create.name, columns.chain(&create.primary_key))
            })?;
        }
        Ok(BoundStatement::CreateNodeTable { schema, if_not_exists })
    }

    /// `CREATE REL TABLE`.
    pub fn bind_create_rel_table(&mut self, create: &CreateRelTable) -> BindResult<BoundStatement> {
        refuse_query(create.query.as_ref())?;
        refuse_options(&create.options)?;
        let if_not_exists = create.on_conflict == OnConflict::Ignore;
        let endpoints = create.endpoints.iter();
        let schema = NewRelType {
            name: create.name.text.clone(),
            pairs: endpoints.map(|pair| (pair.from.text.clone(), pair.to.text.clone())).collect(),
            columns: self.bind_columns(&create.columns, &create.checks)?,
            multiplicity: common_multiplicity(create)?,
            open: false,
        };
        if !(if_not_exists && self.catalog.rel_type(&schema.name).is_some()) {
            let tried = self.catalog.clone().create_rel_type(schema.clone());
            tried.map_err(|error| {
                let columns = create.columns.iter().map(|column| &column.name);
                let ends = create.endpoints.iter().flat_map(|pair| [&pair.from, &pair.to]);
                definition_error(error, create.span, &create.name, columns.chain(ends))
            })?;
        }
        Ok(BoundStatement::CreateRelTable { schema, if_not_exists })
    }

    fn bind_columns(
        &mut self,
        columns: &[ColumnDefinition],
        checks: &[ast::Expression],
    ) -> BindResult<Vec<NewColumn>> {
        let mut bound: Vec<NewColumn> = Vec::with_capacity(columns.len());
        for column in columns {
            if bound.iter().any(|other| other.name == column.name.text) {
                let message = format!("property {} appears twice", column.name.text);
                return Err(BindError::new(BindErrorKind::DuplicateColumn, column.name.span, message));
            }
            bound.push(self.bind_column(column)?);
        }
        let own = columns.iter().enumerate();
        let own = own.flat_map(|(at, column)| column.checks.iter().map(move |check| (Some(at), check)));
        self.bind_checks(&mut bound, own.chain(checks.iter().map(|check| (None, check))))?;
        Ok(bound)
    }

    fn bind_column(&mut self, column: &ColumnDefinition) -> BindResult<NewColumn> {
        let data_type = self.data_type(&column.type_name)?;
        let default = match &column.default {
            None => None,
            Some(default) => {
                let bound = self.bind_expression(default)?;
                self.assigned(bound, &data_type)?;
                Some(default.span.of(self.text).to_owned())
            }
        };
        Ok(NewColumn {
            name: column.name.text.clone(),
            data_type,
            default,
            not_null: column.not_null,
            unique: column.unique,
            check: None,
        })
    }

    /// `DROP TABLE`.
    pub fn bind_drop(&mut self, drop: &DropObject) -> BindResult<BoundStatement> {
        if drop.kind != DropKind::Table {
            return Err(BindError::not_supported(drop.kind.name(), drop.span));
        }
        let name = &drop.name;
        if !(drop.if_exists && self.catalog.table(&name.text).is_none()) {
            let tried = self.catalog.clone().drop_table(&name.text);
            tried.map_err(|error| definition_error(error, name.span, name, std::iter::empty()))?;
        }
        Ok(BoundStatement::DropTable { name: name.text.clone(), if_exists: drop.if_exists })
    }

    /// `CALL name = value`.
    pub fn bind_setting(&mut self, option: &SetOption) -> BindResult<BoundStatement> {
        let name = option.name.text.to_lowercase();
        let value = self.constant_option(&option.value)?;
        Ok(BoundStatement::Setting { name, value })
    }

    /// A constant, or a bare word as a text.
    pub fn constant_option(&mut self, value: &ast::Expression) -> BindResult<Value> {
        if let Some(word) = value.as_variable() {
            return Ok(Value::String(word.to_owned()));
        }
        match self.bind_expression(value)?.kind {
            ExpressionKind::Literal(value) => Ok(value),
            _ => {
                let message = "a constant is needed here";
                Err(BindError::new(BindErrorKind::NonConstant, value.span, message))
            }
        }
    }
}

fn refuse_query(query: Option<&ast::Query>) -> BindResult<()> {
    query.map_or(Ok(()), |query| Err(BindError::not_supported("CREATE TABLE AS", query.span)))
}

fn refuse_options(options: &[CopyOption]) -> BindResult<()> {
    options.first().map_or(Ok(()), |option| Err(BindError::not_supported("WITH (…) of a table", option.span)))
}

/// The multiplicity of the type, whether it is written once or beside every pair.
fn common_multiplicity(create: &CreateRelTable) -> BindResult<Multiplicity> {
    let mut common = create.multiplicity;
    for pair in &create.endpoints {
        match (common, pair.multiplicity) {
            (_, None) => {}
            (None, Some(one)) => common = Some(one),
            (Some(one), Some(other)) if one == other => {}
            (Some(_), Some(_)) => {
                let message = "all FROM/TO pairs of a relationship table have the same multiplicity";
                return Err(BindError::new(BindErrorKind::InvalidDefinition, pair.span, message));
            }
        }
    }
    Ok(match common {
        None | Some(ast::Multiplicity::ManyMany) => Multiplicity::ManyMany,
        Some(ast::Multiplicity::ManyOne) => Multiplicity::ManyOne,
        Some(ast::Multiplicity::OneMany) => Multiplicity::OneMany,
        Some(ast::Multiplicity::OneOne) => Multiplicity::OneOne,
    })
}

/// What the catalog refuses, at the name that it is about.
fn definition_error<'n>(
    error: CatalogError,
    span: Span,
    table: &'n Name,
    names: impl Iterator<Item = &'n Name>,
) -> BindError {
    let names: Vec<&Name> = names.collect();
    let place =
        |wanted: &str| names.iter().rev().find(|name| name.text == wanted).map_or(span, |name| name.span);
    let (kind, at) = match &error {
        CatalogError::Exists { .. } => (BindErrorKind::AlreadyExists, table.span),
        CatalogError::Missing { name, .. } => (BindErrorKind::UnknownTable, place(name)),
        CatalogError::MissingColumn { column, .. } | CatalogError::UnknownKeyColumn { column, .. } => {
            (BindErrorKind::UnknownProperty, place(column))
        }
        CatalogError::DuplicateColumn { column, .. } => (BindErrorKind::DuplicateColumn, place(column)),
        CatalogError::DuplicateKeyColumn { column, .. }
        | CatalogError::InvalidKeyType { column, .. }
        | CatalogError::InvalidColumnType { column, .. }
        | CatalogError::KeyColumn { column, .. } => (BindErrorKind::InvalidDefinition, place(column)),
        _ => (BindErrorKind::InvalidDefinition, span),
    };
    let message = error.to_string();
    match message.split_once("; did you mean ") {
        Some((message, suggestion)) => {
            BindError::new(kind, at, message).did_you_mean(Some(suggestion.trim_end_matches('?').to_owned()))
        }
        None => BindError::new(kind, at, message),
    }
}
