//! Queries that need several times the memory they may have: each operator that keeps rows gives the same rows as with
//! plenty of it, with one thread and with two, with ordinary vectors and with tiny ones, and leaves nothing behind.
//! Groupings by many keys also have to give what a plain map gives.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::sync::LazyLock;

use quiredb::{Connection, Database, DatabaseBuilder, ErrorKind, QueryStream};
use tempfile::TempDir;

const ROWS: u64 = 8_000;

/// A database on disk that every test opens a copy of.
struct Stored {
    folder: TempDir,
}

static STORED: LazyLock<Stored> = LazyLock::new(|| {
    let folder = tempfile::tempdir().expect("a folder");
    let database = Database::open(folder.path().join("db")).expect("a new database opens");
    let connection = database.connect().expect("it can be used");
    let run = |text: &str| connection.query(text).unwrap_or_else(|error| panic!("{text}: {error}"));
    run("CREATE NODE TABLE T(id INT64, a INT64, b STRING, c DOUBLE, d INT64, PRIMARY KEY (id))");
    let mut text = String::new();
    for row in 0..ROWS {
        let noise = row.wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 20;
        // Long and short texts, NULLs, numbers that come often and numbers that come once.
        let b = match noise % 10 {
            0 => String::new(),
            1..4 => format!("short {}", noise % 50),
            _ => format!("a text that is longer than a view holds: number {}", noise % 20_000),
        };
        let a = if noise % 17 == 0 { String::new() } else { (noise % 1000).to_string() };
        writeln!(text, "{row},{a},{b},{},{}", noise % 1_000_003, noise % 7).expect("texts grow");
    }
    let path = folder.path().join("t.csv");
    std::fs::write(&path, text).expect("the file can be written");
    run(&format!("COPY T FROM '{}'", path.display()));
    drop(connection);
    database.close().expect("it closes");
    Stored { folder }
});

fn copy_of(to: &Path) -> PathBuf {
    let (from, to) = (STORED.folder.path().join("db"), to.join("db"));
    for folder in ["", "wal", "tmp"] {
        std::fs::create_dir_all(to.join(folder)).expect("a folder");
        for entry in std::fs::read_dir(from.join(folder)).expect("the folder is there").flatten() {
            if entry.file_type().is_ok_and(|kind| kind.is_file()) && entry.file_name() != "LOCK" {
                std::fs::copy(entry.path(), to.join(folder).join(entry.file_name())).expect("a copy");
            }
        }
    }
    to
}

fn rows(connection: &Connection, text: &str) -> Vec<String> {
    let result = connection.query(text).unwrap_or_else(|error| panic!("{text}: {error}"));
    result.to_values().iter().map(|row| format!("{row:?}")).collect()
}

/// The same rows handed over as they are found: a result that is kept counts as well.
fn streamed(connection: &Connection, text: &str) -> Vec<String> {
    let result = connection.stream(text).and_then(QueryStream::collect_all);
    let result = result.unwrap_or_else(|error| panic!("{text}: {error}"));
    result.to_values().iter().map(|row| format!("{row:?}")).collect()
}

fn with(builder: DatabaseBuilder, folder: &Path) -> Database {
    builder.buffer_pool_size(32 << 20).open(folder.join("db")).expect("the copy opens")
}

/// Runs a query with plenty of memory and with `limit` bytes, which is too little to hold what it keeps.
fn check(text: &str, limit: u64, ordered: bool) {
    let folder = tempfile::tempdir().expect("a folder");
    let path = copy_of(folder.path());
    let sorted = |mut rows: Vec<String>| {
        if !ordered {
            rows.sort();
        }
        rows
    };
    let plenty = with(Database::builder().threads(2), folder.path());
    let expected = sorted(rows(&plenty.connect().unwrap(), text));
    let stats = plenty.storage_stats().unwrap();
    assert!(stats.memory.operators.peak > 4 * limit, "{text} needs {} only", stats.memory.operators.peak);
    assert_eq!((stats.bytes_spilled, stats.memory.operators.used), (0, 0), "{text}");
    plenty.close().unwrap();
    for (threads, vector) in [(1, 2048), (2, 2048), (1, 3)] {
        let builder = Database::builder().threads(threads).memory_limit(limit).vector_size(vector);
        let little = with(builder, folder.path());
        let found = sorted(streamed(&little.connect().unwrap(), text));
        let place = found.iter().zip(&expected).position(|(found, expected)| found != expected);
        assert!(
            found == expected,
            "{text} with {threads} threads and vectors of {vector}: {} rows of {}, other at {:?}: {:?}",
            found.len(),
            expected.len(),
            place,
            place.map(|place| (&found[place], &expected[place])),
        );
        let stats = little.storage_stats().unwrap();
        assert!(stats.bytes_spilled > limit, "{text}: {} bytes were put aside", stats.bytes_spilled);
        assert!(
            stats.memory.total.peak <= limit * 3 / 2,
            "{text} with {threads} threads and vectors of {vector}: {:?}",
            stats.memory
        );
        assert_eq!(stats.memory.operators.used, 0, "{text}");
        assert_eq!(std::fs::read_dir(path.join("tmp")).unwrap().count(), 0, "{text} leaves files behind");
        little.close().unwrap();
    }
}

