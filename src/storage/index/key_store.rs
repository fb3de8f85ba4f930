//! Keys of many rows in row order, packed: what a load keeps of its key columns until the map and the tree are built.

use super::key::{KEY_BYTES_MAX, KeyLayout, append_text, append_value, bound_length, is_word, signed_word};
use super::key_index::KeyRef;
use super::key_map::DuplicateKey;
use crate::storage::directory::KeyTreeKind;
use crate::types::DataType;
use crate::vector::{Native, ValueVector};

/// Rows of a block of byte keys, so that a row's block needs no search.
const BLOCK_ROWS: usize = 1 << 16;

/// A key column is null in this row of the store.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NullKey {
    pub row: u64,
}

/// Keys in row order.
#[derive(Debug, Clone)]
pub struct KeyStore {
    layout: KeyLayout,
    rows: u64,
    integers: Vec<u64>,
    blocks: Vec<Block>,
    scratch: Vec<u8>,
}

#[derive(Debug, Clone, Default)]
struct Block {
    ends: Vec<u32>,
    bytes: Vec<u8>,
}

impl KeyStore {
    /// A store for keys of this layout.
    pub fn new(layout: KeyLayout) -> KeyStore {
        KeyStore { layout, rows: 0, integers: Vec::new(), blocks: Vec::new(), scratch: Vec::new() }
    }

    /// The key's columns.
    pub fn layout(&self) -> &KeyLayout {
        &self.layout
    }

    /// The number of rows.
    pub fn len(&self) -> u64 {
        self.rows
    }

    /// Whether there are no rows.
    pub fn is_empty(&self) -> bool {
        self.rows == 0
    }

    /// Bytes of memory in use.
    pub fn bytes(&self) -> u64 {
        let blocks: usize =
            self.blocks.iter().map(|block| block.ends.capacity() * 4 + block.bytes.capacity()).sum();
        (self.integers.capacity() * 8 + blocks) as u64
    }

    /// Appends the keys of `length` rows of the key columns, which have the layout's types. At a null nothing of
    /// that row and those behind it is appended.
    pub fn append(&mut self, columns: &[ValueVector<'_>], length: usize) -> Result<(), NullKey> {
        let layout = self.layout.clone();
        let mut scratch = std::mem::take(&mut self.scratch);
        let mut null = None;
        visit_keys(&layout, columns, length, &mut scratch, |_, key| {
            match key {
                _ if null.is_some() => {}
                Some(key) => self.push(key),
                None => null = Some(NullKey { row: self.rows }),
            };
        });
        self.scratch = scratch;
        null.map_or(Ok(()), Err)
    }

    /// Appends all rows of another store of the same layout.
    pub fn append_store(&mut self, other: &KeyStore) {
        if self.layout.kind() == KeyTreeKind::Integer {
            self.integers.extend_from_slice(&other.integers);
            self.rows += other.rows;
            return;
        }
        (0..other.rows).for_each(|row| self.push(other.key(row)));
    }

    /// Appends one key.
    #[inline]
    pub fn push(&mut self, key: KeyRef<'_>) {
        match key {
            KeyRef::Integer(key) => self.integers.push(key),
            KeyRef::Bytes(key) => {
                if self.rows.is_multiple_of(BLOCK_ROWS as u64) {
                    self.blocks.push(Block::default());
                }
                if let Some(block) = self.blocks.last_mut() {
                    block.bytes.extend_from_slice(key);
                    // 2¹⁶ keys of at most 1024 bytes.
                    block.ends.push(block.bytes.len() as u32);
                }
            }
        }
        self.rows += 1;
    }

    /// The key of a row; rows beyond the end have the least key.
    #[inline]
    pub fn key(&self, row: u64) -> KeyRef<'_> {
        match self.layout.kind() {
            KeyTreeKind::Integer => KeyRef::Integer(self.integers.get(row as usize).copied().unwrap_or(0)),
            KeyTreeKind::Bytes => KeyRef::Bytes(self.key_bytes(row)),
        }
    }

