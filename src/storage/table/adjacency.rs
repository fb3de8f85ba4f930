//! The adjacency of a relationship table in one direction: lists by node, and windows of lists for those who read
//! all of them.

use std::sync::Arc;

use parking_lot::RwLock;
use rustc_hash::FxHashMap;

use super::adjacency_scanner::AdjacencyScanner;
use super::csr_group::CsrGroup;
use super::csr_lists::bounds;
use super::group_page::GroupKind;
use super::node_table::{GroupCache, GroupPages};
use crate::storage::StorageResult;
use crate::storage::buffer_pool::{BufferPool, CURSOR_BLOCKS_MAX, Cursor, PoolWorker};
use crate::storage::column::bytes::Damage;
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
        let base = self.base_group(group)?;
        if self.levels.is_empty() && base.as_ref().is_none_or(|base| !base.has_few_changes()) {
            return Ok(base);
        }
        self.under_levels(group, base)
    }

    /// The same for a reader with a cursor, which rests while small runs are read.
    fn group_beside(&self, group: u64, cursor: &mut Cursor<'_>) -> StorageResult<Option<Arc<CsrGroup>>> {
        let base = self.base_group(group)?;
        if self.levels.is_empty() && base.as_ref().is_none_or(|base| !base.has_few_changes()) {
            return Ok(base);
        }
        if !self.changed.read().contains_key(&group) {
            cursor.rest();
        }
        self.under_levels(group, base)
    }

    /// The lists of a group as its page has them.
    fn base_group(&self, group: u64) -> StorageResult<Option<Arc<CsrGroup>>> {
        let kind = match self.direction {
            Direction::Forward => GroupKind::Forward,
            Direction::Backward => GroupKind::Backward,
        };
        let decode = |extent: &ExtentRef, bytes: &[u8]| {
            CsrGroup::decode((self.table, &self.name), kind, group, extent, bytes, &self.pool)
        };
        self.groups.get(group, decode)
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

    /// All groups that have pages, as those have them.
    pub(super) fn base_groups(&self) -> impl Iterator<Item = StorageResult<Arc<CsrGroup>>> {
        (0..self.groups.len() as u64).filter_map(|group| self.base_group(group).transpose())
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
        match self.group_beside(node / NODE_GROUP_ROWS, cursor)? {
            Some(group) => group.list((node % NODE_GROUP_ROWS) as u32, cursor),
            None => Ok((0, 0)),
        }
    }

    /// Whether there is an edge to `far`; the first such entry's position in the group if there is one.
    pub fn find_edge(&self, node: u64, far: u64, cursor: &mut Cursor<'_>) -> StorageResult<Option<u64>> {
        let Some(group) = self.group_beside(node / NODE_GROUP_ROWS, cursor)? else { return Ok(None) };
        let Ok(far) = u32::try_from(far) else { return Ok(None) };
        group.find_edge((node % NODE_GROUP_ROWS) as u32, far, cursor)
    }

    /// Whether there is an edge from `node` to `far` in this direction.
    pub fn contains_edge(&self, node: u64, far: u64, cursor: &mut Cursor<'_>) -> StorageResult<bool> {
        let Some(group) = self.group_beside(node / NODE_GROUP_ROWS, cursor)? else { return Ok(false) };
        let Ok(far) = u32::try_from(far) else { return Ok(false) };
        group.contains_edge((node % NODE_GROUP_ROWS) as u32, far, cursor)
    }

    /// Reads all lists in order.
    pub fn scanner(self: &Arc<Self>) -> AdjacencyScanner {
        AdjacencyScanner::new(Arc::clone(self))
    }
}

fn group_lists(
    group: &CsrGroup,
    nodes: &[u64],
    worker: &mut PoolWorker,
    positions: &mut Vec<u64>,
    lengths: &mut Vec<u32>,
) -> StorageResult<()> {
    if group.has_levels() {
        let mut cursor = worker.cursor();
        for node in nodes {
            let (position, length) = group.list((node % NODE_GROUP_ROWS) as u32, &mut cursor)?;
            positions.push(position);
            lengths.push(length);
        }
        return Ok(());
    }
    let run = group.lists()?;
    let mut cursor = worker.cursor();
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
