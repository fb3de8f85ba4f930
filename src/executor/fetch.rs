//! Late materialization: properties of the rows that are left, gathered by id.

use std::sync::Arc;

use rustc_hash::FxHashSet;

use super::context::{Context, QueryContext};
use super::counters::count;
use super::error::{ExecutionError, ExecutionResult};
use super::operator::{Flow, Next, Operator};
use super::rows::Rows;
use crate::planner::physical_plan::FetchColumn;
use crate::storage::buffer_pool::PoolWorker;
use crate::types::{ColumnId, DST_COLUMN, DataType, GlobalId, SRC_COLUMN, TableId};
use crate::vector::{Batch, Multiplicity, Selection, ValueVector, VectorBuffer};

/// Gathers columns of the rows that ids name.
pub struct Gatherer {
    columns: Vec<(Vec<(TableId, ColumnId)>, VectorBuffer)>,
    /// Rows of every table that a column comes from.
    tables: Vec<(TableId, Rows)>,
    offsets: Vec<u64>,
    part: VectorBuffer,
    /// What the statement has deleted: its properties are gone. None in statements that delete nothing.
    deleted: Option<Arc<FxHashSet<u64>>>,
}

impl Gatherer {
    /// Prepares to gather these columns.
    pub fn new(fetch: &[FetchColumn], query: &QueryContext) -> ExecutionResult<Gatherer> {
        let mut tables: Vec<(TableId, Rows)> = Vec::new();
        for (table, _) in fetch.iter().flat_map(|column| &column.columns) {
            if !tables.iter().any(|(known, _)| known == table) {
                tables.push((*table, Rows::open(*table, query)?));
            }
        }
        let columns = fetch
            .iter()
            .map(|column| (column.columns.clone(), VectorBuffer::new(column.data_type.clone())))
            .collect();
        let part = VectorBuffer::new(DataType::Null);
        let reads_properties =
            fetch.iter().flat_map(|column| &column.columns).any(|(_, column)| !is_end(*column));
        let deleted = query.deleted.clone().filter(|_| reads_properties);
        Ok(Gatherer { columns, tables, offsets: Vec::new(), part, deleted })
    }

    /// An error if one of the ids stands for what the statement has deleted.
    fn check_deleted(&self, ids: &[u64], worker: &mut PoolWorker) -> ExecutionResult<()> {
        let Some(deleted) = &self.deleted else { return Ok(()) };
        for (table, rows) in &self.tables {
            let own = ids.iter().filter(|id| same_table(**id, *table));
            if own.clone().any(|id| deleted.contains(id)) {
                let what = if matches!(rows, Rows::Nodes(_)) { "node" } else { "relationship" };
                return Err(ExecutionError::DeletedEntity { what });
            }
            if let Rows::Rels { .. } = rows {
                // A relationship goes with its nodes.
                let offsets: Vec<u64> = own.map(|id| GlobalId(*id).offset()).collect();
                let mut ends = VectorBuffer::new(DataType::Node);
                rows.gather(SRC_COLUMN, &offsets, worker, &mut ends)?;
                rows.gather(DST_COLUMN, &offsets, worker, &mut ends)?;
                let ends = ends.vector();
                if (0..offsets.len() * 2).any(|at| ends.u64_at(at).is_some_and(|id| deleted.contains(&id))) {
                    return Err(ExecutionError::DeletedEntity { what: "relationship" });
                }
            }
        }
        Ok(())
    }

    /// Gathers for each id, in order. The columns stay until the next call.
    pub fn gather(&mut self, ids: &[u64], worker: &mut PoolWorker) -> ExecutionResult<()> {
        self.check_deleted(ids, worker)?;
        let Gatherer { columns, tables, offsets, part, .. } = self;
        let single = match tables.first() {
            Some((table, _)) if ids.iter().all(|id| same_table(*id, *table)) => Some(*table),
            _ => None,
        };
        for (sources, out) in columns {
            out.clear();
            match (single, &sources[..]) {
                (Some(table), _) => {
                    let column = sources.iter().find(|(source, _)| *source == table);
                    let rows = tables.iter().find(|(known, _)| *known == table);
                    let (Some((_, column)), Some((_, rows))) = (column, rows) else {
                        out.push_nulls(ids.len());
                        continue;
                    };
                    offsets.clear();
                    offsets.extend(ids.iter().map(|id| GlobalId(*id).offset()));
                    rows.gather(*column, offsets, worker, out)?;
                }
                _ => mixed(sources, tables, ids, worker, offsets, part, out)?,
            }
        }
        Ok(())
    }

    /// What the last call gathered.
    pub fn vectors(&self) -> impl Iterator<Item = ValueVector<'_>> {
        self.columns.iter().map(|(_, buffer)| buffer.vector())
    }
}

fn is_end(column: ColumnId) -> bool {
    matches!(column, SRC_COLUMN | DST_COLUMN)
}

fn same_table(id: u64, table: TableId) -> bool {
    GlobalId(id).table() == TableId(table.0 & 0xFFFF)
}

