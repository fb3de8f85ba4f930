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
