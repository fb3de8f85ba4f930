//! The gates: prepared queries through the public API beside hand-written loops over plain arrays, in one process, with
//! the same number of threads, in turns. `cargo bench --bench gates` prints a table and fails when a gate is missed.
//!
//! `-- --no-fail` only prints, `-- --rounds 40` asks for more turns, any other word picks the gates whose names hold
//! it. `QUIRE_BENCH_DATA` names a folder with the directories `study-1`, `paths-1` and `lsqb-0.3` of the shared
//! benchmark; what is not there is made anew, alike in shape and size.

mod gates {
    pub mod by_hand;
    pub mod data;
    pub mod disk;
    pub mod gains;
    pub mod graphs;
    pub mod lookup;
    pub mod made;
    pub mod measure;
    pub mod scan;
}

use std::process::ExitCode;

use gates::data::Place;
use gates::measure::{Bench, Options};
use gates::{disk, gains, graphs, lookup, scan};

fn main() -> ExitCode {
    let mut bench = Bench::new(Options::from_arguments());
    let place = Place::new();
    graphs::study(&mut bench, &place);
    graphs::lsqb(&mut bench, &place);
    graphs::paths(&mut bench, &place);
    lookup::lookups(&mut bench, &place);
    gains::gains(&mut bench, &place);
    if bench.wants_any(&["scan", "pool"]) {
        let numbers = scan::Numbers::new(&place);
        scan::scans(&mut bench, &numbers);
        disk::cold_scans(&mut bench, &numbers);
        disk::small_pool(&mut bench, &numbers);
    }
    bench.finish()
}
