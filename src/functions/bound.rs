//! A function that is resolved for its argument types, and its evaluation over vectors of any shape.

use super::cast::implicit_cost;
use super::watch::ConstantWatch;
use super::{Call, FunctionResult, Kernel, KernelContext, Nulls, Overload, ScalarFunction, SelectKernel};
use crate::types::{DataType, PhysicalType, Value};
use crate::vector::{
    Selection, SelectionBuffer, Shape, Validity, ValueVector, VectorBuffer, VectorRef, ones_below, simd,
};

/// Functions that have a result for all values, whatever the types.
const TOTAL: [&str; 10] =
    ["AND", "OR", "XOR", "NOT", "IS NULL", "IS NOT NULL", "IN", "STARTS WITH", "ENDS WITH", "CONTAINS"];

/// A scalar function for certain argument types. Arguments must come in exactly these types.
#[derive(Debug, Clone)]
pub struct BoundScalar {
    /// As shown in errors and plans.
    pub name: &'static str,
    /// The types that arguments must have.
    pub arguments: Vec<DataType>,
    /// The type of the result.
    pub result: DataType,
    /// The result differs from call to call.
    pub volatile: bool,
    /// Who deals with nulls.
    pub nulls: Nulls,
    pub(super) kernel: Kernel,
    pub(super) select: Option<SelectKernel>,
    /// What is resolved again for the types of the rows, where an argument is ANY.
    pub(super) sources: Vec<&'static ScalarFunction>,
    /// The member that `struct_extract` takes.
    pub(super) member: Option<usize>,
}

impl PartialEq for BoundScalar {
    fn eq(&self, other: &Self) -> bool {
        self.name == other.name
            && self.member == other.member
            && self.arguments == other.arguments
            && self.result == other.result
    }
}

impl BoundScalar {
    /// Whether it is a value, other than a truth, that is NULL wherever an argument is.
    pub fn is_null_of_null(&self) -> bool {
        self.nulls == Nulls::Propagate && !self.volatile && self.result != DataType::Bool
    }

    /// Whether it has a result for all values of its arguments: comparisons, logic, tests of texts, sums of floats and
    /// casts that lose nothing. Others may end in an error.
    pub fn is_total(&self) -> bool {
        let texts = self.arguments.iter().filter(|argument| **argument == DataType::String).count();
        match self.name {
            "=" | "<>" | "<" | "<=" | ">" | ">=" => texts == 0 || texts == self.arguments.len(),
            "+" | "-" | "*" => self.result == DataType::Double,
            "CAST" => match &self.arguments[..] {
                [from] => *from != DataType::Any && implicit_cost(from, &self.result).is_some(),
                _ => false,
            },
            name => TOTAL.contains(&name),
        }
    }

    /// A function from its overload.
    pub fn new(name: &'static str, overload: Overload) -> Self {
        BoundScalar {
            name,
            arguments: overload.arguments,
            result: overload.result,
            volatile: overload.volatile,
            nulls: overload.nulls,
            kernel: overload.kernel,
            select: overload.select,
            sources: Vec::new(),
            member: None,
        }
    }

