//! Patterns so long that they are expected to have more rows than there are numbers: none of their parts gets lost, and
//! every estimate is a number.

mod support;

use support::World;

/// Twenty nodes that all lead to all, so that each step has twenty times the rows of the one before, and beside them two
/// nodes of which the second leads nowhere.
fn dense() -> World {
    let world = World::new("CREATE NODE TABLE N(id INT64 PRIMARY KEY); CREATE REL TABLE E(FROM N TO N)");
    let nodes: String = (0..20).map(|id| format!("{id}\n")).collect();
    world.copy("N", nodes + "1000\n1001\n", "").expect("nodes");
    let ends = (0..20).flat_map(|from| (0..20).map(move |to| (from, to)));
    let rels: String = ends.map(|(from, to)| format!("{from},{to}\n")).collect();
    world.copy("E", rels + "1000,1001\n", "").expect("relationships");
    world
}

/// A chain of relationships of such a length from the node that leads to one other.
fn chain(rels: usize, length: &str) -> String {
    let steps: String = (1..=rels).map(|at| format!("-[:E{length}]->(n{at}:N)")).collect();
    format!("(n0:N {{id: 1000}}){steps}")
}

/// Every line of a plan tells a finite estimate.
#[track_caller]
fn estimates_are_numbers(world: &World, text: &str) {
    let plan = world.rows(&format!("EXPLAIN {text}"));
    let told: Vec<f64> = plan
        .iter()
        .filter_map(|line| line.rsplit_once('~')?.1.split(' ').next())
        .map(|number| number.parse().expect("a number"))
        .collect();
    assert!(told.len() > 3 && told.iter().all(|estimate| estimate.is_finite()), "{told:?}");
}

#[track_caller]
fn check(world: &World, text: &str, expected: &[&str]) {
    world.check(text, expected);
    estimates_are_numbers(world, text);
}

#[test]
fn a_component_of_more_rows_than_there_are_numbers_is_counted() {
    check(&dense(), &format!("MATCH {} RETURN count(*)", chain(45, "*")), &["0"]);
}

#[test]
fn a_component_of_more_rows_than_there_are_numbers_is_asked_for() {
    let world = dense();
    let asked = |chain: String| format!("MATCH (z:N {{id: 5}}) WHERE EXISTS {{ MATCH {chain} }} RETURN z.id");
    check(&world, &asked(chain(45, "*1..10")), &[]);
    check(&world, &asked(chain(1, "*1..10")), &["5"]);
}

#[test]
fn a_component_of_more_rows_than_there_are_numbers_is_optional() {
    let chain = chain(45, "*1..10");
    let text = format!("MATCH (z:N {{id: 5}}) OPTIONAL MATCH {chain} RETURN z.id, count(n1)");
    check(&dense(), &text, &["5|0"]);
}

#[test]
fn a_component_of_more_rows_than_there_are_numbers_has_columns() {
    let world = dense();
    check(&world, &format!("MATCH {} RETURN n0.id", chain(45, "*")), &[]);
    check(&world, &format!("MATCH {} RETURN n0.id, n400.id", chain(400, "")), &[]);
}

#[test]
fn clauses_in_a_row_multiply_to_no_infinity() {
    let world = dense();
    let optional: String =
        (0..120).map(|at| format!("OPTIONAL MATCH (n{at})-[:E]->(n{}:N) ", at + 1)).collect();
    check(&world, &format!("MATCH (n0:N {{id: 1000}}) {optional} RETURN n1.id, n120.id"), &["1001|NULL"]);
    let unwound: String = (0..340).map(|at| format!("UNWIND [x{at}] AS x{} ", at + 1)).collect();
    let read = "MATCH (a:N {id: x340}) RETURN a.id";
    check(&world, &format!("UNWIND [5] AS x0 {unwound} {read}"), &["5"]);
    let listed: String =
        (0..120).map(|at| format!("UNWIND range(1, 1 + x{at} - x{at}) AS x{} ", at + 1)).collect();
    check(&world, &format!("UNWIND [5] AS x0 {listed} MATCH (a:N {{id: x120}}) RETURN a.id"), &["1"]);
}

/// Two thousand nodes with ten relationships each.
fn spread() -> World {
    let world = World::new("CREATE NODE TABLE N(id INT64 PRIMARY KEY); CREATE REL TABLE E(FROM N TO N)");
    world.copy("N", (0..2000).map(|id| format!("{id}\n")).collect::<String>(), "").expect("nodes");
    let ends = (0..2000).flat_map(|from| (0..10).map(move |at| (from, (from * 7 + at * 131 + 1) % 2000)));
    let rels: String = ends.map(|(from, to)| format!("{from},{to}\n")).collect();
    world.copy("E", rels, "").expect("relationships");
    world
}

fn hops(first: &str, rels: usize) -> String {
    let steps: String = (1..=rels).map(|at| format!("-[:E]->(n{at}:N)")).collect();
    format!("MATCH {first}{steps}")
}

fn has_join(world: &World, text: &str) -> bool {
    world.rows(&format!("EXPLAIN {text}")).iter().any(|line| line.contains("HashJoin"))
}