/// A quarter of what the queries below need, or less.
const LITTLE: u64 = 256 << 10;

#[test]
fn sorting() {
    check("MATCH (t:T) WITH t.id AS id, t.a AS a, t.b AS b ORDER BY b, a DESC, id RETURN id", LITTLE, true);
    check("MATCH (t:T) WITH t.id AS id, t.c AS c, t.b AS b ORDER BY c DESC, id RETURN id", LITTLE / 2, true);
}

/// Each row has the same list: it would take many times the memory of all rows if each had it for itself.
#[test]
fn sorting_rows_that_share_a_list() {
    let text = "MATCH (t:T) WHERE t.id < 100 WITH collect(t.id) AS l MATCH (t:T) \
                WITH l, t.id AS id, t.b AS b ORDER BY b, id RETURN id, l[id % 100], size(l)";
    check(text, LITTLE, true);
}

#[test]
fn sorting_with_a_limit_that_is_large() {
    let text =
        "MATCH (t:T) WITH t.id AS id, t.a AS a, t.b AS b ORDER BY b, a, id SKIP 3000 LIMIT 4500 RETURN id";
    check(text, LITTLE, true);
}

// The rows below are summed up at the end, since a result counts as well.

#[test]
fn grouping() {
    let text = "MATCH (t:T) WITH t.b AS b, t.id / 2 AS half, count(*) AS n, sum(t.a) AS s, avg(t.c) AS m, min(t.b) AS least, \
                max(t.a) AS most, stdev(t.d) AS spread, percentileDisc(t.d, 0.5) AS middle \
                RETURN count(*), sum(n), sum(s * half), sum(m), min(least), max(least), sum(most * half), \
                sum(round(spread * 1000)), sum(middle * half), sum(size(b) * half)";
    check(text, LITTLE, false);
}

#[test]
fn grouping_by_nodes_and_collecting() {
    let text = "MATCH (t:T) WITH t, count(*) AS n, min(t.b) AS b, max(t.c) AS c \
                RETURN count(*), sum(t.id * n), sum(t.id * size(b)), sum(c)";
    check(text, LITTLE / 2, false);
    let text = "MATCH (t:T) WITH t.c AS c, t.d AS d, collect(t.b) AS texts \
                RETURN count(*), sum(size(texts) * c), sum(d * size(texts)), sum(size(texts[0]))";
    check(text, LITTLE, false);
}

/// Rows that make a group each are parted before they are grouped, others after it, and all are put aside in between.
#[test]
fn lists_keep_the_order_of_their_rows() {
    let text =
        "MATCH (t:T) WITH t ORDER BY t.id DESC WITH t.id % 5000 AS k, collect(t.id) AS ids RETURN k, ids";
    check(text, LITTLE, false);
}

#[test]
fn distinct_rows_and_distinct_values() {
    let text = "MATCH (t:T) WITH DISTINCT t.b AS b, t.c AS c, t.a AS a \
                RETURN count(*), sum(size(b)), sum(c), sum(a * c), min(b), max(b)";
    check(text, LITTLE, false);
    check("MATCH (t:T) RETURN count(DISTINCT t.c), sum(DISTINCT t.a), count(DISTINCT t.b)", LITTLE, false);
    check("MATCH (t:T) RETURN t.d, count(DISTINCT t.b), count(*), sum(DISTINCT t.id)", LITTLE, false);
    let text = "MATCH (t:T) WITH t.b AS b, count(DISTINCT t.id) AS n, max(t.c) AS c, size(collect(DISTINCT t.a)) AS k \
                RETURN count(*), sum(n * n), sum(c), sum(k * n), sum(size(b) * k)";
    check(text, LITTLE, false);
}

