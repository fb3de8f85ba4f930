//! What writing transactions mean to change, and where they meet. A transaction announces each thing it changes
//! before it does; who finds it announced by another open transaction, or changed by one that committed after the own
//! snapshot, is in conflict with it: the first writer wins. All conflicts of the engine are found here.
//!
//! A transaction is registered before it loads its snapshot and until its end. What a committed one changed is
//! remembered, with its version, as long as somebody is registered who may have an older snapshot.

use std::collections::VecDeque;
use std::hash::{BuildHasher, Hash};
use std::time::Instant;

use rustc_hash::{FxBuildHasher, FxHashMap};

use super::sync::{Apart, AtomicU64, Condvar, Mutex, Ordering, wait_a_while};
use crate::types::TableId;

/// Locks that the table of intents is spread over.
const SHARDS: usize = if cfg!(loom) { 2 } else { 256 };
/// Those of one table: writers of different tables mostly meet at none.
const TABLE_SHARDS: usize = if cfg!(loom) { 2 } else { 16 };
/// Intents of committed transactions that are remembered for readers of old snapshots.
const REMEMBERED_MAX: usize = 1 << 20;

/// A thing that a transaction may change.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Intent {
    /// A node, by table and offset: shared by new relationships at it, exclusive for its deletion.
    Node(TableId, u64),
    /// A row of a node or relationship table: exclusive for update and deletion.
    Row(TableId, u64),
    /// A key's value, by a digest: exclusive for whatever makes, changes or removes it.
    Key(TableId, u128),
    /// The relationships of a table that leave a node, where only one may: exclusive for a new one.
    Leaving(TableId, u64),
    /// The relationships of a table that arrive at a node, where only one may: exclusive for a new one.
    Arriving(TableId, u64),
    /// The values of a pattern that MERGE looks for, by a digest: exclusive.
    Pattern(TableId, u128),
}

impl Intent {
    /// The table that it belongs to.
    pub fn table(&self) -> TableId {
        match self {
            Intent::Node(table, _)
            | Intent::Row(table, _)
            | Intent::Key(table, _)
            | Intent::Leaving(table, _)
            | Intent::Arriving(table, _)
            | Intent::Pattern(table, _) => *table,
        }
    }
}

/// How an intent goes with those of others.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Hold {
    /// Beside others that share.
    Shared,
    /// Alone.
    Exclusive,
}

/// Two transactions want to change one thing. The later one has to be rolled back and may be run again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{intent} was changed by another transaction at the same time")]
pub struct Conflict {
    /// What both want to change.
    pub intent: Intent,
    /// The number of the open transaction that was first; none when it has committed.
    pub holder: Option<u64>,
}

impl std::fmt::Display for Intent {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Intent::Node(table, offset) => write!(formatter, "node {table}:{offset}"),
            Intent::Row(table, offset) => write!(formatter, "row {table}:{offset}"),
            Intent::Key(table, _) => write!(formatter, "a key of table {table}"),
            Intent::Leaving(table, node) => write!(formatter, "the only relationship {table} from {node}"),
            Intent::Arriving(table, node) => write!(formatter, "the only relationship {table} to {node}"),
            Intent::Pattern(table, _) => write!(formatter, "a merged pattern of table {table}"),
        }
    }
}

/// Who holds a thing, and who changed it last. Transactions' numbers start at 1, versions of commits too.
#[derive(Debug, Default)]
struct Entry {
    exclusive: u64,
    shared: Vec<u64>,
    /// The newest commits that held it in either way.
    committed_exclusive: u64,
    committed_shared: u64,
}

impl Entry {
    fn is_unused(&self, oldest: u64) -> bool {
        self.exclusive == 0
            && self.shared.is_empty()
            && self.committed_exclusive <= oldest
            && self.committed_shared <= oldest
    }
}

type Shard = FxHashMap<Intent, Entry>;

/// What a transaction holds. The few things of a small one need no memory of their own, which another thread would free.
#[derive(Debug, Default)]
struct Held {
    few: [Option<Intent>; Held::FEW],
    more: Vec<Intent>,
}

impl Held {
    const FEW: usize = 2;

    fn push(&mut self, intent: Intent) {
        match self.few.iter_mut().find(|place| place.is_none()) {
            Some(place) => *place = Some(intent),
            None => self.more.push(intent),
        }
    }

    fn reserve(&mut self, more: usize) {
        if more > Held::FEW {
            self.more.reserve(more);
        }
    }

    fn len(&self) -> usize {
        self.few.iter().flatten().count() + self.more.len()
    }

    fn iter(&self) -> impl Iterator<Item = &Intent> {
        self.few.iter().flatten().chain(&self.more)
    }
}

