//! Time limits end statements of every kind within 50 ms, and leave nothing behind: no memory, no files, no changes.

mod support;

use std::fmt::Write as _;
use std::time::{Duration, Instant};

use quiredb::{Connection, Database, ErrorKind};

const NODES: u64 = 20_000;
const LIMIT: Duration = Duration::from_millis(150);
/// How late a statement may end, once it runs undisturbed. Without optimization everything between two looks takes long.
const LATE: Duration = Duration::from_millis(if cfg!(debug_assertions) { 250 } else { 50 });
/// Other programs may take the processor away: the best of some tries counts.
const TRIES: usize = 8;

/// All of them would run for many seconds.
const ENDLESS: &[(&str, &str)] = &[
    (
        "unwinding and filtering",
        "UNWIND range(1, 10000) AS a UNWIND range(1, 10000) AS b WITH a, b WHERE a * b = -1 RETURN count(*)",
    ),
    (
        "lists",
        "UNWIND range(1, 10000) AS a UNWIND range(1, 10000) AS b RETURN max(size([x IN range(1, 50) WHERE x % 7 = a % 7 | x]))",
    ),
    (
        "long lists",
        "UNWIND range(1, 1000) AS a RETURN count(CASE WHEN none(x IN range(1, 1000000) WHERE x * a = -1) THEN 1 END)",
    ),
    ("wide texts", "UNWIND range(1, 100000) AS a RETURN max(size(repeat('ab', 1000000 + a)))"),
    (
        "parts of wide texts",
        "UNWIND range(1, 100000) AS a RETURN max(size(split(toUpper(repeat('ab,', 100000 + a)), 'B')))",
    ),
    (
        "sorting in files",
        "UNWIND range(1, 10000) AS a UNWIND range(1, 10000) AS b WITH a, b ORDER BY a * b % 1009, b RETURN max(a)",
    ),
    (
        "the top of many",
        "UNWIND range(1, 10000) AS a UNWIND range(1, 10000) AS b WITH a, b ORDER BY a * b % 1009, b LIMIT 100 RETURN max(a)",
    ),
    (
        "grouping in files",
        "UNWIND range(1, 10000) AS a UNWIND range(1, 10000) AS b WITH a * 10000 + b AS k, count(*) AS n RETURN max(n)",
    ),
    (
        "distinct rows",
        "UNWIND range(1, 10000) AS a UNWIND range(1, 10000) AS b WITH DISTINCT a, b % 5000 AS c RETURN count(*)",
    ),
    (
        "distinct values",
        "UNWIND range(1, 10000) AS a UNWIND range(1, 10000) AS b RETURN count(DISTINCT a * 10000 + b)",
    ),
    ("joining", "MATCH (a:P), (b:P) WHERE a.few = b.few RETURN sum(a.v * b.v)"),
    ("products", "MATCH (a:P), (b:P) WHERE a.v + b.v = -1 RETURN count(*), sum(a.id * b.id)"),
    (
        "expanding",
        "MATCH (a:P)-[:K]->(b:P)-[:K]->(c:P)-[:K]->(d:P)-[:K]->(e:P) RETURN sum(a.v * b.v * c.v * d.v * e.v)",
    ),
    (
        "intersecting",
        "MATCH (a:P)-[:K]->(b:P)-[:K]->(c:P)-[:K]->(d:P), (a)-[:K]->(d), (b)-[:K]->(d) RETURN sum(a.v * b.v * c.v * d.v)",
    ),
    ("trails", "MATCH (a:P {id: 1})-[r:K*1..9]->(b:P) RETURN sum(b.v * size(r))"),
    ("shortest paths", "MATCH p = (a:P)-[:K* SHORTEST 1..20]->(b:P) WHERE a.v > b.v RETURN sum(length(p))"),
    (
        "creating",
        "UNWIND range(1, 2000) AS a UNWIND range(1, 1000) AS b CREATE (:W {id: a * 1000 + b, v: a})",
    ),
    (
        "merging",
        "UNWIND range(1, 2000) AS a UNWIND range(1, 1000) AS b MERGE (w:W {id: a * 1000 + b}) SET w.v = a",
    ),
    ("setting", "MATCH (a:P)-[:K]->(b:P)-[:K]->(c:P) SET c.v = a.v + b.v"),
];

fn run(connection: &Connection, text: &str) {
    connection.query(text).unwrap_or_else(|error| panic!("{text}: {error}"));
}

