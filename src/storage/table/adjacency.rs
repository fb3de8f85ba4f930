//! The adjacency of a relationship table in one direction: lists by node, and windows of lists for those who read
//! all of them.

use std::ops::Range;
use std::sync::Arc;

use parking_lot::RwLock;
use rustc_hash::FxHashMap;

use super::csr_group::{CsrGroup, bounds};
use super::csr_run::RunIds;
use super::group_page::GroupKind;
use super::node_table::{GroupCache, GroupPages};
use crate::storage::StorageResult;
use crate::storage::buffer_pool::{
    Admission, BufferPool, CURSOR_BLOCKS_MAX, Cursor, PoolWorker, SegmentGuard, try_bytes_as,
};
use crate::storage::column::Encoding;
use crate::storage::column::bytes::Damage;
use crate::storage::column::encoding::{bit_packing, fixed};
use crate::storage::delta::{AdjacencyDelta, SharedMap, TableDelta};
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
        if self.levels.is_empty() {
            return Ok(base);
        }
        self.under_levels(group, base)
    }

    fn under_levels(&self, group: u64, base: Option<Arc<CsrGroup>>) -> StorageResult<Option<Arc<CsrGroup>>> {
        let changes = |level: &Arc<TableDelta>| self.changes(level).get(group).cloned();
        let levels: Vec<Arc<AdjacencyDelta>> = self.levels.iter().filter_map(changes).collect();
        if levels.is_empty() {
            return Ok(base);
        }
        if let Some(known) = self.changed.read().get(&group) {
            return Ok(Some(Arc::clone(known)));
        }
        let base = base.unwrap_or_else(|| Arc::new(CsrGroup::empty(group, &self.name, &self.pool)));
        let made = Arc::new(CsrGroup::over(&base, levels, self.loops));
        Ok(Some(Arc::clone(self.changed.write().entry(group).or_insert(made))))
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
            single: [0; 2],
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
    /// The bounds of the list of a touched node, which has a window to itself.
    single: [u32; 2],
}

/// Lists of consecutive nodes, lent until the scanner's next call.
pub struct AdjacencyWindow<'s> {
    /// The node of list 0.
    pub first_node: u64,
    /// One more than lists: list `i` is entries `offsets[i] - offsets[0]..offsets[i + 1] - offsets[0]` of
    /// `neighbours`. Only differences mean something.
    pub offsets: &'s [u32],
    /// The far ends of all lists.
    pub neighbours: &'s [u32],
    ids: WindowIds<'s>,
}

enum WindowIds<'s> {
    Implied { first: u64 },
    Packed { base: u64, bytes: &'s [u8], first: usize, count: usize, width: u8, rows: Range<usize> },
    Plain { base: u64, distances: &'s [u32] },
    Listed(&'s [u64]),
}

impl AdjacencyWindow<'_> {
    /// Lists in the window.
    pub fn list_count(&self) -> usize {
        self.offsets.len().saturating_sub(1)
    }

    /// The id of the first entry when ids follow each other; the others count up from it.
    pub fn implied_ids(&self) -> Option<u64> {
        match self.ids {
            WindowIds::Implied { first } => Some(first),
            _ => None,
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
        Ok(())
    }

    /// The next lists; none at the end of the morsel. `with_ids` says whether ids will be asked for.
    pub fn next(
        &mut self,
        worker: &mut PoolWorker,
        with_ids: bool,
    ) -> StorageResult<Option<AdjacencyWindow<'_>>> {
        let Some(group) = self.group.as_deref() else { return Ok(None) };
        if self.nodes.is_empty() {
            return Ok(None);
        }
        let run = group.lists()?;
        let known = self.nodes.end.min(run.node_count).max(self.nodes.start);
        let mut untouched = self.nodes.start..known;
        if let Some(overlay) = group.overlay() {
            let next = overlay.touched().next_from(self.nodes.start).map(u32::from);
            let next = next.filter(|node| *node < self.nodes.end);
            untouched.end = next.map_or(known, |node| node.min(known));
            if let (true, Some(node)) = (untouched.is_empty(), next) {
                let list = overlay.list(node as u16, &mut worker.cursor())?;
                self.nodes.start = node + 1;
                self.single = [0, list.neighbours.len() as u32];
                return Ok(Some(AdjacencyWindow {
                    first_node: group.first_node() + u64::from(node),
                    offsets: &self.single,
                    neighbours: &list.neighbours,
                    ids: WindowIds::Listed(&list.ids),
                }));
            }
        }
        if untouched.is_empty() {
            self.nodes.start = self.nodes.end;
            return Ok(None);
        }
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
        Ok(Some(AdjacencyWindow { first_node: group.first_node() + start as u64, offsets, neighbours, ids }))
    }
}
