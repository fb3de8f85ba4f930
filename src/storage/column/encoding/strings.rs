//! Segments of strings. A *string table* is an array of end offsets (u32 each, the start of the first is 0) and the
//! bytes behind it; `Plain` is one table of all rows, `Dictionary` codes and the table of the sorted distinct
//! strings, `RunLength` the end rows of runs and the table of their strings.

use std::ops::Range;

use rustc_hash::FxHashMap;

use super::super::bytes::{Damage, Damaged, u32_at};
use super::choose::{DistinctCounter, Sizes, choose, mix_bytes};
use super::fixed::EncodedValues;
use super::{CONSTANT_BYTES_MAX, Encoding, EncodingKind, bit_packing, rle};

/// Encodes the strings of one segment; together they are shorter than 4 GiB (the chunk writer cuts before).
pub fn encode(values: &[&[u8]], forced: Option<EncodingKind>) -> EncodedValues {
    let mut counter = DistinctCounter::new();
    let (mut runs, mut run_bytes, mut bytes) = (0usize, 0usize, 0usize);
    for (row, value) in values.iter().enumerate() {
        bytes += value.len();
        if row == 0 || values[row - 1] != *value {
            runs += 1;
            run_bytes += value.len();
            counter.add(mix_bytes(value));
        }
    }
    let count = values.len();
    let distinct = counter.estimate(count as u32);
    let code_width = bit_packing::width_of(u64::from(distinct.saturating_sub(1)));
    let mean = bytes.checked_div(count).unwrap_or(0);
    let dictionary_wanted =
        forced == Some(EncodingKind::Dictionary) || runs == 1 || distinct as usize <= count / 2;
    let sizes = Sizes {
        plain: count * 4 + bytes,
        bit_packed: None,
        dictionary: (dictionary_wanted && count > 0)
            .then(|| bit_packing::packed_bytes(count, code_width) + distinct as usize * (4 + mean)),
        run_length: Some(rle::values_start(runs) + runs * 4 + run_bytes),
        constant: runs <= 1 && run_bytes <= CONSTANT_BYTES_MAX,
    };
    let mut payload = Vec::new();
    let encoding = match choose(&sizes, forced) {
        EncodingKind::Constant => {
            Encoding::Constant { value: values.first().copied().unwrap_or_default().into() }
        }
        EncodingKind::Dictionary => write_dictionary(values, &mut payload),
        EncodingKind::RunLength => write_runs(values, &mut payload),
        EncodingKind::Plain | EncodingKind::BitPacked => {
            payload.reserve_exact(sizes.plain);
            write_table(values, &mut payload);
            Encoding::Plain
        }
    };
    EncodedValues { encoding, payload, distinct, low: 0, high: 0, sketch: counter.into_sketch() }
}

fn write_table(values: &[&[u8]], payload: &mut Vec<u8>) {
    let mut end = 0u32;
    for value in values {
        end = end.wrapping_add(value.len() as u32);
        payload.extend_from_slice(&end.to_le_bytes());
    }
    values.iter().for_each(|value| payload.extend_from_slice(value));
}

fn write_dictionary(values: &[&[u8]], payload: &mut Vec<u8>) -> Encoding {
    let mut first_seen: FxHashMap<&[u8], u32> = FxHashMap::default();
    let mut entries: Vec<&[u8]> = Vec::new();
    let mut codes: Vec<u64> = Vec::with_capacity(values.len());
    for value in values {
        let code = *first_seen.entry(value).or_insert_with(|| {
            entries.push(value);
            entries.len() as u32 - 1
        });
        codes.push(u64::from(code));
    }
    let mut order: Vec<u32> = (0..entries.len() as u32).collect();
    order.sort_unstable_by_key(|entry| entries[*entry as usize]);
    let mut final_code = vec![0u64; entries.len()];
    order.iter().enumerate().for_each(|(code, entry)| final_code[*entry as usize] = code as u64);
    codes.iter_mut().for_each(|code| *code = final_code[*code as usize]);
    let code_width = bit_packing::width_of(entries.len() as u64 - 1);
    bit_packing::pack(&codes, code_width, payload);
    let sorted: Vec<&[u8]> = order.iter().map(|entry| entries[*entry as usize]).collect();
    write_table(&sorted, payload);
    Encoding::Dictionary { entries: sorted.len() as u32, code_width }
}

fn write_runs(values: &[&[u8]], payload: &mut Vec<u8>) -> Encoding {
    let (mut ends, mut kept): (Vec<u32>, Vec<&[u8]>) = (Vec::new(), Vec::new());
    for (row, value) in values.iter().enumerate() {
        if kept.last() != Some(value) {
            kept.push(value);
            ends.push(0);
        }
        if let Some(end) = ends.last_mut() {
            *end = row as u32 + 1;
        }
    }
    rle::write_ends(&ends, payload);
    write_table(&kept, payload);
    Encoding::RunLength { runs: ends.len() as u32 }
}

