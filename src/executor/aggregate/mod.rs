//! Grouping: every worker groups what it sees by keys, node offsets or dictionary codes; at the end the workers' groups
//! are merged: few by one worker, many part by part (see `parted`). Where memory is short a worker puts its groups aside, by hash partitions, and begins anew; then the
//! partitions are put together one by one. See `aside`.

mod aside;
mod aside_values;
mod first;
mod groups;
mod parted;
mod parted_rows;

use std::sync::Arc;

use parking_lot::Mutex;

use super::chunks::{Chunk, ChunkSource};
use super::context::{Context, QueryContext};
use super::counters::count;
use super::distinct_values::DistinctValues;
use super::error::ExecutionResult;
use super::evaluate::{Evaluator, made_by};
use super::group_index::How;
use super::operator::{Factory, Flow, Operator};
use super::pieces::{Pieces, TakesPieces};
use super::pipeline::drive;
use super::spill::{Room, Unseen};
use crate::planner::physical_plan::{Expression, KeyKind, PhysicalAggregate};
use crate::storage::memory::{Meter, Reservation};
use crate::types::DataType;
use crate::vector::{Batch, ValueVector};
use aside::{Aside, AsideSource};
pub use first::{FIRST_MAX, FirstRows};
use groups::Groups;
use parted::{GROUPS_MIN, Parted, PartedSource};
use parted_rows::PartedRows;

const OPERATOR: &str = "Aggregate";

/// A grouping and what its workers have found.
pub struct Grouping<'x> {
    keys: &'x [Expression],
    aggregates: &'x [PhysicalAggregate],
    kind: &'x KeyKind,
    merged: Mutex<Option<(Groups, Reservation)>>,
    /// What workers have parted.
    parted: Mutex<Vec<(PartedRows, Reservation)>>,
    meter: Option<Arc<Meter>>,
    /// Groups that were put aside, by any worker.
    aside: Mutex<Option<Arc<Aside>>>,
}

impl<'x> Grouping<'x> {
    /// A grouping by `keys`.
    pub fn new(
        keys: &'x [Expression],
        aggregates: &'x [PhysicalAggregate],
        kind: &'x KeyKind,
        meter: Option<Arc<Meter>>,
    ) -> Grouping<'x> {
        Grouping {
            keys,
            aggregates,
            kind,
            merged: Mutex::default(),
            parted: Mutex::default(),
            meter,
            aside: Mutex::default(),
        }
    }

    /// The sink of one worker.
    pub fn sink<'s>(&'s self, query: &QueryContext) -> ExecutionResult<GroupSink<'s>> {
        let arguments = |aggregate: &PhysicalAggregate| Evaluator::all(&aggregate.arguments, query);
        let mut own = Groups::new(self, self.kind);
        own.index.use_codes(&self.key_types());
        Ok(GroupSink {
            grouping: self,
            keys: Evaluator::all(self.keys, query)?,
            arguments: self.aggregates.iter().map(arguments).collect::<ExecutionResult<_>>()?,
            own,
            parted: self.can_be_parted().then(|| Parted::of(query)),
            by_row: Vec::new(),
            new_rows: Vec::new(),
            held: self.account(query),
            unseen: Unseen::default(),
            pieces: Pieces::default(),
        })
    }

    fn account(&self, query: &QueryContext) -> Reservation {
        query.account_of(self.meter.as_ref())
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
        let (types, ungrouped) = (self.argument_types(aggregate), self.keys.is_empty());
        remembers.then(|| match self.shows_order(aggregate) {
            true => DistinctValues::in_order(types, ungrouped),
            false => DistinctValues::new(types, ungrouped),
        })
    }

    /// Whether the result tells in which order the values came.
    fn shows_order(&self, aggregate: usize) -> bool {
        self.aggregates[aggregate].function.name == "collect"
    }

    /// Pushes [keys…, aggregates…] of all groups.
    pub fn emit<'y>(&self, query: &'y QueryContext, sink: &Factory<'y>) -> ExecutionResult<()> {
        let mut merged = self.merged.lock().take();
        let parted = std::mem::take(&mut *self.parted.lock());
        let aside = self.aside.lock().take();
        if aside.is_none() && parted.is_empty() && self.has_room_for_results(&mut merged, query)? {
            let (mut groups, _held) =
                merged.unwrap_or_else(|| (Groups::new(self, self.kind), self.account(query)));
            groups.settle_distinct(self, query)?;
            let (columns, rows) = groups.results(self)?;
            let chunks = [Chunk { columns, rows, multiplicity: Vec::new() }];
            return drive(query, &ChunkSource::new(&chunks, true), sink);
        }
        let parted = PartedSource::new(self, parted, query);
        let aside = match aside {
            Some(aside) => aside,
            None => {
                let mut work = self.account(query);
                let more = merged.as_ref().map_or(0, |(groups, _)| groups.bytes_to_part(self));
                if query.room(&mut work, parted.bytes() + more, OPERATOR)? == Room::Held {
                    let parted = match merged {
                        Some((groups, held)) => self.with_merged(parted, groups, held, query)?,
                        None => parted,
                    };
                    work.force(parted.bytes());
                    return drive(query, &parted, sink);
                }
                self.aside(query)?
            }
        };
        parted.put_aside(&aside, query)?;
        if let Some((groups, _held)) = merged {
            aside.put(self, &groups, query)?;
        }
        drive(query, &AsideSource::new(self, &aside), sink)
    }

    /// Whether the results of groups that one worker has merged may stand beside these. A grouping without keys has
    /// one group, which is in memory in any case.
    fn has_room_for_results(
        &self,
        merged: &mut Option<(Groups, Reservation)>,
        query: &QueryContext,
    ) -> ExecutionResult<bool> {
        let Some((groups, held)) = merged.as_mut().filter(|_| !self.keys.is_empty()) else { return Ok(true) };
        let results = groups.bytes_of_results(self);
        Ok(results == 0 || query.room(held, groups.bytes() + results, OPERATOR)? == Room::Held)
    }

    /// The parts together with groups that one worker has merged.
    fn with_merged<'g>(
        &self,
        parted: PartedSource<'g>,
        groups: Groups,
        mut held: Reservation,
        query: &QueryContext,
    ) -> ExecutionResult<PartedSource<'g>> {
        let mut own = Parted::default();
        own.add_groups(self, &groups, query)?;
        drop(groups);
        held.force(own.bytes());
        Ok(match own.rows {
            Some(rows) => parted.with(rows, held),
            None => parted,
        })
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
    /// Rows that were parted by their keys; none where that cannot be done.
    parted: Option<Parted>,
    by_row: Vec<u32>,
    new_rows: Vec<u32>,
    held: Reservation,
    /// Rows since the account was looked at.
    unseen: Unseen,
    pieces: Pieces,
}

