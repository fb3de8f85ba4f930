//! A database larger than its pool: the same rows as with a large pool, within the limit, with small vectors and one
//! thread too, and from several readers at once; and opening a large database, which reads next to nothing.
//!
//! The ordinary run has 15 MB under 12 MB. More than 300 MB under 64 MB, and about 1 GB to open:
//!
//! ```text
//! QUIRE_LONG=1 cargo test --release --test pool_size -- --nocapture --test-threads=1
//! ```

mod support;

use std::fmt::Write as _;
use std::path::Path;
use std::time::Instant;

use quiredb::{Connection, Database};

use support::random::Random;
use support::{is_long, loaded, rows};

/// Answers of all operators that hold pages while they work: scans, gathers, key lookups, lists in both directions,
/// joins, groups, sorts.
const QUERIES: [&str; 12] = [
    "MATCH (p:P) RETURN count(*), sum(p.id), min(p.text), max(p.text), sum(p.a % 1000), sum(p.b)",
    "MATCH (p:P) WHERE p.a % 997 = 3 RETURN p.id, p.text ORDER BY p.id LIMIT 100",
    "MATCH (p:P) WHERE p.text ENDS WITH '77' RETURN count(*), sum(p.id)",
    "MATCH (p:P) RETURN p.kind, count(*), sum(p.a % 100) ORDER BY p.kind",
    "MATCH (a:P)-[k:K]->(b:P) RETURN count(*), sum(k.w), sum(a.id % 1000), sum(b.id % 1000)",
    "MATCH (b:P)<-[k:K]-(a:P) WHERE b.kind = 3 RETURN count(*), sum(k.w), sum(a.id % 1000)",
    "MATCH (a:P)-[:K]->(b:P)-[:K]->(c:P) RETURN count(*)",
    "MATCH (a:P)-[:K]->(b:P) WHERE a.kind = 1 AND b.kind = 2 RETURN count(*), sum(b.a % 1000)",
    "UNWIND range(0, 20000, 17) AS i MATCH (p:P {id: i * 3}) RETURN count(*), sum(p.a % 1000), min(p.text)",
    "MATCH (a:P {id: 12})-[:K]->(b)-[:K]->(c) RETURN c.id, c.text ORDER BY c.id, c.text LIMIT 50",
    "MATCH (a:P)-[k:K]->(b:P) RETURN a.kind, b.kind, count(*), sum(k.w) ORDER BY a.kind, b.kind",
    "MATCH (p:P) RETURN p.id, p.text, p.a, p.b ORDER BY p.text, p.id LIMIT 40",
];

/// Makes a database of `nodes` nodes with four edges each, by several loads.
fn build(path: &Path, nodes: u64, loads: u64) {
    let database = Database::builder().threads(2).buffer_pool_size(256 << 20).open(path).unwrap();
    let connection = database.connect().unwrap();
    let definitions = "CREATE NODE TABLE P(id INT64 PRIMARY KEY, kind INT8, a INT64, b DOUBLE, text STRING); \
         CREATE REL TABLE K(FROM P TO P, w INT64)";
    connection.query(definitions).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("t.csv");
    let mut random = Random::new(nodes);
    let mut copy = |table: &str, rows: u64, line: &mut dyn FnMut(&mut String, u64, &mut Random)| {
        let mut text = String::new();
        (0..rows).for_each(|row| line(&mut text, row, &mut random));
        std::fs::write(&file, text).unwrap();
        let result = connection.query(&format!("COPY {table} FROM '{}'", file.display())).unwrap();
        assert_eq!(loaded(&result), rows as i64);
    };
    let share = nodes / loads;
    for load in 0..loads {
        copy("P", share, &mut |text, row, random| {
            let id = load * share + row;
            let (a, b) = (random.next() >> 1, random.next() % 1_000_000);
            let _ = write!(text, "{id},{},{a},{b}.5,text {} of {a} and {b}", id % 7, random.next());
            (0..4).for_each(|_| {
                let _ = write!(text, " {}", random.next());
            });
            text.push('\n');
        });
        copy("K", share * 4, &mut |text, row, random| {
            let known = (load + 1) * share;
            let (from, to) = (load * share + row / 4, random.below(known));
            let _ = writeln!(text, "{from},{to},{}", random.below(1000));
        });
    }
    drop(connection);
    database.close().unwrap();
}

