//! Writing clauses: what is created where, which columns take which values, and what cannot be written.

use super::{bind_text, catalog_of, check, check_error, describe};
use crate::binder::BindErrorKind::*;
use crate::catalog::Dialect;

#[test]
fn create_names_tables_and_columns() {
    check(
        "CREATE (n:Person {id: 1, age: 30}) RETURN n",
        "CREATE (n:Person {id: 1, age: 30i32}); RETURN n => n NODE",
    );
    check("CREATE (:Person {id: $i})", "CREATE (_0:Person {id: $i}) => ");
    check(
        "CREATE p = (a:Person {id: 1})-[r:Knows {since: 5}]->(b:Person {id: 2})<-[:Knows]-(a) RETURN p",
        "CREATE (a:Person {id: 1}), (b:Person {id: 2}), (a)-[r:Knows {since: 5}]->(b), \
         (a)-[_3:Knows {}]->(b), PATH p; RETURN p => p RECURSIVE_REL",
    );
    check(
        "MATCH (a:Person), (x) CREATE (a)-[:Likes]->(x)",
        "MATCH a{Person} x{Person|City|Post}; CREATE (a)-[_2:Likes|Likes {}]->(x) => ",
    );
}

#[test]
fn defaults_fill_what_is_not_written() {
    let catalog = catalog_of(&[
        "CREATE NODE TABLE T(id SERIAL PRIMARY KEY, a INT32 DEFAULT 7, b STRING NOT NULL DEFAULT upper('x'), c DATE)",
    ]);
    let check = |text: &str, expected: &str| {
        let bound =
            bind_text(text, &catalog, Dialect::OpenCypher).unwrap_or_else(|error| panic!("{text}: {error}"));
        assert_eq!(describe(&bound, &catalog), expected, "{text}");
    };
    check("CREATE (n:T)", "CREATE (n:T {a: 7i32, b: toUpper('x')}) => ");
    check("CREATE (n:T {a: NULL, b: 'y'})", "CREATE (n:T {a: NULL, b: 'y'}) => ");
}

#[test]
fn create_needs_one_table_and_what_must_not_be_null() {
    check_error("CREATE (n)", InvalidPattern, "(n)");
    check_error("CREATE (n:Nobody {id: 1})", UnknownTable, "Nobody");
    let error = check_error("CREATE (n:Persn {id: 1})", UnknownTable, "Persn");
    assert_eq!(error.hint.as_deref(), Some("Did you mean Person?"));
    check_error("CREATE (n:Person:City {id: 1})", NotSupported, "Person:City");
    check_error("CREATE (n:Person|City {id: 1})", InvalidPattern, "Person|City");
    check_error("CREATE (n:Person)", InvalidPattern, "(n:Person)");
    let error = check_error("CREATE (n:Person {id: 1, nmae: 'x'})", UnknownProperty, "nmae");
    assert_eq!(error.hint.as_deref(), Some("Did you mean name?"));
    check_error("CREATE (n:Person {id: 1, id: 2})", DuplicateColumn, "id");
}

#[test]
fn relationships_have_one_type_and_a_direction() {
    let ends = "MATCH (a:Person), (b:Person), (c:City) ";
    let check = |text: &str, kind, at: &str| check_error(&format!("{ends}{text}"), kind, at);
    check("CREATE (a)-->(b)", InvalidPattern, "-->");
    check("CREATE (a)-[:Knows]-(b)", InvalidPattern, "-[:Knows]-");
    check("CREATE (a)-[:Knows|Likes]->(b)", InvalidPattern, "Knows|Likes");
    check("CREATE (a)-[:Knows*2]->(b)", InvalidPattern, "*2");
    check("CREATE (a)-[:Knows {since: 'x'}]->(b)", TypeMismatch, "'x'");
    let error = check("CREATE (a)-[:Knows]->(c)", InvalidPattern, "-[:Knows]->");
    assert_eq!(error.message, "Knows does not lead from Person to City");
    assert_eq!(error.hint.as_deref(), Some("Knows leads from Person to Person"));
}

#[test]
fn bound_variables_are_reused_bare_or_not_at_all() {
    check_error("MATCH (a:Person) CREATE (a)", Redefinition, "a");
    check_error("MATCH (a:Person) CREATE (a {id: 1})-[:Knows]->(:Person {id: 2})", Redefinition, "a");
    check_error("CREATE (a:Person {id: 1}) CREATE (a:Person)-[:Knows]->(a)", Redefinition, "a");
    check_error("MATCH (a:Person)-[r:Knows]->(b) CREATE (a)-[r:Knows]->(b)", Redefinition, "r");
    check_error("MATCH (a:Person) MERGE (a)", Redefinition, "a");
    check_error("WITH 1 AS a CREATE (a)-[:Knows]->(:Person {id: 2})", VariableConflict, "a");
    check_error("CREATE (a:Person {id: 1})-[:Knows {since: a.id}]->(b:Person {id: 2})", UnknownVariable, "a");
}

