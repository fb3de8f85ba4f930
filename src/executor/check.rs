//! CHECKs of tables over columns of rows, for statements that write and for bulk loads.

use super::context::QueryContext;
use super::error::ExecutionResult;
use super::evaluate::Evaluator;
use crate::planner::physical_plan::TableCheck;
use crate::types::{TableId, VECTOR_SIZE};
use crate::vector::{Batch, ValueVector};

/// One condition with the memory of its evaluation.
pub struct RowCheck<'c> {
    pub check: &'c TableCheck,
    evaluator: Evaluator<'c>,
}

impl<'c> RowCheck<'c> {
    /// Prepares a condition.
    pub fn new(check: &'c TableCheck, query: &QueryContext) -> ExecutionResult<RowCheck<'c>> {
        Ok(RowCheck { check, evaluator: Evaluator::new(&check.condition, query)? })
    }

    /// Adds the rows that break the condition. The columns are those that the check reads.
    pub fn broken(
        &mut self,
        columns: &[ValueVector<'_>],
        rows: usize,
        query: &QueryContext,
        broken: &mut Vec<usize>,
    ) -> ExecutionResult<()> {
        let mut first = 0;
        while first < rows {
            let length = VECTOR_SIZE.min(rows - first);
            let window: Vec<ValueVector<'_>> =
                columns.iter().map(|column| column.slice(first..first + length)).collect();
            let truth = self.evaluator.evaluate(query, &Batch::new(&window, length))?;
            broken
                .extend((0..length).filter(|row| truth.bool_at(*row) == Some(false)).map(|row| first + row));
            first += length;
        }
        Ok(())
    }

    /// What a row has in the columns that the condition reads, for people.
    pub fn values(&self, columns: &[ValueVector<'_>], row: usize) -> String {
        let values = self.check.columns.iter().zip(columns);
        let texts: Vec<String> = values
            .map(|((_, name, data_type), column)| format!("{name} = {}", column.value(row, data_type)))
            .collect();
        texts.join(", ")
    }
}

/// Whether both name the same table of a graph.
pub fn is_table(table: TableId, other: TableId) -> bool {
    table.0 & 0xFFFF == other.0 & 0xFFFF
}
