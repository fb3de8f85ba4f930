//! A base of a transaction's own. What definitions and bulk loads do to the base is kept as steps that stand over any
//! base: a load's pages are written once, into a batch of its own, and a step only says what they are. The transaction
//! reads its steps over the base that it began with; its commit applies them to the newest one, which a checkpoint or
//! loads of other tables may have made meanwhile.

use std::collections::BTreeSet;
use std::sync::{Arc, OnceLock};

use crate::catalog::{Catalog, Statistics};
use crate::storage::directory::{Directory, ExtentSource, KeyTreeRef, TableChange, TableKind, TableRecord};
use crate::storage::index::{KeyIndex, KeyLayout, TREES_MAX};
use crate::storage::page::{ExtentRef, PageFile, PageRun, WriteBatch, extent_runs};
use crate::storage::state::{BaseParts, Snapshot, State};
use crate::storage::table::TableLayout;
use crate::storage::table::bulk::{StagedGroup, StagedRels, StagedRows, join_runs};
use crate::storage::table::group_page::GroupPage;
use crate::storage::{StorageError, StorageResult};
use crate::types::{ColumnId, TableId};

use super::staged_fold::StagedFold;

/// One thing that a transaction does to the base.
pub enum BaseStep {
    /// The catalog as it is afterwards, and the tables that are gone.
    Define { catalog: Arc<Catalog>, dropped: Vec<TableId> },
    /// Rows in groups of their own, whose pages the batch has.
    Load { load: StagedLoad, pages: Arc<WriteBatch> },
    /// Changes of a table that nobody else changes meanwhile, whose pages the batch has.
    Fold { fold: Box<StagedFold>, pages: Arc<WriteBatch> },
}

impl BaseStep {
    /// The batch of the step's own pages.
    pub(super) fn pages(&self) -> Option<&Arc<WriteBatch>> {
        match self {
            BaseStep::Define { .. } => None,
            BaseStep::Load { pages, .. } | BaseStep::Fold { pages, .. } => Some(pages),
        }
    }
}

/// What a bulk load has written. It holds over any base of the table: row groups are new, adjacency groups have the
/// load's run alone, and the tree has the load's keys alone.
pub struct StagedLoad {
    pub table: TableId,
    pub rows: LoadedRows,
    /// None for relationships and where there is no key.
    pub keys: Vec<KeyTreeRef>,
    /// SERIAL columns whose next value changed.
    pub serials: Vec<(ColumnId, u64)>,
}

/// The rows of a load.
pub enum LoadedRows {
    Nodes(StagedRows),
    Rels(StagedRels),
}

impl LoadedRows {
    /// How many there are.
    pub fn count(&self) -> u64 {
        match self {
            LoadedRows::Nodes(rows) => rows.row_count,
            LoadedRows::Rels(rels) => rels.rows.row_count,
        }
    }
}

/// A base after some steps. Its new directory pages are in the batch that was given.
pub(super) struct Applied {
    pub parts: BaseParts,
    pub has_new_catalog: bool,
    pub has_new_statistics: bool,
    pub dropped: Vec<TableId>,
    /// Pages that it does not reach, of the base before or of the steps' batches.
    pub retired: Vec<PageRun>,
}

