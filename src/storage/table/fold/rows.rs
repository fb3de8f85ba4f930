//! A row group with births, new values and deletions becomes a new version of its page. Chunks of columns without
//! new values stay as they are while the group has no births.

use std::sync::Arc;

use super::placed::write_page;
use crate::catalog::picked_rows;
use crate::storage::StorageResult;
use crate::storage::buffer_pool::{Admission, PoolWorker, try_bytes_as};
use crate::storage::column::bytes::Damage;
use crate::storage::column::chunk::ChunkNulls;
use crate::storage::column::chunk_writer::{WriteOptions, write_chunk};
use crate::storage::column::predicate::or_bits;
use crate::storage::column::sampled::sample_of;
use crate::storage::column::span::append_in_pieces;
use crate::storage::column::statistics::{Bound, ChunkStatistics};
use crate::storage::page::{ExtentRef, PageRun, extent_runs};
use crate::storage::table::group_levels::{BirthRun, ColumnPatch, GroupLevels};
use crate::storage::table::group_page::{ExtentSink, GroupKind, GroupPage, SegmentPlacer};
use crate::storage::table::node_table::{NodeGroup, NodeTable};
use crate::storage::table::patch_segment;
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

/// What is known of the group before its columns are read.
struct Rows {
    base: Arc<NodeGroup>,
    levels: GroupLevels,
    births: Vec<BirthRun>,
    /// Those of the base and the births, deleted ones included.
    count: usize,
    /// One bit per row that exists.
    alive: Vec<u64>,
}

/// What became of it.
#[derive(Default)]
pub(super) struct FoldedRows {
    /// None when no row is left.
    pub page: Option<ExtentRef>,
    pub retired: Vec<PageRun>,
    /// Of the chunks and patches that were written.
    pub statistics: Vec<(ColumnId, ChunkStatistics)>,
    /// How many of them were patches.
    pub patches: u64,
    /// SERIAL columns and the value after their greatest one.
    pub serials: Vec<(ColumnId, u64)>,
}

impl FoldedRows {
    /// Notes what was written of a column.
    fn note(&mut self, column: ColumnId, data_type: &DataType, statistics: ChunkStatistics) {
        if *data_type == DataType::Serial
            && let Some((_, Bound::Integer(last))) = &statistics.range
            && let Ok(last) = u64::try_from(*last)
        {
            self.serials.push((column, last.saturating_add(1)));
        }
        self.statistics.push((column, statistics));
    }
}

