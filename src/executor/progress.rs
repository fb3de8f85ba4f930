//! How far a query has come, readable from other threads while it runs. Every pipeline of the plan weighs as many rows as
//! its operators are estimated to see; of the one that runs, the share counts that its source has handed out. What is
//! estimated wrongly makes the figure jump, never go back.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::time::{Duration, Instant};

use parking_lot::RwLock;

use super::context::{Context, QueryContext};
use crate::planner::inputs;
use crate::planner::physical_plan::{PhysicalOperator, PhysicalPlan, PlanNode};

/// What one morsel is worth; parts of it are told while it runs.
const MORSEL: u64 = 1 << 16;
/// No pipeline weighs more than that, so that sums fit.
const WEIGHT_MAX: f64 = 1e15;
/// Time between two calls of the callback.
const INTERVAL: Duration = Duration::from_millis(100);

/// What is called while a query runs, by any of its threads.
pub type QueryProgressCallback = Arc<dyn Fn(WorkDone) + Send + Sync>;

/// How much of a query is done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct WorkDone {
    /// By estimate, and all of it.
    pub done: u64,
    pub total: u64,
    /// Rows that scans and kept rows have handed on.
    pub rows: u64,
}

/// See the module.
pub struct QueryProgress {
    pipelines: RwLock<Vec<Pipeline>>,
    total: u64,
    /// The weight of the pipelines that are over, and of the one that runs.
    finished: AtomicU64,
    running: AtomicU64,
    /// Of the source that runs: what it has handed out, and all that it has.
    done: AtomicU64,
    extent: AtomicU64,
    rows: AtomicU64,
    /// The most that was ever shown.
    shown: AtomicU64,
    callback: Option<QueryProgressCallback>,
    started: Instant,
    /// Milliseconds from the start to the last call.
    told: AtomicU64,
}

struct Pipeline {
    /// The place in memory of the node that feeds it.
    source: usize,
    weight: u64,
    entered: AtomicBool,
}

impl QueryProgress {
    /// The progress of a plan that does not move while it is executed.
    pub fn of(plan: &PhysicalPlan, callback: Option<QueryProgressCallback>) -> QueryProgress {
        let pipelines = pipelines_of(plan);
        let total = pipelines.iter().map(|pipeline| pipeline.weight).sum::<u64>().max(1);
        QueryProgress {
            pipelines: RwLock::new(pipelines),
            total,
            finished: AtomicU64::new(0),
            running: AtomicU64::new(0),
            done: AtomicU64::new(0),
            extent: AtomicU64::new(0),
            rows: AtomicU64::new(0),
            shown: AtomicU64::new(0),
            callback,
            started: Instant::now(),
            told: AtomicU64::new(0),
        }
    }

    /// How far the query has come.
    pub fn read(&self) -> WorkDone {
        let (done, extent) = (self.done.load(Relaxed), self.extent.load(Relaxed));
        let share = if extent == 0 { 0.0 } else { (done as f64 / extent as f64).min(1.0) };
        let running = (self.running.load(Relaxed) as f64 * share) as u64;
        let now = self.finished.load(Relaxed).saturating_add(running).min(self.total);
        let before = self.shown.fetch_max(now, Relaxed);
        WorkDone { done: now.max(before), total: self.total, rows: self.rows.load(Relaxed) }
    }

    /// The query begins from its start with another plan: what is left to be shown is that plan's.
    pub fn begin_again(&self, plan: &PhysicalPlan) {
        let mut pipelines = self.pipelines.write();
        let shown = self.read().done;
        *pipelines = pipelines_of(plan);
        let all: u64 = pipelines.iter().map(|pipeline| pipeline.weight).sum();
        let share = (self.total - shown) as f64 / all.max(1) as f64;
        for pipeline in &mut *pipelines {
            pipeline.weight = (pipeline.weight as f64 * share) as u64;
        }
        self.running.store(0, Relaxed);
        self.extent.store(0, Relaxed);
        self.done.store(0, Relaxed);
        self.finished.store(shown, Relaxed);
    }

    /// The query is over.
    pub fn finish(&self) {
        self.finished.store(self.total, Relaxed);
        self.extent.store(0, Relaxed);
        if let Some(callback) = self.callback.as_ref().filter(|_| self.told.load(Relaxed) > 0) {
            callback(self.read());
        }
    }

