//! Patterns of MATCH. All patterns of a clause become one graph of node variables and edges. First every variable is
//! declared with the tables that its labels allow, then tables are narrowed by what the relationships connect until
//! nothing changes, and only then are property maps and predicates bound: they may mention any variable of the clause.

use super::aggregate::AggregateContext;
use super::bind::Binder;
use super::bound::*;
use super::error::{BindError, BindErrorKind, BindResult};
use super::length::{hops, narrow};
use super::tables::{intersection, is_subset, table_set};
use crate::parser::ast::{self, Direction, Expression, Name, PathPattern, Properties, Span};
use crate::types::{DataType, TableId};
use rustc_hash::FxHashMap;

/// A pattern while it is being bound.
struct OpenPattern<'e> {
    /// Variables from here on were introduced by this clause.
    first_new: VariableId,
    pattern: BoundPattern,
    /// The tables of each node of the pattern as far as narrowed.
    tables: FxHashMap<VariableId, Vec<TableId>>,
    /// What is bound once all variables are declared.
    pending: Vec<Pending<'e>>,
    predicates: Vec<BoundExpression>,
}

/// A predicate inside a pattern.
enum Pending<'e> {
    NodeProperties(VariableId, &'e Properties),
    NodePredicate(&'e Expression),
    EdgeProperties(usize, &'e Properties),
    EdgePredicate(usize, &'e Expression),
    /// Edge, name of a relationship and of a node on the way, predicate.
    Recursion(usize, &'e Name, &'e Name, &'e Expression),
    /// The property that a weighted path adds up.
    Cost(usize, &'e Name),
}

/// Planning takes time that grows with the square of a pattern and more.
const PATTERN_EDGES_MAX: usize = 500;

impl Binder<'_> {
    /// Binds `MATCH patterns WHERE predicate`.
    pub fn bind_match(&mut self, clause: &ast::MatchClause) -> BindResult<BoundMatch> {
        let outer = std::mem::replace(&mut self.aggregates, AggregateContext::forbidden("in MATCH"));
        let mut open = OpenPattern {
            first_new: VariableId(self.variables.len() as u32),
            pattern: BoundPattern::default(),
            tables: FxHashMap::default(),
            pending: Vec::new(),
            predicates: Vec::new(),
        };
        for path in &clause.patterns {
            self.declare_path(path, &mut open)?;
            if open.pattern.edges.len() > PATTERN_EDGES_MAX {
                let what = format!("a pattern of more than {PATTERN_EDGES_MAX} relationships");
                return Err(BindError::not_supported(&what, path.span));
            }
        }
        self.narrow_pattern(&mut open);
        for pending in std::mem::take(&mut open.pending) {
            self.bind_pending(pending, &mut open)?;
        }
        if let Some(predicate) = &clause.predicate {
            self.aggregates = AggregateContext::forbidden("in WHERE");
            open.predicates.extend(self.bind_predicate(predicate)?);
        }
        open.predicates = self.push_universal(&mut open.pattern, std::mem::take(&mut open.predicates))?;
        self.aggregates = outer;
        open.pattern.distinct_edges = self.distinct_edges(&open.pattern.edges);
        Ok(BoundMatch { optional: clause.optional, pattern: open.pattern, predicates: open.predicates })
    }

    fn declare_path<'e>(&mut self, path: &'e PathPattern, open: &mut OpenPattern<'e>) -> BindResult<()> {
        if path.shortest.is_some() && path.steps.len() != 1 {
            return Err(Self::shortest_needs_one_step(path.span));
        }
        let mut nodes = vec![self.declare_node(&path.start, open)?];
        let (mut edges, mut reversed) = (Vec::new(), Vec::new());
        for step in &path.steps {
            let near = nodes[nodes.len() - 1];
            let far = self.declare_node(&step.node, open)?;
            let relationship = &step.relationship;
            edges.push(self.declare_edge(relationship, path.shortest, (near, far), open)?);
            reversed.push(relationship.direction == Direction::Left);
            nodes.push(far);
        }
        if let Some(name) = &path.variable {
            let variable = self.declare_new(name, VariableKind::Path)?;
            open.pattern.paths.push(PatternPath { variable, nodes, edges, reversed });
        }
        Ok(())
    }

    fn declare_node<'e>(
        &mut self,
        node: &'e ast::NodePattern,
        open: &mut OpenPattern<'e>,
    ) -> BindResult<VariableId> {
        let allowed = self.node_tables(node.labels.as_ref())?;
        let known = node.variable.as_ref().and_then(|name| Some((name, self.scope.find(name.as_str())?)));
        let variable = match known {
            Some((name, variable)) => self.declare_node_again(name, variable, &allowed, open)?,
            None => {
                let kind = VariableKind::Node { tables: allowed.clone() };
                let variable = self.declare(node.variable.as_ref(), kind);
                open.tables.insert(variable, allowed);
                variable
            }
        };
        if !open.pattern.nodes.contains(&variable) {
            open.pattern.nodes.push(variable);
        }
        if let Some(properties) = &node.properties {
            open.pending.push(Pending::NodeProperties(variable, properties));
        }
        if let Some(predicate) = node.predicate.as_deref() {
            open.pending.push(Pending::NodePredicate(predicate));
        }
        Ok(variable)
    }

    fn declare_node_again(
        &mut self,
        name: &Name,
        variable: VariableId,
        allowed: &[TableId],
        open: &mut OpenPattern,
    ) -> BindResult<VariableId> {
        let VariableKind::Node { tables } = self.kind(variable) else {
            return Err(self.conflict(name, variable, "a node"));
        };
        let before = open.tables.get(&variable).unwrap_or(tables).clone();
        if variable < open.first_new && !is_subset(&before, allowed) {
            // What an earlier clause found is filtered here; its own tables stay as they are.
            self.mark_used(variable);
            open.predicates.push(BoundExpression {
                kind: ExpressionKind::HasLabel { variable, tables: allowed.to_vec() },
                data_type: DataType::Bool,
                span: name.span,
            });
        }
        open.tables.insert(variable, intersection(&before, allowed));
        Ok(variable)
    }

    fn declare_edge<'e>(
        &mut self,
        relationship: &'e ast::RelationshipPattern,
        shortest: Option<ast::ShortestPaths>,
        (near, far): (VariableId, VariableId),
        open: &mut OpenPattern<'e>,
    ) -> BindResult<usize> {
        let mut tables = self.rel_tables(relationship.types.as_ref())?;
        let before = relationship.variable.as_ref().and_then(|name| self.scope.find(name.as_str()));
        if let Some(VariableKind::Rel { tables: known }) = before.map(|variable| self.kind(variable)) {
            tables.retain(|table| known.contains(table));
        }
        let length = self.variable_length(relationship, shortest)?;
        let (source, target) =
            if relationship.direction == Direction::Left { (far, near) } else { (near, far) };
        let undirected = relationship.direction == Direction::Both;
        let kind = match length {
            None => VariableKind::Rel { tables: tables.clone() },
            Some(_) => VariableKind::RelList { tables: tables.clone() },
        };
        let variable = self.declare_rel(relationship.variable.as_ref(), kind, open)?;
        if !undirected && length.is_none() {
            self.ends.insert(variable, (source, target));
        }
        let edge = open.pattern.edges.len();
        if let Some(properties) = &relationship.properties {
            open.pending.push(Pending::EdgeProperties(edge, properties));
        }
        if let Some(predicate) = relationship.predicate.as_deref() {
            open.pending.push(Pending::EdgePredicate(edge, predicate));
        }
        if let Some(written) = relationship.length.as_deref()
            && let Some((rel, node, predicate)) = self.recursion_predicate(written)?
        {
            open.pending.push(Pending::Recursion(edge, rel, node, predicate));
        }
        if let Some(ast::PathMode::WeightedShortest(cost) | ast::PathMode::AllWeightedShortest(cost)) =
            relationship.length.as_deref().map(|length| &length.mode)
        {
            self.weighted.push(variable);
            open.pending.push(Pending::Cost(edge, cost));
        }
        open.pattern.edges.push(PatternEdge {
            variable,
            source,
            target,
            undirected,
            tables,
            length,
            referenced: false,
        });
        Ok(edge)
    }

    /// Declares a relationship variable. One that an earlier clause bound is matched anew and compared.
    fn declare_rel(
        &mut self,
        name: Option<&Name>,
        kind: VariableKind,
        open: &mut OpenPattern,
    ) -> BindResult<VariableId> {
        let known = name.and_then(|name| Some((name, self.scope.find(name.as_str())?)));
        let Some((name, before)) = known else { return Ok(self.declare(name, kind)) };
        match (self.kind(before), &kind) {
            (VariableKind::Rel { .. } | VariableKind::RelList { .. }, _) if before >= open.first_new => {
                let message = format!("{} stands for two relationships of one pattern", name.text);
                Err(BindError::new(BindErrorKind::RepeatedRelationship, name.span, message))
            }
            (VariableKind::Rel { .. }, VariableKind::Rel { .. }) => {
                let again = self.declare(None, kind);
                let ids = [before, again].map(|variable| {
                    self.mark_used(variable);
                    let kind = ExpressionKind::InternalId(variable);
                    BoundExpression { kind, data_type: DataType::Id, span: name.span }
                });
                let same = self.call("=", ids.into(), name.span)?;
                open.predicates.push(same);
                Ok(again)
            }
            (VariableKind::RelList { .. }, VariableKind::RelList { .. }) => Err(BindError::not_supported(
                "a variable-length relationship that is bound already",
                name.span,
            )),
            _ => Err(self.conflict(name, before, "a relationship")),
        }
    }

    /// A variable of the pattern that no earlier clause bound.
    fn declare(&mut self, name: Option<&Name>, kind: VariableKind) -> VariableId {
        let variable = match name {
            Some(name) => {
                let variable = self.new_variable(name.as_str(), kind);
                self.scope.add(name.as_str(), variable);
                variable
            }
            None => self.new_anonymous(kind),
        };
        self.available.push(variable);
        variable
    }

    /// A variable that must not be bound already.
    fn declare_new(&mut self, name: &Name, kind: VariableKind) -> BindResult<VariableId> {
        if self.scope.find(name.as_str()).is_some() {
            let message = format!("variable {} is bound already", name.text);
            return Err(BindError::new(BindErrorKind::Redefinition, name.span, message));
        }
        Ok(self.declare(Some(name), kind))
    }

    pub(super) fn conflict(&self, name: &Name, variable: VariableId, wanted: &str) -> BindError {
        let is = match self.kind(variable) {
            VariableKind::Node { .. } => "a node".to_owned(),
            VariableKind::Rel { .. } => "a relationship".to_owned(),
            VariableKind::RelList { .. } => "a list of relationships".to_owned(),
            VariableKind::Path => "a path".to_owned(),
            VariableKind::Value(data_type) => format!("a value of type {data_type}"),
        };
        let message = format!("variable {} is {is} and cannot be {wanted} too", name.text);
        BindError::new(BindErrorKind::VariableConflict, name.span, message)
    }

    /// Leaves out tables that cannot take part, until nothing changes, and notes what remains.
    fn narrow_pattern(&mut self, open: &mut OpenPattern) {
        loop {
            let mut changed = false;
            for edge in &mut open.pattern.edges {
                let (min, max) = edge.length.as_ref().map_or((1, Some(1)), |length| (length.min, length.max));
                let ways = hops(&edge.tables, edge.undirected);
                let narrowed =
                    narrow(&ways, &open.tables[&edge.source], &open.tables[&edge.target], min, max);
                let tables = edge.tables.len();
                edge.tables.retain(|table| narrowed.tables.contains(&table.table));
                changed |= edge.tables.len() < tables;
                for (node, remaining) in [(edge.source, narrowed.sources), (edge.target, narrowed.targets)] {
                    let before = &open.tables[&node];
                    let after = intersection(before, &remaining);
                    changed |= after.len() < before.len();
                    open.tables.insert(node, after);
                }
            }
            if !changed {
                break;
            }
        }
        self.note_tables(open);
    }

    fn note_tables(&mut self, open: &OpenPattern) {
        for (variable, tables) in &open.tables {
            if *variable >= open.first_new {
                self.variables[variable.0 as usize].kind = VariableKind::Node { tables: tables.clone() };
            }
        }
        for edge in &open.pattern.edges {
            let tables = edge.tables.clone();
            self.variables[edge.variable.0 as usize].kind = match edge.length {
                None => VariableKind::Rel { tables },
                Some(_) => VariableKind::RelList { tables },
            };
        }
        for path in &open.pattern.paths {
            let nodes = path.nodes.iter().flat_map(|node| open.tables[node].iter().copied());
            let rels = path.edges.iter().flat_map(|edge| &open.pattern.edges[*edge].tables);
            let rels = rels.flat_map(|table| [table.table, table.source, table.target]);
            self.contents.insert(path.variable, table_set(nodes.chain(rels)));
        }
    }

    fn bind_pending(&mut self, pending: Pending, open: &mut OpenPattern) -> BindResult<()> {
        match pending {
            Pending::NodeProperties(variable, properties) => {
                let predicates = self.property_predicates(variable, properties)?;
                open.predicates.extend(predicates);
            }
            Pending::NodePredicate(predicate) => open.predicates.extend(self.bind_predicate(predicate)?),
            Pending::EdgeProperties(edge, properties) => {
                self.bind_on_edge(edge, open, |binder, variable| {
                    binder.property_predicates(variable, properties)
                })?
            }
            Pending::EdgePredicate(edge, predicate) => {
                self.bind_on_edge(edge, open, |binder, _| binder.bind_predicate(predicate))?;
            }
            Pending::Recursion(edge, rel, node, predicate) => {
                let of = &open.pattern.edges[edge];
                let ends = of.tables.iter().flat_map(|table| [table.source, table.target]);
                let kind = VariableKind::Node { tables: table_set(ends) };
                let inner = self.new_variable(node.as_str(), kind);
                if let Some(length) = &mut open.pattern.edges[edge].length {
                    length.inner = Some(inner);
                }
                self.bind_on_edge(edge, open, |binder, variable| {
                    binder.bind_recursion(variable, rel, (node, inner), predicate)
                })?;
            }
            Pending::Cost(edge, name) => {
                let variable = open.pattern.edges[edge].variable;
                let cost =
                    self.as_one(&open.pattern.edges[edge], |binder| binder.path_cost(variable, name))?;
                if let Some(length) = &mut open.pattern.edges[edge].length {
                    length.cost = Some(cost);
                }
            }
        }
        Ok(())
    }

    /// Binds something for which the variable of a variable-length relationship is one relationship on the way.
    fn as_one<T>(
        &mut self,
        edge: &PatternEdge,
        bind: impl FnOnce(&mut Self) -> BindResult<T>,
    ) -> BindResult<T> {
        let at = edge.variable.0 as usize;
        let used = self.is_used(edge.variable);
        let single = VariableKind::Rel { tables: edge.tables.clone() };
        let list = std::mem::replace(&mut self.variables[at].kind, single);
        let bound = bind(self);
        self.variables[at].kind = list;
        self.set_used(edge.variable, used);
        bound
    }

    /// Binds predicates on a relationship. Inside a variable-length one its variable is each relationship on the way.
    fn bind_on_edge(
        &mut self,
        edge: usize,
        open: &mut OpenPattern,
        bind: impl FnOnce(&mut Self, VariableId) -> BindResult<Vec<BoundExpression>>,
    ) -> BindResult<()> {
        let edge = &mut open.pattern.edges[edge];
        let Some((mode, inner)) = edge.length.as_ref().map(|length| (length.mode, length.inner)) else {
            open.predicates.extend(bind(self, edge.variable)?);
            return Ok(());
        };
        let variable = edge.variable;
        let bound = self.as_one(edge, |binder| bind(binder, variable))?;
        let sorted = self.sort_on_the_way(edge, mode, inner, bound)?;
        if let Some(length) = &mut edge.length {
            length.edge_predicates.extend(sorted.rels);
            length.inner_predicates.extend(sorted.nodes);
        }
        open.predicates.extend(sorted.filters);
        Ok(())
    }

    /// `(r, n | WHERE predicate)`: conditions on each relationship, and on each node between the ends.
    fn bind_recursion(
        &mut self,
        variable: VariableId,
        rel: &Name,
        (node, inner): (&Name, VariableId),
        predicate: &Expression,
    ) -> BindResult<Vec<BoundExpression>> {
        self.scope.add(rel.as_str(), variable);
        self.scope.add(node.as_str(), inner);
        let bound = self.bind_predicate(predicate);
        self.scope.remove_last();
        self.scope.remove_last();
        bound
    }

    /// `{key: value}` as comparisons of properties.
    fn property_predicates(
        &mut self,
        variable: VariableId,
        properties: &Properties,
    ) -> BindResult<Vec<BoundExpression>> {
        let entries = match properties {
            Properties::Map { entries, .. } => entries,
            Properties::Parameter(parameter) => {
                let message = "a pattern needs a property map that is written out, not a parameter";
                let error = BindError::new(BindErrorKind::InvalidParameterUse, parameter.span, message);
                return Err(error.with_hint(format!("Write {{key: ${}.key}}", parameter.name)));
            }
        };
        let mut predicates = Vec::with_capacity(entries.len());
        for entry in entries {
            let property = self.entity_property(variable, &entry.key, entry.key.span)?;
            let value = self.bind_expression(&entry.value)?;
            let span = entry.key.span.join(entry.value.span);
            predicates.push(self.equality(property, value, span)?);
        }
        Ok(predicates)
    }

    /// Binds a condition and takes it apart into conjuncts.
    pub fn bind_predicate(&mut self, predicate: &Expression) -> BindResult<Vec<BoundExpression>> {
        let bound = self.bind_expression(predicate)?;
        Ok(conjuncts(self.expect_condition(bound, predicate.span)?))
    }

    /// The condition, or an error when it cannot be true or false.
    fn expect_condition(&self, bound: BoundExpression, span: Span) -> BindResult<BoundExpression> {
        match bound.data_type {
            DataType::Bool | DataType::Any | DataType::Null => Ok(bound),
            ref other => Err(BindError::new(
                BindErrorKind::TypeMismatch,
                span,
                format!("a condition must be true or false, this is of type {other}"),
            )),
        }
    }

    /// Sets of edges of which no two may be the same relationship: those connected by common tables.
    pub(super) fn distinct_edges(&self, edges: &[PatternEdge]) -> Vec<Vec<usize>> {
        if self.is_kuzu() {
            return Vec::new();
        }
        let mut sets: Vec<Vec<usize>> = Vec::new();
        for (at, edge) in edges.iter().enumerate() {
            if edge.length.as_ref().is_some_and(|length| length.mode != PathMode::Trail) {
                continue;
            }
            let (touching, apart): (Vec<_>, Vec<_>) =
                sets.into_iter().partition(|set| set.iter().any(|other| share_table(edge, &edges[*other])));
            let mut merged: Vec<usize> = touching.into_iter().flatten().chain([at]).collect();
            merged.sort_unstable();
            sets = apart;
            sets.push(merged);
        }
        sets.retain(|set| set.len() > 1);
        sets.sort_unstable();
        sets
    }
}

fn share_table(left: &PatternEdge, right: &PatternEdge) -> bool {
    left.tables.iter().any(|table| right.tables.iter().any(|other| other.table == table.table))
}

/// Takes a conjunction apart.
pub(super) fn conjuncts(expression: BoundExpression) -> Vec<BoundExpression> {
    match expression.kind {
        ExpressionKind::And(parts) => parts.into_iter().flat_map(conjuncts).collect(),
        _ => vec![expression],
    }
}
