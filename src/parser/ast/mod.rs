//! The syntax tree: what was written, with the place of everything an error can point at.
//!
//! The tree says nothing about meaning. A dialect never changes what parses, so whatever two dialects
//! read differently (`:A:B` against `:A&B`, an open upper bound of `*`) is kept apart here and decided
//! by the binder. Chains that people write long (`OR` of thousands of terms, comparisons, unions) are
//! flat vectors; every other nesting is at most [`MAX_DEPTH`](crate::parser::MAX_DEPTH) deep, so that
//! recursive passes are safe.

mod clause;
mod ddl;
mod display;
mod expression;
mod pattern;
mod statement;

pub use clause::*;
pub use ddl::*;
pub use expression::*;
pub use pattern::*;
pub use statement::*;

/// A range of bytes in the text that was parsed; `end` is exclusive.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, PartialOrd, Ord)]
pub struct Span {
    /// The first byte.
    pub start: u32,
    /// The byte after the last one.
    pub end: u32,
}

impl Span {
    /// The span from `start` up to and without `end`.
    pub fn new(start: u32, end: u32) -> Span {
        Span { start, end }
    }

    /// The smallest span that covers both.
    pub fn join(self, other: Span) -> Span {
        Span { start: self.start.min(other.start), end: self.end.max(other.end) }
    }

    /// The text it covers, or nothing when the span does not belong to `text`.
    pub fn of(self, text: &str) -> &str {
        text.get(self.start as usize..self.end as usize).unwrap_or("")
    }

    /// Line and column of its start, both counted from 1; a column is one character.
    pub fn line_column(self, text: &str) -> (u32, u32) {
        line_column(text, self.start)
    }
}

/// Line and column of a byte offset in `text`, both counted from 1; a column is one character.
pub fn line_column(text: &str, offset: u32) -> (u32, u32) {
    let mut end = (offset as usize).min(text.len());
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    let before = &text[..end];
    let line = before.bytes().filter(|&byte| byte == b'\n').count() as u32 + 1;
    let line_start = before.rfind('\n').map_or(0, |position| position + 1);
    let column = before[line_start..].chars().count() as u32 + 1;
    (line, column)
}

/// A name as written, without its backticks and with its place (backticks included).
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Name {
    /// The name itself.
    pub text: String,
    /// Where it stands.
    pub span: Span,
}

impl Name {
    /// A name at a place.
    pub fn new(text: impl Into<String>, span: Span) -> Name {
        Name { text: text.into(), span }
    }

    /// The name itself.
    pub fn as_str(&self) -> &str {
        &self.text
    }
}
