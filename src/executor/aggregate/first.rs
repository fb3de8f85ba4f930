//! DISTINCT under a LIMIT: rows that are new go on at once, until there are as many as are wanted.

use parking_lot::Mutex;

use super::super::context::{Context, QueryContext};
use super::super::counters::count;
use super::super::error::ExecutionResult;
use super::super::operator::{Flow, Next, Operator};
use super::groups::Groups;
use super::{Grouping, OPERATOR};
use crate::planner::physical_plan::KeyKind;
use crate::storage::memory::Reservation;
use crate::vector::{Batch, Multiplicity, Selection};

/// Beyond so many rows they are grouped like all others.
pub const FIRST_MAX: u64 = 10_000;

/// The different rows that all workers have found.
pub struct FirstRows<'x> {
    grouping: &'x Grouping<'x>,
    all: Mutex<Groups>,
    wanted: usize,
}

impl<'x> FirstRows<'x> {
    /// So many of them are `wanted`, which is no more than `FIRST_MAX`.
    pub fn new(grouping: &'x Grouping<'x>, wanted: u64) -> FirstRows<'x> {
        let all = Mutex::new(Groups::new(grouping, &KeyKind::Hash));
        FirstRows { grouping, all, wanted: wanted.min(FIRST_MAX) as usize }
    }

    /// The operator of one worker.
    pub fn operator(&'x self, query: &QueryContext, next: Next<'x>) -> FirstDistinct<'x> {
        FirstDistinct {
            first: self,
            own: Groups::new(self.grouping, &KeyKind::Hash),
            by_row: Vec::new(),
            new_rows: Vec::new(),
            held: self.grouping.account(query),
            next,
        }
    }
}

/// Lets rows pass that no worker has seen.
pub struct FirstDistinct<'x> {
    first: &'x FirstRows<'x>,
    /// What this worker has seen: most rows need not ask the others.
    own: Groups,
    by_row: Vec<u32>,
    new_rows: Vec<u32>,
    held: Reservation,
    next: Next<'x>,
}

impl FirstDistinct<'_> {
    /// The rows whose values are in none of the groups, which have them from then on.
    fn new_of(
        groups: &mut Groups,
        batch: &Batch<'_>,
        selection: Selection<'_>,
        (by_row, new_rows): (&mut Vec<u32>, &mut Vec<u32>),
    ) -> Vec<u16> {
        new_rows.clear();
        groups.index.groups(batch.columns, batch.length, selection, by_row, new_rows);
        groups.append_keys(batch.columns, new_rows);
        // A batch is never longer than 16 bits can count.
        let mut rows: Vec<u16> = new_rows.iter().map(|row| *row as u16).collect();
        rows.sort_unstable();
        rows
    }
}

impl Operator for FirstDistinct<'_> {
    fn push<'b>(&mut self, context: &mut Context<'_>, batch: Batch<'b>) -> ExecutionResult<Flow> {
        let FirstDistinct { first, own, by_row, new_rows, held, next } = self;
        let news = Self::new_of(own, &batch, batch.selection, (by_row, new_rows));
        if news.is_empty() {
            return Ok(Flow::Continue);
        }
        held.hold(OPERATOR, own.bytes())?;
        let (news, over) = {
            let mut all = first.all.lock();
            if all.len() >= first.wanted {
                return Ok(Flow::Stop);
            }
            let news = Self::new_of(&mut all, &batch, Selection::Rows(&news), (by_row, new_rows));
            (news, all.len() >= first.wanted)
        };
        count(&context.query.counters.rows_first_distinct, news.len() as u64);
        let (selection, multiplicity) = (Selection::Rows(&news), Multiplicity::One);
        if !news.is_empty() && next.push(context, Batch { selection, multiplicity, ..batch })? == Flow::Stop {
            return Ok(Flow::Stop);
        }
        Ok(if over { Flow::Stop } else { Flow::Continue })
    }

    fn next(&mut self) -> Option<&mut dyn Operator> {
        Some(&mut *self.next)
    }
}
