//! Names of bytes in the base: where a segment lies and whom it belongs to.

use std::fmt;
use std::ops::Range;
use std::sync::{Arc, OnceLock};

use super::cast::{AlignedBuffer, AlignedBytes, SEGMENT_ALIGNMENT};
use crate::storage::page::{ExtentRef, PAGE_SIZE, PageRef, REFS_PER_PAGE, REGION_PAGES};
use crate::storage::{StorageError, StorageResult};

/// Pages of a block: the unit of loading and eviction.
pub const BLOCK_PAGES: u32 = 16;
/// Bytes of a full block.
pub const BLOCK_BYTES: u64 = BLOCK_PAGES as u64 * PAGE_SIZE as u64;

/// What a segment belongs to, for messages: made once per column, shared by its segments.
#[derive(Debug, Default)]
pub struct SegmentOwner {
    /// The page file.
    pub file: String,
    /// The table, or the structure that is no table (`catalog`, `free space`).
    pub table: String,
    /// The column or part of the table; may be empty.
    pub column: String,
    text: OnceLock<String>,
}

impl SegmentOwner {
    /// An owner to share between the segments of a column.
    pub fn new(file: &str, table: &str, column: &str) -> Arc<SegmentOwner> {
        let (file, table, column) = (file.to_owned(), table.to_owned(), column.to_owned());
        Arc::new(SegmentOwner { file, table, column, text: OnceLock::new() })
    }

    /// `table T, column c`; formatted at the first miss.
    pub fn what(&self) -> &str {
        self.text.get_or_init(|| match (self.table.as_str(), self.column.as_str()) {
            (table, "") => table.to_owned(),
            (table, column) => format!("table {table}, column {column}"),
        })
    }
}

/// The bytes of one segment: cheap to clone, says nothing about what they mean.
#[derive(Clone)]
pub struct SegmentRef(pub(super) Place);

#[derive(Clone)]
pub(super) enum Place {
    Inline { bytes: AlignedBytes, start: usize, length: usize },
    Paged(PagedSegment),
}

/// A part of an extent. `new` has checked that the pages fit into one region, that the reference tree has the right
/// height and that the part lies within the extent.
#[derive(Clone)]
pub(super) struct PagedSegment {
    pub(super) pages: PageRun,
    pub(super) offset: u64,
    pub(super) length: u64,
    pub(super) root: PageRef,
    pub(super) depth: u8,
    pub(super) owner: Arc<SegmentOwner>,
}

/// The data pages of an extent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct PageRun {
    pub(super) first: u64,
    pub(super) count: u32,
}

impl PageRun {
    /// Pages of block `block`; 0 past the end.
    #[inline(always)]
    pub(super) fn pages_of(self, block: u32) -> u32 {
        self.count.saturating_sub(block.saturating_mul(BLOCK_PAGES)).min(BLOCK_PAGES)
    }

    /// The first page of block `block`.
    #[inline(always)]
    pub(super) fn page_of(self, block: u32) -> u64 {
        self.first + u64::from(block) * u64::from(BLOCK_PAGES)
    }
}

/// The blocks that hold bytes `start..end` of an extent; not for an empty range.
#[inline(always)]
pub(super) fn blocks_of(start: u64, end: u64) -> Range<u32> {
    (start / BLOCK_BYTES) as u32..((end - 1) / BLOCK_BYTES + 1) as u32
}

impl SegmentRef {
    /// Bytes that live in a page decoded elsewhere; copied to aligned storage of their own.
    pub fn inline(bytes: &[u8]) -> SegmentRef {
        let length = bytes.len();
        SegmentRef(Place::Inline { bytes: Arc::new(AlignedBuffer::copy_of(bytes)), start: 0, length })
    }

    /// A range of shared aligned bytes. It is copied when it does not start at a multiple of 64. `None` when the
    /// range is not within the bytes.
    pub fn inline_in(bytes: &AlignedBytes, range: Range<usize>) -> Option<SegmentRef> {
        let part = bytes.get(range.clone())?;
        Some(match range.start.is_multiple_of(SEGMENT_ALIGNMENT) {
            true => SegmentRef(Place::Inline {
                bytes: Arc::clone(bytes),
                start: range.start,
                length: range.len(),
            }),
            false => SegmentRef::inline(part),
        })
    }

    /// `length` bytes from `offset` of an extent. `Corrupt` when the extent or the range cannot be.
    pub fn paged(
        extent: ExtentRef,
        offset: u64,
        length: u64,
        owner: Arc<SegmentOwner>,
    ) -> StorageResult<SegmentRef> {
        check_extent(&extent, offset, length).map_err(|detail| StorageError::Corrupt {
            file: owner.file.clone(),
            page: extent.first_page,
            what: owner.what().to_owned(),
            detail: detail.to_owned(),
        })?;
        let pages = PageRun { first: extent.first_page.0, count: extent.page_count() as u32 };
        let (root, depth) = (extent.root, extent.depth);
        Ok(SegmentRef(Place::Paged(PagedSegment { pages, offset, length, root, depth, owner })))
    }

    /// All bytes of an extent.
    pub fn extent(extent: ExtentRef, owner: Arc<SegmentOwner>) -> StorageResult<SegmentRef> {
        SegmentRef::paged(extent, 0, extent.byte_length, owner)
    }

    /// One whole page, such as a node of an index.
    pub fn page(reference: PageRef, owner: Arc<SegmentOwner>) -> StorageResult<SegmentRef> {
        let byte_length = PAGE_SIZE as u64;
        let extent = ExtentRef { root: reference, first_page: reference.page, depth: 0, byte_length };
        SegmentRef::extent(extent, owner)
    }

