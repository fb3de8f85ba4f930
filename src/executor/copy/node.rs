//! Rows into a node table.

use std::sync::Arc;

use super::checks::ChunkChecks;
use super::columns::{ColumnPlan, Serials};
use super::error::{CopyError, CopyResult};
use super::memory::Memory;
use super::options::CopyOptions;
use super::progress::Ticker;
use super::rejects::{Fault, FaultKind, Rejects, Remainder, keep_rows, settle, settle_early};
use super::unique::{UniqueValues, add_rows};
use super::{Load, Loaded, Staged};
use crate::catalog::{ColumnSchema, NodeTableSchema};
use crate::ingest::{CsvChunk, CsvError, CsvMonitor, CsvReader, ErrorPolicy};
use crate::storage::column::chunk_writer::WriteOptions;
use crate::storage::directory::KeyTreeRef;
use crate::storage::engine::{LoadedRows, StagedLoad};
use crate::storage::index::{DuplicateKey, KeyIndex, KeyLayout, KeyStore, SortedKeys};
use crate::storage::table::bulk::{NodeBulkLoad, StagedRows};
use crate::storage::table::{KeyReader, NodeTable, TableLayout, open_key_reader, open_node_table};
use crate::transaction::SmallLoad;
use crate::types::{ColumnId, DataType, Helpers, TableId};
use crate::vector::{ValueVector, VectorBuffer};

/// What the parsing threads make of a chunk.
struct Mapped {
    remainder: Remainder,
    /// The keys of the rows that are left, where they are known already.
    keys: Option<KeyStore>,
}

/// Parses and checks everything, and writes the pages.
pub(super) fn stage(load: &Load<'_>, table: TableId, chosen: &[ColumnId]) -> CopyResult<Staged> {
    let schema = load.snapshot.catalog().node_table_by_id(table).ok_or(CopyError::TableChanged)?;
    NodeLoad::new(load, schema, chosen)?.stage(chosen)
}

struct NodeLoad<'l> {
    load: &'l Load<'l>,
    schema: &'l NodeTableSchema,
    layout: Arc<TableLayout>,
    plan: ColumnPlan,
    serials: Serials,
    /// Positions of the key's columns among the table's.
    key_columns: Vec<usize>,
    key_layout: KeyLayout,
    /// The keys that the table has.
    known: Arc<KeyReader>,
    unique: Vec<UniqueValues>,
    /// Whether keys are compared row by row, not once they are all there.
    keys_one_by_one: bool,
    checks: ChunkChecks<'l>,
    memory: Memory,
}

impl<'l> NodeLoad<'l> {
    fn new(load: &'l Load<'l>, schema: &'l NodeTableSchema, chosen: &[ColumnId]) -> CopyResult<Self> {
        let (name, defaults) = (&schema.name, load.options.defaults);
        let (plan, serials) = ColumnPlan::new(
            name,
            &schema.columns,
            &schema.primary_key,
            chosen,
            0,
            defaults,
            load.next_serial,
        )?;
        let position = |id: &ColumnId| schema.columns.iter().position(|column| column.id == *id);
        let key_columns: Vec<usize> = schema.primary_key.iter().filter_map(position).collect();
        let types: Vec<DataType> = schema.key_columns().map(|column| column.data_type.clone()).collect();
        let key_layout = KeyLayout::new(&types).ok_or(CopyError::TableChanged)?;
        let nodes = open_node_table(load.snapshot, schema.id)?;
        let known = Arc::new(open_key_reader(load.snapshot, schema.id)?);
        let mut unique = Vec::new();
        let keys_one_by_one = load.csv.errors != ErrorPolicy::Stop;
        if keys_one_by_one {
            let pool = load.snapshot.pool();
            let stored = (nodes.row_count() > 0).then(|| Arc::clone(&known));
            unique.push(UniqueValues::of_key(key_layout.clone(), key_columns.clone(), stored, pool));
        }
        unique.extend(unique_columns(name, &schema.columns, &nodes)?);
        let checks =
            ChunkChecks::new(load.options.checks, (schema.id, name), &schema.columns, load.snapshot)?;
        Ok(NodeLoad {
            checks,
            memory: Memory::new(load.snapshot.memory()),
            layout: Arc::clone(nodes.layout()),
            load,
            schema,
            plan,
            serials,
            key_columns,
            key_layout,
            known,
            unique,
            keys_one_by_one,
        })
    }