impl GroupSink<'_> {
    /// Counts what was found, or puts it aside.
    fn look(&mut self, query: &QueryContext) -> ExecutionResult<()> {
        self.unseen.clear();
        let parted = self.parted.as_ref().map_or(0, Parted::bytes);
        // What only saves time goes before groups do.
        while query.room(&mut self.held, self.own.bytes() + parted, OPERATOR)? == Room::Short {
            if !self.own.index.drop_codes() {
                return self.put_aside(query);
            }
        }
        Ok(())
    }

    fn count_rows(&mut self, rows: usize, query: &QueryContext) -> ExecutionResult<Flow> {
        let bytes = self.own.bytes() + self.parted.as_ref().map_or(0, Parted::bytes);
        if self.unseen.is_due(rows, bytes, query) {
            self.look(query)?;
        }
        Ok(Flow::Continue)
    }

    /// Puts all aside that was found.
    fn put_aside(&mut self, query: &QueryContext) -> ExecutionResult<()> {
        let own = std::mem::replace(&mut self.own, Groups::new(self.grouping, self.grouping.kind));
        let aside = self.grouping.aside(query)?;
        // What was parted came before what is grouped now, and lists keep the order in which their values came.
        if let Some(parted) = &mut self.parted {
            parted.benefit.start_anew();
            if let Some(rows) = parted.rows.take() {
                rows.put_aside(self.grouping, &aside, query)?;
            }
        }
        aside.put(self.grouping, &own, query)?;
        drop(own);
        self.held.shrink_to(0);
        Ok(())
    }

    /// Parts the groups, where rows had better not be grouped at first or where another worker may have many, too.
    fn part_groups(&mut self, query: &QueryContext) -> ExecutionResult<()> {
        let Some(parted) = &mut self.parted else { return Ok(()) };
        // The groups exist twice while they are parted.
        let bytes = self.own.bytes() + self.own.bytes_to_part(self.grouping) + parted.bytes();
        if query.room(&mut self.held, bytes, OPERATOR)? == Room::Short {
            return self.put_aside(query);
        }
        let own = std::mem::replace(&mut self.own, Groups::new(self.grouping, self.grouping.kind));
        parted.benefit.start_anew();
        parted.add_groups(self.grouping, &own, query)?;
        drop(own);
        self.held.force(parted.bytes());
        Ok(())
    }

    /// After rows were grouped: whether the next ones are worth it.
    fn weigh_benefit(&mut self, rows: usize, query: &QueryContext) -> ExecutionResult<()> {
        let groups = self.own.len();
        let part = self.parted.as_mut().is_some_and(|parted| parted.benefit.grouped(rows, groups));
        if part { self.part_groups(query) } else { Ok(()) }
    }
}

