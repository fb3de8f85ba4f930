//! Transactions that want whole tables for themselves, beside those that change single things.

use super::*;
use crate::storage::backend::MemoryBackend;
use crate::storage::engine::{Area, Passage};
use crate::transaction::{Met, areas_of_definition, areas_of_load};

fn graph(intent_share: usize) -> (Graph, u64) {
    let graph = Graph::with(&MemoryBackend::new(), &EngineOptions { intent_share, ..options() }).unwrap();
    let mut setup = graph.begin();
    let first = graph.insert(&mut setup, &[1, 2, 3]).unwrap();
    setup.commit().unwrap();
    (graph, first)
}

fn begin_in(graph: &Graph, areas: &[(Area, Passage)]) -> WriteResult<WriteTransaction> {
    WriteTransaction::begin_in(&graph.engine, WriteOptions::default(), areas)
}

fn lazy(graph: &Graph) -> WriteTransaction {
    WriteTransaction::begin(&graph.engine, WriteOptions { lazy: true, ..WriteOptions::default() }).unwrap()
}

/// What becomes of a change, and what it meets.
#[track_caller]
fn check<T>(
    transaction: &mut WriteTransaction,
    expected: Option<Met>,
    change: impl FnOnce(&mut WriteTransaction) -> WriteResult<T>,
) {
    let outcome = change(transaction);
    match expected {
        None => drop(outcome.unwrap()),
        Some(_) => assert!(outcome.err().is_some_and(|error| error.is_retryable())),
    }
    assert_eq!(transaction.met(), expected);
}

#[test]
fn a_load_of_nodes_keeps_writers_out_of_its_table() {
    let (graph, first) = graph(1000);
    graph.define("Other").unwrap();
    let snapshot = graph.engine.snapshot();
    let other = snapshot.catalog().node_table("Other").unwrap();
    let (other, column) = (other.id, other.columns[0].id);
    let areas = areas_of_load(snapshot.catalog(), graph.person);
    let mut old = lazy(&graph);
    let mut load = begin_in(&graph, &areas).unwrap();
    graph.insert(&mut load, &[10]).unwrap();
    let shared = Some(Met::Area(Area::Table(graph.person), Passage::Shared));
    check(&mut lazy(&graph), shared, |own| graph.insert(own, &[11]));
    check(&mut graph.begin(), shared, |own| graph.link(own, graph.knows, first, first));
    check(&mut graph.begin(), shared, |own| own.delete_nodes(graph.person, &[first], false));
    assert!(begin_in(&graph, &areas).is_err(), "waits, and gives up");
    let id = buffer(DataType::Int64, [Value::Int64(1)]);
    check(&mut graph.begin(), None, |own| own.insert_nodes(other, &[(column, id.vector())], 1));
    load.commit().unwrap();
    check(&mut old, Some(Met::Committed), |own| graph.insert(own, &[11]));
    check(&mut lazy(&graph), None, |own| graph.insert(own, &[11]));
}

#[test]
fn a_load_of_relationships_keeps_deletions_out() {
    let (graph, first) = graph(1000);
    let areas = areas_of_load(graph.engine.snapshot().catalog(), graph.knows);
    let (mut old, mut renaming) = (lazy(&graph), lazy(&graph));
    let mut load = begin_in(&graph, &areas).unwrap();
    graph.link(&mut load, graph.knows, first, first + 1).unwrap();
    let deletions = Some(Met::Area(Area::Deletions(graph.person), Passage::Shared));
    check(&mut graph.begin(), deletions, |own| own.delete_nodes(graph.person, &[first + 1], true));
    check(&mut graph.begin(), None, |own| graph.insert(own, &[11]));
    check(&mut graph.begin(), None, |own| graph.link(own, graph.owns, first, first));
    let knows = Some(Met::Area(Area::Table(graph.knows), Passage::Shared));
    check(&mut graph.begin(), knows, |own| graph.link(own, graph.knows, first, first));
    load.commit().unwrap();
    check(&mut old, Some(Met::Committed), |own| own.delete_nodes(graph.person, &[first + 1], true));
    let name = Value::String("x".to_owned());
    check(&mut renaming, None, |own| graph.set(own, "name", first, name));
    check(&mut graph.begin(), None, |own| own.delete_nodes(graph.person, &[first + 1], true));
    // A load that reads what was before a deletion would bring relationships without an end.
    let mut late = lazy(&graph);
    let mut deleting = graph.begin();
    deleting.delete_nodes(graph.person, &[first + 2], true).unwrap();
    check(&mut lazy(&graph), Some(Met::Area(Area::Deletions(graph.person), Passage::Exclusive)), |own| {
        own.enter_for_load(graph.knows)
    });
    deleting.commit().unwrap();
    check(&mut late, Some(Met::Committed), |own| own.enter_for_load(graph.knows));
}

