//! The sample of a column's values that a chunk gives to the statistics of its table.

use super::statistics::ChunkStatistics;
use crate::catalog::{RowSample, is_sampled};
use crate::types::DataType;
use crate::vector::ValueVector;

/// The values of the picked rows, which stand for all that are not null; none for types without a measured order.
pub fn sample_of(
    vector: &ValueVector<'_>,
    data_type: &DataType,
    rows: usize,
    picked: &[(usize, u64)],
    statistics: &ChunkStatistics,
) -> Option<RowSample> {
    statistics.range.as_ref()?;
    let values = picked.iter().map(|(row, key)| (*key, vector.value(*row, data_type)));
    let values = values.filter(|(_, value)| is_sampled(value));
    let present = (rows as u64).saturating_sub(u64::from(statistics.null_count));
    Some(RowSample::of(present, values))
}
