//! Sorted edges become adjacency runs and their group pages.

use std::sync::atomic::{AtomicUsize, Ordering};

use parking_lot::Mutex;

use super::rel_bulk::StopSign;
use super::sort::{Dealt, PairSink, SLICE_NODES, SLICES_PER_GROUP, SortedSlice, count_slices, deal, shares};
use crate::catalog::Degrees;
use crate::storage::StorageResult;
use crate::storage::buffer_pool::as_bytes;
use crate::storage::page::ExtentRef;
use crate::storage::table::csr_run::{RunDescriptor, RunIds, lists_its_nodes, stored_ids};
use crate::storage::table::group_page::{ExtentSink, GroupKind, GroupPage, SegmentPlacer};
use crate::types::{Helpers, NODE_GROUP_ROWS, TableId};

/// A group page that was written and waits for its commit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StagedGroup {
    /// offset >> 16.
    pub group: u32,
    /// Rows of the group, or nodes that the runs span.
    pub row_count: u32,
    /// Edges of all runs; rows of a row group.
    pub entry_count: u64,
    /// The longest list of the newest run; 0 for row groups.
    pub max_degree: u32,
    /// Nodes with edges in the newest run; 0 for row groups.
    pub touched_nodes: u32,
    /// The sum of the squares of the newest run's lists' lengths; 0 for row groups.
    pub squares: u64,
    /// How their lengths are spread.
    pub degrees: Degrees,
    /// The page.
    pub page: ExtentRef,
}

