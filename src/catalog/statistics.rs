//! What the planner knows about the data: counts and ranges, approximate, kept by loads and checkpoints.

use std::collections::BTreeMap;

use super::distinct::DistinctSketch;
use crate::types::{ColumnId, TableId, Value};

/// The statistics of all tables of one version of the database.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Statistics {
    tables: BTreeMap<TableId, TableStatistics>,
}

/// One node table, or one FROM/TO pair of a relationship type.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct TableStatistics {
    /// Nodes or relationships that exist.
    pub rows: u64,
    /// By stored column; a column without data has no entry.
    pub columns: BTreeMap<ColumnId, ColumnStatistics>,
    /// A relationship table, followed from its sources.
    pub forward: DirectionStatistics,
    /// A relationship table, followed from its targets.
    pub backward: DirectionStatistics,
}

/// One adjacency index of a relationship table.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct DirectionStatistics {
    /// Entries of all lists.
    pub edges: u64,
    /// Nodes whose list is not empty.
    pub nodes_with_edges: u64,
    /// The longest list.
    pub max_degree: u64,
}

impl DirectionStatistics {
    /// The mean length of the lists that are not empty.
    pub fn average_degree(&self) -> f64 {
        if self.nodes_with_edges == 0 { 0.0 } else { self.edges as f64 / self.nodes_with_edges as f64 }
    }
}

/// One column. Ranges may be wider than the data: what was deleted may still count.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct ColumnStatistics {
    /// The least value, where the type has an order and a value exists. Long strings may be cut short.
    pub min: Option<Value>,
    /// The greatest value, likewise.
    pub max: Option<Value>,
    /// NULLs among the rows.
    pub null_count: u64,
    /// An estimate of the number of different values.
    pub distinct: u64,
    /// What the estimate comes from, for merging it with that of further loads.
    pub sketch: Option<DistinctSketch>,
}

impl Statistics {
    /// The table's statistics, if it has any rows.
    pub fn table(&self, id: TableId) -> Option<&TableStatistics> {
        self.tables.get(&id)
    }

    /// The rows of a table; 0 for one that was never loaded.
    pub fn rows(&self, id: TableId) -> u64 {
        self.tables.get(&id).map_or(0, |table| table.rows)
    }

    /// One column of a table.
    pub fn column(&self, table: TableId, column: ColumnId) -> Option<&ColumnStatistics> {
        self.tables.get(&table)?.columns.get(&column)
    }

    /// All tables with statistics, by id.
    pub fn tables(&self) -> impl Iterator<Item = (TableId, &TableStatistics)> {
        self.tables.iter().map(|(id, table)| (*id, table))
    }

    /// Replaces a table's statistics.
    pub fn set_table(&mut self, id: TableId, statistics: TableStatistics) {
        self.tables.insert(id, statistics);
    }

    /// The table's statistics for changing.
    pub fn table_mut(&mut self, id: TableId) -> &mut TableStatistics {
        self.tables.entry(id).or_default()
    }

    /// Forgets a dropped table.
    pub fn remove_table(&mut self, id: TableId) {
        self.tables.remove(&id);
    }

    /// Forgets a dropped column.
    pub fn remove_column(&mut self, table: TableId, column: ColumnId) {
        if let Some(table) = self.tables.get_mut(&table) {
            table.columns.remove(&column);
        }
    }
}
