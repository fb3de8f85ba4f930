//! From grouping keys to dense group numbers. Keys that fit into 16 bytes, texts among
//! them by their numbers (see `text_numbers`), are hashed as one integer; one column of texts by its views (see `text_keys`); others as bytes in an arena. Equal means equivalent: NULL equals NULL, NaN equals NaN, -0.0 equals 0.0.

use std::hash::{BuildHasher, Hasher};

use rustc_hash::FxBuildHasher;

use super::byte_keys::{ByteTable, Names, encode_keys};
use super::growing_table::GrowingTable;
use super::text_keys::TextKeys;
use super::text_numbers::{NUMBER_BITS, NumberScratch, TextNumbers};
use crate::types::{DataType, PhysicalType, Value};
use crate::vector::{Native, Selection, ValueVector, VectorBuffer};

/// Maps rows of key columns to group numbers, which count from 0 in order of first sight.
pub struct KeyTable {
    types: Vec<DataType>,
    layout: Layout,
    groups: u32,
}

enum Layout {
    /// All columns packed into 128 bits, a null bit per column on top.
    Packed { table: GrowingTable<(u128, u32)>, widths: Vec<u32>, texts: TextNumbers },
    /// One column of texts.
    Text(Box<TextKeys>),
    /// Encoded bytes, and those of long lists in them.
    Bytes { keys: ByteTable, lists: ByteTable },
}

/// An entry of a table over bytes.
#[derive(Clone, Copy)]
pub(super) struct Entry {
    pub hash: u32,
    pub group: u32,
}

impl Entry {
    /// What the table sorts it by.
    #[inline]
    pub fn spread(hash: u32) -> u64 {
        u64::from(hash).wrapping_mul(0x9E37_79B9_7F4A_7C15)
    }
}

/// Scratch of one worker.
#[derive(Default)]
pub struct KeyScratch {
    rows: Vec<u32>,
    packed: Vec<u128>,
    numbers: NumberScratch,
    bytes: Vec<u8>,
    starts: Vec<usize>,
}

fn hash_packed(key: u128) -> u64 {
    // The table takes its control bits from the top, so the product's high half is folded in.
    let mixed = (key as u64 ^ (key >> 64) as u64).wrapping_mul(0x9E37_79B9_7F4A_7C15);
    let wide = u128::from(mixed ^ (key >> 64) as u64) * 0xD6E8_FEB8_6659_FD93;
    (wide >> 64) as u64 ^ wide as u64
}

pub(super) fn hash_bytes(bytes: &[u8]) -> u32 {
    let mut hasher = FxBuildHasher.build_hasher();
    hasher.write(bytes);
    (hash_packed(u128::from(hasher.finish())) >> 32) as u32
}

impl KeyTable {
    /// A table for keys of these types.
    pub fn new(types: Vec<DataType>) -> KeyTable {
        let bits: Option<Vec<u32>> =
            types.iter().map(|data_type| packed_bits(data_type.physical())).collect();
        let layout = match bits {
            _ if types.len() == 1 && types[0].physical() == PhysicalType::Str => {
                Layout::Text(Box::new(TextKeys::new(types[0].clone())))
            }
            Some(widths) if widths.iter().map(|bits| bits + 1).sum::<u32>() <= 128 => {
                Layout::Packed { table: GrowingTable::new(), widths, texts: TextNumbers::new(&types) }
            }
            _ => Layout::Bytes { keys: ByteTable::new(), lists: ByteTable::new() },
        };
        KeyTable { types, layout, groups: 0 }
    }

    /// The only key column by group, where the table keeps it itself.
    pub fn column(&self) -> Option<&VectorBuffer> {
        match &self.layout {
            Layout::Text(keys) => Some(keys.texts()),
            _ => None,
        }
    }

    /// As `column`, when the table is needed no more.
    pub fn into_column(self) -> Option<VectorBuffer> {
        match self.layout {
            Layout::Text(keys) => Some(keys.into_texts()),
            _ => None,
        }
    }

    /// Whether texts are hashed by their numbers.
    pub fn numbers_texts(&self) -> bool {
        matches!(&self.layout, Layout::Packed { texts, .. } if !texts.is_empty())
    }

    /// Makes room for so many groups.
    pub fn reserve(&mut self, groups: usize) {
        match &mut self.layout {
            Layout::Packed { table, .. } => table.reserve(groups, |(key, _)| hash_packed(*key)),
            Layout::Text(keys) => keys.reserve(groups),
            Layout::Bytes { keys, .. } => keys.reserve(groups),
        }
    }

