//! Lists. Indexing and slicing have an entry per dialect: openCypher counts from 0 and excludes the end, Kuzu counts
//! from 1 and includes it; negative positions count from the end in both.

use std::cmp::Ordering;
use std::ops::Range;

use super::super::kernel::{mistyped, operand, push_rows};
use super::super::watch::{Made, go_on};
use super::super::{
    Availability, Call, ELEMENTS_PER_LOOK, FunctionError, FunctionResult, Kernel, Overload, ScalarFunction,
    common_type,
};
use super::{aliased, entry, is_integer, only};
use crate::types::{DataType, Value};
use crate::vector::{
    ListReader, Multiplicity, Selection, Validity, ValueVector, VectorBuffer, compare_rows, equal_rows,
    sort_in_pieces,
};

pub const TABLE: &[ScalarFunction] = &[
    entry("range", range),
    aliased("size", &["length", "len", "list_len", "array_length", "cardinality"], size),
    entry("head", |types| {
        pick(types, |_, call, out| pick_kernel(call, out, |length| (length > 0).then_some(0)))
    }),
    entry("last", |types| pick(types, |_, call, out| pick_kernel(call, out, |length| length.checked_sub(1)))),
    entry("tail", |types| {
        sublist(types, |_, call, out| part_kernel(call, out, |_, length| (1.min(length), length)))
    }),
    only(Availability::OpenCypher, "[]", |types| index(types, |_, call, out| index_kernel(call, out, 0))),
    only(Availability::Kuzu, "[]", |types| index(types, |_, call, out| index_kernel(call, out, 1))),
    aliased("list_extract", &["list_element", "array_extract"], |types| {
        index(types, |_, call, out| index_kernel(call, out, 1))
    }),
    only(Availability::OpenCypher, "[..]", |types| slice(types, |_, call, out| slice_kernel(call, out, 0))),
    only(Availability::Kuzu, "[..]", |types| slice(types, |_, call, out| slice_kernel(call, out, 1))),
    aliased("list_slice", &["array_slice"], |types| slice(types, |_, call, out| slice_kernel(call, out, 1))),
    aliased("+", &["list_concat", "list_cat", "array_concat", "array_cat"], concat),
    aliased("list_append", &["array_append", "array_push_back"], append),
    aliased("list_prepend", &["array_prepend", "array_push_front"], prepend),
    aliased("list_contains", &["list_has", "array_contains", "array_has"], contains),
    aliased("list_position", &["list_indexof", "array_position", "array_indexof"], position),
    aliased("list_creation", &["list_value"], create),
    aliased("list_reverse", &["reverse"], |types| {
        reorder(types, |_, call, out| sort_kernel(call, out, Order::Reverse))
    }),
    aliased("list_sort", &["array_sort"], |types| {
        reorder(types, |_, call, out| sort_kernel(call, out, Order::Ascending))
    }),
    aliased("list_reverse_sort", &["array_reverse_sort"], |types| {
        reorder(types, |_, call, out| sort_kernel(call, out, Order::Descending))
    }),
    aliased("list_distinct", &["list_unique_values"], |types| {
        reorder(types, |_, call, out| sort_kernel(call, out, Order::Distinct))
    }),
    aliased("list_sum", &["array_sum"], |types| fold(types, "sum")),
    aliased("list_avg", &[], |types| fold(types, "avg")),
    aliased("list_min", &[], |types| fold(types, "min")),
    aliased("list_max", &[], |types| fold(types, "max")),
];

/// Most elements that `range` makes for one row.
const RANGE_MAX: i128 = 1 << 28;

/// A list argument.
fn lists<'c>(call: &Call<'c>, position: usize) -> FunctionResult<ListReader<'c>> {
    call.arguments[position].list_reader().ok_or_else(|| mistyped(call.function.name))
}

