//! The key columns of a load into a table: gathered while rows are written, checked and turned into a tree at its end.

use super::key::KeyLayout;
use super::key_index::KeyIndex;
use super::key_store::{KeyStore, NullKey};
use crate::storage::StorageResult;
use crate::storage::buffer_pool::PoolWorker;
use crate::storage::directory::KeyTreeRef;
use crate::storage::page::WriteBatch;
use crate::vector::ValueVector;

/// Why keys cannot be loaded. Rows are counted within the load.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KeyConflict {
    /// Two rows of the load have the same key; of all rows that repeat an earlier one this is the first.
    Duplicate { first_row: u64, second_row: u64 },
    /// A row of the table has the key already.
    Exists { row: u64, offset: u64 },
}

/// Keys of a load in the order of its rows.
pub struct KeyLoad {
    store: KeyStore,
}

impl KeyLoad {
    /// A load into a table with keys of this layout.
    pub fn new(layout: KeyLayout) -> KeyLoad {
        KeyLoad { store: KeyStore::new(layout) }
    }

    /// Adds the keys of the next `length` rows. `columns` are the key columns, in the order of the key.
    pub fn append(&mut self, columns: &[ValueVector<'_>], length: usize) -> Result<(), NullKey> {
        self.store.append(columns, length)
    }

    /// Adds the rows of another part of the load, which follow those so far.
    pub fn append_store(&mut self, store: &KeyStore) {
        self.store.append_store(store);
    }

    /// The keys so far.
    pub fn store(&self) -> &KeyStore {
        &self.store
    }

    /// Bytes of memory that the keys take now, and that `finish` needs on top.
    pub fn bytes(&self) -> (u64, u64) {
        (self.store.bytes(), self.store.len() * 16)
    }

    /// Checks that every key is new and gives the table's list of key trees for its change. Row `r` of the load is at
    /// offset `first_offset + r`. Nothing is written when keys conflict.
    pub fn finish(
        &self,
        index: &KeyIndex,
        first_offset: u64,
        batch: &WriteBatch,
        worker: &mut PoolWorker,
    ) -> StorageResult<Result<Vec<KeyTreeRef>, KeyConflict>> {
        let sorted = self.store.sorted();
        if let Some(found) = sorted.duplicate() {
            let (first_row, second_row) = (found.first_row, found.second_row);
            return Ok(Err(KeyConflict::Duplicate { first_row, second_row }));
        }
        let mut cursor = worker.cursor();
        if let Some((row, offset)) = index.find_common(&sorted, &mut cursor)? {
            return Ok(Err(KeyConflict::Exists { row, offset }));
        }
        index.append(&sorted, first_offset, batch, &mut cursor).map(Ok)
    }
}
