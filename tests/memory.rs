//! What groupings take from the allocator beside what the account of memory says they hold, and what wide values take of
//! it at most. The allocator is counted, so this is a program of its own whose tests run one after the other.

#![allow(unsafe_code, reason = "an allocator is counted")]

use std::alloc::{GlobalAlloc, Layout, System};
use std::fmt::Write as _;
use std::path::Path;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

use quiredb::{Connection, Database, ErrorKind};

static LIVE: AtomicUsize = AtomicUsize::new(0);
static PEAK: AtomicUsize = AtomicUsize::new(0);
/// Tests count all that is allocated, so only one runs at a time.
static ALONE: Mutex<()> = Mutex::new(());

/// The system's allocator, which counts the bytes that are in use.
struct Counting;

fn grown(bytes: usize) {
    PEAK.fetch_max(LIVE.fetch_add(bytes, Relaxed) + bytes, Relaxed);
}

// SAFETY: all calls are handed on as they are.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        grown(layout.size());
        // SAFETY: the caller keeps the contract of `GlobalAlloc`.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        LIVE.fetch_sub(layout.size(), Relaxed);
        // SAFETY: the pointer is from `alloc`, which is the system's.
        unsafe { System.dealloc(pointer, layout) }
    }

    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        grown(size);
        LIVE.fetch_sub(layout.size(), Relaxed);
        // SAFETY: the pointer is from `alloc`, which is the system's.
        unsafe { System.realloc(pointer, layout, size) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

const ROWS: u64 = 40_000;

fn load(folder: &Path) {
    let mut text = String::new();
    for row in 0..ROWS {
        let mut noise = row;
        write!(text, "{row},key {},", row % (ROWS / 2)).expect("texts grow");
        for _ in 0..12 {
            noise = noise.wrapping_mul(0x9E37_79B9_7F4A_7C15) ^ noise >> 29;
            write!(text, "{noise:016x}").expect("texts grow");
        }
        text.push('\n');
    }
    let path = folder.join("rows.csv");
    std::fs::write(&path, text).expect("the file can be written");
    let database = Database::builder().open(folder.join("db")).expect("a database");
    let connection = database.connect().expect("a connection");
    let run = |text: &str| connection.query(text).unwrap_or_else(|error| panic!("{text}: {error}"));
    run("CREATE NODE TABLE R(id INT64, k STRING, long STRING, PRIMARY KEY (id))");
    run(&format!("COPY R FROM '{}'", path.display()));
    drop(connection);
    database.close().expect("it closes");
}

/// Megabytes that a query takes at most, and that the account says it holds.
fn measured(folder: &Path, threads: usize, text: &str) -> (f64, f64) {
    let builder = Database::builder().threads(threads).memory_limit(1 << 30);
    let database = builder.open(folder.join("db")).expect("it opens");
    let connection = database.connect().expect("a connection");
    for _ in 0..2 {
        connection.query("MATCH (r:R) RETURN max(r.k), max(size(r.long))").expect("pages are read");
    }
    let before = LIVE.load(Relaxed);
    PEAK.store(before, Relaxed);
    connection.query(text).unwrap_or_else(|error| panic!("{text}: {error}"));
    let taken = PEAK.load(Relaxed) - before;
    let counted = database.storage_stats().expect("figures").memory.operators;
    assert_eq!(counted.used, 0, "{text}");
    (taken as f64 / 1e6, counted.peak as f64 / 1e6)
}

#[test]
fn what_groupings_take_is_what_the_account_says() {
    let _alone = ALONE.lock();
    let folder = tempfile::tempdir().expect("a folder");
    load(folder.path());
    let texts = [
        "MATCH (r:R) WITH r.k AS k, collect(r.long) AS all RETURN count(*), sum(size(all))",
        "MATCH (r:R) WITH r.k AS k, count(DISTINCT r.long) AS n RETURN count(*), sum(n)",
        "MATCH (r:R) WITH r.k AS k, collect(DISTINCT r.long) AS all RETURN count(*), sum(size(all))",
        "MATCH (r:R) WITH r.long AS k, percentileCont(r.id, 0.5) AS m RETURN count(*), sum(m)",
        "MATCH (r:R) WITH r.id % 100 AS k, collect(r.long) AS all RETURN count(*), sum(size(all))",
    ];
    let mut found = Vec::new();
    for threads in [1, 2] {
        for text in texts {
            let (taken, counted) = measured(folder.path(), threads, text);
            println!("{threads} threads: {taken:.1} MB taken, {counted:.1} MB counted: {text}");
            found.push((taken, counted, text));
        }
    }
    for (taken, counted, text) in found {
        assert!(taken <= counted * 1.25 + 3.0, "{text}: {taken:.1} MB taken and {counted:.1} MB counted");
    }
}

const LIMIT: usize = 32 << 20;
/// What is in flight between two looks at the account, and what a query takes that it does not count: lists of `collect`
/// stand in memory up to three times while they are put aside and taken back.
const UNCOUNTED: usize = 24 << 20;
const LISTS: usize = 3 * LIMIT;

/// Runs a query of wide values; the first value of its row, or the kind of its error.
fn wide(connection: &Connection, text: &str) -> Result<i64, ErrorKind> {
    let before = LIVE.load(Relaxed);
    PEAK.store(before, Relaxed);
    let outcome = connection.query(text).map(|result| result.to_values()[0][0].as_i64().unwrap_or(-1));
    let taken = PEAK.load(Relaxed).saturating_sub(before);
    println!("{:.1} MB taken: {text}", taken as f64 / 1e6);
    let most = if text.contains("collect") { LISTS } else { LIMIT + UNCOUNTED };
    assert!(taken <= most, "{text}: {:.1} MB taken", taken as f64 / 1e6);
    outcome.map_err(|error| error.kind())
}

#[test]
fn wide_values_take_no_more_than_the_limit() {
    let _alone = ALONE.lock();
    let folder = tempfile::tempdir().expect("a folder");
    let builder = Database::builder().threads(1).memory_limit(LIMIT as u64).buffer_pool_size(16 << 20);
    let database = builder.open(folder.path().join("db")).expect("a database");
    let connection = database.connect().expect("a connection");
    let run = |text: &str| connection.query(text).unwrap_or_else(|error| panic!("{text}: {error}"));
    run("CREATE NODE TABLE N(id INT64, PRIMARY KEY (id))");
    run("CREATE NODE TABLE S(id INT64, s STRING, PRIMARY KEY (id))");
    run("CREATE REL TABLE E(FROM N TO N, w DOUBLE)");
    run("UNWIND range(0, 2000) AS i CREATE (:N {id: i})");
    run("UNWIND range(0, 1999) AS i MATCH (a:N {id: i}), (b:N {id: i + 1}) CREATE (a)-[:E {w: 1.0}]->(b)");
    for first in (0..400).step_by(20) {
        let ids = format!("range({first}, {})", first + 19);
        run(&format!("UNWIND {ids} AS i CREATE (:S {{id: i, s: toString(i) + repeat('xyz ', 60000)}})"));
    }
    run("CHECKPOINT");
    let check = |text: &str, expected: Result<i64, ErrorKind>| {
        assert_eq!(wide(&connection, text), expected, "{text}");
        let used = database.storage_stats().expect("figures").memory.operators.used;
        assert_eq!(used, 0, "{text} keeps memory");
    };
    let of = |rest: &str| {
        format!("UNWIND range(1, 300) AS i WITH i, toString(i) + repeat('ab', 150000) AS s {rest}")
    };
    check("UNWIND range(1, 200) AS i RETURN max(size(repeat('ab', 500000 + i)))", Ok(1_000_400));
    check(
        "UNWIND range(1, 200) AS i WITH i WHERE size(repeat('ab', 500000 + i)) > 1000200 RETURN count(*)",
        Ok(100),
    );
    check(
        "UNWIND range(1, 40) AS i UNWIND split(repeat('ab,', 50000), ',') AS x RETURN count(x)",
        Ok(2_000_040),
    );
    check(&of("RETURN max(size(s))"), Ok(300_003));
    check(&of("RETURN size(max(s))"), Ok(300_001));
    check(&of("WITH s ORDER BY s LIMIT 290 RETURN count(s)"), Ok(290));
    check(&of("WITH s ORDER BY s LIMIT 3 RETURN sum(size(s))"), Ok(900_009));
    check(&of("WITH DISTINCT s RETURN count(*)"), Ok(300));
    check(&of("RETURN count(DISTINCT s)"), Ok(300));
    check(&of("RETURN size(collect(s))"), Err(ErrorKind::OutOfMemory));
    check("MATCH (n:S) WITH n.s AS s ORDER BY s LIMIT 390 RETURN count(s)", Ok(390));
    check("MATCH (n:S) WITH DISTINCT n.s AS s RETURN count(*)", Ok(400));
    check("MATCH (n:S) RETURN size(collect(n.s))", Err(ErrorKind::OutOfMemory));
    check("UNWIND range(0, 399) AS i MATCH (n:S {id: i}) RETURN sum(size(n.s))", Ok(96_001_090));
    check("MATCH p = (a:N {id: 0})-[:E*]->(b) RETURN sum(size(nodes(p)))", Ok(2_003_000));
    // A list beside which there is no room for the set of its elements is gone through.
    let list = "UNWIND range(1, 170000) AS i WITH collect(repeat('x', 60) + toString(i)) AS l";
    check(
        &format!("{list} MATCH (n:N) WHERE repeat('x', 60) + toString(n.id) IN l RETURN count(*)"),
        Ok(2000),
    );
    // A batch of rows collects more than there is room for, a few rows do not.
    check(
        "UNWIND range(1, 60) AS i RETURN sum(size(COLLECT { UNWIND range(1, 100000) AS j RETURN j + i }))",
        Ok(6_000_000),
    );
    check(
        "UNWIND range(1, 2) AS i RETURN sum(size(COLLECT { UNWIND range(1, 4000000) AS j RETURN j + i }))",
        Err(ErrorKind::OutOfMemory),
    );
    // Each row has all of the list, which is kept once.
    let lists = "UNWIND range(1, 20000) AS i WITH collect(toString(i)) AS l UNWIND l AS x WITH l, x ORDER BY x RETURN count(l)";
    check(lists, Ok(20_000));
}
