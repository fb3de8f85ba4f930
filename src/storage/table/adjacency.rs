//! The adjacency of a relationship table in one direction: lists by node, and windows of lists for those who read
//! all of them.

use std::ops::Range;
use std::sync::Arc;

use parking_lot::RwLock;
use rustc_hash::FxHashMap;

use super::csr_group::{CsrGroup, bounds};
use super::csr_run::RunIds;
use super::group_page::GroupKind;
use super::list_overlay::ListOverlay;
use super::node_table::{GroupCache, GroupPages};
use crate::storage::StorageResult;
use crate::storage::buffer_pool::{
    Admission, BufferPool, CURSOR_BLOCKS_MAX, Cursor, PoolWorker, SegmentGuard, try_bytes_as,
};
use crate::storage::column::Encoding;
use crate::storage::column::bytes::Damage;
use crate::storage::column::encoding::{bit_packing, fixed};
use crate::storage::delta::{AdjacencyDelta, RowSet, SharedMap, TableDelta};
use crate::storage::page::ExtentRef;
use crate::types::{NODE_GROUP_ROWS, TableId};

/// Along or against the relationships.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Direction {
    /// From source to destination.
    Forward,
    /// From destination to source.
    Backward,
}

/// All lists of one direction.
pub struct Adjacency {
    direction: Direction,
    table: TableId,
    name: String,
    groups: GroupCache<CsrGroup>,
    /// Changes over the groups' pages, oldest first.
    levels: Vec<Arc<TableDelta>>,
    /// Whether both ends are in one table.
    loops: bool,
    /// Groups that levels change, as far as they were asked for.
    changed: RwLock<FxHashMap<u64, Arc<CsrGroup>>>,
    pool: BufferPool,
}

impl Adjacency {
    /// A view of one direction of the table called `name`. Nothing is read yet.
    pub fn new(
        direction: Direction,
        table: TableId,
        name: &str,
        pages: Arc<dyn GroupPages>,
        pool: BufferPool,
    ) -> Adjacency {
        Self::over(direction, table, name, GroupCache::new(pages), pool)
    }

    pub(super) fn over(
        direction: Direction,
        table: TableId,
        name: &str,
        groups: GroupCache<CsrGroup>,
        pool: BufferPool,
    ) -> Adjacency {
        let (levels, changed) = (Vec::new(), RwLock::default());
        Adjacency { direction, table, name: name.to_owned(), groups, levels, loops: false, changed, pool }
    }

    /// The same lists under levels of changes, oldest first. `loops` says whether both ends are in one table.
    pub fn with_levels(self, levels: Vec<Arc<TableDelta>>, loops: bool) -> Adjacency {
        Adjacency { levels, loops, ..self }
    }

