//! COPY from end to end: what stands in files comes back from queries, and what is wrong with a file is told with its
//! place and leaves nothing behind.

#[path = "copy/bad_rows.rs"]
mod bad_rows;
#[path = "copy/formats.rs"]
mod formats;
#[path = "copy/limits.rs"]
mod limits;
mod support;
#[path = "copy/tables.rs"]
mod tables;
