//! `= <> < <= > >=` over all types. Numbers, strings and points in time compare as slices; everything else compares as
//! values, by openCypher's equality and comparability.

use std::cmp::Ordering;

use super::super::kernel::{
    Strings, bool_operand, each_active, map_truths, mistyped, operand, push_rows, strings,
};
use super::super::{
    Availability, Call, FunctionResult, Kernel, KernelContext, Overload, ScalarFunction, SelectKernel,
    common_type,
};
use super::{entry, only};
use crate::types::{DataType, PhysicalType};
use crate::vector::simd::{CompareOp, Operand, compare_mask};
use crate::vector::{Native, SelectionBuffer, StringVector, Validity, VectorBuffer};

pub const TABLE: &[ScalarFunction] = &[
    only(Availability::Kuzu, "=", |types| resolve_with_text(types, CompareOp::Eq)),
    only(Availability::Kuzu, "<>", |types| resolve_with_text(types, CompareOp::Ne)),
    only(Availability::Kuzu, "<", |types| resolve_with_text(types, CompareOp::Lt)),
    only(Availability::Kuzu, "<=", |types| resolve_with_text(types, CompareOp::Le)),
    only(Availability::Kuzu, ">", |types| resolve_with_text(types, CompareOp::Gt)),
    only(Availability::Kuzu, ">=", |types| resolve_with_text(types, CompareOp::Ge)),
    entry("=", |types| resolve(types, CompareOp::Eq)),
    entry("<>", |types| resolve(types, CompareOp::Ne)),
    entry("<", |types| resolve(types, CompareOp::Lt)),
    entry("<=", |types| resolve(types, CompareOp::Le)),
    entry(">", |types| resolve(types, CompareOp::Gt)),
    entry(">=", |types| resolve(types, CompareOp::Ge)),
];

/// Kuzu reads a string as the temporal type, UUID or BLOB that it is compared with.
fn resolve_with_text(types: &[DataType], op: CompareOp) -> Option<Overload> {
    let reads = |data_type: &DataType| {
        data_type.is_temporal() || matches!(data_type, DataType::Interval | DataType::Uuid)
    };
    match types {
        [DataType::String, other] | [other, DataType::String] if reads(other) => {
            resolve(&[other.clone(), other.clone()], op)
        }
        _ => None,
    }
}

fn resolve(types: &[DataType], op: CompareOp) -> Option<Overload> {
    let [left, right] = types else { return None };
    let meeting = common_type(left, right);
    let equality = matches!(op, CompareOp::Eq | CompareOp::Ne);
    let by_slice = match meeting.physical() {
        PhysicalType::Null
        | PhysicalType::List
        | PhysicalType::Struct
        | PhysicalType::Union
        | PhysicalType::Any => false,
        // Nodes are equal or not, but have no order.
        _ => equality || !matches!(meeting, DataType::Node),
    };
    if !by_slice {
        let types = [left.clone(), right.clone()];
        return Some(Overload::new(types, DataType::Bool, value_kernel(op)));
    }
    let (kernel, select) = slice_kernels(meeting.physical(), op)?;
    let arguments = [meeting.clone(), meeting];
    Some(Overload::new(arguments, DataType::Bool, kernel).with_select(select))
}

macro_rules! by_operator {
    ($op:expr, $kernel:ident $(, $type:ty)?) => {
        match $op {
            CompareOp::Eq => |context, call, out| $kernel$(::<$type>)?(context, call, CompareOp::Eq, out),
            CompareOp::Ne => |context, call, out| $kernel$(::<$type>)?(context, call, CompareOp::Ne, out),
            CompareOp::Lt => |context, call, out| $kernel$(::<$type>)?(context, call, CompareOp::Lt, out),
            CompareOp::Le => |context, call, out| $kernel$(::<$type>)?(context, call, CompareOp::Le, out),
            CompareOp::Gt => |context, call, out| $kernel$(::<$type>)?(context, call, CompareOp::Gt, out),
            CompareOp::Ge => |context, call, out| $kernel$(::<$type>)?(context, call, CompareOp::Ge, out),
        }
    };
}

macro_rules! native_kernels {
    ($physical:expr, $op:expr, $($variant:ident => $type:ty),*) => {
        match $physical {
            $(PhysicalType::$variant => Some((
                {
 let kernel: Kernel = by_operator!($op, native_truths, $type);
 kernel },
                {
 let kernel: SelectKernel = by_operator!($op, native_select, $type);
 kernel },
            )),)*
            PhysicalType::Str => Some((
                {
 let kernel: Kernel = by_operator!($op, string_truths);
 kernel },
                {
 let kernel: SelectKernel = by_operator!($op, string_select);
 kernel },
            )),
            PhysicalType::Bool => Some((
                {
 let kernel: Kernel = by_operator!($op, bool_truths);
 kernel },
                {
 let kernel: SelectKernel = by_operator!($op, bool_select);
 kernel },
            )),
            _ => None,
        }
    };
}

