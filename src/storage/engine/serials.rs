//! Numbers of SERIAL columns: each is given once, and none that a row has been given by hand. Of what is rolled back,
//! the newest numbers are given again and others stay unused.

use parking_lot::Mutex;
use rustc_hash::FxHashMap;

use crate::storage::StorageResult;
use crate::storage::state::Snapshot;
use crate::types::{ColumnId, TableId};
use crate::vector::ValueVector;

/// The next number of each SERIAL column that is being written.
#[derive(Default)]
pub struct Serials {
    next: Mutex<FxHashMap<(TableId, ColumnId), u64>>,
}

impl Serials {
    /// `count` consecutive numbers; gives the first. `newest` is asked when the column is written for the first time.
    pub fn reserve(
        &self,
        table: TableId,
        column: ColumnId,
        count: u64,
        newest: impl FnOnce() -> Snapshot,
    ) -> StorageResult<u64> {
        let mut next = self.next.lock();
        let first = match next.get(&(table, column)) {
            Some(first) => *first,
            None => next_of(&newest(), table, column)?,
        };
        next.insert((table, column), first.saturating_add(count));
        Ok(first)
    }

    /// Takes back numbers that no row has. Only the newest can be given again.
    pub fn give_back(&self, table: TableId, column: ColumnId, first: u64, count: u64) {
        if let Some(next) = self.next.lock().get_mut(&(table, column))
            && *next == first.saturating_add(count)
        {
            *next = first;
        }
    }

    /// Goes on behind numbers that rows are given by hand.
    pub fn pass(
        &self,
        table: TableId,
        column: ColumnId,
        given: &ValueVector<'_>,
        count: usize,
        newest: impl FnOnce() -> Snapshot,
    ) -> StorageResult<()> {
        let behind = behind(given, count);
        let mut next = self.next.lock();
        let first = match next.get(&(table, column)) {
            Some(first) => *first,
            None => next_of(&newest(), table, column)?,
        };
        next.insert((table, column), first.max(behind));
        Ok(())
    }

    /// Forgets tables from an id on, which were never committed: the ids will be those of other tables.
    pub fn forget_from(&self, table: TableId) {
        self.next.lock().retain(|(known, _), _| *known < table);
    }

    /// Starts from the states again. No transaction that writes may be open.
    pub fn forget(&self) {
        self.next.lock().clear();
    }
}

/// The number behind all that rows of the snapshot have, its levels included.
fn next_of(snapshot: &Snapshot, table: TableId, column: ColumnId) -> StorageResult<u64> {
    let mut next = snapshot.table_record(table)?.next_serial(column);
    for level in snapshot.changes_of(table) {
        for (_, group) in level.groups().iter() {
            for born in group.births().iter() {
                let values = born.column(column).map(|values| behind(&values.vector(), values.len()));
                next = next.max(values.unwrap_or(0));
            }
            for patch in group.patches_of(column).into_iter().flat_map(|patches| patches.iter()) {
                next = next.max(behind(&patch.values(), patch.rows().len()));
            }
        }
    }
    Ok(next)
}

/// The number behind the greatest one.
fn behind(values: &ValueVector<'_>, count: usize) -> u64 {
    let Some(reader) = values.native_reader::<i64>() else { return 0 };
    let given = (0..count).filter(|row| !values.is_null(*row)).map(|row| reader.get(row));
    given.max().and_then(|most| u64::try_from(most).ok()).map_or(0, |most| most.saturating_add(1))
}
