//! Random reading inside an epoch: no pins, one load of a state word per block.

use std::ops::{Deref, Range};
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;

use super::epoch::{Entered, EpochSlot};
use super::fault::{Blocks, Patience};
use super::frame::Want;
use super::lend::check_range;
use super::pool::{BufferPool, Shared};
use super::segment::{BLOCK_BYTES, PageRun, PagedSegment, Place, SegmentOwner, SegmentRef, corrupt};
use crate::storage::page::{PAGE_SIZE, PageRef};
use crate::storage::{StorageError, StorageResult};

/// Blocks that one range of a cursor spans at most; longer ones are read in pieces.
pub const CURSOR_BLOCKS_MAX: u32 = 16;

/// A thread's access to random reading. One per thread of a query.
pub struct PoolWorker {
    shared: Arc<Shared>,
    slot: usize,
}

impl BufferPool {
    /// A worker for one thread. `Limit` when some ten thousand are in use.
    pub fn worker(&self) -> StorageResult<PoolWorker> {
        let slot = self.shared.workers.take().ok_or_else(|| StorageError::Limit {
            what: "the number of threads that read at once".to_owned(),
            limit: 65_536,
        })?;
        Ok(PoolWorker { shared: Arc::clone(&self.shared), slot })
    }
}

impl PoolWorker {
    /// Enters an epoch. While the cursor lives the thread reads in no other way: it takes no guards and pushes no
    /// batch to an operator that might.
    pub fn cursor(&mut self) -> Cursor<'_> {
        // The index came from `take`, so the slot exists.
        let slot = self.shared.workers.slot(self.slot).expect("a slot that was handed out");
        let entered = Entered::new(&self.shared.workers.clock, slot);
        Cursor { shared: &self.shared, slot, entered, hits: 0 }
    }

    /// The pool that the worker reads from.
    pub fn pool(&self) -> BufferPool {
        BufferPool { shared: Arc::clone(&self.shared) }
    }
}

impl Drop for PoolWorker {
    fn drop(&mut self) {
        // A cursor that was leaked did not leave.
        if let Some(slot) = self.shared.workers.slot(self.slot) {
            slot.leave();
        }
        self.shared.workers.put_back(self.slot);
    }
}

/// Lends slices of segments, each until the next call.
pub struct Cursor<'w> {
    shared: &'w Shared,
    slot: &'w EpochSlot,
    entered: Entered<'w>,
    hits: u64,
}

/// A whole segment whose residency was checked once.
#[derive(Clone, Copy)]
pub struct SegmentView<'c> {
    bytes: &'c [u8],
}

impl<'c> SegmentView<'c> {
    /// The segment's bytes.
    #[inline(always)]
    pub fn bytes(self) -> &'c [u8] {
        self.bytes
    }
}

impl Deref for SegmentView<'_> {
    type Target = [u8];
    #[inline(always)]
    fn deref(&self) -> &[u8] {
        self.bytes
    }
}

impl Cursor<'_> {
    /// Leaves the epoch until the next reading, so that the thread may read by guards meanwhile: who waits for frames
    /// inside an epoch waits for himself.
    pub fn rest(&mut self) {
        self.entered.leave();
    }

    /// Lends bytes `range` of a segment, which may span up to `CURSOR_BLOCKS_MAX` blocks.
    #[inline]
    pub fn bytes<'s>(&'s mut self, segment: &'s SegmentRef, range: Range<u64>) -> StorageResult<&'s [u8]> {
        let Cursor { shared, entered, hits, .. } = self;
        let shared: &'s Shared = shared;
        match &segment.0 {
            Place::Paged(paged) => {
                *hits += 1;
                shared.frames.lend_part(entered, (paged, &range), |entered| {
                    lend_other(shared, entered, hits, segment, &range)
                })
            }
            Place::Inline { .. } => lend_other(shared, entered, hits, segment, &range),
        }
    }

    /// Lends two ranges at once.
    #[inline]
    pub fn pair<'s>(
        &'s mut self,
        left: &'s SegmentRef,
        left_range: Range<u64>,
        right: &'s SegmentRef,
        right_range: Range<u64>,
    ) -> StorageResult<(&'s [u8], &'s [u8])> {
        let Cursor { shared, entered, hits, .. } = self;
        let shared: &'s Shared = shared;
        *hits += 1;
        if let (Place::Paged(left_paged), Place::Paged(right_paged)) = (&left.0, &right.0) {
            let parts = ((left_paged, &left_range), (right_paged, &right_range));
            return shared.frames.lend_parts(entered, parts.0, parts.1, |entered| {
                lend_others(shared, entered, hits, (left, &left_range), (right, &right_range))
            });
        }
        lend_others(shared, entered, hits, (left, &left_range), (right, &right_range))
    }

    /// Lends a whole segment of at most `CURSOR_BLOCKS_MAX` blocks.
    pub fn view<'s>(&'s mut self, segment: &'s SegmentRef) -> StorageResult<SegmentView<'s>> {
        let bytes = self.bytes(segment, 0..segment.len())?;
        Ok(SegmentView { bytes })
    }

    /// Lends one page that is reached by its own reference, such as a node of an index.
    pub fn page<'s>(
        &'s mut self,
        reference: &PageRef,
        owner: &'s Arc<SegmentOwner>,
    ) -> StorageResult<&'s [u8; PAGE_SIZE]> {
        let shared = self.shared;
        let want =
            Want { run: PageRun { first: reference.page.0, count: 1 }, start: 0, end: PAGE_SIZE as u64 };
        self.hits += 1;
        let hits = &mut self.hits;
        let [bytes] = shared.frames.lend_in_epoch(&mut self.entered, &[want], |entered| {
            *hits -= 1;
            entered.leave();
            let segment = PagedSegment {
                pages: want.run,
                offset: 0,
                length: PAGE_SIZE as u64,
                root: *reference,
                depth: 0,
                owner: Arc::clone(owner),
            };
            let pins =
                shared.fault(&[Blocks { segment: &segment, blocks: 0..1 }], Patience::new(shared.wait))?;
            entered.renew();
            Ok(pins)
        })?;
        bytes.first_chunk().ok_or_else(|| corrupt(owner, reference.page.0, "a page that is cut short"))
    }

    /// Lends several ranges at once.
    pub fn slices<'s, const N: usize>(
        &'s mut self,
        wanted: [(&'s SegmentRef, Range<u64>); N],
    ) -> StorageResult<[&'s [u8]; N]> {
        self.hits += 1;
        lend_all(self.shared, &mut self.entered, &mut self.hits, &wanted)
    }

    /// Asks the processor to fetch the byte at `offset` into its caches. No effect when it is not resident.
    #[inline(always)]
    pub fn prefetch(&self, segment: &SegmentRef, offset: u64) {
        if let Place::Paged(paged) = &segment.0 {
            self.shared.frames.prefetch(paged.pages, paged.offset.saturating_add(offset));
        }
    }
}

