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

#[test]
fn an_edge_beside_an_intersection_is_part_of_the_trail() {
    let connection = graph(
        &[
            "CREATE NODE TABLE P(pid INT64 PRIMARY KEY)",
            "CREATE REL TABLE K(FROM P TO P)",
            "CREATE REL TABLE M(FROM P TO P)",
        ],
        &[("P", "1\n2\n"), ("K", "1,2\n"), ("M", "2,1\n")],
    );
    let text = "MATCH (a:P {pid: 1})-[:K]->(d:P), (a)<-[:M]-(d), (d)-[:M]->(b:P) RETURN a.pid, d.pid, b.pid";
    check(&connection, text, &[]);
    let loops = "1,1\n".repeat(7);
    let connection = graph(
        &["CREATE NODE TABLE P(pid INT64 PRIMARY KEY)", "CREATE REL TABLE K(FROM P TO P)"],
        &[("P", "1\n"), ("K", &loops)],
    );
    // Three different loops in order.
    check(&connection, "MATCH (a)-[:K]->(b), (a)-[:K]-(b), (b)-[:K]->(a) RETURN count(*)", &["210"]);
    check(&connection, "MATCH (a)-[:K]->(b), (a)-[:K]->(b), (b)-[:K]->(a) RETURN count(*)", &["210"]);
    check(&connection, "MATCH (a)-[r:K]->(b), (a)-[:K]->(b), (b)-[:K]->(a) RETURN count(DISTINCT r)", &["7"]);
}

#[test]
fn columns_without_values_fit_every_function() {
    let connection = graph(
        &[
            "CREATE NODE TABLE P(pid INT64 PRIMARY KEY, x INT64)",
            "CREATE NODE TABLE C(cid INT64 PRIMARY KEY, x INT64)",
            "CREATE REL TABLE PC(FROM P TO C)",
        ],
        &[("P", "1,\n2,\n"), ("C", "1,5\n"), ("PC", "1,1\n")],
    );
    check(&connection, "MATCH (a) WHERE a.pid = a.cid RETURN count(*)", &["0"]);
    check(
        &connection,
        "MATCH (a) RETURN label(a) AS l, sum(a.x), max(a.x) ORDER BY l",
        &["C|5|5", "P|0|NULL"],
    );
    check(&connection, "RETURN [x IN [1, 2] WHERE x > null] AS l", &["[]"]);
    check(&connection, "MATCH (a) WHERE a.pid + a.cid > 0 OR a.x = 5 RETURN count(*)", &["1"]);
    check(&connection, "MATCH (a) RETURN count(coalesce(a.pid, a.cid))", &["3"]);
}