    fn changes<'l>(&self, level: &'l TableDelta) -> &'l SharedMap<AdjacencyDelta> {
        match self.direction {
            Direction::Forward => level.forward(),
            Direction::Backward => level.backward(),
        }
    }

    /// Which way.
    pub fn direction(&self) -> Direction {
        self.direction
    }

    /// Group numbers are below this.
    pub fn group_count(&self) -> usize {
        let last = self.levels.iter().filter_map(|level| self.changes(level).last_key()).max();
        self.groups.len().max(last.map_or(0, |last| last as usize + 1))
    }

    /// The pool that lists are read through.
    pub fn pool(&self) -> &BufferPool {
        &self.pool
    }

    /// The lists of a group; none where no node of it has an edge.
    pub fn group(&self, group: u64) -> StorageResult<Option<Arc<CsrGroup>>> {
        let kind = match self.direction {
            Direction::Forward => GroupKind::Forward,
            Direction::Backward => GroupKind::Backward,
        };
        let decode = |extent: &ExtentRef, bytes: &[u8]| {
            CsrGroup::decode((self.table, &self.name), kind, group, extent, bytes, &self.pool)
        };
        let base = self.groups.get(group, decode)?;
        if self.levels.is_empty() && base.as_ref().is_none_or(|base| !base.has_few_changes()) {
            return Ok(base);
        }
        self.under_levels(group, base)
    }

    /// A group under its small runs, where they touch few nodes, and under levels.
    fn under_levels(&self, group: u64, base: Option<Arc<CsrGroup>>) -> StorageResult<Option<Arc<CsrGroup>>> {
        if let Some(known) = self.changed.read().get(&group) {
            return Ok(Some(Arc::clone(known)));
        }
        let changes = |level: &Arc<TableDelta>| self.changes(level).get(group).cloned();
        let mut levels: Vec<Arc<AdjacencyDelta>> = self.levels.iter().filter_map(changes).collect();
        let few = base.as_ref().filter(|base| base.has_few_changes());
        if levels.is_empty() && few.is_none() {
            return Ok(base);
        }
        let mut loops = self.loops;
        let made = match few {
            Some(base) => {
                let (large, small) = base.large_and_small()?;
                levels.insert(0, Arc::clone(small));
                loops |= base.runs().iter().any(|run| run.self_loops > 0);
                CsrGroup::over((base, large), levels, loops)
            }
            None => {
                let base = base.unwrap_or_else(|| Arc::new(CsrGroup::empty(group, &self.name, &self.pool)));
                CsrGroup::over((&base, &base), levels, loops)
            }
        };
        Ok(Some(Arc::clone(self.changed.write().entry(group).or_insert(Arc::new(made)))))
    }

    /// All groups that have edges.
    pub fn groups(&self) -> impl Iterator<Item = StorageResult<Arc<CsrGroup>>> {
        (0..self.group_count() as u64).filter_map(|group| self.group(group).transpose())
    }

    /// All edges; reads every group page at the first call.
    pub fn edge_count(&self) -> StorageResult<u64> {
        self.groups().map(|group| group?.entry_count()).sum()
    }

    /// Edges from a node to itself.
    pub fn self_loops(&self) -> StorageResult<u64> {
        self.groups().map(|group| group?.self_loops()).sum()
    }

    /// At least the length of the longest list.
    pub fn max_degree(&self) -> StorageResult<u64> {
        let mut most = 0;
        for group in self.groups() {
            most = most.max(group?.max_degree());
        }
        Ok(most)
    }

    /// Appends where the lists of `nodes` begin in their groups' entries, and how long they are.
    pub fn lists(
        &self,
        nodes: &[u64],
        worker: &mut PoolWorker,
        positions: &mut Vec<u64>,
        lengths: &mut Vec<u32>,
    ) -> StorageResult<()> {
        positions.reserve(nodes.len());
        lengths.reserve(nodes.len());
        for same in nodes.chunk_by(|a, b| a / NODE_GROUP_ROWS == b / NODE_GROUP_ROWS) {
            match self.group(same[0] / NODE_GROUP_ROWS)? {
                Some(group) => group_lists(&group, same, worker, positions, lengths)?,
                None => {
                    positions.resize(positions.len() + same.len(), 0);
                    lengths.resize(lengths.len() + same.len(), 0);
                }
            }
        }
        Ok(())
    }

    /// Position and length of one list.
    pub fn list(&self, node: u64, cursor: &mut Cursor<'_>) -> StorageResult<(u64, u32)> {
        match self.group(node / NODE_GROUP_ROWS)? {
            Some(group) => group.list((node % NODE_GROUP_ROWS) as u32, cursor),
            None => Ok((0, 0)),
        }
    }

    /// Whether there is an edge to `far`; the first such entry's position in the group if there is one.
    pub fn find_edge(&self, node: u64, far: u64, cursor: &mut Cursor<'_>) -> StorageResult<Option<u64>> {
        let Some(group) = self.group(node / NODE_GROUP_ROWS)? else { return Ok(None) };
        let Ok(far) = u32::try_from(far) else { return Ok(None) };
        group.find_edge((node % NODE_GROUP_ROWS) as u32, far, cursor)
    }

    /// Whether there is an edge from `node` to `far` in this direction.
    pub fn contains_edge(&self, node: u64, far: u64, cursor: &mut Cursor<'_>) -> StorageResult<bool> {
        let Some(group) = self.group(node / NODE_GROUP_ROWS)? else { return Ok(false) };
        let Ok(far) = u32::try_from(far) else { return Ok(false) };
        group.contains_edge((node % NODE_GROUP_ROWS) as u32, far, cursor)
    }

    /// Reads all lists in order.
    pub fn scanner(self: &Arc<Self>) -> AdjacencyScanner {
        AdjacencyScanner {
            adjacency: Arc::clone(self),
            group: None,
            nodes: 0..0,
            offsets: None,
            entries: None,
            ids: None,
            touched: 0..0,
            merged: TouchedLists::default(),
        }
    }
}

