//! Relationships that are made and deleted.

use rustc_hash::FxHashSet;

use super::stop::RELS_AT_ONCE;
use super::unique::Rows;
use super::{WriteError, WriteResult, WriteTransaction, match_columns, unknown_table};
use crate::catalog::{RelTableSchema, RelTypeSchema};
use crate::storage::StorageError;
use crate::storage::delta::ColumnValues;
use crate::storage::engine::{Hold, Intent};
use crate::storage::table::Direction;
use crate::types::{ColumnId, DataType, TableId};
use crate::vector::ValueVector;

impl WriteTransaction {
    /// Makes a relationship between each source and the target beside it, which exist in the own view; a column that
    /// is left out is null. Gives the first of their consecutive ids.
    pub fn insert_rels(
        &mut self,
        table: TableId,
        sources: &[u64],
        targets: &[u64],
        columns: &[(ColumnId, ValueVector<'_>)],
        count: usize,
    ) -> WriteResult<u64> {
        self.start_writing(table)?;
        let (sources, targets) = (&sources[..count], &targets[..count]);
        let catalog = std::sync::Arc::clone(self.catalog());
        let (schema, pair) = catalog.rel_table_by_id(table).ok_or_else(|| unknown_table(table))?;
        let (schema, pair) = (std::sync::Arc::clone(schema), *pair);
        if let Some(node) = sources.iter().chain(targets).find(|node| **node > u64::from(u32::MAX)) {
            // Lists have 32 bits for a node; checked before anything is changed.
            let what = format!("the node offset {node} at the end of a relationship");
            return Err(StorageError::Limit { what, limit: u64::from(u32::MAX) }.into());
        }
        for (source, target) in sources.iter().zip(targets) {
            self.announce(Intent::Node(pair.source, *source), Hold::Shared)?;
            self.announce(Intent::Node(pair.target, *target), Hold::Shared)?;
        }
        self.check_multiplicity(&schema, pair, sources, targets)?;
        let kept = self.reserved.len();
        let first = self.reserve(table, count)?;
        self.insert_rels_at(first, &schema, table, (sources, targets), columns)
            .inspect_err(|_| self.give_back_from(kept))?;
        Ok(first)
    }

    fn insert_rels_at(
        &mut self,
        first: u64,
        schema: &RelTypeSchema,
        table: TableId,
        (sources, targets): (&[u64], &[u64]),
        given: &[(ColumnId, ValueVector<'_>)],
    ) -> WriteResult<()> {
        let count = sources.len();
        let serials = self.serials(table, &schema.columns, given, count)?;
        let mut columns = match_columns(&schema.name, &schema.columns, given, count)?;
        columns.extend(serials.iter().map(|(column, values)| ColumnValues {
            column: *column,
            data_type: &DataType::Serial,
            values: values.vector(),
        }));
        self.check_unique((&schema.name, table), &schema.columns, &columns, count, Rows::New(first))?;
        Ok(self.own_mut().table_mut(table).add_rels(first, sources, targets, &columns)?)
    }

    fn check_multiplicity(
        &mut self,
        schema: &RelTypeSchema,
        pair: RelTableSchema,
        sources: &[u64],
        targets: &[u64],
    ) -> WriteResult<()> {
        let multiplicity = schema.multiplicity;
        let limits = [
            (multiplicity.limits_source(), Direction::Forward, sources),
            (multiplicity.limits_target(), Direction::Backward, targets),
        ];
        for (_, direction, nodes) in limits.into_iter().filter(|(limited, ..)| *limited) {
            let outgoing = direction == Direction::Forward;
            let name = if outgoing { "outgoing" } else { "incoming" };
            let end = if outgoing { pair.source } else { pair.target };
            let taken = |writer: &WriteTransaction, row: usize| WriteError::Multiplicity {
                table: schema.name.clone(),
                direction: name,
                node: writer.row_text(end, nodes[row]),
                row,
            };
            let mut seen = FxHashSet::default();
            for (row, node) in nodes.iter().enumerate() {
                if !seen.insert(*node) {
                    return Err(taken(self, row));
                }
                let intent = match outgoing {
                    true => Intent::Leaving(pair.id, *node),
                    false => Intent::Arriving(pair.id, *node),
                };
                self.announce(intent, Hold::Exclusive)?;
            }
            let view = self.view();
            let (rels, mut worker) = (view.rel_table(pair.id)?, view.worker()?);
            let mut cursor = worker.cursor();
            for (row, node) in nodes.iter().enumerate() {
                if rels.adjacency(direction).list(*node, &mut cursor)?.1 > 0 {
                    return Err(taken(self, row));
                }
            }
        }
        Ok(())
    }

    /// Deletes relationships, each once whatever stands in `rows`; gives how many there were.
    pub fn delete_rels(&mut self, table: TableId, rows: &[u64]) -> WriteResult<u64> {
        let mut deleted = 0;
        self.in_pieces(rows, RELS_AT_ONCE, |writer, _, rows| {
            deleted += writer.delete_some_rels(table, rows)?;
            Ok(())
        })?;
        Ok(deleted)
    }

    fn delete_some_rels(&mut self, table: TableId, rows: &[u64]) -> WriteResult<u64> {
        self.start_writing(table)?;
        if rows.is_empty() {
            return Ok(0);
        }
        self.catalog().rel_table_by_id(table).ok_or_else(|| unknown_table(table))?;
        let rows = self.visible_rows(table, rows)?;
        let ids: Vec<u64> = rows.iter().map(|(_, id)| *id).collect();
        for id in &ids {
            self.announce(Intent::Row(table, *id), Hold::Exclusive)?;
        }
        let (mut sources, mut targets) = (Vec::with_capacity(ids.len()), Vec::with_capacity(ids.len()));
        let view = self.view();
        let mut worker = view.worker()?;
        view.rel_table(table)?.endpoints(&ids, &mut worker, Some(&mut sources), Some(&mut targets))?;
        drop(worker);
        self.own_mut().table_mut(table).remove_rels(&ids, &sources, &targets)?;
        Ok(ids.len() as u64)
    }
}
