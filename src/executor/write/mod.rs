//! Writing clauses. A statement that writes is a chain of stages; each collects its input completely, writes through
//! the transaction, and keeps its rows for the next stage, which reads a fresh view. Inside a clause, values are taken
//! for many rows at once wherever no row sees what another one writes; `set` and `merge` say when that is so.

mod cast;
mod check;
mod create;
mod delete;
mod fault;
mod merge;
mod owed;
mod rows;
mod set;

use std::sync::Arc;
use std::sync::atomic::Ordering;

pub use fault::{WriteFault, WriteRow};

use rustc_hash::FxHashSet;

use super::build::{collect, collect_aside};
use super::chunks::{Chunk, ChunkList};
use super::context::QueryContext;
use super::error::ExecutionResult;
use super::{ExecutionError, QueryRows};
use crate::planner::physical_plan::{PhysicalWrite, PlanNode, WriteStage};
use crate::planner::{PhysicalPlan, on_stack_for};
use crate::storage::memory::Reservation;
use crate::transaction::{WriteError, WriteTransaction};
use crate::types::Stop;
use check::Checks;
use owed::Owed;
use rows::{joined, no_rows};

/// Deleted entities that are noted between two looks for an interrupt.
const DELETED_AT_ONCE: usize = 1 << 16;

/// What a statement changed, counted as openCypher does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct ChangeCounts {
    pub nodes_created: u64,
    pub nodes_deleted: u64,
    pub rels_created: u64,
    pub rels_deleted: u64,
    pub properties_set: u64,
    pub labels_added: u64,
}

impl ChangeCounts {
    /// All counts with names for people.
    pub fn list(&self) -> [(&'static str, u64); 6] {
        [
            ("nodes created", self.nodes_created),
            ("nodes deleted", self.nodes_deleted),
            ("relationships created", self.rels_created),
            ("relationships deleted", self.rels_deleted),
            ("properties set", self.properties_set),
            ("labels added", self.labels_added),
        ]
    }
}

/// Runs a plan that writes. Afterwards the context reads what the statement has written.
pub fn execute_write(
    plan: &PhysicalPlan,
    query: &mut QueryContext,
    writer: &mut WriteTransaction,
) -> ExecutionResult<(QueryRows, ChangeCounts)> {
    let depth = depth_of(plan);
    query.depth.store(depth, Ordering::Relaxed);
    let outcome = on_stack_for(depth, || {
        query.kept.clear();
        query.deleted = None;
        query.kept.resize_with(plan.stages.len() + 1, ChunkList::default);
        query.transaction = writer.view();
        let mut writing = Writing {
            query,
            writer,
            counts: ChangeCounts::default(),
            stale: false,
            row: 0,
            clause: "",
            checks: Checks::new(&plan.checks),
            owed: Vec::new(),
            owed_held: None,
            deleted_held: None,
            is_last: false,
        };
        writing.writer.stop_at(writing.query.stop());
        let done = writing.run(plan);
        writing.writer.stop_at(Stop::default());
        let counts = done?;
        let chunks = match plan.returns {
            true => collect(&plan.root, query, true)?.chunks,
            false => Vec::new(),
        };
        // What took too long is not committed.
        query.check()?;
        Ok((QueryRows { chunks }, counts))
    });
    outcome.map_err(|error| query.told(error))
}

/// The depth of the deepest plan of a statement.
fn depth_of(plan: &PhysicalPlan) -> usize {
    let of_stage = |stage: &WriteStage| {
        let own = stage.write.plans().into_iter().map(|node| node.depth).max().unwrap_or(0);
        own.max(stage.input.depth)
    };
    plan.stages.iter().map(of_stage).max().unwrap_or(0).max(plan.root.depth)
}

/// A statement that is writing.
struct Writing<'w> {
    query: &'w mut QueryContext,
    writer: &'w mut WriteTransaction,
    counts: ChangeCounts,
    /// Whether something was written since the context got its view.
    stale: bool,
    /// The number of the first row of the chunk at hand, for errors.
    row: u64,
    clause: &'static str,
    checks: Checks<'w>,
    /// NOT NULL columns of new rows that have no value yet.
    owed: Vec<Owed>,
    /// What `owed` takes.
    owed_held: Option<Reservation>,
    /// What the list of deleted entities takes.
    deleted_held: Option<Reservation>,
    /// Whether nothing of the statement comes behind the clause at hand.
    is_last: bool,
}

