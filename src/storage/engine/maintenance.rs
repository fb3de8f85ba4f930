//! What happens beside the statements: buffered commits are synced when they are old enough, and a checkpoint is made
//! when there is enough for one.

use std::sync::atomic::{AtomicBool, Ordering, fence};
use std::sync::{Arc, Weak};
use std::thread::JoinHandle;
use std::time::Duration;

use parking_lot::{Condvar, Mutex};

use super::Engine;
use super::options::{DurabilityMode, EngineOptions};

/// The background thread, which is started when there is something to do for it.
pub(super) struct Maintenance {
    signals: Arc<Signals>,
    thread: Mutex<Option<JoinHandle<()>>>,
    /// Whether the thread could be started; without one, commits look at the clock themselves.
    is_running: AtomicBool,
    interval: Duration,
}

#[derive(Default)]
struct Signals {
    state: Mutex<SignalState>,
    rung: Condvar,
    /// What the state says, to be read without its lock: every commit asks.
    unsynced: AtomicBool,
    checkpoint: AtomicBool,
}

impl Signals {
    /// Changes what there is to do.
    fn change(&self, state: &mut SignalState, change: impl FnOnce(&mut SignalState)) {
        change(state);
        self.unsynced.store(state.unsynced, Ordering::SeqCst);
        self.checkpoint.store(state.checkpoint, Ordering::SeqCst);
        // What a commit has logged that still finds the old answers is seen by what comes behind.
        fence(Ordering::SeqCst);
    }
}

#[derive(Default)]
struct SignalState {
    stopped: bool,
    /// Buffered commits wait to be synced.
    unsynced: bool,
    /// A checkpoint is due.
    checkpoint: bool,
}

impl Maintenance {
    pub fn new(options: &EngineOptions) -> Maintenance {
        Maintenance {
            signals: Arc::default(),
            thread: Mutex::new(None),
            is_running: AtomicBool::new(false),
            interval: options.wal.buffered_sync_interval(),
        }
    }

    /// No work is begun any more; waits for what is under way.
    pub fn stop(&self) {
        self.signals.state.lock().stopped = true;
        self.signals.rung.notify_all();
        let Some(thread) = self.thread.lock().take() else { return };
        if thread.thread().id() != std::thread::current().id() {
            // It does not panic; should it have, there is nothing left to wait for.
            let _ = thread.join();
        }
    }

    fn ring(&self, engine: &Engine, change: impl FnOnce(&mut SignalState)) {
        let mut state = self.signals.state.lock();
        self.signals.change(&mut state, change);
        let stopped = state.stopped;
        drop(state);
        self.signals.rung.notify_all();
        let mut thread = self.thread.lock();
        if thread.is_none() && !stopped {
            let (signals, engine, interval) =
                (Arc::clone(&self.signals), Weak::clone(&engine.myself), self.interval);
            let name = "quire-maintenance".to_owned();
            // Without a thread the work is done when the database is closed.
            *thread =
                std::thread::Builder::new().name(name).spawn(move || run(&signals, &engine, interval)).ok();
            self.is_running.store(thread.is_some(), Ordering::Relaxed);
        }
    }
}

impl Drop for Maintenance {
    fn drop(&mut self) {
        self.stop();
    }
}

fn run(signals: &Signals, engine: &Weak<Engine>, interval: Duration) {
    loop {
        let mut state = signals.state.lock();
        while !state.stopped && !state.unsynced && !state.checkpoint {
            signals.rung.wait(&mut state);
        }
        if !state.stopped && !state.checkpoint {
            signals.rung.wait_for(&mut state, interval);
        }
        if state.stopped {
            return;
        }
        let (unsynced, checkpoint) = (state.unsynced, state.checkpoint);
        signals.change(&mut state, |state| state.unsynced = false);
        drop(state);
        let Some(engine) = engine.upgrade() else { return };
        if unsynced && let Err(error) = engine.flush() {
            engine.page_file().poison(format!("syncing the log failed: {error}"));
        }
        if checkpoint {
            // What failed is tried again after the next commit, which also meets the error when it has to wait.
            let _ = engine.checkpoint();
            signals.change(&mut signals.state.lock(), |state| state.checkpoint = false);
        }
    }
}

impl Engine {
    /// Sees to what a commit left to be done.
    pub(super) fn maintenance_after_commit(&self) {
        let is_buffered = self.log.mode() == DurabilityMode::Buffered;
        let is_due = self.checkpoint_is_due();
        if !is_buffered && !is_due {
            return;
        }
        // Behind what this commit has logged: either that is synced with what the thread is about to do, or it is seen
        // here that the thread has to be rung.
        fence(Ordering::SeqCst);
        let Signals { unsynced, checkpoint, .. } = &*self.maintenance.signals;
        let rung = (!is_buffered || unsynced.load(Ordering::SeqCst))
            && (!is_due || checkpoint.load(Ordering::SeqCst));
        if !rung {
            self.maintenance.ring(self, |state| {
                state.unsynced |= is_buffered;
                state.checkpoint |= is_due;
            });
        }
        if is_buffered
            && let Some(log) = self.log.started()
            && (log.has_many_unsynced() || !self.maintenance.is_running.load(Ordering::Relaxed))
            && let Err(error) = log.sync_if_due()
        {
            self.page_file().poison(format!("syncing the log failed: {error}"));
        }
    }
}
