//! CHECKs over the chunks of a load, on all parsing threads.

use parking_lot::Mutex;

use super::super::check::{RowCheck, is_table};
use super::super::context::QueryContext;
use super::columns::{ColumnPlan, Serials};
use super::error::{CopyError, CopyResult};
use super::rejects::{Fault, FaultKind};
use crate::catalog::ColumnSchema;
use crate::executor::ExecutionError;
use crate::ingest::CsvChunk;
use crate::planner::physical_plan::TableCheck;
use crate::storage::state::Snapshot;
use crate::transaction::ReadTransaction;
use crate::types::TableId;
use crate::vector::ValueVector;

/// The conditions of one table.
pub(super) struct ChunkChecks<'c> {
    checks: Vec<OneCheck<'c>>,
    table: String,
    query: QueryContext,
    /// Conditions with their memory, one per check, that no thread uses at the moment.
    idle: Mutex<Vec<Vec<RowCheck<'c>>>>,
}

struct OneCheck<'c> {
    check: &'c TableCheck,
    /// Positions of what it reads among the table's columns.
    columns: Vec<usize>,
}

impl<'c> ChunkChecks<'c> {
    /// Those of a table; others are left out.
    pub fn new(
        checks: &'c [TableCheck],
        (table, name): (TableId, &str),
        columns: &[ColumnSchema],
        snapshot: &Snapshot,
    ) -> CopyResult<ChunkChecks<'c>> {
        let mut own = Vec::new();
        for check in checks.iter().filter(|check| is_table(check.table, table)) {
            let position = |(id, ..): &(crate::types::ColumnId, String, _)| {
                columns.iter().position(|column| column.id == *id)
            };
            let places: Option<Vec<usize>> = check.columns.iter().map(position).collect();
            own.push(OneCheck { check, columns: places.ok_or(CopyError::TableChanged)? });
        }
        let query = QueryContext::new(ReadTransaction::over(snapshot.clone()));
        Ok(ChunkChecks { checks: own, table: name.to_owned(), query, idle: Mutex::default() })
    }

    /// Adds the rows of a chunk that break a condition.
    pub fn find(&self, plan: &ColumnPlan, chunk: &CsvChunk, faults: &mut Vec<Fault>) -> CopyResult<()> {
        if self.checks.is_empty() {
            return Ok(());
        }
        let idle = self.idle.lock().pop();
        let mut conditions = match idle {
            Some(conditions) => conditions,
            None => {
                let new = self.checks.iter().map(|one| RowCheck::new(one.check, &self.query));
                new.collect::<Result<_, _>>().map_err(failed)?
            }
        };
        let serials = Serials::default();
        let columns = plan.vectors(&chunk.columns, &serials);
        let mut broken = Vec::new();
        for (one, condition) in self.checks.iter().zip(&mut conditions) {
            let read: Vec<ValueVector<'_>> =
                one.columns.iter().filter_map(|at| columns.get(*at).copied()).collect();
            broken.clear();
            condition.broken(&read, chunk.rows(), &self.query, &mut broken).map_err(failed)?;
            let field = one.columns.iter().find_map(|at| plan.field_of(*at));
            faults.extend(broken.iter().map(|row| Fault {
                row: *row,
                column: field,
                kind: FaultKind::Check {
                    table: self.table.clone(),
                    check: one.check.text.clone(),
                    values: condition.values(&read, *row),
                },
            }));
        }
        self.idle.lock().push(conditions);
        Ok(())
    }
}

fn failed(error: ExecutionError) -> CopyError {
    match error {
        ExecutionError::Storage(error) => error.into(),
        error => CopyError::Check { reason: error.to_string() },
    }
}
