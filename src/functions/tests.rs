//! Functions by name over constants, flat vectors and dictionaries, which must agree.

use proptest::prelude::*;

use super::*;
use crate::types::{DataType, Value};
use crate::vector::{Selection, SelectionBuffer, ValueVector, VectorBuffer};

/// Resolves, casts and evaluates over one row as constants, then over many rows flat and as a dictionary.
fn call(name: &str, dialect: Dialect, arguments: &[Value]) -> FunctionResult<Value> {
    let types: Vec<DataType> = arguments.iter().map(Value::data_type).collect();
    let bound = resolve_scalar(name, dialect, &types)?;
    let mut columns = Vec::new();
    for ((value, from), to) in arguments.iter().zip(&types).zip(&bound.arguments) {
        bind_cast(from, to, CastMode::Explicit)?;
        let mut column = VectorBuffer::new(to.clone());
        column.push_value(&cast_value(value, to)?)?;
        columns.push(column);
    }
    let mut context = KernelContext::for_constants();
    let constants: Vec<ValueVector<'_>> = columns.iter().map(VectorBuffer::constant_vector).collect();
    let mut out = VectorBuffer::new(bound.result.clone());
    let constant =
        bound.evaluate(&mut context, &constants, 70, Selection::All, &mut out)?.value(69, &bound.result);
    if bound.volatile {
        return Ok(constant);
    }
    let codes = [0u32; 70];
    let dictionaries: Vec<ValueVector<'_>> =
        columns.iter().map(|column| ValueVector::dictionary(&codes, column)).collect();
    let mut out = VectorBuffer::new(bound.result.clone());
    let flat =
        bound.evaluate(&mut context, &dictionaries, 70, Selection::All, &mut out)?.value(69, &bound.result);
    assert!(flat.equivalent(&constant), "{name}: {flat:?} {constant:?}");
    if let Some((first, rest)) = dictionaries.split_first() {
        let mixed: Vec<ValueVector<'_>> =
            std::iter::once(*first).chain(constants[1..].iter().copied()).collect();
        let mut out = VectorBuffer::new(bound.result.clone());
        let coded = bound.evaluate(&mut context, &mixed, 70, Selection::Rows(&[69]), &mut out)?;
        assert!(coded.value(69, &bound.result).equivalent(&constant), "{name} {}", rest.len());
    }
    Ok(constant)
}

fn value(text: &str) -> Value {
    match text.split_once("::") {
        Some((text, data_type)) => {
            crate::types::parse_text(text, &DataType::parse(data_type).unwrap()).unwrap()
        }
        None if text == "null" => Value::Null,
        None => match (text.parse::<i64>(), text.parse::<f64>()) {
            (Ok(number), _) => Value::Int64(number),
            (_, Ok(number)) if text.contains('.') => Value::Double(number),
            _ if text == "true" || text == "false" => Value::Bool(text == "true"),
            _ => Value::from(text),
        },
    }
}

/// `check("+", "1 | 2", "3")` in both dialects; `err` expects an error.
fn check(name: &str, arguments: &str, expected: &str) {
    for dialect in [Dialect::OpenCypher, Dialect::Kuzu] {
        check_in(dialect, name, arguments, expected);
    }
}

fn check_in(dialect: Dialect, name: &str, arguments: &str, expected: &str) {
    let values: Vec<Value> =
        if arguments.is_empty() { Vec::new() } else { arguments.split(" | ").map(value).collect() };
    match call(name, dialect, &values) {
        Ok(result) => assert_eq!(result.iso_text(), expected, "{name}({arguments})"),
        Err(error) => assert_eq!("err", expected, "{name}({arguments}): {error}"),
    }
}

