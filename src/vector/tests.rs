//! Every kernel over every shape gives what it gives over the flat copy.

use proptest::prelude::*;

use super::*;
use crate::types::{DataType, Interval, TimestampUnit, Value};

fn any_value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::Bool),
        (-3i64..3).prop_map(Value::Int64),
        (-3i8..3).prop_map(Value::Int8),
        any::<i128>().prop_map(Value::Int128),
        (-3i32..3).prop_map(|value| Value::Double(f64::from(value) / 2.0)),
        Just(Value::Double(f64::NAN)),
        (-30i128..30).prop_map(|value| Value::Decimal(value, 5, 1)),
        "[ab]{0,2}".prop_map(Value::String),
        "[a-z]{13,20}".prop_map(Value::String),
        (-3i64..3).prop_map(Value::Date),
        (-3i64..3).prop_map(|value| Value::Timestamp(TimestampUnit::Ms, value)),
        (-3i64..3).prop_map(|value| Value::Timestamp(TimestampUnit::Us, value * 1000)),
        (-3i64..3).prop_map(|days| Value::Interval(Interval { days, ..Interval::ZERO })),
    ];
    leaf.prop_recursive(2, 8, 3, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..3).prop_map(Value::List),
            (inner.clone(), inner)
                .prop_map(|(left, right)| Value::Struct(vec![("a".into(), left), ("b".into(), right)])),
        ]
    })
}

/// Values of one type each, so that every kind of buffer is met.
fn typed_values() -> impl Strategy<Value = (DataType, Vec<Value>)> {
    let nullable = |strategy: BoxedStrategy<Value>| {
        prop::collection::vec(prop_oneof![1 => Just(Value::Null), 4 => strategy], 1..90)
    };
    let list = DataType::list(DataType::String);
    prop_oneof![
        nullable((-5i64..5).prop_map(Value::Int64).boxed()).prop_map(|values| (DataType::Int64, values)),
        nullable((-5i32..5).prop_map(|n| Value::Double(f64::from(n))).boxed())
            .prop_map(|v| (DataType::Double, v)),
        nullable(any::<bool>().prop_map(Value::Bool).boxed()).prop_map(|values| (DataType::Bool, values)),
        nullable("[a-c]{0,20}".prop_map(Value::String).boxed()).prop_map(|values| (DataType::String, values)),
        nullable(
            prop::collection::vec("[a-c]{0,20}".prop_map(Value::String), 0..4).prop_map(Value::List).boxed()
        )
        .prop_map(move |values| (list.clone(), values)),
        nullable(any_value().boxed()).prop_map(|values| (DataType::Any, values)),
    ]
}

fn filled(data_type: &DataType, values: &[Value]) -> VectorBuffer {
    let mut buffer = VectorBuffer::new(data_type.clone());
    values.iter().for_each(|value| buffer.push_value(value).unwrap());
    buffer
}

