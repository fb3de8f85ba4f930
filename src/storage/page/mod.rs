//! Pages and how they are named. A page is 4096 bytes; a reference carries all that is needed to check it;
//! an extent is a run of contiguous pages under one tree of references. See `specs/format/database_file.md`.

mod refs;

pub use refs::{ExtentRef, PAGE_SIZE, PageId, PageRef, REFS_PER_PAGE, REGION_PAGES, pages_for};
