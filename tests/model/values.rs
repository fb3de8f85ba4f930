//! Types, and random values of each.

use proptest::prelude::*;
use quiredb::types::{Field, Time, TimestampUnit, ZoneId, Zoned};
use quiredb::{DataType, Interval, Value};

use crate::support::random::Random;

const NANOS_PER_DAY: i64 = 86_400_000_000_000;

/// All types of one value.
fn scalars() -> Vec<DataType> {
    use DataType::*;
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
        Decimal { precision: 9, scale: 2 },
        Decimal { precision: 38, scale: 10 },
        String,
        Blob,
        Uuid,
        Date,
        Time,
        LocalTime,
        LocalDateTime,
        DateTime,
        Timestamp(TimestampUnit::S),
        Timestamp(TimestampUnit::Ms),
        Timestamp(TimestampUnit::Us),
        Timestamp(TimestampUnit::Ns),
        TimestampTz,
        Interval,
        Json,
    ]
}

fn fields(types: Vec<DataType>) -> Vec<Field> {
    types.into_iter().enumerate().map(|(at, data_type)| Field::new(format!("f{at}"), data_type)).collect()
}

/// Its members are told apart by their texts.
fn union() -> DataType {
    let members = [("n", DataType::Int64), ("d", DataType::Date), ("s", DataType::String)];
    DataType::Union(members.into_iter().map(|(name, data_type)| Field::new(name, data_type)).collect())
}

/// Scalars, and nested types of each kind.
pub fn every_type() -> Vec<DataType> {
    let mut types = scalars();
    types.push(union());
    let lists: Vec<DataType> = scalars().into_iter().map(DataType::list).collect();
    types.push(DataType::Struct(fields(scalars())));
    types.push(DataType::list(DataType::list(DataType::String)));
    types.push(DataType::Array(Box::new(DataType::Float), 3));
    types.push(DataType::Array(Box::new(DataType::String), 2));
    types.push(DataType::map(DataType::String, DataType::list(DataType::Int64)));
    types.push(DataType::map(
        DataType::Date,
        DataType::Struct(fields(vec![DataType::Double, DataType::String])),
    ));
    types.push(DataType::list(union()));
    types.extend(lists);
    types
}

/// Any type, nested up to three levels.
pub fn data_type() -> impl Strategy<Value = DataType> {
    let mut leaves = scalars();
    leaves.push(union());
    prop::sample::select(leaves).prop_recursive(3, 8, 3, |inner| {
        let key =
            prop::sample::select(vec![DataType::String, DataType::Int32, DataType::Date, DataType::Uuid]);
        prop_oneof![
            inner.clone().prop_map(DataType::list),
            (inner.clone(), 1u32..4).prop_map(|(element, length)| DataType::Array(Box::new(element), length)),
            prop::collection::vec(inner.clone(), 1..4).prop_map(|types| DataType::Struct(fields(types))),
            (key, inner).prop_map(|(key, value)| DataType::map(key, value)),
        ]
    })
}

/// A value of the type; now and then NULL.
pub fn value_of(data_type: &DataType, random: &mut Random) -> Value {
    if random.one_in(6) { Value::Null } else { some_value_of(data_type, random) }
}

/// A number whose size varies, extremes included.
fn integer(random: &mut Random, least: i128, most: i128) -> i128 {
    match random.below(8) {
        0 => least,
        1 => most,
        2..=4 => i128::from(random.below(100) as i64 - 50).clamp(least, most),
        _ => {
            let wide = i128::from_le_bytes({
                let mut bytes = [0; 16];
                bytes[..8].copy_from_slice(&random.next().to_le_bytes());
                bytes[8..].copy_from_slice(&random.next().to_le_bytes());
                bytes
            }) >> random.below(127);
            wide.clamp(least, most)
        }
    }
}

fn text(random: &mut Random) -> String {
    const LETTERS: [char; 24] = [
        'a', 'b', 'Z', '0', '9', ' ', '\'', '"', ',', '\n', '\r', '\t', '\\', 'é', '𝄞', '[', ']', '{', '}',
        ':', '=', '.', '-', '_',
    ];
    let length = match random.below(10) {
        0 => 0,
        1..=7 => random.below(16),
        8 => random.below(100),
        _ => random.below(3000),
    };
    (0..length).map(|_| LETTERS[random.below(LETTERS.len() as u64) as usize]).collect()
}

fn double(random: &mut Random) -> f64 {
    match random.below(8) {
        0 => f64::NAN,
        1 => f64::INFINITY,
        2 => -0.0,
        3..=5 => random.below(1000) as f64 / 8.0 - 30.0,
        _ => {
            let bits = f64::from_bits(random.next());
            if bits.is_nan() { f64::MIN_POSITIVE } else { bits }
        }
    }
}

