//! Transactions through the public API: what others see when, conflicts, waiting, and what is left after the process.

#[path = "transactions/areas.rs"]
mod areas;
#[path = "transactions/kill.rs"]
mod kill;

use std::sync::Barrier;
use std::time::Duration;

use quiredb::{Connection, Database, DurabilityMode, ErrorKind, WalConfig, params};

fn database() -> Database {
    let database = Database::in_memory().unwrap();
    define(&database.connect().unwrap());
    database
}

fn define(connection: &Connection) {
    connection.query("CREATE NODE TABLE A(id INT64 PRIMARY KEY, n INT64)").unwrap();
    connection.query("CREATE REL TABLE R(FROM A TO A)").unwrap();
}

#[track_caller]
fn number(connection: &Connection, query: &str) -> i64 {
    connection.query(query).unwrap().first().unwrap().get(0).unwrap()
}

#[track_caller]
fn check(connection: &Connection, expected: i64) {
    assert_eq!(number(connection, "MATCH (a:A) RETURN count(*)"), expected);
}

#[test]
fn changes_are_seen_by_others_after_the_commit() {
    let database = database();
    let (one, other) = (database.connect().unwrap(), database.connect().unwrap());
    let transaction = one.begin().unwrap();
    transaction.query("CREATE (:A {id: 1, n: 5})").unwrap();
    transaction.query("MATCH (a:A {id: 1}) CREATE (a)-[:R]->(:A {id: 2})").unwrap();
    check(&one, 2);
    check(&other, 0);
    transaction.commit().unwrap();
    check(&other, 2);
    assert_eq!(number(&other, "MATCH (:A {id: 1})-[:R]->(b) RETURN b.id"), 2);
    drop(one.begin().unwrap().query("MATCH (a:A) DETACH DELETE a").unwrap());
    check(&other, 2);
    one.query("BEGIN TRANSACTION; CREATE (:A {id: 3}); ROLLBACK").unwrap();
    check(&other, 2);
    one.query("BEGIN TRANSACTION; CREATE (:A {id: 3}); COMMIT").unwrap();
    check(&other, 3);
}

#[test]
fn a_snapshot_stays_as_it_is() {
    let database = database();
    let (reader, writer) = (database.connect().unwrap(), database.connect().unwrap());
    for read_only in [false, true] {
        let transaction = if read_only { reader.begin_read_only().unwrap() } else { reader.begin().unwrap() };
        let before = number(&reader, "MATCH (a:A) RETURN count(*)");
        writer.query("CREATE (:A {id: $id})").unwrap_err();
        writer.query_with("CREATE (:A {id: $id})", params! { id: before + 10 }).unwrap();
        check(&reader, before);
        database.checkpoint().unwrap();
        check(&reader, before);
        transaction.commit().unwrap();
        check(&reader, before + 1);
    }
}

#[test]
fn a_failed_statement_undoes_itself_alone() {
    let database = database();
    let connection = database.connect().unwrap();
    let transaction = connection.begin().unwrap();
    transaction.query("CREATE (:A {id: 1})").unwrap();
    let error = transaction.query("UNWIND [2, 3, 1] AS id CREATE (:A {id: id})").unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Constraint, "{error}");
    check(&connection, 1);
    transaction.query("CREATE (:A {id: 2})").unwrap();
    transaction.commit().unwrap();
    check(&connection, 2);
}

#[test]
fn the_second_writer_is_told_to_run_again() {
    let database = database();
    let (one, other) = (database.connect().unwrap(), database.connect().unwrap());
    one.query("CREATE (:A {id: 1, n: 0})").unwrap();
    let (first, second) = (one.begin().unwrap(), other.begin().unwrap());
    first.query("MATCH (a:A {id: 1}) SET a.n = a.n + 1").unwrap();
    let error = second.query("MATCH (a:A {id: 1}) SET a.n = a.n + 1").unwrap_err();
    assert_eq!((error.kind(), error.is_retryable()), (ErrorKind::Conflict, true), "{error}");
    first.commit().unwrap();
    assert_eq!(second.query("CREATE (:A {id: 2})").unwrap_err().kind(), ErrorKind::Conflict);
    assert_eq!(second.commit().unwrap_err().kind(), ErrorKind::Conflict);
    let again = other.begin().unwrap();
    again.query("MATCH (a:A {id: 1}) SET a.n = a.n + 1").unwrap();
    again.commit().unwrap();
    assert_eq!(number(&one, "MATCH (a:A {id: 1}) RETURN a.n"), 2);
    assert!(database.storage_stats().unwrap().conflicts >= 1);
}

