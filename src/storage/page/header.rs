//! The header of the page file: pages 0 and 1 are two copies of it. A change writes one copy, makes it durable and
//! only then writes the other, so one of the two is whole at every moment. The newest whole copy counts.

use uuid::Uuid;

use super::bytes::{get, get_u32, get_u64, put};
use super::{ExtentRef, PAGE_SIZE, PageId};
use crate::storage::{StorageError, StorageResult};

/// The first bytes of a page file.
pub const MAGIC: [u8; 8] = *b"QUIREDB1";
/// The newest version of the format, and so far the only one.
pub const FORMAT_VERSION: u32 = 1;
/// Pages 0 and 1.
pub const HEADER_PAGES: u64 = 2;

const VERSION_AT: usize = MAGIC.len();
const PAGE_SIZE_AT: usize = VERSION_AT + 4;
const UUID_AT: usize = PAGE_SIZE_AT + 4;
const CODEC_AT: usize = UUID_AT + 16;
const FLAGS_AT: usize = CODEC_AT + 4;
const GENERATION_AT: usize = FLAGS_AT + 4;
const PAGE_COUNT_AT: usize = GENERATION_AT + 8;
const COUNTER_MARK_AT: usize = PAGE_COUNT_AT + 8;
const CHECKPOINT_AT: usize = COUNTER_MARK_AT + 8;
const ROOT_AT: usize = CHECKPOINT_AT + 16;
const RESERVED_AT: usize = ROOT_AT + ExtentRef::SIZE;
const CHECKSUM_AT: usize = PAGE_SIZE - 4;

// The layout table in specs/format/database_file.md shows these numbers.
const _: () = assert!(UUID_AT == 16 && CODEC_AT == 32 && GENERATION_AT == 40 && PAGE_COUNT_AT == 48);
const _: () = assert!(COUNTER_MARK_AT == 56 && CHECKPOINT_AT == 64 && ROOT_AT == 80 && RESERVED_AT == 128);
const _: () = assert!(CHECKSUM_AT == 4092);

const FLEXIBLE_SCHEMA: u32 = 1;
const KUZU_DIALECT: u32 = 2;

/// Choices made when a database is created; they stay for its life.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct HeaderFlags {
    /// One open node table and open relationship tables, instead of declared ones only.
    pub flexible_schema: bool,
    /// The kuzu dialect is the default of connections, instead of openCypher.
    pub kuzu_dialect: bool,
}

impl HeaderFlags {
    fn encode(self) -> u32 {
        u32::from(self.flexible_schema) * FLEXIBLE_SCHEMA + u32::from(self.kuzu_dialect) * KUZU_DIALECT
    }

    fn decode(bits: u32) -> Option<HeaderFlags> {
        (bits & !(FLEXIBLE_SCHEMA | KUZU_DIALECT) == 0).then_some(HeaderFlags {
            flexible_schema: bits & FLEXIBLE_SCHEMA != 0,
            kuzu_dialect: bits & KUZU_DIALECT != 0,
        })
    }
}

/// A place in the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Lsn {
    /// The number of the segment.
    pub segment: u64,
    /// The byte within the segment.
    pub offset: u64,
}

/// What a header says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Header {
    /// Drawn at creation; in every checksum.
    pub uuid: Uuid,
    /// Which codec stored the pages.
    pub codec: u32,
    /// Choices made at creation.
    pub flags: HeaderFlags,
    /// Counts root switches; 1 at creation.
    pub generation: u64,
    /// Pages that belong to this root: all that it reaches or lists as free is below.
    pub page_count: u64,
    /// No page was ever written with a counter at or beyond this mark.
    pub counter_mark: u64,
    /// Where replay starts. With offset 0 no log is needed, and none need be there: the next one begins with this segment,
    /// or with the first one for 0.
    pub checkpoint: Lsn,
    /// The root page.
    pub root: ExtentRef,
}

/// Why a copy of the header cannot be used.
#[derive(Debug, Clone, PartialEq, Eq)]
enum CopyFault {
    Magic,
    Version(u32),
    Checksum { expected: u32, got: u32 },
    Content(String),
}

/// The header that counts, and what became of the two copies.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ChosenHeader {
    /// The newest whole copy.
    pub header: Header,
    /// Whether both copies say the same; if not a writer brings them together before it writes anything else.
    pub copies_agree: bool,
    /// The page of the copy that is overwritten first: the damaged or older one.
    pub stale_copy: PageId,
}

