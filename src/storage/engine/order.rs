//! The order in which commits become visible. A commit gets its version and its place in the log in one step, so both
//! orders are one. Whoever finds its record durable links every commit up to its own; so nobody waits for another
//! thread to link, and the states come one after the other, in the order of versions.

use std::collections::VecDeque;

use super::sync::{AtomicU64, Mutex, MutexGuard, Ordering, patiently};

/// Commits `W` between their place in the log and their publication; `L` is what is known of what was linked.
pub struct CommitOrder<W, L> {
    sequence: Mutex<Sequence<W>>,
    /// Held while states are made from states.
    link: Mutex<L>,
    /// The newest version that was linked and published.
    linked_version: AtomicU64,
}

struct Sequence<W> {
    next_version: u64,
    last_transaction: u64,
    waiting: VecDeque<(u64, W)>,
}

impl<W, L> CommitOrder<W, L> {
    /// Goes on after a version and a transaction of the log.
    pub fn new(version: u64, last_transaction: u64, linked: L) -> CommitOrder<W, L> {
        let sequence = Sequence { next_version: version + 1, last_transaction, waiting: VecDeque::new() };
        let linked_version = AtomicU64::new(version);
        CommitOrder { sequence: Mutex::new(sequence), link: Mutex::new(linked), linked_version }
    }

    /// Takes the next version for a commit, unless `place`, which gets it and the number of the transaction in the log,
    /// finds no place there.
    pub fn enqueue<E>(&self, place: impl FnOnce(u64, u64) -> Result<W, E>) -> Result<u64, E> {
        let mut sequence = self.sequence.lock();
        let version = sequence.next_version;
        sequence.last_transaction += 1;
        let commit = place(version, sequence.last_transaction)?;
        sequence.next_version += 1;
        sequence.waiting.push_back((version, commit));
        Ok(version)
    }

    /// Takes a commit out that will not become durable.
    pub fn withdraw(&self, version: u64) {
        self.sequence.lock().waiting.retain(|(waiting, _)| *waiting != version);
    }

    /// Has every commit linked up to this one, all of which are durable, if nobody else has done that: `link` gets them
    /// in order and publishes the state that has them, before anybody else links. What it gives is given on.
    pub fn link_up_to<R>(&self, version: u64, link: impl FnOnce(&mut L, Vec<(u64, W)>) -> R) -> Option<R> {
        let mut linked = self.wait_to_link(version)?;
        let ready: Vec<(u64, W)> = {
            let mut sequence = self.sequence.lock();
            let count = sequence.waiting.partition_point(|(waiting, _)| *waiting <= version);
            sequence.waiting.drain(..count).collect()
        };
        let (newest, _) = ready.last()?;
        let newest = *newest;
        let outcome = link(&mut linked, ready);
        self.linked_version.store(newest, Ordering::Release);
        Some(outcome)
    }

    /// The turn to link, unless another thread has linked this version meanwhile.
    fn wait_to_link(&self, version: u64) -> Option<MutexGuard<'_, L>> {
        let turn = patiently(|| match self.linked_version.load(Ordering::Acquire) >= version {
            true => Some(None),
            false => self.link.try_lock().map(Some),
        });
        turn.unwrap_or_else(|| Some(self.link.lock()))
    }

    /// No state is made by anybody else while the guard lives.
    pub fn linked(&self) -> MutexGuard<'_, L> {
        self.link.lock()
    }

    /// The version of a commit that is made beside the log, while nobody else commits.
    pub fn next_version(&self) -> u64 {
        self.sequence.lock().next_version
    }

    /// Takes that version.
    pub fn took_version(&self, version: u64) {
        self.sequence.lock().next_version = version + 1;
    }
}
