//! Variable-length edges. Where only the ends are asked for, a breadth-first search visits each node once (`search`);
//! shortest paths follow from the levels around one end or both (`shortest`); weighted paths are found by Dijkstra's algorithm; all other modes enumerate paths depth first, streaming.

mod all_weighted;
mod costs;
mod ends;
mod enumerate;
mod levels;
mod many;
mod node_numbers;
mod search;
mod shortest;
mod starts;
mod weighted;

use std::sync::Arc;

use super::build::run;
use super::context::{Context, QueryContext};
use super::error::{ExecutionError, ExecutionResult};
use super::messages::{NodeWeights, weights_of};
use super::node_bits::node_bits;
use super::operator::{Factory, Flow, Next, Numbered, Operator};
use crate::planner::physical_plan::{PathMode, PhysicalCost, PhysicalRecursion, PlanNode};
use crate::storage::memory::{Meter, Reservation};
use crate::types::GlobalId;
use crate::vector::Batch;

use all_weighted::AllWeighted;
use ends::Ends;
use enumerate::Enumeration;
use many::Many;
use search::Search;
use shortest::Shortest;
use weighted::Weighted;

/// So many starts of one batch are searched from at once.
const MANY_STARTS: usize = 4;

/// Runs a variable-length edge over the rows of `input`.
pub(super) fn run_recursion<'x>(
    input: &'x PlanNode,
    spec: &'x PhysicalRecursion,
    meter: Option<Arc<Meter>>,
    query: &'x QueryContext,
    sink: &'x Factory<'x>,
) -> ExecutionResult<()> {
    let inner = spec.inner.as_ref().map(|inner| node_bits(&inner.tables, inner.filter.as_ref(), query));
    let inner = inner.transpose()?;
    let rules = Rules { spec, inner: inner.as_ref(), meter: meter.as_ref() };
    let expand = || Ok(Box::new(ExpandRecursive::new(rules, query, sink()?)?) as Next<'_>);
    if !starts::are_shared(input, query) {
        return run(input, query, &expand);
    }
    let ends_only = spec.mode == PathMode::Shortest || spec.distinct_ends;
    let many = spec.to.is_none() && ends_only && !spec.emit_path;
    starts::share(input, many, query, &expand)
}

/// What all kinds of recursion know of the edge.
#[derive(Clone, Copy)]
struct Rules<'x> {
    spec: &'x PhysicalRecursion,
    /// The nodes that may lie between the ends; all of them if there are none.
    inner: Option<&'x NodeWeights>,
    meter: Option<&'x Arc<Meter>>,
}

impl<'x> Rules<'x> {
    /// An account of what a search holds.
    fn account(&self, query: &QueryContext) -> SearchAccount {
        SearchAccount(query.account_of(self.meter))
    }

    /// What a relationship costs.
    fn cost(&self) -> ExecutionResult<&'x PhysicalCost> {
        let detail = || "a weighted path without a cost".to_owned();
        let cost = self.spec.cost.as_ref();
        cost.ok_or_else(|| ExecutionError::Internal { operator: "recursion", detail: detail() })
    }

    fn max_hops(&self) -> u32 {
        self.spec.max.unwrap_or(u32::MAX)
    }

    /// Whether a path may end at the node.
    fn wants(&self, node: u64, target: Option<u64>) -> bool {
        let table = GlobalId(node).table().0;
        target.is_none_or(|target| target == node)
            && self.spec.end_tables.iter().any(|known| known.0 & 0xFFFF == table)
    }

    /// Whether a path may go on from a node that is not its start.
    #[inline]
    fn passes(&self, node: u64) -> bool {
        let Some(inner) = self.inner else { return true };
        let id = GlobalId(node);
        weights_of(inner, id.table()).is_some_and(|weights| weights.get(id.offset()) != 0)
    }
}

/// What a search counts against the memory limit. It cannot put anything aside, since it needs all of it at random.
struct SearchAccount(Reservation);

impl SearchAccount {
    /// The search holds so many bytes now.
    fn hold(&mut self, bytes: usize) -> ExecutionResult<()> {
        Ok(self.0.hold("ExpandRecursive", bytes as u64)?)
    }
}

/// Where a path starts, and where it ends if that is known.
#[derive(Clone, Copy)]
struct Start {
    row: u32,
    node: u64,
    target: Option<u64>,
}

