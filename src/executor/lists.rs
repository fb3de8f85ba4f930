//! Neighbour lists of one pattern edge: its adjacency indexes, its own predicate, and the ids that go with the lists.

use std::sync::Arc;

use super::context::{Context, QueryContext};
use super::counters::count;
use super::error::ExecutionResult;
use super::evaluate::Evaluator;
use super::fetch::Gatherer;
use crate::planner::logical_plan::{Direction, Leg};
use crate::planner::physical_plan::PhysicalEdge;
use crate::storage::buffer_pool::{Cursor, PoolWorker};
use crate::storage::table::{Adjacency, CsrGroup, PIECE_ENTRIES};
use crate::types::{GlobalId, NODE_GROUP_ROWS, TableId};
use crate::vector::{Batch, SelectionBuffer, ValueVector, Values};

/// How many nodes ahead list bounds are prefetched.
const PREFETCH_NODES: usize = 4;

/// One adjacency index.
pub struct LegReader {
    pub adjacency: Arc<Adjacency>,
    pub from: TableId,
    /// Packed id of the far table's node 0.
    pub to_base: u64,
    /// Packed id of relationship 0.
    pub rel_base: u64,
    pub skip_loops: bool,
    rel: TableId,
    /// Groups that were read, by number.
    groups: Vec<Slot>,
}

/// A group as far as it is known.
#[derive(Clone)]
enum Slot {
    Unread,
    /// No node of the group has an edge.
    Empty,
    Read(Arc<CsrGroup>),
}

impl LegReader {
    /// Opens the index of a leg.
    pub fn new(leg: &Leg, query: &QueryContext) -> ExecutionResult<LegReader> {
        let rel = query.transaction.rel_table(leg.rel.table)?;
        let direction = match leg.direction {
            Direction::Forward => crate::storage::table::Direction::Forward,
            Direction::Backward => crate::storage::table::Direction::Backward,
        };
        Ok(LegReader {
            adjacency: rel.adjacency(direction).clone(),
            from: leg.from_table(),
            to_base: GlobalId::new(leg.to_table(), 0).0,
            rel_base: GlobalId::new(leg.rel.table, 0).0,
            skip_loops: leg.skip_loops,
            rel: leg.rel.table,
            groups: Vec::new(),
        })
    }

    /// The same relationships from their other ends.
    pub fn reversed(&self, query: &QueryContext) -> ExecutionResult<Arc<Adjacency>> {
        use crate::storage::table::Direction;
        let opposite = match self.adjacency.direction() {
            Direction::Forward => Direction::Backward,
            Direction::Backward => Direction::Forward,
        };
        Ok(query.transaction.rel_table(self.rel)?.adjacency(opposite).clone())
    }

    /// Whether the leg starts at the node's table.
    #[inline]
    pub fn starts_at(&self, node: u64) -> bool {
        GlobalId(node).table() == TableId(self.from.0 & 0xFFFF)
    }

    /// The group of lists that the node's list is in.
    #[inline]
    pub fn group(&mut self, node: u64, query: &QueryContext) -> ExecutionResult<Option<&Arc<CsrGroup>>> {
        let index = (GlobalId(node).offset() / NODE_GROUP_ROWS) as usize;
        if !matches!(self.groups.get(index), Some(Slot::Empty | Slot::Read(_))) {
            self.read_group(index, query)?;
        }
        Ok(match &self.groups[index] {
            Slot::Read(group) => Some(group),
            _ => None,
        })
    }

    /// The same for a reader with a cursor, which rests while a group is read.
    #[inline]
    fn group_beside(
        &mut self,
        node: u64,
        query: &QueryContext,
        cursor: &mut Cursor<'_>,
    ) -> ExecutionResult<Option<&Arc<CsrGroup>>> {
        let index = (GlobalId(node).offset() / NODE_GROUP_ROWS) as usize;
        if !matches!(self.groups.get(index), Some(Slot::Empty | Slot::Read(_))) {
            cursor.rest();
        }
        self.group(node, query)
    }

    fn read_group(&mut self, index: usize, query: &QueryContext) -> ExecutionResult<()> {
        if self.groups.len() <= index {
            self.groups.resize(index + 1, Slot::Unread);
        }
        self.groups[index] = match self.adjacency.group(index as u64)? {
            Some(group) => {
                let borrowed = group.borrowed().is_some();
                let counters = &query.counters;
                count(if borrowed { &counters.groups_borrowed } else { &counters.groups_merged }, 1);
                Slot::Read(group)
            }
            None => Slot::Empty,
        };
        Ok(())
    }