impl Header {
    /// The bytes of a copy.
    pub fn encode(&self) -> [u8; PAGE_SIZE] {
        let mut out = [0; PAGE_SIZE];
        put(&mut out, 0, MAGIC);
        put(&mut out, VERSION_AT, FORMAT_VERSION.to_le_bytes());
        put(&mut out, PAGE_SIZE_AT, (PAGE_SIZE as u32).to_le_bytes());
        put(&mut out, UUID_AT, *self.uuid.as_bytes());
        put(&mut out, CODEC_AT, self.codec.to_le_bytes());
        put(&mut out, FLAGS_AT, self.flags.encode().to_le_bytes());
        put(&mut out, GENERATION_AT, self.generation.to_le_bytes());
        put(&mut out, PAGE_COUNT_AT, self.page_count.to_le_bytes());
        put(&mut out, COUNTER_MARK_AT, self.counter_mark.to_le_bytes());
        put(&mut out, CHECKPOINT_AT, self.checkpoint.segment.to_le_bytes());
        put(&mut out, CHECKPOINT_AT + 8, self.checkpoint.offset.to_le_bytes());
        put(&mut out, ROOT_AT, self.root.encode());
        let checksum = crc32fast::hash(&out[..CHECKSUM_AT]);
        put(&mut out, CHECKSUM_AT, checksum.to_le_bytes());
        out
    }

    /// Reads one copy. The checksum is looked at before the version: magic, version and checksum keep their
    /// places in every version, and a flipped bit in the version is damage, not a newer format.
    fn decode(bytes: &[u8; PAGE_SIZE]) -> Result<Header, CopyFault> {
        if get(bytes, 0) != MAGIC {
            return Err(CopyFault::Magic);
        }
        let (expected, got) = (get_u32(bytes, CHECKSUM_AT), crc32fast::hash(&bytes[..CHECKSUM_AT]));
        if expected != got {
            return Err(CopyFault::Checksum { expected, got });
        }
        match get_u32(bytes, VERSION_AT) {
            FORMAT_VERSION => {}
            version => return Err(CopyFault::Version(version)),
        }
        match get_u32(bytes, PAGE_SIZE_AT) as usize {
            PAGE_SIZE => {}
            other => return Err(CopyFault::Content(format!("pages of {other} bytes, not {PAGE_SIZE}"))),
        }
        let bits = get_u32(bytes, FLAGS_AT);
        let flags = HeaderFlags::decode(bits)
            .ok_or_else(|| CopyFault::Content(format!("flags {bits:#x} that this release does not know")))?;
        if bytes[RESERVED_AT..CHECKSUM_AT].iter().any(|&byte| byte != 0) {
            return Err(CopyFault::Content("bytes in the reserved part".to_owned()));
        }
        Ok(Header {
            uuid: Uuid::from_bytes(get(bytes, UUID_AT)),
            codec: get_u32(bytes, CODEC_AT),
            flags,
            generation: get_u64(bytes, GENERATION_AT),
            page_count: get_u64(bytes, PAGE_COUNT_AT),
            counter_mark: get_u64(bytes, COUNTER_MARK_AT),
            checkpoint: Lsn {
                segment: get_u64(bytes, CHECKPOINT_AT),
                offset: get_u64(bytes, CHECKPOINT_AT + 8),
            },
            root: ExtentRef::decode(&get(bytes, ROOT_AT)),
        })
    }

    /// Later headers have larger ages: a switch raises the generation, reserving counters the mark.
    fn age(&self) -> (u64, u64) {
        (self.generation, self.counter_mark)
    }
}

/// Says what is wrong with a copy of a header that both copies should hold.
pub(super) fn check_copy(copy: &[u8; PAGE_SIZE], wanted: &Header) -> Result<(), String> {
    match Header::decode(copy) {
        Ok(header) if header == *wanted => Ok(()),
        Ok(header) => Err(format!("generation {} instead of {}", header.generation, wanted.generation)),
        Err(fault) => Err(describe(&fault)),
    }
}

/// Picks the header that counts from the first two pages of a file.
pub fn choose_header(file: &str, copies: &[[u8; PAGE_SIZE]; 2]) -> StorageResult<ChosenHeader> {
    let chosen =
        |header, copies_agree, stale| Ok(ChosenHeader { header, copies_agree, stale_copy: PageId(stale) });
    match (Header::decode(&copies[0]), Header::decode(&copies[1])) {
        // A whole copy of a newer format beside one of ours: an upgrade was under way, and it alone may finish it.
        (Err(CopyFault::Version(found)), _) | (_, Err(CopyFault::Version(found))) => {
            Err(StorageError::UnknownVersion { file: file.to_owned(), found, supported: FORMAT_VERSION })
        }
        (Ok(first), Ok(second)) if first.uuid != second.uuid => {
            Err(bad(file, "the two copies of the header belong to different databases".to_owned()))
        }
        (Ok(first), Ok(second)) if first == second => chosen(first, true, 0),
        (Ok(first), Ok(second)) if first.age() > second.age() => chosen(first, false, 1),
        (Ok(first), Ok(second)) if first.age() < second.age() => chosen(second, false, 0),
        (Ok(_), Ok(_)) => Err(bad(file, "the two copies of the header contradict each other".to_owned())),
        (Ok(first), Err(_)) => chosen(first, false, 1),
        (Err(_), Ok(second)) => chosen(second, false, 0),
        (Err(first), Err(second)) => Err(bad(file, describe_both(&first, &second))),
    }
}

