//! Rows of other vectors into a buffer.

use super::buffer_push::{child_word, time_word};
use super::{
    ANY_CHILD, AnyVector, BufferData, ListVector, Selection, Shape, StringVector, ValueVector, Values,
    VectorBuffer, any_tag,
};
use crate::types::DataType;

/// Where the rows come from, so that each copy is one loop.
#[derive(Clone, Copy)]
pub(super) enum Rows<'r> {
    Range { start: usize, length: usize },
    List(&'r [u32]),
    Repeat { row: usize, count: usize },
}

impl Rows<'_> {
    pub(super) fn len(&self) -> usize {
        match self {
            Rows::Range { length, .. } => *length,
            Rows::List(rows) => rows.len(),
            Rows::Repeat { count, .. } => *count,
        }
    }

    pub(super) fn get(&self, position: usize) -> usize {
        match self {
            Rows::Range { start, .. } => start + position,
            Rows::List(rows) => rows[position] as usize,
            Rows::Repeat { row, .. } => *row,
        }
    }

    fn copy<T: Copy>(&self, from: &[T], to: &mut Vec<T>) {
        match self {
            Rows::Range { start, length } => to.extend_from_slice(&from[*start..*start + *length]),
            Rows::List(rows) => to.extend(rows.iter().map(|row| from[*row as usize])),
            Rows::Repeat { row, count } => to.resize(to.len() + count, from[*row]),
        }
    }
}

impl VectorBuffer {
    /// Appends the selected rows among the first `length` of a vector of the same type.
    pub fn append(&mut self, vector: &ValueVector<'_>, length: usize, selection: Selection<'_>) {
        if selection.is_all() {
            return self.append_range(vector, 0, length);
        }
        let mut rows = std::mem::take(&mut self.scratch);
        rows.clear();
        selection.indices(length, &mut rows);
        self.append_rows(vector, &rows);
        self.scratch = rows;
    }

    /// Appends the rows `start..start + length` of a vector of the same type.
    pub fn append_range(&mut self, vector: &ValueVector<'_>, start: usize, length: usize) {
        self.append_from(vector, Rows::Range { start, length });
    }

    /// Appends the listed rows, in any order and any number of times.
    pub fn append_rows(&mut self, vector: &ValueVector<'_>, rows: &[u32]) {
        self.append_from(vector, Rows::List(rows));
    }

    /// Appends one row.
    pub fn append_row(&mut self, vector: &ValueVector<'_>, row: usize) {
        self.append_from(vector, Rows::Range { start: row, length: 1 });
    }

    /// Appends one row `count` times.
    pub fn append_repeated(&mut self, vector: &ValueVector<'_>, row: usize, count: usize) {
        self.append_from(vector, Rows::Repeat { row, count });
    }

    fn append_from(&mut self, vector: &ValueVector<'_>, rows: Rows<'_>) {
        if rows.len() == 0 {
            return;
        }
        match vector.shape {
            _ if matches!(vector.validity, super::Validity::AllNull) => self.push_nulls(rows.len()),
            Shape::Flat(Values::Null) | Shape::Constant(Values::Null) => self.push_nulls(rows.len()),
            Shape::Flat(values) => {
                self.append_validity(vector, rows);
                self.append_values(vector, values, rows);
            }
            Shape::Constant(values) => {
                self.append_validity(vector, rows);
                self.append_values(vector, values, Rows::Repeat { row: 0, count: rows.len() });
            }
            Shape::Dictionary { codes, values } => self.append_codes(vector, codes, &values.get(), rows),
            Shape::Sequence { start } => {
                self.append_validity(vector, rows);
                self.append_ids(rows, |row| start + row as u64);
            }
            Shape::Offsets { base, offsets } => {
                self.append_validity(vector, rows);
                self.append_ids(rows, |row| base + u64::from(offsets[row]));
            }
        }
    }

    fn append_ids(&mut self, rows: Rows<'_>, id: impl Fn(usize) -> u64) {
        match &mut self.data {
            BufferData::U64(values) => values.extend((0..rows.len()).map(|position| id(rows.get(position)))),
            // The caller made the buffer and knows its type: another one is our own mistake.
            _ => panic!("ids appended to a buffer of {}", self.data_type),
        }
    }

