//! A connection: where statements are run, with settings, a plan cache and perhaps a transaction of its own.

mod compile;
mod copy;
mod definition;
mod plan_cache;
mod run;
mod session;
mod settings;
mod stream;
mod transaction;
mod write;

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Weak};
use std::time::Duration;

use parking_lot::Mutex;

pub use plan_cache::PlanCacheStats;
pub use transaction::Transaction;

pub(crate) use compile::QueryPlan;
pub(crate) use run::guarded;
pub(crate) use session::{Session, StreamStops, View};
pub(crate) use stream::RunningQuery;

use crate::catalog::{Catalog, Dialect};
use crate::database::Shared;
use crate::error::Result;
use crate::executor::{QueryProgress, WorkDone};
use crate::params::Params;
use crate::query_result::QueryResult;
use crate::query_stream::QueryStream;
use crate::statement::Statement;
use crate::storage::memory::MemoryAccountant;

/// How far a statement has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Progress {
    /// Bytes of text that a COPY has read.
    pub bytes_read: u64,
    /// Bytes of text in all of its files.
    pub bytes_total: u64,
    /// Rows that a COPY has read, or that the scans of a query have put out.
    pub rows: u64,
    /// What is done of a query, counted in rows that its operators are estimated to see.
    pub work_done: u64,
    /// All of that.
    pub work_total: u64,
}

impl Progress {
    pub(crate) fn of(WorkDone { done, total, rows }: WorkDone) -> Progress {
        Progress { rows, work_done: done, work_total: total, ..Progress::default() }
    }

    /// The share that is done, 0 to 1. That of a query is estimated and never falls; it stands still while all of a
    /// long pipeline follows from one row, such as a list or the start of a search.
    pub fn fraction(&self) -> f64 {
        match (self.bytes_total, self.work_total) {
            (0, 0) => 1.0,
            (0, total) => (self.work_done as f64 / total as f64).min(1.0),
            (total, _) => (self.bytes_read as f64 / total as f64).min(1.0),
        }
    }
}

/// What is called while a statement makes progress.
pub(crate) type ProgressCallback = Arc<dyn Fn(Progress) + Send + Sync>;

/// Runs statements. Cheap to make; a database has as many as its users like, and each is used by one thread at a time.
///
/// Every statement sees one version of the database from its beginning to its end, and so does every query of a
/// transaction. Texts may hold several statements; all run, and the result is that of the last.
pub struct Connection {
    session: Arc<Session>,
}

impl Connection {
    pub(crate) fn new(shared: Arc<Shared>) -> Connection {
        Connection { session: Arc::new(Session::new(shared)) }
    }

    /// Runs a text without parameters.
    pub fn query(&self, text: &str) -> Result<QueryResult> {
        self.session.run_text(text, Params::new())
    }

    /// Runs a text with parameters.
    ///
    /// ```
    /// # fn main() -> quiredb::Result<()> {
    /// use quiredb::{Database, params};
    /// let connection = Database::in_memory()?.connect()?;
    /// let result = connection.query_with("RETURN $a + $b AS sum", params! { a: 40, b: 2 })?;
    /// assert_eq!(result.first().unwrap().get::<i64>("sum")?, 42);
    /// # Ok(())
    /// # }
    /// ```
    pub fn query_with(&self, text: &str, params: impl Into<Params>) -> Result<QueryResult> {
        self.session.run_text(text, params.into())
    }

    /// Runs a text and hands the rows of its last statement over while it runs, however many they are, see
    /// [`QueryStream`].
    ///
    /// ```
    /// # fn main() -> quiredb::Result<()> {
    /// let connection = quiredb::Database::in_memory()?.connect()?;
    /// let mut stream = connection.stream("UNWIND range(1, 100000) AS n RETURN n * n AS square")?;
    /// let mut sum = 0;
    /// while let Some(row) = stream.next_row()? {
    ///     sum += row.get::<i64>("square")?;
    ///     if sum > 1000 {
    ///         break;
    ///     }
    /// }
    /// drop(stream); // The query ends here.
    /// assert_eq!(sum, 1015);
    /// # Ok(())
    /// # }
    /// ```
    pub fn stream(&self, text: &str) -> Result<QueryStream> {
        self.session.stream_text(text, Params::new())
    }

    /// The same with parameters.
    pub fn stream_with(&self, text: &str, params: impl Into<Params>) -> Result<QueryStream> {
        self.session.stream_text(text, params.into())
    }

    /// Checks a statement and keeps it, so that it can be executed many times at little cost.
    pub fn prepare(&self, text: &str) -> Result<Statement> {
        Statement::prepare(&self.session, text)
    }

