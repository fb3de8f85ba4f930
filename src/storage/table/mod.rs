//! Tables: node and relationship rows in groups of column chunks, adjacency in runs, and how both are scanned,
//! gathered from and bulk loaded. `specs/format/{group_page,csr}.md` draw the bytes.

pub mod bulk;
mod column_scan;
pub mod csr_run;
mod gather;
pub mod group_page;
mod node_scanner;
mod node_table;
#[cfg(test)]
mod tests;

pub use node_scanner::{NodeScanner, ScanBatch, ScanCounters, ScanOptions};
pub use node_table::{ColumnChunk, ColumnLayout, GroupPages, NodeGroup, NodeTable, TableLayout};