fn range(types: &[DataType]) -> Option<Overload> {
    if !(2..=3).contains(&types.len()) || !types.iter().all(is_integer) {
        return None;
    }
    let kernel: Kernel = |context, call, out| {
        let mut seen = 0;
        let (starts, ends) = (operand::<i64>(call, 0)?, operand::<i64>(call, 1)?);
        let steps = if call.arguments.len() > 2 { Some(operand::<i64>(call, 2)?) } else { None };
        push_lists(call, out, |row, child| {
            let (start, end, step) =
                (starts.get(row), ends.get(row), steps.map_or(1, |steps| steps.get(row)));
            if step == 0 {
                return Err(FunctionError::invalid(call.function.name, "the step must not be zero"));
            }
            let count = (i128::from(end) - i128::from(start)) / i128::from(step) + 1;
            let empty = (step > 0 && start > end) || (step < 0 && start < end);
            if !empty && count > RANGE_MAX {
                return Err(FunctionError::invalid(call.function.name, "the list would be too long"));
            }
            let count = if empty { 0 } else { count as i64 };
            if child.len() + count as usize >= seen + ELEMENTS_PER_LOOK {
                seen = child.len() + count as usize;
                context.go_on(call.function.name, (seen * size_of::<i64>()) as u64)?;
            }
            for first in (0..count).step_by(ELEMENTS_PER_LOOK) {
                if first > 0 {
                    context.go_on(call.function.name, 0)?;
                }
                // All values lie between start and end.
                let piece = first..count.min(first + ELEMENTS_PER_LOOK as i64);
                piece.for_each(|number| child.push(start + number * step));
            }
            Ok(())
        })
    };
    Some(Overload::new(vec![DataType::Int64; types.len()], DataType::list(DataType::Int64), kernel))
}

/// Appends elements to a list that is made, with a look at whether to go on now and then.
fn append_elements(
    call: &Call<'_>,
    child: &mut VectorBuffer,
    from: &ValueVector<'_>,
    elements: Range<usize>,
) -> FunctionResult<()> {
    for start in elements.clone().step_by(ELEMENTS_PER_LOOK) {
        if start > elements.start {
            call.go_on(child.bytes())?;
        }
        child.append_range(from, start, ELEMENTS_PER_LOOK.min(elements.end - start));
    }
    Ok(())
}

/// Writes a list per active row; `push` appends its elements.
fn push_lists(
    call: &Call<'_>,
    out: &mut VectorBuffer,
    mut push: impl FnMut(usize, &mut VectorBuffer) -> FunctionResult<()>,
) -> FunctionResult<()> {
    let (offsets, child) = out.list_mut().ok_or_else(|| mistyped(call.function.name))?;
    let mut made = Made::default();
    for row in 0..call.length {
        if call.active.is_valid(row) {
            push(row, child)?;
            made.grew(call, || child.bytes())?;
        }
        let end = u32::try_from(child.len());
        offsets.push(
            end.map_err(|_| FunctionError::invalid(call.function.name, "the lists would be too long"))?,
        );
    }
    out.finish_rows(call.length, call.active);
    Ok(())
}

fn size(types: &[DataType]) -> Option<Overload> {
    let [only] = types else { return None };
    if only.physical() != crate::types::PhysicalType::List {
        return None;
    }
    let kernel: Kernel = |_, call, out| {
        let lists = lists(call, 0)?;
        super::super::kernel::map_rows(call, out, |row| {
            let (start, end) = lists.range(row);
            Ok((end - start) as i64)
        })
    };
    Some(Overload::new([only.clone()], DataType::Int64, kernel))
}

fn pick(types: &[DataType], kernel: Kernel) -> Option<Overload> {
    let [list] = types else { return None };
    Some(Overload::new([list.clone()], list.element()?.clone(), kernel))
}

fn pick_kernel(
    call: &Call<'_>,
    out: &mut VectorBuffer,
    choose: impl Fn(usize) -> Option<usize>,
) -> FunctionResult<()> {
    let lists = lists(call, 0)?;
    let child = lists.child;
    push_rows(call, out, |row, out| {
        let (start, end) = lists.range(row);
        push_element(&child, choose(end - start).map(|position| start + position), out);
        Ok(())
    })
}

fn push_element(child: &ValueVector<'_>, row: Option<usize>, out: &mut VectorBuffer) {
    match row {
        Some(row) => out.append_row(child, row),
        None => out.push_null(),
    }
}

fn sublist(types: &[DataType], kernel: Kernel) -> Option<Overload> {
    let [list] = types else { return None };
    let result = DataType::list(list.element()?.clone());
    Some(Overload::new([list.clone()], result, kernel))
}

fn part_kernel(
    call: &Call<'_>,
    out: &mut VectorBuffer,
    part: impl Fn(usize, usize) -> (usize, usize),
) -> FunctionResult<()> {
    let lists = lists(call, 0)?;
    let elements = lists.child;
    push_lists(call, out, |row, child| {
        let (start, end) = lists.range(row);
        let (from, to) = part(row, end - start);
        append_elements(call, child, &elements, start + from..start + to.max(from))
    })
}

fn index(types: &[DataType], kernel: Kernel) -> Option<Overload> {
    let [list, position] = types else { return None };
    let element = list.element()?.clone();
    is_integer(position).then(|| Overload::new([list.clone(), DataType::Int64], element, kernel))
}

