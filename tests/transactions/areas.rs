//! Loads, definitions and statements that change very much take whole tables, beside transactions that change single
//! rows.

use std::path::Path;
use std::time::Duration;

use quiredb::{Connection, Database, ErrorKind, Result};

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

/// Where loads of more than five rows become pages.
fn with_loads(folder: &Path) -> Database {
    std::fs::write(folder.join("few"), "100\n101\n").unwrap();
    let many: String = (200..300).map(|id| format!("{id}\n")).collect();
    std::fs::write(folder.join("many"), many).unwrap();
    std::fs::write(folder.join("pairs"), "1,2\n2,1\n").unwrap();
    std::fs::write(folder.join("loops"), "1,1\n".repeat(50)).unwrap();
    let limit = Duration::from_millis(100);
    let database = Database::builder().small_load_rows(5).lock_timeout(limit).in_memory().unwrap();
    let connection = database.connect().unwrap();
    define(&connection);
    connection.query("CREATE NODE TABLE B(id INT64 PRIMARY KEY)").unwrap();
    connection.query("UNWIND [1, 2, 3] AS id CREATE (:A {id: id, n: 0})").unwrap();
    database
}

fn load(connection: &Connection, table: &str, folder: &Path, file: &str) -> Result<()> {
    connection.query(&format!("COPY {table} FROM '{}'", folder.join(file).display())).map(|_| ())
}

#[track_caller]
fn check_refused<T>(outcome: Result<T>, kind: ErrorKind, message: &str) {
    let error = outcome.err().expect("it should be refused");
    assert_eq!(error.kind(), kind, "{error}");
    assert!(error.message().contains(message), "{error}");
}

#[test]
fn loads_and_definitions_go_on_beside_writers_of_other_tables() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let database = with_loads(folder);
    let (one, other) = (database.connect().unwrap(), database.connect().unwrap());
    let writing = one.begin().unwrap();
    writing.query("CREATE (:A {id: 10, n: 0})").unwrap();
    // Another table, schemas, and relationships that end at the table, as long as nothing is deleted there.
    load(&other, "B(id)", folder, "few").unwrap();
    load(&other, "B(id)", folder, "many").unwrap();
    other.query("CREATE NODE TABLE C(id INT64 PRIMARY KEY)").unwrap();
    other.query("CREATE REL TABLE Q(FROM A TO A)").unwrap();
    load(&other, "R", folder, "pairs").unwrap();
    load(&other, "R", folder, "loops").unwrap();
    other.query("DROP TABLE C").unwrap();
    // The table itself.
    check_refused(load(&other, "A(id)", folder, "few"), ErrorKind::Unavailable, "open writing transactions");
    check_refused(load(&other, "A(id)", folder, "many"), ErrorKind::Unavailable, "open writing transactions");
    check_refused(
        writing.query("MATCH (a:A {id: 3}) DELETE a"),
        ErrorKind::Conflict,
        "ends of relationships",
    );
    drop(writing);
    let writing = one.begin().unwrap();
    writing.query("MATCH (a:A {id: 3}) DELETE a").unwrap();
    check_refused(load(&other, "R", folder, "pairs"), ErrorKind::Unavailable, "open writing transactions");
    check_refused(
        other.query("DROP TABLE R; DROP TABLE Q; DROP TABLE A"),
        ErrorKind::Unavailable,
        "open writing",
    );
    writing.commit().unwrap();
    check(&other, 2);
    assert_eq!(number(&other, "MATCH (b:B) RETURN count(*)"), 102);
    load(&other, "A(id)", folder, "few").unwrap();
    check(&other, 4);
    assert!(database.check().unwrap().is_sound());
}

