//! What a group's page says of its rows as a whole, without looking at one of them: how many there are, and of a column
//! how many have a value and the least and greatest one. Only where that is all there is to say: a deleted row, one that
//! levels bore, or a new value beside those of the chunk, and the rows have to be looked at.

use super::node_table::{ColumnChunk, NodeTable};
use super::open::bound_value;
use crate::storage::StorageResult;
use crate::storage::column::chunk::ChunkNulls;
use crate::storage::column::statistics::Bound;
use crate::types::{ColumnId, DataType};
use crate::vector::VectorBuffer;

/// What is asked of a column.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Asked {
    /// How many rows have a value.
    Count,
    /// The least and the greatest value, too.
    Bounds,
}

/// All rows of a group in short.
#[derive(Debug)]
pub struct GroupSummary {
    /// Rows, all of which exist.
    pub rows: u32,
    /// In the order asked for.
    pub columns: Vec<ColumnSummary>,
}

/// All values of a column of a group in short.
#[derive(Debug)]
pub struct ColumnSummary {
    /// Rows that have a value.
    pub valid: u32,
    /// The least and the greatest value; empty where none was asked for, or none is there.
    pub bounds: VectorBuffer,
}

impl NodeTable {
    /// The summary of a group; none where its rows have to be looked at.
    pub fn summary(
        &self,
        group: usize,
        columns: &[(ColumnId, Asked)],
    ) -> StorageResult<Option<GroupSummary>> {
        let levels = self.group_levels(group as u64);
        let patched = columns.iter().any(|(column, _)| levels.is_patched(*column));
        if patched || levels.changes_rows() {
            return Ok(None);
        }
        let group = self.group(group)?;
        if group.deletions().is_some() {
            return Ok(None);
        }
        let rows = group.rows();
        let column = |(column, asked): &(ColumnId, Asked)| {
            let data_type = self.data_type(*column);
            match group.chunk(*column) {
                Some(chunk) => chunk.summary(&data_type, *asked),
                None => Some(ColumnSummary { valid: 0, bounds: VectorBuffer::new(data_type) }),
            }
        };
        let columns: Option<Vec<ColumnSummary>> = columns.iter().map(column).collect();
        Ok(columns.map(|columns| GroupSummary { rows, columns }))
    }
}

impl ColumnChunk {
    /// The zone map, where it says exactly how many rows have a value and, if asked for, between which bounds.
    fn summary(&self, data_type: &DataType, asked: Asked) -> Option<ColumnSummary> {
        let (chunk, statistics) = (&self.chunk, &self.chunk.statistics);
        // Under a patch both the counts and the bounds are only limits.
        if self.is_patched() || chunk.physical != data_type.physical() {
            return None;
        }
        let valid = chunk.row_count.checked_sub(statistics.null_count)?;
        let agrees = match chunk.nulls {
            ChunkNulls::None => statistics.null_count == 0,
            ChunkNulls::All => valid == 0,
            ChunkNulls::Bitmap(_) => true,
        };
        if !agrees {
            return None;
        }
        let mut bounds = VectorBuffer::new(data_type.clone());
        if asked == Asked::Bounds && valid > 0 {
            // The range leaves NaN out, which is the greatest.
            if statistics.has_nan {
                return None;
            }
            let (low, high) = statistics.range.as_ref()?;
            for bound in [low, high] {
                bounds.push_value(&exact(data_type, bound)?).ok()?;
            }
        }
        Some(ColumnSummary { valid, bounds })
    }
}

/// The value that a bound is; none where it may be another one.
fn exact(data_type: &DataType, bound: &Bound) -> Option<crate::types::Value> {
    match bound {
        Bound::Integer(_) => {}
        // Both zeros are one number, and a zone map does not say which it has seen.
        Bound::Float(number) if *number == 0.0 => return None,
        Bound::Float(_) => {}
        Bound::Text { truncated: true, .. } => return None,
        Bound::Text { prefix, .. } => {
            std::str::from_utf8(prefix).ok()?;
        }
    }
    bound_value(data_type, bound)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::types::Value;

    fn check(data_type: DataType, bound: Bound, expected: Option<Value>) {
        assert_eq!(exact(&data_type, &bound), expected);
    }

    #[test]
    fn bounds_that_may_be_another_value_are_none() {
        check(DataType::Date, Bound::Integer(7), bound_value(&DataType::Date, &Bound::Integer(7)));
        check(DataType::Int8, Bound::Integer(-7), Some(Value::Int8(-7)));
        check(DataType::Int8, Bound::Integer(700), None);
        check(DataType::Double, Bound::Float(1.5), Some(Value::Double(1.5)));
        check(DataType::Double, Bound::Float(-0.0), None);
        check(DataType::String, Bound::text(b"short"), Some(Value::String("short".into())));
        check(DataType::String, Bound::text(b"longer than a bound"), None);
        check(DataType::String, Bound::text(&[0xff]), None);
        check(DataType::list(DataType::Int64), Bound::Integer(1), None);
    }
}
