//! The loops of kernels: operands as slices or constants, results as slices, faults raised for active rows only.

use super::watch::Made;
use super::{Call, FunctionError, FunctionResult};
use crate::vector::simd::Operand;
use crate::vector::{Native, Shape, StringVector, Validity, Values, VectorBuffer};

/// The fault of a kernel that meets a vector of a type it was not resolved for, which is our own mistake.
pub fn mistyped(function: &'static str) -> FunctionError {
    FunctionError::invalid(function, "an argument is not of the type that the function was resolved for")
}

/// An argument of fixed size.
pub fn operand<'c, T: Native>(call: &Call<'c>, position: usize) -> FunctionResult<Operand<'c, T>> {
    let vector = &call.arguments[position];
    match &vector.shape {
        Shape::Flat(values) => T::slice(values).map(|slice| Operand::Slice(&slice[..call.length])),
        Shape::Constant(values) => {
            T::slice(values).and_then(|slice| slice.first().copied()).map(Operand::Constant)
        }
        _ => None,
    }
    .ok_or_else(|| mistyped(call.function.name))
}

/// A BOOL argument as bytes of 0 and 1.
pub fn bool_operand<'c>(call: &Call<'c>, position: usize) -> FunctionResult<Operand<'c, u8>> {
    match call.arguments[position].shape {
        Shape::Flat(Values::Bool(bytes)) => Ok(Operand::Slice(&bytes[..call.length])),
        Shape::Constant(Values::Bool(&[byte, ..])) => Ok(Operand::Constant(byte)),
        // An argument that is always null has no bytes; under `Nulls::Seen` its validity is what counts.
        Shape::Flat(Values::Null) | Shape::Constant(_) => Ok(Operand::Constant(0)),
        _ => Err(mistyped(call.function.name)),
    }
}

/// A string argument.
#[derive(Debug, Clone, Copy)]
pub enum Strings<'c> {
    Rows(StringVector<'c>),
    Constant(&'c [u8]),
}

impl<'c> Strings<'c> {
    /// The bytes of a row.
    #[inline]
    pub fn bytes(&self, row: usize) -> &'c [u8] {
        match self {
            Strings::Rows(strings) => strings.bytes(row),
            Strings::Constant(bytes) => bytes,
        }
    }

    /// The text of a row.
    #[inline]
    pub fn text(&self, row: usize) -> &'c str {
        crate::vector::text_of(self.bytes(row))
    }
}

/// A STRING, BLOB or JSON argument.
pub fn strings<'c>(call: &Call<'c>, position: usize) -> FunctionResult<Strings<'c>> {
    match call.arguments[position].shape {
        Shape::Flat(Values::Str(strings)) => Ok(Strings::Rows(strings)),
        Shape::Constant(Values::Str(strings)) if !strings.views.is_empty() => {
            Ok(Strings::Constant(strings.bytes(0)))
        }
        Shape::Flat(Values::Null) | Shape::Constant(_) => Ok(Strings::Constant(b"")),
        _ => Err(mistyped(call.function.name)),
    }
}

/// Calls `visit` for each active row, in order.
#[inline]
pub fn each_active(
    call: &Call<'_>,
    mut visit: impl FnMut(usize) -> FunctionResult<()>,
) -> FunctionResult<()> {
    match call.active {
        Validity::AllNull => Ok(()),
        Validity::AllValid => (0..call.length).try_for_each(visit),
        active => {
            for index in 0..call.length.div_ceil(64) {
                let mut word = active.word(index);
                while word != 0 {
                    visit(index * 64 + word.trailing_zeros() as usize)?;
                    word &= word - 1;
                }
            }
            Ok(())
        }
    }
}

/// Writes `f` of every row, active or not: `f` must not fail.
pub fn map_unary<A: Native, R: Native>(
    call: &Call<'_>,
    out: &mut VectorBuffer,
    f: impl Fn(A) -> R,
) -> FunctionResult<()> {
    let values = operand::<A>(call, 0)?;
    let write = |to: &mut Vec<R>| {
        match values {
            Operand::Slice(values) => to.extend(values.iter().map(|value| f(*value))),
            Operand::Constant(value) => to.resize(to.len() + call.length, f(value)),
        }
        Ok(())
    };
    out.fill(call.length, call.active, write).unwrap_or_else(|| Err(mistyped(call.function.name)))
}

/// Writes `f` of every row of two arguments; `f` must not fail.
pub fn map_binary<A: Native, B: Native, R: Native>(
    call: &Call<'_>,
    out: &mut VectorBuffer,
    f: impl Fn(A, B) -> R,
) -> FunctionResult<()> {
    let (left, right) = (operand::<A>(call, 0)?, operand::<B>(call, 1)?);
    let write = |to: &mut Vec<R>| {
        match (left, right) {
            (Operand::Slice(left), Operand::Slice(right)) => {
                to.extend(left.iter().zip(right).map(|(left, right)| f(*left, *right)));
            }
            (Operand::Slice(left), Operand::Constant(right)) => {
                to.extend(left.iter().map(|left| f(*left, right)))
            }
            (Operand::Constant(left), Operand::Slice(right)) => {
                to.extend(right.iter().map(|right| f(left, *right)))
            }
            (Operand::Constant(left), Operand::Constant(right)) => {
                to.resize(to.len() + call.length, f(left, right));
            }
        }
        Ok(())
    };
    out.fill(call.length, call.active, write).unwrap_or_else(|| Err(mistyped(call.function.name)))
}