#[test]
fn loads_in_transactions_meet_what_was_committed() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let database = with_loads(folder);
    let (one, other) = (database.connect().unwrap(), database.connect().unwrap());
    for file in ["few", "many"] {
        // Somebody has made a row since; it may have one of the keys.
        let loading = one.begin().unwrap();
        other.query("CREATE (:A {id: 100})").unwrap();
        check_refused(load(&one, "A(id)", folder, file), ErrorKind::Conflict, "since the transaction began");
        check_refused(loading.commit(), ErrorKind::Conflict, "rolled back");
        other.query("MATCH (a:A {id: 100}) DELETE a").unwrap();
        // Somebody is at it: told at once.
        let (loading, writing) = (one.begin().unwrap(), other.begin().unwrap());
        writing.query("CREATE (:A {id: 100})").unwrap();
        check_refused(load(&one, "A(id)", folder, file), ErrorKind::Conflict, "are open");
        drop(loading);
        writing.rollback().unwrap();
        // It is there: whoever comes is told, or waits and then gives up.
        let loading = one.begin().unwrap();
        let old = other.begin().unwrap();
        load(&one, "A(id)", folder, file).unwrap();
        check_refused(old.query("CREATE (:A {id: 100})"), ErrorKind::Conflict, "bulk load");
        drop(old);
        check_refused(other.query("CREATE (:A {id: 100})"), ErrorKind::Unavailable, "bulk load");
        check_refused(
            other.query("CREATE (:A {id: 7})-[:R]->(:A {id: 8})"),
            ErrorKind::Unavailable,
            "bulk load",
        );
        let old = other.begin().unwrap();
        check(&other, 3);
        loading.commit().unwrap();
        check(&other, 3);
        check_refused(old.query("MATCH (a:A {id: 1}) SET a.n = 1"), ErrorKind::Conflict, "since");
        drop(old);
        check_refused(
            other.query(
                "CREATE (:A {id: $id})".replace("$id", if file == "few" { "100" } else { "200" }).as_str(),
            ),
            ErrorKind::Constraint,
            "primary key",
        );
        other.query("MATCH (a:A) WHERE a.id > 3 DELETE a").unwrap();
        check(&other, 3);
    }
    // Relationships come to nodes that have gone since.
    for file in ["pairs", "loops"] {
        let loading = one.begin().unwrap();
        other.query("MATCH (a:A {id: 3}) DETACH DELETE a").unwrap();
        check_refused(load(&one, "R", folder, file), ErrorKind::Conflict, "ends of relationships");
        drop(loading);
        other.query("CREATE (:A {id: 3})").unwrap();
        let (loading, deleting) = (one.begin().unwrap(), other.begin().unwrap());
        load(&one, "R", folder, file).unwrap();
        check_refused(
            deleting.query("MATCH (a:A {id: 1}) DETACH DELETE a"),
            ErrorKind::Conflict,
            "bulk load",
        );
        drop(deleting);
        other.query("MATCH (a:A {id: 1}) SET a.n = a.n + 1").unwrap();
        loading.commit().unwrap();
    }
    assert_eq!(number(&one, "MATCH (:A)-[r:R]->(:A) RETURN count(r)"), 52);
    assert!(database.check().unwrap().is_sound());
}

#[test]
fn definitions_in_transactions_meet_each_other() {
    let database = database();
    let (one, other) = (database.connect().unwrap(), database.connect().unwrap());
    let (defining, late) = (one.begin().unwrap(), other.begin().unwrap());
    defining.query("CREATE NODE TABLE B(id INT64 PRIMARY KEY)").unwrap();
    defining.query("CREATE (:B {id: 1})").unwrap();
    check_refused(
        late.query("CREATE NODE TABLE C(id INT64 PRIMARY KEY)"),
        ErrorKind::Conflict,
        "the catalog",
    );
    drop(late);
    // Rows of tables that stay are nobody's business.
    other.query("CREATE (:A {id: 1})").unwrap();
    let late = other.begin().unwrap();
    defining.commit().unwrap();
    check_refused(late.query("DROP TABLE R"), ErrorKind::Conflict, "the catalog");
    drop(late);
    // A writer of a table that somebody drops.
    let (dropping, writing) = (one.begin().unwrap(), other.begin().unwrap());
    dropping.query("DROP TABLE B").unwrap();
    check_refused(writing.query("CREATE (:B {id: 2})"), ErrorKind::Conflict, "definition");
    drop(writing);
    let writing = other.begin().unwrap();
    dropping.commit().unwrap();
    check_refused(writing.query("CREATE (:B {id: 2})"), ErrorKind::Conflict, "since");
    drop(writing);
    assert_eq!(other.query("CREATE (:B {id: 2})").unwrap_err().kind(), ErrorKind::Binder);
    check(&one, 1);
}
