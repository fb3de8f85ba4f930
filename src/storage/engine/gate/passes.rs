//! What one transaction holds of the areas.

use std::fmt;
use std::sync::Arc;
use std::time::Instant;

use super::{Area, Gate, Passage};
use crate::storage::StorageResult;

/// An area cannot be had: somebody holds it or waits to be alone in it, or made a newer version there than the
/// transaction reads. The transaction has to be rolled back and may be run again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Busy {
    pub area: Area,
    /// How it was to be had.
    pub passage: Passage,
    /// Whether somebody is there now; waiting for the area helps.
    pub is_held: bool,
}

impl fmt::Display for Busy {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.text(&self.area.to_string()))
    }
}

impl Busy {
    /// The message with another name for the area.
    pub fn text(&self, area: &str) -> String {
        match (self.is_held, self.passage) {
            (true, Passage::Shared) => {
                format!("a bulk load, a definition or a large change has {area} for itself or waits for that")
            }
            (true, Passage::Exclusive) => format!("other transactions that change {area} are open"),
            (false, _) => format!("others have changed {area} since the transaction began"),
        }
    }
}

impl std::error::Error for Busy {}

/// The areas that a transaction is in. Left when this is dropped, or with the version that its commit made.
pub struct Passes {
    gate: Arc<Gate>,
    /// A few, each once.
    held: Vec<(Area, Passage)>,
    is_alone: bool,
}

impl Passes {
    /// None yet.
    pub fn of(gate: &Arc<Gate>) -> Passes {
        Passes { gate: Arc::clone(gate), held: Vec::new(), is_alone: false }
    }

    /// Waits for areas, by turns, before there is a snapshot. Of an area that is named twice the stronger wish counts.
    pub fn wait_for(
        gate: &Arc<Gate>,
        wanted: &[(Area, Passage)],
        deadline: Option<Instant>,
        path: &str,
    ) -> StorageResult<Passes> {
        let mut wanted = wanted.to_vec();
        // The exclusive one of an area first, and the areas in the order that all go by.
        wanted.sort_unstable_by(|a, b| a.0.cmp(&b.0).then(b.1.cmp(&a.1)));
        wanted.dedup_by_key(|(area, _)| *area);
        let mut passes = Passes::of(gate);
        for (area, passage) in wanted {
            gate.enter_by_turns(area, passage, deadline, path)?;
            passes.note(area, passage);
        }
        Ok(passes)
    }

    fn note(&mut self, area: Area, passage: Passage) {
        self.is_alone |= passage == Passage::Exclusive;
        match self.held.iter_mut().find(|(known, _)| *known == area) {
            Some((_, known)) => *known = passage,
            None => self.held.push((area, passage)),
        }
    }

    /// Whether the area is held so, or alone.
    pub fn holds(&self, area: Area, passage: Passage) -> bool {
        self.held.iter().any(|(known, held)| *known == area && *held >= passage)
    }

    /// Whether the transaction is alone in any area.
    pub fn is_alone(&self) -> bool {
        self.is_alone
    }

    /// Passes into an area in the middle of a transaction that reads the version `snapshot`: at once or not at all.
    pub fn enter(&mut self, area: Area, passage: Passage, snapshot: u64) -> Result<(), Busy> {
        if self.holds(area, passage) {
            return Ok(());
        }
        let had = self.holds(area, Passage::Shared);
        let mut state = self.gate.shard(area).state.lock();
        let is_closed = state.closed;
        let wanted = state.area(area);
        let has_room = match passage {
            // Behind those that wait to be alone; they would wait for ever otherwise.
            Passage::Shared => {
                !wanted.alone && wanted.waiting.iter().all(|(_, waiting)| *waiting == Passage::Shared)
            }
            Passage::Exclusive => !wanted.alone && wanted.sharing == usize::from(had),
        };
        let newest = match passage {
            Passage::Shared => wanted.alone_until,
            Passage::Exclusive => wanted.alone_until.max(wanted.shared_until),
        };
        if is_closed || !has_room || newest > snapshot {
            return Err(Busy { area, passage, is_held: !has_room });
        }
        if had {
            wanted.leave(Passage::Shared);
        }
        wanted.enter(passage);
        drop(state);
        self.note(area, passage);
        Ok(())
    }

    /// Leaves all areas; what was changed there is published as `version`.
    pub fn commit(&mut self, version: u64) {
        let held = std::mem::take(&mut self.held);
        if !held.is_empty() {
            self.gate.leave(&held, Some(version));
        }
    }
}

impl Drop for Passes {
    fn drop(&mut self) {
        if !self.held.is_empty() {
            self.gate.leave(&self.held, None);
        }
    }
}
