//! Optional matches and sub-queries on a small graph.

use proptest::prelude::*;

use super::graph::{Edge, Graph, How, PLAIN, Person};

/// Five persons; Ada's age is unknown. 1→2 twice, a 2-cycle 2⇄3, a loop at 4. Nobody lives in Kiel.
fn small() -> Graph {
    let persons = [
        (10, None, "Ada"),
        (20, Some(30), "Bob"),
        (30, Some(40), "Cid"),
        (40, Some(50), "Dan"),
        (50, Some(30), "Eve"),
    ];
    let graph = Graph::new(&persons, &["Ulm", "Bonn", "Kiel"]);
    graph.load_edges("Follows", &[(1, 2, 5), (1, 2, 7), (2, 3, 1), (3, 2, 2), (4, 4, 9), (0, 1, 3)]);
    graph.load_edges("Likes", &[(0, 2, 1), (1, 2, 1), (2, 4, 4)]);
    graph.load_edges("LivesIn", &[(0, 0, 0), (1, 0, 0), (2, 1, 0), (3, 1, 0)]);
    graph
}

fn check(graph: &Graph, text: &str, expected: &[&str]) {
    for vector_size in [2048, 3] {
        for threads in [1, 2] {
            let how = How { vector_size, threads, ..PLAIN };
            let rows = graph.rows(text, how);
            assert_eq!(rows, expected, "{text} with {vector_size} rows a batch, {threads} threads");
        }
    }
}

#[test]
fn optional_matches_keep_rows_without_a_match() {
    let graph = small();
    let likes = ["Ada|Cid", "Bob|Cid", "Cid|Eve", "Dan|NULL", "Eve|NULL"];
    check(&graph, "MATCH (a:Person) OPTIONAL MATCH (a)-[:Likes]->(b:Person) RETURN a.name, b.name", &likes);
    check(
        &graph,
        "MATCH (a:Person) OPTIONAL MATCH (a)-[l:Likes]->(b) WHERE l.weight > 2 AND a.age = 40 RETURN a.name, b.name, l.weight",
        &["Ada|NULL|NULL", "Bob|NULL|NULL", "Cid|Eve|4", "Dan|NULL|NULL", "Eve|NULL|NULL"],
    );
    check(
        &graph,
        "MATCH (a:Person) OPTIONAL MATCH (a)-[:Follows]->(b)-[:Likes]->(c) RETURN a.name, c.name",
        &["Ada|Cid", "Bob|Eve", "Bob|Eve", "Cid|NULL", "Dan|Eve", "Eve|NULL"],
    );
    check(
        &graph,
        "MATCH (c:City) OPTIONAL MATCH (p:Person)-[:LivesIn]->(c) RETURN c.name, count(p), count(*), count(p.id)",
        &["Bonn|2|2|2", "Kiel|0|1|0", "Ulm|2|2|2"],
    );
    check(
        &graph,
        "MATCH (p:Person) OPTIONAL MATCH (p)-[:LivesIn]->(c:City) RETURN c.id, c.name, count(DISTINCT p.id), label(c), c IS NULL",
        &["0|Ulm|2|City|false", "1|Bonn|2|City|false", "NULL|NULL|1|NULL|true"],
    );
    check(&graph, "OPTIONAL MATCH (p:Person {id: 7}) RETURN p.name, p", &["NULL|NULL"]);
    check(&graph, "OPTIONAL MATCH (p:Person) WHERE p.age = 30 RETURN p.name", &["Bob", "Eve"]);
    check(
        &graph,
        "MATCH (a:Person) OPTIONAL MATCH (a)-[:Likes]->(b) OPTIONAL MATCH (b)-[:LivesIn]->(c) RETURN a.name, c.name",
        &["Ada|Bonn", "Bob|Bonn", "Cid|NULL", "Dan|NULL", "Eve|NULL"],
    );
    check(
        &graph,
        "MATCH (a:Person) OPTIONAL MATCH (a)-[:Likes]->(b) MATCH (b)-[:LivesIn]->(c) RETURN a.name, c.name",
        &["Ada|Bonn", "Bob|Bonn"],
    );
    check(
        &graph,
        "MATCH (a:Person) OPTIONAL MATCH (a)-[:Likes]->(b:Person) WITH a, b MATCH (b) RETURN a.name, b.name",
        &["Ada|Cid", "Bob|Cid", "Cid|Eve"],
    );
    check(
        &graph,
        "MATCH (a:Person), (b:City) WHERE a.id = 40 OPTIONAL MATCH (a)-[r]->(b) RETURN b.name, type(r)",
        &["Bonn|LivesIn", "Kiel|NULL", "Ulm|NULL"],
    );
    check(
        &graph,
        "MATCH (a:Person) OPTIONAL MATCH (b:Person) WHERE b.age > a.age RETURN a.name, count(b)",
        &["Ada|0", "Bob|2", "Cid|1", "Dan|0", "Eve|2"],
    );
    check(
        &graph,
        "MATCH (a:Person) OPTIONAL MATCH (b:Person) WHERE b.age = a.age AND id(a) <> id(b) RETURN a.name, b.name",
        &["Ada|NULL", "Bob|Eve", "Cid|NULL", "Dan|NULL", "Eve|Bob"],
    );
    check(
        &graph,
        "MATCH (a:Person) OPTIONAL MATCH p = (a)-[:Follows*1..2]->(b) WHERE a.id < 30 RETURN a.name, length(p), b.name",
        &[
            "Ada|1|Bob",
            "Ada|2|Cid",
            "Ada|2|Cid",
            "Bob|1|Cid",
            "Bob|1|Cid",
            "Bob|2|Dan",
            "Bob|2|Dan",
            "Cid|NULL|NULL",
            "Dan|NULL|NULL",
            "Eve|NULL|NULL",
        ],
    );
    // Nothing can fulfil both.
    check(
        &graph,
        "MATCH (a:Person {id: 10}) OPTIONAL MATCH (a)-[:LivesIn]->(b:Person) RETURN a.name, b.name",
        &["Ada|NULL"],
    );
    check(
        &graph,
        "MATCH (a:Person)-[:Follows]->(x) OPTIONAL MATCH (x)-[:Likes]->(y) RETURN count(*), count(y), count(DISTINCT y), sum(y.age)",
        &["6|4|2|130"],
    );
}

