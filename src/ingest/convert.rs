//! One column of a field table to values of its type.
//!
//! The frequent types have a loop from bytes to the column that allocates nothing; every other type, and every
//! text that the short loops do not take, goes through the parsers of `types`.

use std::convert::Infallible;
use std::ops::Range;

use crate::types::{
    DataType, INLINE_BYTES, StringView, TimestampUnit, TypeError, TypeResult, Value, parse, parse_text,
};
use crate::vector::{Native, Validity, VectorBuffer};

use super::number;
use super::options::{CsvOptions, Dialect};
use super::tokenizer::{Field, FieldTable, unescape};

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
        let mut nulls = std::mem::take(&mut self.nulls);
        nulls.clear();
        let before = buffer.len();
        let mut work = Work { converter: self, cells, unescaped, faults, nulls: &mut nulls };
        work.append(buffer);
        for row in nulls.drain(..) {
            buffer.set_null(before + row);
        }
        self.nulls = nulls;
    }
}

/// One column of one batch under way.
struct Work<'w> {
    converter: &'w Converter,
    cells: &'w Cells<'w>,
    unescaped: &'w mut Vec<u8>,
    faults: &'w mut Vec<ValueFault>,
    nulls: &'w mut Vec<usize>,
}

/// The text of one field, as the position of its bytes in the block.
type Place<'p> = (&'p [u8], usize, usize);