#[test]
fn definitions_meet_definitions_and_writers_of_what_they_drop() {
    let (graph, _) = graph(1000);
    let mut writer = graph.begin();
    graph.insert(&mut writer, &[10]).unwrap();
    let mut one = begin_in(&graph, &areas_of_definition(&[])).unwrap();
    let catalog = Some(Met::Area(Area::Catalog, Passage::Exclusive));
    check(&mut lazy(&graph), catalog, |own| own.enter_for_definition(&[]));
    let person = Some(Met::Area(Area::Table(graph.person), Passage::Exclusive));
    check(&mut one, person, |own| own.enter_for_definition(&[graph.person]));
    assert!(begin_in(&graph, &areas_of_definition(&[graph.person])).is_err());
    writer.commit().unwrap();
    drop(one);
    let mut drops = begin_in(&graph, &areas_of_definition(&[graph.person])).unwrap();
    check(&mut drops, None, |own| own.enter_for_definition(&[graph.person]));
}

#[test]
fn a_transaction_beyond_its_share_takes_the_table() {
    let (graph, first) = graph(10);
    let ids: Vec<i64> = (100..200).collect();
    let (mut old, mut large) = (lazy(&graph), graph.begin());
    graph.insert(&mut large, &ids).unwrap();
    let shared = Some(Met::Area(Area::Table(graph.person), Passage::Shared));
    check(&mut graph.begin(), shared, |own| graph.insert(own, &[150]));
    large.commit().unwrap();
    check(&mut old, Some(Met::Committed), |own| graph.insert(own, &[150]));
    drop(old);
    // Beside another writer it cannot have it, and has to begin again behind that one.
    let mut writer = graph.begin();
    graph.insert(&mut writer, &[10]).unwrap();
    let alone = Met::Area(Area::Table(graph.person), Passage::Exclusive);
    let more: Vec<i64> = (200..300).collect();
    check(&mut graph.begin(), Some(alone), |own| graph.insert(own, &more));
    writer.commit().unwrap();
    let mut again = begin_in(&graph, &[(Area::Table(graph.person), Passage::Exclusive)]).unwrap();
    graph.insert(&mut again, &more).unwrap();
    again.commit().unwrap();
    // Many new relationships keep the deletions of their ends out, and nothing else.
    let mut linking = graph.begin();
    for _ in 0..30 {
        graph.link(&mut linking, graph.knows, first, first + 1).unwrap();
        graph.link(&mut linking, graph.knows, first + 2, first + 1).unwrap();
    }
    graph.insert(&mut graph.begin(), &[11]).unwrap();
    for node in 100..200 {
        graph.link(&mut linking, graph.knows, graph.find(&graph.read(), node).unwrap(), first).unwrap();
    }
    graph.insert(&mut graph.begin(), &[11]).unwrap();
    let deletions = Some(Met::Area(Area::Deletions(graph.person), Passage::Shared));
    check(&mut graph.begin(), deletions, |own| own.delete_nodes(graph.person, &[first], true));
    linking.commit().unwrap();
    assert_eq!(graph.content(&graph.read()).edges.len(), 160);
    assert_eq!(graph.engine.intents().open_transactions(), 0);
}