/// Joining two halves of a pattern at a node would pay on this graph, but neither half has the row that the key comes from.
#[test]
fn keys_of_rows_are_looked_up_in_the_middle_of_patterns() {
    let persons: Vec<Person> = (0..100).map(|at| (at, Some(at), "somebody")).collect();
    let graph = Graph::new(&persons, &["Ulm"]);
    let edges: Vec<Edge> = (0..1000).map(|at| (at % 100, (at * 7919 + at / 100) % 100, at as i64)).collect();
    graph.load_edges("Follows", &edges);
    let degree = |node: usize, end: fn(&Edge) -> usize| edges.iter().filter(|edge| end(edge) == node).count();
    let ways = |node: usize| {
        let loops = edges.iter().filter(|edge| (edge.0, edge.1) == (node, node)).count();
        degree(node, |edge| edge.0) * degree(node, |edge| edge.1) - loops
    };
    let (both, one) = ((ways(1) + ways(2)).to_string(), ways(3).to_string());
    let hub = "(a:Person)<-[:Follows]-(c:Person {id: m})<-[:Follows]-(b:Person)";
    for text in [
        format!("UNWIND [1, 2] AS m MATCH {hub} RETURN count(*)"),
        format!("UNWIND [1, 2] AS m OPTIONAL MATCH {hub} RETURN count(*)"),
        "UNWIND [1, 2] AS m MATCH (c:Person {id: m}) MATCH (a:Person)<-[:Follows]-(c)<-[:Follows]-(b:Person) RETURN count(*)".to_owned(),
        format!("UNWIND [1, 2] AS m CALL (m) {{ MATCH {hub} RETURN count(*) AS k }} RETURN sum(k)"),
        format!("UNWIND [1, 2] AS m RETURN sum(COUNT {{ {hub} }})"),
    ] {
        check(&graph, &text, &[&both]);
    }
    let of_node = "MATCH (m:Person {id: 3}) MATCH (a)<-[:Follows]-(c:Person {id: m.age})<-[:Follows]-(b) RETURN count(*)";
    check(&graph, of_node, &[&one]);
}

/// The edge that tells the length of a path is gone behind a projection that computes, the path is not.
#[test]
fn lengths_of_paths_are_known_behind_projections() {
    let graph = small();
    let path = "MATCH p = (a:Person)-[:Follows*1..2]->(n:Person)";
    let ones = ["Bob|1", "Cid|1", "Cid|1", "Cid|1"];
    let lengths = [&ones[..], &["Cid|2"; 3], &["Dan|1"], &["Dan|2"; 3], &["Eve|1"]].concat();
    check(&graph, &format!("{path} RETURN n.name, length(p)"), &lengths);
    for projection in
        ["WITH n.name AS i, p", "WITH DISTINCT n.name AS i, p", "WITH count(*) AS c, p, n.name AS i"]
    {
        let two = format!("{path} {projection} WHERE length(p) = 2 RETURN i");
        check(&graph, &two, &["Cid", "Cid", "Cid", "Dan", "Dan", "Dan"]);
        let sorted =
            format!("{path} {projection} ORDER BY length(p) DESC, i DESC LIMIT 2 RETURN i, length(p)");
        check(&graph, &sorted, &["Dan|2", "Dan|2"]);
    }
    check(&graph, &format!("{path} RETURN length(p) AS l, count(*) ORDER BY length(p)"), &["1|6", "2|6"]);
    check(&graph, &format!("{path} WITH p, n ORDER BY n.name, length(p) LIMIT 1 RETURN length(p)"), &["1"]);
}

/// An optional match that hangs at what another one has found is no factor of the graph.
#[test]
fn an_optional_match_at_an_optional_node_is_counted_with_it() {
    let graph = small();
    let matched = "MATCH (a:Person) OPTIONAL MATCH (a)-[:Likes]->(b:Person) \
                   OPTIONAL MATCH (a)-[:LivesIn]->(c)<-[:LivesIn]-(b)";
    let listed = graph.rows(&format!("{matched} RETURN a.name, b.name, c.name"), PLAIN);
    check(&graph, &format!("{matched} RETURN count(*)"), &[&listed.len().to_string()]);
    let matched = "MATCH (a:Person) OPTIONAL MATCH (a)-[:Likes]->(b:Person) \
                   OPTIONAL MATCH (a)-[:Follows]->(c)<-[:LivesIn]-(b)";
    let listed = graph.rows(&format!("{matched} RETURN a.name, b.name, c.name"), PLAIN);
    check(&graph, &format!("{matched} RETURN count(*)"), &[&listed.len().to_string()]);
}

