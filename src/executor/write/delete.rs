//! DELETE: everything that the rows name goes at once, relationships before nodes.

use super::super::chunks::{Chunk, ChunkList};
use super::super::error::ExecutionResult;
use super::{WriteFault, Writing};
use crate::planner::physical_plan::PhysicalDelete;
use crate::types::{DataType, GlobalId, TableId, Value};
use crate::vector::VectorBuffer;

/// Ids of what is to be deleted.
#[derive(Default)]
struct Doomed {
    nodes: Vec<u64>,
    rels: Vec<u64>,
}

impl Writing<'_> {
    /// Deletes what all rows name; the rows are given back.
    pub(super) fn delete(&mut self, delete: &PhysicalDelete, input: ChunkList) -> ExecutionResult<ChunkList> {
        let mut doomed = Doomed::default();
        let mut kept = ChunkList::default();
        for chunk in input.chunks {
            self.query.check()?;
            let (values, rows) = self.over(&delete.values, chunk)?;
            self.collect_doomed(&values, &mut doomed)?;
            self.row += rows.rows as u64;
            kept.chunks.push(rows);
        }
        let rels = self.left_of(doomed.rels);
        let nodes = self.left_of(doomed.nodes);
        for same in by_table(&rels) {
            let (table, offsets) = offsets_of(same);
            let deleted = self.writer.delete_rels(table, &offsets).map_err(WriteFault::from)?;
            self.counts.rels_deleted += deleted;
        }
        for same in by_table(&nodes) {
            let (table, offsets) = offsets_of(same);
            let deleted = self.writer.delete_nodes(table, &offsets, delete.detach);
            let deleted = deleted.map_err(WriteFault::from)?;
            self.counts.nodes_deleted += deleted.nodes;
            self.counts.rels_deleted += deleted.rels;
        }
        self.stale |= !rels.is_empty() || !nodes.is_empty();
        self.note_deleted(rels.into_iter().chain(nodes));
        Ok(kept)
    }

    fn collect_doomed(&self, values: &Chunk, doomed: &mut Doomed) -> ExecutionResult<()> {
        for column in &values.columns {
            match column.data_type() {
                DataType::Node => doomed.nodes.extend(ids_of(column)),
                DataType::Rel => doomed.rels.extend(ids_of(column)),
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
        match value {
            Value::Null => {}
            Value::Node(node) => doomed.nodes.push(node.id.0),
            Value::Rel(rel) => doomed.rels.push(rel.id.0),
            Value::Path(path) => {
                doomed.nodes.extend(path.nodes.iter().map(|node| node.id.0));
                doomed.rels.extend(path.rels.iter().map(|rel| rel.id.0));
            }
            other => {
                let data_type = other.data_type();
                return Err(self.fault(row, WriteFault::NotDeletable { data_type }));
            }
        }
        Ok(())
    }

    /// Each id once, without what an earlier clause has deleted.
    fn left_of(&self, mut ids: Vec<u64>) -> Vec<u64> {
        ids.sort_unstable();
        ids.dedup();
        ids.retain(|id| !self.is_deleted(*id));
        ids
    }
}

fn ids_of(column: &VectorBuffer) -> Vec<u64> {
    (0..column.len()).filter_map(|row| super::rows::id_at(column, row)).collect()
}

fn by_table(ids: &[u64]) -> impl Iterator<Item = &[u64]> {
    ids.chunk_by(|a, b| GlobalId(*a).table() == GlobalId(*b).table())
}

fn offsets_of(ids: &[u64]) -> (TableId, Vec<u64>) {
    let table = ids.first().map_or(TableId::default(), |id| GlobalId(*id).table());
    (table, ids.iter().map(|id| GlobalId(*id).offset()).collect())
}
