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
