//! What the executor runs: columns are positions, properties are fetched by plan nodes, every node says what it
//! puts out. A tree; the executor cuts it into pipelines at the nodes that must see all their input.

use std::sync::Arc;

use super::explain::inputs;
pub use super::logical_plan::Factor;
use super::logical_plan::{Leg, LogicalPlan};
// What the binder says that needs no planning; a COPY runs as it was bound.
pub use crate::binder::bound::{BoundCopy, CopyTarget, PathMode, QuantifierKind, RelTable};
use crate::functions::BoundAggregate;
use crate::types::{DataType, TableId};

pub use super::physical_expression::*;
pub use super::physical_parts::*;
pub use super::physical_recursion::*;
pub use super::physical_write::*;

/// A query that can be executed any number of times.
#[derive(Debug, Clone)]
pub struct PhysicalPlan {
    pub root: PlanNode,
    /// Names and types of the result's columns, in the order of `root`'s outputs.
    pub columns: Vec<(String, DataType)>,
    /// Names of the parameters by position, with the type that the plan was made for.
    pub parameters: Vec<(String, DataType)>,
    /// Writing clauses, which run one after the other before `root`.
    pub stages: Vec<WriteStage>,
    /// What the rows that they write have to fulfil.
    pub checks: Vec<TableCheck>,
    /// Whether `root` is run and its rows are the result; a statement without RETURN ends with its last stage.
    pub returns: bool,
    /// Kept for EXPLAIN.
    pub logical: LogicalPlan,
}

impl PhysicalPlan {
    /// Whether operators that read hold an array of numbers per node, or sorted lists, which cannot be put aside.
    pub fn holds_arrays(&self) -> bool {
        fn any(node: &PlanNode) -> bool {
            use PhysicalOperator as P;
            let own = matches!(
                node.operator,
                P::ScanWeighted { .. } | P::Weight { .. } | P::Weigh { .. } | P::CountJoin { .. }
            );
            own || inputs(&node.operator).into_iter().any(any)
        }
        any(&self.root)
    }
}

/// One operator with its output columns.
#[derive(Debug, Clone)]
pub struct PlanNode {
    pub operator: PhysicalOperator,
    /// Types of the output columns.
    pub outputs: Vec<DataType>,
    /// For EXPLAIN: what each output column holds.
    pub labels: Vec<String>,
    pub estimated_rows: f64,
    /// Operators on the longest way down, this one included.
    pub depth: usize,
}

