//! Mistakes: their kind and their place.

use super::{check_error, social};
use crate::binder::BindErrorKind::*;
use crate::binder::{BinderSettings, ParameterTypes, bind};
use crate::parser::parse_statement;

#[track_caller]
fn check_hint(text: &str, kind: crate::binder::BindErrorKind, at: &str, hint: &str) {
    assert_eq!(check_error(text, kind, at).hint.as_deref(), Some(hint), "{text}");
}

#[test]
fn unknown_names_have_suggestions() {
    check_hint("MATCH (person:Person) RETURN persn.name", UnknownVariable, "persn", "Did you mean person?");
    check_hint("MATCH (n:Persn) RETURN n", UnknownTable, "Persn", "Did you mean Person?");
    check_hint("MATCH (n:Knows) RETURN n", UnknownTable, "Knows", "Knows is a relationship table");
    check_hint("MATCH ()-[r:Know]->() RETURN r", UnknownTable, "Know", "Did you mean Knows?");
    check_hint("MATCH (n:Person) RETURN n.nmae", UnknownProperty, "nmae", "Did you mean name?");
    check_hint("MATCH (n:Person {nam: 1}) RETURN n", UnknownProperty, "nam", "Did you mean name?");
    check_hint(
        "MATCH (a:Person) WITH a.name AS n RETURN a",
        UnknownVariable,
        "a",
        "The last WITH does not pass it on",
    );
    check_hint("MATCH (n:Person) RETURN lowr(n.name)", UnknownFunction, "lowr", "Did you mean lower?");
    check_hint("RETURN coutn(*)", UnknownFunction, "coutn(*)", "Did you mean count?");
    check_hint("RETURN CAST(1 AS INTT64)", UnknownType, "INTT64", "Did you mean INT64?");
    check_error("RETURN {k1: k2} AS literal", UnknownVariable, "k2");
}

#[test]
fn variables_keep_their_kind() {
    check_error("MATCH (r) MATCH ()-[r]-() RETURN r", VariableConflict, "r");
    check_error("MATCH ()-[r]->() MATCH (r) RETURN r", VariableConflict, "r");
    check_error("MATCH p = ()-->() MATCH (p) RETURN p", VariableConflict, "p");
    check_error("MATCH (r)-[r]->() RETURN r", VariableConflict, "r");
    check_error("MATCH (a)-[r]->()-[r]->(a) RETURN r", RepeatedRelationship, "r");
    check_error("WITH 1 AS n MATCH (n) RETURN n", VariableConflict, "n");
    check_error("MATCH (n) WITH [n] AS users MATCH (users)-->(m) RETURN m", VariableConflict, "users");
    check_error("WITH 1 AS p MATCH p = ()-->() RETURN p", Redefinition, "p");
    check_error("WITH 1 AS x UNWIND [1] AS x RETURN x", Redefinition, "x");
}

#[test]
fn aggregates_have_their_places() {
    check_error("MATCH (a) WHERE count(a) > 10 RETURN a", InvalidAggregation, "count(a)");
    check_error("MATCH (n:Person) RETURN n.id ORDER BY max(n.age)", InvalidAggregation, "max(n.age)");
    check_error("RETURN count(count(*))", NestedAggregation, "count(*)");
    check_error("RETURN count(rand())", NonConstant, "rand()");
    check_error(
        "MATCH (me:Person)--(you:Person) RETURN me.age + count(you.age)",
        AmbiguousAggregation,
        "me.age",
    );
    check_error(
        "MATCH (me:Person)--(you:Person) RETURN me.age + you.age, me.age + you.age + count(*)",
        AmbiguousAggregation,
        "me.age",
    );
    check_error(
        "MATCH (me:Person)--(you:Person) RETURN me.age + you.age, count(*) AS cnt ORDER BY me.age + you.age + count(*)",
        AmbiguousAggregation,
        "me.age",
    );
    check_error(
        "MATCH (a:Person) WITH a.age % 3 AS mod, min(a.id) AS min ORDER BY sum(a.id) RETURN mod, min",
        UnknownVariable,
        "sum(a.id)",
    );
}

