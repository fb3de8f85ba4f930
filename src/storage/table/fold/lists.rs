//! Changed lists of one group become one more run, small and signed. Runs are merged when there are too many, or when
//! the small ones together are no longer small beside the large one.

use super::placed::write_page;
use crate::storage::StorageResult;
use crate::storage::buffer_pool::as_bytes;
use crate::storage::delta::EntryPart;
use crate::storage::page::{ExtentRef, PageRun, extent_runs};
use crate::storage::table::bulk::{nodes_of_group, place_run};
use crate::storage::table::csr_group::CsrGroup;
use crate::storage::table::csr_merge::RunEntry;
use crate::storage::table::csr_run::{RunDescriptor, RunIds, lists_its_nodes, stored_ids};
use crate::storage::table::group_page::{ExtentSink, GroupKind, GroupPage, SegmentPlacer};
use crate::types::{NODE_GROUP_ROWS, TableId};

/// Runs of a group at most.
const RUNS_MAX: usize = 4;
/// All runs are merged when the small ones exceed this part of the large one.
const SMALL_RUNS_DIVISOR: u64 = 4;
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
        let mut page = old.unwrap_or_else(|| GroupPage::empty(self.kind, self.table, self.group));
        let old_extents = page.extents.clone();
        let kept = kept_runs(&page, part.len() as u64);
        let mut entries: Vec<RunEntry> = Vec::with_capacity(part.len());
        let mut broken = Vec::new();
        if let Some(base) = base {
            for run in base.runs().iter().skip(kept) {
                base.read_run(run, &mut entries)?;
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

    fn build(&self, entries: &[RunEntry], all_nodes: u32) -> RunDescriptor<Vec<u8>> {
        let lists = || entries.chunk_by(|a, b| a.node == b.node);
        let touched = lists().count() as u32;
        let listed = lists_its_nodes(touched, all_nodes);
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
            ids: stored_ids(entries.iter().map(|entry| entry.id)),
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
    for same in entries.chunk_by(RunEntry::same_edge) {
        match same.iter().map(|entry| entry.sign).sum::<i32>() {
            0 => {}
            sum => kept.push(RunEntry { sign: sum.signum(), ..same[0] }),
        }
    }
    *entries = kept;
}

fn sign_words(entries: &[RunEntry]) -> Vec<u8> {
    let mut words = vec![0u64; entries.len().div_ceil(64)];
    for (at, entry) in entries.iter().enumerate() {
        words[at / 64] |= u64::from(entry.sign < 0) << (at % 64);
    }
    words.iter().flat_map(|word| word.to_le_bytes()).collect()
}