impl Drop for Cursor<'_> {
    fn drop(&mut self) {
        // Only this thread writes the slot's count.
        let hits = &self.slot.hits;
        hits.store(hits.load(Relaxed) + self.hits, Relaxed);
    }
}

/// The error for a range of too many blocks.
fn check_span(start: u64, end: u64) -> StorageResult<()> {
    let most = u64::from(CURSOR_BLOCKS_MAX);
    if end - start <= (most - 1) * BLOCK_BYTES || (end - 1) / BLOCK_BYTES - start / BLOCK_BYTES < most {
        return Ok(());
    }
    Err(StorageError::Limit {
        what: format!("a cursor's range of {} bytes", end - start),
        limit: most * BLOCK_BYTES,
    })
}

/// Lends a range that is inline, empty, marked, spread over blocks, missing or wrong.
#[cold]
#[inline(never)]
fn lend_other<'s>(
    shared: &'s Shared,
    entered: &'s mut Entered<'_>,
    hits: &mut u64,
    segment: &'s SegmentRef,
    range: &Range<u64>,
) -> StorageResult<&'s [u8]> {
    let [bytes] = lend_all(shared, entered, hits, &[(segment, range.clone())])?;
    Ok(bytes)
}

/// As `lend_other`, for two ranges.
#[cold]
#[inline(never)]
fn lend_others<'s>(
    shared: &'s Shared,
    entered: &'s mut Entered<'_>,
    hits: &mut u64,
    left: (&'s SegmentRef, &Range<u64>),
    right: (&'s SegmentRef, &Range<u64>),
) -> StorageResult<(&'s [u8], &'s [u8])> {
    let wanted = [(left.0, left.1.clone()), (right.0, right.1.clone())];
    let [left, right] = lend_all(shared, entered, hits, &wanted)?;
    Ok((left, right))
}

/// Lends ranges of any kind; a miss takes back the hit that the caller has counted.
fn lend_all<'s, const N: usize>(
    shared: &'s Shared,
    entered: &'s mut Entered<'_>,
    hits: &mut u64,
    wanted: &[(&'s SegmentRef, Range<u64>); N],
) -> StorageResult<[&'s [u8]; N]> {
    let mut wants = [Want { run: PageRun { first: 0, count: 0 }, start: 0, end: 0 }; N];
    let mut inline = [None; N];
    for ((want, inline), (segment, range)) in wants.iter_mut().zip(&mut inline).zip(wanted) {
        check_range(segment, range)?;
        match &segment.0 {
            Place::Inline { bytes, start, .. } => {
                *inline = bytes.get(start + range.start as usize..start + range.end as usize);
            }
            Place::Paged(paged) => {
                let (start, end) = (paged.offset + range.start, paged.offset + range.end);
                *want = Want { run: paged.pages, start, end };
                check_span(start, end)?;
            }
        }
    }
    let mut lent = shared.frames.lend_in_epoch(entered, &wants, |entered| {
        *hits = hits.saturating_sub(1);
        entered.leave();
        let pins = fault_all(shared, wanted, &wants)?;
        entered.renew();
        Ok(pins)
    })?;
    for (lent, inline) in lent.iter_mut().zip(inline) {
        *lent = inline.unwrap_or(lent);
    }
    Ok(lent)
}

#[cold]
#[inline(never)]
fn fault_all(
    shared: &Shared,
    wanted: &[(&SegmentRef, Range<u64>)],
    wants: &[Want],
) -> StorageResult<Vec<super::frame::PinnedBlock>> {
    let paged = wanted.iter().zip(wants).filter_map(|((segment, _), want)| match &segment.0 {
        Place::Paged(segment) => Some(Blocks { segment, blocks: want.blocks() }),
        Place::Inline { .. } => None,
    });
    shared.fault(&paged.collect::<Vec<_>>(), Patience::new(shared.wait))
}