/// Every `step`th of the queries answers as expected.
fn check(connection: &Connection, expected: &[Vec<String>], step: usize, how: &str) {
    for (query, expected) in QUERIES.iter().zip(expected).step_by(step) {
        assert_eq!(&rows(connection, query), expected, "{how}: {query}");
    }
}

/// A line of /proc/self/status in bytes.
fn memory(name: &str) -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
    line.and_then(|line| line.trim().trim_end_matches(" kB").parse::<u64>().ok()).unwrap_or(0) << 10
}

fn megabytes(bytes: u64) -> f64 {
    bytes as f64 / f64::from(1 << 20)
}

#[test]
fn a_small_pool_gives_the_same_rows_within_its_limit() {
    let (nodes, loads, limit) = if is_long() { (1_600_000, 4, 64 << 20) } else { (70_000, 2, 12 << 20) };
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("db");
    build(&path, nodes, loads);
    let file_bytes = std::fs::metadata(path.join("data.quire")).unwrap().len();
    println!("database: {:.0} MB, pool: {:.0} MB", megabytes(file_bytes), megabytes(limit));
    assert!(file_bytes > 2 * limit || !is_long(), "{file_bytes}");
    let expected = {
        let database = Database::builder().threads(2).buffer_pool_size(2 << 30).open(&path).unwrap();
        let started = Instant::now();
        let connection = database.connect().unwrap();
        let expected: Vec<Vec<String>> = QUERIES.iter().map(|query| rows(&connection, query)).collect();
        println!(
            "large pool: {:.2} s, resident {:.0} MB",
            started.elapsed().as_secs_f64(),
            megabytes(memory("VmRSS"))
        );
        expected
    };
    assert!(expected.iter().all(|rows| !rows.is_empty()));
    let resident_before = memory("VmRSS");
    // Each reader needs room for the pages that it is in.
    let readers_max = if is_long() { 4 } else { 2 };
    for (threads, vector_size, readers) in [(1, 2048, 1), (2, 2048, 1), (1, 3, 1), (1, 2048, readers_max)] {
        // Vectors of three rows are slow without optimization.
        let step = if vector_size == 3 && !is_long() { 2 } else { 1 };
        let builder = Database::builder().threads(threads).vector_size(vector_size).buffer_pool_size(limit);
        let database = builder.open(&path).unwrap();
        let started = Instant::now();
        let how = format!("{threads} threads, vectors of {vector_size}, {readers} readers");
        std::thread::scope(|scope| {
            for _ in 0..readers {
                scope.spawn(|| check(&database.connect().unwrap(), &expected, step, &how));
            }
        });
        let stats = database.buffer_pool_stats();
        println!(
            "{how}: {:.2} s, pool peak {:.1} MB, {} evictions, hit rate {:.3}, resident {:.0} MB",
            started.elapsed().as_secs_f64(),
            megabytes(stats.peak_bytes),
            stats.evictions,
            stats.hit_rate(),
            megabytes(memory("VmRSS"))
        );
        assert!(stats.peak_bytes <= limit, "{how}: {stats:?}");
        assert!(step > 1 || stats.evictions > 0, "{how}: the pool was never full: {stats:?}");
    }
    // What queries hold beside the pool is not counted there yet; it stays far below the size of the database.
    let grown = memory("VmRSS").saturating_sub(resident_before);
    assert!(grown <= limit + (128 << 20), "{:.0} MB more are resident", megabytes(grown));
}

