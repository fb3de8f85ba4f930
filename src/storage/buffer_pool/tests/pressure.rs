//! Pools that are much too small: right bytes, progress, and the limit.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::thread;
use std::time::{Duration, Instant};

use super::disk::{Choices, Disk, content, owner, pool, word};
use crate::storage::StorageError;
use crate::storage::buffer_pool::{Admission, BufferPool, SegmentRef, bytes_as};
use crate::storage::page::{PageId, PageSource};

/// How many of the words that lie at `first..` are not those of the segment's content.
fn wrong_words(bytes: &[u8], seed: u64, first: u64) -> u64 {
    let words = (first..).zip(bytes_as::<u64>(bytes));
    words.filter(|&(index, &found)| word(seed, index) != std::hint::black_box(found)).count() as u64
}

/// Thousands of short queries by several threads over six blocks; returns the words that were wrong.
fn short_queries(pool: &BufferPool, segments: &[SegmentRef], queries: u64, hold: Duration) -> u64 {
    let wrong = AtomicU64::new(0);
    thread::scope(|scope| {
        for thread in 0..3 {
            let wrong = &wrong;
            scope.spawn(move || {
                let mut choices = Choices(77 + thread);
                let mut worker = pool.worker().expect("a slot");
                for query in 0..queries {
                    let mut cursor = worker.cursor();
                    for _ in 0..8 {
                        let seed = choices.below(segments.len() as u64);
                        let at = choices.below(segments[seed as usize].len() / 8 - 600);
                        let range = at * 8..(at + 512) * 8;
                        let bytes = cursor.bytes(&segments[seed as usize], range).expect("room");
                        if query % 16 == 0 && !hold.is_zero() {
                            thread::sleep(hold);
                        }
                        wrong.fetch_add(wrong_words(bytes, seed, at), Relaxed);
                    }
                    drop(cursor);
                    if query % 7 == 0 {
                        let at = choices.below(1000);
                        let guard = pool.lend(&segments[0], at * 8..at * 8 + 70_000, Admission::Frames);
                        wrong.fetch_add(wrong_words(&guard.expect("room"), 0, at), Relaxed);
                    }
                }
            });
        }
    });
    wrong.into_inner()
}

#[test]
fn short_queries_over_six_blocks_see_the_right_bytes() {
    let disk = Disk::new();
    let segments: Vec<_> = (0..5).map(|seed| disk.segment(seed, 400_000)).collect();
    let pool = pool(&disk, 6);
    assert_eq!(short_queries(&pool, &segments, 500, Duration::from_micros(50)), 0);
    let stats = pool.stats();
    assert!(stats.evictions > 500 && stats.peak_bytes <= stats.limit_bytes, "{stats:?}");
}

/// The test above would notice an evictor that does not wait for epochs.
#[test]
fn short_queries_see_wrong_bytes_when_the_evictor_does_not_wait() {
    let disk = Disk::new();
    let segments: Vec<_> = (0..5).map(|seed| disk.segment(seed, 400_000)).collect();
    let started = Instant::now();
    while started.elapsed() < Duration::from_secs(20) {
        let pool = pool(&disk, 6);
        pool.shared.workers.evict_at_once.store(true, Relaxed);
        if short_queries(&pool, &segments, 200, Duration::from_micros(200)) > 0 {
            return;
        }
    }
    panic!("nothing wrong was seen");
}

/// One cursor holds a slice while another thread reads everything else through a pool of two blocks. Returns the
/// wrong words of the slice, and whether the other thread found room in frames.
fn slice_under_eviction(evict_at_once: bool) -> (u64, bool) {
    let disk = Disk::new();
    let (held, other) = (disk.segment(1, 65_536), disk.segment(2, 400_000));
    let source: Arc<dyn PageSource> = Arc::<Disk>::clone(&disk);
    let pool = BufferPool::with_wait(3 * 65_536, source, Duration::from_millis(200));
    pool.shared.workers.evict_at_once.store(evict_at_once, Relaxed);
    let mut worker = pool.worker().expect("a slot");
    let mut cursor = worker.cursor();
    let bytes = cursor.bytes(&held, 0..65_536).expect("room");
    let found_room = thread::scope(|scope| {
        let reader = scope.spawn(|| {
            let mut worker = pool.worker().expect("a slot");
            let mut cursor = worker.cursor();
            (0..6).all(|block| cursor.bytes(&other, block * 65_536..block * 65_536 + 8).is_ok())
        });
        reader.join().expect("no panic")
    });
    (wrong_words(bytes, 1, 0), found_room)
}

