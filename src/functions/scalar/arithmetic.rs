//! `+ - * / % ^` and the sign. Integers and decimals overflow into errors, floats into infinities.

use super::super::kernel::{checked_binary, checked_unary, map_binary, map_unary};
use super::super::promote::{decimal_form, numeric_type};
use super::super::{Call, FunctionError, FunctionResult, Kernel, KernelContext, Overload, ScalarFunction};
use super::{aliased, entry};
use crate::types::{DataType, decimal};
use crate::vector::{Native, VectorBuffer};

pub const TABLE: &[ScalarFunction] = &[
    aliased("+", &["add"], |types| resolve(types, Op::Add)),
    aliased("-", &["subtract"], |types| resolve(types, Op::Subtract)),
    aliased("*", &["multiply"], |types| resolve(types, Op::Multiply)),
    aliased("/", &["divide"], |types| resolve(types, Op::Divide)),
    aliased("%", &["modulo", "mod"], |types| resolve(types, Op::Remainder)),
    aliased("^", &["pow", "power"], resolve_power),
    aliased("-", &["negate"], resolve_negate),
    entry("+", resolve_plus),
];

/// A binary operation.
#[derive(Clone, Copy, PartialEq)]
enum Op {
    Add,
    Subtract,
    Multiply,
    Divide,
    Remainder,
}

/// Arithmetic that tells whether the result is wrong.
trait Number: Native {
    fn add(self, other: Self) -> (Self, bool);
    fn subtract(self, other: Self) -> (Self, bool);
    fn multiply(self, other: Self) -> (Self, bool);
    fn divide(self, other: Self) -> (Self, bool);
    fn remainder(self, other: Self) -> (Self, bool);
    fn is_zero(self) -> bool;
}

macro_rules! integers {
    ($($rust:ty),*) => {$(
        impl Number for $rust {
            #[inline(always)]
            fn add(self, other: Self) -> (Self, bool) {
                self.overflowing_add(other)
            }
            #[inline(always)]
            fn subtract(self, other: Self) -> (Self, bool) {
                self.overflowing_sub(other)
            }
            #[inline(always)]
            fn multiply(self, other: Self) -> (Self, bool) {
                self.overflowing_mul(other)
            }
            #[inline(always)]
            fn divide(self, other: Self) -> (Self, bool) {
                self.checked_div(other).map_or((0, true), |value| (value, false))
            }
            #[inline(always)]
            fn remainder(self, other: Self) -> (Self, bool) {
                // The smallest number modulo -1 is 0, though its quotient overflows.
                if other == 0 { (0, true) } else { (self.wrapping_rem(other), false) }
            }
            #[inline(always)]
            fn is_zero(self) -> bool {
                self == 0
            }
        }
    )*};
}
integers!(i64, i128, u64);

macro_rules! floats {
    ($($rust:ty),*) => {$(
        impl Number for $rust {
            #[inline(always)]
            fn add(self, other: Self) -> (Self, bool) {
                (self + other, false)
            }
            #[inline(always)]
            fn subtract(self, other: Self) -> (Self, bool) {
                (self - other, false)
            }
            #[inline(always)]
            fn multiply(self, other: Self) -> (Self, bool) {
                (self * other, false)
            }
            #[inline(always)]
            fn divide(self, other: Self) -> (Self, bool) {
                (self / other, false)
            }
            #[inline(always)]
            fn remainder(self, other: Self) -> (Self, bool) {
                (self % other, false)
            }
            #[inline(always)]
            fn is_zero(self) -> bool {
                false
            }
        }
    )*};
}
floats!(f32, f64);

fn resolve(types: &[DataType], op: Op) -> Option<Overload> {
    let [left, right] = types else { return None };
    let meeting = numeric_type(left, right)?;
    let kernel = match &meeting {
        DataType::Int64 => kernel_of::<i64>(op),
        DataType::Int128 => kernel_of::<i128>(op),
        DataType::UInt64 => kernel_of::<u64>(op),
        DataType::Float => kernel_of::<f32>(op),
        DataType::Double => kernel_of::<f64>(op),
        _ => return Some(resolve_decimal(left, right, &meeting, op)),
    };
    Some(Overload::new([meeting.clone(), meeting.clone()], meeting, kernel))
}

fn kernel_of<T: Number>(op: Op) -> Kernel {
    match op {
        Op::Add => |_, call, out| number_kernel::<T>(call, out, T::add),
        Op::Subtract => |_, call, out| number_kernel::<T>(call, out, T::subtract),
        Op::Multiply => |_, call, out| number_kernel::<T>(call, out, T::multiply),
        Op::Divide => |_, call, out| number_kernel::<T>(call, out, T::divide),
        Op::Remainder => |_, call, out| number_kernel::<T>(call, out, T::remainder),
    }
}

#[inline(always)]
fn number_kernel<T: Number>(
    call: &Call<'_>,
    out: &mut VectorBuffer,
    f: impl Fn(T, T) -> (T, bool),
) -> FunctionResult<()> {
    checked_binary(call, out, f, |_, right: T| fault(call, right.is_zero()))
}

