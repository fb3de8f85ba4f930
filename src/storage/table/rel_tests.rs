//! Relationship tables against a plain list of edges: self-loops, parallel edges, several runs, small runs.

use std::sync::Arc;

use proptest::prelude::*;

use super::bulk::{RelBulkLoad, RelBulkTarget, StagedGroup, StagedRels};
use super::group_page::{GroupKind, GroupPage};
use super::tests::{MemoryExtents, layout, memory_groups, pool_over};
use super::*;
use crate::storage::column::chunk_writer::WriteOptions;
use crate::storage::delta::{ColumnValues, TableDelta};
use crate::types::*;
use crate::vector::VectorBuffer;

/// An edge of the model: source, destination, property, id.
type Edge = (u64, u64, i64, u64);

struct Loaded {
    extents: Arc<MemoryExtents>,
    nodes: u64,
    rows: Vec<StagedGroup>,
    forward: Vec<StagedGroup>,
    backward: Vec<StagedGroup>,
    row_bound: u64,
    row_count: u64,
    /// Over what was loaded, oldest first.
    levels: Vec<TableDelta>,
    next_id: u64,
    model: Vec<Edge>,
}

impl Loaded {
    fn new(nodes: u64) -> Loaded {
        Loaded {
            extents: Arc::default(),
            nodes,
            rows: Vec::new(),
            forward: Vec::new(),
            backward: Vec::new(),
            row_bound: 0,
            row_count: 0,
            levels: Vec::new(),
            next_id: 0,
            model: Vec::new(),
        }
    }

    fn target(&self) -> RelBulkTarget {
        RelBulkTarget {
            layout: layout(&[("weight", DataType::Int64)]),
            source_rows: self.nodes,
            destination_rows: self.nodes,
            same_table: true,
            row_bound: self.row_bound,
        }
    }

    fn load(&mut self, edges: &[(u64, u64, i64)], threads: usize) -> StagedRels {
        let bulk = RelBulkLoad::begin(self.extents.as_ref(), self.target(), WriteOptions::default());
        for chunk in edges.chunks(37) {
            let sources: Vec<u64> = chunk.iter().map(|edge| edge.0).collect();
            let destinations: Vec<u64> = chunk.iter().map(|edge| edge.1).collect();
            let mut weights = VectorBuffer::new(DataType::Int64);
            chunk.iter().for_each(|edge| weights.push(edge.2));
            bulk.append(&sources, &destinations, &[weights.vector()]).unwrap();
        }
        let existing = |kind: GroupKind, group: u32| {
            let pages = if kind == GroupKind::Forward { &self.forward } else { &self.backward };
            let page = pages.iter().find(|page| page.group == group);
            Ok(page.map(|page| GroupPage::decode(&self.extents.read_extent(&page.page)).unwrap()))
        };
        let staged = bulk.finish(&existing, threads).unwrap();
        let mut sorted = edges.to_vec();
        sorted.sort_by_key(|edge| (edge.0, edge.1));
        let first = staged.rows.first_offset;
        self.model.extend((first..).zip(sorted).map(|(id, (src, dst, weight))| (src, dst, weight, id)));
        self.rows.extend_from_slice(&staged.rows.groups);
        replace(&mut self.forward, &staged.forward);
        replace(&mut self.backward, &staged.backward);
        self.row_bound = first + staged.rows.row_count;
        self.row_count += staged.rows.row_count;
        self.next_id = self.row_bound;
        staged
    }

    /// Adds edges in the newest level.
    fn add(&mut self, edges: &[(u64, u64, i64)]) {
        let sources: Vec<u64> = edges.iter().map(|edge| edge.0).collect();
        let targets: Vec<u64> = edges.iter().map(|edge| edge.1).collect();
        let mut weights = VectorBuffer::new(DataType::Int64);
        edges.iter().for_each(|edge| weights.push(edge.2));
        let weight =
            ColumnValues { column: ColumnId(0), data_type: &DataType::Int64, values: weights.vector() };
        if self.levels.is_empty() {
            self.levels.push(TableDelta::default());
        }
        let level = self.levels.last_mut().unwrap();
        level.add_rels(self.next_id, &sources, &targets, &[weight]).unwrap();
        for (src, dst, weight) in edges {
            self.model.push((*src, *dst, *weight, self.next_id));
            self.next_id += 1;
        }
    }

    /// Takes edges of the model away in the newest level.
    fn remove(&mut self, picks: &[u16]) {
        for pick in picks {
            if self.model.is_empty() {
                return;
            }
            let (src, dst, _, id) = self.model.swap_remove(usize::from(*pick) % self.model.len());
            self.levels.last_mut().unwrap().remove_rels(&[id], &[src], &[dst]).unwrap();
        }
    }

