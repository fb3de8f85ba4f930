//! Rows of a table by id, nodes or relationships; the ends of relationships come as packed ids.

use std::ops::Range;
use std::sync::Arc;

use super::context::QueryContext;
use super::error::ExecutionResult;
use crate::storage::buffer_pool::PoolWorker;
use crate::storage::table::{
    NodeScanner, NodeTable, RelScanner, RelTable, ScanBatch, ScanCounters, ScanOptions,
};
use crate::types::{ColumnId, ColumnPredicate, DST_COLUMN, DataType, GlobalId, SRC_COLUMN, TableId};
use crate::vector::{ValueVector, VectorBuffer};

/// The rows of one table.
#[derive(Clone)]
pub enum Rows {
    Nodes(Arc<NodeTable>),
    Rels { table: Arc<RelTable>, source: TableId, target: TableId },
}

impl Rows {
    /// The rows of a node table or of one FROM/TO pair.
    pub fn open(table: TableId, query: &QueryContext) -> ExecutionResult<Rows> {
        let transaction = &query.transaction;
        match transaction.catalog().rel_table_by_id(table) {
            Some((_, pair)) => {
                let (source, target) = (pair.source, pair.target);
                Ok(Rows::Rels { table: transaction.rel_table(table)?, source, target })
            }
            None => Ok(Rows::Nodes(transaction.node_table(table)?)),
        }
    }

    /// The properties.
    pub fn table(&self) -> &Arc<NodeTable> {
        match self {
            Rows::Nodes(table) => table,
            Rows::Rels { table, .. } => table.rows(),
        }
    }

    /// The packed id of the far table's node 0, for a column that holds ends.
    pub fn end_base(&self, column: ColumnId) -> Option<u64> {
        match self {
            Rows::Rels { source, .. } if column == SRC_COLUMN => Some(GlobalId::new(*source, 0).0),
            Rows::Rels { target, .. } if column == DST_COLUMN => Some(GlobalId::new(*target, 0).0),
            _ => None,
        }
    }

    /// Appends a column's values at the given offsets.
    pub fn gather(
        &self,
        column: ColumnId,
        offsets: &[u64],
        worker: &mut PoolWorker,
        out: &mut VectorBuffer,
    ) -> ExecutionResult<()> {
        match (self, self.end_base(column)) {
            (Rows::Rels { table, .. }, Some(base)) => {
                let before = out.len();
                table.gather(column, offsets, worker, out)?;
                if let Some(ids) = out.natives_mut::<u64>() {
                    ids[before..].iter_mut().for_each(|id| *id += base);
                }
                Ok(())
            }
            _ if *out.data_type() == DataType::Any && self.table().data_type(column) != DataType::Any => {
                let mut own = VectorBuffer::new(self.table().data_type(column));
                self.table().gather(column, offsets, worker, &mut own)?;
                append_as_any(&own.vector(), own.data_type(), own.len(), out)
            }
            _ => Ok(self.table().gather(column, offsets, worker, out)?),
        }
    }

    /// A scan of these columns.
    pub fn scanner(
        &self,
        columns: &[ColumnId],
        predicates: &[ColumnPredicate],
        options: &ScanOptions,
    ) -> ExecutionResult<RowScanner> {
        Ok(match self {
            Rows::Nodes(table) => RowScanner::Nodes(table.scanner(columns, predicates, options)?),
            Rows::Rels { table, .. } => RowScanner::Rels(table.scanner(columns, predicates, options)?),
        })
    }
}

/// Appends values that carry their own type: a property whose tables differ in its type.
pub fn append_as_any(
    vector: &ValueVector<'_>,
    data_type: &DataType,
    rows: usize,
    out: &mut VectorBuffer,
) -> ExecutionResult<()> {
    for row in 0..rows {
        let value = vector.value(row, data_type);
        out.push_value(&value)?;
    }
    Ok(())
}

/// A scan of either kind.
pub enum RowScanner {
    Nodes(NodeScanner),
    Rels(RelScanner),
}

impl RowScanner {
    /// Begins a morsel.
    pub fn open(&mut self, group: usize, rows: Range<u32>) -> ExecutionResult<()> {
        match self {
            RowScanner::Nodes(scanner) => scanner.open(group, rows)?,
            RowScanner::Rels(scanner) => scanner.open(group, rows)?,
        }
        Ok(())
    }

    /// The next rows of the morsel.
    pub fn next<'s>(&'s mut self, worker: &mut PoolWorker) -> ExecutionResult<Option<ScanBatch<'s>>> {
        Ok(match self {
            RowScanner::Nodes(scanner) => scanner.next(worker)?,
            RowScanner::Rels(scanner) => scanner.next(worker)?,
        })
    }

    /// Gives all pages back until the next call of `next`.
    pub fn rest(&mut self) {
        match self {
            RowScanner::Nodes(scanner) => scanner.rest(),
            RowScanner::Rels(scanner) => scanner.rest(),
        }
    }

    /// What the scan has met.
    pub fn counters(&self) -> ScanCounters {
        match self {
            RowScanner::Nodes(scanner) => scanner.counters(),
            RowScanner::Rels(scanner) => scanner.counters(),
        }
    }
}
