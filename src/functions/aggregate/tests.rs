use super::super::resolve_aggregate;
use super::*;
use crate::types::Value;

/// Feeds values by update (in two columns that are merged) and by update_all, and compares both with `expected`.
fn check(name: &str, values: &[Value], expected: Value) {
    let data_type =
        values.iter().map(Value::data_type).find(|found| *found != DataType::Null).unwrap_or(DataType::Int64);
    let bound = resolve_aggregate(name, &[data_type]).unwrap();
    let mut input = VectorBuffer::new(bound.arguments[0].clone());
    values.iter().for_each(|value| input.push_value(value).unwrap());
    let mut whole = bound.new_states();
    whole.update_all(&[input.vector()], values.len(), Selection::All, Multiplicity::One).unwrap();
    assert_eq!(finished(&bound, &whole), std::slice::from_ref(&expected), "{name}");

    let (mut left, mut right) = (bound.new_states(), bound.new_states());
    left.resize(2);
    right.resize(1);
    let even: Vec<u16> = (0..values.len() as u16).filter(|row| row % 2 == 0).collect();
    let odd: Vec<u16> = (0..values.len() as u16).filter(|row| row % 2 == 1).collect();
    left.update(
        &vec![1; values.len()],
        &[input.vector()],
        values.len(),
        Selection::Rows(&even),
        Multiplicity::One,
    )
    .unwrap();
    right
        .update(
            &vec![0; values.len()],
            &[input.vector()],
            values.len(),
            Selection::Rows(&odd),
            Multiplicity::One,
        )
        .unwrap();
    left.merge(&right, &[1]).unwrap();
    if name != "collect" {
        assert_eq!(finished(&bound, &left)[1], expected, "{name} merged");
    }
    // The states travel as columns, in another order, the second one in two halves.
    let types = bound.part_types();
    let exported = |states: &StateColumn, groups: &[u32]| {
        let mut parts: Vec<VectorBuffer> = types.iter().cloned().map(VectorBuffer::new).collect();
        states.export(groups, &mut parts).unwrap();
        parts
    };
    let mut back = bound.new_states();
    back.resize(3);
    let parts = [(exported(&whole, &[0]), vec![2]), (exported(&left, &[1, 0]), vec![0, 1])];
    for (parts, mapping) in &parts {
        let vectors: Vec<ValueVector<'_>> = parts.iter().map(VectorBuffer::vector).collect();
        back.import(&bound, &vectors, mapping).unwrap();
    }
    let (back, nothing) = (finished(&bound, &back), finished(&bound, &left)[0].clone());
    assert_eq!((&back[2], &back[1]), (&expected, &nothing), "{name} from columns");
    assert_eq!(back[0], finished(&bound, &left)[1], "{name} merged from columns");
}

fn finished(bound: &BoundAggregate, states: &StateColumn) -> Vec<Value> {
    let mut out = VectorBuffer::new(bound.result.clone());
    states.finish(&mut out).unwrap();
    (0..out.len()).map(|row| out.vector().value(row, &bound.result)).collect()
}

fn integers(values: &[i64]) -> Vec<Value> {
    values.iter().map(|value| Value::Int64(*value)).chain([Value::Null]).collect()
}

#[test]
fn aggregates_over_integers() {
    let values = integers(&[4, 2, 9, 2]);
    check("count", &values, Value::Int64(4));
    check("sum", &values, Value::Int64(17));
    check("avg", &values, Value::Double(4.25));
    check("min", &values, Value::Int64(2));
    check("max", &values, Value::Int64(9));
    check("collect", &values, Value::List(values[..4].to_vec()));
    check("stdevp", &integers(&[1, 1, 3, 3]), Value::Double(1.0));
}

#[test]
fn aggregates_over_nothing() {
    check("count", &[Value::Null], Value::Int64(0));
    check("sum", &[Value::Null], Value::Int64(0));
    check("avg", &[Value::Null], Value::Null);
    check("max", &[Value::Null], Value::Null);
    check("collect", &[Value::Null], Value::List(Vec::new()));
}

#[test]
fn aggregates_over_other_types() {
    let words: Vec<Value> =
        ["pear", "a rather long apple name", "fig"].into_iter().map(Value::from).collect();
    check("min", &words, Value::from("a rather long apple name"));
    check("max", &words, Value::from("pear"));
    check("sum", &[Value::Double(0.5), Value::Double(1.5)], Value::Double(2.0));
    check("max", &[Value::Double(f64::INFINITY), Value::Double(1.5)], Value::Double(f64::INFINITY));
    check("sum", &[Value::Decimal(125, 5, 2), Value::Decimal(75, 5, 2)], Value::Decimal(200, 38, 2));
    check("min", &[Value::Bool(true), Value::Bool(false)], Value::Bool(false));
}

#[test]
fn a_sum_beyond_its_type_is_an_error_however_it_is_fed() {
    let bound = resolve_aggregate("sum", &[DataType::Int64]).unwrap();
    let values = [i64::MAX, 1, -5];
    let vector = ValueVector::flat(crate::vector::Values::I64(&values));
    let mut states = bound.new_states();
    states.update_all(&[vector], 2, Selection::All, Multiplicity::One).unwrap();
    let mut out = VectorBuffer::new(DataType::Int64);
    assert!(states.finish(&mut out).is_err());
    // The way does not matter: what comes back into the range is right.
    states.update_all(&[vector], 3, Selection::Rows(&[2]), Multiplicity::One).unwrap();
    out.clear();
    states.finish(&mut out).unwrap();
    assert_eq!(out.vector().value(0, &DataType::Int64), Value::Int64(i64::MAX - 4));
}

#[test]
fn multiplicities_count() {
    let values = [10i64, 20, 30];
    let vector = ValueVector::flat(crate::vector::Values::I64(&values));
    let counts = Multiplicity::PerRow(&[2, 0, 3]);
    for (name, expected) in [
        ("count", Value::Int64(5)),
        ("sum", Value::Int64(110)),
        ("avg", Value::Double(22.0)),
        ("max", Value::Int64(30)),
        ("collect", Value::List([10, 10, 30, 30, 30].map(Value::Int64).to_vec())),
    ] {
        let bound = resolve_aggregate(name, &[DataType::Int64]).unwrap();
        let mut states = bound.new_states();
        states.update_all(&[vector], 3, Selection::All, counts).unwrap();
        assert_eq!(finished(&bound, &states), [expected], "{name}");
    }
    let star = resolve_aggregate("count", &[]).unwrap();
    let mut states = star.new_states();
    states.update_all(&[], 3, Selection::Rows(&[0, 1]), counts).unwrap();
    assert_eq!(finished(&star, &states), [Value::Int64(2)]);
}

#[test]
fn percentiles_interpolate_or_pick() {
    for (name, fraction, expected) in [
        ("percentileCont", 0.5, Value::Double(25.0)),
        ("percentileDisc", 0.5, Value::Int64(20)),
        ("percentileDisc", 1.0, Value::Int64(40)),
    ] {
        let bound = resolve_aggregate(name, &[DataType::Int64, DataType::Double]).unwrap();
        let values = [40.0, 10.0, 30.0, 20.0];
        let vectors = [
            ValueVector::flat(crate::vector::Values::F64(&values)),
            ValueVector::constant(crate::vector::Values::F64(std::slice::from_ref(&fraction))),
        ];
        let mut states = bound.new_states();
        states.update_all(&vectors, 4, Selection::All, Multiplicity::One).unwrap();
        assert_eq!(finished(&bound, &states), [expected], "{name}");
    }
}
