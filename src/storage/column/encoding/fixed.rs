//! Segments of values with a fixed width: choosing an encoding, writing it, reading ranges and single rows.

use std::ops::Range;

use rustc_hash::FxHashMap;

use crate::catalog::DistinctSketch;

use super::super::bytes::{Damage, Damaged};
use super::super::fixed::{FixedValue, read_all, read_at};
use super::choose::{DistinctCounter, Sizes, choose, mix};
use super::{Encoding, EncodingKind, bit_packing, rle};

/// A segment as it will be written, with what the analysis found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EncodedValues {
    pub encoding: Encoding,
    pub payload: Vec<u8>,
    /// About how many different values there are.
    pub distinct: u32,
    /// The key of the smallest value; 0 for strings.
    pub low: i128,
    /// The key of the largest value; 0 for strings.
    pub high: i128,
    /// The different values, for merging.
    pub sketch: DistinctSketch,
}

struct Analysis {
    low: i128,
    high: i128,
    runs: u32,
    distinct: u32,
    sketch: DistinctSketch,
}

fn analyse<T: FixedValue>(values: &[T]) -> Analysis {
    let mut counter = DistinctCounter::new();
    let first = values.first().map_or(0, |value| value.key());
    let (mut low, mut high, mut runs, mut previous) = (first, first, 0u32, None);
    for value in values {
        let key = value.key();
        if previous != Some(key) {
            runs += 1;
            previous = Some(key);
            low = low.min(key);
            high = high.max(key);
            counter.add(mix(key as u64 ^ (key >> 64) as u64));
        }
    }
    let distinct = counter.estimate(values.len() as u32);
    Analysis { low, high, runs, distinct, sketch: counter.into_sketch() }
}

/// Encodes the values of one segment.
pub fn encode<T: FixedValue>(values: &[T], forced: Option<EncodingKind>) -> EncodedValues {
    let found = analyse(values);
    let count = values.len();
    let span = u64::try_from(found.high.wrapping_sub(found.low)).ok().filter(|_| found.high >= found.low);
    let width = span.map(bit_packing::width_of).filter(|_| T::PACKABLE);
    let code_width = bit_packing::width_of(u64::from(found.distinct.saturating_sub(1)));
    let dictionary_bytes = bit_packing::packed_bytes(count, code_width) + found.distinct as usize * T::WIDTH;
    let dictionary_wanted = forced == Some(EncodingKind::Dictionary) || found.distinct as usize <= count / 2;
    let sizes = Sizes {
        plain: count * T::WIDTH,
        bit_packed: width.map(|width| bit_packing::packed_bytes(count, width)),
        dictionary: (dictionary_wanted && count > 0).then_some(dictionary_bytes),
        run_length: Some(rle::values_start(found.runs as usize) + found.runs as usize * T::WIDTH),
        constant: found.low == found.high,
    };
    let mut payload = Vec::new();
    let encoding = match choose(&sizes, forced) {
        EncodingKind::Constant => {
            let mut value = Vec::with_capacity(T::WIDTH);
            T::from_key(found.low).write_to(&mut value);
            Encoding::Constant { value: value.into() }
        }
        EncodingKind::Plain => {
            payload.reserve_exact(count * T::WIDTH);
            values.iter().for_each(|value| value.write_to(&mut payload));
            Encoding::Plain
        }
        EncodingKind::BitPacked => {
            let width = width.unwrap_or(64);
            payload.reserve_exact(bit_packing::packed_bytes(count, width));
            let mut distances = [0u64; bit_packing::BLOCK_VALUES];
            for block in values.chunks(bit_packing::BLOCK_VALUES) {
                for (slot, value) in distances.iter_mut().zip(block) {
                    *slot = value.key().wrapping_sub(found.low) as u64;
                }
                bit_packing::pack(&distances[..block.len()], width, &mut payload);
            }
            Encoding::BitPacked { base: found.low, width }
        }
        EncodingKind::Dictionary => write_dictionary(values, &mut payload),
        EncodingKind::RunLength => write_runs(values, &mut payload),
    };
    EncodedValues {
        encoding,
        payload,
        distinct: found.distinct,
        low: found.low,
        high: found.high,
        sketch: found.sketch,
    }
}

fn write_dictionary<T: FixedValue>(values: &[T], payload: &mut Vec<u8>) -> Encoding {
    let mut codes_by_key: FxHashMap<i128, u32> = FxHashMap::default();
    values.iter().for_each(|value| {
        codes_by_key.insert(value.key(), 0);
    });
    let mut sorted: Vec<i128> = codes_by_key.keys().copied().collect();
    sorted.sort_unstable();
    for (code, key) in sorted.iter().enumerate() {
        codes_by_key.insert(*key, code as u32);
    }
    let codes: Vec<u64> =
        values.iter().map(|value| u64::from(codes_by_key.get(&value.key()).copied().unwrap_or(0))).collect();
    let code_width = bit_packing::width_of(sorted.len() as u64 - 1);
    bit_packing::pack(&codes, code_width, payload);
    sorted.iter().for_each(|key| T::from_key(*key).write_to(payload));
    Encoding::Dictionary { entries: sorted.len() as u32, code_width }
}

