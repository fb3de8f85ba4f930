//! Single values into a buffer.

use super::buffer::for_plain;
use super::{ANY_CHILD, ANY_NULL, BufferData, Native, VectorBuffer, any_tag};
use crate::types::{DataType, TypeError, TypeResult, Value};

impl VectorBuffer {
    /// Appends `count` nulls.
    pub fn push_nulls(&mut self, count: usize) {
        self.validity.push_null(count);
        self.push_blank(count);
    }

    /// Appends a null.
    pub fn push_null(&mut self) {
        self.push_nulls(1);
    }

    /// Appends values that stand under nulls.
    pub(super) fn push_blank(&mut self, count: usize) {
        for_plain!(&mut self.data, vector => vector.resize(vector.len() + count, Default::default()),
            BufferData::Null => {}
            BufferData::Str(strings) => strings.push_empty(count),
            BufferData::List(lists) => lists.push_empty(count),
            BufferData::Struct(children) => children.iter_mut().for_each(|child| child.push_nulls(count)),
            BufferData::Union { tags, children } => {
                tags.resize(tags.len() + count, 0);
                children.iter_mut().for_each(|child| child.push_nulls(count));
            }
            BufferData::Any { tags, words, .. } => {
                tags.resize(tags.len() + count, ANY_NULL);
                words.resize(words.len() + count, [0; 16]);
            }
        );
    }

    /// Appends a value of fixed size. A buffer of another physical type is our own mistake.
    #[inline]
    pub fn push<T: Native>(&mut self, value: T) {
        match T::vector(&mut self.data) {
            Some(values) => values.push(value),
            // The caller made the buffer and knows its type: another one is our own mistake.
            None => panic!("{value:?} pushed to a buffer of {}", self.data_type),
        }
        self.validity.push_valid(1);
    }

    /// Appends values of fixed size, none of them null.
    pub fn extend<T: Native>(&mut self, new: &[T]) {
        match T::vector(&mut self.data) {
            Some(values) => values.extend_from_slice(new),
            // The caller made the buffer and knows its type: another one is our own mistake.
            None => panic!("values pushed to a buffer of {}", self.data_type),
        }
        self.validity.push_valid(new.len());
    }

    /// Appends a truth value to a BOOL buffer.
    #[inline]
    pub fn push_bool(&mut self, value: bool) {
        match &mut self.data {
            BufferData::Bool(values) => values.push(u8::from(value)),
            // The caller made the buffer and knows its type: another one is our own mistake.
            _ => panic!("a BOOL pushed to a buffer of {}", self.data_type),
        }
        self.validity.push_valid(1);
    }

    /// Appends bytes to a STRING, BLOB or JSON buffer.
    #[inline]
    pub fn push_bytes(&mut self, bytes: &[u8]) {
        match &mut self.data {
            BufferData::Str(strings) => strings.push(bytes),
            // The caller made the buffer and knows its type: another one is our own mistake.
            _ => panic!("a string pushed to a buffer of {}", self.data_type),
        }
        self.validity.push_valid(1);
    }

    /// Appends text.
    #[inline]
    pub fn push_str(&mut self, text: &str) {
        self.push_bytes(text.as_bytes());
    }

    /// Appends a value, converting it where nothing is lost (a narrower integer, an integer as a float); anything else
    /// is an error and leaves the buffer as it was.
    pub fn push_value(&mut self, value: &Value) -> TypeResult<()> {
        let rows = self.len();
        let outcome = self.try_push_value(value);
        if outcome.is_err() {
            self.unwind(rows);
        }
        outcome
    }

    /// Drops what a failed push left, in children too.
    pub(super) fn unwind(&mut self, rows: usize) {
        // Nested children may be ahead of their parent; bring the parent level first, then cut everything.
        match &mut self.data {
            BufferData::List(lists) => lists.unwind(rows),
            BufferData::Struct(children) => children.iter_mut().for_each(|child| child.unwind(rows)),
            BufferData::Union { tags, children } => {
                tags.truncate(rows);
                children.iter_mut().for_each(|child| child.unwind(rows));
            }
            _ => {}
        }
        self.validity.truncate(rows);
        for_plain!(&mut self.data, vector => vector.truncate(rows),
            BufferData::Str(strings) => strings.truncate(rows),
            BufferData::Any { tags, words, .. } => {
                tags.truncate(rows);
                words.truncate(rows);
            }
            _ => {}
        );
    }

