//! Factorized counts against plain enumeration, on random graphs with loops, 2-cycles and parallel edges.

use proptest::prelude::*;

use super::graph::{Edge, Graph, How, PLAIN, Person};
use crate::catalog::Dialect;

const NAMES: [&str; 3] = ["x", "y", "z"];

/// One step of a path pattern: relationship type (0 Follows, 1 Likes) and whether it points forward.
type Hop = (usize, bool);

fn text(hops: &[Hop], ages: &[Option<i64>], different: bool, result: &str) -> String {
    let mut pattern = "(v0:Person)".to_owned();
    for (at, (kind, forward)) in hops.iter().enumerate() {
        let name = ["Follows", "Likes"][*kind];
        let (left, right) = if *forward { ("-", "->") } else { ("<-", "-") };
        pattern += &format!("{left}[:{name}]{right}(v{}:Person)", at + 1);
    }
    let mut conditions: Vec<String> =
        ages.iter().enumerate().filter_map(|(at, age)| age.map(|age| format!("v{at}.age < {age}"))).collect();
    if different {
        conditions.push(format!("id(v0) <> id(v{})", hops.len()));
    }
    let condition =
        if conditions.is_empty() { String::new() } else { format!(" WHERE {}", conditions.join(" AND ")) };
    format!("MATCH {pattern}{condition} RETURN {result}")
}

/// All matches as lists of nodes, one entry per combination of relationships.
fn matches(
    persons: &[Person],
    edges: [&[Edge]; 2],
    hops: &[Hop],
    ages: &[Option<i64>],
    different: bool,
    trail: bool,
) -> Vec<Vec<usize>> {
    let admits =
        |at: usize, node: usize| ages[at].is_none_or(|most| persons[node].1.is_some_and(|age| age < most));
    let starts = (0..persons.len()).filter(|node| admits(0, *node));
    // The nodes of a match, and its relationships as (kind, number).
    type Match = (Vec<usize>, Vec<(usize, usize)>);
    let mut found: Vec<Match> = starts.map(|node| (vec![node], Vec::new())).collect();
    for (at, (kind, forward)) in hops.iter().enumerate() {
        let mut longer = Vec::new();
        for (nodes, used) in &found {
            for (number, (from, to, _)) in edges[*kind].iter().enumerate() {
                let (from, to) = if *forward { (*from, *to) } else { (*to, *from) };
                let repeats = trail && used.contains(&(*kind, number));
                if nodes.last() == Some(&from) && admits(at + 1, to) && !repeats {
                    longer.push((
                        [nodes.as_slice(), &[to]].concat(),
                        [used.as_slice(), &[(*kind, number)]].concat(),
                    ));
                }
            }
        }
        found = longer;
    }
    let nodes = found.into_iter().map(|(nodes, _)| nodes);
    nodes.filter(|nodes| !different || nodes.first() != nodes.last()).collect()
}

