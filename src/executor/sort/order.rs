//! The order of gathered rows. Sorting goes piece by piece, so that an interrupt is met within a few milliseconds.

use super::super::context::QueryContext;
use super::super::error::ExecutionResult;
use super::Sorting;
use super::run::Rows;
use crate::types::leave_vector_if_stopped;
use crate::vector::{ValueVector, VectorBuffer, select_in_pieces, sort_in_pieces};

impl Sorting<'_> {
    /// The positions of the rows in order, as many as may be needed. Rows that are equal stay in the order in which
    /// they came.
    pub(super) fn order(&self, rows: &Rows, query: &QueryContext) -> ExecutionResult<Vec<u32>> {
        let vectors: Vec<ValueVector<'_>> = rows.keys.iter().map(VectorBuffer::vector).collect();
        // The prefix stands beside the position: most comparisons end without a look at the keys.
        let compare = |a: &(u64, u32), b: &(u64, u32)| {
            let keys = || self.compare(&vectors, a.1 as usize, &vectors, b.1 as usize);
            a.0.cmp(&b.0).then_with(keys).then(a.1.cmp(&b.1))
        };
        let mut entries: Vec<(u64, u32)> = rows.prefixes.iter().copied().zip(0..).collect();
        if let Some(most) = self.rows_max.filter(|most| *most < entries.len()) {
            if most == 0 {
                return Ok(Vec::new());
            }
            select_in_pieces(&mut entries, most - 1, compare, || query.check())?;
            entries.truncate(most);
        }
        if let Err(stopped) = sort_in_pieces(&mut entries, compare, || query.check()) {
            leave_vector_if_stopped(&mut entries);
            return Err(stopped);
        }
        Ok(entries.into_iter().map(|(_, row)| row).collect())
    }
}
