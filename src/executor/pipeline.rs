//! The morsel scheduler: workers take morsels from a source until it is empty, each pushing through its own instance
//! of the pipeline. Little work stays on the calling thread.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use super::context::{Context, QueryContext};
use super::counters::count;
use super::error::{ExecutionError, ExecutionResult};
use super::operator::{Factory, Flow, Operator};
use crate::planner::stack_for;
use crate::types::Helpers;

/// Where the batches of a pipeline come from. One instance is shared by all workers.
pub trait Source: Sync {
    /// The next morsel to run; `None` when all are taken.
    fn next_morsel(&self) -> Option<u64>;
    /// Pushes the batches of a morsel.
    fn run(&self, morsel: u64, context: &mut Context<'_>, next: &mut dyn Operator) -> ExecutionResult<Flow>;
    /// How many morsels there are, where that is known: then the progress of the query shows how many are done.
    fn morsels(&self) -> Option<u64> {
        None
    }
    /// How many workers are worth their start.
    fn parallelism(&self) -> usize;
}

/// Runs a source to its end.
pub fn drive<'x>(query: &'x QueryContext, source: &dyn Source, sink: &Factory<'x>) -> ExecutionResult<()> {
    let worth = if query.is_tiny() { usize::MAX } else { source.parallelism() };
    let workers = worth.min(query.threads).max(1);
    let stop = AtomicBool::new(false);
    if let (Some(progress), Some(morsels)) = (&query.progress, source.morsels()) {
        progress.begin(morsels);
    }
    if workers == 1 {
        return work(query, source, sink, &stop, false);
    }
    let threads = Helpers::of_this_thread();
    std::thread::scope(|scope| {
        let start = |_| {
            let mut builder = std::thread::Builder::new();
            if let Some(bytes) = stack_for(query.depth.load(Ordering::Relaxed)) {
                builder = builder.stack_size(bytes);
            }
            // A thread that the system does not give is one helper less.
            let help = || {
                let started = Instant::now();
                let outcome = work(query, source, sink, &stop, true);
                query.profile.iter().for_each(|profile| profile.helped(started.elapsed()));
                outcome
            };
            builder.spawn_scoped(scope, threads.help(help)).ok()
        };
        let helpers: Vec<_> = (1..workers).filter_map(start).collect();
        let mut outcome = work(query, source, sink, &stop, false);
        threads.wait();
        for helper in helpers {
            let ended =
                helper.join().unwrap_or_else(|panic| Err(ExecutionError::of_panic("worker", &*panic)));
            outcome = outcome.and(ended);
        }
        outcome
    })
}

fn work<'x>(
    query: &'x QueryContext,
    source: &dyn Source,
    sink: &Factory<'x>,
    stop: &AtomicBool,
    helper: bool,
) -> ExecutionResult<()> {
    let run = || {
        let mut context = query.worker()?;
        let mut next = sink()?;
        while !stop.load(Ordering::Relaxed) {
            let Some(morsel) = source.next_morsel() else { break };
            query.check()?;
            if helper {
                count(&query.counters.morsels_stolen, 1);
            }
            if source.run(morsel, &mut context, &mut *next)? == Flow::Stop {
                stop.store(true, Ordering::Relaxed);
            }
            context.end_morsel();
        }
        next.finish(&mut context)
    };
    let outcome = run();
    if let Err(error) = &outcome {
        query.note_end(error);
        // The others need not go on for a result that nobody gets.
        stop.store(true, Ordering::Relaxed);
    }
    outcome
}
