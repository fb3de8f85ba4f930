//! From meaning to an order of work: a logical plan over variables (factorized and ordered by cost), lowered to a
//! physical plan over column positions. Knows statistics and schemas, no pages and no values of rows.

mod aggregate_apart;
mod build;
mod canonical;
mod cardinality;
mod common;
mod constants;
mod count_join;
mod decorrelate;
mod deep_stack;
mod enumerate;
mod error;
pub mod explain;
mod factorize;
mod figures;
mod hops;
mod implied;
mod join_order;
mod keys;
mod left_counts;
pub mod logical_plan;
mod lower;
mod lower_check;
mod lower_expression;
mod lower_join;
mod lower_messages;
mod lower_projection;
mod lower_scan;
mod lower_subquery;
mod lower_write;
mod physical_expression;
mod physical_parts;
pub mod physical_plan;
mod physical_recursion;
mod physical_write;
mod projection;
mod query_graph;
mod ranges;
mod recursion;
mod rewrite;
mod saturated;
mod selectivity;
mod simplify;
mod subquery;
mod unnest;
mod unroll;
mod write;

pub use cardinality::Estimator;
pub use deep_stack::{on_stack_for, stack_for};
pub use error::PlanError;
pub use explain::{explain, explain_with, inputs};
pub use lower_check::lower_checks;
pub use physical_plan::PhysicalPlan;

use crate::binder::bound::BoundQuery;
use crate::catalog::{Catalog, Statistics};

use std::collections::BTreeSet;

use crate::binder::bound::VariableId;
use logical_plan::{LogicalPlan, SettleKind};

/// What `inputs_of` and `inputs_mut` share: the plans below a node, by reference of either kind.
macro_rules! inputs {
    ($plan:expr, $iter:ident, $as:ident) => {{
        use LogicalPlan as L;
        // Walks meet many nodes: a list of the inputs of each would be one on the heap.
        let (first, second, rest) = match $plan {
            L::Unit
            | L::Kept { .. }
            | L::Shared { .. }
            | L::ScanNodes { .. }
            | L::ScanWeighted { .. }
            | L::ScanRels { .. } => (None, None, None),
            L::LookupNode { input, .. }
            | L::LookupElements { input, .. }
            | L::Expand { input, .. }
            | L::ExpandInto { input, .. }
            | L::Intersect { input, .. }
            | L::ExpandRecursive { input, .. }
            | L::Weight { input, .. }
            | L::Joining { input, .. }
            | L::Filter { input, .. }
            | L::DistinctRels { input, .. }
            | L::Project { input, .. }
            | L::Aggregate { input, .. }
            | L::Distinct { input, .. }
            | L::Sort { input, .. }
            | L::TopK { input, .. }
            | L::Limit { input, .. }
            | L::Unwind { input, .. }
            | L::BuildPath { input, .. }
            | L::Number { input, .. }
            | L::LimitEach { input, .. }
            | L::Weigh { input, .. }
            | L::HasEdge { input, .. }
            | L::Settle { input, .. } => (Some(input.$as()), None, None),
            L::With { shared, input, .. } => (Some(shared.$as()), Some(input.$as()), None),
            L::HashJoin { probe, build, .. } | L::CountJoin { probe, build, .. } => {
                (Some(probe.$as()), Some(build.$as()), None)
            }
            L::CrossProduct { left, right } => (Some(left.$as()), Some(right.$as()), None),
            L::Union { inputs, .. } => (None, None, Some(inputs.$iter().map(|(plan, _)| plan))),
        };
        first.into_iter().chain(second).chain(rest.into_iter().flatten())
    }};
}

/// The plans below a node.
fn inputs_of(plan: &LogicalPlan) -> impl Iterator<Item = &LogicalPlan> {
    inputs!(plan, iter, as_ref)
}

/// The plans below a node, to be changed.
fn inputs_mut(plan: &mut LogicalPlan) -> impl Iterator<Item = &mut LogicalPlan> {
    inputs!(plan, iter_mut, as_mut)
}

/// The number of nodes on the longest way down a plan.
fn depth_of(plan: &LogicalPlan) -> usize {
    1 + inputs_of(plan).map(depth_of).max().unwrap_or(0)
}

/// The variables that are bound in a plan's rows.
fn bound_by(plan: &LogicalPlan) -> BTreeSet<VariableId> {
    let mut bound = BTreeSet::new();
    add_bound(plan, &mut bound);
    bound
}

