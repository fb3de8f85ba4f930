//! Keys as canonical bytes, each kept once and known by its number. A long list within a key is replaced by its own
//! number: rows that share a list do not copy it into their keys.

use rustc_hash::FxHashMap;

use super::growing_table::GrowingTable;
use super::key_table::{Entry, encode_row, encode_value, hash_bytes};
use crate::types::{DataType, PhysicalType, Value};
use crate::vector::{ListReader, ValueVector};

/// Lists of fewer elements stand in the key itself.
const NAMED_FROM: usize = 16;
/// The tag of a list that is named by its number.
const NAMED: u8 = 11;
/// No number.
pub(super) const NONE: u32 = u32::MAX;

/// Different byte strings, `ends[g]..ends[g + 1]` of the arena. Entries carry their hash, so that neither a growing table
/// nor a lookup that meets another key goes to the arena.
pub(super) struct ByteTable {
    table: GrowingTable<Entry>,
    arena: Vec<u8>,
    ends: Vec<usize>,
}

impl ByteTable {
    pub fn new() -> ByteTable {
        ByteTable { table: GrowingTable::new(), arena: Vec::new(), ends: vec![0] }
    }

    pub fn reserve(&mut self, keys: usize) {
        self.table.reserve(keys, |entry| Entry::spread(entry.hash));
    }

    /// The number of a key, `NONE` if it is new.
    pub fn find(&self, key: &[u8]) -> u32 {
        let hash = hash_bytes(key);
        let same = |entry: &Entry| {
            let at = entry.group as usize;
            entry.hash == hash && &self.arena[self.ends[at]..self.ends[at + 1]] == key
        };
        self.table.find(Entry::spread(hash), same).map_or(NONE, |entry| entry.group)
    }

    /// The number of a key, and whether it is new.
    pub fn number(&mut self, key: &[u8]) -> (u32, bool) {
        match self.find(key) {
            NONE => {
                let (hash, group) = (hash_bytes(key), self.ends.len() as u32 - 1);
                self.arena.extend_from_slice(key);
                self.ends.push(self.arena.len());
                let entry = Entry { hash, group };
                self.table.insert_unique(Entry::spread(hash), entry, |entry| Entry::spread(entry.hash));
                (group, true)
            }
            known => (known, false),
        }
    }

    /// The memory, with that of a larger table where it is about to be made.
    pub fn bytes(&self) -> u64 {
        self.table.bytes() + self.arena.capacity() as u64 + self.ends.capacity() as u64 * 8
    }
}

/// What long lists are called in keys.
pub(super) enum Names<'t> {
    /// By their number, a new one for a new list.
    Add(&'t mut ByteTable),
    /// By their number; a new list is in no key.
    Find(&'t ByteTable),
    /// By their hash, which does not depend on a table.
    Hash,
}

impl Names<'_> {
    fn name(&mut self, list: &[u8]) -> u32 {
        match self {
            Names::Add(table) => table.number(list).0,
            Names::Find(table) => table.find(list),
            Names::Hash => hash_bytes(list),
        }
    }
}

