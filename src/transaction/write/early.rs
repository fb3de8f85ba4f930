//! Large transactions. Nodes that a transaction makes fill its own level; once that has grown, groups whose rows were
//! all born in it are written into pages early, as a bulk load would write them, and become a step over the base. So
//! they are written once, need no memory, and the log names their pages instead of holding them.

use std::sync::Arc;

use super::keys::key_layout;
use super::{WriteResult, WriteTransaction, unknown_table};
use crate::storage::column::chunk_writer;
use crate::storage::engine::{BaseStep, LoadedRows, StagedLoad};
use crate::storage::index::{KeyIndex, KeyStore};
use crate::storage::table::bulk::NodeBulkLoad;
use crate::types::{ColumnId, DataType, NODE_GROUP_ROWS, TableId, Value};
use crate::vector::{ValueVector, VectorBuffer};

/// Rows that are copied at once.
const PIECE: u64 = 4096;

impl WriteTransaction {
    /// Counts what was changed so far, for whoever changes nothing more for now.
    pub fn count_changes(&mut self) -> WriteResult<()> {
        self.hold_own()
    }

    /// Counts what was changed so far. A level that has grown large gives its whole groups to pages first.
    pub(super) fn hold_own(&mut self) -> WriteResult<()> {
        if self.own.bytes() >= self.early_at {
            self.write_births_early()?;
            self.early_at = self.own.bytes() + self.engine.early_bytes();
        }
        Ok(self.engine.hold_changes(&mut self.held, self.own.bytes() + self.announced.bytes())?)
    }

    fn write_births_early(&mut self) -> WriteResult<()> {
        let is_node = |table: TableId| self.catalog().node_table_by_id(table).is_some();
        let whole = self.own.tables().filter(|(table, _)| is_node(*table));
        let whole = whole.map(|(table, changes)| (table, changes.whole_births()));
        let whole: Vec<(TableId, Vec<u64>)> = whole.filter(|(_, groups)| !groups.is_empty()).collect();
        for (table, groups) in whole {
            let met = self.announced.met;
            if self.enter_for_load(table).is_err() {
                // Others are at the table: its rows stay in the level, as long as there is room for them.
                self.announced.met = met;
                continue;
            }
            for run in groups.chunk_by(|a, b| a + 1 == *b) {
                self.write_run(table, run)?;
            }
        }
        self.held.shrink_to(self.own.bytes() + self.announced.bytes());
        Ok(())
    }

    /// Moves neighbouring groups out of the level.
    fn write_run(&mut self, table: TableId, groups: &[u64]) -> WriteResult<()> {
        let view = self.view();
        let catalog = Arc::clone(self.catalog());
        let schema = catalog.node_table_by_id(table).ok_or_else(|| unknown_table(table))?;
        let (nodes, mut worker) = (view.node_table(table)?, view.worker()?);
        let layout = Arc::clone(nodes.layout());
        let batch = Arc::new(self.engine.page_file().begin_batch()?);
        let first = groups.first().copied().unwrap_or(0) * NODE_GROUP_ROWS;
        let end = first + groups.len() as u64 * NODE_GROUP_ROWS;
        let options = chunk_writer::WriteOptions::default();
        let bulk = NodeBulkLoad::begin(&*batch, Arc::clone(&layout), first, options);
        let mut keys = key_layout(schema).map(KeyStore::new);
        let mut serials: Vec<(ColumnId, u64)> = Vec::new();
        for start in (first..end).step_by(PIECE as usize) {
            let offsets: Vec<u64> = (start..start + PIECE).collect();
            let mut columns = Vec::with_capacity(layout.columns.len());
            for column in &layout.columns {
                let mut values = VectorBuffer::new(column.data_type.clone());
                nodes.gather(column.id, &offsets, &mut worker, &mut values)?;
                if column.data_type == DataType::Serial {
                    count_on(&mut serials, column.id, &values);
                }
                columns.push((column.id, values));
            }
            if let Some(keys) = &mut keys {
                let of = |id: &ColumnId| columns.iter().find(|(known, _)| known == id);
                let key: Vec<ValueVector<'_>> =
                    schema.primary_key.iter().filter_map(of).map(|(_, values)| values.vector()).collect();
                let appended = keys.append(&key, offsets.len());
                debug_assert!(appended.is_ok(), "null keys were refused when the rows were made");
            }
            let vectors: Vec<ValueVector<'_>> = columns.iter().map(|(_, values)| values.vector()).collect();
            bulk.append(&vectors, offsets.len())?;
        }
        let rows = LoadedRows::Nodes(bulk.finish()?);
        let keys = match (keys, key_layout(schema)) {
            (Some(keys), Some(layout)) => {
                KeyIndex::empty(layout).append(&keys.sorted(), first, &batch, &mut worker.cursor())?
            }
            _ => Vec::new(),
        };
        drop((nodes, worker, view));
        self.own_mut().table_mut(table).forget_births(groups);
        self.add_step(BaseStep::Load { load: StagedLoad { table, rows, keys, serials }, pages: batch })
    }
}

/// SERIAL columns go on behind the values that rows have.
fn count_on(serials: &mut Vec<(ColumnId, u64)>, column: ColumnId, values: &VectorBuffer) {
    let vector = values.vector();
    let numbers = (0..values.len()).filter_map(|row| match vector.value(row, &DataType::Serial) {
        Value::Int64(number) => u64::try_from(number).ok(),
        _ => None,
    });
    let next = numbers.max().map_or(0, |most| most.saturating_add(1));
    match serials.iter_mut().find(|(known, _)| *known == column) {
        Some((_, known)) => *known = (*known).max(next),
        None => serials.push((column, next)),
    }
}
