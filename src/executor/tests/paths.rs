//! Paths against brute force on random graphs: weighted ones, conditions on the way, and the order of what they hold.

use proptest::prelude::*;

use super::graph::{Edge, Graph, How, PLAIN, Person};
use crate::catalog::Dialect;

const NODES: usize = 6;

/// A path by the numbers of its edges and the nodes it meets, both ends included.
#[derive(Clone, Debug)]
struct Walk {
    edges: Vec<usize>,
    nodes: Vec<usize>,
}

impl Walk {
    fn cost(&self, edges: &[Edge]) -> i64 {
        self.edges.iter().map(|at| edges[*at].2).sum()
    }

    fn end(&self) -> usize {
        self.nodes[self.nodes.len() - 1]
    }
}

/// All trails of 1 to `most` edges from a node whose edges and inner nodes are allowed.
fn trails(
    edges: &[Edge],
    both_ways: bool,
    from: usize,
    most: usize,
    edge_allowed: &dyn Fn(usize) -> bool,
    inner_allowed: &dyn Fn(usize) -> bool,
) -> Vec<Walk> {
    let mut found = Vec::new();
    let mut open = vec![Walk { edges: Vec::new(), nodes: vec![from] }];
    while let Some(walk) = open.pop() {
        if !walk.edges.is_empty() {
            found.push(walk.clone());
        }
        if walk.edges.len() == most || (!walk.edges.is_empty() && !inner_allowed(walk.end())) {
            continue;
        }
        for (number, (source, target, _)) in edges.iter().enumerate() {
            if walk.edges.contains(&number) || !edge_allowed(number) {
                continue;
            }
            let ahead = (*source == walk.end()).then_some(*target);
            let back = (both_ways && *target == walk.end() && source != target).then_some(*source);
            for next in [ahead, back].into_iter().flatten() {
                let mut longer = walk.clone();
                longer.edges.push(number);
                longer.nodes.push(next);
                open.push(longer);
            }
        }
    }
    found
}

fn persons() -> Vec<Person> {
    (0..NODES as i64).map(|at| (at, Some(at * 10), "x")).collect()
}

fn sorted(mut rows: Vec<String>) -> Vec<String> {
    rows.sort();
    rows
}

