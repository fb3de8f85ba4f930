//! Random vectors of every type through writer, descriptor bytes and reader.

use std::sync::Arc;

use proptest::prelude::*;

use super::chunk::{Chunk, Location};
use super::chunk_reader::{Lender, append_rows};
use super::chunk_writer::{WriteOptions, write_chunk};
use super::encoding::EncodingKind;
use crate::storage::buffer_pool::{Admission, BufferPool, SegmentRef};
use crate::storage::page::{PageRef, PageSource};
use crate::storage::{StorageError, StorageResult};
use crate::types::{DataType, Field, Interval, Time, TimestampUnit, Value, ZoneId, Zoned};
use crate::vector::VectorBuffer;

struct NoPages;

impl PageSource for NoPages {
    fn read_pages(&self, _: &[PageRef], _: &str, _: &mut [u8]) -> StorageResult<()> {
        Err(StorageError::ReadOnly)
    }
}

/// A lender for segments that live in memory.
pub fn memory_lender() -> Lender {
    Lender { pool: BufferPool::new(4 << 20, Arc::new(NoPages)), admission: Admission::Frames }
}

/// Sends a chunk through its descriptor's bytes and back, all segments inline in memory.
pub fn through_bytes(chunk: Chunk<Vec<u8>>) -> Chunk<SegmentRef> {
    let mut parts = Vec::new();
    let placed = chunk.try_map::<_, ()>(&mut |bytes| {
        parts.push(SegmentRef::inline(&bytes));
        Ok(Location::Extent { index: parts.len() as u32 - 1, offset: 0, length: bytes.len() as u32 })
    });
    let mut out = super::bytes::ByteWriter::default();
    placed.unwrap().encode(&mut out);
    let decoded = Chunk::decode(&mut super::bytes::ByteReader::new(&out.bytes)).unwrap();
    let located = decoded.try_map::<_, ()>(&mut |location| match location {
        Location::Extent { index, .. } => Ok(parts[index as usize].clone()),
        Location::Inline(_) => Err(()),
    });
    located.unwrap()
}

const KINDS: [Option<EncodingKind>; 6] = [
    None,
    Some(EncodingKind::Constant),
    Some(EncodingKind::Plain),
    Some(EncodingKind::BitPacked),
    Some(EncodingKind::Dictionary),
    Some(EncodingKind::RunLength),
];

fn check(data_type: &DataType, values: &[Value], from: usize, to: usize) {
    let mut buffer = VectorBuffer::new(data_type.clone());
    for value in values {
        buffer.push_value(value).unwrap();
    }
    let (from, to) = (from.min(to).min(values.len()), from.max(to).min(values.len()));
    let expected: Vec<Value> = (0..values.len()).map(|row| buffer.vector().value(row, data_type)).collect();
    let lender = memory_lender();
    for force_encoding in KINDS {
        let options = WriteOptions { force_encoding };
        let chunk = write_chunk(&buffer.vector(), data_type, values.len(), &options).unwrap();
        let chunk = through_bytes(chunk);
        for (from, to) in [(0, values.len()), (from, to)] {
            let mut out = VectorBuffer::new(data_type.clone());
            out.push_null();
            append_rows(&chunk, data_type, from..to, &lender, &mut out).unwrap();
            assert_eq!(out.len(), to - from + 1);
            let found: Vec<Value> = (1..out.len()).map(|row| out.vector().value(row, data_type)).collect();
            assert_eq!(
                format!("{found:?}"),
                format!("{:?}", &expected[from..to]),
                "{data_type} {force_encoding:?}"
            );
        }
        let nulls = expected.iter().filter(|value| value.is_null()).count();
        assert_eq!(chunk.statistics.null_count as usize, nulls);
    }
}

