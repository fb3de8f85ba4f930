//! What a statement did and how long it took.

use std::time::Duration;

pub use crate::executor::write::ChangeCounts;

/// Reads of the buffer pool while a statement ran. They are the pool's own counters, before and after: what others did
/// at the same time is among them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct PoolUse {
    /// Reads that found everything resident.
    pub hits: u64,
    /// Blocks that had to be loaded.
    pub misses: u64,
}

/// Counts and times of one statement.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct QuerySummary {
    /// Whether the statement could change anything: definitions, COPY and writing clauses.
    pub wrote: bool,
    /// Whether it has made or dropped a table.
    pub defined: bool,
    /// What it changed.
    pub changes: ChangeCounts,
    /// Rows that a COPY passed over, as its options allow.
    pub rows_rejected: u64,
    /// Parsing, binding and planning; next to nothing when the plan was there already.
    pub compile_time: Duration,
    /// Running, until all rows were there.
    pub execution_time: Duration,
    /// Whether the plan came from the cache.
    pub plan_cached: bool,
    /// What a profiled query has read through the buffer pool; none without `PROFILE`.
    pub pool: Option<PoolUse>,
}
