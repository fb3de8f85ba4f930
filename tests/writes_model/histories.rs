//! Long random histories of one writer, with readers of old versions beside it.

use quiredb::storage::backend::SimulatedBackend;
use quiredb::{Connection, Database, ErrorKind, Value};

use crate::graph::{DEFINITIONS, Graph, contents};
use crate::operation::{Operation, Space, load};
use crate::support::random::Random;
use crate::support::sound;
use crate::{Seed, seeds};

const SPACE: Space = Space { first: 0, keys: 40 };

fn open(disk: &SimulatedBackend, random: &mut Random) -> Database {
    let threads = 1 + random.below(2) as usize;
    let rows = [0, 3, 65_536][random.below(3) as usize];
    let builder = Database::builder().threads(threads).buffer_pool_size(16 << 20).small_load_rows(rows);
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
            4..=6 => transaction(&connection, &mut graph, folder.path(), &mut random),
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
fn transaction(connection: &Connection, graph: &mut Graph, folder: &std::path::Path, random: &mut Random) {
    let before = graph.clone();
    connection.query("BEGIN TRANSACTION").unwrap();
    for number in 0..1 + random.below(6) {
        match random.below(5) {
            0 => {
                let (text, expected) = load(graph, SPACE, folder, random);
                assert_eq!(connection.query(&text).is_ok(), expected, "{text}");
            }
            1 => definitions(connection, number, folder, random),
            _ => statement(connection, graph, random),
        }
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

/// Tables that come, are filled and used, and go again, all within a transaction.
fn definitions(connection: &Connection, number: u64, folder: &std::path::Path, random: &mut Random) {
    let run = |text: &str| connection.query(text).unwrap_or_else(|error| panic!("{text}: {error}"));
    let name = format!("Inner{number}");
    run(&format!("CREATE NODE TABLE {name}(id INT64 PRIMARY KEY, n INT64)"));
    run(&format!("CREATE REL TABLE {name}To(FROM {name} TO Person)"));
    run(&format!("CREATE (:{name} {{id: -1, n: 0}})"));
    let count = random.below(9) as i64;
    let path = folder.join("inner.csv");
    std::fs::write(&path, (0..count).map(|id| format!("{id},{}\n", id * id)).collect::<String>()).unwrap();
    run(&format!("COPY {name} FROM '{}'", path.display()));
    run(&format!("MATCH (i:{name}) SET i.n = i.n + 1"));
    let found = run(&format!("MATCH (i:{name}) RETURN count(*), sum(i.n)")).to_values();
    let squares = (0..count).map(|id| id * id).sum::<i64>() + count + 1;
    assert_eq!(found, [[Value::Int64(count + 1), Value::Int64(squares)]]);
    let again = format!("COPY {name} FROM '{}'", path.display());
    assert_eq!(connection.query(&again).is_ok(), count == 0, "keys that are there");
    run(&format!("DROP TABLE {name}To"));
    run(&format!("DROP TABLE {name}"));
    assert!(connection.query(&format!("MATCH (i:{name}) RETURN i")).is_err());
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
