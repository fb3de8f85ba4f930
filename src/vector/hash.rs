//! Hashes of whole vectors. Values that grouping puts together hash equally, whatever the vector's shape and, among
//! numbers and timestamps, whatever their type.

use super::{ANY_CHILD, AnyVector, ListVector, Shape, ValueVector, Values};
use crate::types::{DataType, Interval, Time, Zoned, decimal};

const SEED: u64 = 0x9E37_79B9_7F4A_7C15;
const FACTOR: u64 = 0xD6E8_FEB8_6659_FD93;
const NULL_HASH: u64 = 0xA076_1D64_78BD_642F;

/// A 64 by 64 bit product with its halves folded together: every bit of the result depends on every bit of the input.
#[inline(always)]
fn fold(left: u64, right: u64) -> u64 {
    let product = u128::from(left) * u128::from(right);
    product as u64 ^ (product >> 64) as u64
}

/// The hash of a 64-bit value.
#[inline(always)]
pub fn hash_u64(value: u64) -> u64 {
    fold(value ^ SEED, FACTOR)
}

/// Joins the hashes of several columns in order.
#[inline(always)]
pub fn combine_hashes(first: u64, second: u64) -> u64 {
    fold(first.rotate_left(23) ^ second ^ SEED, FACTOR)
}

/// The hash of an integer of any width; those that fit into 64 bits hash as such.
#[inline]
fn hash_i128(value: i128) -> u64 {
    match i64::try_from(value) {
        Ok(value) => hash_u64(value as u64),
        Err(_) => combine_hashes(hash_u64(value as u64), (value >> 64) as u64),
    }
}

/// The hash of a float: that of the integer it equals, if there is one.
#[inline]
fn hash_f64(value: f64) -> u64 {
    if value.fract() == 0.0 && value.abs() < 9.2e18 {
        hash_u64(value as i64 as u64)
    } else if value.fract() == 0.0 && value.abs() < 1.7e38 {
        hash_i128(value as i128)
    } else if value.is_nan() {
        hash_u64(f64::NAN.to_bits())
    } else {
        hash_u64(value.to_bits().rotate_left(7))
    }
}

/// The hash of a string.
#[inline]
pub fn hash_bytes(bytes: &[u8]) -> u64 {
    let word = |chunk: &[u8]| {
        let mut word = [0; 8];
        word[..chunk.len()].copy_from_slice(chunk);
        u64::from_le_bytes(word)
    };
    let mut state = SEED ^ bytes.len() as u64;
    let (pairs, rest) = bytes.as_chunks::<16>();
    for pair in pairs {
        state = fold(state ^ word(&pair[..8]), FACTOR ^ word(&pair[8..]));
    }
    let (low, high) = rest.split_at(rest.len().min(8));
    fold(state ^ word(low), FACTOR ^ word(high))
}

fn hash_decimal(number: i128, scale: u8) -> u64 {
    match decimal::power_of_ten(scale) {
        Some(unit) if number % unit == 0 => hash_i128(number / unit),
        _ => hash_f64(decimal::to_f64(number, scale)),
    }
}

/// Writes the hash of each of the first `length` rows into `hashes`, which is replaced.
pub fn hash_vector(vector: &ValueVector<'_>, data_type: &DataType, length: usize, hashes: &mut Vec<u64>) {
    hashes.clear();
    hashes.resize(length, 0);
    each_hash(vector, data_type, length, |row, hash| hashes[row] = hash);
}

/// Joins the hash of each of the first `length` rows to those of the columns before.
pub fn hash_vector_into(vector: &ValueVector<'_>, data_type: &DataType, length: usize, hashes: &mut [u64]) {
    each_hash(vector, data_type, length, |row, hash| hashes[row] = combine_hashes(hashes[row], hash));
}

