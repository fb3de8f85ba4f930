//! Rows in memory, parted by a hash of their keys: what workers have found of a key lies in the same part for all of
//! them, so that parts can be put together side by side. The parts are those that rows are put aside in, each cut into
//! a few smaller ones.

use std::ops::Range;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

use parking_lot::Mutex;

use super::context::QueryContext;
use super::error::ExecutionResult;
use super::spill::{PARTITIONS, bytes_of, first_hash};
use crate::types::{DataType, leave_if_stopped};
use crate::vector::{ValueVector, VectorBuffer};

/// Parts: so many that the table over one of them stays in a core's own cache for some millions of rows.
pub const PARTS: usize = 4 * PARTITIONS;

/// Rows that are put together between two looks for an interrupt.
pub const PIECE: usize = 1 << 14;

/// The part of a hash; divided by `PARTS / PARTITIONS` it is the partition that the row is put aside in.
fn part_of(hash: u64) -> u8 {
    const BITS: u32 = PARTS.trailing_zeros();
    (first_hash(hash) >> (64 - BITS)) as u8
}

/// The rows of one part.
pub struct PartRows {
    pub columns: Vec<VectorBuffer>,
    pub rows: usize,
}

impl PartRows {
    /// Goes through the rows in pieces, with a look for an interrupt before each.
    pub fn each_piece(
        &self,
        query: &QueryContext,
        mut each: impl FnMut(&[ValueVector<'_>], usize) -> ExecutionResult<()>,
    ) -> ExecutionResult<()> {
        for start in (0..self.rows).step_by(PIECE) {
            query.check()?;
            let vectors: Vec<ValueVector<'_>> =
                self.columns.iter().map(|column| column.vector().slice_from(start)).collect();
            each(&vectors, PIECE.min(self.rows - start))?;
        }
        Ok(())
    }
}

/// What all workers have parted, to be put together: they take one part after another.
pub struct PartQueue {
    parts: Vec<Mutex<Vec<PartRows>>>,
    next: AtomicUsize,
}

impl PartQueue {
    /// The rows of all workers.
    pub fn new(rows: impl IntoIterator<Item = Partitioned>) -> PartQueue {
        let parts = (0..PARTS).map(|_| Mutex::default()).collect();
        let mut queue = PartQueue { parts, next: AtomicUsize::new(0) };
        rows.into_iter().for_each(|rows| queue.add(rows));
        queue
    }

    /// Adds rows, before the first part is taken.
    pub fn add(&mut self, rows: Partitioned) {
        self.parts.iter_mut().zip(rows.into_parts()).for_each(|(part, own)| part.get_mut().push(own));
    }

    /// The next part's number.
    pub fn next(&self) -> Option<u64> {
        let at = self.next.fetch_add(1, Relaxed);
        (at < self.parts.len()).then_some(at as u64)
    }

    /// The rows of a part.
    pub fn take(&self, part: u64) -> Vec<PartRows> {
        self.parts.get(part as usize).map_or_else(Vec::new, |part| std::mem::take(&mut *part.lock()))
    }

    /// The memory of the largest part.
    pub fn largest_bytes(&self) -> u64 {
        let bytes = |part: &Mutex<Vec<PartRows>>| -> u64 {
            part.lock().iter().map(|own| bytes_of(&own.columns)).sum()
        };
        self.parts.iter().map(bytes).max().unwrap_or(0)
    }

    /// All rows with the numbers of their parts.
    pub fn into_rows(self) -> impl Iterator<Item = (usize, PartRows)> {
        let own = |(at, part): (usize, Mutex<Vec<PartRows>>)| {
            part.into_inner().into_iter().filter(|own| own.rows > 0).map(move |own| (at, own))
        };
        self.parts.into_iter().enumerate().flat_map(own)
    }
}

/// Rows by part.
pub struct Partitioned {
    parts: Vec<PartRows>,
}

impl Drop for Partitioned {
    fn drop(&mut self) {
        leave_if_stopped(self.bytes(), &mut self.parts);
    }
}

impl Partitioned {
    /// No rows of these types.
    pub fn new(types: &[DataType]) -> Partitioned {
        let columns = || types.iter().cloned().map(VectorBuffer::new).collect();
        Partitioned { parts: (0..PARTS).map(|_| PartRows { columns: columns(), rows: 0 }).collect() }
    }

    /// The memory of the rows.
    pub fn bytes(&self) -> u64 {
        self.parts.iter().map(|part| bytes_of(&part.columns)).sum()
    }

    /// The parts, in order.
    pub fn parts(&self) -> &[PartRows] {
        &self.parts
    }

    /// The parts, to be taken one by one.
    pub fn into_parts(mut self) -> Vec<PartRows> {
        std::mem::take(&mut self.parts)
    }

    /// Appends rows in the order that `scatter` has found: `columns` are the first ones, and `rest` appends to the
    /// others what belongs to a range of positions in that order.
    pub fn append<E>(
        &mut self,
        columns: &[ValueVector<'_>],
        scatter: &Scatter,
        mut rest: impl FnMut(Range<usize>, &mut [VectorBuffer]) -> Result<(), E>,
    ) -> Result<(), E> {
        for (at, part) in self.parts.iter_mut().enumerate() {
            let range = scatter.starts[at]..scatter.starts[at + 1];
            if range.is_empty() {
                continue;
            }
            part.rows += range.len();
            for (to, from) in part.columns.iter_mut().zip(columns) {
                to.append_rows(from, &scatter.rows[range.clone()]);
            }
            rest(range, &mut part.columns[columns.len()..])?;
        }
        Ok(())
    }
}

/// The order in which rows go to their parts.
pub struct Scatter {
    part_of: Vec<u8>,
    rows: Vec<u32>,
    starts: [usize; PARTS + 1],
}

impl Default for Scatter {
    fn default() -> Scatter {
        Scatter { part_of: Vec::new(), rows: Vec::new(), starts: [0; PARTS + 1] }
    }
}

impl Scatter {
    /// Orders rows by the part of their hashes, which stand beside them.
    pub fn order(&mut self, rows: &[u32], hashes: &[u64]) {
        let Scatter { part_of: parts, rows: ordered, starts } = self;
        parts.clear();
        parts.extend(hashes.iter().map(|hash| part_of(*hash)));
        *starts = [0; PARTS + 1];
        parts.iter().for_each(|part| starts[usize::from(*part) + 1] += 1);
        (0..PARTS).for_each(|part| starts[part + 1] += starts[part]);
        let mut next = *starts;
        ordered.clear();
        ordered.resize(rows.len(), 0);
        for (row, part) in rows.iter().zip(parts.iter()) {
            let place = &mut next[usize::from(*part)];
            ordered[*place] = *row;
            *place += 1;
        }
    }

    /// The memory of the order.
    pub fn bytes(&self) -> u64 {
        self.part_of.capacity() as u64 + self.rows.capacity() as u64 * 4
    }

    /// The rows, part by part.
    pub fn rows(&self) -> &[u32] {
        &self.rows
    }
}

/// Whether grouping is worth its while: it is not where nearly every row makes a group of its own. Then rows are only
/// parted for a while, and grouped part by part at the end.
#[derive(Default)]
pub struct Benefit {
    rows: usize,
    passing: usize,
    /// Batches are tiny: so are trials and what is passed, for tests.
    tiny: bool,
}

/// Rows after which the number of groups is looked at.
const ROWS_PER_TRIAL: usize = 16 << 10;
/// Rows that are passed before the next trial: what comes later may be of another kind.
const ROWS_PASSED: usize = 512 << 10;

/// By how much less that is where batches are tiny.
const TINY_SHARE: usize = 512;

impl Benefit {
    /// Nothing is known yet.
    pub fn new(tiny: bool) -> Benefit {
        Benefit { tiny, ..Benefit::default() }
    }

    fn scaled(&self, rows: usize) -> usize {
        if self.tiny { rows / TINY_SHARE } else { rows }
    }

    /// Whether rows are to be passed on ungrouped.
    pub fn is_passing(&self) -> bool {
        self.passing > 0
    }

    /// Rows were passed.
    pub fn passed(&mut self, rows: usize) {
        self.passing = self.passing.saturating_sub(rows);
    }

    /// Rows were grouped, and there are so many groups now; true if the next ones are to be passed on.
    pub fn grouped(&mut self, rows: usize, groups: usize) -> bool {
        self.rows += rows;
        if self.rows < self.scaled(ROWS_PER_TRIAL) || groups as u64 * 5 <= self.rows as u64 * 4 {
            return false;
        }
        (self.rows, self.passing) = (0, self.scaled(ROWS_PASSED));
        true
    }

    /// The groups are gone: the next rows start from nothing.
    pub fn start_anew(&mut self) {
        self.rows = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::vector::{Values, hash_u64};

    #[test]
    fn every_row_comes_to_one_part_and_equal_rows_to_the_same() {
        let values: Vec<i64> = (0..5000).map(|row| row % 700).collect();
        let rows: Vec<u32> = (0..5000).filter(|row| row % 3 > 0).collect();
        let hashes: Vec<u64> = rows.iter().map(|row| hash_u64(values[*row as usize] as u64)).collect();
        let mut scatter = Scatter::default();
        let mut parted = Partitioned::new(&[DataType::Int64, DataType::UInt32]);
        for _ in 0..2 {
            scatter.order(&rows, &hashes);
            let column = ValueVector::flat(Values::I64(&values));
            let rest = |range: Range<usize>, columns: &mut [VectorBuffer]| {
                columns[0].extend(&scatter.rows()[range]);
                Ok::<(), ()>(())
            };
            parted.append(&[column], &scatter, rest).expect("nothing fails");
        }
        assert_eq!(parted.parts().iter().map(|part| part.rows).sum::<usize>(), 2 * rows.len());
        let mut part_of_value = std::collections::HashMap::new();
        let mut seen: Vec<u32> = Vec::new();
        for (at, part) in parted.parts().iter().enumerate() {
            assert_eq!((part.columns[0].len(), part.columns[1].len()), (part.rows, part.rows));
            let found = part.columns[0].vector().slice_of::<i64>().expect("a flat column");
            let from = part.columns[1].vector().slice_of::<u32>().expect("a flat column");
            for (value, row) in found.iter().zip(from) {
                assert_eq!(*value, values[*row as usize]);
                assert_eq!(*part_of_value.entry(*value).or_insert(at), at);
                seen.push(*row);
            }
        }
        seen.sort_unstable();
        assert_eq!(seen, rows.iter().flat_map(|row| [*row, *row]).collect::<Vec<u32>>());
        assert!(part_of_value.values().collect::<std::collections::HashSet<_>>().len() > PARTS / 2);
    }

    #[test]
    fn rows_pass_while_they_make_groups_of_their_own_and_are_tried_again() {
        let mut benefit = Benefit::default();
        assert!(!benefit.grouped(ROWS_PER_TRIAL, ROWS_PER_TRIAL / 5 * 4));
        assert!(benefit.grouped(1, ROWS_PER_TRIAL) && benefit.is_passing());
        benefit.passed(ROWS_PASSED - 1);
        assert!(benefit.is_passing());
        benefit.passed(2);
        assert!(!benefit.is_passing() && !benefit.grouped(ROWS_PER_TRIAL - 1, ROWS_PER_TRIAL - 1));
        assert!(benefit.grouped(1, ROWS_PER_TRIAL));
    }
}
