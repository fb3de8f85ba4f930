//! Offsets of rows that are being made: each is given to one transaction only, before anybody can see the row.

use parking_lot::Mutex;
use rustc_hash::FxHashMap;

use crate::storage::{StorageError, StorageResult};
use crate::types::{GlobalId, TableId};

/// The next free offset of each table that is being written to.
#[derive(Default)]
pub struct Offsets {
    next: Mutex<FxHashMap<TableId, u64>>,
}

impl Offsets {
    /// `count` consecutive offsets of a table; gives the first. `bound` tells above all rows of the newest state and
    /// is asked when the table is written to for the first time.
    pub fn reserve(
        &self,
        table: TableId,
        count: u64,
        bound: impl FnOnce() -> StorageResult<u64>,
    ) -> StorageResult<u64> {
        let mut next = self.next.lock();
        let first = match next.get(&table) {
            Some(first) => *first,
            None => bound()?,
        };
        let end = first.checked_add(count).filter(|end| *end <= GlobalId::OFFSET_MAX);
        let Some(end) = end else {
            let what = format!("the number of rows ever made in table {table}");
            return Err(StorageError::Limit { what, limit: GlobalId::OFFSET_MAX });
        };
        next.insert(table, end);
        Ok(first)
    }

    /// Takes back offsets whose rows will never be seen. Only the newest can be given again; others stay holes.
    pub fn give_back(&self, table: TableId, first: u64, count: u64) {
        if let Some(next) = self.next.lock().get_mut(&table)
            && *next == first + count
        {
            *next = first;
        }
    }

    /// Forgets tables from an id on, which were never committed: the ids will be those of other tables.
    pub fn forget_from(&self, table: TableId) {
        self.next.lock().retain(|known, _| *known < table);
    }

    /// Starts from the states again. Nobody may hold a reserved offset.
    pub fn forget(&self) {
        self.next.lock().clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TABLE: TableId = TableId(3);

    fn check(offsets: &Offsets, count: u64, expected: u64) {
        assert_eq!(offsets.reserve(TABLE, count, || Ok(100)).unwrap(), expected);
    }

    #[test]
    fn offsets_follow_the_rows_that_exist() {
        let offsets = Offsets::default();
        check(&offsets, 5, 100);
        check(&offsets, 1, 105);
        assert_eq!(offsets.reserve(TableId(4), 1, || Ok(0)).unwrap(), 0);
        offsets.forget();
        check(&offsets, 1, 100);
    }

    #[test]
    fn only_the_newest_are_given_again() {
        let offsets = Offsets::default();
        check(&offsets, 5, 100);
        check(&offsets, 5, 105);
        offsets.give_back(TABLE, 100, 5);
        check(&offsets, 1, 110);
        offsets.give_back(TABLE, 110, 1);
        check(&offsets, 2, 110);
    }

    #[test]
    fn there_is_an_end() {
        let offsets = Offsets::default();
        let last = offsets.reserve(TABLE, 1, || Ok(GlobalId::OFFSET_MAX - 1)).unwrap();
        assert_eq!(last, GlobalId::OFFSET_MAX - 1);
        assert!(offsets.reserve(TABLE, 1, || Ok(0)).is_err());
        assert!(offsets.reserve(TableId(9), u64::MAX, || Ok(1)).is_err());
    }

    #[test]
    fn no_offset_is_given_twice() {
        let offsets = Offsets::default();
        let mut given: Vec<u64> = std::thread::scope(|scope| {
            let threads: Vec<_> = (0..4)
                .map(|thread| {
                    let offsets = &offsets;
                    scope.spawn(move || {
                        let mut kept = Vec::new();
                        for round in 0..500 {
                            let count = 1 + (round + thread) % 3;
                            let first = offsets.reserve(TABLE, count, || Ok(7)).unwrap();
                            match round % 4 {
                                0 => offsets.give_back(TABLE, first, count),
                                _ => kept.extend(first..first + count),
                            }
                        }
                        kept
                    })
                })
                .collect();
            threads.into_iter().flat_map(|thread| thread.join().unwrap()).collect()
        });
        let count = given.len();
        given.sort_unstable();
        given.dedup();
        assert_eq!(given.len(), count);
    }
}
