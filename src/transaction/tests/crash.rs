//! Several clients, checkpoints and definitions on a disk that crashes at any operation. After each crash the database
//! is as the last acknowledged commit left it, or as the one under way would have; buffered commits may be missing
//! from the end. A failure prints the seed that makes it again.

use super::*;
use crate::storage::engine::DurabilityMode;
use crate::storage::wal::WalConfig;
use crate::transaction::WriteError;

fn options_of(mode: DurabilityMode) -> EngineOptions {
    // Nothing happens in the background, so that a seed makes the same life again.
    let never = Duration::from_secs(3600);
    let wal = WalConfig::builder().segment_bytes(64 << 10).buffered_sync_interval(never).build().unwrap();
    EngineOptions { durability: mode, wal, checkpoint_threshold: 0, ..options() }
}

/// What the clients know.
#[derive(Default)]
struct Known {
    /// The content after each commit, the empty database first.
    history: Vec<Content>,
    /// The newest entry that must survive.
    durable: usize,
    /// A commit that was asked for and not acknowledged.
    doubtful: Option<Content>,
    tables: u64,
}

impl Known {
    fn check(&self, found: &Content) -> usize {
        if let Some(at) = (self.durable..self.history.len()).rev().find(|at| self.history[*at] == *found) {
            return at;
        }
        let expected = self.doubtful.as_ref().or(self.history.last());
        let difference = expected.map(|expected| difference(expected, found));
        assert!(self.doubtful.as_ref() == Some(found), "neither before nor after: {difference:?}");
        self.history.len()
    }
}

/// A few of the things that only one of two contents has.
fn difference(expected: &Content, found: &Content) -> String {
    let names = |a: &Content, b: &Content| {
        let only = a.rows.iter().filter(|(row, values)| b.rows.get(row) != Some(values));
        only.take(5).map(|(row, values)| format!("{row} {values:?}")).collect::<Vec<_>>()
    };
    let edges = (expected.edges.len(), found.edges.len());
    format!("expected {:?}, found {:?}, edges {edges:?}", names(expected, found), names(found, expected))
}

/// One random change of a transaction.
fn change(
    graph: &Graph,
    writer: &mut WriteTransaction,
    content: &Content,
    random: &mut Random,
) -> WriteResult<()> {
    let view = writer.view();
    let rows: Vec<u64> = content.rows.keys().copied().collect();
    let mut picked = || rows[random.below(rows.len() as u64) as usize];
    let (one, other) = if rows.is_empty() { (0, 0) } else { (picked(), picked()) };
    let choice = if rows.len() < 4 { 0 } else { random.below(12) };
    match choice {
        0..4 => {
            let first = random.below(1 << 40) as i64;
            let most = if random.below(20) == 0 { 400 } else { 4 };
            let new: Vec<i64> = (first..=first + random.below(most) as i64).collect();
            graph.insert(writer, &new).map(|_| ())
        }
        4..6 => graph.set(writer, "name", one, Value::String(format!("new {}", random.below(1000)))),
        6 => graph.set(writer, "id", one, Value::Int64(-(random.below(1 << 40) as i64))),
        7 => writer.delete_nodes(graph.person, &[one], true).map(|_| ()),
        8 if !content.edges.is_empty() => {
            let (from, to) = content.edges[random.below(content.edges.len() as u64) as usize];
            let rels = view.rel_table(graph.knows)?;
            let (mut worker, mut ids, mut ends) = (view.worker()?, Vec::new(), Vec::new());
            let mut cursor = worker.cursor();
            let adjacency = rels.adjacency(Direction::Forward);
            let (position, length) = adjacency.list(from, &mut cursor)?;
            let group = adjacency.group(from >> 16)?.unwrap();
            group.ids(position, length as usize, &mut cursor, &mut ids)?;
            drop(cursor);
            rels.endpoints(&ids, &mut worker, None, Some(&mut ends))?;
            let at = ends.iter().position(|end| *end == to).unwrap();
            writer.delete_rels(graph.knows, &[ids[at]]).map(|_| ())
        }
        _ => graph.link(writer, graph.knows, one, other).map(|_| ()),
    }
}

/// A transaction that is open, and what it would leave if nobody else had written meanwhile.
struct Client {
    writer: WriteTransaction,
    /// Where its snapshot stands in the history.
    begun: usize,
    is_changed: bool,
}