    /// Calls `visit` with the neighbours of each node, in pieces, as offsets in the far table. The lists of nodes
    /// that come soon are prefetched.
    pub fn visit(
        &mut self,
        nodes: &[u64],
        query: &QueryContext,
        worker: &mut PoolWorker,
        visit: &mut dyn FnMut(u64, &[u32]),
    ) -> ExecutionResult<()> {
        let mut cursor = worker.cursor();
        for (at, node) in nodes.iter().enumerate() {
            if let Some(ahead) = nodes.get(at + PREFETCH_NODES).filter(|ahead| self.starts_at(**ahead))
                && let Some(group) = self.group_beside(*ahead, query, &mut cursor)?
            {
                group.prefetch((GlobalId(*ahead).offset() % NODE_GROUP_ROWS) as u32, &mut cursor)?;
            }
            if !self.starts_at(*node) {
                continue;
            }
            let Some(group) = self.group_beside(*node, query, &mut cursor)? else { continue };
            let local = (GlobalId(*node).offset() % NODE_GROUP_ROWS) as u32;
            let (mut start, length) = group.list(local, &mut cursor)?;
            if CsrGroup::is_changed(start) {
                count(&query.counters.changed_lists, 1);
            }
            let end = start + u64::from(length);
            while start < end {
                let take = ((end - start) as usize).min(PIECE_ENTRIES);
                visit(*node, group.neighbours(start, take, &mut cursor)?);
                start += take as u64;
            }
        }
        Ok(())
    }
}

/// The matches of one node: far ends and relationships, packed ids.
#[derive(Default)]
pub struct Matches {
    pub nodes: Vec<u64>,
    pub rels: Vec<u64>,
}

/// All indexes of a pattern edge.
pub struct EdgeReader<'x> {
    pub legs: Vec<LegReader>,
    predicate: Option<EdgePredicate<'x>>,
    /// Relationship ids are wanted by the caller or by the predicate.
    pub with_ids: bool,
}

/// The edge's own conjuncts over [relationship id, properties…].
struct EdgePredicate<'x> {
    evaluator: Evaluator<'x>,
    gatherer: Gatherer,
    selection: SelectionBuffer,
}

impl<'x> EdgeReader<'x> {
    /// Opens the indexes; `with_ids` asks for relationship ids.
    pub fn new(edge: &PhysicalEdge, with_ids: bool, query: &QueryContext) -> ExecutionResult<EdgeReader<'x>> {
        let predicate = match &edge.predicate {
            Some(predicate) => Some(EdgePredicate {
                evaluator: Evaluator::new(predicate, query)?,
                gatherer: Gatherer::new(&edge.fetch, query)?,
                selection: SelectionBuffer::default(),
            }),
            None => None,
        };
        let legs =
            edge.legs.iter().map(|leg| LegReader::new(leg, query)).collect::<ExecutionResult<Vec<_>>>()?;
        Ok(EdgeReader { legs, with_ids: with_ids || predicate.is_some(), predicate })
    }

    /// Whether every neighbour counts: nothing is filtered.
    pub fn is_plain(&self) -> bool {
        self.predicate.is_none() && self.legs.iter().all(|leg| !leg.skip_loops)
    }

    /// Appends the matches of a node.
    pub fn append(&mut self, node: u64, context: &mut Context<'_>, out: &mut Matches) -> ExecutionResult<()> {
        let first = out.nodes.len();
        self.append_unchecked(node, context, out)?;
        if let Some(predicate) = &mut self.predicate {
            predicate.keep(first, context, out, |_, _| {})?;
        }
        Ok(())
    }

    /// Appends what the node's lists have, whatever the edge's own predicate says: `check` asks it about many at once.
    pub fn append_unchecked(
        &mut self,
        node: u64,
        context: &mut Context<'_>,
        out: &mut Matches,
    ) -> ExecutionResult<()> {
        for leg in &mut self.legs {
            if leg.starts_at(node) {
                append_list(leg, node, self.with_ids, context, out)?;
            }
        }
        Ok(())
    }

    /// Keeps of the matches from `first` on those that fulfil the edge's own predicate, and what `beside` says of them.
    pub fn check(
        &mut self,
        first: usize,
        context: &mut Context<'_>,
        out: &mut Matches,
        beside: &mut Vec<u32>,
    ) -> ExecutionResult<()> {
        if let Some(predicate) = &mut self.predicate {
            predicate.keep(first, context, out, |write, read| beside[write] = beside[read])?;
            beside.truncate(out.nodes.len());
        }
        Ok(())
    }

    /// Appends the relationships of a node that lead to `far`.
    pub fn append_between(
        &mut self,
        node: u64,
        far: u64,
        context: &mut Context<'_>,
        out: &mut Matches,
    ) -> ExecutionResult<()> {
        let first = out.nodes.len();
        for leg in &mut self.legs {
            let same_table = GlobalId(leg.to_base).table() == GlobalId(far).table();
            if !leg.starts_at(node) || !same_table || (leg.skip_loops && node == far) {
                continue;
            }
            let (adjacency, rel_base) = (leg.adjacency.clone(), leg.rel_base);
            let Some(group) = leg.group(node, context.query)? else { continue };
            let target = GlobalId(far).offset();
            let mut cursor = context.worker.cursor();
            let offset = GlobalId(node).offset();
            let Some(position) = adjacency.find_edge(offset, target, &mut cursor)? else { continue };
            let (start, length) = group.list((offset % NODE_GROUP_ROWS) as u32, &mut cursor)?;
            let end = start + u64::from(length);
            let mut found = 0usize;
            // Parallel relationships stand side by side.
            while position + (found as u64) < end {
                let at = position + found as u64;
                let piece = group.neighbours(at, (end - at) as usize, &mut cursor)?;
                let same = piece.iter().take_while(|other| u64::from(**other) == target).count();
                found += same;
                if same < piece.len() {
                    break;
                }
            }
            out.nodes.resize(out.nodes.len() + found, far);
            if self.with_ids {
                let before = out.rels.len();
                group.ids(position, found, &mut cursor, &mut out.rels)?;
                out.rels[before..].iter_mut().for_each(|id| *id += rel_base);
            }
        }
        if let Some(predicate) = &mut self.predicate {
            predicate.keep(first, context, out, |_, _| {})?;
        }
        Ok(())
    }
}

