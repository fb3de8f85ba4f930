//! The buffer pool beside plain slices and plain `pread`: warm reading (criterion), then a cold scan (a table, page
//! cache dropped on both sides). `cargo bench --bench pool`; the cold scan's file size is `POOL_BENCH_MB` (160).

use std::fs::File;
use std::hint::black_box;
use std::io::Write;
use std::os::unix::fs::FileExt;
use std::sync::Arc;
use std::time::Instant;

use criterion::Criterion;
use quiredb::storage::buffer_pool::{Admission, BufferPool, SegmentOwner, SegmentRef, bytes_as};
use quiredb::storage::page::{ExtentRef, PAGE_SIZE, PageId, PageRef, PageSource, REFS_PER_PAGE};
use quiredb::storage::{StorageError, StorageResult};

struct PageFile {
    file: File,
}

fn checksum(page: u64, bytes: &[u8]) -> u32 {
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(&[7; 16]);
    hasher.update(&page.to_le_bytes());
    hasher.update(bytes);
    hasher.finalize()
}

impl PageSource for PageFile {
    fn read_pages(&self, references: &[PageRef], what: &str, out: &mut [u8]) -> StorageResult<()> {
        let offset = references[0].page.offset();
        self.file.read_exact_at(out, offset).map_err(|source| StorageError::Io {
            operation: "read",
            file: "bench".to_owned(),
            source,
        })?;
        for (reference, bytes) in references.iter().zip(out.chunks(PAGE_SIZE)) {
            let got = checksum(reference.page.0, bytes);
            if got != reference.checksum {
                return Err(StorageError::ChecksumMismatch {
                    file: "bench".to_owned(),
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

/// A file of one extent (data pages first, then its references) of `bytes` bytes.
fn write_file(bytes: usize) -> (tempfile::NamedTempFile, ExtentRef) {
    let mut file = tempfile::NamedTempFile::new_in("target").expect("a file");
    let mut level = Vec::new();
    let mut state = 1_u64;
    let mut page = vec![0_u8; PAGE_SIZE];
    for at in 0..bytes.div_ceil(PAGE_SIZE) as u64 {
        for word in page.chunks_mut(8) {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            word.copy_from_slice(&state.to_le_bytes());
        }
        file.write_all(&page).expect("room on the disk");
        level.push(PageRef { page: PageId(at), checksum: checksum(at, &page), ..PageRef::default() });
    }
    let mut next = level.len() as u64;
    let mut depth = 0;
    while level.len() > 1 {
        let mut above = Vec::new();
        for group in level.chunks(REFS_PER_PAGE) {
            page.fill(0);
            for (slot, reference) in page.chunks_mut(PageRef::SIZE).zip(group) {
                slot.copy_from_slice(&reference.encode());
            }
            file.write_all(&page).expect("room on the disk");
            above.push(PageRef { page: PageId(next), checksum: checksum(next, &page), ..PageRef::default() });
            next += 1;
        }
        level = above;
        depth += 1;
    }
    file.as_file().sync_all().expect("durable");
    let byte_length = bytes as u64;
    (file, ExtentRef { root: level[0], first_page: PageId(0), depth, byte_length })
}

fn open(bytes: usize, limit: u64) -> (tempfile::NamedTempFile, BufferPool, SegmentRef) {
    let (file, extent) = write_file(bytes);
    let source = Arc::new(PageFile { file: file.reopen().expect("readable") });
    let segment = SegmentRef::extent(extent, SegmentOwner::new("bench", "T", "c")).expect("sound");
    (file, BufferPool::new(limit, source), segment)
}

fn warm(criterion: &mut Criterion) {
    const BYTES: u64 = 32 << 20;
    let (_file, pool, segment) = open(BYTES as usize, 64 << 20);
    let mut plain = Vec::new();
    for at in (0..BYTES).step_by(1 << 16) {
        plain.extend_from_slice(&pool.lend(&segment, at..at + (1 << 16), Admission::Frames).expect("room"));
    }
    // Lists of 16 values of 4 bytes, in random order, as neighbours of a breadth-first search.
    let mut state = 9_u64;
    let lists: Vec<u64> = (0..1 << 14)
        .map(|_| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            (state >> 20) % (BYTES / 64) * 64
        })
        .collect();
    let sum = |bytes: &[u8]| bytes_as::<u32>(bytes).iter().map(|&value| u64::from(value)).sum::<u64>();
    let mut worker = pool.worker().expect("a slot");

    let mut group = criterion.benchmark_group("pool");
    group.sample_size(20).warm_up_time(std::time::Duration::from_millis(300));
    group.measurement_time(std::time::Duration::from_secs(1));
    group.throughput(criterion::Throughput::Elements(lists.len() as u64));
    group.bench_function("lists, plain slice", |bench| {
        bench.iter(|| lists.iter().map(|&at| sum(&plain[at as usize..at as usize + 64])).sum::<u64>());
    });
    group.bench_function("lists, cursor", |bench| {
        bench.iter(|| {
            let mut cursor = worker.cursor();
            lists.iter().map(|&at| sum(cursor.bytes(&segment, at..at + 64).expect("room"))).sum::<u64>()
        });
    });
    group.bench_function("lists, cursor, prefetched", |bench| {
        bench.iter(|| {
            let mut cursor = worker.cursor();
            let ahead = lists.iter().skip(8).chain(std::iter::repeat(&0));
            let mut total = 0;
            for (&at, &next) in lists.iter().zip(ahead) {
                cursor.prefetch(&segment, next);
                total += sum(cursor.bytes(&segment, at..at + 64).expect("room"));
            }
            total
        });
    });
    group.bench_function("one place, cursor", |bench| {
        bench.iter(|| {
            let mut cursor = worker.cursor();
            let mut total = 0;
            for &at in &lists {
                total += u64::from(cursor.bytes(&segment, at % 4096..at % 4096 + 64).expect("room")[0]);
            }
            total
        });
    });
    group.bench_function("one place, pair", |bench| {
        bench.iter(|| {
            let mut cursor = worker.cursor();
            let mut total = 0;
            for &at in &lists {
                let at = at % 4096;
                let pair = cursor.pair(&segment, at..at + 64, &segment, 70_000 + at..70_064 + at);
                let (left, right) = pair.expect("room");
                total += u64::from(left[0] ^ right[0]);
            }
            total
        });
    });
    group.throughput(criterion::Throughput::Elements(1));
    group.bench_function("cursor in and out", |bench| {
        bench.iter(|| drop(black_box(worker.cursor())));
    });
    group.bench_function("lend 128 KiB", |bench| {
        let mut at = 0;
        bench.iter(|| {
            at = (at + (128 << 10)) % BYTES;
            black_box(pool.lend(&segment, at..at + (128 << 10), Admission::Private).expect("room").len())
        });
    });
    group.throughput(criterion::Throughput::Bytes(BYTES));
    let total = |bytes: &[u8]| bytes_as::<i64>(bytes).iter().fold(0_i64, |sum, &one| sum.wrapping_add(one));
    group.bench_function("sum, plain slice", |bench| {
        bench.iter(|| plain.chunks(128 << 10).map(total).fold(0, i64::wrapping_add));
    });
    group.bench_function("sum, lend 128 KiB", |bench| {
        bench.iter(|| {
            let parts = (0..BYTES).step_by(128 << 10);
            let lend = |at| pool.lend(&segment, at..at + (128 << 10), Admission::Private).expect("room");
            parts.map(|at| total(&lend(at))).fold(0, i64::wrapping_add)
        });
    });
    group.finish();
}

fn drop_page_cache(file: &File) {
    use std::os::fd::AsRawFd;
    #[allow(unsafe_code)]
    // SAFETY: the descriptor is open; the call only gives advice.
    let code = unsafe { libc::posix_fadvise(file.as_raw_fd(), 0, 0, libc::POSIX_FADV_DONTNEED) };
    assert_eq!(code, 0);
}

/// The best of five, in MB/s.
fn measure(name: &str, cold: bool, file: &File, bytes: usize, mut run: impl FnMut() -> u64) {
    let mut best = 0.0_f64;
    for _ in 0..5 {
        if cold {
            drop_page_cache(file);
        }
        let started = Instant::now();
        black_box(run());
        best = best.max(bytes as f64 / 1e6 / started.elapsed().as_secs_f64());
    }
    println!("{:<8}{name:<28}{best:>8.0} MB/s", if cold { "dropped" } else { "cached" });
}

fn scan() {
    let megabytes = std::env::var("POOL_BENCH_MB").ok().and_then(|text| text.parse().ok()).unwrap_or(160);
    let bytes = megabytes << 20;
    let (file, extent) = write_file(bytes);
    let reader = file.reopen().expect("readable");
    let segment = SegmentRef::extent(extent, SegmentOwner::new("bench", "T", "c")).expect("sound");
    let total = |bytes: &[u8]| bytes_as::<u64>(bytes).iter().fold(0_u64, |sum, &one| sum.wrapping_add(one));
    for cold in [true, false] {
        for chunk in [64 << 10, 1 << 20] {
            let mut buffer = quiredb::storage::buffer_pool::AlignedBuffer::zeroed(chunk);
            measure(&format!("pread {} KiB", chunk >> 10), cold, &reader, bytes, || {
                let mut sum = 0_u64;
                for at in (0..bytes).step_by(chunk) {
                    reader.read_exact_at(&mut buffer, at as u64).expect("readable");
                    sum = sum.wrapping_add(total(&buffer));
                }
                sum
            });
        }
        for (name, window, admission) in [
            ("frames 64 KiB", 64 << 10, Admission::Frames),
            ("frames ahead 64 KiB", 64 << 10, Admission::ReadAhead),
            ("frames ahead 128 KiB", 128 << 10, Admission::ReadAhead),
            ("frames 1 MiB", 1 << 20, Admission::Frames),
            ("private 64 KiB", 64 << 10, Admission::Private),
            ("private 128 KiB", 128 << 10, Admission::Private),
            ("private 256 KiB", 256 << 10, Admission::Private),
            ("private 1 MiB", 1 << 20, Admission::Private),
        ] {
            for (size, limit) in [("", 2 * bytes as u64), (", 64 MB pool", 64 << 20)] {
                let name = format!("{name}{size}");
                measure(&name, cold, &reader, bytes, || {
                    let source = Arc::new(PageFile { file: file.reopen().expect("readable") });
                    let pool = BufferPool::new(limit, source);
                    let mut sum = 0_u64;
                    for at in (0..bytes as u64).step_by(window) {
                        let range = at..(at + window as u64).min(bytes as u64);
                        sum = sum.wrapping_add(total(&pool.lend(&segment, range, admission).expect("room")));
                    }
                    sum
                });
            }
        }
    }
}

fn main() {
    let mut criterion = Criterion::default().configure_from_args();
    warm(&mut criterion);
    criterion.final_summary();
    scan();
}
