//! Pushed predicates in the terms of storage: ranges of keys for values of fixed width, ranges of bytes for strings.
//! The same test looks at zone maps, at dictionaries, at packed values and at plain ones.

use super::bytes::Damaged;
use super::encoding::bit_packing::{BLOCK_VALUES, block_start, compare_block};
use super::fixed::FixedValue;
use super::statistics::{Bound, ChunkStatistics};
use crate::types::{ColumnPredicate, DataType, PhysicalType, PredicateOp, Value};
use crate::vector::simd::or_mask;

/// What a column's values are tested for.
#[derive(Debug, Clone, PartialEq)]
pub enum ColumnTest {
    /// The value is null (true) or is not (false).
    Null(bool),
    /// The value's key lies in one of these inclusive ranges, which are sorted and apart.
    Keys(Vec<(i128, i128)>),
    /// The string lies in one of these ranges.
    Text(Vec<TextRange>),
}

/// Strings from `low` on, up to `high`; an end that is missing is open.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TextRange {
    pub low: Vec<u8>,
    pub low_included: bool,
    pub high: Option<Vec<u8>>,
    pub high_included: bool,
}

impl TextRange {
    fn between(low: &[u8], high: Option<&[u8]>) -> TextRange {
        TextRange {
            low: low.to_vec(),
            low_included: true,
            high: high.map(<[u8]>::to_vec),
            high_included: true,
        }
    }

    /// The one string that the range holds, if it was made for one.
    pub fn single(&self) -> Option<&[u8]> {
        let closed = self.low_included && self.high_included;
        (closed && self.high.as_ref() == Some(&self.low)).then_some(self.low.as_slice())
    }

    fn contains(&self, text: &[u8]) -> bool {
        let above = if self.low_included { text >= self.low.as_slice() } else { text > self.low.as_slice() };
        above
            && self.high.as_ref().is_none_or(|high| {
                if self.high_included { text <= high.as_slice() } else { text < high.as_slice() }
            })
    }
}

/// The bytes that follow all strings with this prefix; none when nothing does.
fn after_prefix(prefix: &[u8]) -> Option<Vec<u8>> {
    let kept = prefix.iter().rposition(|byte| *byte != u8::MAX)?;
    let mut next = prefix[..=kept].to_vec();
    next[kept] += 1;
    Some(next)
}

impl ColumnTest {
    /// The test for a predicate on a column of `data_type`; none where storage has no order for the type (see
    /// `has_column_tests`) or the constant is of another type.
    pub fn new(predicate: &ColumnPredicate, data_type: &DataType) -> Option<ColumnTest> {
        match predicate.op {
            PredicateOp::IsNull => return Some(ColumnTest::Null(true)),
            PredicateOp::IsNotNull => return Some(ColumnTest::Null(false)),
            _ => {}
        }
        match data_type.physical() {
            PhysicalType::Str => Self::text(predicate, data_type),
            PhysicalType::F32 | PhysicalType::F64 => Self::float(predicate, data_type),
            _ => Self::integer(predicate, data_type),
        }
    }

    fn integer(predicate: &ColumnPredicate, data_type: &DataType) -> Option<ColumnTest> {
        let mut keys = Vec::new();
        for value in predicate.values.iter().filter(|value| !value.is_null()) {
            keys.push(integer_key(value, data_type)?);
        }
        if keys.len() < predicate.values.len() && predicate.op != PredicateOp::In {
            // Comparing with null is never true.
            return Some(ColumnTest::Keys(Vec::new()));
        }
        Some(ColumnTest::Keys(key_ranges(predicate.op, &keys, i128::MIN, i128::MAX)?))
    }