#[test]
fn projections_are_checked() {
    check_error("MATCH (a:Person) RETURN DISTINCT a.name ORDER BY a.age", UnknownVariable, "a.age");
    check_error("MATCH (a:Person) RETURN a.name, count(*) ORDER BY a.age", UnknownVariable, "a.age");
    check_error("MATCH (a:Person), (b:City) WITH a, b WITH a ORDER BY c RETURN a", UnknownVariable, "c");
    check_error("WITH 1 AS a, 2 AS a RETURN a", DuplicateColumn, "2 AS a");
    check_error("RETURN 1 AS a, 2 AS a", DuplicateColumn, "2 AS a");
    check_error("MATCH (a) WITH a, count(*) RETURN a", MissingAlias, "count(*)");
    check_error("MATCH () RETURN *", NoVariables, "*");
    check_error("MATCH (n:Person) RETURN n SKIP n.age", NonConstant, "n.age");
    check_error("MATCH (n:Person) RETURN n SKIP -1", NegativeInteger, "-1");
    check_error("MATCH (n:Person) RETURN n LIMIT 1.5", TypeMismatch, "1.5");
    check_error("MATCH (n:Person) RETURN n LIMIT 'a'", TypeMismatch, "'a'");
    check_error("RETURN 1 AS a UNION ALL RETURN 2 AS b", DifferentColumns, "UNION ALL RETURN 2 AS b");
    check_error(
        "RETURN 1 AS a UNION ALL RETURN 2 AS a UNION RETURN 3 AS a",
        InvalidClauses,
        "UNION RETURN 3 AS a",
    );
}

#[test]
fn types_are_checked() {
    check_error("MATCH (r) RETURN type(r)", TypeMismatch, "r");
    check_error("MATCH p = (a) RETURN labels(p) AS l", TypeMismatch, "p");
    check_error("MATCH (n) RETURN length(n)", TypeMismatch, "n");
    check_error("MATCH ()-[r]->() RETURN length(r)", TypeMismatch, "r");
    check_error("MATCH p = (a)-[*]->(b) RETURN size(p)", TypeMismatch, "p");
    check_error("RETURN properties(1)", TypeMismatch, "1");
    check_error("WITH 1 AS x RETURN x.num", TypeMismatch, "x.num");
    check_error("MATCH (n:Person) RETURN n.born.yaer", UnknownProperty, "yaer");
    check_error("RETURN 1 AND true", TypeMismatch, "1");
    check_error("RETURN NOT 'a'", TypeMismatch, "'a'");
    check_error("RETURN 1 IN 2", TypeMismatch, "2");
    check_error("MATCH (n:Person) WHERE n.age RETURN n", TypeMismatch, "n.age");
    check_error("RETURN 9223372036854775808", NumberOutOfRange, "9223372036854775808");
    check_error("RETURN [1, 2]['x']", TypeMismatch, "'x'");
    check_error("RETURN 1[0]", TypeMismatch, "1");
    check_error("RETURN 1 + true", WrongArguments, "1 + true");
    check_error("RETURN lower(1, 2)", WrongArguments, "lower(1, 2)");
    check_error("MATCH (n:Person $s) RETURN n", InvalidParameterUse, "$s");
    check_error(
        "MATCH p = shortestPath((a)-->(b)-->(c)) RETURN p",
        InvalidPattern,
        "p = shortestPath((a)-->(b)-->(c))",
    );
}

