//! The account of changes: what transactions hold, when checkpoints begin for its sake, and what is refused.

use std::sync::atomic::AtomicBool;

use super::*;
use crate::storage::StorageError;
use crate::storage::backend::MemoryBackend;
use crate::storage::memory::MemoryStats;
use crate::transaction::WriteError;
use crate::types::Stop;

const MIB: u64 = 1 << 20;

fn with_limit(memory_limit: u64) -> Graph {
    // Without a threshold: checkpoints come for the memory's sake only.
    let options = EngineOptions { memory_limit, checkpoint_threshold: 0, ..options() };
    Graph::with(&MemoryBackend::new(), &options).unwrap()
}

fn memory(graph: &Graph) -> MemoryStats {
    graph.engine.storage_stats().unwrap().memory
}

/// Inserts `count` persons, a thousand with each call.
fn add(graph: &Graph, writer: &mut WriteTransaction, first: i64, count: i64) -> WriteResult<()> {
    for start in (first..first + count).step_by(1000) {
        let ids: Vec<i64> = (start..(start + 1000).min(first + count)).collect();
        graph.insert(writer, &ids)?;
    }
    Ok(())
}

#[test]
fn commits_beyond_the_share_of_changes_make_checkpoints() {
    let graph = with_limit(4 * MIB);
    for round in 0..40 {
        let mut writer = graph.begin();
        add(&graph, &mut writer, round * 4000, 4000).unwrap();
        writer.commit().unwrap();
    }
    let (stats, memory) = (graph.engine.storage_stats().unwrap(), memory(&graph));
    assert!(stats.checkpoints > 0);
    // The share, and what one commit brings.
    assert!(memory.layers.peak <= 3 * MIB, "{memory:?}");
    assert!(memory.layers.peak >= MIB, "{memory:?}");
    assert_eq!(graph.read().node_table(graph.person).unwrap().row_count(), 160_000);
    graph.engine.checkpoint().unwrap();
    graph.engine.flush().unwrap();
    assert_eq!(self::memory(&graph).layers.used, 0);
}

/// Gives the first hundred persons names of so many bytes.
fn widen(graph: &Graph, writer: &mut WriteTransaction, bytes: usize) -> WriteResult<()> {
    (0..100).try_for_each(|row| graph.set(writer, "name", row, Value::String("x".repeat(bytes))))
}

#[test]
fn a_transaction_beyond_the_share_is_refused_and_leaves_nothing() {
    let graph = with_limit(4 * MIB);
    let mut writer = graph.begin();
    add(&graph, &mut writer, 0, 200).unwrap();
    writer.commit().unwrap();
    // Beside another one nothing of it can be written early.
    let mut other = graph.begin();
    graph.set(&mut other, "name", 150, Value::String("other".to_owned())).unwrap();
    let before = memory(&graph).layers.used;
    let mut writer = graph.begin();
    let error = widen(&graph, &mut writer, 30_000).unwrap_err();
    let WriteError::Storage(StorageError::ChangesTooLarge { limit, needed }) = &error else {
        panic!("{error}")
    };
    assert!(*limit == 2 * MIB && *needed > 0);
    assert!(memory(&graph).layers.used > MIB);
    drop(writer);
    assert_eq!(memory(&graph).layers.used, before);
    let mut writer = graph.begin();
    widen(&graph, &mut writer, 4_000).unwrap();
    let savepoint = writer.savepoint();
    let before = memory(&graph).layers.used;
    widen(&graph, &mut writer, 5_000).unwrap();
    writer.rollback_to(savepoint);
    assert!(memory(&graph).layers.used <= before + 64 * 1024);
    writer.commit().unwrap();
    assert_eq!(graph.value(&graph.read(), "name", 99), Value::String("x".repeat(4_000)));
}

#[test]
fn an_open_transaction_makes_room_by_writing_what_others_have_committed() {
    let graph = with_limit(8 * MIB);
    for first in [0, 10_000, 20_000] {
        let mut others = graph.begin();
        add(&graph, &mut others, first, 10_000).unwrap();
        others.commit().unwrap();
    }
    let committed = memory(&graph).layers.used;
    assert!(committed > MIB);
    let mut other = graph.begin();
    graph.set(&mut other, "name", 150, Value::String("other".to_owned())).unwrap();
    let mut writer = graph.begin();
    while committed + writer.bytes() < 5 * MIB {
        widen(&graph, &mut writer, 3_000).unwrap();
    }
    let stats = graph.engine.storage_stats().unwrap();
    assert_eq!((stats.checkpoints, stats.groups_written_early), (1, 0));
    writer.commit().unwrap();
    drop(other);
}

