//! A scan of some columns of a table: morsel by morsel (`open`), batch by batch (`next`). Groups and batches without
//! a passing row are never given out; columns are read only for batches that have one.

use std::ops::Range;
use std::sync::Arc;

use super::column_scan::{ColumnScan, test_vector, without_deleted};
use super::group_levels::{BirthRun, GroupLevels, Overlay};
use super::node_table::{ColumnChunk, NodeGroup, NodeTable};
use crate::storage::buffer_pool::{Admission, PoolWorker, SegmentGuard, try_bytes_as};
use crate::storage::column::bytes::Damage;
use crate::storage::column::chunk_reader::Lender;
use crate::storage::column::predicate::ColumnTest;
use crate::storage::{StorageError, StorageResult};
use crate::types::{ColumnId, ColumnPredicate};
use crate::vector::{Batch, Multiplicity, Selection, ValueVector, ones_below};

/// Rows whose bytes a scan holds at once.
const WINDOW_ROWS: usize = 16 * 1024;
/// Bytes of one column in a window, about: what one guard pins at most.
const WINDOW_BYTES: u64 = 15 << 16;

/// Bytes of all columns in a window at most, but for a single row that has more: wide values go on their way in small
/// batches, whose copies are small, too.
const WINDOW_BYTES_MAX: usize = 4 << 20;

/// Bytes from which on a scan keeps frames for what is read a second time.
const LARGE_SCAN: u64 = 4 << 20;

/// How a scan runs.
#[derive(Debug, Clone, Copy)]
pub struct ScanOptions {
    /// Rows of a batch at most.
    pub vector_size: usize,
}

/// What a scan has met so far.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct ScanCounters {
    /// Groups that were read.
    pub groups_read: u64,
    /// Groups that their zone maps excluded.
    pub groups_skipped: u64,
    /// Rows looked at.
    pub rows_read: u64,
    /// Rows given out.
    pub rows_passed: u64,
    /// Groups that a level has changed.
    pub groups_with_levels: u64,
    /// Batches into which new values were put.
    pub batches_patched: u64,
    /// Rows looked at that only levels have.
    pub births_read: u64,
    /// New values beside a chunk's segments that were put over a column of a morsel.
    pub patch_segments: u64,
    /// Windows that were cut because of their bytes.
    pub windows_cut: u64,
}

/// Reads morsels of one table.
pub struct NodeScanner {
    table: Arc<NodeTable>,
    /// The columns to give out, then those that are only tested.
    columns: Vec<(ColumnId, ColumnScan)>,
    given_out: usize,
    /// The position of the column and the test, and the number of the test among those of its column.
    tests: Vec<(usize, usize, ColumnTest)>,
    lender: Lender,
    vector_size: usize,
    group: Option<Arc<NodeGroup>>,
    deletions: Option<SegmentGuard>,
    rows: Range<usize>,
    window_end: usize,
    /// What levels change in the group; empty where they change nothing.
    levels: GroupLevels,
    /// By column, where it has new values in the morsel.
    overlays: Vec<Option<Overlay>>,
    /// Rows of the morsel that levels bore; they follow those of the base.
    births: Vec<BirthRun>,
    birth: usize,
    mask: Vec<u64>,
    counters: ScanCounters,
}

/// Rows lent by a scan until its next call.
pub struct ScanBatch<'s> {
    /// The offset of row 0.
    pub first_offset: u64,
    /// In the order asked for.
    pub columns: Vec<ValueVector<'s>>,
    /// Rows, selected or not.
    pub length: usize,
    /// The rows that exist and pass the predicates.
    pub selection: Selection<'s>,
}

impl ScanBatch<'_> {
    /// The batch that operators take.
    pub fn batch(&self) -> Batch<'_> {
        let (length, selection) = (self.length, self.selection);
        Batch { columns: &self.columns, length, selection, multiplicity: Multiplicity::One }
    }

    /// The offsets of the rows, as a vector.
    pub fn offsets(&self) -> ValueVector<'static> {
        ValueVector::sequence(self.first_offset)
    }
}

