//! Random operations against a model: what every extent holds now.

use proptest::prelude::*;

use super::disk::{Disk, content, owner, pool};
use crate::storage::buffer_pool::{Admission, SegmentGuard, SegmentRef};
use crate::storage::page::PageId;

const EXTENTS: usize = 5;
const PAGES: u64 = 70;

#[derive(Debug, Clone)]
enum Step {
    /// Reads ranges of two extents through a cursor.
    Pair { left: (usize, u64, u64), right: (usize, u64, u64) },
    /// Reads many places through one cursor.
    Walk { extent: usize, stride: u64 },
    /// Takes a guard and keeps it.
    Lend { range: (usize, u64, u64), admission: Admission },
    /// Gives the oldest guard back.
    Drop,
    /// Frees an extent's pages and writes others of another length there.
    Rewrite { extent: usize, length: u64, shift: u64 },
    /// Takes scratch for a moment, which evicts.
    Account { bytes: u64 },
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let range = || (0..EXTENTS, 0..PAGES * 4096, 0..150_000_u64);
    use Admission::{Frames, Private, ReadAhead, SecondTime};
    let admission = prop_oneof![Just(Frames), Just(ReadAhead), Just(SecondTime), Just(Private)];
    let step = prop_oneof![
        4 => (range(), range()).prop_map(|(left, right)| Step::Pair { left, right }),
        1 => (0..EXTENTS, 1..50_000_u64).prop_map(|(extent, stride)| Step::Walk { extent, stride }),
        3 => (range(), admission).prop_map(|(range, admission)| Step::Lend { range, admission }),
        3 => Just(Step::Drop),
        2 => (0..EXTENTS, 1..(PAGES - 4) * 4096, 0..4_u64)
            .prop_map(|(extent, length, shift)| Step::Rewrite { extent, length, shift }),
        1 => (0..9 * 65_536_u64).prop_map(|bytes| Step::Account { bytes }),
    ];
    prop::collection::vec(step, 1..60)
}

/// An extent and what it holds.
struct Extent {
    first: u64,
    segment: SegmentRef,
    bytes: Vec<u8>,
}

fn within(extents: &[Extent], (extent, start, length): (usize, u64, u64)) -> (&Extent, std::ops::Range<u64>) {
    let extent = &extents[extent];
    let start = start.min(extent.segment.len());
    (extent, start..extent.segment.len().min(start + length))
}

fn of(bytes: &[u8], range: &std::ops::Range<u64>) -> Vec<u8> {
    bytes[range.start as usize..range.end as usize].to_vec()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, ..ProptestConfig::default() })]
    #[test]
    fn the_pool_agrees_with_a_model(steps in steps()) {
        let disk = Disk::new();
        let pool = pool(&disk, 20);
        let mut worker = pool.worker().expect("a slot");
        let mut seed = 0;
        let mut extents: Vec<Extent> = (0..EXTENTS).map(|_| {
            seed += 1;
            let first = disk.allocate(PAGES);
            let bytes = content(seed, 200_000);
            let segment = SegmentRef::extent(disk.write_at(first, &bytes), owner()).expect("sound");
            Extent { first, segment, bytes }
        }).collect();
        let mut guards: Vec<(usize, SegmentGuard, Vec<u8>)> = Vec::new();
        for step in steps {
            match step {
                Step::Pair { left, right } => {
                    let mut cursor = worker.cursor();
                    let ((left, a), (right, b)) = (within(&extents, left), within(&extents, right));
                    let pair = cursor.pair(&left.segment, a.clone(), &right.segment, b.clone()).expect("room");
                    prop_assert!(pair.0 == of(&left.bytes, &a) && pair.1 == of(&right.bytes, &b));
                }
                Step::Walk { extent, stride } => {
                    let mut cursor = worker.cursor();
                    let extent = &extents[extent];
                    let mut at = 0;
                    while at < extent.segment.len() {
                        let range = at..extent.segment.len().min(at + 9);
                        cursor.prefetch(&extent.segment, at + stride);
                        let bytes = cursor.bytes(&extent.segment, range.clone()).expect("room");
                        prop_assert!(bytes == of(&extent.bytes, &range));
                        at += stride;
                    }
                }
                Step::Lend { range, admission } => {
                    if guards.len() == 3 {
                        guards.remove(0);
                    }
                    let (extent, bytes) = within(&extents, range);
                    let guard = pool.lend(&extent.segment, bytes.clone(), admission).expect("room");
                    guards.push((range.0, guard, of(&extent.bytes, &bytes)));
                }
                Step::Drop => drop((!guards.is_empty()).then(|| guards.remove(0))),
                Step::Rewrite { extent: at, length, shift } => {
                    guards.retain(|guard| guard.0 != at);
                    let extent = &mut extents[at];
                    pool.discard(PageId(extent.first), PAGES).expect("nobody reads");
                    seed += 1;
                    extent.bytes = content(seed, length as usize);
                    let written = disk.write_at(extent.first + shift, &extent.bytes);
                    extent.segment = SegmentRef::extent(written, owner()).expect("sound");
                }
                Step::Account { bytes } => {
                    let held: u64 = guards.iter().map(|guard| guard.2.len() as u64 + 2 * 65_536).sum();
                    let scratch = pool.account("test", bytes.min((20 * 65_536_u64).saturating_sub(2 * held)));
                    prop_assert!(scratch.is_ok());
                }
            }
            for (_, guard, expected) in &guards {
                prop_assert!(**guard == expected[..]);
            }
            let stats = pool.stats();
            prop_assert!(stats.peak_bytes <= stats.limit_bytes);
            prop_assert_eq!(stats.used_bytes, stats.resident_bytes + stats.private_bytes + stats.scratch_bytes);
        }
    }
}
