//! Long random histories of one writer, with readers of old versions beside it.

use quiredb::storage::backend::SimulatedBackend;
use quiredb::{Connection, Database, ErrorKind};

use crate::graph::{DEFINITIONS, Graph, contents};
use crate::operation::{Operation, Space, load};
use crate::support::random::Random;
use crate::support::sound;
use crate::{Seed, seeds};

const SPACE: Space = Space { first: 0, keys: 40 };

fn open(disk: &SimulatedBackend, random: &mut Random) -> Database {
    let threads = 1 + random.below(2) as usize;
    let builder = Database::builder().threads(threads).buffer_pool_size(16 << 20);
    builder.backend(std::sync::Arc::new(disk.clone())).open("unused").unwrap()
}

#[test]
fn a_database_holds_what_a_plain_graph_holds() {
    for seed in seeds(400, 6) {
        let _named = Seed(seed, "histories");
        history(seed);
    }
}

/// A reader that began some time ago, and what it began with.
struct Old {
    connection: Connection,
    expected: Vec<String>,
}

fn history(seed: u64) {
    let mut random = Random::new(seed);
    let disk = SimulatedBackend::new(seed);
    let mut database = open(&disk, &mut random);
    let mut connection = database.connect().unwrap();
    connection.query(DEFINITIONS).unwrap();
    let (mut graph, mut old): (Graph, Vec<Old>) = (Graph::default(), Vec::new());
    let folder = tempfile::tempdir().unwrap();
    for step in 0..60 {
        match random.below(12) {
            0 => drop(connection.query("CHECKPOINT").unwrap()),
            1 => {
                assert_eq!(contents(&connection), graph.lines(), "before closing at step {step}");
                old.clear();
                drop(connection);
                if random.one_in(2) {
                    database.close().unwrap();
                } else {
                    drop(database);
                }
                database = open(&disk, &mut random);
                connection = database.connect().unwrap();
                assert_eq!(contents(&connection), graph.lines(), "after reopening at step {step}");
                sound(&database);
            }
            2 => {
                let reader = database.connect().unwrap();
                reader.query("BEGIN TRANSACTION READ ONLY").unwrap();
                old.push(Old { expected: contents(&reader), connection: reader });
                old.drain(..old.len().saturating_sub(3));
            }
            3 => {
                let (text, expected) = load(&mut graph, SPACE, folder.path(), &mut random);
                assert_eq!(connection.query(&text).is_ok(), expected, "{text}");
                // Definitions come between, too.
                let name = format!("Other{step}");
                connection.query(&format!("CREATE NODE TABLE {name}(id INT64 PRIMARY KEY)")).unwrap();
                connection.query(&format!("CREATE (:{name} {{id: 1}})")).unwrap();
                if random.one_in(2) {
                    connection.query(&format!("DROP TABLE {name}")).unwrap();
                }
            }
            4..=6 => transaction(&connection, &mut graph, &mut random),
            _ => statement(&connection, &mut graph, &mut random),
        }
        if random.one_in(3) {
            assert_eq!(contents(&connection), graph.lines(), "step {step}");
            for reader in &old {
                assert_eq!(
                    contents(&reader.connection),
                    reader.expected,
                    "an old version changed, step {step}"
                );
            }
        }
    }
    assert_eq!(contents(&connection), graph.lines());
    drop(old);
    sound(&database);
}

/// Several statements that take effect together or not at all.
fn transaction(connection: &Connection, graph: &mut Graph, random: &mut Random) {
    let before = graph.clone();
    connection.query("BEGIN TRANSACTION").unwrap();
    for _ in 0..1 + random.below(6) {
        statement(connection, graph, random);
        if random.one_in(4) {
            assert_eq!(contents(connection), graph.lines(), "inside of a transaction");
        }
    }
    if random.one_in(3) {
        connection.query("ROLLBACK").unwrap();
        *graph = before;
    } else {
        connection.query("COMMIT").unwrap();
    }
}

fn statement(connection: &Connection, graph: &mut Graph, random: &mut Random) {
    let operation = Operation::random(random, SPACE);
    if operation.is_ambiguous(graph, SPACE) {
        return;
    }
    let expected = operation.apply(graph, SPACE);
    let text = operation.text(SPACE);
    match connection.query(&text) {
        Ok(_) => assert!(expected, "{text} should fail"),
        Err(error) => {
            assert!(!expected, "{text}: {error}");
            assert_eq!(error.kind(), ErrorKind::Constraint, "{text}: {error}");
        }
    }
}
