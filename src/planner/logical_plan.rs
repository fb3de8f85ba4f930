//! The order of work over named variables: what the optimizer rearranges. Nodes name tables, columns and
//! variables only; positions, vectors and pages come later.

use std::collections::BTreeSet;

use crate::binder::bound::{
    AggregateCall, BoundExpression, BoundWrite, PathMode, RelTable, SortKey, VariableId,
};
use crate::types::{ColumnId, PredicateOp, TableId};

/// Walk a relationship from its source to its target, or back.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Direction {
    Forward,
    Backward,
}

impl Direction {
    /// The other way.
    pub fn reversed(self) -> Direction {
        match self {
            Direction::Forward => Direction::Backward,
            Direction::Backward => Direction::Forward,
        }
    }
}

/// One adjacency index that an edge of the pattern may use.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Leg {
    pub rel: RelTable,
    pub direction: Direction,
    /// A self-loop is left out (the second orientation of an undirected edge: a loop matches once).
    pub skip_loops: bool,
}

impl Leg {
    /// The node table the leg starts at.
    pub fn from_table(&self) -> TableId {
        match self.direction {
            Direction::Forward => self.rel.source,
            Direction::Backward => self.rel.target,
        }
    }
    /// The node table the leg leads to.
    pub fn to_table(&self) -> TableId {
        match self.direction {
            Direction::Forward => self.rel.target,
            Direction::Backward => self.rel.source,
        }
    }
}

/// One pattern edge walked from a bound node.
#[derive(Debug, Clone)]
pub struct ExpandEdge {
    pub variable: VariableId,
    pub from: VariableId,
    pub to: VariableId,
    pub legs: Vec<Leg>,
    /// Whether the relationship itself is needed (its id or properties) later.
    pub needs_id: bool,
    /// Conjuncts over the relationship alone.
    pub predicates: Vec<BoundExpression>,
}

/// A variable-length edge walked from a bound node.
#[derive(Debug, Clone)]
pub struct RecursiveEdge {
    pub edge: ExpandEdge,
    pub min: u32,
    pub max: Option<u32>,
    pub mode: PathMode,
    /// Only the ends matter: each reached node once per start (BFS with a visited set).
    pub distinct_ends: bool,
    /// Whether paths are found against the order of the text, so that they have to be turned round.
    pub turned: bool,
    /// What a relationship costs, in weighted modes: over `edge.variable` as one relationship.
    pub cost: Option<BoundExpression>,
    /// A node between the ends, and what it must fulfil.
    pub inner: Option<(VariableId, Vec<BoundExpression>)>,
}

/// How many matches hang below one value of a variable: a tree of steps, each one dense array of partial counts.
/// A node counts what its own predicates admit times what its children bring.
#[derive(Debug, Clone)]
pub struct MessageNode {
    pub variable: VariableId,
    pub tables: Vec<TableId>,
    pub predicates: Vec<BoundExpression>,
    pub children: Vec<MessageEdge>,
}

/// From a node to one child. Several edges mean that all of them lead to the same child (their lists are
/// intersected, multiplicities multiply).
#[derive(Debug, Clone)]
pub struct MessageEdge {
    pub edges: Vec<ExpandEdge>,
    pub child: MessageNode,
    pub factor: Factor,
}

/// What the matches below a step make of a row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Factor {
    /// As many rows as there are.
    Each,
    /// The same, but one where there is none (left join).
    AtLeastOne,
    /// One if there is any (semi join).
    Exists,
    /// One if there is none (anti join).
    Absent,
}

impl Factor {
    /// How many rows a row becomes that has this many matches.
    #[inline]
    pub fn of(self, matches: u64) -> u64 {
        match self {
            Factor::Each => matches,
            Factor::AtLeastOne => matches.max(1),
            Factor::Exists => u64::from(matches > 0),
            Factor::Absent => u64::from(matches == 0),
        }
    }

    /// Whether a row without matches is gone.
    pub fn needs_match(self) -> bool {
        matches!(self, Factor::Each | Factor::Exists)
    }
}

/// A signed sum of message trees: the inclusion–exclusion of trail semantics and of `<>` between nodes.
#[derive(Debug, Clone)]
pub struct WeightTerms {
    pub terms: Vec<(i64, MessageNode)>,
}

/// Trail semantics inside an intersection: `edges[edge]` must not be the other relationship.
#[derive(Debug, Clone)]
pub struct TrailExclusion {
    pub edge: usize,
    pub other: OtherRel,
}

/// A relationship that an intersected edge must differ from.
#[derive(Debug, Clone)]
pub enum OtherRel {
    /// Another edge of the intersection.
    Edge(usize),
    /// One that was bound before, with its ends.
    Bound { rel: VariableId, from: VariableId, to: VariableId, directed: bool },
}

/// Relationship variables that must differ: the first ones, as many as are `compared`, from all behind them. The others
/// are known to differ among themselves.
#[derive(Debug, Clone)]
pub struct DifferentRels {
    pub rels: Vec<VariableId>,
    pub compared: usize,
}

