//! Changed lists of one group become one more run, small and signed. Runs are merged when there are too many, or when
//! the small ones together are no longer small beside the large one.

use super::placed::write_page;
use crate::storage::StorageResult;
use crate::storage::buffer_pool::as_bytes;
use crate::storage::column::Encoding;
use crate::storage::column::encoding::bit_packing;
use crate::storage::delta::EntryPart;
use crate::storage::page::{ExtentRef, PageRun, extent_runs};
use crate::storage::table::bulk::{nodes_of_group, place_run};
use crate::storage::table::csr_group::CsrGroup;
use crate::storage::table::csr_run::{RunDescriptor, RunIds};
use crate::storage::table::group_page::{ExtentSink, GroupKind, GroupPage, SegmentPlacer};
use crate::types::{NODE_GROUP_ROWS, TableId};

/// Runs of a group at most.
const RUNS_MAX: usize = 4;
/// All runs are merged when the small ones exceed this part of the large one.
const SMALL_RUNS_DIVISOR: u64 = 4;
/// Runs that touch this part of the group's nodes or less list them.
const LISTED_NODES_DIVISOR: u32 = 16;
/// Ids that need more bits than this and fit u32 are stored so.
const PACKED_ID_BITS_MAX: u8 = 28;

/// An edge of a list that came (+1) or went (-1).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct RunEntry {
    /// Counted from the first of the group.
    node: u32,
    neighbour: u32,
    id: u64,
    sign: i32,
}

/// One group of lists in one direction to be written.
pub(super) struct ListFold {
    pub table: TableId,
    pub kind: GroupKind,
    pub group: u32,
    /// Offsets of the nodes on this side are below this.
    pub node_rows: u64,
    pub same_table: bool,
}

/// What became of it.
pub(super) struct FoldedLists {
    /// None when no edge is left.
    pub page: Option<ExtentRef>,
    pub retired: Vec<PageRun>,
    /// The longest list of the run that was written.
    pub max_degree: u32,
    /// Runs that went into the new one.
    pub merged: u64,
    /// First relationship and number of those whose ends a merged run implied.
    pub broken: Vec<(u64, u32)>,
}

impl ListFold {
    /// Adds the entries of a level; `base` is the group as `old`, its page, describes it.
    pub fn write(
        &self,
        base: Option<&CsrGroup>,
        old: Option<GroupPage>,
        part: &EntryPart,
        sink: &dyn ExtentSink,
    ) -> StorageResult<FoldedLists> {
        let mut page = old.unwrap_or_else(|| self.empty_page());
        let old_extents = page.extents.clone();
        let kept = kept_runs(&page, part.len() as u64);
        let mut entries: Vec<RunEntry> = Vec::with_capacity(part.len());
        let mut broken = Vec::new();
        if let Some(base) = base {
            for run in base.runs().iter().skip(kept) {
                let stored = base.entries_of(run)?.into_iter();
                entries.extend(stored.map(|(node, neighbour, id, sign)| RunEntry {
                    node,
                    neighbour,
                    id,
                    sign,
                }));
            }
        }
        let merged = page.runs.split_off(kept.min(page.runs.len()));
        for run in &merged {
            if let (RunIds::Implied { first }, GroupKind::Forward) = (&run.ids, self.kind) {
                broken.push((*first, run.entry_count));
            }
        }
        entries.extend(part.iter().map(|entry| RunEntry {
            node: u32::from(entry.node),
            neighbour: entry.neighbour,
            id: entry.id,
            sign: if entry.removed { -1 } else { 1 },
        }));
        cancel(&mut entries);
        page.row_count = nodes_of_group(self.node_rows, u64::from(self.group));
        let mut placer = SegmentPlacer::new(sink, std::mem::take(&mut page.extents));
        let mut max_degree = 0;
        if !entries.is_empty() {
            let run = self.build(&entries, page.row_count);
            max_degree = run.max_degree;
            page.runs.push(place_run(run, &mut placer)?);
        }
        page.extents = placer.finish()?;
        let merged = merged.len() as u64;
        if page.runs.is_empty() {
            let retired = old_extents.iter().flat_map(extent_runs).collect();
            return Ok(FoldedLists { page: None, retired, max_degree, merged, broken });
        }
        let written = write_page(page, &old_extents, sink)?;
        Ok(FoldedLists { page: Some(written.page), retired: written.retired, max_degree, merged, broken })
    }

