//! Pages and how they are named. A page is 4096 bytes; a reference carries all that is needed to check it;
//! an extent is a run of contiguous pages under one tree of references. See `specs/format/database_file.md`.

mod refs;

pub use refs::{ExtentRef, PAGE_SIZE, PageId, PageRef, REFS_PER_PAGE, REGION_PAGES, pages_for};

use super::StorageResult;

/// Where the buffer pool gets verified bytes from. Implemented by the page file and by tests.
pub trait PageSource: Send + Sync {
    /// Reads `references.len()` contiguous pages into `out` (as many times 4096 bytes), opens them with the
    /// codec and compares each with its reference. `what` names the structure for the error (table, column).
    fn read_pages(&self, references: &[PageRef], what: &str, out: &mut [u8]) -> StorageResult<()>;
    /// Whether the store is this process's memory (`:memory:`): frames are then the only copy of written pages.
    fn is_memory(&self) -> bool {
        false
    }
}
