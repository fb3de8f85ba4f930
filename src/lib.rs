//! quire: an embedded property-graph database in pure Rust.

pub mod types;
pub mod vector;
pub mod catalog;
pub mod parser;
pub mod functions;
pub mod ingest;
pub mod binder;
pub mod planner;
pub mod storage;
pub mod transaction;
pub mod executor;