fn edges() -> impl Strategy<Value = Vec<Edge>> {
    prop::collection::vec((0..NODES, 0..NODES, 0..5i64), 1..10)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 12, ..ProptestConfig::default() })]

    #[test]
    fn weighted_paths_cost_the_least(
        edges in edges(),
        both_ways in any::<bool>(),
        most in prop::sample::select(vec![1usize, 2, 3, 8]),
        free in any::<bool>(),
        bounds in (prop::option::of(0..5i64), prop::option::of(0..60i64)),
        small in any::<bool>(),
        backwards in any::<bool>(),
    ) {
        let edges: Vec<Edge> = edges.into_iter().map(|(a, b, cost)| (a, b, cost + i64::from(!free))).collect();
        let graph = Graph::new(&persons(), &[]);
        graph.load_edges("Follows", &edges);
        let how = How { vector_size: if small { 3 } else { 2048 }, dialect: Dialect::Kuzu, ..PLAIN };
        let mut conditions = Vec::new();
        conditions.extend(bounds.0.map(|least| format!("r.weight >= {least}")));
        conditions.extend(bounds.1.map(|least| format!("n.age >= {least}")));
        let filter = if conditions.is_empty() {
            String::new()
        } else {
            format!(" (r, n | WHERE {})", conditions.join(" AND "))
        };
        let edge_allowed = |at: usize| bounds.0.is_none_or(|least| edges[at].2 >= least);
        let inner_allowed = |node: usize| bounds.1.is_none_or(|least| node as i64 * 10 >= least);
        // Against the arrow the search starts at the end of the text.
        let (left, right) = match (both_ways, backwards) {
            (true, _) => ("-", "-"),
            (false, false) => ("-", "->"),
            (false, true) => ("<-", "-"),
        };
        let walked: Vec<Edge> = match backwards && !both_ways {
            true => edges.iter().map(|(a, b, cost)| (*b, *a, *cost)).collect(),
            false => edges.clone(),
        };
        for from in 0..NODES {
            let all = trails(&walked, both_ways, from, most, &edge_allowed, &inner_allowed);
            let paths: Vec<&Walk> = all.iter().filter(|walk| {
                let mut nodes = walk.nodes.clone();
                nodes.sort_unstable();
                nodes.dedup();
                nodes.len() == walk.nodes.len()
            }).collect();
            let best = |to: usize| paths.iter().filter(|walk| walk.end() == to).map(|walk| walk.cost(&edges)).min();
            let least: Vec<String> =
                (0..NODES).filter_map(|to| Some(format!("{to}|{}.0", best(to)?))).collect();
            let pattern = |mode: &str, end: &str| format!(
                "MATCH p = (a:Person {{id: {from}}}){left}[e:Follows* {mode}(weight) 1..{most}{filter}]{right}(b:Person{end})"
            );
            let text = format!("{} RETURN b.id, cost(e)", pattern("WSHORTEST", ""));
            prop_assert_eq!(graph.rows(&text, how), sorted(least.clone()), "{}", text);
            let mut pairs = Vec::new();
            for to in 0..NODES {
                let text = format!("{} RETURN b.id, cost(e)", pattern("WSHORTEST", &format!(" {{id: {to}}}")));
                pairs.extend(graph.rows(&text, how));
            }
            prop_assert_eq!(sorted(pairs), sorted(least), "pairs of {}", text);
            let shown = |walk: &Walk| {
                let ids: Vec<String> = walk.nodes.iter().map(usize::to_string).collect();
                let weights: Vec<String> = walk.edges.iter().map(|at| edges[*at].2.to_string()).collect();
                format!("[{}]|[{}]", ids.join(","), weights.join(","))
            };
            let ties: Vec<&&Walk> =
                paths.iter().filter(|walk| best(walk.end()) == Some(walk.cost(&edges))).collect();
            let text = format!(
                "{} RETURN [x IN nodes(p) | x.id], [x IN rels(p) | x.weight]", pattern("ALL WSHORTEST", "")
            );
            let expected = sorted(ties.iter().map(|walk| shown(walk)).collect());
            prop_assert_eq!(graph.rows(&text, how), expected.clone(), "{}", text);
            let one = format!("{} RETURN [x IN nodes(p) | x.id], [x IN rels(p) | x.weight]", pattern("WSHORTEST", ""));
            for row in graph.rows(&one, how) {
                prop_assert!(expected.contains(&row), "{} gives {}", one, row);
            }
            let text = format!("{} RETURN b.id, length(p), count(*)", pattern("ALL WSHORTEST", ""));
            let mut counts = Vec::new();
            for to in 0..NODES {
                for hops in 1..=most {
                    let same = ties.iter().filter(|walk| walk.end() == to && walk.edges.len() == hops).count();
                    counts.extend((same > 0).then(|| format!("{to}|{hops}|{same}")));
                }
            }
            prop_assert_eq!(graph.rows(&text, how), sorted(counts), "{}", text);
        }
    }

    #[test]
    fn conditions_hold_on_the_way(
        edges in edges(),
        both_ways in any::<bool>(),
        most in 1..5usize,
        least in 0..5i64,
        youngest in 0..50i64,
        small in any::<bool>(),
    ) {
        let graph = Graph::new(&persons(), &[]);
        graph.load_edges("Follows", &edges);
        let how = How { vector_size: if small { 3 } else { 2048 }, ..PLAIN };
        let end = if both_ways { "-" } else { "->" };
        let filter = format!("(r, n | WHERE r.weight >= {least} AND n.age >= {youngest})");
        for from in 0..NODES {
            let found = trails(
                &edges, both_ways, from, most, &|at| edges[at].2 >= least, &|node| node as i64 * 10 >= youngest,
            );
            let pattern = |mode: &str, end_at: &str| format!(
                "MATCH p = (a:Person {{id: {from}}})-[e:Follows*{mode} 1..{most} {filter}]{end}(b:Person{end_at})"
            );
            let shown = |walk: &Walk| {
                let ids = |nodes: &[usize]| nodes.iter().map(usize::to_string).collect::<Vec<_>>().join(",");
                format!("[{}]|[{}]", ids(&walk.nodes), ids(&walk.nodes[1..walk.nodes.len() - 1]))
            };
            let result = "RETURN [x IN nodes(p) | x.id], [x IN nodes(e) | x.id]";
            let text = format!("{} {result}", pattern("", ""));
            let expected = sorted(found.iter().map(shown).collect());
            prop_assert_eq!(graph.rows(&text, how), expected, "{}", text);
            let mut ends: Vec<String> = found.iter().map(|walk| walk.end().to_string()).collect();
            ends.sort();
            ends.dedup();
            let text = format!("{} RETURN DISTINCT b.id", pattern("", ""));
            prop_assert_eq!(graph.rows(&text, how), ends, "{}", text);
            let shortest = |walk: &&Walk| {
                let same = found.iter().filter(|other| other.end() == walk.end());
                walk.end() != from && same.map(|other| other.edges.len()).min() == Some(walk.edges.len())
            };
            let expected = sorted(found.iter().filter(shortest).map(shown).collect());
            let text = format!("{} WHERE a.id <> b.id {result}", pattern(" ALL SHORTEST", ""));
            prop_assert_eq!(graph.rows(&text, how), expected.clone(), "{}", text);
            let mut pairs = Vec::new();
            for to in (0..NODES).filter(|to| *to != from) {
                let text = format!("{} {result}", pattern(" ALL SHORTEST", &format!(" {{id: {to}}}")));
                pairs.extend(graph.rows(&text, how));
            }
            prop_assert_eq!(sorted(pairs), expected.clone(), "pairs of {}", text);
            let text = format!("{} WHERE a.id <> b.id {result}", pattern(" SHORTEST", ""));
            for row in graph.rows(&text, how) {
                prop_assert!(expected.contains(&row), "{} gives {}", text, row);
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 8, ..ProptestConfig::default() })]

    #[test]
    fn many_starts_and_pairs_find_what_one_start_finds(
        edges in prop::collection::vec((0..NODES, 0..NODES, 0..5i64), 1..8),
        both_ways in any::<bool>(),
        bounded in any::<bool>(),
        threads in 1..3usize,
        youngest in prop::option::of(0..50i64),
    ) {
        let graph = Graph::new(&persons(), &[]);
        graph.load_edges("Follows", &edges);
        let how = How { threads, ..PLAIN };
        let most = if bounded { 3 } else { edges.len() };
        let bound = if bounded { "1..3" } else { "1.." };
        let end = if both_ways { "-" } else { "->" };
        let filter = youngest.map_or(String::new(), |age| format!(" (r, n | WHERE n.age >= {age})"));
        let inner_allowed = |node: usize| youngest.is_none_or(|age| node as i64 * 10 >= age);
        let found: Vec<Walk> = (0..NODES)
            .flat_map(|from| trails(&edges, both_ways, from, most, &|_| true, &inner_allowed))
            .collect();
        let ends = |walk: &Walk| format!("{}|{}", walk.nodes[0], walk.end());
        let text = |mode: &str, rest: &str| {
            format!("MATCH p = (a:Person)-[:Follows*{mode} {bound}{filter}]{end}(b:Person) {rest}")
        };
        let ask = |text: String| {
            let rows = graph.rows(&text, how);
            (text, rows)
        };
        let mut pairs: Vec<String> = found.iter().map(ends).collect();
        pairs.sort();
        let (query, rows) = ask(text("", "RETURN a.id, b.id"));
        prop_assert_eq!(rows, pairs.clone(), "{}", query);
        pairs.dedup();
        let (query, rows) = ask(text("", "RETURN DISTINCT a.id, b.id"));
        prop_assert_eq!(rows, pairs, "{}", query);
        let apart: Vec<&Walk> = found.iter().filter(|walk| walk.nodes[0] != walk.end()).collect();
        let least = |walk: &Walk| {
            let same = apart.iter().filter(|other| ends(other) == ends(walk));
            same.map(|other| other.edges.len()).min().unwrap_or_default()
        };
        let mut shortest: Vec<String> =
            apart.iter().map(|walk| format!("{}|{}", ends(walk), least(walk))).collect();
        shortest.sort();
        shortest.dedup();
        let (query, rows) = ask(text(" SHORTEST", "WHERE a.id <> b.id RETURN a.id, b.id, length(p)"));
        prop_assert_eq!(rows, shortest.clone(), "{}", query);
        let both = "MATCH (a:Person), (b:Person) WHERE id(a) <> id(b) ";
        let pair = |mode: &str, rest: &str| {
            format!("{both} MATCH p = (a)-[:Follows*{mode} {bound}{filter}]{end}(b) {rest}")
        };
        let (query, rows) = ask(pair(" SHORTEST", "RETURN a.id, b.id, length(p)"));
        prop_assert_eq!(rows, shortest, "{}", query);
        let (query, rows) = ask(pair("", "RETURN a.id, b.id, length(p)"));
        let every = sorted(apart.iter().map(|walk| format!("{}|{}", ends(walk), walk.edges.len())).collect());
        prop_assert_eq!(rows, every, "{}", query);
        let (query, rows) = ask(pair("", "RETURN DISTINCT a.id, b.id"));
        let mut reached: Vec<String> = apart.iter().map(|walk| ends(walk)).collect();
        reached.sort();
        reached.dedup();
        prop_assert_eq!(rows, reached, "{}", query);
        let all: Vec<String> = apart
            .iter()
            .filter(|walk| walk.edges.len() == least(walk))
            .map(|walk| format!("{:?}|{}", walk.nodes, walk.edges.len()).replace(' ', ""))
            .collect();
        for query in [
            text(" ALL SHORTEST", "WHERE a.id <> b.id RETURN [n IN nodes(p) | n.id], length(p)"),
            pair(" ALL SHORTEST", "RETURN [n IN nodes(p) | n.id], length(p)"),
        ] {
            prop_assert_eq!(graph.rows(&query, how), sorted(all.clone()), "{}", query);
        }
        let (query, rows) = ask(pair(" ALL SHORTEST", "RETURN a.id, b.id, count(*)"));
        let mut counts: Vec<String> = apart
            .iter()
            .map(|walk| {
                let same = apart.iter().filter(|o| ends(o) == ends(walk) && o.edges.len() == least(walk));
                format!("{}|{}", ends(walk), same.count())
            })
            .collect();
        counts.sort();
        counts.dedup();
        prop_assert_eq!(rows, counts, "{}", query);
    }
}

