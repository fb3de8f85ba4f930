//! Transactions of a connection: those that the user begins and ends, and the one that each writing statement is when
//! there is none.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use super::session::{Session, View};
use crate::error::{Error, ErrorKind, Result};
use crate::params::Params;
use crate::query_result::QueryResult;
use crate::query_stream::QueryStream;
use crate::transaction::{Met, ReadTransaction, WriteOptions, WriteTransaction};

/// What a session keeps from BEGIN to COMMIT.
pub(crate) struct OpenTransaction {
    work: Work,
    number: u64,
}

enum Work {
    Read(ReadTransaction),
    Write(Box<WriteTransaction>),
}

impl OpenTransaction {
    /// What the next statement reads.
    pub fn view(&self) -> ReadTransaction {
        match &self.work {
            Work::Read(transaction) => transaction.clone(),
            Work::Write(transaction) => transaction.view(),
        }
    }
}

static NEXT_NUMBER: AtomicU64 = AtomicU64::new(1);

impl Session {
    /// From here on statements read the version of now. Gives the transaction's number.
    pub(super) fn begin_transaction(&self, read_only: bool) -> Result<u64> {
        let engine = self.shared.engine()?;
        let mut open = self.transaction.lock();
        if open.is_some() {
            return Err(
                transaction_error("a transaction is open already").with_hint("End it by COMMIT or ROLLBACK")
            );
        }
        let newest = self.shared.newest(&engine);
        let work = match read_only || self.shared.config.read_only {
            true => Work::Read(newest),
            false => {
                let wait = self.settings.lock().timeout;
                let options = WriteOptions { wait, lazy: true, ..WriteOptions::default() };
                let mut writer = WriteTransaction::begin(&engine, options)?;
                writer.share_tables(&newest);
                Work::Write(Box::new(writer))
            }
        };
        let number = NEXT_NUMBER.fetch_add(1, Ordering::Relaxed);
        *open = Some(OpenTransaction { work, number });
        Ok(number)
    }

    /// Whether a transaction is open that may write.
    pub(super) fn is_writing(&self) -> bool {
        self.transaction.lock().as_ref().is_some_and(|open| matches!(open.work, Work::Write(_)))
    }

    /// Ends the open transaction, or the one of that number.
    pub(super) fn end_transaction(&self, number: Option<u64>, commit: bool) -> Result<()> {
        let mut transaction = self.transaction.lock();
        let ended = transaction.take_if(|open| number.is_none_or(|number| number == open.number));
        drop(transaction);
        let Some(OpenTransaction { work, .. }) = ended else {
            return Err(transaction_error("there is no open transaction"));
        };
        let Work::Write(writer) = work else { return Ok(()) };
        if !commit {
            writer.rollback();
            return Ok(());
        }
        if writer.met().is_some() {
            writer.rollback();
            return Err(rolled_back());
        }
        writer.commit()?;
        Ok(())
    }

    /// Runs a statement that writes. Within a transaction a failed one undoes itself alone. Otherwise the statement is a
    /// transaction of its own: where another one is in its way it is rolled back, waits for that one's end, and is run
    /// again, as long as its time lasts; so `body` may be called several times, each time over a new version.
    pub(super) fn write<T>(
        &self,
        view: &View,
        mut body: impl FnMut(&mut WriteTransaction) -> Result<T>,
    ) -> Result<T> {
        {
            let mut open = self.transaction.lock();
            if let Some(open) = &mut *open {
                return write_within(open, body);
            }
        }
        let limit = view.settings.timeout.unwrap_or(view.engine.lock_wait());
        let deadline = view.started.checked_add(limit);
        let left = || deadline.map(|deadline| deadline.saturating_duration_since(Instant::now()));
        let mut areas = Vec::new();
        loop {
            let options = WriteOptions { wait: left(), single: true, ..WriteOptions::default() };
            let mut writer = WriteTransaction::begin_in(&view.engine, options, &areas)?;
            writer.share_tables(&view.transaction);
            let error = match body(&mut writer) {
                Ok(value) => {
                    writer.commit()?;
                    return Ok(value);
                }
                Err(error) => error,
            };
            let Some(met) = writer.met() else { return Err(error) };
            writer.rollback();
            let interrupted = self.interrupt.load(Ordering::Relaxed);
            if interrupted || left().is_some_and(|left| left.is_zero()) {
                return Err(error);
            }
            match met {
                Met::Committed => {}
                Met::Open(holder) if WriteTransaction::wait_for(&view.engine, holder, left()) => {}
                Met::Open(_) => return Err(error),
                // The next one waits for it before it has a snapshot.
                Met::Area(area, passage) => areas.push((area, passage)),
            }
        }
    }
}

