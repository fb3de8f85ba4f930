//! Keys as an index sees them: one number where a single column of at most 64 bits is the key, else bytes whose order
//! is the order of the values, column by column. See `specs/format/key_index.md`.

use crate::storage::directory::KeyTreeKind;
use crate::types::{DataType, Interval, TimestampUnit, Value, Zoned};

/// Longer keys are cut, and a hash of the whole takes the place of the end.
pub const KEY_BYTES_MAX: usize = 1024;
const HASH_BYTES: usize = 16;

/// Ends a string that is not the last column: 0 within it is followed by 255, so the end sorts first.
const END: [u8; 2] = [0, 0];
const ZERO: [u8; 2] = [0, 255];

const SIGN_64: u64 = 1 << 63;

/// A key in the form that trees and maps compare.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum IndexKey {
    Integer(u64),
    Bytes(Vec<u8>),
}

/// The columns of a key and how their values become an `IndexKey`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyLayout {
    columns: Vec<DataType>,
    kind: KeyTreeKind,
}

impl KeyLayout {
    /// The layout for key columns of these types, in order. None when a type cannot be part of a key.
    pub fn new(columns: &[DataType]) -> Option<KeyLayout> {
        if columns.is_empty() || !columns.iter().all(is_key_type) {
            return None;
        }
        let kind = match columns {
            [single] if is_word(single) => KeyTreeKind::Integer,
            _ => KeyTreeKind::Bytes,
        };
        Some(KeyLayout { columns: columns.to_vec(), kind })
    }

    /// Whether keys are numbers or bytes.
    pub fn kind(&self) -> KeyTreeKind {
        self.kind
    }

    /// The types of the key's columns.
    pub fn columns(&self) -> &[DataType] {
        &self.columns
    }

    /// The key of these values, cast to the columns' types where that loses nothing. None when no stored key can
    /// equal them: a NULL, a number out of range, a value of another kind.
    pub fn key_of(&self, values: &[Value]) -> Option<IndexKey> {
        if values.len() != self.columns.len() {
            return None;
        }
        if self.kind == KeyTreeKind::Integer {
            return word_of(&self.columns[0], &values[0]).map(IndexKey::Integer);
        }
        let mut bytes = Vec::new();
        self.append_key(values, &mut bytes)?;
        bound_length(&mut bytes, 0);
        Some(IndexKey::Bytes(bytes))
    }

    fn append_key(&self, values: &[Value], out: &mut Vec<u8>) -> Option<()> {
        let last = self.columns.len() - 1;
        for (at, (data_type, value)) in self.columns.iter().zip(values).enumerate() {
            append_value(data_type, value, at == last, out)?;
        }
        Some(())
    }
}

fn is_key_type(data_type: &DataType) -> bool {
    use DataType::*;
    let scalar = matches!(
        data_type,
        Bool | Int128
            | Float
            | Double
            | Decimal { .. }
            | String
            | Blob
            | Uuid
            | Date
            | Time
            | LocalTime
            | LocalDateTime
            | DateTime
            | Timestamp(_)
            | TimestampTz
            | Interval
    );
    scalar || data_type.is_integer()
}

/// Types of at most 64 bits that order as integers do.
pub(super) fn is_word(data_type: &DataType) -> bool {
    use DataType::*;
    matches!(data_type, Bool | Date | LocalTime | Timestamp(_) | TimestampTz)
        || (data_type.is_integer() && *data_type != Int128)
}

/// The number of a value of a word type: signed values have their sign bit flipped.
pub(super) fn word_of(data_type: &DataType, value: &Value) -> Option<u64> {
    let number = integer_of(data_type, value)?;
    match data_type {
        DataType::UInt64 => u64::try_from(number).ok(),
        _ => i64::try_from(number).ok().map(signed_word),
    }
}

/// The word of a signed number.
#[inline]
pub(super) fn signed_word(number: i64) -> u64 {
    number as u64 ^ SIGN_64
}

