//! Sequential reading: a guard holds a range of a segment, in pinned frames or in a private copy.

use std::ops::{Deref, Range};
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use super::budget::{PrivateBuffer, private_bytes};
use super::cast::AlignedBytes;
use super::fault::{Blocks, Patience};
use super::frame::{PinnedRange, Want};
use super::pool::{BufferPool, Shared};
use super::segment::{BLOCK_BYTES, BLOCK_PAGES, PagedSegment, Place, SegmentRef, corrupt};
use super::state::Pin;
use crate::storage::page::PAGE_SIZE;
use crate::storage::{StorageError, StorageResult};

/// Blocks that one guard pins at most; wider ranges are copied.
const GUARD_BLOCKS_MAX: usize = 16;
/// Blocks that are read ahead: with those asked for, a plain chunk of 64-bit values is one read.
const READ_AHEAD_BLOCKS: u32 = 6;
/// How long a scan waits for frames before it reads into a private buffer.
const FRAMES_WAIT: Duration = Duration::from_millis(10);

/// Where blocks that are not resident go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Admission {
    /// Into frames, for data that will be read again.
    Frames,
    /// Into frames together with a few blocks that follow, for data that is read in order.
    ReadAhead,
    /// Into a private buffer the first time and as `ReadAhead` the second, for large scans that the pool could hold:
    /// fresh frames cost more than the reading, and only what is read again earns them.
    SecondTime,
    /// Into a private buffer, for large scans that would flood the pool.
    Private,
}

/// A range of a segment that stays readable until the guard is dropped.
pub struct SegmentGuard(Held);

enum Held {
    Inline { bytes: AlignedBytes, range: Range<usize> },
    Pinned(PinnedRange),
    Private { copy: PrivateBuffer, range: Range<usize> },
}

impl Deref for SegmentGuard {
    type Target = [u8];
    #[inline]
    fn deref(&self) -> &[u8] {
        match &self.0 {
            Held::Inline { bytes, range } => &bytes[range.clone()],
            Held::Pinned(pinned) => pinned,
            Held::Private { copy, range } => &copy.buffer[range.clone()],
        }
    }
}

impl SegmentGuard {
    /// Whether the bytes are a private copy.
    pub fn is_private(&self) -> bool {
        matches!(self.0, Held::Private { .. })
    }
}

impl BufferPool {
    /// Lends bytes `range` of a segment until the guard is dropped. Resident blocks are pinned where they are; what
    /// happens with others is said by `admission`. Ranges of more than 16 blocks, and scans that find every frame in
    /// use, get a private copy.
    ///
    /// The caller has no cursor open: while it waits for bytes, the evictor could wait for the cursor's epoch.
    pub fn lend(
        &self,
        segment: &SegmentRef,
        range: Range<u64>,
        admission: Admission,
    ) -> StorageResult<SegmentGuard> {
        check_range(segment, &range)?;
        let shared = &*self.shared;
        let paged = match &segment.0 {
            Place::Inline { bytes, start, .. } => {
                let range = start + range.start as usize..start + range.end as usize;
                return Ok(SegmentGuard(Held::Inline { bytes: bytes.clone(), range }));
            }
            Place::Paged(paged) => paged,
        };
        let want =
            Want { run: paged.pages, start: paged.offset + range.start, end: paged.offset + range.end };
        let blocks = want.blocks();
        if blocks.len() > GUARD_BLOCKS_MAX {
            return shared.lend_private(paged, want);
        }
        match shared.frames.pin_range(want) {
            Ok(pinned) => {
                shared.hits.increment();
                Ok(SegmentGuard(Held::Pinned(pinned)))
            }
            Err(Pin::Conflict) => {
                Err(corrupt(&paged.owner, want.run.first, "two structures claim its pages"))
            }
            Err(_) if admission == Admission::Private => shared.lend_private(paged, want),
            Err(_) if admission == Admission::SecondTime && shared.is_first_read(want)? => {
                shared.lend_private(paged, want)
            }
            Err(_) => match shared.lend_frames(paged, want, admission != Admission::Frames) {
                Err(StorageError::PoolTooSmall { .. }) => shared.lend_private(paged, want),
                outcome => outcome,
            },
        }
    }
}

/// The error for a range that is not within its segment: offsets come from pages, too.
pub(super) fn check_range(segment: &SegmentRef, range: &Range<u64>) -> StorageResult<()> {
    if range.start <= range.end && range.end <= segment.len() {
        return Ok(());
    }
    let detail = format!("bytes {range:?} of a segment of {} bytes", segment.len());
    Err(match &segment.0 {
        Place::Paged(paged) => corrupt(&paged.owner, paged.pages.first, detail),
        Place::Inline { .. } => corrupt(&super::segment::SegmentOwner::default(), 0, detail),
    })
}

