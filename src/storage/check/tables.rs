//! What the parts of a table say of each other: rows as many as recorded, every row found under its key, no key that
//! leads beyond the rows, and the same relationships forward and backward.

use crate::storage::buffer_pool::PoolWorker;
use crate::storage::directory::TableRecord;
use crate::storage::index::{KeyIndex, KeyRef, visit_keys};
use crate::storage::page::{FILE_NAME, PageId};
use crate::storage::state::Snapshot;
use crate::storage::table::{
    Adjacency, Direction, KeyReader, ScanOptions, open_key_reader, open_node_table, open_rel_table,
};
use crate::storage::{StorageError, StorageResult};
use crate::types::{ColumnId, NODE_GROUP_ROWS, TableId};

const VECTOR_SIZE: usize = 2048;

/// Checks every table of the catalog and adds what is wrong to `problems`. Reads through the pool.
pub(super) fn check_tables(snapshot: &Snapshot, problems: &mut Vec<StorageError>) {
    for table in snapshot.catalog().node_tables() {
        let columns: Vec<ColumnId> = table.primary_key.clone();
        problems.extend(check_node_table(snapshot, table.id, &columns).err());
    }
    for (_, table) in snapshot.catalog().rel_tables() {
        problems.extend(check_rel_table(snapshot, table.id).err());
    }
}

fn wrong(record: &TableRecord, part: &str, detail: String) -> StorageError {
    let page = record.rows.reference().root.first_page;
    let what = format!("table {}, {part}", record.table);
    StorageError::Corrupt { file: FILE_NAME.to_owned(), page: PageId(page.0), what, detail }
}

fn check_node_table(snapshot: &Snapshot, id: TableId, key: &[ColumnId]) -> StorageResult<()> {
    let (table, record) = (open_node_table(snapshot, id)?, snapshot.table_record(id)?);
    let (index, reader) = (snapshot.key_index(id)?, open_key_reader(snapshot, id)?);
    let mut scanner = table.scanner(key, &[], &ScanOptions { vector_size: VECTOR_SIZE })?;
    let (mut worker, mut other) = (snapshot.pool().worker()?, snapshot.pool().worker()?);
    let (mut rows, mut scratch) = (0, Vec::new());
    for group in 0..table.group_count() {
        scanner.open(group, 0..NODE_GROUP_ROWS as u32)?;
        while let Some(batch) = scanner.next(&mut worker)? {
            let exists = |row: usize| batch.selection.contains(row);
            rows += batch.selection.count(batch.length) as u64;
            let Some(index) = &index else { continue };
            let mut found = Ok(());
            visit_keys(index.layout(), &batch.columns, batch.length, &mut scratch, |row, key| {
                if found.is_ok() && exists(row) {
                    let offset = batch.first_offset + row as u64;
                    found = check_key(&record, &reader, key, offset, &mut other);
                }
            });
            found?;
        }
    }
    if rows != table.row_count() {
        return Err(wrong(&record, "rows", format!("{rows} rows instead of {}", table.row_count())));
    }
    match index {
        Some(index) => check_entries(&record, &index, &mut worker),
        None => Ok(()),
    }
}

/// Every row was found under its key; other entries are of rows that are gone or have another key now.
fn check_entries(record: &TableRecord, index: &KeyIndex, worker: &mut PoolWorker) -> StorageResult<()> {
    let mut cursor = worker.cursor();
    for tree in index.trees() {
        let mut scan = tree.scan();
        while let Some((_, offset)) = scan.next(&mut cursor)? {
            if offset >= record.row_bound {
                let detail = format!("a key leads to row {offset}, which is beyond the last");
                return Err(wrong(record, "key index", detail));
            }
        }
    }
    Ok(())
}

