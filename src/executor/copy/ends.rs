//! From the keys of end points to nodes: by a temporary map of all keys of the table, built once by a scan, or for a
//! load that is small beside the table by its key index.

use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use parking_lot::Mutex;

use super::error::{CopyError, CopyResult};
use crate::catalog::NodeTableSchema;
use crate::storage::buffer_pool::BufferPool;
use crate::storage::index::{KeyLayout, KeyMap, KeyStore, visit_keys};
use crate::storage::page::{FILE_NAME, PageId};
use crate::storage::state::Snapshot;
use crate::storage::table::{KeyReader, NodeTable, ScanOptions, open_key_reader, open_node_table};
use crate::storage::{StorageError, StorageResult};
use crate::types::{ColumnId, Helpers, TableId};
use crate::vector::{ValueVector, VectorBuffer};

/// A load with fewer rows than this part of the table looks its keys up one by one.
const PROBE_DIVISOR: u64 = 50;
/// Bytes that a row of ends takes in a file at least, to guess how many there are.
const ROW_BYTES_MIN: u64 = 4;
const SCAN_ROWS: usize = 16 * 1024;

/// The nodes at one end of relationships.
pub(super) struct EndTable {
    pub schema: Arc<NodeTableSchema>,
    pub layout: KeyLayout,
    /// Offsets of nodes are below this.
    pub row_bound: u64,
    lookup: Lookup,
}

enum Lookup {
    Map(KeyMap),
    Probe { reader: KeyReader, pool: BufferPool },
}

impl EndTable {
    /// Prepares to find nodes of a table by the keys in `text_bytes` bytes of text.
    pub fn open(
        snapshot: &Snapshot,
        table: TableId,
        text_bytes: u64,
        threads: usize,
    ) -> CopyResult<EndTable> {
        let schema = snapshot.catalog().node_table_by_id(table).ok_or(CopyError::TableChanged)?;
        let types: Vec<_> = schema.key_columns().map(|column| column.data_type.clone()).collect();
        let layout = KeyLayout::new(&types).ok_or(CopyError::TableChanged)?;
        let nodes = open_node_table(snapshot, table)?;
        let row_bound = nodes.row_bound();
        if row_bound > u64::from(u32::MAX) {
            let what = "the nodes of a table that relationships are loaded for".to_owned();
            return Err(StorageError::Limit { what, limit: u64::from(u32::MAX) }.into());
        }
        let lookup = if text_bytes / ROW_BYTES_MIN < nodes.row_count() / PROBE_DIVISOR {
            Lookup::Probe { reader: open_key_reader(snapshot, table)?, pool: snapshot.pool().clone() }
        } else {
            Lookup::Map(map_keys(&nodes, &schema.primary_key, &layout, threads)?)
        };
        Ok(EndTable { schema: Arc::clone(schema), layout, row_bound, lookup })
    }

    /// Appends the node of each key; `KeyMap::ABSENT` where there is none or a part of the key is null.
    pub fn find(
        &self,
        columns: &[ValueVector<'_>],
        rows: usize,
        scratch: &mut Vec<u8>,
        out: &mut Vec<u64>,
    ) -> StorageResult<()> {
        match &self.lookup {
            Lookup::Map(map) => {
                map.lookup(columns, rows, scratch, out);
                Ok(())
            }
            Lookup::Probe { reader, pool } => {
                let mut worker = pool.worker()?;
                let mut failed = None;
                visit_keys(&self.layout, columns, rows, scratch, |_, key| {
                    let found = match key.filter(|_| failed.is_none()) {
                        Some(key) => reader.lookup_key(key, &mut worker),
                        None => Ok(None),
                    };
                    match found {
                        Ok(found) => out.push(found.unwrap_or(KeyMap::ABSENT)),
                        Err(error) => failed = Some(error),
                    }
                });
                failed.map_or(Ok(()), Err)
            }
        }
    }

    /// Bytes held.
    pub fn bytes(&self) -> u64 {
        match &self.lookup {
            Lookup::Map(map) => map.bytes(),
            Lookup::Probe { .. } => 0,
        }
    }

    /// Names and types of the key's fields, as messages call them.
    pub fn fields(&self, end: &str) -> Vec<(String, crate::types::DataType)> {
        let name = |column: &crate::catalog::ColumnSchema| {
            (format!("{end}: {}.{}", self.schema.name, column.name), column.data_type.clone())
        };
        self.schema.key_columns().map(name).collect()
    }
}

/// The fields of an end's key.
pub(super) fn vectors<'c>(columns: &'c [VectorBuffer], fields: &Range<usize>) -> Vec<ValueVector<'c>> {
    columns.get(fields.clone()).unwrap_or_default().iter().map(VectorBuffer::vector).collect()
}

