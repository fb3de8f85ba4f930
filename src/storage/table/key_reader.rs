//! The nodes of a table by their primary keys, through all levels. An index only ever says who may carry a key: a level's
//! entry counts if its row is visible and still carries it, and the base's entries are asked the same as soon as
//! something may have changed since they were written.

use std::sync::{Arc, OnceLock};

use super::node_table::NodeTable;
use super::open::open_node_table;
use crate::storage::StorageResult;
use crate::storage::buffer_pool::PoolWorker;
use crate::storage::delta::TableDelta;
use crate::storage::index::{KeyIndex, KeyLayout, KeyRef, SortedKeys, visit_keys};
use crate::storage::state::Snapshot;
use crate::types::{ColumnId, NODE_GROUP_ROWS, TableId, Value};
use crate::vector::{ValueVector, VectorBuffer};

/// Finds nodes by their primary key.
pub struct KeyReader {
    keys: Option<Keys>,
}

/// What a table with a key has.
struct Keys {
    index: Arc<KeyIndex>,
    columns: Vec<ColumnId>,
    table: LazyTable,
    /// Newest first; commits that came one after the other may each be one.
    levels: Vec<Arc<TableDelta>>,
    /// Whether every entry of the index is that of a row of the base: then there are as many.
    exact: bool,
}

/// The view of a table that is only opened where somebody needs more of it than its keys: most keys that are looked for
/// before they are given to new rows are nowhere.
pub struct LazyTable {
    snapshot: Snapshot,
    table: TableId,
    opened: OnceLock<Arc<NodeTable>>,
}

impl LazyTable {
    /// Nothing is opened yet.
    pub fn new(snapshot: &Snapshot, table: TableId) -> LazyTable {
        LazyTable { snapshot: snapshot.clone(), table, opened: OnceLock::new() }
    }

    /// A table that is open already.
    pub fn of(snapshot: &Snapshot, table: TableId, opened: Arc<NodeTable>) -> LazyTable {
        LazyTable { opened: OnceLock::from(opened), ..LazyTable::new(snapshot, table) }
    }

    fn get(&self) -> StorageResult<&Arc<NodeTable>> {
        if let Some(opened) = self.opened.get() {
            return Ok(opened);
        }
        let opened = open_node_table(&self.snapshot, self.table)?;
        Ok(self.opened.get_or_init(|| opened))
    }
}

/// The keys of a table of a snapshot. Reads the table's record, nothing else.
pub fn open_key_reader(snapshot: &Snapshot, table: TableId) -> StorageResult<KeyReader> {
    key_reader_over(snapshot, LazyTable::new(snapshot, table))
}

/// The same for somebody who may have the table's view already.
pub fn key_reader_over(snapshot: &Snapshot, lazy: LazyTable) -> StorageResult<KeyReader> {
    let table = lazy.table;
    let Some(index) = snapshot.key_index(table)? else { return Ok(KeyReader { keys: None }) };
    let schema = snapshot.catalog().node_table_by_id(table);
    let columns = schema.map(|schema| schema.key_columns().map(|column| column.id).collect());
    let exact = index.entries() == snapshot.table_record(table)?.row_count;
    let mut levels = snapshot.changes_of(table);
    levels.reverse();
    let columns = columns.unwrap_or_default();
    Ok(KeyReader { keys: Some(Keys { index, columns, table: lazy, levels, exact }) })
}

impl KeyReader {
    /// How values become a key; none where the table has no key.
    pub fn layout(&self) -> Option<&KeyLayout> {
        self.keys.as_ref().map(|keys| keys.index.layout())
    }

