//! Rows that are read while their query runs: few at a time, of any number, in their order, from one version.

use std::time::{Duration, Instant};

use quiredb::{Connection, Database, ErrorKind, QueryStream, params};

use super::{COUNT_PEOPLE, People, number};

const LIMIT: u64 = 16 << 20;

/// A database with little memory and so many nodes that their pairs are 10⁹.
fn many(count: u64) -> Database {
    let database = Database::builder().memory_limit(LIMIT).threads(2).in_memory().unwrap();
    let connection = database.connect().unwrap();
    connection.query("CREATE NODE TABLE N(id INT64, PRIMARY KEY (id))").unwrap();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("n.csv");
    std::fs::write(&path, (0..count).map(|id| format!("{id}\n")).collect::<String>()).unwrap();
    connection.query(&format!("COPY N FROM '{}'", path.display())).unwrap();
    database
}

fn rows(mut stream: QueryStream) -> Vec<i64> {
    let mut rows = Vec::new();
    while let Some(row) = stream.next_row().unwrap() {
        rows.push(row.get(0).unwrap());
    }
    assert_eq!(stream.rows_taken(), rows.len() as u64);
    rows
}

/// Waits for threads that may need a moment to see that they are to stop.
fn used(database: &Database) -> u64 {
    database.storage_stats().unwrap().memory.operators.used
}

#[test]
fn ten_rows_of_a_billion_need_little_time_and_memory() {
    let database = many(31_623);
    let connection = database.connect().unwrap();
    let started = Instant::now();
    let mut stream = connection.stream("MATCH (a:N), (b:N) RETURN a.id, b.id").unwrap();
    for _ in 0..10 {
        let row = stream.next_row().unwrap().expect("there are a billion");
        assert!((0..31_623).contains(&row.get::<i64>(1).unwrap()));
    }
    drop(stream);
    assert!(started.elapsed() < Duration::from_secs(5), "{:?}", started.elapsed());
    let memory = database.storage_stats().unwrap().memory;
    assert!(memory.operators.peak < LIMIT / 2, "{memory:?}");
    assert_eq!(used(&database), 0);
    // The connection goes on.
    assert_eq!(number(&connection, "MATCH (n:N) RETURN count(*)"), 31_623);
}

#[test]
fn a_result_beyond_the_memory_limit_can_be_read() {
    let database = many(1500);
    let connection = database.connect().unwrap();
    let text = "MATCH (a:N), (b:N) RETURN a.id * 10000 + b.id AS id, 'a text that takes its place' AS text";
    assert_eq!(connection.query(text).unwrap_err().kind(), ErrorKind::OutOfMemory);
    let mut stream = connection.stream(text).unwrap();
    let (mut count, mut sum) = (0u64, 0i64);
    while let Some(row) = stream.next_row().unwrap() {
        count += 1;
        sum += row.get::<i64>("id").unwrap();
    }
    let each: i64 = (0..1500).sum::<i64>() * 1500;
    assert_eq!((count, sum), (1500 * 1500, each * 10_000 + each));
    let memory = database.storage_stats().unwrap().memory;
    assert!(memory.total.peak <= LIMIT, "{memory:?}");
    assert_eq!(used(&database), 0);
}

#[test]
fn rows_come_in_the_order_that_is_asked_for() {
    let database = many(50_000);
    let connection = database.connect().unwrap();
    let text = "MATCH (n:N) RETURN n.id AS id ORDER BY n.id % 7, n.id";
    let whole: Vec<i64> = connection.query(text).unwrap().rows().map(|row| row.get(0).unwrap()).collect();
    assert_eq!(whole[..2], [0, 7]);
    assert_eq!(rows(connection.stream(text).unwrap()), whole);
    let limited = format!("{text} SKIP 3 LIMIT 5");
    assert_eq!(rows(connection.stream(&limited).unwrap()), whole[3..8]);
}

