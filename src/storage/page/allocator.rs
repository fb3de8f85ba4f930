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

    /// A root that the log names uses these pages, which the list on disk calls free or which lie beyond its end.
    pub fn adopt(&mut self, run: PageRun) -> StorageResult<()> {
        let end = run.end().0;
        if end > self.end {
            let beyond = PageRun { first: PageId(self.end), count: end - self.end };
            self.free.insert(beyond).map_err(misplaced)?;
            self.end = end;
        }
        self.free.remove(run).map_err(misplaced)
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

    pub fn check_live(&self, run: PageRun) -> StorageResult<()> {
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

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;

    #[derive(Debug, Clone, Copy, PartialEq, Eq)]
    enum State {
        Free,
        Reserved,
        Held(u64),
        Live,
    }

    /// What each page is; a page that is not mentioned lies beyond the end.
    #[derive(Default)]
    struct Model {
        pages: BTreeMap<u64, State>,
    }

    impl Model {
        fn set(&mut self, run: PageRun, from: Option<State>, to: State) {
            for page in run.first.0..run.end().0 {
                assert_eq!(self.pages.insert(page, to), from, "page {page}");
            }
        }

        fn count(&self, wanted: impl Fn(State) -> bool) -> u64 {
            self.pages.values().filter(|&&state| wanted(state)).count() as u64
        }

        /// Pages skipped at the end of a region turn up as free ones.
        fn adopt_skipped(&mut self, allocator: &Allocator) {
            for run in allocator.free.runs() {
                for page in run.first.0..run.end().0 {
                    self.pages.entry(page).or_insert(State::Free);
                }
            }
        }

        fn check(&self, allocator: &Allocator) {
            let stats = allocator.stats();
            assert_eq!(stats.pages, self.pages.last_key_value().map_or(0, |(page, _)| page + 1));
            assert_eq!(stats.free, self.count(|state| state == State::Free));
            assert_eq!(stats.reserved, self.count(|state| state == State::Reserved));
            assert_eq!(stats.held, self.count(|state| matches!(state, State::Held(_))));
            let unused = allocator.unused(&[], &[]).unwrap();
            let mut live =
                self.pages.iter().filter(|(_, state)| **state == State::Live).map(|(page, _)| *page);
            let mut listed = unused.runs.iter().flat_map(|run| run.first.0..run.end().0).peekable();
            // Live and listed pages are disjoint and together all pages.
            for page in 0..unused.page_count {
                match listed.next_if_eq(&page) {
                    Some(_) => assert_ne!(self.pages[&page], State::Live),
                    None => assert_eq!(live.next(), Some(page)),
                }
            }
            assert_eq!((live.next(), listed.next()), (None, None));
        }
    }

    fn run_operations(start: u64, operations: &[(u8, u64)]) {
        let mut allocator = Allocator::new(start, IntervalSet::default());
        let mut model = Model::default();
        model.set(PageRun { first: PageId(0), count: start }, None, State::Live);
        let (mut reserved, mut live) = (Vec::<PageRun>::new(), Vec::<PageRun>::new());
        for (step, &(operation, argument)) in (0..).zip(operations) {
            let pick = |runs: &mut Vec<PageRun>| match runs.len() {
                0 => None,
                length => Some(runs.swap_remove(argument as usize % length)),
            };
            match operation {
                0..=4 => {
                    let count = if operation < 3 { argument % 4 + 1 } else { argument % 60 + 1 };
                    let fits = model.fits(count);
                    let run = allocator.allocate(count).unwrap();
                    assert_eq!(run.first.0 / REGION_PAGES, (run.end().0 - 1) / REGION_PAGES);
                    let before = model.pages.get(&run.first.0).copied();
                    assert!(before == Some(State::Free) || !fits, "a hole was there, but the file grew");
                    for page in run.first.0..run.end().0 {
                        let was = model.pages.insert(page, State::Reserved);
                        assert!(matches!(was, None | Some(State::Free)), "page {page} was {was:?}");
                    }
                    model.adopt_skipped(&allocator);
                    reserved.push(run);
                }
                5 => {
                    if let Some(run) = pick(&mut reserved) {
                        allocator.release(run).unwrap();
                        model.set(run, Some(State::Reserved), State::Free);
                    }
                }
                6 | 7 => {
                    if let Some(run) = pick(&mut reserved) {
                        allocator.commit(run).unwrap();
                        model.set(run, Some(State::Reserved), State::Live);
                        live.push(run);
                    }
                }
                8 => {
                    if let Some(run) = pick(&mut live) {
                        allocator.retire(run, step).unwrap();
                        assert!(allocator.retire(run, step).is_err());
                        assert!(allocator.release(run).is_err());
                        model.set(run, Some(State::Live), State::Held(step));
                    }
                }
                9 => {
                    let oldest = step.saturating_sub(argument % 30);
                    for run in allocator.take_held_up_to(oldest).unwrap() {
                        allocator.release(run).unwrap();
                        for page in run.first.0..run.end().0 {
                            let was = model.pages.insert(page, State::Free);
                            assert!(matches!(was, Some(State::Held(at)) if at <= oldest));
                        }
                    }
                    assert_eq!(model.count(|state| matches!(state, State::Held(at) if at <= oldest)), 0);
                }
                _ => {
                    let end = allocator.trim().unwrap();
                    for (page, state) in model.pages.split_off(&end) {
                        assert_eq!(state, State::Free, "page {page} was cut off");
                    }
                    assert_ne!(model.pages.last_key_value().map(|(_, state)| *state), Some(State::Free));
                }
            }
            if step % 8 == 0 {
                model.check(&allocator);
            }
        }
        model.check(&allocator);
    }

    impl Model {
        /// Whether so many neighbouring free pages lie in one region.
        fn fits(&self, count: u64) -> bool {
            let mut length = 0;
            let mut next = 0;
            self.pages.iter().filter(|(_, state)| **state == State::Free).any(|(&page, _)| {
                length = if page == next && page % REGION_PAGES != 0 { length + 1 } else { 1 };
                next = page + 1;
                length >= count
            })
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(120))]

        #[test]
        fn no_page_is_lost_or_handed_out_twice(operations in prop::collection::vec((0..11_u8, 0..1000_u64), 1..120)) {
            run_operations(3, &operations);
        }
    }

    #[test]
    fn extents_do_not_cross_regions() {
        let mut allocator = Allocator::new(REGION_PAGES - 10, IntervalSet::default());
        let mut check =
            |count, expected| assert_eq!(allocator.allocate(count).unwrap().first, PageId(expected));
        check(8, REGION_PAGES - 10);
        check(8, REGION_PAGES);
        check(2, REGION_PAGES - 2);
        check(REGION_PAGES, 2 * REGION_PAGES);
        assert!(allocator.allocate(REGION_PAGES + 1).is_err());
        assert!(allocator.allocate(0).is_err());
        assert_eq!(allocator.stats().free, REGION_PAGES - 8);
    }

    #[test]
    fn small_requests_leave_large_holes_whole() {
        let mut allocator = Allocator::new(2, IntervalSet::default());
        let runs: Vec<_> = [100, 1, 2, 1, 1].map(|count| allocator.allocate(count).unwrap()).into();
        allocator.release(runs[0]).unwrap();
        allocator.release(runs[2]).unwrap();
        assert_eq!(allocator.allocate(1).unwrap().first, runs[2].first);
        assert_eq!(allocator.allocate(1).unwrap().first, runs[2].first.plus(1));
        assert_eq!(allocator.allocate(100).unwrap(), runs[0]);
    }
}
