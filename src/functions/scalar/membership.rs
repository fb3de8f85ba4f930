//! IN. A list that many rows ask about is prepared once (see `element_set`) and kept as long as it is the same list;
//! others are gone through where they lie.

use std::hash::Hash;
use std::ops::Range;

use rustc_hash::FxHashMap;

use super::super::element_set::{ElementSet, Membership, Word, with_word};
use super::super::kernel::{each_active, mistyped};
use super::super::watch::go_on;
use super::super::{
    Call, ELEMENTS_PER_LOOK, FunctionResult, KernelContext, Overload, ScalarFunction, common_type,
};
use super::aliased;
use crate::types::{DataType, PhysicalType, Value};
use crate::vector::{ListReader, NativeReader, Validity, ValueVector, VectorBuffer};

pub const TABLE: &[ScalarFunction] = &[aliased("IN", &["in"], resolve_in)];

/// Shorter lists are gone through.
const PREPARED_FROM: usize = 9;
/// As many rows of a batch make it worth to prepare their list.
const ROWS_OFTEN: usize = 4;

fn resolve_in(types: &[DataType]) -> Option<Overload> {
    let [element, list] = types else { return None };
    let inner = match list {
        DataType::Null => &DataType::Null,
        _ => list.element()?,
    };
    let meeting = common_type(element, inner);
    // Where the types do not meet, values are compared as they are.
    let arguments = match &meeting {
        DataType::Any => [element.clone(), list.clone()],
        _ => [meeting.clone(), DataType::list(meeting.clone())],
    };
    Some(Overload::new(arguments, DataType::Bool, in_kernel).seeing_nulls())
}

fn in_kernel(context: &mut KernelContext, call: &Call<'_>, out: &mut VectorBuffer) -> FunctionResult<()> {
    let [element, list_type] = call.function.arguments.as_slice() else {
        return Err(mistyped(call.function.name));
    };
    let mut answers = vec![Membership::Unknown; call.length];
    if let Some(lists) = call.arguments[1].list_reader() {
        let inner = list_type.element().unwrap_or(&DataType::Null);
        let (values, child) = (call.arguments[0], lists.child);
        let (lists, answers) = (&lists, answers.as_mut_slice());
        let any = Values { values, element, child, inner };
        match element.physical() {
            _ if element != inner => answer(context, call, lists, (&any, inner, false), answers)?,
            PhysicalType::Str => {
                answer(context, call, lists, (&Texts { values, child }, inner, true), answers)?;
            }
            physical => with_word!(
                physical,
                T => match (values.native_reader::<T>(), child.native_reader::<T>()) {
                    (Some(values), Some(elements)) => {
                        let words = Words { values, elements, child };
                        answer(context, call, lists, (&words, inner, true), answers)?;
                    }
                    _ => answer(context, call, lists, (&any, inner, false), answers)?,
                },
                answer(context, call, lists, (&any, inner, false), answers)?
            ),
        }
    }
    let mut valid = vec![0u64; call.length.div_ceil(64)];
    for (row, answer) in answers.iter().enumerate() {
        valid[row / 64] |= u64::from(*answer != Membership::Unknown) << (row % 64);
    }
    let write = |to: &mut Vec<u8>| {
        to.extend(answers.iter().map(|answer| u8::from(*answer == Membership::Yes)));
        Ok(())
    };
    out.fill_bools(call.length, Validity::Mask(&valid), write)
        .unwrap_or_else(|| Err(mistyped(call.function.name)))
}

/// How rows are looked for, by the type of their values. The rows have values.
trait Probe {
    fn in_set(&self, row: usize, set: &ElementSet) -> Membership;
    /// Among the elements `start..end`.
    fn in_place(&self, row: usize, start: usize, end: usize) -> Membership;
    /// Several rows of which each is looked for among the elements, without a set of these.
    fn in_one_pass(
        &self,
        rows: &[u32],
        (start, end): (usize, usize),
        answers: &mut [Membership],
        go_on: &dyn Fn() -> FunctionResult<()>,
    ) -> FunctionResult<()> {
        rows.iter().try_for_each(|row| {
            answers[*row as usize] = self.in_place(*row as usize, start, end);
            go_on()
        })
    }
}

/// Goes through the elements `start..end` once: what is kept are the values that are looked for. `None` is a null, and a
/// value that equals nothing has no key.
fn pass_once<K: Eq + Hash>(
    rows: &[u32],
    elements: impl Iterator<Item = Option<Option<K>>>,
    asked: impl Fn(usize) -> Option<K>,
    answers: &mut [Membership],
) {
    let keys = rows.iter().filter_map(|row| asked(*row as usize));
    let mut found: FxHashMap<K, bool> = keys.map(|key| (key, false)).collect();
    let mut open = false;
    for element in elements {
        match element {
            None => open = true,
            Some(key) => {
                if let Some(found) = key.and_then(|key| found.get_mut(&key)) {
                    *found = true;
                }
            }
        }
    }
    for row in rows {
        let is_there = asked(*row as usize).and_then(|key| found.get(&key).copied());
        answers[*row as usize] = Membership::of(is_there.unwrap_or(false), open);
    }
}

