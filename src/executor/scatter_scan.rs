//! Message steps along relationships with conjuncts: one scan finds those that fulfil them, with zone maps and without
//! looking at lists, and adds what their far ends weigh to the sums of their near ends.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use super::context::{Context, QueryContext};
use super::counters::count;
use super::error::ExecutionResult;
use super::messages::{NodeWeights, OPERATOR, too_many, weights_of};
use super::operator::{Flow, Operator};
use super::pipeline::drive;
use super::scan_nodes::ScanRows;
use super::scatter::Sums;
use crate::planner::logical_plan::{Direction, Leg};
use crate::planner::physical_plan::RelScan;
use crate::storage::memory::Reservation;
use crate::types::{DST_COLUMN, GlobalId, SRC_COLUMN, TableId};
use crate::vector::{Batch, Shape};

/// What hangs below the nodes that the legs start at. Its sums are counted by `held` before they are made.
pub fn scatter_scanned(
    legs: &[Leg],
    scan: &RelScan,
    child: &NodeWeights,
    held: &mut Reservation,
    query: &QueryContext,
) -> ExecutionResult<Sums> {
    let mut sums: Vec<(TableId, Vec<AtomicU64>)> = Vec::new();
    for leg in legs {
        let table = leg.from_table();
        if sums.iter().all(|(known, _)| *known != table) {
            let mut counts = Vec::new();
            let rows = query.transaction.node_table(table)?.row_bound();
            held.hold(OPERATOR, held.bytes().saturating_add(rows.saturating_mul(8)))?;
            counts.resize_with(rows as usize, AtomicU64::default);
            sums.push((table, counts));
        }
    }
    let overflow = AtomicBool::new(false);
    {
        let source = ScanRows::new(&scan.tables, scan.filter.as_ref(), &[SRC_COLUMN, DST_COLUMN], query)?;
        let (sums, overflow) = (&sums, &overflow);
        drive(query, &source, &|| Ok(Box::new(AddWeights { legs, child, sums, overflow })))?;
    }
    if overflow.into_inner() {
        return Err(too_many());
    }
    count(&query.counters.rels_scattered, 1);
    let plain = |counts: Vec<AtomicU64>| counts.into_iter().map(AtomicU64::into_inner).collect();
    Ok(sums.into_iter().map(|(table, counts)| (table, plain(counts))).collect())
}

/// Adds the weights of the far ends of all relationships that arrive.
struct AddWeights<'x> {
    legs: &'x [Leg],
    child: &'x NodeWeights,
    sums: &'x [(TableId, Vec<AtomicU64>)],
    overflow: &'x AtomicBool,
}

impl Operator for AddWeights<'_> {
    fn push<'b>(&mut self, _: &mut Context<'_>, batch: Batch<'b>) -> ExecutionResult<Flow> {
        let Shape::Sequence { start } = batch.columns[0].shape else { return Ok(Flow::Continue) };
        let rel = GlobalId(start).table();
        let ends = [1, 2].map(|at| batch.columns[at].native_reader::<u64>());
        let [Some(source), Some(target)] = ends else { return Ok(Flow::Continue) };
        for leg in self.legs.iter().filter(|leg| leg.rel.table.0 & 0xFFFF == rel.0) {
            let Some(weights) = weights_of(self.child, leg.to_table()) else { continue };
            let Some((_, sums)) = self.sums.iter().find(|(table, _)| *table == leg.from_table()) else {
                continue;
            };
            let (near, far) = match leg.direction {
                Direction::Forward => (&source, &target),
                Direction::Backward => (&target, &source),
            };
            batch.selection.for_each(batch.length, |row| {
                let (near, far) = (near.get(row), far.get(row));
                let weight = weights.get(GlobalId(far).offset());
                if weight == 0 || (leg.skip_loops && near == far) {
                    return;
                }
                if let Some(sum) = sums.get(GlobalId(near).offset() as usize) {
                    let before = sum.fetch_add(weight, Ordering::Relaxed);
                    if before.checked_add(weight).is_none() {
                        self.overflow.store(true, Ordering::Relaxed);
                    }
                }
            });
        }
        Ok(Flow::Continue)
    }

    fn finish(&mut self, _: &mut Context<'_>) -> ExecutionResult<()> {
        Ok(())
    }
}
