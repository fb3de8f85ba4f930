//! The counted side of a join: the values of each node in order. Rows are parted by their nodes as they come, so that
//! the parts are sorted side by side, each within a core's own cache.

use std::ops::Range;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

use parking_lot::Mutex;
use rustc_hash::FxHashMap;

use super::super::context::{Context, QueryContext};
use super::super::error::ExecutionResult;
use super::super::joining::NodeSet;
use super::super::messages::too_many;
use super::super::operator::{Flow, Nothing, Operator};
use super::super::pipeline::{Source, drive};
use super::OPERATOR;
use crate::storage::memory::Reservation;
use crate::types::PredicateOp;
use crate::vector::sort_in_pieces;

/// Parts of the nodes.
const PARTS: usize = 64;
/// Fewer rows are not worth another thread.
const ROWS_PER_WORKER: usize = 1 << 13;

fn part_of(node: u64) -> usize {
    const BITS: u32 = PARTS.trailing_zeros();
    // Fibonacci hashing (Knuth, The Art of Computer Programming, volume 3, section 6.4).
    (node.wrapping_mul(0x9E37_79B9_7F4A_7C15) >> (64 - BITS)) as usize
}

/// A row of the counted side.
#[derive(Debug, Clone, Copy)]
pub struct Entry {
    pub node: u64,
    /// In the order of the values.
    pub value: u64,
    pub count: u64,
}

/// A relationship that the other side may have, and the row of the counted side that it is in.
type Repeat = (u64, Entry);

/// Rows of some nodes.
#[derive(Debug, Default)]
struct Rows {
    entries: Vec<Entry>,
    repeats: Vec<Repeat>,
}

/// Rows by part.
pub struct Gathered {
    held: Reservation,
    parts: Vec<Rows>,
    entries: usize,
    repeats: usize,
}

impl Gathered {
    /// No rows so far; `held` will count them.
    pub fn new(held: Reservation) -> Gathered {
        Gathered { held, parts: (0..PARTS).map(|_| Rows::default()).collect(), entries: 0, repeats: 0 }
    }

    /// Adds a row with its relationships.
    pub fn add(&mut self, entry: Entry, rels: impl Iterator<Item = u64>) {
        let part = &mut self.parts[part_of(entry.node)];
        let before = part.repeats.len();
        part.entries.push(entry);
        part.repeats.extend(rels.map(|rel| (rel, entry)));
        self.entries += 1;
        self.repeats += part.repeats.len() - before;
    }

    /// What the rows take now and what they will take beside that once they are sorted.
    pub fn bytes(&self) -> u64 {
        2 * (self.entries * size_of::<Entry>() + self.repeats * size_of::<Repeat>()) as u64
    }

    /// Counts that.
    pub fn look(&mut self) -> ExecutionResult<()> {
        let bytes = self.bytes();
        Ok(self.held.hold(OPERATOR, bytes)?)
    }

    /// Number of rows.
    pub fn len(&self) -> usize {
        self.entries
    }
}

/// The values of each node in order.
pub struct SortedLists {
    parts: Vec<Part>,
    has_repeats: bool,
    _held: Vec<Reservation>,
}

impl SortedLists {
    /// Sorts the rows of all workers.
    pub fn new(gathered: Vec<Gathered>, query: &QueryContext) -> ExecutionResult<SortedLists> {
        let rows: usize = gathered.iter().map(|own| own.entries).sum();
        let has_repeats = gathered.iter().any(|own| own.repeats > 0);
        let mut parts: Vec<Vec<Rows>> = (0..PARTS).map(|_| Vec::with_capacity(gathered.len())).collect();
        let mut held = Vec::with_capacity(gathered.len());
        for own in gathered {
            held.push(own.held);
            parts.iter_mut().zip(own.parts).for_each(|(part, own)| part.push(own));
        }
        let unsorted = parts.into_iter().map(|rows| Mutex::new((rows, Part::default()))).collect();
        let source = Unsorted { parts: unsorted, rows, next: AtomicUsize::new(0) };
        drive(query, &source, &|| Ok(Box::new(Nothing)))?;
        let parts = source.parts.into_iter().map(|part| part.into_inner().1).collect();
        Ok(SortedLists { parts, has_repeats, _held: held })
    }

    /// Adds all nodes; false where the memory does not do.
    pub fn nodes(&self, nodes: &mut NodeSet) -> bool {
        self.parts.iter().flat_map(|part| part.lists.keys()).all(|node| nodes.insert(*node))
    }

    /// Whether a row of the other side may have a relationship of these.
    pub fn has_repeats(&self) -> bool {
        self.has_repeats
    }

