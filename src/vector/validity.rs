//! Which rows of a vector hold a value.

/// Null information of a vector, always per row of that vector.
#[derive(Debug, Clone, Copy)]
pub enum Validity<'b> {
    /// No row is null.
    AllValid,
    /// Every row is null.
    AllNull,
    /// Row `i` holds a value if bit `i % 64` of word `i / 64` is set; rows beyond the words are null.
    Mask(&'b [u64]),
    /// A mask whose row 0 is bit `bit` (below 64): what slicing makes.
    Shifted { words: &'b [u64], bit: u32 },
}

/// A word whose lowest `count` bits are set; all of them from 64 on.
#[inline]
pub fn ones_below(count: usize) -> u64 {
    if count >= 64 { u64::MAX } else { (1 << count) - 1 }
}

impl<'b> Validity<'b> {
    /// Whether row `row` holds a value.
    #[inline]
    pub fn is_valid(&self, row: usize) -> bool {
        match self {
            Validity::AllValid => true,
            Validity::AllNull => false,
            Validity::Mask(words) => words.get(row / 64).is_some_and(|word| word >> (row % 64) & 1 == 1),
            Validity::Shifted { words, bit } => {
                let row = row + *bit as usize;
                words.get(row / 64).is_some_and(|word| word >> (row % 64) & 1 == 1)
            }
        }
    }

    /// Whether no row can be null.
    #[inline]
    pub fn is_all_valid(&self) -> bool {
        matches!(self, Validity::AllValid)
    }

    /// The bits of rows `64 * index` and following.
    #[inline]
    pub fn word(&self, index: usize) -> u64 {
        match self {
            Validity::AllValid => u64::MAX,
            Validity::AllNull => 0,
            Validity::Mask(words) => words.get(index).copied().unwrap_or(0),
            Validity::Shifted { words, bit } => {
                let low = words.get(index).copied().unwrap_or(0) >> bit;
                let high =
                    if *bit == 0 { 0 } else { words.get(index + 1).copied().unwrap_or(0) << (64 - bit) };
                low | high
            }
        }
    }

    /// The rows from `start` on.
    pub fn slice(&self, start: usize) -> Validity<'b> {
        let (words, bit) = match self {
            Validity::AllValid | Validity::AllNull => return *self,
            Validity::Mask(words) => (*words, 0),
            Validity::Shifted { words, bit } => (*words, *bit as usize),
        };
        let position = start + bit;
        let words = words.get(position / 64..).unwrap_or(&[]);
        match position % 64 {
            0 => Validity::Mask(words),
            bit => Validity::Shifted { words, bit: bit as u32 },
        }
    }

    /// Number of valid rows among the first `length`.
    pub fn count_valid(&self, length: usize) -> usize {
        match self {
            Validity::AllValid => length,
            Validity::AllNull => 0,
            _ => (0..length.div_ceil(64))
                .map(|index| (self.word(index) & ones_below(length - index * 64)).count_ones() as usize)
                .sum(),
        }
    }
}

/// Null information that grows. It owns words only from the first null on.
#[derive(Debug, Clone, Default)]
pub struct ValidityBuffer {
    words: Vec<u64>,
    length: usize,
    nulls: usize,
}

impl ValidityBuffer {
    /// Rows so far.
    #[inline]
    pub fn len(&self) -> usize {
        self.length
    }

    /// Whether there are no rows.
    pub fn is_empty(&self) -> bool {
        self.length == 0
    }

    /// Null rows so far.
    pub fn null_count(&self) -> usize {
        self.nulls
    }

    /// Forgets the rows, keeps the memory.
    pub fn clear(&mut self) {
        self.words.clear();
        self.length = 0;
        self.nulls = 0;
    }

    /// Bytes held.
    pub fn bytes(&self) -> usize {
        self.words.capacity() * 8
    }

    /// Drops the rows from `length` on.
    pub fn truncate(&mut self, length: usize) {
        if length >= self.length {
            return;
        }
        self.nulls -= (length..self.length).filter(|row| !self.view().is_valid(*row)).count();
        self.length = length;
        if !self.words.is_empty() {
            self.words.truncate(length.div_ceil(64));
            self.mask_tail();
        }
    }

    fn mask_tail(&mut self) {
        let used = self.length % 64;
        if let (Some(last), true) = (self.words.last_mut(), used != 0) {
            *last &= ones_below(used);
        }
    }

