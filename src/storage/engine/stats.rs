//! Numbers about an open database.

use super::Engine;
use crate::storage::StorageResult;
use crate::storage::page::PAGE_SIZE;

/// See the fields; `db.storage_stats()` shows them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct StorageStats {
    /// Bytes of the page file that the newest root and older readers need, free pages between them included.
    pub file_bytes: u64,
    /// Pages of the page file, headers included.
    pub pages: u64,
    /// Pages that the next write may take.
    pub free_pages: u64,
    /// Pages of writes that are under way.
    pub reserved_pages: u64,
    /// Pages that only older snapshots read.
    pub held_pages: u64,
    /// Pages read until the database could be used.
    pub pages_read_at_open: u64,
    /// Pages read past the buffer pool and into it, so far.
    pub pages_read: u64,
    /// Pages written so far.
    pub pages_written: u64,
    /// How often files were made durable.
    pub syncs: u64,
    /// Counts root switches.
    pub generation: u64,
    /// The number of the newest commit.
    pub version: u64,
    /// Snapshots that are held, of any version.
    pub snapshots: u64,
    /// The oldest generation that a snapshot reads.
    pub oldest_generation: u64,
}

impl StorageStats {
    pub(super) fn gather(engine: &Engine) -> StorageResult<StorageStats> {
        let page_file = engine.page_file();
        let (space, io) = (page_file.space_stats()?, page_file.io_stats());
        let current = engine.snapshot();
        let (mut references, mut oldest_generation) = (0, current.generation());
        for state in engine.states.lock().iter().filter_map(std::sync::Weak::upgrade) {
            // Without the one just made.
            references += std::sync::Arc::strong_count(&state) as u64 - 1;
            oldest_generation = oldest_generation.min(state.generation());
        }
        Ok(StorageStats {
            file_bytes: space.pages * PAGE_SIZE as u64,
            pages: space.pages,
            free_pages: space.free,
            reserved_pages: space.reserved,
            held_pages: space.held,
            pages_read_at_open: engine.files.pages_read_at_open(),
            pages_read: io.pages_read,
            pages_written: io.pages_written,
            syncs: io.syncs,
            generation: current.generation(),
            version: current.version(),
            // Without the engine's own reference and `current`.
            snapshots: references.saturating_sub(2),
            oldest_generation,
        })
    }
}