fn edges() -> impl Strategy<Value = Vec<Edge>> {
    prop::collection::vec((0..6usize, 0..6usize, 0..10i64), 0..14)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, ..ProptestConfig::default() })]

    #[test]
    fn counts_equal_enumeration(
        follows in edges(),
        more in edges(),
        likes in edges(),
        ages in prop::collection::vec(prop::option::weighted(0.8, 0..60i64), 6),
        hops in prop::collection::vec((0..2usize, any::<bool>()), 1..4),
        bounds in prop::collection::vec(prop::option::weighted(0.4, 10..60i64), 4),
        different in any::<bool>(),
        small in any::<bool>(),
        padded in any::<bool>(),
    ) {
        let mut persons: Vec<Person> =
            ages.iter().enumerate().map(|(at, age)| (at as i64 * 10, *age, NAMES[at % 3])).collect();
        if padded {
            // Among many persons without an edge, those that match are few enough to push from.
            persons.extend((0..150).map(|at| (1000 + at, None, "x")));
        }
        let graph = Graph::new(&persons, &[]);
        graph.load_edges("Follows", &follows);
        graph.load_edges("Likes", &likes);
        // A second load adds runs to the same groups.
        if !more.is_empty() {
            graph.load_edges("Follows", &more);
        }
        let follows: Vec<Edge> = follows.into_iter().chain(more).collect();
        let bounds = &bounds[..hops.len() + 1];
        for dialect in [Dialect::OpenCypher, Dialect::Kuzu] {
            let how = How { dialect, vector_size: if small { 3 } else { 2048 }, ..PLAIN };
            let trail = dialect == Dialect::OpenCypher;
            let expected = matches(&persons, [&follows, &likes], &hops, bounds, different, trail);
            let ask = |result: &str| {
                let text = text(&hops, bounds, different, result);
                let rows = graph.rows(&text, how);
                (text, rows)
            };
            let (query, rows) = ask("count(*)");
            prop_assert_eq!(rows, [expected.len().to_string()], "{} {:?}", query, dialect);
            let (query, rows) = ask("v0.id");
            let mut ids: Vec<String> = expected.iter().map(|nodes| (nodes[0] * 10).to_string()).collect();
            ids.sort();
            prop_assert_eq!(rows, ids, "{} {:?}", query, dialect);
            let last = hops.len();
            let (query, rows) = ask(&format!("v{last}.name, count(*), sum(v{last}.age)"));
            let mut grouped = Vec::new();
            for name in NAMES {
                let ends: Vec<usize> =
                    expected.iter().map(|nodes| nodes[last]).filter(|node| persons[*node].2 == name).collect();
                if !ends.is_empty() {
                    let known: Vec<i64> = ends.iter().filter_map(|node| persons[*node].1).collect();
                    // A sum over nothing is 0 in openCypher and NULL in Kuzu.
                    let sum = match known.iter().sum::<i64>() {
                        0 if known.is_empty() && !trail => "NULL".to_owned(),
                        sum => sum.to_string(),
                    };
                    grouped.push(format!("{name}|{}|{sum}", ends.len()));
                }
            }
            grouped.sort();
            prop_assert_eq!(rows, grouped, "{} {:?}", query, dialect);
            let (query, rows) = ask(&format!("count(DISTINCT v{last}.id), min(v0.age)"));
            let mut ends: Vec<usize> = expected.iter().map(|nodes| nodes[last]).collect();
            ends.sort_unstable();
            ends.dedup();
            let least = expected.iter().filter_map(|nodes| persons[nodes[0]].1).min();
            let least = least.map_or("NULL".to_owned(), |age| age.to_string());
            prop_assert_eq!(rows, [format!("{}|{least}", ends.len())], "{} {:?}", query, dialect);
        }
    }
}

/// Triangles: three edges of one type between a, b and c, whatever their direction.
fn triangles(edges: &[Edge], shape: [bool; 3], trail: bool) -> usize {
    let ends = |at: usize, forward: bool| {
        let (from, to, _) = edges[at];
        if forward { (from, to) } else { (to, from) }
    };
    let mut found = 0;
    for first in 0..edges.len() {
        for second in 0..edges.len() {
            for third in 0..edges.len() {
                let ((a, b), (b2, c), (a2, c2)) =
                    (ends(first, shape[0]), ends(second, shape[1]), ends(third, shape[2]));
                let repeats = first == second || second == third || first == third;
                found += usize::from(a == a2 && b == b2 && c == c2 && !(trail && repeats));
            }
        }
    }
    found
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, ..ProptestConfig::default() })]

    #[test]
    fn triangles_equal_enumeration(
        edges in prop::collection::vec((0..4usize, 0..4usize, 0..10i64), 0..12),
        shape in any::<[bool; 3]>(),
    ) {
        let persons: Vec<Person> = (0..4).map(|at| (at, Some(at), "x")).collect();
        let graph = Graph::new(&persons, &[]);
        graph.load_edges("Follows", &edges);
        let arrow = |forward: bool| if forward { ("-", "->") } else { ("<-", "-") };
        let step = |forward: bool| format!("{}[:Follows]{}", arrow(forward).0, arrow(forward).1);
        let text = format!(
            "MATCH (a:Person){}(b:Person){}(c:Person), (a){}(c) RETURN count(*)",
            step(shape[0]), step(shape[1]), step(shape[2])
        );
        for dialect in [Dialect::OpenCypher, Dialect::Kuzu] {
            let expected = triangles(&edges, shape, dialect == Dialect::OpenCypher);
            let rows = graph.rows(&text, How { dialect, ..PLAIN });
            prop_assert_eq!(rows, [expected.to_string()], "{} {:?}", text, dialect);
        }
    }
}

