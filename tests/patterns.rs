//! Random queries over random graphs give the rows that a plain evaluator finds, which tries everything: with any spelling of
//! the patterns, with plans from statistics that are wrong by orders of magnitude, on one thread and on two, with
//! ordinary batches and with batches of three rows, out of pages and out of levels of changes, in both dialects; and with
//! a pool that holds a few pages and a quarter of the memory that each query needs.
//!
//! More of them: `QUIRE_LONG=1 cargo test --release --test patterns`; one again: `QUIRE_SEED=7 cargo test --test patterns`.

#[path = "patterns/evaluate.rs"]
mod evaluate;
#[path = "patterns/generate.rs"]
mod generate;
#[path = "patterns/graph.rs"]
mod graph;
#[path = "patterns/matching.rs"]
mod matching;
#[path = "patterns/query.rs"]
mod query;
#[path = "patterns/simplify.rs"]
mod simplify;
#[path = "patterns/spell.rs"]
mod spell;
mod support;

use std::collections::BTreeMap;

use quiredb::storage::memory::MemoryAccountant;
use quiredb::{Connection, Database, Dialect, Error, ErrorKind, Value};

use evaluate::Evaluator;
use generate::Generator;
use graph::{Graph, NODE_PROPERTIES, Size, V};
use query::{Aggregate, Item, Query};
use simplify::simpler;
use spell::Speller;
use support::random::Random;
use support::{is_long, number_of};

/// How one query is run.
#[derive(Debug, Clone, Copy)]
struct How {
    threads: usize,
    vector_size: usize,
    disturbed: bool,
    /// With a quarter of the memory that it takes otherwise.
    pressed: bool,
}

const WAYS: [How; 5] = [
    How { threads: 1, vector_size: 2048, disturbed: false, pressed: false },
    How { threads: 2, vector_size: 2048, disturbed: true, pressed: false },
    How { threads: 1, vector_size: 3, disturbed: false, pressed: false },
    How { threads: 2, vector_size: 3, disturbed: true, pressed: false },
    How { threads: 1, vector_size: 3, disturbed: true, pressed: false },
];

/// Operators of tiny batches look at their account after a few rows, so that little is much.
const PRESSED: [How; 3] = [
    How { threads: 1, vector_size: 3, disturbed: false, pressed: true },
    How { threads: 2, vector_size: 3, disturbed: true, pressed: true },
    How { threads: 2, vector_size: 2, disturbed: false, pressed: true },
];

/// What operators may hold where nothing presses.
const PLENTY: u64 = 64 << 20;
/// What is left to the pool.
const POOL: u64 = 12 << 10;
/// What operators may hold in any case.
const BASE: u64 = 8 << 10;

/// A value as both sides show it.
fn show(value: &V, graph: &Graph) -> String {
    match value {
        V::Null => "NULL".to_owned(),
        V::Bool(truth) => truth.to_string(),
        V::Number(number) => shown_number(*number),
        V::Text(text) => format!("'{text}'"),
        V::Node(at) => format!("({})", graph.nodes[*at].as_ref().map_or(-1, |node| node.id)),
        V::Rel(at) => format!("[{}]", graph.rels[*at].as_ref().map_or(-1, |rel| rel.tag)),
        V::List(all) => shown_list(all.iter().map(|one| show(one, graph)).collect()),
    }
}

fn shown_number(number: f64) -> String {
    let number = if number == 0.0 { 0.0 } else { number };
    if number.fract() == 0.0 { format!("{number:.0}") } else { format!("{number:.6}") }
}

fn shown_list(parts: Vec<String>) -> String {
    format!("[{}]", parts.join(", "))
}

fn show_value(value: &Value) -> String {
    let property = |properties: &[(String, Value)], name: &str| {
        let found = properties.iter().find(|(known, _)| known == name);
        found.map_or("?".to_owned(), |(_, value)| value.to_string())
    };
    match value {
        Value::Null => "NULL".to_owned(),
        Value::Bool(truth) => truth.to_string(),
        Value::Double(number) => shown_number(*number),
        Value::String(text) => format!("'{text}'"),
        Value::Node(node) => format!("({})", property(&node.properties, NODE_PROPERTIES[0].0)),
        Value::Rel(rel) => format!("[{}]", property(&rel.properties, "tag")),
        Value::List(all) => shown_list(all.iter().map(show_value).collect()),
        other => match other.as_i128() {
            Some(number) => number.to_string(),
            None => format!("{other:?}"),
        },
    }
}

