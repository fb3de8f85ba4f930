//! The state of the database at one version: one immutable value behind one pointer. A snapshot is a counted
//! reference to it, so taking one costs the same whatever the size, and what it sees never changes.

use std::any::Any;
use std::collections::BTreeMap;
use std::ops::Deref;
use std::sync::{Arc, OnceLock};

use parking_lot::Mutex;
use rustc_hash::FxHashMap;

use super::buffer_pool::BufferPool;
use super::delta::{Delta, TableDelta};
use super::directory::{Directory, TableKind, TableRecord};
use super::files::Files;
use super::index::{KeyIndex, KeyLayout};
use super::levels::Stack;
use super::memory::MemoryAccountant;
use super::page::{FILE_NAME, GenerationHold, PageFile, WriteBatch};
use super::spill::SpillArea;
use super::{StorageError, StorageResult};
use crate::catalog::{Catalog, Statistics, decode_catalog, decode_statistics};
use crate::types::TableId;

pub use super::levels::Levels;

/// One version of the database: what the root in force describes, and the levels of changes since it was written.
pub struct State {
    base: Arc<Base>,
    stack: Stack,
    /// The levels with what is recent in them; made at the first question.
    merged: OnceLock<Levels>,
    version: u64,
    /// The base's, with the levels' counts; made at the first question.
    statistics: OnceLock<Arc<Statistics>>,
}

/// What pages hold. All states between two roots share it; a transaction that writes pages has one of its own.
struct Base {
    catalog: Arc<Catalog>,
    /// Read at the first question, so that opening a database does not.
    statistics: OnceLock<Arc<Statistics>>,
    directory: Directory,
    /// Made at the first question; they hold no snapshot, or a state would keep itself.
    key_indexes: Mutex<FxHashMap<TableId, Arc<KeyIndex>>>,
    /// What else the tables' views find out and keep.
    shared: Mutex<FxHashMap<TableId, Arc<dyn Any + Send + Sync>>>,
    /// The last statistics that levels have corrected, and by how many rows: near versions share them.
    corrected: Mutex<Option<Corrected>>,
    /// Keeps the pages of this version from being written again.
    hold: Arc<GenerationHold>,
    /// The pages of a transaction's own base, which nothing else names yet.
    pages: Vec<Arc<WriteBatch>>,
    files: Arc<Files>,
}

/// What leads to the pages of a base.
pub struct BaseParts {
    pub catalog: Arc<Catalog>,
    /// Empty where the root names them and nobody has read them yet.
    pub statistics: OnceLock<Arc<Statistics>>,
    pub directory: Directory,
}

type Corrected = (BTreeMap<TableId, i64>, Arc<Statistics>);

