//! The pool itself: what its parts share, and the operations that are neither reading nor making room.

use std::sync::atomic::Ordering::Relaxed;
use std::sync::{Arc, Weak};
use std::time::Duration;

use parking_lot::Mutex;

use super::budget::{Accounted, Budget, Use};
use super::eviction::Evictor;
use super::fault::Patience;
use super::frame::Frames;
use super::segment::BLOCK_BYTES;
use super::stats::{BufferPoolStats, Counters, ShardedCounter};
use super::workers::Workers;
use crate::storage::page::{PageId, PageSource};
use crate::storage::{StorageError, StorageResult};

/// How long a read waits for frames by default.
const WAIT: Duration = Duration::from_secs(1);

/// A fixed memory budget over the pages of one database. Clones are handles to the same pool.
#[derive(Clone)]
pub struct BufferPool {
    pub(super) shared: Arc<Shared>,
}

/// Leads to the pool for as long as somebody keeps it. Whatever the pool's source holds must hold the pool so, or
/// neither ever ends.
#[derive(Clone)]
pub struct WeakBufferPool {
    shared: Weak<Shared>,
}

impl WeakBufferPool {
    /// The pool, if it still is.
    pub fn upgrade(&self) -> Option<BufferPool> {
        self.shared.upgrade().map(|shared| BufferPool { shared })
    }
}

pub(super) struct Shared {
    pub(super) frames: Arc<Frames>,
    pub(super) budget: Arc<Budget>,
    pub(super) workers: Workers,
    pub(super) evictor: Mutex<Evictor>,
    /// First pages of blocks that were loaded and that the evictor has not taken note of yet.
    pub(super) arrivals: Mutex<Vec<u64>>,
    pub(super) source: Arc<dyn PageSource>,
    pub(super) counters: Counters,
    /// Guards that found everything resident.
    pub(super) hits: ShardedCounter,
    pub(super) wait: Duration,
}

impl BufferPool {
    /// A pool that never holds more than `limit_bytes`.
    pub fn new(limit_bytes: u64, source: Arc<dyn PageSource>) -> BufferPool {
        BufferPool::with_wait(limit_bytes, source, WAIT)
    }

    /// As `new`, with another deadline for reads that wait for frames.
    pub fn with_wait(limit_bytes: u64, source: Arc<dyn PageSource>, wait: Duration) -> BufferPool {
        let shared = Shared {
            frames: Arc::new(Frames::new()),
            budget: Arc::new(Budget::new(limit_bytes)),
            workers: Workers::new(),
            evictor: Mutex::default(),
            arrivals: Mutex::default(),
            source,
            counters: Counters::default(),
            hits: ShardedCounter::default(),
            wait,
        };
        BufferPool { shared: Arc::new(shared) }
    }

    /// The least limit: `threads` threads hold 16 guards of one block and a cursor's longest range each, and as much
    /// again is needed so that what one waits for is not always held by another.
    pub fn bytes_min(threads: usize) -> u64 {
        threads as u64 * 4 * 16 * BLOCK_BYTES
    }

    /// The configured limit.
    pub fn limit_bytes(&self) -> u64 {
        self.shared.budget.limit()
    }

    /// Counts `bytes` against the limit until the returned value is dropped, evicting frames where needed.
    /// `operator` names who asks, for the error.
    pub fn account(&self, operator: &str, bytes: u64) -> StorageResult<Accounted> {
        let patience = Patience::new(self.shared.wait);
        match self.shared.reserve(bytes, patience.started, patience.wait) {
            Ok(reservation) => Ok(reservation.into_scratch()),
            Err(StorageError::PoolTooSmall { limit, needed, .. }) => {
                Err(StorageError::OutOfMemory { operator: operator.to_owned(), needed, limit })
            }
            Err(other) => Err(other),
        }
    }

    /// Drops the frames of `count` pages from `first`, which nothing reachable refers to any more, before they are
    /// handed out again. Waits until nobody can see them.
    pub fn discard(&self, first: PageId, count: u64) -> StorageResult<()> {
        self.shared.discard_pages(first.0, count, self.shared.wait)
    }

    /// A handle that does not keep the pool.
    pub fn downgrade(&self) -> WeakBufferPool {
        WeakBufferPool { shared: Arc::downgrade(&self.shared) }
    }

    /// What the pool has done so far.
    pub fn stats(&self) -> BufferPoolStats {
        let Shared { budget, counters, workers, hits, .. } = &*self.shared;
        BufferPoolStats {
            limit_bytes: budget.limit(),
            used_bytes: budget.used(),
            peak_bytes: budget.peak(),
            resident_bytes: budget.used_by(Use::Frames),
            private_bytes: budget.used_by(Use::Private),
            scratch_bytes: budget.used_by(Use::Scratch),
            hits: hits.sum() + workers.slots().map(|slot| slot.hits.load(Relaxed)).sum::<u64>(),
            misses: counters.misses.load(Relaxed),
            evictions: counters.evictions.load(Relaxed),
            discards: counters.discards.load(Relaxed),
            reads: counters.reads.load(Relaxed),
            read_bytes: counters.read_bytes.load(Relaxed),
            read_ahead_blocks: counters.read_ahead_blocks.load(Relaxed),
            first_reads: counters.first_reads.load(Relaxed),
            epoch_waits: counters.epoch_waits.load(Relaxed),
        }
    }
}
