//! The geometry of extents: how many reference pages stand above the data pages, and where. The reference pages
//! of an extent are one contiguous run, lowest level first and the root last, so the reference alone names every
//! page of the extent.

use std::ops::Range;

use super::{ExtentRef, PAGE_SIZE, PageId, REFS_PER_PAGE, REGION_PAGES};

/// The most bytes that an extent can hold: one region.
pub const EXTENT_BYTES_MAX: u64 = REGION_PAGES * PAGE_SIZE as u64;
/// Page numbers have 48 bits.
pub(super) const PAGE_NUMBER_LIMIT: u64 = 1 << 48;

const FAN_OUT: u64 = REFS_PER_PAGE as u64;

/// A run of contiguous pages.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct PageRun {
    /// The first page.
    pub first: PageId,
    /// How many pages.
    pub count: u64,
}

impl PageRun {
    /// The page after the last one.
    pub const fn end(&self) -> PageId {
        PageId(self.first.0 + self.count)
    }
}

/// The number of reference pages per level above `pages` data pages, lowest level first; the last is 1.
pub(super) fn reference_levels(pages: u64) -> Vec<u64> {
    let mut levels = Vec::new();
    let mut count = pages;
    while count > 1 {
        count = count.div_ceil(FAN_OUT);
        levels.push(count);
    }
    levels
}

/// All reference pages above `pages` data pages.
pub fn reference_pages(pages: u64) -> u64 {
    reference_levels(pages).iter().sum()
}

/// All pages of an extent, as one or two runs; none for an empty extent. Right for references that
/// `check_extent` accepts.
pub fn extent_runs(extent: &ExtentRef) -> Vec<PageRun> {
    let pages = extent.page_count();
    if pages == 0 {
        return Vec::new();
    }
    let data = PageRun { first: extent.first_page, count: pages };
    let count = reference_pages(pages);
    if count == 0 {
        return vec![data];
    }
    let references = PageRun { first: PageId((extent.root.page.0 + 1).saturating_sub(count)), count };
    if references.first == data.end() {
        return vec![PageRun { first: data.first, count: data.count + count }];
    }
    vec![data, references]
}

/// What breaks a rule of the format in a reference that was read from disk.
pub(super) fn check_extent(extent: &ExtentRef) -> Result<(), String> {
    if extent.byte_length > EXTENT_BYTES_MAX {
        return Err(format!("an extent of {} bytes, the most is {EXTENT_BYTES_MAX}", extent.byte_length));
    }
    let pages = extent.page_count();
    if pages == 0 {
        return Ok(());
    }
    let levels = reference_levels(pages);
    if usize::from(extent.depth) != levels.len() {
        return Err(format!("{pages} pages under {} levels, not {}", extent.depth, levels.len()));
    }
    let first = extent.first_page.0;
    if first / REGION_PAGES != (first + pages - 1) / REGION_PAGES {
        return Err(format!("{pages} pages from {first} cross a region"));
    }
    if levels.is_empty() && extent.root.page != extent.first_page {
        return Err(format!("page {first} under a reference to page {}", extent.root.page));
    }
    if extent.root.page.0 + 1 < levels.iter().sum() {
        return Err(format!("reference pages that end at page {}", extent.root.page));
    }
    Ok(())
}

/// Where a level begins and which of its pages stand above a range of data pages. Level 0 is the data.
pub(super) struct Level {
    /// The page of index 0 in this level.
    pub first: PageId,
    /// The indexes needed.
    pub needed: Range<u64>,
}

/// The levels of a checked extent from the data up to the root, cut to what leads to the data pages `range`.
pub(super) fn levels_above(extent: &ExtentRef, range: &Range<u64>) -> Vec<Level> {
    let counts = reference_levels(extent.page_count());
    let mut levels = vec![Level { first: extent.first_page, needed: range.clone() }];
    let mut first = (extent.root.page.0 + 1).saturating_sub(counts.iter().sum());
    let mut needed = range.clone();
    for count in counts {
        needed = needed.start / FAN_OUT..needed.end.div_ceil(FAN_OUT);
        levels.push(Level { first: PageId(first), needed: needed.clone() });
        first += count;
    }
    levels
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::storage::page::PageRef;

    fn check(pages: u64, expected: &[u64]) {
        assert_eq!(reference_levels(pages), expected, "{pages} pages");
    }

    #[test]
    fn levels_narrow_to_one_page() {
        check(0, &[]);
        check(1, &[]);
        check(2, &[1]);
        check(128, &[1]);
        check(129, &[2, 1]);
        check(128 * 128, &[128, 1]);
        check(REGION_PAGES, &[2048, 16, 1]);
    }

    fn extent(first: u64, bytes: u64, depth: u8, root: u64) -> ExtentRef {
        let root = PageRef { page: PageId(root), ..PageRef::default() };
        ExtentRef { root, first_page: PageId(first), depth, byte_length: bytes }
    }

    #[test]
    fn a_reference_names_all_pages_of_its_extent() {
        let run = |first, count| PageRun { first: PageId(first), count };
        assert_eq!(extent_runs(&ExtentRef::default()), []);
        assert_eq!(extent_runs(&extent(9, 4096, 0, 9)), [run(9, 1)]);
        assert_eq!(extent_runs(&extent(9, 4097, 1, 11)), [run(9, 3)]);
        assert_eq!(extent_runs(&extent(9, 129 * 4096, 2, 140)), [run(9, 132)]);
        assert_eq!(extent_runs(&extent(9, 129 * 4096, 2, 1002)), [run(9, 129), run(1000, 3)]);
    }

    #[test]
    fn impossible_references_are_found() {
        assert!(check_extent(&extent(9, 129 * 4096, 2, 140)).is_ok());
        assert!(check_extent(&extent(9, 129 * 4096, 1, 140)).is_err());
        assert!(check_extent(&extent(9, 1, 0, 10)).is_err());
        assert!(check_extent(&extent(9, 5000, 1, 0)).is_ok());
        assert!(check_extent(&extent(9, 129 * 4096, 2, 1)).is_err());
        assert!(check_extent(&extent(9, u64::MAX, 0, 9)).is_err());
        assert!(check_extent(&extent(REGION_PAGES - 1, 5000, 1, 10)).is_err());
    }
}
