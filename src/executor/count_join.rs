//! Joins of which one side is only counted: its values are sorted for each node, and a row of the other side finds by
//! binary search how many of them stand in the right order to its own. Pairs are never written out.

use std::ops::Range;

use parking_lot::Mutex;
use rustc_hash::FxHashMap;

use super::build::run;
use super::context::{Context, QueryContext};
use super::counters::count;
use super::error::ExecutionResult;
use super::evaluate::Evaluator;
use super::joining::{NodeSet, with_bitmap};
use super::messages::too_many;
use super::operator::{Factory, Flow, Next, Operator};
use super::row_weights::RowWeights;
use super::sort::sort_in_pieces;
use crate::planner::physical_plan::{PhysicalCount, PlanNode};
use crate::storage::memory::Reservation;
use crate::storage::table::Direction;
use crate::types::{DataType, PredicateOp};
use crate::vector::{Batch, sort_keys};

pub const OPERATOR: &str = "CountJoin";
/// What sorts behind every number: no comparison with it is true.
const NAN: u64 = u64::MAX - 1;

/// Runs the counted side, then the other one, whose rows are multiplied as they come.
pub fn count_join<'x>(
    probe: &'x PlanNode,
    build: &'x PlanNode,
    how: &'x PhysicalCount,
    query: &'x QueryContext,
    sink: &'x Factory<'x>,
) -> ExecutionResult<()> {
    let repeats = may_repeat(how, query)?;
    let gathered =
        Mutex::new(Gathered { held: query.account_of_arrays(), entries: Vec::new(), rels: Vec::new() });
    let around = query.pipeline_rows.swap(0, std::sync::atomic::Ordering::Relaxed);
    let outcome =
        run(build, query, &|| Ok(Box::new(Gather::new(how, repeats, &gathered, query)?) as Next<'_>));
    query.pipeline_rows.store(around, std::sync::atomic::Ordering::Relaxed);
    outcome?;
    let Gathered { entries, rels, held: _held } = gathered.into_inner();
    let bitmap = how.bitmap.and_then(|bitmap| {
        let mut nodes = NodeSet::new(query.account());
        entries.iter().all(|entry| nodes.insert(entry.node)).then_some((bitmap.name, nodes))
    });
    let lists = SortedLists::new(entries, rels, query)?;
    with_bitmap(query, bitmap, || {
        run(probe, query, &|| Ok(Box::new(CountRows::new(how, repeats, &lists, query, sink()?)?) as Next<'_>))
    })
}

/// Whether a row of either side can have the same relationship.
fn may_repeat(how: &PhysicalCount, query: &QueryContext) -> ExecutionResult<bool> {
    let Some(tables) = &how.loops_of else { return Ok(!how.different.is_empty()) };
    for table in tables {
        if query.transaction.rel_table(*table)?.adjacency(Direction::Forward).self_loops()? > 0 {
            return Ok(true);
        }
    }
    Ok(false)
}

/// A row of the counted side.
#[derive(Clone, Copy)]
struct Entry {
    node: u64,
    /// In the order of the values.
    value: u64,
    count: u64,
}

/// All rows of the counted side, and those with a relationship that the other side may have.
struct Gathered {
    held: Reservation,
    entries: Vec<Entry>,
    rels: Vec<(u64, Entry)>,
}

/// One side's columns, read row by row.
struct Side<'x> {
    value: Evaluator<'x>,
    data_type: &'x DataType,
    floats: bool,
    node: usize,
    /// Columns with relationships that may not be on both sides.
    rels: Vec<usize>,
    keys: Vec<u64>,
}

impl<'x> Side<'x> {
    fn new(
        how: &'x PhysicalCount,
        at: usize,
        repeats: bool,
        query: &QueryContext,
    ) -> ExecutionResult<Side<'x>> {
        let expression = &how.values[at];
        let mut rels: Vec<usize> = how.different.iter().filter(|_| repeats).map(|pair| pair[at]).collect();
        rels.sort_unstable();
        rels.dedup();
        Ok(Side {
            value: Evaluator::new(expression, query)?,
            data_type: &expression.data_type,
            floats: expression.data_type.is_floating(),
            node: how.nodes[at],
            rels,
            keys: Vec::new(),
        })
    }

    /// Calls `visit` with the number, the node and the value of each row that has both.
    fn rows(
        &mut self,
        query: &QueryContext,
        batch: &Batch<'_>,
        mut visit: impl FnMut(usize, u64, u64),
    ) -> ExecutionResult<()> {
        let nodes = &batch.columns[self.node];
        let Some(reader) = nodes.native_reader::<u64>() else { return Ok(()) };
        let values = self.value.evaluate(query, batch)?;
        sort_keys(&values, self.data_type, batch.length, &mut self.keys);
        let nullable = !nodes.has_no_nulls() || !values.has_no_nulls();
        batch.selection.for_each(batch.length, |row| {
            let value = self.keys[row];
            let absent = nullable && (nodes.is_null(row) || values.is_null(row));
            let no_number = self.floats && value == NAN;
            if !absent && !no_number {
                visit(row, reader.get(row), value);
            }
        });
        Ok(())
    }
}

/// Takes the rows of the counted side.
struct Gather<'x> {
    side: Side<'x>,
    own: Gathered,
    /// Rows since the account was looked at.
    unseen: usize,
    into: &'x Mutex<Gathered>,
}

impl<'x> Gather<'x> {
    fn new(
        how: &'x PhysicalCount,
        repeats: bool,
        into: &'x Mutex<Gathered>,
        query: &QueryContext,
    ) -> ExecutionResult<Gather<'x>> {
        let own = Gathered { held: query.account_of_arrays(), entries: Vec::new(), rels: Vec::new() };
        Ok(Gather { side: Side::new(how, 1, repeats, query)?, own, unseen: 0, into })
    }

    /// Counts what the rows take now and what they will take beside that once they are sorted.
    fn look(&mut self) -> ExecutionResult<()> {
        self.unseen = 0;
        let entries = self.own.entries.len() * 2 * size_of::<Entry>();
        let rels = self.own.rels.len() * 3 * size_of::<Entry>();
        Ok(self.own.held.hold(OPERATOR, (entries + rels) as u64)?)
    }
}

