//! The state of one block, in one word.
//!
//! Rules, on which the soundness of every lent slice rests:
//!
//! 1. Bytes of a block are written or given back only by the holder of its lock (`LOCKED`).
//! 2. A block is locked for loading from `EVICTED` only, and for eviction only when it is marked and nobody pins it.
//! 3. A reader inside an epoch that meets a mark takes it off before it reads.
//! 4. Marks are set by the one evictor only, which locks a marked block no earlier than every epoch that was entered
//!    before the mark has ended.
//!
//! So a reader in an epoch either came before the mark, and the evictor waits for it, or took the mark off, and the
//! evictor's exchange fails, or finds the block locked or evicted and loads it again.

use super::sync::{AtomicU64, Ordering};

const PINS: u64 = (1 << 24) - 1;
const STATE: u64 = 3 << 24;
const EVICTED: u64 = 0;
const LOCKED: u64 = 1 << 24;
const RESIDENT: u64 = 2 << 24;
const COVERED: u64 = 3 << 24;
/// The block will be evicted unless it is read soon.
const MARK: u64 = 1 << 27;
/// The evictor's queues hold an entry for this page.
const QUEUED: u64 = 1 << 28;
/// Readers may not take the mark off: the evictor found nothing else.
const STERN: u64 = 1 << 29;
/// An evicted block was read before, into a private buffer; any change of state forgets it.
const READ_ONCE: u64 = 1 << 30;
/// Pages of the block (its first page), or the distance to the first page (the other pages).
const PAGES_SHIFT: u32 = 32;
const PAGES: u64 = 31 << PAGES_SHIFT;

/// One word per page; the word of a block's first page stands for the block, the others say whom they belong to.
/// A zeroed word is an evicted page.
#[repr(transparent)]
pub(super) struct BlockWord(AtomicU64);

/// What came of an attempt to pin.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Pin {
    /// Pinned; `unpin` is owed.
    Pinned,
    /// Another thread loads or evicts it.
    Busy,
    /// Not resident.
    Missing,
    /// The page is resident as part of another structure, or pinned beyond counting.
    Conflict,
}

/// What the evictor found where it wanted to mark or to take a block.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Candidate {
    /// Marked, or locked for eviction, with this many pages.
    Taken(u32),
    /// In use: pinned, or read since it was marked.
    Used,
    /// No longer a resident block; the queue entry is void.
    Gone,
}

/// What a page is part of, for `discard`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Seen {
    Evicted,
    Locked,
    /// The first page of a resident block.
    Resident,
    /// Part of the block whose first page is this many pages before.
    Covered(u32),
}

impl BlockWord {
    /// An evicted page. In the pool the words are zeroed memory; the model test makes its own.
    #[cfg(loom)]
    #[allow(dead_code, reason = "for the model test, which includes this file")]
    pub(super) fn new() -> BlockWord {
        BlockWord(AtomicU64::new(0))
    }

    /// Whether the block is resident in the expected size and unmarked: the one load of the warm path.
    #[inline(always)]
    pub(super) fn is_resident(&self, pages: u32) -> bool {
        self.0.load(Ordering::Acquire) & (STATE | MARK | PAGES) == RESIDENT | u64::from(pages) << PAGES_SHIFT
    }

    /// Whether the block is resident in the expected size, marked or not; a hint for planning.
    pub(super) fn is_here(&self, pages: u32) -> bool {
        self.0.load(Ordering::Relaxed) & (STATE | PAGES) == RESIDENT | u64::from(pages) << PAGES_SHIFT
    }

    /// Rule 3: whether the block may be read inside the current epoch; takes a mark off.
    pub(super) fn touch(&self, pages: u32) -> bool {
        let mut word = self.0.load(Ordering::Acquire);
        loop {
            if word & (STATE | PAGES) != RESIDENT | u64::from(pages) << PAGES_SHIFT || word & STERN != 0 {
                return false;
            }
            if word & MARK == 0 {
                return true;
            }
            match self.0.compare_exchange_weak(word, word & !MARK, Ordering::AcqRel, Ordering::Acquire) {
                Ok(_) => return true,
                Err(now) => word = now,
            }
        }
    }

    /// Pins a resident block of the expected size and takes a mark off.
    pub(super) fn try_pin(&self, pages: u32) -> Pin {
        let mut word = self.0.load(Ordering::Acquire);
        loop {
            match word & STATE {
                EVICTED => return Pin::Missing,
                LOCKED => return Pin::Busy,
                RESIDENT if word & PAGES == u64::from(pages) << PAGES_SHIFT && word & PINS < PINS => {}
                _ => return Pin::Conflict,
            }
            if word & STERN != 0 {
                return Pin::Busy;
            }
            match self.0.compare_exchange_weak(word, (word & !MARK) + 1, Ordering::AcqRel, Ordering::Acquire)
            {
                Ok(_) => return Pin::Pinned,
                Err(now) => word = now,
            }
        }
    }