    /// How many rows a row of the other side that stands for `times` stands for with those that have none of its
    /// relationships; none where the number is too large.
    pub fn without_repeats(
        &self,
        node: u64,
        op: PredicateOp,
        value: u64,
        rels: impl Iterator<Item = u64>,
        times: u64,
    ) -> Option<u64> {
        let part = &self.parts[part_of(node)];
        let Some(list) = part.lists.get(&node) else { return Some(0) };
        let mut found = part.count(list, op, value);
        for rel in rels {
            // No row is taken off twice, so that there are always as many left as are taken off: two relationships of
            // the read side that both meet a counted one are in its trail set and so differ from each other, and where
            // several of the counted side meet the only one of the read side, they differ for the same reason.
            found = found.checked_sub(part.repeating(list, rel, op, value)?)?;
        }
        found.checked_mul(times)
    }
}

/// What is known of a node: ranges of the arrays of its part.
#[derive(Debug, Clone, Default)]
struct List {
    values: Range<usize>,
    repeats: Range<usize>,
}

/// The lists of some nodes.
#[derive(Debug, Default)]
struct Part {
    lists: FxHashMap<u64, List>,
    values: Vec<u64>,
    /// How many rows stand before each value; empty where every row stands for itself.
    before: Vec<u64>,
    /// Of each list in the order of the relationships.
    repeats: Vec<Repeat>,
}

impl Part {
    fn new(rows: Vec<Rows>, check: impl Fn() -> ExecutionResult<()>) -> ExecutionResult<Part> {
        let mut entries = Vec::with_capacity(rows.iter().map(|own| own.entries.len()).sum());
        let mut repeats = Vec::with_capacity(rows.iter().map(|own| own.repeats.len()).sum());
        for mut own in rows {
            entries.append(&mut own.entries);
            repeats.append(&mut own.repeats);
        }
        let order = |a: &Entry, b: &Entry| (a.node, a.value).cmp(&(b.node, b.value));
        sort_in_pieces(&mut entries, order, &check)?;
        let order = |a: &Repeat, b: &Repeat| (a.1.node, a.0).cmp(&(b.1.node, b.0));
        sort_in_pieces(&mut repeats, order, &check)?;
        let mut lists: FxHashMap<u64, List> = FxHashMap::default();
        let mut at = 0..0;
        for list in entries.chunk_by(|a, b| a.node == b.node) {
            at = at.end..at.end + list.len();
            lists.insert(list[0].node, List { values: at.clone(), ..List::default() });
        }
        at = 0..0;
        for repeats in repeats.chunk_by(|a, b| a.1.node == b.1.node) {
            at = at.end..at.end + repeats.len();
            lists.entry(repeats[0].1.node).or_default().repeats = at.clone();
        }
        let values = entries.iter().map(|entry| entry.value).collect();
        let mut before = Vec::new();
        if entries.iter().any(|entry| entry.count != 1) {
            before.reserve(entries.len() + 1);
            before.push(0u64);
            for entry in &entries {
                let sum = before.last().copied().unwrap_or(0).checked_add(entry.count);
                before.push(sum.ok_or_else(too_many)?);
            }
        }
        Ok(Part { lists, values, before, repeats })
    }

    /// How many rows of a list stand in the order `value op other`.
    fn count(&self, list: &List, op: PredicateOp, value: u64) -> u64 {
        let start = list.values.start;
        let values = &self.values[list.values.clone()];
        let below = || values.partition_point(|other| *other < value);
        let up_to = || values.partition_point(|other| *other <= value);
        let sum = |range: Range<usize>| match &self.before[..] {
            [] => range.len() as u64,
            before => before[start + range.end] - before[start + range.start],
        };
        match op {
            PredicateOp::Lt => sum(up_to()..values.len()),
            PredicateOp::Le => sum(below()..values.len()),
            PredicateOp::Gt => sum(0..below()),
            PredicateOp::Ge => sum(0..up_to()),
            PredicateOp::Eq => sum(below()..up_to()),
            PredicateOp::Ne => sum(0..values.len()) - sum(below()..up_to()),
            // The planner counts comparisons only.
            _ => 0,
        }
    }

    /// How many of these have the relationship; none where the number is too large.
    fn repeating(&self, list: &List, rel: u64, op: PredicateOp, value: u64) -> Option<u64> {
        let fits = |entry: &&Entry| {
            let other = entry.value;
            match op {
                PredicateOp::Lt => value < other,
                PredicateOp::Le => value <= other,
                PredicateOp::Gt => value > other,
                PredicateOp::Ge => value >= other,
                PredicateOp::Eq => value == other,
                PredicateOp::Ne => value != other,
                _ => false,
            }
        };
        let repeats = &self.repeats[list.repeats.clone()];
        let first = repeats.partition_point(|(other, _)| *other < rel);
        let same = repeats[first..].iter().take_while(|(other, _)| *other == rel).map(|(_, entry)| entry);
        same.filter(fits).try_fold(0u64, |sum, entry| sum.checked_add(entry.count))
    }
}

