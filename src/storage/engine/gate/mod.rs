//! The gate before the tables. Transactions that write pass into the areas that they change together, and hold them to
//! their end; a bulk load, a definition, a check and a statement that changes very much pass into theirs alone. Whoever
//! waits is let in by turns, area by area, so neither kind can starve the other.
//!
//! Nobody waits who holds anything that others wait for, but for areas in their order, so no two can wait for each other:
//! what is wanted in the middle of a transaction (`Passes::enter`) is had at once or not at all.

mod passes;

use std::collections::VecDeque;
use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant};

use rustc_hash::FxHashMap;

use super::sync::{
    Apart, AtomicU64, Condvar, Mutex, MutexGuard, Ordering, STRIPES, own_stripe, wait_a_while,
};
use crate::storage::{StorageError, StorageResult};
use crate::types::TableId;

pub use passes::{Busy, Passes};

/// How somebody passes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Passage {
    /// Beside others that share.
    Shared,
    /// Alone.
    Exclusive,
}

/// A part of the database. Several are waited for in this order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Area {
    /// All of it: shared by whoever writes.
    Everything,
    /// The schemas: alone for definitions.
    Catalog,
    /// A table: shared by writes to it and to relationships that end there; alone for a bulk load into it, for its
    /// end, and for a statement that changes too much of it to announce each thing.
    Table(TableId),
    /// The deletions in a node table: shared by them; alone for a bulk load of relationships that end there, and for a
    /// statement that makes too many of these.
    Deletions(TableId),
}

impl fmt::Display for Area {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Area::Everything => formatter.write_str("the database"),
            Area::Catalog => formatter.write_str("the catalog"),
            Area::Table(table) => write!(formatter, "table {table}"),
            Area::Deletions(table) => write!(formatter, "the ends of relationships in table {table}"),
        }
    }
}

/// Locks that the areas are spread over; tables that are near each other have different ones.
const SHARDS: usize = if cfg!(loom) { 2 } else { 8 };
/// Nobody passes quickly; see `Gate::sharing`.
const BARRED: u64 = 1 << 63;

/// See the module.
#[derive(Default)]
pub struct Gate {
    shards: [Apart<Shard>; SHARDS],
    /// How many are in all of the database beside others, by stripes: they come and go with every transaction, and need
    /// no lock as long as nobody wants to be alone. Who does bars the stripes first; then whoever comes goes by the lock,
    /// and who leaves rings.
    sharing: [Apart<AtomicU64>; STRIPES],
}

#[derive(Default)]
struct Shard {
    state: Mutex<GateState>,
    moved: Condvar,
}

#[derive(Default)]
struct GateState {
    closed: bool,
    /// Of the shard that has all of the database: whether the stripes are barred.
    is_barred: bool,
    /// Of every area that somebody has ever passed into.
    areas: FxHashMap<Area, AreaState>,
    next_number: u64,
}

#[derive(Default)]
struct AreaState {
    sharing: usize,
    alone: bool,
    /// Who waits, first come first; numbers are never used again.
    waiting: VecDeque<(u64, Passage)>,
    /// The newest versions that somebody made who held it shared, and alone.
    shared_until: u64,
    alone_until: u64,
}

impl AreaState {
    fn has_room(&self, passage: Passage) -> bool {
        match passage {
            Passage::Shared => !self.alone,
            Passage::Exclusive => !self.alone && self.sharing == 0,
        }
    }

    fn enter(&mut self, passage: Passage) {
        match passage {
            Passage::Shared => self.sharing += 1,
            Passage::Exclusive => self.alone = true,
        }
    }

    fn leave(&mut self, passage: Passage) {
        match passage {
            Passage::Shared => self.sharing -= 1,
            Passage::Exclusive => self.alone = false,
        }
    }

    fn locked(&self, path: &str) -> StorageError {
        let holder = match self.alone {
            true => "a bulk load or a definition of this process".to_owned(),
            false => "open writing transactions of this process".to_owned(),
        };
        StorageError::Locked { path: path.to_owned(), holder }
    }
}

impl GateState {
    fn area(&mut self, area: Area) -> &mut AreaState {
        self.areas.entry(area).or_default()
    }

    fn check_open(&self) -> StorageResult<()> {
        match self.closed {
            true => Err(StorageError::Poisoned { reason: "it was closed".to_owned() }),
            false => Ok(()),
        }
    }
}

/// The right to be in all of the database; given back when it is dropped.
pub struct Pass {
    gate: Arc<Gate>,
    passage: Passage,
    /// Where it is counted, if not behind the lock.
    stripe: Option<usize>,
}

impl Gate {
    /// Passes into all of the database when it is this caller's turn, within `wait` if that is given. A late caller gets
    /// `Locked` with what it waited for; `path` is what the message calls the database.
    pub fn pass(
        self: &Arc<Self>,
        passage: Passage,
        wait: Option<Duration>,
        path: &str,
    ) -> StorageResult<Pass> {
        if passage == Passage::Shared
            && let Some(stripe) = self.share_quickly()
        {
            return Ok(Pass { gate: Arc::clone(self), passage, stripe: Some(stripe) });
        }
        let deadline = wait.and_then(|wait| Instant::now().checked_add(wait));
        self.enter_by_turns(Area::Everything, passage, deadline, path)?;
        Ok(Pass { gate: Arc::clone(self), passage, stripe: None })
    }