/// Applies steps to the base of a state, in order. Only at the `last` time, for the commit, key trees are folded where
/// loads have made too many: a later step may name those that are there.
pub(super) fn apply(
    base: &State,
    steps: &[Arc<BaseStep>],
    paths: &WriteBatch,
    last: bool,
) -> StorageResult<Applied> {
    let mut work = Application {
        base,
        source: base.page_file(),
        paths,
        catalog: Arc::clone(base.catalog()),
        statistics: None,
        directory: base.directory().clone(),
        dropped: Vec::new(),
        retired: Vec::new(),
    };
    for step in steps {
        let before = work.directory.top();
        match &**step {
            BaseStep::Define { catalog, dropped } => work.define(catalog, dropped)?,
            BaseStep::Load { load, .. } => work.load(load)?,
            BaseStep::Fold { fold, .. } => work.fold(fold)?,
        }
        work.retire_top(before);
    }
    if last {
        let before = work.directory.top();
        work.fold_key_trees(steps)?;
        work.retire_top(before);
    }
    let has_new_catalog = !Arc::ptr_eq(&work.catalog, base.catalog());
    let has_new_statistics = work.statistics.is_some();
    let statistics = match work.statistics {
        Some(statistics) => OnceLock::from(Arc::new(statistics)),
        None => base.loaded_statistics(),
    };
    let parts = BaseParts { catalog: work.catalog, statistics, directory: work.directory };
    let (dropped, retired) = (work.dropped, work.retired);
    Ok(Applied { parts, has_new_catalog, has_new_statistics, dropped, retired })
}

impl Snapshot {
    /// What a transaction reads that has done one more step.
    pub fn with_step(&self, step: &Arc<BaseStep>) -> StorageResult<Snapshot> {
        let paths = Arc::new(self.page_file().begin_batch()?);
        let applied = apply(self, std::slice::from_ref(step), &paths, false)?;
        let mut pages: Vec<Arc<WriteBatch>> = Vec::new();
        // A definition alone writes nothing before its commit.
        pages.extend(Some(paths).filter(|paths| paths.page_count() > 0));
        pages.extend(step.pages().cloned());
        let own = self.over_own_pages(applied.parts, &pages);
        let levels = own.levels().without_tables(&applied.dropped);
        Ok(Snapshot(Arc::new(own.with_levels(levels, own.version()))))
    }
}

struct Application<'a> {
    base: &'a State,
    source: &'a PageFile,
    paths: &'a WriteBatch,
    catalog: Arc<Catalog>,
    /// The base's, once something changed.
    statistics: Option<Statistics>,
    directory: Directory,
    dropped: Vec<TableId>,
    retired: Vec<PageRun>,
}