impl NodeTable {
    /// A scan of `columns` for rows that pass all `predicates`, each of which must be one that
    /// [`ColumnTest::new`] knows. Every thread has its own.
    pub fn scanner(
        self: &Arc<Self>,
        columns: &[ColumnId],
        predicates: &[ColumnPredicate],
        options: &ScanOptions,
    ) -> StorageResult<NodeScanner> {
        let mut wanted: Vec<ColumnId> = columns.to_vec();
        let mut tests: Vec<(usize, usize, ColumnTest)> = Vec::new();
        for predicate in predicates {
            let data_type = self.data_type(predicate.column);
            let test = ColumnTest::new(predicate, &data_type).ok_or_else(|| StorageError::Limit {
                what: format!("a predicate on {data_type} that storage cannot evaluate"),
                limit: 0,
            })?;
            let position =
                wanted.iter().position(|column| *column == predicate.column).unwrap_or_else(|| {
                    wanted.push(predicate.column);
                    wanted.len() - 1
                });
            let number = tests.iter().filter(|(column, ..)| *column == position).count();
            tests.push((position, number, test));
        }
        let columns_scan = wanted.iter().map(|column| (*column, ColumnScan::new(self.data_type(*column))));
        Ok(NodeScanner {
            columns: columns_scan.collect(),
            given_out: columns.len(),
            tests,
            lender: self.lender(self.admission(&wanted)?),
            vector_size: options.vector_size.max(1),
            table: Arc::clone(self),
            group: None,
            deletions: None,
            rows: 0..0,
            window_end: 0,
            levels: GroupLevels::default(),
            overlays: Vec::new(),
            births: Vec::new(),
            birth: 0,
            mask: Vec::new(),
            counters: ScanCounters::default(),
        })
    }

    /// Scans of columns that fit into the pool together keep their blocks there, large ones the second time; larger
    /// ones would only flood it.
    fn admission(&self, columns: &[ColumnId]) -> StorageResult<Admission> {
        let groups = self.base_group_count();
        if groups == 0 {
            return Ok(Admission::Frames);
        }
        let sample = self.group(groups / 2)?;
        let per_group: u64 =
            columns.iter().filter_map(|column| sample.chunk(*column)).map(|chunk| chunk.byte_length()).sum();
        let bytes = per_group.saturating_mul(groups as u64);
        Ok(match bytes {
            ..LARGE_SCAN => Admission::ReadAhead,
            _ if bytes <= self.pool().limit_bytes() / 8 * 7 => Admission::SecondTime,
            _ => Admission::Private,
        })
    }
}

impl NodeScanner {
    /// Begins a morsel: rows `rows` (cut to those that are there) of a group.
    pub fn open(&mut self, group: usize, rows: Range<u32>) -> StorageResult<()> {
        let number = group as u64;
        let group = self.table.group(group)?;
        self.rows = (rows.start.min(group.rows()) as usize)..(rows.end.min(group.rows()) as usize);
        self.window_end = self.rows.start;
        self.deletions = None;
        self.open_levels(number, &rows, &group)?;
        if !self.can_pass(&group) {
            self.rows = 0..0;
            if self.births.is_empty() {
                self.counters.groups_skipped += 1;
                self.group = None;
                return Ok(());
            }
        }
        self.counters.groups_read += 1;
        if !self.rows.is_empty() {
            self.lend_deletions(&group)?;
        }
        for (position, (column, scan)) in self.columns.iter_mut().enumerate() {
            let tests: Vec<ColumnTest> =
                self.tests.iter().filter(|(at, ..)| *at == position).map(|(.., test)| test.clone()).collect();
            scan.open(group.chunk(*column), &tests, &self.lender)?;
        }
        self.group = Some(group);
        Ok(())
    }

