//! Rows of vectors in the total order of ORDER BY, equality for grouping, and order-preserving keys of 64 bits.

use std::cmp::Ordering;

use super::{ListVector, Shape, ValueVector, Values};
use crate::types::{DataType, order_floats};

/// The order of two rows of vectors of the same type; null is the greatest value.
pub fn compare_rows(
    left: &ValueVector<'_>,
    left_row: usize,
    right: &ValueVector<'_>,
    right_row: usize,
    data_type: &DataType,
) -> Ordering {
    let ((left, left_row), (right, right_row)) = (resolve(left, left_row), resolve(right, right_row));
    match (left.is_null(left_row), right.is_null(right_row)) {
        (true, true) => return Ordering::Equal,
        (true, false) => return Ordering::Greater,
        (false, true) => return Ordering::Less,
        (false, false) => {}
    }
    macro_rules! by_order {
        ($a:expr, $b:expr) => {
            $a[left_index(&left, left_row)].cmp(&$b[left_index(&right, right_row)])
        };
    }
    match (left.values(), right.values()) {
        (Some(Values::Bool(a)), Some(Values::Bool(b))) | (Some(Values::U8(a)), Some(Values::U8(b))) => {
            by_order!(a, b)
        }
        (Some(Values::I8(a)), Some(Values::I8(b))) => by_order!(a, b),
        (Some(Values::I16(a)), Some(Values::I16(b))) => by_order!(a, b),
        (Some(Values::I32(a)), Some(Values::I32(b))) => by_order!(a, b),
        (Some(Values::I64(a)), Some(Values::I64(b))) => by_order!(a, b),
        (Some(Values::I128(a)), Some(Values::I128(b))) => by_order!(a, b),
        (Some(Values::U16(a)), Some(Values::U16(b))) => by_order!(a, b),
        (Some(Values::U32(a)), Some(Values::U32(b))) => by_order!(a, b),
        (Some(Values::Time(a)), Some(Values::Time(b))) => by_order!(a, b),
        (Some(Values::Interval(a)), Some(Values::Interval(b))) => by_order!(a, b),
        (Some(Values::Zoned(a)), Some(Values::Zoned(b))) => by_order!(a, b),
        (Some(Values::F32(a)), Some(Values::F32(b))) => order_floats(
            f64::from(a[left_index(&left, left_row)]),
            f64::from(b[left_index(&right, right_row)]),
        ),
        (Some(Values::F64(a)), Some(Values::F64(b))) => {
            order_floats(a[left_index(&left, left_row)], b[left_index(&right, right_row)])
        }
        (Some(Values::Str(a)), Some(Values::Str(b))) => {
            a.compare(left_index(&left, left_row), &b, left_index(&right, right_row))
        }
        (Some(Values::List(a)), Some(Values::List(b))) if data_type.element().is_some() => {
            let places = (left_index(&left, left_row), left_index(&right, right_row));
            compare_lists((&a, places.0), (&b, places.1), data_type.element().unwrap_or(&DataType::Null))
        }
        _ => match (left.u64_at(left_row), right.u64_at(right_row)) {
            (Some(a), Some(b)) => a.cmp(&b),
            _ => left.value(left_row, data_type).order(&right.value(right_row, data_type)),
        },
    }
}

