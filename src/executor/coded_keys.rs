//! A short way from key columns to group numbers, where the keys are few: each column gives a small code, a text by its
//! number among those seen, an integer by its distance from the start of a window that widens as values come, NULL as 0.
//! The codes of a row side by side are a place in an array of group numbers. The hash table stays the truth: a place that
//! is empty is looked up there and filled, so that the array may be cleared whenever a window moves.

use super::text_keys::{TextKeys, TextScratch, add_texts};
use crate::types::{DataType, PhysicalType};
use crate::vector::{Native, NativeReader, Selection, ValueVector};

/// Bits of all codes of a row together.
const BITS: u32 = 16;
/// Bits of the code of a text: texts are kept here once more.
const TEXT_BITS: u32 = 12;
/// Columns from which on codes would leave too few bits to each.
const COLUMNS: usize = 8;
/// Rows that may be looked up in vain, more than were found, until the array is given up.
const PATIENCE: usize = 64 << 10;
/// How much more a row costs patience in a batch that does not fit at all.
const MISFIT: usize = 8;
/// No group yet.
const NONE: u32 = u32::MAX;

/// The array, and how its places are found.
pub struct CodedKeys {
    columns: Vec<Column>,
    by_code: Vec<u32>,
    /// By row of the last batch.
    places: Vec<u32>,
    misses: Vec<u64>,
    scratch: TextScratch,
    patience: usize,
}

/// One key column and where its code lies in a place.
struct Column {
    coder: Coder,
    bits: u32,
    shift: u32,
}

enum Coder {
    /// Codes are distances from `base`, plus one; `seen` are the least and the greatest value.
    Integers { physical: PhysicalType, base: i64, seen: Option<(i64, i64)> },
    /// Codes are numbers of texts, plus one.
    Texts(Box<TextKeys>),
}

/// The selected rows of a batch.
type Rows<'b> = (usize, Selection<'b>);

impl CodedKeys {
    /// For keys of these types, if they have codes. One column of texts has a table of its own.
    pub fn new(types: &[DataType]) -> Option<CodedKeys> {
        let coder = |data_type: &DataType| match data_type.physical() {
            PhysicalType::Str if types.len() > 1 => {
                Some(Coder::Texts(Box::new(TextKeys::new(data_type.clone()))))
            }
            physical if is_integer(physical) => Some(Coder::Integers { physical, base: 0, seen: None }),
            _ => None,
        };
        if types.is_empty() || types.len() > COLUMNS {
            return None;
        }
        let coders: Option<Vec<Coder>> = types.iter().map(coder).collect();
        let mut coded = CodedKeys {
            columns: coders?.into_iter().map(|coder| Column { coder, bits: 1, shift: 0 }).collect(),
            by_code: Vec::new(),
            places: Vec::new(),
            misses: Vec::new(),
            scratch: TextScratch::default(),
            patience: PATIENCE,
        };
        coded.lay_out();
        Some(coded)
    }

    /// The memory of the array and the texts.
    pub fn bytes(&self) -> u64 {
        let texts = |column: &Column| match &column.coder {
            Coder::Texts(texts) => texts.bytes(),
            Coder::Integers { .. } => 0,
        };
        self.by_code.capacity() as u64 * 4 + self.columns.iter().map(texts).sum::<u64>()
    }

    /// Whether so many rows were looked up in vain that it is not worth while any more.
    pub fn is_hopeless(&self) -> bool {
        self.patience == 0
    }

    /// Writes the group of each selected row to its place in `by_row`, and gives the rows whose group is not known yet,
    /// if there are any. None where the keys do not fit.
    pub fn groups(
        &mut self,
        keys: &[ValueVector<'_>],
        rows: Rows<'_>,
        by_row: &mut [u32],
    ) -> Option<Option<Selection<'_>>> {
        let (length, selection) = rows;
        if !self.find_places(keys, rows) {
            self.patience = self.patience.saturating_sub(MISFIT * length);
            return None;
        }
        let CodedKeys { by_code, places, misses, .. } = self;
        let mut unknown = 0;
        if selection.is_all() {
            for (group, place) in by_row.iter_mut().zip(&*places) {
                *group = by_code[*place as usize];
                unknown += usize::from(*group == NONE);
            }
        } else {
            selection.for_each(length, |row| {
                by_row[row] = by_code[places[row] as usize];
                unknown += usize::from(by_row[row] == NONE);
            });
        }
        let known = selection.count(length) - unknown;
        self.patience = (self.patience + known).min(PATIENCE).saturating_sub(unknown);
        if unknown == 0 {
            return Some(None);
        }
        misses.clear();
        misses.resize(length.div_ceil(64), 0);
        selection.for_each(length, |row| misses[row / 64] |= u64::from(by_row[row] == NONE) << (row % 64));
        Some(Some(Selection::Mask(misses)))
    }

