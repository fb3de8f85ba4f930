//! Runs: an array of end rows (exclusive, rising), padded to 16 bytes, then one value per run.

use super::super::bytes::{Damage, Damaged, u32_at};
use super::aligned_16;

/// The first byte after the array of `runs` ends.
pub const fn values_start(runs: usize) -> usize {
    aligned_16(runs * 4)
}

/// Writes the array of ends with its padding.
pub fn write_ends(ends: &[u32], out: &mut Vec<u8>) {
    ends.iter().for_each(|end| out.extend_from_slice(&end.to_le_bytes()));
    out.resize(out.len().next_multiple_of(16), 0);
}

/// The run that `row` lies in.
pub fn find(bytes: &[u8], runs: usize, row: usize) -> Damaged<usize> {
    let (mut low, mut high) = (0, runs);
    while low < high {
        let middle = low + (high - low) / 2;
        if u32_at(bytes, middle)? as usize <= row {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    if low < runs { Ok(low) } else { Err(Damage("row lies behind the last run")) }
}

/// Calls `each(run, count)` for the runs that the rows `from..to` cut.
pub fn for_each<E: From<Damage>>(
    bytes: &[u8],
    runs: usize,
    from: usize,
    to: usize,
    mut each: impl FnMut(usize, usize) -> Result<(), E>,
) -> Result<(), E> {
    let mut row = from;
    if from >= to {
        return Ok(());
    }
    let mut run = find(bytes, runs, from)?;
    while row < to {
        if run >= runs {
            return Err(Damage("row lies behind the last run").into());
        }
        let end = (u32_at(bytes, run)? as usize).min(to);
        if end <= row {
            return Err(Damage("ends of runs do not rise").into());
        }
        each(run, end - row)?;
        row = end;
        run += 1;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(ends: &[u32], from: usize, to: usize, expected: &[(usize, usize)]) {
        let mut bytes = Vec::new();
        write_ends(ends, &mut bytes);
        assert_eq!(bytes.len(), values_start(ends.len()));
        let mut found = Vec::new();
        for_each(&bytes, ends.len(), from, to, |run, count| {
            found.push((run, count));
            Ok::<(), Damage>(())
        })
        .unwrap();
        assert_eq!(found, expected);
    }

    #[test]
    fn ranges_cut_runs() {
        check(&[3, 5, 9], 0, 9, &[(0, 3), (1, 2), (2, 4)]);
        check(&[3, 5, 9], 2, 4, &[(0, 1), (1, 1)]);
        check(&[3, 5, 9], 5, 5, &[]);
    }

    #[test]
    fn broken_ends_are_damage() {
        let mut bytes = Vec::new();
        write_ends(&[3, 3, 2], &mut bytes);
        assert!(for_each(&bytes, 3, 0, 9, |_, _| Ok::<(), Damage>(())).is_err());
        assert!(find(&bytes, 3, 9).is_err());
    }
}
