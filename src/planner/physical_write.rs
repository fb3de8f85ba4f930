//! Writing clauses as the executor runs them. A statement that writes is a chain of stages: each collects the rows of
//! its input completely, writes, and keeps its rows for what follows, which reads the transaction as it is by then.
//!
//! Rows are kept in slots. Slot 0 holds the rows that a clause is working on; the clause's own plans (`values`, `found`)
//! read them from there. Slot `n + 1` holds the rows of stage `n`.

use super::physical_plan::{Expression, PlanNode, RelTable};
use crate::types::{ColumnId, DataType, TableId};

/// A condition that the rows of a table fulfil unless it is false.
#[derive(Debug, Clone)]
pub struct TableCheck {
    pub table: TableId,
    /// As it was declared.
    pub text: String,
    /// What it reads, with names and types; `condition` takes them as its columns.
    pub columns: Vec<(ColumnId, String, DataType)>,
    pub condition: Expression,
}

/// One writing clause with the plan of its input.
#[derive(Debug, Clone)]
pub struct WriteStage {
    pub input: PlanNode,
    pub write: PhysicalWrite,
    /// Which columns go on: positions among the input's columns and, behind them, what the clause creates.
    pub emit: Vec<usize>,
    /// Types and labels of `emit`.
    pub outputs: Vec<DataType>,
    pub labels: Vec<String>,
}

/// What a stage does with its rows.
#[derive(Debug, Clone)]
pub enum PhysicalWrite {
    /// Keeps them: the branch of a UNION before the next one writes.
    Keep,
    Create(PhysicalCreate),
    Merge(Box<PhysicalMerge>),
    Set(PhysicalSet),
    Delete(PhysicalDelete),
}

/// Nodes and relationships that a row creates. Their ids stand behind the input's columns, nodes first.
#[derive(Debug, Clone)]
pub struct PhysicalCreate {
    /// The values of all columns over the rows in slot 0.
    pub values: Option<PlanNode>,
    pub nodes: Vec<PhysicalNewNode>,
    pub rels: Vec<PhysicalNewRel>,
}

/// A node to be created.
#[derive(Debug, Clone)]
pub struct PhysicalNewNode {
    pub table: TableId,
    pub columns: Vec<NewValue>,
}

/// A relationship to be created; its ends are positions among the input's columns and the created ones.
#[derive(Debug, Clone)]
pub struct PhysicalNewRel {
    pub tables: Vec<RelTable>,
    pub source: usize,
    pub target: usize,
    pub columns: Vec<NewValue>,
}

/// The value of a column of a new row.
#[derive(Debug, Clone)]
pub struct NewValue {
    pub column: ColumnId,
    pub name: String,
    pub data_type: DataType,
    /// Position among the values.
    pub value: usize,
    /// MERGE compares with it, so that it must not be null.
    pub merged: bool,
}

/// A pattern that is found or created.
#[derive(Debug, Clone)]
pub struct PhysicalMerge {
    pub create: PhysicalCreate,
    /// What is found for the rows in slot 0 = [input columns…, merged values…, row number]; puts out [row number,
    /// created variables…].
    pub found: PlanNode,
    /// Input columns with the ends that are bound before: together with the merged values they say which rows create
    /// the same.
    pub ends: Vec<usize>,
    /// A row may find what an earlier one has created or changed in a way that `ends` and values do not tell.
    pub one_by_one: bool,
    pub on_create: PhysicalSet,
    pub on_match: PhysicalSet,
}

/// SET and REMOVE. Without groups there is nothing to do.
#[derive(Debug, Clone, Default)]
pub struct PhysicalSet {
    /// Items that read nothing that an item before them in the same group writes.
    pub groups: Vec<SetGroup>,
    /// Columns with entities whose properties are read and written by the clause.
    pub reads: Vec<usize>,
    /// Columns with entities that are written.
    pub writes: Vec<usize>,
    /// Written properties are read in another way too (elements of lists): every row sees the one before.
    pub row_by_row: bool,
}

/// Items of SET whose values are taken together.
#[derive(Debug, Clone)]
pub struct SetGroup {
    /// The values over the rows in slot 0.
    pub values: PlanNode,
    pub items: Vec<PhysicalSetItem>,
}

/// One item of SET.
#[derive(Debug, Clone)]
pub struct PhysicalSetItem {
    /// The column with the entity.
    pub target: usize,
    pub change: PhysicalChange,
}

/// What an item does.
#[derive(Debug, Clone)]
pub enum PhysicalChange {
    /// Sets a property; a table without the column cannot have it.
    Property { name: String, columns: Vec<(TableId, ColumnId, DataType)>, value: usize },
    /// Sets what a map has and, with `replace`, removes the rest.
    Map { value: usize, replace: bool },
}

/// DELETE of what the values are.
#[derive(Debug, Clone)]
pub struct PhysicalDelete {
    pub values: PlanNode,
    pub detach: bool,
}

impl PhysicalWrite {
    /// Every plan that the clause runs itself.
    pub fn plans(&self) -> Vec<&PlanNode> {
        match self {
            PhysicalWrite::Keep => Vec::new(),
            PhysicalWrite::Create(create) => create.values.iter().collect(),
            PhysicalWrite::Merge(merge) => {
                let sets = merge.on_create.groups.iter().chain(&merge.on_match.groups);
                let values = merge.create.values.iter().chain([&merge.found]);
                values.chain(sets.map(|group| &group.values)).collect()
            }
            PhysicalWrite::Set(set) => set.groups.iter().map(|group| &group.values).collect(),
            PhysicalWrite::Delete(delete) => vec![&delete.values],
        }
    }
}
