//! When a statement has to end before it is done.
//!
//! A thread knows for which statement it works (`Stop::during`), so that whatever takes long asks `must_stop` now and then
//! and needs to know nothing of statements. Somebody who has a statement run may want to be asked, too, as long as it runs:
//! a program learns only on the thread that called whether Ctrl-C was pressed. So this thread, and no other, asks him,
//! wherever it looks whether to end and while it waits for others.

use std::cell::RefCell;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread::Thread;
use std::time::{Duration, Instant};

/// About how often the caller is asked.
pub const ASKED_EVERY: Duration = Duration::from_millis(50);

/// What asks the caller; he sets the statement's flag where it has to end.
pub type AskCaller = Arc<dyn Fn() + Send + Sync>;

/// A flag that somebody sets, and an instant; whoever works long asks now and then whether one of them has come.
#[derive(Debug, Clone, Default)]
pub struct Stop {
    flag: Arc<AtomicBool>,
    deadline: Option<Instant>,
}

/// What a thread works for.
struct Work {
    stop: Stop,
    /// Whom to ask, and when next.
    caller: Option<(AskCaller, Instant)>,
}

thread_local! {
    static WORK: RefCell<Option<Work>> = const { RefCell::new(None) };
}

impl Stop {
    /// Due when the flag is set or the deadline is over.
    pub fn new(flag: Arc<AtomicBool>, deadline: Option<Instant>) -> Stop {
        Stop { flag, deadline }
    }

    /// Whether to end now.
    pub fn is_due(&self) -> bool {
        ask_caller();
        self.has_come()
    }

    fn has_come(&self) -> bool {
        self.flag.load(Ordering::Relaxed) || self.deadline.is_some_and(|deadline| Instant::now() > deadline)
    }

    /// Does work on this thread that has to end when this is due.
    pub fn during<T>(&self, work: impl FnOnce() -> T) -> T {
        during(Work { stop: self.clone(), caller: None }, work)
    }

    /// The same for somebody who is asked on this thread meanwhile, for the first time a while after `started`.
    pub fn during_asked<T>(&self, caller: AskCaller, started: Instant, work: impl FnOnce() -> T) -> T {
        let caller = Some((caller, started + ASKED_EVERY));
        during(Work { stop: self.clone(), caller }, work)
    }

    /// That of the work which the calling thread does.
    fn of_this_thread() -> Stop {
        WORK.with_borrow(|work| work.as_ref().map(|work| work.stop.clone())).unwrap_or_default()
    }
}

fn during<T>(own: Work, work: impl FnOnce() -> T) -> T {
    /// Puts back what was there before, also where the work panics.
    struct Before(Option<Work>);
    impl Drop for Before {
        fn drop(&mut self) {
            WORK.set(self.0.take());
        }
    }
    let _before = Before(WORK.replace(Some(own)));
    work()
}

/// Whether the work of this thread has to end: its statement was interrupted or has run too long.
pub fn must_stop() -> bool {
    ask_caller();
    WORK.with_borrow(|work| work.as_ref().is_some_and(|work| work.stop.has_come()))
}

/// The same for whoever cleans up: nobody is asked.
pub(super) fn is_stopped() -> bool {
    let stopped = |work: &RefCell<Option<Work>>| {
        work.try_borrow().is_ok_and(|work| work.as_ref().is_some_and(|work| work.stop.has_come()))
    };
    WORK.try_with(stopped).unwrap_or(false)
}

/// Asks the caller, if this is his thread and he was not asked for a while.
pub fn ask_caller() {
    let caller = WORK.with_borrow_mut(|work| {
        let (caller, next) = work.as_mut()?.caller.as_mut()?;
        let now = Instant::now();
        if now < *next {
            return None;
        }
        *next = now + ASKED_EVERY;
        Some(Arc::clone(caller))
    });
    // He may run statements of his own meanwhile.
    if let Some(caller) = caller {
        caller();
    }
}

