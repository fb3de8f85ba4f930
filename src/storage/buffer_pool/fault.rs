//! Misses: finding the references of missing blocks, reserving their frames and loading them.
//!
//! Order matters for progress. References are read before any frame is reserved; frames are reserved before anything
//! is locked or pinned; what was locked is loaded before anything is waited for. So a thread that waits for bytes
//! holds nothing that others wait for. In the first round only the missing blocks are reserved, and another thread
//! may evict the rest of the range meanwhile; from the second round on the whole range is reserved, which always
//! ends.

use std::ops::Range;
use std::sync::atomic::Ordering::Relaxed;
use std::time::{Duration, Instant};

use super::budget::{Reservation, Use};
use super::frame::{Claim, PinnedBlock, Want};
use super::pool::Shared;
use super::segment::{BLOCK_PAGES, PageRun, PagedSegment, SegmentOwner, corrupt};
use super::state::Pin;
use crate::storage::page::{PAGE_SIZE, PageRef, REFS_PER_PAGE};
use crate::storage::{StorageError, StorageResult};

/// How long a fault may take, counted from its start.
#[derive(Clone, Copy)]
pub(super) struct Patience {
    pub(super) started: Instant,
    pub(super) wait: Duration,
}

impl Patience {
    pub(super) fn new(wait: Duration) -> Patience {
        Patience { started: Instant::now(), wait }
    }

    fn deadline(self) -> Instant {
        self.started + self.wait
    }

    fn is_over(self) -> bool {
        self.started.elapsed() >= self.wait
    }
}

/// Blocks of a segment that are to be resident.
pub(super) struct Blocks<'s> {
    pub(super) segment: &'s PagedSegment,
    pub(super) blocks: Range<u32>,
}

/// One block of a fault: whose it is, and its references once they were read.
struct Missing<'s> {
    segment: &'s PagedSegment,
    block: u32,
    references: Vec<PageRef>,
    /// Whether a frame was reserved for it.
    covered: bool,
}

impl Missing<'_> {
    fn bytes(&self) -> u64 {
        u64::from(self.segment.pages.pages_of(self.block)) * PAGE_SIZE as u64
    }

    fn page(&self) -> u64 {
        self.segment.pages.page_of(self.block)
    }
}

