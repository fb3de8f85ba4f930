//! Strings. Positions and lengths count characters. `substring` has an entry per dialect: openCypher starts at 0, Kuzu
//! at 1.

use super::super::kernel::{Strings, map_rows, map_truths, operand, push_rows, strings};
use super::super::watch::{BYTES_PER_LOOK, Made};
use super::super::{
    Availability, Call, ELEMENTS_PER_LOOK, FunctionError, FunctionResult, Kernel, KernelContext, Overload,
    ScalarFunction,
};
use super::{aliased, entry, fits, is_integer, only};
use crate::types::DataType;
use crate::vector::VectorBuffer;

/// An overload from two strings to BOOL.
macro_rules! test {
    ($types:expr, $test:expr) => {{
        let kernel: Kernel = |_, call, out| test_kernel(call, out, $test);
        all_text($types, 2).then(|| Overload::new(text_types(2), DataType::Bool, kernel))
    }};
}

/// An overload from a string to a string.
macro_rules! map_text {
    ($types:expr, $map:expr) => {{
        let kernel: Kernel = |_, call, out| text_kernel(call, out, $map);
        all_text($types, 1).then(|| Overload::new(text_types(1), DataType::String, kernel))
    }};
}

pub const TABLE: &[ScalarFunction] = &[
    aliased("STARTS WITH", &["starts_with", "prefix", "startsWith"], |types| {
        test!(types, |text, part| text.starts_with(part))
    }),
    aliased("ENDS WITH", &["ends_with", "suffix", "endsWith"], |types| {
        test!(types, |text, part| text.ends_with(part))
    }),
    aliased("CONTAINS", &[], |types| {
        all_text(types, 2).then(|| Overload::new(text_types(2), DataType::Bool, contains_kernel))
    }),
    aliased("+", &["||"], concat_two),
    entry("concat", concat_all),
    aliased("toLower", &["lower", "lcase"], |types| {
        map_text!(types, |text, out| out.push_str(&text.to_lowercase()))
    }),
    aliased("toUpper", &["upper", "ucase"], |types| {
        map_text!(types, |text, out| out.push_str(&text.to_uppercase()))
    }),
    aliased("trim", &["btrim"], |types| map_text!(types, |text, out| out.push_str(text.trim()))),
    entry("ltrim", |types| map_text!(types, |text, out| out.push_str(text.trim_start()))),
    entry("rtrim", |types| map_text!(types, |text, out| out.push_str(text.trim_end()))),
    entry("reverse", |types| {
        map_text!(types, |text, out| out.push_str(&text.chars().rev().collect::<String>()))
    }),
    entry("initcap", |types| map_text!(types, |text, out| out.push_str(&capitalized(text)))),
    aliased("size", &["length", "len", "char_length", "character_length"], size),
    entry("octet_length", octet_length),
    only(Availability::OpenCypher, "substring", |types| substring(types, 0)),
    only(Availability::Kuzu, "substring", |types| substring(types, 1)),
    only(Availability::Kuzu, "substr", |types| substring(types, 1)),
    entry("left", |types| text_and_count(types, |_, call, out| ends_kernel(call, out, true))),
    entry("right", |types| text_and_count(types, |_, call, out| ends_kernel(call, out, false))),
    entry("replace", replace),
    aliased("split", &["string_split", "str_split", "string_to_array"], split),
    entry("repeat", |types| text_and_count(types, repeat_kernel)),
    entry("lpad", |types| pad(types, |_, call, out| pad_kernel(call, out, true))),
    entry("rpad", |types| pad(types, |_, call, out| pad_kernel(call, out, false))),
];

/// Longest string that a function makes; beyond it the call is an error instead of an exhausted memory.
const RESULT_BYTES_MAX: usize = 1 << 28;

fn all_text(types: &[DataType], count: usize) -> bool {
    types.len() == count && types.iter().all(|data_type| fits(data_type, &DataType::String))
}

fn text_types(count: usize) -> Vec<DataType> {
    vec![DataType::String; count]
}

fn test_kernel(
    call: &Call<'_>,
    out: &mut VectorBuffer,
    test: impl Fn(&[u8], &[u8]) -> bool,
) -> FunctionResult<()> {
    let (texts, parts) = (strings(call, 0)?, strings(call, 1)?);
    map_truths(call, out, |row| Ok(test(texts.bytes(row), parts.bytes(row))))
}

