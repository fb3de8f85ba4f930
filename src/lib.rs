//! quire: an embedded property-graph database in pure Rust.
//!
//! A [`Database`] is a directory, or lives in memory. Statements are Cypher and run on a [`Connection`]; they answer
//! with a [`QueryResult`]. There is no server and nothing to configure.
//!
//! ```
//! use quiredb::{Database, params};
//!
//! # fn main() -> quiredb::Result<()> {
//! # let folder = tempfile::tempdir().unwrap();
//! # let file = folder.path().join("people.csv");
//! std::fs::write(&file, "id,name\n1,Ada\n2,Grace\n").unwrap();
//!
//! let database = Database::in_memory()?;
//! let connection = database.connect()?;
//! connection.query("CREATE NODE TABLE Person(id INT64 PRIMARY KEY, name STRING)")?;
//! connection.query(&format!("COPY Person FROM '{}' (HEADER = true)", file.display()))?;
//!
//! let statement = connection.prepare("MATCH (p:Person {id: $id}) RETURN p.name AS name")?;
//! let result = statement.execute_with(params! { id: 2 })?;
//! assert_eq!(result.first().unwrap().get::<String>("name")?, "Grace");
//! # Ok(())
//! # }
//! ```
//!
//! What a user of the database needs is at the top level of the crate. The modules are the engine, in the order in
//! which a query passes through them; `specs/architecture.md` tells how they work together.

// What the parser is generated to is written in terms of it.
extern crate alloc;

mod config;
mod connection;
mod database;
mod error;
mod params;
mod query_result;
mod query_stream;
mod statement;

pub mod parser;

pub mod binder;

pub mod functions;

pub mod planner;

pub mod executor;

pub mod ingest;

pub mod transaction;

pub mod storage;

pub mod catalog;

pub mod vector;

pub mod types;

pub use catalog::{Catalog, Dialect, SchemaMode};
pub use config::{DatabaseBuilder, DurabilityMode, FileAccess};
pub use connection::{Connection, InterruptHandle, PlanCacheStats, Progress, ProgressHandle, Transaction};
pub use database::{CsvImportConfig, Database, ImportSummary};
pub use error::{Error, ErrorKind, Phase, Result, SourceSpan};
pub use params::Params;
pub use query_result::{
    ChangeCounts, ColumnIndex, FromValue, PoolUse, QueryResult, QuerySummary, ResultChunk, ResultColumn, Row,
    Rows,
};
pub use query_stream::QueryStream;
pub use statement::Statement;
pub use storage::buffer_pool::BufferPoolStats;
pub use storage::check::CheckReport;
pub use storage::engine::StorageStats;
pub use storage::wal::{WalConfig, WalConfigBuilder};
pub use types::{DataType, GlobalId, Interval, NodeValue, PathValue, RelValue, Value};

/// The quickstart's programs, compiled and run as tests.
#[cfg(doctest)]
#[doc = include_str!("../quickstart.md")]
pub struct Quickstart;

/// The same for the front page.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
pub struct Readme;
