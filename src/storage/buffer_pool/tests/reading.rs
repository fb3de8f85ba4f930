//! What is lent is what was written, in every way of reading.

use std::ops::Range;

use super::disk::{Choices, Disk, content, owner, pool};
use crate::storage::StorageError;
use crate::storage::buffer_pool::{Admission, SegmentRef, bytes_as};
use crate::storage::page::{ExtentRef, PageId};

const ALL: [Admission; 4] =
    [Admission::Frames, Admission::ReadAhead, Admission::SecondTime, Admission::Private];

/// Reads the range in every way, cold and warm.
fn check(length: usize, range: Range<u64>) {
    let disk = Disk::new();
    let segment = disk.segment(7, length);
    let expected = &content(7, length)[range.start as usize..range.end as usize];
    for admission in ALL {
        let pool = pool(&disk, 256);
        for _ in 0..2 {
            let guard = pool.lend(&segment, range.clone(), admission).expect("readable");
            assert!(&*guard == expected, "{admission:?} of {range:?} in {length}");
        }
        let mut worker = pool.worker().expect("a slot");
        let mut cursor = worker.cursor();
        let mut at = range.start;
        while at < range.end {
            let end = range.end.min(at + 65_536);
            let bytes = cursor.bytes(&segment, at..end).expect("readable");
            assert!(bytes == &expected[(at - range.start) as usize..(end - range.start) as usize]);
            at = end;
        }
    }
}

#[test]
fn ranges_of_all_sizes() {
    check(10, 0..10);
    check(10, 3..3);
    check(4096, 0..4096);
    check(4097, 4090..4097);
    check(65_536, 0..65_536);
    check(300_000, 65_530..65_540);
    check(300_000, 4_096..299_999);
    // More than 16 blocks, more than one reference page, and two levels of them.
    check(3_000_000, 8..2_999_001);
    check(129 * 4096 * 4, 128 * 4096 - 5..128 * 4096 + 5);
    check(129 * 128 * 4096, 128 * 128 * 4096 - 100_000..129 * 128 * 4096);
}

#[test]
fn segments_lie_anywhere_in_their_extent() {
    let disk = Disk::new();
    let bytes = content(3, 500_000);
    let extent = disk.write(&bytes);
    let pool = pool(&disk, 64);
    let mut worker = pool.worker().expect("a slot");
    for (offset, length) in [(0, 64), (64, 100_000), (65_472, 128), (131_072, 65_536), (499_968, 32)] {
        let segment = SegmentRef::paged(extent, offset, length, owner()).expect("within the extent");
        let expected = &bytes[offset as usize..(offset + length) as usize];
        let mut cursor = worker.cursor();
        let view = cursor.view(&segment).expect("readable");
        assert!(view.bytes() == expected);
        assert_eq!(bytes_as::<u64>(view.bytes()).len() as u64, length / 8);
        assert!(*pool.lend(&segment, 1..length, Admission::Private).expect("readable") == expected[1..]);
        let part = segment.part(8..24).expect("a part");
        assert!(cursor.bytes(&part, 0..16).expect("readable") == &expected[8..24]);
    }
}

#[test]
fn private_copies_are_aligned_as_pages_are() {
    let disk = Disk::new();
    let extent = disk.write(&content(3, 500_000));
    let segment = SegmentRef::paged(extent, 64 * 77, 400_000, owner()).expect("within the extent");
    let guard = pool(&disk, 64).lend(&segment, 0..400_000, Admission::Private).expect("readable");
    assert!(guard.is_private() && guard.as_ptr().addr().is_multiple_of(64));
}

#[test]
fn several_ranges_at_once_and_inline_ones_between() {
    let disk = Disk::new();
    let (left, right) = (disk.segment(1, 200_000), disk.segment(2, 200_000));
    let inline = SegmentRef::inline(&content(9, 40));
    let pool = pool(&disk, 6);
    let mut worker = pool.worker().expect("a slot");
    let mut cursor = worker.cursor();
    let (lefts, rights) = (content(1, 200_000), content(2, 200_000));
    let mut choices = Choices(5);
    for _ in 0..500 {
        let (a, b) = (choices.below(190_000), choices.below(190_000));
        let pair = cursor.pair(&left, a..a + 10_000, &right, b..b + 5_000).expect("readable");
        assert!(pair.0 == &lefts[a as usize..][..10_000]);
        assert!(pair.1 == &rights[b as usize..][..5_000]);
    }
    let three = cursor.slices([(&left, 0..8), (&inline, 8..40), (&right, 8..8)]).expect("readable");
    assert_eq!(three, [&content(1, 8)[..], &content(9, 40)[8..40], &[]]);
    cursor.prefetch(&left, 100);
    cursor.prefetch(&left, u64::MAX);
    cursor.prefetch(&inline, 1);
    drop(cursor);
    let stats = pool.stats();
    assert!(
        stats.hits > 0 && stats.misses > 0 && stats.evictions > 0 && stats.peak_bytes <= stats.limit_bytes
    );
}

#[test]
fn single_pages_are_read_by_their_reference() {
    let disk = Disk::new();
    let references: Vec<_> = (0..20).map(|n| disk.write_page(disk.allocate(1), &content(n, 4096))).collect();
    let pool = pool(&disk, 1);
    let mut worker = pool.worker().expect("a slot");
    let mut cursor = worker.cursor();
    for round in 0..3 {
        for (n, reference) in (0..).zip(&references) {
            assert!(cursor.page(reference, &owner()).expect("readable")[..] == content(n, 4096), "{round}");
        }
    }
}

