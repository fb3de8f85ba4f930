//! Expressions and the functions of nodes, relationships and paths.

use super::{check, check_kuzu, social};
use crate::binder::describe::describe;
use crate::catalog::Dialect;

/// The meaning of one expression over two people who know each other.
#[track_caller]
fn check_value(expression: &str, expected: &str) {
    check_value_in(Dialect::OpenCypher, expression, expected);
}

#[track_caller]
fn check_value_in(dialect: Dialect, expression: &str, expected: &str) {
    let text = format!("MATCH p = (a:Person)-[r:Knows]->(b)-[x]->(c) RETURN {expression} AS v");
    let catalog = social();
    let bound = super::bind_text(&text, &catalog, dialect).unwrap_or_else(|error| panic!("{text}: {error}"));
    let described = describe(&bound, &catalog);
    let (_, item) = described.split_once("; RETURN ").unwrap();
    let (value, data_type) = item.split_once(" AS v => v ").unwrap();
    assert_eq!(format!("{value} {data_type}"), expected, "{text}");
}

#[test]
fn properties_are_columns_of_tables() {
    check_value("a.name", "a.name STRING");
    check_value("c.name", "c.name STRING");
    check_value("c.id", "c.id ANY");
    check_value("x.weight", "x.weight DOUBLE");
    check_value("a['age']", "a.age INT32");
    check_value("a.born.year", "date_part('year', a.born) INT64");
    check_value("a.name STARTS WITH 'x'", "(a.name STARTS WITH 'x') BOOL");
    check_value("a.name STARTS WITH 1", "NULL NULL");
}

#[test]
fn entity_functions_are_rewritten() {
    check_value("id(a)", "id(a) INTERNAL_ID");
    check_value("label(c)", "label(c) STRING");
    check_value("labels(c)", "labels(c) STRING[]");
    check_value("type(x)", "label(x) STRING");
    check_value("startNode(r)", "a NODE");
    check_value("endNode(r).name", "b.name STRING");
    check_value("length(p)", "length(p) INT64");
    check_value("nodes(p)", "nodes(p) NODE[]");
    check_value("relationships(p)", "rels(p) REL[]");
    check_value("r.since IS NOT NULL AND exists(a.name)", "(notnull(r.since) and notnull(a.name)) BOOL");
    check_value("properties(r)", "properties(r) STRUCT(since INT64)");
    check_value(
        "properties(c)",
        " properties(id(c), 'id', c.id, 'name', c.name, 'age', c.age, 'born', c.born, 'tags', c.tags, 'score', c.score, \
         'place', c.place, 'text', c.text) ANY",
    );
    check_kuzu(
        "MATCH (n:Person) RETURN labels(n)",
        "MATCH n{Person}; RETURN label(n) AS labels(n) => labels(n) STRING",
    );
    check(
        "MATCH (a:Person)-[r:Knows]->(b) WITH r RETURN startNode(r)",
        "MATCH a{Person} b{Person} a-[r!:Knows]->b; WITH r; RETURN start(r) AS startNode(r) => startNode(r) NODE",
    );
}

#[test]
fn entities_are_compared_by_id() {
    check_value("a <> b", "(id(a) <> id(b)) BOOL");
    check_value("r = x", "(id(r) = id(x)) BOOL");
    check_value("c:City|Post", "c:City|Post BOOL");
    check_value("x:Likes", "x:Likes|Likes BOOL");
}

#[test]
fn comparisons_chain_and_constants_adapt() {
    check_value("1 < a.age <= 3", "((1i32 < a.age) and (a.age <= 3i32)) BOOL");
    check_value("a.score > 3", "(a.score > 3.0) BOOL");
    check_value("a.age IN [1, 2]", "(a.age IN [1i32, 2i32]) BOOL");
    check_value("a.age = $i", "(INT64(a.age) = $i) BOOL");
    check_value("NOT a.id = 3", "not((a.id = 3)) BOOL");
}

#[test]
fn literals_have_one_element_type() {
    check_value("[1, 2]", "[1, 2] INT64[]");
    check_value("[1, 'a', null]", "[1, 'a', NULL] ANY[]");
    check_value("{a: 1, b: 'x'}", "{a: 1, b: 'x'} STRUCT(a INT64, b STRING)");
    check_value("{a: 1}.b", "NULL NULL");
    check_value("null.b", "NULL NULL");
}

#[test]
fn case_takes_both_forms() {
    check_value("CASE a.age WHEN 1 THEN 'x' ELSE 'y' END", "case((a.age = 1i32): 'x', 'y') STRING");
    check_value("CASE WHEN a.age > 1 THEN 1 END", "case((a.age > 1i32): 1) INT64");
}

#[test]
fn list_expressions_have_their_own_variable() {
    check_value("[y IN $l WHERE y > 1 | y * 2]", "[y in $l where (y > 1) | (y * 2)] INT64[]");
    check_value("all(y IN $l WHERE y > 1)", "All(y in $l where (y > 1)) BOOL");
    check_value("[n IN nodes(p) | n.id]", "[n in nodes(p) | n.id] ANY[]");
}

#[test]
fn map_projections_are_structs() {
    check_value(
        "a {.name, double: a.age * 2, r}",
        "struct_pack(a.name, (INT64(a.age) * 2), r) STRUCT(name STRING, double INT64, r REL)",
    );
}
