//! Columns of values as operators exchange them: borrowed vectors in several shapes, batches of them with a selection
//! and a multiplicity, and owned buffers that build vectors. A vector borrows everything, is `Copy` and covariant, so
//! that scratch memory of an operator can stand in for page memory at any point. Every routine here takes every shape.

mod any;
mod batch;
mod buffer;
mod buffer_append;
mod buffer_push;
mod compare;
mod hash;
mod list_buffer;
mod list_reader;
mod native;
mod read;
mod selection;
pub mod simd;
mod sort;
mod string_buffer;
mod validity;
mod value_vector;
mod values;

pub use any::{ANY_CHILD, ANY_NULL, any_tag, any_type};
pub use batch::Batch;
pub use buffer::{BufferData, VectorBuffer};
pub use compare::{compare_rows, equal_rows, sort_keys};
pub use hash::{combine_hashes, hash_bytes, hash_row, hash_u64, hash_vector, hash_vector_into};
pub use list_buffer::ListBuffer;
pub use list_reader::ListReader;
pub use native::{Native, NativeReader};
pub use selection::{Multiplicity, Selection, SelectionBuffer};
pub use sort::{select_in_pieces, sort_in_pieces};
pub use string_buffer::StringBuffer;
pub use validity::{Validity, ValidityBuffer, ones_below};
pub use value_vector::{Shape, ValueVector};
pub use values::{
    AnyChildren, AnyVector, Children, ListVector, StringBuffers, StringVector, Values, VectorRef, text_of,
};

#[cfg(test)]
mod tests;
