//! Message steps pushed from the few nodes that weigh anything along their lists, instead of gathered by every node
//! of the other side: the cost is the edges of those nodes, not of the table (push against pull, as in Beamer,
//! Asanović and Patterson, 2012).

use super::context::QueryContext;
use super::counters::count;
use super::error::{ExecutionError, ExecutionResult};
use super::evaluate::Evaluator;
use super::fetch::Gatherer;
use super::lists::LegReader;
use super::messages::{NodeWeights, Weights, weights_of};
use crate::planner::logical_plan::Leg;
use crate::planner::physical_plan::{LateFilter, PhysicalEdge};
use crate::types::{GlobalId, TableId};
use crate::vector::{Batch, SelectionBuffer, ValueVector, Values};

/// Nodes are pushed from only if fewer than this part of their table weighs anything.
const ACTIVE_SHARE: u64 = 16;
/// And only along fewer than this part of all edges.
const EDGE_SHARE: u64 = 4;

/// What hangs below the nodes of each table.
pub type Sums = Vec<(TableId, Vec<u64>)>;

/// The sums of a step by pushing, where that is cheaper than asking every node.
pub fn scatter(
    edge: &PhysicalEdge,
    child: &NodeWeights,
    query: &QueryContext,
) -> ExecutionResult<Option<Sums>> {
    if edge.predicate.is_some() || edge.legs.iter().any(|leg| leg.skip_loops) {
        return Ok(None);
    }
    let Some(active) = active_nodes(child, query)? else { return Ok(None) };
    let mut context = query.worker()?;
    let reversed = |leg: &Leg| Leg { direction: leg.direction.reversed(), ..*leg };
    let mut readers = Vec::with_capacity(edge.legs.len());
    for leg in &edge.legs {
        let mut reader = LegReader::new(&reversed(leg), query)?;
        let (mut entries, all) = (0, reader.adjacency.edge_count()?);
        for node in active.iter().filter(|node| GlobalId(**node).table().0 == leg.to_table().0 & 0xFFFF) {
            let Some(group) = reader.group(*node, query)? else { continue };
            let local = (GlobalId(*node).offset() % crate::types::NODE_GROUP_ROWS) as u32;
            entries += u64::from(group.list(local, &mut context.worker.cursor())?.1);
            if entries * EDGE_SHARE > all {
                return Ok(None);
            }
        }
        readers.push((leg.from_table(), reader));
    }
    let mut sums: Sums = Vec::new();
    for (table, mut reader) in readers {
        let at = match sums.iter().position(|(known, _)| *known == table) {
            Some(at) => at,
            None => {
                let rows = query.transaction.node_table(table)?.row_bound();
                sums.push((table, vec![0; rows as usize]));
                sums.len() - 1
            }
        };
        let sums = &mut sums[at].1;
        let mut overflow = false;
        reader.visit(&active, query, &mut context.worker, &mut |node, neighbours| {
            let id = GlobalId(node);
            let weight = weights_of(child, id.table()).map_or(0, |weights| weights.get(id.offset()));
            for neighbour in neighbours {
                if let Some(sum) = sums.get_mut(*neighbour as usize) {
                    let (more, over) = sum.overflowing_add(weight);
                    *sum = more;
                    overflow |= over;
                }
            }
        })?;
        if overflow {
            return Err(ExecutionError::Overflow {
                what: "the number of matches".into(),
                data_type: "UINT64".into(),
            });
        }
    }
    count(&query.counters.messages_scattered, 1);
    Ok(Some(sums))
}

/// The nodes that weigh anything, if they are few.
fn active_nodes(weights: &NodeWeights, query: &QueryContext) -> ExecutionResult<Option<Vec<u64>>> {
    let mut active = Vec::new();
    for (table, weights) in weights {
        let rows = query.transaction.node_table(*table)?.row_bound();
        let most = active.len() + (rows / ACTIVE_SHARE) as usize + 1;
        let base = GlobalId::new(*table, 0).0;
        match weights {
            Weights::Ones if rows == 0 => {}
            Weights::Ones => return Ok(None),
            Weights::Bits(words) => {
                for (index, word) in words.iter().enumerate() {
                    let mut word = *word;
                    while word != 0 {
                        active.push(base + index as u64 * 64 + u64::from(word.trailing_zeros()));
                        word &= word - 1;
                    }
                    if active.len() > most {
                        return Ok(None);
                    }
                }
            }
            Weights::Counts(counts) => {
                let found = counts.iter().enumerate().filter(|(_, count)| **count != 0);
                active.extend(found.take(most).map(|(offset, _)| base + offset as u64));
            }
        }
        if active.len() >= most {
            return Ok(None);
        }
    }
    Ok(Some(active))
}

/// The nodes below which anything hangs, if they are few.
pub fn few_nodes(sums: &Sums) -> Option<Vec<u64>> {
    let mut nodes = Vec::new();
    for (table, sums) in sums {
        let base = GlobalId::new(*table, 0).0;
        let most = nodes.len() + sums.len() / ACTIVE_SHARE as usize + 1;
        let found = sums.iter().enumerate().filter(|(_, sum)| **sum != 0);
        nodes.extend(found.take(most).map(|(offset, _)| base + offset as u64));
        if nodes.len() >= most {
            return None;
        }
    }
    Some(nodes)
}

/// A predicate evaluated for some nodes only, as one bit per offset.
pub fn bits_of_few(
    nodes: &[u64],
    tables: impl Iterator<Item = TableId>,
    filter: &LateFilter,
    query: &QueryContext,
) -> ExecutionResult<NodeWeights> {
    let mut bits: Vec<(TableId, Vec<u64>)> = Vec::new();
    for table in tables {
        let rows = query.transaction.node_table(table)?.row_bound();
        bits.push((table, vec![0; rows.div_ceil(64) as usize]));
    }
    let mut context = query.worker()?;
    let mut gatherer = Gatherer::new(&filter.fetch, query)?;
    let mut evaluator = Evaluator::new(&filter.predicate, query)?;
    let mut selection = SelectionBuffer::default();
    for ids in nodes.chunks(query.vector_size) {
        query.check()?;
        gatherer.gather(ids, &mut context)?;
        let mut columns = vec![ValueVector::flat(Values::U64(ids))];
        columns.extend(gatherer.vectors());
        evaluator.select(query, &Batch::new(&columns, ids.len()), &mut selection)?;
        count(&query.counters.rows_fetched, ids.len() as u64);
        selection.view().for_each(ids.len(), |row| {
            let id = GlobalId(ids[row]);
            let table = bits.iter_mut().find(|(table, _)| table.0 & 0xFFFF == id.table().0);
            if let Some(word) = table.and_then(|(_, words)| words.get_mut(id.offset() as usize / 64)) {
                *word |= 1 << (id.offset() % 64);
            }
        });
    }
    count(&query.counters.node_bitmaps, 1);
    Ok(bits.into_iter().map(|(table, words)| (table, Weights::Bits(words))).collect())
}