/// Counts of what several optional matches found multiply as their rows would.
#[test]
fn optional_matches_that_are_counted_multiply_numbers() {
    let graph = small();
    let matched = "MATCH (a:Person) OPTIONAL MATCH (a)-[f:Follows]->(b) OPTIONAL MATCH (a)<-[l:Likes]-(c) \
                   OPTIONAL MATCH (a)-[:Follows]->(d)-[:Follows]->(a)";
    let listed = graph.rows(&format!("{matched} RETURN a.name, b.id, c.id, d.id"), PLAIN);
    let there = |at: usize| listed.iter().filter(|row| row.split('|').nth(at) != Some("NULL")).count();
    let expected = format!("{}|{}|{}|{}", listed.len(), there(1), there(2), there(3));
    let counted = format!("{matched} RETURN count(*), count(f), count(c.id), count(d)");
    check(&graph, &counted, &[&expected]);
    assert!(graph.counter(&counted, "rows_represented") > 0);
    let sums = format!("{matched} RETURN sum(CASE WHEN b IS NULL THEN 0 ELSE 1 END), sum(a.id), max(a.id)");
    let ids = |row: &String| match row.split('|').next() {
        Some("Ada") => 10,
        Some("Bob") => 20,
        Some("Cid") => 30,
        Some("Dan") => 40,
        _ => 50,
    };
    let total: i64 = listed.iter().map(ids).sum();
    check(&graph, &sums, &[&format!("{}|{total}|50", there(1))]);
    let alone: Vec<&String> = listed.iter().filter(|row| row.split('|').nth(2) == Some("NULL")).collect();
    let followed = alone.iter().filter(|row| row.split('|').nth(3) != Some("NULL")).count();
    let keyed =
        format!("{matched} WITH c IS NULL AS none, count(*) AS n, count(d) AS m WHERE none RETURN n, m");
    check(&graph, &keyed, &[&format!("{}|{followed}", alone.len())]);
    // Where nothing asks for an optional match, not even by the number of rows, it is not looked for.
    let different = format!("{matched} RETURN DISTINCT a.name");
    check(&graph, &different, &["Ada", "Bob", "Cid", "Dan", "Eve"]);
    assert_eq!(graph.counter(&different, "rows_numbered"), 0);
}

/// What optional matches find that have nothing to do with each other stands beside each other where duplicates do not
/// matter, and each aggregate sees all of its own.
#[test]
fn optional_matches_for_distinct_values_stand_beside_each_other() {
    // Each of 12 follows and likes all, and one more lives alone.
    let persons: Vec<Person> = (0..13).map(|id| (id, Some(id * 2), "x")).collect();
    let graph = Graph::new(&persons, &["Ulm"]);
    let all: Vec<Edge> = (0..144).map(|at| (at / 12, at % 12, at as i64)).collect();
    graph.load_edges("Follows", &all);
    graph.load_edges("Likes", &all);
    graph.load_edges("LivesIn", &[(12, 0, 0)]);
    let matched = "MATCH (a:Person) OPTIONAL MATCH (a)-[:Follows]->(b) OPTIONAL MATCH (a)-[:Likes]->(c) \
                   WHERE c.id < a.id OPTIONAL MATCH (b)-[:Follows]->(d) WHERE d.id > 3";
    let text = format!(
        "{matched} RETURN a.id, count(DISTINCT b), count(DISTINCT c), max(c.age), min(d.id) ORDER BY a.id"
    );
    let row = |id: i64| match id {
        0 => "0|12|0|NULL|4".to_owned(),
        12 => "12|0|0|NULL|NULL".to_owned(),
        id => format!("{id}|12|{id}|{}|4", (id - 1) * 2),
    };
    let expected: Vec<String> = (0..13).map(row).collect();
    check(&graph, &text, &expected.iter().map(String::as_str).collect::<Vec<_>>());
    // One by one: 144 + 66 + 144 × 8.
    assert!(
        graph.counter(&text, "rows_materialized") < 1500,
        "{}",
        graph.counter(&text, "rows_materialized")
    );
    // Where the one asks for the other, or rows are counted, the product is wanted.
    let tied = text.replace("max(c.age)", "max(b.id + c.id)");
    assert!(graph.counter(&tied, "rows_materialized") > 2000);
}

