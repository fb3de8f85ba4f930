//! From a plan to running pipelines. Streaming nodes wrap the factory of what follows them; a node that must see all
//! its input runs the pipeline below it first and becomes the source of the next one.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use parking_lot::Mutex;

use super::aggregate::{FIRST_MAX, FirstRows, Grouping};
use super::chunks::{ChunkList, ChunkSource, Collect, MayPutAside};
use super::context::QueryContext;
use super::count_join::count_join;
use super::counters::count;
use super::distinct_rels::DistinctRels;
use super::error::{ExecutionError, ExecutionResult};
use super::evaluate::{Evaluator, constant_value};
use super::expand::{Expand, ExpandInto};
use super::fetch::Fetch;
use super::filter::Filter;
use super::has_edge::HasEdge;
use super::intersect::Intersect;
use super::join::{cross_product, hash_join};
use super::joining::{Joining, bitmap_of};
use super::limit::{Budget, Limit};
use super::lookup::{ListedNodes, LookupNode};
use super::lookup_elements::LookupElements;
use super::node_bits::node_bits;
use super::operator::{Factory, Next};
use super::pipeline::drive;
use super::profile::Tap;
use super::project::Project;
use super::recursive::run_recursion;
use super::scan_nodes::ScanRows;
use super::scan_weighted::{ScanWeighted, Weight, WeightTable};
use super::settle::{Number, Settle};
use super::shared_rows::{LimitEach, SharedRows};
use super::sort::Sorting;
use super::summaries::asked_by;
use super::unfold::Unfold;
use super::unwind::Unwind;
use super::weigh::Weigh;
use crate::planner::inputs;
use crate::planner::physical_plan::{
    Expression, ExpressionKind, KeyKind, PhysicalOperator, PhysicalSettle, PlanNode,
};
use crate::storage::memory::Meter;
use crate::storage::table::Asked;
use crate::types::{ColumnId, DST_COLUMN, SRC_COLUMN, Value};

/// Runs a node and pushes its rows into instances of `sink`; under PROFILE they are counted on their way.
pub fn run<'x>(node: &'x PlanNode, query: &'x QueryContext, sink: &'x Factory<'x>) -> ExecutionResult<()> {
    run_asked(node, None, query, sink)
}