/// Corrected statistics serve until a table differs from them by one row in this many.
const STATISTICS_STEP: u64 = 64;

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
        let parts = BaseParts { catalog: Arc::new(catalog), statistics: OnceLock::new(), directory };
        Ok(State::over(files, Arc::new(hold), parts, Vec::new()))
    }

    /// The state over the root that was just put in force, which the caller made from these values.
    pub(super) fn over_new_root(files: &Arc<Files>, parts: BaseParts) -> State {
        let hold = files.page_file().hold();
        State::over(Arc::clone(files), Arc::new(hold), parts, Vec::new())
    }

    /// The state of a transaction that has written pages, which `pages` keep; its levels are those of this state.
    pub(super) fn over_own_pages(&self, parts: BaseParts, pages: &[Arc<WriteBatch>]) -> State {
        let known = self.base.pages.iter().chain(pages).cloned().collect();
        let own = State::over(Arc::clone(&self.base.files), Arc::clone(&self.base.hold), parts, known);
        State { stack: self.stack(), version: self.version, ..own }
    }

    fn over(
        files: Arc<Files>,
        hold: Arc<GenerationHold>,
        parts: BaseParts,
        pages: Vec<Arc<WriteBatch>>,
    ) -> State {
        let BaseParts { catalog, statistics, directory } = parts;
        let version = hold.root().commit_version;
        let base = Base {
            catalog,
            statistics,
            directory,
            key_indexes: Mutex::default(),
            shared: Mutex::default(),
            corrected: Mutex::default(),
            hold,
            pages,
            files,
        };
        State {
            base: Arc::new(base),
            stack: Stack::default(),
            merged: OnceLock::new(),
            version,
            statistics: OnceLock::new(),
        }
    }

    /// The same base under other levels, as version `version`: a commit, a freeze, or what is left of them after a
    /// checkpoint has switched the root.
    pub fn with_levels(&self, levels: Levels, version: u64) -> State {
        self.with_stack(Stack::of(levels), version)
    }

    /// The same with levels that may have recent commits beside them.
    pub(super) fn with_stack(&self, stack: Stack, version: u64) -> State {
        let base = Arc::clone(&self.base);
        State { base, stack, merged: OnceLock::new(), version, statistics: OnceLock::new() }
    }

    /// The changes as they stand, for one more commit: what somebody has merged for reading stays merged.
    pub(super) fn stack(&self) -> Stack {
        match self.merged.get() {
            Some(merged) => Stack::of(merged.clone()),
            None => self.stack.clone(),
        }
    }

    /// The state that recovery finds: the base and what the log has beyond it. Changes of tables that the catalog no
    /// longer has are left out.
    pub(super) fn recovered(&self, mut changes: Delta, version: u64) -> State {
        let known = |table| {
            self.base.catalog.node_table_by_id(table).is_some()
                || self.base.catalog.rel_table_by_id(table).is_some()
        };
        let dropped: Vec<TableId> = changes.tables().map(|(id, _)| id).filter(|id| !known(*id)).collect();
        dropped.into_iter().for_each(|table| changes.remove_table(table));
        self.with_levels(Levels { active: Arc::new(changes), ..Levels::default() }, version)
    }

    /// What a transaction sees that began with this state and has made these changes.
    pub fn with_own(&self, own: Arc<Delta>) -> State {
        self.with_stack(self.stack().with_own(own), self.version)
    }

    /// The state of a checkpoint's beginning: what is active becomes frozen, and nothing is active.
    pub fn frozen(&self) -> State {
        let levels = Levels { frozen: Some(Arc::clone(&self.levels().active)), ..Levels::default() };
        self.with_levels(levels, self.version)
    }

    /// The number of the commit that made this state.
    pub fn version(&self) -> u64 {
        self.version
    }

    /// The changes since the base was written. The first who asks merges what recent commits have changed.
    pub fn levels(&self) -> &Levels {
        match self.stack.has_recent() {
            true => self.merged.get_or_init(|| self.stack.merged()),
            false => self.stack.settled(),
        }
    }

    /// What changed in a table, oldest first, recent commits for themselves: for whoever asks each of them for little.
    pub fn changes_of(&self, table: TableId) -> Vec<Arc<TableDelta>> {
        match self.merged.get() {
            Some(merged) => merged.of_table(table),
            None => self.stack.of_table(table),
        }
    }

    /// The memory of all changes, about.
    pub fn change_bytes(&self) -> u64 {
        self.stack.bytes()
    }

    /// The memory of what was committed since the last freeze, about.
    pub(super) fn active_bytes(&self) -> u64 {
        self.stack.active_bytes()
    }

    /// Whether the base is all there is.
    pub fn has_no_changes(&self) -> bool {
        self.stack.is_empty()
    }

    /// Whether both read the same root.
    pub fn same_base(&self, other: &State) -> bool {
        Arc::ptr_eq(&self.base, &other.base)
    }

    /// The generation of the root that this state reads.
    pub fn generation(&self) -> u64 {
        self.base.hold.generation()
    }

    /// The schemas.
    pub fn catalog(&self) -> &Arc<Catalog> {
        &self.base.catalog
    }

    /// The statistics; the first call reads them.
    pub fn statistics(&self) -> StorageResult<&Arc<Statistics>> {
        if let Some(known) = self.statistics.get() {
            return Ok(known);
        }
        let base = self.base_statistics()?;
        let corrected = if self.has_no_changes() { Arc::clone(base) } else { self.corrected(base) };
        Ok(self.statistics.get_or_init(|| corrected))
    }

    /// The base's statistics with the numbers of rows and edges that the levels make of them.
    fn corrected(&self, base: &Arc<Statistics>) -> Arc<Statistics> {
        let mut changes: BTreeMap<TableId, i64> = BTreeMap::new();
        self.stack.each(&mut |level| {
            for (id, table) in level.tables() {
                *changes.entry(id).or_default() += table.live_rows();
            }
        });
        let mut last = self.base.corrected.lock();
        if let Some((known, statistics)) = &*last
            && known.len() == changes.len()
            && changes.iter().all(|(id, change)| {
                let off = known.get(id).map_or(u64::MAX, |known| known.abs_diff(*change));
                off <= statistics.rows(*id) / STATISTICS_STEP
            })
        {
            return Arc::clone(statistics);
        }
        let mut statistics = Statistics::clone(base);
        for (id, change) in
            changes.iter().map(|(id, change)| (*id, *change)).filter(|(_, change)| *change != 0)
        {
            let table = statistics.table_mut(id);
            table.rows = table.rows.saturating_add_signed(change);
            if self.base.catalog.node_table_by_id(id).is_none() {
                for direction in [&mut table.forward, &mut table.backward] {
                    direction.change_entries(change);
                    direction.nodes_with_edges = direction.nodes_with_edges.max(u64::from(table.rows > 0));
                    direction.max_degree = direction.max_degree.max(u64::from(table.rows > 0));
                }
            }
        }
        let statistics = Arc::new(statistics);
        *last = Some((changes, Arc::clone(&statistics)));
        statistics
    }

    /// The statistics as the last checkpoint or load left them.
    pub fn base_statistics(&self) -> StorageResult<&Arc<Statistics>> {
        let base = &*self.base;
        if base.statistics.get().is_none() {
            let extent = &base.hold.root().statistics;
            let statistics = match extent.byte_length {
                0 => Statistics::default(),
                _ => {
                    let bytes = self.page_file().read_extent(extent, "statistics")?;
                    decode_statistics(&bytes).map_err(|error| damaged(extent, "statistics", &error))?
                }
            };
            let _ = base.statistics.set(Arc::new(statistics));
        }
        // Set above, by this thread or another.
        Ok(base.statistics.get_or_init(Arc::default))
    }

    pub(super) fn loaded_statistics(&self) -> OnceLock<Arc<Statistics>> {
        self.base.statistics.clone()
    }

    /// Where the tables' pages are.
    pub fn directory(&self) -> &Directory {
        &self.base.directory
    }

    /// The record of a table; a table that never had rows has an empty one.
    pub fn table_record(&self, table: TableId) -> StorageResult<Arc<TableRecord>> {
        if let Some(record) = self.base.directory.record(table, &**self.page_file())? {
            return Ok(record);
        }
        let kind = match self.base.catalog.node_table_by_id(table) {
            Some(_) => TableKind::Node,
            None => TableKind::Rel,
        };
        Ok(Arc::new(TableRecord::empty(table, kind)))
    }

    /// The index over a node table's primary key as the base has it; none for a table without one. Reads the table's
    /// record only.
    pub fn key_index(&self, table: TableId) -> StorageResult<Option<Arc<KeyIndex>>> {
        if let Some(index) = self.base.key_indexes.lock().get(&table) {
            return Ok(Some(Arc::clone(index)));
        }
        let Some(schema) = self.base.catalog.node_table_by_id(table) else { return Ok(None) };
        let columns: Vec<_> = schema.key_columns().map(|column| column.data_type.clone()).collect();
        let Some(layout) = KeyLayout::new(&columns) else { return Ok(None) };
        let index = Arc::new(KeyIndex::open(&*self.table_record(table)?, layout, &schema.name)?);
        self.base.key_indexes.lock().insert(table, Arc::clone(&index));
        Ok(Some(index))
    }

    /// What the views of a table find out about the base and share; empty at first. It holds no snapshot. All callers
    /// ask for the same type.
    pub fn shared<T: Any + Send + Sync + Default>(&self, table: TableId) -> Arc<T> {
        let mut shared = self.base.shared.lock();
        let known = shared.entry(table).or_insert_with(|| Arc::new(T::default()));
        Arc::clone(known).downcast().unwrap_or_default()
    }

    /// The file that this state's references point into.
    pub fn page_file(&self) -> &Arc<PageFile> {
        self.base.files.page_file()
    }

    /// The frames through which pages are read.
    pub fn pool(&self) -> &BufferPool {
        self.base.files.pool()
    }

    /// The account of what is held beside the pool.
    pub fn memory(&self) -> &MemoryAccountant {
        self.base.files.memory()
    }

    /// Where operators put rows aside.
    pub fn spill(&self) -> &Arc<SpillArea> {
        self.base.files.spill()
    }

    pub(super) fn root(&self) -> &super::page::Root {
        self.base.hold.root()
    }
}

/// A version of the database that stays as it is for as long as the snapshot lives.
#[derive(Clone)]
pub struct Snapshot(pub(super) Arc<State>);

impl Snapshot {
    /// The same base under other levels.
    pub fn with_levels(&self, levels: Levels) -> Snapshot {
        Snapshot(Arc::new(self.0.with_levels(levels, self.version())))
    }

    /// Whether both are the same version over the same pages.
    pub fn is_same(&self, other: &Snapshot) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }

    /// A transaction's own view: the snapshot with the changes that it has made so far.
    pub fn with_own(&self, own: Arc<Delta>) -> Snapshot {
        Snapshot(Arc::new(self.0.with_own(own)))
    }
}

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