#[test]
fn left_joins_that_are_counted_multiply() {
    let graph = small();
    let counted = "MATCH (a:Person)-[:Follows]->(x) OPTIONAL MATCH (x)-[:Likes]->() OPTIONAL MATCH (x)-[:LivesIn]->(c) \
                   OPTIONAL MATCH (a)<-[:Follows]-(:Person {age: 30})";
    // By hand: Ada>Bob 1, Bob>Cid twice with none before Bob of age 30, Cid>Dan 2, Dan>Cid 1, Eve>Eve 1.
    check(&graph, &format!("{counted} RETURN count(*)"), &["7"]);
    check(
        &graph,
        &format!("{counted} RETURN a.name, count(*)"),
        &["Ada|1", "Bob|2", "Cid|2", "Dan|1", "Eve|1"],
    );
    check(
        &graph,
        &format!("{counted} RETURN a.name, count(c)"),
        &["Ada|1", "Bob|2", "Cid|2", "Dan|1", "Eve|0"],
    );
    check(&graph, &format!("{counted} RETURN x.name, sum(a.age)"), &["Bob|0", "Cid|110", "Dan|80", "Eve|30"]);
    check(
        &graph,
        "MATCH (a:Person) OPTIONAL MATCH (a)-[:Follows]->(b)-[:Follows]->(c) WHERE c.age > 40 RETURN count(*), sum(a.id)",
        &["6|170"],
    );
    let persons = "MATCH (a:Person) OPTIONAL MATCH (a)-[:Likes]->(b:Person)";
    check(
        &graph,
        &format!("{persons} RETURN a.name, count(b)"),
        &["Ada|1", "Bob|1", "Cid|1", "Dan|0", "Eve|0"],
    );
    check(&graph, &format!("{persons} RETURN count(b), count(b) + 1"), &["3|4"]);
    check(&graph, &format!("{persons} RETURN a.age, count(b)"), &["30|1", "40|1", "50|0", "NULL|1"]);
    check(
        &graph,
        &format!("{persons} OPTIONAL MATCH (a)<-[f:Follows]-() RETURN a.name, count(f)"),
        &["Ada|0", "Bob|1", "Cid|3", "Dan|1", "Eve|1"],
    );
    check(
        &graph,
        "MATCH (a:Person)-[:Follows]->(b:Person) WHERE NOT (b)-[:Likes]->() AND (a)-[:LivesIn]->() RETURN count(*)",
        &["1"],
    );
    check(
        &graph,
        "MATCH (a:Person)-[:Follows]->(b:Person)-[:Follows]->(c) WHERE (b)-[:Likes]->(:Person) AND NOT EXISTS { (c)-[:Likes]->({age: 40}) } RETURN c.name, count(*)",
        &["Cid|2", "Dan|3"],
    );
    assert!(graph.counter(&format!("{counted} RETURN count(*)"), "messages_passed") > 0);
}

#[test]
fn patterns_are_conditions() {
    let graph = small();
    let everybody = "MATCH (a:Person) WHERE";
    let ask = |condition: &str, names: &[&str]| {
        check(&graph, &format!("{everybody} {condition} RETURN a.name"), names);
    };
    ask("EXISTS { (a)-[:Likes]->() }", &["Ada", "Bob", "Cid"]);
    ask("NOT EXISTS { MATCH (a)-[:Likes]->() }", &["Dan", "Eve"]);
    ask("(a)-[:Likes]->()", &["Ada", "Bob", "Cid"]);
    ask("NOT (a)-[:Likes]->() AND NOT (a)-[:LivesIn]->()", &["Eve"]);
    ask("(a)-[:Likes]->() AND a.age > 30", &["Cid"]);
    ask("a.age = 50 OR (a)-[:Likes]->({name: 'Cid'})", &["Ada", "Bob", "Dan"]);
    ask("EXISTS { (a)-[:Follows]->(b) WHERE b.age > a.age }", &["Bob", "Cid"]);
    ask("NOT EXISTS { (a)-[:Follows]->(b) WHERE b.age > a.age }", &["Ada", "Dan", "Eve"]);
    ask("EXISTS { (a)-[:Follows]->(b:Person) WHERE NOT (b)-[:Likes]->() }", &["Cid", "Eve"]);
    ask("EXISTS { (a)-[:Follows]->(b) WHERE EXISTS { (b)-[:Likes]->(c) WHERE c.age < a.age } }", &["Dan"]);
    ask("EXISTS { (b:Person) WHERE b.age = a.age AND b <> a }", &["Bob", "Eve"]);
    ask("EXISTS { (:City {name: 'Ulm'}) } AND a.id < 20", &["Ada"]);
    ask("EXISTS { (:City {name: 'Rom'}) }", &[]);
    ask("COUNT { (a)-[:Follows]->() } = 2", &["Bob"]);
    ask("COUNT { (a)-[:Follows]->() } >= 1 AND 0 = COUNT { (a)-[:Likes]->() }", &["Dan", "Eve"]);
    ask("EXISTS { (a)-[:Follows]->(a) }", &["Eve"]);
    ask("EXISTS { (a)-[:Follows]->(b)-[:Follows]->(a) }", &["Cid", "Dan"]);
    ask("EXISTS { (a)-[:Follows*2..3]->(b {name: 'Dan'}) }", &["Ada", "Bob", "Dan"]);
    ask("a.id IN [10, 40] AND CASE WHEN (a)-[:Likes]->() THEN true ELSE a.age = 50 END", &["Ada", "Dan"]);
    check(
        &graph,
        "MATCH (a:Person)-[:Follows]->(b) WHERE NOT EXISTS { (a)-[:Likes]->(b) } RETURN a.name, b.name",
        &["Ada|Bob", "Cid|Dan", "Dan|Cid", "Eve|Eve"],
    );
    check(
        &graph,
        "MATCH (a:Person)-[:Follows]->(b)-[:Likes]->(c) WHERE NOT (a)-[:Likes]->(c) AND a <> c RETURN a.name, c.name, count(*)",
        &["Bob|Eve|2", "Dan|Eve|1"],
    );
    check(&graph, "MATCH (a:Person)-[:Follows]->(b) WHERE (a)-[:Likes]->() RETURN count(*)", &["4"]);
    // Both ends are bound.
    check(
        &graph,
        "MATCH (a:Person), (b:City) WHERE NOT EXISTS { (a)-[:Follows]->()-[:LivesIn]->(b) } AND a.age > 30 RETURN a.name, b.name",
        &["Cid|Kiel", "Cid|Ulm", "Dan|Kiel", "Dan|Ulm"],
    );
    check(
        &graph,
        "MATCH (a:Person), (b:Person) WHERE (a)-[:Follows]-(b) AND a.id <= b.id RETURN a.name, b.name",
        &["Ada|Bob", "Bob|Cid", "Cid|Dan", "Eve|Eve"],
    );
    check(
        &graph,
        "MATCH (a:Person), (b:Person) WHERE a.age > 30 RETURN a.name, b.name, (a)<-[:Follows]-(b) OR false AS x ORDER BY a.name, b.name LIMIT 3",
        &["Cid|Ada|false", "Cid|Bob|true", "Cid|Cid|false"],
    );
}

