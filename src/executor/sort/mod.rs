//! ORDER BY, with and without LIMIT. Rows are compared by a 64-bit prefix of the first key and only then by value. Every
//! worker sorts what it has gathered into a run; where memory is short, it writes runs out and goes on. At the end the
//! runs are merged while they are pushed, so that no sorted copy of all rows is made. With a limit every worker keeps no
//! more than a few times the rows asked for, and turns away what cannot be among them.

mod merge;
mod order;
mod run;

use std::cmp::Ordering;
use std::sync::Arc;

use parking_lot::Mutex;

use super::context::{Context, QueryContext};
use super::counters::count;
use super::error::ExecutionResult;
use super::evaluate::{Evaluator, made_by};
use super::operator::{Factory, Flow, Operator};
use super::pieces::{Pieces, TakesPieces};
use super::pipeline::drive;
use super::spill::{Room, Unseen, note_shared_lists};
use crate::planner::physical_plan::PhysicalSortKey;
use crate::storage::memory::{Meter, Reservation};
use crate::storage::spill::SpillFile;
use crate::types::DataType;
use crate::vector::{Batch, SelectionBuffer, ValueVector, VectorBuffer, compare_rows, sort_keys};
use merge::{MergeSource, merge_down};
use run::{Rows, Run};

/// Rows gathered beyond the limit before they are sorted and cut.
const SPARE_ROWS: usize = 8192;
const OPERATOR: &str = "Sort";

/// A sort and what its workers have gathered.
pub struct Sorting<'x> {
    keys: &'x [PhysicalSortKey],
    types: &'x [DataType],
    /// The types of rows that are put aside: columns, keys, prefix.
    stored_types: Vec<DataType>,
    /// Rows that may be needed: `skip + limit`.
    rows_max: Option<usize>,
    /// Sorted runs; those of one worker stand in the order in which their rows came.
    runs: Mutex<Vec<Run>>,
    meter: Option<Arc<Meter>>,
}

impl<'x> Sorting<'x> {
    /// A sort of rows of these types.
    pub fn new(
        keys: &'x [PhysicalSortKey],
        types: &'x [DataType],
        rows_max: Option<usize>,
        meter: Option<Arc<Meter>>,
    ) -> Sorting<'x> {
        let key_types = keys.iter().map(|key| key.expression.data_type.clone());
        let stored_types = types.iter().cloned().chain(key_types).chain([DataType::UInt64]).collect();
        Sorting { keys, types, stored_types, rows_max, runs: Mutex::default(), meter }
    }

    fn empty(&self) -> Rows {
        let buffer = |data_type: &DataType| VectorBuffer::new(data_type.clone());
        Rows {
            columns: self.types.iter().map(buffer).collect(),
            keys: self.keys.iter().map(|key| buffer(&key.expression.data_type)).collect(),
            prefixes: Vec::new(),
        }
    }

    /// The sink of one worker.
    pub fn sink<'s>(&'s self, query: &QueryContext) -> ExecutionResult<SortSink<'s>> {
        let evaluators = self.keys.iter().map(|key| Evaluator::new(&key.expression, query));
        Ok(SortSink {
            sorting: self,
            keys: evaluators.collect::<ExecutionResult<_>>()?,
            own: self.empty(),
            prefixes: Vec::new(),
            selection: SelectionBuffer::default(),
            threshold: None,
            held: query.account_of(self.meter.as_ref()),
            unseen: Unseen::default(),
            pieces: Pieces::default(),
            runs: Vec::new(),
            file: None,
        })
    }

    /// The order of two rows by their keys; prefixes were compared already.
    fn compare(&self, left: &[ValueVector<'_>], a: usize, right: &[ValueVector<'_>], b: usize) -> Ordering {
        for ((key, left), right) in self.keys.iter().zip(left).zip(right) {
            let order = compare_rows(left, a, right, b, &key.expression.data_type);
            let order = if key.descending { order.reverse() } else { order };
            if order.is_ne() {
                return order;
            }
        }
        Ordering::Equal
    }

    /// Pushes the rows in order, without the first `skip`.
    pub fn emit<'y>(&self, skip: usize, query: &'y QueryContext, sink: &Factory<'y>) -> ExecutionResult<()> {
        let runs = std::mem::take(&mut *self.runs.lock());
        let runs = merge_down(self, runs, query)?;
        drive(query, &MergeSource::new(self, runs, skip, query)?, sink)
    }
}

/// Gathers the rows of one worker; rows must stand for themselves (see `Unfold`).
pub struct SortSink<'s> {
    sorting: &'s Sorting<'s>,
    keys: Vec<Evaluator<'s>>,
    own: Rows,
    prefixes: Vec<u64>,
    selection: SelectionBuffer,
    /// Rows with a greater prefix are not among those asked for.
    threshold: Option<u64>,
    held: Reservation,
    /// Rows since the account was looked at.
    unseen: Unseen,
    pieces: Pieces,
    /// What was put aside.
    runs: Vec<Run>,
    file: Option<Arc<SpillFile>>,
}

