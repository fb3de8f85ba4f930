//! A record: what it says about itself, and its payload.

use uuid::Uuid;

use crate::storage::page::Lsn;

/// The only version of records so far.
pub const RECORD_FORMAT_VERSION: u8 = 1;
/// The most bytes of one record's payload; a larger writeset has several parts.
pub const PAYLOAD_BYTES_MAX: usize = 16 << 20;

const CHECKSUM_AT: usize = 0;
const LENGTH_AT: usize = CHECKSUM_AT + 4;
const VERSION_AT: usize = LENGTH_AT + 4;
const FLAGS_AT: usize = VERSION_AT + 1;
const SYNCED_SEGMENT_AT: usize = FLAGS_AT + 1;
const SYNCED_OFFSET_AT: usize = SYNCED_SEGMENT_AT + 6;
const TRANSACTION_AT: usize = SYNCED_OFFSET_AT + 4;
/// The bytes of a record before its payload.
pub const RECORD_HEADER_SIZE: usize = TRANSACTION_AT + 8;
const _: () = assert!(RECORD_HEADER_SIZE == 28);

/// What a record is, as a byte of flags: 1 part, 2 last part, 4 commit, 64 marker, 128 end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum RecordKind {
    /// A part of a writeset; more follow.
    Part = 1,
    /// The last part of a writeset that is not yet real.
    LastPart = 3,
    /// Makes a writeset real that is complete; the payload is the commit's own.
    Commit = 4,
    /// The last or only part of a writeset, which it makes real.
    LastPartAndCommit = 7,
    /// Only repeats the synced LSN.
    Marker = 64,
    /// The segment ends here.
    End = 128,
}

impl RecordKind {
    fn of(flags: u8) -> Option<RecordKind> {
        use RecordKind::*;
        [Part, LastPart, Commit, LastPartAndCommit, Marker, End].into_iter().find(|kind| *kind as u8 == flags)
    }

    /// Whether the record makes its transaction real.
    pub fn is_commit(self) -> bool {
        matches!(self, RecordKind::Commit | RecordKind::LastPartAndCommit)
    }

    /// Whether the log makes such records itself.
    pub fn is_internal(self) -> bool {
        matches!(self, RecordKind::Marker | RecordKind::End)
    }
}

/// The log and the place in it that a record's checksum binds it to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LogPosition {
    pub uuid: Uuid,
    pub lsn: Lsn,
}

/// A record that was read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WalRecord {
    /// Where it begins.
    pub start: Lsn,
    /// Where it ends; what `WalWriter::append` gave for it.
    pub end: Lsn,
    /// Everything before this was durable when the record was written.
    pub synced: Lsn,
    pub transaction: u64,
    pub kind: RecordKind,
    pub payload: Vec<u8>,
}

/// A record within the bytes of a segment.
#[derive(Debug, Clone, Copy)]
pub(super) struct RecordView<'b> {
    pub synced: Lsn,
    pub transaction: u64,
    pub kind: RecordKind,
    pub payload: &'b [u8],
}

impl RecordView<'_> {
    pub fn size(&self) -> usize {
        RECORD_HEADER_SIZE + self.payload.len()
    }
}

/// Why no record was found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum NoRecord {
    /// Nothing here can be the start of a record.
    Absent,
    /// It looks like one, but its bytes are not those that were written.
    Damaged,
    /// It looks like one that reaches beyond the end of the bytes.
    Cut,
}

fn checksum(position: LogPosition, covered: &[u8]) -> u32 {
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(position.uuid.as_bytes());
    hasher.update(&position.lsn.segment.to_le_bytes());
    hasher.update(&position.lsn.offset.to_le_bytes());
    hasher.update(covered);
    hasher.finalize()
}

/// Appends a record's bytes to `out`. The payload has at most `PAYLOAD_BYTES_MAX` bytes.
pub fn encode_record(
    position: LogPosition,
    kind: RecordKind,
    synced: Lsn,
    transaction: u64,
    payload: &[u8],
    out: &mut Vec<u8>,
) {
    let start = out.len();
    out.extend_from_slice(&[0; LENGTH_AT]);
    out.extend_from_slice(&(payload.len() as u32).to_le_bytes());
    out.extend_from_slice(&[RECORD_FORMAT_VERSION, kind as u8]);
    out.extend_from_slice(&synced.segment.to_le_bytes()[..SYNCED_OFFSET_AT - SYNCED_SEGMENT_AT]);
    out.extend_from_slice(&(synced.offset as u32).to_le_bytes());
    out.extend_from_slice(&transaction.to_le_bytes());
    out.extend_from_slice(payload);
    let sum = checksum(position, &out[start + LENGTH_AT..]);
    out[start..start + LENGTH_AT].copy_from_slice(&sum.to_le_bytes());
}

