//! What a connection and its statements share.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

use parking_lot::Mutex;

use super::plan_cache::PlanCache;
use super::transaction::OpenTransaction;
use super::{Progress, ProgressCallback};
use crate::catalog::{Catalog, Dialect, Statistics};
use crate::database::Shared;
use crate::error::Result;
use crate::executor::{QueryProgress, QueryProgressCallback, RowQueue, WorkDone};
use crate::planner::PhysicalPlan;
use crate::storage::engine::Engine;
use crate::storage::memory::MemoryAccountant;
use crate::transaction::ReadTransaction;
use crate::types::{AskCaller, Stop};

/// What `CALL name = value` and the connection's methods change.
#[derive(Clone)]
pub(crate) struct SessionSettings {
    /// `None`: that of the database.
    pub dialect: Option<Dialect>,
    pub threads: usize,
    pub timeout: Option<Duration>,
    pub vector_size: usize,
    /// Plans are made from statistics that are wrong in a way this number tells; tests look for plans that depend on them.
    pub disturbed: Option<u64>,
    /// Who is asked while a statement runs.
    pub caller: Option<AskCaller>,
    /// The account of what operators hold, where it is not the database's; tests give a query less than it needs.
    pub memory: Option<MemoryAccountant>,
}

/// What stops the queries of a connection whose rows are read while they run; each has one of its own.
pub(crate) type StreamStops = Arc<Mutex<Vec<Weak<StreamStop>>>>;

/// What stops one query whose rows are read while it runs, also where its threads wait for the reader.
#[derive(Default)]
pub(crate) struct StreamStop {
    pub flag: Arc<AtomicBool>,
    /// Where its threads may wait.
    pub queue: Mutex<Weak<RowQueue>>,
}

impl StreamStop {
    /// Stops the query.
    pub fn stop(&self) {
        self.flag.store(true, Ordering::Relaxed);
        let queue = self.queue.lock().upgrade();
        queue.iter().for_each(|queue| queue.wake());
    }
}

/// The state of one connection. Statements keep it alive.
pub(crate) struct Session {
    pub shared: Arc<Shared>,
    pub settings: Mutex<SessionSettings>,
    pub transaction: Mutex<Option<OpenTransaction>>,
    pub plans: Mutex<PlanCache>,
    pub interrupt: Arc<AtomicBool>,
    /// What stops queries whose rows are read while they run.
    pub streams: StreamStops,
    pub progress: Mutex<Option<ProgressCallback>>,
    /// Whether anybody has asked for the progress of queries, and that of the one that began last.
    pub progress_asked: AtomicBool,
    pub running: Arc<Mutex<Weak<QueryProgress>>>,
}

/// What one statement sees and goes by.
pub(crate) struct View {
    pub engine: Arc<Engine>,
    pub transaction: ReadTransaction,
    pub settings: SessionSettings,
    pub dialect: Dialect,
    pub started: Instant,
}

impl View {
    /// The same statement over another version: a writing statement that is run in its own transaction, or again.
    pub fn over(&self, transaction: ReadTransaction) -> View {
        View { engine: Arc::clone(&self.engine), settings: self.settings.clone(), transaction, ..*self }
    }

    pub fn catalog(&self) -> &Catalog {
        self.transaction.catalog()
    }

    pub fn statistics(&self) -> Result<&Arc<Statistics>> {
        Ok(self.transaction.statistics()?)
    }

    /// When the statement has to be over, and the limit in milliseconds.
    pub fn deadline(&self) -> Option<(Instant, u64)> {
        let limit = self.settings.timeout?;
        let at = self.started.checked_add(limit)?;
        Some((at, u64::try_from(limit.as_millis()).unwrap_or(u64::MAX)))
    }
}

impl Session {
    pub fn new(shared: Arc<Shared>) -> Session {
        let settings = SessionSettings {
            dialect: None,
            threads: shared.config.threads,
            timeout: shared.config.query_timeout,
            vector_size: shared.config.vector_size,
            disturbed: None,
            caller: None,
            memory: None,
        };
        Session {
            shared,
            settings: Mutex::new(settings),
            transaction: Mutex::new(None),
            plans: Mutex::new(PlanCache::default()),
            interrupt: Arc::new(AtomicBool::new(false)),
            streams: StreamStops::default(),
            progress: Mutex::new(None),
            progress_asked: AtomicBool::new(false),
            running: Arc::default(),
        }
    }

    /// The progress of a query that begins, if anybody wants to know it.
    pub fn progress_of(&self, plan: &PhysicalPlan, always: bool) -> Option<Arc<QueryProgress>> {
        let callback = self.progress.lock().clone();
        if !always && callback.is_none() && !self.progress_asked.load(Ordering::Relaxed) {
            return None;
        }
        let callback = callback.map(|callback| {
            let tell = move |work: WorkDone| callback(Progress::of(work));
            Arc::new(tell) as QueryProgressCallback
        });
        let progress = Arc::new(QueryProgress::of(plan, callback));
        *self.running.lock() = Arc::downgrade(&progress);
        Some(progress)
    }

    /// What stops a new query whose rows are read while it runs.
    pub fn stream_stop(&self) -> Arc<StreamStop> {
        let stop = Arc::new(StreamStop::default());
        let mut streams = self.streams.lock();
        streams.retain(|other| other.strong_count() > 0);
        streams.push(Arc::downgrade(&stop));
        stop
    }

    /// A text begins: who has interrupted what ran before does not mean it.
    pub fn begin_text(&self) {
        self.interrupt.store(false, Ordering::Relaxed);
    }

    /// Runs a statement on this thread: whatever takes long below can tell when it has to end.
    pub fn working<T>(&self, view: &View, work: impl FnOnce() -> T) -> T {
        let stop = Stop::new(Arc::clone(&self.interrupt), view.deadline().map(|(at, _)| at));
        match &view.settings.caller {
            Some(caller) => stop.during_asked(Arc::clone(caller), view.started, work),
            None => stop.during(work),
        }
    }

    /// The version that the next statement reads: the transaction's, or the newest.
    pub fn view(&self) -> Result<View> {
        let started = Instant::now();
        let engine = self.shared.engine()?;
        let settings = self.settings.lock().clone();
        let held = self.transaction.lock().as_ref().map(OpenTransaction::view);
        let transaction = held.unwrap_or_else(|| self.shared.newest(&engine));
        let dialect = settings.dialect.unwrap_or_else(|| transaction.catalog().dialect());
        Ok(View { engine, transaction, settings, dialect, started })
    }
}
