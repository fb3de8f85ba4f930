//! Explicit transactions: one version of the database over several statements.

use std::sync::atomic::{AtomicU64, Ordering};

use super::session::Session;
use crate::error::{Error, ErrorKind, Result};
use crate::params::Params;
use crate::query_result::QueryResult;
use crate::transaction::ReadTransaction;

/// What a session keeps from BEGIN to COMMIT.
pub(crate) struct OpenTransaction {
    pub transaction: ReadTransaction,
    number: u64,
}

static NEXT_NUMBER: AtomicU64 = AtomicU64::new(1);

impl Session {
    /// From here on statements read the version of now. Gives the transaction's number.
    pub(super) fn begin_transaction(&self, _read_only: bool) -> Result<u64> {
        let transaction = self.shared.newest(&*self.shared.engine()?);
        let mut open = self.transaction.lock();
        if open.is_some() {
            return Err(
                transaction_error("a transaction is open already").with_hint("End it by COMMIT or ROLLBACK")
            );
        }
        let number = NEXT_NUMBER.fetch_add(1, Ordering::Relaxed);
        *open = Some(OpenTransaction { transaction, number });
        Ok(number)
    }

    /// Ends the open transaction, or the one of that number.
    pub(super) fn end_transaction(&self, number: Option<u64>) -> Result<()> {
        let mut transaction = self.transaction.lock();
        match transaction.take_if(|open| number.is_none_or(|number| number == open.number)) {
            Some(_) => Ok(()),
            None => Err(transaction_error("there is no open transaction")),
        }
    }
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

    /// Ends the transaction.
    pub fn commit(mut self) -> Result<()> {
        self.end()
    }

    /// Ends the transaction as if nothing had happened.
    pub fn rollback(mut self) -> Result<()> {
        self.end()
    }

    fn end(&mut self) -> Result<()> {
        self.ended = true;
        self.session.end_transaction(Some(self.number))
    }
}

impl Drop for Transaction<'_> {
    fn drop(&mut self) {
        if !self.ended {
            // Already ended by a COMMIT or ROLLBACK statement: nothing is left to do.
            let _ = self.end();
        }
    }
}
