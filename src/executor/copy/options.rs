//! How a load runs, and what it says at its end.

use std::path::PathBuf;
use std::sync::atomic::AtomicBool;
use std::time::{Duration, Instant};

use crate::ingest::{CsvLimits, RowError};
use crate::planner::physical_plan::TableCheck;
use crate::types::{ColumnId, NODE_GROUP_ROWS, Value};

/// What a load is given beside the statement.
pub struct CopyOptions<'o> {
    /// Threads that parse, sort and write, the calling one included.
    pub threads: usize,
    /// What relative paths start from; the working directory otherwise.
    pub base_dir: Option<PathBuf>,
    /// The DEFAULT of each column that has one, evaluated.
    pub defaults: &'o [(ColumnId, Value)],
    /// What rows have to fulfil.
    pub checks: &'o [TableCheck],
    /// Told about ten times a second how far the load is, and once at its end.
    pub progress: Option<&'o dyn Fn(CopyProgress)>,
    /// Ends the load with an error once it is set.
    pub cancelled: Option<&'o AtomicBool>,
    /// Ends it likewise once it is over.
    pub deadline: Option<Instant>,
    /// Fewer rows than this go through the log as those of CREATE do; at most a group of them.
    pub small_rows: u64,
    /// How long to wait for other writers; as long as the engine says otherwise.
    pub wait: Option<Duration>,
    /// Bounds of the reader.
    pub limits: CsvLimits,
}

impl Default for CopyOptions<'_> {
    fn default() -> Self {
        CopyOptions {
            threads: 1,
            base_dir: None,
            defaults: &[],
            checks: &[],
            progress: None,
            cancelled: None,
            deadline: None,
            small_rows: NODE_GROUP_ROWS,
            wait: None,
            limits: CsvLimits::default(),
        }
    }
}

/// How far a load is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct CopyProgress {
    /// Bytes of text whose rows have been taken over.
    pub bytes_read: u64,
    /// Bytes of text in all files.
    pub bytes_total: u64,
    /// Rows taken over.
    pub rows: u64,
}

/// What was loaded.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct CopySummary {
    /// Rows stored.
    pub rows: u64,
    /// Bad rows passed over.
    pub rejected: u64,
    /// The first of them, in the order of the files.
    pub rejects: Vec<RowError>,
    /// The most bytes that the load held, pages of the pool not counted.
    pub peak_bytes: u64,
}