/// A graph on disk, with too little memory for what is sorted and grouped.
fn open(folder: &std::path::Path) -> Database {
    open_with(folder, 16 << 20)
}

fn open_with(folder: &std::path::Path, memory: u64) -> Database {
    let builder = Database::builder().threads(2).memory_limit(memory).buffer_pool_size(32 << 20);
    let database = builder.open(folder.join("db")).expect("the database opens");
    let connection = database.connect().expect("a connection");
    run(&connection, "CREATE NODE TABLE P(id INT64, v INT64, few INT64, PRIMARY KEY (id))");
    run(&connection, "CREATE NODE TABLE W(id INT64, v INT64, PRIMARY KEY (id))");
    run(&connection, "CREATE REL TABLE K(FROM P TO P, w INT64)");
    let (mut nodes, mut edges) = (String::new(), String::new());
    for node in 0..NODES {
        writeln!(nodes, "{node},{},{}", node * 7919 % 1000, node % 3).expect("texts grow");
        for edge in 0..12u64 {
            let noise = (node * 12 + edge).wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 40;
            writeln!(edges, "{node},{},{}", noise % NODES, noise % 5 + 1).expect("texts grow");
        }
    }
    for (table, text) in [("P", nodes), ("K", edges)] {
        let path = folder.join(format!("{table}.csv"));
        std::fs::write(&path, text).expect("the file can be written");
        run(&connection, &format!("COPY {table} FROM '{}'", path.display()));
    }
    drop(connection);
    database
}

/// What has phases in which much lies in one piece: `{n}` stands for how much that is.
const PHASES: &[(&str, &str)] = &[
    ("percentiles", "UNWIND range(1, {n}) AS x RETURN percentileDisc(x * 7919 % 1000003, 0.5)"),
    (
        "percentiles of groups",
        "UNWIND range(1, {n}) AS x WITH x % 5 AS k, percentileCont(x * 7919 % 1000003, 0.3) AS p RETURN max(p)",
    ),
    (
        "sorting by texts",
        "UNWIND range(1, {n}) AS x WITH 'a text before ' + toString(x * 7919 % 1000003) AS t ORDER BY t RETURN max(t)",
    ),
    (
        "the top of texts",
        "UNWIND range(1, {n}) AS x WITH 'a text before ' + toString(x * 7919 % 1000003) AS t ORDER BY t LIMIT 100000 RETURN max(t)",
    ),
    ("collecting texts", "UNWIND range(1, {n}) AS x RETURN size(collect('a text before ' + toString(x)))"),
    (
        "collecting groups",
        "UNWIND range(1, {n}) AS x WITH x % 3 AS k, collect(x) AS l WITH collect(l) AS all RETURN size(all)",
    ),
    ("different values", "UNWIND range(1, {n}) AS x UNWIND [x, x] AS y RETURN count(DISTINCT y * 17)"),
    (
        "different rows",
        "UNWIND range(1, {n}) AS x WITH DISTINCT x AS x, toString(x) AS t, x % 7 AS y RETURN count(*)",
    ),
    ("sorted lists", "WITH [x IN range(1, {n}) | x * 7919 % 1000003] AS l RETURN size(list_sort(l))"),
    (
        "different elements",
        "WITH [x IN range(1, {n}) | toString(x % 100003)] AS l RETURN size(list_distinct(l))",
    ),
    ("lists as texts", "WITH [x IN range(1, {n}) | x * 7919 % 1000003] AS l RETURN size(toString(l))"),
    ("lists of other types", "WITH range(1, {n}) AS l RETURN size(CAST(l AS STRING[]))"),
    (
        "parts of lists",
        "WITH range(1, {n}) AS l UNWIND range(1, 20) AS x RETURN sum(size(l[x..] + reverse(l)))",
    ),
    (
        "elements of lists",
        "WITH [x IN range(1, {n}) | toString(x)] AS l UNWIND range(1, 10) AS x RETURN count(CASE WHEN toString(-x) IN l THEN 1 END)",
    ),
    (
        "places in lists",
        "WITH [x IN range(1, {n}) | toString(x)] AS l UNWIND range(1, 10) AS x RETURN sum(list_position(l, toString(-x)))",
    ),
    ("sums of lists", "WITH range(1, {n}) AS l UNWIND range(1, 50) AS x RETURN sum(list_sum(l) + x)"),
    ("cheapest paths", "MATCH p = (a:P {id: 1})-[k:K* ALL WSHORTEST(w)]->(b:P) RETURN sum(size(nodes(p)))"),
    (
        "ordered parts of sub-queries",
        "MATCH (a:P) CALL { WITH a MATCH (a)-[:K]->(b:P) RETURN b.v AS v ORDER BY v DESC LIMIT 2 } RETURN sum(v)",
    ),
    (
        "lists of sub-queries",
        "MATCH (a:P) WHERE a.id < 40 RETURN sum(size(COLLECT { MATCH (b:P) RETURN b.v + a.id }))",
    ),
];

