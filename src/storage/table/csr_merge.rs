//! Groups of several runs: merged into one in memory, or taken apart into a large run and what the small ones change.

use std::sync::{Arc, OnceLock};

use super::csr_group::{CsrGroup, CsrRun};
use super::csr_lists::bounds;
use super::csr_run::{RunDescriptor, RunIds};
use crate::storage::StorageResult;
use crate::storage::buffer_pool::{Admission, SegmentRef, as_bytes, try_bytes_as};
use crate::storage::column::Encoding;
use crate::storage::column::bytes::Damage;
use crate::storage::column::chunk_reader::{ChunkResult, Lender};
use crate::storage::column::encoding::fixed;
use crate::storage::delta::{AdjacencyDelta, Entry};

/// Small runs touch few nodes if fewer than one in so many.
const FEW_NODES: u64 = 8;

/// An edge of a list that came (+1) or went (-1).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct RunEntry {
    /// Counted from the first of the group.
    pub node: u32,
    pub neighbour: u32,
    pub id: u64,
    pub sign: i32,
}

impl RunEntry {
    /// Whether both speak of the same edge.
    pub fn same_edge(&self, other: &RunEntry) -> bool {
        (self.node, self.neighbour, self.id) == (other.node, other.neighbour, other.id)
    }
}

impl CsrGroup {
    /// Whether there are runs over a large one that touch so few nodes that their lists are put together one by one.
    pub(super) fn has_few_changes(&self) -> bool {
        let [large, small @ ..] = self.runs.as_slice() else { return false };
        let touched: u64 = small.iter().map(|run| u64::from(run.touched_nodes)).sum();
        let whole = large.nodes.is_none() && large.signs.is_none();
        whole
            && !small.is_empty()
            && self.overlay.is_none()
            && touched * FEW_NODES < u64::from(self.node_count)
    }

    /// The first run alone, and the others as changes of it; read at the first call.
    pub(super) fn large_and_small(&self) -> StorageResult<(&Arc<CsrGroup>, &Arc<AdjacencyDelta>)> {
        if let Some((large, small)) = self.parts.get() {
            return Ok((large, small));
        }
        let mut small = AdjacencyDelta::default();
        let mut stored = Vec::new();
        for run in self.runs.iter().skip(1) {
            stored.clear();
            self.read_run(run, &mut stored)?;
            let entry = |entry: &RunEntry| {
                let damaged = || self.error(Damage("a run lists a node that its group does not have"));
                let node = u16::try_from(entry.node).map_err(|_| damaged())?;
                let RunEntry { neighbour, id, sign, .. } = *entry;
                StorageResult::Ok(Entry { node, neighbour, id, removed: sign < 0 })
            };
            let entries: Vec<Entry> = stored.iter().map(entry).collect::<StorageResult<_>>()?;
            small.add(self.first_node(), &entries);
        }
        let large = CsrGroup {
            index: self.index,
            node_count: self.node_count,
            runs: self.runs.iter().take(1).cloned().collect(),
            merged: OnceLock::new(),
            parts: OnceLock::new(),
            overlay: None,
            pool: self.pool.clone(),
            owner: Arc::clone(&self.owner),
            page: self.page,
        };
        let (large, small) = self.parts.get_or_init(|| (Arc::new(large), Arc::new(small)));
        Ok((large, small))
    }

    /// Appends the entries of one of the group's runs.
    pub(super) fn read_run(&self, run: &CsrRun, out: &mut Vec<RunEntry>) -> StorageResult<()> {
        let lender = Lender { pool: self.pool.clone(), admission: Admission::Private };
        read_entries(run, &lender, out).map_err(|error| self.chunk_error(error))
    }

    pub(super) fn merge(&self) -> ChunkResult<CsrRun> {
        let mut entries = Vec::new();
        self.runs.iter().try_for_each(|run| self.read_run(run, &mut entries))?;
        // The runs are sorted each, which a stable sort makes use of.
        entries.sort();
        let first_node = self.first_node();
        let mut merged = MergedLists::default();
        let mut at = 0;
        let mut node = 0u32;
        merged.offsets.push(0);
        for same in entries.chunk_by(RunEntry::same_edge) {
            let RunEntry { node: of, neighbour, id, .. } = same[0];
            while node < of {
                merged.offsets.push(at);
                node += 1;
            }
            if same.iter().map(|entry| entry.sign).sum::<i32>() > 0 {
                merged.neighbours.push(neighbour);
                merged.ids.push(id);
                merged.self_loops += u32::from(first_node + u64::from(of) == u64::from(neighbour));
                at += 1;
            }
        }
        merged.offsets.resize(self.node_count as usize + 1, at);
        if self.runs.iter().all(|run| run.self_loops == 0) {
            // Ends in two tables never meet, whatever their offsets.
            merged.self_loops = 0;
        }
        merged.into_run(self.node_count)
    }
}

