//! One row at a time.

use super::QueryResult;
use super::from_value::{FromValue, conversion_error};
use crate::error::{Error, ErrorKind, Result};
use crate::types::Value;

/// The rows of a result, in order.
#[derive(Debug, Clone)]
pub struct Rows<'r> {
    result: &'r QueryResult,
    chunk: usize,
    row: usize,
    left: usize,
}

impl<'r> Rows<'r> {
    pub(super) fn new(result: &'r QueryResult) -> Rows<'r> {
        Rows { result, chunk: 0, row: 0, left: result.len() }
    }
}

impl<'r> Iterator for Rows<'r> {
    type Item = Row<'r>;

    fn next(&mut self) -> Option<Row<'r>> {
        while self.row >= self.result.chunks.get(self.chunk)?.rows() {
            self.chunk += 1;
            self.row = 0;
        }
        let row = Row { result: self.result, chunk: self.chunk, row: self.row };
        self.row += 1;
        self.left -= 1;
        Some(row)
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        (self.left, Some(self.left))
    }
}

impl ExactSizeIterator for Rows<'_> {}

/// One row of a result.
#[derive(Debug, Clone, Copy)]
pub struct Row<'r> {
    result: &'r QueryResult,
    chunk: usize,
    row: usize,
}

impl<'r> Row<'r> {
    /// A row of the result's first chunk.
    pub(super) fn new(result: &'r QueryResult, row: usize) -> Row<'r> {
        Row { result, chunk: 0, row }
    }
}

impl Row<'_> {
    /// The value of a column as a Rust type; NULL needs an `Option`.
    pub fn get<T: FromValue>(&self, column: impl ColumnIndex) -> Result<T> {
        let position = column.position(self.result)?;
        T::from_value(self.value_at(position)).map_err(|value| {
            let name = self.result.columns().get(position).map_or("", String::as_str);
            conversion_error::<T>(name, &value)
        })
    }

    /// The value of a column.
    pub fn value(&self, column: impl ColumnIndex) -> Result<Value> {
        Ok(self.value_at(column.position(self.result)?))
    }

    /// All values, in the order of the columns.
    pub fn values(&self) -> Vec<Value> {
        (0..self.result.columns().len()).map(|position| self.value_at(position)).collect()
    }

    fn value_at(&self, position: usize) -> Value {
        let chunk = self.result.chunks.get(self.chunk);
        let column = chunk.and_then(|chunk| chunk.columns().get(position));
        column.map_or(Value::Null, |column| column.value(self.row).into_owned())
    }
}

/// A column by position or by name.
pub trait ColumnIndex {
    /// The position, from 0.
    fn position(&self, result: &QueryResult) -> Result<usize>;
}

impl ColumnIndex for usize {
    fn position(&self, result: &QueryResult) -> Result<usize> {
        let count = result.columns().len();
        if *self < count {
            return Ok(*self);
        }
        Err(Error::new(
            ErrorKind::Result,
            format!("there is no column {self}: the result has {count}, from 0"),
        ))
    }
}

impl ColumnIndex for &str {
    fn position(&self, result: &QueryResult) -> Result<usize> {
        result.position(self).ok_or_else(|| {
            let known = result.columns().join(", ");
            Error::new(ErrorKind::Result, format!("there is no column {self}; there are: {known}"))
        })
    }
}

impl ColumnIndex for &String {
    fn position(&self, result: &QueryResult) -> Result<usize> {
        self.as_str().position(result)
    }
}
