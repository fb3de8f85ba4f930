//! Scans of node and relationship tables: one morsel is a slice of a row group.

use std::sync::atomic::{AtomicU64, Ordering};

use parking_lot::Mutex;

use super::context::{Context, QueryContext};
use super::counters::count;
use super::error::ExecutionResult;
use super::evaluate::{Evaluator, constant_value};
use super::operator::{Flow, Operator};
use super::pipeline::Source;
use super::rows::{RowScanner, Rows, append_as_any};
use super::summaries::{Summaries, push_summary};
use crate::planner::physical_plan::{Expression, ScanTable};
use crate::storage::table::{Asked, ScanCounters, ScanOptions};
use crate::types::{ColumnId, ColumnPredicate, DataType, GlobalId, NODE_GROUP_ROWS};
use crate::vector::{Batch, SelectionBuffer, ValueVector, Values, VectorBuffer};

/// Rows of a morsel: small enough that two workers end together, large enough to be worth a hand-over.
const MORSEL_ROWS: u64 = 32 * 1024;
/// Where the rows of a pipeline become many more on their way, a morsel has fewer, but not less than this.
const MORSEL_ROWS_MIN: u64 = 64;
/// Nor are there more morsels than this by that alone.
const MORSELS_GROWN: u64 = 64;
/// Rows of a morsel where batches are tiny.
const MORSEL_ROWS_TINY: u64 = 16;
/// From so many groups per worker on a morsel is a group: workers that read a chunk from disk do so alone.
const WHOLE_GROUPS: u64 = 16;
/// Below this many rows the calling thread works alone.
const ROWS_PER_WORKER: u64 = 60_000;

/// One table of a scan.
struct Part {
    rows: Rows,
    /// The columns storage reads, in the order of its answer.
    read: Vec<ColumnId>,
    /// Per output column after the id: its place among `read`, or NULL.
    places: Vec<Option<usize>>,
    /// Columns, in storage's order, whose type differs from that of the same output column of another table: their
    /// values come with their own type.
    mixed: Vec<Option<DataType>>,
    predicates: Vec<ColumnPredicate>,
    /// Groups that are put out in short.
    summaries: Summaries,
    /// The first morsel of the next table.
    end: u64,
}

/// A scan over the tables of one variable.
pub struct ScanRows<'x> {
    parts: Vec<Part>,
    filter: Option<&'x Expression>,
    next: AtomicU64,
    /// The most rows that an operator of the pipeline is expected to see.
    work: u64,
    morsel_rows: u64,
    /// Scanners of workers between morsels.
    idle: Mutex<Vec<WorkerScan<'x>>>,
    /// The types of columns that are copied, for a reader who may let rows wait.
    copies: Option<&'x [DataType]>,
    query: &'x QueryContext,
}

/// What one worker scans with.
struct WorkerScan<'x> {
    part: usize,
    /// None while the rows that it has found last are on their way without it.
    scanner: Option<RowScanner>,
    /// Rows that need no page.
    copied: Vec<VectorBuffer>,
    /// Ends of relationships as packed ids, one list per column that holds ends.
    ends: Vec<Vec<u64>>,
    /// Columns that are mixed, as ANY.
    converted: Vec<VectorBuffer>,
    filter: Option<Evaluator<'x>>,
    selection: SelectionBuffer,
}

