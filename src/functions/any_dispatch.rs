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
pub fn bind_any(function: &'static ScalarFunction, arguments: &[DataType]) -> Option<BoundScalar> {
    let results = possible_results(function, arguments);
    let result = match results.as_slice() {
        [] => return None,
        [single] => single.clone(),
        _ => DataType::Any,
    };
    let overload = Overload { nulls: Nulls::Seen, ..Overload::new(arguments, result, any_kernel) };
    Some(BoundScalar { source: Some(function), ..BoundScalar::new(function.name, overload) })
}

/// The result types that occur when every ANY is replaced by one of a few usual types.
fn possible_results(function: &ScalarFunction, arguments: &[DataType]) -> Vec<DataType> {
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
        if let Some(overload) = (function.resolve)(types) {
            if !results.contains(&overload.result) {
                results.push(overload.result);
            }
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
    let Some(function) = call.function.source else {
        return Err(super::kernel::mistyped(call.function.name));
    };
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
        evaluate_group(context, function, &types, &members, &rows, &mut results)?;
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
    function: &'static ScalarFunction,
    types: &[DataType],
    members: &[usize],
    rows: &[Vec<Value>],
    results: &mut [Value],
) -> FunctionResult<()> {
    let overload = (function.resolve)(types).ok_or_else(|| FunctionError::NoOverload {
        function: function.name.to_owned(),
        arguments: types.to_vec(),
    })?;
    let bound = BoundScalar::new(function.name, overload);
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
