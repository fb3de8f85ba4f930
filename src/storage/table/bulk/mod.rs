//! Bulk loading: rows and edges become group pages that are written early; a commit later only names them.

mod runs;
pub mod sort;

pub use runs::StagedGroup;