    fn append_codes(
        &mut self,
        vector: &ValueVector<'_>,
        codes: &[u32],
        values: &ValueVector<'_>,
        rows: Rows<'_>,
    ) {
        if vector.validity.is_all_valid() {
            return match rows {
                Rows::Range { start, length } => self.append_rows(values, &codes[start..start + length]),
                Rows::Repeat { row, count } => self.append_repeated(values, codes[row] as usize, count),
                Rows::List(rows) => {
                    let mut composed = std::mem::take(&mut self.scratch);
                    // A caller's rows may be our own scratch, which it has taken; then this one is a fresh vector.
                    composed.clear();
                    composed.extend(rows.iter().map(|row| codes[*row as usize]));
                    self.append_rows(values, &composed);
                    self.scratch = composed;
                }
            };
        }
        for position in 0..rows.len() {
            let row = rows.get(position);
            if vector.validity.is_valid(row) {
                self.append_row(values, codes[row] as usize);
            } else {
                self.push_null();
            }
        }
    }

    fn append_validity(&mut self, vector: &ValueVector<'_>, rows: Rows<'_>) {
        match rows {
            _ if vector.validity.is_all_valid() => self.validity.push_valid(rows.len()),
            Rows::Range { start, length } => self.validity.extend(vector.validity.slice(start), length),
            _ => (0..rows.len()).for_each(|position| {
                self.validity.push(vector.validity.is_valid(rows.get(position)));
            }),
        }
    }

    /// Appends values only; their validity has been appended already.
    fn append_values(&mut self, vector: &ValueVector<'_>, values: Values<'_>, rows: Rows<'_>) {
        match (&mut self.data, values) {
            (BufferData::Bool(to), Values::Bool(from)) | (BufferData::U8(to), Values::U8(from)) => {
                rows.copy(from, to)
            }
            (BufferData::I8(to), Values::I8(from)) => rows.copy(from, to),
            (BufferData::I16(to), Values::I16(from)) => rows.copy(from, to),
            (BufferData::I32(to), Values::I32(from)) => rows.copy(from, to),
            (BufferData::I64(to), Values::I64(from)) => rows.copy(from, to),
            (BufferData::I128(to), Values::I128(from)) => rows.copy(from, to),
            (BufferData::U16(to), Values::U16(from)) => rows.copy(from, to),
            (BufferData::U32(to), Values::U32(from)) => rows.copy(from, to),
            (BufferData::U64(to), Values::U64(from)) => rows.copy(from, to),
            (BufferData::F32(to), Values::F32(from)) => rows.copy(from, to),
            (BufferData::F64(to), Values::F64(from)) => rows.copy(from, to),
            (BufferData::Time(to), Values::Time(from)) => rows.copy(from, to),
            (BufferData::Interval(to), Values::Interval(from)) => rows.copy(from, to),
            (BufferData::Zoned(to), Values::Zoned(from)) => rows.copy(from, to),
            (BufferData::Str(_), Values::Str(from)) => self.append_strings(&from, rows),
            (BufferData::List(_), Values::List(from)) => self.append_lists(vector, &from, rows),
            (BufferData::Struct(to), Values::Struct(from)) => {
                for (position, child) in to.iter_mut().enumerate() {
                    child.append_from(&from.get(position), rows);
                }
            }
            (BufferData::Union { tags, children }, Values::Union { tags: from_tags, children: from }) => {
                rows.copy(from_tags, tags);
                for (position, child) in children.iter_mut().enumerate() {
                    child.append_from(&from.get(position), rows);
                }
            }
            (BufferData::Any { .. }, Values::Any(from)) => self.append_any(&from, rows),
            (_, values) => {
                // The caller made the buffer and knows its type: another one is our own mistake.
                panic!("values of {:?} appended to a buffer of {}", values.physical(), self.data_type)
            }
        }
    }

    fn append_strings(&mut self, from: &StringVector<'_>, rows: Rows<'_>) {
        let BufferData::Str(to) = &mut self.data else { return };
        match rows {
            Rows::Range { start, length } => to.extend(from, start..start + length),
            Rows::List(rows) => to.extend(from, rows.iter().map(|row| *row as usize)),
            Rows::Repeat { row, count } => to.push_repeated(from.bytes(row), count),
        }
    }

