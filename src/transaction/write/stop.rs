//! Statements that are stopped: whatever goes over many rows asks now and then whether it has to end. Changes of many rows
//! are made piece by piece, for what the level does with one piece asks nobody.

use super::{WriteError, WriteResult, WriteTransaction};
use crate::types::Stop;

/// Rows that are gone through between two looks.
pub(super) const LOOK: usize = 1024;
/// Nodes, and relationships, that are deleted at once.
pub(super) const NODES_AT_ONCE: usize = 1 << 14;
pub(super) const RELS_AT_ONCE: usize = 1 << 16;

impl WriteTransaction {
    /// From now on changes end with `WriteError::Stopped` once `stop` is due. Whoever has set it goes back to a savepoint
    /// then, or rolls back.
    pub fn stop_at(&mut self, stop: Stop) {
        self.stop = stop;
    }

    pub(super) fn check_stop(&self) -> WriteResult<()> {
        if self.stop.is_due() { Err(WriteError::Stopped) } else { Ok(()) }
    }

    /// As `check_stop`, for one thing of many.
    pub(super) fn look(&mut self) -> WriteResult<()> {
        self.unlooked += 1;
        if (self.unlooked as usize) < LOOK {
            return Ok(());
        }
        self.unlooked = 0;
        self.check_stop()
    }

    /// Changes rows piece by piece; `change` is told where a piece begins. After an error nothing is changed.
    pub(super) fn in_pieces(
        &mut self,
        rows: &[u64],
        size: usize,
        mut change: impl FnMut(&mut Self, usize, &[u64]) -> WriteResult<()>,
    ) -> WriteResult<()> {
        if rows.len() <= size {
            return change(self, 0, rows);
        }
        let before = self.savepoint();
        for (at, piece) in rows.chunks(size).enumerate() {
            let changed = self.check_stop().and_then(|()| change(self, at * size, piece));
            if changed.is_err() {
                self.rollback_to(before);
                return changed;
            }
        }
        Ok(())
    }
}