#[test]
fn any_statement_gives_what_it_gives_as_a_whole() {
    let people = People::on_disk();
    let connection = people.connect();
    for text in [
        "RETURN 1 AS one; UNWIND [3, 1, 2] AS n RETURN n ORDER BY n",
        "MATCH (p:Person) RETURN p ORDER BY p.id",
        "MATCH p = (a:Person {id: 1})-[k:Knows]->(b) RETURN p, k, b.name ORDER BY b.id",
        "MATCH (p:Person {id: 2}) RETURN p.name",
        "MATCH (p:Person {id: 99}) RETURN p.name",
        "MATCH (p:Person) RETURN collect(p.born)",
        "EXPLAIN MATCH (p:Person) RETURN p.name",
        "CREATE NODE TABLE IF NOT EXISTS Other(id INT64 PRIMARY KEY)",
        "UNWIND [] AS n RETURN n",
        "",
    ] {
        let whole = connection.query(text).unwrap();
        let stream = connection.stream(text).unwrap();
        assert_eq!((stream.columns(), stream.types()), (whole.columns(), whole.types()), "{text}");
        assert_eq!(stream.collect_all().unwrap().to_values(), whole.to_values(), "{text}");
    }
    let text = "MATCH (p:Person {id: $id}) RETURN p.name AS name";
    let mut stream = connection.stream_with(text, params! { id: 2 }).unwrap();
    assert_eq!(stream.next_row().unwrap().unwrap().get::<String>("name").unwrap(), "Grace");
    assert!(stream.next_row().unwrap().is_none());
    let statement = connection.prepare("UNWIND range(1, $n) AS n RETURN n").unwrap();
    for n in [5, 7] {
        assert_eq!(rows(statement.stream_with(params! { n: n }).unwrap()), (1..=n).collect::<Vec<i64>>());
    }
}

#[test]
fn what_is_wrong_is_told_in_its_place() {
    let connection = Database::in_memory().unwrap().connect().unwrap();
    assert_eq!(connection.stream("RETURN nobody").err().unwrap().kind(), ErrorKind::Binder);
    let mut stream = connection.stream("UNWIND range(1, 100000) AS n RETURN 1 / (n - 90000) AS x").unwrap();
    let mut count = 0;
    let error = loop {
        match stream.next_row() {
            Ok(row) => count += u64::from(row.expect("the error comes first").get::<i64>(0).is_ok()),
            Err(error) => break error,
        }
    };
    assert!((1..90_000).contains(&count) && error.to_string().contains("zero"), "{count}: {error}");
    assert!(stream.next_row().unwrap().is_none(), "it is told once");
}

#[test]
fn rows_are_those_of_the_version_that_the_stream_began_with() {
    let database = many(100_000);
    let (connection, writer) = (database.connect().unwrap(), database.connect().unwrap());
    let mut stream = connection.stream("MATCH (n:N) RETURN n.id").unwrap();
    stream.next_row().unwrap().expect("rows");
    writer.query("MATCH (n:N) WHERE n.id > 10 DELETE n").unwrap();
    database.checkpoint().unwrap();
    let left = std::iter::from_fn(|| stream.next_row().unwrap().map(|_| ())).count();
    assert_eq!(left, 99_999);
    assert_eq!(number(&connection, "MATCH (n:N) RETURN count(*)"), 11);
}

const ENDLESS: &str =
    "UNWIND range(1, 10000) AS a UNWIND range(1, 10000) AS b UNWIND range(1, 10000) AS c RETURN a * b + c";

fn end_of(mut stream: QueryStream) -> ErrorKind {
    loop {
        match stream.next_chunk() {
            Ok(chunk) => assert!(chunk.is_some(), "it has no end"),
            Err(error) => return error.kind(),
        }
    }
}