impl SortSink<'_> {
    /// Counts what was gathered, or writes it out as a run.
    fn look(&mut self, query: &QueryContext) -> ExecutionResult<()> {
        self.unseen.clear();
        if query.room(&mut self.held, self.own.bytes(), OPERATOR)? == Room::Held {
            return Ok(());
        }
        let file = match &self.file {
            Some(file) => Arc::clone(file),
            None => Arc::clone(self.file.insert(query.spill_file(OPERATOR)?)),
        };
        let own = std::mem::replace(&mut self.own, self.sorting.empty());
        let order = self.sorting.order(&own, query)?;
        self.runs.push(self.sorting.write_run(&own, &order, file, query)?);
        drop(own);
        self.held.shrink_to(0);
        Ok(())
    }

    /// Leaves the rows that can be among the `most` asked for.
    fn cut(&mut self, most: usize, query: &QueryContext) -> ExecutionResult<()> {
        let order = self.sorting.order(&self.own, query)?;
        let mut kept = self.sorting.empty();
        kept.append(&self.own, &order);
        self.own = kept;
        let is_full = self.own.prefixes.len() >= most;
        self.threshold = self.own.prefixes.last().copied().filter(|_| is_full).or(self.threshold);
        Ok(())
    }
}

impl TakesPieces for SortSink<'_> {
    fn pieces(&mut self) -> &mut Pieces {
        &mut self.pieces
    }

    fn made(&mut self) -> Option<u64> {
        made_by(&mut self.keys)
    }

    fn take(&mut self, context: &mut Context<'_>, batch: &Batch<'_>) -> ExecutionResult<Flow> {
        let SortSink { sorting, keys, own, prefixes, selection, threshold, .. } = self;
        let mut vectors: Vec<ValueVector<'_>> = Vec::with_capacity(keys.len());
        for key in keys {
            vectors.push(key.evaluate(context.query, batch)?);
        }
        let Some((first, vector)) = sorting.keys.first().zip(vectors.first()) else {
            return Ok(Flow::Continue);
        };
        sort_keys(vector, &first.expression.data_type, batch.length, prefixes);
        if first.descending {
            prefixes.iter_mut().for_each(|prefix| *prefix = !*prefix);
        }
        let mut kept = batch.selection;
        if let Some(most) = *threshold {
            selection.reset(batch.selection, batch.length);
            let before = selection.count();
            for (index, word) in selection.words_mut().iter_mut().enumerate() {
                for (bit, prefix) in prefixes[index * 64..].iter().take(64).enumerate() {
                    *word &= !(u64::from(*prefix > most) << bit);
                }
            }
            count(&context.query.counters.rows_cut_by_top_k, (before - selection.count()) as u64);
            if selection.is_empty() {
                return Ok(Flow::Continue);
            }
            kept = selection.view();
        }
        for (column, vector) in own.columns.iter_mut().zip(batch.columns) {
            column.append(vector, batch.length, kept);
        }
        for (column, vector) in own.keys.iter_mut().zip(&vectors) {
            column.append(vector, batch.length, kept);
        }
        let before = own.prefixes.len();
        kept.for_each(batch.length, |row| own.prefixes.push(prefixes[row]));
        let added = self.own.prefixes.len() - before;
        if let Some(most) = self.sorting.rows_max {
            let spare = SPARE_ROWS.max(most.saturating_mul(3).min(1 << 20));
            if self.own.prefixes.len() >= most.saturating_add(spare) {
                self.cut(most, context.query)?;
            }
        }
        if self.unseen.is_due(added, self.own.bytes(), context.query) {
            // Wide rows are not kept for long where few of them are asked for.
            let most = self.sorting.rows_max.filter(|most| self.own.prefixes.len() / 2 >= *most);
            if let Some(most) = most {
                self.cut(most, context.query)?;
            }
            self.look(context.query)?;
        }
        Ok(Flow::Continue)
    }
}

impl Operator for SortSink<'_> {
    fn push<'b>(&mut self, context: &mut Context<'_>, batch: Batch<'b>) -> ExecutionResult<Flow> {
        self.push_copied(context, &batch)
    }

    fn finish(&mut self, context: &mut Context<'_>) -> ExecutionResult<()> {
        let query = context.query;
        if self.unseen.any() {
            self.look(query)?;
        }
        note_shared_lists(self.own.columns.iter().chain(&self.own.keys), query);
        if !self.own.prefixes.is_empty() {
            let rows = std::mem::replace(&mut self.own, self.sorting.empty());
            let order = self.sorting.order(&rows, query)?;
            let held = std::mem::replace(&mut self.held, query.account());
            self.runs.push(Run::Held { rows, order, _held: held });
        }
        self.sorting.runs.lock().append(&mut self.runs);
        Ok(())
    }
}