    fn table(&self) -> Arc<RelTable> {
        let pool = pool_over(&self.extents);
        let pages = |groups: &[StagedGroup]| memory_groups(&self.extents, groups);
        let target = self.target();
        let rows =
            NodeTable::new(target.layout, pages(&self.rows), self.row_bound, self.row_count, pool.clone());
        let levels: Vec<Arc<TableDelta>> = self.levels.iter().cloned().map(Arc::new).collect();
        let adjacency = |direction, groups: &[StagedGroup]| {
            let adjacency = Adjacency::new(direction, TableId(7), "Thing", pages(groups), pool.clone());
            Arc::new(adjacency.with_levels(levels.clone(), true))
        };
        let forward = adjacency(Direction::Forward, &self.forward);
        let backward = adjacency(Direction::Backward, &self.backward);
        Arc::new(RelTable::new(Arc::new(rows.with_levels(levels.clone())), forward, backward))
    }

    /// (far end, id) of a node's edges, sorted.
    fn list(&self, direction: Direction, node: u64) -> Vec<(u64, u64)> {
        let mut list: Vec<(u64, u64)> = match direction {
            Direction::Forward => {
                self.model.iter().filter(|edge| edge.0 == node).map(|e| (e.1, e.3)).collect()
            }
            Direction::Backward => {
                self.model.iter().filter(|edge| edge.1 == node).map(|e| (e.0, e.3)).collect()
            }
        };
        list.sort_unstable();
        list
    }

    fn check(&self) {
        let table = self.table();
        for direction in [Direction::Forward, Direction::Backward] {
            self.check_direction(&table, direction);
        }
        self.check_rows(&table);
    }

    fn check_direction(&self, table: &Arc<RelTable>, direction: Direction) {
        let adjacency = table.adjacency(direction);
        let mut worker = adjacency.pool().worker().unwrap();
        assert_eq!(adjacency.edge_count().unwrap(), self.model.len() as u64);
        let loops = self.model.iter().filter(|edge| edge.0 == edge.1).count();
        assert_eq!(adjacency.self_loops().unwrap(), loops as u64);
        let nodes: Vec<u64> =
            (0..self.nodes).step_by(1 + self.nodes as usize / 500).chain([self.nodes - 1]).collect();
        let (mut positions, mut lengths) = (Vec::new(), Vec::new());
        adjacency.lists(&nodes, &mut worker, &mut positions, &mut lengths).unwrap();
        let mut cursor = worker.cursor();
        for ((node, position), length) in nodes.iter().zip(&positions).zip(&lengths) {
            let expected = self.list(direction, *node);
            assert_eq!(adjacency.list(*node, &mut cursor).unwrap(), (*position, *length));
            assert_eq!(*length as usize, expected.len(), "{direction:?} {node}");
            for far in expected.iter().map(|entry| entry.0).chain([0, 7]) {
                let known = expected.iter().any(|entry| entry.0 == far);
                assert_eq!(adjacency.contains_edge(*node, far, &mut cursor).unwrap(), known);
            }
            if expected.is_empty() {
                continue;
            }
            let group = adjacency.group(node / NODE_GROUP_ROWS).unwrap().unwrap();
            let mut ids = Vec::new();
            group.ids(*position, expected.len(), &mut cursor, &mut ids).unwrap();
            let neighbours = group.neighbours(*position, expected.len(), &mut cursor).unwrap();
            let found: Vec<(u64, u64)> = neighbours.iter().map(|far| u64::from(*far)).zip(ids).collect();
            assert_eq!(found, expected, "{direction:?} {node}");
        }
        drop(cursor);
        self.check_bounds(adjacency, &nodes, &lengths);
        let mut edges = Vec::new();
        let mut scanner = adjacency.scanner();
        for group in 0..adjacency.group_count() as u64 {
            for start in (0..1 << 16).step_by(30_000) {
                scanner.open(group, start..start + 30_000).unwrap();
                while let Some(window) = scanner.next(&mut worker, true).unwrap() {
                    let mut ids = Vec::new();
                    window.append_ids(&mut ids).unwrap();
                    assert_eq!(ids.len(), window.neighbours.len());
                    window.for_each_list(|node, entries| {
                        edges.extend(entries.map(|at| (node, u64::from(window.neighbours[at]), ids[at])));
                    });
                }
            }
        }
        edges.sort_unstable();
        let mut expected: Vec<_> = match direction {
            Direction::Forward => self.model.iter().map(|edge| (edge.0, edge.1, edge.3)).collect(),
            Direction::Backward => self.model.iter().map(|edge| (edge.1, edge.0, edge.3)).collect(),
        };
        expected.sort_unstable();
        assert_eq!(edges, expected, "{direction:?}");
    }