    fn lend_deletions(&mut self, group: &NodeGroup) -> StorageResult<()> {
        if let (Some(deletions), None) = (group.deletions(), &self.deletions) {
            let range = 0..deletions.len();
            self.deletions = Some(self.lender.pool.lend(deletions, range, self.lender.admission)?);
        }
        Ok(())
    }

    /// Gives all pages back until the next call of `next`, which goes on where the last one ended.
    pub fn rest(&mut self) {
        self.window_end = self.rows.start;
        self.deletions = None;
        self.columns.iter_mut().for_each(|(_, scan)| scan.rest());
    }

    /// Looks for what levels, and patches beside the chunks, change in a morsel.
    fn open_levels(&mut self, number: u64, rows: &Range<u32>, group: &NodeGroup) -> StorageResult<()> {
        self.levels = self.table.group_levels(number);
        self.births.clear();
        self.birth = 0;
        self.overlays.clear();
        let is_patched = |column: ColumnId| group.chunk(column).is_some_and(ColumnChunk::is_patched);
        if self.levels.is_empty() && !self.columns.iter().any(|(column, _)| is_patched(*column)) {
            return Ok(());
        }
        if !self.levels.is_empty() {
            self.counters.groups_with_levels += 1;
            self.births = self.levels.births(rows);
        }
        for (column, _) in &self.columns {
            let data_type = self.table.data_type(*column);
            let base = match group.chunk(*column) {
                Some(chunk) => chunk.patch(&data_type, &self.lender.pool)?,
                None => None,
            };
            self.counters.patch_segments += u64::from(base.is_some());
            let patch = self.levels.column_patch(*column, rows, base);
            self.overlays.push(patch.map(|patch| Overlay::new(patch, data_type)));
        }
        Ok(())
    }

    /// Whether zone maps leave a chance that a row of the group's page passes. They say nothing of new values.
    fn can_pass(&self, group: &NodeGroup) -> bool {
        self.tests.iter().all(|(position, _, test)| {
            let column = self.columns[*position].0;
            match group.chunk(column) {
                _ if self.levels.is_patched(column) => true,
                Some(chunk) => test.can_pass(&chunk.chunk.statistics, group.rows()),
                None => *test == ColumnTest::Null(true),
            }
        })
    }