/// 0 -5-> 1 -5-> 2 -1-> 3, and 0 -20-> 2.
fn line() -> Graph {
    let graph = Graph::new(&persons(), &["Ulm"]);
    graph.load_edges("Follows", &[(0, 1, 5), (1, 2, 5), (2, 3, 1), (0, 2, 20)]);
    graph.load_edges("LivesIn", &[(0, 0, 1), (1, 0, 1)]);
    graph
}

#[track_caller]
fn check(text: &str, expected: &[&str]) {
    for vector_size in [2048, 3] {
        let how = How { vector_size, dialect: Dialect::Kuzu, ..PLAIN };
        assert_eq!(line().rows(text, how), expected, "{text}");
    }
}

#[test]
fn paths_run_in_the_order_of_the_text_wherever_the_search_starts() {
    // The key is looked up first, so the search starts at the end of the text.
    let nodes = "RETURN [n IN nodes(p) | n.id], [r IN rels(p) | r.weight]";
    check(
        &format!("MATCH p = (a:Person)-[:Follows*2]->(b:Person {{id: 3}}) {nodes}"),
        &["[0,2,3]|[20,1]", "[1,2,3]|[5,1]"],
    );
    check(
        &format!("MATCH p = (b:Person {{id: 3}})<-[:Follows*2]-(a:Person) {nodes}"),
        &["[3,2,0]|[1,20]", "[3,2,1]|[1,5]"],
    );
    check(
        &format!("MATCH p = (a:Person {{id: 3}})<-[:Follows* SHORTEST]-(b:Person {{id: 0}}) {nodes}"),
        &["[3,2,0]|[1,20]"],
    );
    check(
        "MATCH (a:Person)-[e:Follows*3]->(b:Person {id: 3}) RETURN [n IN nodes(e) | n.id], a.id",
        &["[1,2]|0"],
    );
}