/// How long after its time limit a statement ended.
fn late(connection: &Connection, what: &str, text: &str) -> Duration {
    late_for(LIMIT, connection, what, text)
}

fn late_for(limit: Duration, connection: &Connection, what: &str, text: &str) -> Duration {
    connection.set_query_timeout(Some(limit));
    let started = Instant::now();
    let outcome = connection.query(text);
    let late = started.elapsed().saturating_sub(limit);
    connection.set_query_timeout(None);
    let error = outcome.err().unwrap_or_else(|| panic!("{what} ended by itself: {text}"));
    assert_eq!(error.kind(), ErrorKind::Interrupted, "{what}: {error}");
    late
}

#[test]
fn time_limits_are_kept_by_every_operator() {
    let folder = tempfile::tempdir().expect("a folder");
    let database = open(folder.path());
    let connection = database.connect().expect("a connection");
    let sums = "MATCH (p:P) RETURN count(*), sum(p.v), sum(p.few)";
    let before = connection.query(sums).expect("it runs").to_values();
    let mut found = Vec::new();
    for (what, text) in ENDLESS {
        let mut best = Duration::MAX;
        for _ in 0..TRIES {
            best = best.min(late(&connection, what, text));
            if best <= LATE {
                break;
            }
        }
        found.push((what, best));
        let memory = database.storage_stats().expect("figures").memory;
        assert_eq!(memory.operators.used, 0, "{what} keeps memory");
        let left = std::fs::read_dir(folder.path().join("db/tmp")).expect("the folder is there").count();
        assert_eq!(left, 0, "{what} leaves files behind");
    }
    assert!(found.iter().all(|(_, best)| *best <= LATE), "{found:?}");
    assert!(database.storage_stats().expect("figures").bytes_spilled > 0);
    assert_eq!(connection.query(sums).expect("it runs").to_values(), before);
    assert_eq!(
        connection.query("MATCH (w:W) RETURN count(*)").expect("it runs").to_values()[0][0].as_i64(),
        Some(0)
    );
}

/// Limits at all parts of a statement's time, so that each of its phases is met.
#[test]
fn time_limits_are_kept_in_every_phase() {
    let folder = tempfile::tempdir().expect("a folder");
    let database = open_with(folder.path(), 4 << 30);
    let connection = database.connect().expect("a connection");
    let n = if cfg!(debug_assertions) { "100000" } else { "4000000" };
    let mut failed = Vec::new();
    for (what, text) in PHASES {
        let text = text.replace("{n}", n);
        let started = Instant::now();
        run(&connection, &text);
        let whole = started.elapsed();
        for part in [1, 3, 5, 7] {
            let limit = whole * part / 8;
            let try_once = || {
                connection.set_query_timeout(Some(limit));
                let started = Instant::now();
                let outcome = connection.query(&text);
                let late = started.elapsed().saturating_sub(limit);
                connection.set_query_timeout(None);
                match outcome {
                    Ok(_) => Duration::ZERO,
                    Err(error) => {
                        assert_eq!(error.kind(), ErrorKind::Interrupted, "{what}: {error}");
                        late
                    }
                }
            };
            let tries: Vec<Duration> = (0..TRIES)
                .scan(false, |done, _| {
                    let late = (!*done).then(try_once)?;
                    *done = late <= LATE;
                    Some(late)
                })
                .collect();
            if tries.iter().all(|late| *late > LATE) {
                failed.push((what, whole, limit, tries));
            }
        }
        let memory = database.storage_stats().expect("figures").memory;
        assert_eq!(memory.operators.used, 0, "{what} keeps memory");
    }
    assert!(failed.is_empty(), "{failed:#?}");
}

