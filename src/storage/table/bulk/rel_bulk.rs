//! Edges become adjacency runs in both directions and rows in forward order. Ends are kept as pairs of u32 until
//! all are there; they are sorted without comparing them all, and freed as soon as the next form exists.

use std::sync::Arc;

use parking_lot::{Mutex, RwLock};

use super::node_bulk::{RowGroup, StagedRows, collect};
use super::runs::{
    RunPlan, StagedGroup, count_far_slices, each_reversed, for_each_parallel, slices_for, sort_edges,
    write_runs,
};
use super::sort::{PairSink, SortedSlice, count_slices};
use crate::storage::column::chunk_writer::WriteOptions;
use crate::storage::table::group_page::{ExtentSink, GroupKind, GroupPage};
use crate::storage::table::node_table::TableLayout;
use crate::storage::{StorageError, StorageResult};
use crate::types::NODE_GROUP_ROWS;
use crate::vector::{ValueVector, VectorBuffer};

/// Gives the group page that a new run joins; none where the group has no edges yet.
pub type ExistingRuns<'a> = dyn Fn(GroupKind, u32) -> StorageResult<Option<GroupPage>> + Sync + 'a;

/// Where the edges of a load go.
#[derive(Debug, Clone)]
pub struct RelBulkTarget {
    /// The relationship table and its property columns.
    pub layout: Arc<TableLayout>,
    /// Offsets of source nodes are below this.
    pub source_rows: u64,
    /// Offsets of destination nodes are below this.
    pub destination_rows: u64,
    /// Whether both ends are in one table, so that an edge can be a self-loop.
    pub same_table: bool,
    /// Relationship ids of the table are below this before the load.
    pub row_bound: u64,
}

/// Relationships that were written and wait for their commit.
#[derive(Debug, Clone, Default)]
pub struct StagedRels {
    /// Groups of property rows, one for every 65,536 relationships.
    pub rows: StagedRows,
    /// New versions of adjacency groups, by group of the source.
    pub forward: Vec<StagedGroup>,
    /// The same by group of the destination.
    pub backward: Vec<StagedGroup>,
}

/// Relationships that need no pages of their own.
pub struct SmallRels {
    pub sources: Vec<u64>,
    pub targets: Vec<u64>,
    pub properties: Vec<VectorBuffer>,
}

/// Loads relationships.
pub struct RelBulkLoad<'s> {
    sink: &'s dyn ExtentSink,
    target: RelBulkTarget,
    options: WriteOptions,
    edges: Mutex<Edges>,
    stop: &'s StopSign<'s>,
}

/// Whether nobody wants the load any more.
pub type StopSign<'a> = dyn Fn() -> bool + Sync + 'a;

#[derive(Default)]
struct Edges {
    chunks: Vec<(Vec<u32>, Vec<u32>)>,
    count: u64,
    properties: Vec<VectorBuffer>,
}

/// Edges of one stored chunk.
const CHUNK_EDGES: usize = 1 << 18;

impl<'s> RelBulkLoad<'s> {
    /// Begins a load; its relationship ids start at the next whole group.
    pub fn begin(sink: &'s dyn ExtentSink, target: RelBulkTarget, options: WriteOptions) -> Self {
        let columns = target.layout.columns.iter();
        let properties = columns.map(|column| VectorBuffer::new(column.data_type.clone())).collect();
        let edges = Mutex::new(Edges { properties, ..Edges::default() });
        RelBulkLoad { sink, target, options, edges, stop: &|| false }
    }

    /// The same, but `finish` ends with `StorageError::Interrupted` once `stop` says so.
    pub fn stopped_by(self, stop: &'s StopSign<'s>) -> Self {
        RelBulkLoad { stop, ..self }
    }

    /// The id of the load's first relationship.
    pub fn first_id(&self) -> u64 {
        self.target.row_bound.div_ceil(NODE_GROUP_ROWS) * NODE_GROUP_ROWS
    }

