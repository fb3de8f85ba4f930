//! Nodes that are made, changed and deleted.

use super::keys::{key_layout, key_text, keys_of};
use super::stop::{LOOK, NODES_AT_ONCE};
use super::unique::Rows;
use super::{
    Deleted, Reserved, WriteError, WriteResult, WriteTransaction, match_columns, not_null, unknown_column,
    unknown_table, without_repetitions,
};
use crate::catalog::{ColumnSchema, NodeTableSchema};
use crate::storage::delta::ColumnValues;
use crate::storage::engine::{Area, Hold, Intent, Passage};
use crate::storage::index::{IndexKey, KeyRef};
use crate::storage::table::Direction;
use crate::types::{ColumnId, DataType, TableId};
use crate::vector::{ValueVector, VectorBuffer};

impl WriteTransaction {
    /// Makes `count` nodes; a column that is left out is null, or counts up where it is SERIAL. The vectors have the
    /// columns' types. Gives the first of their consecutive offsets. Whoever leaves out a NOT NULL column sees to it that
    /// it gets its values by `update`.
    pub fn insert_nodes(
        &mut self,
        table: TableId,
        columns: &[(ColumnId, ValueVector<'_>)],
        count: usize,
    ) -> WriteResult<u64> {
        self.start_writing(table)?;
        let catalog = std::sync::Arc::clone(self.catalog());
        let schema = catalog.node_table_by_id(table).ok_or_else(|| unknown_table(table))?;
        let kept = self.reserved.len();
        let first = self.reserve(table, count)?;
        self.insert_nodes_at(first, schema, columns, count).inspect_err(|_| self.give_back_from(kept))?;
        Ok(first)
    }

    fn insert_nodes_at(
        &mut self,
        first: u64,
        schema: &NodeTableSchema,
        given: &[(ColumnId, ValueVector<'_>)],
        count: usize,
    ) -> WriteResult<()> {
        let serials = self.serials(schema.id, &schema.columns, given, count)?;
        let mut columns = match_columns(&schema.name, &schema.columns, given, count)?;
        columns.extend(serials.iter().map(|(column, values)| ColumnValues {
            column: *column,
            data_type: &DataType::Serial,
            values: values.vector(),
        }));
        let keys = self.claim_keys(schema, &columns, count)?;
        self.check_unique((&schema.name, schema.id), &schema.columns, &columns, count, Rows::New(first))?;
        let own = self.own_mut().table_mut(schema.id);
        own.add_rows(first, &columns, count);
        let mut entries: Vec<(KeyRef<'_>, u64)> = keys.iter().map(KeyRef::of).zip(first..).collect();
        own.add_keys(&mut entries);
        Ok(())
    }

    /// The keys of new rows, announced and free.
    fn claim_keys(
        &mut self,
        schema: &NodeTableSchema,
        columns: &[ColumnValues<'_>],
        count: usize,
    ) -> WriteResult<Vec<IndexKey>> {
        let Some(layout) = key_layout(schema) else { return Ok(Vec::new()) };
        let null = |row| WriteError::NullKey { table: schema.name.clone(), row };
        let mut vectors = Vec::with_capacity(schema.primary_key.len());
        for id in &schema.primary_key {
            let column = columns.iter().find(|column| column.column == *id);
            vectors.push(column.ok_or_else(|| null(0))?.values);
        }
        let keys = keys_of(&layout, &vectors, count).map_err(null)?;
        self.announce_keys(schema.id, &keys)?;
        if let Some(row) = self.first_taken(schema.id, &keys, &[])? {
            let (table, key) = (schema.name.clone(), key_text(layout.columns(), &vectors, row));
            return Err(WriteError::DuplicateKey { table, key, row });
        }
        Ok(keys)
    }

    /// Values for SERIAL columns that are not given; those that are given are not counted to again.
    pub(super) fn serials(
        &mut self,
        table: TableId,
        schema: &[ColumnSchema],
        given: &[(ColumnId, ValueVector<'_>)],
        count: usize,
    ) -> WriteResult<Vec<(ColumnId, VectorBuffer)>> {
        let mut out = Vec::new();
        for column in schema.iter().filter(|column| column.data_type == DataType::Serial) {
            let newest = || self.engine.snapshot();
            if let Some((_, values)) = given.iter().find(|(id, _)| *id == column.id) {
                self.engine.serials().pass(table, column.id, values, count, newest)?;
                continue;
            }
            let first = self.engine.serials().reserve(table, column.id, count as u64, newest)?;
            self.reserved.push(Reserved { table, column: Some(column.id), first, count: count as u64 });
            let counted: Vec<i64> = (first as i64..).take(count).collect();
            let mut values = VectorBuffer::new(DataType::Serial);
            values.extend(&counted);
            out.push((column.id, values));
        }
        Ok(out)
    }

    /// Gives rows of a node or relationship table new values of a column: row `i` gets value `i`; where a row stands
    /// there twice, the last counts.
    pub fn update(
        &mut self,
        table: TableId,
        column: ColumnId,
        rows: &[u64],
        values: &ValueVector<'_>,
    ) -> WriteResult<()> {
        self.start_writing(table)?;
        let catalog = std::sync::Arc::clone(self.catalog());
        let entry = catalog.table_by_id(table).ok_or_else(|| unknown_table(table))?;
        let (name, columns) = (entry.name(), entry.columns());
        let schema =
            columns.iter().find(|known| known.id == column).ok_or_else(|| unknown_column(name, column))?;
        if schema.not_null
            && let Some(row) = (0..rows.len()).find(|row| values.is_null(*row))
        {
            return Err(not_null(name, schema, row));
        }
        for row in rows {
            self.announce(Intent::Row(table, *row), Hold::Exclusive)?;
        }
        let given = ColumnValues { column, data_type: &schema.data_type, values: *values };
        if schema.data_type == DataType::Serial {
            self.engine.serials().pass(table, column, values, rows.len(), || self.engine.snapshot())?;
        }
        if schema.unique {
            let changed = Rows::Changed(rows);
            self.check_unique((name, table), std::slice::from_ref(schema), &[given], rows.len(), changed)?;
        }
        let keys = match catalog.node_table_by_id(table) {
            Some(nodes) if nodes.primary_key.contains(&column) => {
                self.change_keys(nodes, column, rows, values)?
            }
            _ => Vec::new(),
        };
        let own = self.own_mut().table_mut(table);
        own.patch(column, &schema.data_type, rows, values);
        let mut entries: Vec<(KeyRef<'_>, u64)> =
            keys.iter().map(|(key, offset)| (KeyRef::of(key), *offset)).collect();
        own.add_keys(&mut entries);
        Ok(())
    }

    /// The keys that rows get by new values of one of their key columns, announced and free.
    fn change_keys(
        &mut self,
        schema: &NodeTableSchema,
        column: ColumnId,
        rows: &[u64],
        values: &ValueVector<'_>,
    ) -> WriteResult<Vec<(IndexKey, u64)>> {
        let Some(layout) = key_layout(schema) else { return Ok(Vec::new()) };
        // Of a row that stands there twice only the last value becomes a key.
        let mut last: Vec<(u64, usize)> = rows.iter().copied().zip(0..).collect();
        last.sort_unstable();
        let kept: Vec<usize> =
            last.chunk_by(|a, b| a.0 == b.0).filter_map(|same| same.last()).map(|(_, at)| *at).collect();
        let offsets: Vec<u64> = kept.iter().map(|at| rows[*at]).collect();
        let before = self.gather_key(schema, &offsets)?;
        let mut fresh = VectorBuffer::new(
            schema.column_by_id(column).map_or(DataType::Null, |known| known.data_type.clone()),
        );
        let positions: Vec<u32> = kept.iter().map(|at| *at as u32).collect();
        fresh.append_rows(values, &positions);
        let old: Vec<ValueVector<'_>> = before.iter().map(VectorBuffer::vector).collect();
        let new: Vec<ValueVector<'_>> = schema
            .primary_key
            .iter()
            .zip(&old)
            .map(|(id, old)| if *id == column { fresh.vector() } else { *old })
            .collect();
        let null = |at: usize| WriteError::NullKey { table: schema.name.clone(), row: kept[at] };
        let new_keys = keys_of(&layout, &new, offsets.len()).map_err(null)?;
        // Rows without a key cannot be; should the file have one, it has no key to lose.
        let old_keys = keys_of(&layout, &old, offsets.len()).unwrap_or_default();
        self.announce_keys(schema.id, &old_keys)?;
        self.announce_keys(schema.id, &new_keys)?;
        if let Some(at) = self.first_taken(schema.id, &new_keys, &offsets)? {
            let (table, key) = (schema.name.clone(), key_text(layout.columns(), &new, at));
            return Err(WriteError::DuplicateKey { table, key, row: kept[at] });
        }
        Ok(new_keys.into_iter().zip(offsets).collect())
    }

    /// Deletes nodes, each once whatever stands in `rows`. With `detach` their relationships go with them; without,
    /// a node that has one is an error.
    pub fn delete_nodes(&mut self, table: TableId, rows: &[u64], detach: bool) -> WriteResult<Deleted> {
        let mut all = Deleted::default();
        self.in_pieces(rows, NODES_AT_ONCE, |writer, first, rows| {
            let deleted = writer.delete_some_nodes(table, rows, detach, first)?;
            all.nodes += deleted.nodes;
            all.rels += deleted.rels;
            Ok(())
        })?;
        Ok(all)
    }

    /// `first` is the place of the first row among those of the call.
    fn delete_some_nodes(
        &mut self,
        table: TableId,
        rows: &[u64],
        detach: bool,
        first: usize,
    ) -> WriteResult<Deleted> {
        self.start_writing(table)?;
        self.enter(&[(Area::Deletions(table), Passage::Shared)])?;
        let catalog = std::sync::Arc::clone(self.catalog());
        let schema = catalog.node_table_by_id(table).ok_or_else(|| unknown_table(table))?;
        let rows = self.visible_rows(table, rows)?;
        let offsets: Vec<u64> = rows.iter().map(|(_, offset)| *offset).collect();
        for offset in &offsets {
            self.announce(Intent::Row(table, *offset), Hold::Exclusive)?;
            self.announce(Intent::Node(table, *offset), Hold::Exclusive)?;
        }
        if let Some(layout) = key_layout(schema) {
            let before = self.gather_key(schema, &offsets)?;
            let vectors: Vec<ValueVector<'_>> = before.iter().map(VectorBuffer::vector).collect();
            let keys = keys_of(&layout, &vectors, offsets.len()).unwrap_or_default();
            self.announce_keys(table, &keys)?;
        }
        let mut rels = 0;
        for (rel, pair) in catalog.rel_tables() {
            let attached = self.attached(pair.id, (pair.source == table, pair.target == table), &rows)?;
            if let (Some((at, _)), false) = (attached.first(), detach) {
                let (at, node) = rows[*at];
                let (node, rel) = (self.row_text(table, node), rel.name.clone());
                return Err(WriteError::StillConnected { rel, node, row: first + at });
            }
            let ids: Vec<u64> = attached.into_iter().map(|(_, id)| id).collect();
            if !ids.is_empty() {
                rels += self.delete_rels(pair.id, &ids)?;
            }
        }
        self.own_mut().table_mut(table).delete_rows(&offsets);
        Ok(Deleted { nodes: offsets.len() as u64, rels })
    }

    /// The rows that exist in the own view, with where they stand in `rows`, each once and rising.
    pub(super) fn visible_rows(&self, table: TableId, rows: &[u64]) -> WriteResult<Vec<(usize, u64)>> {
        let view = self.view();
        let nodes = match view.catalog().node_table_by_id(table) {
            Some(_) => view.node_table(table)?,
            None => std::sync::Arc::clone(view.rel_table(table)?.rows()),
        };
        let mut worker = view.worker()?;
        let mut visible = Vec::with_capacity(rows.len());
        for (number, (at, row)) in without_repetitions(rows).into_iter().enumerate() {
            if number.is_multiple_of(LOOK) {
                self.check_stop()?;
            }
            if nodes.is_visible(row, &mut worker)? {
                visible.push((at, row));
            }
        }
        Ok(visible)
    }

    /// Relationships of a table at these nodes, as its sources, its targets or both: each with the position of a node
    /// that has it.
    fn attached(
        &self,
        table: TableId,
        ends: (bool, bool),
        nodes: &[(usize, u64)],
    ) -> WriteResult<Vec<(usize, u64)>> {
        let mut found = Vec::new();
        let directions = [(ends.0, Direction::Forward), (ends.1, Direction::Backward)];
        if directions.iter().all(|(wanted, _)| !wanted) {
            return Ok(found);
        }
        let view = self.view();
        let (rels, mut worker) = (view.rel_table(table)?, view.worker()?);
        let mut cursor = worker.cursor();
        let mut ids = Vec::new();
        for (_, direction) in directions.into_iter().filter(|(wanted, _)| *wanted) {
            let adjacency = rels.adjacency(direction);
            for (at, (_, node)) in nodes.iter().enumerate() {
                if at.is_multiple_of(LOOK) {
                    self.check_stop()?;
                }
                let (position, length) = adjacency.list(*node, &mut cursor)?;
                if length == 0 {
                    continue;
                }
                let group = adjacency.group(node / crate::types::NODE_GROUP_ROWS)?;
                ids.clear();
                if let Some(group) = group {
                    group.ids(position, length as usize, &mut cursor, &mut ids)?;
                }
                found.extend(ids.iter().map(|id| (at, *id)));
            }
        }
        Ok(found)
    }
}
