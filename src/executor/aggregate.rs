//! Grouping: every worker groups what it sees by keys, node offsets or dictionary codes; at the end the workers' groups
//! are merged.

use parking_lot::Mutex;

use super::chunks::{Chunk, ChunkSource};
use super::context::{Context, QueryContext};
use super::counters::count;
use super::distinct_values::DistinctValues;
use super::error::ExecutionResult;
use super::evaluate::Evaluator;
use super::group_index::GroupIndex;
use super::operator::{Factory, Flow, Operator};
use super::pipeline::drive;
use crate::functions::StateColumn;
use crate::planner::physical_plan::{Expression, KeyKind, PhysicalAggregate};
use crate::types::DataType;
use crate::vector::{Batch, Selection, ValueVector, VectorBuffer};

/// A grouping and what its workers have found.
pub struct Grouping<'x> {
    keys: &'x [Expression],
    aggregates: &'x [PhysicalAggregate],
    kind: &'x KeyKind,
    merged: Mutex<Option<Groups>>,
}

/// The groups of one worker, or of all.
struct Groups {
    index: GroupIndex,
    keys: Vec<VectorBuffer>,
    states: Vec<StateColumn>,
    /// For aggregates over distinct values: the values, fed to the state at the end.
    distinct: Vec<Option<DistinctValues>>,
}

impl<'x> Grouping<'x> {
    /// A grouping by `keys`.
    pub fn new(
        keys: &'x [Expression],
        aggregates: &'x [PhysicalAggregate],
        kind: &'x KeyKind,
    ) -> Grouping<'x> {
        Grouping { keys, aggregates, kind, merged: Mutex::new(None) }
    }

    /// The sink of one worker.
    pub fn sink<'s>(&'s self, query: &QueryContext) -> ExecutionResult<GroupSink<'s>> {
        let arguments = |aggregate: &PhysicalAggregate| Evaluator::all(&aggregate.arguments, query);
        Ok(GroupSink {
            grouping: self,
            keys: Evaluator::all(self.keys, query)?,
            arguments: self.aggregates.iter().map(arguments).collect::<ExecutionResult<_>>()?,
            own: self.groups(),
            by_row: Vec::new(),
            new_rows: Vec::new(),
        })
    }

    fn groups(&self) -> Groups {
        let types: Vec<DataType> = self.keys.iter().map(|key| key.data_type.clone()).collect();
        let distinct = self.aggregates.iter().map(|aggregate| {
            let ignores = aggregate.function.ignores_duplicates;
            (aggregate.distinct && !ignores && !aggregate.arguments.is_empty()).then(|| {
                let types = aggregate.arguments.iter().map(|e| e.data_type.clone()).collect();
                DistinctValues::new(types, self.keys.is_empty())
            })
        });
        Groups {
            keys: types.iter().map(|data_type| VectorBuffer::new(data_type.clone())).collect(),
            index: GroupIndex::new(self.kind, types),
            states: self.aggregates.iter().map(|aggregate| aggregate.function.new_states()).collect(),
            distinct: distinct.collect(),
        }
    }

    /// Pushes [keys…, aggregates…] of all groups.
    pub fn emit<'y>(&self, query: &'y QueryContext, sink: &Factory<'y>) -> ExecutionResult<()> {
        let mut groups = self.merged.lock().take().unwrap_or_else(|| self.groups());
        let rows = if self.keys.is_empty() { 1 } else { groups.index.len() };
        for (state, distinct) in groups.states.iter_mut().zip(&groups.distinct) {
            state.resize(rows);
            if let Some(distinct) = distinct {
                distinct.feed(state)?;
            }
        }
        let mut columns = groups.keys;
        for (state, aggregate) in groups.states.iter().zip(self.aggregates) {
            let mut results = VectorBuffer::new(aggregate.data_type.clone());
            state.finish(&mut results)?;
            columns.push(results);
        }
        let chunks = [Chunk { columns, rows, multiplicity: Vec::new() }];
        drive(query, &ChunkSource::new(&chunks, true), sink)
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
                super::group_index::How::Dense => count(&counters.dense_groupings, 1),
                super::group_index::How::Codes => count(&counters.dictionary_groupings, 1),
                super::group_index::How::Runs => count(&counters.run_groupings, 1),
                super::group_index::How::Hash => {}
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
        Ok(Flow::Continue)
    }

    fn finish(&mut self, _: &mut Context<'_>) -> ExecutionResult<()> {
        let own = std::mem::replace(&mut self.own, self.grouping.groups());
        let mut merged = self.grouping.merged.lock();
        let Some(all) = merged.as_mut() else {
            *merged = Some(own);
            return Ok(());
        };
        let rows = own.index.len();
        let mapping: Vec<u32> = if self.keys.is_empty() {
            vec![0]
        } else {
            let vectors: Vec<ValueVector<'_>> = own.keys.iter().map(VectorBuffer::vector).collect();
            let (mut mapping, mut new_rows) = (Vec::new(), Vec::new());
            all.index.groups(&vectors, rows, Selection::All, &mut mapping, &mut new_rows);
            for (column, vector) in all.keys.iter_mut().zip(&vectors) {
                column.append_rows(vector, &new_rows);
            }
            mapping
        };
        for ((state, distinct), (other, other_distinct)) in
            all.states.iter_mut().zip(&mut all.distinct).zip(own.states.iter().zip(&own.distinct))
        {
            match (distinct, other_distinct) {
                (Some(distinct), Some(other)) => distinct.merge(other, &mapping),
                _ => state.merge(other, &mapping[..mapping.len().min(other.groups())])?,
            }
        }
        Ok(())
    }
}
