//! What a statement means once names are resolved: the binder's output and the planner's input. After this no
//! string is looked up; every expression carries its type, every node and relationship variable its tables.

use std::sync::Arc;

use crate::catalog::{Multiplicity, NewNodeTable, NewRelType};
use crate::functions::{BoundAggregate, BoundScalar};
use crate::parser::ast::Span;
use crate::types::{ColumnId, DataType, TableId, Value};

pub use super::bound_subquery::*;
pub use super::bound_traits::same_literal;
pub use super::bound_write::*;
pub use super::check::{BoundCheck, CheckedColumn};

/// A variable of one statement; dense from 0, never reused within the statement.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct VariableId(pub u32);

/// What a variable stands for.
#[derive(Debug, Clone)]
pub struct Variable {
    /// The name in the text, or a generated one that starts with a space for anonymous pattern parts.
    pub name: String,
    /// Its kind and with it its type.
    pub kind: VariableKind,
}

/// Kinds of variables.
#[derive(Debug, Clone)]
pub enum VariableKind {
    /// A node that lies in one of these tables; empty = no table can hold it (no rows).
    Node { tables: Vec<TableId> },
    /// A relationship in one of these tables.
    Rel { tables: Vec<RelTable> },
    /// A variable-length relationship: a list of relationships (`recursive` pattern edge).
    RelList { tables: Vec<RelTable> },
    /// A path.
    Path,
    /// Any other value.
    Value(DataType),
}

/// One FROM/TO pair of a relationship type.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct RelTable {
    pub table: TableId,
    pub source: TableId,
    pub target: TableId,
}

/// A statement ready to plan.
#[derive(Debug, Clone)]
pub enum BoundStatement {
    Query(BoundQuery),
    Explain {
        analyze: bool,
        query: Box<BoundStatement>,
    },
    CreateNodeTable {
        schema: NewNodeTable,
        if_not_exists: bool,
    },
    CreateRelTable {
        schema: NewRelType,
        if_not_exists: bool,
    },
    DropTable {
        name: String,
        if_exists: bool,
    },
    CopyFrom(BoundCopy),
    /// `CALL name = value` of a connection setting.
    Setting {
        name: String,
        value: Value,
    },
    Begin {
        read_only: bool,
    },
    Commit,
    Rollback,
    Checkpoint,
}

/// `COPY table FROM files`. File access and options' values are checked by the ingest layer.
#[derive(Debug, Clone)]
pub struct BoundCopy {
    pub target: CopyTarget,
    pub files: Vec<String>,
    /// Name (lower case) and value in the text's order, with the span for errors.
    pub options: Vec<(String, Value, Span)>,
    /// The CHECKs of the table, over these variables.
    pub checks: Vec<BoundCheck>,
    pub variables: Vec<Variable>,
    pub span: Span,
}

/// Where the rows of a COPY go. `columns` are the table's columns in the order of the file's fields.
#[derive(Debug, Clone)]
pub enum CopyTarget {
    Node {
        table: TableId,
        columns: Vec<ColumnId>,
    },
    /// The first fields of the file are the source's and the target's key columns.
    Rel {
        rel: RelTable,
        columns: Vec<ColumnId>,
        multiplicity: Multiplicity,
    },
}

/// Query parts joined by UNION; a single one is the common case.
#[derive(Debug, Clone)]
pub struct BoundQuery {
    pub variables: Vec<Variable>,
    pub branches: Vec<BoundSingleQuery>,
    /// For two or more branches: duplicates kept (`UNION ALL`) or not.
    pub union_all: bool,
    /// Names and types of the result's columns.
    pub columns: Vec<(String, DataType)>,
    /// Parameters the text names, with the type expected where it is known (`Any` otherwise).
    pub parameters: Vec<(String, DataType)>,
    /// Whether it ends with RETURN; without one it has no columns and gives no rows.
    pub returns: bool,
    /// The CHECKs of the tables that it writes.
    pub checks: Vec<BoundCheck>,
}