/// The lengths of all trails between two nodes, by walking them.
fn trail_lengths(edges: &[Edge], both_ways: bool, from: usize, to: usize, most: usize) -> Vec<usize> {
    let mut lengths = Vec::new();
    let mut open = vec![(from, Vec::new())];
    while let Some((at, used)) = open.pop() {
        if !used.is_empty() && at == to {
            lengths.push(used.len());
        }
        if used.len() == most {
            continue;
        }
        for (number, (source, target, _)) in
            edges.iter().enumerate().filter(|(number, _)| !used.contains(number))
        {
            let ahead = (*source == at).then_some(*target);
            let back = (both_ways && *target == at && source != target).then_some(*source);
            for next in [ahead, back].into_iter().flatten() {
                let mut longer: Vec<usize> = used.clone();
                longer.push(number);
                open.push((next, longer));
            }
        }
    }
    lengths.sort_unstable();
    lengths
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, ..ProptestConfig::default() })]

    #[test]
    fn searches_equal_enumeration(
        edges in prop::collection::vec((0..5usize, 0..5usize, 0..10i64), 1..8),
        both_ways in any::<bool>(),
        most in 1..6usize,
        small in any::<bool>(),
    ) {
        let persons: Vec<Person> = (0..5).map(|at| (at, Some(at), "x")).collect();
        let graph = Graph::new(&persons, &[]);
        graph.load_edges("Follows", &edges);
        let how = How { vector_size: if small { 3 } else { 2048 }, ..PLAIN };
        let end = if both_ways { "-" } else { "->" };
        for from in 0..5 {
            let lengths: Vec<Vec<usize>> =
                (0..5).map(|to| trail_lengths(&edges, both_ways, from, to, most)).collect();
            let ask = |mode: &str, result: &str| {
                let text = format!("MATCH p = (a:Person {{id: {from}}})-[:Follows*{mode} 1..{most}]{end}(b:Person) {result}");
                let rows = graph.rows(&text, how);
                (text, rows)
            };
            let every = |row: &dyn Fn(usize, &[usize]) -> Vec<String>| {
                let mut rows: Vec<String> = (0..5).flat_map(|to| row(to, &lengths[to])).collect();
                rows.sort();
                rows
            };
            let (text, rows) = ask("", "RETURN b.id");
            prop_assert_eq!(rows, every(&|to, lengths| vec![to.to_string(); lengths.len()]), "{}", text);
            let (text, rows) = ask("", "RETURN DISTINCT b.id");
            prop_assert_eq!(rows, every(&|to, lengths| lengths.iter().take(1).map(|_| to.to_string()).collect()), "{}", text);
            let shortest = |to: usize, lengths: &[usize]| -> Vec<String> {
                let least = lengths.iter().filter(|length| Some(*length) == lengths.first()).count();
                if to == from || least == 0 { Vec::new() } else { vec![format!("{to}|{}|{least}", lengths[0])] }
            };
            let (text, rows) = ask(" ALL SHORTEST", "WHERE a.id <> b.id RETURN b.id, length(p), count(*)");
            prop_assert_eq!(rows, every(&shortest), "{}", text);
            let (text, rows) = ask(" ALL SHORTEST", "WHERE a.id <> b.id WITH b.id AS id, length(p) AS hops, nodes(p) AS n RETURN id, hops, count(n)");
            prop_assert_eq!(rows, every(&shortest), "{}", text);
        }
    }
}