fn write_runs<T: FixedValue>(values: &[T], payload: &mut Vec<u8>) -> Encoding {
    let (mut ends, mut kept): (Vec<u32>, Vec<T>) = (Vec::new(), Vec::new());
    for (row, value) in values.iter().enumerate() {
        if kept.last().is_none_or(|last| last.key() != value.key()) {
            kept.push(*value);
            ends.push(0);
        }
        if let Some(end) = ends.last_mut() {
            *end = row as u32 + 1;
        }
    }
    rle::write_ends(&ends, payload);
    kept.iter().for_each(|value| value.write_to(payload));
    Encoding::RunLength { runs: ends.len() as u32 }
}

/// The bytes of a segment of `count` rows that the rows `rows` need, without a dictionary's values. The first
/// returned number is the row that the range begins with.
pub fn byte_range(
    encoding: &Encoding,
    value_width: usize,
    count: usize,
    rows: &Range<usize>,
) -> (usize, Range<usize>) {
    let packed = |width: u8| {
        let first = rows.start / bit_packing::BLOCK_VALUES;
        let last = rows.end.div_ceil(bit_packing::BLOCK_VALUES);
        let end = bit_packing::block_start(last, width).min(bit_packing::packed_bytes(count, width));
        (first * bit_packing::BLOCK_VALUES, bit_packing::block_start(first, width).min(end)..end)
    };
    match encoding {
        Encoding::Constant { .. } => (rows.start, 0..0),
        Encoding::Plain => (rows.start, rows.start * value_width..rows.end * value_width),
        Encoding::BitPacked { width, .. } => packed(*width),
        Encoding::Dictionary { code_width, .. } => packed(*code_width),
        Encoding::RunLength { runs } => {
            let runs = *runs as usize;
            (0, 0..rle::values_start(runs) + runs * value_width)
        }
    }
}

/// Where a dictionary's values lie.
pub fn dictionary_range(entries: u32, code_width: u8, value_width: usize, count: usize) -> Range<usize> {
    let start = bit_packing::packed_bytes(count, code_width);
    start..start + entries as usize * value_width
}

/// Unpacks the values of rows `rows`; `bytes` begin with row `first`, a multiple of 1024.
pub fn unpack<T: Copy + Default>(
    bytes: &[u8],
    first: usize,
    count: usize,
    width: u8,
    rows: Range<usize>,
    out: &mut Vec<T>,
    make: impl Fn(u64) -> T + Copy,
) -> Damaged<()> {
    let mut row = rows.start;
    while row < rows.end {
        let block = row / bit_packing::BLOCK_VALUES;
        let block_first = block * bit_packing::BLOCK_VALUES;
        let block_end = (block_first + bit_packing::BLOCK_VALUES).min(count);
        let to = rows.end.min(block_end);
        let at = bit_packing::block_start(block - (first / bit_packing::BLOCK_VALUES).min(block), width);
        let packed = bytes.get(at..).ok_or(Damage("bit-packed block is cut short"))?;
        if to <= row {
            return Err(Damage("row lies behind its segment"));
        }
        let old = out.len();
        if row == block_first {
            out.resize(old + (to - row), T::default());
            bit_packing::unpack_block(packed, width, &mut out[old..], make)?;
        } else if to - row < 10 {
            for inside in row - block_first..to - block_first {
                out.push(make(bit_packing::get(packed, width, inside)?));
            }
        } else {
            let mut whole = [T::default(); bit_packing::BLOCK_VALUES];
            bit_packing::unpack_block(packed, width, &mut whole[..to - block_first], make)?;
            out.extend_from_slice(&whole[row - block_first..to - block_first]);
        }
        row = to;
    }
    Ok(())
}

/// Appends the codes of rows `rows` of a dictionary segment.
pub fn read_codes(
    bytes: &[u8],
    first: usize,
    count: usize,
    entries: u32,
    code_width: u8,
    rows: Range<usize>,
    out: &mut Vec<u32>,
) -> Damaged<()> {
    let old = out.len();
    unpack(bytes, first, count, code_width, rows, out, |code| code as u32)?;
    if out[old..].iter().copied().max().is_some_and(|code| code >= entries) {
        out.truncate(old);
        return Err(Damage("dictionary code without a value"));
    }
    Ok(())
}