    fn append_lists(&mut self, vector: &ValueVector<'_>, from: &ListVector<'_>, rows: Rows<'_>) {
        let BufferData::List(lists) = &mut self.data else { return };
        let constant = matches!(vector.shape, Shape::Constant(_));
        // The validity of a constant is per row of the vector, its value is row 0; a constant null keeps a value
        // that nobody reads.
        let valid = |row: usize| constant || vector.validity.is_valid(row);
        lists.append(from, rows, constant || vector.validity.is_all_valid(), valid);
    }

    fn append_any(&mut self, from: &AnyVector<'_>, rows: Rows<'_>) {
        for position in 0..rows.len() {
            let row = rows.get(position);
            let tag = from.tags[row];
            let is_text =
                matches!(super::any_type(tag), Some(DataType::String | DataType::Blob | DataType::Json));
            let word = if tag == ANY_CHILD {
                let (number, source_row) = from.child(row);
                let (data_type, source) = from.children.get(number);
                let number = self.any_child(data_type);
                let BufferData::Any { children, .. } = &mut self.data else { return };
                let target = children[number].len();
                children[number].append_row(&source, source_row);
                child_word(number, target)
            } else if is_text {
                let BufferData::Any { text, .. } = &mut self.data else { return };
                text.intern(from.bytes(row)).to_bytes()
            } else {
                from.words[row]
            };
            self.push_any_word(tag, word);
        }
    }

    fn push_any_word(&mut self, tag: u8, word: [u8; 16]) {
        if let BufferData::Any { tags, words, .. } = &mut self.data {
            tags.push(tag);
            words.push(word);
        }
    }

    /// Appends the selected rows of a vector of `data_type` to this ANY buffer (or plainly, where the types agree).
    pub fn append_as(
        &mut self,
        vector: &ValueVector<'_>,
        data_type: &DataType,
        length: usize,
        selection: Selection<'_>,
    ) {
        if self.data_type != DataType::Any || *data_type == DataType::Any {
            return self.append(vector, length, selection);
        }
        let mut rows = Vec::new();
        selection.indices(length, &mut rows);
        let mut flat = VectorBuffer::new(data_type.clone());
        flat.append_rows(vector, &rows);
        let validity = flat.vector().validity;
        let tag = any_tag(data_type);
        let child = if tag.is_none() { self.any_child(data_type) } else { 0 };
        for row in 0..rows.len() {
            if !validity.is_valid(row) {
                self.push_null();
                continue;
            }
            let BufferData::Any { text, children, .. } = &mut self.data else { return };
            let (tag, word) = match tag {
                Some(tag) => (tag, row_word(&flat.values(), row, |bytes| text.intern(bytes).to_bytes())),
                None => {
                    let target = children[child].len();
                    children[child].append_row(&flat.vector(), row);
                    (ANY_CHILD, child_word(child, target))
                }
            };
            self.push_any_word(tag, word);
            self.validity.push_valid(1);
        }
    }
}

/// The ANY word of one row of a type that has a tag.
fn row_word(values: &Values<'_>, row: usize, mut intern: impl FnMut(&[u8]) -> [u8; 16]) -> [u8; 16] {
    match values {
        Values::Bool(values) | Values::U8(values) => i128::from(values[row]).to_le_bytes(),
        Values::I8(values) => i128::from(values[row]).to_le_bytes(),
        Values::I16(values) => i128::from(values[row]).to_le_bytes(),
        Values::I32(values) => i128::from(values[row]).to_le_bytes(),
        Values::I64(values) => i128::from(values[row]).to_le_bytes(),
        Values::I128(values) => values[row].to_le_bytes(),
        Values::U16(values) => i128::from(values[row]).to_le_bytes(),
        Values::U32(values) => i128::from(values[row]).to_le_bytes(),
        Values::U64(values) => i128::from(values[row]).to_le_bytes(),
        Values::F32(values) => i128::from(values[row].to_bits()).to_le_bytes(),
        Values::F64(values) => i128::from(values[row].to_bits()).to_le_bytes(),
        Values::Str(strings) => intern(strings.bytes(row)),
        Values::Time(values) => time_word(&values[row]),
        _ => [0; 16],
    }
}