fn scalar(data_type: DataType) -> BoxedStrategy<Value> {
    let small = -4i64..4;
    match data_type {
        DataType::Bool => any::<bool>().prop_map(Value::Bool).boxed(),
        DataType::Int8 => any::<i8>().prop_map(Value::Int8).boxed(),
        DataType::Int64 => prop_oneof![any::<i64>(), small].prop_map(Value::Int64).boxed(),
        DataType::Int128 => any::<i128>().prop_map(Value::Int128).boxed(),
        DataType::UInt16 => any::<u16>().prop_map(Value::UInt16).boxed(),
        DataType::UInt64 => any::<u64>().prop_map(Value::UInt64).boxed(),
        DataType::Float => any::<f32>().prop_map(Value::Float).boxed(),
        DataType::Double => prop_oneof![any::<f64>(), Just(0.5)].prop_map(Value::Double).boxed(),
        DataType::Decimal { precision, scale } => {
            small.prop_map(move |value| Value::Decimal(i128::from(value), precision, scale)).boxed()
        }
        DataType::String => "[a-z]{0,3}|.{0,40}".prop_map(Value::String).boxed(),
        DataType::Blob => prop::collection::vec(any::<u8>(), 0..20).prop_map(Value::Blob).boxed(),
        DataType::Uuid => any::<i128>().prop_map(Value::Uuid).boxed(),
        DataType::Date => small.prop_map(Value::Date).boxed(),
        DataType::Timestamp(unit) => {
            any::<i64>().prop_map(move |value| Value::Timestamp(unit, value)).boxed()
        }
        DataType::Time => (0i64..1000, -3600i32..3600)
            .prop_map(|(nanos, offset_seconds)| Value::Time(Time { nanos, offset_seconds }))
            .boxed(),
        DataType::Interval => (small, any::<i64>(), 0i64..5, 0i32..1_000_000_000)
            .prop_map(|(months, days, seconds, nanos)| {
                Value::Interval(Interval { months, days, seconds, nanos })
            })
            .boxed(),
        DataType::DateTime => (any::<i64>(), -3600i32..3600, any::<bool>())
            .prop_map(|(nanos, offset_seconds, named)| {
                let zone = if named { ZoneId::intern("Europe/Stockholm").unwrap() } else { ZoneId::NONE };
                Value::DateTime(Zoned { nanos: i128::from(nanos), offset_seconds, zone })
            })
            .boxed(),
        DataType::LocalDateTime => any::<i64>().prop_map(|value| Value::LocalDateTime(value.into())).boxed(),
        other => panic!("no strategy for {other}"),
    }
}

fn nullable(inner: BoxedStrategy<Value>) -> BoxedStrategy<Value> {
    prop_oneof![5 => inner, 1 => Just(Value::Null)].boxed()
}

fn scalar_types() -> Vec<DataType> {
    use DataType::*;
    let decimal = Decimal { precision: 18, scale: 3 };
    vec![
        Bool,
        Int8,
        Int64,
        Int128,
        UInt16,
        UInt64,
        Float,
        Double,
        decimal,
        String,
        Blob,
        Uuid,
        Date,
        Timestamp(TimestampUnit::Us),
        Time,
        Interval,
        DateTime,
        LocalDateTime,
    ]
}

