//! What a running query shares among its workers, and what each worker has for itself.

use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::{Instant, SystemTime};

use parking_lot::Mutex;
use rustc_hash::{FxHashMap, FxHashSet};

use super::chunks::ChunkList;
use super::count_join;
use super::counters::{Counters, count};
use super::error::{ExecutionError, ExecutionResult};
use super::messages::{self, NodeWeights};
use super::profile::Profile;
use super::progress::QueryProgress;
use super::rows::RowScanner;
use super::whole_columns::WholeColumns;
use crate::functions::{FunctionError, SharedSets};
use crate::planner::physical_plan::PhysicalPlan;
use crate::storage::StorageError;
use crate::storage::buffer_pool::{Cursor, PoolWorker};
use crate::storage::memory::{MemoryAccountant, Meter, Reservation};
use crate::transaction::ReadTransaction;
use crate::types::{Stop, VECTOR_SIZE, Value, ask_caller};
use crate::vector::VectorBuffer;

/// Batches of fewer rows are those of tests.
const VECTOR_SIZE_TINY: usize = 16;
/// A plan without arrays is worth its time to an operator that holds none itself where arrays take this part of the limit.
const ARRAYS_IN_LIMIT: u64 = 8;

/// One execution of a plan.
pub struct QueryContext {
    pub transaction: ReadTransaction,
    /// By position in the plan's parameters.
    pub parameters: Vec<Value>,
    /// Rows of a batch.
    pub vector_size: usize,
    /// Most worker threads.
    pub threads: usize,
    pub interrupt: Arc<AtomicBool>,
    /// When the query has to be over, and the limit it came from.
    pub deadline: Option<(Instant, u64)>,
    pub counters: Counters,
    /// The account that operators hold memory in, where it is not the database's.
    pub own_memory: Option<MemoryAccountant>,
    /// Counts per operator; none but under PROFILE.
    pub profile: Option<Profile>,
    /// How far the query has come; none where nobody asks.
    pub progress: Option<Arc<QueryProgress>>,
    /// The statement's instant, nanoseconds since 1970.
    pub now_nanos: i128,
    /// Rows that writing clauses keep, by slot.
    pub(super) kept: Vec<ChunkList>,
    /// Nodes and relationships that the statement has deleted by now.
    pub deleted: Option<Arc<FxHashSet<u64>>>,
    /// Rows that are kept while a plan runs which reads them several times, by name.
    pub(super) shared: Mutex<FxHashMap<u32, Arc<ChunkList>>>,
    /// Nodes that the build sides of joins have, by the join's name, while their probe sides run.
    pub(super) joining: Mutex<FxHashMap<u32, Arc<NodeWeights>>>,
    /// Columns of which more rows are asked than there are.
    pub(super) whole_columns: WholeColumns,
    /// Constant lists that rows look into, by number, and what long lists were prepared as.
    constants: Mutex<FxHashMap<u64, Arc<VectorBuffer>>>,
    element_sets: OnceLock<Arc<SharedSets>>,
    /// Sub-plans inside which a join's side was put aside: their rows go through many at once.
    gathering: Mutex<Vec<u32>>,
    /// Sub-plans that few rows go through at first.
    in_pieces: Mutex<FxHashSet<u32>>,
    pub(super) seeds: AtomicU64,
    /// The place in memory of the node whose rows go to a reader who may let them wait.
    pub(super) streamed: AtomicUsize,
    /// Depth of the plan in execution, from which follows how much stack its threads need.
    pub(super) depth: AtomicUsize,
    /// The most rows that an operator of the pipeline which is being put together is estimated to see.
    pub(super) pipeline_rows: AtomicU64,
    /// What arrays of numbers per node and sorted lists hold, and what they held when an operator found no memory.
    arrays: OnceLock<Arc<Meter>>,
    arrays_beside: AtomicU64,
}

impl QueryContext {
    /// A context with default settings: all parameters empty, one thread.
    pub fn new(transaction: ReadTransaction) -> QueryContext {
        QueryContext::interruptible(transaction, Arc::default())
    }