/// Where the string table of a segment of `count` rows begins and how many strings it has.
pub fn table_of(encoding: &Encoding, count: usize) -> (usize, usize) {
    match encoding {
        Encoding::Dictionary { entries, code_width } => {
            (bit_packing::packed_bytes(count, *code_width), *entries as usize)
        }
        Encoding::RunLength { runs } => (rle::values_start(*runs as usize), *runs as usize),
        _ => (0, count),
    }
}

/// The bytes of string `index`, relative to the first byte behind the ends, from the ends array. `ends` begins with
/// the end of string `first`.
pub fn text_range(ends: &[u8], first: usize, index: usize) -> Damaged<Range<usize>> {
    let end_of =
        |index: usize| u32_at(ends, index.checked_sub(first).ok_or(Damage("string ends start too late"))?);
    let start = if index == 0 { 0 } else { end_of(index - 1)? };
    let end = end_of(index)?;
    if start > end {
        return Err(Damage("ends of strings do not rise"));
    }
    Ok(start as usize..end as usize)
}

/// String `index` of a whole table at the start of `bytes`.
pub fn table_entry(bytes: &[u8], count: usize, index: usize) -> Damaged<&[u8]> {
    if index >= count {
        return Err(Damage("string lies behind its table"));
    }
    let (ends, texts) = bytes.split_at_checked(count * 4).ok_or(Damage("string ends are cut short"))?;
    texts.get(text_range(ends, 0, index)?).ok_or(Damage("string lies outside its segment"))
}

#[cfg(test)]
mod tests {
    use super::super::fixed;
    use super::*;
    use proptest::prelude::*;

    fn read(encoded: &EncodedValues, count: usize, row: usize) -> Vec<u8> {
        let (start, entries) = table_of(&encoded.encoding, count);
        let table = &encoded.payload[start..];
        match &encoded.encoding {
            Encoding::Constant { value } => value.to_vec(),
            Encoding::Plain => table_entry(table, entries, row).unwrap().to_vec(),
            Encoding::Dictionary { entries, code_width } => {
                let mut codes = Vec::new();
                let (first, range) = fixed::byte_range(&encoded.encoding, 0, count, &(row..row + 1));
                let bytes = &encoded.payload[range];
                fixed::read_codes(bytes, first, count, *entries, *code_width, row..row + 1, &mut codes)
                    .unwrap();
                table_entry(table, *entries as usize, codes[0] as usize).unwrap().to_vec()
            }
            Encoding::RunLength { runs } => {
                let run = rle::find(&encoded.payload, *runs as usize, row).unwrap();
                table_entry(table, entries, run).unwrap().to_vec()
            }
            Encoding::BitPacked { .. } => panic!("strings are never bit-packed"),
        }
    }

    fn check(values: &[Vec<u8>]) {
        let views: Vec<&[u8]> = values.iter().map(Vec::as_slice).collect();
        for forced in [
            None,
            Some(EncodingKind::Plain),
            Some(EncodingKind::Dictionary),
            Some(EncodingKind::RunLength),
            Some(EncodingKind::Constant),
        ] {
            let encoded = encode(&views, forced);
            for (row, value) in values.iter().enumerate() {
                assert_eq!(&read(&encoded, values.len(), row), value, "{forced:?}");
            }
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(24))]
        #[test]
        fn strings_come_back(values in prop::collection::vec(prop_oneof![
            prop::collection::vec(any::<u8>(), 0..30), Just(b"again".to_vec()), Just(vec![b'x'; 300])], 1..200)) {
            check(&values);
        }
    }

    #[test]
    fn a_long_constant_is_a_dictionary_of_one() {
        check(&vec![vec![b'y'; 5000]; 100]);
        let value = vec![b'y'; 5000];
        let encoded = encode(&vec![value.as_slice(); 100], None);
        assert_eq!(encoded.encoding, Encoding::Dictionary { entries: 1, code_width: 0 });
    }

    #[test]
    fn falling_ends_are_damage() {
        let mut bytes = Vec::new();
        [5u32, 3].iter().for_each(|end| bytes.extend_from_slice(&end.to_le_bytes()));
        bytes.extend_from_slice(b"hello");
        assert_eq!(table_entry(&bytes, 2, 0).unwrap(), b"hello");
        assert!(table_entry(&bytes, 2, 1).is_err());
        assert!(table_entry(&bytes, 3, 0).is_err());
    }
}
