//! Columns that are kept whole while a query runs. Who asks for many more rows of a column than it has, as the far ends
//! of patterns do with the properties of a small table, gets them from one decoded copy instead of page by page. The
//! copy is made by a scan, so that it has what the transaction sees; it is counted with the memory of operators and
//! given up where that gets short.

use std::sync::Arc;

use parking_lot::Mutex;

use super::context::{Context, QueryContext};
use super::counters::count;
use super::error::ExecutionResult;
use crate::storage::StorageResult;
use crate::storage::memory::Reservation;
use crate::storage::table::{NodeTable, ScanOptions};
use crate::types::{ColumnId, DataType, NODE_GROUP_ROWS};
use crate::vector::VectorBuffer;

/// A column is made whole by one who has asked for so many times its rows; no promise that as many follow, but then no
/// more was done than twice what was asked for.
const ASKED_TIMES: u64 = 2;
/// Fewer rows are not worth a look at what is kept.
const ASKED_MIN: u64 = 4096;
/// The part of the memory limit that one column may take, as a divisor.
const LIMIT_SHARE: u64 = 16;

/// A column's values by offset; NULL where no row is.
pub struct WholeColumn {
    pub values: VectorBuffer,
    _held: Reservation,
}

impl WholeColumn {
    /// Whether all of these rows are there.
    pub fn has_all(&self, offsets: &[u64]) -> bool {
        offsets.iter().fold(0, |most, offset| most.max(*offset)) < self.values.len() as u64
    }
}

/// The columns of one execution. A table is the same as long as the transaction sees the same rows in it.
#[derive(Default)]
pub struct WholeColumns {
    known: Mutex<Vec<Known>>,
}

struct Known {
    table: Arc<NodeTable>,
    column: ColumnId,
    state: State,
}

enum State {
    Making,
    Kept(Arc<WholeColumn>),
    GivenUp,
}

/// Whether so many rows of a table are so many more than it has that its columns should be kept.
pub fn is_asked_often(asked: u64, table: &NodeTable, query: &QueryContext) -> bool {
    let least = if query.is_tiny() { 1 } else { ASKED_MIN };
    asked >= least && asked / ASKED_TIMES >= table.row_bound()
}

impl WholeColumns {
    /// Lets go of all columns if others need the memory. Those in use go with the next batch.
    pub fn are_given_up(&self, query: &QueryContext) -> bool {
        let memory = query.memory().stats();
        if memory.total.used <= memory.limit / 8 * 7 {
            return false;
        }
        self.known.lock().iter_mut().for_each(|known| known.state = State::GivenUp);
        true
    }

    /// The column, made by the first one who asks for it; none while that one is at it, and where there is no room.
    pub fn get(
        &self,
        table: &Arc<NodeTable>,
        column: ColumnId,
        data_type: &DataType,
        context: &mut Context<'_>,
    ) -> ExecutionResult<Option<Arc<WholeColumn>>> {
        {
            let mut known = self.known.lock();
            match known.iter().find(|known| known.is_of(table, column)) {
                Some(Known { state: State::Kept(whole), .. }) => return Ok(Some(Arc::clone(whole))),
                Some(_) => return Ok(None),
                None => {
                    known.push(Known { table: Arc::clone(table), column, state: State::Making });
                }
            }
        }
        let whole = made(table, column, data_type, context)?.map(Arc::new);
        let mut known = self.known.lock();
        if let Some(known) = known.iter_mut().find(|known| known.is_of(table, column)) {
            known.state = whole.as_ref().map_or(State::GivenUp, |whole| State::Kept(Arc::clone(whole)));
        }
        Ok(whole)
    }
}

impl Known {
    fn is_of(&self, table: &Arc<NodeTable>, column: ColumnId) -> bool {
        self.column == column && Arc::ptr_eq(&self.table, table)
    }
}

/// Scans the column; none where it takes too much, or where a page cannot be read: perhaps nobody asks for its rows.
fn made(
    table: &Arc<NodeTable>,
    column: ColumnId,
    data_type: &DataType,
    context: &mut Context<'_>,
) -> ExecutionResult<Option<WholeColumn>> {
    let query = context.query;
    let least = table.row_bound().saturating_mul(data_type.physical().width().max(1) as u64);
    let limit = query.memory().limit() / LIMIT_SHARE;
    let same_type = table.data_type(column).physical() == data_type.physical();
    if !same_type || least > limit || table.row_bound() > u64::from(u32::MAX) {
        return Ok(None);
    }
    let mut whole = WholeColumn { values: VectorBuffer::new(data_type.clone()), _held: query.account() };
    for group in 0..table.group_count() {
        query.check()?;
        if !matches!(append_group(table, (column, group), &mut whole, limit, context), Ok(true)) {
            return Ok(None);
        }
    }
    count(&query.counters.columns_kept, 1);
    Ok(Some(whole))
}

/// Appends the rows of a group at their offsets; false if there is no room for them.
fn append_group(
    table: &Arc<NodeTable>,
    (column, group): (ColumnId, usize),
    whole: &mut WholeColumn,
    limit: u64,
    context: &mut Context<'_>,
) -> StorageResult<bool> {
    let mut scanner =
        table.scanner(&[column], &[], &ScanOptions { vector_size: context.query.vector_size })?;
    scanner.open(group, 0..NODE_GROUP_ROWS as u32)?;
    while let Some(batch) = scanner.next(&mut context.worker)? {
        let Some(missing) = batch.first_offset.checked_sub(whole.values.len() as u64) else {
            return Ok(false);
        };
        whole.values.push_nulls(missing as usize);
        whole.values.append_range(&batch.columns[0], 0, batch.length);
        let bytes = whole.values.bytes() as u64;
        if bytes > limit || !whole._held.try_hold_share(bytes) {
            return Ok(false);
        }
    }
    Ok(true)
}
