//! The rows of one group that a level bore, changed or deleted.

use std::ops::Range;
use std::sync::Arc;

use super::parts::{Part, Parts, merge_pairwise};
use super::row_set::RowSet;
use crate::types::{ColumnId, DataType};
use crate::vector::{ValueVector, VectorBuffer};

/// What a level has of one group.
#[derive(Debug, Clone, Default)]
pub struct GroupDelta {
    births: Parts<BirthPart>,
    born: RowSet,
    /// Sorted by column.
    patches: Vec<(ColumnId, Parts<PatchPart>)>,
    deletions: RowSet,
}

/// The row numbers of a part, rising.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PartRows {
    /// Consecutive ones.
    Range(Range<u32>),
    List(Vec<u16>),
}

/// Rows that did not exist before. A column that is left out is null.
#[derive(Debug, Clone)]
pub struct BirthPart {
    rows: PartRows,
    /// Sorted by column.
    columns: Vec<(ColumnId, VectorBuffer)>,
}

/// New values of one column.
#[derive(Debug, Clone)]
pub struct PatchPart {
    rows: Vec<u16>,
    values: VectorBuffer,
}

impl GroupDelta {
    /// Rows that this level added; later levels may have patched or deleted them.
    pub fn births(&self) -> &Parts<BirthPart> {
        &self.births
    }

    /// The row numbers of the births.
    pub fn born(&self) -> &RowSet {
        &self.born
    }

    /// Columns with new values.
    pub fn patches(&self) -> impl Iterator<Item = (ColumnId, &Parts<PatchPart>)> {
        self.patches.iter().map(|(column, parts)| (*column, parts))
    }

    /// The new values of a column.
    pub fn patches_of(&self, column: ColumnId) -> Option<&Parts<PatchPart>> {
        let at = self.patches.binary_search_by_key(&column, |(id, _)| *id).ok()?;
        self.patches.get(at).map(|(_, parts)| parts)
    }

    /// Rows that this level deleted, its own births among them.
    pub fn deletions(&self) -> &RowSet {
        &self.deletions
    }

    /// Whether there is nothing.
    pub fn is_empty(&self) -> bool {
        self.births.is_empty() && self.patches.is_empty() && self.deletions.is_empty()
    }

    pub(super) fn add_births(&mut self, part: BirthPart) {
        match &part.rows {
            PartRows::Range(rows) => self.born.insert_range(rows.clone()),
            PartRows::List(rows) => rows.iter().for_each(|row| {
                self.born.insert(*row);
            }),
        }
        self.births.push(Arc::new(part));
    }

    pub(super) fn add_patch(&mut self, column: ColumnId, part: PatchPart) {
        self.patches_mut(column).push(Arc::new(part));
    }

    fn patches_mut(&mut self, column: ColumnId) -> &mut Parts<PatchPart> {
        let at = match self.patches.binary_search_by_key(&column, |(id, _)| *id) {
            Ok(at) => at,
            Err(at) => {
                self.patches.insert(at, (column, Parts::default()));
                at
            }
        };
        &mut self.patches[at].1
    }

    /// Says whether the row was not deleted in this level yet.
    pub(super) fn delete(&mut self, row: u16) -> bool {
        self.deletions.insert(row)
    }

    /// What the sets of rows take.
    pub(super) fn set_bytes(&self) -> u64 {
        self.born.bytes() + self.deletions.bytes()
    }

    /// Gives the bytes that both had and one needs no more.
    pub(super) fn merge(&mut self, newer: &GroupDelta) -> u64 {
        let before = self.set_bytes() + newer.set_bytes();
        self.births.merge(&newer.births);
        self.born.extend(&newer.born);
        for (column, parts) in &newer.patches {
            self.patches_mut(*column).merge(parts);
        }
        self.deletions.extend(&newer.deletions);
        before - self.set_bytes()
    }
}

