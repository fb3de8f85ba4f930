//! Frames: the bytes of resident blocks and who may touch them. Everything unsafe about reading and writing page
//! memory is here; the rules that make it sound are in `state.rs` and `epoch.rs`.
#![allow(unsafe_code)]

use std::ops::{Deref, Range};
use std::slice;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering, fence};
use std::time::{Duration, Instant};

use parking_lot::{Condvar, Mutex};

use super::epoch::{Entered, Passed};
use super::mapping::{Region, RegionTable};
use super::segment::{BLOCK_BYTES, BLOCK_PAGES, PageRun, PagedSegment, blocks_of};
use super::state::{BlockWord, Candidate, Pin, Seen};
use crate::storage::page::{PAGE_SIZE, REGION_PAGES};
use crate::storage::{StorageError, StorageResult};

/// Bytes `start..end` of an extent's data pages.
#[derive(Clone, Copy, Debug)]
pub(super) struct Want {
    pub(super) run: PageRun,
    pub(super) start: u64,
    pub(super) end: u64,
}

impl Want {
    /// The blocks that hold the bytes; none for an empty range.
    pub(super) fn blocks(&self) -> Range<u32> {
        if self.start < self.end { blocks_of(self.start, self.end) } else { 0..0 }
    }
}

/// Where threads wait for blocks that others load or evict; shared by many blocks.
#[derive(Default)]
struct Waiting {
    lock: Mutex<()>,
    ready: Condvar,
    count: AtomicU32,
}

/// Every region's frames and state words.
pub(super) struct Frames {
    table: RegionTable,
    waiting: [Waiting; 16],
}

impl Frames {
    pub(super) fn new() -> Frames {
        Frames { table: RegionTable::new(), waiting: Default::default() }
    }

    /// The region of an extent's pages and the place of the first among its pages. `None` as well when the region
    /// is too small to give all of them an address.
    #[inline(always)]
    fn region_of(&self, run: PageRun) -> Option<(&Region, u32)> {
        let region = self.table.get(run.first)?;
        let first = (run.first % REGION_PAGES) as u32;
        (u64::from(first) + u64::from(run.count) <= u64::from(region.pages())).then_some((region, first))
    }

    /// Reserves address space for an extent's pages.
    pub(super) fn reserve(&self, run: PageRun) -> StorageResult<()> {
        self.table.get_or_reserve(run.first)?;
        match self.region_of(run) {
            Some(_) => Ok(()),
            None => Err(StorageError::OutOfMemory {
                operator: "reserving address space for pages".to_owned(),
                needed: u64::from(run.count) * PAGE_SIZE as u64,
                limit: 0,
            }),
        }
    }

    fn word(&self, page: u64) -> Option<&BlockWord> {
        self.table.get(page)?.words().get((page % REGION_PAGES) as usize)
    }

    /// Where the wanted bytes are, if every block of them is resident; takes their marks off. The caller is in an
    /// epoch or pins the blocks, else the answer means nothing.
    fn locate(&self, want: &Want) -> Option<Located> {
        if want.start >= want.end {
            return Some(Located { start: std::ptr::NonNull::dangling().as_ptr(), length: 0 });
        }
        let Want { run, start, end } = *want;
        let (region, first) = self.region_of(run)?;
        if end > u64::from(run.count) * PAGE_SIZE as u64 {
            return None;
        }
        for block in blocks_of(start, end) {
            let pages = run.pages_of(block);
            let word = region.words().get((first + block * BLOCK_PAGES) as usize)?;
            if !word.is_resident(pages) && !word.touch(pages) {
                return None;
            }
        }
        // SAFETY: `region_of` found room for all pages of the run behind `first`, and `start` lies within them.
        let at = unsafe { region.base().add(first as usize * PAGE_SIZE + start as usize) };
        Some(Located { start: at, length: (end - start) as usize })
    }

