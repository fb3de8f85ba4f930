//! Results that are read while their query runs.

use std::sync::Arc;

use crate::connection::{Progress, RunningQuery};
use crate::error::Result;
use crate::query_result::{QueryResult, QuerySummary, ResultChunk, ResultHeader, Row};
use crate::types::DataType;

/// The rows of a statement, handed over while it runs, by [`Connection::stream`](crate::Connection::stream).
///
/// The query runs ahead by a few megabytes at most and waits when its rows are not taken, so that a result of any length
/// needs little memory. It reads the version of the database that it began with, which is kept as long as the stream
/// lives; dropping the stream ends the query. Rows are ordered where ORDER BY says so. An error comes behind the rows
/// that were found before it. A time limit counts from the beginning of the statement to its last row, with the time that
/// the reader takes.
///
/// Statements that change something, and queries of a transaction that may, have ended before their first row is handed
/// over: what they answer is kept in memory.
pub struct QueryStream {
    header: Arc<ResultHeader>,
    /// None once the last rows were handed over, or an error.
    running: Option<RunningQuery>,
    kept: std::vec::IntoIter<ResultChunk>,
    /// The rows that `next_row` is in, and how many of them were asked for.
    current: QueryResult,
    row: usize,
    rows: u64,
    counters: Vec<(&'static str, u64)>,
    pub(crate) summary: QuerySummary,
}

impl QueryStream {
    /// The rows of a statement that has ended.
    pub(crate) fn of(result: QueryResult) -> QueryStream {
        let (header, summary) = (Arc::clone(result.header()), result.summary.clone());
        let kept = result.into_chunks().into_iter();
        QueryStream { kept, summary, ..QueryStream::new(header, None) }
    }

    pub(crate) fn running(header: Arc<ResultHeader>, query: RunningQuery) -> QueryStream {
        QueryStream::new(header, Some(query))
    }

    fn new(header: Arc<ResultHeader>, running: Option<RunningQuery>) -> QueryStream {
        let current = QueryResult::new(Arc::clone(&header), Vec::new());
        QueryStream {
            header,
            running,
            kept: Vec::new().into_iter(),
            current,
            row: 0,
            rows: 0,
            counters: Vec::new(),
            summary: QuerySummary::default(),
        }
    }

    /// The columns' names.
    pub fn columns(&self) -> &[String] {
        &self.header.names
    }

    /// The columns' types.
    pub fn types(&self) -> &[DataType] {
        &self.header.types
    }

    /// The next rows by column, as many as there are by now; nothing behind the last ones.
    pub fn next_chunk(&mut self) -> Result<Option<ResultChunk>> {
        let chunk = self.take_chunk()?;
        self.rows += chunk.as_ref().map_or(0, |chunk| chunk.rows() as u64);
        Ok(chunk)
    }

    fn take_chunk(&mut self) -> Result<Option<ResultChunk>> {
        let Some(running) = &mut self.running else { return Ok(self.kept.next()) };
        let next = running.next();
        if !matches!(next, Ok(Some(_))) {
            self.summary.execution_time = running.elapsed();
            self.counters = running.counters();
            self.running = None;
        }
        next
    }

    /// The next row; nothing behind the last one. Rows of a chunk that [`next_chunk`](Self::next_chunk) has handed over do
    /// not come again.
    pub fn next_row(&mut self) -> Result<Option<Row<'_>>> {
        while self.row >= self.current.len() {
            let Some(chunk) = self.next_chunk()? else { return Ok(None) };
            self.current = QueryResult::new(Arc::clone(&self.header), vec![chunk]);
            self.row = 0;
        }
        self.row += 1;
        Ok(self.current.row(self.row - 1))
    }

    /// All rows that are left, at once.
    pub fn collect_all(mut self) -> Result<QueryResult> {
        let mut chunks = Vec::new();
        while let Some(chunk) = self.next_chunk()? {
            chunks.push(chunk);
        }
        let mut result = QueryResult::new(Arc::clone(&self.header), chunks);
        result.summary = self.summary.clone();
        Ok(result)
    }

    /// How many rows have been handed over.
    pub fn rows_taken(&self) -> u64 {
        self.rows
    }

    /// How far the query has come, which is ahead of the rows that were taken; none once it is over.
    pub fn progress(&self) -> Option<Progress> {
        self.running.as_ref()?.progress()
    }

    /// Counts and times; what they are in the end is known behind the last row.
    pub fn summary(&self) -> &QuerySummary {
        &self.summary
    }

    /// What the mechanisms of a query have done so far, by the names that `PROFILE` shows.
    pub fn counters(&self) -> Vec<(&'static str, u64)> {
        match &self.running {
            Some(running) => running.counters(),
            None => self.counters.clone(),
        }
    }
}

impl Iterator for QueryStream {
    type Item = Result<ResultChunk>;

    /// As [`next_chunk`](QueryStream::next_chunk).
    fn next(&mut self) -> Option<Result<ResultChunk>> {
        self.next_chunk().transpose()
    }
}
