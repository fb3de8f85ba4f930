//! Groups of all workers that are put together part by part. Every worker parts what it has found by a hash of the keys;
//! a part holds all that there is of its keys, so that parts are independent, run on all threads, and have tables that
//! fit a core's cache. The rows have the form of groups that are put aside: keys and the parts of states.
//!
//! After Leis, Boncz, Kemper and Neumann, *Morsel-Driven Parallelism* (SIGMOD 2014), section 4.4.

use std::ops::Range;

use super::super::chunks::{Chunk, push_chunk};
use super::super::context::{Context, QueryContext};
use super::super::counters::count;
use super::super::error::ExecutionResult;
use super::super::evaluate::Evaluator;
use super::super::operator::{Flow, Operator};
use super::super::partitioned::{Benefit, PARTS, PartQueue, PartRows, Partitioned, Scatter};
use super::super::pipeline::Source;
use super::Grouping;
use super::groups::Groups;
use crate::planner::physical_plan::KeyKind;
use crate::vector::{Batch, Selection, ValueVector};

/// Groups of a worker from which on they are worth being parted.
pub(super) const GROUPS_MIN: usize = 8 << 10;

/// What a worker has parted, and whether its next rows are grouped before.
#[derive(Default)]
pub(super) struct Parted {
    pub rows: Option<Partitioned>,
    pub benefit: Benefit,
    scatter: Scatter,
    selected: Vec<u32>,
    hashes: Vec<u64>,
    by_row: Vec<u32>,
    /// The numbers from zero on.
    numbers: Vec<u32>,
}

impl Parted {
    /// The memory of the rows.
    pub fn bytes(&self) -> u64 {
        self.rows.as_ref().map_or(0, Partitioned::bytes)
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
        let Parted { rows, scatter, .. } = self;
        let rows = rows.get_or_insert_with(|| Partitioned::new(&grouping.stored_types()));
        rows.append(&keys, scatter, |range, mut columns| {
            for (state, aggregate) in groups.states.iter().zip(grouping.aggregates) {
                let width = aggregate.function.part_types().len();
                let (own, others) = columns.split_at_mut(width.min(columns.len()));
                // A state that was fed nothing has no groups yet.
                if state.groups() < groups.len() {
                    aggregate.function.new_states().export_initial(range.len(), own)?;
                } else {
                    state.export(&scatter.rows()[range.clone()], own)?;
                }
                columns = others;
            }
            ExecutionResult::Ok(())
        })
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
        by_row.clear();
        by_row.resize(length, 0);
        scatter.rows().iter().zip(numbers.iter()).for_each(|(row, at)| by_row[*row as usize] = *at);
        let mut states = Vec::with_capacity(arguments.len());
        for (aggregate, expressions) in grouping.aggregates.iter().zip(arguments) {
            let mut vectors: Vec<ValueVector<'_>> = Vec::with_capacity(expressions.len());
            for expression in expressions {
                vectors.push(expression.evaluate(query, batch)?);
            }
            let mut state = aggregate.function.new_states();
            state.resize(count_of_rows);
            if count_of_rows > 0 {
                state.update(by_row, &vectors, length, selection, multiplicity)?;
            }
            states.push((state, aggregate.function.part_types().len()));
        }
        let rows = rows.get_or_insert_with(|| Partitioned::new(&grouping.stored_types()));
        rows.append(keys, scatter, |range: Range<usize>, mut columns| {
            for (state, width) in &states {
                let (own, others) = columns.split_at_mut((*width).min(columns.len()));
                state.export(&numbers[range.clone()], own)?;
                columns = others;
            }
            ExecutionResult::Ok(())
        })
    }
}

/// Puts parts together and pushes their groups; workers take one part after another.
pub(super) struct PartedSource<'g> {
    grouping: &'g Grouping<'g>,
    parts: PartQueue,
    threads: usize,
}

impl<'g> PartedSource<'g> {
    pub fn new(grouping: &'g Grouping<'g>, rows: Vec<Partitioned>, query: &QueryContext) -> PartedSource<'g> {
        PartedSource { grouping, parts: PartQueue::new(rows), threads: query.threads }
    }

    /// The same with more rows.
    pub fn with(mut self, rows: Partitioned) -> PartedSource<'g> {
        self.parts.add(rows);
        self
    }

    /// The memory that putting together takes at the same time beside the rows: of each worker a part as keys, states,
    /// table and results.
    pub fn bytes(&self) -> u64 {
        self.parts.largest_bytes() * 3 * self.threads as u64
    }

    /// The rows, to be put aside after all.
    pub fn into_rows(self) -> impl Iterator<Item = (usize, PartRows)> {
        self.parts.into_rows()
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
        }
        let (columns, rows) = groups.results(self.grouping)?;
        push_chunk(&Chunk { columns, rows, multiplicity: Vec::new() }, context, next)
    }

    fn parallelism(&self) -> usize {
        PARTS
    }
}

impl Grouping<'_> {
    /// Whether its groups can be parted: keys that are hashed, and aggregates whose states are a few numbers.
    pub(super) fn can_be_parted(&self) -> bool {
        let is_small = |name: &str| !matches!(name, "collect" | "percentileCont" | "percentileDisc");
        let none_distinct = (0..self.aggregates.len()).all(|at| self.distinct_values(at).is_none());
        !self.keys.is_empty()
            && !matches!(self.kind, KeyKind::DenseNode(_))
            && none_distinct
            && self.aggregates.iter().all(|aggregate| is_small(aggregate.function.name))
    }
}
