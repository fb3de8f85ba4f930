//! Lists of one group under levels. A node that no level touches is read as its base has it. The list of a touched
//! one is put together at its first read and kept for as long as the table is open; its entries have positions
//! of their own, far behind those of any run.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};

use super::csr_group::{CsrGroup, PIECE_ENTRIES};
use crate::storage::StorageResult;
use crate::storage::buffer_pool::Cursor;
use crate::storage::delta::{AdjacencyDelta, RowSet};

/// Set in the positions of entries of touched nodes; the node follows from bit `NODE_SHIFT` on.
const VIRTUAL: u64 = 1 << 63;
const NODE_SHIFT: u32 = 40;

/// What levels have of the lists of a group.
pub(super) struct ListOverlay {
    base: Arc<CsrGroup>,
    /// Oldest first.
    levels: Vec<Arc<AdjacencyDelta>>,
    touched: RowSet,
    /// How many touched nodes there are below each 64th.
    ranks: Vec<u32>,
    /// By rank among the touched nodes.
    lists: Vec<OnceLock<MergedList>>,
    merged: AtomicU64,
    /// Whether both ends are in one table, so that an edge can be a loop.
    loops: bool,
}

/// The list of one node, all levels counted.
#[derive(Debug, Default)]
pub(super) struct MergedList {
    pub(super) neighbours: Vec<u32>,
    pub(super) ids: Vec<u64>,
}

impl ListOverlay {
    pub(super) fn new(base: Arc<CsrGroup>, levels: Vec<Arc<AdjacencyDelta>>, loops: bool) -> ListOverlay {
        let mut touched = RowSet::default();
        levels.iter().for_each(|level| touched.extend(level.touched()));
        let (mut ranks, mut rank) = (Vec::with_capacity(1024), 0);
        for index in 0..1024 {
            ranks.push(rank);
            rank += touched.word(index).count_ones();
        }
        let lists = (0..rank).map(|_| OnceLock::new()).collect();
        ListOverlay { base, levels, touched, ranks, lists, merged: AtomicU64::new(0), loops }
    }

    pub(super) fn base(&self) -> &Arc<CsrGroup> {
        &self.base
    }

    pub(super) fn touched(&self) -> &RowSet {
        &self.touched
    }

    /// Edges added less edges taken away.
    pub(super) fn entries(&self) -> i64 {
        self.levels.iter().map(|level| level.entries()).sum()
    }

    pub(super) fn self_loops(&self) -> i64 {
        if self.loops { self.levels.iter().map(|level| level.self_loops()).sum() } else { 0 }
    }

    /// Lists put together so far.
    pub(super) fn merged_lists(&self) -> u64 {
        self.merged.load(Ordering::Relaxed)
    }

    /// No list is longer than the base's longest by more than this.
    pub(super) fn longest_growth(&self) -> u64 {
        let of_level = |level: &Arc<AdjacencyDelta>| {
            let parts = level.parts().iter().map(|part| part.longest_addition());
            parts.sum::<u64>()
        };
        self.levels.iter().map(of_level).sum()
    }

    /// Adds what levels change of list lengths: `lengths[i]` is that of node `first + i`.
    pub(super) fn correct_lengths(&self, first: u32, lengths: &mut [u32]) {
        for part in self.levels.iter().flat_map(|level| level.parts().iter()) {
            for entry in part.of_nodes(first..first + lengths.len() as u32) {
                let length = &mut lengths[(u32::from(entry.node) - first) as usize];
                *length = length.wrapping_add_signed(if entry.removed { -1 } else { 1 });
            }
        }
    }

    fn rank(&self, node: u16) -> usize {
        let (index, bit) = (usize::from(node) / 64, node % 64);
        let below = self.touched.word(index) & ((1 << bit) - 1);
        self.ranks[index] as usize + below.count_ones() as usize
    }

    /// The position of an entry of a touched node.
    pub(super) fn position(node: u16) -> u64 {
        VIRTUAL | u64::from(node) << NODE_SHIFT
    }

