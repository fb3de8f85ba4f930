//! The directory of one version of the database: from a table's number to its record.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::record::{KeyTreeRef, TableKind, TableRecord};
use super::tree::{ExtentSource, IndexTree};
use crate::storage::page::{ExtentRef, FILE_NAME, PageRun, WriteBatch, extent_runs};
use crate::storage::table::group_page::GroupPage;
use crate::storage::{StorageError, StorageResult};
use crate::types::{ColumnId, TableId};

const WHAT: &str = "table directory";
/// The low half of a table id is its number in its graph; the directory is that of graph 0.
const TABLE_NUMBERS: u32 = 1 << 16;

/// All tables that ever had rows. A table without a record has none.
#[derive(Clone, Default)]
pub struct Directory {
    tables: IndexTree,
}

/// What a commit changes in one table. Group pages and key trees are already written into the commit's batch.
#[derive(Debug, Clone)]
pub struct TableChange {
    pub table: TableId,
    pub kind: TableKind,
    /// As it is after the commit.
    pub row_bound: u64,
    /// As it is after the commit.
    pub row_count: u64,
    /// New and replaced group pages by group; `None` for a group that is gone.
    pub rows: BTreeMap<u64, Option<ExtentRef>>,
    pub forward: BTreeMap<u64, Option<ExtentRef>>,
    pub backward: BTreeMap<u64, Option<ExtentRef>>,
    /// The whole new list, if it changed. Extents that left it are retired.
    pub key_trees: Option<Vec<KeyTreeRef>>,
    /// SERIAL columns whose next value changed.
    pub serials: Vec<(ColumnId, u64)>,
    /// What replaced group pages named and their successors do not. The replaced pages themselves and their index
    /// pages are found without being listed.
    pub retired: Vec<PageRun>,
}

impl TableChange {
    /// A change of nothing, to be filled in.
    pub fn new(record: &TableRecord) -> TableChange {
        TableChange {
            table: record.table,
            kind: record.kind,
            row_bound: record.row_bound,
            row_count: record.row_count,
            rows: BTreeMap::new(),
            forward: BTreeMap::new(),
            backward: BTreeMap::new(),
            key_trees: None,
            serials: Vec::new(),
            retired: Vec::new(),
        }
    }
}

impl Directory {
    /// The directory under a root; its top page is read, the rest when it is asked for.
    pub fn open(top: &ExtentRef, source: &dyn ExtentSource) -> StorageResult<Directory> {
        Ok(Directory { tables: IndexTree::from_top(top, source, WHAT)? })
    }

    /// The directory as the root names it; empty while no table ever had rows.
    pub fn top(&self) -> ExtentRef {
        self.tables.top()
    }

    /// A table's record, read at the first call; none for a table that never had rows.
    pub fn record(
        &self,
        table: TableId,
        source: &dyn ExtentSource,
    ) -> StorageResult<Option<Arc<TableRecord>>> {
        if table.0 >= TABLE_NUMBERS {
            return Ok(None);
        }
        self.tables
            .get(u64::from(table.0), source, WHAT, |extent, bytes| decode_record(table, extent, &bytes))
    }

    /// The next version. Everything that it no longer needs is added to `retired`.
    pub fn with_changes(
        &self,
        changes: &[TableChange],
        dropped: &[TableId],
        source: &dyn ExtentSource,
        batch: &WriteBatch,
        retired: &mut Vec<PageRun>,
    ) -> StorageResult<Directory> {
        let mut records = BTreeMap::new();
        for change in changes {
            let old = self.record(change.table, source)?;
            let record = change_record(old.as_deref(), change, source, batch, retired)?;
            records.insert(u64::from(change.table.0), Some(batch.write_extent(&record.encode())?));
        }
        for table in dropped {
            if let Some(record) = self.record(*table, source)? {
                visit_extents(&record, source, &mut |_, extent| {
                    retired.extend(extent_runs(extent));
                    Ok(())
                })?;
                records.insert(u64::from(table.0), None);
            }
        }
        Ok(Directory { tables: self.tables.with_changes(&records, source, batch, WHAT, retired)? })
    }

