//! COPY and definitions inside transactions: seen by their own statements at once, by others after the commit, and by
//! nobody after a rollback or a failure. Loads of a few rows write pages here as large ones do, or go through the log.

use std::sync::Arc;

use quiredb::storage::backend::SimulatedBackend;
use quiredb::{Connection, Database, DurabilityMode, ErrorKind};

use super::rows;
use crate::support::sound;

/// A disk, a folder of files, and how many rows a load has at least that writes pages.
struct Files {
    disk: SimulatedBackend,
    folder: tempfile::TempDir,
    rows: u64,
    durability: DurabilityMode,
}

impl Files {
    fn open(&self) -> Database {
        let builder = Database::builder().threads(2).buffer_pool_size(16 << 20).durability(self.durability);
        builder.small_load_rows(self.rows).backend(Arc::new(self.disk.clone())).open("unused").unwrap()
    }

    fn file(&self, name: &str, text: &str) -> String {
        let path = self.folder.path().join(name);
        std::fs::write(&path, text).unwrap();
        path.display().to_string()
    }
}

/// Calls `test` for loads that write pages and for loads that do not, in every mode.
fn each(test: impl Fn(&Files)) {
    for durability in [DurabilityMode::Strict, DurabilityMode::Buffered, DurabilityMode::InMemory] {
        for rows in [1, 65_536] {
            let (disk, folder) = (SimulatedBackend::new(rows), tempfile::tempdir().unwrap());
            test(&Files { disk, folder, rows, durability });
        }
    }
}

#[track_caller]
fn run(connection: &Connection, text: &str) -> String {
    rows(&connection.query(text).unwrap_or_else(|error| panic!("{text}: {error}")))
}

#[track_caller]
fn fail(connection: &Connection, text: &str) -> quiredb::Error {
    connection.query(text).err().unwrap_or_else(|| panic!("{text} should fail"))
}

const DEFINITIONS: &str = "CREATE NODE TABLE P(id INT64 PRIMARY KEY, name STRING, n SERIAL); \
    CREATE REL TABLE K(FROM P TO P, w INT64); CREATE REL TABLE One(FROM P TO P, MANY_ONE)";

#[test]
fn a_table_is_made_loaded_used_and_committed_as_one() {
    each(|files| {
        let (people, knows) = (files.file("p.csv", "1,a\n2,b\n3,c\n"), files.file("k.csv", "1,2,5\n2,3,6\n"));
        let database = files.open();
        let (writer, reader) = (database.connect().unwrap(), database.connect().unwrap());
        run(&writer, "BEGIN TRANSACTION");
        run(&writer, DEFINITIONS);
        run(&writer, &format!("COPY P (id, name) FROM '{people}'"));
        assert_eq!(run(&writer, "MATCH (p:P) RETURN p.id, p.name, p.n ORDER BY p.id"), "1|a|0 2|b|1 3|c|2");
        run(&writer, "MATCH (p:P {id: 2}) SET p.name = 'changed'");
        run(&writer, &format!("COPY K FROM '{knows}'"));
        run(&writer, "CREATE (:P {id: 4, name: 'd'})");
        run(&writer, "MATCH (a:P {id: 4}), (b:P {id: 1}) CREATE (a)-[:K {w: 7}]->(b)");
        let paths = "MATCH (a:P)-[k:K]->(b:P) RETURN a.id, k.w, b.id ORDER BY k.w";
        assert_eq!(run(&writer, paths), "1|5|2 2|6|3 4|7|1");
        assert_eq!(run(&writer, "MATCH (p:P {id: 4}) RETURN p.n"), "3");
        fail(&reader, "MATCH (p:P) RETURN p.id");
        run(&writer, "COMMIT");
        let check = |connection: &Connection| {
            assert_eq!(run(connection, paths), "1|5|2 2|6|3 4|7|1");
            assert_eq!(run(connection, "MATCH (p:P {id: 2}) RETURN p.name, p.n"), "changed|1");
        };
        check(&reader);
        sound(&database);
        drop((writer, reader, database));
        let database = files.open();
        let connection = database.connect().unwrap();
        check(&connection);
        run(&connection, "CREATE (:P {id: 5})");
        assert_eq!(run(&connection, "MATCH (p:P {id: 5}) RETURN p.n"), "4");
        sound(&database);
        drop(connection);
        database.close().unwrap();
        let database = files.open();
        check(&database.connect().unwrap());
        sound(&database);
    });
}

