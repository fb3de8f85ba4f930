//! Random levels are folded into the base again and again: what is read afterwards is what a plain model holds, every
//! page is reached once or free, and reopening changes nothing.

use std::collections::BTreeMap;
use std::sync::Arc;

use proptest::prelude::*;

use super::{FoldCounters, fold_level};
use crate::storage::backend::MemoryBackend;
use crate::storage::delta::{ColumnValues, Delta};
use crate::storage::engine::{CommitChanges, Engine, EngineOptions};
use crate::storage::index::KeyRef;
use crate::storage::table::engine_tests::{create, load_edges, load_nodes, name_of};
use crate::storage::table::{Direction, ScanOptions, open_node_table, open_rel_table};
use crate::types::*;
use crate::vector::{ValueVector, VectorBuffer};

#[derive(Debug, Clone)]
enum Change {
    Nodes { gap: u64, count: u64 },
    Rename { picks: Vec<u16>, stretch: usize },
    Delete { picks: Vec<u16> },
    Edges { seed: u64, count: u64, hub: bool },
    Cut { picks: Vec<u16>, stretch: usize },
    Since { picks: Vec<u16> },
    Fold,
}

fn change() -> impl Strategy<Value = Change> {
    let picks = || prop::collection::vec(any::<u16>(), 1..5);
    let gap = prop_oneof![6 => 0..3u64, 1 => 60_000..70_000u64];
    prop_oneof![
        2 => (gap, 1..50u64).prop_map(|(gap, count)| Change::Nodes { gap, count }),
        2 => (picks(), 1..20usize).prop_map(|(picks, stretch)| Change::Rename { picks, stretch }),
        1 => picks().prop_map(|picks| Change::Delete { picks }),
        3 => (any::<u64>(), 1..120u64, any::<bool>())
            .prop_map(|(seed, count, hub)| Change::Edges { seed, count, hub }),
        2 => (picks(), 1..60usize).prop_map(|(picks, stretch)| Change::Cut { picks, stretch }),
        1 => picks().prop_map(|picks| Change::Since { picks }),
        3 => Just(Change::Fold),
    ]
}

#[derive(Default, Clone)]
struct Model {
    /// Id and name by offset.
    nodes: BTreeMap<u64, (i64, String)>,
    /// Ends and date by relationship.
    edges: BTreeMap<u64, (u64, u64, i64)>,
    next_node: u64,
    next_edge: u64,
}

fn picked<T: Copy>(all: &[T], picks: &[u16], stretch: usize) -> Vec<T> {
    let start = |pick: &u16| usize::from(*pick) * 31 % all.len().max(1);
    let mut found: Vec<T> = Vec::new();
    for pick in picks {
        let start = start(pick).min(all.len());
        found.extend(&all[start..(start + stretch).min(all.len())]);
    }
    found
}

struct World {
    backend: MemoryBackend,
    options: EngineOptions,
    engine: Arc<Engine>,
    node: TableId,
    rel: TableId,
    model: Model,
    level: Delta,
    counters: FoldCounters,
}

impl World {
    fn new() -> World {
        let backend = MemoryBackend::new();
        let options = EngineOptions { buffer_pool_bytes: 16 << 20, ..EngineOptions::default() };
        let engine = Engine::open(&backend, &options).unwrap();
        let (node, rel) = create(&engine);
        load_nodes(&engine, node, 300, true);
        let pairs: Vec<(u64, u64)> = (0..900u64).map(|at| (at * 7 % 300, at * at % 300)).collect();
        load_edges(&engine, node, rel, &pairs);
        let mut model = Model { next_node: 300, next_edge: 900, ..Model::default() };
        model.nodes = (0..300).map(|row| (row, (row as i64, name_of(row)))).collect();
        let mut sorted = pairs;
        sorted.sort_unstable();
        let edge = |(id, (from, to)): (usize, (u64, u64))| (id as u64, (from, to, (from * 100 + to) as i64));
        model.edges = sorted.into_iter().enumerate().map(edge).collect();
        let (level, counters) = (Delta::default(), FoldCounters::default());
        World { backend, options, engine, node, rel, model, level, counters }
    }

    fn column(&self, table: TableId, name: &str) -> ColumnId {
        let snapshot = self.engine.snapshot();
        let layout = match table == self.node {
            true => open_node_table(&snapshot, table).unwrap().layout().clone(),
            false => open_rel_table(&snapshot, table).unwrap().rows().layout().clone(),
        };
        layout.columns.iter().find(|column| column.name == name).unwrap().id
    }

