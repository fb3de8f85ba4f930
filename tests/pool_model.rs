//! The buffer pool's state words and epochs under every interleaving and every reordering that the memory model
//! allows. Run it with `RUSTFLAGS="--cfg loom" cargo test --release --test pool_model`.
#![cfg(loom)]

use std::iter;

use loom::cell::UnsafeCell;
use loom::sync::Arc;
use loom::thread;

#[path = "../src/storage/buffer_pool/epoch.rs"]
#[allow(dead_code)]
mod epoch;
#[path = "../src/storage/buffer_pool/state.rs"]
#[allow(dead_code)]
mod state;

/// The model checker's atomics for the two files above.
mod sync {
    pub use loom::sync::atomic::{AtomicU64, Ordering, fence};
    pub const EXCHANGE_IS_FENCE: bool = false;
}

use epoch::{Entered, EpochClock, EpochSlot};
use state::{BlockWord, Candidate, Pin};

const CONTENT: u64 = 42;

/// One block of one page. The cell reports an access that another one does not happen before.
struct Pool {
    clock: EpochClock,
    slots: [EpochSlot; 2],
    word: BlockWord,
    bytes: UnsafeCell<u64>,
}

// The cell checks what the state word and the epochs promise.
#[allow(unsafe_code)]
// SAFETY: the model checker reports accesses of the cell that are not ordered.
unsafe impl Sync for Pool {}

impl Pool {
    fn resident() -> Arc<Pool> {
        let pool = Pool {
            clock: EpochClock::new(),
            slots: [EpochSlot::new(), EpochSlot::new()],
            word: BlockWord::new(),
            bytes: UnsafeCell::new(0),
        };
        pool.load(0);
        Arc::new(pool)
    }

    #[allow(unsafe_code)]
    fn read(&self) {
        // SAFETY: checked by the model checker.
        self.bytes.with(|bytes| assert_eq!(unsafe { *bytes }, CONTENT, "bytes of an evicted block"));
    }

    #[allow(unsafe_code)]
    fn write(&self, value: u64) {
        // SAFETY: checked by the model checker.
        self.bytes.with_mut(|bytes| unsafe { *bytes = value });
    }

    /// Loads the block if it is evicted.
    fn load(&self, pins: u32) -> bool {
        let claimed = self.word.claim(1);
        if claimed {
            self.write(CONTENT);
            self.word.publish(pins, true);
        }
        claimed
    }

    /// Reads inside an epoch if the block is there.
    fn look(&self, _entered: &Entered<'_>) {
        if self.word.is_resident(1) || self.word.touch(1) {
            self.read();
        }
    }

    /// Marks the block and takes it if nobody can see it any more.
    fn evict(&self, stern: bool, wait: bool) {
        if !matches!(self.word.mark(stern), Candidate::Taken(_)) {
            return;
        }
        let marked = self.clock.advance();
        let passed = self.clock.passed(marked, self.slots.iter()).is_some();
        if (passed || !wait) && matches!(self.word.condemn(), Candidate::Taken(1)) {
            self.write(0);
            self.word.clear_queued();
            self.word.vacate();
        } else {
            self.word.unmark();
        }
    }
}

fn run(threads: impl Fn(&Arc<Pool>) -> Vec<Box<dyn FnOnce(&Pool) + Send>> + Send + Sync + 'static) {
    let mut model = loom::model::Builder::new();
    model.preemption_bound = Some(2);
    model.check(move || {
        let pool = Pool::resident();
        let handles: Vec<_> = threads(&pool)
            .into_iter()
            .map(|work| {
                let pool = Arc::clone(&pool);
                thread::spawn(move || work(&pool))
            })
            .collect();
        for handle in handles {
            handle.join().expect("no panic");
        }
    });
}

fn reader(slot: usize, looks: usize) -> Box<dyn FnOnce(&Pool) + Send> {
    Box::new(move |pool: &Pool| {
        let mut entered = Entered::new(&pool.clock, &pool.slots[slot]);
        for look in 0..looks {
            if look > 0 {
                entered.renew();
            }
            pool.look(&entered);
        }
    })
}

fn evictor(rounds: usize, stern: bool, wait: bool) -> Box<dyn FnOnce(&Pool) + Send> {
    Box::new(move |pool: &Pool| (0..rounds).for_each(|_| pool.evict(stern, wait)))
}

fn pinner() -> Box<dyn FnOnce(&Pool) + Send> {
    Box::new(|pool: &Pool| {
        if pool.word.try_pin(1) == Pin::Pinned {
            pool.read();
            pool.word.unpin();
        }
    })
}

/// A miss: loads the block pinned, enters an epoch, gives the pin back, reads.
fn misser(slot: usize) -> Box<dyn FnOnce(&Pool) + Send> {
    Box::new(move |pool: &Pool| {
        let pinned = pool.load(1) || pool.word.try_pin(1) == Pin::Pinned;
        if pinned {
            let entered = Entered::new(&pool.clock, &pool.slots[slot]);
            pool.word.unpin();
            pool.look(&entered);
        }
    })
}

#[test]
fn a_reader_in_an_epoch_never_sees_an_eviction() {
    run(|_| vec![reader(0, 2), evictor(2, false, true)]);
}

#[test]
fn nor_do_two_readers() {
    run(|_| vec![reader(0, 1), reader(1, 1), evictor(1, false, true)]);
}

#[test]
fn stern_marks_keep_readers_off() {
    run(|_| vec![reader(0, 2), pinner(), evictor(1, true, true)]);
}

#[test]
fn a_pinned_block_is_never_evicted() {
    run(|_| vec![pinner(), pinner(), evictor(2, false, true)]);
}

#[test]
fn blocks_come_back_whole() {
    run(|_| vec![reader(0, 1), misser(1), evictor(1, false, true)]);
}

/// The model would find an evictor that does not wait.
#[test]
#[should_panic]
fn an_evictor_that_does_not_wait_is_found() {
    run(|_| vec![reader(0, 2), evictor(2, false, false)]);
}

#[test]
fn all_slots_count() {
    let slots = || iter::empty::<&EpochSlot>();
    loom::model(move || assert!(EpochClock::new().passed(1, slots()).is_some()));
}
