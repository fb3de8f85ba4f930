//! Scan of the root of message passing: every node with the number of matches it stands for; and the same weights
//! applied to rows of a pipeline.

use std::sync::atomic::{AtomicU64, Ordering};

use super::context::{Context, QueryContext};
use super::counters::count;
use super::error::ExecutionResult;
use super::messages::{
    MORSEL_NODES, NodeWeights, OPERATOR, Prepared, Weights, bytes_of, too_many, weigh, weights_of,
};
use super::operator::{Flow, Next, Operator};
use super::pipeline::Source;
use super::row_weights::RowWeights;
use crate::planner::physical_plan::PhysicalMessage;
use crate::storage::memory::Reservation;
use crate::types::{GlobalId, TableId};
use crate::vector::{Batch, Multiplicity, Selection, ValueVector};

/// Below this many nodes the calling thread works alone.
const NODES_PER_WORKER: u64 = 200_000;
/// The same where lists are read, not only their lengths.
const NODES_PER_WORKER_LISTS: u64 = 20_000;

/// The terms of one weighted scan.
pub struct ScanWeighted<'x> {
    terms: Vec<(i64, Prepared<'x>)>,
    /// Table, rows, first morsel.
    tables: Vec<(TableId, u64, u64)>,
    morsels: u64,
    next: AtomicU64,
    rows_per_worker: u64,
    rows: u64,
    /// Only the sum of the weights is asked for: one row per morsel stands for all of its nodes.
    sum_only: bool,
}

impl<'x> ScanWeighted<'x> {
    /// Computes everything below the root.
    pub fn new(
        tables: &[TableId],
        terms: &'x [(i64, PhysicalMessage)],
        sum_only: bool,
        query: &'x QueryContext,
    ) -> ExecutionResult<ScanWeighted<'x>> {
        let mut prepared = Vec::with_capacity(terms.len());
        for (sign, term) in terms {
            let term = Prepared::new(term, query)?;
            if !term.is_zero()? {
                prepared.push((*sign, term));
            }
        }
        if prepared.len() > 1 {
            count(&query.counters.signed_terms, prepared.len() as u64);
        }
        let (mut morsels, mut rows, mut all) = (0, 0, Vec::new());
        for table in tables {
            let bound = query.transaction.node_table(*table)?.row_bound();
            all.push((*table, bound, morsels));
            morsels += bound.div_ceil(MORSEL_NODES);
            rows += bound;
        }
        let lengths_only = |(_, term): &(i64, PhysicalMessage)| {
            term.children.iter().all(|step| step.child.children.is_empty() && step.child.late.is_none())
        };
        let light = terms.iter().all(lengths_only);
        let rows_per_worker = if light { NODES_PER_WORKER } else { NODES_PER_WORKER_LISTS };
        let next = AtomicU64::new(0);
        Ok(ScanWeighted { terms: prepared, tables: all, morsels, next, rows_per_worker, rows, sum_only })
    }
}

impl ScanWeighted<'_> {
    /// Pushes one row that stands for all matches of the morsel.
    fn push_sum(
        &self,
        table: TableId,
        first: u64,
        length: usize,
        context: &mut Context<'_>,
        next: &mut dyn Operator,
    ) -> ExecutionResult<Flow> {
        let mut total = 0i128;
        for (sign, term) in &self.terms {
            let sum = match term.sum_of_degrees(table, first, length)? {
                Some(sum) => sum,
                None => {
                    let mut weights = vec![0u64; length];
                    term.fill(&mut term.reader()?, table, first, &mut weights, context)?;
                    weights.iter().map(|weight| u128::from(*weight)).sum()
                }
            };
            let signed = i128::try_from(sum).ok().and_then(|sum| sum.checked_mul(i128::from(*sign)));
            total = signed.and_then(|signed| total.checked_add(signed)).ok_or_else(too_many)?;
        }
        let total = [u64::try_from(total).map_err(|_| too_many())?];
        if total[0] == 0 {
            return Ok(Flow::Continue);
        }
        count(&context.query.counters.rows_represented, total[0]);
        let columns = [ValueVector::sequence(GlobalId::new(table, first).0)];
        let mut batch = Batch::new(&columns, 1);
        batch.multiplicity = Multiplicity::PerRow(&total);
        next.push(context, batch)
    }
}

