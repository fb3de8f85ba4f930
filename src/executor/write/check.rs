//! CHECKs at the end of a clause: over all rows that it has made or changed, as they are by then.

use super::super::check::{RowCheck, is_table};
use super::super::error::ExecutionResult;
use super::super::rows::Rows;
use super::{WriteFault, Writing};
use crate::planner::physical_plan::TableCheck;
use crate::types::{ColumnId, TableId, VECTOR_SIZE};
use crate::vector::{ValueVector, VectorBuffer};

/// The conditions of a statement, and the rows that have yet to pass them.
pub(super) struct Checks<'p> {
    pub all: &'p [TableCheck],
    /// Offsets, each with the number of its row in the clause.
    touched: Vec<(TableId, Vec<(u64, u64)>)>,
}

impl<'p> Checks<'p> {
    pub fn new(all: &'p [TableCheck]) -> Checks<'p> {
        Checks { all, touched: Vec::new() }
    }

    /// Notes new rows, or rows with a new value of a column.
    pub fn touch(
        &mut self,
        table: TableId,
        column: Option<ColumnId>,
        rows: impl Iterator<Item = (u64, u64)>,
    ) {
        let reads = |check: &TableCheck| {
            let read = |id: ColumnId| check.columns.iter().any(|(known, ..)| *known == id);
            is_table(check.table, table) && column.is_none_or(read)
        };
        if !self.all.iter().any(reads) {
            return;
        }
        match self.touched.iter_mut().find(|(known, _)| is_table(*known, table)) {
            Some((_, touched)) => touched.extend(rows),
            None => self.touched.push((table, rows.collect())),
        }
    }
}

impl Writing<'_> {
    /// Refuses the clause if one of its rows breaks a condition.
    pub(super) fn check_touched(&mut self) -> ExecutionResult<()> {
        if self.checks.touched.is_empty() {
            return Ok(());
        }
        self.fresh();
        for (table, mut touched) in std::mem::take(&mut self.checks.touched) {
            touched.sort_unstable();
            touched.dedup_by_key(|(offset, _)| *offset);
            for check in self.checks.all.iter().filter(|check| is_table(check.table, table)) {
                self.check_rows(check, &touched)?;
            }
        }
        Ok(())
    }

    fn check_rows(&self, check: &TableCheck, touched: &[(u64, u64)]) -> ExecutionResult<()> {
        let query = &*self.query;
        let rows = Rows::open(check.table, query)?;
        let mut worker = query.transaction.worker()?;
        let mut condition = RowCheck::new(check, query)?;
        let mut broken = Vec::new();
        for part in touched.chunks(VECTOR_SIZE) {
            query.check()?;
            let offsets: Vec<u64> = part.iter().map(|(offset, _)| *offset).collect();
            let mut buffers = Vec::with_capacity(check.columns.len());
            for (column, _, data_type) in &check.columns {
                let mut buffer = VectorBuffer::new(data_type.clone());
                rows.gather(*column, &offsets, &mut worker, &mut buffer)?;
                buffers.push(buffer);
            }
            let vectors: Vec<ValueVector<'_>> = buffers.iter().map(VectorBuffer::vector).collect();
            condition.broken(&vectors, part.len(), query, &mut broken)?;
            if let Some(at) = broken.first()
                && let Some((offset, number)) = part.get(*at)
            {
                let fault = WriteFault::Check {
                    check: check.text.clone(),
                    values: condition.values(&vectors, *at),
                    what: self.writer.row_text(check.table, *offset),
                };
                return Err(self.fault_at(*number, fault));
            }
        }
        Ok(())
    }
}