impl Shared {
    /// Whether a block of the range is read for the first time; notes all of them.
    fn is_first_read(&self, want: Want) -> StorageResult<bool> {
        self.frames.reserve(want.run)?;
        let mut first = false;
        for block in want.blocks() {
            first |= self.frames.read_once(want.run, block);
        }
        self.counters.first_reads.fetch_add(u64::from(first), Relaxed);
        Ok(first)
    }

    fn lend_frames(&self, segment: &PagedSegment, want: Want, ahead: bool) -> StorageResult<SegmentGuard> {
        let needed = want.blocks();
        let mut blocks = needed.clone();
        // A pool of a few blocks has none to spare for guesses.
        if ahead && self.budget.limit() >= 128 * BLOCK_BYTES {
            let last = want.run.count.div_ceil(BLOCK_PAGES).min(needed.end + READ_AHEAD_BLOCKS);
            while blocks.end < last && !self.frames.is_resident(want.run, blocks.end) {
                blocks.end += 1;
            }
            self.counters.read_ahead_blocks.fetch_add(u64::from(blocks.end - needed.end), Relaxed);
        }
        let _pins = self.fault(&[Blocks { segment, blocks }], Patience::new(FRAMES_WAIT))?;
        let pinned = self.frames.pin_range(want);
        let pinned =
            pinned.map_err(|_| corrupt(&segment.owner, want.run.first, "two structures claim its pages"))?;
        Ok(SegmentGuard(Held::Pinned(pinned)))
    }

    /// Copies what is resident and reads the rest, without disturbing frames.
    fn lend_private(&self, segment: &PagedSegment, want: Want) -> StorageResult<SegmentGuard> {
        let patience = Patience::new(self.wait);
        let first_page = (want.start / PAGE_SIZE as u64) as u32;
        let end_page = want.end.div_ceil(PAGE_SIZE as u64) as u32;
        let length = (end_page - first_page) as usize * PAGE_SIZE;
        let start = (want.start % PAGE_SIZE as u64) as usize;
        let range = start..start + (want.end - want.start) as usize;
        // Blocks that are resident when looked at can go before they are copied; then all of them are read.
        for read_all in [false, true] {
            let parts = self.split(want, first_page..end_page, read_all);
            let mut references = Vec::with_capacity(parts.len());
            for part in &parts {
                references.push(match part.read {
                    true => self.references(segment, part.pages.clone(), patience)?,
                    false => Vec::new(),
                });
            }
            let mut copy = match self.budget.recycled(length) {
                Some(copy) => copy,
                None => {
                    self.reserve(private_bytes(length), patience.started, patience.wait)?.into_buffer(length)
                }
            };
            let mut complete = true;
            for (part, references) in parts.iter().zip(&references) {
                let at = (part.pages.start - first_page) as usize * PAGE_SIZE;
                let target = &mut copy.buffer[at..at + part.pages.len() * PAGE_SIZE];
                if part.read {
                    self.source.read_pages(references, segment.owner.what(), target)?;
                    self.counters.count_read(target.len() as u64);
                    let blocks = part.pages.len().div_ceil(BLOCK_PAGES as usize);
                    self.counters.misses.fetch_add(blocks as u64, Relaxed);
                } else {
                    let (start, end) = (u64::from(part.pages.start), u64::from(part.pages.end));
                    let bytes = PAGE_SIZE as u64;
                    let pinned = Want { run: want.run, start: start * bytes, end: end * bytes };
                    match self.frames.pin_range(pinned) {
                        Ok(pinned) => target.copy_from_slice(&pinned),
                        Err(_) => complete = false,
                    }
                }
            }
            if complete {
                return Ok(SegmentGuard(Held::Private { copy, range }));
            }
        }
        // Not reached: the second time nothing has to be resident.
        Err(StorageError::PoolTooSmall { limit: self.budget.limit(), needed: length as u64, waited_ms: 0 })
    }

    /// Cuts pages into parts that are resident, block by block, and parts that have to be read, as long as possible.
    fn split(&self, want: Want, pages: Range<u32>, read_all: bool) -> Vec<Part> {
        let mut parts: Vec<Part> = Vec::new();
        for block in want.blocks() {
            let start = pages.start.max(block * BLOCK_PAGES);
            let end = pages.end.min((block + 1) * BLOCK_PAGES);
            let read = read_all || !self.frames.is_resident(want.run, block);
            match parts.last_mut() {
                Some(part) if part.read && read => part.pages.end = end,
                _ => parts.push(Part { pages: start..end, read }),
            }
        }
        parts
    }
}

struct Part {
    pages: Range<u32>,
    read: bool,
}