#[test]
fn queries_are_values() {
    let graph = small();
    check(
        &graph,
        "MATCH (a:Person) RETURN a.name, COUNT { (a)-[:Follows]->() } AS n, EXISTS { (a)-[:Likes]->() } AS likes ORDER BY n DESC, a.name",
        &["Bob|2|true", "Ada|1|true", "Cid|1|true", "Dan|1|false", "Eve|1|false"],
    );
    check(
        &graph,
        "MATCH (a:Person) RETURN a.name, COLLECT { MATCH (a)-[f:Follows]->() WHERE f.weight > 1 RETURN f.weight } AS w ORDER BY a.name",
        &["Ada|[3]", "Bob|[5,7]", "Cid|[]", "Dan|[2]", "Eve|[9]"],
    );
    check(
        &graph,
        "MATCH (a:Person) RETURN a.name, [(a)-[:Likes]->(b) WHERE b.age > 30 | b.name + a.name] AS x ORDER BY a.name",
        &["Ada|[CidAda]", "Bob|[CidBob]", "Cid|[]", "Dan|[]", "Eve|[]"],
    );
    check(
        &graph,
        "MATCH (a:Person) RETURN COUNT { (a)-[:Follows]->() } AS n, count(*) AS times ORDER BY n",
        &["1|4", "2|1"],
    );
    check(
        &graph,
        "MATCH (a:Person) WITH a, COUNT { (a)-->() } AS n WHERE n > 2 RETURN a.name, n",
        &["Ada|3", "Bob|4", "Cid|3"],
    );
    check(&graph, "MATCH (a:Person) RETURN sum(COUNT { (a)-[:Follows]->() })", &["6"]);
    check(&graph, "RETURN COUNT { (:Person) } AS n, EXISTS { (:City {name: 'Rom'}) } AS e", &["5|false"]);
    check(
        &graph,
        "MATCH (a:Person) OPTIONAL MATCH (a)-[:Likes]->(b) RETURN a.name, COUNT { (b)-[:Follows]->() } AS n, (b)-[:Likes]->() AND true AS l ORDER BY a.name",
        &["Ada|1|true", "Bob|1|true", "Cid|1|false", "Dan|0|false", "Eve|0|false"],
    );
    check(
        &graph,
        "MATCH (a:Person) WITH collect(a) AS all UNWIND all AS a WITH a WHERE (a)-[:Likes]->() RETURN a.name",
        &["Ada", "Bob", "Cid"],
    );
    check(
        &graph,
        "UNWIND [10, 20, 21] AS id RETURN id, EXISTS { MATCH (p:Person {id: id}) } AS e ORDER BY id",
        &["10|true", "20|true", "21|false"],
    );
    check(
        &graph,
        "MATCH (a:Person) RETURN a.name, [p = (a)-[:Likes]->() | length(p)] AS x ORDER BY a.name LIMIT 3",
        &["Ada|[1]", "Bob|[1]", "Cid|[1]"],
    );
}

#[test]
fn queries_inside_group_sort_and_limit() {
    let graph = small();
    check(
        &graph,
        "MATCH (a:Person) RETURN a.name, EXISTS { MATCH (a)-[:Follows]->(b) WITH b, count(*) AS n WHERE n > 1 RETURN b } AS e ORDER BY a.name",
        &["Ada|false", "Bob|true", "Cid|false", "Dan|false", "Eve|false"],
    );
    check(
        &graph,
        "MATCH (a:Person) RETURN a.name, COUNT { MATCH (a)-[:Follows]->(b) RETURN DISTINCT b } AS n, COUNT { MATCH (a)-->(b) RETURN count(*) } AS one ORDER BY a.name",
        &["Ada|1|1", "Bob|1|1", "Cid|1|1", "Dan|1|1", "Eve|1|1"],
    );
    check(
        &graph,
        "MATCH (a:Person) RETURN a.name, COLLECT { MATCH (a)-[f:Follows]->() RETURN f.weight ORDER BY f.weight DESC } AS w, \
         COLLECT { MATCH (a)-[f:Follows]->() RETURN f.weight ORDER BY f.weight DESC LIMIT 1 } AS most, list_sort(COLLECT { MATCH (a)-[:Follows]->(x) RETURN x.age UNION MATCH (a)-[:Likes]->(y) RETURN y.age AS `x.age` }) AS ages ORDER BY a.name",
        &[
            "Ada|[3]|[3]|[30,40]",
            "Bob|[7,5]|[7]|[40]",
            "Cid|[1]|[1]|[30,50]",
            "Dan|[2]|[2]|[40]",
            "Eve|[9]|[9]|[30]",
        ],
    );
    check(
        &graph,
        "MATCH (a:Person) WHERE COUNT { MATCH (a)-[:Follows]->(b) RETURN DISTINCT b } = 1 AND EXISTS { MATCH (a)-[f:Follows]->() WITH sum(f.weight) AS s WHERE s > 5 RETURN s } RETURN a.name",
        &["Bob", "Eve"],
    );
    check(
        &graph,
        "MATCH (a:Person) RETURN a.name, COLLECT { OPTIONAL MATCH (a)-[:Likes]->(b) RETURN b.name } AS names ORDER BY a.name",
        // A NULL in a list is written as nothing.
        &["Ada|[Cid]", "Bob|[Cid]", "Cid|[Eve]", "Dan|[]", "Eve|[]"],
    );
    check(
        &graph,
        "MATCH (a:Person) RETURN a.name, size(COLLECT { OPTIONAL MATCH (a)-[:Likes]->(b) RETURN b.name }) AS n, \
         size(COLLECT { MATCH (a)-[:Likes]->(b) RETURN DISTINCT b.name ORDER BY b.name }) AS m ORDER BY a.name",
        &["Ada|1|1", "Bob|1|1", "Cid|1|1", "Dan|1|0", "Eve|1|0"],
    );
    check(
        &graph,
        "MATCH (a:Person) RETURN a.name, COLLECT { UNWIND [1, 2] AS x WITH x WHERE x * 30 < a.age RETURN x } AS x ORDER BY a.name",
        &["Ada|[]", "Bob|[]", "Cid|[1]", "Dan|[1]", "Eve|[]"],
    );
    // A query that groups inside one that does not.
    check(
        &graph,
        "MATCH (a:Person) WHERE EXISTS { (a)-[:Follows]->(b) WHERE COUNT { MATCH (b)<-[:Follows]-(c) RETURN DISTINCT c } > 1 } RETURN a.name",
        &["Bob", "Dan"],
    );
}

