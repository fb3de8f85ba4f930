//! Group numbers of texts, for grouping by one column of them. A text is stored once, in the column that is the groups'
//! key as well; a short one is compared by the 16 bytes of its view, a long one by hash and length before its bytes.

use super::growing_table::GrowingTable;
use super::key_table::Entry;
use crate::types::{DataType, StringView};
use crate::vector::{Selection, StringVector, Validity, ValueVector, Values, VectorBuffer, hash_bytes};

/// The table and its texts: group `g` is row `g` of the column.
pub struct TextKeys {
    table: GrowingTable<Entry>,
    texts: VectorBuffer,
    /// The group of NULL, which is in no table.
    null: Option<u32>,
}

/// Texts that are there, and a text that is looked for.
#[inline]
fn is_same(texts: &StringVector<'_>, group: u32, text: &[u8], view: Option<StringView>) -> bool {
    let known = &texts.views[group as usize];
    match view {
        Some(view) => *known == view,
        None => known.len() == text.len() && texts.bytes(group as usize) == text,
    }
}

impl TextKeys {
    /// A table for texts of a type.
    pub fn new(data_type: DataType) -> TextKeys {
        TextKeys { table: GrowingTable::new(), texts: VectorBuffer::new(data_type), null: None }
    }

    /// The texts by group.
    pub fn texts(&self) -> &VectorBuffer {
        &self.texts
    }

    /// The group of NULL, once it was seen.
    pub fn null(&self) -> Option<u32> {
        self.null
    }

    /// The texts by group, for whoever needs the table no more.
    pub fn into_texts(self) -> VectorBuffer {
        self.texts
    }

    /// Makes room for so many groups.
    pub fn reserve(&mut self, groups: usize) {
        self.table.reserve(groups, |entry| Entry::spread(entry.hash));
    }

    /// The memory of table and texts; with that of a larger table where it is about to be made.
    pub fn bytes(&self) -> u64 {
        self.table.bytes() + self.texts.bytes() as u64
    }

    /// The group of each of `rows`; rows that start one are appended to `new_rows`.
    pub fn groups(
        &mut self,
        key: &ValueVector<'_>,
        rows: &[u32],
        groups: &mut Vec<u32>,
        new_rows: &mut Vec<u32>,
    ) {
        let TextKeys { table, texts, null } = self;
        let before = texts.len();
        let mut next = before as u32;
        let Some(strings) = texts.strings_mut() else { return };
        for row in rows {
            let Some(text) = key.bytes_at(*row as usize) else {
                groups.push(*null.get_or_insert_with(|| {
                    strings.push(&[]);
                    new_rows.push(*row);
                    next += 1;
                    next - 1
                }));
                continue;
            };
            let (hash, view) = (hash_bytes(text) as u32, StringView::inline(text));
            let known = strings.view();
            let found = table.find(Entry::spread(hash), |entry| {
                entry.hash == hash && is_same(&known, entry.group, text, view)
            });
            if let Some(entry) = found {
                groups.push(entry.group);
                continue;
            }
            let entry = Entry { hash, group: next };
            table.insert_unique(Entry::spread(hash), entry, |entry| Entry::spread(entry.hash));
            strings.push(text);
            new_rows.push(*row);
            groups.push(next);
            next += 1;
        }
        texts.finish_rows(next as usize - before, Validity::AllValid);
        if let Some(null) = null.filter(|null| *null as usize >= before) {
            texts.set_null(null as usize);
        }
    }

    /// As `groups`, but unknown texts get `u32::MAX` and nothing is added.
    pub fn find(&self, key: &ValueVector<'_>, rows: &[u32], groups: &mut Vec<u32>) {
        let Values::Str(known) = self.texts.values() else { return };
        groups.extend(rows.iter().map(|row| {
            let Some(text) = key.bytes_at(*row as usize) else { return self.null.unwrap_or(u32::MAX) };
            let (hash, view) = (hash_bytes(text) as u32, StringView::inline(text));
            let same = |entry: &Entry| entry.hash == hash && is_same(&known, entry.group, text, view);
            self.table.find(Entry::spread(hash), same).map_or(u32::MAX, |entry| entry.group)
        }));
    }

    /// A hash of each of `rows`.
    pub fn hashes(key: &ValueVector<'_>, rows: &[u32], hashes: &mut Vec<u64>) {
        hashes.extend(rows.iter().map(|row| key.bytes_at(*row as usize).map_or(0, hash_bytes)));
    }
}

/// Scratch of `add_texts`.
#[derive(Default)]
pub(super) struct TextScratch {
    rows: Vec<u32>,
    found: Vec<u32>,
    new_rows: Vec<u32>,
    by_entry: Vec<u32>,
}

/// Adds the codes of a column of texts, their numbers plus one, to the rows' places; new texts get the next codes. A
/// dictionary's entries are looked up once each.
pub(super) fn add_texts(
    texts: &mut TextKeys,
    key: &ValueVector<'_>,
    (length, selection): (usize, Selection<'_>),
    shift: u32,
    places: &mut [u32],
    scratch: &mut TextScratch,
) {
    if key.is_all_null() {
        return;
    }
    let TextScratch { rows, found, new_rows, by_entry } = scratch;
    rows.clear();
    found.clear();
    new_rows.clear();
    let fitting = key.entries().filter(|(_, _, entries)| *entries <= 4 * length + 64);
    let Some((codes, values, entries)) = fitting else {
        selection.indices(length, rows);
        texts.groups(key, rows, found, new_rows);
        rows.iter().zip(found).for_each(|(row, text)| places[*row as usize] |= (*text + 1) << shift);
        return;
    };
    let no_nulls = key.validity.is_all_valid();
    by_entry.clear();
    by_entry.resize(entries, 0);
    if entries <= length / 8 {
        rows.extend(0..entries as u32);
    } else {
        selection.for_each(length, |row| {
            if (no_nulls || key.validity.is_valid(row)) && by_entry[codes[row] as usize] == 0 {
                by_entry[codes[row] as usize] = 1;
                rows.push(codes[row]);
            }
        });
    }
    texts.groups(&values, rows, found, new_rows);
    rows.iter().zip(found).for_each(|(entry, text)| by_entry[*entry as usize] = (*text + 1) << shift);
    match selection {
        Selection::All if no_nulls => {
            let codes = &codes[..length];
            places.iter_mut().zip(codes).for_each(|(place, code)| *place |= by_entry[*code as usize]);
        }
        _ => selection.for_each(length, |row| {
            if no_nulls || key.validity.is_valid(row) {
                places[row] |= by_entry[codes[row] as usize];
            }
        }),
    }
}
