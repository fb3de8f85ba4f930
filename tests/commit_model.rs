//! Intents and areas under every interleaving: register, snapshot, announce, publish, release; and the order in which
//! commits are logged, made durable, linked and published. Run it with
//! `RUSTFLAGS="--cfg loom" cargo test --release --test commit_model`.
//!
//! Each model has mutants, which do one thing in the wrong order; the model has to find them.
#![cfg(loom)]

use loom::sync::Arc;
use loom::sync::atomic::{AtomicU64, Ordering};
use loom::thread;

#[path = "../src/storage/engine/gate/mod.rs"]
#[allow(dead_code)]
mod gate;
#[path = "../src/storage/engine/intents.rs"]
#[allow(dead_code)]
mod intents;
#[path = "../src/storage/engine/order.rs"]
#[allow(dead_code)]
mod order;

/// What the files above need of the crate.
mod types {
    #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
    pub struct TableId(pub u32);

    impl std::fmt::Display for TableId {
        fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            self.0.fmt(formatter)
        }
    }
}

mod storage {
    #[derive(Debug)]
    #[allow(dead_code, reason = "the models only count on success")]
    pub enum StorageError {
        Locked { path: String, holder: String },
        Poisoned { reason: String },
        Interrupted,
    }

    pub type StorageResult<T> = Result<T, StorageError>;
}

/// The model checker's locks, used as those of the engine are.
mod sync {
    pub use loom::sync::atomic::{AtomicU64, Ordering};
    use std::ops::{Deref, DerefMut};
    use std::time::Instant;

    pub const STRIPES: usize = 2;

    /// Two looks are as good as many.
    pub fn patiently<T>(mut look: impl FnMut() -> Option<T>) -> Option<T> {
        (0..2).find_map(|_| {
            let found = look();
            if found.is_none() {
                loom::thread::yield_now();
            }
            found
        })
    }

    #[derive(Default)]
    pub struct Apart<T>(pub T);

    impl<T> Deref for Apart<T> {
        type Target = T;

        fn deref(&self) -> &T {
            &self.0
        }
    }

    /// Threads have the stripes by turns, as their numbers say.
    pub fn own_stripe() -> usize {
        let name = format!("{:?}", loom::thread::current().id());
        name.bytes().filter(u8::is_ascii_digit).map(usize::from).sum::<usize>() % STRIPES
    }

    #[derive(Default)]
    pub struct Mutex<T>(loom::sync::Mutex<T>);

    /// Empty only while it waits.
    pub struct MutexGuard<'m, T>(Option<loom::sync::MutexGuard<'m, T>>);

    #[derive(Default)]
    pub struct Condvar(loom::sync::Condvar);

    impl<T> Mutex<T> {
        pub fn new(value: T) -> Mutex<T> {
            Mutex(loom::sync::Mutex::new(value))
        }

        pub fn lock(&self) -> MutexGuard<'_, T> {
            MutexGuard(Some(self.0.lock().expect("nobody panics")))
        }

        pub fn try_lock(&self) -> Option<MutexGuard<'_, T>> {
            self.0.try_lock().ok().map(|guard| MutexGuard(Some(guard)))
        }
    }

    impl<T> Deref for MutexGuard<'_, T> {
        type Target = T;

        fn deref(&self) -> &T {
            self.0.as_ref().expect("it does not wait")
        }
    }

    impl<T> DerefMut for MutexGuard<'_, T> {
        fn deref_mut(&mut self) -> &mut T {
            self.0.as_mut().expect("it does not wait")
        }
    }

    /// Nobody interrupts a model.
    pub fn wait_a_while<T>(
        moved: &Condvar,
        state: &mut MutexGuard<'_, T>,
        _deadline: Option<Instant>,
    ) -> bool {
        moved.wait(state);
        false
    }

    impl Condvar {
        pub fn new() -> Condvar {
            Condvar::default()
        }

        pub fn wait<T>(&self, guard: &mut MutexGuard<'_, T>) {
            let inner = guard.0.take().expect("it does not wait yet");
            guard.0 = Some(self.0.wait(inner).expect("nobody panics"));
        }

        pub fn notify_all(&self) {
            self.0.notify_all();
        }
    }
}

use gate::{Area, Gate, Passage, Passes};
use intents::{Hold, Intent, Intents, Registered};
use order::CommitOrder;
use types::TableId;

const TABLE: TableId = TableId(1);
const AREA: Area = Area::Table(TABLE);
const ROW: Intent = Intent::Row(TABLE, 7);

/// What a transaction does in the wrong order, or not at all.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Order {
    Right,
    SnapshotBeforeRegistration,
    ReleaseBeforePublication,
    NoPassage,
}

/// One row that everybody adds one to. The published state is the version and the row's value.
struct World {
    intents: Intents,
    gate: std::sync::Arc<Gate>,
    state: AtomicU64,
    /// Held from the place in the log to the publication.
    commits: sync::Mutex<()>,
    added: AtomicU64,
}