    /// Where a part of a segment is, if it lies within one block that is resident and unmarked: what nearly every
    /// warm read needs, in as few instructions as possible. The caller is in an epoch.
    ///
    /// That the part lies within the extent's pages was checked when the segment was made; that those have an address
    /// was checked before the block became resident.
    #[inline(always)]
    fn probe(&self, segment: &PagedSegment, range: &Range<u64>) -> Option<Located> {
        if range.start >= range.end || range.end > segment.length {
            return None;
        }
        let (start, last) = (segment.offset + range.start, segment.offset + range.end - 1);
        let block = start / BLOCK_BYTES;
        let run = segment.pages;
        let region = self.table.get(run.first)?;
        let first = run.first % REGION_PAGES;
        let word = region.words().get((first + block * u64::from(BLOCK_PAGES)) as usize)?;
        if block != last / BLOCK_BYTES || !word.is_resident(run.pages_of(block as u32)) {
            return None;
        }
        // SAFETY: the block is resident in the size that the run gives it, so it was loaded at this place of the
        // region, and `start` lies within it.
        let start = unsafe { region.base().add((first * PAGE_SIZE as u64 + start) as usize) };
        Some(Located { start, length: (range.end - range.start) as usize })
    }

    /// Lends part of a segment for as long as the epoch is stayed in. `otherwise` lends what is not simply there.
    #[inline(always)]
    pub(super) fn lend_part<'e, 'w>(
        &'e self,
        entered: &'e mut Entered<'w>,
        (segment, range): (&PagedSegment, &Range<u64>),
        otherwise: impl FnOnce(&'e mut Entered<'w>) -> StorageResult<&'e [u8]>,
    ) -> StorageResult<&'e [u8]> {
        entered.renew();
        match self.probe(segment, range) {
            // SAFETY: as in `lend_in_epoch`.
            Some(located) => Ok(unsafe { located.lend() }),
            None => otherwise(entered),
        }
    }

    /// As `lend_part`, for two parts at once.
    #[inline(always)]
    pub(super) fn lend_parts<'e, 'w>(
        &'e self,
        entered: &'e mut Entered<'w>,
        left: (&PagedSegment, &Range<u64>),
        right: (&PagedSegment, &Range<u64>),
        otherwise: impl FnOnce(&'e mut Entered<'w>) -> StorageResult<(&'e [u8], &'e [u8])>,
    ) -> StorageResult<(&'e [u8], &'e [u8])> {
        entered.renew();
        match (self.probe(left.0, left.1), self.probe(right.0, right.1)) {
            // SAFETY: as in `lend_in_epoch`.
            (Some(left), Some(right)) => Ok(unsafe { (left.lend(), right.lend()) }),
            _ => otherwise(entered),
        }
    }

    /// Lends several ranges at once for as long as the epoch is stayed in. `fault` is called when a block is missing;
    /// it returns with all blocks pinned and `entered` in an epoch that began after that.
    pub(super) fn lend_in_epoch<'e, const N: usize>(
        &'e self,
        entered: &'e mut Entered<'_>,
        wants: &[Want; N],
        fault: impl FnOnce(&mut Entered<'_>) -> StorageResult<Vec<PinnedBlock>>,
    ) -> StorageResult<[&'e [u8]; N]> {
        entered.renew();
        let mut located = self.locate_all(wants);
        if located.is_none() {
            let pins = fault(entered)?;
            located = self.locate_all(wants);
            drop(pins);
        }
        match located {
            // SAFETY: every block was found resident inside the epoch of `entered`, with all pages up to the end of
            // the range: the evictor gives none of them back before `entered` is left or renewed, which takes a
            // mutable borrow that the slices forbid. Nobody writes to a resident block.
            Some(all) => Ok(all.map(|one| unsafe { one.lend() })),
            // Not reached: pinned blocks of the wanted size are resident.
            None => Err(StorageError::PoolTooSmall { limit: 0, needed: 0, waited_ms: 0 }),
        }
    }

    fn locate_all<const N: usize>(&self, wants: &[Want; N]) -> Option<[Located; N]> {
        let mut all = [Located { start: std::ptr::null(), length: 0 }; N];
        for (one, want) in all.iter_mut().zip(wants) {
            *one = self.locate(want)?;
        }
        Some(all)
    }

    /// Whether the block is resident now; a hint unless it is pinned.
    pub(super) fn is_resident(&self, run: PageRun, block: u32) -> bool {
        self.word(run.page_of(block)).is_some_and(|word| word.is_here(run.pages_of(block)))
    }

    /// Notes that a block is read past the frames. Whether it is evicted and this is the first time.
    pub(super) fn read_once(&self, run: PageRun, block: u32) -> bool {
        self.word(run.page_of(block)).is_some_and(|word| word.read_once())
    }

    /// Pins a block.
    pub(super) fn pin(self: &Arc<Self>, run: PageRun, block: u32) -> Result<PinnedBlock, Pin> {
        let page = run.page_of(block);
        match self.word(page).map_or(Pin::Missing, |word| word.try_pin(run.pages_of(block))) {
            Pin::Pinned => Ok(PinnedBlock { frames: Arc::clone(self), page }),
            other => Err(other),
        }
    }

    /// Pins all blocks of a range, or none.
    pub(super) fn pin_range(self: &Arc<Self>, want: Want) -> Result<PinnedRange, Pin> {
        let blocks = want.blocks();
        let mut pinned = PinnedRange {
            frames: Arc::clone(self),
            run: want.run,
            blocks: blocks.start..blocks.start,
            located: Located { start: std::ptr::NonNull::dangling().as_ptr(), length: 0 },
        };
        for block in blocks {
            let word = self.word(want.run.page_of(block)).ok_or(Pin::Missing)?;
            match word.try_pin(want.run.pages_of(block)) {
                Pin::Pinned => pinned.blocks.end = block + 1,
                other => return Err(other),
            }
        }
        pinned.located = self.locate(&want).ok_or(Pin::Conflict)?;
        Ok(pinned)
    }

    /// Locks an evicted block for loading.
    pub(super) fn claim(self: &Arc<Self>, run: PageRun, block: u32) -> StorageResult<Claim> {
        self.reserve(run)?;
        let frames = Arc::clone(self);
        let mut loading = LoadRun { frames, run, blocks: block..block, conflict: None };
        Ok(match (loading.extend(), loading.conflict) {
            (true, _) => Claim::Taken(loading),
            (false, Some(page)) => Claim::Conflict(page),
            (false, None) => Claim::Busy,
        })
    }

    /// Marks a block for eviction. Evictor only.
    pub(super) fn mark(&self, page: u64, stern: bool) -> Candidate {
        self.word(page).map_or(Candidate::Gone, |word| word.mark(stern))
    }

    /// Takes a mark back. Evictor only.
    pub(super) fn unmark(&self, page: u64) {
        if let Some(word) = self.word(page) {
            word.unmark();
        }
    }

    /// Locks a block that is still marked since before `passed`. Evictor only.
    pub(super) fn condemn(&self, page: u64, marked: u64, passed: Passed) -> Result<Condemned, Candidate> {
        assert!(passed.epoch >= marked, "a block is taken only after the epochs that could have seen it");
        match self.word(page).map_or(Candidate::Gone, BlockWord::condemn) {
            Candidate::Taken(pages) => Ok(Condemned { page, pages }),
            other => Err(other),
        }
    }

    /// Gives the memory of condemned blocks back, neighbours together. `queued` says whether their queue entries
    /// are gone.
    pub(super) fn release(&self, condemned: &mut Vec<Condemned>, unqueued: bool) {
        condemned.sort_unstable_by_key(|block| block.page);
        for group in condemned.chunk_by(|left, right| {
            left.page + u64::from(left.pages) == right.page && right.page % REGION_PAGES != 0
        }) {
            let Some(region) = self.table.get(group[0].page) else { continue };
            let first = (group[0].page % REGION_PAGES) as u32;
            let pages = group.iter().map(|block| block.pages).sum();
            // SAFETY: the blocks are locked by us (`Condemned` comes from `condemn` only), their pages lie within
            // the region since they were loaded there, no pin was left, and every epoch that could have seen them
            // unmarked has passed: nobody refers to the bytes.
            unsafe { region.release(first, pages) };
        }
        for block in condemned.drain(..) {
            // The first page's word comes last: who finds it evicted finds the others evicted, too.
            for page in (block.page..block.page + u64::from(block.pages)).rev() {
                if let Some(word) = self.word(page) {
                    if unqueued && page == block.page {
                        word.clear_queued();
                    }
                    word.vacate();
                }
            }
            self.notify(block.page);
        }
    }

    /// What a page is part of.
    pub(super) fn seen(&self, page: u64) -> Seen {
        self.word(page).map_or(Seen::Evicted, BlockWord::seen)
    }

    /// Waits until nobody loads or evicts the block. False when the deadline passed first.
    pub(super) fn wait_while_busy(&self, page: u64, deadline: Instant) -> bool {
        let Some(word) = self.word(page) else { return true };
        for _ in 0..100 {
            if !word.is_busy() {
                return true;
            }
            std::hint::spin_loop();
        }
        let waiting = self.waiting_for(page);
        let mut guard = waiting.lock.lock();
        waiting.count.fetch_add(1, Ordering::Relaxed);
        // Who makes the block ready either sees the count, or we see what he did to the block.
        fence(Ordering::SeqCst);
        let mut in_time = true;
        while in_time && word.is_busy() {
            // Bounded, since stern marks are taken back silently.
            waiting.ready.wait_for(&mut guard, Duration::from_millis(1));
            in_time = Instant::now() < deadline;
        }
        waiting.count.fetch_sub(1, Ordering::Relaxed);
        in_time || !word.is_busy()
    }

    fn waiting_for(&self, page: u64) -> &Waiting {
        &self.waiting[(page / u64::from(BLOCK_PAGES) % self.waiting.len() as u64) as usize]
    }

    /// Wakes those who wait for the block.
    pub(super) fn notify(&self, page: u64) {
        fence(Ordering::SeqCst);
        let waiting = self.waiting_for(page);
        if waiting.count.load(Ordering::Relaxed) > 0 {
            let _guard = waiting.lock.lock();
            waiting.ready.notify_all();
        }
    }

    /// Asks the processor to fetch the cache line of a byte. No effect where the page is not resident.
    #[inline(always)]
    pub(super) fn prefetch(&self, run: PageRun, offset: u64) {
        #[cfg(all(target_arch = "x86_64", not(miri)))]
        if let Some((region, first)) = self.region_of(run)
            && offset < u64::from(run.count) * PAGE_SIZE as u64
        {
            use std::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};
            // SAFETY: the address lies within the region; a prefetch reads nothing and faults nowhere.
            unsafe {
                let at = region.base().add(first as usize * PAGE_SIZE + offset as usize);
                _mm_prefetch::<_MM_HINT_T0>(at.cast());
            }
        }
        #[cfg(not(all(target_arch = "x86_64", not(miri))))]
        let _ = (run, offset);
    }
}

