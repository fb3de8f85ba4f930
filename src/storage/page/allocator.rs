//! Which pages may be written. A page is *live* (the current root reaches it), *free* (it may be handed out),
//! *reserved* (handed out, but no root names it yet) or *held* (no longer used by the current root, but a
//! snapshot may read it). What the root does not use, the list on disk, is the last three together: after a
//! crash nobody holds or reserves anything.

use std::collections::BTreeMap;

use super::extent::PAGE_NUMBER_LIMIT;
use super::intervals::{IntervalSet, Misplaced};
use super::{PageId, PageRun, REGION_PAGES};
use crate::storage::{StorageError, StorageResult};

/// The pages of a file and what may become of them.
#[derive(Debug, Default)]
pub(super) struct Allocator {
    /// Pages at or beyond this one have never been handed out, or were cut off.
    end: u64,
    free: IntervalSet,
    reserved: IntervalSet,
    held: BTreeMap<u64, IntervalSet>,
}

/// Numbers of pages by what may become of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct SpaceStats {
    /// Pages of the file, headers included.
    pub pages: u64,
    /// Pages that the next write may take.
    pub free: u64,
    /// Pages of writes that are under way.
    pub reserved: u64,
    /// Pages that only older snapshots read.
    pub held: u64,
}

/// What a root does not use, and how many pages belong to it.
#[derive(Debug)]
pub(super) struct Unused {
    pub runs: Vec<PageRun>,
    pub page_count: u64,
    /// The runs that there were before the free end of the file was cut off.
    pub uncut_runs: u64,
}

impl Allocator {
    /// The state after opening: `free` lists what the root does not use below `end`.
    pub fn new(end: u64, free: IntervalSet) -> Allocator {
        Allocator { end, free, ..Allocator::default() }
    }

    pub fn stats(&self) -> SpaceStats {
        SpaceStats {
            pages: self.end,
            free: self.free.pages(),
            reserved: self.reserved.pages(),
            held: self.held.values().map(IntervalSet::pages).sum(),
        }
    }

    /// Reserves contiguous pages within one region: the smallest hole that has them, else the end of the file.
    /// Small requests so fill small holes, and large holes stay whole for large ones.
    pub fn allocate(&mut self, count: u64) -> StorageResult<PageRun> {
        if !(1..=REGION_PAGES).contains(&count) {
            return Err(StorageError::Limit { what: "the pages of one extent".into(), limit: REGION_PAGES });
        }
        let run = match self.free.take_best(count) {
            Some(run) => run,
            None => self.grow(count)?,
        };
        self.reserved.insert(run).map_err(misplaced)?;
        Ok(run)
    }

    /// Takes pages at the end of the file, together with those free there.
    fn grow(&mut self, count: u64) -> StorageResult<PageRun> {
        let tail = self.free.last().filter(|run| run.end().0 == self.end);
        let start = tail.map_or(self.end, |run| run.first.0);
        let fits = start / REGION_PAGES == (start + count - 1) / REGION_PAGES;
        let first = if fits { start } else { self.end.div_ceil(REGION_PAGES) * REGION_PAGES };
        if first + count > PAGE_NUMBER_LIMIT {
            return Err(StorageError::Limit {
                what: "the pages of a database".into(),
                limit: PAGE_NUMBER_LIMIT,
            });
        }
        match tail {
            Some(run) if fits => self.free.remove(run).map_err(misplaced)?,
            // The rest of the region is left for smaller requests.
            _ if first > self.end => {
                let rest = PageRun { first: PageId(self.end), count: first - self.end };
                self.free.insert(rest).map_err(misplaced)?;
            }
            _ => {}
        }
        self.end = first + count;
        Ok(PageRun { first: PageId(first), count })
    }

    /// A root names these reserved pages now.
    pub fn commit(&mut self, run: PageRun) -> StorageResult<()> {
        self.reserved.remove(run).map_err(misplaced)
    }

    /// Reserved pages may be handed out again.
    pub fn release(&mut self, run: PageRun) -> StorageResult<()> {
        self.reserved.remove(run).map_err(misplaced)?;
        self.free.insert(run).map_err(misplaced)
    }

    /// Live pages that roots up to `generation` use and later ones do not.
    pub fn retire(&mut self, run: PageRun, generation: u64) -> StorageResult<()> {
        self.check_live(run)?;
        self.held.entry(generation).or_default().insert(run).map_err(misplaced)
    }

    /// Pages that only generations up to this one read become reserved for the caller, who gives them back by
    /// `release` once nothing in memory stands for them any more.
    pub fn take_held_up_to(&mut self, generation: u64) -> StorageResult<Vec<PageRun>> {
        let mut taken = Vec::new();
        while let Some(entry) = self.held.first_entry().filter(|entry| *entry.key() <= generation) {
            for run in entry.remove().runs() {
                self.reserved.insert(run).map_err(misplaced)?;
                taken.push(run);
            }
        }
        Ok(taken)
    }

    /// Cuts free pages off the end and gives the number of pages left.
    pub fn trim(&mut self) -> StorageResult<u64> {
        self.end = cut_tail(&mut self.free, self.end)?;
        Ok(self.end)
    }

    /// What a root does not use that takes `committed` over from the reserved pages and no longer uses
    /// `retired`. Pages in two states at once are found here, before anything is written.
    pub fn unused(&self, committed: &[PageRun], retired: &[PageRun]) -> StorageResult<Unused> {
        let mut reserved = self.reserved.clone();
        for &run in committed {
            reserved.remove(run).map_err(misplaced)?;
        }
        let mut unused = self.free.clone();
        let others = self.held.values().flat_map(IntervalSet::runs).chain(reserved.runs());
        for run in others.chain(retired.iter().copied()) {
            unused.insert(run).map_err(misplaced)?;
        }
        for &run in retired {
            self.check_live(run)?;
        }
        let uncut_runs = unused.run_count();
        let page_count = cut_tail(&mut unused, self.end)?;
        Ok(Unused { runs: unused.runs().collect(), page_count, uncut_runs })
    }

    fn check_live(&self, run: PageRun) -> StorageResult<()> {
        let mut others = [&self.free, &self.reserved].into_iter().chain(self.held.values());
        match run.end().0 > self.end || others.any(|set| set.touches(run)) {
            true => Err(misplaced(Misplaced(run))),
            false => Ok(()),
        }
    }
}

/// Removes the runs that touch the end and gives the end of what is left.
fn cut_tail(set: &mut IntervalSet, mut end: u64) -> StorageResult<u64> {
    while let Some(run) = set.last().filter(|run| run.end().0 == end) {
        set.remove(run).map_err(misplaced)?;
        end = run.first.0;
    }
    Ok(end)
}

fn misplaced(Misplaced(run): Misplaced) -> StorageError {
    StorageError::Corrupt {
        file: super::page_file::FILE_NAME.to_owned(),
        page: run.first,
        what: "free space".to_owned(),
        detail: format!("{} pages from here are in use and free at once", run.count),
    }
}