    /// Appends edges by the offsets of their ends, with one vector per property in the layout's order. Threads take
    /// turns; the order decides between equal edges only.
    pub fn append(
        &self,
        sources: &[u64],
        destinations: &[u64],
        properties: &[ValueVector<'_>],
    ) -> StorageResult<()> {
        let count = sources.len().min(destinations.len());
        let known = |nodes: &[u64], rows: u64| nodes.iter().all(|node| *node < rows);
        let limit = self.target.source_rows.max(self.target.destination_rows);
        if !known(sources, self.target.source_rows) || !known(destinations, self.target.destination_rows) {
            return Err(StorageError::Limit { what: "the offset of an edge's end".to_owned(), limit });
        }
        if limit > u64::from(u32::MAX) {
            let what = "the nodes of a table that relationships are loaded for".to_owned();
            return Err(StorageError::Limit { what, limit: u64::from(u32::MAX) });
        }
        let mut edges = self.edges.lock();
        edges.add_count(count)?;
        for (from, to) in sources.chunks(CHUNK_EDGES).zip(destinations.chunks(CHUNK_EDGES)) {
            let chunk = edges.room_for(from.len());
            // Both were compared with bounds that fit 32 bits.
            chunk.0.extend(from.iter().map(|node| *node as u32));
            chunk.1.extend(to.iter().map(|node| *node as u32));
        }
        for (buffer, vector) in edges.properties.iter_mut().zip(properties) {
            buffer.append_range(vector, 0, count);
        }
        Ok(())
    }

    /// As `append`, for ends that are u32 already and need no copy.
    pub fn append_owned(
        &self,
        sources: Vec<u32>,
        destinations: Vec<u32>,
        properties: &[ValueVector<'_>],
    ) -> StorageResult<()> {
        let count = sources.len();
        let known = |nodes: &[u32], rows: u64| nodes.iter().max().is_none_or(|most| u64::from(*most) < rows);
        let ends_known = known(&sources, self.target.source_rows)
            && known(&destinations, self.target.destination_rows)
            && destinations.len() == count;
        if !ends_known {
            let limit = self.target.source_rows.max(self.target.destination_rows);
            return Err(StorageError::Limit { what: "the offset of an edge's end".to_owned(), limit });
        }
        let mut edges = self.edges.lock();
        edges.add_count(count)?;
        edges.chunks.push((sources, destinations));
        for (buffer, vector) in edges.properties.iter_mut().zip(properties) {
            buffer.append_range(vector, 0, count);
        }
        Ok(())
    }

    /// All relationships, if they are fewer than `limit` and than a group of rows.
    pub fn take_small(&self, limit: u64) -> Option<SmallRels> {
        let mut edges = self.edges.lock();
        if edges.count >= limit.clamp(1, NODE_GROUP_ROWS) {
            return None;
        }
        edges.count = 0;
        let fresh = edges.properties.iter().map(|buffer| VectorBuffer::new(buffer.data_type().clone()));
        let fresh = fresh.collect();
        let properties = std::mem::replace(&mut edges.properties, fresh);
        let chunks = std::mem::take(&mut edges.chunks);
        let wide = |nodes: &Vec<u32>| nodes.iter().map(|node| u64::from(*node)).collect::<Vec<u64>>();
        let sources = chunks.iter().flat_map(|(from, _)| wide(from)).collect();
        let targets = chunks.iter().flat_map(|(_, to)| wide(to)).collect();
        Some(SmallRels { sources, targets, properties })
    }

    /// Bytes held, for the memory limit.
    pub fn bytes(&self) -> usize {
        let edges = self.edges.lock();
        let ends: usize = edges.chunks.iter().map(|(from, to)| (from.capacity() + to.capacity()) * 4).sum();
        ends + edges.properties.iter().map(VectorBuffer::bytes).sum::<usize>()
    }

    /// Sorts and writes everything on up to `threads` threads. `existing` gives the pages that new runs join.
    pub fn finish(self, existing: &ExistingRuns<'_>, threads: usize) -> StorageResult<StagedRels> {
        let first_id = self.first_id();
        let RelBulkLoad { sink, target, options, edges, stop } = self;
        let wanted = || if stop() { Err(StorageError::Interrupted) } else { Ok(()) };
        let Edges { chunks, count, properties } = edges.into_inner();
        let threads = threads.max(1);
        let mut plan = RunPlan {
            table: target.layout.id,
            kind: GroupKind::Forward,
            node_rows: target.source_rows,
            same_table: target.same_table,
            first_id,
            existing,
        };
        let mut slices = sort_forward(chunks, target.source_rows, threads, !properties.is_empty(), stop);
        wanted()?;
        let forward = write_runs(&plan, &slices, sink, threads)?;
        let order: Vec<Vec<u32>> = slices.iter_mut().map(|slice| std::mem::take(&mut slice.names)).collect();
        let counts = count_far_slices(&slices, slices_for(target.destination_rows));
        let slices = RwLock::new(slices);
        let each = |sink: &mut PairSink<'_>| each_reversed(&slices.read(), sink, stop);
        let reversed = sort_edges(&counts, threads, true, true, stop, &each, || slices.write().clear());
        wanted()?;
        plan.kind = GroupKind::Backward;
        plan.node_rows = target.destination_rows;
        let backward = write_runs(&plan, &reversed, sink, threads)?;
        drop(reversed);
        let rows = RowWriter { sink, layout: &target.layout, options: &options, first_id, count };
        let rows = rows.write(&properties, &order.concat(), threads)?;
        Ok(StagedRels { rows, forward, backward })
    }
}

impl Edges {
    fn add_count(&mut self, count: usize) -> StorageResult<()> {
        self.count += count as u64;
        if self.count > u64::from(u32::MAX) {
            let what = "the relationships of one load".to_owned();
            return Err(StorageError::Limit { what, limit: u64::from(u32::MAX) });
        }
        Ok(())
    }

    fn room_for(&mut self, count: usize) -> &mut (Vec<u32>, Vec<u32>) {
        let fits = self.chunks.last().is_some_and(|(from, _)| from.len() + count <= CHUNK_EDGES);
        if !fits {
            self.chunks.push((Vec::with_capacity(CHUNK_EDGES), Vec::with_capacity(CHUNK_EDGES)));
        }
        let last = self.chunks.len() - 1;
        &mut self.chunks[last]
    }
}

fn sort_forward(
    chunks: Vec<(Vec<u32>, Vec<u32>)>,
    rows: u64,
    threads: usize,
    names: bool,
    stop: &StopSign<'_>,
) -> Vec<SortedSlice> {
    let counts = count_slices(chunks.iter().map(|(from, _)| from.as_slice()), slices_for(rows));
    let chunks = RwLock::new(chunks);
    sort_edges(
        &counts,
        threads,
        false,
        names,
        stop,
        &|sink| chunks.read().iter().take_while(|_| !stop()).for_each(|(from, to)| sink(from, to)),
        || *chunks.write() = Vec::new(),
    )
}

/// Writes the property rows in forward order.
struct RowWriter<'a> {
    sink: &'a dyn ExtentSink,
    layout: &'a TableLayout,
    options: &'a WriteOptions,
    first_id: u64,
    count: u64,
}

impl RowWriter<'_> {
    /// `order` names the input row of each relationship.
    fn write(&self, properties: &[VectorBuffer], order: &[u32], threads: usize) -> StorageResult<StagedRows> {
        let groups = self.count.div_ceil(NODE_GROUP_ROWS) as usize;
        let written = for_each_parallel(groups, threads, |group| {
            let start = group * NODE_GROUP_ROWS as usize;
            let rows = (self.count as usize - start).min(NODE_GROUP_ROWS as usize);
            let mut columns = Vec::with_capacity(properties.len());
            for buffer in properties {
                let mut column = VectorBuffer::new(buffer.data_type().clone());
                column.append_rows(&buffer.vector(), order.get(start..start + rows).unwrap_or_default());
                columns.push(column);
            }
            let vectors = self.layout.columns.iter().zip(&columns);
            let vectors =
                vectors.map(|(column, buffer)| (column.id, column.data_type.clone(), buffer.vector()));
            let number = self.first_id / NODE_GROUP_ROWS + group as u64;
            let place =
                RowGroup { table: self.layout.id, kind: GroupKind::Relationships, group: number, rows };
            place.write(vectors, self.sink, self.options)
        })?;
        Ok(collect(written, self.first_id))
    }
}