    /// The next rows of the morsel; none at its end. The worker has no cursor open meanwhile.
    pub fn next<'s>(&'s mut self, _worker: &mut PoolWorker) -> StorageResult<Option<ScanBatch<'s>>> {
        let Some(group) = self.group.clone() else { return Ok(None) };
        while self.rows.start < self.rows.end {
            if self.rows.start >= self.window_end {
                self.load_window(&group)?;
            }
            let end = (self.rows.start + self.vector_size).min(self.window_end);
            let rows = self.rows.start..end;
            self.rows.start = end;
            self.counters.rows_read += rows.len() as u64;
            self.begin_batch();
            let passed = self.test(&group, &rows)?;
            if passed == 0 {
                continue;
            }
            self.counters.rows_passed += passed as u64;
            for position in 0..self.given_out {
                self.read(position, &group, &rows)?;
            }
            let columns = (0..self.given_out).map(|position| self.vector(position, &rows)).collect();
            let selection = if passed == rows.len() { Selection::All } else { Selection::Mask(&self.mask) };
            let first_offset = group.first_offset() + rows.start as u64;
            return Ok(Some(ScanBatch { first_offset, columns, length: rows.len(), selection }));
        }
        self.next_births(group.first_offset())
    }

    /// The next rows that levels bore.
    fn next_births(&mut self, first_offset: u64) -> StorageResult<Option<ScanBatch<'_>>> {
        while let Some(run) = self.births.get_mut(self.birth) {
            if run.positions.is_empty() {
                self.birth += 1;
                continue;
            }
            let (start, first_row) = (run.positions.start, run.first_row as usize);
            let length = run.positions.len().min(self.vector_size);
            run.positions.start += length;
            run.first_row += length as u32;
            let rows = first_row..first_row + length;
            self.counters.rows_read += length as u64;
            self.counters.births_read += length as u64;
            self.begin_batch();
            let passed = self.test_births(start, &rows);
            if passed == 0 {
                continue;
            }
            self.counters.rows_passed += passed as u64;
            for position in 0..self.given_out {
                self.read_birth(position, start, &rows);
            }
            let run = &self.births[self.birth];
            let column = |position: usize| match self.overlay_of(position) {
                Some(overlay) => overlay.values.vector(),
                None => run.vector(self.columns[position].0, start),
            };
            let columns = (0..self.given_out).map(column).collect();
            let selection = if passed == length { Selection::All } else { Selection::Mask(&self.mask) };
            let first_offset = first_offset + first_row as u64;
            return Ok(Some(ScanBatch { first_offset, columns, length, selection }));
        }
        Ok(None)
    }

    /// What the scan has met so far.
    pub fn counters(&self) -> ScanCounters {
        self.counters
    }

    /// Fewer rows where texts are long, so that a guard's range stays one that is pinned, and a small pool has room.
    fn window_rows(&self, group: &NodeGroup) -> usize {
        let chunks = self.columns.iter().filter_map(|(column, _)| group.chunk(*column));
        let widest = chunks.map(|chunk| chunk.byte_length()).max().unwrap_or(0);
        let row_bytes = widest / u64::from(group.rows()).max(1) + 1;
        let fitting = (WINDOW_BYTES / row_bytes) as usize / 1024 * 1024;
        fitting.clamp(1024, WINDOW_ROWS)
    }

    fn load_window(&mut self, group: &NodeGroup) -> StorageResult<()> {
        self.lend_deletions(group)?;
        let start = self.rows.start;
        // Windows end where blocks of 1024 do, so that no block is unpacked twice.
        let window = self.window_rows(group).max(self.vector_size);
        let end = ((start / 1024 * 1024).saturating_add(window)).max(start + 1).min(self.rows.end);
        let end = self.fitting_end(group, start..end)?;
        for (column, scan) in &mut self.columns {
            scan.load(group.chunk(*column), start..end, &self.lender)?;
        }
        self.window_end = end;
        Ok(())
    }

    /// Cuts a window where its texts and lists would take too much.
    fn fitting_end(&mut self, group: &NodeGroup, mut rows: Range<usize>) -> StorageResult<usize> {
        let bytes = self.lender.share().min(WINDOW_BYTES_MAX);
        let is_wide = |(column, scan): &&(ColumnId, ColumnScan)| {
            group.chunk(*column).is_some_and(|chunk| scan.may_be_wide(chunk, bytes))
        };
        let (wide, whole) = (self.columns.iter().filter(is_wide).count(), rows.end);
        for (column, scan) in self.columns.iter().filter(is_wide) {
            rows.end = scan.fitting_end(group.chunk(*column), &rows, bytes / wide, &self.lender)?;
        }
        self.counters.windows_cut += u64::from(rows.end < whole);
        Ok(rows.end)
    }

    fn begin_batch(&mut self) {
        self.overlays.iter_mut().flatten().for_each(|overlay| overlay.ready = false);
    }

    /// The new values of a column, if the current batch has some.
    fn overlay_of(&self, position: usize) -> Option<&Overlay> {
        self.overlays.get(position)?.as_ref().filter(|overlay| overlay.ready)
    }

    /// Whether a column has new values in these rows.
    fn is_patched(&self, position: usize, rows: &Range<usize>) -> bool {
        let overlay = self.overlays.get(position).and_then(Option::as_ref);
        overlay.is_some_and(|overlay| overlay.patch.touches(rows))
    }

    /// Makes a column of the base ready.
    fn read(&mut self, position: usize, group: &NodeGroup, rows: &Range<usize>) -> StorageResult<()> {
        let patched = self.is_patched(position, rows);
        let (column, scan) = &mut self.columns[position];
        if patched && self.overlays[position].as_ref().is_some_and(|overlay| overlay.ready) {
            return Ok(());
        }
        scan.read(group.chunk(*column), rows.clone(), &self.lender)?;
        if let (true, Some(Some(overlay))) = (patched, self.overlays.get_mut(position)) {
            overlay.patch.apply(&scan.vector(rows), rows, &mut overlay.values);
            overlay.ready = true;
            self.counters.batches_patched += 1;
        }
        Ok(())
    }

    /// A column that `read` made ready.
    fn vector(&self, position: usize, rows: &Range<usize>) -> ValueVector<'_> {
        match self.overlay_of(position) {
            Some(overlay) => overlay.values.vector(),
            None => self.columns[position].1.vector(rows),
        }
    }

    /// Puts new values into a column of the current births.
    fn read_birth(&mut self, position: usize, start: usize, rows: &Range<usize>) {
        let (run, column) = (&self.births[self.birth], self.columns[position].0);
        let Some(Some(overlay)) = self.overlays.get_mut(position) else { return };
        if !overlay.ready && overlay.patch.touches(rows) {
            overlay.patch.apply(&run.vector(column, start), rows, &mut overlay.values);
            overlay.ready = true;
            self.counters.batches_patched += 1;
        }
    }

    fn all_pass(&mut self, length: usize) {
        self.mask.clear();
        self.mask.resize(length.div_ceil(64), u64::MAX);
        if let (Some(last), true) = (self.mask.last_mut(), !length.is_multiple_of(64)) {
            *last = ones_below(length % 64);
        }
    }

    fn passed(&self) -> usize {
        self.mask.iter().map(|word| word.count_ones() as usize).sum()
    }

    /// Fills the mask; gives the number of rows of the base that pass.
    fn test(&mut self, group: &NodeGroup, rows: &Range<usize>) -> StorageResult<usize> {
        let deleted = self.levels.deletes(rows);
        if self.tests.is_empty() && self.deletions.is_none() && !deleted {
            return Ok(rows.len());
        }
        self.all_pass(rows.len());
        if let Some(guard) = &self.deletions {
            let words =
                try_bytes_as::<u64>(guard).ok_or_else(|| group.error(Damage("deletions are cut short")))?;
            without_deleted(words, rows, &mut self.mask);
        }
        if deleted {
            self.levels.without_deleted(rows, &mut self.mask);
        }
        for at in 0..self.tests.len() {
            let position = self.tests[at].0;
            if self.is_patched(position, rows) {
                self.read(position, group, rows)?;
                let Some(Some(overlay)) = self.overlays.get(position) else { continue };
                test_vector(&overlay.values.vector(), &self.tests[at].2, rows.len(), &mut self.mask);
            } else {
                let (_, number, test) = &self.tests[at];
                let (column, scan) = &mut self.columns[position];
                scan.test(group.chunk(*column), test, *number, rows, &self.lender, &mut self.mask)?;
            }
            if self.mask.iter().all(|word| *word == 0) {
                return Ok(0);
            }
        }
        Ok(self.passed())
    }

    /// Fills the mask; gives the number of births that pass.
    fn test_births(&mut self, start: usize, rows: &Range<usize>) -> usize {
        let deleted = self.levels.deletes(rows);
        if self.tests.is_empty() && !deleted {
            return rows.len();
        }
        self.all_pass(rows.len());
        if deleted {
            self.levels.without_deleted(rows, &mut self.mask);
        }
        for at in 0..self.tests.len() {
            let position = self.tests[at].0;
            self.read_birth(position, start, rows);
            let overlay =
                self.overlays.get(position).and_then(Option::as_ref).filter(|overlay| overlay.ready);
            let vector = match overlay {
                Some(overlay) => overlay.values.vector(),
                None => self.births[self.birth].vector(self.columns[position].0, start),
            };
            test_vector(&vector, &self.tests[at].2, rows.len(), &mut self.mask);
        }
        self.passed()
    }
}
