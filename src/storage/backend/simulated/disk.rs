//! The state of the simulated disk: names, files, and the faults that are due.

use std::collections::{BTreeMap, BTreeSet};
use std::io;

use super::super::faults::io_error;
use super::super::memory::{Holders, not_found};
use super::file_state::{FileState, Survival};
use super::random::Random;
use crate::storage::{StorageError, StorageResult};

/// A change of names that is not yet durable.
#[derive(Debug, Clone)]
enum NameChange {
    Link { name: String, file: u64 },
    Unlink { name: String },
    Rename { from: String, to: String },
    MakeFolder { name: String },
}

impl NameChange {
    /// The name whose folder must be synced.
    fn name(&self) -> &str {
        match self {
            NameChange::Link { name, .. } | NameChange::Unlink { name } => name,
            NameChange::Rename { to: name, .. } | NameChange::MakeFolder { name } => name,
        }
    }
}

/// Files and folders by name.
#[derive(Debug, Clone, Default)]
pub(super) struct Names {
    pub files: BTreeMap<String, u64>,
    pub folders: BTreeSet<String>,
}

impl Names {
    /// Does nothing where an earlier change that this one needs was lost.
    fn apply(&mut self, change: &NameChange) {
        match change {
            NameChange::Link { name, file } => {
                self.files.insert(name.clone(), *file);
            }
            NameChange::Unlink { name } => {
                self.files.remove(name);
            }
            NameChange::Rename { from, to } => {
                if let Some(file) = self.files.remove(from) {
                    self.files.insert(to.clone(), file);
                }
            }
            NameChange::MakeFolder { name } => {
                self.folders.insert(name.clone());
            }
        }
    }

    pub fn has_folder(&self, name: &str) -> bool {
        name.is_empty() || self.folders.contains(name)
    }
}

pub(super) fn folder_of(name: &str) -> &str {
    name.rsplit_once('/').map_or("", |(folder, _)| folder)
}

/// Which calls fail, counted from the making of the disk; the first is 1.
#[derive(Debug, Clone, Default)]
pub(super) struct Faults {
    pub operations: u64,
    pub reads: u64,
    pub crash_after: Option<u64>,
    pub failing_operations: BTreeSet<u64>,
    pub failing_reads: BTreeSet<u64>,
    pub capacity: Option<u64>,
}

#[derive(Debug, Clone)]
pub(super) struct Disk {
    pub random: Random,
    pub faults: Faults,
    pub names: Names,
    durable_names: Names,
    pending: Vec<NameChange>,
    files: BTreeMap<u64, FileState>,
    next_file: u64,
    pub locks: BTreeMap<String, Holders>,
}

fn failure(operation: &'static str, name: &str, text: &'static str) -> StorageError {
    io_error(operation, name, io::Error::other(text))
}

impl Disk {
    pub fn new(seed: u64) -> Disk {
        Disk {
            random: Random(seed),
            faults: Faults::default(),
            names: Names::default(),
            durable_names: Names::default(),
            pending: Vec::new(),
            files: BTreeMap::new(),
            next_file: 0,
            locks: BTreeMap::new(),
        }
    }

    /// Counts a call that may change the disk. `Ok(false)` says that it is to fail with EIO.
    fn count(&mut self, operation: &'static str, name: &str) -> StorageResult<bool> {
        self.check_power(operation, name)?;
        self.faults.operations += 1;
        self.check_power(operation, name)?;
        Ok(!self.faults.failing_operations.contains(&self.faults.operations))
    }

    fn count_or_fail(&mut self, operation: &'static str, name: &str) -> StorageResult<()> {
        match self.count(operation, name)? {
            true => Ok(()),
            false => Err(failure(operation, name, "simulated EIO")),
        }
    }

    /// Counts a call that only looks.
    pub fn count_read(&mut self, operation: &'static str, name: &str) -> StorageResult<()> {
        self.check_power(operation, name)?;
        self.faults.reads += 1;
        match self.faults.failing_reads.contains(&self.faults.reads) {
            true => Err(failure(operation, name, "simulated EIO")),
            false => Ok(()),
        }
    }

    fn check_power(&self, operation: &'static str, name: &str) -> StorageResult<()> {
        match self.faults.crash_after {
            Some(last) if self.faults.operations > last => Err(failure(operation, name, "simulated crash")),
            _ => Ok(()),
        }
    }

    fn change(&mut self, change: NameChange) {
        self.names.apply(&change);
        self.pending.push(change);
    }

    pub fn create_file(&mut self, name: &str) -> StorageResult<u64> {
        self.count_or_fail("open", name)?;
        if !self.names.has_folder(folder_of(name)) {
            return Err(not_found("open", name));
        }
        let file = self.next_file;
        self.next_file += 1;
        self.files.insert(file, FileState::default());
        self.change(NameChange::Link { name: name.to_owned(), file });
        Ok(file)
    }

    pub fn create_folder(&mut self, name: &str) -> StorageResult<()> {
        self.count_or_fail("create directory", name)?;
        if !self.names.has_folder(name) {
            self.change(NameChange::MakeFolder { name: name.to_owned() });
        }
        Ok(())
    }

