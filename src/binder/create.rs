//! Patterns that create: CREATE, and the part of MERGE that creates where nothing was found. A new node has the one
//! label that names its table, a new relationship one type and a direction.

use super::aggregate::AggregateContext;
use super::bind::Binder;
use super::bound::*;
use super::error::{BindError, BindErrorKind, BindResult};
use super::expression::literal;
use super::property::value_type;
use crate::catalog::ColumnSchema;
use crate::functions::{assign_value, assignable};
use crate::parser::ast::{
    CreateClause, Direction, LabelExpression, LabelExpressionKind, MapEntry, Name, NodePattern, PathPattern,
    Properties, RelationshipPattern, Span,
};
use crate::parser::parse_expression;
use crate::types::{DataType, TableId, Value};

/// Which clause a pattern belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Creating {
    Create,
    Merge,
}

impl Creating {
    fn name(self) -> &'static str {
        match self {
            Creating::Create => "CREATE",
            Creating::Merge => "MERGE",
        }
    }
}

/// A pattern while it is being bound. Its names become visible when all of it is bound, so that no value can ask for
/// what does not exist yet.
pub(super) struct OpenCreation {
    clause: Creating,
    names: Vec<(Name, VariableId)>,
    /// The ends of relationships with a direction.
    ends: Vec<(VariableId, VariableId, VariableId)>,
    pub pattern: NewPattern,
    /// The relationships as a pattern to match.
    pub edges: Vec<PatternEdge>,
}

/// A property that is written in a pattern, before it is known to be a column.
pub(super) type Written = (Name, BoundExpression);

