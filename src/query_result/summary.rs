//! What a statement did and how long it took.

use std::time::Duration;

pub use crate::executor::write::ChangeCounts;

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
}
