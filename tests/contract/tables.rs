//! Column chunks of every type under every encoding, a group page of rows and one of adjacency.

use std::sync::Arc;

use parking_lot::Mutex;
use quiredb::storage::buffer_pool::{Admission, BufferPool, SegmentRef};
use quiredb::storage::column::EncodingKind;
use quiredb::storage::column::bytes::{ByteReader, ByteWriter};
use quiredb::storage::column::chunk::{Chunk, Location};
use quiredb::storage::column::chunk_reader::{Lender, append_rows};
use quiredb::storage::column::chunk_writer::{WriteOptions, write_chunk};
use quiredb::storage::page::{ExtentRef, PageId, PageRef, PageSource, pages_for};
use quiredb::storage::table::bulk::{NodeBulkLoad, RelBulkLoad, RelBulkTarget};
use quiredb::storage::table::csr_run::RunIds;
use quiredb::storage::table::group_page::{ExtentSink, GroupPage};
use quiredb::storage::table::patch_segment::{decode_patch, encode_patch};
use quiredb::storage::table::{ColumnLayout, TableLayout};
use quiredb::storage::{StorageError, StorageResult};
use quiredb::types::{
    ColumnId, DataType, Field, Interval, TableId, Time, TimestampUnit, Value, ZoneId, Zoned,
};
use quiredb::vector::VectorBuffer;

use super::golden;

struct NoPages;

impl PageSource for NoPages {
    fn read_pages(&self, _: &[PageRef], _: &str, _: &mut [u8]) -> StorageResult<()> {
        Err(StorageError::ReadOnly)
    }
}

const KINDS: [EncodingKind; 5] = [
    EncodingKind::Constant,
    EncodingKind::Plain,
    EncodingKind::BitPacked,
    EncodingKind::Dictionary,
    EncodingKind::RunLength,
];

/// Rows of one type: with repetition, nulls and the ends of the range where they matter.
fn rows(data_type: &DataType) -> Vec<Value> {
    (0..20).map(|row| if row == 3 || row == 11 { Value::Null } else { value(data_type, row / 3) }).collect()
}

fn value(data_type: &DataType, n: i64) -> Value {
    use DataType as T;
    match data_type {
        T::Bool => Value::Bool(n % 2 == 0),
        T::Int8 => Value::Int8(n as i8 - 3),
        T::Int16 => Value::Int16(n as i16 * 300),
        T::Int32 => Value::Int32(n as i32 * -70_000),
        T::Int64 => Value::Int64(n * n * 1_000_003),
        T::Int128 => Value::Int128(i128::from(n) << 70),
        T::UInt8 => Value::UInt8(n as u8 + 249),
        T::UInt16 => Value::UInt16(n as u16 * 9000),
        T::UInt32 => Value::UInt32(u32::MAX - n as u32),
        T::UInt64 => Value::UInt64(u64::MAX - n as u64),
        T::Float => Value::Float(n as f32 * 0.5),
        T::Double => Value::Double(n as f64 * -0.1),
        T::Decimal { precision, scale } => Value::Decimal(i128::from(n) * 1234, *precision, *scale),
        T::String => Value::String("text ".repeat(n as usize)),
        T::Blob => Value::Blob(vec![n as u8; n as usize]),
        T::Uuid => Value::Uuid(i128::from(n) * 0x0123_4567_89AB_CDEF_0123),
        T::Date => Value::Date(n + 19_000),
        T::Time => Value::Time(Time { nanos: n * 1_000_000_007, offset_seconds: 3600 }),
        T::LocalTime => Value::LocalTime(n * 1_000_000_007),
        T::LocalDateTime => Value::LocalDateTime(i128::from(n) * 1_000_000_000_000_007),
        T::DateTime => Value::DateTime(Zoned {
            nanos: i128::from(n) << 66,
            offset_seconds: 7200,
            zone: if n % 2 == 0 { ZoneId::NONE } else { ZoneId::intern("Europe/Stockholm").unwrap() },
        }),
        T::Timestamp(unit) => Value::Timestamp(*unit, n * 86_400),
        T::TimestampTz => Value::TimestampTz(n * 86_400_000_000),
        T::Interval => Value::Interval(Interval { months: n, days: -n, seconds: n * 60, nanos: 5 }),
        T::Json => Value::Json(format!("{{\"n\":{n}}}")),
        T::List(element) | T::Array(element, _) if matches!(data_type, T::Array(..)) => {
            Value::List(vec![value(element, n), value(element, n + 1)])
        }
        T::List(element) => Value::List((0..n % 4).map(|n| value(element, n)).collect()),
        T::Map(key, item) => Value::Map((0..n % 3).map(|n| (value(key, n), value(item, n))).collect()),
        T::Struct(fields) => Value::Struct(
            fields.iter().map(|field| (field.name.clone(), value(&field.data_type, n))).collect(),
        ),
        T::Union(fields) => {
            let field = &fields[n as usize % fields.len()];
            Value::Union(field.name.clone(), Box::new(value(&field.data_type, n)))
        }
        T::Any if n % 2 == 0 => value(&T::Int64, n),
        T::Any => value(&T::list(T::String), n),
        other => panic!("{other} is not stored"),
    }
}

