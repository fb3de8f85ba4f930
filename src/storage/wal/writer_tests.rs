//! Group commit, full disks, poisoning, rotation and buffered syncs.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use uuid::Uuid;

use super::segment::{GROWTH_STEP, list_segments, segment_name};
use super::*;
use crate::storage::StorageError;
use crate::storage::backend::{HookedBackend, MemoryBackend, OpenMode, SimulatedBackend, StorageBackend};
use crate::storage::page::Lsn;

const UUID: Uuid = Uuid::from_u128(99);

fn start_with(backend: Arc<dyn StorageBackend>, config: WalConfig) -> WalWriter {
    WalReader::open(backend, UUID, Lsn::default()).unwrap().finish(config).unwrap()
}

fn small() -> WalConfig {
    WalConfig::builder().segment_bytes(2 * GROWTH_STEP).build().unwrap()
}

fn read(backend: Arc<dyn StorageBackend>) -> Vec<WalRecord> {
    let mut reader = WalReader::open(backend, UUID, Lsn::default()).unwrap();
    std::iter::from_fn(|| reader.next_record().unwrap()).collect()
}

/// Files in memory whose syncs take time, as those of a disk.
fn slow_sync() -> HookedBackend {
    HookedBackend::new(Arc::new(MemoryBackend::new()), |_| {
        thread::sleep(Duration::from_millis(2));
        Ok(())
    })
}

/// A buffered commit never waits for the disk, were it 5 seconds.
#[test]
fn writes_go_on_while_the_log_is_synced() {
    let (held, waits, late) = (AtomicBool::new(false), AtomicBool::new(false), AtomicBool::new(false));
    let flags = Arc::new([held, waits, late]);
    let hooked = {
        let flags = Arc::clone(&flags);
        HookedBackend::new(Arc::new(MemoryBackend::new()), move |_| {
            let [held, waits, late] = &*flags;
            let started = Instant::now();
            while held.load(Ordering::SeqCst) {
                waits.store(true, Ordering::SeqCst);
                if started.elapsed() > Duration::from_secs(5) {
                    late.store(true, Ordering::SeqCst);
                    break;
                }
                thread::sleep(Duration::from_millis(1));
            }
            Ok(())
        })
    };
    let [held, waits, late] = &*flags;
    let writer = start_with(Arc::new(hooked), small());
    let append = || writer.append(1, RecordKind::LastPartAndCommit, vec![7; 100]).unwrap();
    // The file has its size from here on.
    writer.sync(append()).unwrap();
    held.store(true, Ordering::SeqCst);
    let (first, second) = thread::scope(|scope| {
        let (first, writer) = (append(), &writer);
        let syncer = scope.spawn(move || writer.sync(first).unwrap());
        while !waits.load(Ordering::SeqCst) {
            thread::sleep(Duration::from_millis(1));
        }
        let second = append();
        writer.write(second).unwrap();
        held.store(false, Ordering::SeqCst);
        syncer.join().unwrap();
        (first, second)
    });
    assert!(!late.load(Ordering::SeqCst), "the write has waited for the sync");
    // The sync says nothing of what was written meanwhile.
    assert!(writer.synced() >= first && writer.synced() < second, "{:?}", writer.synced());
    writer.sync(second).unwrap();
    let stats = writer.stats();
    assert_eq!((stats.commits, stats.commits_synced), (3, 3), "{stats:?}");
}

#[test]
fn one_sync_serves_many_commits() {
    let backend = Arc::new(slow_sync());
    let writer = start_with(backend.clone(), small());
    thread::scope(|scope| {
        for thread in 0..8u64 {
            let writer = &writer;
            scope.spawn(move || {
                for commit in 0..25u8 {
                    let lsn =
                        writer.append(thread, RecordKind::LastPartAndCommit, vec![commit; 400]).unwrap();
                    writer.sync(lsn).unwrap();
                    assert!(writer.synced() >= lsn);
                }
            });
        }
    });
    let stats = writer.stats();
    assert_eq!((stats.appends, stats.commits, stats.commits_synced), (200, 200, 200));
    assert!(stats.syncs < 100 && stats.commits_per_sync() > 2.0, "{stats:?}");
    assert!(stats.rotations >= 1, "{stats:?}");
    let records = read(backend);
    for thread in 0..8 {
        let own = records.iter().filter(|record| record.transaction == thread);
        assert!(own.map(|record| record.payload[0]).eq(0..25));
    }
}

