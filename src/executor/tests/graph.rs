//! A graph in a database in memory, and a way to ask it.

use std::cell::RefCell;
use std::sync::Arc;

use crate::binder::{BinderSettings, BoundStatement, ParameterTypes, bind};
use crate::catalog::{Dialect, NewColumn, NewNodeTable, NewRelType};
use crate::executor::entities::EntityReader;
use crate::executor::{QueryContext, execute};
use crate::parser::parse_statement;
use crate::planner::{PhysicalPlan, plan};
use crate::storage::column::chunk_writer::WriteOptions;
use crate::storage::delta::{ColumnValues, Delta, TableDelta};
use crate::storage::directory::TableChange;
use crate::storage::engine::{CommitChanges, Engine, EngineOptions};
use crate::storage::index::{KeyLoad, KeyRef};
use crate::storage::state::{Levels, Snapshot};
use crate::storage::table::bulk::{NodeBulkLoad, RelBulkLoad, RelBulkTarget};
use crate::storage::table::{ScanOptions, existing_page, open_node_table, open_rel_table};
use crate::transaction::ReadTransaction;
use crate::types::{
    ColumnId, ColumnPredicate, DST_COLUMN, DataType, PredicateOp, SRC_COLUMN, TableId, Value,
};
use crate::vector::VectorBuffer;