    fn float(predicate: &ColumnPredicate, data_type: &DataType) -> Option<ColumnTest> {
        let mut ranges = Vec::new();
        let values = predicate.values.iter().filter(|value| !value.is_null());
        let numbers: Vec<f64> = values.map(Value::as_f64).collect::<Option<_>>()?;
        if numbers.len() < predicate.values.len() && predicate.op != PredicateOp::In {
            return Some(ColumnTest::Keys(Vec::new()));
        }
        let single = data_type.physical() == PhysicalType::F32;
        let exact = |number: f64| !single || number.is_nan() || f64::from(number as f32) == number;
        if !numbers.iter().copied().all(exact) {
            return None;
        }
        let key = |number: f64| if single { (number as f32).key() } else { number.key() };
        let (lowest, highest) = (key(f64::NEG_INFINITY), key(f64::INFINITY));
        // Both zeros are one number.
        let low_key = |number: f64| key(if number == 0.0 { -0.0 } else { number });
        let high_key = |number: f64| key(if number == 0.0 { 0.0 } else { number });
        let first = numbers.first().copied();
        match (predicate.op, first) {
            (PredicateOp::In | PredicateOp::Eq, _) => {
                let real = numbers.iter().filter(|number| !number.is_nan());
                ranges.extend(real.map(|number| (low_key(*number), high_key(*number))));
            }
            (PredicateOp::Ne, Some(number)) if number.is_nan() => ranges.push((i128::MIN, i128::MAX)),
            (PredicateOp::Ne, Some(number)) => {
                ranges.push((i128::MIN, low_key(number) - 1));
                ranges.push((high_key(number) + 1, i128::MAX));
            }
            (_, Some(number)) if number.is_nan() => {}
            (PredicateOp::Lt, Some(number)) => ranges.push((lowest, low_key(number) - 1)),
            (PredicateOp::Le, Some(number)) => ranges.push((lowest, high_key(number))),
            (PredicateOp::Gt, Some(number)) => ranges.push((high_key(number) + 1, highest)),
            (PredicateOp::Ge, Some(number)) => ranges.push((low_key(number), highest)),
            (PredicateOp::Between, Some(low)) => {
                let high = *numbers.get(1)?;
                if !high.is_nan() {
                    ranges.push((low_key(low), high_key(high)));
                }
            }
            _ => return None,
        }
        Some(ColumnTest::Keys(tidy(ranges)))
    }

    fn text(predicate: &ColumnPredicate, data_type: &DataType) -> Option<ColumnTest> {
        let values = predicate.values.iter().filter(|value| !value.is_null());
        let texts: Vec<&[u8]> = values.map(|value| text_of(value, data_type)).collect::<Option<_>>()?;
        if texts.len() < predicate.values.len() && predicate.op != PredicateOp::In {
            return Some(ColumnTest::Text(Vec::new()));
        }
        let first = texts.first().copied();
        let all = TextRange::between(b"", None);
        let ranges = match (predicate.op, first) {
            (PredicateOp::In | PredicateOp::Eq, _) => {
                texts.iter().map(|text| TextRange::between(text, Some(text))).collect()
            }
            (PredicateOp::Ne, Some(text)) => vec![
                TextRange { high: Some(text.to_vec()), high_included: false, ..all.clone() },
                TextRange { low: text.to_vec(), low_included: false, ..all },
            ],
            (PredicateOp::Lt, Some(text)) => {
                vec![TextRange { high: Some(text.to_vec()), high_included: false, ..all }]
            }
            (PredicateOp::Le, Some(text)) => vec![TextRange { high: Some(text.to_vec()), ..all }],
            (PredicateOp::Gt, Some(text)) => {
                vec![TextRange { low: text.to_vec(), low_included: false, ..all }]
            }
            (PredicateOp::Ge, Some(text)) => vec![TextRange { low: text.to_vec(), ..all }],
            (PredicateOp::Between, Some(low)) => vec![TextRange::between(low, Some(texts.get(1)?))],
            (PredicateOp::StartsWith, Some(prefix)) => {
                vec![TextRange {
                    low: prefix.to_vec(),
                    high: after_prefix(prefix),
                    high_included: false,
                    ..all
                }]
            }
            _ => return None,
        };
        Some(ColumnTest::Text(ranges))
    }

    /// Whether a row of a chunk with these statistics can pass.
    pub fn can_pass(&self, statistics: &ChunkStatistics, rows: u32) -> bool {
        match self {
            ColumnTest::Null(true) => statistics.null_count > 0,
            _ if statistics.null_count >= rows => false,
            ColumnTest::Null(false) => true,
            ColumnTest::Keys(ranges) => match &statistics.range {
                Some((Bound::Integer(low), Bound::Integer(high))) => overlaps(ranges, *low, *high),
                Some((Bound::Float(low), Bound::Float(high))) => {
                    // The bounds of FLOAT columns are widened to DOUBLE, whose keys differ: decide by sign and order
                    // on values only where keys are DOUBLE's own. Chunks with NaN are always read.
                    statistics.has_nan || overlaps_float(ranges, *low, *high)
                }
                _ => true,
            },
            ColumnTest::Text(ranges) => match &statistics.range {
                Some((Bound::Text { prefix: low, .. }, Bound::Text { prefix: high, truncated })) => {
                    ranges.iter().any(|range| text_overlaps(range, low, high, *truncated))
                }
                _ => true,
            },
        }
    }