#[test]
fn bounds_and_costs_of_weighted_paths() {
    let pattern = |bounds: &str| {
        format!("MATCH (a:Person {{id: 0}})-[e:Follows* WSHORTEST(weight){bounds}]->(b:Person {{id: 3}})")
    };
    check(&format!("{} RETURN cost(e), length(e)", pattern("")), &["11.0|3"]);
    // A bound cuts the cheapest path off; the best of what is left is found.
    check(&format!("{} RETURN cost(e), length(e)", pattern(" 1..2")), &["21.0|2"]);
    check(&format!("{} RETURN cost(e), length(e)", pattern(" 1..1")), &[]);
    check(
        "MATCH (a:Person {id: 0})-[e:Follows* WSHORTEST(weight) 1..2]->(b:Person) RETURN b.id, cost(e)",
        &["1|5.0", "2|10.0", "3|21.0"],
    );
    check(
        "MATCH (a:Person {id: 0})-[e:Follows* WSHORTEST(weight) 0..2]->(b:Person) RETURN sum(cost(e))",
        &["36.0"],
    );
    check(
        "MATCH (a:Person {id: 0})-[e:Follows* WSHORTEST(weight)]->(b:Person) WITH e, b WHERE cost(e) > 5 RETURN b.id, cost(e) ORDER BY cost(e) DESC",
        &["3|11.0", "2|10.0"],
    );
    check(
        "MATCH (a:Person {id: 0})-[e:Follows* WSHORTEST(weight)]->(b:Person) WITH b, e ORDER BY cost(e) LIMIT 2 RETURN b.id, cost(e), length(e)",
        &["1|5.0|1", "2|10.0|2"],
    );
}

