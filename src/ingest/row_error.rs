//! What can go wrong with a CSV, as data: which file, which line, which column, which text, and why.

use std::fmt;
use std::io;
use std::path::Path;

use crate::types::DataType;

/// A result of reading CSV.
pub type CsvResult<T> = Result<T, CsvError>;

/// How many characters of a field's or record's raw text an error shows.
pub const SHOWN_TEXT_MAX: usize = 200;

/// A fault of the options, of a file, or of a row.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CsvError {
    /// An option that is unknown, of the wrong type, or in contradiction to another.
    #[error("option {name}: {reason}")]
    Option { name: String, reason: String },
    /// A pattern that no file matches.
    #[error("no file matches '{pattern}'")]
    NoFiles { pattern: String },
    /// A file that is named and not there.
    #[error("there is no file {file}")]
    Missing { file: String },
    /// The operating system refused or failed an operation.
    #[error("{operation} {file} failed: {source}")]
    Io { operation: &'static str, file: String, source: io::Error },
    /// A file that is there and is not usable as CSV.
    #[error("{file} cannot be read as CSV: {reason}")]
    Unusable { file: String, reason: String },
    /// A bad row.
    #[error("{0}")]
    Row(Box<RowError>),
    /// More rows were rejected than `IGNORE_ERRORS` allows; the error is that of the first row too many.
    #[error("more than {limit} rows were rejected; the next one: {error}")]
    TooManyRejects { limit: u64, error: Box<RowError> },
    /// The load was interrupted.
    #[error("interrupted")]
    Cancelled,
}

impl CsvError {
    pub(super) fn io(operation: &'static str, file: &Path, source: io::Error) -> Self {
        let file = file.display().to_string();
        match source.kind() {
            io::ErrorKind::NotFound => CsvError::Missing { file },
            _ => CsvError::Io { operation, file, source },
        }
    }

    pub(super) fn unusable(file: &Path, reason: impl Into<String>) -> Self {
        CsvError::Unusable { file: file.display().to_string(), reason: reason.into() }
    }

    pub(super) fn option(name: &str, reason: impl Into<String>) -> Self {
        CsvError::Option { name: name.to_string(), reason: reason.into() }
    }
}

impl From<RowError> for CsvError {
    fn from(error: RowError) -> Self {
        CsvError::Row(Box::new(error))
    }
}

/// A bad row: where it starts and what is wrong with it.
#[derive(Debug, Clone, PartialEq)]
pub struct RowError {
    /// The file's path, as the statement led to it.
    pub file: String,
    /// The physical line, counted from 1, in which the record starts.
    pub line: u64,
    /// The column at fault, if one is.
    pub column: Option<ErrorColumn>,
    /// The field at fault as it stands in the file, shortened.
    pub field: Option<String>,
    /// The record as it stands in the file, shortened.
    pub record: String,
    /// What is wrong.
    pub kind: RowErrorKind,
    /// What might help, where that can be told.
    pub hint: Option<String>,
}

/// A column in an error.
#[derive(Debug, Clone, PartialEq)]
pub struct ErrorColumn {
    /// Its name in the table.
    pub name: String,
    /// Its position in the file, counted from 1.
    pub number: usize,
    /// The type its text must have.
    pub expected: DataType,
}

/// What is wrong with a row.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum RowErrorKind {
    /// A record with fewer fields than there are columns.
    TooFewFields { expected: usize, found: usize },
    /// A record with more fields than there are columns.
    TooManyFields { expected: usize, found: usize },
    /// A header whose number of names is not that of the columns.
    HeaderWidth { expected: usize, found: usize },
    /// Bytes that are not UTF-8.
    InvalidUtf8,
    /// A quoted field that the file's end interrupts; the line is the one in which its quote stands.
    UnterminatedQuote { opened_line: u64 },
    /// Something else than a delimiter or a line end behind a closing quote.
    TextAfterQuote,
    /// A record longer than the reader accepts; mostly a quote that is never closed.
    RecordTooLong { limit: usize },
    /// A text that is no value of the column's type.
    BadValue { reason: String },
    /// A fault that a later stage found: an unknown end point, a duplicate key, a null key.
    Other { reason: String },
}

