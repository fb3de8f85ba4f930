//! COPY of whole data sets into a new database on disk: wall time from an empty directory to a closed database, bytes
//! on disk, peak memory. Without data it makes a graph of its own; `QUIRE_BENCH_DATA` names a folder with the
//! directories `study-1` and `flights-1` of the shared benchmark. `QUIRE_BENCH_THREADS` (2), `QUIRE_BENCH_ROUNDS` (3).

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Instant;

use quiredb::binder::bound::{BoundCopy, CopyTarget, RelTable};
use quiredb::catalog::{Multiplicity, NewColumn, NewNodeTable, NewRelType, TableEntry};
use quiredb::executor::copy::{self, CopyOptions};
use quiredb::parser::ast::Span;
use quiredb::storage::backend::PosixBackend;
use quiredb::storage::engine::{CommitChanges, Engine, EngineOptions};
use quiredb::types::{DataType, Value};

/// Tables as (name, file, columns) and (name, file, source, target, columns); the first column of a node is its key.
struct DataSet {
    name: &'static str,
    nodes: &'static [(&'static str, &'static str, &'static str)],
    rels: &'static [(&'static str, &'static str, &'static str, &'static str, &'static str)],
}

const STUDY: DataSet = DataSet {
    name: "study-1",
    nodes: &[
        (
            "Person",
            "persons",
            "id INT64, name STRING, gender STRING, birthday DATE, age INT64, isMarried BOOL",
        ),
        (
            "City",
            "cities",
            "id INT64, city STRING, state STRING, country STRING, lat DOUBLE, lon DOUBLE, population INT32",
        ),
        ("State", "states", "id INT64, state STRING, country STRING"),
        ("Country", "countries", "id INT64, country STRING"),
        ("Interest", "interests", "id INT64, interest STRING"),
    ],
    rels: &[
        ("Follows", "follows", "Person", "Person", ""),
        ("LivesIn", "lives_in", "Person", "City", ""),
        ("HasInterest", "interested_in", "Person", "Interest", ""),
        ("CityIn", "city_in", "City", "State", ""),
        ("StateIn", "state_in", "State", "Country", ""),
    ],
};

const FLIGHTS: DataSet = DataSet {
    name: "flights-1",
    nodes: &[(
        "Airport",
        "Airport",
        "iata STRING, name STRING, city STRING, state STRING, country STRING, latitude DOUBLE, longitude DOUBLE",
    )],
    rels: &[
        ("Route", "Route", "Airport", "Airport", "flights INT64"),
        ("Flight", "Flight", "Airport", "Airport", "departure TIMESTAMP, delay INT64, distance INT64"),
    ],
};

/// What the bench makes where no data are given.
const MADE: DataSet = DataSet {
    name: "made",
    nodes: &[("Item", "items", "id INT64, name STRING, weight DOUBLE")],
    rels: &[("Link", "links", "Item", "Item", "since INT64")],
};

fn columns(text: &str) -> Vec<NewColumn> {
    let column = |part: &str| {
        let (name, data_type) = part.trim().split_once(' ').expect("a name and a type");
        NewColumn::new(name, DataType::parse(data_type).expect("a type"))
    };
    text.split(',').filter(|part| !part.is_empty()).map(column).collect()
}

fn create(engine: &Arc<Engine>, data: &DataSet) {
    for (name, _, text) in data.nodes {
        let columns = columns(text);
        let primary_key = vec![columns[0].name.clone()];
        let table = NewNodeTable { name: (*name).into(), columns, primary_key, open: false };
        change_catalog(engine, |catalog| {
            let _ = catalog.create_node_table(table).expect("a table");
        });
    }
    for (name, _, from, to, text) in data.rels {
        let table = NewRelType {
            name: (*name).into(),
            pairs: vec![((*from).into(), (*to).into())],
            columns: columns(text),
            ..NewRelType::default()
        };
        change_catalog(engine, |catalog| drop(catalog.create_rel_type(table).expect("a table")));
    }
}

fn change_catalog(engine: &Arc<Engine>, change: impl FnOnce(&mut quiredb::catalog::Catalog)) {
    let turn = engine.begin_write(None).expect("a turn");
    let mut catalog = (**turn.snapshot().catalog()).clone();
    change(&mut catalog);
    turn.commit(CommitChanges { catalog: Some(catalog), ..CommitChanges::default() }).expect("a commit");
}

