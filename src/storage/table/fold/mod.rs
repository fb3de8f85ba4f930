//! What a checkpoint writes: a level of changes becomes pages. Touched row groups get their births and new values,
//! touched lists a small signed run, new keys a tree; everything else stays where it is. Small runs and trees are
//! folded into larger ones in geometric steps, so that a change is written a few times in its life.
//! `specs/delta.md` has the rules.

mod keys;
mod lists;
mod placed;
mod rows;
#[cfg(test)]
mod tests;

use std::collections::BTreeSet;
use std::sync::Arc;

use super::group_page::GroupKind;
use super::open::{existing_page, open_node_table, open_rel_table, widen_statistics};
use super::rel_table::RelTable;
use crate::catalog::{Degrees, Statistics};
use crate::storage::buffer_pool::PoolWorker;
use crate::storage::delta::{Delta, EntryPart, TableDelta};
use crate::storage::directory::{TableChange, TableKind};
use crate::storage::page::WriteBatch;
use crate::storage::state::{Levels, Snapshot};
use crate::storage::{StorageError, StorageResult};
use crate::types::{NODE_GROUP_ROWS, TableId};

use lists::ListFold;
use rows::RowFold;

/// What a level became, for the root switch.
#[derive(Debug, Default)]
pub struct FoldedLevel {
    pub tables: Vec<TableChange>,
    pub statistics: Statistics,
    pub counters: FoldCounters,
}

/// What a checkpoint did.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct FoldCounters {
    /// Row groups that were written again, whole or some columns of them.
    pub row_groups: u64,
    /// Chunks of columns that were written.
    pub chunks: u64,
    /// Patches that were written beside chunks.
    pub patches: u64,
    /// Runs that were added to groups of lists.
    pub runs_added: u64,
    /// Runs that were merged with others.
    pub runs_merged: u64,
    /// Trees of keys that were added or merged.
    pub key_trees: u64,
}

/// Writes `level` into pages of `batch`, as changes to the base that `snapshot` reads. Nothing names them yet.
pub fn fold_level(snapshot: &Snapshot, level: &Arc<Delta>, batch: &WriteBatch) -> StorageResult<FoldedLevel> {
    let levels = Levels { active: Arc::clone(level), ..Levels::default() };
    let view = snapshot.with_levels(levels);
    // A table that was dropped since needs no pages.
    let tables = level.tables().map(|(table, _)| table);
    let tables: Vec<TableId> =
        tables.filter(|table| snapshot.catalog().table_by_id(*table).is_some()).collect();
    fold_tables(&view, level, &tables, batch, &|| false)
}

/// The same for some tables of a level that `view` has on top; no level below it changes them. Ends with
/// `StorageError::Interrupted` once `stop` says so.
pub fn fold_tables(
    view: &Snapshot,
    level: &Delta,
    tables: &[TableId],
    batch: &WriteBatch,
    stop: &dyn Fn() -> bool,
) -> StorageResult<FoldedLevel> {
    let statistics = Statistics::clone(view.base_statistics()?);
    let mut fold = Fold {
        worker: view.pool().worker()?,
        view: view.clone(),
        batch,
        stop,
        folded: FoldedLevel { statistics, ..FoldedLevel::default() },
    };
    for table in tables {
        if let Some(changes) = level.table(*table).filter(|changes| !changes.is_empty()) {
            fold.table(*table, changes)?;
        }
    }
    Ok(fold.folded)
}

struct Fold<'f> {
    /// The base under the level, and what others have changed in other tables.
    view: Snapshot,
    batch: &'f WriteBatch,
    stop: &'f dyn Fn() -> bool,
    worker: PoolWorker,
    folded: FoldedLevel,
}