fn index_kernel(call: &Call<'_>, out: &mut VectorBuffer, first: i64) -> FunctionResult<()> {
    let (lists, positions) = (lists(call, 0)?, operand::<i64>(call, 1)?);
    let child = lists.child;
    push_rows(call, out, |row, out| {
        let (start, end) = lists.range(row);
        let (length, position) = ((end - start) as i64, positions.get(row));
        let place = if position < 0 { position.saturating_add(length) } else { position - first };
        let inside = (0..length).contains(&place);
        push_element(&child, inside.then(|| start + place as usize), out);
        Ok(())
    })
}

/// List, start, end; a NULL type stands for a bound that is not given.
fn slice(types: &[DataType], kernel: Kernel) -> Option<Overload> {
    let [list, start, end] = types else { return None };
    if !is_integer(start) || !is_integer(end) {
        return None;
    }
    let result = DataType::list(list.element()?.clone());
    let bound =
        |data_type: &DataType| if *data_type == DataType::Null { DataType::Null } else { DataType::Int64 };
    let overload = Overload::new([list.clone(), bound(start), bound(end)], result, kernel);
    Some(overload.seeing_nulls())
}

fn slice_kernel(call: &Call<'_>, out: &mut VectorBuffer, first: i64) -> FunctionResult<()> {
    let types = &call.function.arguments;
    let readers = [1, 2].map(|position| call.arguments[position].native_reader::<i64>());
    // A bound that is not given is none, one that is null is nothing.
    let bound = |position: usize, row: usize| match (&types[position], &readers[position - 1]) {
        (DataType::Null, _) => Some(None),
        (_, Some(reader)) if !call.arguments[position].is_null(row) => Some(Some(reader.get(row))),
        _ => None,
    };
    let rows = lists(call, 0).ok();
    let mut valid = vec![0u64; call.length.div_ceil(64)];
    let (offsets, child) = out.list_mut().ok_or_else(|| mistyped(call.function.name))?;
    for row in 0..call.length {
        let asked = call.active.is_valid(row) && !call.arguments[0].is_null(row);
        if let (Some(rows), true, Some(from), Some(to)) = (&rows, asked, bound(1, row), bound(2, row)) {
            valid[row / 64] |= 1 << (row % 64);
            let (start, end) = rows.range(row);
            let (from, to) = slice_bounds((end - start) as i64, from, to, first);
            append_elements(call, child, &rows.child, start + from..start + to.max(from))?;
        }
        offsets.push(child.len() as u32);
    }
    out.finish_rows(call.length, Validity::Mask(&valid));
    Ok(())
}

/// Positions from 0, the end excluded.
fn slice_bounds(length: i64, from: Option<i64>, to: Option<i64>, first: i64) -> (usize, usize) {
    let place = |position: i64, is_end: bool| {
        let place = match (position < 0, first, is_end) {
            (true, 0, _) | (true, _, false) => position.saturating_add(length),
            // Kuzu's end is included.
            (true, _, true) => position.saturating_add(length).saturating_add(1),
            (false, 0, _) => position,
            (false, _, false) => position - 1,
            (false, _, true) => position,
        };
        place.clamp(0, length) as usize
    };
    (
        from.map_or(0, |position| place(position, false)),
        to.map_or(length as usize, |position| place(position, true)),
    )
}

/// Two lists, or a list and an element.
fn concat(types: &[DataType]) -> Option<Overload> {
    let [left, right] = types else { return None };
    match (left.element(), right.element()) {
        (Some(left_element), Some(right_element)) => {
            // A list of lists with one of its elements is an append, not a concatenation.
            if left_element == right && left != right {
                return append(types);
            }
            let list = DataType::list(common_type(left_element, right_element));
            Some(Overload::new([list.clone(), list.clone()], list, concat_kernel))
        }
        // A value that is known only when the row is there is a list of its own or an element.
        (Some(_), None) if *right == DataType::Any => {
            Some(concat_any([DataType::list(DataType::Any), DataType::Any]))
        }
        (None, Some(_)) if *left == DataType::Any => {
            Some(concat_any([DataType::Any, DataType::list(DataType::Any)]))
        }
        (Some(_), None) if *right != DataType::Null => append(types),
        (None, Some(_)) if *left != DataType::Null => {
            prepend(&[right.clone(), left.clone()]).map(|overload| Overload {
                arguments: overload.arguments.into_iter().rev().collect(),
                kernel: |_, call, out| insert_kernel(call, out, 1, 0),
                ..overload
            })
        }
        (Some(_), None) | (None, Some(_)) => {
            let list = if left.element().is_some() { left } else { right };
            Some(Overload::new([list.clone(), list.clone()], list.clone(), concat_kernel))
        }
        (None, None) => None,
    }
}