fn slice_kernels(physical: PhysicalType, op: CompareOp) -> Option<(Kernel, SelectKernel)> {
    native_kernels!(physical, op,
        I8 => i8, I16 => i16, I32 => i32, I64 => i64, I128 => i128, U8 => u8, U16 => u16, U32 => u32, U64 => u64,
        F32 => f32, F64 => f64, Time => crate::types::Time, Interval => crate::types::Interval,
        Zoned => crate::types::Zoned)
}

/// The mask of a comparison of two operands.
fn native_mask<T: Native>(call: &Call<'_>, op: CompareOp, words: &mut [u64]) -> FunctionResult<()> {
    match (operand::<T>(call, 0)?, operand::<T>(call, 1)?) {
        (Operand::Slice(left), right) => compare_mask(op, left, right, words),
        (left @ Operand::Constant(_), Operand::Slice(right)) => {
            compare_mask(op.mirrored(), right, left, words)
        }
        (Operand::Constant(left), Operand::Constant(right)) => {
            let mut word = [0];
            compare_mask(op, &[left], Operand::Constant(right), &mut word);
            words.fill(if word[0] & 1 == 1 { u64::MAX } else { 0 });
        }
    }
    Ok(())
}

fn native_select<T: Native>(
    context: &mut KernelContext,
    call: &Call<'_>,
    op: CompareOp,
    out: &mut SelectionBuffer,
) -> FunctionResult<()> {
    let mut words = context.take_mask(call.length);
    native_mask::<T>(call, op, &mut words)?;
    narrow(call.active, &words, out);
    context.give_mask(words);
    Ok(())
}

/// Keeps the active rows whose bit is set.
fn narrow(active: Validity<'_>, words: &[u64], out: &mut SelectionBuffer) {
    for (index, (word, mask)) in out.words_mut().iter_mut().zip(words).enumerate() {
        *word &= mask & active.word(index);
    }
}

fn native_truths<T: Native>(
    context: &mut KernelContext,
    call: &Call<'_>,
    op: CompareOp,
    out: &mut VectorBuffer,
) -> FunctionResult<()> {
    let mut words = context.take_mask(call.length);
    native_mask::<T>(call, op, &mut words)?;
    let outcome = write_mask(call, &words, out);
    context.give_mask(words);
    outcome
}

fn write_mask(call: &Call<'_>, words: &[u64], out: &mut VectorBuffer) -> FunctionResult<()> {
    let write = |to: &mut Vec<u8>| {
        to.extend((0..call.length).map(|row| (words[row / 64] >> (row % 64) & 1) as u8));
        Ok(())
    };
    out.fill_bools(call.length, call.active, write).unwrap_or_else(|| Err(mistyped(call.function.name)))
}

/// Whether a string comparison holds; equality looks at the views first.
fn string_test<'c>(call: &Call<'c>, op: CompareOp) -> FunctionResult<impl Fn(usize) -> bool + 'c> {
    let (left, right) = (strings(call, 0)?, strings(call, 1)?);
    Ok(move |row: usize| match (op, &left, &right) {
        (CompareOp::Eq, Strings::Rows(left), Strings::Rows(right)) => left.equal(row, right, row),
        (CompareOp::Ne, Strings::Rows(left), Strings::Rows(right)) => !left.equal(row, right, row),
        (CompareOp::Eq, Strings::Rows(rows), Strings::Constant(text))
        | (CompareOp::Eq, Strings::Constant(text), Strings::Rows(rows)) => {
            rows.views[row].len() == text.len() && rows.bytes(row) == *text
        }
        _ => op.holds(left.bytes(row).cmp(right.bytes(row))),
    })
}

/// The mask of `<` and its like between texts. The first bytes of most decide, without a branch; where they are the same
/// the texts are read, for active rows.
fn string_order_mask(call: &Call<'_>, op: CompareOp, words: &mut [u64]) -> FunctionResult<()> {
    let (left, right) = (strings(call, 0)?, strings(call, 1)?);
    let is_less = matches!(op, CompareOp::Lt | CompareOp::Le);
    let constant = |text: &[u8]| {
        let mut prefix = [0; 4];
        prefix.iter_mut().zip(text).for_each(|(to, from)| *to = *from);
        u32::from_be_bytes(prefix)
    };
    let of = |rows: &StringVector<'_>, row: usize| u32::from_be_bytes(rows.views[row].prefix());
    let reads = |row: usize| op.holds(left.bytes(row).cmp(right.bytes(row)));
    match (&left, &right) {
        (Strings::Rows(left), Strings::Constant(text)) => {
            let text = constant(text);
            order_by_prefix(call, is_less, |row| (of(left, row), text), reads, words);
        }
        (Strings::Constant(text), Strings::Rows(right)) => {
            let text = constant(text);
            order_by_prefix(call, is_less, |row| (text, of(right, row)), reads, words);
        }
        (Strings::Rows(left), Strings::Rows(right)) => {
            order_by_prefix(call, is_less, |row| (of(left, row), of(right, row)), reads, words);
        }
        (Strings::Constant(_), Strings::Constant(_)) => words.fill(if reads(0) { u64::MAX } else { 0 }),
    }
    Ok(())
}