impl Source for ScanWeighted<'_> {
    fn next_morsel(&self) -> Option<u64> {
        let morsel = self.next.fetch_add(1, Ordering::Relaxed);
        (morsel < self.morsels).then_some(morsel)
    }

    fn morsels(&self) -> Option<u64> {
        Some(self.morsels)
    }

    fn run(&self, morsel: u64, context: &mut Context<'_>, next: &mut dyn Operator) -> ExecutionResult<Flow> {
        let part = self.tables.partition_point(|(.., first)| *first <= morsel) - 1;
        let (table, rows, first_morsel) = self.tables[part];
        let first = (morsel - first_morsel) * MORSEL_NODES;
        let length = (rows - first).min(MORSEL_NODES) as usize;
        if self.sum_only {
            return self.push_sum(table, first, length, context, next);
        }
        let (mut total, mut part) = (vec![0u64; length], vec![0u64; length]);
        for (sign, term) in &self.terms {
            let mut reader = term.reader()?;
            if self.terms.len() == 1 && *sign == 1 {
                term.fill(&mut reader, table, first, &mut total, context)?;
                break;
            }
            term.fill(&mut reader, table, first, &mut part, context)?;
            for (total, part) in total.iter_mut().zip(&part) {
                // Signed terms cancel out; modulo 2^64 the sum is exact whatever their order.
                *total = total.wrapping_add(part.wrapping_mul(*sign as u64));
            }
        }
        push_weighted(GlobalId::new(table, first).0, &total, context, next)
    }

    fn parallelism(&self) -> usize {
        (self.rows / self.rows_per_worker) as usize + 1
    }
}

/// Pushes consecutive nodes with their multiplicities; nodes without a match are not selected.
fn push_weighted(
    first: u64,
    weights: &[u64],
    context: &mut Context<'_>,
    next: &mut dyn Operator,
) -> ExecutionResult<Flow> {
    let size = context.query.vector_size;
    let mut represented = 0u64;
    for (at, part) in weights.chunks(size).enumerate() {
        context.query.check()?;
        let mut mask = vec![0u64; part.len().div_ceil(64)];
        for (word, weights) in mask.iter_mut().zip(part.chunks(64)) {
            for (bit, weight) in weights.iter().enumerate() {
                *word |= u64::from(*weight != 0) << bit;
            }
        }
        represented = part.iter().fold(represented, |sum, weight| sum.saturating_add(*weight));
        let columns = [ValueVector::sequence(first + (at * size) as u64)];
        let mut batch = Batch::new(&columns, part.len());
        batch.selection = Selection::Mask(&mask);
        batch.multiplicity = Multiplicity::PerRow(part);
        if next.push(context, batch)? == Flow::Stop {
            return Ok(Flow::Stop);
        }
    }
    count(&context.query.counters.rows_represented, represented);
    Ok(Flow::Continue)
}

/// The weights of a variable inside a pipeline: the signed sum of the terms, as arrays.
pub struct WeightTable {
    terms: Vec<(i64, NodeWeights)>,
    _held: Reservation,
}

impl WeightTable {
    /// Computes the arrays.
    pub fn new<'x>(
        terms: &'x [(i64, PhysicalMessage)],
        query: &'x QueryContext,
    ) -> ExecutionResult<WeightTable> {
        let mut held = query.account_of_arrays();
        let (mut table, mut bytes) = (Vec::with_capacity(terms.len()), 0);
        for (sign, term) in terms {
            let weights = weigh(term, query)?;
            bytes += bytes_of(&weights);
            held.hold(OPERATOR, bytes)?;
            table.push((*sign, weights));
        }
        Ok(WeightTable { terms: table, _held: held })
    }

    /// What hangs below a node.
    pub fn get(&self, node: u64) -> u64 {
        let id = GlobalId(node);
        self.terms.iter().fold(0u64, |sum, (sign, weights)| {
            let weight =
                weights_of(weights, id.table()).map_or(0, |weights: &Weights| weights.get(id.offset()));
            sum.wrapping_add(weight.wrapping_mul(*sign as u64))
        })
    }
}

/// Multiplies by what hangs below a column's node; rows without a match are dropped.
pub struct Weight<'x> {
    column: usize,
    table: &'x WeightTable,
    weights: RowWeights,
    next: Next<'x>,
}

impl<'x> Weight<'x> {
    /// Weighs before `next`.
    pub fn new(column: usize, table: &'x WeightTable, next: Next<'x>) -> Weight<'x> {
        Weight { column, table, weights: RowWeights::default(), next }
    }
}

impl Operator for Weight<'_> {
    fn push<'b>(&mut self, context: &mut Context<'_>, batch: Batch<'b>) -> ExecutionResult<Flow> {
        let Some(nodes) = batch.columns[self.column].native_reader::<u64>() else {
            return Ok(Flow::Continue);
        };
        let Weight { table, weights, next, .. } = self;
        weights.start(batch.length);
        let nullable = !batch.columns[self.column].has_no_nulls();
        batch.selection.for_each(batch.length, |row| {
            if nullable && batch.columns[self.column].is_null(row) {
                return;
            }
            weights.set(row, table.get(nodes.get(row)).saturating_mul(batch.multiplicity.get(row)));
        });
        weights.push(context, batch, &mut **next)
    }

    fn next(&mut self) -> Option<&mut dyn Operator> {
        Some(&mut *self.next)
    }
}