    /// A part of this segment. `None` when the range is not within it.
    pub fn part(&self, range: Range<u64>) -> Option<SegmentRef> {
        if range.start > range.end || range.end > self.len() {
            return None;
        }
        match &self.0 {
            Place::Inline { bytes, start, .. } => {
                SegmentRef::inline_in(bytes, start + range.start as usize..start + range.end as usize)
            }
            Place::Paged(paged) => {
                let (offset, length) = (paged.offset + range.start, range.end - range.start);
                Some(SegmentRef(Place::Paged(PagedSegment { offset, length, ..paged.clone() })))
            }
        }
    }

    /// Bytes of the segment.
    #[inline]
    pub fn len(&self) -> u64 {
        match &self.0 {
            Place::Inline { length, .. } => *length as u64,
            Place::Paged(paged) => paged.length,
        }
    }

    /// Whether the segment has no bytes.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The bytes, when they need no pages.
    pub fn as_inline(&self) -> Option<&[u8]> {
        match &self.0 {
            Place::Inline { bytes, start, length } => bytes.get(*start..start + length),
            Place::Paged(_) => None,
        }
    }

    /// How many blocks the segment touches; 0 when it is inline or empty. Up to `CURSOR_BLOCKS_MAX` can be viewed.
    pub fn block_count(&self) -> u32 {
        match &self.0 {
            Place::Paged(paged) if paged.length > 0 => {
                blocks_of(paged.offset, paged.offset + paged.length).len() as u32
            }
            _ => 0,
        }
    }
}

impl fmt::Debug for SegmentRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Place::Inline { length, .. } => write!(f, "inline segment of {length} bytes"),
            Place::Paged(paged) => {
                let PagedSegment { pages, offset, length, owner, .. } = paged;
                write!(f, "{length} bytes at {offset} of {pages:?} ({})", owner.what())
            }
        }
    }
}

/// The error for a structure whose page or references cannot be what they claim.
pub(super) fn corrupt(owner: &SegmentOwner, page: u64, detail: impl Into<String>) -> StorageError {
    StorageError::Corrupt {
        file: owner.file.clone(),
        page: crate::storage::page::PageId(page),
        what: owner.what().to_owned(),
        detail: detail.into(),
    }
}

fn check_extent(extent: &ExtentRef, offset: u64, length: u64) -> Result<(), &'static str> {
    let count = extent.page_count();
    let first = extent.first_page.0;
    let end = offset.checked_add(length).ok_or("a segment whose end overflows")?;
    if end > extent.byte_length {
        return Err("a segment that ends behind its extent");
    }
    let fits =
        first.checked_add(count).is_some_and(|end| end.div_ceil(REGION_PAGES) <= first / REGION_PAGES + 1);
    if count > REGION_PAGES || !fits {
        return Err("an extent that crosses a region");
    }
    let reach = (REFS_PER_PAGE as u64).checked_pow(u32::from(extent.depth));
    if reach.is_none_or(|reach| reach < count) {
        return Err("an extent with more pages than references");
    }
    if extent.depth == 0 && count > 0 && extent.root.page != extent.first_page {
        return Err("a page whose reference names another page");
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::storage::page::PageId;

    fn check(first: u64, depth: u8, byte_length: u64, part: (u64, u64), expected: Result<(), &str>) {
        let root = PageRef { page: PageId(if depth == 0 { first } else { 7 }), ..PageRef::default() };
        let extent = ExtentRef { root, first_page: PageId(first), depth, byte_length };
        let made = SegmentRef::paged(extent, part.0, part.1, SegmentOwner::new("f", "T", "c"));
        match (made, expected) {
            (Ok(_), Ok(())) => {}
            (Err(error), Err(text)) => assert!(error.to_string().contains(text), "{error}"),
            (made, expected) => panic!("{made:?} instead of {expected:?}"),
        }
    }

    #[test]
    fn impossible_extents_are_refused() {
        check(9, 0, 4096, (0, 4096), Ok(()));
        check(9, 1, 128 * 4096, (64, 4096), Ok(()));
        check(REGION_PAGES - 4, 1, 4 * 4096, (0, 1), Ok(()));
        check(REGION_PAGES - 4, 1, 5 * 4096, (0, 1), Err("crosses a region"));
        check(u64::MAX - 1, 1, 5 * 4096, (0, 1), Err("crosses a region"));
        check(9, 1, 129 * 4096, (0, 1), Err("more pages than references"));
        check(9, 200, 129 * 4096, (0, 1), Err("more pages than references"));
        check(9, 0, 4096, (1, 4096), Err("ends behind its extent"));
        check(9, 0, 4096, (u64::MAX, 2), Err("overflows"));
    }

    #[test]
    fn parts_of_inline_segments_stay_aligned() {
        let shared: AlignedBytes = Arc::new(AlignedBuffer::copy_of(&(0..200).collect::<Vec<u8>>()));
        for start in [0, 5, 64, 70] {
            let segment = SegmentRef::inline_in(&shared, start..start + 50).expect("within the bytes");
            let bytes = segment.as_inline().expect("inline");
            assert_eq!(bytes, &shared[start..start + 50]);
            assert!(bytes.as_ptr().addr().is_multiple_of(64));
        }
        assert!(SegmentRef::inline_in(&shared, 190..201).is_none());
        let part = SegmentRef::inline(&shared).part(10..20).expect("within the segment");
        assert_eq!(part.as_inline(), Some(&shared[10..20]));
        assert!(part.part(5..11).is_none());
    }
}
