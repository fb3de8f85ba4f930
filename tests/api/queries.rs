//! Queries, parameters, prepared statements, and values as Rust types.

use std::collections::BTreeMap;

use quiredb::{DataType, Database, ErrorKind, NodeValue, PathValue, Phase, RelValue, Value, params};

use super::{COUNT_PEOPLE, People, number};

#[test]
fn rows_have_names_types_and_values() {
    let people = People::in_memory();
    let query = "MATCH (p:Person) RETURN p.id AS id, p.name AS name, p.born AS born ORDER BY id";
    let result = people.connect().query(query).unwrap();
    assert_eq!(result.columns(), ["id", "name", "born"]);
    assert_eq!(result.types(), [DataType::Int64, DataType::String, DataType::Int64]);
    assert_eq!((result.len(), result.is_empty()), (3, false));
    let rows: Vec<(i64, String, Option<i64>)> = result
        .rows()
        .map(|row| (row.get("id").unwrap(), row.get(1).unwrap(), row.get("born").unwrap()))
        .collect();
    let expected = [(1, "Ada", Some(1815)), (2, "Grace", Some(1906)), (3, "Radia", None)];
    assert_eq!(rows, expected.map(|(id, name, born)| (id, name.to_owned(), born)));
    assert_eq!(result.to_values()[2], [Value::Int64(3), Value::String("Radia".to_owned()), Value::Null]);
    assert!(!result.summary().wrote);
}

#[test]
fn a_wrong_column_or_type_is_an_error() {
    let connection = Database::in_memory().unwrap().connect().unwrap();
    let result = connection.query("RETURN 300 AS n, NULL AS nothing").unwrap();
    let row = result.first().unwrap();
    assert_eq!(row.get::<u16>("n").unwrap(), 300);
    assert_eq!(row.get::<f64>("n").unwrap(), 300.0);
    for (error, part) in [
        (row.get::<u8>("n").unwrap_err(), "does not fit u8"),
        (row.get::<String>("n").unwrap_err(), "INT64"),
        (row.get::<i64>("nothing").unwrap_err(), "NULL"),
        (row.get::<i64>("m").unwrap_err(), "there are: n, nothing"),
        (row.get::<i64>(2).unwrap_err(), "there is no column 2"),
    ] {
        assert_eq!(error.kind(), ErrorKind::Result);
        assert!(error.message().contains(part), "{error}");
    }
    assert_eq!(row.get::<Option<i64>>("nothing").unwrap(), None);
}

#[test]
fn values_become_rust_types() {
    let connection = Database::in_memory().unwrap().connect().unwrap();
    let result = connection
        .query("RETURN [1, 2] AS list, {a: 1, b: 2} AS fields, 'x' AS text, true AS truth, 1.5 AS half, [NULL, 'y'] AS texts")
        .unwrap();
    let row = result.first().unwrap();
    assert_eq!(row.get::<Vec<i32>>("list").unwrap(), [1, 2]);
    let fields: BTreeMap<String, i64> = row.get("fields").unwrap();
    assert_eq!(fields, BTreeMap::from([("a".to_owned(), 1), ("b".to_owned(), 2)]));
    assert_eq!(row.get::<String>("text").unwrap(), "x");
    assert!(row.get::<bool>("truth").unwrap());
    assert_eq!(row.get::<f32>("half").unwrap(), 1.5);
    assert_eq!(row.get::<Vec<Option<String>>>("texts").unwrap(), [None, Some("y".to_owned())]);
}

#[test]
fn nodes_relationships_and_paths_carry_their_properties() {
    let people = People::in_memory();
    let query =
        "MATCH p = (a:Person {id: 1})-[k:Knows]->(b:Person {id: 2}) RETURN a, k, p, id(a) = id(b) AS same";
    let result = people.connect().query(query).unwrap();
    let row = result.first().unwrap();
    let (ada, knows, path): (NodeValue, RelValue, PathValue) =
        (row.get("a").unwrap(), row.get("k").unwrap(), row.get("p").unwrap());
    assert_eq!(ada.labels, ["Person"]);
    assert!(ada.properties.contains(&("name".to_owned(), Value::String("Ada".to_owned()))));
    assert_eq!((knows.label.as_str(), knows.src), ("Knows", ada.id));
    assert_eq!(knows.properties, [("since".to_owned(), Value::Int64(1990))]);
    assert_eq!((path.nodes.len(), path.rels.len()), (2, 1));
    assert_eq!((&path.nodes[0], &path.rels[0]), (&ada, &knows));
    assert!(!row.get::<bool>("same").unwrap());
}

#[test]
fn parameters_are_typed_by_their_values() {
    let connection = People::in_memory().connect();
    let query = "MATCH (p:Person) WHERE p.id IN $ids AND p.name <> $name RETURN p.name AS name";
    let result = connection.query_with(query, params! { ids: vec![1, 2, 9], name: "Ada" }).unwrap();
    assert_eq!(result.len(), 1);
    assert_eq!(result.first().unwrap().get::<String>("name").unwrap(), "Grace");
    let error = connection.query_with(query, params! { ids: vec![1] }).unwrap_err();
    assert_eq!((error.kind(), error.phase()), (ErrorKind::Parameter, Phase::Compile));
    assert!(error.message().contains("$name"), "{error}");
    assert_eq!(error.span().unwrap().column, 51);
}