/// Rows as texts; what has no order comes in one of its own.
fn shown(query: &Query, rows: Vec<Vec<String>>) -> Vec<String> {
    let is_bag = |at: usize| matches!(query.result.items[at].0, Item::Aggregate(Aggregate::Collect, ..));
    let cell = |(at, text): (usize, String)| {
        if !is_bag(at) || text == "NULL" {
            return text;
        }
        let inside = text.trim_start_matches('[').trim_end_matches(']');
        let mut parts: Vec<&str> = inside.split(", ").collect();
        parts.sort_unstable();
        format!("[{}]", parts.join(", "))
    };
    let row = |row: Vec<String>| row.into_iter().enumerate().map(cell).collect::<Vec<_>>().join("|");
    let mut rows: Vec<String> = rows.into_iter().map(row).collect();
    if query.result.order.is_none() {
        rows.sort();
    }
    rows
}

/// A graph, its database, and what has been found out about them.
struct Trial {
    seed: u64,
    graph: Graph,
    connection: Connection,
    ways: &'static [How],
    // The connection's database, and the folder of its files.
    database: Database,
    _folder: tempfile::TempDir,
}

impl Trial {
    fn new(seed: u64, size: Size, random: &mut Random) -> Trial {
        let graph = Graph::random(random, size);
        let folder = tempfile::tempdir().expect("a folder");
        let builder = Database::builder().threads(2).buffer_pool_size(16 << 20);
        let database = builder.small_load_rows(1).in_memory().expect("a database");
        let connection = database.connect().expect("a connection");
        graph.load(&connection, folder.path());
        Trial { seed, graph, connection, ways: &WAYS, database, _folder: folder }
    }

    /// The graph in a directory, read through a small pool.
    fn pressed(seed: u64, size: Size, random: &mut Random) -> Trial {
        let graph = Graph::random(random, size);
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("db");
        let database = Database::builder().small_load_rows(1).open(&path).expect("a database");
        graph.load(&database.connect().expect("a connection"), folder.path());
        database.close().expect("it closes");
        let database =
            Database::builder().threads(2).buffer_pool_size(8 << 20).open(&path).expect("it opens again");
        let connection = database.connect().expect("a connection");
        Trial { seed, graph, connection, ways: &PRESSED, database, _folder: folder }
    }

    /// The rows that the plain evaluator finds, if it does soon.
    fn expected(&self, query: &Query, dialect: Dialect) -> Option<Vec<String>> {
        let (steps, rows) = if is_long() { (3_000_000, 60_000) } else { (150_000, 4_000) };
        let mut evaluator = Evaluator { graph: &self.graph, dialect, steps, rows, width: 0 };
        let rows = evaluator.run(query).ok()?;
        let rows = rows.iter().map(|row| row.iter().map(|value| show(value, &self.graph)).collect());
        Some(shown(query, rows.collect()))
    }

    fn ask(
        &self,
        query: &Query,
        text: &str,
        dialect: Dialect,
        how: How,
        seed: u64,
    ) -> Result<Vec<String>, Error> {
        self.connection.set_dialect(dialect);
        self.connection.set_threads(how.threads);
        self.connection.set_trial(how.vector_size, how.disturbed.then_some(seed));
        let account = MemoryAccountant::new(PLENTY);
        self.connection.set_trial_memory(Some(account.clone()));
        let mut rows = self.connection.query(text)?.to_values();
        if how.pressed {
            // Rows are handed over as they are found; what operators begin with cannot be put aside.
            let least = BASE + account.stats().operators.peak / 4;
            self.connection.set_trial_memory(Some(MemoryAccountant::new(least)));
            rows = self.connection.stream(text)?.collect_all()?.to_values();
        }
        self.connection.set_trial_memory(None);
        assert_eq!(account.stats().operators.used, 0, "{text} keeps memory");
        Ok(shown(query, rows.iter().map(|row| row.iter().map(show_value).collect()).collect()))
    }