#[test]
fn arithmetic() {
    check("+", "1 | 2", "3");
    check("+", "9223372036854775807 | 1", "err");
    check("-", "-9223372036854775808", "err");
    check("*", "4611686018427387904 | 2", "err");
    check("/", "7 | 2", "3");
    check("/", "7 | 0", "err");
    check("/", "7.0 | 0", "Infinity");
    check("/", "-9223372036854775808 | -1", "err");
    check("%", "-7 | 3", "-1");
    check("%", "-9223372036854775808 | -1", "0");
    check("%", "5 | 0", "err");
    check("^", "2 | 10", "1024.0");
    check("+", "1 | null", "NULL");
    check("+", "1::UINT64 | -2", "-1");
    check("+", "1.25::DECIMAL(5,2) | 2", "3.25");
    check("*", "1.5::DECIMAL(5,1) | 1.5::DECIMAL(5,1)", "2.25");
    check("/", "1::DECIMAL(5,0) | 3::DECIMAL(5,0)", "0.333333");
    check("+", "1 | 2.5", "3.5");
}

#[test]
fn comparison_and_logic() {
    check("=", "1 | 1.0", "true");
    check("=", "1 | a", "false");
    check("<", "1 | a", "NULL");
    check("<", "a | b", "true");
    check("=", "[1,2]::INT64[] | [1,NULL]::INT64[]", "NULL");
    check("<>", "[1,2]::INT64[] | [2,NULL]::INT64[]", "true");
    check("<", "[1,2]::INT64[] | [1,3]::INT64[]", "true");
    check("<", "2011-08-20::DATE | 2011-08-20 00:00:01::TIMESTAMP", "true");
    check_in(Dialect::Kuzu, "=", "2011-08-20::DATE | 2011-08-20", "true");
    check_in(Dialect::OpenCypher, "=", "2011-08-20::DATE | 2011-08-20", "false");
    check(">", "NaN::DOUBLE | 1.0", "false");
    check("<>", "NaN::DOUBLE | NaN::DOUBLE", "true");
    check("AND", "false | null", "false");
    check("AND", "true | null", "NULL");
    check("OR", "true | null", "true");
    check("OR", "false | null", "NULL");
    check("XOR", "true | null", "NULL");
    check("NOT", "true", "false");
    check("IS NULL", "null", "true");
    check("IS NOT NULL", "1", "true");
    check("IN", "2 | [1,2]::INT64[]", "true");
    check("IN", "3 | [1,NULL]::INT64[]", "NULL");
    check("IN", "null | []::INT64[]", "false");
    check("IN", "b | [a,b]::STRING[]", "true");
    check("IN", "1.0 | [1]::INT64[]", "true");
}

#[test]
fn texts_are_ordered_by_their_bytes_whatever_their_first_ones_are() {
    let texts = [
        "",
        "\0",
        "a",
        "a\0",
        "a\0\0\0\0",
        "ab",
        "abcd",
        "abcd\0",
        "abcde",
        "abce",
        "abcdefghijkl",
        "abcdefghijklm",
        "abcdefghijklmn",
        "abcdefghijkzz",
        "b",
        "ä",
        "zzzzzzzzzzzzzzzzzz",
    ];
    for left in texts {
        for right in texts {
            let order = left.as_bytes().cmp(right.as_bytes());
            let answers =
                [("<", order.is_lt()), ("<=", order.is_le()), (">", order.is_gt()), (">=", order.is_ge())];
            for (name, expected) in answers {
                let found = call(name, Dialect::OpenCypher, &[Value::from(left), Value::from(right)]);
                assert_eq!(found.unwrap(), Value::Bool(expected), "{left:?} {name} {right:?}");
            }
        }
    }
}

#[test]
fn strings() {
    check("STARTS WITH", "hello | he", "true");
    check("CONTAINS", "hello | xx", "false");
    check("toUpper", "straße", "STRASSE");
    check_in(Dialect::OpenCypher, "substring", "hällo | 1 | 3", "äll");
    check_in(Dialect::Kuzu, "substring", "hällo | 1 | 3", "häl");
    check_in(Dialect::OpenCypher, "substring", "hello | 9", "");
    check_in(Dialect::OpenCypher, "substring", "hello | -1", "err");
    check("size", "häl", "3");
    check("left", "hello | 2", "he");
    check("right", "hello | 2", "lo");
    check("reverse", "abc", "cba");
    check("replace", "hello | l | L", "heLLo");
    check("split", "a,b,,c | ,", "[a,b,,c]");
    check("concat", "a | null | 1", "a1");
    check("+", "a | 1", "a1");
    check("lpad", "7 x | 5 | 0::STRING", "007 x");
    check("repeat", "ab | 9223372036854775807", "err");
    check("trim", " x ::STRING", "x");
}

