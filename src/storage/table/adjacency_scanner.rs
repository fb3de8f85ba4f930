//! All lists of a range of nodes, in windows: those that lie on pages as they lie, those that changes touch behind them.

use std::ops::Range;
use std::sync::Arc;

use super::adjacency::Adjacency;
use super::csr_group::CsrGroup;
use super::csr_run::RunIds;
use super::list_overlay::ListOverlay;
use crate::storage::StorageResult;
use crate::storage::buffer_pool::{Admission, PoolWorker, SegmentGuard, try_bytes_as};
use crate::storage::column::Encoding;
use crate::storage::column::bytes::Damage;
use crate::storage::column::encoding::{bit_packing, fixed};
use crate::storage::delta::RowSet;

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
    pub(super) fn new(adjacency: Arc<Adjacency>) -> AdjacencyScanner {
        AdjacencyScanner {
            adjacency,
            group: None,
            nodes: 0..0,
            offsets: None,
            entries: None,
            ids: None,
            touched: 0..0,
            merged: TouchedLists::default(),
        }
    }

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
        let pool = self.adjacency.pool();
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