    /// The offset of the node with this key. Values are cast to the key's types where that loses nothing; a value
    /// that cannot be one of them belongs to no node, nor does NaN, which no comparison finds either.
    pub fn lookup(&self, values: &[Value], worker: &mut PoolWorker) -> StorageResult<Option<u64>> {
        let is_nan = |value: &Value| match value {
            Value::Double(value) => value.is_nan(),
            Value::Float(value) => value.is_nan(),
            _ => false,
        };
        if values.iter().any(is_nan) {
            return Ok(None);
        }
        match self.keys.as_ref().and_then(|keys| Some((keys, keys.index.layout().key_of(values)?))) {
            Some((keys, key)) => keys.lookup(KeyRef::of(&key), worker),
            None => Ok(None),
        }
    }

    /// The first of new rows whose key a node has: its row among the new ones and the node's offset.
    pub fn find_common(
        &self,
        new: &SortedKeys<'_>,
        worker: &mut PoolWorker,
    ) -> StorageResult<Option<(u64, u64)>> {
        let Some(keys) = &self.keys else { return Ok(None) };
        if keys.index.entries() == 0 && keys.levels.is_empty() {
            return Ok(None);
        }
        if keys.exact && keys.levels.is_empty() {
            return keys.index.find_common(new, &mut worker.cursor());
        }
        let mut first: Option<(u64, u64)> = None;
        for position in 0..new.len() {
            let (key, row) = new.get(position);
            if first.is_none_or(|(least, _)| row < least)
                && let Some(offset) = keys.lookup(key, worker)?
            {
                first = Some((row, offset));
            }
        }
        Ok(first)
    }

    /// The offset of the node with a key that is encoded already.
    pub fn lookup_key(&self, key: KeyRef<'_>, worker: &mut PoolWorker) -> StorageResult<Option<u64>> {
        self.keys.as_ref().map_or(Ok(None), |keys| keys.lookup(key, worker))
    }
}

impl Keys {
    fn lookup(&self, key: KeyRef<'_>, worker: &mut PoolWorker) -> StorageResult<Option<u64>> {
        for level in &self.levels {
            if let Some(offset) = level.find_key(key)
                && self.carries(offset, key, worker)?
            {
                return Ok(Some(offset));
            }
        }
        if self.index.entries() == 0 {
            return Ok(None);
        }
        if self.exact {
            let found = self.index.lookup_ref(key, &mut worker.cursor())?;
            let Some(offset) = found else { return Ok(None) };
            return Ok(
                (!self.may_have_changed(offset) || self.carries(offset, key, worker)?).then_some(offset)
            );
        }
        let candidates = self.index.candidates_of(key, &mut worker.cursor())?;
        for offset in candidates {
            if self.carries(offset, key, worker)? {
                return Ok(Some(offset));
            }
        }
        Ok(None)
    }

    /// Whether a level may have deleted the row, or given it another key.
    fn may_have_changed(&self, offset: u64) -> bool {
        let row = (offset % NODE_GROUP_ROWS) as u16;
        let groups = self.levels.iter().filter_map(|level| level.group(offset / NODE_GROUP_ROWS));
        groups.into_iter().any(|group| {
            let has_new_key = || self.columns.iter().any(|column| group.patches_of(*column).is_some());
            group.deletions().contains(row) || group.born().contains(row) || has_new_key()
        })
    }

    /// Whether a row exists and has the key.
    fn carries(&self, offset: u64, key: KeyRef<'_>, worker: &mut PoolWorker) -> StorageResult<bool> {
        let table = self.table.get()?;
        if !table.is_visible(offset, worker)? {
            return Ok(false);
        }
        let mut buffers = Vec::with_capacity(self.columns.len());
        for column in &self.columns {
            let mut buffer = VectorBuffer::new(table.data_type(*column));
            table.gather(*column, &[offset], worker, &mut buffer)?;
            buffers.push(buffer);
        }
        let vectors: Vec<ValueVector<'_>> = buffers.iter().map(VectorBuffer::vector).collect();
        let mut carried = false;
        visit_keys(self.index.layout(), &vectors, 1, &mut Vec::new(), |_, found| {
            carried = found == Some(key);
        });
        Ok(carried)
    }
}
