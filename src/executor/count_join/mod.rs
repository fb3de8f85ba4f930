//! Joins of which one side is only counted: its values are sorted for each node, and a row of the other side finds by
//! binary search how many of them stand in the right order to its own. Pairs are never written out.

mod sorted_lists;

use parking_lot::Mutex;

use self::sorted_lists::{Entry, Gathered, SortedLists};
use super::build::run;
use super::context::{Context, QueryContext};
use super::counters::count;
use super::error::ExecutionResult;
use super::evaluate::Evaluator;
use super::joining::{NodeSet, with_bitmap};
use super::messages::too_many;
use super::operator::{Factory, Flow, Next, Operator};
use super::row_weights::RowWeights;
use super::spill::Unseen;
use crate::planner::physical_plan::{PhysicalCount, PlanNode};
use crate::storage::table::Direction;
use crate::types::{DataType, PredicateOp};
use crate::vector::{Batch, sort_keys};

pub const OPERATOR: &str = "CountJoin";
/// What sorts behind every number: no comparison with it is true.
const NAN: u64 = u64::MAX - 1;

/// The sides of a `PhysicalCount`.
const READ: usize = 0;
const COUNTED: usize = 1;

/// Runs the counted side, then the other one, whose rows are multiplied as they come.
pub fn count_join<'x>(
    probe: &'x PlanNode,
    build: &'x PlanNode,
    how: &'x PhysicalCount,
    query: &'x QueryContext,
    sink: &'x Factory<'x>,
) -> ExecutionResult<()> {
    let repeats = may_repeat(how, query)?;
    let gathered = Mutex::new(Vec::new());
    let around = query.pipeline_rows.swap(0, std::sync::atomic::Ordering::Relaxed);
    let outcome =
        run(build, query, &|| Ok(Box::new(Gather::new(how, repeats, &gathered, query)?) as Next<'_>));
    query.pipeline_rows.store(around, std::sync::atomic::Ordering::Relaxed);
    outcome?;
    let lists = SortedLists::new(gathered.into_inner(), query)?;
    let bitmap = how.bitmap.and_then(|bitmap| {
        let mut nodes = NodeSet::new(query.account());
        lists.nodes(&mut nodes).then_some((bitmap.name, nodes))
    });
    with_bitmap(query, bitmap, || {
        run(probe, query, &|| Ok(Box::new(CountRows::new(how, repeats, &lists, query, sink()?)?) as Next<'_>))
    })
}

/// Whether a row of either side can have the same relationship.
fn may_repeat(how: &PhysicalCount, query: &QueryContext) -> ExecutionResult<bool> {
    let Some(loops) = &how.loops else { return Ok(!how.different.is_empty()) };
    for table in &loops.tables {
        if query.transaction.rel_table(*table)?.adjacency(Direction::Forward).self_loops()? > 0 {
            return Ok(true);
        }
    }
    Ok(false)
}

/// A column with relationships that may not be on both sides.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct RelColumn {
    rel: usize,
    /// Where only self-loops can be on both: the column of the other end.
    end: Option<usize>,
}

impl RelColumn {
    /// The relationship of a row, if it may be on the other side.
    fn get(&self, batch: &Batch<'_>, row: usize, node: u64) -> Option<u64> {
        let may_be = self.end.is_none_or(|end| batch.columns[end].u64_at(row) == Some(node));
        batch.columns[self.rel].u64_at(row).filter(|_| may_be)
    }
}

/// One side's columns, read row by row.
struct Side<'x> {
    value: Evaluator<'x>,
    data_type: &'x DataType,
    floats: bool,
    node: usize,
    rels: Vec<RelColumn>,
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
        let ends = how.loops.as_ref().filter(|_| at == COUNTED).map(|loops| &loops.ends);
        let column = |(pair, sides): (usize, &[usize; 2])| RelColumn {
            rel: sides[at],
            end: ends.map(|ends| ends[pair]),
        };
        let mut rels: Vec<_> = how.different.iter().enumerate().filter(|_| repeats).map(column).collect();
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

    /// Calls `visit` with `rels` and the number, the node and the value of each row that has both.
    fn rows(
        &mut self,
        query: &QueryContext,
        batch: &Batch<'_>,
        mut visit: impl FnMut(&[RelColumn], usize, u64, u64),
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
                visit(&self.rels, row, reader.get(row), value);
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
    unseen: Unseen,
    into: &'x Mutex<Vec<Gathered>>,
}

impl<'x> Gather<'x> {
    fn new(
        how: &'x PhysicalCount,
        repeats: bool,
        into: &'x Mutex<Vec<Gathered>>,
        query: &QueryContext,
    ) -> ExecutionResult<Gather<'x>> {
        let own = Gathered::new(query.account_of_arrays());
        Ok(Gather { side: Side::new(how, COUNTED, repeats, query)?, own, unseen: Unseen::default(), into })
    }
}

impl Operator for Gather<'_> {
    fn push<'b>(&mut self, context: &mut Context<'_>, batch: Batch<'b>) -> ExecutionResult<Flow> {
        let Gather { side, own, unseen, .. } = self;
        side.rows(context.query, &batch, |columns, row, node, value| {
            let entry = Entry { node, value, count: batch.multiplicity.get(row) };
            own.add(entry, columns.iter().filter_map(|column| column.get(&batch, row, node)));
        })?;
        if unseen.is_due(batch.selected(), own.bytes(), context.query) {
            own.look()?;
        }
        Ok(Flow::Continue)
    }

    fn finish(&mut self, context: &mut Context<'_>) -> ExecutionResult<()> {
        self.own.look()?;
        count(&context.query.counters.rows_built, self.own.len() as u64);
        let none = Gathered::new(context.query.account_of_arrays());
        self.into.lock().push(std::mem::replace(&mut self.own, none));
        Ok(())
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
        let side = Side::new(how, READ, repeats && lists.has_repeats(), query)?;
        Ok(CountRows { side, op: how.op, lists, weights: RowWeights::default(), next })
    }
}

impl Operator for CountRows<'_> {
    fn push<'b>(&mut self, context: &mut Context<'_>, batch: Batch<'b>) -> ExecutionResult<Flow> {
        let CountRows { side, op, lists, weights, next } = self;
        weights.start(batch.length);
        let mut overflow = false;
        side.rows(context.query, &batch, |columns, row, node, value| {
            let rels = columns.iter().filter_map(|column| column.get(&batch, row, node));
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
