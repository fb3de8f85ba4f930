//! Where the data come from, and how they get into a database and into plain arrays: by the same CSV files.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use quiredb::{Connection, Database};

use super::made;

/// Room for files that go when the bench ends, and perhaps the shared benchmark's data.
pub struct Place {
    given: Option<PathBuf>,
    room: tempfile::TempDir,
}

impl Place {
    pub fn new() -> Place {
        let room = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).expect("a folder to work in");
        Place { given: std::env::var_os("QUIRE_BENCH_DATA").map(PathBuf::from), room }
    }

    /// A path for something new.
    pub fn path(&self, name: &str) -> PathBuf {
        self.room.path().join(name)
    }

    /// The CSV files of a data set: given, or made.
    pub fn suite(&self, name: &str) -> PathBuf {
        if let Some(folder) = self.given.as_ref().map(|given| given.join(name)).filter(|path| path.is_dir()) {
            return folder;
        }
        let folder = self.path(name);
        if !folder.exists() {
            std::fs::create_dir(&folder).expect("a folder for CSV files");
            made::suite(name, &folder);
        }
        folder
    }
}

/// A new database in which everything fits into the pool.
pub fn database(path: &Path) -> Database {
    Database::builder().buffer_pool_size(1 << 30).open(path).expect("a database")
}

/// A connection that uses so many threads.
pub fn connection(database: &Database, threads: usize) -> Connection {
    let connection = database.connect().expect("a connection");
    connection.set_threads(threads);
    connection
}

/// Makes a table and fills it from a file.
pub fn copy(connection: &Connection, definition: &str, table: &str, file: &Path) {
    connection.query(definition).expect("a table");
    let text = format!("COPY {table} FROM '{}' (HEADER = true)", file.display());
    connection.query(&text).unwrap_or_else(|error| panic!("{text}: {error}"));
}

/// Columns of whole numbers, by their places.
pub fn numbers<const N: usize>(file: &Path, places: [usize; N]) -> [Vec<i64>; N] {
    let mut columns = [const { Vec::new() }; N];
    let mut reader = csv::Reader::from_path(file).unwrap_or_else(|error| panic!("{file:?}: {error}"));
    let mut record = csv::ByteRecord::new();
    while reader.read_byte_record(&mut record).expect("a record") {
        for (column, place) in columns.iter_mut().zip(places) {
            let text = std::str::from_utf8(&record[place]).expect("digits");
            column.push(text.parse().expect("a number"));
        }
    }
    columns
}

/// A column of floats.
pub fn floats(file: &Path, place: usize) -> Vec<f64> {
    let mut reader = csv::Reader::from_path(file).unwrap_or_else(|error| panic!("{file:?}: {error}"));
    let records = reader.records().map(|record| record.expect("a record"));
    records.map(|record| record[place].parse().expect("a number")).collect()
}

/// The places of keys.
pub type Places = HashMap<i64, u32>;

pub fn places(keys: &[i64]) -> Places {
    keys.iter().zip(0..).map(|(key, place)| (*key, place)).collect()
}

/// Both ends of the edges in a file.
pub fn edges(file: &Path, from: &Places, to: &Places) -> (Vec<u32>, Vec<u32>) {
    let [sources, targets] = numbers(file, [0, 1]);
    let mapped = |keys: Vec<i64>, places: &Places| keys.iter().map(|key| places[key]).collect();
    (mapped(sources, from), mapped(targets, to))
}
