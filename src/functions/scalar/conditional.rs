//! Choices between values: coalesce, nullif, greatest, least, and the merge that CASE needs.

use super::super::{Call, FunctionResult, Kernel, Overload, ScalarFunction, common_type};
use super::{aliased, entry};
use crate::types::{DataType, Value};
use crate::vector::{VectorBuffer, compare_rows};

pub const TABLE: &[ScalarFunction] = &[
    aliased("coalesce", &["ifnull"], coalesce),
    entry("nullif", nullif),
    entry("greatest", |types| extreme(types, |_, call, out| extreme_kernel(call, out, true))),
    entry("least", |types| extreme(types, |_, call, out| extreme_kernel(call, out, false))),
    entry("CASE", case),
    entry("typeof", type_of),
];

fn meeting(types: &[DataType]) -> DataType {
    types.iter().fold(DataType::Null, |meeting, next| common_type(&meeting, next))
}

fn coalesce(types: &[DataType]) -> Option<Overload> {
    if types.is_empty() {
        return None;
    }
    let result = meeting(types);
    let kernel: Kernel = |_, call, out| {
        for row in 0..call.length {
            match call.arguments.iter().find(|argument| !argument.is_null(row)) {
                Some(argument) => out.append_row(argument, row),
                None => out.push_null(),
            }
        }
        Ok(())
    };
    Some(Overload::new(vec![result.clone(); types.len()], result, kernel).seeing_nulls())
}

fn nullif(types: &[DataType]) -> Option<Overload> {
    let [left, right] = types else { return None };
    let kernel: Kernel = |_, call, out| {
        let types = &call.function.arguments;
        for row in 0..call.length {
            let left: Value = call.arguments[0].value(row, &types[0]);
            if left.equals(&call.arguments[1].value(row, &types[1])) == Some(true) {
                out.push_null();
            } else {
                out.append_row(&call.arguments[0], row);
            }
        }
        Ok(())
    };
    Some(Overload::new([left.clone(), right.clone()], left.clone(), kernel).seeing_nulls())
}

/// Nulls do not take part; all nulls give null.
fn extreme(types: &[DataType], kernel: Kernel) -> Option<Overload> {
    if types.is_empty() {
        return None;
    }
    let result = meeting(types);
    Some(Overload::new(vec![result.clone(); types.len()], result, kernel).seeing_nulls())
}

fn extreme_kernel(call: &Call<'_>, out: &mut VectorBuffer, greatest: bool) -> FunctionResult<()> {
    let data_type = &call.function.result;
    for row in 0..call.length {
        let known = call.arguments.iter().filter(|argument| !argument.is_null(row));
        let best = known.reduce(|best, next| {
            let order = compare_rows(next, row, best, row, data_type);
            if (greatest && order.is_gt()) || (!greatest && order.is_lt()) { next } else { best }
        });
        match best {
            Some(argument) => out.append_row(argument, row),
            None => out.push_null(),
        }
    }
    Ok(())
}

/// CASE over evaluated branches: (condition, value)…, and an optional last value. An executor that evaluates branches
/// only where they are needed does not use it; it serves constants and cheap branches.
fn case(types: &[DataType]) -> Option<Overload> {
    let has_else = types.len() % 2 == 1;
    let conditions = types.iter().take(types.len() / 2 * 2).step_by(2);
    if types.len() < 2 || !conditions.clone().all(|condition| super::fits(condition, &DataType::Bool)) {
        return None;
    }
    let values = types.iter().skip(1).step_by(2).chain(types.last().filter(|_| has_else));
    let result = values.fold(DataType::Null, |meeting, next| common_type(&meeting, next));
    let arguments: Vec<DataType> = (0..types.len())
        .map(|position| {
            let is_condition = position % 2 == 0 && !(has_else && position + 1 == types.len());
            if is_condition { DataType::Bool } else { result.clone() }
        })
        .collect();
    let kernel: Kernel = |_, call, out| {
        let branches = call.arguments.len() / 2;
        for row in 0..call.length {
            let taken = (0..branches).find(|branch| call.arguments[branch * 2].bool_at(row) == Some(true));
            match taken
                .map(|branch| branch * 2 + 1)
                .or((call.arguments.len() % 2 == 1).then_some(branches * 2))
            {
                Some(position) => out.append_row(&call.arguments[position], row),
                None => out.push_null(),
            }
        }
        Ok(())
    };
    Some(Overload::new(arguments, result, kernel).seeing_nulls())
}

fn type_of(types: &[DataType]) -> Option<Overload> {
    let [only] = types else { return None };
    let kernel: Kernel = |_, call, out| {
        let declared = &call.function.arguments[0];
        for row in 0..call.length {
            let text = match declared {
                DataType::Any => call.arguments[0].value(row, declared).data_type().to_string(),
                known => known.to_string(),
            };
            out.push_str(&text);
        }
        Ok(())
    };
    Some(Overload::new([only.clone()], DataType::String, kernel).seeing_nulls())
}
