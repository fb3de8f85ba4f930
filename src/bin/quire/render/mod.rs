//! Results as text, one file for each family of formats.

mod delimited;
pub mod json;
mod lines;
mod markup;
mod table;
mod text;

use std::io;

use clap::ValueEnum;
use quiredb::{DataType, QueryResult, QueryStream};

pub use text::Fault;

use crate::output::Output;

/// How results are shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Mode {
    /// A table with aligned columns
    Table,
    /// One `name = value` per line
    Line,
    /// RFC 4180
    Csv,
    /// Values between tabs; tabs and line ends within them as \t and \n
    Tsv,
    /// One object per statement, in one line
    Json,
    /// One object per row, in one line
    Jsonl,
    /// A table for Markdown texts
    Markdown,
    /// A table for web pages
    Html,
    /// Nothing: run and forget
    Trash,
}

/// What is shown beside the values.
#[derive(Debug, Clone)]
pub struct Style {
    /// Whether the columns' names are shown.
    pub header: bool,
    /// What stands for NULL.
    pub null: Option<String>,
    /// Whether lines are drawn with box characters.
    pub boxes: bool,
}

impl Style {
    fn null_text(&self, mode: Mode) -> &str {
        match &self.null {
            Some(text) => text,
            None if matches!(mode, Mode::Csv | Mode::Tsv) => "",
            None => "NULL",
        }
    }
}

impl Mode {
    /// Whether rows can be shown as they come. The widths of a table follow from all of its rows, and what answers a
    /// statement in one line is either its rows or its error.
    pub fn streams(self) -> bool {
        !matches!(self, Mode::Table | Mode::Json)
    }
}

/// Writes a result that is there as a whole.
pub fn render(result: &QueryResult, mode: Mode, style: &Style, output: &mut Output) -> io::Result<()> {
    match mode {
        Mode::Json => json::write_result(result, output),
        Mode::Table if !result.columns().is_empty() => {
            table::write(result, style, style.null_text(mode), output)
        }
        _ => Ok(()),
    }
}

/// Writes rows as they come.
pub fn render_stream(
    stream: &mut QueryStream,
    mode: Mode,
    style: &Style,
    output: &mut Output,
) -> Result<(), Fault> {
    if stream.columns().is_empty() {
        return Ok(());
    }
    let null = style.null_text(mode);
    match mode {
        Mode::Line => lines::write(stream, null, output),
        Mode::Csv => delimited::write_csv(stream, style.header, null, output),
        Mode::Tsv => delimited::write_tsv(stream, style.header, null, output),
        Mode::Jsonl => json::write_rows(stream, output),
        Mode::Markdown => markup::write_markdown(stream, style.header, null, output),
        Mode::Html => markup::write_html(stream, style.header, null, output),
        Mode::Table | Mode::Json | Mode::Trash => {
            while stream.next_chunk()?.is_some() {}
            Ok(())
        }
    }
}

/// Whether values of the type stand at the right of their column.
fn is_number(data_type: &DataType) -> bool {
    matches!(
        data_type,
        DataType::Int8
            | DataType::Int16
            | DataType::Int32
            | DataType::Int64
            | DataType::Int128
            | DataType::UInt8
            | DataType::UInt16
            | DataType::UInt32
            | DataType::UInt64
            | DataType::Float
            | DataType::Double
            | DataType::Decimal { .. }
            | DataType::Serial
    )
}
