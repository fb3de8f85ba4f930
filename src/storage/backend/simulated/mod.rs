//! A disk in memory that fails as disks do. Until a sync it may lose what was written, tear it at 512 bytes and
//! reorder it; new names need a sync of their folder; it fills up, fails with EIO when told to, and flips bits.
//! One seed and one order of calls give one outcome.

mod disk;
mod file_state;
mod random;

use std::io;
use std::sync::Arc;

use parking_lot::Mutex;

use self::disk::Disk;
use super::faults::io_error;
use super::memory::{names_in, not_found};
use super::{LockGuard, LockKind, OpenMode, StorageBackend, StorageFile};
use crate::storage::{StorageError, StorageResult};

/// The simulated disk; clones are the same disk.
#[derive(Clone)]
pub struct SimulatedBackend {
    disk: Arc<Mutex<Disk>>,
}

impl SimulatedBackend {
    /// An empty disk without faults.
    pub fn new(seed: u64) -> SimulatedBackend {
        SimulatedBackend::of(Disk::new(seed))
    }

    fn of(disk: Disk) -> SimulatedBackend {
        SimulatedBackend { disk: Arc::new(Mutex::new(disk)) }
    }

    /// The calls so far that may have changed the disk: creating, writing, syncing, resizing, renaming, removing.
    pub fn operations(&self) -> u64 {
        self.disk.lock().faults.operations
    }

    /// The reads so far.
    pub fn reads(&self) -> u64 {
        self.disk.lock().faults.reads
    }

    /// From the operation after the `count`th on every call fails with "simulated crash".
    pub fn crash_after(&self, count: u64) {
        self.disk.lock().faults.crash_after = Some(count);
    }

    /// The operation with this number, counted as `operations` does, fails with EIO.
    pub fn fail_operation(&self, number: u64) {
        self.disk.lock().faults.failing_operations.insert(number);
    }

    /// The read with this number, counted as `reads` does, fails with EIO.
    pub fn fail_read(&self, number: u64) {
        self.disk.lock().faults.failing_reads.insert(number);
    }

    /// Takes back all faults that were ordered, the size limit included.
    pub fn clear_faults(&self) {
        let faults = &mut self.disk.lock().faults;
        faults.crash_after = None;
        faults.failing_operations.clear();
        faults.failing_reads.clear();
        faults.capacity = None;
    }

    /// The bytes that all files together may have; more are a full disk.
    pub fn set_capacity(&self, bytes: Option<u64>) {
        self.disk.lock().faults.capacity = bytes;
    }

    /// The bytes that all files together have.
    pub fn used_bytes(&self) -> u64 {
        self.disk.lock().used_bytes()
    }

    /// The disk as it may be after a loss of power at this moment. Each call may give another outcome.
    pub fn crash(&self) -> SimulatedBackend {
        let mut disk = self.disk.lock();
        let seed = disk.random.next();
        SimulatedBackend::of(disk.crash(seed))
    }

    /// An independent copy of the disk, with what is not yet durable, without locks and faults.
    pub fn snapshot(&self) -> SimulatedBackend {
        SimulatedBackend::of(self.disk.lock().snapshot())
    }

    /// Flips a bit, durably; false where the file does not reach so far.
    pub fn flip_bit(&self, file: &str, offset: u64, bit: u8) -> bool {
        self.disk.lock().flip_bit(file, offset, bit)
    }

    /// The names and sizes of all files.
    pub fn files(&self) -> Vec<(String, u64)> {
        let disk = self.disk.lock();
        disk.names.files.iter().map(|(name, &file)| (name.clone(), disk.file(file).len() as u64)).collect()
    }

    /// The bytes of a file as programs see them.
    pub fn file_bytes(&self, name: &str) -> Option<Vec<u8>> {
        let disk = self.disk.lock();
        disk.names.files.get(name).map(|&file| disk.file(file).to_vec())
    }
}

impl StorageBackend for SimulatedBackend {
    fn shared(&self) -> Arc<dyn StorageBackend> {
        Arc::new(self.clone())
    }

    fn location(&self) -> String {
        ":simulated:".to_owned()
    }

