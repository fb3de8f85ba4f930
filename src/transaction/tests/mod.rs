//! Writing transactions: what one changes, what several do to each other, and what is left of them after a crash.

mod areas;
mod changes;
mod concurrency;
mod crash;
mod durability;
mod early;
mod loads;
mod log_ends;
mod memory;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use super::{ReadTransaction, WriteOptions, WriteResult, WriteTransaction};
use crate::catalog::{Multiplicity, NewColumn, NewNodeTable, NewRelType};
use crate::storage::StorageResult;
use crate::storage::backend::{SimulatedBackend, StorageBackend};
use crate::storage::engine::{CommitChanges, Engine, EngineOptions};
use crate::storage::table::Direction;
use crate::types::{ColumnId, DataType, TableId, Value};
use crate::vector::VectorBuffer;

pub struct Graph {
    pub engine: Arc<Engine>,
    pub person: TableId,
    pub knows: TableId,
    pub owns: TableId,
}

/// What a version has.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Content {
    /// Id and name by row.
    pub rows: BTreeMap<u64, (i64, String)>,
    /// The rows of both ends.
    pub edges: Vec<(u64, u64)>,
}

pub fn options() -> EngineOptions {
    EngineOptions {
        buffer_pool_bytes: 8 << 20,
        lock_wait: Duration::from_millis(200),
        ..EngineOptions::default()
    }
}

impl Graph {
    pub fn new(backend: &dyn StorageBackend) -> Graph {
        Graph::with(backend, &options()).unwrap()
    }

    /// Opens a database and makes the tables where there are none.
    pub fn with(backend: &dyn StorageBackend, options: &EngineOptions) -> StorageResult<Graph> {
        let engine = Engine::open(backend, options)?;
        if engine.snapshot().catalog().node_table("Person").is_some() {
            return Ok(Graph::over(engine));
        }
        let turn = engine.begin_write(None)?;
        let mut catalog = (**turn.snapshot().catalog()).clone();
        let nodes = NewNodeTable {
            name: "Person".to_owned(),
            columns: vec![
                NewColumn::new("id", DataType::Int64),
                NewColumn { not_null: true, ..NewColumn::new("name", DataType::String) },
                NewColumn { unique: true, ..NewColumn::new("mail", DataType::String) },
                NewColumn::new("number", DataType::Serial),
            ],
            primary_key: vec!["id".to_owned()],
            open: false,
        };
        catalog.create_node_table(nodes).unwrap();
        for (name, multiplicity) in [("KNOWS", Multiplicity::ManyMany), ("OWNS", Multiplicity::ManyOne)] {
            let rels = NewRelType {
                name: name.to_owned(),
                pairs: vec![("Person".to_owned(), "Person".to_owned())],
                columns: vec![NewColumn::new("since", DataType::Int64)],
                multiplicity,
                open: false,
            };
            catalog.create_rel_type(rels).unwrap();
        }
        turn.commit(CommitChanges { catalog: Some(catalog), ..CommitChanges::default() })?;
        Ok(Graph::over(engine))
    }

    /// Defines another table.
    pub fn define(&self, name: &str) -> StorageResult<()> {
        let turn = self.engine.begin_write(None)?;
        let mut catalog = (**turn.snapshot().catalog()).clone();
        let table = NewNodeTable {
            name: name.to_owned(),
            columns: vec![NewColumn::new("id", DataType::Int64)],
            primary_key: vec!["id".to_owned()],
            open: false,
        };
        catalog.create_node_table(table).unwrap();
        turn.commit(CommitChanges { catalog: Some(catalog), ..CommitChanges::default() }).map(|_| ())
    }