fn concat_any(types: [DataType; 2]) -> Overload {
    let kernel: Kernel = |_, call, out| {
        push_rows(call, out, |row, out| {
            let mut all = Vec::new();
            for (argument, data_type) in call.arguments.iter().zip(&call.function.arguments) {
                match argument.value(row, data_type) {
                    Value::List(elements) => all.extend(elements),
                    element => all.push(element),
                }
            }
            Ok(out.push_value(&Value::List(all))?)
        })
    };
    Overload::new(types, DataType::list(DataType::Any), kernel)
}

fn concat_kernel(
    _: &mut super::super::KernelContext,
    call: &Call<'_>,
    out: &mut VectorBuffer,
) -> FunctionResult<()> {
    let parts = [lists(call, 0)?, lists(call, 1)?];
    push_lists(call, out, |row, child| {
        for part in &parts {
            let (start, end) = part.range(row);
            append_elements(call, child, &part.child, start..end)?;
        }
        Ok(())
    })
}

fn with_element(types: &[DataType], kernel: Kernel) -> Option<Overload> {
    let [list, element] = types else { return None };
    let common = common_type(list.element()?, element);
    let result = DataType::list(common.clone());
    Some(Overload::new([result.clone(), common], result, kernel).seeing_nulls())
}

fn append(types: &[DataType]) -> Option<Overload> {
    with_element(types, |_, call, out| insert_kernel(call, out, 0, usize::MAX))
}

fn prepend(types: &[DataType]) -> Option<Overload> {
    with_element(types, |_, call, out| insert_kernel(call, out, 0, 0))
}

/// The list argument with the other argument put at its start (`place` 0) or end.
fn insert_kernel(call: &Call<'_>, out: &mut VectorBuffer, list: usize, place: usize) -> FunctionResult<()> {
    let element = &call.arguments[1 - list];
    let rows = lists(call, list).ok();
    let mut valid = vec![0u64; call.length.div_ceil(64)];
    let (offsets, child) = out.list_mut().ok_or_else(|| mistyped(call.function.name))?;
    for row in 0..call.length {
        if let (Some(rows), false) = (&rows, call.arguments[list].is_null(row)) {
            valid[row / 64] |= 1 << (row % 64);
            let (start, end) = rows.range(row);
            if place == 0 {
                child.append_row(element, row);
            }
            append_elements(call, child, &rows.child, start..end)?;
            if place != 0 {
                child.append_row(element, row);
            }
        }
        offsets.push(child.len() as u32);
    }
    out.finish_rows(call.length, Validity::Mask(&valid));
    Ok(())
}

/// The position of an element that groups with the wanted one.
fn find(call: &Call<'_>, rows: &ListReader<'_>, row: usize) -> FunctionResult<Option<usize>> {
    let (start, end) = rows.range(row);
    let child = rows.child;
    let element = &call.function.arguments[1];
    for first in (start..end).step_by(ELEMENTS_PER_LOOK) {
        if first > start {
            go_on(call.function.name)?;
        }
        let found = (first..end.min(first + ELEMENTS_PER_LOOK))
            .find(|other| equal_rows(&child, *other, &call.arguments[1], row, element));
        if let Some(position) = found {
            return Ok(Some(position - start));
        }
    }
    Ok(None)
}

fn search(types: &[DataType], result: DataType, kernel: Kernel) -> Option<Overload> {
    let [list, element] = types else { return None };
    let common = common_type(list.element()?, element);
    Some(Overload::new([DataType::list(common.clone()), common], result, kernel))
}

fn contains(types: &[DataType]) -> Option<Overload> {
    search(types, DataType::Bool, |_, call, out| {
        let rows = lists(call, 0)?;
        super::super::kernel::map_truths(call, out, |row| Ok(find(call, &rows, row)?.is_some()))
    })
}

/// From 1; 0 where the element is not there, as Kuzu has it.
fn position(types: &[DataType]) -> Option<Overload> {
    search(types, DataType::Int64, |_, call, out| {
        let rows = lists(call, 0)?;
        super::super::kernel::map_rows(call, out, |row| {
            Ok(find(call, &rows, row)?.map_or(0, |position| position as i64 + 1))
        })
    })
}