impl Operator for Gather<'_> {
    fn push<'b>(&mut self, context: &mut Context<'_>, batch: Batch<'b>) -> ExecutionResult<Flow> {
        let Gathered { entries, rels, .. } = &mut self.own;
        let columns = self.side.rels.clone();
        self.side.rows(context.query, &batch, |row, node, value| {
            let entry = Entry { node, value, count: batch.multiplicity.get(row) };
            entries.push(entry);
            let known = columns.iter().filter_map(|column| batch.columns[*column].u64_at(row));
            rels.extend(known.map(|rel| (rel, entry)));
        })?;
        self.unseen += batch.selected();
        if self.unseen >= context.query.rows_per_look() {
            self.look()?;
        }
        Ok(Flow::Continue)
    }

    fn finish(&mut self, context: &mut Context<'_>) -> ExecutionResult<()> {
        self.look()?;
        count(&context.query.counters.rows_built, self.own.entries.len() as u64);
        let empty =
            Gathered { held: context.query.account_of_arrays(), entries: Vec::new(), rels: Vec::new() };
        let mut own = std::mem::replace(&mut self.own, empty);
        let mut into = self.into.lock();
        into.entries.append(&mut own.entries);
        into.rels.append(&mut own.rels);
        into.held.absorb(own.held);
        Ok(())
    }
}

/// The counted side: the values of each node in order, and how many rows stand before each of them.
struct SortedLists {
    lists: FxHashMap<u64, Range<usize>>,
    values: Vec<u64>,
    /// Empty where every row stands for itself.
    before: Vec<u64>,
    repeated: FxHashMap<u64, Vec<Entry>>,
}