fn contains_kernel(_: &mut KernelContext, call: &Call<'_>, out: &mut VectorBuffer) -> FunctionResult<()> {
    let (texts, parts) = (strings(call, 0)?, strings(call, 1)?);
    match parts {
        Strings::Constant(part) => {
            let finder = memchr::memmem::Finder::new(part);
            map_truths(call, out, |row| Ok(finder.find(texts.bytes(row)).is_some()))
        }
        _ => {
            map_truths(
                call,
                out,
                |row| Ok(memchr::memmem::find(texts.bytes(row), parts.bytes(row)).is_some()),
            )
        }
    }
}

fn text_kernel(
    call: &Call<'_>,
    out: &mut VectorBuffer,
    map: impl Fn(&str, &mut VectorBuffer),
) -> FunctionResult<()> {
    let texts = strings(call, 0)?;
    push_rows(call, out, |row, out| {
        map(texts.text(row), out);
        Ok(())
    })
}

fn capitalized(text: &str) -> String {
    let mut letters = text.chars();
    match letters.next() {
        Some(first) => first.to_uppercase().chain(letters.flat_map(char::to_lowercase)).collect(),
        None => String::new(),
    }
}

/// A string with anything that has a plain text form; at least one side is a string.
fn concat_two(types: &[DataType]) -> Option<Overload> {
    let [left, right] = types else { return None };
    let is_text = |data_type: &DataType| *data_type == DataType::String;
    let joins = |data_type: &DataType| {
        fits(data_type, &DataType::String) || data_type.is_numeric() || *data_type == DataType::Bool
    };
    if !(is_text(left) || is_text(right)) || !joins(left) || !joins(right) {
        return None;
    }
    Some(Overload::new(text_types(2), DataType::String, concat_kernel))
}

fn concat_kernel(_: &mut KernelContext, call: &Call<'_>, out: &mut VectorBuffer) -> FunctionResult<()> {
    let parts = (0..call.arguments.len())
        .map(|position| strings(call, position))
        .collect::<FunctionResult<Vec<_>>>()?;
    let mut joined = Vec::new();
    push_rows(call, out, |row, out| {
        joined.clear();
        parts.iter().for_each(|part| joined.extend_from_slice(part.bytes(row)));
        out.push_bytes(&joined);
        Ok(())
    })
}

/// Any number of values as text; nulls are left out, as Kuzu does.
fn concat_all(types: &[DataType]) -> Option<Overload> {
    if types.len() < 2 || types.iter().any(DataType::is_nested) {
        return None;
    }
    let kernel: Kernel = |_, call, out| {
        let parts: Vec<_> =
            (0..call.arguments.len()).map(|part| strings(call, part)).collect::<FunctionResult<_>>()?;
        let (mut joined, mut made) = (Vec::new(), Made::default());
        for row in 0..call.length {
            joined.clear();
            let known = parts.iter().zip(call.arguments).filter(|(_, argument)| !argument.is_null(row));
            known.for_each(|(part, _)| joined.extend_from_slice(part.bytes(row)));
            out.push_bytes(&joined);
            made.grew(call, || out.bytes())?;
        }
        Ok(())
    };
    Some(Overload::new(text_types(types.len()), DataType::String, kernel).seeing_nulls())
}

/// Characters of a string; ASCII is counted without decoding.
fn characters(bytes: &[u8]) -> i64 {
    // Every byte that does not continue a character starts one.
    bytes.iter().filter(|byte| **byte & 0xC0 != 0x80).count() as i64
}

fn size(types: &[DataType]) -> Option<Overload> {
    let kernel: Kernel = |_, call, out| {
        let texts = strings(call, 0)?;
        map_rows(call, out, |row| Ok(characters(texts.bytes(row))))
    };
    let [only] = types else { return None };
    (*only == DataType::String).then(|| Overload::new(text_types(1), DataType::Int64, kernel))
}

