//! What commits have changed since the base was written: levels of small sorted immutable parts over the base's groups.
//! A level is a value: cloning it shares everything, merging a newer one into it copies what the newer one has and a
//! few small parts. So each version keeps its own level and no row carries versions. `specs/delta.md` says how a
//! stack of levels is read and why it is built like this.

mod adjacency;
mod group;
mod keys;
mod parts;
mod row_set;
mod shared_map;
mod table;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::types::TableId;

pub use adjacency::{AdjacencyDelta, Entry, EntryPart};
pub use group::{BirthPart, GroupDelta, PartRows, PatchPart};
pub use keys::KeyPart;
pub use parts::{Part, Parts};
pub use row_set::RowSet;
pub use shared_map::SharedMap;
pub use table::{ColumnValues, TableDelta};

/// One level: what a transaction, or all commits since a checkpoint, changed. Cloning it is cheap.
#[derive(Debug, Clone, Default)]
pub struct Delta {
    tables: BTreeMap<TableId, Arc<TableDelta>>,
}

impl Delta {
    /// What changed in a table.
    pub fn table(&self, table: TableId) -> Option<&Arc<TableDelta>> {
        self.tables.get(&table)
    }

    /// What changed in a table, for further changes; clones that share it stay as they are.
    pub fn table_mut(&mut self, table: TableId) -> &mut TableDelta {
        Arc::make_mut(self.tables.entry(table).or_default())
    }

    /// All tables with changes, by id.
    pub fn tables(&self) -> impl Iterator<Item = (TableId, &Arc<TableDelta>)> {
        self.tables.iter().map(|(id, table)| (*id, table))
    }

    /// Puts the changes of a newer level on top. Costs what the newer level has and the small parts it meets, not
    /// what this level has.
    pub fn merge(&mut self, newer: &Delta) {
        for (id, table) in &newer.tables {
            match self.tables.get_mut(id) {
                Some(known) => Arc::make_mut(known).merge(table),
                None => {
                    self.tables.insert(*id, Arc::clone(table));
                }
            }
        }
    }

    /// Drops the changes of a table that the catalog no longer has.
    pub fn remove_table(&mut self, table: TableId) {
        self.tables.remove(&table);
    }

    /// Whether nothing changed.
    pub fn is_empty(&self) -> bool {
        self.tables.values().all(|table| table.is_empty())
    }

    /// The memory of the level, about: what was put in, without what merging saved.
    pub fn bytes(&self) -> u64 {
        self.tables.values().map(|table| table.bytes()).sum()
    }
}