    fn open(&self, name: &str, mode: OpenMode) -> StorageResult<Arc<dyn StorageFile>> {
        let mut disk = self.disk.lock();
        let existing = disk.names.files.get(name).copied();
        let file = match (existing, mode) {
            (Some(_), OpenMode::Create) => {
                return Err(io_error("open", name, io::ErrorKind::AlreadyExists.into()));
            }
            (None, OpenMode::Read | OpenMode::Write) => {
                disk.count_read("open", name)?;
                return Err(not_found("open", name));
            }
            (Some(file), _) => {
                disk.count_read("open", name)?;
                file
            }
            (None, _) => disk.create_file(name)?,
        };
        Ok(Arc::new(SimulatedFile { disk: self.disk.clone(), file, name: name.to_owned() }))
    }

    fn create_dir(&self, name: &str) -> StorageResult<()> {
        self.disk.lock().create_folder(name)
    }

    fn sync_dir(&self, name: &str) -> StorageResult<()> {
        self.disk.lock().sync_folder(name)
    }

    fn rename(&self, from: &str, to: &str) -> StorageResult<()> {
        self.disk.lock().rename(from, to)
    }

    fn remove(&self, name: &str) -> StorageResult<()> {
        self.disk.lock().remove(name)
    }

    fn list(&self, name: &str) -> StorageResult<Vec<String>> {
        let mut disk = self.disk.lock();
        disk.count_read("list", name)?;
        match disk.names.has_folder(name) {
            true => Ok(names_in(name, disk.names.files.keys())),
            false => Err(not_found("list", name)),
        }
    }

    fn exists(&self, name: &str) -> StorageResult<bool> {
        let mut disk = self.disk.lock();
        disk.count_read("look up", name)?;
        Ok(disk.names.files.contains_key(name))
    }

    fn lock(&self, name: &str, kind: LockKind) -> StorageResult<Box<dyn LockGuard>> {
        // The file of a lock is part of the directory, as on a real disk.
        self.open(name, OpenMode::CreateOrOpen)?;
        let mut disk = self.disk.lock();
        match disk.locks.entry(name.to_owned()).or_default().take(kind) {
            Ok(()) => Ok(Box::new(SimulatedLock { disk: self.disk.clone(), name: name.to_owned(), kind })),
            Err(holder) => Err(StorageError::Locked { path: self.location(), holder: holder.to_owned() }),
        }
    }
}

struct SimulatedLock {
    disk: Arc<Mutex<Disk>>,
    name: String,
    kind: LockKind,
}

impl LockGuard for SimulatedLock {}

impl Drop for SimulatedLock {
    fn drop(&mut self) {
        if let Some(holders) = self.disk.lock().locks.get_mut(&self.name) {
            holders.let_go(self.kind);
        }
    }
}

struct SimulatedFile {
    disk: Arc<Mutex<Disk>>,
    file: u64,
    name: String,
}

impl SimulatedFile {
    /// A disk in memory holds far less than this.
    fn end(&self, offset: u64, length: u64) -> StorageResult<u64> {
        let end = offset.checked_add(length).filter(|&end| end <= 1 << 40);
        end.ok_or_else(|| StorageError::Limit { what: format!("the size of {}", self.name), limit: 1 << 40 })
    }
}

impl StorageFile for SimulatedFile {
    fn name(&self) -> &str {
        &self.name
    }

    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> StorageResult<()> {
        let mut disk = self.disk.lock();
        disk.count_read("read", &self.name)?;
        let bytes = usize::try_from(offset).ok().and_then(|offset| disk.file(self.file).get(offset..));
        match bytes.and_then(|bytes| bytes.get(..buffer.len())) {
            Some(bytes) => {
                buffer.copy_from_slice(bytes);
                Ok(())
            }
            None => Err(io_error("read", &self.name, io::ErrorKind::UnexpectedEof.into())),
        }
    }

    fn write_at(&self, offset: u64, bytes: &[u8]) -> StorageResult<()> {
        self.end(offset, bytes.len() as u64)?;
        self.disk.lock().write(self.file, &self.name, offset, bytes)
    }

    fn sync(&self) -> StorageResult<()> {
        self.disk.lock().sync(self.file, &self.name)
    }

    fn preallocate(&self, offset: u64, length: u64) -> StorageResult<()> {
        let end = self.end(offset, length)?;
        self.disk.lock().extend(self.file, &self.name, end)
    }

    fn truncate(&self, size: u64) -> StorageResult<()> {
        self.end(size, 0)?;
        self.disk.lock().truncate(self.file, &self.name, size)
    }