impl PartRows {
    /// The number of rows.
    pub fn len(&self) -> usize {
        match self {
            PartRows::Range(rows) => rows.len(),
            PartRows::List(rows) => rows.len(),
        }
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The row at a position.
    #[inline]
    pub fn get(&self, position: usize) -> u32 {
        match self {
            PartRows::Range(rows) => rows.start + position as u32,
            PartRows::List(rows) => u32::from(rows[position]),
        }
    }

    /// The position of the first row that is not below.
    #[inline]
    pub fn lower_bound(&self, row: u32) -> usize {
        match self {
            PartRows::Range(rows) => row.clamp(rows.start, rows.end) as usize - rows.start as usize,
            PartRows::List(rows) => rows.partition_point(|known| u32::from(*known) < row),
        }
    }

    /// The position of a row.
    #[inline]
    pub fn find(&self, row: u32) -> Option<usize> {
        let at = self.lower_bound(row);
        (at < self.len() && self.get(at) == row).then_some(at)
    }

    fn of(rows: Vec<u16>) -> PartRows {
        match (rows.first(), rows.last()) {
            (Some(first), Some(last)) if usize::from(last - first) + 1 == rows.len() => {
                PartRows::Range(u32::from(*first)..u32::from(*last) + 1)
            }
            _ => PartRows::List(rows),
        }
    }
}

impl BirthPart {
    pub(super) fn new(rows: Range<u32>, columns: Vec<(ColumnId, VectorBuffer)>) -> BirthPart {
        BirthPart { rows: PartRows::Range(rows), columns }
    }

    /// A part of these rows, which rise.
    pub(super) fn of(rows: Vec<u16>, columns: Vec<(ColumnId, VectorBuffer)>) -> BirthPart {
        BirthPart { rows: PartRows::of(rows), columns }
    }

    /// The row numbers.
    pub fn rows(&self) -> &PartRows {
        &self.rows
    }

    /// The values of a column, in order of the rows; none where all are null.
    pub fn column(&self, column: ColumnId) -> Option<&VectorBuffer> {
        let at = self.columns.binary_search_by_key(&column, |(id, _)| *id).ok()?;
        self.columns.get(at).map(|(_, values)| values)
    }

    /// Columns with values, by id.
    pub fn columns(&self) -> impl Iterator<Item = (ColumnId, &VectorBuffer)> {
        self.columns.iter().map(|(column, values)| (*column, values))
    }
}

impl PatchPart {
    /// Values for rows, which rise.
    pub(in crate::storage) fn new(rows: Vec<u16>, values: VectorBuffer) -> PatchPart {
        PatchPart { rows, values }
    }

    /// The row numbers, rising.
    pub fn rows(&self) -> &[u16] {
        &self.rows
    }

    /// The type of the values.
    pub fn data_type(&self) -> &DataType {
        self.values.data_type()
    }

    /// The new values, in order of the rows.
    pub fn values(&self) -> ValueVector<'_> {
        self.values.vector()
    }

    /// Stretches of two parts as one; of values for one row the newer part's stays.
    pub fn merged(older: (&PatchPart, &Range<usize>), newer: (&PatchPart, &Range<usize>)) -> PatchPart {
        let rows_of = |(part, range): (&PatchPart, &Range<usize>)| part.rows[range.clone()].to_vec();
        let (old_rows, new_rows) = (PartRows::List(rows_of(older)), PartRows::List(rows_of(newer)));
        let runs = merge_runs(&old_rows, &new_rows);
        let mut values = VectorBuffer::new(newer.0.values.data_type().clone());
        values.reserve(old_rows.len() + new_rows.len());
        let mut rows = Vec::with_capacity(old_rows.len() + new_rows.len());
        for run in &runs {
            let (part, range) = if run.newer { newer } else { older };
            let positions = range.start + run.positions.start..range.start + run.positions.end;
            values.append_range(&part.values(), positions.start, positions.len());
            rows.extend_from_slice(&part.rows[positions]);
        }
        PatchPart { rows, values }
    }
}

/// Rows of one of two parts that follow each other in both the part and the merged order.
struct Run {
    newer: bool,
    positions: Range<usize>,
}

/// How two rising sequences are merged; of equal rows the newer stays.
fn merge_runs(older: &PartRows, newer: &PartRows) -> Vec<Run> {
    let mut runs: Vec<Run> = Vec::new();
    let (mut old, mut new) = (0, 0);
    while old < older.len() || new < newer.len() {
        let take_new = match (old < older.len(), new < newer.len()) {
            (true, true) => newer.get(new) <= older.get(old),
            (_, has_new) => has_new,
        };
        let positions = if take_new {
            let end = if old < older.len() { newer.lower_bound(older.get(old) + 1) } else { newer.len() };
            let positions = new..end;
            new = end;
            // Rows that the newer part has as well are passed over.
            if old < older.len() && newer.get(end - 1) == older.get(old) {
                old += 1;
            }
            positions
        } else {
            let end = if new < newer.len() { older.lower_bound(newer.get(new)) } else { older.len() };
            let positions = old..end;
            old = end;
            positions
        };
        runs.push(Run { newer: take_new, positions });
    }
    runs
}