    /// Evaluates `length` rows. The result lies in `out` (of the result's type, emptied first) or is constant. Rows
    /// that are not selected hold nothing of use and raise no errors.
    pub fn evaluate<'v>(
        &self,
        context: &mut KernelContext,
        arguments: &[ValueVector<'v>],
        length: usize,
        selection: Selection<'_>,
        out: &'v mut VectorBuffer,
    ) -> FunctionResult<ValueVector<'v>> {
        debug_assert_eq!(arguments.len(), self.arguments.len());
        out.reset(&self.result);
        let shown;
        let arguments = match arguments.iter().any(ValueVector::is_all_null) {
            true if self.nulls == Nulls::Propagate => return Ok(ValueVector::null()),
            true => {
                // One shape for all vectors without values, whatever they are made of.
                let null = |argument: &ValueVector<'v>| argument.is_all_null().then(ValueVector::null);
                let one = |argument| null(argument).unwrap_or(*argument);
                shown = arguments.iter().map(one).collect::<Vec<ValueVector<'v>>>();
                &shown[..]
            }
            false => arguments,
        };
        if !self.volatile && length > 0 && arguments.iter().all(ValueVector::is_constant) {
            if selection.count(length) == 0 {
                return Ok(ValueVector::null());
            }
            self.run(context, arguments, 1, Selection::All, out)?;
            return Ok(out.constant_vector());
        }
        if let Some((position, codes, values, entries)) = self.dictionary(arguments, length) {
            self.run_dictionary(
                context,
                arguments,
                position,
                (codes, values, entries),
                length,
                selection,
                out,
            )?;
            return Ok(ValueVector::dictionary(codes, &*out).with_validity(arguments[position].validity));
        }
        self.run(context, arguments, length, selection, out)?;
        Ok(out.vector())
    }

    /// The result for constant arguments of the right types; none where it differs from call to call, is an error, or is
    /// a long list.
    pub fn of_constants(&self, values: &[&Value]) -> Option<Value> {
        if self.volatile || values.len() != self.arguments.len() {
            return None;
        }
        let mut buffers = Vec::with_capacity(values.len());
        for (value, data_type) in values.iter().zip(&self.arguments) {
            let mut buffer = VectorBuffer::new(data_type.clone());
            buffer.push_value(value).ok()?;
            buffers.push(buffer);
        }
        let vectors: Vec<ValueVector<'_>> = buffers.iter().map(VectorBuffer::constant_vector).collect();
        let mut out = VectorBuffer::new(self.result.clone());
        // Functions of the present instant are volatile, so the instant does not matter.
        let mut context = KernelContext::new(0, 0).watched(std::sync::Arc::new(ConstantWatch));
        let result = self.evaluate(&mut context, &vectors, 1, Selection::All, &mut out).ok()?;
        Some(result.value(0, &self.result))
    }

    /// The argument that is a dictionary with fewer entries than rows, if all others are constant.
    fn dictionary<'v>(
        &self,
        arguments: &[ValueVector<'v>],
        length: usize,
    ) -> Option<(usize, &'v [u32], VectorRef<'v>, usize)> {
        if self.volatile || self.nulls != Nulls::Propagate {
            return None;
        }
        let mut found = None;
        for (position, argument) in arguments.iter().enumerate() {
            match argument.shape {
                Shape::Dictionary { codes, values } if found.is_none() => {
                    let (_, _, entries) = argument.entries()?;
                    found = Some((position, codes, values, entries));
                }
                _ if argument.is_constant() => {}
                _ => return None,
            }
        }
        found.filter(|(_, _, _, entries)| *entries < length)
    }

    #[expect(clippy::too_many_arguments, reason = "the parts of one call")]
    fn run_dictionary(
        &self,
        context: &mut KernelContext,
        arguments: &[ValueVector<'_>],
        position: usize,
        (codes, values, entries): (&[u32], VectorRef<'_>, usize),
        length: usize,
        selection: Selection<'_>,
        out: &mut VectorBuffer,
    ) -> FunctionResult<()> {
        let replaced: Vec<ValueVector<'_>> = arguments
            .iter()
            .enumerate()
            .map(|(other, argument)| if other == position { values.get() } else { *argument })
            .collect();
        // All entries cost less than to look for those that are used, unless few rows are selected.
        if selection.is_all() || selection.count(length) >= entries {
            if self.run(context, &replaced, entries, Selection::All, out).is_ok() {
                return Ok(());
            }
            // Perhaps the fault is in an entry that no selected row uses.
            out.reset(&self.result);
        }
        let mut used = context.take_mask(entries);
        let validity = arguments[position].validity;
        selection.for_each(length, |row| {
            if validity.is_valid(row) {
                let code = codes[row] as usize;
                used[code / 64] |= 1 << (code % 64);
            }
        });
        let outcome = self.run(context, &replaced, entries, Selection::Mask(&used), out);
        context.give_mask(used);
        outcome
    }

    /// Flattens what is neither flat nor constant nor a list, finds the active rows and runs the kernel.
    fn run(
        &self,
        context: &mut KernelContext,
        arguments: &[ValueVector<'_>],
        length: usize,
        selection: Selection<'_>,
        out: &mut VectorBuffer,
    ) -> FunctionResult<()> {
        self.with_call(context, arguments, length, selection, |context, call| {
            (self.kernel)(context, call, out)
        })?;
        debug_assert_eq!(out.len(), length, "{}", self.name);
        Ok(())
    }

    fn with_call<R>(
        &self,
        context: &mut KernelContext,
        arguments: &[ValueVector<'_>],
        length: usize,
        selection: Selection<'_>,
        visit: impl FnOnce(&mut KernelContext, &Call<'_>) -> R,
    ) -> R {
        // Lists are read where they lie: rows of a dictionary may share a long one.
        let is_plain = |(vector, data_type): (&ValueVector<'_>, &DataType)| {
            matches!(vector.shape, Shape::Flat(_) | Shape::Constant(_))
                || data_type.physical() == PhysicalType::List && vector.list_reader().is_some()
        };
        let mut flattened: Vec<VectorBuffer> = Vec::new();
        let mut flat_bytes = 0;
        for (argument, data_type) in arguments.iter().zip(&self.arguments) {
            if !is_plain((argument, data_type)) {
                let mut buffer = context.take_buffer(data_type);
                argument.flatten(length, &mut buffer);
                if let Some(watch) = context.watch() {
                    flat_bytes += buffer.bytes();
                    watch.note(flat_bytes as u64);
                }
                flattened.push(buffer);
            }
        }
        let mut buffers = flattened.iter();
        let peel = |(argument, data_type)| match is_plain((argument, data_type)) {
            true => *argument,
            false => buffers.next().map_or(*argument, VectorBuffer::vector),
        };
        let peeled: Vec<ValueVector<'_>> = arguments.iter().zip(&self.arguments).map(peel).collect();
        let mut mask = context.take_mask(length);
        let active = self.active(&peeled, length, selection, &mut mask);
        let watch = context.shared_watch();
        let call = Call { function: self, arguments: &peeled, length, active, watch: watch.as_deref() };
        let outcome = visit(context, &call);
        drop(peeled);
        context.give_mask(mask);
        flattened.into_iter().for_each(|buffer| context.give_buffer(buffer));
        outcome
    }

    fn active<'m>(
        &self,
        arguments: &[ValueVector<'_>],
        length: usize,
        selection: Selection<'_>,
        mask: &'m mut [u64],
    ) -> Validity<'m> {
        let propagates = self.nulls == Nulls::Propagate;
        if selection.is_all() && (!propagates || arguments.iter().all(ValueVector::has_no_nulls)) {
            return Validity::AllValid;
        }
        match selection {
            Selection::All => mask.fill(u64::MAX),
            Selection::Rows(rows) => {
                rows.iter().map(|row| *row as usize).for_each(|row| mask[row / 64] |= 1 << (row % 64));
            }
            Selection::Mask(words) => {
                mask.iter_mut().zip(words).for_each(|(word, selected)| *word = *selected)
            }
        }
        if propagates {
            for argument in arguments {
                let validity = match argument.values() {
                    Some(crate::vector::Values::Null) => Validity::AllNull,
                    _ => argument.validity,
                };
                if !validity.is_all_valid() {
                    mask.iter_mut().enumerate().for_each(|(index, word)| *word &= validity.word(index));
                }
                if matches!(argument.shape, Shape::Dictionary { .. }) && !argument.has_no_nulls() {
                    let null = |row: &usize| argument.is_null(*row);
                    (0..length).filter(null).for_each(|row| mask[row / 64] &= !(1 << (row % 64)));
                }
            }
        }
        if let Some(last) = mask.last_mut() {
            *last &= ones_below(length - (length - 1) / 64 * 64);
        }
        Validity::Mask(mask)
    }

    /// Narrows a selection to the rows for which this BOOL function is true. `scratch` is a buffer of any type.
    pub fn select(
        &self,
        context: &mut KernelContext,
        arguments: &[ValueVector<'_>],
        length: usize,
        selection: Selection<'_>,
        scratch: &mut VectorBuffer,
        out: &mut SelectionBuffer,
    ) -> FunctionResult<()> {
        out.reset(selection, length);
        if self.nulls == Nulls::Propagate && arguments.iter().any(ValueVector::is_all_null) {
            out.words_mut().fill(0);
            return Ok(());
        }
        let constant = length > 0 && arguments.iter().all(ValueVector::is_constant);
        let has_values = !arguments.iter().any(ValueVector::is_all_null);
        if let (Some(select), true, false, None) =
            (self.select, has_values, constant, self.dictionary(arguments, length))
        {
            return self.with_call(context, arguments, length, selection, |context, call| {
                select(context, call, out)
            });
        }
        let truths = self.evaluate(context, arguments, length, selection, scratch)?;
        select_true(&truths, length, out);
        Ok(())
    }
}

/// Narrows a selection to the rows of a BOOL vector that are true.
pub fn select_true(truths: &ValueVector<'_>, length: usize, out: &mut SelectionBuffer) {
    let mut keep = |bytes: &[u8]| {
        let mut packed = vec![0; length.div_ceil(64)];
        simd::pack_truths(bytes, &mut packed);
        for (index, (word, truth)) in out.words_mut().iter_mut().zip(packed).enumerate() {
            *word &= truth & truths.validity.word(index);
        }
    };
    let dictionary = truths.entries().filter(|(_, _, entries)| *entries < length);
    match (truths.shape, dictionary) {
        _ if matches!(truths.validity, Validity::AllNull) => out.words_mut().fill(0),
        (Shape::Flat(crate::vector::Values::Bool(bytes)), _) => keep(&bytes[..length]),
        (Shape::Constant(_), _) if truths.validity.is_all_valid() => {
            if truths.bool_at(0) != Some(true) {
                out.words_mut().fill(0);
            }
        }
        (_, Some((codes, entries, count))) => {
            let truths_of: Vec<u8> =
                (0..count).map(|entry| u8::from(entries.bool_at(entry) == Some(true))).collect();
            // The code of a row that is null may be any.
            let truth = |code: &u32| truths_of.get(*code as usize).copied().unwrap_or(0);
            keep(&codes[..length].iter().map(truth).collect::<Vec<u8>>());
        }
        _ => {
            for (index, word) in out.words_mut().iter_mut().enumerate() {
                let mut left = *word;
                while left != 0 {
                    let bit = left.trailing_zeros() as usize;
                    if truths.bool_at(index * 64 + bit) != Some(true) {
                        *word &= !(1 << bit);
                    }
                    left &= left - 1;
                }
            }
        }
    }
}
