//! A relationship table: rows by relationship id, and the adjacency in both directions. The ends of a relationship
//! stand in the forward run that implies its id, or in chunks of the row group where a fold has broken that order.

use std::ops::Range;
use std::sync::Arc;

use super::adjacency::{Adjacency, Direction};
use super::csr_group::CsrGroup;
use super::csr_run::RunIds;
use super::node_scanner::{NodeScanner, ScanBatch, ScanCounters, ScanOptions};
use super::node_table::NodeTable;
use super::open::SharedTable;
use crate::storage::StorageResult;
use crate::storage::buffer_pool::{PoolWorker, try_bytes_as};
use crate::storage::column::bytes::Damage;
use crate::types::{ColumnId, ColumnPredicate, DST_COLUMN, NODE_GROUP_ROWS, SRC_COLUMN, TableId};
use crate::vector::{ValueVector, Values, VectorBuffer};

/// The rows and the adjacency of one relationship table.
pub struct RelTable {
    rows: Arc<NodeTable>,
    forward: Arc<Adjacency>,
    backward: Arc<Adjacency>,
    shared: Arc<SharedTable>,
}

/// The relationships whose ids follow from their place in a forward run.
#[derive(Debug, Clone, Copy)]
pub(super) struct ImpliedIds {
    first: u64,
    count: u64,
    group: u64,
    run: usize,
}

impl RelTable {
    /// A view over its three parts.
    pub fn new(rows: Arc<NodeTable>, forward: Arc<Adjacency>, backward: Arc<Adjacency>) -> RelTable {
        Self::sharing(Arc::default(), rows, forward, backward)
    }

    pub(super) fn sharing(
        shared: Arc<SharedTable>,
        rows: Arc<NodeTable>,
        forward: Arc<Adjacency>,
        backward: Arc<Adjacency>,
    ) -> RelTable {
        RelTable { rows, forward, backward, shared }
    }

    /// The table's id.
    pub fn id(&self) -> TableId {
        self.rows.id()
    }

    /// The properties, by relationship id.
    pub fn rows(&self) -> &Arc<NodeTable> {
        &self.rows
    }

    /// The lists in one direction.
    pub fn adjacency(&self, direction: Direction) -> &Arc<Adjacency> {
        match direction {
            Direction::Forward => &self.forward,
            Direction::Backward => &self.backward,
        }
    }

    /// Relationship ids are below this.
    pub fn row_bound(&self) -> u64 {
        self.rows.row_bound()
    }

    /// Relationships that exist.
    pub fn row_count(&self) -> u64 {
        self.rows.row_count()
    }

    /// Appends the offsets of the ends of each relationship to the lists that are given.
    pub fn endpoints(
        &self,
        relationships: &[u64],
        worker: &mut PoolWorker,
        mut sources: Option<&mut Vec<u64>>,
        mut destinations: Option<&mut Vec<u64>>,
    ) -> StorageResult<()> {
        for same in relationships.chunk_by(|a, b| a / NODE_GROUP_ROWS == b / NODE_GROUP_ROWS) {
            let levels = self.rows.group_levels(same[0] / NODE_GROUP_ROWS);
            let is_born = |id: &u64| levels.is_born((id % NODE_GROUP_ROWS) as u16);
            if levels.is_empty() {
                self.group_ends(same, false, worker, sources.as_deref_mut(), destinations.as_deref_mut())?;
                continue;
            }
            for same in same.chunk_by(|a, b| is_born(a) == is_born(b)) {
                let born = is_born(&same[0]);
                self.group_ends(same, born, worker, sources.as_deref_mut(), destinations.as_deref_mut())?;
            }
        }
        Ok(())
    }

    /// The ends of relationships of one group, which levels bore or the base has.
    fn group_ends(
        &self,
        same: &[u64],
        born: bool,
        worker: &mut PoolWorker,
        mut sources: Option<&mut Vec<u64>>,
        mut destinations: Option<&mut Vec<u64>>,
    ) -> StorageResult<()> {
        let group = self.rows.group((same[0] / NODE_GROUP_ROWS) as usize)?;
        if born || group.chunk(SRC_COLUMN).is_some() {
            if let Some(sources) = sources.as_deref_mut() {
                self.stored_ends(SRC_COLUMN, same, worker, sources)?;
            }
            if let Some(destinations) = destinations.as_deref_mut() {
                self.stored_ends(DST_COLUMN, same, worker, destinations)?;
            }
        } else {
            self.implied_ends(same, worker, sources, destinations)?;
        }
        Ok(())
    }

    fn stored_ends(
        &self,
        column: ColumnId,
        ids: &[u64],
        worker: &mut PoolWorker,
        out: &mut Vec<u64>,
    ) -> StorageResult<()> {
        let mut values = VectorBuffer::new(crate::types::DataType::UInt64);
        self.rows.gather(column, ids, worker, &mut values)?;
        out.extend_from_slice(values.vector().slice_of::<u64>().unwrap_or_default());
        Ok(())
    }

