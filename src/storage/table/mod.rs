//! Tables: node and relationship rows in groups of column chunks, adjacency in runs, and how both are scanned,
//! gathered from and bulk loaded. `specs/format/{group_page,csr}.md` draw the bytes.

mod adjacency;
mod adjacency_scanner;
pub mod bulk;
mod column_scan;
mod csr_group;
mod csr_lists;
mod csr_merge;
pub mod csr_run;
#[cfg(test)]
mod engine_tests;
pub mod fold;
mod gather;
mod group_levels;
pub mod group_page;
mod group_summary;
mod key_reader;
#[cfg(test)]
mod level_tests;
mod list_overlay;
mod node_scanner;
mod node_table;
mod open;
pub mod patch_segment;
mod rel_table;
#[cfg(test)]
mod rel_tests;
#[cfg(test)]
mod tests;

pub use crate::types::{DST_COLUMN, LABELS_COLUMN, SRC_COLUMN};
pub use adjacency::{Adjacency, Direction};
pub use adjacency_scanner::{AdjacencyScanner, AdjacencyWindow};
pub use csr_group::{CsrGroup, CsrRun, PIECE_ENTRIES};
pub use csr_lists::ListBounds;
pub use group_levels::GroupLevels;
pub use group_summary::{Asked, ColumnSummary, GroupSummary};
pub use key_reader::{KeyReader, LazyTable, key_reader_over, open_key_reader};
pub use node_scanner::{NodeScanner, ScanBatch, ScanCounters, ScanOptions};
pub use node_table::{ColumnChunk, ColumnLayout, GroupPages, NodeGroup, NodeTable, TableLayout};
pub use open::{existing_page, open_node_table, open_rel_table};
pub use rel_table::{RelScanner, RelTable};
