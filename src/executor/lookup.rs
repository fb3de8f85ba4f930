//! The node with a key, and the nodes with the keys of a list, by the key index.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use super::context::{Context, QueryContext};
use super::counters::count;
use super::error::ExecutionResult;
use super::evaluate::{Evaluator, constant_value};
use super::operator::{Flow, Next, Operator};
use super::pipeline::Source;
use crate::planner::physical_plan::Expression;
use crate::transaction::KeyReader;
use crate::types::{DataType, GlobalId, TableId, Value};
use crate::vector::{Batch, Multiplicity, ValueVector, Values};

/// The nodes whose keys are in a list.
pub struct ListedNodes {
    ids: Vec<u64>,
    taken: AtomicBool,
}

impl ListedNodes {
    /// Looks all of them up; they come in the order of the table.
    pub fn new(table: TableId, list: &Expression, query: &QueryContext) -> ExecutionResult<ListedNodes> {
        let reader = query.transaction.key_reader(table)?;
        let keys = match constant_value(list, query)? {
            Value::List(keys) => keys,
            // NULL has no elements.
            _ => Vec::new(),
        };
        let mut context = query.worker()?;
        let mut ids = Vec::with_capacity(keys.len());
        count(&query.counters.key_lookups, keys.len() as u64);
        for key in keys.into_iter().filter(|key| *key != Value::Null) {
            query.check()?;
            let offset = reader.lookup(&[key], &mut context.worker)?;
            ids.extend(offset.map(|offset| GlobalId::new(table, offset).0));
        }
        ids.sort_unstable();
        ids.dedup();
        Ok(ListedNodes { ids, taken: AtomicBool::new(false) })
    }
}

impl Source for ListedNodes {
    fn next_morsel(&self) -> Option<u64> {
        (!self.taken.swap(true, Ordering::Relaxed)).then_some(0)
    }

    fn run(&self, _: u64, context: &mut Context<'_>, next: &mut dyn Operator) -> ExecutionResult<Flow> {
        for ids in self.ids.chunks(context.query.vector_size) {
            let columns = [ValueVector::flat(Values::U64(ids))];
            if next.push(context, Batch::new(&columns, ids.len()))? == Flow::Stop {
                return Ok(Flow::Stop);
            }
        }
        Ok(Flow::Continue)
    }

    fn parallelism(&self) -> usize {
        1
    }
}

/// Appends the node id; rows whose key nobody has are dropped.
pub struct LookupNode<'x> {
    table: TableId,
    reader: Arc<KeyReader>,
    key: Vec<Evaluator<'x>>,
    types: Vec<DataType>,
    keep: &'x [usize],
    codes: Vec<u32>,
    ids: Vec<u64>,
    counts: Vec<u64>,
    next: Next<'x>,
}

impl<'x> LookupNode<'x> {
    /// Looks up before `next`.
    pub fn new(
        table: TableId,
        key: &[Expression],
        keep: &'x [usize],
        query: &QueryContext,
        next: Next<'x>,
    ) -> ExecutionResult<LookupNode<'x>> {
        Ok(LookupNode {
            table,
            reader: query.transaction.key_reader(table)?,
            key: Evaluator::all(key, query)?,
            types: key.iter().map(|e| e.data_type.clone()).collect(),
            keep,
            codes: Vec::new(),
            ids: Vec::new(),
            counts: Vec::new(),
            next,
        })
    }
}

impl Operator for LookupNode<'_> {
    fn push<'b>(&mut self, context: &mut Context<'_>, batch: Batch<'b>) -> ExecutionResult<Flow> {
        let LookupNode { table, reader, key, types, keep, codes, ids, counts, next } = self;
        let mut vectors = Vec::with_capacity(key.len());
        for expression in key {
            vectors.push(expression.evaluate(context.query, &batch)?);
        }
        let mut rows = Vec::new();
        batch.selection.indices(batch.length, &mut rows);
        codes.clear();
        ids.clear();
        count(&context.query.counters.key_lookups, rows.len() as u64);
        for row in rows {
            let values: Vec<Value> =
                vectors.iter().zip(types.iter()).map(|(vector, t)| vector.value(row as usize, t)).collect();
            if let Some(offset) = reader.lookup(&values, &mut context.worker)? {
                codes.push(row);
                ids.push(GlobalId::new(*table, offset).0);
            }
        }
        if codes.is_empty() {
            return Ok(Flow::Continue);
        }
        let mut columns: Vec<ValueVector<'_>> =
            keep.iter().map(|column| ValueVector::dictionary(codes, &batch.columns[*column])).collect();
        columns.push(ValueVector::flat(crate::vector::Values::U64(ids)));
        let mut out = Batch::new(&columns, codes.len());
        if let Multiplicity::PerRow(all) = batch.multiplicity {
            counts.clear();
            counts.extend(codes.iter().map(|row| all[*row as usize]));
            out.multiplicity = Multiplicity::PerRow(counts);
        }
        next.push(context, out)
    }

    fn next(&mut self) -> Option<&mut dyn Operator> {
        Some(&mut *self.next)
    }
}