impl DifferentRels {
    /// Each is compared with each.
    pub fn all(rels: Vec<VariableId>) -> DifferentRels {
        let compared = rels.len();
        DifferentRels { rels, compared }
    }
}

/// A plan over variables.
#[derive(Debug, Clone)]
pub enum LogicalPlan {
    /// One row without columns.
    Unit,
    /// The rows that a writing clause keeps: those it works on (slot 0), or those of stage `slot - 1`.
    Kept {
        slot: usize,
        variables: BTreeSet<VariableId>,
        /// The last stage before the plan: a later one than the slot's where the rows are read once more.
        behind: usize,
    },
    /// All nodes of the tables that fulfil the conjuncts over the variable.
    ScanNodes {
        variable: VariableId,
        tables: Vec<TableId>,
        predicates: Vec<BoundExpression>,
    },
    /// Every node of the root, with the number of matches that hang below it as its multiplicity.
    ScanWeighted {
        variable: VariableId,
        weights: WeightTerms,
    },
    /// All relationships of one pattern edge, both ends bound.
    ScanRels {
        edge: ExpandEdge,
        predicates: Vec<BoundExpression>,
    },
    /// The node with a key, by the key index.
    LookupNode {
        input: Box<LogicalPlan>,
        variable: VariableId,
        table: TableId,
        key: Vec<BoundExpression>,
    },
    /// The nodes whose keys are elements of a list of the row, each once, by the key index.
    LookupElements {
        input: Box<LogicalPlan>,
        variable: VariableId,
        table: TableId,
        list: BoundExpression,
        /// Elements that are expected.
        length: f64,
    },
    /// Neighbours of a bound node.
    Expand {
        input: Box<LogicalPlan>,
        edge: ExpandEdge,
        /// Conjuncts over the far node that are evaluated once for all nodes, as bits.
        target: Vec<BoundExpression>,
    },
    /// Both ends are bound: keep what is connected, once per relationship.
    ExpandInto {
        input: Box<LogicalPlan>,
        edge: ExpandEdge,
    },
    /// A new node reached by all edges at once: sorted-list intersection.
    Intersect {
        input: Box<LogicalPlan>,
        edges: Vec<ExpandEdge>,
        exclusions: Vec<TrailExclusion>,
    },
    /// Variable length. `into` = the target is bound already.
    ExpandRecursive {
        input: Box<LogicalPlan>,
        edge: RecursiveEdge,
        into: bool,
    },
    /// Multiplies the multiplicity by what hangs below `variable`; drops rows where that is zero.
    Weight {
        input: Box<LogicalPlan>,
        variable: VariableId,
        weights: WeightTerms,
    },
    Filter {
        input: Box<LogicalPlan>,
        predicates: Vec<BoundExpression>,
    },
    /// No two of the relationship variables of a set hold the same relationship.
    DistinctRels {
        input: Box<LogicalPlan>,
        sets: Vec<DifferentRels>,
    },
    HashJoin {
        probe: Box<LogicalPlan>,
        build: Box<LogicalPlan>,
        keys: Vec<(BoundExpression, BoundExpression)>,
    },
    /// Rows of `probe`, each for as many rows of `build` as have the same node and a value in order to its own.
    CountJoin {
        probe: Box<LogicalPlan>,
        build: Box<LogicalPlan>,
        how: Box<CountedPart>,
    },
    /// Only rows whose node some row of a hash join's other side has; only lowering puts it into a plan.
    Joining {
        input: Box<LogicalPlan>,
        variable: VariableId,
        join: u32,
    },
    CrossProduct {
        left: Box<LogicalPlan>,
        right: Box<LogicalPlan>,
    },
    Project {
        input: Box<LogicalPlan>,
        items: Vec<(VariableId, BoundExpression)>,
    },
    Aggregate {
        input: Box<LogicalPlan>,
        /// Grouping keys and the variables that hold them afterwards.
        keys: Vec<(VariableId, BoundExpression)>,
        aggregates: Vec<(VariableId, AggregateCall)>,
    },
    Distinct {
        input: Box<LogicalPlan>,
        variables: Vec<VariableId>,
    },
    Sort {
        input: Box<LogicalPlan>,
        keys: Vec<SortKey>,
    },
    /// ORDER BY with a LIMIT: a heap of `skip + limit` rows.
    TopK {
        input: Box<LogicalPlan>,
        keys: Vec<SortKey>,
        skip: Option<BoundExpression>,
        limit: BoundExpression,
    },
    Limit {
        input: Box<LogicalPlan>,
        skip: Option<BoundExpression>,
        limit: Option<BoundExpression>,
        /// The order of joins below was chosen for so many rows.
        ordered_for: Option<f64>,
    },
    Unwind {
        input: Box<LogicalPlan>,
        list: BoundExpression,
        variable: VariableId,
    },
    Union {
        inputs: Vec<(LogicalPlan, Vec<VariableId>)>,
        all: bool,
    },
    /// A path variable is put together from bound nodes and relationships.
    BuildPath {
        input: Box<LogicalPlan>,
        path: PathParts,
    },
    /// The rows of `input` with numbers that hold until the `Settle` of the same row variable: here a sub-plan starts.
    Number {
        input: Box<LogicalPlan>,
        row: VariableId,
        /// Whether each row of the sub-plan stands for as many as the row it comes from.
        multiplied: bool,
    },
    /// The rows of `shared` are kept while `input` runs, which reads them by `Shared` of the same row variable.
    With {
        shared: Box<LogicalPlan>,
        input: Box<LogicalPlan>,
        row: VariableId,
    },
    /// Rows that a `With` keeps, and their numbers.
    Shared {
        row: VariableId,
        variables: BTreeSet<VariableId>,
        /// Whether each row stands for as many as the row that was kept; else for itself.
        multiplied: bool,
    },
    /// SKIP and LIMIT for each value of `row`; rows of the same value follow each other.
    LimitEach {
        input: Box<LogicalPlan>,
        row: VariableId,
        skip: Option<BoundExpression>,
        limit: Option<BoundExpression>,
    },
    /// Settles rows by what hangs below a node: arrays of counts that are made once for all nodes.
    Weigh {
        input: Box<LogicalPlan>,
        variable: VariableId,
        weights: WeightTerms,
        kind: SettleKind,
    },
    /// Settles rows by whether an edge connects two of their nodes; it is given from either end.
    HasEdge {
        input: Box<LogicalPlan>,
        edges: [ExpandEdge; 2],
        kind: SettleKind,
    },
    /// Where a sub-plan ends: what it found for each of the numbered rows, which bind the variables `outer`.
    Settle {
        input: Box<LogicalPlan>,
        row: VariableId,
        outer: BTreeSet<VariableId>,
        kind: SettleKind,
    },
}

