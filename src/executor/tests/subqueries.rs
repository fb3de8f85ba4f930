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
    }
}
