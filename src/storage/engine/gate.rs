//! The gate before the tables: writing transactions pass it together and hold it for their life; a bulk load, a
//! definition and a check pass it alone. Whoever comes is let in by turns, so neither kind can starve the other.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant};

use parking_lot::{Condvar, Mutex, MutexGuard};

use crate::storage::{StorageError, StorageResult};

/// How somebody passes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Passage {
    /// Beside others that share.
    Shared,
    /// Alone.
    Exclusive,
}

/// See the module.
#[derive(Default)]
pub(super) struct Gate {
    state: Mutex<GateState>,
    moved: Condvar,
}

#[derive(Default)]
struct GateState {
    sharing: usize,
    alone: bool,
    closed: bool,
    /// Who waits, first come first; numbers are never used again.
    waiting: VecDeque<u64>,
    next_number: u64,
}

impl GateState {
    fn has_room(&self, passage: Passage) -> bool {
        match passage {
            Passage::Shared => !self.alone,
            Passage::Exclusive => !self.alone && self.sharing == 0,
        }
    }

    fn enter(&mut self, passage: Passage) {
        match passage {
            Passage::Shared => self.sharing += 1,
            Passage::Exclusive => self.alone = true,
        }
    }

    fn check_open(&self) -> StorageResult<()> {
        match self.closed {
            true => Err(StorageError::Poisoned { reason: "it was closed".to_owned() }),
            false => Ok(()),
        }
    }

    fn locked(&self, path: &str) -> StorageError {
        let holder = match self.alone {
            true => "a bulk load or a definition of this process".to_owned(),
            false => "open writing transactions of this process".to_owned(),
        };
        StorageError::Locked { path: path.to_owned(), holder }
    }
}

/// The right to be behind the gate; given back when it is dropped.
pub struct Pass {
    gate: Arc<Gate>,
    passage: Passage,
}

impl Gate {
    /// Passes when it is this caller's turn, within `wait` if that is given. A late caller gets `Locked` with what
    /// it waited for; `path` is what the message calls the database.
    pub fn pass(
        self: &Arc<Self>,
        passage: Passage,
        wait: Option<Duration>,
        path: &str,
    ) -> StorageResult<Pass> {
        let mut state = self.state.lock();
        state.check_open()?;
        if !state.waiting.is_empty() || !state.has_room(passage) {
            let deadline = wait.and_then(|wait| Instant::now().checked_add(wait));
            self.wait_for_turn(&mut state, passage, deadline, path)?;
        }
        state.enter(passage);
        Ok(Pass { gate: Arc::clone(self), passage })
    }

    fn wait_for_turn(
        &self,
        state: &mut MutexGuard<'_, GateState>,
        passage: Passage,
        deadline: Option<Instant>,
        path: &str,
    ) -> StorageResult<()> {
        let number = state.next_number;
        state.next_number += 1;
        state.waiting.push_back(number);
        let outcome = loop {
            if let Err(error) = state.check_open() {
                break Err(error);
            }
            if state.waiting.front() == Some(&number) && state.has_room(passage) {
                break Ok(());
            }
            match deadline {
                None => self.moved.wait(state),
                Some(deadline) if Instant::now() >= deadline => break Err(state.locked(path)),
                Some(deadline) => {
                    self.moved.wait_until(state, deadline);
                }
            }
        };
        state.waiting.retain(|waiting| *waiting != number);
        // The next one in the queue may share, or its way is free because this caller gave up.
        self.moved.notify_all();
        outcome
    }

    /// Nobody passes any more.
    pub fn close(&self) {
        self.state.lock().closed = true;
        self.moved.notify_all();
    }
}