/// Values of which nearly each is another one are parted as they come; those that were put aside before have to be told
/// apart with them all the same.
#[test]
fn distinct_values_that_were_put_aside_are_all_counted() {
    const TEXTS: u64 = 200_000;
    const LIMIT: u64 = 16 << 20;
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("texts.csv");
    let mut text = String::new();
    for row in 0..TEXTS {
        writeln!(text, "{row},{row:060},{row}.5").expect("texts grow");
    }
    std::fs::write(&path, text).expect("the file can be written");
    let plenty = with(Database::builder(), folder.path());
    let connection = plenty.connect().unwrap();
    connection.query("CREATE NODE TABLE T(id INT64, s STRING, d DOUBLE, PRIMARY KEY (id))").unwrap();
    connection.query(&format!("COPY T FROM '{}'", path.display())).unwrap();
    drop(connection);
    plenty.close().unwrap();
    let database = with(Database::builder().threads(2).memory_limit(LIMIT), folder.path());
    let connection = database.connect().unwrap();
    let count = rows(&connection, "MATCH (t:T) RETURN count(DISTINCT t.s)");
    assert_eq!(count, [format!("[Int64({TEXTS})]")]);
    assert!(database.storage_stats().unwrap().bytes_spilled > 0);
    let both = rows(&connection, "MATCH (t:T) RETURN count(DISTINCT t.s), sum(DISTINCT t.d)");
    assert_eq!(both, [format!("[Int64({TEXTS}), Double({:?})]", (TEXTS * TEXTS / 2) as f64)]);
}

#[test]
fn joining() {
    let text = "MATCH (a:T), (b:T) WHERE a.c = b.c AND a.b = b.b \
                RETURN count(*), sum(a.id * b.a), sum(a.id + b.d * 7), max(b.b)";
    check(text, LITTLE / 2, false);
    // Nearly all rows have one key, which no hash can split.
    let text = "MATCH (a:T), (b:T) WHERE CASE WHEN a.id < 3 THEN 0 ELSE 99 END = b.d * 0 \
                RETURN count(*), sum(a.id * b.a), max(b.b), sum(b.c)";
    check(text, LITTLE / 2, false);
}

#[test]
fn writing_what_a_long_list_of_rows_says() {
    let text = "MATCH (t:T) WITH t, t.b + 'x' AS b, t.b AS before SET t.a = t.d + size(b) + size(before)";
    let run = |limit: u64| {
        let folder = tempfile::tempdir().expect("a folder");
        copy_of(folder.path());
        let database = with(Database::builder().threads(1).memory_limit(limit), folder.path());
        let connection = database.connect().unwrap();
        connection.query(text).unwrap();
        let stats = database.storage_stats().unwrap();
        let found = rows(&connection, "MATCH (t:T) RETURN count(*), sum(t.a), min(t.a), max(t.a)");
        (found, stats.bytes_spilled)
    };
    let (expected, nothing) = run(1 << 30);
    let (found, spilled) = run(1 << 20);
    assert_eq!((found, nothing), (expected, 0));
    assert!(spilled > 0);
}

#[test]
fn products() {
    let text = "MATCH (a:T), (b:T) WHERE a.d = 3 AND b.d = 4 AND a.id < 4000 AND b.id < 4000 AND size(a.b) + b.a > 0 \
                RETURN count(*), sum(size(b.b) * a.id), sum(size(a.b) * b.id), max(a.c + b.c)";
    check(text, 24 << 10, false);
}

