//! Random tables against a plain model: columns of every type, nested ones too, go through CSV and COPY, several times
//! into one table, and come back after reopening from scans, key lookups and both directions of relationships, with
//! ordinary vectors and with vectors of three rows on one thread.
//!
//! More cases: `QUIRE_LONG=1 cargo test --release --test model`.

mod support;
#[path = "model/values.rs"]
mod values;

use std::sync::Arc;

use proptest::prelude::*;
use quiredb::storage::backend::SimulatedBackend;
use quiredb::{Connection, DataType, Database, Value};

use support::random::Random;
use support::{is_long, loaded, sound};
use values::{data_type, value_of};

/// What a key is made of.
#[derive(Debug, Clone, Copy)]
enum Key {
    Integer,
    Text,
    Both,
}

#[derive(Debug, Clone)]
struct Plan {
    key: Key,
    columns: Vec<DataType>,
    properties: Vec<DataType>,
    /// Rows and edges of each load.
    loads: Vec<(u64, u64)>,
    /// How many different values a column has at most; few make other encodings.
    distinct: Vec<u64>,
    seed: u64,
}

fn plan() -> impl Strategy<Value = Plan> {
    let key = prop_oneof![Just(Key::Integer), Just(Key::Text), Just(Key::Both)];
    let types = |range| prop::collection::vec(data_type(), range);
    let rows = prop_oneof![8 => 0..60u64, 1 => 300..2500u64];
    let loads = prop::collection::vec((rows.clone(), rows), 1..4);
    let distinct = prop::collection::vec(prop_oneof![Just(1u64), Just(4), Just(u64::MAX)], 8);
    (key, types(1..6), types(0..3), loads, distinct, any::<u64>()).prop_map(
        |(key, columns, properties, loads, distinct, seed)| Plan {
            key,
            columns,
            properties,
            loads,
            distinct,
            seed,
        },
    )
}

/// Rows of nodes, key first, and of edges: positions of their ends and properties.
#[derive(Default)]
struct Model {
    nodes: Vec<Vec<Value>>,
    edges: Vec<(usize, usize, Vec<Value>)>,
}

impl Plan {
    fn key_types(&self) -> &'static [&'static str] {
        match self.key {
            Key::Integer => &["INT64"],
            Key::Text => &["STRING"],
            Key::Both => &["INT64", "STRING"],
        }
    }

    fn definitions(&self) -> String {
        let keys: Vec<String> =
            self.key_types().iter().enumerate().map(|(at, data_type)| format!("k{at} {data_type}")).collect();
        let names: Vec<String> = (0..keys.len()).map(|at| format!("k{at}")).collect();
        let columns: String =
            self.columns.iter().enumerate().map(|(at, data_type)| format!(", c{at} {data_type}")).collect();
        let properties: String = self
            .properties
            .iter()
            .enumerate()
            .map(|(at, data_type)| format!(", p{at} {data_type}"))
            .collect();
        format!(
            "CREATE NODE TABLE N({}{columns}, PRIMARY KEY ({})); CREATE REL TABLE R(FROM N TO N{properties})",
            keys.join(", "),
            names.join(", ")
        )
    }

    /// The key of node `row`; the order of keys is not that of rows.
    fn key(&self, row: u64) -> Vec<Value> {
        let mixed = (row.wrapping_mul(0x9E37_79B9) ^ self.seed) as i64 as i32;
        let number = Value::Int64(i64::from(mixed) * 1_000_003 + row as i64);
        let text = Value::String(format!("key {mixed} of {row}"));
        match self.key {
            Key::Integer => vec![number],
            Key::Text => vec![text],
            Key::Both => vec![Value::Int64(row as i64 % 3), text],
        }
    }

    fn values(&self, types: &[DataType], random: &mut Random) -> Vec<Value> {
        let value = |(at, data_type): (usize, &DataType)| {
            let distinct = self.distinct[at % self.distinct.len()];
            if distinct == u64::MAX {
                return value_of(data_type, random);
            }
            let choice = random.below(distinct);
            value_of(data_type, &mut Random::new(self.seed ^ choice << 8 ^ at as u64))
        };
        types.iter().enumerate().map(value).collect()
    }
}

/// A field: NULL is nothing, everything else stands in quotes.
fn field(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        value => format!("\"{}\"", value.csv_text().replace('"', "\"\"")),
    }
}

fn line<'v>(values: impl Iterator<Item = &'v Value>) -> String {
    values.map(field).collect::<Vec<_>>().join(",") + "\n"
}

/// Loads random rows into the tables and into the model.
fn fill(plan: &Plan, connection: &Connection) -> Model {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("t.csv");
    let copy = |table: &str, text: &str, rows: u64| {
        std::fs::write(&file, text).unwrap();
        let statement = format!("COPY {table} FROM '{}'", file.display());
        let result = connection.query(&statement).unwrap_or_else(|error| panic!("{error}\n{text:.2000}"));
        assert_eq!(loaded(&result), rows as i64);
    };
    let (mut random, mut model) = (Random::new(plan.seed), Model::default());
    for (rows, edges) in &plan.loads {
        let mut text = String::new();
        for _ in 0..*rows {
            let mut row = plan.key(model.nodes.len() as u64);
            row.extend(plan.values(&plan.columns, &mut random));
            text.push_str(&line(row.iter()));
            model.nodes.push(row);
        }
        copy("N", &text, *rows);
        let edges = if model.nodes.is_empty() { 0 } else { *edges };
        let (mut text, keys) = (String::new(), plan.key_types().len());
        for _ in 0..edges {
            let nodes = model.nodes.len() as u64;
            // A few nodes have most of the edges, so that lists are long, loops and parallel edges included.
            let end = |random: &mut Random| {
                let bound = if random.one_in(3) { nodes } else { nodes.min(5) };
                random.below(bound) as usize
            };
            let (source, target) = (end(&mut random), end(&mut random));
            let values = plan.values(&plan.properties, &mut random);
            let ends = model.nodes[source][..keys].iter().chain(&model.nodes[target][..keys]);
            text.push_str(&line(ends.chain(&values)));
            model.edges.push((source, target, values));
        }
        copy("R", &text, edges);
    }
    model
}

