//! From the fields of the files to the columns of the table: which column is read, which has a default or counts up.

use super::error::{CopyError, CopyResult};
use super::rejects::{Fault, FaultKind};
use crate::catalog::ColumnSchema;
use crate::ingest::CsvChunk;
use crate::types::{ColumnId, DataType, Value};
use crate::vector::{ValueVector, VectorBuffer};

/// Where a table's columns get their values from, in the table's order.
pub(super) struct ColumnPlan {
    fillers: Vec<Filler>,
    /// Fields that must not be null, and whether they are of the key.
    required: Vec<(usize, bool)>,
}

/// The SERIAL columns of a table, which know their values only when rows come in order.
#[derive(Default)]
pub(super) struct Serials(Vec<Serial>);

enum Filler {
    /// A field of the file.
    Field(usize),
    /// One row, repeated.
    Constant(Box<VectorBuffer>),
    /// Counts up.
    Serial(usize),
}

struct Serial {
    column: ColumnId,
    /// The field that gives the values, where the file has them.
    field: Option<usize>,
    next: u64,
    values: VectorBuffer,
}

impl ColumnPlan {
    /// `chosen` are the columns of the fields from `first_field` on.
    pub fn new(
        table: &str,
        columns: &[ColumnSchema],
        key: &[ColumnId],
        chosen: &[ColumnId],
        first_field: usize,
        defaults: &[(ColumnId, Value)],
        next_serial: &dyn Fn(ColumnId) -> CopyResult<u64>,
    ) -> CopyResult<(ColumnPlan, Serials)> {
        if chosen.iter().any(|id| columns.iter().all(|column| column.id != *id)) {
            return Err(CopyError::TableChanged);
        }
        let mut plan = ColumnPlan { fillers: Vec::new(), required: Vec::new() };
        let mut serials = Vec::new();
        for column in columns {
            let is_key = key.contains(&column.id);
            let field = chosen.iter().position(|id| *id == column.id).map(|at| first_field + at);
            if let Some(field) = field {
                if column.not_null || is_key {
                    plan.required.push((field, is_key));
                }
                plan.fillers.push(Filler::Field(field));
                if column.data_type == DataType::Serial {
                    serials.push(Serial::new(column, Some(field), next_serial(column.id)?));
                }
            } else if column.data_type == DataType::Serial {
                plan.fillers.push(Filler::Serial(serials.len()));
                serials.push(Serial::new(column, None, next_serial(column.id)?));
            } else {
                let constant = default_of(table, column, defaults)?;
                if constant.null_count() > 0 && (column.not_null || is_key) {
                    let (table, column) = (table.to_owned(), column.name.clone());
                    return Err(CopyError::MissingColumn { table, column });
                }
                plan.fillers.push(Filler::Constant(Box::new(constant)));
            }
        }
        Ok((plan, Serials(serials)))
    }

    /// The field that fills a column, if one does.
    pub fn field_of(&self, column: usize) -> Option<usize> {
        match self.fillers.get(column)? {
            Filler::Field(field) => Some(*field),
            _ => None,
        }
    }

    /// Whether values of any of these columns are known only when rows come in order.
    pub fn count_up(&self, columns: &[usize]) -> bool {
        columns.iter().any(|column| matches!(self.fillers.get(*column), Some(Filler::Serial(_))))
    }

    /// Rows with a null where none may be.
    pub fn find_nulls(&self, chunk: &CsvChunk, faults: &mut Vec<Fault>) {
        for (field, is_key) in &self.required {
            let Some(buffer) = chunk.columns.get(*field).filter(|buffer| buffer.null_count() > 0) else {
                continue;
            };
            let vector = buffer.vector();
            let kind = || if *is_key { FaultKind::NullKey } else { FaultKind::Null };
            let nulls = (0..chunk.rows()).filter(|row| vector.is_null(*row));
            faults.extend(nulls.map(|row| Fault { row, column: Some(*field), kind: kind() }));
        }
    }

    /// The table's columns over the fields of a chunk; counted ones are null until `serials` are given.
    pub fn vectors<'v>(&'v self, fields: &'v [VectorBuffer], serials: &'v Serials) -> Vec<ValueVector<'v>> {
        let vector = |filler: &'v Filler| match filler {
            Filler::Field(field) => fields.get(*field).map_or(ValueVector::null(), VectorBuffer::vector),
            Filler::Constant(buffer) => buffer.constant_vector(),
            Filler::Serial(at) => {
                serials.0.get(*at).map_or(ValueVector::null(), |serial| serial.values.vector())
            }
        };
        self.fillers.iter().map(vector).collect()
    }
}

impl Serials {
    /// Gives the next rows their SERIAL values, and counts on from those that the file gives.
    pub fn count(&mut self, fields: &[VectorBuffer], rows: usize) {
        for serial in &mut self.0 {
            match serial.field.and_then(|field| fields.get(field)) {
                None => serial.fill(rows),
                Some(given) => {
                    let values = given.vector().slice_of::<i64>().unwrap_or_default();
                    let most = values.iter().max().and_then(|most| u64::try_from(*most).ok());
                    serial.next = serial.next.max(most.map_or(0, |most| most.saturating_add(1)));
                }
            }
        }
    }

    /// After some of the rows of the last `count` were left out: the others get the values, without gaps.
    pub fn recount(&mut self, kept: usize) {
        for serial in self.0.iter_mut().filter(|serial| serial.field.is_none()) {
            serial.next = serial.next.saturating_sub((serial.values.len().saturating_sub(kept)) as u64);
            serial.values.truncate(kept);
        }
    }

    /// The next value of each SERIAL column.
    pub fn next(&self) -> Vec<(ColumnId, u64)> {
        self.0.iter().map(|serial| (serial.column, serial.next)).collect()
    }
}

impl Serial {
    fn new(column: &ColumnSchema, field: Option<usize>, next: u64) -> Serial {
        let values = VectorBuffer::new(DataType::Serial);
        Serial { column: column.id, field, next, values }
    }

    fn fill(&mut self, rows: usize) {
        self.values.clear();
        let end = self.next + rows as u64;
        let numbers: Vec<i64> = (self.next..end).map(|number| number as i64).collect();
        self.values.extend(&numbers);
        self.next = end;
    }
}

/// One row with the column's default.
fn default_of(
    table: &str,
    column: &ColumnSchema,
    defaults: &[(ColumnId, Value)],
) -> CopyResult<VectorBuffer> {
    let fault =
        |reason: String| CopyError::Default { table: table.to_owned(), column: column.name.clone(), reason };
    let mut buffer = VectorBuffer::new(column.data_type.clone());
    match (defaults.iter().find(|(id, _)| *id == column.id), &column.default) {
        (Some((_, value)), _) => buffer.push_value(value).map_err(|error| fault(error.to_string()))?,
        (None, None) => buffer.push_null(),
        (None, Some(text)) => return Err(fault(format!("nobody evaluated {text}"))),
    }
    Ok(buffer)
}