#[test]
fn queries_are_about_what_is_on_the_way() {
    let graph = small();
    // Nodes between the ends that like somebody: Bob and Cid.
    let way = "MATCH (a:Person {id: 10})-[r:Follows*1..4 (e, n | WHERE";
    check(
        &graph,
        &format!("{way} EXISTS {{ (n)-[:Likes]->() }})]->(b) RETURN b.name, size(r), count(*)"),
        &["Bob|1|1", "Cid|2|2", "Dan|3|2"],
    );
    check(
        &graph,
        &format!(
            "{way} COUNT {{ MATCH (n)<-[:Follows]-(x) RETURN DISTINCT x }} < 2)]->(b) RETURN b.name, size(r), count(*)"
        ),
        &["Bob|1|1", "Cid|2|2"],
    );
    check(
        &graph,
        &format!(
            "{way} EXISTS {{ MATCH ()-[l:Likes]->() WHERE l.weight < e.weight }})]->(b) RETURN b.name, size(r), count(*)"
        ),
        &["Bob|1|1", "Cid|2|2"],
    );
    check(
        &graph,
        "MATCH (a:Person {id: 20})-[r:Follows*2..2 {weight: COUNT { (a)-[:Likes]->() } + 0}]->(b) RETURN count(*)",
        &["0"],
    );
    check(
        &graph,
        "MATCH (a:Person) OPTIONAL MATCH p = (a)-[:Follows*1..2]->(b) WHERE a.id < 30 AND none(n IN nodes(p) WHERE COUNT { MATCH (n)<-[:Follows]-(x) RETURN DISTINCT x } > 1) RETURN a.name, length(p), b.name",
        &["Ada|1|Bob", "Bob|NULL|NULL", "Cid|NULL|NULL", "Dan|NULL|NULL", "Eve|NULL|NULL"],
    );
}

/// Few variables can make a deep plan, which takes more stack than a thread has.
#[test]
fn queries_in_queries_in_queries_fit_a_thread() {
    let graph = small();
    for levels in [2, 20] {
        let mut asked = "(x0)-[:Follows]->()".to_owned();
        for level in 0..levels {
            let way = format!("(x{})-[:Follows]->(x{level})", level + 1);
            asked = format!("MATCH {way} WHERE COUNT {{ {asked} }} > 0 RETURN DISTINCT x{level}");
        }
        let names = ["Ada", "Bob", "Cid", "Dan", "Eve"];
        let text = format!("MATCH (x{levels}:Person) WHERE COUNT {{ {asked} }} = 1 RETURN x{levels}.name");
        assert_eq!(graph.rows(&text, PLAIN), names, "{levels} levels");
    }
}

/// A UNION puts out nodes of the tables of all its branches.
#[test]
fn nodes_of_unions_have_all_tables() {
    let graph = small();
    let union = "MATCH (a)-[:LivesIn]->(x) RETURN x UNION MATCH (a)-[:Likes]->(x) RETURN x";
    let both = ["Ada|Cid", "Ada|Ulm", "Bob|Cid", "Bob|Ulm", "Cid|Bonn", "Cid|Eve", "Dan|Bonn"];
    check(&graph, &format!("MATCH (a:Person) CALL (a) {{ {union} }} RETURN a.name, x.name"), &both);
    check(
        &graph,
        &format!("MATCH (a:Person) UNWIND COLLECT {{ {union} }} AS x RETURN a.name, x.name"),
        &both,
    );
    check(
        &graph,
        &format!(
            "MATCH (a:Person {{id: 30}}) CALL (a) {{ {union} }} MATCH (x)<-[r]-(y) RETURN x.name, type(r), y.name, label(x)"
        ),
        &["Bonn|LivesIn|Cid|City", "Bonn|LivesIn|Dan|City", "Eve|Follows|Eve|Person", "Eve|Likes|Cid|Person"],
    );
}