#[test]
fn lists_of_relationships_have_a_length_behind_every_boundary() {
    check("MATCH (a:Person)-[r:Follows]->(b:Person) WITH collect(r) AS all RETURN size(all)", &["4"]);
    check(
        "MATCH (a:Person {id: 0})-[e:Follows*1..2]->(b:Person) WITH DISTINCT e RETURN length(e)",
        &["1", "1", "2", "2"],
    );
    check(
        "MATCH (a:Person {id: 0})-[e:Follows*1..2]->(b:Person) WITH e, count(*) AS n RETURN length(e), size(rels(e)), n",
        &["1|1|1", "1|1|1", "2|2|1", "2|2|1"],
    );
    check(
        "MATCH p = (a:Person {id: 0})-[:Follows*1..2]->(b:Person {id: 3}) WITH p LIMIT 1 RETURN length(p)",
        &["2"],
    );
}

#[test]
fn costs_that_cannot_be_added_are_errors() {
    use crate::executor::{QueryContext, execute};
    use crate::transaction::ReadTransaction;
    let graph = Graph::new(&persons(), &[]);
    graph.load_edges("Follows", &[(0, 1, -5)]);
    let plan = graph
        .plan("MATCH (a:Person {id: 0})-[e:Follows* WSHORTEST(weight)]->(b:Person) RETURN cost(e)", PLAIN);
    let query = QueryContext::new(ReadTransaction::over(graph.engine.snapshot()));
    let error = execute(&plan, &query).err().map(|error| error.to_string());
    assert_eq!(
        error.as_deref(),
        Some("a relationship on a weighted path costs -5; costs must not be negative or NaN")
    );
}

