//! `COLLECT { … }` for the rows of a batch: values in the order in which they are found, and of which row each is.

use super::context::{Context, QueryContext};
use super::error::{ExecutionError, ExecutionResult};
use super::evaluate::Evaluator;
use super::operator::Numbered;
use super::spill::Unseen;
use crate::functions::ELEMENTS_PER_LOOK;
use crate::planner::physical_plan::Expression;
use crate::storage::memory::Reservation;
use crate::types::DataType;
use crate::vector::{Batch, Validity, VectorBuffer, sort_in_pieces};

/// What errors call it.
const OPERATOR: &str = "COLLECT";
/// A value that is there more often is not copied before there is room.
const REPEATED_MAX: u64 = 1 << 12;
/// Buffers that are larger are given back.
const KEPT_BYTES_MAX: u64 = 4 << 20;

/// Values found for numbered rows.
pub struct Collected<'x> {
    evaluator: Evaluator<'x>,
    values: VectorBuffer,
    /// The number of the row that each value was found for.
    rows: Vec<u32>,
    /// The values by their rows, once rows are settled, and how many of them are in lists.
    order: Vec<u32>,
    taken: usize,
    lists: VectorBuffer,
    held: Reservation,
    unseen: Unseen,
}

impl<'x> Collected<'x> {
    /// Lists of a value.
    pub fn new(value: &Expression, list: &DataType, query: &QueryContext) -> ExecutionResult<Collected<'x>> {
        Ok(Collected {
            evaluator: Evaluator::new(value, query)?,
            values: VectorBuffer::new(value.data_type.clone()),
            rows: Vec::new(),
            order: Vec::new(),
            taken: 0,
            lists: VectorBuffer::new(list.clone()),
            held: query.account(),
            unseen: Unseen::default(),
        })
    }

    /// What the values take, those in lists as well, and their order.
    fn bytes(&self) -> u64 {
        2 * self.values.bytes() as u64 + 3 * size_of::<u32>() as u64 * self.rows.capacity() as u64
    }

    /// Keeps what was found for rows whose numbers are in column `row`; gives what all takes by now.
    pub fn add(&mut self, row: usize, context: &Context<'_>, batch: &Batch<'_>) -> ExecutionResult<u64> {
        let query = context.query;
        let Some(numbers) = batch.columns[row].native_reader::<u64>() else { return Ok(0) };
        let values = self.evaluator.evaluate(query, batch)?;
        let mut selected = Vec::new();
        batch.selection.indices(batch.length, &mut selected);
        for row in selected.into_iter().map(|row| row as usize) {
            let times = batch.multiplicity.get(row);
            if times > REPEATED_MAX {
                let each = 3 * size_of::<u32>() as u64 + 2 * size_of::<u64>() as u64;
                let bytes = 2 * self.values.bytes() as u64 + self.rows.len() as u64 * each;
                self.held.hold(OPERATOR, bytes.saturating_add(times.saturating_mul(each)))?;
            }
            let all = (self.rows.len() as u64).saturating_add(times);
            if all > u64::from(u32::MAX) {
                let what = "values in the lists of COLLECT";
                return Err(ExecutionError::Overflow { what: what.into(), data_type: "UINT32".into() });
            }
            self.values.append_repeated(&values, row, times as usize);
            self.rows.resize(all as usize, numbers.get(row) as u32);
        }
        let bytes = self.bytes();
        if self.unseen.is_due(batch.selected(), bytes, query) {
            query.check()?;
            self.held.hold(OPERATOR, bytes)?;
        }
        Ok(bytes)
    }

    /// One list for each of `length` rows, in the order in which the values came.
    pub fn as_lists(
        &mut self,
        settled: Numbered,
        length: usize,
        query: &QueryContext,
    ) -> ExecutionResult<&VectorBuffer> {
        let Collected { values, rows, order, taken, lists, held, unseen, .. } = self;
        if settled.first == 0 {
            order.extend(0..rows.len() as u32);
            if !rows.is_sorted() {
                let by_row = |a: &u32, b: &u32| rows[*a as usize].cmp(&rows[*b as usize]).then(a.cmp(b));
                sort_in_pieces(order, by_row, || query.check())?;
            }
        }
        if lists.bytes() as u64 > KEPT_BYTES_MAX {
            *lists = VectorBuffer::new(lists.data_type().clone());
        }
        lists.clear();
        if let Some((ends, child)) = lists.list_mut() {
            let start = *taken;
            for row in settled.first..settled.first + length {
                let own = |place: &&u32| rows[**place as usize] as usize == row;
                *taken += order[*taken..].iter().take_while(own).count();
                ends.push((*taken - start) as u32);
            }
            for part in order[start..*taken].chunks(ELEMENTS_PER_LOOK) {
                query.check()?;
                child.append_rows(&values.vector(), part);
            }
        }
        lists.finish_rows(length, Validity::AllValid);
        if settled.last {
            if values.bytes() as u64 > KEPT_BYTES_MAX {
                *values = VectorBuffer::new(values.data_type().clone());
                (*rows, *order) = (Vec::new(), Vec::new());
            }
            values.clear();
            rows.clear();
            order.clear();
            *taken = 0;
            unseen.clear();
            held.shrink_to(lists.bytes() as u64);
        }
        Ok(lists)
    }
}
