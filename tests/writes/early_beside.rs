//! Large transactions of several sessions at once, in a database with little memory: loads, definitions, savepoints of
//! statements that fail, rollbacks and checkpoints among them. Each session keeps to its own keys, in tables of its own
//! and in tables of all, so what it commits must come out as in a database of its own with plenty of memory.

use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use quiredb::{Connection, Database, DatabaseBuilder, DurabilityMode, Error, ErrorKind};
use tempfile::TempDir;

use super::support::random::Random;
use super::support::{is_long, number_of, rows, sound};

/// Keys of one session.
const SPAN: u64 = 1_000_000;

fn builder(memory: u64) -> DatabaseBuilder {
    Database::builder().threads(2).buffer_pool_size(16 << 20).memory_limit(memory)
}

fn schema(sessions: u64) -> String {
    let mut text =
        "CREATE NODE TABLE P(id INT64 PRIMARY KEY, name STRING, n INT64, s SERIAL, u STRING UNIQUE); \
         CREATE REL TABLE K(FROM P TO P, w INT64);"
            .to_owned();
    for session in 0..sessions {
        text += &format!(
            "CREATE NODE TABLE A{session}(id INT64 PRIMARY KEY, name STRING, n INT64, s SERIAL, u STRING UNIQUE); \
             CREATE REL TABLE E{session}(FROM A{session} TO A{session}, w INT64); \
             CREATE REL TABLE X{session}(FROM A{session} TO P, w INT64);"
        );
    }
    text
}

/// What one session does, and where it is.
struct Session {
    number: u64,
    random: Random,
    /// Keys below were given, from the first of the session on.
    next: u64,
    definitions: u64,
}

impl Session {
    fn first(&self) -> u64 {
        self.number * SPAN
    }

    fn below(&mut self, bound: u64) -> u64 {
        self.random.below(bound)
    }

    /// Tables of nodes and of relationships between them.
    fn tables(&mut self) -> (String, String) {
        match self.below(3) {
            0 => ("P".to_owned(), "K".to_owned()),
            _ => (format!("A{}", self.number), format!("E{}", self.number)),
        }
    }

    fn statement(&mut self, folder: &Path) -> String {
        let (nodes, rels) = self.tables();
        let (first, next, count) = (self.first(), self.next, 200 + self.below(1500));
        let end = first + SPAN;
        let (a, b) = (self.below(7) + 2, self.below(1000));
        let range = format!("p.id >= {first} AND p.id < {end}");
        match self.below(17) {
            0..3 => {
                self.next += count;
                format!(
                    "UNWIND range({next}, {}) AS i CREATE (:{nodes} {{id: i, name: 'made ' + toString(i), n: i % 10, \
                     u: 'u' + toString(i)}})",
                    next + count - 1
                )
            }
            3..6 => format!(
                "MATCH (p:{nodes}) WHERE {range} AND p.id + 3000 >= {next} UNWIND range(1, {a}) AS i \
                 WITH p, i, {first} + (p.id * 31 + i * 17 + {b}) % {} AS to \
                 MATCH (q:{nodes} {{id: to}}) CREATE (p)-[:{rels} {{w: i}}]->(q)",
                (next - first).max(1)
            ),
            6 => format!(
                "MATCH (p:A{s}) WHERE p.id % {a} = 0 MATCH (q:P {{id: p.id + {b}}}) CREATE (p)-[:X{s} {{w: {b}}}]->(q)",
                s = self.number
            ),
            7 | 8 => format!(
                "MATCH (p:{nodes}) WHERE {range} SET p.name = 'named {b} ' + toString(p.id), p.n = p.n + 1"
            ),
            9 => format!("MATCH (p:{nodes})-[k:{rels}]->() WHERE {range} SET k.w = k.w + {b}"),
            10 => {
                format!("MATCH (p:{nodes})-[k:{rels}]->() WHERE {range} AND (p.id + k.w) % {a} = 0 DELETE k")
            }
            11 => format!("MATCH (p:{nodes}) WHERE {range} AND (p.id + {b}) % {a} = 0 DETACH DELETE p"),
            12 | 15 | 16 => match self.below(4) {
                // Fails after much work, and takes its own back.
                0 | 3 => format!(
                    "MATCH (p:{nodes}) WHERE {range} WITH p ORDER BY p.id SET p.name = 'a long name that nobody will ever see, as the statement fails, of ' + toString(p.id), \
                     p.n = 100 / (p.id - {})",
                    next.saturating_sub(3)
                ),
                // Keys of rows that may be gone come again.
                1 => format!(
                    "UNWIND range({}, {}) AS i MERGE (p:{nodes} {{id: i}}) ON CREATE SET p.name = 'again', p.n = 1, \
                     p.u = 'u' + toString(i) ON MATCH SET p.n = 5",
                    next.saturating_sub(count).max(first),
                    next.saturating_sub(1).max(first)
                ),
                // Keys that others of the session may have.
                _ => format!(
                    "MATCH (p:{nodes}) WHERE {range} AND p.id % {a} = 1 SET p.id = p.id + 1, p.u = NULL"
                ),
            },
            13 => {
                self.next += count;
                let text: String =
                    (next..next + count).map(|id| format!("{id},loaded {id},{}\n", id % 7)).collect();
                let path = folder.join(format!("load {} {next}.csv", self.number));
                std::fs::write(&path, text).unwrap();
                format!("COPY {nodes}(id, name, n) FROM '{}'", path.display())
            }
            _ => {
                let name = format!("D{}_{}", self.number, self.definitions);
                self.definitions += 1;
                let gone = if self.random.one_in(2) { format!("; DROP TABLE {name}") } else { String::new() };
                format!(
                    "CREATE NODE TABLE {name}(id INT64 PRIMARY KEY, name STRING); \
                     UNWIND range(1, {}) AS i CREATE (:{name} {{id: i, name: 'defined ' + toString(i)}}){gone}",
                    count * 3
                )
            }
        }
    }