/// The value as a number of the column's type; none where it is not one or does not fit.
fn integer_of(data_type: &DataType, value: &Value) -> Option<i128> {
    let number = match (data_type, value) {
        (DataType::Bool, Value::Bool(truth)) => return Some(i128::from(*truth)),
        (DataType::Date, Value::Date(days)) => return Some(i128::from(*days)),
        (DataType::LocalTime, Value::LocalTime(nanos)) => return Some(i128::from(*nanos)),
        (DataType::Timestamp(unit), Value::Timestamp(from, count)) => return in_unit(*from, *count, *unit),
        (DataType::Timestamp(unit), Value::TimestampTz(micros)) => {
            return in_unit(TimestampUnit::Us, *micros, *unit);
        }
        (DataType::TimestampTz, Value::TimestampTz(micros)) => return Some(i128::from(*micros)),
        (DataType::TimestampTz, Value::Timestamp(from, count)) => {
            return in_unit(*from, *count, TimestampUnit::Us);
        }
        _ => whole_number(value)?,
    };
    let (least, greatest) = integer_range(data_type)?;
    (least..=greatest).contains(&number).then_some(number)
}

fn in_unit(from: TimestampUnit, count: i64, to: TimestampUnit) -> Option<i128> {
    let nanos = i128::from(count) * i128::from(from.nanos());
    (nanos % i128::from(to.nanos()) == 0).then(|| nanos / i128::from(to.nanos()))
}

/// An integer, or a float or decimal without a fraction.
fn whole_number(value: &Value) -> Option<i128> {
    let float = match value {
        Value::Float(float) => f64::from(*float),
        Value::Double(float) => *float,
        Value::Decimal(unscaled, _, scale) => {
            let unit = 10i128.checked_pow(u32::from(*scale))?;
            return (unscaled % unit == 0).then(|| unscaled / unit);
        }
        _ => return value.as_i128(),
    };
    // Beyond 2^127 no column has a value; below, a float without fraction is exactly an integer.
    (float.fract() == 0.0 && float.abs() < 1.7e38).then_some(float as i128)
}

fn integer_range(data_type: &DataType) -> Option<(i128, i128)> {
    use DataType::*;
    let signed = |bits: u32| (-(1i128 << (bits - 1)), (1i128 << (bits - 1)) - 1);
    let unsigned = |bits: u32| (0, (1i128 << bits) - 1);
    Some(match data_type {
        Int8 => signed(8),
        Int16 => signed(16),
        Int32 => signed(32),
        Int64 | Serial => signed(64),
        Int128 => (i128::MIN, i128::MAX),
        UInt8 => unsigned(8),
        UInt16 => unsigned(16),
        UInt32 => unsigned(32),
        UInt64 => unsigned(64),
        _ => return None,
    })
}

/// Appends one column's value. `last` columns of bytes need no end.
pub(super) fn append_value(data_type: &DataType, value: &Value, last: bool, out: &mut Vec<u8>) -> Option<()> {
    if is_word(data_type) {
        out.extend_from_slice(&word_of(data_type, value)?.to_be_bytes());
        return Some(());
    }
    match (data_type, value) {
        (DataType::Int128, _) => append_i128(integer_of(data_type, value)?, out),
        (DataType::Float | DataType::Double, _) => append_float(data_type, value, out)?,
        (DataType::Decimal { precision, scale }, _) => {
            append_i128(unscaled_of(value, *precision, *scale)?, out);
        }
        (DataType::String, Value::String(text)) => append_text(text.as_bytes(), last, out),
        (DataType::Blob, Value::Blob(bytes)) => append_text(bytes, last, out),
        (DataType::Uuid, Value::Uuid(bits)) => append_i128(*bits, out),
        (DataType::LocalDateTime, Value::LocalDateTime(nanos)) => append_i128(*nanos, out),
        (DataType::Time, Value::Time(time)) => {
            append_i64(time.utc_nanos(), out);
            append_i64(i64::from(time.offset_seconds), out);
        }
        (DataType::DateTime, Value::DateTime(zoned)) => append_zoned(zoned, last, out),
        (DataType::Interval, Value::Interval(interval)) => append_interval(interval, out),
        _ => return None,
    }
    Some(())
}