#[test]
fn merge_compares_what_is_written() {
    check(
        "MERGE (n:Person {id: $i}) ON CREATE SET n.name = 'new' ON MATCH SET n.age = n.age + 1 RETURN n.id",
        "MERGE (n:Person {id: $i AS _0}) WHERE (n.id = _0) ON CREATE n.name[1] = 'new' \
         ON MATCH n.age[1] = (INT64(n.age) + 1); RETURN n.id AS n.id => n.id INT64",
    );
    check_error("MERGE (n:Person $p)", InvalidParameterUse, "$p");
    check_error("MERGE (n:Person {id: 1}) ON MATCH SET x.age = 1", UnknownVariable, "x");
}

#[test]
fn set_assigns_columns() {
    check("MATCH (n:Person) SET n.age = 5", "MATCH n{Person}; SET n.age[1] = 5i32 => ");
    check("MATCH (n:Person) SET (n).age = 5", "MATCH n{Person}; SET n.age[1] = 5i32 => ");
    check("MATCH (n) SET n.name = 'x'", "MATCH n{Person|City|Post}; SET n.name[2] = 'x' => ");
    check("MATCH (n:Person) REMOVE n.age", "MATCH n{Person}; SET n.age[1] = NULL => ");
    check(
        "MATCH (n:City) SET n += {name: 'x', place: {y: 1, x: 2}}",
        "MATCH n{City}; SET n.name[1] = 'x' & n.place[1] = {x: 2.0, y: 1.0} => ",
    );
    check(
        "MATCH (n:City) SET n = {id: n.id + 1}",
        "MATCH n{City}; SET n.id[1] = (n.id + 1) & n.name[1] = NULL & n.place[1] = NULL => ",
    );
    check("MATCH (n:Person) SET n:Person SET n.age = 1", "MATCH n{Person}; SET ; SET n.age[1] = 1i32 => ");
}

#[test]
fn set_refuses_what_the_column_cannot_hold() {
    let error = check_error("MATCH (n:Person) SET n.age = 'old'", TypeMismatch, "'old'");
    assert_eq!(error.message, "Person.age holds values of type INT32, this is of type STRING");
    check_error("MATCH (n:Person) SET n.age = 5000000000", TypeMismatch, "5000000000");
    check_error("MATCH (n:Person) SET n.age = 1.5", TypeMismatch, "1.5");
    check_error("MATCH (n:Person) SET n.born = 'yesterday'", TypeMismatch, "'yesterday'");
    check_error("MATCH (n:Person) SET n.agee = 1", UnknownProperty, "agee");
    check_error("MATCH (n:Person) SET n = {name: 'x'}", TypeMismatch, "n = {name: 'x'}");
    check_error("MATCH (n:Person) SET n = 5", TypeMismatch, "5");
    check_error("MATCH (n:Person) SET n:City", NotSupported, "City");
    check_error("MATCH (n:Person) REMOVE n:Person", NotSupported, "n:Person");
    check_error("WITH {a: 1} AS n SET n.a = 2", VariableConflict, "n");
    check_error("MATCH (n:Person) SET n.age = count(*)", InvalidAggregation, "count(*)");
}

#[test]
fn delete_takes_nodes_relationships_and_paths() {
    check("MATCH (n:Person) DETACH DELETE n", "MATCH n{Person}; DETACH DELETE n => ");
    check(
        "MATCH (n:Person)-[r:Knows]->() WITH {key: r} AS m DELETE m.key",
        "MATCH n{Person} _1{Person} n-[r!:Knows]->_1; WITH struct_pack(r) AS m; DELETE struct_extract(m) => ",
    );
    check_error("MATCH (n:Person) DELETE x", UnknownVariable, "x");
    check_error("MATCH (n:Person) DELETE n.age", TypeMismatch, "n.age");
    check_error("MATCH (n:Person) DELETE n:Person", TypeMismatch, "n:Person");
    check_error(
        "MATCH (n) RETURN n UNION MATCH (n:Person) DELETE n",
        InvalidClauses,
        "UNION MATCH (n:Person) DELETE n",
    );
}