    /// What the session sees of its own.
    fn looks(&self) -> Vec<String> {
        let (s, first, end) = (self.number, self.first(), self.first() + SPAN);
        let mut looks = Vec::new();
        for (nodes, rels) in [("P".to_owned(), "K".to_owned()), (format!("A{s}"), format!("E{s}"))] {
            let range = format!("p.id >= {first} AND p.id < {end}");
            looks.push(format!(
                "MATCH (p:{nodes}) WHERE {range} RETURN count(*), sum(p.id), sum(p.n), min(p.name), max(p.name), \
                 count(DISTINCT p.s), count(DISTINCT p.u)"
            ));
            looks.push(format!(
                "MATCH (p:{nodes})-[k:{rels}]->(q:{nodes}) WHERE {range} RETURN count(*), sum(k.w), \
                 sum(p.id * 3 + q.id), sum(q.n)"
            ));
            looks.push(format!(
                "MATCH (q:{nodes})<-[k:{rels}]-(p:{nodes}) WHERE {range} AND q.id % 10 = 3 RETURN count(*), sum(k.w), \
                 sum(p.id), sum(q.id)"
            ));
            looks.push(format!(
                "UNWIND range({first}, {}, 97) AS i MATCH (p:{nodes} {{id: i}}) RETURN count(*), sum(p.n), min(p.name)",
                self.next.min(first + 100_000)
            ));
        }
        looks.push(format!("MATCH (p:A{s})-[k:X{s}]->(q:P) RETURN count(*), sum(p.id), sum(q.id), sum(k.w)"));
        looks
    }

    fn see(&self, connection: &Connection) -> Vec<Vec<String>> {
        self.looks().iter().map(|look| rows(connection, look)).collect()
    }
}

/// What became of a transaction.
enum Outcome {
    /// Committed, with what each statement said.
    Done(Vec<Result<(), ErrorKind>>),
    RolledBack,
    Again,
    /// It needs more memory than there is, because others are where it is.
    TooLarge,
}

fn transact(connection: &Connection, statements: &[String], commit: bool) -> Outcome {
    let refused = |error: &Error| match error.kind() {
        ErrorKind::Conflict | ErrorKind::Unavailable => Some(Outcome::Again),
        ErrorKind::OutOfMemory => Some(Outcome::TooLarge),
        _ => None,
    };
    connection.query("BEGIN TRANSACTION").unwrap();
    let mut said = Vec::new();
    for statement in statements {
        match connection.query(statement) {
            Ok(_) => said.push(Ok(())),
            Err(error) => match refused(&error) {
                Some(outcome) => {
                    let _ = connection.query("ROLLBACK");
                    return outcome;
                }
                None => {
                    let expected = [ErrorKind::Runtime, ErrorKind::Constraint];
                    assert!(expected.contains(&error.kind()), "{statement}: {error}");
                    said.push(Err(error.kind()));
                }
            },
        }
    }
    if !commit {
        connection.query("ROLLBACK").unwrap();
        return Outcome::RolledBack;
    }
    match connection.query("COMMIT") {
        Ok(_) => Outcome::Done(said),
        Err(error) => refused(&error).unwrap_or_else(|| panic!("commit: {error}")),
    }
}

