//! Connections beside each other: what they see, what they set, and how they are stopped.

use std::time::{Duration, Instant};

use quiredb::{Connection, Database, Dialect, ErrorKind};

use super::{COUNT_PEOPLE, People, number};

/// A query that would run for a very long time.
const ENDLESS: &str = "UNWIND range(1, 1000) AS a UNWIND range(1, 1000) AS b UNWIND range(1, 1000) AS c UNWIND range(1, 1000) AS d \
                       WITH a, b, c, d WHERE a * b * c = -d RETURN count(*)";

#[test]
fn connections_see_what_others_commit() {
    let people = People::in_memory();
    let (first, second) = (people.connect(), people.connect());
    assert_eq!(number(&first, COUNT_PEOPLE), 3);
    let path = people.folder.path().join("more.csv");
    std::fs::write(&path, "4,Barbara,1939\n").unwrap();
    second.query(&format!("COPY Person FROM '{}'", path.display())).unwrap();
    assert_eq!(number(&first, COUNT_PEOPLE), 4);
}

#[test]
fn a_transaction_reads_one_version() {
    let people = People::in_memory();
    let (reader, writer) = (people.connect(), people.connect());
    let transaction = reader.begin().unwrap();
    let path = people.folder.path().join("more.csv");
    std::fs::write(&path, "4,Barbara,1939\n").unwrap();
    writer.query(&format!("COPY Person FROM '{}'", path.display())).unwrap();
    assert_eq!(number(&reader, COUNT_PEOPLE), 3);
    transaction.query("CREATE NODE TABLE A(id INT64 PRIMARY KEY)").unwrap();
    assert_eq!(number(&reader, "MATCH (a:A) RETURN count(*)"), 0);
    assert!(writer.query("MATCH (a:A) RETURN a").is_err());
    transaction.commit().unwrap();
    assert_eq!(number(&writer, "MATCH (a:A) RETURN count(*)"), 0);
    assert_eq!(number(&reader, COUNT_PEOPLE), 4);
    for (text, fine) in
        [("COMMIT", false), ("BEGIN TRANSACTION", true), ("BEGIN TRANSACTION", false), ("ROLLBACK", true)]
    {
        assert_eq!(reader.query(text).is_ok(), fine, "{text}");
    }
}

#[test]
fn many_threads_read_at_once() {
    let people = People::in_memory();
    std::thread::scope(|scope| {
        for _ in 0..4 {
            let connection = people.connect();
            scope.spawn(move || {
                for _ in 0..25 {
                    let query =
                        "MATCH (a:Person)-[:Knows]->(:Person)-[:Knows]->(c:Person) RETURN a.id * 10 + c.id";
                    assert_eq!(number(&connection, query), 13);
                }
            });
        }
    });
}

fn interrupted(connection: &Connection) {
    let started = Instant::now();
    let error = connection.query(ENDLESS).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Interrupted, "{error}");
    assert!(started.elapsed() < Duration::from_secs(20), "{:?}", started.elapsed());
    // The connection goes on working.
    assert_eq!(number(connection, "RETURN 1"), 1);
}

#[test]
fn a_statement_can_be_interrupted() {
    let connection = Database::in_memory().unwrap().connect().unwrap();
    let handle = connection.interrupt_handle();
    // Between statements it does nothing.
    handle.interrupt();
    assert_eq!(number(&connection, "RETURN 1"), 1);
    std::thread::scope(|scope| {
        let interrupter = scope.spawn(move || {
            std::thread::sleep(Duration::from_millis(100));
            handle.interrupt();
        });
        interrupted(&connection);
        interrupter.join().unwrap();
    });
}

#[test]
fn a_statement_can_run_out_of_time() {
    let database = Database::builder().query_timeout(Duration::from_millis(50)).in_memory().unwrap();
    interrupted(&database.connect().unwrap());
    let connection = Database::in_memory().unwrap().connect().unwrap();
    connection.set_query_timeout(Some(Duration::from_millis(50)));
    interrupted(&connection);
    let connection = Database::in_memory().unwrap().connect().unwrap();
    connection.query("CALL timeout = 50").unwrap();
    interrupted(&connection);
}

#[test]
fn a_connection_chooses_its_dialect() {
    let people = People::in_memory();
    let query = "MATCH (:Person {id: 1})-[:Knows]-(:Person)-[:Knows]-(b:Person {id: 1}) RETURN count(*)";
    let (one, other) = (people.connect(), people.connect());
    other.set_dialect(Dialect::Kuzu);
    // Back by the relationship one came on: only Kuzu's patterns may use it twice.
    assert_eq!((number(&one, query), number(&other, query)), (0, 2));
    one.query("CALL dialect = 'kuzu'").unwrap();
    assert_eq!(number(&one, query), 2);
    assert!(one.query("CALL dialect = 'sql'").is_err());
}

#[test]
fn answers_do_not_depend_on_vectors_threads_or_the_pool() {
    let people = People::on_disk();
    let folder = people.folder;
    people.database.close().unwrap();
    let query = "MATCH (a:Person)-[k:Knows]->(b:Person) RETURN a.name, b.name, k.since ORDER BY k.since";
    let mut answers = Vec::new();
    for (vector_size, threads, pool) in [(2048, 2, 256 << 20), (3, 1, 4 << 20), (1, 2, 8 << 20)] {
        let builder = Database::builder().vector_size(vector_size).threads(threads).buffer_pool_size(pool);
        let database = builder.open(folder.path().join("db")).unwrap();
        answers.push(database.connect().unwrap().query(query).unwrap().to_values());
        database.close().unwrap();
    }
    assert_eq!(answers[0].len(), 3);
    assert!(answers.iter().all(|answer| *answer == answers[0]), "{answers:?}");
}

#[test]
fn a_closed_database_says_so() {
    let people = People::in_memory();
    let connection = people.connect();
    let statement = connection.prepare(COUNT_PEOPLE).unwrap();
    people.database.close().unwrap();
    let errors = [connection.query("RETURN 1").unwrap_err(), statement.execute().unwrap_err()];
    for error in errors {
        assert_eq!(error.kind(), ErrorKind::Unavailable);
        assert!(error.message().contains("closed"), "{error}");
    }
}
