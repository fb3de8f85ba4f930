//! The one error of the public API: what kind of fault, a message, the place in the text, and advice.

use std::fmt;

use crate::binder::BindError;
use crate::catalog::CatalogError;
use crate::executor::ExecutionError;
use crate::executor::copy::CopyError;
use crate::executor::write::{WriteFault, WriteRow};
use crate::ingest::{CsvError, RowErrorKind};
use crate::parser::ParseError;
use crate::parser::ast::Span;
use crate::planner::PlanError;
use crate::storage::StorageError;
use crate::transaction::WriteError;

/// A result of the public API.
pub type Result<T> = std::result::Result<T, Error>;

/// Kinds of faults, from the user's mistake to the machine's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ErrorKind {
    /// The text is no Cypher.
    Syntax,
    /// A name, type or clause of the text does not fit the catalog.
    Binder,
    /// A definition contradicts the catalog.
    Catalog,
    /// It parses, and this release does not execute it.
    NotSupported,
    /// A parameter is missing or has an unusable value.
    Parameter,
    /// A value cannot be computed: overflow, division by zero, a cast that fails.
    Runtime,
    /// A row breaks a key, NOT NULL or multiplicity rule.
    Constraint,
    /// A CSV file, its options or one of its rows.
    Csv,
    /// `InterruptHandle::interrupt`, or the time limit.
    Interrupted,
    /// Another transaction changed the same at the same time and was first. The same statements may succeed in a new
    /// transaction.
    Conflict,
    /// BEGIN, COMMIT or ROLLBACK at a moment when it means nothing.
    Transaction,
    /// Memory or buffer pool limit.
    OutOfMemory,
    /// A result has no such column, or the column's value is of another type.
    Result,
    /// The database is open elsewhere, read-only, or poisoned by an earlier failed write.
    Unavailable,
    /// Bytes on disk are damaged or of an unknown format.
    Corruption,
    /// The operating system failed an operation.
    Io,
    /// A bug of quire.
    Internal,
}

impl ErrorKind {
    /// The code of the JSON protocol.
    pub fn code(self) -> &'static str {
        match self {
            ErrorKind::Syntax => "SYNTAX",
            ErrorKind::Binder => "BINDER",
            ErrorKind::Catalog => "CATALOG",
            ErrorKind::NotSupported => "NOT_SUPPORTED",
            ErrorKind::Parameter => "PARAMETER",
            ErrorKind::Runtime => "RUNTIME",
            ErrorKind::Constraint => "CONSTRAINT",
            ErrorKind::Csv => "CSV",
            ErrorKind::Interrupted => "INTERRUPTED",
            ErrorKind::Conflict => "CONFLICT",
            ErrorKind::Transaction => "TRANSACTION",
            ErrorKind::OutOfMemory => "OUT_OF_MEMORY",
            ErrorKind::Result => "RESULT",
            ErrorKind::Unavailable => "UNAVAILABLE",
            ErrorKind::Corruption => "CORRUPTION",
            ErrorKind::Io => "IO",
            ErrorKind::Internal => "INTERNAL",
        }
    }
}

/// When a statement failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Phase {
    /// Before anything ran.
    Compile,
    /// While it ran; its effects are undone.
    Runtime,
}

/// The piece of text an error is about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SourceSpan {
    /// From 1.
    pub line: u32,
    /// In characters, from 1.
    pub column: u32,
    /// The whole line of the start.
    pub snippet: String,
    /// Characters of the snippet to underline, from `column` on.
    pub length: u32,
}

/// What went wrong.
#[derive(Debug)]
#[non_exhaustive]
pub struct Error {
    kind: ErrorKind,
    phase: Phase,
    message: String,
    span: Option<SourceSpan>,
    hint: Option<String>,
    source: Option<Box<dyn std::error::Error + Send + Sync>>,
}

impl Error {
    /// An error without a place in a text.
    pub(crate) fn new(kind: ErrorKind, message: impl Into<String>) -> Error {
        Error { kind, phase: Phase::Runtime, message: message.into(), span: None, hint: None, source: None }
    }

    /// What kind of fault it is.
    pub fn kind(&self) -> ErrorKind {
        self.kind
    }

    /// Whether anything ran.
    pub fn phase(&self) -> Phase {
        self.phase
    }

    /// One sentence, without place and advice.
    pub fn message(&self) -> &str {
        &self.message
    }