fn check_key(
    record: &TableRecord,
    reader: &KeyReader,
    key: Option<KeyRef<'_>>,
    offset: u64,
    worker: &mut PoolWorker,
) -> StorageResult<()> {
    let Some(key) = key else {
        return Err(wrong(record, "key index", format!("the key of row {offset} is null")));
    };
    match reader.lookup_key(key, worker)? {
        Some(found) if found == offset => Ok(()),
        Some(found) => {
            Err(wrong(record, "key index", format!("the key of row {offset} leads to row {found}")))
        }
        None => Err(wrong(record, "key index", format!("the key of row {offset} is missing"))),
    }
}

/// A direction's relationships, in a form that does not depend on their order.
#[derive(Debug, Default, PartialEq, Eq)]
struct Digest {
    edges: u64,
    self_loops: u64,
    sum: u64,
    other_sum: u64,
}

impl Digest {
    fn add(&mut self, source: u64, target: u64, id: u64) {
        let mixed = mix(source ^ mix(target ^ mix(id)));
        self.edges += 1;
        self.self_loops += u64::from(source == target);
        self.sum = self.sum.wrapping_add(mixed);
        self.other_sum = self.other_sum.wrapping_add(mix(mixed));
    }
}

fn mix(number: u64) -> u64 {
    let mixed = number.wrapping_add(0x9E37_79B9_7F4A_7C15);
    let mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    mixed ^ (mixed >> 31)
}

fn check_rel_table(snapshot: &Snapshot, id: TableId) -> StorageResult<()> {
    let (table, record) = (open_rel_table(snapshot, id)?, snapshot.table_record(id)?);
    let digest =
        |direction| digest_of(snapshot, (&record, table.row_bound()), table.adjacency(direction), direction);
    let (forward, backward) = (digest(Direction::Forward)?, digest(Direction::Backward)?);
    if forward != backward {
        let detail = format!("forward lists hold {forward:?}, backward lists {backward:?}");
        return Err(wrong(&record, "adjacency", detail));
    }
    if forward.edges != table.row_count() {
        let detail = format!("{} entries for {} relationships", forward.edges, table.row_count());
        return Err(wrong(&record, "adjacency", detail));
    }
    Ok(())
}

fn digest_of(
    snapshot: &Snapshot,
    (record, row_bound): (&TableRecord, u64),
    adjacency: &std::sync::Arc<Adjacency>,
    direction: Direction,
) -> StorageResult<Digest> {
    let (mut digest, mut ids) = (Digest::default(), Vec::new());
    let mut scanner = adjacency.scanner();
    let mut worker = snapshot.pool().worker()?;
    for group in 0..adjacency.group_count() as u64 {
        scanner.open(group, 0..NODE_GROUP_ROWS as u32)?;
        while let Some(window) = scanner.next(&mut worker, true)? {
            ids.clear();
            window.append_ids(&mut ids).map_err(|damage| wrong(record, "adjacency", damage.0.to_owned()))?;
            let mut found = Ok(());
            window.for_each_list(|node, entries| {
                let list = (window.neighbours.get(entries.clone()), ids.get(entries));
                if found.is_ok() {
                    found = add_list(&mut digest, (record, row_bound), direction, node, list);
                }
            });
            found?;
        }
    }
    Ok(digest)
}

/// Adds the list of a node: its far ends and relationships.
fn add_list(
    digest: &mut Digest,
    (record, row_bound): (&TableRecord, u64),
    direction: Direction,
    node: u64,
    list: (Option<&[u32]>, Option<&[u64]>),
) -> StorageResult<()> {
    let (Some(far), Some(ids)) = list else {
        return Err(wrong(record, "adjacency", format!("the list of node {node} has no end")));
    };
    if !far.is_sorted() {
        return Err(wrong(record, "adjacency", format!("the list of node {node} is not sorted")));
    }
    for (far, id) in far.iter().zip(ids) {
        if *id >= row_bound {
            let detail = format!("relationship {id} at node {node} is beyond the last");
            return Err(wrong(record, "adjacency", detail));
        }
        match direction {
            Direction::Forward => digest.add(node, u64::from(*far), *id),
            Direction::Backward => digest.add(u64::from(*far), node, *id),
        }
    }
    Ok(())
}