/// What the persons of a version are: how many, and the sum of their ids.
fn persons(graph: &Graph, view: &ReadTransaction) -> (u64, i64) {
    let nodes = view.node_table(graph.person).unwrap();
    let mut worker = view.worker().unwrap();
    let mut out = VectorBuffer::new(DataType::Int64);
    let rows: Vec<u64> =
        (0..nodes.row_bound()).filter(|row| nodes.is_visible(*row, &mut worker).unwrap()).collect();
    nodes.gather(graph.column("id"), &rows, &mut worker, &mut out).unwrap();
    let sum = (0..out.len()).map(|row| out.vector().value(row, &DataType::Int64).as_i64().unwrap()).sum();
    (rows.len() as u64, sum)
}

#[test]
fn a_large_transaction_writes_whole_groups_early() {
    const COUNT: i64 = 140_000;
    let disk = SimulatedBackend::new(5);
    let small = EngineOptions { memory_limit: 16 * MIB, checkpoint_threshold: 0, ..options() };
    let graph = Graph::with(&disk, &small).unwrap();
    let mut writer = graph.begin();
    add(&graph, &mut writer, 0, 10).unwrap();
    writer.commit().unwrap();
    let mut writer = graph.begin();
    add(&graph, &mut writer, 10, 1000).unwrap();
    let savepoint = writer.savepoint();
    add(&graph, &mut writer, 1010, COUNT).unwrap();
    writer.rollback_to(savepoint);
    assert_eq!(persons(&graph, &writer.view()).0, 1010);
    add(&graph, &mut writer, 1010, COUNT).unwrap();
    // All rows together take more.
    assert!(writer.bytes() < 5 * MIB, "{} bytes", writer.bytes());
    let expected = (COUNT as u64 + 1010, (0..COUNT + 1010).sum());
    assert_eq!(persons(&graph, &writer.view()), expected);
    // Rows that have pages already are read, changed, deleted and found by key like all others.
    let (early, late) = (graph.find(&writer.view(), 70_000).unwrap(), COUNT + 1000);
    graph.set(&mut writer, "name", early, Value::String("renamed".to_owned())).unwrap();
    let gone = graph.find(&writer.view(), 120_000).unwrap();
    writer.delete_nodes(graph.person, &[gone], false).unwrap();
    let again = graph.insert(&mut writer, &[70_000]).unwrap_err();
    assert!(matches!(again, WriteError::DuplicateKey { .. }), "{again}");
    let last = graph.find(&writer.view(), late).unwrap();
    graph.link(&mut writer, graph.knows, early, last).unwrap();
    let expected = (expected.0 - 1, expected.1 - 120_000);
    assert!(memory(&graph).layers.peak <= 8 * MIB, "{:?}", memory(&graph).layers);
    writer.commit().unwrap();
    let check = |graph: &Graph| {
        let view = graph.read();
        assert_eq!(persons(graph, &view), expected);
        assert_eq!(graph.value(&view, "name", early), Value::String("renamed".to_owned()));
        assert_eq!((graph.find(&view, 70_000), graph.find(&view, 120_000)), (Some(early), None));
        let numbers: Vec<Value> =
            [early, last].iter().map(|row| graph.value(&view, "number", *row)).collect();
        assert!(numbers[0] != numbers[1] && !numbers[1].is_null(), "{numbers:?}");
        assert_eq!(view.rel_table(graph.knows).unwrap().row_count(), 1);
        graph.engine.check().unwrap();
    };
    check(&graph);
    check(&Graph::with(&disk.snapshot(), &small).unwrap());
    check(&Graph::with(&disk.crash(), &small).unwrap());
    graph.engine.checkpoint().unwrap();
    check(&graph);
    let mut writer = graph.begin();
    add(&graph, &mut writer, 1_000_000, 100).unwrap();
    writer.commit().unwrap();
    drop(graph);
    let reopened = Graph::with(&disk.snapshot(), &small).unwrap();
    assert_eq!(persons(&reopened, &reopened.read()).0, expected.0 + 100);
}

