//! Putting edges in order without a comparison sort of them all: edges are dealt into *slices* of nodes by a
//! counting sort, each slice is counted again by node, and only the lists of single nodes are compared. Each thread
//! takes a range of slices that holds about its share of the edges and writes into memory of its own.

use std::ops::Range;

/// Nodes of one slice; a group has a whole number of them, and a slice's counters fit the first-level cache.
pub const SLICE_NODES: usize = 1 << SLICE_SHIFT;
const SLICE_SHIFT: u32 = 13;
/// Slices of one group.
pub const SLICES_PER_GROUP: usize = (crate::types::NODE_GROUP_ROWS as usize) / SLICE_NODES;

/// Edges of consecutive slices, dealt by slice, in input order within each.
pub struct Dealt {
    /// The first slice.
    pub first_slice: usize,
    /// Where each slice begins, one more than slices.
    pub starts: Vec<usize>,
    /// The node of each edge, counted from its slice's first.
    node: Vec<u16>,
    /// The far end.
    far: Vec<u32>,
    /// What the edge is called: its position in the input or its relationship id.
    name: Vec<u32>,
}

/// The lists of one slice.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct SortedSlice {
    /// List `i` is entries `offsets[i]..offsets[i + 1]`.
    pub offsets: Vec<u32>,
    /// Far ends, sorted within each list.
    pub far: Vec<u32>,
    /// The names, sorted among equal far ends.
    pub names: Vec<u32>,
    /// Edges whose far end is the node itself.
    pub self_loops: u32,
}

/// Counts the edges of each slice.
pub fn count_slices<'a>(chunks: impl Iterator<Item = &'a [u32]>, slices: usize) -> Vec<usize> {
    let mut counts = vec![0usize; slices];
    for chunk in chunks {
        for node in chunk {
            if let Some(count) = counts.get_mut((node >> SLICE_SHIFT) as usize) {
                *count += 1;
            }
        }
    }
    counts
}

/// Cuts the slices into at most `parts` ranges of about equal numbers of edges.
pub fn shares(counts: &[usize], parts: usize) -> Vec<Range<usize>> {
    let total: usize = counts.iter().sum();
    let (mut ranges, mut start, mut seen) = (Vec::new(), 0, 0);
    for (slice, count) in counts.iter().enumerate() {
        seen += count;
        let wanted = total * (ranges.len() + 1) / parts.max(1);
        if seen >= wanted && ranges.len() + 1 < parts && slice + 1 > start {
            ranges.push(start..slice + 1);
            start = slice + 1;
        }
    }
    if start < counts.len() {
        ranges.push(start..counts.len());
    }
    ranges
}

/// Where `deal` sends its pairs: slices of nodes and of their far ends, of equal length.
pub type PairSink<'a> = dyn FnMut(&[u32], &[u32]) + 'a;

