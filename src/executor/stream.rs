//! Rows handed over while their query runs: a queue of a few batches between the threads of the query and whoever reads
//! its rows. A full queue makes the operators wait inside their push, so that a result takes no more memory than the
//! queue however long it is; a closed one stops the sources, as a LIMIT does.

use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, Ordering};

use parking_lot::{Condvar, Mutex};

use super::build;
use super::chunks::Chunk;
use super::context::{Context, QueryContext};
use super::counters::count;
use super::error::{ExecutionError, ExecutionResult};
use super::operator::{Flow, Next, Operator};
use super::progress::feeder;
use super::spill::bytes_of;
use super::unfold::Unfold;
use crate::planner::{PhysicalPlan, on_stack_for};
use crate::storage::memory::Reservation;
use crate::types::DataType;
use crate::vector::{Batch, VectorBuffer};

/// What waits in a queue takes at most so many bytes, or this part of the memory limit.
const QUEUE_BYTES: u64 = 4 << 20;
const QUEUES_IN_LIMIT: u64 = 16;
/// A chunk goes into the queue once it has so many rows or bytes, or once somebody waits for it.
const CHUNK_ROWS: usize = 2048;
const CHUNK_BYTES: u64 = 256 << 10;

/// What is between a running query and its reader.
pub struct RowQueue {
    state: Mutex<QueueState>,
    /// Something was put in, or the query has ended.
    filled: Condvar,
    /// Something was taken out, nobody reads any more, or the query is stopped.
    emptied: Condvar,
    /// Whether the reader waits for rows.
    hungry: AtomicBool,
    bytes_max: u64,
}

struct QueueState {
    chunks: VecDeque<(Chunk, u64)>,
    bytes: u64,
    held: Reservation,
    closed: bool,
    /// How the query has ended, until the reader has been told.
    outcome: Option<ExecutionResult<()>>,
}

impl RowQueue {
    /// The queue of one query.
    pub fn new(query: &QueryContext) -> RowQueue {
        let held = query.account();
        let bytes_max = QUEUE_BYTES.min(held.limit() / QUEUES_IN_LIMIT);
        let state = QueueState { chunks: VecDeque::new(), bytes: 0, held, closed: false, outcome: None };
        RowQueue {
            state: Mutex::new(state),
            filled: Condvar::new(),
            emptied: Condvar::new(),
            hungry: AtomicBool::new(false),
            bytes_max,
        }
    }

    /// Hands rows over; waits as long as the queue is full, without the pages of the scan that they come from. An empty
    /// queue takes everything: what exists already has to go somewhere.
    fn put(&self, chunk: Chunk, context: &mut Context<'_>) -> ExecutionResult<Flow> {
        if chunk.rows == 0 {
            return Ok(Flow::Continue);
        }
        let query = context.query;
        let bytes = bytes_of(&chunk.columns);
        let mut state = self.state.lock();
        let mut waited = false;
        loop {
            if state.closed {
                return Ok(Flow::Stop);
            }
            let together = state.bytes.saturating_add(bytes);
            if state.chunks.is_empty() {
                state.held.force(together);
                break;
            }
            if together <= self.bytes_max && state.held.try_hold_share(together) {
                break;
            }
            if !std::mem::replace(&mut waited, true) {
                count(&query.counters.waits_for_reader, 1);
                drop(state);
                context.rest();
                state = self.state.lock();
                continue;
            }
            // Who stops the query says so before `wake` takes the lock.
            query.check()?;
            match query.deadline {
                None => self.emptied.wait(&mut state),
                Some((deadline, _)) => {
                    self.emptied.wait_until(&mut state, deadline);
                }
            }
        }
        state.bytes += bytes;
        state.chunks.push_back((chunk, bytes));
        drop(state);
        count(&query.counters.batches_streamed, 1);
        self.filled.notify_one();
        Ok(Flow::Continue)
    }

    /// The next rows, which are waited for; nothing behind the last ones. The query's error comes behind the rows that
    /// it had handed over, once.
    pub fn take(&self) -> ExecutionResult<Option<Chunk>> {
        let mut state = self.state.lock();
        loop {
            if let Some((chunk, bytes)) = state.chunks.pop_front() {
                state.bytes -= bytes;
                let left = state.bytes;
                state.held.shrink_to(left);
                drop(state);
                self.emptied.notify_all();
                return Ok(Some(chunk));
            }
            if let Some(outcome) = &mut state.outcome {
                return std::mem::replace(outcome, Ok(())).map(|()| None);
            }
            self.hungry.store(true, Ordering::Relaxed);
            self.filled.wait(&mut state);
            self.hungry.store(false, Ordering::Relaxed);
        }
    }

