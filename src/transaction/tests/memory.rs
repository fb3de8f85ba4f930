//! The account of changes: what transactions hold, when checkpoints begin for its sake, and what is refused.

use super::*;
use crate::storage::StorageError;
use crate::storage::backend::MemoryBackend;
use crate::storage::memory::MemoryStats;
use crate::transaction::WriteError;

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

#[test]
fn a_transaction_beyond_the_share_is_refused_and_leaves_nothing() {
    let graph = with_limit(4 * MIB);
    let mut writer = graph.begin();
    let error = add(&graph, &mut writer, 0, 100_000).unwrap_err();
    let WriteError::Storage(StorageError::ChangesTooLarge { limit, needed }) = &error else {
        panic!("{error}")
    };
    assert!(*limit == 2 * MIB && *needed > 0);
    assert!(memory(&graph).layers.used > MIB);
    drop(writer);
    assert_eq!(memory(&graph).layers.used, 0);
    let mut writer = graph.begin();
    add(&graph, &mut writer, 0, 5000).unwrap();
    let savepoint = writer.savepoint();
    let before = memory(&graph).layers.used;
    add(&graph, &mut writer, 5000, 5000).unwrap();
    writer.rollback_to(savepoint);
    assert!(memory(&graph).layers.used <= before + 64 * 1024);
    writer.commit().unwrap();
    assert_eq!(graph.read().node_table(graph.person).unwrap().row_count(), 5000);
}

#[test]
fn an_open_transaction_makes_room_by_writing_what_others_have_committed() {
    let graph = with_limit(8 * MIB);
    let mut others = graph.begin();
    add(&graph, &mut others, 0, 40_000).unwrap();
    others.commit().unwrap();
    let committed = memory(&graph).layers.used;
    let mut writer = graph.begin();
    while committed + writer.bytes() < 5 * MIB {
        let first = 1_000_000 + writer.bytes() as i64;
        add(&graph, &mut writer, first, 1000).unwrap();
    }
    assert_eq!(graph.engine.storage_stats().unwrap().checkpoints, 1);
    writer.commit().unwrap();
}
