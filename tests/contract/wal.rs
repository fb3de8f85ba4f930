//! The log: a segment's header, a record of each kind, and a segment as the writer leaves it.

use std::sync::Arc;

use quiredb::storage::backend::{MemoryBackend, OpenMode, StorageBackend};
use quiredb::storage::page::Lsn;
use quiredb::storage::wal::{
    LogPosition, RecordKind, SegmentHeader, WalConfig, WalReader, decode_record, encode_record, segment_name,
};
use uuid::Uuid;

use super::golden;

const UUID: Uuid = Uuid::from_u128(0x0011_2233_4455_6677_8899_aabb_ccdd_eeff);
const KINDS: [RecordKind; 6] = [
    RecordKind::Part,
    RecordKind::LastPart,
    RecordKind::Commit,
    RecordKind::LastPartAndCommit,
    RecordKind::Marker,
    RecordKind::End,
];

#[test]
fn segment_headers() {
    let header = SegmentHeader { number: 0x0102_0304_0506, uuid: UUID };
    let bytes = golden("wal_segment_header_v1.bin", &header.encode());
    header.check(&bytes).unwrap();
}

#[test]
fn records() {
    let synced = Lsn { segment: 0x0102_0304_0505, offset: 0x1112_1314 };
    let payload = |kind: RecordKind| if kind.is_internal() { "" } else { "a payload" };
    let position =
        |offset: u64| LogPosition { uuid: UUID, lsn: Lsn { segment: 0x0102_0304_0506, offset: 32 + offset } };
    let mut bytes = Vec::new();
    for (at, kind) in KINDS.into_iter().enumerate() {
        let transaction = 0x2122_2324_2526_2728 + at as u64;
        let place = position(bytes.len() as u64);
        encode_record(place, kind, synced, transaction, payload(kind).as_bytes(), &mut bytes);
    }
    let bytes = golden("wal_records_v1.bin", &bytes);
    let mut at = 0;
    for (number, kind) in KINDS.into_iter().enumerate() {
        let record = decode_record(position(at), &bytes[at as usize..]).unwrap();
        assert_eq!((record.kind, record.synced), (kind, synced));
        assert_eq!(record.transaction, 0x2122_2324_2526_2728 + number as u64);
        assert_eq!(record.payload, payload(kind).as_bytes());
        at = record.end.offset - 32;
    }
    assert_eq!(at, bytes.len() as u64);
}

#[test]
fn a_segment() {
    let written = MemoryBackend::new();
    let open = |backend: &MemoryBackend| {
        WalReader::open(Arc::new(backend.clone()), UUID, Lsn::default()).expect("the log is whole")
    };
    let writer = open(&written).finish(WalConfig::default()).unwrap();
    writer.append(7, RecordKind::Part, b"one".to_vec()).unwrap();
    writer.append(7, RecordKind::LastPart, b"two".to_vec()).unwrap();
    writer.append(7, RecordKind::Commit, b"".to_vec()).unwrap();
    writer.flush().unwrap();
    writer.append(8, RecordKind::LastPartAndCommit, b"three".to_vec()).unwrap();
    writer.flush().unwrap();
    let file = written.open(&segment_name(1), OpenMode::Read).unwrap();
    let mut bytes = vec![0; 2048];
    file.read_at(0, &mut bytes).unwrap();
    let fixture = golden("wal_segment_v1.bin", &bytes);

    let read = MemoryBackend::new();
    let file = read.open(&segment_name(1), OpenMode::Create).unwrap();
    file.write_at(0, &fixture).unwrap();
    file.truncate(32 << 10).unwrap();
    let mut reader = open(&read);
    let records = std::iter::from_fn(|| reader.next_record().unwrap());
    let payloads: Vec<Vec<u8>> = records.map(|record| record.payload).collect();
    assert_eq!(payloads, [b"one".to_vec(), b"two".to_vec(), b"".to_vec(), b"three".to_vec()]);
}
