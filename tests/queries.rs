//! Answers over loaded tables that were wrong once, or nearly: each test is named for what it holds.

use quiredb::{Connection, Database};

/// Runs definitions and loads, given as `(table, lines of CSV)`.
fn graph(definitions: &[&str], rows: &[(&str, &str)]) -> Connection {
    let folder = tempfile::tempdir().expect("a folder");
    let database = Database::in_memory().expect("a database");
    let connection = database.connect().expect("a connection");
    for definition in definitions {
        connection.query(definition).expect("a definition");
    }
    for (number, (table, text)) in rows.iter().enumerate() {
        let path = folder.path().join(format!("{number}.csv"));
        std::fs::write(&path, text).expect("a file");
        connection.query(&format!("COPY {table} FROM '{}'", path.display())).expect("a load");
    }
    connection
}

fn check(connection: &Connection, text: &str, expected: &[&str]) {
    let result = connection.query(text).unwrap_or_else(|error| panic!("{text}: {error}"));
    let rows: Vec<String> = result
        .rows()
        .map(|row| row.values().iter().map(ToString::to_string).collect::<Vec<_>>().join("|"))
        .collect();
    assert_eq!(rows, expected, "{text}");
}

#[test]
fn a_node_without_the_key_property_differs_from_nothing() {
    let connection = graph(
        &[
            "CREATE NODE TABLE P(pid INT64 PRIMARY KEY)",
            "CREATE NODE TABLE Q(qid INT64 PRIMARY KEY)",
            "CREATE REL TABLE PP(FROM P TO P)",
            "CREATE REL TABLE PQ(FROM P TO Q)",
        ],
        &[("P", "1\n2\n"), ("Q", "1\n"), ("PP", "1,2\n1,1\n"), ("PQ", "1,1\n2,1\n")],
    );
    check(&connection, "MATCH (a:P)-->(b) WHERE a.pid <> b.pid RETURN count(*)", &["1"]);
    check(&connection, "MATCH (a:P)-->(b:P) WHERE a.pid <> b.pid RETURN a.pid, b.pid", &["1|2"]);
}