fn add_bound(plan: &LogicalPlan, bound: &mut BTreeSet<VariableId>) {
    use LogicalPlan as L;
    match plan {
        L::Project { items, .. } => bound.extend(items.iter().map(|(variable, _)| *variable)),
        L::Aggregate { keys, aggregates, .. } => {
            bound.extend(keys.iter().map(|(variable, _)| *variable));
            bound.extend(aggregates.iter().map(|(variable, _)| *variable));
        }
        L::Distinct { variables, .. } => bound.extend(variables),
        L::Kept { variables, .. } => bound.extend(variables),
        L::Shared { row, variables, .. } => {
            bound.extend(variables);
            bound.insert(*row);
        }
        L::With { input, .. } => add_bound(input, bound),
        L::CountJoin { probe, .. } => add_bound(probe, bound),
        L::Union { inputs, .. } => bound.extend(inputs.iter().take(1).flat_map(|(_, outputs)| outputs)),
        L::Settle { input, row, outer, kind } => match kind {
            SettleKind::Optional | SettleKind::Beside => {
                let mut below = bound_by(input);
                below.remove(row);
                bound.extend(below);
            }
            SettleKind::Exists | SettleKind::Absent => bound.extend(outer),
            SettleKind::Counted(mark) => bound.extend(outer.iter().chain(mark)),
            SettleKind::Mark(variable)
            | SettleKind::Count(variable)
            | SettleKind::Collect { variable, .. } => {
                bound.extend(outer);
                bound.insert(*variable);
            }
        },
        _ => {
            inputs_of(plan).for_each(|input| add_bound(input, bound));
            match plan {
                L::ScanNodes { variable, .. }
                | L::ScanWeighted { variable, .. }
                | L::LookupNode { variable, .. }
                | L::LookupElements { variable, .. }
                | L::Unwind { variable, .. } => bound.extend([*variable]),
                L::ScanRels { edge, .. } | L::Expand { edge, .. } | L::ExpandInto { edge, .. } => {
                    bound.extend([edge.variable, edge.from, edge.to]);
                }
                L::ExpandRecursive { edge, .. } => {
                    bound.extend([edge.edge.variable, edge.edge.from, edge.edge.to]);
                }
                L::Intersect { edges, .. } => {
                    edges.iter().for_each(|edge| bound.extend([edge.variable, edge.to]));
                }
                L::BuildPath { path, .. } => bound.extend([path.variable]),
                L::Number { row, .. } => bound.extend([*row]),
                L::Weigh { kind, .. } | L::HasEdge { kind, .. } => bound.extend(kind.answer()),
                _ => {}
            }
        }
    }
}

/// Plans a query for one version of catalog and statistics.
pub fn plan(
    query: &BoundQuery,
    catalog: &Catalog,
    statistics: &Statistics,
) -> Result<PhysicalPlan, PlanError> {
    lower_query(query, order_query(query, catalog, statistics)?, catalog, statistics)
}

/// Plans a query without arrays of counts and sorted lists, which cannot be put aside, once there was no room for them.
pub fn plan_for_little_memory(
    query: &BoundQuery,
    catalog: &Catalog,
    statistics: &Statistics,
) -> Result<PhysicalPlan, PlanError> {
    let ordered = order(query, Estimator { catalog, statistics, arrays: false })?;
    lower_query(query, ordered, catalog, statistics)
}

/// A query whose work has an order and whose columns have no positions yet.
pub struct OrderedQuery(build::Built);

/// The first half of `plan`: what is done, and in which order.
pub fn order_query(
    query: &BoundQuery,
    catalog: &Catalog,
    statistics: &Statistics,
) -> Result<OrderedQuery, PlanError> {
    order(query, Estimator { catalog, statistics, arrays: true })
}

fn order(query: &BoundQuery, estimator: Estimator<'_>) -> Result<OrderedQuery, PlanError> {
    // A plan has a few operators per variable at most.
    deep_stack::on_stack_for(query.variables.len(), || build::build(query, estimator)).map(OrderedQuery)
}

/// The second half of `plan`: where each column stands, and which properties are read where.
pub fn lower_query(
    query: &BoundQuery,
    OrderedQuery(built): OrderedQuery,
    catalog: &Catalog,
    statistics: &Statistics,
) -> Result<PhysicalPlan, PlanError> {
    // Sub-plans stand one on the other, so that few variables can make a deep plan.
    let inputs = built.stages.iter().map(|stage| depth_of(&stage.input));
    let depth = inputs.chain([depth_of(&built.plan), query.variables.len()]).max().unwrap_or(0);
    let (root, stages) = deep_stack::on_stack_for(depth, || {
        lower::lower(&built, Estimator { catalog, statistics, arrays: true })
    })?;
    Ok(PhysicalPlan {
        root,
        columns: query.columns.clone(),
        parameters: query.parameters.clone(),
        stages,
        checks: lower_checks(&query.checks, &query.variables, catalog, statistics)?,
        returns: query.returns,
        logical: built.plan,
    })
}