    fn implied_ends(
        &self,
        ids: &[u64],
        worker: &mut PoolWorker,
        mut sources: Option<&mut Vec<u64>>,
        mut destinations: Option<&mut Vec<u64>>,
    ) -> StorageResult<()> {
        let implied = self.implied()?;
        let mut at = 0;
        while let Some(id) = ids.get(at) {
            let after = implied.partition_point(|range| range.first <= *id);
            let range = after.checked_sub(1).and_then(|range| implied.get(range));
            let range = range.filter(|range| *id - range.first < range.count);
            let range = range.ok_or_else(|| self.no_such(*id))?;
            let inside = |id: &&u64| **id >= range.first && **id - range.first < range.count;
            let count = ids[at..].iter().take_while(inside).count();
            let entries: Vec<u64> = ids[at..at + count].iter().map(|id| id - range.first).collect();
            let group = self.forward.group(range.group)?.ok_or_else(|| self.no_such(*id))?;
            if let Some(sources) = sources.as_deref_mut() {
                run_sources(&group, range.run, &entries, worker, sources)?;
            }
            if let Some(destinations) = destinations.as_deref_mut() {
                run_destinations(&group, range.run, &entries, worker, destinations)?;
            }
            at += count;
        }
        Ok(())
    }

    fn implied(&self) -> StorageResult<&[ImpliedIds]> {
        if let Some(known) = self.shared.implied.get() {
            return Ok(known);
        }
        let mut found = Vec::new();
        for group in self.forward.base_groups() {
            let group = group?;
            for (number, run) in group.runs().iter().enumerate() {
                if let RunIds::Implied { first } = run.ids {
                    let count = u64::from(run.entry_count);
                    found.push(ImpliedIds { first, count, group: group.index(), run: number });
                }
            }
        }
        found.sort_unstable_by_key(|range| range.first);
        Ok(self.shared.implied.get_or_init(|| found))
    }

    fn no_such(&self, id: u64) -> crate::storage::StorageError {
        let what = format!("table {}, relationship {id}", self.rows.layout().name);
        Damage("no run has the ends of this relationship").at(&what, crate::storage::page::PageId(0))
    }

    /// As `NodeTable::gather`, by relationship id; the ends can be asked for as columns.
    pub fn gather(
        &self,
        column: ColumnId,
        relationships: &[u64],
        worker: &mut PoolWorker,
        out: &mut VectorBuffer,
    ) -> StorageResult<()> {
        if column != SRC_COLUMN && column != DST_COLUMN {
            return self.rows.gather(column, relationships, worker, out);
        }
        let mut ends = Vec::with_capacity(relationships.len());
        if column == SRC_COLUMN {
            self.endpoints(relationships, worker, Some(&mut ends), None)?;
        } else {
            self.endpoints(relationships, worker, None, Some(&mut ends))?;
        }
        out.extend(&ends);
        Ok(())
    }

    /// As `NodeTable::scanner`, over relationships; the ends can be among the columns, not among the predicates.
    pub fn scanner(
        self: &Arc<Self>,
        columns: &[ColumnId],
        predicates: &[ColumnPredicate],
        options: &ScanOptions,
    ) -> StorageResult<RelScanner> {
        let stored = |column: &&ColumnId| **column != SRC_COLUMN && **column != DST_COLUMN;
        let properties: Vec<ColumnId> = columns.iter().filter(stored).copied().collect();
        Ok(RelScanner {
            rows: self.rows.scanner(&properties, predicates, options)?,
            columns: columns.to_vec(),
            table: Arc::clone(self),
            ends: Ends::default(),
        })
    }
}

/// Appends the source of each entry of a run: the node whose list holds it.
fn run_sources(
    group: &CsrGroup,
    run: usize,
    entries: &[u64],
    worker: &mut PoolWorker,
    out: &mut Vec<u64>,
) -> StorageResult<()> {
    let damaged = || group.error(Damage("an entry lies in no list of its run"));
    let run = group.runs().get(run).ok_or_else(damaged)?;
    let mut cursor = worker.cursor();
    let mut lists: Vec<usize> = Vec::with_capacity(entries.len());
    {
        let view = cursor.view(&run.offsets)?;
        let offsets: &[u32] = try_bytes_as(&view).ok_or_else(damaged)?;
        let mut list = 0usize;
        let consecutive = entries.windows(2).all(|pair| pair[0] + 1 == pair[1]);
        let (mut entry, end) = (entries.first().copied().unwrap_or(0), entries.len());
        while consecutive && lists.len() < end {
            // Lists one after the other: each takes all of its entries.
            let after = |list: usize| offsets.get(list + 1).map(|offset| u64::from(*offset));
            if lists.is_empty() {
                list = offsets.partition_point(|offset| u64::from(*offset) <= entry).saturating_sub(1);
            }
            while after(list).ok_or_else(damaged)? <= entry {
                list += 1;
            }
            let count = (after(list).ok_or_else(damaged)? - entry).min((end - lists.len()) as u64);
            lists.resize(lists.len() + count as usize, list);
            entry += count;
        }
        for entry in entries.iter().skip(lists.len()) {
            let holds = |list: usize| {
                let bounds = offsets.get(list..list + 2);
                bounds.is_some_and(|pair| u64::from(pair[0]) <= *entry && *entry < u64::from(pair[1]))
            };
            if !holds(list) {
                list = offsets.partition_point(|offset| u64::from(*offset) <= *entry).saturating_sub(1);
                if !holds(list) {
                    return Err(damaged());
                }
            }
            lists.push(list);
        }
    }
    match &run.nodes {
        None => out.extend(lists.iter().map(|list| group.first_node() + *list as u64)),
        Some(nodes) => {
            let view = cursor.view(nodes)?;
            let nodes: &[u16] = try_bytes_as(&view).ok_or_else(damaged)?;
            for list in lists {
                out.push(group.first_node() + u64::from(*nodes.get(list).ok_or_else(damaged)?));
            }
        }
    }
    Ok(())
}