/// Whoever calls is asked on his thread, also while it waits for others.
#[test]
fn the_caller_may_end_a_statement_on_his_own_thread() {
    let folder = tempfile::tempdir().expect("a folder");
    let database = open(folder.path());
    let connection = database.connect().expect("a connection");
    let own = std::thread::current().id();
    let begin = std::sync::Arc::new(parking_lot::Mutex::new(Instant::now()));
    let since = std::sync::Arc::clone(&begin);
    connection.set_interrupt_check(move || {
        assert_eq!(std::thread::current().id(), own);
        since.lock().elapsed() < LIMIT
    });
    for (what, text) in ENDLESS {
        let try_once = || {
            *begin.lock() = Instant::now();
            let error = connection.query(text).err().unwrap_or_else(|| panic!("{what} ended by itself"));
            assert_eq!(error.kind(), ErrorKind::Interrupted, "{what}: {error}");
            begin.lock().elapsed().saturating_sub(LIMIT)
        };
        // He is asked every 50 ms.
        let most = LATE + Duration::from_millis(50);
        assert!((0..TRIES).any(|_| try_once() <= most), "{what} ends late");
    }
    // A writer that waits for another one.
    let other = database.connect().expect("a connection");
    run(&other, "BEGIN TRANSACTION");
    run(&other, "MATCH (p:P {id: 1}) SET p.v = 5");
    *begin.lock() = Instant::now();
    let error = connection.query("MATCH (p:P {id: 1}) SET p.v = 6").map(|_| ()).expect_err("it waits");
    assert!(begin.lock().elapsed() < LIMIT + LATE + Duration::from_millis(200), "{error}");
    connection.clear_interrupt_check();
    run(&other, "ROLLBACK");
    run(&connection, "MATCH (p:P {id: 1}) SET p.v = 6");
}

#[test]
fn time_limits_end_deletions_and_long_lists() {
    let folder = tempfile::tempdir().expect("a folder");
    let database = open_with(folder.path(), 2 << 30);
    let connection = database.connect().expect("a connection");
    let counts = "MATCH (p:P) OPTIONAL MATCH (p)-[k:K]->() RETURN count(DISTINCT p), count(k)";
    let before = connection.query(counts).expect("it runs").to_values();
    let long = Duration::from_millis(50);
    for text in [
        "MATCH (p:P) DETACH DELETE p",
        "MATCH ()-[k:K]->() DELETE k",
        "MATCH (p:P) DETACH DELETE p RETURN count(*)",
        "RETURN size([x IN range(1, 50000000) WHERE x % 3 = 0 | x * x])",
        "RETURN size(range(1, 200000000))",
    ] {
        let best = (0..TRIES).map(|_| late_for(long, &connection, "it", text)).find(|late| *late <= LATE);
        assert!(best.is_some(), "{text} ends late");
        let memory = database.storage_stats().expect("figures").memory;
        assert_eq!((memory.operators.used, memory.layers.used), (0, 0), "{text}");
    }
    assert_eq!(connection.query(counts).expect("it runs").to_values(), before);
    run(&connection, "MATCH (p:P) DETACH DELETE p");
    let left = connection.query(counts).expect("it runs").to_values();
    assert_eq!((left[0][0].as_i64(), left[0][1].as_i64()), (Some(0), Some(0)));
}

#[test]
fn time_limits_end_a_large_transaction_while_it_writes_early() {
    let folder = tempfile::tempdir().expect("a folder");
    let (memory, rows) = if support::is_long() { (4 << 30, 5_000_000) } else { (12 << 20, 100_000) };
    let database = open_with(folder.path(), memory);
    let connection = database.connect().expect("a connection");
    let text = format!("UNWIND range(1, {rows}) AS i CREATE (:W {{id: i, v: i}})");
    let begin = || run(&connection, "BEGIN TRANSACTION");
    let whole = || {
        begin();
        let started = Instant::now();
        run(&connection, &text);
        let took = started.elapsed();
        run(&connection, "ROLLBACK");
        took
    };
    let whole = (0..3).map(|_| whole()).min().expect("it ran");
    // How long after its limit the statement ended; none where it was through before.
    let late = |limit| {
        begin();
        connection.set_query_timeout(Some(limit));
        let started = Instant::now();
        let outcome = connection.query(&text);
        let late = started.elapsed().saturating_sub(limit);
        connection.set_query_timeout(None);
        run(&connection, "ROLLBACK");
        assert_eq!(database.storage_stats().expect("figures").memory.layers.used, 0);
        outcome.err().map(|error| {
            assert_eq!(error.kind(), ErrorKind::Interrupted, "{error}");
            late
        })
    };
    let mut found = Vec::new();
    for part in 2..10 {
        found.extend((0..TRIES).filter_map(|_| late(whole * part / 12)).min());
    }
    assert!(found.len() > 4, "{found:?}");
    let stats = database.storage_stats().expect("figures");
    assert!(stats.groups_written_early > 0 && stats.reserved_pages == 0, "{stats:?}");
    assert!(found.iter().all(|late| *late <= LATE), "{found:?} of {whole:?}");
    println!("{found:?} of {whole:?}");
}

