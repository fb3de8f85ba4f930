//! From key columns to group numbers, by the cheapest way the keys allow.

use super::coded_keys::CodedKeys;
use super::key_table::{KeyScratch, KeyTable};
use crate::planner::physical_plan::KeyKind;
use crate::types::{DataType, GlobalId, NODE_GROUP_ROWS, TableId};
use crate::vector::{Selection, Shape, Validity, ValueVector, Values, VectorBuffer};

/// Rows per run from which on only the first row of a run is looked up.
const RUN_ROWS: usize = 4;
/// No group yet.
const NONE: u32 = u32::MAX;

/// How a batch was grouped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum How {
    /// By an array over node offsets.
    Dense,
    /// By the codes of a dictionary.
    Dictionary,
    /// By the codes of all columns.
    Codes,
    /// By the first rows of runs with the same keys.
    Runs,
    Hash,
}

/// Finds groups.
pub struct GroupIndex {
    dense: Vec<DenseTable>,
    keys: KeyTable,
    coded: Option<CodedKeys>,
    scratch: KeyScratch,
    found: Vec<u32>,
    by_code: Vec<u32>,
    heads: Vec<u64>,
    /// Groups found by arrays alone: then `keys` is not used.
    dense_groups: u32,
    /// The group of rows that have no node.
    null_group: u32,
}

/// Group numbers by node offset; pages are made at first touch.
struct DenseTable {
    table: TableId,
    pages: Vec<Option<Box<[u32]>>>,
}

impl GroupIndex {
    /// An index for keys of these types.
    pub fn new(kind: &KeyKind, types: Vec<DataType>) -> GroupIndex {
        let dense = match kind {
            KeyKind::DenseNode(tables) => {
                tables.iter().map(|table| DenseTable { table: *table, pages: Vec::new() }).collect()
            }
            _ => Vec::new(),
        };
        GroupIndex {
            coded: None,
            dense,
            keys: KeyTable::new(types),
            scratch: KeyScratch::default(),
            found: Vec::new(),
            by_code: Vec::new(),
            heads: Vec::new(),
            dense_groups: 0,
            null_group: NONE,
        }
    }

    /// Tries small codes of keys of these types before hashing them.
    pub fn use_codes(&mut self, types: &[DataType]) {
        self.coded = if self.dense.is_empty() { CodedKeys::new(types) } else { None };
    }

    /// Gives back the memory of codes; false if there are none.
    pub fn drop_codes(&mut self) -> bool {
        self.coded.take().is_some()
    }

    /// Whether texts beside other keys are hashed by their numbers.
    pub fn numbers_texts(&self) -> bool {
        self.keys.numbers_texts()
    }

    /// Number of groups.
    pub fn len(&self) -> usize {
        if self.dense.is_empty() { self.keys.len() } else { self.dense_groups as usize }
    }

    /// The memory of the tables.
    pub fn bytes(&self) -> u64 {
        let pages = |table: &DenseTable| table.pages.iter().flatten().count() as u64;
        let coded = self.coded.as_ref().map_or(0, CodedKeys::bytes);
        self.keys.bytes() + coded + self.dense.iter().map(pages).sum::<u64>() * 4 * NODE_GROUP_ROWS
    }

    /// The only key column by group, where the index keeps it itself.
    pub fn column(&self) -> Option<&VectorBuffer> {
        self.keys.column().filter(|_| self.dense.is_empty())
    }

    /// As `column`, when the index is needed no more.
    pub fn into_column(self) -> Option<VectorBuffer> {
        self.keys.into_column().filter(|_| self.dense.is_empty())
    }

    /// Makes room for so many groups.
    pub fn reserve(&mut self, groups: usize) {
        self.keys.reserve(groups);
    }

