//! CREATE: what is made, with which values, and what is counted.

use super::{Graph, ints, rows};

#[test]
fn nodes_relationships_and_paths_are_made() {
    let graph = Graph::new();
    graph.counts("CREATE (:P {id: 1, name: 'a'})", [1, 0, 0, 0, 2, 1]);
    graph.counts("CREATE (a:P {id: 2}), (b:P {id: 3}), (a)-[:K {since: 5}]->(b)", [2, 0, 1, 0, 3, 2]);
    graph.counts("MATCH (a:P {id: 1}), (b:P {id: 3}) CREATE (a)<-[:K]-(b)", [0, 0, 1, 0, 0, 0]);
    graph.check("MATCH (a:P)-[r:K]->(b:P) RETURN a.id, r.since, b.id ORDER BY a.id", "2|5|3 3||1");
    graph.check(
        "CREATE p = (a:P {id: 4})-[:K {since: 1}]->(b:P {id: 5})<-[:K]-(:P {id: 6}) RETURN length(p), [n IN nodes(p) | n.id]",
        "2|[4,5,6]",
    );
    graph.check("MATCH (n:P) RETURN count(*), sum(n.id)", "6|21");
}

#[test]
fn every_row_creates() {
    let graph = Graph::new();
    graph.counts("UNWIND range(1, 5000) AS i CREATE (:P {id: i, age: i % 90})", [5000, 0, 0, 0, 10000, 5000]);
    graph.counts(
        "MATCH (a:P), (b:P) WHERE b.id = a.id + 1 CREATE (a)-[:K {since: a.id}]->(b)",
        [0, 0, 4999, 0, 4999, 0],
    );
    graph.check(
        "MATCH (a:P)-[r:K]->(b) RETURN count(*), sum(r.since), min(b.id), max(b.id)",
        "4999|12497500|2|5000",
    );
    graph.check("MATCH (:P {id: 17})-[:K]->()-[:K]->(c) RETURN c.id", "19");
}

#[test]
fn columns_get_defaults_and_numbers() {
    let graph = Graph::new();
    graph.run(
        "CREATE NODE TABLE D(id SERIAL PRIMARY KEY, a INT32 DEFAULT 7, b STRING NOT NULL DEFAULT upper('x'))",
    );
    graph.counts("CREATE (:D), (:D {a: 1}), (:D {b: 'y', a: NULL})", [3, 0, 0, 0, 5, 3]);
    graph.check("MATCH (d:D) RETURN d.id, d.a, d.b ORDER BY d.id", "0|7|X 1|1|X 2||y");
    graph.check("CREATE (d:D) RETURN d.id", "3");
}

#[test]
fn numbers_go_on_behind_those_that_are_given() {
    let graph = Graph::new();
    graph.run("CREATE NODE TABLE D(id SERIAL PRIMARY KEY, a INT64)");
    graph.run("CREATE (:D), (:D), (:D {id: 5})");
    graph.check("CREATE (d:D) RETURN d.id", "6");
    graph.check("UNWIND [1, 2, 3] AS i CREATE (d:D) RETURN d.id", "7 8 9");
    graph.run("MATCH (d:D {id: 9}) SET d.id = 20");
    graph.check("CREATE (d:D) RETURN d.id", "21");
    graph.run("MATCH (d:D) WHERE d.id > 6 DELETE d");
    graph.database.checkpoint().expect("a checkpoint");
    graph.run("CREATE NODE TABLE Other(id INT64 PRIMARY KEY)");
    let next: i64 = graph.run("CREATE (d:D) RETURN d.id").first().expect("a row").get(0).expect("a number");
    assert!(next > 6, "{next}");
    graph.fails("CREATE (:D {id: 5})");
}

#[test]
fn values_become_the_columns_types() {
    let graph = Graph::new();
    graph.run("CREATE NODE TABLE V(id INT64 PRIMARY KEY, small INT8, day DATE, ratio DOUBLE, tags STRING[], place STRUCT(x DOUBLE, y INT16))");
    graph.run(
        "CREATE (:V {id: 1.0, small: 5, day: '2024-02-03', ratio: 2, tags: ['a', 'b'], place: {y: 1, x: 2}})",
    );
    graph.check(
        "MATCH (v:V) RETURN v.id, v.small, v.day, v.ratio, v.tags, v.place.x",
        "1|5|2024-02-03|2.0|[a,b]|2.0",
    );
    graph.run("UNWIND [[2, 100], [3, -128]] AS pair CREATE (:V {id: pair[0], small: pair[1]})");
    let error = graph.fails("UNWIND [100, 300] AS n CREATE (:V {id: n, small: n})");
    assert!(error.contains("V.small cannot be 300") && error.contains("row 2 of CREATE"), "{error}");
    graph.check("MATCH (v:V) RETURN count(*)", "3");
}