#[test]
fn conditions_on_all_of_a_path_are_part_of_the_search() {
    let how = |dialect| How { dialect, ..PLAIN };
    let rows = |text: &str, dialect| line().rows(text, how(dialect));
    let ends = "(a:Person {id: 0})-[:Follows*]->(b:Person {id: 3})";
    let nodes = "RETURN [n IN nodes(p) | n.id]";
    let dear = "all(r IN relationships(p) WHERE r.weight < 10)";
    // The shortest path is dear; the next one is not.
    let function = format!("MATCH p = shortestPath({ends}) WHERE {dear} {nodes}");
    assert_eq!(rows(&function, Dialect::OpenCypher), ["[0,1,2,3]"]);
    let keyword = format!(
        "MATCH p = (a:Person {{id: 0}})-[:Follows* SHORTEST 1..9]->(b:Person {{id: 3}}) WHERE {dear} {nodes}"
    );
    assert_eq!(rows(&keyword, Dialect::Kuzu), Vec::<String>::new());
    let through = |condition: &str| format!("MATCH p = allShortestPaths({ends}) WHERE {condition} {nodes}");
    assert_eq!(rows(&through("none(n IN nodes(p) WHERE n.id = 1)"), Dialect::OpenCypher), ["[0,2,3]"]);
    assert_eq!(
        rows(&through("all(n IN nodes(p) WHERE n.id <> 2)"), Dialect::OpenCypher),
        Vec::<String>::new()
    );
    assert_eq!(
        rows(&through("none(n IN nodes(p) WHERE n.age = 30)"), Dialect::OpenCypher),
        Vec::<String>::new()
    );
    let all = format!("MATCH p = {ends} WHERE {dear} {nodes}");
    assert_eq!(rows(&all, Dialect::OpenCypher), ["[0,1,2,3]"]);
    let other = format!("MATCH p = {ends} WHERE all(r IN relationships(p) WHERE r.weight > a.age) {nodes}");
    assert_eq!(rows(&other, Dialect::OpenCypher), ["[0,1,2,3]", "[0,2,3]"]);
    let inside =
        "MATCH p = (a:Person {id: 0})-[:Follows* 1..3 (r, n | WHERE n.age > a.age + 10)]->(b:Person {id: 3})";
    assert_eq!(rows(&format!("{inside} {nodes}"), Dialect::Kuzu), ["[0,2,3]"]);
}

#[test]
fn functions_of_paths() {
    let path = "MATCH p = (a:Person {id: 0})-[e:Follows* 2..3]->(b:Person {id: 3})";
    check(
        &format!("{path} RETURN properties(nodes(p), 'id'), properties(rels(p), 'weight')"),
        &["[0,1,2,3]|[5,5,1]", "[0,2,3]|[20,1]"],
    );
    check(
        &format!("{path} RETURN is_trail(p), is_acyclic(p), is_trail(e)"),
        &["true|true|true", "true|true|true"],
    );
    let graph = Graph::new(&persons(), &[]);
    graph.load_edges("Follows", &[(0, 1, 1), (1, 0, 1)]);
    let how = How { dialect: Dialect::Kuzu, ..PLAIN };
    let walk = "MATCH p = (a:Person {id: 0})-[e:Follows*3..3]->(b:Person) RETURN is_trail(p), is_acyclic(p)";
    assert_eq!(graph.rows(walk, how), ["false|false"]);
    let trail =
        "MATCH p = (a:Person {id: 0})-[e:Follows* TRAIL 2..3]->(b:Person) RETURN is_trail(p), is_acyclic(p)";
    assert_eq!(graph.rows(trail, how), ["true|false"]);
}

/// Every person follows every other.
fn dense(persons: i64) -> Graph {
    let all: Vec<Person> = (0..persons).map(|id| (id, Some(id), "x")).collect();
    let graph = Graph::new(&all, &[]);
    let everyone = 0..persons as usize;
    let edges: Vec<Edge> = everyone
        .clone()
        .flat_map(|a| everyone.clone().map(move |b| (a, b, 1 + (a * 7 + b) as i64 % 5)))
        .collect();
    graph.load_edges("Follows", &edges);
    graph
}