impl Writing<'_> {
    fn run(&mut self, plan: &PhysicalPlan) -> ExecutionResult<ChangeCounts> {
        for (at, stage) in plan.stages.iter().enumerate() {
            self.is_last = at + 1 == plan.stages.len() && !plan.returns;
            let kept = self.stage(stage)?;
            self.query.kept[at + 1] = kept;
        }
        self.refuse_owed()?;
        self.writer.count_changes().map_err(|error| self.refused(error, &[]))?;
        self.fresh();
        Ok(self.counts)
    }

    /// Runs one clause; gives the rows that go on.
    fn stage(&mut self, stage: &WriteStage) -> ExecutionResult<ChunkList> {
        self.fresh();
        let input = collect_aside(&stage.input, self.query)?;
        self.row = 0;
        self.clause = name_of(&stage.write);
        let mut out = ChunkList::default();
        if let PhysicalWrite::Delete(delete) = &stage.write {
            // What is deleted is known for all rows before the first of it goes: a node may lose its last
            // relationship by a later row.
            let mut kept = self.delete(delete, input)?.drain();
            while let Some(chunk) = kept.next(self.query)? {
                out.push(emitted(chunk, &stage.emit), self.clause, self.query)?;
            }
            self.forget_paid()?;
            return Ok(out);
        }
        let mut input = input.drain();
        while let Some(chunk) = input.next(self.query)? {
            self.query.check()?;
            let rows = chunk.rows as u64;
            let written = match &stage.write {
                PhysicalWrite::Keep | PhysicalWrite::Delete(_) => chunk,
                PhysicalWrite::Create(create) => self.create(create, chunk)?,
                PhysicalWrite::Merge(merge) => self.merge(merge, chunk)?,
                PhysicalWrite::Set(set) => self.set(&[set], &|_| 0, chunk)?,
            };
            out.push(emitted(written, &stage.emit), self.clause, self.query)?;
            self.row += rows;
        }
        self.check_touched()?;
        self.forget_paid()?;
        Ok(out)
    }

    /// Reads what was written from here on.
    fn fresh(&mut self) {
        if std::mem::take(&mut self.stale) {
            self.query.transaction = self.writer.view();
        }
    }

    /// Runs one of the clause's plans over rows, and gives the rows back.
    fn over(&mut self, plan: &PlanNode, rows: Chunk) -> ExecutionResult<(Chunk, Chunk)> {
        self.query.kept[0].chunks = vec![rows];
        let found = collect(plan, self.query, true);
        let rows = self.query.kept[0].chunks.pop().unwrap_or_else(|| no_rows(&[]));
        Ok((joined(found?, &plan.outputs), rows))
    }

    /// An error about a row of the chunk at hand.
    fn fault(&self, row: usize, fault: WriteFault) -> ExecutionError {
        self.fault_at(self.row + row as u64, fault)
    }

    /// An error about a row of the clause's input, counted from 0.
    fn fault_at(&self, number: u64, fault: WriteFault) -> ExecutionError {
        let row = WriteRow { clause: self.clause, number: number + 1 };
        ExecutionError::Write { row: Some(row), fault: Box::new(fault) }
    }

    /// What the transaction refuses; `places` are the rows of the chunk at hand that it was given.
    fn refused(&self, error: WriteError, places: &[u32]) -> ExecutionError {
        if let WriteError::Stopped = error {
            return self.query.stopped();
        }
        match error.row().and_then(|row| places.get(row)) {
            Some(row) => self.fault(*row as usize, error.into()),
            None => WriteFault::from(error).into(),
        }
    }

    /// Whether an earlier clause of the statement has deleted the entity.
    fn is_deleted(&self, id: u64) -> bool {
        self.query.deleted.as_ref().is_some_and(|deleted| deleted.contains(&id))
    }

    /// Remembers what a clause has deleted, for those behind it.
    fn note_deleted(&mut self, ids: &[(u64, u64)]) -> ExecutionResult<()> {
        if self.is_last {
            return Ok(());
        }
        let deleted = self.query.deleted.get_or_insert_with(|| Arc::new(FxHashSet::default()));
        let deleted = Arc::make_mut(deleted);
        for piece in ids.chunks(DELETED_AT_ONCE) {
            if self.query.interrupt.load(Ordering::Relaxed) {
                break;
            }
            deleted.extend(piece.iter().map(|(id, _)| *id));
        }
        let bytes = deleted.capacity() * (size_of::<u64>() + 1);
        self.query.check()?;
        let held = self.deleted_held.get_or_insert_with(|| self.query.account());
        Ok(held.hold("noting what was deleted", bytes as u64)?)
    }
}

fn name_of(write: &PhysicalWrite) -> &'static str {
    match write {
        PhysicalWrite::Keep => "RETURN",
        PhysicalWrite::Create(_) => "CREATE",
        PhysicalWrite::Merge(_) => "MERGE",
        PhysicalWrite::Set(_) => "SET",
        PhysicalWrite::Delete(_) => "DELETE",
    }
}

/// The columns that go on.
fn emitted(chunk: Chunk, emit: &[usize]) -> Chunk {
    let mut columns: Vec<_> = chunk.columns.into_iter().map(Some).collect();
    let emitted = emit.iter().filter_map(|at| columns.get_mut(*at).and_then(Option::take)).collect();
    Chunk { columns: emitted, rows: chunk.rows, multiplicity: Vec::new() }
}
