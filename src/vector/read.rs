//! Single values out of a vector.

use super::values::text_of;
use super::{
    ANY_CHILD, ANY_NULL, AnyVector, Children, ListVector, NativeReader, Shape, ValueVector, Values, any_type,
};
use crate::types::{DataType, GlobalId, NodeValue, PathValue, RelValue, Time, Value};

impl<'b> ValueVector<'b> {
    /// The value of a row of a vector of `data_type`. Nodes and relationships carry their ids only.
    pub fn value(&self, row: usize, data_type: &DataType) -> Value {
        if !self.validity.is_valid(row) {
            return Value::Null;
        }
        match &self.shape {
            Shape::Flat(values) => value_at(values, row, data_type),
            Shape::Constant(values) => value_at(values, 0, data_type),
            Shape::Dictionary { codes, values } => values.get().value(codes[row] as usize, data_type),
            Shape::Sequence { .. } | Shape::Offsets { .. } => {
                let reader: Option<NativeReader<'_, u64>> = self.native_reader();
                reader.map_or(Value::Null, |reader| unsigned(reader.get(row), data_type))
            }
        }
    }

    /// The bytes of a row of a STRING, BLOB or JSON vector; none for a null or another type.
    pub fn bytes_at(&self, row: usize) -> Option<&'b [u8]> {
        if !self.validity.is_valid(row) {
            return None;
        }
        match self.shape {
            Shape::Flat(Values::Str(strings)) => Some(strings.bytes(row)),
            Shape::Constant(Values::Str(strings)) => Some(strings.bytes(0)),
            Shape::Dictionary { codes, values } => values.get().bytes_at(codes[row] as usize),
            _ => None,
        }
    }

    /// The text of a row of a STRING or JSON vector; none for a null or another type.
    pub fn text_at(&self, row: usize) -> Option<&'b str> {
        self.bytes_at(row).map(text_of)
    }

    /// The truth of a row of a BOOL vector; none for a null or another type.
    pub fn bool_at(&self, row: usize) -> Option<bool> {
        if !self.validity.is_valid(row) {
            return None;
        }
        match &self.shape {
            Shape::Flat(Values::Bool(values)) => Some(values[row] != 0),
            Shape::Constant(Values::Bool(values)) => values.first().map(|value| *value != 0),
            Shape::Dictionary { codes, values } => values.get().bool_at(codes[row] as usize),
            Shape::Flat(Values::Any(any)) => bool_of(any_value(any, row)),
            Shape::Constant(Values::Any(any)) if !any.tags.is_empty() => bool_of(any_value(any, 0)),
            _ => None,
        }
    }

    /// The id or offset in a row of a U64 vector; none for a null or another type.
    pub fn u64_at(&self, row: usize) -> Option<u64> {
        if self.is_null(row) { None } else { self.native_reader::<u64>().map(|reader| reader.get(row)) }
    }
}

fn bool_of(value: Value) -> Option<bool> {
    match value {
        Value::Bool(truth) => Some(truth),
        _ => None,
    }
}

fn unsigned(number: u64, data_type: &DataType) -> Value {
    match data_type {
        DataType::Node => Value::Node(Box::new(NodeValue { id: GlobalId(number), ..NodeValue::default() })),
        DataType::Rel => Value::Rel(Box::new(RelValue { id: GlobalId(number), ..RelValue::default() })),
        DataType::Id => Value::Id(GlobalId(number)),
        _ => Value::UInt64(number),
    }
}

fn value_at(values: &Values<'_>, row: usize, data_type: &DataType) -> Value {
    match values {
        Values::Null => Value::Null,
        Values::Bool(values) => Value::Bool(values[row] != 0),
        Values::I8(values) => Value::Int8(values[row]),
        Values::I16(values) => Value::Int16(values[row]),
        Values::I32(values) => Value::Int32(values[row]),
        Values::I64(values) => signed(values[row], data_type),
        Values::I128(values) => wide(values[row], data_type),
        Values::U8(values) => Value::UInt8(values[row]),
        Values::U16(values) => Value::UInt16(values[row]),
        Values::U32(values) => Value::UInt32(values[row]),
        Values::U64(values) => unsigned(values[row], data_type),
        Values::F32(values) => Value::Float(values[row]),
        Values::F64(values) => Value::Double(values[row]),
        Values::Str(strings) => string(strings.bytes(row), data_type),
        Values::Time(values) => Value::Time(values[row]),
        Values::Interval(values) => Value::Interval(values[row]),
        Values::Zoned(values) => Value::DateTime(values[row]),
        Values::List(lists) => list(lists, row, data_type),
        Values::Struct(children) => structure(children, row, data_type),
        Values::Union { tags, children } => union(tags[row], children, row, data_type),
        Values::Any(any) => any_value(any, row),
    }
}