    /// The query was stopped: threads that wait for the reader look at it.
    pub fn wake(&self) {
        drop(self.state.lock());
        self.emptied.notify_all();
    }

    /// Nobody reads any more: rows that wait are dropped and the query's sources stop.
    pub fn close(&self) {
        let mut state = self.state.lock();
        state.closed = true;
        state.chunks.clear();
        state.bytes = 0;
        state.held.shrink_to(0);
        drop(state);
        self.emptied.notify_all();
    }

    /// Nothing comes any more.
    pub fn end(&self, outcome: ExecutionResult<()>) {
        self.state.lock().outcome = Some(outcome);
        self.filled.notify_all();
    }
}

/// Runs a plan to its end and hands its rows over. Whatever happens, the reader gets to know the end. False where that is
/// an error.
pub fn stream(plan: &PhysicalPlan, query: &QueryContext, queue: &RowQueue) -> bool {
    let outcome = catch_unwind(AssertUnwindSafe(|| query.stop().during(|| run(plan, query, queue))));
    let outcome = outcome.unwrap_or_else(|panic| Err(ExecutionError::of_panic("stream", &*panic)));
    let is_whole = outcome.is_ok();
    queue.end(outcome);
    is_whole
}

fn run(plan: &PhysicalPlan, query: &QueryContext, queue: &RowQueue) -> ExecutionResult<()> {
    let depth = plan.root.depth;
    query.depth.store(depth, Ordering::Relaxed);
    query.streamed.store(std::ptr::from_ref(feeder(&plan.root)) as usize, Ordering::Relaxed);
    let outcome = on_stack_for(depth, || {
        build::run(&plan.root, query, &|| {
            let sink = StreamSink::new(&plan.root.outputs, queue);
            Ok(Box::new(Unfold::new(Box::new(sink))) as Next<'_>)
        })
    });
    outcome.map_err(|error| query.told(error))
}

/// Copies rows and hands them over.
struct StreamSink<'x> {
    types: &'x [DataType],
    own: Chunk,
    queue: &'x RowQueue,
}

impl<'x> StreamSink<'x> {
    fn new(types: &'x [DataType], queue: &'x RowQueue) -> StreamSink<'x> {
        StreamSink { types, own: Chunk::empty(), queue }
    }

    fn hand_over(&mut self, context: &mut Context<'_>) -> ExecutionResult<Flow> {
        self.queue.put(std::mem::replace(&mut self.own, Chunk::empty()), context)
    }
}

impl Operator for StreamSink<'_> {
    fn push<'b>(&mut self, context: &mut Context<'_>, batch: Batch<'b>) -> ExecutionResult<Flow> {
        let rows = batch.selected();
        if rows == 0 {
            return Ok(Flow::Continue);
        }
        if self.own.columns.is_empty() {
            self.own.columns = self.types.iter().cloned().map(VectorBuffer::new).collect();
        }
        for (column, vector) in self.own.columns.iter_mut().zip(batch.columns) {
            column.append(vector, batch.length, batch.selection);
        }
        self.own.rows += rows;
        let large = self.own.rows >= CHUNK_ROWS || bytes_of(&self.own.columns) >= CHUNK_BYTES;
        if large || self.queue.hungry.load(Ordering::Relaxed) {
            return self.hand_over(context);
        }
        Ok(Flow::Continue)
    }

    fn finish(&mut self, context: &mut Context<'_>) -> ExecutionResult<()> {
        self.hand_over(context).map(|_| ())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check_panic(panic: Box<dyn std::any::Any + Send>, expected: &str) {
        let error = ExecutionError::of_panic("stream", &*panic);
        assert_eq!(error.to_string(), format!("internal error in stream: {expected}"));
    }

    #[test]
    fn panics_are_told_by_their_words() {
        check_panic(Box::new("a text"), "a text");
        check_panic(Box::new("a string".to_owned()), "a string");
        check_panic(Box::new(7), "a panic without words");
    }
}
