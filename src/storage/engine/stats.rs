//! Numbers about an open database.

use super::Engine;
use crate::storage::StorageResult;
use crate::storage::memory::MemoryStats;
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
    /// The oldest version that a snapshot reads.
    pub oldest_version: u64,
    /// Bytes of changes, about, that only older snapshots read.
    pub held_delta_bytes: u64,
    /// Bytes of changes, about, that no page has yet.
    pub delta_bytes: u64,
    /// Bytes of the log that are on the disk.
    pub wal_bytes: u64,
    /// Files of the log.
    pub wal_segments: u64,
    /// Syncs of the log since the database was opened.
    pub wal_syncs: u64,
    /// Commits that these syncs made durable.
    pub wal_commits_synced: u64,
    /// Commits that were logged since the database was opened.
    pub commits: u64,
    /// Commits that were found in the log when the database was opened, and its torn bytes that were cut.
    pub wal_records_replayed: u64,
    pub wal_bytes_cut: u64,
    /// Changes that met those of another transaction.
    pub conflicts: u64,
    /// Writing transactions that are open.
    pub open_transactions: u64,
    /// How often commits were merged into the active level by one of them, some at once.
    pub level_merges: u64,
    /// Checkpoints since the database was opened.
    pub checkpoints: u64,
    /// Patches that they wrote beside chunks.
    pub patch_segments_written: u64,
    /// Groups of rows and of lists that large transactions have written before their commit.
    pub groups_written_early: u64,
    /// What is held beside the buffer pool, by whom, and the most that it was.
    pub memory: MemoryStats,
    /// Bytes that operators have put aside in `tmp/` since the database was opened.
    pub bytes_spilled: u64,
}

impl StorageStats {
    /// How many commits shared one sync of the log, on average; 0 while nothing was synced.
    pub fn commits_per_sync(&self) -> f64 {
        match self.wal_syncs {
            0 => 0.0,
            syncs => self.wal_commits_synced as f64 / syncs as f64,
        }
    }

    pub(super) fn gather(engine: &Engine) -> StorageResult<StorageStats> {
        let page_file = engine.page_file();
        let (space, io) = (page_file.space_stats()?, page_file.io_stats());
        let (log, log_size) = (engine.log.stats(), engine.log.size()?);
        let current = engine.snapshot();
        let (mut references, mut oldest_generation) = (0, current.generation());
        let (mut oldest_version, mut oldest_bytes) = (current.version(), 0);
        let delta_bytes = current.change_bytes();
        for state in engine.states.lock().all.iter().filter_map(std::sync::Weak::upgrade) {
            // Without the one just made.
            references += std::sync::Arc::strong_count(&state) as u64 - 1;
            oldest_generation = oldest_generation.min(state.generation());
            if state.version() < oldest_version {
                oldest_version = state.version();
                // Over the same pages the newest state still has what the old one has.
                let shared = if state.same_base(&current) { delta_bytes } else { 0 };
                oldest_bytes = state.change_bytes().saturating_sub(shared);
            }
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
            oldest_version,
            held_delta_bytes: oldest_bytes,
            delta_bytes,
            wal_bytes: log_size.1,
            wal_segments: log_size.0,
            wal_syncs: log.syncs,
            wal_commits_synced: log.commits_synced,
            commits: log.commits,
            wal_records_replayed: log.records_replayed,
            wal_bytes_cut: log.bytes_cut,
            conflicts: engine.intents.conflicts(),
            open_transactions: engine.intents.open_transactions() as u64,
            level_merges: engine.level_merges.load(std::sync::atomic::Ordering::Relaxed),
            checkpoints: engine.checkpoints.load(std::sync::atomic::Ordering::Relaxed),
            patch_segments_written: engine.patches.load(std::sync::atomic::Ordering::Relaxed),
            groups_written_early: engine.early_groups.load(std::sync::atomic::Ordering::Relaxed),
            memory: engine.files.memory().stats(),
            bytes_spilled: engine.files.spill().bytes_written(),
        })
    }
}
