//! Joins inside sub-plans whose build side does not fit. Rows of the other side have to be joined batch by batch there,
//! since their sub-plan settles each batch, so only the build side is put aside, and each batch reads of it the
//! partitions that its keys fall into.

use super::super::context::{Context, QueryContext};
use super::super::counters::count;
use super::super::error::ExecutionResult;
use super::super::evaluate::Evaluator;
use super::super::operator::{Flow, Next, Operator};
use super::super::spill::{PARTITIONS, partitions_of};
use super::grace::{Forward, JoinSide, Partitions};
use super::{HashProbe, evaluate_all, without_nulls};
use crate::planner::physical_plan::Expression;
use crate::types::DataType;
use crate::vector::{Batch, Selection, SelectionBuffer};

/// Joins each batch with the partitions of its keys.
pub struct BatchProbe<'x> {
    build: &'x JoinSide<'x>,
    rows: &'x Partitions,
    keys: &'x [Expression],
    types: Vec<DataType>,
    evaluators: Vec<Evaluator<'x>>,
    selection: SelectionBuffer,
    selected: Vec<u32>,
    next: Next<'x>,
}

impl<'x> BatchProbe<'x> {
    /// Probes the rows of `build` that were put aside before `next`.
    pub fn new(
        build: &'x JoinSide<'x>,
        rows: &'x Partitions,
        keys: &'x [Expression],
        query: &QueryContext,
        next: Next<'x>,
    ) -> ExecutionResult<BatchProbe<'x>> {
        Ok(BatchProbe {
            build,
            rows,
            keys,
            types: keys.iter().map(|key| key.data_type.clone()).collect(),
            evaluators: Evaluator::all(keys, query)?,
            selection: SelectionBuffer::default(),
            selected: Vec::new(),
            next,
        })
    }

    /// The rows of a batch by partition, as masks; those with a NULL key are in none.
    fn masks(&mut self, query: &QueryContext, batch: &Batch<'_>) -> ExecutionResult<Vec<Vec<u64>>> {
        let BatchProbe { evaluators, selection, selected, types, .. } = self;
        let vectors = evaluate_all(evaluators, query, batch)?;
        without_nulls(&vectors, batch, selection);
        selected.clear();
        selection.view().indices(batch.length, selected);
        let parts = partitions_of(&vectors, types, batch.length, selection.view(), 0);
        let mut masks = vec![Vec::new(); PARTITIONS];
        for (row, part) in selected.iter().zip(parts) {
            let mask: &mut Vec<u64> = &mut masks[usize::from(part)];
            mask.resize(batch.length.div_ceil(64), 0);
            mask[*row as usize / 64] |= 1 << (row % 64);
        }
        Ok(masks)
    }
}

impl Operator for BatchProbe<'_> {
    fn push<'b>(&mut self, context: &mut Context<'_>, batch: Batch<'b>) -> ExecutionResult<Flow> {
        let query = context.query;
        let masks = self.masks(query, &batch)?;
        count(&query.counters.batches_joined_with_parts, 1);
        let BatchProbe { build, rows, keys, next, .. } = self;
        for (part, mask) in masks.iter().enumerate().filter(|(_, mask)| !mask.is_empty()) {
            let flow = build.each_slice(rows, part, query, |side| {
                let next: Next<'_> = Box::new(Forward { next: &mut **next });
                let mut probe = HashProbe::new(side, Evaluator::all(keys, query)?, next);
                probe.push(context, Batch { selection: Selection::Mask(mask), ..batch })
            })?;
            if flow == Flow::Stop {
                return Ok(Flow::Stop);
            }
        }
        Ok(Flow::Continue)
    }

    fn next(&mut self) -> Option<&mut dyn Operator> {
        Some(&mut *self.next)
    }
}