    /// Number of groups.
    pub fn len(&self) -> usize {
        self.groups as usize
    }

    /// The group of each selected row, in order; rows that start a new group are appended to `new_rows`.
    pub fn groups(
        &mut self,
        keys: &[ValueVector<'_>],
        length: usize,
        selection: Selection<'_>,
        scratch: &mut KeyScratch,
        groups: &mut Vec<u32>,
        new_rows: &mut Vec<u32>,
    ) {
        let KeyTable { types, layout, groups: next } = self;
        scratch.take(length, selection);
        groups.clear();
        new_rows.clear();
        match layout {
            Layout::Packed { table, widths, texts } => {
                scratch.pack(keys, types, widths, |column, key, _, numbers| {
                    texts.add(column, key, (length, selection), numbers);
                });
                for (key, row) in scratch.packed.iter().zip(&scratch.rows) {
                    let hash = hash_packed(*key);
                    let make = || {
                        new_rows.push(*row);
                        *next += 1;
                        (*key, *next - 1)
                    };
                    let is_it = |(other, _): &(u128, u32)| other == key;
                    let found = table.find_or_insert(hash, is_it, make, |(other, _)| hash_packed(*other));
                    groups.push(found.1);
                }
            }
            Layout::Text(keys_of_texts) => {
                keys_of_texts.groups(&keys[0], &scratch.rows, groups, new_rows);
                *next = keys_of_texts.texts().len() as u32;
            }
            Layout::Bytes { keys: table, lists } => {
                let KeyScratch { rows, bytes, starts, .. } = scratch;
                encode_keys(keys, types, rows, Names::Add(lists), (bytes, starts));
                for (place, row) in starts.windows(2).zip(rows) {
                    let (group, is_new) = table.number(&bytes[place[0]..place[1]]);
                    if is_new {
                        *next += 1;
                        new_rows.push(*row);
                    }
                    groups.push(group);
                }
            }
        }
    }

    /// As `groups`, but unknown keys get `u32::MAX` and nothing is added.
    pub fn find(
        &self,
        keys: &[ValueVector<'_>],
        length: usize,
        selection: Selection<'_>,
        scratch: &mut KeyScratch,
        groups: &mut Vec<u32>,
    ) {
        scratch.take(length, selection);
        groups.clear();
        match &self.layout {
            Layout::Packed { table, widths, texts } => {
                scratch.pack(keys, &self.types, widths, |column, key, rows, numbers| {
                    texts.find(column, key, rows, numbers);
                });
                groups.extend(scratch.packed.iter().map(|key| {
                    let found = table.find(hash_packed(*key), |(other, _)| other == key);
                    found.map_or(u32::MAX, |(_, group)| *group)
                }));
            }
            Layout::Text(known) => known.find(&keys[0], &scratch.rows, groups),
            Layout::Bytes { keys: table, lists } => {
                let KeyScratch { rows, bytes, starts, .. } = scratch;
                encode_keys(keys, &self.types, rows, Names::Find(lists), (bytes, starts));
                groups.extend(starts.windows(2).map(|place| table.find(&bytes[place[0]..place[1]])));
            }
        }
    }

    /// A hash of each selected row's keys, in order, whatever the shape of the vectors.
    pub fn hashes(
        &self,
        keys: &[ValueVector<'_>],
        length: usize,
        selection: Selection<'_>,
        hashes: &mut Vec<u64>,
    ) {
        let mut scratch = KeyScratch::default();
        scratch.take(length, selection);
        hashes.clear();
        match &self.layout {
            Layout::Packed { widths, .. } => {
                scratch.pack(keys, &self.types, widths, |_, key, rows, numbers| {
                    TextNumbers::hash(key, rows, numbers);
                });
                hashes.extend(scratch.packed.iter().map(|key| hash_packed(*key)));
            }
            Layout::Text(_) => TextKeys::hashes(&keys[0], &scratch.rows, hashes),
            Layout::Bytes { .. } => {
                let KeyScratch { rows, bytes, starts, .. } = &mut scratch;
                encode_keys(keys, &self.types, rows, Names::Hash, (bytes, starts));
                let hash = |place: &[usize]| Entry::spread(hash_bytes(&bytes[place[0]..place[1]]));
                hashes.extend(starts.windows(2).map(hash));
            }
        }
    }

    /// The memory of the table; with that of a larger one where it is about to be made.
    pub fn bytes(&self) -> u64 {
        match &self.layout {
            Layout::Packed { table: keys, texts, .. } => keys.bytes() + texts.bytes(),
            Layout::Text(keys) => keys.bytes(),
            Layout::Bytes { keys, lists } => keys.bytes() + lists.bytes(),
        }
    }
}

impl KeyScratch {
    fn take(&mut self, length: usize, selection: Selection<'_>) {
        self.rows.clear();
        selection.indices(length, &mut self.rows);
    }

    /// Puts the columns' values side by side; `number` writes the numbers of a column of texts.
    fn pack(
        &mut self,
        keys: &[ValueVector<'_>],
        types: &[DataType],
        widths: &[u32],
        mut number: impl FnMut(usize, &ValueVector<'_>, &[u32], &mut NumberScratch),
    ) {
        let KeyScratch { rows, packed, numbers, .. } = self;
        packed.clear();
        packed.resize(rows.len(), 0);
        for (column, ((key, data_type), bits)) in keys.iter().zip(types).zip(widths).enumerate() {
            if data_type.physical() == PhysicalType::Str {
                number(column, key, rows, numbers);
                let all = packed.iter_mut().zip(&numbers.numbers);
                all.for_each(|(out, number)| *out = *out << NUMBER_BITS | u128::from(*number));
            } else {
                pack_column(key, data_type.physical(), *bits, rows, packed);
            }
        }
    }
}

/// Bits of a packed value, where the type can be packed.
fn packed_bits(physical: PhysicalType) -> Option<u32> {
    Some(match physical {
        PhysicalType::Bool | PhysicalType::I8 | PhysicalType::U8 => 8,
        PhysicalType::I16 | PhysicalType::U16 => 16,
        PhysicalType::I32 | PhysicalType::U32 | PhysicalType::F32 => 32,
        PhysicalType::I64 | PhysicalType::U64 | PhysicalType::F64 => 64,
        // With no bit for NULL.
        PhysicalType::Str => NUMBER_BITS - 1,
        _ => return None,
    })
}

fn pack_column(key: &ValueVector<'_>, physical: PhysicalType, bits: u32, rows: &[u32], packed: &mut [u128]) {
    fn pack<T: Native>(
        key: &ValueVector<'_>,
        bits: u32,
        rows: &[u32],
        packed: &mut [u128],
        word: impl Fn(T) -> u64,
    ) {
        let Some(reader) = key.native_reader::<T>() else {
            // A vector without values: every row is NULL.
            packed.iter_mut().for_each(|out| *out = *out << (bits + 1) | 1);
            return;
        };
        let no_nulls = key.has_no_nulls();
        for (out, row) in packed.iter_mut().zip(rows) {
            let row = *row as usize;
            let null = !no_nulls && key.is_null(row);
            let value = if null { 0 } else { u128::from(word(reader.get(row))) };
            *out = *out << (bits + 1) | value << 1 | u128::from(null);
        }
    }
    match physical {
        PhysicalType::Bool => {
            let no_nulls = key.has_no_nulls();
            for (out, row) in packed.iter_mut().zip(rows) {
                let value =
                    if no_nulls || !key.is_null(*row as usize) { key.bool_at(*row as usize) } else { None };
                let word = u128::from(value == Some(true)) << 1 | u128::from(value.is_none());
                *out = *out << (bits + 1) | word;
            }
        }
        PhysicalType::I8 => pack::<i8>(key, bits, rows, packed, |x| u64::from(x as u8)),
        PhysicalType::I16 => pack::<i16>(key, bits, rows, packed, |x| u64::from(x as u16)),
        PhysicalType::I32 => pack::<i32>(key, bits, rows, packed, |x| u64::from(x as u32)),
        PhysicalType::I64 => pack::<i64>(key, bits, rows, packed, |x| x as u64),
        PhysicalType::U8 => pack::<u8>(key, bits, rows, packed, u64::from),
        PhysicalType::U16 => pack::<u16>(key, bits, rows, packed, u64::from),
        PhysicalType::U32 => pack::<u32>(key, bits, rows, packed, u64::from),
        PhysicalType::U64 => pack::<u64>(key, bits, rows, packed, |x| x),
        PhysicalType::F32 => pack::<f32>(key, bits, rows, packed, |x| u64::from(canonical_f32(x))),
        PhysicalType::F64 => pack::<f64>(key, bits, rows, packed, canonical_f64),
        _ => {}
    }
}

fn canonical_f32(value: f32) -> u32 {
    if value.is_nan() { f32::NAN.to_bits() } else { (value + 0.0).to_bits() }
}

fn canonical_f64(value: f64) -> u64 {
    if value.is_nan() { f64::NAN.to_bits() } else { (value + 0.0).to_bits() }
}

/// Appends the canonical bytes of one value: a tag, then fixed-width bytes or a length and bytes.
pub(super) fn encode_row(key: &ValueVector<'_>, data_type: &DataType, row: usize, out: &mut Vec<u8>) {
    if key.is_null(row) {
        out.push(0);
        return;
    }
    match data_type.physical() {
        PhysicalType::Str => {
            let text = key.bytes_at(row).unwrap_or_default();
            out.push(1);
            out.extend_from_slice(&(text.len() as u32).to_le_bytes());
            out.extend_from_slice(text);
        }
        PhysicalType::U64 => {
            out.push(2);
            out.extend_from_slice(&key.u64_at(row).unwrap_or_default().to_le_bytes());
        }
        _ => encode_value(&key.value(row, data_type), out),
    }
}

/// Canonical bytes of any value: equivalent values have equal bytes. Numbers of different types are equal when their
/// values are.
pub fn encode_value(value: &Value, out: &mut Vec<u8>) {
    let integer = |number: i128, out: &mut Vec<u8>| {
        out.push(3);
        out.extend_from_slice(&number.to_le_bytes());
    };
    let float = |number: f64, out: &mut Vec<u8>| {
        if number.fract() == 0.0 && number.abs() < 1e38 {
            integer(number as i128, out);
        } else {
            out.push(4);
            out.extend_from_slice(&canonical_f64(number).to_le_bytes());
        }
    };
    let bytes = |tag: u8, text: &[u8], out: &mut Vec<u8>| {
        out.push(tag);
        out.extend_from_slice(&(text.len() as u32).to_le_bytes());
        out.extend_from_slice(text);
    };
    match value {
        Value::Null => out.push(0),
        Value::Bool(x) => out.extend_from_slice(&[5, u8::from(*x)]),
        Value::Int8(x) => integer((*x).into(), out),
        Value::Int16(x) => integer((*x).into(), out),
        Value::Int32(x) => integer((*x).into(), out),
        Value::Int64(x) => integer((*x).into(), out),
        Value::Int128(x) => integer(*x, out),
        Value::UInt8(x) => integer((*x).into(), out),
        Value::UInt16(x) => integer((*x).into(), out),
        Value::UInt32(x) => integer((*x).into(), out),
        Value::UInt64(x) => integer((*x).into(), out),
        Value::Float(x) => float((*x).into(), out),
        Value::Double(x) => float(*x, out),
        Value::String(text) => bytes(1, text.as_bytes(), out),
        Value::Blob(blob) => bytes(6, blob, out),
        Value::List(items) => {
            out.push(7);
            out.extend_from_slice(&(items.len() as u32).to_le_bytes());
            items.iter().for_each(|item| encode_value(item, out));
        }
        Value::Struct(fields) => {
            out.push(8);
            out.extend_from_slice(&(fields.len() as u32).to_le_bytes());
            for (name, field) in fields {
                bytes(1, name.as_bytes(), out);
                encode_value(field, out);
            }
        }
        Value::Map(entries) => {
            out.push(9);
            out.extend_from_slice(&(entries.len() as u32).to_le_bytes());
            for (key, entry) in entries {
                encode_value(key, out);
                encode_value(entry, out);
            }
        }
        Value::Id(id) => {
            out.push(2);
            out.extend_from_slice(&id.0.to_le_bytes());
        }
        Value::Node(node) => {
            out.push(2);
            out.extend_from_slice(&node.id.0.to_le_bytes());
        }
        Value::Rel(rel) => {
            out.push(2);
            out.extend_from_slice(&rel.id.0.to_le_bytes());
        }
        // The text of any other scalar names its type's value one to one.
        other => {
            out.push(10);
            let type_text = format!("{:?}", std::mem::discriminant(other));
            bytes(1, type_text.as_bytes(), out);
            bytes(1, format!("{other:?}").as_bytes(), out);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::vector::VectorBuffer;

    fn column(data_type: DataType, values: &[Value]) -> VectorBuffer {
        let mut buffer = VectorBuffer::new(data_type);
        for value in values {
            buffer.push_value(value).expect("the value has the column's type");
        }
        buffer
    }

    fn check(columns: &[VectorBuffer], expected: &[u32]) {
        let mut table = KeyTable::new(columns.iter().map(|c| c.data_type().clone()).collect());
        let vectors: Vec<ValueVector<'_>> = columns.iter().map(VectorBuffer::vector).collect();
        let (mut groups, mut new_rows) = (Vec::new(), Vec::new());
        let mut scratch = KeyScratch::default();
        table.groups(&vectors, expected.len(), Selection::All, &mut scratch, &mut groups, &mut new_rows);
        assert_eq!(groups, expected);
        assert_eq!(new_rows.len(), table.len());
        let mut found = Vec::new();
        table.find(&vectors, expected.len(), Selection::All, &mut scratch, &mut found);
        assert_eq!(found, expected);
    }

    #[test]
    fn equivalent_keys_share_a_group() {
        let numbers = column(
            DataType::Int64,
            &[Value::Int64(7), Value::Null, Value::Int64(7), Value::Int64(-7), Value::Null],
        );
        check(&[numbers], &[0, 1, 0, 2, 1]);
        let floats = [0.0, -0.0, f64::NAN, -f64::NAN, 1.5].map(Value::Double);
        check(&[column(DataType::Double, &floats)], &[0, 0, 1, 1, 2]);
    }

    #[test]
    fn long_keys_are_compared_by_their_bytes() {
        let text = |t: &str| Value::String(t.to_string());
        let strings = column(DataType::String, &[text("ab"), text("a"), text("ab"), Value::Null]);
        let others = column(DataType::String, &[text("c"), text("bc"), text("c"), text("")]);
        check(&[strings, others], &[0, 1, 0, 2]);
    }

    #[test]
    fn texts_beside_other_keys_are_numbered_whatever_their_shape() {
        let texts = ["a", "b"].map(|text| Value::String(text.to_string()));
        let plain = column(DataType::String, &[texts[0].clone(), Value::Null, texts[1].clone(), Value::Null]);
        let entries = column(DataType::String, &[Value::Null, texts[1].clone(), texts[0].clone()]);
        let codes = [2, 0, 1, 0];
        let numbers = [1, 2, 1 << 40, 2];
        let numbers = ValueVector::flat(crate::vector::Values::I64(&numbers));
        let types = [DataType::String, DataType::Int64];
        let mut table = KeyTable::new(types.to_vec());
        assert!(matches!(table.layout, Layout::Packed { .. }));
        let (mut scratch, mut groups, mut new_rows) = (KeyScratch::default(), Vec::new(), Vec::new());
        let shapes = [plain.vector(), ValueVector::dictionary(&codes, &entries)];
        let mut hashes = [Vec::new(), Vec::new()];
        for (shape, hashes) in shapes.iter().zip(&mut hashes) {
            let keys = [*shape, numbers];
            for (selection, expected) in
                [(Selection::All, &[0, 1, 2, 1][..]), (Selection::Rows(&[2, 3]), &[2, 1][..])]
            {
                table.groups(&keys, 4, selection, &mut scratch, &mut groups, &mut new_rows);
                assert_eq!(groups, expected);
                table.find(&keys, 4, selection, &mut scratch, &mut groups);
                assert_eq!(groups, expected);
            }
            table.hashes(&keys, 4, Selection::All, hashes);
        }
        assert_eq!(hashes[0], hashes[1]);
        let unknown = column(DataType::String, &[Value::String("c".to_string())]);
        table.find(&[unknown.vector(), numbers], 1, Selection::All, &mut scratch, &mut groups);
        assert_eq!(groups, [u32::MAX]);
    }

    #[test]
    fn a_single_column_of_texts_is_kept_once() {
        let long = "a text that is longer than a view holds";
        let texts =
            ["ab", long, "", "ab", long, "another text that is longer than a view"].map(|text| text.into());
        let mut values: Vec<Value> = texts.map(Value::String).to_vec();
        values.insert(3, Value::Null);
        values.push(Value::Null);
        let column = column(DataType::String, &values);
        check(&[column], &[0, 1, 2, 3, 0, 1, 4, 3]);
    }
}
