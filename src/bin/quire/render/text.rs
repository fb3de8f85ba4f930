//! Values as people read them.

use std::borrow::Cow;
use std::fmt::Write;
use std::io;

use quiredb::{Error, QueryResult, QueryStream, ResultColumn, Value};

use crate::output::Output;

/// Why not all rows are shown.
pub enum Fault {
    /// The output cannot be written.
    Output(io::Error),
    /// The statement failed while its rows were shown.
    Statement(Box<Error>),
}

impl From<io::Error> for Fault {
    fn from(error: io::Error) -> Fault {
        Fault::Output(error)
    }
}

impl From<Error> for Fault {
    fn from(error: Error) -> Fault {
        Fault::Statement(Box::new(error))
    }
}

/// The text of a value.
pub fn cell_text<'t>(value: &'t Value, null: &'t str) -> Cow<'t, str> {
    match value {
        Value::Null => Cow::Borrowed(null),
        Value::String(text) => Cow::Borrowed(text),
        other => Cow::Owned(other.to_string()),
    }
}

/// The same in one line: line ends and other control characters as escapes.
pub fn one_line(text: Cow<'_, str>) -> Cow<'_, str> {
    if !text.contains(char::is_control) {
        return text;
    }
    let mut line = String::with_capacity(text.len() + 8);
    for character in text.chars() {
        match character {
            '\n' => line.push_str("\\n"),
            '\r' => line.push_str("\\r"),
            '\t' => line.push_str("\\t"),
            control if control.is_control() => {
                // Writing to a string cannot fail.
                let _ = write!(line, "\\u{{{:x}}}", u32::from(control));
            }
            other => line.push(other),
        }
    }
    Cow::Owned(line)
}

/// Calls `row` with the columns and the row's number in them, for all rows.
pub fn for_each_row<E>(
    result: &QueryResult,
    mut row: impl FnMut(&[ResultColumn], usize) -> Result<(), E>,
) -> Result<(), E> {
    for chunk in result.chunks() {
        (0..chunk.rows()).try_for_each(|at| row(chunk.columns(), at))?;
    }
    Ok(())
}

/// Calls `header` once the first rows are there, then `row` for all of them as they come. What has come is written before
/// more is waited for.
pub fn stream_rows(
    stream: &mut QueryStream,
    output: &mut Output,
    header: impl FnOnce(&mut Output) -> io::Result<()>,
    mut row: impl FnMut(&mut Output, &[ResultColumn], usize) -> io::Result<()>,
) -> Result<(), Fault> {
    let mut next = stream.next_chunk()?;
    header(output)?;
    while let Some(chunk) = next {
        for at in 0..chunk.rows() {
            row(output, chunk.columns(), at)?;
            output.drain()?;
        }
        output.flush()?;
        next = stream.next_chunk()?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn control_characters_are_escaped() {
        let check = |text: &str, expected: &str| assert_eq!(one_line(Cow::Borrowed(text)), expected);
        check("plain ü", "plain ü");
        check("a\nb\tc\u{1b}", "a\\nb\\tc\\u{1b}");
    }
}
