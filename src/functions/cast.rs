//! Casts between types: by value for everything, and kernels for the casts that run over whole tables.

use std::ops::Range;

use super::kernel::{checked_unary, map_unary, mistyped, push_rows, strings};
use super::{
    BoundScalar, Call, ELEMENTS_PER_LOOK, FunctionError, FunctionResult, Kernel, KernelContext, Overload,
};
use crate::types::calendar::{NANOS_PER_DAY, SECONDS_PER_DAY};
use crate::types::format::split_nanos;
use crate::types::{
    DataType, TimestampUnit, TypeError, Value, Zoned, decimal, integer_value, parse, parse_text,
};
use crate::vector::{Native, Validity, ValueVector, VectorBuffer};

/// Who asks for a cast.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CastMode {
    /// CAST and its like.
    Explicit,
    /// The binder, where a function or an assignment needs another type: only casts that lose nothing.
    Implicit,
}

/// How far an implicit cast reaches, none where there is no such cast; 0 for the type itself.
pub fn implicit_cost(from: &DataType, to: &DataType) -> Option<u32> {
    use DataType::*;
    if from == to {
        return Some(0);
    }
    let reach = match (from, to) {
        (Null, _) => 1,
        (_, Any) => 100,
        (Any, _) => 50,
        (Serial, Int64) | (Int64, Serial) => 1,
        _ if from.is_integer() && to.is_integer() => (super::common_type(from, to) == *to).then_some(2)?,
        _ if from.is_integer() && matches!(to, Decimal { .. }) => 3,
        _ if from.is_integer() && to.is_floating() => 4,
        (Decimal { .. }, Decimal { .. }) => 2,
        (Decimal { .. }, Double | Float) => 4,
        (Float, Double) => 2,
        (Date, Timestamp(_) | TimestampTz | LocalDateTime) => 3,
        (Timestamp(_), Timestamp(_) | TimestampTz | LocalDateTime) => 3,
        (Node, Id) => 1,
        (List(from), List(to)) | (Array(from, _), List(to)) => implicit_cost(from, to)? + 1,
        (Map(from_key, from), Map(to_key, to)) => {
            implicit_cost(from_key, to_key)? + implicit_cost(from, to)? + 1
        }
        (Struct(from), Struct(to)) if from.len() == to.len() => from
            .iter()
            .zip(to)
            .map(
                |(from, to)| {
                    if from.name == to.name { implicit_cost(&from.data_type, &to.data_type) } else { None }
                },
            )
            .sum::<Option<u32>>()?,
        _ => return None,
    };
    Some(reach)
}

/// The cast as a function of one argument.
pub fn bind_cast(from: &DataType, to: &DataType, mode: CastMode) -> FunctionResult<BoundScalar> {
    let allowed = match mode {
        CastMode::Implicit => implicit_cost(from, to).is_some(),
        CastMode::Explicit => explicit_allowed(from, to),
    };
    if !allowed {
        return Err(FunctionError::NoCast { from: from.clone(), to: to.clone() });
    }
    let overload = Overload::new([from.clone()], to.clone(), kernel_for(from, to));
    Ok(BoundScalar::new("CAST", overload))
}

/// Text leads to and from every type; otherwise casts stay within numbers, within temporal values and within nested
/// types whose parts can be cast.
fn explicit_allowed(from: &DataType, to: &DataType) -> bool {
    use DataType::*;
    if implicit_cost(from, to).is_some()
        || matches!(from, String | Json | Any)
        || matches!(to, String | Json | Any)
    {
        return true;
    }
    let number = |data_type: &DataType| data_type.is_numeric() || *data_type == Bool;
    match (from, to) {
        _ if number(from) && number(to) => true,
        _ if from.is_temporal() && to.is_temporal() => true,
        (Blob, Uuid) | (Uuid, Blob) => false,
        (List(from) | Array(from, _), List(to) | Array(to, _)) => explicit_allowed(from, to),
        (Map(from_key, from), Map(to_key, to)) => {
            explicit_allowed(from_key, to_key) && explicit_allowed(from, to)
        }
        (Struct(from), Struct(to)) => from.len() == to.len(),
        (Union(fields), to) => fields.iter().any(|field| explicit_allowed(&field.data_type, to)),
        (from, Union(fields)) => fields.iter().any(|field| implicit_cost(from, &field.data_type).is_some()),
        _ => false,
    }
}