#[test]
fn statements_of_their_own_wait_and_lose_nothing() {
    let database = database();
    let connection = database.connect().unwrap();
    connection.query("CREATE (:A {id: 1, n: 0}), (:A {id: 2, n: 0})").unwrap();
    let transaction = connection.begin().unwrap();
    transaction.query("MATCH (a:A {id: 1}) SET a.n = a.n + 1").unwrap();
    let start = Barrier::new(11);
    std::thread::scope(|scope| {
        for thread in 0..10i64 {
            let (database, start) = (&database, &start);
            scope.spawn(move || {
                let connection = database.connect().unwrap();
                let statement = connection.prepare("MATCH (a:A {id: $id}) SET a.n = a.n + 1").unwrap();
                start.wait();
                for round in 0..100 {
                    statement.execute_with(params! { id: 1 + (thread + round) % 2 }).unwrap();
                    let id = 100 + thread * 100 + round;
                    connection.query_with("MERGE (:A {id: $id})", params! { id: id / 2 }).unwrap();
                }
            });
        }
        start.wait();
        std::thread::sleep(Duration::from_millis(20));
        transaction.commit().unwrap();
    });
    assert_eq!(number(&connection, "MATCH (a:A) WHERE a.id < 3 RETURN sum(a.n)"), 1001);
    check(&connection, 502);
    assert_eq!(database.storage_stats().unwrap().open_transactions, 0);
}

#[test]
fn waiting_has_an_end() {
    let database = Database::builder().lock_timeout(Duration::from_millis(50)).in_memory().unwrap();
    let (one, other) = (database.connect().unwrap(), database.connect().unwrap());
    define(&one);
    one.query("CREATE (:A {id: 1})").unwrap();
    let transaction = one.begin().unwrap();
    transaction.query("MATCH (a:A) SET a.n = 1").unwrap();
    assert_eq!(other.query("MATCH (a:A) SET a.n = 2").unwrap_err().kind(), ErrorKind::Conflict);
    let error = other.query("DROP TABLE R; DROP TABLE A").unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unavailable);
    assert!(error.message().contains("open writing transactions"), "{error}");
    assert!(error.hint().is_some_and(|hint| hint.contains("COMMIT or ROLLBACK")), "{error}");
    other.query("CREATE (:A {id: 2})").unwrap();
    transaction.commit().unwrap();
    other.query("DROP TABLE A").unwrap();
}

#[test]
fn readers_do_not_write() {
    let database = database();
    let connection = database.connect().unwrap();
    let transaction = connection.begin_read_only().unwrap();
    let error = transaction.query("CREATE (:A {id: 1})").unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Transaction, "{error}");
    transaction.commit().unwrap();
    check(&connection, 0);
}

#[test]
fn closing_rolls_open_transactions_back() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("db");
    let database = Database::open(&path).unwrap();
    let connection = database.connect().unwrap();
    define(&connection);
    connection.query("CREATE (:A {id: 1})").unwrap();
    let transaction = connection.begin().unwrap();
    transaction.query("CREATE (:A {id: 2})").unwrap();
    database.close().unwrap();
    assert!(transaction.commit().is_err());
    drop(connection);
    let database = Database::open(&path).unwrap();
    check(&database.connect().unwrap(), 1);
}