    fn apply(&mut self, change: &Change) {
        match change {
            Change::Nodes { gap, count } => self.add_nodes(self.model.next_node + gap, *count),
            Change::Rename { picks, stretch } => {
                let all: Vec<u64> = self.model.nodes.keys().copied().collect();
                let mut names = VectorBuffer::new(DataType::String);
                let rows = picked(&all, picks, *stretch);
                for (at, row) in rows.iter().enumerate() {
                    let name = format!("renamed {row} {at}");
                    names.push_str(&name);
                    self.model.nodes.get_mut(row).unwrap().1 = name;
                }
                let column = self.column(self.node, "name");
                self.level.table_mut(self.node).patch(column, &DataType::String, &rows, &names.vector());
            }
            Change::Delete { picks } => {
                let all: Vec<u64> = self.model.nodes.keys().copied().collect();
                for row in picked(&all, picks, 1) {
                    let touches = |edge: &(u64, u64, i64)| edge.0 == row || edge.1 == row;
                    let edges: Vec<u64> = self
                        .model
                        .edges
                        .iter()
                        .filter(|(_, edge)| touches(edge))
                        .map(|(id, _)| *id)
                        .collect();
                    self.cut(&edges);
                    if self.model.nodes.remove(&row).is_some() {
                        self.level.table_mut(self.node).delete_rows(&[row]);
                    }
                }
            }
            Change::Edges { seed, count, hub } => self.add_edges(*seed, *count, *hub),
            Change::Cut { picks, stretch } => {
                let all: Vec<u64> = self.model.edges.keys().copied().collect();
                let mut edges = picked(&all, picks, *stretch);
                edges.sort_unstable();
                edges.dedup();
                self.cut(&edges);
            }
            Change::Since { picks } => {
                let all: Vec<u64> = self.model.edges.keys().copied().collect();
                let rows = picked(&all, picks, 3);
                let mut dates = VectorBuffer::new(DataType::Date);
                for (at, row) in rows.iter().enumerate() {
                    dates.push(at as i64 - 5);
                    self.model.edges.get_mut(row).unwrap().2 = at as i64 - 5;
                }
                let column = self.column(self.rel, "since");
                self.level.table_mut(self.rel).patch(column, &DataType::Date, &rows, &dates.vector());
            }
            Change::Fold => self.fold(),
        }
    }

    fn add_nodes(&mut self, first: u64, count: u64) {
        let (mut ids, mut names) = (VectorBuffer::new(DataType::Int64), VectorBuffer::new(DataType::String));
        let index = self.engine.snapshot().key_index(self.node).unwrap().unwrap();
        let (id, name) = (self.column(self.node, "id"), self.column(self.node, "name"));
        let table = self.level.table_mut(self.node);
        for row in first..first + count {
            ids.push(row as i64);
            names.push_str(&name_of(row));
            self.model.nodes.insert(row, (row as i64, name_of(row)));
            let key = index.layout().key_of(&[Value::Int64(row as i64)]).unwrap();
            table.add_key(KeyRef::of(&key), row);
        }
        let columns = [
            ColumnValues { column: id, data_type: &DataType::Int64, values: ids.vector() },
            ColumnValues { column: name, data_type: &DataType::String, values: names.vector() },
        ];
        table.add_rows(first, &columns, count as usize);
        self.model.next_node = first + count;
    }

    fn add_edges(&mut self, seed: u64, count: u64, hub: bool) {
        let nodes: Vec<u64> = self.model.nodes.keys().copied().collect();
        if nodes.is_empty() {
            return;
        }
        let pick = |number: u64| nodes[(number % nodes.len() as u64) as usize];
        let (mut from, mut to, mut dates) = (Vec::new(), Vec::new(), VectorBuffer::new(DataType::Date));
        let first = self.model.next_edge;
        for at in 0..count {
            let mixed = seed.wrapping_add(at).wrapping_mul(0x9E37_79B9_7F4A_7C15);
            from.push(if hub { nodes[0] } else { pick(mixed >> 7) });
            to.push(pick(mixed >> 23));
            dates.push(at as i64);
            self.model.edges.insert(first + at, (from[at as usize], to[at as usize], at as i64));
        }
        let column = self.column(self.rel, "since");
        let since = ColumnValues { column, data_type: &DataType::Date, values: dates.vector() };
        self.level.table_mut(self.rel).add_rels(first, &from, &to, &[since]).unwrap();
        self.model.next_edge = first + count;
    }

    fn cut(&mut self, edges: &[u64]) {
        let ends: Vec<_> = edges.iter().map(|id| self.model.edges.remove(id).unwrap()).collect();
        let from: Vec<u64> = ends.iter().map(|edge| edge.0).collect();
        let to: Vec<u64> = ends.iter().map(|edge| edge.1).collect();
        self.level.table_mut(self.rel).remove_rels(edges, &from, &to).unwrap();
    }