#[test]
fn opening_reads_next_to_nothing() {
    let (nodes, loads) = if is_long() { (4_800_000, 8) } else { (20_000, 4) };
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("db");
    build(&path, nodes, loads);
    let file_bytes = std::fs::metadata(path.join("data.quire")).unwrap().len();
    let started = Instant::now();
    let database = Database::open(&path).unwrap();
    let open = started.elapsed();
    let read = database.storage_stats().unwrap().pages_read_at_open;
    let connection = database.connect().unwrap();
    let first = rows(&connection, "MATCH (p:P {id: 77}) RETURN p.id");
    let stats = database.storage_stats().unwrap();
    println!(
        "{:.0} MB: opened in {:.2} ms with {read} pages read, first key lookup after {:.2} ms and {} pages",
        megabytes(file_bytes),
        open.as_secs_f64() * 1e3,
        started.elapsed().as_secs_f64() * 1e3,
        stats.pages_read
    );
    assert_eq!(first, ["77"]);
    assert!(read <= 20, "{read} pages");
}

/// Rows of some hundred kB under a pool that a batch of them does not fit into: texts that all differ, few texts again
/// and again, runs of texts, lists of texts and of numbers.
#[test]
fn wide_values_are_read_through_a_small_pool() {
    let (rows_of_all, bytes, limit) =
        if is_long() { (1000, 500_000, 64 << 20) } else { (240, 100_000, 12 << 20) };
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("db");
    let open = |limit: u64| {
        Database::builder().threads(1).buffer_pool_size(limit).memory_limit(64 << 20).open(&path).unwrap()
    };
    let database = open(limit);
    let connection = database.connect().unwrap();
    let definition = "CREATE NODE TABLE N(id INT64 PRIMARY KEY, s STRING, few STRING, runs STRING, \
         list STRING[], numbers INT64[])";
    connection.query(definition).unwrap();
    let create = |ids: String| {
        let text = |of: &str| format!("toString({of}) + ' ' + repeat('xy z', {})", bytes / 4);
        let part = |part: u32| format!("'{part} ' + repeat('q', {})", bytes / 4);
        let (s, few, runs, last) = (text("id"), text("id % 9"), text("id / 40"), bytes / 8);
        let list: Vec<String> = (0..4).map(part).collect();
        let query = format!(
            "UNWIND {ids} AS id CREATE (:N {{id: id, s: {s}, few: {few}, runs: {runs}, list: [{}], \
             numbers: range(id, id + {last})}})",
            list.join(", ")
        );
        connection.query(&query).unwrap();
    };
    (0..rows_of_all).step_by(20).for_each(|first| create(format!("range({first}, {})", first + 19)));
    connection.query("CHECKPOINT").unwrap();
    drop(connection);
    database.close().unwrap();
    let database = open(limit);
    let connection = database.connect().unwrap();
    let long = bytes / 4 * 4;
    let check = |query: &str, expected: String| assert_eq!(rows(&connection, query), [expected], "{query}");
    let last = rows_of_all - 1;
    for column in ["s", "few", "runs"] {
        let query = format!("MATCH (n:N) RETURN count(*), max(size(n.{column}))");
        let digits = if column == "s" { last.to_string().len() } else { 1 };
        check(&query, format!("{rows_of_all}|{}", digits + 1 + long));
        check(
            &format!("MATCH (n:N) WHERE n.{column} CONTAINS 'zxy' RETURN count(*)"),
            rows_of_all.to_string(),
        );
        let query = format!("MATCH (n:N) WITH n.id AS id ORDER BY n.{column}, id LIMIT 1 RETURN id");
        check(&query, "0".to_owned());
    }
    check(
        "MATCH (n:N) RETURN sum(size(n.list)), max(size(n.list[3]))",
        format!("{}|{}", rows_of_all * 4, long / 4 + 2),
    );
    let numbers = bytes as u64 / 8 + 1;
    check(
        "MATCH (n:N) RETURN sum(size(n.numbers)), max(n.numbers[0])",
        format!("{}|{last}", rows_of_all * numbers),
    );
    // Values that are looked up by row.
    let query =
        "UNWIND range(0, 199) AS i MATCH (n:N {id: i}) RETURN count(*), sum(size(n.list)), max(size(n.runs))";
    check(query, format!("200|800|{}", 2 + long));
    let stats = database.buffer_pool_stats();
    assert!(stats.peak_bytes <= limit, "{stats:?}");
}