    /// Begins a transaction. Until it ends, the connection's statements read the version of now and what they write
    /// themselves; others see it when it is committed.
    pub fn begin(&self) -> Result<Transaction<'_>> {
        Transaction::begin(&self.session, false)
    }

    /// Begins a transaction that only reads.
    pub fn begin_read_only(&self) -> Result<Transaction<'_>> {
        Transaction::begin(&self.session, true)
    }

    /// Whether a transaction that may write is open: nothing of it is kept unless it is committed.
    pub fn is_in_transaction(&self) -> bool {
        self.session.is_writing()
    }

    /// What another thread needs to stop a running statement.
    pub fn interrupt_handle(&self) -> InterruptHandle {
        let (flag, streams) = (Arc::clone(&self.session.interrupt), Arc::clone(&self.session.streams));
        InterruptHandle { flag, streams }
    }

    /// How long a statement may run; `None`: as long as it takes.
    pub fn set_query_timeout(&self, limit: Option<Duration>) {
        self.session.settings.lock().timeout = limit;
    }

    /// Most threads that one statement uses.
    pub fn set_threads(&self, threads: usize) {
        self.session.settings.lock().threads = threads.max(1);
    }

    /// Rows that operators pass on at once in this connection's statements, and a number from which it follows how wrong
    /// the statistics are that its plans are made from. Answers depend on neither; tests see to it.
    #[doc(hidden)]
    pub fn set_trial(&self, vector_size: usize, disturbed: Option<u64>) {
        let mut settings = self.session.settings.lock();
        settings.vector_size = vector_size.clamp(1, usize::from(u16::MAX));
        settings.disturbed = disturbed;
    }

    /// Another account than the database's for what operators of this connection's statements hold.
    #[doc(hidden)]
    pub fn set_trial_memory(&self, memory: Option<MemoryAccountant>) {
        self.session.settings.lock().memory = memory;
    }

    /// How this connection's texts are read where openCypher and Kuzu's Cypher differ.
    pub fn set_dialect(&self, dialect: Dialect) {
        self.session.settings.lock().dialect = Some(dialect);
    }

    /// What is asked about every 50 ms while a statement runs whether it may go on, on the thread that runs it and on no
    /// other: where a program learns there alone that its user wants to end it. On `false` the statement ends as
    /// [`InterruptHandle::interrupt`] ends it. A stream asks nobody.
    ///
    /// ```
    /// # fn main() -> quiredb::Result<()> {
    /// let connection = quiredb::Database::in_memory()?.connect()?;
    /// connection.set_interrupt_check(|| false);
    /// let pairs = "UNWIND range(1, 100000) AS x UNWIND range(1, 100000) AS y RETURN sum(x % y)";
    /// let error = connection.query(pairs).unwrap_err();
    /// assert_eq!(error.kind(), quiredb::ErrorKind::Interrupted);
    /// # Ok(())
    /// # }
    /// ```
    pub fn set_interrupt_check(&self, may_go_on: impl Fn() -> bool + Send + Sync + 'static) {
        let flag = Arc::clone(&self.session.interrupt);
        let ask = move || {
            if !may_go_on() {
                flag.store(true, Ordering::Relaxed);
            }
        };
        self.session.settings.lock().caller = Some(Arc::new(ask));
    }

    /// Nobody is asked any more.
    pub fn clear_interrupt_check(&self) {
        self.session.settings.lock().caller = None;
    }

    /// What is called as a statement makes progress, about ten times a second: on the thread that runs the statement for
    /// a COPY, on any of its threads for a query.
    pub fn set_progress(&self, callback: impl Fn(Progress) + Send + Sync + 'static) {
        *self.session.progress.lock() = Some(Arc::new(callback));
    }

    /// Nothing is called any more.
    pub fn clear_progress(&self) {
        *self.session.progress.lock() = None;
    }

    /// How far the query has come that runs now; none between queries. Another thread asks through
    /// [`progress_handle`](Self::progress_handle).
    pub fn progress_handle(&self) -> ProgressHandle {
        self.session.progress_asked.store(true, Ordering::Relaxed);
        ProgressHandle { running: Arc::clone(&self.session.running) }
    }

    /// The tables as this connection sees them now.
    pub fn catalog(&self) -> Result<Arc<Catalog>> {
        Ok(Arc::clone(self.session.view()?.transaction.catalog()))
    }

    /// How often a plan was found, and how many are kept.
    pub fn plan_cache_stats(&self) -> PlanCacheStats {
        self.session.plans.lock().stats()
    }
}

/// Tells from any thread how far a connection's query has come.
#[derive(Clone)]
pub struct ProgressHandle {
    running: Arc<Mutex<Weak<QueryProgress>>>,
}

impl ProgressHandle {
    /// How far the query has come that began last; none when it is over. Queries count that began after the handle was
    /// made.
    pub fn read(&self) -> Option<Progress> {
        let running = self.running.lock().upgrade()?;
        Some(Progress::of(running.read()))
    }
}

/// Stops what a connection runs, from any thread.
#[derive(Clone, Debug)]
pub struct InterruptHandle {
    flag: Arc<AtomicBool>,
    streams: StreamStops,
}

impl InterruptHandle {
    /// The statement that runs now, and every stream that is open, ends with an error of kind `Interrupted`; between
    /// statements nothing happens.
    pub fn interrupt(&self) {
        self.flag.store(true, Ordering::Relaxed);
        let streams: Vec<_> = self.streams.lock().iter().filter_map(Weak::upgrade).collect();
        streams.iter().for_each(|stream| stream.stop());
    }
}
