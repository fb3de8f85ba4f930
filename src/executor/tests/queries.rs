//! Clauses one by one, and that every mechanism does something.

use super::graph::{Graph, How, PLAIN};
use crate::catalog::Dialect;

/// Five persons; Ada's age is unknown. 1→2 twice, a 2-cycle 2⇄3, a loop at 4.
fn small() -> Graph {
    let persons = [
        (10, None, "Ada"),
        (20, Some(30), "Bob"),
        (30, Some(40), "Cid"),
        (40, Some(50), "Dan"),
        (50, Some(30), "Eve"),
    ];
    let graph = Graph::new(&persons, &["Ulm", "Bonn"]);
    graph.load_edges("Follows", &[(1, 2, 5), (1, 2, 7), (2, 3, 1), (3, 2, 2), (4, 4, 9), (0, 1, 3)]);
    graph.load_edges("Likes", &[(0, 2, 1), (1, 2, 1), (2, 4, 4)]);
    graph.load_edges("LivesIn", &[(0, 0, 0), (1, 0, 0), (2, 1, 0), (3, 1, 0)]);
    graph
}

fn check(graph: &Graph, text: &str, expected: &[&str]) {
    for vector_size in [2048, 3] {
        for threads in [1, 2] {
            let how = How { vector_size, threads, ..PLAIN };
            assert_eq!(
                graph.rows(text, how),
                expected,
                "{text} with {vector_size} rows a batch, {threads} threads"
            );
        }
    }
}

#[test]
fn scans_filter_and_project() {
    let graph = small();
    check(&graph, "MATCH (p:Person) WHERE p.age < 45 RETURN p.name", &["Bob", "Cid", "Eve"]);
    check(&graph, "MATCH (p:Person) WHERE p.age IS NULL RETURN p.id + 1", &["11"]);
    check(&graph, "MATCH (p:Person {name: 'Dan'}) RETURN p.age * 2 AS x, p.id", &["100|40"]);
    check(&graph, "MATCH (p:Person {id: 30}) RETURN p.name", &["Cid"]);
    check(&graph, "MATCH (p:Person {id: 31}) RETURN p.name", &[]);
    check(&graph, "RETURN 1 + 2 AS x, 'a' AS y", &["3|a"]);
    check(&graph, "UNWIND [3, 1, 2] AS x WITH x WHERE x > 1 RETURN x ORDER BY x", &["2", "3"]);
    check(&graph, "MATCH (n) RETURN count(*)", &["7"]);
    check(&graph, "MATCH (n) RETURN label(n) AS l, count(*) ORDER BY l", &["City|2", "Person|5"]);
}

#[test]
fn one_value_and_nulls_are_filtered() {
    let persons: Vec<(i64, Option<i64>, &str)> =
        (0..300).map(|id| (id, (id % 3 != 0).then_some(7), "Ada")).collect();
    let graph = Graph::new(&persons, &[]);
    check(&graph, "MATCH (p:Person) WHERE p.age = 7 RETURN count(*)", &["200"]);
    check(&graph, "MATCH (p:Person) WHERE p.age <> 7 RETURN count(*)", &["0"]);
    check(&graph, "MATCH (p:Person) WHERE p.age IS NULL RETURN count(*)", &["100"]);
    check(&graph, "MATCH (p:Person) WHERE p.name = 'Ada' AND p.age > 6 RETURN count(*)", &["200"]);
}

#[test]
fn a_property_that_a_table_lacks_differs_from_nothing() {
    let graph = small();
    // Cities have no age.
    check(&graph, "MATCH (a:Person)-[]->(b) WHERE a.age <> b.age RETURN count(*)", &["6"]);
    check(&graph, "MATCH (a:Person)-[]->(b) WHERE a.id <> b.id RETURN count(*)", &["12"]);
}

