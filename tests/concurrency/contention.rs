//! Rules between rows, while many sessions work against them: relationships have ends, multiplicities hold, merged
//! patterns stand there once, sums stay, and a snapshot is one version.

use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering};
use std::time::Duration;

use quiredb::{Connection, Database, ErrorKind, params};

use crate::support::random::Random;
use crate::support::{count, is_long, loaded, sound};

fn open(definitions: &str) -> Database {
    let builder = Database::builder().threads(1).buffer_pool_size(16 << 20).small_load_rows(2);
    let database = builder.lock_timeout(Duration::from_secs(120)).in_memory().unwrap();
    database.connect().unwrap().query(definitions).unwrap();
    database
}

fn rounds(long: u64, short: u64) -> u64 {
    if is_long() { long } else { short }
}

/// Threads that each get a connection and their own random numbers.
fn threads(database: &Database, number: u64, work: impl Fn(u64, &Connection, &mut Random) + Sync) {
    std::thread::scope(|scope| {
        for thread in 0..number {
            let work = &work;
            scope.spawn(move || work(thread, &database.connect().unwrap(), &mut Random::new(thread)));
        }
    });
}

/// Both directions, the rows and the ends agree.
#[track_caller]
fn check_graph(database: &Database, relationships: i64) {
    let connection = database.connect().unwrap();
    assert_eq!(count(&connection, "MATCH ()-[r:R]->() RETURN count(r)"), relationships);
    assert_eq!(count(&connection, "MATCH (a:A)-[:R]->(b:A) RETURN count(b.id)"), relationships);
    assert_eq!(count(&connection, "MATCH (b:A)<-[:R]-(a:A) RETURN count(a.id)"), relationships);
    sound(database);
}

/// Nodes go and come again while relationships come, one by one and by COPY, beside checkpoints.
#[test]
fn relationships_have_ends() {
    const NODES: u64 = 30;
    let database =
        open("CREATE NODE TABLE A(id INT64 PRIMARY KEY); CREATE REL TABLE R(FROM A TO A, n INT64)");
    let connection = database.connect().unwrap();
    connection.query("UNWIND range(0, 29) AS id CREATE (:A {id: id})").unwrap();
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("r.csv");
    let (made, gone, loads) = (AtomicI64::new(0), AtomicI64::new(0), AtomicU64::new(0));
    let rounds = rounds(1500, 60);
    threads(&database, 7, |thread, connection, random| {
        for round in 0..rounds {
            let (a, b) = (random.below(NODES), random.below(NODES));
            let both = params! { a: a as i64, b: b as i64 };
            match thread {
                0 if round % 8 == 0 => database.checkpoint().unwrap(),
                0 => std::thread::yield_now(),
                1 if round % 6 == 0 => {
                    // In turns as rows and as pages.
                    let more =
                        if round % 12 == 0 { format!("{b},{a},2\n{a},{a},3\n") } else { String::new() };
                    std::fs::write(&file, format!("{a},{b},1\n{more}")).unwrap();
                    match connection.query(&format!("COPY R FROM '{}'", file.display())) {
                        Ok(result) => {
                            loads.fetch_add(1, Ordering::Relaxed);
                            made.fetch_add(loaded(&result), Ordering::Relaxed);
                        }
                        // One of the two is gone.
                        Err(error) => assert!(!error.is_retryable(), "{error}"),
                    }
                }
                1..=3 => {
                    let text = "MATCH (a:A {id: $a}), (b:A {id: $b}) CREATE (a)-[:R {n: 0}]->(b)";
                    let result = connection.query_with(text, both).unwrap();
                    made.fetch_add(result.summary().changes.rels_created as i64, Ordering::Relaxed);
                }
                4 => {
                    // Several things in one transaction, which may meet others.
                    let transaction = connection.begin().unwrap();
                    let work = || {
                        let text = "MATCH (a:A {id: $a}) CREATE (a)-[:R {n: 1}]->(a)";
                        let created = transaction.query_with(text, params! { a: a as i64 })?;
                        let text = "MATCH (:A {id: $b})-[r:R]->() DELETE r";
                        let deleted = transaction.query_with(text, params! { b: b as i64 })?;
                        let (created, deleted) = (created.summary().changes, deleted.summary().changes);
                        quiredb::Result::Ok((created.rels_created as i64, deleted.rels_deleted as i64))
                    };
                    match work().and_then(|changes| transaction.commit().map(|()| changes)) {
                        Ok((created, deleted)) => {
                            made.fetch_add(created, Ordering::Relaxed);
                            gone.fetch_add(deleted, Ordering::Relaxed);
                        }
                        Err(error) => assert_eq!(error.kind(), ErrorKind::Conflict, "{error}"),
                    }
                }
                _ => {
                    let result = connection
                        .query_with("MATCH (a:A {id: $a}) DETACH DELETE a", params! { a: a as i64 });
                    gone.fetch_add(result.unwrap().summary().changes.rels_deleted as i64, Ordering::Relaxed);
                    connection.query_with("MERGE (:A {id: $b})", params! { b: b as i64 }).unwrap();
                }
            }
        }
    });
    assert!(loads.into_inner() > 0, "no load came through");
    let left = made.into_inner() - gone.into_inner();
    check_graph(&database, left);
    database.checkpoint().unwrap();
    check_graph(&database, left);
}

