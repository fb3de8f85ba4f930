//! A segment: its name, its header, and how one comes to be.

use std::sync::Arc;

use uuid::Uuid;

use crate::storage::backend::{OpenMode, StorageBackend, StorageFile};
use crate::storage::page::Lsn;
use crate::storage::{StorageError, StorageResult};

/// The folder of segments.
pub const WAL_FOLDER: &str = "wal";
/// The first bytes of a segment.
pub const SEGMENT_MAGIC: [u8; 4] = *b"QWAL";
/// The only version of segments so far.
pub const SEGMENT_FORMAT_VERSION: u16 = 1;
/// The bytes before the first record.
pub const SEGMENT_HEADER_SIZE: usize = 32;
/// A segment with records grows in steps of this size.
pub const GROWTH_STEP: u64 = 32 << 10;
/// A segment grows by at most as much at once, unless one record needs more.
const GROWTH_MAX: u64 = 4 << 20;
/// What a disk writes at once.
pub const SECTOR_SIZE: u64 = 512;

const VERSION_AT: usize = 4;
const NUMBER_AT: usize = VERSION_AT + 2;
const UUID_AT: usize = NUMBER_AT + 6;
const CHECKSUM_AT: usize = UUID_AT + 16;
const _: () = assert!(CHECKSUM_AT + 4 == SEGMENT_HEADER_SIZE);
/// Segments' numbers have 48 bits.
const NUMBER_MAX: u64 = (1 << 48) - 1;

/// The name of a segment's file within the database directory.
pub fn segment_name(number: u64) -> String {
    format!("{WAL_FOLDER}/wal-{number:06}.seg")
}

/// The name of a segment that is being made.
fn unfinished_name(number: u64) -> String {
    format!("{WAL_FOLDER}/wal-{number:06}.new")
}

fn number_of(name: &str, ending: &str) -> Option<u64> {
    let number = name.strip_prefix("wal-")?.strip_suffix(ending)?.parse().ok()?;
    (format!("{WAL_FOLDER}/{name}") == format!("{WAL_FOLDER}/wal-{number:06}{ending}")).then_some(number)
}

/// The numbers of all segments in order; none where there is no folder of segments.
pub(super) fn list_segments(backend: &dyn StorageBackend) -> StorageResult<Vec<u64>> {
    list_numbers(backend, ".seg")
}

/// The number of the last segment; 0 without one.
pub(in crate::storage) fn last_segment(backend: &dyn StorageBackend) -> StorageResult<u64> {
    Ok(list_segments(backend)?.last().copied().unwrap_or(0))
}

/// Removes what no header needs any more, oldest first.
pub(in crate::storage) fn remove_all_segments(backend: &dyn StorageBackend) -> StorageResult<()> {
    let segments = list_segments(backend)?;
    segments.iter().try_for_each(|number| backend.remove(&segment_name(*number)))?;
    remove_unfinished(backend, 0)?;
    match segments.is_empty() {
        true => Ok(()),
        false => backend.sync_dir(WAL_FOLDER),
    }
}

fn list_numbers(backend: &dyn StorageBackend, ending: &str) -> StorageResult<Vec<u64>> {
    let names = match backend.list(WAL_FOLDER) {
        Ok(names) => names,
        Err(StorageError::Io { source, .. }) if source.kind() == std::io::ErrorKind::NotFound => vec![],
        Err(error) => return Err(error),
    };
    let mut numbers: Vec<u64> = names.iter().filter_map(|name| number_of(name, ending)).collect();
    numbers.sort_unstable();
    Ok(numbers)
}

/// Whether a segment is being made, or was when the process ended.
pub(super) fn is_begun(backend: &dyn StorageBackend, number: u64) -> StorageResult<bool> {
    Ok(list_numbers(backend, ".new")?.contains(&number))
}

/// Removes what an interrupted making of segments left, but for the one that comes next: the end of the segment before
/// promises that it is there.
pub(super) fn remove_unfinished(backend: &dyn StorageBackend, next: u64) -> StorageResult<()> {
    let left = list_numbers(backend, ".new")?.into_iter().filter(|number| *number != next);
    left.into_iter().try_for_each(|number| backend.remove(&unfinished_name(number)))
}

