//! The order of gathered rows. Sorting goes piece by piece, so that an interrupt is met within a few milliseconds.

use std::cmp::Ordering;

use super::super::context::QueryContext;
use super::super::error::ExecutionResult;
use super::Sorting;
use super::run::Rows;
use crate::vector::{ValueVector, VectorBuffer};

/// Entries sorted at once.
const PIECE: usize = 1 << 15;

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
            entries.select_nth_unstable_by(most - 1, compare);
            entries.truncate(most);
        }
        sort_in_pieces(&mut entries, compare, || query.check())?;
        Ok(entries.into_iter().map(|(_, row)| row).collect())
    }
}

/// Sorts pieces by themselves and merges them, with a look at `check` now and then.
pub fn sort_in_pieces<T: Copy, E>(
    entries: &mut Vec<T>,
    compare: impl Fn(&T, &T) -> Ordering,
    check: impl Fn() -> Result<(), E>,
) -> Result<(), E> {
    for piece in entries.chunks_mut(PIECE) {
        check()?;
        piece.sort_unstable_by(&compare);
    }
    let mut merged = Vec::new();
    let mut width = PIECE;
    while width < entries.len() {
        merged.clear();
        merged.reserve(entries.len());
        for pair in entries.chunks(2 * width) {
            let (left, right) = pair.split_at(width.min(pair.len()));
            merge_pair(left, right, &compare, &check, &mut merged)?;
        }
        std::mem::swap(entries, &mut merged);
        width *= 2;
    }
    Ok(())
}

fn merge_pair<T: Copy, E>(
    mut left: &[T],
    mut right: &[T],
    compare: impl Fn(&T, &T) -> Ordering,
    check: impl Fn() -> Result<(), E>,
    out: &mut Vec<T>,
) -> Result<(), E> {
    let in_order = left.last().zip(right.first()).is_some_and(|(last, first)| compare(last, first).is_le());
    while let (false, [a, left_rest @ ..], [b, right_rest @ ..]) = (in_order, left, right) {
        if out.len().is_multiple_of(PIECE) {
            check()?;
        }
        if compare(b, a).is_lt() {
            out.push(*b);
            right = right_rest;
        } else {
            out.push(*a);
            left = left_rest;
        }
    }
    out.extend_from_slice(left);
    out.extend_from_slice(right);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(length: usize, value: impl Fn(usize) -> u64) {
        let mut entries: Vec<(u64, usize)> = (0..length).map(|at| (value(at), at)).collect();
        let mut expected = entries.clone();
        expected.sort();
        sort_in_pieces(&mut entries, |a, b| a.cmp(b), || Ok::<(), ()>(())).unwrap();
        assert!(entries == expected, "{length} entries");
    }

    #[test]
    fn pieces_are_merged_into_one_order() {
        for length in [0, 1, PIECE, PIECE + 1, 3 * PIECE + 17] {
            check(length, |at| at as u64);
            check(length, |at| (length - at) as u64);
            check(length, |at| (at as u64).wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 60);
        }
    }

    #[test]
    fn an_interrupt_ends_the_sorting() {
        let mut entries: Vec<usize> = (0..4 * PIECE).rev().collect();
        let calls = std::cell::Cell::new(0);
        let check = || {
            calls.set(calls.get() + 1);
            if calls.get() == 6 { Err("interrupted") } else { Ok(()) }
        };
        assert_eq!(sort_in_pieces(&mut entries, usize::cmp, check), Err("interrupted"));
    }
}
