//! What a second writer gains in `Buffered` mode: by single rows and by larger transactions, at the engine and through
//! the public interface, each beside a hand-written loop that only encodes as many rows and appends them to a file.

use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use quiredb::storage::backend::PosixBackend;
use quiredb::storage::engine::DurabilityMode;
use quiredb::{Database, params};

use super::by_hand;
use crate::{Accounts, TABLES, open, show};

/// Threads that write at once.
const WRITERS: [usize; 3] = [1, 2, 8];
/// Asks for one of these numbers, for a profile of it alone.
const ONLY: &str = "QUIRE_WRITERS";
/// How often all is measured, in turns; the best of each counts, since whatever else the machine does only takes away.
const TURNS: usize = 8;
const TIME: Duration = Duration::from_millis(400);
/// The gain that is asked for, beside that of the loop.
const SHARE_OF_BY_HAND: f64 = 0.9;
const GAIN: f64 = 1.8;

/// What is measured: its name, the loop by hand that it stands beside, and its rate by number of threads.
struct Line<'f> {
    name: &'static str,
    rows: usize,
    rate: Box<dyn Fn(usize) -> f64 + 'f>,
}

/// Transactions per second of so many threads. Each begins with its number, and calls `run` with the first of so many
/// numbers that no row had before.
fn rate<S>(
    threads: usize,
    rows: usize,
    begin: impl Fn(usize) -> S + Sync,
    run: impl Fn(&mut S, i64) + Sync,
) -> f64 {
    static NEXT: AtomicU64 = AtomicU64::new(0);
    let (count, started) = (AtomicU64::new(0), Instant::now());
    std::thread::scope(|scope| {
        for thread in 0..threads {
            let (begin, run, count) = (&begin, &run, &count);
            scope.spawn(move || {
                let (mut own, mut done) = (begin(thread), 0);
                while started.elapsed() < TIME {
                    run(&mut own, NEXT.fetch_add(rows as u64, Ordering::Relaxed) as i64);
                    done += 1;
                }
                count.fetch_add(done, Ordering::Relaxed);
            });
        }
    });
    count.into_inner() as f64 / started.elapsed().as_secs_f64()
}

fn engine_rate(accounts: &Accounts, threads: usize, apart: bool, rows: usize) -> f64 {
    let table = |thread: usize| accounts.tables[if apart { thread % TABLES } else { 0 }];
    rate(threads, rows, table, |table, first| accounts.insert_into(*table, first, rows))
}

/// What a user does: a connection for each thread, and a prepared statement that makes a node of a table of its own.
fn statement_rate(database: &Database, threads: usize) -> f64 {
    let prepared = |thread: usize| {
        let connection = database.connect().expect("a connection");
        let text = format!("CREATE (:Account{} {{id: $id, name: $name}})", thread % TABLES);
        connection.prepare(&text).expect("a statement")
    };
    rate(threads, 1, prepared, |statement, number| {
        let name = format!("the name of account {number}");
        statement.execute_with(params! { id: number, name: name }).expect("a result");
    })
}

fn database(folder: &Path) -> Database {
    let builder = Database::builder().durability(DurabilityMode::Buffered);
    let database = builder.open(folder.join("statements")).expect("a database");
    let connection = database.connect().expect("a connection");
    for number in 0..TABLES {
        let text = format!("CREATE NODE TABLE Account{number}(id INT64 PRIMARY KEY, name STRING)");
        connection.query(&text).expect("a table");
    }
    database
}

/// Measures the lines whose names have one of the words in them; all without any.
pub fn run(folder: &Path, words: &[String]) {
    let opened = |name: &str| open(&PosixBackend::new(folder.join(name)), DurabilityMode::Buffered);
    let (accounts, other, database) = (opened("buffered"), opened("other"), database(folder));
    let by_hand = by_hand::Appender::create(folder);
    let by_hand_of = |rows: usize| {
        let by_hand = &by_hand;
        Box::new(move |threads: usize| by_hand.rate(threads, rows, TIME))
    };
    let engine = |apart: bool, rows: usize| {
        let accounts = &accounts;
        Box::new(move |threads: usize| engine_rate(accounts, threads, apart, rows))
    };
    let databases = |threads: usize| {
        let of = |thread: usize| if thread.is_multiple_of(2) { &accounts } else { &other };
        rate(threads, 1, of, |accounts, number| accounts.insert_into(accounts.tables[0], number, 1))
    };
    let lines = [
        Line { name: "by hand, 1 row", rows: 1, rate: by_hand_of(1) },
        Line { name: "by hand, 10 rows", rows: 10, rate: by_hand_of(10) },
        Line { name: "by hand, 100 rows", rows: 100, rate: by_hand_of(100) },
        Line { name: "engine, a table each, 1 row", rows: 1, rate: engine(true, 1) },
        Line { name: "engine, one table, 1 row", rows: 1, rate: engine(false, 1) },
        Line { name: "engine, a table each, 10 rows", rows: 10, rate: engine(true, 10) },
        Line { name: "engine, a table each, 100 rows", rows: 100, rate: engine(true, 100) },
        Line { name: "engine, two databases, 1 row", rows: 1, rate: Box::new(databases) },
        Line {
            name: "statement, a table each, 1 row",
            rows: 1,
            rate: Box::new(|threads| statement_rate(&database, threads)),
        },
    ];
    let is_wanted = |line: &&Line<'_>| {
        words.is_empty()
            || line.name.starts_with("by hand")
            || words.iter().any(|word| line.name.contains(&**word))
    };
    let lines: Vec<&Line<'_>> = lines.iter().filter(is_wanted).collect();
    let mut best = vec![[0f64; WRITERS.len()]; lines.len()];
    let only: Option<usize> = std::env::var(ONLY).ok().and_then(|number| number.parse().ok());
    for _ in 0..TURNS {
        for (line, best) in lines.iter().zip(&mut best) {
            let writers = WRITERS.iter().zip(best.iter_mut());
            for (threads, best) in writers.filter(|(threads, _)| only.is_none_or(|only| only == **threads)) {
                *best = best.max((line.rate)(*threads));
            }
        }
    }
    for (line, rates) in lines.iter().zip(&best) {
        let beside = lines.iter().zip(&best).find(|(other, _)| other.rows == line.rows);
        let asked = beside.map_or(GAIN, |(_, rates)| GAIN.min(SHARE_OF_BY_HAND * rates[1] / rates[0]));
        let gain = rates[1] / rates[0];
        let verdict = match line.name.starts_with("by hand") {
            true => "",
            false if gain >= asked => ", pass",
            false => ", missed",
        };
        let shown = WRITERS.iter().zip(rates).map(|(threads, rate)| format!("{threads}: {rate:.0}"));
        let shown: Vec<String> = shown.collect();
        println!(
            "Buffered, {:<32} {:<38} gain {gain:.2} of {asked:.2}{verdict}",
            line.name,
            shown.join("  ")
        );
    }
    let stats = accounts.engine.storage_stats().expect("numbers");
    let merges = stats.level_merges.max(1) as f64;
    show("Buffered: commits of the first database by merge of its level", stats.commits as f64 / merges, "");
}
