//! Breadth-first search that remembers how far each node is from the root and on how many shortest paths it is
//! reached. Ways are not remembered: a way back follows, when somebody asks for it, from the lists in the other
//! direction and the distances.

use rustc_hash::FxHashMap;

use super::super::context::{Context, QueryContext};
use super::super::counters::count;
use super::super::error::{ExecutionError, ExecutionResult};
use super::super::lists::{EdgeReader, Matches};
use super::node_numbers::NodeNumbers;
use super::{Rules, SearchAccount};
use crate::planner::physical_plan::PhysicalEdge;

/// Nodes of a level whose lists are read between looks at the clock and at the other side.
const PIECE_NODES: usize = 64;

/// The levels around one root.
pub struct Levels<'x> {
    rules: Rules<'x>,
    edge: EdgeReader<'x>,
    /// The same relationships the other way, with ids; opened when the first way is asked for.
    back: Option<EdgeReader<'x>>,
    back_edge: PhysicalEdge,
    numbers: NodeNumbers,
    /// Distance from the root, and the number of shortest paths, by the node's number.
    distances: Vec<u32>,
    paths: Vec<u64>,
    /// The last level: its nodes have the numbers from here on.
    level: u32,
    depth: u32,
    frontier: Vec<u64>,
    found: Matches,
    /// Steps towards the root: for each node asked for, where its steps lie.
    steps_of: FxHashMap<u64, (u32, u32)>,
    steps: Vec<(u64, u64)>,
    held: SearchAccount,
}

impl<'x> Levels<'x> {
    /// Prepares to search along `edge`.
    pub(super) fn new(
        rules: Rules<'x>,
        edge: &PhysicalEdge,
        query: &QueryContext,
    ) -> ExecutionResult<Levels<'x>> {
        Ok(Levels {
            rules,
            edge: EdgeReader::new(edge, false, query)?,
            back: None,
            back_edge: edge.reversed(),
            numbers: NodeNumbers::default(),
            distances: Vec::new(),
            paths: Vec::new(),
            level: 0,
            depth: 0,
            frontier: Vec::new(),
            found: Matches::default(),
            steps_of: FxHashMap::default(),
            steps: Vec::new(),
            held: rules.account(query),
        })
    }

    /// Begins with another root.
    pub fn begin(&mut self, root: u64) {
        self.numbers.clear();
        self.distances.clear();
        self.paths.clear();
        self.steps_of.clear();
        self.steps.clear();
        self.numbers.number(root);
        self.distances.push(0);
        self.paths.push(1);
        (self.level, self.depth) = (0, 0);
    }

    /// The distance of the last level.
    pub fn depth(&self) -> u32 {
        self.depth
    }

    /// The nodes of the last level.
    pub fn level(&self) -> &[u64] {
        self.numbers.from(self.level)
    }

    /// On how many shortest paths the node is reached.
    pub fn paths(&self, node: u64) -> u64 {
        self.numbers.get(node).map_or(0, |number| self.paths[number as usize])
    }

    /// The distance of a node, or at least what it cannot be below; none if no path leads there.
    pub fn least_distance(&self, node: u64) -> Option<u32> {
        match self.numbers.get(node) {
            Some(number) => Some(self.distances[number as usize]),
            None if self.level().is_empty() => None,
            None => Some(self.depth + 1),
        }
    }

    /// Whether a path may go through a node: every node that is no end of it has to pass.
    fn goes_on(&self, node: u64) -> bool {
        self.depth == 0 || self.rules.passes(node)
    }

    /// Finds the next level. `meet` gets every node that is reached for the first time and says whether that is enough;
    /// then the level stays a part.
    pub fn advance(
        &mut self,
        counted: bool,
        context: &mut Context<'_>,
        meet: &mut dyn FnMut(u64) -> bool,
    ) -> ExecutionResult<()> {
        let mut frontier = std::mem::take(&mut self.frontier);
        frontier.clear();
        frontier.extend(self.level().iter().copied().filter(|node| self.goes_on(*node)));
        self.level = self.distances.len() as u32;
        self.depth += 1;
        count(&context.query.counters.nodes_visited, frontier.len() as u64);
        let mut enough = false;
        for piece in frontier.chunks(PIECE_NODES) {
            context.query.check()?;
            enough |= self.expand(piece, counted, context, meet)?;
            self.held.hold(self.bytes() + frontier.capacity() * 8)?;
            if enough {
                break;
            }
        }
        self.frontier = frontier;
        Ok(())
    }

    /// The memory of all that is remembered.
    fn bytes(&self) -> usize {
        let nodes = self.distances.capacity() * 4 + (self.paths.capacity() + self.frontier.capacity()) * 8;
        let steps = self.steps_of.capacity() * size_of::<(u64, (u32, u32))>() + self.steps.capacity() * 16;
        self.numbers.bytes() + nodes + steps
    }

    fn expand(
        &mut self,
        nodes: &[u64],
        counted: bool,
        context: &mut Context<'_>,
        meet: &mut dyn FnMut(u64) -> bool,
    ) -> ExecutionResult<bool> {
        let Levels { edge, numbers, distances, paths, depth, found, .. } = self;
        let (mut enough, mut overflow) = (false, false);
        let mut reach = |numbers: &mut NodeNumbers, node: u64, before: u32| {
            let (number, fresh) = numbers.number(node);
            let through = paths[before as usize];
            if fresh {
                distances.push(*depth);
                paths.push(through);
                enough |= meet(node);
            } else if counted && distances[number as usize] == *depth {
                let known = &mut paths[number as usize];
                match known.checked_add(through) {
                    Some(sum) => *known = sum,
                    None => overflow = true,
                }
            }
        };
        // Without counting, every node has the one path of the root.
        let number_of = |numbers: &NodeNumbers, node: u64| match counted {
            true => numbers.get(node).unwrap_or_default(),
            false => 0,
        };
        if edge.is_plain() {
            for leg in &mut edge.legs {
                let base = leg.to_base;
                leg.visit(nodes, context.query, &mut context.worker, &mut |from, neighbours| {
                    let before = number_of(numbers, from);
                    neighbours.iter().for_each(|node| reach(numbers, base + u64::from(*node), before));
                })?;
            }
        } else {
            for from in nodes {
                found.nodes.clear();
                found.rels.clear();
                edge.append(*from, context, found)?;
                let before = number_of(numbers, *from);
                found.nodes.iter().for_each(|node| reach(numbers, *node, before));
            }
        }
        if overflow { Err(too_many()) } else { Ok(enough) }
    }

    /// The relationships and nodes by which shortest paths come to a node: only the first one if `one` is enough.
    /// Where they lie among the steps.
    fn steps_to(&mut self, node: u64, one: bool, context: &mut Context<'_>) -> ExecutionResult<(u32, u32)> {
        if let Some(known) = self.steps_of.get(&node) {
            return Ok(*known);
        }
        let back = match &mut self.back {
            Some(back) => back,
            none => none.insert(EdgeReader::new(&self.back_edge, true, context.query)?),
        };
        let Levels { rules, numbers, distances, found, steps, .. } = self;
        let distance = |node: u64| numbers.get(node).map(|number| distances[number as usize]);
        // The root has no step.
        let Some(wanted) = distance(node).and_then(|distance| distance.checked_sub(1)) else {
            return Ok((0, 0));
        };
        found.nodes.clear();
        found.rels.clear();
        context.query.check()?;
        back.append(node, context, found)?;
        let first = steps.len() as u32;
        for (near, rel) in found.nodes.iter().zip(&found.rels) {
            if distance(*near) != Some(wanted) || (wanted > 0 && !rules.passes(*near)) {
                continue;
            }
            steps.push((*rel, *near));
            if one {
                break;
            }
        }
        let all = (first, steps.len() as u32 - first);
        self.steps_of.insert(node, all);
        self.held.hold(self.bytes())?;
        Ok(all)
    }
}