#[test]
fn streams_are_interrupted_and_have_time_limits() {
    let connection = Database::in_memory().unwrap().connect().unwrap();
    let stream = connection.stream(ENDLESS).unwrap();
    let handle = connection.interrupt_handle();
    // A statement beside it is another one.
    assert_eq!(number(&connection, "RETURN 1"), 1);
    handle.interrupt();
    assert_eq!(end_of(stream), ErrorKind::Interrupted);
    connection.set_query_timeout(Some(Duration::from_millis(100)));
    assert_eq!(end_of(connection.stream(ENDLESS).unwrap()), ErrorKind::Interrupted);
    // A reader who takes nothing holds nothing up for longer than that.
    let mut stream = connection.stream(ENDLESS).unwrap();
    stream.next_row().unwrap().expect("the first");
    std::thread::sleep(Duration::from_millis(300));
    assert_eq!(end_of(stream), ErrorKind::Interrupted);
}

fn counter(stream: &QueryStream, name: &str) -> u64 {
    stream.counters().into_iter().find(|(known, _)| *known == name).expect("a counter").1
}

#[test]
fn a_query_waits_for_its_reader() {
    let database = Database::builder().memory_limit(LIMIT).in_memory().unwrap();
    let connection = database.connect().unwrap();
    let mut stream = connection.stream(ENDLESS).unwrap();
    stream.next_row().unwrap().expect("the first");
    let started = Instant::now();
    while counter(&stream, "waits_for_reader") == 0 {
        assert!(started.elapsed() < Duration::from_secs(20), "{:?}", stream.counters());
        std::thread::sleep(Duration::from_millis(5));
    }
    let ahead = counter(&stream, "batches_streamed");
    std::thread::sleep(Duration::from_millis(100));
    assert_eq!(counter(&stream, "batches_streamed"), ahead, "nothing more until something is taken");
    assert!((1..200).contains(&ahead) && used(&database) <= 4 << 20, "{ahead}, {}", used(&database));
    for _ in 0..400_000 {
        stream.next_row().unwrap().expect("one more");
    }
    assert!(counter(&stream, "batches_streamed") > ahead);
}

#[test]
fn several_streams_of_a_connection_are_read_side_by_side() {
    let connection = Database::in_memory().unwrap().connect().unwrap();
    let mut streams: Vec<QueryStream> = (1..=3)
        .map(|n| {
            connection.stream_with("UNWIND range(1, 20000) AS a RETURN a * $n", params! { n: n }).unwrap()
        })
        .collect();
    for at in 1..=20_000i64 {
        for (stream, n) in streams.iter_mut().zip(1..) {
            assert_eq!(stream.next_row().unwrap().unwrap().get::<i64>(0).unwrap(), at * n);
        }
    }
    assert!(streams.iter_mut().all(|stream| stream.next_row().unwrap().is_none()));
}

#[test]
fn statements_that_write_have_ended_before_their_rows_come() {
    let people = People::in_memory();
    let (connection, other) = (people.connect(), people.connect());
    let stream = connection.stream("CREATE (p:Person {id: 7, name: 'Barbara'}) RETURN p.id").unwrap();
    assert_eq!(number(&other, COUNT_PEOPLE), 4);
    assert!(stream.summary().wrote && stream.summary().changes.nodes_created == 1);
    assert_eq!(rows(stream), [7]);
    let transaction = connection.begin().unwrap();
    transaction.query("CREATE (:Person {id: 8})").unwrap();
    let mut stream = transaction.stream("MATCH (p:Person) RETURN count(*)").unwrap();
    transaction.rollback().unwrap();
    assert_eq!(stream.next_row().unwrap().unwrap().get::<i64>(0).unwrap(), 5);
    drop(stream);
    assert_eq!(number(&connection, COUNT_PEOPLE), 4);
}

#[test]
fn streams_outlive_their_connection() {
    let people = People::in_memory();
    let stream = {
        let connection: Connection = people.connect();
        connection.stream("MATCH (p:Person) RETURN p.id ORDER BY p.id").unwrap()
    };
    assert_eq!(rows(stream), [1, 2, 3]);
}