/// A step of a path: relationship type, and whether it points forward or, if not known, either way.
type Way = (usize, Option<bool>);

/// A match of a path: its nodes, and its relationships as (type, number).
type Walk = (Vec<usize>, Vec<(usize, usize)>);

fn walks(persons: usize, edges: [&[Edge]; 2], ways: &[Way], trail: bool) -> Vec<Walk> {
    let mut found: Vec<Walk> = (0..persons).map(|node| (vec![node], Vec::new())).collect();
    for (kind, forward) in ways {
        let mut longer = Vec::new();
        for (nodes, used) in &found {
            for (number, (source, target, _)) in edges[*kind].iter().enumerate() {
                if trail && used.contains(&(*kind, number)) {
                    continue;
                }
                let ahead = (*forward != Some(false) && nodes.last() == Some(source)).then_some(*target);
                let loops = forward.is_none() && source == target;
                let back =
                    (*forward != Some(true) && !loops && nodes.last() == Some(target)).then_some(*source);
                for next in [ahead, back].into_iter().flatten() {
                    longer.push((
                        [nodes.as_slice(), &[next]].concat(),
                        [used.as_slice(), &[(*kind, number)]].concat(),
                    ));
                }
            }
        }
        found = longer;
    }
    found
}

fn way() -> impl Strategy<Value = Way> {
    (0..2usize, prop::option::weighted(0.8, any::<bool>()))
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

    /// Conjuncts on relationships, a comparison of two of them, and aggregates over several variables.
    #[test]
    fn relationships_compare_as_in_enumeration(
        follows in edges(),
        more in edges(),
        likes in edges(),
        ages in prop::collection::vec(prop::option::weighted(0.8, 0..60i64), 6),
        ways in prop::collection::vec(way(), 1..4),
        bounds in prop::collection::vec(prop::option::weighted(0.3, 2..9i64), 3),
        compared in prop::option::weighted(0.8, 0..6usize),
        first in 0..2usize,
        small in any::<bool>(),
    ) {
        let persons: Vec<Person> =
            ages.iter().enumerate().map(|(at, age)| (at as i64 * 10, *age, NAMES[at % 3])).collect();
        let graph = Graph::new(&persons, &[]);
        graph.load_edges("Follows", &follows);
        graph.load_edges("Likes", &likes);
        if !more.is_empty() {
            graph.load_edges("Follows", &more);
        }
        let follows: Vec<Edge> = follows.into_iter().chain(more).collect();
        let edges = [follows.as_slice(), likes.as_slice()];
        let weight = |(kind, number): (usize, usize)| edges[kind][number].2;

        let last = ways.len() - 1;
        let mut pattern = "(v0:Person)".to_owned();
        let mut conditions = Vec::new();
        for (at, (kind, forward)) in ways.iter().enumerate() {
            let (left, right) = match forward {
                Some(true) => ("-", "->"),
                Some(false) => ("<-", "-"),
                None => ("-", "-"),
            };
            let name = ["Follows", "Likes"][*kind];
            pattern += &format!("{left}[e{at}:{name}]{right}(v{}:Person)", at + 1);
            conditions.extend(bounds[at].map(|most| format!("e{at}.weight < {most}")));
        }
        let first = first.min(last);
        let compared = compared.filter(|_| first < last);
        if let Some(op) = compared {
            let op = ["<", "<=", ">", ">=", "=", "<>"][op];
            conditions.push(format!("e{first}.weight {op} e{last}.weight"));
        }
        let condition =
            if conditions.is_empty() { String::new() } else { format!(" WHERE {}", conditions.join(" AND ")) };
        for dialect in [Dialect::OpenCypher, Dialect::Kuzu] {
            let how = How { dialect, vector_size: if small { 3 } else { 2048 }, ..PLAIN };
            let trail = dialect == Dialect::OpenCypher;
            let mut expected = walks(persons.len(), edges, &ways, trail);
            expected.retain(|(_, used)| {
                let bounded = |(edge, most): (&(usize, usize), &Option<i64>)| {
                    most.is_none_or(|most| weight(*edge) < most)
                };
                let (x, y) = (weight(used[first]), weight(used[last]));
                let ordered = match compared {
                    None => true,
                    Some(op) => [x < y, x <= y, x > y, x >= y, x == y, x != y][op],
                };
                ordered && used.iter().zip(&bounds).all(bounded)
            });
            let ask = |result: &str| {
                let text = format!("MATCH {pattern}{condition} RETURN {result}");
                let rows = graph.rows(&text, how);
                (text, rows)
            };
            // A sum over nothing is 0 in openCypher and NULL in Kuzu.
            let sum = |values: Vec<i64>| match values.is_empty() && !trail {
                true => "NULL".to_owned(),
                false => values.iter().sum::<i64>().to_string(),
            };
            let (text, rows) = ask("count(*)");
            prop_assert_eq!(rows, [expected.len().to_string()], "{} {:?}", text, dialect);
            let (text, rows) = ask(&format!("sum(e{first}.weight), count(*)"));
            let weights = sum(expected.iter().map(|(_, used)| weight(used[first])).collect());
            prop_assert_eq!(rows, [format!("{weights}|{}", expected.len())], "{} {:?}", text, dialect);
            let end = last + 1;
            let (text, rows) = ask(&format!("v{end}.name, count(*)"));
            let mut grouped = Vec::new();
            for name in NAMES {
                let matches = expected.iter().filter(|(nodes, _)| persons[nodes[end]].2 == name).count();
                grouped.extend((matches > 0).then(|| format!("{name}|{matches}")));
            }
            prop_assert_eq!(rows, grouped, "{} {:?}", text, dialect);
            let (text, rows) = ask(&format!("min(v0.age), count(*), sum(v{end}.age), max(v1.name)"));
            let age = |(nodes, _): &Walk, at: usize| persons[nodes[at]].1;
            let least = expected.iter().filter_map(|walk| age(walk, 0)).min();
            let least = least.map_or("NULL".to_owned(), |age| age.to_string());
            let total = sum(expected.iter().filter_map(|walk| age(walk, end)).collect());
            let name = expected.iter().map(|(nodes, _)| persons[nodes[1]].2).max().unwrap_or("NULL");
            let row = format!("{least}|{}|{total}|{name}", expected.len());
            prop_assert_eq!(rows, [row], "{} {:?}", text, dialect);
        }
    }
}

