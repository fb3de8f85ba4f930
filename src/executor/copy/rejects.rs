//! Rows that are bad for a reason that only the table knows: which they are, what is said about them, and what stays
//! of their chunk.

use std::path::PathBuf;

use super::error::{CopyError, CopyResult};
use crate::ingest::{CsvChunk, CsvError, CsvSummary, ErrorPolicy, RowError, RowOrigin};
use crate::vector::VectorBuffer;

/// A bad row of a chunk.
#[derive(Debug, Clone)]
pub(super) struct Fault {
    /// Counted from the chunk's first.
    pub row: usize,
    /// The field at fault.
    pub column: Option<usize>,
    pub kind: FaultKind,
}

/// What is wrong with it.
#[derive(Debug, Clone)]
pub(super) enum FaultKind {
    NullKey,
    Null,
    /// No node of this table has the key that stands in these fields.
    UnknownEnd {
        table: String,
        fields: std::ops::Range<usize>,
    },
    /// A value that an earlier row of the load has, or a row of the table.
    Duplicate {
        what: &'static str,
        first_row: Option<u64>,
    },
    /// A condition of the table.
    Check {
        table: String,
        check: String,
        values: String,
    },
    /// A further relationship where the multiplicity allows one.
    SecondEdge {
        table: String,
        outgoing: bool,
        fields: std::ops::Range<usize>,
    },
}

impl FaultKind {
    /// `earlier` is where the row stands that has the value already, where that is known.
    fn reason(&self, origin: &RowOrigin, earlier: Option<&RowOrigin>) -> String {
        let text = |fields: &std::ops::Range<usize>| {
            origin.fields.get(fields.clone()).map_or(String::new(), |fields| fields.join(", "))
        };
        match self {
            FaultKind::NullKey => "a key must not be null".to_owned(),
            FaultKind::Null => "the property must not be null".to_owned(),
            FaultKind::UnknownEnd { table, fields } => {
                format!("there is no {table} with the key {}", text(fields))
            }
            FaultKind::Duplicate { what, first_row: Some(row) } => match earlier {
                Some(earlier) => {
                    format!("the {what} is that of {}, line {} already", earlier.file, earlier.line)
                }
                None => format!("the {what} is that of an earlier row already (row {} of the load)", row + 1),
            },
            FaultKind::Duplicate { what, first_row: None } => {
                format!("the {what} is that of a row of the table already")
            }
            FaultKind::Check { table, check, values } => {
                format!("the row breaks CHECK ({check}) of {table}: {values}")
            }
            FaultKind::SecondEdge { table, outgoing, fields } => {
                let (verb, key) = (if *outgoing { "starts at" } else { "points to" }, text(fields));
                format!("a relationship {verb} {table} {key} already, and the table allows one")
            }
        }
    }
}

/// What is left of a chunk with bad rows.
#[derive(Debug, Default)]
pub(super) struct Remainder {
    /// The good rows; all of them where there is no list.
    pub keep: Option<Vec<u32>>,
    pub rejected: u64,
    /// What is said about the first of the bad rows.
    pub errors: Vec<RowError>,
}

impl Remainder {
    /// The row of the chunk that became row `row` of what is left.
    pub fn original(&self, row: usize) -> usize {
        self.keep.as_ref().map_or(row, |keep| keep.get(row).map_or(row, |row| *row as usize))
    }
}

/// Judges the bad rows of a chunk by the policy: the first is the error, or they are left out.
pub(super) fn settle(
    chunk: &CsvChunk,
    mut faults: Vec<Fault>,
    policy: ErrorPolicy,
    kept_max: usize,
) -> CopyResult<Remainder> {
    if faults.is_empty() {
        return Ok(Remainder::default());
    }
    faults.sort_by_key(|fault| (fault.row, fault.column));
    faults.dedup_by_key(|fault| fault.row);
    let shown = if policy == ErrorPolicy::Stop { 1 } else { kept_max.min(faults.len()) };
    let mut errors = errors_of(chunk, &faults[..shown]);
    if policy == ErrorPolicy::Stop {
        // One fault was shown, so there is one error.
        return Err(errors.pop().map_or(CopyError::TableChanged, |error| CsvError::from(error).into()));
    }
    let mut bad = faults.iter().map(|fault| fault.row as u32).peekable();
    let keep = (0..chunk.rows() as u32).filter(|row| bad.next_if_eq(row).is_none()).collect();
    Ok(Remainder { keep: Some(keep), rejected: faults.len() as u64, errors })
}