impl Application<'_> {
    fn define(&mut self, catalog: &Arc<Catalog>, dropped: &[TableId]) -> StorageResult<()> {
        self.catalog = Arc::clone(catalog);
        if !dropped.is_empty() {
            let statistics = self.statistics()?;
            dropped.iter().for_each(|table| statistics.remove_table(*table));
            self.change_directory(&[], dropped)?;
            self.dropped.extend(dropped);
        }
        Ok(())
    }

    fn load(&mut self, load: &StagedLoad) -> StorageResult<()> {
        let (layout, kind, _) = self.schema(load.table)?;
        let record = self.record(load.table, kind)?;
        let mut change = TableChange::new(&record);
        let statistics = self.statistics()?.table_mut(load.table);
        match &load.rows {
            LoadedRows::Nodes(rows) => rows.apply(&layout, &mut change, statistics),
            LoadedRows::Rels(rels) => {
                rels.apply(&layout, &mut change, statistics);
                for group in &rels.forward {
                    let page = self.join(&record, &record.forward, "forward", group)?;
                    change.forward.insert(u64::from(group.group), Some(page));
                }
                for group in &rels.backward {
                    let page = self.join(&record, &record.backward, "backward", group)?;
                    change.backward.insert(u64::from(group.group), Some(page));
                }
            }
        }
        if !load.keys.is_empty() {
            change.key_trees = Some(record.key_trees.iter().chain(&load.keys).cloned().collect());
        }
        for (column, next) in &load.serials {
            change.serials.push((*column, (*next).max(record.next_serial(*column))));
        }
        self.change_directory(&[change], &[])
    }

    fn fold(&mut self, fold: &StagedFold) -> StorageResult<()> {
        let (_, kind, _) = self.schema(fold.table())?;
        let record = self.record(fold.table(), kind)?;
        let change = fold.over(&record, self.source)?;
        self.statistics()?.table_mut(fold.table()).clone_from(fold.statistics());
        self.change_directory(&[change], &[])
    }

    fn record(&self, table: TableId, kind: TableKind) -> StorageResult<Arc<TableRecord>> {
        let record = self.directory.record(table, self.source)?;
        Ok(record.unwrap_or_else(|| Arc::new(TableRecord::empty(table, kind))))
    }

    /// The top of the directory that a step has replaced; that of the base is found by whoever compares the roots.
    fn retire_top(&mut self, before: ExtentRef) {
        if before != self.directory.top() && before != self.base.directory().top() {
            self.retired.extend(extent_runs(&before));
        }
    }

    /// Layout, kind and key of a table as the steps so far have it.
    fn schema(&self, table: TableId) -> StorageResult<(Arc<TableLayout>, TableKind, Option<KeyLayout>)> {
        if let Some(nodes) = self.catalog.node_table_by_id(table) {
            let types: Vec<_> = nodes.key_columns().map(|column| column.data_type.clone()).collect();
            let layout = TableLayout::new(table, &nodes.name, &nodes.columns);
            return Ok((layout, TableKind::Node, KeyLayout::new(&types)));
        }
        let (rels, _) = self.catalog.rel_table_by_id(table).ok_or_else(|| StorageError::Limit {
            what: format!("table {table}, which was dropped while rows were loaded into it"),
            limit: 0,
        })?;
        Ok((TableLayout::new(table, &rels.name, &rels.columns), TableKind::Rel, None))
    }

    fn statistics(&mut self) -> StorageResult<&mut Statistics> {
        if self.statistics.is_none() {
            self.statistics = Some(Statistics::clone(self.base.base_statistics()?));
        }
        // Filled above.
        Ok(self.statistics.get_or_insert_with(Statistics::default))
    }

    fn change_directory(&mut self, changes: &[TableChange], dropped: &[TableId]) -> StorageResult<()> {
        let retired = &mut self.retired;
        self.directory = self.directory.with_changes(changes, dropped, self.source, self.paths, retired)?;
        Ok(())
    }

    /// The page of an adjacency group with the load's run behind those that it has.
    fn join(
        &mut self,
        record: &TableRecord,
        tree: &crate::storage::directory::IndexTree,
        part: &str,
        staged: &StagedGroup,
    ) -> StorageResult<ExtentRef> {
        let what = format!("table {}, {part}", record.table);
        let Some(known) = tree.extent(u64::from(staged.group), self.source, &what)? else {
            return Ok(staged.page);
        };
        let read = |extent: &ExtentRef| {
            let bytes = ExtentSource::read_extent(self.source, extent, &what)?;
            GroupPage::decode(&bytes).map_err(|damage| damage.at(&what, extent.first_page))
        };
        let (mut page, newer) = (read(&known)?, read(&staged.page)?);
        join_runs(&mut page, newer)?;
        let joined = self.paths.write_extent(&page.encode())?;
        self.retired.extend(extent_runs(&staged.page));
        Ok(joined)
    }

    /// Makes one tree of a table's key trees where the loads have made too many.
    fn fold_key_trees(&mut self, steps: &[Arc<BaseStep>]) -> StorageResult<()> {
        let loaded = steps.iter().filter_map(|step| match &**step {
            BaseStep::Load { load, .. } if !load.keys.is_empty() => Some(load.table),
            _ => None,
        });
        let tables: BTreeSet<TableId> = loaded.filter(|table| !self.dropped.contains(table)).collect();
        for table in tables {
            let (layout, kind, key) = self.schema(table)?;
            let record = self.record(table, kind)?;
            let Some(key) = key.filter(|_| record.key_trees.len() > TREES_MAX) else { continue };
            let mut worker = self.base.pool().worker()?;
            let folded =
                KeyIndex::open(&record, key, &layout.name)?.folded(self.paths, &mut worker.cursor())?;
            let change = TableChange { key_trees: Some(folded), ..TableChange::new(&record) };
            self.change_directory(&[change], &[])?;
        }
        Ok(())
    }
}
