//! Merging sorted runs. A heap holds the run whose next row is the least; rows are taken from the runs' blocks and put
//! together batch by batch. More runs than may have a block in memory each are first merged into fewer.

use std::cmp::Ordering;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};

use parking_lot::Mutex;

use super::super::context::{Context, QueryContext};
use super::super::error::ExecutionResult;
use super::super::operator::{Flow, Operator};
use super::super::pipeline::Source;
use super::run::{Rows, Run};
use super::{OPERATOR, Sorting};
use crate::storage::memory::Reservation;
use crate::vector::{Batch, ValueVector, VectorBuffer, compare_rows};

/// Runs that are merged at once, where memory allows it, and where it does not.
const FAN_IN_MAX: usize = 64;
const FAN_IN_MIN: usize = 4;
/// Rows that a merge into fewer runs puts aside at once, where its own runs have no smaller blocks.
const BLOCK_ROWS: usize = 1024;

/// One run and how far it is read.
struct Head {
    run: Run,
    /// The block of a run that was put aside, and the number of the next one.
    block: Rows,
    next_block: usize,
    at: usize,
}

impl Head {
    fn rows(&self) -> &Rows {
        match &self.run {
            Run::Held { rows, .. } => rows,
            Run::Aside { .. } => &self.block,
        }
    }

    /// Rows that can be taken without reading.
    fn length(&self) -> usize {
        match &self.run {
            Run::Held { order, .. } => order.len(),
            Run::Aside { .. } => self.block.prefixes.len(),
        }
    }

    /// The position of the next row among `rows`.
    fn row(&self, ahead: usize) -> usize {
        match &self.run {
            Run::Held { order, .. } => order[self.at + ahead] as usize,
            Run::Aside { .. } => self.at + ahead,
        }
    }
}

/// What a batch of merged rows takes at most, about: wide rows go on in small ones.
const BATCH_BYTES_MAX: u64 = 4 << 20;

/// A merge that is under way.
struct Merge<'m> {
    sorting: &'m Sorting<'m>,
    heads: Vec<Head>,
    /// Heads that have rows, the least first, each before its two children.
    heap: Vec<usize>,
    /// Rows that were chosen and not copied yet: head and position.
    picked: Vec<(usize, u32)>,
    /// Rows that may still be asked for.
    left: usize,
    _held: Reservation,
}

impl<'m> Merge<'m> {
    fn new(sorting: &'m Sorting<'m>, runs: Vec<Run>, query: &QueryContext) -> ExecutionResult<Merge<'m>> {
        // A few blocks are all that a merge needs; without them it could not end.
        let mut held = query.account_of(sorting.meter.as_ref());
        held.force(runs.iter().map(|run| 2 * run.block_bytes()).sum());
        let mut heads = Vec::with_capacity(runs.len());
        for run in runs {
            let mut head = Head { run, block: Rows::default(), next_block: 0, at: 0 };
            refill(sorting, &mut head, query)?;
            heads.push(head);
        }
        let heap = (0..heads.len()).filter(|at| heads[*at].length() > 0).collect();
        let left = sorting.rows_max.unwrap_or(usize::MAX);
        let mut merge = Merge { sorting, heads, heap, picked: Vec::new(), left, _held: held };
        (0..merge.heap.len() / 2).rev().for_each(|at| merge.sift(at));
        Ok(merge)
    }

    /// Whether the next row of head `a` comes before that of head `b`.
    fn precedes(&self, a: usize, b: usize) -> bool {
        let (left, right) = (&self.heads[a], &self.heads[b]);
        let (left_row, right_row) = (left.row(0), right.row(0));
        let (left, right) = (left.rows(), right.rows());
        let by_prefix = left.prefixes[left_row].cmp(&right.prefixes[right_row]);
        let by_keys = || {
            for ((key, left), right) in self.sorting.keys.iter().zip(&left.keys).zip(&right.keys) {
                let data_type = &key.expression.data_type;
                let order = compare_rows(&left.vector(), left_row, &right.vector(), right_row, data_type);
                if order.is_ne() {
                    return if key.descending { order.reverse() } else { order };
                }
            }
            Ordering::Equal
        };
        // Of equal rows those of the earlier run came first.
        by_prefix.then_with(by_keys).then(a.cmp(&b)).is_lt()
    }

    /// Lets the entry at a place of the heap sink to where it belongs.
    fn sift(&mut self, mut at: usize) {
        loop {
            let mut least = at;
            for child in [2 * at + 1, 2 * at + 2] {
                if child < self.heap.len() && self.precedes(self.heap[child], self.heap[least]) {
                    least = child;
                }
            }
            if least == at {
                return;
            }
            self.heap.swap(at, least);
            at = least;
        }
    }

    /// Appends the next rows, at most `most`; with their keys where they will be merged again.
    fn take(
        &mut self,
        most: usize,
        with_keys: bool,
        out: &mut Rows,
        query: &QueryContext,
    ) -> ExecutionResult<usize> {
        let wanted = most.min(self.left);
        let mut taken = 0;
        let mut is_full = false;
        while taken < wanted
            && !is_full
            && let Some(top) = self.heap.first().copied()
        {
            let head = &mut self.heads[top];
            // The last run is taken in one go.
            let count = if self.heap.len() == 1 { (head.length() - head.at).min(wanted - taken) } else { 1 };
            self.picked.extend((0..count).map(|ahead| (top, head.row(ahead) as u32)));
            head.at += count;
            taken += count;
            if head.at == head.length() {
                self.copy(with_keys, out);
                is_full = out.bytes() >= BATCH_BYTES_MAX;
                let head = &mut self.heads[top];
                if !refill(self.sorting, head, query)? {
                    self.heap.swap_remove(0);
                }
            }
            self.sift(0);
        }
        self.copy(with_keys, out);
        self.left -= taken;
        Ok(taken)
    }

    /// Copies the chosen rows.
    fn copy(&mut self, with_keys: bool, out: &mut Rows) {
        let mut rows: Vec<u32> = Vec::new();
        for same in self.picked.chunk_by(|a, b| a.0 == b.0) {
            rows.clear();
            rows.extend(same.iter().map(|(_, row)| *row));
            let from = self.heads[same[0].0].rows();
            if with_keys {
                out.append(from, &rows);
                continue;
            }
            for (to, from) in out.columns.iter_mut().zip(&from.columns) {
                to.append_rows(&from.vector(), &rows);
            }
        }
        self.picked.clear();
    }
}