fn strategy(data_type: &DataType) -> BoxedStrategy<Value> {
    let inner = match data_type {
        DataType::List(element) => {
            prop::collection::vec(strategy(element), 0..5).prop_map(Value::List).boxed()
        }
        DataType::Array(element, length) => {
            prop::collection::vec(strategy(element), *length as usize).prop_map(Value::List).boxed()
        }
        DataType::Map(key, value) => {
            let entry = (scalar((**key).clone()), strategy(value));
            prop::collection::vec(entry, 0..4).prop_map(Value::Map).boxed()
        }
        DataType::Struct(fields) => {
            let names: Vec<String> = fields.iter().map(|field| field.name.clone()).collect();
            let members: Vec<_> = fields.iter().map(|field| strategy(&field.data_type)).collect();
            members.prop_map(move |values| Value::Struct(names.iter().cloned().zip(values).collect())).boxed()
        }
        DataType::Union(fields) => {
            let options: Vec<_> = fields
                .iter()
                .map(|field| {
                    let name = field.name.clone();
                    scalar(field.data_type.clone())
                        .prop_map(move |value| Value::Union(name.clone(), Box::new(value)))
                })
                .collect();
            prop::strategy::Union::new(options).boxed()
        }
        DataType::Any => {
            let options =
                [DataType::Int64, DataType::String, DataType::Interval, DataType::Double].map(scalar);
            let list = prop::collection::vec(scalar(DataType::Int64), 1..3).prop_map(Value::List).boxed();
            prop::strategy::Union::new(options.into_iter().chain([list])).boxed()
        }
        scalar_type => scalar(scalar_type.clone()),
    };
    nullable(inner)
}

pub fn case() -> impl Strategy<Value = (DataType, Vec<Value>)> {
    let field = |name: &str, data_type| Field::new(name, data_type);
    let nested = vec![
        DataType::list(DataType::Int64),
        DataType::list(DataType::list(DataType::String)),
        DataType::Array(Box::new(DataType::Float), 3),
        DataType::map(DataType::String, DataType::Double),
        DataType::Struct(vec![field("a", DataType::Int64), field("b", DataType::list(DataType::Time))]),
        DataType::Union(vec![field("n", DataType::Int64), field("s", DataType::String)]),
        DataType::Any,
    ];
    let types: Vec<DataType> = scalar_types().into_iter().chain(nested).collect();
    prop::sample::select(types).prop_flat_map(|data_type| {
        let values = prop::collection::vec(strategy(&data_type), 0..70);
        (Just(data_type), values)
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]
    #[test]
    fn every_type_and_encoding_comes_back((data_type, values) in case(), from in 0usize..70, to in 0usize..70) {
        check(&data_type, &values, from, to);
    }
}

#[test]
fn wide_ranges_of_rows_cross_blocks() {
    let values: Vec<Value> = (0..5000)
        .map(|row| match row % 7 {
            0 => Value::Null,
            _ => Value::Int64(row * row % 1013),
        })
        .collect();
    check(&DataType::Int64, &values, 900, 3100);
    let lists: Vec<Value> = values.chunks(3).map(|chunk| Value::List(chunk.to_vec())).collect();
    check(&DataType::list(DataType::Int64), &lists, 1, 1025);
    let texts: Vec<Value> = (0..3000).map(|row| Value::String("text ".repeat(row % 9))).collect();
    check(&DataType::String, &texts, 1000, 2999);
}

#[test]
fn damaged_segments_are_errors_not_panics() {
    let data_type = DataType::list(DataType::String);
    let mut buffer = VectorBuffer::new(data_type.clone());
    for row in 0..300 {
        let texts = (0..row % 4).map(|i| Value::String(format!("text {}", row * i))).collect();
        buffer.push_value(&Value::List(texts)).unwrap();
    }
    let lender = memory_lender();
    for force_encoding in KINDS {
        let options = WriteOptions { force_encoding };
        let good = write_chunk(&buffer.vector(), &data_type, 300, &options).unwrap();
        for seed in 0..200u64 {
            let mut salt = seed;
            let broken = good.clone().try_map::<_, ()>(&mut |mut bytes: Vec<u8>| {
                salt = super::encoding::choose::mix(salt);
                if !bytes.is_empty() {
                    let at = (salt >> 8) as usize % bytes.len();
                    bytes[at] ^= salt as u8;
                    if salt & 1 == 0 {
                        bytes.truncate(at);
                    }
                }
                Ok(bytes)
            });
            let mut out = VectorBuffer::new(data_type.clone());
            // Any result is fine as long as it is one.
            let _ = append_rows(&through_bytes(broken.unwrap()), &data_type, 3..290, &lender, &mut out);
        }
    }
}