    fn share_quickly(&self) -> Option<usize> {
        let stripe = own_stripe();
        if self.sharing[stripe].fetch_add(1, Ordering::SeqCst) & BARRED == 0 {
            return Some(stripe);
        }
        // Somebody may have seen it counted, and wait for it to go.
        self.leave_quickly(stripe);
        None
    }

    fn leave_quickly(&self, stripe: usize) {
        if self.sharing[stripe].fetch_sub(1, Ordering::SeqCst) & BARRED != 0 {
            let shard = self.shard(Area::Everything);
            // Whoever waits has either seen the new number or sleeps by now.
            drop(shard.state.lock());
            shard.moved.notify_all();
        }
    }

    /// Whether somebody is in all of the database who came without the lock. For one who has barred the stripes.
    fn is_shared_quickly(&self) -> bool {
        self.sharing.iter().any(|stripe| stripe.load(Ordering::SeqCst) & !BARRED != 0)
    }

    fn bar(&self, state: &mut GateState) {
        if !std::mem::replace(&mut state.is_barred, true) {
            self.sharing.iter().for_each(|stripe| {
                stripe.fetch_or(BARRED, Ordering::SeqCst);
            });
        }
    }

    /// Lets those who share pass quickly again, once nobody wants to be alone.
    fn unbar(&self, state: &mut GateState) {
        let everything = state.area(Area::Everything);
        let is_wanted = everything.waiting.iter().any(|(_, passage)| *passage == Passage::Exclusive);
        if !everything.alone && !is_wanted && !state.closed && std::mem::take(&mut state.is_barred) {
            self.sharing.iter().for_each(|stripe| {
                stripe.fetch_and(!BARRED, Ordering::SeqCst);
            });
        }
    }

    fn shard(&self, area: Area) -> &Shard {
        match area {
            Area::Everything | Area::Catalog => &self.shards[0],
            Area::Table(table) | Area::Deletions(table) => &self.shards[1 + table.0 as usize % (SHARDS - 1)],
        }
    }

    fn has_room(&self, state: &mut GateState, area: Area, passage: Passage) -> bool {
        state.area(area).has_room(passage)
            && (area != Area::Everything || passage == Passage::Shared || !self.is_shared_quickly())
    }

    fn enter_by_turns(
        &self,
        area: Area,
        passage: Passage,
        deadline: Option<Instant>,
        path: &str,
    ) -> StorageResult<()> {
        let mut state = self.shard(area).state.lock();
        state.check_open()?;
        if area == Area::Everything && passage == Passage::Exclusive {
            self.bar(&mut state);
        }
        if !state.area(area).waiting.is_empty() || !self.has_room(&mut state, area, passage) {
            self.wait_for_turn(&mut state, area, passage, deadline, path)?;
        }
        state.area(area).enter(passage);
        Ok(())
    }

    fn wait_for_turn(
        &self,
        state: &mut MutexGuard<'_, GateState>,
        area: Area,
        passage: Passage,
        deadline: Option<Instant>,
        path: &str,
    ) -> StorageResult<()> {
        let moved = &self.shard(area).moved;
        let number = state.next_number;
        state.next_number += 1;
        state.area(area).waiting.push_back((number, passage));
        let outcome = loop {
            if let Err(error) = state.check_open() {
                break Err(error);
            }
            let is_first = state.area(area).waiting.front().is_some_and(|(first, _)| *first == number);
            if is_first && self.has_room(state, area, passage) {
                break Ok(());
            }
            match deadline {
                Some(deadline) if Instant::now() >= deadline => break Err(state.area(area).locked(path)),
                _ if wait_a_while(moved, state, deadline) => break Err(StorageError::Interrupted),
                _ => {}
            }
        };
        state.area(area).waiting.retain(|(waiting, _)| *waiting != number);
        if area == Area::Everything && outcome.is_err() {
            self.unbar(state);
        }
        // The next one in the queue may share, or its way is free because this caller gave up.
        moved.notify_all();
        outcome
    }

    /// Leaves areas, with the version that was made there, if any.
    fn leave(&self, held: &[(Area, Passage)], version: Option<u64>) {
        for (area, passage) in held {
            let shard = self.shard(*area);
            let mut state = shard.state.lock();
            let left = state.area(*area);
            left.leave(*passage);
            let until = match passage {
                Passage::Shared => &mut left.shared_until,
                Passage::Exclusive => &mut left.alone_until,
            };
            *until = (*until).max(version.unwrap_or(0));
            let is_awaited = !left.waiting.is_empty();
            if *area == Area::Everything {
                self.unbar(&mut state);
            }
            drop(state);
            if is_awaited {
                shard.moved.notify_all();
            }
        }
    }

    /// Nobody passes any more.
    pub fn close(&self) {
        for (at, shard) in self.shards.iter().enumerate() {
            let mut state = shard.state.lock();
            state.closed = true;
            if at == 0 {
                self.bar(&mut state);
            }
            drop(state);
            shard.moved.notify_all();
        }
    }

    /// How many wait for an area.
    #[cfg(test)]
    fn waiting(&self, area: Area) -> usize {
        self.shard(area).state.lock().area(area).waiting.len()
    }
}

impl Drop for Pass {
    fn drop(&mut self) {
        match self.stripe {
            Some(stripe) => self.gate.leave_quickly(stripe),
            None => self.gate.leave(&[(Area::Everything, self.passage)], None),
        }
    }
}

// A model includes this file without them.
#[cfg(not(loom))]
#[cfg(test)]
mod tests;
