//! Holds, aborted batches, several writers, codecs: what may be written where and when.

use std::sync::Arc;

use parking_lot::Mutex;
use uuid::Uuid;

use super::{
    Access, CreateOptions, EXTENT_BYTES_MAX, ExtentRef, FILE_NAME, PAGE_SIZE, PageFile, PageId, PageRef,
    PageRun, PageSource, REGION_PAGES, Root, RootChange, extent_runs,
};
use crate::storage::StorageError;
use crate::storage::backend::{MemoryBackend, OpenMode, StorageBackend};
use crate::storage::codec::{CodecError, Identity, StorageCodec};

fn create() -> (MemoryBackend, Arc<PageFile>) {
    let backend = MemoryBackend::new();
    let file = PageFile::create(&backend, &CreateOptions::default()).unwrap();
    (backend, file)
}

/// Puts bytes where the directory was.
fn replace_directory(file: &Arc<PageFile>, bytes: &[u8]) -> ExtentRef {
    let batch = file.begin_batch().unwrap();
    let table_directory = batch.write_extent(bytes).unwrap();
    let root = Root { table_directory, ..file.root() };
    file.switch_root(batch, RootChange { root, ..RootChange::default() }).unwrap();
    table_directory
}

#[test]
fn an_empty_database_is_small_and_opens_with_few_reads() {
    let (backend, file) = create();
    assert!(backend.open(FILE_NAME, OpenMode::Read).unwrap().size().unwrap() < 64 << 10);
    let stats = file.io_stats();
    assert!(stats.pages_read <= 3, "{stats:?}");
    replace_directory(&file, &[1; 1_000_000]);
    let again = PageFile::open(&backend, Access::Read).unwrap();
    assert_eq!(again.io_stats().pages_read, 3);
    assert_eq!(again.io_stats().pages_written, 0);
}

#[test]
fn a_database_is_not_created_over_another() {
    let (backend, _file) = create();
    assert!(PageFile::create(&backend, &CreateOptions::default()).is_err());
}

#[test]
fn reading_only_writes_nothing() {
    let (backend, _file) = create();
    let file = PageFile::open(&backend, Access::Read).unwrap();
    assert!(matches!(file.begin_batch(), Err(StorageError::ReadOnly)));
}

#[test]
fn held_pages_stay_until_the_last_hold_goes() {
    let (_backend, file) = create();
    let reused = Arc::new(Mutex::new(Vec::<PageRun>::new()));
    let seen = reused.clone();
    file.set_on_reuse(move |run| seen.lock().push(run));
    let first = replace_directory(&file, &[1; 50_000]);
    let holds = [file.hold(), file.hold()];
    for round in 2..20 {
        replace_directory(&file, &[round; 50_000]);
    }
    let touched = |run: PageRun| {
        let reused = reused.lock();
        reused.iter().any(|other| other.first < run.end() && run.first < other.end())
    };
    let runs = extent_runs(&first);
    assert_eq!(file.read_extent(&holds[0].root().table_directory, "test").unwrap(), [1; 50_000]);
    assert!(!runs.iter().any(|&run| touched(run)));
    let [one, other] = holds;
    drop(one);
    assert!(!runs.iter().any(|&run| touched(run)));
    let held = file.space_stats().unwrap().held;
    assert!(held > 12, "{held}");
    drop(other);
    assert!(runs.iter().all(|&run| touched(run)));
    assert_eq!(file.space_stats().unwrap().held, 0);
}

#[test]
fn a_database_that_churns_does_not_grow() {
    let (backend, file) = create();
    for round in 0..50 {
        replace_directory(&file, &vec![round; 20_000 + usize::from(round) * 100]);
    }
    let pages = file.header().page_count;
    assert!(pages < 40, "{pages}");
    replace_directory(&file, &[0; 10_000_000]);
    replace_directory(&file, &[0; 10]);
    replace_directory(&file, &[0; 10]);
    let size = backend.open(FILE_NAME, OpenMode::Read).unwrap().size().unwrap();
    assert!(size < 60 * PAGE_SIZE as u64, "{size}");
}

#[test]
fn an_aborted_batch_gives_everything_back() {
    let (_backend, file) = create();
    replace_directory(&file, &[1; 30_000]);
    let before = file.space_stats().unwrap();
    let batch = file.begin_batch().unwrap();
    batch.write_extent(&[2; 100_000]).unwrap();
    batch.write_pages(&[3; 9000]).unwrap();
    let mut writer = batch.extent_writer(1_000_000).unwrap();
    writer.push(&[4; 600_000]).unwrap();
    assert!(writer.push(&[4; 600_000]).is_err());
    drop(writer);
    assert!(file.space_stats().unwrap().reserved > 25);
    drop(batch);
    let after = file.space_stats().unwrap();
    assert_eq!(after.reserved, 0);
    assert_eq!(after.pages - after.free, before.pages - before.free);
}

