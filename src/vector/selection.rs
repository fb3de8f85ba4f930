//! Which rows of a batch are meant, and how many rows each of them stands for.

use super::ones_below;

/// The rows of a batch that have survived so far, in ascending order.
#[derive(Debug, Clone, Copy)]
pub enum Selection<'b> {
    /// Every row below the batch's length.
    All,
    /// The listed rows.
    Rows(&'b [u16]),
    /// The rows whose bit is set; rows beyond the words are not selected.
    Mask(&'b [u64]),
}

impl<'b> Selection<'b> {
    /// Number of selected rows among `length`.
    pub fn count(&self, length: usize) -> usize {
        match self {
            Selection::All => length,
            Selection::Rows(rows) => rows.len(),
            Selection::Mask(words) => (0..length.div_ceil(64).min(words.len()))
                .map(|index| (words[index] & ones_below(length - index * 64)).count_ones() as usize)
                .sum(),
        }
    }

    /// Whether every row is selected without a look at them.
    #[inline]
    pub fn is_all(&self) -> bool {
        matches!(self, Selection::All)
    }

    /// Whether one row is selected.
    pub fn contains(&self, row: usize) -> bool {
        match self {
            Selection::All => true,
            Selection::Rows(rows) => u16::try_from(row).is_ok_and(|row| rows.binary_search(&row).is_ok()),
            Selection::Mask(words) => words.get(row / 64).is_some_and(|word| word >> (row % 64) & 1 == 1),
        }
    }

    /// Calls `visit` with each selected row in order.
    #[inline]
    pub fn for_each(&self, length: usize, mut visit: impl FnMut(usize)) {
        match self {
            Selection::All => (0..length).for_each(visit),
            Selection::Rows(rows) => rows.iter().for_each(|row| visit(*row as usize)),
            Selection::Mask(words) => {
                for (index, word) in words.iter().enumerate().take(length.div_ceil(64)) {
                    let mut word = word & ones_below(length - index * 64);
                    if word == u64::MAX {
                        (index * 64..index * 64 + 64).for_each(&mut visit);
                        continue;
                    }
                    while word != 0 {
                        visit(index * 64 + word.trailing_zeros() as usize);
                        word &= word - 1;
                    }
                }
            }
        }
    }

    /// As `for_each`, but stops at the first error.
    #[inline]
    pub fn try_for_each<E>(
        &self,
        length: usize,
        mut visit: impl FnMut(usize) -> Result<(), E>,
    ) -> Result<(), E> {
        let mut outcome = Ok(());
        self.for_each(length, |row| {
            if outcome.is_ok() {
                outcome = visit(row);
            }
        });
        outcome
    }

    /// Appends the selected rows to `rows`.
    pub fn indices(&self, length: usize, rows: &mut Vec<u32>) {
        match self {
            Selection::All => rows.extend(0..length as u32),
            _ => self.for_each(length, |row| rows.push(row as u32)),
        }
    }
}

/// How many rows each row of a batch stands for, without their being materialized.
#[derive(Debug, Clone, Copy)]
pub enum Multiplicity<'b> {
    /// Each row is one row.
    One,
    /// A count per row of the batch (selected or not).
    PerRow(&'b [u64]),
}

impl Multiplicity<'_> {
    /// The count of a row.
    #[inline]
    pub fn get(&self, row: usize) -> u64 {
        match self {
            Multiplicity::One => 1,
            Multiplicity::PerRow(counts) => counts[row],
        }
    }

    /// Whether every row counts once.
    #[inline]
    pub fn is_one(&self) -> bool {
        matches!(self, Multiplicity::One)
    }
}

/// An owned selection that can be narrowed again and again; keeps its memory.
#[derive(Debug, Clone, Default)]
pub struct SelectionBuffer {
    words: Vec<u64>,
    length: usize,
}

impl SelectionBuffer {
    /// Starts with the rows of a selection over `length` rows.
    pub fn reset(&mut self, selection: Selection<'_>, length: usize) {
        self.words.clear();
        self.length = length;
        match selection {
            Selection::All => {
                self.words.extend((0..length.div_ceil(64)).map(|index| ones_below(length - index * 64)));
            }
            Selection::Mask(words) => self.words.extend(
                (0..length.div_ceil(64))
                    .map(|index| words.get(index).copied().unwrap_or(0) & ones_below(length - index * 64)),
            ),
            Selection::Rows(rows) => {
                self.words.resize(length.div_ceil(64), 0);
                for row in rows.iter().map(|row| *row as usize).filter(|row| *row < length) {
                    self.words[row / 64] |= 1 << (row % 64);
                }
            }
        }
    }

    /// Keeps the rows that the other selection has too.
    pub fn and(&mut self, other: Selection<'_>) {
        match other {
            Selection::All => {}
            Selection::Mask(words) => {
                for (index, word) in self.words.iter_mut().enumerate() {
                    *word &= words.get(index).copied().unwrap_or(0);
                }
            }
            Selection::Rows(_) => {
                let mut mask = SelectionBuffer::default();
                mask.reset(other, self.length);
                self.and(Selection::Mask(&mask.words));
            }
        }
    }

    /// Adds the rows of the other selection.
    pub fn or(&mut self, other: Selection<'_>) {
        let mut mask = SelectionBuffer::default();
        mask.reset(other, self.length);
        self.words.iter_mut().zip(&mask.words).for_each(|(word, other)| *word |= other);
    }

    /// Keeps the rows whose bit is not set in the other selection.
    pub fn and_not(&mut self, other: Selection<'_>) {
        let mut mask = SelectionBuffer::default();
        mask.reset(other, self.length);
        self.words.iter_mut().zip(&mask.words).for_each(|(word, other)| *word &= !other);
    }

    /// The words, for kernels that write masks.
    pub fn words_mut(&mut self) -> &mut [u64] {
        &mut self.words
    }

    /// The selection as it stands.
    pub fn view(&self) -> Selection<'_> {
        Selection::Mask(&self.words)
    }

    /// Number of selected rows.
    pub fn count(&self) -> usize {
        self.words.iter().map(|word| word.count_ones() as usize).sum()
    }

    /// Whether no row is left.
    pub fn is_empty(&self) -> bool {
        self.words.iter().all(|word| *word == 0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rows(selection: Selection<'_>, length: usize) -> Vec<u32> {
        let mut rows = Vec::new();
        selection.indices(length, &mut rows);
        assert_eq!(rows.len(), selection.count(length));
        assert!((0..length).all(|row| selection.contains(row) == rows.contains(&(row as u32))));
        rows
    }

    #[test]
    fn selections_combine() {
        assert_eq!(rows(Selection::All, 3), [0, 1, 2]);
        assert_eq!(rows(Selection::Mask(&[0b1010, 1]), 65), [1, 3, 64]);
        let mut buffer = SelectionBuffer::default();
        buffer.reset(Selection::Rows(&[1, 3, 66]), 70);
        buffer.or(Selection::Rows(&[2]));
        buffer.and_not(Selection::Mask(&[2]));
        assert_eq!(rows(buffer.view(), 70), [2, 3, 66]);
        buffer.and(Selection::Rows(&[3, 4, 66]));
        assert_eq!((rows(buffer.view(), 70), buffer.count()), (vec![3, 66], 2));
    }
}
