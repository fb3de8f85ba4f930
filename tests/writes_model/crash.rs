//! Several clients write, each into its own part of the key space, until the power goes. What was acknowledged is
//! there; what was under way is there whole or not at all.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use quiredb::storage::backend::SimulatedBackend;
use quiredb::{Connection, Database, DurabilityMode, Error};

use crate::graph::{DEFINITIONS, Graph, contents};
use crate::operation::{Operation, Space, load};
use crate::support::random::Random;
use crate::support::{is_long, sound};
use crate::{Seed, seeds};

const CLIENTS: usize = 3;

fn space(client: usize) -> Space {
    Space { first: client as i64 * 10_000_000, keys: 15 }
}

/// How commits are kept, and how many rows a load has that writes pages.
type Mode = (DurabilityMode, u64);

fn open(disk: &SimulatedBackend, (mode, rows): Mode) -> Result<Database, Error> {
    let builder =
        Database::builder().threads(1).buffer_pool_size(8 << 20).durability(mode).small_load_rows(rows);
    builder.backend(Arc::new(disk.clone())).open("unused")
}

/// What a client knows: the graph after each of its transactions, and how many were acknowledged.
struct History {
    versions: Vec<Graph>,
    acknowledged: usize,
    /// What was sent, for messages.
    texts: Vec<String>,
}

#[test]
fn what_was_acknowledged_is_there_after_a_crash() {
    let (crashes, acknowledged) = (AtomicU64::new(0), AtomicU64::new(0));
    let threads = if is_long() { 2 } else { 1 };
    let seeds = seeds(2500, 25);
    let next = AtomicU64::new(seeds.start);
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                loop {
                    let seed = next.fetch_add(1, Ordering::Relaxed);
                    if seed >= seeds.end {
                        return;
                    }
                    let _named = Seed(seed, "crash");
                    crashes.fetch_add(crashes_of(seed, &acknowledged), Ordering::Relaxed);
                }
            });
        }
    });
    let (crashes, acknowledged) = (crashes.into_inner(), acknowledged.into_inner());
    println!("{crashes} crashes, {acknowledged} transactions acknowledged before them");
    assert!(acknowledged > crashes, "the clients hardly worked");
}

fn crashes_of(seed: u64, acknowledged: &AtomicU64) -> u64 {
    let mut random = Random::new(seed);
    let strict = !random.one_in(4);
    let durability = if strict { DurabilityMode::Strict } else { DurabilityMode::Buffered };
    let mode = (durability, if random.one_in(3) { 4 } else { 1 });
    let disk = SimulatedBackend::new(seed);
    let database = open(&disk, mode).unwrap();
    database.connect().unwrap().query(DEFINITIONS).unwrap();
    database.close().unwrap();
    // Some work, the crash, and then the same again on what it left.
    let mut graphs: Vec<Graph> = (0..CLIENTS).map(|_| Graph::default()).collect();
    let (mut disk, mut crashes) = (disk, 0);
    for _ in 0..3 {
        let stop = disk.operations() + 5 + random.below(120);
        disk.crash_after(stop);
        let histories = work(&disk, mode, &graphs, random.next());
        let done: usize = histories.iter().map(|history| history.acknowledged).sum();
        acknowledged.fetch_add(done as u64, Ordering::Relaxed);
        let crashed = disk.crash();
        let left = crashed.snapshot();
        let database = open(&crashed, mode).unwrap_or_else(|error| panic!("operation {stop}: {error}"));
        let connection = database.connect().unwrap();
        let found = contents(&connection);
        let chosen =
            histories.iter().enumerate().map(|(client, history)| version(client, history, &found, strict));
        graphs = chosen.collect();
        let whole = merged(&graphs);
        assert_eq!(found, whole.lines(), "clients are right alone, but not together");
        sound(&database);
        crashes += 1;
        drop((connection, database));
        disk = left;
    }
    crashes
}

