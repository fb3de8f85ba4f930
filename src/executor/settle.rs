//! Sub-plans inside a pipeline. `Number` gives the rows of a batch numbers and pushes them through the operators of the
//! sub-plan; what arrives at its `Settle` tells by these numbers which rows something was found for. When the batch is
//! through, `Number` sends it after them by `Operator::settle`, and `Settle` puts out the rows that have to be told
//! apart: left, semi, anti and mark joins and counts, vector by vector, without a table of rows.

use super::context::{Context, QueryContext};
use super::counters::count;
use super::error::ExecutionResult;
use super::evaluate::Evaluator;
use super::operator::{Flow, Next, Operator};
use crate::planner::physical_plan::PhysicalSettle;
use crate::vector::{Batch, Multiplicity, Selection, Validity, ValueVector, Values, VectorBuffer};

/// The start of a sub-plan.
pub struct Number<'x> {
    name: u32,
    multiplied: bool,
    next: Next<'x>,
}

impl<'x> Number<'x> {
    /// Numbers rows for the `Settle` of the same name.
    pub fn new(name: u32, multiplied: bool, next: Next<'x>) -> Number<'x> {
        Number { name, multiplied, next }
    }
}

impl Operator for Number<'_> {
    fn push<'b>(&mut self, context: &mut Context<'_>, batch: Batch<'b>) -> ExecutionResult<Flow> {
        let mut columns: Vec<ValueVector<'_>> = Vec::with_capacity(batch.columns.len() + 1);
        columns.extend_from_slice(batch.columns);
        columns.push(ValueVector::sequence(0));
        let mut numbered = Batch { columns: &columns, ..batch };
        if !self.multiplied {
            numbered.multiplicity = Multiplicity::One;
        }
        count(&context.query.counters.rows_numbered, batch.selected() as u64);
        if self.next.push(context, numbered)? == Flow::Stop {
            return Ok(Flow::Stop);
        }
        self.next.settle(context, self.name, batch)
    }

    fn next(&mut self) -> Option<&mut dyn Operator> {
        Some(&mut *self.next)
    }
}

/// Values found for numbered rows.
struct Collected<'x> {
    evaluator: Evaluator<'x>,
    values: VectorBuffer,
    /// The number of the row that each value was found for.
    rows: Vec<u32>,
    lists: VectorBuffer,
}

impl Collected<'_> {
    fn add(&mut self, row: usize, context: &Context<'_>, batch: &Batch<'_>) -> ExecutionResult<()> {
        let Some(numbers) = batch.columns[row].native_reader::<u64>() else { return Ok(()) };
        let values = self.evaluator.evaluate(context.query, batch)?;
        batch.selection.for_each(batch.length, |row| {
            let times = batch.multiplicity.get(row) as usize;
            self.values.append_repeated(&values, row, times);
            self.rows.resize(self.rows.len() + times, numbers.get(row) as u32);
        });
        Ok(())
    }

    /// One list for each of `length` rows, in the order in which the values came.
    fn as_lists(&mut self, length: usize) -> &VectorBuffer {
        let Collected { values, rows, lists, .. } = self;
        let mut order: Vec<u32> = (0..rows.len() as u32).collect();
        order.sort_by_key(|place| rows[*place as usize]);
        lists.clear();
        if let Some((ends, child)) = lists.list_mut() {
            child.append_rows(&values.vector(), &order);
            let mut end = 0;
            for row in 0..length {
                end += order[end..].iter().take_while(|place| rows[**place as usize] as usize == row).count();
                ends.push(end as u32);
            }
        }
        lists.finish_rows(length, Validity::AllValid);
        values.clear();
        rows.clear();
        lists
    }
}

/// The end of a sub-plan.
pub struct Settle<'x> {
    name: u32,
    row: usize,
    kind: &'x PhysicalSettle,
    /// A bit for each numbered row that something was found for.
    seen: Vec<u64>,
    /// How much was found for each numbered row, where that is asked.
    counts: Vec<i64>,
    collected: Option<Collected<'x>>,
    next: Next<'x>,
}