    /// The pipeline that a node feeds begins. One that runs again counts once.
    fn enter(&self, node: &PlanNode) {
        let place = std::ptr::from_ref(node) as usize;
        let pipelines = self.pipelines.read();
        let Some(pipeline) = pipelines.iter().find(|pipeline| pipeline.source == place) else { return };
        if pipeline.entered.swap(true, Relaxed) {
            return;
        }
        self.extent.store(0, Relaxed);
        self.done.store(0, Relaxed);
        let before = self.running.swap(pipeline.weight, Relaxed);
        self.finished.fetch_add(before, Relaxed);
    }

    /// A source of so many morsels begins.
    pub(super) fn begin(&self, morsels: u64) {
        self.done.store(0, Relaxed);
        self.extent.store(morsels.saturating_mul(MORSEL), Relaxed);
    }

    fn advance(&self, by: u64) {
        self.done.fetch_add(by, Relaxed);
        let Some(callback) = &self.callback else { return };
        let now = u64::try_from(self.started.elapsed().as_millis()).unwrap_or(u64::MAX);
        let told = self.told.load(Relaxed);
        let due = now.saturating_sub(told) >= INTERVAL.as_millis() as u64;
        if due && self.told.compare_exchange(told, now, Relaxed, Relaxed).is_ok() {
            callback(self.read());
        }
    }
}

fn pipelines_of(plan: &PhysicalPlan) -> Vec<Pipeline> {
    let mut pipelines = Vec::new();
    for stage in &plan.stages {
        add_pipelines(&stage.input, 0.0, &mut pipelines);
    }
    add_pipelines(&plan.root, 0.0, &mut pipelines);
    pipelines
}

/// Whether a node sees all its input before it puts rows out.
fn collects(node: &PlanNode) -> bool {
    use PhysicalOperator as P;
    match &node.operator {
        P::Distinct { first, .. } => first.is_empty(),
        P::Aggregate { .. } | P::Sort { .. } | P::TopK { .. } | P::Union { .. } => true,
        _ => false,
    }
}

/// The node that feeds the pipeline which a node is in.
pub(super) fn feeder(mut node: &PlanNode) -> &PlanNode {
    while let (false, Some(input)) = (collects(node), inputs(&node.operator).into_iter().next()) {
        node = input;
    }
    node
}

/// The pipelines below a node, in the order in which they run. `behind` is what the operators between the node and the
/// end of its pipeline are estimated to see.
fn add_pipelines(node: &PlanNode, behind: f64, pipelines: &mut Vec<Pipeline>) {
    let here = behind + node.estimated_rows.max(1.0);
    let all = inputs(&node.operator);
    if let (false, Some((streamed, before))) = (collects(node), all.split_first()) {
        before.iter().for_each(|input| add_pipelines(input, 0.0, pipelines));
        return add_pipelines(streamed, here, pipelines);
    }
    all.into_iter().for_each(|input| add_pipelines(input, 0.0, pipelines));
    pipelines.push(Pipeline {
        source: std::ptr::from_ref(node) as usize,
        weight: here.clamp(1.0, WEIGHT_MAX) as u64,
        entered: AtomicBool::new(false),
    });
}

impl QueryContext {
    /// The pipeline that a node feeds begins.
    pub(super) fn enter(&self, node: &PlanNode) {
        if let Some(progress) = &self.progress {
            progress.enter(node);
        }
    }
}

impl Context<'_> {
    /// Some rows of the morsel that runs are done.
    pub(super) fn advance(&mut self, part: u64, of: u64) {
        let Some(progress) = &self.query.progress else { return };
        progress.rows.fetch_add(part, Relaxed);
        let part = (MORSEL as f64 * part as f64 / of.max(1) as f64) as u64;
        let part = part.min(MORSEL - self.advanced);
        self.advanced += part;
        progress.advance(part);
    }

    /// The morsel is done.
    pub(super) fn end_morsel(&mut self) {
        if let Some(progress) = &self.query.progress {
            progress.advance(MORSEL - std::mem::take(&mut self.advanced));
        }
    }
}
