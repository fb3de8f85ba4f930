//! Address space: reserved by regions of 1 GiB as the database grows, filled and given back by blocks. No address is
//! computed outside this file and `frame.rs`.
#![allow(unsafe_code)]

use std::alloc::{Layout, alloc_zeroed, dealloc, handle_alloc_error};
use std::io;
use std::ptr::NonNull;
use std::sync::atomic::{AtomicPtr, Ordering};

use parking_lot::Mutex;

use super::state::BlockWord;
use crate::storage::page::{PAGE_SIZE, REGION_PAGES};
use crate::storage::{StorageError, StorageResult};

/// Regions that a pool can hold: 64 TiB of pages.
const REGIONS_MAX: usize = 1 << 16;
/// The smallest reservation that is still tried when the system refuses a whole region.
const RESERVATION_BYTES_MIN: usize = 16 << 20;

/// Where frames come from.
///
/// # Safety
///
/// `base()..base() + bytes()` is one allocation, aligned to a page, readable and writable for as long as the value
/// lives, and it reads as zero or as whatever was last stored there.
pub(super) unsafe trait FrameSpace: Sized + Send + Sync {
    /// Reserves address space without using memory for it.
    fn reserve(bytes: usize) -> io::Result<Self>;
    /// The first byte, the same for the value's whole life.
    fn base(&self) -> *mut u8;
    /// Bytes reserved.
    fn bytes(&self) -> usize;
    /// Announces that `length` bytes from `offset` are about to be written.
    fn fill(&self, offset: usize, length: usize);
    /// Gives the memory of a range back; it reads as zero afterwards.
    ///
    /// # Safety
    ///
    /// The range lies within the reservation and nobody holds a reference into it.
    unsafe fn release(&self, offset: usize, length: usize);
}

/// Anonymous memory of the operating system.
#[cfg(all(unix, not(miri)))]
pub(super) struct MappedSpace {
    mapping: memmap2::MmapRaw,
    page_bytes: usize,
}

// SAFETY: `MmapRaw` is one private anonymous mapping, aligned to the system's pages (a multiple of 4096), and lives
// as long as the value; untouched and released pages read as zero.
#[cfg(all(unix, not(miri)))]
unsafe impl FrameSpace for MappedSpace {
    fn reserve(bytes: usize) -> io::Result<MappedSpace> {
        let mapping = memmap2::MmapOptions::new().len(bytes).no_reserve_swap().map_anon()?;
        #[cfg(target_os = "linux")]
        // A huge page would hold memory of blocks that were given back. Old kernels without the option do no harm.
        let _ = mapping.advise(memmap2::Advice::NoHugePage);
        // SAFETY: `sysconf` has no preconditions.
        let page_bytes = usize::try_from(unsafe { libc::sysconf(libc::_SC_PAGESIZE) }).unwrap_or(PAGE_SIZE);
        Ok(MappedSpace { mapping: mapping.into(), page_bytes: page_bytes.max(PAGE_SIZE) })
    }

    fn base(&self) -> *mut u8 {
        self.mapping.as_mut_ptr()
    }

    fn bytes(&self) -> usize {
        self.mapping.len()
    }

    fn fill(&self, offset: usize, length: usize) {
        // One call is cheaper than a fault per page. Where the system does not know it, the faults come.
        #[cfg(target_os = "linux")]
        let _ = self.mapping.advise_range(memmap2::Advice::PopulateWrite, offset, length);
        #[cfg(not(target_os = "linux"))]
        let _ = (offset, length);
    }

    // SAFETY: the caller keeps what the trait asks.
    unsafe fn release(&self, offset: usize, length: usize) {
        // The system gives whole pages of its own back, which can be larger than ours and shared with neighbours.
        let start = offset.next_multiple_of(self.page_bytes);
        let end = (offset + length) / self.page_bytes * self.page_bytes;
        if start >= end {
            return;
        }
        #[cfg(target_os = "linux")]
        // SAFETY: the caller vouches that nobody refers to the range; it lies within the mapping, which is private
        // and anonymous, so that it reads as zero afterwards.
        let outcome = unsafe {
            self.mapping.unchecked_advise_range(memmap2::UncheckedAdvice::DontNeed, start, end - start)
        };
        #[cfg(not(target_os = "linux"))]
        // SAFETY: as above; elsewhere only a fresh mapping in the same place gives memory back at once.
        let outcome = unsafe {
            let flags = libc::MAP_PRIVATE | libc::MAP_ANON | libc::MAP_FIXED | libc::MAP_NORESERVE;
            let protection = libc::PROT_READ | libc::PROT_WRITE;
            match libc::mmap(self.base().add(start).cast(), end - start, protection, flags, -1, 0) {
                libc::MAP_FAILED => Err(io::Error::last_os_error()),
                _ => Ok(()),
            }
        };
        debug_assert!(outcome.is_ok(), "giving memory back: {outcome:?}");
    }
}

/// Memory of the allocator, for Miri and for systems without the calls above. Given-back memory stays allocated.
#[cfg(any(not(unix), miri, test))]
pub(super) struct HeapSpace {
    start: NonNull<u8>,
    bytes: usize,
}

