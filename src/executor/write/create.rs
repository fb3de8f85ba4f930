//! CREATE, and what MERGE creates: new rows for all rows of a chunk at once, nodes before relationships.

use std::borrow::Cow;

use super::super::chunks::Chunk;
use super::super::error::ExecutionResult;
use super::rows::{id_at, id_column, no_rows, taken_column};
use super::{WriteFault, Writing};
use crate::planner::physical_plan::{NewValue, PhysicalCreate, PhysicalNewNode, PhysicalNewRel};
use crate::types::{DataType, GlobalId, TableId};
use crate::vector::{ValueVector, VectorBuffer};

impl Writing<'_> {
    /// Creates for every row; the new ids stand behind the row's columns.
    pub(super) fn create(&mut self, create: &PhysicalCreate, rows: Chunk) -> ExecutionResult<Chunk> {
        let (values, mut rows) = self.values_of(create, rows)?;
        let all: Vec<u32> = (0..rows.rows as u32).collect();
        let created = self.create_rows(create, &rows, &values, &all)?;
        rows.columns.extend(created);
        Ok(rows)
    }

    /// The values of a pattern over the rows, which are given back.
    pub(super) fn values_of(
        &mut self,
        create: &PhysicalCreate,
        rows: Chunk,
    ) -> ExecutionResult<(Chunk, Chunk)> {
        match &create.values {
            Some(plan) => self.over(plan, rows),
            None => Ok((no_rows(&[]), rows)),
        }
    }

    /// Creates for some rows; one column of ids for each new node and relationship.
    pub(super) fn create_rows(
        &mut self,
        create: &PhysicalCreate,
        rows: &Chunk,
        values: &Chunk,
        picked: &[u32],
    ) -> ExecutionResult<Vec<VectorBuffer>> {
        let mut created: Vec<VectorBuffer> = Vec::with_capacity(create.nodes.len() + create.rels.len());
        if picked.is_empty() {
            let nodes = create.nodes.iter().map(|_| DataType::Node);
            return Ok(nodes
                .chain(create.rels.iter().map(|_| DataType::Rel))
                .map(VectorBuffer::new)
                .collect());
        }
        for node in &create.nodes {
            created.push(self.new_nodes(node, values, picked)?);
        }
        for rel in &create.rels {
            let new = self.new_rels(rel, rows, &created, values, picked)?;
            created.push(new);
        }
        self.stale = true;
        Ok(created)
    }

    fn new_nodes(
        &mut self,
        node: &PhysicalNewNode,
        values: &Chunk,
        picked: &[u32],
    ) -> ExecutionResult<VectorBuffer> {
        let columns = self.new_columns(node.table, &node.columns, values, picked)?;
        let vectors = vectors(&node.columns, &columns);
        let first = self.writer.insert_nodes(node.table, &vectors, picked.len());
        let first = first.map_err(|error| self.refused(error, picked))?;
        self.touch(node.table, &node.columns, first, picked)?;
        self.counts.nodes_created += picked.len() as u64;
        self.counts.labels_added += picked.len() as u64;
        self.count_set(&columns);
        let ids: Vec<u64> =
            (first..).take(picked.len()).map(|offset| GlobalId::new(node.table, offset).0).collect();
        Ok(id_column(DataType::Node, &ids))
    }

    fn new_rels(
        &mut self,
        rel: &PhysicalNewRel,
        rows: &Chunk,
        created: &[VectorBuffer],
        values: &Chunk,
        picked: &[u32],
    ) -> ExecutionResult<VectorBuffer> {
        let sources = self.ends(rel, rel.source, "source", rows, created, picked)?;
        let targets = self.ends(rel, rel.target, "target", rows, created, picked)?;
        let mut ids = vec![0; picked.len()];
        let mut left: Vec<usize> = (0..picked.len()).collect();
        while let Some(first) = left.first().copied() {
            // Almost always all ends lie in the same tables.
            let tables = |at: usize| (GlobalId(sources[at]).table(), GlobalId(targets[at]).table());
            let ends = tables(first);
            let (here, elsewhere): (Vec<usize>, Vec<usize>) =
                left.into_iter().partition(|at| tables(*at) == ends);
            let table = self.pair(rel, ends, picked[first] as usize)?;
            let offsets =
                |ids: &[u64]| here.iter().map(|at| GlobalId(ids[*at]).offset()).collect::<Vec<u64>>();
            let (from, to) = (offsets(&sources), offsets(&targets));
            let chosen: Vec<u32> = here.iter().map(|at| picked[*at]).collect();
            let columns = self.new_columns(table, &rel.columns, values, &chosen)?;
            let vectors = vectors(&rel.columns, &columns);
            let first = self.writer.insert_rels(table, &from, &to, &vectors, here.len());
            let first = first.map_err(|error| self.refused(error, &chosen))?;
            self.touch(table, &rel.columns, first, &chosen)?;
            for (offset, at) in (first..).zip(&here) {
                ids[*at] = GlobalId::new(table, offset).0;
            }
            self.count_set(&columns);
            left = elsewhere;
        }
        self.counts.rels_created += picked.len() as u64;
        Ok(id_column(DataType::Rel, &ids))
    }

    /// The ids of the nodes at one end.
    fn ends(
        &self,
        rel: &PhysicalNewRel,
        column: usize,
        end: &'static str,
        rows: &Chunk,
        created: &[VectorBuffer],
        picked: &[u32],
    ) -> ExecutionResult<Vec<u64>> {
        let bound = rows.columns.get(column);
        let new = column.checked_sub(rows.columns.len()).and_then(|at| created.get(at));
        let mut ids = Vec::with_capacity(picked.len());
        for (at, row) in picked.iter().enumerate() {
            let row = *row as usize;
            let id = match (bound, new) {
                (Some(bound), _) => id_at(bound, row),
                (None, Some(new)) => id_at(new, at),
                (None, None) => None,
            };
            let Some(id) = id else {
                let rel_type = rel.tables.first().map_or(String::new(), |pair| self.table_name(pair.table));
                return Err(self.fault(row, WriteFault::NullEnd { rel_type, end }));
            };
            if self.is_deleted(id) {
                return Err(self.fault(row, WriteFault::Deleted { what: "node" }));
            }
            ids.push(id);
        }
        Ok(ids)
    }

    /// The table of a relationship between nodes of these tables.
    fn pair(
        &self,
        rel: &PhysicalNewRel,
        (source, target): (TableId, TableId),
        row: usize,
    ) -> ExecutionResult<TableId> {
        let same = |table: TableId, id: TableId| TableId(table.0 & 0xFFFF) == id;
        let found = rel.tables.iter().find(|pair| same(pair.source, source) && same(pair.target, target));
        found.map(|pair| pair.table).ok_or_else(|| {
            let rel_type = rel.tables.first().map_or(String::new(), |pair| self.table_name(pair.table));
            let (from, to) = (self.table_name(source), self.table_name(target));
            self.fault(row, WriteFault::NoPair { rel_type, from, to })
        })
    }

    /// The columns of new rows as their table takes them.
    fn new_columns<'v>(
        &self,
        table: TableId,
        columns: &[NewValue],
        values: &'v Chunk,
        picked: &[u32],
    ) -> ExecutionResult<Vec<Cow<'v, VectorBuffer>>> {
        let row = |at: usize| picked.get(at).map_or(at, |row| *row as usize);
        let mut made = Vec::with_capacity(columns.len());
        for column in columns {
            let Some(all) = values.columns.get(column.value) else { continue };
            // Only MERGE, and ends in several tables, leave rows out.
            let chosen = match picked.len() == values.rows {
                true => Cow::Borrowed(all),
                false => Cow::Owned(taken_column(all, picked)),
            };
            let wanted = self.stored_type(table, column);
            let cast = match self.cast(&chosen, (table, &column.name, &wanted), &row)? {
                Cow::Owned(cast) => Cow::Owned(cast),
                Cow::Borrowed(_) => chosen,
            };
            self.check_nulls(&cast, (table, &column.name), &row, &[])?;
            made.push(cast);
        }
        Ok(made)
    }

    fn stored_type(&self, table: TableId, column: &NewValue) -> DataType {
        let stored = self.columns(table).iter().find(|stored| stored.id == column.column);
        stored.map_or_else(|| column.data_type.clone(), |stored| stored.data_type.clone())
    }

    /// New rows have to pass the CHECKs of their table, and owe what they were not given.
    fn touch(
        &mut self,
        table: TableId,
        given: &[NewValue],
        first: u64,
        picked: &[u32],
    ) -> ExecutionResult<()> {
        let before = self.row;
        let numbers = picked.iter().map(|row| before + u64::from(*row));
        self.checks.touch(table, None, (first..).zip(numbers.clone()));
        self.owe(table, given, first, numbers)
    }

    /// Every property that a new row has counts.
    fn count_set(&mut self, columns: &[Cow<'_, VectorBuffer>]) {
        let set = columns.iter().map(|column| (column.len() - column.null_count()) as u64);
        self.counts.properties_set += set.sum::<u64>();
    }
}

fn vectors<'v>(
    columns: &[NewValue],
    buffers: &'v [Cow<'_, VectorBuffer>],
) -> Vec<(crate::types::ColumnId, ValueVector<'v>)> {
    columns.iter().zip(buffers).map(|(column, buffer)| (column.column, buffer.vector())).collect()
}