#[test]
fn rows_that_a_sub_query_is_asked_about_together() {
    let text = "MATCH (t:T) WITH t.id AS id, t.b AS b, t.d AS d CALL { WITH id, d UNWIND range(0, d) AS n RETURN max(n + id) AS most } \
                RETURN count(*), sum(size(b) * id), sum(most)";
    check(text, 64 << 10, false);
    let text = "MATCH (t:T) WHERE t.id < 600 OPTIONAL MATCH (o:T) WHERE o.a = t.a AND o.id > t.id AND size(o.b) > 1 \
                RETURN count(*), count(o), sum(t.id), sum(o.id), sum(size(o.b))";
    check(text, 64 << 10, false);
    let text = "MATCH (t:T) WHERE t.id < 600 AND NOT EXISTS { MATCH (o:T) WHERE o.c = t.c AND o.b <> t.b AND o.id > 2 } RETURN count(*), sum(t.id)";
    check(text, 64 << 10, false);
    let text = "MATCH (t:T) WHERE t.id < 60 RETURN sum(t.id * COUNT { MATCH (o:T) WHERE o.a < t.a AND size(o.b) > t.d })";
    check(text, 24 << 10, false);
}

/// What a profile says of a counter.
fn counter(profile: &[String], name: &str) -> u64 {
    let line = profile.iter().find(|line| line.contains(&format!("{name}: ")));
    let line = line.unwrap_or_else(|| panic!("{name} stands still: {profile:#?}"));
    let number = line.rsplit_once(": ").map(|(_, number)| number.trim_end_matches("\")]"));
    number.and_then(|number| number.parse().ok()).unwrap_or_else(|| panic!("{line}"))
}

#[test]
fn what_is_put_aside_inside_a_sub_query_is_read_once_for_many_rows() {
    let folder = tempfile::tempdir().expect("a folder");
    copy_of(folder.path());
    for (limit, vector, text) in [
        (
            1 << 20,
            100,
            "MATCH (t:T) OPTIONAL MATCH (o:T) WHERE o.a = t.a AND o.id > t.id AND size(o.b) > 1 \
             RETURN count(*), count(o), sum(t.id), sum(o.id), sum(size(o.b))",
        ),
        (
            512 << 10,
            20,
            "MATCH (t:T) WHERE t.id < 400 RETURN sum(t.id * COUNT { MATCH (o:T) WHERE o.a < t.a AND size(o.b) > t.d })",
        ),
    ] {
        let little = with(Database::builder().memory_limit(limit).vector_size(vector), folder.path());
        let profile = rows(&little.connect().unwrap(), &format!("PROFILE {text}"));
        let (spilled, read) = (counter(&profile, "bytes_spilled"), counter(&profile, "bytes_read_back"));
        // There are eighty and twenty batches.
        assert!(read <= 4 * spilled, "{read} bytes were read of {spilled} that were put aside: {text}");
        little.close().unwrap();
    }
}

#[test]
fn collected_values_keep_the_order_in_which_they_came_first() {
    let folder = tempfile::tempdir().expect("a folder");
    copy_of(folder.path());
    // Seven groups, and one whose values do not fit.
    for (key, limit) in [("t.d", 320 << 10), ("t.d / 7", 640 << 10)] {
        let plenty = with(Database::builder().threads(1), folder.path());
        let connection = plenty.connect().unwrap();
        let mut lists: std::collections::BTreeMap<String, Vec<String>> = Default::default();
        for row in connection.query(&format!("MATCH (t:T) RETURN {key}, t.b")).unwrap().to_values() {
            let (group, value) = (format!("{:?}", row[0]), format!("{:?}", row[1]));
            let list = lists.entry(group).or_default();
            if value != "Null" && !list.contains(&value) {
                list.push(value);
            }
        }
        let expected: Vec<String> =
            lists.iter().map(|(group, list)| format!("[{group}, List([{}])]", list.join(", "))).collect();
        let text = format!("MATCH (t:T) WITH {key} AS k, collect(DISTINCT t.b) AS list RETURN k, list");
        let found = |connection: &Connection| {
            let mut found = streamed(connection, &text);
            found.sort();
            found
        };
        assert_eq!(found(&connection), expected);
        drop(connection);
        plenty.close().unwrap();
        for vector in [2048, 100] {
            let builder = Database::builder().threads(1).memory_limit(limit).vector_size(vector);
            let little = with(builder, folder.path());
            assert!(found(&little.connect().unwrap()) == expected, "by {key} with vectors of {vector}");
            let spilled = little.storage_stats().unwrap().bytes_spilled;
            // More than all values take, so that they were put aside more than once.
            assert!(spilled > limit / 4 * 3, "{spilled} bytes were put aside by {key}");
            little.close().unwrap();
        }
    }
    // Where nearly every value is another one, they are not parted either.
    let database = Database::builder().threads(1).in_memory().unwrap();
    let text = "UNWIND range(1, 40000) AS n RETURN collect(DISTINCT n * 100000)";
    let numbers: Vec<String> = (1..=40_000i64).map(|n| format!("Int64({})", n * 100_000)).collect();
    let expected = format!("[List([{}])]", numbers.join(", "));
    assert!(rows(&database.connect().unwrap(), text) == [expected], "the numbers in their order");
}