impl<'x> ScanRows<'x> {
    /// Prepares a scan that puts out [id, `first` columns, columns…]; `first` are ends of relationships.
    pub fn new(
        tables: &[ScanTable],
        filter: Option<&'x Expression>,
        first: &[ColumnId],
        query: &'x QueryContext,
    ) -> ExecutionResult<ScanRows<'x>> {
        let mut parts = Vec::with_capacity(tables.len());
        let mut morsels = 0;
        let opened = tables.iter().map(|scan| Rows::open(scan.table, query));
        let opened = opened.collect::<ExecutionResult<Vec<Rows>>>()?;
        let groups: u64 = opened.iter().map(|table| table.table().group_count() as u64).sum();
        let whole_groups = groups >= WHOLE_GROUPS * query.threads as u64;
        let all_rows: u64 = opened.iter().map(|table| table.table().row_bound()).sum();
        let work = all_rows.max(query.pipeline_rows.load(Ordering::Relaxed));
        let morsel_rows = match whole_groups {
            _ if query.is_tiny() => MORSEL_ROWS_TINY,
            true => NODE_GROUP_ROWS,
            false => morsel_rows(all_rows, work),
        };
        for (scan, table) in tables.iter().zip(opened) {
            let mut read: Vec<ColumnId> = Vec::new();
            let wanted = first.iter().map(|column| Some(*column)).chain(scan.columns.iter().copied());
            let places = wanted
                .map(|column| {
                    column.map(|column| {
                        read.iter().position(|known| *known == column).unwrap_or_else(|| {
                            read.push(column);
                            read.len() - 1
                        })
                    })
                })
                .collect();
            let mut predicates = Vec::new();
            for pushed in &scan.pushed {
                let value = constant_value(&pushed.value, query)?;
                predicates.push(ColumnPredicate::new(pushed.column, pushed.op, value));
            }
            // The last group need not be full.
            let rows = table.table().group_count() as u64 * NODE_GROUP_ROWS;
            morsels += rows.min(table.table().row_bound()).div_ceil(morsel_rows);
            parts.push(Part {
                rows: table,
                mixed: vec![None; read.len()],
                read,
                places,
                predicates,
                summaries: Summaries::default(),
                end: morsels,
            });
        }
        find_mixed(&mut parts);
        let idle = Mutex::new(Vec::new());
        let next = AtomicU64::new(0);
        Ok(ScanRows { parts, filter, next, work, morsel_rows, idle, copies: None, query })
    }

    /// The same scan for a reader who may let rows wait: they are copies, so that the scan can give its pages back.
    /// Columns have these types.
    pub fn for_reader(self, types: &'x [DataType]) -> ScanRows<'x> {
        ScanRows { copies: Some(types), ..self }
    }

    /// The same scan for somebody who asks no more than `asked` of the columns put out: groups whose zone maps say all of
    /// that are put out in short.
    pub fn in_short(mut self, asked: &[Asked]) -> ExecutionResult<ScanRows<'x>> {
        let is_plain = |part: &Part| part.predicates.is_empty() && part.mixed.iter().all(Option::is_none);
        if self.filter.is_some() || !self.parts.iter().all(is_plain) {
            return Ok(self);
        }
        for part in &mut self.parts {
            let mut columns: Vec<_> = part.read.iter().map(|column| (*column, Asked::Count)).collect();
            for (place, asked) in part.places.iter().zip(asked.iter().skip(1)) {
                if let Some(at) = *place {
                    columns[at].1 = columns[at].1.max(*asked);
                }
            }
            part.summaries = Summaries::of(&part.rows, &columns, self.query)?;
            self.work = self.work.saturating_sub(part.summaries.rows());
        }
        Ok(self)
    }

    /// The table of a morsel, the group and the slice of it.
    fn place_of(&self, morsel: u64) -> (usize, usize, u64) {
        let part = self.parts.partition_point(|part| part.end <= morsel);
        let first = if part == 0 { 0 } else { self.parts[part - 1].end };
        let per_group = NODE_GROUP_ROWS / self.morsel_rows;
        (part, ((morsel - first) / per_group) as usize, (morsel - first) % per_group)
    }

    fn worker_scan(&self, part: usize) -> ExecutionResult<WorkerScan<'x>> {
        let position = |scan: &WorkerScan<'x>| scan.part == part;
        let found = {
            let mut idle = self.idle.lock();
            idle.iter().position(position).map(|at| idle.swap_remove(at))
        };
        if let Some(scan) = found {
            return Ok(scan);
        }
        let Part { rows, read, predicates, .. } = &self.parts[part];
        let options = ScanOptions { vector_size: self.query.vector_size };
        Ok(WorkerScan {
            part,
            scanner: Some(rows.scanner(read, predicates, &options)?),
            copied: Vec::new(),
            ends: Vec::new(),
            converted: Vec::new(),
            filter: self.filter.map(|filter| Evaluator::new(filter, self.query)).transpose()?,
            selection: SelectionBuffer::default(),
        })
    }

    /// Calls `visit` with every batch of a morsel: [id, columns…].
    pub fn scan(
        &self,
        morsel: u64,
        context: &mut Context<'_>,
        visit: &mut dyn FnMut(&mut Context<'_>, Batch<'_>) -> ExecutionResult<Flow>,
    ) -> ExecutionResult<Flow> {
        let (part, group, slice) = self.place_of(morsel);
        let mut scan = self.worker_scan(part)?;
        let before = scan.counters();
        let rows = (slice * self.morsel_rows) as u32..((slice + 1) * self.morsel_rows) as u32;
        if let Some(scanner) = &mut scan.scanner {
            scanner.open(group, rows)?;
        }
        let Part { rows, read, places, mixed, .. } = &self.parts[part];
        let base = GlobalId::new(rows.table().id(), 0).0;
        let WorkerScan { scanner, filter, selection, ends, converted, copied, .. } = &mut scan;
        let mut flow = Flow::Continue;
        while let Some(own) = scanner.as_mut() {
            let Some(found) = own.next(&mut context.worker)? else { break };
            context.query.check()?;
            let length = found.length as u64;
            ends.resize_with(read.len(), Vec::new);
            for ((column, vector), ids) in read.iter().zip(&found.columns).zip(ends.iter_mut()) {
                if let (Some(base), Some(offsets)) = (rows.end_base(*column), vector.slice_of::<u64>()) {
                    ids.clear();
                    ids.extend(offsets[..found.length].iter().map(|offset| base + offset));
                }
            }
            converted.resize_with(read.len(), || VectorBuffer::new(DataType::Any));
            for ((own, vector), any) in mixed.iter().zip(&found.columns).zip(converted.iter_mut()) {
                let Some(own) = own else { continue };
                any.clear();
                append_as_any(vector, own, found.length, any)?;
            }
            let mut columns = Vec::with_capacity(places.len() + 1);
            columns.push(ValueVector::sequence(base + found.first_offset));
            columns.extend(places.iter().map(|place| match place {
                Some(at) if rows.end_base(read[*at]).is_some() => ValueVector::flat(Values::U64(&ends[*at])),
                Some(at) if mixed[*at].is_some() => converted[*at].vector(),
                Some(at) => found.columns[*at],
                None => ValueVector::null(),
            }));
            let mut batch = Batch { columns: &columns, ..found.batch() };
            if let Some(filter) = filter {
                filter.select(context.query, &batch, selection)?;
                if selection.is_empty() {
                    continue;
                }
                batch.selection = selection.view();
            }
            flow = match self.copies {
                None => visit(context, batch)?,
                Some(types) => {
                    copy_selected(&batch, types, copied);
                    let rows = batch.selected();
                    drop((columns, found));
                    let copies: Vec<ValueVector<'_>> = copied.iter().map(VectorBuffer::vector).collect();
                    context.lent = scanner.take();
                    let outcome = visit(context, Batch::new(&copies, rows));
                    *scanner = context.lent.take();
                    outcome?
                }
            };
            if flow == Flow::Stop {
                break;
            }
            context.advance(length, self.morsel_rows);
        }
        if let Some(scanner) = &mut scan.scanner {
            scanner.rest();
        }
        let after = scan.counters();
        let counters = &context.query.counters;
        count(&counters.rows_scanned, after.rows_read - before.rows_read);
        if after.groups_with_levels > before.groups_with_levels {
            count(&counters.groups_with_levels, 1);
            count(&counters.births_scanned, after.births_read - before.births_read);
        }
        count(&counters.batches_patched, after.batches_patched - before.batches_patched);
        count(&counters.windows_cut, after.windows_cut - before.windows_cut);
        count(&counters.patch_segments_read, after.patch_segments - before.patch_segments);
        if slice == 0 {
            count(&counters.groups_skipped, after.groups_skipped - before.groups_skipped);
        }
        self.idle.lock().push(scan);
        Ok(flow)
    }
}

