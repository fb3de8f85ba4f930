//! From a level to a version: the log, the order of versions, linking and publishing.
//!
//! A commit takes its version and its place in the log in one short critical section, so both orders are one. Whoever
//! finds its record durable links every commit up to its own, all of which stand before it in the log and are durable
//! with it; so nobody waits for another thread to link, and one published state serves all that were linked at once.

use std::collections::VecDeque;
use std::sync::Arc;

use parking_lot::{Mutex, RwLock, RwLockReadGuard};

use super::Engine;
use super::commit_base::NewBase;
use super::options::DurabilityMode;
use crate::storage::delta::Delta;
use crate::storage::memory::MemoryClass;
use crate::storage::page::Lsn;
use crate::storage::wal::{RecordKind, WalWriter, Writeset};
use crate::storage::{StorageError, StorageResult};

/// What is done with the version once everybody can see it.
pub type Published = Box<dyn FnOnce(u64) + Send>;

/// Commits between their place in the log and their publication.
pub(super) struct Commits {
    sequence: Mutex<Sequence>,
    /// Held while states are made from states, by commits and checkpoints.
    link: Mutex<Linked>,
    /// Commits that are under way share it; whoever closes the database waits for them.
    closed: RwLock<bool>,
}

struct Sequence {
    next_version: u64,
    last_transaction: u64,
    waiting: VecDeque<Waiting>,
}

struct Waiting {
    version: u64,
    end: Lsn,
    /// What the level stands over, if that is new.
    base: Option<Box<NewBase>>,
    delta: Delta,
    published: Published,
}

/// What the newest state contains.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Linked {
    /// The end of the record of the newest commit in it: where replay starts if pages hold all of it.
    pub end: Lsn,
}

impl Commits {
    /// Goes on after a version, a transaction of the log and the end of its records.
    pub fn new(version: u64, last_transaction: u64, end: Lsn) -> Commits {
        let sequence = Sequence { next_version: version + 1, last_transaction, waiting: VecDeque::new() };
        Commits {
            sequence: Mutex::new(sequence),
            link: Mutex::new(Linked { end }),
            closed: RwLock::new(false),
        }
    }

    /// The version of a commit that is made beside the log, while nobody else commits.
    pub fn next_version(&self) -> u64 {
        self.sequence.lock().next_version
    }

    /// Takes that version.
    pub fn took_version(&self, version: u64) {
        self.sequence.lock().next_version = version + 1;
    }

    /// No state is made by anybody else while the guard lives.
    pub fn linked(&self) -> parking_lot::MutexGuard<'_, Linked> {
        self.link.lock()
    }

    /// Refuses further commits, after those that are under way.
    pub fn close(&self) {
        *self.closed.write() = true;
    }

    pub(super) fn enter(&self) -> StorageResult<RwLockReadGuard<'_, bool>> {
        let closed = self.closed.read();
        match *closed {
            true => Err(StorageError::Poisoned { reason: "it was closed".to_owned() }),
            false => Ok(closed),
        }
    }
}

impl Engine {
    /// Makes a level durable as the mode says, and visible; gives its version. `published` is called with it once it
    /// is visible, or dropped when the commit failed. The caller holds the shared side of the gate and has announced
    /// whatever the level changes.
    pub fn commit(&self, delta: Delta, published: Published) -> StorageResult<u64> {
        let _entered = self.commits.enter()?;
        self.page_file().check_writable()?;
        self.relieve()?;
        let version = match self.log.mode() {
            DurabilityMode::InMemory => self.enqueue_unlogged(delta, None, published),
            mode => self.commit_logged(delta, None, published, mode)?,
        };
        self.link_up_to(version);
        self.maintenance_after_commit();
        Ok(version)
    }

    pub(super) fn enqueue_unlogged(&self, delta: Delta, base: Option<NewBase>, published: Published) -> u64 {
        let base = base.map(Box::new);
        let mut sequence = self.commits.sequence.lock();
        let version = sequence.next_version;
        sequence.next_version += 1;
        sequence.waiting.push_back(Waiting { version, end: Lsn::default(), base, delta, published });
        version
    }

    pub(super) fn commit_logged(
        &self,
        delta: Delta,
        base: Option<NewBase>,
        published: Published,
        mode: DurabilityMode,
    ) -> StorageResult<u64> {
        let log = self.log.writer()?;
        let writeset = match &base {
            Some(base) => Writeset::encode_over(base.root.logged(), &delta),
            None => Writeset::encode(&delta),
        };
        let mut queued = self.files.memory().reservation(MemoryClass::LogQueue);
        queued.force(writeset.sizes().map(|bytes| bytes as u64).sum());
        let (version, end) = self.enqueue(log, writeset, (delta, base), published)?;
        let outcome = match mode {
            DurabilityMode::Strict => log.sync(end),
            _ => log.write(end),
        };
        outcome.inspect_err(|error| {
            // Nobody knows what the disk has, so nothing may build on it; the next open decides.
            self.page_file().poison(format!("writing the log failed: {error}"));
            self.commits.sequence.lock().waiting.retain(|waiting| waiting.version != version);
        })?;
        Ok(version)
    }

    /// Gives a commit its version and its place in the log. A full disk is met here, before anything has happened.
    fn enqueue(
        &self,
        log: &WalWriter,
        writeset: Writeset,
        (delta, base): (Delta, Option<NewBase>),
        published: Published,
    ) -> StorageResult<(u64, Lsn)> {
        let base = base.map(Box::new);
        let single = match writeset.sizes().count() {
            1 => Some(log.reserve(writeset.sizes().sum())?),
            _ => None,
        };
        let mut sequence = self.commits.sequence.lock();
        let version = sequence.next_version;
        sequence.last_transaction += 1;
        let transaction = sequence.last_transaction;
        let mut payloads = writeset.with_version(version);
        let last = payloads.pop().unwrap_or_default();
        let end = match single {
            Some(room) => room.append(transaction, RecordKind::LastPartAndCommit, last)?,
            None => {
                // All of them behind each other, so that the cut of a checkpoint never goes through a writeset.
                // What stands there without its commit, should the disk be full, is forgotten by recovery.
                for payload in payloads {
                    log.append(transaction, RecordKind::Part, payload)?;
                }
                log.append(transaction, RecordKind::LastPartAndCommit, last)?
            }
        };
        sequence.next_version += 1;
        sequence.waiting.push_back(Waiting { version, end, base, delta, published });
        Ok((version, end))
    }

    /// Links and publishes what is durable: every commit up to this one.
    pub(super) fn link_up_to(&self, version: u64) {
        let mut linked = self.commits.link.lock();
        let mut ready: Vec<Waiting> = {
            let mut sequence = self.commits.sequence.lock();
            let count = sequence.waiting.partition_point(|waiting| waiting.version <= version);
            sequence.waiting.drain(..count).collect()
        };
        let Some(last) = ready.last() else { return };
        linked.end = linked.end.max(last.end);
        let newest = last.version;
        let state = self.state.load_full();
        let (mut over, mut levels) = (None, state.levels().clone());
        for waiting in &mut ready {
            if let Some(base) = waiting.base.take() {
                let (fresh, dropped) = self.take_over(*base, waiting.version);
                levels = levels.without_tables(&dropped);
                over = Some(fresh);
            }
            Arc::make_mut(&mut levels.active).merge(&waiting.delta);
        }
        self.publish(over.as_ref().unwrap_or(&state).with_levels(levels, newest));
        // Still under the lock, so that a commit never returns before its own was called.
        for waiting in ready {
            (waiting.published)(waiting.version);
        }
    }
}
