//! Registers that many sessions read and write, in transactions and in statements of their own, beside checkpoints and
//! definitions.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering};
use std::time::Duration;

use quiredb::storage::backend::SimulatedBackend;
use quiredb::{Connection, Database, DurabilityMode, ErrorKind, QueryResult, Statement, params};

use crate::checker::{Event, Key, Seen, Transaction, check};
use crate::support::is_long;
use crate::support::random::Random;

#[derive(Debug, Clone, Copy)]
struct Load {
    sessions: u64,
    /// Transactions of each.
    rounds: u64,
    registers: u64,
    /// Of a hundred transactions.
    writing: u64,
    /// None: in memory, without a log.
    durability: Option<DurabilityMode>,
}

/// What all sessions share.
struct Shared {
    load: Load,
    clock: AtomicU64,
    values: AtomicI64,
    done: AtomicBool,
}

impl Shared {
    fn tick(&self) -> u64 {
        self.clock.fetch_add(1, Ordering::SeqCst)
    }
}

struct Session<'s> {
    shared: &'s Shared,
    connection: &'s Connection,
    read: Statement,
    write: Statement,
    random: Random,
    history: Vec<Transaction>,
}

fn seen(result: &QueryResult) -> Vec<(Key, Seen)> {
    let rows = result.rows();
    rows.map(|row| (row.get(0).unwrap(), (row.get(1).unwrap(), row.get(2).unwrap()))).collect()
}

impl<'s> Session<'s> {
    fn new(shared: &'s Shared, connection: &'s Connection, seed: u64) -> Session<'s> {
        let prepare = |text: &str| connection.prepare(text).unwrap();
        Session {
            shared,
            connection,
            read: prepare(
                "UNWIND [$a, $b] AS id MATCH (r:Register {id: id}) RETURN r.id, r.version, r.value",
            ),
            write: prepare(
                "UNWIND [$a, $b] AS id MATCH (r:Register {id: id}) SET r.version = r.version + 1, r.value = $value \
                 RETURN r.id, r.version, r.value",
            ),
            random: Random::new(seed),
            history: Vec::new(),
        }
    }

    /// Two registers, each once.
    fn pair(&mut self) -> (i64, i64) {
        let count = self.shared.load.registers;
        let first = self.random.below(count);
        (first as i64, ((first + 1 + self.random.below(count - 1)) % count) as i64)
    }

    fn run(&mut self) {
        for _ in 0..self.shared.load.rounds {
            let writes = self.random.below(100) < self.shared.load.writing;
            let alone = self.random.one_in(2);
            // What was refused is tried again until it is in.
            while !self.transaction(writes, alone) {}
        }
    }

    /// Whether it committed.
    fn transaction(&mut self, writes: bool, alone: bool) -> bool {
        let begun = self.shared.tick();
        let mut events = Vec::new();
        let outcome = match alone {
            true => self.statement(writes, &mut events),
            false => self.statements(writes, &mut events),
        };
        let committed = match outcome {
            Ok(committed) => committed,
            Err(error) => {
                assert_eq!(error.kind(), ErrorKind::Conflict, "{error}");
                assert!(error.is_retryable());
                false
            }
        };
        self.history.push(Transaction { begun, ended: self.shared.tick(), committed, events });
        committed || !writes
    }

    fn statements(&mut self, writes: bool, events: &mut Vec<Event>) -> quiredb::Result<bool> {
        let transaction = match writes || self.random.one_in(2) {
            true => self.connection.begin()?,
            false => self.connection.begin_read_only()?,
        };
        for _ in 0..2 + self.random.below(3) {
            let writes = writes && self.random.one_in(2);
            if !writes && self.random.one_in(6) {
                let all = transaction.query("MATCH (r:Register) RETURN r.id, r.version, r.value")?;
                assert_eq!(all.len() as u64, self.shared.load.registers);
                events.extend(seen(&all).into_iter().map(|(key, seen)| Event::Read(key, seen)));
            } else {
                self.statement(writes, events)?;
            }
        }
        if self.random.one_in(8) {
            transaction.rollback()?;
            return Ok(false);
        }
        transaction.commit()?;
        Ok(true)
    }

    fn statement(&mut self, writes: bool, events: &mut Vec<Event>) -> quiredb::Result<bool> {
        let (a, b) = self.pair();
        let rows = match writes {
            true => {
                let value = self.shared.values.fetch_add(1, Ordering::Relaxed);
                self.write.execute_with(params! { a: a, b: b, value: value })?
            }
            false => self.read.execute_with(params! { a: a, b: b })?,
        };
        let rows = seen(&rows);
        assert_eq!(rows.len(), 2);
        let event = |(key, seen)| if writes { Event::Write(key, seen) } else { Event::Read(key, seen) };
        events.extend(rows.into_iter().map(event));
        Ok(true)
    }
}