/// One session's life. Gives its state, the database that it compared with, and how many transactions were committed.
fn live(
    database: &Database,
    sessions: u64,
    number: u64,
    seed: u64,
    rounds: u64,
    folder: &Path,
) -> (Session, Database, u64) {
    let first = number * SPAN;
    let mut session =
        Session { number, random: Random::new(seed * 31 + number), next: first, definitions: 0 };
    let plenty = builder(1 << 30).in_memory().unwrap();
    let (small, known) = (database.connect().unwrap(), plenty.connect().unwrap());
    known.query(&schema(sessions)).unwrap();
    let mut committed = 0;
    for round in 0..rounds {
        let count = 1 + session.below(6);
        let statements: Vec<String> = (0..count).map(|_| session.statement(folder)).collect();
        let commit = !session.random.one_in(6);
        for _ in 0..20 {
            match transact(&small, &statements, commit) {
                Outcome::Done(said) => {
                    let Outcome::Done(expected) = transact(&known, &statements, true) else {
                        panic!("alone it always comes to its end")
                    };
                    assert_eq!(
                        said, expected,
                        "session {number}, round {round} of seed {seed}: {statements:#?}"
                    );
                    committed += 1;
                    break;
                }
                Outcome::RolledBack | Outcome::TooLarge => break,
                Outcome::Again => std::thread::sleep(Duration::from_millis(session.below(20))),
            }
        }
        let what = || format!("session {number}, round {round} of seed {seed}: {statements:#?}");
        let (seen, expected) = (session.see(&small), session.see(&known));
        assert_eq!(seen, expected, "{}", what());
    }
    (session, plenty, committed)
}

fn copy_of(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let (entry, target) = (entry.unwrap(), to.to_owned());
        match entry.file_type().unwrap().is_dir() {
            true => copy_of(&entry.path(), &target.join(entry.file_name())),
            false => drop(std::fs::copy(entry.path(), target.join(entry.file_name())).unwrap()),
        }
    }
}

fn check(seed: u64, durability: DurabilityMode, memory: u64, sessions: u64, rounds: u64) {
    let folder = TempDir::new().unwrap();
    let open = |name: &str| {
        let builder = builder(memory).durability(durability).small_load_rows(900);
        builder.lock_timeout(Duration::from_secs(5)).open(folder.path().join(name)).unwrap()
    };
    let database = open("database");
    database.connect().unwrap().query(&schema(sessions)).unwrap();
    let done = AtomicBool::new(false);
    let lives: Vec<(Session, Database, u64)> = std::thread::scope(|scope| {
        let checkpoints = scope.spawn(|| {
            while !done.load(Ordering::Relaxed) {
                database.checkpoint().unwrap();
                std::thread::sleep(Duration::from_millis(100));
            }
        });
        let (database, folder) = (&database, folder.path());
        let threads: Vec<_> = (0..sessions)
            .map(|number| scope.spawn(move || live(database, sessions, number, seed, rounds, folder)))
            .collect();
        let lives: Vec<_> = threads.into_iter().map(|thread| thread.join()).collect();
        done.store(true, Ordering::Relaxed);
        checkpoints.join().unwrap();
        lives.into_iter().map(|life| life.unwrap()).collect()
    });
    let stats = database.storage_stats().unwrap();
    println!(
        "seed {seed}: {} committed, {} groups early, {} checkpoints, {:?}",
        lives.iter().map(|life| life.2).sum::<u64>(),
        stats.groups_written_early,
        stats.checkpoints,
        stats.memory.layers
    );
    assert_eq!(stats.reserved_pages, 0);
    assert!(stats.groups_written_early > 0);
    sound(&database);
    let expected: Vec<_> =
        lives.iter().map(|(session, plenty, _)| session.see(&plenty.connect().unwrap())).collect();
    let see = |database: &Database| -> Vec<_> {
        let connection = database.connect().unwrap();
        lives.iter().map(|(session, ..)| session.see(&connection)).collect()
    };
    assert!(see(&database) == expected, "seed {seed}");
    // As the process would leave it, were it killed now.
    database.flush().unwrap();
    if durability != DurabilityMode::InMemory {
        copy_of(&folder.path().join("database"), &folder.path().join("killed"));
        let reader = builder(memory).read_only(true).open(folder.path().join("killed")).unwrap();
        assert!(see(&reader) == expected, "seed {seed}, read only, after a kill");
        drop(reader);
        let killed = open("killed");
        assert!(see(&killed) == expected, "seed {seed} after a kill");
        sound(&killed);
    }
    database.checkpoint().unwrap();
    assert!(see(&database) == expected, "seed {seed} after a checkpoint");
    sound(&database);
    database.close().unwrap();
    let again = open("database");
    assert!(see(&again) == expected, "seed {seed} opened again");
    sound(&again);
}

#[test]
fn sessions_with_large_transactions_do_not_disturb_each_other() {
    if let Some(seed) = number_of("QUIRE_SEED") {
        let modes = [DurabilityMode::Buffered, DurabilityMode::Strict, DurabilityMode::InMemory];
        let memory = if seed % 2 == 0 { 2 << 20 } else { 3 << 20 };
        return check(seed, modes[(seed % 3) as usize], memory, 1 + seed % 4, 12);
    }
    check(1, DurabilityMode::Buffered, 2 << 20, 2, if is_long() { 60 } else { 8 });
}
