//! Functions over ANY: rows are grouped by the types that their values have, and the function is resolved anew for
//! each group. This is the general way, not a fast one; the comparisons have their own.

use super::cast::cast_value;
use super::kernel::each_active;
use super::{
    BoundScalar, Call, FunctionError, FunctionResult, KernelContext, Nulls, Overload, ScalarFunction,
};
use crate::types::{DataType, TimestampUnit, Value};
use crate::vector::{Selection, ValueVector, VectorBuffer};

/// The function over arguments some of which are ANY, if some types make it resolve.
pub fn bind_any(functions: Vec<&'static ScalarFunction>, arguments: &[DataType]) -> Option<BoundScalar> {
    let name = functions.first()?.name;
    let results = possible_results(&functions, arguments);
    let result = match results.as_slice() {
        [] => return None,
        [single] => single.clone(),
        _ => DataType::Any,
    };
    let overload = Overload { nulls: Nulls::Seen, ..Overload::new(arguments, result, any_kernel) };
    Some(BoundScalar { sources: functions, ..BoundScalar::new(name, overload) })
}

/// The function over arguments one of which is always null, where no overload takes a NULL in its place but some
/// would take a value: always null.
pub fn bind_null(functions: &[&'static ScalarFunction], arguments: &[DataType]) -> Option<BoundScalar> {
    let unknown: Vec<DataType> = arguments
        .iter()
        .map(|argument| if *argument == DataType::Null { DataType::Any } else { argument.clone() })
        .collect();
    let name = functions.first()?.name;
    if possible_results(functions, &unknown).is_empty() {
        return None;
    }
    let kernel: super::Kernel = |_, call, out| {
        out.push_nulls(call.length);
        Ok(())
    };
    Some(BoundScalar::new(name, Overload::new(arguments, DataType::Null, kernel)))
}

/// The result types that occur when every ANY is replaced by one of a few usual types.
fn possible_results(functions: &[&'static ScalarFunction], arguments: &[DataType]) -> Vec<DataType> {
    let candidates = [
        DataType::Int64,
        DataType::Double,
        DataType::String,
        DataType::Bool,
        DataType::Date,
        DataType::Timestamp(TimestampUnit::Us),
        DataType::LocalDateTime,
        DataType::DateTime,
        DataType::Time,
        DataType::LocalTime,
        DataType::Interval,
        DataType::list(DataType::Any),
        DataType::Struct(Vec::new()),
        DataType::map(DataType::String, DataType::Any),
        DataType::Node,
    ];
    let mut results: Vec<DataType> = Vec::new();
    let mut add = |types: &[DataType]| {
        let overload = functions.iter().find_map(|function| (function.resolve)(types));
        if let Some(overload) = overload.filter(|overload| !results.contains(&overload.result)) {
            results.push(overload.result);
        }
    };
    for candidate in &candidates {
        let replaced: Vec<DataType> = arguments
            .iter()
            .map(|argument| if *argument == DataType::Any { candidate.clone() } else { argument.clone() })
            .collect();
        add(&replaced);
        // A list with an element, a date with an interval: the first ANY stays a candidate, the others vary.
        for other in &candidates {
            let mut first = true;
            let mixed: Vec<DataType> = arguments
                .iter()
                .map(|argument| match argument {
                    DataType::Any if std::mem::take(&mut first) => candidate.clone(),
                    DataType::Any => other.clone(),
                    known => known.clone(),
                })
                .collect();
            add(&mixed);
        }
    }
    results
}

fn any_kernel(context: &mut KernelContext, call: &Call<'_>, out: &mut VectorBuffer) -> FunctionResult<()> {
    let functions = call.function.sources.as_slice();
    let mut groups: Vec<(Vec<DataType>, Vec<usize>)> = Vec::new();
    let mut rows: Vec<Vec<Value>> = vec![Vec::new(); call.length];
    each_active(call, |row| {
        let values: Vec<Value> = call
            .arguments
            .iter()
            .zip(&call.function.arguments)
            .map(|(argument, data_type)| argument.value(row, data_type))
            .collect();
        let types: Vec<DataType> = values
            .iter()
            .zip(&call.function.arguments)
            .map(
                |(value, declared)| {
                    if *declared == DataType::Any { value.data_type() } else { declared.clone() }
                },
            )
            .collect();
        match groups.iter_mut().find(|(known, _)| *known == types) {
            Some((_, members)) => members.push(row),
            None => groups.push((types, vec![row])),
        }
        rows[row] = values;
        Ok(())
    })?;
    let mut results = vec![Value::Null; call.length];
    for (types, members) in groups {
        evaluate_group(context, functions, &types, &members, &rows, &mut results)?;
    }
    results.iter().try_for_each(|result| push_result(call.function.name, result, out))
}

fn push_result(name: &'static str, result: &Value, out: &mut VectorBuffer) -> FunctionResult<()> {
    if out.push_value(result).is_ok() {
        return Ok(());
    }
    let cast = cast_value(result, &out.data_type().clone())?;
    out.push_value(&cast).map_err(|_| FunctionError::invalid(name, "the result is not of the expected type"))
}

fn evaluate_group(
    context: &mut KernelContext,
    functions: &[&'static ScalarFunction],
    types: &[DataType],
    members: &[usize],
    rows: &[Vec<Value>],
    results: &mut [Value],
) -> FunctionResult<()> {
    let name = functions.first().map_or("", |function| function.name);
    let overload = functions.iter().find_map(|function| (function.resolve)(types));
    let bound = match overload {
        Some(overload) => BoundScalar::new(name, overload),
        // The results are null already.
        None if bind_null(functions, types).is_some_and(|_| types.contains(&DataType::Null)) => return Ok(()),
        None => {
            return Err(FunctionError::NoOverload { function: name.to_owned(), arguments: types.to_vec() });
        }
    };
    let mut columns: Vec<VectorBuffer> = Vec::with_capacity(types.len());
    for (position, data_type) in bound.arguments.iter().enumerate() {
        let mut column = VectorBuffer::new(data_type.clone());
        for row in members {
            column.push_value(&cast_value(&rows[*row][position], data_type)?)?;
        }
        columns.push(column);
    }
    let vectors: Vec<ValueVector<'_>> = columns.iter().map(VectorBuffer::vector).collect();
    let mut out = VectorBuffer::new(bound.result.clone());
    let result = bound.evaluate(context, &vectors, members.len(), Selection::All, &mut out)?;
    for (position, row) in members.iter().enumerate() {
        results[*row] = result.value(position, &bound.result);
    }
    Ok(())
}