/// What is remembered no longer.
#[derive(Default)]
struct Dropped {
    first: Option<(u64, Held)>,
    more: Vec<(u64, Held)>,
}

impl Dropped {
    fn put(&mut self, dropped: Option<(u64, Held)>) {
        match self.first {
            None => self.first = dropped,
            Some(_) => self.more.extend(dropped),
        }
    }

    fn all(self) -> impl Iterator<Item = (u64, Held)> {
        self.first.into_iter().chain(self.more)
    }
}

/// An open writing transaction: its number, its snapshot and what it holds.
#[derive(Debug)]
pub struct Registered {
    number: u64,
    /// The version that it reads.
    snapshot: u64,
    held: Held,
}

impl Registered {
    /// Unique among the transactions of this process.
    pub fn number(&self) -> u64 {
        self.number
    }

    /// How many things it has announced.
    pub fn held(&self) -> usize {
        self.held.len()
    }

    /// Makes room for so many more.
    pub fn reserve(&mut self, more: usize) {
        self.held.reserve(more);
    }

    /// Says which version the transaction reads, once it has it.
    pub fn set_snapshot(&mut self, version: u64) {
        self.snapshot = version;
    }
}

#[derive(Default)]
struct Registry {
    last_number: u64,
    /// Open transactions by rising number, and a version that none of their snapshots is older than, which rises as well.
    open: VecDeque<(u64, u64)>,
    /// What committed transactions held, oldest first.
    remembered: VecDeque<(u64, Held)>,
    remembered_count: usize,
    conflicts: u64,
}

impl Registry {
    /// The oldest snapshot; snapshots rise with the numbers of their transactions.
    fn oldest_open(&self) -> u64 {
        self.open.front().map_or(u64::MAX, |(_, version)| *version)
    }

    fn place_of(&self, number: u64) -> Option<usize> {
        self.open.binary_search_by_key(&number, |(number, _)| *number).ok()
    }
}

/// See the module.
pub struct Intents {
    shards: Box<[Apart<Mutex<Shard>>]>,
    registry: Mutex<Registry>,
    /// Conflicts with commits up to this one can no longer be found. Changed by the registry's holder, before what it
    /// tells of is gone.
    forgotten: AtomicU64,
    ended: Condvar,
    remembered_max: usize,
}

impl Default for Intents {
    fn default() -> Intents {
        Intents::with_limit(REMEMBERED_MAX)
    }
}

impl Intents {
    fn with_limit(remembered_max: usize) -> Intents {
        Intents {
            shards: (0..SHARDS).map(|_| Apart::default()).collect(),
            registry: Mutex::default(),
            forgotten: AtomicU64::new(0),
            ended: Condvar::new(),
            remembered_max,
        }
    }

    fn shard(&self, intent: &Intent) -> &Mutex<Shard> {
        let hash = FxBuildHasher.hash_one(intent);
        // The high bits: the maps within use the low ones.
        let of_table = (hash >> 40) as usize % TABLE_SHARDS;
        &self.shards[(intent.table().0 as usize * TABLE_SHARDS + of_table) % SHARDS]
    }

    /// Registers a transaction that is about to load its snapshot; `newest` reads the version that is published.
    pub fn register(&self, newest: impl FnOnce() -> u64) -> Registered {
        let mut registry = self.registry.lock();
        registry.last_number += 1;
        let number = registry.last_number;
        let snapshot = newest();
        registry.open.push_back((number, snapshot));
        Registered { number, snapshot, held: Held::default() }
    }

    /// Announces that the transaction will change a thing.
    pub fn announce(&self, transaction: &mut Registered, intent: Intent, hold: Hold) -> Result<(), Conflict> {
        let outcome = self.try_announce(transaction, intent, hold);
        if outcome.is_err() {
            self.registry.lock().conflicts += 1;
        }
        outcome
    }

    fn try_announce(&self, own: &mut Registered, intent: Intent, hold: Hold) -> Result<(), Conflict> {
        let conflict = |holder| Err(Conflict { intent, holder });
        let mut shard = self.shard(&intent).lock();
        let entry = shard.entry(intent).or_default();
        if entry.exclusive == own.number {
            return Ok(());
        }
        if entry.exclusive != 0 {
            return conflict(Some(entry.exclusive));
        }
        if entry.committed_exclusive > own.snapshot {
            return conflict(None);
        }
        let has_shared = entry.shared.contains(&own.number);
        match hold {
            Hold::Shared if has_shared => return Ok(()),
            Hold::Shared => entry.shared.push(own.number),
            Hold::Exclusive => {
                if let Some(other) = entry.shared.iter().find(|number| **number != own.number) {
                    return conflict(Some(*other));
                }
                if entry.committed_shared > own.snapshot {
                    return conflict(None);
                }
                entry.shared.clear();
                entry.exclusive = own.number;
            }
        }
        drop(shard);
        if !has_shared {
            own.held.push(intent);
        }
        Ok(())
    }

