//! Mathematics, and conversions that give null instead of an error.

use super::super::kernel::{checked_unary, map_binary, map_unary, push_rows};
use super::super::promote::numeric_type;
use super::super::{
    Availability, Call, FunctionError, FunctionResult, Kernel, KernelContext, Overload, ScalarFunction,
    cast_value,
};
use super::{aliased, entry, is_integer, only};
use crate::types::{DataType, Value};
use crate::vector::VectorBuffer;

/// An overload from DOUBLE to DOUBLE.
macro_rules! float {
    ($types:expr, $function:expr) => {{
        let kernel: Kernel = |_, call, out| map_unary(call, out, $function);
        float_overload($types, kernel)
    }};
}

pub const TABLE: &[ScalarFunction] = &[
    entry("abs", abs),
    aliased("ceil", &["ceiling"], |types| float!(types, f64::ceil)),
    entry("floor", |types| float!(types, f64::floor)),
    entry("round", round),
    entry("sqrt", |types| float!(types, f64::sqrt)),
    entry("cbrt", |types| float!(types, f64::cbrt)),
    entry("exp", |types| float!(types, f64::exp)),
    entry("ln", |types| float!(types, f64::ln)),
    only(Availability::OpenCypher, "log", |types| float!(types, f64::ln)),
    only(Availability::Kuzu, "log", |types| float!(types, f64::log10)),
    entry("log10", |types| float!(types, f64::log10)),
    entry("log2", |types| float!(types, f64::log2)),
    entry("sin", |types| float!(types, f64::sin)),
    entry("cos", |types| float!(types, f64::cos)),
    entry("tan", |types| float!(types, f64::tan)),
    entry("cot", |types| float!(types, |value: f64| 1.0 / value.tan())),
    entry("asin", |types| float!(types, f64::asin)),
    entry("acos", |types| float!(types, f64::acos)),
    entry("atan", |types| float!(types, f64::atan)),
    entry("atan2", atan2),
    entry("degrees", |types| float!(types, f64::to_degrees)),
    entry("radians", |types| float!(types, f64::to_radians)),
    entry("haversin", |types| float!(types, |value: f64| (value / 2.0).sin().powi(2))),
    entry("sign", sign),
    entry("pi", |types| constant(types, |_, call, out| push_constant(call, out, std::f64::consts::PI))),
    entry("e", |types| constant(types, |_, call, out| push_constant(call, out, std::f64::consts::E))),
    aliased("rand", &["random"], |types| constant(types, random).map(Overload::volatile)),
    entry("bitwise_and", |types| bits(types, |_, call, out| map_binary(call, out, |a: i64, b: i64| a & b))),
    entry("bitwise_or", |types| bits(types, |_, call, out| map_binary(call, out, |a: i64, b: i64| a | b))),
    entry("bitwise_xor", |types| bits(types, |_, call, out| map_binary(call, out, |a: i64, b: i64| a ^ b))),
    aliased("toInteger", &["to_int64", "toInt"], |types| lenient(types, DataType::Int64)),
    aliased("toFloat", &["to_double"], |types| lenient(types, DataType::Double)),
    aliased("toBoolean", &["to_bool"], |types| lenient(types, DataType::Bool)),
    aliased("toString", &["string", "to_string"], to_text),
];

fn is_number(data_type: &DataType) -> bool {
    data_type.is_numeric() || *data_type == DataType::Null
}

fn float_overload(types: &[DataType], kernel: Kernel) -> Option<Overload> {
    let [only] = types else { return None };
    is_number(only).then(|| Overload::new([DataType::Double], DataType::Double, kernel))
}

fn overflow(call: &Call<'_>) -> FunctionError {
    FunctionError::Overflow { function: call.function.name, data_type: call.function.result.clone() }
}

fn abs(types: &[DataType]) -> Option<Overload> {
    let [only] = types else { return None };
    let meeting = numeric_type(only, only)?;
    let kernel: Kernel = match &meeting {
        DataType::Int64 => |_, call, out| {
            checked_unary(
                call,
                out,
                |value: i64| (value.wrapping_abs(), value == i64::MIN),
                |_| overflow(call),
            )
        },
        DataType::UInt64 => |_, call, out| map_unary(call, out, |value: u64| value),
        DataType::Float => |_, call, out| map_unary(call, out, f32::abs),
        DataType::Double => |_, call, out| map_unary(call, out, f64::abs),
        _ => |_, call, out| {
            checked_unary(
                call,
                out,
                |value: i128| (value.wrapping_abs(), value == i128::MIN),
                |_| overflow(call),
            )
        },
    };
    Some(Overload::new([meeting.clone()], meeting, kernel))
}

/// Half away from zero with digits; without digits openCypher's half up, which differs for negative halves.
fn round(types: &[DataType]) -> Option<Overload> {
    match types {
        [_] => float!(types, |value: f64| {
            let floor = value.floor();
            if value - floor >= 0.5 { floor + 1.0 } else { floor }
        }),
        [value, digits] if is_number(value) && is_integer(digits) => {
            let kernel: Kernel = |_, call, out| map_binary(call, out, round_to);
            Some(Overload::new([DataType::Double, DataType::Int64], DataType::Double, kernel))
        }
        _ => None,
    }
}

