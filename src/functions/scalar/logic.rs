//! Three-valued logic and the null tests.

use super::super::kernel::{bool_operand, mistyped};
use super::super::{Call, FunctionResult, Kernel, KernelContext, Overload, ScalarFunction};
use super::{aliased, entry, fits};
use crate::types::DataType;
use crate::vector::simd::Operand;
use crate::vector::{Validity, ValueVector, Values, VectorBuffer};

pub const TABLE: &[ScalarFunction] = &[
    entry("AND", |types| resolve_logic(types, and_kernel)),
    entry("OR", |types| resolve_logic(types, or_kernel)),
    entry("XOR", |types| resolve_logic(types, xor_kernel)),
    entry("NOT", resolve_not),
    aliased("IS NULL", &["is_null", "isNull"], resolve_null),
    aliased("IS NOT NULL", &["is_not_null"], resolve_not_null),
];

fn resolve_logic(types: &[DataType], kernel: Kernel) -> Option<Overload> {
    let [left, right] = types else { return None };
    let both = fits(left, &DataType::Bool) && fits(right, &DataType::Bool);
    both.then(|| Overload::new([DataType::Bool, DataType::Bool], DataType::Bool, kernel).seeing_nulls())
}

/// Writes truth and knowledge of every row. `f` gets (truth, known) of both sides and gives the same.
fn ternary(
    call: &Call<'_>,
    out: &mut VectorBuffer,
    f: impl Fn((bool, bool), (bool, bool)) -> (bool, bool),
) -> FunctionResult<()> {
    let (left, right) = (bool_operand(call, 0)?, bool_operand(call, 1)?);
    let known = |position: usize| {
        let vector: &ValueVector<'_> = &call.arguments[position];
        if matches!(vector.values(), Some(Values::Null)) { Validity::AllNull } else { vector.validity }
    };
    let (left_known, right_known) = (known(0), known(1));
    let side = |operand: &Operand<'_, u8>, known: &Validity<'_>, row: usize| {
        (operand.get(row) != 0, known.is_valid(row))
    };
    let mut valid = vec![0u64; call.length.div_ceil(64)];
    let mut truths = Vec::with_capacity(call.length);
    for row in 0..call.length {
        let (truth, known) = f(side(&left, &left_known, row), side(&right, &right_known, row));
        truths.push(u8::from(truth));
        valid[row / 64] |= u64::from(known) << (row % 64);
    }
    let write = |to: &mut Vec<u8>| {
        to.extend_from_slice(&truths);
        Ok(())
    };
    out.fill_bools(call.length, Validity::Mask(&valid), write)
        .unwrap_or_else(|| Err(mistyped(call.function.name)))
}

/// The bytes of both sides, if no row is null.
fn known_sides<'c>(call: &Call<'c>) -> FunctionResult<Option<(Operand<'c, u8>, Operand<'c, u8>)>> {
    if !call.arguments.iter().all(ValueVector::has_no_nulls) {
        return Ok(None);
    }
    Ok(Some((bool_operand(call, 0)?, bool_operand(call, 1)?)))
}

fn binary_logic(
    call: &Call<'_>,
    out: &mut VectorBuffer,
    bits: impl Fn(u8, u8) -> u8,
    f: impl Fn((bool, bool), (bool, bool)) -> (bool, bool),
) -> FunctionResult<()> {
    let Some((left, right)) = known_sides(call)? else { return ternary(call, out, f) };
    let write = |to: &mut Vec<u8>| {
        match (left, right) {
            (Operand::Slice(left), Operand::Slice(right)) => {
                to.extend(left.iter().zip(right).map(|(left, right)| bits(*left, *right)));
            }
            _ => to.extend((0..call.length).map(|row| bits(left.get(row), right.get(row)))),
        }
        Ok(())
    };
    out.fill_bools(call.length, Validity::AllValid, write)
        .unwrap_or_else(|| Err(mistyped(call.function.name)))
}

fn and_kernel(_: &mut KernelContext, call: &Call<'_>, out: &mut VectorBuffer) -> FunctionResult<()> {
    binary_logic(
        call,
        out,
        |left, right| left & right,
        |(left, left_known), (right, right_known)| {
            let is_false = (left_known && !left) || (right_known && !right);
            (!is_false && left && right, is_false || (left_known && right_known))
        },
    )
}

fn or_kernel(_: &mut KernelContext, call: &Call<'_>, out: &mut VectorBuffer) -> FunctionResult<()> {
    binary_logic(
        call,
        out,
        |left, right| left | right,
        |(left, left_known), (right, right_known)| {
            let is_true = (left_known && left) || (right_known && right);
            (is_true, is_true || (left_known && right_known))
        },
    )
}

fn xor_kernel(_: &mut KernelContext, call: &Call<'_>, out: &mut VectorBuffer) -> FunctionResult<()> {
    binary_logic(
        call,
        out,
        |left, right| left ^ right,
        |(left, left_known), (right, right_known)| (left ^ right, left_known && right_known),
    )
}

fn resolve_not(types: &[DataType]) -> Option<Overload> {
    let [only] = types else { return None };
    let kernel: Kernel = |_, call, out| {
        let truths = bool_operand(call, 0)?;
        let write = |to: &mut Vec<u8>| {
            to.extend((0..call.length).map(|row| truths.get(row) ^ 1));
            Ok(())
        };
        out.fill_bools(call.length, call.active, write).unwrap_or_else(|| Err(mistyped(call.function.name)))
    };
    fits(only, &DataType::Bool).then(|| Overload::new([DataType::Bool], DataType::Bool, kernel))
}

fn resolve_null(types: &[DataType]) -> Option<Overload> {
    let [only] = types else { return None };
    let kernel: Kernel = |_, call, out| null_test(call, out, true);
    Some(Overload::new([only.clone()], DataType::Bool, kernel).seeing_nulls())
}

fn resolve_not_null(types: &[DataType]) -> Option<Overload> {
    let [only] = types else { return None };
    let kernel: Kernel = |_, call, out| null_test(call, out, false);
    Some(Overload::new([only.clone()], DataType::Bool, kernel).seeing_nulls())
}

fn null_test(call: &Call<'_>, out: &mut VectorBuffer, wanted: bool) -> FunctionResult<()> {
    let argument = &call.arguments[0];
    let write = |to: &mut Vec<u8>| {
        to.extend((0..call.length).map(|row| u8::from(argument.is_null(row) == wanted)));
        Ok(())
    };
    out.fill_bools(call.length, Validity::AllValid, write)
        .unwrap_or_else(|| Err(mistyped(call.function.name)))
}