/// The address of resident bytes.
#[derive(Clone, Copy)]
struct Located {
    start: *const u8,
    length: usize,
}

impl Located {
    /// # Safety
    ///
    /// The blocks of the range stay resident for `'e`.
    #[inline(always)]
    unsafe fn lend<'e>(self) -> &'e [u8] {
        // SAFETY: `locate` computed the address within a region's allocation; the caller keeps the blocks resident,
        // and resident blocks are initialised and not written to.
        unsafe { slice::from_raw_parts(self.start, self.length) }
    }
}

/// What came of an attempt to lock a block for loading.
pub(super) enum Claim {
    Taken(LoadRun),
    /// Somebody else has it, or it became resident.
    Busy,
    /// This page of it belongs to another resident structure.
    Conflict(u64),
}

/// Consecutive blocks of an extent, locked for loading by this value; evicted again if it is dropped.
pub(super) struct LoadRun {
    frames: Arc<Frames>,
    run: PageRun,
    blocks: Range<u32>,
    conflict: Option<u64>,
}

impl LoadRun {
    /// The blocks that are locked.
    pub(super) fn blocks(&self) -> Range<u32> {
        self.blocks.clone()
    }

    /// Locks the next block as well. False, and nothing has changed, when it cannot be had.
    pub(super) fn extend(&mut self) -> bool {
        let block = self.blocks.end;
        let pages = self.run.pages_of(block);
        let Some((region, first)) = self.frames.region_of(self.run) else { return false };
        let at = (first + block * BLOCK_PAGES) as usize;
        if pages == 0 || !region.words()[at].claim(pages) {
            return false;
        }
        for distance in 1..pages {
            if !region.words()[at + distance as usize].cover(distance) {
                self.conflict = Some(self.run.page_of(block) + u64::from(distance));
                (0..distance).rev().for_each(|taken| region.words()[at + taken as usize].vacate());
                return false;
            }
        }
        self.blocks.end = block + 1;
        true
    }