/// A list literal.
fn create(types: &[DataType]) -> Option<Overload> {
    let element = types.iter().fold(DataType::Null, |meeting, next| common_type(&meeting, next));
    let kernel: Kernel = |_, call, out| {
        push_lists(call, out, |row, child| {
            call.arguments.iter().for_each(|argument| child.append_row(argument, row));
            Ok(())
        })
    };
    Some(Overload::new(vec![element.clone(); types.len()], DataType::list(element), kernel).seeing_nulls())
}

/// How a list's elements are arranged anew.
#[derive(Clone, Copy, PartialEq)]
enum Order {
    Reverse,
    Ascending,
    Descending,
    Distinct,
}

fn reorder(types: &[DataType], kernel: Kernel) -> Option<Overload> {
    sublist(types, kernel)
}

fn sort_kernel(call: &Call<'_>, out: &mut VectorBuffer, order: Order) -> FunctionResult<()> {
    let rows = lists(call, 0)?;
    let elements = rows.child;
    let Some(element) = call.function.arguments[0].element() else {
        return Err(mistyped(call.function.name));
    };
    push_lists(call, out, |row, child| {
        let (start, end) = rows.range(row);
        if end - start > ELEMENTS_PER_LOOK {
            // The order, and what sorting takes beside it.
            call.go_on(child.bytes() + (end - start) * 2 * size_of::<u32>())?;
        }
        let mut chosen: Vec<u32> = (start as u32..end as u32).collect();
        let compare = |left: &u32, right: &u32| {
            compare_rows(&elements, *left as usize, &elements, *right as usize, element)
        };
        let check = || go_on(call.function.name);
        let in_order = |left: &u32, right: &u32| compare(left, right).then(left.cmp(right));
        match order {
            Order::Reverse => chosen.reverse(),
            Order::Ascending => sort_in_pieces(&mut chosen, in_order, check)?,
            Order::Descending => {
                sort_in_pieces(&mut chosen, |left, right| compare(right, left).then(left.cmp(right)), check)?;
            }
            Order::Distinct => {
                chosen.retain(|position| !elements.is_null(*position as usize));
                sort_in_pieces(&mut chosen, in_order, check)?;
                chosen = each_once(&chosen, compare, check)?;
                sort_in_pieces(&mut chosen, u32::cmp, check)?;
            }
        }
        for (at, part) in chosen.chunks(ELEMENTS_PER_LOOK).enumerate() {
            if at > 0 {
                call.go_on(child.bytes() + chosen.capacity() * 8)?;
            }
            child.append_rows(&elements, part);
        }
        Ok(())
    })
}

/// One of each run of equal elements.
fn each_once(
    sorted: &[u32],
    compare: impl Fn(&u32, &u32) -> Ordering,
    check: impl Fn() -> FunctionResult<()>,
) -> FunctionResult<Vec<u32>> {
    let mut once: Vec<u32> = Vec::new();
    for part in sorted.chunks(ELEMENTS_PER_LOOK) {
        check()?;
        for position in part {
            if once.last().is_none_or(|last| compare(last, position).is_ne()) {
                once.push(*position);
            }
        }
    }
    Ok(once)
}

/// An aggregate over each list's elements.
fn fold(types: &[DataType], aggregate: &'static str) -> Option<Overload> {
    let [list] = types else { return None };
    let bound = super::super::resolve_aggregate(aggregate, &[list.element()?.clone()]).ok()?;
    let kernel: Kernel = match aggregate {
        "sum" => |_, call, out| fold_kernel(call, out, "sum"),
        "avg" => |_, call, out| fold_kernel(call, out, "avg"),
        "min" => |_, call, out| fold_kernel(call, out, "min"),
        _ => |_, call, out| fold_kernel(call, out, "max"),
    };
    Some(Overload::new([DataType::list(bound.arguments[0].clone())], bound.result, kernel))
}

fn fold_kernel(call: &Call<'_>, out: &mut VectorBuffer, aggregate: &'static str) -> FunctionResult<()> {
    let rows = lists(call, 0)?;
    let Some(element) = call.function.arguments[0].element() else {
        return Err(mistyped(call.function.name));
    };
    let bound = super::super::resolve_aggregate(aggregate, std::slice::from_ref(element))?;
    let child = rows.child;
    push_rows(call, out, |row, out| {
        let (start, end) = rows.range(row);
        let mut states = bound.new_states();
        let (all, one) = (Selection::All, Multiplicity::One);
        for first in (start..end).step_by(ELEMENTS_PER_LOOK) {
            if first > start {
                go_on(call.function.name)?;
            }
            let length = ELEMENTS_PER_LOOK.min(end - first);
            states.update_all(&[child.slice_from(first)], length, all, one)?;
        }
        states.resize(1);
        states.finish(out)
    })
}
