//! What the levels over a base have of the rows of one group: births, new values and deletions, newest first where it
//! matters. Most groups have nothing and never come here.

use std::ops::Range;
use std::sync::Arc;

use crate::storage::delta::{BirthPart, GroupDelta, PatchPart, TableDelta};
use crate::types::{ColumnId, DataType};
use crate::vector::{ValueVector, VectorBuffer};

/// The levels of one group, oldest first.
#[derive(Debug, Clone, Default)]
pub struct GroupLevels {
    levels: Vec<Arc<GroupDelta>>,
}

impl GroupLevels {
    /// What `levels` have of a group.
    pub(super) fn of(levels: &[Arc<TableDelta>], group: u64) -> GroupLevels {
        let found = levels.iter().filter_map(|level| level.group(group));
        GroupLevels { levels: found.cloned().collect() }
    }

    /// Whether no level touches the group.
    pub fn is_empty(&self) -> bool {
        self.levels.is_empty()
    }

    /// Births lie below this row; 0 without births.
    pub fn born_bound(&self) -> u32 {
        self.levels.iter().map(|level| level.born().bound()).max().unwrap_or(0)
    }

    /// Whether a level bore the row.
    pub fn is_born(&self, row: u16) -> bool {
        self.levels.iter().any(|level| level.born().contains(row))
    }

    /// Where the values are that a row was born with.
    pub fn birth(&self, row: u16) -> Option<(&BirthPart, usize)> {
        let level = self.levels.iter().rev().find(|level| level.born().contains(row))?;
        level.births().iter().rev().find_map(|part| Some((part, part.rows().find(u32::from(row))?)))
    }

    /// Births among `rows`, as stretches of consecutive ones.
    pub(super) fn births(&self, rows: &Range<u32>) -> Vec<BirthRun> {
        let mut runs = Vec::new();
        for part in self.levels.iter().flat_map(|level| level.births().iter_shared()) {
            let (mut at, end) = (part.rows().lower_bound(rows.start), part.rows().lower_bound(rows.end));
            while at < end {
                let first_row = part.rows().get(at);
                let mut next = at + 1;
                while next < end && part.rows().get(next) == first_row + (next - at) as u32 {
                    next += 1;
                }
                runs.push(BirthRun { part: Arc::clone(part), first_row, positions: at..next });
                at = next;
            }
        }
        runs.sort_by_key(|run| run.first_row);
        runs
    }

    /// Whether a level deleted the row.
    pub fn is_deleted(&self, row: u16) -> bool {
        self.levels.iter().any(|level| level.deletions().contains(row))
    }

    /// Whether a level deleted one of these rows.
    pub fn deletes(&self, rows: &Range<usize>) -> bool {
        self.levels.iter().any(|level| level.deletions().touches(rows))
    }

    /// Takes the deleted among `rows` out of a mask whose bit 0 is the first of them.
    pub fn without_deleted(&self, rows: &Range<usize>, mask: &mut [u64]) {
        for level in self.levels.iter().filter(|level| level.deletions().touches(rows)) {
            for (index, word) in mask.iter_mut().enumerate() {
                *word &= !level.deletions().bits_from(rows.start + index * 64);
            }
        }
    }

    /// Whether a level bore or deleted a row of the group.
    pub fn changes_rows(&self) -> bool {
        self.levels.iter().any(|level| !level.born().is_empty() || !level.deletions().is_empty())
    }

    /// Whether a level has new values of the column.
    pub fn is_patched(&self, column: ColumnId) -> bool {
        self.levels.iter().any(|level| level.patches_of(column).is_some())
    }

    /// The newest value that a row was given after it was born, if it was.
    pub fn patch(&self, column: ColumnId, row: u16) -> Option<(&PatchPart, usize)> {
        self.levels.iter().rev().filter_map(|level| level.patches_of(column)).find_map(|parts| {
            parts.iter().rev().find_map(|part| Some((part, part.rows().binary_search(&row).ok()?)))
        })
    }

