//! Functions of nodes, relationships and paths. They read tables, so they are no kernels: each becomes an expression of
//! its own that the planner turns into a fetch, or disappears.

use super::bind::Binder;
use super::bound::*;
use super::error::{BindError, BindErrorKind, BindResult};
use super::expression::{literal, needs_variable};
use super::property::value_type;
use super::tables::{all_node_tables, table_set};
use crate::functions::{PRESENT_KEYS, PRESENT_PROPERTIES};
use crate::parser::ast::{self, FunctionCall, Name, Span};
use crate::types::{DataType, Field, TableId, Value};

/// The functions that are handled here, in lower case.
pub(super) const ENTITY_FUNCTIONS: &[&str] = &[
    "id",
    "label",
    "labels",
    "type",
    "properties",
    "keys",
    "startnode",
    "start_node",
    "endnode",
    "end_node",
    "nodes",
    "rels",
    "relationships",
    "length",
    "cost",
    "is_trail",
    "is_acyclic",
    "size",
    "exists",
];

impl Binder<'_> {
    /// A function of a node, relationship or path with its bound argument; gives the argument back when the
    /// function is an ordinary one for it.
    pub fn bind_entity_function(
        &mut self,
        name: &str,
        argument: BoundExpression,
        call: &FunctionCall,
    ) -> BindResult<Result<BoundExpression, BoundExpression>> {
        let span = call.span;
        if argument.data_type == DataType::Null && !matches!(name, "size" | "length") {
            let value = if name == "exists" { Value::Bool(false) } else { Value::Null };
            return Ok(Ok(literal(value, span)));
        }
        if name == "exists" {
            let of_pattern = |argument: &ast::FunctionArgument| matches!(&argument.value.kind, ast::ExpressionKind::Pattern(pattern) if pattern.shortest.is_none());
            if call.arguments.iter().any(of_pattern) {
                return Ok(Ok(argument));
            }
            let kind = ExpressionKind::IsNull { operand: Box::new(argument), negated: true };
            return Ok(Ok(BoundExpression { kind, data_type: DataType::Bool, span }));
        }
        let subject = Subject::of(&argument.data_type);
        let wrong = |wanted: &str| {
            let found = &argument.data_type;
            let message = format!("{name} needs {wanted}, this is of type {found}");
            BindError::new(BindErrorKind::TypeMismatch, argument.span, message)
        };
        let subject_is_open = matches!(argument.data_type, DataType::Any | DataType::Json);
        if subject_is_open && !matches!(name, "length" | "size" | "properties" | "keys") {
            let what = format!("{name} of a value whose type is known only when the query runs");
            return Err(BindError::not_supported(&what, argument.span));
        }
        use Subject::*;
        let make: fn(VariableId) -> ExpressionKind = match (name, subject) {
            ("length" | "size", Other) => return Ok(Err(argument)),
            ("properties" | "keys", Other) => return self.properties_of_value(name, argument, span),
            ("id", Node | Rel) => ExpressionKind::InternalId,
            ("label", Node | Rel) | ("type", Rel) => ExpressionKind::LabelName,
            ("labels", Node | Rel) if self.is_kuzu() => ExpressionKind::LabelName,
            ("labels", Node) => ExpressionKind::Labels,
            ("properties" | "keys", Node | Rel) => ExpressionKind::Properties,
            ("startnode" | "start_node", Rel) => ExpressionKind::StartNode,
            ("endnode" | "end_node", Rel) => ExpressionKind::EndNode,
            ("nodes", Path | RelList) => ExpressionKind::PathNodes,
            ("rels" | "relationships", Path | RelList) => ExpressionKind::PathRels,
            ("length", Path | RelList) | ("size", RelList) => ExpressionKind::PathLength,
            ("is_trail", Path | RelList) => ExpressionKind::PathRels,
            ("is_acyclic", Path) => ExpressionKind::PathNodes,
            ("is_trail" | "is_acyclic", _) => return Err(wrong("a path")),
            ("cost", RelList) => ExpressionKind::PathCost,
            ("cost", _) => return Err(wrong("a relationship of WSHORTEST")),
            ("id" | "label" | "properties" | "keys", _) => return Err(wrong("a node or relationship")),
            ("labels", _) => return Err(wrong("a node")),
            ("type" | "startnode" | "start_node" | "endnode" | "end_node", _) => {
                return Err(wrong("a relationship"));
            }
            ("nodes" | "rels" | "relationships" | "length", _) => return Err(wrong("a path")),
            _ => return Err(wrong("a list or a text")),
        };
        let ExpressionKind::Variable(variable) = argument.kind else {
            if subject == RelList && matches!(name, "length" | "size") {
                return Ok(Err(argument));
            }
            if matches!(subject, Node | Rel) {
                let said = |binder: &mut Self, entity| binder.on_variable(name, make(entity), entity, span);
                return self.about_entity(argument, span, said).map(Ok);
            }
            return Err(needs_variable(name, argument.span));
        };
        let bound = self.on_variable(name, make(variable), variable, span)?;
        if matches!(name, "is_trail" | "is_acyclic") {
            return self.has_no_repetition(bound).map(Ok);
        }
        Ok(Ok(bound))
    }

    fn on_variable(
        &mut self,
        name: &str,
        kind: ExpressionKind,
        variable: VariableId,
        span: Span,
    ) -> BindResult<BoundExpression> {
        if matches!(kind, ExpressionKind::Properties(_)) {
            // Properties that are null are not there; a struct of the only table's columns has them all the same.
            let several = self.properties_type(variable) == DataType::Any;
            match name {
                "keys" => return self.present(PRESENT_KEYS, variable, span),
                _ if several => return self.present(PRESENT_PROPERTIES, variable, span),
                _ => {}
            }
        }
        let data_type = match &kind {
            ExpressionKind::InternalId(_) => DataType::Id,
            ExpressionKind::LabelName(_) => DataType::String,
            ExpressionKind::Labels(_) => DataType::list(DataType::String),
            ExpressionKind::Properties(_) => self.properties_type(variable),
            ExpressionKind::PathNodes(_) => DataType::list(DataType::Node),
            ExpressionKind::PathRels(_) if matches!(self.kind(variable), VariableKind::RelList { .. }) => {
                return Ok(self.variable_expression(variable, span));
            }
            ExpressionKind::PathRels(_) => DataType::list(DataType::Rel),
            ExpressionKind::PathLength(_) => DataType::Int64,
            ExpressionKind::PathCost(_) => {
                self.check_weighted(variable, span)?;
                DataType::Double
            }
            ExpressionKind::StartNode(_) | ExpressionKind::EndNode(_) => {
                return Ok(self.end_of(kind, variable, span));
            }
            _ => DataType::Any,
        };
        Ok(BoundExpression { kind, data_type, span })
    }

    /// A function over what a variable has of its properties.
    fn present(&mut self, function: &str, variable: VariableId, span: Span) -> BindResult<BoundExpression> {
        let kind = ExpressionKind::InternalId(variable);
        let mut arguments = vec![BoundExpression { kind, data_type: DataType::Id, span }];
        for (name, value) in self.all_properties(variable, span)? {
            arguments.extend([literal(Value::String(name), span), value]);
        }
        self.call(function, arguments, span)
    }

    /// startNode or endNode: the pattern's own variable where the row still has it.
    fn end_of(&mut self, kind: ExpressionKind, variable: VariableId, span: Span) -> BoundExpression {
        if let Some((source, target)) = self.ends.get(&variable).copied() {
            let end = if matches!(kind, ExpressionKind::StartNode(_)) { source } else { target };
            if self.available.contains(&end) {
                self.mark_used(end);
                return self.variable_expression(end, span);
            }
        }
        BoundExpression { kind, data_type: DataType::Node, span }
    }

    /// A struct of the columns of the only table, or any map where there are several.
    fn properties_type(&self, variable: VariableId) -> DataType {
        match self.entity_tables(variable).as_slice() {
            [table] => {
                let columns = self.columns(*table).iter();
                let field = |column: &crate::catalog::ColumnSchema| {
                    Field::new(&*column.name, value_type(&column.data_type))
                };
                DataType::Struct(columns.map(field).collect())
            }
            _ => DataType::Any,
        }
    }

    /// A map is its own properties.
    fn properties_of_value(
        &mut self,
        name: &str,
        argument: BoundExpression,
        span: Span,
    ) -> BindResult<Result<BoundExpression, BoundExpression>> {
        match argument.data_type {
            DataType::Struct(_) | DataType::Map(..) | DataType::Any | DataType::Json if name == "keys" => {
                self.call("keys", vec![argument], span).map(Ok)
            }
            DataType::Struct(_) | DataType::Map(..) | DataType::Any | DataType::Json => Ok(Ok(argument)),
            ref other => {
                let message = format!("{name} needs a node, relationship or map, this is of type {other}");
                Err(BindError::new(BindErrorKind::TypeMismatch, argument.span, message))
            }
        }
    }

    /// What a variable is that holds values of this type, whose nodes and relationships lie in `tables`.
    pub fn kind_of_type(&self, data_type: DataType, tables: &[TableId]) -> VariableKind {
        let is_node = |table: &&TableId| self.catalog.node_table_by_id(**table).is_some();
        match data_type {
            DataType::Node => VariableKind::Node { tables: tables.iter().filter(is_node).copied().collect() },
            DataType::Rel => VariableKind::Rel { tables: self.rel_tables_of(tables) },
            DataType::Path => VariableKind::Path,
            DataType::List(element) if *element == DataType::Rel => {
                VariableKind::RelList { tables: self.rel_tables_of(tables) }
            }
            other => VariableKind::Value(other),
        }
    }

    fn rel_tables_of(&self, tables: &[TableId]) -> Vec<RelTable> {
        let found = tables.iter().filter_map(|id| self.catalog.rel_table_by_id(*id));
        found
            .map(|(_, table)| RelTable { table: table.id, source: table.source, target: table.target })
            .collect()
    }

    /// Remembers in which tables the nodes and relationships lie that a variable's values hold.
    pub fn note_contents(&mut self, variable: VariableId, expression: &BoundExpression) {
        if holds_entities(&expression.data_type) {
            let tables = self.tables_inside(expression);
            self.contents.insert(variable, tables);
        }
    }

    /// The tables, of nodes and relationships, in which what an expression gives may lie.
    pub fn tables_inside(&self, expression: &BoundExpression) -> Vec<TableId> {
        if !holds_entities(&expression.data_type) {
            return Vec::new();
        }
        let mut found = Vec::new();
        let mut known = false;
        let calls = self.aggregates.calls();
        expression.walk(&mut |part| {
            let inside = self.tables_of_part(part, calls);
            known |= inside.is_some();
            found.extend(inside.unwrap_or_default());
        });
        if known { table_set(found) } else { self.all_tables() }
    }

    fn tables_of_part(&self, part: &BoundExpression, calls: &[AggregateCall]) -> Option<Vec<TableId>> {
        use ExpressionKind::*;
        match &part.kind {
            Variable(variable) => match self.kind(*variable) {
                VariableKind::Path | VariableKind::Value(_) => self.contents.get(variable).cloned(),
                _ => Some(self.entity_tables(*variable)),
            },
            PathNodes(variable) | PathRels(variable) => match self.kind(*variable) {
                VariableKind::RelList { tables } => {
                    Some(tables.iter().flat_map(|table| [table.table, table.source, table.target]).collect())
                }
                _ => self.contents.get(variable).cloned(),
            },
            StartNode(variable) | EndNode(variable) => match self.kind(*variable) {
                VariableKind::Rel { tables } => {
                    Some(tables.iter().flat_map(|table| [table.source, table.target]).collect())
                }
                _ => None,
            },
            Aggregate(position) => {
                let arguments = calls.get(*position as usize)?.arguments.iter();
                Some(arguments.flat_map(|argument| self.tables_inside(argument)).collect())
            }
            Subquery(query) => {
                let values = query.value.iter();
                Some(values.flat_map(|value| self.tables_inside(value)).collect())
            }
            _ => None,
        }
    }

    fn all_tables(&self) -> Vec<TableId> {
        let rels = self.catalog.rel_tables().map(|(_, table)| table.id);
        table_set(all_node_tables(self.catalog).into_iter().chain(rels))
    }

    /// `variable.*` as its properties in order.
    pub fn all_properties(
        &mut self,
        variable: VariableId,
        span: Span,
    ) -> BindResult<Vec<(String, BoundExpression)>> {
        let names = self.property_names(variable, span)?;
        self.mark_used(variable);
        let mut bound = Vec::with_capacity(names.len());
        for name in names {
            let target = self.variable_expression(variable, span);
            let value = self.property_of(target, &Name::new(name.clone(), span), span)?;
            bound.push((name, value));
        }
        Ok(bound)
    }
}

/// The kinds of arguments that the functions tell apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Subject {
    Node,
    Rel,
    Path,
    RelList,
    Other,
}

impl Subject {
    fn of(data_type: &DataType) -> Subject {
        match data_type {
            DataType::Node => Subject::Node,
            DataType::Rel => Subject::Rel,
            DataType::Path => Subject::Path,
            DataType::List(element) if **element == DataType::Rel => Subject::RelList,
            _ => Subject::Other,
        }
    }
}

fn holds_entities(data_type: &DataType) -> bool {
    match data_type {
        DataType::Node | DataType::Rel | DataType::Path | DataType::Any => true,
        DataType::List(element) | DataType::Array(element, _) => holds_entities(element),
        DataType::Map(_, value) => holds_entities(value),
        DataType::Struct(fields) | DataType::Union(fields) => {
            fields.iter().any(|field| holds_entities(&field.data_type))
        }
        _ => false,
    }
}