impl Fold<'_> {
    fn table(&mut self, table: TableId, changes: &TableDelta) -> StorageResult<()> {
        let record = self.view.table_record(table)?;
        let mut change = TableChange::new(&record);
        change.row_bound = change.row_bound.max(changes.row_bound());
        change.row_count = change.row_count.saturating_add_signed(changes.live_rows());
        let statistics = self.folded.statistics.table_mut(table);
        statistics.rows = statistics.rows.saturating_add_signed(changes.live_rows());
        if record.kind == TableKind::Rel {
            let rel = open_rel_table(&self.view, table)?;
            let ends = self.lists(&rel, changes, &mut change)?;
            self.rows(rel.rows(), Some(&rel), changes, &ends, &mut change)?;
        } else {
            let nodes = open_node_table(&self.view, table)?;
            self.rows(&nodes, None, changes, &BTreeSet::new(), &mut change)?;
            self.keys(&nodes, changes, &mut change)?;
        }
        self.folded.tables.push(change);
        Ok(())
    }

    fn check_stop(&self) -> StorageResult<()> {
        if (self.stop)() { Err(StorageError::Interrupted) } else { Ok(()) }
    }

    /// Writes the row groups that changed, and those of relationships whose ends no run implies any more.
    fn rows(
        &mut self,
        table: &super::NodeTable,
        rel: Option<&RelTable>,
        changes: &TableDelta,
        need_ends: &BTreeSet<u64>,
        change: &mut TableChange,
    ) -> StorageResult<()> {
        let kind = if rel.is_some() { GroupKind::Relationships } else { GroupKind::Nodes };
        let touched = changes.groups().iter().filter(|(_, delta)| !delta.is_empty()).map(|(group, _)| group);
        let groups: BTreeSet<u64> = touched.chain(need_ends.iter().copied()).collect();
        for group in groups {
            self.check_stop()?;
            let number = group_number(group)?;
            let old = existing_page(&self.view, change.table, kind, number)?;
            let fold = RowFold { table, rel, kind, group, needs_ends: need_ends.contains(&group) };
            let written = fold.write(old, self.batch, &mut self.worker)?;
            self.folded.counters.row_groups += 1;
            self.folded.counters.chunks += written.statistics.len() as u64 - written.patches;
            self.folded.counters.patches += written.patches;
            let statistics = self.folded.statistics.table_mut(change.table);
            widen_statistics(statistics, table.layout(), &written.statistics);
            for (column, next) in written.serials {
                match change.serials.iter_mut().find(|(known, _)| *known == column) {
                    Some((_, known)) => *known = (*known).max(next),
                    None => change.serials.push((column, next)),
                }
            }
            change.rows.insert(group, written.page);
            change.retired.extend(written.retired);
        }
        let record = self.view.table_record(change.table)?;
        change.serials.retain(|(column, next)| *next > record.next_serial(*column));
        Ok(())
    }

    /// Writes the runs of changed lists; gives the row groups whose relationships need chunks for their ends.
    fn lists(
        &mut self,
        rel: &RelTable,
        changes: &TableDelta,
        change: &mut TableChange,
    ) -> StorageResult<BTreeSet<u64>> {
        let (schema, _) = match self.view.catalog().rel_table_by_id(change.table) {
            Some(found) => found,
            None => return Ok(BTreeSet::new()),
        };
        let pair = schema.tables.iter().find(|pair| pair.id == change.table);
        let Some(pair) = pair else { return Ok(BTreeSet::new()) };
        let (source, target) = (pair.source, pair.target);
        let mut need_ends = BTreeSet::new();
        for kind in [GroupKind::Forward, GroupKind::Backward] {
            let (direction, map, near) = match kind {
                GroupKind::Forward => (super::Direction::Forward, changes.forward(), source),
                _ => (super::Direction::Backward, changes.backward(), target),
            };
            let node_rows = open_node_table(&self.view, near)?.row_bound();
            for (group, delta) in map.iter() {
                self.check_stop()?;
                let Some(part) = delta.parts().folded() else { continue };
                let number = group_number(group)?;
                let old = existing_page(&self.view, change.table, kind, number)?;
                let base = rel.adjacency(direction).group(group)?;
                let same_table = source == target;
                let fold = ListFold { table: change.table, kind, group: number, node_rows, same_table };
                let written = fold.write(base.as_deref(), old, &part, self.batch)?;
                self.folded.counters.runs_added += 1;
                self.folded.counters.runs_merged += written.merged;
                for (first, count) in written.broken {
                    let last = first + u64::from(count).max(1) - 1;
                    need_ends.extend(first / NODE_GROUP_ROWS..=last / NODE_GROUP_ROWS);
                }
                let statistics = self.folded.statistics.table_mut(change.table);
                let statistics = match kind {
                    GroupKind::Forward => &mut statistics.forward,
                    _ => &mut statistics.backward,
                };
                statistics.max_degree = statistics.max_degree.max(u64::from(written.max_degree));
                statistics.degrees.begin(statistics.edges > 0);
                note_degrees(&mut statistics.degrees, &part, group * NODE_GROUP_ROWS);
                statistics.change_entries(delta.entries());
                // A bound: which of the touched nodes had edges before is not counted.
                statistics.nodes_with_edges =
                    (statistics.nodes_with_edges + u64::from(delta.touched().count())).min(node_rows);
                let pages =
                    if kind == GroupKind::Forward { &mut change.forward } else { &mut change.backward };
                pages.insert(group, written.page);
                change.retired.extend(written.retired);
            }
        }
        Ok(need_ends)
    }

    fn keys(
        &mut self,
        table: &super::NodeTable,
        changes: &TableDelta,
        change: &mut TableChange,
    ) -> StorageResult<()> {
        let schema = self.view.catalog().node_table_by_id(change.table).cloned();
        let (Some(part), Some(index), Some(schema)) =
            (changes.keys().folded(), self.view.key_index(change.table)?, schema)
        else {
            return Ok(());
        };
        let read = (table, schema.primary_key.as_slice(), change.row_count);
        let trees = keys::add(&index, &part, read, self.batch, &mut self.worker)?;
        self.folded.counters.key_trees += 1;
        change.key_trees = Some(trees);
        Ok(())
    }
}

/// What changed lists are to how the lengths of all are spread. A list that grew counts as one more.
fn note_degrees(degrees: &mut Degrees, part: &EntryPart, first_node: u64) {
    let (mut node, mut added) = (None, 0i64);
    for entry in part.iter() {
        if node != Some(entry.node) {
            degrees.add_list(u64::try_from(added).unwrap_or(0));
            (node, added) = (Some(entry.node), 0);
        }
        let change = if entry.removed { -1 } else { 1 };
        added += change;
        degrees.change(first_node + u64::from(entry.node), change);
    }
    degrees.add_list(u64::try_from(added).unwrap_or(0));
}

fn group_number(group: u64) -> StorageResult<u32> {
    u32::try_from(group).map_err(|_| StorageError::Limit {
        what: "the number of row groups".to_owned(),
        limit: u64::from(u32::MAX),
    })
}
