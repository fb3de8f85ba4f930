//! Schemas and statistics as two plain values. The catalog holds names, types and ids and nothing that grows with
//! the data; statistics stand beside it and never bump its version. Changes are methods on `Catalog` that return
//! `CatalogError` as data; whoever publishes the changed value decides whether anybody sees it.
//! The bytes of both values are described in `specs/format/catalog.md`; only `encode` knows them.

#[allow(
    clippy::module_inception,
    reason = "the folder and its main value share the name that everybody looks for"
)]
mod catalog;
mod change;
mod distinct;
mod encode;
mod error;
mod rules;
mod schema;
mod shares;
mod statistics;
mod stored_value;
mod suggest;

pub use catalog::{Catalog, DroppedTables, TableEntry};
pub use distinct::DistinctSketch;
pub use encode::{DecodeError, decode_catalog, decode_statistics, encode_catalog, encode_statistics};
pub use error::{CatalogError, ObjectKind};
pub use schema::{
    ColumnSchema, Dialect, Multiplicity, NewColumn, NewNodeTable, NewRelType, NodeTableSchema,
    RelTableSchema, RelTypeSchema, SchemaMode,
};
pub use statistics::{ColumnStatistics, DirectionStatistics, Statistics, TableStatistics};
pub use suggest::closest_name;