/// Writes `f` of every row of two arguments. `f` gives a result and whether it is a fault; a fault counts only in an
/// active row and is then turned into an error by `fault`.
pub fn checked_binary<A: Native, B: Native, R: Native>(
    call: &Call<'_>,
    out: &mut VectorBuffer,
    f: impl Fn(A, B) -> (R, bool),
    fault: impl Fn(A, B) -> FunctionError,
) -> FunctionResult<()> {
    let (left, right) = (operand::<A>(call, 0)?, operand::<B>(call, 1)?);
    let write = |to: &mut Vec<R>| {
        let mut faulty = false;
        let mut apply = |left: A, right: B| {
            let (value, failed) = f(left, right);
            faulty |= failed;
            value
        };
        match (left, right) {
            (Operand::Slice(left), Operand::Slice(right)) => {
                to.extend(left.iter().zip(right).map(|(left, right)| apply(*left, *right)));
            }
            (Operand::Slice(left), Operand::Constant(right)) => {
                to.extend(left.iter().map(|left| apply(*left, right)))
            }
            (Operand::Constant(left), Operand::Slice(right)) => {
                to.extend(right.iter().map(|right| apply(left, *right)));
            }
            (Operand::Constant(left), Operand::Constant(right)) => {
                let value = apply(left, right);
                to.resize(to.len() + call.length, value);
            }
        }
        if faulty {
            // Rare: look which row it was.
            each_active(call, |row| match f(left.get(row), right.get(row)).1 {
                true => Err(fault(left.get(row), right.get(row))),
                false => Ok(()),
            })?;
        }
        Ok(())
    };
    out.fill(call.length, call.active, write).unwrap_or_else(|| Err(mistyped(call.function.name)))
}

/// Writes `f` of each active row and a default for the others.
pub fn map_rows<R: Native>(
    call: &Call<'_>,
    out: &mut VectorBuffer,
    mut f: impl FnMut(usize) -> FunctionResult<R>,
) -> FunctionResult<()> {
    let write = |to: &mut Vec<R>| {
        let before = to.len();
        to.resize(before + call.length, R::default());
        each_active(call, |row| {
            to[before + row] = f(row)?;
            Ok(())
        })
    };
    out.fill(call.length, call.active, write).unwrap_or_else(|| Err(mistyped(call.function.name)))
}

/// As `map_rows`, for BOOL results.
pub fn map_truths(
    call: &Call<'_>,
    out: &mut VectorBuffer,
    mut f: impl FnMut(usize) -> FunctionResult<bool>,
) -> FunctionResult<()> {
    let write = |to: &mut Vec<u8>| {
        let before = to.len();
        to.resize(before + call.length, 0);
        each_active(call, |row| {
            to[before + row] = u8::from(f(row)?);
            Ok(())
        })
    };
    out.fill_bools(call.length, call.active, write).unwrap_or_else(|| Err(mistyped(call.function.name)))
}

/// Calls `push` for each active row, which pushes exactly one row, and pushes nulls for the others. What kernels with
/// results of no fixed size use.
pub fn push_rows(
    call: &Call<'_>,
    out: &mut VectorBuffer,
    mut push: impl FnMut(usize, &mut VectorBuffer) -> FunctionResult<()>,
) -> FunctionResult<()> {
    let (mut next, mut made) = (0, Made::default());
    each_active(call, |row| {
        if row > next {
            out.push_nulls(row - next);
        }
        next = row + 1;
        push(row, out)?;
        made.grew(call, || out.bytes())
    })?;
    out.push_nulls(call.length - next);
    Ok(())
}

/// As `checked_binary`, for one argument.
pub fn checked_unary<A: Native, R: Native>(
    call: &Call<'_>,
    out: &mut VectorBuffer,
    f: impl Fn(A) -> (R, bool),
    fault: impl Fn(A) -> FunctionError,
) -> FunctionResult<()> {
    let values = operand::<A>(call, 0)?;
    let write = |to: &mut Vec<R>| {
        let mut faulty = false;
        let mut apply = |value: A| {
            let (value, failed) = f(value);
            faulty |= failed;
            value
        };
        match values {
            Operand::Slice(values) => to.extend(values.iter().map(|value| apply(*value))),
            Operand::Constant(value) => {
                let value = apply(value);
                to.resize(to.len() + call.length, value);
            }
        }
        if faulty {
            each_active(call, |row| if f(values.get(row)).1 { Err(fault(values.get(row))) } else { Ok(()) })?;
        }
        Ok(())
    };
    out.fill(call.length, call.active, write).unwrap_or_else(|| Err(mistyped(call.function.name)))
}