/// Appends the values of rows `rows` of a segment of `count` rows, except for dictionaries, which are read as codes.
/// `bytes` is what `byte_range` names, beginning with row `first`.
pub fn read<T: FixedValue>(
    encoding: &Encoding,
    bytes: &[u8],
    first: usize,
    count: usize,
    rows: Range<usize>,
    out: &mut Vec<T>,
) -> Damaged<()> {
    let old = out.len();
    match encoding {
        Encoding::Constant { value } => {
            let value = T::read_from(value).ok_or(Damage("constant is too short"))?;
            out.resize(old + rows.len(), value);
            Ok(())
        }
        Encoding::Plain => {
            let at = (rows.start - first.min(rows.start)) * T::WIDTH;
            out.resize(old + rows.len(), T::default());
            read_all(bytes.get(at..).unwrap_or_default(), &mut out[old..])
        }
        Encoding::BitPacked { base, width } => {
            let base = *base;
            unpack(bytes, first, count, *width, rows, out, move |distance| T::at_distance(base, distance))
        }
        Encoding::RunLength { runs } => {
            let runs = *runs as usize;
            let values = bytes.get(rle::values_start(runs)..).ok_or(Damage("runs are cut short"))?;
            rle::for_each(bytes, runs, rows.start, rows.end, |run, times| {
                let value = read_at::<T>(values, run)?;
                out.resize(out.len() + times, value);
                Ok(())
            })
        }
        Encoding::Dictionary { .. } => Err(Damage("dictionary read as values")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    pub fn read_segment<T: FixedValue>(encoded: &EncodedValues, count: usize, rows: Range<usize>) -> Vec<T> {
        let (first, range) = byte_range(&encoded.encoding, T::WIDTH, count, &rows);
        let bytes = &encoded.payload[range];
        let mut out = Vec::new();
        if let Encoding::Dictionary { entries, code_width } = encoded.encoding {
            let mut codes = Vec::new();
            read_codes(bytes, first, count, entries, code_width, rows, &mut codes).unwrap();
            let values = &encoded.payload[dictionary_range(entries, code_width, T::WIDTH, count)];
            return codes.into_iter().map(|code| read_at(values, code as usize).unwrap()).collect();
        }
        read(&encoded.encoding, bytes, first, count, rows, &mut out).unwrap();
        out
    }

    const KINDS: [Option<EncodingKind>; 6] = [
        None,
        Some(EncodingKind::Constant),
        Some(EncodingKind::Plain),
        Some(EncodingKind::BitPacked),
        Some(EncodingKind::Dictionary),
        Some(EncodingKind::RunLength),
    ];

    fn check<T: FixedValue + std::fmt::Debug>(values: &[T], from: usize, to: usize) {
        let (from, to) = (from.min(values.len()), to.min(values.len()));
        let (from, to) = (from.min(to), from.max(to));
        for kind in KINDS {
            let encoded = encode(values, kind);
            let keys = |values: &[T]| values.iter().map(|value| value.key()).collect::<Vec<_>>();
            assert_eq!(
                keys(&read_segment(&encoded, values.len(), 0..values.len())),
                keys(values),
                "{kind:?}"
            );
            assert_eq!(
                keys(&read_segment(&encoded, values.len(), from..to)),
                keys(&values[from..to]),
                "{kind:?}"
            );
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(24))]
        #[test]
        fn integers_come_back(values in prop::collection::vec(prop_oneof![any::<i64>(), -5i64..5], 0..2500), from in 0usize..2500, to in 0usize..2500) {
            check(&values, from, to);
            check(&values.iter().map(|value| *value as i128 * 3).collect::<Vec<_>>(), from, to);
            check(&values.iter().map(|value| *value as u8).collect::<Vec<_>>(), from, to);
        }

        #[test]
        fn floats_come_back(values in prop::collection::vec(prop_oneof![any::<f64>(), Just(0.0), Just(-0.0)], 1..300), from in 0usize..300, to in 0usize..300) {
            check(&values, from, to);
        }
    }

    #[test]
    fn sizes_decide() {
        let kind = |values: &[i64]| encode(values, None).encoding.kind();
        assert_eq!(kind(&[7; 100]), EncodingKind::Constant);
        assert_eq!(kind(&(0..5000).collect::<Vec<_>>()), EncodingKind::BitPacked);
        let far_apart: Vec<i64> = (0..5000).map(|i| (i * 7 % 4) * (i64::MAX / 4)).collect();
        assert_eq!(kind(&far_apart), EncodingKind::Dictionary);
        let runs: Vec<i64> = (0..5000).map(|i| (i / 1000) * (i64::MAX / 8)).collect();
        assert_eq!(kind(&runs), EncodingKind::RunLength);
        assert_eq!(kind(&[i64::MIN, 0, i64::MAX]), EncodingKind::Plain);
    }
}
