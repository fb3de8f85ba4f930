//! Integers that were seen, as bits of a window: for columns whose values lie close together, as lengths, years and codes
//! do. Where the window lies follows from the first rows.

use crate::types::{DataType, PhysicalType};
use crate::vector::{Native, NativeReader, Selection, ValueVector};

/// Values that a window covers.
const WINDOW: u64 = 1 << 16;

/// A window and its bits.
pub struct IntegerBits {
    physical: PhysicalType,
    /// The least value of the window; none before the first row.
    first: Option<i64>,
    words: Vec<u64>,
    others: Vec<u16>,
}

impl IntegerBits {
    /// For one column of integers of at most 64 bits; none for other types.
    pub fn new(types: &[DataType]) -> Option<IntegerBits> {
        let [only] = types else { return None };
        let physical = only.physical();
        let fits = matches!(
            physical,
            PhysicalType::I8
                | PhysicalType::I16
                | PhysicalType::I32
                | PhysicalType::I64
                | PhysicalType::U8
                | PhysicalType::U16
                | PhysicalType::U32
        );
        fits.then(|| IntegerBits { physical, first: None, words: Vec::new(), others: Vec::new() })
    }

    /// The memory of the bits.
    pub fn bytes(&self) -> u64 {
        self.words.capacity() as u64 * 8
    }

    /// The rows of the last `add` whose values lie beyond the window.
    pub fn others(&self) -> &[u16] {
        &self.others
    }

    /// Appends to `new_rows` the first row of each value that was not seen before. NULL is no value.
    pub fn add(
        &mut self,
        values: &ValueVector<'_>,
        length: usize,
        selection: Selection<'_>,
        new_rows: &mut Vec<u32>,
    ) {
        self.others.clear();
        match self.physical {
            PhysicalType::I8 => self.add_of::<i8>(values, length, selection, new_rows),
            PhysicalType::I16 => self.add_of::<i16>(values, length, selection, new_rows),
            PhysicalType::I32 => self.add_of::<i32>(values, length, selection, new_rows),
            PhysicalType::U8 => self.add_of::<u8>(values, length, selection, new_rows),
            PhysicalType::U16 => self.add_of::<u16>(values, length, selection, new_rows),
            PhysicalType::U32 => self.add_of::<u32>(values, length, selection, new_rows),
            _ => self.add_of::<i64>(values, length, selection, new_rows),
        }
    }

    fn add_of<T: Native + Into<i64>>(
        &mut self,
        values: &ValueVector<'_>,
        length: usize,
        selection: Selection<'_>,
        new_rows: &mut Vec<u32>,
    ) {
        let Some(reader) = values.native_reader::<T>() else { return };
        let no_nulls = values.has_no_nulls();
        let first = match self.first {
            Some(first) => first,
            None => {
                let mut least: Option<i64> = None;
                selection.for_each(length, |row| {
                    if no_nulls || !values.is_null(row) {
                        let value: i64 = reader.get(row).into();
                        least = Some(least.map_or(value, |least| least.min(value)));
                    }
                });
                let Some(least) = least else { return };
                self.words.resize((WINDOW / 64) as usize, 0);
                // What comes later may be a little less.
                *self.first.insert(least.saturating_sub((WINDOW / 4) as i64))
            }
        };
        let IntegerBits { words, others, .. } = self;
        let mut see = |row: usize, value: i64| {
            let place = value.wrapping_sub(first) as u64;
            match words.get_mut((place / 64) as usize) {
                Some(word) if *word >> (place % 64) & 1 == 0 => {
                    *word |= 1 << (place % 64);
                    new_rows.push(row as u32);
                }
                Some(_) => {}
                None => others.push(row as u16),
            }
        };
        match reader {
            NativeReader::Flat(values) if no_nulls && selection.is_all() => {
                values[..length].iter().enumerate().for_each(|(row, value)| see(row, (*value).into()));
            }
            reader => selection.for_each(length, |row| {
                if no_nulls || !values.is_null(row) {
                    see(row, reader.get(row).into());
                }
            }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::types::Value;
    use crate::vector::VectorBuffer;

    fn check(bits: &mut IntegerBits, values: &[Option<i64>], new: &[u32], others: &[u16]) {
        let mut column = VectorBuffer::new(DataType::Int64);
        for value in values {
            column.push_value(&value.map_or(Value::Null, Value::Int64)).expect("an integer or NULL");
        }
        let mut rows = Vec::new();
        bits.add(&column.vector(), values.len(), Selection::All, &mut rows);
        assert_eq!((&rows[..], bits.others()), (new, others));
    }

    #[test]
    fn values_of_the_window_are_seen_once_and_others_are_named() {
        assert!(IntegerBits::new(&[DataType::Double]).is_none());
        let mut bits = IntegerBits::new(&[DataType::Int64]).expect("integers");
        check(&mut bits, &[None], &[], &[]);
        check(&mut bits, &[Some(7), Some(9), None, Some(7), Some(1 << 40)], &[0, 1], &[4]);
        check(&mut bits, &[Some(-100), Some(9), Some(i64::MIN), Some(i64::MAX), Some(8)], &[0, 4], &[2, 3]);
        let mut least = IntegerBits::new(&[DataType::Int64]).expect("integers");
        check(&mut least, &[Some(i64::MIN), Some(i64::MIN), Some(i64::MAX)], &[0], &[2]);
    }
}