    /// Pages of the locked blocks: the first and how many.
    fn pages(&self) -> (u32, u32) {
        let first = (self.run.first % REGION_PAGES) as u32 + self.blocks.start * BLOCK_PAGES;
        (first, self.blocks.clone().map(|block| self.run.pages_of(block)).sum())
    }

    /// The bytes to fill.
    pub(super) fn bytes(&mut self) -> &mut [u8] {
        let (first, pages) = self.pages();
        match self.frames.region_of(self.run) {
            Some((region, _)) => {
                region.fill(first, pages);
                // SAFETY: the pages lie within the region (`region_of`), all their blocks are locked by this value,
                // so nobody else reads or writes them, and the borrow of it is exclusive. The memory is initialised:
                // zero or older bytes.
                unsafe {
                    let at = region.base().add(first as usize * PAGE_SIZE);
                    slice::from_raw_parts_mut(at, pages as usize * PAGE_SIZE)
                }
            }
            None => &mut [],
        }
    }

    /// Makes the blocks readable, each pinned if `pinned`. `enqueue` gets the first pages of those that the
    /// evictor's queue does not know yet, unless they are to stay for ever.
    pub(super) fn publish(mut self, pinned: bool, queue: Option<&mut dyn FnMut(u64)>) -> Vec<PinnedBlock> {
        let blocks = std::mem::replace(&mut self.blocks, 0..0);
        let mut pins = Vec::with_capacity(if pinned { blocks.len() } else { 0 });
        let mut queue = queue;
        for block in blocks {
            let page = self.run.page_of(block);
            let Some(word) = self.frames.word(page) else { continue };
            let owed = word.publish(u32::from(pinned), queue.is_some());
            if let Some(queue) = queue.as_mut()
                && owed
            {
                queue(page);
            }
            if pinned {
                pins.push(PinnedBlock { frames: Arc::clone(&self.frames), page });
            }
            self.frames.notify(page);
        }
        pins
    }
}