    fn check_bounds(&self, adjacency: &Arc<Adjacency>, nodes: &[u64], lengths: &[u32]) {
        let mut longest = 0;
        for (node, length) in nodes.iter().zip(lengths) {
            longest = longest.max(u64::from(*length));
            let Some(group) = adjacency.group(node / NODE_GROUP_ROWS).unwrap() else { continue };
            let local = (node % NODE_GROUP_ROWS) as u32;
            let bounds = group.bounds(local..local + 3).unwrap();
            let found = match bounds.as_slice() {
                [first, second, ..] => second - first,
                _ => 0,
            };
            assert_eq!(found, *length, "node {node}");
        }
        assert!(adjacency.max_degree().unwrap() >= longest);
    }

    fn check_rows(&self, table: &Arc<RelTable>) {
        let mut worker = table.rows().pool().worker().unwrap();
        let columns = [DST_COLUMN, ColumnId(0), SRC_COLUMN];
        let mut scanner = table.scanner(&columns, &[], &ScanOptions { vector_size: 50 }).unwrap();
        let mut found: Vec<Edge> = Vec::new();
        for group in 0..table.rows().group_count() {
            scanner.open(group, 0..1 << 16).unwrap();
            while let Some(batch) = scanner.next(&mut worker).unwrap() {
                for row in (0..batch.length).filter(|row| batch.selection.contains(*row)) {
                    let Value::Int64(weight) = batch.columns[1].value(row, &DataType::Int64) else {
                        panic!()
                    };
                    let (dst, src) =
                        (batch.columns[0].u64_at(row).unwrap(), batch.columns[2].u64_at(row).unwrap());
                    found.push((src, dst, weight, batch.first_offset + row as u64));
                }
            }
        }
        found.sort_by_key(|edge| edge.3);
        let mut model = self.model.clone();
        model.sort_by_key(|edge| edge.3);
        assert_eq!(found, model);
        assert_eq!(table.row_count(), model.len() as u64);
        let some: Vec<&Edge> = self.model.iter().rev().step_by(7).collect();
        let ids: Vec<u64> = some.iter().map(|edge| edge.3).collect();
        let (mut sources, mut destinations) = (Vec::new(), Vec::new());
        table.endpoints(&ids, &mut worker, Some(&mut sources), Some(&mut destinations)).unwrap();
        let ends: Vec<(u64, u64)> = sources.into_iter().zip(destinations).collect();
        assert_eq!(ends, some.iter().map(|edge| (edge.0, edge.1)).collect::<Vec<_>>());
        assert!(table.endpoints(&[self.next_id], &mut worker, Some(&mut Vec::new()), None).is_err());
    }
}

fn replace(pages: &mut Vec<StagedGroup>, newer: &[StagedGroup]) {
    pages.retain(|page| newer.iter().all(|new| new.group != page.group));
    pages.extend_from_slice(newer);
}

fn mixed(seed: u64, count: u64, nodes: u64) -> Vec<(u64, u64, i64)> {
    let mix = |n: u64| crate::storage::column::encoding::choose::mix(n ^ seed << 40);
    (0..count).map(|i| (mix(i * 2) % nodes, mix(i * 2 + 1) % nodes, mix(i) as i64 % 100)).collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(40))]
    #[test]
    fn few_nodes_many_runs(
        loads in prop::collection::vec(prop::collection::vec((0u64..12, 0u64..12, any::<i64>()), 0..60), 1..4),
        threads in 1usize..4)
    {
        let mut loaded = Loaded::new(12);
        for edges in &loads {
            loaded.load(edges, threads);
        }
        if !loaded.model.is_empty() {
            loaded.check();
        }
    }
}

#[derive(Debug, Clone)]
enum Change {
    Add(Vec<(u64, u64, i64)>),
    Remove(Vec<u16>),
    NextLevel,
    Merge,
}

fn change(nodes: std::ops::Range<u64>) -> impl Strategy<Value = Change> {
    let edge = (nodes.clone(), nodes, any::<i64>());
    prop_oneof![
        3 => prop::collection::vec(edge, 1..12).prop_map(Change::Add),
        3 => prop::collection::vec(any::<u16>(), 1..12).prop_map(Change::Remove),
        1 => Just(Change::NextLevel),
        1 => Just(Change::Merge),
    ]
}

