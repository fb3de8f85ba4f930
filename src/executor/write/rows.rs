//! Small tools over chunks of kept rows.

use super::super::chunks::{Chunk, ChunkList};
use crate::types::DataType;
use crate::vector::{Selection, VectorBuffer};

/// A chunk of no rows.
pub(super) fn no_rows(types: &[DataType]) -> Chunk {
    let columns = types.iter().map(|data_type| VectorBuffer::new(data_type.clone())).collect();
    Chunk { columns, rows: 0, multiplicity: Vec::new() }
}

/// All rows in one chunk.
pub(super) fn joined(mut list: ChunkList, types: &[DataType]) -> Chunk {
    if list.chunks.len() == 1
        && let Some(only) = list.chunks.pop()
    {
        return only;
    }
    let mut all = no_rows(types);
    for chunk in &list.chunks {
        for (column, part) in all.columns.iter_mut().zip(&chunk.columns) {
            column.append(&part.vector(), chunk.rows, Selection::All);
        }
        all.rows += chunk.rows;
    }
    all
}

/// Some rows of a chunk, in this order.
pub(super) fn taken(chunk: &Chunk, rows: &[u32]) -> Chunk {
    let columns = chunk.columns.iter().map(|column| taken_column(column, rows)).collect();
    Chunk { columns, rows: rows.len(), multiplicity: Vec::new() }
}

/// Some rows of a column, in this order.
pub(super) fn taken_column(column: &VectorBuffer, rows: &[u32]) -> VectorBuffer {
    let mut out = VectorBuffer::new(column.data_type().clone());
    out.append_rows(&column.vector(), rows);
    out
}

/// A column of ids.
pub(super) fn id_column(data_type: DataType, ids: &[u64]) -> VectorBuffer {
    let mut out = VectorBuffer::new(data_type);
    out.extend(ids);
    out
}

/// The id in a row of a column with nodes or relationships.
pub(super) fn id_at(column: &VectorBuffer, row: usize) -> Option<u64> {
    let vector = column.vector();
    if vector.is_null(row) { None } else { vector.u64_at(row) }
}
