//! What the pool has done. Counts of the warm path are kept per worker or per shard, the rest in one place.

use std::cell::Cell;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering::Relaxed};

/// A snapshot of the pool's counters.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct BufferPoolStats {
    /// The configured limit.
    pub limit_bytes: u64,
    /// All bytes that count against the limit, now and at most.
    pub used_bytes: u64,
    /// The highest `used_bytes` so far.
    pub peak_bytes: u64,
    /// Bytes in frames.
    pub resident_bytes: u64,
    /// Bytes in private buffers, lent or kept for reuse.
    pub private_bytes: u64,
    /// Bytes of accounted scratch.
    pub scratch_bytes: u64,
    /// Reads that found everything resident.
    pub hits: u64,
    /// Blocks that had to be loaded, into frames or private buffers.
    pub misses: u64,
    /// Blocks that were evicted to make room.
    pub evictions: u64,
    /// Blocks that were dropped because their pages were freed.
    pub discards: u64,
    /// Calls of the page source, and the bytes that they brought.
    pub reads: u64,
    /// Bytes read from the page source.
    pub read_bytes: u64,
    /// Blocks that were loaded before they were asked for.
    pub read_ahead_blocks: u64,
    /// Reads of a large scan that went past the frames because they were the first.
    pub first_reads: u64,
    /// Times the evictor had to wait for a reader's epoch.
    pub epoch_waits: u64,
}

impl BufferPoolStats {
    /// The share of reads that found everything resident, 0 to 1.
    pub fn hit_rate(&self) -> f64 {
        match self.hits + self.misses {
            0 => 1.0,
            all => self.hits as f64 / all as f64,
        }
    }
}

/// Counters of everything that takes microseconds anyway.
#[derive(Default)]
pub(super) struct Counters {
    pub(super) misses: AtomicU64,
    pub(super) evictions: AtomicU64,
    pub(super) discards: AtomicU64,
    pub(super) reads: AtomicU64,
    pub(super) read_bytes: AtomicU64,
    pub(super) read_ahead_blocks: AtomicU64,
    pub(super) first_reads: AtomicU64,
    pub(super) epoch_waits: AtomicU64,
}

impl Counters {
    pub(super) fn count_read(&self, bytes: u64) {
        self.reads.fetch_add(1, Relaxed);
        self.read_bytes.fetch_add(bytes, Relaxed);
    }
}

const SHARDS: usize = 16;

#[repr(align(128))]
#[derive(Default)]
struct Shard(AtomicU64);

/// A counter for many threads that seldom share a cache line.
#[derive(Default)]
pub(super) struct ShardedCounter {
    shards: [Shard; SHARDS],
}

impl ShardedCounter {
    #[inline]
    pub(super) fn increment(&self) {
        static NEXT: AtomicUsize = AtomicUsize::new(0);
        thread_local! {
            static SHARD: Cell<usize> = Cell::new(NEXT.fetch_add(1, Relaxed) % SHARDS);
        }
        // A thread that is being torn down has no shard of its own any more.
        let shard = SHARD.try_with(Cell::get).unwrap_or(0);
        self.shards[shard].0.fetch_add(1, Relaxed);
    }

    pub(super) fn sum(&self) -> u64 {
        self.shards.iter().map(|shard| shard.0.load(Relaxed)).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_hit_rate_is_a_share() {
        let check = |hits, misses, expected: f64| {
            let stats = BufferPoolStats { hits, misses, ..BufferPoolStats::default() };
            assert!((stats.hit_rate() - expected).abs() < 1e-9);
        };
        check(0, 0, 1.0);
        check(3, 1, 0.75);
        check(0, 5, 0.0);
    }
}