#[inline(always)]
fn order_by_prefix(
    call: &Call<'_>,
    is_less: bool,
    prefixes: impl Fn(usize) -> (u32, u32),
    reads: impl Fn(usize) -> bool,
    words: &mut [u64],
) {
    for (index, word) in words.iter_mut().enumerate() {
        let active = call.active.word(index);
        if active == 0 {
            continue;
        }
        let first = index * 64;
        let (mut less, mut same) = (0u64, 0u64);
        for bit in 0..64.min(call.length - first) {
            let (left, right) = prefixes(first + bit);
            less |= u64::from(left < right) << bit;
            same |= u64::from(left == right) << bit;
        }
        *word = if is_less { less } else { !(less | same) };
        same &= active;
        while same != 0 {
            let bit = same.trailing_zeros();
            *word |= u64::from(reads(first + bit as usize)) << bit;
            same &= same - 1;
        }
    }
}

fn is_order(op: CompareOp) -> bool {
    matches!(op, CompareOp::Lt | CompareOp::Le | CompareOp::Gt | CompareOp::Ge)
}

fn string_truths(
    context: &mut KernelContext,
    call: &Call<'_>,
    op: CompareOp,
    out: &mut VectorBuffer,
) -> FunctionResult<()> {
    if is_order(op) {
        let mut words = context.take_mask(call.length);
        string_order_mask(call, op, &mut words)?;
        let outcome = write_mask(call, &words, out);
        context.give_mask(words);
        return outcome;
    }
    let test = string_test(call, op)?;
    map_truths(call, out, |row| Ok(test(row)))
}

fn string_select(
    context: &mut KernelContext,
    call: &Call<'_>,
    op: CompareOp,
    out: &mut SelectionBuffer,
) -> FunctionResult<()> {
    if is_order(op) {
        let mut words = context.take_mask(call.length);
        string_order_mask(call, op, &mut words)?;
        narrow(call.active, &words, out);
        context.give_mask(words);
        return Ok(());
    }
    let test = string_test(call, op)?;
    select_rows(context, call, out, test)
}

fn select_rows(
    context: &mut KernelContext,
    call: &Call<'_>,
    out: &mut SelectionBuffer,
    test: impl Fn(usize) -> bool,
) -> FunctionResult<()> {
    let mut words = context.take_mask(call.length);
    each_active(call, |row| {
        words[row / 64] |= u64::from(test(row)) << (row % 64);
        Ok(())
    })?;
    narrow(call.active, &words, out);
    context.give_mask(words);
    Ok(())
}

fn bool_truths(
    _: &mut KernelContext,
    call: &Call<'_>,
    op: CompareOp,
    out: &mut VectorBuffer,
) -> FunctionResult<()> {
    let (left, right) = (bool_operand(call, 0)?, bool_operand(call, 1)?);
    map_truths(call, out, |row| Ok(op.holds(left.get(row).cmp(&right.get(row)))))
}

fn bool_select(
    context: &mut KernelContext,
    call: &Call<'_>,
    op: CompareOp,
    out: &mut SelectionBuffer,
) -> FunctionResult<()> {
    let (left, right) = (bool_operand(call, 0)?, bool_operand(call, 1)?);
    select_rows(context, call, out, |row| op.holds(left.get(row).cmp(&right.get(row))))
}

fn value_kernel(op: CompareOp) -> Kernel {
    by_operator!(op, value_truths)
}

fn value_truths(
    _: &mut KernelContext,
    call: &Call<'_>,
    op: CompareOp,
    out: &mut VectorBuffer,
) -> FunctionResult<()> {
    let [left_type, right_type] = call.function.arguments.as_slice() else {
        return Err(mistyped(call.function.name));
    };
    push_rows(call, out, |row, out| {
        let left = call.arguments[0].value(row, left_type);
        let right = call.arguments[1].value(row, right_type);
        let truth = match op {
            CompareOp::Eq => left.equals(&right),
            CompareOp::Ne => left.equals(&right).map(|equal| !equal),
            _ => order(&left, &right, op),
        };
        match truth {
            Some(truth) => out.push_bool(truth),
            None => out.push_null(),
        }
        Ok(())
    })
}

/// `<` and its like; NaN compares with numbers as false, values of different kinds as null.
fn order(left: &crate::types::Value, right: &crate::types::Value, op: CompareOp) -> Option<bool> {
    match (left.as_f64(), right.as_f64()) {
        (Some(a), Some(b)) if a.is_nan() || b.is_nan() => Some(false),
        _ => left.compare(right).map(|order: Ordering| op.holds(order)),
    }
}