    fn empty_page(&self) -> GroupPage {
        GroupPage {
            kind: self.kind,
            table: self.table,
            group: self.group,
            row_count: 0,
            extents: Vec::new(),
            deletions: None,
            columns: Vec::new(),
            runs: Vec::new(),
        }
    }

    fn build(&self, entries: &[RunEntry], all_nodes: u32) -> RunDescriptor<Vec<u8>> {
        let lists = || entries.chunk_by(|a, b| a.node == b.node);
        let touched = lists().count() as u32;
        let listed = touched * LISTED_NODES_DIVISOR < all_nodes;
        let (mut nodes, mut offsets, mut max_degree) = (Vec::<u16>::new(), vec![0u32], 0);
        let mut end = 0u32;
        for list in lists() {
            let node = list[0].node;
            if !listed {
                offsets.resize(node as usize + 1, end);
            }
            end += list.len() as u32;
            max_degree = max_degree.max(list.len() as u32);
            // A group has 65,536 nodes.
            nodes.push(node as u16);
            offsets.push(end);
        }
        if !listed {
            offsets.resize(all_nodes as usize + 1, end);
        }
        let neighbours: Vec<u32> = entries.iter().map(|entry| entry.neighbour).collect();
        let first_node = u64::from(self.group) * NODE_GROUP_ROWS;
        let is_loop = |entry: &&RunEntry| {
            entry.sign > 0 && first_node + u64::from(entry.node) == u64::from(entry.neighbour)
        };
        let self_loops = entries.iter().filter(is_loop).count() as u32;
        let signed = entries.iter().any(|entry| entry.sign < 0);
        RunDescriptor {
            entry_count: entries.len() as u32,
            node_count: if listed { touched } else { all_nodes },
            self_loops: if self.same_table { self_loops } else { 0 },
            max_degree,
            touched_nodes: touched,
            nodes: listed.then(|| as_bytes(&nodes).to_vec()),
            offsets: as_bytes(&offsets).to_vec(),
            neighbours: as_bytes(&neighbours).to_vec(),
            wide: false,
            ids: stored_ids(entries),
            signs: signed.then(|| sign_words(entries)),
        }
    }
}

/// How many of the page's runs, the oldest ones, stay as they are.
fn kept_runs(page: &GroupPage, new: u64) -> usize {
    let Some(large) = page.runs.first() else { return 0 };
    let small: u64 = page.runs.iter().skip(1).map(|run| u64::from(run.entry_count)).sum();
    match page.runs.len() {
        _ if (small + new) * SMALL_RUNS_DIVISOR > u64::from(large.entry_count) => 0,
        RUNS_MAX.. => 1,
        count => count,
    }
}

/// Sorts entries and takes out what was added and taken away again.
fn cancel(entries: &mut Vec<RunEntry>) {
    entries.sort_unstable();
    let mut kept: Vec<RunEntry> = Vec::with_capacity(entries.len());
    for same in entries.chunk_by(|a, b| (a.node, a.neighbour, a.id) == (b.node, b.neighbour, b.id)) {
        match same.iter().map(|entry| entry.sign).sum::<i32>() {
            0 => {}
            sum => kept.push(RunEntry { sign: sum.signum(), ..same[0] }),
        }
    }
    *entries = kept;
}

/// Packs ids as distances from the smallest.
fn stored_ids(entries: &[RunEntry]) -> RunIds<Vec<u8>> {
    let ids = || entries.iter().map(|entry| entry.id);
    let base = ids().min().unwrap_or(0);
    let width = bit_packing::width_of(ids().max().unwrap_or(0) - base);
    if (PACKED_ID_BITS_MAX + 1..=32).contains(&width) {
        let distances: Vec<u32> = ids().map(|id| (id - base) as u32).collect();
        let bytes = as_bytes(&distances).to_vec();
        return RunIds::Stored { base, encoding: Encoding::Plain, bytes };
    }
    let distances: Vec<u64> = ids().map(|id| id - base).collect();
    let mut bytes = Vec::new();
    bit_packing::pack(&distances, width, &mut bytes);
    RunIds::Stored { base, encoding: Encoding::BitPacked { base: 0, width }, bytes }
}

fn sign_words(entries: &[RunEntry]) -> Vec<u8> {
    let mut words = vec![0u64; entries.len().div_ceil(64)];
    for (at, entry) in entries.iter().enumerate() {
        words[at / 64] |= u64::from(entry.sign < 0) << (at % 64);
    }
    words.iter().flat_map(|word| word.to_le_bytes()).collect()
}