/// Runs clients until the disk crashes, or through all steps.
fn run(disk: &SimulatedBackend, seed: u64, mode: DurabilityMode, known: &mut Known) -> StorageResult<()> {
    let mut random = Random(seed);
    let graph = Graph::with(disk, &options_of(mode))?;
    let found = graph.try_content(&graph.read())?;
    let at = known.check(&found);
    known.doubtful = None;
    known.history.truncate(at);
    known.history.push(found);
    known.durable = known.history.len() - 1;
    let mut clients: Vec<Client> = Vec::new();
    for _ in 0..60 {
        match random.below(20) {
            0 => {
                graph.engine.checkpoint()?;
                known.durable = known.history.len() - 1;
            }
            1 => {
                graph.engine.flush()?;
                if mode != DurabilityMode::InMemory {
                    known.durable = known.history.len() - 1;
                }
            }
            2 if clients.is_empty() => {
                known.tables += 1;
                graph.define(&format!("T{seed}_{}", known.tables))?;
                known.durable = known.history.len() - 1;
            }
            3..8 if clients.len() < 3 => {
                let client =
                    Client { writer: begin(&graph)?, begun: known.history.len() - 1, is_changed: false };
                clients.push(client);
            }
            8..10 if !clients.is_empty() => {
                let client = clients.swap_remove(random.below(clients.len() as u64) as usize);
                client.writer.rollback();
            }
            10..14 if !clients.is_empty() => {
                let client = clients.swap_remove(random.below(clients.len() as u64) as usize);
                commit(&graph, client, mode, known)?;
            }
            _ if !clients.is_empty() => {
                let at = random.below(clients.len() as u64) as usize;
                let seed = random.next();
                let client = &mut clients[at];
                let content = replayed(&graph, client, known)?;
                let savepoint = client.writer.savepoint();
                match change(&graph, &mut client.writer, &content, &mut Random(seed)) {
                    Ok(()) => client.is_changed = true,
                    Err(error) if error.is_retryable() => clients.swap_remove(at).writer.rollback(),
                    Err(WriteError::Storage(error)) => return Err(error),
                    Err(_) => client.writer.rollback_to(savepoint),
                }
            }
            _ => {}
        }
    }
    drop(clients);
    graph.engine.close()?;
    known.durable = known.history.len() - 1;
    Ok(())
}

fn begin(graph: &Graph) -> StorageResult<WriteTransaction> {
    WriteTransaction::begin(&graph.engine, WriteOptions::default()).map_err(|error| match error {
        WriteError::Storage(error) => error,
        error => panic!("{error}"),
    })
}

/// What the client sees now.
fn replayed(graph: &Graph, client: &Client, known: &Known) -> StorageResult<Content> {
    match client.is_changed {
        false => Ok(known.history[client.begun].clone()),
        true => graph.try_content(&client.writer.view()),
    }
}

fn commit(graph: &Graph, client: Client, mode: DurabilityMode, known: &mut Known) -> StorageResult<()> {
    if client.writer.is_unchanged() {
        return Ok(());
    }
    // Others may have committed since; conflicts keep both from the same things, so the changes add up.
    let before = &known.history[client.begun];
    let own = graph.try_content(&client.writer.view())?;
    let now = known.history.last().unwrap();
    let after = merged(before, &own, now);
    known.doubtful = Some(after.clone());
    match client.writer.commit() {
        Ok(_) => {
            known.doubtful = None;
            known.history.push(after);
            if mode == DurabilityMode::Strict {
                known.durable = known.history.len() - 1;
            }
            let found = graph.try_content(&graph.read())?;
            let expected = known.history.last().unwrap();
            assert!(found == *expected, "the commit made visible: {}", difference(expected, &found));
            Ok(())
        }
        Err(WriteError::Storage(error)) => Err(error),
        Err(error) => panic!("a commit is refused: {error}"),
    }
}

/// What a transaction that saw `before` and made `own` of it makes of `now`.
fn merged(before: &Content, own: &Content, now: &Content) -> Content {
    let mut after = now.clone();
    for row in before.rows.keys().chain(own.rows.keys()) {
        match (before.rows.get(row), own.rows.get(row)) {
            (old, new) if old == new => {}
            (_, Some(new)) => drop(after.rows.insert(*row, new.clone())),
            (_, None) => drop(after.rows.remove(row)),
        }
    }
    let mut removed = before.edges.clone();
    let mut added = own.edges.clone();
    added.retain(|edge| match removed.iter().position(|other| other == edge) {
        Some(at) => {
            removed.remove(at);
            false
        }
        None => true,
    });
    for edge in removed {
        if let Some(at) = after.edges.iter().position(|other| *other == edge) {
            after.edges.remove(at);
        }
    }
    after.edges.extend(added);
    after.edges.sort_unstable();
    after
}

