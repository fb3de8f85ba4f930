//! Random writing statements against a plain graph in memory: nodes and relationships are created, changed and deleted,
//! alone and in transactions that end either way, with checkpoints, reopenings and old snapshots in between; and the
//! same under loss of power at random operations of the simulated disk.
//!
//! More of it: `QUIRE_LONG=1 cargo test --release --test writes_model`. A failure names its seed;
//! `QUIRE_SEED=<seed>` runs that one alone.

#[path = "writes_model/crash.rs"]
mod crash;
#[path = "writes_model/graph.rs"]
mod graph;
#[path = "writes_model/histories.rs"]
mod histories;
#[cfg(all(unix, feature = "cli"))]
#[path = "writes_model/kill.rs"]
mod kill;
#[path = "writes_model/operation.rs"]
mod operation;
mod support;

/// Says which seed was under way if a test fails.
pub struct Seed(pub u64, pub &'static str);

impl Drop for Seed {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!(
                "failed with seed {0}; replay: QUIRE_SEED={0} cargo test --test writes_model {1}",
                self.0, self.1
            );
        }
    }
}

/// The seeds of a run: one that is asked for, many, or few.
pub fn seeds(long: u64, short: u64) -> std::ops::Range<u64> {
    match support::number_of("QUIRE_SEED") {
        Some(seed) => seed..seed + 1,
        None if support::is_long() => 0..long,
        None => 0..short,
    }
}
