//! A writeset of the log with changes of every kind and values of every type.

use quiredb::storage::delta::{ColumnValues, Delta, TableDelta};
use quiredb::storage::index::KeyRef;
use quiredb::storage::page::{ExtentRef, LoggedRoot, PageId, PageRef, PageRun, Root};
use quiredb::storage::wal::{CommittedLevel, Writeset};
use quiredb::types::{
    ColumnId, DataType, Field, Interval, TableId, Time, TimestampUnit, Value, ZoneId, Zoned,
};
use quiredb::vector::VectorBuffer;

use super::golden;

const VERSION: u64 = 0x0102_0304_0506_0708;

/// A value of each type; a null stands behind it.
fn samples() -> Vec<(DataType, Value)> {
    let text = |text: &str| Value::String(text.to_owned());
    let fields = vec![Field::new("n", DataType::Int64), Field::new("s", DataType::String)];
    let zoned = Zoned { nanos: 5, offset_seconds: 3600, zone: ZoneId::intern("Europe/Stockholm").unwrap() };
    let list = Value::List(vec![Value::Int64(1), Value::Null, Value::Int64(3)]);
    vec![
        (DataType::Bool, Value::Bool(true)),
        (DataType::Int8, Value::Int8(-2)),
        (DataType::Int16, Value::Int16(-3)),
        (DataType::Int32, Value::Int32(-4)),
        (DataType::Int64, Value::Int64(-5)),
        (DataType::Int128, Value::Int128(-6)),
        (DataType::UInt8, Value::UInt8(2)),
        (DataType::UInt16, Value::UInt16(3)),
        (DataType::UInt32, Value::UInt32(4)),
        (DataType::UInt64, Value::UInt64(5)),
        (DataType::Float, Value::Float(1.5)),
        (DataType::Double, Value::Double(-2.5)),
        (DataType::Decimal { precision: 18, scale: 3 }, Value::Decimal(12_345, 18, 3)),
        (DataType::String, text("a string that is longer than a view")),
        (DataType::Blob, Value::Blob(vec![0, 255])),
        (DataType::Uuid, Value::Uuid(7)),
        (DataType::Date, Value::Date(20_000)),
        (DataType::Time, Value::Time(Time { nanos: 9, offset_seconds: -60 })),
        (DataType::LocalTime, Value::LocalTime(10)),
        (DataType::LocalDateTime, Value::LocalDateTime(11)),
        (DataType::DateTime, Value::DateTime(zoned)),
        (DataType::Timestamp(TimestampUnit::Ms), Value::Timestamp(TimestampUnit::Ms, 12)),
        (DataType::TimestampTz, Value::TimestampTz(13)),
        (DataType::Interval, Value::Interval(Interval { months: 1, days: 2, seconds: 3, nanos: 4 })),
        (DataType::Serial, Value::Int64(14)),
        (DataType::Json, Value::Json("{}".to_owned())),
        (DataType::list(DataType::Int64), list.clone()),
        (
            DataType::Array(Box::new(DataType::Double), 2),
            Value::List(vec![Value::Double(1.0), Value::Double(2.0)]),
        ),
        (
            DataType::Struct(fields.clone()),
            Value::Struct(vec![("n".to_owned(), Value::Int64(1)), ("s".to_owned(), text("x"))]),
        ),
        (DataType::map(DataType::String, DataType::Int64), Value::Map(vec![(text("k"), Value::Int64(1))])),
        (DataType::Union(fields), Value::Union("s".to_owned(), Box::new(text("member")))),
        (DataType::Any, list),
    ]
}

fn buffer(data_type: &DataType, values: &[Value]) -> VectorBuffer {
    let mut buffer = VectorBuffer::new(data_type.clone());
    values.iter().for_each(|value| buffer.push_value(value).unwrap());
    buffer
}

fn add_rows(table: &mut TableDelta, first: u64) {
    let columns: Vec<(DataType, VectorBuffer)> = samples()
        .into_iter()
        .map(|(data_type, value)| (data_type.clone(), buffer(&data_type, &[value, Value::Null])))
        .collect();
    let vectors: Vec<ColumnValues<'_>> = (1..)
        .zip(&columns)
        .map(|(id, (data_type, buffer))| ColumnValues {
            column: ColumnId(id),
            data_type,
            values: buffer.vector(),
        })
        .collect();
    table.add_rows(first, &vectors, 2);
}

