//! The tables of one version that somebody has asked for, opened once.

use std::sync::Arc;

use parking_lot::RwLock;
use rustc_hash::FxHashMap;

use crate::storage::StorageResult;
use crate::storage::state::Snapshot;
use crate::storage::table::{
    KeyReader, LazyTable, NodeTable, RelTable, key_reader_over, open_node_table, open_rel_table,
};
use crate::types::TableId;

/// Views of tables by id.
#[derive(Default)]
pub struct OpenTables {
    nodes: RwLock<FxHashMap<TableId, Arc<NodeTable>>>,
    rels: RwLock<FxHashMap<TableId, Arc<RelTable>>>,
    keys: RwLock<FxHashMap<TableId, Arc<KeyReader>>>,
}

fn cached<T>(
    map: &RwLock<FxHashMap<TableId, Arc<T>>>,
    table: TableId,
    open: impl FnOnce() -> StorageResult<Arc<T>>,
) -> StorageResult<Arc<T>> {
    if let Some(known) = map.read().get(&table) {
        return Ok(known.clone());
    }
    let opened = open()?;
    Ok(map.write().entry(table).or_insert(opened).clone())
}

impl OpenTables {
    pub(super) fn node_table(&self, snapshot: &Snapshot, table: TableId) -> StorageResult<Arc<NodeTable>> {
        cached(&self.nodes, table, || open_node_table(snapshot, table))
    }

    pub(super) fn rel_table(&self, snapshot: &Snapshot, table: TableId) -> StorageResult<Arc<RelTable>> {
        cached(&self.rels, table, || open_rel_table(snapshot, table))
    }

    pub(super) fn key_reader(&self, snapshot: &Snapshot, table: TableId) -> StorageResult<Arc<KeyReader>> {
        let open = || {
            let opened = self.node_table(snapshot, table)?;
            Ok(Arc::new(key_reader_over(snapshot, LazyTable::of(snapshot, table, opened))?))
        };
        cached(&self.keys, table, open)
    }

    /// The same for keys that are hardly ever there: the table is not opened for it.
    pub(super) fn key_check(&self, snapshot: &Snapshot, table: TableId) -> StorageResult<Arc<KeyReader>> {
        let open = || {
            let opened = self.nodes.read().get(&table).cloned();
            let lazy = match opened {
                Some(opened) => LazyTable::of(snapshot, table, opened),
                None => LazyTable::new(snapshot, table),
            };
            Ok(Arc::new(key_reader_over(snapshot, lazy)?))
        };
        cached(&self.keys, table, open)
    }
}
