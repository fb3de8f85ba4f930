//! CHECK: what a definition may say, and that CREATE, MERGE, SET and COPY keep to it.

use quiredb::ErrorKind;

use super::Graph;

fn graph() -> Graph {
    let graph = Graph::new();
    graph.run(
        "CREATE NODE TABLE A(id INT64 PRIMARY KEY, low INT64 CHECK (low >= 0), high INT64 DEFAULT 10, \
         kind STRING CHECK (kind IN ['x', 'y']) CHECK (size(kind) = 1), tags STRING[], \
         CHECK (low <= high), CHECK (all(tag IN tags WHERE size(tag) < 3)))",
    );
    graph.run(
        "CREATE REL TABLE R(FROM A TO A, FROM A TO P, weight DOUBLE CHECK (weight > 0 AND weight <= 1))",
    );
    graph
}

#[track_caller]
fn refused(graph: &Graph, text: &str, parts: &[&str]) {
    let before = graph.run("MATCH (n) RETURN n.id, n.low, n.high, n.kind ORDER BY id(n)").to_values();
    let error = graph.connection.query(text).expect_err(text);
    assert_eq!(error.kind(), ErrorKind::Constraint, "{text}: {error}");
    for part in parts {
        assert!(error.message().contains(part), "{text}: {error}");
    }
    let after = graph.run("MATCH (n) RETURN n.id, n.low, n.high, n.kind ORDER BY id(n)").to_values();
    assert_eq!(before, after, "{text}: undone");
}

#[test]
fn every_clause_keeps_to_it() {
    let graph = graph();
    graph.run("CREATE (:A {id: 1, low: 0, kind: 'x', tags: ['a', 'b']}), (:A {id: 2}), (:P {id: 1})");
    let low = ["CHECK (low >= 0)", "low = -3", "primary key 7", "row 2 of CREATE", "the A"];
    refused(&graph, "UNWIND [[6, 5], [7, -3]] AS r CREATE (:A {id: r[0], low: r[1]})", &low);
    // The default of high is 10.
    refused(&graph, "CREATE (:A {id: 3, low: 11})", &["CHECK (low <= high)", "low = 11, high = 10"]);
    refused(&graph, "CREATE (:A {id: 3, kind: 'z'})", &["kind = z"]);
    refused(&graph, "CREATE (:A {id: 3, tags: ['abc']})", &["tags"]);
    refused(&graph, "MERGE (:A {id: 4, low: -1})", &["low = -1", "row 1 of MERGE"]);
    refused(&graph, "MERGE (a:A {id: 4}) ON CREATE SET a.kind = 'q'", &["kind = q"]);
    refused(&graph, "MERGE (a:A {id: 1}) ON MATCH SET a.low = 20", &["low = 20, high = 10", "primary key 1"]);
    let set = ["primary key 2", "row 2 of SET"];
    refused(&graph, "MATCH (a:A) WITH a ORDER BY a.id SET a.low = 1 - a.id", &set);
    refused(&graph, "MATCH (a:A {id: 1}) SET a += {low: -5}", &["low = -5"]);
    refused(&graph, "UNWIND [{low: 1}, {low: -6}] AS m MATCH (a:A {id: 1}) SET a += m", &["low = -6"]);
    refused(&graph, "MATCH (a:A {id: 1}) SET a = {id: 1, low: 1, high: 0}", &["high = 0"]);
    let rel = ["the R from the A with the primary key 1 to the P with the primary key 1", "weight = 2.0"];
    refused(&graph, "MATCH (a:A {id: 1}), (p:P) CREATE (a)-[:R {weight: 2}]->(p)", &rel);
    graph.run("MATCH (a:A {id: 1}), (p:P) CREATE (a)-[:R {weight: 0.5}]->(p)");
    refused(&graph, "MATCH ()-[r:R]->() SET r.weight = 0", &["weight = 0.0", "row 1 of SET"]);
    // What a clause does in between is nobody's business.
    graph.run("MATCH (a:A {id: 1}) SET a.low = 50, a.high = 60");
    graph.run("MATCH (a:A {id: 1}) SET a.low = -1, a.low = 55");
    graph.check("MATCH (a:A) RETURN a.id, a.low, a.high, a.kind ORDER BY a.id", "1|55|60|x 2||10|");
    // NULL is not false.
    graph.run("MATCH (a:A {id: 1}) REMOVE a.kind, a.low, a.high");
}