    /// What is wrong about a query's answers; errors of what is not there yet are told by their words.
    fn check(&self, query: &Query, dialect: Dialect, seed: u64) -> Outcome {
        let Some(expected) = self.expected(query, dialect) else { return Outcome::TooLong };
        let mut random = Random::new(seed);
        for how in self.ways.iter().copied() {
            let text = Speller { random: &mut random }.query(query);
            let found = match self.ask(query, &text, dialect, how, seed) {
                Ok(found) => found,
                Err(error) if matches!(error.kind(), ErrorKind::NotSupported | ErrorKind::Binder) => {
                    return Outcome::Refused(format!("{error}\n    {text}"));
                }
                Err(error) if how.pressed && error.kind() == ErrorKind::OutOfMemory => {
                    return Outcome::Short(format!("{error}\n    {text}"));
                }
                Err(error) => vec![format!("{error}")],
            };
            if found != expected {
                return Outcome::Wrong(Box::new(Wrong { text, how, dialect, expected, found }));
            }
        }
        Outcome::Right(expected.len())
    }

    /// The least query that is still wrong.
    fn least(&self, query: Query, wrong: Wrong, seed: u64) -> (Query, Wrong) {
        let (mut query, mut wrong) = (query, wrong);
        let dialect = wrong.dialect;
        'again: for _ in 0..200 {
            for candidate in simpler(&query) {
                for seed in seed..seed + 3 {
                    if let Outcome::Wrong(less) = self.check(&candidate, dialect, seed) {
                        (query, wrong) = (candidate, *less);
                        continue 'again;
                    }
                }
            }
            break;
        }
        (query, wrong)
    }
}

enum Outcome {
    /// With so many rows.
    Right(usize),
    TooLong,
    Refused(String),
    /// An operator has to have more memory.
    Short(String),
    Wrong(Box<Wrong>),
}

#[derive(Debug)]
struct Wrong {
    text: String,
    how: How,
    dialect: Dialect,
    expected: Vec<String>,
    found: Vec<String>,
}

impl Trial {
    fn report(&self, wrong: &Wrong) -> String {
        let short = |rows: &[String]| {
            let more = if rows.len() > 12 { format!("\n  … {} rows", rows.len()) } else { String::new() };
            format!("  {}{more}", rows[..rows.len().min(12)].join("\n  "))
        };
        let plan = self.connection.query(&format!("EXPLAIN {}", wrong.text));
        let plan = plan.map(|plan| plan.to_values().iter().map(|row| format!("{}\n", row[0])).collect());
        format!(
            "seed {}: {}\n{:?} {:?}\nexpected\n{}\nfound\n{}\n{}{}",
            self.seed,
            wrong.text,
            wrong.how,
            wrong.dialect,
            short(&wrong.expected),
            short(&wrong.found),
            plan.unwrap_or_else(|error: Error| error.to_string()),
            if std::env::var_os("QUIRE_SCRIPT").is_some() { self.graph.script() } else { String::new() },
        )
    }
}

const DIALECTS: [Dialect; 2] = [Dialect::OpenCypher, Dialect::Kuzu];

#[derive(Default)]
struct Tally {
    right: usize,
    empty: usize,
    with_rows: usize,
    too_long: usize,
    refused: BTreeMap<String, (usize, String)>,
    short: BTreeMap<String, (usize, String)>,
    wrong: Vec<String>,
    spilled: u64,
    evicted: u64,
}

/// Counts an error by its words.
fn note(errors: &mut BTreeMap<String, (usize, String)>, why: String) {
    let first = why.lines().next().unwrap_or_default();
    let words = first.split_whitespace().filter(|word| !word.contains(|c: char| c.is_ascii_digit()));
    let entry = errors.entry(words.collect::<Vec<_>>().join(" ")).or_default();
    *entry = (entry.0 + 1, why);
}

