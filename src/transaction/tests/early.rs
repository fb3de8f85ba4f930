//! Transactions that outgrow their memory write what they have changed into pages before their commit. The same work in
//! a database with plenty of memory says what has to come out.

use std::collections::BTreeMap;
use std::sync::atomic::AtomicBool;

use super::*;
use crate::storage::StorageError;
use crate::storage::backend::MemoryBackend;
use crate::storage::engine::DurabilityMode;
use crate::transaction::WriteError;
use crate::types::Stop;

const MIB: u64 = 1 << 20;

fn small() -> EngineOptions {
    EngineOptions { memory_limit: MIB, checkpoint_threshold: 0, ..options() }
}

fn large() -> EngineOptions {
    EngineOptions { checkpoint_threshold: 0, ..options() }
}

/// What one seed does to a graph, and what it knows of it.
struct Work {
    random: Random,
    next_id: i64,
    /// Rows of nodes, and ids of relationships with their ends.
    nodes: Vec<u64>,
    rels: BTreeMap<u64, (u64, u64)>,
}

impl Work {
    fn new(seed: u64) -> Work {
        Work { random: Random(seed), next_id: 0, nodes: Vec::new(), rels: BTreeMap::new() }
    }

    fn insert(&mut self, graph: &Graph, writer: &mut WriteTransaction, count: i64) -> WriteResult<()> {
        let ids: Vec<i64> = (self.next_id..self.next_id + count).collect();
        let first = graph.insert(writer, &ids)?;
        self.next_id += count;
        self.nodes.extend(first..first + count as u64);
        Ok(())
    }

    fn some_nodes(&mut self, count: usize) -> Vec<u64> {
        (0..count).map(|_| self.nodes[self.random.below(self.nodes.len() as u64) as usize]).collect()
    }

    fn link(&mut self, graph: &Graph, writer: &mut WriteTransaction, count: usize) -> WriteResult<()> {
        let (from, to) = (self.some_nodes(count), self.some_nodes(count));
        let first = writer.insert_rels(graph.knows, &from, &to, &[], count)?;
        self.rels.extend((first..).zip(from.into_iter().zip(to)));
        Ok(())
    }

    fn rename(&mut self, graph: &Graph, writer: &mut WriteTransaction, count: usize) -> WriteResult<()> {
        let mut rows = self.some_nodes(count);
        rows.sort_unstable();
        rows.dedup();
        let round = self.random.below(1000);
        let names = rows.iter().map(|row| Value::String(format!("renamed {row} in {round}")));
        let names = buffer(DataType::String, names);
        writer.update(graph.person, graph.column("name"), &rows, &names.vector())
    }

    fn unlink(&mut self, graph: &Graph, writer: &mut WriteTransaction, count: usize) -> WriteResult<()> {
        let at = self.random.below(self.rels.len() as u64) as usize;
        let ids: Vec<u64> = self.rels.keys().skip(at).take(count).copied().collect();
        writer.delete_rels(graph.knows, &ids)?;
        self.rels.retain(|id, _| ids.binary_search(id).is_err());
        Ok(())
    }

    fn delete(&mut self, graph: &Graph, writer: &mut WriteTransaction, count: usize) -> WriteResult<()> {
        let rows = self.some_nodes(count);
        writer.delete_nodes(graph.person, &rows, true)?;
        self.nodes.retain(|row| !rows.contains(row));
        self.rels.retain(|_, (from, to)| !rows.contains(from) && !rows.contains(to));
        Ok(())
    }

    /// One thing of many rows.
    fn step(&mut self, graph: &Graph, writer: &mut WriteTransaction) -> WriteResult<()> {
        match self.random.below(10) {
            0..2 => self.insert(graph, writer, 700),
            2..6 => self.link(graph, writer, 1500),
            6..8 => self.rename(graph, writer, 600),
            8 => self.unlink(graph, writer, 700),
            _ => self.delete(graph, writer, 10),
        }
    }

    fn steps(&mut self, graph: &Graph, writer: &mut WriteTransaction, count: usize) -> WriteResult<()> {
        (0..count).try_for_each(|_| self.step(graph, writer))
    }
}

fn assert_sound(engine: &Arc<Engine>) {
    let report = engine.check().unwrap();
    assert!(report.is_sound(), "{:#?}", report.problems);
}