fn kernel_for(from: &DataType, to: &DataType) -> Kernel {
    use DataType::*;
    if from.physical() == to.physical() && is_relabelling(from, to) {
        return copy_kernel;
    }
    match (from, to) {
        (Int8, Int64) => widen::<i8, i64>,
        (Int16, Int64) => widen::<i16, i64>,
        (Int32, Int64) => widen::<i32, i64>,
        (UInt8, Int64) => widen::<u8, i64>,
        (UInt16, Int64) => widen::<u16, i64>,
        (UInt32, Int64) => widen::<u32, i64>,
        (Int64 | Serial, Int128) => widen::<i64, i128>,
        (UInt64, Int128) => widen::<u64, i128>,
        (Int8, Double) => widen::<i8, f64>,
        (Int16, Double) => widen::<i16, f64>,
        (Int32, Double) => widen::<i32, f64>,
        (UInt8, Double) => widen::<u8, f64>,
        (UInt16, Double) => widen::<u16, f64>,
        (UInt32, Double) => widen::<u32, f64>,
        (Float, Double) => widen::<f32, f64>,
        (Int64 | Serial, Double) => |_, call, out| map_unary(call, out, |value: i64| value as f64),
        (Int64 | Serial, Int32) => narrow::<i64, i32>,
        (Int64 | Serial, Int16) => narrow::<i64, i16>,
        (Int64 | Serial, Int8) => narrow::<i64, i8>,
        (Int64 | Serial, UInt64) => narrow::<i64, u64>,
        (Int64 | Serial, UInt32) => narrow::<i64, u32>,
        (Int128, Int64) => narrow::<i128, i64>,
        (UInt64, Int64) => narrow::<u64, i64>,
        (String, Int64) => |_, call, out| parsed(call, out, parse::parse_i64),
        (String, Double) => |_, call, out| parsed(call, out, parse::parse_f64),
        (String, Date) => |_, call, out| parsed(call, out, parse::parse_date),
        (String, Timestamp(TimestampUnit::Us) | TimestampTz) => {
            |_, call, out| parsed(call, out, parse::parse_timestamp)
        }
        (Timestamp(TimestampUnit::S), Date) => to_days::<{ SECONDS_PER_DAY }>,
        (Timestamp(TimestampUnit::Ms), Date) => to_days::<{ SECONDS_PER_DAY * 1_000 }>,
        (Timestamp(TimestampUnit::Us) | TimestampTz, Date) => to_days::<{ SECONDS_PER_DAY * 1_000_000 }>,
        (Timestamp(TimestampUnit::Ns), Date) => to_days::<{ SECONDS_PER_DAY * 1_000_000_000 }>,
        (Date, Timestamp(TimestampUnit::S)) => from_days::<{ SECONDS_PER_DAY }>,
        (Date, Timestamp(TimestampUnit::Ms)) => from_days::<{ SECONDS_PER_DAY * 1_000 }>,
        (Date, Timestamp(TimestampUnit::Us) | TimestampTz) => from_days::<{ SECONDS_PER_DAY * 1_000_000 }>,
        (Date, Timestamp(TimestampUnit::Ns)) => from_days::<{ SECONDS_PER_DAY * 1_000_000_000 }>,
        _ => value_kernel,
    }
}

/// Days of counts; that their number in a day is known here spares a division.
fn to_days<const PER_DAY: i64>(
    _: &mut KernelContext,
    call: &Call<'_>,
    out: &mut VectorBuffer,
) -> FunctionResult<()> {
    map_unary(call, out, |count: i64| count.div_euclid(PER_DAY))
}

