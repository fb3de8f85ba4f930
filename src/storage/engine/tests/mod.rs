//! The engine against a model, across reopening, crashes and full disks. Groups here are group pages without
//! columns: their one extent holds bytes that a marker determines.

mod crash;
mod model;

use std::sync::Arc;
use std::time::Duration;

use super::{CommitChanges, Engine, EngineOptions};
use crate::catalog::{Catalog, NewColumn, NewNodeTable};
use crate::storage::backend::{MemoryBackend, SimulatedBackend, StorageBackend};
use crate::storage::directory::{TableChange, TableRecord};
use crate::storage::page::{ExtentRef, PAGE_SIZE, WriteBatch, extent_runs};
use crate::storage::state::State;
use crate::storage::{StorageError, StorageResult};
use crate::types::{DataType, TableId};

fn options() -> EngineOptions {
    EngineOptions { buffer_pool_bytes: 8 << 20, ..EngineOptions::default() }
}

fn open(backend: &dyn StorageBackend) -> Arc<Engine> {
    Engine::open(backend, &options()).unwrap()
}

fn add_table(catalog: &mut Catalog, name: &str) -> TableId {
    let table = NewNodeTable {
        name: name.to_owned(),
        columns: vec![NewColumn::new("id", DataType::Int64)],
        primary_key: vec!["id".to_owned()],
        open: false,
    };
    catalog.create_node_table(table).unwrap()
}

/// What the extent of a group with this marker holds.
fn content(marker: u64) -> Vec<u8> {
    let length = [100, PAGE_SIZE, 3 * PAGE_SIZE + 1, 40 * PAGE_SIZE][(marker % 4) as usize];
    (0..length as u64).map(|at| (at.wrapping_mul(31) + marker.wrapping_mul(7) + (at >> 9)) as u8).collect()
}

/// A group page as `specs/format/group_page.md` draws it, with one extent and no columns.
fn write_group(batch: &WriteBatch, table: TableId, group: u64, marker: u64) -> StorageResult<ExtentRef> {
    let data = batch.write_extent(&content(marker))?;
    let mut page = Vec::new();
    page.extend_from_slice(b"QGRP");
    page.extend_from_slice(&[1, 0, 1, 0]);
    page.extend_from_slice(&table.0.to_le_bytes());
    page.extend_from_slice(&(group as u32).to_le_bytes());
    page.extend_from_slice(&[0; 8]);
    page.extend_from_slice(&1u32.to_le_bytes());
    page.extend_from_slice(&[0; 4]);
    page.extend_from_slice(&data.encode());
    batch.write_extent(&page)
}

fn data_extent(page: &[u8]) -> ExtentRef {
    ExtentRef::decode(page[32..80].try_into().unwrap())
}

/// Whether the group holds what its marker says; none for a group that is not there.
fn group_has(state: &State, table: TableId, group: u64, marker: Option<u64>) -> StorageResult<()> {
    let record = state.table_record(table)?;
    let source = &**state.page_file();
    let page = record.rows.get(group, source, "group", |_, bytes| Ok(bytes))?;
    assert_eq!(page.is_some(), marker.is_some(), "table {table}, group {group}");
    if let (Some(page), Some(marker)) = (page, marker) {
        let bytes = source.read_extent(&data_extent(&page), "data")?;
        assert!(bytes == content(marker), "table {table}, group {group} is not {marker}");
    }
    Ok(())
}

/// Puts a group, retiring the extent of the one it replaces.
fn put_group(
    record: &TableRecord,
    change: &mut TableChange,
    batch: &WriteBatch,
    group: u64,
    marker: Option<u64>,
) -> StorageResult<()> {
    let source = &**batch.page_file();
    if let Some(page) = record.rows.get(group, source, "group", |_, bytes| Ok(bytes))? {
        change.retired.extend(extent_runs(&data_extent(&page)));
    }
    let extent = marker.map(|marker| write_group(batch, record.table, group, marker)).transpose()?;
    change.rows.insert(group, extent);
    change.row_bound = change.row_bound.max((group + 1) << 16);
    Ok(())
}

/// One commit that puts groups into a table.
fn commit_groups(engine: &Arc<Engine>, table: TableId, groups: &[(u64, Option<u64>)]) -> StorageResult<()> {
    let turn = engine.begin_write(None)?;
    let record = turn.snapshot().table_record(table)?;
    let mut change = TableChange::new(&record);
    for (group, marker) in groups {
        put_group(&record, &mut change, turn.batch()?, *group, *marker)?;
    }
    turn.commit(CommitChanges { tables: vec![change], ..CommitChanges::default() })?;
    Ok(())
}

