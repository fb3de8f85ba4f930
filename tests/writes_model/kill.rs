//! The command line is killed while it inserts, changes, deletes and checkpoints: what it had acknowledged is there, the
//! statement under way is there whole or not at all.

use std::io::{BufRead, BufReader, Write};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use quiredb::Database;

use crate::graph::{DEFINITIONS, Graph, contents};
use crate::operation::{Operation, Space};
use crate::support::random::Random;
use crate::support::sound;
use crate::{Seed, seeds};

const SPACE: Space = Space { first: 0, keys: 60 };

#[test]
fn what_was_acknowledged_survives_a_kill() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("graph");
    Database::open(&path).unwrap().connect().unwrap().query(DEFINITIONS).unwrap();
    let mut graph = Graph::default();
    let (mut kills, acknowledged) = (0, AtomicU64::new(0));
    for seed in seeds(200, 6) {
        let _named = Seed(seed, "kill");
        let versions = until_killed(&path, &graph, seed, &acknowledged);
        let database = Database::open(&path).unwrap();
        let connection = database.connect().unwrap();
        let found = contents(&connection);
        let kept = versions.iter().rev().find(|version| version.lines() == found);
        graph = kept.unwrap_or_else(|| panic!("{found:#?} is neither of {versions:#?}")).clone();
        sound(&database);
        kills += 1;
    }
    println!("{kills} kills, {} statements acknowledged", acknowledged.into_inner());
}

/// Feeds random statements until the process is gone; the graph as it was acknowledged, and after the statement that was
/// under way.
fn until_killed(path: &std::path::Path, graph: &Graph, seed: u64, acknowledged: &AtomicU64) -> Vec<Graph> {
    let mut random = Random::new(seed);
    let mut process = Command::new(env!("CARGO_BIN_EXE_quire"))
        .arg(path)
        .args(["--mode", "json", "--threads", "2"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut input = process.stdin.take().unwrap();
    let mut output = BufReader::new(process.stdout.take().unwrap());
    let pause = Duration::from_micros(2_000 + random.below(150_000));
    let done = AtomicBool::new(false);
    let mut versions = vec![graph.clone()];
    std::thread::scope(|scope| {
        scope.spawn(|| {
            std::thread::sleep(pause);
            // SIGKILL on Unix: nothing runs after it.
            process.kill().unwrap();
            process.wait().unwrap();
            done.store(true, Ordering::Release);
        });
        loop {
            let mut next = versions.last().unwrap().clone();
            let (text, expected) = if random.one_in(15) {
                ("CHECKPOINT".to_owned(), true)
            } else {
                let operation = Operation::random(&mut random, SPACE);
                if operation.is_ambiguous(&next, SPACE) {
                    continue;
                }
                let expected = operation.apply(&mut next, SPACE);
                (operation.text(SPACE), expected)
            };
            versions.push(next);
            let mut line = String::new();
            let sent = writeln!(input, "{text};").and_then(|()| input.flush());
            if sent.is_err()
                || !output.read_line(&mut line).is_ok_and(|bytes| bytes > 0 && line.ends_with('\n'))
            {
                return;
            }
            assert_eq!(line.starts_with("{\"error\""), !expected, "{text}: {line}");
            // Acknowledged: now the version before it is out of the question.
            versions.drain(..versions.len() - 1);
            acknowledged.fetch_add(1, Ordering::Relaxed);
        }
    });
    assert!(done.load(Ordering::Acquire));
    versions
}