impl Work<'_> {
    fn append(&mut self, buffer: &mut VectorBuffer) {
        use DataType::*;
        match &self.converter.data_type {
            Int8 => self.integers::<i8>(buffer),
            Int16 => self.integers::<i16>(buffer),
            Int32 => self.integers::<i32>(buffer),
            Int64 | Serial => self.natives::<i64>(buffer, |(bytes, start, end)| {
                number::integer(bytes, start, end).or_else(|| parse::parse_i64(bytes.get(start..end)?))
            }),
            UInt8 => self.integers::<u8>(buffer),
            UInt16 => self.integers::<u16>(buffer),
            UInt32 => self.integers::<u32>(buffer),
            UInt64 => self.integers::<u64>(buffer),
            Int128 => self.texts::<i128>(buffer, parse::parse_i128),
            Double => self.texts::<f64>(buffer, parse::parse_f64),
            Float => self.texts::<f32>(buffer, parse::parse_f32),
            Date => self.texts::<i64>(buffer, |text| number::date(text).or_else(|| parse::parse_date(text))),
            Timestamp(TimestampUnit::Us) => self.texts::<i64>(buffer, |text| {
                number::timestamp_micros(text)
                    .or_else(|| parse::parse_timestamp_unit(text, TimestampUnit::Us))
            }),
            &Timestamp(unit) => {
                self.texts::<i64>(buffer, move |text| parse::parse_timestamp_unit(text, unit));
            }
            TimestampTz => {
                self.texts::<i64>(buffer, |text| parse::parse_timestamp_unit(text, TimestampUnit::Us));
            }
            LocalTime => self.texts::<i64>(buffer, parse::parse_local_time),
            LocalDateTime => self.texts::<i128>(buffer, parse::parse_local_date_time),
            Uuid => self.texts::<i128>(buffer, parse::parse_uuid),
            &Decimal { precision, scale } => {
                self.texts::<i128>(buffer, move |text| parse::parse_decimal(text, precision, scale));
            }
            Bool => self.bools(buffer),
            String => self.strings(buffer),
            _ => self.others(buffer),
        }
    }

    fn integers<T: Native + TryFrom<i64> + TryFrom<i128>>(&mut self, buffer: &mut VectorBuffer) {
        self.natives::<T>(buffer, |(bytes, start, end)| match number::integer(bytes, start, end) {
            Some(value) => value.try_into().ok(),
            None => parse::parse_i128(bytes.get(start..end)?)?.try_into().ok(),
        });
    }

    fn texts<T: Native>(&mut self, buffer: &mut VectorBuffer, read: impl Fn(&[u8]) -> Option<T>) {
        self.natives::<T>(buffer, |(bytes, start, end)| read(bytes.get(start..end)?));
    }

    fn natives<T: Native>(&mut self, buffer: &mut VectorBuffer, read: impl Fn(Place<'_>) -> Option<T>) {
        let rows = self.cells.table.rows();
        let filled = buffer.fill::<T, Infallible>(rows, Validity::AllValid, |values| {
            self.fill(values, read);
            Ok(())
        });
        debug_assert!(filled.is_some(), "the buffer is of another type than its column");
    }

    fn bools(&mut self, buffer: &mut VectorBuffer) {
        let rows = self.cells.table.rows();
        let filled = buffer.fill_bools::<Infallible>(rows, Validity::AllValid, |values| {
            self.fill(values, |(bytes, start, end)| parse::parse_bool(bytes.get(start..end)?).map(u8::from));
            Ok(())
        });
        debug_assert!(filled.is_some(), "the buffer is of another type than its column");
    }

    /// The loop of the types of fixed size.
    fn fill<T: Copy + Default>(&mut self, values: &mut Vec<T>, read: impl Fn(Place<'_>) -> Option<T>) {
        let Cells { bytes, table, column, stop, .. } = *self.cells;
        let before = values.len();
        values.resize(before + table.rows(), T::default());
        let empty_only = matches!(self.converter.null_texts, NullTexts::Empty);
        let slots = values.get_mut(before..).unwrap_or_default();
        for ((row, &field), slot) in table.column(column).iter().enumerate().zip(slots) {
            let range = field.range();
            let place = match field.is_escaped() {
                false => (bytes, range.start, range.end),
                true => whole(content(self.cells, field, self.unescaped)),
            };
            // One call, so that the compiler puts the reader into the loop.
            match read(place) {
                // A listed text may well be a number; the empty one never is.
                Some(value) if empty_only || !self.is_null(field) => *slot = value,
                _ if self.is_null(field) => self.nulls.push(row),
                _ => {
                    self.explain(row, field);
                    if stop {
                        return;
                    }
                }
            }
        }
    }

    fn strings(&mut self, buffer: &mut VectorBuffer) {
        let Cells { table, column, .. } = *self.cells;
        let Some(strings) = buffer.strings_mut() else { return };
        for (row, &field) in table.column(column).iter().enumerate() {
            if self.is_null(field) {
                self.nulls.push(row);
                strings.push_empty(1);
            } else if let Some(view) = short_view(self.cells.bytes, field) {
                strings.push_view(view);
            } else {
                strings.push(content(self.cells, field, self.unescaped));
            }
        }
        buffer.finish_rows(table.rows(), Validity::AllValid);
    }

    fn others(&mut self, buffer: &mut VectorBuffer) {
        let Cells { table, column, .. } = *self.cells;
        for (row, &field) in table.column(column).iter().enumerate() {
            let value = if self.is_null(field) { Ok(Value::Null) } else { self.parse(field) };
            if let Err(error) = value.and_then(|value| buffer.push_value(&value)) {
                self.fault(row, error.to_string());
                buffer.push_null();
            }
        }
    }

    #[inline]
    fn is_null(&self, field: Field) -> bool {
        self.converter.null_texts.contains(self.cells.bytes, field)
    }

    fn parse(&mut self, field: Field) -> TypeResult<Value> {
        let data_type = &self.converter.data_type;
        let text = content(self.cells, field, self.unescaped);
        // Records that are not UTF-8 never become rows.
        let text = std::str::from_utf8(text).map_err(|_| TypeError::parse(data_type, text, "no UTF-8"))?;
        if self.converter.list_unbraced && !text.trim_start().starts_with('[') {
            return parse_text(&format!("[{text}]"), data_type);
        }
        parse_text(text, data_type)
    }

    /// Records what the general parser says about a text that is no value.
    fn explain(&mut self, row: usize, field: Field) {
        let reason = match self.parse(field) {
            Err(error) => error.to_string(),
            Ok(_) => format!("the text is no {}", self.converter.data_type),
        };
        self.fault(row, reason);
    }

    fn fault(&mut self, row: usize, reason: String) {
        self.faults.push(ValueFault { row, column: self.cells.column, reason });
    }
}

fn whole(text: &[u8]) -> Place<'_> {
    (text, 0, text.len())
}

/// The view of a short text. Sixteen bytes are read whatever its length is: after a copy of few bytes the
/// processor waits until it can read them back as one word.
#[inline]
fn short_view(bytes: &[u8], field: Field) -> Option<StringView> {
    let Range { start, end } = field.range();
    let length = end - start;
    if length > INLINE_BYTES || field.is_escaped() {
        return None;
    }
    let sixteen = bytes.get(start..start + 16)?.first_chunk()?;
    let text = u128::from_le_bytes(*sixteen) & ((1 << (8 * length)) - 1);
    Some(StringView::from_bytes(((text << 32) | length as u128).to_le_bytes()))
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
