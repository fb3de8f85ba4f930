//! Commits and recovery. `cargo bench --bench commits`. The aims: a group commit that is at least 20 times one
//! committer with 64 of them on a disk that takes 2 ms for a sync; two buffered writers of disjoint rows at least 1.8
//! times one, or nine tenths of what a hand-written loop gains that only encodes and appends; replay of at least
//! 200 MB/s; a snapshot below 500 ns, at the median and at the 99th percentile.
//!
//! `-- replay oltp` runs what has these names: `strict`, `group`, `buffered`, `memory`, `snapshot`, `replay`,
//! `statements`, `oltp`; a workload's name runs that one. `-- --operations 1000` asks for as many of each workload,
//! `-- --mode Buffered` for one mode.

mod commits {
    pub mod buffered;
    pub mod by_hand;
    pub mod oltp;
}

use std::hint::black_box;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use quiredb::catalog::{NewColumn, NewNodeTable};
use quiredb::storage::backend::{HookedBackend, MemoryBackend, PosixBackend, StorageBackend};
use quiredb::storage::engine::{CommitChanges, DurabilityMode, Engine, EngineOptions};
use quiredb::transaction::{WriteOptions, WriteTransaction};
use quiredb::types::{ColumnId, DataType, TableId};
use quiredb::vector::{ValueVector, Values, VectorBuffer};
use quiredb::{Database, params};

use commits::{buffered, oltp};

/// Files in memory with the syncs of a disk.
fn slow_sync(sync: Duration) -> HookedBackend {
    HookedBackend::new(Arc::new(MemoryBackend::new()), move |_| {
        std::thread::sleep(sync);
        Ok(())
    })
}

struct Accounts {
    engine: Arc<Engine>,
    /// One for each writer that has its own.
    tables: Vec<Table>,
}

#[derive(Clone, Copy)]
struct Table {
    id: TableId,
    columns: [ColumnId; 2],
}

/// Tables of accounts; most of what is measured uses the first.
const TABLES: usize = 8;

fn open(backend: &dyn StorageBackend, durability: DurabilityMode) -> Accounts {
    let options = EngineOptions {
        durability,
        buffer_pool_bytes: 256 << 20,
        checkpoint_threshold: 0,
        ..EngineOptions::default()
    };
    let engine = Engine::open(backend, &options).expect("a database");
    if engine.snapshot().catalog().node_table("Account0").is_none() {
        let turn = engine.begin_write(None).expect("the turn");
        let mut catalog = (**turn.snapshot().catalog()).clone();
        for number in 0..TABLES {
            let table = NewNodeTable {
                name: format!("Account{number}"),
                columns: vec![
                    NewColumn::new("id", DataType::Int64),
                    NewColumn::new("name", DataType::String),
                ],
                primary_key: vec!["id".to_owned()],
                open: false,
            };
            catalog.create_node_table(table).expect("a new name");
        }
        turn.commit(CommitChanges { catalog: Some(catalog), ..CommitChanges::default() }).expect("a commit");
    }
    let snapshot = engine.snapshot();
    let table = |number: usize| {
        let schema = snapshot.catalog().node_table(&format!("Account{number}")).expect("the table");
        Table { id: schema.id, columns: [schema.columns[0].id, schema.columns[1].id] }
    };
    let tables = (0..TABLES).map(table).collect();
    Accounts { engine, tables }
}

impl Accounts {
    fn insert(&self, first: i64, count: usize) {
        self.insert_into(self.tables[0], first, count);
    }

    fn insert_into(&self, table: Table, first: i64, count: usize) {
        let ids: Vec<i64> = (first..).take(count).collect();
        let mut names = VectorBuffer::new(DataType::String);
        ids.iter().for_each(|id| names.push_str(&format!("the name of account {id}")));
        let columns =
            [(table.columns[0], ValueVector::flat(Values::I64(&ids))), (table.columns[1], names.vector())];
        let mut writer =
            WriteTransaction::begin(&self.engine, WriteOptions::default()).expect("a transaction");
        writer.insert_nodes(table.id, &columns, count).expect("new keys");
        writer.commit().expect("a commit");
    }

    /// Gives a row a new name.
    fn rename(&self, row: u64) {
        let mut names = VectorBuffer::new(DataType::String);
        names.push_str(&format!("the new name of account {row}"));
        let mut writer =
            WriteTransaction::begin(&self.engine, WriteOptions::default()).expect("a transaction");
        writer
            .update(self.tables[0].id, self.tables[0].columns[1], &[row], &names.vector())
            .expect("a new value");
        writer.commit().expect("a commit");
    }