#[test]
fn what_a_writer_does_not_use_is_given_back() {
    let (_backend, file) = create();
    let batch = file.begin_batch().unwrap();
    let mut writer = batch.extent_writer(10_000_000).unwrap();
    writer.push(&[7; 5000]).unwrap();
    let extent = writer.finish().unwrap();
    assert_eq!(batch.page_count(), 3);
    assert_eq!(file.read_extent(&extent, "test").unwrap(), [7; 5000]);
    batch.release(extent_runs(&extent)[0]).unwrap();
    assert_eq!(batch.page_count(), 0);
    assert!(batch.release(extent_runs(&extent)[0]).is_err());
    assert!(batch.extent_writer((1 << 30) + 1).is_err());
}

#[test]
fn references_stand_apart_where_the_region_has_no_room() {
    let (_backend, file) = create();
    let batch = file.begin_batch().unwrap();
    let run = batch.allocate(300).unwrap();
    let behind = batch.allocate(1).unwrap();
    assert_eq!(behind.first, run.end());
    let bytes: Vec<u8> = (0..300 * PAGE_SIZE as u32).map(|at| (at / 1000) as u8).collect();
    let extent = batch.write_extent_into(run, &bytes).unwrap();
    assert_eq!(extent_runs(&extent), [run, PageRun { first: behind.end(), count: 4 }]);
    assert!(file.read_extent(&extent, "test").unwrap() == bytes);

    let largest = batch.extent_writer(EXTENT_BYTES_MAX).unwrap();
    assert_eq!(batch.page_count(), 305 + REGION_PAGES);
    drop(largest);
    assert_eq!(batch.page_count(), 305);
}

#[test]
fn a_damaged_header_copy_is_found_and_mended_by_the_next_writer() {
    let (backend, file) = create();
    replace_directory(&file, b"x");
    file.check_headers().unwrap();
    let raw = backend.open(FILE_NAME, OpenMode::Write).unwrap();
    raw.write_at(PAGE_SIZE as u64 + 50, &[9]).unwrap();
    let error = file.check_headers().unwrap_err().to_string();
    assert!(error.contains("page 1") && error.contains("checksum"), "{error}");
    let reader = PageFile::open(&backend, Access::Read).unwrap();
    assert!(reader.check_headers().is_err());
    PageFile::open(&backend, Access::Write).unwrap().check_headers().unwrap();
    reader.check_headers().unwrap();
}

#[test]
fn single_pages_carry_their_own_references() {
    let (_backend, file) = create();
    let batch = file.begin_batch().unwrap();
    let bytes: Vec<u8> = (0..20_000_u32).map(|at| (at / 100) as u8).collect();
    let references = batch.write_pages(&bytes).unwrap();
    assert_eq!(references.len(), 5);
    let mut out = vec![0; 5 * PAGE_SIZE];
    file.read_pages(&references, "test", &mut out).unwrap();
    assert_eq!(out[..bytes.len()], bytes);
    assert!(out[bytes.len()..].iter().all(|&byte| byte == 0));
    let mut scattered = references.clone();
    scattered.swap(0, 3);
    file.read_pages(&scattered, "test", &mut out).unwrap();
    assert_eq!(out[..PAGE_SIZE], bytes[3 * PAGE_SIZE..4 * PAGE_SIZE]);
    assert!(file.read_pages(&references, "test", &mut out[1..]).is_err());
}

#[test]
fn threads_write_one_batch_and_several() {
    let (_backend, file) = create();
    let batches = [file.begin_batch().unwrap(), file.begin_batch().unwrap()];
    let extents = Mutex::new(Vec::new());
    std::thread::scope(|scope| {
        for thread in 0..4_usize {
            let (batch, extents) = (&batches[thread % 2], &extents);
            scope.spawn(move || {
                for round in 0..20 {
                    let bytes = vec![(thread * 20 + round) as u8; 1000 + round * 30_000];
                    let extent = batch.write_extent(&bytes).unwrap();
                    extents.lock().push((thread, extent, bytes));
                }
            });
        }
    });
    let [kept, aborted] = batches;
    let root = file.root();
    file.switch_root(kept, RootChange { root, ..RootChange::default() }).unwrap();
    drop(aborted);
    let extents = extents.into_inner();
    let mut pages = 0;
    for (_, extent, bytes) in extents.iter().filter(|(thread, ..)| thread % 2 == 0) {
        assert!(file.read_extent(extent, "test").unwrap() == *bytes);
        pages += extent_runs(extent).iter().map(|run| run.count).sum::<u64>();
    }
    let stats = file.space_stats().unwrap();
    let own: u64 = file.root().runs().iter().map(|run| run.count).sum();
    // The two headers and the root page are the rest.
    assert_eq!(stats.pages - stats.free, pages + own + 3);
}

