//! Relationship tables against a plain list of edges: self-loops, parallel edges, several runs, small runs.

use std::sync::Arc;

use proptest::prelude::*;

use super::bulk::{RelBulkLoad, RelBulkTarget, StagedGroup, StagedRels};
use super::group_page::{GroupKind, GroupPage};
use super::tests::{MemoryExtents, layout, memory_groups, pool_over};
use super::*;
use crate::storage::column::chunk_writer::WriteOptions;
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
        self.rows.extend(&staged.rows.groups);
        replace(&mut self.forward, &staged.forward);
        replace(&mut self.backward, &staged.backward);
        self.row_bound = first + staged.rows.row_count;
        self.row_count += staged.rows.row_count;
        staged
    }

    fn table(&self) -> Arc<RelTable> {
        let pool = pool_over(&self.extents);
        let pages = |groups: &[StagedGroup]| memory_groups(&self.extents, groups);
        let target = self.target();
        let rows =
            NodeTable::new(target.layout, pages(&self.rows), self.row_bound, self.row_count, pool.clone());
        let forward =
            Adjacency::new(Direction::Forward, TableId(7), "Thing", pages(&self.forward), pool.clone());
        let backward = Adjacency::new(Direction::Backward, TableId(7), "Thing", pages(&self.backward), pool);
        Arc::new(RelTable::new(Arc::new(rows), Arc::new(forward), Arc::new(backward)))
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
        let mut edges = Vec::new();
        let mut scanner = adjacency.scanner();
        for group in 0..adjacency.group_count() as u64 {
            for start in (0..1 << 16).step_by(30_000) {
                scanner.open(group, start..start + 30_000).unwrap();
                while let Some(window) = scanner.next(&mut worker, true).unwrap() {
                    let mut ids = Vec::new();
                    window.append_ids(&mut ids).unwrap();
                    assert_eq!(ids.len(), window.neighbours.len());
                    for list in 0..window.list_count() {
                        for position in window.offsets[list]..window.offsets[list + 1] {
                            let at = (position - window.offsets[0]) as usize;
                            edges.push((
                                window.first_node + list as u64,
                                u64::from(window.neighbours[at]),
                                ids[at],
                            ));
                        }
                    }
                }
            }
        }
        let mut expected: Vec<_> = match direction {
            Direction::Forward => self.model.iter().map(|edge| (edge.0, edge.1, edge.3)).collect(),
            Direction::Backward => self.model.iter().map(|edge| (edge.1, edge.0, edge.3)).collect(),
        };
        expected.sort_unstable();
        assert_eq!(edges, expected, "{direction:?}");
    }

    fn check_rows(&self, table: &Arc<RelTable>) {
        let mut worker = table.rows().pool().worker().unwrap();
        let columns = [DST_COLUMN, ColumnId(0), SRC_COLUMN];
        let mut scanner = table.scanner(&columns, &[], &ScanOptions { vector_size: 50 }).unwrap();
        let mut found: Vec<Edge> = Vec::new();
        for group in 0..table.rows().group_count() {
            scanner.open(group, 0..1 << 16).unwrap();
            while let Some(batch) = scanner.next(&mut worker).unwrap() {
                for row in 0..batch.length {
                    let Value::Int64(weight) = batch.columns[1].value(row, &DataType::Int64) else {
                        panic!()
                    };
                    let (dst, src) =
                        (batch.columns[0].u64_at(row).unwrap(), batch.columns[2].u64_at(row).unwrap());
                    found.push((src, dst, weight, batch.first_offset + row as u64));
                }
            }
        }
        assert_eq!(found, self.model);
        let some: Vec<&Edge> = self.model.iter().rev().step_by(7).collect();
        let ids: Vec<u64> = some.iter().map(|edge| edge.3).collect();
        let (mut sources, mut destinations) = (Vec::new(), Vec::new());
        table.endpoints(&ids, &mut worker, Some(&mut sources), Some(&mut destinations)).unwrap();
        let ends: Vec<(u64, u64)> = sources.into_iter().zip(destinations).collect();
        assert_eq!(ends, some.iter().map(|edge| (edge.0, edge.1)).collect::<Vec<_>>());
        assert!(table.endpoints(&[self.row_bound], &mut worker, Some(&mut Vec::new()), None).is_err());
    }
}

fn replace(pages: &mut Vec<StagedGroup>, newer: &[StagedGroup]) {
    pages.retain(|page| newer.iter().all(|new| new.group != page.group));
    pages.extend(newer);
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