impl fmt::Display for RowErrorKind {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            RowErrorKind::TooFewFields { expected, found } => {
                write!(out, "too few fields: expected {expected}, found {found}")
            }
            RowErrorKind::TooManyFields { expected, found } => {
                write!(out, "too many fields: expected {expected}, found {found}")
            }
            RowErrorKind::HeaderWidth { expected, found } => {
                write!(out, "the header has {found} columns, expected {expected}")
            }
            RowErrorKind::InvalidUtf8 => write!(out, "the text is not valid UTF-8"),
            RowErrorKind::UnterminatedQuote { opened_line } => {
                write!(out, "the quote opened in line {opened_line} is never closed")
            }
            RowErrorKind::TextAfterQuote => write!(out, "text follows a closing quote"),
            RowErrorKind::RecordTooLong { limit } => {
                write!(out, "the record is longer than {limit} bytes (is a quote never closed?)")
            }
            RowErrorKind::BadValue { reason } | RowErrorKind::Other { reason } => write!(out, "{reason}"),
        }
    }
}

impl fmt::Display for RowError {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{}, line {}", self.file, self.line)?;
        if let Some(column) = &self.column {
            write!(out, ", column {} ({}, {})", column.number, column.name, column.expected)?;
        }
        write!(out, ": {}", self.kind)?;
        if let Some(field) = &self.field {
            write!(out, "; field: {field:?}")?;
        }
        write!(out, "; record: {:?}", self.record)?;
        match &self.hint {
            Some(hint) => write!(out, " ({hint})"),
            None => Ok(()),
        }
    }
}

/// Where a row came from.
#[derive(Debug, Clone, PartialEq)]
pub struct RowOrigin {
    /// The file's path.
    pub file: String,
    /// The physical line, counted from 1, in which the record starts.
    pub line: u64,
    /// The record as it stands in the file, shortened; empty when it can no longer be read.
    pub raw_text: String,
    /// Its fields, likewise.
    pub fields: Vec<String>,
}

impl RowOrigin {
    /// The error of a later stage about this row.
    pub fn error(self, column: Option<ErrorColumn>, reason: impl Into<String>) -> RowError {
        let field = column.as_ref().and_then(|column| self.fields.get(column.number.checked_sub(1)?));
        RowError {
            field: field.cloned(),
            file: self.file,
            line: self.line,
            column,
            record: self.raw_text,
            kind: RowErrorKind::Other { reason: reason.into() },
            hint: None,
        }
    }
}

/// The raw text of a field or record as an error shows it: cut after [`SHOWN_TEXT_MAX`] characters, with a
/// replacement character for what is not UTF-8.
pub(super) fn shown(bytes: &[u8]) -> String {
    // Four bytes are the most that a character takes, so the rest cannot matter.
    let head = bytes.get(..4 * (SHOWN_TEXT_MAX + 1)).unwrap_or(bytes);
    let text = String::from_utf8_lossy(head);
    match text.char_indices().nth(SHOWN_TEXT_MAX) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.into_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &[u8], expected: &str) {
        assert_eq!(shown(text), expected);
    }

    #[test]
    fn raw_text_is_cut_at_characters() {
        check(b"abc", "abc");
        check("é".repeat(200).as_bytes(), &"é".repeat(200));
        check("é".repeat(201).as_bytes(), &format!("{}…", "é".repeat(200)));
        check("𝄞".repeat(300).as_bytes(), &format!("{}…", "𝄞".repeat(200)));
        check(b"a\xffb", "a\u{fffd}b");
    }

    #[test]
    fn an_error_reads_as_one_line() {
        let error = RowError {
            file: "people.csv".into(),
            line: 7,
            column: Some(ErrorColumn { name: "age".into(), number: 2, expected: DataType::Int64 }),
            field: Some("old".into()),
            record: "1,old".into(),
            kind: RowErrorKind::BadValue { reason: "not an integer".into() },
            hint: None,
        };
        assert_eq!(
            error.to_string(),
            "people.csv, line 7, column 2 (age, INT64): not an integer; field: \"old\"; record: \"1,old\""
        );
    }
}
