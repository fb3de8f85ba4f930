//! Definitions and loads as steps of transactions, on a disk that loses power, fails or is full at every operation: the
//! database is as before a commit or as after it, and no page is lost or used twice.

use std::sync::Arc;

use super::*;
use crate::catalog::CatalogError;
use crate::storage::StorageError;
use crate::storage::column::chunk_writer;
use crate::storage::engine::{DurabilityMode, LoadedRows, StagedLoad};
use crate::storage::index::{KeyIndex, KeyLayout, KeyStore};
use crate::storage::table::bulk::NodeBulkLoad;
use crate::storage::table::{ScanOptions, open_node_table};
use crate::transaction::WriteError;

#[derive(Debug)]
enum Fault {
    Catalog(CatalogError),
    Write(WriteError),
}

impl From<WriteError> for Fault {
    fn from(error: WriteError) -> Fault {
        Fault::Write(error)
    }
}

impl Fault {
    fn write(self) -> WriteError {
        match self {
            Fault::Write(error) => error,
            Fault::Catalog(error) => panic!("{error}"),
        }
    }
}

fn begin(engine: &Arc<Engine>) -> WriteResult<WriteTransaction> {
    WriteTransaction::begin(engine, WriteOptions { lazy: true, ..WriteOptions::default() })
}

fn create(writer: &mut WriteTransaction, name: &str) -> WriteResult<()> {
    let table = NewNodeTable {
        name: name.to_owned(),
        columns: vec![NewColumn::new("id", DataType::Int64)],
        primary_key: vec!["id".to_owned()],
        open: false,
    };
    let define = |catalog: &mut crate::catalog::Catalog| {
        catalog.create_node_table(table).map_err(Fault::Catalog)?;
        Ok(Some(Vec::new()))
    };
    writer.define::<Fault>(define).map_err(Fault::write)?;
    Ok(())
}

fn drop_table(writer: &mut WriteTransaction, name: &str) -> WriteResult<()> {
    let define = |catalog: &mut crate::catalog::Catalog| {
        Ok(Some(catalog.drop_table(name).map_err(Fault::Catalog)?.ids))
    };
    writer.define::<Fault>(define).map_err(Fault::write)?;
    Ok(())
}

fn ids(ids: &[i64]) -> VectorBuffer {
    let mut buffer = VectorBuffer::new(DataType::Int64);
    ids.iter().for_each(|id| buffer.push_value(&Value::Int64(*id)).unwrap());
    buffer
}

/// Loads rows by pages of their own.
fn load(writer: &mut WriteTransaction, name: &str, rows: &[i64]) -> WriteResult<()> {
    let table = writer.catalog().node_table(name).unwrap().id;
    let place = writer.begin_load(table)?;
    let layout = Arc::clone(open_node_table(&place.view, table)?.layout());
    let bulk =
        NodeBulkLoad::begin(&*place.batch, layout, place.row_bound, chunk_writer::WriteOptions::default());
    let (buffer, key) = (ids(rows), KeyLayout::new(&[DataType::Int64]).unwrap());
    bulk.append(&[buffer.vector()], rows.len())?;
    let mut keys = KeyStore::new(key.clone());
    keys.append(&[buffer.vector()], rows.len()).unwrap();
    let first = bulk.first_offset();
    let staged = bulk.finish()?;
    let mut worker = place.view.pool().worker()?;
    let keys = KeyIndex::empty(key).append(&keys.sorted(), first, &place.batch, &mut worker.cursor())?;
    drop(worker);
    let load = StagedLoad { table, rows: LoadedRows::Nodes(staged), keys, serials: Vec::new() };
    writer.add_load(place, load, first + rows.len() as u64)
}

fn insert(writer: &mut WriteTransaction, name: &str, rows: &[i64]) -> WriteResult<()> {
    let schema = Arc::clone(writer.catalog().node_table(name).unwrap());
    let buffer = ids(rows);
    writer.insert_nodes(schema.id, &[(schema.columns[0].id, buffer.vector())], rows.len()).map(|_| ())
}

