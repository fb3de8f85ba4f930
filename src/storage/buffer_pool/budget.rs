//! The byte limit: one count of everything that frames, private buffers and accounted scratch hold. Bytes are
//! counted before they are used, so the limit cannot be passed.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use parking_lot::Mutex;

use super::cast::AlignedBuffer;

/// What reserved bytes are used for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Use {
    Frames,
    Private,
    Scratch,
}

/// The limit and how much of it is used.
pub(super) struct Budget {
    limit: u64,
    used: AtomicU64,
    peak: AtomicU64,
    by_use: [AtomicU64; 3],
    /// Private buffers that nobody uses at the moment, smallest first; counted as private.
    recycled: Mutex<Vec<AlignedBuffer>>,
}

impl Budget {
    pub(super) fn new(limit: u64) -> Budget {
        let zero = || AtomicU64::new(0);
        Budget {
            limit,
            used: zero(),
            peak: zero(),
            by_use: [zero(), zero(), zero()],
            recycled: Mutex::default(),
        }
    }

    pub(super) fn limit(&self) -> u64 {
        self.limit
    }

    pub(super) fn used(&self) -> u64 {
        self.used.load(Relaxed)
    }

    pub(super) fn peak(&self) -> u64 {
        self.peak.load(Relaxed)
    }

    pub(super) fn used_by(&self, kind: Use) -> u64 {
        self.by_use[kind as usize].load(Relaxed)
    }

    /// Takes between 1 and `wanted` bytes, as many as are free; 0 when none is.
    fn take_up_to(&self, wanted: u64, least: u64) -> u64 {
        let mut used = self.used.load(Relaxed);
        loop {
            let taken = wanted.min(self.limit.saturating_sub(used));
            if taken < least || taken == 0 {
                return 0;
            }
            match self.used.compare_exchange_weak(used, used + taken, Relaxed, Relaxed) {
                Ok(_) => {
                    self.peak.fetch_max(used + taken, Relaxed);
                    return taken;
                }
                Err(now) => used = now,
            }
        }
    }

    /// Reserves exactly `bytes` if they are free.
    pub(super) fn try_reserve(self: &Arc<Self>, bytes: u64) -> Option<Reservation> {
        let taken = self.take_up_to(bytes, bytes);
        (taken == bytes).then(|| Reservation { budget: Arc::clone(self), bytes })
    }

    /// A reservation of nothing, to be filled by `top_up` and `absorb`.
    pub(super) fn empty(self: &Arc<Self>) -> Reservation {
        Reservation { budget: Arc::clone(self), bytes: 0 }
    }

    /// Frees the recycled private buffers. Whether there were any.
    pub(super) fn trim(&self) -> bool {
        let buffers = std::mem::take(&mut *self.recycled.lock());
        let bytes: u64 = buffers.iter().map(|buffer| buffer.capacity() as u64).sum();
        drop(buffers);
        self.give_back(Use::Private, bytes);
        bytes > 0
    }

    fn give_back(&self, kind: Use, bytes: u64) {
        self.by_use[kind as usize].fetch_sub(bytes, Relaxed);
        self.used.fetch_sub(bytes, Relaxed);
    }

    /// A recycled buffer that can hold `bytes` and is not much larger.
    pub(super) fn recycled(self: &Arc<Self>, bytes: usize) -> Option<PrivateBuffer> {
        let mut recycled = self.recycled.lock();
        let fit =
            recycled.iter().rposition(|b| b.capacity() >= bytes && b.capacity() <= bytes.max(1 << 14) * 4)?;
        let mut buffer = recycled.swap_remove(fit);
        buffer.set_len(bytes);
        Some(PrivateBuffer { budget: Arc::clone(self), buffer })
    }
}

/// Reserved bytes that are not in use yet; free again when dropped.
pub(super) struct Reservation {
    budget: Arc<Budget>,
    bytes: u64,
}

impl Reservation {
    pub(super) fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Takes what is free, up to `target` bytes in all. Whether the target is reached.
    pub(super) fn top_up(&mut self, target: u64) -> bool {
        let missing = target.saturating_sub(self.bytes);
        self.bytes += self.budget.take_up_to(missing, 1);
        self.bytes >= target
    }

    /// Takes over the bytes of evicted frames; what is not needed for `target` becomes free.
    pub(super) fn absorb(&mut self, freed: u64, target: u64) {
        let kept = freed.min(target.saturating_sub(self.bytes));
        self.budget.by_use[Use::Frames as usize].fetch_sub(freed, Relaxed);
        self.budget.used.fetch_sub(freed - kept, Relaxed);
        self.bytes += kept;
    }