/// Answers for all active rows that have a list.
fn answer(
    context: &mut KernelContext,
    call: &Call<'_>,
    lists: &ListReader<'_>,
    (probe, inner, typed): (&impl Probe, &DataType, bool),
    answers: &mut [Membership],
) -> FunctionResult<()> {
    let (values, list) = (&call.arguments[0], &call.arguments[1]);
    let (no_nulls, all_lists) = (values.has_no_nulls(), list.has_no_nulls());
    // The rows that ask about each of the longer lists.
    let mut asked: Vec<((usize, usize), Vec<u32>)> = Vec::new();
    let mut known: FxHashMap<(usize, usize), usize> = FxHashMap::default();
    let mut last = None;
    each_active(call, |row| {
        if !all_lists && list.is_null(row) {
            return Ok(());
        }
        let (start, end) = lists.range(row);
        if !no_nulls && values.is_null(row) {
            answers[row] = Membership::of(false, start < end);
        } else if end - start < PREPARED_FROM && !list.is_constant() {
            answers[row] = probe.in_place(row, start, end);
        } else {
            let at = match last {
                Some((place, at)) if place == (start, end) => at,
                _ => *known.entry((start, end)).or_insert_with(|| {
                    asked.push(((start, end), Vec::new()));
                    asked.len() - 1
                }),
            };
            last = Some(((start, end), at));
            asked[at].1.push(row as u32);
        }
        Ok(())
    })?;
    for ((start, end), rows) in asked {
        let often = rows.len() >= ROWS_OFTEN;
        let place = (lists.identity(), start, end);
        match context.sets.get(place, &lists.child, (inner, typed), often) {
            Some(set) => {
                go_on(call.function.name)?;
                rows.iter().for_each(|row| answers[*row as usize] = probe.in_set(*row as usize, set));
            }
            // There was no room for a set.
            None if often => {
                probe.in_one_pass(&rows, (start, end), answers, &|| context.go_on(call.function.name, 0))?
            }
            None => {
                for row in rows {
                    answers[row as usize] = in_pieces(call, probe, row as usize, start..end)?;
                }
            }
        }
        context.go_on(call.function.name, 0)?;
        if !context.has_room(context.sets.bytes() as u64) {
            context.sets.forget();
        }
    }
    Ok(())
}

/// Whether a row's value is among the elements, of which there may be very many.
fn in_pieces(
    call: &Call<'_>,
    probe: &impl Probe,
    row: usize,
    elements: Range<usize>,
) -> FunctionResult<Membership> {
    let mut known = Membership::No;
    for start in elements.clone().step_by(ELEMENTS_PER_LOOK) {
        if start > elements.start {
            go_on(call.function.name)?;
        }
        match probe.in_place(row, start, elements.end.min(start + ELEMENTS_PER_LOOK)) {
            Membership::Yes => return Ok(Membership::Yes),
            Membership::Unknown => known = Membership::Unknown,
            Membership::No => {}
        }
    }
    Ok(known)
}

/// Numbers, ids and what else is a word.
struct Words<'v, T> {
    values: NativeReader<'v, T>,
    elements: NativeReader<'v, T>,
    child: ValueVector<'v>,
}

impl<T: Word> Probe for Words<'_, T> {
    #[inline]
    fn in_set(&self, row: usize, set: &ElementSet) -> Membership {
        set.of_word(self.values.get(row).word())
    }

    fn in_place(&self, row: usize, start: usize, end: usize) -> Membership {
        let (word, mut open) = (self.values.get(row).word(), false);
        for at in start..end {
            if self.child.is_null(at) {
                open = true;
            } else if word.is_some() && self.elements.get(at).word() == word {
                return Membership::Yes;
            }
        }
        Membership::of(false, open)
    }

    fn in_one_pass(
        &self,
        rows: &[u32],
        (start, end): (usize, usize),
        answers: &mut [Membership],
        _: &dyn Fn() -> FunctionResult<()>,
    ) -> FunctionResult<()> {
        let element = |at: usize| (!self.child.is_null(at)).then(|| self.elements.get(at).word());
        pass_once(rows, (start..end).map(element), |row| self.values.get(row).word(), answers);
        Ok(())
    }
}

struct Texts<'v> {
    values: ValueVector<'v>,
    child: ValueVector<'v>,
}

impl Probe for Texts<'_> {
    fn in_set(&self, row: usize, set: &ElementSet) -> Membership {
        self.values.bytes_at(row).map_or_else(|| set.of_null(), |bytes| set.of_bytes(bytes))
    }

    fn in_place(&self, row: usize, start: usize, end: usize) -> Membership {
        let (bytes, mut open) = (self.values.bytes_at(row), false);
        for at in start..end {
            match self.child.bytes_at(at) {
                None => open = true,
                element if element == bytes => return Membership::Yes,
                Some(_) => {}
            }
        }
        Membership::of(false, open)
    }

    fn in_one_pass(
        &self,
        rows: &[u32],
        (start, end): (usize, usize),
        answers: &mut [Membership],
        _: &dyn Fn() -> FunctionResult<()>,
    ) -> FunctionResult<()> {
        let element = |at: usize| self.child.bytes_at(at).map(Some);
        pass_once(rows, (start..end).map(element), |row| self.values.bytes_at(row), answers);
        Ok(())
    }
}

/// Values of any types.
struct Values<'v> {
    values: ValueVector<'v>,
    element: &'v DataType,
    child: ValueVector<'v>,
    inner: &'v DataType,
}

impl Values<'_> {
    fn value(&self, row: usize) -> Value {
        self.values.value(row, self.element)
    }
}

impl Probe for Values<'_> {
    fn in_set(&self, row: usize, set: &ElementSet) -> Membership {
        set.of_value(self.value(row))
    }

    fn in_place(&self, row: usize, start: usize, end: usize) -> Membership {
        let (value, mut open) = (self.value(row), false);
        for at in start..end {
            let equal = value.equals(&self.child.value(at, self.inner));
            if equal == Some(true) {
                return Membership::Yes;
            }
            open |= equal.is_none();
        }
        Membership::of(false, open)
    }
}
