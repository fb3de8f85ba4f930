//! A disk that is full or whose calls fail, while the database stays open.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use quiredb::storage::StorageError;
use quiredb::storage::backend::{HookedBackend, SimulatedBackend};
use quiredb::{Error, ErrorKind};

use crate::support::random::Random;
use crate::support::{is_long, sound};
use crate::workload::{Target, contents, disk_with, load, open};

#[test]
fn a_full_disk_fails_the_load_and_work_goes_on_when_there_is_room() {
    let folder = tempfile::tempdir().unwrap();
    for (target, seed) in [(Target::A, 1), (Target::R, 2), (Target::S, 3), (Target::B, 4)] {
        let base = disk_with(seed, 2, folder.path());
        let disk = base.snapshot();
        let database = open(disk.clone()).unwrap();
        let connection = database.connect().unwrap();
        let before = contents(&connection);
        let statement = load(target, &connection, folder.path(), &mut Random::new(seed));
        let mut room = 0;
        let failures = loop {
            disk.set_capacity(Some(disk.used_bytes() + room * 4096));
            let Err(error) = connection.query(&statement) else { break room };
            assert!(error.to_string().contains("no space left on the device"), "{error}");
            assert_eq!(error.kind(), ErrorKind::Io);
            assert_eq!(contents(&connection), before);
            room += 1;
        };
        assert!(failures > 0, "the disk was never full");
        let after = contents(&connection);
        assert_ne!(after, before);
        disk.set_capacity(None);
        sound(&database);
        let more = load(Target::A, &connection, folder.path(), &mut Random::new(9));
        connection.query(&more).unwrap();
        let last = contents(&connection);
        drop((connection, database));
        let database = open(disk).unwrap();
        assert_eq!(contents(&database.connect().unwrap()), last);
        sound(&database);
    }
}

#[test]
fn a_failing_call_leaves_before_or_after_and_is_told() {
    let folder = tempfile::tempdir().unwrap();
    let (mut poisoned, mut went_on) = (0, 0);
    for (target, seed) in [(Target::A, 5), (Target::R, 6), (Target::S, 7)] {
        let base = disk_with(seed, 1, folder.path());
        let clean = base.snapshot();
        let database = open(clean.clone()).unwrap();
        let opening = clean.operations();
        let connection = database.connect().unwrap();
        let before = contents(&connection);
        let statement = load(target, &connection, folder.path(), &mut Random::new(seed));
        connection.query(&statement).unwrap();
        let after = contents(&connection);
        let operations = clean.operations();
        drop((connection, database));
        let step = if is_long() { 1 } else { 2 };
        for failing in (opening + 1..=operations).step_by(step) {
            let disk = base.snapshot();
            let database = open(disk.clone()).unwrap();
            let connection = database.connect().unwrap();
            disk.fail_operation(failing);
            let first = connection.query(&statement);
            let found = contents(&connection);
            assert_eq!(found == after, first.is_ok(), "operation {failing}: {first:?}");
            assert!(found == after || found == before, "operation {failing}");
            if let Err(error) = &first {
                assert!(error.to_string().contains("EIO") || is_poison(error), "{error}");
                match connection.query(&statement) {
                    Ok(_) => {
                        went_on += 1;
                        assert_eq!(contents(&connection), after);
                    }
                    Err(error) => {
                        assert!(is_poison(&error), "operation {failing}: {error}");
                        poisoned += 1;
                    }
                }
            }
            drop((connection, database));
            let database = open(disk.crash()).unwrap();
            let found = contents(&database.connect().unwrap());
            assert!(found == after || found == before, "operation {failing}");
            sound(&database);
        }
    }
    assert!(poisoned > 0 && went_on > 0, "{poisoned} poisoned, {went_on} went on");
}

fn is_poison(error: &Error) -> bool {
    error.kind() == ErrorKind::Unavailable && error.to_string().contains("until it is opened again")
}

