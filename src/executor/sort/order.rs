//! The order of gathered rows. Sorting goes piece by piece, so that an interrupt is met within a few milliseconds.

use std::cmp::Ordering;

use super::super::context::QueryContext;
use super::super::counters::count;
use super::super::error::ExecutionResult;
use super::Sorting;
use super::run::Rows;
use crate::types::{DataType, PhysicalType, leave_vector_if_stopped};
use crate::vector::{ValueVector, VectorBuffer, select_in_pieces, sort_in_pieces, sort_keys};

impl Sorting<'_> {
    /// The positions of the rows in order, as many as may be needed. Rows that are equal stay in the order in which
    /// they came.
    pub(super) fn order(&self, rows: &Rows, query: &QueryContext) -> ExecutionResult<Vec<u32>> {
        let vectors: Vec<ValueVector<'_>> = rows.keys.iter().map(VectorBuffer::vector).collect();
        let by_keys =
            |a: u32, b: u32| self.compare(&vectors, a as usize, &vectors, b as usize).then(a.cmp(&b));
        // Prefixes stand beside the position: most comparisons end without a look at the keys.
        let Some(seconds) = self.seconds(rows, &vectors) else {
            let entries: Vec<(u64, u32)> = rows.prefixes.iter().copied().zip(0..).collect();
            let compare = |a: &(u64, u32), b: &(u64, u32)| a.0.cmp(&b.0).then_with(|| by_keys(a.1, b.1));
            return Ok(self.sorted(entries, compare, query)?.into_iter().map(|(_, row)| row).collect());
        };
        let both = rows.prefixes.iter().zip(&seconds).zip(0..);
        let entries: Vec<(u64, u64, u32)> =
            both.map(|((first, second), row)| (*first, *second, row)).collect();
        drop(seconds);
        count(&query.counters.rows_sorted_by_two_prefixes, entries.len() as u64);
        let compare = |a: &(u64, u64, u32), b: &(u64, u64, u32)| {
            a.0.cmp(&b.0).then(a.1.cmp(&b.1)).then_with(|| by_keys(a.2, b.2))
        };
        Ok(self.sorted(entries, compare, query)?.into_iter().map(|(_, _, row)| row).collect())
    }

    fn sorted<T: Copy + Send + 'static>(
        &self,
        mut entries: Vec<T>,
        compare: impl Fn(&T, &T) -> Ordering,
        query: &QueryContext,
    ) -> ExecutionResult<Vec<T>> {
        if let Some(most) = self.rows_max.filter(|most| *most < entries.len()) {
            if most == 0 {
                return Ok(Vec::new());
            }
            select_in_pieces(&mut entries, most - 1, &compare, || query.check())?;
            entries.truncate(most);
        }
        if let Err(stopped) = sort_in_pieces(&mut entries, compare, || query.check()) {
            leave_vector_if_stopped(&mut entries);
            return Err(stopped);
        }
        Ok(entries)
    }

    /// The prefixes of the second key, where those of the first one tell its values apart, all but the greatest from
    /// NULL: there the second ones are all the same.
    fn seconds(&self, rows: &Rows, vectors: &[ValueVector<'_>]) -> Option<Vec<u64>> {
        let ([first, second, ..], [_, vector, ..]) = (self.keys, vectors) else { return None };
        if !has_whole_prefix(&first.expression.data_type) {
            return None;
        }
        let mut seconds = Vec::new();
        sort_keys(vector, &second.expression.data_type, rows.prefixes.len(), &mut seconds);
        let (flip, of_null) =
            (if second.descending { u64::MAX } else { 0 }, if first.descending { 0 } else { u64::MAX });
        for (own, prefix) in seconds.iter_mut().zip(&rows.prefixes) {
            *own = if *prefix == of_null { 0 } else { *own ^ flip };
        }
        Some(seconds)
    }
}

/// Whether the prefix of a value is all of it.
fn has_whole_prefix(data_type: &DataType) -> bool {
    use PhysicalType as P;
    let physical = data_type.physical();
    matches!(
        physical,
        P::Bool | P::I8 | P::I16 | P::I32 | P::I64 | P::U8 | P::U16 | P::U32 | P::U64 | P::F32 | P::F64
    )
}
