//! What is written can be read, for every scalar type.

use proptest::prelude::*;

use super::*;

fn scalar() -> impl Strategy<Value = Value> {
    let day = calendar::NANOS_PER_DAY;
    let seconds = -60_000_000_000_000_000i64..60_000_000_000_000_000;
    prop_oneof![
        any::<bool>().prop_map(Value::Bool),
        any::<i8>().prop_map(Value::Int8),
        any::<i16>().prop_map(Value::Int16),
        any::<i32>().prop_map(Value::Int32),
        any::<i64>().prop_map(Value::Int64),
        any::<i128>().prop_map(Value::Int128),
        any::<u8>().prop_map(Value::UInt8),
        any::<u16>().prop_map(Value::UInt16),
        any::<u32>().prop_map(Value::UInt32),
        any::<u64>().prop_map(Value::UInt64),
        any::<f32>().prop_map(Value::Float),
        any::<f64>().prop_map(Value::Double),
        (-10i128.pow(18)..10i128.pow(18), 0u8..19)
            .prop_map(|(value, scale)| Value::Decimal(value, 18, scale)),
        any::<i128>()
            .prop_filter("38 digits", |value| decimal::fits(*value, 38))
            .prop_map(|v| Value::Decimal(v, 38, 38)),
        any::<String>().prop_map(Value::String),
        prop::collection::vec(any::<u8>(), 0..40).prop_map(Value::Blob),
        any::<i128>().prop_map(Value::Uuid),
        (-365_000_000_000i64..365_000_000_000).prop_map(Value::Date),
        (0..day, -64_800i32..64_800)
            .prop_map(|(nanos, offset_seconds)| Value::Time(Time { nanos, offset_seconds })),
        (0..day).prop_map(Value::LocalTime),
        (seconds.clone(), 0i128..1_000_000_000).prop_map(|(seconds, nanos)| Value::LocalDateTime(
            i128::from(seconds) / 2 * 1_000_000_000 + nanos
        )),
        (-30_000_000_000i64..30_000_000_000, 0i128..1_000_000_000, -64_800i32..64_800).prop_map(
            |(s, nanos, offset)| {
                let nanos = i128::from(s) * 1_000_000_000 + nanos;
                Value::DateTime(Zoned { nanos, offset_seconds: offset, zone: ZoneId::NONE })
            }
        ),
        (0i64..4_000_000_000).prop_map(|seconds| {
            let zone = ZoneId::intern("Europe/Stockholm").unwrap();
            Value::DateTime(zone.at(i128::from(seconds) * 1_000_000_000).unwrap())
        }),
        (-30_000_000_000_000_000i64..30_000_000_000_000_000)
            .prop_map(|n| Value::Timestamp(TimestampUnit::S, n)),
        any::<i64>().prop_map(|value| Value::Timestamp(TimestampUnit::Ms, value)),
        any::<i64>().prop_map(|value| Value::Timestamp(TimestampUnit::Us, value)),
        any::<i64>().prop_map(|value| Value::Timestamp(TimestampUnit::Ns, value)),
        any::<i64>().prop_map(Value::TimestampTz),
        (any::<i32>(), any::<i32>(), -1_000_000_000_000i64..1_000_000_000_000, 0i128..1_000_000_000)
            .prop_map(|(months, days, s, n)| {
                Value::Interval(Interval::new(months.into(), days.into(), s, n).unwrap())
            }),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2000, ..ProptestConfig::default() })]

    #[test]
    fn both_text_forms_read_back(value in scalar()) {
        let data_type = value.data_type();
        for text in [value.to_string(), value.iso_text(), value.csv_text()] {
            let read = parse_text(&text, &data_type);
            prop_assert!(read.as_ref().is_ok_and(|read| read.equivalent(&value)), "{value:?} {text} {read:?}");
        }
        let list = Value::List(vec![value.clone(), Value::Null, value.clone()]);
        let read = parse_text(&list.csv_text(), &DataType::list(data_type));
        prop_assert!(read.as_ref().is_ok_and(|read| read.equivalent(&list)), "{} {read:?}", list.csv_text());
    }

    #[test]
    fn no_text_makes_a_parser_panic(text in "[-+0-9:.TZPYMDHS/eE \\[\\]{}'\"a,=\\\\x]{0,30}") {
        let nested = DataType::parse("STRUCT(a MAP(STRING, INT64[]), b UNION(n INT64, s STRING))").unwrap();
        for data_type in [
            DataType::Int64, DataType::Double, DataType::Decimal { precision: 9, scale: 3 }, DataType::Date,
            DataType::Time, DataType::LocalDateTime, DataType::DateTime, DataType::Timestamp(TimestampUnit::Ns),
            DataType::Interval, DataType::Blob, DataType::Uuid, nested, DataType::list(DataType::String),
        ] {
            let _ = parse_text(&text, &data_type).map(|value| value.to_string());
        }
        let _ = DataType::parse(&text);
    }
}

#[test]
fn numbers_compare_by_value_whatever_their_type() {
    let order = |left: Value, right: Value| left.order(&right);
    use std::cmp::Ordering::{Equal, Greater, Less};
    assert_eq!(order(Value::Int64((1 << 53) + 1), Value::Double(9_007_199_254_740_992.0)), Greater);
    assert_eq!(order(Value::Int8(1), Value::Double(1.0)), Equal);
    assert_eq!(order(Value::Decimal(15, 3, 1), Value::Double(1.5)), Equal);
    assert_eq!(order(Value::Decimal(1, 3, 2), Value::Double(0.0)), Greater);
    assert_eq!(order(Value::Decimal(-1, 3, 2), Value::Int64(0)), Less);
    assert_eq!(order(Value::Int128(i128::MAX), Value::Double(f64::INFINITY)), Less);
    assert_eq!(order(Value::Double(f64::NAN), Value::Double(f64::INFINITY)), Greater);
    assert_eq!(order(Value::Null, Value::Double(f64::NAN)), Greater);
    assert_eq!(Value::Null.equals(&Value::Null), None);
    assert_eq!(Value::Double(f64::NAN).equals(&Value::Double(f64::NAN)), Some(false));
    assert!(Value::Double(f64::NAN).equivalent(&Value::Double(f64::NAN)));
    assert_eq!(Value::from("a").compare(&Value::Int64(1)), None);
}
