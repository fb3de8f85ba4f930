//! How long a query takes from its text to its plan, without the plan cache: `cargo bench --bench plan` prints parsing,
//! binding, ordering and lowering apart for typical queries of ten lines, and fails when one takes 300 µs or more
//! (`-- --no-fail` only prints; `-- recursion` takes the queries with that word in their names; `-- --rounds 20000` asks
//! for more turns, for a profiler). Verdicts go by the median.

#[path = "plan/questions.rs"]
mod questions;

use std::io::Write;
use std::path::Path;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use quiredb::binder::{BinderSettings, BoundStatement, ParameterTypes, bind};
use quiredb::parser::parse_statement;
use quiredb::planner::{explain, lower_query, order_query};
use quiredb::storage::backend::PosixBackend;
use quiredb::storage::engine::{Engine, EngineOptions};
use quiredb::transaction::ReadTransaction;
use quiredb::{Database, Dialect};

use questions::{QUESTIONS, TABLES};

const LIMIT: Duration = Duration::from_micros(300);
const ROUNDS: usize = 400;

fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().skip(1).filter(|word| word != "--bench").collect();
    let rounds = words.iter().position(|word| word == "--rounds").and_then(|at| words.get(at + 1));
    let rounds: usize = rounds.and_then(|count| count.parse().ok()).unwrap_or(ROUNDS);
    let named = |word: &&String| !word.starts_with("--") && word.parse::<usize>().is_err();
    let folder = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).expect("a folder to work in");
    let path = folder.path().join("database");
    fill(&path, folder.path());
    let engine = Engine::open(&PosixBackend::new(&path), &EngineOptions::default()).expect("a database");
    let transaction = ReadTransaction::begin(&engine);
    println!("| query | lines | parse | bind | order | lower | all | median of all | text of EXPLAIN |");
    println!("| :---- | ----: | ----: | ---: | ----: | ----: | --: | ------------: | --------------: |");
    let mut missed = false;
    for (name, text) in QUESTIONS {
        if words.iter().filter(named).any(|word| !name.contains(word.as_str())) {
            continue;
        }
        let took = measure(text, &transaction, rounds);
        let median = took.iter().map(|steps| steps[..4].iter().sum::<Duration>()).collect::<Vec<_>>();
        let median = middle(median);
        missed |= median >= LIMIT;
        let step = |step: usize| micros(took.iter().map(|steps| steps[step]).min().unwrap_or_default());
        let all = took.iter().map(|steps| steps[..4].iter().sum::<Duration>()).min().unwrap_or_default();
        let (lines, all, median) = (text.lines().count(), micros(all), micros(median));
        let (parse, bind, order, lower, explain) = (step(0), step(1), step(2), step(3), step(4));
        println!(
            "| {name} | {lines} | {parse} | {bind} | {order} | {lower} | {all} | {median} | {explain} |"
        );
    }
    let fail = missed && !words.iter().any(|word| word == "--no-fail");
    if fail { ExitCode::FAILURE } else { ExitCode::SUCCESS }
}

/// What parsing, binding, ordering, lowering and showing took, in each round.
fn measure(text: &str, transaction: &ReadTransaction, rounds: usize) -> Vec<[Duration; 5]> {
    let catalog = transaction.catalog();
    let statistics = transaction.statistics().expect("statistics");
    let (types, settings) = (ParameterTypes::default(), BinderSettings { dialect: Dialect::OpenCypher });
    let round = |_| {
        let started = Instant::now();
        let statement = parse_statement(text).unwrap_or_else(|error| panic!("{text}: {error}"));
        let parsed = Instant::now();
        let bound = bind(&statement, text, catalog, &types, &settings);
        let bound = bound.unwrap_or_else(|error| panic!("{text}: {error}"));
        let BoundStatement::Query(query) = &bound else { panic!("{text}: not a query") };
        let named = Instant::now();
        let ordered = order_query(query, catalog, statistics).expect("an order");
        let ordered_at = Instant::now();
        let plan = lower_query(query, ordered, catalog, statistics).expect("a plan");
        let lowered = Instant::now();
        std::hint::black_box(explain(&plan, catalog));
        let shown = Instant::now();
        let times = [started, parsed, named, ordered_at, lowered, shown];
        std::array::from_fn(|step| times[step + 1].duration_since(times[step]))
    };
    (0..rounds).map(round).collect()
}

fn fill(path: &Path, folder: &Path) {
    let database = Database::open(path).expect("a database");
    let connection = database.connect().expect("a connection");
    let run = |text: &str| {
        connection.query(text).unwrap_or_else(|error| panic!("{text}: {error}"));
    };
    let mut numbers = Numbers(7);
    for (definition, rows, line) in TABLES {
        run(definition);
        let name = definition.split([' ', '(']).nth(3).expect("a name");
        let file = folder.join(format!("{name}.csv"));
        let mut out = std::io::BufWriter::new(std::fs::File::create(&file).expect("a file"));
        (0..rows).for_each(|row| writeln!(out, "{}", numbers.line(line, row)).expect("a line"));
        drop(out);
        run(&format!("COPY {name} FROM '{}' (HEADER = false)", file.display()));
    }
    drop(connection);
    database.close().expect("it closes");
}

/// A sequence that looks random.
struct Numbers(u64);

impl Numbers {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % bound
    }

    /// A line of a file: `#` is its number, `%n` a number below n, `@n` one of 1 to n.
    fn line(&mut self, form: &str, row: u64) -> String {
        let mut line = String::new();
        let mut rest = form;
        while let Some(at) = rest.find(['#', '%', '@']) {
            let (before, from) = rest.split_at(at);
            line.push_str(before);
            let digits =
                from[1..].find(|next: char| !next.is_ascii_digit()).map_or(from.len(), |end| end + 1);
            let bound = from[1..digits].parse().unwrap_or(1);
            line += &match &from[..1] {
                "#" => row.to_string(),
                "%" => self.below(bound).to_string(),
                _ => (1 + self.below(bound)).to_string(),
            };
            rest = &from[digits..];
        }
        line + rest
    }
}

fn middle(mut times: Vec<Duration>) -> Duration {
    times.sort_unstable();
    times.get(times.len() / 2).copied().unwrap_or_default()
}

fn micros(time: Duration) -> String {
    format!("{:.1} µs", time.as_secs_f64() * 1e6)
}
