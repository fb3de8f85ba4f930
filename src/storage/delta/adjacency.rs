//! Edges that a level added to and took from the lists of one group of nodes in one direction. Entries are signed, so
//! that a list is the sum of the base's runs and the levels' parts, whatever was added and taken away in between.

use std::cmp::Ordering;
use std::ops::Range;
use std::sync::Arc;

use super::parts::{Part, Parts};
use super::row_set::RowSet;

/// What a level has of one group of lists.
#[derive(Debug, Clone, Default)]
pub struct AdjacencyDelta {
    parts: Parts<EntryPart>,
    touched: RowSet,
    entries: i64,
    self_loops: i64,
}

/// An edge that came to or went from a list.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Entry {
    /// Counted from the first of the group.
    pub node: u16,
    /// The offset of the far end.
    pub neighbour: u32,
    /// The relationship.
    pub id: u64,
    /// Whether it went.
    pub removed: bool,
}

/// Entries sorted by node, neighbour and id.
#[derive(Debug, Clone, Default)]
pub struct EntryPart {
    nodes: Vec<u16>,
    neighbours: Vec<u32>,
    ids: Vec<u64>,
    /// One bit per entry.
    removed: Vec<u64>,
}

impl AdjacencyDelta {
    /// The entries.
    pub fn parts(&self) -> &Parts<EntryPart> {
        &self.parts
    }

    /// Nodes whose lists may differ from those below.
    pub fn touched(&self) -> &RowSet {
        &self.touched
    }

    /// Edges added less edges taken away.
    pub fn entries(&self) -> i64 {
        self.entries
    }

    /// Likewise of edges whose two ends have the same offset; they are self loops where both ends are in one table.
    pub fn self_loops(&self) -> i64 {
        self.self_loops
    }

    /// Adds sorted entries of the group whose first node is given.
    pub fn add(&mut self, first_node: u64, entries: &[Entry]) {
        let mut part = EntryPart::with_room(entries.len());
        for entry in entries {
            let sign = if entry.removed { -1 } else { 1 };
            self.touched.insert(entry.node);
            self.entries += sign;
            if first_node + u64::from(entry.node) == u64::from(entry.neighbour) {
                self.self_loops += sign;
            }
            part.push(entry);
        }
        self.parts.push(Arc::new(part));
    }

    /// Gives the bytes that both had and one needs no more.
    pub(super) fn merge(&mut self, newer: &AdjacencyDelta) -> u64 {
        self.parts.merge(&newer.parts);
        let before = self.touched.bytes() + newer.touched.bytes();
        self.touched.extend(&newer.touched);
        self.entries += newer.entries;
        self.self_loops += newer.self_loops;
        before - self.touched.bytes()
    }
}

impl EntryPart {
    /// The number of entries.
    pub fn len(&self) -> usize {
        self.nodes.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.nodes.is_empty()
    }

    /// The entry at a position.
    pub fn get(&self, at: usize) -> Entry {
        Entry {
            node: self.nodes[at],
            neighbour: self.neighbours[at],
            id: self.ids[at],
            removed: self.removed[at / 64] >> (at % 64) & 1 == 1,
        }
    }

    /// All entries in order.
    pub fn iter(&self) -> impl Iterator<Item = Entry> + '_ {
        (0..self.len()).map(|at| self.get(at))
    }

    /// The entries of a node, in order of neighbour and id.
    pub fn of_node(&self, node: u16) -> impl Iterator<Item = Entry> + '_ {
        let start = self.nodes.partition_point(|known| *known < node);
        let end = start + self.nodes[start..].partition_point(|known| *known == node);
        (start..end).map(|at| self.get(at))
    }

    /// The entries of a range of nodes, in order.
    pub fn of_nodes(&self, nodes: Range<u32>) -> impl Iterator<Item = Entry> + '_ {
        let below = |bound: u32| self.nodes.partition_point(|known| u32::from(*known) < bound);
        (below(nodes.start)..below(nodes.end)).map(|at| self.get(at))
    }

    /// The most edges that the part adds to one list.
    pub fn longest_addition(&self) -> u64 {
        let (mut most, mut at) = (0, 0);
        for same in self.nodes.chunk_by(|a, b| a == b) {
            let added = (at..at + same.len()).filter(|at| !self.get(*at).removed).count();
            at += same.len();
            most = most.max(added as u64);
        }
        most
    }

    fn with_room(entries: usize) -> EntryPart {
        EntryPart {
            nodes: Vec::with_capacity(entries),
            neighbours: Vec::with_capacity(entries),
            ids: Vec::with_capacity(entries),
            removed: Vec::with_capacity(entries.div_ceil(64)),
        }
    }

    fn push(&mut self, entry: &Entry) {
        let at = self.nodes.len();
        self.nodes.push(entry.node);
        self.neighbours.push(entry.neighbour);
        self.ids.push(entry.id);
        if at.is_multiple_of(64) {
            self.removed.push(0);
        }
        self.removed[at / 64] |= u64::from(entry.removed) << (at % 64);
    }
}

impl Part for EntryPart {
    fn size(&self) -> usize {
        self.len()
    }

    /// What was added and taken away again cancels.
    fn merge(older: &Self, newer: &Self) -> Self {
        let mut out = EntryPart::with_room(older.len() + newer.len());
        let (mut old, mut new) = (0, 0);
        let key = |entry: &Entry| (entry.node, entry.neighbour, entry.id);
        while old < older.len() && new < newer.len() {
            let (a, b) = (older.get(old), newer.get(new));
            match key(&a).cmp(&key(&b)) {
                Ordering::Less => {
                    out.push(&a);
                    old += 1;
                }
                Ordering::Greater => {
                    out.push(&b);
                    new += 1;
                }
                Ordering::Equal => {
                    if a.removed == b.removed {
                        // Nobody adds or takes away the same edge twice; should it happen, no entry is lost.
                        out.push(&a);
                        out.push(&b);
                    }
                    old += 1;
                    new += 1;
                }
            }
        }
        (old..older.len()).for_each(|at| out.push(&older.get(at)));
        (new..newer.len()).for_each(|at| out.push(&newer.get(at)));
        out
    }
}
