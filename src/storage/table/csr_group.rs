//! The adjacency of one group of nodes in one direction. A group of one plain run is read as it lies; several runs,
//! and runs that list only some nodes, are merged once into memory and read from there in the same way.

use std::sync::{Arc, OnceLock};

use super::csr_run::{RunDescriptor, RunIds};
use super::group_page::{GroupKind, GroupPage};
use super::list_overlay::ListOverlay;
use super::node_table::resolve;
use crate::storage::buffer_pool::{BufferPool, Cursor, SegmentOwner, SegmentRef};
use crate::storage::column::Encoding;
use crate::storage::column::bytes::{DATA_FILE, Damage};
use crate::storage::column::chunk_reader::ChunkError;
use crate::storage::column::encoding::bit_packing;
use crate::storage::delta::AdjacencyDelta;
use crate::storage::page::{ExtentRef, PageId};
use crate::storage::{StorageError, StorageResult};
use crate::types::{NODE_GROUP_ROWS, TableId};

/// A run whose bytes can be read.
pub type CsrRun = RunDescriptor<SegmentRef>;

/// Entries that one call lends at most.
pub const PIECE_ENTRIES: usize = 16 * 1024;

/// The lists of one group of nodes.
pub struct CsrGroup {
    pub(super) index: u64,
    pub(super) node_count: u32,
    pub(super) runs: Vec<CsrRun>,
    pub(super) merged: OnceLock<CsrRun>,
    /// The first run alone, and the others as changes of it.
    pub(super) parts: OnceLock<(Arc<CsrGroup>, Arc<AdjacencyDelta>)>,
    /// What levels and small runs change; `lists` are those of the group below then.
    pub(super) overlay: Option<ListOverlay>,
    pub(super) pool: BufferPool,
    pub(super) owner: Arc<SegmentOwner>,
    pub(super) page: PageId,
}

impl CsrGroup {
    /// A group without edges.
    pub(super) fn empty(index: u64, table: &str, pool: &BufferPool) -> CsrGroup {
        CsrGroup {
            index,
            node_count: 0,
            runs: Vec::new(),
            merged: OnceLock::new(),
            parts: OnceLock::new(),
            overlay: None,
            pool: pool.clone(),
            owner: SegmentOwner::new(DATA_FILE, table, "adjacency"),
            page: PageId(0),
        }
    }

    /// The group `base` as it is when `levels`, oldest first, are over `below`, which is the base or a part of it.
    /// `loops` says whether both ends are in one table.
    pub(super) fn over(
        (base, below): (&Arc<CsrGroup>, &Arc<CsrGroup>),
        levels: Vec<Arc<AdjacencyDelta>>,
        loops: bool,
    ) -> CsrGroup {
        let overlay = ListOverlay::new(Arc::clone(below), levels, loops);
        CsrGroup {
            index: base.index,
            node_count: base.node_count.max(overlay.touched().bound()),
            runs: base.runs.clone(),
            merged: OnceLock::new(),
            parts: OnceLock::new(),
            overlay: Some(overlay),
            pool: base.pool.clone(),
            owner: Arc::clone(&base.owner),
            page: base.page,
        }
    }

    /// Whether levels change lists of the group.
    pub fn has_levels(&self) -> bool {
        self.overlay.is_some()
    }

    /// Lists of touched nodes that were put together so far.
    pub fn merged_lists(&self) -> u64 {
        self.overlay.as_ref().map_or(0, ListOverlay::merged_lists)
    }

    pub(super) fn overlay(&self) -> Option<&ListOverlay> {
        self.overlay.as_ref()
    }

    /// Whether a level may have changed the list of a node.
    #[inline]
    pub(super) fn touches(&self, node: u32) -> Option<(&ListOverlay, u16)> {
        let overlay = self.overlay.as_ref()?;
        let node = u16::try_from(node).ok()?;
        overlay.touched().contains(node).then_some((overlay, node))
    }

    /// Decodes a group page of adjacency.
    pub(super) fn decode(
        (id, table): (TableId, &str),
        kind: GroupKind,
        group: u64,
        extent: &ExtentRef,
        bytes: &[u8],
        pool: &BufferPool,
    ) -> StorageResult<CsrGroup> {
        let part = if kind == GroupKind::Forward { "forward" } else { "backward" };
        let owner = SegmentOwner::new(DATA_FILE, table, part);
        let damaged =
            |damage: Damage| damage.at(&format!("{}, group {group}", owner.what()), extent.first_page);
        let page = GroupPage::decode(bytes).map_err(damaged)?;
        if page.kind != kind || page.table != id || u64::from(page.group) != group {
            return Err(damaged(Damage("the page belongs to another group")));
        }
        let mut runs = Vec::with_capacity(page.runs.len());
        for run in page.runs {
            if run.wide {
                return Err(damaged(Damage("neighbours of 64 bits, which this release does not read")));
            }
            runs.push(run.try_map(&mut |location| resolve(location, &page.extents, &owner))?);
        }
        let group = CsrGroup {
            index: group,
            node_count: page.row_count,
            runs,
            merged: OnceLock::new(),
            parts: OnceLock::new(),
            overlay: None,
            pool: pool.clone(),
            page: extent.first_page,
            owner: owner.clone(),
        };
        group.runs.iter().try_for_each(|run| group.check_run(run))?;
        Ok(group)
    }

