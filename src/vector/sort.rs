//! Sorting and picking piece by piece, so that whoever has to stop is asked within a few milliseconds, however many
//! entries there are and however long it takes to compare two of them.

use std::cmp::Ordering;
use std::time::{Duration, Instant};

use crate::types::leave_vector_if_stopped;

/// Entries sorted at once, at most and at least.
const PIECE_MAX: usize = 1 << 15;
const PIECE_MIN: usize = 1 << 4;
/// What sorting a piece takes at most, about.
const PIECE_TIME: Duration = Duration::from_millis(4);

/// Sorts pieces by themselves and merges them, with a look at `check` now and then.
pub fn sort_in_pieces<T: Copy + Send + 'static, E>(
    entries: &mut Vec<T>,
    compare: impl Fn(&T, &T) -> Ordering,
    check: impl Fn() -> Result<(), E>,
) -> Result<(), E> {
    let mut width = piece_of(entries, &compare);
    for piece in entries.chunks_mut(width) {
        check()?;
        piece.sort_unstable_by(&compare);
    }
    let (mut merged, piece) = (Vec::new(), width);
    while width < entries.len() {
        merged.clear();
        merged.reserve(entries.len());
        let mut merge = |pair: &[T]| {
            merge_pair(pair.split_at(width.min(pair.len())), piece, &compare, &check, &mut merged)
        };
        if let Err(stopped) = entries.chunks(2 * width).try_for_each(&mut merge) {
            leave_vector_if_stopped(&mut merged);
            return Err(stopped);
        }
        std::mem::swap(entries, &mut merged);
        width *= 2;
    }
    Ok(())
}

/// How many entries are sorted at once: the first ones tell what a comparison takes.
fn piece_of<T>(entries: &mut [T], compare: &impl Fn(&T, &T) -> Ordering) -> usize {
    let (mut piece, mut started) = (PIECE_MIN, Instant::now());
    while piece < PIECE_MAX && 4 * piece < entries.len() {
        entries[..piece].sort_unstable_by(compare);
        let took = std::mem::replace(&mut started, Instant::now()).elapsed();
        if took > PIECE_TIME / 8 {
            break;
        }
        piece *= 4;
    }
    piece
}

