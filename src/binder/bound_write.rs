//! Writing clauses once names are resolved. Patterns that create name the table of every new node and the possible
//! tables of every new relationship; values are checked against the column's type here and cast when the row is there.

use super::bound::{BoundExpression, BoundPattern, RelTable, VariableId};
use crate::parser::ast::Span;
use crate::types::{ColumnId, DataType, TableId};

/// A clause that changes the graph. It sees all its input before its first write.
#[derive(Debug, Clone)]
pub enum BoundWrite {
    /// `CREATE`.
    Create(NewPattern),
    /// `MERGE … [ON CREATE SET …] [ON MATCH SET …]`.
    Merge(Box<BoundMerge>),
    /// `SET` and `REMOVE`, item after item.
    Set(Vec<BoundSet>),
    /// `[DETACH] DELETE`.
    Delete {
        /// Nodes, relationships and paths, or what turns out to be one when it runs.
        targets: Vec<BoundExpression>,
        /// Relationships of deleted nodes go too.
        detach: bool,
    },
}

/// What a pattern creates, in the order of the text; what is bound already appears in `rels` and `paths` only.
#[derive(Debug, Clone, Default)]
pub struct NewPattern {
    pub nodes: Vec<NewNode>,
    pub rels: Vec<NewRel>,
    pub paths: Vec<NewPath>,
}

/// A node to be created.
#[derive(Debug, Clone)]
pub struct NewNode {
    pub variable: VariableId,
    pub table: TableId,
    /// The columns that are written or have a default; others stay null, or count up if they are SERIAL.
    pub properties: Vec<Assignment>,
    pub span: Span,
}

/// A relationship to be created.
#[derive(Debug, Clone)]
pub struct NewRel {
    pub variable: VariableId,
    pub source: VariableId,
    pub target: VariableId,
    /// The type's tables that its ends allow; the ends of a row decide.
    pub tables: Vec<RelTable>,
    pub properties: Vec<Assignment>,
    pub span: Span,
}

/// A value of a new node or relationship.
#[derive(Debug, Clone)]
pub struct Assignment {
    pub column: ColumnId,
    pub name: String,
    pub data_type: DataType,
    pub value: BoundExpression,
    /// In MERGE, for what is written in the pattern: the value as the column's type, which the match compares with.
    pub merged: Option<VariableId>,
}

/// `p = (a)-[r]->(b)` in a pattern that creates.
#[derive(Debug, Clone)]
pub struct NewPath {
    pub variable: VariableId,
    pub nodes: Vec<VariableId>,
    pub rels: Vec<VariableId>,
}

/// A pattern that is found or created as a whole.
#[derive(Debug, Clone)]
pub struct BoundMerge {
    pub created: NewPattern,
    /// The same variables as a pattern to match.
    pub matched: BoundPattern,
    /// Properties compared with `Assignment::merged`.
    pub predicates: Vec<BoundExpression>,
    pub on_create: Vec<BoundSet>,
    pub on_match: Vec<BoundSet>,
    pub span: Span,
}

/// One item of SET or REMOVE.
#[derive(Debug, Clone)]
pub struct BoundSet {
    pub variable: VariableId,
    pub change: PropertyChange,
    pub span: Span,
}

/// What happens to the properties of one node or relationship.
#[derive(Debug, Clone)]
pub enum PropertyChange {
    /// All values are taken before the first of them is written.
    Values(Vec<PropertyValue>),
    /// `= map` or `+= map`, where the map's keys are known only when the row is there.
    Map { value: BoundExpression, replace: bool },
}

/// A property's new value; NULL removes it.
#[derive(Debug, Clone)]
pub struct PropertyValue {
    pub name: String,
    /// The column of each candidate table that has it, with its type.
    pub columns: Vec<(TableId, ColumnId, DataType)>,
    pub value: BoundExpression,
}

impl BoundSet {
    /// The expressions of the item.
    pub fn values(&self) -> impl Iterator<Item = &BoundExpression> {
        let (values, map): (&[PropertyValue], _) = match &self.change {
            PropertyChange::Values(values) => (values, None),
            PropertyChange::Map { value, .. } => (&[], Some(value)),
        };
        values.iter().map(|property| &property.value).chain(map)
    }

    fn values_mut(&mut self) -> impl Iterator<Item = &mut BoundExpression> {
        let (values, map): (&mut [PropertyValue], _) = match &mut self.change {
            PropertyChange::Values(values) => (values, None),
            PropertyChange::Map { value, .. } => (&mut [], Some(value)),
        };
        values.iter_mut().map(|property| &mut property.value).chain(map)
    }
}

impl NewPattern {
    /// All values that are written.
    pub fn assignments(&self) -> impl Iterator<Item = &Assignment> {
        let nodes = self.nodes.iter().flat_map(|node| &node.properties);
        nodes.chain(self.rels.iter().flat_map(|rel| &rel.properties))
    }