/// The ids of a table, each found by its key.
fn found(view: &ReadTransaction, name: &str) -> StorageResult<Option<Vec<i64>>> {
    let Some(schema) = view.catalog().node_table(name) else { return Ok(None) };
    let nodes = view.node_table(schema.id)?;
    let (reader, mut asking, mut worker) = (view.key_reader(schema.id)?, view.worker()?, view.worker()?);
    let mut scanner = nodes.scanner(&[schema.columns[0].id], &[], &ScanOptions { vector_size: 64 })?;
    let mut out = Vec::new();
    for group in 0..nodes.group_count() {
        scanner.open(group, 0..u32::MAX)?;
        while let Some(batch) = scanner.next(&mut worker)? {
            for row in (0..batch.length).filter(|row| batch.selection.contains(*row)) {
                let value = batch.columns[0].value(row, &DataType::Int64);
                let offset = reader.lookup(std::slice::from_ref(&value), &mut asking)?;
                assert_eq!(offset, Some(batch.first_offset + row as u64), "{value}");
                let Value::Int64(id) = value else { panic!("{value}") };
                out.push(id);
            }
        }
    }
    out.sort_unstable();
    Ok(Some(out))
}

/// What the tables hold after each commit of `life`.
fn contents(commits: usize) -> [Option<Vec<i64>>; 2] {
    match commits {
        0 => [None, None],
        1 => [Some(vec![1, 2, 3, 4, 5]), None],
        2 => [Some(vec![1, 2, 3, 4, 5, 6]), Some(vec![])],
        3 => [Some(vec![1, 2, 3, 4, 5, 6, 7, 8, 9]), Some(vec![10, 11])],
        4 => [Some(vec![1, 4, 5, 6, 7, 8, 9]), Some(vec![10, 11])],
        5 => [Some(vec![1, 2, 4, 5, 6, 7, 8, 9]), Some(vec![3, 10, 11])],
        _ => [None, Some(vec![3, 10, 11, 20])],
    }
}

const COMMITS: usize = 6;

/// Makes a database and commits six times, with checkpoints between; stops at the first error. Gives the commits
/// that were acknowledged.
fn life(backend: &dyn StorageBackend, options: &EngineOptions) -> (usize, WriteResult<()>) {
    let mut done = 0;
    let result = (|| {
        let engine = Engine::open(backend, options)?;
        let mut commit = |work: &dyn Fn(&mut WriteTransaction) -> WriteResult<()>| -> WriteResult<()> {
            let mut writer = begin(&engine)?;
            work(&mut writer)?;
            writer.commit()?;
            done += 1;
            Ok(())
        };
        commit(&|writer| {
            create(writer, "A")?;
            load(writer, "A", &[1, 2, 3])?;
            insert(writer, "A", &[4, 5])
        })?;
        commit(&|writer| {
            insert(writer, "A", &[6])?;
            create(writer, "B")
        })?;
        engine.checkpoint()?;
        commit(&|writer| {
            load(writer, "A", &[7, 8])?;
            let savepoint = writer.savepoint();
            load(writer, "B", &[99])?;
            drop_table(writer, "A")?;
            writer.rollback_to(savepoint);
            load(writer, "B", &[10, 11])?;
            load(writer, "A", &[9])
        })?;
        commit(&|writer| {
            let table = writer.catalog().node_table("A").unwrap().id;
            let mut worker = writer.view().worker()?;
            let reader = writer.view().key_reader(table)?;
            let rows = [2, 3].map(|id| reader.lookup(&[Value::Int64(id)], &mut worker));
            let rows =
                rows.into_iter().map(|row| row.map(|row| row.unwrap())).collect::<StorageResult<Vec<_>>>()?;
            drop(worker);
            writer.delete_nodes(table, &rows, true).map(|_| ())
        })?;
        // Keys that are gone in a level come again by pages below it.
        commit(&|writer| {
            load(writer, "A", &[2])?;
            load(writer, "B", &[3])
        })?;
        engine.checkpoint()?;
        commit(&|writer| {
            create(writer, "Passing")?;
            load(writer, "Passing", &[1, 2])?;
            drop_table(writer, "A")?;
            insert(writer, "B", &[20])?;
            drop_table(writer, "Passing")
        })?;
        engine.close()?;
        Ok(())
    })();
    (done, result)
}

fn assert_sound(engine: &Arc<Engine>) {
    let report = engine.check().unwrap();
    assert!(report.is_sound(), "{:#?}", report.problems);
}

/// How many of the commits a database has; everything in it must fit.
fn commits_of(engine: &Arc<Engine>) -> usize {
    let view = ReadTransaction::begin(engine);
    let here = ["A", "B"].map(|name| found(&view, name).unwrap());
    assert!(view.catalog().node_table("Passing").is_none());
    let commits = (0..=COMMITS).find(|commits| contents(*commits) == here);
    drop(view);
    assert_sound(engine);
    commits.unwrap_or_else(|| panic!("{here:?}"))
}