#[test]
fn multiplicities_hold() {
    let database = open(
        "CREATE NODE TABLE A(id INT64 PRIMARY KEY); CREATE REL TABLE R(FROM A TO A, MANY_ONE); \
         CREATE REL TABLE Pair(FROM A TO A, ONE_ONE)",
    );
    let connection = database.connect().unwrap();
    let nodes = rounds(400, 40);
    connection
        .query_with("UNWIND range(1, $n) AS id CREATE (:A {id: id})", params! { n: nodes as i64 })
        .unwrap();
    let made = [AtomicU64::new(0), AtomicU64::new(0)];
    threads(&database, 6, |thread, connection, random| {
        for from in 1..=nodes {
            let to = 1 + random.below(nodes);
            for (table, made) in ["R", "Pair"].into_iter().zip(&made) {
                let text = format!("MATCH (a:A {{id: $a}}), (b:A {{id: $b}}) CREATE (a)-[:{table}]->(b)");
                match connection.query_with(&text, params! { a: from as i64, b: to as i64 }) {
                    Ok(_) => drop(made.fetch_add(1, Ordering::Relaxed)),
                    Err(error) => assert_eq!(error.kind(), ErrorKind::Constraint, "{error}"),
                }
            }
            if from % 16 == thread {
                database.checkpoint().unwrap();
            }
        }
    });
    let made = made.map(AtomicU64::into_inner);
    assert_eq!(made[0], nodes, "each node has one");
    assert_eq!(count(&connection, "MATCH (a:A)-[:R]->() RETURN count(DISTINCT a.id)"), nodes as i64);
    for (direction, node) in [("(a:A)-[:Pair]->()", "a"), ("()-[:Pair]->(a:A)", "a")] {
        let text = format!("MATCH {direction} RETURN count(DISTINCT {node}.id)");
        assert_eq!(count(&connection, &text), made[1] as i64);
    }
    sound(&database);
}

#[test]
fn what_is_merged_stands_there_once() {
    let database = open(
        "CREATE NODE TABLE A(id INT64 PRIMARY KEY, n INT64); CREATE NODE TABLE B(id SERIAL PRIMARY KEY, name STRING); \
         CREATE REL TABLE R(FROM A TO A)",
    );
    let rounds = rounds(500, 25);
    threads(&database, 5, |thread, connection, _| {
        for round in 0..rounds as i64 {
            let text = "MERGE (a:A {id: $id}) ON CREATE SET a.n = 1 ON MATCH SET a.n = a.n + 1";
            connection.query_with(text, params! { id: round }).unwrap();
            connection.query_with("MERGE (:B {name: $name})", params! { name: format!("n{round}") }).unwrap();
            let text = "MATCH (a:A {id: $id}), (b:A {id: 0}) MERGE (a)-[:R]->(b)";
            connection.query_with(text, params! { id: round }).unwrap();
            if round % 10 == 3 && thread == 0 {
                database.checkpoint().unwrap();
            }
        }
    });
    let connection = database.connect().unwrap();
    let check = |text: &str, expected: u64| assert_eq!(count(&connection, text), expected as i64, "{text}");
    check("MATCH (a:A) RETURN count(*)", rounds);
    check("MATCH (a:A) RETURN sum(a.n)", rounds * 5);
    check("MATCH (b:B) RETURN count(*)", rounds);
    check("MATCH ()-[r:R]->() RETURN count(r)", rounds);
}

