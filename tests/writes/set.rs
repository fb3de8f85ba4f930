//! SET and REMOVE.

use super::Graph;

fn people() -> Graph {
    let graph = Graph::new();
    graph.run("UNWIND range(1, 5) AS i CREATE (:P {id: i, name: 'p', age: i * 10})");
    graph.run("MATCH (a:P), (b:P) WHERE a.id < b.id CREATE (a)-[:K {since: a.id}]->(b)");
    graph
}

#[test]
fn properties_are_set_and_removed() {
    let graph = people();
    graph.counts("MATCH (n:P {id: 1}) SET n.name = 'x', n.age = 7", [0, 0, 0, 0, 2, 0]);
    graph.check("MATCH (n:P {id: 1}) RETURN n.name, n.age", "x|7");
    graph.counts("MATCH (n:P) WHERE n.id <= 2 REMOVE n.age", [0, 0, 0, 0, 2, 0]);
    graph.counts("MATCH (n:P) WHERE n.id <= 2 SET n.age = NULL", [0; 6]);
    graph.check("MATCH (n:P) RETURN sum(n.age), count(n.age)", "120|3");
    graph.counts("MATCH (:P {id: 1})-[r:K]->() SET r.since = r.since + 100", [0, 0, 0, 0, 4, 0]);
    graph.check("MATCH (:P)-[r:K]->() RETURN sum(r.since)", "420");
    graph.check("MATCH (n:P {id: 3}) SET n.age = n.age + 1 RETURN n.age", "31");
}

#[test]
fn every_row_sees_the_one_before() {
    let graph = people();
    graph.check("MATCH (n:P {id: 1}) UNWIND range(1, 50) AS i SET n.age = n.age + i RETURN count(*)", "50");
    graph.check("MATCH (n:P {id: 1}) RETURN n.age", "1285");
    // Each node's number of smaller neighbours, one by one.
    graph.run("MATCH (n:P) SET n.age = 0");
    graph.run("MATCH (a:P)-[:K]->(b:P) SET b.age = b.age + 1");
    graph.check("MATCH (n:P) RETURN n.age ORDER BY n.id", "0 1 2 3 4");
    // A chain through the rows: each takes what the one before got.
    graph.run("UNWIND [2, 3, 4, 5] AS i MATCH (a:P {id: i - 1}), (b:P {id: i}) WITH a, b ORDER BY b.id SET b.age = a.age + 10");
    graph.check("MATCH (n:P) RETURN n.age ORDER BY n.id", "0 10 20 30 40");
}

#[test]
fn items_see_the_ones_before() {
    let graph = people();
    graph.check(
        "MATCH (n:P {id: 1}) SET n.age = 3, n.age = n.age * 2, n.name = toString(n.age) RETURN n.age, n.name",
        "6|6",
    );
    // Values of one map are taken before any is written.
    graph.run("CREATE NODE TABLE Q(id INT64 PRIMARY KEY, a INT64, b INT64)");
    graph.check("CREATE (q:Q {id: 1, a: 1, b: 2}) SET q += {a: q.b, b: q.a} RETURN q.a, q.b", "2|1");
    graph.check("MATCH (q:Q) SET q.a = q.b, q.b = q.a RETURN q.a, q.b", "1|1");
}

#[test]
fn maps_replace_or_add() {
    let graph = people();
    graph.check("MATCH (n:P {id: 1}) SET n += {name: 'y'} RETURN n.name, n.age", "y|10");
    graph.counts("MATCH (n:P {id: 1}) SET n = {id: 1, name: 'z'}", [0, 0, 0, 0, 3, 0]);
    graph.check("MATCH (n:P {id: 1}) RETURN n.name, n.age", "z|");
    graph.check(
        "MATCH (a:P {id: 2}), (b:P {id: 3}) WITH a, properties(a) AS p SET a.age = 99 RETURN p.age, a.age",
        "20|99",
    );
    graph.check("MATCH (:P {id: 1})-[r:K]->(:P {id: 2}) SET r = {} RETURN r.since", "");
    // Keys that are known only when the rows are there.
    graph.check(
        "UNWIND [{id: 4, age: 1}, {id: 5, name: 'late'}] AS row MATCH (n:P {id: row.id}) SET n += row RETURN n.id, n.name, n.age",
        "4|p|1 5|late|50",
    );
    let error = graph
        .fails("UNWIND [{id: 4, age: 1}, {id: 5, nme: 'late'}] AS row MATCH (n:P {id: row.id}) SET n += row");
    assert!(error.contains("P has no property nme"), "{error}");
}

#[test]
fn keys_can_be_changed_and_stay_unique() {
    let graph = people();
    graph.run("MATCH (n:P {id: 1}) SET n.id = 100");
    graph.check("MATCH (n:P {id: 100}) RETURN n.age", "10");
    graph.check("MATCH (n:P {id: 1}) RETURN n.age", "");
    graph.run("CREATE (:P {id: 1})");
    let error = graph.fails("MATCH (n:P) WHERE n.id > 3 SET n.id = 2");
    assert!(error.contains("key 2"), "{error}");
    let error = graph.fails("MATCH (n:P {id: 2}) SET n.id = NULL");
    assert!(error.contains("P.id must not be null") && error.contains("row 1 of SET"), "{error}");
}

#[test]
fn tables_without_the_column_refuse_values() {
    let graph = people();
    graph.run("CREATE (:C {id: 1})");
    let error = graph.fails("MATCH (n) SET n.age = 1");
    assert!(error.contains("table C has no property age"), "{error}");
    graph.check("MATCH (n:P {id: 2}) RETURN n.age", "20");
    graph.run("MATCH (n) REMOVE n.age");
    graph.check("MATCH (n:P) RETURN count(n.age)", "0");
}

#[test]
fn only_properties_that_are_there_are_told() {
    let graph = Graph::new();
    graph.run("CREATE (:P {id: 1, age: 3}), (:C {id: 2, name: 'x'})");
    graph.check("MATCH (n:P) RETURN keys(n)", "[id,age]");
    graph.check(
        "MATCH (n) RETURN keys(n), properties(n) ORDER BY n.id",
        "[id,age]|{id: 1, age: 3} [id,name]|{id: 2, name: x}",
    );
    graph.check("MATCH (n:P) REMOVE n.age RETURN size(keys(n))", "1");
    graph.check("MATCH (n) WITH collect(n) AS all UNWIND all AS n RETURN sum(size(keys(n)))", "3");
}

#[test]
fn rows_without_names_are_rows_all_the_same() {
    let graph = Graph::new();
    graph.run("CREATE (:P {id: 1}), (:P {id: 2})");
    graph.run("CREATE NODE TABLE S(id SERIAL PRIMARY KEY)");
    graph.check("MATCH (:P) CREATE (:S) WITH * MATCH (:S) RETURN count(*)", "4");
    graph.check(
        "MATCH (:P) CREATE (:S) WITH * MATCH (:P {id: 1}) CREATE (:S) WITH * MATCH (:S) RETURN count(*)",
        "12",
    );
}
