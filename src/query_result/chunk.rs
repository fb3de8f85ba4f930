//! Rows by column.

use std::borrow::Cow;

use crate::types::{DataType, Value};
use crate::vector::{ValueVector, VectorBuffer};

/// Some consecutive rows of a result.
#[derive(Debug)]
pub struct ResultChunk {
    columns: Vec<ResultColumn>,
    rows: usize,
}

impl ResultChunk {
    pub(crate) fn new(columns: Vec<ResultColumn>, rows: usize) -> ResultChunk {
        ResultChunk { columns, rows }
    }

    /// How many rows.
    pub fn rows(&self) -> usize {
        self.rows
    }

    /// The columns, in the result's order.
    pub fn columns(&self) -> &[ResultColumn] {
        &self.columns
    }
}

/// One column of a chunk.
#[derive(Debug)]
pub struct ResultColumn {
    data: ColumnData,
}

#[derive(Debug)]
enum ColumnData {
    Vector(VectorBuffer),
    /// Nodes, relationships and paths with their properties, and what may hold them.
    Values(Vec<Value>),
}

impl ResultColumn {
    pub(crate) fn of_vector(buffer: VectorBuffer) -> ResultColumn {
        ResultColumn { data: ColumnData::Vector(buffer) }
    }

    pub(crate) fn of_values(values: Vec<Value>) -> ResultColumn {
        ResultColumn { data: ColumnData::Values(values) }
    }

    /// The column as a vector; `None` for columns of nodes, relationships and paths.
    pub fn vector(&self) -> Option<ValueVector<'_>> {
        match &self.data {
            ColumnData::Vector(buffer) => Some(buffer.vector()),
            ColumnData::Values(_) => None,
        }
    }

    /// The value of a row, NULL where there is no such row.
    pub fn value(&self, row: usize) -> Cow<'_, Value> {
        match &self.data {
            ColumnData::Vector(buffer) if row < buffer.len() => {
                Cow::Owned(buffer.vector().value(row, buffer.data_type()))
            }
            ColumnData::Vector(_) => Cow::Owned(Value::Null),
            ColumnData::Values(values) => values.get(row).map_or(Cow::Owned(Value::Null), Cow::Borrowed),
        }
    }
}

/// Whether values of the type are, or may hold, nodes, relationships or paths.
pub(crate) fn may_hold_entities(data_type: &DataType) -> bool {
    match data_type {
        DataType::Node | DataType::Rel | DataType::Path | DataType::Any => true,
        DataType::List(element) | DataType::Array(element, _) => may_hold_entities(element),
        DataType::Map(key, value) => may_hold_entities(key) || may_hold_entities(value),
        DataType::Struct(fields) | DataType::Union(fields) => {
            fields.iter().any(|field| may_hold_entities(&field.data_type))
        }
        _ => false,
    }
}
