//! Crashes, failing calls and full disks at every operation of a database's life so far: it is always as before
//! or as after a switch, and its free list is exactly what it does not use.

use std::sync::Arc;

use super::{
    Access, CreateOptions, ExtentRef, FILE_NAME, HEADER_PAGES, PAGE_SIZE, PageFile, PageRun, Root,
    RootChange, extent_runs,
};
use crate::storage::backend::{OpenMode, SimulatedBackend, StorageBackend};
use crate::storage::{StorageError, StorageResult};

/// Switches of one life.
const STEPS: u64 = 5;

/// The bytes of an item; its number gives length and content.
fn item_bytes(item: u64) -> Vec<u8> {
    let length = [10, 4096, 5000, 20_000, 9000, 13_000][(item % 6) as usize];
    (0..length as u64).map(|at| ((at * 7 + at / 256 + item * 13) % 256) as u8).collect()
}

/// The items that a generation has: each brings two, and takes away one that the third before it brought.
fn items_of(generation: u64) -> Vec<u64> {
    let mut items = Vec::new();
    for step in 2..=generation {
        items.extend([2 * step, 2 * step + 1]);
        items.retain(|&item| step < 4 || item != 2 * (step - 2));
    }
    items
}

/// The directory is a list of (item, extent).
fn read_directory(file: &PageFile, root: &Root) -> StorageResult<Vec<(u64, ExtentRef)>> {
    let bytes = file.read_extent(&root.table_directory, "directory")?;
    let entries = bytes.chunks_exact(8 + ExtentRef::SIZE).map(|entry| {
        let (item, extent) = entry.split_at(8);
        (u64::from_le_bytes(item.try_into().unwrap()), ExtentRef::decode(extent.try_into().unwrap()))
    });
    Ok(entries.collect())
}

/// One commit: writes what the next generation brings.
fn step(file: &Arc<PageFile>) -> StorageResult<u64> {
    let root = file.root();
    let mut directory = read_directory(file, &root)?;
    let next = items_of(root.generation + 1);
    let batch = file.begin_batch()?;
    for &item in next.iter().filter(|&&item| item / 2 > root.generation) {
        directory.push((item, batch.write_extent(&item_bytes(item))?));
    }
    let (kept, dropped): (Vec<_>, Vec<_>) = directory.iter().partition(|(item, _)| next.contains(item));
    let bytes: Vec<u8> = kept
        .iter()
        .flat_map(|(item, extent)| item.to_le_bytes().into_iter().chain(extent.encode()))
        .collect();
    let catalog = match root.generation % 2 {
        0 => root.catalog,
        _ => batch.write_extent(format!("catalog of {}", root.generation).as_bytes())?,
    };
    let root = Root { catalog, table_directory: batch.write_extent(&bytes)?, ..root };
    let retired = dropped.iter().flat_map(|(_, extent)| extent_runs(extent)).collect();
    Ok(file.switch_root(batch, RootChange { root, retired, ..RootChange::default() })?.generation)
}

/// All content and all pages are what they must be; gives the generation.
fn verify(file: &PageFile) -> StorageResult<u64> {
    let root = file.root();
    let directory = read_directory(file, &root)?;
    assert_eq!(directory.iter().map(|(item, _)| *item).collect::<Vec<_>>(), items_of(root.generation));
    for (item, extent) in &directory {
        assert!(file.read_extent(extent, "item")? == item_bytes(*item), "item {item}");
    }
    file.read_extent(&root.catalog, "catalog")?;
    let header = file.header();
    let mut runs = vec![PageRun { first: super::PageId(0), count: HEADER_PAGES }];
    runs.extend(extent_runs(&header.root));
    runs.extend(root.runs());
    runs.extend(directory.iter().flat_map(|(_, extent)| extent_runs(extent)));
    runs.extend(file.unused_pages()?);
    runs.sort();
    let mut end = 0;
    for run in runs {
        assert_eq!(run.first.0, end, "reached and unused pages are disjoint and complete");
        end = run.end().0;
    }
    assert_eq!(end, header.page_count);
    Ok(root.generation)
}

fn open(disk: &SimulatedBackend) -> StorageResult<Arc<PageFile>> {
    PageFile::open(disk, Access::Write)
}

/// Creates or opens, then commits up to generation `STEPS`, opening again half-way. Gives the last generation
/// that was acknowledged, 0 for none, and what ended it.
fn live(disk: &SimulatedBackend) -> (u64, StorageResult<()>) {
    let mut acknowledged = 0;
    let mut work = || {
        let mut file = match disk.exists(FILE_NAME)? {
            true => open(disk)?,
            false => PageFile::create(disk, &CreateOptions::default())?,
        };
        acknowledged = file.root().generation;
        while acknowledged < STEPS {
            acknowledged = step(&file)?;
            if acknowledged == 3 {
                file = open(disk)?;
            }
        }
        Ok(())
    };
    let result = work();
    (acknowledged, result)
}

