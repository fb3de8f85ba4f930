//! A fixed memory budget of frames over the page file. Pages have fixed addresses in reserved regions, are loaded and
//! evicted in blocks of up to 16, and are read in two ways: a scan lends ranges and holds guards; everything else
//! reads through a cursor, inside an epoch, with one load per block. See `specs/buffer_pool.md` for the rules, and
//! `specs/format/database_file.md` for what a miss verifies.

mod budget;
mod cast;
mod cursor;
mod epoch;
mod eviction;
mod fault;
mod frame;
mod lend;
mod mapping;
mod pool;
mod segment;
mod state;
mod stats;
mod sync;
#[cfg(test)]
mod tests;
mod workers;

pub use budget::Accounted;
pub use cast::{AlignedBuffer, AlignedBytes, Plain, SEGMENT_ALIGNMENT, as_bytes, bytes_as, try_bytes_as};
pub use cursor::{CURSOR_BLOCKS_MAX, Cursor, PoolWorker, SegmentView};
pub use lend::{Admission, SegmentGuard};
pub use pool::{BufferPool, WeakBufferPool};
pub use segment::{BLOCK_BYTES, BLOCK_PAGES, SegmentOwner, SegmentRef};
pub use stats::BufferPoolStats;
