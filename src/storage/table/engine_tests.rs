//! Loads through the engine: committed tables are there in the next snapshot and after reopening, dropped loads leave
//! nothing, and every page is accounted for.

use std::sync::Arc;

use super::bulk::{NodeBulkLoad, RelBulkLoad, RelBulkTarget};
use super::*;
use crate::catalog::{NewColumn, NewNodeTable, NewRelType};
use crate::storage::backend::MemoryBackend;
use crate::storage::column::chunk_writer::WriteOptions;
use crate::storage::directory::TableChange;
use crate::storage::engine::{CommitChanges, Engine, EngineOptions};
use crate::storage::index::KeyLoad;
use crate::types::*;
use crate::vector::VectorBuffer;

pub(super) fn create(engine: &Arc<Engine>) -> (TableId, TableId) {
    let turn = engine.begin_write(None).unwrap();
    let mut catalog = (**turn.snapshot().catalog()).clone();
    let columns = vec![NewColumn::new("id", DataType::Int64), NewColumn::new("name", DataType::String)];
    let new = NewNodeTable { name: "Person".into(), columns, primary_key: vec!["id".into()], open: false };
    let node = catalog.create_node_table(new).unwrap();
    let new = NewRelType {
        name: "KNOWS".into(),
        pairs: vec![("Person".into(), "Person".into())],
        columns: vec![NewColumn::new("since", DataType::Date)],
        ..NewRelType::default()
    };
    let rel = catalog.create_rel_type(new).unwrap()[0];
    turn.commit(CommitChanges { catalog: Some(catalog), ..CommitChanges::default() }).unwrap();
    (node, rel)
}

pub(super) fn name_of(row: u64) -> String {
    format!("person number {row}")
}

pub(super) fn load_nodes(engine: &Arc<Engine>, table: TableId, count: u64, commit: bool) {
    let turn = engine.begin_write(None).unwrap();
    let snapshot = turn.snapshot().clone();
    let record = snapshot.table_record(table).unwrap();
    let layout = open_node_table(&snapshot, table).unwrap().layout().clone();
    let options = WriteOptions::default();
    let bulk = NodeBulkLoad::begin(turn.batch().unwrap(), layout.clone(), record.row_bound, options);
    let first = bulk.first_offset();
    let index = snapshot.key_index(table).unwrap().unwrap();
    let mut keys = KeyLoad::new(index.layout().clone());
    for start in (0..count).step_by(2048) {
        let (mut ids, mut names) = (VectorBuffer::new(DataType::Int64), VectorBuffer::new(DataType::String));
        for row in first + start..first + count.min(start + 2048) {
            ids.push(row as i64);
            names.push_str(&name_of(row));
        }
        bulk.append(&[ids.vector(), names.vector()], ids.len()).unwrap();
        keys.append(&[ids.vector()], ids.len()).unwrap();
    }
    let staged = bulk.finish().unwrap();
    let mut change = TableChange::new(&record);
    let mut worker = engine.pool().worker().unwrap();
    let trees = keys.finish(&index, first, turn.batch().unwrap(), &mut worker).unwrap().unwrap();
    change.key_trees = Some(trees);
    let mut statistics = (**snapshot.statistics().unwrap()).clone();
    staged.apply(&layout, &mut change, statistics.table_mut(table));
    if commit {
        let changes =
            CommitChanges { statistics: Some(statistics), tables: vec![change], ..CommitChanges::default() };
        turn.commit(changes).unwrap();
    }
}

pub(super) fn load_edges(engine: &Arc<Engine>, node: TableId, rel: TableId, edges: &[(u64, u64)]) {
    let turn = engine.begin_write(None).unwrap();
    let snapshot = turn.snapshot().clone();
    let record = snapshot.table_record(rel).unwrap();
    let rows = snapshot.table_record(node).unwrap().row_bound;
    let layout = open_rel_table(&snapshot, rel).unwrap().rows().layout().clone();
    let target = RelBulkTarget {
        layout: layout.clone(),
        source_rows: rows,
        destination_rows: rows,
        same_table: true,
        row_bound: record.row_bound,
    };
    let bulk = RelBulkLoad::begin(turn.batch().unwrap(), target, WriteOptions::default());
    let sources: Vec<u64> = edges.iter().map(|edge| edge.0).collect();
    let destinations: Vec<u64> = edges.iter().map(|edge| edge.1).collect();
    let mut since = VectorBuffer::new(DataType::Date);
    edges.iter().for_each(|edge| since.push((edge.0 * 100 + edge.1) as i64));
    bulk.append(&sources, &destinations, &[since.vector()]).unwrap();
    let existing = |kind, group| existing_page(&snapshot, rel, kind, group);
    let staged = bulk.finish(&existing, 2).unwrap();
    let mut change = TableChange::new(&record);
    let mut statistics = (**snapshot.statistics().unwrap()).clone();
    staged.apply(&layout, &mut change, statistics.table_mut(rel));
    turn.commit(CommitChanges {
        statistics: Some(statistics),
        tables: vec![change],
        ..CommitChanges::default()
    })
    .unwrap();
}