/// Money moves between accounts; whoever looks finds all of it, however often, however long.
#[test]
fn a_snapshot_under_load_is_one_version() {
    const ACCOUNTS: i64 = 20;
    let database = open("CREATE NODE TABLE Account(id INT64 PRIMARY KEY, n INT64)");
    let connection = database.connect().unwrap();
    let make = "UNWIND range(1, $n) AS id CREATE (:Account {id: id, n: 100})";
    connection.query_with(make, params! { n: ACCOUNTS }).unwrap();
    let (rounds, done, looks) = (rounds(2000, 80), AtomicBool::new(false), AtomicU64::new(0));
    let running = AtomicU64::new(4);
    threads(&database, 7, |thread, connection, random| {
        for round in 0.. {
            if thread < 4 {
                if round == rounds {
                    if running.fetch_sub(1, Ordering::Relaxed) == 1 {
                        done.store(true, Ordering::Relaxed);
                    }
                    return;
                }
                let from = 1 + random.below(ACCOUNTS as u64) as i64;
                let to = 1 + (from + random.below(ACCOUNTS as u64 - 1) as i64) % ACCOUNTS;
                let text =
                    "MATCH (a:Account {id: $from}), (b:Account {id: $to}) SET a.n = a.n - 1, b.n = b.n + 1";
                connection.query_with(text, params! { from: from, to: to }).unwrap();
                continue;
            }
            if done.load(Ordering::Relaxed) {
                return;
            }
            if thread == 6 {
                database.checkpoint().unwrap();
                std::thread::sleep(Duration::from_millis(3));
                continue;
            }
            let sum = |text: &str| count(connection, text);
            let transaction = if thread == 5 { connection.begin() } else { connection.begin_read_only() };
            for _ in 0..1 + random.below(4) {
                assert_eq!(sum("MATCH (a:Account) RETURN sum(a.n)"), 100 * ACCOUNTS);
                assert_eq!(sum("UNWIND range(1, 20) AS id MATCH (a:Account {id: id}) RETURN sum(a.n)"), 2000);
                looks.fetch_add(1, Ordering::Relaxed);
            }
            transaction.unwrap().commit().unwrap();
        }
    });
    assert!(looks.into_inner() > 0);
    assert_eq!(count(&connection, "MATCH (a:Account) RETURN sum(a.n)"), 100 * ACCOUNTS);
    let stats = database.storage_stats().unwrap();
    assert_eq!(stats.oldest_version, stats.version, "old versions are let go");
}

/// What snapshot isolation lets through: both look at both, and each changes the other one.
#[test]
fn write_skew_can_happen_and_can_be_kept_out() {
    let database = open("CREATE NODE TABLE Doctor(id INT64 PRIMARY KEY, on_call BOOLEAN, n INT64)");
    let (one, other) = (database.connect().unwrap(), database.connect().unwrap());
    let on_call = "MATCH (d:Doctor) WHERE d.on_call RETURN count(*)";
    let leave = "MATCH (d:Doctor {id: $id}) SET d.on_call = false";
    for guarded in [false, true] {
        one.query("MATCH (d:Doctor) DELETE d").unwrap();
        one.query("UNWIND [0, 1, 2] AS id CREATE (:Doctor {id: id, on_call: id > 0, n: 0})").unwrap();
        let (first, second) = (one.begin().unwrap(), other.begin().unwrap());
        let mut refused = 0;
        for (connection, transaction, id) in [(&one, first, 1), (&other, second, 2)] {
            assert_eq!(count(connection, on_call), 2);
            let mut outcome = transaction.query_with(leave, params! { id: id }).map(|_| ());
            if guarded && outcome.is_ok() {
                // A row that all of them change makes them meet.
                outcome = transaction.query("MATCH (d:Doctor {id: 0}) SET d.n = d.n + 1").map(|_| ());
            }
            refused += u64::from(outcome.and_then(|()| transaction.commit()).is_err());
        }
        assert_eq!((count(&one, on_call), refused), if guarded { (1, 1) } else { (0, 0) });
    }
}
