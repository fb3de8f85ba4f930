//! A few rows of a column, chosen by chance and always the same ones: from them follow top values and histograms.

use crate::types::Value;

/// Rows that a sample keeps.
pub const SAMPLE_ROWS: usize = 512;
/// Bytes of a text that a sample keeps.
const TEXT_BYTES: usize = 32;

/// Values of rows with the least keys among all rows: any two samples can be merged into that of both.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct RowSample {
    /// Rows with values that the sample stands for.
    pub rows: u64,
    /// By key.
    picks: Vec<(u64, Value)>,
}

/// The rows of a group that are looked at: position and key. Groups further behind need fewer, since they make up a
/// smaller part of the table.
pub fn picked_rows(group: u64, rows: usize) -> Vec<(usize, u64)> {
    let wanted = SAMPLE_ROWS.min(usize::try_from(4 * SAMPLE_ROWS as u64 / (group + 1)).unwrap_or(0) + 16);
    let count = wanted.min(rows);
    let pick = |number: usize| {
        // One row of each of `count` parts of the group, so that what repeats itself is not met in step.
        let (from, to) = (number * rows / count, (number + 1) * rows / count);
        let row = from + (mix(group << 32 | number as u64) % (to - from).max(1) as u64) as usize;
        (row, mix(group << 20 ^ row as u64))
    };
    (0..count).map(pick).collect()
}

impl RowSample {
    /// The sample of `rows` rows with values, of which some were picked.
    pub fn of(rows: u64, picks: impl Iterator<Item = (u64, Value)>) -> RowSample {
        let mut picks: Vec<(u64, Value)> = picks.map(|(key, value)| (key, cut(value))).collect();
        picks.sort_by_key(|(key, _)| *key);
        RowSample { rows, picks }
    }

    /// Adds the rows of another part of the column.
    pub fn merge(&mut self, other: &RowSample) {
        self.rows += other.rows;
        self.picks.extend(other.picks.iter().cloned());
        self.picks.sort_by_key(|(key, _)| *key);
        self.picks.truncate(SAMPLE_ROWS);
    }

    /// The values that were picked.
    pub fn values(&self) -> impl Iterator<Item = &Value> {
        self.picks.iter().map(|(_, value)| value)
    }
}

/// Whether values of a kind are sampled: those with an order that can be measured.
pub fn is_sampled(value: &Value) -> bool {
    match value {
        Value::Float(number) => !number.is_nan(),
        Value::Double(number) => !number.is_nan(),
        Value::String(_) => true,
        value => super::shares::number(value).is_some(),
    }
}

fn cut(value: Value) -> Value {
    match value {
        Value::String(mut text) if text.len() > TEXT_BYTES => {
            let end = (0..=TEXT_BYTES).rev().find(|at| text.is_char_boundary(*at)).unwrap_or(0);
            text.truncate(end);
            Value::String(text)
        }
        value => value,
    }
}

fn mix(bits: u64) -> u64 {
    let mixed = bits.wrapping_add(0x9E37_79B9_7F4A_7C15);
    let mixed = (mixed ^ mixed >> 30).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    let mixed = (mixed ^ mixed >> 27).wrapping_mul(0x94D0_49BB_1331_11EB);
    mixed ^ mixed >> 31
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_are_picked_from_all_parts_of_a_group() {
        let picked = picked_rows(0, 65_536);
        assert_eq!(picked.len(), SAMPLE_ROWS);
        assert!(picked.windows(2).all(|pair| pair[0].0 < pair[1].0));
        assert!(picked.last().is_some_and(|(row, _)| *row >= 65_536 - 128));
        assert_eq!(picked_rows(0, 3).iter().map(|(row, _)| *row).collect::<Vec<_>>(), [0, 1, 2]);
        assert_eq!(picked_rows(1_000_000, 65_536).len(), 16);
        assert!(picked_rows(7, 0).is_empty());
    }

    #[test]
    fn samples_of_parts_are_those_of_the_whole() {
        let part = |group: u64| {
            let picks = picked_rows(group, 1000).into_iter();
            RowSample::of(1000, picks.map(|(row, key)| (key, Value::Int64(group as i64 * 1000 + row as i64))))
        };
        let mut forward = part(0);
        forward.merge(&part(1));
        let mut backward = part(1);
        backward.merge(&part(0));
        assert_eq!(forward, backward);
        assert_eq!(forward.rows, 2000);
        assert_eq!(forward.values().count(), SAMPLE_ROWS);
        let second = forward.values().filter(|value| value.as_i64() >= Some(1000)).count();
        assert!((150..362).contains(&second), "{second}");
    }

    #[test]
    fn long_texts_are_cut_between_letters() {
        let sample = RowSample::of(1, [(1, Value::String("é".repeat(40)))].into_iter());
        assert_eq!(sample.values().next(), Some(&Value::String("é".repeat(16))));
    }
}
