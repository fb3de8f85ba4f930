//! Patterns that create: CREATE, and the part of MERGE that creates where nothing was found. A new node has the one
//! label that names its table, a new relationship one type and a direction.

use super::aggregate::AggregateContext;
use super::bind::Binder;
use super::bound::*;
use super::error::{BindError, BindErrorKind, BindResult};
use crate::parser::ast::{
    CreateClause, Direction, LabelExpression, LabelExpressionKind, Name, NodePattern, PathPattern,
    RelationshipPattern, Span,
};
use crate::types::TableId;

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

impl Binder<'_> {
    /// `CREATE patterns`: one after the other, as the values of one may mention what those before it make.
    pub fn bind_create(&mut self, clause: &CreateClause) -> BindResult<Vec<BoundWrite>> {
        self.aggregates = AggregateContext::forbidden("in CREATE");
        let mut creates = Vec::with_capacity(clause.patterns.len());
        for path in &clause.patterns {
            let mut open = OpenCreation::new(Creating::Create);
            self.create_path(path, &mut open)?;
            self.finish_creation(&mut open);
            creates.push(BoundWrite::Create(open.pattern));
        }
        Ok(creates)
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
        self.note_written(table, node.span)?;
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
        if tables.is_empty() && (self.is_nowhere(source) || self.is_nowhere(target)) {
            // What the end comes from matches nothing: there is no row for which anything is created.
            tables.clone_from(&all);
        }
        if tables.is_empty() {
            let ends = (self.entity_tables(source), self.entity_tables(target));
            return Err(self.no_such_pair(name, &all, (&ends.0, &ends.1), rel.span));
        }
        for pair in &tables {
            self.note_written(pair.table, rel.span)?;
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

    /// Whether no table can have the node.
    fn is_nowhere(&self, node: VariableId) -> bool {
        self.entity_tables(node).is_empty()
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
