//! What each operator of a plan really did, for `PROFILE`: rows and working time beside the planner's estimate. A tap
//! behind every operator counts what it puts out; without `PROFILE` there are no taps.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use rustc_hash::FxHashMap;

use super::context::Context;
use super::counters::count;
use super::error::ExecutionResult;
use super::operator::{Flow, Next, Numbered, Operator};
use crate::planner::explain::{Actual, inputs};
use crate::planner::physical_plan::{PhysicalPlan, PhysicalWrite, PlanNode};
use crate::storage::memory::Meter;
use crate::vector::Batch;

/// The counts of all operators of one execution.
#[derive(Debug, Default)]
pub struct Profile {
    nodes: FxHashMap<usize, Counts>,
    /// Time of helping threads, which passes beside that of the calling one.
    helpers: AtomicU64,
}

/// What one operator did, summed up over threads and executions.
#[derive(Debug, Default)]
pub(super) struct Counts {
    executions: AtomicU64,
    rows: AtomicU64,
    represented: AtomicU64,
    /// From the start to the end of its execution with all inputs, on all threads.
    whole: AtomicU64,
    /// In what comes behind it.
    behind: AtomicU64,
    /// What its instances hold.
    memory: Arc<Meter>,
}

impl Profile {
    /// A profile of a plan that does not move while it is executed.
    pub fn of(plan: &PhysicalPlan) -> Profile {
        let mut profile = Profile::default();
        profile.add(&plan.root);
        for stage in &plan.stages {
            profile.add(&stage.input);
            if let PhysicalWrite::Merge(merge) = &stage.write {
                profile.add(&merge.found);
            }
        }
        profile
    }

    fn add(&mut self, node: &PlanNode) {
        self.nodes.insert(address(node), Counts::default());
        inputs(&node.operator).into_iter().for_each(|input| self.add(input));
    }

    pub(super) fn counts(&self, node: &PlanNode) -> Option<&Counts> {
        self.nodes.get(&address(node))
    }

    /// Takes note of a plan that ran as a whole: the time is that of its last operator.
    pub(super) fn ran_whole(&self, root: &PlanNode, rows: u64, time: Duration) {
        let mut node = Some(root);
        let mut time = nanos(time);
        while let Some(counts) = node.and_then(|node| self.counts(node)) {
            count(&counts.executions, 1);
            count(&counts.rows, rows);
            count(&counts.represented, rows);
            count(&counts.whole, std::mem::take(&mut time));
            node = node.and_then(|node| inputs(&node.operator).into_iter().next());
        }
    }

    /// Adds the working time of a thread that helped.
    pub(super) fn helped(&self, time: Duration) {
        count(&self.helpers, nanos(time));
    }

    /// What a node did; none where it was not executed as an operator of its own.
    pub fn actual(&self, node: &PlanNode) -> Option<Actual> {
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        let counts = self.counts(node).filter(|counts| read(&counts.executions) > 0)?;
        // Its own time is what passes in it and its inputs, without the inputs' own executions, and without what comes
        // behind it.
        let mut time = read(&counts.whole) as i128 - read(&counts.behind) as i128;
        for input in inputs(&node.operator).into_iter().filter_map(|input| self.counts(input)) {
            time += read(&input.behind) as i128 - read(&input.whole) as i128;
        }
        Some(Actual {
            rows: read(&counts.rows),
            represented: read(&counts.represented),
            time: Duration::from_nanos(u64::try_from(time).unwrap_or(0)),
            memory: counts.memory.read().peak,
        })
    }
}

/// Nodes of a plan are told apart by their place in memory.
fn address(node: &PlanNode) -> usize {
    std::ptr::from_ref(node) as usize
}

fn nanos(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
}

impl Counts {
    /// The meter of what the operator holds.
    pub(super) fn memory(&self) -> Arc<Meter> {
        Arc::clone(&self.memory)
    }

    /// Takes the time of an execution of the node.
    pub(super) fn timed<T>(&self, profile: &Profile, run: impl FnOnce() -> T) -> T {
        let (started, helped) = (Instant::now(), profile.helpers.load(Ordering::Relaxed));
        let outcome = run();
        let helped = profile.helpers.load(Ordering::Relaxed) - helped;
        count(&self.executions, 1);
        count(&self.whole, nanos(started.elapsed()) + helped);
        outcome
    }
}

/// Counts the rows that pass, and the time that what follows takes for them.
pub(super) struct Tap<'x> {
    counts: &'x Counts,
    next: Next<'x>,
}

impl<'x> Tap<'x> {
    pub(super) fn new(counts: &'x Counts, next: Next<'x>) -> Tap<'x> {
        Tap { counts, next }
    }

    fn timed<T>(&mut self, run: impl FnOnce(&mut Next<'x>) -> T) -> T {
        let started = Instant::now();
        let outcome = run(&mut self.next);
        count(&self.counts.behind, nanos(started.elapsed()));
        outcome
    }
}

impl Operator for Tap<'_> {
    fn push<'b>(&mut self, context: &mut Context<'_>, batch: Batch<'b>) -> ExecutionResult<Flow> {
        count(&self.counts.rows, batch.selected() as u64);
        count(&self.counts.represented, batch.row_count().unwrap_or(u64::MAX));
        self.timed(|next| next.push(context, batch))
    }

    fn settle<'b>(
        &mut self,
        context: &mut Context<'_>,
        rows: Numbered,
        batch: Batch<'b>,
    ) -> ExecutionResult<Flow> {
        self.timed(|next| next.settle(context, rows, batch))
    }

    fn finish(&mut self, context: &mut Context<'_>) -> ExecutionResult<()> {
        self.timed(|next| next.finish(context))
    }
}