    /// The place in the statement's text.
    pub fn span(&self) -> Option<&SourceSpan> {
        self.span.as_ref()
    }

    /// What the author of the text probably wanted.
    pub fn hint(&self) -> Option<&str> {
        self.hint.as_deref()
    }

    /// Whether the transaction has to be rolled back and may succeed when it is run again.
    pub fn is_retryable(&self) -> bool {
        self.kind == ErrorKind::Conflict
    }

    pub(crate) fn compile(mut self) -> Error {
        self.phase = Phase::Compile;
        self
    }

    pub(crate) fn with_hint(mut self, hint: impl Into<String>) -> Error {
        self.hint = Some(hint.into());
        self
    }

    /// Adds the place, unless the error has one.
    pub(crate) fn at(mut self, text: &str, span: Span) -> Error {
        self.span.get_or_insert_with(|| source_span(text, span));
        self
    }

    pub(crate) fn from_parse(error: ParseError, text: &str) -> Error {
        Error {
            kind: ErrorKind::Syntax,
            phase: Phase::Compile,
            span: Some(source_span(text, error.span)),
            hint: error.hint.clone(),
            message: error.message,
            source: None,
        }
    }

    pub(crate) fn from_bind(error: BindError, text: &str) -> Error {
        use crate::binder::BindErrorKind;
        let kind = match error.kind {
            BindErrorKind::NotSupported => ErrorKind::NotSupported,
            BindErrorKind::AlreadyExists | BindErrorKind::InvalidDefinition => ErrorKind::Catalog,
            _ => ErrorKind::Binder,
        };
        Error {
            kind,
            phase: Phase::Compile,
            span: Some(source_span(text, error.span)),
            hint: error.hint,
            message: error.message,
            source: None,
        }
    }

    fn wrap(kind: ErrorKind, error: impl std::error::Error + Send + Sync + 'static) -> Error {
        Error { source: Some(Box::new(error)), ..Error::new(kind, "") }.with_message_of_source()
    }

    fn with_message_of_source(mut self) -> Error {
        if let Some(source) = &self.source {
            self.message = source.to_string();
        }
        self
    }
}

/// Line, column and snippet of a span.
fn source_span(text: &str, span: Span) -> SourceSpan {
    let (line, column) = span.line_column(text);
    let snippet = text.lines().nth(line as usize - 1).unwrap_or("").to_string();
    let left = snippet.chars().count() as u32 + 1;
    let wanted = span.of(text).lines().next().unwrap_or("").chars().count() as u32;
    SourceSpan { line, column, length: wanted.clamp(1, left.saturating_sub(column).max(1)), snippet }
}

impl fmt::Display for Error {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.message)?;
        if let Some(span) = &self.span {
            write!(formatter, " (line {}, column {})", span.line, span.column)?;
            write!(formatter, "\n  {}\n  ", span.snippet)?;
            let before = span.snippet.chars().take(span.column as usize - 1);
            // Tabs stay tabs, so that the marks stand below the text.
            before.map(|c| if c == '\t' { '\t' } else { ' ' }).try_for_each(|c| write!(formatter, "{c}"))?;
            (0..span.length).try_for_each(|_| formatter.write_str("^"))?;
        }
        match &self.hint {
            Some(hint) => write!(formatter, "\nHint: {hint}"),
            None => Ok(()),
        }
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.source.as_deref().map(|source| source as &(dyn std::error::Error + 'static))
    }
}

impl From<StorageError> for Error {
    fn from(error: StorageError) -> Error {
        let kind = match &error {
            StorageError::ChecksumMismatch { .. }
            | StorageError::Corrupt { .. }
            | StorageError::BadHeader { .. }
            | StorageError::LogCorrupt { .. }
            | StorageError::UnknownVersion { .. } => ErrorKind::Corruption,
            StorageError::Locked { .. } | StorageError::Poisoned { .. } | StorageError::ReadOnly => {
                ErrorKind::Unavailable
            }
            StorageError::PoolTooSmall { .. }
            | StorageError::PoolBelowMinimum { .. }
            | StorageError::OutOfMemory { .. }
            | StorageError::ChangesTooLarge { .. } => ErrorKind::OutOfMemory,
            StorageError::Limit { .. } => ErrorKind::Runtime,
            StorageError::Interrupted => ErrorKind::Interrupted,
            _ => ErrorKind::Io,
        };
        let hint = match &error {
            StorageError::OutOfMemory { .. } => {
                "Raise the memory limit, run less at once, or let the statement keep fewer rows"
            }
            StorageError::Locked { holder, .. } if holder.ends_with("of this process") => {
                "End the open transactions of other connections by COMMIT or ROLLBACK, or give the statement more time: \
                 lock_timeout of the database, or CALL timeout"
            }
            StorageError::ChangesTooLarge { .. } => "Commit more often, or raise the memory limit",
            _ => return Error::wrap(kind, error),
        };
        Error::wrap(kind, error).with_hint(hint)
    }
}

