//! A predicate on nodes as one bit per offset, made by a scan.

use std::sync::atomic::{AtomicU64, Ordering};

use super::context::{Context, QueryContext};
use super::counters::count;
use super::error::ExecutionResult;
use super::messages::{NodeWeights, Weights};
use super::operator::{Flow, Operator};
use super::pipeline::drive;
use super::scan_nodes::ScanRows;
use crate::planner::physical_plan::{Expression, ScanTable};
use crate::types::{GlobalId, TableId};
use crate::vector::{Batch, Selection, Shape};

/// The nodes of each table that fulfil its pushed predicates and the filter.
pub fn node_bits<'x>(
    tables: &[ScanTable],
    filter: Option<&'x Expression>,
    query: &'x QueryContext,
) -> ExecutionResult<NodeWeights> {
    count(&query.counters.node_bitmaps, 1);
    let mut words: Vec<(TableId, Vec<AtomicU64>)> = Vec::with_capacity(tables.len());
    for scan in tables {
        let rows = query.transaction.node_table(scan.table)?.row_bound();
        let mut bits = Vec::new();
        bits.resize_with(rows.div_ceil(64) as usize, AtomicU64::default);
        words.push((scan.table, bits));
    }
    {
        let source = ScanRows::new(tables, filter, &[], query)?;
        drive(query, &source, &|| Ok(Box::new(SetBits { words: &words })))?;
    }
    let plain = |(table, bits): (TableId, Vec<AtomicU64>)| {
        (table, Weights::Bits(bits.into_iter().map(AtomicU64::into_inner).collect()))
    };
    Ok(words.into_iter().map(plain).collect())
}

/// Sets the bits of all nodes that arrive.
struct SetBits<'x> {
    words: &'x [(TableId, Vec<AtomicU64>)],
}

impl Operator for SetBits<'_> {
    fn push<'b>(&mut self, _: &mut Context<'_>, batch: Batch<'b>) -> ExecutionResult<Flow> {
        let ids = &batch.columns[0];
        let Shape::Sequence { start } = ids.shape else { return Ok(Flow::Continue) };
        let table = GlobalId(start).table();
        let Some((_, words)) = self.words.iter().find(|(known, _)| known.0 & 0xFFFF == table.0) else {
            return Ok(Flow::Continue);
        };
        let first = GlobalId(start).offset() as usize;
        match batch.selection {
            Selection::Mask(mask) if first.is_multiple_of(64) => {
                for (index, word) in mask.iter().enumerate().take(batch.length.div_ceil(64)) {
                    let bits = word & crate::vector::ones_below(batch.length - index * 64);
                    words[first / 64 + index].fetch_or(bits, Ordering::Relaxed);
                }
            }
            selection => selection.for_each(batch.length, |row| {
                let at = first + row;
                words[at / 64].fetch_or(1 << (at % 64), Ordering::Relaxed);
            }),
        }
        Ok(Flow::Continue)
    }

    fn finish(&mut self, _: &mut Context<'_>) -> ExecutionResult<()> {
        Ok(())
    }
}
