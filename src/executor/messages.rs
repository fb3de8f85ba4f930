//! Message passing: how many matches hang below each node, one dense array per step and O(edges) per hop. The root's
//! counts are computed morsel by morsel as they are needed; only inner steps keep arrays.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use parking_lot::Mutex;

use super::context::{Context, QueryContext};
use super::counters::count;
use super::degrees::{ListBounds, sum_of_products};
use super::error::{ExecutionError, ExecutionResult};
use super::intersect::Common;
use super::lists::{EdgeReader, LegReader, Matches};
use super::node_bits::node_bits;
use super::operator::{Flow, Nothing, Operator};
use super::pipeline::{Source, drive};
use super::scatter::{Sums, bits_of_few, few_nodes, scatter};
use super::scatter_scan::scatter_scanned;
use crate::planner::physical_plan::{Factor, PhysicalEdge, PhysicalMessage, PhysicalMessageEdge};
use crate::storage::memory::Reservation;
use crate::storage::table::Adjacency;
use crate::types::{GlobalId, NODE_GROUP_ROWS, TableId};

/// Nodes whose counts are computed together; divides a group.
pub const MORSEL_NODES: u64 = 4096;
/// Below this share of nodes that still count, lists are read one by one instead of in windows.
const SPARSE_SHARE: usize = 8;

/// What a node of one table weighs.
pub enum Weights {
    /// Every node once.
    Ones,
    /// Once where the bit is set.
    Bits(Vec<u64>),
    /// As often as it says.
    Counts(Vec<u64>),
}

impl Weights {
    /// The weight of a node.
    #[inline]
    pub fn get(&self, offset: u64) -> u64 {
        match self {
            Weights::Ones => 1,
            Weights::Bits(words) => {
                words.get(offset as usize / 64).map_or(0, |word| word >> (offset % 64) & 1)
            }
            Weights::Counts(counts) => counts.get(offset as usize).copied().unwrap_or(0),
        }
    }
}

/// Weights of all tables of a variable; a table that is not there weighs nothing.
pub type NodeWeights = Vec<(TableId, Weights)>;

/// What errors call it.
pub const OPERATOR: &str = "passing counts along relationships";

/// The memory of arrays and bits.
pub fn bytes_of(weights: &NodeWeights) -> u64 {
    let words = |weights: &Weights| match weights {
        Weights::Ones => 0,
        Weights::Bits(words) | Weights::Counts(words) => words.capacity(),
    };
    weights.iter().map(|(_, weights)| words(weights) as u64 * 8).sum()
}

fn sum_bytes(sums: &Sums) -> u64 {
    sums.iter().map(|(_, sums)| sums.capacity() as u64 * 8).sum()
}

/// The weights of one table.
pub fn weights_of(weights: &NodeWeights, table: TableId) -> Option<&Weights> {
    weights.iter().find(|(known, _)| known.0 & 0xFFFF == table.0 & 0xFFFF).map(|(_, weights)| weights)
}

/// A message node whose children are computed.
pub struct Prepared<'x> {
    /// What the node's own predicates admit, by table.
    own: NodeWeights,
    steps: Vec<Step<'x>>,
    query: &'x QueryContext,
    _held: Reservation,
}

struct Step<'x> {
    edges: &'x [PhysicalEdge],
    is_loop: bool,
    factor: Factor,
    child: NodeWeights,
    /// What hangs below each node, where it was pushed up from below.
    scattered: Option<Sums>,
    /// The adjacency indexes by the table they start at, where list lengths alone are the answer.
    degrees: Vec<(TableId, Arc<Adjacency>)>,
}