fn merge_pair<T: Copy, E>(
    (mut left, mut right): (&[T], &[T]),
    piece: usize,
    compare: impl Fn(&T, &T) -> Ordering,
    check: impl Fn() -> Result<(), E>,
    out: &mut Vec<T>,
) -> Result<(), E> {
    let in_order = left.last().zip(right.first()).is_some_and(|(last, first)| compare(last, first).is_le());
    while let (false, [a, left_rest @ ..], [b, right_rest @ ..]) = (in_order, left, right) {
        if out.len().is_multiple_of(piece) {
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
    for rest in [left, right] {
        for part in rest.chunks(PIECE_MAX) {
            check()?;
            out.extend_from_slice(part);
        }
    }
    Ok(())
}

/// Puts the entry that is number `nth` in order at its place, no greater ones before it and no lesser ones behind it.
pub fn select_in_pieces<T: Copy, E>(
    mut entries: &mut [T],
    mut nth: usize,
    compare: impl Fn(&T, &T) -> Ordering,
    check: impl Fn() -> Result<(), E>,
) -> Result<(), E> {
    // Parts around a guess, as long as it is about more entries than may be gone through without a look.
    while entries.len() > PIECE_MAX {
        let guess = guess_of(entries, nth, &compare);
        let less = part(entries, |entry| compare(entry, &guess).is_lt(), &check)?;
        if nth < less {
            entries = &mut entries[..less];
            continue;
        }
        (entries, nth) = (&mut entries[less..], nth - less);
        let equal = part(entries, |entry| compare(entry, &guess).is_eq(), &check)?;
        if nth < equal {
            return Ok(());
        }
        (entries, nth) = (&mut entries[equal..], nth - equal);
    }
    check()?;
    if nth < entries.len() {
        entries.select_nth_unstable_by(nth, compare);
    }
    Ok(())
}

/// An entry near the one that is number `nth`, from a sample.
fn guess_of<T: Copy>(entries: &[T], nth: usize, compare: impl Fn(&T, &T) -> Ordering) -> T {
    const SAMPLE: usize = 127;
    let step = entries.len() / SAMPLE;
    let mut sample: [T; SAMPLE] = std::array::from_fn(|at| entries[at * step + step / 2]);
    let place = (nth as u128 * SAMPLE as u128 / entries.len() as u128) as usize;
    *sample.select_nth_unstable_by(place.min(SAMPLE - 1), compare).1
}

/// Moves the entries that are chosen before the others; how many they are.
fn part<T: Copy, E>(
    entries: &mut [T],
    chosen: impl Fn(&T) -> bool,
    check: impl Fn() -> Result<(), E>,
) -> Result<usize, E> {
    let mut end = 0;
    for at in 0..entries.len() {
        if at.is_multiple_of(PIECE_MAX) {
            check()?;
        }
        let is_chosen = chosen(&entries[at]);
        entries.swap(at, end);
        end += usize::from(is_chosen);
    }
    Ok(end)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(length: usize, value: impl Fn(usize) -> u64) {
        let mut entries: Vec<(u64, usize)> = (0..length).map(|at| (value(at), at)).collect();
        let (mut expected, mut picked) = (entries.clone(), entries.clone());
        expected.sort();
        sort_in_pieces(&mut entries, |a, b| a.cmp(b), || Ok::<(), ()>(())).unwrap();
        assert!(entries == expected, "{length} entries");
        for nth in [0, length / 3, length.saturating_sub(1)] {
            select_in_pieces(&mut picked, nth, |a, b| a.cmp(b), || Ok::<(), ()>(())).unwrap();
            assert_eq!(picked.get(nth), expected.get(nth), "of {length} entries");
            let (before, behind) = picked.split_at(nth);
            assert!(before.iter().all(|entry| *entry <= behind[0]) || behind.is_empty());
            assert!(behind.iter().all(|entry| *entry >= behind[0]));
        }
    }

    #[test]
    fn pieces_are_merged_into_one_order() {
        for length in [0, 1, 300, PIECE_MAX, PIECE_MAX + 1, 3 * PIECE_MAX + 17] {
            check(length, |at| at as u64);
            check(length, |at| (length - at) as u64);
            check(length, |at| (at as u64).wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 60);
        }
    }

    #[test]
    fn entries_that_are_equal_are_picked_at_once() {
        let mut entries = vec![7; 5 * PIECE_MAX];
        select_in_pieces(&mut entries, 3 * PIECE_MAX, i32::cmp, || Ok::<(), ()>(())).unwrap();
        assert!(entries.iter().all(|entry| *entry == 7));
    }

    #[test]
    fn an_interrupt_ends_the_sorting() {
        let calls = std::cell::Cell::new(0);
        let check = || {
            calls.set(calls.get() + 1);
            if calls.get() == 6 { Err("interrupted") } else { Ok(()) }
        };
        let mut entries: Vec<usize> = (0..4 * PIECE_MAX).rev().collect();
        assert_eq!(sort_in_pieces(&mut entries, usize::cmp, check), Err("interrupted"));
        calls.set(3);
        assert_eq!(select_in_pieces(&mut entries, 500, usize::cmp, check), Err("interrupted"));
    }

    #[test]
    fn pieces_are_small_where_comparisons_take_long() {
        let slow = |a: &u32, b: &u32| {
            std::thread::sleep(Duration::from_micros(20));
            a.cmp(b)
        };
        let mut entries: Vec<u32> = (0..1000).map(|at| at * 7919 % 1009).collect();
        assert_eq!(piece_of(&mut entries, &slow), PIECE_MIN);
        let mut entries: Vec<u32> = (0..1 << 18).collect();
        assert!(piece_of(&mut entries, &u32::cmp) > PIECE_MIN);
    }
}