fn load(engine: &Arc<Engine>, table: &str, file: PathBuf, options: &CopyOptions<'_>) -> u64 {
    let snapshot = engine.snapshot();
    let target = match snapshot.catalog().table(table).expect("a table") {
        TableEntry::Node(schema) => CopyTarget::Node {
            table: schema.id,
            columns: schema.columns.iter().map(|column| column.id).collect(),
        },
        TableEntry::Rel(schema) => {
            let pair = schema.tables[0];
            CopyTarget::Rel {
                rel: RelTable { table: pair.id, source: pair.source, target: pair.target },
                columns: schema.columns.iter().map(|column| column.id).collect(),
                multiplicity: Multiplicity::ManyMany,
            }
        }
    };
    let span = Span { start: 0, end: 0 };
    let files = vec![file.display().to_string()];
    let options_of_statement = vec![("header".to_owned(), Value::Bool(true), span)];
    let (checks, variables) = (Vec::new(), Vec::new());
    let statement = BoundCopy { target, files, options: options_of_statement, checks, variables, span };
    copy::run(&statement, engine, options).expect("a load").rows
}

fn run(data: &DataSet, folder: &Path, threads: usize) -> f64 {
    let directory =
        tempfile::tempdir_in(std::env::var_os("QUIRE_BENCH_OUT").map_or(std::env::temp_dir(), PathBuf::from))
            .expect("a directory");
    let started = Instant::now();
    let options = EngineOptions { threads, ..EngineOptions::default() };
    let engine = Engine::open(&PosixBackend::new(directory.path()), &options).expect("a database");
    create(&engine, data);
    let mut parts = vec![("create", 0, started.elapsed().as_secs_f64())];
    let options = CopyOptions { threads, ..CopyOptions::default() };
    let tables = data.nodes.iter().map(|(name, file, _)| (name, file));
    for (name, file) in tables.chain(data.rels.iter().map(|(name, file, ..)| (name, file))) {
        let part = Instant::now();
        let rows = load(&engine, name, folder.join(format!("{file}.csv")), &options);
        parts.push((name, rows, part.elapsed().as_secs_f64()));
    }
    let part = Instant::now();
    engine.close().expect("closed");
    drop(engine);
    parts.push(("close", 0, part.elapsed().as_secs_f64()));
    let seconds = started.elapsed().as_secs_f64();
    let bytes: u64 = std::fs::read_dir(directory.path())
        .expect("a directory")
        .filter_map(|entry| entry.ok()?.metadata().ok())
        .map(|file| file.len())
        .sum();
    println!(
        "{}: {:.3} s, {:.1} MB on disk, peak {:.0} MiB",
        data.name,
        seconds,
        bytes as f64 / 1e6,
        peak_memory() as f64 / 1024.0
    );
    for (name, rows, seconds) in parts {
        println!("    {name:12} {rows:9} rows {:8.1} ms", seconds * 1e3);
    }
    seconds
}

/// The peak of the whole process in KiB, where the system tells it.
fn peak_memory() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    line.and_then(|line| line.trim().strip_suffix("kB")?.trim().parse().ok()).unwrap_or(0)
}

fn make_data(folder: &Path) {
    use std::io::Write;
    let nodes = 200_000u64;
    let create =
        |name: &str| std::io::BufWriter::new(std::fs::File::create(folder.join(name)).expect("a file"));
    let mut items = create("items.csv");
    writeln!(items, "id,name,weight").expect("written");
    for id in 0..nodes {
        writeln!(items, "{id},item number {id},{}.25", id % 97).expect("written");
    }
    let mut links = create("links.csv");
    writeln!(links, "from,to,since").expect("written");
    for id in 0..nodes * 5 {
        let far = id.wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 40;
        writeln!(links, "{},{},{}", id * 7919 % nodes, far % nodes, id % 1000).expect("written");
    }
}

fn main() {
    let number = |name: &str, default: usize| {
        std::env::var(name).ok().and_then(|text| text.parse().ok()).unwrap_or(default)
    };
    let (threads, rounds) = (number("QUIRE_BENCH_THREADS", 2), number("QUIRE_BENCH_ROUNDS", 3));
    let made = tempfile::tempdir().expect("a directory");
    let sets: Vec<(&DataSet, PathBuf)> = match std::env::var_os("QUIRE_BENCH_DATA") {
        Some(folder) => [&STUDY, &FLIGHTS].map(|set| (set, Path::new(&folder).join(set.name))).into(),
        None => {
            make_data(made.path());
            vec![(&MADE, made.path().to_owned())]
        }
    };
    let only = std::env::var("QUIRE_BENCH_SET").ok();
    for (set, folder) in sets.iter().filter(|(set, _)| only.as_ref().is_none_or(|only| only == set.name)) {
        let best = (0..rounds).map(|_| run(set, folder, threads)).fold(f64::MAX, f64::min);
        println!("{}: best of {rounds}: {best:.3} s on {threads} threads", set.name);
    }
}
