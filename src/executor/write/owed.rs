//! Values that a new row owes: NOT NULL columns that its pattern does not mention. A later SET of the statement may
//! give them, so they are looked for at the end of each clause and refused at the end of the statement.

use super::super::error::ExecutionResult;
use super::super::rows::Rows;
use super::{WriteFault, WriteRow, Writing};
use crate::executor::ExecutionError;
use crate::planner::physical_plan::NewValue;
use crate::types::{ColumnId, DataType, TableId, VECTOR_SIZE};
use crate::vector::VectorBuffer;

/// A column of new rows without a value.
pub(super) struct Owed {
    table: TableId,
    column: ColumnId,
    name: String,
    clause: &'static str,
    /// Offsets, each with the number of its row in the clause.
    rows: Vec<(u64, u64)>,
}

impl Writing<'_> {
    /// Notes the columns that new rows were not given. `numbers` are those of the clause's rows, from 0.
    pub(super) fn owe(
        &mut self,
        table: TableId,
        given: &[NewValue],
        first: u64,
        numbers: impl Iterator<Item = u64> + Clone,
    ) -> ExecutionResult<()> {
        let is_owed = |column: &&crate::catalog::ColumnSchema| {
            column.not_null
                && column.data_type != DataType::Serial
                && given.iter().all(|value| value.column != column.id)
        };
        let owed: Vec<(ColumnId, String)> = (self.columns(table).iter().filter(is_owed))
            .map(|column| (column.id, column.name.clone()))
            .collect();
        if owed.is_empty() {
            return Ok(());
        }
        let known: usize = self.owed.iter().map(|one| one.rows.len()).sum();
        self.hold_owed(known + owed.len() * numbers.clone().count())?;
        for (column, name) in owed {
            let rows = (first..).zip(numbers.clone());
            let clause = self.clause;
            let same =
                |known: &&mut Owed| known.table == table && known.column == column && known.clause == clause;
            match self.owed.iter_mut().find(same) {
                Some(known) => known.rows.extend(rows),
                None => self.owed.push(Owed { table, column, name, clause, rows: rows.collect() }),
            }
        }
        Ok(())
    }

    /// Counts the rows that are noted; a list that has grown takes up to twice what is in it.
    fn hold_owed(&mut self, rows: usize) -> ExecutionResult<()> {
        let held = self.owed_held.get_or_insert_with(|| self.query.account());
        held.hold("noting new rows that lack values", (rows * 2 * size_of::<(u64, u64)>()) as u64)?;
        Ok(())
    }

    /// Forgets what was given since, and rows that were deleted.
    pub(super) fn forget_paid(&mut self) -> ExecutionResult<()> {
        if self.owed.is_empty() {
            return Ok(());
        }
        self.fresh();
        let mut owed = std::mem::take(&mut self.owed);
        for one in &mut owed {
            one.rows = self.still_owed(one)?;
        }
        owed.retain(|one| !one.rows.is_empty());
        self.owed = owed;
        self.hold_owed(self.owed.iter().map(|one| one.rows.len()).sum())
    }

    /// At the end of the statement nothing may be owed.
    pub(super) fn refuse_owed(&self) -> ExecutionResult<()> {
        let first = |one: &&Owed| one.rows.first().map(|(_, number)| *number);
        let Some(one) = self.owed.iter().min_by_key(first) else { return Ok(()) };
        let Some((offset, number)) = one.rows.first() else { return Ok(()) };
        let of = Some(self.writer.row_text(one.table, *offset));
        let fault = WriteFault::Null { table: self.table_name(one.table), column: one.name.clone(), of };
        let row = WriteRow { clause: one.clause, number: number + 1 };
        Err(ExecutionError::Write { row: Some(row), fault: Box::new(fault) })
    }

    fn still_owed(&self, owed: &Owed) -> ExecutionResult<Vec<(u64, u64)>> {
        let query = &*self.query;
        let rows = Rows::open(owed.table, query)?;
        let mut worker = query.transaction.worker()?;
        let data_type = rows.table().data_type(owed.column);
        let mut left = Vec::new();
        for part in owed.rows.chunks(VECTOR_SIZE) {
            query.check()?;
            let mut there = Vec::with_capacity(part.len());
            for row in part {
                if rows.table().is_visible(row.0, &mut worker)? {
                    there.push(*row);
                }
            }
            let offsets: Vec<u64> = there.iter().map(|(offset, _)| *offset).collect();
            let mut values = VectorBuffer::new(data_type.clone());
            rows.gather(owed.column, &offsets, &mut worker, &mut values)?;
            let vector = values.vector();
            left.extend(there.iter().enumerate().filter(|(at, _)| vector.is_null(*at)).map(|(_, row)| *row));
        }
        Ok(left)
    }
}