/// A division's fault is a zero divisor unless something else overflowed.
fn fault(call: &Call<'_>, zero: bool) -> FunctionError {
    let function = call.function.name;
    if zero && matches!(function, "/" | "%") {
        FunctionError::DivisionByZero { function }
    } else {
        FunctionError::Overflow { function, data_type: call.function.result.clone() }
    }
}

/// Sums and remainders bring both sides to one scale; products add the scales; quotients get six digits or more.
fn resolve_decimal(left: &DataType, right: &DataType, meeting: &DataType, op: Op) -> Overload {
    let max = DataType::DECIMAL_PRECISION_MAX;
    let ((left_precision, left_scale), (right_precision, right_scale)) =
        (decimal_form(left), decimal_form(right));
    let form =
        |precision: u8, scale: u8| DataType::Decimal { precision: precision.min(max), scale: scale.min(max) };
    let own = [form(left_precision, left_scale), form(right_precision, right_scale)];
    let (precision, scale) = decimal_form(meeting);
    match op {
        Op::Multiply if left_scale + right_scale <= max => {
            let result = form(left_precision + right_precision, left_scale + right_scale);
            Overload::new(own, result, decimal_multiply)
        }
        Op::Multiply => {
            Overload::new([DataType::Double, DataType::Double], DataType::Double, kernel_of::<f64>(op))
        }
        Op::Divide => Overload::new(own, form(max, left_scale.max(right_scale).max(6)), decimal_divide),
        Op::Remainder => {
            Overload::new([meeting.clone(), meeting.clone()], meeting.clone(), kernel_of::<i128>(op))
        }
        Op::Add | Op::Subtract => {
            let wider = form(precision + 1, scale);
            let kernel: Kernel = if op == Op::Add { decimal_add } else { decimal_subtract };
            Overload::new([wider.clone(), wider.clone()], wider, kernel)
        }
    }
}

/// A result of decimal arithmetic as kernels want it.
fn or_fault(value: Option<i128>) -> (i128, bool) {
    value.map_or((0, true), |value| (value, false))
}

fn decimal_kernel(
    call: &Call<'_>,
    out: &mut VectorBuffer,
    f: impl Fn(i128, i128, u8) -> Option<i128>,
) -> FunctionResult<()> {
    let (precision, _) = decimal_form(&call.function.result);
    checked_binary(
        call,
        out,
        |left, right| or_fault(f(left, right, precision).filter(|value| decimal::fits(*value, precision))),
        |_, right: i128| fault(call, right == 0),
    )
}

fn decimal_add(_: &mut KernelContext, call: &Call<'_>, out: &mut VectorBuffer) -> FunctionResult<()> {
    decimal_kernel(call, out, |left, right, _| left.checked_add(right))
}

fn decimal_subtract(_: &mut KernelContext, call: &Call<'_>, out: &mut VectorBuffer) -> FunctionResult<()> {
    decimal_kernel(call, out, |left, right, _| left.checked_sub(right))
}

fn decimal_multiply(_: &mut KernelContext, call: &Call<'_>, out: &mut VectorBuffer) -> FunctionResult<()> {
    decimal_kernel(call, out, |left, right, _| left.checked_mul(right))
}

fn decimal_divide(_: &mut KernelContext, call: &Call<'_>, out: &mut VectorBuffer) -> FunctionResult<()> {
    let scale_of =
        |position: usize| call.function.arguments.get(position).map_or(0, |form| decimal_form(form).1);
    let (left_scale, right_scale) = (scale_of(0), scale_of(1));
    let (_, scale) = decimal_form(&call.function.result);
    decimal_kernel(call, out, |left, right, precision| {
        decimal::divide((left, left_scale), (right, right_scale), precision, scale)
    })
}

fn resolve_power(types: &[DataType]) -> Option<Overload> {
    let [left, right] = types else { return None };
    numeric_type(left, right)?;
    let kernel: Kernel = |_, call, out| map_binary(call, out, |left: f64, right: f64| left.powf(right));
    Some(Overload::new([DataType::Double, DataType::Double], DataType::Double, kernel))
}

fn resolve_negate(types: &[DataType]) -> Option<Overload> {
    let [only] = types else { return None };
    let meeting = match numeric_type(only, only)? {
        DataType::UInt64 => DataType::Int128,
        other => other,
    };
    let kernel: Kernel = match &meeting {
        DataType::Int64 => |_, call, out| {
            checked_unary(call, out, |value: i64| value.overflowing_neg(), |_| fault(call, false))
        },
        DataType::Float => |_, call, out| map_unary(call, out, |value: f32| -value),
        DataType::Double => |_, call, out| map_unary(call, out, |value: f64| -value),
        _ => |_, call, out| {
            checked_unary(call, out, |value: i128| value.overflowing_neg(), |_| fault(call, false))
        },
    };
    Some(Overload::new([meeting.clone()], meeting, kernel))
}

fn resolve_plus(types: &[DataType]) -> Option<Overload> {
    match types {
        [only] => {
            let meeting = numeric_type(only, only)?;
            let kernel: Kernel = |_, call, out| {
                out.append_range(&call.arguments[0], 0, call.length);
                Ok(())
            };
            Some(Overload::new([meeting.clone()], meeting, kernel))
        }
        _ => None,
    }
}