impl WorkerScan<'_> {
    fn counters(&self) -> ScanCounters {
        self.scanner.as_ref().map(RowScanner::counters).unwrap_or_default()
    }
}

/// Copies the selected rows of a batch.
fn copy_selected(batch: &Batch<'_>, types: &[DataType], copies: &mut Vec<VectorBuffer>) {
    if copies.is_empty() {
        copies.extend(types.iter().cloned().map(VectorBuffer::new));
    }
    for (copy, vector) in copies.iter_mut().zip(batch.columns) {
        copy.clear();
        copy.append(vector, batch.length, batch.selection);
    }
}

/// Rows of a morsel where `rows` rows make `work` rows on their way: a power of two.
fn morsel_rows(rows: u64, work: u64) -> u64 {
    let grown = (work / rows.max(1)).max(1);
    let least = (rows / MORSELS_GROWN).next_power_of_two().max(MORSEL_ROWS_MIN);
    (MORSEL_ROWS / grown.min(MORSEL_ROWS).next_power_of_two()).max(least.min(MORSEL_ROWS))
}

/// Marks the columns that are of several types among the tables; ends of relationships are ids everywhere.
fn find_mixed(parts: &mut [Part]) {
    let own = |part: &Part, place: usize| match part.rows.table().data_type(*part.read.get(place)?) {
        DataType::Serial => Some(DataType::Int64),
        other => Some(other),
    };
    for position in 0..parts.first().map_or(0, |part| part.places.len()) {
        let mut types = parts.iter().filter_map(|part| own(part, part.places[position]?));
        let Some(first) = types.next() else { continue };
        if types.all(|other| other == first) {
            continue;
        }
        for part in parts.iter_mut() {
            let Some(place) = part.places[position] else { continue };
            part.mixed[place] = own(part, place).filter(|own| *own != DataType::Any);
        }
    }
}

impl Source for ScanRows<'_> {
    fn next_morsel(&self) -> Option<u64> {
        let morsel = self.next.fetch_add(1, Ordering::Relaxed);
        (morsel < self.parts.last().map_or(0, |part| part.end)).then_some(morsel)
    }

    fn run(&self, morsel: u64, context: &mut Context<'_>, next: &mut dyn Operator) -> ExecutionResult<Flow> {
        let (part, group, slice) = self.place_of(morsel);
        let Part { rows, summaries, places, .. } = &self.parts[part];
        match summaries.get(group) {
            None => self.scan(morsel, context, &mut |context, batch| next.push(context, batch)),
            // The first of a group's morsels puts it out.
            Some(_) if slice > 0 => Ok(Flow::Continue),
            Some(summary) => {
                count(&context.query.counters.groups_answered_by_zone_map, 1);
                push_summary(summary, (rows, group), places, context, next)
            }
        }
    }

    fn morsels(&self) -> Option<u64> {
        self.parts.last().map(|part| part.end)
    }

    fn parallelism(&self) -> usize {
        (self.work / ROWS_PER_WORKER) as usize + 1
    }
}