/// The keys of one group and where they stand.
struct GroupKeys {
    store: KeyStore,
    /// Runs of offsets: the first and how many.
    offsets: Vec<(u64, u64)>,
}

fn map_keys(
    table: &Arc<NodeTable>,
    key: &[ColumnId],
    layout: &KeyLayout,
    threads: usize,
) -> CopyResult<KeyMap> {
    let groups = table.group_count();
    let done: Mutex<Vec<(usize, CopyResult<GroupKeys>)>> = Mutex::new(Vec::with_capacity(groups));
    let next = AtomicUsize::new(0);
    let work = || {
        loop {
            let group = next.fetch_add(1, Ordering::Relaxed);
            if group >= groups {
                return;
            }
            let keys = group_keys(table, group, key, layout);
            done.lock().push((group, keys));
        }
    };
    let helpers = Helpers::of_this_thread();
    std::thread::scope(|scope| {
        for _ in 1..threads.min(groups) {
            scope.spawn(helpers.help(work));
        }
        work();
        helpers.wait();
    });
    let mut done = done.into_inner();
    done.sort_unstable_by_key(|(group, _)| *group);
    let (mut store, mut runs) = (KeyStore::new(layout.clone()), Vec::new());
    for (_, keys) in done {
        let keys = keys?;
        if store.is_empty() {
            store = keys.store;
        } else {
            store.append_store(&keys.store);
        }
        runs.extend(keys.offsets);
    }
    let store = Arc::new(store);
    let counts_up = runs.windows(2).all(|pair| pair[0].0 + pair[0].1 == pair[1].0);
    let map = if counts_up {
        KeyMap::build(store, runs.first().map_or(0, |run| run.0), threads)?
    } else {
        let offsets = runs.iter().flat_map(|(first, count)| *first..*first + *count).collect();
        KeyMap::build_at(store, offsets, threads)?
    };
    map.map_err(|duplicate| damaged(table, format!("two nodes with one key: {duplicate:?}")))
}

fn damaged(table: &NodeTable, detail: String) -> CopyError {
    let what = format!("keys of table {}", table.layout().name);
    StorageError::Corrupt { file: FILE_NAME.to_owned(), page: PageId::default(), what, detail }.into()
}

fn group_keys(
    table: &Arc<NodeTable>,
    group: usize,
    key: &[ColumnId],
    layout: &KeyLayout,
) -> CopyResult<GroupKeys> {
    let mut keys = GroupKeys { store: KeyStore::new(layout.clone()), offsets: Vec::new() };
    let mut scanner = table.scanner(key, &[], &ScanOptions { vector_size: SCAN_ROWS })?;
    let mut worker = table.pool().worker()?;
    scanner.open(group, 0..u32::MAX)?;
    let mut rows = Vec::new();
    while let Some(batch) = scanner.next(&mut worker)? {
        let null = |_| damaged(table, "a node without a key".to_owned());
        if batch.selection.is_all() {
            keys.store.append(&batch.columns, batch.length).map_err(null)?;
            keys.offsets.push((batch.first_offset, batch.length as u64));
            continue;
        }
        rows.clear();
        batch.selection.indices(batch.length, &mut rows);
        let chosen: Vec<VectorBuffer> = key
            .iter()
            .zip(&batch.columns)
            .map(|(column, vector)| {
                let mut buffer = VectorBuffer::new(table.data_type(*column));
                buffer.append_rows(vector, &rows);
                buffer
            })
            .collect();
        let vectors: Vec<ValueVector<'_>> = chosen.iter().map(VectorBuffer::vector).collect();
        keys.store.append(&vectors, rows.len()).map_err(null)?;
        keys.offsets.extend(rows.iter().map(|row| (batch.first_offset + u64::from(*row), 1)));
    }
    Ok(keys)
}