/// What is written like an item is that item, whatever it calls its own variables and wherever its spaces are.
#[test]
fn queries_and_lists_are_sorted_by() {
    let graph = small();
    check(
        &graph,
        "MATCH (a:Person) RETURN COUNT { (a)-[:Follows]->() } AS n, count(*) ORDER BY COUNT { (a)-[:Follows]-> () } DESC",
        &["2|1", "1|4"],
    );
    check(
        &graph,
        "MATCH (a:Person) RETURN DISTINCT [x IN [a.age] WHERE x > 30] AS l ORDER BY size([y IN [a.age] WHERE y > 30]) DESC, [y IN [a.age] WHERE y > 30]",
        &["[40]", "[50]", "[]"],
    );
    check(
        &graph,
        "MATCH (a:Person) RETURN a.age, sum(size([(a)-[:Follows]->(b) | b])) AS s ORDER BY sum(size([(a)-[:Follows]->(b)|b])) DESC, a.age LIMIT 2",
        &["30|3", "40|1"],
    );
    check(
        &graph,
        "MATCH (a:Person) WITH a.name AS n, a ORDER BY a.id DESC RETURN n, COLLECT { MATCH (a)-[:Likes]->(b) RETURN DISTINCT b.name }",
        &["Eve|[]", "Dan|[]", "Cid|[Eve]", "Bob|[Cid]", "Ada|[Cid]"],
    );
    check(
        &graph,
        "MATCH (a:Person) RETURN a.name, exists((a)-[:Likes]->()) AS e ORDER BY e, a.name",
        &["Dan|false", "Eve|false", "Ada|true", "Bob|true", "Cid|true"],
    );
}

#[test]
fn calls_run_a_query_for_each_row() {
    let graph = small();
    check(
        &graph,
        "MATCH (a:Person) CALL { WITH a MATCH (a)-[:Likes]->(b) RETURN b.name AS liked } RETURN a.name, liked",
        &["Ada|Cid", "Bob|Cid", "Cid|Eve"],
    );
    check(
        &graph,
        "MATCH (a:Person) CALL (a) { MATCH (a)-[:Follows]->(b) RETURN count(b) AS n, sum(b.age) AS ages, max(b.age) AS most, collect(b.name) AS names } RETURN a.name, n, ages, most, size(names)",
        &["Ada|1|30|30|1", "Bob|2|80|40|2", "Cid|1|50|50|1", "Dan|1|40|40|1", "Eve|1|30|30|1"],
    );
    check(
        &graph,
        "MATCH (a:Person) CALL (a) { MATCH (a)-[:Likes]->(b) RETURN count(b) AS n, sum(b.age) AS ages, max(b.age) AS most, collect(b.name) AS names } RETURN a.name, n, ages, most, names",
        &[
            "Ada|1|40|40|[Cid]",
            "Bob|1|40|40|[Cid]",
            "Cid|1|30|30|[Eve]",
            "Dan|0|0|NULL|[]",
            "Eve|0|0|NULL|[]",
        ],
    );
    check(
        &graph,
        "MATCH (a:Person) CALL (*) { MATCH (a)-[f:Follows]->(b) RETURN b, f.weight AS w ORDER BY w DESC LIMIT 1 } RETURN a.name, b.name, w",
        &["Ada|Bob|3", "Bob|Cid|7", "Cid|Dan|1", "Dan|Cid|2", "Eve|Eve|9"],
    );
    check(
        &graph,
        "MATCH (a:Person) OPTIONAL CALL (a) { MATCH (a)-[:Likes]->(b) RETURN b.name AS liked } RETURN a.name, liked",
        &["Ada|Cid", "Bob|Cid", "Cid|Eve", "Dan|NULL", "Eve|NULL"],
    );
    check(
        &graph,
        "MATCH (a:Person) OPTIONAL CALL (a) { MATCH (a)-[:Likes]->(b) RETURN DISTINCT b.name AS liked } RETURN a.name, liked",
        &["Ada|Cid", "Bob|Cid", "Cid|Eve", "Dan|NULL", "Eve|NULL"],
    );
    check(
        &graph,
        "MATCH (a:Person) CALL { WITH a MATCH (a)-[:Likes]->(b) RETURN b UNION WITH a MATCH (a)-[:Follows]->(b) RETURN b } RETURN a.name, b.name",
        &["Ada|Bob", "Ada|Cid", "Bob|Cid", "Cid|Dan", "Cid|Eve", "Dan|Cid", "Eve|Eve"],
    );
    check(
        &graph,
        "CALL { MATCH (c:City) RETURN count(*) AS cities } MATCH (a:Person) WHERE a.age > 45 RETURN a.name, cities",
        &["Dan|3"],
    );
    check(
        &graph,
        "UNWIND [1, 1, 2] AS x CALL (x) { RETURN x * 10 AS y UNION ALL RETURN x AS y } RETURN x, y",
        &["1|1", "1|1", "1|10", "1|10", "2|2", "2|20"],
    );
    check(
        &graph,
        "MATCH (a:Person)-[:Follows]->(b) WITH a, count(*) AS n CALL (a, n) { MATCH (a)-[:Likes]->(c) WITH c, n AS m RETURN c.name AS name, m } RETURN a.name, n, name, m",
        &["Ada|1|Cid|1", "Bob|2|Cid|2", "Cid|1|Eve|1"],
    );
    check(
        &graph,
        "MATCH p = (a:Person)-[r:Follows*1..2]->(b) WHERE a.id = 10 CALL (b) { MATCH (b)-[:Likes]->(c) RETURN count(*) AS n } RETURN b.name, length(p), size(r), n",
        &["Bob|1|1|1", "Cid|2|2|1", "Cid|2|2|1"],
    );
}