const SORTED: &str = "MATCH (t:T) WITH t.id AS id, t.a AS a, t.b AS b ORDER BY b, a DESC, id RETURN id";

#[test]
fn what_is_only_read_puts_rows_aside_elsewhere() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = copy_of(folder.path());
    let elsewhere = tempfile::tempdir().expect("a folder");
    let files = |path: &Path| std::fs::read_dir(path).unwrap().count();
    let expected = rows(&with(Database::builder(), folder.path()).connect().unwrap(), SORTED);
    let inside = files(&path.join("tmp"));
    for builder in [Database::builder(), Database::builder().temp_directory(elsewhere.path())] {
        let database = with(builder.read_only(true).memory_limit(LITTLE), folder.path());
        assert_eq!(files(elsewhere.path()), 0, "nothing is made before it is needed");
        assert_eq!(rows(&database.connect().unwrap(), SORTED), expected);
        assert!(database.storage_stats().unwrap().bytes_spilled > LITTLE);
        assert_eq!(files(&path.join("tmp")), inside);
        database.close().unwrap();
        assert_eq!(files(elsewhere.path()), 0, "nothing is left");
    }
}

#[test]
fn a_database_in_memory_puts_rows_aside_where_it_is_told() {
    let elsewhere = tempfile::tempdir().expect("a folder");
    let builder = Database::builder().memory_limit(2 << 20).temp_directory(elsewhere.path());
    let database = builder.in_memory().unwrap();
    let connection = database.connect().unwrap();
    let text = "UNWIND range(1, 200000) AS n WITH n ORDER BY -n RETURN n";
    let mut stream = connection.stream(text).unwrap();
    for expected in (1..=200_000).rev() {
        assert_eq!(stream.next_row().unwrap().unwrap().get::<i64>(0).unwrap(), expected);
        if expected == 100_000 {
            assert_eq!(std::fs::read_dir(elsewhere.path()).unwrap().count(), 1);
        }
    }
    assert!(database.storage_stats().unwrap().bytes_spilled > 1 << 20);
    drop((stream, connection));
    database.close().unwrap();
    assert_eq!(std::fs::read_dir(elsewhere.path()).unwrap().count(), 0);
}

#[test]
fn where_nothing_can_be_put_aside_the_error_says_what_to_do() {
    let database = Database::builder().memory_limit(2 << 20).in_memory().unwrap();
    let connection = database.connect().unwrap();
    let error = connection.query("UNWIND range(1, 200000) AS n WITH n ORDER BY -n RETURN n").unwrap_err();
    assert_eq!(error.kind(), ErrorKind::OutOfMemory, "{error}");
    let text = format!("{error:#}");
    assert!(text.contains("Sort needs") && text.contains("memory limit"), "{text}");
    assert!(text.contains("beyond the limit of 2.0 MiB"), "{text}");
    assert_eq!(database.storage_stats().unwrap().memory.total.used, 0);
}