    /// Turns reserved bytes into used ones; whoever uses them gives them back.
    pub(super) fn spend(&mut self, kind: Use, bytes: u64) {
        debug_assert!(bytes <= self.bytes, "more spent than reserved");
        self.bytes = self.bytes.saturating_sub(bytes);
        self.budget.by_use[kind as usize].fetch_add(bytes, Relaxed);
    }

    /// A private buffer of `bytes` bytes, which are all reserved (see `private_bytes`).
    pub(super) fn into_buffer(mut self, bytes: usize) -> PrivateBuffer {
        let mut buffer = AlignedBuffer::zeroed(private_bytes(bytes) as usize);
        self.spend(Use::Private, buffer.capacity() as u64);
        buffer.set_len(bytes);
        PrivateBuffer { budget: Arc::clone(&self.budget), buffer }
    }

    /// Scratch of the reserved size.
    pub(super) fn into_scratch(mut self) -> Accounted {
        let bytes = self.bytes;
        self.spend(Use::Scratch, bytes);
        Accounted { budget: Arc::clone(&self.budget), bytes }
    }
}

impl Drop for Reservation {
    fn drop(&mut self) {
        self.budget.used.fetch_sub(self.bytes, Relaxed);
    }
}

/// The bytes that a private buffer for `bytes` bytes takes: a power of two, so that it fits others later.
pub(super) fn private_bytes(bytes: usize) -> u64 {
    bytes.next_power_of_two().max(1 << 14) as u64
}

/// A private copy of pages; the memory is kept for the next one.
pub(super) struct PrivateBuffer {
    budget: Arc<Budget>,
    pub(super) buffer: AlignedBuffer,
}

impl Drop for PrivateBuffer {
    fn drop(&mut self) {
        let buffer = std::mem::take(&mut self.buffer);
        let bytes = buffer.capacity() as u64;
        let mut recycled = self.budget.recycled.lock();
        let kept: u64 = recycled.iter().map(|other| other.capacity() as u64).sum();
        if kept + bytes <= self.budget.limit / 8 && recycled.len() < 64 {
            recycled.push(buffer);
        } else {
            drop(recycled);
            drop(buffer);
            self.budget.give_back(Use::Private, bytes);
        }
    }
}

/// Bytes that count against the pool's limit while this value lives.
pub struct Accounted {
    budget: Arc<Budget>,
    bytes: u64,
}

impl Accounted {
    /// Bytes counted.
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Takes over the bytes of another account of the same pool.
    pub fn merge(&mut self, mut other: Accounted) {
        debug_assert!(Arc::ptr_eq(&self.budget, &other.budget), "accounts of different pools");
        self.bytes += std::mem::take(&mut other.bytes);
    }

    /// Gives back what exceeds `bytes`.
    pub fn shrink_to(&mut self, bytes: u64) {
        let freed = self.bytes.saturating_sub(bytes);
        self.bytes -= freed;
        self.budget.give_back(Use::Scratch, freed);
    }
}

impl Drop for Accounted {
    fn drop(&mut self) {
        self.budget.give_back(Use::Scratch, self.bytes);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_reserved_beyond_the_limit() {
        let budget = Arc::new(Budget::new(100_000));
        let first = budget.try_reserve(90_000).expect("free");
        assert!(budget.try_reserve(10_001).is_none());
        let mut rest = budget.empty();
        assert!(!rest.top_up(20_000));
        assert_eq!((rest.bytes(), budget.used()), (10_000, 100_000));
        drop(first);
        assert!(rest.top_up(20_000));
        let mut scratch = rest.into_scratch();
        assert_eq!((budget.used(), budget.used_by(Use::Scratch)), (20_000, 20_000));
        scratch.shrink_to(5_000);
        assert_eq!(budget.used(), 5_000);
        drop(scratch);
        assert_eq!((budget.used(), budget.peak()), (0, 100_000));
    }

    #[test]
    fn private_buffers_are_recycled_and_trimmed() {
        let budget = Arc::new(Budget::new(1 << 20));
        let buffer =
            |bytes: usize| budget.try_reserve(private_bytes(bytes)).expect("free").into_buffer(bytes);
        drop(buffer(20_000));
        assert_eq!(budget.used_by(Use::Private), 32_768);
        let again = budget.recycled(17_000).expect("recycled");
        assert_eq!(again.buffer.len(), 17_000);
        assert!(budget.recycled(17_000).is_none());
        drop(again);
        assert!(budget.trim() && !budget.trim());
        assert_eq!(budget.used(), 0);
        drop(buffer(500_000));
        assert_eq!(budget.used(), 0, "a large buffer is not kept");
    }
}