    /// The same with a flag that stops it.
    pub fn interruptible(transaction: ReadTransaction, interrupt: Arc<AtomicBool>) -> QueryContext {
        let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        QueryContext {
            transaction,
            parameters: Vec::new(),
            vector_size: VECTOR_SIZE,
            threads: 1,
            interrupt,
            deadline: None,
            counters: Counters::default(),
            own_memory: None,
            profile: None,
            progress: None,
            now_nanos: since.as_nanos() as i128,
            kept: Vec::new(),
            deleted: None,
            shared: Mutex::default(),
            joining: Mutex::default(),
            whole_columns: WholeColumns::default(),
            constants: Mutex::default(),
            element_sets: OnceLock::new(),
            gathering: Mutex::default(),
            in_pieces: Mutex::default(),
            seeds: AtomicU64::new(since.as_nanos() as u64),
            streamed: AtomicUsize::new(0),
            depth: AtomicUsize::new(0),
            pipeline_rows: AtomicU64::new(0),
            arrays: OnceLock::new(),
            arrays_beside: AtomicU64::new(0),
        }
    }

    /// The account of what operators hold.
    pub fn memory(&self) -> &MemoryAccountant {
        self.own_memory.as_ref().unwrap_or_else(|| self.transaction.memory())
    }

    /// Does work during which rows of the sub-plan `name` go through it many at once.
    pub(super) fn gathering<T>(&self, name: u32, work: impl FnOnce() -> T) -> T {
        self.gathering.lock().push(name);
        let outcome = work();
        let mut names = self.gathering.lock();
        if let Some(at) = names.iter().rposition(|known| *known == name) {
            names.remove(at);
        }
        drop(names);
        outcome
    }

    /// Few rows go through a sub-plan at first: only is asked whether it finds something, or all that it finds is kept.
    pub(super) fn cut_into_pieces(&self, name: u32) {
        self.in_pieces.lock().insert(name);
    }

    /// Whether few rows go through a sub-plan at first.
    pub(super) fn goes_in_pieces(&self, name: u32) -> bool {
        self.in_pieces.lock().contains(&name)
    }

    /// A constant that some thread has worked out.
    pub(super) fn constant(&self, number: u64) -> Option<Arc<VectorBuffer>> {
        self.constants.lock().get(&number).cloned()
    }

    /// Keeps a constant for all threads; gives the one that is kept.
    pub(super) fn keep_constant(&self, number: u64, value: Arc<VectorBuffer>) -> Arc<VectorBuffer> {
        Arc::clone(self.constants.lock().entry(number).or_insert(value))
    }

    /// Sets of long lists. What they hold only saves time: without room lists are gone through.
    pub(super) fn element_sets(&self) -> Arc<SharedSets> {
        let made = || {
            let held = Mutex::new(self.account());
            Arc::new(SharedSets::new(move |bytes| held.lock().try_hold_share(bytes)))
        };
        Arc::clone(self.element_sets.get_or_init(made))
    }

    /// Whether rows of a sub-plan go through it many at once.
    pub(super) fn gathers(&self, name: u32) -> bool {
        self.gathering.lock().contains(&name)
    }

    /// An account for arrays of numbers per node, and for sorted lists.
    pub(super) fn account_of_arrays(&self) -> Reservation {
        self.account().metered(Some(self.arrays.get_or_init(Arc::default)))
    }

    /// Notes what arrays hold while an operator ends for want of memory.
    pub(super) fn note_end(&self, error: &ExecutionError) {
        if matches!(error, ExecutionError::Storage(StorageError::OutOfMemory { .. })) {
            let held = self.arrays.get().map_or(0, |arrays| arrays.read().used);
            self.arrays_beside.fetch_max(held, Ordering::Relaxed);
        }
    }

    /// Whether a plan without arrays may come to an end where this one did not: the arrays themselves found no room, or
    /// they took so much of the limit that it is missed by another operator, which is not so of one that needs many times
    /// the limit.
    pub fn may_do_without_arrays(&self, error: &ExecutionError) -> bool {
        let ExecutionError::Storage(StorageError::OutOfMemory { operator, needed, limit }) = error else {
            return false;
        };
        let beside = self.arrays_beside.load(Ordering::Relaxed);
        [messages::OPERATOR, count_join::OPERATOR].contains(&operator.as_str())
            || beside >= (*needed).max(limit / ARRAYS_IN_LIMIT)
    }