#[test]
fn counts_that_are_passed_along_relationships_are_accounted() {
    let folder = tempfile::tempdir().expect("a folder");
    copy_of(folder.path());
    let plenty = with(Database::builder(), folder.path());
    let connection = plenty.connect().unwrap();
    connection.query("CREATE REL TABLE E(FROM T TO T)").unwrap();
    connection.query("MATCH (a:T), (b:T) WHERE b.id = a.id + 1 CREATE (a)-[:E]->(b)").unwrap();
    connection.query("CHECKPOINT").unwrap();
    let text = "MATCH (a:T)-[:E]->(b:T)-[:E]->(c:T)-[:E]->(d:T) WHERE d.a < 900 AND b.d < 6 RETURN count(*)";
    let expected = rows(&connection, text);
    assert!(rows(&connection, &format!("PROFILE {text}")).join("\n").contains("messages_passed"));
    drop(connection);
    plenty.close().unwrap();
    let little = with(Database::builder().memory_limit(100 << 10), folder.path());
    let connection = little.connect().unwrap();
    assert_eq!(rows(&connection, text), expected);
    let profile = rows(&connection, &format!("PROFILE {text}")).join("\n");
    assert!(profile.contains("arrays_given_up") && !profile.contains("messages_passed"), "{profile}");
    // Who changes something is told instead.
    let error = connection.query(&text.replace("RETURN count(*)", "WITH count(*) AS n CREATE (:T {id: -n})"));
    let error = error.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::OutOfMemory, "{error}");
    assert!(format!("{error:#}").contains("passing counts along relationships needs"), "{error:#}");
    drop(connection);
    assert_eq!(little.storage_stats().unwrap().memory.operators.used, 0);
}

#[test]
fn what_searches_remember_is_accounted() {
    let folder = tempfile::tempdir().expect("a folder");
    copy_of(folder.path());
    let plenty = with(Database::builder(), folder.path());
    let connection = plenty.connect().unwrap();
    connection.query("CREATE REL TABLE E(FROM T TO T, w DOUBLE)").unwrap();
    connection.query("MATCH (a:T), (b:T) WHERE b.id = a.id + 1 CREATE (a)-[:E {w: 0.5}]->(b)").unwrap();
    connection.query("CHECKPOINT").unwrap();
    let texts = [
        "MATCH (a:T {id: 0})-[:E*1..9000]->(b:T) RETURN count(DISTINCT b)",
        "MATCH (a:T)-[:E*1..9000]->(b:T) WHERE a.id < 10 WITH DISTINCT a, b RETURN count(*)",
        "MATCH p = (a:T {id: 0})-[:E* SHORTEST 1..9000]->(b:T {id: 7900}) RETURN length(p)",
        "MATCH p = (a:T {id: 0})-[r:E* WSHORTEST(w) 1..9000]->(b:T {id: 7900}) RETURN cost(r)",
        "MATCH p = (a:T {id: 0})-[r:E* ALL WSHORTEST(w) 1..9000]->(b:T {id: 4000}) RETURN cost(r)",
    ];
    for text in texts {
        assert_eq!(rows(&connection, text).len(), 1, "{text}");
        let profile = rows(&connection, &format!("PROFILE {text}"));
        let line = profile.iter().find(|line| line.contains("ExpandRecursive")).expect("a search");
        assert!(line.contains("KiB held"), "{line}");
    }
    drop(connection);
    plenty.close().unwrap();
    let little = with(Database::builder().memory_limit(40 << 10), folder.path());
    for text in texts {
        let error = little.connect().unwrap().query(text).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::OutOfMemory, "{text}: {error}");
        assert!(format!("{error:#}").contains("ExpandRecursive needs"), "{text}: {error:#}");
        assert_eq!(little.storage_stats().unwrap().memory.operators.used, 0, "{text}");
    }
}

/// Rows of the table `Many`: so many that two workers scan it.
const MANY: u64 = 70_000;

/// A key that hardly any other row has, one that two rows have each, and a value.
fn many(row: u64) -> (Option<String>, String, i64) {
    let noise = row.wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 20;
    let rare = match row % 1000 {
        0 => None,
        part if part % 7 == 0 => Some(format!("often {}", row % 50)),
        part if part % 2 == 0 => Some(format!("{row}")),
        _ => Some(format!("a text that is longer than a view holds: {row}")),
    };
    (rare, format!("pair {}", row % (MANY / 2)), (noise % 5000) as i64)
}

/// A key and the number, sum and greatest value of its rows.
type Group = (Option<String>, i64, i64, i64);

/// What a plain map makes of the rows: number, sum and greatest value of each key.
fn grouped(key: impl Fn(u64) -> Option<String>) -> Vec<Group> {
    let mut groups: std::collections::BTreeMap<Option<String>, (i64, i64, i64)> = Default::default();
    for row in 0..MANY {
        let value = many(row).2;
        let group = groups.entry(key(row)).or_insert((0, 0, i64::MIN));
        *group = (group.0 + 1, group.1 + value, group.2.max(value));
    }
    groups.into_iter().map(|(key, (count, sum, most))| (key, count, sum, most)).collect()
}