    /// A hash of each selected row's keys, in order.
    pub fn hashes(
        &self,
        keys: &[ValueVector<'_>],
        length: usize,
        selection: Selection<'_>,
        hashes: &mut Vec<u64>,
    ) {
        self.keys.hashes(keys, length, selection, hashes);
    }

    /// Writes the group of every selected row to its place in `by_row`; rows that start a group go to `new_rows`.
    pub fn groups(
        &mut self,
        keys: &[ValueVector<'_>],
        length: usize,
        selection: Selection<'_>,
        by_row: &mut Vec<u32>,
        new_rows: &mut Vec<u32>,
    ) -> How {
        by_row.clear();
        by_row.resize(length, 0);
        new_rows.clear();
        if !self.dense.is_empty() {
            self.dense_groups(&keys[0], length, selection, by_row, new_rows);
            return How::Dense;
        }
        if let [key] = keys
            && self.code_groups(key, length, selection, by_row, new_rows)
        {
            return How::Dictionary;
        }
        if selection.is_all() && self.run_groups(keys, length, by_row, new_rows) {
            return How::Runs;
        }
        if let Some(how) = self.coded_groups(keys, length, selection, by_row, new_rows) {
            return how;
        }
        self.keys.groups(keys, length, selection, &mut self.scratch, &mut self.found, new_rows);
        let mut next = self.found.iter();
        selection.for_each(length, |row| by_row[row] = next.next().copied().unwrap_or(0));
        How::Hash
    }

    fn dense_groups(
        &mut self,
        key: &ValueVector<'_>,
        length: usize,
        selection: Selection<'_>,
        by_row: &mut [u32],
        new_rows: &mut Vec<u32>,
    ) {
        let GroupIndex { dense, dense_groups, null_group, .. } = self;
        let reader = key.native_reader::<u64>();
        let nullable = !key.has_no_nulls();
        selection.for_each(length, |row| {
            let reader = match &reader {
                Some(reader) if !(nullable && key.is_null(row)) => reader,
                _ => {
                    if *null_group == NONE {
                        *null_group = *dense_groups;
                        *dense_groups += 1;
                        new_rows.push(row as u32);
                    }
                    by_row[row] = *null_group;
                    return;
                }
            };
            let id = GlobalId(reader.get(row));
            let place = |table: &DenseTable| table.table.0 & 0xFFFF == id.table().0;
            // The planner lists every table that the variable can lie in.
            let Some(table) = dense.iter_mut().find(|table| place(table)) else { return };
            let page = (id.offset() / NODE_GROUP_ROWS) as usize;
            if table.pages.len() <= page {
                table.pages.resize_with(page + 1, || None);
            }
            let slots = table.pages[page]
                .get_or_insert_with(|| vec![NONE; NODE_GROUP_ROWS as usize].into_boxed_slice());
            let slot = &mut slots[(id.offset() % NODE_GROUP_ROWS) as usize];
            if *slot == NONE {
                *slot = *dense_groups;
                *dense_groups += 1;
                new_rows.push(row as u32);
            }
            by_row[row] = *slot;
        });
    }

    /// Groups by the codes of all columns; rows whose codes are new are looked up.
    fn coded_groups(
        &mut self,
        keys: &[ValueVector<'_>],
        length: usize,
        selection: Selection<'_>,
        by_row: &mut [u32],
        new_rows: &mut Vec<u32>,
    ) -> Option<How> {
        let GroupIndex { coded, keys: table, scratch, found, .. } = self;
        if coded.as_ref().is_some_and(CodedKeys::is_hopeless) {
            *coded = None;
        }
        let coded = coded.as_mut().filter(|_| length > 0)?;
        let Some(misses) = coded.groups(keys, (length, selection), by_row)? else {
            return Some(How::Codes);
        };
        table.groups(keys, length, misses, scratch, found, new_rows);
        coded.learn(found, by_row);
        Some(if found.len() < selection.count(length) { How::Codes } else { How::Hash })
    }

    /// Groups rows whose keys are mostly those of the row before: only the first row of each run is looked up.
    fn run_groups(
        &mut self,
        keys: &[ValueVector<'_>],
        length: usize,
        by_row: &mut [u32],
        new_rows: &mut Vec<u32>,
    ) -> bool {
        // A worker that got no rows has no first row either.
        if length == 0 || length > usize::from(u16::MAX) || !keys.iter().all(|key| key.has_no_nulls()) {
            return false;
        }
        let GroupIndex { heads, keys: table, scratch, found, .. } = self;
        heads.clear();
        heads.resize(length.div_ceil(64), 0);
        for key in keys {
            if !mark_changes(key, length, heads) {
                return false;
            }
        }
        heads[0] |= 1;
        let heads = Selection::Mask(heads);
        if heads.count(length) * RUN_ROWS > length {
            return false;
        }
        table.groups(keys, length, heads, scratch, found, new_rows);
        let mut groups = found.iter().copied();
        let mut start = 0;
        let mut group = 0;
        heads.for_each(length, |head| {
            by_row[start..head].fill(group);
            group = groups.next().unwrap_or(0);
            start = head;
        });
        by_row[start..length].fill(group);
        true
    }

    /// Groups by the codes of a dictionary that has fewer entries than the batch has rows.
    fn code_groups(
        &mut self,
        key: &ValueVector<'_>,
        length: usize,
        selection: Selection<'_>,
        by_row: &mut [u32],
        new_rows: &mut Vec<u32>,
    ) -> bool {
        let fewer = key.entries().filter(|(_, _, entries)| *entries < length);
        let Some((codes, values, entries)) = fewer else { return false };
        if !matches!(key.validity, Validity::AllValid) {
            return false;
        }
        let mut used = vec![0u64; entries.div_ceil(64)];
        let mut first_row = vec![NONE; entries];
        selection.for_each(length, |row| {
            let code = codes[row] as usize;
            if used[code / 64] >> (code % 64) & 1 == 0 {
                used[code / 64] |= 1 << (code % 64);
                first_row[code] = row as u32;
            }
        });
        let entries_used = Selection::Mask(&used);
        let mut new_entries = Vec::new();
        let GroupIndex { keys, scratch, found, by_code, .. } = self;
        keys.groups(&[values], entries, entries_used, scratch, found, &mut new_entries);
        by_code.clear();
        by_code.resize(entries, 0);
        let mut next = found.iter();
        entries_used.for_each(entries, |entry| by_code[entry] = next.next().copied().unwrap_or(0));
        selection.for_each(length, |row| by_row[row] = by_code[codes[row] as usize]);
        new_rows.extend(new_entries.iter().map(|entry| first_row[*entry as usize]));
        true
    }
}

/// Sets the bits of rows whose value may differ from that of the row before. False for shapes where that would mean
/// to compare texts.
fn mark_changes(key: &ValueVector<'_>, length: usize, heads: &mut [u64]) -> bool {
    fn changes<T: PartialEq>(values: &[T], heads: &mut [u64]) {
        for (at, pair) in values.windows(2).enumerate() {
            heads[(at + 1) / 64] |= u64::from(pair[0] != pair[1]) << ((at + 1) % 64);
        }
    }
    match &key.shape {
        Shape::Constant(_) => {}
        Shape::Dictionary { codes, .. } => changes(&codes[..length], heads),
        Shape::Flat(Values::U64(values)) => changes(&values[..length], heads),
        Shape::Flat(Values::I64(values)) => changes(&values[..length], heads),
        Shape::Flat(Values::I32(values)) => changes(&values[..length], heads),
        _ => return false,
    }
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nodes_are_grouped_by_offset_across_pages() {
        let base = GlobalId::new(TableId(3), 0).0;
        let ids: Vec<u64> = [5, 70_000, 5, 6].iter().map(|offset| base + offset).collect();
        let mut index = GroupIndex::new(&KeyKind::DenseNode(vec![TableId(3)]), vec![DataType::Node]);
        let (mut by_row, mut new_rows) = (Vec::new(), Vec::new());
        let vector = ValueVector::flat(Values::U64(&ids));
        let how = index.groups(&[vector], 4, Selection::All, &mut by_row, &mut new_rows);
        assert_eq!(
            (how, &by_row, &new_rows, index.len()),
            (How::Dense, &vec![0, 1, 0, 2], &vec![0, 1, 3], 3)
        );
        let how = index.groups(&[ValueVector::null()], 2, Selection::All, &mut by_row, &mut new_rows);
        assert_eq!((how, by_row, new_rows, index.len()), (How::Dense, vec![3, 3], vec![0], 4));
    }

    #[test]
    fn runs_are_looked_up_once() {
        let mut index = GroupIndex::new(&KeyKind::Hash, vec![DataType::Int64, DataType::Int64]);
        let (mut by_row, mut new_rows) = (Vec::new(), Vec::new());
        let mut check = |a: &[i64], b: &[i64], how: How, groups: &[u32], firsts: &[u32]| {
            let keys = [ValueVector::flat(Values::I64(a)), ValueVector::flat(Values::I64(b))];
            let found = index.groups(&keys, a.len(), Selection::All, &mut by_row, &mut new_rows);
            assert_eq!((found, &by_row[..], &new_rows[..]), (how, groups, firsts));
        };
        check(&[1, 1, 1, 1, 2, 2, 2, 2], &[5; 8], How::Runs, &[0, 0, 0, 0, 1, 1, 1, 1], &[0, 4]);
        check(&[], &[], How::Hash, &[], &[]);
        check(&[2, 1, 3, 1], &[5, 5, 5, 6], How::Hash, &[1, 0, 2, 3], &[2, 3]);
        check(
            &[1, 1, 1, 1, 9, 9, 9, 9],
            &[5, 5, 5, 5, 5, 5, 5, 5],
            How::Runs,
            &[0, 0, 0, 0, 4, 4, 4, 4],
            &[4],
        );
    }

    #[test]
    fn codes_of_different_dictionaries_meet_in_one_group() {
        let dictionary = |texts: &[&str]| {
            let mut buffer = VectorBuffer::new(DataType::String);
            texts.iter().for_each(|text| buffer.push_str(text));
            buffer
        };
        let (first, second) = (dictionary(&["a", "b"]), dictionary(&["b", "c"]));
        let mut index = GroupIndex::new(&KeyKind::Hash, vec![DataType::String]);
        let (mut by_row, mut new_rows) = (Vec::new(), Vec::new());
        let mut check = |vector: ValueVector<'_>, expected: &[u32]| {
            let how = index.groups(&[vector], expected.len(), Selection::All, &mut by_row, &mut new_rows);
            assert_eq!((how, &by_row[..]), (How::Dictionary, expected));
        };
        check(ValueVector::dictionary(&[1, 0, 1], &first), &[1, 0, 1]);
        check(ValueVector::dictionary(&[0, 1, 1], &second), &[1, 2, 2]);
    }
}