/// Commits of a few rows and one large transaction, beside which others commit and write checkpoints. Gives how many
/// commits were acknowledged.
fn life(graph: &Graph, seed: u64, looks: &mut Vec<Content>) -> (usize, WriteResult<()>) {
    let mut done = 0;
    let result = (|| {
        let mut work = Work::new(seed);
        for _ in 0..2 {
            let mut writer = graph.begin();
            work.insert(graph, &mut writer, 500)?;
            work.link(graph, &mut writer, 400)?;
            writer.commit()?;
            done += 1;
        }
        let mut writer = graph.begin();
        let other = graph.begin();
        drop(other);
        work.steps(graph, &mut writer, 12)?;
        looks.push(graph.try_content(&writer.view())?);
        graph.engine.checkpoint()?;
        work.steps(graph, &mut writer, 6)?;
        let savepoint = writer.savepoint();
        let mut dropped = Work { random: Random(work.random.0), rels: work.rels.clone(), ..Work::new(0) };
        (dropped.nodes, dropped.next_id) = (work.nodes.clone(), work.next_id);
        dropped.steps(graph, &mut writer, 10)?;
        writer.rollback_to(savepoint);
        looks.push(graph.try_content(&writer.view())?);
        work.steps(graph, &mut writer, 10)?;
        looks.push(graph.try_content(&writer.view())?);
        writer.commit()?;
        done += 1;
        looks.push(graph.try_content(&graph.read())?);
        let mut writer = graph.begin();
        work.steps(graph, &mut writer, 3)?;
        writer.commit()?;
        done += 1;
        Ok(())
    })();
    (done, result)
}

#[test]
fn large_transactions_come_out_as_with_plenty_of_memory() {
    for seed in 0..6 {
        let plenty = Graph::with(&MemoryBackend::new(), &large()).unwrap();
        let mut expected = Vec::new();
        life(&plenty, seed, &mut expected).1.unwrap();
        assert_eq!(plenty.engine.storage_stats().unwrap().groups_written_early, 0);
        expected.push(plenty.content(&plenty.read()));

        let disk = SimulatedBackend::new(seed);
        let graph = Graph::with(&disk, &small()).unwrap();
        let mut looks = Vec::new();
        life(&graph, seed, &mut looks).1.unwrap();
        looks.push(graph.content(&graph.read()));
        for (at, (look, expected)) in looks.iter().zip(&expected).enumerate() {
            assert!(look == expected, "look {at} of seed {seed}");
        }
        let stats = graph.engine.storage_stats().unwrap();
        assert!(stats.groups_written_early > 20, "{stats:?}");
        assert!(stats.memory.layers.peak <= MIB * 3 / 4, "{:?}", stats.memory.layers);
        assert_eq!(stats.reserved_pages, 0);
        assert_sound(&graph.engine);
        let last = looks.last().unwrap();
        let again = Graph::with(&disk.crash(), &small()).unwrap();
        assert!(&again.content(&again.read()) == last, "seed {seed} after a crash");
        assert_sound(&again.engine);
        graph.engine.checkpoint().unwrap();
        assert!(&graph.content(&graph.read()) == last);
        assert_sound(&graph.engine);
    }
}

#[test]
fn a_crash_beside_a_large_transaction_leaves_before_or_after() {
    for (seed, durability) in [(1, DurabilityMode::Strict), (2, DurabilityMode::Buffered)] {
        let options = EngineOptions { durability, ..small() };
        let disk = SimulatedBackend::new(seed);
        let before = disk.operations();
        let whole = Graph::with(&disk, &options).unwrap();
        let begun = disk.operations();
        life(&whole, seed, &mut Vec::new()).1.unwrap();
        let operations = disk.operations() - before;
        drop(whole);
        // What each number of commits leaves.
        let mut states = Vec::new();
        for commits in 0..=4 {
            let plenty = Graph::with(&MemoryBackend::new(), &large()).unwrap();
            let mut looks = Vec::new();
            if commits > 0 {
                let mut work = Work::new(seed);
                for _ in 0..commits.min(2) {
                    let mut writer = plenty.begin();
                    work.insert(&plenty, &mut writer, 500).unwrap();
                    work.link(&plenty, &mut writer, 400).unwrap();
                    writer.commit().unwrap();
                }
            }
            match commits {
                0..=2 => states.push(plenty.content(&plenty.read())),
                _ => {
                    let plenty = Graph::with(&MemoryBackend::new(), &large()).unwrap();
                    life(&plenty, seed, &mut looks).1.unwrap();
                    states.push(if commits == 3 { looks[3].clone() } else { plenty.content(&plenty.read()) });
                }
            }
        }
        for stop in (begun..=operations).step_by((operations as usize / 12).max(1)) {
            let disk = SimulatedBackend::new(stop);
            disk.crash_after(stop);
            let Ok(graph) = Graph::with(&disk, &options) else { continue };
            let acknowledged = life(&graph, seed, &mut Vec::new()).0;
            drop(graph);
            let again = Graph::with(&disk.crash(), &options).unwrap();
            let content = again.content(&again.read());
            let commits = states.iter().position(|state| *state == content);
            let commits = commits.unwrap_or_else(|| panic!("no state of this life at {stop}"));
            // The large one is synced in `Buffered` too, and all before it.
            let least = match (durability, acknowledged) {
                (DurabilityMode::Strict, _) => acknowledged,
                (_, 3..) => 3,
                _ => 0,
            };
            assert!(
                (least..=acknowledged + 1).contains(&commits),
                "{commits} after {acknowledged} at {stop}"
            );
            assert_sound(&again.engine);
        }
    }
}