    /// The node and the index in its list of a position that `position` began; none of a run's.
    #[inline]
    pub(super) fn place(position: u64) -> Option<(u16, usize)> {
        (position & VIRTUAL != 0)
            .then_some(((position >> NODE_SHIFT) as u16, (position & ((1 << NODE_SHIFT) - 1)) as usize))
    }

    /// The list of a touched node.
    pub(super) fn list(&self, node: u16, cursor: &mut Cursor<'_>) -> StorageResult<&MergedList> {
        static EMPTY: MergedList = MergedList { neighbours: Vec::new(), ids: Vec::new() };
        let Some(slot) = self.lists.get(self.rank(node)).filter(|_| self.touched.contains(node)) else {
            return Ok(&EMPTY);
        };
        if let Some(known) = slot.get() {
            return Ok(known);
        }
        let merged = self.merge(node, cursor)?;
        Ok(slot.get_or_init(|| {
            self.merged.fetch_add(1, Ordering::Relaxed);
            merged
        }))
    }

    /// What levels add to and take from a list: (neighbour, id, sum), in order, without what cancels.
    fn changes(&self, node: u16, far: Option<u32>) -> Vec<(u32, u64, i32)> {
        let parts = self.levels.iter().flat_map(|level| level.parts().iter());
        let entries = parts.flat_map(|part| part.of_node(node));
        let mut changes: Vec<(u32, u64, i32)> = entries
            .filter(|entry| far.is_none_or(|far| entry.neighbour == far))
            .map(|entry| (entry.neighbour, entry.id, if entry.removed { -1 } else { 1 }))
            .collect();
        changes.sort_unstable();
        changes.dedup_by(|next, kept| {
            let same = (next.0, next.1) == (kept.0, kept.1);
            kept.2 += if same { next.2 } else { 0 };
            same
        });
        changes.retain(|(.., sum)| *sum != 0);
        changes
    }

    fn merge(&self, node: u16, cursor: &mut Cursor<'_>) -> StorageResult<MergedList> {
        let changes = self.changes(node, None);
        let (start, length) = self.base.list(u32::from(node), cursor)?;
        let (mut neighbours, mut ids) = (Vec::with_capacity(length as usize), Vec::new());
        while neighbours.len() < length as usize {
            let rest = length as usize - neighbours.len();
            let at = start + neighbours.len() as u64;
            neighbours.extend_from_slice(self.base.neighbours(at, rest.min(PIECE_ENTRIES), cursor)?);
        }
        self.base.ids(start, length as usize, cursor, &mut ids)?;
        let mut merged = MergedList::default();
        merged.neighbours.reserve(neighbours.len() + changes.len());
        merged.ids.reserve(neighbours.len() + changes.len());
        let mut old = neighbours.into_iter().zip(ids).peekable();
        for (far, id, sum) in changes {
            while let Some((neighbour, old_id)) = old.next_if(|entry| *entry < (far, id)) {
                merged.push(neighbour, old_id);
            }
            let known = old.next_if(|entry| *entry == (far, id)).is_some();
            if i32::from(known) + sum > 0 {
                merged.push(far, id);
            }
        }
        old.for_each(|(neighbour, id)| merged.push(neighbour, id));
        Ok(merged)
    }

    /// Whether a touched node has an edge to `far`, without its list where that can be told without.
    pub(super) fn contains(&self, node: u16, far: u32, cursor: &mut Cursor<'_>) -> StorageResult<bool> {
        if let Some(known) = self.lists.get(self.rank(node)).and_then(OnceLock::get) {
            return Ok(known.neighbours.binary_search(&far).is_ok());
        }
        let changes = self.changes(node, Some(far));
        if changes.iter().any(|(.., sum)| *sum > 0) {
            return Ok(true);
        }
        let taken = changes.len() as u64;
        let (start, length) = self.base.list(u32::from(node), cursor)?;
        let end = start + u64::from(length);
        let Some(first) = self.base.find(start, end, far, cursor)? else { return Ok(false) };
        // As many as were taken may be gone; one more must be there.
        let last = first + taken;
        Ok(last < end && self.base.neighbours(last, 1, cursor)?.first() == Some(&far))
    }
}

impl MergedList {
    fn push(&mut self, neighbour: u32, id: u64) {
        self.neighbours.push(neighbour);
        self.ids.push(id);
    }
}
