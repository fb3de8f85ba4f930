//! What the build side of a join tells its probe side: the nodes that it has, as bits, so that rows on their way to the
//! join which will find no partner are left out where their node is bound.

use std::sync::Arc;

use super::context::{Context, QueryContext};
use super::counters::count;
use super::error::ExecutionResult;
use super::messages::{NodeWeights, Weights, weights_of};
use super::operator::{Flow, Next, Operator};
use crate::storage::memory::Reservation;
use crate::types::{GlobalId, TableId};
use crate::vector::{Batch, SelectionBuffer, ValueVector};

/// Nodes that are collected for a bitmap, which saves work and is left out where the memory does not do.
pub struct NodeSet {
    tables: Vec<(TableId, Vec<u64>)>,
    held: Reservation,
}

impl NodeSet {
    /// No nodes so far; `held` will count their bits.
    pub fn new(held: Reservation) -> NodeSet {
        NodeSet { tables: Vec::new(), held }
    }

    /// Adds a node; false where the memory does not do.
    pub fn insert(&mut self, node: u64) -> bool {
        let id = GlobalId(node);
        let at = match self.tables.iter().position(|(known, _)| *known == id.table()) {
            Some(at) => at,
            None => {
                self.tables.push((id.table(), Vec::new()));
                self.tables.len() - 1
            }
        };
        let word = id.offset() as usize / 64;
        let length = self.tables[at].1.len();
        if length <= word {
            // What is there is copied to a longer place, so that both are held for a moment.
            let longer = (word + 1).max(length.saturating_mul(2));
            let all: usize = self.tables.iter().map(|(_, words)| words.len()).sum();
            if !self.held.try_hold_share((all as u64).saturating_add(longer as u64).saturating_mul(8)) {
                return false;
            }
            self.tables[at].1.resize(longer, 0);
        }
        self.tables[at].1[word] |= 1 << (id.offset() % 64);
        true
    }

    /// Adds the nodes of a column; false where the memory does not do.
    pub fn insert_all(&mut self, nodes: &ValueVector<'_>, length: usize) -> bool {
        let Some(reader) = nodes.native_reader::<u64>() else { return true };
        (0..length).filter(|row| !nodes.is_null(*row)).all(|row| self.insert(reader.get(row)))
    }

    /// The bits, and what counts them.
    fn bits(self) -> (NodeWeights, Reservation) {
        let bits = |(table, words)| (table, Weights::Bits(words));
        (self.tables.into_iter().map(bits).collect(), self.held)
    }
}

/// Runs a join's probe side while the bitmap has a name.
pub fn with_bitmap<T>(
    query: &QueryContext,
    bitmap: Option<(u32, NodeSet)>,
    run: impl FnOnce() -> ExecutionResult<T>,
) -> ExecutionResult<T> {
    let name = bitmap.map(|(name, nodes)| {
        let (bits, held) = nodes.bits();
        query.joining.lock().insert(name, Arc::new(bits));
        (name, held)
    });
    let outcome = run();
    if let Some((name, _held)) = name {
        query.joining.lock().remove(&name);
    }
    outcome
}

/// The bitmap of a join, if its build side was kept.
pub fn bitmap_of(join: u32, query: &QueryContext) -> Option<Arc<NodeWeights>> {
    query.joining.lock().get(&join).cloned()
}

/// Lets only rows pass whose node the build side has.
pub struct Joining<'x> {
    column: usize,
    nodes: Option<Arc<NodeWeights>>,
    selection: SelectionBuffer,
    next: Next<'x>,
}

impl<'x> Joining<'x> {
    /// Leaves rows out before `next`.
    pub fn new(column: usize, join: u32, query: &QueryContext, next: Next<'x>) -> Joining<'x> {
        Joining { column, nodes: bitmap_of(join, query), selection: SelectionBuffer::default(), next }
    }
}

impl Operator for Joining<'_> {
    fn push<'b>(&mut self, context: &mut Context<'_>, batch: Batch<'b>) -> ExecutionResult<Flow> {
        let Joining { column, nodes, selection, next } = self;
        let vector = &batch.columns[*column];
        let (Some(nodes), Some(reader)) = (nodes, vector.native_reader::<u64>()) else {
            return next.push(context, batch);
        };
        selection.reset(batch.selection, batch.length);
        let before = selection.count();
        let nullable = !vector.has_no_nulls();
        let mut last: Option<(TableId, &Weights)> = None;
        for (index, word) in selection.words_mut().iter_mut().enumerate() {
            let mut left = *word;
            while left != 0 {
                let bit = left.trailing_zeros() as usize;
                left &= left - 1;
                let row = index * 64 + bit;
                let id = GlobalId(reader.get(row));
                if last.is_none_or(|(table, _)| table != id.table()) {
                    last = weights_of(nodes, id.table()).map(|weights| (id.table(), weights));
                }
                let known = last.is_some_and(|(_, weights)| weights.get(id.offset()) != 0);
                if !known || (nullable && vector.is_null(row)) {
                    *word &= !(1 << bit);
                }
            }
        }
        count(&context.query.counters.rows_skipped_by_bitmap, (before - selection.count()) as u64);
        if selection.is_empty() {
            return Ok(Flow::Continue);
        }
        next.push(context, Batch { selection: selection.view(), ..batch })
    }

    fn next(&mut self) -> Option<&mut dyn Operator> {
        Some(&mut *self.next)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::storage::memory::{MemoryAccountant, MemoryClass};

    #[test]
    fn bits_for_high_offsets_are_counted_and_left_out_where_the_memory_does_not_do() {
        let memory = MemoryAccountant::new(1 << 20);
        let mut nodes = NodeSet::new(memory.reservation(MemoryClass::Operators));
        let node = |offset| GlobalId::new(TableId(1), offset).0;
        assert!(nodes.insert(node(100_000)) && nodes.insert(node(5)));
        assert!(memory.stats().operators.used >= 100_000 / 8);
        assert!(!nodes.insert(node(100_000_000)));
        drop(nodes);
        assert_eq!(memory.stats().operators.used, 0);
    }
}