#[inline(always)]
fn each_hash(
    vector: &ValueVector<'_>,
    data_type: &DataType,
    length: usize,
    mut visit: impl FnMut(usize, u64),
) {
    match vector.shape {
        Shape::Constant(_) if vector.validity.is_all_valid() => {
            let hash = hash_row(vector, data_type, 0);
            (0..length).for_each(|row| visit(row, hash));
        }
        Shape::Flat(Values::I64(values)) if vector.validity.is_all_valid() && is_plain_integer(data_type) => {
            values[..length].iter().enumerate().for_each(|(row, value)| visit(row, hash_u64(*value as u64)));
        }
        Shape::Flat(Values::U64(values)) if vector.validity.is_all_valid() => {
            values[..length].iter().enumerate().for_each(|(row, value)| visit(row, hash_id(*value)));
        }
        Shape::Flat(Values::Str(strings)) if vector.validity.is_all_valid() => {
            (0..length).for_each(|row| visit(row, hash_bytes(strings.bytes(row))));
        }
        Shape::Dictionary { codes, values } => {
            // Each entry that occurs is hashed once if the dictionary is no longer than the rows.
            let values = values.get();
            let fewer = vector.entries().filter(|(_, _, entries)| *entries <= length);
            let known: Vec<u64> = fewer.map_or(Vec::new(), |(_, values, entries)| {
                (0..entries).map(|row| hash_row(&values, data_type, row)).collect()
            });
            for (row, code) in codes[..length].iter().enumerate() {
                let hash = if !vector.validity.is_valid(row) {
                    NULL_HASH
                } else {
                    let code = *code as usize;
                    known.get(code).copied().unwrap_or_else(|| hash_row(&values, data_type, code))
                };
                visit(row, hash);
            }
        }
        _ => (0..length).for_each(|row| visit(row, hash_row(vector, data_type, row))),
    }
}

/// A U64 beyond i64 must hash as the wide integer it equals.
#[inline(always)]
fn hash_id(value: u64) -> u64 {
    if value >> 63 == 0 { hash_u64(value) } else { hash_i128(i128::from(value)) }
}

fn is_plain_integer(data_type: &DataType) -> bool {
    !matches!(data_type, DataType::Timestamp(_) | DataType::TimestampTz)
}

/// The hash of one row.
pub fn hash_row(vector: &ValueVector<'_>, data_type: &DataType, row: usize) -> u64 {
    if !vector.validity.is_valid(row) {
        return NULL_HASH;
    }
    match vector.shape {
        Shape::Flat(values) => hash_value(&values, data_type, row),
        Shape::Constant(values) => hash_value(&values, data_type, 0),
        Shape::Dictionary { codes, values } => hash_row(&values.get(), data_type, codes[row] as usize),
        Shape::Sequence { start } => hash_id(start + row as u64),
        Shape::Offsets { base, offsets } => hash_id(base + u64::from(offsets[row])),
    }
}

fn hash_value(values: &Values<'_>, data_type: &DataType, row: usize) -> u64 {
    match values {
        Values::Null => NULL_HASH,
        Values::Bool(values) => hash_u64(u64::from(values[row]) ^ 0xB001),
        Values::I8(values) => hash_u64(i64::from(values[row]) as u64),
        Values::I16(values) => hash_u64(i64::from(values[row]) as u64),
        Values::I32(values) => hash_u64(i64::from(values[row]) as u64),
        Values::I64(values) => match data_type {
            DataType::Timestamp(unit) => hash_i128(i128::from(values[row]) * i128::from(unit.nanos())),
            DataType::TimestampTz => hash_i128(i128::from(values[row]) * 1_000),
            _ => hash_u64(values[row] as u64),
        },
        Values::I128(values) => match data_type {
            DataType::Decimal { scale, .. } => hash_decimal(values[row], *scale),
            _ => hash_i128(values[row]),
        },
        Values::U8(values) => hash_u64(u64::from(values[row])),
        Values::U16(values) => hash_u64(u64::from(values[row])),
        Values::U32(values) => hash_u64(u64::from(values[row])),
        Values::U64(values) => hash_id(values[row]),
        Values::F32(values) => hash_f64(f64::from(values[row])),
        Values::F64(values) => hash_f64(values[row]),
        Values::Str(strings) => hash_bytes(strings.bytes(row)),
        Values::Time(values) => hash_time(&values[row]),
        Values::Interval(values) => hash_interval(&values[row]),
        Values::Zoned(values) => hash_zoned(&values[row]),
        Values::List(lists) => hash_list(lists, data_type, row),
        Values::Struct(members) => match data_type {
            DataType::Rel => hash_row(&members.get(0), &DataType::Id, row),
            DataType::Path => combine_hashes(
                hash_row(&members.get(0), &DataType::list(DataType::Node), row),
                hash_row(&members.get(1), &DataType::list(DataType::Rel), row),
            ),
            // A sum, since the order of the members does not matter.
            _ => data_type.fields().unwrap_or(&[]).iter().enumerate().fold(0u64, |sum, (position, field)| {
                let member = hash_row(&members.get(position), &field.data_type, row);
                sum.wrapping_add(combine_hashes(hash_bytes(field.name.as_bytes()), member))
            }),
        },
        Values::Union { tags, children } => {
            let position = usize::from(tags[row]);
            match data_type.fields().and_then(|fields| fields.get(position)) {
                Some(field) => hash_row(&children.get(position), &field.data_type, row),
                None => NULL_HASH,
            }
        }
        Values::Any(any) => hash_any(any, row),
    }
}