    /// Whether a value with this key passes.
    #[inline]
    pub fn key_passes(&self, key: i128) -> bool {
        matches!(self, ColumnTest::Keys(ranges) if ranges.iter().any(|(low, high)| (*low..=*high).contains(&key)))
    }

    /// Whether a string passes.
    pub fn text_passes(&self, text: &[u8]) -> bool {
        matches!(self, ColumnTest::Text(ranges) if ranges.iter().any(|range| range.contains(text)))
    }
}

/// The key of a constant of an integer-like column.
pub fn integer_key(value: &Value, data_type: &DataType) -> Option<i128> {
    use DataType as T;
    match (data_type, value) {
        (T::Bool, Value::Bool(value)) => Some(i128::from(*value)),
        (data_type, value) if data_type.is_integer() => value.as_i128(),
        (T::Decimal { scale, .. }, Value::Decimal(value, _, value_scale)) if scale == value_scale => {
            Some(*value)
        }
        (T::Uuid, Value::Uuid(value)) | (T::LocalDateTime, Value::LocalDateTime(value)) => Some(*value),
        (T::Date, Value::Date(value)) | (T::LocalTime, Value::LocalTime(value)) => Some(i128::from(*value)),
        (T::Timestamp(unit), Value::Timestamp(value_unit, value)) if unit == value_unit => {
            Some(i128::from(*value))
        }
        (T::TimestampTz, Value::TimestampTz(value)) => Some(i128::from(*value)),
        (T::Id | T::Node, Value::Id(id)) => Some(i128::from(id.0)),
        (T::Id | T::Node, Value::UInt64(id)) => Some(i128::from(*id)),
        _ => None,
    }
}

fn text_of<'v>(value: &'v Value, data_type: &DataType) -> Option<&'v [u8]> {
    match (data_type, value) {
        (DataType::String, Value::String(text)) => Some(text.as_bytes()),
        (DataType::Blob, Value::Blob(bytes)) => Some(bytes),
        // Two JSON texts can mean the same value.
        _ => None,
    }
}

fn key_ranges(op: PredicateOp, keys: &[i128], lowest: i128, highest: i128) -> Option<Vec<(i128, i128)>> {
    let first = keys.first().copied();
    let ranges = match (op, first) {
        (PredicateOp::In | PredicateOp::Eq, _) => keys.iter().map(|key| (*key, *key)).collect(),
        (PredicateOp::Ne, Some(key)) => {
            let mut ranges = Vec::new();
            ranges.extend(key.checked_sub(1).map(|below| (lowest, below)));
            ranges.extend(key.checked_add(1).map(|above| (above, highest)));
            ranges
        }
        (PredicateOp::Lt, Some(key)) => key.checked_sub(1).map(|below| (lowest, below)).into_iter().collect(),
        (PredicateOp::Le, Some(key)) => vec![(lowest, key)],
        (PredicateOp::Gt, Some(key)) => {
            key.checked_add(1).map(|above| (above, highest)).into_iter().collect()
        }
        (PredicateOp::Ge, Some(key)) => vec![(key, highest)],
        (PredicateOp::Between, Some(low)) => vec![(low, *keys.get(1)?)],
        _ => return None,
    };
    Some(tidy(ranges))
}

/// Sorted, without empty ranges, neighbours joined.
fn tidy(mut ranges: Vec<(i128, i128)>) -> Vec<(i128, i128)> {
    ranges.retain(|(low, high)| low <= high);
    ranges.sort_unstable();
    let mut joined: Vec<(i128, i128)> = Vec::with_capacity(ranges.len());
    for (low, high) in ranges {
        match joined.last_mut() {
            Some(last) if low <= last.1.saturating_add(1) => last.1 = last.1.max(high),
            _ => joined.push((low, high)),
        }
    }
    joined
}

fn overlaps(ranges: &[(i128, i128)], low: i128, high: i128) -> bool {
    ranges.iter().any(|(from, to)| *from <= high && low <= *to)
}