    fn try_push_value(&mut self, value: &Value) -> TypeResult<()> {
        if value.is_null() {
            self.push_null();
            return Ok(());
        }
        let mismatch = |data_type: &DataType| TypeError::Mismatch {
            expected: data_type.clone(),
            found: value.data_type(),
        };
        if let Some(pushed) = value.as_i128().and_then(|number| self.push_integer(number)) {
            return pushed;
        }
        match (&mut self.data, value) {
            (BufferData::Bool(values), Value::Bool(value)) => values.push(u8::from(*value)),
            (BufferData::F32(values), Value::Float(value)) => values.push(*value),
            (BufferData::F64(values), Value::Double(value)) => values.push(*value),
            (BufferData::F64(values), Value::Float(value)) => values.push(f64::from(*value)),
            (BufferData::F32(values), Value::Double(value)) => values.push(*value as f32),
            (BufferData::I128(values), value) => {
                let word = wide_word(&self.data_type, value).ok_or_else(|| mismatch(&self.data_type))?;
                values.push(word);
            }
            (BufferData::I64(values), value) => {
                let word = word(&self.data_type, value).ok_or_else(|| mismatch(&self.data_type))?;
                values.push(word);
            }
            (BufferData::U64(values), Value::Id(id)) => values.push(id.0),
            (BufferData::U64(values), Value::Node(node)) => values.push(node.id.0),
            (BufferData::U64(values), Value::Rel(rel)) => values.push(rel.id.0),
            (BufferData::Str(strings), Value::Blob(bytes)) if self.data_type == DataType::Blob => {
                strings.push(bytes)
            }
            (BufferData::Str(strings), Value::String(text)) if self.data_type != DataType::Blob => {
                strings.push(text.as_bytes());
            }
            (BufferData::Str(strings), Value::Json(text)) if self.data_type != DataType::Blob => {
                strings.push(text.as_bytes());
            }
            (BufferData::Time(values), Value::Time(value)) => values.push(*value),
            (BufferData::Interval(values), Value::Interval(value)) => values.push(*value),
            (BufferData::Zoned(values), Value::DateTime(value)) => values.push(*value),
            (BufferData::List(_) | BufferData::Struct(_) | BufferData::Union { .. }, _) => {
                return self.push_nested(value);
            }
            (BufferData::Any { .. }, _) => return self.push_any(value),
            _ => return Err(mismatch(&self.data_type)),
        }
        self.validity.push_valid(1);
        Ok(())
    }

    /// Pushes an integer into a numeric buffer; none if the buffer is not numeric.
    fn push_integer(&mut self, number: i128) -> Option<TypeResult<()>> {
        let data_type = &self.data_type;
        macro_rules! narrow {
            ($values:expr) => {
                match number.try_into() {
                    Ok(value) => $values.push(value),
                    Err(_) => return Some(Err(TypeError::out_of_range(data_type, number))),
                }
            };
        }
        match (&mut self.data, data_type) {
            (BufferData::I8(values), _) => narrow!(values),
            (BufferData::I16(values), _) => narrow!(values),
            (BufferData::I32(values), _) => narrow!(values),
            (BufferData::I64(values), DataType::Int64 | DataType::Serial) => narrow!(values),
            (BufferData::I128(values), DataType::Int128) => values.push(number),
            (BufferData::I128(values), DataType::Decimal { precision, scale }) => {
                match crate::types::decimal::from_integer(number, *precision, *scale) {
                    Some(value) => values.push(value),
                    None => return Some(Err(TypeError::out_of_range(data_type, number))),
                }
            }
            (BufferData::U8(values), _) => narrow!(values),
            (BufferData::U16(values), _) => narrow!(values),
            (BufferData::U32(values), _) => narrow!(values),
            (BufferData::U64(values), _) => narrow!(values),
            (BufferData::F32(values), _) => values.push(number as f32),
            (BufferData::F64(values), _) => values.push(number as f64),
            _ => return None,
        }
        self.validity.push_valid(1);
        Some(Ok(()))
    }

    fn push_nested(&mut self, value: &Value) -> TypeResult<()> {
        let mismatch = TypeError::Mismatch { expected: self.data_type.clone(), found: value.data_type() };
        match (&mut self.data, &self.data_type, value) {
            (BufferData::List(lists), data_type, Value::List(elements)) => {
                if matches!(data_type, DataType::Array(_, length) if elements.len() != *length as usize) {
                    return Err(mismatch);
                }
                let (ends, child) = lists.parts_mut();
                elements.iter().try_for_each(|element| child.try_push_value(element))?;
                ends.push(child.len() as u32);
                lists.finish();
            }
            (BufferData::List(lists), DataType::Map(..), Value::Map(entries)) => {
                let (ends, child) = lists.parts_mut();
                let members = child.members_mut().ok_or(mismatch)?;
                for (key, entry) in entries {
                    members[0].try_push_value(key)?;
                    members[1].try_push_value(entry)?;
                }
                child.validity.push_valid(entries.len());
                ends.push(child.len() as u32);
                lists.finish();
            }
            (BufferData::Struct(members), DataType::Struct(fields), Value::Struct(given)) => {
                let known = |name: &str| fields.iter().any(|field| field.name.eq_ignore_ascii_case(name));
                if given.len() > fields.len() || !given.iter().all(|(name, _)| known(name)) {
                    return Err(mismatch);
                }
                for (field, member) in fields.iter().zip(members) {
                    let found = given.iter().find(|(name, _)| name.eq_ignore_ascii_case(&field.name));
                    member.try_push_value(found.map_or(&Value::Null, |(_, value)| value))?;
                }
            }
            (BufferData::Struct(members), DataType::Path, Value::Path(path)) => {
                let nodes = path.nodes.iter().map(|node| Value::Id(node.id)).collect();
                let rels = path.rels.iter().map(|rel| Value::Rel(Box::new(rel.clone()))).collect();
                members[0].try_push_value(&Value::List(nodes))?;
                members[1].try_push_value(&Value::List(rels))?;
            }
            (BufferData::Union { tags, children }, DataType::Union(fields), value) => {
                let (position, inner) = union_member(fields, value).ok_or(mismatch)?;
                for (number, child) in children.iter_mut().enumerate() {
                    child.try_push_value(if number == position { inner } else { &Value::Null })?;
                }
                tags.push(position as u8);
            }
            _ => return Err(mismatch),
        }
        self.validity.push_valid(1);
        Ok(())
    }

