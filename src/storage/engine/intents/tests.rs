//! Who meets whom, and what is forgotten when.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use super::*;

const TABLE: TableId = TableId(1);
const NODE: Intent = Intent::Node(TABLE, 7);

/// Announces `first`, ends its transaction as `end` says, and tells whether a second one, whose snapshot is from
/// before, meets it.
fn check(first: Hold, end: Option<Option<u64>>, second: Hold, expected: Option<Option<u64>>) {
    let intents = Intents::default();
    let (mut a, mut b) = (intents.register(|| 5), intents.register(|| 5));
    let number = a.number();
    intents.announce(&mut a, NODE, first).unwrap();
    let mut open = Some(a);
    match end {
        None => {}
        Some(None) => intents.roll_back(open.take().unwrap()),
        Some(Some(version)) => intents.commit(open.take().unwrap(), version),
    }
    let outcome = intents.announce(&mut b, NODE, second);
    let expected = expected.map(|holder| Conflict { intent: NODE, holder: holder.map(|_| number) });
    assert_eq!(outcome.err(), expected, "{first:?} {end:?} {second:?}");
}

#[test]
fn the_first_writer_wins() {
    use Hold::*;
    let (open, committed) = (Some(Some(1)), Some(None));
    check(Exclusive, None, Exclusive, open);
    check(Exclusive, None, Shared, open);
    check(Shared, None, Exclusive, open);
    check(Shared, None, Shared, None);
    for hold in [Shared, Exclusive] {
        check(Exclusive, Some(None), hold, None);
        check(Shared, Some(None), hold, None);
        check(Exclusive, Some(Some(6)), hold, committed);
    }
    check(Shared, Some(Some(6)), Exclusive, committed);
    check(Shared, Some(Some(6)), Shared, None);
    check(Exclusive, Some(Some(5)), Exclusive, None);
}

#[test]
fn a_transaction_does_not_meet_itself() {
    let intents = Intents::default();
    let (mut a, mut b) = (intents.register(|| 1), intents.register(|| 1));
    for hold in [Hold::Shared, Hold::Shared, Hold::Exclusive, Hold::Shared, Hold::Exclusive] {
        intents.announce(&mut a, NODE, hold).unwrap();
    }
    assert_eq!(a.held.len(), 1);
    assert!(intents.announce(&mut b, NODE, Hold::Shared).is_err());
    intents.roll_back(a);
    intents.announce(&mut b, NODE, Hold::Shared).unwrap();
    intents.roll_back(b);
    assert_eq!(intents.entries(), 0);
    assert_eq!(intents.conflicts(), 1);
}

#[test]
fn later_snapshots_do_not_meet_earlier_commits() {
    let intents = Intents::default();
    let (mut a, old) = (intents.register(|| 1), intents.register(|| 1));
    intents.announce(&mut a, NODE, Hold::Exclusive).unwrap();
    intents.commit(a, 2);
    let mut later = intents.register(|| 2);
    intents.announce(&mut later, NODE, Hold::Exclusive).unwrap();
    intents.commit(later, 3);
    // Both are remembered for the old one only.
    assert_eq!(intents.entries(), 1);
    intents.roll_back(old);
    assert_eq!(intents.entries(), 0);
}

#[test]
fn what_is_remembered_has_a_limit() {
    let intents = Intents::with_limit(10);
    let old = intents.register(|| 1);
    for version in 2..40 {
        let mut writer = intents.register(|| version - 1);
        intents.announce(&mut writer, Intent::Row(TABLE, version), Hold::Exclusive).unwrap();
        intents.commit(writer, version);
    }
    assert_eq!(intents.entries(), 10);
    assert!(!intents.remembers(&old));
    let young = intents.register(|| 39);
    assert!(intents.remembers(&young));
}

#[test]
fn the_end_of_a_holder_can_be_waited_for() {
    let intents = Intents::default();
    let a = intents.register(|| 1);
    let number = a.number();
    assert!(!intents.wait_for_end(number, Some(Instant::now() + Duration::from_millis(5))));
    std::thread::scope(|scope| {
        let waiting = scope.spawn(|| intents.wait_for_end(number, None));
        intents.roll_back(a);
        assert!(waiting.join().unwrap());
    });
    assert!(intents.wait_for_end(number, None));
}

/// Threads add to counters, each of which is a row. What a transaction read must still hold when it commits.
#[test]
fn no_update_is_lost() {
    let intents = Intents::default();
    let rows: Vec<AtomicU64> = (0..4).map(|_| AtomicU64::new(0)).collect();
    let published = Mutex::new(1u64);
    let added = AtomicU64::new(0);
    std::thread::scope(|scope| {
        for thread in 0..4usize {
            let (intents, rows, published, added) = (&intents, &rows, &published, &added);
            scope.spawn(move || {
                for round in 0..300usize {
                    let row = (thread * 7 + round * 3) % rows.len();
                    loop {
                        let mut own = intents.register(|| *published.lock());
                        // The snapshot: version and value belong together.
                        let (version, value) = {
                            let version = published.lock();
                            (*version, rows[row].load(Ordering::SeqCst))
                        };
                        own.set_snapshot(version);
                        let intent = Intent::Row(TABLE, row as u64);
                        if let Err(conflict) = intents.announce(&mut own, intent, Hold::Exclusive) {
                            intents.roll_back(own);
                            if let Some(holder) = conflict.holder {
                                intents.wait_for_end(holder, None);
                            }
                            continue;
                        }
                        let version = {
                            let mut version = published.lock();
                            *version += 1;
                            rows[row].store(value + 1, Ordering::SeqCst);
                            *version
                        };
                        intents.commit(own, version);
                        added.fetch_add(1, Ordering::Relaxed);
                        break;
                    }
                }
            });
        }
    });
    let sum: u64 = rows.iter().map(|row| row.load(Ordering::SeqCst)).sum();
    assert_eq!(sum, added.into_inner());
    assert_eq!(sum, 1200);
    assert_eq!((intents.entries(), intents.open_transactions()), (0, 0));
}

/// A thing that was committed and is then held by somebody who rolls back leaves no entry.
#[test]
fn what_is_held_while_it_is_forgotten_goes_with_its_holder() {
    let check = |hold: Hold, by_rollback: bool| {
        let intents = Intents::default();
        let reader = intents.register(|| 4);
        let mut writer = intents.register(|| 4);
        intents.announce(&mut writer, NODE, hold).unwrap();
        intents.commit(writer, 5);
        let mut holder = intents.register(|| 5);
        intents.announce(&mut holder, NODE, hold).unwrap();
        // Nobody needs the commit any more, but the entry is in use.
        intents.roll_back(reader);
        assert_eq!(intents.entries(), 1);
        match by_rollback {
            true => intents.roll_back(holder),
            false => intents.commit(holder, 6),
        }
        assert_eq!(intents.entries(), 0, "{hold:?} {by_rollback}");
    };
    for hold in [Hold::Exclusive, Hold::Shared] {
        check(hold, true);
        check(hold, false);
    }
}