#[test]
fn commits_are_there_without_a_close() {
    for mode in [DurabilityMode::Strict, DurabilityMode::Buffered] {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("db");
        let wal = WalConfig::builder().segment_bytes(1 << 20).build().unwrap();
        let database = Database::builder().durability(mode).wal_config(wal).open(&path).unwrap();
        let connection = database.connect().unwrap();
        define(&connection);
        connection.query("CREATE NODE TABLE T(id INT64 PRIMARY KEY, text STRING)").unwrap();
        // More than a page, more than a record's first step, and no checkpoint.
        for id in 0..30 {
            let text = "x".repeat(10 << 10);
            connection
                .query_with("CREATE (:T {id: $id, text: $text})", params! { id: id, text: text })
                .unwrap();
        }
        let copy = folder.path().join("copy");
        copy_folder(&path, &copy);
        let seen = std::sync::Arc::new(std::sync::atomic::AtomicU64::new(0));
        let heard = std::sync::Arc::clone(&seen);
        let again = Database::builder()
            .recovery_progress(move |done, all| {
                assert!(done <= all);
                heard.store(done, std::sync::atomic::Ordering::Relaxed);
            })
            .open(&copy)
            .unwrap();
        let found = number(&again.connect().unwrap(), "MATCH (t:T) RETURN sum(size(t.text))");
        assert_eq!(found, 30 * (10 << 10), "{mode:?}");
        assert!(seen.load(std::sync::atomic::Ordering::Relaxed) > 300_000);
        // Three definitions stand before the rows.
        assert_eq!(again.storage_stats().unwrap().wal_records_replayed, 33);
    }
}

fn copy_folder(from: &std::path::Path, to: &std::path::Path) {
    std::fs::create_dir(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap().flatten() {
        let target = to.join(entry.file_name());
        match entry.file_type().unwrap().is_dir() {
            true => copy_folder(&entry.path(), &target),
            false => drop(std::fs::copy(entry.path(), target).unwrap()),
        }
    }
}

#[test]
fn a_page_file_that_is_gone_is_not_replaced_beside_its_log() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("db");
    let database = Database::open(&path).unwrap();
    let connection = database.connect().unwrap();
    define(&connection);
    connection.query("CREATE (:A {id: 1})").unwrap();
    // As a crash would leave it; closing takes the log away.
    let copy = folder.path().join("copy");
    copy_folder(&path, &copy);
    std::fs::remove_file(copy.join("data.quire")).unwrap();
    let error = Database::open(&copy).err().unwrap();
    assert!(error.message().contains("the page file is gone"), "{error}");
}

/// Whoever comes second is told what it met by the names of tables and the keys of rows.
#[test]
fn conflicts_name_what_was_met() {
    let database = Database::builder().lock_timeout(Duration::from_millis(20)).in_memory().unwrap();
    let (one, other) = (database.connect().unwrap(), database.connect().unwrap());
    for definition in [
        "CREATE NODE TABLE Account(id INT64 PRIMARY KEY, mail STRING UNIQUE, n INT64)",
        "CREATE REL TABLE Owns(FROM Account TO Account, share INT64, ONE_ONE)",
        "CREATE (:Account {id: 17, mail: 'a'})-[:Owns {share: 1}]->(:Account {id: 18, mail: 'b'})",
    ] {
        one.query(definition).unwrap();
    }
    let check = |first: &str, second: &str, expected: &str| {
        let transaction = one.begin().unwrap();
        transaction.query(first).unwrap();
        let error = other.query(second).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Conflict, "{error}");
        let whole = format!("{expected} was changed by another transaction at the same time");
        assert!(error.message().starts_with(&whole), "{error}");
        transaction.rollback().unwrap();
    };
    let account = "the Account with the primary key 17";
    let set = "MATCH (a:Account {id: 17}) SET a.n = 2";
    check(set, set, account);
    check(set, "MATCH (a:Account {id: 17}) DETACH DELETE a", account);
    let owns = format!("the Owns from {account} to the Account with the primary key 18");
    let set = "MATCH (:Account)-[o:Owns]->(:Account) SET o.share = 2";
    check(set, set, &owns);
    let create = "CREATE (:Account {id: 20})";
    check(create, create, "a key or UNIQUE value of Account");
    let merge = "MERGE (:Account {n: 7, id: 40})";
    check(merge, merge, "what MERGE looks for in Account");
    let own = "MATCH (a:Account {id: 18}), (b:Account {id: 17}) CREATE (a)-[:Owns]->(b)";
    check(own, own, "the only Owns from the Account with the primary key 18");
}