/// Whether the statement that this thread works for was interrupted, whatever its deadline.
pub fn was_interrupted() -> bool {
    WORK.with_borrow(|work| work.as_ref().is_some_and(|work| work.stop.flag.load(Ordering::Relaxed)))
}

/// Whether this thread works for a statement.
pub fn has_statement() -> bool {
    WORK.with_borrow(Option::is_some)
}

/// Whether somebody is to be asked on this thread while it waits.
pub fn has_caller() -> bool {
    WORK.with_borrow(|work| work.as_ref().is_some_and(|work| work.caller.is_some()))
}

/// Threads that help the calling one with what it works for.
pub struct Helpers {
    stop: Stop,
    /// How many are not through, where the caller has to be asked while they are waited for.
    running: Option<(Thread, AtomicUsize)>,
}

impl Helpers {
    /// None yet.
    pub fn of_this_thread() -> Helpers {
        let running = has_caller().then(|| (std::thread::current(), AtomicUsize::new(0)));
        Helpers { stop: Stop::of_this_thread(), running }
    }

    /// What a helper does: the work, until the same stop is due.
    pub fn help<'h, T>(&'h self, work: impl FnOnce() -> T + 'h) -> impl FnOnce() -> T + 'h {
        if let Some((_, running)) = &self.running {
            running.fetch_add(1, Ordering::Relaxed);
        }
        let end = HelperEnd(self);
        move || {
            let _end = end;
            self.stop.during(work)
        }
    }

    /// Waits until all of them are through, or nearly so; the caller is asked meanwhile. Nothing where nobody is to be
    /// asked: threads are joined anyway.
    pub fn wait(&self) {
        let Some((_, running)) = &self.running else { return };
        while running.load(Ordering::Acquire) > 0 {
            std::thread::park_timeout(ASKED_EVERY);
            ask_caller();
        }
    }
}

/// Tells that a helper is through, or never began.
struct HelperEnd<'h>(&'h Helpers);

impl Drop for HelperEnd<'_> {
    fn drop(&mut self) {
        if let Some((waiting, running)) = &self.0.running {
            running.fetch_sub(1, Ordering::Release);
            waiting.unpark();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn threads_know_when_their_work_has_to_end() {
        assert!(!must_stop());
        let flag = Arc::new(AtomicBool::new(false));
        let stop = Stop::new(Arc::clone(&flag), None);
        stop.during(|| {
            assert!(!must_stop());
            let helpers = Helpers::of_this_thread();
            flag.store(true, Ordering::Relaxed);
            let inner = Stop::default().during(must_stop);
            let helped =
                std::thread::scope(|scope| scope.spawn(helpers.help(must_stop)).join().expect("no panic"));
            assert!(must_stop() && helped && !inner);
        });
        assert!(!must_stop());
        let over = Stop::new(Arc::default(), Instant::now().checked_sub(Duration::from_millis(1)));
        assert!(over.during(must_stop));
    }

    #[test]
    fn the_caller_is_asked_on_his_thread_alone_also_while_he_waits() {
        let flag = Arc::new(AtomicBool::new(false));
        let asked = Arc::new(AtomicUsize::new(0));
        let caller: AskCaller = {
            let (flag, asked, own) = (Arc::clone(&flag), Arc::clone(&asked), std::thread::current().id());
            Arc::new(move || {
                assert_eq!(std::thread::current().id(), own);
                if asked.fetch_add(1, Ordering::Relaxed) == 2 {
                    flag.store(true, Ordering::Relaxed);
                }
            })
        };
        let started = Instant::now();
        Stop::new(flag, None).during_asked(caller, started, || {
            assert!(!must_stop());
            let helpers = Helpers::of_this_thread();
            std::thread::scope(|scope| {
                let work = helpers.help(|| {
                    while !must_stop() {
                        std::thread::sleep(Duration::from_millis(1));
                    }
                });
                scope.spawn(work);
                helpers.wait();
            });
            // A helper that never begins is none.
            drop(helpers.help(|| ()));
            helpers.wait();
        });
        assert!(started.elapsed() >= 3 * ASKED_EVERY && asked.load(Ordering::Relaxed) == 3);
    }
}