fn hash_time(time: &Time) -> u64 {
    combine_hashes(hash_u64(time.nanos as u64), time.offset_seconds as u64)
}

fn hash_interval(interval: &Interval) -> u64 {
    let date = combine_hashes(hash_u64(interval.months as u64), interval.days as u64);
    combine_hashes(combine_hashes(date, interval.seconds as u64), interval.nanos as u64)
}

fn hash_zoned(zoned: &Zoned) -> u64 {
    combine_hashes(hash_i128(zoned.nanos), zoned.offset_seconds as u64)
}

fn hash_list(lists: &ListVector<'_>, data_type: &DataType, row: usize) -> u64 {
    let (start, end) = lists.range(row);
    let child = lists.child.get();
    if let (DataType::Map(key, value), Some(Values::Struct(members))) = (data_type, child.values()) {
        let (keys, values) = (members.get(0), members.get(1));
        return (start..end).fold(0u64, |sum, entry| {
            let (key, value) = (hash_row(&keys, key, entry), hash_row(&values, value, entry));
            sum.wrapping_add(combine_hashes(key, value))
        });
    }
    let element = data_type.element().unwrap_or(&DataType::Null);
    let length = hash_u64((end - start) as u64);
    (start..end).fold(length, |state, entry| combine_hashes(state, hash_row(&child, element, entry)))
}

fn hash_any(any: &AnyVector<'_>, row: usize) -> u64 {
    if any.tags[row] == ANY_CHILD {
        let (child, child_row) = any.child(row);
        let (data_type, vector) = any.children.get(child);
        return hash_row(&vector, data_type, child_row);
    }
    let data_type = any.type_of(row);
    match data_type.physical() {
        crate::types::PhysicalType::Null => NULL_HASH,
        crate::types::PhysicalType::Str => hash_bytes(any.bytes(row)),
        crate::types::PhysicalType::F64 => hash_f64(f64::from_bits(any_word(any, row) as u64)),
        crate::types::PhysicalType::F32 => hash_f64(f64::from(f32::from_bits(any_word(any, row) as u32))),
        crate::types::PhysicalType::Bool => hash_u64(any_word(any, row) as u64 ^ 0xB001),
        crate::types::PhysicalType::Time => {
            let word = any_word(any, row) as u128;
            let time = Time { nanos: word as u64 as i64, offset_seconds: (word >> 64) as u32 as i32 };
            hash_time(&time)
        }
        _ => match data_type {
            DataType::Timestamp(unit) => hash_i128(any_word(any, row) * i128::from(unit.nanos())),
            DataType::TimestampTz => hash_i128(any_word(any, row) * 1_000),
            _ => hash_i128(any_word(any, row)),
        },
    }
}

fn any_word(any: &AnyVector<'_>, row: usize) -> i128 {
    i128::from_le_bytes(any.words[row])
}
