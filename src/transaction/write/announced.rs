//! What a transaction has announced to others: single things, areas of the database, and what was in its way.

use super::{WriteError, WriteResult};
use crate::catalog::Catalog;
use crate::storage::engine::{Area, Engine, Hold, Intent, Passage, Passes, Registered};
use crate::storage::state::Snapshot;
use crate::types::TableId;

/// What one thing takes among the intents and in the transaction's list of them, about.
const INTENT_BYTES: u64 = 160;
/// The part that announcements may take of what a level grows by before whole groups of it go to pages, as a divisor.
const ANNOUNCED_PART: u64 = 4;

/// After so many things, and again after as many more, a transaction that finds nobody else where it is stays alone
/// there: announcing costs more than most changes, and as much again when it ends.
const WORTH_BEING_ALONE: usize = 1 << 16;

/// The most things that a transaction announces one by one: where memory is short, few.
fn share(engine: &Engine) -> usize {
    let by_memory =
        usize::try_from(engine.early_bytes() / ANNOUNCED_PART / INTENT_BYTES).unwrap_or(usize::MAX);
    engine.intent_share().min(by_memory)
}

/// What a refused change has met. The transaction has to be rolled back; run again after the wait it may succeed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Met {
    /// Something that has been committed: there is nothing to wait for.
    Committed,
    /// An open transaction, by its number; `WriteTransaction::wait_for` waits for its end.
    Open(u64),
    /// Others in an area; `WriteTransaction::begin_in` waits for it.
    Area(Area, Passage),
}

/// The transaction's entries among the intents and behind the gate. Those among the intents are given up by the
/// transaction, which knows the engine: a reference more to it would be one more that all writers count.
pub(super) struct Announced {
    registered: Option<Registered>,
    snapshot: u64,
    pub passes: Passes,
    pub met: Option<Met>,
}

impl Announced {
    pub fn new(registered: Registered, snapshot: &Snapshot, passes: Passes) -> Announced {
        Announced { registered: Some(registered), snapshot: snapshot.version(), passes, met: None }
    }

    /// The memory of what is announced, about.
    pub fn bytes(&self) -> u64 {
        self.registered.as_ref().map_or(0, |registered| registered.held() as u64 * INTENT_BYTES)
    }

    /// Whether conflicts with all that came after the snapshot can still be found.
    pub fn is_remembered(&self, engine: &Engine) -> bool {
        self.registered.as_ref().is_some_and(|registered| engine.intents().remembers(registered))
    }

    pub fn too_old(&mut self) -> WriteError {
        self.met = Some(Met::Committed);
        WriteError::TooOld
    }

    pub fn enter(&mut self, area: Area, passage: Passage) -> WriteResult<()> {
        self.passes.enter(area, passage, self.snapshot).map_err(|busy| {
            self.met = Some(match busy.is_held {
                true => Met::Area(area, passage),
                false => Met::Committed,
            });
            WriteError::Busy { busy, area: area.to_string() }
        })
    }

    /// Announces one thing, unless the transaction is alone where it is. Beyond its share of announcements it wants to
    /// be alone there.
    pub fn announce(&mut self, engine: &Engine, intent: Intent, hold: Hold) -> WriteResult<()> {
        if self.passes.is_alone() && self.is_covered(intent, hold) {
            return Ok(());
        }
        let Some(registered) = &mut self.registered else {
            // Only a commit takes it out, and takes the transaction with it.
            return Err(WriteError::ReadOnly);
        };
        let held = registered.held();
        if held >= share(engine) {
            return self.enter_alone(area_of(intent, hold));
        }
        let is_worth_it = held > 0 && held.is_multiple_of(WORTH_BEING_ALONE);
        if is_worth_it && self.passes.enter(area_of(intent, hold), Passage::Exclusive, self.snapshot).is_ok()
        {
            return Ok(());
        }
        engine.intents().announce(registered, intent, hold).map_err(|conflict| {
            self.met = Some(conflict.holder.map_or(Met::Committed, Met::Open));
            WriteError::Conflict { conflict, what: intent.to_string() }
        })
    }

    /// Makes room for as many as will be announced one by one.
    pub fn reserve(&mut self, engine: &Engine, count: usize) {
        if let Some(registered) = &mut self.registered {
            registered.reserve(count.min(share(engine).saturating_sub(registered.held())));
        }
    }

    fn is_covered(&self, intent: Intent, hold: Hold) -> bool {
        self.passes.holds(area_of(intent, hold), Passage::Exclusive)
            || self.passes.holds(Area::Table(intent.table()), Passage::Exclusive)
    }

    /// Where others have changed the area since, or are at it, the statement has to begin again behind them.
    fn enter_alone(&mut self, area: Area) -> WriteResult<()> {
        self.enter(area, Passage::Exclusive)
            .inspect_err(|_| self.met = Some(Met::Area(area, Passage::Exclusive)))
    }

    /// The changes are visible to everybody.
    pub fn commit(&mut self, engine: &Engine, version: u64) {
        if let Some(registered) = self.registered.take() {
            engine.intents().commit(registered, version);
        }
        self.passes.commit(version);
    }

    /// Nothing of what was announced will be seen by others.
    pub fn roll_back(&mut self, engine: &Engine) {
        if let Some(registered) = self.registered.take() {
            engine.intents().roll_back(registered);
        }
    }
}

/// Whoever is alone there need not announce the thing: all that could meet it pass into the area.
fn area_of(intent: Intent, hold: Hold) -> Area {
    match (intent, hold) {
        // A new relationship meets nothing but the deletion of its end.
        (Intent::Node(table, _), Hold::Shared) => Area::Deletions(table),
        _ => Area::Table(intent.table()),
    }
}

/// What a bulk load of a table wants: the table for itself, and where its relationships end no deletions.
pub fn areas_of_load(catalog: &Catalog, table: TableId) -> Vec<(Area, Passage)> {
    let mut areas = vec![(Area::Table(table), Passage::Exclusive)];
    if let Some((_, pair)) = catalog.rel_table_by_id(table) {
        for end in [pair.source, pair.target] {
            areas.push((Area::Table(end), Passage::Shared));
            areas.push((Area::Deletions(end), Passage::Exclusive));
        }
    }
    areas
}

/// What a definition wants: the schemas, and the tables that it changes or drops, for itself.
pub fn areas_of_definition(changed: &[TableId]) -> Vec<(Area, Passage)> {
    let tables = changed.iter().map(|table| (Area::Table(*table), Passage::Exclusive));
    std::iter::once((Area::Catalog, Passage::Exclusive)).chain(tables).collect()
}