fn merged_rows(older: &PartRows, newer: &PartRows, runs: &[Run]) -> PartRows {
    if let (PartRows::Range(first), PartRows::Range(second)) = (older, newer)
        && first.end == second.start
    {
        return PartRows::Range(first.start..second.end);
    }
    let rows = runs.iter().flat_map(|run| {
        let of = if run.newer { newer } else { older };
        run.positions.clone().map(|position| of.get(position) as u16)
    });
    PartRows::of(rows.collect())
}

fn merged_values(
    data_type: &DataType,
    older: Option<&VectorBuffer>,
    newer: Option<&VectorBuffer>,
    runs: &[Run],
) -> VectorBuffer {
    let mut out = VectorBuffer::new(data_type.clone());
    out.reserve(runs.iter().map(|run| run.positions.len()).sum());
    for run in runs {
        match if run.newer { newer } else { older } {
            Some(values) => out.append_range(&values.vector(), run.positions.start, run.positions.len()),
            None => out.push_nulls(run.positions.len()),
        }
    }
    out
}

impl Part for BirthPart {
    fn size(&self) -> usize {
        self.rows.len()
    }

    fn merge(older: &Self, newer: &Self) -> Self {
        let runs = merge_runs(&older.rows, &newer.rows);
        let mut ids: Vec<ColumnId> = older.columns().chain(newer.columns()).map(|(id, _)| id).collect();
        ids.sort_unstable();
        ids.dedup();
        let column = |id: ColumnId| {
            let (old, new) = (older.column(id), newer.column(id));
            let data_type = new.or(old).map_or(DataType::Null, |values| values.data_type().clone());
            (id, merged_values(&data_type, old, new, &runs))
        };
        BirthPart {
            rows: merged_rows(&older.rows, &newer.rows, &runs),
            columns: ids.into_iter().map(column).collect(),
        }
    }

    /// A row is born once, so the order of parts says nothing: rows that follow each other are copied once, whichever
    /// of several writers came first.
    fn merge_all(parts: &[Arc<Self>]) -> Option<Arc<Self>> {
        let mut sorted = parts.to_vec();
        sorted.sort_by_key(|part| if part.rows.is_empty() { 0 } else { part.rows.get(0) });
        let parts = &sorted[..];
        let follows = |pair: &[Arc<Self>]| match (&pair[0].rows, &pair[1].rows) {
            (PartRows::Range(one), PartRows::Range(next)) => one.end == next.start,
            _ => false,
        };
        match parts {
            [first, _, .., last] if parts.windows(2).all(follows) => {
                let rows = first.rows.get(0)..last.rows.get(last.rows.len() - 1) + 1;
                Some(Arc::new(BirthPart::concatenated(parts, rows)))
            }
            _ => merge_pairwise(parts),
        }
    }
}

impl BirthPart {
    /// Parts of which each begins where the one before ends; `rows` are those of all.
    fn concatenated(parts: &[Arc<BirthPart>], rows: Range<u32>) -> BirthPart {
        let mut ids: Vec<ColumnId> = parts.iter().flat_map(|part| part.columns().map(|(id, _)| id)).collect();
        ids.sort_unstable();
        ids.dedup();
        let count = rows.len();
        let column = |id: ColumnId| {
            let known = parts.iter().find_map(|part| part.column(id));
            let data_type = known.map_or(DataType::Null, |values| values.data_type().clone());
            let mut out = VectorBuffer::new(data_type);
            out.reserve(count);
            for part in parts {
                match part.column(id) {
                    Some(values) => out.append_range(&values.vector(), 0, part.rows.len()),
                    None => out.push_nulls(part.rows.len()),
                }
            }
            (id, out)
        };
        BirthPart { rows: PartRows::Range(rows), columns: ids.into_iter().map(column).collect() }
    }
}

impl Part for PatchPart {
    fn size(&self) -> usize {
        self.rows.len()
    }

    fn merge(older: &Self, newer: &Self) -> Self {
        PatchPart::merged((older, &(0..older.rows.len())), (newer, &(0..newer.rows.len())))
    }
}