/// All ways to go `hops` from a node under the trail rule, as the relationships used, the last node, and ages.
fn ways(edges: &[Edge], from: usize, hops: usize) -> Vec<Vec<usize>> {
    let mut found = vec![Vec::new()];
    for _ in 0..hops {
        let mut longer = Vec::new();
        for way in &found {
            let at = way.last().map_or(from, |edge: &usize| edges[*edge].1);
            for (number, edge) in edges.iter().enumerate() {
                if edge.0 == at && !way.contains(&number) {
                    longer.push([way.as_slice(), &[number]].concat());
                }
            }
        }
        found = longer;
    }
    found
}

#[test]
fn conditions_that_follow_from_others_change_nothing() {
    let graph = small();
    // A loop is the only relationship that could be both.
    let two = "MATCH (a:Person)-[:Follows]->(b:Person)-[:Follows]->(c:Person) WHERE id(a) <> id(c)";
    check(&graph, &format!("{two} RETURN a.name, c.name, count(*)"), &["Ada|Cid|2", "Bob|Dan|2"]);
    check(&graph, &format!("{two} AND NOT (a)-[:Follows]->(c) RETURN count(*)"), &["4"]);
    let fork = "MATCH (x:Person)<-[:Follows]-(a:Person)-[:Likes]->(b:Person)-[:Follows]->(y:Person) WHERE NOT (b)-[:Follows]->(x)";
    check(&graph, &format!("{fork} AND id(x) <> id(y) RETURN count(*)"), &["4"]);
    check(&graph, &format!("{fork} RETURN count(*)"), &["4"]);
}

fn random_edges() -> impl Strategy<Value = Vec<Edge>> {
    prop::collection::vec((0..6usize, 0..6usize, 0..10i64), 0..14)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 32, ..ProptestConfig::default() })]

    #[test]
    fn optional_matches_equal_enumeration(
        follows in random_edges(),
        likes in random_edges(),
        ages in prop::collection::vec(prop::option::weighted(0.8, 0..60i64), 6),
        hops in 1..3usize,
        bound in prop::option::of(0..60i64),
        small in any::<bool>(),
    ) {
        let persons: Vec<Person> = ages.iter().enumerate().map(|(at, age)| (at as i64, *age, "x")).collect();
        let graph = Graph::new(&persons, &[]);
        graph.load_edges("Follows", &follows);
        graph.load_edges("Likes", &likes);
        let how = How { vector_size: if small { 3 } else { 2048 }, threads: 2, ..PLAIN };
        let condition = bound.map_or(String::new(), |age| format!(" WHERE c.age < {age}"));
        let steps = "-[:Follows]->()".repeat(hops - 1) + "-[:Follows]->(c:Person)";
        let (mut expected, mut counted) = (Vec::new(), Vec::new());
        for (from, to, _) in &likes {
            let ends = ways(&follows, *to, hops).into_iter().filter_map(|way| way.last().map(|at| follows[*at].1));
            let admits = |end: &usize| bound.is_none_or(|most| ages[*end].is_some_and(|age| age < most));
            let ends: Vec<usize> = ends.filter(admits).collect();
            counted.push((*from, ends.len()));
            if ends.is_empty() {
                expected.push(format!("{from}|{to}|NULL"));
            }
            expected.extend(ends.iter().map(|end| format!("{from}|{to}|{end}")));
        }
        expected.sort();
        let text = format!("MATCH (a:Person)-[:Likes]->(b) OPTIONAL MATCH (b){steps}{condition} RETURN a.id, b.id, c.id");
        prop_assert_eq!(graph.rows(&text, how), expected, "{}", text);
        let text = format!("MATCH (a:Person)-[:Likes]->(b) OPTIONAL MATCH (b){steps}{condition} RETURN count(*), count(c), count(c.id)");
        let rows: usize = counted.iter().map(|(_, found)| (*found).max(1)).sum();
        let found: usize = counted.iter().map(|(_, found)| found).sum();
        prop_assert_eq!(graph.rows(&text, how), [format!("{rows}|{found}|{found}")], "{}", text);
        for (condition, wanted) in [("EXISTS", true), ("NOT EXISTS", false)] {
            let text = format!("MATCH (a:Person)-[:Likes]->(b) WHERE {condition} {{ (b){steps}{condition2} }} RETURN a.id", condition2 = bound.map_or(String::new(), |age| format!(" WHERE c.age < {age}")));
            let mut rows: Vec<String> =
                counted.iter().filter(|(_, found)| (*found > 0) == wanted).map(|(from, _)| from.to_string()).collect();
            rows.sort();
            prop_assert_eq!(graph.rows(&text, how), rows.clone(), "{}", text);
            let text = text.replace("RETURN a.id", "RETURN count(*)");
            prop_assert_eq!(graph.rows(&text, how), [rows.len().to_string()], "{}", text);
        }
        let text = format!("MATCH (a:Person)-[:Likes]->(b) RETURN a.id, COUNT {{ (b){steps}{condition} }}");
        let mut rows: Vec<String> = counted.iter().map(|(from, found)| format!("{from}|{found}")).collect();
        rows.sort();
        prop_assert_eq!(graph.rows(&text, how), rows, "{}", text);
    }
}
