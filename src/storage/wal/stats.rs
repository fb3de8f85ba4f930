//! What a log has done since it was opened.

/// Counters of a log.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct WalStats {
    /// Records that were appended, without markers and ends.
    pub appends: u64,
    /// Appended records that make a transaction real.
    pub commits: u64,
    /// Bytes that were appended, with the headers of records.
    pub bytes: u64,
    /// Syncs that made records durable.
    pub syncs: u64,
    /// Commits that these syncs made durable.
    pub commits_synced: u64,
    /// Markers that were written.
    pub markers: u64,
    /// Times that a new segment followed a full one.
    pub rotations: u64,
    /// Records that were read when the log was opened.
    pub records_replayed: u64,
    /// Bytes of a torn tail that were cut when the log was opened.
    pub bytes_cut: u64,
}

impl WalStats {
    /// How many commits shared one sync, on average; 0 while nothing was synced.
    pub fn commits_per_sync(&self) -> f64 {
        match self.syncs {
            0 => 0.0,
            syncs => self.commits_synced as f64 / syncs as f64,
        }
    }
}
