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
mod degrees;
mod distinct;
mod distribution;
mod encode;
mod encode_statistics;
mod error;
mod rules;
mod sample;
mod schema;
mod shares;
mod statistics;
mod stored_value;

pub use catalog::{Catalog, DroppedTables, TableEntry};
pub use degrees::Degrees;
pub use distinct::DistinctSketch;
pub use distribution::Distribution;
pub use encode::{DecodeError, decode_catalog, encode_catalog};
pub use encode_statistics::{decode_statistics, encode_statistics};
pub use error::{CatalogError, ObjectKind};
pub use sample::{RowSample, is_sampled, picked_rows};
pub use schema::{
    ColumnSchema, Dialect, Multiplicity, NewColumn, NewNodeTable, NewRelType, NodeTableSchema,
    RelTableSchema, RelTypeSchema, SchemaMode,
};
pub use statistics::{ColumnStatistics, DirectionStatistics, Statistics, TableStatistics};