impl Binder<'_> {
    /// `CREATE patterns`.
    pub fn bind_create(&mut self, clause: &CreateClause) -> BindResult<BoundWrite> {
        self.aggregates = AggregateContext::forbidden("in CREATE");
        let mut open = OpenCreation::new(Creating::Create);
        for path in &clause.patterns {
            self.create_path(path, &mut open)?;
        }
        self.finish_creation(&mut open);
        Ok(BoundWrite::Create(open.pattern))
    }

    /// One path of the pattern.
    pub fn create_path(&mut self, path: &PathPattern, open: &mut OpenCreation) -> BindResult<()> {
        let clause = open.clause.name();
        if path.shortest.is_some() {
            return Err(invalid(format!("{clause} cannot take a shortest path"), path.span));
        }
        let mut nodes = vec![self.create_node(&path.start, path.steps.is_empty(), open)?];
        let mut rels = Vec::with_capacity(path.steps.len());
        for step in &path.steps {
            let near = nodes[nodes.len() - 1];
            let far = self.create_node(&step.node, false, open)?;
            rels.push(self.create_rel(&step.relationship, (near, far), open)?);
            nodes.push(far);
        }
        if let Some(name) = &path.variable {
            self.refuse_bound(name, open)?;
            let variable = self.declare_created(Some(name), VariableKind::Path, open);
            let inside = |rel: &VariableId| self.entity_tables(*rel);
            let tables = nodes.iter().flat_map(inside).chain(rels.iter().flat_map(inside));
            let tables = super::tables::table_set(tables);
            self.contents.insert(variable, tables);
            open.pattern.paths.push(NewPath { variable, nodes, rels });
        }
        Ok(())
    }

    /// Makes the names of a finished pattern visible.
    pub fn finish_creation(&mut self, open: &mut OpenCreation) {
        for (name, variable) in open.names.drain(..) {
            self.scope.add(name.as_str(), variable);
        }
        for (rel, source, target) in open.ends.drain(..) {
            self.ends.insert(rel, (source, target));
        }
    }

    /// A node: a new one, or with nothing but its name one that is bound before. `alone`: no relationship needs it.
    fn create_node(
        &mut self,
        node: &NodePattern,
        alone: bool,
        open: &mut OpenCreation,
    ) -> BindResult<VariableId> {
        let clause = open.clause.name();
        if let Some(predicate) = node.predicate.as_deref() {
            return Err(invalid(format!("{clause} takes no WHERE in its pattern"), predicate.span));
        }
        if let Some(name) = &node.variable
            && let Some(variable) = self.known_in(name, open)
        {
            let bare = node.labels.is_none() && node.properties.is_none() && !alone;
            if !bare {
                let message = format!("variable {} is bound already", name.text);
                let error = BindError::new(BindErrorKind::Redefinition, name.span, message);
                return Err(
                    error.with_hint(format!("Where it is used again it stands alone: ({})", name.text))
                );
            }
            let VariableKind::Node { .. } = self.kind(variable) else {
                return Err(self.conflict(name, variable, "a node"));
            };
            self.mark_used(variable);
            return Ok(variable);
        }
        let table = self.label_of_new(node, clause)?;
        let written = self.written_properties(node.properties.as_ref(), open.clause)?;
        let properties = self.assignments(table, written, node.span, open.clause)?;
        let kind = VariableKind::Node { tables: vec![table] };
        let variable = self.declare_created(node.variable.as_ref(), kind, open);
        open.pattern.nodes.push(NewNode { variable, table, properties, span: node.span });
        Ok(variable)
    }

    fn create_rel(
        &mut self,
        rel: &RelationshipPattern,
        (near, far): (VariableId, VariableId),
        open: &mut OpenCreation,
    ) -> BindResult<VariableId> {
        let clause = open.clause.name();
        if let Some(length) = &rel.length {
            return Err(invalid(format!("{clause} cannot take a variable-length relationship"), length.span));
        }
        if let Some(predicate) = rel.predicate.as_deref() {
            return Err(invalid(format!("{clause} takes no WHERE in its pattern"), predicate.span));
        }
        if let Some(name) = &rel.variable {
            self.refuse_bound(name, open)?;
        }
        if rel.direction == Direction::Both && open.clause == Creating::Create {
            let error = invalid("a relationship to be created needs a direction", rel.span);
            return Err(error.with_hint("Write -[…]-> or <-[…]-"));
        }
        let (mut source, mut target) =
            if rel.direction == Direction::Left { (far, near) } else { (near, far) };
        let name = self.type_of_new(rel)?;
        let all = self.rel_tables(rel.types.as_ref())?;
        let mut tables = self.pairs_between(&all, source, target);
        let undirected = rel.direction == Direction::Both;
        let reversed = self.pairs_between(&all, target, source);
        if tables.is_empty() && undirected {
            // The only direction that the schema allows.
            (source, target) = (target, source);
            tables = reversed.clone();
        }
        if tables.is_empty() {
            let ends = (self.entity_tables(source), self.entity_tables(target));
            return Err(self.no_such_pair(name, &all, (&ends.0, &ends.1), rel.span));
        }
        let written = self.written_properties(rel.properties.as_ref(), open.clause)?;
        let properties = self.assignments(tables[0].table, written, rel.span, open.clause)?;
        let mut found = tables.clone();
        if undirected {
            // MERGE may find one of the other direction.
            found.extend(reversed.iter().filter(|pair| !tables.contains(pair)));
        }
        let kind = VariableKind::Rel { tables: found.clone() };
        let variable = self.declare_created(rel.variable.as_ref(), kind, open);
        if !undirected {
            open.ends.push((variable, source, target));
        }
        open.edges.push(PatternEdge {
            variable,
            source,
            target,
            undirected,
            tables: found,
            length: None,
            referenced: true,
        });
        open.pattern.rels.push(NewRel { variable, source, target, tables, properties, span: rel.span });
        Ok(variable)
    }

    fn pairs_between(&self, pairs: &[RelTable], source: VariableId, target: VariableId) -> Vec<RelTable> {
        let (sources, targets) = (self.entity_tables(source), self.entity_tables(target));
        let fits = |pair: &&RelTable| sources.contains(&pair.source) && targets.contains(&pair.target);
        pairs.iter().filter(fits).copied().collect()
    }

    fn no_such_pair(
        &self,
        name: &Name,
        pairs: &[RelTable],
        (sources, targets): (&[TableId], &[TableId]),
        span: Span,
    ) -> BindError {
        let names = |tables: &[TableId]| {
            tables.iter().map(|table| self.table_name(*table)).collect::<Vec<_>>().join(" or ")
        };
        let (from, to) = (names(sources), names(targets));
        let message = format!("{} does not lead from {from} to {to}", name.text);
        let known: Vec<String> = pairs
            .iter()
            .map(|pair| format!("from {} to {}", self.table_name(pair.source), self.table_name(pair.target)))
            .collect();
        BindError::new(BindErrorKind::InvalidPattern, span, message).with_hint(format!(
            "{} leads {}",
            name.text,
            known.join(", ")
        ))
    }

    /// The table of a new node.
    fn label_of_new(&self, node: &NodePattern, clause: &str) -> BindResult<TableId> {
        let Some(labels) = &node.labels else {
            let what =
                node.variable.as_ref().map_or("a new node".to_owned(), |name| format!("node {}", name.text));
            let error = invalid(format!("{what} needs a label, which names its table"), node.span);
            let tables: Vec<&str> =
                self.catalog.node_tables().iter().map(|table| table.name.as_str()).collect();
            return Err(match tables.as_slice() {
                [] => error.with_hint("There is no node table yet; CREATE NODE TABLE makes one"),
                tables => error.with_hint(format!("There are {}", tables.join(", "))),
            });
        };
        single_name(labels, "a new node has one label", clause)?;
        match self.node_tables(Some(labels))?.as_slice() {
            [table] => Ok(*table),
            _ => Err(BindError::not_supported("creating nodes without a table", labels.span)),
        }
    }

    fn type_of_new<'p>(&self, rel: &'p RelationshipPattern) -> BindResult<&'p Name> {
        let Some(types) = &rel.types else {
            let error = invalid("a relationship to be created needs a type", rel.span);
            return Err(error.with_hint("Write -[:TYPE]->"));
        };
        single_name(types, "a new relationship has one type", "a pattern")
    }

    /// What a name stands for, in the pattern itself or before it.
    fn known_in(&self, name: &Name, open: &OpenCreation) -> Option<VariableId> {
        let own = open.names.iter().find(|(known, _)| known.text == name.text).map(|(_, variable)| *variable);
        own.or_else(|| self.scope.find(name.as_str()))
    }

    fn refuse_bound(&self, name: &Name, open: &OpenCreation) -> BindResult<()> {
        match self.known_in(name, open) {
            None => Ok(()),
            Some(_) => {
                let message = format!("variable {} is bound already", name.text);
                Err(BindError::new(BindErrorKind::Redefinition, name.span, message))
            }
        }
    }

    fn declare_created(
        &mut self,
        name: Option<&Name>,
        kind: VariableKind,
        open: &mut OpenCreation,
    ) -> VariableId {
        let variable = match name {
            Some(name) => {
                let variable = self.new_variable(name.as_str(), kind);
                open.names.push((name.clone(), variable));
                variable
            }
            None => self.new_anonymous(kind),
        };
        self.available.push(variable);
        variable
    }

    /// The property map of a pattern; a parameter gives its fields.
    fn written_properties(
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
    fn assignments(
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
            } else if self.must_be_given(table, column) {
                let owner = self.table_name(table);
                let message = format!("{owner}.{} must not be null and is given no value", column.name);
                let error = BindError::new(BindErrorKind::InvalidPattern, span, message);
                return Err(error.with_hint(format!("Write {{{}: …}}", column.name)));
            }
        }
        Ok(assigned)
    }

    fn must_be_given(&self, table: TableId, column: &ColumnSchema) -> bool {
        let key = self
            .catalog
            .node_table_by_id(table)
            .is_some_and(|schema| schema.primary_key.contains(&column.id));
        (column.not_null || key) && column.data_type != DataType::Serial
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
            Err(error) => wrong(format!("{owner}.{} cannot be {constant}: {error}", column.name)),
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

impl OpenCreation {
    pub fn new(clause: Creating) -> OpenCreation {
        OpenCreation {
            clause,
            names: Vec::new(),
            ends: Vec::new(),
            pattern: NewPattern::default(),
            edges: Vec::new(),
        }
    }
}

fn invalid(message: impl Into<String>, span: Span) -> BindError {
    BindError::new(BindErrorKind::InvalidPattern, span, message)
}

/// The one name of a label expression.
fn single_name<'p>(labels: &'p LabelExpression, rule: &str, clause: &str) -> BindResult<&'p Name> {
    match &labels.kind {
        LabelExpressionKind::Name(name) => Ok(name),
        LabelExpressionKind::And(_) | LabelExpressionKind::Colons(_) => {
            Err(BindError::not_supported("more than one label of a node", labels.span).with_hint(rule))
        }
        _ => Err(invalid(format!("{rule}; {clause} cannot choose among several"), labels.span)),
    }
}
