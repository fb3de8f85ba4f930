//! Statements as people write them: the shared benchmark's queries and one of every kind of statement.

use quiredb::parser::{parse, split_statements};

/// Queries of the shared benchmark.
const BENCHMARK: &[&str] = &[
    "MATCH (c:Country)<-[:City_isPartOf_Country]-(:City)<-[:Person_isLocatedIn_City]-(p:Person) RETURN count(*) AS count",
    "MATCH (p1:Person)-[:Person_knows_Person]->(p2:Person), (p1)<-[:Comment_hasCreator_Person]-(c:Comment)-[:Comment_replyOf_Post]->(o:Post)-[:Post_hasCreator_Person]->(p2) RETURN count(*) AS count",
    "MATCH (t:Tag)<-[:Post_hasTag_Tag|Comment_hasTag_Tag]-(m) OPTIONAL MATCH (m)<-[:Person_likes_Post|Person_likes_Comment]-(l) OPTIONAL MATCH (m)<-[:Comment_replyOf_Post]-(r:Comment) RETURN count(*) AS count",
    "MATCH (p1:Person)-[:Person_knows_Person]-(p2:Person)-[:Person_knows_Person]-(p3:Person)-[:Person_hasInterest_Tag]->(t:Tag) WHERE p1 <> p3 RETURN count(*) AS count",
    "MATCH (p1:Person)-[:Person_knows_Person]-(p2:Person)-[:Person_knows_Person]-(p3:Person) WHERE p1 <> p3 AND NOT (p1)-[:Person_knows_Person]-(p3) RETURN count(*) AS count",
    "MATCH (t1:Tag)<-[:Post_hasTag_Tag]-(m)<-[:Comment_replyOf_Post]-(c:Comment)-[:Comment_hasTag_Tag]->(t2:Tag) WHERE NOT (c)-[:Comment_hasTag_Tag]->(t1) AND t1 <> t2 RETURN count(*) AS count",
    "MATCH (a:Account {id: $id}) RETURN a.name, a.balance",
    "CREATE (:Account {id: $id, name: $name, balance: $balance, active: true})",
    "MATCH (a:Account {id: $a}), (b:Account {id: $b}) CREATE (a)-[:Transfer {amount: $amount}]->(b)",
    "MATCH (a:Account {id: $id}) SET a.balance = a.balance + $delta",
    "UNWIND $rows AS r CREATE (:Account {id: r.id, name: r.name, balance: r.balance, active: true})",
    "UNWIND $ids AS i MERGE (a:A {stuff: i}) RETURN a.id",
    "MATCH (a:Account {id: $id})-[t:Transfer]->(b) RETURN b.id, t.amount ORDER BY t.amount DESC, b.id LIMIT 10",
    "MATCH (a:Account {id: $id}) DETACH DELETE a",
    "MATCH (f:Flight)-[:FROM]->(a:Airport {iata: 'TXL'}) RETURN count(f) AS flights, avg(f.delay) AS delay",
    "MATCH (a:Airport)<-[:FROM]-(f:Flight)-[:TO]->(b:Airport) RETURN a.iata AS a, b.iata AS b, count(*) AS n ORDER BY n DESC, a LIMIT 10",
    "MATCH (f:Flight) WHERE f.date >= date('2008-01-01') AND f.distance > 1000 RETURN f.carrier, count(*) AS n ORDER BY n DESC",
    "MATCH (a:Person {id: 1})-[:KNOWS*1..3]-(b:Person) RETURN count(DISTINCT b)",
    "MATCH p = (a:Person {id: 1})-[:KNOWS* SHORTEST 1..10]-(b:Person {id: 99}) RETURN length(p)",
    "MATCH p = shortestPath((a:Person {id: $a})-[:KNOWS*]-(b:Person {id: $b})) RETURN [n IN nodes(p) | n.id] AS ids",
    "MATCH p = allShortestPaths((a {id: 1})-[*..15]->(b {id: 2})) RETURN count(p)",
    "MATCH (a)-[e:Road* WSHORTEST(km) 1..30]->(b) RETURN cost(e)",
    "MATCH (a)-[e:Road* ALL WSHORTEST(km)]->(b) RETURN properties(rels(e), 'km')",
    "MATCH (u:User)-[r:Follows*1..3 (r, n | WHERE r.since > 2020 AND n.age > 30 | {r.since}, {n.name})]->(v:User) RETURN u, v",
    "MATCH (a)-[e* ACYCLIC 1..4]-(b), (c)-[f* TRAIL]->(d), (g)-[h* ALL SHORTEST 1..2]->(i) RETURN *",
    "MATCH (n:Person) WHERE n.birthday.month = 5 RETURN n.firstName, n.lastName SKIP $skip LIMIT $limit",
    "MATCH (n:Person)-[:IS_LOCATED_IN]->(c:City) WITH c, count(*) AS people WHERE people > 100 RETURN c.name ORDER BY people DESC",
    "MATCH (m:Message) WITH collect(m) AS ms UNWIND ms[0..10] AS m RETURN m.id",
    "MATCH (p:Person) RETURN CASE WHEN p.age < 18 THEN 'minor' ELSE 'adult' END AS kind, count(*)",
    "MATCH (p:Person) WHERE EXISTS { MATCH (p)-[:KNOWS]->(q) WHERE q.age > p.age } RETURN p.id",
    "MATCH (p:Person) RETURN p.id, COUNT { (p)-[:KNOWS]->() } AS degree ORDER BY degree DESC LIMIT 5",
    "MATCH (p:Person) RETURN p {.id, .name, friends: [(p)-[:KNOWS]->(f) | f.id]}",
    "MATCH (a:T) WHERE a.x IN [1, 2, 3] AND a.s STARTS WITH 'ab' AND a.t =~ '.*c' RETURN a.*",
    "MATCH (t:T) RETURN t.id AS id ORDER BY id SKIP 100000 LIMIT 20",
    "MATCH (a:Airport)-[:R]->(b), (b)-[:S]->(c), (c)-[:T]->(d) RETURN min(a.x), max(d.y), sum(c.z)",
    "MATCH (a)-[r]->(b) WHERE type(r) = 'CALLS' AND id(a) <> id(b) RETURN count(r)",
    "MATCH (n) WHERE n.a < n.b <= n.c RETURN n ORDER BY n.a ASC, n.b DESCENDING",
    "MATCH (n:A) RETURN n.x AS x UNION ALL MATCH (n:B) RETURN n.x AS x UNION RETURN 1 AS x",
    "RETURN all(x IN [1, 2] WHERE x > 0) AS a, reduce(s = 0, x IN [1, 2] | s + x) AS b",
    "CALL show_tables() YIELD name, type AS kind WHERE kind = 'NODE' RETURN name ORDER BY name",
];