/// A database with the table `Many` in a folder.
fn load_many(folder: &Path) {
    let path = folder.join("many.csv");
    let mut text = String::new();
    for row in 0..MANY {
        let (rare, pair, value) = many(row);
        writeln!(text, "{row},{},{pair},{value}", rare.unwrap_or_default()).expect("texts grow");
    }
    std::fs::write(&path, text).expect("the file can be written");
    let database = with(Database::builder(), folder);
    let connection = database.connect().unwrap();
    let table = "CREATE NODE TABLE Many(id INT64, rare STRING, pair STRING, value INT64, PRIMARY KEY (id))";
    connection.query(table).unwrap();
    connection.query(&format!("COPY Many FROM '{}'", path.display())).unwrap();
    drop(connection);
    database.close().unwrap();
}

#[test]
fn lists_and_distinct_values_of_many_groups_are_those_of_one_thread() {
    let folder = tempfile::tempdir().expect("a folder");
    load_many(folder.path());
    let open = |threads: usize, limit: u64, vector: usize| {
        let builder = Database::builder().threads(threads).memory_limit(limit).vector_size(vector);
        with(builder, folder.path())
    };
    let texts = [
        // Every value by its group again; some groups have many rows, nearly all have one.
        "MATCH (m:Many) WITH m.rare AS k, collect(m.value) AS vs, count(*) AS n \
         UNWIND vs AS v RETURN count(*), sum(v * n), sum(v * size(k)), max(n)",
        "MATCH (m:Many) WITH m.pair AS k, collect(m.value) AS vs, collect(DISTINCT m.value % 5) AS few \
         RETURN count(*), sum(size(vs) * size(k)), sum(size(few))",
        "MATCH (m:Many) WITH m.pair AS k, percentileCont(m.value, 0.5) AS mid, percentileDisc(m.value, 0.9) AS high, min(m.id) AS least \
         RETURN count(*), sum(round(mid * 4)), sum(high * (least % 7))",
        "MATCH (m:Many) WITH m.id / 3 AS k, count(DISTINCT m.value % 3) AS n, sum(DISTINCT m.value % 2) AS s, count(DISTINCT m.pair) AS p, sum(m.value) AS t \
         RETURN count(*), sum(n), sum(s), sum(p), sum(t % 1000 * n)",
        "MATCH (m:Many) WITH m.id * 3 AS k, count(DISTINCT m.rare) AS n, collect(m.pair) AS ps RETURN count(*), sum(n), sum(size(ps)), min(ps[0])",
        "MATCH (m:Many) WITH m.id % 500 AS k, count(DISTINCT m.id) AS n, count(DISTINCT m.pair) AS p RETURN k, n, p ORDER BY k",
    ];
    let run = |threads: usize, limit: u64, vector: usize, what: &str| -> Vec<Vec<String>> {
        let database = open(threads, limit, vector);
        let connection = database.connect().unwrap();
        let found = texts.iter().map(|text| rows(&connection, text)).collect();
        for text in texts.iter().filter(|_| !what.is_empty()) {
            let profile = rows(&connection, &format!("PROFILE {text}")).join("\n");
            assert!(profile.contains(what), "{text}: {profile}");
        }
        assert!(limit > 1 << 23 || database.storage_stats().unwrap().bytes_spilled > 0);
        found
    };
    let expected = run(1, 1 << 30, 2048, "");
    assert_eq!(expected[3][0].split(", ").next(), Some(&*format!("[Int64({})", MANY.div_ceil(3))));
    for (threads, limit, vector, what) in
        [(2, 1 << 30, 2048, "partitions_grouped"), (4, 1 << 30, 100, ""), (2, 1 << 20, 2048, "")]
    {
        let found = run(threads, limit, vector, what);
        for ((text, found), expected) in texts.iter().zip(&found).zip(&expected) {
            assert_eq!(found, expected, "{text} with {threads} threads, {limit} bytes, vectors of {vector}");
        }
    }
}