/// A person: key, age, name.
pub type Person = (i64, Option<i64>, &'static str);
/// From, to (by position), weight.
pub type Edge = (usize, usize, i64);

/// `Person(id, age, name)` with `Follows(weight)` and `Likes(weight)`; `City(id, name)` with `LivesIn`.
pub struct Graph {
    pub engine: Arc<Engine>,
    pub person: TableId,
    city: TableId,
    /// The same graph with half of everything in levels, asked beside.
    twin: Option<Box<Graph>>,
    /// What the twin has beside the base; a second level is cut off now and then.
    levels: RefCell<[Delta; 2]>,
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
    /// The graph, and its twin, in whose base half of the persons are, with ages that are not theirs, and beside
    /// them nodes and edges that a level takes away.
    pub fn new(persons: &[Person], cities: &[&str]) -> Graph {
        let twin = Graph::plain(&[], cities);
        // The offsets are the same in both, so persons to be deleted only come behind all others.
        let in_base = if persons.len().is_multiple_of(2) { persons.len() / 2 } else { persons.len() };
        let mut base = persons[..in_base].to_vec();
        base.iter_mut().skip(1).step_by(2).for_each(|person| person.1 = Some(25));
        let gone: [Person; 2] = [(90_001, Some(20), "x"), (90_002, None, "Ada")];
        if in_base == persons.len() {
            base.extend(gone);
        }
        twin.load_nodes(twin.person, &columns_of(&base));
        let mut born = persons[in_base..].to_vec();
        if in_base < persons.len() {
            born.extend(gone);
        }
        twin.change_persons(&persons[..in_base], in_base as u64, &born, persons.len() as u64);
        Graph { twin: Some(Box::new(twin)), ..Graph::plain(persons, cities) }
    }

    fn change_persons(&self, base: &[Person], first: u64, born: &[Person], gone: u64) {
        let layout = open_node_table(&self.engine.snapshot(), self.person).unwrap().layout().columns.clone();
        let columns = columns_of(born);
        let mut levels = self.levels.borrow_mut();
        let level = levels[0].table_mut(self.person);
        let values = layout.iter().zip(&columns).map(|(column, buffer)| ColumnValues {
            column: column.id,
            data_type: &column.data_type,
            values: buffer.vector(),
        });
        level.add_rows(first, &values.collect::<Vec<_>>(), born.len());
        for (offset, person) in (first..).zip(born) {
            level.add_key(KeyRef::Integer(person.0 as u64 ^ 1 << 63), offset);
        }
        level.delete_rows(&[gone]);
        let changed: Vec<u64> = (1..base.len() as u64).step_by(2).collect();
        let mut ages = VectorBuffer::new(DataType::Int64);
        for offset in &changed {
            ages.push_value(&base[*offset as usize].1.map_or(Value::Null, Value::Int64)).unwrap();
        }
        let level = levels[1].table_mut(self.person);
        level.patch(layout[1].id, &DataType::Int64, &changed, &ages.vector());
        level.delete_rows(&[gone + 1]);
    }

    pub fn snapshot(&self) -> Snapshot {
        let [first, second] = self.levels.borrow().clone();
        let snapshot = self.engine.snapshot();
        let levels = Levels { active: Arc::new(first), own: Some(Arc::new(second)), ..Levels::default() };
        snapshot.with_levels(levels)
    }

    fn plain(persons: &[Person], cities: &[&str]) -> Graph {
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
        let graph = Graph { engine, person, city, twin: None, levels: RefCell::default() };
        if !persons.is_empty() {
            graph.load_nodes(person, &columns_of(persons));
        }
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
        if let Some(twin) = &self.twin {
            twin.load_some_edges(rel_type, edges);
        }
        self.load_all_edges(rel_type, edges);
    }

    /// Loads every other edge, and some that are none, and makes up for it in the levels.
    fn load_some_edges(&self, rel_type: &str, edges: &[Edge]) {
        const NONE: i64 = -999;
        let snapshot = self.snapshot();
        let rel = snapshot.catalog().rel_type(rel_type).unwrap().tables[0];
        let rows = |table| snapshot.table_record(table).unwrap().row_bound as usize;
        let fits = |edge: &&Edge| edge.0 < rows(rel.source) && edge.1 < rows(rel.target);
        let mut base: Vec<Edge> = edges.iter().step_by(2).filter(fits).copied().collect();
        let fresh: Vec<Edge> = edges
            .iter()
            .enumerate()
            .filter(|(at, edge)| at % 2 == 1 || !fits(edge))
            .map(|(_, edge)| *edge)
            .collect();
        let wrong = [(0, 0, NONE), (1, 0, NONE), (2, 1, NONE)];
        base.extend(wrong.iter().filter(fits));
        if !base.is_empty() {
            self.load_all_edges(rel_type, &base);
        }
        let snapshot = self.snapshot();
        let table = open_rel_table(&snapshot, rel.id).unwrap();
        let weight = table.rows().layout().columns[0].id;
        let mut worker = snapshot.pool().worker().unwrap();
        let (mut ids, mut sources, mut targets) = (Vec::new(), Vec::new(), Vec::new());
        let wrong = ColumnPredicate::new(weight, PredicateOp::Eq, Value::Int64(NONE));
        let options = ScanOptions { vector_size: 100 };
        let mut scanner = table.scanner(&[SRC_COLUMN, DST_COLUMN], &[wrong], &options).unwrap();
        for group in 0..table.rows().group_count() {
            scanner.open(group, 0..u32::MAX).unwrap();
            while let Some(batch) = scanner.next(&mut worker).unwrap() {
                batch.selection.for_each(batch.length, |row| {
                    ids.push(batch.first_offset + row as u64);
                    sources.push(batch.columns[0].u64_at(row).unwrap());
                    targets.push(batch.columns[1].u64_at(row).unwrap());
                });
            }
        }
        let mut levels = self.levels.borrow_mut();
        let first = table.row_bound();
        let (early, late) = fresh.split_at(fresh.len() / 2);
        add_rels(levels[0].table_mut(rel.id), first, early, weight);
        add_rels(levels[1].table_mut(rel.id), first + early.len() as u64, late, weight);
        levels[1].table_mut(rel.id).remove_rels(&ids, &sources, &targets).unwrap();
    }

    fn load_all_edges(&self, rel_type: &str, edges: &[Edge]) {
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
        let existing = |kind, group| existing_page(&snapshot, rel.id, kind, group);
        let staged = bulk.finish(&existing, 1).unwrap();
        let mut change = TableChange::new(&record);
        let mut statistics = (**snapshot.statistics().unwrap()).clone();
        staged.apply(&layout, &mut change, statistics.table_mut(rel.id));
        let tables = vec![change];
        turn.commit(CommitChanges { statistics: Some(statistics), tables, ..CommitChanges::default() })
            .unwrap();
    }

    pub fn plan(&self, text: &str, how: How) -> PhysicalPlan {
        let transaction = ReadTransaction::over(self.snapshot());
        let statement = parse_statement(text).unwrap_or_else(|error| panic!("{text}: {error}"));
        let settings = BinderSettings { dialect: how.dialect };
        let bound = bind(&statement, text, transaction.catalog(), &ParameterTypes::default(), &settings)
            .unwrap_or_else(|error| panic!("{text}: {error}"));
        let BoundStatement::Query(query) = bound else { panic!("{text} is no query") };
        plan(&query, transaction.catalog(), transaction.statistics().unwrap()).unwrap()
    }

    /// The rows of a query, and what the mechanisms did.
    pub fn run(&self, text: &str, how: How) -> (Vec<Vec<Value>>, Vec<(&'static str, u64)>) {
        let plan = self.plan(text, how);
        let mut query = QueryContext::new(ReadTransaction::over(self.snapshot()));
        query.vector_size = how.vector_size;
        query.threads = how.threads;
        let rows = execute(&plan, &query).unwrap_or_else(|error| panic!("{text}: {error}"));
        let mut found = Vec::new();
        let mut entities = EntityReader::new(&query.transaction);
        for chunk in &rows.chunks {
            for row in 0..chunk.rows {
                let columns = chunk.columns.iter().zip(&plan.root.outputs);
                let mut values: Vec<Value> = columns.map(|(c, t)| c.vector().value(row, t)).collect();
                entities.complete(&mut values).unwrap();
                found.push(values);
            }
        }
        (found, query.counters.list())
    }

    /// The rows as text, sorted unless the query, not one inside it, sorts.
    pub fn rows(&self, text: &str, how: How) -> Vec<String> {
        let (rows, _) = self.run(text, how);
        let mut rows: Vec<String> = rows
            .into_iter()
            .map(|row| row.iter().map(Value::to_string).collect::<Vec<_>>().join("|"))
            .collect();
        let mut depth = 0;
        let outside = |c: &char| {
            depth += i32::from(*c == '{') - i32::from(*c == '}');
            depth == 0
        };
        if !text.chars().filter(outside).collect::<String>().contains("ORDER BY") {
            rows.sort();
        }
        if let Some(twin) = &self.twin {
            assert_eq!(twin.rows(text, how), rows, "{text} under levels");
        }
        rows
    }

    pub fn counter(&self, text: &str, name: &str) -> u64 {
        let (_, counters) = self.run(text, PLAIN);
        counters.iter().find(|(known, _)| *known == name).unwrap().1
    }
}

fn columns_of(persons: &[Person]) -> Vec<VectorBuffer> {
    let mut columns: Vec<VectorBuffer> =
        [DataType::Int64, DataType::Int64, DataType::String].map(VectorBuffer::new).into();
    for (id, age, name) in persons {
        columns[0].push(*id);
        columns[1].push_value(&age.map_or(Value::Null, Value::Int64)).unwrap();
        columns[2].push_str(name);
    }
    columns
}

fn add_rels(level: &mut TableDelta, first: u64, edges: &[Edge], column: ColumnId) {
    let ends = |end: fn(&Edge) -> usize| edges.iter().map(|edge| end(edge) as u64).collect::<Vec<_>>();
    let mut weights = VectorBuffer::new(DataType::Int64);
    edges.iter().for_each(|edge| weights.push(edge.2));
    let weight = ColumnValues { column, data_type: &DataType::Int64, values: weights.vector() };
    level.add_rels(first, &ends(|edge| edge.0), &ends(|edge| edge.1), &[weight]).unwrap();
}