/// After a crash the last acknowledged generation is there, or a later one that was begun: at most the one after
/// the newest that was seen. Gives the generation, 0 for no database.
fn verify_after_crash(disk: &SimulatedBackend, acknowledged: u64, seen: u64) -> u64 {
    if !disk.exists(FILE_NAME).unwrap() {
        assert_eq!(acknowledged, 0, "an acknowledged database is gone");
        return 0;
    }
    let generation = verify(&PageFile::open(disk, Access::Read).unwrap()).unwrap();
    assert!(
        (acknowledged..=acknowledged.max(seen) + 1).contains(&generation),
        "generation {generation} after {acknowledged} was acknowledged and {seen} seen"
    );
    generation
}

fn operations_of_a_life() -> u64 {
    let disk = SimulatedBackend::new(0);
    live(&disk).1.unwrap();
    disk.operations()
}

#[test]
fn a_crash_at_any_operation_leaves_before_or_after() {
    let operations = operations_of_a_life();
    assert!(operations > 40);
    for seed in 0..4 {
        for last in 0..operations {
            let disk = SimulatedBackend::new(seed * 1000 + last);
            disk.crash_after(last);
            let (acknowledged, result) = live(&disk);
            // The last switch is done with its first header copy.
            assert!(result.is_err() || last + 5 > operations);
            // Or only the process ends, and the next one finds what was written but never synced.
            let disk = if seed % 2 == 0 { disk.crash() } else { disk.snapshot() };
            let seen = verify_after_crash(&disk, acknowledged, acknowledged);
            // The second life is cut short too, and the third comes to its end.
            disk.crash_after(last * 7 % 23);
            let acknowledged = live(&disk).0.max(acknowledged);
            let disk = disk.crash();
            verify_after_crash(&disk, acknowledged, seen);
            live(&disk).1.unwrap();
            assert_eq!(verify(&open(&disk).unwrap()).unwrap(), STEPS);
        }
    }
}

#[test]
fn a_failing_call_anywhere_loses_nothing() {
    for number in 1..=operations_of_a_life() {
        let disk = SimulatedBackend::new(number);
        disk.fail_operation(number);
        let (acknowledged, _) = live(&disk);
        verify_after_crash(&disk.crash(), acknowledged, acknowledged);
        crash_the_next_life(&disk, acknowledged);
        // Without a crash a new opening goes on as well.
        live(&disk).1.unwrap();
        assert_eq!(verify(&open(&disk).unwrap()).unwrap(), STEPS);
    }
}

#[test]
fn a_process_that_ends_anywhere_leaves_nothing_to_trip_over() {
    for last in 0..operations_of_a_life() {
        let disk = SimulatedBackend::new(last);
        disk.crash_after(last);
        let (acknowledged, _) = live(&disk);
        crash_the_next_life(&disk, acknowledged);
    }
}

/// The next process finds what the one before wrote, synced or not, and the power fails in its first operations.
fn crash_the_next_life(disk: &SimulatedBackend, acknowledged: u64) {
    for last in 0..8 {
        let disk = disk.snapshot();
        let seen = verify_after_crash(&disk, acknowledged, acknowledged);
        disk.crash_after(last);
        let acknowledged = live(&disk).0.max(acknowledged);
        for _ in 0..8 {
            verify_after_crash(&disk.crash(), acknowledged, seen);
        }
    }
}

#[test]
fn a_failed_header_write_poisons_the_writer_only() {
    let disk = SimulatedBackend::new(4);
    let file = PageFile::create(&disk, &CreateOptions::default()).unwrap();
    step(&file).unwrap();
    let before = disk.operations();
    let probe = disk.snapshot();
    let probed = open(&probe).unwrap();
    step(&probed).unwrap();
    step(&file).unwrap();
    let per_step = disk.operations() - before;
    let mut outcomes = [0; 3];
    for number in 1..=per_step {
        let disk = disk.snapshot();
        let file = open(&disk).unwrap();
        // The first write of an opening reserves counters; that is not what is tested here.
        file.begin_batch().unwrap().write_extent(b"x").unwrap();
        let before = file.root();
        disk.fail_operation(disk.operations() + number);
        let outcome = step(&file);
        let poisoned = matches!(step(&file), Err(StorageError::Poisoned { .. }));
        let reopened = open(&disk.crash()).unwrap();
        let now = verify(&reopened).unwrap();
        match (&outcome, poisoned) {
            (Ok(generation), _) => {
                outcomes[0] += 1;
                assert!(now >= *generation);
            }
            (Err(_), false) => {
                outcomes[1] += 1;
                // The pages were given back, and the same commit succeeded the second time.
                assert_eq!(file.root().generation, before.generation + 1);
            }
            (Err(_), true) => {
                outcomes[2] += 1;
                assert_eq!(file.root(), before);
                assert_eq!(verify(&file).unwrap(), before.generation);
            }
        }
    }
    assert!(outcomes.iter().all(|&count| count > 0), "{outcomes:?}");
}

