//! MERGE: found or made, once for what is the same.

use super::Graph;

#[test]
fn nodes_are_found_by_key_or_made() {
    let graph = Graph::new();
    graph.run("CREATE (:P {id: 1, age: 10})");
    graph.check(
        "UNWIND [1, 2, 2, 3, 1] AS k MERGE (n:P {id: k}) ON CREATE SET n.age = 0 ON MATCH SET n.age = n.age + 1 \
         RETURN k, n.id",
        "1|1 2|2 2|2 3|3 1|1",
    );
    graph.check("MATCH (n:P) RETURN n.id, n.age ORDER BY n.id", "1|12 2|1 3|0");
    graph.counts("UNWIND [1, 4] AS k MERGE (n:P {id: k}) ON CREATE SET n.name = 'new'", [1, 0, 0, 0, 2, 1]);
}

#[test]
fn nodes_are_found_by_other_properties() {
    let graph = Graph::new();
    graph.run("CREATE NODE TABLE City(id SERIAL PRIMARY KEY, name STRING, n INT64)");
    graph.run("UNWIND ['x', 'y', 'x', 'z'] AS name CREATE (:City {name: name})");
    graph.check("MERGE (c:City {name: 'x'}) RETURN count(*)", "2");
    graph.counts("UNWIND ['z', 'a', 'b', 'a'] AS name MERGE (c:City {name: name})", [2, 0, 0, 0, 2, 2]);
    graph.check("MATCH (c:City) RETURN c.name, count(*) AS n ORDER BY c.name", "a|1 b|1 x|2 y|1 z|1");
}

#[test]
fn rows_see_what_earlier_rows_have_set() {
    let graph = Graph::new();
    graph.run("CREATE NODE TABLE City(id SERIAL PRIMARY KEY, name STRING)");
    // What the first row makes is no longer called so when the second one looks.
    graph.counts(
        "UNWIND [1, 2] AS i MERGE (c:City {name: 'x'}) ON CREATE SET c.name = 'y'",
        [2, 0, 0, 0, 4, 2],
    );
    // The second row finds what the first one has renamed.
    graph.run("CREATE (:City {name: 'p'})");
    graph.check(
        "UNWIND ['p', 'q'] AS name MERGE (c:City {name: name}) ON MATCH SET c.name = 'q' RETURN c.id",
        "2 2",
    );
}

#[test]
fn relationships_between_bound_nodes() {
    let graph = Graph::new();
    graph.run("CREATE (a:P {id: 1})-[:K {since: 1}]->(b:P {id: 2}), (b)-[:K {since: 1}]->(:P {id: 3})");
    graph.counts("MATCH (a:P {id: 1}), (b:P {id: 2}) MERGE (a)-[:K]->(b)", [0; 6]);
    graph.counts("MATCH (a:P {id: 1}), (b:P {id: 2}) MERGE (a)-[r:K {since: 2}]->(b)", [0, 0, 1, 0, 1, 0]);
    graph.check("MATCH (a:P {id: 1}), (b:P {id: 2}) MERGE (a)-[r:K]->(b) RETURN count(r)", "2");
    graph.counts("MATCH (a:P), (b:P) WHERE a.id < b.id MERGE (a)-[:K]->(b)", [0, 0, 1, 0, 0, 0]);
    // Either direction is found; left to right is made.
    graph.check(
        "MATCH (a:P {id: 3}), (b:P {id: 1}) MERGE (a)-[r:K]-(b) WITH startNode(r) AS s RETURN s.id",
        "1",
    );
    graph.run("MATCH (a:P {id: 3})-[r:K]-(b:P {id: 1}) DELETE r");
    graph.check(
        "MATCH (a:P {id: 3}), (b:P {id: 1}) MERGE (a)-[r:K]-(b) WITH startNode(r) AS s, endNode(r) AS e RETURN s.id, e.id",
        "3|1",
    );
}

#[test]
fn the_same_relationship_is_made_once() {
    let graph = Graph::new();
    graph.run("UNWIND range(1, 10) AS i CREATE (:P {id: i})");
    graph.counts(
        "UNWIND range(1, 100) AS i MATCH (a:P {id: i % 10 + 1}), (b:P {id: i % 5 + 1}) MERGE (a)-[:K]->(b)",
        [0, 0, 10, 0, 0, 0],
    );
    graph.counts("UNWIND [[1, 2], [2, 1], [1, 2]] AS e MATCH (a:P {id: e[0]}), (b:P {id: e[1]}) MERGE (a)-[r:K {since: 9}]-(b)", [0, 0, 1, 0, 1, 0]);
}