/// The error of a log whose bytes are not those that were written.
pub(in crate::storage) fn log_damage(lsn: Lsn, detail: impl Into<String>) -> StorageError {
    StorageError::LogCorrupt {
        file: segment_name(lsn.segment),
        segment: lsn.segment,
        offset: lsn.offset,
        detail: detail.into(),
    }
}

/// What a segment says about itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SegmentHeader {
    pub number: u64,
    pub uuid: Uuid,
}

impl SegmentHeader {
    /// The header's bytes.
    pub fn encode(&self) -> [u8; SEGMENT_HEADER_SIZE] {
        let mut bytes = [0; SEGMENT_HEADER_SIZE];
        bytes[..VERSION_AT].copy_from_slice(&SEGMENT_MAGIC);
        bytes[VERSION_AT..NUMBER_AT].copy_from_slice(&SEGMENT_FORMAT_VERSION.to_le_bytes());
        bytes[NUMBER_AT..UUID_AT].copy_from_slice(&self.number.to_le_bytes()[..UUID_AT - NUMBER_AT]);
        bytes[UUID_AT..CHECKSUM_AT].copy_from_slice(self.uuid.as_bytes());
        let sum = crc32fast::hash(&bytes[..CHECKSUM_AT]);
        bytes[CHECKSUM_AT..].copy_from_slice(&sum.to_le_bytes());
        bytes
    }

    /// Whether `bytes` begin with this header; the error says what else they are.
    pub fn check(&self, bytes: &[u8]) -> StorageResult<()> {
        let damage = |detail: &str| Err(log_damage(Lsn { segment: self.number, offset: 0 }, detail));
        let Some(header) = bytes.first_chunk::<SEGMENT_HEADER_SIZE>() else {
            return damage("the file is shorter than a segment's header");
        };
        if header[..VERSION_AT] != SEGMENT_MAGIC {
            return damage("the file does not begin as a segment does");
        }
        if header[CHECKSUM_AT..] != crc32fast::hash(&header[..CHECKSUM_AT]).to_le_bytes() {
            return damage("the header's checksum is wrong");
        }
        let version = u16::from_le_bytes([header[VERSION_AT], header[VERSION_AT + 1]]);
        if version != SEGMENT_FORMAT_VERSION {
            return Err(StorageError::UnknownVersion {
                file: segment_name(self.number),
                found: u32::from(version),
                supported: u32::from(SEGMENT_FORMAT_VERSION),
            });
        }
        if header[UUID_AT..CHECKSUM_AT] != *self.uuid.as_bytes() {
            return damage("the segment belongs to another database");
        }
        match header == &self.encode() {
            true => Ok(()),
            false => damage("the header carries the number of another segment"),
        }
    }
}

/// A segment that has everything but its name.
pub(super) struct UnfinishedSegment {
    number: u64,
    pub file: Arc<dyn StorageFile>,
    pub size: u64,
}

/// Makes a segment with room for `bytes` of records, durable under the name of an unfinished one: from here on the
/// segment before may be ended. An error changes nothing.
pub(super) fn make_segment(
    backend: &dyn StorageBackend,
    header: SegmentHeader,
    bytes: u64,
) -> StorageResult<UnfinishedSegment> {
    if header.number > NUMBER_MAX {
        return Err(StorageError::Limit {
            what: "the number of a log segment".to_owned(),
            limit: NUMBER_MAX,
        });
    }
    let name = unfinished_name(header.number);
    let was_there = backend.exists(&name)?;
    let made = fill_segment(backend, header, &name, grown_size(bytes));
    if made.is_err() && !was_there {
        // What stays behind is removed when the log is opened next.
        let _ = backend.remove(&name);
    }
    made
}