/// Ranges hold keys of FLOAT or of DOUBLE; keys of FLOAT are below 2³².
fn overlaps_float(ranges: &[(i128, i128)], low: f64, high: f64) -> bool {
    let double = overlaps(ranges, low.key(), high.key());
    let single = f64::from(low as f32) == low
        && f64::from(high as f32) == high
        && overlaps(ranges, (low as f32).key(), (high as f32).key());
    double || single
}

fn text_overlaps(range: &TextRange, low: &[u8], high: &[u8], high_truncated: bool) -> bool {
    let starts_in_time = if high_truncated {
        // The largest string goes on behind its prefix, so only a larger prefix excludes.
        range.low.get(..range.low.len().min(high.len())).is_some_and(|start| start <= high)
    } else {
        range.low.as_slice() <= high
    };
    let ends_late =
        |end: &Vec<u8>| if range.high_included { end.as_slice() >= low } else { end.as_slice() > low };
    starts_in_time && range.high.as_ref().is_none_or(ends_late)
}

/// Sets bit `i` of `mask` where value `i` passes; other bits are zero.
pub fn test_fixed<T: FixedValue>(values: &[T], ranges: &[(i128, i128)], mask: &mut [u64]) {
    mask.fill(0);
    for (low, high) in ranges {
        if !T::PACKABLE || T::WIDTH == 16 {
            or_mask(values, mask, |value: T| (*low..=*high).contains(&value.key()));
            continue;
        }
        // At most 64 bits: distances from the lower end wrap, so one comparison tells.
        let (low, high) = ((*low).max(T::lowest()), (*high).min(T::highest()));
        if low <= high {
            let span = (high - low) as u64;
            or_mask(values, mask, |value: T| value.distance_from(low) <= span);
        }
    }
}

/// Tests rows `rows` of packed values without unpacking them to memory. `bytes` begin with row `first`, a multiple
/// of 1024; `count` is the number of rows of the segment. `mask` gets bit 0 for the first of the rows.
pub fn test_packed(
    bytes: &[u8],
    first: usize,
    count: usize,
    width: u8,
    distances: &[(u64, u64)],
    rows: std::ops::Range<usize>,
    mask: &mut [u64],
) -> Damaged<()> {
    mask.fill(0);
    let mut row = rows.start;
    while row < rows.end {
        let block = row / BLOCK_VALUES;
        let block_first = block * BLOCK_VALUES;
        let in_block = (count - block_first.min(count)).min(BLOCK_VALUES);
        let end = rows.end.min(block_first + BLOCK_VALUES);
        let at = block_start(block - (first / BLOCK_VALUES).min(block), width);
        let packed = bytes.get(at..).unwrap_or_default();
        for (low, high) in distances {
            let mut found = [0u64; BLOCK_VALUES / 64];
            compare_block(packed, in_block, width, *low, *high, &mut found)?;
            or_bits(&found, row - block_first, end - row, mask, row - rows.start);
        }
        row = end;
    }
    Ok(())
}

/// Or-s `length` bits of `source` from bit `from` on into `target` from bit `to` on.
pub fn or_bits(source: &[u64], from: usize, length: usize, target: &mut [u64], to: usize) {
    let mut done = 0;
    while done < length {
        let (read, write) = (from + done, to + done);
        let step = (length - done).min(64 - write % 64);
        let low = source.get(read / 64).copied().unwrap_or(0) >> (read % 64);
        let high = match read % 64 {
            0 => 0,
            shift => source.get(read / 64 + 1).copied().unwrap_or(0) << (64 - shift),
        };
        let kept = (low | high) & crate::vector::ones_below(step);
        if let Some(word) = target.get_mut(write / 64) {
            *word |= kept << (write % 64);
        }
        done += step;
    }
}

