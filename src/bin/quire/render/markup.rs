//! Tables for Markdown texts and web pages.

use std::borrow::Cow;

use quiredb::{QueryStream, ResultColumn};

use super::is_number;
use super::text::{Fault, cell_text, one_line, stream_rows};
use crate::output::Output;

/// A table of Markdown; it always has a header row, which is empty when names are not wanted.
pub fn write_markdown(
    stream: &mut QueryStream,
    header: bool,
    null: &str,
    output: &mut Output,
) -> Result<(), Fault> {
    let (names, types) = (stream.columns().to_vec(), stream.types().to_vec());
    let header = |output: &mut Output| {
        for name in &names {
            push(output, &["| ", if header { name } else { "" }, " "], markdown_byte);
        }
        output.buffer.extend_from_slice(b"|\n");
        for data_type in &types {
            output.buffer.extend_from_slice(if is_number(data_type) { b"| ---: " } else { b"| --- " });
        }
        output.buffer.extend_from_slice(b"|\n");
        Ok(())
    };
    let row = |output: &mut Output, columns: &[ResultColumn], row: usize| {
        for column in columns {
            let value = column.value(row);
            push(output, &["| ", &one_line(cell_text(&value, null)), " "], markdown_byte);
        }
        output.buffer.extend_from_slice(b"|\n");
        Ok(())
    };
    stream_rows(stream, output, header, row)
}

/// A `table` element.
pub fn write_html(
    stream: &mut QueryStream,
    header: bool,
    null: &str,
    output: &mut Output,
) -> Result<(), Fault> {
    let names = stream.columns().to_vec();
    let header = |output: &mut Output| {
        output.buffer.extend_from_slice(b"<table>\n");
        if header {
            html_row(output, "th", names.iter().map(|name| Cow::Borrowed(name.as_str())));
        }
        Ok(())
    };
    let row = |output: &mut Output, columns: &[ResultColumn], row: usize| {
        let values: Vec<_> = columns.iter().map(|column| column.value(row)).collect();
        html_row(output, "td", values.iter().map(|value| cell_text(value, null)));
        Ok(())
    };
    stream_rows(stream, output, header, row)?;
    output.buffer.extend_from_slice(b"</table>\n");
    Ok(())
}

fn html_row<'t>(output: &mut Output, element: &str, cells: impl Iterator<Item = Cow<'t, str>>) {
    output.buffer.extend_from_slice(b"<tr>");
    for cell in cells {
        output.buffer.extend_from_slice(format!("<{element}>").as_bytes());
        cell.bytes().for_each(|byte| html_byte(&mut output.buffer, byte));
        output.buffer.extend_from_slice(format!("</{element}>").as_bytes());
    }
    output.buffer.extend_from_slice(b"</tr>\n");
}

/// Writes a text between two others that stand as they are.
fn push(output: &mut Output, [before, text, after]: &[&str; 3], byte: fn(&mut Vec<u8>, u8)) {
    output.buffer.extend_from_slice(before.as_bytes());
    text.bytes().for_each(|each| byte(&mut output.buffer, each));
    output.buffer.extend_from_slice(after.as_bytes());
}

fn markdown_byte(out: &mut Vec<u8>, byte: u8) {
    if matches!(byte, b'|' | b'\\' | b'<' | b'`' | b'*' | b'_') {
        out.push(b'\\');
    }
    out.push(byte);
}

fn html_byte(out: &mut Vec<u8>, byte: u8) {
    match byte {
        b'<' => out.extend_from_slice(b"&lt;"),
        b'>' => out.extend_from_slice(b"&gt;"),
        b'&' => out.extend_from_slice(b"&amp;"),
        b'"' => out.extend_from_slice(b"&quot;"),
        other => out.push(other),
    }
}
