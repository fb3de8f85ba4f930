//! A row group with births, new values and deletions becomes a new version of its page. Chunks of columns without
//! new values stay as they are while the group has no births.

use std::sync::Arc;

use super::placed::write_page;
use crate::storage::StorageResult;
use crate::storage::buffer_pool::{Admission, PoolWorker, try_bytes_as};
use crate::storage::column::bytes::Damage;
use crate::storage::column::chunk::ChunkNulls;
use crate::storage::column::chunk_reader::append_rows;
use crate::storage::column::chunk_writer::{WriteOptions, write_chunk};
use crate::storage::column::predicate::or_bits;
use crate::storage::column::statistics::{Bound, ChunkStatistics};
use crate::storage::page::{ExtentRef, PageRun, extent_runs};
use crate::storage::table::group_levels::GroupLevels;
use crate::storage::table::group_page::{ExtentSink, GroupKind, GroupPage, SegmentPlacer};
use crate::storage::table::node_table::{NodeGroup, NodeTable};
use crate::storage::table::rel_table::RelTable;
use crate::types::{ColumnId, DST_COLUMN, DataType, NODE_GROUP_ROWS, SRC_COLUMN};
use crate::vector::{ValueVector, VectorBuffer, ones_below};

/// One group of rows to be written.
pub(super) struct RowFold<'f> {
    /// The table under the level that is folded.
    pub table: &'f NodeTable,
    /// The same, if its rows are relationships.
    pub rel: Option<&'f RelTable>,
    pub kind: GroupKind,
    pub group: u64,
    /// Whether the ends of all relationships need chunks from now on.
    pub needs_ends: bool,
}

/// What became of it.
pub(super) struct FoldedRows {
    /// None when no row is left.
    pub page: Option<ExtentRef>,
    pub retired: Vec<PageRun>,
    /// Of the chunks that were written.
    pub statistics: Vec<(ColumnId, ChunkStatistics)>,
    /// SERIAL columns and the value after their greatest one.
    pub serials: Vec<(ColumnId, u64)>,
}