/// Parts that workers sort, one after another.
struct Unsorted {
    parts: Vec<Mutex<(Vec<Rows>, Part)>>,
    rows: usize,
    next: AtomicUsize,
}

impl Source for Unsorted {
    fn next_morsel(&self) -> Option<u64> {
        let at = self.next.fetch_add(1, Relaxed);
        (at < self.parts.len()).then_some(at as u64)
    }

    fn run(&self, morsel: u64, context: &mut Context<'_>, _: &mut dyn Operator) -> ExecutionResult<Flow> {
        let mut part = self.parts[morsel as usize].lock();
        let rows = std::mem::take(&mut part.0);
        part.1 = Part::new(rows, || context.query.check())?;
        Ok(Flow::Continue)
    }

    fn parallelism(&self) -> usize {
        self.rows / ROWS_PER_WORKER
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Rows of `(node, value, rel)`, each of which counts `times`.
    fn part(rows: &[(u64, u64, Option<u64>)], times: u64) -> Part {
        let entry = |row: &(u64, u64, Option<u64>)| Entry { node: row.0, value: row.1, count: times };
        let entries = rows.iter().map(entry).collect();
        let repeats = rows.iter().filter_map(|row| Some((row.2?, entry(row)))).collect();
        Part::new(vec![Rows { entries, repeats }, Rows::default()], || Ok(())).unwrap()
    }

    #[test]
    fn values_are_counted_by_their_order() {
        let rows = [(7, 30, 1), (7, 10, 1), (8, 10, 1), (7, 20, 1), (7, 20, 1)];
        let check = |op, value, expected: u64| {
            for times in [1, 5] {
                let part = part(&rows.map(|(node, value, rel)| (node, value, Some(rel))), times);
                let list = &part.lists[&7];
                assert_eq!(part.count(list, op, value), expected * times, "{op:?} {value}");
                assert_eq!(part.repeating(list, 1, op, value), Some(expected * times), "{op:?} {value}");
                assert_eq!(part.repeating(list, 2, op, value), Some(0));
                assert!(!part.lists.contains_key(&9));
            }
        };
        check(PredicateOp::Lt, 20, 1);
        check(PredicateOp::Le, 20, 3);
        check(PredicateOp::Gt, 20, 1);
        check(PredicateOp::Ge, 20, 3);
        check(PredicateOp::Eq, 20, 2);
        check(PredicateOp::Ne, 20, 2);
        check(PredicateOp::Ne, 15, 4);
        check(PredicateOp::Ge, 9, 0);
    }

    #[test]
    fn a_relationship_is_found_among_those_of_its_node_only() {
        let part =
            part(&[(7, 10, None), (7, 20, Some(3)), (8, 10, Some(3)), (8, 20, Some(4)), (7, 30, Some(3))], 1);
        let repeating = |node, rel| part.repeating(&part.lists[&node], rel, PredicateOp::Gt, 40).unwrap();
        assert_eq!([repeating(7, 3), repeating(7, 4), repeating(8, 3), repeating(8, 4)], [2, 0, 1, 1]);
        assert_eq!(part.repeating(&part.lists[&7], 3, PredicateOp::Gt, 30), Some(1));
    }

    #[test]
    fn counts_beyond_64_bits_are_told_and_not_cut_off() {
        let lists = |count| {
            let mut parts: Vec<Part> = (0..PARTS).map(|_| Part::default()).collect();
            parts[part_of(7)] = part(&[(7, 10, Some(1)), (7, 20, Some(2))], count);
            SortedLists { parts, has_repeats: true, _held: Vec::new() }
        };
        let check = |rels: &[u64], times, expected| {
            let found = lists(1 << 40).without_repeats(7, PredicateOp::Gt, 30, rels.iter().copied(), times);
            assert_eq!(found, expected, "{rels:?} {times}");
        };
        check(&[], 1 << 22, Some(1 << 63));
        check(&[], 1 << 23, None);
        check(&[1], 1 << 23, Some(1 << 63));
        check(&[1, 2], 1 << 23, Some(0));
        let entry = |count| (1, Entry { node: 7, value: 10, count });
        let part = Part { repeats: vec![entry(u64::MAX), entry(1)], ..Part::default() };
        let list = List { values: 0..0, repeats: 0..2 };
        assert_eq!(part.repeating(&list, 1, PredicateOp::Gt, 30), None);
        let entries = vec![Entry { node: 7, value: 1, count: u64::MAX }; 2];
        assert!(Part::new(vec![Rows { entries, repeats: Vec::new() }], || Ok(())).is_err());
    }
}