/// Values with every bit in view, in an order of their own.
fn sorted(rows: impl Iterator<Item = Vec<Value>>) -> Vec<String> {
    let mut rows: Vec<String> = rows.map(|row| format!("{row:?}")).collect();
    rows.sort_unstable();
    rows
}

fn check(plan: &Plan, model: &Model, connection: &Connection) {
    let keys: Vec<String> = (0..plan.key_types().len()).map(|at| format!("k{at}")).collect();
    let of = |variable: &str, names: &[String]| {
        names.iter().map(|name| format!("{variable}.{name}")).collect::<Vec<_>>()
    };
    let columns: Vec<String> = (0..plan.columns.len()).map(|at| format!("c{at}")).collect();
    let properties: Vec<String> = (0..plan.properties.len()).map(|at| format!("p{at}")).collect();
    let all = [of("n", &keys), of("n", &columns)].concat().join(", ");
    let found = |query: &str| {
        let result = connection.query(query).unwrap_or_else(|error| panic!("{query}: {error}"));
        sorted(result.to_values().into_iter())
    };
    let same = |query: &str, expected: Vec<String>| {
        let found = found(query);
        let differs = found.iter().zip(&expected).find(|(found, expected)| found != expected);
        assert!(
            found == expected,
            "{query}: {} rows, {} expected; {differs:#?}",
            found.len(),
            expected.len()
        );
    };
    same(&format!("MATCH (n:N) RETURN {all}"), sorted(model.nodes.iter().cloned()));
    let parts =
        [of("a", &keys), of("b", &keys), of("r", &properties), of("b", &columns[..1])].concat().join(", ");
    let width = keys.len();
    let edge = |(source, target, values): &(usize, usize, Vec<Value>)| {
        let (source, target) = (&model.nodes[*source], &model.nodes[*target]);
        [&source[..width], &target[..width], values, &target[width..width + 1]].concat()
    };
    let edges = sorted(model.edges.iter().map(edge));
    same(&format!("MATCH (a:N)-[r:R]->(b:N) RETURN {parts}"), edges.clone());
    same(&format!("MATCH (b:N)<-[r:R]-(a:N) RETURN {parts}"), edges);
    for at in [0, model.nodes.len() / 2, model.nodes.len().saturating_sub(1)] {
        let Some(node) = model.nodes.get(at) else { continue };
        let key: Vec<String> =
            keys.iter().zip(node).map(|(name, value)| format!("{name}: {}", literal(value))).collect();
        let key = key.join(", ");
        same(&format!("MATCH (n:N {{{key}}}) RETURN {all}"), sorted(std::iter::once(node.clone())));
        let out = model.edges.iter().filter(|edge| edge.0 == at).map(edge);
        same(&format!("MATCH (a:N {{{key}}})-[r:R]->(b:N) RETURN {parts}"), sorted(out));
        let into = model.edges.iter().filter(|edge| edge.1 == at).map(edge);
        same(&format!("MATCH (b:N {{{key}}})<-[r:R]-(a:N) RETURN {parts}"), sorted(into));
    }
}

fn literal(value: &Value) -> String {
    match value {
        Value::String(text) => format!("'{text}'"),
        other => other.to_string(),
    }
}

fn open(disk: &SimulatedBackend, threads: usize, vector_size: usize) -> Database {
    let builder = Database::builder().threads(threads).vector_size(vector_size).buffer_pool_size(64 << 20);
    builder.backend(Arc::new(disk.clone())).open("unused").unwrap()
}

fn run(plan: &Plan) {
    let disk = SimulatedBackend::new(plan.seed);
    let database = open(&disk, 2, 2048);
    let connection = database.connect().unwrap();
    let definitions = plan.definitions();
    connection.query(&definitions).unwrap_or_else(|error| panic!("{definitions}: {error}"));
    let model = fill(plan, &connection);
    check(plan, &model, &connection);
    drop(connection);
    database.close().unwrap();
    for (threads, vector_size) in [(2, 2048), (1, 3)] {
        let database = open(&disk, threads, vector_size);
        check(plan, &model, &database.connect().unwrap());
        sound(&database);
    }
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: if is_long() { 1000 } else { 12 },
        failure_persistence: None,
        max_shrink_iters: 40,
        ..ProptestConfig::default()
    })]

    #[test]
    fn tables_hold_what_was_loaded(plan in plan()) {
        run(&plan);
    }
}

/// Every type at least once, whatever the dice say, with few and with many different values.
#[test]
fn every_type_survives() {
    for distinct in [1, 3, u64::MAX] {
        run(&Plan {
            key: Key::Integer,
            columns: values::every_type(),
            properties: values::every_type(),
            loads: vec![(40, 40), (3, 5)],
            distinct: vec![distinct],
            seed: 7,
        });
    }
}
