//! The state of the database at one version: one immutable value behind one pointer. A snapshot is a counted
//! reference to it, so taking one costs the same whatever the size, and what it sees never changes.

use std::ops::Deref;
use std::sync::{Arc, OnceLock};

use parking_lot::Mutex;
use rustc_hash::FxHashMap;

use super::buffer_pool::BufferPool;
use super::directory::{Directory, TableKind, TableRecord};
use super::files::Files;
use super::index::{KeyIndex, KeyLayout};
use super::page::{FILE_NAME, GenerationHold, PageFile};
use super::{StorageError, StorageResult};
use crate::catalog::{Catalog, Statistics, decode_catalog, decode_statistics};
use crate::types::TableId;

/// One version of the database.
pub struct State {
    catalog: Arc<Catalog>,
    /// Read at the first question, so that opening a database does not.
    statistics: OnceLock<Arc<Statistics>>,
    directory: Directory,
    /// Made at the first question; they hold no snapshot, or a state would keep itself.
    key_indexes: Mutex<FxHashMap<TableId, Arc<KeyIndex>>>,
    /// Keeps the pages of this version from being written again.
    hold: GenerationHold,
    files: Arc<Files>,
}

impl State {
    /// The state that the root in force describes. Reads the catalog and the top of the directory.
    pub(super) fn open(files: Arc<Files>) -> StorageResult<State> {
        let hold = files.page_file().hold();
        let (root, page_file) = (*hold.root(), files.page_file());
        let directory = Directory::open(&root.table_directory, &**page_file)?;
        let catalog = match root.catalog.byte_length {
            0 => files.empty_catalog(),
            _ => {
                let bytes = page_file.read_extent(&root.catalog, "catalog")?;
                decode_catalog(&bytes).map_err(|error| damaged(&root.catalog, "catalog", &error))?
            }
        };
        Ok(State {
            catalog: Arc::new(catalog),
            statistics: OnceLock::new(),
            directory,
            key_indexes: Mutex::default(),
            hold,
            files,
        })
    }

    /// The state after a switch that the caller made from these values.
    pub(super) fn after_switch(
        files: Arc<Files>,
        catalog: Arc<Catalog>,
        statistics: OnceLock<Arc<Statistics>>,
        directory: Directory,
    ) -> State {
        let hold = files.page_file().hold();
        State { catalog, statistics, directory, key_indexes: Mutex::default(), hold, files }
    }

    /// The number of the commit that made this state.
    pub fn version(&self) -> u64 {
        self.hold.root().commit_version
    }

    /// The generation of the root that this state reads.
    pub fn generation(&self) -> u64 {
        self.hold.generation()
    }

    /// The schemas.
    pub fn catalog(&self) -> &Arc<Catalog> {
        &self.catalog
    }

    /// The statistics; the first call reads them.
    pub fn statistics(&self) -> StorageResult<&Arc<Statistics>> {
        if self.statistics.get().is_none() {
            let extent = &self.hold.root().statistics;
            let statistics = match extent.byte_length {
                0 => Statistics::default(),
                _ => {
                    let bytes = self.page_file().read_extent(extent, "statistics")?;
                    decode_statistics(&bytes).map_err(|error| damaged(extent, "statistics", &error))?
                }
            };
            let _ = self.statistics.set(Arc::new(statistics));
        }
        // Set above, by this thread or another.
        Ok(self.statistics.get_or_init(Arc::default))
    }

    pub(super) fn loaded_statistics(&self) -> OnceLock<Arc<Statistics>> {
        self.statistics.clone()
    }

    /// Where the tables' pages are.
    pub fn directory(&self) -> &Directory {
        &self.directory
    }

    /// The record of a table; a table that never had rows has an empty one.
    pub fn table_record(&self, table: TableId) -> StorageResult<Arc<TableRecord>> {
        if let Some(record) = self.directory.record(table, &**self.page_file())? {
            return Ok(record);
        }
        let kind = match self.catalog.node_table_by_id(table) {
            Some(_) => TableKind::Node,
            None => TableKind::Rel,
        };
        Ok(Arc::new(TableRecord::empty(table, kind)))
    }

    /// The index over a node table's primary key; none for a table without one. Reads the table's record only.
    pub fn key_index(&self, table: TableId) -> StorageResult<Option<Arc<KeyIndex>>> {
        if let Some(index) = self.key_indexes.lock().get(&table) {
            return Ok(Some(Arc::clone(index)));
        }
        let Some(schema) = self.catalog.node_table_by_id(table) else { return Ok(None) };
        let columns: Vec<_> = schema.key_columns().map(|column| column.data_type.clone()).collect();
        let Some(layout) = KeyLayout::new(&columns) else { return Ok(None) };
        let index = Arc::new(KeyIndex::open(&*self.table_record(table)?, layout, &schema.name)?);
        self.key_indexes.lock().insert(table, Arc::clone(&index));
        Ok(Some(index))
    }

    /// The file that this state's references point into.
    pub fn page_file(&self) -> &Arc<PageFile> {
        self.files.page_file()
    }

    /// The frames through which pages are read.
    pub fn pool(&self) -> &BufferPool {
        self.files.pool()
    }

    pub(super) fn root(&self) -> &super::page::Root {
        self.hold.root()
    }
}

/// A version of the database that stays as it is for as long as the snapshot lives.
#[derive(Clone)]
pub struct Snapshot(pub(super) Arc<State>);

impl Deref for Snapshot {
    type Target = State;

    fn deref(&self) -> &State {
        &self.0
    }
}

fn damaged(extent: &super::page::ExtentRef, what: &str, error: &crate::catalog::DecodeError) -> StorageError {
    StorageError::Corrupt {
        file: FILE_NAME.to_owned(),
        page: extent.first_page,
        what: what.to_owned(),
        detail: error.to_string(),
    }
}
