//! A transaction that writes. Its changes are a level of their own over its snapshot: it reads through them, others see
//! them after the commit. Each change first announces what it touches (see `storage::engine::Intents`), checks the
//! constraints in the own view, and only then goes into the level; so a refused change leaves the level as it was.

mod announced;
mod base;
mod early;
mod error;
mod keys;
mod names;
mod nodes;
mod rels;
mod stop;
mod unique;

use std::sync::Arc;
use std::time::{Duration, Instant};

use parking_lot::Mutex;

use super::ReadTransaction;
use crate::catalog::{Catalog, ColumnSchema};
use crate::storage::delta::{ColumnValues, Delta};
use crate::storage::engine::{Area, BaseStep, Engine, Hold, Intent, Pass, Passage};
use crate::storage::memory::Reservation;
use crate::storage::state::Snapshot;
use crate::types::{ColumnId, Stop, TableId};
use crate::vector::ValueVector;

use announced::Announced;
pub use announced::{Met, areas_of_definition, areas_of_load};
pub use base::{LoadPlace, SmallLoad};
pub use error::{WriteError, WriteResult};

/// How a writing transaction begins.
#[derive(Debug, Clone, Copy, Default)]
pub struct WriteOptions {
    /// How long to wait for bulk loads and definitions; none means as the engine is told.
    pub wait: Option<Duration>,
    /// Every change is refused.
    pub read_only: bool,
    /// Whether it counts as a writer from the first change on only. Then what came before and changed all of the
    /// database makes that first change an error.
    pub lazy: bool,
    /// Whether it ends with its first statement, so that nobody reads what that has defined or loaded before the commit.
    pub single: bool,
}

/// What `delete_nodes` did.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Deleted {
    pub nodes: u64,
    pub rels: u64,
}

/// A state that a transaction can go back to.
pub struct Savepoint {
    own: Delta,
    /// What the base stands over: a large transaction may go on over other pages of the same rows.
    begun: Snapshot,
    base: ReadTransaction,
    steps: usize,
    reserved: usize,
}

/// See the module. Dropped without a commit it is rolled back.
pub struct WriteTransaction {
    engine: Arc<Engine>,
    begun: Snapshot,
    /// The view of the snapshot under the own steps, without the own level; its tables are opened once.
    base: ReadTransaction,
    /// What was defined and loaded.
    steps: Vec<Arc<BaseStep>>,
    /// Rows of loads that have gone into the own level.
    loaded_rows: u64,
    /// Whether there ever was a definition.
    has_defined: bool,
    announced: Announced,
    options: WriteOptions,
    /// Keeps those out that want all of the database for themselves.
    pass: Option<Pass>,
    own: Delta,
    /// The account of the level.
    held: Reservation,
    /// How large the level may be until parts of it are written into pages.
    early_at: u64,
    /// The view of the level as it is now.
    view: Mutex<Option<ReadTransaction>>,
    /// Offsets, and numbers of SERIAL columns, that were given to this transaction, in order.
    reserved: Vec<Reserved>,
    /// When the statement at hand has to end.
    stop: Stop,
    /// Things that were announced since somebody looked at it.
    unlooked: u32,
}

/// `count` consecutive offsets of a table from `first` on, or numbers of a column.
struct Reserved {
    table: TableId,
    column: Option<ColumnId>,
    first: u64,
    count: u64,
}

impl WriteTransaction {
    /// Begins a transaction over the newest version.
    pub fn begin(engine: &Arc<Engine>, options: WriteOptions) -> WriteResult<WriteTransaction> {
        WriteTransaction::begin_in(engine, options, &[])
    }

    /// The same, and waits for areas first, which it then holds to its end.
    pub fn begin_in(
        engine: &Arc<Engine>,
        options: WriteOptions,
        areas: &[(Area, Passage)],
    ) -> WriteResult<WriteTransaction> {
        // The snapshot is taken behind the gate, so that nothing can have come between.
        let pass = match options.lazy || options.read_only {
            true => None,
            false => Some(engine.pass_writing(options.wait)?),
        };
        let passes = match areas {
            [] => engine.no_passes(),
            areas => engine.wait_for_areas(areas, options.wait)?,
        };
        let (registered, snapshot) = engine.register();
        let announced = Announced::new(registered, &snapshot, passes);
        let mut transaction = WriteTransaction::over(engine, snapshot, announced, options);
        transaction.pass = pass;
        Ok(transaction)
    }

    fn over(
        engine: &Arc<Engine>,
        snapshot: Snapshot,
        announced: Announced,
        options: WriteOptions,
    ) -> WriteTransaction {
        WriteTransaction {
            engine: Arc::clone(engine),
            base: ReadTransaction::over(snapshot.clone()),
            begun: snapshot,
            steps: Vec::new(),
            loaded_rows: 0,
            has_defined: false,
            announced,
            options,
            pass: None,
            own: Delta::default(),
            held: engine.change_memory(),
            early_at: engine.early_bytes_after(0),
            view: Mutex::new(None),
            reserved: Vec::new(),
            stop: Stop::default(),
            unlooked: 0,
        }
    }