    /// Gives one pin back.
    pub(super) fn unpin(&self) {
        let before = self.0.fetch_sub(1, Ordering::Release);
        debug_assert!(before & PINS > 0 && before & STATE == RESIDENT, "unpin without a pin");
    }

    /// Changes an evicted page's word to `to`, keeping `QUEUED`.
    fn take_evicted(&self, to: u64) -> bool {
        let mut word = self.0.load(Ordering::Relaxed);
        while word & STATE == EVICTED {
            match self.0.compare_exchange_weak(word, word & QUEUED | to, Ordering::Acquire, Ordering::Relaxed)
            {
                Ok(_) => return true,
                Err(now) => word = now,
            }
        }
        false
    }

    /// Notes that an evicted block is read past the frames. Whether this is its first time since it was resident.
    pub(super) fn read_once(&self) -> bool {
        let mut word = self.0.load(Ordering::Relaxed);
        while word & (STATE | READ_ONCE) == EVICTED {
            match self.0.compare_exchange_weak(word, word | READ_ONCE, Ordering::Relaxed, Ordering::Relaxed) {
                Ok(_) => return true,
                Err(now) => word = now,
            }
        }
        false
    }

    /// Locks an evicted block for loading.
    pub(super) fn claim(&self, pages: u32) -> bool {
        self.take_evicted(LOCKED | u64::from(pages) << PAGES_SHIFT)
    }

    /// Makes an evicted page part of the locked block whose first page is `distance` pages before.
    pub(super) fn cover(&self, distance: u32) -> bool {
        self.take_evicted(COVERED | u64::from(distance) << PAGES_SHIFT)
    }

    /// Gives a page of a locked block back: the inverse of `claim` and `cover`, and the end of an eviction.
    pub(super) fn vacate(&self) {
        self.0.fetch_and(QUEUED, Ordering::Release);
    }

    /// Makes a locked block readable, pinned `pins` times. Whether the caller owes the queue an entry.
    pub(super) fn publish(&self, pins: u32, queue: bool) -> bool {
        let mut word = self.0.load(Ordering::Relaxed);
        loop {
            debug_assert_eq!(word & STATE, LOCKED, "publish without a lock");
            let queued = if queue { QUEUED } else { word & QUEUED };
            let to = word & PAGES | RESIDENT | queued | u64::from(pins);
            match self.0.compare_exchange_weak(word, to, Ordering::Release, Ordering::Relaxed) {
                Ok(_) => return queue && word & QUEUED == 0,
                Err(now) => word = now,
            }
        }
    }

    /// Evictor only: marks a resident block that nobody pins.
    pub(super) fn mark(&self, stern: bool) -> Candidate {
        let flags = if stern { MARK | STERN } else { MARK };
        self.change(|word| if word & PINS == 0 { Some(word | flags) } else { None })
    }

    /// Evictor only, after the epochs of the mark: locks the block if it is still marked and unpinned.
    pub(super) fn condemn(&self) -> Candidate {
        self.change(|word| {
            let takeable = word & PINS == 0 && word & MARK != 0;
            takeable.then_some(word & (PAGES | QUEUED) | LOCKED)
        })
    }

    /// Evictor only: takes a mark back that it does not follow up.
    pub(super) fn unmark(&self) {
        self.0.fetch_and(!(MARK | STERN), Ordering::Relaxed);
    }

    /// Applies a change to a resident block; voids the queue entry of anything else.
    fn change(&self, to: impl Fn(u64) -> Option<u64>) -> Candidate {
        let mut word = self.0.load(Ordering::Relaxed);
        loop {
            let (wanted, outcome) = if word & STATE == RESIDENT {
                let pages = ((word & PAGES) >> PAGES_SHIFT) as u32;
                match to(word) {
                    Some(wanted) => (wanted, Candidate::Taken(pages)),
                    None => return Candidate::Used,
                }
            } else {
                (word & !QUEUED, Candidate::Gone)
            };
            match self.0.compare_exchange_weak(word, wanted, Ordering::AcqRel, Ordering::Relaxed) {
                Ok(_) => return outcome,
                Err(now) => word = now,
            }
        }
    }

    /// After `condemn`: the entry left the queues for good.
    pub(super) fn clear_queued(&self) {
        self.0.fetch_and(!QUEUED, Ordering::Relaxed);
    }

    /// What the page is part of.
    pub(super) fn seen(&self) -> Seen {
        let word = self.0.load(Ordering::Acquire);
        match word & STATE {
            EVICTED => Seen::Evicted,
            LOCKED => Seen::Locked,
            RESIDENT => Seen::Resident,
            _ => Seen::Covered(((word & PAGES) >> PAGES_SHIFT) as u32),
        }
    }

    /// Whether another thread is loading or evicting the block, or keeps readers off it.
    pub(super) fn is_busy(&self) -> bool {
        let word = self.0.load(Ordering::Acquire);
        word & STATE == LOCKED || word & STERN != 0
    }
}
