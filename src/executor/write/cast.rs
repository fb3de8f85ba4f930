//! Values as columns take them, with errors that name column, value and row.

use std::borrow::Cow;

use super::super::error::ExecutionResult;
use super::{WriteFault, Writing};
use crate::catalog::ColumnSchema;
use crate::functions::assign_value;
use crate::types::{DataType, TableId, Value};
use crate::vector::VectorBuffer;

/// A value as people would write it: texts in quotes, so that '6' is not taken for 6.
fn literal_text(value: &Value) -> String {
    match value {
        Value::String(text) => format!("'{text}'"),
        other => other.to_string(),
    }
}

impl Writing<'_> {
    /// A column of values as the type of a table's column. `rows` are the places of the values in the chunk at hand.
    pub(super) fn cast<'v>(
        &self,
        values: &'v VectorBuffer,
        column: (TableId, &str, &DataType),
        rows: &dyn Fn(usize) -> usize,
    ) -> ExecutionResult<Cow<'v, VectorBuffer>> {
        let (table, name, wanted) = column;
        if values.data_type() == wanted {
            return Ok(Cow::Borrowed(values));
        }
        let vector = values.vector();
        let mut out = VectorBuffer::new(wanted.clone());
        for at in 0..values.len() {
            let value = vector.value(at, values.data_type());
            let value = self.assigned(&value, (table, name, wanted), rows(at))?;
            out.push_value(&value)?;
        }
        Ok(Cow::Owned(out))
    }

    /// One value as the type of a column.
    pub(super) fn assigned(
        &self,
        value: &Value,
        (table, name, wanted): (TableId, &str, &DataType),
        row: usize,
    ) -> ExecutionResult<Value> {
        assign_value(value, wanted).map_err(|error| {
            let fault = WriteFault::Value {
                table: self.table_name(table),
                column: name.to_owned(),
                value: literal_text(value),
                reason: error.to_string(),
            };
            self.fault(row, fault)
        })
    }

    /// Refuses a null where none may be. `offsets` are the rows that are changed, if they are there already.
    pub(super) fn check_nulls(
        &self,
        values: &VectorBuffer,
        (table, name): (TableId, &str),
        rows: &dyn Fn(usize) -> usize,
        offsets: &[u64],
    ) -> ExecutionResult<()> {
        if values.null_count() == 0 || !self.must_not_be_null(table, name) {
            return Ok(());
        }
        let vector = values.vector();
        match (0..values.len()).find(|at| vector.is_null(*at)) {
            Some(at) => {
                let of = offsets.get(at).map(|offset| self.writer.row_text(table, *offset));
                let fault = WriteFault::Null { table: self.table_name(table), column: name.to_owned(), of };
                Err(self.fault(rows(at), fault))
            }
            None => Ok(()),
        }
    }

    pub(super) fn must_not_be_null(&self, table: TableId, name: &str) -> bool {
        let catalog = self.query.transaction.catalog();
        let key = catalog
            .node_table_by_id(table)
            .is_some_and(|schema| schema.key_columns().any(|column| column.name == name));
        key || self.columns(table).iter().any(|column| column.name == name && column.not_null)
    }

    /// The columns of a table.
    pub(super) fn columns(&self, table: TableId) -> &[ColumnSchema] {
        self.query.transaction.catalog().columns_of(table)
    }

    /// The name of a table.
    pub(super) fn table_name(&self, table: TableId) -> String {
        let entry = self.query.transaction.catalog().table_by_id(table);
        entry.map_or_else(|| table.to_string(), |entry| entry.name().to_owned())
    }
}
