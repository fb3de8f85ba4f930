//! Epochs: how the evictor knows that no reader can still hold a slice of a block that it has marked.
//!
//! A reader stores the number of the current epoch in its slot, then a full fence, then looks at state words. The
//! evictor marks, then a full fence, then advances the epoch from `e` to `e + 1` and later looks at the slots. Of
//! the two fences one is first. If it is the reader's, the evictor sees its slot, which holds at most `e`, and waits
//! until it is left or renewed. If it is the evictor's, the reader sees the mark. A slot that holds an older
//! number than it could costs the evictor a longer wait and nothing else, so entering needs no second look.
//!
//! On x86 a locked exchange is a full fence and cheaper than `mfence`, so there the store and the fence are one
//! exchange. The language's memory model does not promise that, hence the plain form everywhere else, under Miri
//! and in the model check.

use super::sync::{AtomicU64, EXCHANGE_IS_FENCE, Ordering, fence};

/// Where a reader is: 0 outside, else the epoch that it entered. Padded, since each belongs to one thread.
#[repr(align(128))]
pub(super) struct EpochSlot {
    entered: AtomicU64,
    /// Reads that found their block resident; written by the owner only.
    pub(super) hits: AtomicU64,
}

impl EpochSlot {
    pub(super) fn new() -> EpochSlot {
        EpochSlot { entered: AtomicU64::new(0), hits: AtomicU64::new(0) }
    }

    /// Leaves the epoch: all reads so far happen before an eviction that sees the slot empty.
    pub(super) fn leave(&self) {
        self.entered.store(0, Ordering::Release);
    }

    /// Whether a reader that entered in `epoch` or before may still be inside.
    fn may_see(&self, epoch: u64) -> bool {
        let entered = self.entered.load(Ordering::Acquire);
        entered != 0 && entered <= epoch
    }
}

/// The number of the current epoch.
#[repr(align(128))]
pub(super) struct EpochClock {
    now: AtomicU64,
}

impl EpochClock {
    pub(super) fn new() -> EpochClock {
        EpochClock { now: AtomicU64::new(1) }
    }

    /// The current epoch; one load of a line that changes only with evictions.
    #[inline(always)]
    pub(super) fn now(&self) -> u64 {
        self.now.load(Ordering::Relaxed)
    }

    /// Enters the current epoch, or moves on to it from an older one. Nothing read in the older one may be used
    /// afterwards.
    #[inline]
    pub(super) fn enter(&self, slot: &EpochSlot) -> u64 {
        let epoch = self.now();
        if EXCHANGE_IS_FENCE {
            slot.entered.swap(epoch, Ordering::SeqCst);
            std::sync::atomic::compiler_fence(Ordering::SeqCst);
        } else {
            slot.entered.store(epoch, Ordering::Release);
            fence(Ordering::SeqCst);
        }
        epoch
    }

    /// Evictor only, after it has marked: ends the current epoch and returns its number.
    pub(super) fn advance(&self) -> u64 {
        fence(Ordering::SeqCst);
        self.now.fetch_add(1, Ordering::SeqCst)
    }

    /// Evictor only: whether everyone who entered in `epoch` or before is gone.
    pub(super) fn passed<'s>(
        &self,
        epoch: u64,
        mut slots: impl Iterator<Item = &'s EpochSlot>,
    ) -> Option<Passed> {
        let anyone = slots.any(|slot| slot.may_see(epoch));
        (!anyone).then_some(Passed { epoch })
    }
}

/// The proof that an epoch has ended for every reader; taking a marked block needs one of its mark or later.
#[derive(Clone, Copy)]
pub(super) struct Passed {
    pub(super) epoch: u64,
}

/// A thread's stay in an epoch. What it has found resident stays in place until `renew`, `leave` or the drop.
pub(super) struct Entered<'w> {
    clock: &'w EpochClock,
    slot: &'w EpochSlot,
    epoch: u64,
}

impl<'w> Entered<'w> {
    /// Enters the current epoch. `slot` belongs to the calling thread alone.
    pub(super) fn new(clock: &'w EpochClock, slot: &'w EpochSlot) -> Entered<'w> {
        Entered { clock, slot, epoch: clock.enter(slot) }
    }

    /// Moves on to the current epoch, so that the evictor need not wait for what was lent before.
    #[inline(always)]
    pub(super) fn renew(&mut self) {
        if self.clock.now() != self.epoch {
            self.epoch = self.clock.enter(self.slot);
        }
    }

    /// Ends the stay; `renew` begins the next.
    pub(super) fn leave(&mut self) {
        self.slot.leave();
        self.epoch = 0;
    }
}

impl Drop for Entered<'_> {
    fn drop(&mut self) {
        self.slot.leave();
    }
}