    fn stage(mut self, chosen: &[ColumnId]) -> CopyResult<Staged> {
        let load = self.load;
        let fields = chosen.iter().filter_map(|id| self.schema.column_by_id(*id));
        let fields = fields.map(|column| (column.name.clone(), column.data_type.clone()));
        let mut reader = load.reader(fields.collect())?;
        let layout = Arc::clone(&self.layout);
        let bulk = NodeBulkLoad::begin(&load.pages, layout, load.row_bound, WriteOptions::default());
        let mut keys = KeyStore::new(self.key_layout.clone());
        let mut rejects = Rejects::new(load.csv.errors, load.options.limits.rejects_kept_max);
        let read = match self.read(&mut reader, &bulk, &mut keys, &mut rejects) {
            Err(CopyError::Csv(error @ CsvError::Row(_))) => {
                // An earlier row may have a key that was there already.
                self.check_keys(&keys.sorted(), &reader)?;
                return Err(error.into());
            }
            read => read?,
        };
        load.check_cancelled()?;
        let sort_bytes = keys.bytes() + keys.len() * 24;
        self.memory.hold(bulk.bytes() as u64 + sort_bytes)?;
        let (loaded, stored) = match bulk.take_small(load.options.small_rows) {
            Some((columns, count)) => {
                self.check_keys(&keys.sorted(), &reader)?;
                (Loaded::Rows(self.small(columns, count, keys)), count as u64)
            }
            None => {
                let first_offset = bulk.first_offset();
                let (rows, trees) = self.finish(bulk, &keys, first_offset, &reader)?;
                let (stored, row_end) = (rows.row_count, first_offset + rows.row_count);
                let (table, serials) = (self.schema.id, self.serials.next());
                let load = StagedLoad { table, rows: LoadedRows::Nodes(rows), keys: trees, serials };
                (Loaded::Pages(load, row_end), stored)
            }
        };
        Ok((loaded, load.summary(read, rejects, stored, &self.memory)?))
    }

    fn small(&self, columns: Vec<VectorBuffer>, count: usize, keys: KeyStore) -> SmallLoad {
        let columns = self.layout.columns.iter().map(|column| column.id).zip(columns).collect();
        SmallLoad { columns, count, ends: None, keys: Some(keys), serials: self.serials.next() }
    }

