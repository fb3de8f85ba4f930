//! What operators are told about the tables, lists and columns that they read.

use super::logical_plan::{Factor, Leg};
use super::physical_expression::Expression;
use crate::types::{ColumnId, DataType, PredicateOp, TableId};

/// One node table of a scan. Several tables of one variable put out the same columns; a table without the column
/// puts out NULL there.
#[derive(Debug, Clone)]
pub struct ScanTable {
    pub table: TableId,
    /// Per output column after the node id: the table's column.
    pub columns: Vec<Option<ColumnId>>,
    /// Conjuncts that storage applies itself (zone maps, fused compare); `Expression` is a literal or parameter.
    pub pushed: Vec<PushedPredicate>,
}

/// `column op constant`.
#[derive(Debug, Clone)]
pub struct PushedPredicate {
    pub column: ColumnId,
    pub op: PredicateOp,
    pub value: Expression,
}

/// One edge expansion.
#[derive(Debug, Clone)]
pub struct PhysicalEdge {
    pub legs: Vec<Leg>,
    /// The edge's own conjuncts: over the columns [relationship id, fetched properties…].
    pub fetch: Vec<FetchColumn>,
    pub predicate: Option<Expression>,
}

/// A property to gather by id.
#[derive(Debug, Clone)]
pub struct FetchColumn {
    /// The column of each table; rows of other tables get NULL.
    pub columns: Vec<(TableId, ColumnId)>,
    pub data_type: DataType,
}

/// A node of a message tree, see `MessageNode`.
#[derive(Debug, Clone)]
pub struct PhysicalMessage {
    pub tables: Vec<ScanTable>,
    /// Over [node id, scanned columns…]; what `pushed` does not cover.
    pub filter: Option<Expression>,
    /// All predicates once more, for the case that only few nodes are asked; none where nothing restricts the node.
    pub late: Option<LateFilter>,
    pub children: Vec<PhysicalMessageEdge>,
    pub label: String,
}

/// A predicate on far nodes, evaluated by one scan before the edges are followed.
#[derive(Debug, Clone)]
pub struct TargetFilter {
    pub tables: Vec<ScanTable>,
    /// Over [node id, scanned columns…]; what `pushed` does not cover.
    pub filter: Option<Expression>,
}

/// All relationships of a step, by one scan.
#[derive(Debug, Clone)]
pub struct RelScan {
    pub tables: Vec<ScanTable>,
    /// Over [relationship id, source id, target id, scanned columns…]; what `pushed` does not cover.
    pub filter: Option<Expression>,
}

/// A bitmap that a join hands to the operators of its probe side.
#[derive(Debug, Clone, Copy)]
pub struct JoinBitmap {
    pub name: u32,
    /// The column of the build side with the nodes.
    pub column: usize,
}

/// See `CountedPart`; the probe side comes first.
#[derive(Debug, Clone)]
pub struct PhysicalCount {
    /// The node's column.
    pub nodes: [usize; 2],
    pub values: [Expression; 2],
    pub op: PredicateOp,
    /// Columns with relationships that must not be the same.
    pub different: Vec<[usize; 2]>,
    pub loops: Option<PhysicalLoops>,
    pub bitmap: Option<JoinBitmap>,
}

/// See `CountedLoops`; the ends are columns of the build side.
#[derive(Debug, Clone)]
pub struct PhysicalLoops {
    pub tables: Vec<TableId>,
    pub ends: Vec<usize>,
}

/// A predicate on single nodes whose properties are gathered for it.
#[derive(Debug, Clone)]
pub struct LateFilter {
    pub fetch: Vec<FetchColumn>,
    /// Over [node id, fetched columns…].
    pub predicate: Expression,
}

/// Step from a message node to a child.
#[derive(Debug, Clone)]
pub struct PhysicalMessageEdge {
    pub edges: Vec<PhysicalEdge>,
    /// The edge leads from the node to itself; the child says nothing of its own.
    pub is_loop: bool,
    pub factor: Factor,
    /// The relationships that fulfil a single edge's conjuncts, where it has any.
    pub scan: Option<RelScan>,
    pub child: PhysicalMessage,
}

/// An edge of an intersection that must not be the same relationship as another one.
#[derive(Debug, Clone)]
pub enum PhysicalExclusion {
    /// Two edges of the intersection.
    Edges(usize, usize),
    /// An edge, and columns with a relationship id and its two ends; `directed` says that these are source and target.
    Bound { edge: usize, rel: usize, ends: [usize; 2], directed: bool },
}

/// Columns of relationships: the first ones, as many as are `compared`, differ from all behind them.
#[derive(Debug, Clone)]
pub struct DifferentColumns {
    pub columns: Vec<usize>,
    pub compared: usize,
}