/// NaN is not equal to itself, so values are compared as grouping does, with their types.
fn assert_same(left: &Value, right: &Value) {
    assert!(left.equivalent(right) && left.data_type() == right.data_type(), "{left:?} {right:?}");
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 96, ..ProptestConfig::default() })]

    #[test]
    fn buffers_give_back_what_was_pushed_in_every_shape((data_type, values) in typed_values(), step in 1usize..7) {
        let buffer = filled(&data_type, &values);
        let flat = buffer.vector();
        let codes: Vec<u32> = (0..values.len() * 2).map(|row| (row * step % values.len()) as u32).collect();
        let dictionary = ValueVector::dictionary(&codes, &buffer);
        let mask: Vec<u64> = vec![0xDDDD_7777_F0F0_3333; codes.len().div_ceil(64)];
        let masked = dictionary.with_validity(Validity::Mask(&mask));
        for (vector, length) in [(flat, values.len()), (dictionary, codes.len()), (masked, codes.len())] {
            let mut copy = VectorBuffer::new(data_type.clone());
            vector.flatten(length, &mut copy);
            let (mut hashes, mut copied) = (Vec::new(), Vec::new());
            hash_vector(&vector, &data_type, length, &mut hashes);
            hash_vector(&copy.vector(), &data_type, length, &mut copied);
            prop_assert_eq!(&hashes, &copied);
            for row in 0..length {
                assert_same(&vector.value(row, &data_type), &copy.vector().value(row, &data_type));
                prop_assert_eq!(vector.is_null(row), copy.vector().is_null(row));
                prop_assert!(equal_rows(&vector, row, &copy.vector(), row, &data_type));
            }
            // Slices and selections.
            let start = length / 3;
            let mut sliced = VectorBuffer::new(data_type.clone());
            vector.slice(start..length).flatten(length - start, &mut sliced);
            let rows: Vec<u16> = (0..length as u16).filter(|row| row % 3 != 1).collect();
            let mut chosen = VectorBuffer::new(data_type.clone());
            chosen.append(&vector, length, Selection::Rows(&rows));
            for row in start..length {
                assert_same(&vector.value(row, &data_type), &sliced.vector().value(row - start, &data_type));
            }
            for (position, row) in rows.iter().enumerate() {
                let row = usize::from(*row);
                assert_same(&vector.value(row, &data_type), &chosen.vector().value(position, &data_type));
            }
        }
        for (row, value) in values.iter().enumerate() {
            assert_same(value, &flat.value(row, &data_type));
        }
    }

    #[test]
    fn vectors_agree_with_values_about_order_equality_and_hashes((data_type, values) in typed_values()) {
        let buffer = filled(&data_type, &values);
        let vector = buffer.vector();
        let (mut hashes, mut keys) = (Vec::new(), Vec::new());
        hash_vector(&vector, &data_type, values.len(), &mut hashes);
        let exact = sort_keys(&vector, &data_type, values.len(), &mut keys);
        for left in 0..values.len() {
            for right in 0..values.len() {
                let order = values[left].order(&values[right]);
                prop_assert_eq!(compare_rows(&vector, left, &vector, right, &data_type), order);
                prop_assert_eq!(equal_rows(&vector, left, &vector, right, &data_type), order.is_eq());
                if order.is_eq() {
                    prop_assert_eq!(hashes[left], hashes[right]);
                }
                if keys[left] != keys[right] || exact {
                    prop_assert_eq!(keys[left].cmp(&keys[right]), order);
                }
            }
        }
    }

    #[test]
    fn the_order_of_values_is_total(values in prop::collection::vec(any_value(), 3)) {
        let [a, b, c] = &values[..] else { unreachable!() };
        prop_assert_eq!(a.order(b), b.order(a).reverse());
        prop_assert!(a.order(a).is_eq());
        if a.order(b).is_le() && b.order(c).is_le() {
            prop_assert!(a.order(c).is_le());
        }
        let hash = |value: &Value| {
            use std::hash::{BuildHasher, BuildHasherDefault};
            let builder: BuildHasherDefault<rustc_hash::FxHasher> = BuildHasherDefault::default();
            builder.hash_one(crate::types::GroupKey(value.clone()))
        };
        if a.equivalent(b) {
            prop_assert_eq!(hash(a), hash(b));
            prop_assert!(b.equivalent(a));
        }
        if a.equals(b) == Some(true) {
            prop_assert!(a.equivalent(b));
        }
    }
}

#[test]
fn ids_flatten_without_being_stored() {
    let mut out = VectorBuffer::new(DataType::UInt64);
    ValueVector::sequence(5).slice(2..4).flatten(2, &mut out);
    assert_eq!(out.vector().slice_of::<u64>(), Some(&[7, 8][..]));
    ValueVector::offsets(10, &[1, 0, 3]).flatten(3, &mut out);
    assert_eq!(out.vector().slice_of::<u64>(), Some(&[11, 10, 13][..]));
    let hashes = |vector: &ValueVector<'_>| {
        (0..3).map(|row| hash_row(vector, &DataType::UInt64, row)).collect::<Vec<_>>()
    };
    assert_eq!(hashes(&out.vector()), hashes(&ValueVector::offsets(10, &[1, 0, 3])));
}

#[test]
fn a_failed_push_leaves_nothing() {
    let data_type = DataType::parse("STRUCT(a INT64[], b INT8)").unwrap();
    let mut buffer = VectorBuffer::new(data_type.clone());
    let good =
        Value::Struct(vec![("a".into(), Value::List(vec![Value::Int64(1)])), ("b".into(), Value::Int8(2))]);
    let bad = Value::Struct(vec![
        ("a".into(), Value::List(vec![Value::Int64(9)])),
        ("b".into(), Value::Int64(300)),
    ]);
    buffer.push_value(&good).unwrap();
    assert!(buffer.push_value(&bad).is_err());
    buffer.push_value(&good).unwrap();
    assert_eq!(buffer.len(), 2);
    assert_eq!(buffer.vector().value(1, &data_type), good);
    buffer.truncate(1);
    buffer.push_null();
    assert_eq!(
        (buffer.vector().value(0, &data_type), buffer.vector().value(1, &data_type)),
        (good, Value::Null)
    );
}