    fn assignments_mut(&mut self) -> impl Iterator<Item = &mut Assignment> {
        let nodes = self.nodes.iter_mut().flat_map(|node| &mut node.properties);
        nodes.chain(self.rels.iter_mut().flat_map(|rel| &mut rel.properties))
    }

    /// The variables of what is created, in the order of the text: nodes, then relationships.
    pub fn created(&self) -> impl Iterator<Item = VariableId> {
        self.nodes.iter().map(|node| node.variable).chain(self.rels.iter().map(|rel| rel.variable))
    }

    /// The ends and path nodes that are bound before.
    pub fn bound_before(&self) -> Vec<VariableId> {
        let created: Vec<VariableId> = self.created().collect();
        let ends = self.rels.iter().flat_map(|rel| [rel.source, rel.target]);
        let mut bound: Vec<VariableId> =
            ends.chain(self.paths.iter().flat_map(|path| path.nodes.clone())).collect();
        bound.retain(|variable| !created.contains(variable));
        bound.sort_unstable();
        bound.dedup();
        bound
    }
}

impl BoundWrite {
    /// The word by which people know the clause.
    pub fn name(&self) -> &'static str {
        match self {
            BoundWrite::Create(_) => "CREATE",
            BoundWrite::Merge(_) => "MERGE",
            BoundWrite::Set(_) => "SET",
            BoundWrite::Delete { detach: true, .. } => "DETACH DELETE",
            BoundWrite::Delete { .. } => "DELETE",
        }
    }

    /// Calls `visit` with every expression.
    pub fn each_expression(&self, visit: &mut dyn FnMut(&BoundExpression)) {
        match self {
            BoundWrite::Create(pattern) => pattern.assignments().for_each(|one| visit(&one.value)),
            BoundWrite::Merge(merge) => {
                merge.created.assignments().for_each(|one| visit(&one.value));
                let sets = merge.on_create.iter().chain(&merge.on_match);
                sets.flat_map(BoundSet::values).for_each(visit);
            }
            BoundWrite::Set(items) => items.iter().flat_map(BoundSet::values).for_each(visit),
            BoundWrite::Delete { targets, .. } => targets.iter().for_each(visit),
        }
    }

    /// Calls `visit` with every expression, which it may change.
    pub fn each_expression_mut(&mut self, visit: &mut dyn FnMut(&mut BoundExpression)) {
        match self {
            BoundWrite::Create(pattern) => pattern.assignments_mut().for_each(|one| visit(&mut one.value)),
            BoundWrite::Merge(merge) => {
                merge.created.assignments_mut().for_each(|one| visit(&mut one.value));
                let sets = merge.on_create.iter_mut().chain(&mut merge.on_match);
                sets.flat_map(BoundSet::values_mut).for_each(visit);
            }
            BoundWrite::Set(items) => items.iter_mut().flat_map(BoundSet::values_mut).for_each(visit),
            BoundWrite::Delete { targets, .. } => targets.iter_mut().for_each(visit),
        }
    }

    /// Replaces variables that are bound before the clause by what they stand for.
    pub fn rename(&mut self, name: &dyn Fn(VariableId) -> VariableId) {
        let pattern = match self {
            BoundWrite::Create(pattern) => pattern,
            BoundWrite::Merge(merge) => {
                merge.matched.nodes.iter_mut().for_each(|v| *v = name(*v));
                for edge in &mut merge.matched.edges {
                    edge.source = name(edge.source);
                    edge.target = name(edge.target);
                }
                let sets = merge.on_create.iter_mut().chain(&mut merge.on_match);
                sets.for_each(|item| item.variable = name(item.variable));
                &mut merge.created
            }
            BoundWrite::Set(items) => {
                items.iter_mut().for_each(|item| item.variable = name(item.variable));
                return;
            }
            BoundWrite::Delete { .. } => return,
        };
        for rel in &mut pattern.rels {
            rel.source = name(rel.source);
            rel.target = name(rel.target);
        }
        pattern.paths.iter_mut().flat_map(|path| &mut path.nodes).for_each(|v| *v = name(*v));
    }

    /// Variables bound before the clause that it uses other than in expressions.
    pub fn uses(&self) -> Vec<VariableId> {
        match self {
            BoundWrite::Create(pattern) => pattern.bound_before(),
            BoundWrite::Merge(merge) => {
                let created: Vec<VariableId> = merge.created.created().collect();
                let sets = merge.on_create.iter().chain(&merge.on_match).map(|item| item.variable);
                let bound = merge.created.bound_before().into_iter();
                bound.chain(sets.filter(|variable| !created.contains(variable))).collect()
            }
            BoundWrite::Set(items) => items.iter().map(|item| item.variable).collect(),
            BoundWrite::Delete { .. } => Vec::new(),
        }
    }
}