    /// Commits per second of `threads` committers, each with a table of its own or all with one.
    fn rate(&self, threads: usize, apart: bool, time: Duration) -> f64 {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        let (count, started) = (AtomicU64::new(0), Instant::now());
        std::thread::scope(|scope| {
            for thread in 0..threads {
                let table = self.tables[if apart { thread % TABLES } else { 0 }];
                let count = &count;
                scope.spawn(move || {
                    while started.elapsed() < time {
                        self.insert_into(table, NEXT.fetch_add(1, Ordering::Relaxed) as i64, 1);
                        count.fetch_add(1, Ordering::Relaxed);
                    }
                });
            }
        });
        count.into_inner() as f64 / started.elapsed().as_secs_f64()
    }
}

pub fn show(what: &str, value: f64, unit: &str) {
    println!("{what:<58} {value:>12.1} {unit}");
}

fn committers(what: &str, backend: &dyn StorageBackend, mode: DurabilityMode, committers: &[usize]) {
    let accounts = open(backend, mode);
    let mut first = None;
    for threads in committers {
        let rate = accounts.rate(*threads, false, Duration::from_millis(1500));
        let times = rate / *first.get_or_insert(rate);
        show(&format!("{what}, {threads} committers ({times:.1} times one)"), rate, "commits/s");
    }
    let stats = accounts.engine.storage_stats().expect("numbers");
    show(&format!("{what}: commits per sync"), stats.commits_per_sync(), "");
}

fn snapshots(accounts: &Accounts) {
    let mut times: Vec<u64> = (0..200_000)
        .map(|_| {
            let started = Instant::now();
            black_box(accounts.engine.snapshot());
            started.elapsed().as_nanos() as u64
        })
        .collect();
    times.sort_unstable();
    show("snapshot, median (with the clock)", times[times.len() / 2] as f64, "ns");
    show("snapshot, 99th percentile (with the clock)", times[times.len() / 100 * 99] as f64, "ns");
}

/// The bytes of a log up to the last that is not zero.
fn written_bytes(folder: &std::path::Path) -> usize {
    let files = std::fs::read_dir(folder).expect("a log").flatten();
    let used = |file: std::fs::DirEntry| {
        let bytes = std::fs::read(file.path()).expect("a segment");
        bytes.iter().rposition(|byte| *byte != 0).map_or(0, |last| last + 1)
    };
    files.map(used).sum()
}

/// Replays the log that `fill` writes.
fn replay(what: &str, folder: &std::path::Path, fill: impl FnOnce(&Accounts)) {
    let backend = PosixBackend::new(folder);
    let accounts = open(&backend, DurabilityMode::Buffered);
    fill(&accounts);
    accounts.engine.flush().expect("a flush");
    // What was reserved and not written is not replayed.
    let bytes = written_bytes(&folder.join("wal")) as f64;
    // The process ends here, as far as the files can tell.
    let copy = tempfile::tempdir().expect("a folder");
    for name in ["data.quire", "wal"] {
        let from = folder.join(name);
        if from.is_dir() {
            std::fs::create_dir(copy.path().join(name)).expect("a folder");
            for file in std::fs::read_dir(from).expect("a folder").flatten() {
                std::fs::copy(file.path(), copy.path().join(name).join(file.file_name())).expect("a copy");
            }
        } else {
            std::fs::copy(&from, copy.path().join(name)).expect("a copy");
        }
    }
    let started = Instant::now();
    let again = open(&PosixBackend::new(copy.path()), DurabilityMode::Buffered);
    let seconds = started.elapsed().as_secs_f64();
    assert_eq!(again.engine.snapshot().version(), accounts.engine.snapshot().version());
    show(&format!("replay of {what}, {:.0} MB", bytes / 1e6), bytes / seconds / 1e6, "MB/s");
}

fn replays(folder: &std::path::Path) {
    replay("rows in commits of 1,000 and of 1", &folder.join("both"), |accounts| {
        (0..1000).for_each(|batch| accounts.insert(batch * 1000, 1000));
        (0..50_000).for_each(|single| accounts.insert(10_000_000 + single, 1));
    });
    replay("rows in commits of 1", &folder.join("rows"), |accounts| {
        (0..200_000).for_each(|single| accounts.insert(single, 1));
    });
    replay("new values in commits of 1", &folder.join("values"), |accounts| {
        accounts.insert(0, 50_000);
        (0..200_000u64).for_each(|step| accounts.rename(step * 7919 % 50_000));
    });
}

