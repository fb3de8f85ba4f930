//! From a level to a version: the log, the order of versions, linking and publishing.
//!
//! The order of commits is kept by `order`: what stands before a commit in the log is durable with it, and one published
//! state serves all that were linked at once.

use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use parking_lot::{RwLock, RwLockReadGuard};

use super::Engine;
use super::commit_base::NewBase;
use super::level_memory::UNCOUNTED_BYTES;
use super::options::DurabilityMode;
use super::order::CommitOrder;
use super::sync::MutexGuard;
use crate::storage::delta::Delta;
use crate::storage::levels::{DueMerge, RecentCommit};
use crate::storage::memory::MemoryClass;
use crate::storage::page::Lsn;
use crate::storage::state::State;
use crate::storage::wal::{Placed, RecordKind, WalWriter, Writeset};
use crate::storage::{StorageError, StorageResult};

/// Commits that are under way.
pub(super) struct Commits {
    order: CommitOrder<Waiting, Linked>,
    /// Commits that are under way share it; whoever closes the database waits for them.
    closed: RwLock<bool>,
}

struct Waiting {
    end: Lsn,
    /// What the level stands over, if that is new.
    base: Option<Box<NewBase>>,
    changes: Arc<RecentCommit>,
}

impl Waiting {
    fn new(end: Lsn, base: Option<NewBase>, delta: Arc<Delta>) -> Waiting {
        Waiting { end, base: base.map(Box::new), changes: RecentCommit::new(delta) }
    }
}

/// Why a small record has no place.
enum Unplaced {
    /// It is not small, the file has to grow first, or another file follows.
    NoRoom(Waiting),
    Failed(StorageError),
}