fn commit_table(engine: &Arc<Engine>, name: &str) -> StorageResult<TableId> {
    let turn = engine.begin_write(None)?;
    let mut catalog = (**turn.snapshot().catalog()).clone();
    let id = add_table(&mut catalog, name);
    turn.commit(CommitChanges { catalog: Some(catalog), ..CommitChanges::default() })?;
    Ok(id)
}

#[track_caller]
fn assert_sound(engine: &Arc<Engine>) {
    let report = engine.check().unwrap();
    assert!(report.is_sound(), "{:#?}", report.problems);
}

#[test]
fn an_empty_database_is_small_and_opens_with_few_reads() {
    let disk = SimulatedBackend::new(1);
    let engine = open(&disk);
    assert_sound(&engine);
    assert_eq!(engine.snapshot().catalog().node_tables().len(), 0);
    engine.close().unwrap();
    drop(engine);
    assert!(disk.used_bytes() < 64 << 10, "{} bytes", disk.used_bytes());
    let engine = open(&disk);
    assert!(engine.storage_stats().unwrap().pages_read_at_open <= 20);
}

#[test]
fn a_hundred_small_tables_stay_small_and_open_with_few_reads() {
    let disk = SimulatedBackend::new(2);
    let engine = open(&disk);
    for number in 0..100 {
        let table = commit_table(&engine, &format!("Table{number}")).unwrap();
        commit_groups(&engine, table, &[(0, Some(4))]).unwrap();
    }
    assert_sound(&engine);
    drop(engine);
    assert!(disk.used_bytes() < 4 << 20, "{} bytes", disk.used_bytes());
    let engine = open(&disk);
    let stats = engine.storage_stats().unwrap();
    assert!(stats.pages_read_at_open <= 20, "{stats:?}");
    for number in 0..100 {
        group_has(&engine.snapshot(), TableId(number), 0, Some(4)).unwrap();
    }
}

#[test]
fn a_table_of_many_groups_is_read_lazily_and_written_by_paths() {
    let disk = SimulatedBackend::new(3);
    let engine = open(&disk);
    let table = commit_table(&engine, "T").unwrap();
    let groups: Vec<_> = (0..8000).map(|group| (group, Some(0))).collect();
    commit_groups(&engine, table, &groups).unwrap();
    let before = engine.storage_stats().unwrap();
    commit_groups(&engine, table, &[(7_999, Some(1))]).unwrap();
    let after = engine.storage_stats().unwrap();
    // Data, group page, three index pages, record, top of the directory, free list, root, two headers.
    assert!(after.pages_written - before.pages_written <= 14, "{before:?} {after:?}");
    assert_sound(&engine);
    drop(engine);
    let engine = open(&disk);
    let before = engine.storage_stats().unwrap();
    assert!(before.pages_read_at_open <= 20);
    group_has(&engine.snapshot(), table, 7_999, Some(1)).unwrap();
    group_has(&engine.snapshot(), table, 5, Some(0)).unwrap();
    let after = engine.storage_stats().unwrap();
    assert!(after.pages_read - before.pages_read <= 12, "{before:?} {after:?}");
}

#[test]
fn pages_of_dropped_tables_are_used_again() {
    let engine = Engine::in_memory(&options()).unwrap();
    let mut sizes = Vec::new();
    for round in 0..6 {
        let table = commit_table(&engine, &format!("T{round}")).unwrap();
        commit_groups(&engine, table, &[(0, Some(3)), (90, Some(3)), (200, Some(2))]).unwrap();
        let turn = engine.begin_write(None).unwrap();
        let mut catalog = (**turn.snapshot().catalog()).clone();
        let dropped = catalog.drop_table(&format!("T{round}")).unwrap().ids;
        turn.commit(CommitChanges { catalog: Some(catalog), dropped, ..CommitChanges::default() }).unwrap();
        assert_sound(&engine);
        sizes.push(engine.storage_stats().unwrap().pages);
    }
    assert!(sizes[5] <= sizes[1], "{sizes:?}");
}

#[test]
fn a_turn_without_commit_leaves_nothing() {
    let engine = Engine::in_memory(&options()).unwrap();
    let table = commit_table(&engine, "T").unwrap();
    let before = engine.storage_stats().unwrap();
    let turn = engine.begin_write(None).unwrap();
    write_group(turn.batch().unwrap(), table, 0, 3).unwrap();
    assert!(engine.storage_stats().unwrap().reserved_pages > 40);
    drop(turn);
    let after = engine.storage_stats().unwrap();
    assert_eq!((after.reserved_pages, after.generation), (0, before.generation));
    assert_sound(&engine);
}

