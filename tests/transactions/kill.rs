//! Processes that are killed while they write. What they were told is committed is there afterwards, the rest is whole
//! or absent.

use std::io::{BufRead, BufReader, Write};
use std::process::{Command, Stdio};
use std::time::Duration;

use quiredb::{Database, DurabilityMode, params};

const FOLDER: &str = "QUIRE_KILLED_IN";

/// The process that is killed: it says on its output what was committed. Without the variable it is no test.
#[test]
fn writer_that_is_killed() {
    let Some(folder) = std::env::var_os(FOLDER) else { return };
    let buffered = std::env::var_os("QUIRE_KILLED_BUFFERED").is_some();
    let mode = if buffered { DurabilityMode::Buffered } else { DurabilityMode::Strict };
    let database = Database::builder().durability(mode).checkpoint_threshold(30_000).open(folder).unwrap();
    let connection = database.connect().unwrap();
    let found = connection.query("MATCH (a:A) RETURN max(a.id)").unwrap();
    let first: i64 = found.first().unwrap().get::<Option<i64>>(0).unwrap().unwrap_or(0) + 1;
    let mut out = std::io::stdout();
    writeln!(out, "\nbegun {first}").unwrap();
    for id in first.. {
        let transaction = connection.begin().unwrap();
        transaction
            .query_with("CREATE (:A {id: $id, n: 0})-[:R]->(:B {id: $id})", params! { id: id })
            .unwrap();
        let older = params! { id: id - 1 - id % 5, n: id };
        transaction.query_with("MATCH (a:A {id: $id}) SET a.n = $n", older).unwrap();
        if id % 7 == 0 {
            transaction.query_with("MATCH (b:B {id: $id}) DETACH DELETE b", params! { id: id - 6 }).unwrap();
        }
        transaction.commit().unwrap();
        writeln!(out, "done {id}").unwrap();
        out.flush().unwrap();
    }
}

fn run_and_kill(folder: &std::path::Path, after: Duration, buffered: bool) -> i64 {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(["--exact", "kill::writer_that_is_killed", "--nocapture", "--test-threads=1"]);
    command.env(FOLDER, folder).stdout(Stdio::piped()).stderr(Stdio::null());
    if buffered {
        command.env("QUIRE_KILLED_BUFFERED", "1");
    }
    let mut child = command.spawn().unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let mut last = -1;
    while let Some(Ok(line)) = lines.next() {
        if line.starts_with("begun") {
            break;
        }
    }
    std::thread::sleep(after);
    child.kill().unwrap();
    for line in lines.map_while(Result::ok) {
        if let Some(id) = line.strip_prefix("done ") {
            // The last line may be cut.
            last = id.parse().unwrap_or(last);
        }
    }
    child.wait().unwrap();
    last
}

fn check_what_is_left(folder: &std::path::Path, acknowledged: i64) -> i64 {
    let database = Database::open(folder).unwrap();
    let connection = database.connect().unwrap();
    let number = |query: &str| -> i64 {
        let result = connection.query(query).unwrap();
        result.first().map_or(0, |row| row.get::<Option<i64>>(0).unwrap().unwrap_or(0))
    };
    let last = number("MATCH (a:A) RETURN max(a.id)");
    assert!(last >= acknowledged, "{last} of {acknowledged}");
    assert_eq!(number("MATCH (a:A) RETURN count(*)"), last);
    // Every seventh transaction takes a node and its relationship away.
    assert_eq!(number("MATCH (b:B) RETURN count(*)"), last - last / 7);
    assert_eq!(number("MATCH (:A)-[r:R]->(:B) RETURN count(r)"), last - last / 7);
    assert_eq!(number("MATCH (:B)<-[r:R]-(:A) RETURN count(r)"), last - last / 7);
    let newest = last - 1 - last % 5;
    let expected = if newest > 0 { last } else { 0 };
    assert_eq!(number(&format!("MATCH (a:A {{id: {newest}}}) RETURN a.n")), expected);
    assert!(database.check().unwrap().is_sound());
    database.close().unwrap();
    last
}

/// More with QUIRE_KILLS in the environment.
#[test]
fn what_was_acknowledged_outlives_a_kill() {
    let kills = std::env::var("QUIRE_KILLS").ok().and_then(|text| text.parse().ok()).unwrap_or(8);
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("db");
    {
        let database = Database::open(&path).unwrap();
        let connection = database.connect().unwrap();
        connection.query("CREATE NODE TABLE A(id INT64 PRIMARY KEY, n INT64)").unwrap();
        connection.query("CREATE NODE TABLE B(id INT64 PRIMARY KEY)").unwrap();
        connection.query("CREATE REL TABLE R(FROM A TO B)").unwrap();
        database.close().unwrap();
    }
    let mut last = 0;
    for round in 0..kills {
        let after = Duration::from_millis(10 + (round * 37) % 150);
        let acknowledged = run_and_kill(&path, after, round % 3 == 2);
        let found = check_what_is_left(&path, acknowledged);
        assert!(found >= last, "{found} after {last}");
        last = found;
    }
    assert!(last > 0, "nothing was written in {kills} lives");
}