fn check_nodes(engine: &Arc<Engine>, table: TableId, expected: u64) {
    let table = open_node_table(&engine.snapshot(), table).unwrap();
    assert_eq!(table.row_count(), expected);
    let columns: Vec<ColumnId> = table.layout().columns.iter().map(|column| column.id).collect();
    let mut scanner = table.scanner(&columns, &[], &ScanOptions { vector_size: 2048 }).unwrap();
    let mut worker = engine.pool().worker().unwrap();
    let mut seen = 0;
    for group in 0..table.group_count() {
        scanner.open(group, 0..1 << 16).unwrap();
        while let Some(batch) = scanner.next(&mut worker).unwrap() {
            for row in 0..batch.length {
                let offset = batch.first_offset + row as u64;
                assert_eq!(batch.columns[0].value(row, &DataType::Int64), Value::Int64(offset as i64));
                assert_eq!(batch.columns[1].text_at(row), Some(name_of(offset).as_str()));
                seen += 1;
            }
        }
    }
    assert_eq!(seen, expected);
}

#[test]
fn committed_loads_stay_and_dropped_ones_leave_nothing() {
    let backend = MemoryBackend::new();
    let options = EngineOptions { buffer_pool_bytes: 64 << 20, ..EngineOptions::default() };
    let engine = Engine::open(&backend, &options).unwrap();
    let (node, rel) = create(&engine);
    load_nodes(&engine, node, 70_000, true);
    let older = engine.snapshot();
    load_nodes(&engine, node, 500, true);
    load_nodes(&engine, node, 3000, false);
    check_nodes(&engine, node, 70_500);
    assert_eq!(open_node_table(&older, node).unwrap().row_count(), 70_000);
    let edges: Vec<(u64, u64)> = (0..50_000).map(|i| (i * 7 % 70_000, i * 13 % 70_000)).collect();
    load_edges(&engine, node, rel, &edges);
    load_edges(&engine, node, rel, &[(3, 3), (69_999, 3), (131_072, 0)]);
    let check = |engine: &Arc<Engine>| {
        check_nodes(engine, node, 70_500);
        let table = open_rel_table(&engine.snapshot(), rel).unwrap();
        let forward = table.adjacency(Direction::Forward);
        assert_eq!(forward.edge_count().unwrap(), 50_003);
        let mut worker = engine.pool().worker().unwrap();
        let mut cursor = worker.cursor();
        for (from, to) in edges.iter().chain(&[(3, 3), (131_072, 0)]).step_by(97) {
            assert!(forward.contains_edge(*from, *to, &mut cursor).unwrap());
            assert!(table.adjacency(Direction::Backward).contains_edge(*to, *from, &mut cursor).unwrap());
        }
        drop(cursor);
        let (mut sources, mut destinations) = (Vec::new(), Vec::new());
        table.endpoints(&[0, 65_536], &mut worker, Some(&mut sources), Some(&mut destinations)).unwrap();
        assert_eq!((sources, destinations), (vec![0, 3], vec![0, 3]));
        let statistics = engine.snapshot().statistics().unwrap().clone();
        assert_eq!(statistics.rows(node), 70_500);
        let person = statistics.table(node).unwrap();
        let id = person.columns.values().next().unwrap();
        assert_eq!(id.min, Some(Value::Int64(0)));
        assert!((60_000..80_000).contains(&id.distinct), "{}", id.distinct);
        assert_eq!(statistics.table(rel).unwrap().forward.edges, 50_003);
        assert!(engine.check().unwrap().is_sound());
    };
    check(&engine);
    drop(older);
    engine.close().unwrap();
    drop(engine);
    check(&Engine::open(&backend, &options).unwrap());
}