fn version_of(state: u64) -> u64 {
    state >> 32
}

fn value_of(state: u64) -> u64 {
    state & 0xffff_ffff
}

impl World {
    fn new() -> World {
        World {
            intents: Intents::default(),
            gate: std::sync::Arc::default(),
            state: AtomicU64::new(1 << 32),
            commits: sync::Mutex::new(()),
            added: AtomicU64::new(0),
        }
    }

    fn load(&self) -> u64 {
        self.state.load(Ordering::SeqCst)
    }

    fn register(&self, order: Order) -> (Registered, u64) {
        let early = self.load();
        let mut own = self.intents.register(|| version_of(self.load()));
        let seen = if order == Order::SnapshotBeforeRegistration { early } else { self.load() };
        own.set_snapshot(version_of(seen));
        (own, seen)
    }

    /// Changes the row from what was seen, as the next version.
    fn publish(&self, seen: u64) -> u64 {
        let _turn = self.commits.lock();
        let version = version_of(self.load()) + 1;
        self.state.store(version << 32 | (value_of(seen) + 1), Ordering::SeqCst);
        version
    }

    fn commit(&self, order: Order, own: Registered, mut passes: Passes, seen: u64) {
        if order == Order::ReleaseBeforePublication {
            let next = version_of(self.load()) + 1;
            self.intents.commit(own, next);
            passes.commit(next);
            self.publish(seen);
        } else {
            let version = self.publish(seen);
            self.intents.commit(own, version);
            passes.commit(version);
        }
        self.added.fetch_add(1, Ordering::SeqCst);
    }

    /// One that announces the row, as most do. Whoever is in its way wins.
    fn add(&self, order: Order) {
        let (mut own, seen) = self.register(order);
        let mut passes = Passes::of(&self.gate);
        let shares =
            order == Order::NoPassage || passes.enter(AREA, Passage::Shared, version_of(seen)).is_ok();
        if shares && self.intents.announce(&mut own, ROW, Hold::Exclusive).is_ok() {
            self.commit(order, own, passes, seen);
        } else {
            self.intents.roll_back(own);
        }
    }

    /// One that waits to be alone in the table and announces nothing.
    fn add_alone(&self, order: Order) {
        let wanted = [(AREA, Passage::Exclusive)];
        let passes = Passes::wait_for(&self.gate, &wanted, None, "data").expect("it is not closed");
        let (own, seen) = self.register(order);
        self.commit(order, own, passes, seen);
    }

    /// One that wants to be alone in the middle, and begins again behind the others where it cannot be.
    fn add_large(&self, order: Order) {
        let (own, seen) = self.register(order);
        let mut passes = Passes::of(&self.gate);
        let version = version_of(seen);
        let entered = passes.enter(AREA, Passage::Shared, version);
        if entered.and_then(|()| passes.enter(AREA, Passage::Exclusive, version)).is_ok() {
            self.commit(order, own, passes, seen);
        } else {
            self.intents.roll_back(own);
            drop(passes);
            self.add_alone(order);
        }
    }
}

type Work = fn(&World, Order);

fn run(order: Order, works: &'static [Work]) {
    let mut model = loom::model::Builder::new();
    model.preemption_bound = Some(3);
    model.check(move || {
        let world = Arc::new(World::new());
        let threads: Vec<_> = works
            .iter()
            .map(|work| {
                let world = Arc::clone(&world);
                thread::spawn(move || work(&world, order))
            })
            .collect();
        for thread in threads {
            thread.join().expect("no panic");
        }
        let added = world.added.load(Ordering::SeqCst);
        assert!(added > 0, "somebody is first");
        assert_eq!(value_of(world.load()), added, "an update was lost");
        assert_eq!(version_of(world.load()), 1 + added);
        assert_eq!(world.intents.open_transactions(), 0);
    });
}

#[test]
fn no_update_is_lost_among_announcers() {
    run(Order::Right, &[World::add, World::add]);
}

#[test]
fn nor_beside_one_that_is_alone() {
    run(Order::Right, &[World::add, World::add_alone]);
    run(Order::Right, &[World::add_large, World::add_alone]);
}

#[test]
fn nor_beside_one_that_wants_to_be_alone_in_the_middle() {
    run(Order::Right, &[World::add, World::add_large]);
    run(Order::Right, &[World::add_large, World::add_large]);
}

#[test]
#[should_panic(expected = "an update was lost")]
fn a_snapshot_from_before_the_registration_is_found() {
    run(Order::SnapshotBeforeRegistration, &[World::add, World::add]);
}

#[test]
#[should_panic(expected = "an update was lost")]
fn a_release_before_the_publication_is_found() {
    run(Order::ReleaseBeforePublication, &[World::add, World::add]);
}

#[test]
#[should_panic(expected = "an update was lost")]
fn a_table_that_is_left_before_the_publication_is_found() {
    run(Order::ReleaseBeforePublication, &[World::add_alone, World::add_alone]);
}

