//! Loss of power at random operations.

use std::path::Path;
use std::time::Instant;

use quiredb::storage::backend::SimulatedBackend;

use crate::support::random::Random;
use crate::support::{is_long, number_of, sound};
use crate::workload::{Target, contents, disk_with, load, open, statement};

/// Crashes of one seed: operations at which the power goes, and what may be left each time.
const STOPS: u64 = 8;
const OUTCOMES: u64 = 2;

/// Says which seed was under way if the test fails.
struct Seed(u64);

impl Drop for Seed {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!(
                "failed with seed {0}; replay: QUIRE_SEED={0} cargo test --test simulation crash",
                self.0
            );
        }
    }
}

#[test]
fn a_crash_leaves_the_database_as_before_or_as_after() {
    let started = Instant::now();
    let seeds = match (number_of("QUIRE_SEED"), is_long()) {
        (Some(seed), _) => seed..seed + 1,
        (None, true) => 0..700,
        (None, false) => 0..6,
    };
    let (mut crashes, mut after, mut operations) = (0, 0, 0);
    for seed in seeds {
        let _named = Seed(seed);
        let tally = crashes_of(seed);
        crashes += tally.crashes;
        after += tally.after;
        operations += tally.operations;
    }
    println!(
        "{crashes} crashes, {after} of them as after, over {operations} operations, in {:.1} s",
        started.elapsed().as_secs_f64()
    );
    assert!(crashes == 0 || after > 0, "no crash came late enough to show the statement's effect");
}

#[derive(Default)]
struct Tally {
    crashes: u64,
    after: u64,
    operations: u64,
}

fn crashes_of(seed: u64) -> Tally {
    let folder = tempfile::tempdir().unwrap();
    let mut random = Random::new(seed);
    let mut base = disk_with(seed, random.below(4), folder.path());
    let mut tally = Tally::default();
    // The second round starts from what a crash left, without a clean close in between.
    for _ in 0..2 {
        if let Some(left) = crash_one_statement(&base, folder.path(), &mut random, &mut tally) {
            base = left;
        }
    }
    tally
}

/// One statement, cut off again and again; gives a disk that a crash left.
fn crash_one_statement(
    base: &SimulatedBackend,
    folder: &Path,
    random: &mut Random,
    tally: &mut Tally,
) -> Option<SimulatedBackend> {
    let database = open(base.snapshot()).unwrap();
    let connection = database.connect().unwrap();
    let (before, statement) = (contents(&connection), statement(&connection, folder, random));
    drop((connection, database));
    let clean = base.snapshot();
    let database = open(clean.clone()).unwrap();
    let opening = clean.operations();
    let connection = database.connect().unwrap();
    if connection.query(&statement).is_err() {
        // A table that an earlier statement dropped or made.
        return None;
    }
    let after = contents(&connection);
    drop(connection);
    database.close().unwrap();
    let operations = clean.operations();
    tally.operations += operations;
    let mut left = None;
    for stop in 0..STOPS {
        // Most of the time inside the statement, the last ones at its end, where the root is switched.
        let at = match stop {
            0 => random.below(operations + 1),
            1..=5 => opening + random.below(operations - opening + 1),
            _ => operations.saturating_sub(random.below(6)),
        };
        let disk = base.snapshot();
        disk.crash_after(at);
        let acknowledged =
            open(disk.clone()).and_then(|database| database.connect()?.query(&statement).map(|_| ())).is_ok();
        for outcome in 0..OUTCOMES {
            let crashed = disk.crash();
            let again = crashed.snapshot();
            let database = open(crashed).unwrap_or_else(|error| panic!("after operation {at}: {error}"));
            let connection = database.connect().unwrap();
            let found = contents(&connection);
            assert!(
                found == after || (found == before && !acknowledged),
                "operation {at} of {operations}, acknowledged: {acknowledged}; {statement}; \
                 {found:#?} is not {before:#?} and not {after:#?}"
            );
            tally.crashes += 1;
            tally.after += u64::from(found == after && before != after);
            // The check is what takes time.
            if is_long() || outcome == 0 {
                sound(&database);
            }
            if stop % 4 == outcome && (is_long() || stop < 4) {
                goes_on(&connection, folder, random);
                sound(&database);
            }
            left = Some(again);
        }
    }
    left
}

/// Loads after a crash work and are seen.
fn goes_on(connection: &quiredb::Connection, folder: &Path, random: &mut Random) {
    let before = contents(connection).len();
    // The statement's own file is used again.
    let kept = std::fs::read(folder.join("load.csv")).unwrap_or_default();
    let statement = load(Target::A, connection, folder, random);
    let result = connection.query(&statement).unwrap_or_else(|error| panic!("{statement}: {error}"));
    let loaded = crate::support::loaded(&result) as usize;
    assert_eq!(contents(connection).len(), before + loaded);
    std::fs::write(folder.join("load.csv"), kept).unwrap();
}

#[test]
fn a_crash_while_the_database_is_made_leaves_one_or_none() {
    let disk = SimulatedBackend::new(0);
    drop(open(disk.clone()).unwrap());
    for stop in 0..=disk.operations() {
        let disk = SimulatedBackend::new(stop);
        disk.crash_after(stop);
        let _ = open(disk.clone());
        for _ in 0..3 {
            let database = open(disk.crash()).unwrap();
            let connection = database.connect().unwrap();
            connection.query("CREATE NODE TABLE T(id INT64 PRIMARY KEY)").unwrap();
            assert_eq!(crate::support::count(&connection, "MATCH (t:T) RETURN count(*)"), 0);
            sound(&database);
        }
    }
}