/// By the first elements that differ, else by the lengths.
fn compare_lists(
    (left, left_row): (&ListVector<'_>, usize),
    (right, right_row): (&ListVector<'_>, usize),
    element: &DataType,
) -> Ordering {
    let (a, b) = (left.range(left_row), right.range(right_row));
    if a == b && left.identity == right.identity && left.identity != 0 {
        return Ordering::Equal;
    }
    let (left, right) = (left.child.get(), right.child.get());
    let pairs = (a.0..a.1).zip(b.0..b.1);
    let mut orders = pairs.map(|(a, b)| compare_rows(&left, a, &right, b, element));
    orders.find(|order| order.is_ne()).unwrap_or_else(|| (a.1 - a.0).cmp(&(b.1 - b.0)))
}

/// Whether grouping puts two rows of the same type together.
pub fn equal_rows(
    left: &ValueVector<'_>,
    left_row: usize,
    right: &ValueVector<'_>,
    right_row: usize,
    data_type: &DataType,
) -> bool {
    let ((left, left_row), (right, right_row)) = (resolve(left, left_row), resolve(right, right_row));
    if let (Some(Values::Str(a)), Some(Values::Str(b))) = (left.values(), right.values()) {
        return match (left.is_null(left_row), right.is_null(right_row)) {
            (false, false) => a.equal(left_index(&left, left_row), &b, left_index(&right, right_row)),
            (left, right) => left == right,
        };
    }
    compare_rows(&left, left_row, &right, right_row, data_type).is_eq()
}

/// Follows dictionaries to the vector that holds a row's value.
fn resolve<'b>(vector: &ValueVector<'b>, row: usize) -> (ValueVector<'b>, usize) {
    let (mut vector, mut row) = (*vector, row);
    while let Shape::Dictionary { codes, values } = vector.shape {
        if !vector.validity.is_valid(row) {
            return (ValueVector::null(), 0);
        }
        (vector, row) = (values.get(), codes[row] as usize);
    }
    (vector, row)
}

/// Where the value of a row stands.
#[inline]
fn left_index(vector: &ValueVector<'_>, row: usize) -> usize {
    if matches!(vector.shape, Shape::Constant(_)) { 0 } else { row }
}

/// A key per row whose order as u64 agrees with the total order: different keys decide, equal keys decide only where
/// the returned value is true. Null has the greatest key.
pub fn sort_keys(vector: &ValueVector<'_>, data_type: &DataType, length: usize, keys: &mut Vec<u64>) -> bool {
    keys.clear();
    let is_exact = !matches!(
        data_type.physical(),
        crate::types::PhysicalType::I64
            | crate::types::PhysicalType::U64
            | crate::types::PhysicalType::F64
            | crate::types::PhysicalType::Str
    ) && data_type.physical().width() <= 8
        && data_type.physical().width() > 0;
    let dictionary = vector.entries().filter(|(_, _, entries)| *entries < length);
    match (vector.shape, dictionary) {
        (Shape::Flat(_), _) => flat_keys(vector, length, keys),
        (_, Some((codes, values, entries))) if vector.validity.is_all_valid() => {
            let mut of_entries = Vec::new();
            flat_keys(&values, entries, &mut of_entries);
            keys.extend(codes[..length].iter().map(|code| of_entries[*code as usize]));
        }
        _ => keys.extend((0..length).map(|row| {
            let (vector, row) = resolve(vector, row);
            if vector.is_null(row) { u64::MAX } else { sort_key(&vector, row) }
        })),
    }
    is_exact
}

/// The keys of a vector that is no dictionary; its type is looked at once.
fn flat_keys(vector: &ValueVector<'_>, length: usize, keys: &mut Vec<u64>) {
    match (vector.shape, vector.values()) {
        (Shape::Flat(_), Some(Values::I32(values))) => {
            keys.extend(values[..length].iter().map(|value| signed_key(i64::from(*value))));
        }
        (Shape::Flat(_), Some(Values::I64(values))) => {
            keys.extend(values[..length].iter().map(|value| signed_key(*value)));
        }
        (Shape::Flat(_), Some(Values::U64(values))) => keys.extend_from_slice(&values[..length]),
        (Shape::Flat(_), Some(Values::F64(values))) => {
            keys.extend(values[..length].iter().map(|value| float_key(*value)));
        }
        _ => keys.extend((0..length).map(|row| sort_key(vector, row))),
    }
    if !vector.has_no_nulls() {
        for (row, key) in keys.iter_mut().enumerate().filter(|(row, _)| vector.is_null(*row)) {
            debug_assert!(row < length);
            *key = u64::MAX;
        }
    }
}

/// Flips the sign so that unsigned order is signed order.
fn signed_key(value: i64) -> u64 {
    value as u64 ^ (1 << 63)
}

/// Floats in the order of their bits, NaN last; the greatest key is kept for null.
fn float_key(value: f64) -> u64 {
    if value.is_nan() {
        return u64::MAX - 1;
    }
    let bits = (value + 0.0).to_bits();
    if bits >> 63 == 1 { !bits } else { bits | (1 << 63) }
}

fn sort_key(vector: &ValueVector<'_>, row: usize) -> u64 {
    let index = left_index(vector, row);
    match vector.values() {
        Some(Values::Bool(values) | Values::U8(values)) => u64::from(values[index]),
        Some(Values::I8(values)) => signed_key(i64::from(values[index])),
        Some(Values::I16(values)) => signed_key(i64::from(values[index])),
        Some(Values::I32(values)) => signed_key(i64::from(values[index])),
        // One value shares the key of null; the caller compares rows where keys are equal.
        Some(Values::I64(values)) => signed_key(values[index]),
        Some(Values::I128(values)) => signed_key((values[index] >> 64) as i64),
        Some(Values::U16(values)) => u64::from(values[index]),
        Some(Values::U32(values)) => u64::from(values[index]),
        Some(Values::F32(values)) => float_key(f64::from(values[index])),
        Some(Values::F64(values)) => float_key(values[index]),
        Some(Values::Str(strings)) => {
            let mut prefix = [0; 8];
            let bytes = strings.bytes(index);
            let length = bytes.len().min(8);
            prefix[..length].copy_from_slice(&bytes[..length]);
            u64::from_be_bytes(prefix)
        }
        // Types without a prefix have one key, so that rows are compared.
        Some(_) if vector.u64_at(row).is_none() => 0,
        _ => vector.u64_at(row).unwrap_or(0),
    }
}
