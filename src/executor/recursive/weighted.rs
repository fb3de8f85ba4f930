//! One path of the least cost: Dijkstra's algorithm, from both ends at once where both are known.
//!
//! Paths are compared by cost and then by their number of relationships. That makes the bound on the number a check of
//! the result in all but few cases. Where a bound turns out to cut off the best path, the search is made once more with
//! every node keeping each way that is dearer but shorter than the ways before.

use std::cmp::Ordering;
use std::collections::BinaryHeap;

use super::super::context::{Context, QueryContext};
use super::super::counters::count;
use super::super::error::{ExecutionError, ExecutionResult};
use super::super::lists::{EdgeReader, Matches};
use super::super::operator::Flow;
use super::costs::Costs;
use super::ends::{End, Ends};
use super::node_numbers::NodeNumbers;
use super::{Rules, SearchAccount, Start};
use crate::planner::physical_plan::{PhysicalCost, PhysicalEdge};
use crate::vector::Batch;

/// No label.
const NONE: u32 = u32::MAX;

/// A way to a node.
#[derive(Clone, Copy)]
struct Label {
    /// The node's number.
    node: u32,
    hops: u32,
    cost: f64,
    /// What the last relationship costs, and which it is.
    step: f64,
    rel: u64,
    /// The label that it continues.
    before: u32,
}

/// A label in the queue; the least is the first to come out.
#[derive(Clone, Copy, PartialEq)]
struct Entry {
    cost: f64,
    hops: u32,
    label: u32,
}

impl Eq for Entry {}

impl PartialOrd for Entry {
    fn partial_cmp(&self, other: &Entry) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Entry {
    fn cmp(&self, other: &Entry) -> Ordering {
        let order = other.cost.total_cmp(&self.cost);
        order.then(other.hops.cmp(&self.hops)).then(other.label.cmp(&self.label))
    }
}

/// What one side knows of a node.
#[derive(Clone, Copy)]
struct Reached {
    /// The best label so far.
    best: u32,
    /// Fewest relationships of the labels that came out of the queue; `NONE` before the first.
    settled: u32,
}

/// One direction of a search.
struct Side<'x> {
    edge: EdgeReader<'x>,
    costs: Costs<'x>,
    numbers: NodeNumbers,
    reached: Vec<Reached>,
    labels: Vec<Label>,
    queue: BinaryHeap<Entry>,
    found: Matches,
    steps: Vec<Option<f64>>,
    held: SearchAccount,
}

impl<'x> Side<'x> {
    fn new(
        edge: &PhysicalEdge,
        cost: &PhysicalCost,
        held: SearchAccount,
        query: &QueryContext,
    ) -> ExecutionResult<Side<'x>> {
        Ok(Side {
            edge: EdgeReader::new(edge, true, query)?,
            costs: Costs::new(cost, query)?,
            numbers: NodeNumbers::default(),
            reached: Vec::new(),
            labels: Vec::new(),
            queue: BinaryHeap::new(),
            found: Matches::default(),
            steps: Vec::new(),
            held,
        })
    }

    fn begin(&mut self, node: u64) {
        self.numbers.clear();
        self.reached.clear();
        self.labels.clear();
        self.queue.clear();
        self.offer(node, Label { node: 0, hops: 0, cost: 0.0, step: 0.0, rel: 0, before: NONE }, false);
    }

    /// Takes note of a way to a node, unless a better one is known; its label if it is new.
    fn offer(&mut self, node: u64, label: Label, keep_shorter: bool) -> Option<u32> {
        let (number, fresh) = self.numbers.number(node);
        if fresh {
            self.reached.push(Reached { best: NONE, settled: NONE });
        }
        let reached = &mut self.reached[number as usize];
        if reached.settled != NONE && (!keep_shorter || label.hops >= reached.settled) {
            return None;
        }
        let known = self.labels.get(reached.best as usize);
        let better = known.is_none_or(|known| (label.cost, label.hops) < (known.cost, known.hops));
        let shorter = known.is_none_or(|known| label.hops < known.hops);
        if !(better || keep_shorter && shorter) {
            return None;
        }
        let at = self.labels.len() as u32;
        if better {
            reached.best = at;
        }
        self.labels.push(Label { node: number, ..label });
        self.queue.push(Entry { cost: label.cost, hops: label.hops, label: at });
        Some(at)
    }

    /// The next label in order of cost, and whether it is the first of its node.
    fn settle(&mut self) -> Option<(u32, bool)> {
        while let Some(entry) = self.queue.pop() {
            let label = self.labels[entry.label as usize];
            let reached = &mut self.reached[label.node as usize];
            if label.hops < reached.settled {
                let first = reached.settled == NONE;
                reached.settled = label.hops;
                return Some((entry.label, first));
            }
        }
        None
    }

    /// Reads the list of a label's node; the ways to its neighbours are in `found` and `steps`.
    fn read(&mut self, at: u32, context: &mut Context<'_>) -> ExecutionResult<()> {
        context.query.check()?;
        count(&context.query.counters.nodes_visited, 1);
        count(&context.query.counters.nodes_settled, 1);
        let labels = self.labels.capacity() * size_of::<Label>() + self.queue.capacity() * size_of::<Entry>();
        self.held.hold(labels + self.reached.capacity() * size_of::<Reached>() + self.numbers.bytes())?;
        let Side { edge, costs, numbers, labels, found, steps, .. } = self;
        found.nodes.clear();
        found.rels.clear();
        edge.append(numbers.node(labels[at as usize].node), context, found)?;
        costs.read(&found.rels, context, steps)?;
        if labels.len() + found.nodes.len() >= NONE as usize {
            return Err(ExecutionError::Overflow {
                what: "a weighted search".into(),
                data_type: "UINT32".into(),
            });
        }
        Ok(())
    }

    /// The way to a neighbour that was read.
    fn step(&self, at: u32, entry: usize) -> Option<(u64, Label)> {
        let before = &self.labels[at as usize];
        let step = self.steps[entry]?;
        let (cost, hops) = (before.cost + step, before.hops + 1);
        let label = Label { node: 0, hops, cost, step, rel: self.found.rels[entry], before: at };
        Some((self.found.nodes[entry], label))
    }

    /// The best way to a node so far, and whether there can be no better one.
    fn best(&self, node: u64) -> Option<(u32, Label, bool)> {
        let Reached { best, settled } = self.reached[self.numbers.get(node)? as usize];
        Some((best, self.labels[best as usize], settled != NONE))
    }

    /// Appends the way of a label, from its end to the start.
    fn walk(&self, mut at: u32, way: &mut Way) {
        while let Some(label) = self.labels.get(at as usize) {
            way.nodes.push(self.numbers.node(label.node));
            if label.before != NONE {
                way.rels.push(label.rel);
                way.steps.push(label.step);
            }
            at = label.before;
        }
    }
}

