//! Databases of made-up data, and the table of what came out.

use std::io::Write;
use std::path::Path;
use std::time::{Duration, Instant};

use quiredb::{Connection, Database, DurabilityMode};

/// A sequence that looks random.
pub struct Numbers(pub u64);

impl Numbers {
    pub fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % bound
    }
}

pub fn folder() -> tempfile::TempDir {
    tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).expect("a folder to work in")
}

/// A new database that checkpoints only when asked.
pub fn database(path: &Path) -> Database {
    Database::builder()
        .buffer_pool_size(2 << 30)
        .durability(DurabilityMode::Buffered)
        .checkpoint_threshold(0)
        .open(path)
        .expect("a database")
}

pub fn connection(database: &Database) -> Connection {
    let connection = database.connect().expect("a connection");
    connection.set_threads(1);
    connection
}

pub fn run(connection: &Connection, text: &str) {
    connection.query(text).unwrap_or_else(|error| panic!("{text}: {error}"));
}

/// Fills a table with lines made by `line`.
pub fn load(
    connection: &Connection,
    folder: &Path,
    table: &str,
    rows: u64,
    mut line: impl FnMut(u64) -> String,
) {
    let file = folder.join(format!("{table}.csv"));
    let mut out = std::io::BufWriter::new(std::fs::File::create(&file).expect("a file"));
    for row in 0..rows {
        writeln!(out, "{}", line(row)).expect("a line");
    }
    drop(out);
    run(connection, &format!("COPY {table} FROM '{}' (HEADER = false)", file.display()));
    std::fs::remove_file(file).expect("the file goes");
}

pub fn number(connection: &Connection, text: &str) -> i64 {
    let result = connection.query(text).unwrap_or_else(|error| panic!("{text}: {error}"));
    result.first().expect("a row").get(0).expect("a number")
}

/// The least time of two queries in turns, and that both say what is expected.
pub fn in_turns(rounds: usize, ours: &mut dyn FnMut(), theirs: &mut dyn FnMut()) -> [Duration; 2] {
    let mut least = [Duration::MAX; 2];
    for _ in 0..rounds {
        let started = Instant::now();
        ours();
        least[0] = least[0].min(started.elapsed());
        let started = Instant::now();
        theirs();
        least[1] = least[1].min(started.elapsed());
    }
    least
}

/// What came out.
#[derive(Default)]
pub struct Table {
    lines: Vec<(String, String, f64, f64)>,
}

impl Table {
    /// A ratio that must not be above a limit.
    pub fn add(&mut self, what: &str, detail: String, ratio: f64, limit: f64) {
        println!("{what}: {detail}, {ratio:.2} (at most {limit})");
        self.lines.push((what.to_owned(), detail, ratio, limit));
    }

    pub fn add_times(&mut self, what: &str, [ours, theirs]: [Duration; 2], limit: f64) {
        let ratio = ours.as_secs_f64() / theirs.as_secs_f64();
        self.add(what, format!("{ours:.2?} against {theirs:.2?}"), ratio, limit);
    }

    /// Prints all lines; says whether a limit was missed.
    pub fn print(&self) -> bool {
        println!("\n| what | measured | ratio | at most | |\n|---|---|---|---|---|");
        for (what, detail, ratio, limit) in &self.lines {
            let verdict = if ratio <= limit { "ok" } else { "missed" };
            println!("| {what} | {detail} | {ratio:.2} | {limit} | {verdict} |");
        }
        self.lines.iter().any(|(.., ratio, limit)| ratio > limit)
    }
}