#[test]
fn patterns_expand_in_both_directions() {
    let graph = small();
    let follows = ["Ada|Bob", "Bob|Cid", "Bob|Cid", "Cid|Dan", "Dan|Cid", "Eve|Eve"];
    check(&graph, "MATCH (a:Person)-[:Follows]->(b:Person) RETURN a.name, b.name", &follows);
    let back = ["Bob|Ada", "Cid|Bob", "Cid|Bob", "Cid|Dan", "Dan|Cid", "Eve|Eve"];
    check(&graph, "MATCH (a:Person)<-[:Follows]-(b:Person) RETURN a.name, b.name", &back);
    check(&graph, "MATCH (a:Person {id: 10})-[f:Follows]->(b) RETURN b.name, f.weight", &["Bob|3"]);
    check(
        &graph,
        "MATCH (a:Person)-[f:Follows]->(b) WHERE f.weight > 4 RETURN a.name, f.weight",
        &["Bob|5", "Bob|7", "Eve|9"],
    );
    check(&graph, "MATCH (a {id: 30})-[:Follows]-(b) RETURN b.name", &["Bob", "Bob", "Dan", "Dan"]);
    check(&graph, "MATCH (a {id: 50})-[:Follows]-(b) RETURN b.name", &["Eve"]);
    check(
        &graph,
        "MATCH (a:Person)-[:LivesIn]->(c:City) RETURN c.name, count(*) AS n ORDER BY c.name",
        &["Bonn|2", "Ulm|2"],
    );
    check(
        &graph,
        "MATCH (a:Person)-[:Follows|Likes]->(b:Person {name: 'Eve'}) RETURN a.name",
        &["Cid", "Eve"],
    );
    check(&graph, "MATCH (a:Person)-[]->(x {name: 'Ulm'}) RETURN a.name", &["Ada", "Bob"]);
    check(
        &graph,
        "MATCH (a:Person)-[:Follows]->(b)-[:Likes]->(c) RETURN a.name, c.name",
        &["Ada|Cid", "Bob|Eve", "Bob|Eve", "Dan|Eve"],
    );
    check(
        &graph,
        "MATCH (a:Person)-[:Follows]->(b)<-[:Likes]-(c), (c)-[:LivesIn]->(t) RETURN a.name, c.name, t.name",
        &[
            "Bob|Ada|Ulm",
            "Bob|Ada|Ulm",
            "Bob|Bob|Ulm",
            "Bob|Bob|Ulm",
            "Dan|Ada|Ulm",
            "Dan|Bob|Ulm",
            "Eve|Cid|Bonn",
        ],
    );
    check(&graph, "MATCH (a:Person {id: 20})-[f:Follows]->(b:Person {id: 30}) RETURN f.weight", &["5", "7"]);
    check(&graph, "MATCH (a:Person {id: 20}), (b:Person {id: 30}) RETURN a.name, b.name", &["Bob|Cid"]);
    check(
        &graph,
        "MATCH (a:Person), (b:Person) WHERE a.age = b.age AND a.id < b.id RETURN a.name, b.name",
        &["Bob|Eve"],
    );
}

#[test]
fn groups_sort_and_limit() {
    let graph = small();
    check(
        &graph,
        "MATCH (p:Person) RETURN count(p.age), sum(p.age), min(p.name), max(p.age), avg(p.age)",
        &["4|150|Ada|50|37.5"],
    );
    check(
        &graph,
        "MATCH (p:Person) RETURN p.age AS a, count(*) AS n ORDER BY n DESC, a",
        &["30|2", "40|1", "50|1", "NULL|1"],
    );
    check(&graph, "MATCH (p:Person) RETURN p.name ORDER BY p.name DESC LIMIT 2", &["Eve", "Dan"]);
    check(&graph, "MATCH (p:Person) RETURN p.name ORDER BY p.name SKIP 3 LIMIT 5", &["Dan", "Eve"]);
    check(&graph, "MATCH (p:Person) RETURN p.name AS n ORDER BY n SKIP 100000 LIMIT 20", &[]);
    check(&graph, "MATCH (p:Person) RETURN DISTINCT p.age AS a ORDER BY a", &["30", "40", "50", "NULL"]);
    check(
        &graph,
        "MATCH (a:Person)-[:Follows]->(b) WITH b, count(*) AS n WHERE n > 1 RETURN b.name, n",
        &["Cid|3"],
    );
    check(
        &graph,
        "MATCH (a:Person)-[:Follows]->(b) RETURN b.id AS id, b.name AS name, count(a.id) AS n ORDER BY n DESC, id LIMIT 2",
        &["30|Cid|3", "20|Bob|1"],
    );
    check(
        &graph,
        "MATCH (a:Person)-[:Follows]->(b) RETURN count(DISTINCT b.id), count(DISTINCT a.age)",
        &["4|3"],
    );
    check(&graph, "MATCH (p:Person) WHERE p.age > 100 RETURN count(*), sum(p.age)", &["0|0"]);
    check(
        &graph,
        "MATCH (p:Person) WITH p.age AS age, collect(p.id) AS ids WHERE size(ids) > 1 RETURN age, ids",
        &["30|[20,50]"],
    );
    check(&graph, "RETURN 1 AS x UNION RETURN 1 AS x", &["1"]);
    check(&graph, "RETURN 1 AS x UNION ALL RETURN 1 AS x", &["1", "1"]);
    check(
        &graph,
        "MATCH (a:Person)-[:Follows]->(b:Person) RETURN a.name AS a, b.name AS b ORDER BY a, b LIMIT 2",
        &["Ada|Bob", "Bob|Cid"],
    );
}

