//! Blocks parsed on any thread, delivered in order.
//!
//! There is no thread that only reads: whoever is free takes the next block (reading and cutting under one lock,
//! which is quick) and parses it. The calling thread delivers finished chunks and parses when there is none.
//! At most a few blocks per thread are under way, which bounds memory and keeps the threads together: a place is
//! reserved before a block is taken, and every block that was taken gets finished, so nobody waits for ever.

use std::collections::VecDeque;
use std::sync::Arc;

use parking_lot::{Condvar, Mutex, MutexGuard};

use super::block_parser::BlockParser;
use super::chunk::{CsvChunk, Layout};
use super::csv_reader::CsvMonitor;
use super::row_error::{CsvError, CsvResult};
use super::source::{Block, Source};
use crate::types::{ASKED_EVERY, Helpers, ask_caller, has_caller};

/// Blocks under way per thread.
const BLOCKS_PER_THREAD: u64 = 3;

/// A parsed chunk with what was made of it, or the fault in its place.
type Outcome<T, E> = Result<(CsvChunk, T), E>;

struct State<T, E> {
    /// Places reserved, blocks delivered.
    reserved: u64,
    delivered: u64,
    /// Finished blocks by position behind `delivered`.
    finished: VecDeque<Option<Outcome<T, E>>>,
    /// No further block comes.
    exhausted: bool,
    /// Everybody ends at the next opportunity.
    stopped: bool,
    /// Consumed chunks, for their memory.
    spare: Vec<CsvChunk>,
}

struct Cutter {
    source: Source,
    next: u64,
    ended: bool,
}

struct Schedule<'s, T, E, M> {
    layout: &'s Arc<Layout>,
    map: &'s M,
    window: u64,
    cutter: Mutex<Cutter>,
    state: Mutex<State<T, E>>,
    /// A block was delivered, or the end has come: helpers look again.
    room: Condvar,
    /// A block was finished: the calling thread looks again.
    ready: Condvar,
}

/// Runs all blocks of `source` through the parser and `map`, and hands them to `deliver` in order.
pub(super) fn run_ordered<T, E, M>(
    layout: &Arc<Layout>,
    source: Source,
    threads: usize,
    monitor: CsvMonitor<'_>,
    map: &M,
    mut deliver: impl FnMut(&mut CsvChunk, T) -> Result<(), E>,
) -> Result<(), E>
where
    T: Send,
    E: From<CsvError> + Send,
    M: Fn(&mut CsvChunk) -> Result<T, E> + Sync,
{
    let schedule = Schedule {
        layout,
        map,
        window: BLOCKS_PER_THREAD * threads as u64,
        cutter: Mutex::new(Cutter { source, next: 0, ended: false }),
        state: Mutex::new(State {
            reserved: 0,
            delivered: 0,
            finished: VecDeque::new(),
            exhausted: false,
            stopped: false,
            spare: Vec::new(),
        }),
        room: Condvar::new(),
        ready: Condvar::new(),
    };
    let helpers = Helpers::of_this_thread();
    std::thread::scope(|scope| {
        for _ in 1..threads {
            scope.spawn(helpers.help(|| schedule.help()));
        }
        // Also when `deliver` panics, the helpers must end before the scope does.
        let _stop = StopOnDrop(&schedule);
        schedule.lead(monitor, &mut deliver)
    })
}

struct StopOnDrop<'a, 's, T, E, M>(&'a Schedule<'s, T, E, M>);

impl<T, E, M> Drop for StopOnDrop<'_, '_, T, E, M> {
    fn drop(&mut self) {
        let mut state = self.0.state.lock();
        state.stopped = true;
        state.exhausted = true;
        self.0.room.notify_all();
        self.0.ready.notify_all();
    }
}

/// What one thread needs to parse.
struct Workbench {
    block: Block,
    parser: BlockParser,
}

