//! Making room: second chance in two queues. Blocks arrive in `active`; from its front they are marked and move to
//! `cooling`, and from the front of that they are evicted, unless they were read since: then they are active again.
//! By the time a marked block comes to the front its epoch has usually passed, so the evictor seldom waits.
//!
//! There is one evictor at a time, the holder of the lock. It hands what it frees to itself first, so that nobody
//! can snatch the bytes that a large request is collecting; and it waits only for pins and epochs, whose holders
//! never wait for bytes.

use std::collections::VecDeque;
use std::sync::atomic::Ordering::Relaxed;
use std::time::{Duration, Instant};

use super::budget::Reservation;
use super::frame::{Condemned, Frames};
use super::pool::Shared;
use super::state::{Candidate, Seen};
use super::workers::Workers;
use crate::storage::page::PAGE_SIZE;
use crate::storage::{StorageError, StorageResult};

/// Blocks that are marked or evicted in one go.
const BATCH: usize = 64;
/// Fruitless rounds after which marks cannot be taken off any more.
const ROUNDS_BEFORE_STERN: u32 = 12;
/// How long a round waits for epochs while readers are kept off.
const STERN_WAIT: Duration = Duration::from_millis(2);

/// The evictor's queues. Each resident block (by its first page) stands in exactly one; entries of blocks that were
/// discarded are dropped when they are met.
#[derive(Default)]
pub(super) struct Evictor {
    active: VecDeque<u64>,
    /// With the epoch in which the block was marked.
    cooling: VecDeque<(u64, u64)>,
}

impl Shared {
    /// Reserves `bytes`, evicting what has to go, and waits for pins and epochs until `deadline`. The caller is in no
    /// epoch and pins nothing that somebody else could be waiting for.
    pub(super) fn reserve(&self, bytes: u64, started: Instant, wait: Duration) -> StorageResult<Reservation> {
        if let Some(reservation) = self.budget.try_reserve(bytes) {
            return Ok(reservation);
        }
        let too_small = || StorageError::PoolTooSmall {
            limit: self.budget.limit(),
            needed: bytes,
            waited_ms: started.elapsed().as_millis() as u64,
        };
        if bytes > self.budget.limit() {
            return Err(too_small());
        }
        let deadline = started + wait;
        let mut evictor = self.evictor.try_lock_until(deadline).ok_or_else(too_small)?;
        let mut reservation = self.budget.empty();
        let mut fruitless = 0;
        loop {
            if reservation.top_up(bytes) {
                return Ok(reservation);
            }
            let freed = self.evict(&mut evictor, bytes - reservation.bytes(), fruitless, deadline);
            reservation.absorb(freed, bytes);
            if reservation.bytes() >= bytes {
                return Ok(reservation);
            }
            // Recycled buffers go last: a scan beside the misses would have to make room for them again.
            if freed == 0 && !self.budget.trim() {
                if Instant::now() >= deadline {
                    return Err(too_small());
                }
                fruitless += 1;
                std::thread::sleep(Duration::from_micros(20 << fruitless.min(6)));
            }
        }
    }

    /// Evicts blocks of at least `needed` bytes if it can, and more to save work later. Returns the bytes freed.
    fn evict(&self, evictor: &mut Evictor, needed: u64, fruitless: u32, deadline: Instant) -> u64 {
        evictor.active.extend(self.arrivals.lock().drain(..));
        let stern = fruitless >= ROUNDS_BEFORE_STERN;
        // Readers wait for blocks with stern marks, so these do not stay for long.
        let deadline = if stern { deadline.min(Instant::now() + STERN_WAIT) } else { deadline };
        let needed_blocks = needed.div_ceil(PAGE_SIZE as u64 * 16) as usize;
        evictor.cool(&self.frames, &self.workers, needed_blocks << fruitless.min(16), stern);
        let batch = needed.max((self.budget.limit() / 64).min(BATCH as u64 * 16 * PAGE_SIZE as u64));
        let (mut freed, mut condemned) = (0, Vec::new());
        while freed < batch
            && let Some(&(page, marked)) = evictor.cooling.front()
        {
            let Some(passed) = self.workers.passed(marked) else {
                // Nothing stays locked during a wait.
                self.release_evicted(&mut condemned);
                if freed >= needed || !self.wait_for_epoch(marked, deadline) {
                    break;
                }
                continue;
            };
            evictor.cooling.pop_front();
            match self.frames.condemn(page, marked, passed) {
                Ok(block) => {
                    freed += block.bytes();
                    condemned.push(block);
                    if condemned.len() == BATCH {
                        self.release_evicted(&mut condemned);
                    }
                }
                Err(Candidate::Gone) => {}
                Err(_) => {
                    if stern {
                        self.frames.unmark(page);
                    }
                    evictor.active.push_back(page);
                }
            }
        }
        self.release_evicted(&mut condemned);
        if stern {
            evictor.relent(&self.frames);
        }
        freed
    }

    fn release_evicted(&self, condemned: &mut Vec<Condemned>) {
        self.counters.evictions.fetch_add(condemned.len() as u64, Relaxed);
        self.frames.release(condemned, true);
    }