fn fill_segment(
    backend: &dyn StorageBackend,
    header: SegmentHeader,
    name: &str,
    size: u64,
) -> StorageResult<UnfinishedSegment> {
    let file = backend.open(name, OpenMode::CreateOrOpen)?;
    // Left from an attempt that failed, and could not be removed either.
    file.truncate(0)?;
    file.write_at(0, &header.encode())?;
    if size > SEGMENT_HEADER_SIZE as u64 {
        file.preallocate(0, size)?;
    }
    file.sync()?;
    backend.sync_dir(WAL_FOLDER)?;
    Ok(UnfinishedSegment { number: header.number, file, size })
}

impl UnfinishedSegment {
    /// Gives the segment its name, durably. From here on the log goes on in it.
    pub fn publish(self, backend: &dyn StorageBackend) -> StorageResult<(Arc<dyn StorageFile>, u64)> {
        let name = segment_name(self.number);
        backend.rename(&unfinished_name(self.number), &name)?;
        backend.sync_dir(WAL_FOLDER)?;
        // Opened anew, so that messages call the file by its name.
        drop(self.file);
        Ok((backend.open(&name, OpenMode::Write)?, self.size))
    }
}

/// The size of a segment with `bytes` of records.
pub(super) fn grown_size(bytes: u64) -> u64 {
    match bytes {
        0 => SEGMENT_HEADER_SIZE as u64,
        _ => (SEGMENT_HEADER_SIZE as u64 + bytes).next_multiple_of(GROWTH_STEP),
    }
}

/// The size to which a segment of this size grows for `bytes` of records: by half of what it has, so that a busy log
/// seldom waits for the sync of a new size, and a log of a few commits stays small.
pub(super) fn next_size(size: u64, bytes: u64, limit: u64) -> u64 {
    let grown = (size + size / 2).min(size + GROWTH_MAX).min(limit);
    grown_size(bytes).max(grown - grown % GROWTH_STEP)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_numbers_of_six_digits_or_more() {
        let check =
            |name: &str, expected: Option<u64>| assert_eq!(number_of(name, ".seg"), expected, "{name}");
        check("wal-000001.seg", Some(1));
        check("wal-1234567.seg", Some(1_234_567));
        for name in ["wal-1.seg", "wal-0000001.seg", "wal-+00001.seg", "wal-000001.new", "000001.seg"] {
            check(name, None);
        }
        assert_eq!(segment_name(12), "wal/wal-000012.seg");
    }

    #[test]
    fn headers_are_checked() {
        let header = SegmentHeader { number: 5, uuid: Uuid::from_u128(77) };
        let bytes = header.encode();
        header.check(&bytes).unwrap();
        assert!(header.check(&bytes[..31]).is_err());
        assert!(SegmentHeader { number: 6, ..header }.check(&bytes).is_err());
        assert!(SegmentHeader { uuid: Uuid::nil(), ..header }.check(&bytes).is_err());
        for bit in 0..bytes.len() * 8 {
            let mut damaged = bytes;
            damaged[bit / 8] ^= 1 << (bit % 8);
            assert!(header.check(&damaged).is_err(), "bit {bit}");
        }
    }

    #[test]
    fn segments_grow_by_whole_steps_up_to_their_limit() {
        let check = |size: u64, bytes: u64, expected: u64| {
            assert_eq!(next_size(size, bytes, 64 << 20) / GROWTH_STEP, expected, "{size} {bytes}");
        };
        check(32, 1, 1);
        check(GROWTH_STEP, GROWTH_STEP, 2);
        check(4 * GROWTH_STEP, 4 * GROWTH_STEP, 6);
        check(4 * GROWTH_STEP, 100 * GROWTH_STEP, 101);
        check(32 << 20, 32 << 20, 36 * 32);
        check(63 << 20, 63 << 20, 64 * 32);
        check(64 << 20, 64 << 20, 64 * 32 + 1);
    }

    #[test]
    fn sizes_are_a_header_or_whole_steps() {
        let check = |bytes: u64, expected: u64| assert_eq!(grown_size(bytes), expected);
        check(0, 32);
        check(1, GROWTH_STEP);
        check(GROWTH_STEP - 32, GROWTH_STEP);
        check(GROWTH_STEP - 31, 2 * GROWTH_STEP);
    }
}
