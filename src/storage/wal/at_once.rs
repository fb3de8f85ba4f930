//! Small records, which most commits are: their room, their place and, where nobody writes to the file, the turn to do
//! so are taken in one step. Whoever commits beside others meets the queue's lock twice then, and not four times.

use super::queue::{COPIED_MAX, Counts, RECORD_BYTES, SLACK, Transfer};
use super::record::RecordKind;
use super::writer::WalWriter;
use crate::storage::StorageResult;
use crate::storage::page::Lsn;

/// A record that has its place in the log; it is not written yet.
#[must_use = "the record has to be written"]
pub struct Placed<'w> {
    writer: &'w WalWriter,
    end: Lsn,
    /// The bytes of all records up to this one.
    bytes: u64,
    /// What had been rung when it got its place, if somebody was writing then.
    rung: Option<u64>,
    /// What this thread has to write.
    turn: Option<Turn>,
}

/// The turn to write to the file.
pub(super) struct Turn {
    pub transfer: Transfer,
    /// What is written then.
    pub appended: Lsn,
    pub counts: Counts,
}

impl WalWriter {
    /// Appends a record whose payload is small, if the file has room for it; otherwise nothing happens, and the record
    /// needs a reservation. `writes` says that the caller has it written next. Neither waits nor touches the disk.
    pub fn append_at_once(
        &self,
        transaction: u64,
        kind: RecordKind,
        payload: &[u8],
        writes: bool,
    ) -> StorageResult<Option<Placed<'_>>> {
        assert!(!kind.is_internal(), "markers and ends are the log's own");
        if payload.len() > COPIED_MAX {
            return Ok(None);
        }
        let mut queue = self.lock();
        queue.check()?;
        let bytes = RECORD_BYTES + payload.len() as u64;
        let needed = queue.segment.end + queue.promised + bytes + SLACK;
        if self.is_full(&queue, bytes) || needed > queue.segment.size {
            return Ok(None);
        }
        let end = self.place(&mut queue, transaction, kind, payload.into());
        let (bytes, rung) = (queue.stats.bytes, queue.busy.then(|| self.rung()));
        // A file that has grown is synced before, which others may be waiting for.
        let leads = writes && !queue.busy && !queue.grown;
        let turn = leads.then(|| self.take_turn(&mut queue));
        Ok(Some(Placed { writer: self, end, bytes, rung, turn }))
    }

    fn run_turn(&self, mut turn: Turn) -> StorageResult<()> {
        let outcome = turn.transfer.run();
        self.end_turn(&mut self.lock(), turn, outcome)
    }
}

impl Placed<'_> {
    /// Where the record ends.
    pub fn end(&self) -> Lsn {
        self.end
    }

    /// Waits until the operating system has the record, or gives it that.
    pub fn write(mut self) -> StorageResult<()> {
        if let Some(turn) = self.turn.take() {
            return self.writer.run_turn(turn);
        }
        let written = self.rung.is_some_and(|rung| self.writer.watch(rung));
        match written && self.writer.has_written_bytes(self.bytes) {
            true => Ok(()),
            false => self.writer.write(self.end),
        }
    }
}

impl Drop for Placed<'_> {
    fn drop(&mut self) {
        // Others wait for whoever has the turn; they see an error as poison.
        if let Some(turn) = self.turn.take() {
            let _ = self.writer.run_turn(turn);
        }
    }
}