#[test]
fn lists_count_what_they_take() {
    let database = Database::builder().memory_limit(16 << 20).in_memory().expect("a database");
    let connection = database.connect().expect("a connection");
    for text in [
        "RETURN size(range(1, 50000000))",
        "UNWIND range(1, 50000000) AS x RETURN max(x)",
        "WITH range(1, 1000000) AS l RETURN size([x IN l | toString(x) + 'some more text that stands elsewhere'])",
    ] {
        let error = connection.query(text).map(|_| ()).expect_err(text);
        assert_eq!(error.kind(), ErrorKind::OutOfMemory, "{text}: {error}");
    }
    let check = |text: &str, expected: i64| {
        let rows = connection.query(text).unwrap_or_else(|error| panic!("{text}: {error}")).to_values();
        assert_eq!(rows[0][0].as_i64(), Some(expected), "{text}");
    };
    check("RETURN size([x IN range(1, 200000) WHERE x % 3 = 0 | x * x])", 66_666);
    check("RETURN [x IN range(1, 200000) WHERE x % 3 = 0 | x * x][66665]", 199_998 * 199_998);
    check("UNWIND range(1, 300) AS a RETURN sum(size([x IN range(1, 1000) WHERE x % a = 0]))", 6_136);
    check(
        "UNWIND range(1, 3) AS a RETURN sum(CASE WHEN all(x IN range(1, 70000) WHERE x <> a * 30000) THEN 1 ELSE 0 END)",
        1,
    );
    check(
        "UNWIND [NULL, 2, 5] AS a RETURN sum(size([x IN CASE WHEN a > 3 THEN range(1, 70000) ELSE [a] END WHERE x > 2]))",
        69_998,
    );
    assert_eq!(database.storage_stats().expect("figures").memory.operators.used, 0);
}

#[test]
fn an_interrupt_from_another_thread_ends_a_sort() {
    let folder = tempfile::tempdir().expect("a folder");
    let database = open(folder.path());
    let connection = database.connect().expect("a connection");
    let handle = connection.interrupt_handle();
    let text = ENDLESS[2].1;
    std::thread::scope(|scope| {
        scope.spawn(move || {
            std::thread::sleep(LIMIT);
            handle.interrupt();
        });
        let error = connection.query(text).map(|_| ()).expect_err("it is interrupted");
        assert_eq!(error.kind(), ErrorKind::Interrupted, "{error}");
    });
    run(&connection, "MATCH (p:P) RETURN count(*)");
}

#[test]
fn costs_of_long_ways_need_no_look_at_the_ways() {
    let database = Database::in_memory().expect("a database");
    let connection = database.connect().expect("a connection");
    run(&connection, "CREATE NODE TABLE N(id INT64, PRIMARY KEY (id))");
    run(&connection, "CREATE REL TABLE E(FROM N TO N, w DOUBLE)");
    run(&connection, "UNWIND range(0, 20000) AS i CREATE (:N {id: i})");
    let edges =
        "UNWIND range(0, 19999) AS i MATCH (a:N {id: i}), (b:N {id: i + 1}) CREATE (a)-[:E {w: 1.0}]->(b)";
    run(&connection, edges);
    let text = "MATCH (a:N {id: 0})-[e:E* WSHORTEST(w)]->(b) RETURN sum(cost(e)), max(length(e))";
    // All ways together have two hundred million relationships.
    connection.set_query_timeout(Some(Duration::from_millis(if cfg!(debug_assertions) {
        3000
    } else {
        300
    })));
    let found = connection.query(text).unwrap_or_else(|error| panic!("{text}: {error}")).to_values();
    assert_eq!(format!("{:?}", found[0]), "[Double(200010000.0), Int64(20000)]");
}