/// Prepared statements of one client.
fn statements(mode: DurabilityMode) {
    let folder = tempfile::tempdir().expect("a folder");
    let database = Database::builder().durability(mode).open(folder.path().join("db")).expect("a database");
    let connection = database.connect().expect("a connection");
    connection.query("CREATE NODE TABLE A(id INT64 PRIMARY KEY, n INT64)").expect("a table");
    connection.query("CREATE REL TABLE R(FROM A TO A, n INT64)").expect("a table");
    let mut nodes = 1;
    let mut timed = |name: &str, text: &str| {
        let statement = connection.prepare(text).expect("a statement");
        let (started, mut count) = (Instant::now(), 0i64);
        while started.elapsed() < Duration::from_secs(1) {
            statement.execute_with(params! { id: count, other: count % nodes }).expect("a result");
            count += 1;
        }
        show(&format!("{mode:?}, statement {name}"), count as f64 / started.elapsed().as_secs_f64(), "/s");
        // The first one makes the nodes that the others meet.
        nodes = if nodes == 1 { count } else { nodes };
    };
    timed("CREATE a node", "CREATE (:A {id: $id, n: $other})");
    timed("SET by key", "MATCH (a:A {id: $other}) SET a.n = $id");
    timed("MERGE by key", "MERGE (a:A {id: $other}) ON MATCH SET a.n = $id");
    timed(
        "CREATE a relationship by keys",
        "MATCH (a:A {id: $other}), (b:A {id: 0}) CREATE (a)-[:R {n: $id}]->(b)",
    );
    timed("MATCH by key", "MATCH (a:A {id: $other}) RETURN a.n");
}

/// What the arguments ask for.
struct Wanted {
    words: Vec<String>,
    operations: Option<u64>,
    modes: Vec<DurabilityMode>,
}

impl Wanted {
    fn of_arguments() -> Wanted {
        let all = [DurabilityMode::Strict, DurabilityMode::Buffered, DurabilityMode::InMemory];
        let mut wanted = Wanted { words: Vec::new(), operations: None, modes: all.to_vec() };
        let mut arguments = std::env::args().skip(1);
        while let Some(argument) = arguments.next() {
            match argument.as_str() {
                "--operations" => {
                    wanted.operations = arguments.next().and_then(|number| number.parse().ok());
                }
                "--mode" => {
                    let name = arguments.next().unwrap_or_default();
                    wanted.modes.retain(|mode| format!("{mode:?}").eq_ignore_ascii_case(&name));
                }
                word if word.starts_with("--") => {}
                word => wanted.words.push(word.to_owned()),
            }
        }
        wanted
    }

    fn has(&self, name: &str) -> bool {
        self.words.is_empty() || self.words.iter().any(|word| word == name)
    }
}

fn main() {
    let wanted = Wanted::of_arguments();
    let folder = tempfile::tempdir().expect("a folder");
    let at = |name: &str| PosixBackend::new(folder.path().join(name));
    if wanted.has("strict") {
        committers("Strict, this disk", &at("strict"), DurabilityMode::Strict, &[1, 8, 64]);
    }
    if wanted.has("group") {
        let slow = slow_sync(Duration::from_millis(2));
        committers("Strict, 2 ms for a sync", &slow, DurabilityMode::Strict, &[1, 8, 64]);
    }
    if wanted.has("buffered") {
        let words: Vec<String> = wanted.words.iter().filter(|word| *word != "buffered").cloned().collect();
        buffered::run(folder.path(), &words);
    }
    if wanted.has("memory") {
        committers("InMemory", &at("memory"), DurabilityMode::InMemory, &[1, 2, 8]);
    }
    if wanted.has("snapshot") {
        snapshots(&open(&at("memory2"), DurabilityMode::InMemory));
    }
    if wanted.has("replay") {
        replays(&folder.path().join("replay"));
    }
    for mode in &wanted.modes {
        if wanted.has("statements") {
            statements(*mode);
        }
        let all = wanted.has("oltp");
        let words = if all { &[][..] } else { &wanted.words };
        if all || oltp::names().any(|name| wanted.has(name)) {
            oltp::run(*mode, words, wanted.operations);
        }
    }
}