/// The shortest paths between a node and the root of its levels, one after the other.
#[derive(Default)]
pub struct Ways {
    end: u64,
    /// For each step from the end on: the choices, and which one is taken.
    choices: Vec<((u32, u32), u32)>,
    /// Relationships and nodes from the end to the root; the last node is the root, the end is not among them.
    pub rels: Vec<u64>,
    pub nodes: Vec<u64>,
}

impl Ways {
    /// The first way from a node.
    pub fn begin(
        &mut self,
        end: u64,
        levels: &mut Levels<'_>,
        one: bool,
        context: &mut Context<'_>,
    ) -> ExecutionResult<()> {
        self.end = end;
        self.choices.clear();
        self.rels.clear();
        self.nodes.clear();
        self.complete(levels, one, context)
    }

    /// Goes on to the root, by the first step each time.
    fn complete(
        &mut self,
        levels: &mut Levels<'_>,
        one: bool,
        context: &mut Context<'_>,
    ) -> ExecutionResult<()> {
        loop {
            let node = self.nodes.last().copied().unwrap_or(self.end);
            let (first, count) = levels.steps_to(node, one, context)?;
            let Some((rel, near)) = levels.steps.get(first as usize).copied().filter(|_| count > 0) else {
                return Ok(());
            };
            self.choices.push(((first, count), 0));
            self.rels.push(rel);
            self.nodes.push(near);
        }
    }

    /// The next way; whether there is one.
    pub fn next(&mut self, levels: &mut Levels<'_>, context: &mut Context<'_>) -> ExecutionResult<bool> {
        while let Some(((first, count), taken)) = self.choices.pop() {
            self.rels.pop();
            self.nodes.pop();
            if taken + 1 < count
                && let Some((rel, near)) = levels.steps.get((first + taken + 1) as usize).copied()
            {
                self.choices.push(((first, count), taken + 1));
                self.rels.push(rel);
                self.nodes.push(near);
                self.complete(levels, false, context)?;
                return Ok(true);
            }
        }
        Ok(false)
    }
}

pub(super) fn too_many() -> ExecutionError {
    ExecutionError::Overflow { what: "the number of shortest paths".into(), data_type: "UINT64".into() }
}
