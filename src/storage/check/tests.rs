//! Tables whose parts contradict each other, as no load makes them, are reported.

use std::sync::Arc;

use crate::catalog::{NewColumn, NewNodeTable, NewRelType};
use crate::storage::column::chunk_writer::WriteOptions;
use crate::storage::directory::TableChange;
use crate::storage::engine::{CommitChanges, Engine, EngineOptions};
use crate::storage::index::KeyLoad;
use crate::storage::table::bulk::{NodeBulkLoad, RelBulkLoad, RelBulkTarget};
use crate::storage::table::{TableLayout, existing_page};
use crate::types::{DataType, TableId};
use crate::vector::VectorBuffer;

fn create() -> (Arc<Engine>, TableId, TableId) {
    let options = EngineOptions { buffer_pool_bytes: 16 << 20, ..EngineOptions::default() };
    let engine = Engine::in_memory(&options).unwrap();
    let turn = engine.begin_write(None).unwrap();
    let mut catalog = (**turn.snapshot().catalog()).clone();
    let node = catalog.create_node_table(NewNodeTable {
        name: "N".to_owned(),
        columns: vec![NewColumn::new("id", DataType::Int64)],
        primary_key: vec!["id".to_owned()],
        open: false,
    });
    let rel = catalog.create_rel_type(NewRelType {
        name: "R".to_owned(),
        pairs: vec![("N".to_owned(), "N".to_owned())],
        ..NewRelType::default()
    });
    turn.commit(CommitChanges { catalog: Some(catalog), ..CommitChanges::default() }).unwrap();
    (engine, node.unwrap(), rel.unwrap()[0])
}

/// Loads ids into the rows and `indexed` into the key index.
fn load_nodes(
    engine: &Arc<Engine>,
    table: TableId,
    ids: &[i64],
    indexed: &[i64],
    distort: impl Fn(&mut TableChange),
) {
    let turn = engine.begin_write(None).unwrap();
    let snapshot = turn.snapshot().clone();
    let (record, index) =
        (snapshot.table_record(table).unwrap(), snapshot.key_index(table).unwrap().unwrap());
    let schema = snapshot.catalog().node_table_by_id(table).unwrap();
    let layout = TableLayout::new(table, &schema.name, &schema.columns);
    let column = |values: &[i64]| {
        let mut column = VectorBuffer::new(DataType::Int64);
        values.iter().for_each(|value| column.push(*value));
        column
    };
    let bulk =
        NodeBulkLoad::begin(turn.batch().unwrap(), layout.clone(), record.row_bound, WriteOptions::default());
    let first = bulk.first_offset();
    bulk.append(&[column(ids).vector()], ids.len()).unwrap();
    let mut keys = KeyLoad::new(index.layout().clone());
    keys.append(&[column(indexed).vector()], indexed.len()).unwrap();
    let mut change = TableChange::new(&record);
    bulk.finish().unwrap().apply(&layout, &mut change, &mut Default::default());
    let mut worker = engine.pool().worker().unwrap();
    change.key_trees = Some(keys.finish(&index, first, turn.batch().unwrap(), &mut worker).unwrap().unwrap());
    distort(&mut change);
    turn.commit(CommitChanges { tables: vec![change], ..CommitChanges::default() }).unwrap();
}

fn load_edges(engine: &Arc<Engine>, rel: TableId, edges: &[(u64, u64)], distort: impl Fn(&mut TableChange)) {
    let turn = engine.begin_write(None).unwrap();
    let snapshot = turn.snapshot().clone();
    let record = snapshot.table_record(rel).unwrap();
    let layout = TableLayout::new(rel, "R", &[]);
    let target = RelBulkTarget {
        layout: layout.clone(),
        source_rows: 100,
        destination_rows: 100,
        same_table: true,
        row_bound: record.row_bound,
    };
    let bulk = RelBulkLoad::begin(turn.batch().unwrap(), target, WriteOptions::default());
    let (sources, targets): (Vec<u64>, Vec<u64>) = edges.iter().copied().unzip();
    bulk.append(&sources, &targets, &[]).unwrap();
    let staged = bulk.finish(&|kind, group| existing_page(&snapshot, rel, kind, group), 1).unwrap();
    let mut change = TableChange::new(&record);
    staged.apply(&layout, &mut change, &mut Default::default());
    distort(&mut change);
    turn.commit(CommitChanges { tables: vec![change], ..CommitChanges::default() }).unwrap();
}

#[track_caller]
fn check(engine: &Arc<Engine>, expected: &[&str]) {
    let problems = engine.check().unwrap().problems;
    let texts: Vec<String> = problems.iter().map(ToString::to_string).collect();
    assert_eq!(texts.len(), expected.len(), "{texts:?}");
    for (text, expected) in texts.iter().zip(expected) {
        assert!(text.contains(expected), "{text:?} does not say {expected:?}");
    }
}

#[test]
fn sound_tables_pass() {
    let (engine, node, rel) = create();
    check(&engine, &[]);
    let ids: Vec<i64> = (0..100).map(|at| at * 17 % 101).collect();
    load_nodes(&engine, node, &ids, &ids, |_| {});
    load_edges(&engine, rel, &[(0, 1), (1, 0), (5, 5), (5, 5), (99, 3)], |_| {});
    load_edges(&engine, rel, &[(0, 1), (7, 7)], |_| {});
    check(&engine, &[]);
}

#[test]
fn rows_without_their_keys_are_reported() {
    let (engine, node, _) = create();
    load_nodes(&engine, node, &[1, 2, 3], &[1, 2, 4], |_| {});
    check(&engine, &["the key of row 2 is missing"]);
    let (engine, node, _) = create();
    load_nodes(&engine, node, &[1, 2, 3], &[1, 3, 2], |_| {});
    check(&engine, &["the key of row 1 leads to row 2"]);
    let (engine, node, _) = create();
    load_nodes(&engine, node, &[1, 2, 3], &[1, 2, 3, 4], |_| {});
    check(&engine, &["a key leads to row 3"]);
    let (engine, node, _) = create();
    load_nodes(&engine, node, &[1, 2, 3], &[1, 2, 3], |change| change.row_count = 2);
    check(&engine, &["3 rows instead of 2"]);
}

#[test]
fn directions_that_differ_are_reported() {
    let edges = [(0, 1), (1, 5), (2, 2)];
    let (engine, _, rel) = create();
    load_edges(&engine, rel, &edges, |change| change.row_count -= 1);
    check(&engine, &["3 entries for 2 relationships"]);
    let (engine, _, rel) = create();
    load_edges(&engine, rel, &edges, |change| (change.row_bound, change.row_count) = (2, 2));
    check(&engine, &["relationship 2 at node 2 is beyond the last"]);
    let (engine, _, rel) = create();
    load_edges(&engine, rel, &edges, |_| {});
    let lists_of = |engine: &Arc<Engine>| {
        let record = engine.snapshot().table_record(rel).unwrap();
        record.backward.extent(0, &**engine.page_file(), "backward").unwrap()
    };
    // The second load's backward lists are forgotten: the first one's stand beside both loads' forward lists.
    let first = lists_of(&engine);
    load_edges(&engine, rel, &[(3, 4)], |change| change.backward = [(1, None)].into());
    assert_eq!(lists_of(&engine), first);
    let texts: Vec<String> = engine.check().unwrap().problems.iter().map(ToString::to_string).collect();
    assert!(texts.iter().any(|text| text.contains("is neither used nor free")), "{texts:?}");
    assert!(texts.iter().any(|text| text.contains("forward lists hold Digest { edges: 4")), "{texts:?}");
}
