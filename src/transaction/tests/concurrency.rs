//! Many threads that write at once.

use std::sync::atomic::{AtomicU64, Ordering};

use super::*;
use crate::storage::engine::DurabilityMode;

/// Runs a transaction as auto-commit statements do: again and again until nobody is in the way.
fn run<T>(graph: &Graph, mut body: impl FnMut(&mut WriteTransaction) -> WriteResult<T>) -> (T, u64) {
    loop {
        let mut writer = graph.begin();
        match body(&mut writer) {
            Ok(value) => return (value, writer.commit().unwrap()),
            Err(error) => {
                assert!(error.is_retryable(), "{error}");
                let holder = error.holder();
                writer.rollback();
                if let Some(holder) = holder {
                    assert!(WriteTransaction::wait_for(&graph.engine, holder, Some(Duration::from_secs(60))));
                }
            }
        }
    }
}

fn number_of(graph: &Graph, view: &ReadTransaction, row: u64) -> u64 {
    match graph.value(view, "name", row) {
        Value::String(name) => name.parse().unwrap_or(0),
        other => panic!("{other}"),
    }
}

fn add_one(graph: &Graph, writer: &mut WriteTransaction, row: u64) -> WriteResult<u64> {
    let next = number_of(graph, &writer.view(), row) + 1;
    graph.set(writer, "name", row, Value::String(next.to_string()))?;
    Ok(next)
}

fn ten_by_a_hundred(mode: DurabilityMode) {
    let options = EngineOptions { durability: mode, lock_wait: Duration::from_secs(60), ..options() };
    let graph = Graph::with(&SimulatedBackend::new(3), &options).unwrap();
    let mut setup = graph.begin();
    let first = graph.insert(&mut setup, &[0, 1, 2]).unwrap();
    setup.commit().unwrap();
    let versions = AtomicU64::new(0);
    std::thread::scope(|scope| {
        for thread in 0..10u64 {
            let (graph, versions) = (&graph, &versions);
            scope.spawn(move || {
                let mut last = 0;
                for round in 0..100u64 {
                    let row = first + (thread + round) % 3;
                    let new = 1000 + (thread * 100 + round) as i64;
                    let (_, version) = run(graph, |writer| {
                        add_one(graph, writer, row)?;
                        graph.insert(writer, &[new])
                    });
                    assert!(version > last, "versions rise");
                    last = version;
                    versions.fetch_max(version, Ordering::Relaxed);
                    // What this thread has committed, it sees.
                    let view = graph.read();
                    assert!(view.version() >= version);
                    assert!(graph.find(&view, new).is_some());
                    if round == 50 {
                        graph.engine.checkpoint().unwrap();
                    }
                }
            });
        }
        let (graph, versions) = (&graph, &versions);
        scope.spawn(move || {
            // Snapshots stay as they are while others write.
            while versions.load(Ordering::Relaxed) < 900 {
                let view = graph.read();
                let sum = |view: &ReadTransaction| {
                    (first..first + 3).map(|row| number_of(graph, view, row)).sum::<u64>()
                };
                let (before, count) = (sum(&view), view.node_table(graph.person).unwrap().row_count());
                std::thread::yield_now();
                assert_eq!(before, sum(&view));
                assert_eq!(before + 3, count, "each transaction adds one to a number and one node");
            }
        });
    });
    let view = graph.read();
    let sum: u64 = (first..first + 3).map(|row| number_of(&graph, &view, row)).sum();
    assert_eq!(sum, 1000);
    assert_eq!(graph.content(&view).rows.len(), 1003);
    assert_eq!(graph.engine.intents().open_transactions(), 0);
}

#[test]
fn no_update_is_lost() {
    ten_by_a_hundred(DurabilityMode::Strict);
    ten_by_a_hundred(DurabilityMode::InMemory);
}

#[test]
fn nodes_do_not_go_while_relationships_come() {
    let graph = Graph::new(&SimulatedBackend::new(4));
    let mut setup = graph.begin();
    let ids: Vec<i64> = (0..40).collect();
    let first = graph.insert(&mut setup, &ids).unwrap();
    setup.commit().unwrap();
    std::thread::scope(|scope| {
        for thread in 0..4u64 {
            let graph = &graph;
            scope.spawn(move || {
                for round in 0..40u64 {
                    let (one, other) = (first + (round * 7 + thread) % 40, first + (round * 3) % 40);
                    run(graph, |writer| {
                        let view = writer.view();
                        let (nodes, mut worker) = (view.node_table(graph.person)?, view.worker()?);
                        if !nodes.is_visible(one, &mut worker)? || !nodes.is_visible(other, &mut worker)? {
                            return Ok(());
                        }
                        match round % 8 == thread {
                            true => writer.delete_nodes(graph.person, &[one], true).map(|_| ()),
                            false => graph.link(writer, graph.knows, one, other).map(|_| ()),
                        }
                    });
                }
            });
        }
        scope.spawn(|| (0..10).for_each(|_| graph.engine.checkpoint().unwrap()));
    });
    // Compares both directions and that every end exists.
    graph.content(&graph.read());
    graph.engine.checkpoint().unwrap();
    graph.content(&graph.read());
    assert!(graph.engine.check().unwrap().is_sound());
}
