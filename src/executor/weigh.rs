//! Semi, anti and mark joins and counts by arrays over node offsets: what a pattern finds below a node was counted for
//! all nodes at once by message passing, and a row only looks it up.

use super::context::Context;
use super::counted_rows::CountedRows;
use super::counters::count;
use super::error::ExecutionResult;
use super::messages::too_many;
use super::operator::{Flow, Next, Operator};
use super::scan_weighted::WeightTable;
use crate::planner::physical_plan::Answer;
use crate::vector::{Batch, Selection, ValueVector, Values};

/// Answers put beside rows, or rows that pass by them.
pub struct Answers {
    answer: Answer,
    /// How much was found for each row of a batch.
    pub found: Vec<u64>,
    mask: Vec<u64>,
    truths: Vec<u8>,
    counts: Vec<i64>,
    counted: CountedRows,
}

impl Answers {
    /// Answers of this form.
    pub fn new(answer: Answer) -> Answers {
        let (found, mask, truths, counts) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
        Answers { answer, found, mask, truths, counts, counted: CountedRows::default() }
    }

    /// Nothing is found yet for the rows of a batch.
    pub fn reset(&mut self, length: usize) {
        self.found.clear();
        self.found.resize(length, 0);
    }

    /// Pushes the batch with its answers.
    pub fn push(
        &mut self,
        context: &mut Context<'_>,
        batch: Batch<'_>,
        next: &mut dyn Operator,
    ) -> ExecutionResult<Flow> {
        let Answers { answer, found, mask, truths, counts, counted } = self;
        let mut columns: Vec<ValueVector<'_>> = Vec::with_capacity(batch.columns.len() + 1);
        match answer {
            Answer::Exists | Answer::Absent => {
                let wanted = *answer == Answer::Exists;
                mask.clear();
                mask.resize(batch.length.div_ceil(64), 0);
                batch.selection.for_each(batch.length, |row| {
                    mask[row / 64] |= u64::from((found[row] != 0) == wanted) << (row % 64);
                });
                if mask.iter().all(|word| *word == 0) {
                    return Ok(Flow::Continue);
                }
                return next.push(context, Batch { selection: Selection::Mask(mask), ..batch });
            }
            Answer::Counted { marked } => {
                let found = |row: usize| found[row];
                return counted.push(context, batch, batch.columns, (found, *marked), next);
            }
            Answer::Mark => {
                truths.clear();
                truths.extend(found.iter().map(|found| u8::from(*found != 0)));
                columns.extend_from_slice(batch.columns);
                columns.push(ValueVector::flat(Values::Bool(truths)));
            }
            Answer::Count => {
                counts.clear();
                if found.iter().any(|found| i64::try_from(*found).is_err()) {
                    return Err(too_many());
                }
                counts.extend(found.iter().map(|found| *found as i64));
                columns.extend_from_slice(batch.columns);
                columns.push(ValueVector::flat(Values::I64(counts)));
            }
        }
        next.push(context, Batch { columns: &columns, ..batch })
    }
}

/// Settles rows by what hangs below the node in a column.
pub struct Weigh<'x> {
    column: usize,
    table: &'x WeightTable,
    answers: Answers,
    next: Next<'x>,
}

impl<'x> Weigh<'x> {
    /// Settles before `next`.
    pub fn new(column: usize, table: &'x WeightTable, answer: Answer, next: Next<'x>) -> Weigh<'x> {
        Weigh { column, table, answers: Answers::new(answer), next }
    }
}

impl Operator for Weigh<'_> {
    fn push<'b>(&mut self, context: &mut Context<'_>, batch: Batch<'b>) -> ExecutionResult<Flow> {
        let Weigh { column, table, answers, next } = self;
        let nodes = &batch.columns[*column];
        answers.reset(batch.length);
        count(&context.query.counters.rows_weighed, batch.selected() as u64);
        if let Some(reader) = nodes.native_reader::<u64>() {
            let nullable = !nodes.has_no_nulls();
            batch.selection.for_each(batch.length, |row| {
                if !(nullable && nodes.is_null(row)) {
                    answers.found[row] = table.get(reader.get(row));
                }
            });
        }
        answers.push(context, batch, &mut **next)
    }

    fn next(&mut self) -> Option<&mut dyn Operator> {
        Some(&mut *self.next)
    }
}