impl<T, E, M> Schedule<'_, T, E, M>
where
    T: Send,
    E: From<CsvError> + Send,
    M: Fn(&mut CsvChunk) -> Result<T, E> + Sync,
{
    fn workbench(&self) -> Workbench {
        Workbench { block: Block::default(), parser: BlockParser::new(self.layout) }
    }

    fn help(&self) {
        // A panic in `map` must not leave the calling thread waiting.
        let stop = StopOnDrop(self);
        let mut workbench = self.workbench();
        let mut state = self.state.lock();
        while !state.stopped && !state.exhausted {
            if self.has_room(&state) {
                state.reserved += 1;
                MutexGuard::unlocked(&mut state, || self.take_block(&mut workbench));
            } else {
                self.room.wait(&mut state);
            }
        }
        drop(state);
        std::mem::forget(stop);
    }

    fn lead(
        &self,
        monitor: CsvMonitor<'_>,
        deliver: &mut impl FnMut(&mut CsvChunk, T) -> Result<(), E>,
    ) -> Result<(), E> {
        let mut workbench = self.workbench();
        let mut state = self.state.lock();
        loop {
            if monitor.is_cancelled() || state.stopped {
                return Err(CsvError::Cancelled.into());
            }
            if matches!(state.finished.front(), Some(Some(_))) {
                let outcome = state.finished.pop_front().flatten();
                state.delivered += 1;
                self.room.notify_one();
                let Some(outcome) = outcome else { continue };
                let (mut chunk, mapped) = outcome?;
                MutexGuard::unlocked(&mut state, || deliver(&mut chunk, mapped))?;
                state.spare.push(chunk);
            } else if !state.exhausted && self.has_room(&state) {
                state.reserved += 1;
                MutexGuard::unlocked(&mut state, || self.take_block(&mut workbench));
            } else if state.exhausted && state.reserved == state.delivered {
                return Ok(());
            } else {
                match has_caller() {
                    // He is asked before the next look.
                    true => {
                        self.ready.wait_for(&mut state, ASKED_EVERY);
                        MutexGuard::unlocked(&mut state, ask_caller);
                    }
                    false => self.ready.wait(&mut state),
                }
            }
        }
    }

    fn has_room(&self, state: &State<T, E>) -> bool {
        state.reserved - state.delivered < self.window
    }

    /// Uses a reserved place: takes the next block, or gives the place back at the end.
    fn take_block(&self, workbench: &mut Workbench) {
        let taken = self.cut(&mut workbench.block);
        let (position, outcome) = match taken {
            None => {
                let mut state = self.state.lock();
                state.reserved -= 1;
                state.exhausted = true;
                self.room.notify_all();
                self.ready.notify_all();
                return;
            }
            Some((position, Err(error))) => (position, Err(error.into())),
            Some((position, Ok(()))) => (position, self.parse(workbench)),
        };
        let mut state = self.state.lock();
        // Blocks are delivered only once finished, and this one is finished just now.
        let slot = (position - state.delivered) as usize;
        while state.finished.len() <= slot {
            state.finished.push_back(None);
        }
        state.finished[slot] = Some(outcome);
        self.ready.notify_all();
    }

    /// The next block and its position; after a fault no block follows.
    fn cut(&self, block: &mut Block) -> Option<(u64, CsvResult<()>)> {
        let mut cutter = self.cutter.lock();
        if cutter.ended {
            return None;
        }
        let result = cutter.source.next_block(block);
        cutter.ended = !matches!(result, Ok(true));
        if matches!(result, Ok(false)) {
            return None;
        }
        let position = cutter.next;
        cutter.next += 1;
        Some((position, result.map(|_| ())))
    }

    fn parse(&self, workbench: &mut Workbench) -> Outcome<T, E> {
        let spare = self.state.lock().spare.pop();
        let mut chunk = spare.unwrap_or_else(|| CsvChunk::new(self.layout));
        workbench.parser.parse(&workbench.block, &mut chunk)?;
        let mapped = (self.map)(&mut chunk)?;
        Ok((chunk, mapped))
    }
}