fn group_lists(
    group: &CsrGroup,
    nodes: &[u64],
    worker: &mut PoolWorker,
    positions: &mut Vec<u64>,
    lengths: &mut Vec<u32>,
) -> StorageResult<()> {
    let mut cursor = worker.cursor();
    if group.has_levels() {
        for node in nodes {
            let (position, length) = group.list((node % NODE_GROUP_ROWS) as u32, &mut cursor)?;
            positions.push(position);
            lengths.push(length);
        }
        return Ok(());
    }
    let run = group.lists()?;
    let mut push = |found: Result<(u32, u32), Damage>| {
        let (start, end) = found.map_err(|damage| group.error(damage))?;
        positions.push(u64::from(start));
        lengths.push(end - start);
        StorageResult::Ok(())
    };
    let blocks = run.offsets.block_count();
    if blocks <= CURSOR_BLOCKS_MAX && (blocks as usize) < nodes.len().max(2) {
        let view = cursor.view(&run.offsets)?;
        for node in nodes {
            let list = (node % NODE_GROUP_ROWS) as usize;
            push(if list < run.node_count as usize { bounds(&view, list) } else { Ok((0, 0)) })?;
        }
        return Ok(());
    }
    for node in nodes {
        let list = node % NODE_GROUP_ROWS;
        if list >= u64::from(run.node_count) {
            push(Ok((0, 0)))?;
            continue;
        }
        let bytes = cursor.bytes(&run.offsets, list * 4..list * 4 + 8)?;
        push(bounds(bytes, 0))?;
    }
    Ok(())
}

/// Entries that one window holds unless a single list is longer.
const WINDOW_ENTRIES: u32 = 64 * 1024;

/// Reads the lists of a range of nodes, window by window.
pub struct AdjacencyScanner {
    adjacency: Arc<Adjacency>,
    group: Option<Arc<CsrGroup>>,
    nodes: Range<u32>,
    offsets: Option<SegmentGuard>,
    entries: Option<SegmentGuard>,
    ids: Option<SegmentGuard>,
    /// Nodes of the morsel among which those that changes touch are still to come.
    touched: Range<u32>,
    merged: TouchedLists,
}

/// The lists of some nodes that changes touch, one after the other.
#[derive(Default)]
struct TouchedLists {
    nodes: Vec<u16>,
    offsets: Vec<u32>,
    neighbours: Vec<u32>,
    ids: Vec<u64>,
}

/// Lists of some nodes, lent until the scanner's next call.
pub struct AdjacencyWindow<'s> {
    nodes: WindowNodes<'s>,
    /// One more than lists: list `i` is entries `offsets[i] - offsets[0]..offsets[i + 1] - offsets[0]` of
    /// `neighbours`.
    offsets: &'s [u32],
    /// The far ends of all lists, and of some that changes have made invalid: `for_each_list` says which entries count.
    pub neighbours: &'s [u32],
    ids: WindowIds<'s>,
}