fn round_to(value: f64, digits: i64) -> f64 {
    let digits = digits.clamp(-400, 400) as i32;
    let factor = 10f64.powi(digits);
    let scaled = value * factor;
    // Beyond the float's range rounding changes nothing, or everything.
    if !scaled.is_finite() || factor == 0.0 {
        return if digits < 0 && value.is_finite() { 0.0 } else { value };
    }
    scaled.round() / factor
}

fn atan2(types: &[DataType]) -> Option<Overload> {
    let [left, right] = types else { return None };
    let kernel: Kernel = |_, call, out| map_binary(call, out, f64::atan2);
    let numbers = is_number(left) && is_number(right);
    numbers.then(|| Overload::new([DataType::Double, DataType::Double], DataType::Double, kernel))
}

fn sign(types: &[DataType]) -> Option<Overload> {
    let [only] = types else { return None };
    if only.is_integer() {
        let kernel: Kernel = |_, call, out| map_unary(call, out, |value: i128| value.signum() as i64);
        return Some(Overload::new([DataType::Int128], DataType::Int64, kernel));
    }
    let kernel: Kernel =
        |_, call, out| map_unary(call, out, |value: f64| i64::from(value > 0.0) - i64::from(value < 0.0));
    is_number(only).then(|| Overload::new([DataType::Double], DataType::Int64, kernel))
}

fn constant(types: &[DataType], kernel: Kernel) -> Option<Overload> {
    types.is_empty().then(|| Overload::new([], DataType::Double, kernel))
}

fn push_constant(call: &Call<'_>, out: &mut VectorBuffer, value: f64) -> FunctionResult<()> {
    (0..call.length).for_each(|_| out.push(value));
    Ok(())
}

/// 53 random bits as a number from 0 to below 1.
fn random(context: &mut KernelContext, call: &Call<'_>, out: &mut VectorBuffer) -> FunctionResult<()> {
    (0..call.length).for_each(|_| out.push((context.next_random() >> 11) as f64 / (1u64 << 53) as f64));
    Ok(())
}

fn bits(types: &[DataType], kernel: Kernel) -> Option<Overload> {
    let [left, right] = types else { return None };
    let integers = is_integer(left) && is_integer(right);
    integers.then(|| Overload::new([DataType::Int64, DataType::Int64], DataType::Int64, kernel))
}

/// A cast that gives null for text that is no such value, and for types that openCypher allows but cannot convert.
fn lenient(types: &[DataType], to: DataType) -> Option<Overload> {
    let [only] = types else { return None };
    let known = is_number(only) || matches!(only, DataType::String | DataType::Bool);
    if !known || (*only == DataType::Bool && to == DataType::Double) {
        return None;
    }
    let kernel: Kernel = |_, call, out| {
        let from = call.function.arguments[0].clone();
        let to = call.function.result.clone();
        push_rows(call, out, |row, out| {
            let value = lenient_value(&call.arguments[0].value(row, &from), &to)?;
            Ok(out.push_value(&value)?)
        })
    };
    Some(Overload::new([only.clone()], to, kernel))
}

fn lenient_value(value: &Value, to: &DataType) -> FunctionResult<Value> {
    match (value, to) {
        (Value::String(text), DataType::Int64) => {
            // A float's text is cut to its integer, as openCypher asks.
            let whole = crate::types::parse::parse_i64(text.as_bytes());
            let cut = || {
                let float =
                    crate::types::parse::parse_f64(text.as_bytes()).filter(|float| float.abs() < 9.2e18)?;
                Some(float.trunc() as i64)
            };
            Ok(whole.or_else(cut).map_or(Value::Null, Value::Int64))
        }
        (Value::String(_), _) => Ok(cast_value(value, to).unwrap_or(Value::Null)),
        _ => cast_value(value, to),
    }
}

/// openCypher's text form of scalars.
fn to_text(types: &[DataType]) -> Option<Overload> {
    let [only] = types else { return None };
    if *only == DataType::Any {
        return None;
    }
    let kernel: Kernel = |_, call, out| {
        let from = call.function.arguments[0].clone();
        push_rows(call, out, |row, out| {
            out.push_str(&call.arguments[0].value(row, &from).iso_text());
            Ok(())
        })
    };
    Some(Overload::new([only.clone()], DataType::String, kernel))
}

#[cfg(test)]
mod tests {
    use super::round_to;

    #[test]
    fn rounding_keeps_its_range() {
        assert_eq!(round_to(1.25, 1), 1.3);
        assert_eq!(round_to(-1.25, 1), -1.3);
        assert_eq!(round_to(1234.0, -2), 1200.0);
        assert_eq!(round_to(1e300, 300), 1e300);
        assert_eq!(round_to(5.0, i64::MIN), 0.0);
    }
}