/// Runs all clients until the disk stops.
fn work(disk: &SimulatedBackend, mode: Mode, graphs: &[Graph], seed: u64) -> Vec<History> {
    let started: Vec<History> = graphs
        .iter()
        .map(|graph| History { versions: vec![graph.clone()], acknowledged: 0, texts: Vec::new() })
        .collect();
    let Ok(database) = open(disk, mode) else { return started };
    std::thread::scope(|scope| {
        let clients = started.into_iter().enumerate().map(|(client, history)| {
            let database = &database;
            scope.spawn(move || run(client, history, database, seed))
        });
        let clients: Vec<_> = clients.collect();
        clients.into_iter().map(|client| client.join().unwrap()).collect()
    })
}

fn run(client: usize, mut history: History, database: &Database, seed: u64) -> History {
    let mut random = Random::new(seed ^ (client as u64) << 32);
    let Ok(connection) = database.connect() else { return history };
    loop {
        if client == 0 && random.one_in(12) && connection.query("CHECKPOINT").is_err() {
            return history;
        }
        let mut graph = history.versions.last().unwrap().clone();
        let outcome = if random.one_in(15) {
            loads(&connection, client, &mut graph, &mut random, &mut history.texts)
        } else if random.one_in(3) {
            transaction(&connection, client, &mut graph, &mut random, &mut history.texts)
        } else {
            statement(&connection, client, &mut graph, &mut random, &mut history.texts)
        };
        history.versions.push(graph);
        match outcome {
            Outcome::Acknowledged => history.acknowledged = history.versions.len() - 1,
            Outcome::Refused | Outcome::Conflict => drop(history.versions.pop()),
            Outcome::Lost => return history,
        }
        if history.versions.len() > 400 {
            return history;
        }
    }
}

enum Outcome {
    Acknowledged,
    /// An error that the model foresaw.
    Refused,
    /// Another transaction was first.
    Conflict,
    /// The disk is gone.
    Lost,
}

fn statement(
    connection: &Connection,
    client: usize,
    graph: &mut Graph,
    random: &mut Random,
    texts: &mut Vec<String>,
) -> Outcome {
    let operation = Operation::random(random, space(client));
    if operation.is_ambiguous(graph, space(client)) {
        return Outcome::Refused;
    }
    let expected = operation.apply(graph, space(client));
    let answer = connection.query(&operation.text(space(client)));
    texts.push(match &answer {
        Ok(_) => operation.text(space(client)),
        Err(error) => format!("{}: {error}", operation.text(space(client))),
    });
    outcome(answer, expected, &operation.text(space(client)))
}

/// What an answer means, if the model expects the statement to succeed or not.
fn outcome<T>(answer: Result<T, Error>, expected: bool, text: &str) -> Outcome {
    match answer {
        Ok(_) => {
            assert!(expected, "{text} should fail");
            Outcome::Acknowledged
        }
        Err(_) if !expected => Outcome::Refused,
        Err(error) if error.is_retryable() => Outcome::Conflict,
        Err(_) => Outcome::Lost,
    }
}

/// A bulk load, or a definition that comes and goes.
fn loads(
    connection: &Connection,
    client: usize,
    graph: &mut Graph,
    random: &mut Random,
    texts: &mut Vec<String>,
) -> Outcome {
    if random.one_in(2) {
        let name = format!("Other{client}");
        let text = format!(
            "DROP TABLE IF EXISTS {name}; CREATE NODE TABLE {name}(id INT64 PRIMARY KEY); \
             CREATE (:{name} {{id: 1}}); DROP TABLE {name}"
        );
        texts.push(text.clone());
        return outcome(connection.query(&text), true, &text);
    }
    let folder = tempfile::tempdir().unwrap();
    let (text, expected) = load(graph, space(client), folder.path(), random);
    texts.push(text.clone());
    outcome(connection.query(&text), expected, &text)
}

