//! Joins against a build side that is kept in memory: by hashed keys, or all with all. Where a hashed side does not fit,
//! both sides are put aside in partitions that do, see `grace`; the sides of a product are put aside as they are.

mod batchwise;
mod grace;
mod product;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use batchwise::BatchProbe;
use grace::{Gathered, GraceSource, JoinSide};
pub use product::cross_product;

use super::build::run;
use super::chunks::{Chunk, ChunkList};
use super::context::{Context, QueryContext};
use super::counters::count;
use super::error::ExecutionResult;
use super::evaluate::Evaluator;
use super::joining::{NodeSet, with_bitmap};
use super::key_table::{KeyScratch, KeyTable};
use super::operator::{Factory, Flow, Next, Operator};
use super::pipeline::drive;
use crate::planner::physical_plan::{Expression, JoinBitmap, PhysicalOperator, PlanNode};
use crate::storage::StorageError;
use crate::storage::memory::Meter;
use crate::types::DataType;
use crate::vector::{Batch, Multiplicity, SelectionBuffer, ValueVector, VectorBuffer};

/// The end of a chain of rows.
const NO_ROW: u32 = u32::MAX;

/// Runs a hash join: the build side first, then the other one, whose rows go through the table as they come.
pub fn hash_join<'x>(
    (probe, probe_keys): (&'x PlanNode, &'x [Expression]),
    (build, build_keys): (&'x PlanNode, &'x [Expression]),
    bitmap: Option<JoinBitmap>,
    meter: Option<Arc<Meter>>,
    query: &'x QueryContext,
    sink: &'x Factory<'x>,
) -> ExecutionResult<()> {
    let side = JoinSide::new(&build.outputs, build_keys, meter.clone(), query);
    let around = query.pipeline_rows.swap(0, Ordering::Relaxed);
    let outcome = run(build, query, &|| Ok(Box::new(side.sink(query)?) as Next<'_>));
    query.pipeline_rows.store(around, Ordering::Relaxed);
    outcome?;
    match side.gathered(query)? {
        Gathered::Kept(list, _held) => {
            let rows = BuildRows::new(&build.outputs, list, query)?;
            let types = build_keys.iter().map(|key| key.data_type.clone()).collect();
            let side = HashTableSide::new(rows, &mut Evaluator::all(build_keys, query)?, types, query)?;
            let bitmap = bitmap.and_then(|bitmap| Some((bitmap.name, side.nodes(bitmap.column, query)?)));
            with_bitmap(query, bitmap, || {
                run(probe, query, &|| {
                    Ok(Box::new(HashProbe::new(&side, Evaluator::all(probe_keys, query)?, sink()?))
                        as Next<'_>)
                })
            })
        }
        Gathered::Aside(build_rows) => {
            if let Some(name) = sub_plan_around(probe) {
                let probe_side = (&probe.outputs[..], probe_keys);
                return query.gathering(name, || {
                    run(probe, query, &|| {
                        let probe = BatchProbe::new(&side, &build_rows, probe_side, query, sink()?)?;
                        Ok(Box::new(probe) as Next<'_>)
                    })
                });
            }
            let others = JoinSide::aside(&probe.outputs, probe_keys, meter, query);
            run(probe, query, &|| Ok(Box::new(others.sink(query)?) as Next<'_>))?;
            let Gathered::Aside(probe_rows) = others.gathered(query)? else { return Ok(()) };
            let next = AtomicU64::new(0);
            drive(query, &GraceSource { build: &side, probe: &others, build_rows, probe_rows, next }, sink)
        }
    }
}

/// The sub-plan to whose `Settle` rows pass through the join, which wants them before their numbers begin anew: then only
/// the build side can be put aside.
fn sub_plan_around(probe: &PlanNode) -> Option<u32> {
    use PhysicalOperator as P;
    let (mut node, mut settled) = (probe, 0);
    loop {
        match &node.operator {
            P::Number { name, .. } if settled == 0 => return Some(*name),
            P::Number { .. } => settled -= 1,
            P::Settle { .. } => settled += 1,
            P::Aggregate { .. } | P::Distinct { .. } | P::Sort { .. } | P::TopK { .. } => return None,
            _ => {}
        }
        match crate::planner::inputs(&node.operator).first() {
            Some(input) => node = input,
            None => return None,
        }
    }
}

/// All build rows in one piece, so that a row number is a position in every column.
pub struct BuildRows {
    pub columns: Vec<VectorBuffer>,
    pub rows: usize,
    multiplicity: Vec<u64>,
}

impl BuildRows {
    /// Puts the chunks together.
    pub fn new(types: &[DataType], list: ChunkList, query: &QueryContext) -> ExecutionResult<BuildRows> {
        let mut all = BuildRows::empty(types);
        for chunk in list.chunks {
            query.check()?;
            all.add(&chunk);
        }
        Ok(all)
    }

    /// No rows of these types.
    fn empty(types: &[DataType]) -> BuildRows {
        let columns = types.iter().map(|data_type| VectorBuffer::new(data_type.clone())).collect();
        BuildRows { columns, rows: 0, multiplicity: Vec::new() }
    }

    fn add(&mut self, chunk: &Chunk) {
        let Chunk { columns: from, rows: added, multiplicity: counts } = chunk;
        for (column, from) in self.columns.iter_mut().zip(from) {
            column.append_range(&from.vector(), 0, *added);
        }
        if !counts.is_empty() {
            self.multiplicity.resize(self.rows, 1);
            self.multiplicity.extend(counts);
        } else if !self.multiplicity.is_empty() {
            self.multiplicity.resize(self.rows + added, 1);
        }
        self.rows += added;
    }

    fn multiplicity(&self, row: usize) -> u64 {
        self.multiplicity.get(row).copied().unwrap_or(1)
    }
}

/// The build side of a hash join: rows chained by key.
pub struct HashTableSide {
    pub build: BuildRows,
    keys: KeyTable,
    heads: Vec<u32>,
    chain: Vec<u32>,
}

impl HashTableSide {
    /// Hashes the rows by the key expressions; rows with a NULL key never join.
    pub fn new(
        build: BuildRows,
        keys: &mut [Evaluator<'_>],
        key_types: Vec<DataType>,
        query: &QueryContext,
    ) -> ExecutionResult<HashTableSide> {
        count(&query.counters.rows_built, build.rows as u64);
        if build.rows >= NO_ROW as usize {
            let what = "the rows of a hash join's smaller side".to_owned();
            return Err(StorageError::Limit { what, limit: u64::from(NO_ROW) - 1 }.into());
        }
        let mut table = KeyTable::new(key_types);
        let mut heads: Vec<u32> = Vec::new();
        let mut chain = vec![NO_ROW; build.rows];
        let columns: Vec<ValueVector<'_>> = build.columns.iter().map(VectorBuffer::vector).collect();
        let (mut groups, mut new_rows, mut scratch) = (Vec::new(), Vec::new(), KeyScratch::default());
        let (mut selection, mut rows) = (SelectionBuffer::default(), Vec::new());
        let mut start = 0;
        while start < build.rows {
            query.check()?;
            let length = query.vector_size.max(1024).min(build.rows - start);
            let part: Vec<ValueVector<'_>> = columns.iter().map(|column| column.slice_from(start)).collect();
            let batch = Batch::new(&part, length);
            let vectors = evaluate_all(keys, query, &batch)?;
            without_nulls(&vectors, &batch, &mut selection);
            table.groups(&vectors, length, selection.view(), &mut scratch, &mut groups, &mut new_rows);
            rows.clear();
            selection.view().indices(length, &mut rows);
            heads.resize(table.len(), NO_ROW);
            for (row, group) in rows.iter().zip(&groups) {
                let row = start as u32 + row;
                chain[row as usize] = heads[*group as usize];
                heads[*group as usize] = row;
            }
            start += length;
        }
        Ok(HashTableSide { build, keys: table, heads, chain })
    }

    /// The nodes in a column, if there is memory for a bit each.
    fn nodes(&self, column: usize, query: &QueryContext) -> Option<NodeSet> {
        let mut nodes = NodeSet::new(query.account());
        nodes.insert_all(&self.build.columns[column].vector(), self.build.rows).then_some(nodes)
    }
}

fn evaluate_all<'s>(
    expressions: &'s mut [Evaluator<'_>],
    query: &QueryContext,
    batch: &Batch<'s>,
) -> ExecutionResult<Vec<ValueVector<'s>>> {
    expressions.iter_mut().map(|expression| expression.evaluate(query, batch)).collect()
}

/// Selects the rows in which no key is NULL.
fn without_nulls(keys: &[ValueVector<'_>], batch: &Batch<'_>, selection: &mut SelectionBuffer) {
    selection.reset(batch.selection, batch.length);
    for key in keys.iter().filter(|key| !key.has_no_nulls()) {
        for (index, word) in selection.words_mut().iter_mut().enumerate() {
            for bit in 0..64.min(batch.length - index * 64) {
                if *word >> bit & 1 == 1 && key.is_null(index * 64 + bit) {
                    *word &= !(1 << bit);
                }
            }
        }
    }
}

/// Pairs of probe rows and build rows on their way out.
struct Pairs<'x> {
    build: &'x BuildRows,
    left: Vec<u32>,
    right: Vec<u32>,
    counts: Vec<u64>,
    /// One row of a side, as often as the other side has rows.
    same: Vec<u32>,
    next: Next<'x>,
}

impl<'x> Pairs<'x> {
    fn new(build: &'x BuildRows, next: Next<'x>) -> Pairs<'x> {
        Pairs { build, left: Vec::new(), right: Vec::new(), counts: Vec::new(), same: Vec::new(), next }
    }

    fn add(
        &mut self,
        left: u32,
        right: u32,
        context: &mut Context<'_>,
        batch: &Batch<'_>,
    ) -> ExecutionResult<Flow> {
        self.left.push(left);
        self.right.push(right);
        if self.left.len() >= context.query.vector_size {
            self.flush(context, batch)
        } else {
            Ok(Flow::Continue)
        }
    }

    /// Nothing of the build side is read, so each row just stands for as many as that side has.
    fn multiply(&mut self, context: &mut Context<'_>, batch: &Batch<'_>) -> ExecutionResult<Flow> {
        let all = match &self.build.multiplicity[..] {
            [] => self.build.rows as u64,
            counts => counts.iter().fold(0, |sum: u64, times| sum.saturating_add(*times)),
        };
        if all == 0 {
            return Ok(Flow::Continue);
        }
        self.counts.clear();
        self.counts.extend((0..batch.length).map(|row| batch.multiplicity.get(row).saturating_mul(all)));
        let represented = batch.selected() as u64;
        count(&context.query.counters.rows_represented, represented.saturating_mul(all));
        self.next.push(context, Batch { multiplicity: Multiplicity::PerRow(&self.counts), ..*batch })
    }

    fn flush(&mut self, context: &mut Context<'_>, batch: &Batch<'_>) -> ExecutionResult<Flow> {
        if self.left.is_empty() {
            return Ok(Flow::Continue);
        }
        context.query.check()?;
        let probe = batch.columns.iter().map(|column| ValueVector::dictionary(&self.left, column));
        let built = self.build.columns.iter().map(|column| ValueVector::dictionary(&self.right, column));
        let columns: Vec<ValueVector<'_>> = probe.chain(built).collect();
        let mut out = Batch::new(&columns, self.left.len());
        if !batch.multiplicity.is_one() || !self.build.multiplicity.is_empty() {
            self.counts.clear();
            for (left, right) in self.left.iter().zip(&self.right) {
                let ours = batch.multiplicity.get(*left as usize);
                self.counts.push(ours.saturating_mul(self.build.multiplicity(*right as usize)));
            }
            out.multiplicity = Multiplicity::PerRow(&self.counts);
        }
        let flow = self.next.push(context, out);
        self.left.clear();
        self.right.clear();
        flow
    }
}

/// The probe side of a hash join.
pub struct HashProbe<'x> {
    side: &'x HashTableSide,
    keys: Vec<Evaluator<'x>>,
    pairs: Pairs<'x>,
    groups: Vec<u32>,
    rows: Vec<u32>,
    scratch: KeyScratch,
    selection: SelectionBuffer,
}

impl<'x> HashProbe<'x> {
    /// Probes before `next`, which gets the probe's columns and then the build's.
    pub fn new(side: &'x HashTableSide, keys: Vec<Evaluator<'x>>, next: Next<'x>) -> HashProbe<'x> {
        HashProbe {
            side,
            keys,
            pairs: Pairs::new(&side.build, next),
            groups: Vec::new(),
            rows: Vec::new(),
            scratch: KeyScratch::default(),
            selection: SelectionBuffer::default(),
        }
    }
}

impl Operator for HashProbe<'_> {
    fn push<'b>(&mut self, context: &mut Context<'_>, batch: Batch<'b>) -> ExecutionResult<Flow> {
        let HashProbe { side, keys, pairs, groups, rows, scratch, selection } = self;
        let vectors = evaluate_all(keys, context.query, &batch)?;
        without_nulls(&vectors, &batch, selection);
        side.keys.find(&vectors, batch.length, selection.view(), scratch, groups);
        rows.clear();
        selection.view().indices(batch.length, rows);
        count(&context.query.counters.rows_probed, rows.len() as u64);
        for (row, group) in rows.iter().zip(groups.iter()) {
            let mut other = side.heads.get(*group as usize).copied().unwrap_or(NO_ROW);
            while other != NO_ROW {
                if pairs.add(*row, other, context, &batch)? == Flow::Stop {
                    return Ok(Flow::Stop);
                }
                other = side.chain[other as usize];
            }
        }
        pairs.flush(context, &batch)
    }

    fn next(&mut self) -> Option<&mut dyn Operator> {
        Some(&mut *self.pairs.next)
    }
}
