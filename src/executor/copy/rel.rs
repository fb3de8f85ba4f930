//! Rows into one FROM/TO pair of a relationship table.

use std::ops::Range;
use std::sync::Arc;

use super::checks::ChunkChecks;
use super::columns::{ColumnPlan, Serials};
use super::ends::{EndTable, vectors};
use super::error::{CopyError, CopyResult};
use super::memory::Memory;
use super::multiplicity::TakenNodes;
use super::node::unique_columns;
use super::options::CopyOptions;
use super::progress::Ticker;
use super::rejects::{Fault, FaultKind, Rejects, Remainder, keep_rows, settle, settle_early};
use super::unique::{Repeated, UniqueValues, add_rows};
use super::{Load, Loaded, Staged};
use crate::catalog::{Multiplicity, RelTypeSchema};
use crate::ingest::{CsvChunk, CsvMonitor, CsvReader, CsvSummary};
use crate::planner::physical_plan::RelTable as BoundRel;
use crate::storage::column::chunk_writer::WriteOptions;
use crate::storage::engine::{LoadedRows, StagedLoad};
use crate::storage::index::KeyMap;
use crate::storage::table::bulk::{RelBulkLoad, RelBulkTarget, SmallRels};
use crate::storage::table::{Direction, RelTable, open_rel_table};
use crate::transaction::SmallLoad;
use crate::types::ColumnId;

/// What sorting and writing hold per edge, beside the ends themselves.
const SORT_BYTES_PER_EDGE: u64 = 20;

/// What the parsing threads make of a chunk: the ends of the rows that are left.
struct Mapped {
    remainder: Remainder,
    sources: Vec<u32>,
    targets: Vec<u32>,
}

/// Parses, checks and sorts everything, and writes the pages.
pub(super) fn stage(
    load: &Load<'_>,
    rel: BoundRel,
    chosen: &[ColumnId],
    multiplicity: Multiplicity,
) -> CopyResult<Staged> {
    let catalog = load.snapshot.catalog();
    let (schema, pair) = catalog.rel_table_by_id(rel.table).ok_or(CopyError::TableChanged)?;
    if (pair.source, pair.target, schema.multiplicity) != (rel.source, rel.target, multiplicity) {
        return Err(CopyError::TableChanged);
    }
    RelLoad::new(load, schema, rel, chosen)?.stage()
}

struct RelLoad<'l> {
    load: &'l Load<'l>,
    rel: BoundRel,
    table: Arc<RelTable>,
    reader: CsvReader,
    source: Arc<EndTable>,
    target: Arc<EndTable>,
    source_fields: Range<usize>,
    target_fields: Range<usize>,
    plan: ColumnPlan,
    serials: Serials,
    /// Nodes with their one relationship, for each end that the multiplicity limits.
    taken: Vec<TakenNodes>,
    unique: Vec<UniqueValues>,
    checks: ChunkChecks<'l>,
    memory: Memory,
}

