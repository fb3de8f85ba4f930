//! Rows of one group as bits, in blocks that clones share: a change of one row copies half a kibibyte.

use std::ops::Range;
use std::sync::Arc;

/// Words of one block.
const BLOCK_WORDS: usize = 64;
/// Blocks of a group of 2¹⁶ rows.
const BLOCKS: usize = 16;

/// A set of row numbers below 2¹⁶.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RowSet {
    blocks: [Option<Arc<[u64; BLOCK_WORDS]>>; BLOCKS],
    count: u32,
}

impl RowSet {
    /// Rows in the set.
    pub fn count(&self) -> u32 {
        self.count
    }

    /// Whether no row is in the set.
    pub fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// The memory of the blocks.
    pub fn bytes(&self) -> u64 {
        // Two counters stand before what an `Arc` shares.
        self.blocks.iter().flatten().count() as u64 * (BLOCK_WORDS as u64 + 2) * 8
    }

    /// Adds a row; says whether it is new.
    pub fn insert(&mut self, row: u16) -> bool {
        let (block, word, bit) = place(row);
        let words = Arc::make_mut(self.blocks[block].get_or_insert_with(|| Arc::new([0; BLOCK_WORDS])));
        let fresh = words[word] & bit == 0;
        words[word] |= bit;
        self.count += u32::from(fresh);
        fresh
    }

    /// Adds consecutive rows.
    pub fn insert_range(&mut self, rows: Range<u32>) {
        let end = rows.end.min(1 << 16);
        let mut row = rows.start;
        while row < end {
            let (block, word, _) = place(row as u16);
            let words = Arc::make_mut(self.blocks[block].get_or_insert_with(|| Arc::new([0; BLOCK_WORDS])));
            let bits = (64 - row % 64).min(end - row);
            let added = (u64::MAX >> (64 - bits)) << (row % 64);
            self.count += (added & !words[word]).count_ones();
            words[word] |= added;
            row += bits;
        }
    }

    /// Whether a row is in the set.
    #[inline]
    pub fn contains(&self, row: u16) -> bool {
        let (block, word, bit) = place(row);
        self.blocks[block].as_ref().is_some_and(|words| words[word] & bit != 0)
    }

    /// Adds all rows of another set.
    pub fn extend(&mut self, other: &RowSet) {
        for (ours, theirs) in self.blocks.iter_mut().zip(&other.blocks) {
            match (ours, theirs) {
                (_, None) => {}
                (Some(ours), Some(theirs)) if Arc::ptr_eq(ours, theirs) => {}
                (Some(ours), Some(theirs)) => {
                    let ours = Arc::make_mut(ours);
                    for (word, other) in ours.iter_mut().zip(theirs.iter()).filter(|(_, other)| **other != 0)
                    {
                        self.count += (other & !*word).count_ones();
                        *word |= other;
                    }
                }
                (ours, Some(theirs)) => {
                    self.count += theirs.iter().map(|word| word.count_ones()).sum::<u32>();
                    *ours = Some(Arc::clone(theirs));
                }
            }
        }
    }

    /// Rows `64 * index ..` as a word, the first in its lowest bit.
    #[inline]
    pub fn word(&self, index: usize) -> u64 {
        match self.blocks.get(index / BLOCK_WORDS) {
            Some(Some(words)) => words[index % BLOCK_WORDS],
            _ => 0,
        }
    }

    /// Bits `start..start + 64`, whatever the start; rows behind the last are not in the set.
    #[inline]
    pub fn bits_from(&self, start: usize) -> u64 {
        let (index, shift) = (start / 64, start % 64);
        match shift {
            0 => self.word(index),
            _ => self.word(index) >> shift | self.word(index + 1) << (64 - shift),
        }
    }

    /// Whether a row of a range is in the set.
    pub fn touches(&self, rows: &Range<usize>) -> bool {
        let (first, last) = (rows.start / 64, rows.end.div_ceil(64));
        if rows.is_empty() || self.count == 0 {
            return false;
        }
        (first..last).any(|index| {
            let mut word = self.word(index);
            if index == first {
                word &= u64::MAX << (rows.start % 64);
            }
            if index == rows.end / 64 {
                word &= (1 << (rows.end % 64)) - 1;
            }
            word != 0
        })
    }

    /// The first row at or behind `row` that is in the set.
    pub fn next_from(&self, row: u32) -> Option<u16> {
        let mut index = row as usize / 64;
        let mut word = self.word(index) & (u64::MAX << (row % 64));
        while word == 0 {
            index += 1;
            if index.is_multiple_of(BLOCK_WORDS) {
                // Blocks without a row are passed over whole.
                let next = (index / BLOCK_WORDS..BLOCKS).find(|block| self.blocks[*block].is_some())?;
                index = next * BLOCK_WORDS;
            }
            word = self.word(index);
        }
        Some((index * 64) as u16 + word.trailing_zeros() as u16)
    }

    /// The rows, rising.
    pub fn iter(&self) -> impl Iterator<Item = u16> + '_ {
        let mut next = if self.is_empty() { 1 << 16 } else { 0u32 };
        std::iter::from_fn(move || {
            if next >= 1 << 16 {
                return None;
            }
            let found = self.next_from(next)?;
            next = u32::from(found) + 1;
            Some(found)
        })
    }

    /// The number of rows from the first to the last in the set: one more than the last.
    pub fn bound(&self) -> u32 {
        for block in (0..BLOCKS).rev() {
            let words = self.blocks[block].as_ref();
            let last = words.and_then(|words| words.iter().rposition(|word| *word != 0).zip(Some(words)));
            if let Some((at, words)) = last {
                return ((block * BLOCK_WORDS + at) * 64) as u32 + 64 - words[at].leading_zeros();
            }
        }
        0
    }
}

fn place(row: u16) -> (usize, usize, u64) {
    let index = usize::from(row) / 64;
    (index / BLOCK_WORDS, index % BLOCK_WORDS, 1 << (row % 64))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_set_holds_what_was_put_in() {
        let rows = [0u16, 1, 63, 64, 4095, 4096, 30_000, 65_534, 65_535];
        let mut set = RowSet::default();
        assert_eq!((set.bound(), set.next_from(0)), (0, None));
        let empty = set.clone();
        assert!(rows.iter().all(|row| set.insert(*row)) && rows.iter().all(|row| !set.insert(*row)));
        assert_eq!(set.iter().collect::<Vec<_>>(), rows);
        assert_eq!((set.count(), set.bound(), empty.count()), (9, 1 << 16, 0));
        assert_eq!((set.next_from(65), set.next_from(65_535)), (Some(4095), Some(65_535)));
        assert_eq!(set.bits_from(1) & 1, 1);
        assert_eq!(set.bits_from(60), 0b11000);
        for (range, expected) in
            [(2..63, false), (2..64, true), (65..4095, false), (65..4096, true), (65_535..65_536, true)]
        {
            assert_eq!(set.touches(&range), expected, "{range:?}");
        }
    }

    #[test]
    fn sets_are_joined_without_changing_the_other() {
        let (mut one, mut two) = (RowSet::default(), RowSet::default());
        one.insert_range(10..20);
        two.insert_range(15..30);
        two.insert(9000);
        let before = two.clone();
        one.extend(&two);
        assert_eq!((one.count(), two.count()), (21, 16));
        one.insert(9001);
        assert_eq!(two, before);
    }
}