#[test]
fn a_rollback_takes_tables_and_loads_back() {
    each(|files| {
        let people = files.file("p.csv", "1,a\n2,b\n");
        let database = files.open();
        let connection = database.connect().unwrap();
        run(&connection, DEFINITIONS);
        run(&connection, "CREATE (:P {id: 9, name: 'z'})");
        run(&connection, "BEGIN TRANSACTION");
        run(&connection, &format!("COPY P (id, name) FROM '{people}'"));
        run(&connection, "CREATE NODE TABLE Q(id INT64 PRIMARY KEY)");
        run(&connection, "CREATE (:Q {id: 1})");
        run(&connection, "DROP TABLE K");
        assert_eq!(run(&connection, "MATCH (p:P) RETURN count(*)"), "3");
        fail(&connection, "MATCH ()-[k:K]->() RETURN k");
        run(&connection, "ROLLBACK");
        assert_eq!(run(&connection, "MATCH (p:P) RETURN p.id"), "9");
        assert_eq!(run(&connection, "MATCH ()-[k:K]->() RETURN count(*)"), "0");
        fail(&connection, "MATCH (q:Q) RETURN q");
        run(&connection, &format!("COPY P (id, name) FROM '{people}'"));
        assert_eq!(run(&connection, "MATCH (p:P) RETURN p.id ORDER BY p.id"), "1 2 9");
        sound(&database);
        database.close().unwrap();
        sound(&files.open());
    });
}

#[test]
fn numbers_of_a_table_that_never_was_are_not_those_of_another() {
    each(|files| {
        let database = files.open();
        let connection = database.connect().unwrap();
        let made = "CREATE NODE TABLE T(id INT64 PRIMARY KEY, n SERIAL)";
        run(&connection, &format!("BEGIN TRANSACTION; {made}"));
        run(&connection, "CREATE (:T {id: 1, n: 70})");
        run(&connection, "ROLLBACK");
        run(&connection, made);
        run(&connection, "CREATE (:T {id: 1})");
        assert_eq!(run(&connection, "MATCH (t:T) RETURN t.n"), "0");
    });
}

#[test]
fn a_load_that_fails_takes_only_itself_back() {
    each(|files| {
        let database = files.open();
        let connection = database.connect().unwrap();
        run(&connection, DEFINITIONS);
        run(&connection, "BEGIN TRANSACTION");
        let first = files.file("first.csv", "1,a\n2,b\n");
        run(&connection, &format!("COPY P (id, name) FROM '{first}'"));
        run(&connection, "CREATE (:P {id: 3})");
        let check = |name: &str, text: &str, table: &str, expected: &str| {
            let file = files.file(name, text);
            let error = fail(&connection, &format!("COPY {table} FROM '{file}'")).to_string();
            assert!(error.contains(expected) && error.contains(name), "{error}");
        };
        check("base.csv", "5,x\n2,y\n", "P (id, name)", "line 2");
        check("own.csv", "5,x\n3,y\n", "P (id, name)", "line 2");
        check("twice.csv", "5,x\n6,y\n5,z\n", "P (id, name)", "line 3");
        check("ends.csv", "1,2,1\n1,7,1\n", "K", "there is no P with the key 7");
        check("one.csv", "1,2\n1,3\n", "One", "line 2");
        fail(&connection, "CREATE NODE TABLE P(id INT64 PRIMARY KEY)");
        assert_eq!(run(&connection, "MATCH (p:P) RETURN p.id ORDER BY p.id"), "1 2 3");
        run(&connection, "MATCH (p:P {id: 2}) DELETE p");
        check("gone.csv", "1,2,1\n", "K", "there is no P with the key 2");
        // A key that went may come again.
        run(&connection, &format!("COPY P (id, name) FROM '{}'", files.file("again.csv", "2,new\n")));
        run(&connection, "COMMIT");
        for text in ["MATCH (p:P {id: 2}) RETURN p.name", "CHECKPOINT; MATCH (p:P {id: 2}) RETURN p.name"] {
            assert_eq!(run(&connection, text), "new");
        }
        assert_eq!(run(&connection, "MATCH (p:P) RETURN p.id ORDER BY p.id"), "1 2 3");
        sound(&database);
    });
}

#[test]
fn loads_join_rows_that_changes_stand_over() {
    each(|files| {
        let database = files.open();
        let connection = database.connect().unwrap();
        run(&connection, DEFINITIONS);
        for round in 0..12 {
            let first = round * 10;
            let file = files.file("p.csv", &format!("{first},a\n{},b\n", first + 1));
            run(&connection, &format!("COPY P (id, name) FROM '{file}'"));
            run(&connection, &format!("CREATE (:P {{id: {}}})", first + 2));
            let edges = files.file("k.csv", &format!("0,{first},{round}\n{first},{},{round}\n", first + 2));
            run(&connection, &format!("COPY K FROM '{edges}'"));
            run(&connection, &format!("MATCH (p:P {{id: {}}}) DETACH DELETE p", first + 1));
            if round % 5 == 4 {
                run(&connection, "CHECKPOINT");
            }
        }
        let check = |connection: &Connection| {
            assert_eq!(run(connection, "MATCH (p:P) RETURN count(*), sum(p.id)"), "24|1344");
            assert_eq!(run(connection, "MATCH (:P {id: 0})-[k:K]->(b) RETURN count(*), sum(k.w)"), "13|66");
            assert_eq!(run(connection, "MATCH (a:P)-[k:K]->(b:P {id: 112}) RETURN a.id, k.w"), "110|11");
            assert_eq!(run(connection, "MATCH (p:P {id: 111}) RETURN count(*)"), "0");
        };
        check(&connection);
        sound(&database);
        drop(connection);
        match files.durability {
            DurabilityMode::InMemory => database.close().unwrap(),
            _ => drop(database),
        }
        let database = files.open();
        check(&database.connect().unwrap());
        sound(&database);
        database.close().unwrap();
        let database = files.open();
        check(&database.connect().unwrap());
        sound(&database);
    });
}

