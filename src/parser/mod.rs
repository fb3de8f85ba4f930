//! Text to syntax tree.
//!
//! One grammar reads both dialects; what a text means is decided later, by the binder. The parser
//! imports nothing else of this crate. `specs/cypher.md` tells how it is made.

pub mod ast;
mod error;
mod parse;
mod scan;

pub use ast::{Name, Span, Statement};
pub use error::{ParseError, ParseErrorKind};
pub use parse::{parse, parse_expression, parse_statement, parse_type_name};
pub use scan::{ScanState, StatementScanner, StatementSplit, split_statements};

/// How deep brackets and expressions may nest. Recursive passes over the tree rely on it.
pub const MAX_DEPTH: usize = 500;

/// How deep queries may nest in queries: `CALL { … }`, `EXISTS { … }`, `FOREACH (…)` and their like.
/// A pass over a query needs larger frames than one over an expression.
pub const MAX_QUERY_DEPTH: usize = 250;