/// Whose lists a window has.
enum WindowNodes<'s> {
    /// Consecutive nodes, from the one given on, but for those that are touched, counted from the second number.
    From(u64, u32, Option<&'s RowSet>),
    /// The nodes listed, counted from the first of the group.
    Listed(u64, &'s [u16]),
}

enum WindowIds<'s> {
    Implied { first: u64 },
    Packed { base: u64, bytes: &'s [u8], first: usize, count: usize, width: u8, rows: Range<usize> },
    Plain { base: u64, distances: &'s [u32] },
    Listed(&'s [u64]),
}

impl AdjacencyWindow<'_> {
    /// Calls `visit` with each list: its node and its entries among `neighbours`. Each node of a morsel comes once, in
    /// rising order but for those that changes touch, which come last.
    #[inline]
    pub fn for_each_list(&self, mut visit: impl FnMut(u64, Range<usize>)) {
        let origin = self.offsets.first().copied().unwrap_or(0);
        let entries = |pair: &[u32]| (pair[0] - origin) as usize..(pair[1] - origin) as usize;
        let lists = self.offsets.windows(2);
        match self.nodes {
            WindowNodes::From(first, _, None) => {
                (first..).zip(lists).for_each(|(node, pair)| visit(node, entries(pair)));
            }
            WindowNodes::From(first, local, Some(touched)) => {
                for (at, pair) in lists.enumerate() {
                    if !touched.contains((local as usize + at) as u16) {
                        visit(first + at as u64, entries(pair));
                    }
                }
            }
            WindowNodes::Listed(first, nodes) => {
                nodes
                    .iter()
                    .zip(lists)
                    .for_each(|(node, pair)| visit(first + u64::from(*node), entries(pair)));
            }
        }
    }

    /// Appends the relationship ids of all entries.
    pub fn append_ids(&self, out: &mut Vec<u64>) -> Result<(), Damage> {
        match &self.ids {
            WindowIds::Implied { first } => {
                out.extend((0..self.neighbours.len() as u64).map(|entry| first + entry))
            }
            WindowIds::Listed(ids) => out.extend_from_slice(ids),
            WindowIds::Plain { base, distances } => {
                out.extend(distances.iter().map(|distance| base + u64::from(*distance)));
            }
            WindowIds::Packed { base, bytes, first, count, width, rows } => {
                let base = *base;
                let make = move |distance: u64| base.wrapping_add(distance);
                fixed::unpack(bytes, *first, *count, *width, rows.clone(), out, make)?;
            }
        }
        Ok(())
    }
}

impl AdjacencyScanner {
    /// Begins a morsel: nodes `nodes` of a group, counted from its first.
    pub fn open(&mut self, group: u64, nodes: Range<u32>) -> StorageResult<()> {
        self.group = self.adjacency.group(group)?;
        let count = match &self.group {
            Some(group) => group.node_count(),
            None => 0,
        };
        self.nodes = nodes.start.min(count)..nodes.end.min(count);
        self.touched = match self.group.as_ref().is_some_and(|group| group.has_levels()) {
            true => self.nodes.clone(),
            false => 0..0,
        };
        Ok(())
    }

    /// The next lists; none at the end of the morsel. `with_ids` says whether ids will be asked for.
    pub fn next(
        &mut self,
        worker: &mut PoolWorker,
        with_ids: bool,
    ) -> StorageResult<Option<AdjacencyWindow<'_>>> {
        let known = match &self.group {
            Some(group) => group.lists()?.node_count,
            None => return Ok(None),
        };
        let untouched = self.nodes.start..self.nodes.end.min(known);
        if untouched.is_empty() {
            return self.next_touched(worker, with_ids);
        }
        let Some(group) = self.group.as_deref() else { return Ok(None) };
        let run = group.lists()?;
        let pool = &self.adjacency.pool;
        let lend = |segment, range: Range<usize>| {
            pool.lend(segment, range.start as u64..range.end as u64, Admission::ReadAhead)
        };
        let start = untouched.start as usize;
        let offsets = &*self.offsets.insert(lend(&run.offsets, start * 4..(untouched.end as usize + 1) * 4)?);
        let unaligned = || group.error(Damage("an adjacency run is not aligned"));
        let offsets: &[u32] = try_bytes_as(offsets).ok_or_else(unaligned)?;
        if offsets.windows(2).any(|pair| pair[0] > pair[1]) {
            return Err(group.error(Damage("adjacency offsets do not rise")));
        }
        let first = offsets.first().copied().unwrap_or(0);
        let fitting = offsets.partition_point(|offset| offset - first <= WINDOW_ENTRIES);
        let lists = fitting.saturating_sub(1).max(1);
        let offsets = offsets.get(..=lists).ok_or_else(unaligned)?;
        let rows = first as usize..offsets[lists] as usize;
        let entries = &*self.entries.insert(lend(&run.neighbours, rows.start * 4..rows.end * 4)?);
        let neighbours: &[u32] = try_bytes_as(entries).ok_or_else(unaligned)?;
        let ids = match &run.ids {
            RunIds::Implied { first } => WindowIds::Implied { first: first + rows.start as u64 },
            _ if !with_ids => WindowIds::Plain { base: 0, distances: &[] },
            RunIds::Stored { base, encoding: Encoding::BitPacked { base: _, width }, bytes } => {
                let count = run.entry_count as usize;
                let encoding = Encoding::BitPacked { base: 0, width: *width };
                let (first, range) = fixed::byte_range(&encoding, 8, count, &rows);
                debug_assert!(first % bit_packing::BLOCK_VALUES == 0);
                let bytes = &*self.ids.insert(lend(bytes, range)?);
                WindowIds::Packed { base: *base, bytes, first, count, width: *width, rows }
            }
            RunIds::Stored { base, bytes, .. } => {
                let bytes = &*self.ids.insert(lend(bytes, rows.start * 4..rows.end * 4)?);
                WindowIds::Plain { base: *base, distances: try_bytes_as(bytes).ok_or_else(unaligned)? }
            }
        };
        self.nodes.start += lists as u32;
        let touched = group.overlay().map(ListOverlay::touched);
        let touched = touched.filter(|touched| touched.touches(&(start..start + lists)));
        let nodes = WindowNodes::From(group.first_node() + start as u64, start as u32, touched);
        Ok(Some(AdjacencyWindow { nodes, offsets, neighbours, ids }))
    }

    /// The lists of touched nodes that are still to come.
    fn next_touched(
        &mut self,
        worker: &mut PoolWorker,
        with_ids: bool,
    ) -> StorageResult<Option<AdjacencyWindow<'_>>> {
        let Some(group) = self.group.as_deref() else { return Ok(None) };
        let Some(overlay) = group.overlay() else { return Ok(None) };
        let mut cursor = worker.cursor();
        let TouchedLists { nodes, offsets, neighbours, ids } = &mut self.merged;
        nodes.clear();
        neighbours.clear();
        ids.clear();
        offsets.clear();
        offsets.push(0);
        while neighbours.len() < WINDOW_ENTRIES as usize && !self.touched.is_empty() {
            let next = overlay.touched().next_from(self.touched.start).map(u32::from);
            let Some(node) = next.filter(|node| *node < self.touched.end) else {
                self.touched.start = self.touched.end;
                break;
            };
            // Nodes of a group are below 2¹⁶.
            let list = overlay.list(node as u16, &mut cursor)?;
            nodes.push(node as u16);
            neighbours.extend_from_slice(&list.neighbours);
            if with_ids {
                ids.extend_from_slice(&list.ids);
            }
            offsets.push(neighbours.len() as u32);
            self.touched.start = node + 1;
        }
        if nodes.is_empty() {
            return Ok(None);
        }
        let merged = &self.merged;
        Ok(Some(AdjacencyWindow {
            nodes: WindowNodes::Listed(group.first_node(), &merged.nodes),
            offsets: &merged.offsets,
            neighbours: &merged.neighbours,
            ids: WindowIds::Listed(&merged.ids),
        }))
    }
}