#[test]
fn changes_stay_in_the_level_where_others_are() {
    let graph = Graph::with(&MemoryBackend::new(), &small()).unwrap();
    let mut work = Work::new(7);
    let mut writer = graph.begin();
    work.insert(&graph, &mut writer, 2000).unwrap();
    writer.commit().unwrap();
    let mut other = graph.begin();
    let (row, far) = (work.nodes.pop().unwrap(), work.nodes.pop().unwrap());
    graph.link(&mut other, graph.knows, row, far).unwrap();
    let mut writer = graph.begin();
    let error = (0..100).find_map(|_| work.link(&graph, &mut writer, 1000).err()).unwrap();
    let WriteError::Storage(StorageError::ChangesTooLarge { limit, .. }) = &error else { panic!("{error}") };
    assert_eq!(*limit, MIB / 2);
    assert_eq!((graph.engine.storage_stats().unwrap().groups_written_early, writer.met()), (0, None));
    drop((writer, other));
    work.rels.clear();
    let mut writer = graph.begin();
    (0..100).for_each(|_| work.link(&graph, &mut writer, 1000).unwrap());
    writer.commit().unwrap();
    assert_eq!(graph.content(&graph.read()).edges.len(), 100_000);
}

#[test]
fn others_find_the_table_taken_until_the_end_and_see_nothing() {
    let graph = Graph::with(&MemoryBackend::new(), &small()).unwrap();
    graph.define("Other").unwrap();
    let mut work = Work::new(8);
    let mut writer = graph.begin();
    work.insert(&graph, &mut writer, 3000).unwrap();
    writer.commit().unwrap();
    let before = graph.content(&graph.read());
    let mut writer = graph.begin();
    (0..20).for_each(|_| work.rename(&graph, &mut writer, 2000).unwrap());
    assert!(graph.engine.storage_stats().unwrap().groups_written_early > 0);
    let mut other = graph.begin();
    let refused = graph.set(&mut other, "name", 5, Value::String("x".to_owned())).unwrap_err();
    assert!(refused.is_retryable(), "{refused}");
    drop(other);
    assert!(graph.content(&graph.read()) == before);
    // Where it is not, others go on.
    let schema = Arc::clone(graph.engine.snapshot().catalog().node_table("Other").unwrap());
    let ids = buffer(DataType::Int64, [Value::Int64(1)]);
    let mut other = graph.begin();
    other.insert_nodes(schema.id, &[(schema.columns[0].id, ids.vector())], 1).unwrap();
    other.commit().unwrap();
    assert_eq!(writer.view().node_table(schema.id).unwrap().row_count(), 0);
    let after = graph.content(&writer.view());
    assert!(after != before);
    writer.commit().unwrap();
    assert!(graph.content(&graph.read()) == after);
    assert_eq!(graph.read().node_table(schema.id).unwrap().row_count(), 1);
    assert_sound(&graph.engine);
}

