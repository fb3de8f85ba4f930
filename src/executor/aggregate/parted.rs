//! Groups of all workers that are put together part by part. Every worker parts what it has found by a hash of the keys;
//! a part holds all that there is of its keys, so that parts are independent, run on all threads, and have tables that
//! fit a core's cache. The rows have the form of groups that are put aside: keys and the parts of states.
//!
//! After Leis, Boncz, Kemper and Neumann, *Morsel-Driven Parallelism* (SIGMOD 2014), section 4.4.

use parking_lot::Mutex;

use super::super::chunks::{Chunk, push_chunk};
use super::super::context::{Context, QueryContext};
use super::super::counters::count;
use super::super::error::ExecutionResult;
use super::super::evaluate::Evaluator;
use super::super::operator::{Flow, Operator};
use super::super::partitioned::{Benefit, PARTS, PartQueue, Scatter};
use super::super::pipeline::Source;
use super::super::spill::bytes_of;
use super::Grouping;
use super::aside::Aside;
use super::groups::Groups;
use super::parted_rows::{PartedRows, States, append_plain, append_states};
use crate::planner::physical_plan::KeyKind;
use crate::storage::memory::Reservation;
use crate::vector::{Batch, Selection, ValueVector};

/// Groups of a worker from which on they are worth being parted.
pub(super) const GROUPS_MIN: usize = 8 << 10;

/// What a worker has parted, and whether its next rows are grouped before.
#[derive(Default)]
pub(super) struct Parted {
    pub rows: Option<PartedRows>,
    pub benefit: Benefit,
    scatter: Scatter,
    /// The order of values of DISTINCT.
    value_scatter: Scatter,
    selected: Vec<u32>,
    hashes: Vec<u64>,
    by_row: Vec<u32>,
    /// The numbers from zero on.
    numbers: Vec<u32>,
}

impl Parted {
    /// Nothing is parted yet.
    pub fn of(query: &QueryContext) -> Parted {
        Parted { benefit: Benefit::new(query.is_tiny()), ..Parted::default() }
    }

    /// The memory of the rows, and of what finds their order.
    pub fn bytes(&self) -> u64 {
        let numbers = self.selected.capacity() + self.by_row.capacity() + self.numbers.capacity();
        let order = (numbers * 4 + self.hashes.capacity() * 8) as u64;
        let rows = self.rows.as_ref().map_or(0, PartedRows::bytes);
        rows + order + self.scatter.bytes() + self.value_scatter.bytes()
    }

