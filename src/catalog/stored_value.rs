//! A scalar value as it stands in encoded statistics.

use serde::{Deserialize, Serialize};

use crate::types::{Interval, Time, TimestampUnit, Value, ZoneId, Zoned};

/// The scalars; the position of a variant is part of the format.
#[derive(Serialize, Deserialize)]
pub(super) enum StoredValue {
    Bool(bool),
    Int8(i8),
    Int16(i16),
    Int32(i32),
    Int64(i64),
    Int128(i128),
    UInt8(u8),
    UInt16(u16),
    UInt32(u32),
    UInt64(u64),
    Float(f32),
    Double(f64),
    Decimal(i128, u8, u8),
    String(String),
    Blob(Vec<u8>),
    Uuid(i128),
    Date(i64),
    /// Nanoseconds, offset.
    Time(i64, i32),
    LocalTime(i64),
    LocalDateTime(i128),
    /// Nanoseconds, offset, zone name.
    DateTime(i128, i32, String),
    /// Position of the unit, count.
    Timestamp(u8, i64),
    TimestampTz(i64),
    /// Months, days, seconds, nanoseconds.
    Interval(i64, i64, i64, i32),
}

const UNITS: [TimestampUnit; 4] = [TimestampUnit::S, TimestampUnit::Ms, TimestampUnit::Us, TimestampUnit::Ns];

impl StoredValue {
    /// None for NULL and for values that hold others.
    pub(super) fn store(value: &Value) -> Option<StoredValue> {
        Some(match value {
            Value::Bool(value) => StoredValue::Bool(*value),
            Value::Int8(value) => StoredValue::Int8(*value),
            Value::Int16(value) => StoredValue::Int16(*value),
            Value::Int32(value) => StoredValue::Int32(*value),
            Value::Int64(value) => StoredValue::Int64(*value),
            Value::Int128(value) => StoredValue::Int128(*value),
            Value::UInt8(value) => StoredValue::UInt8(*value),
            Value::UInt16(value) => StoredValue::UInt16(*value),
            Value::UInt32(value) => StoredValue::UInt32(*value),
            Value::UInt64(value) => StoredValue::UInt64(*value),
            Value::Float(value) => StoredValue::Float(*value),
            Value::Double(value) => StoredValue::Double(*value),
            Value::Decimal(value, precision, scale) => StoredValue::Decimal(*value, *precision, *scale),
            Value::String(text) => StoredValue::String(text.clone()),
            Value::Blob(bytes) => StoredValue::Blob(bytes.clone()),
            Value::Uuid(value) => StoredValue::Uuid(*value),
            Value::Date(days) => StoredValue::Date(*days),
            Value::Time(time) => StoredValue::Time(time.nanos, time.offset_seconds),
            Value::LocalTime(nanos) => StoredValue::LocalTime(*nanos),
            Value::LocalDateTime(nanos) => StoredValue::LocalDateTime(*nanos),
            Value::DateTime(zoned) => {
                let zone = zoned.zone.name().map_or_else(String::new, |name| name.to_string());
                StoredValue::DateTime(zoned.nanos, zoned.offset_seconds, zone)
            }
            Value::Timestamp(unit, count) => {
                let position = UNITS.iter().position(|other| other == unit)?;
                StoredValue::Timestamp(position as u8, *count)
            }
            Value::TimestampTz(micros) => StoredValue::TimestampTz(*micros),
            Value::Interval(interval) => {
                StoredValue::Interval(interval.months, interval.days, interval.seconds, interval.nanos)
            }
            _ => return None,
        })
    }

    pub(super) fn load(self) -> Result<Value, String> {
        Ok(match self {
            StoredValue::Bool(value) => Value::Bool(value),
            StoredValue::Int8(value) => Value::Int8(value),
            StoredValue::Int16(value) => Value::Int16(value),
            StoredValue::Int32(value) => Value::Int32(value),
            StoredValue::Int64(value) => Value::Int64(value),
            StoredValue::Int128(value) => Value::Int128(value),
            StoredValue::UInt8(value) => Value::UInt8(value),
            StoredValue::UInt16(value) => Value::UInt16(value),
            StoredValue::UInt32(value) => Value::UInt32(value),
            StoredValue::UInt64(value) => Value::UInt64(value),
            StoredValue::Float(value) => Value::Float(value),
            StoredValue::Double(value) => Value::Double(value),
            StoredValue::Decimal(value, precision, scale) => Value::Decimal(value, precision, scale),
            StoredValue::String(text) => Value::String(text),
            StoredValue::Blob(bytes) => Value::Blob(bytes),
            StoredValue::Uuid(value) => Value::Uuid(value),
            StoredValue::Date(days) => Value::Date(days),
            StoredValue::Time(nanos, offset_seconds) => Value::Time(Time { nanos, offset_seconds }),
            StoredValue::LocalTime(nanos) => Value::LocalTime(nanos),
            StoredValue::LocalDateTime(nanos) => Value::LocalDateTime(nanos),
            StoredValue::DateTime(nanos, offset_seconds, zone) => {
                // A zone that this machine does not know must not keep the database shut.
                let zone = ZoneId::intern(&zone).unwrap_or(ZoneId::NONE);
                Value::DateTime(Zoned { nanos, offset_seconds, zone })
            }
            StoredValue::Timestamp(unit, count) => {
                let unit = UNITS.get(usize::from(unit)).ok_or_else(|| format!("timestamp unit {unit}"))?;
                Value::Timestamp(*unit, count)
            }
            StoredValue::TimestampTz(micros) => Value::TimestampTz(micros),
            StoredValue::Interval(months, days, seconds, nanos) => {
                Value::Interval(Interval { months, days, seconds, nanos })
            }
        })
    }
}