#[test]
fn many_groups_are_those_of_a_plain_map() {
    let folder = tempfile::tempdir().expect("a folder");
    load_many(folder.path());
    let open = |threads: usize, limit: u64, vector: usize| {
        let builder = Database::builder().threads(threads).memory_limit(limit).vector_size(vector);
        with(builder, folder.path())
    };
    let by_rare = grouped(|row| many(row).0);
    let by_pair = grouped(|row| Some(many(row).1));
    let distinct_values = (0..MANY).map(|row| many(row).2).collect::<std::collections::BTreeSet<i64>>();
    // The sum over groups depends on each group: (count, Σ n, Σ n·sum, Σ most).
    let summed = |groups: &[Group]| {
        let sum = |of: fn(&Group) -> i64| groups.iter().map(of).sum::<i64>();
        format!(
            "[Int64({}), Int64({}), Int64({}), Int64({})]",
            groups.len(),
            sum(|g| g.1),
            sum(|g| g.1 * g.2),
            sum(|g| g.3)
        )
    };
    let totals = "RETURN count(*), sum(n), sum(n * s), sum(most)";
    let by = |key: &str| {
        format!(
            "MATCH (m:Many) WITH {key} AS key, count(*) AS n, sum(m.value) AS s, max(m.value) AS most {totals}"
        )
    };
    let texts = by_rare.iter().filter(|group| group.0.is_some()).count();
    let numbers = format!(
        "MATCH (m:Many) WITH m.id * 3 AS key, m.pair AS pair, count(*) AS n, sum(m.value) AS s, max(m.value) AS most {totals}"
    );
    let checks = [
        (by("m.rare"), summed(&by_rare), "rows_passed_ungrouped"),
        (by("m.pair"), summed(&by_pair), "partitions_grouped"),
        (numbers, summed(&grouped(|row| Some(row.to_string()))), "rows_passed_ungrouped"),
        (
            "MATCH (m:Many) RETURN count(DISTINCT m.rare), count(DISTINCT m.id), count(DISTINCT m.value)".into(),
            format!("[Int64({texts}), Int64({MANY}), Int64({})]", distinct_values.len()),
            "integer_distincts",
        ),
        (
            "MATCH (m:Many) RETURN sum(DISTINCT m.value), count(DISTINCT m.pair), sum(DISTINCT m.id * 100000)".into(),
            format!(
                "[Int64({}), Int64({}), Int64({})]",
                distinct_values.iter().sum::<i64>(),
                MANY / 2,
                MANY * (MANY - 1) / 2 * 100_000
            ),
            "integer_distincts",
        ),
    ];
    const PLENTY: u64 = 1 << 30;
    for (threads, limit, vector) in
        [(2, PLENTY, 2048), (1, PLENTY, 2048), (2, PLENTY, 3), (2, 1 << 20, 2048), (1, 1 << 20, 2048)]
    {
        let database = open(threads, limit, vector);
        let connection = database.connect().unwrap();
        // Tiny vectors take long.
        let step = if vector == 3 { 3 } else { 1 };
        for (text, expected, counter) in checks.iter().step_by(step) {
            let found = rows(&connection, text);
            assert_eq!(
                found,
                std::slice::from_ref(expected),
                "{text} with {threads} threads, {limit} bytes, {vector}"
            );
            if limit == PLENTY && threads == 2 && vector == 2048 {
                let profile = rows(&connection, &format!("PROFILE {text}")).join("\n");
                assert!(profile.contains(counter), "{text}: {profile}");
                let held =
                    profile.lines().find(|line| line.contains("Aggregate") && line.contains(" KiB held"));
                assert!(held.is_some(), "{text}: {profile}");
            }
        }
        let stats = database.storage_stats().unwrap();
        assert_eq!(stats.memory.operators.used, 0);
        assert_eq!(stats.bytes_spilled > 0, limit < PLENTY);
        if limit == PLENTY && vector == 2048 {
            let text =
                "MATCH (m:Many) RETURN m.rare AS key, count(*) AS n, sum(m.value) AS s, max(m.value) AS most";
            let mut found = rows(&connection, text);
            let row = |(key, n, s, most): &Group| {
                let key = key.as_ref().map_or("Null".into(), |key| format!("String({key:?})"));
                format!("[{key}, Int64({n}), Int64({s}), Int64({most})]")
            };
            let mut expected: Vec<String> = by_rare.iter().map(row).collect();
            found.sort();
            expected.sort();
            assert!(found == expected, "{} groups of {}", found.len(), expected.len());
        }
        drop(connection);
        database.close().unwrap();
    }
}
