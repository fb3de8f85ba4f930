//! MERGE. The pattern is looked for once for all rows of a chunk; of the rows that find nothing, those with the same
//! ends and values create it once. Where a row could find what an earlier one made in another way, rows go one by one.

use rustc_hash::FxHashMap;

use super::super::chunks::Chunk;
use super::super::error::ExecutionResult;
use super::rows::{id_at, id_column, taken};
use super::{WriteFault, Writing};
use crate::planner::physical_plan::{NewValue, PhysicalMerge};
use crate::types::{DataType, TableId, Value};
use crate::vector::VectorBuffer;

/// What a row ends up with.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Origin {
    /// Row of what was found.
    Found(u32),
    /// Number of what was created; `first` for the row that created it.
    Created { at: u32, first: bool },
}

impl Writing<'_> {
    /// Finds or creates for every row; the ids stand behind the columns of the row, which is repeated if it found more
    /// than one match.
    pub(super) fn merge(&mut self, merge: &PhysicalMerge, rows: Chunk) -> ExecutionResult<Chunk> {
        if !merge.one_by_one || rows.rows <= 1 {
            return self.merge_together(merge, rows);
        }
        let first = self.row;
        let mut out: Option<Chunk> = None;
        for row in 0..rows.rows {
            self.query.check()?;
            self.row = first + row as u64;
            let merged = self.merge_together(merge, taken(&rows, &[row as u32]))?;
            match &mut out {
                None => out = Some(merged),
                Some(all) => {
                    for (column, new) in all.columns.iter_mut().zip(&merged.columns) {
                        column.append_range(&new.vector(), 0, merged.rows);
                    }
                    all.rows += merged.rows;
                }
            }
        }
        self.row = first;
        Ok(out.unwrap_or_else(Chunk::empty))
    }

    fn merge_together(&mut self, merge: &PhysicalMerge, rows: Chunk) -> ExecutionResult<Chunk> {
        self.fresh();
        let (values, mut rows) = self.values_of(&merge.create, rows)?;
        let keys = self.merged_values(merge, &values)?;
        let own = rows.columns.len();
        rows.columns.extend(keys.iter().cloned());
        let numbers: Vec<u64> = (0..rows.rows as u64).collect();
        rows.columns.push(id_column(DataType::UInt64, &numbers));
        let (found, mut rows) = self.over(&merge.found, rows)?;
        rows.columns.truncate(own);
        let (origins, creators) = origins_of(merge, &rows, &keys, &found);
        self.claim(merge, &rows, &keys, &creators)?;
        let created = self.create_rows(&merge.create, &rows, &values, &creators)?;
        let mut out = taken(&rows, &origins.iter().map(|(row, _)| *row).collect::<Vec<u32>>());
        for (at, new) in created.iter().enumerate() {
            // Behind the row number.
            let found = &found.columns[at + 1];
            let ids: Vec<u64> = origins
                .iter()
                .map(|(_, origin)| match origin {
                    Origin::Found(row) => id_at(found, *row as usize),
                    Origin::Created { at, .. } => id_at(new, *at as usize),
                })
                .map(Option::unwrap_or_default)
                .collect();
            out.columns.push(id_column(new.data_type().clone(), &ids));
        }
        let is_new: Vec<bool> =
            origins.iter().map(|(_, origin)| matches!(origin, Origin::Created { first: true, .. })).collect();
        self.set(&[&merge.on_create, &merge.on_match], &|row| usize::from(!is_new[row]), out)
    }

    /// Of two transactions that look for the same, find nothing and make it, one has to look again.
    fn claim(
        &mut self,
        merge: &PhysicalMerge,
        rows: &Chunk,
        keys: &[VectorBuffer],
        creators: &[u32],
    ) -> ExecutionResult<()> {
        let rels = merge.create.rels.iter().filter_map(|rel| rel.tables.first());
        let Some(table) =
            rels.map(|pair| pair.table).chain(merge.create.nodes.iter().map(|node| node.table)).next()
        else {
            return Ok(());
        };
        for row in creators {
            let pattern = same_pattern(merge, rows, keys, *row as usize);
            let claimed = self.writer.claim(table, pattern.as_bytes());
            claimed.map_err(|error| self.refused(error, &[*row]))?;
        }
        Ok(())
    }

    /// The values that are compared, as their columns' types; none of them may be null.
    fn merged_values(&self, merge: &PhysicalMerge, values: &Chunk) -> ExecutionResult<Vec<VectorBuffer>> {
        let nodes = merge.create.nodes.iter().map(|node| (node.table, &node.columns));
        let table = |tables: &[crate::planner::physical_plan::RelTable]| {
            tables.first().map_or(TableId::default(), |pair| pair.table)
        };
        let rels = merge.create.rels.iter().map(|rel| (table(&rel.tables), &rel.columns));
        let mut merged = Vec::new();
        for (table, columns) in nodes.chain(rels) {
            for NewValue { name, data_type, value, .. } in columns.iter().filter(|column| column.merged) {
                let Some(given) = values.columns.get(*value) else { continue };
                let cast = self.cast(given, (table, name, data_type), &|row| row)?.into_owned();
                if cast.null_count() > 0 {
                    let vector = cast.vector();
                    let row = (0..cast.len()).find(|row| vector.is_null(*row)).unwrap_or(0);
                    let (table, column) = (self.table_name(table), name.clone());
                    return Err(self.fault(row, WriteFault::MergedNull { table, column }));
                }
                merged.push(cast);
            }
        }
        Ok(merged)
    }
}

/// What every row ends up with, in the order of the rows, and the rows that create.
fn origins_of(
    merge: &PhysicalMerge,
    rows: &Chunk,
    keys: &[VectorBuffer],
    found: &Chunk,
) -> (Vec<(u32, Origin)>, Vec<u32>) {
    let numbers = &found.columns[0];
    let mut matches: Vec<(u32, u32)> =
        (0..found.rows).map(|at| (id_at(numbers, at).unwrap_or(0) as u32, at as u32)).collect();
    matches.sort_unstable();
    let mut matches = matches.into_iter().peekable();
    let mut origins = Vec::with_capacity(rows.rows);
    let mut creators = Vec::new();
    let mut made: FxHashMap<String, u32> = FxHashMap::default();
    for row in 0..rows.rows as u32 {
        let before = origins.len();
        while let Some((_, at)) = matches.next_if(|(number, _)| *number == row) {
            origins.push((row, Origin::Found(at)));
        }
        if origins.len() > before {
            continue;
        }
        let next = creators.len() as u32;
        let at = *made.entry(same_pattern(merge, rows, keys, row as usize)).or_insert(next);
        if at == next {
            creators.push(row);
        }
        origins.push((row, Origin::Created { at, first: at == next }));
    }
    (origins, creators)
}

/// A text that two rows share if they would create the same.
fn same_pattern(merge: &PhysicalMerge, rows: &Chunk, keys: &[VectorBuffer], row: usize) -> String {
    use std::fmt::Write;
    let mut text = String::new();
    for end in &merge.ends {
        let id = rows.columns.get(*end).and_then(|column| id_at(column, row));
        // Writing to a string cannot fail.
        let _ = write!(text, "{id:?} ");
    }
    for key in keys {
        let value = match key.vector().value(row, key.data_type()) {
            // Both zeros are equal.
            Value::Double(number) => Value::Double(number + 0.0),
            Value::Float(number) => Value::Float(number + 0.0),
            other => other,
        };
        let _ = write!(text, "{value:?} ");
    }
    text
}
