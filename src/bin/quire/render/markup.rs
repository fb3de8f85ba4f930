//! Tables for Markdown texts and web pages.

use std::borrow::Cow;
use std::io;

use quiredb::QueryResult;

use super::is_number;
use super::text::{cell_text, for_each_row, one_line};
use crate::output::Output;

/// A table of Markdown; it always has a header row, which is empty when names are not wanted.
pub fn write_markdown(result: &QueryResult, header: bool, null: &str, output: &mut Output) -> io::Result<()> {
    for name in result.columns() {
        push(output, &["| ", if header { name } else { "" }, " "], markdown_byte);
    }
    output.buffer.extend_from_slice(b"|\n");
    for data_type in result.types() {
        output.buffer.extend_from_slice(if is_number(data_type) { b"| ---: " } else { b"| --- " });
    }
    output.buffer.extend_from_slice(b"|\n");
    for_each_row(result, |columns, row| {
        for column in columns {
            let value = column.value(row);
            push(output, &["| ", &one_line(cell_text(&value, null)), " "], markdown_byte);
        }
        output.buffer.extend_from_slice(b"|\n");
        output.drain()
    })
}

/// A `table` element.
pub fn write_html(result: &QueryResult, header: bool, null: &str, output: &mut Output) -> io::Result<()> {
    output.buffer.extend_from_slice(b"<table>\n");
    if header {
        let names = result.columns().iter().map(|name| Cow::Borrowed(name.as_str()));
        html_row(output, "th", names);
    }
    for_each_row(result, |columns, row| {
        let values: Vec<_> = columns.iter().map(|column| column.value(row)).collect();
        html_row(output, "td", values.iter().map(|value| cell_text(value, null)));
        output.drain()
    })?;
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