fn append_list(
    leg: &mut LegReader,
    node: u64,
    with_ids: bool,
    context: &mut Context<'_>,
    out: &mut Matches,
) -> ExecutionResult<()> {
    let (to_base, rel_base, skip_loops) = (leg.to_base, leg.rel_base, leg.skip_loops);
    let Some(group) = leg.group(node, context.query)? else { return Ok(()) };
    let mut cursor = context.worker.cursor();
    let (start, length) = group.list((GlobalId(node).offset() % NODE_GROUP_ROWS) as u32, &mut cursor)?;
    if CsrGroup::is_changed(start) {
        count(&context.query.counters.changed_lists, 1);
    }
    let first = out.nodes.len();
    let mut done = 0usize;
    while done < length as usize {
        let take = (length as usize - done).min(PIECE_ENTRIES);
        let piece = group.neighbours(start + done as u64, take, &mut cursor)?;
        out.nodes.extend(piece.iter().map(|neighbour| to_base + u64::from(*neighbour)));
        done += take;
    }
    let first_rel = out.rels.len();
    if with_ids {
        group.ids(start, length as usize, &mut cursor, &mut out.rels)?;
        out.rels[first_rel..].iter_mut().for_each(|id| *id += rel_base);
    }
    if skip_loops {
        let loops = |found: &u64| *found == node;
        if let Some(at) = out.nodes[first..].iter().position(loops) {
            let count = out.nodes[first + at..].iter().take_while(|found| loops(found)).count();
            out.nodes.drain(first + at..first + at + count);
            if with_ids {
                out.rels.drain(first_rel + at..first_rel + at + count);
            }
        }
    }
    Ok(())
}

impl EdgePredicate<'_> {
    /// Keeps of the matches from `first` on those that fulfil the predicate; `moved` is told where each one goes.
    fn keep(
        &mut self,
        first: usize,
        context: &mut Context<'_>,
        out: &mut Matches,
        mut moved: impl FnMut(usize, usize),
    ) -> ExecutionResult<()> {
        let size = context.query.vector_size.min(usize::from(u16::MAX));
        let (mut read, mut write) = (first, first);
        while read < out.nodes.len() {
            let length = size.min(out.nodes.len() - read);
            {
                let ids = &out.rels[read..read + length];
                self.gatherer.gather(ids, context)?;
                let mut columns = vec![ValueVector::flat(Values::U64(ids))];
                columns.extend(self.gatherer.vectors());
                let batch = Batch::new(&columns, length);
                self.evaluator.select(context.query, &batch, &mut self.selection)?;
            }
            self.selection.view().for_each(length, |row| {
                out.nodes[write] = out.nodes[read + row];
                out.rels[write] = out.rels[read + row];
                moved(write, read + row);
                write += 1;
            });
            read += length;
        }
        out.nodes.truncate(write);
        out.rels.truncate(write);
        Ok(())
    }
}
