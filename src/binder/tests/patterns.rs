//! Patterns: tables, narrowing, directions, lengths, trails, variables met again.

use super::{check, check_kuzu};

#[test]
fn labels_name_sets_of_tables() {
    check("MATCH (n:Person) RETURN n", "MATCH n{Person}; RETURN n => n NODE");
    check("MATCH (n) RETURN n", "MATCH n{Person|City|Post}; RETURN n => n NODE");
    check("MATCH (n:Person|Post) RETURN n", "MATCH n{Person|Post}; RETURN n => n NODE");
    check("MATCH (n:!Person) RETURN n", "MATCH n{City|Post}; RETURN n => n NODE");
    check("MATCH (n:Person:City) RETURN n", "MATCH n{}; RETURN n => n NODE");
    check_kuzu("MATCH (n:Person:City) RETURN n", "MATCH n{Person|City}; RETURN n => n NODE");
}

#[test]
fn relationships_narrow_both_ends_until_nothing_changes() {
    check(
        "MATCH (a)-[:LivesIn]->(b) RETURN count(*)",
        "MATCH a{Person} b{City} a-[_2:LivesIn]->b; RETURN @0 AS count(*) GROUP count(*) => count(*) INT64",
    );
    check(
        "MATCH (a)-[r]->(b:City) RETURN r",
        "MATCH a{Person} b{City} a-[r!:LivesIn|Likes]->b; RETURN r => r REL",
    );
    check("MATCH (a)-[r]-(b:Post) RETURN a", "MATCH a{Person} b{Post} a-[r:Likes]-b; RETURN a => a NODE");
    check(
        "MATCH (a)-[:Knows]->(b)-[r]->(c)<-[:LivesIn]-(d) RETURN c",
        "MATCH a{Person} b{Person} c{City} d{Person} a-[_2:Knows]->b b-[r:LivesIn|Likes]->c d-[_6:LivesIn]->c \
         distinct[[1, 2]]; RETURN c => c NODE",
    );
    check("MATCH (a:Post)-[r:Knows]->(b) RETURN a", "MATCH a{} b{} a-[r:]->b; RETURN a => a NODE");
}

#[test]
fn arrows_give_source_and_target() {
    check(
        "MATCH (a:City)<-[:LivesIn]-(b) RETURN b",
        "MATCH a{City} b{Person} b-[_2:LivesIn]->a; RETURN b => b NODE",
    );
    check(
        "MATCH p = (a:City)<-[:LivesIn]-(b)-[:Knows]->(c) RETURN p",
        "MATCH a{City} b{Person} c{Person} b-[_2:LivesIn]->a b-[_4:Knows]->c p=(a b c | -0 1); \
         RETURN p => p RECURSIVE_REL",
    );
}