#[test]
fn a_dropped_table_takes_changes_with_it() {
    each(|files| {
        let database = files.open();
        let connection = database.connect().unwrap();
        run(&connection, DEFINITIONS);
        let people = files.file("p.csv", "1,a\n2,b\n");
        run(&connection, &format!("COPY P (id, name) FROM '{people}'"));
        run(&connection, "MATCH (a:P {id: 1}), (b:P {id: 2}) CREATE (a)-[:K {w: 1}]->(b), (a)-[:One]->(b)");
        run(&connection, "BEGIN TRANSACTION; DROP TABLE K; DROP TABLE One; DROP TABLE P");
        run(&connection, "CREATE NODE TABLE P(id INT64 PRIMARY KEY); CREATE (:P {id: 1}); COMMIT");
        assert_eq!(run(&connection, "MATCH (p:P) RETURN p.id"), "1");
        sound(&database);
        drop((connection, database));
        let database = files.open();
        assert_eq!(run(&database.connect().unwrap(), "MATCH (p:P) RETURN p.id"), "1");
        sound(&database);
        database.close().unwrap();
    });
}

#[test]
fn plans_of_own_definitions_serve_nobody_else() {
    each(|files| {
        let database = files.open();
        let (one, other) = (database.connect().unwrap(), database.connect().unwrap());
        let query = "MATCH (n:T) RETURN n.a";
        run(&one, "BEGIN TRANSACTION; CREATE NODE TABLE T(id INT64 PRIMARY KEY, a INT64)");
        run(&one, "CREATE (:T {id: 1, a: 2})");
        assert_eq!(run(&one, query), "2");
        run(&one, "ROLLBACK");
        // A catalog of the same number, with other columns under the same ids.
        run(&other, "CREATE NODE TABLE T(id INT64 PRIMARY KEY, b STRING)");
        assert_eq!(fail(&one, query).kind(), ErrorKind::Binder);
        run(&other, "BEGIN TRANSACTION; DROP TABLE T; CREATE NODE TABLE T(id INT64 PRIMARY KEY, a STRING)");
        run(&other, "CREATE (:T {id: 1, a: 'text'})");
        assert_eq!(run(&other, query), "text");
        run(&other, "COMMIT");
        assert_eq!(run(&one, query), "text");
    });
}

#[test]
fn a_read_only_transaction_neither_loads_nor_defines() {
    each(|files| {
        let database = files.open();
        let connection = database.connect().unwrap();
        run(&connection, DEFINITIONS);
        let people = files.file("p.csv", "1,a\n");
        run(&connection, "BEGIN TRANSACTION READ ONLY");
        for text in [&format!("COPY P (id, name) FROM '{people}'"), "DROP TABLE K"] {
            assert_eq!(fail(&connection, text).kind(), ErrorKind::Transaction);
        }
        run(&connection, "COMMIT");
        assert_eq!(run(&connection, "MATCH (p:P) RETURN count(*)"), "0");
    });
}

#[test]
fn churn_does_not_grow_the_file_for_ever() {
    let (disk, folder) = (SimulatedBackend::new(1), tempfile::tempdir().unwrap());
    let files = Files { disk, folder, rows: 1, durability: DurabilityMode::Strict };
    let builder = Database::builder().threads(1).buffer_pool_size(8 << 20).small_load_rows(1);
    let builder = builder.checkpoint_threshold(256 << 10).backend(Arc::new(files.disk.clone()));
    let database = builder.open("unused").unwrap();
    let connection = database.connect().unwrap();
    let people = files.file("p.csv", &(0..200).map(|id| format!("{id},{:0>60}\n", id)).collect::<String>());
    for _ in 0..120 {
        run(&connection, "CREATE NODE TABLE P(id INT64 PRIMARY KEY, name STRING)");
        run(&connection, &format!("COPY P FROM '{people}'"));
        run(&connection, "DROP TABLE P");
    }
    let stats = database.storage_stats().unwrap();
    assert!(stats.checkpoints > 1 && stats.file_bytes < 3 << 20, "{stats:?}");
    sound(&database);
    database.close().unwrap();
}
