//! Grouping: every worker groups what it sees by keys, node offsets or dictionary codes; at the end the workers' groups
//! are merged. Where memory is short a worker puts its groups aside, by hash partitions, and begins anew; then the
//! partitions are put together one by one. See `aside`.

mod aside;
mod groups;

use std::sync::Arc;

use parking_lot::Mutex;

use super::chunks::{Chunk, ChunkSource};
use super::context::{Context, QueryContext};
use super::counters::count;
use super::distinct_values::DistinctValues;
use super::error::ExecutionResult;
use super::evaluate::Evaluator;
use super::group_index::How;
use super::operator::{Factory, Flow, Operator};
use super::pipeline::drive;
use super::spill::{ROWS_PER_LOOK, Room};
use crate::planner::physical_plan::{Expression, KeyKind, PhysicalAggregate};
use crate::storage::memory::Reservation;
use crate::types::DataType;
use crate::vector::{Batch, ValueVector};
use aside::{Aside, AsideSource};
use groups::Groups;

const OPERATOR: &str = "Aggregate";

/// A grouping and what its workers have found.
pub struct Grouping<'x> {
    keys: &'x [Expression],
    aggregates: &'x [PhysicalAggregate],
    kind: &'x KeyKind,
    merged: Mutex<Option<(Groups, Reservation)>>,
    /// Groups that were put aside, by any worker.
    aside: Mutex<Option<Arc<Aside>>>,
}

impl<'x> Grouping<'x> {
    /// A grouping by `keys`.
    pub fn new(
        keys: &'x [Expression],
        aggregates: &'x [PhysicalAggregate],
        kind: &'x KeyKind,
    ) -> Grouping<'x> {
        Grouping { keys, aggregates, kind, merged: Mutex::default(), aside: Mutex::default() }
    }

    /// The sink of one worker.
    pub fn sink<'s>(&'s self, query: &QueryContext) -> ExecutionResult<GroupSink<'s>> {
        let arguments = |aggregate: &PhysicalAggregate| Evaluator::all(&aggregate.arguments, query);
        Ok(GroupSink {
            grouping: self,
            keys: Evaluator::all(self.keys, query)?,
            arguments: self.aggregates.iter().map(arguments).collect::<ExecutionResult<_>>()?,
            own: Groups::new(self, self.kind),
            by_row: Vec::new(),
            new_rows: Vec::new(),
            held: query.account(),
            unseen: 0,
        })
    }

    fn key_types(&self) -> Vec<DataType> {
        self.keys.iter().map(|key| key.data_type.clone()).collect()
    }

    fn argument_types(&self, aggregate: usize) -> Vec<DataType> {
        self.aggregates[aggregate].arguments.iter().map(|argument| argument.data_type.clone()).collect()
    }

    /// What an aggregate over distinct values remembers; none for the others.
    fn distinct_values(&self, aggregate: usize) -> Option<DistinctValues> {
        let PhysicalAggregate { function, distinct, arguments, .. } = &self.aggregates[aggregate];
        let remembers = *distinct && !function.ignores_duplicates && !arguments.is_empty();
        remembers.then(|| DistinctValues::new(self.argument_types(aggregate), self.keys.is_empty()))
    }

    /// Pushes [keys…, aggregates…] of all groups.
    pub fn emit<'y>(&self, query: &'y QueryContext, sink: &Factory<'y>) -> ExecutionResult<()> {
        let merged = self.merged.lock().take();
        let aside = self.aside.lock().take();
        if let Some(aside) = aside {
            if let Some((groups, _held)) = merged {
                aside.put(self, &groups, query)?;
            }
            return drive(query, &AsideSource::new(self, &aside), sink);
        }
        let (groups, _held) = merged.unwrap_or_else(|| (Groups::new(self, self.kind), query.account()));
        let (columns, rows) = groups.results(self)?;
        let chunks = [Chunk { columns, rows, multiplicity: Vec::new() }];
        drive(query, &ChunkSource::new(&chunks, true), sink)
    }

    /// Where groups are put aside; made by the first that has to.
    fn aside(&self, query: &QueryContext) -> ExecutionResult<Arc<Aside>> {
        let mut aside = self.aside.lock();
        match &*aside {
            Some(aside) => Ok(Arc::clone(aside)),
            None => Ok(Arc::clone(aside.insert(Arc::new(Aside::new(self, 0, query)?)))),
        }
    }
}

