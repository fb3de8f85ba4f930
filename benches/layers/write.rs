//! What a checkpoint writes for what was logged.

use std::path::Path;
use std::time::Instant;

use quiredb::params;

use super::world::{Numbers, Table, connection, database, folder, load, number, run};

const NODES: u64 = 1_000_000;
const EDGES: u64 = 10_000_000;
const CHANGES: u64 = 150_000;

/// Random single-row updates and edge inserts, a transaction each, then a checkpoint; and once more on top of that.
pub fn checkpoint(table: &mut Table) {
    let folder = folder();
    let path = folder.path().join("writes");
    let database = database(&path);
    let one = connection(&database);
    run(&one, "CREATE NODE TABLE Person(id INT64, age INT64, score DOUBLE, PRIMARY KEY (id))");
    run(&one, "CREATE REL TABLE Follows(FROM Person TO Person, since INT64)");
    load(&one, folder.path(), "Person", NODES, |row| format!("{row},{},{}.5", row * 31 % 90, row * 7 % 1000));
    let mut numbers = Numbers(11);
    load(&one, folder.path(), "Follows", EDGES, |row| {
        format!("{},{},{}", numbers.below(NODES), numbers.below(NODES), row % 5000)
    });
    let update = one.prepare("MATCH (p:Person {id: $id}) SET p.age = $age").expect("an update");
    let insert = one
        .prepare(
            "MATCH (a:Person {id: $from}), (b:Person {id: $to}) CREATE (a)-[:Follows {since: $since}]->(b)",
        )
        .expect("an insert");
    let mut expected = EDGES;
    for round in ["a checkpoint, bytes written for bytes of log", "the same once more"] {
        let (logged, started) = (log_bytes(&path), Instant::now());
        for change in 0..CHANGES {
            let [id, from, to] = [(); 3].map(|()| numbers.below(NODES) as i64);
            update.execute_with(params! { id: id, age: (change % 90) as i64 }).expect("updated");
            insert.execute_with(params! { from: from, to: to, since: change as i64 }).expect("inserted");
        }
        expected += CHANGES;
        let rate = 2.0 * CHANGES as f64 / started.elapsed().as_secs_f64();
        let logged = log_bytes(&path) - logged;
        let before = database.storage_stats().expect("numbers").pages_written;
        let started = Instant::now();
        run(&one, "CHECKPOINT");
        let time = started.elapsed();
        let written = (database.storage_stats().expect("numbers").pages_written - before) * 4096;
        let megabytes = |bytes: u64| bytes as f64 / 1e6;
        let detail = format!(
            "{:.0} MB for {:.0} MB in {time:.2?}, {} changes at {rate:.0} a second",
            megabytes(written),
            megabytes(logged),
            2 * CHANGES
        );
        table.add(round, detail, written as f64 / logged as f64, 10.0);
        assert_eq!(number(&one, "MATCH (:Person)-[f:Follows]->(:Person) RETURN count(f)"), expected as i64);
    }
}

/// Bytes of all segments of the log, without the zeros that they are grown by.
fn log_bytes(path: &Path) -> u64 {
    let segments = std::fs::read_dir(path.join("wal")).into_iter().flatten().flatten();
    let used = segments.map(|segment| {
        let bytes = std::fs::read(segment.path()).unwrap_or_default();
        bytes.iter().rposition(|byte| *byte != 0).map_or(0, |last| last as u64 + 1)
    });
    used.sum()
}
