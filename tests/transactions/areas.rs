//! Statements that change very much take whole tables, beside transactions that change single rows.

use std::time::Duration;

use quiredb::{Database, ErrorKind};

use super::{check, define, number};

/// Tables whose transactions announce ten things and then want whole tables.
fn database() -> Database {
    let limit = Duration::from_secs(20);
    let database = Database::builder().intent_limit(10).lock_timeout(limit).in_memory().unwrap();
    define(&database.connect().unwrap());
    database
}

#[test]
fn a_large_statement_waits_for_writers_and_runs_again() {
    let database = database();
    let (one, other) = (database.connect().unwrap(), database.connect().unwrap());
    one.query("CREATE (:A {id: 0, n: 0})").unwrap();
    let small = one.begin().unwrap();
    small.query("MATCH (a:A {id: 0}) SET a.n = 7").unwrap();
    std::thread::scope(|scope| {
        let large = scope.spawn(|| {
            other.query("UNWIND range(1, 500) AS id CREATE (:A {id: id, n: 1})").unwrap();
            other.query("MATCH (a:A) SET a.n = a.n + 1").unwrap();
            other.query("MATCH (a:A), (b:A {id: 0}) CREATE (a)-[:R]->(b)").unwrap();
        });
        while database.storage_stats().unwrap().conflicts == 0 && !large.is_finished() {
            std::thread::sleep(Duration::from_millis(5));
            if database.storage_stats().unwrap().open_transactions == 1 {
                break;
            }
        }
        check(&one, 1);
        std::thread::sleep(Duration::from_millis(30));
        assert!(!large.is_finished(), "the table is not free");
        small.commit().unwrap();
    });
    check(&one, 501);
    assert_eq!(number(&one, "MATCH (a:A) RETURN sum(a.n)"), 8 + 500 * 2);
    assert_eq!(number(&one, "MATCH (:A)-[r:R]->(:A {id: 0}) RETURN count(r)"), 501);
}

#[test]
fn a_large_transaction_of_ones_own_is_told_at_once() {
    let database = database();
    let (one, other) = (database.connect().unwrap(), database.connect().unwrap());
    let small = one.begin().unwrap();
    small.query("CREATE (:A {id: 1000})").unwrap();
    let large = other.begin().unwrap();
    let error = large.query("UNWIND range(1, 500) AS id CREATE (:A {id: id})").unwrap_err();
    assert_eq!((error.kind(), error.is_retryable()), (ErrorKind::Conflict, true), "{error}");
    assert_eq!(large.commit().unwrap_err().kind(), ErrorKind::Conflict);
    small.commit().unwrap();
    let large = other.begin().unwrap();
    large.query("UNWIND range(1, 500) AS id CREATE (:A {id: id})").unwrap();
    let error = one.begin().unwrap().query("CREATE (:A {id: 1001})").unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Conflict, "{error}");
    large.commit().unwrap();
    check(&one, 501);
}

#[test]
fn large_statements_do_not_lock_each_other_up() {
    let database = database();
    let connection = database.connect().unwrap();
    connection.query("CREATE NODE TABLE B(id INT64 PRIMARY KEY, n INT64)").unwrap();
    connection.query("UNWIND range(1, 50) AS id CREATE (:A {id: id, n: 0}), (:B {id: id, n: 0})").unwrap();
    std::thread::scope(|scope| {
        for thread in 0..4 {
            let database = &database;
            scope.spawn(move || {
                let connection = database.connect().unwrap();
                // In either order: both tables are wanted alone.
                let (first, second) = if thread % 2 == 0 { ("A", "B") } else { ("B", "A") };
                let text = format!(
                    "MATCH (x:{first}) SET x.n = x.n + 1 WITH count(x) AS c MATCH (y:{second}) SET y.n = y.n + 1"
                );
                (0..10).for_each(|_| drop(connection.query(&text).unwrap()));
            });
        }
    });
    for table in ["A", "B"] {
        assert_eq!(number(&connection, &format!("MATCH (x:{table}) RETURN min(x.n) + max(x.n)")), 80);
    }
}
