//! What the integration tests share: a folder of CSV files beside a database, and answers as texts.

#![allow(dead_code, reason = "every test file uses its own part")]

pub mod random;

use std::path::Path;

use quiredb::storage::backend::SimulatedBackend;
use quiredb::{Connection, Database, DatabaseBuilder, Error, QueryResult, Value};
use tempfile::TempDir;

/// Whether the long runs are asked for: `QUIRE_LONG=1`.
pub fn is_long() -> bool {
    std::env::var_os("QUIRE_LONG").is_some_and(|value| value != "0")
}

/// The number of an environment variable.
pub fn number_of(name: &str) -> Option<u64> {
    std::env::var(name).ok()?.parse().ok()
}

/// A database with a connection and a folder for files.
pub struct World {
    pub folder: TempDir,
    pub database: Database,
    pub connection: Connection,
}

impl World {
    /// A database in memory after some definitions.
    pub fn new(definitions: &str) -> World {
        World::with(Database::builder().threads(2).buffer_pool_size(16 << 20), definitions)
    }

    pub fn with(builder: DatabaseBuilder, definitions: &str) -> World {
        World::of(builder.in_memory().unwrap(), definitions)
    }

    pub fn of(database: Database, definitions: &str) -> World {
        let connection = database.connect().unwrap();
        connection.query(definitions).unwrap();
        World { folder: tempfile::tempdir().unwrap(), database, connection }
    }

    /// Writes a file of the folder and gives its path.
    pub fn file(&self, name: &str, text: impl AsRef<[u8]>) -> String {
        let path = self.folder.path().join(name);
        std::fs::write(&path, text).unwrap();
        path.display().to_string()
    }

    /// Loads a text, as file `t.csv`, into a table (or `table (columns)`); the rows that were stored.
    pub fn copy(&self, table: &str, text: impl AsRef<[u8]>, options: &str) -> Result<i64, Error> {
        let path = self.file("t.csv", text);
        self.copy_from(table, &format!("'{path}'"), options)
    }

    pub fn copy_from(&self, table: &str, source: &str, options: &str) -> Result<i64, Error> {
        let options = if options.is_empty() { String::new() } else { format!(" ({options})") };
        let result = self.connection.query(&format!("COPY {table} FROM {source}{options}"))?;
        Ok(loaded(&result))
    }

    /// The rows of a query as texts.
    pub fn rows(&self, query: &str) -> Vec<String> {
        rows(&self.connection, query)
    }

    #[track_caller]
    pub fn check(&self, query: &str, expected: &[&str]) {
        assert_eq!(self.rows(query), expected, "{query}");
    }

    #[track_caller]
    pub fn sound(&self) {
        sound(&self.database);
    }
}

/// The rows that a COPY says it stored.
pub fn loaded(result: &QueryResult) -> i64 {
    let changes = &result.summary().changes;
    (changes.nodes_created + changes.rels_created) as i64
}

/// The rows of a query, each as its values between bars.
#[track_caller]
pub fn rows(connection: &Connection, query: &str) -> Vec<String> {
    match connection.query(query) {
        Ok(result) => result.to_values().iter().map(|row| joined(row)).collect(),
        Err(error) => panic!("{query}: {error}"),
    }
}

pub fn joined(row: &[Value]) -> String {
    row.iter().map(Value::to_string).collect::<Vec<_>>().join("|")
}

/// The one number that a query answers.
#[track_caller]
pub fn count(connection: &Connection, query: &str) -> i64 {
    let result = connection.query(query).unwrap_or_else(|error| panic!("{query}: {error}"));
    result.first().expect("a row").get::<i64>(0).expect("a number")
}

/// Every page is whole and reached once or free, and the parts of the tables agree.
#[track_caller]
pub fn sound(database: &Database) {
    let report = database.check().unwrap();
    assert!(report.is_sound(), "{:#?}", report.problems);
}

/// Copies a database's directory onto a simulated disk.
pub fn on_simulated_disk(directory: &Path) -> SimulatedBackend {
    use quiredb::storage::backend::{OpenMode, StorageBackend};
    let disk = SimulatedBackend::new(1);
    disk.create_dir("").unwrap();
    disk.create_dir("wal").unwrap();
    disk.create_dir("tmp").unwrap();
    let bytes = std::fs::read(directory.join("data.quire")).unwrap();
    let file = disk.open("data.quire", OpenMode::Create).unwrap();
    file.write_at(0, &bytes).unwrap();
    file.sync().unwrap();
    disk.sync_dir("").unwrap();
    disk
}
