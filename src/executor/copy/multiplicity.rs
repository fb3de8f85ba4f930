//! Multiplicities: which nodes have their one relationship already, in the table or from an earlier row.

use super::error::CopyResult;
use crate::storage::buffer_pool::PoolWorker;
use crate::storage::table::{Adjacency, Direction};
use crate::types::NODE_GROUP_ROWS;

/// One bit per node of one end.
pub(super) struct TakenNodes {
    pub outgoing: bool,
    words: Vec<u64>,
}

impl TakenNodes {
    /// The nodes that have a relationship in the table.
    pub fn of(adjacency: &Adjacency, nodes: u64, worker: &mut PoolWorker) -> CopyResult<TakenNodes> {
        let mut taken = TakenNodes {
            outgoing: adjacency.direction() == Direction::Forward,
            words: vec![0; nodes.div_ceil(64) as usize],
        };
        let (mut positions, mut lengths) = (Vec::new(), Vec::new());
        for group in adjacency.groups() {
            let first = group?.first_node();
            let nodes: Vec<u64> = (first..(first + NODE_GROUP_ROWS).min(nodes)).collect();
            positions.clear();
            lengths.clear();
            adjacency.lists(&nodes, worker, &mut positions, &mut lengths)?;
            for (node, length) in nodes.iter().zip(&lengths) {
                if *length > 0 {
                    taken.take(*node as u32);
                }
            }
        }
        Ok(taken)
    }

    /// The node has its relationship now.
    pub fn take(&mut self, node: u32) {
        if let Some(word) = self.words.get_mut(node as usize / 64) {
            *word |= 1u64 << (node % 64);
        }
    }

    /// Whether the node is taken.
    pub fn is_taken(&self, node: u32) -> bool {
        self.words.get(node as usize / 64).is_some_and(|word| word >> (node % 64) & 1 != 0)
    }

    pub fn bytes(&self) -> u64 {
        self.words.len() as u64 * 8
    }
}