/// Operators. "Appends" means: input columns named by `keep` first, then the new ones.
#[derive(Debug, Clone)]
pub enum PhysicalOperator {
    Unit,
    /// Rows that a writing clause keeps, see `physical_write`.
    Kept {
        slot: usize,
        /// The slot of the last stage before.
        behind: usize,
    },
    /// Puts out [node id, columns…].
    ScanNodes {
        tables: Vec<ScanTable>,
        filter: Option<Expression>,
    },
    /// Puts out the ids of the nodes whose keys a constant list has, each once.
    LookupNodes {
        table: TableId,
        list: Expression,
    },
    /// Like `ScanNodes`, with multiplicities: the signed sum of the terms, all rooted at the scanned node.
    ScanWeighted {
        tables: Vec<TableId>,
        terms: Vec<(i64, PhysicalMessage)>,
    },
    /// Puts out [relationship id, source id and target id where `emit_ends` says so, columns…].
    ScanRels {
        tables: Vec<ScanTable>,
        legs: Vec<Leg>,
        emit_ends: [bool; 2],
        filter: Option<Expression>,
    },
    /// Appends the node id; drops rows without a match. `key` is over the input.
    LookupNode {
        input: Box<PlanNode>,
        keep: Vec<usize>,
        table: TableId,
        key: Vec<Expression>,
    },
    /// Appends the ids of the nodes whose keys are elements of a list, each once per row. `list` is over the input.
    LookupElements {
        input: Box<PlanNode>,
        keep: Vec<usize>,
        table: TableId,
        list: Expression,
    },
    /// Appends gathered properties of the node or relationship in `column`.
    Fetch {
        input: Box<PlanNode>,
        column: usize,
        columns: Vec<FetchColumn>,
    },
    /// Appends [neighbour id] and, if `emit_id`, [relationship id].
    Expand {
        input: Box<PlanNode>,
        keep: Vec<usize>,
        from: usize,
        edge: PhysicalEdge,
        emit_id: bool,
        /// Which neighbours are wanted.
        target: Option<TargetFilter>,
        /// The join that they are on their way to.
        joining: Option<u32>,
    },
    /// Appends [relationship id] if `emit_id`; without it the number of relationships multiplies.
    ExpandInto {
        input: Box<PlanNode>,
        keep: Vec<usize>,
        from: usize,
        to: usize,
        edge: PhysicalEdge,
        emit_id: bool,
    },
    /// Appends [node id] reached from all `from` columns; multiplicities multiply.
    Intersect {
        input: Box<PlanNode>,
        keep: Vec<usize>,
        from: Vec<usize>,
        edges: Vec<PhysicalEdge>,
        exclusions: Vec<PhysicalExclusion>,
    },
    /// Appends what a variable-length edge finds, see `PhysicalRecursion`.
    ExpandRecursive {
        input: Box<PlanNode>,
        recursion: Box<PhysicalRecursion>,
    },
    Weight {
        input: Box<PlanNode>,
        column: usize,
        terms: Vec<(i64, PhysicalMessage)>,
    },
    Filter {
        input: Box<PlanNode>,
        predicate: Expression,
    },
    /// Sets of columns with relationship ids (or lists of them) that must not share one.
    DistinctRels {
        input: Box<PlanNode>,
        sets: Vec<DifferentColumns>,
    },
    /// Appends the build side's columns. Rows with a NULL key do not join.
    HashJoin {
        probe: Box<PlanNode>,
        build: Box<PlanNode>,
        probe_keys: Vec<Expression>,
        build_keys: Vec<Expression>,
        /// What the probe side calls the bitmap of this column's nodes.
        bitmap: Option<JoinBitmap>,
    },
    /// The probe's rows, each as often as the build side has rows for it.
    CountJoin {
        probe: Box<PlanNode>,
        build: Box<PlanNode>,
        how: Box<PhysicalCount>,
    },
    /// Only rows whose node in the column is among those that the hash join of that name has built; all of them where
    /// that side was put aside.
    Joining {
        input: Box<PlanNode>,
        column: usize,
        join: u32,
    },
    CrossProduct {
        left: Box<PlanNode>,
        right: Box<PlanNode>,
    },
    /// Puts out the expressions.
    Project {
        input: Box<PlanNode>,
        expressions: Vec<Expression>,
    },
    /// Puts out [keys…, aggregates…].
    Aggregate {
        input: Box<PlanNode>,
        keys: Vec<Expression>,
        aggregates: Vec<PhysicalAggregate>,
        key_kind: KeyKind,
    },
    /// Distinct rows over all columns.
    Distinct {
        input: Box<PlanNode>,
        key_kind: KeyKind,
        /// As many as these say together are enough; all of them if there are none.
        first: Vec<Expression>,
    },
    Sort {
        input: Box<PlanNode>,
        keys: Vec<PhysicalSortKey>,
    },
    TopK {
        input: Box<PlanNode>,
        keys: Vec<PhysicalSortKey>,
        skip: Option<Expression>,
        limit: Expression,
    },
    Limit {
        input: Box<PlanNode>,
        skip: Option<Expression>,
        limit: Option<Expression>,
        /// The order of joins below was chosen for so many rows.
        ordered_for: Option<f64>,
    },
    /// Appends the element.
    Unwind {
        input: Box<PlanNode>,
        keep: Vec<usize>,
        list: Expression,
    },
    Union {
        inputs: Vec<PlanNode>,
    },
    /// Appends the row's number within its batch: what follows up to the `Settle` of the same name is a sub-plan.
    Number {
        input: Box<PlanNode>,
        name: u32,
        /// Whether each row of the sub-plan stands for as many as the row it comes from.
        multiplied: bool,
    },
    /// Keeps the rows of `shared` while `input` runs.
    With {
        shared: Box<PlanNode>,
        input: Box<PlanNode>,
        name: u32,
    },
    /// The rows that the `With` of that name keeps: [their number, its columns…].
    Shared {
        name: u32,
        multiplied: bool,
    },
    /// SKIP and LIMIT for each run of the same value in a column.
    LimitEach {
        input: Box<PlanNode>,
        column: usize,
        skip: Option<Expression>,
        limit: Option<Expression>,
    },
    /// Settles rows by what hangs below the node in a column, a signed sum of terms.
    Weigh {
        input: Box<PlanNode>,
        column: usize,
        terms: Vec<(i64, PhysicalMessage)>,
        answer: Answer,
    },
    /// Settles rows by whether the nodes in two columns are connected; `edges` lead from the one and from the other.
    HasEdge {
        input: Box<PlanNode>,
        ends: [usize; 2],
        edges: Box<[PhysicalEdge; 2]>,
        answer: Answer,
    },
    /// The end of a sub-plan; column `row` of its rows has the number of the row they were found for.
    Settle {
        input: Box<PlanNode>,
        name: u32,
        row: usize,
        kind: PhysicalSettle,
    },
}

/// How rows are told what was found for them where nothing else is known of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Answer {
    /// Only rows that something was found for pass.
    Exists,
    /// Only rows that nothing was found for pass.
    Absent,
    /// All rows pass, each for as many as it found or for itself; appends whether something was found, TRUE or NULL, where
    /// it is asked.
    Counted { marked: bool },
    /// All rows pass; appends whether something was found.
    Mark,
    /// All rows pass; appends how much was found.
    Count,
}

/// What a `Settle` puts out. "Numbered columns" are those of the input of `Number`.
#[derive(Debug, Clone)]
pub enum PhysicalSettle {
    /// For each row of the sub-plan the columns `found`; for each numbered row without one, or for all of them where they
    /// are wanted `beside`, the numbered columns `left`, NULL where there is none.
    Optional { found: Vec<usize>, left: Vec<Option<usize>>, beside: bool },
    /// The numbered columns of the rows for which something was found, or nothing if `absent`.
    Semi { columns: Vec<usize>, absent: bool },
    /// The numbered columns, and whether something was found.
    Mark { columns: Vec<usize> },
    /// The numbered columns, and how many rows were found.
    Count { columns: Vec<usize> },
    /// The numbered columns of rows that stand for as many as were found, or for themselves, and whether something was
    /// found, TRUE or NULL, where it is asked.
    Counted { columns: Vec<usize>, marked: bool },
    /// The numbered columns, and the list of a value of the rows that were found.
    Collect { columns: Vec<usize>, value: Box<Expression>, list: DataType },
}

/// How grouping keys are found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum KeyKind {
    /// No keys: one group.
    Single,
    /// One node id of these tables: an array by offset.
    DenseNode(Vec<TableId>),
    /// Anything else.
    Hash,
}

/// One aggregate over the input of `Aggregate`.
#[derive(Debug, Clone)]
pub struct PhysicalAggregate {
    pub function: Arc<BoundAggregate>,
    pub arguments: Vec<Expression>,
    pub distinct: bool,
    pub data_type: DataType,
}

/// One sort key.
#[derive(Debug, Clone)]
pub struct PhysicalSortKey {
    pub expression: Expression,
    pub descending: bool,
}