/// The same before the rows are consumed: a load that stops consumes those before the first bad one, for they may be
/// bad for what only their order tells.
pub(super) fn settle_early(
    chunk: &mut CsvChunk,
    faults: Vec<Fault>,
    policy: ErrorPolicy,
    kept_max: usize,
) -> CopyResult<Remainder> {
    let first = faults.iter().min_by_key(|fault| (fault.row, fault.column)).cloned();
    match first {
        Some(first) if policy == ErrorPolicy::Stop => {
            // One fault was shown, so there is one error.
            let error =
                errors_of(chunk, std::slice::from_ref(&first)).pop().ok_or(CopyError::TableChanged)?;
            chunk.stop_at(first.row, error);
            Ok(Remainder::default())
        }
        _ => settle(chunk, faults, policy, kept_max),
    }
}

fn errors_of(chunk: &CsvChunk, faults: &[Fault]) -> Vec<RowError> {
    let rows: Vec<usize> = faults.iter().map(|fault| fault.row).collect();
    let origins = chunk.locate_all(&rows).into_iter();
    // Earlier rows of the same chunk are found in it; of those before there is only the number.
    let earlier_row = |fault: &Fault| match fault.kind {
        FaultKind::Duplicate { first_row: Some(row), .. } => row.checked_sub(chunk.first_row()),
        _ => None,
    };
    let mut earlier: Vec<usize> = faults.iter().filter_map(earlier_row).map(|row| row as usize).collect();
    earlier.sort_unstable();
    earlier.dedup();
    let places = if earlier.is_empty() { Vec::new() } else { chunk.locate_all(&earlier) };
    let place = |fault: &Fault| {
        let at = earlier.binary_search(&(earlier_row(fault)? as usize)).ok()?;
        places.get(at)
    };
    let errors = origins.zip(faults).map(|(origin, fault)| {
        let reason = fault.kind.reason(&origin, place(fault));
        origin.error(fault.column.and_then(|column| chunk.error_column(column)), reason)
    });
    errors.collect()
}

/// Leaves only the listed rows in the columns.
pub(super) fn keep_rows(columns: &mut [VectorBuffer], rows: &[u32]) {
    for column in columns {
        let mut kept = VectorBuffer::new(column.data_type().clone());
        kept.append_rows(&column.vector(), rows);
        *column = kept;
    }
}

/// The rejected rows of a load, those of the reader not counted.
pub(super) struct Rejects {
    policy: ErrorPolicy,
    kept_max: usize,
    kept: Vec<RowError>,
    count: u64,
}

/// How many rows the reader rejected, and how many the checks behind it.
pub(super) struct RejectedRows {
    pub early: u64,
    pub late: u64,
}

impl Rejects {
    pub fn new(policy: ErrorPolicy, kept_max: usize) -> Rejects {
        Rejects { policy, kept_max, kept: Vec::new(), count: 0 }
    }

    /// Counts the rows that were left out of a chunk.
    pub fn add(&mut self, rejected: u64, errors: &mut Vec<RowError>) -> CopyResult<()> {
        self.count += rejected;
        let room = self.kept_max.max(1).saturating_sub(self.kept.len());
        self.kept.extend(errors.drain(..).take(room));
        self.check(0)
    }

    /// Rows left out so far.
    pub fn count(&self) -> u64 {
        self.count
    }

    fn check(&mut self, early: u64) -> CopyResult<()> {
        match (self.policy, self.kept.pop()) {
            (ErrorPolicy::Ignore { limit }, Some(error)) if self.count + early > limit => {
                Err(CsvError::TooManyRejects { limit, error: Box::new(error) }.into())
            }
            (_, last) => {
                self.kept.extend(last);
                Ok(())
            }
        }
    }

    /// All rejected rows of the load, counted, and the first of them in the order of the files.
    pub fn finish(
        mut self,
        mut read: CsvSummary,
        files: &[PathBuf],
    ) -> CopyResult<(RejectedRows, Vec<RowError>)> {
        self.check(read.rejected)?;
        read.rejects.append(&mut self.kept);
        let place = |error: &RowError| {
            (files.iter().position(|file| file.display().to_string() == error.file), error.line)
        };
        read.rejects.sort_by_cached_key(place);
        read.rejects.truncate(self.kept_max);
        Ok((RejectedRows { early: read.rejected, late: self.count }, read.rejects))
    }
}
