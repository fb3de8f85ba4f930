//! What a large transaction has changed in a table that it has for itself, written into pages as a checkpoint would
//! write it. It becomes a step over the transaction's base, so that the level can let go of it.
//!
//! The step names pages that replace others, so it holds only over a base that has the table as it was: that is why
//! the transaction must be alone at the table, and why nothing of the table may wait in a level of others, which a
//! checkpoint could fold meanwhile. `with_table_of` is how a transaction that began before such a checkpoint goes on
//! over what that has written.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::catalog::{Statistics, TableStatistics};
use crate::storage::StorageResult;
use crate::storage::delta::Delta;
use crate::storage::directory::{ExtentSource, IndexTree, TableChange, TableRecord};
use crate::storage::page::{ExtentRef, WriteBatch, extent_runs};
use crate::storage::state::{BaseParts, Snapshot};
use crate::storage::table::fold::{FoldCounters, fold_tables};
use crate::storage::table::group_page::GroupPage;
use crate::types::TableId;

use super::checkpoint::keep_serials_in_step;

/// One table's changes in pages.
pub struct StagedFold {
    /// What it replaces is not listed: that is found where the step comes to stand.
    change: TableChange,
    /// The table's, with the changes.
    statistics: TableStatistics,
    counters: FoldCounters,
}

impl StagedFold {
    /// Writes what `own`, the newest level of `view`, has changed in a table that no other level has changed. None when
    /// there is nothing. `stop` ends it with `StorageError::Interrupted`.
    pub fn write(
        view: &Snapshot,
        own: &Delta,
        table: TableId,
        batch: &WriteBatch,
        stop: &dyn Fn() -> bool,
    ) -> StorageResult<Option<StagedFold>> {
        let mut folded = fold_tables(view, own, &[table], batch, stop)?;
        let Some(mut change) = folded.tables.pop() else { return Ok(None) };
        keep_serials_in_step(view, &mut change)?;
        change.retired.clear();
        let statistics = std::mem::take(folded.statistics.table_mut(table));
        Ok(Some(StagedFold { change, statistics, counters: folded.counters }))
    }

    pub fn table(&self) -> TableId {
        self.change.table
    }

    /// Groups of rows and of lists that were written.
    pub fn groups(&self) -> u64 {
        self.counters.row_groups + self.counters.runs_added
    }

    pub(super) fn statistics(&self) -> &TableStatistics {
        &self.statistics
    }

    /// The change of a record that has the table as it was.
    pub(super) fn over(&self, record: &TableRecord, source: &dyn ExtentSource) -> StorageResult<TableChange> {
        let mut change = self.change.clone();
        for (tree, groups, part) in [
            (&record.rows, &self.change.rows, "rows"),
            (&record.forward, &self.change.forward, "forward"),
            (&record.backward, &self.change.backward, "backward"),
        ] {
            let what = format!("table {}, {part}", record.table);
            for extent in replaced(tree, groups, source, &what)? {
                change.retired.extend(extent_runs(&extent));
            }
        }
        Ok(change)
    }
}

/// Extents that the groups' pages name and those that replace them do not.
fn replaced(
    tree: &IndexTree,
    groups: &BTreeMap<u64, Option<ExtentRef>>,
    source: &dyn ExtentSource,
    what: &str,
) -> StorageResult<Vec<ExtentRef>> {
    let extents = |page: &ExtentRef| {
        let bytes = source.read_extent(page, what)?;
        let decoded = GroupPage::decode(&bytes).map_err(|damage| damage.at(what, page.first_page))?;
        StorageResult::Ok(decoded.extents)
    };
    let mut gone = Vec::new();
    for (group, page) in groups {
        let Some(old) = tree.extent(*group, source, what)? else { continue };
        let kept = page.as_ref().map_or(Ok(Vec::new()), extents)?;
        gone.extend(extents(&old)?.into_iter().filter(|extent| !kept.contains(extent)));
    }
    Ok(gone)
}

impl Snapshot {
    /// The same with one table as a newer state has it, where nothing has changed it since but that a checkpoint has
    /// folded its levels.
    pub fn with_table_of(&self, newer: &Snapshot, table: TableId) -> StorageResult<Snapshot> {
        let paths = Arc::new(self.page_file().begin_batch()?);
        let record = newer.table_record(table)?;
        let directory = self.directory().with_record(&record, &**self.page_file(), &paths)?;
        let mut statistics = Statistics::clone(self.base_statistics()?);
        *statistics.table_mut(table) = newer.base_statistics()?.table(table).cloned().unwrap_or_default();
        let parts = BaseParts {
            catalog: Arc::clone(self.catalog()),
            statistics: Arc::new(statistics).into(),
            directory,
        };
        let own = self.over_own_pages(parts, &[paths]);
        let levels = own.levels().without_tables(&[table]);
        Ok(Snapshot(Arc::new(own.with_levels(levels, own.version()))))
    }
}
