//! A page file in memory with verified references, for the tests of the pool.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use parking_lot::RwLock;

use crate::storage::buffer_pool::{BufferPool, SegmentOwner, SegmentRef};
use crate::storage::page::{ExtentRef, PAGE_SIZE, PageId, PageRef, PageSource, REFS_PER_PAGE, pages_for};
use crate::storage::{StorageError, StorageResult};

type Page = [u8; PAGE_SIZE];

#[derive(Default)]
pub struct Disk {
    pages: RwLock<HashMap<u64, Box<Page>>>,
    next: AtomicU64,
    /// Microseconds that each read takes.
    pub delay: AtomicU64,
}

fn checksum(page: u64, bytes: &[u8]) -> u32 {
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(&page.to_le_bytes());
    hasher.update(bytes);
    hasher.finalize()
}

impl PageSource for Disk {
    fn read_pages(&self, references: &[PageRef], what: &str, out: &mut [u8]) -> StorageResult<()> {
        let delay = self.delay.load(Relaxed);
        if delay > 0 {
            std::thread::sleep(Duration::from_micros(delay));
        }
        assert_eq!(references.len() * PAGE_SIZE, out.len());
        let first = references[0].page.0;
        let pages = self.pages.read();
        for ((at, reference), out) in (first..).zip(references).zip(out.chunks_mut(PAGE_SIZE)) {
            assert_eq!(reference.page.0, at, "pages of one read are contiguous");
            out.copy_from_slice(&pages[&at][..]);
            let got = checksum(at, out);
            if got != reference.checksum {
                return Err(StorageError::ChecksumMismatch {
                    file: "test".to_owned(),
                    page: reference.page,
                    what: what.to_owned(),
                    expected: reference.checksum,
                    got,
                });
            }
        }
        Ok(())
    }
}

impl Disk {
    pub fn new() -> Arc<Disk> {
        Arc::new(Disk { next: AtomicU64::new(2), ..Disk::default() })
    }

    /// Pages that no extent has yet.
    pub fn allocate(&self, count: u64) -> u64 {
        self.next.fetch_add(count, Relaxed)
    }

    pub fn write_page(&self, page: u64, bytes: &[u8]) -> PageRef {
        let mut full = Box::new([0; PAGE_SIZE]);
        full[..bytes.len()].copy_from_slice(bytes);
        let checksum = checksum(page, &full[..]);
        self.pages.write().insert(page, full);
        PageRef { page: PageId(page), checksum, ..PageRef::default() }
    }

    pub fn flip(&self, page: u64, at: usize) {
        self.pages.write().get_mut(&page).expect("a written page")[at] ^= 0x10;
    }

    /// Writes an extent at new pages.
    pub fn write(&self, bytes: &[u8]) -> ExtentRef {
        let first = self.allocate(pages_for(bytes.len() as u64));
        self.write_at(first, bytes)
    }

    /// Writes an extent at given data pages; the reference pages are new.
    pub fn write_at(&self, first: u64, bytes: &[u8]) -> ExtentRef {
        let pages = (first..).zip(bytes.chunks(PAGE_SIZE));
        let mut level: Vec<PageRef> = pages.map(|(page, bytes)| self.write_page(page, bytes)).collect();
        let mut depth = 0;
        while level.len() > 1 {
            let groups: Vec<Vec<u8>> = level
                .chunks(REFS_PER_PAGE)
                .map(|group| group.iter().flat_map(|reference| reference.encode()).collect())
                .collect();
            let at = self.allocate(groups.len() as u64);
            level = (at..).zip(groups).map(|(page, bytes)| self.write_page(page, &bytes)).collect();
            depth += 1;
        }
        let byte_length = bytes.len() as u64;
        ExtentRef { root: level[0], first_page: PageId(first), depth, byte_length }
    }

    /// An extent of `length` bytes of `content(seed)` as one segment.
    pub fn segment(&self, seed: u64, length: usize) -> SegmentRef {
        SegmentRef::extent(self.write(&content(seed, length)), owner()).expect("a sound extent")
    }
}

pub fn owner() -> Arc<SegmentOwner> {
    SegmentOwner::new("test", "Person", "age")
}

/// Bytes that tell the seed and the place: every aligned 8 bytes are different.
pub fn content(seed: u64, length: usize) -> Vec<u8> {
    let words = (0..length.div_ceil(8) as u64).flat_map(|index| word(seed, index).to_le_bytes());
    words.take(length).collect()
}

/// The 8 bytes at `index * 8` of `content(seed)`.
pub fn word(seed: u64, index: u64) -> u64 {
    (seed << 40 | index << 1 | 1).wrapping_mul(0x9E37_79B9_7F4A_7C15)
}

pub fn pool(disk: &Arc<Disk>, blocks: u64) -> BufferPool {
    let source: Arc<dyn PageSource> = Arc::<Disk>::clone(disk);
    BufferPool::with_wait(blocks * 65_536, source, Duration::from_secs(5))
}

/// A small generator, so that tests need no dependency for repeatable choices.
pub struct Choices(pub u64);

impl Choices {
    pub fn below(&mut self, limit: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % limit.max(1)
    }
}
