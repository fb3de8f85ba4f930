//! From CSV files to typed columns: which files are meant, how their text is cut into records that any thread
//! can parse, and what is told about a row that cannot be read. Nothing in here knows tables or keys; the
//! output is a stream of column chunks in the order of the files. The rules are in `specs/csv.md`.

mod block_parser;
mod chunk;
mod convert;
mod csv_reader;
mod files;
mod number;
mod options;
mod row_error;
mod schedule;
mod source;
mod splitter;
mod structure;
#[cfg(test)]
mod tests;
mod tokenizer;

pub use chunk::CsvChunk;
pub use csv_reader::{CsvLimits, CsvMonitor, CsvProgress, CsvReader, CsvSummary};
pub use files::expand_files;
pub use options::{CsvOptions, Dialect, ErrorPolicy};
pub use row_error::{CsvError, CsvResult, ErrorColumn, RowError, RowErrorKind, RowOrigin, SHOWN_TEXT_MAX};