/// Queries over the graph of a seed.
fn run_seed(seed: u64, queries: usize, size: Size, pressed: bool, tally: &mut Tally) {
    let mut random = Random::new(seed);
    let trial =
        if pressed { Trial::pressed(seed, size, &mut random) } else { Trial::new(seed, size, &mut random) };
    let _held = pressed.then(|| trial.database.set_trial_pool(POOL).expect("room"));
    // By chance several optional matches at one node are rare, so some queries have little else.
    let mut of_optionals = Random::new(!seed);
    for number in 0..queries + queries / 4 {
        let dialect = DIALECTS[number % 2];
        let random = if number < queries { &mut random } else { &mut of_optionals };
        let mut generator = Generator::new(random, size, dialect == Dialect::Kuzu);
        let query = if number < queries { generator.query() } else { generator.counted_optionals() };
        let spelling = random.next();
        match trial.check(&query, dialect, spelling) {
            Outcome::Right(rows) => {
                tally.right += 1;
                tally.with_rows += usize::from(rows > 1);
                tally.empty += usize::from(rows == 0);
            }
            Outcome::TooLong => tally.too_long += 1,
            Outcome::Refused(why) => note(&mut tally.refused, why),
            Outcome::Short(why) => note(&mut tally.short, why),
            Outcome::Wrong(wrong) => {
                let (_, wrong) = trial.least(query, *wrong, spelling);
                tally.wrong.push(trial.report(&wrong));
            }
        }
    }
    tally.spilled += trial.database.storage_stats().expect("figures").bytes_spilled;
    let pool = trial.database.buffer_pool_stats();
    tally.evicted += pool.evictions;
}

fn run_seeds(seeds: impl Iterator<Item = u64>, queries: usize, size: Size, pressed: bool) {
    let mut tally = Tally::default();
    let wrong_most = number_of("QUIRE_WRONG").map_or(1, |number| number as usize);
    for seed in seeds {
        run_seed(seed, queries, size, pressed, &mut tally);
        if tally.wrong.len() >= wrong_most {
            break;
        }
    }
    let refused: usize = tally.refused.values().map(|(count, _)| count).sum();
    println!(
        "{} right ({} of several rows, {} of none), {} too long, {refused} refused",
        tally.right, tally.with_rows, tally.empty, tally.too_long
    );
    for (count, why) in tally.refused.values().chain(tally.short.values()) {
        println!("  {count} × {why}");
    }
    assert!(tally.wrong.is_empty(), "{} wrong\n{}", tally.wrong.len(), tally.wrong.join("\n\n"));
    if pressed {
        println!("  {} bytes were put aside, {} blocks evicted", tally.spilled, tally.evicted);
        assert!(tally.spilled > 0 && tally.evicted > 0);
    }
    let short: usize = tally.short.values().map(|(count, _)| count).sum();
    assert!(short * 20 <= tally.right, "too many need more memory");
    assert!(refused * 10 <= tally.right, "too many refused");
    assert!(tally.with_rows * 8 >= tally.right, "too few have rows");
}

const SMALL: Size = Size { nodes: 5, rels: 10, distinct: 4 };
const LARGER: Size = Size { nodes: 60, rels: 50, distinct: 20 };

#[test]
fn small_graphs() {
    let first = number_of("QUIRE_SEED");
    let count = if is_long() { number_of("QUIRE_SEEDS").unwrap_or(400) } else { 7 };
    let seeds = first.map_or(0..count, |seed| seed..seed + number_of("QUIRE_SEEDS").unwrap_or(1));
    run_seeds(seeds, if is_long() { 120 } else { 24 }, SMALL, false);
}

#[test]
fn larger_graphs() {
    let first = number_of("QUIRE_SEED");
    let count = if is_long() { number_of("QUIRE_SEEDS").unwrap_or(120) } else { 2 };
    let seeds = first.map_or(1000..1000 + count, |seed| seed..seed + number_of("QUIRE_SEEDS").unwrap_or(1));
    run_seeds(seeds, if is_long() { 100 } else { 16 }, LARGER, false);
}

#[test]
fn little_memory() {
    let first = number_of("QUIRE_SEED");
    let count = if is_long() { number_of("QUIRE_SEEDS").unwrap_or(120) } else { 3 };
    let seeds = first.map_or(2000..2000 + count, |seed| seed..seed + number_of("QUIRE_SEEDS").unwrap_or(1));
    run_seeds(seeds, if is_long() { 100 } else { 20 }, LARGER, true);
}