/// Whoever finds nobody writing has the turn with its place, and the others find their records written.
#[test]
fn small_records_have_place_and_turn_at_once() {
    let backend = Arc::new(MemoryBackend::new());
    let writer = start_with(backend.clone(), small());
    let reserved = writer.append(9, RecordKind::LastPartAndCommit, vec![9; 10]).unwrap();
    writer.sync(reserved).unwrap();
    let append = |transaction: u64, payload: &[u8]| {
        writer.append_at_once(transaction, RecordKind::LastPartAndCommit, payload, true).unwrap()
    };
    assert!(append(9, &[0; 5000]).is_none(), "not small");
    let (first, second) = (append(9, b"first").unwrap(), append(9, b"second").unwrap());
    thread::scope(|scope| {
        let second = scope.spawn(|| second.write().unwrap());
        // The second one cannot be written before the first one is.
        first.write().unwrap();
        second.join().unwrap();
    });
    drop(append(9, b"nobody asks for this one").unwrap());
    writer.write(writer.appended()).unwrap();
    thread::scope(|scope| {
        for thread in 0..4u64 {
            let writer = &writer;
            scope.spawn(move || {
                for commit in 0..2000u32 {
                    let (kind, payload) = (RecordKind::LastPartAndCommit, [commit as u8; 90]);
                    match writer.append_at_once(thread, kind, &payload, true).unwrap() {
                        Some(placed) => placed.write().unwrap(),
                        None => writer.write(writer.append(thread, kind, payload.to_vec()).unwrap()).unwrap(),
                    }
                }
            });
        }
    });
    let stats = writer.stats();
    assert!(stats.commits == 8004 && stats.rotations >= 1, "{stats:?}");
    drop(writer);
    let records = read(backend);
    assert_eq!(records.len(), 8004);
    for thread in 0..4 {
        let own = records.iter().filter(|record| record.transaction == thread);
        assert!(own.map(|record| record.payload[0]).eq((0..2000u32).map(|commit| commit as u8)));
    }
}

#[test]
fn a_turn_that_fails_poisons_those_who_wait_for_it() {
    let disk = SimulatedBackend::new(4);
    let writer = start_with(Arc::new(disk.clone()), small());
    writer.sync(writer.append(1, RecordKind::Commit, vec![1; 10]).unwrap()).unwrap();
    let append = || writer.append_at_once(2, RecordKind::Commit, &[2; 10], true).unwrap().unwrap();
    let (first, second) = (append(), append());
    disk.fail_operation(disk.operations() + 1);
    assert!(first.write().is_err());
    assert!(matches!(second.write(), Err(StorageError::Poisoned { .. })));
    assert!(matches!(
        writer.append_at_once(3, RecordKind::Commit, &[3; 10], true),
        Err(StorageError::Poisoned { .. })
    ));
}

#[test]
fn a_full_disk_fails_only_who_reserves() {
    let disk = SimulatedBackend::new(4);
    let writer = start_with(Arc::new(disk.clone()), small());
    let first = writer.append(1, RecordKind::Part, vec![1; 100]).unwrap();
    let held = writer.reserve(20_000).unwrap();
    disk.set_capacity(Some(disk.used_bytes()));
    for bytes in [40_000, 60_000] {
        let outcome = writer.append(2, RecordKind::Part, vec![2; bytes]);
        assert!(matches!(outcome, Err(StorageError::DiskFull { .. })));
    }
    // What fits is taken, and what was reserved has its room.
    writer.append(3, RecordKind::Part, vec![3; 1000]).unwrap();
    writer.sync(first).unwrap();
    let last = held.append(4, RecordKind::Commit, vec![4; 20_000]).unwrap();
    writer.sync(last).unwrap();
    disk.set_capacity(None);
    let later = writer.append(5, RecordKind::Commit, vec![5; 60_000]).unwrap();
    writer.sync(later).unwrap();
    let transactions: Vec<u64> =
        read(Arc::new(disk.crash())).iter().map(|record| record.transaction).collect();
    assert_eq!(transactions, [1, 3, 4, 5]);
}

