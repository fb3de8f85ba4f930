//! Streams that nobody reads from for a while: their threads sleep, hold no pages that others need, and end when they are
//! told to. Threads of the whole process are looked at, so this is a program of its own with one test.

#![cfg(target_os = "linux")]

use std::fmt::Write as _;
use std::time::{Duration, Instant};

use quiredb::{Connection, Database, ErrorKind, QueryStream};

const ROWS: u64 = 60_000;
const COLUMNS: u64 = 10;

/// A table several times as large as the smallest pool.
fn open(folder: &std::path::Path) -> Database {
    let mut text = String::new();
    for row in 0..ROWS {
        write!(text, "{row}").expect("texts grow");
        for column in 0..COLUMNS {
            let noise = (row * COLUMNS + column).wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 2;
            write!(text, ",{noise}").expect("texts grow");
        }
        text.push('\n');
    }
    let path = folder.join("rows.csv");
    std::fs::write(&path, text).expect("the file can be written");
    let builder = || Database::builder().threads(1);
    let database = builder().open(folder.join("db")).expect("a database");
    let connection = database.connect().expect("a connection");
    let columns: String = (0..COLUMNS).map(|column| format!("c{column} INT64, ")).collect();
    run(&connection, &format!("CREATE NODE TABLE N(id INT64, {columns}PRIMARY KEY (id))"));
    run(&connection, &format!("COPY N FROM '{}'", path.display()));
    drop(connection);
    database.close().expect("it closes");
    builder().buffer_pool_size(4 << 20).open(folder.join("db")).expect("it opens")
}

fn run(connection: &Connection, text: &str) -> Vec<Vec<quiredb::Value>> {
    connection.query(text).unwrap_or_else(|error| panic!("{text}: {error:#}")).to_values()
}

fn waits(stream: &QueryStream) -> u64 {
    stream.counters().iter().find(|(name, _)| *name == "waits_for_reader").map_or(0, |(_, count)| *count)
}

/// The threads of queries whose rows are read while they run, and how often threads of this process have gone to sleep.
fn threads() -> (usize, u64) {
    let (mut streams, mut sleeps) = (0, 0);
    for task in std::fs::read_dir("/proc/self/task").expect("threads").flatten() {
        let Ok(status) = std::fs::read_to_string(task.path().join("status")) else { continue };
        let field = |name: &str| status.lines().find_map(|line| line.strip_prefix(name)).map(str::trim);
        streams += usize::from(field("Name:") == Some("quire stream"));
        let switches = field("voluntary_ctxt_switches:").and_then(|count| count.parse::<u64>().ok());
        sleeps += switches.unwrap_or(0);
    }
    (streams, sleeps)
}

fn soon(what: &str, is_so: impl Fn() -> bool) {
    let started = Instant::now();
    while !is_so() {
        assert!(started.elapsed() < Duration::from_secs(20), "{what} does not come");
        std::thread::sleep(Duration::from_millis(2));
    }
}

#[test]
fn streams_that_are_held_are_in_nobodys_way() {
    let folder = tempfile::tempdir().expect("a folder");
    let database = open(folder.path());
    let connection = database.connect().expect("a connection");
    let columns = (0..COLUMNS).map(|column| format!("n.c{column}")).collect::<Vec<_>>().join(", ");
    let text = format!("MATCH (n:N) WHERE n.c0 > 0 RETURN n.id, {columns}");
    let mut streams: Vec<QueryStream> = Vec::new();
    for _ in 0..12 {
        let mut stream = connection.stream(&text).expect("it runs");
        stream.next_chunk().expect("it runs").expect("rows");
        soon("a full queue", || waits(&stream) > 0);
        streams.push(stream);
    }
    assert_eq!(threads().0, 12);

    // Others find room in the pool, which all streams together would have taken.
    let sums = "MATCH (n:N) RETURN count(*), min(n.c1), max(n.c7 % 1000), sum(n.c9 % 7)";
    let found = run(&connection, sums);
    for id in (0..ROWS).step_by(997) {
        let text = format!("MATCH (n:N {{id: {id}}}) RETURN n.c3, n.c5, n.c8");
        assert_eq!(run(&connection, &text).len(), 1);
    }
    let pool = database.buffer_pool_stats();
    assert!(pool.private_bytes <= pool.limit_bytes / 2, "{pool:?}");
    assert_eq!(run(&connection, sums), found);

    // Nobody looks whether there is something to do.
    std::thread::sleep(Duration::from_millis(50));
    let before = threads().1;
    std::thread::sleep(Duration::from_millis(500));
    let sleeps = threads().1 - before;
    assert!(sleeps < 100, "threads woke {sleeps} times in half a second");

    // What was left alone goes on where it was.
    let mut stream = streams.pop().expect("a stream");
    while stream.next_row().expect("it goes on").is_some() {}
    let zeros = run(&connection, "MATCH (n:N) WHERE n.c0 = 0 RETURN n.id").len() as u64;
    assert_eq!(stream.rows_taken(), ROWS - zeros);

    // An interrupt ends them although nobody reads, and is told to whoever does.
    connection.interrupt_handle().interrupt();
    soon("the end of all threads", || threads().0 == 0);
    for mut stream in streams {
        let error = loop {
            match stream.next_chunk() {
                Ok(Some(_)) => {}
                Ok(None) => panic!("it was interrupted"),
                Err(error) => break error,
            }
        };
        assert_eq!(error.kind(), ErrorKind::Interrupted, "{error}");
    }
    connection.set_query_timeout(Some(Duration::from_millis(300)));
    let mut stream = connection.stream(&text).expect("it runs");
    stream.next_chunk().expect("it runs").expect("rows");
    soon("the end of the time limit", || threads().0 == 0);
    drop(stream);
    assert_eq!(database.storage_stats().expect("figures").memory.operators.used, 0);
}
