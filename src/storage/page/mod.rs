//! Pages and how they are named. A page is 4096 bytes; a reference carries all that is needed to check it;
//! an extent is a run of contiguous pages under one tree of references. See `specs/format/database_file.md`.

mod allocator;
mod batch;
mod buffers;
mod bytes;
mod checksum;
#[cfg(test)]
mod durability_tests;
mod extent;
mod free_list;
mod header;
mod intervals;
mod logged_root;
mod page_file;
mod read;
mod refs;
mod root;
#[cfg(test)]
mod space_tests;
mod switch;
mod writer;

pub use allocator::SpaceStats;
pub use batch::WriteBatch;
pub use checksum::PageChecksum;
pub use extent::{EXTENT_BYTES_MAX, PageRun, extent_runs, reference_pages};
pub use free_list::{FREE_LIST_VERSION, encode_free_list};
pub use header::{
    ChosenHeader, FORMAT_VERSION, HEADER_PAGES, Header, HeaderFlags, Lsn, MAGIC, choose_header,
};
pub use logged_root::{LoggedRoot, PreparedRoot};
pub use page_file::{Access, CreateOptions, FILE_NAME, GenerationHold, IoStats, PageFile};
pub use root::{ROOT_SIZE, ROOT_VERSION, Root};
pub use switch::RootChange;
pub use writer::ExtentWriter;

pub use refs::{ExtentRef, PAGE_SIZE, PageId, PageRef, REFS_PER_PAGE, REGION_PAGES, pages_for};

use super::StorageResult;

/// Where the buffer pool gets verified bytes from. Implemented by the page file and by tests.
pub trait PageSource: Send + Sync {
    /// Reads `references.len()` contiguous pages into `out` (as many times 4096 bytes), opens them with the
    /// codec and compares each with its reference. `what` names the structure for the error (table, column).
    fn read_pages(&self, references: &[PageRef], what: &str, out: &mut [u8]) -> StorageResult<()>;
}
