//! A set of pages as runs, ordered by place and by length. No run crosses a region, so whatever fits into a run
//! may become an extent.

use std::collections::{BTreeMap, BTreeSet};

use super::{PageId, PageRun, REGION_PAGES};

/// Disjoint runs; neighbours within one region are always merged.
#[derive(Debug, Clone, Default)]
pub(super) struct IntervalSet {
    lengths: BTreeMap<u64, u64>,
    by_length: BTreeSet<(u64, u64)>,
    pages: u64,
}

/// A page was to be added that is there, or removed that is not.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Misplaced(pub PageRun);

impl IntervalSet {
    pub fn pages(&self) -> u64 {
        self.pages
    }

    pub fn run_count(&self) -> u64 {
        self.lengths.len() as u64
    }

    /// The runs in ascending order.
    pub fn runs(&self) -> impl Iterator<Item = PageRun> + '_ {
        self.lengths.iter().map(|(&first, &count)| PageRun { first: PageId(first), count })
    }

    pub fn last(&self) -> Option<PageRun> {
        self.lengths.last_key_value().map(|(&first, &count)| PageRun { first: PageId(first), count })
    }

    /// Adds pages none of which is in the set.
    pub fn insert(&mut self, run: PageRun) -> Result<(), Misplaced> {
        if self.touches(run) {
            return Err(Misplaced(run));
        }
        let (mut start, end) = (run.first.0, run.end().0);
        while start < end {
            let cut = end.min((start / REGION_PAGES + 1) * REGION_PAGES);
            self.insert_within_region(start, cut);
            start = cut;
        }
        Ok(())
    }

    fn insert_within_region(&mut self, mut start: u64, mut end: u64) {
        self.pages += end - start;
        if !start.is_multiple_of(REGION_PAGES)
            && let Some((&before, &length)) = self.lengths.range(..start).next_back()
            && before + length == start
        {
            self.drop_run(before, length);
            start = before;
        }
        if !end.is_multiple_of(REGION_PAGES)
            && let Some(&length) = self.lengths.get(&end)
        {
            self.drop_run(end, length);
            end += length;
        }
        self.add_run(start, end - start);
    }

    /// Removes pages all of which are in the set.
    pub fn remove(&mut self, run: PageRun) -> Result<(), Misplaced> {
        let pieces: Vec<(u64, u64)> = self.overlapping(run).collect();
        let (start, end) = (run.first.0, run.end().0);
        let covered: u64 =
            pieces.iter().map(|&(first, length)| (first + length).min(end) - first.max(start)).sum();
        if covered != run.count {
            return Err(Misplaced(run));
        }
        for (first, length) in pieces {
            self.drop_run(first, length);
            if first < start {
                self.add_run(first, start - first);
            }
            if first + length > end {
                self.add_run(end, first + length - end);
            }
        }
        self.pages -= run.count;
        Ok(())
    }

    /// Takes `count` pages from the front of the smallest run that has them, the first of equal ones.
    pub fn take_best(&mut self, count: u64) -> Option<PageRun> {
        let &(length, first) = self.by_length.range((count, 0)..).next()?;
        self.drop_run(first, length);
        if length > count {
            self.add_run(first + count, length - count);
        }
        self.pages -= count;
        Some(PageRun { first: PageId(first), count })
    }

    /// Whether any of these pages is in the set.
    pub fn touches(&self, run: PageRun) -> bool {
        self.overlapping(run).next().is_some()
    }

    /// The runs that share pages with `run`.
    fn overlapping(&self, run: PageRun) -> impl Iterator<Item = (u64, u64)> + '_ {
        let (start, end) = (run.first.0, run.end().0);
        let before =
            self.lengths.range(..start).next_back().filter(move |(first, length)| *first + *length > start);
        before.into_iter().chain(self.lengths.range(start..end)).map(|(&first, &length)| (first, length))
    }

    fn add_run(&mut self, first: u64, length: u64) {
        self.lengths.insert(first, length);
        self.by_length.insert((length, first));
    }

    fn drop_run(&mut self, first: u64, length: u64) {
        self.lengths.remove(&first);
        self.by_length.remove(&(length, first));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(first: u64, count: u64) -> PageRun {
        PageRun { first: PageId(first), count }
    }

    fn set(runs: &[(u64, u64)]) -> IntervalSet {
        let mut set = IntervalSet::default();
        for &(first, count) in runs {
            set.insert(run(first, count)).unwrap();
        }
        set
    }

    fn check(set: &IntervalSet, expected: &[(u64, u64)]) {
        let runs: Vec<_> = set.runs().map(|run| (run.first.0, run.count)).collect();
        assert_eq!(runs, expected);
        assert_eq!(set.pages(), expected.iter().map(|run| run.1).sum::<u64>());
        assert_eq!(set.by_length.len(), expected.len());
    }

    #[test]
    fn neighbours_merge_but_not_across_regions() {
        check(&set(&[(5, 2), (9, 1), (7, 2)]), &[(5, 5)]);
        let edge = REGION_PAGES;
        check(&set(&[(edge - 2, 4)]), &[(edge - 2, 2), (edge, 2)]);
        check(&set(&[(edge, 1), (edge - 1, 1)]), &[(edge - 1, 1), (edge, 1)]);
    }

    #[test]
    fn pages_are_in_the_set_once() {
        let mut free = set(&[(5, 3), (10, 5)]);
        for misplaced in [run(7, 1), run(4, 2), run(0, 100), run(12, 1), run(14, 9)] {
            assert_eq!(free.insert(misplaced), Err(Misplaced(misplaced)));
        }
        for missing in [run(8, 1), run(7, 2), run(5, 10), run(14, 2)] {
            assert_eq!(free.remove(missing), Err(Misplaced(missing)));
        }
        check(&free, &[(5, 3), (10, 5)]);
        free.remove(run(11, 2)).unwrap();
        check(&free, &[(5, 3), (10, 1), (13, 2)]);
        free.remove(run(5, 3)).unwrap();
        check(&free, &[(10, 1), (13, 2)]);
    }

    #[test]
    fn removal_reaches_across_regions() {
        let edge = REGION_PAGES;
        let mut free = set(&[(edge - 5, 10)]);
        free.remove(run(edge - 1, 3)).unwrap();
        check(&free, &[(edge - 5, 4), (edge + 2, 3)]);
    }

    #[test]
    fn the_smallest_hole_that_fits_is_taken() {
        let mut free = set(&[(10, 100), (200, 3), (300, 5), (400, 3)]);
        assert_eq!(free.take_best(2), Some(run(200, 2)));
        assert_eq!(free.take_best(3), Some(run(400, 3)));
        assert_eq!(free.take_best(1), Some(run(202, 1)));
        assert_eq!(free.take_best(200), None);
        check(&free, &[(10, 100), (300, 5)]);
    }
}