/// Expands a variable-length edge.
struct ExpandRecursive<'x> {
    spec: &'x PhysicalRecursion,
    way: Way<'x>,
    ends: Ends<'x>,
    rows: Vec<u32>,
}

enum Way<'x> {
    /// From one start by the first, from many at once by the second.
    Search(Box<Search<'x>>, Option<Box<Many<'x>>>),
    Shortest(Box<Shortest<'x>>),
    /// Between two nodes by the second, from a node back to itself by the first.
    Pairs(Box<Search<'x>>, Box<Shortest<'x>>),
    Weighted(Box<Weighted<'x>>),
    AllWeighted(Box<AllWeighted<'x>>),
    Enumerate(Box<Enumeration<'x>>),
}

impl<'x> ExpandRecursive<'x> {
    fn new(rules: Rules<'x>, query: &QueryContext, next: Next<'x>) -> ExecutionResult<ExpandRecursive<'x>> {
        let spec = rules.spec;
        let way = match spec.mode {
            PathMode::WeightedShortest => Way::Weighted(Box::new(Weighted::new(rules, query)?)),
            PathMode::AllWeightedShortest => Way::AllWeighted(Box::new(AllWeighted::new(rules, query)?)),
            PathMode::AllShortest if !spec.distinct_ends => {
                Way::Shortest(Box::new(Shortest::new(rules, query)?))
            }
            PathMode::Shortest if spec.emit_path => Way::Shortest(Box::new(Shortest::new(rules, query)?)),
            mode if mode.is_shortest() || spec.distinct_ends => {
                let search = Box::new(Search::new(rules, query)?);
                match spec.to {
                    Some(_) => Way::Pairs(search, Box::new(Shortest::new(rules, query)?)),
                    None => {
                        let many =
                            Many::fits(rules).then(|| Many::new(rules, query).map(Box::new)).transpose()?;
                        Way::Search(search, many)
                    }
                }
            }
            _ => Way::Enumerate(Box::new(Enumeration::new(rules, query)?)),
        };
        Ok(ExpandRecursive { spec, way, ends: Ends::new(spec, rules.account(query), next), rows: Vec::new() })
    }
}

impl Operator for ExpandRecursive<'_> {
    fn push<'b>(&mut self, context: &mut Context<'_>, batch: Batch<'b>) -> ExecutionResult<Flow> {
        let ExpandRecursive { spec, way, ends, rows } = self;
        rows.clear();
        batch.selection.indices(batch.length, rows);
        if let Way::Search(_, Some(many)) = way
            && rows.len() >= MANY_STARTS
        {
            let from = &batch.columns[spec.from];
            let starts = rows.iter().filter_map(|row| Some((*row, from.u64_at(*row as usize)?)));
            let starts: Vec<(u32, u64)> = starts.collect();
            for starts in starts.chunks(many::STARTS) {
                if many.run(starts, ends, context, &batch)? == Flow::Stop {
                    return Ok(Flow::Stop);
                }
            }
            return ends.flush(context, &batch);
        }
        for row in rows.iter() {
            let Some(node) = batch.columns[spec.from].u64_at(*row as usize) else { continue };
            let target = match spec.to {
                None => None,
                Some(to) => match batch.columns[to].u64_at(*row as usize) {
                    Some(target) => Some(target),
                    None => continue,
                },
            };
            let start = Start { row: *row, node, target };
            let flow = match way {
                Way::Search(search, _) => search.run(start, ends, context, &batch)?,
                Way::Shortest(search) => search.run(start, ends, context, &batch)?,
                Way::Pairs(search, _) if start.target == Some(start.node) => {
                    search.run(start, ends, context, &batch)?
                }
                Way::Pairs(_, shortest) => shortest.run(start, ends, context, &batch)?,
                Way::Weighted(search) => search.run(start, ends, context, &batch)?,
                Way::AllWeighted(search) => search.run(start, ends, context, &batch)?,
                Way::Enumerate(enumeration) => enumeration.run(start, ends, context, &batch)?,
            };
            if flow == Flow::Stop {
                return Ok(Flow::Stop);
            }
        }
        ends.flush(context, &batch)
    }

    fn settle<'b>(
        &mut self,
        context: &mut Context<'_>,
        rows: Numbered,
        batch: Batch<'b>,
    ) -> ExecutionResult<Flow> {
        self.ends.next.settle(context, rows, batch)
    }

    fn finish(&mut self, context: &mut Context<'_>) -> ExecutionResult<()> {
        self.ends.finish(context)
    }
}