    fn read(
        &mut self,
        reader: &mut CsvReader,
        bulk: &NodeBulkLoad<'_>,
        keys: &mut KeyStore,
        rejects: &mut Rejects,
    ) -> CopyResult<crate::ingest::CsvSummary> {
        let load = self.load;
        let ticker = Ticker::new(load.options);
        let tick = |state| ticker.tick(state);
        let CopyOptions { cancelled, deadline, .. } = *load.options;
        let monitor = CsvMonitor { progress: Some(&tick), cancelled, deadline };
        let NodeLoad { plan, serials, key_columns, key_layout, unique, checks, memory, .. } = self;
        let keys_in_map = !plan.count_up(key_columns);
        let (policy, kept_max) = (load.csv.errors, load.options.limits.rejects_kept_max);
        let key_fields: Vec<Option<usize>> =
            unique.iter().map(|set| plan.field_of(*set.columns.first().unwrap_or(&0))).collect();
        let (plan, checks, no_serials) = (&*plan, &*checks, Serials::default());
        let map = |chunk: &mut CsvChunk| -> CopyResult<Mapped> {
            let mut faults = Vec::new();
            plan.find_nulls(chunk, &mut faults);
            checks.find(plan, chunk, &mut faults)?;
            let remainder = settle_early(chunk, faults, policy, kept_max)?;
            let rows = remainder.keep.as_ref().map_or(chunk.rows(), Vec::len);
            if let Some(keep) = &remainder.keep {
                keep_rows(&mut chunk.columns, keep);
            }
            let keys = keys_in_map.then(|| {
                let mut store = KeyStore::new(key_layout.clone());
                append_keys(&mut store, &plan.vectors(&chunk.columns, &no_serials), key_columns, rows);
                store
            });
            Ok(Mapped { remainder, keys })
        };
        let consume = |chunk: &mut CsvChunk, mut mapped: Mapped| -> CopyResult<()> {
            rejects.add(mapped.remainder.rejected, &mut mapped.remainder.errors)?;
            let mut rows = mapped.remainder.keep.as_ref().map_or(chunk.rows(), Vec::len);
            serials.count(&chunk.columns, rows);
            if !unique.is_empty() {
                let first_row = chunk.first_row();
                let number = |row: usize| first_row + mapped.remainder.original(row) as u64;
                let repeated =
                    add_rows(unique, &plan.vectors(&chunk.columns, serials), rows, number, |_| true)?;
                if !repeated.is_empty() {
                    let fault = |repeated: &super::unique::Repeated| Fault {
                        row: mapped.remainder.original(repeated.row),
                        column: key_fields.get(repeated.set).copied().flatten(),
                        kind: FaultKind::Duplicate {
                            what: unique.get(repeated.set).map_or("value", |set| set.what),
                            first_row: repeated.first_row,
                        },
                    };
                    let faults = repeated.iter().map(fault).collect();
                    if policy == ErrorPolicy::Stop {
                        // The keys before it are compared with the others first.
                        let good = repeated.iter().map(|repeated| repeated.row).min().unwrap_or(0);
                        append_keys(keys, &plan.vectors(&chunk.columns, serials), key_columns, good);
                    }
                    let mut left = settle(chunk, faults, policy, kept_max)?;
                    rejects.add(left.rejected, &mut left.errors)?;
                    let mut bad = repeated.iter().map(|repeated| repeated.row as u32).peekable();
                    let keep: Vec<u32> =
                        (0..rows as u32).filter(|row| bad.next_if_eq(row).is_none()).collect();
                    keep_rows(&mut chunk.columns, &keep);
                    rows = keep.len();
                    serials.recount(rows);
                    mapped.keys = None;
                }
            }
            let vectors = plan.vectors(&chunk.columns, serials);
            match &mapped.keys {
                Some(store) => keys.append_store(store),
                None => append_keys(keys, &vectors, key_columns, rows),
            }
            bulk.append(&vectors, rows)?;
            let sets: u64 = unique.iter().map(UniqueValues::bytes).sum();
            memory.hold(bulk.bytes() as u64 + keys.bytes() + sets)?;
            Ok(())
        };
        reader.run(load.threads(), monitor, map, consume)
    }

    /// Writes the last rows and the tree of the keys, side by side.
    fn finish(
        &self,
        bulk: NodeBulkLoad<'_>,
        keys: &KeyStore,
        first_offset: u64,
        reader: &CsvReader,
    ) -> CopyResult<(StagedRows, Vec<KeyTreeRef>)> {
        if self.load.threads() == 1 {
            let trees = self.write_keys(keys, first_offset, reader)?;
            return Ok((bulk.finish()?, trees));
        }
        let helpers = Helpers::of_this_thread();
        std::thread::scope(|scope| {
            let rows = scope.spawn(helpers.help(|| bulk.finish()));
            let trees = self.write_keys(keys, first_offset, reader);
            helpers.wait();
            let rows = match rows.join() {
                Ok(rows) => rows,
                Err(panic) => std::panic::resume_unwind(panic),
            };
            Ok((rows?, trees?))
        })
    }

