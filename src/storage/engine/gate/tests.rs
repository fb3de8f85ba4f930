//! Who is let in when.

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
        while gate.waiting(Area::Everything) == 0 {
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
        while gate.waiting(Area::Everything) == 0 {
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

const TABLE: Area = Area::Table(TableId(1));
const OTHER: Area = Area::Table(TableId(2));

/// Somebody holds the table as `first` and ends with `version`; tells how one fares whose snapshot is 5.
fn check_busy(first: Passage, ended: Option<Option<u64>>, second: Passage, expected: Option<bool>) {
    let gate = Arc::new(Gate::default());
    let mut holder = Passes::of(&gate);
    holder.enter(TABLE, first, 5).unwrap();
    match ended {
        None => {}
        Some(Some(version)) => holder.commit(version),
        Some(None) => drop(std::mem::replace(&mut holder, Passes::of(&gate))),
    }
    let mut late = Passes::of(&gate);
    let outcome = late.enter(TABLE, second, 5).err().map(|busy| busy.is_held);
    assert_eq!(outcome, expected, "{first:?} {ended:?} {second:?}");
    late.enter(OTHER, second, 5).unwrap();
}

#[test]
fn what_is_held_or_newer_is_busy() {
    use Passage::*;
    let (held, newer) = (Some(true), Some(false));
    check_busy(Shared, None, Shared, None);
    check_busy(Shared, None, Exclusive, held);
    check_busy(Exclusive, None, Shared, held);
    check_busy(Exclusive, None, Exclusive, held);
    for second in [Shared, Exclusive] {
        check_busy(Shared, Some(None), second, None);
        check_busy(Exclusive, Some(None), second, None);
        check_busy(Exclusive, Some(Some(6)), second, newer);
        check_busy(Exclusive, Some(Some(5)), second, None);
    }
    check_busy(Shared, Some(Some(6)), Shared, None);
    check_busy(Shared, Some(Some(6)), Exclusive, newer);
    check_busy(Shared, Some(Some(5)), Exclusive, None);
}

#[test]
fn one_that_shares_may_go_on_alone() {
    let gate = Arc::new(Gate::default());
    let (mut one, mut other) = (Passes::of(&gate), Passes::of(&gate));
    one.enter(TABLE, Passage::Shared, 5).unwrap();
    other.enter(TABLE, Passage::Shared, 5).unwrap();
    assert!(one.enter(TABLE, Passage::Exclusive, 5).is_err());
    assert!(!one.holds(TABLE, Passage::Exclusive));
    drop(other);
    one.enter(TABLE, Passage::Exclusive, 5).unwrap();
    one.enter(TABLE, Passage::Shared, 5).unwrap();
    assert!(one.holds(TABLE, Passage::Exclusive) && one.holds(TABLE, Passage::Shared));
    assert!(Passes::of(&gate).enter(TABLE, Passage::Shared, 5).is_err());
    one.commit(6);
    assert!(Passes::of(&gate).enter(TABLE, Passage::Shared, 5).is_err());
    let mut late = Passes::of(&gate);
    late.enter(TABLE, Passage::Shared, 6).unwrap();
    late.commit(7);
    let mut one = Passes::of(&gate);
    one.enter(TABLE, Passage::Shared, 6).unwrap();
    assert!(!one.enter(TABLE, Passage::Exclusive, 6).unwrap_err().is_held);
    drop(one);
    Passes::of(&gate).enter(TABLE, Passage::Exclusive, 7).unwrap();
}

#[test]
fn sharers_do_not_slip_past_one_that_waits_to_be_alone() {
    let gate = Arc::new(Gate::default());
    let mut sharing = Passes::of(&gate);
    sharing.enter(TABLE, Passage::Shared, 1).unwrap();
    std::thread::scope(|scope| {
        let waiting = scope.spawn(|| {
            let wanted = [(TABLE, Passage::Exclusive)];
            Passes::wait_for(&gate, &wanted, None, "data").map(|mut passes| passes.commit(2))
        });
        while gate.waiting(TABLE) == 0 {
            std::thread::yield_now();
        }
        // What it holds already, it goes on with.
        sharing.enter(TABLE, Passage::Shared, 1).unwrap();
        assert!(Passes::of(&gate).enter(TABLE, Passage::Shared, 1).unwrap_err().is_held);
        Passes::of(&gate).enter(OTHER, Passage::Shared, 1).unwrap();
        drop(sharing);
        waiting.join().unwrap().unwrap();
    });
    assert!(!Passes::of(&gate).enter(TABLE, Passage::Shared, 1).unwrap_err().is_held);
    Passes::of(&gate).enter(TABLE, Passage::Shared, 2).unwrap();
}

/// Whoever waits for several areas gets them in one order, whatever the order of the wish.
#[test]
fn nobody_waits_in_a_circle() {
    let gate = Arc::new(Gate::default());
    std::thread::scope(|scope| {
        for thread in 0..4u32 {
            let gate = &gate;
            scope.spawn(move || {
                for round in 0..100u32 {
                    let passage =
                        if (round + thread) % 3 == 0 { Passage::Shared } else { Passage::Exclusive };
                    let tables = [(round + thread) % 3, (round * 2 + thread) % 3, round % 3];
                    let wanted = tables.map(|table| (Area::Table(TableId(table)), passage));
                    Passes::wait_for(gate, &wanted, None, "data").unwrap();
                }
            });
        }
    });
}