    /// The same with this record of a table. What the old record leads to is somebody else's to give back.
    pub fn with_record(
        &self,
        record: &TableRecord,
        source: &dyn ExtentSource,
        batch: &WriteBatch,
    ) -> StorageResult<Directory> {
        let extent = batch.write_extent(&record.encode())?;
        let records = BTreeMap::from([(u64::from(record.table.0), Some(extent))]);
        Ok(Directory { tables: self.tables.with_changes(&records, source, batch, WHAT, &mut Vec::new())? })
    }

    /// Calls `visit` with every extent that the directory reaches, and the table that it belongs to.
    pub fn visit_all(
        &self,
        source: &dyn ExtentSource,
        visit: &mut dyn FnMut(&str, &ExtentRef) -> StorageResult<()>,
    ) -> StorageResult<()> {
        let mut tables = Vec::new();
        self.tables.visit(source, WHAT, &mut |number, extent| {
            tables.extend(number);
            visit(WHAT, extent)
        })?;
        for number in tables {
            // Numbers come from a tree whose length is checked when a record is read.
            let table = TableId(u32::try_from(number).unwrap_or(u32::MAX));
            if let Some(record) = self.record(table, source)? {
                visit_extents(&record, source, visit)?;
            }
        }
        Ok(())
    }
}

fn decode_record(table: TableId, extent: &ExtentRef, bytes: &[u8]) -> StorageResult<TableRecord> {
    let record = TableRecord::decode(bytes).map_err(|detail| corrupt(extent, WHAT, detail))?;
    if record.table != table {
        let detail = format!("the record of table {} stands where that of {table} belongs", record.table);
        return Err(corrupt(extent, WHAT, detail));
    }
    Ok(record)
}

fn corrupt(extent: &ExtentRef, what: &str, detail: String) -> StorageError {
    StorageError::Corrupt {
        file: FILE_NAME.to_owned(),
        page: extent.first_page,
        what: what.to_owned(),
        detail,
    }
}

/// Calls `visit` with all extents under a record, from index pages down to segments and key trees.
fn visit_extents(
    record: &TableRecord,
    source: &dyn ExtentSource,
    visit: &mut dyn FnMut(&str, &ExtentRef) -> StorageResult<()>,
) -> StorageResult<()> {
    let table = record.table;
    for (tree, part) in [(&record.rows, "rows"), (&record.forward, "forward"), (&record.backward, "backward")]
    {
        let what = format!("table {table}, {part}");
        tree.visit(source, &what, &mut |group, extent| {
            visit(&what, extent)?;
            if group.is_none() {
                return Ok(());
            }
            let bytes = source.read_extent(extent, &what)?;
            let page =
                GroupPage::decode(&bytes).map_err(|damage| corrupt(extent, &what, damage.0.to_owned()))?;
            page.extents.iter().try_for_each(|extent| visit(&what, extent))
        })?;
    }
    let what = format!("table {table}, key index");
    let mut extents = record.key_trees.iter().flat_map(|tree| &tree.extents);
    extents.try_for_each(|extent| visit(&what, extent))
}

fn change_record(
    old: Option<&TableRecord>,
    change: &TableChange,
    source: &dyn ExtentSource,
    batch: &WriteBatch,
    retired: &mut Vec<PageRun>,
) -> StorageResult<TableRecord> {
    let mut record = old.cloned().unwrap_or_else(|| TableRecord::empty(change.table, change.kind));
    record.row_bound = change.row_bound;
    record.row_count = change.row_count;
    let what = format!("table {}", change.table);
    for (tree, groups) in [
        (&mut record.rows, &change.rows),
        (&mut record.forward, &change.forward),
        (&mut record.backward, &change.backward),
    ] {
        *tree = tree.with_changes(groups, source, batch, &what, retired)?;
    }
    if let Some(key_trees) = &change.key_trees {
        let kept = |extent: &ExtentRef| key_trees.iter().any(|tree| tree.extents.contains(extent));
        let left = record.key_trees.iter().flat_map(|tree| &tree.extents).filter(|extent| !kept(extent));
        retired.extend(left.flat_map(extent_runs));
        record.key_trees.clone_from(key_trees);
    }
    for (column, next) in &change.serials {
        record.serials.retain(|(id, _)| id != column);
        record.serials.push((*column, *next));
    }
    retired.extend(&change.retired);
    Ok(record)
}
