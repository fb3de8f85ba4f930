//! What a loop that only encodes a row and appends it to a file gains by a second thread: the most that buffered
//! commits could gain on the machine at hand.

use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use crate::show;

/// One record as a commit of one row has it: a header with a checksum, the row's values, its key and offset.
fn encode(row: u64, out: &mut Vec<u8>) {
    out.clear();
    out.extend_from_slice(&[0; 28]);
    out.extend_from_slice(&row.to_le_bytes());
    out.extend_from_slice(&[1; 40]);
    out.extend_from_slice(format!("the name of account {row}").as_bytes());
    out.extend_from_slice(&row.to_le_bytes());
    out.extend_from_slice(&row.to_le_bytes());
    let checksum = crc32fast::hash(&out[4..]);
    out[..4].copy_from_slice(&checksum.to_le_bytes());
}

fn rate(file: &File, threads: usize, time: Duration) -> f64 {
    let (end, next, started) = (Mutex::new(0u64), AtomicU64::new(0), Instant::now());
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                let mut record = Vec::new();
                while started.elapsed() < time {
                    encode(next.fetch_add(1, Ordering::Relaxed), &mut record);
                    let offset = {
                        let mut end = end.lock().expect("nobody panics with it");
                        *end += record.len() as u64;
                        *end - record.len() as u64
                    };
                    file.write_all_at(&record, offset).expect("room");
                }
            });
        }
    });
    next.into_inner() as f64 / started.elapsed().as_secs_f64()
}

/// Prints how many records per second as many threads append.
pub fn appends(folder: &Path, threads: &[usize]) {
    let file = File::create(folder.join("by_hand")).expect("a file");
    let mut first = None;
    for threads in threads {
        let rate = rate(&file, *threads, Duration::from_millis(1000));
        let times = rate / *first.get_or_insert(rate);
        show(&format!("by hand, {threads} appenders ({times:.1} times one)"), rate, "records/s");
    }
}