#[test]
fn deletions_and_what_is_announced_count() {
    const COUNT: i64 = 40_000;
    let graph = with_limit(256 * MIB);
    let mut writer = graph.begin();
    add(&graph, &mut writer, 0, COUNT).unwrap();
    let nodes: Vec<u64> = (0..COUNT as u64).collect();
    let others: Vec<u64> = nodes.iter().rev().copied().collect();
    let rels = writer.insert_rels(graph.knows, &nodes, &others, &[], nodes.len()).unwrap();
    writer.commit().unwrap();
    graph.engine.checkpoint().unwrap();
    let mut writer = graph.begin();
    assert_eq!(memory(&graph).layers.used, 0);
    let ids: Vec<u64> = (rels..).take(nodes.len()).collect();
    assert_eq!(writer.delete_rels(graph.knows, &ids).unwrap(), nodes.len() as u64);
    writer.count_changes().unwrap();
    let used = memory(&graph).layers.used;
    // Two entries of each relationship, and what others may not change meanwhile.
    assert!(used >= COUNT as u64 * (2 * 14 + 100), "{used} bytes");
    // Only so much of the share is for announcements; then the transaction is alone at the table.
    let deleted = writer.delete_nodes(graph.person, &nodes, true).unwrap();
    assert_eq!((deleted.nodes, deleted.rels), (nodes.len() as u64, 0));
    writer.count_changes().unwrap();
    assert!(memory(&graph).layers.used <= used + 9 * MIB, "{:?}", memory(&graph).layers);
    drop(writer);
    assert_eq!(memory(&graph).layers.used, 0);
}

#[test]
fn a_stopped_change_leaves_the_level_as_it_was() {
    const COUNT: i64 = 20_000;
    let graph = with_limit(64 * MIB);
    let mut writer = graph.begin();
    add(&graph, &mut writer, 0, COUNT).unwrap();
    writer.commit().unwrap();
    let all: Vec<u64> = (0..COUNT as u64).collect();
    let flag = Arc::new(AtomicBool::new(true));
    let mut writer = graph.begin();
    writer.delete_nodes(graph.person, &all[..10], true).unwrap();
    writer.stop_at(Stop::new(Arc::clone(&flag), None));
    let error = writer.delete_nodes(graph.person, &all, true).unwrap_err();
    assert!(matches!(error, WriteError::Stopped), "{error}");
    let error = add(&graph, &mut writer, COUNT, 5000).unwrap_err();
    assert!(matches!(error, WriteError::Stopped), "{error}");
    writer.stop_at(Stop::default());
    assert_eq!(persons(&graph, &writer.view()).0, COUNT as u64 - 10);
    // A row that is refused is named by its place, in whatever piece it is.
    graph.link(&mut writer, graph.knows, 18_000, 18_001).unwrap();
    let error = writer.delete_nodes(graph.person, &all, false).unwrap_err();
    assert_eq!(error.row(), Some(18_000), "{error}");
    assert_eq!(persons(&graph, &writer.view()).0, COUNT as u64 - 10);
    let deleted = writer.delete_nodes(graph.person, &all, true).unwrap();
    assert_eq!((deleted.nodes, deleted.rels), (COUNT as u64 - 10, 1));
    writer.commit().unwrap();
    assert_eq!(persons(&graph, &graph.read()).0, 0);
    graph.engine.check().unwrap();
}

#[test]
fn a_large_transaction_that_is_rolled_back_leaves_no_page() {
    let graph = with_limit(16 * MIB);
    let before = graph.engine.storage_stats().unwrap();
    let mut writer = graph.begin();
    add(&graph, &mut writer, 0, 150_000).unwrap();
    assert!(graph.engine.storage_stats().unwrap().reserved_pages > 0);
    drop(writer);
    let after = graph.engine.storage_stats().unwrap();
    assert_eq!((after.reserved_pages, after.memory.layers.used), (0, before.memory.layers.used));
    assert_eq!(persons(&graph, &graph.read()).0, 0);
    graph.engine.check().unwrap();
    let mut writer = graph.begin();
    add(&graph, &mut writer, 0, 100).unwrap();
    writer.commit().unwrap();
}