impl<'x> Prepared<'x> {
    /// Computes everything below a node.
    pub fn new(message: &'x PhysicalMessage, query: &'x QueryContext) -> ExecutionResult<Prepared<'x>> {
        let mut steps = message
            .children
            .iter()
            .map(|step| {
                count(&query.counters.messages_passed, 1);
                Step::new(step, query)
            })
            .collect::<ExecutionResult<Vec<_>>>()?;
        let tables = || message.tables.iter().map(|scan| scan.table);
        // Elsewhere no match leaves no node out.
        let needed = || steps.iter().filter(|step| step.factor.needs_match());
        let few = || needed().filter_map(|step| step.scattered.as_ref()).find_map(few_nodes);
        let own = match &message.late {
            None => tables().map(|table| (table, Weights::Ones)).collect(),
            Some(late) => match few() {
                Some(nodes) => bits_of_few(&nodes, tables(), late, query)?,
                None => node_bits(&message.tables, message.filter.as_ref(), query)?,
            },
        };
        let mut held = query.account_of_arrays();
        for (step, physical) in steps.iter_mut().zip(&message.children) {
            let ([edge], Some(scan)) = (step.edges, &physical.scan) else { continue };
            if step.scattered.is_none() && are_many(&own, query)? {
                step.scattered = Some(scatter_scanned(&edge.legs, scan, &step.child, &mut held, query)?);
            }
        }
        let below = |step: &Step<'_>| bytes_of(&step.child) + step.scattered.as_ref().map_or(0, sum_bytes);
        held.hold(OPERATOR, bytes_of(&own) + steps.iter().map(below).sum::<u64>())?;
        Ok(Prepared { own, steps, query, _held: held })
    }

    /// The sum of the weights of `length` nodes from `first` on, if list lengths alone are the answer.
    pub fn sum_of_degrees(&self, table: TableId, first: u64, length: usize) -> ExecutionResult<Option<u128>> {
        let joined = self.steps.iter().any(|step| step.factor != Factor::Each);
        if joined || !matches!(weights_of(&self.own, table), Some(Weights::Ones)) || self.steps.is_empty() {
            return Ok(None);
        }
        let mut factors: Vec<&Arc<Adjacency>> = Vec::with_capacity(2);
        for step in &self.steps {
            let mut legs = step.degrees.iter().filter(|(from, _)| from.0 & 0xFFFF == table.0 & 0xFFFF);
            match (legs.next(), legs.next()) {
                (Some((_, adjacency)), None) if factors.len() < 2 => factors.push(adjacency),
                _ => return Ok(None),
            }
        }
        sum_of_products(&factors, first, length, &self.query.counters).map(Some)
    }

    /// Tables that a match can start in.
    pub fn tables(&self) -> impl Iterator<Item = TableId> {
        self.own.iter().map(|(table, _)| *table)
    }

    /// Whether no node can weigh anything: some step counts self-loops and there are none.
    pub fn is_zero(&self) -> ExecutionResult<bool> {
        for step in self.steps.iter().filter(|step| step.is_loop && step.factor.needs_match()) {
            let mut loops = 0;
            for leg in step.edges.iter().flat_map(|edge| &edge.legs) {
                let rel = self.query.transaction.rel_table(leg.rel.table)?;
                loops += rel.adjacency(crate::storage::table::Direction::Forward).self_loops()?;
            }
            if loops == 0 {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Reading state of one worker.
    pub fn reader(&self) -> ExecutionResult<WeightReader<'x>> {
        let reader = |edge: &PhysicalEdge| EdgeReader::new(edge, false, self.query);
        let edges = self
            .steps
            .iter()
            .map(|step| step.edges.iter().map(reader).collect::<ExecutionResult<Vec<_>>>())
            .collect::<ExecutionResult<Vec<_>>>()?;
        Ok(WeightReader { edges, sum: Vec::new(), found: Vec::new(), common: Common::default() })
    }

    /// Writes the weights of nodes `first..first + out.len()` of a table, which lie in one group.
    pub fn fill(
        &self,
        reader: &mut WeightReader<'_>,
        table: TableId,
        first: u64,
        out: &mut [u64],
        context: &mut Context<'_>,
    ) -> ExecutionResult<()> {
        match weights_of(&self.own, table) {
            None => out.fill(0),
            Some(Weights::Ones) => out.fill(1),
            Some(weights) => {
                out.iter_mut().enumerate().for_each(|(at, weight)| *weight = weights.get(first + at as u64));
            }
        }
        for (step, edges) in self.steps.iter().zip(&mut reader.edges) {
            let sum = &mut reader.sum;
            sum.clear();
            sum.resize(out.len(), 0);
            let (found, common) = (&mut reader.found, &mut reader.common);
            step.sum(edges, found, common, table, first, out, sum, context)?;
            let intersected = std::mem::take(&mut common.intersected);
            count(&context.query.counters.lists_intersected, intersected);
            let mut overflow = false;
            for (weight, below) in out.iter_mut().zip(sum.iter()) {
                let (product, over) = weight.overflowing_mul(step.factor.of(*below));
                *weight = product;
                overflow |= over;
            }
            if overflow {
                return Err(too_many());
            }
        }
        Ok(())
    }
}

/// Whether so many nodes are admitted that the relationships of all of them are looked at by one scan.
fn are_many(own: &NodeWeights, query: &QueryContext) -> ExecutionResult<bool> {
    let (mut admitted, mut all) = (0, 0);
    for (table, weights) in own {
        let rows = query.transaction.node_table(*table)?.row_bound();
        all += rows;
        admitted += match weights {
            Weights::Ones => rows,
            Weights::Bits(words) => words.iter().map(|word| u64::from(word.count_ones())).sum(),
            Weights::Counts(counts) => counts.iter().filter(|count| **count != 0).count() as u64,
        };
    }
    Ok(admitted * SPARSE_SHARE as u64 >= all)
}

/// The error of a count beyond 64 bits.
pub fn too_many() -> ExecutionError {
    ExecutionError::Overflow { what: "the number of matches".into(), data_type: "UINT64".into() }
}

/// Reading state of one worker.
pub struct WeightReader<'x> {
    edges: Vec<Vec<EdgeReader<'x>>>,
    sum: Vec<u64>,
    found: Vec<Matches>,
    common: Common,
}

