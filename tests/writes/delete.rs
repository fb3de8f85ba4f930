//! DELETE, DETACH DELETE, and what is left of what is deleted.

use super::Graph;

fn chain() -> Graph {
    let graph = Graph::new();
    graph.run("UNWIND range(1, 5) AS i CREATE (:P {id: i, age: i})");
    graph.run("MATCH (a:P), (b:P) WHERE b.id = a.id + 1 CREATE (a)-[:K {since: a.id}]->(b)");
    graph
}

#[test]
fn nodes_relationships_and_paths_go() {
    let graph = chain();
    graph.counts("MATCH (:P {id: 1})-[r:K]->() DELETE r", [0, 0, 0, 1, 0, 0]);
    graph.counts("MATCH (n:P {id: 1}) DELETE n", [0, 1, 0, 0, 0, 0]);
    graph.counts("MATCH (n:P {id: 3}) DETACH DELETE n", [0, 1, 0, 2, 0, 0]);
    graph.check("MATCH (n:P) RETURN n.id ORDER BY n.id", "2 4 5");
    graph.counts("MATCH p = (:P)-[:K]->() DELETE p", [0, 2, 0, 1, 0, 0]);
    graph.check("MATCH (n:P) RETURN n.id", "2");
    graph.run("CREATE (:P {id: 3})");
    graph.check("MATCH (n:P {id: 3}) RETURN n.age", "");
}

#[test]
fn connected_nodes_stay_without_detach() {
    let graph = chain();
    let error = graph.fails("MATCH (n:P {id: 2}) DELETE n");
    assert!(error.contains("still has relationships"), "{error}");
    graph.check("MATCH (n:P)-[:K]->() RETURN count(*)", "4");
    // All of the clause counts, whatever the order of its rows.
    graph.counts("MATCH (a:P)-[r:K]-(b:P) DELETE a, r", [0, 5, 0, 4, 0, 0]);
}

#[test]
fn many_rows_go_in_pieces() {
    let graph = Graph::new();
    for (clause, left) in [("DELETE k", 300), ("DELETE k, a", 0), ("DETACH DELETE a, k", 0)] {
        graph.run("MATCH (n:P) DETACH DELETE n");
        graph.run("UNWIND range(1, 300) AS i CREATE (:P {id: i})");
        graph.run("MATCH (a:P), (b:P) CREATE (a)-[:K]->(b)");
        graph.counts(&format!("MATCH (a:P)-[k:K]->(b:P) {clause}"), [0, 300 - left, 0, 90_000, 0, 0]);
        graph.check(
            "MATCH (n:P) OPTIONAL MATCH (n)-[k:K]-() RETURN count(DISTINCT n), count(k)",
            &format!("{left}|0"),
        );
    }
}

#[test]
fn everything_goes_once() {
    let graph = chain();
    graph.check("MATCH (a:P {id: 1})-[r:K]-(b) DELETE r, a RETURN count(*)", "1");
    graph.counts("MATCH (n:P) WITH n UNWIND [1, 2] AS i DETACH DELETE n", [0, 4, 0, 3, 0, 0]);
    graph.counts("MATCH (n:P) DETACH DELETE n", [0; 6]);
    graph.counts("CREATE (n:P {id: 1}) DELETE n", [1, 1, 0, 0, 1, 1]);
    graph.check("MATCH (n:P) RETURN count(*)", "0");
}

#[test]
fn parts_of_lists_and_maps_go() {
    let graph = chain();
    graph.run("MATCH (n:P) WHERE n.id < 3 WITH {key: collect(n)} AS m DETACH DELETE m.key[0], m.key[1]");
    graph.check("MATCH (n:P) RETURN n.id ORDER BY n.id", "3 4 5");
    graph.run("MATCH (:P)-[r:K]->() WITH collect(r) AS all DELETE all[0]");
    graph.check("MATCH (:P)-[r:K]->() RETURN count(*)", "1");
}

#[test]
fn what_is_deleted_has_no_properties_left() {
    let graph = chain();
    let error = graph.fails("MATCH (n:P {id: 5}) DETACH DELETE n RETURN n.age");
    assert!(error.contains("deleted node"), "{error}");
    let error = graph.fails("MATCH (n:P {id: 5})<-[r:K]-() DETACH DELETE n RETURN r.since");
    assert!(error.contains("deleted relationship"), "{error}");
    let error = graph.fails("MATCH (n:P {id: 5}) DETACH DELETE n SET n.age = 1");
    assert!(error.contains("deleted"), "{error}");
    let error = graph.fails("MATCH (n:P {id: 5}), (m:P {id: 1}) DETACH DELETE n CREATE (m)-[:K]->(n)");
    assert!(error.contains("deleted"), "{error}");
    // A statement that fails has done nothing.
    graph.check("MATCH (n:P) RETURN count(*), sum(n.age)", "5|15");
    graph.check("MATCH (:P {id: 4})-[r:K]->() DELETE r RETURN type(r)", "K");
    let gone =
        graph.run("MATCH (a:P {id: 3})-[r:K]->(b) DELETE r RETURN r, id(a), id(b)").to_values().remove(0);
    let quiredb::Value::Rel(rel) = &gone[0] else { panic!("{gone:?}") };
    assert_eq!((rel.src, rel.dst), (id_of(&gone[1]), id_of(&gone[2])));
    assert!(rel.label == "K" && rel.properties.is_empty(), "{rel:?}");
    graph.check("CREATE (n:P {id: 9}) DELETE n RETURN labels(n), id(n) IS NULL", "[P]|false");
    graph.check("MATCH (n:P {id: 5}) WITH n, n.age AS age DELETE n RETURN age, id(n) IS NULL", "5|false");
}

fn id_of(value: &quiredb::Value) -> quiredb::GlobalId {
    match value {
        quiredb::Value::Id(id) => *id,
        other => panic!("{other} is no id"),
    }
}

#[test]
fn merge_does_not_find_what_is_gone() {
    let graph = chain();
    graph.counts("MATCH (n:P {id: 5}) DETACH DELETE n MERGE (m:P {id: 5})", [1, 1, 0, 1, 1, 1]);
    graph
        .counts("MATCH (a:P {id: 1})-[r:K]->(b) DELETE r MERGE (a)-[:K {since: 1}]->(b)", [0, 0, 1, 1, 1, 0]);
}
