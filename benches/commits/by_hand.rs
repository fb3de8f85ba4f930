//! What a loop that only encodes a row and appends it to a file gains by a second thread: the most that buffered
//! commits could gain on the machine at hand.

use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// One record as a commit of some rows has it: a header with a checksum, the rows' values, their keys and offsets.
fn encode(first: u64, rows: usize, out: &mut Vec<u8>) {
    out.clear();
    out.extend_from_slice(&[0; 28]);
    out.extend_from_slice(&first.to_le_bytes());
    out.extend_from_slice(&[1; 40]);
    for row in (first..).take(rows) {
        out.extend_from_slice(format!("the name of account {row}").as_bytes());
        out.extend_from_slice(&row.to_le_bytes());
        out.extend_from_slice(&row.to_le_bytes());
    }
    let checksum = crc32fast::hash(&out[4..]);
    out[..4].copy_from_slice(&checksum.to_le_bytes());
}

/// The file, and where it ends.
pub struct Appender {
    file: File,
    end: Mutex<u64>,
}

impl Appender {
    pub fn create(folder: &Path) -> Appender {
        Appender { file: File::create(folder.join("by_hand")).expect("a file"), end: Mutex::new(0) }
    }

    /// Records of so many rows per second of so many threads.
    pub fn rate(&self, threads: usize, rows: usize, time: Duration) -> f64 {
        let (next, started) = (AtomicU64::new(0), Instant::now());
        std::thread::scope(|scope| {
            for _ in 0..threads {
                scope.spawn(|| {
                    let mut record = Vec::new();
                    while started.elapsed() < time {
                        let first = next.fetch_add(1, Ordering::Relaxed) * rows as u64;
                        encode(first, rows, &mut record);
                        let offset = {
                            let mut end = self.end.lock().expect("nobody panics with it");
                            *end += record.len() as u64;
                            *end - record.len() as u64
                        };
                        self.file.write_all_at(&record, offset).expect("room");
                    }
                });
            }
        });
        next.into_inner() as f64 / started.elapsed().as_secs_f64()
    }
}
