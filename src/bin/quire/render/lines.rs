//! One `name = value` per line, an empty line between rows.

use std::io::Write;

use quiredb::{QueryStream, ResultColumn};
use unicode_width::UnicodeWidthStr;

use super::text::{Fault, cell_text, one_line, stream_rows};
use crate::output::Output;

pub fn write(stream: &mut QueryStream, null: &str, output: &mut Output) -> Result<(), Fault> {
    let names = stream.columns().to_vec();
    let width = names.iter().map(|name| name.width()).max().unwrap_or(0);
    let mut first = true;
    let row = |output: &mut Output, columns: &[ResultColumn], row: usize| {
        if !std::mem::take(&mut first) {
            output.buffer.push(b'\n');
        }
        for (name, column) in names.iter().zip(columns) {
            let value = column.value(row);
            let padding = width - name.width();
            writeln!(output.buffer, "{:padding$}{name} = {}", "", one_line(cell_text(&value, null)))?;
        }
        Ok(())
    };
    stream_rows(stream, output, |_| Ok(()), row)
}