#[test]
fn few_rows_that_are_wanted_are_not_joined_from_halves() {
    let world = spread();
    for rels in [4, 6, 10] {
        let chain = hops("(n0:N)", rels);
        let ends = format!("RETURN n0.id, n{rels}.id");
        assert!(has_join(&world, &format!("{chain} {ends}")), "{rels} without LIMIT");
        for end in [
            format!("{ends} LIMIT 1"),
            format!("{ends} SKIP 5 LIMIT 20"),
            format!("WITH n0.id + n{rels}.id AS sum RETURN sum + 1 LIMIT 7"),
            format!("OPTIONAL MATCH (n{rels})-[:E]->(m) {ends}, m.id LIMIT 3"),
        ] {
            assert!(!has_join(&world, &format!("{chain} {end}")), "{chain} {end}");
        }
        // The rows of a small component are kept, and those of the chain come one after the other.
        let product = format!("{chain}, (other:N) {ends}, other.id LIMIT 1");
        assert!(!has_join(&world, &product), "{product}");
        assert_eq!(world.rows(&product).len(), 1, "{product}");
    }
}

/// What waits for all rows anyway is planned for all rows, and so is a LIMIT that all rows fit into.
#[test]
fn where_all_rows_are_wanted_halves_are_joined() {
    let world = spread();
    let chain = hops("(n0:N)", 4);
    for end in [
        "RETURN n0.id, n4.id ORDER BY n0.id + n4.id LIMIT 1",
        "RETURN n0.id, n4.id LIMIT 1000000000",
        "RETURN n0.id, n4.id SKIP 1000000000 LIMIT 1",
        "RETURN DISTINCT n0.id, n4.id LIMIT 1",
        "UNWIND [1, 2] AS x RETURN n0.id, n4.id, x LIMIT 1",
    ] {
        assert!(has_join(&world, &format!("{chain} {end}")), "{end}");
    }
}

#[test]
fn few_rows_that_are_wanted_are_found_by_few_steps() {
    let world = spread();
    for first in ["(n0:N)", "(n0:N {id: 7})"] {
        for rels in [3, 6, 10, 20] {
            let text = format!("{} RETURN n0.id, n{rels}.id LIMIT 1", hops(first, rels));
            let looked_at = looked_at(&world, &text);
            // A batch or two for each step.
            let most = 40_000 + 2 * 2048 * rels as u64;
            assert!(looked_at > 0 && looked_at <= most, "{text}: {looked_at}");
            assert_eq!(world.rows(&text).len(), 1, "{text}");
        }
    }
}

/// The sum over the lines of a profile that tell rows that were looked at.
#[track_caller]
fn looked_at(world: &World, text: &str) -> u64 {
    let lines = world.rows(&format!("PROFILE {text}"));
    let counted = |name: &str| {
        let line = lines.iter().find_map(|line| line.strip_prefix(&format!("{name}: ")));
        line.map_or(0, |number| number.parse::<u64>().expect("a number"))
    };
    counted("rows_scanned") + counted("rows_materialized")
}

/// The first way on goes back over the relationship that one came by: nothing is followed from there.
#[test]
fn rows_that_are_no_trails_are_not_followed() {
    let world = spread();
    let undirected = |rels: usize| hops("(n0:N)", rels).replace("->", "-");
    for rels in [6, 12] {
        let text = format!("{} RETURN n0.id, n{rels}.id LIMIT 1", undirected(rels));
        assert!(looked_at(&world, &text) < 400_000, "{text}: {}", looked_at(&world, &text));
        assert_eq!(world.rows(&text).len(), 1, "{text}");
    }
    // Among few nodes, too, chains soon come back to where they were.
    let text = format!("{} RETURN n0.id LIMIT 1", hops("(n0:N)", 24));
    assert_eq!(dense().rows(&text).len(), 1);
}

/// A LIMIT that no row is beyond leaves no row out and adds none, however the rows are found.
#[test]
fn what_a_limit_finds_is_what_there_is() {
    let world = World::new("CREATE NODE TABLE N(id INT64 PRIMARY KEY); CREATE REL TABLE E(FROM N TO N)");
    world.copy("N", "0\n1\n2\n3\n", "").expect("nodes");
    let ends = (0..4).flat_map(|from| (0..4).map(move |to| (from, to)));
    let rels: String = ends.map(|(from, to)| format!("{from},{to}\n")).collect();
    world.copy("E", rels + "0,1\n2,3\n", "").expect("relationships");
    let mut early = 0;
    for pattern in [
        "(a:N)-[:E]->(b:N)-[:E]->(c:N)-[:E]->(d:N)",
        "(a:N)-[:E]-(b:N)-[:E]-(c:N)-[:E]-(d:N)",
        "(a:N)-[:E]->(b:N)-[:E]->(c:N)-[:E]->(a), (c)-[:E]->(d:N)",
        "(a:N)-[:E]-(b:N)-[:E]-(c:N), (a)-[:E]-(d:N)-[:E]-(c)",
        "(a:N)-[:E*1..2]->(b:N)-[:E]->(c:N)-[:E]->(d:N)",
        "(a:N)-[:E]->(b:N), (c:N)-[:E]->(d:N)",
        "(a:N)-[:E]->(b:N)-[:E]->(c:N)-[:E]->(d:N)-[:E]->(x:N)-[:E]->(y:N)",
    ] {
        let all = format!("MATCH {pattern} RETURN a.id, b.id, c.id, d.id");
        let mut expected = world.rows(&all);
        let limited = format!("{all} LIMIT {}", expected.len());
        let checks = |text: &str| {
            let plan = world.rows(&format!("EXPLAIN {text}"));
            plan.iter().filter(|line| line.contains("DistinctRels")).count()
        };
        early += usize::from(checks(&limited) > checks(&all));
        let mut found = world.rows(&limited);
        expected.sort();
        found.sort();
        assert_eq!(found, expected, "{pattern}");
    }
    assert!(early >= 2, "patterns whose relationships are compared early: {early}");
}