impl<'l> RelLoad<'l> {
    fn new(
        load: &'l Load<'l>,
        schema: &RelTypeSchema,
        rel: BoundRel,
        chosen: &[ColumnId],
    ) -> CopyResult<RelLoad<'l>> {
        let snapshot = load.snapshot;
        let text_bytes =
            load.files.iter().filter_map(|file| file.metadata().ok()).map(|file| file.len()).sum();
        let source = Arc::new(EndTable::open(snapshot, rel.source, text_bytes, load.threads())?);
        let target = match rel.source == rel.target {
            true => Arc::clone(&source),
            false => Arc::new(EndTable::open(snapshot, rel.target, text_bytes, load.threads())?),
        };
        load.check_cancelled()?;
        let mut fields = source.fields("FROM");
        let source_fields = 0..fields.len();
        fields.extend(target.fields("TO"));
        let target_fields = source_fields.end..fields.len();
        let (name, first_field, defaults) = (&schema.name, fields.len(), load.options.defaults);
        let (plan, serials) =
            ColumnPlan::new(name, &schema.columns, &[], chosen, first_field, defaults, load.next_serial)?;
        let columns = chosen.iter().filter_map(|id| schema.column_by_id(*id));
        fields.extend(columns.map(|column| (column.name.clone(), column.data_type.clone())));
        let table = open_rel_table(snapshot, rel.table)?;
        let mut taken = Vec::new();
        let mut worker = snapshot.pool().worker()?;
        if schema.multiplicity.limits_source() {
            let forward = table.adjacency(Direction::Forward);
            taken.push(TakenNodes::of(forward, source.row_bound, &mut worker)?);
        }
        if schema.multiplicity.limits_target() {
            let backward = table.adjacency(Direction::Backward);
            taken.push(TakenNodes::of(backward, target.row_bound, &mut worker)?);
        }
        load.check_cancelled()?;
        let checks = ChunkChecks::new(load.options.checks, (rel.table, name), &schema.columns, snapshot)?;
        Ok(RelLoad {
            checks,
            unique: unique_columns(name, &schema.columns, table.rows())?,
            memory: Memory::new(snapshot.memory()),
            reader: load.reader(fields)?,
            load,
            rel,
            table,
            source,
            target,
            source_fields,
            target_fields,
            plan,
            serials,
            taken,
        })
    }

    fn stage(mut self) -> CopyResult<Staged> {
        let load = self.load;
        let layout = Arc::clone(self.table.rows().layout());
        let target = RelBulkTarget {
            layout: Arc::clone(&layout),
            source_rows: self.source.row_bound,
            destination_rows: self.target.row_bound,
            same_table: self.rel.source == self.rel.target,
            row_bound: load.row_bound,
        };
        let signs = load.pages.signs;
        let stop = move || signs.are_due();
        let bulk = RelBulkLoad::begin(&load.pages, target, WriteOptions::default()).stopped_by(&stop);
        let mut rejects = Rejects::new(load.csv.errors, load.options.limits.rejects_kept_max);
        let read = self.read(&bulk, &mut rejects)?;
        load.check_cancelled()?;
        let RelLoad { source, target, mut memory, serials, taken, unique, .. } = self;
        drop((source, target, taken, unique));
        memory.hold(bulk.bytes() as u64 + (read.rows - rejects.count()) * SORT_BYTES_PER_EDGE)?;
        let (table, serials) = (self.rel.table, serials.next());
        let (loaded, stored) = match bulk.take_small(load.options.small_rows) {
            Some(SmallRels { sources, targets, properties }) => {
                let count = sources.len();
                let columns = layout.columns.iter().map(|column| column.id).zip(properties).collect();
                let ends = Some((sources, targets));
                (Loaded::Rows(SmallLoad { columns, count, ends, keys: None, serials }), count as u64)
            }
            None => {
                let first_id = bulk.first_id();
                // The load's runs stand alone; the commit joins them with those that the groups have then.
                let staged = bulk.finish(&|_, _| Ok(None), load.threads())?;
                let stored = staged.rows.row_count;
                let load = StagedLoad { table, rows: LoadedRows::Rels(staged), keys: Vec::new(), serials };
                (Loaded::Pages(load, first_id + stored), stored)
            }
        };
        Ok((loaded, load.summary(read, rejects, stored, &memory)?))
    }

    fn read(&mut self, bulk: &RelBulkLoad<'_>, rejects: &mut Rejects) -> CopyResult<CsvSummary> {
        let load = self.load;
        let ticker = Ticker::new(load.options);
        let tick = |state| ticker.tick(state);
        let CopyOptions { cancelled, deadline, .. } = *load.options;
        let monitor = CsvMonitor { progress: Some(&tick), cancelled, deadline };
        let RelLoad { reader, source, target, source_fields, target_fields, .. } = self;
        let RelLoad { plan, serials, taken, unique, checks, memory, .. } = self;
        let finder = EndFinder { source, target, source_fields, target_fields, plan, checks };
        let (policy, kept_max) = (load.csv.errors, load.options.limits.rejects_kept_max);
        let ends_bytes = finder.source.bytes() + finder.target.bytes();
        let taken_bytes: u64 = taken.iter().map(TakenNodes::bytes).sum();
        let map = |chunk: &mut CsvChunk| {
            let (faults, sources, targets) = finder.find(chunk)?;
            let remainder = settle_early(chunk, faults, policy, kept_max)?;
            let mut mapped = Mapped { remainder, sources, targets };
            mapped.sources.truncate(chunk.rows());
            mapped.targets.truncate(chunk.rows());
            if let Some(keep) = &mapped.remainder.keep {
                keep_rows(&mut chunk.columns, keep);
                keep_ends(&mut mapped.sources, keep);
                keep_ends(&mut mapped.targets, keep);
            }
            Ok(mapped)
        };
        let consume = |chunk: &mut CsvChunk, mapped: Mapped| -> CopyResult<()> {
            let Mapped { mut remainder, mut sources, mut targets } = mapped;
            rejects.add(remainder.rejected, &mut remainder.errors)?;
            serials.count(&chunk.columns, sources.len());
            let first_row = chunk.first_row();
            let number = |row: usize| first_row + remainder.original(row) as u64;
            let mut bad: Vec<(u32, Fault)> = Vec::new();
            if !unique.is_empty() || !taken.is_empty() {
                let vectors = plan.vectors(&chunk.columns, serials);
                let mut second = Vec::new();
                let repeated = add_rows(unique, &vectors, sources.len(), number, |row| {
                    let fault = finder.second_edge(taken, sources[row], targets[row]);
                    let is_first = fault.is_none();
                    second.extend(fault.map(|(column, kind)| {
                        (row as u32, Fault { row: remainder.original(row), column: Some(column), kind })
                    }));
                    is_first
                })?;
                let fault = |repeated: &Repeated| finder.repeated(repeated, unique, &remainder);
                bad.extend(repeated.iter().map(|repeated| (repeated.row as u32, fault(repeated))));
                bad.append(&mut second);
            }
            if !bad.is_empty() {
                bad.sort_by_key(|(row, _)| *row);
                let (rows, faults): (Vec<u32>, Vec<Fault>) = bad.into_iter().unzip();
                let mut left = settle(chunk, faults, policy, kept_max)?;
                rejects.add(left.rejected, &mut left.errors)?;
                let mut rows = rows.into_iter().peekable();
                let good = |row: &u32| rows.next_if_eq(row).is_none();
                let keep: Vec<u32> = (0..sources.len() as u32).filter(good).collect();
                keep_rows(&mut chunk.columns, &keep);
                keep_ends(&mut sources, &keep);
                keep_ends(&mut targets, &keep);
                serials.recount(keep.len());
            }
            bulk.append_owned(sources, targets, &plan.vectors(&chunk.columns, serials))?;
            let sets: u64 = unique.iter().map(UniqueValues::bytes).sum();
            memory.hold(bulk.bytes() as u64 + ends_bytes + taken_bytes + sets)?;
            Ok(())
        };
        reader.run(load.threads(), monitor, map, consume)
    }
}