    /// All new values of a column for `rows`, as one part; none where there are none. `base` are those that stand
    /// beside the base's segments.
    pub(super) fn column_patch(
        &self,
        column: ColumnId,
        rows: &Range<u32>,
        base: Option<&Arc<PatchPart>>,
    ) -> Option<ColumnPatch> {
        let newer = self.levels.iter().filter_map(|level| level.patches_of(column));
        let newer = newer.flat_map(|parts| parts.iter_shared());
        let parts: Vec<Arc<PatchPart>> = base.into_iter().chain(newer).cloned().collect();
        let within = |part: &PatchPart| {
            let below = |bound: u32| part.rows().partition_point(|row| u32::from(*row) < bound);
            below(rows.start)..below(rows.end)
        };
        let mut touched =
            parts.iter().map(|part| (part, within(part))).filter(|(_, range)| !range.is_empty());
        let (first, range) = touched.next()?;
        let mut merged = ColumnPatch { part: Arc::clone(first), range };
        for (part, range) in touched {
            let newer = ColumnPatch { part: Arc::clone(part), range };
            merged = ColumnPatch::merge(&merged, &newer);
        }
        Some(merged)
    }
}

/// Consecutive rows of one part.
pub(super) struct BirthRun {
    pub(super) part: Arc<BirthPart>,
    pub(super) first_row: u32,
    pub(super) positions: Range<usize>,
}

impl BirthRun {
    /// The values of a column from position `start` of the part on.
    pub(super) fn vector(&self, column: ColumnId, start: usize) -> ValueVector<'_> {
        match self.part.column(column) {
            Some(values) => values.vector().slice_from(start),
            None => ValueVector::null(),
        }
    }
}

/// New values of one column for some rows of a group.
pub(super) struct ColumnPatch {
    part: Arc<PatchPart>,
    range: Range<usize>,
}

impl ColumnPatch {
    fn merge(older: &ColumnPatch, newer: &ColumnPatch) -> ColumnPatch {
        let merged = PatchPart::merged((&older.part, &older.range), (&newer.part, &newer.range));
        let range = 0..merged.rows().len();
        ColumnPatch { part: Arc::new(merged), range }
    }

    /// The rows, and their values.
    pub(super) fn rows_and_values(&self) -> (&[u16], ValueVector<'_>) {
        (&self.part.rows()[self.range.clone()], self.part.values().slice_from(self.range.start))
    }

    /// The positions of the new values for some rows.
    fn within(&self, rows: &Range<usize>) -> Range<usize> {
        let all = &self.part.rows()[self.range.clone()];
        let below = |bound: usize| self.range.start + all.partition_point(|row| usize::from(*row) < bound);
        below(rows.start)..below(rows.end)
    }

    pub(super) fn touches(&self, rows: &Range<usize>) -> bool {
        !self.within(rows).is_empty()
    }

    /// Writes the values of `rows` into `out`: those of `vector`, whose row 0 is the first of them, but for those that
    /// are new.
    pub(super) fn apply(&self, vector: &ValueVector<'_>, rows: &Range<usize>, out: &mut VectorBuffer) {
        out.clear();
        let patched = self.within(rows);
        let (numbers, values) = (self.part.rows(), self.part.values());
        let (mut row, mut at) = (rows.start, patched.start);
        while at < patched.end {
            let first = usize::from(numbers[at]);
            let mut next = at + 1;
            while next < patched.end && usize::from(numbers[next]) == first + next - at {
                next += 1;
            }
            out.append_range(vector, row - rows.start, first - row);
            out.append_range(&values, at, next - at);
            row = first + next - at;
            at = next;
        }
        out.append_range(vector, row - rows.start, rows.end - row);
    }
}

/// The new values of one column of a scan, and the batch that they were put into last.
pub(super) struct Overlay {
    pub(super) patch: ColumnPatch,
    pub(super) values: VectorBuffer,
    /// Whether `values` are those of the current batch.
    pub(super) ready: bool,
}

impl Overlay {
    pub(super) fn new(patch: ColumnPatch, data_type: DataType) -> Overlay {
        Overlay { patch, values: VectorBuffer::new(data_type), ready: false }
    }
}