impl RowFold<'_> {
    /// Writes the group; `old` is its page, if it has one.
    pub fn write(
        &self,
        old: Option<GroupPage>,
        sink: &dyn ExtentSink,
        worker: &mut PoolWorker,
    ) -> StorageResult<FoldedRows> {
        let rows = self.rows()?;
        let old_extents = old.as_ref().map(|page| page.extents.clone()).unwrap_or_default();
        if rows.alive.iter().all(|word| *word == 0) {
            let retired = old_extents.iter().flat_map(extent_runs).collect();
            return Ok(FoldedRows { retired, ..FoldedRows::default() });
        }
        let all = !rows.births.is_empty();
        let mut page = match old {
            Some(page) if !all => page,
            _ => GroupPage::empty(self.kind, self.table.id(), super::group_number(self.group)?),
        };
        page.row_count = rows.count as u32;
        let mut placer = SegmentPlacer::new(sink, std::mem::take(&mut page.extents));
        page.deletions = match deleted_words(&rows.alive, rows.count) {
            Some(bytes) => Some(placer.place(bytes)?),
            None => None,
        };
        let mut folded = FoldedRows::default();
        for (column, data_type) in self.columns(&rows.levels, all) {
            let known = page.columns.iter().position(|(known, _)| *known == column);
            if let Some(at) = known.filter(|_| !all)
                && let Some((bytes, statistics)) = self.small_patch(&rows, (column, &data_type))?
            {
                let chunk = &mut page.columns[at].1;
                chunk.patch = Some(placer.place(bytes)?);
                chunk.statistics.widen(&statistics, rows.count as u32);
                folded.note(column, &data_type, statistics);
                folded.patches += 1;
                continue;
            }
            let values = self.column(&rows, (column, &data_type), worker)?;
            let chunk = write_chunk(&values.vector(), &data_type, rows.count, &WriteOptions::default())?;
            let picked = picked_rows(self.group, rows.count);
            let sample = sample_of(&values.vector(), &data_type, rows.count, &picked, &chunk.statistics);
            let statistics = ChunkStatistics { sample, ..chunk.statistics.clone() };
            folded.note(column, &data_type, statistics);
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

    fn rows(&self) -> StorageResult<Rows> {
        let base = self.table.group(usize::try_from(self.group).unwrap_or(usize::MAX))?;
        let levels = self.table.group_levels(self.group);
        let count = base.rows().max(levels.born_bound()) as usize;
        let births = levels.births(&(0..count as u32));
        let mut alive: Vec<u64> = (0..count.div_ceil(64))
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
        for run in &births {
            for row in run.first_row as usize..run.first_row as usize + run.positions.len() {
                alive[row / 64] |= 1 << (row % 64);
            }
        }
        levels.without_deleted(&(0..count), &mut alive);
        Ok(Rows { base, levels, births, count, alive })
    }

    /// All values of a column: the base's, births over them, new values over both.
    fn column(
        &self,
        rows: &Rows,
        (column, data_type): (ColumnId, &DataType),
        worker: &mut PoolWorker,
    ) -> StorageResult<VectorBuffer> {
        let below = self.base_values(rows, (column, data_type), worker)?;
        let (below, base_rows, count) = (below.vector(), rows.base.rows() as usize, rows.count);
        let mut values = VectorBuffer::new(data_type.clone());
        let fill = |values: &mut VectorBuffer, from: usize, to: usize| {
            let stored = from.min(base_rows)..to.min(base_rows);
            values.append_range(&below, stored.start, stored.len());
            push_missing(values, column, to - from - stored.len());
        };
        let mut at = 0;
        for run in &rows.births {
            let (first, born_rows) = (run.first_row as usize, run.positions.len());
            fill(&mut values, at, first);
            let born = run.vector(column, run.positions.start);
            match born.is_all_null() {
                true => values.push_nulls(born_rows),
                false => values.append_range(&born, 0, born_rows),
            }
            at = first + born_rows;
        }
        fill(&mut values, at, count);
        let Some(patch) = self.patch(rows, (column, data_type))? else { return Ok(values) };
        let mut patched = VectorBuffer::new(data_type.clone());
        patch.apply(&values.vector(), &(0..count), &mut patched);
        Ok(patched)
    }

    /// All new values of a column, those beside the base's segments included.
    fn patch(
        &self,
        rows: &Rows,
        (column, data_type): (ColumnId, &DataType),
    ) -> StorageResult<Option<ColumnPatch>> {
        let base = match rows.base.chunk(column) {
            Some(chunk) => chunk.patch(data_type, self.table.pool())?,
            None => None,
        };
        Ok(rows.levels.column_patch(column, &(0..rows.count as u32), base))
    }

    /// The new values of a column beside its segments, where they are few; tells what they are like.
    fn small_patch(
        &self,
        rows: &Rows,
        (column, data_type): (ColumnId, &DataType),
    ) -> StorageResult<Option<(Vec<u8>, ChunkStatistics)>> {
        if rows.base.chunk(column).is_none() {
            return Ok(None);
        }
        let Some(patch) = self.patch(rows, (column, data_type))? else { return Ok(None) };
        let (numbers, values) = patch.rows_and_values();
        if !patch_segment::is_worth_a_patch(numbers.len(), rows.count) {
            return Ok(None);
        }
        let like = write_chunk(&values, data_type, numbers.len(), &WriteOptions::default())?;
        Ok(Some((patch_segment::encode_patch(numbers, &values, data_type), like.statistics)))
    }

    fn base_values(
        &self,
        Rows { base, levels, alive, .. }: &Rows,
        (column, data_type): (ColumnId, &DataType),
        worker: &mut PoolWorker,
    ) -> StorageResult<VectorBuffer> {
        let rows = base.rows() as usize;
        let mut values = VectorBuffer::new(data_type.clone());
        match (base.chunk(column), self.rel) {
            (Some(chunk), _) => {
                let lender = self.table.lender(Admission::Private);
                append_in_pieces(&chunk.chunk, data_type, 0..rows, &lender, &mut values)
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