    pub fn sync_folder(&mut self, folder: &str) -> StorageResult<()> {
        self.count_or_fail("sync directory", folder)?;
        for change in std::mem::take(&mut self.pending) {
            match folder_of(change.name()) == folder {
                true => self.durable_names.apply(&change),
                false => self.pending.push(change),
            }
        }
        Ok(())
    }

    pub fn rename(&mut self, from: &str, to: &str) -> StorageResult<()> {
        self.count_or_fail("rename", from)?;
        if !self.names.files.contains_key(from) {
            return Err(not_found("rename", from));
        }
        self.change(NameChange::Rename { from: from.to_owned(), to: to.to_owned() });
        Ok(())
    }

    pub fn remove(&mut self, name: &str) -> StorageResult<()> {
        self.count_or_fail("remove", name)?;
        if !self.names.files.contains_key(name) {
            return Err(not_found("remove", name));
        }
        self.change(NameChange::Unlink { name: name.to_owned() });
        Ok(())
    }

    pub fn file(&self, file: u64) -> &[u8] {
        self.files.get(&file).map_or(&[], FileState::current)
    }

    pub fn used_bytes(&self) -> u64 {
        self.names.files.values().map(|&file| self.file(file).len() as u64).sum()
    }

    /// How far a file may reach now.
    fn size_limit(&self, file: u64) -> usize {
        let size = self.file(file).len();
        match self.faults.capacity {
            Some(capacity) => size + capacity.saturating_sub(self.used_bytes()) as usize,
            None => usize::MAX,
        }
    }

    pub fn write(&mut self, file: u64, name: &str, offset: u64, bytes: &[u8]) -> StorageResult<()> {
        let works = self.count("write", name)?;
        let offset = offset as usize;
        let room = self.size_limit(file).saturating_sub(offset).min(bytes.len());
        // A write that fails may have been done in part.
        let done = if works { room } else { self.random.below(room as u64 + 1) as usize };
        if let Some(state) = self.files.get_mut(&file) {
            state.write(offset, &bytes[..done]);
        }
        match works {
            false => Err(failure("write", name, "simulated EIO")),
            true if done < bytes.len() => Err(StorageError::DiskFull { file: name.to_owned() }),
            true => Ok(()),
        }
    }

    pub fn sync(&mut self, file: u64, name: &str) -> StorageResult<()> {
        let works = self.count("sync", name)?;
        match (self.files.get_mut(&file), works) {
            (Some(state), true) => state.sync(),
            (Some(state), false) => state.fail_sync(&mut self.random),
            (None, _) => {}
        }
        if works { Ok(()) } else { Err(failure("sync", name, "simulated EIO")) }
    }

    pub fn extend(&mut self, file: u64, name: &str, size: u64) -> StorageResult<()> {
        self.count_or_fail("preallocate", name)?;
        if size as usize > self.size_limit(file) {
            return Err(StorageError::DiskFull { file: name.to_owned() });
        }
        if let Some(state) = self.files.get_mut(&file) {
            state.extend(size as usize);
        }
        Ok(())
    }

    pub fn truncate(&mut self, file: u64, name: &str, size: u64) -> StorageResult<()> {
        self.count_or_fail("truncate", name)?;
        if size as usize > self.size_limit(file) {
            return Err(StorageError::DiskFull { file: name.to_owned() });
        }
        if let Some(state) = self.files.get_mut(&file) {
            state.truncate(size as usize);
        }
        Ok(())
    }

    pub fn flip_bit(&mut self, name: &str, offset: u64, bit: u8) -> bool {
        let file = self.names.files.get(name).and_then(|file| self.files.get_mut(file));
        file.is_some_and(|state| state.flip_bit(offset as usize, bit))
    }

    /// A copy without locks and faults, but for the limit of its size.
    pub fn snapshot(&self) -> Disk {
        let faults = Faults { capacity: self.faults.capacity, ..Faults::default() };
        Disk { faults, locks: BTreeMap::new(), ..self.clone() }
    }

    /// The disk as it may be when the power comes back.
    pub fn crash(&self, seed: u64) -> Disk {
        let mut random = Random(seed);
        let survival = Survival::draw(&mut random);
        let mut names = self.durable_names.clone();
        for change in &self.pending {
            if survival.keeps(&mut random) {
                names.apply(change);
            }
        }
        let folders = names.folders.clone();
        names.files.retain(|name, _| folder_of(name).is_empty() || folders.contains(folder_of(name)));
        let files = names
            .files
            .values()
            .filter_map(|file| Some((*file, self.files.get(file)?.crash(&mut random))))
            .collect();
        let faults = Faults { capacity: self.faults.capacity, ..Faults::default() };
        let (durable_names, next_file) = (names.clone(), self.next_file);
        Disk {
            random,
            faults,
            names,
            durable_names,
            pending: vec![],
            files,
            next_file,
            locks: BTreeMap::new(),
        }
    }
}