    fn write_keys(
        &self,
        keys: &KeyStore,
        first_offset: u64,
        reader: &CsvReader,
    ) -> CopyResult<Vec<KeyTreeRef>> {
        let sorted = keys.sorted();
        self.load.check_cancelled()?;
        self.check_keys(&sorted, reader)?;
        self.load.check_cancelled()?;
        let mut worker = self.load.snapshot.pool().worker()?;
        let empty = KeyIndex::empty(self.key_layout.clone());
        Ok(empty.append(&sorted, first_offset, self.load.pages.batch, &mut worker.cursor())?)
    }

    /// Of keys that come twice the least row is the error.
    fn check_keys(&self, sorted: &SortedKeys<'_>, reader: &CsvReader) -> CopyResult<()> {
        let field = self.key_columns.first().and_then(|column| self.plan.field_of(*column));
        if !self.keys_one_by_one {
            let within = first_duplicate(sorted);
            let against = self.known.find_common(sorted, &mut self.load.snapshot.pool().worker()?)?;
            // The first bad row of the files is the error, whichever rule it breaks.
            match (within, against) {
                (within, Some((row, _))) if within.is_none_or(|within| row <= within.second_row) => {
                    let reason = "the key is that of a row of the table already";
                    let error = reader.row_error(row, field, reason);
                    return Err(error.map_or(CopyError::TableChanged, |error| CsvError::from(error).into()));
                }
                (Some(duplicate), _) => return Err(duplicate_error(reader, field, duplicate)),
                (None, _) => {}
            }
        }
        Ok(())
    }
}

/// The UNIQUE properties of a table with what it holds of them.
pub(super) fn unique_columns(
    table: &str,
    columns: &[ColumnSchema],
    rows: &Arc<NodeTable>,
) -> CopyResult<Vec<UniqueValues>> {
    let mut sets = Vec::new();
    for (position, column) in columns.iter().enumerate().filter(|(_, column)| column.unique) {
        let layout = KeyLayout::new(std::slice::from_ref(&column.data_type));
        let layout = layout.ok_or_else(|| CopyError::NotUniqueType {
            table: table.to_owned(),
            column: column.name.clone(),
            data_type: column.data_type.clone(),
        })?;
        sets.push(UniqueValues::of_property(layout, position, column.id, rows)?);
    }
    Ok(sets)
}

fn append_keys(store: &mut KeyStore, vectors: &[ValueVector<'_>], key: &[usize], rows: usize) {
    let vectors: Vec<ValueVector<'_>> =
        key.iter().filter_map(|column| vectors.get(*column).copied()).collect();
    let appended = store.append(&vectors, rows);
    debug_assert!(appended.is_ok(), "null keys are rejected before");
}

/// The least row that repeats the key of an earlier one.
fn first_duplicate(sorted: &SortedKeys<'_>) -> Option<DuplicateKey> {
    let mut least: Option<DuplicateKey> = None;
    if sorted.is_empty() {
        return None;
    }
    let mut before = sorted.get(0);
    for position in 1..sorted.len() {
        let here = sorted.get(position);
        if here.0 == before.0 && least.is_none_or(|least| here.1 < least.second_row) {
            least = Some(DuplicateKey { first_row: before.1, second_row: here.1 });
        }
        before = here;
    }
    least
}

fn duplicate_error(reader: &CsvReader, field: Option<usize>, duplicate: DuplicateKey) -> CopyError {
    let reason = match reader.locate(duplicate.first_row) {
        Some(first) => format!("the key is that of {}, line {} already", first.file, first.line),
        None => "the key is that of an earlier row already".to_owned(),
    };
    let error = reader.row_error(duplicate.second_row, field, reason);
    error.map_or(CopyError::TableChanged, |error| CsvError::from(error).into())
}