    /// Uses the opened tables of another view of the same version.
    pub fn share_tables(&mut self, known: &ReadTransaction) {
        if known.snapshot().is_same(self.base.snapshot()) {
            self.base = known.clone();
        }
    }

    /// Waits for the end of the transaction of this number, at most `wait`; false when that was not enough.
    pub fn wait_for(engine: &Engine, holder: u64, wait: Option<Duration>) -> bool {
        let deadline = Instant::now().checked_add(wait.unwrap_or(engine.lock_wait()));
        engine.intents().wait_for_end(holder, deadline)
    }

    /// The snapshot with what the transaction has changed so far. What is read from it stays as it is now.
    pub fn view(&self) -> ReadTransaction {
        if self.own.is_empty() {
            return self.base.clone();
        }
        let mut view = self.view.lock();
        let current = view.get_or_insert_with(|| {
            ReadTransaction::over(self.base.snapshot().with_own(Arc::new(self.own.clone())))
        });
        current.clone()
    }

    /// The version that the transaction began with.
    pub fn version(&self) -> u64 {
        self.base.version()
    }

    /// The schemas that it sees.
    pub fn catalog(&self) -> &Arc<Catalog> {
        self.base.catalog()
    }

    /// Whether nothing would be written by a commit.
    pub fn is_unchanged(&self) -> bool {
        self.own.is_empty() && self.steps.is_empty()
    }

    /// The memory that the changes take, about.
    pub fn bytes(&self) -> u64 {
        self.own.bytes()
    }

    /// Before a change of a table: counts what was changed so far, and passes into the table and into those where its
    /// relationships end.
    fn start_writing(&mut self, table: TableId) -> WriteResult<()> {
        self.enter(&[])?;
        self.hold_own()?;
        let ends = self.catalog().rel_table_by_id(table).map(|(_, pair)| [pair.source, pair.target]);
        for table in std::iter::once(table).chain(ends.into_iter().flatten()) {
            let entered = self.announced.enter(Area::Table(table), Passage::Shared);
            entered.map_err(|error| self.with_names(error))?;
        }
        Ok(())
    }

    /// Passes into areas for the rest of the transaction: at once, or it has to be rolled back (see `met`).
    pub fn enter(&mut self, areas: &[(Area, Passage)]) -> WriteResult<()> {
        if self.options.read_only {
            return Err(WriteError::ReadOnly);
        }
        if self.pass.is_none() {
            // The first change: nobody can wait for this transaction yet, so it may wait.
            let pass = self.engine.pass_writing(self.options.wait)?;
            self.pass = (!self.engine.is_outdated(self.base.snapshot())).then_some(pass);
        }
        if self.pass.is_none() || !self.announced.is_remembered(&self.engine) {
            return Err(self.announced.too_old());
        }
        let mut areas = areas.iter();
        let entered = areas.try_for_each(|(area, passage)| self.announced.enter(*area, *passage));
        entered.map_err(|error| self.with_names(error))
    }

    /// Passes into what a bulk load of the table needs for itself.
    pub fn enter_for_load(&mut self, table: TableId) -> WriteResult<()> {
        let areas = areas_of_load(self.catalog(), table);
        self.enter(&areas)
    }

    /// Passes into what a definition needs for itself that changes or drops these tables.
    pub fn enter_for_definition(&mut self, changed: &[TableId]) -> WriteResult<()> {
        self.enter(&areas_of_definition(changed))
    }

    /// Whether a change was refused because of another transaction, so that this one has to be rolled back and may be
    /// run again; and what to wait for.
    pub fn met(&self) -> Option<Met> {
        self.announced.met
    }

    /// Announces that what stands behind these bytes (the values of a pattern that MERGE looks for, say) is looked for
    /// and then made by this transaction: of two that do so at once, one has to run again.
    pub fn claim(&mut self, table: TableId, pattern: &[u8]) -> WriteResult<()> {
        self.start_writing(table)?;
        let intent = Intent::Pattern(table, keys::digest(0, crate::storage::index::KeyRef::Bytes(pattern)));
        self.announce(intent, Hold::Exclusive)
    }

    /// The level for a change, of which views from before know nothing.
    fn own_mut(&mut self) -> &mut Delta {
        *self.view.get_mut() = None;
        &mut self.own
    }

    fn reserve(&mut self, table: TableId, count: usize) -> WriteResult<u64> {
        let first = self.engine.reserve_offsets(table, count as u64)?;
        self.reserved.push(Reserved { table, column: None, first, count: count as u64 });
        Ok(first)
    }

    fn give_back_from(&mut self, kept: usize) {
        give_back(&self.engine, &mut self.reserved, kept);
    }

    /// Announces one thing before it is changed.
    fn announce(&mut self, intent: Intent, hold: Hold) -> WriteResult<()> {
        self.look()?;
        let announced = self.announced.announce(&self.engine, intent, hold);
        announced.map_err(|error| self.with_names(error))
    }