/// Measures; run in release with `--ignored --nocapture`.
#[test]
#[ignore = "a measurement"]
fn speed_of_loading_and_scanning() {
    let directory = tempfile::tempdir().unwrap();
    let backend = crate::storage::backend::PosixBackend::new(directory.path());
    let options = EngineOptions { buffer_pool_bytes: 512 << 20, ..EngineOptions::default() };
    let engine = Engine::open(&backend, &options).unwrap();
    let (node, rel) = create(&engine);
    let time = |what: &str, work: &mut dyn FnMut()| {
        let (started, processor) = (std::time::Instant::now(), processor_ms());
        work();
        let elapsed = started.elapsed().as_secs_f64() * 1e3;
        println!("{what}: {elapsed:.1} ms, {:.0} ms of processors", processor_ms() - processor);
    };
    time("131072 nodes", &mut || load_nodes(&engine, node, 131_072, true));
    let mix = crate::storage::column::encoding::choose::mix;
    let edges = 2_300_000u64;
    let sources: Vec<u64> = (0..edges).map(|i| mix(i) % 131_072 % (1 + mix(i + 9) % 131_072)).collect();
    let destinations: Vec<u64> = (0..edges).map(|i| mix(i * 3 + 1) % 131_072).collect();
    for round in 0..4 {
        let turn = engine.begin_write(None).unwrap();
        let snapshot = turn.snapshot().clone();
        let record = snapshot.table_record(rel).unwrap();
        let layout = TableLayout { id: rel, name: "KNOWS".into(), columns: Vec::new() };
        let target = RelBulkTarget {
            layout: Arc::new(layout.clone()),
            source_rows: 131_072,
            destination_rows: 131_072,
            same_table: true,
            row_bound: record.row_bound,
        };
        let bulk = RelBulkLoad::begin(turn.batch().unwrap(), target, WriteOptions::default());
        let mut staged = None;
        time("append 2.3 M edges", &mut || {
            for (from, to) in sources.chunks(2048).zip(destinations.chunks(2048)) {
                bulk.append(from, to, &[]).unwrap();
            }
        });
        let existing = |kind, group| existing_page(&snapshot, rel, kind, group);
        let mut bulk = Some(bulk);
        time("sort and write 2.3 M edges", &mut || {
            staged = Some(bulk.take().unwrap().finish(&existing, 2).unwrap());
        });
        if round == 3 {
            let mut change = TableChange::new(&record);
            let mut statistics = (**snapshot.statistics().unwrap()).clone();
            staged.unwrap().apply(&layout, &mut change, statistics.table_mut(rel));
            let changes = CommitChanges { tables: vec![change], ..CommitChanges::default() };
            turn.commit(changes).unwrap();
        }
    }
    let table = open_rel_table(&engine.snapshot(), rel).unwrap();
    let mut worker = engine.pool().worker().unwrap();
    for _ in 0..3 {
        time("scan of all lists, both directions, with ids", &mut || {
            let mut sum = 0u64;
            let mut ids = Vec::new();
            for direction in [Direction::Forward, Direction::Backward] {
                let adjacency = table.adjacency(direction);
                let mut scanner = adjacency.scanner();
                for group in 0..adjacency.group_count() as u64 {
                    scanner.open(group, 0..1 << 16).unwrap();
                    while let Some(window) = scanner.next(&mut worker, true).unwrap() {
                        ids.clear();
                        window.append_ids(&mut ids).unwrap();
                        sum += window.neighbours.iter().map(|far| u64::from(*far)).sum::<u64>()
                            + ids.len() as u64;
                    }
                }
            }
            assert!(sum > 0);
        });
    }
}

/// Without a branch, as a kernel would.
#[inline(never)]
fn sum_below(values: &[i64], limit: i64) -> i64 {
    values.iter().fold(0, |sum, value| sum.wrapping_add(value & -i64::from(*value < limit)))
}

/// Processor time of this process, all threads.
fn processor_ms() -> f64 {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let fields: Vec<f64> = stat.split(' ').filter_map(|field| field.parse().ok()).collect();
    // utime and stime are fields 14 and 15; the name and the state are no numbers.
    (fields.get(11).unwrap_or(&0.0) + fields.get(12).unwrap_or(&0.0)) * 10.0
}

