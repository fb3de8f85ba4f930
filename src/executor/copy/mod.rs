//! `COPY table FROM files`: text is parsed and checked on all threads, finished pages are written as rows come in, and
//! become a step of the transaction at the end; fewer rows than a group go into its level, as those of CREATE do.
//! Whatever fails before leaves nothing behind: the batch of pages is dropped. Rows keep the order of the files; the first bad one is the error, unless bad rows are ignored.

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
mod stop;
mod unique;

use std::path::PathBuf;
use std::sync::Arc;

use crate::ingest::{CsvError, CsvOptions, CsvReader, CsvSummary, expand_files};
use crate::planner::physical_plan::{BoundCopy, CopyTarget};
use crate::storage::StorageError;
use crate::storage::engine::{Engine, StagedLoad};
use crate::storage::state::Snapshot;
use crate::transaction::{SmallLoad, WriteOptions, WriteTransaction, areas_of_load};
use crate::types::{ColumnId, DataType, TableId};

pub use error::{CopyError, CopyResult};
pub use options::{CopyOptions, CopyProgress, CopySummary};
use stop::{LoadPages, StopSigns};

/// Loads files into a table in a transaction of its own, all of it or nothing. Waits for its turn to write.
pub fn run(copy: &BoundCopy, engine: &Arc<Engine>, options: &CopyOptions<'_>) -> CopyResult<CopySummary> {
    let prepared = PreparedCopy::new(copy, options)?;
    let begin = WriteOptions { wait: options.wait, single: true, ..WriteOptions::default() };
    let areas = areas_of_load(engine.snapshot().catalog(), prepared.table());
    let mut writer = WriteTransaction::begin_in(engine, begin, &areas)?;
    let summary = prepared.run(&mut writer)?;
    writer.commit()?;
    Ok(summary)
}

/// A statement whose options were read and whose files were found.
pub struct PreparedCopy<'c> {
    copy: &'c BoundCopy,
    options: &'c CopyOptions<'c>,
    csv: CsvOptions,
    files: Vec<PathBuf>,
}

impl<'c> PreparedCopy<'c> {
    /// Reads the options and looks for the files.
    pub fn new(copy: &'c BoundCopy, options: &'c CopyOptions<'c>) -> CopyResult<PreparedCopy<'c>> {
        let pairs = copy.options.iter().map(|(name, value, _)| (name.as_str(), value));
        let csv = CsvOptions::from_pairs(pairs)?;
        let files = expand_files(&copy.files, options.base_dir.as_deref())?;
        Ok(PreparedCopy { copy, options, csv, files })
    }

    fn table(&self) -> TableId {
        match &self.copy.target {
            CopyTarget::Node { table, .. } => *table,
            CopyTarget::Rel { rel, .. } => rel.table,
        }
    }

    /// Loads the files in a transaction. After an error the transaction has nothing of it.
    pub fn run(&self, writer: &mut WriteTransaction) -> CopyResult<CopySummary> {
        self.load(writer).map_err(|error| match error {
            CopyError::Storage(StorageError::Interrupted) => CsvError::Cancelled.into(),
            error => error,
        })
    }

    fn load(&self, writer: &mut WriteTransaction) -> CopyResult<CopySummary> {
        let table = self.table();
        let signs = StopSigns { flag: self.options.cancelled, deadline: self.options.deadline };
        if writer.catalog().table_by_id(table).is_none() {
            return Err(CopyError::TableChanged);
        }
        let place = writer.begin_load(table)?;
        let next_serial = |column| Ok(writer.next_serial(table, column)?);
        let load = Load {
            snapshot: &place.view,
            pages: LoadPages { batch: &place.batch, signs },
            row_bound: place.row_bound,
            next_serial: &next_serial,
            files: &self.files,
            csv: &self.csv,
            options: self.options,
        };
        let (loaded, summary) = match &self.copy.target {
            CopyTarget::Node { table, columns } => node::stage(&load, *table, columns)?,
            CopyTarget::Rel { rel, columns, multiplicity } => {
                rel::stage(&load, *rel, columns, *multiplicity)?
            }
        };
        load.check_cancelled()?;
        match loaded {
            Loaded::Rows(rows) if rows.count == 0 => {}
            Loaded::Rows(rows) => writer.add_small_load(place, rows)?,
            Loaded::Pages(pages, row_end) => writer.add_load(place, pages, row_end)?,
        }
        Ok(summary)
    }
}

/// One load under way.
struct Load<'l> {
    /// What the transaction sees.
    snapshot: &'l Snapshot,
    pages: LoadPages<'l>,
    /// Offsets of the table's rows are below this, those of other transactions too.
    row_bound: u64,
    next_serial: &'l dyn Fn(ColumnId) -> CopyResult<u64>,
    files: &'l [PathBuf],
    csv: &'l CsvOptions,
    options: &'l CopyOptions<'l>,
}

/// What a load adds.
enum Loaded {
    /// Fewer rows than a group.
    Rows(SmallLoad),
    /// Pages, and the end of their rows' offsets.
    Pages(StagedLoad, u64),
}

/// What a load adds, and what it tells about itself.
type Staged = (Loaded, CopySummary);

impl Load<'_> {
    fn reader(&self, columns: Vec<(String, DataType)>) -> CopyResult<CsvReader> {
        Ok(CsvReader::open(self.files.to_vec(), self.csv.clone(), columns, self.options.limits)?)
    }

    fn threads(&self) -> usize {
        self.options.threads.max(1)
    }

    fn check_cancelled(&self) -> CopyResult<()> {
        if self.pages.signs.are_due() { Err(CsvError::Cancelled.into()) } else { Ok(()) }
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
        let (rejected, rejects) = rejects.finish(read, self.files)?;
        if handed_on != stored + rejected.late {
            return Err(CopyError::RowsLost { read: handed_on, stored, rejected: rejected.late });
        }
        let rejected = rejected.early + rejected.late;
        Ok(CopySummary { rows: stored, rejected, rejects, peak_bytes: memory.peak() })
    }
}