    /// What `rollback_to` goes back to. Cheap: the level is shared.
    pub fn savepoint(&self) -> Savepoint {
        let (own, begun, base) = (self.own.clone(), self.begun.clone(), self.base.clone());
        Savepoint { own, begun, base, steps: self.steps.len(), reserved: self.reserved.len() }
    }

    /// Undoes what was changed since the savepoint. What was announced stays announced.
    pub fn rollback_to(&mut self, savepoint: Savepoint) {
        *self.own_mut() = savepoint.own;
        // What was written early since is in the level again, for a moment beyond its share if need be.
        self.held.force(self.own.bytes() + self.announced.bytes());
        self.early_at = self.own.bytes() + self.engine.early_bytes_after(0);
        (self.begun, self.base) = (savepoint.begun, savepoint.base);
        self.steps.truncate(savepoint.steps);
        self.give_back_from(savepoint.reserved);
    }

    /// Makes the changes durable, as the mode says, and visible. Gives the version that has them. After an error
    /// nothing of them will be seen, unless it says that the database accepts no writes: then the next open tells.
    pub fn commit(mut self) -> WriteResult<u64> {
        if self.is_unchanged() {
            return Ok(self.version());
        }
        // Asked again behind the last intent: what was forgotten before it was announced would be overwritten.
        if !self.announced.is_remembered(&self.engine) {
            return Err(self.announced.too_old());
        }
        let own = std::mem::take(self.own_mut());
        let WriteTransaction { engine, begun, steps, announced, held, reserved, has_defined, .. } = &mut self;
        let published = |version| {
            // They are rows and tables now.
            reserved.clear();
            *has_defined = false;
            announced.commit(engine, version);
            // From its publication on the level is counted with all that commits hold.
            held.shrink_to(0);
        };
        let version = match steps.is_empty() {
            true => engine.commit(own, published)?,
            false => {
                let committed = engine.commit_steps(begun, steps, own, published)?;
                committed.ok_or(WriteError::TooOld)?
            }
        };
        if self.loaded_rows > 0 || !self.steps.is_empty() {
            self.engine.settle_loads(self.loaded_rows)?;
        }
        Ok(version)
    }

    /// Ends the transaction as if it had not been.
    pub fn rollback(self) {}
}

impl Drop for WriteTransaction {
    fn drop(&mut self) {
        // The numbers before what it announced: whoever comes then may be given the same ones.
        give_back(&self.engine, &mut self.reserved, 0);
        if self.has_defined {
            let first = TableId(self.begun.catalog().next_table_id());
            self.engine.offsets().forget_from(first);
            self.engine.serials().forget_from(first);
        }
        self.announced.roll_back(&self.engine);
    }
}

fn give_back(engine: &Engine, reserved: &mut Vec<Reserved>, kept: usize) {
    for Reserved { table, column, first, count } in reserved.drain(kept..).rev() {
        match column {
            None => engine.offsets().give_back(table, first, count),
            Some(column) => engine.serials().give_back(table, column, first, count),
        }
    }
}

/// The given columns with their types. What is given is checked; a column that is left out may get its value later.
fn match_columns<'v>(
    table: &str,
    schema: &'v [ColumnSchema],
    given: &[(ColumnId, ValueVector<'v>)],
    count: usize,
) -> WriteResult<Vec<ColumnValues<'v>>> {
    let mut matched = Vec::with_capacity(given.len());
    for (id, values) in given {
        let column = schema.iter().find(|column| column.id == *id);
        let column = column.ok_or_else(|| unknown_column(table, *id))?;
        matched.push(ColumnValues { column: *id, data_type: &column.data_type, values: *values });
    }
    for column in schema.iter().filter(|column| column.not_null) {
        let values = given.iter().find(|(id, _)| *id == column.id).map(|(_, values)| values);
        if let Some(values) = values
            && !values.has_no_nulls()
            && let Some(row) = (0..count).find(|row| values.is_null(*row))
        {
            return Err(not_null(table, column, row));
        }
    }
    Ok(matched)
}

fn not_null(table: &str, column: &ColumnSchema, row: usize) -> WriteError {
    WriteError::NotNull { table: table.to_owned(), column: column.name.clone(), row }
}

fn unknown_column(table: &str, column: ColumnId) -> WriteError {
    WriteError::Unknown { what: format!("column {column} in table {table}") }
}

fn unknown_table(table: TableId) -> WriteError {
    WriteError::Unknown { what: format!("table {table}") }
}

/// The rows without those that stand there twice, in order.
fn without_repetitions(rows: &[u64]) -> Vec<(usize, u64)> {
    let mut sorted: Vec<(usize, u64)> = rows.iter().copied().enumerate().collect();
    if !rows.is_sorted_by(|a, b| a < b) {
        sorted.sort_by_key(|(_, row)| *row);
        sorted.dedup_by_key(|(_, row)| *row);
    }
    sorted
}
