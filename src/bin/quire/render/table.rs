//! Aligned columns, with box characters on a terminal and plain ones elsewhere.

use std::io;

use quiredb::QueryResult;
use unicode_width::UnicodeWidthStr;

use super::text::{cell_text, for_each_row, one_line};
use super::{Style, is_number};
use crate::output::Output;

/// The characters of the lines: left, between columns, right, and the line itself.
struct Frame {
    top: [&'static str; 4],
    middle: [&'static str; 4],
    bottom: [&'static str; 4],
    bar: &'static str,
}

const BOXES: Frame =
    Frame {
        top: ["┌", "┬", "┐", "─"], middle: ["├", "┼", "┤", "─"], bottom: ["└", "┴", "┘", "─"], bar: "│"
    };

const PLAIN: Frame =
    Frame { top: ["+", "+", "+", "-"], middle: ["+", "+", "+", "-"], bottom: ["+", "+", "+", "-"], bar: "|" };

pub fn write(result: &QueryResult, style: &Style, null: &str, output: &mut Output) -> io::Result<()> {
    let names: Vec<String> = result.columns().iter().map(|name| one_line(name.into()).into_owned()).collect();
    let mut rows: Vec<Vec<String>> = Vec::with_capacity(result.len());
    for_each_row(result, |columns, row| {
        let cells = columns.iter().map(|column| one_line(cell_text(&column.value(row), null)).into_owned());
        rows.push(cells.collect());
        Ok::<(), io::Error>(())
    })?;
    let mut widths: Vec<usize> =
        names.iter().map(|name| if style.header { name.width() } else { 0 }).collect();
    for row in &rows {
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = (*width).max(cell.width());
        }
    }
    let frame = if style.boxes { BOXES } else { PLAIN };
    let right: Vec<bool> = result.types().iter().map(is_number).collect();
    rule(output, frame.top, &widths);
    if style.header {
        line(output, frame.bar, &names, &widths, &vec![false; names.len()]);
        rule(output, frame.middle, &widths);
    }
    for row in &rows {
        line(output, frame.bar, row, &widths, &right);
        output.drain()?;
    }
    rule(output, frame.bottom, &widths);
    Ok(())
}

fn rule(output: &mut Output, [left, between, right, line]: [&str; 4], widths: &[usize]) {
    for (position, width) in widths.iter().enumerate() {
        output.buffer.extend_from_slice(if position == 0 { left } else { between }.as_bytes());
        (0..width + 2).for_each(|_| output.buffer.extend_from_slice(line.as_bytes()));
    }
    output.buffer.extend_from_slice(right.as_bytes());
    output.buffer.push(b'\n');
}

fn line(output: &mut Output, bar: &str, cells: &[String], widths: &[usize], right: &[bool]) {
    let out = &mut output.buffer;
    for ((cell, width), right) in cells.iter().zip(widths).zip(right) {
        let padding = width - cell.width();
        let (before, after) = if *right { (padding, 0) } else { (0, padding) };
        out.extend_from_slice(bar.as_bytes());
        out.resize(out.len() + before + 1, b' ');
        out.extend_from_slice(cell.as_bytes());
        out.resize(out.len() + after + 1, b' ');
    }
    out.extend_from_slice(bar.as_bytes());
    out.push(b'\n');
}