#[test]
fn prepared_statements_run_again_and_again() {
    let people = People::in_memory();
    let connection = people.connect();
    let statement = connection.prepare("MATCH (p:Person {id: $id}) RETURN p.name AS name").unwrap();
    assert_eq!(statement.parameters(), ["id"]);
    for (id, name) in [(1, Some("Ada")), (3, Some("Radia")), (4, None)] {
        let result = statement.execute_with(params! { id: id }).unwrap();
        let found: Option<String> = result.first().map(|row| row.get("name").unwrap());
        assert_eq!(found.as_deref(), name);
    }
    // Another type is another plan, and the table may change in between.
    assert!(statement.execute_with(params! { id: 1.0 }).is_ok());
    assert!(statement.execute().is_err());
    connection.query("DROP TABLE Knows").unwrap();
    assert_eq!(statement.execute_with(params! { id: 2i64 }).unwrap().len(), 1);
    assert!(connection.prepare("MATCH (p:Persn) RETURN p").is_err());
    assert!(connection.prepare("MATCH (p:Person) RETURN p.nme").is_err());
    // A statement outlives the value it was prepared on.
    drop(connection);
    drop(people);
    assert_eq!(statement.execute_with(params! { id: 2i64 }).unwrap().len(), 1);
}

#[test]
fn a_text_may_hold_several_statements() {
    let connection = Database::in_memory().unwrap().connect().unwrap();
    let result =
        connection.query("CREATE NODE TABLE A(id INT64 PRIMARY KEY); RETURN 1 AS x; RETURN 2 AS y;").unwrap();
    assert_eq!(result.columns(), ["y"]);
    // What ran before the error stays.
    assert!(connection.query("CREATE NODE TABLE B(id INT64 PRIMARY KEY); RETURN z").is_err());
    assert!(connection.catalog().unwrap().table("B").is_some());
    assert!(connection.query(" ;; // nothing").unwrap().columns().is_empty());
}

#[test]
fn errors_point_at_the_text() {
    let connection = People::in_memory().connect();
    let text = "MATCH (p:Person)\nRETURN p.nmae";
    let error = connection.query(text).unwrap_err();
    assert_eq!((error.kind(), error.phase()), (ErrorKind::Binder, Phase::Compile));
    let span = error.span().unwrap();
    assert_eq!((span.line, span.column, span.length, span.snippet.as_str()), (2, 10, 4, "RETURN p.nmae"));
    assert_eq!(error.hint(), Some("Did you mean name?"));
    let error = connection.query("UNWIND [1, 0] AS n RETURN 1 % n").unwrap_err();
    assert_eq!((error.kind(), error.phase()), (ErrorKind::Runtime, Phase::Runtime));
}

#[test]
fn loads_report_what_they_did() {
    let people = People::in_memory();
    let path = people.folder.path().join("more.csv");
    std::fs::write(&path, "id;name\n# comment line to skip\n4;Barbara\n5;\n").unwrap();
    let config = quiredb::CsvImportConfig {
        delimiter: ';',
        columns: vec!["id".to_owned(), "name".to_owned()],
        header: false,
        skip: 2,
        ..Default::default()
    };
    let summary = people.database.import_nodes("Person", &path, &config, |_| {}).unwrap();
    assert_eq!((summary.rows, summary.rows_rejected), (2, 0));
    let connection = people.connect();
    assert_eq!(number(&connection, COUNT_PEOPLE), 5);
    assert_eq!(number(&connection, "MATCH (p:Person) WHERE p.name IS NULL RETURN p.id"), 5);
    let edges = people.folder.path().join("edges.csv");
    std::fs::write(&edges, "a,b,since\n4,1,2010\n4,5,2011\n").unwrap();
    let summary = people.database.import_relationships("Knows", &edges, &Default::default(), |_| {}).unwrap();
    assert_eq!(summary.rows, 2);
    assert_eq!(number(&connection, "MATCH (:Person {id: 4})-[k:Knows]->() RETURN sum(k.since)"), 4021);
}

#[test]
fn a_load_is_whole_or_not_at_all() {
    let people = People::in_memory();
    let connection = people.connect();
    for (content, part) in
        [("4,Barbara,1939\n1,Ada,1815\n", "1"), ("4,Barbara,1939\n5,X\n", "5,X"), ("4,B,many\n", "many")]
    {
        let path = people.folder.path().join("bad.csv");
        std::fs::write(&path, content).unwrap();
        let error = connection.query(&format!("COPY Person FROM '{}'", path.display())).unwrap_err();
        assert!(matches!(error.kind(), ErrorKind::Csv | ErrorKind::Constraint), "{error}");
        assert!(error.message().contains("bad.csv") && error.message().contains(part), "{error}");
        assert_eq!(number(&connection, COUNT_PEOPLE), 3);
    }
    let path = people.folder.path().join("ends.csv");
    std::fs::write(&path, "1,2,2000\n1,77,2001\n").unwrap();
    let error = connection.query(&format!("COPY Knows FROM '{}'", path.display())).unwrap_err();
    assert!(error.message().contains("77"), "{error}");
    assert_eq!(number(&connection, "MATCH ()-[k:Knows]->() RETURN count(*)"), 3);
}