#[test]
fn numbers_and_choices() {
    check("abs", "-9223372036854775808", "err");
    check("abs", "-5", "5");
    check("round", "-1.5", "-1.0");
    check("floor", "-1.5", "-2.0");
    check("sign", "-1.5", "-1");
    check("toInteger", "3.7 x", "NULL");
    check("toInteger", "3.9::STRING", "3");
    check("toFloat", "x", "NULL");
    check("toBoolean", "TRUE", "true");
    check("toString", "1.0", "1.0");
    check("pi", "", "3.141592653589793");
    check("coalesce", "null | 2 | 3", "2");
    check("nullif", "2 | 2", "NULL");
    check("greatest", "2 | null | 3.5", "3.5");
    check("CASE", "false | 1 | true | 2 | 3", "2");
    assert!(matches!(call("rand", Dialect::Kuzu, &[]), Ok(Value::Double(x)) if (0.0..1.0).contains(&x)));
    check("hash", "1::INT8", &crate::vector::hash_u64(1).to_string());
}

#[test]
fn lists_and_maps() {
    check("range", "1 | 5 | 2", "[1,3,5]");
    check("range", "1 | 9223372036854775807", "err");
    check("range", "1 | 2 | 0", "err");
    check("size", "[1,2]::INT64[]", "2");
    check("size", "null", "NULL");
    check("head", "[]::INT64[]", "NULL");
    check("last", "[1,2]::INT64[]", "2");
    check("tail", "[1,2,3]::INT64[]", "[2,3]");
    check_in(Dialect::OpenCypher, "[]", "[1,2,3]::INT64[] | 0", "1");
    check_in(Dialect::Kuzu, "[]", "[1,2,3]::INT64[] | 1", "1");
    check("[]", "[1,2,3]::INT64[] | -1", "3");
    check("[]", "[1]::INT64[] | 9223372036854775807", "NULL");
    check_in(Dialect::OpenCypher, "[..]", "[1,2,3]::INT64[] | 1 | null", "[2,3]");
    check_in(Dialect::OpenCypher, "[..]", "[1,2,3]::INT64[] | -2 | -1", "[2]");
    check_in(Dialect::Kuzu, "[..]", "[1,2,3]::INT64[] | 1 | 2", "[1,2]");
    check("+", "[1]::INT64[] | [2.5]::DOUBLE[]", "[1.0,2.5]");
    check("+", "[1]::INT64[] | 2", "[1,2]");
    check("+", "0 | [1]::INT64[]", "[0,1]");
    check("list_contains", "[1,2]::INT64[] | 2", "true");
    check("list_position", "[1,2]::INT64[] | 7", "0");
    check("list_sort", "[3,1,2]::INT64[]", "[1,2,3]");
    check("list_distinct", "[3,1,3]::INT64[]", "[3,1]");
    check("list_sum", "[3,1]::INT64[]", "4");
    check("list_creation", "1 | 2.5", "[1.0,2.5]");
    check("map", "[a,b]::STRING[] | [1,2]::INT64[]", "{a=1, b=2}");
    check("map", "[a,a]::STRING[] | [1,2]::INT64[]", "err");
    check("map_extract", "{a=1}::MAP(STRING,INT64) | a", "[1]");
    check("keys", "{a: 1, b: 2}::STRUCT(a INT64, b INT64)", "[a,b]");
    check("[]", "{a: 1, b: 2}::STRUCT(a INT64, b INT64) | b", "2");
}