    /// Makes words for the rows so far; from then on every push keeps them current.
    fn materialize(&mut self) {
        if self.words.is_empty() && self.length > 0 {
            self.words.resize(self.length.div_ceil(64), u64::MAX);
            self.mask_tail();
        }
    }

    /// Appends `count` valid rows.
    #[inline]
    pub fn push_valid(&mut self, count: usize) {
        if self.nulls > 0 {
            self.set_range(count);
        }
        self.length += count;
    }

    fn set_range(&mut self, count: usize) {
        let end = self.length + count;
        self.words.resize(end.div_ceil(64), 0);
        let mut row = self.length;
        while row < end {
            let step = (64 - row % 64).min(end - row);
            self.words[row / 64] |= ones_below(step) << (row % 64);
            row += step;
        }
    }

    /// Appends `count` null rows.
    pub fn push_null(&mut self, count: usize) {
        if count == 0 {
            return;
        }
        self.materialize();
        self.length += count;
        self.nulls += count;
        self.words.resize(self.length.div_ceil(64), 0);
    }

    /// Appends one row.
    #[inline]
    pub fn push(&mut self, valid: bool) {
        if valid { self.push_valid(1) } else { self.push_null(1) }
    }

    /// Appends the first `length` rows of another vector's validity.
    pub fn extend(&mut self, validity: Validity<'_>, length: usize) {
        match validity {
            Validity::AllValid => self.push_valid(length),
            Validity::AllNull => self.push_null(length),
            _ => {
                for index in 0..length.div_ceil(64) {
                    let count = (length - index * 64).min(64);
                    self.push_word(validity.word(index), count);
                }
            }
        }
    }

    /// Appends the lowest `count` (at most 64) bits of a word.
    pub fn push_word(&mut self, word: u64, count: usize) {
        let word = word & ones_below(count);
        if word == ones_below(count) {
            return self.push_valid(count);
        }
        self.materialize();
        let shift = self.length % 64;
        let index = self.length / 64;
        self.length += count;
        self.nulls += count - word.count_ones() as usize;
        self.words.resize(self.length.div_ceil(64), 0);
        self.words[index] |= word << shift;
        if shift > 0 && shift + count > 64 {
            self.words[index + 1] |= word >> (64 - shift);
        }
    }

    /// Turns a row into null.
    pub fn set_null(&mut self, row: usize) {
        if row >= self.length {
            return;
        }
        self.materialize();
        let bit = 1 << (row % 64);
        if self.words[row / 64] & bit != 0 {
            self.words[row / 64] &= !bit;
            self.nulls += 1;
        }
    }

    /// The rows as a borrowed validity.
    #[inline]
    pub fn view(&self) -> Validity<'_> {
        if self.nulls == 0 {
            Validity::AllValid
        } else if self.nulls == self.length {
            Validity::AllNull
        } else {
            Validity::Mask(&self.words)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_buffer_and_its_slices_say_what_was_pushed() {
        let rows: Vec<bool> = (0..300).map(|row| row < 70 || row % 3 != 0).collect();
        let mut buffer = ValidityBuffer::default();
        rows.iter().for_each(|valid| buffer.push(*valid));
        for start in [0, 1, 63, 64, 130, 299] {
            let slice = buffer.view().slice(start);
            let mut again = ValidityBuffer::default();
            again.push_valid(5);
            again.extend(slice, rows.len() - start);
            for (row, valid) in rows[start..].iter().enumerate() {
                assert_eq!(slice.is_valid(row), *valid, "{start} {row}");
                assert_eq!(slice.word(row / 64) >> (row % 64) & 1 == 1, *valid);
                assert_eq!(again.view().is_valid(row + 5), *valid);
            }
            let expected = rows[start..].iter().filter(|valid| **valid).count();
            assert_eq!(slice.count_valid(rows.len() - start), expected);
            assert_eq!(again.null_count(), rows.len() - start - expected);
        }
    }

    #[test]
    fn rows_become_null_and_go() {
        let mut buffer = ValidityBuffer::default();
        buffer.push_valid(130);
        buffer.set_null(128);
        assert!(!buffer.view().is_valid(128) && buffer.view().is_valid(129));
        buffer.truncate(128);
        assert!(buffer.view().is_all_valid());
        buffer.push_null(1);
        buffer.push_valid(2);
        assert!(buffer.view().is_valid(127) && !buffer.view().is_valid(128) && buffer.view().is_valid(130));
    }
}
