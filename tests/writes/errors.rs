//! Rows that break a rule: the statement fails as a whole, and its error names the row.

use quiredb::ErrorKind;

use super::Graph;

#[track_caller]
fn check(graph: &Graph, text: &str, kind: ErrorKind, parts: &[&str]) {
    let error = graph.connection.query(text).expect_err(text);
    assert_eq!(error.kind(), kind, "{text}: {error}");
    for part in parts {
        assert!(error.message().contains(part), "{text}: {error}");
    }
}

#[test]
fn constraints_name_the_row() {
    let graph = Graph::new();
    graph.run("CREATE NODE TABLE U(id INT64 PRIMARY KEY, code STRING UNIQUE, name STRING NOT NULL)");
    graph.run("CREATE REL TABLE Owner(FROM P TO C, MANY_ONE)");
    graph.run("CREATE (:U {id: 1, code: 'a', name: 'x'}), (:P {id: 1}), (:C {id: 1}), (:C {id: 2})");
    let constraint = ErrorKind::Constraint;
    check(&graph, "UNWIND [5, 1] AS i CREATE (:P {id: i})", constraint, &["key 1", "row 2 of CREATE"]);
    check(&graph, "UNWIND [5, 6, 5] AS i CREATE (:P {id: i})", constraint, &["key 5", "row 3 of CREATE"]);
    check(&graph, "UNWIND [5, NULL] AS i CREATE (:P {id: i})", constraint, &["P.id", "row 2 of CREATE"]);
    check(
        &graph,
        "UNWIND ['b', 'a'] AS c CREATE (:U {id: size(c) + 1, code: c, name: 'x'})",
        constraint,
        &["row 2"],
    );
    check(
        &graph,
        "UNWIND ['b', NULL] AS n CREATE (:U {id: coalesce(size(n), 0) + 5, name: n})",
        constraint,
        &["U.name", "row 2"],
    );
    check(&graph, "MATCH (u:U) SET u.name = NULL", constraint, &["U.name", "primary key 1", "row 1 of SET"]);
    check(
        &graph,
        "MATCH (a:P {id: 1}), (c:C) CREATE (a)-[:Owner]->(c)",
        constraint,
        &["Owner", "the P with the primary key 1", "row 2"],
    );
    graph.check("MATCH (n) RETURN count(*)", "4");
    graph.check("MATCH ()-[r]->() RETURN count(*)", "0");
}

#[test]
fn deleting_names_the_row_too() {
    let graph = Graph::new();
    graph.run("UNWIND range(1, 3) AS i CREATE (:P {id: i})");
    graph.run("MATCH (a:P {id: 3}) CREATE (a)-[:K]->(a)");
    let text = "UNWIND [1, 2, 3] AS i MATCH (n:P {id: i}) DELETE n";
    let parts = ["the P with the primary key 3 still has relationships of type K", "row 3 of DELETE"];
    check(&graph, text, ErrorKind::Constraint, &parts);
    graph.check("MATCH (n:P) RETURN count(*)", "3");
}

#[test]
fn a_database_that_is_only_read_says_so() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("graph");
    let database = quiredb::Database::open(&path).expect("a database");
    database
        .connect()
        .expect("a connection")
        .query("CREATE NODE TABLE P(id INT64 PRIMARY KEY)")
        .expect("a table");
    database.close().expect("closed");
    let database = quiredb::Database::builder().read_only(true).open(&path).expect("the database");
    let connection = database.connect().expect("a connection");
    let error = connection.query("CREATE (:P {id: 1})").expect_err("read-only");
    assert_eq!(error.kind(), ErrorKind::Unavailable, "{error}");
}

#[test]
fn mistakes_of_the_text_are_found_before_anything_runs() {
    let graph = Graph::new();
    let error = graph.connection.query("CREATE (n:P {id: 1})\nSET n.agee = 5").expect_err("no such property");
    let span = error.span().expect("a place");
    assert_eq!((error.kind(), span.line, span.column), (ErrorKind::Binder, 2, 7));
    assert_eq!(error.hint(), Some("Did you mean age?"));
    graph.check("MATCH (n) RETURN count(*)", "0");
}

#[test]
fn values_that_cannot_be_computed_undo_the_statement() {
    let graph = Graph::new();
    check(&graph, "UNWIND [1, 0] AS i CREATE (:P {id: 1 / i})", ErrorKind::Runtime, &[]);
    check(
        &graph,
        "CREATE (a:P {id: 1}) WITH a UNWIND [1, 0] AS i SET a.age = 1 / i",
        ErrorKind::Runtime,
        &[],
    );
    graph.check("MATCH (n:P) RETURN count(*)", "0");
}
