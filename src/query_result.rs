//! What a statement answers: columns with names and types, rows, and a summary of what was done.
//!
//! Rows are kept as the executor made them, by column in chunks; `rows` looks at them one by one, `chunks` hands the
//! columns out whole. Nodes, relationships and paths already carry their labels and properties.

mod chunk;
mod from_value;
mod row;
mod summary;

use std::sync::Arc;

pub(crate) use chunk::may_hold_entities;
pub use chunk::{ResultChunk, ResultColumn};
pub use from_value::FromValue;
pub use row::{ColumnIndex, Row, Rows};
pub use summary::{ChangeCounts, PoolUse, QuerySummary};

use crate::types::{DataType, Value};
use crate::vector::VectorBuffer;

/// Names and types of a result's columns, shared by all executions of a plan.
#[derive(Debug, Default)]
pub(crate) struct ResultHeader {
    pub names: Vec<String>,
    pub types: Vec<DataType>,
}

/// The rows of a statement and a summary.
///
/// ```
/// # fn main() -> quiredb::Result<()> {
/// let connection = quiredb::Database::in_memory()?.connect()?;
/// let result = connection.query("UNWIND [1, 2, 3] AS n RETURN n, n * n AS square")?;
/// assert_eq!(result.columns(), ["n", "square"]);
/// for row in &result {
///     let (number, square): (i64, i64) = (row.get("n")?, row.get(1)?);
///     assert_eq!(square, number * number);
/// }
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct QueryResult {
    header: Arc<ResultHeader>,
    chunks: Vec<ResultChunk>,
    rows: usize,
    pub(crate) summary: QuerySummary,
}

impl QueryResult {
    pub(crate) fn new(header: Arc<ResultHeader>, chunks: Vec<ResultChunk>) -> QueryResult {
        let rows = chunks.iter().map(ResultChunk::rows).sum();
        QueryResult { header, chunks, rows, summary: QuerySummary::default() }
    }

    /// A result without columns, of statements that only do something.
    pub(crate) fn empty() -> QueryResult {
        QueryResult::new(Arc::default(), Vec::new())
    }

    /// A result of one column of texts.
    pub(crate) fn of_texts(name: &str, texts: impl IntoIterator<Item = String>) -> QueryResult {
        let mut buffer = VectorBuffer::new(DataType::String);
        texts.into_iter().for_each(|text| buffer.push_str(&text));
        let types = vec![buffer.data_type().clone()];
        let rows = buffer.len();
        let chunk = ResultChunk::new(vec![ResultColumn::of_vector(buffer)], rows);
        QueryResult::new(Arc::new(ResultHeader { names: vec![name.to_owned()], types }), vec![chunk])
    }

    /// The columns' names.
    pub fn columns(&self) -> &[String] {
        &self.header.names
    }

    /// The columns' types.
    pub fn types(&self) -> &[DataType] {
        &self.header.types
    }

    /// How many rows there are.
    pub fn len(&self) -> usize {
        self.rows
    }

    /// Whether there are no rows.
    pub fn is_empty(&self) -> bool {
        self.rows == 0
    }

    /// The rows in order.
    pub fn rows(&self) -> Rows<'_> {
        Rows::new(self)
    }

    /// The first row.
    pub fn first(&self) -> Option<Row<'_>> {
        self.rows().next()
    }

    /// All values, row by row.
    pub fn to_values(&self) -> Vec<Vec<Value>> {
        self.rows().map(|row| row.values()).collect()
    }

    /// The rows as columns, in pieces.
    pub fn chunks(&self) -> &[ResultChunk] {
        &self.chunks
    }

    /// Gives the columns away.
    pub fn into_chunks(self) -> Vec<ResultChunk> {
        self.chunks
    }

    /// Counts and times.
    pub fn summary(&self) -> &QuerySummary {
        &self.summary
    }

    pub(crate) fn header(&self) -> &Arc<ResultHeader> {
        &self.header
    }

    /// A row of the first chunk.
    pub(crate) fn row(&self, row: usize) -> Option<Row<'_>> {
        (row < self.chunks.first()?.rows()).then(|| Row::new(self, row))
    }

    fn position(&self, name: &str) -> Option<usize> {
        self.header.names.iter().position(|known| known == name)
    }
}

impl<'r> IntoIterator for &'r QueryResult {
    type Item = Row<'r>;
    type IntoIter = Rows<'r>;

    fn into_iter(self) -> Rows<'r> {
        self.rows()
    }
}