    fn fold(&mut self) {
        let level = Arc::new(std::mem::take(&mut self.level));
        let turn = self.engine.begin_write(None).unwrap();
        let folded = fold_level(turn.snapshot(), &level, turn.batch().unwrap()).unwrap();
        let (sum, new) = (&mut self.counters, folded.counters);
        sum.row_groups += new.row_groups;
        sum.chunks += new.chunks;
        sum.patches += new.patches;
        sum.runs_added += new.runs_added;
        sum.runs_merged += new.runs_merged;
        sum.key_trees += new.key_trees;
        let (statistics, tables) = (Some(folded.statistics), folded.tables);
        turn.commit(CommitChanges { statistics, tables, ..CommitChanges::default() }).unwrap();
        self.check();
    }

    fn reopen(&mut self) {
        self.engine.close().unwrap();
        let elsewhere = Engine::in_memory(&self.options).unwrap();
        // The lock goes with the last holder.
        drop(std::mem::replace(&mut self.engine, elsewhere));
        self.engine = Engine::open(&self.backend, &self.options).unwrap();
        self.check();
    }

    /// Compares everything that can be read with the model.
    fn check(&self) {
        let snapshot = self.engine.snapshot();
        let mut worker = self.engine.pool().worker().unwrap();
        let table = open_node_table(&snapshot, self.node).unwrap();
        assert_eq!(table.row_count(), self.model.nodes.len() as u64);
        let columns: Vec<ColumnId> = table.layout().columns.iter().map(|column| column.id).collect();
        let mut scanner = table.scanner(&columns, &[], &ScanOptions { vector_size: 100 }).unwrap();
        let mut found = BTreeMap::new();
        for group in 0..table.group_count() {
            scanner.open(group, 0..u32::MAX).unwrap();
            while let Some(batch) = scanner.next(&mut worker).unwrap() {
                let mut rows = Vec::new();
                batch.selection.indices(batch.length, &mut rows);
                for row in rows.iter().map(|row| *row as usize) {
                    let name = batch.columns[1].value(row, &DataType::String);
                    let (Value::Int64(id), Value::String(name)) =
                        (batch.columns[0].value(row, &DataType::Int64), name)
                    else {
                        panic!("a null in row {row}");
                    };
                    found.insert(batch.first_offset + row as u64, (id, name));
                }
            }
        }
        assert_eq!(found, self.model.nodes);
        let index = snapshot.key_index(self.node).unwrap().unwrap();
        for (offset, (id, _)) in &self.model.nodes {
            let found = index.lookup_values(&[Value::Int64(*id)], &mut worker.cursor()).unwrap();
            assert_eq!(found, Some(*offset), "key {id}");
        }
        self.check_edges(&mut worker);
        assert!(self.engine.check().unwrap().is_sound(), "{:?}", self.engine.check().unwrap());
    }