/// The gate: filter and sum over bit-packed INT64 at half the speed of a plain loop. Run as the one above.
#[test]
#[ignore = "a measurement"]
fn speed_of_filter_and_sum() {
    let extents = Arc::new(super::tests::MemoryExtents::default());
    let rows = 1u64 << 22;
    let layout = super::tests::layout(&[("packed", DataType::Int64), ("plain", DataType::Int64)]);
    let bulk = NodeBulkLoad::begin(extents.as_ref(), layout.clone(), 0, WriteOptions::default());
    let mix = crate::storage::column::encoding::choose::mix;
    let values: Vec<i64> = (0..rows).map(|i| (mix(i) % 100_000) as i64).collect();
    let wide: Vec<i64> = (0..rows).map(|i| mix(i) as i64).collect();
    for (packed, plain) in values.chunks(1 << 16).zip(wide.chunks(1 << 16)) {
        let (mut a, mut b) = (VectorBuffer::new(DataType::Int64), VectorBuffer::new(DataType::Int64));
        a.extend(packed);
        b.extend(plain);
        bulk.append(&[a.vector(), b.vector()], packed.len()).unwrap();
    }
    let staged = bulk.finish().unwrap();
    let pages = super::tests::memory_groups(&extents, &staged.groups);
    let table = Arc::new(NodeTable::new(layout, pages, rows, rows, super::tests::pool_over(&extents)));
    let group = table.group(0).unwrap();
    println!("{:?}", group.chunk(ColumnId(0)).unwrap().chunk.segments[0].encoding);
    let mut worker = table.pool().worker().unwrap();
    let best = |what: &str, work: &mut dyn FnMut() -> i64| {
        let mut least = f64::MAX;
        let mut sum = 0;
        for _ in 0..9 {
            let started = std::time::Instant::now();
            sum = work();
            least = least.min(started.elapsed().as_secs_f64());
        }
        println!("{what}: {:.2} ms, {:.2} G values/s, sum {sum}", least * 1e3, rows as f64 / least / 1e9);
    };
    let limit = 44_000;
    best("slice loop", &mut || sum_below(std::hint::black_box(&values), limit));
    for column in [0u32, 1] {
        best(&format!("scan of column {column}, filter and sum in the loop"), &mut || {
            let mut scanner =
                table.scanner(&[ColumnId(column)], &[], &ScanOptions { vector_size: 2048 }).unwrap();
            let mut sum = 0i64;
            for group in 0..table.group_count() {
                scanner.open(group, 0..1 << 16).unwrap();
                while let Some(batch) = scanner.next(&mut worker).unwrap() {
                    let values = batch.columns[0].slice_of::<i64>().unwrap();
                    sum = sum.wrapping_add(sum_below(values, limit));
                }
            }
            sum
        });
    }
    let predicate = ColumnPredicate::new(ColumnId(0), PredicateOp::Lt, Value::Int64(limit));
    best("scan with pushed predicate, sum by mask", &mut || {
        let options = ScanOptions { vector_size: 2048 };
        let mut scanner = table.scanner(&[ColumnId(0)], std::slice::from_ref(&predicate), &options).unwrap();
        let mut sum = 0i64;
        for group in 0..table.group_count() {
            scanner.open(group, 0..1 << 16).unwrap();
            while let Some(batch) = scanner.next(&mut worker).unwrap() {
                let values = batch.columns[0].slice_of::<i64>().unwrap();
                let crate::vector::Selection::Mask(words) = batch.selection else { continue };
                for (word, values) in words.iter().zip(values.chunks(64)) {
                    for (bit, value) in values.iter().enumerate() {
                        sum += value & -((word >> bit & 1) as i64);
                    }
                }
            }
        }
        sum
    });
    best("count with pushed predicate", &mut || {
        let options = ScanOptions { vector_size: 2048 };
        let mut scanner = table.scanner(&[], std::slice::from_ref(&predicate), &options).unwrap();
        for group in 0..table.group_count() {
            scanner.open(group, 0..1 << 16).unwrap();
            while scanner.next(&mut worker).unwrap().is_some() {}
        }
        scanner.counters().rows_passed as i64
    });
}