#[test]
fn endless_enumerations_stop_when_they_are_told_to() {
    use crate::executor::{ExecutionError, QueryContext, execute};
    use crate::transaction::ReadTransaction;
    use std::time::{Duration, Instant};
    let graph = dense(40);
    let from = "(a:Person {id: 0})";
    for text in [
        format!("MATCH {from}-[:Follows*]->(b:Person) RETURN count(*)"),
        format!("MATCH {from}-[:Follows* ACYCLIC]->(b:Person) WHERE b.id < 0 RETURN b.id"),
        format!("MATCH p = {from}-[:Follows* WALK 1..30]->(b:Person {{id: 3}}) RETURN count(p)"),
        "MATCH (a:Person)-[:Follows*3..9]->(b:Person) RETURN count(DISTINCT b.id)".to_owned(),
    ] {
        for threads in [1, 2] {
            let plan = graph.plan(&text, PLAIN);
            let mut query = QueryContext::new(ReadTransaction::over(graph.engine.snapshot()));
            query.threads = threads;
            query.vector_size = 256;
            let begin = Instant::now();
            query.deadline = Some((begin + Duration::from_millis(100), 100));
            let outcome = execute(&plan, &query).map(|_| ());
            assert!(matches!(outcome, Err(ExecutionError::TimedOut { .. })), "{text}: {outcome:?}");
            // 50 ms in a quiet release build; a test machine may be busy.
            assert!(begin.elapsed() < Duration::from_secs(3), "{text} took {:?}", begin.elapsed());
        }
    }
}

#[test]
fn enumerations_stream() {
    let graph = dense(12);
    let rows = graph.rows("MATCH (a:Person {id: 0})-[:Follows*]->(b:Person) RETURN 1 LIMIT 5", PLAIN);
    assert_eq!(rows, ["1"; 5]);
    let counted =
        graph.counter("MATCH (a:Person {id: 0})-[:Follows*]->(b:Person) RETURN 1 LIMIT 5", "nodes_expanded");
    assert!(counted < 4000, "{counted} nodes for five rows");
    // Ways that cannot come to the end in time are not followed.
    let line: Vec<Edge> = (0..9).map(|at| (at, at + 1, 1)).chain((1..9).map(|at| (at, 10 + at, 1))).collect();
    let all: Vec<Person> = (0..20).map(|id| (id, None, "x")).collect();
    let graph = Graph::new(&all, &[]);
    graph.load_edges("Follows", &line);
    let pair = "MATCH (a:Person {id: 0})-[:Follows*1..9]->(b:Person {id: 9}) RETURN count(*)";
    assert_eq!(graph.rows(pair, PLAIN), ["1"]);
    assert_eq!(graph.counter(pair, "nodes_expanded"), 9);
    let too_far = "MATCH (a:Person {id: 0})-[:Follows*1..8]->(b:Person {id: 9}) RETURN count(*)";
    assert_eq!(graph.counter(too_far, "nodes_expanded"), 1);
}

#[test]
fn shortest_paths_are_values() {
    let both = "MATCH (a:Person {id: 0}), (b:Person {id: 3})";
    check(&format!("{both} RETURN length(shortestPath((a)-[:Follows*]->(b)))"), &["2"]);
    check(&format!("{both} RETURN length(shortestPath((b)-[:Follows*]->(a)))"), &["NULL"]);
    check(&format!("{both} RETURN [n IN nodes(shortestPath((a)-[:Follows*]->(b))) | n.id]"), &["[0,2,3]"]);
    check(&format!("{both} WITH shortestPath((a)-[:Follows*]->(b)) AS p RETURN length(p)"), &["2"]);
    check(&format!("{both} RETURN size(allShortestPaths((a)-[:Follows*]->(b)))"), &["1"]);
    check(
        "MATCH (a:Person {id: 0}), (b:Person) WHERE length(shortestPath((a)-[:Follows*..1]->(b))) = 1 RETURN b.id",
        &["1", "2"],
    );
}