    /// Finds the order of rows by the parts of their keys.
    fn order(
        &mut self,
        index: &Groups,
        keys: &[ValueVector<'_>],
        length: usize,
        selection: Selection<'_>,
    ) -> usize {
        let Parted { scatter, selected, hashes, numbers, .. } = self;
        selected.clear();
        selection.indices(length, selected);
        index.index.hashes(keys, length, selection, hashes);
        scatter.order(selected, hashes);
        numbers.extend(numbers.len() as u32..selected.len() as u32);
        selected.len()
    }

    /// Parts all groups.
    pub fn add_groups(
        &mut self,
        grouping: &Grouping<'_>,
        groups: &Groups,
        query: &QueryContext,
    ) -> ExecutionResult<()> {
        query.check()?;
        let keys = groups.keys();
        self.order(groups, &keys, groups.len(), Selection::All);
        let Parted { rows, scatter, value_scatter, hashes, .. } = self;
        let rows = rows.get_or_insert_with(|| PartedRows::new(grouping));
        let mut states = Vec::with_capacity(groups.states.len());
        for ((state, aggregate), distinct) in
            groups.states.iter().zip(grouping.aggregates).zip(&groups.distinct)
        {
            states.push(match distinct {
                Some(_) => States::Values,
                // A state that was fed nothing has no groups yet.
                None if state.groups() < groups.len() => States::Initial(&aggregate.function),
                None => States::of(state, &aggregate.function, scatter.rows())?,
            });
        }
        rows.groups.append(&keys, scatter, |range, columns| {
            append_states(&states, scatter.rows(), &range, columns)
        })?;
        for (distinct, to) in groups.distinct.iter().zip(&mut rows.values) {
            let (Some(distinct), Some(to)) = (distinct, to) else { continue };
            let group_of = distinct.groups();
            let entries: Vec<u32> = (0..group_of.len() as u32).collect();
            let by_entry: Vec<u64> = group_of.iter().map(|group| hashes[*group as usize]).collect();
            value_scatter.order(&entries, &by_entry);
            let keys = keys.iter().map(|key| ValueVector::dictionary(group_of, key));
            let columns: Vec<ValueVector<'_>> = keys.chain(distinct.values()).collect();
            append_plain(to, &columns, value_scatter)?;
        }
        Ok(())
    }

    /// Parts rows as they are, each as a group of its own.
    pub fn add_rows(
        &mut self,
        grouping: &Grouping<'_>,
        keys: &[ValueVector<'_>],
        arguments: &mut [Vec<Evaluator<'_>>],
        own: &Groups,
        (batch, query): (&Batch<'_>, &QueryContext),
    ) -> ExecutionResult<()> {
        let Batch { length, selection, multiplicity, .. } = *batch;
        let count_of_rows = self.order(own, keys, length, selection);
        self.benefit.passed(count_of_rows);
        count(&query.counters.rows_passed_ungrouped, count_of_rows as u64);
        let Parted { rows, scatter, by_row, numbers, .. } = self;
        let rows = rows.get_or_insert_with(|| PartedRows::new(grouping));
        by_row.clear();
        by_row.resize(length, 0);
        scatter.rows().iter().zip(numbers.iter()).for_each(|(row, at)| by_row[*row as usize] = *at);
        let mut states = Vec::with_capacity(arguments.len());
        for ((aggregate, expressions), values) in
            grouping.aggregates.iter().zip(arguments).zip(&mut rows.values)
        {
            let mut vectors: Vec<ValueVector<'_>> = Vec::with_capacity(expressions.len());
            for expression in expressions {
                vectors.push(expression.evaluate(query, batch)?);
            }
            if let Some(values) = values {
                let columns: Vec<ValueVector<'_>> = keys.iter().copied().chain(vectors).collect();
                append_plain(values, &columns, scatter)?;
                states.push(None);
                continue;
            }
            let mut state = aggregate.function.new_states();
            state.resize(count_of_rows);
            if count_of_rows > 0 {
                state.update(by_row, &vectors, length, selection, multiplicity)?;
            }
            states.push(Some((state, &aggregate.function)));
        }
        let numbers = &numbers[..count_of_rows];
        let states = states.iter().map(|state| match state {
            Some((state, function)) => States::of(state, function, numbers),
            None => Ok(States::Values),
        });
        let states: Vec<States<'_>> = states.collect::<ExecutionResult<_>>()?;
        rows.groups.append(keys, scatter, |range, columns| append_states(&states, numbers, &range, columns))
    }
}

/// Puts parts together and pushes their groups; workers take one part after another.
pub(super) struct PartedSource<'g> {
    grouping: &'g Grouping<'g>,
    parts: PartQueue,
    /// By aggregate over distinct values.
    values: Vec<Option<PartQueue>>,
    threads: usize,
    /// What the rows take; it falls with each part.
    held: Mutex<Reservation>,
}

impl<'g> PartedSource<'g> {
    pub fn new(
        grouping: &'g Grouping<'g>,
        rows: Vec<(PartedRows, Reservation)>,
        query: &QueryContext,
    ) -> PartedSource<'g> {
        let nothing = || PartQueue::new([]);
        let values = (0..grouping.aggregates.len()).map(|at| grouping.distinct_values(at).map(|_| nothing()));
        let values = values.collect();
        let held = Mutex::new(grouping.account(query));
        let source = PartedSource { grouping, parts: nothing(), values, threads: query.threads, held };
        rows.into_iter().fold(source, |source, (rows, held)| source.with(rows, held))
    }

    /// The same with more rows.
    pub fn with(mut self, rows: PartedRows, held: Reservation) -> PartedSource<'g> {
        self.held.get_mut().absorb(held);
        self.parts.add(rows.groups);
        for (queue, own) in self.values.iter_mut().zip(rows.values) {
            if let (Some(queue), Some(own)) = (queue, own) {
                queue.add(own);
            }
        }
        self
    }

    /// The memory that putting together takes at the same time beside the rows: of each worker a part as keys, states,
    /// table and results.
    pub fn bytes(&self) -> u64 {
        let values: u64 = self.values.iter().flatten().map(PartQueue::largest_bytes).sum();
        (self.parts.largest_bytes() + values) * 3 * self.threads as u64
    }

    /// The rows of a part are gone.
    fn release(&self, bytes: u64) {
        let mut held = self.held.lock();
        let left = held.bytes().saturating_sub(bytes);
        held.shrink_to(left);
    }

    /// Puts all rows aside after all.
    pub fn put_aside(self, aside: &Aside, query: &QueryContext) -> ExecutionResult<()> {
        for (at, part) in self.parts.into_rows() {
            aside.put_part(self.grouping, (at, &part), query)?;
        }
        for (aggregate, values) in self.values.into_iter().enumerate() {
            for (at, part) in values.into_iter().flat_map(PartQueue::into_rows) {
                aside.put_values(self.grouping, aggregate, (at, &part), query)?;
            }
        }
        Ok(())
    }

    /// Feeds each value of DISTINCT once to the states of a part's groups.
    fn feed_values(&self, part: u64, groups: &mut Groups, query: &QueryContext) -> ExecutionResult<()> {
        let mut bytes = 0;
        for (at, queue) in self.values.iter().enumerate() {
            let (Some(queue), Some(mut seen)) = (queue, self.grouping.distinct_values(at)) else { continue };
            for rows in queue.take(part) {
                bytes += bytes_of(&rows.columns);
                rows.each_piece(query, |vectors, length| {
                    let (keys, arguments) = vectors.split_at(self.grouping.keys.len().min(vectors.len()));
                    let by_row = groups.find(keys, length);
                    seen.add_each(arguments, &by_row, length, Selection::All);
                    Ok(())
                })?;
            }
            let count = groups.len();
            groups.states[at].resize(count);
            seen.feed(&mut groups.states[at])?;
            groups.distinct[at] = None;
        }
        self.release(bytes);
        Ok(())
    }
}

impl Source for PartedSource<'_> {
    fn next_morsel(&self) -> Option<u64> {
        self.parts.next()
    }

