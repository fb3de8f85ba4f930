//! Late materialization: properties of the rows that are left, gathered by id.

use std::sync::Arc;

use rustc_hash::FxHashSet;

use super::context::{Context, QueryContext};
use super::counters::count;
use super::error::{ExecutionError, ExecutionResult};
use super::evaluate::is_wide;
use super::operator::{Flow, Next, Operator};
use super::pieces::Pieces;
use super::rows::Rows;
use super::whole_columns::{WholeColumn, is_asked_often};
use crate::planner::physical_plan::FetchColumn;
use crate::storage::buffer_pool::PoolWorker;
use crate::types::{ColumnId, DST_COLUMN, DataType, GlobalId, PhysicalType, SRC_COLUMN, TableId};
use crate::vector::{Batch, Multiplicity, NativeReader, Selection, ValueVector, VectorBuffer};

/// Gathers columns of the rows that ids name.
pub struct Gatherer {
    columns: Vec<GatheredColumn>,
    /// Every table that a column comes from.
    tables: Vec<GatheredTable>,
    offsets: Vec<u64>,
    /// The offsets of rows that are lent from whole columns.
    codes: Vec<u32>,
    part: VectorBuffer,
    /// What the statement has deleted: its properties are gone. None in statements that delete nothing.
    deleted: Option<Arc<FxHashSet<u64>>>,
}

struct GatheredColumn {
    sources: Vec<GatheredSource>,
    values: VectorBuffer,
    /// The source whose whole column has the rows of the last call, instead of `values`.
    lent: Option<usize>,
}

struct GatheredSource {
    table: TableId,
    column: ColumnId,
    /// All of it, once many more rows were asked for than there are.
    whole: Option<Arc<WholeColumn>>,
}

struct GatheredTable {
    id: TableId,
    rows: Rows,
    /// Rows that were asked for so far, or since there was no room to keep its columns.
    asked: u64,
}

impl Gatherer {
    /// Prepares to gather these columns.
    pub fn new(fetch: &[FetchColumn], query: &QueryContext) -> ExecutionResult<Gatherer> {
        let mut tables: Vec<GatheredTable> = Vec::new();
        for (id, _) in fetch.iter().flat_map(|column| &column.columns) {
            if !tables.iter().any(|known| known.id == *id) {
                tables.push(GatheredTable { id: *id, rows: Rows::open(*id, query)?, asked: 0 });
            }
        }
        let source = |(table, column): &(TableId, ColumnId)| {
            let (table, column) = (*table, *column);
            GatheredSource { table, column, whole: None }
        };
        let gathered = |column: &FetchColumn| {
            let sources = column.columns.iter().map(source).collect();
            GatheredColumn { sources, values: VectorBuffer::new(column.data_type.clone()), lent: None }
        };
        let reads_properties =
            fetch.iter().flat_map(|column| &column.columns).any(|(_, column)| !is_end(*column));
        Ok(Gatherer {
            columns: fetch.iter().map(gathered).collect(),
            tables,
            offsets: Vec::new(),
            codes: Vec::new(),
            part: VectorBuffer::new(DataType::Null),
            deleted: query.deleted.clone().filter(|_| reads_properties),
        })
    }

