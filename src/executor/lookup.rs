//! The node with a key, by the key index.

use std::sync::Arc;

use super::context::{Context, QueryContext};
use super::counters::count;
use super::error::ExecutionResult;
use super::evaluate::Evaluator;
use super::operator::{Flow, Next, Operator};
use crate::planner::physical_plan::Expression;
use crate::transaction::KeyReader;
use crate::types::{DataType, GlobalId, TableId, Value};
use crate::vector::{Batch, Multiplicity, ValueVector};

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
