//! Text to syntax tree.
//!
//! One grammar reads both dialects; what a text means is decided later, by the binder. The parser
//! imports nothing else of this crate.

pub mod ast;
mod error;

pub use ast::{Name, Span, Statement};
pub use error::{ParseError, ParseErrorKind};

/// How deep brackets and expressions may nest. Recursive passes over the tree rely on it.
pub const MAX_DEPTH: usize = 500;