#[test]
fn whole_patterns_are_found_or_made() {
    let graph = Graph::new();
    graph.counts("MERGE (a:P {id: 1})-[:K {since: 3}]->(b:P {id: 2})", [2, 0, 1, 0, 3, 2]);
    graph.counts("MERGE (a:P {id: 1})-[:K {since: 3}]->(b:P {id: 2})", [0; 6]);
    graph.check("MERGE p = (a:P {id: 1})-[:K]->(b:P {id: 2}) RETURN length(p), b.id", "1|2");
    // A part that exists is made again, and its key is taken.
    let error = graph.fails("MERGE (a:P {id: 1})-[:K]->(b:P {id: 9})");
    assert!(error.contains("key 1"), "{error}");
    graph.counts("MATCH (a:P {id: 1}) MERGE (a)-[:K]->(b:P {id: 9})", [1, 0, 1, 0, 1, 1]);
    let round = "MATCH (a:P {id: 1}), (c:P {id: 9}) MERGE (a)-[:K]->(b:P {id: 10})-[:K]->(c)";
    graph.counts(round, [1, 0, 2, 0, 1, 1]);
    graph.counts(round, [0; 6]);
}

#[test]
fn nothing_equals_null() {
    let graph = Graph::new();
    let error = graph.fails("UNWIND ['x', NULL] AS name MERGE (n:P {id: 1, name: name})");
    assert!(error.contains("P.name = NULL") && error.contains("row 2 of MERGE"), "{error}");
    graph.check("MATCH (n:P) RETURN count(*)", "0");
}

/// A column that is NOT NULL may still lack its value where the statement itself made the row.
#[test]
fn counting_values_that_are_still_owed_leaves_them_out() {
    let graph = Graph::new();
    graph.run("CREATE NODE TABLE U(id INT64 PRIMARY KEY, name STRING NOT NULL, v INT64)");
    graph.run("CREATE (a:U {id: 1}) WITH a MATCH (u:U) WITH a, count(u.name) AS c SET a.name = 'x', a.v = c");
    graph.run("MERGE (a:U {id: 2}) WITH a MATCH (u:U) WITH a, count(u.name) AS c SET a.name = 'y', a.v = c");
    graph.check("MATCH (u:U) RETURN u.id, u.name, u.v ORDER BY u.id", "1|x|0 2|y|1");
}

#[test]
fn values_that_must_be_there_may_come_by_set() {
    let graph = Graph::new();
    graph.run("CREATE NODE TABLE U(id INT64 PRIMARY KEY, name STRING NOT NULL, v INT64)");
    graph.run("CREATE REL TABLE W(FROM U TO U, w INT64 NOT NULL, x INT64)");
    graph.run("CREATE (:U {id: 1, name: 'a'})");
    // A key is enough for what is there.
    graph.counts("MERGE (u:U {id: 1}) ON CREATE SET u.name = 'x' ON MATCH SET u.v = 1", [0, 0, 0, 0, 1, 0]);
    graph.counts("MERGE (u:U {id: 1})", [0; 6]);
    graph.run("UNWIND [1, 2] AS i MERGE (u:U {id: i}) ON CREATE SET u.name = 'x' ON MATCH SET u.v = 2");
    graph.run("UNWIND [2, 3] AS i MERGE (u:U {id: i}) SET u += {name: 'y'}");
    graph.run("CREATE (u:U {id: 4}) WITH u AS n SET n.name = 'c'");
    graph.check("MATCH (u:U) RETURN u.id, u.name, u.v ORDER BY u.id", "1|a|2 2|y| 3|y| 4|c|");
    // Neither is what goes again by the end.
    graph.counts("MERGE (u:U {id: 9}) DELETE u", [1, 1, 0, 0, 1, 1]);
    let error = graph.fails("UNWIND [1, 5, 6] AS i MERGE (u:U {id: i}) ON MATCH SET u.name = 'm'");
    assert!(
        error.contains("U.name must not be null (the U with the primary key 5)")
            && error.contains("row 2 of MERGE"),
        "{error}"
    );
    graph.check("MATCH (u:U {id: 1}) RETURN u.name", "a");
    let error = graph.fails("UNWIND [7, 8] AS i CREATE (u:U {id: i}) WITH u, i WHERE i = 7 SET u.name = 's'");
    assert!(error.contains("the primary key 8") && error.contains("row 2 of CREATE"), "{error}");
    assert!(graph.fails("CREATE (u:U {id: 7})").contains("is given no value"));
    assert!(graph.fails("CREATE (u:U {id: 7}) SET u.v = 1").contains("is given no value"));
    assert!(graph.fails("MERGE (u:U {id: 7}) ON CREATE SET u.name = NULL").contains("must not be null"));
    assert!(graph.fails("MATCH (u:U {id: 1}) SET u.name = NULL").contains("must not be null"));
    assert!(graph.fails("MERGE (u:U {name: 'z'})").contains("U.id must not be null"));
    let between = "MATCH (a:U {id: 1}), (b:U {id: 2})";
    let error = graph.fails(&format!("{between} MERGE (a)-[:W]->(b)"));
    assert!(error.contains("W.w must not be null (the W from the U with"), "{error}");
    graph.counts(&format!("{between} MERGE (a)-[k:W]->(b) ON CREATE SET k.w = 1"), [0, 0, 1, 0, 1, 0]);
    graph.counts(&format!("{between} MERGE (a)-[k:W]->(b) ON MATCH SET k.x = 5"), [0, 0, 0, 0, 1, 0]);
    graph.check("MATCH ()-[k:W]->() RETURN k.w, k.x", "1|5");
}