fn append_i64(number: i64, out: &mut Vec<u8>) {
    out.extend_from_slice(&signed_word(number).to_be_bytes());
}

fn append_i128(number: i128, out: &mut Vec<u8>) {
    out.extend_from_slice(&(number as u128 ^ 1 << 127).to_be_bytes());
}

/// Negative floats have all bits flipped, others the sign; zeros are one, and NaN is above all.
fn append_float(data_type: &DataType, value: &Value, out: &mut Vec<u8>) -> Option<()> {
    let float = match value {
        Value::Float(float) => f64::from(*float),
        Value::Double(float) => *float,
        _ => whole_number(value).map(|number| number as f64)?,
    };
    let exact = match data_type {
        DataType::Float => float.is_nan() || f64::from(float as f32) == float,
        _ => true,
    };
    if !exact || value.as_i128().is_some_and(|number| float as i128 != number) {
        return None;
    }
    let bits = if float.is_nan() { f64::NAN.to_bits() & !SIGN_64 } else { (float + 0.0).to_bits() };
    let ordered = if bits & SIGN_64 != 0 { !bits } else { bits | SIGN_64 };
    out.extend_from_slice(&ordered.to_be_bytes());
    Some(())
}

/// The unscaled number of a value in a column of this scale, where no digit is lost.
fn unscaled_of(value: &Value, precision: u8, scale: u8) -> Option<i128> {
    let (number, from) = match value {
        Value::Decimal(unscaled, _, from) => (*unscaled, *from),
        _ => (whole_number(value)?, 0),
    };
    let unscaled = if from <= scale {
        number.checked_mul(10i128.checked_pow(u32::from(scale - from))?)?
    } else {
        let unit = 10i128.checked_pow(u32::from(from - scale))?;
        if number % unit != 0 {
            return None;
        }
        number / unit
    };
    let limit = 10u128.checked_pow(u32::from(precision)).unwrap_or(u128::MAX);
    (unscaled.unsigned_abs() < limit).then_some(unscaled)
}

pub(super) fn append_text(bytes: &[u8], last: bool, out: &mut Vec<u8>) {
    if last {
        out.extend_from_slice(bytes);
        return;
    }
    for part in bytes.split_inclusive(|byte| *byte == 0) {
        match part.split_last() {
            Some((0, rest)) => {
                out.extend_from_slice(rest);
                out.extend_from_slice(&ZERO);
            }
            _ => out.extend_from_slice(part),
        }
    }
    out.extend_from_slice(&END);
}

fn append_zoned(zoned: &Zoned, last: bool, out: &mut Vec<u8>) {
    append_i128(zoned.nanos, out);
    append_i64(i64::from(zoned.offset_seconds), out);
    match zoned.zone.name() {
        None => out.push(0),
        Some(name) => {
            out.push(1);
            append_text(name.as_bytes(), last, out);
        }
    }
}

fn append_interval(interval: &Interval, out: &mut Vec<u8>) {
    let (seconds, nanos) = interval.estimate();
    append_i128(seconds, out);
    append_i64(i64::from(nanos), out);
    append_i64(interval.months, out);
    append_i64(interval.days, out);
    append_i64(interval.seconds, out);
}

/// Cuts what stands from `start` on when it is too long for a tree page.
pub(super) fn bound_length(out: &mut Vec<u8>, start: usize) {
    if out.len() - start <= KEY_BYTES_MAX {
        return;
    }
    let hash = long_key_hash(&out[start..]);
    out.truncate(start + KEY_BYTES_MAX - HASH_BYTES);
    out.extend_from_slice(&hash);
}

/// Part of the format: the two halves are FNV-1a from different starts, the second over the bytes in reverse.
fn long_key_hash(bytes: &[u8]) -> [u8; HASH_BYTES] {
    const PRIME: u64 = 0x0000_0100_0000_01B3;
    let step = |hash: u64, byte: &u8| (hash ^ u64::from(*byte)).wrapping_mul(PRIME);
    let first = bytes.iter().fold(0xCBF2_9CE4_8422_2325, step);
    let second = bytes.iter().rev().fold(0x6C62_272E_07BB_0142, step);
    let mut out = [0; HASH_BYTES];
    out[..8].copy_from_slice(&first.to_be_bytes());
    out[8..].copy_from_slice(&second.to_be_bytes());
    out
}