fn from_days<const PER_DAY: i64>(
    _: &mut KernelContext,
    call: &Call<'_>,
    out: &mut VectorBuffer,
) -> FunctionResult<()> {
    let to = &call.function.result;
    checked_unary(
        call,
        out,
        |days: i64| days.overflowing_mul(PER_DAY),
        |days| TypeError::out_of_range(to, Value::Date(days)).into(),
    )
}

/// Whether the bytes of a value mean the same in both types.
fn is_relabelling(from: &DataType, to: &DataType) -> bool {
    use DataType::*;
    matches!(
        (from, to),
        (Serial, Int64)
            | (Int64, Serial)
            | (Node, Id)
            | (Timestamp(TimestampUnit::Us), TimestampTz)
            | (Json, String)
    ) || from == to
}

fn copy_kernel(_: &mut KernelContext, call: &Call<'_>, out: &mut VectorBuffer) -> FunctionResult<()> {
    out.append_range(&call.arguments[0], 0, call.length);
    Ok(())
}

fn widen<A: Native + Into<B>, B: Native>(
    _: &mut KernelContext,
    call: &Call<'_>,
    out: &mut VectorBuffer,
) -> FunctionResult<()> {
    map_unary(call, out, |value: A| value.into())
}

fn narrow<A: Native + TryInto<B>, B: Native>(
    _: &mut KernelContext,
    call: &Call<'_>,
    out: &mut VectorBuffer,
) -> FunctionResult<()> {
    let to = call.function.result.clone();
    checked_unary(
        call,
        out,
        |value: A| value.try_into().map_or((B::default(), true), |value| (value, false)),
        |value| TypeError::out_of_range(&to, format!("{value:?}")).into(),
    )
}

fn parsed<R: Native>(
    call: &Call<'_>,
    out: &mut VectorBuffer,
    parse: impl Fn(&[u8]) -> Option<R>,
) -> FunctionResult<()> {
    let texts = strings(call, 0)?;
    let to = &call.function.result;
    super::kernel::map_rows(call, out, |row| {
        parse(texts.bytes(row)).ok_or_else(|| TypeError::parse(to, texts.bytes(row), "").into())
    })
}

fn value_kernel(_: &mut KernelContext, call: &Call<'_>, out: &mut VectorBuffer) -> FunctionResult<()> {
    let (Some(from), to) = (call.function.arguments.first(), &call.function.result) else {
        return Err(mistyped(call.function.name));
    };
    let lists = call.arguments[0].list_reader().filter(|_| matches!(from, DataType::List(_)));
    push_rows(call, out, |row, out| {
        if let (Some(lists), Some(element)) = (&lists, from.element()) {
            let (start, end) = lists.range(row);
            let is_made_of_parts = matches!(to, DataType::String | DataType::List(_));
            if end - start > ELEMENTS_PER_LOOK && is_made_of_parts {
                return cast_long_list(call, (&lists.child, element), start..end, out);
            }
        }
        let value = cast_value(&call.arguments[0].value(row, from), to)?;
        Ok(out.push_value(&value)?)
    })
}