fn check(name: &str, data_type: DataType) {
    let mut buffer = VectorBuffer::new(data_type.clone());
    rows(&data_type).iter().for_each(|value| buffer.push_value(value).unwrap());
    let mut out = ByteWriter::default();
    for kind in KINDS {
        let options = WriteOptions { force_encoding: Some(kind) };
        let chunk = write_chunk(&buffer.vector(), &data_type, buffer.len(), &options).unwrap();
        let placed = chunk.try_map::<_, ()>(&mut |bytes| Ok(Location::Inline(bytes))).unwrap();
        placed.encode(&mut out);
    }
    let fixture = golden(&format!("column_{name}_v1.bin"), &out.bytes);
    let lender = Lender { pool: BufferPool::new(4 << 20, Arc::new(NoPages)), admission: Admission::Frames };
    let mut input = ByteReader::new(&fixture);
    for kind in KINDS {
        let located = Chunk::decode(&mut input).unwrap().try_map::<_, ()>(&mut |location| match location {
            Location::Inline(bytes) => Ok(SegmentRef::inline(&bytes)),
            Location::Extent { .. } => Err(()),
        });
        let mut found = VectorBuffer::new(data_type.clone());
        append_rows(&located.unwrap(), &data_type, 0..buffer.len(), &lender, &mut found).unwrap();
        for row in 0..buffer.len() {
            let (expected, found) =
                (buffer.vector().value(row, &data_type), found.vector().value(row, &data_type));
            assert_eq!(found, expected, "{name} {kind:?} row {row}");
        }
    }
    assert_eq!(input.remaining(), 0);
}

#[test]
fn chunks_of_scalar_types() {
    use DataType::*;
    check("bool", Bool);
    check("int8", Int8);
    check("int16", Int16);
    check("int32", Int32);
    check("int64", Int64);
    check("int128", Int128);
    check("uint8", UInt8);
    check("uint16", UInt16);
    check("uint32", UInt32);
    check("uint64", UInt64);
    check("float", Float);
    check("double", Double);
    check("decimal", Decimal { precision: 18, scale: 3 });
    check("string", String);
    check("blob", Blob);
    check("json", Json);
    check("uuid", Uuid);
    check("date", Date);
    check("time", Time);
    check("local_time", LocalTime);
    check("local_date_time", LocalDateTime);
    check("date_time", DateTime);
    check("timestamp", Timestamp(TimestampUnit::Us));
    check("timestamp_tz", TimestampTz);
    check("interval", Interval);
}

#[test]
fn chunks_of_nested_types() {
    let fields = || vec![Field::new("a", DataType::Int64), Field::new("b", DataType::String)];
    check("list", DataType::list(DataType::Int64));
    check("list_of_lists", DataType::list(DataType::list(DataType::String)));
    check("array", DataType::Array(Box::new(DataType::Double), 2));
    check("map", DataType::map(DataType::String, DataType::Int64));
    check("struct", DataType::Struct(fields()));
    check("union", DataType::Union(fields()));
    check("any", DataType::Any);
}

/// Keeps extents; pages are numbered from 2 without reference pages.
#[derive(Default)]
struct KeptExtents(Mutex<Vec<Vec<u8>>>);

impl ExtentSink for KeptExtents {
    fn write_extent(&self, bytes: &[u8]) -> StorageResult<ExtentRef> {
        let mut kept = self.0.lock();
        let first = 2 + kept.iter().map(|bytes| pages_for(bytes.len() as u64)).sum::<u64>();
        let root = PageRef { page: PageId(first), ..PageRef::default() };
        kept.push(bytes.to_vec());
        Ok(ExtentRef { root, first_page: PageId(first), depth: 0, byte_length: bytes.len() as u64 })
    }
}

impl KeptExtents {
    fn last(&self) -> Vec<u8> {
        self.0.lock().last().cloned().unwrap_or_default()
    }
    fn get(&self, extent: &ExtentRef) -> Vec<u8> {
        let kept = self.0.lock();
        let mut page = 2;
        for bytes in kept.iter() {
            if page == extent.first_page.0 {
                return bytes.clone();
            }
            page += pages_for(bytes.len() as u64);
        }
        Vec::new()
    }
}