#[test]
fn a_lent_slice_outlives_the_wish_to_evict_it() {
    assert_eq!(slice_under_eviction(false), (0, false));
}

#[test]
fn without_the_wait_the_slice_would_be_lost() {
    let (wrong, found_room) = slice_under_eviction(true);
    assert!(wrong > 0 && found_room);
}

#[test]
fn a_range_of_two_blocks_ends_in_a_pool_of_two_blocks() {
    let disk = Disk::new();
    // One page of references has to fit as well when the range is loaded; it is evicted for the second block.
    let segments: Vec<_> = (0..4).map(|seed| disk.segment(seed, 300_000)).collect();
    let pool = pool(&disk, 2);
    thread::scope(|scope| {
        for thread in 0..2 {
            let (pool, segments) = (&pool, &segments);
            scope.spawn(move || {
                let mut choices = Choices(3 + thread);
                let mut worker = pool.worker().expect("a slot");
                for _ in 0..100 {
                    let seed = choices.below(4);
                    let at = 65_536 * (1 + choices.below(3)) - 80;
                    let mut cursor = worker.cursor();
                    let bytes = cursor.bytes(&segments[seed as usize], at..at + 160).expect("progress");
                    assert_eq!(wrong_words(bytes, seed, at / 8), 0);
                }
            });
        }
    });
    assert!(pool.stats().peak_bytes <= 2 * 65_536);
}

/// Readers that keep every block warm do not starve one that needs another block.
#[test]
fn warm_blocks_make_room_in_the_end() {
    let disk = Disk::new();
    let segments: Vec<_> = (0..4).map(|seed| disk.segment(seed, 65_536)).collect();
    let pool = pool(&disk, 3);
    let done = AtomicBool::new(false);
    thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                let mut worker = pool.worker().expect("a slot");
                let mut cursor = worker.cursor();
                while !done.load(Relaxed) {
                    for segment in &segments[..2] {
                        cursor.bytes(segment, 0..8).expect("room");
                    }
                }
            });
        }
        let mut worker = pool.worker().expect("a slot");
        for _ in 0..20 {
            for seed in [2, 3] {
                let mut cursor = worker.cursor();
                let bytes = cursor.bytes(&segments[seed], 0..65_536).expect("room");
                assert_eq!(wrong_words(bytes, seed as u64, 0), 0);
            }
        }
        done.store(true, Relaxed);
    });
}

#[test]
fn a_pool_full_of_guards_is_too_small_and_scans_say_so() {
    let disk = Disk::new();
    let segments: Vec<_> = (0..4).map(|seed| disk.segment(seed, 65_536)).collect();
    let source: Arc<dyn PageSource> = Arc::<Disk>::clone(&disk);
    let pool = BufferPool::with_wait(3 * 65_536, source, Duration::from_millis(50));
    let lend = |at: usize| pool.lend(&segments[at], 0..65_536, Admission::Frames);
    let guards: Vec<_> = (0..2).map(|at| lend(at).expect("room")).collect();
    let scratch = pool.account("sort", 65_536 - 4096).expect("room");
    assert!(matches!(lend(3).map(|_| ()), Err(StorageError::PoolTooSmall { limit: 196_608, .. })));
    let error = pool.account("sort", 100_000).map(|_| ()).expect_err("no room");
    assert!(error.to_string().contains("sort needs 97.7 KiB"), "{error}");
    drop(scratch);
    assert!(lend(3).is_ok());
    drop(guards);
    assert!(matches!(pool.account("sort", 196_609), Err(StorageError::OutOfMemory { .. })));
    let all = pool.account("sort", 196_608).expect("everything is evicted");
    assert_eq!((pool.stats().resident_bytes, pool.stats().private_bytes), (0, 0));
    drop(all);
    assert_eq!(pool.stats().used_bytes, 0);
}