#[test]
fn comparisons_across_a_node_are_counted_in_order() {
    let persons: Vec<Person> = (0..40).map(|at| (at, Some(at), "x")).collect();
    let graph = Graph::new(&persons, &[]);
    let edges: Vec<Edge> =
        (0..400).map(|at| (at * 7 % 40, (at * 11 + at / 40) % 40, (at * 13 % 17) as i64)).collect();
    graph.load_edges("Follows", &edges);
    let text = "MATCH (a:Person)-[x:Follows]->(b:Person)-[y:Follows]->(c:Person) WHERE x.weight < y.weight \
                RETURN count(*), sum(x.weight)";
    let pairs = edges.iter().flat_map(|x| edges.iter().filter(|y| x.1 == y.0 && x.2 < y.2).map(move |_| x.2));
    let expected = format!("{}|{}", pairs.clone().count(), pairs.sum::<i64>());
    assert_eq!(graph.rows(text, PLAIN), [expected]);
    assert!(graph.counter(text, "rows_counted_in_order") > 0);
    let apart =
        "MATCH (a:Person)-[:Follows]->(b:Person)-[:Follows]->(c:Person) RETURN min(a.age), max(c.age)";
    assert_eq!(graph.counter(apart, "rows_materialized"), 0);
    let scanned = "MATCH (a:Person)-[x:Follows]->(b:Person) WHERE x.weight < 9 RETURN b.id, count(*)";
    assert!(graph.counter(scanned, "rels_scattered") > 0);
}