/// The groups of one worker under construction.
pub struct GroupSink<'s> {
    grouping: &'s Grouping<'s>,
    keys: Vec<Evaluator<'s>>,
    arguments: Vec<Vec<Evaluator<'s>>>,
    own: Groups,
    by_row: Vec<u32>,
    new_rows: Vec<u32>,
    held: Reservation,
    /// Rows since the account was looked at.
    unseen: usize,
}

impl GroupSink<'_> {
    /// Counts what was found, or puts it aside.
    fn look(&mut self, query: &QueryContext) -> ExecutionResult<()> {
        self.unseen = 0;
        if query.room(&mut self.held, self.own.bytes(), OPERATOR)? == Room::Short {
            let own = std::mem::replace(&mut self.own, Groups::new(self.grouping, self.grouping.kind));
            self.grouping.aside(query)?.put(self.grouping, &own, query)?;
            drop(own);
            self.held.shrink_to(0);
        }
        Ok(())
    }
}

impl Operator for GroupSink<'_> {
    fn push<'b>(&mut self, context: &mut Context<'_>, batch: Batch<'b>) -> ExecutionResult<Flow> {
        let GroupSink { keys, arguments, own, by_row, new_rows, .. } = self;
        let Groups { index, keys: key_columns, states, distinct } = own;
        let single = keys.is_empty();
        if !single {
            let mut vectors: Vec<ValueVector<'_>> = Vec::with_capacity(keys.len());
            for key in keys.iter_mut() {
                vectors.push(key.evaluate(context.query, &batch)?);
            }
            let how = index.groups(&vectors, batch.length, batch.selection, by_row, new_rows);
            let counters = &context.query.counters;
            match how {
                How::Dense => count(&counters.dense_groupings, 1),
                How::Codes => count(&counters.dictionary_groupings, 1),
                How::Runs => count(&counters.run_groupings, 1),
                How::Hash => {}
            }
            for (column, vector) in key_columns.iter_mut().zip(&vectors) {
                column.append_rows(vector, new_rows);
            }
        }
        let groups = if single { 1 } else { index.len() };
        for ((state, expressions), distinct) in states.iter_mut().zip(arguments).zip(distinct) {
            let mut vectors: Vec<ValueVector<'_>> = Vec::with_capacity(expressions.len());
            for expression in expressions {
                vectors.push(expression.evaluate(context.query, &batch)?);
            }
            let Batch { length, selection, multiplicity, .. } = batch;
            match distinct {
                Some(distinct) => {
                    count(&context.query.counters.dense_distincts, u64::from(distinct.is_dense()));
                    distinct.add(&vectors, by_row, length, selection);
                }
                None if single => state.update_all(&vectors, length, selection, multiplicity)?,
                None => {
                    state.resize(groups);
                    state.update(by_row, &vectors, length, selection, multiplicity)?;
                }
            }
        }
        self.unseen += batch.length;
        if self.unseen >= ROWS_PER_LOOK {
            self.look(context.query)?;
        }
        Ok(Flow::Continue)
    }

    fn finish(&mut self, context: &mut Context<'_>) -> ExecutionResult<()> {
        let (query, grouping) = (context.query, self.grouping);
        if self.unseen > 0 {
            self.look(query)?;
        }
        let own = std::mem::replace(&mut self.own, Groups::new(grouping, grouping.kind));
        let mut merged = grouping.merged.lock();
        let Some((all, held)) = merged.as_mut() else {
            let held = std::mem::replace(&mut self.held, query.account());
            *merged = Some((own, held));
            return Ok(());
        };
        if query.room(held, all.bytes() + own.bytes(), OPERATOR)? == Room::Held {
            return all.merge(&own, query);
        }
        let aside = grouping.aside(query)?;
        aside.put(grouping, &own, query)?;
        if let Some((all, _held)) = merged.take() {
            aside.put(grouping, &all, query)?;
        }
        Ok(())
    }
}
