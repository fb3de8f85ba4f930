//! `COPY table FROM files`: text is parsed and checked on all threads, finished pages are written as rows come in, and
//! one root switch at the end makes everything visible. Whatever fails before it leaves nothing behind: the batch of
//! pages is dropped. Rows keep the order of the files; the first bad one is the error, unless bad rows are ignored.

mod checks;
mod columns;
mod ends;
mod error;
mod memory;
mod multiplicity;
mod node;
mod options;
mod progress;
mod rejects;
mod rel;
mod unique;

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use crate::ingest::{CsvError, CsvOptions, CsvReader, CsvSummary, expand_files};
use crate::planner::physical_plan::{BoundCopy, CopyTarget};
use crate::storage::engine::{CommitChanges, Engine, WriteTurn};
use crate::storage::state::Snapshot;
use crate::types::DataType;

pub use error::{CopyError, CopyResult};
pub use options::{CopyOptions, CopyProgress, CopySummary};

/// Loads files into a table, all of it or nothing. Waits for its turn to write.
pub fn run(copy: &BoundCopy, engine: &Arc<Engine>, options: &CopyOptions<'_>) -> CopyResult<CopySummary> {
    let csv = CsvOptions::from_pairs(copy.options.iter().map(|(name, value, _)| (name.as_str(), value)))?;
    let files = expand_files(&copy.files, options.base_dir.as_deref())?;
    let turn = engine.begin_write(options.wait)?;
    let load = Load { snapshot: turn.snapshot().clone(), turn, files, csv, options };
    let (changes, summary) = match &copy.target {
        CopyTarget::Node { table, columns } => node::stage(&load, *table, columns)?,
        CopyTarget::Rel { rel, columns, multiplicity } => rel::stage(&load, *rel, columns, *multiplicity)?,
    };
    load.check_cancelled()?;
    if summary.rows > 0 {
        load.turn.commit(changes)?;
    }
    Ok(summary)
}

/// One load under way.
struct Load<'l> {
    turn: WriteTurn,
    snapshot: Snapshot,
    files: Vec<PathBuf>,
    csv: CsvOptions,
    options: &'l CopyOptions<'l>,
}

/// What a load adds, and what it tells about itself.
type Staged = (CommitChanges, CopySummary);

impl Load<'_> {
    fn reader(&self, columns: Vec<(String, DataType)>) -> CopyResult<CsvReader> {
        Ok(CsvReader::open(self.files.clone(), self.csv.clone(), columns, self.options.limits)?)
    }

    fn threads(&self) -> usize {
        self.options.threads.max(1)
    }

    fn check_cancelled(&self) -> CopyResult<()> {
        match self.options.cancelled {
            Some(flag) if flag.load(Ordering::Relaxed) => Err(CsvError::Cancelled.into()),
            _ => Ok(()),
        }
    }

    /// The summary, after a check that no row was lost or invented.
    fn summary(
        &self,
        read: CsvSummary,
        rejects: rejects::Rejects,
        stored: u64,
        memory: &memory::Memory,
    ) -> CopyResult<CopySummary> {
        let handed_on = read.rows;
        let (rejected, rejects) = rejects.finish(read, &self.files)?;
        if handed_on != stored + rejected.late {
            return Err(CopyError::RowsLost { read: handed_on, stored, rejected: rejected.late });
        }
        let rejected = rejected.early + rejected.late;
        Ok(CopySummary { rows: stored, rejected, rejects, peak_bytes: memory.peak() })
    }
}
