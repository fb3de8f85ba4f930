//! One `name = value` per line, an empty line between rows.

use std::io::{self, Write};

use quiredb::QueryResult;
use unicode_width::UnicodeWidthStr;

use super::text::{cell_text, for_each_row, one_line};
use crate::output::Output;

pub fn write(result: &QueryResult, null: &str, output: &mut Output) -> io::Result<()> {
    let width = result.columns().iter().map(|name| name.width()).max().unwrap_or(0);
    let mut first = true;
    for_each_row(result, |columns, row| {
        if !std::mem::take(&mut first) {
            output.buffer.push(b'\n');
        }
        for (name, column) in result.columns().iter().zip(columns) {
            let value = column.value(row);
            let padding = width - name.width();
            writeln!(output.buffer, "{:padding$}{name} = {}", "", one_line(cell_text(&value, null)))?;
        }
        output.drain()
    })
}