impl From<WriteError> for Error {
    fn from(error: WriteError) -> Error {
        let error = match error {
            WriteError::Storage(error) => return error.into(),
            error => error,
        };
        let kind = kind_of_refusal(&error);
        let error = Error::wrap(kind, error);
        match kind {
            ErrorKind::Conflict => error.with_hint("Roll the transaction back and run it again"),
            _ => error,
        }
    }
}

impl From<PlanError> for Error {
    fn from(error: PlanError) -> Error {
        Error::wrap(ErrorKind::Internal, error)
    }
}

impl From<CatalogError> for Error {
    fn from(error: CatalogError) -> Error {
        Error::wrap(ErrorKind::Catalog, error)
    }
}

impl From<CsvError> for Error {
    fn from(error: CsvError) -> Error {
        let kind = match &error {
            CsvError::Io { .. } | CsvError::Missing { .. } => ErrorKind::Io,
            CsvError::Cancelled => ErrorKind::Interrupted,
            CsvError::Row(row) | CsvError::TooManyRejects { error: row, .. } => match &row.kind {
                // A key twice or NULL, an end that does not exist: found behind the parser.
                RowErrorKind::Other { .. } => ErrorKind::Constraint,
                _ => ErrorKind::Csv,
            },
            _ => ErrorKind::Csv,
        };
        Error::wrap(kind, error)
    }
}

impl From<CopyError> for Error {
    fn from(error: CopyError) -> Error {
        match error {
            CopyError::Csv(error) => error.into(),
            CopyError::Storage(error) => error.into(),
            CopyError::Catalog(error) => error.into(),
            CopyError::Write(error) => error.into(),
            CopyError::RowsLost { .. } => Error::wrap(ErrorKind::Internal, error),
            CopyError::TableChanged => Error::wrap(ErrorKind::Catalog, error),
            CopyError::Check { .. } => Error::wrap(ErrorKind::Runtime, error),
            error => Error::wrap(ErrorKind::Binder, error),
        }
    }
}

fn kind_of_refusal(error: &WriteError) -> ErrorKind {
    match error {
        WriteError::Storage(_) => ErrorKind::Io,
        WriteError::Unknown { .. } => ErrorKind::Catalog,
        WriteError::ReadOnly => ErrorKind::Transaction,
        WriteError::Stopped => ErrorKind::Interrupted,
        error if error.is_retryable() => ErrorKind::Conflict,
        _ => ErrorKind::Constraint,
    }
}

/// Faults of a row keep the number of the row in their message.
fn from_row(row: Option<WriteRow>, fault: WriteFault) -> Error {
    let kind = match &fault {
        WriteFault::Transaction(refusal) => kind_of_refusal(refusal),
        WriteFault::Null { .. } | WriteFault::Check { .. } => ErrorKind::Constraint,
        _ => ErrorKind::Runtime,
    };
    match fault {
        WriteFault::Transaction(WriteError::Storage(error)) => error.into(),
        fault => Error::wrap(kind, ExecutionError::Write { row, fault: Box::new(fault) }),
    }
}

impl From<ExecutionError> for Error {
    fn from(error: ExecutionError) -> Error {
        match error {
            ExecutionError::Write { row, fault } => from_row(row, *fault),
            ExecutionError::Storage(error) => error.into(),
            ExecutionError::Interrupted | ExecutionError::TimedOut { .. } => {
                Error::wrap(ErrorKind::Interrupted, error)
            }
            ExecutionError::Internal { .. } => Error::wrap(ErrorKind::Internal, error),
            error => Error::wrap(ErrorKind::Runtime, error),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_underlines_the_text() {
        let text = "MATCH (n)\nRETURN m.x";
        let error = Error::new(ErrorKind::Binder, "m is not defined").at(text, Span::new(17, 18));
        let shown = error.to_string();
        assert_eq!(shown, "m is not defined (line 2, column 8)\n  RETURN m.x\n         ^");
    }
}