#[test]
#[should_panic(expected = "an update was lost")]
fn a_writer_that_passes_no_gate_is_found() {
    run(Order::NoPassage, &[World::add, World::add_alone]);
}

/// What a commit does in the wrong order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Slip {
    None,
    LinkBeforeSync,
    PublishOutsideOfTheLock,
}

/// A log with one record per commit, and the newest version that everybody sees.
struct Log {
    order: CommitOrder<u64, u64>,
    appended: AtomicU64,
    synced: AtomicU64,
    state: AtomicU64,
}

impl Log {
    fn commit(&self, slip: Slip) {
        let placed: Result<u64, ()> = self.order.enqueue(|version, _| {
            let place = self.appended.fetch_add(1, Ordering::SeqCst) + 1;
            assert_eq!(place, version, "the log has another order than the versions");
            Ok(place)
        });
        let version = placed.expect("there is room");
        if slip != Slip::LinkBeforeSync {
            self.sync();
        }
        let mut outside = Vec::new();
        self.order.link_up_to(version, |linked, ready| match slip {
            Slip::PublishOutsideOfTheLock => outside = ready,
            _ => {
                *linked = self.publish(ready);
            }
        });
        self.publish(outside);
        assert!(self.state.load(Ordering::SeqCst) >= version, "a commit returns before it is seen");
    }

    /// Serves all that have been appended.
    fn sync(&self) {
        let end = self.appended.load(Ordering::SeqCst);
        self.synced.fetch_max(end, Ordering::SeqCst);
    }

    fn publish(&self, ready: Vec<(u64, u64)>) -> u64 {
        let before = self.state.load(Ordering::SeqCst);
        let mut newest = before;
        for (version, place) in ready {
            assert_eq!(version, newest + 1, "a version is left out");
            assert!(place <= self.synced.load(Ordering::SeqCst), "seen before it is durable");
            newest = version;
        }
        if newest > before {
            self.state.store(newest, Ordering::SeqCst);
        }
        newest
    }
}

fn run_log(slip: Slip, committers: usize) {
    let mut model = loom::model::Builder::new();
    model.preemption_bound = Some(3);
    model.check(move || {
        let zero = || AtomicU64::new(0);
        let log = Log { order: CommitOrder::new(0, 0, 0), appended: zero(), synced: zero(), state: zero() };
        let log = Arc::new(log);
        let threads: Vec<_> = (0..committers)
            .map(|_| {
                let log = Arc::clone(&log);
                thread::spawn(move || log.commit(slip))
            })
            .collect();
        let first = log.state.load(Ordering::SeqCst);
        assert!(first <= log.state.load(Ordering::SeqCst), "versions go back");
        for thread in threads {
            thread.join().expect("no panic");
        }
        assert_eq!(log.state.load(Ordering::SeqCst), committers as u64);
        assert_eq!(*log.order.linked(), committers as u64);
    });
}

#[test]
fn commits_are_seen_in_the_order_of_the_log() {
    run_log(Slip::None, 2);
    run_log(Slip::None, 3);
}

#[test]
#[should_panic(expected = "seen before it is durable")]
fn a_link_before_the_sync_is_found() {
    run_log(Slip::LinkBeforeSync, 2);
}

#[test]
#[should_panic]
fn a_publication_outside_of_the_lock_is_found() {
    run_log(Slip::PublishOutsideOfTheLock, 2);
}

/// Threads that pass into all of the database, some alone: whoever is alone meets nobody there, and nobody sleeps for ever.
fn run_passes(passages: &'static [Passage]) {
    let mut model = loom::model::Builder::new();
    model.preemption_bound = Some(3);
    model.check(move || {
        let (gate, inside) = (std::sync::Arc::new(Gate::default()), Arc::new(AtomicU64::new(0)));
        let threads: Vec<_> = passages
            .iter()
            .map(|passage| {
                let (gate, inside) = (std::sync::Arc::clone(&gate), Arc::clone(&inside));
                thread::spawn(move || {
                    let pass = gate.pass(*passage, None, "data").expect("it is not closed");
                    let step = if *passage == Passage::Exclusive { 100 } else { 1 };
                    let others = inside.fetch_add(step, Ordering::SeqCst);
                    assert!(if step == 100 { others == 0 } else { others < 100 }, "not alone");
                    inside.fetch_sub(step, Ordering::SeqCst);
                    drop(pass);
                })
            })
            .collect();
        for thread in threads {
            thread.join().expect("no panic");
        }
    });
}

#[test]
fn one_who_is_alone_meets_nobody_who_passed_quickly() {
    use Passage::{Exclusive, Shared};
    run_passes(&[Shared, Exclusive]);
    run_passes(&[Shared, Shared, Exclusive]);
    run_passes(&[Exclusive, Exclusive]);
    run_passes(&[Shared, Exclusive, Exclusive]);
}