#[test]
fn what_is_not_executed_yet_says_its_name() {
    let check = |text: &str, at: &str, name: &str| {
        let error = check_error(text, NotSupported, at);
        assert_eq!(error.message, format!("{name} is not supported yet"), "{text}");
    };
    check(
        "MATCH (n)-[:Knows* SHORTEST 1..2 (r, m | WHERE EXISTS { (m)-->() })]->() RETURN n",
        "EXISTS { (m)-->() }",
        "a query inside a shortest path",
    );
    let all = "all(x IN nodes(p) WHERE EXISTS { (x)-->() })";
    check(
        &format!("MATCH p = shortestPath((a)-[:Knows*]->(b)) WHERE {all} RETURN p"),
        all,
        "a query about all that a shortest path holds",
    );
    check("MATCH (n) RETURN n LIMIT COUNT { (n:Person) }", "COUNT { (n:Person) }", "a query in LIMIT");
    let grouping = "CALL { MATCH (n) WITH DISTINCT n DELETE n }";
    check(grouping, grouping, "CALL { … } that writes and groups, sorts or joins branches");
    check(
        "MATCH (n) UNWIND [n, 1] AS x RETURN labels(x)",
        "x",
        "labels of a value whose type is known only when the query runs",
    );
    check("EXPORT DATABASE 'x'", "EXPORT DATABASE 'x'", "EXPORT DATABASE");
    check(
        "MATCH (a:Person)-[e:Knows* SHORTEST 1..3 (r, n | WHERE r.since > a.age)]->(b) RETURN e",
        "r.since > a.age",
        "a condition inside a shortest path that mentions other variables",
    );
}

#[test]
fn shortest_paths_have_bounds_and_costs_that_make_sense() {
    check_error("MATCH (a)-[e:Knows* SHORTEST 2..3]->(b) RETURN e", InvalidPattern, "* SHORTEST 2..3");
    check_error("MATCH (a)-[e:Knows*1..3]->(b) RETURN cost(e)", TypeMismatch, "cost(e)");
    check_error("MATCH (a)-[e:Knows]->(b) RETURN cost(e)", TypeMismatch, "e");
    check_error("MATCH (a)-[e:Knows* WSHORTEST(nothing)]->(b) RETURN e", UnknownProperty, "nothing");
}

#[test]
fn lines_and_columns_are_those_of_the_text() {
    let error = check_error("MATCH (n:Person)\nRETURN 'é', m", UnknownVariable, "m");
    assert_eq!((error.line, error.column), (2, 13));
    assert_eq!(error.to_string(), "variable m is not defined (line 2, column 13). Did you mean n?");
}

#[test]
fn deep_expressions_fit_a_small_stack() {
    let depth = 480;
    // The parser counts a bracket with an operator inside as two levels.
    let nested = |open: &str, inner: &str, close: &str| {
        let depth = if open.starts_with('(') || open.ends_with('(') { depth / 2 } else { depth };
        format!("RETURN {}{inner}{} AS x", open.repeat(depth), close.repeat(depth))
    };
    let texts = [
        nested("(1 + ", "1", ")"),
        nested("[", "1", "]"),
        nested("{a: ", "1", "}"),
        nested("coalesce(", "1", ")"),
        nested("NOT (", "true", ")"),
        nested("(1 = 1 AND ", "true", ")"),
        nested("CASE WHEN true THEN ", "1", " END"),
        nested("[x IN [1] | ", "x", "]"),
        format!("RETURN 1{} AS x", " + 1".repeat(depth)),
    ];
    for text in texts {
        // The parser proves its own depth; here it gets all the room it wants.
        let statement = with_stack(256 << 20, {
            let text = text.clone();
            move || parse_statement(&text).unwrap_or_else(|error| panic!("{error}"))
        });
        let bound = with_stack(2 << 20, move || {
            let settings = BinderSettings::default();
            bind(&statement, &text, &social(), &ParameterTypes::default(), &settings).map(drop)
        });
        assert_eq!(bound.map_err(|error| error.kind), Ok(()));
    }
}

fn with_stack<T: Send + 'static>(bytes: usize, run: impl FnOnce() -> T + Send + 'static) -> T {
    std::thread::Builder::new().stack_size(bytes).spawn(run).unwrap().join().unwrap()
}
