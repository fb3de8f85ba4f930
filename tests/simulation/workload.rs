//! A small database and random statements that change it, all from a seed.

use std::path::Path;
use std::sync::Arc;

use quiredb::storage::backend::{SimulatedBackend, StorageBackend};
use quiredb::{Connection, Database, Error};

use crate::support::random::Random;
use crate::support::rows;

const DEFINITIONS: &str = "CREATE NODE TABLE A(id INT64 PRIMARY KEY, name STRING, tags STRING[], born DATE); \
     CREATE NODE TABLE B(town STRING, number INT32, PRIMARY KEY (town, number)); \
     CREATE REL TABLE R(FROM A TO A, w DOUBLE, note STRING); CREATE REL TABLE S(FROM A TO B, FROM B TO A, n INT64)";

/// Everything in the tables. That backward lists hold the same as forward ones is a matter of the check.
const QUERIES: [(&str, &str); 5] = [
    ("A", "MATCH (a:A) RETURN a.id, a.name, a.tags, a.born"),
    ("B", "MATCH (b:B) RETURN b.town, b.number"),
    ("R", "MATCH (b:A)<-[r:R]-(a:A) RETURN a.id, b.id, r.w, r.note"),
    ("S", "MATCH (a:A)-[s:S]-(b:B) RETURN a.id, b.town, b.number, s.n"),
    ("N", "MATCH (n:N) RETURN n.id"),
];

/// Loads run on one thread: then a seed gives one order of writes; and they write pages, as large ones do.
pub fn open(disk: impl StorageBackend + 'static) -> Result<Database, Error> {
    let builder = Database::builder().threads(1).buffer_pool_size(8 << 20).small_load_rows(1);
    builder.backend(Arc::new(disk)).open("unused")
}

/// What the database holds.
pub fn contents(connection: &Connection) -> Vec<String> {
    let catalog = connection.catalog().unwrap();
    let mut found = Vec::new();
    for (table, query) in QUERIES {
        if catalog.table(table).is_some() {
            found.push(format!("-- {query}"));
            let start = found.len();
            found.extend(rows(connection, query));
            found[start..].sort_unstable();
        }
    }
    found
}

/// A disk with a database whose tables have been loaded `loads` times.
pub fn disk_with(seed: u64, loads: u64, folder: &Path) -> SimulatedBackend {
    let disk = SimulatedBackend::new(seed);
    let database = open(disk.clone()).unwrap();
    let connection = database.connect().unwrap();
    connection.query(DEFINITIONS).unwrap();
    let mut random = Random::new(seed);
    for _ in 0..loads {
        for target in [Target::A, Target::B, Target::R, Target::S] {
            let statement = load(target, &connection, folder, &mut random);
            connection.query(&statement).unwrap();
        }
    }
    drop(connection);
    database.close().unwrap();
    disk
}

#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Target {
    A,
    B,
    R,
    S,
}

/// A random statement that can succeed on this database.
pub fn statement(connection: &Connection, folder: &Path, random: &mut Random) -> String {
    match random.below(12) {
        0 => "CREATE NODE TABLE N(id INT64 PRIMARY KEY, x DOUBLE[])".to_owned(),
        1 => "DROP TABLE R".to_owned(),
        2 | 3 => load(Target::B, connection, folder, random),
        4..=6 => load(Target::R, connection, folder, random),
        7 | 8 => load(Target::S, connection, folder, random),
        _ => load(Target::A, connection, folder, random),
    }
}

/// A COPY of random rows; keys go on from those that are there.
pub fn load(target: Target, connection: &Connection, folder: &Path, random: &mut Random) -> String {
    let count = |query| crate::support::count(connection, query) as u64;
    let a = count("MATCH (a:A) RETURN count(*)");
    let b = count("MATCH (b:B) RETURN count(*)");
    let target = if (a == 0 || b == 0) && target != Target::B { Target::A } else { target };
    let many = if random.one_in(10) { 1000 } else { 20 };
    let rows = 1 + random.below(many);
    let mut text = String::new();
    for row in 0..rows {
        let line = match target {
            Target::A => {
                let long = "long ".repeat(random.below(12) as usize);
                let born = 1900 + random.below(130);
                format!("{},\"{long}{}\",\"[{row},x]\",{born}-02-28\n", a + row, random.next() % 1000)
            }
            Target::B => format!("town {},{}\n", random.below(5), b + row),
            Target::R => {
                let (from, to) = (random.below(a), random.below(a));
                format!("{from},{to},{}.5,{}\n", random.below(100), "n".repeat(random.below(20) as usize))
            }
            Target::S => String::new(),
        };
        text.push_str(&line);
    }
    let mut options = "";
    if target == Target::S {
        let ends = connection.query("MATCH (b:B) RETURN b.town, b.number").unwrap().to_values();
        let forward = random.one_in(2);
        options = if forward { " (from = 'A', to = 'B')" } else { " (from = 'B', to = 'A')" };
        for row in 0..rows {
            let end = &ends[random.below(ends.len() as u64) as usize];
            let (end, node) = (format!("{},{}", end[0], end[1]), random.below(a));
            let line =
                if forward { format!("{node},{end},{row}\n") } else { format!("{end},{node},{row}\n") };
            text.push_str(&line);
        }
    }
    let file = folder.join("load.csv");
    std::fs::write(&file, text).unwrap();
    format!("COPY {target:?} FROM '{}'{options}", file.display())
}
