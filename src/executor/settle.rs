//! Sub-plans inside a pipeline. `Number` gives the rows of a batch numbers and pushes them through the operators of the
//! sub-plan; what arrives at its `Settle` tells by these numbers which rows something was found for. When the batch is
//! through, `Number` sends it after them by `Operator::settle` (several together where something in the sub-plan is read
//! from disk for each time), and `Settle` puts out the rows that have to be told
//! apart: left, semi, anti and mark joins and counts, vector by vector, without a table of rows.

use super::chunks::{ChunkList, each_batch};
use super::collected::Collected;
use super::context::{Asked, Context, QueryContext};
use super::counted_rows::CountedRows;
use super::counters::count;
use super::error::ExecutionResult;
use super::messages::too_many;
use super::operator::{Flow, Next, Numbered, Operator};
use super::spill::{Room, Unseen};
use crate::planner::physical_plan::PhysicalSettle;
use crate::storage::memory::Reservation;
use crate::types::DataType;
use crate::vector::{Batch, Multiplicity, Selection, ValueVector, Values};

/// The start of a sub-plan.
pub struct Number<'x> {
    name: u32,
    multiplied: bool,
    gathered: Option<Gathered<'x>>,
    /// Rows that go through the sub-plan together, where only is asked whether it finds something.
    step: Option<usize>,
    next: Next<'x>,
}

/// Rows of several batches that go through the sub-plan together.
struct Gathered<'x> {
    types: &'x [DataType],
    rows: ChunkList,
    held: Reservation,
    /// Rows since the account was looked at.
    unseen: Unseen,
}

/// What is kept of a piece of rows at most, but for single rows of which more is found.
const PIECE_BYTES_MAX: u64 = 4 << 20;
/// What errors call it.
const OPERATOR: &str = "gathering rows for a sub-query";

impl<'x> Number<'x> {
    /// Numbers rows for the `Settle` of the same name.
    pub fn new(name: u32, multiplied: bool, next: Next<'x>) -> Number<'x> {
        Number { name, multiplied, gathered: None, step: None, next }
    }

    /// The same where a few rows go first and then more, as long as not much is found for each: where only is asked whether
    /// something is found, whoever wants no more rows need not wait for others, and where all that is found is kept, it is
    /// kept for few rows.
    pub fn in_pieces(mut self) -> Number<'x> {
        self.step = Some(1);
        self
    }