fn open(durability: Option<DurabilityMode>, seed: u64) -> Database {
    let builder = Database::builder().threads(1).buffer_pool_size(16 << 20).checkpoint_threshold(200_000);
    let builder = builder.lock_timeout(Duration::from_secs(120)).small_load_rows(seed % 2 * 100);
    match durability {
        None => builder.in_memory().unwrap(),
        Some(mode) => {
            let backend = Arc::new(SimulatedBackend::new(seed));
            builder.durability(mode).backend(backend).open("unused").unwrap()
        }
    }
}

fn run(load: Load, seed: u64) {
    println!("{load:?}, seed {seed}");
    let database = open(load.durability, seed);
    let connection = database.connect().unwrap();
    connection.query("CREATE NODE TABLE Register(id INT64 PRIMARY KEY, version INT64, value INT64)").unwrap();
    let make = "UNWIND range(0, $last) AS id CREATE (:Register {id: id, version: 0, value: 0})";
    connection.query_with(make, params! { last: load.registers as i64 - 1 }).unwrap();
    let shared =
        Shared { load, clock: AtomicU64::new(0), values: AtomicI64::new(1), done: AtomicBool::new(false) };
    let history: Vec<Transaction> = std::thread::scope(|scope| {
        let (shared, database) = (&shared, &database);
        let sessions: Vec<_> = (0..load.sessions)
            .map(|session| {
                scope.spawn(move || {
                    let connection = database.connect().unwrap();
                    let mut session = Session::new(shared, &connection, seed * 1000 + session);
                    session.run();
                    session.history
                })
            })
            .collect();
        let disturbing = scope.spawn(move || disturb(shared, database));
        let all = sessions.into_iter().flat_map(|session| session.join().unwrap()).collect();
        shared.done.store(true, Ordering::Relaxed);
        disturbing.join().unwrap();
        all
    });
    let last = seen(&connection.query("MATCH (r:Register) RETURN r.id, r.version, r.value").unwrap());
    let last: BTreeMap<Key, Seen> = last.into_iter().collect();
    let committed = history.iter().filter(|one| one.committed).count();
    println!("{} transactions, {committed} committed", history.len());
    assert!(committed as u64 >= load.sessions * load.rounds / 2);
    check(&history, &last).unwrap_or_else(|error| panic!("{load:?}, seed {seed}: {error}"));
    assert_eq!(database.storage_stats().unwrap().open_transactions, 0);
    assert!(database.check().unwrap().is_sound());
}

/// Checkpoints, and definitions and loads of other tables, which nobody should notice.
fn disturb(shared: &Shared, database: &Database) {
    let connection = database.connect().unwrap();
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("t.csv");
    let lines: String = (0..40).map(|id| format!("{id}\n")).collect();
    std::fs::write(&file, lines).unwrap();
    for round in 0.. {
        if shared.done.load(Ordering::Relaxed) {
            return;
        }
        match round % 3 {
            2 => {
                let script = format!(
                    "BEGIN TRANSACTION; CREATE NODE TABLE T{round}(id INT64 PRIMARY KEY); COPY T{round} FROM '{}'; COMMIT",
                    file.display()
                );
                connection.query(&script).unwrap();
                connection.query(&format!("DROP TABLE T{round}")).unwrap();
            }
            _ => database.checkpoint().unwrap(),
        }
        std::thread::sleep(Duration::from_millis(20));
    }
}

fn seeds() -> std::ops::Range<u64> {
    match crate::support::number_of("QUIRE_SEED") {
        Some(seed) => seed..seed + 1,
        None => 0..if is_long() { 10 } else { 1 },
    }
}

#[test]
fn ten_sessions_that_write_much() {
    let rounds = if is_long() { 1000 } else { 100 };
    for seed in seeds() {
        let load = Load { sessions: 10, rounds, registers: 12, writing: 50, durability: None };
        run(Load { durability: Some(DurabilityMode::Strict), ..load }, seed);
        if is_long() {
            run(load, seed);
        }
    }
}

#[test]
fn ten_sessions_that_read_much() {
    let rounds = if is_long() { 2000 } else { 100 };
    for seed in seeds() {
        let durability = Some(DurabilityMode::Buffered);
        run(Load { sessions: 10, rounds, registers: 8, writing: 5, durability }, seed);
    }
}

#[test]
fn a_hundred_sessions() {
    let rounds = if is_long() { 1000 } else { 6 };
    let load = Load { sessions: 100, rounds, registers: 400, writing: 100, durability: None };
    run(load, 7);
    if is_long() {
        run(Load { durability: Some(DurabilityMode::Strict), ..load }, 8);
        run(Load { writing: 5, registers: 50, ..load }, 9);
    }
}