impl<'x> Settle<'x> {
    /// Settles the rows of the `Number` of the same name before `next`.
    pub fn new(
        name: u32,
        row: usize,
        kind: &'x PhysicalSettle,
        query: &QueryContext,
        next: Next<'x>,
    ) -> ExecutionResult<Settle<'x>> {
        let collected = match kind {
            PhysicalSettle::Collect { value, list, .. } => Some(Collected {
                evaluator: Evaluator::new(value, query)?,
                values: VectorBuffer::new(value.data_type.clone()),
                rows: Vec::new(),
                lists: VectorBuffer::new(list.clone()),
            }),
            _ => None,
        };
        Ok(Settle { name, row, kind, seen: Vec::new(), counts: Vec::new(), collected, next })
    }

    fn mark(&mut self, batch: &Batch<'_>) {
        let Some(rows) = batch.columns[self.row].native_reader::<u64>() else { return };
        let counting = matches!(self.kind, PhysicalSettle::Count { .. });
        batch.selection.for_each(batch.length, |row| {
            let number = rows.get(row) as usize;
            if counting {
                if self.counts.len() <= number {
                    self.counts.resize(number + 1, 0);
                }
                let found = i64::try_from(batch.multiplicity.get(row)).unwrap_or(i64::MAX);
                self.counts[number] = self.counts[number].saturating_add(found);
                return;
            }
            if self.seen.len() <= number / 64 {
                self.seen.resize(number / 64 + 1, 0);
            }
            self.seen[number / 64] |= 1 << (number % 64);
        });
    }

    /// The selected rows for which something was found, or nothing.
    fn chosen(&self, batch: &Batch<'_>, found: bool) -> Vec<u64> {
        let mut mask = vec![0u64; batch.length.div_ceil(64)];
        batch.selection.for_each(batch.length, |row| {
            let seen = self.seen.get(row / 64).is_some_and(|word| word >> (row % 64) & 1 == 1);
            mask[row / 64] |= u64::from(seen == found) << (row % 64);
        });
        mask
    }

    fn push_chosen(
        &mut self,
        context: &mut Context<'_>,
        batch: Batch<'_>,
        columns: &[ValueVector<'_>],
        found: bool,
    ) -> ExecutionResult<Flow> {
        let mask = self.chosen(&batch, found);
        self.seen.clear();
        if mask.iter().all(|word| *word == 0) {
            return Ok(Flow::Continue);
        }
        self.next.push(context, Batch { columns, selection: Selection::Mask(&mask), ..batch })
    }
}

impl Operator for Settle<'_> {
    fn push<'b>(&mut self, context: &mut Context<'_>, batch: Batch<'b>) -> ExecutionResult<Flow> {
        if let Some(collected) = &mut self.collected {
            collected.add(self.row, context, &batch)?;
            return Ok(Flow::Continue);
        }
        self.mark(&batch);
        let PhysicalSettle::Optional { found, .. } = self.kind else { return Ok(Flow::Continue) };
        let columns: Vec<ValueVector<'_>> = found.iter().map(|at| batch.columns[*at]).collect();
        self.next.push(context, Batch { columns: &columns, ..batch })
    }

    fn settle<'b>(
        &mut self,
        context: &mut Context<'_>,
        name: u32,
        batch: Batch<'b>,
    ) -> ExecutionResult<Flow> {
        if name != self.name {
            return self.next.settle(context, name, batch);
        }
        let pick = |columns: &[usize]| columns.iter().map(|at| batch.columns[*at]).collect::<Vec<_>>();
        match self.kind {
            PhysicalSettle::Optional { left, .. } => {
                let column = |at: &Option<usize>| at.map_or_else(ValueVector::null, |at| batch.columns[at]);
                let columns: Vec<ValueVector<'_>> = left.iter().map(column).collect();
                self.push_chosen(context, batch, &columns, false)
            }
            PhysicalSettle::Semi { columns, absent } => {
                let columns = pick(columns);
                self.push_chosen(context, batch, &columns, !absent)
            }
            PhysicalSettle::Mark { columns } => {
                let mut columns = pick(columns);
                let truths: Vec<u8> = (0..batch.length)
                    .map(|row| {
                        u8::from(self.seen.get(row / 64).is_some_and(|word| word >> (row % 64) & 1 == 1))
                    })
                    .collect();
                self.seen.clear();
                columns.push(ValueVector::flat(Values::Bool(&truths)));
                self.next.push(context, Batch { columns: &columns, ..batch })
            }
            PhysicalSettle::Count { columns } => {
                let mut columns = pick(columns);
                self.counts.resize(batch.length, 0);
                columns.push(ValueVector::flat(Values::I64(&self.counts)));
                let flow = self.next.push(context, Batch { columns: &columns, ..batch });
                self.counts.clear();
                flow
            }
            PhysicalSettle::Collect { columns, .. } => {
                let mut columns = pick(columns);
                let Some(collected) = &mut self.collected else { return Ok(Flow::Continue) };
                columns.push(collected.as_lists(batch.length).vector());
                self.next.push(context, Batch { columns: &columns, ..batch })
            }
        }
    }

    fn finish(&mut self, context: &mut Context<'_>) -> ExecutionResult<()> {
        self.next.finish(context)
    }
}