impl<'x> Step<'x> {
    fn new(step: &'x PhysicalMessageEdge, query: &'x QueryContext) -> ExecutionResult<Step<'x>> {
        let PhysicalMessageEdge { edges, is_loop, factor, child, .. } = step;
        let (is_loop, factor) = (*is_loop, *factor);
        let (child_weights, degrees) = (Vec::new(), Vec::new());
        let mut new = Step { edges, is_loop, factor, child: child_weights, scattered: None, degrees };
        if is_loop {
            return Ok(new);
        }
        new.child = weigh(child, query)?;
        let [edge] = &edges[..] else { return Ok(new) };
        new.scattered = scatter(edge, &new.child, query)?;
        let reader = EdgeReader::new(edge, false, query)?;
        let counts_all = |leg: &LegReader| {
            matches!(weights_of(&new.child, GlobalId(leg.to_base).table()), Some(Weights::Ones))
        };
        if new.scattered.is_none() && reader.is_plain() && reader.legs.iter().all(counts_all) {
            new.degrees = reader.legs.into_iter().map(|leg| (leg.from, leg.adjacency)).collect();
        }
        Ok(new)
    }

    /// Adds up what hangs below each node; nodes that weigh nothing already may be left out.
    #[expect(clippy::too_many_arguments, reason = "the scratch of one worker in pieces")]
    fn sum(
        &self,
        edges: &mut [EdgeReader<'_>],
        found: &mut Vec<Matches>,
        common: &mut Common,
        table: TableId,
        first: u64,
        active: &[u64],
        sum: &mut [u64],
        context: &mut Context<'_>,
    ) -> ExecutionResult<()> {
        if let Some(scattered) = &self.scattered {
            let below = scattered.iter().find(|(known, _)| known.0 & 0xFFFF == table.0 & 0xFFFF);
            let below = below.and_then(|(_, sums)| sums.get(first as usize..first as usize + sum.len()));
            if let Some(below) = below {
                sum.copy_from_slice(below);
            }
            return Ok(());
        }
        if let [edge] = edges
            && edge.is_plain()
            && !self.is_loop
        {
            for leg in &edge.legs {
                if !leg.starts_at(GlobalId::new(table, 0).0) {
                    continue;
                }
                let Some(child) = weights_of(&self.child, GlobalId(leg.to_base).table()) else {
                    continue;
                };
                match child {
                    Weights::Ones => add_degrees(&leg.adjacency, first, sum, context)?,
                    child => add_lists(&leg.adjacency, first, active, child, sum, context)?,
                }
            }
            return Ok(());
        }
        found.resize_with(edges.len(), Matches::default);
        for (at, (total, weight)) in sum.iter_mut().zip(active).enumerate() {
            if *weight == 0 {
                continue;
            }
            context.query.check()?;
            let node = GlobalId::new(table, first + at as u64).0;
            for (edge, matches) in edges.iter_mut().zip(found.iter_mut()) {
                matches.nodes.clear();
                matches.rels.clear();
                if self.is_loop {
                    edge.append_between(node, node, context, matches)?;
                } else {
                    edge.append(node, context, matches)?;
                }
            }
            *total = if self.is_loop {
                found.first().map_or(0, |matches| matches.nodes.len() as u64)
            } else {
                self.weigh_common(found, common)?
            };
        }
        Ok(())
    }

    /// The weights of the nodes that all lists share, times how often each list has them.
    fn weigh_common(&self, found: &[Matches], common: &mut Common) -> ExecutionResult<u64> {
        let weigh = |node: u64| {
            weights_of(&self.child, GlobalId(node).table())
                .map_or(0, |weights| weights.get(GlobalId(node).offset()))
        };
        let mut sum = 0u64;
        if let [only] = found {
            let added = only.nodes.iter().try_fold(sum, |sum, node| sum.checked_add(weigh(*node)));
            return added.ok_or_else(too_many);
        }
        common.find(found, |_| false);
        for (node, times) in &common.nodes {
            let part = times.checked_mul(weigh(*node));
            sum = part.and_then(|part| sum.checked_add(part)).ok_or_else(too_many)?;
        }
        Ok(sum)
    }
}

