//! SKIP and LIMIT: a budget that all workers share.

use std::sync::atomic::{AtomicU64, Ordering};

use super::context::Context;
use super::error::ExecutionResult;
use super::operator::{Flow, Next, Operator};
use crate::vector::{Batch, Selection};

/// How many rows may still pass, shared by the instances.
pub struct Budget {
    taken: AtomicU64,
    skip: u64,
    end: u64,
}

impl Budget {
    /// Rows `skip..skip + limit` pass.
    pub fn new(skip: u64, limit: Option<u64>) -> Budget {
        let end = limit.map_or(u64::MAX, |limit| skip.saturating_add(limit));
        Budget { taken: AtomicU64::new(0), skip, end }
    }
}

/// Lets the rows of the budget pass.
pub struct Limit<'x> {
    budget: &'x Budget,
    rows: Vec<u32>,
    kept: Vec<u16>,
    next: Next<'x>,
}

impl<'x> Limit<'x> {
    /// A limit before `next`; rows must stand for themselves (see `Unfold`).
    pub fn new(budget: &'x Budget, next: Next<'x>) -> Limit<'x> {
        Limit { budget, rows: Vec::new(), kept: Vec::new(), next }
    }
}

impl Operator for Limit<'_> {
    fn push<'b>(&mut self, context: &mut Context<'_>, batch: Batch<'b>) -> ExecutionResult<Flow> {
        let selected = batch.selected() as u64;
        let first = self.budget.taken.fetch_add(selected, Ordering::Relaxed);
        let (from, to) = (self.budget.skip.max(first), self.budget.end.min(first.saturating_add(selected)));
        if from < to {
            let mut limited = batch;
            if to - from < selected {
                self.rows.clear();
                batch.selection.indices(batch.length, &mut self.rows);
                let range = (from - first) as usize..(to - first) as usize;
                self.kept.clear();
                self.kept.extend(self.rows[range].iter().map(|row| *row as u16));
                limited.selection = Selection::Rows(&self.kept);
            }
            if self.next.push(context, limited)? == Flow::Stop {
                return Ok(Flow::Stop);
            }
        }
        let over = first.saturating_add(selected) >= self.budget.end;
        Ok(if over { Flow::Stop } else { Flow::Continue })
    }

    fn finish(&mut self, context: &mut Context<'_>) -> ExecutionResult<()> {
        self.next.finish(context)
    }
}