/// Key ranges as distances from `base`, cut to what `width` bits can say.
pub fn distances_of(ranges: &[(i128, i128)], base: i128, width: u8) -> Vec<(u64, u64)> {
    let largest = if width >= 64 { u64::MAX } else { (1 << width) - 1 };
    let top = base.saturating_add(i128::from(largest));
    let inside = ranges.iter().filter(|(low, high)| *low <= top && *high >= base);
    inside
        .map(|(low, high)| {
            ((*low).max(base).wrapping_sub(base) as u64, (*high).min(top).wrapping_sub(base) as u64)
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::types::ColumnId;
    use proptest::prelude::*;

    fn predicate(op: PredicateOp, values: Vec<Value>) -> ColumnPredicate {
        ColumnPredicate { column: ColumnId(0), op, values }
    }

    fn check(op: PredicateOp, constants: &[f64], value: f64, expected: bool) {
        let values = constants.iter().map(|value| Value::Double(*value)).collect();
        let test = ColumnTest::new(&predicate(op, values), &DataType::Double).unwrap();
        assert_eq!(test.key_passes(value.key()), expected, "{value} {op:?} {constants:?}");
    }

    #[test]
    fn floats_compare_as_numbers() {
        check(PredicateOp::Eq, &[0.0], -0.0, true);
        check(PredicateOp::Lt, &[0.0], -0.0, false);
        check(PredicateOp::Ge, &[0.0], -0.0, true);
        check(PredicateOp::Gt, &[1.0], f64::NAN, false);
        check(PredicateOp::Ne, &[1.0], f64::NAN, true);
        check(PredicateOp::Eq, &[f64::NAN], f64::NAN, false);
        check(PredicateOp::Lt, &[1.0], f64::NEG_INFINITY, true);
        check(PredicateOp::Between, &[-1.0, 2.0], 2.0, true);
    }

    #[test]
    fn zone_maps_exclude_only_what_cannot_be() {
        let statistics = |low: &[u8], high: &[u8]| ChunkStatistics {
            range: Some((Bound::text(low), Bound::text(high))),
            ..ChunkStatistics::default()
        };
        let passes = |op, constant: &str, low: &[u8], high: &[u8]| {
            let value = vec![Value::String(constant.to_owned())];
            let test = ColumnTest::new(&predicate(op, value), &DataType::String).unwrap();
            test.can_pass(&statistics(low, high), 10)
        };
        assert!(passes(PredicateOp::Eq, "mm", b"aa", b"zz"));
        assert!(!passes(PredicateOp::Eq, "zzz", b"aa", b"zz"));
        assert!(passes(PredicateOp::Eq, "zzzzzzzzzzzzzzzzzz", b"aa", b"zzzzzzzzzzzzzzzzzzz"));
        assert!(!passes(PredicateOp::StartsWith, "b", b"c", b"d"));
        assert!(passes(PredicateOp::StartsWith, "c", b"cat", b"dog"));
        assert!(!passes(PredicateOp::Lt, "a", b"b", b"d"));
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]
        #[test]
        fn tests_agree_with_plain_comparisons(
            values in prop::collection::vec(-20i64..20, 1..200), a in -25i64..25, b in -25i64..25, op in 0usize..8)
        {
            use PredicateOp::*;
            let op = [Eq, Ne, Lt, Le, Gt, Ge, In, Between][op];
            let constants = match op { In | Between => vec![Value::Int64(a), Value::Int64(b)], _ => vec![Value::Int64(a)] };
            let test = ColumnTest::new(&predicate(op, constants), &DataType::Int64).unwrap();
            let ColumnTest::Keys(ranges) = &test else { panic!("integers have keys") };
            let mut mask = vec![0; values.len().div_ceil(64)];
            test_fixed(&values, ranges, &mut mask);
            let mut packed = Vec::new();
            let distances: Vec<u64> = values.iter().map(|value| (value + 20) as u64).collect();
            super::super::encoding::bit_packing::pack(&distances, 6, &mut packed);
            let mut packed_mask = vec![0; values.len().div_ceil(64)];
            let asked = distances_of(ranges, -20, 6);
            let from = values.len() / 3;
            test_packed(&packed, 0, values.len(), 6, &asked, from..values.len(), &mut packed_mask).unwrap();
            for (row, value) in values.iter().enumerate() {
                let expected = match op {
                    Eq => *value == a, Ne => *value != a, Lt => *value < a, Le => *value <= a, Gt => *value > a,
                    Ge => *value >= a, In => *value == a || *value == b, _ => (a..=b).contains(value),
                };
                prop_assert_eq!(mask[row / 64] >> (row % 64) & 1 == 1, expected);
                if row >= from {
                    let bit = row - from;
                    prop_assert_eq!(packed_mask[bit / 64] >> (bit % 64) & 1 == 1, expected);
                }
            }
        }
    }
}