/// A path, with both of its ends.
#[derive(Default)]
struct Way {
    nodes: Vec<u64>,
    rels: Vec<u64>,
    steps: Vec<f64>,
}

impl Way {
    fn clear(&mut self) {
        self.nodes.clear();
        self.rels.clear();
        self.steps.clear();
    }

    fn reverse(&mut self) {
        self.nodes.reverse();
        self.rels.reverse();
        self.steps.reverse();
    }
}

/// Searches for paths of the least cost, one start after the other.
pub struct Weighted<'x> {
    rules: Rules<'x>,
    ahead: Side<'x>,
    back: Side<'x>,
    settled: Vec<u32>,
    way: Way,
}

impl<'x> Weighted<'x> {
    /// Prepares to search.
    pub(super) fn new(rules: Rules<'x>, query: &QueryContext) -> ExecutionResult<Weighted<'x>> {
        let edge = &rules.spec.edge;
        let cost = rules.cost()?;
        Ok(Weighted {
            rules,
            ahead: Side::new(edge, cost, rules.account(query), query)?,
            back: Side::new(&edge.reversed(), cost, rules.account(query), query)?,
            settled: Vec::new(),
            way: Way::default(),
        })
    }

    /// Adds the ends of one start.
    pub(super) fn run(
        &mut self,
        start: Start,
        ends: &mut Ends<'_>,
        context: &mut Context<'_>,
        batch: &Batch<'_>,
    ) -> ExecutionResult<Flow> {
        let rules = self.rules;
        if rules.spec.min == 0 && rules.wants(start.node, start.target) {
            ends.add(End { row: start.row, node: start.node, length: 0, cost: 0.0, times: 1, path: None });
        }
        match start.target {
            Some(target) if target == start.node || !rules.wants(target, None) => Ok(Flow::Continue),
            Some(target) => {
                self.way.clear();
                if !self.between(start.node, target, context)? {
                    return Ok(Flow::Continue);
                }
                if self.way.rels.len() > rules.max_hops() as usize {
                    return self.around(start, true, ends, context, batch);
                }
                self.emit(start.row, ends, context, batch)
            }
            None => self.around(start, false, ends, context, batch),
        }
    }

    /// The best path between two nodes goes to `way`; whether there is one.
    fn between(&mut self, start: u64, target: u64, context: &mut Context<'_>) -> ExecutionResult<bool> {
        let rules = self.rules;
        let Weighted { ahead, back, way, .. } = self;
        ahead.begin(start);
        back.begin(target);
        // Cost, relationships, and the labels of both sides.
        let mut best: Option<(f64, u32, u32, u32)> = None;
        while let (Some(first), Some(second)) = (ahead.queue.peek(), back.queue.peek()) {
            let least = (first.cost + second.cost, first.hops.saturating_add(second.hops));
            if best.is_some_and(|(cost, hops, ..)| (cost, hops) <= least) {
                break;
            }
            // The side with fewer open nodes has less to read.
            let forward = ahead.queue.len() <= back.queue.len();
            let (side, other) = if forward { (&mut *ahead, &*back) } else { (&mut *back, &*ahead) };
            let Some((at, _)) = side.settle() else { break };
            side.read(at, context)?;
            // What the other side adds at least to whatever it is still to meet.
            let rest = other.queue.peek().map_or(0.0, |entry| entry.cost);
            for entry in 0..side.found.nodes.len() {
                let Some((node, label)) = side.step(at, entry) else { continue };
                let inside = node != start && node != target;
                let met = other.best(node);
                // What is settled there stays as it is.
                let left = met.filter(|(.., settled)| *settled).map_or(rest, |(_, there, _)| there.cost);
                if best.is_some_and(|(cost, ..)| label.cost + left > cost) {
                    continue;
                }
                if inside && !rules.passes(node) {
                    continue;
                }
                let Some(own) = side.offer(node, label, false) else { continue };
                if let Some((far, there, _)) = met {
                    let (cost, hops) = (label.cost + there.cost, label.hops + there.hops);
                    if best.is_none_or(|(known, most, ..)| (cost, hops) < (known, most)) {
                        let (first, second) = if forward { (own, far) } else { (far, own) };
                        best = Some((cost, hops, first, second));
                    }
                }
            }
        }
        let Some((_, _, first, second)) = best else { return Ok(false) };
        count(&context.query.counters.bidirectional_meets, 1);
        ahead.walk(first, way);
        way.reverse();
        // The node where they meet is on both halves.
        way.nodes.pop();
        back.walk(second, way);
        Ok(true)
    }

    /// The best paths from one node. `keep_shorter` says that the bound is known to cut paths off.
    fn around(
        &mut self,
        start: Start,
        keep_shorter: bool,
        ends: &mut Ends<'_>,
        context: &mut Context<'_>,
        batch: &Batch<'_>,
    ) -> ExecutionResult<Flow> {
        let cut = self.settle_all(start, keep_shorter, context)?;
        if cut && !keep_shorter {
            self.settle_all(start, true, context)?;
        }
        let spec = self.rules.spec;
        // A sum of fractions depends on its order: the other way round the relationships are needed.
        let by_label = !(spec.emit_path || spec.emit_cost && spec.turned);
        for at in 0..self.settled.len() {
            context.query.check()?;
            if by_label {
                let label = self.ahead.labels[self.settled[at] as usize];
                let (node, cost) = (self.ahead.numbers.node(label.node), label.cost);
                let end = End { row: start.row, node, length: label.hops, cost, times: 1, path: None };
                if ends.push(end, context, batch)? == Flow::Stop {
                    return Ok(Flow::Stop);
                }
                continue;
            }
            self.way.clear();
            self.ahead.walk(self.settled[at], &mut self.way);
            self.way.reverse();
            if self.emit(start.row, ends, context, batch)? == Flow::Stop {
                return Ok(Flow::Stop);
            }
        }
        Ok(Flow::Continue)
    }

    /// Finds the best label of every end; whether the bound stopped the search anywhere.
    fn settle_all(
        &mut self,
        start: Start,
        keep_shorter: bool,
        context: &mut Context<'_>,
    ) -> ExecutionResult<bool> {
        let Weighted { rules, ahead: side, settled, .. } = self;
        let mut cut = false;
        settled.clear();
        side.begin(start.node);
        while let Some((at, first)) = side.settle() {
            let label = side.labels[at as usize];
            let node = side.numbers.node(label.node);
            if first && node != start.node && rules.wants(node, start.target) {
                settled.push(at);
                if start.target.is_some() {
                    break;
                }
            }
            if node != start.node && !rules.passes(node) {
                continue;
            }
            if label.hops >= rules.max_hops() {
                cut = true;
                continue;
            }
            side.read(at, context)?;
            for entry in 0..side.found.nodes.len() {
                if let Some((node, label)) = side.step(at, entry) {
                    side.offer(node, label, keep_shorter);
                }
            }
        }
        Ok(cut)
    }

    /// Adds the path in `way`.
    fn emit(
        &mut self,
        row: u32,
        ends: &mut Ends<'_>,
        context: &mut Context<'_>,
        batch: &Batch<'_>,
    ) -> ExecutionResult<Flow> {
        let Way { nodes, rels, steps } = &self.way;
        let [_, inner @ .., node] = &nodes[..] else { return Ok(Flow::Continue) };
        let cost = if self.rules.spec.turned { steps.iter().rev().sum() } else { steps.iter().sum() };
        let path = Some((&rels[..], inner));
        let end = End { row, node: *node, length: rels.len() as u32, cost, times: 1, path };
        ends.push(end, context, batch)
    }
}