#[test]
fn a_failed_write_or_sync_poisons() {
    for failing in 1..=3 {
        let disk = SimulatedBackend::new(failing);
        let writer = start_with(Arc::new(disk.clone()), small());
        let lsn = writer.append(1, RecordKind::Commit, vec![]).unwrap();
        // The sync of the file's size, the write, the sync.
        disk.fail_operation(disk.operations() + failing);
        assert!(matches!(writer.sync(lsn), Err(StorageError::Io { .. })));
        assert!(matches!(writer.sync(lsn), Err(StorageError::Poisoned { .. })));
        let again = writer.append(2, RecordKind::Commit, vec![]);
        assert!(matches!(again, Err(StorageError::Poisoned { .. })));
        assert!(writer.synced() < lsn);
    }
}

#[test]
fn segments_follow_one_another_and_are_removed() {
    let backend = Arc::new(MemoryBackend::new());
    let writer = start_with(backend.clone(), small());
    assert_eq!(backend.open(&segment_name(1), OpenMode::Read).unwrap().size().unwrap(), 32);
    let ends: Vec<Lsn> =
        (0..10).map(|number| writer.append(number, RecordKind::Commit, vec![7; 20_000]).unwrap()).collect();
    assert!(ends.is_sorted());
    let last = writer.flush().unwrap();
    assert_eq!((last, writer.synced()), (ends[9], ends[9]));
    // A record larger than a segment stands alone.
    writer.append(10, RecordKind::Commit, vec![8; 100_000]).unwrap();
    writer.flush().unwrap();
    assert_eq!(read(backend.clone()).len(), 11);
    let numbers = list_segments(&*backend).unwrap();
    assert_eq!(numbers, (1..=numbers.len() as u64).collect::<Vec<_>>());
    for number in &numbers {
        let size = backend.open(&segment_name(*number), OpenMode::Read).unwrap().size().unwrap();
        assert_eq!(size % GROWTH_STEP, 0);
    }
    assert_eq!(writer.stats().rotations, numbers.len() as u64 - 1);
    assert_eq!(writer.remove_segments_before(3).unwrap(), 2);
    assert_eq!(writer.remove_segments_before(u64::MAX).unwrap(), numbers.len() as u64 - 3);
    assert_eq!(list_segments(&*backend).unwrap(), [numbers.len() as u64]);
}

#[test]
fn an_empty_log_does_not_grow_by_being_opened() {
    let backend = Arc::new(MemoryBackend::new());
    for _ in 0..3 {
        start_with(backend.clone(), small());
    }
    assert_eq!(list_segments(&*backend).unwrap(), [1]);
    let writer = start_with(backend.clone(), small());
    writer.append(1, RecordKind::Commit, vec![1]).unwrap();
    writer.flush().unwrap();
    let writer = start_with(backend.clone(), small());
    assert_eq!((writer.stats().records_replayed, writer.stats().bytes_cut), (1, 0));
    assert_eq!(list_segments(&*backend).unwrap(), [1, 2]);
}

#[test]
fn a_buffered_log_is_synced_when_it_is_due() {
    let config = |bytes, interval| {
        let builder = WalConfig::builder().buffered_sync_bytes(bytes).buffered_sync_interval(interval);
        builder.build().unwrap()
    };
    let check = |config: WalConfig, expected: [bool; 3]| {
        let writer = start_with(Arc::new(MemoryBackend::new()), config);
        let due = [0, 100, 1000].map(|bytes| {
            if bytes > 0 {
                let lsn = writer.append(1, RecordKind::Commit, vec![0; bytes]).unwrap();
                writer.write(lsn).unwrap();
            }
            writer.sync_if_due().unwrap()
        });
        assert_eq!(due, expected);
    };
    check(config(1000, Duration::from_secs(3600)), [false, false, true]);
    check(config(1 << 20, Duration::from_secs(3600)), [false, false, false]);
    check(config(1 << 20, Duration::from_nanos(1)), [false, true, true]);
}

#[test]
fn a_record_that_is_too_large_is_refused() {
    let writer = start_with(Arc::new(MemoryBackend::new()), small());
    assert!(matches!(writer.reserve(PAYLOAD_BYTES_MAX + 1), Err(StorageError::Limit { .. })));
    let room = writer.reserve(10).unwrap();
    assert!(matches!(room.append(1, RecordKind::Part, vec![0; 11]), Err(StorageError::Limit { .. })));
    writer.append(1, RecordKind::Part, vec![0; 10]).unwrap();
    assert_eq!(writer.stats().appends, 1);
}
