//! One column of a field table to values of its type.
//!
//! The frequent types have a loop from bytes to the column that allocates nothing; every other type, and every
//! text that the short loops do not take, goes through the parsers of `types`.

use crate::types::{DataType, TimestampUnit, TypeError, TypeResult, Value};
use crate::vector::{Native, Validity, VectorBuffer};

use super::options::{CsvOptions, Dialect};
use super::tokenizer::{Field, FieldTable, unescape};
use super::{cell, number};

/// The fields of one column in one batch.
pub(super) struct Cells<'c> {
    pub(super) bytes: &'c [u8],
    pub(super) dialect: &'c Dialect,
    pub(super) table: &'c FieldTable,
    pub(super) column: usize,
    /// Whether the first bad value ends the work.
    pub(super) stop: bool,
}

/// A text that is no value of its column.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct ValueFault {
    /// The row of the batch.
    pub(super) row: usize,
    pub(super) column: usize,
    pub(super) reason: String,
}

/// Which unquoted texts are NULL.
#[derive(Debug, Clone)]
enum NullTexts {
    /// The empty one only.
    Empty,
    Listed(Vec<Vec<u8>>),
}

impl NullTexts {
    #[inline]
    fn contains(&self, bytes: &[u8], field: Field) -> bool {
        match self {
            NullTexts::Empty => field.is_empty_unquoted(),
            NullTexts::Listed(texts) => {
                !field.is_quoted() && texts.iter().any(|text| bytes.get(field.range()) == Some(text))
            }
        }
    }
}

/// Converts one column.
pub(super) struct Converter {
    data_type: DataType,
    null_texts: NullTexts,
    list_unbraced: bool,
    /// Rows of the batch that are null.
    nulls: Vec<usize>,
}

impl Converter {
    pub(super) fn new(data_type: &DataType, options: &CsvOptions) -> Self {
        let null_texts = match options.null_strings.as_slice() {
            [only] if only.is_empty() => NullTexts::Empty,
            texts => NullTexts::Listed(texts.iter().map(|text| text.clone().into_bytes()).collect()),
        };
        let list_unbraced =
            options.list_unbraced && matches!(data_type, DataType::List(_) | DataType::Array(..));
        Converter { data_type: data_type.clone(), null_texts, list_unbraced, nulls: Vec::new() }
    }

    /// Appends one value per row of the batch. Where a text is no value, a default stands and a fault tells it.
    pub(super) fn append(
        &mut self,
        cells: &Cells<'_>,
        unescaped: &mut Vec<u8>,
        buffer: &mut VectorBuffer,
        faults: &mut Vec<ValueFault>,
    ) {
        macro_rules! integers {
            ($native:ty) => {
                self.natives::<$native>(
                    cells,
                    unescaped,
                    buffer,
                    faults,
                    |bytes, start, end| {
                        number::integer(bytes, start, end).and_then(|value| value.try_into().ok())
                    },
                    |value| value.as_i128().and_then(|value| value.try_into().ok()),
                )
            };
        }
        match &self.data_type {
            DataType::Int8 => integers!(i8),
            DataType::Int16 => integers!(i16),
            DataType::Int32 => integers!(i32),
            DataType::Int64 | DataType::Serial => integers!(i64),
            DataType::Int128 => integers!(i128),
            DataType::UInt8 => integers!(u8),
            DataType::UInt16 => integers!(u16),
            DataType::UInt32 => integers!(u32),
            DataType::UInt64 => integers!(u64),
            DataType::Double => self.doubles(cells, unescaped, buffer, faults),
            DataType::Float => self.floats(cells, unescaped, buffer, faults),
            DataType::Date => self.dates(cells, unescaped, buffer, faults),
            DataType::Timestamp(unit) => self.timestamps(*unit, cells, unescaped, buffer, faults),
            DataType::Bool => self.bools(cells, unescaped, buffer, faults),
            DataType::String => self.strings(cells, unescaped, buffer),
            _ => self.others(cells, unescaped, buffer, faults),
        }
    }