/// Deals the edges whose node lies in the slices `range`. `each_chunk` hands over all edges in their order; names
/// count them.
pub fn deal(counts: &[usize], range: Range<usize>, each_chunk: &dyn Fn(&mut PairSink<'_>)) -> Dealt {
    let mut dealt = Dealt::with_counts(counts, &range);
    let mut next = dealt.starts.clone();
    let mut name = 0u32;
    each_chunk(&mut |nodes, fars| {
        for (node, far) in nodes.iter().zip(fars) {
            let slice = ((node >> SLICE_SHIFT) as usize).wrapping_sub(range.start);
            if slice < range.len() {
                let at = next[slice];
                next[slice] += 1;
                dealt.set(at, *node, *far, name);
            }
            name = name.wrapping_add(1);
        }
    });
    dealt
}

impl Dealt {
    /// Room for the edges of the slices `range`.
    fn with_counts(counts: &[usize], range: &Range<usize>) -> Dealt {
        let mut starts = Vec::with_capacity(range.len() + 1);
        let mut total = 0;
        starts.push(0);
        for count in counts.get(range.clone()).unwrap_or_default() {
            total += count;
            starts.push(total);
        }
        let (node, far, name) = (vec![0; total], vec![0; total], vec![0; total]);
        Dealt { first_slice: range.start, starts, node, far, name }
    }

    #[inline]
    fn set(&mut self, at: usize, node: u32, far: u32, name: u32) {
        self.node[at] = (node as usize % SLICE_NODES) as u16;
        self.far[at] = far;
        self.name[at] = name;
    }

    /// The slices.
    pub fn slices(&self) -> Range<usize> {
        self.first_slice..self.first_slice + self.starts.len() - 1
    }

    /// Sorts one slice by (node, far end, name). `ordered` promises that far ends and names already rise in the
    /// order in which the edges were dealt, so that counting is enough.
    pub fn sort_slice(&self, slice: usize, ordered: bool) -> SortedSlice {
        let at = slice - self.first_slice;
        let range = self.starts[at]..self.starts[at + 1];
        let (nodes, fars, names) = (&self.node[range.clone()], &self.far[range.clone()], &self.name[range]);
        let offsets = offsets_of(nodes);
        let mut next = offsets.clone();
        let first_node = (slice * SLICE_NODES) as u32;
        let self_loops =
            nodes.iter().zip(fars).filter(|(node, far)| first_node + u32::from(**node) == **far).count();
        let mut sorted = SortedSlice { self_loops: self_loops as u32, ..SortedSlice::default() };
        if ordered {
            (sorted.far, sorted.names) = (vec![0; nodes.len()], vec![0; nodes.len()]);
            for ((node, far), name) in nodes.iter().zip(fars).zip(names) {
                let slot = next[usize::from(*node)] as usize;
                next[usize::from(*node)] += 1;
                sorted.far[slot] = *far;
                sorted.names[slot] = *name;
            }
        } else {
            let mut keys = vec![0u64; nodes.len()];
            for ((node, far), name) in nodes.iter().zip(fars).zip(names) {
                let slot = next[usize::from(*node)] as usize;
                next[usize::from(*node)] += 1;
                keys[slot] = u64::from(*far) << 32 | u64::from(*name);
            }
            for list in offsets.windows(2) {
                keys[list[0] as usize..list[1] as usize].sort_unstable();
            }
            sorted.far = keys.iter().map(|key| (key >> 32) as u32).collect();
            sorted.names = keys.iter().map(|key| *key as u32).collect();
        }
        sorted.offsets = offsets;
        sorted
    }
}

fn offsets_of(nodes: &[u16]) -> Vec<u32> {
    let mut offsets = vec![0u32; SLICE_NODES + 1];
    nodes.iter().for_each(|node| offsets[usize::from(*node) + 1] += 1);
    let mut sum = 0;
    for offset in &mut offsets {
        sum += *offset;
        *offset = sum;
    }
    offsets
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn sorted_edges(nodes: &[u32], fars: &[u32], slices: usize, parts: usize) -> Vec<(u32, u32, u32)> {
        let counts = count_slices(std::iter::once(nodes), slices);
        let mut out = Vec::new();
        for range in shares(&counts, parts) {
            let dealt = deal(&counts, range, &|sink| sink(nodes, fars));
            for slice in dealt.slices() {
                let sorted = dealt.sort_slice(slice, false);
                for (node, list) in sorted.offsets.windows(2).enumerate() {
                    for entry in list[0] as usize..list[1] as usize {
                        out.push((
                            (slice * SLICE_NODES + node) as u32,
                            sorted.far[entry],
                            sorted.names[entry],
                        ));
                    }
                }
            }
        }
        out
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(32))]
        #[test]
        fn dealing_and_counting_sorts(edges in prop::collection::vec((0u32..40_000, 0u32..50), 0..500), parts in 1usize..5) {
            let nodes: Vec<u32> = edges.iter().map(|edge| edge.0).collect();
            let fars: Vec<u32> = edges.iter().map(|edge| edge.1).collect();
            let mut expected: Vec<_> =
                edges.iter().enumerate().map(|(name, (node, far))| (*node, *far, name as u32)).collect();
            expected.sort_unstable();
            prop_assert_eq!(sorted_edges(&nodes, &fars, 5, parts), expected);
        }

        #[test]
        fn shares_cover_all_slices(counts in prop::collection::vec(0usize..100, 1..40), parts in 1usize..6) {
            let ranges = shares(&counts, parts);
            prop_assert!(ranges.len() <= parts);
            let covered: Vec<usize> = ranges.into_iter().flatten().collect();
            prop_assert_eq!(covered, (0..counts.len()).collect::<Vec<_>>());
        }
    }
}
