//! `CALL { … }` without RETURN: what it does, and that the rows around it go on as they were.

use super::Graph;

fn graph() -> Graph {
    let graph = Graph::new();
    graph.run("CREATE (:P {id: 1, age: 3})-[:K {since: 1}]->(:P {id: 2})-[:K {since: 2}]->(:P {id: 3})");
    graph.run("MATCH (a:P {id: 1}), (c:P {id: 3}) CREATE (a)-[:K {since: 3}]->(c)");
    graph
}

#[test]
fn rows_are_neither_more_nor_fewer_behind_it() {
    let graph = graph();
    let persons = "MATCH (a:P) CALL (a)";
    graph.check(
        &format!("{persons} {{ MATCH (a)-[:K]->(b) SET b.name = coalesce(b.name, '') + toString(a.id) }} RETURN a.id, a.age ORDER BY a.id"),
        "1|3 2| 3|",
    );
    graph.check("MATCH (a:P) RETURN a.name ORDER BY a.id", " 1 12");
    graph.check(
        &format!("{persons} {{ UNWIND range(1, a.id) AS i WITH a, i WHERE i > 1 CREATE (:C {{id: a.id * 10 + i}}) }} RETURN count(*), sum(a.id)"),
        "3|6",
    );
    graph.check("MATCH (c:C) RETURN c.id ORDER BY c.id", "22 32 33");
    graph.check(
        &format!("{persons} {{ MERGE (c:C {{id: 22}}) ON MATCH SET c.name = toString(a.id) }} WITH a.id AS i WHERE i < 3 RETURN i ORDER BY i"),
        "1 2",
    );
    graph.check("CALL { MATCH (c:C) WHERE c.id > 30 DELETE c } RETURN 1", "1");
    graph.check("MATCH (c:C) RETURN c.id, c.name", "22|3");
    graph.counts("CALL { MATCH (c:C) DELETE c }", [0, 1, 0, 0, 0, 0]);
}

#[test]
fn clauses_behind_see_what_was_written() {
    let graph = graph();
    graph.check(
        "MATCH p = (a:P {id: 1})-[r:K*2..2]->(c) CALL (a, c) { MATCH (a)-[:K]->(b) WHERE b <> c SET b.age = 7 SET c.age = 8 } \
         MATCH (a)-[:K]->(x) RETURN length(p), size(r), [n IN nodes(p) | n.age], x.id, x.age ORDER BY x.id",
        "2|2|[3,7,8]|2|7 2|2|[3,7,8]|3|8",
    );
    graph.check(
        "MATCH (a:P) CALL (a) { WITH a WHERE EXISTS { (a)-[:K]->() } CREATE (a)-[:K {since: 9}]->(a) } \
         CALL (a) { MATCH (a)-[k:K {since: 9}]->() CALL (k) { WITH k WHERE k.since > 0 SET k.since = 10 } SET a.age = 10 } \
         RETURN a.id, a.age, COUNT { (a)-[:K {since: 10}]->() } ORDER BY a.id",
        "1|10|1 2|10|1 3|8|0",
    );
    graph.check(
        "UNWIND [1, 2] AS i CALL (i) { MATCH (a:P {id: i}) DETACH DELETE a } RETURN i, COUNT { (:P) } ORDER BY i",
        "1|1 2|1",
    );
}

/// Rows that are read once more are shown, and above them the clauses that ran meanwhile.
#[test]
fn explain_shows_its_clauses() {
    let graph = graph();
    let plan = graph.run("EXPLAIN MATCH (a:P) CALL (a) { MATCH (a)-[:K]->(b) SET b.age = 1 } RETURN a.id");
    let lines: Vec<String> = plan.rows().map(|row| row.get::<String>(0).expect("a text")).collect();
    let names: Vec<&str> = lines.iter().filter_map(|line| line.split_whitespace().next()).collect();
    let place = |name: &str| names.iter().position(|known| known.starts_with(name)).expect("it is shown");
    assert!(place("KeptRows") < place("Set") && place("Set") < place("Keep"), "{names:?}");
}
