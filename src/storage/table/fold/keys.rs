//! New keys become a tree, together with the small trees before it: each tree stays several times as large as all that
//! follow, so that a key is written a logarithmic number of times. Entries of rows that are gone or have another key
//! are left out of what is merged.

use std::sync::Arc;

use crate::storage::StorageResult;
use crate::storage::buffer_pool::PoolWorker;
use crate::storage::delta::KeyPart;
use crate::storage::directory::{KeyTreeRef, TableRecord};
use crate::storage::index::{IndexKey, KeyIndex, KeyRef, KeyStore, visit_keys};
use crate::storage::page::WriteBatch;
use crate::storage::state::Snapshot;
use crate::storage::table::{NodeTable, ScanOptions, open_node_table};
use crate::types::{ColumnId, TableId};
use crate::vector::{ValueVector, VectorBuffer};

/// Rows that are read at once.
const SCAN_ROWS: usize = 2048;

/// The table's trees with the keys of a level; `table` is read through it, and has `rows` rows then.
pub(super) fn add(
    index: &KeyIndex,
    part: &KeyPart,
    (table, key, rows): (&NodeTable, &[ColumnId], u64),
    batch: &WriteBatch,
    worker: &mut PoolWorker,
) -> StorageResult<Vec<KeyTreeRef>> {
    let exact = index.entries() + part.len() as u64 == rows;
    let mut asking = table.pool().worker()?;
    let mut keep = |entries: &mut Vec<(IndexKey, u64)>| match exact {
        true => Ok(()),
        false => keep_carried(index, (table, key), entries, &mut asking),
    };
    index.append_sorted(part.len(), &|at| part.get(at), &mut keep, batch, &mut worker.cursor())
}

/// Drops the entries whose row is gone or has another key.
fn keep_carried(
    index: &KeyIndex,
    (table, key): (&NodeTable, &[ColumnId]),
    entries: &mut Vec<(IndexKey, u64)>,
    worker: &mut PoolWorker,
) -> StorageResult<()> {
    let mut failed = None;
    entries.retain(|(_, offset)| match table.is_visible(*offset, worker) {
        Ok(visible) => visible,
        Err(error) => {
            failed.get_or_insert(error);
            false
        }
    });
    failed.map_or(Ok(()), Err)?;
    let offsets: Vec<u64> = entries.iter().map(|(_, offset)| *offset).collect();
    let mut buffers = Vec::with_capacity(key.len());
    for column in key {
        let mut buffer = VectorBuffer::new(table.data_type(*column));
        table.gather(*column, &offsets, worker, &mut buffer)?;
        buffers.push(buffer);
    }
    let vectors: Vec<ValueVector<'_>> = buffers.iter().map(VectorBuffer::vector).collect();
    let mut carried = Vec::with_capacity(entries.len());
    visit_keys(index.layout(), &vectors, offsets.len(), &mut Vec::new(), |row, found| {
        carried.push(entries.get(row).is_some_and(|(key, _)| found == Some(KeyRef::of(key))));
    });
    let mut carried = carried.into_iter();
    entries.retain(|_| carried.next().unwrap_or(false));
    Ok(())
}

/// The key index of a table as its base has it, without entries of rows that are gone or have another key: as it
/// stands, or written anew into `batch`. A bulk load asks it alone. None for a table without a key.
pub fn exact_key_index(
    snapshot: &Snapshot,
    table: TableId,
    batch: &WriteBatch,
) -> StorageResult<Option<KeyIndex>> {
    let (Some(index), record) = (snapshot.key_index(table)?, snapshot.table_record(table)?) else {
        return Ok(None);
    };
    let Some(schema) = snapshot.catalog().node_table_by_id(table) else { return Ok(None) };
    if index.entries() == record.row_count {
        return Ok(Some(KeyIndex::clone(&index)));
    }
    let nodes = open_node_table(snapshot, table)?;
    let (store, offsets) = keys_of(&nodes, &schema.primary_key, &index)?;
    let sorted = store.sorted();
    let entry = |at: usize| {
        let (key, row) = sorted.get(at as u64);
        (key, offsets.get(row as usize).copied().unwrap_or(0))
    };
    let mut worker = nodes.pool().worker()?;
    let empty = KeyIndex::empty(index.layout().clone());
    let key_trees =
        empty.append_sorted(offsets.len(), &entry, &mut |_| Ok(()), batch, &mut worker.cursor())?;
    let record = TableRecord { key_trees, ..TableRecord::clone(&record) };
    KeyIndex::open(&record, index.layout().clone(), &schema.name).map(Some)
}

/// The keys of all rows, and where they are.
fn keys_of(
    table: &Arc<NodeTable>,
    key: &[ColumnId],
    index: &KeyIndex,
) -> StorageResult<(KeyStore, Vec<u64>)> {
    let (mut store, mut offsets) = (KeyStore::new(index.layout().clone()), Vec::new());
    let mut scanner = table.scanner(key, &[], &ScanOptions { vector_size: SCAN_ROWS })?;
    let (mut worker, mut scratch) = (table.pool().worker()?, Vec::new());
    for group in 0..table.group_count() {
        scanner.open(group, 0..u32::MAX)?;
        while let Some(batch) = scanner.next(&mut worker)? {
            visit_keys(index.layout(), &batch.columns, batch.length, &mut scratch, |row, key| {
                if let Some(key) = key.filter(|_| batch.selection.contains(row)) {
                    store.push(key);
                    offsets.push(batch.first_offset + row as u64);
                }
            });
        }
    }
    Ok((store, offsets))
}
