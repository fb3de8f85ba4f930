//! What the mechanisms of a query did, for `PROFILE` and for tests that fail when a mechanism is idle.

use std::sync::atomic::{AtomicU64, Ordering};

macro_rules! counters {
    ($($(#[$doc:meta])* $name:ident),* $(,)?) => {
        /// Counters of one query, added to by all its workers.
        #[derive(Debug, Default)]
        pub struct Counters { $($(#[$doc])* pub $name: AtomicU64),* }

        impl Counters {
            /// Names and values, in order of declaration.
            pub fn list(&self) -> Vec<(&'static str, u64)> {
                vec![$((stringify!($name), self.$name.load(Ordering::Relaxed))),*]
            }
        }
    };
}

counters! {
    /// Node groups that zone maps left out.
    groups_skipped,
    /// Row groups of which zone maps said all that was asked.
    groups_answered_by_zone_map,
    /// Rows that scans looked at, whether they passed the predicates or not; those of skipped groups are not among them.
    rows_scanned,
    /// Rows that stand for several, by their multiplicity: how many they stand for.
    rows_represented,
    /// Rows that expansions wrote out one by one.
    rows_materialized,
    /// Adjacency groups read as they lie.
    groups_borrowed,
    /// Adjacency groups with several runs, or under changes that no page has yet.
    groups_merged,
    /// Row groups under changes that no page has yet.
    groups_with_levels,
    /// Rows looked at that no page has yet.
    births_scanned,
    /// Columns of batches into which new values were put.
    batches_patched,
    /// Patches beside chunks that were put over columns of scans.
    patch_segments_read,
    /// Lists that were read as changes make them.
    changed_lists,
    /// Steps of message passing.
    messages_passed,
    /// Steps that were pushed up from few nodes instead of gathered by all.
    messages_scattered,
    /// Signed terms by which trails and `<>` between nodes are counted, where there are several.
    signed_terms,
    /// Predicates on nodes that were turned into one bit per node.
    node_bitmaps,
    /// Message steps answered by list lengths alone.
    degrees_multiplied,
    /// Neighbours that a bitmap of wanted nodes left out.
    neighbours_filtered,
    /// Rows and neighbours that the bitmap of a join's build side left out on its probe side.
    rows_skipped_by_bitmap,
    /// Plans that were run again without arrays of counts and sorted lists, because there was no room for them.
    arrays_given_up,
    /// Windows of scans that were cut because of wide values.
    windows_cut,
    /// Pieces that batches were cut into because of wide values.
    pieces_cut,
    /// Rows for which others were counted in sorted lists.
    rows_counted_in_order,
    /// Message steps for which relationships were scanned instead of reading lists.
    rels_scattered,
    /// Lists that were intersected.
    lists_intersected,
    /// Rows that a sort has put in order by the first words of two keys.
    rows_sorted_by_two_prefixes,
    /// Lists that met one which stayed from row to row and was marked in bits.
    lists_marked,
    /// Groupings by an array over node offsets.
    dense_groupings,
    /// Batches grouped by dictionary codes.
    dictionary_groupings,
    /// Batches grouped by small codes of all key columns side by side.
    coded_groupings,
    /// Batches hashed by the numbers of their texts beside other keys.
    numbered_groupings,
    /// Batches grouped by the first rows of runs with the same keys.
    run_groupings,
    /// Batches whose distinct nodes were remembered as bits.
    dense_distincts,
    /// Batches whose distinct integers were remembered as bits.
    integer_distincts,
    /// Different rows that went on before all were there, since a LIMIT asks for no more than some.
    rows_first_distinct,
    /// Rows that were parted by a hash without being grouped first, since nearly each makes a group of its own.
    rows_passed_ungrouped,
    /// Hash partitions of groups, or of distinct values, that were put together side by side.
    partitions_grouped,
    /// Properties gathered for survivors only.
    rows_fetched,
    /// Columns that were decoded once because more of their rows were asked for than there are.
    columns_kept,
    /// Lookups in a key index.
    key_lookups,
    /// Nodes that a breadth-first search went on from, each once per start.
    nodes_visited,
    /// Levels of a breadth-first search that were searched from the nodes not reached yet.
    levels_bottom_up,
    /// Breadth-first searches from up to 64 starts at once.
    multi_source_searches,
    /// Searches from both ends that met.
    bidirectional_meets,
    /// Nodes that the enumeration of paths went on from, once per path.
    nodes_expanded,
    /// Rows that a top-k heap turned away.
    rows_cut_by_top_k,
    /// Rows that a sub-plan was asked about.
    rows_numbered,
    /// Times that a sub-plan was left since something was found for all of its rows.
    sub_plans_left,
    /// Rows with a list that was kept for a row before them.
    lists_shared,
    /// Lists that were prepared for IN, so that rows need not go through them.
    sets_prepared,
    /// Pairs of nodes that were looked for an edge in the bits of a list of neighbours.
    edges_looked_up,
    /// Rows that were settled by an array of counts.
    rows_weighed,
    /// Bytes of rows that operators put aside because memory was short.
    bytes_spilled,
    /// Bytes of rows that were read again after they had been put aside.
    bytes_read_back,
    /// Sorted runs and hash partitions that they were put aside in.
    partitions_spilled,
    /// Pieces of a product's side that was put aside, each of which met all of the other side.
    products_in_pieces,
    /// Times that rows inside a sub-plan were joined with partitions of a side that was put aside.
    batches_joined_with_parts,
    /// Rows of hash join build sides.
    rows_built,
    /// Rows that looked for others in a hash join's build side.
    rows_probed,
    /// Rows that were kept once for a query about all of them.
    rows_shared,
    /// Nodes that weighted searches went on from, once per start and cheapest way.
    nodes_settled,
    /// Executions that looked one node up on the calling thread, without a pipeline.
    point_lookups,
    /// Batches of rows that were handed over while their query ran.
    batches_streamed,
    /// Times that a thread of a query waited for the reader of its rows.
    waits_for_reader,
    /// Morsels run by threads other than the calling one.
    morsels_stolen,
}

/// Adds to a counter.
#[inline]
pub fn count(counter: &AtomicU64, by: u64) {
    counter.fetch_add(by, Ordering::Relaxed);
}