fn transaction(
    connection: &Connection,
    client: usize,
    graph: &mut Graph,
    random: &mut Random,
    texts: &mut Vec<String>,
) -> Outcome {
    texts.push("BEGIN".to_owned());
    if connection.query("BEGIN TRANSACTION").is_err() {
        return Outcome::Lost;
    }
    for _ in 0..1 + random.below(4) {
        let before = graph.clone();
        let outcome = match random.one_in(5) {
            true => loads(connection, client, graph, random, texts),
            false => statement(connection, client, graph, random, texts),
        };
        match outcome {
            Outcome::Acknowledged => {}
            Outcome::Refused => *graph = before,
            Outcome::Conflict => {
                let ended = connection.query("ROLLBACK").is_ok();
                return if ended { Outcome::Conflict } else { Outcome::Lost };
            }
            Outcome::Lost => return Outcome::Lost,
        }
    }
    if random.one_in(5) {
        texts.push("ROLLBACK".to_owned());
        return if connection.query("ROLLBACK").is_ok() { Outcome::Refused } else { Outcome::Lost };
    }
    let answer = connection.query("COMMIT");
    texts.push(format!("COMMIT: {:?}", answer.as_ref().err().map(ToString::to_string)));
    match answer {
        Ok(_) => Outcome::Acknowledged,
        Err(_) => Outcome::Lost,
    }
}

/// The version of a client's graph that the database holds.
fn version(client: usize, history: &History, found: &[String], strict: bool) -> Graph {
    let least = if strict { history.acknowledged } else { 0 };
    for graph in history.versions[least..].iter().rev() {
        let lines = graph.lines();
        let own: Vec<&String> =
            lines.iter().filter(|line| !line.starts_with("persons") && !line.starts_with("edges")).collect();
        let there = own.iter().all(|line| found.binary_search(line).is_ok());
        let count = found.iter().filter(|line| belongs_to(line, client)).count();
        if there && count == own.len() {
            return graph.clone();
        }
    }
    let own: Vec<&String> = found.iter().filter(|line| belongs_to(line, client)).collect();
    let differences = history.versions[least..].iter().map(|graph| {
        let lines = graph.lines();
        let missing: Vec<String> = lines.iter().filter(|line| !own.contains(line)).cloned().collect();
        let more: Vec<&&String> = own.iter().filter(|line| !lines.contains(line)).collect();
        format!("missing {missing:?}, too many {more:?}")
    });
    panic!(
        "client {client}, strict {strict}: {} transactions acknowledged of {}, and what is there is none of the versions from there on:\n{}\nafter {:#?}",
        history.acknowledged,
        history.versions.len() - 1,
        differences.collect::<Vec<_>>().join("\n"),
        history.texts.iter().rev().take(12).rev().collect::<Vec<_>>()
    );
}

/// Whether a line names a key of the client's.
fn belongs_to(line: &str, client: usize) -> bool {
    let word = match line.rsplit_once(' ') {
        Some(("persons" | "edges", _)) | None => return false,
        Some((word, _)) => word,
    };
    let fields: Vec<&str> = line[word.len() + 1..].split('|').collect();
    let first = space(client).first;
    match word {
        // Cities are called after the client's first key.
        "city" => fields[0].starts_with(&format!("c{first}-")),
        // Ends are in the client's space, whatever the tag.
        "knows along" | "knows against" => fields[1].parse().is_ok_and(|key| space_of(key) == client),
        _ => fields[0].parse().is_ok_and(|key| space_of(key) == client),
    }
}

fn space_of(key: i64) -> usize {
    (key / 10_000_000) as usize
}

fn merged(graphs: &[Graph]) -> Graph {
    let mut whole = Graph::default();
    for graph in graphs.iter().cloned() {
        whole.persons.extend(graph.persons);
        whole.cities.extend(graph.cities);
        whole.knows.extend(graph.knows);
        whole.lives.extend(graph.lives);
    }
    whole
}