#[test]
fn maps_of_parameters_are_taken_apart() {
    let graph = Graph::new();
    let person = |id: i64, name: &str| {
        quiredb::Value::Struct(vec![
            ("id".to_owned(), quiredb::Value::Int64(id)),
            ("name".to_owned(), quiredb::Value::String(name.to_owned())),
        ])
    };
    let people = quiredb::Value::List(vec![person(1, "a"), person(2, "b")]);
    let result = graph.connection.query_with(
        "UNWIND $people AS p CREATE (n:P {id: p.id}) SET n += p RETURN n.id, n.name",
        quiredb::params! { "people" => people },
    );
    assert_eq!(rows(&result.unwrap()), "1|a 2|b");
    let result = graph
        .connection
        .query_with("CREATE (n:P $p) RETURN n.name", quiredb::params! { "p" => person(3, "c") });
    assert_eq!(rows(&result.unwrap()), "c");
}

#[test]
fn ends_decide_the_table() {
    let graph = Graph::new();
    graph.run("CREATE (:P {id: 1}), (:C {id: 7})");
    graph.counts("MATCH (a:P), (x) CREATE (a)-[:Likes]->(x)", [0, 0, 2, 0, 0, 0]);
    graph.check("MATCH (:P)-[r:Likes]->(x) RETURN label(x), count(*) ORDER BY label(x)", "C|1 P|1");
    let error = graph.fails("MATCH (a:P), (x) CREATE (a)-[:Lives]->(x)");
    assert!(error.contains("Lives does not lead from P to P"), "{error}");
    graph.check("MATCH ()-[r:Lives]->() RETURN count(*)", "0");
}

#[test]
fn several_clauses_build_on_each_other() {
    let graph = Graph::new();
    graph.check(
        "CREATE (a:P {id: 1}) CREATE (b:P {id: 2}) CREATE (a)-[:K]->(b) WITH a, b CREATE (b)-[:K]->(a) \
         WITH a MATCH (a)-[:K]->(x)-[:K]->(a) RETURN x.id",
        "2",
    );
    assert_eq!(ints(&graph, "MATCH (a:P)-[:K]->(b) RETURN count(*)"), 2);
}

#[test]
fn paths_of_one_create_follow_each_other() {
    let graph = Graph::new();
    graph.counts(
        "CREATE (a:P {id: 1, age: 7}), (b:P {id: 2, age: a.age + 1})-[:K {since: a.id}]->(a), (c:C {id: b.age})",
        [3, 0, 1, 0, 6, 3],
    );
    graph.check("MATCH (b:P)-[r:K]->(a:P), (c:C) RETURN b.age, r.since, a.age, c.id", "8|1|7|8");
}

#[test]
fn sorting_by_what_an_alias_stands_for() {
    let graph = Graph::new();
    graph.run("CREATE (a:P {id: 1})-[:K {since: 3}]->(b:P {id: 2})-[:K {since: 2}]->(:P {id: 3}), (b)-[:K {since: 1}]->(a)");
    graph.check("MATCH (a)-[r:K]->(b) WITH r AS rel ORDER BY rel.since RETURN rel.since", "1 2 3");
    graph.check("MATCH (a)-[r:K]->(b) WITH b AS end ORDER BY end.id DESC LIMIT 2 RETURN end.id", "3 2");
    graph.check(
        "MATCH (a)-[r:K]->(b) WITH a AS from, count(*) AS n ORDER BY from.id DESC RETURN from.id, n",
        "2|2 1|1",
    );
    graph.check("MATCH ()-[r:K]->() WITH endNode(r) AS end ORDER BY end.id RETURN end.id", "1 2 3");
    graph.check("UNWIND [[1, 2], [3], [4, 6]] AS l RETURN any(x IN l WHERE x % 2 = 1) AS odd, count(*) AS n ORDER BY odd", "false|1 true|2");
    graph.check("MATCH (n) RETURN n:P AS person, count(*)", "true|3");
    graph.check("UNWIND [true, false, 1, NULL] AS x WITH x WHERE NOT (x AND x) RETURN x", "false");
}

/// What comes from a pattern that matches nothing makes nothing, and is no error.
#[test]
fn patterns_that_match_nothing_create_nothing() {
    let graph = Graph::new();
    graph.run("CREATE (:C {id: 1}), (:C {id: 2})");
    let nothing = [0; 6];
    let nowhere = "MATCH (:C)-[:Lives]->(n:C)";
    graph.check(&format!("{nowhere} RETURN count(*)"), "0");
    for text in [
        "CREATE (n)-[:Lives]->(:C {id: 3})",
        "WITH DISTINCT n AS a MATCH (b:C) CREATE (a)-[:Lives]->(b)",
        "WITH DISTINCT n AS a MATCH (b:P) CREATE (b)-[:K {since: 2}]->(a)",
        "MERGE (n)-[:K]->(:P {id: 7})",
        "MATCH (p:P) MERGE (p)-[:K {since: 1}]->(n)",
        "SET n.name = 'x'",
        "DETACH DELETE n",
    ] {
        graph.counts(&format!("{nowhere} {text}"), nothing);
    }
    graph.fails(&format!("{nowhere} MATCH (a:P), (c:C) CREATE (a)-[:K]->(c)"));
    graph.check("MATCH (c:C) RETURN c.id ORDER BY c.id", "1 2");
}