    /// The same execution from its beginning, with a plan that holds no arrays: the plan so far had no room for them.
    pub fn without_arrays(&self, plan: &PhysicalPlan) -> QueryContext {
        let mut again = QueryContext::interruptible(self.transaction.clone(), Arc::clone(&self.interrupt));
        again.parameters.clone_from(&self.parameters);
        again.vector_size = self.vector_size;
        again.threads = self.threads;
        again.deadline = self.deadline;
        again.own_memory.clone_from(&self.own_memory);
        again.profile = self.profile.as_ref().map(|_| Profile::of(plan));
        if let Some(progress) = &self.progress {
            progress.begin_again(plan);
        }
        again.progress.clone_from(&self.progress);
        again.now_nanos = self.now_nanos;
        count(&again.counters.arrays_given_up, 1);
        again
    }

    /// A seed for one evaluator's random numbers.
    pub(super) fn seed(&self) -> u64 {
        self.seeds.fetch_add(0x9E37_79B9_7F4A_7C15, Ordering::Relaxed)
    }

    /// An error once the query was interrupted or ran too long.
    pub fn check(&self) -> ExecutionResult<()> {
        ask_caller();
        if self.interrupt.load(Ordering::Relaxed) {
            return Err(ExecutionError::Interrupted);
        }
        match self.deadline {
            Some((deadline, limit_ms)) if Instant::now() > deadline => {
                Err(ExecutionError::TimedOut { limit_ms })
            }
            _ => Ok(()),
        }
    }

    /// What `check` asks, for those who know nothing of queries.
    pub(super) fn stop(&self) -> Stop {
        Stop::new(Arc::clone(&self.interrupt), self.deadline.map(|(deadline, _)| deadline))
    }

    /// What an error means: that of a kernel which was stopped says no more than that.
    pub(super) fn told(&self, error: ExecutionError) -> ExecutionError {
        match error {
            ExecutionError::Function(FunctionError::Stopped { .. }) => self.stopped(),
            error => error,
        }
    }

    /// The error of somebody below who has stopped because `stop` was due.
    #[cold]
    pub(super) fn stopped(&self) -> ExecutionError {
        self.check().err().unwrap_or(ExecutionError::Interrupted)
    }

    /// Whether batches are so small that only a test can want them: then little work is shared among threads, too.
    pub(super) fn is_tiny(&self) -> bool {
        self.vector_size < VECTOR_SIZE_TINY
    }

    /// A context for the calling thread.
    pub fn worker(&self) -> ExecutionResult<Context<'_>> {
        let worker = self.transaction.pool().worker()?;
        Ok(Context { query: self, worker, advanced: 0, lent: None, asked: Vec::new() })
    }
}

/// One worker thread of a query. The only way to a cursor, so that there is at most one per worker and none lives
/// across a push.
pub struct Context<'q> {
    pub query: &'q QueryContext,
    pub worker: PoolWorker,
    /// What was told of the morsel that runs.
    pub(super) advanced: u64,
    /// Rows that go through sub-plans at the moment, those of the innermost last.
    pub(super) asked: Vec<Asked>,
    /// The scan that the rows on their way come from, where they are copies and do not need its pages.
    pub(super) lent: Option<RowScanner>,
}

/// Rows that go through a sub-plan as a piece of a batch.
pub(super) struct Asked {
    pub name: u32,
    /// Rows that nothing was found for yet.
    pub left: usize,
    /// How much was found.
    pub found: usize,
    /// What is kept of it.
    pub bytes: u64,
}

impl Context<'_> {
    /// Gives pages back while the thread waits for somebody outside.
    pub(super) fn rest(&mut self) {
        if let Some(scanner) = &mut self.lent {
            scanner.rest();
        }
    }

    /// A cursor for random reads.
    pub fn cursor(&mut self) -> Cursor<'_> {
        self.worker.cursor()
    }
}