/// What becomes of the rows that a sub-plan was asked about.
#[derive(Debug, Clone)]
pub enum SettleKind {
    /// The sub-plan's rows, and those that it found nothing for with NULLs (left join).
    Optional,
    /// The sub-plan's rows, and all rows with NULLs beside them.
    Beside,
    /// The rows that it found something for (semi join).
    Exists,
    /// The rows that it found nothing for (anti join).
    Absent,
    /// All rows, each for as many as it found or for itself, with whether it found something, TRUE or NULL, where that is
    /// asked (a left join of which nothing else is).
    Counted(Option<VariableId>),
    /// All rows, with whether it found something (mark join).
    Mark(VariableId),
    /// All rows, with how many rows it found.
    Count(VariableId),
    /// All rows, with the list of the values that it found.
    Collect { variable: VariableId, value: BoundExpression },
}

impl SettleKind {
    /// The variable that receives the answer.
    pub fn answer(&self) -> Option<VariableId> {
        match self {
            SettleKind::Optional | SettleKind::Beside | SettleKind::Exists | SettleKind::Absent => None,
            SettleKind::Counted(mark) => *mark,
            SettleKind::Mark(variable)
            | SettleKind::Count(variable)
            | SettleKind::Collect { variable, .. } => Some(*variable),
        }
    }
}

/// How the rows of a part of a pattern are counted for each row of the other part.
#[derive(Debug, Clone)]
pub struct CountedPart {
    /// What both parts bind.
    pub node: VariableId,
    /// `values[0] op values[1]`: of the part that is read, and of the one that is counted.
    pub values: [BoundExpression; 2],
    pub op: PredicateOp,
    /// Relationships of the one part and of the other that must not be the same one.
    pub different: Vec<[VariableId; 2]>,
    /// Where they can be the same only as self-loops.
    pub loops: Option<CountedLoops>,
}

/// The self-loops that the two parts of a `CountedPart` could share.
#[derive(Debug, Clone)]
pub struct CountedLoops {
    /// The tables that would have them.
    pub tables: Vec<TableId>,
    /// For each pair of `different`, the end of the counted relationship that is not the node of both parts.
    pub ends: Vec<VariableId>,
}

/// A writing clause with its input; everything behind it sees what it has done.
#[derive(Debug, Clone)]
pub struct LogicalStage {
    pub input: LogicalPlan,
    /// `None` only keeps the rows.
    pub write: Option<BoundWrite>,
    /// MERGE: what is found for the rows in slot 0, and the variable that numbers these.
    pub found: Option<(LogicalPlan, VariableId)>,
}

/// What a named path consists of, in the text's order.
#[derive(Debug, Clone)]
pub struct PathParts {
    pub variable: VariableId,
    pub nodes: Vec<VariableId>,
    pub rels: Vec<VariableId>,
}

/// A property a plan fetches: which variable, and which column of which table.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct PropertyKey {
    pub variable: VariableId,
    pub columns: Vec<(TableId, ColumnId)>,
}