/// Ids of several tables: each table's rows are gathered at once and then put where they belong.
fn mixed(
    sources: &[(TableId, ColumnId)],
    tables: &[(TableId, Rows)],
    ids: &[u64],
    worker: &mut PoolWorker,
    offsets: &mut Vec<u64>,
    part: &mut VectorBuffer,
    out: &mut VectorBuffer,
) -> ExecutionResult<()> {
    part.reset(out.data_type());
    let mut place = vec![u32::MAX; ids.len()];
    for (table, column) in sources {
        let Some((_, rows)) = tables.iter().find(|(known, _)| known == table) else { continue };
        offsets.clear();
        for (row, id) in ids.iter().enumerate().filter(|(_, id)| same_table(**id, *table)) {
            place[row] = (part.len() + offsets.len()) as u32;
            offsets.push(GlobalId(*id).offset());
        }
        rows.gather(*column, offsets, worker, part)?;
    }
    let vector = part.vector();
    for at in place {
        if at == u32::MAX { out.push_null() } else { out.append_row(&vector, at as usize) }
    }
    Ok(())
}

/// Appends gathered columns. Rows are compacted, so that what was filtered out is not gathered.
pub struct Fetch<'x> {
    column: usize,
    gatherer: Gatherer,
    ids: Vec<u64>,
    codes: Vec<u32>,
    /// For each row its place among the ids without repetitions.
    places: Vec<u32>,
    counts: Vec<u64>,
    next: Next<'x>,
}

impl<'x> Fetch<'x> {
    /// Fetches before `next`.
    pub fn new(
        column: usize,
        fetch: &[FetchColumn],
        query: &QueryContext,
        next: Next<'x>,
    ) -> ExecutionResult<Fetch<'x>> {
        let gatherer = Gatherer::new(fetch, query)?;
        let (ids, codes, places, counts) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
        Ok(Fetch { column, gatherer, ids, codes, places, counts, next })
    }
}

/// Where ids come in runs (expansions put out their input row again and again), each run is gathered once: drops
/// repetitions and writes the place of every row's id. False if that is not worth it; then nothing is changed.
fn drop_repetitions(ids: &mut Vec<u64>, places: &mut Vec<u32>) -> bool {
    let runs = 1 + ids.windows(2).filter(|pair| pair[0] != pair[1]).count();
    if runs * 2 > ids.len() {
        return false;
    }
    places.clear();
    let mut place = 0;
    places.push(place);
    for pair in ids.windows(2) {
        place += u32::from(pair[0] != pair[1]);
        places.push(place);
    }
    ids.dedup();
    true
}

impl Operator for Fetch<'_> {
    fn push<'b>(&mut self, context: &mut Context<'_>, batch: Batch<'b>) -> ExecutionResult<Flow> {
        let Fetch { column, gatherer, ids, codes, places, counts, next } = self;
        codes.clear();
        batch.selection.indices(batch.length, codes);
        if codes.is_empty() {
            return Ok(Flow::Continue);
        }
        let key = &batch.columns[*column];
        ids.clear();
        match key.native_reader::<u64>() {
            Some(reader) => ids.extend(codes.iter().map(|row| reader.get(*row as usize))),
            // A column of NULLs only: no table has such an id.
            None => ids.resize(codes.len(), u64::MAX),
        }
        if !key.has_no_nulls() {
            for (id, row) in ids.iter_mut().zip(codes.iter()) {
                if key.is_null(*row as usize) {
                    *id = u64::MAX;
                }
            }
        }
        let repeated = drop_repetitions(ids, places);
        count(&context.query.counters.rows_fetched, ids.len() as u64);
        gatherer.gather(ids, &mut context.worker)?;
        let compact = codes.len() < batch.length;
        let mut columns: Vec<ValueVector<'_>> = Vec::with_capacity(batch.columns.len() + 4);
        if compact {
            columns.extend(batch.columns.iter().map(|column| ValueVector::dictionary(codes, column)));
        } else {
            columns.extend_from_slice(batch.columns);
        }
        let gathered: Vec<ValueVector<'_>> = gatherer.vectors().collect();
        if repeated {
            columns.extend(gathered.iter().map(|column| ValueVector::dictionary(places, column)));
        } else {
            columns.extend_from_slice(&gathered);
        }
        let mut out = Batch { columns: &columns, length: codes.len(), selection: Selection::All, ..batch };
        if let (true, Multiplicity::PerRow(all)) = (compact, batch.multiplicity) {
            counts.clear();
            counts.extend(codes.iter().map(|row| all[*row as usize]));
            out.multiplicity = Multiplicity::PerRow(counts);
        }
        next.push(context, out)
    }

    fn next(&mut self) -> Option<&mut dyn Operator> {
        Some(&mut *self.next)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn runs_of_ids_are_gathered_once() {
        let check = |ids: &[u64], expected: Option<(&[u64], &[u32])>| {
            let (mut kept, mut places) = (ids.to_vec(), Vec::new());
            let dropped = drop_repetitions(&mut kept, &mut places);
            assert_eq!(dropped.then_some((&kept[..], &places[..])), expected);
        };
        check(&[7, 7, 7, 4, 7, 7], Some((&[7, 4, 7], &[0, 0, 0, 1, 2, 2])));
        check(&[1, 2, 3, 3], None);
        check(&[5], None);
    }
}