impl Drop for Pass {
    fn drop(&mut self) {
        let mut state = self.gate.state.lock();
        match self.passage {
            Passage::Shared => state.sharing -= 1,
            Passage::Exclusive => state.alone = false,
        }
        if !state.waiting.is_empty() {
            self.gate.moved.notify_all();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};

    use super::*;

    fn try_pass(gate: &Arc<Gate>, passage: Passage) -> StorageResult<Pass> {
        gate.pass(passage, Some(Duration::ZERO), "data")
    }

    #[test]
    fn some_share_and_some_are_alone() {
        let gate = Arc::new(Gate::default());
        let check = |passage: Passage, expected: bool| {
            assert_eq!(try_pass(&gate, passage).is_ok(), expected, "{passage:?}");
        };
        let shared = try_pass(&gate, Passage::Shared).unwrap();
        check(Passage::Shared, true);
        check(Passage::Exclusive, false);
        drop(shared);
        let alone = try_pass(&gate, Passage::Exclusive).unwrap();
        check(Passage::Shared, false);
        check(Passage::Exclusive, false);
        drop(alone);
        check(Passage::Exclusive, true);
        gate.close();
        check(Passage::Shared, false);
    }

    #[test]
    fn errors_name_the_holder() {
        let gate = Arc::new(Gate::default());
        let check = |passage: Passage, expected: &str| {
            let error = try_pass(&gate, passage).err().unwrap().to_string();
            assert!(error.contains(expected), "{error}");
        };
        let shared = try_pass(&gate, Passage::Shared).unwrap();
        check(Passage::Exclusive, "open writing transactions");
        drop(shared);
        let _alone = try_pass(&gate, Passage::Exclusive).unwrap();
        check(Passage::Shared, "bulk load");
    }

    #[test]
    fn late_sharers_queue_behind_one_that_wants_to_be_alone() {
        let gate = Arc::new(Gate::default());
        let shared = try_pass(&gate, Passage::Shared).unwrap();
        std::thread::scope(|scope| {
            let waiting = scope.spawn(|| gate.pass(Passage::Exclusive, None, "data").map(drop));
            while gate.state.lock().waiting.is_empty() {
                std::thread::yield_now();
            }
            assert!(try_pass(&gate, Passage::Shared).is_err());
            drop(shared);
            waiting.join().unwrap().unwrap();
        });
        try_pass(&gate, Passage::Shared).unwrap();
    }

    #[test]
    fn one_that_gives_up_lets_the_others_go_on() {
        let gate = Arc::new(Gate::default());
        let _shared = try_pass(&gate, Passage::Shared).unwrap();
        let wait = Some(Duration::from_millis(50));
        std::thread::scope(|scope| {
            let alone = scope.spawn(|| gate.pass(Passage::Exclusive, wait, "data").map(drop));
            while gate.state.lock().waiting.is_empty() {
                std::thread::yield_now();
            }
            // Stands behind the one above, and passes once that one has given up.
            gate.pass(Passage::Shared, Some(Duration::from_secs(60)), "data").unwrap();
            assert!(alone.join().unwrap().is_err());
        });
    }

    #[test]
    fn nobody_shares_with_one_who_is_alone() {
        let gate = Arc::new(Gate::default());
        let (inside, passed) = (AtomicI64::new(0), AtomicU64::new(0));
        std::thread::scope(|scope| {
            for thread in 0..6 {
                let (gate, inside, passed) = (&gate, &inside, &passed);
                scope.spawn(move || {
                    for round in 0..200 {
                        let alone = (round + thread) % 5 == 0;
                        let passage = if alone { Passage::Exclusive } else { Passage::Shared };
                        let pass = gate.pass(passage, None, "data").unwrap();
                        let step = if alone { 1000 } else { 1 };
                        let before = inside.fetch_add(step, Ordering::SeqCst);
                        assert!(if alone { before == 0 } else { before < 1000 }, "{before}");
                        inside.fetch_sub(step, Ordering::SeqCst);
                        passed.fetch_add(1, Ordering::Relaxed);
                        drop(pass);
                    }
                });
            }
        });
        assert_eq!(passed.into_inner(), 1200);
    }
}
