//! What can be wrong with a text, and where.

use super::MAX_DEPTH;
use super::ast::Span;

/// Why a text was refused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ParseError {
    /// The kind of mistake.
    pub kind: ParseErrorKind,
    /// What it is about.
    pub span: Span,
    /// The line of the span's start, from 1.
    pub line: u32,
    /// The column of the span's start in characters, from 1.
    pub column: u32,
    /// One sentence without the place.
    pub message: String,
    /// What could stand there instead, in words.
    pub expected: Vec<String>,
    /// What the author probably wanted.
    pub hint: Option<String>,
}

/// The kind of a mistake in a text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ParseErrorKind {
    /// Something else was expected here.
    Unexpected,
    /// The text ends too early.
    UnexpectedEnd,
    /// Brackets do not match, or one is not closed.
    Bracket,
    /// A string, quoted name or comment is not closed.
    Unterminated,
    /// A number, string escape or the like cannot be read.
    InvalidLiteral,
    /// Brackets or expressions nest deeper than [`MAX_DEPTH`](super::MAX_DEPTH).
    TooDeep,
    /// The text is larger than 4 GiB.
    TooLong,
    /// There is no statement at all.
    Empty,
}

impl ParseError {
    /// An error about a place in `text`, without expectations or hint.
    pub(super) fn new(
        kind: ParseErrorKind,
        span: Span,
        text: &str,
        message: impl Into<String>,
    ) -> ParseError {
        let (line, column) = span.line_column(text);
        ParseError { kind, span, line, column, message: message.into(), expected: Vec::new(), hint: None }
    }

    /// The error for brackets or expressions that nest too deep.
    pub(super) fn too_deep(span: Span, text: &str) -> ParseError {
        let message = format!("this is nested deeper than {MAX_DEPTH} levels");
        ParseError::new(ParseErrorKind::TooDeep, span, text, message)
    }
}

impl std::fmt::Display for ParseError {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "{} (line {}, column {})", self.message, self.line, self.column)?;
        match &self.hint {
            Some(hint) => write!(formatter, ". {hint}"),
            None => Ok(()),
        }
    }
}

impl std::error::Error for ParseError {}