/// What a link leaves to be done outside of the order of commits.
pub(super) struct LinkedState {
    due: Option<DueMerge>,
    /// To be freed, if nobody else reads it.
    before: Arc<State>,
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
        let order = CommitOrder::new(version, last_transaction, Linked { end });
        Commits { order, closed: RwLock::new(false) }
    }

    /// The version of a commit that is made beside the log, while nobody else commits.
    pub fn next_version(&self) -> u64 {
        self.order.next_version()
    }

    /// Takes that version.
    pub fn took_version(&self, version: u64) {
        self.order.took_version(version);
    }

    /// No state is made by anybody else while the guard lives.
    pub fn linked(&self) -> MutexGuard<'_, Linked> {
        self.order.linked()
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
    pub fn commit(&self, delta: Delta, published: impl FnOnce(u64)) -> StorageResult<u64> {
        let _entered = self.commits.enter()?;
        self.page_file().check_writable()?;
        self.relieve()?;
        let delta = Arc::new(delta);
        let version = match self.log.mode() {
            DurabilityMode::InMemory => self.enqueue_unlogged(Arc::clone(&delta), None),
            mode => self.commit_logged(Arc::clone(&delta), None, mode)?,
        };
        let due = self.link_up_to(version);
        published(version);
        self.run_merges(due);
        self.kept_levels.keep(delta);
        self.maintenance_after_commit();
        Ok(version)
    }

    pub(super) fn enqueue_unlogged(&self, delta: Arc<Delta>, base: Option<NewBase>) -> u64 {
        let waiting = Waiting::new(Lsn::default(), base, delta);
        let placed: Result<u64, Infallible> = self.commits.order.enqueue(|_, _| Ok(waiting));
        match placed {
            Ok(version) => version,
        }
    }

    pub(super) fn commit_logged(
        &self,
        delta: Arc<Delta>,
        base: Option<NewBase>,
        mode: DurabilityMode,
    ) -> StorageResult<u64> {
        let log = self.log.writer().inspect_err(|error| {
            if !matches!(error, StorageError::DiskFull { .. }) {
                self.page_file().poison(format!("starting the log failed: {error}"));
            }
        })?;
        let writeset = match &base {
            Some(base) => Writeset::encode_over(base.root.logged(), &delta),
            None => Writeset::encode(&delta),
        };
        let bytes: u64 = writeset.sizes().map(|bytes| bytes as u64).sum();
        let _queued = (bytes > UNCOUNTED_BYTES).then(|| {
            let mut queued = self.files.memory().reservation(MemoryClass::LogQueue);
            queued.force(bytes);
            queued
        });
        let (version, end, record) = self.enqueue(log, writeset, (delta, base), mode)?;
        let outcome = match (mode, record) {
            (DurabilityMode::Strict, _) => log.sync(end),
            (_, Some(record)) => record.write(),
            (_, None) => log.write(end),
        };
        outcome.inspect_err(|error| {
            // Nobody knows what the disk has, so nothing may build on it; the next open decides.
            self.page_file().poison(format!("writing the log failed: {error}"));
            self.commits.order.withdraw(version);
        })?;
        Ok(version)
    }

    /// Gives a commit its version and its place in the log: where its records end, and the record if it is a small one. A
    /// full disk is met here, before anything has happened.
    fn enqueue<'l>(
        &self,
        log: &'l WalWriter,
        mut writeset: Writeset,
        (delta, base): (Arc<Delta>, Option<NewBase>),
        mode: DurabilityMode,
    ) -> StorageResult<(u64, Lsn, Option<Placed<'l>>)> {
        let waiting = Waiting::new(Lsn::default(), base, delta);
        let writes = mode == DurabilityMode::Buffered;
        let mut waiting = match self.enqueue_at_once(log, &mut writeset, waiting, writes) {
            Ok((version, record)) => return Ok((version, record.end(), Some(record))),
            Err(Unplaced::Failed(error)) => return Err(error),
            Err(Unplaced::NoRoom(waiting)) => waiting,
        };
        let single = match writeset.sizes().count() {
            1 => Some(log.reserve(writeset.sizes().sum())?),
            _ => None,
        };
        let mut end = Lsn::default();
        let version = self.commits.order.enqueue(|version, transaction| {
            let mut payloads = std::mem::take(writeset.with_version(version));
            let last = payloads.pop().unwrap_or_default();
            end = match single {
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
            waiting.end = end;
            StorageResult::Ok(waiting)
        })?;
        Ok((version, end, None))
    }

    /// The same for a small record, where the file has room for it.
    fn enqueue_at_once<'l>(
        &self,
        log: &'l WalWriter,
        writeset: &mut Writeset,
        mut waiting: Waiting,
        writes: bool,
    ) -> Result<(u64, Placed<'l>), Unplaced> {
        let mut placed = None;
        let version = self.commits.order.enqueue(|version, transaction| {
            let [payload] = &writeset.with_version(version)[..] else {
                return Err(Unplaced::NoRoom(waiting));
            };
            let record = log.append_at_once(transaction, RecordKind::LastPartAndCommit, payload, writes);
            let Some(record) = record.map_err(Unplaced::Failed)? else {
                return Err(Unplaced::NoRoom(waiting));
            };
            waiting.end = record.end();
            placed = Some(record);
            Ok(waiting)
        })?;
        match placed {
            Some(record) => Ok((version, record)),
            // It has a version because it has a place.
            None => {
                Err(Unplaced::Failed(StorageError::Poisoned { reason: "a commit has no place".to_owned() }))
            }
        }
    }

    /// Links and publishes what is durable: every commit up to this one. Gives what is left to do for the thread that
    /// did so, when nobody waits for it any more.
    pub(super) fn link_up_to(&self, version: u64) -> Option<LinkedState> {
        self.commits.order.link_up_to(version, |linked, ready| self.link(linked, ready))?
    }

    fn link(&self, linked: &mut Linked, ready: Vec<(u64, Waiting)>) -> Option<LinkedState> {
        let (newest, last) = ready.last()?;
        linked.end = linked.end.max(last.end);
        let newest = *newest;
        let state = self.state.load_full();
        let (mut over, mut stack, mut due) = (None, state.stack(), None);
        for (version, waiting) in ready {
            if let Some(base) = waiting.base {
                let (fresh, dropped) = self.take_over(*base, version);
                stack = stack.without_tables(&dropped);
                over = Some(fresh);
            }
            due = stack.push(waiting.changes).or(due);
        }
        self.publish(over.as_ref().unwrap_or(&state).with_stack(stack, newest));
        Some(LinkedState { due, before: state })
    }

    /// Carries out the merge that a link has made due.
    pub(super) fn run_merges(&self, linked: Option<LinkedState>) {
        let Some(LinkedState { due, before }) = linked else { return };
        drop(before);
        if let Some(due) = due {
            due.run();
            self.level_merges.fetch_add(1, Ordering::Relaxed);
        }
    }
}