impl BoundQuery {
    /// The first writing clause, if there is one.
    pub fn first_write(&self) -> Option<&BoundWrite> {
        first_write(&self.branches)
    }

    /// Whether a clause makes new nodes or relationships.
    pub fn creates(&self) -> bool {
        creates(&self.branches)
    }
}

fn creates(branches: &[BoundSingleQuery]) -> bool {
    branches.iter().flat_map(|branch| &branch.clauses).any(|clause| match clause {
        BoundClause::Write(write) => matches!(write, BoundWrite::Create(_) | BoundWrite::Merge(_)),
        BoundClause::Call(call) => creates(&call.branches),
        _ => false,
    })
}

pub(super) fn first_write(branches: &[BoundSingleQuery]) -> Option<&BoundWrite> {
    branches.iter().flat_map(|branch| &branch.clauses).find_map(|clause| match clause {
        BoundClause::Write(write) => Some(write),
        BoundClause::Call(call) => first_write(&call.branches),
        _ => None,
    })
}

/// Clauses in order; the last is the RETURN (a `Project` with `is_return`), or writes.
#[derive(Debug, Clone)]
pub struct BoundSingleQuery {
    pub clauses: Vec<BoundClause>,
}

/// One clause.
#[derive(Debug, Clone)]
#[expect(clippy::large_enum_variant, reason = "a query has a handful of clauses")]
pub enum BoundClause {
    Match(BoundMatch),
    Unwind { list: BoundExpression, variable: VariableId },
    Project(BoundProjection),
    Write(BoundWrite),
    Call(BoundCall),
}

/// `[OPTIONAL] MATCH pattern WHERE predicate`.
#[derive(Debug, Clone)]
pub struct BoundMatch {
    pub optional: bool,
    pub pattern: BoundPattern,
    /// Conjuncts of WHERE and of inline properties.
    pub predicates: Vec<BoundExpression>,
}

/// Connected or not: all patterns of one MATCH as one graph of variables.
#[derive(Debug, Clone, Default)]
pub struct BoundPattern {
    /// Every node variable of the pattern, bound earlier or not, once.
    pub nodes: Vec<VariableId>,
    pub edges: Vec<PatternEdge>,
    pub paths: Vec<PatternPath>,
    /// Trail semantics: no relationship may be matched by two of the edges (indexes into `edges`) of one set.
    /// Only sets of edges whose tables overlap are listed; empty in the Kuzu dialect.
    pub distinct_edges: Vec<Vec<usize>>,
}

/// One relationship of a pattern.
#[derive(Debug, Clone)]
pub struct PatternEdge {
    pub variable: VariableId,
    /// The node the pattern's arrow starts at (`(a)<-[]-(b)` has source b). A relationship counts only where its ends
    /// lie in the tables of source and target, which matters where `tables` fit in one orientation only.
    pub source: VariableId,
    pub target: VariableId,
    /// `-[]-`: either orientation matches; a self-loop matches once.
    pub undirected: bool,
    pub tables: Vec<RelTable>,
    pub length: Option<VariableLength>,
    /// Whether anything but the pattern itself mentions the variable (its id or properties are needed).
    pub referenced: bool,
}

/// `*min..max`.
#[derive(Debug, Clone)]
pub struct VariableLength {
    pub min: u32,
    /// `None` = unbounded (openCypher).
    pub max: Option<u32>,
    pub mode: PathMode,
    /// Conjuncts that every relationship on the way must fulfil, over `PatternEdge::variable` seen as one
    /// relationship (inline property maps become these).
    pub edge_predicates: Vec<BoundExpression>,
    /// The variable that stands for each node between the ends, where something is asked of it.
    pub inner: Option<VariableId>,
    /// Conjuncts that every node between the ends must fulfil, over `inner`.
    pub inner_predicates: Vec<BoundExpression>,
    /// What a relationship costs, a DOUBLE over `PatternEdge::variable` seen as one relationship (weighted modes).
    pub cost: Option<BoundExpression>,
    /// Whether the text's order runs against the arrow: `(a)<-[*]-(b)`.
    pub against_arrow: bool,
    /// Written as `shortestPath(…)`: conditions on all that a path holds are part of the search.
    pub is_function: bool,
}

