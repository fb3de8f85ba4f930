//! Running plans: pipelines of vectorized operators that push borrowed batches, over morsels, on all threads. Where
//! only numbers of matches are asked for, rows are represented by multiplicities and never written out.
//!
//! `build` cuts a plan into pipelines and `pipeline` drives them; every other file is one operator, or one structure
//! that operators share.

mod aggregate;
mod build;
mod byte_keys;
mod check;
mod chunks;
mod coded_keys;
mod collected;
mod context;
pub mod copy;
mod count_join;
mod counted_rows;
mod counters;
mod degrees;
mod distinct_rels;
mod distinct_values;
pub mod entities;
mod error;
mod evaluate;
mod evaluate_case;
mod evaluate_lists;
mod evaluate_paths;
mod expand;
mod fetch;
mod filter;
mod group_index;
mod growing_table;
mod has_edge;
mod integer_bits;
mod intersect;
mod join;
mod joining;
mod key_table;
mod limit;
mod list_watch;
mod lists;
mod lookup;
mod lookup_elements;
mod messages;
mod node_bits;
mod operator;
mod partitioned;
mod pieces;
mod pipeline;
mod point;
mod profile;
mod progress;
mod project;
mod recursive;
mod row_weights;
mod rows;
mod scan_nodes;
mod scan_weighted;
mod scatter;
mod scatter_scan;
mod settle;
mod shared_rows;
mod sort;
mod spill;
mod stream;
mod summaries;
#[cfg(test)]
mod tests;
mod text_keys;
mod text_numbers;
mod unfold;
mod unwind;
mod weigh;
mod whole_columns;
pub mod write;

pub use chunks::Chunk;
pub use context::{Context, QueryContext};
pub use counters::Counters;
pub use error::{ExecutionError, ExecutionResult};
pub use profile::Profile;
pub use progress::{QueryProgress, QueryProgressCallback, WorkDone};
pub use stream::{RowQueue, stream};

use std::sync::atomic::Ordering;

use crate::planner::{PhysicalPlan, on_stack_for};

/// The rows of a finished query. Nodes, relationships and paths are ids; `entities` completes them.
pub struct QueryRows {
    pub chunks: Vec<Chunk>,
}

impl QueryRows {
    /// All rows.
    pub fn row_count(&self) -> usize {
        self.chunks.iter().map(|chunk| chunk.rows).sum()
    }
}

/// The rows of a plan that is so small that it needs no pipeline.
pub fn execute_point(plan: &PhysicalPlan, query: &QueryContext) -> ExecutionResult<Option<QueryRows>> {
    Ok(point::rows_of(&plan.root, query)?.map(|chunks| QueryRows { chunks }))
}

/// Runs a plan to its end.
pub fn execute(plan: &PhysicalPlan, query: &QueryContext) -> ExecutionResult<QueryRows> {
    if let Some(rows) = execute_point(plan, query)? {
        return Ok(rows);
    }
    let depth = plan.root.depth;
    query.depth.store(depth, Ordering::Relaxed);
    let list = on_stack_for(depth, || build::collect(&plan.root, query, true));
    let list = list.map_err(|error| query.told(error))?;
    Ok(QueryRows { chunks: list.chunks })
}