#[test]
fn points_in_time() {
    check("date", "2011-08-20", "2011-08-20");
    check("date", "2015-W30-2", "2015-07-21");
    check("date", "2015202::STRING", "2015-07-21");
    check(
        "date",
        "{year: 1984, week: 10, dayOfWeek: 3}::STRUCT(year INT64, week INT64, dayOfWeek INT64)",
        "1984-03-07",
    );
    check("localdatetime", "20150721T2140", "2015-07-21T21:40");
    check("datetime", "2015-07-21T21:40:32.142+01:00", "2015-07-21T21:40:32.142+01:00");
    check("time", "21:40+01:00", "21:40+01:00");
    check("timestamp", "2011-08-20 11:25:30.5", "2011-08-20T11:25:30.5");
    check("duration", "{days: 14, hours: 16.5}::STRUCT(days INT64, hours DOUBLE)", "P14DT16H30M");
    check("interval", "3 years 2 days", "P3Y2D");
    check("interval", "3 parsecs", "err");
    check("date_part", "year | 2011-08-20::DATE", "2011");
    check("date_part", "Minute | 2011-08-20 11:25:30::TIMESTAMP", "25");
    check("date_part", "colour | 2011-08-20::DATE", "err");
    check("year", "2011-08-20 11:25:30::TIMESTAMP_NS", "2011");
    check("dayOfWeek", "2011-08-20::DATE", "6");
    check("hour", "2015-07-21T21:40:32+01:00::DATETIME", "21");
    check("epochSeconds", "1970-01-01T01:00:00+01:00::DATETIME", "0");
    check("date_trunc", "month | 2011-08-20::DATE", "2011-08-01");
    check("date_trunc", "hour | 2011-08-20 11:25:30::TIMESTAMP", "2011-08-20T11:00:00");
    check("last_day", "2024-02-03::DATE", "2024-02-29");
    check("monthname", "2024-02-03::DATE", "February");
    check("make_date", "2024 | 2 | 30", "err");
    check("to_days", "3", "P3D");
}

#[test]
fn sums_of_time() {
    check("+", "2024-01-31::DATE | 1 month::INTERVAL", "2024-02-29");
    check("+", "2024-01-31::DATE | 1", "2024-02-01");
    check("-", "2024-01-31::DATE | 2024-01-01::DATE", "30");
    check("-", "2024-01-31 12:00:00::TIMESTAMP | 2024-01-30 11:00:00::TIMESTAMP", "P1DT1H");
    check("+", "9999-01-01::DATE | 99999999999999 years::INTERVAL", "err");
    check("-", "12:00::LOCALTIME | 13 hours::INTERVAL", "23:00");
    check("+", "1 day::INTERVAL | 2 hours::INTERVAL", "P1DT2H");
    check("*", "1 day::INTERVAL | 1.5", "P1DT12H");
    check("-", "1 day::INTERVAL", "P-1D");
    check(
        "+",
        "2024-03-30T12:00[Europe/Stockholm]::DATETIME | 1 day::INTERVAL",
        "2024-03-31T12:00+02:00[Europe/Stockholm]",
    );
    check(
        "+",
        "2024-03-30T12:00[Europe/Stockholm]::DATETIME | 24 hours::INTERVAL",
        "2024-03-31T13:00+02:00[Europe/Stockholm]",
    );
    check("duration.between", "2023-01-31::DATE | 2024-03-01::DATE", "P1Y1M1D");
    check("duration.inDays", "2024-01-01::DATE | 2024-03-01::DATE", "P60D");
}

#[test]
fn any_values_take_the_function_of_their_type() {
    let any = DataType::Any;
    let bound = resolve_scalar("+", Dialect::OpenCypher, &[any.clone(), any.clone()]).unwrap();
    let values = [Value::Int64(1), Value::from("x"), Value::Null, Value::Double(0.5)];
    let mut column = VectorBuffer::new(any.clone());
    values.iter().for_each(|value| column.push_value(value).unwrap());
    let mut out = VectorBuffer::new(bound.result.clone());
    let mut context = KernelContext::for_constants();
    let vectors = [column.vector(), column.vector()];
    let result = bound.evaluate(&mut context, &vectors, 4, Selection::All, &mut out).unwrap();
    let shown: Vec<String> = (0..4).map(|row| result.value(row, &bound.result).to_string()).collect();
    assert_eq!(shown, ["2", "xx", "NULL", "1.0"]);
    let lower = resolve_scalar("toLower", Dialect::OpenCypher, &[any]).unwrap();
    assert_eq!(lower.result, DataType::String);
}