fn modes() -> [EngineOptions; 2] {
    [DurabilityMode::Strict, DurabilityMode::Buffered]
        .map(|durability| EngineOptions { durability, ..options() })
}

fn operations_of_a_life(options: &EngineOptions) -> u64 {
    let disk = SimulatedBackend::new(0);
    let (done, result) = life(&disk, options);
    result.unwrap();
    assert_eq!(done, COMMITS);
    let engine = Engine::open(&disk, options).unwrap();
    assert_eq!(commits_of(&engine), COMMITS);
    disk.operations()
}

#[test]
fn a_crash_at_any_operation_leaves_before_or_after() {
    for options in modes() {
        for stop in 0..=operations_of_a_life(&options) {
            let disk = SimulatedBackend::new(stop);
            disk.crash_after(stop);
            let (acknowledged, _) = life(&disk, &options);
            let crashed = disk.crash();
            let engine = Engine::open(&crashed, &options).unwrap();
            let commits = commits_of(&engine);
            // The fourth has no pages, and is not synced in `Buffered`.
            let least = acknowledged
                - usize::from(acknowledged == 4 && options.durability == DurabilityMode::Buffered);
            assert!(
                (least..=acknowledged + 1).contains(&commits),
                "{commits} after {acknowledged} at {stop}"
            );
            // And it can go on, over what the log names, by the log and by a switch.
            let mut writer = begin(&engine).unwrap();
            create(&mut writer, "After").unwrap();
            load(&mut writer, "After", &[1]).unwrap();
            writer.commit().unwrap();
            assert_sound(&engine);
            engine.checkpoint().unwrap();
            assert_sound(&engine);
            drop(engine);
            let engine = Engine::open(&crashed, &options).unwrap();
            assert_eq!(found(&ReadTransaction::begin(&engine), "After").unwrap(), Some(vec![1]), "{stop}");
            assert_sound(&engine);
        }
    }
}

#[test]
fn a_failing_call_leaves_before_or_after() {
    let options = options();
    for failing in 1..=operations_of_a_life(&options) {
        let disk = SimulatedBackend::new(failing);
        disk.fail_operation(failing);
        let (acknowledged, _) = life(&disk, &options);
        disk.clear_faults();
        let engine = Engine::open(&disk.crash(), &options).unwrap();
        let commits = commits_of(&engine);
        let expected = acknowledged..=acknowledged + 1;
        assert!(expected.contains(&commits), "{commits} after {acknowledged} at {failing}");
    }
}

#[test]
fn a_full_disk_fails_the_commit_and_gives_its_pages_back() {
    let disk = SimulatedBackend::new(9);
    let engine = Engine::open(&disk, &options()).unwrap();
    let mut writer = begin(&engine).unwrap();
    create(&mut writer, "A").unwrap();
    writer.commit().unwrap();
    let rows: Vec<i64> = (0..20_000).collect();
    let mut refused = 0;
    for room in 0..200 {
        disk.set_capacity(Some(disk.used_bytes() + room * 4096));
        let before = engine.storage_stats().unwrap().reserved_pages;
        let mut writer = begin(&engine).unwrap();
        match load(&mut writer, "A", &rows).and_then(|()| writer.commit()) {
            Ok(_) => break,
            Err(WriteError::Storage(StorageError::DiskFull { .. })) => refused += 1,
            Err(error) => panic!("{error}"),
        }
        assert_eq!(engine.storage_stats().unwrap().reserved_pages, before);
        assert_eq!(found(&ReadTransaction::begin(&engine), "A").unwrap(), Some(Vec::new()));
    }
    assert!(refused > 3, "{refused}");
    disk.set_capacity(None);
    assert_eq!(found(&ReadTransaction::begin(&engine), "A").unwrap(), Some(rows));
    assert_sound(&engine);
}