/// Every kind of statement with the name it is reported by.
const STATEMENTS: &[(&str, &str)] = &[
    (
        "CREATE NODE TABLE IF NOT EXISTS P(id INT64 PRIMARY KEY, `a b` STRING DEFAULT 'x' NOT NULL UNIQUE CHECK (id > 0))",
        "CREATE NODE TABLE",
    ),
    (
        "create node table P(a SERIAL, b DECIMAL(18, 3), c INT64[], d FLOAT[3], e STRUCT(x INT64, y STRING[]), f MAP(STRING, INT64), g UNION(s STRING, i INT8), primary STRING, PRIMARY KEY (a, b))",
        "CREATE NODE TABLE",
    ),
    ("CREATE NODE TABLE P AS LOAD FROM 'p.csv' RETURN *", "CREATE NODE TABLE"),
    ("CREATE REL TABLE K(FROM P TO P, FROM P TO C, since DATE, MANY_ONE)", "CREATE REL TABLE"),
    (
        "CREATE REL TABLE GROUP IF NOT EXISTS K(FROM P TO P, from STRING) WITH (storage_direction = 'fwd')",
        "CREATE REL TABLE",
    ),
    ("CREATE REL TABLE K(FROM P TO P) AS MATCH (a:P)-[:X]->(b:P) RETURN a, b", "CREATE REL TABLE"),
    ("DROP TABLE IF EXISTS P", "DROP TABLE"),
    ("DROP SEQUENCE s", "DROP SEQUENCE"),
    ("DROP INDEX i IF EXISTS", "DROP INDEX"),
    ("DROP CONSTRAINT c", "DROP CONSTRAINT"),
    ("DROP MACRO m", "DROP MACRO"),
    ("ALTER TABLE P ADD IF NOT EXISTS age INT64 DEFAULT 0", "ALTER TABLE"),
    ("ALTER TABLE P ADD COLUMN age INT64", "ALTER TABLE"),
    ("ALTER TABLE P DROP IF EXISTS age", "ALTER TABLE"),
    ("ALTER TABLE P DROP COLUMN age", "ALTER TABLE"),
    ("ALTER TABLE P RENAME TO Q", "ALTER TABLE"),
    ("ALTER TABLE P RENAME age TO years", "ALTER TABLE"),
    ("ALTER TABLE K ADD FROM P TO C", "ALTER TABLE"),
    ("ALTER TABLE K DROP IF EXISTS FROM P TO C", "ALTER TABLE"),
    ("COMMENT ON TABLE P IS 'people'", "COMMENT ON TABLE"),
    (
        "CREATE SEQUENCE IF NOT EXISTS s START WITH 1 INCREMENT BY -2 MINVALUE -9 NO MAXVALUE NO CYCLE",
        "CREATE SEQUENCE",
    ),
    ("CREATE TYPE t AS STRUCT(a INT64)", "CREATE TYPE"),
    ("CREATE MACRO f(a, b := 3) AS a + b", "CREATE MACRO"),
    ("CREATE GRAPH g ANY", "CREATE GRAPH"),
    ("CREATE INDEX i IF NOT EXISTS FOR (n:P) ON (n.a, n.b) OPTIONS {x: 1}", "CREATE INDEX"),
    ("CREATE FULLTEXT INDEX i FOR ()-[r:K]-() ON EACH [r.a]", "CREATE INDEX"),
    ("CREATE INDEX ON :P(a)", "CREATE INDEX"),
    ("CREATE CONSTRAINT c FOR (n:P) REQUIRE n.a IS UNIQUE", "CREATE CONSTRAINT"),
    ("CREATE CONSTRAINT FOR (n:P) REQUIRE (n.a, n.b) IS NODE KEY", "CREATE CONSTRAINT"),
    ("CREATE CONSTRAINT FOR ()-[r:K]-() REQUIRE r.a IS :: INT64", "CREATE CONSTRAINT"),
    ("CREATE CONSTRAINT ON (n:P) ASSERT exists(n.a)", "CREATE CONSTRAINT"),
    ("COPY P FROM 'x.csv'", "COPY FROM"),
    (
        "COPY P(a, b) FROM ['a.csv', 'b.csv'] (HEADER=true, DELIM='|', null_strings=['', 'NA'], parallel=false, QUOTE='\"')",
        "COPY FROM",
    ),
    ("COPY K FROM 'x.csv' (from='P', to='C')", "COPY FROM"),
    ("COPY P FROM (MATCH (a:Q) RETURN a.x, a.y)", "COPY FROM"),
    ("COPY P FROM $data", "COPY FROM"),
    ("COPY P FROM df", "COPY FROM"),
    ("COPY P FROM glob('*.csv') (header true)", "COPY FROM"),
    ("COPY P FROM ('a.npy', 'b.npy') BY COLUMN", "COPY FROM"),
    ("COPY (MATCH (n:P) RETURN n.*) TO 'out.parquet' (compression='zstd')", "COPY TO"),
    ("EXPORT DATABASE 'dir' (format='csv', header=true)", "EXPORT DATABASE"),
    ("IMPORT DATABASE 'dir'", "IMPORT DATABASE"),
    ("ATTACH 'x.db' AS other (dbtype='sqlite')", "ATTACH"),
    ("DETACH other", "DETACH"),
    ("USE other", "USE"),
    ("INSTALL json FROM 'https://example.org'", "INSTALL"),
    ("LOAD EXTENSION json", "LOAD EXTENSION"),
    ("LOAD json", "LOAD EXTENSION"),
    ("UNINSTALL json", "UNINSTALL"),
    ("BEGIN TRANSACTION READ ONLY", "BEGIN TRANSACTION"),
    ("begin", "BEGIN TRANSACTION"),
    ("COMMIT", "COMMIT"),
    ("ROLLBACK", "ROLLBACK"),
    ("FORCE CHECKPOINT", "CHECKPOINT"),
    ("VACUUM", "VACUUM"),
    ("CALL threads = 4", "CALL option = value"),
    ("CALL dialect='kuzu'", "CALL option = value"),
    ("CALL db.labels", "query"),
    ("CALL show_tables() RETURN *", "query"),
    ("EXPLAIN LOGICAL MATCH (n) RETURN n", "query"),
    ("PROFILE MATCH (n) RETURN n", "query"),
    ("LOAD WITH HEADERS (a INT64, b STRING) FROM 'x.csv' (delim=';') WHERE a > 1 RETURN a, b", "query"),
    ("LOAD CSV WITH HEADERS FROM 'file:///x.csv' AS row FIELDTERMINATOR ';' CREATE (:P {a: row.a})", "query"),
    ("MATCH (n) CALL (n) { MATCH (n)-->(m) RETURN count(m) AS c } RETURN n, c", "query"),
    (
        "MATCH (n) CALL { WITH n DELETE n } IN 2 CONCURRENT TRANSACTIONS OF 100 ROWS ON ERROR CONTINUE REPORT STATUS AS s RETURN s",
        "query",
    ),
    ("USE g MATCH (n) RETURN n", "query"),
    (
        "MERGE (a:A {b: 1})-[r:R]->(c) ON CREATE SET a.x = 1, r += {y: 2} ON MATCH SET a:B:C, (a).z = 3",
        "query",
    ),
    ("MATCH (n) REMOVE n.a, n:B SET n = {c: 1}, n.d[0] = 2", "query"),
    (
        "MATCH p = (a)-->(b) FOREACH (n IN nodes(p) | SET n.seen = true FOREACH (x IN [1] | CREATE (:L)))",
        "query",
    ),
    ("MATCH (n:A|B), (m:A&!B), (k:(A|B)&C:D), (x:%) WHERE n:C RETURN n", "query"),
    ("MATCH (a WHERE a.x > 1)-[r:R {z: 1} WHERE r.y]-(b {c: 1} WHERE b.d) RETURN a", "query"),
    (
        "MATCH (end:`My Label` {order: 1})-[:in]->(skip) RETURN end.return AS order, skip.limit ORDER BY order",
        "query",
    ),
];

#[test]
fn benchmark_queries_parse() {
    for text in BENCHMARK {
        if let Err(error) = parse(text) {
            panic!("{text}: {error}");
        }
    }
    assert_eq!(BENCHMARK.len(), 40);
}

#[test]
fn every_kind_of_statement_parses_under_its_name() {
    for (text, name) in STATEMENTS {
        match parse(&format!("  {text} ;")) {
            Ok(statements) => {
                assert_eq!(statements.len(), 1, "{text}");
                assert_eq!(statements[0].name(), *name, "{text}");
                assert_eq!(statements[0].span.of(&format!("  {text} ;")), *text);
            }
            Err(error) => panic!("{text}: {error}"),
        }
    }
}

#[test]
fn scripts_split_as_they_parse() {
    let script = STATEMENTS.iter().map(|(text, _)| *text).collect::<Vec<_>>().join(";\n// a; b\n");
    let split = split_statements(&script);
    assert_eq!(split.statements.len() + 1, STATEMENTS.len());
    assert_eq!(parse(&script).map(|statements| statements.len()), Ok(STATEMENTS.len()));
}
