//! Values that must not come twice, met one after the other: UNIQUE properties, and keys where bad rows are passed
//! over. (Keys of a load that stops at the first bad row are sorted for their tree anyway and compared there.)

use std::sync::Arc;

use hashbrown::HashMap;
use rustc_hash::FxBuildHasher;

use super::error::CopyResult;
use crate::storage::buffer_pool::BufferPool;
use crate::storage::index::{IndexKey, KeyLayout, KeyRef, visit_keys};
use crate::storage::table::{KeyReader, NodeTable, ScanOptions};
use crate::types::ColumnId;
use crate::vector::{ValueVector, VectorBuffer};

/// Stands for a row of the table, beside rows of the load.
const STORED: u64 = u64::MAX;
const SCAN_ROWS: usize = 2048;

/// One key or UNIQUE property.
pub(super) struct UniqueValues {
    /// How messages call it.
    pub what: &'static str,
    layout: KeyLayout,
    /// Positions among the table's columns.
    pub columns: Vec<usize>,
    seen: HashMap<IndexKey, u64, FxBuildHasher>,
    /// Where the table's own values are looked up instead of being in `seen`.
    stored: Option<(Arc<KeyReader>, BufferPool)>,
    bytes: u64,
}

impl UniqueValues {
    /// The key of a table, whose index knows what is there.
    pub fn of_key(
        layout: KeyLayout,
        columns: Vec<usize>,
        stored: Option<Arc<KeyReader>>,
        pool: &BufferPool,
    ) -> UniqueValues {
        let stored = stored.map(|reader| (reader, pool.clone()));
        UniqueValues { what: "key", layout, columns, seen: HashMap::default(), stored, bytes: 0 }
    }

    /// A UNIQUE property, whose values in the table are read.
    pub fn of_property(
        layout: KeyLayout,
        position: usize,
        column: ColumnId,
        table: &Arc<NodeTable>,
    ) -> CopyResult<UniqueValues> {
        let columns = vec![position];
        let mut values =
            UniqueValues { what: "value", layout, columns, seen: HashMap::default(), stored: None, bytes: 0 };
        let mut scanner = table.scanner(&[column], &[], &ScanOptions { vector_size: SCAN_ROWS })?;
        let mut worker = table.pool().worker()?;
        let (mut rows, mut keys) = (Vec::new(), Vec::new());
        for group in 0..table.group_count() {
            scanner.open(group, 0..u32::MAX)?;
            while let Some(batch) = scanner.next(&mut worker)? {
                rows.clear();
                batch.selection.indices(batch.length, &mut rows);
                let mut chosen = VectorBuffer::new(table.data_type(column));
                if let Some(vector) = batch.columns.first() {
                    chosen.append_rows(vector, &rows);
                }
                values.keys(&[chosen.vector()], rows.len(), &mut keys);
                for key in keys.drain(..).flatten() {
                    values.insert(key, STORED);
                }
            }
        }
        Ok(values)
    }

    fn keys(&self, columns: &[ValueVector<'_>], rows: usize, out: &mut Vec<Option<IndexKey>>) {
        let owned = |key: KeyRef<'_>| match key {
            KeyRef::Integer(key) => IndexKey::Integer(key),
            KeyRef::Bytes(key) => IndexKey::Bytes(key.to_vec()),
        };
        visit_keys(&self.layout, columns, rows, &mut Vec::new(), |_, key| out.push(key.map(owned)));
    }

    fn insert(&mut self, key: IndexKey, row: u64) {
        self.bytes += size_of::<(IndexKey, u64)>() as u64 * 2;
        if let IndexKey::Bytes(bytes) = &key {
            self.bytes += bytes.len() as u64 + 16;
        }
        self.seen.insert(key, row);
    }

    /// Whether a row has the key: a row of the load, or one of the table (`None` inside).
    fn holder(&self, key: &IndexKey) -> CopyResult<Option<Option<u64>>> {
        if let Some(row) = self.seen.get(key) {
            return Ok(Some((*row != STORED).then_some(*row)));
        }
        let Some((reader, pool)) = &self.stored else { return Ok(None) };
        Ok(reader.lookup_key(KeyRef::of(key), &mut pool.worker()?)?.map(|_| None))
    }

    /// Bytes held, about.
    pub fn bytes(&self) -> u64 {
        self.bytes
    }
}

/// A row whose value is there already.
pub(super) struct Repeated {
    pub row: usize,
    /// Which of the sets has it.
    pub set: usize,
    /// The row of the load that has it, or none for a row of the table.
    pub first_row: Option<u64>,
}

/// Takes over the rows of a chunk whose values are all new and names the others. `number` gives the number of a row in
/// the load; `accept` has the last word on a row whose values are new, and it is not named if refused.
pub(super) fn add_rows(
    sets: &mut [UniqueValues],
    columns: &[ValueVector<'_>],
    rows: usize,
    number: impl Fn(usize) -> u64,
    mut accept: impl FnMut(usize) -> bool,
) -> CopyResult<Vec<Repeated>> {
    let mut repeated = Vec::new();
    let mut keys: Vec<Vec<Option<IndexKey>>> = Vec::with_capacity(sets.len());
    for set in sets.iter() {
        let vectors: Vec<ValueVector<'_>> =
            set.columns.iter().filter_map(|column| columns.get(*column).copied()).collect();
        let mut found = Vec::with_capacity(rows);
        set.keys(&vectors, rows, &mut found);
        keys.push(found);
    }
    'rows: for row in 0..rows {
        for (at, (set, keys)) in sets.iter().zip(&keys).enumerate() {
            let Some(Some(key)) = keys.get(row) else { continue };
            if let Some(first_row) = set.holder(key)? {
                repeated.push(Repeated { row, set: at, first_row });
                continue 'rows;
            }
        }
        if !accept(row) {
            continue;
        }
        for (set, keys) in sets.iter_mut().zip(&mut keys) {
            if let Some(key) = keys.get_mut(row).and_then(Option::take) {
                set.insert(key, number(row));
            }
        }
    }
    Ok(repeated)
}