#[test]
fn a_full_disk_and_a_stop_leave_the_transaction_as_it_was() {
    let disk = SimulatedBackend::new(11);
    let graph = Graph::with(&disk, &small()).unwrap();
    let mut work = Work::new(9);
    let mut writer = graph.begin();
    work.insert(&graph, &mut writer, 3000).unwrap();
    writer.commit().unwrap();
    graph.engine.checkpoint().unwrap();
    let mut full = 0;
    for room in (0..200).step_by(4) {
        let mut writer = graph.begin();
        work.rels.clear();
        work.link(&graph, &mut writer, 1000).unwrap();
        let (savepoint, before) = (writer.savepoint(), graph.content(&writer.view()));
        disk.set_capacity(Some(disk.used_bytes() + room * 4096));
        let linked = (0..8).try_for_each(|_| work.link(&graph, &mut writer, 1000));
        disk.set_capacity(None);
        match linked {
            Ok(()) => break,
            Err(WriteError::Storage(StorageError::DiskFull { .. })) => full += 1,
            Err(error) => panic!("{error}"),
        }
        writer.rollback_to(savepoint);
        assert!(graph.content(&writer.view()) == before);
        drop(writer);
        assert_eq!(graph.engine.storage_stats().unwrap().reserved_pages, 0);
    }
    assert!(full > 3, "{full}");
    let mut writer = graph.begin();
    work.rels.clear();
    work.link(&graph, &mut writer, 2000).unwrap();
    let (savepoint, before) = (writer.savepoint(), graph.content(&writer.view()));
    writer.stop_at(Stop::new(Arc::new(AtomicBool::new(true)), None));
    let error = (0..8).try_for_each(|_| work.link(&graph, &mut writer, 1000)).unwrap_err();
    assert!(matches!(error, WriteError::Stopped), "{error}");
    writer.stop_at(Stop::default());
    writer.rollback_to(savepoint);
    assert!(graph.content(&writer.view()) == before);
    (0..8).for_each(|_| work.link(&graph, &mut writer, 1000).unwrap());
    writer.commit().unwrap();
    assert_eq!(graph.read().rel_table(graph.knows).unwrap().row_count(), 10_000);
    assert_sound(&graph.engine);
}

#[test]
fn a_savepoint_from_before_other_pages_goes_back_to_all_rows() {
    let graph = Graph::with(&MemoryBackend::new(), &small()).unwrap();
    let mut work = Work::new(13);
    let mut writer = graph.begin();
    work.insert(&graph, &mut writer, 600).unwrap();
    work.link(&graph, &mut writer, 500).unwrap();
    writer.commit().unwrap();
    // What was committed is in levels, when this one begins; its first large change has them written into pages.
    let mut writer = graph.begin();
    let savepoint = writer.savepoint();
    let (rels, written) = (work.rels.clone(), || graph.engine.storage_stats().unwrap().groups_written_early);
    (0..4).for_each(|_| work.link(&graph, &mut writer, 1500).unwrap());
    (0..4).for_each(|_| work.rename(&graph, &mut writer, 600).unwrap());
    let before = written();
    assert!(before > 0);
    writer.rollback_to(savepoint);
    work.rels = rels;
    assert!(graph.content(&writer.view()) == graph.content(&graph.read()));
    (0..4).for_each(|_| work.link(&graph, &mut writer, 1500).unwrap());
    (0..4).for_each(|_| work.rename(&graph, &mut writer, 600).unwrap());
    assert!(written() > before);
    let inside = graph.content(&writer.view());
    let mut edges: Vec<(u64, u64)> = work.rels.values().copied().collect();
    edges.sort_unstable();
    assert!(inside.edges == edges);
    writer.commit().unwrap();
    assert!(graph.content(&graph.read()) == inside);
    assert_sound(&graph.engine);
    graph.engine.checkpoint().unwrap();
    assert!(graph.content(&graph.read()) == inside);
    assert_sound(&graph.engine);
}

#[test]
fn where_others_have_the_memory_a_small_level_goes_to_pages() {
    let graph = Graph::with(&MemoryBackend::new(), &small()).unwrap();
    let names = ["A", "B", "C", "D"];
    names.iter().for_each(|name| graph.define(name).unwrap());
    let mut others = Vec::new();
    for name in names {
        let schema = Arc::clone(graph.engine.snapshot().catalog().node_table(name).unwrap());
        let mut other = graph.begin();
        let mut next = 0;
        // Less than what makes a level large.
        while other.bytes() < 90 << 10 {
            let ids = buffer(DataType::Int64, (next..next + 50).map(Value::Int64));
            other.insert_nodes(schema.id, &[(schema.columns[0].id, ids.vector())], 50).unwrap();
            next += 50;
        }
        other.count_changes().unwrap();
        others.push(other);
    }
    assert_eq!(graph.engine.storage_stats().unwrap().groups_written_early, 0);
    let mut work = Work::new(15);
    let mut writer = graph.begin();
    (0..8).for_each(|_| work.insert(&graph, &mut writer, 500).unwrap());
    assert!(graph.engine.storage_stats().unwrap().groups_written_early > 0);
    writer.commit().unwrap();
    drop(others);
    assert_eq!(graph.content(&graph.read()).rows.len(), 4000);
    assert_sound(&graph.engine);
}