    /// An error if one of the ids stands for what the statement has deleted.
    fn check_deleted(&self, ids: &[u64], worker: &mut PoolWorker) -> ExecutionResult<()> {
        let Some(deleted) = &self.deleted else { return Ok(()) };
        for GatheredTable { id: table, rows, .. } in &self.tables {
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
    pub fn gather(&mut self, ids: &[u64], context: &mut Context<'_>) -> ExecutionResult<()> {
        if let Some(table) = self.only_table(ids) {
            let asked = &mut self.tables[table].asked;
            *asked = asked.saturating_add(ids.len() as u64);
            if is_asked_often(*asked, self.tables[table].rows.table(), context.query) {
                self.ask_for_whole(table, context)?;
            }
        }
        self.gather_rows(ids, &mut context.worker)
    }

    /// The same for one who asks row by row.
    pub fn gather_rows(&mut self, ids: &[u64], worker: &mut PoolWorker) -> ExecutionResult<()> {
        self.check_deleted(ids, worker)?;
        let only = self.only_table(ids);
        let Gatherer { columns, tables, offsets, codes, part, .. } = self;
        let Some(only) = only else {
            for column in columns {
                column.clear();
                mixed(&column.sources, tables, ids, worker, offsets, part, &mut column.values)?;
            }
            return Ok(());
        };
        let GatheredTable { id: table, rows, .. } = &tables[only];
        offsets.clear();
        offsets.extend(ids.iter().map(|id| GlobalId(*id).offset()));
        codes.clear();
        for column in columns {
            column.clear();
            let Some(at) = column.sources.iter().position(|source| source.table == *table) else {
                column.values.push_nulls(ids.len());
                continue;
            };
            match &column.sources[at].whole {
                Some(whole) if whole.has_all(offsets) => {
                    if codes.is_empty() {
                        codes.extend(offsets.iter().map(|offset| *offset as u32));
                    }
                    // Values that are cheap to copy lie flat for what follows.
                    match column.values.data_type().physical() {
                        PhysicalType::Str => column.lent = Some(at),
                        physical if physical.width() == 0 => column.lent = Some(at),
                        _ => column.values.append_rows(&whole.values.vector(), codes),
                    }
                }
                _ => rows.gather(column.sources[at].column, offsets, worker, &mut column.values)?,
            }
        }
        Ok(())
    }

    /// The one table that all ids are of, by position.
    fn only_table(&self, ids: &[u64]) -> Option<usize> {
        let first = *ids.first()?;
        let at = self.tables.iter().position(|table| same_table(first, table.id))?;
        let table = self.tables[at].id;
        ids.iter().all(|id| same_table(*id, table)).then_some(at)
    }

    /// Looks for the columns of a table as a whole; where there are none, the next time is as far away again.
    fn ask_for_whole(&mut self, table: usize, context: &mut Context<'_>) -> ExecutionResult<()> {
        let GatheredTable { id, rows, asked } = &mut self.tables[table];
        let query = context.query;
        let given_up = query.whole_columns.are_given_up(query);
        for column in &mut self.columns {
            let sources = column.sources.iter_mut().filter(|source| source.table == *id);
            for source in sources.filter(|source| !is_end(source.column)) {
                if given_up {
                    source.whole = None;
                } else if source.whole.is_none() {
                    let data_type = column.values.data_type();
                    source.whole =
                        query.whole_columns.get(rows.table(), source.column, data_type, context)?;
                }
                if source.whole.is_none() {
                    *asked = 0;
                }
            }
        }
        Ok(())
    }

    /// Whether values may be of any length.
    pub fn is_wide(&self) -> bool {
        self.columns.iter().any(|column| is_wide(column.values.data_type()))
    }

    /// What the gathered values take.
    pub fn bytes(&self) -> u64 {
        self.columns.iter().map(|column| column.values.bytes() as u64).sum()
    }

    /// Calls `visit` with every buffer of gathered values.
    pub fn each_buffer(&mut self, visit: &mut dyn FnMut(&mut VectorBuffer)) {
        self.columns.iter_mut().for_each(|column| visit(&mut column.values));
    }

    /// What the last call gathered.
    pub fn vectors(&self) -> impl Iterator<Item = ValueVector<'_>> {
        self.columns.iter().map(|column| {
            let lent = column.lent.and_then(|at| column.sources[at].whole.as_ref());
            lent.map_or_else(
                || column.values.vector(),
                |whole| ValueVector::dictionary(&self.codes, &whole.values),
            )
        })
    }
}

impl GatheredColumn {
    fn clear(&mut self) {
        self.values.clear();
        self.lent = None;
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
    sources: &[GatheredSource],
    tables: &[GatheredTable],
    ids: &[u64],
    worker: &mut PoolWorker,
    offsets: &mut Vec<u64>,
    part: &mut VectorBuffer,
    out: &mut VectorBuffer,
) -> ExecutionResult<()> {
    part.reset(out.data_type());
    let mut place = vec![u32::MAX; ids.len()];
    for GatheredSource { table, column, .. } in sources {
        let Some(GatheredTable { rows, .. }) = tables.iter().find(|known| known.id == *table) else {
            continue;
        };
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

/// Rows that wide values are gathered for at first.
const PIECE_ROWS: usize = 64;
/// What takes more is not kept for the next rows.
const KEPT_BYTES_MAX: u64 = 1 << 20;

/// Appends gathered columns. Rows are compacted, so that what was filtered out is not gathered.
pub struct Fetch<'x> {
    column: usize,
    gatherer: Gatherer,
    ids: Vec<u64>,
    codes: Vec<u32>,
    /// For each row its place among the ids without repetitions.
    places: Vec<u32>,
    counts: Vec<u64>,
    /// Where values may be of any length, they are gathered for a part of a batch at once.
    pieces: Option<Pieces>,
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
        let pieces = gatherer.is_wide().then(|| Pieces::of(PIECE_ROWS));
        Ok(Fetch { pieces, column, gatherer, ids, codes, places, counts, next })
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

impl Fetch<'_> {
    fn push_piece(&mut self, context: &mut Context<'_>, batch: &Batch<'_>) -> ExecutionResult<Flow> {
        let batch = *batch;
        let Fetch { column, gatherer, ids, codes, places, counts, next, .. } = self;
        codes.clear();
        batch.selection.indices(batch.length, codes);
        if codes.is_empty() {
            return Ok(Flow::Continue);
        }
        let key = &batch.columns[*column];
        ids.clear();
        match key.native_reader::<u64>() {
            Some(NativeReader::Flat(values)) if codes.len() == batch.length => {
                ids.extend_from_slice(&values[..batch.length]);
            }
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
        gatherer.gather(ids, context)?;
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
}

impl Operator for Fetch<'_> {
    fn push<'b>(&mut self, context: &mut Context<'_>, batch: Batch<'b>) -> ExecutionResult<Flow> {
        let Some(mut pieces) = self.pieces.take() else { return self.push_piece(context, &batch) };
        let flow = pieces.each(&batch, context.query, |piece| {
            let flow = self.push_piece(context, piece)?;
            let made = self.gatherer.bytes();
            if made > KEPT_BYTES_MAX {
                self.gatherer
                    .each_buffer(&mut |buffer| *buffer = VectorBuffer::new(buffer.data_type().clone()));
            }
            Ok((flow, made))
        });
        self.pieces = Some(pieces);
        flow
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