#[test]
fn a_violation_inside_a_transaction_undoes_its_statement_only() {
    let graph = graph();
    graph.run("BEGIN TRANSACTION");
    graph.run("CREATE (:A {id: 1, low: 1})");
    assert!(graph.connection.query("MATCH (a:A) SET a.low = -1").is_err());
    graph.run("CREATE (:A {id: 2, low: 2})");
    graph.run("COMMIT");
    graph.check("MATCH (a:A) RETURN a.id, a.low ORDER BY a.id", "1|1 2|2");
}

#[test]
fn a_load_names_the_line() {
    let folder = tempfile::tempdir().expect("a folder");
    let graph = graph();
    let file = folder.path().join("a.csv");
    let mut rows = String::from("id,low,high,kind,tags\n");
    for id in 0..5000 {
        let low = if id == 3217 { 99 } else { 5 };
        rows.push_str(&format!("{id},{low},10,x,\n"));
    }
    std::fs::write(&file, rows).expect("a file");
    let copy = |options: &str| format!("COPY A FROM '{}' ({options})", file.display());
    let error = graph.connection.query(&copy("header = true")).expect_err("a bad row");
    assert_eq!(error.kind(), ErrorKind::Constraint, "{error}");
    let message = error.to_string();
    for part in ["a.csv", "line 3219", "CHECK (low <= high) of A", "low = 99, high = 10"] {
        assert!(message.contains(part), "{message}");
    }
    graph.check("MATCH (a:A) RETURN count(*)", "0");
    graph.run(&copy("header = true, ignore_errors = true"));
    graph.check("MATCH (a:A) RETURN count(*)", "4999");
    let edges = folder.path().join("r.csv");
    std::fs::write(&edges, "1,2,0.5\n2,3,1.5\n").expect("a file");
    let copy = format!("COPY R FROM '{}' (from = 'A', to = 'A', header = false)", edges.display());
    let error = graph.connection.query(&copy).expect_err("a bad row").to_string();
    assert!(error.contains("line 2") && error.contains("weight = 1.5"), "{error}");
    // Columns that the file has not take their default, which is checked as well.
    let narrow = folder.path().join("narrow.csv");
    std::fs::write(&narrow, "9001,11\n").expect("a file");
    let copy = format!("COPY A(id, low) FROM '{}' (header = false)", narrow.display());
    let error = graph.connection.query(&copy).expect_err("a bad row").to_string();
    assert!(error.contains("low = 11, high = 10"), "{error}");
}

#[test]
fn definitions_are_checked() {
    let graph = Graph::new();
    let column =
        |check: &str| format!("CREATE NODE TABLE T(id INT64 PRIMARY KEY, s SERIAL, x INT64 CHECK ({check}))");
    for (check, part) in [
        ("y > 0", "variable y is not defined"),
        ("x + 1", "CHECK needs a condition"),
        ("x > $p", "a parameter"),
        ("x > rand()", "a function whose value changes"),
        ("x > count(*)", "in CHECK"),
        ("s > x", "SERIAL"),
    ] {
        let error = graph.connection.query(&column(check)).expect_err(check);
        assert!(error.message().contains(part), "{check}: {error}");
    }
    let error = graph.fails("CREATE NODE TABLE T(id INT64 PRIMARY KEY, CHECK (1 < 2))");
    assert!(error.contains("no property"), "{error}");
    let error =
        graph.connection.query("CREATE NODE TABLE T(id INT64 PRIMARY KEY,\n  CHECK (idd > 0))").unwrap_err();
    let span = error.span().expect("a place");
    assert_eq!((span.line, span.column), (2, 10), "{error}");
}

#[test]
fn it_is_kept_with_the_database_and_means_the_same_in_both_dialects() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("graph");
    {
        let database = quiredb::Database::open(&path).expect("a database");
        let connection = database.connect().expect("a connection");
        connection
            .query("CREATE NODE TABLE T(id INT64 PRIMARY KEY, l INT64[] CHECK (l[0] > 0))")
            .expect("a table");
        connection.query("CALL dialect = 'kuzu'").expect("the other dialect");
        connection.query("CREATE (:T {id: 1, l: [5, -5]})").expect("l[0] is the first");
        database.close().expect("closed");
    }
    let database = quiredb::Database::open(&path).expect("the database");
    let connection = database.connect().expect("a connection");
    connection.query("CREATE (:T {id: 2, l: [-5, 5]})").expect_err("l[0] is the first");
}