#[test]
fn a_failed_sync_poisons_only_beside_other_writes() {
    for others in [false, true] {
        let disk = SimulatedBackend::new(6);
        let file = PageFile::create(&disk, &CreateOptions::default()).unwrap();
        step(&file).unwrap();
        let other = file.begin_batch().unwrap();
        if others {
            other.write_extent(&item_bytes(3)).unwrap();
        }
        let batch = file.begin_batch().unwrap();
        let root = Root { catalog: batch.write_extent(b"next").unwrap(), ..file.root() };
        // The free list and the root page are written, then comes the sync.
        disk.fail_operation(disk.operations() + 3);
        let outcome = file.switch_root(batch, RootChange { root, ..RootChange::default() });
        assert!(outcome.unwrap_err().to_string().contains("sync failed"));
        assert_eq!(step(&file).is_err(), others);
    }
}

#[test]
fn a_failing_read_is_an_error_and_no_more() {
    let disk = SimulatedBackend::new(6);
    live(&disk).1.unwrap();
    let reads = disk.reads();
    verify(&open(&disk).unwrap()).unwrap();
    for number in 1..=disk.reads() - reads {
        let disk = disk.snapshot();
        disk.fail_read(number);
        let outcome = open(&disk).and_then(|file| verify(&file));
        assert!(matches!(outcome, Err(StorageError::Io { .. })), "read {number}");
        assert_eq!(verify(&open(&disk).unwrap()).unwrap(), STEPS);
    }
}

#[test]
fn a_full_disk_loses_nothing_and_work_goes_on() {
    let disk = SimulatedBackend::new(9);
    let file = PageFile::create(&disk, &CreateOptions::default()).unwrap();
    step(&file).unwrap();
    let full = disk.snapshot();
    live(&full).1.unwrap();
    let (least, most) = (disk.used_bytes(), full.used_bytes());
    let mut refused = 0;
    for capacity in (least..most + 4096).step_by((most - least) as usize / 60) {
        let disk = disk.snapshot();
        let file = open(&disk).unwrap();
        disk.set_capacity(Some(capacity));
        while file.root().generation < STEPS {
            let before = file.root();
            let stats = file.space_stats().unwrap();
            match step(&file) {
                Ok(_) => {}
                Err(StorageError::DiskFull { .. }) => {
                    refused += 1;
                    assert_eq!(file.root(), before);
                    assert_eq!(verify(&file).unwrap(), before.generation);
                    assert_eq!(file.space_stats().unwrap().reserved, stats.reserved);
                    verify_after_crash(&disk.crash(), before.generation, before.generation);
                    disk.set_capacity(None);
                }
                Err(other) => panic!("{other}"),
            }
        }
        assert_eq!(verify(&file).unwrap(), STEPS);
    }
    assert!(refused > 20, "{refused}");
}

#[test]
fn a_flipped_bit_in_any_page_is_survived_or_reported() {
    let disk = SimulatedBackend::new(2);
    live(&disk).1.unwrap();
    let file = open(&disk).unwrap();
    let unused = file.unused_pages().unwrap();
    for page in 0..file.header().page_count {
        let disk = disk.snapshot();
        let offset = page * PAGE_SIZE as u64 + page * 977 % PAGE_SIZE as u64;
        assert!(disk.flip_bit(FILE_NAME, offset, (page % 8) as u8));
        let is_unused = unused.iter().any(|run| (run.first.0..run.end().0).contains(&page));
        let outcome = PageFile::open(&disk, Access::Read).and_then(|file| verify(&file));
        match outcome {
            Ok(generation) => {
                assert!(page < HEADER_PAGES || is_unused, "page {page}");
                assert_eq!(generation, STEPS);
            }
            Err(StorageError::ChecksumMismatch { file, page: named, .. }) => {
                assert_eq!((file.as_str(), named.0), (FILE_NAME, page));
            }
            Err(other) => panic!("{other}"),
        }
    }
}

#[test]
fn a_lost_page_and_a_page_in_the_wrong_place_are_reported() {
    let disk = SimulatedBackend::new(2);
    live(&disk).1.unwrap();
    let file = open(&disk).unwrap();
    let directory = read_directory(&file, &file.root()).unwrap();
    let (first, second) = (directory[0].1, directory[1].1);
    let bytes = disk.file_bytes(FILE_NAME).unwrap();
    let place = |extent: &ExtentRef| extent.first_page.offset() as usize;
    let raw = disk.open(FILE_NAME, OpenMode::Write).unwrap();
    raw.write_at(place(&first) as u64, &bytes[place(&second)..][..PAGE_SIZE]).unwrap();
    assert!(matches!(file.read_extent(&first, "item"), Err(StorageError::ChecksumMismatch { .. })));
    raw.write_at(place(&first) as u64, &[0; PAGE_SIZE]).unwrap();
    assert!(matches!(file.read_extent(&first, "item"), Err(StorageError::ChecksumMismatch { .. })));
    let error = file.read_extent(&first, "column age of Person").unwrap_err().to_string();
    assert!(error.contains("data.quire") && error.contains("column age of Person"), "{error}");
    raw.truncate(10_000).unwrap();
    let error = file.read_extent(&second, "item").unwrap_err().to_string();
    assert!(error.contains("beyond the end"), "{error}");
    let error = open(&disk).err().unwrap().to_string();
    assert!(error.contains("cut to 10000"), "{error}");
}
