//! What a clause sees of the clauses before it, and what it does not see of itself.

use super::Graph;

#[test]
fn values_of_before_stay_what_they_were() {
    let graph = Graph::new();
    graph.run("CREATE (:P {id: 1, age: 3})");
    graph.check("MATCH (n:P) WITH n, n.age AS old SET n.age = 5 RETURN old, n.age", "3|5");
    graph.check("MATCH (n:P) SET n.age = 6 WITH n, n.age AS now SET n.age = 7 RETURN now, n.age", "6|7");
}

#[test]
fn a_clause_does_not_see_its_own_rows() {
    let graph = Graph::new();
    graph.run("UNWIND range(1, 3000) AS i CREATE (:P {id: i})");
    graph.counts("MATCH (n:P) CREATE (:P {id: n.id + 10000})", [3000, 0, 0, 0, 3000, 3000]);
    graph.counts(
        "MATCH (n:P {id: 1}) CREATE (n)-[:K]->(n) WITH n MATCH (n)-[r:K]->(n) CREATE (n)-[:K]->(n)",
        [0, 0, 2, 0, 0, 0],
    );
    graph.check(
        "MATCH (n:P {id: 1}) CREATE (:P {id: -1}) WITH n MATCH (m:P) WHERE m.id < 0 RETURN m.id",
        "-1",
    );
}

#[test]
fn paths_and_lists_go_on_behind_a_write() {
    let graph = Graph::new();
    graph.run("CREATE (:P {id: 1})-[:K {since: 1}]->(:P {id: 2})-[:K {since: 2}]->(:P {id: 3})");
    graph.check(
        "MATCH p = (a:P {id: 1})-[r:K*1..2]->(c) SET a.age = length(p) \
         RETURN length(p), size(r), [x IN r | x.since], [n IN nodes(p) | n.id], a.age ORDER BY length(p)",
        "1|1|[1]|[1,2]|2 2|2|[1,2]|[1,2,3]|2",
    );
    graph.check(
        "MATCH p = (a:P)-[:K]->()-[:K]->() SET a.age = length(p) WITH p, a RETURN length(p), a.age",
        "2|2",
    );
    graph.check(
        "MATCH (a:P)-[r:K]->() WITH collect(r) AS all UNWIND all AS r \
         SET r.since = size([x IN all WHERE x.since = 1]) RETURN r.since",
        "1 1",
    );
    graph.check(
        "MATCH ()-[r:K]->() WITH r MATCH (a)-[r]->(b) SET r.since = b.id RETURN a.id, r.since ORDER BY a.id",
        "1|2 2|3",
    );
}

#[test]
fn limits_bound_the_result_and_not_the_effect() {
    let graph = Graph::new();
    graph.run("UNWIND range(1, 5) AS i CREATE (:P {id: i, age: i})");
    graph.check("MATCH (n:P) SET n.age = 42 RETURN n.age SKIP 2 LIMIT 2", "42 42");
    graph.check("MATCH (n:P) SET n.age = n.id RETURN n LIMIT 0", "");
    graph.check(
        "MATCH (n:P) SET n.age = n.age + 1 WITH n WHERE n.age % 2 = 0 RETURN n.age ORDER BY n.age",
        "2 4 6",
    );
    graph.check("MATCH (n:P) SET n.age = n.age + 1 RETURN sum(n.age)", "25");
    graph.check("MATCH (n:P) RETURN sum(n.age)", "25");
}

#[test]
fn branches_of_a_union_run_one_after_the_other() {
    let graph = Graph::new();
    graph.run("CREATE (:P {id: 1, age: 1})");
    graph.check(
        "MATCH (n:P) SET n.age = 2 RETURN n.age AS age UNION ALL MATCH (n:P) SET n.age = n.age + 5 RETURN n.age AS age",
        "2 7",
    );
    graph.counts("CREATE (:P {id: 2}) UNION CREATE (:P {id: 3})", [2, 0, 0, 0, 2, 2]);
}

#[test]
fn nothing_is_returned_without_return() {
    let graph = Graph::new();
    let result = graph.connection.query("UNWIND [1, 2] AS i CREATE (:P {id: i})").unwrap();
    assert_eq!((result.len(), result.columns().len()), (0, 0));
    assert!(result.summary().wrote);
}

#[test]
fn other_connections_see_whole_statements() {
    let graph = Graph::new();
    let other = graph.database.connect().unwrap();
    let held = other.begin_read_only().unwrap();
    graph.run("CREATE (:P {id: 1})");
    assert_eq!(super::rows(&held.query("MATCH (n:P) RETURN count(*)").unwrap()), "0");
    held.commit().unwrap();
    assert_eq!(super::rows(&other.query("MATCH (n:P) RETURN count(*)").unwrap()), "1");
    graph.fails("UNWIND [2, 3, 1] AS i CREATE (:P {id: i})");
    assert_eq!(super::rows(&other.query("MATCH (n:P) RETURN count(*)").unwrap()), "1");
}
