//! New keys become a tree, together with the small trees before it: each tree stays several times as large as all that
//! follow, so that a key is written a logarithmic number of times. Entries of rows that are gone or have another key
//! are left out of what is merged.

use crate::storage::StorageResult;
use crate::storage::buffer_pool::PoolWorker;
use crate::storage::delta::KeyPart;
use crate::storage::directory::KeyTreeRef;
use crate::storage::index::{IndexKey, KeyIndex, KeyRef, visit_keys};
use crate::storage::page::WriteBatch;
use crate::storage::table::NodeTable;
use crate::types::ColumnId;
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
    let mut asking = table.pool().worker()?;
    if index.entries() + part.len() as u64 == rows {
        let mut keep = |_: &mut Vec<(IndexKey, u64)>| Ok(());
        return index.append_sorted(part.len(), &|at| part.get(at), &mut keep, batch, &mut worker.cursor());
    }
    // An entry of the level need not be newer than one of the index: a bulk load may have given the key of a row that
    // is gone again to a row of its own. So what is not carried must not come to stand over what is.
    let mut fresh: Vec<(IndexKey, u64)> = Vec::with_capacity(part.len());
    for from in (0..part.len()).step_by(SCAN_ROWS) {
        let until = part.len().min(from + SCAN_ROWS);
        let mut entries: Vec<(IndexKey, u64)> =
            (from..until).map(|at| part.get(at)).map(|(key, offset)| (key.to_owned(), offset)).collect();
        keep_carried(index, (table, key), &mut entries, &mut asking)?;
        fresh.append(&mut entries);
    }
    let entry = |at: usize| (KeyRef::of(&fresh[at].0), fresh[at].1);
    let mut keep =
        |entries: &mut Vec<(IndexKey, u64)>| keep_carried(index, (table, key), entries, &mut asking);
    index.append_sorted(fresh.len(), &entry, &mut keep, batch, &mut worker.cursor())
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