/// Reads the next block once the one before is used up; false at the end of the run.
fn refill(sorting: &Sorting<'_>, head: &mut Head, query: &QueryContext) -> ExecutionResult<bool> {
    match &head.run {
        Run::Held { order, .. } => Ok(head.at < order.len()),
        Run::Aside { file, blocks } => {
            let block = blocks.get(head.next_block);
            head.block = match block {
                Some(block) => sorting.read_block(file, block, query)?,
                None => Rows::default(),
            };
            (head.next_block, head.at) = (head.next_block + 1, 0);
            Ok(!head.block.prefixes.is_empty())
        }
    }
}

/// Merges neighbouring runs until so few are left that each may have a block in memory.
pub(super) fn merge_down(
    sorting: &Sorting<'_>,
    mut runs: Vec<Run>,
    query: &QueryContext,
) -> ExecutionResult<Vec<Run>> {
    loop {
        let block = runs.iter().map(Run::block_bytes).max().unwrap_or(0).max(1);
        let memory = query.memory().stats();
        let free = memory.limit.saturating_sub(memory.total.used) / 4;
        let fan_in = usize::try_from(free / (2 * block)).unwrap_or(usize::MAX);
        let fan_in = fan_in.clamp(FAN_IN_MIN, FAN_IN_MAX);
        if runs.len() <= fan_in || block == 1 {
            return Ok(runs);
        }
        let file = query.spill_file(OPERATOR)?;
        let mut fewer = Vec::new();
        let mut rest = runs.into_iter();
        loop {
            let some: Vec<Run> = rest.by_ref().take(fan_in).collect();
            if some.is_empty() {
                break;
            }
            let block_rows =
                some.iter().filter_map(Run::block_rows).max().unwrap_or(BLOCK_ROWS).min(BLOCK_ROWS);
            let (mut merge, mut blocks) = (Merge::new(sorting, some, query)?, Vec::new());
            let mut rows = sorting.empty();
            while merge.take(block_rows, true, &mut rows, query)? > 0 {
                blocks.push(sorting.write_block(&rows, &file, query)?);
                rows.clear();
            }
            fewer.push(Run::Aside { file: Arc::clone(&file), blocks });
        }
        runs = fewer;
    }
}

/// Pushes merged rows, by one worker.
pub(super) struct MergeSource<'m> {
    merge: Mutex<Merge<'m>>,
    skip: usize,
    types: &'m Sorting<'m>,
    /// Rows of a batch.
    batch_rows: usize,
    taken: AtomicBool,
}

impl<'m> MergeSource<'m> {
    pub fn new(
        sorting: &'m Sorting<'m>,
        runs: Vec<Run>,
        skip: usize,
        query: &QueryContext,
    ) -> ExecutionResult<MergeSource<'m>> {
        let row_bytes = runs.iter().map(Run::row_bytes).max().unwrap_or(0).max(1);
        let batch_rows = usize::try_from(BATCH_BYTES_MAX / row_bytes).unwrap_or(usize::MAX);
        let batch_rows = batch_rows.clamp(1, query.vector_size);
        let merge = Mutex::new(Merge::new(sorting, runs, query)?);
        Ok(MergeSource { merge, skip, types: sorting, batch_rows, taken: AtomicBool::new(false) })
    }
}

impl Source for MergeSource<'_> {
    fn next_morsel(&self) -> Option<u64> {
        (!self.taken.swap(true, Relaxed)).then_some(0)
    }

    fn run(&self, _: u64, context: &mut Context<'_>, next: &mut dyn Operator) -> ExecutionResult<Flow> {
        let query = context.query;
        let mut merge = self.merge.lock();
        let (mut rows, mut skip) = (self.types.empty(), self.skip);
        loop {
            query.check()?;
            rows.clear();
            let taken = merge.take(self.batch_rows, false, &mut rows, query)?;
            if taken == 0 {
                return Ok(Flow::Continue);
            }
            let left_out = skip.min(taken);
            skip -= left_out;
            if left_out == taken {
                continue;
            }
            let columns: Vec<ValueVector<'_>> = rows
                .columns
                .iter()
                .map(VectorBuffer::vector)
                .map(|column| column.slice_from(left_out))
                .collect();
            if next.push(context, Batch::new(&columns, taken - left_out))? == Flow::Stop {
                return Ok(Flow::Stop);
            }
        }
    }

    fn parallelism(&self) -> usize {
        1
    }
}