    fn doubles(
        &mut self,
        cells: &Cells<'_>,
        unescaped: &mut Vec<u8>,
        buffer: &mut VectorBuffer,
        faults: &mut Vec<ValueFault>,
    ) {
        let fast = |bytes: &[u8], start, end| {
            float_text(bytes, start, end).and_then(|text| fast_float2::parse::<f64, _>(text).ok())
        };
        self.natives::<f64>(cells, unescaped, buffer, faults, fast, Value::as_f64);
    }

    fn floats(
        &mut self,
        cells: &Cells<'_>,
        unescaped: &mut Vec<u8>,
        buffer: &mut VectorBuffer,
        faults: &mut Vec<ValueFault>,
    ) {
        let fast = |bytes: &[u8], start, end| {
            float_text(bytes, start, end).and_then(|text| fast_float2::parse::<f32, _>(text).ok())
        };
        let slow = |value: &Value| match value {
            Value::Float(value) => Some(*value),
            _ => None,
        };
        self.natives::<f32>(cells, unescaped, buffer, faults, fast, slow);
    }

    fn dates(
        &mut self,
        cells: &Cells<'_>,
        unescaped: &mut Vec<u8>,
        buffer: &mut VectorBuffer,
        faults: &mut Vec<ValueFault>,
    ) {
        let slow = |value: &Value| match value {
            Value::Date(days) => Some(*days),
            _ => None,
        };
        let fast = |bytes: &[u8], start, end| number::date(bytes.get(start..end)?);
        self.natives::<i64>(cells, unescaped, buffer, faults, fast, slow);
    }

    fn timestamps(
        &mut self,
        unit: TimestampUnit,
        cells: &Cells<'_>,
        unescaped: &mut Vec<u8>,
        buffer: &mut VectorBuffer,
        faults: &mut Vec<ValueFault>,
    ) {
        let slow = |value: &Value| match value {
            Value::Timestamp(_, value) => Some(*value),
            _ => None,
        };
        if unit == TimestampUnit::Us {
            let fast = |bytes: &[u8], start, end| number::timestamp_micros(bytes.get(start..end)?);
            self.natives::<i64>(cells, unescaped, buffer, faults, fast, slow);
        } else {
            self.natives::<i64>(cells, unescaped, buffer, faults, |_, _, _| None, slow);
        }
    }

    /// The loop of the types of fixed size: `fast` takes what it can, `slow` the value of the general parser.
    fn natives<T: Native>(
        &mut self,
        cells: &Cells<'_>,
        unescaped: &mut Vec<u8>,
        buffer: &mut VectorBuffer,
        faults: &mut Vec<ValueFault>,
        fast: impl Fn(&[u8], usize, usize) -> Option<T>,
        slow: impl Fn(&Value) -> Option<T>,
    ) {
        let (rows, before) = (cells.table.rows(), buffer.len());
        self.nulls.clear();
        let mut nulls = std::mem::take(&mut self.nulls);
        let this = &*self;
        let filled = buffer.fill::<T, std::convert::Infallible>(rows, Validity::AllValid, |values| {
            values.reserve(rows);
            for (row, field) in cells.table.column(cells.column).enumerate() {
                let range = field.range();
                let value = match fast(cells.bytes, range.start, range.end) {
                    Some(value) if !field.is_escaped() => value,
                    _ if this.null_texts.contains(cells.bytes, field) => {
                        nulls.push(row);
                        T::default()
                    }
                    _ => match this.parse(cells, field, unescaped).map(|value| slow(&value)) {
                        Ok(Some(value)) => value,
                        outcome => {
                            faults.push(this.fault(cells, row, outcome.err()));
                            if cells.stop {
                                break;
                            }
                            T::default()
                        }
                    },
                };
                values.push(value);
            }
            Ok(())
        });
        debug_assert!(filled.is_some(), "the buffer is of another type than its column");
        for row in nulls.drain(..) {
            buffer.set_null(before + row);
        }
        self.nulls = nulls;
    }