fn check_changes(loaded: &mut Loaded, changes: &[Change]) {
    loaded.levels.push(TableDelta::default());
    for change in changes {
        match change {
            Change::Add(edges) => loaded.add(edges),
            Change::Remove(picks) => loaded.remove(picks),
            Change::NextLevel if loaded.levels.len() < 3 => loaded.levels.push(TableDelta::default()),
            Change::NextLevel => {}
            Change::Merge => {
                if let [.., below, top] = &mut loaded.levels[..] {
                    below.merge(top);
                    loaded.levels.pop();
                }
            }
        }
    }
    loaded.check();
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(60))]
    #[test]
    fn lists_under_levels(
        loads in prop::collection::vec(prop::collection::vec((0u64..12, 0u64..12, any::<i64>()), 0..60), 0..3),
        changes in prop::collection::vec(change(0..20), 1..20))
    {
        let mut loaded = Loaded::new(12);
        for edges in &loads {
            loaded.load(edges, 1);
        }
        loaded.nodes = 20;
        check_changes(&mut loaded, &changes);
    }
}

#[test]
fn levels_over_several_groups() {
    let mut loaded = Loaded::new(NODE_GROUP_ROWS + 500);
    loaded.load(&mixed(1, 5000, NODE_GROUP_ROWS + 500), 2);
    loaded.nodes = NODE_GROUP_ROWS * 2 + 300;
    let changes = [
        Change::Add(mixed(3, 700, loaded.nodes)),
        Change::Remove((0..600).map(|pick| pick * 83).collect()),
        Change::NextLevel,
        Change::Add(mixed(4, 100, loaded.nodes)),
        Change::Remove((0..100).map(|pick| pick * 71).collect()),
    ];
    check_changes(&mut loaded, &changes);
}

#[test]
fn a_hub_under_levels_is_searched_without_its_list() {
    let mut loaded = Loaded::new(30_000);
    let edges: Vec<_> = (0..60_000).map(|i| (5, i % 20_000, i as i64)).collect();
    loaded.load(&edges, 2);
    loaded.add(&[(5, 25_000, 1)]);
    let table = loaded.table();
    let adjacency = table.adjacency(Direction::Forward);
    let mut worker = adjacency.pool().worker().unwrap();
    let mut cursor = worker.cursor();
    for (far, expected) in [(25_000, true), (20_001, false), (0, true), (19_999, true), (29_999, false)] {
        assert_eq!(adjacency.contains_edge(5, far, &mut cursor).unwrap(), expected, "{far}");
    }
    let group = adjacency.group(0).unwrap().unwrap();
    assert_eq!((group.merged_lists(), adjacency.list(5, &mut cursor).unwrap().1), (0, 60_001));
    assert_eq!(group.merged_lists(), 1);
}

#[test]
fn several_groups_and_a_second_load() {
    let mut loaded = Loaded::new(NODE_GROUP_ROWS * 2 + 500);
    let nodes = loaded.nodes;
    loaded.load(&mixed(1, 20_000, nodes), 2);
    loaded.load(&mixed(2, 300, nodes), 2);
    // Each group has a whole run and one that lists a few nodes.
    let page = GroupPage::decode(&loaded.extents.read_extent(&loaded.forward[0].page)).unwrap();
    assert_eq!(page.runs.iter().map(|run| run.nodes.is_some()).collect::<Vec<_>>(), [false, true]);
    loaded.model.sort_unstable_by_key(|edge| edge.3);
    loaded.check();
    // Only lists that the small run touches are put together, when they are read.
    let table = loaded.table();
    let adjacency = table.adjacency(Direction::Forward);
    let group = adjacency.group(0).unwrap().unwrap();
    let mut worker = adjacency.pool().worker().unwrap();
    let mut cursor = worker.cursor();
    assert!(group.has_levels() && group.merged_lists() == 0);
    for node in 0..NODE_GROUP_ROWS {
        adjacency.list(node, &mut cursor).unwrap();
    }
    let touched = u64::from(group.runs()[1].touched_nodes);
    assert_eq!(group.merged_lists(), touched);
}

#[test]
fn a_hub_with_a_long_list() {
    let mut loaded = Loaded::new(30_000);
    let mut edges: Vec<_> = (0..90_000).map(|i| (5, i % 30_000, i as i64)).collect();
    edges.extend((0..100).map(|i| (i * 7, 5, -1)));
    let staged = loaded.load(&edges, 2);
    assert_eq!(staged.forward[0].max_degree, 90_000);
    loaded.check();
}

#[test]
fn edges_to_nodes_that_are_not_there_are_refused() {
    let loaded = Loaded::new(10);
    let bulk = RelBulkLoad::begin(loaded.extents.as_ref(), loaded.target(), WriteOptions::default());
    assert!(bulk.append(&[3], &[10], &[]).is_err());
}
