//! Names of pages: `PageId`, `PageRef` (32 bytes on disk) and `ExtentRef` (48 bytes on disk).

use std::fmt;

/// Bytes of a page.
pub const PAGE_SIZE: usize = 4096;
/// References that fit into one reference page.
pub const REFS_PER_PAGE: usize = PAGE_SIZE / PageRef::SIZE;
/// Pages of one address-space region (1 GiB); no extent crosses a multiple of it.
pub const REGION_PAGES: u64 = 1 << 18;

/// The number of a page in the page file; 48 bits on disk.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct PageId(pub u64);

impl PageId {
    /// The byte offset of the page in its file.
    pub const fn offset(self) -> u64 {
        self.0 * PAGE_SIZE as u64
    }
    /// The page `n` places further on.
    pub const fn plus(self, n: u64) -> PageId {
        PageId(self.0 + n)
    }
}

impl fmt::Debug for PageId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PageId({})", self.0)
    }
}

impl fmt::Display for PageId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Where a page is and what its bytes must be. The checksum is CRC32 over the database uuid, the page id
/// (8 bytes, little-endian) and the 4096 bytes as stored.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct PageRef {
    /// Which page.
    pub page: PageId,
    /// The write counter: the codec's nonce.
    pub counter: u64,
    /// CRC32, see above.
    pub checksum: u32,
    /// The codec's authentication tag; zero for codecs that have none.
    pub tag: [u8; 16],
}

impl PageRef {
    /// Bytes on disk.
    pub const SIZE: usize = 32;

    /// 6 bytes page id, 6 bytes counter, 4 bytes CRC32, 16 bytes tag; little-endian.
    pub fn encode(&self) -> [u8; Self::SIZE] {
        let mut out = [0; Self::SIZE];
        out[0..6].copy_from_slice(&self.page.0.to_le_bytes()[..6]);
        out[6..12].copy_from_slice(&self.counter.to_le_bytes()[..6]);
        out[12..16].copy_from_slice(&self.checksum.to_le_bytes());
        out[16..32].copy_from_slice(&self.tag);
        out
    }

    /// The inverse of `encode`; every 32 bytes are a reference, whether it is a sensible one shows on use.
    pub fn decode(bytes: &[u8; Self::SIZE]) -> PageRef {
        let wide = |at: usize| {
            let mut word = [0; 8];
            word[..6].copy_from_slice(&bytes[at..at + 6]);
            u64::from_le_bytes(word)
        };
        let mut checksum = [0; 4];
        checksum.copy_from_slice(&bytes[12..16]);
        let mut tag = [0; 16];
        tag.copy_from_slice(&bytes[16..32]);
        PageRef { page: PageId(wide(0)), counter: wide(6), checksum: u32::from_le_bytes(checksum), tag }
    }
}

/// A run of `pages_for(byte_length)` contiguous pages from `first_page`, reached through a tree of references
/// of `depth` levels: depth 0 is a single page whose reference is `root`; at depth 1 `root` is a reference page
/// with up to 128 references to the data pages; at depth 2 it refers to reference pages, and so on. Reference
/// pages of one level are contiguous too, so that only `root` needs to be kept.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct ExtentRef {
    /// The top of the reference tree.
    pub root: PageRef,
    /// The first data page.
    pub first_page: PageId,
    /// Levels of reference pages above the data pages.
    pub depth: u8,
    /// Bytes in use; the rest of the last page is zero.
    pub byte_length: u64,
}

impl ExtentRef {
    /// Bytes on disk.
    pub const SIZE: usize = 48;

    /// The number of data pages.
    pub fn page_count(&self) -> u64 {
        pages_for(self.byte_length)
    }

    /// 32 bytes root, 6 bytes first page, 1 byte depth, 1 byte zero, 8 bytes length; little-endian.
    pub fn encode(&self) -> [u8; Self::SIZE] {
        let mut out = [0; Self::SIZE];
        out[..32].copy_from_slice(&self.root.encode());
        out[32..38].copy_from_slice(&self.first_page.0.to_le_bytes()[..6]);
        out[38] = self.depth;
        out[40..48].copy_from_slice(&self.byte_length.to_le_bytes());
        out
    }

    /// The inverse of `encode`.
    pub fn decode(bytes: &[u8; Self::SIZE]) -> ExtentRef {
        let mut root = [0; 32];
        root.copy_from_slice(&bytes[..32]);
        let mut first = [0; 8];
        first[..6].copy_from_slice(&bytes[32..38]);
        let mut length = [0; 8];
        length.copy_from_slice(&bytes[40..48]);
        ExtentRef {
            root: PageRef::decode(&root),
            first_page: PageId(u64::from_le_bytes(first)),
            depth: bytes[38],
            byte_length: u64::from_le_bytes(length),
        }
    }
}

/// Pages that hold `bytes` bytes.
pub const fn pages_for(bytes: u64) -> u64 {
    bytes.div_ceil(PAGE_SIZE as u64)
}