fn bad(file: &str, detail: String) -> StorageError {
    StorageError::BadHeader { file: file.to_owned(), detail }
}

fn describe_both(first: &CopyFault, second: &CopyFault) -> String {
    match (first, second) {
        (CopyFault::Magic, CopyFault::Magic) => "it does not begin as one".to_owned(),
        (CopyFault::Content(detail), _) | (_, CopyFault::Content(detail)) => {
            format!("its header has {detail}")
        }
        _ => format!(
            "both copies of the header are damaged (page 0: {}; page 1: {})",
            describe(first),
            describe(second)
        ),
    }
}

fn describe(fault: &CopyFault) -> String {
    match fault {
        CopyFault::Magic => "wrong first bytes".to_owned(),
        CopyFault::Version(version) => format!("version {version}"),
        CopyFault::Checksum { expected, got } => {
            format!("checksum {got:#010x} instead of {expected:#010x}")
        }
        CopyFault::Content(detail) => detail.clone(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn header(generation: u64, counter_mark: u64) -> Header {
        Header {
            uuid: Uuid::from_u128(7),
            codec: 0,
            flags: HeaderFlags { flexible_schema: true, kuzu_dialect: false },
            generation,
            page_count: 3,
            counter_mark,
            checkpoint: Lsn { segment: 1, offset: 32 },
            root: ExtentRef { first_page: PageId(2), byte_length: 256, ..ExtentRef::default() },
        }
    }

    fn copies(first: (u64, u64), second: (u64, u64)) -> [[u8; PAGE_SIZE]; 2] {
        [header(first.0, first.1).encode(), header(second.0, second.1).encode()]
    }

    /// Sets bytes at a place of both copies and makes their checksums right again.
    fn forged(at: usize, bytes: &[u8]) -> [[u8; PAGE_SIZE]; 2] {
        let mut both = copies((1, 1), (1, 1));
        for copy in &mut both {
            copy[at..at + bytes.len()].copy_from_slice(bytes);
            let checksum = crc32fast::hash(&copy[..CHECKSUM_AT]);
            put(copy, CHECKSUM_AT, checksum.to_le_bytes());
        }
        both
    }

    fn check(copies: &[[u8; PAGE_SIZE]; 2], expected: (u64, u64, bool, u64)) {
        let chosen = choose_header("data.quire", copies).unwrap();
        let (generation, mark, agree, stale) = expected;
        assert_eq!(chosen.header, header(generation, mark));
        assert_eq!((chosen.copies_agree, chosen.stale_copy), (agree, PageId(stale)));
    }

    fn check_refused(copies: &[[u8; PAGE_SIZE]; 2], expected: &str) {
        let error = choose_header("data.quire", copies).unwrap_err().to_string();
        assert!(error.contains(expected), "{error}");
    }

    #[test]
    fn the_newest_whole_copy_counts() {
        check(&copies((5, 9), (5, 9)), (5, 9, true, 0));
        check(&copies((6, 9), (5, 9)), (6, 9, false, 1));
        check(&copies((5, 9), (6, 9)), (6, 9, false, 0));
        check(&copies((5, 9), (5, 10)), (5, 10, false, 0));
        let mut torn = copies((6, 9), (5, 9));
        torn[0][CHECKSUM_AT] ^= 1;
        check(&torn, (5, 9, false, 0));
    }

    #[test]
    fn every_flipped_bit_of_one_copy_is_survived_and_of_both_reported() {
        let whole = copies((5, 9), (5, 9));
        for bit in (0..PAGE_SIZE * 8).step_by(7) {
            let mut damaged = whole;
            damaged[1][bit / 8] ^= 1 << (bit % 8);
            check(&damaged, (5, 9, false, 1));
            damaged[0][bit / 8] ^= 1 << (bit % 8);
            assert!(choose_header("data.quire", &damaged).is_err());
        }
    }

    #[test]
    fn strangers_are_refused_with_a_reason() {
        check_refused(&[[0; PAGE_SIZE]; 2], "does not begin as one");
        check_refused(
            &forged(VERSION_AT, &9_u32.to_le_bytes()),
            "format version 9; this release reads up to 1",
        );
        check_refused(&forged(PAGE_SIZE_AT, &512_u32.to_le_bytes()), "pages of 512 bytes");
        check_refused(&forged(FLAGS_AT, &64_u32.to_le_bytes()), "flags 0x40");
        check_refused(&forged(RESERVED_AT, &[1]), "reserved part");
        let mut mixed = copies((1, 1), (1, 1));
        mixed[1] = Header { uuid: Uuid::from_u128(8), ..header(1, 1) }.encode();
        check_refused(&mixed, "different databases");
        mixed[1] = Header { page_count: 4, ..header(1, 1) }.encode();
        check_refused(&mixed, "contradict");
        let mut torn = copies((1, 1), (1, 1));
        torn[0][100] ^= 1;
        torn[1][0] ^= 1;
        check_refused(&torn, "page 1: wrong first bytes");
    }
}