impl RowFold<'_> {
    /// Writes the group; `old` is its page, if it has one.
    pub fn write(
        &self,
        old: Option<GroupPage>,
        sink: &dyn ExtentSink,
        worker: &mut PoolWorker,
    ) -> StorageResult<FoldedRows> {
        let base = self.table.group(usize::try_from(self.group).unwrap_or(usize::MAX))?;
        let levels = self.table.group_levels(self.group);
        let rows = base.rows().max(levels.born_bound()) as usize;
        let alive = self.alive(&base, &levels, rows)?;
        let old_extents = old.as_ref().map(|page| page.extents.clone()).unwrap_or_default();
        if alive.iter().all(|word| *word == 0) {
            let retired = old_extents.iter().flat_map(extent_runs).collect();
            return Ok(FoldedRows { page: None, retired, statistics: Vec::new(), serials: Vec::new() });
        }
        let all = levels.born_bound() > 0;
        let mut page = match old {
            Some(page) if !all => page,
            _ => self.empty_page(rows)?,
        };
        page.row_count = rows as u32;
        let mut placer = SegmentPlacer::new(sink, std::mem::take(&mut page.extents));
        page.deletions = match deleted_words(&alive, rows) {
            Some(bytes) => Some(placer.place(bytes)?),
            None => None,
        };
        let mut folded =
            FoldedRows { page: None, retired: Vec::new(), statistics: Vec::new(), serials: Vec::new() };
        for (column, data_type) in self.columns(&levels, all) {
            let values = self.column(&base, &levels, (column, &data_type), rows, &alive, worker)?;
            let chunk = write_chunk(&values.vector(), &data_type, rows, &WriteOptions::default())?;
            if data_type == DataType::Serial
                && let Some((_, Bound::Integer(last))) = &chunk.statistics.range
                && let Ok(last) = u64::try_from(*last)
            {
                folded.serials.push((column, last.saturating_add(1)));
            }
            folded.statistics.push((column, chunk.statistics.clone()));
            page.columns.retain(|(known, _)| *known != column);
            if !matches!(chunk.nulls, ChunkNulls::All) {
                page.columns.push((column, chunk.try_map(&mut |bytes| placer.place(bytes))?));
            }
        }
        page.columns.sort_unstable_by_key(|(column, _)| *column);
        page.extents = placer.finish()?;
        let written = write_page(page, &old_extents, sink)?;
        (folded.page, folded.retired) = (Some(written.page), written.retired);
        Ok(folded)
    }

    fn empty_page(&self, rows: usize) -> StorageResult<GroupPage> {
        Ok(GroupPage {
            kind: self.kind,
            table: self.table.id(),
            group: super::group_number(self.group)?,
            row_count: rows as u32,
            extents: Vec::new(),
            deletions: None,
            columns: Vec::new(),
            runs: Vec::new(),
        })
    }

    /// The columns whose chunks are written: all, or those with new values.
    fn columns(&self, levels: &GroupLevels, all: bool) -> Vec<(ColumnId, DataType)> {
        let own = self.table.layout().columns.iter();
        let own = own.filter(|column| all || levels.is_patched(column.id));
        let mut columns: Vec<(ColumnId, DataType)> =
            own.map(|column| (column.id, column.data_type.clone())).collect();
        if self.rel.is_some() && (all || self.needs_ends) {
            columns.extend([SRC_COLUMN, DST_COLUMN].map(|column| (column, DataType::UInt64)));
        }
        columns
    }

    /// One bit per row that exists.
    fn alive(&self, base: &NodeGroup, levels: &GroupLevels, rows: usize) -> StorageResult<Vec<u64>> {
        let mut alive: Vec<u64> = (0..rows.div_ceil(64))
            .map(|word| ones_below((base.rows() as usize).saturating_sub(word * 64)))
            .collect();
        if let Some(deletions) = base.deletions() {
            let lender = self.table.lender(Admission::Private);
            let guard = lender.pool.lend(deletions, 0..deletions.len(), lender.admission)?;
            let words: &[u64] =
                try_bytes_as(&guard).ok_or_else(|| base.error(Damage("deletions are cut short")))?;
            let mut deleted = vec![0; alive.len()];
            or_bits(words, 0, base.rows() as usize, &mut deleted, 0);
            alive.iter_mut().zip(deleted).for_each(|(word, deleted)| *word &= !deleted);
        }
        for run in levels.births(&(0..rows as u32)) {
            for row in run.first_row as usize..run.first_row as usize + run.positions.len() {
                alive[row / 64] |= 1 << (row % 64);
            }
        }
        levels.without_deleted(&(0..rows), &mut alive);
        Ok(alive)
    }

    /// All values of a column: the base's, births over them, new values over both.
    fn column(
        &self,
        base: &Arc<NodeGroup>,
        levels: &GroupLevels,
        (column, data_type): (ColumnId, &DataType),
        rows: usize,
        alive: &[u64],
        worker: &mut PoolWorker,
    ) -> StorageResult<VectorBuffer> {
        let below = self.base_values(base, levels, (column, data_type), alive, worker)?;
        let (below, base_rows) = (below.vector(), base.rows() as usize);
        let mut values = VectorBuffer::new(data_type.clone());
        let fill = |values: &mut VectorBuffer, from: usize, to: usize| {
            let stored = from.min(base_rows)..to.min(base_rows);
            values.append_range(&below, stored.start, stored.len());
            push_missing(values, column, to - from - stored.len());
        };
        let mut at = 0;
        for run in levels.births(&(0..rows as u32)) {
            let (first, count) = (run.first_row as usize, run.positions.len());
            fill(&mut values, at, first);
            let born = run.vector(column, run.positions.start);
            match born.is_all_null() {
                true => values.push_nulls(count),
                false => values.append_range(&born, 0, count),
            }
            at = first + count;
        }
        fill(&mut values, at, rows);
        let Some(patch) = levels.column_patch(column, &(0..rows as u32)) else { return Ok(values) };
        let mut patched = VectorBuffer::new(data_type.clone());
        patch.apply(&values.vector(), &(0..rows), &mut patched);
        Ok(patched)
    }

    fn base_values(
        &self,
        base: &Arc<NodeGroup>,
        levels: &GroupLevels,
        (column, data_type): (ColumnId, &DataType),
        alive: &[u64],
        worker: &mut PoolWorker,
    ) -> StorageResult<VectorBuffer> {
        let rows = base.rows() as usize;
        let mut values = VectorBuffer::new(data_type.clone());
        match (base.chunk(column), self.rel) {
            (Some(chunk), _) => {
                let lender = self.table.lender(Admission::Private);
                append_rows(&chunk.chunk, data_type, 0..rows, &lender, &mut values)
                    .map_err(|error| chunk.error(error))?;
            }
            (None, Some(rel)) if column == SRC_COLUMN || column == DST_COLUMN => {
                // Implied by a run, for rows that exist.
                let first = self.group * NODE_GROUP_ROWS;
                let exists = |row: usize| alive.get(row / 64).is_some_and(|word| word >> (row % 64) & 1 == 1);
                let stored = |row: &usize| exists(*row) && !levels.is_born(*row as u16);
                let wanted: Vec<usize> = (0..rows).filter(stored).collect();
                let ids: Vec<u64> = wanted.iter().map(|row| first + *row as u64).collect();
                let mut found = VectorBuffer::new(DataType::UInt64);
                rel.gather(column, &ids, worker, &mut found)?;
                let found: ValueVector<'_> = found.vector();
                let mut at = 0;
                for (position, row) in wanted.iter().enumerate() {
                    push_missing(&mut values, column, row - at);
                    values.append_range(&found, position, 1);
                    at = row + 1;
                }
                push_missing(&mut values, column, rows - at);
            }
            (None, _) => values.push_nulls(rows),
        }
        Ok(values)
    }
}

/// Values of rows that do not exist. Ends are never null, so that nobody has to ask.
fn push_missing(values: &mut VectorBuffer, column: ColumnId, count: usize) {
    match column {
        SRC_COLUMN | DST_COLUMN => values.extend(&vec![0u64; count]),
        _ => values.push_nulls(count),
    }
}

/// The bitmap of deleted rows; none when there is none.
fn deleted_words(alive: &[u64], rows: usize) -> Option<Vec<u8>> {
    let words = alive.iter().enumerate().map(|(index, word)| !word & ones_below(rows - index * 64));
    let words: Vec<u64> = words.collect();
    words.iter().any(|word| *word != 0).then(|| words.iter().flat_map(|word| word.to_le_bytes()).collect())
}