/// A field of the header; its place is within `header`, whose size is fixed.
fn field<const N: usize>(header: &[u8; RECORD_HEADER_SIZE], at: usize, size: usize) -> [u8; N] {
    let mut bytes = [0; N];
    bytes[..size].copy_from_slice(&header[at..at + size]);
    bytes
}

/// Reads the record that begins with `bytes`.
pub(super) fn view_record(position: LogPosition, bytes: &[u8]) -> Result<RecordView<'_>, NoRecord> {
    let header = bytes.first_chunk::<RECORD_HEADER_SIZE>().ok_or(NoRecord::Absent)?;
    let (version, flags) = (header[VERSION_AT], header[FLAGS_AT]);
    let length = u32::from_le_bytes(field(header, LENGTH_AT, 4)) as usize;
    let kind = RecordKind::of(flags).ok_or(NoRecord::Absent)?;
    if version != RECORD_FORMAT_VERSION || length > PAYLOAD_BYTES_MAX {
        return Err(NoRecord::Absent);
    }
    let synced = Lsn {
        segment: u64::from_le_bytes(field(header, SYNCED_SEGMENT_AT, 6)),
        offset: u64::from(u32::from_le_bytes(field(header, SYNCED_OFFSET_AT, 4))),
    };
    // A record is written after what it calls synced; this also sorts out nearly all bytes that only look like one.
    if synced > position.lsn {
        return Err(NoRecord::Damaged);
    }
    let record = bytes.get(..RECORD_HEADER_SIZE + length).ok_or(NoRecord::Cut)?;
    let sum = u32::from_le_bytes(field(header, CHECKSUM_AT, 4));
    if checksum(position, &record[LENGTH_AT..]) != sum {
        return Err(NoRecord::Damaged);
    }
    let transaction = u64::from_le_bytes(field(header, TRANSACTION_AT, 8));
    Ok(RecordView { synced, transaction, kind, payload: &record[RECORD_HEADER_SIZE..] })
}

/// Reads the record that begins with `bytes`, for tools; `None` where there is no valid one.
pub fn decode_record(position: LogPosition, bytes: &[u8]) -> Option<WalRecord> {
    view_record(position, bytes).ok().map(|view| view.to_record(position.lsn))
}

impl RecordView<'_> {
    /// A record of its own that begins at `start`.
    pub fn to_record(self, start: Lsn) -> WalRecord {
        WalRecord {
            start,
            end: Lsn { offset: start.offset + self.size() as u64, ..start },
            synced: self.synced,
            transaction: self.transaction,
            kind: self.kind,
            payload: self.payload.to_vec(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn position(segment: u64, offset: u64) -> LogPosition {
        LogPosition { uuid: Uuid::from_u128(7), lsn: Lsn { segment, offset } }
    }

    fn encoded() -> Vec<u8> {
        let mut bytes = Vec::new();
        let synced = Lsn { segment: 2, offset: 60 };
        encode_record(position(3, 100), RecordKind::LastPart, synced, 9, b"payload", &mut bytes);
        bytes
    }

    fn check(position: LogPosition, bytes: &[u8], expected: Result<&[u8], NoRecord>) {
        assert_eq!(view_record(position, bytes).map(|view| view.payload), expected);
    }

    #[test]
    fn a_record_belongs_to_its_place() {
        let bytes = encoded();
        check(position(3, 100), &bytes, Ok(b"payload"));
        check(position(3, 101), &bytes, Err(NoRecord::Damaged));
        check(position(4, 100), &bytes, Err(NoRecord::Damaged));
        let elsewhere = LogPosition { uuid: Uuid::from_u128(8), ..position(3, 100) };
        check(elsewhere, &bytes, Err(NoRecord::Damaged));
        check(position(3, 100), &bytes[..bytes.len() - 1], Err(NoRecord::Cut));
        check(position(3, 100), &bytes[..20], Err(NoRecord::Absent));
        check(position(3, 100), &[0; 100], Err(NoRecord::Absent));
    }

    #[test]
    fn every_flipped_bit_is_seen() {
        let bytes = encoded();
        for bit in 0..bytes.len() * 8 {
            let mut damaged = bytes.clone();
            damaged[bit / 8] ^= 1 << (bit % 8);
            assert!(view_record(position(3, 100), &damaged).is_err(), "bit {bit}");
        }
    }
}