    /// Takes over the groups of the rows that were not known, in order.
    pub fn learn(&mut self, groups: &[u32], by_row: &mut [u32]) {
        let mut groups = groups.iter();
        Selection::Mask(&self.misses).for_each(by_row.len(), |row| {
            by_row[row] = groups.next().copied().unwrap_or(0);
            self.by_code[self.places[row] as usize] = by_row[row];
        });
    }

    /// Finds the place of each row; widens columns that do not fit.
    fn find_places(&mut self, keys: &[ValueVector<'_>], rows: Rows<'_>) -> bool {
        // Each column is widened once at most.
        for _ in 0..=self.columns.len() {
            let CodedKeys { columns, places, scratch, .. } = self;
            places.clear();
            places.resize(rows.0, 0);
            let too_narrow = columns.iter_mut().zip(keys).position(|(column, key)| {
                let Column { coder, bits, shift } = column;
                !match coder {
                    Coder::Integers { physical, base, .. } => {
                        add_integers(key, *physical, rows, (*base, *bits, *shift), places)
                    }
                    Coder::Texts(texts) => {
                        add_texts(texts, key, rows, *shift, places, scratch);
                        texts.texts().len() < 1 << *bits
                    }
                }
            });
            match too_narrow {
                None => return true,
                Some(column) if self.widen(column, &keys[column], rows) => {}
                Some(_) => return false,
            }
        }
        false
    }

    /// Makes room for a column's values. False if there are not enough bits.
    fn widen(&mut self, at: usize, key: &ValueVector<'_>, rows: Rows<'_>) -> bool {
        let others: u32 = self.columns.iter().map(|column| column.bits).sum::<u32>() - self.columns[at].bits;
        let Column { coder, bits, .. } = &mut self.columns[at];
        let codes = match coder {
            Coder::Texts(texts) => texts.texts().len() as u64 + 1,
            Coder::Integers { physical, seen, .. } => {
                let Some((low, high)) = range(key, *physical, rows) else { return false };
                let (low, high) = seen.map_or((low, high), |seen| (seen.0.min(low), seen.1.max(high)));
                (high.wrapping_sub(low) as u64).saturating_add(2)
            }
        };
        let needed = codes.checked_next_power_of_two().map_or(64, u64::trailing_zeros);
        let is_text = matches!(coder, Coder::Texts(_));
        if others + needed > BITS || is_text && needed > TEXT_BITS {
            if is_text {
                // Texts only get more.
                self.patience = 0;
            }
            return false;
        }
        *bits = needed;
        if let Coder::Integers { physical, base, seen } = coder
            && let Some((low, high)) = range(key, *physical, rows)
        {
            let (low, high) = seen.map_or((low, high), |seen| (seen.0.min(low), seen.1.max(high)));
            let unused = (1u64 << needed) - codes;
            *base = low.wrapping_sub((unused / 2) as i64);
            *seen = Some((low, high));
        }
        self.lay_out();
        true
    }

    /// Puts the columns' codes side by side and forgets all groups.
    fn lay_out(&mut self) {
        let mut shift = 0;
        for column in &mut self.columns {
            column.shift = shift;
            shift += column.bits;
        }
        self.by_code.clear();
        self.by_code.resize(1 << shift, NONE);
    }
}

fn is_integer(physical: PhysicalType) -> bool {
    use PhysicalType::{Bool, I8, I16, I32, I64, U8, U16, U32, U64};
    matches!(physical, Bool | I8 | I16 | I32 | I64 | U8 | U16 | U32 | U64)
}

/// Calls a function with a column's native type and the way from it to an integer.
macro_rules! with_integers {
    ($physical:expr, $function:ident($($argument:expr),*), $other:expr) => {
        match $physical {
            PhysicalType::I8 => $function::<i8>($($argument),*, i64::from),
            PhysicalType::I16 => $function::<i16>($($argument),*, i64::from),
            PhysicalType::I32 => $function::<i32>($($argument),*, i64::from),
            PhysicalType::I64 => $function::<i64>($($argument),*, |value| value),
            PhysicalType::U8 => $function::<u8>($($argument),*, i64::from),
            PhysicalType::U16 => $function::<u16>($($argument),*, i64::from),
            PhysicalType::U32 => $function::<u32>($($argument),*, i64::from),
            // Distances are the same if the greatest values become the least.
            PhysicalType::U64 => $function::<u64>($($argument),*, |value| value as i64),
            _ => $other,
        }
    };
}

/// Adds the codes of a column to the rows' places. False if a value lies outside of the window.
fn add_integers(
    key: &ValueVector<'_>,
    physical: PhysicalType,
    rows: Rows<'_>,
    window: (i64, u32, u32),
    places: &mut [u32],
) -> bool {
    if physical == PhysicalType::Bool {
        let (base, bits, shift) = window;
        let mut fits = true;
        rows.1.for_each(rows.0, |row| {
            if let Some(value) = key.bool_at(row) {
                let distance = i64::from(value).wrapping_sub(base) as u64;
                fits &= distance < (1 << bits) - 1;
                places[row] |= (distance as u32).wrapping_add(1) << shift;
            }
        });
        return fits;
    }
    with_integers!(physical, add_native(key, rows, window, places), false)
}

fn add_native<T: Native>(
    key: &ValueVector<'_>,
    (length, selection): Rows<'_>,
    (base, bits, shift): (i64, u32, u32),
    places: &mut [u32],
    integer: impl Fn(T) -> i64,
) -> bool {
    // A vector without values: every row is NULL.
    let Some(reader) = key.native_reader::<T>() else { return key.is_all_null() };
    let mut greatest = 0;
    let mut add = |place: &mut u32, value: T| {
        let distance = integer(value).wrapping_sub(base) as u64;
        greatest = distance.max(greatest);
        *place |= (distance as u32).wrapping_add(1) << shift;
    };
    let no_nulls = key.has_no_nulls();
    match (reader, selection) {
        (NativeReader::Flat(values), Selection::All) if no_nulls => {
            places.iter_mut().zip(&values[..length]).for_each(|(place, value)| add(place, *value));
        }
        (NativeReader::Codes(codes, values), Selection::All) if no_nulls => {
            let codes = &codes[..length];
            places.iter_mut().zip(codes).for_each(|(place, code)| add(place, values[*code as usize]));
        }
        _ => selection.for_each(length, |row| {
            if no_nulls || !key.is_null(row) {
                add(&mut places[row], reader.get(row));
            }
        }),
    }
    greatest < (1 << bits) - 1
}

/// The least and the greatest value of the selected rows.
fn range(key: &ValueVector<'_>, physical: PhysicalType, rows: Rows<'_>) -> Option<(i64, i64)> {
    if physical == PhysicalType::Bool {
        return Some((0, 1));
    }
    with_integers!(physical, native_range(key, rows), None)
}

fn native_range<T: Native>(
    key: &ValueVector<'_>,
    (length, selection): Rows<'_>,
    integer: impl Fn(T) -> i64,
) -> Option<(i64, i64)> {
    let reader = key.native_reader::<T>()?;
    let mut range: Option<(i64, i64)> = None;
    selection.for_each(length, |row| {
        if !key.is_null(row) {
            let value = integer(reader.get(row));
            let (low, high) = range.unwrap_or((value, value));
            range = Some((low.min(value), high.max(value)));
        }
    });
    range
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::executor::group_index::{GroupIndex, How};
    use crate::executor::key_table::{KeyScratch, KeyTable};
    use crate::planner::physical_plan::KeyKind;
    use crate::types::Value;
    use crate::vector::VectorBuffer;

    fn column(data_type: DataType, values: impl Iterator<Item = Value>) -> VectorBuffer {
        let mut buffer = VectorBuffer::new(data_type);
        values.for_each(|value| buffer.push_value(&value).expect("the value has the column's type"));
        buffer
    }

    type Row = (Option<i64>, Option<u8>, Option<bool>);

    fn row() -> impl Strategy<Value = Row> {
        let number = prop_oneof![
            20 => (-40i64..40).prop_map(Some),
            1 => (-9000i64..9000).prop_map(Some),
            1 => prop_oneof![Just(i64::MIN), Just(i64::MAX)].prop_map(Some),
            2 => Just(None),
        ];
        (number, proptest::option::of(0..9u8), proptest::option::of(any::<bool>()))
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(96))]

