//! The slots in which threads announce their epochs: handed out to workers, never moved or freed while the pool lives.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicUsize, Ordering};

use parking_lot::Mutex;

use super::epoch::{EpochClock, EpochSlot, Passed};

const CHUNK_SLOTS: usize = 64;
const CHUNKS: usize = 1024;

/// All slots of a pool and the clock that they refer to.
pub(super) struct Workers {
    pub(super) clock: EpochClock,
    chunks: Box<[OnceLock<Box<[EpochSlot]>>]>,
    /// Slots that were ever in use are the first ones.
    ever: AtomicUsize,
    free: Mutex<Vec<usize>>,
    /// Lets a test see that it would notice an evictor that does not wait.
    #[cfg(test)]
    pub(super) evict_at_once: std::sync::atomic::AtomicBool,
}

impl Workers {
    pub(super) fn new() -> Workers {
        Workers {
            clock: EpochClock::new(),
            chunks: (0..CHUNKS).map(|_| OnceLock::new()).collect(),
            ever: AtomicUsize::new(0),
            free: Mutex::new(Vec::new()),
            #[cfg(test)]
            evict_at_once: std::sync::atomic::AtomicBool::new(false),
        }
    }

    /// A slot for one thread's use; `None` when tens of thousands are in use.
    pub(super) fn take(&self) -> Option<usize> {
        let mut free = self.free.lock();
        if let Some(index) = free.pop() {
            return Some(index);
        }
        let index = self.ever.load(Ordering::Relaxed);
        let chunk = self.chunks.get(index / CHUNK_SLOTS)?;
        chunk.get_or_init(|| (0..CHUNK_SLOTS).map(|_| EpochSlot::new()).collect());
        // An evictor that does not see the new count yet has marked before the slot's owner looks at any mark:
        // entering an epoch is a full fence on both sides.
        self.ever.store(index + 1, Ordering::SeqCst);
        Some(index)
    }

    /// Gives a slot back; its owner has left its epoch.
    pub(super) fn put_back(&self, index: usize) {
        self.free.lock().push(index);
    }

    /// The slot of an index from `take`.
    pub(super) fn slot(&self, index: usize) -> Option<&EpochSlot> {
        self.chunks.get(index / CHUNK_SLOTS)?.get()?.get(index % CHUNK_SLOTS)
    }

    /// All slots that were ever in use.
    pub(super) fn slots(&self) -> impl Iterator<Item = &EpochSlot> {
        let ever = self.ever.load(Ordering::SeqCst);
        self.chunks.iter().map_while(OnceLock::get).flatten().take(ever)
    }

    /// Whether everyone who entered in `epoch` or before is gone.
    pub(super) fn passed(&self, epoch: u64) -> Option<Passed> {
        #[cfg(test)]
        if self.evict_at_once.load(Ordering::Relaxed) {
            return Some(Passed { epoch: u64::MAX });
        }
        self.clock.passed(epoch, self.slots())
    }
}
