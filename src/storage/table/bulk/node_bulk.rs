//! Rows become row groups: gathered to whole groups in file order, encoded and written on the thread that brought
//! the last row of a group, while others go on appending.

use std::sync::Arc;

use parking_lot::Mutex;

use super::StagedGroup;
use crate::catalog::{Degrees, picked_rows};
use crate::storage::column::chunk::ChunkNulls;
use crate::storage::column::chunk_writer::{WriteOptions, write_chunk};
use crate::storage::column::sampled::sample_of;
use crate::storage::column::statistics::ChunkStatistics;
use crate::storage::table::group_page::{ExtentSink, GroupKind, GroupPage, SegmentPlacer};
use crate::storage::table::node_table::TableLayout;
use crate::storage::{StorageError, StorageResult};
use crate::types::{ColumnId, DataType, NODE_GROUP_ROWS, TableId};
use crate::vector::{ValueVector, VectorBuffer};

/// Rows that were written and wait for their commit.
#[derive(Debug, Clone, Default)]
pub struct StagedRows {
    /// By group number.
    pub groups: Vec<StagedGroup>,
    /// The offset of the first row.
    pub first_offset: u64,
    /// Rows of the load.
    pub row_count: u64,
    /// Of the columns that have values, over the load's rows.
    pub statistics: Vec<(ColumnId, ChunkStatistics)>,
}

/// Loads rows into new groups of a table.
pub struct NodeBulkLoad<'s> {
    sink: &'s dyn ExtentSink,
    layout: Arc<TableLayout>,
    kind: GroupKind,
    options: WriteOptions,
    first_group: u64,
    open: Mutex<OpenGroup>,
    done: Mutex<Vec<WrittenGroup>>,
}

/// The rows of a group that is not full yet.
struct OpenGroup {
    group: u64,
    rows: usize,
    columns: Vec<VectorBuffer>,
    /// Buffers of written groups, whose memory is used again.
    spare: Vec<Vec<VectorBuffer>>,
}

/// A whole group of rows that waits to be encoded.
pub struct FullGroup {
    group: u64,
    rows: usize,
    columns: Vec<VectorBuffer>,
}

/// A row group and the statistics of its columns.
pub(super) struct WrittenGroup {
    pub(super) staged: StagedGroup,
    pub(super) statistics: Vec<(ColumnId, ChunkStatistics)>,
}

impl<'s> NodeBulkLoad<'s> {
    /// Begins a load of rows behind `row_bound`: they start at the next whole group.
    pub fn begin(
        sink: &'s dyn ExtentSink,
        layout: Arc<TableLayout>,
        row_bound: u64,
        options: WriteOptions,
    ) -> Self {
        let first_group = row_bound.div_ceil(NODE_GROUP_ROWS);
        let columns = fresh_columns(&layout);
        let open = OpenGroup { group: first_group, rows: 0, columns, spare: Vec::new() };
        let done = Mutex::new(Vec::new());
        NodeBulkLoad {
            sink,
            layout,
            kind: GroupKind::Nodes,
            options,
            first_group,
            open: Mutex::new(open),
            done,
        }
    }

    /// The offset of the load's first row.
    pub fn first_offset(&self) -> u64 {
        self.first_group * NODE_GROUP_ROWS
    }