fn octet_length(types: &[DataType]) -> Option<Overload> {
    let kernel: Kernel = |_, call, out| {
        let texts = strings(call, 0)?;
        map_rows(call, out, |row| Ok(texts.bytes(row).len() as i64))
    };
    let [only] = types else { return None };
    let measured = if *only == DataType::Blob { DataType::Blob } else { DataType::String };
    fits(only, &measured).then(|| Overload::new([measured], DataType::Int64, kernel))
}

fn substring(types: &[DataType], first: i64) -> Option<Overload> {
    let [text, counts @ ..] = types else { return None };
    if !fits(text, &DataType::String)
        || counts.is_empty()
        || counts.len() > 2
        || !counts.iter().all(is_integer)
    {
        return None;
    }
    let mut arguments = vec![DataType::String];
    arguments.resize(types.len(), DataType::Int64);
    let kernel: Kernel = if first == 0 {
        |_, call, out| substring_kernel(call, out, 0)
    } else {
        |_, call, out| substring_kernel(call, out, 1)
    };
    Some(Overload::new(arguments, DataType::String, kernel))
}

fn substring_kernel(call: &Call<'_>, out: &mut VectorBuffer, first: i64) -> FunctionResult<()> {
    let (texts, starts) = (strings(call, 0)?, operand::<i64>(call, 1)?);
    let lengths = if call.arguments.len() > 2 { Some(operand::<i64>(call, 2)?) } else { None };
    push_rows(call, out, |row, out| {
        let length = lengths.map_or(i64::MAX, |lengths| lengths.get(row));
        let start = starts.get(row).saturating_sub(first);
        // openCypher refuses negative numbers; Kuzu counts from before the string.
        if first == 0 && (start < 0 || length < 0) {
            return Err(FunctionError::invalid(call.function.name, "start and length must not be negative"));
        }
        let end = start.saturating_add(length.max(0));
        out.push_str(slice_characters(texts.text(row), start.max(0), end.max(0)));
        Ok(())
    })
}

/// The characters from `start` to before `end`.
fn slice_characters(text: &str, start: i64, end: i64) -> &str {
    let position = |count: i64| {
        let count = usize::try_from(count).unwrap_or(usize::MAX);
        if text.is_ascii() {
            return count.min(text.len());
        }
        text.char_indices().nth(count).map_or(text.len(), |(position, _)| position)
    };
    let (start, end) = (position(start), position(end));
    if start < end { &text[start..end] } else { "" }
}

fn text_and_count(types: &[DataType], kernel: Kernel) -> Option<Overload> {
    let [text, count] = types else { return None };
    let known = fits(text, &DataType::String) && is_integer(count);
    known.then(|| Overload::new([DataType::String, DataType::Int64], DataType::String, kernel))
}

fn ends_kernel(call: &Call<'_>, out: &mut VectorBuffer, left: bool) -> FunctionResult<()> {
    let (texts, counts) = (strings(call, 0)?, operand::<i64>(call, 1)?);
    push_rows(call, out, |row, out| {
        let (text, count) = (texts.text(row), counts.get(row));
        if count < 0 {
            return Err(FunctionError::invalid(call.function.name, "the length must not be negative"));
        }
        let start = if left { 0 } else { (characters(text.as_bytes()) - count).max(0) };
        out.push_str(slice_characters(text, start, start.saturating_add(count)));
        Ok(())
    })
}

fn replace(types: &[DataType]) -> Option<Overload> {
    let kernel: Kernel = |_, call, out| {
        let (texts, from, to) = (strings(call, 0)?, strings(call, 1)?, strings(call, 2)?);
        push_rows(call, out, |row, out| {
            let (text, from, to) = (texts.text(row), from.text(row), to.text(row));
            if from.is_empty() {
                out.push_str(text);
                return Ok(());
            }
            check_size(call, text.len().saturating_add((text.len() / from.len()).saturating_mul(to.len())))?;
            out.push_str(&text.replace(from, to));
            Ok(())
        })
    };
    all_text(types, 3).then(|| Overload::new(text_types(3), DataType::String, kernel))
}

fn check_size(call: &Call<'_>, bytes: usize) -> FunctionResult<()> {
    if bytes > RESULT_BYTES_MAX {
        return Err(FunctionError::invalid(call.function.name, "the result would be too long"));
    }
    Ok(())
}