/// Which paths a variable-length edge finds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PathMode {
    /// No relationship twice (openCypher).
    Trail,
    /// Anything (Kuzu).
    Walk,
    /// No node twice.
    Acyclic,
    /// One shortest path per pair of ends.
    Shortest,
    /// All shortest paths per pair of ends.
    AllShortest,
    /// One path of the least cost per pair of ends.
    WeightedShortest,
    /// All paths of the least cost per pair of ends.
    AllWeightedShortest,
}

impl PathMode {
    /// Whether only the best paths between two nodes count.
    pub fn is_shortest(self) -> bool {
        matches!(self, PathMode::Shortest | PathMode::AllShortest) || self.is_weighted()
    }

    /// Whether paths are compared by what their relationships cost.
    pub fn is_weighted(self) -> bool {
        matches!(self, PathMode::WeightedShortest | PathMode::AllWeightedShortest)
    }
}

/// `p = (a)-[r]->(b)…`: alternating nodes and edges.
#[derive(Debug, Clone)]
pub struct PatternPath {
    pub variable: VariableId,
    pub nodes: Vec<VariableId>,
    /// Indexes into `BoundPattern::edges`.
    pub edges: Vec<usize>,
    /// Whether an edge is walked against its arrow in the text's order.
    pub reversed: Vec<bool>,
}

/// WITH or RETURN. Evaluation: items (grouped when `aggregates`), then DISTINCT, ORDER BY, SKIP, LIMIT, WHERE.
#[derive(Debug, Clone)]
pub struct BoundProjection {
    /// Output variables in order. When `grouped`, items that contain aggregates are computed from them and the
    /// others are the grouping keys.
    pub items: Vec<ProjectionItem>,
    /// Aggregate calls found in items or ORDER BY; expressions refer to them by `ExpressionKind::Aggregate`.
    pub aggregates: Vec<AggregateCall>,
    pub grouped: bool,
    pub distinct: bool,
    /// Over the output variables, and where neither grouped nor distinct also over the input's.
    pub order_by: Vec<SortKey>,
    /// Constant over the rows: literals and parameters.
    pub skip: Option<BoundExpression>,
    pub limit: Option<BoundExpression>,
    /// WHERE after WITH: conjuncts.
    pub predicates: Vec<BoundExpression>,
    pub is_return: bool,
}

impl BoundProjection {
    /// A WITH of these items and nothing else.
    pub fn of(items: Vec<ProjectionItem>) -> BoundProjection {
        BoundProjection {
            items,
            aggregates: Vec::new(),
            grouped: false,
            distinct: false,
            order_by: Vec::new(),
            skip: None,
            limit: None,
            predicates: Vec::new(),
            is_return: false,
        }
    }
}

/// `expression AS variable`. What is passed on under its own name (`WITH n`, `RETURN n AS n`) keeps its variable:
/// then `expression` is that variable itself. Every other item has a new variable.
#[derive(Debug, Clone)]
pub struct ProjectionItem {
    pub expression: BoundExpression,
    pub variable: VariableId,
}

/// One key of ORDER BY.
#[derive(Debug, Clone)]
pub struct SortKey {
    pub expression: BoundExpression,
    pub descending: bool,
}

/// One call of an aggregate function.
#[derive(Debug, Clone)]
pub struct AggregateCall {
    pub function: Arc<BoundAggregate>,
    /// Empty for `count(*)`.
    pub arguments: Vec<BoundExpression>,
    pub distinct: bool,
    pub data_type: DataType,
}

/// An expression with its type and place in the text.
#[derive(Debug, Clone)]
pub struct BoundExpression {
    pub kind: ExpressionKind,
    pub data_type: DataType,
    pub span: Span,
}