// SAFETY: the memory belongs to the value; who may touch which bytes of it is decided by the state words.
#[cfg(any(not(unix), miri, test))]
unsafe impl Send for HeapSpace {}
// SAFETY: as above.
#[cfg(any(not(unix), miri, test))]
unsafe impl Sync for HeapSpace {}

// SAFETY: one zeroed allocation, aligned to a page, freed with the value.
#[cfg(any(not(unix), miri, test))]
unsafe impl FrameSpace for HeapSpace {
    fn reserve(bytes: usize) -> io::Result<HeapSpace> {
        let bytes = if cfg!(miri) { bytes.min(4 << 20) } else { bytes };
        Ok(HeapSpace { start: zeroed(heap_layout(bytes)?)?, bytes })
    }

    fn base(&self) -> *mut u8 {
        self.start.as_ptr()
    }

    fn bytes(&self) -> usize {
        self.bytes
    }

    fn fill(&self, _offset: usize, _length: usize) {}

    // SAFETY: the caller keeps what the trait asks.
    unsafe fn release(&self, offset: usize, length: usize) {
        debug_assert!(offset + length <= self.bytes);
        // SAFETY: within the allocation, and the caller vouches that nobody refers to the range.
        unsafe { self.start.as_ptr().add(offset).write_bytes(0, length) };
    }
}

#[cfg(any(not(unix), miri, test))]
impl Drop for HeapSpace {
    fn drop(&mut self) {
        if let Ok(layout) = heap_layout(self.bytes) {
            // SAFETY: `reserve` allocated with the same layout.
            unsafe { dealloc(self.start.as_ptr(), layout) };
        }
    }
}

#[cfg(any(not(unix), miri, test))]
fn heap_layout(bytes: usize) -> io::Result<Layout> {
    Layout::from_size_align(bytes.max(PAGE_SIZE), PAGE_SIZE).map_err(io::Error::other)
}

#[cfg(any(not(unix), miri, test))]
fn zeroed(layout: Layout) -> io::Result<NonNull<u8>> {
    // SAFETY: the layout has at least one page, so it is not of size zero.
    NonNull::new(unsafe { alloc_zeroed(layout) }).ok_or_else(|| io::ErrorKind::OutOfMemory.into())
}

#[cfg(all(unix, not(miri)))]
type Space = MappedSpace;
#[cfg(any(not(unix), miri))]
type Space = HeapSpace;

/// A boxed slice of a type for which zero bytes are a value. Large ones cost memory only where they are touched.
struct ZeroedArray<T> {
    start: NonNull<T>,
    length: usize,
}

// SAFETY: the array owns its elements and hands out shared references only.
unsafe impl<T: Send + Sync> Send for ZeroedArray<T> {}
// SAFETY: as above.
unsafe impl<T: Send + Sync> Sync for ZeroedArray<T> {}

impl<T> ZeroedArray<T> {
    /// # Safety
    ///
    /// Zero bytes are a valid `T`, `T` needs no drop and has a size.
    unsafe fn new(length: usize) -> ZeroedArray<T> {
        let layout = Self::layout(length);
        // SAFETY: `length` is positive and `T` has a size, so the layout is not empty.
        let start = unsafe { alloc_zeroed(layout) }.cast::<T>();
        match NonNull::new(start) {
            Some(start) => ZeroedArray { start, length },
            None => handle_alloc_error(layout),
        }
    }

    fn layout(length: usize) -> Layout {
        // Both lengths in use are constants far below the largest layout.
        Layout::array::<T>(length).expect("a constant number of small elements")
    }

    #[inline(always)]
    fn as_slice(&self) -> &[T] {
        // SAFETY: `new` allocated `length` elements and zero bytes are values of `T`.
        unsafe { std::slice::from_raw_parts(self.start.as_ptr(), self.length) }
    }
}

impl<T> Drop for ZeroedArray<T> {
    fn drop(&mut self) {
        // SAFETY: allocated by `new` with the same layout; elements need no drop.
        unsafe { dealloc(self.start.as_ptr().cast(), Self::layout(self.length)) };
    }
}

/// 1 GiB of pages (less where the system refuses so much) and their state words.
pub(super) struct Region {
    base: *mut u8,
    pages: u32,
    words: ZeroedArray<BlockWord>,
    space: Space,
}

// SAFETY: `base` points into `space`, which is `Send` and `Sync`; access to the bytes is guarded by the state words.
unsafe impl Send for Region {}
// SAFETY: as above.
unsafe impl Sync for Region {}

impl Region {
    fn new() -> StorageResult<Region> {
        let mut bytes = REGION_PAGES as usize * PAGE_SIZE;
        let space = loop {
            match Space::reserve(bytes) {
                Ok(space) => break space,
                Err(_) if bytes / 2 >= RESERVATION_BYTES_MIN => bytes /= 2,
                Err(_) => {
                    return Err(StorageError::OutOfMemory {
                        operator: "reserving address space for pages".to_owned(),
                        needed: bytes as u64,
                        limit: 0,
                    });
                }
            }
        };
        let pages = (space.bytes() / PAGE_SIZE) as u32;
        // SAFETY: a zeroed state word is an evicted page; it is an atomic integer and needs no drop.
        let words = unsafe { ZeroedArray::new(pages as usize) };
        Ok(Region { base: space.base(), pages, words, space })
    }