    /// Appends rows, one vector per column in the layout's order, and gives the offset of the first; the others
    /// follow it. Encodes and writes groups that became full.
    pub fn append(&self, columns: &[ValueVector<'_>], length: usize) -> StorageResult<u64> {
        let (first_offset, full) = self.append_only(columns, length);
        full.into_iter().try_for_each(|group| self.write(group))?;
        Ok(first_offset)
    }

    /// As `append`, but leaves the groups that became full to the caller, who hands them to `write` on any thread.
    /// Threads that keep file order by taking turns so encode beside each other: the turn covers this call only.
    pub fn append_only(&self, columns: &[ValueVector<'_>], length: usize) -> (u64, Vec<FullGroup>) {
        let mut open = self.open.lock();
        let first_offset = open.group * NODE_GROUP_ROWS + open.rows as u64;
        let (mut done, mut full) = (0, Vec::new());
        while done < length {
            let count = (length - done).min(NODE_GROUP_ROWS as usize - open.rows);
            for (buffer, vector) in open.columns.iter_mut().zip(columns) {
                buffer.append_range(vector, done, count);
            }
            open.rows += count;
            done += count;
            if open.rows == NODE_GROUP_ROWS as usize {
                full.push(self.take_group(&mut open));
            }
        }
        (first_offset, full)
    }

    /// Puts an empty group in the place of the open one.
    fn take_group(&self, open: &mut OpenGroup) -> FullGroup {
        let empty = open.spare.pop().unwrap_or_else(|| fresh_columns(&self.layout));
        let columns = std::mem::replace(&mut open.columns, empty);
        let full = FullGroup { group: open.group, rows: open.rows, columns };
        open.group += 1;
        open.rows = 0;
        full
    }

    /// Encodes and writes a group.
    pub fn write(&self, full: FullGroup) -> StorageResult<()> {
        let FullGroup { group, rows, mut columns } = full;
        let vectors = self.layout.columns.iter().zip(&columns);
        let vectors = vectors.map(|(column, buffer)| (column.id, column.data_type.clone(), buffer.vector()));
        let place = RowGroup { table: self.layout.id, kind: self.kind, group, rows };
        let written = place.write(vectors, self.sink, &self.options)?;
        self.done.lock().push(written);
        columns.iter_mut().for_each(VectorBuffer::clear);
        self.open.lock().spare.push(columns);
        Ok(())
    }

    /// Bytes of rows that are not written yet, for the memory limit.
    pub fn bytes(&self) -> usize {
        let open = self.open.lock();
        open.columns.iter().chain(open.spare.iter().flatten()).map(VectorBuffer::bytes).sum()
    }

    /// All rows, if they are fewer than `limit` and than a group, so that nothing was written yet.
    pub fn take_small(&self, limit: u64) -> Option<(Vec<VectorBuffer>, usize)> {
        let mut open = self.open.lock();
        if open.group != self.first_group || open.rows as u64 >= limit.max(1) {
            return None;
        }
        let rows = std::mem::take(&mut open.rows);
        Some((std::mem::replace(&mut open.columns, fresh_columns(&self.layout)), rows))
    }

    /// Writes the last group and names all.
    pub fn finish(self) -> StorageResult<StagedRows> {
        let rest = {
            let mut open = self.open.lock();
            (open.rows > 0).then(|| self.take_group(&mut open))
        };
        if let Some(rest) = rest {
            self.write(rest)?;
        }
        let first_offset = self.first_offset();
        Ok(collect(self.done.into_inner(), first_offset))
    }
}

fn fresh_columns(layout: &TableLayout) -> Vec<VectorBuffer> {
    layout.columns.iter().map(|column| VectorBuffer::new(column.data_type.clone())).collect()
}

/// Puts written groups in order and sums their statistics up.
pub(super) fn collect(mut written: Vec<WrittenGroup>, first_offset: u64) -> StagedRows {
    written.sort_unstable_by_key(|group| group.staged.group);
    let mut staged = StagedRows { first_offset, ..StagedRows::default() };
    for group in written {
        staged.row_count += u64::from(group.staged.row_count);
        staged.groups.push(group.staged);
        for (column, statistics) in group.statistics {
            match staged.statistics.iter_mut().find(|(id, _)| *id == column) {
                Some((_, sum)) => sum.merge(&statistics),
                None => staged.statistics.push((column, statistics)),
            }
        }
    }
    staged
}

/// A group of rows to be written.
pub(super) struct RowGroup {
    pub(super) table: TableId,
    pub(super) kind: GroupKind,
    pub(super) group: u64,
    pub(super) rows: usize,
}

impl RowGroup {
    /// Encodes the columns, writes their segments and the group page.
    pub(super) fn write<'v>(
        &self,
        columns: impl Iterator<Item = (ColumnId, DataType, ValueVector<'v>)>,
        sink: &dyn ExtentSink,
        options: &WriteOptions,
    ) -> StorageResult<WrittenGroup> {
        let group = u32::try_from(self.group).map_err(|_| StorageError::Limit {
            what: "the number of row groups".to_owned(),
            limit: u64::from(u32::MAX),
        })?;
        let mut placer = SegmentPlacer::new(sink, Vec::new());
        let (mut placed, mut statistics) = (Vec::new(), Vec::new());
        let picked = picked_rows(self.group, self.rows);
        for (column, data_type, vector) in columns {
            let chunk = write_chunk(&vector, &data_type, self.rows, options)?;
            let sample = sample_of(&vector, &data_type, self.rows, &picked, &chunk.statistics);
            statistics.push((column, ChunkStatistics { sample, ..chunk.statistics.clone() }));
            if !matches!(chunk.nulls, ChunkNulls::All) {
                placed.push((column, chunk.try_map(&mut |bytes| placer.place(bytes))?));
            }
        }
        placed.sort_unstable_by_key(|(column, _)| *column);
        let page = GroupPage {
            row_count: self.rows as u32,
            extents: placer.finish()?,
            columns: placed,
            ..GroupPage::empty(self.kind, self.table, group)
        };
        let page = sink.write_extent(&page.encode())?;
        let staged = StagedGroup {
            group,
            row_count: self.rows as u32,
            entry_count: self.rows as u64,
            max_degree: 0,
            touched_nodes: 0,
            squares: 0,
            degrees: Degrees::default(),
            page,
        };
        Ok(WrittenGroup { staged, statistics })
    }
}
