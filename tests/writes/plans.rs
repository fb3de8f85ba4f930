//! Plans of statements that write: where keys are looked up and what stands below what.

use quiredb::{Connection, Database, params};

fn graph() -> Connection {
    let connection = Database::in_memory().and_then(|database| database.connect()).expect("a connection");
    for definition in [
        "CREATE NODE TABLE T(id INT64 PRIMARY KEY, x INT64)",
        "CREATE NODE TABLE Small(id INT16 PRIMARY KEY)",
        "CREATE NODE TABLE Pair(a INT64, b STRING, x INT64, PRIMARY KEY (a, b))",
        "CREATE REL TABLE R(FROM T TO T, w INT64)",
    ] {
        connection.query(definition).unwrap_or_else(|error| panic!("{definition}: {error}"));
    }
    connection
}

/// The names of the operators with their depths.
#[track_caller]
fn operators(connection: &Connection, text: &str) -> Vec<String> {
    let keys = params! { "keys" => vec![1_i64, 2, 3] };
    let result = connection.query_with(&format!("EXPLAIN {text}"), keys);
    let result = result.unwrap_or_else(|error| panic!("{text}: {error}"));
    let name = |line: String| {
        let depth = (line.len() - line.trim_start().len()) / 2;
        format!("{depth} {}", line.trim_start().split([' ', '[']).next().unwrap_or(""))
    };
    result.rows().map(|row| name(row.get::<String>(0).expect("a text"))).collect()
}

#[track_caller]
fn check(text: &str, expected: &[&str]) {
    assert_eq!(operators(&graph(), text), expected, "{text}");
}

#[test]
fn unwound_keys_are_looked_up() {
    check(
        "UNWIND $keys AS k MATCH (n:T {id: k}) RETURN n.x",
        &["0 Project", "1 Fetch", "2 LookupNode", "3 Unwind", "4 Unit"],
    );
    check(
        "UNWIND $keys AS k MATCH (n:Small {id: k}) RETURN 1",
        &["0 Project", "1 LookupNode", "2 Unwind", "3 Unit"],
    );
    check(
        "UNWIND $keys AS k MATCH (n:T {id: k}) SET n.x = 1",
        &["0 Set", "1 LookupNode", "2 Unwind", "3 Unit"],
    );
}

#[test]
fn keys_of_unknown_type_are_looked_up() {
    check(
        "UNWIND [{id: 1}, {id: 'x'}] AS row MATCH (n:T {id: row.id}) RETURN 1",
        &["0 Project", "1 LookupNode", "2 Unwind", "3 Unit"],
    );
    let connection = graph();
    connection.query("UNWIND [1, 2, 3] AS i CREATE (:T {id: i})").expect("made");
    let text = "UNWIND [1, 2.0, 2.5, '3', NULL, true, 3] AS k MATCH (n:T {id: k}) RETURN n.id";
    assert_eq!(super::rows(&connection.query(text).expect(text)), "1 2 3");
}

#[test]
fn merge_by_key_uses_the_index() {
    let text = "UNWIND $keys AS k MERGE (n:T {id: k}) ON CREATE SET n.x = 0 ON MATCH SET n.x = n.x + 1";
    check(text, &["0 Merge", "1 LookupNode", "2 KeptRows", "1 Unwind", "2 Unit"]);
    let text = "UNWIND $keys AS k MERGE (n:Pair {b: 'x', a: k, x: 5})";
    let operators = operators(&graph(), text);
    assert!(operators.iter().any(|line| line.ends_with("LookupNode")), "{operators:?}");
    assert!(!operators.iter().any(|line| line.ends_with("ScanNodes")), "{operators:?}");
}

#[test]
fn merge_between_bound_nodes_uses_their_lists() {
    let text = "UNWIND $keys AS k MATCH (a:T {id: k}), (b:T {id: k + 1}) MERGE (a)-[:R {w: 1}]->(b)";
    let operators = operators(&graph(), text);
    assert!(operators.contains(&"0 Merge".to_owned()), "{operators:?}");
    assert!(operators.iter().any(|line| line.ends_with("ExpandInto")), "{operators:?}");
}

#[test]
fn creates_in_a_row_are_one() {
    check(
        "CREATE (a:T {id: 1}) CREATE (b:T {id: 2}) CREATE p = (a)-[:R]->(b) CREATE (c:T {id: a.id + 5}) RETURN p",
        &["0 Create", "1 Project", "2 Project", "3 Create", "4 Unit"],
    );
}

#[test]
fn clauses_stand_above_what_they_read() {
    check(
        "MATCH (a:T) CREATE (b:T {id: a.id + 1})-[:R]->(a) RETURN b.id",
        &["0 Project", "1 Fetch", "2 Create", "3 ScanNodes"],
    );
    check("MATCH (a:T) SET a.x = 1 WITH a DETACH DELETE a", &["0 DetachDelete", "1 Set", "2 ScanNodes"]);
    check(
        "CREATE (a:T {id: 1}) RETURN a.id UNION ALL CREATE (a:T {id: 2}) RETURN a.id",
        &[
            "0 Union",
            "1 Keep",
            "2 Project",
            "3 Fetch",
            "4 Create",
            "5 Unit",
            "1 Keep",
            "2 Project",
            "3 Fetch",
            "4 Create",
            "5 Unit",
        ],
    );
}
