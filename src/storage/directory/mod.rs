//! The table directory: which pages belong to which table. One kind of copy-on-write tree leads from a number to
//! an extent, twice: from a table's number to its record, and from a group's number to its group page. Everything
//! is read when it is first asked for and kept decoded; a new version shares all that it did not change.
//! See `specs/format/directory.md`.

mod record;
mod tables;
mod tree;

pub use record::{KeyTreeKind, KeyTreeRef, TableKind, TableRecord};
pub use tables::{Directory, TableChange};
pub use tree::{ExtentSource, INDEX_FAN_OUT, IndexTree, TREE_REF_SIZE, TreeRef};