impl TakesPieces for GroupSink<'_> {
    fn pieces(&mut self) -> &mut Pieces {
        &mut self.pieces
    }

    fn made(&mut self) -> Option<u64> {
        made_by(self.keys.iter_mut().chain(self.arguments.iter_mut().flatten()))
    }

    fn take(&mut self, context: &mut Context<'_>, batch: &Batch<'_>) -> ExecutionResult<Flow> {
        let batch = *batch;
        let GroupSink { grouping, keys, arguments, own, parted, by_row, new_rows, .. } = self;
        let single = keys.is_empty();
        if !single {
            let mut vectors: Vec<ValueVector<'_>> = Vec::with_capacity(keys.len());
            for key in keys.iter_mut() {
                vectors.push(key.evaluate(context.query, &batch)?);
            }
            if let Some(parted) = parted.as_mut().filter(|parted| parted.benefit.is_passing()) {
                parted.add_rows(grouping, &vectors, arguments, own, (&batch, context.query))?;
                return self.count_rows(batch.length, context.query);
            }
            let how = own.index.groups(&vectors, batch.length, batch.selection, by_row, new_rows);
            let counters = &context.query.counters;
            match how {
                How::Dense => count(&counters.dense_groupings, 1),
                How::Dictionary => count(&counters.dictionary_groupings, 1),
                How::Codes => count(&counters.coded_groupings, 1),
                How::Runs => count(&counters.run_groupings, 1),
                How::Hash if own.index.numbers_texts() => count(&counters.numbered_groupings, 1),
                How::Hash => {}
            }
            own.append_keys(&vectors, new_rows);
        }
        let groups = own.len();
        let states = own.states.iter_mut().zip(arguments).zip(&mut own.distinct);
        for ((state, expressions), distinct) in states {
            let mut vectors: Vec<ValueVector<'_>> = Vec::with_capacity(expressions.len());
            for expression in expressions {
                vectors.push(expression.evaluate(context.query, &batch)?);
            }
            let Batch { length, selection, multiplicity, .. } = batch;
            match distinct {
                Some(distinct) => {
                    distinct.add(&vectors, by_row, length, selection);
                    distinct.count(&context.query.counters);
                }
                None if single => state.update_all(&vectors, length, selection, multiplicity)?,
                None => {
                    state.resize(groups);
                    state.update(by_row, &vectors, length, selection, multiplicity)?;
                }
            }
        }
        if self.parted.is_some() {
            self.weigh_benefit(batch.selected(), context.query)?;
        }
        self.count_rows(batch.length, context.query)
    }
}

impl Operator for GroupSink<'_> {
    fn push<'b>(&mut self, context: &mut Context<'_>, batch: Batch<'b>) -> ExecutionResult<Flow> {
        self.push_copied(context, &batch)
    }

    fn finish(&mut self, context: &mut Context<'_>) -> ExecutionResult<()> {
        let (query, grouping) = (context.query, self.grouping);
        self.own.index.drop_codes();
        if self.unseen.any() {
            self.look(query)?;
        }
        if let Some(parted) = &self.parted
            && (parted.rows.is_some() || query.threads > 1 && self.own.entries() >= GROUPS_MIN)
        {
            self.part_groups(query)?;
            if let Some(rows) = self.parted.as_mut().and_then(|parted| parted.rows.take()) {
                let held = std::mem::replace(&mut self.held, grouping.account(query));
                grouping.parted.lock().push((rows, held));
            }
            return Ok(());
        }
        let own = std::mem::replace(&mut self.own, Groups::new(grouping, grouping.kind));
        let mut own_held = std::mem::replace(&mut self.held, grouping.account(query));
        let mut merged = grouping.merged.lock();
        let Some((all, held)) = merged.as_mut() else {
            *merged = Some((own, own_held));
            return Ok(());
        };
        // They exist twice until they are merged.
        if query.room(held, all.bytes() + own.bytes(), OPERATOR)? == Room::Held {
            all.merge(own, query)?;
            own_held.shrink_to(0);
            held.force(all.bytes());
            return Ok(());
        }
        let aside = grouping.aside(query)?;
        aside.put(grouping, &own, query)?;
        if let Some((all, _held)) = merged.take() {
            aside.put(grouping, &all, query)?;
        }
        Ok(())
    }
}