/// Likewise, for somebody who asks no more than that of the columns; then a scan may put groups out in short.
fn run_asked<'x>(
    node: &'x PlanNode,
    asked: Option<&[Asked]>,
    query: &'x QueryContext,
    sink: &'x Factory<'x>,
) -> ExecutionResult<()> {
    let profile = query.profile.as_ref();
    match profile.and_then(|profile| Some((profile, profile.counts(node)?))) {
        None => run_node(node, asked, query, sink),
        Some((profile, counts)) => counts.timed(profile, || {
            run_node(node, asked, query, &|| Ok(Box::new(Tap::new(counts, sink()?)) as Next<'_>))
        }),
    }
}

fn run_node<'x>(
    node: &'x PlanNode,
    asked: Option<&[Asked]>,
    query: &'x QueryContext,
    sink: &'x Factory<'x>,
) -> ExecutionResult<()> {
    use PhysicalOperator as P;
    expect_rows(node, query);
    if query.progress.is_some() && inputs(&node.operator).is_empty() {
        query.enter(node);
    }
    match &node.operator {
        P::Unit => {
            let one = [super::chunks::Chunk { columns: vec![], rows: 1, multiplicity: vec![] }];
            drive(query, &ChunkSource::new(&one, true), sink)
        }
        P::Kept { slot, .. } => {
            let nothing = ChunkList::default();
            drive(query, &ChunkSource::of(query.kept.get(*slot).unwrap_or(&nothing)), sink)
        }
        P::ScanNodes { tables, filter } => {
            let scan = ScanRows::new(tables, filter.as_ref(), &[], query)?;
            drive(query, &in_short(for_reader(scan, node, query), asked)?, sink)
        }
        P::ScanRels { tables, emit_ends, filter, .. } => {
            let ends = [(emit_ends[0], SRC_COLUMN), (emit_ends[1], DST_COLUMN)];
            let ends: Vec<ColumnId> =
                ends.iter().filter(|(emit, _)| *emit).map(|(_, column)| *column).collect();
            let scan = ScanRows::new(tables, filter.as_ref(), &ends, query)?;
            drive(query, &in_short(for_reader(scan, node, query), asked)?, sink)
        }
        P::ScanWeighted { tables, terms } => {
            drive(query, &ScanWeighted::new(tables, terms, false, query)?, sink)
        }
        P::LookupNodes { table, list } => drive(query, &ListedNodes::new(*table, list, query)?, sink),
        P::LookupNode { input, keep, table, key } => run(input, query, &|| {
            Ok(Box::new(LookupNode::new(*table, key, keep, query, sink()?)?) as Next<'_>)
        }),
        P::LookupElements { input, keep, table, list } => run(input, query, &|| {
            let lookup = LookupElements::new(*table, list, keep, query, sink()?)?;
            Ok(Box::new(lookup) as Next<'_>)
        }),
        P::Fetch { input, column, columns } => {
            run(input, query, &|| Ok(Box::new(Fetch::new(*column, columns, query, sink()?)?) as Next<'_>))
        }
        P::Expand { input, keep, from, edge, emit_id, target, joining } => {
            let bits = target.as_ref().map(|target| node_bits(&target.tables, target.filter.as_ref(), query));
            let bits = bits.transpose()?;
            run(input, query, &|| {
                let expand = Expand::new(*from, edge, *emit_id, keep, query, sink()?)?;
                let joining = joining.and_then(|join| bitmap_of(join, query));
                Ok(Box::new(expand.only(bits.as_ref(), joining)) as Next<'_>)
            })
        }
        P::ExpandInto { input, keep, from, to, edge, emit_id } => run(input, query, &|| {
            Ok(Box::new(ExpandInto::new(*from, *to, edge, *emit_id, keep, query, sink()?)?) as Next<'_>)
        }),
        P::Intersect { input, keep, from, edges, exclusions } => run(input, query, &|| {
            Ok(Box::new(Intersect::new(from, edges, exclusions, keep, query, sink()?)?) as Next<'_>)
        }),
        P::ExpandRecursive { input, recursion } => {
            run_recursion(input, recursion, query.meter(node), query, sink)
        }
        P::Weight { input, column, terms } => {
            let table = WeightTable::new(terms, query)?;
            run(input, query, &|| Ok(Box::new(Weight::new(*column, &table, sink()?)) as Next<'_>))
        }
        P::Filter { input, predicate } => run(input, query, &|| {
            let filter = Filter::new(Evaluator::new(predicate, query)?, sink()?);
            Ok(each_row(predicate.is_volatile(), Box::new(filter)))
        }),
        P::DistinctRels { input, sets } => {
            run(input, query, &|| Ok(Box::new(DistinctRels::new(sets, sink()?)) as Next<'_>))
        }
        P::Project { input, expressions } => run(input, query, &|| {
            let project = Project::new(Evaluator::all(expressions, query)?, sink()?);
            Ok(each_row(expressions.iter().any(Expression::is_volatile), Box::new(project)))
        }),
        P::Unwind { input, keep, list } => run(input, query, &|| {
            let unwind = Unwind::new(Evaluator::new(list, query)?, &list.data_type, keep, sink()?);
            Ok(each_row(list.is_volatile(), Box::new(unwind)))
        }),
        P::HashJoin { probe, build, probe_keys, build_keys, bitmap } => {
            hash_join((probe, probe_keys), (build, build_keys), *bitmap, query.meter(node), query, sink)
        }
        P::CountJoin { probe, build, how } => count_join(probe, build, how, query, sink),
        P::Joining { input, column, join } => {
            run(input, query, &|| Ok(Box::new(Joining::new(*column, *join, query, sink()?)) as Next<'_>))
        }
        P::CrossProduct { left, right } => cross_product(left, right, query.meter(node), query, sink),
        P::Aggregate { input, keys, aggregates, key_kind } => {
            let grouping = Grouping::new(keys, aggregates, key_kind, query.meter(node));
            // The only column is a node's id, which is never null: `count(n)` is `count(*)`.
            let counts_only = aggregates.iter().all(|aggregate| {
                let rows = |argument: &Expression| matches!(argument.kind, ExpressionKind::Column(_));
                aggregate.function.name == "count"
                    && !aggregate.distinct
                    && aggregate.arguments.iter().all(rows)
            });
            let repeats = |name: &str| !matches!(name, "count" | "sum" | "avg" | "min" | "max");
            let unfold = keys.iter().any(Expression::is_volatile)
                || aggregates.iter().any(|aggregate| {
                    aggregate.arguments.iter().any(Expression::is_volatile)
                        || repeats(aggregate.function.name) && !aggregate.distinct
                });
            let group = || Ok(each_row(unfold, Box::new(grouping.sink(query)?)));
            match &input.operator {
                P::ScanWeighted { tables, terms } if keys.is_empty() && counts_only => {
                    drive(query, &ScanWeighted::new(tables, terms, true, query)?, &group)?;
                }
                _ => {
                    let asked = asked_by(keys, aggregates, input.outputs.len());
                    run_asked(input, asked.as_deref(), query, &group)?;
                }
            }
            query.enter(node);
            grouping.emit(query, sink)
        }
        P::Distinct { input, key_kind, first } => {
            let mut wanted = (!first.is_empty()).then_some(0u64);
            for rows in first {
                let more = rows_of(Some(rows), "LIMIT", query)?;
                wanted = wanted.zip(more).map(|(wanted, more)| wanted.saturating_add(more));
            }
            let wanted = wanted.filter(|wanted| *wanted <= FIRST_MAX && !input.outputs.is_empty());
            distinct((node, input), (key_kind, wanted), query, sink)
        }
        P::Sort { input, keys } => {
            let sorting = Sorting::new(keys, &input.outputs, None, query.meter(node));
            run(input, query, &|| Ok(Box::new(Unfold::new(Box::new(sorting.sink(query)?))) as Next<'_>))?;
            query.enter(node);
            sorting.emit(0, query, sink)
        }
        P::TopK { input, keys, skip, limit } => {
            let (skip, limit) =
                (rows_of(skip.as_ref(), "SKIP", query)?, rows_of(Some(limit), "LIMIT", query)?);
            let (skip, limit) = (skip.unwrap_or(0), limit.unwrap_or(u64::MAX));
            let most = usize::try_from(skip.saturating_add(limit)).unwrap_or(usize::MAX);
            let sorting = Sorting::new(keys, &input.outputs, Some(most), query.meter(node));
            run(input, query, &|| Ok(Box::new(Unfold::new(Box::new(sorting.sink(query)?))) as Next<'_>))?;
            query.enter(node);
            sorting.emit(usize::try_from(skip).unwrap_or(usize::MAX), query, sink)
        }
        P::Limit { input, skip, limit, .. } => {
            let skip = rows_of(skip.as_ref(), "SKIP", query)?.unwrap_or(0);
            let budget = Budget::new(skip, rows_of(limit.as_ref(), "LIMIT", query)?);
            run(input, query, &|| {
                Ok(Box::new(Unfold::new(Box::new(Limit::new(&budget, sink()?)))) as Next<'_>)
            })
        }
        P::Number { input, name, multiplied } => {
            let gathers = query.gathers(*name);
            run(input, query, &|| {
                let number = Number::new(*name, *multiplied, sink()?);
                let number = match gathers {
                    true => number.gathering(&input.outputs, query),
                    false if query.goes_in_pieces(*name) => number.in_pieces(),
                    false => number,
                };
                Ok(Box::new(number) as Next<'_>)
            })
        }
        P::Weigh { input, column, terms, answer } => {
            let table = WeightTable::new(terms, query)?;
            run(input, query, &|| Ok(Box::new(Weigh::new(*column, &table, *answer, sink()?)) as Next<'_>))
        }
        P::HasEdge { input, ends, edges, answer } => run(input, query, &|| {
            Ok(Box::new(HasEdge::new(*ends, edges, *answer, query, sink()?)?) as Next<'_>)
        }),
        P::With { shared, input, name } => {
            let mut rows = collect_with(shared, query, false, MayPutAside::Yes, query.meter(node))?;
            rows.look("keeping rows for a sub-query", MayPutAside::Yes, query)?;
            count(&query.counters.rows_shared, (0..rows.pieces()).map(|at| rows.piece_rows(at) as u64).sum());
            query.shared.lock().insert(*name, Arc::new(rows));
            let outcome = run(input, query, sink);
            query.shared.lock().remove(name);
            outcome
        }
        P::Shared { name, multiplied } => {
            let rows = query.shared.lock().get(name).cloned().unwrap_or_default();
            drive(query, &SharedRows::new(&rows, *multiplied), sink)
        }
        P::LimitEach { input, column, skip, limit } => {
            let skip = rows_of(skip.as_ref(), "SKIP", query)?.unwrap_or(0);
            let limit = rows_of(limit.as_ref(), "LIMIT", query)?;
            run(input, query, &|| {
                let each: Next<'_> = Box::new(LimitEach::new(*column, skip, limit, sink()?));
                Ok(Box::new(Unfold::new(each)))
            })
        }
        P::Settle { input, name, row, kind } => {
            let may_leave = matches!(kind, PhysicalSettle::Semi { .. } | PhysicalSettle::Mark { .. });
            if may_leave || matches!(kind, PhysicalSettle::Collect { .. }) {
                query.cut_into_pieces(*name);
            }
            let may_leave = may_leave && may_be_left(input, *name);
            run(input, query, &|| {
                let settle = Settle::new(*name, *row, kind, query, sink()?)?;
                Ok(Box::new(settle.leaving(may_leave)) as Next<'_>)
            })
        }
        P::Union { inputs } => {
            let types = &node.outputs;
            let (gathered, meter) = (Mutex::new(ChunkList::default()), query.meter(node));
            for input in inputs {
                run(input, query, &|| {
                    let keep = Collect::new(types, &gathered, MayPutAside::Yes, meter.clone());
                    Ok(Box::new(Unfold::new(Box::new(keep))) as Next<'_>)
                })?;
            }
            query.enter(node);
            drive(query, &ChunkSource::of(&gathered.into_inner()), sink)
        }
    }
}

/// Whether all operators of a sub-plan take up the next rows as if nothing had been when they were stopped.
fn may_be_left(node: &PlanNode, name: u32) -> bool {
    use PhysicalOperator as P;
    match &node.operator {
        P::Number { name: own, .. } => *own == name,
        P::Expand { input, .. }
        | P::ExpandInto { input, .. }
        | P::Intersect { input, .. }
        | P::Filter { input, .. }
        | P::Project { input, .. }
        | P::DistinctRels { input, .. }
        | P::Joining { input, .. }
        | P::LookupNode { input, .. }
        | P::LookupElements { input, .. }
        | P::Fetch { input, .. } => may_be_left(input, name),
        _ => false,
    }
}

fn for_reader<'x>(scan: ScanRows<'x>, node: &'x PlanNode, query: &QueryContext) -> ScanRows<'x> {
    let streamed = query.streamed.load(Ordering::Relaxed) == std::ptr::from_ref(node) as usize;
    if streamed { scan.for_reader(&node.outputs) } else { scan }
}

fn in_short<'x>(scan: ScanRows<'x>, asked: Option<&[Asked]>) -> ExecutionResult<ScanRows<'x>> {
    match asked {
        Some(asked) => scan.in_short(asked),
        None => Ok(scan),
    }
}

/// Unfolds rows before an operator that treats each of them by itself.
fn each_row<'x>(unfold: bool, operator: Next<'x>) -> Next<'x> {
    if unfold { Box::new(Unfold::new(operator)) } else { operator }
}

/// All rows of a node; `unfold` writes out rows that stand for several.
pub fn collect(node: &PlanNode, query: &QueryContext, unfold: bool) -> ExecutionResult<ChunkList> {
    collect_with(node, query, unfold, MayPutAside::No, None)
}

/// All rows of a node, each for itself; they are put aside where memory is short.
pub fn collect_aside(node: &PlanNode, query: &QueryContext) -> ExecutionResult<ChunkList> {
    collect_with(node, query, true, MayPutAside::Yes, None)
}

pub(super) fn collect_with(
    node: &PlanNode,
    query: &QueryContext,
    unfold: bool,
    may: MayPutAside,
    meter: Option<Arc<Meter>>,
) -> ExecutionResult<ChunkList> {
    let gathered = Mutex::new(ChunkList::default());
    let around = query.pipeline_rows.swap(0, Ordering::Relaxed);
    let outcome = run(node, query, &|| {
        let sink: Next<'_> = Box::new(Collect::new(&node.outputs, &gathered, may, meter.clone()));
        Ok(each_row(unfold, sink))
    });
    query.pipeline_rows.store(around, Ordering::Relaxed);
    outcome?;
    Ok(gathered.into_inner())
}

/// Notes how much work the pipeline of a node is estimated to be, for the source that it ends at.
fn expect_rows(node: &PlanNode, query: &QueryContext) {
    use PhysicalOperator as P;
    match node.operator {
        // What follows these is another pipeline, or takes only some of the rows.
        P::Aggregate { .. }
        | P::Distinct { .. }
        | P::Sort { .. }
        | P::TopK { .. }
        | P::Limit { .. }
        | P::Union { .. } => query.pipeline_rows.store(0, Ordering::Relaxed),
        _ => {
            query.pipeline_rows.fetch_max(node.estimated_rows as u64, Ordering::Relaxed);
        }
    }
}

fn distinct<'x>(
    (node, input): (&'x PlanNode, &'x PlanNode),
    (key_kind, wanted): (&'x KeyKind, Option<u64>),
    query: &'x QueryContext,
    sink: &'x Factory<'x>,
) -> ExecutionResult<()> {
    let column = |(at, data_type): (usize, &crate::types::DataType)| Expression {
        kind: ExpressionKind::Column(at),
        data_type: data_type.clone(),
    };
    let keys: Vec<Expression> = input.outputs.iter().enumerate().map(column).collect();
    let grouping = Grouping::new(&keys, &[], key_kind, query.meter(node));
    if let Some(wanted) = wanted {
        let first = FirstRows::new(&grouping, wanted);
        return run(input, query, &|| Ok(Box::new(first.operator(query, sink()?)) as Next<'_>));
    }
    run(input, query, &|| Ok(Box::new(grouping.sink(query)?) as Next<'_>))?;
    query.enter(node);
    grouping.emit(query, sink)
}

/// The value of SKIP or LIMIT.
fn rows_of(
    expression: Option<&Expression>,
    clause: &'static str,
    query: &QueryContext,
) -> ExecutionResult<Option<u64>> {
    let Some(expression) = expression else { return Ok(None) };
    let value = constant_value(expression, query)?;
    let rows = match &value {
        Value::Null => None,
        value => value.as_i64().and_then(|rows| u64::try_from(rows).ok()),
    };
    match rows {
        Some(rows) => Ok(Some(rows)),
        None => Err(ExecutionError::BadCount { clause, value: value.to_string() }),
    }
}
