//! The nodes whose keys are elements of a list that each row has, by the key index: what `b.key IN list` asks for. NULL
//! elements and a NULL list find nothing, and an element that the list has twice finds its node once.

use std::sync::Arc;

use rustc_hash::FxHashSet;

use super::context::{Context, QueryContext};
use super::counters::count;
use super::error::ExecutionResult;
use super::evaluate::Evaluator;
use super::operator::{Flow, Next, Operator};
use crate::planner::physical_plan::Expression;
use crate::transaction::KeyReader;
use crate::types::{DataType, GlobalId, GroupKey, TableId};
use crate::vector::{Batch, ListReader, Multiplicity, ValueVector, Values};

/// Elements of which each is looked up once however often it is among them.
const KEYS_AT_ONCE: usize = 4096;

/// Appends the ids of the nodes, one row for each.
pub struct LookupElements<'x> {
    list: Evaluator<'x>,
    keep: &'x [usize],
    found: Found,
    pairs: Pairs,
    next: Next<'x>,
}

/// The nodes that were found for the list that was asked about last: rows that follow each other often have the same.
struct Found {
    table: TableId,
    reader: Arc<KeyReader>,
    element: DataType,
    /// Which list: its identity, and where its elements lie.
    place: Option<(u64, usize, usize)>,
    keys: FxHashSet<GroupKey>,
    ids: Vec<u64>,
}

/// Rows and the nodes that were found for them.
#[derive(Default)]
struct Pairs {
    codes: Vec<u32>,
    ids: Vec<u64>,
    counts: Vec<u64>,
}

impl<'x> LookupElements<'x> {
    /// Looks up before `next`.
    pub fn new(
        table: TableId,
        list: &Expression,
        keep: &'x [usize],
        query: &QueryContext,
        next: Next<'x>,
    ) -> ExecutionResult<LookupElements<'x>> {
        let found = Found {
            table,
            reader: query.transaction.key_reader(table)?,
            element: list.data_type.element().cloned().unwrap_or(DataType::Null),
            place: None,
            keys: FxHashSet::default(),
            ids: Vec::new(),
        };
        Ok(LookupElements { list: Evaluator::new(list, query)?, keep, found, pairs: Pairs::default(), next })
    }
}

impl Operator for LookupElements<'_> {
    fn push<'b>(&mut self, context: &mut Context<'_>, batch: Batch<'b>) -> ExecutionResult<Flow> {
        let LookupElements { list, keep, found, pairs, next } = self;
        let mut rows = Vec::new();
        batch.selection.indices(batch.length, &mut rows);
        let vector = list.evaluate(context.query, &batch)?;
        let Some(lists) = vector.list_reader() else { return Ok(Flow::Continue) };
        found.forget_unless(lists.identity());
        pairs.codes.clear();
        pairs.ids.clear();
        for row in rows.into_iter().filter(|row| !vector.is_null(*row as usize)) {
            found.look_up(&lists, row as usize, context)?;
            let mut left = &found.ids[..];
            while !left.is_empty() {
                let room = context.query.vector_size - pairs.codes.len();
                let (now, later) = left.split_at(left.len().min(room));
                pairs.codes.extend(std::iter::repeat_n(row, now.len()));
                pairs.ids.extend_from_slice(now);
                left = later;
                let is_full = pairs.codes.len() == context.query.vector_size;
                if is_full && pairs.push((&batch, keep), context, &mut **next)? == Flow::Stop {
                    return Ok(Flow::Stop);
                }
            }
        }
        pairs.push((&batch, keep), context, &mut **next)
    }

    fn next(&mut self) -> Option<&mut dyn Operator> {
        Some(&mut *self.next)
    }
}

impl Found {
    /// The next lists are those that this number names, or none that are known if it is 0.
    fn forget_unless(&mut self, identity: u64) {
        if identity == 0 || self.place.is_some_and(|(before, ..)| before != identity) {
            self.place = None;
        }
    }

    /// Finds the nodes of a row's list.
    fn look_up(
        &mut self,
        lists: &ListReader<'_>,
        row: usize,
        context: &mut Context<'_>,
    ) -> ExecutionResult<()> {
        let (start, end) = lists.range(row);
        let place = Some((lists.identity(), start, end));
        if self.place == place {
            return Ok(());
        }
        self.place = None;
        self.ids.clear();
        let child = lists.child;
        for from in (start..end).step_by(KEYS_AT_ONCE) {
            let elements = (from..end.min(from + KEYS_AT_ONCE)).filter(|at| !child.is_null(*at));
            self.keys.extend(elements.map(|at| GroupKey(child.value(at, &self.element))));
            count(&context.query.counters.key_lookups, self.keys.len() as u64);
            for GroupKey(key) in self.keys.drain() {
                context.query.check()?;
                let offset = self.reader.lookup(&[key], &mut context.worker)?;
                self.ids.extend(offset.map(|offset| GlobalId::new(self.table, offset).0));
            }
        }
        // Values of several types may be the same key.
        self.ids.sort_unstable();
        self.ids.dedup();
        self.place = place;
        Ok(())
    }
}

impl Pairs {
    /// Hands the pairs on, and forgets them.
    fn push(
        &mut self,
        (batch, keep): (&Batch<'_>, &[usize]),
        context: &mut Context<'_>,
        next: &mut dyn Operator,
    ) -> ExecutionResult<Flow> {
        let Pairs { codes, ids, counts } = self;
        if codes.is_empty() {
            return Ok(Flow::Continue);
        }
        let mut columns: Vec<ValueVector<'_>> =
            keep.iter().map(|column| ValueVector::dictionary(codes, &batch.columns[*column])).collect();
        columns.push(ValueVector::flat(Values::U64(ids)));
        let mut out = Batch::new(&columns, codes.len());
        if let Multiplicity::PerRow(all) = batch.multiplicity {
            counts.clear();
            counts.extend(codes.iter().map(|row| all[*row as usize]));
            out.multiplicity = Multiplicity::PerRow(counts);
        }
        let flow = next.push(context, out)?;
        codes.clear();
        ids.clear();
        Ok(flow)
    }
}
