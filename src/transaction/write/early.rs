//! Large transactions. Once a transaction's own level has grown, what it has changed in the tables where it is alone is
//! written into pages early, as a checkpoint would write it, and becomes a step over its base. So it needs no memory
//! any more, and the log names the pages instead of holding the changes.

use std::sync::Arc;

use super::{WriteError, WriteResult, WriteTransaction};
use crate::storage::StorageError;
use crate::storage::engine::{Area, BaseStep, Passage, StagedFold};
use crate::storage::page::PAGE_SIZE;
use crate::types::TableId;

impl WriteTransaction {
    /// Counts what was changed so far, for whoever changes nothing more for now.
    pub fn count_changes(&mut self) -> WriteResult<()> {
        self.hold_own()
    }

    /// Counts what was changed so far. A level that has grown large gives what it can to pages first, and so does one
    /// that finds no room beside those of others.
    pub(super) fn hold_own(&mut self) -> WriteResult<()> {
        if self.own.bytes() >= self.early_at {
            self.shrink_own()?;
        }
        match self.engine.hold_changes(&mut self.held, self.own.bytes() + self.announced.bytes()) {
            Err(StorageError::ChangesTooLarge { .. }) => {
                self.shrink_own()?;
                Ok(self.engine.hold_changes(&mut self.held, self.own.bytes() + self.announced.bytes())?)
            }
            held => Ok(held?),
        }
    }

    fn shrink_own(&mut self) -> WriteResult<()> {
        let written = self.write_early()?;
        self.early_at = self.own.bytes() + self.engine.early_bytes_after(written);
        Ok(())
    }

    /// Gives the bytes of the pages.
    fn write_early(&mut self) -> WriteResult<u64> {
        // Of few changes in a table pages would be written again and again: at least one has half of its share.
        let shares = 2 * self.own.tables().count() as u64;
        let enough = self.own.bytes() / shares.max(1);
        let large = self.own.tables().filter(|(_, changes)| changes.bytes() >= enough);
        let large: Vec<TableId> = large.map(|(table, _)| table).collect();
        let mut written = 0;
        for table in large {
            // Where others are, the changes stay in the level, as long as there is room for them.
            if self.gets_alone_at(table) && self.goes_on_over_pages(table)? {
                written += self.fold_own(table)?;
            }
        }
        self.held.shrink_to(self.own.bytes() + self.announced.bytes());
        Ok(written)
    }

    fn gets_alone_at(&mut self, table: TableId) -> bool {
        let met = self.announced.met;
        let alone = self.enter(&[(Area::Table(table), Passage::Exclusive)]).is_ok();
        if !alone {
            self.announced.met = met;
        }
        alone
    }

    /// Sees to it that all others' changes of a table have pages, which stay as they are while the transaction is alone
    /// there: what the level changes can then come to stand over them.
    fn goes_on_over_pages(&mut self, table: TableId) -> WriteResult<bool> {
        if self.begun.changes_of(table).is_empty() {
            return Ok(true);
        }
        // What fails here is told by whoever needs it more: the changes may have room in the level.
        if self.engine.checkpoint().is_err() {
            return Ok(false);
        }
        let newest = self.engine.snapshot();
        if !newest.changes_of(table).is_empty() {
            return Ok(false);
        }
        let begun = self.begun.with_table_of(&newest, table)?;
        let mut base = begun.clone();
        for step in &self.steps {
            base = base.with_step(step)?;
        }
        self.begun = begun;
        self.take_base(base);
        Ok(true)
    }

    fn fold_own(&mut self, table: TableId) -> WriteResult<u64> {
        let batch = Arc::new(self.engine.page_file().begin_batch()?);
        let (view, stop) = (self.view(), self.stop.clone());
        let written = StagedFold::write(view.snapshot(), &self.own, table, &batch, &|| stop.is_due());
        drop(view);
        let Some(fold) = written.map_err(stopped)? else { return Ok(0) };
        let bytes = batch.page_count() * PAGE_SIZE as u64;
        self.engine.note_early(&fold);
        self.add_step(BaseStep::Fold { fold: Box::new(fold), pages: batch })?;
        self.own_mut().remove_table(table);
        Ok(bytes)
    }
}

/// Whoever ends the statement asked for it; nothing is wrong with the storage.
fn stopped(error: StorageError) -> WriteError {
    match error {
        StorageError::Interrupted => WriteError::Stopped,
        other => other.into(),
    }
}
