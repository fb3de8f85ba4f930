//! A result: rows as lists, straight from the columns.

use std::sync::atomic::{AtomicUsize, Ordering};

use engine::vector::{NativeReader, ValueVector};
use engine::{DataType, ResultChunk, ResultColumn};
use pyo3::IntoPyObjectExt;
use pyo3::prelude::*;
use pyo3::types::{PyList, PyString};

use super::to_python::object;

/// The rows of a statement. They are given out once, from the first on.
#[pyclass(frozen, name = "Result")]
pub struct QueryResult {
    inner: engine::QueryResult,
    /// The first row of each chunk.
    starts: Vec<usize>,
    next: AtomicUsize,
}

/// Rows that become objects between two looks for Ctrl-C.
const ROWS_PER_LOOK: usize = 4096;

/// One column of a chunk, with the usual types told apart once for all rows.
enum Column<'r> {
    Integers(ValueVector<'r>, NativeReader<'r, i64>),
    Doubles(ValueVector<'r>, NativeReader<'r, f64>),
    Texts(ValueVector<'r>),
    Truths(ValueVector<'r>),
    Others(&'r ResultColumn),
}

impl<'r> Column<'r> {
    fn new(column: &'r ResultColumn, data_type: &DataType) -> Column<'r> {
        let Some(vector) = column.vector() else { return Column::Others(column) };
        match data_type {
            DataType::Int64 | DataType::Serial => match vector.native_reader::<i64>() {
                Some(reader) => Column::Integers(vector, reader),
                None => Column::Others(column),
            },
            DataType::Double => match vector.native_reader::<f64>() {
                Some(reader) => Column::Doubles(vector, reader),
                None => Column::Others(column),
            },
            DataType::String => Column::Texts(vector),
            DataType::Bool => Column::Truths(vector),
            _ => Column::Others(column),
        }
    }

    fn cell<'py>(&self, py: Python<'py>, row: usize) -> PyResult<Bound<'py, PyAny>> {
        match self {
            Column::Integers(vector, reader) if !vector.is_null(row) => reader.get(row).into_bound_py_any(py),
            Column::Doubles(vector, reader) if !vector.is_null(row) => reader.get(row).into_bound_py_any(py),
            Column::Integers(..) | Column::Doubles(..) => Ok(py.None().into_bound(py)),
            Column::Texts(vector) => match vector.text_at(row) {
                Some(text) => Ok(PyString::new(py, text).into_any()),
                None => Ok(py.None().into_bound(py)),
            },
            Column::Truths(vector) => vector.bool_at(row).into_bound_py_any(py),
            Column::Others(column) => object(py, &column.value(row)),
        }
    }
}

impl QueryResult {
    /// A result of which no row was given out.
    pub fn new(inner: engine::QueryResult) -> QueryResult {
        let mut end = 0;
        let start = |chunk: &ResultChunk| {
            end += chunk.rows();
            end - chunk.rows()
        };
        let starts = inner.chunks().iter().map(start).collect();
        QueryResult { inner, starts, next: AtomicUsize::new(0) }
    }

    /// At most so many of the rows that are left.
    fn take<'py>(&self, py: Python<'py>, most: usize) -> PyResult<Vec<Bound<'py, PyList>>> {
        let total = self.inner.len();
        let first = self.next.fetch_add(most.min(total), Ordering::Relaxed).min(total);
        let end = first.saturating_add(most).min(total);
        let mut rows = Vec::with_capacity(end - first);
        let at = self.starts.partition_point(|start| *start <= first).saturating_sub(1);
        for (start, chunk) in self.starts.iter().zip(self.inner.chunks()).skip(at) {
            if *start >= end {
                break;
            }
            let range = first.max(*start)..end.min(start + chunk.rows());
            if range.start < range.end {
                self.take_of(py, chunk, range.start - start..range.end - start, &mut rows)?;
            }
        }
        Ok(rows)
    }

    fn take_of<'py>(
        &self,
        py: Python<'py>,
        chunk: &ResultChunk,
        range: std::ops::Range<usize>,
        rows: &mut Vec<Bound<'py, PyList>>,
    ) -> PyResult<()> {
        let columns = chunk.columns().iter().zip(self.inner.types());
        let columns: Vec<Column<'_>> =
            columns.map(|(column, data_type)| Column::new(column, data_type)).collect();
        let mut cells = Vec::with_capacity(columns.len());
        for (at, row) in range.enumerate() {
            if at % ROWS_PER_LOOK == ROWS_PER_LOOK - 1 {
                py.check_signals()?;
            }
            for column in &columns {
                cells.push(column.cell(py, row)?);
            }
            rows.push(PyList::new(py, cells.drain(..))?);
        }
        Ok(())
    }
}

#[pymethods]
impl QueryResult {
    /// All rows that are left.
    fn fetchall<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyList>> {
        PyList::new(py, self.take(py, usize::MAX)?)
    }

    /// All rows that are left.
    fn get_all<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyList>> {
        self.fetchall(py)
    }

    /// The next row, or None.
    fn fetchone<'py>(&self, py: Python<'py>) -> PyResult<Option<Bound<'py, PyList>>> {
        Ok(self.take(py, 1)?.pop())
    }

    /// The next rows, at most `size`.
    #[pyo3(signature = (size=1))]
    fn fetchmany<'py>(&self, py: Python<'py>, size: usize) -> PyResult<Bound<'py, PyList>> {
        PyList::new(py, self.take(py, size)?)
    }

    fn __iter__(this: Py<Self>) -> Py<Self> {
        this
    }

    fn __next__<'py>(&self, py: Python<'py>) -> PyResult<Option<Bound<'py, PyList>>> {
        self.fetchone(py)
    }

    fn __len__(&self) -> usize {
        self.inner.len()
    }

    /// The columns' names.
    #[getter]
    fn columns(&self) -> Vec<String> {
        self.inner.columns().to_vec()
    }

    /// The columns' types, as texts.
    #[getter]
    fn types(&self) -> Vec<String> {
        self.inner.types().iter().map(ToString::to_string).collect()
    }
}