    fn size(&self) -> StorageResult<u64> {
        let mut disk = self.disk.lock();
        disk.count_read("measure", &self.name)?;
        Ok(disk.file(self.file).len() as u64)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A disk on which `work` was done, and all that crashes leave of a file there.
    fn check(work: impl Fn(&SimulatedBackend), name: &str, expected: &[Option<&[u8]>]) {
        let disk = SimulatedBackend::new(3);
        work(&disk);
        let mut seen: Vec<_> = (0..200).map(|_| disk.crash().file_bytes(name)).collect();
        seen.sort();
        seen.dedup();
        assert_eq!(seen, expected.iter().map(|bytes| bytes.map(<[u8]>::to_vec)).collect::<Vec<_>>());
    }

    fn put(disk: &SimulatedBackend, name: &str, bytes: &[u8]) {
        let file = disk.open(name, OpenMode::CreateOrOpen).unwrap();
        file.write_at(0, bytes).unwrap();
        file.sync().unwrap();
    }

    #[test]
    fn names_need_a_sync_of_their_folder() {
        check(|disk| put(disk, "a", b"x"), "a", &[None, Some(b"x")]);
        let durably = |disk: &SimulatedBackend| {
            put(disk, "a", b"x");
            disk.sync_dir("").unwrap();
        };
        check(durably, "a", &[Some(b"x")]);
        let removed = |disk: &SimulatedBackend| {
            durably(disk);
            disk.remove("a").unwrap();
        };
        check(removed, "a", &[None, Some(b"x")]);
        let replaced = |disk: &SimulatedBackend| {
            durably(disk);
            put(disk, "b", b"y");
            disk.sync_dir("").unwrap();
            disk.rename("b", "a").unwrap();
        };
        check(replaced, "a", &[Some(b"x"), Some(b"y")]);
        let in_folder = |disk: &SimulatedBackend| {
            disk.create_dir("wal").unwrap();
            put(disk, "wal/a", b"x");
            disk.sync_dir("wal").unwrap();
        };
        check(in_folder, "wal/a", &[None, Some(b"x")]);
    }

    #[test]
    fn ordered_faults_happen_when_they_are_due() {
        let disk = SimulatedBackend::new(1);
        disk.fail_operation(2);
        disk.crash_after(4);
        let file = disk.open("a", OpenMode::Create).unwrap();
        assert!(file.write_at(0, b"x").unwrap_err().to_string().contains("simulated EIO"));
        file.write_at(0, b"x").unwrap();
        file.sync().unwrap();
        assert!(file.write_at(0, b"y").unwrap_err().to_string().contains("simulated crash"));
        assert!(file.read_at(0, &mut [0]).unwrap_err().to_string().contains("simulated crash"));
        assert_eq!(disk.operations(), 5);
        assert_eq!(disk.file_bytes("a").unwrap(), b"x");
    }

    #[test]
    fn a_full_disk_takes_what_fits() {
        let disk = SimulatedBackend::new(1);
        disk.set_capacity(Some(10));
        let file = disk.open("a", OpenMode::Create).unwrap();
        file.write_at(0, b"12345678").unwrap();
        assert!(matches!(file.write_at(6, b"abcdef"), Err(StorageError::DiskFull { .. })));
        assert!(matches!(file.preallocate(0, 11), Err(StorageError::DiskFull { .. })));
        assert_eq!(disk.used_bytes(), 10);
        file.write_at(0, b"again").unwrap();
        disk.set_capacity(None);
        file.write_at(6, b"abcdef").unwrap();
        assert_eq!(disk.file_bytes("a").unwrap(), b"again6abcdef");
    }

    #[test]
    fn one_seed_gives_one_outcome_and_bits_flip() {
        let outcome = |seed| {
            let disk = SimulatedBackend::new(seed);
            disk.open("a", OpenMode::Create).unwrap().write_at(0, &[7; 5000]).unwrap();
            disk.sync_dir("").unwrap();
            disk.crash().file_bytes("a").unwrap()
        };
        assert_eq!(outcome(5), outcome(5));
        assert!((0..20).any(|seed| outcome(seed) != outcome(5)));
        let disk = SimulatedBackend::new(1);
        put(&disk, "a", b"x");
        assert!(disk.flip_bit("a", 0, 1));
        assert!(!disk.flip_bit("a", 1, 1));
        assert_eq!(disk.file_bytes("a").unwrap(), [b'x' ^ 2]);
    }
}