    #[inline]
    fn key_bytes(&self, row: u64) -> &[u8] {
        let (block, at) = (row as usize / BLOCK_ROWS, row as usize % BLOCK_ROWS);
        let read = || {
            let block = self.blocks.get(block)?;
            let start = if at == 0 { 0 } else { *block.ends.get(at - 1)? as usize };
            block.bytes.get(start..*block.ends.get(at)? as usize)
        };
        read().unwrap_or(&[])
    }

    /// Integer keys in row order; empty for byte keys.
    pub(super) fn integers(&self) -> &[u64] {
        &self.integers
    }

    /// The rows in order of their keys. Rows that come sorted, as they often do, cost one look.
    pub fn sorted(&self) -> SortedKeys<'_> {
        let order = match self.layout.kind() {
            KeyTreeKind::Integer if self.integers.is_sorted() => None,
            KeyTreeKind::Integer => Some(sorted_integers(&self.integers)),
            KeyTreeKind::Bytes
                if (1..self.rows).all(|row| self.key_bytes(row - 1) <= self.key_bytes(row)) =>
            {
                None
            }
            KeyTreeKind::Bytes => Some(self.sorted_bytes()),
        };
        SortedKeys { store: self, order }
    }

    /// Sorts by the first eight bytes behind what all keys share, which mostly decide, and by the whole keys among
    /// equals.
    fn sorted_bytes(&self) -> Vec<u32> {
        let first = self.key_bytes(0);
        let shared_with =
            |key: &[u8]| first.iter().zip(key).take_while(|(left, right)| left == right).count();
        let shared = (1..self.rows).map(|row| shared_with(self.key_bytes(row))).min().unwrap_or(0);
        let head = |row: u64| {
            let (key, mut word) = (self.key_bytes(row).get(shared..).unwrap_or(&[]), [0; 8]);
            let length = key.len().min(8);
            word[..length].copy_from_slice(&key[..length]);
            u64::from_be_bytes(word)
        };
        let mut heads: Vec<(u64, u32)> = (0..self.rows).map(|row| (head(row), row as u32)).collect();
        heads.sort_unstable_by(|left, right| {
            left.0
                .cmp(&right.0)
                .then_with(|| self.key_bytes(u64::from(left.1)).cmp(self.key_bytes(u64::from(right.1))))
                .then_with(|| left.1.cmp(&right.1))
        });
        heads.into_iter().map(|(_, row)| row).collect()
    }
}

fn sorted_integers(keys: &[u64]) -> Vec<u32> {
    let mut pairs: Vec<(u64, u32)> = keys.iter().zip(0..).map(|(key, row)| (*key, row)).collect();
    pairs.sort_unstable();
    pairs.into_iter().map(|(_, row)| row).collect()
}

/// The rows of a store in order of their keys.
pub struct SortedKeys<'s> {
    store: &'s KeyStore,
    /// None where the rows are in order as they are.
    order: Option<Vec<u32>>,
}

impl<'s> SortedKeys<'s> {
    /// The number of keys.
    pub fn len(&self) -> u64 {
        self.store.len()
    }

    /// Whether there are no keys.
    pub fn is_empty(&self) -> bool {
        self.store.is_empty()
    }

    /// The key at a position of the order, and its row.
    #[inline]
    pub fn get(&self, position: u64) -> (KeyRef<'s>, u64) {
        let row = match &self.order {
            None => position,
            Some(order) => order.get(position as usize).map_or(0, |row| u64::from(*row)),
        };
        (self.store.key(row), row)
    }

    /// Two rows with the same key, if there are any: of all rows that repeat an earlier one the first.
    pub fn duplicate(&self) -> Option<DuplicateKey> {
        let mut found: Option<DuplicateKey> = None;
        let mut position = 1;
        while position < self.len() {
            let ((key, first_row), (next, second_row)) = (self.get(position - 1), self.get(position));
            position += 1;
            if key != next {
                continue;
            }
            // Equal keys stand in order of their rows.
            if found.is_none_or(|found| second_row < found.second_row) {
                found = Some(DuplicateKey { first_row, second_row });
            }
            while position < self.len() && self.get(position).0 == key {
                position += 1;
            }
        }
        found
    }