#[test]
fn pages_that_the_header_needs_are_not_written_over() {
    let disk = SimulatedBackend::new(3);
    let engine = Engine::open(&disk, &options()).unwrap();
    let write = |work: &dyn Fn(&mut WriteTransaction) -> WriteResult<()>| {
        let mut writer = begin(&engine).unwrap();
        work(&mut writer).unwrap();
        writer.commit().unwrap();
    };
    write(&|writer| create(writer, "A"));
    engine.checkpoint().unwrap();
    let header = engine.page_file().header();
    for round in 0..20 {
        write(&|writer| load(writer, "A", &[round]));
        write(&|writer| create(writer, &format!("T{round}")));
    }
    assert_eq!(engine.page_file().header().generation, header.generation, "no switch");
    assert!(engine.page_file().is_ahead() && engine.storage_stats().unwrap().held_pages > 40);
    assert_sound(&engine);
    // What the log names is found again and again, whatever is written over it.
    let mut disk = disk.crash();
    drop(engine);
    for round in 0..3 {
        let engine = Engine::open(&disk, &options()).unwrap();
        assert_eq!(found(&ReadTransaction::begin(&engine), "A").unwrap(), Some((0..20 + round).collect()));
        let mut writer = begin(&engine).unwrap();
        load(&mut writer, "A", &[20 + round]).unwrap();
        writer.commit().unwrap();
        assert_sound(&engine);
        disk = disk.crash();
    }
    let engine = Engine::open(&disk, &options()).unwrap();
    engine.checkpoint().unwrap();
    assert!(!engine.page_file().is_ahead());
    assert_eq!(engine.storage_stats().unwrap().held_pages, 0);
    assert_sound(&engine);
    let read_only = EngineOptions { read_only: true, create: false, ..options() };
    drop(engine);
    let engine = Engine::open(&disk, &read_only).unwrap();
    assert_eq!(found(&ReadTransaction::begin(&engine), "A").unwrap(), Some((0..23).collect()));
}

#[test]
fn a_reader_only_sees_what_the_log_names() {
    let disk = SimulatedBackend::new(4);
    let engine = Engine::open(&disk, &options()).unwrap();
    let mut writer = begin(&engine).unwrap();
    create(&mut writer, "A").unwrap();
    load(&mut writer, "A", &[5, 6]).unwrap();
    writer.commit().unwrap();
    let disk = disk.crash();
    let writes = disk.operations();
    let read_only = EngineOptions { read_only: true, create: false, ..options() };
    let engine = Engine::open(&disk, &read_only).unwrap();
    assert_eq!(found(&ReadTransaction::begin(&engine), "A").unwrap(), Some(vec![5, 6]));
    assert_sound(&engine);
    assert_eq!(disk.operations(), writes, "a reader writes nothing");
}

#[test]
fn loads_of_several_transactions_meet_checkpoints_and_each_other() {
    let disk = SimulatedBackend::new(5);
    let engine = Engine::open(&disk, &options()).unwrap();
    for name in ["A", "B", "C"] {
        let mut writer = begin(&engine).unwrap();
        create(&mut writer, name).unwrap();
        writer.commit().unwrap();
    }
    let mut open: Vec<WriteTransaction> = ["A", "B"]
        .into_iter()
        .map(|name| {
            let mut writer = begin(&engine).unwrap();
            load(&mut writer, name, &[1, 2]).unwrap();
            insert(&mut writer, name, &[3]).unwrap();
            writer
        })
        .collect();
    let mut other = begin(&engine).unwrap();
    insert(&mut other, "C", &[7]).unwrap();
    other.commit().unwrap();
    engine.checkpoint().unwrap();
    for (writer, name) in open.iter().zip(["A", "B"]) {
        assert_eq!(found(&writer.view(), name).unwrap(), Some(vec![1, 2, 3]));
        assert_eq!(found(&writer.view(), "C").unwrap(), Some(Vec::new()), "the snapshot of the beginning");
    }
    let mut late = begin(&engine).unwrap();
    assert!(load(&mut late, "A", &[9]).unwrap_err().is_retryable(), "somebody loads it");
    drop(late);
    open.pop().unwrap().commit().unwrap();
    engine.checkpoint().unwrap();
    open.pop().unwrap().commit().unwrap();
    for name in ["A", "B"] {
        assert_eq!(found(&ReadTransaction::begin(&engine), name).unwrap(), Some(vec![1, 2, 3]));
    }
    assert_eq!(found(&ReadTransaction::begin(&engine), "C").unwrap(), Some(vec![7]));
    assert_sound(&engine);
    let engine = Engine::open(&disk.crash(), &options()).unwrap();
    assert_eq!(found(&ReadTransaction::begin(&engine), "A").unwrap(), Some(vec![1, 2, 3]));
    assert_sound(&engine);
}
