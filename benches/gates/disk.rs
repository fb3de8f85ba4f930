//! Reading from files: a cold scan beside `pread`, and a working set that fits a small pool beside a large pool.

use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::time::Duration;

use quiredb::params;

use super::by_hand::{filtered_sum, on_threads};
use super::data::connection;
use super::graphs::all_threads;
use super::measure::{Bench, Limit, timed};
use super::scan::{NOISE_BOUND, NOISE_SUM, Numbers, sum_above};

/// Bytes of one plain read.
const PIECE: usize = 1 << 20;
const SMALL_POOL: u64 = 64 << 20;
const LARGE_POOL: u64 = 1 << 30;

fn page_file(database: &Path) -> File {
    File::open(database.join("data.quire")).expect("the page file")
}

/// Makes the system forget what it holds of the file.
fn drop_page_cache(file: &File) {
    use std::os::fd::AsRawFd;
    #[allow(unsafe_code)]
    // SAFETY: the descriptor is open; the call only gives advice.
    let code = unsafe { libc::posix_fadvise(file.as_raw_fd(), 0, 0, libc::POSIX_FADV_DONTNEED) };
    assert_eq!(code, 0, "the page cache is dropped");
}

/// Reads the first `bytes` of the file.
fn read_plainly(file: &File, bytes: u64, threads: usize) {
    let pieces = (bytes as usize).div_ceil(PIECE);
    on_threads(threads, pieces, pieces.div_ceil(threads), |pieces| {
        let mut buffer = vec![0; PIECE];
        for piece in pieces {
            let offset = (piece * PIECE) as u64;
            let length = (bytes - offset).min(PIECE as u64) as usize;
            file.read_exact_at(&mut buffer[..length], offset).expect("bytes");
        }
        0
    });
}

pub fn cold_scans(bench: &mut Bench, numbers: &Numbers) {
    let name = "cold scan";
    if !bench.wants(name) {
        return;
    }
    let file = page_file(&numbers.path);
    let expected = filtered_sum(1, &numbers.x, &numbers.y, NOISE_BOUND);
    for threads in [1, all_threads()] {
        let read_bytes = std::cell::Cell::new(0);
        let ours = || {
            let database = numbers.open(LARGE_POOL);
            let connection = connection(&database, threads);
            // No row passes, so zone maps spare the columns; but the plan is made and the groups are known.
            assert_eq!(sum_above(&connection, NOISE_SUM, i64::MAX)(), 0);
            let run = sum_above(&connection, NOISE_SUM, NOISE_BOUND);
            let before = database.buffer_pool_stats().read_bytes;
            drop_page_cache(&file);
            let (time, sum) = timed(run);
            read_bytes.set(database.buffer_pool_stats().read_bytes - before);
            (time, sum)
        };
        let theirs = || {
            drop_page_cache(&file);
            let (time, ()) = timed(|| read_plainly(&file, read_bytes.get(), threads));
            (time, expected)
        };
        bench.gate(name, threads, Limit::Times(2.0), ours, theirs);
    }
}

/// Queries that need about 48 MB, in a small pool and in one that holds all.
pub fn small_pool(bench: &mut Bench, numbers: &Numbers) {
    if !bench.wants_any(&["pool"]) {
        return;
    }
    let size = page_file(&numbers.path).metadata().expect("a size").len();
    eprintln!("the database of the small pool has {} MB", size / 1_000_000);
    let threads = all_threads();
    let limit = Limit::Times(1.5);
    // A database is open once at a time, so each pool has its own copy.
    let copy = numbers.copy();
    {
        let (small, large) = (numbers.open(SMALL_POOL), copy.open(LARGE_POOL));
        let (small_connection, large_connection) = (connection(&small, threads), connection(&large, threads));
        let ours = sum_above(&small_connection, NOISE_SUM, NOISE_BOUND);
        let theirs = sum_above(&large_connection, NOISE_SUM, NOISE_BOUND);
        bench.gate("64 MB pool, scan of 48 MB", threads, limit, || timed(&ours), || timed(&theirs));
        within(small.buffer_pool_stats().peak_bytes);
    }
    let text = "MATCH (a:Spot)-[:Way]->(b:Spot)-[:Way]->(c:Spot) WHERE b.v < $below AND c.v > $above \
                RETURN count(*)";
    let (small, large) = (numbers.open(SMALL_POOL), copy.open(LARGE_POOL));
    let (small_connection, large_connection) = (connection(&small, threads), connection(&large, threads));
    let run = |statement: &quiredb::Statement| -> (Duration, i64) {
        timed(|| {
            let result = statement.execute_with(params! { below: 90, above: 25 }).expect("an answer");
            result.first().expect("a row").get(0).expect("a number")
        })
    };
    let ours = small_connection.prepare(text).expect("a statement");
    let theirs = large_connection.prepare(text).expect("a statement");
    bench.gate("64 MB pool, paths over 48 MB", threads, limit, || run(&ours), || run(&theirs));
    within(small.buffer_pool_stats().peak_bytes);
    eprintln!("the paths need {} MB", large.buffer_pool_stats().resident_bytes / 1_000_000);
}

fn within(peak: u64) {
    assert!(peak <= SMALL_POOL, "the pool held {peak} bytes");
}