    /// The same for rows of these types, as many at once as there is memory for: inside the sub-plan something was put
    /// aside that has to be read again for each time that rows go through.
    pub fn gathering(mut self, types: &'x [DataType], query: &QueryContext) -> Number<'x> {
        let held = query.account();
        self.gathered = Some(Gathered { types, rows: ChunkList::default(), held, unseen: Unseen::default() });
        self
    }

    /// Lets rows go through the sub-plan piece by piece. One is over as soon as something was found for all of its rows.
    fn push_pieces(
        &mut self,
        context: &mut Context<'_>,
        batch: Batch<'_>,
        mut step: usize,
    ) -> ExecutionResult<Flow> {
        let mut rows = Vec::new();
        batch.selection.indices(batch.length, &mut rows);
        let mut left = &rows[..];
        while !left.is_empty() {
            let (now, later) = left.split_at(step.min(left.len()));
            left = later;
            // A batch is never longer than 16 bits can count.
            let selected: Vec<u16> = now.iter().map(|row| *row as u16).collect();
            let piece = Batch { selection: Selection::Rows(&selected), ..batch };
            context.asked.push(Asked { name: self.name, left: now.len(), found: 0, bytes: 0 });
            let flow = self.number(context, piece, 0)?;
            let asked = context.asked.pop();
            let (open, found, bytes) =
                asked.map_or((0, 0, 0), |asked| (asked.left, asked.found, asked.bytes));
            match flow {
                Flow::Stop if open > 0 => return Ok(Flow::Stop),
                Flow::Stop => count(&context.query.counters.sub_plans_left, 1),
                Flow::Continue => {}
            }
            let rows = Numbered { name: self.name, first: 0, last: true };
            if self.next.settle(context, rows, piece)? == Flow::Stop {
                return Ok(Flow::Stop);
            }
            // Where one row has more than a batch of matches it is left before all of them are there.
            let size = context.query.vector_size;
            let is_much = found > now.len() * size / 2 || bytes > PIECE_BYTES_MAX;
            step = if is_much { (step / 2).max(1) } else { (step * 2).min(size) };
            self.step = Some(step);
        }
        Ok(Flow::Continue)
    }

    /// Pushes rows whose first one gets the number `first`.
    fn number(&mut self, context: &mut Context<'_>, batch: Batch<'_>, first: usize) -> ExecutionResult<Flow> {
        let mut columns: Vec<ValueVector<'_>> = Vec::with_capacity(batch.columns.len() + 1);
        columns.extend_from_slice(batch.columns);
        columns.push(ValueVector::sequence(first as u64));
        let mut numbered = Batch { columns: &columns, ..batch };
        if !self.multiplied {
            numbered.multiplicity = Multiplicity::One;
        }
        count(&context.query.counters.rows_numbered, batch.selected() as u64);
        self.next.push(context, numbered)
    }
}

impl Operator for Number<'_> {
    fn push<'b>(&mut self, context: &mut Context<'_>, batch: Batch<'b>) -> ExecutionResult<Flow> {
        if let Some(Gathered { types, rows, held, unseen }) = &mut self.gathered {
            let query = context.query;
            if batch.selected() > 0 {
                rows.append(types, &batch);
            }
            if !unseen.is_due(batch.selected(), rows.bytes(), query) {
                return Ok(Flow::Continue);
            }
            return match query.room(held, rows.bytes(), OPERATOR)? {
                Room::Held => Ok(Flow::Continue),
                Room::Short => self.let_through(context),
            };
        }
        if let Some(step) = self.step {
            return self.push_pieces(context, batch, step);
        }
        if self.number(context, batch, 0)? == Flow::Stop {
            return Ok(Flow::Stop);
        }
        self.next.settle(context, Numbered { name: self.name, first: 0, last: true }, batch)
    }

    fn next(&mut self) -> Option<&mut dyn Operator> {
        Some(&mut *self.next)
    }

    /// Lets all rows that were gathered go through the sub-plan, and settles them: those of a sub-plan around this one too.
    fn let_through(&mut self, context: &mut Context<'_>) -> ExecutionResult<Flow> {
        let Some(gathered) = &mut self.gathered else { return Ok(Flow::Continue) };
        let rows = std::mem::take(&mut gathered.rows).chunks;
        let all: usize = rows.iter().map(|chunk| chunk.rows).sum();
        for settling in [false, true] {
            let mut first = 0;
            for chunk in &rows {
                let flow = each_batch(chunk, context, |context, batch| {
                    let at = first;
                    first += batch.length;
                    if !settling {
                        return self.number(context, batch, at);
                    }
                    let rows = Numbered { name: self.name, first: at, last: first == all };
                    self.next.settle(context, rows, batch)
                })?;
                if flow == Flow::Stop {
                    return Ok(Flow::Stop);
                }
            }
        }
        drop(rows);
        if let Some(gathered) = &mut self.gathered {
            gathered.held.shrink_to(0);
        }
        Ok(Flow::Continue)
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
    counted: CountedRows,
    collected: Option<Collected<'x>>,
    /// Whether the operators of the sub-plan may be left in the midst of their work.
    may_leave: bool,
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
            PhysicalSettle::Collect { value, list, .. } => Some(Collected::new(value, list, query)?),
            _ => None,
        };
        let (seen, counts, counted) = (Vec::new(), Vec::new(), CountedRows::default());
        Ok(Settle { name, row, kind, seen, counts, counted, collected, may_leave: false, next })
    }

    /// The same behind operators that may be left in the midst of their work: once something was found for all rows they
    /// are told to stop.
    pub fn leaving(self, may_leave: bool) -> Settle<'x> {
        Settle { may_leave, ..self }
    }

    /// Notes what was found, and says whether more may be.
    fn note(&self, context: &mut Context<'_>, found: usize, new: usize) -> Flow {
        let asked = context.asked.last_mut().filter(|asked| self.may_leave && asked.name == self.name);
        let Some(asked) = asked else { return Flow::Continue };
        asked.found += found;
        asked.left -= new.min(asked.left);
        if asked.left == 0 { Flow::Stop } else { Flow::Continue }
    }

    /// Marks the rows that something was found for; gives how many these are that were not marked before.
    fn mark(&mut self, batch: &Batch<'_>) -> ExecutionResult<usize> {
        let Some(rows) = batch.columns[self.row].native_reader::<u64>() else { return Ok(0) };
        let (mut new, mut fits) = (0, true);
        let counting = matches!(self.kind, PhysicalSettle::Count { .. } | PhysicalSettle::Counted { .. });
        batch.selection.for_each(batch.length, |row| {
            let number = rows.get(row) as usize;
            if counting {
                if self.counts.len() <= number {
                    self.counts.resize(number + 1, 0);
                }
                let found = i64::try_from(batch.multiplicity.get(row)).ok();
                match found.and_then(|found| self.counts[number].checked_add(found)) {
                    Some(sum) => self.counts[number] = sum,
                    None => fits = false,
                }
                return;
            }
            if self.seen.len() <= number / 64 {
                self.seen.resize(number / 64 + 1, 0);
            }
            new += usize::from(self.seen[number / 64] >> (number % 64) & 1 == 0);
            self.seen[number / 64] |= 1 << (number % 64);
        });
        if fits { Ok(new) } else { Err(too_many()) }
    }

    fn is_seen(&self, number: usize) -> bool {
        self.seen.get(number / 64).is_some_and(|word| word >> (number % 64) & 1 == 1)
    }

    /// The selected rows for which something was found, or nothing.
    fn chosen(&self, rows: Numbered, batch: &Batch<'_>, found: bool) -> Vec<u64> {
        let mut mask = vec![0u64; batch.length.div_ceil(64)];
        batch.selection.for_each(batch.length, |row| {
            mask[row / 64] |= u64::from(self.is_seen(rows.first + row) == found) << (row % 64);
        });
        mask
    }

    fn push_chosen(
        &mut self,
        context: &mut Context<'_>,
        (rows, batch): (Numbered, Batch<'_>),
        columns: &[ValueVector<'_>],
        found: bool,
    ) -> ExecutionResult<Flow> {
        let mask = self.chosen(rows, &batch, found);
        if rows.last {
            self.seen.clear();
        }
        if mask.iter().all(|word| *word == 0) {
            return Ok(Flow::Continue);
        }
        self.next.push(context, Batch { columns, selection: Selection::Mask(&mask), ..batch })
    }
}

impl Operator for Settle<'_> {
    fn push<'b>(&mut self, context: &mut Context<'_>, batch: Batch<'b>) -> ExecutionResult<Flow> {
        if let Some(collected) = &mut self.collected {
            let bytes = collected.add(self.row, context, &batch)?;
            if let Some(asked) = context.asked.last_mut().filter(|asked| asked.name == self.name) {
                asked.bytes = bytes;
            }
            return Ok(Flow::Continue);
        }
        let new = self.mark(&batch)?;
        let PhysicalSettle::Optional { found, .. } = self.kind else {
            return Ok(self.note(context, batch.selected(), new));
        };
        let columns: Vec<ValueVector<'_>> = found.iter().map(|at| batch.columns[*at]).collect();
        self.next.push(context, Batch { columns: &columns, ..batch })
    }

    fn settle<'b>(
        &mut self,
        context: &mut Context<'_>,
        rows: Numbered,
        batch: Batch<'b>,
    ) -> ExecutionResult<Flow> {
        if rows.name != self.name {
            return self.next.settle(context, rows, batch);
        }
        let pick = |columns: &[usize]| columns.iter().map(|at| batch.columns[*at]).collect::<Vec<_>>();
        match self.kind {
            PhysicalSettle::Optional { left, beside, .. } => {
                let column = |at: &Option<usize>| at.map_or_else(ValueVector::null, |at| batch.columns[at]);
                let columns: Vec<ValueVector<'_>> = left.iter().map(column).collect();
                if *beside {
                    if rows.last {
                        self.seen.clear();
                    }
                    return self.next.push(context, Batch { columns: &columns, ..batch });
                }
                self.push_chosen(context, (rows, batch), &columns, false)
            }
            PhysicalSettle::Semi { columns, absent } => {
                let columns = pick(columns);
                self.push_chosen(context, (rows, batch), &columns, !absent)
            }
            PhysicalSettle::Mark { columns } => {
                let mut columns = pick(columns);
                let truth = |row: usize| u8::from(self.is_seen(rows.first + row));
                let truths: Vec<u8> = (0..batch.length).map(truth).collect();
                if rows.last {
                    self.seen.clear();
                }
                columns.push(ValueVector::flat(Values::Bool(&truths)));
                self.next.push(context, Batch { columns: &columns, ..batch })
            }
            PhysicalSettle::Count { columns } => {
                let mut columns = pick(columns);
                let end = rows.first + batch.length;
                self.counts.resize(end.max(self.counts.len()), 0);
                columns.push(ValueVector::flat(Values::I64(&self.counts[rows.first..end])));
                let flow = self.next.push(context, Batch { columns: &columns, ..batch });
                if rows.last {
                    self.counts.clear();
                }
                flow
            }
            PhysicalSettle::Counted { columns, marked } => {
                let columns = pick(columns);
                let Settle { counts, counted, next, .. } = self;
                let found = |row: usize| counts.get(rows.first + row).map_or(0, |found| *found as u64);
                let flow = counted.push(context, batch, &columns, (found, *marked), &mut **next);
                if rows.last {
                    counts.clear();
                }
                flow
            }
            PhysicalSettle::Collect { columns, .. } => {
                let mut columns = pick(columns);
                let Some(collected) = &mut self.collected else { return Ok(Flow::Continue) };
                columns.push(collected.as_lists(rows, batch.length, context.query)?.vector());
                self.next.push(context, Batch { columns: &columns, ..batch })
            }
        }
    }

    fn finish(&mut self, context: &mut Context<'_>) -> ExecutionResult<()> {
        self.next.finish(context)
    }
}
