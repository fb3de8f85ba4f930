//! The way in, and what every part of the binder works on.

use rustc_hash::{FxHashMap, FxHashSet};

use super::aggregate::AggregateContext;
use super::bound::{BoundCheck, BoundStatement, Variable, VariableId, VariableKind};
use super::error::{BindError, BindErrorKind, BindResult};
use super::scope::Scope;
use crate::catalog::{Catalog, ColumnSchema, Dialect};
use crate::parser::ast::{self, Span, StatementKind, StatementMode};
use crate::types::{ColumnId, DataType, TableId, closest_name};

/// The types of the parameters that the caller gives; a name that is missing is of type ANY.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ParameterTypes {
    types: FxHashMap<String, DataType>,
}

impl ParameterTypes {
    /// The type of the parameter, if the caller gives one.
    pub fn get(&self, name: &str) -> Option<&DataType> {
        self.types.get(name)
    }

    /// Says that a parameter has this type.
    pub fn insert(&mut self, name: impl Into<String>, data_type: DataType) {
        self.types.insert(name.into(), data_type);
    }
}

impl<N: Into<String>> FromIterator<(N, DataType)> for ParameterTypes {
    fn from_iter<I: IntoIterator<Item = (N, DataType)>>(pairs: I) -> ParameterTypes {
        ParameterTypes {
            types: pairs.into_iter().map(|(name, data_type)| (name.into(), data_type)).collect(),
        }
    }
}

/// What the meaning of a text depends on besides the catalog.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct BinderSettings {
    /// How openCypher and Kuzu's Cypher are told apart.
    pub dialect: Dialect,
}

/// Gives a statement its meaning. `text` is what the statement was parsed from.
pub fn bind(
    statement: &ast::Statement,
    text: &str,
    catalog: &Catalog,
    parameters: &ParameterTypes,
    settings: &BinderSettings,
) -> Result<BoundStatement, BindError> {
    let mut binder = Binder::new(text, catalog, parameters, settings);
    binder.bind_statement(statement).map_err(|error| error.located(text))
}

/// What every part of the binder works on: one statement being bound.
pub(super) struct Binder<'a> {
    pub text: &'a str,
    pub catalog: &'a Catalog,
    parameter_types: &'a ParameterTypes,
    pub settings: BinderSettings,
    /// All variables of the statement, by their ids.
    pub variables: Vec<Variable>,
    /// For variables whose values hold nodes or relationships inside (lists of them): the tables these lie in.
    pub contents: FxHashMap<VariableId, Vec<TableId>>,
    /// Whether an expression mentions the variable, by its id.
    used: Vec<bool>,
    /// The ends of directed relationship variables, by which startNode and endNode become variables.
    pub ends: FxHashMap<VariableId, (VariableId, VariableId)>,
    /// Variable-length relationships that have a cost.
    pub weighted: Vec<VariableId>,
    /// Parameters in the order of their first mention.
    pub parameters: Vec<(String, DataType)>,
    pub scope: Scope,
    /// Names of the queries around the one being bound, which a WITH does not take away.
    pub around: Scope,
    /// The row's variables since the last WITH, anonymous ones included: what expressions can be rewritten to.
    pub available: Vec<VariableId>,
    pub aggregates: AggregateContext,
    /// The CHECKs of the tables that the statement writes.
    pub checks: Vec<BoundCheck>,
    /// NOT NULL columns without a default that a CREATE does not mention.
    pub not_given: Vec<(TableId, ColumnSchema, Span)>,
    /// The columns that SET may write.
    pub columns_set: FxHashSet<ColumnId>,
}