/// Writes the keys of rows one after the other: `starts[i]..starts[i + 1]` of `bytes`.
pub(super) fn encode_keys(
    keys: &[ValueVector<'_>],
    types: &[DataType],
    rows: &[u32],
    mut names: Names<'_>,
    (bytes, starts): (&mut Vec<u8>, &mut Vec<usize>),
) {
    let is_list =
        |data_type: &DataType| data_type.physical() == PhysicalType::List && data_type.element().is_some();
    let readers: Vec<Option<ListReader<'_>>> =
        keys.iter().zip(types).map(|(key, of)| if is_list(of) { key.list_reader() } else { None }).collect();
    let mut named: FxHashMap<(usize, usize, usize), u32> = FxHashMap::default();
    bytes.clear();
    starts.clear();
    for row in rows {
        let row = *row as usize;
        starts.push(bytes.len());
        for (column, (key, data_type)) in keys.iter().zip(types).enumerate() {
            let range = match &readers[column] {
                Some(reader) if !key.is_null(row) => reader.range(row),
                _ => (0, 0),
            };
            if range.1 - range.0 < NAMED_FROM {
                encode_row(key, data_type, row, bytes);
                continue;
            }
            let name = *named.entry((column, range.0, range.1)).or_insert_with(|| {
                let mut list = Vec::new();
                encode_list(readers[column].as_ref(), range, data_type, &mut list);
                names.name(&list)
            });
            bytes.push(NAMED);
            bytes.extend_from_slice(&name.to_le_bytes());
        }
    }
    starts.push(bytes.len());
}

/// The elements of a list in canonical bytes.
fn encode_list(
    reader: Option<&ListReader<'_>>,
    (start, end): (usize, usize),
    data_type: &DataType,
    out: &mut Vec<u8>,
) {
    let (Some(reader), Some(element)) = (reader, data_type.element()) else { return };
    for at in start..end {
        match reader.child.value(at, element) {
            Value::Null => out.push(0),
            value => encode_value(&value, out),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::key_table::{KeyScratch, KeyTable};
    use super::*;
    use crate::vector::{Selection, VectorBuffer};

    /// Groups rows of three lists and a number, which are the same for every fifth row.
    #[test]
    fn long_lists_in_keys_are_named_and_kept_once() {
        let list_type = DataType::list(DataType::Int64);
        let list = |first: i64, length: i64| Value::List((first..first + length).map(Value::Int64).collect());
        let entries = |all: &[Value]| {
            let mut lists = VectorBuffer::new(list_type.clone());
            all.iter().for_each(|list| lists.push_value(list).unwrap());
            lists
        };
        let lists = entries(&[list(0, 5000), list(0, 3), list(1, 5000), Value::Null, list(0, 5000)]);
        let mut table = KeyTable::new(vec![list_type.clone(), DataType::Int64]);
        let (mut scratch, mut groups, mut new) = (KeyScratch::default(), Vec::new(), Vec::new());
        let codes: Vec<u32> = (0..1000).map(|row| row % 5).collect();
        let numbers: Vec<i64> = (0..1000).map(|row| row % 500).collect();
        let numbers = ValueVector::flat(crate::vector::Values::I64(&numbers));
        let keys = [ValueVector::dictionary(&codes, &lists), numbers];
        table.groups(&keys, 1000, Selection::All, &mut scratch, &mut groups, &mut new);
        assert_eq!((table.len(), new.len()), (500, 500));
        assert!(table.bytes() < 500_000, "{}", table.bytes());
        let mut found = Vec::new();
        table.find(&keys, 1000, Selection::All, &mut scratch, &mut found);
        assert_eq!(found, groups);
        // The same lists elsewhere, also by their hashes, and one that no key has.
        let others = entries(&[list(0, 5000), list(7, 5000), list(1, 5000)]);
        let keys = [ValueVector::dictionary(&[2, 0, 1], &others), numbers];
        table.find(&keys, 3, Selection::All, &mut scratch, &mut found);
        assert_eq!(found, [NONE, NONE, NONE]);
        let keys = [ValueVector::dictionary(&[0, 1, 2], &others), numbers];
        table.find(&keys, 3, Selection::All, &mut scratch, &mut found);
        assert_eq!(found, [groups[0], NONE, groups[2]]);
        let (mut hashes, mut again) = (Vec::new(), Vec::new());
        table.hashes(&keys, 3, Selection::All, &mut hashes);
        let first = [ValueVector::dictionary(&codes, &lists), numbers];
        KeyTable::new(vec![list_type, DataType::Int64]).hashes(&first, 3, Selection::All, &mut again);
        assert!(hashes[0] == again[0] && hashes[2] == again[2] && hashes[1] != again[1]);
    }
}