/// Runs a writing statement of an open transaction.
fn write_within<T>(
    open: &mut OpenTransaction,
    mut body: impl FnMut(&mut WriteTransaction) -> Result<T>,
) -> Result<T> {
    let Work::Write(writer) = &mut open.work else {
        return Err(transaction_error("the transaction is read-only"));
    };
    if writer.met().is_some() {
        return Err(rolled_back());
    }
    let savepoint = writer.savepoint();
    body(writer).inspect_err(|_| writer.rollback_to(savepoint))
}

fn rolled_back() -> Error {
    let message = "the transaction met another one that changed the same, and can only be rolled back";
    Error::new(ErrorKind::Conflict, message).compile().with_hint("Roll it back and run it again")
}

fn transaction_error(message: &str) -> Error {
    Error::new(ErrorKind::Transaction, message).compile()
}

/// One version of the database over several statements. All statements of the connection belong to it until it ends;
/// when it is dropped without `commit`, it is rolled back.
///
/// ```
/// # fn main() -> quiredb::Result<()> {
/// let database = quiredb::Database::in_memory()?;
/// let (reader, writer) = (database.connect()?, database.connect()?);
/// let transaction = reader.begin_read_only()?;
/// writer.query("CREATE NODE TABLE Person(id INT64 PRIMARY KEY)")?;
/// assert!(transaction.query("MATCH (p:Person) RETURN p.id").is_err());
/// transaction.commit()?;
/// assert!(reader.query("MATCH (p:Person) RETURN p.id")?.is_empty());
/// # Ok(())
/// # }
/// ```
pub struct Transaction<'c> {
    session: &'c Session,
    number: u64,
    ended: bool,
}

impl<'c> Transaction<'c> {
    pub(super) fn begin(session: &'c Session, read_only: bool) -> Result<Transaction<'c>> {
        let number = session.begin_transaction(read_only)?;
        Ok(Transaction { session, number, ended: false })
    }

    /// Runs a text without parameters.
    pub fn query(&self, text: &str) -> Result<QueryResult> {
        self.session.run_text(text, Params::new())
    }

    /// Runs a text with parameters.
    pub fn query_with(&self, text: &str, params: impl Into<Params>) -> Result<QueryResult> {
        self.session.run_text(text, params.into())
    }

    /// Runs a text and hands the rows of its last statement over while it runs, unless the transaction may write: then
    /// all rows are there before the first is handed over.
    pub fn stream(&self, text: &str) -> Result<QueryStream> {
        self.session.stream_text(text, Params::new())
    }

    /// The same with parameters.
    pub fn stream_with(&self, text: &str, params: impl Into<Params>) -> Result<QueryStream> {
        self.session.stream_text(text, params.into())
    }

    /// Ends the transaction and makes its changes durable and visible. After an error they are not seen.
    pub fn commit(mut self) -> Result<()> {
        self.end(true)
    }

    /// Ends the transaction as if nothing had happened.
    pub fn rollback(mut self) -> Result<()> {
        self.end(false)
    }

    fn end(&mut self, commit: bool) -> Result<()> {
        self.ended = true;
        self.session.end_transaction(Some(self.number), commit)
    }
}

impl Drop for Transaction<'_> {
    fn drop(&mut self) {
        if !self.ended {
            // Already ended by a COMMIT or ROLLBACK statement: nothing is left to do.
            let _ = self.end(false);
        }
    }
}
