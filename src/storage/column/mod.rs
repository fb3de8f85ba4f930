//! Column chunks: the values of one column in one node group, as encoded segments with a null bitmap and
//! statistics. `specs/format/columns.md` draws the bytes. Encoding and decoding work on slices and know no pool and
//! no file; the scans and gathers of `table` bring the bytes.

pub mod bytes;
pub mod chunk;
pub mod chunk_reader;
pub mod chunk_strings;
pub mod chunk_writer;
pub mod encoding;
pub mod fixed;
pub mod predicate;
pub mod sampled;
pub mod span;
pub mod statistics;

pub use encoding::{Encoding, EncodingKind};
pub use statistics::{Bound, ChunkStatistics};

#[cfg(test)]
pub mod tests;
