//! Where the values of UNIQUE columns may stand: for each value the rows that had it at some time since the column was
//! first written. Whoever writes a value adds it, before its commit and whether that comes or not; so what is not here
//! is nowhere, and what is here has to be looked at. Made from a scan at the first write of a column, and kept in memory
//! until the table is loaded in bulk or the database is closed.

use std::sync::Arc;

use hashbrown::HashTable;
use parking_lot::Mutex;
use rustc_hash::FxHashMap;

use crate::storage::memory::{MemoryAccountant, MemoryClass, Reservation};
use crate::types::{ColumnId, TableId};

/// Bytes of an entry, with the room that a hash table leaves.
const ENTRY_BYTES: u64 = 56;

/// The indexes of all UNIQUE columns that have been written.
#[derive(Default)]
pub struct UniqueIndexes {
    columns: Mutex<FxHashMap<(TableId, ColumnId), SharedIndex>>,
}

type SharedIndex = Arc<Mutex<UniqueIndex>>;

/// The index of one column.
#[derive(Default)]
pub enum UniqueIndex {
    /// Nothing was written since the column was last scanned or loaded.
    #[default]
    Unknown,
    /// There is not enough memory for it: each write scans. So it stays, as writers that are under way are not in it.
    Refused,
    Known(UniqueValues),
}

/// The rows of each value.
pub struct UniqueValues {
    entries: HashTable<(u128, u64)>,
    held: Reservation,
}

impl UniqueIndexes {
    /// The index of a column. Its lock is held while it is made; entries of a value are safe by the value's intent.
    pub fn of(&self, table: TableId, column: ColumnId) -> Arc<Mutex<UniqueIndex>> {
        Arc::clone(self.columns.lock().entry((table, column)).or_default())
    }

    /// Forgets a table, which nobody writes meanwhile.
    pub fn forget(&self, table: TableId) {
        self.columns.lock().retain(|(known, _), _| *known != table);
    }
}

impl UniqueValues {
    /// Room for so many rows, if there is memory for them.
    pub fn with_room(rows: u64, memory: &MemoryAccountant) -> Option<UniqueValues> {
        let mut held = memory.reservation(MemoryClass::Operators);
        held.try_hold_share(rows.saturating_mul(ENTRY_BYTES))
            .then(|| UniqueValues { entries: HashTable::new(), held })
    }

    /// Notes that a row has, or may get, a value.
    /// False when there is no memory for it: then the index is of no use any more.
    #[must_use]
    pub fn add(&mut self, value: u128, row: u64) -> bool {
        let hash = hash_of(value);
        if self.entries.find(hash, |entry| *entry == (value, row)).is_none() {
            self.entries.insert_unique(hash, (value, row), |entry| hash_of(entry.0));
            let bytes = self.entries.len() as u64 * ENTRY_BYTES;
            if bytes > self.held.bytes() && !self.held.try_hold_share(bytes) {
                return false;
            }
        }
        true
    }

    /// The rows that may have a value.
    pub fn rows_of(&self, value: u128, rows: &mut Vec<u64>) {
        rows.extend(
            self.entries.iter_hash(hash_of(value)).filter(|entry| entry.0 == value).map(|entry| entry.1),
        );
    }

    /// Forgets a row that does not exist any more.
    pub fn remove(&mut self, value: u128, row: u64) {
        if let Ok(entry) = self.entries.find_entry(hash_of(value), |entry| *entry == (value, row)) {
            entry.remove();
        }
    }
}

fn hash_of(value: u128) -> u64 {
    crate::vector::hash_u64(value as u64 ^ (value >> 64) as u64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_has_the_rows_that_were_added_and_not_removed() {
        let memory = MemoryAccountant::new(1 << 20);
        let mut values = UniqueValues::with_room(10, &memory).unwrap();
        for row in 0..1000 {
            assert!(values.add(u128::from(row % 10), row));
            assert!(values.add(u128::from(row % 10) << 64, row));
        }
        assert!(values.add(3, 3));
        values.remove(3, 13);
        values.remove(3, 14);
        let mut rows = Vec::new();
        values.rows_of(3, &mut rows);
        rows.sort_unstable();
        assert_eq!(rows, (0..100).map(|n| n * 10 + 3).filter(|row| *row != 13).collect::<Vec<u64>>());
        assert!(memory.stats().operators.used >= 2000 * 32);
        assert!(UniqueValues::with_room(1 << 20, &memory).is_none());
    }

    #[test]
    fn a_table_is_forgotten_as_a_whole() {
        let indexes = UniqueIndexes::default();
        let (table, column) = (TableId(1), ColumnId(2));
        *indexes.of(table, column).lock() = UniqueIndex::Refused;
        assert!(matches!(*indexes.of(table, column).lock(), UniqueIndex::Refused));
        indexes.forget(TableId(2));
        assert!(matches!(*indexes.of(table, column).lock(), UniqueIndex::Refused));
        indexes.forget(table);
        assert!(matches!(*indexes.of(table, column).lock(), UniqueIndex::Unknown));
    }
}