#[test]
fn writers_take_turns_and_time_out() {
    let engine = Engine::in_memory(&options()).unwrap();
    let turn = engine.begin_write(None).unwrap();
    let late = engine.begin_write(Some(Duration::from_millis(5)));
    assert!(matches!(late.err(), Some(StorageError::Locked { .. })));
    let other = Arc::clone(&engine);
    let waiting = std::thread::spawn(move || commit_table(&other, "T"));
    drop(turn);
    waiting.join().unwrap().unwrap();
    engine.close().unwrap();
    assert!(engine.begin_write(None).is_err());
    assert!(engine.snapshot().catalog().node_table("T").is_some());
}

#[test]
fn a_second_open_is_refused_and_readers_share() {
    let backend = MemoryBackend::new();
    let engine = open(&backend);
    let second = Engine::open(&backend, &options()).err().unwrap().to_string();
    assert!(second.contains("locked by this process"), "{second}");
    let table = commit_table(&engine, "T").unwrap();
    let snapshot = engine.snapshot();
    drop(engine);
    assert!(Engine::open(&backend, &options()).is_err(), "a snapshot still reads");
    drop(snapshot);
    let read_only = EngineOptions { read_only: true, ..options() };
    let readers = [Engine::open(&backend, &read_only).unwrap(), Engine::open(&backend, &read_only).unwrap()];
    for reader in &readers {
        assert!(reader.snapshot().catalog().node_table_by_id(table).is_some());
        assert!(matches!(reader.begin_write(None).err(), Some(StorageError::ReadOnly)));
        assert_sound(reader);
        assert_eq!(reader.storage_stats().unwrap().pages_written, 0);
    }
    assert!(Engine::open(&backend, &options()).is_err(), "readers hold the lock");
}

#[test]
fn what_is_not_there_is_not_made_unasked() {
    let backend = MemoryBackend::new();
    for options in
        [EngineOptions { read_only: true, ..options() }, EngineOptions { create: false, ..options() }]
    {
        assert!(matches!(Engine::open(&backend, &options).err(), Some(StorageError::BadHeader { .. })));
    }
    assert!(backend.list("").is_ok_and(|names| names.is_empty()) || backend.list("").is_err());
    let tiny = EngineOptions { buffer_pool_bytes: 4096, ..options() };
    assert!(matches!(Engine::open(&backend, &tiny).err(), Some(StorageError::PoolBelowMinimum { .. })));
}

#[test]
fn a_log_without_its_page_file_is_reported() {
    let backend = MemoryBackend::new();
    drop(open(&backend));
    backend.remove("data.quire").unwrap();
    backend.open("wal/wal-000001.seg", crate::storage::backend::OpenMode::Create).unwrap();
    let error = Engine::open(&backend, &options()).err().unwrap().to_string();
    assert!(error.contains("there is a log of it"), "{error}");
}

#[test]
fn choices_made_at_creation_stay() {
    use crate::catalog::{Dialect, SchemaMode};
    let backend = MemoryBackend::new();
    let kuzu = EngineOptions { dialect: Dialect::Kuzu, schema_mode: SchemaMode::Flexible, ..options() };
    drop(Engine::open(&backend, &kuzu).unwrap());
    let engine = open(&backend);
    let check = |engine: &Arc<Engine>| {
        let snapshot = engine.snapshot();
        assert_eq!(snapshot.catalog().dialect(), Dialect::Kuzu);
        assert_eq!(snapshot.catalog().schema_mode(), SchemaMode::Flexible);
    };
    check(&engine);
    commit_table(&engine, "T").unwrap();
    drop(engine);
    check(&open(&backend));
}

#[test]
fn every_flipped_bit_is_found_by_the_walk() {
    let disk = SimulatedBackend::new(4);
    let engine = open(&disk);
    let table = commit_table(&engine, "T").unwrap();
    commit_groups(&engine, table, &[(0, Some(2)), (1, Some(1))]).unwrap();
    drop(engine);
    let pages = disk.used_bytes() / PAGE_SIZE as u64;
    for page in 2..pages {
        let damaged = disk.snapshot();
        assert!(damaged.flip_bit("data.quire", page * PAGE_SIZE as u64 + 77 * (page % 50), 3));
        // A damaged free page harms nobody.
        let Ok(engine) = Engine::open(&damaged, &options()) else { continue };
        let free = engine.page_file().unused_pages();
        let is_free = free.is_ok_and(|runs| runs.iter().any(|run| run.first.0 <= page && page < run.end().0));
        let report = engine.check();
        let found = report.as_ref().map_or(true, |report| !report.is_sound());
        assert_eq!(found, !is_free, "page {page}: {report:?}");
    }
}
