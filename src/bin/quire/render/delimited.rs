//! CSV and tab-separated values. What is written as CSV, COPY reads back.

use std::borrow::Cow;

use quiredb::{QueryStream, ResultColumn, Value};

use super::text::{Fault, stream_rows};
use crate::output::Output;

/// RFC 4180 with line feeds. An empty text is quoted where nothing stands for NULL.
pub fn write_csv(
    stream: &mut QueryStream,
    header: bool,
    null: &str,
    output: &mut Output,
) -> Result<(), Fault> {
    write_delimited(stream, header, null, b',', output, |out, text| push_quoted(out, text, null))
}

/// Tabs between values; within them tabs, line ends and backslashes are escaped.
pub fn write_tsv(
    stream: &mut QueryStream,
    header: bool,
    null: &str,
    output: &mut Output,
) -> Result<(), Fault> {
    write_delimited(stream, header, null, b'\t', output, push_escaped)
}

/// Fields that `push` writes, with a separator between them.
fn write_delimited(
    stream: &mut QueryStream,
    header: bool,
    null: &str,
    separator: u8,
    output: &mut Output,
    push: impl Fn(&mut Vec<u8>, &str),
) -> Result<(), Fault> {
    let names = if header { stream.columns().to_vec() } else { Vec::new() };
    let header = |output: &mut Output| {
        for (position, name) in names.iter().enumerate() {
            separate(&mut output.buffer, position, separator);
            push(&mut output.buffer, name);
        }
        if !names.is_empty() {
            output.buffer.push(b'\n');
        }
        Ok(())
    };
    let row = |output: &mut Output, columns: &[ResultColumn], row: usize| {
        for (position, column) in columns.iter().enumerate() {
            separate(&mut output.buffer, position, separator);
            let value = column.value(row);
            match &*value {
                Value::Null => output.buffer.extend_from_slice(null.as_bytes()),
                value => push(&mut output.buffer, &stored_text(value)),
            }
        }
        output.buffer.push(b'\n');
        Ok(())
    };
    stream_rows(stream, output, header, row)
}

fn stored_text(value: &Value) -> Cow<'_, str> {
    match value {
        Value::String(text) => Cow::Borrowed(text),
        other => Cow::Owned(other.csv_text()),
    }
}

fn separate(out: &mut Vec<u8>, position: usize, separator: u8) {
    if position > 0 {
        out.push(separator);
    }
}

fn push_quoted(out: &mut Vec<u8>, text: &str, null: &str) {
    let special = |byte: u8| matches!(byte, b',' | b'"' | b'\n' | b'\r');
    if text != null && !text.is_empty() && !text.bytes().any(special) {
        out.extend_from_slice(text.as_bytes());
        return;
    }
    out.push(b'"');
    for byte in text.bytes() {
        if byte == b'"' {
            out.push(b'"');
        }
        out.push(byte);
    }
    out.push(b'"');
}

fn push_escaped(out: &mut Vec<u8>, text: &str) {
    for byte in text.bytes() {
        match byte {
            b'\t' => out.extend_from_slice(b"\\t"),
            b'\n' => out.extend_from_slice(b"\\n"),
            b'\r' => out.extend_from_slice(b"\\r"),
            b'\\' => out.extend_from_slice(b"\\\\"),
            other => out.push(other),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_are_quoted_where_they_must_be() {
        let check = |text: &str, null: &str, expected: &str| {
            let mut out = Vec::new();
            push_quoted(&mut out, text, null);
            assert_eq!(String::from_utf8(out).unwrap(), expected);
        };
        check("plain", "", "plain");
        check("a,b", "", "\"a,b\"");
        check("say \"x\"\n", "", "\"say \"\"x\"\"\n\"");
        check("", "", "\"\"");
        check("NULL", "NULL", "\"NULL\"");
    }
}