fn keep_ends(ends: &mut Vec<u32>, keep: &[u32]) {
    *ends = keep.iter().filter_map(|row| ends.get(*row as usize).copied()).collect();
}

/// What all threads share to check rows.
struct EndFinder<'f, 'c> {
    source: &'f EndTable,
    target: &'f EndTable,
    source_fields: &'f Range<usize>,
    target_fields: &'f Range<usize>,
    plan: &'f ColumnPlan,
    checks: &'f ChunkChecks<'c>,
}

/// Bad rows, sources, targets.
type Ends = (Vec<Fault>, Vec<u32>, Vec<u32>);

impl EndFinder<'_, '_> {
    /// The nodes of a chunk's rows; those of bad rows mean nothing.
    fn find(&self, chunk: &CsvChunk) -> CopyResult<Ends> {
        let mut faults = Vec::new();
        let (mut scratch, mut found) = (Vec::new(), Vec::new());
        let mut find = |end: &EndTable, fields: &Range<usize>| -> CopyResult<Vec<u32>> {
            found.clear();
            end.find(&vectors(&chunk.columns, fields), chunk.rows(), &mut scratch, &mut found)?;
            if found.contains(&KeyMap::ABSENT) {
                unknown_ends(chunk, end, fields, &found, &mut faults);
            }
            // Offsets are below the table's bound, which fits 32 bits.
            Ok(found.iter().map(|node| *node as u32).collect())
        };
        let sources = find(self.source, self.source_fields)?;
        let targets = find(self.target, self.target_fields)?;
        self.plan.find_nulls(chunk, &mut faults);
        self.checks.find(self.plan, chunk, &mut faults)?;
        Ok((faults, sources, targets))
    }

    fn repeated(&self, repeated: &Repeated, unique: &[UniqueValues], remainder: &Remainder) -> Fault {
        let set = unique.get(repeated.set);
        let column = set.and_then(|set| self.plan.field_of(*set.columns.first()?));
        let what = set.map_or("value", |set| set.what);
        let kind = FaultKind::Duplicate { what, first_row: repeated.first_row };
        Fault { row: remainder.original(repeated.row), column, kind }
    }

    /// What is wrong with an edge whose ends may have only one and have it; otherwise they have it now.
    fn second_edge(&self, taken: &mut [TakenNodes], source: u32, target: u32) -> Option<(usize, FaultKind)> {
        let node = |nodes: &TakenNodes| if nodes.outgoing { source } else { target };
        let Some(nodes) = taken.iter().find(|nodes| nodes.is_taken(node(nodes))) else {
            taken.iter_mut().for_each(|nodes| nodes.take(node(nodes)));
            return None;
        };
        let (end, fields) = match nodes.outgoing {
            true => (self.source, self.source_fields),
            false => (self.target, self.target_fields),
        };
        let (table, outgoing) = (end.schema.name.clone(), nodes.outgoing);
        Some((fields.start, FaultKind::SecondEdge { table, outgoing, fields: fields.clone() }))
    }
}

fn unknown_ends(
    chunk: &CsvChunk,
    end: &EndTable,
    fields: &Range<usize>,
    found: &[u64],
    faults: &mut Vec<Fault>,
) {
    let keys = vectors(&chunk.columns, fields);
    let absent = found.iter().enumerate().filter(|(_, node)| **node == KeyMap::ABSENT);
    faults.extend(absent.map(|(row, _)| {
        let kind = match keys.iter().any(|key| key.is_null(row)) {
            true => FaultKind::NullKey,
            false => FaultKind::UnknownEnd { table: end.schema.name.clone(), fields: fields.clone() },
        };
        Fault { row, column: Some(fields.start), kind }
    }));
}