    /// Whether conflicts with everything that committed after the snapshot can still be found. A transaction that
    /// has become too old may only read on.
    pub fn remembers(&self, transaction: &Registered) -> bool {
        self.forgotten.load(Ordering::SeqCst) <= transaction.snapshot
    }

    /// Ends a transaction that changed nothing which others will see.
    pub fn roll_back(&self, transaction: Registered) {
        for intent in transaction.held.iter() {
            self.change(intent, |entry| {
                entry.shared.retain(|number| *number != transaction.number);
                if entry.exclusive == transaction.number {
                    entry.exclusive = 0;
                }
            });
        }
        self.end(transaction.number, None);
        // What an earlier one committed may have been forgotten but for the entries that were held here.
        let oldest = self.oldest_open().min(transaction.snapshot);
        transaction.held.iter().for_each(|intent| self.forget(intent, oldest));
    }

    /// The oldest snapshot that is registered.
    fn oldest_open(&self) -> u64 {
        self.registry.lock().oldest_open()
    }

    /// Ends a transaction whose changes were published as `version`.
    pub fn commit(&self, transaction: Registered, version: u64) {
        let Registered { number, held, .. } = transaction;
        for intent in held.iter() {
            self.change(intent, |entry| {
                if entry.exclusive == number {
                    entry.exclusive = 0;
                    entry.committed_exclusive = version;
                } else {
                    entry.shared.retain(|other| *other != number);
                    entry.committed_shared = entry.committed_shared.max(version);
                }
            });
        }
        self.end(number, Some((version, held)));
    }

    fn change(&self, intent: &Intent, change: impl FnOnce(&mut Entry)) {
        let mut shard = self.shard(intent).lock();
        if let Some(entry) = shard.get_mut(intent) {
            change(entry);
            if entry.is_unused(0) {
                shard.remove(intent);
            }
        }
    }

    /// Takes the transaction out of the registry, and forgets what nobody needs any more.
    fn end(&self, number: u64, committed: Option<(u64, Held)>) {
        let mut registry = self.registry.lock();
        if let Some(place) = registry.place_of(number) {
            registry.open.remove(place);
        }
        if let Some((version, held)) = committed
            && held.len() > 0
        {
            registry.remembered_count += held.len();
            // Transactions may end in another order than they were published.
            let at = registry.remembered.partition_point(|(other, _)| *other <= version);
            registry.remembered.insert(at, (version, held));
        }
        let oldest = registry.oldest_open();
        // One goes when one comes, as a rule.
        let mut dropped = Dropped::default();
        while let Some((version, held)) = registry.remembered.front()
            && (*version <= oldest || registry.remembered_count > self.remembered_max)
        {
            let (version, count) = (*version, held.len());
            if version > oldest {
                self.forgotten.fetch_max(version, Ordering::SeqCst);
            }
            registry.remembered_count -= count;
            dropped.put(registry.remembered.pop_front());
        }
        drop(registry);
        self.ended.notify_all();
        for (version, held) in dropped.all() {
            held.iter().for_each(|intent| self.forget(intent, version));
        }
    }

    fn forget(&self, intent: &Intent, version: u64) {
        let mut shard = self.shard(intent).lock();
        if shard.get(intent).is_some_and(|entry| entry.is_unused(version)) {
            shard.remove(intent);
        }
    }

    /// Waits until the transaction of this number has ended; false when that did not happen before `deadline`, or before the
    /// statement that waits was interrupted.
    pub fn wait_for_end(&self, number: u64, deadline: Option<Instant>) -> bool {
        let mut registry = self.registry.lock();
        while registry.place_of(number).is_some() {
            match deadline {
                Some(deadline) if Instant::now() >= deadline => return false,
                _ if wait_a_while(&self.ended, &mut registry, deadline) => return false,
                _ => {}
            }
        }
        true
    }

    /// Conflicts that were found so far.
    pub fn conflicts(&self) -> u64 {
        self.registry.lock().conflicts
    }

    /// Transactions that are registered.
    pub fn open_transactions(&self) -> usize {
        self.registry.lock().open.len()
    }

    #[cfg(test)]
    fn entries(&self) -> usize {
        self.shards.iter().map(|shard| shard.lock().len()).sum()
    }
}

// A model includes this file without them.
#[cfg(not(loom))]
#[cfg(test)]
mod tests;