fn zoned(random: &mut Random) -> Value {
    let nanos =
        i128::from(random.below(4_000_000_000)) * 1_000_000_000 + i128::from(random.below(1_000_000_000));
    if random.one_in(2) {
        let zone = ZoneId::intern(if random.one_in(2) { "Europe/Stockholm" } else { "America/New_York" });
        // Whole seconds far from a change of the clocks are shown without doubt.
        return Value::DateTime(zone.unwrap().at(nanos).unwrap());
    }
    let offset_seconds = random.below(48) as i32 * 1800 - 36_000;
    Value::DateTime(Zoned { nanos, offset_seconds, zone: ZoneId::NONE })
}

fn some_value_of(data_type: &DataType, random: &mut Random) -> Value {
    macro_rules! whole {
        ($variant:ident, $native:ty) => {
            Value::$variant(integer(random, i128::from(<$native>::MIN), i128::from(<$native>::MAX)) as $native)
        };
    }
    match data_type {
        DataType::Bool => Value::Bool(random.one_in(2)),
        DataType::Int8 => whole!(Int8, i8),
        DataType::Int16 => whole!(Int16, i16),
        DataType::Int32 => whole!(Int32, i32),
        DataType::Int64 => whole!(Int64, i64),
        DataType::Int128 => whole!(Int128, i128),
        DataType::UInt8 => whole!(UInt8, u8),
        DataType::UInt16 => whole!(UInt16, u16),
        DataType::UInt32 => whole!(UInt32, u32),
        DataType::UInt64 => whole!(UInt64, u64),
        DataType::Float => Value::Float(double(random) as f32),
        DataType::Double => Value::Double(double(random)),
        DataType::Decimal { precision, scale } => {
            let most = 10i128.pow(u32::from(*precision)) - 1;
            Value::Decimal(integer(random, -most, most), *precision, *scale)
        }
        DataType::String => Value::String(text(random)),
        DataType::Blob => Value::Blob((0..random.below(20)).map(|_| random.next() as u8).collect()),
        DataType::Uuid => Value::Uuid(integer(random, i128::MIN, i128::MAX)),
        DataType::Date => Value::Date(integer(random, -1_000_000, 3_000_000) as i64),
        DataType::Time => Value::Time(Time {
            nanos: random.below(NANOS_PER_DAY as u64) as i64,
            offset_seconds: random.below(72_000) as i32 - 36_000,
        }),
        DataType::LocalTime => Value::LocalTime(random.below(NANOS_PER_DAY as u64) as i64),
        DataType::LocalDateTime => Value::LocalDateTime(integer(random, -(1i128 << 70), 1i128 << 70)),
        DataType::DateTime => zoned(random),
        DataType::Timestamp(unit) => {
            let most = i64::MAX / unit.nanos().max(1);
            Value::Timestamp(*unit, integer(random, -i128::from(most), i128::from(most)) as i64)
        }
        DataType::TimestampTz => Value::TimestampTz(integer(random, -(1i128 << 60), 1i128 << 60) as i64),
        DataType::Interval => {
            let mut part = |most: i128| integer(random, -most, most) as i64;
            let (months, days, seconds) = (part(100_000), part(1_000_000), part(1_000_000_000));
            Value::Interval(
                Interval::new(months, days, seconds, i128::from(random.below(1_000_000_000))).unwrap(),
            )
        }
        DataType::Json => Value::Json(match random.below(3) {
            0 => format!("{{\"a\":[{},\"x\"]}}", random.below(1000)),
            1 => "[]".to_owned(),
            _ => format!("\"text {}\"", random.below(1000)),
        }),
        DataType::List(element) => {
            let length = if random.one_in(20) { random.below(200) } else { random.below(5) };
            Value::List((0..length).map(|_| value_of(element, random)).collect())
        }
        DataType::Array(element, length) => {
            Value::List((0..*length).map(|_| value_of(element, random)).collect())
        }
        DataType::Struct(fields) => Value::Struct(
            fields.iter().map(|field| (field.name.clone(), value_of(&field.data_type, random))).collect(),
        ),
        DataType::Map(key, value) => {
            let mut entries: Vec<(Value, Value)> = Vec::new();
            for _ in 0..random.below(4) {
                let key = some_value_of(key, random);
                if entries.iter().all(|(known, _)| *known != key) {
                    entries.push((key, value_of(value, random)));
                }
            }
            Value::Map(entries)
        }
        DataType::Union(_) => {
            let (name, value) = match random.below(3) {
                0 => ("n", Value::Int64(random.next() as i64)),
                1 => ("d", Value::Date(random.below(30_000) as i64)),
                _ => ("s", Value::String(format!("word {}", random.below(100)))),
            };
            Value::Union(name.to_owned(), Box::new(value))
        }
        other => panic!("{other} is no type of a column"),
    }
}