impl Shared {
    /// Makes blocks resident and returns them pinned.
    pub(super) fn fault(&self, wanted: &[Blocks<'_>], patience: Patience) -> StorageResult<Vec<PinnedBlock>> {
        let mut list: Vec<Missing<'_>> = Vec::new();
        for Blocks { segment, blocks } in wanted {
            list.extend(blocks.clone().map(|block| Missing {
                segment,
                block,
                references: Vec::new(),
                covered: false,
            }));
        }
        list.sort_by_key(Missing::page);
        list.dedup_by_key(|one| one.page());
        for round in 0.. {
            let mut bytes = 0;
            for one in &mut list {
                one.covered = round > 0 || !self.frames.is_resident(one.segment.pages, one.block);
                if one.covered {
                    bytes += one.bytes();
                    if one.references.is_empty() {
                        one.references = self.block_references(one.segment, one.block, patience)?;
                    }
                }
            }
            let mut reservation = match bytes {
                0 => self.budget.empty(),
                _ => self.reserve(bytes, patience.started, patience.wait)?,
            };
            if let Some(pins) = self.gather(&list, &mut reservation, patience)? {
                return Ok(pins);
            }
            if round > 0 && patience.is_over() {
                break;
            }
        }
        Err(self.too_small(list.iter().map(Missing::bytes).sum(), patience))
    }

    fn too_small(&self, needed: u64, patience: Patience) -> StorageError {
        let waited_ms = patience.started.elapsed().as_millis() as u64;
        StorageError::PoolTooSmall { limit: self.budget.limit(), needed, waited_ms }
    }

    /// Pins or loads every block of the list. `None` when a block that no frame was reserved for went missing.
    fn gather(
        &self,
        list: &[Missing<'_>],
        reservation: &mut Reservation,
        patience: Patience,
    ) -> StorageResult<Option<Vec<PinnedBlock>>> {
        let mut pins = Vec::with_capacity(list.len());
        let mut open: Vec<usize> = (0..list.len()).collect();
        while !open.is_empty() {
            let mut busy = Vec::new();
            let mut at = 0;
            while let Some(&index) = open.get(at) {
                let one = &list[index];
                match self.frames.pin(one.segment.pages, one.block) {
                    Ok(pin) => {
                        pins.push(pin);
                        at += 1;
                    }
                    Err(Pin::Busy) => {
                        busy.push(index);
                        at += 1;
                    }
                    Err(Pin::Missing) if !one.covered => return Ok(None),
                    Err(Pin::Missing) => {
                        let loaded = self.load(list, &open[at..], reservation)?;
                        if loaded.is_empty() {
                            busy.push(index);
                        }
                        at += loaded.len().max(1);
                        pins.extend(loaded);
                    }
                    Err(_) => return Err(conflict(&one.segment.owner, one.page())),
                }
            }
            // Everything of ours is loaded; what others load or evict is waited for.
            if let Some(&first) = busy.first()
                && !self.frames.wait_while_busy(list[first].page(), patience.deadline())
            {
                return Err(self.too_small(list[first].bytes(), patience));
            }
            open = busy;
        }
        Ok(Some(pins))
    }
}

impl Shared {
    /// Loads the first open block, together with those that follow it in the extent, as long as they can be locked.
    /// Empty when another thread has the first.
    fn load(
        &self,
        list: &[Missing<'_>],
        open: &[usize],
        reservation: &mut Reservation,
    ) -> StorageResult<Vec<PinnedBlock>> {
        let Some(first) = open.first().map(|&index| &list[index]) else { return Ok(Vec::new()) };
        let run = first.segment.pages;
        let mut loading = match self.frames.claim(run, first.block)? {
            Claim::Taken(loading) => loading,
            Claim::Busy => return Ok(Vec::new()),
            Claim::Conflict(page) => return Err(conflict(&first.segment.owner, page)),
        };
        let mut references = first.references.clone();
        let mut bytes = first.bytes();
        for next in open[1..].iter().map(|&index| &list[index]) {
            let follows = next.segment.pages == run && next.block == loading.blocks().end && next.covered;
            if !follows || !loading.extend() {
                break;
            }
            references.extend_from_slice(&next.references);
            bytes += next.bytes();
        }
        self.source.read_pages(&references, first.segment.owner.what(), loading.bytes())?;
        self.counters.count_read(bytes);
        self.counters.misses.fetch_add(loading.blocks().len() as u64, Relaxed);
        reservation.spend(Use::Frames, bytes);
        let pins = loading.publish(true, Some(&mut |page| self.arrivals.lock().push(page)));
        Ok(pins)
    }

    /// The references of one block's pages.
    fn block_references(
        &self,
        segment: &PagedSegment,
        block: u32,
        patience: Patience,
    ) -> StorageResult<Vec<PageRef>> {
        let first = block * BLOCK_PAGES;
        self.references(segment, first..first + segment.pages.pages_of(block), patience)
    }

    /// The references of some data pages of an extent (`pages` counts from its first): walks down from the root,
    /// reading reference pages as blocks of one page.
    pub(super) fn references(
        &self,
        segment: &PagedSegment,
        pages: Range<u32>,
        patience: Patience,
    ) -> StorageResult<Vec<PageRef>> {
        let fan = REFS_PER_PAGE as u32;
        let mut found = Vec::with_capacity(pages.len());
        let mut next = pages.start;
        while next < pages.end {
            let end = pages.end.min((next / fan + 1) * fan);
            let mut reference = segment.root;
            for level in (1..u32::from(segment.depth)).rev() {
                let index = next / fan.saturating_pow(level) % fan;
                let mut child = Vec::with_capacity(1);
                self.copy_references(reference, index..index + 1, &segment.owner, patience, &mut child)?;
                reference = child.pop().unwrap_or_default();
            }
            match segment.depth {
                0 => found.push(reference),
                _ => {
                    let within = next % fan..next % fan + (end - next);
                    self.copy_references(reference, within, &segment.owner, patience, &mut found)?;
                }
            }
            next = end;
        }
        for (reference, page) in found.iter().zip(segment.pages.first + u64::from(pages.start)..) {
            if reference.page.0 != page {
                let detail = format!("its reference names page {}", reference.page);
                return Err(corrupt(&segment.owner, page, detail));
            }
        }
        Ok(found)
    }

    /// Copies references `range` out of the reference page that `reference` names.
    fn copy_references(
        &self,
        reference: PageRef,
        range: Range<u32>,
        owner: &std::sync::Arc<SegmentOwner>,
        patience: Patience,
        found: &mut Vec<PageRef>,
    ) -> StorageResult<()> {
        let page = PagedSegment {
            pages: PageRun { first: reference.page.0, count: 1 },
            offset: 0,
            length: PAGE_SIZE as u64,
            root: reference,
            depth: 0,
            owner: owner.clone(),
        };
        let want = Want { run: page.pages, start: 0, end: PAGE_SIZE as u64 };
        let pinned = match self.frames.pin_range(want) {
            Ok(pinned) => pinned,
            Err(_) => {
                let _pins = self.fault(&[Blocks { segment: &page, blocks: 0..1 }], patience)?;
                self.frames.pin_range(want).map_err(|_| conflict(owner, page.pages.first))?
            }
        };
        for index in range {
            let at = index as usize * PageRef::SIZE;
            let bytes = pinned.get(at..at + PageRef::SIZE).and_then(|bytes| bytes.first_chunk());
            found.push(PageRef::decode(bytes.ok_or_else(|| conflict(owner, page.pages.first))?));
        }
        Ok(())
    }
}

fn conflict(owner: &SegmentOwner, page: u64) -> StorageError {
    corrupt(owner, page, "two structures claim the page")
}