    /// All that a version has: names by id, and relationships by the ids of their ends. On the way the forward lists,
    /// the backward lists, the rows and the keys are compared.
    pub fn try_content(&self, view: &ReadTransaction) -> StorageResult<Content> {
        let mut worker = view.worker()?;
        let nodes = view.node_table(self.person)?;
        let rels = view.rel_table(self.knows)?;
        let mut rows = Vec::new();
        for row in 0..nodes.row_bound() {
            if nodes.is_visible(row, &mut worker)? {
                rows.push(row);
            }
        }
        assert_eq!(rows.len() as u64, nodes.row_count());
        let mut content = Content::default();
        for row in &rows {
            let Value::Int64(id) = self.try_value(view, "id", *row)? else { panic!("row {row} has no id") };
            let Value::String(name) = self.try_value(view, "name", *row)? else {
                panic!("row {row} has no name")
            };
            let found = view.key_reader(self.person)?.lookup(&[Value::Int64(id)], &mut worker)?;
            assert_eq!(found, Some(*row), "key {id}");
            content.rows.insert(*row, (id, name));
        }
        let mut edges = [Vec::new(), Vec::new()];
        for (direction, edges) in [Direction::Forward, Direction::Backward].into_iter().zip(&mut edges) {
            let adjacency = rels.adjacency(direction);
            for row in &rows {
                let mut cursor = worker.cursor();
                let (position, length) = adjacency.list(*row, &mut cursor)?;
                let mut found = Vec::new();
                if let Some(group) = adjacency.group(row >> 16)? {
                    group.ids(position, length as usize, &mut cursor, &mut found)?;
                }
                drop(cursor);
                assert_eq!(found.len(), length as usize);
                let (mut sources, mut targets) = (Vec::new(), Vec::new());
                rels.endpoints(&found, &mut worker, Some(&mut sources), Some(&mut targets))?;
                edges.extend(found.iter().zip(sources).zip(targets).map(|((id, a), b)| (*id, a, b)));
            }
            edges.sort_unstable();
        }
        assert_eq!(edges[0], edges[1], "forward and backward lists");
        assert_eq!(edges[0].len() as u64, rels.row_count());
        assert!(
            edges[0].iter().all(|(_, from, to)| [from, to].iter().all(|row| content.rows.contains_key(row)))
        );
        for (id, ..) in &edges[0] {
            assert!(rels.rows().is_visible(*id, &mut worker)?);
        }
        content.edges = edges[0].iter().map(|(_, from, to)| (*from, *to)).collect();
        content.edges.sort_unstable();
        Ok(content)
    }

    pub fn content(&self, view: &ReadTransaction) -> Content {
        self.try_content(view).unwrap()
    }

    pub fn over(engine: Arc<Engine>) -> Graph {
        let snapshot = engine.snapshot();
        let catalog = snapshot.catalog();
        let rel = |name: &str| catalog.rel_type(name).unwrap().tables[0].id;
        let (person, knows, owns) = (catalog.node_table("Person").unwrap().id, rel("KNOWS"), rel("OWNS"));
        Graph { engine, person, knows, owns }
    }

    pub fn begin(&self) -> WriteTransaction {
        WriteTransaction::begin(&self.engine, WriteOptions::default()).unwrap()
    }

    pub fn column(&self, name: &str) -> ColumnId {
        self.engine.snapshot().catalog().node_table("Person").unwrap().column(name).unwrap().id
    }

    pub fn insert(&self, transaction: &mut WriteTransaction, ids: &[i64]) -> WriteResult<u64> {
        let id = buffer(DataType::Int64, ids.iter().map(|id| Value::Int64(*id)));
        let name = buffer(DataType::String, ids.iter().map(|id| Value::String(format!("name {id}"))));
        let columns = [(self.column("id"), id.vector()), (self.column("name"), name.vector())];
        transaction.insert_nodes(self.person, &columns, ids.len())
    }

    pub fn find(&self, view: &ReadTransaction, id: i64) -> Option<u64> {
        let mut worker = view.worker().unwrap();
        view.key_reader(self.person).unwrap().lookup(&[Value::Int64(id)], &mut worker).unwrap()
    }

    pub fn value(&self, view: &ReadTransaction, column: &str, row: u64) -> Value {
        self.try_value(view, column, row).unwrap()
    }

    pub fn try_value(&self, view: &ReadTransaction, column: &str, row: u64) -> StorageResult<Value> {
        let mut worker = view.worker()?;
        let column = view.catalog().node_table("Person").unwrap().column(column).unwrap();
        let mut out = VectorBuffer::new(column.data_type.clone());
        view.node_table(self.person)?.gather(column.id, &[row], &mut worker, &mut out)?;
        Ok(out.vector().value(0, &column.data_type))
    }

    pub fn read(&self) -> ReadTransaction {
        ReadTransaction::begin(&self.engine)
    }

    pub fn set(
        &self,
        transaction: &mut WriteTransaction,
        column: &str,
        row: u64,
        value: Value,
    ) -> WriteResult<()> {
        let catalog = Arc::clone(self.engine.snapshot().catalog());
        let column = catalog.node_table("Person").unwrap().column(column).unwrap();
        let values = buffer(column.data_type.clone(), [value]);
        transaction.update(self.person, column.id, &[row], &values.vector())
    }

    pub fn link(
        &self,
        transaction: &mut WriteTransaction,
        table: TableId,
        from: u64,
        to: u64,
    ) -> WriteResult<u64> {
        transaction.insert_rels(table, &[from], &[to], &[], 1)
    }
}

pub fn buffer(data_type: DataType, values: impl IntoIterator<Item = Value>) -> VectorBuffer {
    let mut buffer = VectorBuffer::new(data_type);
    values.into_iter().for_each(|value| buffer.push_value(&value).unwrap());
    buffer
}

/// Numbers that follow from a seed.
pub struct Random(pub u64);

impl Random {
    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mixed = (self.0 ^ self.0 >> 30).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        let mixed = (mixed ^ mixed >> 27).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ mixed >> 31
    }

    pub fn below(&mut self, limit: u64) -> u64 {
        self.next() % limit
    }
}
