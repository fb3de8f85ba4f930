//! The Rust interface as a program that embeds quire uses it.

#[path = "api/files.rs"]
mod files;
#[path = "api/progress.rs"]
mod progress;
#[path = "api/queries.rs"]
mod queries;
#[path = "api/sessions.rs"]
mod sessions;
#[path = "api/streams.rs"]
mod streams;

use quiredb::{Connection, Database};

/// A database of three people and of who knows whom, in memory or in the folder `db`.
struct People {
    folder: tempfile::TempDir,
    database: Database,
}

impl People {
    fn in_memory() -> People {
        People::load(tempfile::tempdir().unwrap(), Database::in_memory().unwrap())
    }

    fn on_disk() -> People {
        let folder = tempfile::tempdir().unwrap();
        let database = Database::open(folder.path().join("db")).unwrap();
        People::load(folder, database)
    }

    fn load(folder: tempfile::TempDir, database: Database) -> People {
        let files = [
            ("Person", "id,name,born\n1,Ada,1815\n2,Grace,1906\n3,Radia,\n"),
            ("Knows", "from,to,since\n1,2,1990\n2,3,1999\n1,3,2001\n"),
        ];
        let connection = database.connect().unwrap();
        let tables = "CREATE NODE TABLE Person(id INT64, name STRING, born INT64, PRIMARY KEY (id)); \
                      CREATE REL TABLE Knows(FROM Person TO Person, since INT64)";
        connection.query(tables).unwrap();
        for (table, content) in files {
            let path = folder.path().join(format!("{table}.csv"));
            std::fs::write(&path, content).unwrap();
            connection.query(&format!("COPY {table} FROM '{}' (HEADER = true)", path.display())).unwrap();
        }
        People { folder, database }
    }

    fn connect(&self) -> Connection {
        self.database.connect().unwrap()
    }
}

/// The first column of the first row.
fn number(connection: &Connection, query: &str) -> i64 {
    connection.query(query).unwrap().first().unwrap().get(0).unwrap()
}

const COUNT_PEOPLE: &str = "MATCH (p:Person) RETURN count(*)";
