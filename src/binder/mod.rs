//! Syntax tree to meaning: names become variables, tables, columns and functions, every expression gets its type, and
//! the dialect is decided here and nowhere below. The output is `bound`; nothing after it looks up a string. Each part
//! of the language has its file: `scope` knows which names are visible, `pattern` and its neighbours turn patterns into
//! a graph of variables with their tables, `expression` and its neighbours type expressions, `projection` finds
//! aggregates and grouping keys, `create`, `merge` and `update` bind what writes, `check` what
//! rows have to fulfil, `definition` and `copy` what is not a query. Every error points at the text.

mod aggregate;
mod assign;
mod bind;
pub mod bound;
mod bound_subquery;
mod bound_traits;
mod bound_write;
mod case;
mod check;
mod comparison;
mod comprehension;
mod copy;
mod create;
mod definition;
mod entity;
mod error;
mod expression;
mod functions;
mod grouping;
mod labels;
mod length;
mod literal;
mod merge;
mod pattern;
mod projection;
mod property;
mod query;
mod recursion;
mod same;
mod scope;
mod subquery;
mod subscript;
mod tables;
mod types;
mod update;

#[cfg(test)]
mod describe;
#[cfg(test)]
mod tests;

pub use bind::{BinderSettings, ParameterTypes, bind};
pub use bound::*;
pub use error::{BindError, BindErrorKind};