#[test]
fn trails_and_walks_differ_by_dialect() {
    let graph = small();
    let kuzu = How { dialect: Dialect::Kuzu, ..PLAIN };
    let text = "MATCH (a:Person)-[:Follows]->(b:Person)-[:Follows]->(c:Person) RETURN count(*)";
    // Walks: in-degree × out-degree summed; the loop at Eve repeats its relationship.
    assert_eq!(graph.rows(text, kuzu), ["7"]);
    assert_eq!(graph.rows(text, PLAIN), ["6"]);
}

#[test]
fn variable_length_edges_find_ends_and_paths() {
    let graph = small();
    check(&graph, "MATCH (a:Person {id: 10})-[:Follows*1..2]->(b) RETURN b.name", &["Bob", "Cid", "Cid"]);
    check(&graph, "MATCH (a:Person {id: 10})-[:Follows*]->(b) RETURN count(DISTINCT b.id)", &["3"]);
    check(&graph, "MATCH (a:Person {id: 10})-[:Follows*0..1]->(b) RETURN b.name", &["Ada", "Bob"]);
    check(
        &graph,
        "MATCH (a:Person {id: 20})-[:Follows*]->(b) RETURN b.name",
        &["Cid", "Cid", "Cid", "Cid", "Dan", "Dan"],
    );
    check(
        &graph,
        "MATCH p = (a:Person {id: 10})-[:Follows* SHORTEST 1..5]->(b:Person {id: 40}) RETURN length(p)",
        &["3"],
    );
    check(
        &graph,
        "MATCH p = (a:Person {id: 10})-[:Follows* ALL SHORTEST 1..5]->(b:Person {id: 40}) RETURN length(p), count(*)",
        &["3|2"],
    );
    check(
        &graph,
        "MATCH p = (a:Person {id: 10})-[:Follows* SHORTEST 1..9]->(b:Person) WHERE a.id <> b.id RETURN length(p) AS d, count(*) ORDER BY d",
        &["1|1", "2|1", "3|1"],
    );
    check(
        &graph,
        "MATCH p = (a:Person {id: 10})-[:Follows*2]->(b) RETURN [n IN nodes(p) | n.name] AS names, length(p)",
        &["[Ada,Bob,Cid]|2", "[Ada,Bob,Cid]|2"],
    );
    check(&graph, "MATCH (a:Person {id: 10})-[*1..2]->(c:City) RETURN c.name", &["Bonn", "Ulm", "Ulm"]);
    check(
        &graph,
        "MATCH (a:Person)-[:Follows]->(b)-[:LivesIn*1..2]->(c:City) RETURN c.name, count(*) AS n ORDER BY n",
        &["Ulm|1", "Bonn|4"],
    );
}

#[test]
fn a_search_tells_trails_from_walks_and_levels_from_each_other() {
    let graph = small();
    // Ada hangs on one relationship, so no trail leads back to her; a walk does.
    let ends = "MATCH (a:Person {id: 10})-[:Follows*1..5]-(b) RETURN DISTINCT b.name";
    check(&graph, ends, &["Bob", "Cid", "Dan"]);
    let kuzu = How { dialect: Dialect::Kuzu, ..PLAIN };
    assert_eq!(graph.rows(ends, kuzu), ["Ada", "Bob", "Cid", "Dan"]);
    // Two parallel relationships make a cycle, and so does a loop.
    let ends = "MATCH (a:Person {id: 20})-[:Follows*1..5]-(b) RETURN DISTINCT b.name";
    check(&graph, ends, &["Ada", "Bob", "Cid", "Dan"]);
    let ends = "MATCH (a:Person {id: 50})-[:Follows*1..5]-(b) RETURN DISTINCT b.name";
    check(&graph, ends, &["Eve"]);
    let ends = "MATCH (a:Person {id: 30})-[:Follows*1..5]->(b) RETURN DISTINCT b.name";
    check(&graph, ends, &["Cid", "Dan"]);
    let acyclic = "MATCH (a:Person {id: 30})-[:Follows* ACYCLIC 1..5]->(b) RETURN DISTINCT b.name";
    check(&graph, acyclic, &["Dan"]);

    // 0→1, 0→2, 1→2, 2→3: the relationship within a level is on no shortest path.
    let persons = [(0, None, "a"), (1, None, "b"), (2, None, "c"), (3, None, "d")];
    let graph = Graph::new(&persons, &[]);
    graph.load_edges("Follows", &[(0, 1, 0), (0, 2, 0), (1, 2, 0), (2, 3, 0), (2, 2, 0)]);
    let shortest = "MATCH p = (a:Person {id: 0})-[:Follows* ALL SHORTEST 1..9]->(b:Person {id: 3})";
    check(&graph, &format!("{shortest} RETURN count(*)"), &["1"]);
    check(&graph, &format!("{shortest} RETURN [n IN nodes(p) | n.name] AS names"), &["[a,c,d]"]);
}