#[test]
fn bad_ranges_are_errors() {
    let disk = Disk::new();
    let (pool, segment) = (pool(&disk, 64), disk.segment(1, 3_000_000));
    let mut worker = pool.worker().expect("a slot");
    let mut cursor = worker.cursor();
    assert!(matches!(cursor.bytes(&segment, 5..3_000_001), Err(StorageError::Corrupt { .. })));
    #[expect(clippy::reversed_empty_ranges, reason = "the test is about them")]
    let reversed = cursor.bytes(&segment, 5..4);
    assert!(matches!(reversed, Err(StorageError::Corrupt { .. })));
    assert!(matches!(cursor.view(&segment), Err(StorageError::Limit { .. })));
    assert!(matches!(cursor.bytes(&segment, 1..16 * 65_536 + 1), Err(StorageError::Limit { .. })));
    assert!(cursor.bytes(&segment, 0..16 * 65_536).is_ok());
    drop(cursor);
    assert!(matches!(
        pool.lend(&SegmentRef::inline(&[1]), 0..2, Admission::Frames),
        Err(StorageError::Corrupt { .. })
    ));
}

#[test]
fn a_flipped_byte_names_page_and_owner_and_is_read_anew_once_mended() {
    let disk = Disk::new();
    let segment = disk.segment(4, 600_000);
    // The first data page is 2; the reference pages follow the 147 data pages.
    for (page, at) in [(2 + 40, 17), (2 + 147, 40 * 32 + 12), (2 + 147 + 1, 3), (2 + 147 + 2, 5)] {
        disk.flip(page, at);
        for admission in ALL {
            let pool = pool(&disk, 64);
            let range = match page {
                150 => 530_000..530_001,
                _ => 40 * 4096..41 * 4096,
            };
            let outcome = pool.lend(&segment, range.clone(), admission).map(|_| ());
            match outcome {
                Err(StorageError::ChecksumMismatch { page: named, what, .. }) => {
                    assert_eq!((named, what.as_str()), (PageId(page), "table Person, column age"));
                }
                other => panic!("{other:?} for page {page}"),
            }
            let mut worker = pool.worker().expect("a slot");
            let mut cursor = worker.cursor();
            assert!(cursor.bytes(&segment, range.clone()).is_err());
            disk.flip(page, at);
            let expected = &content(4, 600_000)[range.start as usize..range.end as usize];
            assert!(cursor.bytes(&segment, range).expect("mended") == expected);
            disk.flip(page, at);
        }
        disk.flip(page, at);
    }
}

#[test]
fn structures_that_overlap_are_an_error_whichever_comes_first() {
    let disk = Disk::new();
    let bytes = content(1, 40 * 4096);
    let whole = disk.write(&bytes);
    let later = disk.write_at(whole.first_page.0 + 3, &bytes[3 * 4096..]);
    let shorter = ExtentRef { byte_length: 20 * 4096, ..whole };
    let of = |extent: ExtentRef| SegmentRef::extent(extent, owner()).expect("sound by itself");
    for (first, second) in [(whole, later), (later, whole), (whole, shorter), (shorter, whole)] {
        let pool = pool(&disk, 64);
        let mut worker = pool.worker().expect("a slot");
        let mut cursor = worker.cursor();
        assert!(cursor.bytes(&of(first), 0..20 * 4096).is_ok());
        let second = of(second);
        assert!(matches!(cursor.bytes(&second, 16 * 4096..20 * 4096), Err(StorageError::Corrupt { .. })));
        drop(cursor);
        let lent = pool.lend(&second, 16 * 4096..20 * 4096, Admission::Frames);
        assert!(matches!(lent.map(|_| ()), Err(StorageError::Corrupt { .. })));
    }
}

#[test]
fn only_what_is_read_again_earns_frames() {
    let disk = Disk::new();
    let segment = disk.segment(1, 2 << 20);
    let pool = pool(&disk, 256);
    let scan = || {
        let ranges = (0..2 << 20).step_by(131_072).map(|at| at..at + 131_072);
        ranges.filter(|range| pool.lend(&segment, range.clone(), Admission::SecondTime).unwrap().is_private())
    };
    assert_eq!(scan().count(), 16);
    assert_eq!(
        (pool.stats().first_reads, pool.stats().resident_bytes),
        (16, 5 * 4096),
        "the references alone stay"
    );
    assert_eq!(scan().count(), 0);
    assert!(pool.stats().resident_bytes > 2 << 20);
    let misses = pool.stats().misses;
    assert_eq!((scan().count(), pool.stats().misses - misses, pool.stats().first_reads), (0, 0, 16));
}

#[test]
fn reading_ahead_saves_reads() {
    let disk = Disk::new();
    let segment = disk.segment(1, 8 << 20);
    let reads = |admission| {
        let pool = pool(&disk, 256);
        for at in (0..8 << 20).step_by(65_536) {
            assert!(pool.lend(&segment, at..at + 65_536, admission).is_ok());
        }
        let stats = pool.stats();
        assert_eq!((stats.read_ahead_blocks > 0, stats.evictions), (admission == Admission::ReadAhead, 0));
        stats.reads
    };
    assert!(reads(Admission::ReadAhead) * 3 < reads(Admission::Frames));
}

#[test]
fn handles_and_guards_go_to_other_threads() {
    fn is_send<T: Send>() {}
    fn is_shared<T: Send + Sync>() {}
    is_shared::<crate::storage::buffer_pool::BufferPool>();
    is_shared::<crate::storage::buffer_pool::SegmentGuard>();
    is_shared::<SegmentRef>();
    is_send::<crate::storage::buffer_pool::PoolWorker>();
}
