//! Indexes: from a key to the rows that carry it. The key index of a table is one base tree and a few trees of later
//! loads, all immutable, behind the trait that secondary, text and vector indexes will share. A load maps keys by a
//! temporary map instead, which is built once and thrown away. See `specs/format/key_index.md`.

mod key;
mod key_index;
mod key_load;
mod key_map;
mod key_store;
mod page;
#[cfg(test)]
mod tests;
mod tree;

pub use key::{IndexKey, KEY_BYTES_MAX, KeyLayout};
pub use key_index::{KeepEntries, KeyIndex, KeyLookup, KeyRef, TREES_MAX};
pub use key_load::{KeyConflict, KeyLoad};
pub use key_map::{DuplicateKey, KeyMap};
pub use key_store::{KeyStore, NullKey, SortedKeys, visit_keys};
pub use tree::{KeyTree, KeyTreeBuilder, TreeScan};