#[test]
fn variable_length_follows_the_dialect() {
    check(
        "MATCH (a:Person)-[:Knows*]->(b) RETURN b",
        "MATCH a{Person} b{Person} a-[_2:Knows*1.. Trail]->b; RETURN b => b NODE",
    );
    check_kuzu(
        "MATCH (a:Person)-[:Knows*]->(b) RETURN b",
        "MATCH a{Person} b{Person} a-[_2:Knows*1..30 Walk]->b; RETURN b => b NODE",
    );
    check(
        "MATCH (a:Person)-[:Knows*2]->(b) RETURN b",
        "MATCH a{Person} b{Person} a-[_2:Knows*2..2 Trail]->b; RETURN b => b NODE",
    );
    check(
        "MATCH (a:Person)-[*0..1]->(b) RETURN b",
        "MATCH a{Person} b{Person|City|Post} a-[_2:Knows|LivesIn|Likes|Likes*0..1 Trail]->b; RETURN b => b NODE",
    );
    check(
        "MATCH (a)-[*2..3]->(b:City) RETURN a",
        "MATCH a{Person} b{City} a-[_2:Knows|LivesIn|Likes*2..3 Trail]->b; RETURN a => a NODE",
    );
    check(
        "MATCH (a:City)-[*2..3]->(b:City) RETURN a",
        "MATCH a{} b{} a-[_2:*2..3 Trail]->b; RETURN a => a NODE",
    );
    check(
        "MATCH (a:Person)-[e:Knows* {since: 3}]->(b) RETURN b",
        "MATCH a{Person} b{Person} a-[e:Knows*1.. Trail each (e.since = 3)]->b; RETURN b => b NODE",
    );
    check(
        "MATCH (a:Person)-[e:Knows*1..3 (r, n | WHERE r.since > 3)]->(b) RETURN size(e)",
        "MATCH a{Person} b{Person} a-[e!:Knows*1..3 Trail each (e.since > 3)]->b; \
         RETURN length(e) AS size(e) => size(e) INT64",
    );
    check(
        "MATCH p = shortestPath((a:Person)-[:Knows*..5]->(b:Person)) RETURN length(p)",
        "MATCH a{Person} b{Person} a-[_2:Knows*1..5 Shortest]->b p=(a b | 0); \
         RETURN length(p) AS length(p) => length(p) INT64",
    );
    check(
        "MATCH (a:Person)-[:Knows* ALL SHORTEST 1..5]-(b:Person) RETURN a",
        "MATCH a{Person} b{Person} a-[_2:Knows*1..5 AllShortest]-b; RETURN a => a NODE",
    );
}

#[test]
fn only_relationships_that_can_coincide_are_kept_apart() {
    let two = "MATCH (a:Person)-[:Knows]->(b)-[:Knows]->(c) RETURN count(*) AS n";
    check(
        two,
        "MATCH a{Person} b{Person} c{Person} a-[_2:Knows]->b b-[_4:Knows]->c distinct[[0, 1]]; \
         RETURN @0 AS n GROUP count(*) => n INT64",
    );
    check_kuzu(
        two,
        "MATCH a{Person} b{Person} c{Person} a-[_2:Knows]->b b-[_4:Knows]->c; \
         RETURN @0 AS n GROUP count(*) => n INT64",
    );
    check(
        "MATCH (a:Person)-[:Knows]->(b)-[:LivesIn]->(c) MATCH (b)-[:Knows]->(d) RETURN d",
        "MATCH a{Person} b{Person} c{City} a-[_2:Knows]->b b-[_4:LivesIn]->c; \
         MATCH b{Person} d{Person} b-[_6:Knows]->d; RETURN d => d NODE",
    );
}

#[test]
fn variables_are_met_again() {
    check("MATCH (a:Person)-[:Knows]->(a) RETURN a", "MATCH a{Person} a-[_1:Knows]->a; RETURN a => a NODE");
    check(
        "MATCH (a) WITH a LIMIT 1 MATCH (a:Person)-[:LivesIn]->(c) RETURN c",
        "MATCH a{Person|City|Post}; WITH a LIMIT 1; \
         MATCH a{Person|City|Post} c{City} a-[_2:LivesIn]->c WHERE a:Person; RETURN c => c NODE",
    );
    check(
        "MATCH (a)-[r:Knows]->(b) MATCH (c)-[r]->(d) RETURN c, d",
        "MATCH a{Person} b{Person} a-[r!:Knows]->b; MATCH c{Person} d{Person} c-[_5!:Knows]->d \
         WHERE (id(r) = id(_5)); RETURN c, d => c NODE, d NODE",
    );
}

#[test]
fn maps_and_conditions_inside_patterns_are_predicates() {
    check(
        "MATCH (a:Person {name: $s, age: 30})-[r:Knows {since: a.id}]->(b WHERE b.age > 3) WHERE a.id = 1 AND b.id = 2 RETURN b.name",
        "MATCH a{Person} b{Person} a-[r!:Knows]->b WHERE (a.name = $s) & (a.age = 30i32) & (b.age > 3i32) & (r.since = a.id) \
         & (a.id = 1) & (b.id = 2); RETURN b.name AS b.name => b.name STRING",
    );
}
