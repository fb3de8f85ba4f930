//! Definitions and bulk loads inside a transaction. Both are steps over its base: nobody else sees them before the
//! commit, and a savepoint takes them back. Whoever makes one is alone with what it changes until the transaction ends.

use std::sync::Arc;

use super::{Reserved, WriteError, WriteResult, WriteTransaction};
use crate::catalog::Catalog;
use crate::storage::delta::ColumnValues;
use crate::storage::engine::{BaseStep, StagedLoad};
use crate::storage::index::KeyStore;
use crate::storage::page::WriteBatch;
use crate::storage::state::Snapshot;
use crate::transaction::ReadTransaction;
use crate::types::{ColumnId, TableId};
use crate::vector::VectorBuffer;

/// Where a bulk load reads and writes.
pub struct LoadPlace {
    pub table: TableId,
    /// The table as the transaction sees it.
    pub view: Snapshot,
    /// For the load's pages; they are given back when it is dropped before the load has become a step.
    pub batch: Arc<WriteBatch>,
    /// Offsets of rows that anybody has been given are below this.
    pub row_bound: u64,
}

/// Rows of a load that go into the transaction's level.
pub struct SmallLoad {
    pub columns: Vec<(ColumnId, VectorBuffer)>,
    pub count: usize,
    /// Sources and targets of relationships.
    pub ends: Option<(Vec<u64>, Vec<u64>)>,
    /// The keys of nodes.
    pub keys: Option<KeyStore>,
    /// SERIAL columns whose next value changed.
    pub serials: Vec<(ColumnId, u64)>,
}

impl WriteTransaction {
    /// Changes the catalog. `change` gets a copy of what the transaction sees and names the tables that are gone, or
    /// says that there is nothing to do.
    pub fn define<E: From<WriteError>>(
        &mut self,
        change: impl FnOnce(&mut Catalog) -> Result<Option<Vec<TableId>>, E>,
    ) -> Result<bool, E> {
        self.enter_for_definition(&[])?;
        let mut catalog = Catalog::clone(self.catalog());
        let Some(dropped) = change(&mut catalog)? else { return Ok(false) };
        self.enter_for_definition(&dropped)?;
        self.has_defined = true;
        dropped.iter().for_each(|table| self.engine.unique_indexes().forget(*table));
        let own = self.own_mut();
        dropped.iter().for_each(|table| own.remove_table(*table));
        self.add_last_step(BaseStep::Define { catalog: Arc::new(catalog), dropped })?;
        Ok(true)
    }

    /// Begins a bulk load: nobody else changes the table or deletes nodes at its ends from now on.
    pub fn begin_load(&mut self, table: TableId) -> WriteResult<LoadPlace> {
        self.enter_for_load(table)?;
        // Its rows will not be added one by one.
        self.engine.unique_indexes().forget(table);
        let row_bound = self.engine.reserve_offsets(table, 0)?;
        let batch = Arc::new(self.engine.page_file().begin_batch()?);
        Ok(LoadPlace { table, view: self.view().snapshot().clone(), batch, row_bound })
    }

    /// The next number of a SERIAL column.
    pub fn next_serial(&self, table: TableId, column: ColumnId) -> WriteResult<u64> {
        Ok(self.engine.serials().reserve(table, column, 0, || self.engine.snapshot())?)
    }

    /// Takes over what a load has written. Its rows lie behind the place's bound, the last below `row_end`.
    pub fn add_load(&mut self, place: LoadPlace, load: StagedLoad, row_end: u64) -> WriteResult<()> {
        let LoadPlace { table, batch, row_bound, view } = place;
        drop(view);
        self.take_offsets(table, row_bound, row_end)?;
        self.take_serials(table, &load.serials)?;
        self.add_last_step(BaseStep::Load { load, pages: batch })
    }

    /// Takes over the rows of a load that are too few for pages of their own, as if they had been made one by one. They
    /// have been checked.
    pub fn add_small_load(&mut self, place: LoadPlace, load: SmallLoad) -> WriteResult<()> {
        let LoadPlace { table, row_bound, .. } = place;
        self.loaded_rows += load.count as u64;
        self.take_offsets(table, row_bound, row_bound + load.count as u64)?;
        self.take_serials(table, &load.serials)?;
        let columns: Vec<ColumnValues<'_>> = load
            .columns
            .iter()
            .map(|(column, values)| ColumnValues {
                column: *column,
                data_type: values.data_type(),
                values: values.vector(),
            })
            .collect();
        let own = self.own_mut().table_mut(table);
        match &load.ends {
            Some((sources, targets)) => own.add_rels(row_bound, sources, targets, &columns)?,
            None => own.add_rows(row_bound, &columns, load.count),
        }
        if let Some(keys) = &load.keys {
            let sorted = keys.sorted();
            let entry = |at| {
                let (key, row) = sorted.get(at);
                (key, row_bound + row)
            };
            own.add_keys(&mut (0..sorted.len()).map(entry).collect::<Vec<_>>());
        }
        // Many small loads make a large transaction.
        self.hold_own()
    }

    /// The offsets of a load, those that it leaves out to begin with a whole group among them.
    fn take_offsets(&mut self, table: TableId, row_bound: u64, row_end: u64) -> WriteResult<()> {
        let count = row_end.saturating_sub(row_bound);
        let first = self.engine.reserve_offsets(table, count)?;
        self.reserved.push(Reserved { table, column: None, first, count });
        match first == row_bound {
            true => Ok(()),
            // Nobody else is given any while the load has the table for itself.
            false => Err(WriteError::TooOld),
        }
    }

    fn take_serials(&mut self, table: TableId, serials: &[(ColumnId, u64)]) -> WriteResult<()> {
        for (column, next) in serials {
            let first = self.next_serial(table, *column)?;
            let count = next.saturating_sub(first);
            self.engine.serials().reserve(table, *column, count, || self.engine.snapshot())?;
            self.reserved.push(Reserved { table, column: Some(*column), first, count });
        }
        Ok(())
    }

    /// A step that the statement ends with: who commits after this one statement never reads it before.
    fn add_last_step(&mut self, step: BaseStep) -> WriteResult<()> {
        match self.options.single {
            true => {
                self.own_mut();
                self.steps.push(Arc::new(step));
                Ok(())
            }
            false => self.add_step(step),
        }
    }

    /// A step that the own view sees from now on.
    pub(super) fn add_step(&mut self, step: BaseStep) -> WriteResult<()> {
        let step = Arc::new(step);
        let base = self.base.snapshot().with_step(&step)?;
        self.take_base(base);
        self.steps.push(step);
        Ok(())
    }

    /// From now on the own level stands over this base.
    pub(super) fn take_base(&mut self, base: Snapshot) {
        self.base = ReadTransaction::over(base);
        self.own_mut();
    }
}