/// Adds list lengths; no neighbour is read.
fn add_degrees(
    adjacency: &Arc<Adjacency>,
    first: u64,
    sum: &mut [u64],
    context: &mut Context<'_>,
) -> ExecutionResult<()> {
    let bounds = ListBounds::read(adjacency, first, sum.len(), &context.query.counters)?;
    for (total, pair) in sum.iter_mut().zip(bounds.bounds().windows(2)) {
        *total += u64::from(pair[1].wrapping_sub(pair[0]));
    }
    Ok(())
}

/// Adds the weights of all neighbours.
fn add_lists(
    adjacency: &Arc<Adjacency>,
    first: u64,
    active: &[u64],
    child: &Weights,
    sum: &mut [u64],
    context: &mut Context<'_>,
) -> ExecutionResult<()> {
    let Some(group) = adjacency.group(first / NODE_GROUP_ROWS)? else { return Ok(()) };
    let borrowed = group.borrowed().is_some();
    let counters = &context.query.counters;
    count(if borrowed { &counters.groups_borrowed } else { &counters.groups_merged }, 1);
    let start = (first % NODE_GROUP_ROWS) as u32;
    let wanted = active.iter().filter(|weight| **weight != 0).count();
    if wanted * SPARSE_SHARE < active.len() {
        for (at, total) in sum.iter_mut().enumerate().filter(|(at, _)| active[*at] != 0) {
            let mut cursor = context.worker.cursor();
            let (mut from, length) = group.list(start + at as u32, &mut cursor)?;
            let end = from + u64::from(length);
            while from < end {
                context.query.check()?;
                let piece = group.neighbours(from, (end - from) as usize, &mut cursor)?;
                *total =
                    sum_list(piece, child).and_then(|sum| total.checked_add(sum)).ok_or_else(too_many)?;
                from += piece.len() as u64;
            }
        }
        return Ok(());
    }
    let mut scanner = adjacency.scanner();
    scanner.open(first / NODE_GROUP_ROWS, start..start + sum.len() as u32)?;
    while let Some(window) = scanner.next(&mut context.worker, false)? {
        context.query.check()?;
        let mut overflow = false;
        window.for_each_list(|node, entries| {
            let at = (node - first) as usize;
            if active[at] == 0 {
                return;
            }
            let list = sum_list(&window.neighbours[entries], child);
            match list.and_then(|list| sum[at].checked_add(list)) {
                Some(total) => sum[at] = total,
                None => overflow = true,
            }
        });
        if overflow {
            return Err(too_many());
        }
    }
    Ok(())
}