/// Sorts all edges by node. `ordered` says that far ends and names already rise. Once `stop` says so, what comes out is
/// of no use.
pub(super) fn sort_edges(
    counts: &[usize],
    threads: usize,
    ordered: bool,
    keep_names: bool,
    stop: &StopSign<'_>,
    each_chunk: &(dyn Fn(&mut PairSink<'_>) + Sync),
    after_dealing: impl FnOnce(),
) -> Vec<SortedSlice> {
    let dealt = in_parallel(shares(counts, threads), |range| deal(counts, range, each_chunk));
    after_dealing();
    let sort = |dealt: Dealt| {
        let sorted = dealt.slices().take_while(|_| !stop()).map(|slice| {
            let mut sorted = dealt.sort_slice(slice, ordered);
            if !keep_names {
                sorted.names = Vec::new();
            }
            sorted
        });
        sorted.collect::<Vec<_>>()
    };
    in_parallel(dealt, sort).into_iter().flatten().collect()
}

/// Runs `work` for each item on a thread of its own and gives the results in order.
fn in_parallel<I: Send, O: Send>(items: Vec<I>, work: impl Fn(I) -> O + Sync) -> Vec<O> {
    if items.len() < 2 {
        return items.into_iter().map(work).collect();
    }
    let helpers = Helpers::of_this_thread();
    std::thread::scope(|scope| {
        let start = |item| scope.spawn(helpers.help(|| work(item)));
        let handles: Vec<_> = items.into_iter().map(start).collect();
        helpers.wait();
        let joined = handles.into_iter().map(|handle| match handle.join() {
            Ok(output) => output,
            Err(panic) => std::panic::resume_unwind(panic),
        });
        joined.collect()
    })
}

/// Calls `work` for 0..count on up to `threads` threads; the results come in order, the first error ends it.
pub(super) fn for_each_parallel<O: Send>(
    count: usize,
    threads: usize,
    work: impl Fn(usize) -> StorageResult<O> + Sync,
) -> StorageResult<Vec<O>> {
    let next = AtomicUsize::new(0);
    let done: Mutex<Vec<(usize, StorageResult<O>)>> = Mutex::new(Vec::with_capacity(count));
    let run = |_| {
        loop {
            let item = next.fetch_add(1, Ordering::Relaxed);
            if item >= count {
                return;
            }
            let result = work(item);
            if result.is_err() {
                next.store(count, Ordering::Relaxed);
            }
            done.lock().push((item, result));
        }
    };
    in_parallel((0..threads.clamp(1, count.max(1))).collect(), run);
    let mut results = done.into_inner();
    results.sort_unstable_by_key(|(item, _)| *item);
    results.into_iter().map(|(_, result)| result).collect()
}

/// What all groups of one direction share.
pub(super) struct RunPlan<'a> {
    pub table: TableId,
    pub kind: GroupKind,
    /// Rows of the node table on this side.
    pub node_rows: u64,
    /// Whether both ends are in one table.
    pub same_table: bool,
    /// The id of the load's first relationship.
    pub first_id: u64,
    /// The group page that the new run joins.
    pub existing: &'a (dyn Fn(GroupKind, u32) -> StorageResult<Option<GroupPage>> + Sync),
}

/// Writes a run for each group that has edges. Forward ids follow from the order; backward ids are the names.
pub(super) fn write_runs(
    plan: &RunPlan<'_>,
    slices: &[SortedSlice],
    sink: &dyn ExtentSink,
    threads: usize,
) -> StorageResult<Vec<StagedGroup>> {
    let groups: Vec<&[SortedSlice]> = slices.chunks(SLICES_PER_GROUP).collect();
    let mut first_entries = Vec::with_capacity(groups.len());
    let mut seen = 0u64;
    for group in &groups {
        first_entries.push(seen);
        seen += group.iter().map(|slice| slice.far.len() as u64).sum::<u64>();
    }
    let staged = for_each_parallel(groups.len(), threads, |group| {
        if groups[group].iter().all(|slice| slice.far.is_empty()) {
            return Ok(None);
        }
        let run = build_run(plan, groups[group], group as u64, first_entries[group]);
        let degrees = degrees_of(groups[group], group as u64 * NODE_GROUP_ROWS);
        write_group(plan, group as u32, (run, degrees), sink).map(Some)
    })?;
    Ok(staged.into_iter().flatten().collect())
}

fn write_group(
    plan: &RunPlan<'_>,
    group: u32,
    (run, degrees): (RunDescriptor<Vec<u8>>, Degrees),
    sink: &dyn ExtentSink,
) -> StorageResult<StagedGroup> {
    let empty = || GroupPage::empty(plan.kind, plan.table, group);
    let mut page = (plan.existing)(plan.kind, group)?.unwrap_or_else(empty);
    let (max_degree, touched_nodes) = (run.max_degree, run.touched_nodes);
    let squares = squares_of(&run.offsets);
    page.row_count = nodes_of_group(plan.node_rows, u64::from(group));
    let mut placer = SegmentPlacer::new(sink, std::mem::take(&mut page.extents));
    page.runs.push(place_run(run, &mut placer)?);
    page.extents = placer.finish()?;
    let entry_count = page.runs.iter().map(|run| u64::from(run.entry_count)).sum();
    let extent = sink.write_extent(&page.encode())?;
    let row_count = page.row_count;
    let page = extent;
    Ok(StagedGroup { group, row_count, entry_count, max_degree, touched_nodes, squares, degrees, page })
}

/// How the lengths of a group's lists are spread.
fn degrees_of(slices: &[SortedSlice], first_node: u64) -> Degrees {
    let lengths = slices.iter().flat_map(|slice| slice.offsets.windows(2).map(|pair| pair[1] - pair[0]));
    Degrees::of_lists(first_node, lengths)
}

/// The sum of the squares of lists' lengths, from their ends in little-endian order.
fn squares_of(offsets: &[u8]) -> u64 {
    let (ends, _) = offsets.as_chunks::<4>();
    let ends = ends.iter().map(|end| u64::from(u32::from_le_bytes(*end)));
    let mut before = 0;
    ends.fold(0u64, |sum, end| {
        let length = end.saturating_sub(before);
        before = end;
        sum.saturating_add(length.saturating_mul(length))
    })
}

/// Puts the parts of a run next to each other.
pub(in crate::storage::table) fn place_run(
    run: RunDescriptor<Vec<u8>>,
    placer: &mut SegmentPlacer<'_>,
) -> StorageResult<RunDescriptor<crate::storage::column::chunk::Location>> {
    let mut parts: Vec<Vec<u8>> = Vec::new();
    let keep = &mut |bytes: Vec<u8>| -> StorageResult<usize> {
        parts.push(bytes);
        Ok(parts.len() - 1)
    };
    let numbered = run.try_map(keep)?;
    let slices: Vec<&[u8]> = parts.iter().map(Vec::as_slice).collect();
    let mut locations: Vec<Option<_>> = placer.place_together(&slices)?.into_iter().map(Some).collect();
    // Every number was given out once, for one part, so each location is taken once.
    numbered.try_map(&mut |part: usize| {
        Ok(locations
            .get_mut(part)
            .and_then(Option::take)
            .unwrap_or_else(|| crate::storage::column::chunk::Location::Inline(Vec::new())))
    })
}

pub(in crate::storage::table) fn nodes_of_group(node_rows: u64, group: u64) -> u32 {
    node_rows.saturating_sub(group * NODE_GROUP_ROWS).min(NODE_GROUP_ROWS) as u32
}

fn build_run(
    plan: &RunPlan<'_>,
    slices: &[SortedSlice],
    group: u64,
    first_entry: u64,
) -> RunDescriptor<Vec<u8>> {
    let all_nodes = nodes_of_group(plan.node_rows, group) as usize;
    let lengths = || {
        let of_slice = |slice: &SortedSlice| {
            slice.offsets.windows(2).map(|pair| pair[1] - pair[0]).collect::<Vec<u32>>()
        };
        slices.iter().flat_map(of_slice).take(all_nodes)
    };
    let (mut touched, mut max_degree) = (0u32, 0u32);
    for length in lengths() {
        touched += u32::from(length > 0);
        max_degree = max_degree.max(length);
    }
    let small = lists_its_nodes(touched, all_nodes as u32);
    let mut nodes = small.then(Vec::new);
    let mut offsets = Vec::with_capacity(if small { touched as usize + 1 } else { all_nodes + 1 } * 4);
    offsets.extend_from_slice(&0u32.to_le_bytes());
    let (mut end, mut node_count) = (0u32, 0u32);
    for (node, length) in lengths().enumerate() {
        if let Some(nodes) = &mut nodes {
            if length == 0 {
                continue;
            }
            nodes.extend_from_slice(&(node as u16).to_le_bytes());
        }
        end += length;
        node_count += 1;
        offsets.extend_from_slice(&end.to_le_bytes());
    }
    let mut neighbours = Vec::with_capacity(end as usize * 4);
    // Pages hold little-endian numbers, and are lent as the machine's own.
    slices.iter().for_each(|slice| neighbours.extend_from_slice(as_bytes(&slice.far)));
    let ids = match plan.kind {
        GroupKind::Backward => {
            let names = slices.iter().flat_map(|slice| &slice.names);
            stored_ids(names.map(|name| plan.first_id + u64::from(*name)))
        }
        _ => RunIds::Implied { first: plan.first_id + first_entry },
    };
    RunDescriptor {
        entry_count: end,
        node_count,
        self_loops: if plan.same_table { slices.iter().map(|slice| slice.self_loops).sum() } else { 0 },
        max_degree,
        touched_nodes: touched,
        nodes,
        offsets,
        neighbours,
        wide: false,
        ids,
        signs: None,
    }
}

/// Hands over all edges as (far end, node) in the order of the slices: the input of the other direction.
pub(super) fn each_reversed(slices: &[SortedSlice], sink: &mut PairSink<'_>, stop: &StopSign<'_>) {
    let mut nodes = Vec::new();
    for (number, slice) in slices.iter().enumerate().take_while(|_| !stop()) {
        nodes.clear();
        for (node, list) in slice.offsets.windows(2).enumerate() {
            nodes.resize(list[1] as usize, (number * SLICE_NODES + node) as u32);
        }
        sink(&slice.far, &nodes);
    }
}

/// How many edges each slice of the far ends has.
pub(super) fn count_far_slices(slices: &[SortedSlice], far_slices: usize) -> Vec<usize> {
    count_slices(slices.iter().map(|slice| slice.far.as_slice()), far_slices)
}

/// Slices that `rows` nodes take.
pub(super) fn slices_for(rows: u64) -> usize {
    rows.div_ceil(SLICE_NODES as u64) as usize
}
