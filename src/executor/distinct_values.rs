//! The different values that an aggregate over DISTINCT has seen in each group.

use super::error::ExecutionResult;
use super::key_table::{KeyScratch, KeyTable};
use crate::functions::StateColumn;
use crate::types::{DataType, GlobalId};
use crate::vector::{Multiplicity, Selection, ValueVector, Values, VectorBuffer};

/// Values by group, each once. Nodes without grouping are remembered as bits.
pub struct DistinctValues {
    seen: Seen,
    groups: Vec<u32>,
    values: Vec<VectorBuffer>,
}

enum Seen {
    /// By table and offset.
    Nodes(Vec<(u32, Vec<u64>)>),
    /// By (group, values).
    Keys(Box<(KeyTable, KeyScratch)>),
}

impl DistinctValues {
    /// For arguments of these types; `ungrouped` = there is one group.
    pub fn new(types: Vec<DataType>, ungrouped: bool) -> DistinctValues {
        let values = types.iter().map(|data_type| VectorBuffer::new(data_type.clone())).collect();
        let seen = if ungrouped && types == [DataType::Node] {
            Seen::Nodes(Vec::new())
        } else {
            let key_types = std::iter::once(DataType::UInt32).chain(types).collect();
            Seen::Keys(Box::new((KeyTable::new(key_types), KeyScratch::default())))
        };
        DistinctValues { seen, groups: Vec::new(), values }
    }

    /// Whether nodes are remembered as bits.
    pub fn is_dense(&self) -> bool {
        matches!(self.seen, Seen::Nodes(_))
    }

    /// The memory of it.
    pub fn bytes(&self) -> u64 {
        let seen = match &self.seen {
            Seen::Nodes(tables) => tables.iter().map(|(_, words)| words.capacity() as u64 * 8).sum(),
            Seen::Keys(keys) => keys.0.bytes(),
        };
        let values: usize = self.values.iter().map(VectorBuffer::bytes).sum();
        seen + values as u64 + self.groups.capacity() as u64 * 4
    }

    /// The group of each value.
    pub fn groups(&self) -> &[u32] {
        &self.groups
    }

    /// The values, a column per argument.
    pub fn values(&self) -> &[VectorBuffer] {
        &self.values
    }

    /// Adds the selected rows; `groups` has one entry per row, or none when there is one group.
    pub fn add(
        &mut self,
        arguments: &[ValueVector<'_>],
        groups: &[u32],
        length: usize,
        selection: Selection<'_>,
    ) {
        let mut new_rows = Vec::new();
        let zeros;
        let groups = if groups.len() < length {
            zeros = vec![0; length];
            &zeros
        } else {
            groups
        };
        match &mut self.seen {
            Seen::Nodes(tables) => {
                let Some(reader) = arguments[0].native_reader::<u64>() else { return };
                let nullable = !arguments[0].has_no_nulls();
                selection.for_each(length, |row| {
                    if nullable && arguments[0].is_null(row) {
                        return;
                    }
                    let id = GlobalId(reader.get(row));
                    let table = id.table().0;
                    let at = match tables.iter().position(|(known, _)| *known == table) {
                        Some(at) => at,
                        None => {
                            tables.push((table, Vec::new()));
                            tables.len() - 1
                        }
                    };
                    let (word, bit) = (id.offset() as usize / 64, id.offset() % 64);
                    let words = &mut tables[at].1;
                    if words.len() <= word {
                        words.resize((word + 1).next_power_of_two(), 0);
                    }
                    if words[word] >> bit & 1 == 0 {
                        words[word] |= 1 << bit;
                        new_rows.push(row as u32);
                    }
                });
            }
            Seen::Keys(keys) => {
                let (table, scratch) = &mut **keys;
                let mut columns = vec![ValueVector::flat(Values::U32(groups))];
                columns.extend_from_slice(arguments);
                let mut found = Vec::new();
                table.groups(&columns, length, selection, scratch, &mut found, &mut new_rows);
            }
        }
        self.groups.extend(new_rows.iter().map(|row| groups[*row as usize]));
        for (buffer, argument) in self.values.iter_mut().zip(arguments) {
            buffer.append_rows(argument, &new_rows);
        }
    }

    /// Feeds all values to the aggregate.
    pub fn feed(&self, state: &mut StateColumn) -> ExecutionResult<()> {
        let arguments: Vec<ValueVector<'_>> = self.values.iter().map(VectorBuffer::vector).collect();
        state.update(&self.groups, &arguments, self.groups.len(), Selection::All, Multiplicity::One)?;
        Ok(())
    }
}
