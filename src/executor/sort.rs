//! ORDER BY, with and without LIMIT. Rows are compared by a 64-bit prefix of the first key and only then by value. With
//! a limit every worker keeps no more than a few times the rows asked for, and turns away what cannot be among them.

use std::cmp::Ordering;

use parking_lot::Mutex;

use super::chunks::{Chunk, ChunkSource};
use super::context::{Context, QueryContext};
use super::counters::count;
use super::error::ExecutionResult;
use super::evaluate::Evaluator;
use super::operator::{Factory, Flow, Operator};
use super::pipeline::drive;
use crate::planner::physical_plan::PhysicalSortKey;
use crate::types::DataType;
use crate::vector::{Batch, SelectionBuffer, ValueVector, VectorBuffer, compare_rows, sort_keys};

/// Rows gathered beyond the limit before they are sorted and cut.
const SPARE_ROWS: usize = 8192;

/// A sort and what its workers have gathered.
pub struct Sorting<'x> {
    keys: &'x [PhysicalSortKey],
    types: &'x [DataType],
    /// Rows that may be needed: `skip + limit`.
    rows_max: Option<usize>,
    gathered: Mutex<Rows>,
}

/// Rows with their sort keys, unsorted.
#[derive(Default)]
struct Rows {
    columns: Vec<VectorBuffer>,
    keys: Vec<VectorBuffer>,
    /// The first key's order-preserving prefix.
    prefixes: Vec<u64>,
}

impl<'x> Sorting<'x> {
    /// A sort of rows of these types.
    pub fn new(keys: &'x [PhysicalSortKey], types: &'x [DataType], rows_max: Option<usize>) -> Sorting<'x> {
        let sorting = Sorting { keys, types, rows_max, gathered: Mutex::new(Rows::default()) };
        *sorting.gathered.lock() = sorting.empty();
        sorting
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
        })
    }

    /// The positions of all rows in order.
    fn order(&self, rows: &Rows) -> Vec<u32> {
        let vectors: Vec<ValueVector<'_>> = rows.keys.iter().map(VectorBuffer::vector).collect();
        let compare = |a: &u32, b: &u32| {
            let (a, b) = (*a as usize, *b as usize);
            rows.prefixes[a].cmp(&rows.prefixes[b]).then_with(|| self.compare(&vectors, a, &vectors, b))
        };
        let mut order: Vec<u32> = (0..rows.prefixes.len() as u32).collect();
        if let Some(most) = self.rows_max.filter(|most| *most < order.len()) {
            if most == 0 {
                return Vec::new();
            }
            order.select_nth_unstable_by(most - 1, compare);
            order.truncate(most);
        }
        // Rows that are equal stay in the order in which they came.
        order.sort_unstable_by(|a, b| compare(a, b).then(a.cmp(b)));
        order
    }

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

    /// Keeps the rows that can be among those asked for.
    fn cut(&self, rows: &mut Rows) {
        let order = self.order(rows);
        let mut kept = self.empty();
        let pick = |from: &[VectorBuffer], to: &mut [VectorBuffer]| {
            from.iter().zip(to).for_each(|(from, to)| to.append_rows(&from.vector(), &order));
        };
        pick(&rows.columns, &mut kept.columns);
        pick(&rows.keys, &mut kept.keys);
        kept.prefixes.extend(order.iter().map(|row| rows.prefixes[*row as usize]));
        *rows = kept;
    }

    /// Pushes the rows in order, without the first `skip`.
    pub fn emit<'y>(&self, skip: usize, query: &'y QueryContext, sink: &Factory<'y>) -> ExecutionResult<()> {
        let rows = std::mem::take(&mut *self.gathered.lock());
        let order = self.order(&rows);
        let wanted = order.get(skip..).unwrap_or_default();
        let mut chunks = Vec::new();
        for part in wanted.chunks(SPARE_ROWS) {
            let columns = rows.columns.iter().zip(self.types).map(|(column, data_type)| {
                let mut sorted = VectorBuffer::new(data_type.clone());
                sorted.append_rows(&column.vector(), part);
                sorted
            });
            chunks.push(Chunk { columns: columns.collect(), rows: part.len(), multiplicity: Vec::new() });
        }
        drive(query, &ChunkSource::new(&chunks, true), sink)
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
}

impl Operator for SortSink<'_> {
    fn push<'b>(&mut self, context: &mut Context<'_>, batch: Batch<'b>) -> ExecutionResult<Flow> {
        let SortSink { sorting, keys, own, prefixes, selection, threshold } = self;
        let mut vectors: Vec<ValueVector<'_>> = Vec::with_capacity(keys.len());
        for key in keys {
            vectors.push(key.evaluate(context.query, &batch)?);
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
        kept.for_each(batch.length, |row| own.prefixes.push(prefixes[row]));
        if let Some(most) = sorting.rows_max
            && own.prefixes.len() >= most.saturating_add(SPARE_ROWS.max(most.saturating_mul(3).min(1 << 20)))
        {
            sorting.cut(own);
            *threshold = own.prefixes.last().copied().filter(|_| own.prefixes.len() >= most);
        }
        Ok(Flow::Continue)
    }

    fn finish(&mut self, _: &mut Context<'_>) -> ExecutionResult<()> {
        let mut own = std::mem::take(&mut self.own);
        if self.sorting.rows_max.is_some_and(|most| own.prefixes.len() > most) {
            self.sorting.cut(&mut own);
        }
        let mut all = self.sorting.gathered.lock();
        if all.prefixes.is_empty() {
            *all = own;
            return Ok(());
        }
        let rows = own.prefixes.len();
        let append = |to: &mut [VectorBuffer], from: &[VectorBuffer]| {
            to.iter_mut().zip(from).for_each(|(to, from)| to.append_range(&from.vector(), 0, rows));
        };
        append(&mut all.columns, &own.columns);
        append(&mut all.keys, &own.keys);
        all.prefixes.extend(own.prefixes);
        Ok(())
    }
}