#[inline]
fn sum_list(list: &[u32], child: &Weights) -> Option<u64> {
    match child {
        Weights::Ones => Some(list.len() as u64),
        Weights::Bits(words) => {
            let bit = |node: &u32| words.get(*node as usize / 64).map_or(0, |word| word >> (node % 64) & 1);
            Some(list.iter().map(bit).sum())
        }
        Weights::Counts(counts) => {
            let mut overflow = false;
            let sum = list.iter().fold(0u64, |sum, node| {
                let (sum, over) = sum.overflowing_add(counts.get(*node as usize).copied().unwrap_or(0));
                overflow |= over;
                sum
            });
            (!overflow).then_some(sum)
        }
    }
}

/// The weights of a whole message node, as arrays.
pub fn weigh<'x>(message: &'x PhysicalMessage, query: &'x QueryContext) -> ExecutionResult<NodeWeights> {
    let prepared = Prepared::new(message, query)?;
    if prepared.steps.is_empty() {
        return Ok(prepared.own);
    }
    let mut all = Vec::new();
    for table in prepared.tables() {
        let rows = query.transaction.node_table(table)?.row_bound();
        // The parts and the array that they become exist together for a moment.
        let mut held = query.account_of_arrays();
        held.hold(OPERATOR, bytes_of(&all) + rows.saturating_mul(16))?;
        let parts = Mutex::new(Vec::new());
        let source = WeighTable { prepared: &prepared, table, rows, next: AtomicU64::new(0), parts: &parts };
        drive(query, &source, &|| Ok(Box::new(Nothing)))?;
        let mut parts = parts.into_inner();
        parts.sort_unstable_by_key(|(first, _): &(u64, Vec<u64>)| *first);
        let mut counts = Vec::with_capacity(rows as usize);
        parts.into_iter().for_each(|(_, part)| counts.extend(part));
        all.push((table, Weights::Counts(counts)));
    }
    Ok(all)
}

/// Computes the array of one table.
struct WeighTable<'s, 'x> {
    prepared: &'s Prepared<'x>,
    table: TableId,
    rows: u64,
    next: AtomicU64,
    parts: &'s Mutex<Vec<(u64, Vec<u64>)>>,
}

impl Source for WeighTable<'_, '_> {
    fn next_morsel(&self) -> Option<u64> {
        let morsel = self.next.fetch_add(1, Ordering::Relaxed);
        (morsel * NODE_GROUP_ROWS < self.rows).then_some(morsel)
    }

    fn run(&self, morsel: u64, context: &mut Context<'_>, _: &mut dyn Operator) -> ExecutionResult<Flow> {
        let first = morsel * NODE_GROUP_ROWS;
        let mut counts = vec![0; (self.rows - first).min(NODE_GROUP_ROWS) as usize];
        let mut reader = self.prepared.reader()?;
        for (at, part) in counts.chunks_mut(MORSEL_NODES as usize).enumerate() {
            context.query.check()?;
            self.prepared.fill(&mut reader, self.table, first + at as u64 * MORSEL_NODES, part, context)?;
        }
        self.parts.lock().push((first, counts));
        Ok(Flow::Continue)
    }

    fn parallelism(&self) -> usize {
        self.rows.div_ceil(NODE_GROUP_ROWS) as usize
    }
}