        /// Whatever fits or not, groups are those of the hash table.
        #[test]
        fn groups_are_those_of_the_hash_table(
            batches in prop::collection::vec((prop::collection::vec(row(), 1..80), any::<u64>(), 0..3u8), 1..12),
        ) {
            let types = vec![DataType::Int64, DataType::String, DataType::Bool];
            let mut index = GroupIndex::new(&KeyKind::Hash, types.clone());
            index.use_codes(&types);
            let mut table = KeyTable::new(types);
            let (mut by_row, mut new_rows) = (Vec::new(), Vec::new());
            for (rows, mask, shape) in &batches {
                let numbers = column(
                    DataType::Int64,
                    rows.iter().map(|row| row.0.map_or(Value::Null, Value::Int64)),
                );
                let text = |number: u8| Value::String(format!("a text that may be long {number}")[..15 + number as usize].into());
                let texts = column(DataType::String, rows.iter().map(|row| row.1.map_or(Value::Null, text)));
                let truths =
                    column(DataType::Bool, rows.iter().map(|row| row.2.map_or(Value::Null, Value::Bool)));
                let entries = column(DataType::String, (0..9).map(text).chain([Value::Null]));
                let codes: Vec<u32> = rows.iter().map(|row| row.1.map_or(9, u32::from)).collect();
                let texts = match shape {
                    0 => texts.vector(),
                    _ => ValueVector::dictionary(&codes, &entries),
                };
                let keys = [numbers.vector(), texts, truths.vector()];
                let words = [*mask, *mask];
                let selection = if mask % 3 == 0 { Selection::All } else { Selection::Mask(&words) };
                index.groups(&keys, rows.len(), selection, &mut by_row, &mut new_rows);
                let (mut expected, mut expected_new) = (Vec::new(), Vec::new());
                let mut scratch = KeyScratch::default();
                table.groups(&keys, rows.len(), selection, &mut scratch, &mut expected, &mut expected_new);
                let mut found = Vec::new();
                selection.for_each(rows.len(), |row| found.push(by_row[row]));
                prop_assert_eq!(found, expected);
                prop_assert_eq!(&new_rows, &expected_new);
            }
        }
    }

    /// Batches of (column, column) pairs and how they are grouped.
    fn check(batches: &[(&[i64], How)]) {
        let types = vec![DataType::Int64, DataType::String];
        let mut index = GroupIndex::new(&KeyKind::Hash, types.clone());
        index.use_codes(&types);
        let (mut by_row, mut new_rows) = (Vec::new(), Vec::new());
        for (numbers, how) in batches {
            let numbers = column(DataType::Int64, numbers.iter().map(|number| Value::Int64(*number)));
            let texts = column(DataType::String, (0..numbers.len()).map(|_| Value::String("same".into())));
            let keys = [numbers.vector(), texts.vector()];
            let found = index.groups(&keys, numbers.len(), Selection::All, &mut by_row, &mut new_rows);
            assert_eq!(found, *how, "{:?}", by_row);
        }
    }

    #[test]
    fn a_window_widens_both_ways_and_lets_outliers_pass() {
        check(&[
            (&[5, 6, 7], How::Hash),
            (&[7, 6, 5, 7], How::Codes),
            (&[-3, 90, 5], How::Hash),
            (&[5, -3, 6, 90], How::Codes),
            (&[5, 1 << 40], How::Hash),
            (&[90, 5], How::Codes),
            (&[], How::Hash),
        ]);
    }

    #[test]
    fn what_never_fits_is_given_up() {
        let mut coded = CodedKeys::new(&[DataType::Int64, DataType::Int64]).expect("integers have codes");
        let far: Vec<i64> = (0..2048).map(|number| number << 20).collect();
        let far = ValueVector::flat(crate::vector::Values::I64(&far));
        let mut by_row = vec![0; 2048];
        for at in 0..4 {
            assert!(!coded.is_hopeless(), "after {at} batches");
            assert!(coded.groups(&[far, far], (2048, Selection::All), &mut by_row).is_none());
        }
        assert!(coded.is_hopeless());
        assert!(CodedKeys::new(&[DataType::String]).is_none());
        assert!(CodedKeys::new(&[DataType::Double, DataType::Int64]).is_none());
    }
}
