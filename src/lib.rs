//! quire: an embedded property-graph database in pure Rust.

pub mod binder;
pub mod catalog;
pub mod executor;
pub mod functions;
pub mod ingest;
pub mod parser;
pub mod planner;
pub mod storage;
pub mod transaction;
pub mod types;
pub mod vector;