fn run_destinations(
    group: &CsrGroup,
    run: usize,
    entries: &[u64],
    worker: &mut PoolWorker,
    out: &mut Vec<u64>,
) -> StorageResult<()> {
    let damaged = || group.error(Damage("neighbours are not aligned"));
    let run = group.runs().get(run).ok_or_else(damaged)?;
    let mut cursor = worker.cursor();
    for piece in entries.chunk_by(|a, b| a + 1 == *b).flat_map(|same| same.chunks(super::PIECE_ENTRIES)) {
        let (start, end) = (piece[0], piece[0] + piece.len() as u64);
        let bytes = cursor.bytes(&run.neighbours, start * 4..end * 4)?;
        let neighbours: &[u32] = try_bytes_as(bytes).ok_or_else(damaged)?;
        out.extend(neighbours.iter().map(|node| u64::from(*node)));
    }
    Ok(())
}

/// The ends of single rows are looked up if fewer than this part of a batch is left.
const FEW_ROWS: usize = 8;

/// Reads morsels of relationships.
pub struct RelScanner {
    rows: NodeScanner,
    table: Arc<RelTable>,
    columns: Vec<ColumnId>,
    ends: Ends,
}

/// The ends of the relationships of one batch.
#[derive(Default)]
struct Ends {
    ids: Vec<u64>,
    rows_wanted: Vec<u32>,
    sources: Vec<u64>,
    destinations: Vec<u64>,
}

impl RelScanner {
    /// Begins a morsel: rows `rows` of a group of relationships.
    pub fn open(&mut self, group: usize, rows: Range<u32>) -> StorageResult<()> {
        self.rows.open(group, rows)
    }

    /// The next relationships of the morsel; `first_offset` is the id of row 0.
    pub fn next<'s>(&'s mut self, worker: &mut PoolWorker) -> StorageResult<Option<ScanBatch<'s>>> {
        let Some(mut batch) = self.rows.next(worker)? else { return Ok(None) };
        let wants = [SRC_COLUMN, DST_COLUMN].map(|column| self.columns.contains(&column));
        if wants != [false, false] {
            self.ends.read(&self.table, &batch, wants, worker)?;
            let (sources, destinations): (&'s [u64], &'s [u64]) =
                (&self.ends.sources, &self.ends.destinations);
            let mut properties = batch.columns.into_iter();
            let column = |id: &ColumnId| match *id {
                SRC_COLUMN => ValueVector::flat(Values::U64(sources)),
                DST_COLUMN => ValueVector::flat(Values::U64(destinations)),
                // The row scan was asked for the other columns in this order.
                _ => properties.next().unwrap_or_else(ValueVector::null),
            };
            batch.columns = self.columns.iter().map(column).collect();
        }
        Ok(Some(batch))
    }

    /// Gives all pages back until the next call of `next`.
    pub fn rest(&mut self) {
        self.rows.rest();
    }

    /// What the scan has met so far.
    pub fn counters(&self) -> ScanCounters {
        self.rows.counters()
    }
}

impl Ends {
    /// Reads the ends of the rows that are left; where few are, those of the others are not looked for.
    fn read(
        &mut self,
        table: &RelTable,
        batch: &ScanBatch<'_>,
        wants: [bool; 2],
        worker: &mut PoolWorker,
    ) -> StorageResult<()> {
        let Ends { ids, rows_wanted, sources, destinations } = self;
        [&mut *ids, &mut *sources, &mut *destinations].into_iter().for_each(Vec::clear);
        rows_wanted.clear();
        let few = batch.selection.count(batch.length) * FEW_ROWS < batch.length;
        if few {
            batch.selection.indices(batch.length, rows_wanted);
            ids.extend(rows_wanted.iter().map(|row| batch.first_offset + u64::from(*row)));
        } else {
            ids.extend(batch.first_offset..batch.first_offset + batch.length as u64);
        }
        let (wanted_sources, wanted_destinations) =
            (wants[0].then_some(&mut *sources), wants[1].then_some(&mut *destinations));
        table.endpoints(ids, worker, wanted_sources, wanted_destinations)?;
        if few {
            for ends in [sources, destinations] {
                let found = std::mem::replace(ends, vec![0; batch.length]);
                rows_wanted.iter().zip(found).for_each(|(row, end)| ends[*row as usize] = end);
            }
        }
        Ok(())
    }
}
