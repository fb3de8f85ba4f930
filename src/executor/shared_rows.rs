//! Rows that a query about each row of a plan is asked about all together: they are kept once, read with their numbers
//! by the query and by the join that puts its answers beside them, and limited for each number.

use std::sync::atomic::{AtomicU64, Ordering};

use super::chunks::ChunkList;
use super::context::Context;
use super::error::ExecutionResult;
use super::operator::{Flow, Next, Operator};
use super::pipeline::Source;
use crate::vector::{Batch, Multiplicity, Selection, ValueVector};

/// Puts out kept rows behind their numbers.
pub struct SharedRows<'x> {
    rows: &'x ChunkList,
    /// The number of the first row of each chunk.
    firsts: Vec<u64>,
    multiplied: bool,
    next: AtomicU64,
}

impl<'x> SharedRows<'x> {
    /// A source; `multiplied` rows stand for as many as those that were kept.
    pub fn new(rows: &'x ChunkList, multiplied: bool) -> SharedRows<'x> {
        let mut first = 0;
        let mut firsts = Vec::with_capacity(rows.pieces());
        for piece in 0..rows.pieces() {
            firsts.push(first);
            first += rows.piece_rows(piece) as u64;
        }
        SharedRows { rows, firsts, multiplied, next: AtomicU64::new(0) }
    }
}

impl Source for SharedRows<'_> {
    fn next_morsel(&self) -> Option<u64> {
        let at = self.next.fetch_add(1, Ordering::Relaxed);
        (at < self.firsts.len() as u64).then_some(at)
    }

    fn morsels(&self) -> Option<u64> {
        Some(self.firsts.len() as u64)
    }

    fn run(&self, morsel: u64, context: &mut Context<'_>, next: &mut dyn Operator) -> ExecutionResult<Flow> {
        let at = morsel as usize;
        let (Some(chunk), Some(first)) = (self.rows.piece(at, context.query)?, self.firsts.get(at)) else {
            return Ok(Flow::Continue);
        };
        let size = context.query.vector_size;
        let mut start = 0;
        while start < chunk.rows {
            let length = size.min(chunk.rows - start);
            let mut columns = vec![ValueVector::sequence(first + start as u64)];
            columns.extend(chunk.columns.iter().map(|column| column.vector().slice_from(start)));
            let mut batch = Batch::new(&columns, length);
            if self.multiplied && !chunk.multiplicity.is_empty() {
                batch.multiplicity = Multiplicity::PerRow(&chunk.multiplicity[start..start + length]);
            }
            if next.push(context, batch)? == Flow::Stop {
                return Ok(Flow::Stop);
            }
            start += length;
        }
        Ok(Flow::Continue)
    }

    fn parallelism(&self) -> usize {
        self.firsts.len().div_ceil(2)
    }
}

/// SKIP and LIMIT for each number; the rows of one follow each other, and each stands for itself.
pub struct LimitEach<'x> {
    column: usize,
    skip: u64,
    limit: u64,
    /// The number that the last row had, and how many rows it had by then.
    current: Option<(u64, u64)>,
    next: Next<'x>,
}

impl<'x> LimitEach<'x> {
    /// Limits the runs of equal numbers in `column` before `next`.
    pub fn new(column: usize, skip: u64, limit: Option<u64>, next: Next<'x>) -> LimitEach<'x> {
        LimitEach { column, skip, limit: limit.unwrap_or(u64::MAX), current: None, next }
    }
}

impl Operator for LimitEach<'_> {
    fn push<'b>(&mut self, context: &mut Context<'_>, batch: Batch<'b>) -> ExecutionResult<Flow> {
        let Some(numbers) = batch.columns[self.column].native_reader::<u64>() else {
            return Ok(Flow::Continue);
        };
        let mut mask = vec![0u64; batch.length.div_ceil(64)];
        let mut any = false;
        batch.selection.for_each(batch.length, |row| {
            let number = numbers.get(row);
            let met = match self.current {
                Some((current, met)) if current == number => met,
                _ => 0,
            };
            self.current = Some((number, met + 1));
            let wanted = met >= self.skip && met - self.skip < self.limit;
            any |= wanted;
            mask[row / 64] |= u64::from(wanted) << (row % 64);
        });
        if !any {
            return Ok(Flow::Continue);
        }
        self.next.push(context, Batch { selection: Selection::Mask(&mask), ..batch })
    }

    fn finish(&mut self, context: &mut Context<'_>) -> ExecutionResult<()> {
        self.next.finish(context)
    }
}