#[test]
fn cycles_close_by_intersection() {
    let graph = small();
    check(
        &graph,
        "MATCH (a:Person)-[:Follows]->(b:Person)-[:Follows]->(a) RETURN a.name, b.name",
        &["Cid|Dan", "Dan|Cid"],
    );
    check(
        &graph,
        "MATCH (a:Person)-[:Follows]->(b:Person), (a)-[:Likes]->(b) RETURN a.name, b.name",
        &["Bob|Cid", "Bob|Cid"],
    );
    check(
        &graph,
        "MATCH (a:Person)-[:Follows]->(b:Person)-[:Likes]->(c:Person), (a)-[:Likes]->(c) RETURN a.name, b.name, c.name",
        &["Ada|Bob|Cid"],
    );
}

#[test]
fn values_of_nodes_and_relationships_come_with_their_properties() {
    let graph = small();
    let (rows, _) =
        graph.run("MATCH (a:Person {id: 20})-[f:Likes]->(b) RETURN a, f, labels(b), type(f)", PLAIN);
    let shown: Vec<String> = rows[0].iter().map(|value| format!("{value:?}")).collect();
    assert!(shown[0].contains("Bob") && shown[0].contains("Person"), "{}", shown[0]);
    assert!(shown[1].contains("Likes") && shown[1].contains("weight"), "{}", shown[1]);
    assert_eq!(rows[0][2].to_string(), "[Person]");
    assert_eq!(rows[0][3].to_string(), "Likes");
}

#[test]
fn every_mechanism_does_something() {
    let graph = small();
    let works = |text: &str, counter: &str| {
        assert!(graph.counter(text, counter) > 0, "{counter} is idle in {text}");
    };
    let two_hops = "MATCH (a:Person)-[:Follows]->(b:Person)-[:Likes]->(c:Person) RETURN count(*)";
    works(two_hops, "messages_passed");
    works(two_hops, "degrees_multiplied");
    works(two_hops, "rows_represented");
    works("MATCH (a:Person)-[:Follows]->(b:Person) RETURN b, count(*)", "dense_groupings");
    works("MATCH (a:Person {id: 10})-[:Follows]->(b) RETURN b.name", "key_lookups");
    works("MATCH (a:Person {id: 10})-[:Follows]->(b) RETURN b.name", "rows_fetched");
    works("MATCH (a:Person {id: 10})-[:Follows]->(b) RETURN b.name", "groups_borrowed");
    works("MATCH (a:Person)-[:Follows*1..3]->(b) RETURN b.name", "nodes_expanded");
    works("MATCH (a:Person), (b:City) WHERE a.name = b.name RETURN a.name", "rows_built");
    let triangle = "MATCH (a:Person)-[:Follows]->(b:Person)-[:Likes]->(c:Person), (a)-[:Likes]->(c) RETURN a.name, c.name";
    works(triangle, "lists_intersected");
}

#[test]
fn parts_of_instants_do_not_depend_on_the_rows_before() {
    let graph = small();
    let texts = [
        "2024-02-29 23:59:59",
        "2024-02-29 00:00:00",
        "2024-03-01 00:00:00",
        "1969-12-31 23:59:59",
        "1970-01-01 00:00:00",
        "1969-12-31 00:00:00",
        "1969-12-30 23:59:59",
        "2024-02-29 12:00:00",
    ];
    for (part, expected) in [
        ("day", ["29", "29", "1", "31", "1", "31", "30", "29"]),
        ("month", ["2", "2", "3", "12", "1", "12", "12", "2"]),
        ("year", ["2024", "2024", "2024", "1969", "1970", "1969", "1969", "2024"]),
        ("hour", ["23", "0", "0", "23", "0", "0", "23", "12"]),
        ("seconds", ["59", "0", "0", "59", "0", "0", "59", "0"]),
    ] {
        let expected: Vec<String> =
            texts.iter().zip(expected).map(|(text, part)| format!("{text}|{part}")).collect();
        let mut expected: Vec<&str> = expected.iter().map(String::as_str).collect();
        expected.sort_unstable();
        let list = texts.map(|text| format!("'{text}'")).join(", ");
        let parts = format!("RETURN text, date_part('{part}', t)");
        check(&graph, &format!("UNWIND [{list}] AS text WITH text, timestamp(text) AS t {parts}"), &expected);
    }
}