impl Drop for LoadRun {
    fn drop(&mut self) {
        if self.blocks.is_empty() {
            return;
        }
        let block = |block| Condemned { page: self.run.page_of(block), pages: self.run.pages_of(block) };
        // The load failed: the blocks are locked by us and were never readable.
        self.frames.release(&mut self.blocks.clone().map(block).collect(), false);
    }
}

/// A block locked for eviction; to be handed to `release`.
#[must_use]
pub(super) struct Condemned {
    page: u64,
    pages: u32,
}

impl Condemned {
    /// Bytes of the block.
    pub(super) fn bytes(&self) -> u64 {
        u64::from(self.pages) * PAGE_SIZE as u64
    }
}

/// A pin of one block.
pub(super) struct PinnedBlock {
    frames: Arc<Frames>,
    page: u64,
}

impl Drop for PinnedBlock {
    fn drop(&mut self) {
        if let Some(word) = self.frames.word(self.page) {
            word.unpin();
        }
    }
}

/// Bytes in pinned blocks.
pub(super) struct PinnedRange {
    frames: Arc<Frames>,
    run: PageRun,
    blocks: Range<u32>,
    located: Located,
}

// SAFETY: the pointer leads to bytes that nobody writes while they are pinned; pins belong to no thread.
unsafe impl Send for PinnedRange {}
// SAFETY: as above.
unsafe impl Sync for PinnedRange {}

impl Deref for PinnedRange {
    type Target = [u8];
    #[inline(always)]
    fn deref(&self) -> &[u8] {
        // SAFETY: all blocks of the range are pinned by `self`, so they stay resident as long as it is borrowed.
        unsafe { self.located.lend() }
    }
}

impl Drop for PinnedRange {
    fn drop(&mut self) {
        for block in self.blocks.clone() {
            if let Some(word) = self.frames.word(self.run.page_of(block)) {
                word.unpin();
            }
        }
    }
}
