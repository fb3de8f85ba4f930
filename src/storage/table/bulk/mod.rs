//! Bulk loading: rows and edges become group pages that are written early; a commit later only names them.

mod join;
mod node_bulk;
mod rel_bulk;
mod runs;
pub mod sort;

pub use join::join_runs;
pub use node_bulk::{FullGroup, NodeBulkLoad, StagedRows};
pub use rel_bulk::{ExistingRuns, RelBulkLoad, RelBulkTarget, SmallRels, StagedRels};
pub use runs::StagedGroup;
pub(super) use runs::{nodes_of_group, place_run};