#[test]
fn a_failing_read_is_an_error_and_the_next_one_works() {
    let folder = tempfile::tempdir().unwrap();
    let base = disk_with(8, 2, folder.path());
    let database = open(base.snapshot()).unwrap();
    let expected = contents(&database.connect().unwrap());
    drop(database);
    let query = "MATCH (a:A)-[r:R]->(b:A) RETURN a.name, r.note, b.tags";
    let mut failed = 0;
    for offset in 1..30 {
        let disk = base.snapshot();
        let Ok(database) = open(disk.clone()) else { panic!("nothing fails yet") };
        disk.fail_read(disk.reads() + offset);
        let connection = database.connect().unwrap();
        if let Err(error) = connection.query(query) {
            failed += 1;
            assert_eq!(error.kind(), ErrorKind::Io, "{error}");
            assert!(error.to_string().contains("data.quire"), "{error}");
        }
        disk.clear_faults();
        assert_eq!(contents(&connection), expected);
    }
    assert!(failed > 5, "{failed} reads failed");
}

/// A backend one of whose syncs fails, counted from 1; 0 for none.
fn failing_sync(disk: SimulatedBackend) -> (HookedBackend, Arc<AtomicU64>) {
    let countdown: Arc<AtomicU64> = Arc::default();
    let left = Arc::clone(&countdown);
    let backend = HookedBackend::new(Arc::new(disk), move |file| {
        let last = left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| left.checked_sub(1));
        match last {
            Ok(1) => {
                let (file, source) = (file.to_owned(), std::io::Error::other("the sync fails"));
                Err(StorageError::Io { operation: "sync", file, source })
            }
            _ => Ok(()),
        }
    });
    (backend, countdown)
}

/// A sync that fails before the switch drops the load, whose pages are written anew the next time. After that nothing
/// is certain: a later sync that works would prove nothing, so writing ends until the database is opened again.
#[test]
fn a_failed_sync_drops_the_load_or_ends_writing() {
    let folder = tempfile::tempdir().unwrap();
    let base = disk_with(11, 1, folder.path());
    let (mut dropped, mut ended) = (0, 0);
    for sync in 1..10 {
        let disk = base.snapshot();
        let (backend, countdown) = failing_sync(disk.clone());
        let database = open(backend.clone()).unwrap();
        let connection = database.connect().unwrap();
        let before = contents(&connection);
        let statement = load(Target::A, &connection, folder.path(), &mut Random::new(1));
        countdown.store(sync, Ordering::Relaxed);
        let Err(first) = connection.query(&statement) else {
            countdown.store(0, Ordering::Relaxed);
            // All syncs of the load have failed in turn.
            break;
        };
        assert!(first.to_string().contains("the sync fails") || is_poison(&first), "{first}");
        assert_eq!(contents(&connection), before, "reads go on");
        match connection.query(&statement) {
            Ok(_) => {
                dropped += 1;
                let after = contents(&connection);
                sound(&database);
                drop((connection, database));
                let database = open(disk.crash()).unwrap();
                assert_eq!(contents(&database.connect().unwrap()), after);
                sound(&database);
            }
            Err(error) => {
                ended += 1;
                assert!(is_poison(&error), "sync {sync}: {error}");
                let operations = disk.operations();
                for writing in
                    [statement.as_str(), "CREATE NODE TABLE N(id INT64 PRIMARY KEY)", "DROP TABLE R"]
                {
                    let error = connection.query(writing).unwrap_err();
                    assert!(is_poison(&error), "sync {sync}: {error}");
                }
                assert_eq!(contents(&connection), before);
                assert_eq!(disk.operations(), operations, "nothing is written any more");
                drop((connection, database));
                let database = open(disk.crash()).unwrap();
                let connection = database.connect().unwrap();
                sound(&database);
                if contents(&connection) == before {
                    connection.query(&statement).unwrap();
                }
                sound(&database);
            }
        }
    }
    assert!(dropped > 0 && ended > 0, "{dropped} dropped, {ended} ended");
}