impl<'a> Binder<'a> {
    fn new(
        text: &'a str,
        catalog: &'a Catalog,
        parameter_types: &'a ParameterTypes,
        settings: &BinderSettings,
    ) -> Binder<'a> {
        Binder {
            text,
            catalog,
            parameter_types,
            settings: *settings,
            variables: Vec::new(),
            contents: FxHashMap::default(),
            used: Vec::new(),
            ends: FxHashMap::default(),
            weighted: Vec::new(),
            parameters: Vec::new(),
            scope: Scope::default(),
            around: Scope::default(),
            available: Vec::new(),
            aggregates: AggregateContext::forbidden("here"),
            checks: Vec::new(),
            not_given: Vec::new(),
            columns_set: FxHashSet::default(),
        }
    }

    fn bind_statement(&mut self, statement: &ast::Statement) -> BindResult<BoundStatement> {
        let bound = match &statement.kind {
            StatementKind::Query(query) => BoundStatement::Query(self.bind_query(query)?),
            StatementKind::SetOption(option) => self.bind_setting(option)?,
            StatementKind::CreateNodeTable(create) => self.bind_create_node_table(create)?,
            StatementKind::CreateRelTable(create) => self.bind_create_rel_table(create)?,
            StatementKind::Drop(drop) => self.bind_drop(drop)?,
            StatementKind::CopyFrom(copy) => self.bind_copy_from(copy)?,
            StatementKind::Begin(begin) => BoundStatement::Begin { read_only: begin.read_only },
            StatementKind::Commit => BoundStatement::Commit,
            StatementKind::Rollback => BoundStatement::Rollback,
            StatementKind::Checkpoint => BoundStatement::Checkpoint,
            other => return Err(BindError::not_supported(other.name(), statement.span)),
        };
        self.refuse_missing_values()?;
        let analyze = match statement.mode {
            StatementMode::Run => return Ok(bound),
            StatementMode::Explain => false,
            StatementMode::ExplainLogical => {
                return Err(BindError::not_supported("EXPLAIN LOGICAL", statement.span));
            }
            StatementMode::Profile => true,
        };
        Ok(BoundStatement::Explain { analyze, query: Box::new(bound) })
    }

    /// Whether a variable belongs to a query around the one being bound: it is the same for all of its rows.
    pub fn is_around(&self, variable: VariableId) -> bool {
        self.around.names().iter().any(|(_, known)| *known == variable)
    }

    /// Whether the text is read as Kuzu reads it.
    pub fn is_kuzu(&self) -> bool {
        self.settings.dialect == Dialect::Kuzu
    }

    /// A new variable that no name leads to yet.
    pub fn new_variable(&mut self, name: &str, kind: VariableKind) -> VariableId {
        let id = VariableId(self.variables.len() as u32);
        self.variables.push(Variable { name: name.to_owned(), kind });
        self.used.push(false);
        id
    }

    /// A new variable for a part of a pattern without a name.
    pub fn new_anonymous(&mut self, kind: VariableKind) -> VariableId {
        let name = format!(" {}", self.variables.len());
        self.new_variable(&name, kind)
    }

    /// What the variable stands for.
    pub fn kind(&self, variable: VariableId) -> &VariableKind {
        &self.variables[variable.0 as usize].kind
    }

    /// The variable's name in the text.
    pub fn variable_name(&self, variable: VariableId) -> &str {
        &self.variables[variable.0 as usize].name
    }

    /// Notes that an expression mentions the variable.
    pub fn mark_used(&mut self, variable: VariableId) {
        self.used[variable.0 as usize] = true;
    }

    /// Puts back what `is_used` said before.
    pub fn set_used(&mut self, variable: VariableId, used: bool) {
        self.used[variable.0 as usize] = used;
    }

    /// Whether an expression mentions the variable.
    pub fn is_used(&self, variable: VariableId) -> bool {
        self.used[variable.0 as usize]
    }

    /// What the name stands for, or an error with the nearest visible name.
    pub fn find_variable(&self, name: &str, span: Span) -> BindResult<VariableId> {
        self.scope.find(name).ok_or_else(|| {
            let message = format!("variable {name} is not defined");
            let error = BindError::new(BindErrorKind::UnknownVariable, span, message);
            if self.variables.iter().any(|variable| variable.name == name) {
                return error.with_hint("The last WITH does not pass it on");
            }
            let known = self.scope.names().iter().map(|(known, _)| known.as_str());
            error.did_you_mean(closest_name(name, known))
        })
    }

    /// The position of a parameter in `parameters`, and its type.
    pub fn parameter(&mut self, name: &str) -> (u32, DataType) {
        let known = self.parameters.iter().position(|(known, _)| known == name);
        let position = known.unwrap_or_else(|| {
            let data_type = self.parameter_types.get(name).cloned().unwrap_or(DataType::Any);
            self.parameters.push((name.to_owned(), data_type));
            self.parameters.len() - 1
        });
        (position as u32, self.parameters[position].1.clone())
    }
}