/// A list of very many elements as a text or as another list: part by part, with a look at whether to go on.
fn cast_long_list(
    call: &Call<'_>,
    (child, element): (&ValueVector<'_>, &DataType),
    elements: Range<usize>,
    out: &mut VectorBuffer,
) -> FunctionResult<()> {
    let to = &call.function.result;
    let (before, mut text) = (out.bytes(), String::new());
    for start in elements.clone().step_by(ELEMENTS_PER_LOOK) {
        call.go_on(before + text.capacity().max(out.bytes() - before))?;
        let part = start..elements.end.min(start + ELEMENTS_PER_LOOK);
        let part = Value::List(part.map(|at| child.value(at, element)).collect());
        match cast_value(&part, to)? {
            // Without its brackets, of which the whole has one pair.
            Value::String(part) => {
                text.push(if start == elements.start { '[' } else { ',' });
                text.push_str(&part[1..part.len() - 1]);
            }
            Value::List(part) => {
                let (_, child) = out.list_mut().ok_or_else(|| mistyped(call.function.name))?;
                for value in &part {
                    child.push_value(value)?;
                }
            }
            _ => return Err(mistyped(call.function.name)),
        }
    }
    if *to == DataType::String {
        text.push(']');
        out.push_str(&text);
        return Ok(());
    }
    let (ends, child) = out.list_mut().ok_or_else(|| mistyped(call.function.name))?;
    let end = u32::try_from(child.len());
    ends.push(end.map_err(|_| FunctionError::invalid(call.function.name, "the lists would be too long"))?);
    out.finish_rows(1, Validity::AllValid);
    Ok(())
}

/// A value as one of another type. Floats lose their fraction on the way to an integer; what does not fit is an error.
pub fn cast_value(value: &Value, to: &DataType) -> FunctionResult<Value> {
    let no_cast = || FunctionError::NoCast { from: value.data_type(), to: to.clone() };
    if value.is_null() || *to == DataType::Any {
        return Ok(value.clone());
    }
    if let (Value::String(text), false) = (value, matches!(to, DataType::String | DataType::Json)) {
        return Ok(parse_text(text, to)?);
    }
    match to {
        DataType::String => Ok(Value::String(value.to_string())),
        DataType::Json => Ok(Value::Json(match value {
            Value::String(text) | Value::Json(text) => text.clone(),
            other => other.to_string(),
        })),
        _ if to.is_numeric() || *to == DataType::Bool => cast_number(value, to)?.ok_or_else(no_cast),
        _ if to.is_temporal() => cast_temporal(value, to)?.ok_or_else(no_cast),
        DataType::Id => match value {
            Value::Node(node) => Ok(Value::Id(node.id)),
            Value::Id(_) => Ok(value.clone()),
            _ => Err(no_cast()),
        },
        DataType::Union(fields) => {
            let found = value.data_type();
            let member = fields
                .iter()
                .find(|field| field.data_type == found)
                .or_else(|| fields.iter().find(|field| implicit_cost(&found, &field.data_type).is_some()));
            let member = member.ok_or_else(no_cast)?;
            Ok(Value::Union(member.name.clone(), Box::new(cast_value(value, &member.data_type)?)))
        }
        _ => cast_nested(value, to)?.ok_or_else(no_cast),
    }
}

fn cast_number(value: &Value, to: &DataType) -> FunctionResult<Option<Value>> {
    let out_of_range = || FunctionError::from(TypeError::out_of_range(to, value));
    if let (Value::Union(_, inner), _) = (value, to) {
        return cast_value(inner, to).map(Some);
    }
    Ok(match (value, to) {
        (Value::Bool(value), DataType::Bool) => Some(Value::Bool(*value)),
        (Value::Bool(truth), _) => return cast_number(&Value::Int64(i64::from(*truth)), to),
        (Value::Float(_) | Value::Double(_) | Value::Decimal(..), DataType::Bool) => {
            value.as_f64().map(|number| Value::Bool(number != 0.0))
        }
        (_, DataType::Bool) => value.as_i128().map(|number| Value::Bool(number != 0)),
        (Value::Float(value), DataType::Float) => Some(Value::Float(*value)),
        (_, DataType::Float) => value.as_f64().map(|value| Value::Float(value as f32)),
        (Value::Decimal(number, _, scale), DataType::Double) => {
            Some(Value::Double(decimal::to_f64(*number, *scale)))
        }
        (_, DataType::Double) => value.as_f64().map(Value::Double),
        (Value::Decimal(number, _, from), DataType::Decimal { precision, scale }) => {
            let number = decimal::rescale(*number, *from, *precision, *scale).ok_or_else(out_of_range)?;
            Some(Value::Decimal(number, *precision, *scale))
        }
        (Value::Float(_) | Value::Double(_), DataType::Decimal { precision, scale }) => {
            let float = value.as_f64().unwrap_or(f64::NAN);
            let number = decimal::from_f64(float, *precision, *scale).ok_or_else(out_of_range)?;
            Some(Value::Decimal(number, *precision, *scale))
        }
        (_, DataType::Decimal { precision, scale }) => match value.as_i128() {
            Some(number) => {
                let number = decimal::from_integer(number, *precision, *scale).ok_or_else(out_of_range)?;
                Some(Value::Decimal(number, *precision, *scale))
            }
            None => None,
        },
        (Value::Decimal(number, _, scale), _) => {
            let whole = decimal::rescale(*number, *scale, 38, 0).ok_or_else(out_of_range)?;
            Some(integer_value(whole, to).ok_or_else(out_of_range)?)
        }
        (Value::Float(_) | Value::Double(_), _) => {
            let float = value.as_f64().unwrap_or(f64::NAN).trunc();
            if !float.is_finite() || float.abs() >= 1.7e38 {
                return Err(out_of_range());
            }
            Some(integer_value(float as i128, to).ok_or_else(out_of_range)?)
        }
        _ => match value.as_i128() {
            Some(number) => Some(integer_value(number, to).ok_or_else(out_of_range)?),
            None => None,
        },
    })
}

/// What a temporal value says: nanoseconds on the local clock since 1970, and its offset.
struct Moment {
    local_nanos: i128,
    zoned: Option<Zoned>,
    has_date: bool,
}

fn moment(value: &Value) -> Option<Moment> {
    let local = |local_nanos, has_date| Some(Moment { local_nanos, zoned: None, has_date });
    match value {
        Value::Date(days) => local(i128::from(*days) * i128::from(NANOS_PER_DAY), true),
        Value::LocalTime(nanos) => local(i128::from(*nanos), false),
        Value::Time(time) => local(i128::from(time.nanos), false).map(|moment| Moment {
            zoned: Some(Zoned { offset_seconds: time.offset_seconds, ..Zoned::default() }),
            ..moment
        }),
        Value::LocalDateTime(nanos) => local(*nanos, true),
        Value::Timestamp(unit, count) => local(i128::from(*count) * i128::from(unit.nanos()), true),
        Value::TimestampTz(micros) => local(i128::from(*micros) * 1_000, true),
        Value::DateTime(zoned) => {
            Some(Moment { local_nanos: zoned.local_nanos(), zoned: Some(*zoned), has_date: true })
        }
        Value::Union(_, inner) => moment(inner),
        _ => None,
    }
}

fn cast_temporal(value: &Value, to: &DataType) -> FunctionResult<Option<Value>> {
    let Some(moment) = moment(value) else { return Ok(None) };
    let out_of_range = || FunctionError::from(TypeError::out_of_range(to, value));
    let (days, nanos) = split_nanos(moment.local_nanos);
    let offset_seconds = moment.zoned.map_or(0, |zoned| zoned.offset_seconds);
    let instant = moment.local_nanos - i128::from(offset_seconds) * 1_000_000_000;
    let count = |unit: TimestampUnit| {
        i64::try_from(instant.div_euclid(i128::from(unit.nanos()))).map_err(|_| out_of_range())
    };
    Ok(match to {
        DataType::LocalTime => Some(Value::LocalTime(nanos)),
        DataType::Time => Some(Value::Time(crate::types::Time { nanos, offset_seconds })),
        _ if !moment.has_date => None,
        DataType::Date => Some(Value::Date(days)),
        DataType::LocalDateTime => Some(Value::LocalDateTime(moment.local_nanos)),
        DataType::DateTime => Some(Value::DateTime(moment.zoned.unwrap_or(Zoned {
            nanos: instant,
            offset_seconds: 0,
            ..Zoned::default()
        }))),
        DataType::Timestamp(unit) => Some(Value::Timestamp(*unit, count(*unit)?)),
        DataType::TimestampTz => Some(Value::TimestampTz(count(TimestampUnit::Us)?)),
        _ => None,
    })
}

fn cast_nested(value: &Value, to: &DataType) -> FunctionResult<Option<Value>> {
    Ok(match (value, to) {
        (Value::List(elements), DataType::List(element)) => Some(Value::List(cast_all(elements, element)?)),
        (Value::List(elements), DataType::Array(element, length)) => {
            if elements.len() != *length as usize {
                return Err(TypeError::out_of_range(to, value).into());
            }
            Some(Value::List(cast_all(elements, element)?))
        }
        (Value::Map(entries), DataType::Map(key_type, value_type)) => {
            let entry = |(key, value): &(Value, Value)| {
                Ok((cast_value(key, key_type)?, cast_value(value, value_type)?))
            };
            Some(Value::Map(entries.iter().map(entry).collect::<FunctionResult<_>>()?))
        }
        (Value::Struct(given), DataType::Struct(fields)) if given.len() == fields.len() => {
            let by_name = |name: &str| given.iter().find(|(known, _)| known.eq_ignore_ascii_case(name));
            let cast = |(position, field): (usize, &crate::types::Field)| {
                let (_, value) = by_name(&field.name).unwrap_or(&given[position]);
                Ok((field.name.clone(), cast_value(value, &field.data_type)?))
            };
            Some(Value::Struct(fields.iter().enumerate().map(cast).collect::<FunctionResult<_>>()?))
        }
        _ if value.data_type() == *to => Some(value.clone()),
        _ => None,
    })
}

fn cast_all(values: &[Value], to: &DataType) -> FunctionResult<Vec<Value>> {
    values.iter().map(|value| cast_value(value, to)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::vector::{Selection, ValueVector};

    fn check(value: Value, to: &str, expected: &str) {
        let to = DataType::parse(to).unwrap();
        let from = value.data_type();
        let bound = bind_cast(&from, &to, CastMode::Explicit).unwrap();
        let (mut input, mut out) = (VectorBuffer::new(from), VectorBuffer::new(to.clone()));
        input.push_value(&value).unwrap();
        input.push_null();
        let mut context = KernelContext::for_constants();
        let result = bound.evaluate(&mut context, &[input.vector()], 2, Selection::All, &mut out).unwrap();
        assert_eq!(result.value(0, &to), cast_value(&value, &to).unwrap());
        assert_eq!(result.value(0, &to).to_string(), expected);
        assert!(result.is_null(1));
    }

    #[test]
    fn values_change_their_types() {
        check(Value::Int64(5), "INT8", "5");
        check(Value::Int64(5), "DOUBLE", "5.0");
        check(Value::Double(-3.7), "INT64", "-3");
        check(Value::from("12.345"), "DECIMAL(5,2)", "12.35");
        check(Value::from("2011-08-20"), "DATE", "2011-08-20");
        check(Value::Date(1), "TIMESTAMP", "1970-01-02 00:00:00");
        check(Value::List(vec![Value::Int64(1)]), "STRING[]", "[1]");
        check(Value::Bool(true), "INT32", "1");
        check(Value::from("[1,2]"), "INT64[2]", "[1,2]");
        check(Value::Int8(3), "STRING", "3");
    }

    #[test]
    fn what_does_not_fit_is_an_error_and_unselected_rows_are_not_looked_at() {
        assert!(cast_value(&Value::Int64(300), &DataType::UInt8).is_err());
        assert!(cast_value(&Value::Double(f64::NAN), &DataType::Int64).is_err());
        assert!(cast_value(&Value::from("x"), &DataType::Int64).is_err());
        assert!(bind_cast(&DataType::Date, &DataType::Int64, CastMode::Explicit).is_err());
        let bound = bind_cast(&DataType::Int64, &DataType::Int32, CastMode::Explicit).unwrap();
        let values = [1i64, i64::MAX, 3];
        let vector = ValueVector::flat(crate::vector::Values::I64(&values));
        let (mut context, mut out) = (KernelContext::for_constants(), VectorBuffer::new(DataType::Int32));
        assert!(bound.evaluate(&mut context, &[vector], 3, Selection::All, &mut out).is_err());
        let result = bound.evaluate(&mut context, &[vector], 3, Selection::Rows(&[0, 2]), &mut out).unwrap();
        assert_eq!(result.value(2, &DataType::Int32), Value::Int32(3));
    }
}