    /// The first byte; valid for `pages()` pages.
    #[inline(always)]
    pub(super) fn base(&self) -> *mut u8 {
        self.base
    }

    /// Pages that have an address.
    #[inline(always)]
    pub(super) fn pages(&self) -> u32 {
        self.pages
    }

    /// The state words of the pages.
    #[inline(always)]
    pub(super) fn words(&self) -> &[BlockWord] {
        self.words.as_slice()
    }

    /// See `FrameSpace::fill`.
    pub(super) fn fill(&self, page: u32, pages: u32) {
        self.space.fill(page as usize * PAGE_SIZE, pages as usize * PAGE_SIZE);
    }

    /// Gives the memory of pages back.
    ///
    /// # Safety
    ///
    /// The pages lie within the region and nobody refers to their bytes.
    pub(super) unsafe fn release(&self, page: u32, pages: u32) {
        // SAFETY: the caller's promise.
        unsafe { self.space.release(page as usize * PAGE_SIZE, pages as usize * PAGE_SIZE) };
    }
}

/// The regions in use. The table never moves, so looking one up is one load.
pub(super) struct RegionTable {
    regions: ZeroedArray<AtomicPtr<Region>>,
    /// Indices of the regions there are.
    reserved: Mutex<Vec<usize>>,
}

impl RegionTable {
    pub(super) fn new() -> RegionTable {
        // SAFETY: zero bytes are a null pointer in an `AtomicPtr`; `Drop` below frees what the pointers own.
        RegionTable { regions: unsafe { ZeroedArray::new(REGIONS_MAX) }, reserved: Mutex::new(Vec::new()) }
    }

    /// The region of a page, if one of its pages was ever loaded.
    #[inline(always)]
    pub(super) fn get(&self, page: u64) -> Option<&Region> {
        let index = usize::try_from(page / REGION_PAGES).ok()?;
        let region = self.regions.as_slice().get(index)?.load(Ordering::Acquire);
        // SAFETY: pointers are stored once, from a box, and freed when the table is dropped.
        unsafe { region.as_ref() }
    }

    /// The region of a page, reserved now if it is not there yet.
    pub(super) fn get_or_reserve(&self, page: u64) -> StorageResult<&Region> {
        if let Some(region) = self.get(page) {
            return Ok(region);
        }
        let index = usize::try_from(page / REGION_PAGES).unwrap_or(usize::MAX);
        let Some(entry) = self.regions.as_slice().get(index) else {
            return Err(StorageError::Limit {
                what: format!("page {page}"),
                limit: REGIONS_MAX as u64 * REGION_PAGES,
            });
        };
        let mut reserved = self.reserved.lock();
        let mut region = entry.load(Ordering::Acquire);
        if region.is_null() {
            region = Box::into_raw(Box::new(Region::new()?));
            entry.store(region, Ordering::Release);
            reserved.push(index);
        }
        // SAFETY: as in `get`.
        Ok(unsafe { &*region })
    }
}

impl Drop for RegionTable {
    fn drop(&mut self) {
        for index in std::mem::take(self.reserved.get_mut()) {
            let region = self.regions.as_slice()[index].load(Ordering::Relaxed);
            // SAFETY: made by `Box::into_raw` in `get_or_reserve`, listed once and freed only here; `&mut self` says
            // that nobody borrows from the table any more.
            drop(unsafe { Box::from_raw(region) });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check<S: FrameSpace>() {
        let space = S::reserve(1 << 20).expect("a mebibyte");
        assert_eq!(space.bytes(), 1 << 20);
        assert!(space.base().addr().is_multiple_of(PAGE_SIZE));
        let at = |offset: usize| {
            // SAFETY: within the mebibyte; one thread only.
            unsafe { space.base().add(offset) }
        };
        space.fill(8192, 65536);
        // SAFETY: as above; nobody else refers to the bytes.
        unsafe {
            at(8192).write_bytes(7, 65536);
            assert_eq!((*at(8191), *at(8192), *at(8192 + 65535), *at(8192 + 65536)), (0, 7, 7, 0));
            space.release(8192, 4096);
            assert_eq!((*at(8192), *at(12287), *at(12288)), (0, 0, 7));
        }
    }

    #[test]
    fn spaces_read_as_zero_until_filled_and_after_release() {
        #[cfg(all(unix, not(miri)))]
        check::<MappedSpace>();
        check::<HeapSpace>();
    }

    #[test]
    fn regions_come_into_being_on_demand() {
        let table = RegionTable::new();
        assert!(table.get(5).is_none());
        let base = table.get_or_reserve(5).expect("a region").base();
        assert_eq!(table.get_or_reserve(REGION_PAGES - 1).expect("the same").base(), base);
        assert!(table.get(REGION_PAGES).is_none());
        assert_ne!(table.get_or_reserve(REGION_PAGES * 3).expect("another").base(), base);
        assert!(table.get_or_reserve(u64::MAX).is_err());
    }
}
