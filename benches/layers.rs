//! What levels of changes cost those who read, and checkpoints the disk: `cargo bench --bench layers` prints a table and
//! fails when a limit is missed (`-- --no-fail` only prints; `-- read`, `-- write` run one half).
//!
//! - A scan of groups that no level touches, while others are touched: within 1.05 times of no level at all.
//! - A million rows that only a level has: scanned within 2 times of the same rows in the base.
//! - Two filtered hops (query 9 of `study`) with 1 % of the nodes touched: within 1.3 times. Also after a checkpoint,
//!   which makes small runs of the level.
//! - A checkpoint of random single-row updates and edge inserts into 10 million relationships writes at most 10 bytes for
//!   one byte of log.

#[path = "layers/read.rs"]
mod read;
#[path = "layers/world.rs"]
mod world;
#[path = "layers/write.rs"]
mod write;

use std::process::ExitCode;

fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().skip(1).filter(|word| word != "--bench").collect();
    let wants = |name: &str| words.iter().all(|word| word.starts_with("--") || name.contains(word.as_str()));
    let mut table = world::Table::default();
    if wants("read") {
        read::clean_groups(&mut table);
        read::only_in_a_level(&mut table);
        read::two_hops(&mut table);
    }
    if wants("write") {
        write::checkpoint(&mut table);
    }
    let missed = table.print();
    let fail = missed && !words.iter().any(|word| word == "--no-fail");
    if fail { ExitCode::FAILURE } else { ExitCode::SUCCESS }
}
