//! What a table is called and what its columns are. Plain data, shared behind `Arc` by all versions of the catalog
//! in which it did not change.

use crate::types::{ColumnId, DataType, TableId};

/// Which meaning a text has where openCypher and Kuzu's Cypher differ; a connection may override it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Dialect {
    /// openCypher 9.
    #[default]
    OpenCypher,
    /// Kuzu's Cypher.
    Kuzu,
}

/// Whether tables must be declared.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum SchemaMode {
    /// Every node has one label, its table, with declared columns.
    #[default]
    Strict,
    /// One open node table and open relationship tables: labels, types and properties appear as they are used.
    Flexible,
}

/// How many relationships of a type may meet at a node.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Multiplicity {
    /// No limit at either end.
    #[default]
    ManyMany,
    /// At most one outgoing relationship per source.
    ManyOne,
    /// At most one incoming relationship per target.
    OneMany,
    /// At most one at both ends.
    OneOne,
}

impl Multiplicity {
    /// Whether a source node may have one outgoing relationship only.
    pub fn limits_source(self) -> bool {
        matches!(self, Multiplicity::ManyOne | Multiplicity::OneOne)
    }

    /// Whether a target node may have one incoming relationship only.
    pub fn limits_target(self) -> bool {
        matches!(self, Multiplicity::OneMany | Multiplicity::OneOne)
    }
}

/// A stored property of a table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ColumnSchema {
    /// Unique within the database, for ever: a dropped column's id is not given again.
    pub id: ColumnId,
    /// The property's name.
    pub name: String,
    /// The type of its values.
    pub data_type: DataType,
    /// The text of the DEFAULT expression.
    pub default: Option<String>,
    /// NOT NULL; set for key columns too.
    pub not_null: bool,
    /// UNIQUE, beside the primary key.
    pub unique: bool,
    /// The text of the CHECK expression.
    pub check: Option<String>,
    /// The text of COMMENT ON.
    pub comment: Option<String>,
}

/// A column to be created; the catalog gives the id.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewColumn {
    pub name: String,
    pub data_type: DataType,
    pub default: Option<String>,
    pub not_null: bool,
    pub unique: bool,
    pub check: Option<String>,
}

impl NewColumn {
    /// A nullable column without default and constraints.
    pub fn new(name: impl Into<String>, data_type: DataType) -> NewColumn {
        NewColumn { name: name.into(), data_type, default: None, not_null: false, unique: false, check: None }
    }
}

/// A table of nodes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NodeTableSchema {
    pub id: TableId,
    /// The table's name, which is its label in a strict database.
    pub name: String,
    /// In order of declaration.
    pub columns: Vec<ColumnSchema>,
    /// The columns of the primary key, in order; empty in an open table.
    pub primary_key: Vec<ColumnId>,
    /// Whether rows carry any labels and properties (flexible databases).
    pub open: bool,
    pub comment: Option<String>,
}

impl NodeTableSchema {
    /// The column of that name; case counts.
    pub fn column(&self, name: &str) -> Option<&ColumnSchema> {
        self.columns.iter().find(|column| column.name == name)
    }

    /// The column of that id.
    pub fn column_by_id(&self, id: ColumnId) -> Option<&ColumnSchema> {
        self.columns.iter().find(|column| column.id == id)
    }

    /// The columns of the primary key, in order.
    pub fn key_columns(&self) -> impl Iterator<Item = &ColumnSchema> {
        self.primary_key.iter().filter_map(|id| self.column_by_id(*id))
    }
}

/// One FROM/TO pair of a relationship type: a table of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RelTableSchema {
    pub id: TableId,
    /// The node table that relationships start from.
    pub source: TableId,
    /// The node table that they point to.
    pub target: TableId,
}

/// A relationship type: one table per FROM/TO pair, one list of columns for all of them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RelTypeSchema {
    /// The type's name.
    pub name: String,
    /// In order of declaration, never empty.
    pub tables: Vec<RelTableSchema>,
    /// In order of declaration.
    pub columns: Vec<ColumnSchema>,
    pub multiplicity: Multiplicity,
    /// Whether relationships carry any properties (flexible databases).
    pub open: bool,
    pub comment: Option<String>,
}

impl RelTypeSchema {
    /// The column of that name; case counts.
    pub fn column(&self, name: &str) -> Option<&ColumnSchema> {
        self.columns.iter().find(|column| column.name == name)
    }

    /// The column of that id.
    pub fn column_by_id(&self, id: ColumnId) -> Option<&ColumnSchema> {
        self.columns.iter().find(|column| column.id == id)
    }

    /// The table of that id.
    pub fn table(&self, id: TableId) -> Option<&RelTableSchema> {
        self.tables.iter().find(|table| table.id == id)
    }

    /// The table of that FROM/TO pair.
    pub fn pair(&self, source: TableId, target: TableId) -> Option<&RelTableSchema> {
        self.tables.iter().find(|table| table.source == source && table.target == target)
    }
}

/// A node table to be created.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct NewNodeTable {
    pub name: String,
    pub columns: Vec<NewColumn>,
    /// Names of key columns, in order.
    pub primary_key: Vec<String>,
    pub open: bool,
}

/// A relationship type to be created.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct NewRelType {
    pub name: String,
    /// Names of the node tables of each FROM/TO pair.
    pub pairs: Vec<(String, String)>,
    pub columns: Vec<NewColumn>,
    pub multiplicity: Multiplicity,
    pub open: bool,
}
