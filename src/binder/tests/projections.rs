//! WITH and RETURN, UNWIND and UNION.

use super::check;

#[test]
fn keys_are_what_stands_beside_aggregates() {
    check(
        "MATCH (a:Person) RETURN a.name AS x, count(*) + 1 AS n",
        "MATCH a{Person}; RETURN a.name AS x, (@0 + 1) AS n GROUP count(*) => x STRING, n INT64",
    );
    check(
        "MATCH (a:Person) RETURN a.age AS x, a.age + count(*) AS n, count(*) AS m",
        "MATCH a{Person}; RETURN a.age AS x, (INT64(x) + @0) AS n, @0 AS m GROUP count(*) => x INT32, n INT64, m INT64",
    );
    check(
        "MATCH (a:Person) RETURN a, a.age + max(a.id) AS n",
        "MATCH a{Person}; RETURN a, (INT64(a.age) + @0) AS n GROUP max(a.id) => a NODE, n INT64",
    );
    check(
        "MATCH (a:Person) RETURN count(DISTINCT a.name) AS n, collect(a) AS c",
        "MATCH a{Person}; RETURN @0 AS n, @1 AS c GROUP count(DISTINCT a.name), collect(a) => n INT64, c NODE[]",
    );
}

#[test]
fn order_by_sees_outputs_first_and_inputs_where_rows_stay() {
    check(
        "MATCH (a:Person)-[:Knows]->(b:Person) RETURN a.name AS a, b.name AS b ORDER BY a",
        "MATCH a{Person} b{Person} a-[_2:Knows]->b; RETURN a.name AS a, b.name AS b ORDER a => a STRING, b STRING",
    );
    check(
        "MATCH (a:Person) RETURN a.name AS n ORDER BY a.age DESC, n, a.name SKIP 1 LIMIT $i",
        "MATCH a{Person}; RETURN a.name AS n ORDER a.age DESC, n, n SKIP 1 LIMIT $i => n STRING",
    );
    check(
        "MATCH (a:Person) RETURN DISTINCT a ORDER BY a.name",
        "MATCH a{Person}; RETURN DISTINCT a ORDER a.name => a NODE",
    );
    check(
        "MATCH (a:Person) WITH a AS b, count(*) AS n ORDER BY a.name, count(*) DESC RETURN b.id",
        "MATCH a{Person}; WITH a AS b, @0 AS n GROUP count(*) ORDER b.name, n DESC; RETURN b.id AS b.id => b.id INT64",
    );
    check(
        "MATCH (a:Person) RETURN a.age + 1, count(*) ORDER BY a.age + 1",
        "MATCH a{Person}; RETURN (INT64(a.age) + 1) AS a.age + 1, @0 AS count(*) GROUP count(*) ORDER a.age + 1 \
         => a.age + 1 INT64, count(*) INT64",
    );
}

#[test]
fn with_replaces_the_scope() {
    check(
        "MATCH (a:Person)-[r:Knows]->(b) WITH a, b.name AS name WHERE name = 'x' AND a.age > 3 RETURN *",
        "MATCH a{Person} b{Person} a-[r:Knows]->b; WITH a, b.name AS name WHERE (name = 'x') & (a.age > 3i32); \
         RETURN a, name => a NODE, name STRING",
    );
    check(
        "MATCH (a:Person) WITH a.name AS n WHERE n = 'B' OR a.age = 3 RETURN *",
        "MATCH a{Person}; WITH a.name AS n, a WHERE ((n = 'B') or (a.age = 3i32)); WITH n; RETURN n => n STRING",
    );
    check(
        "MATCH (a:Person) WITH a.name AS n, count(*) AS c WHERE c > 1 AND a.name <> 'x' RETURN n",
        "MATCH a{Person}; WITH a.name AS n, @0 AS c GROUP count(*) WHERE (c > 1) & (n <> 'x'); RETURN n => n STRING",
    );
    check(
        "WITH 1 AS x, 2 AS y WITH y AS x, x AS y RETURN x, y",
        "WITH 1 AS x, 2 AS y; WITH y AS x, x AS y; RETURN x, y => x INT64, y INT64",
    );
    check(
        "MATCH (a:Person) WITH *, a.age AS age RETURN DISTINCT age",
        "MATCH a{Person}; WITH a, a.age AS age; RETURN DISTINCT age => age INT32",
    );
}

#[test]
fn unwind_gives_elements_their_kind() {
    check(
        "UNWIND [1, 2] AS x RETURN x + 1 AS y",
        "UNWIND [1, 2] AS x{INT64}; RETURN (x + 1) AS y => y INT64",
    );
    check(
        "MATCH (a:Person)-[:LivesIn]->(c) WITH collect(c) AS cities UNWIND cities AS d RETURN d.name",
        "MATCH a{Person} c{City} a-[_2:LivesIn]->c; WITH @0 AS cities GROUP collect(c); UNWIND cities AS d{City}; \
         RETURN d.name AS d.name => d.name STRING",
    );
    check(
        "MATCH p = (a:Person)-[:LivesIn]->(c) UNWIND nodes(p) AS n RETURN n.id",
        "MATCH a{Person} c{City} a-[_2:LivesIn]->c p=(a c | 0); UNWIND nodes(p) AS n{Person|City}; \
         RETURN n.id AS n.id => n.id INT64",
    );
}

#[test]
fn unions_have_one_set_of_columns() {
    check("RETURN 1 AS a UNION ALL RETURN 2 AS a", "RETURN 1 AS a UNION ALL RETURN 2 AS a => a INT64");
    check(
        "RETURN 1 AS a UNION RETURN 'x' AS a",
        "WITH 1 AS a; RETURN ANY(a) AS a UNION WITH 'x' AS a; RETURN ANY(a) AS a => a ANY",
    );
}

#[test]
fn stars_of_variables_are_their_properties() {
    check(
        "MATCH (c:City) RETURN c.*",
        "MATCH c{City}; RETURN c.id AS c.id, c.name AS c.name, c.place AS c.place \
         => c.id INT64, c.name STRING, c.place STRUCT(x DOUBLE, y DOUBLE)",
    );
}