/// A life of several crashes.
fn live(seed: u64, mode: DurabilityMode, crashes: u64) {
    let mut disk = SimulatedBackend::new(seed);
    let mut known = Known { history: vec![Content::default()], ..Known::default() };
    let mut random = Random(seed);
    for turn in 0..crashes {
        let length = if turn == 0 { 200 } else { 60 };
        disk.crash_after(disk.operations() + random.below(length));
        let outcome = run(&disk, random.next(), mode, &mut known);
        disk = match outcome {
            // A process that ends without a loss of power leaves what the system has.
            Err(_) if random.below(3) == 0 => disk.snapshot(),
            _ => disk.crash(),
        };
        disk.clear_faults();
    }
    let graph = Graph::with(&disk, &options_of(mode)).unwrap();
    known.check(&graph.content(&graph.read()));
    let report = graph.engine.check().unwrap();
    assert!(report.is_sound(), "{:#?}", report.problems);
}

fn lives(mode: DurabilityMode, seeds: std::ops::Range<u64>, crashes: u64) {
    for seed in seeds {
        let outcome = std::panic::catch_unwind(|| live(seed, mode, crashes));
        assert!(outcome.is_ok(), "{mode:?} with seed {seed} failed, see above");
    }
}

/// More with QUIRE_CRASH_SEEDS in the environment.
fn seeds(few: u64) -> std::ops::Range<u64> {
    let asked = std::env::var("QUIRE_CRASH_SEEDS").ok().and_then(|text| text.parse().ok());
    0..asked.unwrap_or(few)
}

#[test]
fn strict_commits_outlive_crashes() {
    lives(DurabilityMode::Strict, seeds(20), 12);
}

#[test]
fn buffered_commits_are_lost_from_the_end_only() {
    lives(DurabilityMode::Buffered, seeds(10), 12);
}

#[test]
fn without_a_log_the_last_checkpoint_is_found() {
    lives(DurabilityMode::InMemory, seeds(10), 12);
}

/// Several threads commit three rows each until the disk crashes. Gives which of them were acknowledged.
fn race(disk: &SimulatedBackend, operations: u64) -> Vec<i64> {
    let Ok(graph) = Graph::with(disk, &options_of(DurabilityMode::Strict)) else { return Vec::new() };
    disk.crash_after(disk.operations() + operations);
    std::thread::scope(|scope| {
        let threads: Vec<_> = (0..4i64)
            .map(|thread| {
                let graph = &graph;
                scope.spawn(move || {
                    let mut acknowledged = Vec::new();
                    for round in 0..200 {
                        let tag = (thread * 1000 + round) * 3;
                        let Ok(mut writer) = begin(graph) else { break };
                        let done = graph.insert(&mut writer, &[tag, tag + 1, tag + 2]).and_then(|first| {
                            graph.link(&mut writer, graph.knows, first, first + 2)?;
                            writer.commit()
                        });
                        if done.is_err() {
                            break;
                        }
                        acknowledged.push(tag);
                        if round % 9 == thread && graph.engine.checkpoint().is_err() {
                            break;
                        }
                    }
                    acknowledged
                })
            })
            .collect();
        threads.into_iter().flat_map(|thread| thread.join().unwrap()).collect()
    })
}

#[test]
fn commits_of_many_threads_are_whole_or_absent() {
    let mut random = Random(77);
    let mut acknowledged_in_all = 0;
    for seed in seeds(40) {
        let disk = SimulatedBackend::new(seed);
        drop(Graph::with(&disk, &options_of(DurabilityMode::Strict)).unwrap());
        let acknowledged = race(&disk, 5 + random.below(250));
        let graph = Graph::with(&disk.crash(), &options_of(DurabilityMode::Strict)).unwrap();
        let content = graph.content(&graph.read());
        let mut found: Vec<i64> = content.rows.values().map(|(id, _)| *id).collect();
        found.sort_unstable();
        for three in found.chunks(3) {
            assert!(
                three[0] % 3 == 0 && three.len() == 3 && three[2] == three[0] + 2,
                "seed {seed}: {three:?}"
            );
        }
        assert_eq!(content.edges.len() * 3, found.len(), "seed {seed}");
        for tag in &acknowledged {
            assert!(found.binary_search(tag).is_ok(), "seed {seed}: {tag} was acknowledged");
        }
        acknowledged_in_all += acknowledged.len();
        assert!(graph.engine.check().unwrap().is_sound());
    }
    assert!(acknowledged_in_all > 100, "{acknowledged_in_all}");
}