#[cfg(test)]
mod tests {
    use std::cmp::Ordering;

    use proptest::prelude::*;

    use super::*;
    use crate::types::{Time, ZoneId};

    fn key_types() -> Vec<DataType> {
        use DataType::*;
        let decimal = Decimal { precision: 30, scale: 4 };
        let (nanos, seconds) = (Timestamp(TimestampUnit::Ns), Timestamp(TimestampUnit::S));
        vec![
            Bool,
            Int8,
            Int16,
            Int32,
            Int64,
            Int128,
            UInt8,
            UInt16,
            UInt32,
            UInt64,
            Float,
            Double,
            decimal,
            String,
            Blob,
            Uuid,
            Date,
            Time,
            LocalTime,
            LocalDateTime,
            DateTime,
            nanos,
            seconds,
            TimestampTz,
            Interval,
            Serial,
        ]
    }

    /// Small numbers, so that values and their parts are often equal, and wide ones.
    fn value_of(data_type: &DataType, seed: (i128, u8)) -> Value {
        let (wide, small) = seed;
        let number = if small & 1 == 0 { wide } else { wide % 3 };
        let parts = [number as i64, (number >> 7) as i64 % 3, i64::from(small % 5) - 2];
        let text: std::string::String = number
            .to_le_bytes()
            .iter()
            .take(usize::from(small % 7))
            .map(|b| char::from(b % 3 * (b % 2 * 120)))
            .collect();
        match data_type {
            DataType::Bool => Value::Bool(number & 1 == 1),
            DataType::Int8 => Value::Int8(number as i8),
            DataType::Int16 => Value::Int16(number as i16),
            DataType::Int32 => Value::Int32(number as i32),
            DataType::Int64 | DataType::Serial => Value::Int64(number as i64),
            DataType::Int128 => Value::Int128(number),
            DataType::UInt8 => Value::UInt8(number as u8),
            DataType::UInt16 => Value::UInt16(number as u16),
            DataType::UInt32 => Value::UInt32(number as u32),
            DataType::UInt64 => Value::UInt64(number as u64),
            DataType::Float => Value::Float(f32::from_bits(number as u32)),
            DataType::Double => match small % 8 {
                0 => Value::Double(-0.0),
                1 => Value::Double(0.0),
                _ => Value::Double(f64::from_bits(number as u64)),
            },
            DataType::Decimal { precision, scale } => {
                Value::Decimal(number % 10i128.pow(u32::from(*precision)), *precision, *scale)
            }
            DataType::String => Value::String(text),
            DataType::Blob => Value::Blob(text.into_bytes()),
            DataType::Uuid => Value::Uuid(number),
            DataType::Date => Value::Date(parts[0]),
            DataType::Time => Value::Time(Time {
                nanos: parts[0].rem_euclid(86_400_000_000_000),
                offset_seconds: parts[2] as i32 * 3600,
            }),
            DataType::LocalTime => Value::LocalTime(parts[0].rem_euclid(86_400_000_000_000)),
            DataType::LocalDateTime => Value::LocalDateTime(number),
            DataType::DateTime => {
                let zone = ["Europe/Berlin", "Asia/Tokyo", ""][usize::from(small % 3)];
                let zone = ZoneId::intern(zone).unwrap_or(ZoneId::NONE);
                Value::DateTime(Zoned { nanos: number, offset_seconds: parts[1] as i32 * 60, zone })
            }
            DataType::Timestamp(unit) => Value::Timestamp(*unit, parts[0]),
            DataType::TimestampTz => Value::TimestampTz(parts[0]),
            _ => Value::Interval(Interval {
                months: parts[1],
                days: parts[2],
                seconds: parts[0] >> 20,
                nanos: 5,
            }),
        }
    }

    fn order_of(left: &[Value], right: &[Value]) -> Ordering {
        let orders = left.iter().zip(right).map(|(left, right)| left.order(right));
        orders.fold(Ordering::Equal, Ordering::then)
    }

