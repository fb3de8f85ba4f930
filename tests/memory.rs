//! What groupings take from the allocator beside what the account of memory says they hold. The allocator is counted, so
//! this is a program of its own with one test.

#![allow(unsafe_code, reason = "an allocator is counted")]

use std::alloc::{GlobalAlloc, Layout, System};
use std::fmt::Write as _;
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

use quiredb::Database;

static LIVE: AtomicUsize = AtomicUsize::new(0);
static PEAK: AtomicUsize = AtomicUsize::new(0);

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
