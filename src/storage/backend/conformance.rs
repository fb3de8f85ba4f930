//! What every backend must do, run against all of them.

use std::io;

use super::{LockKind, MemoryBackend, OpenMode, SimulatedBackend, StorageBackend};
use crate::storage::{StorageError, StorageResult};

fn kind<T>(result: StorageResult<T>) -> io::ErrorKind {
    match result {
        Err(StorageError::Io { source, .. }) => source.kind(),
        Err(other) => panic!("not an I/O error: {other}"),
        Ok(_) => panic!("this must fail"),
    }
}

fn files_hold_bytes(backend: &dyn StorageBackend) {
    assert_eq!(kind(backend.open("a", OpenMode::Read)), io::ErrorKind::NotFound);
    assert_eq!(kind(backend.open("a", OpenMode::Write)), io::ErrorKind::NotFound);
    let file = backend.open("a", OpenMode::Create).unwrap();
    assert_eq!(kind(backend.open("a", OpenMode::Create)), io::ErrorKind::AlreadyExists);
    assert_eq!(file.name(), "a");
    assert_eq!(file.size().unwrap(), 0);
    file.write_at(3, b"def").unwrap();
    file.write_at(0, b"ab").unwrap();
    let mut buffer = [9; 6];
    file.read_at(0, &mut buffer).unwrap();
    assert_eq!(&buffer, b"ab\0def");
    assert_eq!(kind(file.read_at(1, &mut buffer)), io::ErrorKind::UnexpectedEof);
    assert_eq!(kind(file.read_at(u64::MAX / 4096, &mut buffer)), io::ErrorKind::UnexpectedEof);
    file.sync().unwrap();
    let again = backend.open("a", OpenMode::CreateOrOpen).unwrap();
    again.read_at(2, &mut buffer[..4]).unwrap();
    assert_eq!(&buffer[..4], b"\0def");
}

fn large_writes_cross_all_boundaries(backend: &dyn StorageBackend) {
    let file = backend.open("a", OpenMode::CreateOrOpen).unwrap();
    let bytes: Vec<u8> = (0..3_000_000_u32).map(|i| (i % 251) as u8).collect();
    file.write_at(1_000_001, &bytes).unwrap();
    let mut buffer = vec![0; bytes.len()];
    file.read_at(1_000_001, &mut buffer).unwrap();
    assert!(buffer == bytes);
    let mut gap = [9; 100];
    file.read_at(999_901, &mut gap).unwrap();
    assert_eq!(gap, [0; 100]);
}

fn sizes_change(backend: &dyn StorageBackend) {
    let file = backend.open("sized", OpenMode::Create).unwrap();
    file.write_at(0, &[1; 2000]).unwrap();
    file.truncate(10).unwrap();
    file.truncate(3000).unwrap();
    let mut buffer = [9; 3000];
    file.read_at(0, &mut buffer).unwrap();
    assert_eq!(buffer[..10], [1; 10]);
    assert_eq!(buffer[10..], [0; 2990]);
    file.preallocate(0, 5000).unwrap();
    file.preallocate(0, 100).unwrap();
    file.preallocate(9000, 0).unwrap();
    assert!(file.size().unwrap() >= 5000);
    file.read_at(2000, &mut buffer).unwrap();
    assert_eq!(buffer, [0; 3000]);
}

fn names_change(backend: &dyn StorageBackend) {
    backend.create_dir("wal").unwrap();
    backend.create_dir("wal").unwrap();
    for name in ["wal/2", "wal/1", "top"] {
        backend.open(name, OpenMode::Create).unwrap().write_at(0, name.as_bytes()).unwrap();
    }
    assert_eq!(backend.list("wal").unwrap(), ["1", "2"]);
    assert!(backend.list("").unwrap().contains(&"top".to_owned()));
    assert!(!backend.list("").unwrap().iter().any(|name| name.contains("wal")));
    backend.rename("wal/1", "wal/2").unwrap();
    assert_eq!(backend.list("wal").unwrap(), ["2"]);
    let mut buffer = [0; 5];
    backend.open("wal/2", OpenMode::Read).unwrap().read_at(0, &mut buffer).unwrap();
    assert_eq!(&buffer, b"wal/1");
    assert!(backend.exists("wal/2").unwrap());
    assert!(!backend.exists("wal/1").unwrap());
    backend.remove("wal/2").unwrap();
    assert_eq!(kind(backend.remove("wal/2")), io::ErrorKind::NotFound);
    assert_eq!(kind(backend.rename("wal/2", "wal/3")), io::ErrorKind::NotFound);
    backend.sync_dir("wal").unwrap();
    backend.sync_dir("").unwrap();
}

fn removed_files_stay_open(backend: &dyn StorageBackend) {
    let file = backend.open("gone", OpenMode::Create).unwrap();
    file.write_at(0, b"x").unwrap();
    backend.remove("gone").unwrap();
    let mut buffer = [0];
    file.read_at(0, &mut buffer).unwrap();
    assert_eq!(&buffer, b"x");
}

fn locks_exclude(backend: &dyn StorageBackend) {
    let held = |kind| match backend.lock("LOCK", kind) {
        Err(StorageError::Locked { holder, .. }) => holder,
        Err(other) => panic!("not about locks: {other}"),
        Ok(_) => panic!("this lock must be refused"),
    };
    let writer = backend.lock("LOCK", LockKind::Exclusive).unwrap();
    assert!(held(LockKind::Exclusive).contains("this process"), "{}", held(LockKind::Exclusive));
    assert!(held(LockKind::Shared).contains("this process"));
    drop(writer);
    let readers = [LockKind::Shared; 2].map(|kind| backend.lock("LOCK", kind).unwrap());
    assert!(held(LockKind::Exclusive).contains("read"));
    drop(readers);
    backend.lock("LOCK", LockKind::Exclusive).unwrap();
}

fn threads_write_at_once(backend: &dyn StorageBackend) {
    let file = backend.open("shared", OpenMode::Create).unwrap();
    std::thread::scope(|scope| {
        for thread in 0..4_u8 {
            let file = file.clone();
            scope.spawn(move || {
                for at in (u64::from(thread)..64).step_by(4) {
                    file.write_at(at * 40_000, &[thread + 1; 40_000]).unwrap();
                }
            });
        }
    });
    let mut buffer = vec![0; 64 * 40_000];
    file.read_at(0, &mut buffer).unwrap();
    for (at, piece) in buffer.chunks(40_000).enumerate() {
        assert!(piece.iter().all(|&byte| usize::from(byte) == at % 4 + 1));
    }
}

fn check(backend: &dyn StorageBackend) {
    backend.create_dir("").unwrap();
    files_hold_bytes(backend);
    large_writes_cross_all_boundaries(backend);
    sizes_change(backend);
    names_change(backend);
    removed_files_stay_open(backend);
    locks_exclude(backend);
    threads_write_at_once(backend);
}

#[test]
fn memory() {
    check(&MemoryBackend::new());
}

#[test]
fn simulated() {
    check(&SimulatedBackend::new(1));
}

#[cfg(unix)]
#[test]
fn posix() {
    let folder = tempfile::tempdir().unwrap();
    check(&super::PosixBackend::new(folder.path().join("deep/er/db")));
}
