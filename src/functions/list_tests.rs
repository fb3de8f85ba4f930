//! Functions of lists over vectors of every shape, beside what the values themselves say.

use std::sync::Arc;

use proptest::prelude::*;

use super::*;
use crate::types::{DataType, GlobalId, Value};
use crate::vector::{Selection, ValueVector, VectorBuffer};

/// How the lists of the rows are laid out.
#[derive(Debug, Clone, Copy)]
enum Layout {
    Flat,
    /// Rows of a buffer that has each list once.
    Shared,
    Dictionary,
    /// A dictionary over a dictionary.
    Nested,
    Constant,
}

const LAYOUTS: [Layout; 5] =
    [Layout::Flat, Layout::Shared, Layout::Dictionary, Layout::Nested, Layout::Constant];

fn column(data_type: &DataType, values: &[Value]) -> VectorBuffer {
    let mut buffer = VectorBuffer::new(data_type.clone());
    values.iter().for_each(|value| buffer.push_value(value).unwrap());
    buffer
}

/// Calls `visit` with rows `codes` of lists in a layout, and with the list of each row.
fn with_layout(
    layout: Layout,
    data_type: &DataType,
    lists: &[Value],
    codes: &[u32],
    visit: impl FnOnce(&ValueVector<'_>, &[Value]),
) {
    let entries = column(data_type, lists);
    let rows: Vec<Value> = codes.iter().map(|code| lists[*code as usize].clone()).collect();
    match layout {
        Layout::Flat => visit(&column(data_type, &rows).vector(), &rows),
        Layout::Shared => {
            let mut shared = VectorBuffer::new(data_type.clone());
            shared.append_rows(&entries.vector(), codes);
            visit(&shared.vector(), &rows);
        }
        Layout::Dictionary => visit(&ValueVector::dictionary(codes, &entries), &rows),
        Layout::Nested => {
            let turned: Vec<u32> = (0..lists.len() as u32).rev().collect();
            let inner = ValueVector::dictionary(&turned, &entries);
            let outer: Vec<u32> = codes.iter().map(|code| lists.len() as u32 - 1 - code).collect();
            visit(&ValueVector::dictionary(&outer, &inner), &rows);
        }
        Layout::Constant => {
            let first = column(data_type, &rows[..1]);
            visit(&first.constant_vector(), &vec![rows[0].clone(); rows.len()]);
        }
    }
}

/// Evaluates a function whose arguments are of its types; every second row is asked for, too.
fn check(name: &str, arguments: &[(ValueVector<'_>, DataType)], expected: &[Value]) {
    let types: Vec<DataType> = arguments.iter().map(|(_, data_type)| data_type.clone()).collect();
    let vectors: Vec<ValueVector<'_>> = arguments.iter().map(|(vector, _)| *vector).collect();
    let bound = resolve_scalar(name, Dialect::OpenCypher, &types).unwrap();
    assert_eq!(bound.arguments, types, "{name}");
    let every_second: Vec<u16> = (0..expected.len() as u16).step_by(2).collect();
    let mut context = KernelContext::for_constants();
    for selection in [Selection::All, Selection::Rows(&every_second)] {
        let mut out = VectorBuffer::new(bound.result.clone());
        let found = bound.evaluate(&mut context, &vectors, expected.len(), selection, &mut out).unwrap();
        for (row, expected) in expected.iter().enumerate().filter(|(row, _)| selection.contains(*row)) {
            let found = found.value(row, &bound.result);
            assert!(
                found.equivalent(expected),
                "{name} of {:?}: {found:?}, not {expected:?}",
                arguments[0].0
            );
        }
    }
}

fn elements(list: &Value) -> Option<&[Value]> {
    match list {
        Value::List(elements) => Some(elements),
        _ => None,
    }
}

fn is_in(value: &Value, list: &Value) -> Value {
    let Some(elements) = elements(list) else { return Value::Null };
    let mut open = false;
    for element in elements {
        match value.equals(element) {
            Some(true) => return Value::Bool(true),
            Some(false) => {}
            None => open = true,
        }
    }
    if open { Value::Null } else { Value::Bool(false) }
}

/// One of a few values of a type, so that they meet.
fn some(data_type: &DataType, number: u8) -> Value {
    let at = usize::from(number % 7);
    match (data_type, at) {
        (_, 0) => Value::Null,
        (DataType::Int64, _) => Value::Int64(at as i64 - 3),
        (DataType::Double, 1) => Value::Double(f64::NAN),
        (DataType::Double, 2) => Value::Double(-0.0),
        (DataType::Double, 3) => Value::Double(0.0),
        (DataType::Double, _) => Value::Double(at as f64 + 0.5),
        (DataType::Int32, _) => Value::Int32(at as i32),
        (DataType::String, _) => Value::from(["", "", "a", "b", "a text that is longer", "c", "d"][at]),
        (DataType::Node, _) => some_node(at as u64),
        (DataType::Bool, _) => Value::Bool(at > 3),
        (DataType::List(inner), _) => Value::List(vec![some(inner, number / 7), some(inner, number / 49)]),
        (_, 1) => Value::Int64(1),
        (_, 2) => Value::Double(1.0),
        (_, 3) => Value::from("a"),
        (_, 4) => Value::List(vec![Value::Int64(1), some(&DataType::Any, number / 7)]),
        (_, 5) => Value::Double(f64::NAN),
        (_, _) => Value::Bool(true),
    }
}

fn some_node(id: u64) -> Value {
    let mut buffer = VectorBuffer::new(DataType::Node);
    buffer.push(GlobalId(id).0);
    buffer.vector().value(0, &DataType::Node)
}

fn element_types() -> Vec<DataType> {
    vec![
        DataType::Int64,
        DataType::Double,
        DataType::Int32,
        DataType::String,
        DataType::Node,
        DataType::Bool,
        DataType::list(DataType::Int64),
        DataType::Any,
    ]
}

type Numbers = (Vec<Option<Vec<u8>>>, Vec<(u32, u8, i8)>);

/// Lists as numbers of their elements, short ones and some that are long; and rows: list, value, position.
fn numbers() -> impl Strategy<Value = Numbers> {
    let list = prop_oneof![
        1 => Just(None),
        4 => prop::collection::vec(any::<u8>(), 0..6).prop_map(Some),
        3 => prop::collection::vec(any::<u8>(), 9..40).prop_map(Some),
    ];
    let lists = prop::collection::vec(list, 1..6);
    (lists, prop::collection::vec((any::<u32>(), any::<u8>(), -50i8..50), 1..90))
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

    #[test]
    fn lists_are_read_the_same_in_every_layout(numbers in numbers(), kind in 0usize..8) {
        let (lists, rows) = numbers;
        let element = element_types()[kind].clone();
        let list_type = DataType::list(element.clone());
        let list = |numbers: &Option<Vec<u8>>| match numbers {
            None => Value::Null,
            Some(numbers) => Value::List(numbers.iter().map(|number| some(&element, *number)).collect()),
        };
        let lists: Vec<Value> = lists.iter().map(list).collect();
        let codes: Vec<u32> = rows.iter().map(|(list, ..)| list % lists.len() as u32).collect();
        let sought: Vec<Value> = rows.iter().map(|(_, number, _)| some(&element, *number)).collect();
        let places: Vec<Value> = rows.iter().map(|(.., place)| match place {
            50.. => Value::Null,
            place => Value::Int64(i64::from(*place)),
        }).collect();
        let (sought_column, places_column) = (column(&element, &sought), column(&DataType::Int64, &places));
        for layout in LAYOUTS {
            with_layout(layout, &list_type, &lists, &codes, |vector, rows| {
                let list = (*vector, list_type.clone());
                let alone = std::slice::from_ref(&list);
                let of = |f: &dyn Fn(usize, &[Value]) -> Value| -> Vec<Value> {
                    let one = |(row, list)| elements(list).map_or(Value::Null, |list| f(row, list));
                    rows.iter().enumerate().map(one).collect()
                };
                let found: Vec<Value> = sought.iter().zip(rows).map(|(value, list)| is_in(value, list)).collect();
                check("IN", &[(sought_column.vector(), element.clone()), list.clone()], &found);
                check("size", alone, &of(&|_, list| Value::Int64(list.len() as i64)));
                check("head", alone, &of(&|_, list| list.first().cloned().unwrap_or(Value::Null)));
                check("last", alone, &of(&|_, list| list.last().cloned().unwrap_or(Value::Null)));
                let tail = |_, list: &[Value]| Value::List(list.iter().skip(1).cloned().collect());
                check("tail", alone, &of(&tail));
                let reverse = |_, list: &[Value]| Value::List(list.iter().rev().cloned().collect());
                check("list_reverse", alone, &of(&reverse));
                let at = |row: usize, list: &[Value]| {
                    let length = list.len() as i64;
                    let place = places[row].as_i64().map(|place| if place < 0 { place + length } else { place });
                    let place = place.and_then(|place| usize::try_from(place).ok());
                    place.and_then(|place| list.get(place)).cloned().unwrap_or(Value::Null)
                };
                let position = (places_column.vector(), DataType::Int64);
                check("[]", &[list.clone(), position.clone()], &of(&at));
                let part = |row: usize, list: &[Value]| {
                    let Some(place) = places[row].as_i64() else { return Value::Null };
                    let length = list.len() as i64;
                    let from = if place < 0 { place + length } else { place };
                    Value::List(list[from.clamp(0, length) as usize..].to_vec())
                };
                let open = (ValueVector::null(), DataType::Null);
                check("[..]", &[list.clone(), position, open], &of(&part));
            });
        }
    }
}

#[test]
fn a_long_list_of_many_rows_is_prepared_once_for_all_batches() {
    let list_type = DataType::list(DataType::Int64);
    let list = Value::List((0..1000).map(|number| Value::Int64(2 * number)).collect());
    let entries = column(&list_type, &[list]);
    let values = column(&DataType::Int64, &(0..70).map(Value::Int64).collect::<Vec<_>>());
    let bound = resolve_scalar("IN", Dialect::OpenCypher, &[DataType::Int64, list_type.clone()]).unwrap();
    let mut context = KernelContext::for_constants();
    let codes = [0u32; 70];
    for lists in [ValueVector::dictionary(&codes, &entries), entries.constant_vector()] {
        for _ in 0..3 {
            let mut out = VectorBuffer::new(DataType::Bool);
            let arguments = [values.vector(), lists];
            let found = bound.evaluate(&mut context, &arguments, 70, Selection::All, &mut out).unwrap();
            assert!((0..70).all(|row| found.bool_at(row) == Some(row % 2 == 0)));
        }
    }
    assert_eq!(context.take_sets_prepared(), 1);
}

/// A type of elements, a list of them, what is looked for, and the answers.
type Asked = (DataType, Vec<Value>, Vec<Value>, Vec<Value>);

fn long_lists() -> Vec<Asked> {
    let known = |found: bool| Value::Bool(found);
    let numbers: Vec<Value> = (0..5000).map(|number| Value::Int64(2 * number)).collect();
    let texts: Vec<Value> = (0..5000).map(|number| Value::String(format!("text {}", 2 * number))).collect();
    let doubles: Vec<Value> = (0..5000)
        .map(|number| Value::Double(if number == 7 { f64::NAN } else { f64::from(number) }))
        .collect();
    let nested: Vec<Value> = (0..2000).map(|number| Value::List(vec![Value::Int64(number)])).collect();
    let with_null = [&numbers[..], &[Value::Null]].concat();
    let even = |rows: i64| (0..rows).map(|row| known(row % 2 == 0)).collect::<Vec<_>>();
    let sought: Vec<Value> = (0..70).map(Value::Int64).collect();
    let sought_texts = (0..70).map(|row| Value::String(format!("text {row}"))).collect();
    let sought_doubles: Vec<Value> =
        (0..70).map(|row| Value::Double(if row == 9 { f64::NAN } else { f64::from(row) })).collect();
    let sought_lists = (0..70).map(|row| Value::List(vec![Value::Int64(row + 1970)])).collect();
    let open = (0..70).map(|row| if row % 2 == 0 { known(true) } else { Value::Null }).collect();
    vec![
        (DataType::Int64, numbers, sought.clone(), even(70)),
        (DataType::String, texts, sought_texts, even(70)),
        (DataType::Double, doubles, sought_doubles, (0..70).map(|row| known(row != 7 && row != 9)).collect()),
        (DataType::list(DataType::Int64), nested, sought_lists, (0..70).map(|row| known(row < 30)).collect()),
        (DataType::Int64, with_null, sought, open),
    ]
}

/// The answers of one thread that shares its sets, and how many it has prepared.
fn ask_sharing(sets: &Arc<SharedSets>, round: usize) -> u64 {
    let mut context = KernelContext::for_constants().sharing(Arc::clone(sets));
    for (element, list, sought, expected) in long_lists() {
        let list_type = DataType::list(element.clone());
        let lists = column(&list_type, &[Value::List(list)]);
        let values = column(&element, &sought);
        let bound = resolve_scalar("IN", Dialect::OpenCypher, &[element.clone(), list_type]).unwrap();
        for _ in 0..round {
            let mut out = VectorBuffer::new(DataType::Bool);
            let arguments = [values.vector(), lists.constant_vector()];
            let found = bound.evaluate(&mut context, &arguments, 70, Selection::All, &mut out).unwrap();
            let found: Vec<Value> = (0..70).map(|row| found.value(row, &DataType::Bool)).collect();
            assert_eq!(found, expected, "{element:?}");
        }
    }
    context.take_sets_prepared()
}

#[test]
fn without_room_for_sets_lists_are_gone_through() {
    let refused = Arc::new(SharedSets::new(|_| false));
    assert_eq!(ask_sharing(&refused, 3), 0);
    let granted = Arc::new(SharedSets::new(|_| true));
    assert_eq!(ask_sharing(&granted, 3), long_lists().len() as u64);
}

#[test]
fn a_long_list_is_prepared_once_for_all_threads() {
    let list_type = DataType::list(DataType::Int64);
    let list = Value::List((0..5000).map(|number| Value::Int64(2 * number)).collect());
    let lists = column(&list_type, &[list]);
    let values = column(&DataType::Int64, &(0..70).map(Value::Int64).collect::<Vec<_>>());
    let bound = resolve_scalar("IN", Dialect::OpenCypher, &[DataType::Int64, list_type]).unwrap();
    let sets = Arc::new(SharedSets::new(|_| true));
    let prepared = std::thread::scope(|scope| {
        let ask = || {
            let mut context = KernelContext::for_constants().sharing(Arc::clone(&sets));
            let mut out = VectorBuffer::new(DataType::Bool);
            let arguments = [values.vector(), lists.constant_vector()];
            let found = bound.evaluate(&mut context, &arguments, 70, Selection::All, &mut out).unwrap();
            assert!((0..70).all(|row| found.bool_at(row) == Some(row % 2 == 0)));
            context.take_sets_prepared()
        };
        let threads: Vec<_> = (0..4).map(|_| scope.spawn(ask)).collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).sum::<u64>()
    });
    assert_eq!(prepared, 1);
}

#[test]
fn a_buffer_that_is_filled_anew_is_another_list() {
    let list_type = DataType::list(DataType::Int64);
    let list = |first: i64| Value::List((first..first + 20).map(Value::Int64).collect());
    let values = column(&DataType::Int64, &(0..70).map(Value::Int64).collect::<Vec<_>>());
    let bound = resolve_scalar("IN", Dialect::OpenCypher, &[DataType::Int64, list_type.clone()]).unwrap();
    let mut context = KernelContext::for_constants();
    let mut entries = VectorBuffer::new(list_type);
    for first in [0, 30, 5] {
        entries.clear();
        entries.push_value(&list(first)).unwrap();
        let mut out = VectorBuffer::new(DataType::Bool);
        let arguments = [values.vector(), entries.constant_vector()];
        let found = bound.evaluate(&mut context, &arguments, 70, Selection::All, &mut out).unwrap();
        for row in 0..70 {
            let expected = (first..first + 20).contains(&(row as i64));
            assert_eq!(found.bool_at(row), Some(expected), "{row} in {first}..");
        }
    }
}

#[test]
fn more_lists_than_sets_are_kept() {
    let list_type = DataType::list(DataType::Int64);
    let lists: Vec<Value> =
        (0..300).map(|first| Value::List((first..first + 10).map(Value::Int64).collect())).collect();
    let entries = column(&list_type, &lists);
    let codes: Vec<u32> = (0..1200).map(|row| row / 4).collect();
    let sought: Vec<Value> = (0..1200).map(|row| Value::Int64(row / 4 + row % 4 * 4)).collect();
    let found: Vec<Value> = (0..1200).map(|row| Value::Bool(row % 4 < 3)).collect();
    let sought = column(&DataType::Int64, &sought);
    let lists = (ValueVector::dictionary(&codes, &entries), list_type);
    check("IN", &[(sought.vector(), DataType::Int64), lists], &found);
}