    fn morsels(&self) -> Option<u64> {
        Some(PARTS as u64)
    }

    fn run(&self, morsel: u64, context: &mut Context<'_>, next: &mut dyn Operator) -> ExecutionResult<Flow> {
        let own = self.parts.take(morsel);
        let rows: usize = own.iter().map(|own| own.rows).sum();
        if rows == 0 {
            return Ok(Flow::Continue);
        }
        count(&context.query.counters.partitions_grouped, 1);
        let mut groups = Groups::new(self.grouping, &KeyKind::Hash);
        groups.reserve(rows);
        for rows in own {
            rows.each_piece(context.query, |vectors, length| groups.import(self.grouping, vectors, length))?;
            let bytes = bytes_of(&rows.columns);
            drop(rows);
            self.release(bytes);
        }
        self.feed_values(morsel, &mut groups, context.query)?;
        let (columns, rows) = groups.results(self.grouping)?;
        push_chunk(&Chunk { columns, rows, multiplicity: Vec::new() }, context, next)
    }

    fn parallelism(&self) -> usize {
        PARTS
    }
}

impl Grouping<'_> {
    /// Whether its groups can be parted: those whose keys are hashed. Groups that are an array over node offsets are
    /// merged offset by offset, at less cost than parting them.
    pub(super) fn can_be_parted(&self) -> bool {
        !self.keys.is_empty() && !matches!(self.kind, KeyKind::DenseNode(_))
    }
}
