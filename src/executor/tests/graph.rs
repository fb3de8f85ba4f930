//! A graph in a database in memory, and a way to ask it.

use std::sync::Arc;

use crate::binder::{BinderSettings, BoundStatement, ParameterTypes, bind};
use crate::catalog::{Dialect, NewColumn, NewNodeTable, NewRelType};
use crate::executor::entities::EntityReader;
use crate::executor::{QueryContext, execute};
use crate::parser::parse_statement;
use crate::planner::{PhysicalPlan, plan};
use crate::storage::column::chunk_writer::WriteOptions;
use crate::storage::directory::TableChange;
use crate::storage::engine::{CommitChanges, Engine, EngineOptions};
use crate::storage::index::KeyLoad;
use crate::storage::table::bulk::{NodeBulkLoad, RelBulkLoad, RelBulkTarget};
use crate::storage::table::{existing_run_page, open_node_table, open_rel_table};
use crate::transaction::ReadTransaction;
use crate::types::{DataType, TableId, Value};
use crate::vector::VectorBuffer;

/// A person: key, age, name.
pub type Person = (i64, Option<i64>, &'static str);
/// From, to (by position), weight.
pub type Edge = (usize, usize, i64);

/// `Person(id, age, name)` with `Follows(weight)` and `Likes(weight)`; `City(id, name)` with `LivesIn`.
pub struct Graph {
    pub engine: Arc<Engine>,
    person: TableId,
    city: TableId,
}

/// How a query runs.
#[derive(Clone, Copy)]
pub struct How {
    pub vector_size: usize,
    pub threads: usize,
    pub dialect: Dialect,
}

pub const PLAIN: How = How { vector_size: 2048, threads: 1, dialect: Dialect::OpenCypher };

impl Graph {
    pub fn new(persons: &[Person], cities: &[&str]) -> Graph {
        let options = EngineOptions { buffer_pool_bytes: 16 << 20, threads: 4, ..EngineOptions::default() };
        let engine = Engine::in_memory(&options).unwrap();
        let turn = engine.begin_write(None).unwrap();
        let mut catalog = (**turn.snapshot().catalog()).clone();
        let column = NewColumn::new;
        let key = vec!["id".to_owned()];
        let person = catalog
            .create_node_table(NewNodeTable {
                name: "Person".into(),
                columns: vec![
                    column("id", DataType::Int64),
                    column("age", DataType::Int64),
                    column("name", DataType::String),
                ],
                primary_key: key.clone(),
                open: false,
            })
            .unwrap();
        let city = catalog
            .create_node_table(NewNodeTable {
                name: "City".into(),
                columns: vec![column("id", DataType::Int64), column("name", DataType::String)],
                primary_key: key,
                open: false,
            })
            .unwrap();
        for (name, from, to) in
            [("Follows", "Person", "Person"), ("Likes", "Person", "Person"), ("LivesIn", "Person", "City")]
        {
            let new = NewRelType {
                name: name.into(),
                pairs: vec![(from.into(), to.into())],
                columns: vec![column("weight", DataType::Int64)],
                ..NewRelType::default()
            };
            catalog.create_rel_type(new).unwrap();
        }
        turn.commit(CommitChanges { catalog: Some(catalog), ..CommitChanges::default() }).unwrap();
        let graph = Graph { engine, person, city };
        let mut columns: Vec<VectorBuffer> =
            [DataType::Int64, DataType::Int64, DataType::String].map(VectorBuffer::new).into();
        for (id, age, name) in persons {
            columns[0].push(*id);
            columns[1].push_value(&age.map_or(Value::Null, Value::Int64)).unwrap();
            columns[2].push_str(name);
        }
        graph.load_nodes(person, &columns);
        let mut columns: Vec<VectorBuffer> =
            [DataType::Int64, DataType::String].map(VectorBuffer::new).into();
        for (at, name) in cities.iter().enumerate() {
            columns[0].push(at as i64);
            columns[1].push_str(name);
        }
        graph.load_nodes(city, &columns);
        graph
    }

    fn load_nodes(&self, table: TableId, columns: &[VectorBuffer]) {
        let turn = self.engine.begin_write(None).unwrap();
        let snapshot = turn.snapshot().clone();
        let record = snapshot.table_record(table).unwrap();
        let layout = open_node_table(&snapshot, table).unwrap().layout().clone();
        let bulk = NodeBulkLoad::begin(
            turn.batch().unwrap(),
            layout.clone(),
            record.row_bound,
            WriteOptions::default(),
        );
        let first = bulk.first_offset();
        let index = snapshot.key_index(table).unwrap().unwrap();
        let mut keys = KeyLoad::new(index.layout().clone());
        let vectors: Vec<_> = columns.iter().map(VectorBuffer::vector).collect();
        bulk.append(&vectors, columns[0].len()).unwrap();
        keys.append(&vectors[..1], columns[0].len()).unwrap();
        let staged = bulk.finish().unwrap();
        let mut change = TableChange::new(&record);
        let mut worker = self.engine.pool().worker().unwrap();
        change.key_trees =
            Some(keys.finish(&index, first, turn.batch().unwrap(), &mut worker).unwrap().unwrap());
        let mut statistics = (**snapshot.statistics().unwrap()).clone();
        staged.apply(&layout, &mut change, statistics.table_mut(table));
        let tables = vec![change];
        turn.commit(CommitChanges { statistics: Some(statistics), tables, ..CommitChanges::default() })
            .unwrap();
    }

    /// Adds relationships; several calls make several runs.
    pub fn load_edges(&self, rel_type: &str, edges: &[Edge]) {
        let turn = self.engine.begin_write(None).unwrap();
        let snapshot = turn.snapshot().clone();
        let rel = snapshot.catalog().rel_type(rel_type).unwrap().tables[0];
        let record = snapshot.table_record(rel.id).unwrap();
        let rows = |table| snapshot.table_record(table).unwrap().row_bound;
        assert!(rel.source == self.person && [self.person, self.city].contains(&rel.target));
        let layout = open_rel_table(&snapshot, rel.id).unwrap().rows().layout().clone();
        let target = RelBulkTarget {
            layout: layout.clone(),
            source_rows: rows(rel.source),
            destination_rows: rows(rel.target),
            same_table: rel.source == rel.target,
            row_bound: record.row_bound,
        };
        let bulk = RelBulkLoad::begin(turn.batch().unwrap(), target, WriteOptions::default());
        let sources: Vec<u64> = edges.iter().map(|edge| edge.0 as u64).collect();
        let destinations: Vec<u64> = edges.iter().map(|edge| edge.1 as u64).collect();
        let mut weights = VectorBuffer::new(DataType::Int64);
        edges.iter().for_each(|edge| weights.push(edge.2));
        bulk.append(&sources, &destinations, &[weights.vector()]).unwrap();
        let existing = |kind, group| existing_run_page(&snapshot, rel.id, kind, group);
        let staged = bulk.finish(&existing, 1).unwrap();
        let mut change = TableChange::new(&record);
        let mut statistics = (**snapshot.statistics().unwrap()).clone();
        staged.apply(&layout, &mut change, statistics.table_mut(rel.id));
        let tables = vec![change];
        turn.commit(CommitChanges { statistics: Some(statistics), tables, ..CommitChanges::default() })
            .unwrap();
    }

    pub fn plan(&self, text: &str, how: How) -> PhysicalPlan {
        let transaction = ReadTransaction::begin(&self.engine);
        let statement = parse_statement(text).unwrap_or_else(|error| panic!("{text}: {error}"));
        let settings = BinderSettings { dialect: how.dialect };
        let bound = bind(&statement, text, transaction.catalog(), &ParameterTypes::default(), &settings)
            .unwrap_or_else(|error| panic!("{text}: {error}"));
        let BoundStatement::Query(query) = bound else { panic!("{text} is no query") };
        plan(&query, transaction.catalog(), transaction.statistics().unwrap())
    }

    /// The rows of a query, and what the mechanisms did.
    pub fn run(&self, text: &str, how: How) -> (Vec<Vec<Value>>, Vec<(&'static str, u64)>) {
        let plan = self.plan(text, how);
        let mut query = QueryContext::new(ReadTransaction::begin(&self.engine));
        query.vector_size = how.vector_size;
        query.threads = how.threads;
        let rows = execute(&plan, &query).unwrap_or_else(|error| panic!("{text}: {error}"));
        let mut found = Vec::new();
        let mut entities = EntityReader::new(&query.transaction);
        for chunk in &rows.chunks {
            for row in 0..chunk.rows {
                let columns = chunk.columns.iter().zip(&rows.types);
                let mut values: Vec<Value> = columns.map(|(c, t)| c.vector().value(row, t)).collect();
                entities.complete(&mut values).unwrap();
                found.push(values);
            }
        }
        (found, query.counters.list())
    }

    /// The rows as text, sorted unless the query sorts.
    pub fn rows(&self, text: &str, how: How) -> Vec<String> {
        let (rows, _) = self.run(text, how);
        let mut rows: Vec<String> = rows
            .into_iter()
            .map(|row| row.iter().map(Value::to_string).collect::<Vec<_>>().join("|"))
            .collect();
        if !text.contains("ORDER BY") {
            rows.sort();
        }
        rows
    }

    pub fn counter(&self, text: &str, name: &str) -> u64 {
        let (_, counters) = self.run(text, PLAIN);
        counters.iter().find(|(known, _)| *known == name).unwrap().1
    }
}
