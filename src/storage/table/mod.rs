//! Tables: node and relationship rows in groups of column chunks, adjacency in runs, and how both are scanned,
//! gathered from and bulk loaded. `specs/format/{group_page,csr}.md` draw the bytes.

pub mod bulk;
pub mod csr_run;
pub mod group_page;