/// The parts of a text between separators; an empty one stands between all characters.
fn parts_of<'t>(text: &'t str, separator: &'t str) -> Box<dyn Iterator<Item = &'t str> + 't> {
    match separator {
        "" => Box::new(text.char_indices().map(|(at, letter)| &text[at..at + letter.len_utf8()])),
        _ => Box::new(text.split(separator)),
    }
}

fn split(types: &[DataType]) -> Option<Overload> {
    let kernel: Kernel = |_, call, out| {
        let (texts, separators) = (strings(call, 0)?, strings(call, 1)?);
        let (offsets, child) =
            out.list_mut().ok_or_else(|| super::super::kernel::mistyped(call.function.name))?;
        let mut made = Made::default();
        for row in 0..call.length {
            if call.active.is_valid(row) {
                let (text, separator) = (texts.text(row), separators.text(row));
                for part in parts_of(text, separator) {
                    child.push_str(part);
                    if child.len().is_multiple_of(ELEMENTS_PER_LOOK) {
                        call.go_on(child.bytes())?;
                    }
                }
                made.grew(call, || child.bytes())?;
            }
            let end = u32::try_from(child.len());
            offsets.push(
                end.map_err(|_| FunctionError::invalid(call.function.name, "the lists would be too long"))?,
            );
        }
        out.finish_rows(call.length, call.active);
        Ok(())
    };
    all_text(types, 2).then(|| Overload::new(text_types(2), DataType::list(DataType::String), kernel))
}

/// Makes `count` times a text; asks before every piece of it.
fn repeat_into(
    out: &mut Vec<u8>,
    (text, count): (&[u8], usize),
    go_on: impl Fn(usize) -> FunctionResult<()>,
) -> FunctionResult<()> {
    out.clear();
    if text.is_empty() || count == 0 {
        return Ok(());
    }
    let whole = text.len() * count;
    if whole > BYTES_PER_LOOK {
        go_on(whole)?;
    }
    out.reserve_exact(whole);
    // One piece is made by doubling what is there, and then put down again and again.
    let piece = (BYTES_PER_LOOK / text.len()).clamp(1, count) * text.len();
    out.extend_from_slice(text);
    while out.len() < whole {
        let more = if out.len() < piece { out.len() } else { piece };
        out.extend_from_within(..more.min(whole - out.len()));
        if out.len() >= piece && whole > BYTES_PER_LOOK {
            go_on(whole)?;
        }
    }
    Ok(())
}

fn repeat_kernel(_: &mut KernelContext, call: &Call<'_>, out: &mut VectorBuffer) -> FunctionResult<()> {
    let (texts, counts) = (strings(call, 0)?, operand::<i64>(call, 1)?);
    let mut repeated = Vec::new();
    push_rows(call, out, |row, out| {
        let count = usize::try_from(counts.get(row).max(0)).unwrap_or(usize::MAX);
        check_size(call, texts.bytes(row).len().saturating_mul(count))?;
        repeat_into(&mut repeated, (texts.bytes(row), count), |more| call.go_on(out.bytes() + more))?;
        out.push_bytes(&repeated);
        Ok(())
    })
}

fn pad(types: &[DataType], kernel: Kernel) -> Option<Overload> {
    let [text, count, filler] = types else { return None };
    let known = fits(text, &DataType::String) && is_integer(count) && fits(filler, &DataType::String);
    let arguments = [DataType::String, DataType::Int64, DataType::String];
    known.then(|| Overload::new(arguments, DataType::String, kernel))
}

fn pad_kernel(call: &Call<'_>, out: &mut VectorBuffer, left: bool) -> FunctionResult<()> {
    let (texts, counts, fillers) = (strings(call, 0)?, operand::<i64>(call, 1)?, strings(call, 2)?);
    push_rows(call, out, |row, out| {
        let (text, filler) = (texts.text(row), fillers.text(row));
        let wanted = counts.get(row).max(0);
        let missing = wanted - characters(text.as_bytes());
        if missing <= 0 || filler.is_empty() {
            out.push_str(slice_characters(text, 0, wanted));
            return Ok(());
        }
        check_size(call, (missing as usize).saturating_mul(4))?;
        let padding: String = filler.chars().cycle().take(missing as usize).collect();
        out.push_str(&if left { padding + text } else { text.to_owned() + &padding });
        Ok(())
    })
}