/// Kinds of expressions.
#[derive(Debug, Clone)]
pub enum ExpressionKind {
    Literal(Value),
    /// By position in `BoundQuery::parameters`.
    Parameter(u32),
    Variable(VariableId),
    /// `n.x`: the column of each candidate table that has it; a table that is not listed yields NULL.
    Property {
        variable: VariableId,
        columns: Vec<(TableId, ColumnId)>,
        name: String,
    },
    /// `id(n)`: the internal id of a node or relationship variable.
    InternalId(VariableId),
    /// `label(n)` (Kuzu) or `type(r)`: the table's name.
    LabelName(VariableId),
    /// `labels(n)`.
    Labels(VariableId),
    /// `properties(n)` as a struct or map of what is there.
    Properties(VariableId),
    /// `startNode(r)` and `endNode(r)`.
    StartNode(VariableId),
    EndNode(VariableId),
    /// `n:A|B` in an expression: whether the entity lies in one of these tables.
    HasLabel {
        variable: VariableId,
        tables: Vec<TableId>,
    },
    /// A call of a scalar function; arguments are already cast to what the kernel takes. Operators, list and
    /// struct literals, CAST, subscripts, IN and string predicates are functions too.
    Call {
        function: Arc<BoundScalar>,
        arguments: Vec<BoundExpression>,
    },
    /// Three-valued, short-circuit is not observable.
    And(Vec<BoundExpression>),
    Or(Vec<BoundExpression>),
    Not(Box<BoundExpression>),
    IsNull {
        operand: Box<BoundExpression>,
        negated: bool,
    },
    /// Searched CASE; a simple one is rewritten to it.
    Case {
        branches: Vec<(BoundExpression, BoundExpression)>,
        otherwise: Option<Box<BoundExpression>>,
    },
    /// The value of `BoundProjection::aggregates[i]`.
    Aggregate(u32),
    /// `[x IN list WHERE filter | map]`; `variable` is bound per element.
    ListComprehension {
        variable: VariableId,
        list: Box<BoundExpression>,
        filter: Option<Box<BoundExpression>>,
        map: Option<Box<BoundExpression>>,
    },
    /// `all|any|none|single(x IN list WHERE predicate)`.
    Quantifier {
        kind: QuantifierKind,
        variable: VariableId,
        list: Box<BoundExpression>,
        predicate: Box<BoundExpression>,
    },
    /// `length(p)`, `nodes(p)`, `relationships(p)` of a path or a variable-length relationship.
    PathLength(VariableId),
    PathNodes(VariableId),
    PathRels(VariableId),
    /// `cost(e)` of a relationship of WSHORTEST.
    PathCost(VariableId),
    /// `EXISTS { … }`, `COUNT { … }`, `COLLECT { … }`, a pattern as a predicate, a pattern comprehension.
    Subquery(Box<BoundSubquery>),
}

/// Quantifiers over lists.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum QuantifierKind {
    All,
    Any,
    None,
    Single,
}

impl BoundExpression {
    /// Calls `visit` on this expression and everything below it.
    pub fn walk(&self, visit: &mut dyn FnMut(&BoundExpression)) {
        visit(self);
        match &self.kind {
            ExpressionKind::Call { arguments, .. } => arguments.iter().for_each(|a| a.walk(visit)),
            ExpressionKind::And(all) | ExpressionKind::Or(all) => all.iter().for_each(|a| a.walk(visit)),
            ExpressionKind::Not(operand) | ExpressionKind::IsNull { operand, .. } => operand.walk(visit),
            ExpressionKind::Case { branches, otherwise } => {
                branches.iter().for_each(|(when, then)| {
                    when.walk(visit);
                    then.walk(visit);
                });
                if let Some(otherwise) = otherwise {
                    otherwise.walk(visit);
                }
            }
            ExpressionKind::ListComprehension { list, filter, map, .. } => {
                list.walk(visit);
                filter.iter().chain(map.iter()).for_each(|e| e.walk(visit));
            }
            ExpressionKind::Quantifier { list, predicate, .. } => {
                list.walk(visit);
                predicate.walk(visit);
            }
            ExpressionKind::Subquery(query) => query.imports.iter().for_each(|(_, value)| value.walk(visit)),
            _ => {}
        }
    }
}