    /// The parts of a run are as long as its counts say.
    fn check_run(&self, run: &CsrRun) -> StorageResult<()> {
        let entries = u64::from(run.entry_count);
        let ids = match &run.ids {
            RunIds::Implied { .. } => true,
            RunIds::Stored { encoding: Encoding::BitPacked { width, .. }, bytes, .. } => {
                bytes.len() == bit_packing::packed_bytes(run.entry_count as usize, *width) as u64
            }
            RunIds::Stored { bytes, .. } => bytes.len() == entries * 4,
        };
        let nodes = run.nodes.as_ref().is_none_or(|nodes| nodes.len() == u64::from(run.node_count) * 2);
        let signs = run.signs.as_ref().is_none_or(|signs| signs.len() == entries.div_ceil(64) * 8);
        let offsets = run.offsets.len() == (u64::from(run.node_count) + 1) * 4;
        if ids && nodes && signs && offsets && run.neighbours.len() == entries * 4 {
            return Ok(());
        }
        Err(self.error(Damage("the parts of an adjacency run differ in length")))
    }

    /// The number of the group.
    pub fn index(&self) -> u64 {
        self.index
    }

    /// The first node.
    pub fn first_node(&self) -> u64 {
        self.index * NODE_GROUP_ROWS
    }

    /// Nodes from the first on that can have edges.
    pub fn node_count(&self) -> u32 {
        self.node_count
    }

    /// The runs on pages, oldest first.
    pub fn runs(&self) -> &[CsrRun] {
        &self.runs
    }

    /// At least the length of the longest list.
    pub fn max_degree(&self) -> u64 {
        match &self.overlay {
            Some(overlay) => overlay.base().max_degree() + overlay.longest_growth(),
            None => self.runs.iter().map(|run| u64::from(run.max_degree)).sum(),
        }
    }

    /// Edges of the group: exact, since what is taken away counts down.
    pub fn entry_count(&self) -> StorageResult<u64> {
        if let Some(overlay) = &self.overlay {
            return Ok(overlay.base().entry_count()?.saturating_add_signed(overlay.entries()));
        }
        if self.runs.iter().all(|run| run.signs.is_none()) {
            return Ok(self.runs.iter().map(|run| u64::from(run.entry_count)).sum());
        }
        Ok(u64::from(self.lists()?.entry_count))
    }

    /// Edges from a node to itself, where both ends are in one table.
    pub fn self_loops(&self) -> StorageResult<u64> {
        if let Some(overlay) = &self.overlay {
            return Ok(overlay.base().self_loops()?.saturating_add_signed(overlay.self_loops()));
        }
        if self.runs.iter().all(|run| run.signs.is_none()) {
            return Ok(self.runs.iter().map(|run| u64::from(run.self_loops)).sum());
        }
        Ok(u64::from(self.lists()?.self_loops))
    }

    /// The one plain run of the group, if that is all there is.
    pub fn borrowed(&self) -> Option<&CsrRun> {
        match self.runs.as_slice() {
            [run] if run.nodes.is_none() && run.signs.is_none() && self.overlay.is_none() => Some(run),
            _ => None,
        }
    }

    /// One run with a list for each node of the group: as it lies, or merged at the first call. Levels are not in
    /// it: it serves for nodes that none touches.
    pub(super) fn lists(&self) -> StorageResult<&CsrRun> {
        if let Some(overlay) = &self.overlay {
            return overlay.base().lists();
        }
        if let Some(run) = self.borrowed().or_else(|| self.merged.get()) {
            return Ok(run);
        }
        let merged = self.merge().map_err(|error| self.chunk_error(error))?;
        Ok(self.merged.get_or_init(|| merged))
    }

    /// The same for a reader with a cursor, which rests while runs are merged.
    #[inline]
    pub(super) fn lists_beside(&self, cursor: &mut Cursor<'_>) -> StorageResult<&CsrRun> {
        if !self.has_lists() {
            cursor.rest();
        }
        self.lists()
    }

    fn has_lists(&self) -> bool {
        match &self.overlay {
            Some(overlay) => overlay.base().has_lists(),
            None => self.borrowed().is_some() || self.merged.get().is_some(),
        }
    }

    /// An error of reading this group.
    pub fn error(&self, damage: Damage) -> StorageError {
        damage.at(&format!("{}, group {}", self.owner.what(), self.index), self.page)
    }

    pub(super) fn chunk_error(&self, error: ChunkError) -> StorageError {
        match error {
            ChunkError::Storage(error) => error,
            ChunkError::Damage(damage) => self.error(damage),
        }
    }
}