    type Seeds = Vec<(i128, u8)>;

    fn check_order(columns: &[DataType], left: &Seeds, right: &Seeds) {
        let layout = KeyLayout::new(columns).unwrap();
        let values = |seeds: &Seeds| -> Vec<Value> {
            columns.iter().zip(seeds).map(|(data_type, seed)| value_of(data_type, *seed)).collect()
        };
        let (left, right) = (values(left), values(right));
        let encoded = layout.key_of(&left).unwrap().cmp(&layout.key_of(&right).unwrap());
        assert_eq!(encoded, order_of(&left, &right), "{left:?} and {right:?} as {columns:?}");
    }

    fn seeds() -> impl Strategy<Value = Seeds> {
        prop::collection::vec((any::<i128>(), any::<u8>()), 3)
    }

    proptest! {
        #[test]
        fn encoded_order_is_the_order_of_values(
            first in 0..26usize, second in 0..26usize, third in 0..26usize, left in seeds(), right in seeds(),
        ) {
            let types = key_types();
            check_order(&types[first..=first], &left, &right);
            check_order(&[types[first].clone(), types[second].clone()], &left, &right);
            check_order(&[types[first].clone(), types[second].clone(), types[third].clone()], &left, &right);
        }
    }

    #[track_caller]
    fn check_cast(column: DataType, value: Value, same_as: Option<Value>) {
        let layout = KeyLayout::new(std::slice::from_ref(&column)).unwrap();
        let expected = same_as.map(|value| layout.key_of(&[value]).unwrap());
        assert_eq!(layout.key_of(&[value]), expected);
    }

    #[test]
    fn values_of_other_types_meet_the_key_that_equals_them() {
        use DataType::*;
        check_cast(Int64, Value::Int8(5), Some(Value::Int64(5)));
        check_cast(Int64, Value::Double(5.0), Some(Value::Int64(5)));
        check_cast(Int64, Value::Double(5.5), None);
        check_cast(Int64, Value::UInt64(u64::MAX), None);
        check_cast(Int8, Value::Int64(300), None);
        check_cast(Int64, Value::Null, None);
        check_cast(Int64, Value::String("5".to_owned()), None);
        check_cast(Double, Value::Int64(5), Some(Value::Double(5.0)));
        check_cast(Double, Value::Int64((1 << 53) + 1), None);
        check_cast(Float, Value::Double(0.1), None);
        let decimal = Decimal { precision: 10, scale: 2 };
        check_cast(decimal.clone(), Value::Int64(5), Some(Value::Decimal(500, 10, 2)));
        check_cast(decimal.clone(), Value::Decimal(5000, 10, 3), Some(Value::Decimal(500, 10, 2)));
        check_cast(decimal, Value::Decimal(5001, 10, 3), None);
        let second = Value::Timestamp(TimestampUnit::S, 2);
        check_cast(
            Timestamp(TimestampUnit::Us),
            second,
            Some(Value::Timestamp(TimestampUnit::Us, 2_000_000)),
        );
        check_cast(Timestamp(TimestampUnit::S), Value::Timestamp(TimestampUnit::Ms, 1500), None);
    }

    #[test]
    fn types_without_an_order_make_no_key() {
        assert_eq!(KeyLayout::new(&[]), None);
        assert_eq!(KeyLayout::new(&[DataType::Int64, DataType::Any]), None);
        assert_eq!(KeyLayout::new(&[DataType::list(DataType::Int64)]), None);
    }

    #[test]
    fn long_keys_are_bounded_and_stay_different() {
        let layout = KeyLayout::new(&[DataType::String]).unwrap();
        let key = |end: &str| match layout.key_of(&[Value::String("x".repeat(3000) + end)]) {
            Some(IndexKey::Bytes(bytes)) => bytes,
            other => panic!("{other:?}"),
        };
        assert_eq!(key("a").len(), KEY_BYTES_MAX);
        assert_ne!(key("a"), key("b"));
        assert_eq!(key("a"), key("a"));
        assert_eq!(&key("a")[..1000], "x".repeat(1000).as_bytes());
    }
}
