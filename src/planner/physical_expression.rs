//! Expressions over column positions.

use std::sync::Arc;

use super::physical_parts::FetchColumn;
use crate::binder::bound::QuantifierKind;
use crate::functions::BoundScalar;
use crate::types::{DataType, TableId, Value};

/// An expression over the columns of the input.
#[derive(Debug, Clone)]
pub struct Expression {
    pub kind: ExpressionKind,
    pub data_type: DataType,
}

/// Kinds of expressions.
#[derive(Debug, Clone)]
pub enum ExpressionKind {
    Column(usize),
    Literal(Value),
    Parameter(u32),
    /// What has the same value for all rows is worked out once for all threads; no other one has the number.
    Once(u64, Box<Expression>),
    Call {
        function: Arc<BoundScalar>,
        arguments: Vec<Expression>,
    },
    And(Vec<Expression>),
    Or(Vec<Expression>),
    Not(Box<Expression>),
    IsNull {
        operand: Box<Expression>,
        negated: bool,
    },
    Case {
        branches: Vec<(Expression, Expression)>,
        otherwise: Option<Box<Expression>>,
    },
    /// The name of the table of a node or relationship id.
    TableName {
        operand: Box<Expression>,
        names: Vec<(TableId, String)>,
        as_list: bool,
    },
    /// Whether an id lies in one of the tables.
    HasTable {
        operand: Box<Expression>,
        tables: Vec<TableId>,
    },
    /// The element variable of the innermost comprehension is the column after the input's.
    ListComprehension {
        list: Box<Expression>,
        element: usize,
        filter: Option<Box<Expression>>,
        map: Option<Box<Expression>>,
    },
    Quantifier {
        kind: QuantifierKind,
        list: Box<Expression>,
        element: usize,
        predicate: Box<Expression>,
    },
    /// A property of the node or relationship that an element of a list is.
    FetchProperty {
        operand: Box<Expression>,
        column: FetchColumn,
    },
    /// A STRUCT of its fields in order.
    Struct(Vec<Expression>),
    /// A PATH from its parts in order.
    Path(Vec<PathPart>),
    /// The number of relationships of a path, or of the list of a variable-length relationship.
    PathLength(Box<Expression>),
    /// A path's list of nodes.
    PathNodes(Box<Expression>),
    /// A path's list of relationships; the list of a variable-length relationship is one already.
    PathRels(Box<Expression>),
}

impl Expression {
    /// Whether it has another value each time it is computed.
    pub fn is_volatile(&self) -> bool {
        use ExpressionKind::*;
        let maybe = |part: &Option<Box<Expression>>| part.as_deref().is_some_and(Expression::is_volatile);
        match &self.kind {
            Call { function, arguments } => function.volatile || arguments.iter().any(Self::is_volatile),
            And(all) | Or(all) | Struct(all) => all.iter().any(Self::is_volatile),
            Case { branches, otherwise } => {
                branches.iter().any(|(when, then)| when.is_volatile() || then.is_volatile())
                    || maybe(otherwise)
            }
            ListComprehension { list, filter, map, .. } => list.is_volatile() || maybe(filter) || maybe(map),
            Quantifier { list, predicate, .. } => list.is_volatile() || predicate.is_volatile(),
            Once(_, operand)
            | Not(operand)
            | IsNull { operand, .. }
            | TableName { operand, .. }
            | HasTable { operand, .. }
            | FetchProperty { operand, .. }
            | PathLength(operand)
            | PathNodes(operand)
            | PathRels(operand) => operand.is_volatile(),
            // Parts of paths are ids.
            Column(_) | Literal(_) | Parameter(_) | Path(_) => false,
        }
    }
}

/// A piece of a path.
#[derive(Debug, Clone)]
pub enum PathPart {
    /// A node id.
    Node(Expression),
    /// A relationship id.
    Rel(Expression),
    /// A list of relationship ids and the list of the nodes between them.
    Rels { rels: Expression, inner_nodes: Expression },
}