    /// Waits until nobody is left who entered in `epoch` or before.
    fn wait_for_epoch(&self, epoch: u64, deadline: Instant) -> bool {
        self.counters.epoch_waits.fetch_add(1, Relaxed);
        for round in 0_u32.. {
            if self.workers.passed(epoch).is_some() {
                return true;
            }
            match round {
                0..64 => std::hint::spin_loop(),
                64..128 => std::thread::yield_now(),
                _ if Instant::now() >= deadline => return false,
                _ => std::thread::sleep(Duration::from_micros(50)),
            }
        }
        false
    }

    /// Drops every frame of the pages `first..first + count`, waiting for pins and epochs until `deadline`. Nothing
    /// that refers to the pages is reachable any more, so nobody loads them again.
    pub(super) fn discard_pages(&self, first: u64, count: u64, wait: Duration) -> StorageResult<()> {
        let started = Instant::now();
        let too_small = |needed| StorageError::PoolTooSmall {
            limit: self.budget.limit(),
            needed,
            waited_ms: started.elapsed().as_millis() as u64,
        };
        let deadline = started + wait;
        let evictor = self.evictor.try_lock_until(deadline).ok_or_else(|| too_small(0))?;
        loop {
            let (heads, busy) = self.blocks_within(first, count);
            if heads.is_empty() && busy == 0 {
                break;
            }
            let in_use = busy + self.discard_blocks(heads, deadline);
            if in_use == 0 {
                continue;
            }
            if Instant::now() >= deadline {
                return Err(too_small(in_use * PAGE_SIZE as u64));
            }
            std::thread::sleep(Duration::from_micros(50));
        }
        drop(evictor);
        Ok(())
    }

    /// The first pages of the resident blocks that have a page in the range, and how many pages are being loaded.
    fn blocks_within(&self, first: u64, count: u64) -> (Vec<u64>, u64) {
        let (mut heads, mut busy) = (Vec::new(), 0);
        for page in first..first.saturating_add(count) {
            let head = match self.frames.seen(page) {
                Seen::Evicted => continue,
                Seen::Locked => {
                    busy += 1;
                    continue;
                }
                Seen::Resident => page,
                Seen::Covered(distance) => page - u64::from(distance),
            };
            if heads.last() != Some(&head) {
                match self.frames.seen(head) {
                    Seen::Resident => heads.push(head),
                    _ => busy += 1,
                }
            }
        }
        (heads, busy)
    }

    /// Evicts the blocks that are not in use, and returns how many are. Leaves no mark behind: a mark of a later
    /// epoch than a queue entry says would let the evictor take the block too early.
    fn discard_blocks(&self, heads: Vec<u64>, deadline: Instant) -> u64 {
        let marked: Vec<u64> = heads
            .iter()
            .copied()
            .filter(|&page| matches!(self.frames.mark(page, false), Candidate::Taken(_)))
            .collect();
        let mut in_use = (heads.len() - marked.len()) as u64;
        let epoch = self.workers.clock.advance();
        let passed = self.workers.passed(epoch).or_else(|| {
            self.wait_for_epoch(epoch, deadline);
            self.workers.passed(epoch)
        });
        let mut condemned = Vec::new();
        for page in marked {
            match passed.map(|passed| self.frames.condemn(page, epoch, passed)) {
                Some(Ok(block)) => condemned.push(block),
                _ => {
                    self.frames.unmark(page);
                    in_use += 1;
                }
            }
        }
        let bytes = condemned.iter().map(Condemned::bytes).sum();
        self.counters.discards.fetch_add(condemned.len() as u64, Relaxed);
        self.frames.release(&mut condemned, false);
        self.budget.empty().absorb(bytes, 0);
        in_use
    }
}

impl Evictor {
    /// Marks blocks from the front of `active` until enough are cooling.
    fn cool(&mut self, frames: &Frames, workers: &Workers, needed: usize, stern: bool) {
        let all = self.active.len() + self.cooling.len();
        let enough = if stern { all } else { (all / 8).max(BATCH.min(all / 2)).max(needed).min(all) };
        if stern {
            // Older marks can still be taken off: mark those blocks anew.
            self.active.extend(self.cooling.drain(..).map(|(page, _)| page));
        }
        let mut marked = Vec::new();
        for _ in 0..self.active.len() {
            if self.cooling.len() + marked.len() >= enough {
                break;
            }
            let Some(page) = self.active.pop_front() else { break };
            match frames.mark(page, stern) {
                Candidate::Taken(_) => marked.push(page),
                Candidate::Used => self.active.push_back(page),
                Candidate::Gone => {}
            }
        }
        if !marked.is_empty() {
            let epoch = workers.clock.advance();
            self.cooling.extend(marked.into_iter().map(|page| (page, epoch)));
        }
    }

    /// Takes stern marks off the blocks that were spared.
    fn relent(&mut self, frames: &Frames) {
        for (page, _) in self.cooling.drain(..) {
            frames.unmark(page);
            frames.notify(page);
            self.active.push_back(page);
        }
    }
}