fn layout(columns: &[(&str, DataType)]) -> Arc<TableLayout> {
    let column = |(id, (name, data_type)): (u32, &(&str, DataType))| ColumnLayout {
        id: ColumnId(id),
        name: (*name).to_owned(),
        data_type: data_type.clone(),
    };
    let columns = (4..).zip(columns).map(column).collect();
    Arc::new(TableLayout { id: TableId(9), name: "Thing".to_owned(), columns })
}

#[test]
fn group_page_of_rows() {
    let sink = KeptExtents::default();
    let columns = [("id", DataType::Int64), ("name", DataType::String), ("none", DataType::Date)];
    let bulk = NodeBulkLoad::begin(&sink, layout(&columns), 0, WriteOptions::default());
    let mut buffers = columns.map(|(_, data_type)| VectorBuffer::new(data_type));
    for row in 0..2000i64 {
        buffers[0].push(row * 3);
        buffers[1].push_str(&format!("name {}", row * 7 % 1000));
        buffers[2].push_null();
    }
    bulk.append(&buffers.each_ref().map(VectorBuffer::vector), 2000).unwrap();
    bulk.finish().unwrap();
    let page = GroupPage::decode(&golden("group_page_v1.bin", &sink.last())).unwrap();
    assert_eq!((page.row_count, page.group, page.table), (2000, 0, TableId(9)));
    let ids: Vec<ColumnId> = page.columns.iter().map(|(id, _)| *id).collect();
    assert_eq!(ids, [ColumnId(4), ColumnId(5)]);
    golden("group_segments_v1.bin", &sink.get(&page.extents[0]));
}

#[test]
fn group_pages_of_adjacency() {
    let sink = KeptExtents::default();
    let target = RelBulkTarget {
        layout: layout(&[]),
        source_rows: 300,
        destination_rows: 300,
        same_table: true,
        row_bound: 0,
    };
    let bulk = RelBulkLoad::begin(&sink, target.clone(), WriteOptions::default());
    let sources: Vec<u64> = (0..2000).map(|edge| edge * 7 % 300).collect();
    let destinations: Vec<u64> = (0..2000).map(|edge| edge * edge % 300).collect();
    bulk.append(&sources, &destinations, &[]).unwrap();
    let staged = bulk.finish(&|_, _| Ok(None), 1).unwrap();
    let forward =
        GroupPage::decode(&golden("csr_forward_v1.bin", &sink.get(&staged.forward[0].page))).unwrap();
    assert!(matches!(forward.runs[0].ids, RunIds::Implied { first: 0 }));
    golden("csr_forward_segments_v1.bin", &sink.get(&forward.extents[0]));
    let backward =
        GroupPage::decode(&golden("csr_backward_v1.bin", &sink.get(&staged.backward[0].page))).unwrap();
    assert_eq!(backward.runs[0].entry_count, 2000);
    golden("csr_backward_segments_v1.bin", &sink.get(&backward.extents[0]));
    // A second load joins the page with a run that lists the nodes it touches.
    let bulk =
        RelBulkLoad::begin(&sink, RelBulkTarget { row_bound: 2000, ..target }, WriteOptions::default());
    bulk.append(&[5, 5, 250], &[5, 9, 0], &[]).unwrap();
    let existing = |kind, _| Ok(Some(if kind == forward.kind { forward.clone() } else { backward.clone() }));
    let staged = bulk.finish(&existing, 1).unwrap();
    let page = GroupPage::decode(&golden("csr_two_runs_v1.bin", &sink.get(&staged.forward[0].page))).unwrap();
    assert_eq!((page.runs.len(), page.runs[1].node_count, page.runs[1].self_loops), (2, 2, 1));
    assert!(page.runs[1].nodes.is_some());
}

#[test]
fn patch_segments() {
    let data_type = DataType::String;
    let mut values = VectorBuffer::new(data_type.clone());
    rows(&data_type).iter().for_each(|value| values.push_value(value).unwrap());
    let numbers: Vec<u16> = (0..20).map(|row| row * 3000).collect();
    let bytes = golden("patch_segment_v1.bin", &encode_patch(&numbers, &values.vector(), &data_type));
    let part = decode_patch(&bytes, &data_type, 65_536).unwrap();
    assert_eq!(part.rows(), numbers);
    let read: Vec<Value> = (0..20).map(|row| part.values().value(row, &data_type)).collect();
    assert_eq!(read, rows(&data_type));
}