#[test]
fn scans_that_find_no_frame_read_privately() {
    let disk = Disk::new();
    let segments: Vec<_> = (0..3).map(|seed| disk.segment(seed, 300_000)).collect();
    let pool = pool(&disk, 5);
    let pinned = pool.lend(&segments[0], 0..4 * 65_536, Admission::Frames).expect("room");
    assert!(!pinned.is_private());
    let copy = pool.lend(&segments[1], 0..40_000, Admission::Frames).expect("room for the pages");
    assert!(wrong_words(&copy, 1, 0) == 0 && wrong_words(&pinned, 0, 0) == 0);
    assert!(pool.stats().peak_bytes <= 5 * 65_536);
}

#[test]
fn a_failed_load_gives_its_bytes_back() {
    let disk = Disk::new();
    let segment = disk.segment(1, 65_536 * 3);
    disk.flip(2 + 20, 9);
    let pool = pool(&disk, 16);
    let mut worker = pool.worker().expect("a slot");
    for _ in 0..50 {
        assert!(worker.cursor().bytes(&segment, 0..65_536 * 3).is_err());
        assert!(pool.lend(&segment, 0..65_536 * 3, Admission::Private).is_err());
    }
    let stats = pool.stats();
    assert_eq!(stats.used_bytes, stats.resident_bytes + stats.private_bytes, "{stats:?}");
    assert_eq!(stats.resident_bytes, 4096, "the page of references");
}

#[test]
fn pages_are_discarded_before_they_are_used_anew() {
    let disk = Disk::new();
    let pool = pool(&disk, 16);
    let first = disk.allocate(60);
    let mut worker = pool.worker().expect("a slot");
    for round in 0..50 {
        let length = 4096 * (1 + (round as usize * 13) % 60);
        let start = first + round % 3;
        let extent = disk.write_at(start, &content(round, length.min((60 - 3) * 4096)));
        let segment = SegmentRef::extent(extent, owner()).expect("sound");
        let mut cursor = worker.cursor();
        let bytes = cursor.bytes(&segment, 0..segment.len()).expect("room");
        assert_eq!(wrong_words(bytes, round, 0), 0);
        drop(cursor);
        // Any part of the run names its blocks; the rest is covered by the second call.
        pool.discard(PageId(first + 20), 3).expect("nobody reads");
        pool.discard(PageId(first), 60).expect("nobody reads");
    }
    let stats = pool.stats();
    assert!(stats.discards > 50 && stats.resident_bytes <= 50 * 4096, "{stats:?}");
}

#[test]
fn discarding_waits_for_readers() {
    let disk = Disk::new();
    let segment = disk.segment(1, 100_000);
    let source: Arc<dyn PageSource> = Arc::<Disk>::clone(&disk);
    let pool = BufferPool::with_wait(1 << 20, source, Duration::from_millis(30));
    let mut worker = pool.worker().expect("a slot");
    let mut cursor = worker.cursor();
    let bytes = cursor.bytes(&segment, 0..100_000).expect("room");
    assert!(pool.discard(PageId(2), 25).is_err());
    assert_eq!(wrong_words(bytes, 1, 0), 0);
    drop(cursor);
    let guard = pool.lend(&segment, 0..8, Admission::Frames).expect("room");
    assert!(pool.discard(PageId(2), 25).is_err());
    drop(guard);
    assert!(pool.discard(PageId(2), 25).is_ok());
    assert_eq!(pool.stats().resident_bytes, 4096, "the page of references");
}

#[test]
fn concurrent_misses_of_one_block_read_it_once() {
    let disk = Disk::new();
    let segment = disk.segment(1, 65_536);
    disk.delay.store(5_000, Relaxed);
    let pool = pool(&disk, 64);
    thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                let mut worker = pool.worker().expect("a slot");
                let mut cursor = worker.cursor();
                assert_eq!(wrong_words(cursor.bytes(&segment, 0..65_536).expect("room"), 1, 0), 0);
            });
        }
    });
    assert_eq!(pool.stats().reads, 2, "the references and the block");
}
