//! Loss of power, full disks and failing calls on the simulated disk, while tables are made, loaded and dropped: after
//! reopening, the database is as before the statement or as after it, every page is accounted for, and loads go on.
//!
//! The ordinary run takes a few hundred crashes. All of them, 10,000 and more:
//!
//! ```text
//! QUIRE_LONG=1 cargo test --release --test simulation -- --nocapture
//! ```
//!
//! A failure names its seed; `QUIRE_SEED=<seed> cargo test --test simulation crash` runs just that one again, with the
//! same operations, torn writes and lost names.

#[path = "simulation/crash.rs"]
mod crash;
#[path = "simulation/faults.rs"]
mod faults;
mod support;
#[path = "simulation/workload.rs"]
mod workload;