fn signed(number: i64, data_type: &DataType) -> Value {
    match data_type {
        DataType::Date => Value::Date(number),
        DataType::LocalTime => Value::LocalTime(number),
        DataType::Timestamp(unit) => Value::Timestamp(*unit, number),
        DataType::TimestampTz => Value::TimestampTz(number),
        _ => Value::Int64(number),
    }
}

fn wide(number: i128, data_type: &DataType) -> Value {
    match data_type {
        DataType::Decimal { precision, scale } => Value::Decimal(number, *precision, *scale),
        DataType::Uuid => Value::Uuid(number),
        DataType::LocalDateTime => Value::LocalDateTime(number),
        _ => Value::Int128(number),
    }
}

fn string(bytes: &[u8], data_type: &DataType) -> Value {
    match data_type {
        DataType::Blob => Value::Blob(bytes.to_vec()),
        DataType::Json => Value::Json(text_of(bytes).to_owned()),
        _ => Value::String(text_of(bytes).to_owned()),
    }
}

fn list(lists: &ListVector<'_>, row: usize, data_type: &DataType) -> Value {
    let (start, end) = lists.range(row);
    let child = lists.child.get();
    match data_type {
        DataType::Map(key, value) => {
            let entry = |row| match child.values() {
                Some(Values::Struct(members)) => {
                    (members.get(0).value(row, key), members.get(1).value(row, value))
                }
                _ => (Value::Null, Value::Null),
            };
            Value::Map((start..end).map(entry).collect())
        }
        _ => {
            let element = data_type.element().unwrap_or(&DataType::Null);
            Value::List((start..end).map(|row| child.value(row, element)).collect())
        }
    }
}

fn structure(children: &Children<'_>, row: usize, data_type: &DataType) -> Value {
    match data_type {
        DataType::Struct(fields) => {
            let member = |(position, field): (usize, &crate::types::Field)| {
                (field.name.clone(), children.get(position).value(row, &field.data_type))
            };
            Value::Struct(fields.iter().enumerate().map(member).collect())
        }
        DataType::Path => {
            let nodes = children.get(0).value(row, &DataType::list(DataType::Node));
            let rels = children.get(1).value(row, &DataType::list(DataType::Rel));
            Value::Path(Box::new(path(nodes, rels)))
        }
        _ => Value::Null,
    }
}

fn path(nodes: Value, rels: Value) -> PathValue {
    let mut path = PathValue::default();
    if let Value::List(nodes) = nodes {
        path.nodes.extend(nodes.into_iter().filter_map(|node| match node {
            Value::Node(node) => Some(*node),
            _ => None,
        }));
    }
    if let Value::List(rels) = rels {
        path.rels.extend(rels.into_iter().filter_map(|rel| match rel {
            Value::Rel(rel) => Some(*rel),
            _ => None,
        }));
    }
    path
}

fn union(tag: u8, children: &Children<'_>, row: usize, data_type: &DataType) -> Value {
    match data_type.fields().and_then(|fields| fields.get(usize::from(tag))) {
        Some(field) => {
            let value = children.get(usize::from(tag)).value(row, &field.data_type);
            Value::Union(field.name.clone(), Box::new(value))
        }
        None => Value::Null,
    }
}

/// The value of an ANY row.
fn any_value(any: &AnyVector<'_>, row: usize) -> Value {
    let tag = any.tags[row];
    if tag == ANY_NULL {
        return Value::Null;
    }
    if tag == ANY_CHILD {
        let (child, child_row) = any.child(row);
        let (data_type, vector) = any.children.get(child);
        return vector.value(child_row, data_type);
    }
    let Some(data_type) = any_type(tag) else { return Value::Null };
    let word = any.words[row];
    let wide = i128::from_le_bytes(word);
    // A word holds exactly a value of its tag's type, so that cutting it down loses nothing.
    match &data_type {
        DataType::Bool => Value::Bool(wide != 0),
        DataType::Int8 => Value::Int8(wide as i8),
        DataType::Int16 => Value::Int16(wide as i16),
        DataType::Int32 => Value::Int32(wide as i32),
        DataType::Int128 | DataType::Uuid | DataType::LocalDateTime => self::wide(wide, &data_type),
        DataType::UInt8 => Value::UInt8(wide as u8),
        DataType::UInt16 => Value::UInt16(wide as u16),
        DataType::UInt32 => Value::UInt32(wide as u32),
        DataType::UInt64 | DataType::Node | DataType::Id => unsigned(wide as u64, &data_type),
        DataType::Float => Value::Float(f32::from_bits(wide as u32)),
        DataType::Double => Value::Double(f64::from_bits(wide as u64)),
        DataType::String | DataType::Blob | DataType::Json => string(any.bytes(row), &data_type),
        DataType::Time => Value::Time(time(word)),
        _ => signed(wide as i64, &data_type),
    }
}

fn time(word: [u8; 16]) -> Time {
    let wide = u128::from_le_bytes(word);
    Time { nanos: wide as u64 as i64, offset_seconds: (wide >> 64) as u32 as i32 }
}
