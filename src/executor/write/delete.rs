//! DELETE: relationships that the rows name go before nodes. Of many rows pieces are deleted at once; what later rows
//! name is read as it was before the clause.

use super::super::chunks::{Chunk, ChunkList};
use super::super::error::ExecutionResult;
use super::rows::id_at;
use super::{WriteFault, Writing};
use crate::planner::physical_plan::PhysicalDelete;
use crate::types::{DataType, GlobalId, TableId, Value};
use crate::vector::sort_in_pieces;

/// Ids of what is to be deleted, each with the number of its row.
#[derive(Default)]
struct Doomed {
    nodes: Vec<(u64, u64)>,
    rels: Vec<(u64, u64)>,
}

/// Entities that are listed before some of them are deleted.
const DOOMED_AT_ONCE: usize = 1 << 16;

impl Doomed {
    /// How many need not wait for all rows.
    fn ready(&self, detach: bool) -> usize {
        self.rels.len() + if detach { self.nodes.len() } else { 0 }
    }

    fn bytes(&self) -> u64 {
        ((self.nodes.capacity() + self.rels.capacity()) * size_of::<(u64, u64)>()) as u64
    }
}

impl Writing<'_> {
    /// Deletes what all rows name; the rows are given back.
    pub(super) fn delete(&mut self, delete: &PhysicalDelete, input: ChunkList) -> ExecutionResult<ChunkList> {
        let mut doomed = Doomed::default();
        let mut held = self.query.account();
        let mut kept = ChunkList::default();
        let mut input = input.drain();
        while let Some(chunk) = input.next(self.query)? {
            self.query.check()?;
            let (values, rows) = self.over(&delete.values, chunk)?;
            self.collect_doomed(&values, &mut doomed)?;
            held.hold("listing what is deleted", doomed.bytes())?;
            self.row += rows.rows as u64;
            kept.push(rows, self.clause, self.query)?;
            // Clauses behind this one may not use what all of it has deleted; its own rows may.
            if self.is_last && doomed.ready(delete.detach) >= DOOMED_AT_ONCE {
                self.delete_doomed(&mut doomed, delete.detach, false)?;
                held.shrink_to(doomed.bytes());
            }
        }
        self.delete_doomed(&mut doomed, delete.detach, true)?;
        Ok(kept)
    }

    /// Deletes what is listed. Nodes that must have lost their relationships stay listed until all rows are known.
    fn delete_doomed(&mut self, doomed: &mut Doomed, detach: bool, all: bool) -> ExecutionResult<()> {
        // Rows are listed by their numbers in the whole input.
        let row = std::mem::take(&mut self.row);
        let rels = self.left_of(std::mem::take(&mut doomed.rels))?;
        for (table, offsets, rows) in by_table(&rels) {
            let deleted = self.writer.delete_rels(table, &offsets);
            self.counts.rels_deleted += deleted.map_err(|error| self.refused(error, &rows))?;
        }
        self.stale |= !rels.is_empty();
        self.note_deleted(&rels)?;
        if detach || all {
            let nodes = self.left_of(std::mem::take(&mut doomed.nodes))?;
            for (table, offsets, rows) in by_table(&nodes) {
                let deleted = self.writer.delete_nodes(table, &offsets, detach);
                let deleted = deleted.map_err(|error| self.refused(error, &rows))?;
                self.counts.nodes_deleted += deleted.nodes;
                self.counts.rels_deleted += deleted.rels;
            }
            self.stale |= !nodes.is_empty();
            self.note_deleted(&nodes)?;
        }
        self.row = row;
        Ok(())
    }

    fn collect_doomed(&self, values: &Chunk, doomed: &mut Doomed) -> ExecutionResult<()> {
        for column in &values.columns {
            let number = |row: usize| self.row + row as u64;
            let ids = (0..column.len()).filter_map(|row| Some((id_at(column, row)?, number(row))));
            match column.data_type() {
                DataType::Node => doomed.nodes.extend(ids),
                DataType::Rel => doomed.rels.extend(ids),
                data_type => {
                    let vector = column.vector();
                    for row in 0..column.len() {
                        self.doom(vector.value(row, data_type), row, doomed)?;
                    }
                }
            }
        }
        Ok(())
    }

    fn doom(&self, value: Value, row: usize, doomed: &mut Doomed) -> ExecutionResult<()> {
        let number = self.row + row as u64;
        match value {
            Value::Null => {}
            Value::Node(node) => doomed.nodes.push((node.id.0, number)),
            Value::Rel(rel) => doomed.rels.push((rel.id.0, number)),
            Value::Path(path) => {
                doomed.nodes.extend(path.nodes.iter().map(|node| (node.id.0, number)));
                doomed.rels.extend(path.rels.iter().map(|rel| (rel.id.0, number)));
            }
            other => {
                let data_type = other.data_type();
                return Err(self.fault(row, WriteFault::NotDeletable { data_type }));
            }
        }
        Ok(())
    }

    /// Each id once, with its first row, without what an earlier clause has deleted.
    fn left_of(&self, mut ids: Vec<(u64, u64)>) -> ExecutionResult<Vec<(u64, u64)>> {
        if !ids.is_sorted() {
            sort_in_pieces(&mut ids, |a, b| a.cmp(b), || self.query.check())?;
        }
        ids.dedup_by_key(|(id, _)| *id);
        ids.retain(|(id, _)| !self.is_deleted(*id));
        Ok(ids)
    }
}

/// The offsets of each table, with the rows that name them.
fn by_table(ids: &[(u64, u64)]) -> impl Iterator<Item = (TableId, Vec<u64>, Vec<u32>)> {
    ids.chunk_by(|a, b| GlobalId(a.0).table() == GlobalId(b.0).table()).map(|same| {
        let table = same.first().map_or(TableId::default(), |(id, _)| GlobalId(*id).table());
        let offsets = same.iter().map(|(id, _)| GlobalId(*id).offset()).collect();
        let rows = same.iter().map(|(_, row)| u32::try_from(*row).unwrap_or(u32::MAX)).collect();
        (table, offsets, rows)
    })
}