    fn push_any(&mut self, value: &Value) -> TypeResult<()> {
        let data_type = value.data_type();
        let word = match any_tag(&data_type) {
            Some(tag) => {
                let BufferData::Any { tags, words, text, .. } = &mut self.data else { return Ok(()) };
                words.push(any_word(value, |bytes| text.intern(bytes).to_bytes()));
                tags.push(tag);
                None
            }
            None => Some(self.any_child(&data_type)),
        };
        if let (Some(number), BufferData::Any { tags, words, children, .. }) = (word, &mut self.data) {
            let row = children[number].len();
            children[number].push_value(value)?;
            words.push(child_word(number, row));
            tags.push(ANY_CHILD);
        }
        self.validity.push_valid(1);
        Ok(())
    }

    /// The number of the ANY buffer's child of a type, which is made if there is none.
    pub(super) fn any_child(&mut self, data_type: &DataType) -> usize {
        let BufferData::Any { children, .. } = &mut self.data else { return 0 };
        children.iter().position(|child| child.data_type == *data_type).unwrap_or_else(|| {
            children.push(VectorBuffer::new(data_type.clone()));
            children.len() - 1
        })
    }
}

/// The word that names a row of a child.
pub(super) fn child_word(child: usize, row: usize) -> [u8; 16] {
    let mut word = [0; 16];
    word[..4].copy_from_slice(&(child as u32).to_le_bytes());
    word[4..8].copy_from_slice(&(row as u32).to_le_bytes());
    word
}

/// The word of a value whose type has a tag.
fn any_word(value: &Value, mut intern: impl FnMut(&[u8]) -> [u8; 16]) -> [u8; 16] {
    if let Some(number) = value.as_i128() {
        return number.to_le_bytes();
    }
    match value {
        Value::Bool(value) => i128::from(*value).to_le_bytes(),
        Value::Float(value) => i128::from(value.to_bits()).to_le_bytes(),
        Value::Double(value) => i128::from(value.to_bits()).to_le_bytes(),
        Value::String(text) | Value::Json(text) => intern(text.as_bytes()),
        Value::Blob(bytes) => intern(bytes),
        Value::Uuid(value) | Value::LocalDateTime(value) => value.to_le_bytes(),
        Value::Date(value)
        | Value::LocalTime(value)
        | Value::Timestamp(_, value)
        | Value::TimestampTz(value) => i128::from(*value).to_le_bytes(),
        Value::Time(time) => time_word(time),
        Value::Node(node) => i128::from(node.id.0).to_le_bytes(),
        Value::Id(id) => i128::from(id.0).to_le_bytes(),
        // The other types have no tag.
        _ => [0; 16],
    }
}

pub(super) fn time_word(time: &crate::types::Time) -> [u8; 16] {
    let mut word = [0; 16];
    word[..8].copy_from_slice(&time.nanos.to_le_bytes());
    word[8..12].copy_from_slice(&time.offset_seconds.to_le_bytes());
    word
}

fn wide_word(data_type: &DataType, value: &Value) -> Option<i128> {
    match (data_type, value) {
        (DataType::Decimal { precision, scale }, Value::Decimal(number, _, from)) => {
            crate::types::decimal::rescale_exact(*number, *from, *precision, *scale)
        }
        (DataType::Uuid, Value::Uuid(value)) | (DataType::LocalDateTime, Value::LocalDateTime(value)) => {
            Some(*value)
        }
        _ => None,
    }
}

fn word(data_type: &DataType, value: &Value) -> Option<i64> {
    match (data_type, value) {
        (DataType::Date, Value::Date(value))
        | (DataType::LocalTime, Value::LocalTime(value))
        | (DataType::TimestampTz, Value::TimestampTz(value)) => Some(*value),
        (DataType::Timestamp(unit), Value::Timestamp(from, value)) if unit == from => Some(*value),
        _ => None,
    }
}

/// The member that a value goes to: the named one, or the first whose type is the value's.
fn union_member<'v>(fields: &[crate::types::Field], value: &'v Value) -> Option<(usize, &'v Value)> {
    match value {
        Value::Union(name, inner) => {
            let position = fields.iter().position(|field| field.name.eq_ignore_ascii_case(name))?;
            Some((position, inner))
        }
        _ => {
            let data_type = value.data_type();
            let position = fields.iter().position(|field| field.data_type == data_type)?;
            Some((position, value))
        }
    }
}