#[test]
fn a_commit_on_an_old_root_is_refused() {
    let (_backend, file) = create();
    let root = file.root();
    replace_directory(&file, b"x");
    let batch = file.begin_batch().unwrap();
    let outcome = file.switch_root(batch, RootChange { root, ..RootChange::default() });
    assert!(matches!(outcome, Err(StorageError::StaleRoot { based_on: 1, current: 2 })));
}

#[test]
fn freeing_what_is_not_live_is_refused_before_anything_is_written() {
    let (_backend, file) = create();
    let extent = replace_directory(&file, &[1; 5000]);
    let written = file.io_stats().pages_written;
    for retired in [vec![PageRun { first: PageId(1 << 30), count: 1 }], extent_runs(&extent)] {
        let batch = file.begin_batch().unwrap();
        // The directory is replaced, so its pages are retired without being listed.
        let root = Root { table_directory: ExtentRef::default(), ..file.root() };
        let outcome = file.switch_root(batch, RootChange { root, retired, ..RootChange::default() });
        assert!(matches!(outcome, Err(StorageError::Corrupt { .. })));
    }
    assert_eq!(file.io_stats().pages_written, written);
    assert_eq!(file.read_extent(&extent, "test").unwrap(), [1; 5000]);
    replace_directory(&file, b"x");
}

/// Adds the counter to every byte; the tag is page and counter.
struct Shifting;

impl StorageCodec for Shifting {
    fn id(&self) -> u32 {
        900
    }

    fn encode(&self, nonce: u128, plain: &[u8], out: &mut Vec<u8>) -> Result<(), CodecError> {
        Identity.encode(nonce, plain, out)
    }

    fn decode(&self, nonce: u128, stored: &[u8], out: &mut Vec<u8>) -> Result<(), CodecError> {
        Identity.decode(nonce, stored, out)
    }

    fn seal_page(&self, page: PageId, counter: u64, bytes: &mut [u8]) -> Result<[u8; 16], CodecError> {
        bytes.iter_mut().for_each(|byte| *byte = byte.wrapping_add(counter as u8 | 1));
        Ok((u128::from(page.0) << 64 | u128::from(counter)).to_le_bytes())
    }

    fn open_page(&self, reference: &PageRef, bytes: &mut [u8]) -> Result<(), CodecError> {
        let tag = (u128::from(reference.page.0) << 64 | u128::from(reference.counter)).to_le_bytes();
        if reference.tag != tag {
            return Err(CodecError { detail: "the tag is wrong".to_owned() });
        }
        bytes.iter_mut().for_each(|byte| *byte = byte.wrapping_sub(reference.counter as u8 | 1));
        Ok(())
    }
}

#[test]
fn pages_go_through_the_codec_and_counters_are_never_used_twice() {
    let backend = MemoryBackend::new();
    let codec: Arc<dyn StorageCodec> = Arc::new(Shifting);
    let options = CreateOptions { codec: codec.clone(), uuid: Uuid::from_u128(5), ..Default::default() };
    drop(PageFile::create(&backend, &options).unwrap());
    let mut counters = std::collections::BTreeSet::from([0]);
    for round in 0..4 {
        let file = PageFile::open_with_codec(&backend, Access::Write, codec.clone()).unwrap();
        let bytes = vec![round; 700_000];
        let extent = replace_directory(&file, &bytes);
        assert!(file.read_extent(&extent, "test").unwrap() == bytes);
        let references = file.read_references(&extent, 0..extent.page_count(), "test").unwrap();
        for reference in references.iter().chain([&extent.root]) {
            assert!(counters.insert(reference.counter), "counter {} again", reference.counter);
            assert!(reference.counter < file.header().counter_mark);
        }
        let mut stored = [0; PAGE_SIZE];
        let raw = backend.open(FILE_NAME, OpenMode::Read).unwrap();
        raw.read_at(extent.first_page.offset(), &mut stored).unwrap();
        assert!(stored.iter().all(|&byte| byte == round.wrapping_add(references[0].counter as u8 | 1)));
    }
    let refused = PageFile::open(&backend, Access::Read).err().unwrap().to_string();
    assert!(refused.contains("codec 900"), "{refused}");
    assert!(PageFile::open_with_codec(&backend, Access::Read, Arc::new(Identity)).is_err());
}