#[test]
fn a_struct_is_packed_and_taken_apart() {
    let fields =
        vec![crate::types::Field::new("a", DataType::Int64), crate::types::Field::new("b", DataType::String)];
    let pack = bind_struct_pack(fields);
    let (mut first, mut second) = (VectorBuffer::new(DataType::Int64), VectorBuffer::new(DataType::String));
    (0..3).for_each(|row| first.push(row as i64));
    (0..3).for_each(|_| second.push_str("a text of more than twelve bytes"));
    let (mut context, mut packed) = (KernelContext::for_constants(), VectorBuffer::new(pack.result.clone()));
    let vectors = [first.vector(), second.vector()];
    let structs = pack.evaluate(&mut context, &vectors, 3, Selection::All, &mut packed).unwrap();
    let extract = bind_struct_extract(&pack.result, "B").unwrap();
    let mut out = VectorBuffer::new(extract.result.clone());
    let texts = extract.evaluate(&mut context, &[structs], 3, Selection::All, &mut out).unwrap();
    assert_eq!(texts.text_at(2), Some("a text of more than twelve bytes"));
    assert!(bind_struct_extract(&pack.result, "c").is_err());
}

#[test]
fn only_selected_rows_raise_errors() {
    let bound = resolve_scalar("/", Dialect::OpenCypher, &[DataType::Int64, DataType::Int64]).unwrap();
    let (left, right) = ([1i64, 2, 3], [1i64, 0, 3]);
    let vectors = [
        ValueVector::flat(crate::vector::Values::I64(&left)),
        ValueVector::flat(crate::vector::Values::I64(&right)),
    ];
    let (mut context, mut out) = (KernelContext::for_constants(), VectorBuffer::new(DataType::Int64));
    let all = bound.evaluate(&mut context, &vectors, 3, Selection::All, &mut out).map(|_| ());
    assert_eq!(all, Err(FunctionError::DivisionByZero { function: "/" }));
    assert!(bound.evaluate(&mut context, &vectors, 3, Selection::Rows(&[0, 2]), &mut out).is_ok());
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

    #[test]
    fn overflow_is_always_seen(
        left in prop_oneof![any::<i64>(), -3i64..3, Just(i64::MAX), Just(i64::MIN)],
        right in prop_oneof![any::<i64>(), -3i64..3, Just(i64::MAX), Just(i64::MIN)],
    ) {
        let exact = [
            ("+", left.checked_add(right)),
            ("-", left.checked_sub(right)),
            ("*", left.checked_mul(right)),
            ("/", left.checked_div(right)),
            ("%", if right == 0 { None } else { Some(left.wrapping_rem(right)) }),
        ];
        for (name, expected) in exact {
            let result = call(name, Dialect::OpenCypher, &[Value::Int64(left), Value::Int64(right)]).ok();
            prop_assert_eq!(result, expected.map(Value::Int64), "{}", name);
        }
    }

    #[test]
    fn selections_are_the_rows_that_are_true(
        values in prop::collection::vec(prop::option::of(-3i64..3), 1..150),
        bound_value in -3i64..3,
        op in prop_oneof![Just("="), Just("<>"), Just("<"), Just("<="), Just(">"), Just(">=")],
    ) {
        let mut column = VectorBuffer::new(DataType::Int64);
        values.iter().for_each(|value| column.push_value(&Value::from(*value)).unwrap());
        let constants = [bound_value];
        let vectors = [column.vector(), ValueVector::constant(crate::vector::Values::I64(&constants))];
        let function = resolve_scalar(op, Dialect::OpenCypher, &[DataType::Int64, DataType::Int64]).unwrap();
        let (mut context, mut scratch) = (KernelContext::for_constants(), VectorBuffer::new(DataType::Bool));
        let mut chosen = SelectionBuffer::default();
        let rows: Vec<u16> = (0..values.len() as u16).filter(|row| row % 5 != 0).collect();
        let selection = Selection::Rows(&rows);
        function.select(&mut context, &vectors, values.len(), selection, &mut scratch, &mut chosen).unwrap();
        let truths = function.evaluate(&mut context, &vectors, values.len(), Selection::All, &mut scratch).unwrap();
        for row in 0..values.len() {
            let expected = row % 5 != 0 && truths.bool_at(row) == Some(true);
            prop_assert_eq!(chosen.view().contains(row), expected);
        }
    }
}
