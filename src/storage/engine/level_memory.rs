//! The memory of levels: what commits and open transactions have changed and no page has yet. They may take half of the
//! memory limit. At half of that share a checkpoint starts in the background; a commit that finds all of it taken
//! waits for a checkpoint, or makes it. What is committed already counts without being asked for: a commit has its
//! memory and never waits for more.

use std::sync::atomic::Ordering;

use super::{Engine, StagedFold};
use crate::storage::memory::{MemoryClass, Reservation};
use crate::storage::state::State;
use crate::storage::{StorageError, StorageResult};

/// Changes that are not counted one by one: a level of a few rows is not worth the question, nor are its bytes on their
/// way to the log.
pub(super) const UNCOUNTED_BYTES: u64 = 64 << 10;
/// A checkpoint helps only where commits hold this part of the share, as a divisor; the rest is of open transactions.
const WORTH_WRITING: u64 = 8;
/// The part of the share that one transaction's level takes before parts of it go to pages, as a divisor.
const EARLY: u64 = 4;
/// What it takes at least, where there is memory enough.
const EARLY_LEAST: u64 = 64 << 20;

impl Engine {
    /// An account for the changes of one transaction.
    pub fn change_memory(&self) -> Reservation {
        self.files.memory().reservation(MemoryClass::Layers)
    }

    /// The most that a transaction's level grows before parts of it are written into pages: a quarter of the share.
    pub fn early_bytes(&self) -> u64 {
        self.files.memory().layer_share() / EARLY
    }

    /// How much it grows until the next time, when `written` bytes of pages were written the last time. Pages are
    /// cheaper than a large level and a long log, unless changes are so scattered that all pages are written each time:
    /// then they wait for more.
    pub fn early_bytes_after(&self, written: u64) -> u64 {
        written.max(EARLY_LEAST).min(self.early_bytes())
    }

    /// Counts what a transaction has written before its commit.
    pub fn note_early(&self, fold: &StagedFold) {
        self.early_groups.fetch_add(fold.groups(), Ordering::Relaxed);
    }

    /// Counts the changes of a transaction, which have grown to `bytes`. What commits hold is written into pages first
    /// where there is no room otherwise.
    pub fn hold_changes(&self, held: &mut Reservation, bytes: u64) -> StorageResult<()> {
        if bytes <= held.bytes().max(UNCOUNTED_BYTES) || held.try_hold(bytes) {
            return Ok(());
        }
        let memory = self.files.memory();
        let (share, more) = (memory.layer_share(), bytes - held.bytes());
        if bytes <= share {
            self.checkpoint_for_memory()?;
            if held.try_hold(bytes) {
                return Ok(());
            }
            if memory.layer_bytes() + more <= share {
                // Readers have the rest.
                return held.hold("the changes of a transaction", bytes);
            }
        }
        let needed = more.saturating_sub(share.saturating_sub(memory.layer_bytes())).max(1);
        Err(StorageError::ChangesTooLarge { needed, limit: share })
    }

    /// Counts what the levels of a state take that becomes the newest.
    pub(super) fn count_levels(&self, state: &State) {
        let bytes = state.change_bytes();
        let mut counted = self.level_memory.lock();
        if bytes == 0 || bytes.abs_diff(counted.bytes()) > UNCOUNTED_BYTES {
            counted.force(bytes);
        }
    }

    /// Whether levels have taken so much of their share that a checkpoint should begin.
    pub(super) fn levels_press(&self) -> bool {
        self.levels_take(2)
    }

    /// Whether a commit has to wait for a checkpoint.
    pub(super) fn levels_are_full(&self) -> bool {
        self.levels_take(1)
    }

    fn levels_take(&self, divisor: u64) -> bool {
        let memory = self.files.memory();
        memory.layer_bytes() >= memory.layer_share() / divisor && self.is_worth_writing(memory.layer_share())
    }

    fn is_worth_writing(&self, share: u64) -> bool {
        self.state.load().change_bytes() > share / WORTH_WRITING
    }

    fn checkpoint_for_memory(&self) -> StorageResult<()> {
        let _turn = self.turns.take(Some(self.lock_wait), &self.location())?;
        // Somebody else may have made one meanwhile.
        match self.state.load().has_no_changes() {
            true => Ok(()),
            false => self.checkpoint_in_turn(false),
        }
    }
}