fn level() -> Delta {
    let mut delta = Delta::default();
    let nodes = delta.table_mut(TableId(3));
    add_rows(nodes, 65_535);
    let names = buffer(&DataType::String, &[Value::String("new".to_owned()), Value::Null]);
    nodes.patch(ColumnId(14), &DataType::String, &[7, 65_600], &names.vector());
    nodes.delete_rows(&[8, 9, 70_000]);
    nodes.add_keys(&mut [(KeyRef::Integer(5), 65_535), (KeyRef::Integer(4), 65_536)]);
    let rels = delta.table_mut(TableId(4));
    rels.add_rels(100, &[1, 65_536], &[65_535, 1], &[]).unwrap();
    rels.remove_rels(&[50], &[2], &[3]).unwrap();
    let named = delta.table_mut(TableId(5));
    named.add_key(KeyRef::Bytes(b"key"), 0);
    delta
}

#[test]
fn writesets() {
    let bytes = Writeset::encode(&level()).with_version(VERSION).concat();
    let fixture = golden("writeset_v1.bin", &bytes);
    let read = CommittedLevel::decode(&fixture).unwrap();
    assert_eq!(read.version, VERSION);
    let nodes = read.delta.table(TableId(3)).unwrap();
    assert_eq!((nodes.row_bound(), nodes.live_rows()), (65_537, -1));
    for group in [0, 1] {
        let births = nodes.group(group).unwrap().births();
        let part = births.iter().next().unwrap();
        for (id, (data_type, value)) in (1..).zip(samples()) {
            let found = part.column(ColumnId(id)).map(|values| values.vector().value(0, values.data_type()));
            let expected = if group == 0 { value } else { Value::Null };
            assert_eq!(format!("{:?}", found.unwrap_or(Value::Null)), format!("{expected:?}"), "{data_type}");
        }
    }
    assert_eq!(nodes.find_key(KeyRef::Integer(4)), Some(65_536));
    assert_eq!(read.delta.table(TableId(5)).unwrap().find_key(KeyRef::Bytes(b"key")), Some(0));
}

/// A root with extents of different sizes, as far as a commit names them.
fn root() -> LoggedRoot {
    let extent = |page: u64, pages: u64| ExtentRef {
        root: PageRef { page: PageId(page + pages), counter: page * 3, checksum: page as u32, tag: [0; 16] },
        first_page: PageId(page),
        depth: 1,
        byte_length: pages * 4096,
    };
    let root = Root {
        generation: 5,
        commit_version: VERSION,
        catalog_version: 6,
        next_table_id: 7,
        next_column_id: 8,
        catalog: extent(100, 2),
        statistics: extent(200, 3),
        free_space: extent(300, 4),
        table_directory: extent(400, 5),
    };
    let run = |first, count| PageRun { first: PageId(first), count };
    LoggedRoot { root, added: vec![run(100, 3), run(400, 6)], retired: vec![run(50, 1)] }
}

#[test]
fn writesets_over_a_root() {
    let bytes = Writeset::encode_over(&root(), &level()).with_version(VERSION).concat();
    let fixture = golden("writeset_v2.bin", &bytes);
    let read = CommittedLevel::decode(&fixture).unwrap();
    assert_eq!((read.version, read.root), (VERSION, Some(root())));
    let plain = Writeset::encode(&level()).with_version(VERSION).concat();
    assert_eq!(plain[9..], fixture[fixture.len() - (plain.len() - 9)..], "the level follows as it is");
    // Whatever is cut off or does not fit is found.
    for length in (0..fixture.len()).step_by(7) {
        assert!(CommittedLevel::decode(&fixture[..length]).is_err(), "{length}");
    }
    for (at, byte) in [(8, 3), (9, 9), (9 + 255, 1), (9 + 256 + 4 + 7, 1), (9 + 256 + 4 + 8, 0)] {
        let mut damaged = fixture.clone();
        damaged[at] = byte;
        assert!(CommittedLevel::decode(&damaged).is_err(), "{at}");
    }
}