    fn check_edges(&self, worker: &mut crate::storage::buffer_pool::PoolWorker) {
        let table = open_rel_table(&self.engine.snapshot(), self.rel).unwrap();
        assert_eq!(table.row_count(), self.model.edges.len() as u64);
        let since = self.column(self.rel, "since");
        let columns = [SRC_COLUMN, DST_COLUMN, since];
        let mut scanner = table.scanner(&columns, &[], &ScanOptions { vector_size: 100 }).unwrap();
        let mut found = BTreeMap::new();
        for group in 0..table.rows().group_count() {
            scanner.open(group, 0..u32::MAX).unwrap();
            while let Some(batch) = scanner.next(worker).unwrap() {
                let mut rows = Vec::new();
                batch.selection.indices(batch.length, &mut rows);
                for row in rows.iter().map(|row| *row as usize) {
                    let end = |column: &ValueVector<'_>| column.u64_at(row).unwrap();
                    let Value::Date(date) = batch.columns[2].value(row, &DataType::Date) else { panic!() };
                    let edge = (end(&batch.columns[0]), end(&batch.columns[1]), date);
                    found.insert(batch.first_offset + row as u64, edge);
                }
            }
        }
        assert_eq!(found, self.model.edges);
        for direction in [Direction::Forward, Direction::Backward] {
            let mut expected: BTreeMap<u64, Vec<(u64, u64)>> = BTreeMap::new();
            for (id, (from, to, _)) in &self.model.edges {
                let (near, far) = if direction == Direction::Forward { (from, to) } else { (to, from) };
                expected.entry(*near).or_default().push((*far, *id));
            }
            expected.values_mut().for_each(|list| list.sort_unstable());
            let adjacency = table.adjacency(direction);
            assert_eq!(adjacency.edge_count().unwrap(), self.model.edges.len() as u64);
            let loops = self.model.edges.values().filter(|edge| edge.0 == edge.1).count();
            assert_eq!(adjacency.self_loops().unwrap(), loops as u64);
            for node in self.model.nodes.keys() {
                let mut cursor = worker.cursor();
                let (start, length) = adjacency.list(*node, &mut cursor).unwrap();
                let mut list = Vec::new();
                if length > 0 {
                    let group = adjacency.group(node / NODE_GROUP_ROWS).unwrap().unwrap();
                    let far = group.neighbours(start, length as usize, &mut cursor).unwrap().to_vec();
                    let mut ids = Vec::new();
                    group.ids(start, length as usize, &mut cursor, &mut ids).unwrap();
                    list.extend(far.into_iter().map(u64::from).zip(ids));
                }
                assert_eq!(list, expected.remove(node).unwrap_or_default(), "{direction:?} of {node}");
            }
            assert!(expected.is_empty());
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]
    #[test]
    fn folded_levels_are_what_a_model_holds(changes in prop::collection::vec(change(), 1..40)) {
        let mut world = World::new();
        changes.iter().for_each(|change| world.apply(change));
        world.fold();
        world.reopen();
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 16, ..ProptestConfig::default() })]
    /// Few new values at a time, patch over patch, until a chunk is written anew.
    #[test]
    fn patched_chunks_are_what_a_model_holds(
        rounds in prop::collection::vec((prop::collection::vec(any::<u16>(), 1..5), 1..6usize), 2..12)
    ) {
        let mut world = World::new();
        world.add_nodes(world.model.next_node, 600);
        world.add_edges(7, 600, false);
        world.fold();
        let before = world.counters;
        for (picks, stretch) in rounds {
            world.apply(&Change::Rename { picks: picks.clone(), stretch });
            world.apply(&Change::Since { picks });
            world.fold();
        }
        prop_assert!(world.counters.patches > before.patches);
        world.reopen();
    }
}

#[test]
fn runs_and_trees_are_merged_in_steps() {
    let mut world = World::new();
    for step in 0..12 {
        world.add_nodes(world.model.next_node, 5);
        world.add_edges(step, 20, step % 2 == 0);
        world.fold();
    }
    let counters = world.counters;
    assert!(counters.runs_added == 24 && counters.runs_merged > 3, "{counters:?}");
    assert!(counters.row_groups >= 24 && counters.chunks > counters.row_groups, "{counters:?}");
    let record = world.engine.snapshot().table_record(world.node).unwrap();
    assert!(record.key_trees.len() <= 4 && counters.key_trees == 12);
    let table = open_rel_table(&world.engine.snapshot(), world.rel).unwrap();
    for group in table.adjacency(Direction::Forward).groups() {
        assert!(group.unwrap().runs().len() <= 4);
    }
    drop((record, table));
    world.reopen();
}

#[test]
fn a_group_without_rows_has_no_pages() {
    let mut world = World::new();
    world.apply(&Change::Delete { picks: (0..u16::MAX).step_by(3).collect() });
    while let Some(row) = world.model.nodes.keys().next().copied() {
        let edges: Vec<u64> = world.model.edges.keys().copied().collect();
        world.cut(&edges);
        world.model.nodes.remove(&row);
        world.level.table_mut(world.node).delete_rows(&[row]);
    }
    world.fold();
    let snapshot = world.engine.snapshot();
    let record = snapshot.table_record(world.node).unwrap();
    assert!(record.rows.extent(0, &**snapshot.page_file(), "rows").unwrap().is_none());
    drop((record, snapshot));
    world.add_nodes(world.model.next_node, 3);
    world.fold();
    world.reopen();
}

#[test]
fn keys_of_rows_that_are_gone_go_too() {
    let mut world = World::new();
    for _ in 0..30 {
        let first = world.model.next_node;
        world.add_nodes(first, 40);
        world.fold();
        for row in first..first + 40 {
            world.model.nodes.remove(&row);
            world.level.table_mut(world.node).delete_rows(&[row]);
        }
    }
    world.fold();
    let snapshot = world.engine.snapshot();
    let index = snapshot.key_index(world.node).unwrap().unwrap();
    assert!(index.entries() > 300 && index.entries() < 600, "{} keys", index.entries());
    let reader = crate::storage::table::open_key_reader(&snapshot, world.node).unwrap();
    let mut worker = world.engine.pool().worker().unwrap();
    for (offset, (id, _)) in &world.model.nodes {
        assert_eq!(reader.lookup(&[Value::Int64(*id)], &mut worker).unwrap(), Some(*offset));
    }
}