impl SortedLists {
    fn new(
        mut entries: Vec<Entry>,
        rels: Vec<(u64, Entry)>,
        query: &QueryContext,
    ) -> ExecutionResult<SortedLists> {
        let order = |a: &Entry, b: &Entry| (a.node, a.value).cmp(&(b.node, b.value));
        sort_in_pieces(&mut entries, order, || query.check())?;
        let mut lists = FxHashMap::default();
        let mut first = 0;
        for list in entries.chunk_by(|a, b| a.node == b.node) {
            lists.insert(list[0].node, first..first + list.len());
            first += list.len();
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
        let mut repeated: FxHashMap<u64, Vec<Entry>> = FxHashMap::default();
        rels.into_iter().for_each(|(rel, entry)| repeated.entry(rel).or_default().push(entry));
        Ok(SortedLists { lists, values, before, repeated })
    }

    /// How many rows a node has that stand in the order `value op other`.
    fn count(&self, node: u64, op: PredicateOp, value: u64) -> u64 {
        let Some(list) = self.lists.get(&node) else { return 0 };
        let values = &self.values[list.clone()];
        let below = || values.partition_point(|other| *other < value);
        let up_to = || values.partition_point(|other| *other <= value);
        let sum = |range: Range<usize>| match &self.before[..] {
            [] => range.len() as u64,
            before => before[list.start + range.end] - before[list.start + range.start],
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
    fn repeating(&self, rel: u64, node: u64, op: PredicateOp, value: u64) -> Option<u64> {
        let fits = |entry: &&Entry| {
            let other = entry.value;
            entry.node == node
                && match op {
                    PredicateOp::Lt => value < other,
                    PredicateOp::Le => value <= other,
                    PredicateOp::Gt => value > other,
                    PredicateOp::Ge => value >= other,
                    PredicateOp::Eq => value == other,
                    PredicateOp::Ne => value != other,
                    _ => false,
                }
        };
        let same = self.repeated.get(&rel).map_or(&[][..], Vec::as_slice);
        same.iter().filter(fits).try_fold(0u64, |sum, entry| sum.checked_add(entry.count))
    }

    /// How many rows a row of the other side that stands for `times` stands for with those that have none of its
    /// relationships; none where the number is too large.
    fn without_repeats(
        &self,
        node: u64,
        op: PredicateOp,
        value: u64,
        rels: impl Iterator<Item = u64>,
        times: u64,
    ) -> Option<u64> {
        let mut found = self.count(node, op, value);
        for rel in rels {
            // No row is taken off twice, so that there are always as many left as are taken off: two relationships of
            // the read side that both meet a counted one are in its trail set and so differ from each other, and where
            // several of the counted side meet the only one of the read side, they differ for the same reason.
            found = found.checked_sub(self.repeating(rel, node, op, value)?)?;
        }
        found.checked_mul(times)
    }
}

/// Multiplies the rows of the other side.
struct CountRows<'x> {
    side: Side<'x>,
    op: PredicateOp,
    lists: &'x SortedLists,
    weights: RowWeights,
    next: Next<'x>,
}

impl<'x> CountRows<'x> {
    fn new(
        how: &'x PhysicalCount,
        repeats: bool,
        lists: &'x SortedLists,
        query: &QueryContext,
        next: Next<'x>,
    ) -> ExecutionResult<CountRows<'x>> {
        let side = Side::new(how, 0, repeats && !lists.repeated.is_empty(), query)?;
        Ok(CountRows { side, op: how.op, lists, weights: RowWeights::default(), next })
    }
}

impl Operator for CountRows<'_> {
    fn push<'b>(&mut self, context: &mut Context<'_>, batch: Batch<'b>) -> ExecutionResult<Flow> {
        let CountRows { side, op, lists, weights, next } = self;
        weights.start(batch.length);
        let (columns, mut overflow) = (side.rels.clone(), false);
        side.rows(context.query, &batch, |row, node, value| {
            let rels = columns.iter().filter_map(|column: &usize| batch.columns[*column].u64_at(row));
            let Some(found) = lists.without_repeats(node, *op, value, rels, batch.multiplicity.get(row))
            else {
                overflow = true;
                return;
            };
            weights.set(row, found);
        })?;
        if overflow {
            return Err(too_many());
        }
        count(&context.query.counters.rows_counted_in_order, batch.selected() as u64);
        weights.push(context, batch, &mut **next)
    }

    fn next(&mut self) -> Option<&mut dyn Operator> {
        Some(&mut *self.next)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_counted_by_their_order() {
        let check = |op, value, expected: [u64; 2]| {
            for (times, expected) in [1, 5].into_iter().zip(expected) {
                let entry = |(node, value)| Entry { node, value, count: times };
                let entries = [(7, 30), (7, 10), (8, 10), (7, 20), (7, 20)].map(entry).to_vec();
                let lists = SortedLists {
                    lists: [(7, 0..4), (8, 4..5)].into_iter().collect(),
                    values: vec![10, 20, 20, 30, 10],
                    before: if times == 1 { Vec::new() } else { (0..6).map(|at| at * times).collect() },
                    repeated: FxHashMap::default(),
                };
                assert_eq!(lists.count(7, op, value), expected, "{op:?} {value}");
                let all = entries.iter().filter(|entry| entry.node == 7);
                let lists =
                    SortedLists { repeated: [(1, all.copied().collect())].into_iter().collect(), ..lists };
                assert_eq!(lists.repeating(1, 7, op, value), Some(expected), "{op:?} {value}");
                assert_eq!((lists.count(9, op, value), lists.repeating(1, 8, op, value)), (0, Some(0)));
            }
        };
        check(PredicateOp::Lt, 20, [1, 5]);
        check(PredicateOp::Le, 20, [3, 15]);
        check(PredicateOp::Gt, 20, [1, 5]);
        check(PredicateOp::Ge, 20, [3, 15]);
        check(PredicateOp::Eq, 20, [2, 10]);
        check(PredicateOp::Ne, 20, [2, 10]);
        check(PredicateOp::Ne, 15, [4, 20]);
        check(PredicateOp::Ge, 9, [0, 0]);
    }

    #[test]
    fn counts_beyond_64_bits_are_told_and_not_cut_off() {
        let entry = |value, count| Entry { node: 7, value, count };
        let lists = SortedLists {
            lists: [(7, 0..2)].into_iter().collect(),
            values: vec![10, 20],
            before: vec![0, 1 << 40, 1 << 41],
            repeated: [(1, vec![entry(10, 1 << 40)]), (2, vec![entry(10, u64::MAX), entry(20, 1)])]
                .into_iter()
                .collect(),
        };
        let check = |rels: &[u64], times, expected| {
            let found = lists.without_repeats(7, PredicateOp::Gt, 30, rels.iter().copied(), times);
            assert_eq!(found, expected, "{rels:?} {times}");
        };
        check(&[], 1 << 22, Some(1 << 63));
        check(&[], 1 << 23, None);
        check(&[1], 1 << 23, Some(1 << 63));
        check(&[2], 1, None);
    }
}