    /// Bytes of memory in use, apart from the store's.
    pub fn bytes(&self) -> u64 {
        self.order.as_ref().map_or(0, |order| order.capacity() as u64 * 4)
    }
}

/// Calls `visit` with the key of every row in order; none where a column is null. The columns have the types of the
/// layout.
#[inline]
pub fn visit_keys(
    layout: &KeyLayout,
    columns: &[ValueVector<'_>],
    length: usize,
    scratch: &mut Vec<u8>,
    mut visit: impl FnMut(usize, Option<KeyRef<'_>>),
) {
    match (layout.columns(), columns) {
        ([data_type], [column]) if layout.kind() == KeyTreeKind::Integer => {
            visit_words(data_type, column, length, |row, word| visit(row, word.map(KeyRef::Integer)));
        }
        ([DataType::String | DataType::Blob], [column]) => {
            for row in 0..length {
                match column.bytes_at(row) {
                    Some(bytes) if bytes.len() > KEY_BYTES_MAX => {
                        scratch.clear();
                        scratch.extend_from_slice(bytes);
                        bound_length(scratch, 0);
                        visit(row, Some(KeyRef::Bytes(scratch)));
                    }
                    bytes => visit(row, bytes.map(KeyRef::Bytes)),
                }
            }
        }
        (types, columns) => {
            for row in 0..length {
                scratch.clear();
                let mut parts = types.iter().zip(columns).enumerate();
                let key = parts.try_for_each(|(at, (data_type, column))| {
                    append_part(data_type, column, row, at + 1 == types.len(), scratch)
                });
                bound_length(scratch, 0);
                visit(row, key.map(|()| KeyRef::Bytes(scratch)));
            }
        }
    }
}

/// Appends one column's value of a row.
fn append_part(
    data_type: &DataType,
    column: &ValueVector<'_>,
    row: usize,
    last: bool,
    out: &mut Vec<u8>,
) -> Option<()> {
    if is_word(data_type) {
        let mut word = None;
        visit_words(data_type, &column.slice_from(row), 1, |_, found| word = found);
        out.extend_from_slice(&word?.to_be_bytes());
        return Some(());
    }
    if matches!(data_type, DataType::String | DataType::Blob) {
        append_text(column.bytes_at(row)?, last, out);
        return Some(());
    }
    append_value(data_type, &column.value(row, data_type), last, out)
}

/// Calls `visit` with the word of every row of a column of a word type.
#[inline]
fn visit_words(
    data_type: &DataType,
    column: &ValueVector<'_>,
    length: usize,
    mut visit: impl FnMut(usize, Option<u64>),
) {
    use DataType::*;
    match data_type {
        Bool => (0..length)
            .for_each(|row| visit(row, column.bool_at(row).map(|truth| signed_word(i64::from(truth))))),
        Int8 => visit_native::<i8>(column, length, |value| signed_word(i64::from(value)), visit),
        Int16 => visit_native::<i16>(column, length, |value| signed_word(i64::from(value)), visit),
        Int32 => visit_native::<i32>(column, length, |value| signed_word(i64::from(value)), visit),
        UInt8 => visit_native::<u8>(column, length, |value| signed_word(i64::from(value)), visit),
        UInt16 => visit_native::<u16>(column, length, |value| signed_word(i64::from(value)), visit),
        UInt32 => visit_native::<u32>(column, length, |value| signed_word(i64::from(value)), visit),
        UInt64 => visit_native::<u64>(column, length, |value| value, visit),
        _ => visit_native::<i64>(column, length, signed_word, visit),
    }
}

#[inline]
fn visit_native<T: Native>(
    column: &ValueVector<'_>,
    length: usize,
    word: impl Fn(T) -> u64,
    mut visit: impl FnMut(usize, Option<u64>),
) {
    let Some(reader) = column.native_reader::<T>() else {
        // A vector of nulls has no values of any type.
        (0..length).for_each(|row| visit(row, None));
        return;
    };
    if column.has_no_nulls() {
        (0..length).for_each(|row| visit(row, Some(word(reader.get(row)))));
        return;
    }
    for row in 0..length {
        let key = (!column.is_null(row)).then(|| word(reader.get(row)));
        visit(row, key);
    }
}