#[derive(Default)]
struct MergedLists {
    offsets: Vec<u32>,
    neighbours: Vec<u32>,
    ids: Vec<u64>,
    self_loops: u32,
}

impl MergedLists {
    fn into_run(self, node_count: u32) -> ChunkResult<CsrRun> {
        let base = self.ids.iter().copied().min().unwrap_or(0);
        let mut distances = Vec::with_capacity(self.ids.len());
        for id in &self.ids {
            let distance = u32::try_from(id - base);
            distances.push(distance.map_err(|_| Damage("relationship ids of a group lie too far apart"))?);
        }
        let lengths = self.offsets.windows(2).map(|pair| pair[1] - pair[0]);
        let (max_degree, touched_nodes) = lengths.fold((0, 0), |(max, touched): (u32, u32), length| {
            (max.max(length), touched + u32::from(length > 0))
        });
        let plain = |values: &[u32]| SegmentRef::inline(as_bytes(values));
        Ok(RunDescriptor {
            entry_count: self.neighbours.len() as u32,
            node_count,
            self_loops: self.self_loops,
            max_degree,
            touched_nodes,
            nodes: None,
            offsets: plain(&self.offsets),
            neighbours: plain(&self.neighbours),
            wide: false,
            ids: RunIds::Stored { base, encoding: Encoding::Plain, bytes: plain(&distances) },
            signs: None,
        })
    }
}

/// Appends (node, neighbour, id, sign) of all entries of a run.
fn read_entries(run: &CsrRun, lender: &Lender, out: &mut Vec<RunEntry>) -> ChunkResult<()> {
    let whole = |segment: &SegmentRef| lender.lend(segment, 0..segment.len() as usize);
    let damaged = Damage("an adjacency run is not aligned");
    let (offsets, neighbours) = (whole(&run.offsets)?, whole(&run.neighbours)?);
    let neighbours: &[u32] = try_bytes_as(&neighbours).ok_or(damaged)?;
    let nodes = run.nodes.as_ref().map(whole).transpose()?;
    let nodes: Option<&[u16]> =
        nodes.as_deref().map(|bytes| try_bytes_as(bytes).ok_or(damaged)).transpose()?;
    let signs = run.signs.as_ref().map(whole).transpose()?;
    let count = run.entry_count as usize;
    let mut distances: Vec<u64> = Vec::new();
    let base = match &run.ids {
        RunIds::Implied { first } => {
            distances.extend(0..u64::from(run.entry_count));
            *first
        }
        RunIds::Stored { base, encoding, bytes } => {
            let bytes = whole(bytes)?;
            match encoding {
                Encoding::BitPacked { width, .. } => {
                    fixed::unpack(&bytes, 0, count, *width, 0..count, &mut distances, |distance| distance)?;
                }
                _ => distances
                    .extend(try_bytes_as::<u32>(&bytes).ok_or(damaged)?.iter().map(|id| u64::from(*id))),
            }
            *base
        }
    };
    for list in 0..run.node_count as usize {
        let (start, end) = bounds(&offsets, list)?;
        let node = nodes.map_or(Some(list as u32), |nodes| nodes.get(list).map(|node| u32::from(*node)));
        let node = node.ok_or(damaged)?;
        for entry in start as usize..end as usize {
            let taken_away = signs
                .as_deref()
                .is_some_and(|signs| signs.get(entry / 8).is_some_and(|byte| byte >> (entry % 8) & 1 == 1));
            let far = *neighbours.get(entry).ok_or(Damage("a list lies behind the end of its run"))?;
            let id = distances.get(entry).ok_or(damaged)?;
            let sign = if taken_away { -1 } else { 1 };
            out.push(RunEntry { node, neighbour: far, id: base.wrapping_add(*id), sign });
        }
    }
    Ok(())
}
