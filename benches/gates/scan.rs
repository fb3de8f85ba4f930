//! Filter and sum over INT64 columns: 64-bit noise, which is stored as it is, and small numbers, which are packed.

use std::path::{Path, PathBuf};

use quiredb::{Connection, Database, params};

use super::by_hand::filtered_sum;
use super::data::{Place, connection, copy, database};
use super::graphs::all_threads;
use super::made::{Random, write};
use super::measure::{Bench, Limit, timed};

const ROWS: usize = 3_000_000;
const SPOTS: u64 = 1_000_000;
const WAYS: usize = 10_000_000;

/// Bounds that half of the rows pass.
pub const NOISE_BOUND: i64 = -1;
const PACKED_BOUND: i64 = 60_000 + (1 << 16);

pub const NOISE_SUM: &str = "MATCH (n:Noise) WHERE n.x > $bound RETURN sum(n.y)";
const PACKED_SUM: &str = "MATCH (n:Packed) WHERE n.p > $bound RETURN sum(n.q)";

/// A database of more than 200 MB: columns of numbers, and a graph.
pub struct Numbers {
    pub path: PathBuf,
    /// Noise; rows come in pairs, on one side of the bound, whose `y` make up for each other: no sum overflows.
    pub x: Vec<i64>,
    pub y: Vec<i64>,
    /// 17 and 20 bits.
    p: Vec<i64>,
    q: Vec<i64>,
}

impl Numbers {
    pub fn new(place: &Place) -> Numbers {
        let mut random = Random::new(5);
        let mut numbers = Numbers { path: place.path("numbers"), x: vec![], y: vec![], p: vec![], q: vec![] };
        for row in 0..ROWS {
            let pair = row % 2 == 1;
            numbers.x.push(if pair { numbers.x[row - 1] ^ 1 } else { random.bits() as i64 });
            let noise = random.bits() as i64;
            numbers.y.push(if pair { noise % 1000 - numbers.y[row - 1] } else { noise.max(-i64::MAX) });
            numbers.p.push(60_000 + random.below(1 << 17) as i64);
            numbers.q.push(-1_000 + random.below(1 << 20) as i64);
        }
        numbers.load(place);
        numbers
    }

    fn load(&self, place: &Place) {
        let database = database(&self.path);
        let connection = connection(&database, all_threads());
        let file = place.path("numbers.csv");
        for (table, one, other) in [("Noise", &self.x, &self.y), ("Packed", &self.p, &self.q)] {
            let names = if table == "Noise" { ["x", "y"] } else { ["p", "q"] };
            write(&file, "id,one,other", |out| {
                (0..ROWS).try_for_each(|row| writeln!(out, "{row},{},{}", one[row], other[row]))
            });
            let columns = format!("id INT64, {} INT64, {} INT64, PRIMARY KEY (id)", names[0], names[1]);
            copy(&connection, &format!("CREATE NODE TABLE {table}({columns})"), table, &file);
        }
        let mut random = Random::new(6);
        write(&file, "id,v", |out| (0..SPOTS).try_for_each(|id| writeln!(out, "{id},{}", random.below(100))));
        copy(&connection, "CREATE NODE TABLE Spot(id INT64, v INT64, PRIMARY KEY (id))", "Spot", &file);
        write(&file, "from,to", |out| {
            (0..WAYS).try_for_each(|_| writeln!(out, "{},{}", random.below(SPOTS), random.below(SPOTS)))
        });
        copy(&connection, "CREATE REL TABLE Way(FROM Spot TO Spot)", "Way", &file);
        std::fs::remove_file(&file).expect("the file is gone");
        drop(connection);
        database.close().expect("a closed database");
    }

    /// The database, opened with a pool of so many bytes.
    pub fn open(&self, pool_bytes: u64) -> Database {
        open(&self.path, pool_bytes)
    }

    /// A second database with the same tables.
    pub fn copy(&self) -> Copied {
        let path = self.path.with_extension("copy");
        std::fs::create_dir(&path).expect("a folder");
        for entry in std::fs::read_dir(&self.path).expect("a folder").map(|entry| entry.expect("a file")) {
            let target = path.join(entry.file_name());
            if entry.path().is_dir() {
                std::fs::create_dir(&target).expect("a folder");
            } else {
                std::fs::copy(entry.path(), &target).expect("a copy");
            }
        }
        Copied { path }
    }
}

/// A copy of the database.
pub struct Copied {
    path: PathBuf,
}

impl Copied {
    pub fn open(&self, pool_bytes: u64) -> Database {
        open(&self.path, pool_bytes)
    }
}

fn open(path: &Path, pool_bytes: u64) -> Database {
    Database::builder().buffer_pool_size(pool_bytes).open(path).expect("the database")
}

pub fn sum_above(connection: &Connection, text: &str, bound: i64) -> impl Fn() -> i64 {
    let statement = connection.prepare(text).expect("a statement");
    move || {
        let result = statement.execute_with(params! { bound: bound }).expect("an answer");
        result.first().expect("a row").get(0).expect("a number")
    }
}

pub fn scans(bench: &mut Bench, numbers: &Numbers) {
    let database = numbers.open(1 << 30);
    let Numbers { x, y, p, q, .. } = numbers;
    for (name, text, tested, values, bound) in [
        ("scan-filter-sum, noise", NOISE_SUM, x, y, NOISE_BOUND),
        ("scan-filter-sum, packed", PACKED_SUM, p, q, PACKED_BOUND),
    ] {
        for threads in [1, all_threads()] {
            let connection = connection(&database, threads);
            let ours = sum_above(&connection, text, bound);
            bench.gate(
                name,
                threads,
                Limit::Times(2.0),
                || timed(&ours),
                || timed(|| filtered_sum(threads, tested, values, bound)),
            );
        }
    }
}