    fn bools(
        &mut self,
        cells: &Cells<'_>,
        unescaped: &mut Vec<u8>,
        buffer: &mut VectorBuffer,
        faults: &mut Vec<ValueFault>,
    ) {
        for (row, field) in cells.table.column(cells.column).enumerate() {
            let value = match cells.bytes.get(field.range()) {
                _ if self.null_texts.contains(cells.bytes, field) => Value::Null,
                Some(b"true" | b"True" | b"TRUE") => Value::Bool(true),
                Some(b"false" | b"False" | b"FALSE") => Value::Bool(false),
                _ => self.parse(cells, field, unescaped).unwrap_or_else(|error| {
                    faults.push(self.fault(cells, row, Some(error)));
                    Value::Null
                }),
            };
            self.push(cells, row, &value, buffer, faults);
        }
    }

    fn strings(&mut self, cells: &Cells<'_>, unescaped: &mut Vec<u8>, buffer: &mut VectorBuffer) {
        let before = buffer.len();
        self.nulls.clear();
        let Some(strings) = buffer.strings_mut() else { return };
        for (row, field) in cells.table.column(cells.column).enumerate() {
            if self.null_texts.contains(cells.bytes, field) {
                self.nulls.push(row);
                strings.push_empty(1);
            } else {
                strings.push(content(cells, field, unescaped));
            }
        }
        buffer.finish_rows(cells.table.rows(), Validity::AllValid);
        for row in self.nulls.drain(..) {
            buffer.set_null(before + row);
        }
    }

    fn others(
        &mut self,
        cells: &Cells<'_>,
        unescaped: &mut Vec<u8>,
        buffer: &mut VectorBuffer,
        faults: &mut Vec<ValueFault>,
    ) {
        for (row, field) in cells.table.column(cells.column).enumerate() {
            let value = if self.null_texts.contains(cells.bytes, field) {
                Value::Null
            } else {
                self.parse(cells, field, unescaped).unwrap_or_else(|error| {
                    faults.push(self.fault(cells, row, Some(error)));
                    Value::Null
                })
            };
            self.push(cells, row, &value, buffer, faults);
        }
    }

    fn push(
        &self,
        cells: &Cells<'_>,
        row: usize,
        value: &Value,
        buffer: &mut VectorBuffer,
        faults: &mut Vec<ValueFault>,
    ) {
        if let Err(error) = buffer.push_value(value) {
            faults.push(self.fault(cells, row, Some(error)));
            buffer.push_null();
        }
    }

    fn parse(&self, cells: &Cells<'_>, field: Field, unescaped: &mut Vec<u8>) -> TypeResult<Value> {
        let text = content(cells, field, unescaped);
        if self.list_unbraced && !text.trim_ascii_start().starts_with(b"[") {
            let braced = [b"[".as_slice(), text, b"]"].concat();
            return cell::parse_text(&self.data_type, &braced);
        }
        cell::parse_text(&self.data_type, text)
    }

    fn fault(&self, cells: &Cells<'_>, row: usize, error: Option<TypeError>) -> ValueFault {
        let reason = match error {
            Some(error) => error.to_string(),
            None => format!("the text is no {}", self.data_type),
        };
        ValueFault { row, column: cells.column, reason }
    }
}

/// The text of a field without quotes and escapes.
fn content<'a>(cells: &Cells<'a>, field: Field, unescaped: &'a mut Vec<u8>) -> &'a [u8] {
    let raw = cells.bytes.get(field.range()).unwrap_or_default();
    if !field.is_escaped() {
        return raw;
    }
    unescape(cells.dialect, raw, unescaped);
    unescaped
}

/// Texts that start with a digit, a sign or a point; names such as `inf` and `nan` are for the general parser.
#[inline]
fn float_text(bytes: &[u8], start: usize, end: usize) -> Option<&[u8]> {
    let text = bytes.get(start..end)?;
    let digit = |byte: Option<&u8>| byte.is_some_and(u8::is_ascii_digit);
    let plain = digit(text.first()) || (text.first() == Some(&b'-') && digit(text.get(1)));
    plain.then_some(text)
}
