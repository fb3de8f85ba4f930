//! The query path from text to rows on small graphs in memory, against answers found by brute force.

mod brute_force;
mod everywhere;
mod graph;
mod memory;
mod paths;
mod queries;
mod subqueries;
mod whole_columns;
