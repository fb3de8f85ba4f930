//! Answers over loaded tables that were wrong once, or nearly: each test is named for what it holds.

use quiredb::{Connection, Database};

/// Runs definitions and loads, given as `(table, lines of CSV)`.
fn graph(definitions: &[&str], rows: &[(&str, &str)]) -> Connection {
    let folder = tempfile::tempdir().expect("a folder");
    let database = Database::in_memory().expect("a database");
    let connection = database.connect().expect("a connection");
    for definition in definitions {
        connection.query(definition).expect("a definition");
    }
    for (number, (table, text)) in rows.iter().enumerate() {
        let path = folder.path().join(format!("{number}.csv"));
        std::fs::write(&path, text).expect("a file");
        connection.query(&format!("COPY {table} FROM '{}'", path.display())).expect("a load");
    }
    connection
}

fn check(connection: &Connection, text: &str, expected: &[&str]) {
    let result = connection.query(text).unwrap_or_else(|error| panic!("{text}: {error}"));
    let rows: Vec<String> = result
        .rows()
        .map(|row| row.values().iter().map(ToString::to_string).collect::<Vec<_>>().join("|"))
        .collect();
    assert_eq!(rows, expected, "{text}");
}

#[test]
fn a_node_without_the_key_property_differs_from_nothing() {
    let connection = graph(
        &[
            "CREATE NODE TABLE P(pid INT64 PRIMARY KEY)",
            "CREATE NODE TABLE Q(qid INT64 PRIMARY KEY)",
            "CREATE REL TABLE PP(FROM P TO P)",
            "CREATE REL TABLE PQ(FROM P TO Q)",
        ],
        &[("P", "1\n2\n"), ("Q", "1\n"), ("PP", "1,2\n1,1\n"), ("PQ", "1,1\n2,1\n")],
    );
    check(&connection, "MATCH (a:P)-->(b) WHERE a.pid <> b.pid RETURN count(*)", &["1"]);
    check(&connection, "MATCH (a:P)-->(b:P) WHERE a.pid <> b.pid RETURN a.pid, b.pid", &["1|2"]);
}

#[test]
fn an_edge_beside_an_intersection_is_part_of_the_trail() {
    let connection = graph(
        &[
            "CREATE NODE TABLE P(pid INT64 PRIMARY KEY)",
            "CREATE REL TABLE K(FROM P TO P)",
            "CREATE REL TABLE M(FROM P TO P)",
        ],
        &[("P", "1\n2\n"), ("K", "1,2\n"), ("M", "2,1\n")],
    );
    let text = "MATCH (a:P {pid: 1})-[:K]->(d:P), (a)<-[:M]-(d), (d)-[:M]->(b:P) RETURN a.pid, d.pid, b.pid";
    check(&connection, text, &[]);
    let loops = "1,1\n".repeat(7);
    let connection = graph(
        &["CREATE NODE TABLE P(pid INT64 PRIMARY KEY)", "CREATE REL TABLE K(FROM P TO P)"],
        &[("P", "1\n"), ("K", &loops)],
    );
    // Three different loops in order.
    check(&connection, "MATCH (a)-[:K]->(b), (a)-[:K]-(b), (b)-[:K]->(a) RETURN count(*)", &["210"]);
    check(&connection, "MATCH (a)-[:K]->(b), (a)-[:K]->(b), (b)-[:K]->(a) RETURN count(*)", &["210"]);
    check(&connection, "MATCH (a)-[r:K]->(b), (a)-[:K]->(b), (b)-[:K]->(a) RETURN count(DISTINCT r)", &["7"]);
}

#[test]
fn columns_without_values_fit_every_function() {
    let connection = graph(
        &[
            "CREATE NODE TABLE P(pid INT64 PRIMARY KEY, x INT64)",
            "CREATE NODE TABLE C(cid INT64 PRIMARY KEY, x INT64)",
            "CREATE REL TABLE PC(FROM P TO C)",
        ],
        &[("P", "1,\n2,\n"), ("C", "1,5\n"), ("PC", "1,1\n")],
    );
    check(&connection, "MATCH (a) WHERE a.pid = a.cid RETURN count(*)", &["0"]);
    check(
        &connection,
        "MATCH (a) RETURN label(a) AS l, sum(a.x), max(a.x) ORDER BY l",
        &["C|5|5", "P|0|NULL"],
    );
    check(&connection, "RETURN [x IN [1, 2] WHERE x > null] AS l", &["[]"]);
    check(&connection, "MATCH (a) WHERE a.pid + a.cid > 0 OR a.x = 5 RETURN count(*)", &["1"]);
    check(&connection, "MATCH (a) RETURN count(coalesce(a.pid, a.cid))", &["3"]);
}

#[test]
fn a_pattern_that_fits_no_table_has_its_columns() {
    let connection = graph(
        &[
            "CREATE NODE TABLE P(pid INT64 PRIMARY KEY)",
            "CREATE NODE TABLE C(cid INT64 PRIMARY KEY)",
            "CREATE REL TABLE K(FROM P TO P, w INT64)",
        ],
        &[("P", "1\n2\n"), ("C", "1\n"), ("K", "1,2,3\n")],
    );
    check(&connection, "MATCH (a:C)-[r:K*2..3]->(b:P) RETURN size(r)", &[]);
    check(&connection, "MATCH p = (a:C)-[r:K*2..3]->(b:P) RETURN p, length(p), a.cid, b.pid", &[]);
    check(&connection, "MATCH (a:C)-[r:K]->(b:P) RETURN count(r.w), sum(b.pid)", &["0|0"]);
}

#[test]
fn a_pattern_of_many_edges_is_planned_in_time() {
    let connection = graph(
        &["CREATE NODE TABLE P(pid INT64 PRIMARY KEY)", "CREATE REL TABLE K(FROM P TO P)"],
        &[("P", "1\n2\n"), ("K", "1,2\n")],
    );
    let chain: String = (0..150).map(|at| format!("-[:K]->(v{at})")).collect();
    let started = std::time::Instant::now();
    check(&connection, &format!("MATCH (v){chain} RETURN count(*)"), &["0"]);
    check(&connection, &format!("MATCH (v){chain} RETURN v.pid, v149.pid"), &[]);
    assert!(started.elapsed().as_secs() < 20, "{:?}", started.elapsed());
}

#[test]
fn products_of_batches_long_and_short_are_whole() {
    // Batches of many rows and of few meet as many: each is paired in its own way.
    let nodes: String = (0..9).map(|id| format!("{id}\n")).collect();
    let rels: String = (0..9).flat_map(|a| (0..a).map(move |b| format!("{a},{b}\n"))).collect();
    let connection = graph(
        &["CREATE NODE TABLE N(id INT64 PRIMARY KEY)", "CREATE REL TABLE R(FROM N TO N)"],
        &[("N", &nodes), ("R", &rels)],
    );
    for most in 0..9 {
        for (least, more) in [(0, 36), (5, 26), (8, 8)] {
            let text = format!(
                "MATCH (a:N)-[:R]->(b), (c:N) WHERE c.id < {most} AND a.id >= {least} RETURN count(*), count(DISTINCT c.id + a.id * 100 + b.id * 10000)"
            );
            let expected = more * most;
            check(&connection, &text, &[&format!("{expected}|{expected}")]);
            let text = format!(
                "UNWIND [3, 40, 2, 9] AS n UNWIND range(1, n) AS x WITH n, x MATCH (c:N) WHERE c.id < {most} AND c.id <> n + x RETURN count(*)"
            );
            check(
                &connection,
                &text,
                &[&(54 * most
                    - (0..most)
                        .map(|c| [3, 40, 2, 9].iter().filter(|n| c > **n && c <= 2 * **n).count() as i64)
                        .sum::<i64>())
                .to_string()],
            );
        }
    }
}

#[test]
fn a_product_that_is_only_counted_is_multiplied() {
    let rows: String = (0..200_000).map(|id| format!("{id}\n")).collect();
    let connection = graph(&["CREATE NODE TABLE N(id INT64 PRIMARY KEY)"], &[("N", &rows)]);
    check(&connection, "MATCH (a:N), (b:N) RETURN count(*)", &["40000000000"]);
    check(&connection, "MATCH (a:N), (b:N) WHERE a.id < 2 RETURN a.id, count(*)", &["0|200000", "1|200000"]);
    check(&connection, "MATCH (a:N), (b:N) WHERE b.id < 3 RETURN sum(b.id), count(a.id)", &["600000|600000"]);
}

#[test]
fn what_is_no_list_is_unwound_as_one_element() {
    let connection = graph(&[], &[]);
    check(&connection, "UNWIND 5 AS x RETURN x", &["5"]);
    check(&connection, "UNWIND 'abc' AS x RETURN x", &["abc"]);
    check(&connection, "UNWIND null AS x RETURN x", &[]);
    check(&connection, "UNWIND [1, null] AS x UNWIND x AS y RETURN y", &["1"]);
    check(
        &connection,
        "UNWIND range(1, 1000) AS a UNWIND range(1, 1000) AS b RETURN count(*), sum(b)",
        &["1000000|500500000"],
    );
}

#[test]
fn lists_that_are_null_stay_null() {
    let connection = graph(&[], &[]);
    check(&connection, "RETURN [x IN null | x] AS a, all(x IN null WHERE x > 1) AS b", &["NULL|NULL"]);
    check(
        &connection,
        "UNWIND [[1, 2], null] AS l RETURN [x IN l WHERE x > 1 | x * 2] AS d",
        &["[4]", "NULL"],
    );
    let params = quiredb::params! { l: quiredb::Value::Null };
    let result = connection.query_with("RETURN [x IN $l | x] AS a", params).expect("an answer");
    assert_eq!(result.to_values(), [[quiredb::Value::Null]]);
}

#[test]
fn counts_from_few_nodes_equal_counts_from_all() {
    let nodes: String = (0..3000).map(|id| format!("{id}\n")).collect();
    let edges: String =
        (0..9000).map(|at| format!("{},{}\n", at % 3000, (at * 7919 + at / 3000) % 3000)).collect();
    let connection = graph(
        &["CREATE NODE TABLE N(id INT64 PRIMARY KEY)", "CREATE REL TABLE R(FROM N TO N)"],
        &[("N", &nodes), ("R", &edges)],
    );
    let pattern = "MATCH (a:N)-[:R]->(b)-[:R]->(c)-[:R]->(d)";
    for start in [0, 3, 2999] {
        let counted = connection.query(&format!("{pattern} WHERE a.id = {start} RETURN count(*)")).unwrap();
        let listed =
            connection.query(&format!("{pattern} WHERE a.id = {start} RETURN size(collect(id(d)))")).unwrap();
        assert_eq!(counted.to_values(), listed.to_values(), "{start}");
    }
    let plan = connection.query(&format!("EXPLAIN {pattern} WHERE a.id = 3 RETURN count(*)")).unwrap();
    assert!(format!("{:?}", plan.to_values()).contains("LookupNode"), "{:?}", plan.to_values());
    let plan = connection.query(&format!("EXPLAIN {pattern} RETURN count(*)")).unwrap();
    assert!(format!("{:?}", plan.to_values()).contains("ScanWeighted"), "{:?}", plan.to_values());
}

/// Two kinds of nodes, two types; `A` knows in a circle, with a loop.
fn small() -> Connection {
    graph(
        &[
            "CREATE NODE TABLE A(id INT64 PRIMARY KEY, x INT64)",
            "CREATE NODE TABLE B(id INT64 PRIMARY KEY, x INT64)",
            "CREATE REL TABLE K(FROM A TO A, w INT64)",
            "CREATE REL TABLE H(FROM A TO B, w INT64)",
        ],
        &[
            ("A", "1,5\n2,6\n3,5\n"),
            ("B", "11,5\n12,7\n"),
            ("K", "1,2,1\n2,3,2\n3,3,3\n"),
            ("H", "1,11,1\n3,12,2\n"),
        ],
    )
}

#[test]
fn a_condition_of_an_optional_match_reads_a_relationship_from_before_it() {
    check(
        &small(),
        "MATCH (a:A)-[r:K]->(b:A) OPTIONAL MATCH (b)-[:H]->(c) WHERE r.w > 2 RETURN r.w, c.id ORDER BY r.w",
        &["1|NULL", "2|NULL", "3|12"],
    );
}

#[test]
fn rows_of_a_product_are_sorted_by_what_is_one_value_in_each_of_its_parts() {
    check(
        &small(),
        "MATCH (a:A), (b) WHERE b.x = 7 RETURN b.x, a.id ORDER BY b.x, a.id",
        &["7|1", "7|2", "7|3"],
    );
}

#[test]
fn an_empty_segment_of_a_path_stays_at_its_node() {
    let text = "MATCH p = (a:A {id: 1})-[:K*0..1]->(b:A)-[:H*0..1]->(c) \
                RETURN size(nodes(p)) AS n, length(p) AS l, c.id ORDER BY l, n, c.id";
    check(&small(), text, &["1|0|1", "2|1|2", "2|1|11"]);
}

#[test]
fn an_edge_of_one_hop_that_is_written_as_variable_length_is_a_plain_one() {
    let graph = small();
    check(
        &graph,
        "MATCH (a)-[r:H*1..1]->(b:B) RETURN b ORDER BY b.id LIMIT 1",
        &["{_ID: 1:0, _LABEL: B, id: 11, x: 5}"],
    );
    check(&graph, "MATCH (a:A)-[r:H*1..1]->(b) WHERE size(r) = 1 RETURN a.id ORDER BY a.id", &["1", "3"]);
    check(
        &graph,
        "MATCH p = (a:A {id: 1})-[:H*1..1]->(b) RETURN size(nodes(p)), size(relationships(p))",
        &["2|1"],
    );
    check(
        &graph,
        "UNWIND [1] AS one MATCH (b)<-[:H*1..1]-(a:A) RETURN a.id, one ORDER BY a.id",
        &["1|1", "3|1"],
    );
}

#[test]
fn lists_of_a_way_back_to_its_start_run_as_the_text_does() {
    let graph = graph(
        &["CREATE NODE TABLE A(id INT64 PRIMARY KEY)", "CREATE REL TABLE K(FROM A TO A, w INT64)"],
        &[("A", "1\n2\n3\n"), ("K", "1,2,12\n2,3,23\n3,1,31\n")],
    );
    for (text, expected) in [("(a)-[r:K*3..3]->(a)", "12|31"), ("(a)<-[r:K*3..3]-(a)", "31|12")] {
        let text =
            format!("MATCH {text} WHERE a.id = 1 WITH r[0] AS first, r[2] AS last RETURN first.w, last.w");
        check(&graph, &text, &[expected]);
    }
}

#[test]
fn the_length_of_a_path_is_known_behind_a_call() {
    let text = "MATCH p = (a:A)-[r:K]->(b) CALL (a) { MATCH (c:B) RETURN c.x AS x } RETURN length(p), sum(x)";
    check(&small(), text, &["1|36"]);
}

#[test]
fn what_is_matched_in_a_query_about_rows_need_not_be_there_in_them() {
    let graph = small();
    let text = "OPTIONAL MATCH (b:B) WHERE COUNT { MATCH (b) } > 1 RETURN COUNT { MATCH (b) } AS n";
    check(&graph, text, &["0"]);
    let text = "MATCH (a:A {id: 2}) OPTIONAL MATCH (a)-[:H]->(b) CALL (b) { MATCH (b) RETURN count(*) AS n } \
                RETURN n, COUNT { MATCH (b) } AS again";
    check(&graph, text, &["0|0"]);
}

#[test]
fn a_named_path_is_no_hindrance_to_counting_trails() {
    let graph = small();
    check(&graph, "MATCH p = (a:A)<-[:K]-(b)-[:K]->(c:A) RETURN count(*)", &["0"]);
    check(&graph, "MATCH p = (a:A)-[:K]->(b)-[:K]->(c:A) RETURN count(*)", &["2"]);
}

/// Rows with an empty answer came last, whatever the order.
#[test]
fn rows_stay_sorted_beside_queries_about_them() {
    let graph = graph(
        &["CREATE NODE TABLE P(id INT64 PRIMARY KEY)", "CREATE REL TABLE F(FROM P TO P)"],
        &[("P", "3\n1\n4\n2\n"), ("F", "2,3\n4,1\n2,1\n")],
    );
    let friends = "COLLECT { MATCH (a)-[:F]->(b) RETURN b.id ORDER BY b.id }";
    let sorted = ["1|[]", "2|[1,3]", "3|[]", "4|[1]"];
    check(&graph, &format!("MATCH (a:P) RETURN a.id AS i, {friends} AS l ORDER BY i"), &sorted);
    check(
        &graph,
        &format!("MATCH (a:P) RETURN a.id AS i, {friends} AS l ORDER BY i DESC LIMIT 2"),
        &["4|[1]", "3|[]"],
    );
    check(&graph, &format!("MATCH (a:P) RETURN a.id AS i, {friends} AS l ORDER BY i SKIP 2"), &sorted[2..]);
    let text = format!("MATCH (a:P) WITH a, {friends} AS l ORDER BY a.id LIMIT 3 RETURN collect(a.id)");
    check(&graph, &text, &["[1,2,3]"]);
    let text = format!("MATCH (a:P) WITH a ORDER BY a.id DESC RETURN collect(size({friends}))");
    check(&graph, &text, &["[1,0,2,0]"]);
    let text = "UNWIND [3, 1, 2] AS x RETURN x, COLLECT { MATCH (b:P) WHERE b.id < x RETURN b.id ORDER BY b.id } AS l ORDER BY x";
    check(&graph, text, &["1|[]", "2|[1]", "3|[1,2]"]);
    let text = "UNWIND [3, 1, 2] AS x RETURN x, COLLECT { MATCH (b:P) WHERE b.id < x RETURN DISTINCT b.id % 2 } AS l ORDER BY -x";
    check(&graph, &format!("{text} LIMIT 3"), &["3|[1,0]", "2|[1]", "1|[]"]);
}

#[test]
fn nodes_and_relationships_have_properties_without_a_name() {
    let connection = graph(
        &[
            "CREATE NODE TABLE P(id INT64 PRIMARY KEY, name STRING)",
            "CREATE NODE TABLE C(id INT64 PRIMARY KEY, size INT64)",
            "CREATE REL TABLE K(FROM P TO P, x INT64)",
            "CREATE REL TABLE L(FROM P TO C, x INT64)",
        ],
        &[("P", "1,a\n2,b\n3,c\n"), ("C", "7,30\n"), ("K", "1,2,5\n2,3,6\n"), ("L", "2,7,9\n")],
    );
    let check = |text: &str, expected: &[&str]| check(&connection, text, expected);
    let ends = "MATCH (a:P)-[r:K]-(b:P) RETURN a.id, startNode(r).name, endNode(r).name ORDER BY a.id, b.id";
    check(ends, &["1|a|b", "2|a|b", "2|b|c", "3|b|c"]);
    let path = "MATCH p = (a:P {id: 1})-[*1..2]->(b) ";
    let ordered = " ORDER BY length(p), id(b)";
    check(
        &format!("{path}RETURN nodes(p)[1].name, relationships(p)[-1].x, nodes(p)[-1].size{ordered}"),
        &["b|5|NULL", "b|6|NULL", "b|9|30"],
    );
    check(
        &format!("{path}RETURN nodes(p)[5].name, labels(nodes(p)[2]){ordered}"),
        &["NULL|NULL", "NULL|[P]", "NULL|[C]"],
    );
    check(
        &format!("{path}WITH p, b WHERE nodes(p)[2]:C RETURN length(p), type(relationships(p)[1])"),
        &["2|L"],
    );
    check(&format!("{path}WITH p WHERE nodes(p)[2].id = 3 RETURN relationships(p)[1].x"), &["6"]);
    let collected = "MATCH (a:P)-[r:K]->(b) WITH a, r, b ORDER BY a.id \
                     WITH collect(b) AS bs, collect(r) AS rs RETURN bs[0].name, rs[1].x, startNode(rs[1]).name";
    check(collected, &["b|6|b"]);
    check(
        "MATCH (a:P)-[r:K]->(b) WITH [a, b] AS l ORDER BY a.id RETURN properties(l[1]), keys(l[0])",
        &["{id: 2, name: b}|[id,name]", "{id: 3, name: c}|[id,name]"],
    );
    check("MATCH (a:P) WITH a ORDER BY a.id RETURN head(collect(a)).name, last(collect(a)).id", &["a|3"]);
    check(
        "MATCH (a:P)-[r:K]->(b) WITH {a: a, r: r} AS m RETURN m.a.name, m.r.x ORDER BY m.r.x",
        &["a|5", "b|6"],
    );
    check(
        "MATCH (a:P) OPTIONAL MATCH (a)-[:L]->(c) RETURN coalesce(c, a).id ORDER BY a.id",
        &["1", "7", "3"],
    );
    check("MATCH (a:P) RETURN [a][0].name AS n, count(*) ORDER BY n", &["a|1", "b|1", "c|1"]);
    let unwound = "MATCH (a:P)-[r:K]->(b) WITH collect(r) AS rs UNWIND rs AS r RETURN startNode(r).name, r.x ORDER BY r.x";
    check(unwound, &["a|5", "b|6"]);
}

#[test]
fn a_truth_that_all_rows_share_is_each_rows() {
    let connection = graph(
        &["CREATE NODE TABLE A(id INT64 PRIMARY KEY, b BOOL, s STRING, l INT64[])"],
        &[("A", "0,true,,\n1,true,a,[1]\n2,true,b,[2]\n")],
    );
    let of = |item: &str| format!("MATCH (n:A) RETURN n.id, {item} ORDER BY n.id");
    let chosen = of("upper(n.s), CASE WHEN n.b THEN 1 ELSE 2 END");
    check(&connection, &chosen, &["0|NULL|1", "1|A|1", "2|B|1"]);
    check(&connection, &of("[y IN n.l WHERE n.b]"), &["0|NULL", "1|[1]", "2|[2]"]);
    let beside =
        "MATCH (n:A), (m:A) WHERE n.id = 0 RETURN m.id, right(m.s, 2), CASE WHEN n.b THEN 1 ELSE 2 END";
    check(&connection, &format!("{beside} ORDER BY m.id"), &["0|NULL|1", "1|a|1", "2|b|1"]);
}

#[test]
fn lists_beside_rows_of_a_product_are_each_rows() {
    let connection = graph(
        &["CREATE NODE TABLE A(id INT64 PRIMARY KEY)", "CREATE REL TABLE R(FROM A TO A)"],
        &[("A", "1\n2\n3\n"), ("R", "1,2\n2,3\n")],
    );
    let path = "OPTIONAL MATCH p = (a:A)-[:R*2]->(b:A) RETURN u, length(p), nodes(p)[1].id, size(rels(p))";
    check(&connection, &format!("UNWIND [7, 8] AS u {path}"), &["7|2|2|2", "8|2|2|2"]);
    connection.query("MATCH (a:A {id: 3}), (b:A {id: 1}) CREATE (a)-[:R]->(b)").unwrap();
    // Each way round takes all three relationships, so no other trail is beside it.
    check(&connection, "MATCH (x)-[r:R*1..5]->(x), (z)-[q:R*1..5]->(w) RETURN count(*)", &["0"]);
    check(&connection, "MATCH (x)-[r:R*1..5]->(x) MATCH (z)-[q:R*1]->(w) RETURN count(*)", &["9"]);
}

#[test]
fn counts_that_no_integer_holds_are_errors() {
    let tables: Vec<String> =
        (0..4).map(|number| format!("CREATE REL TABLE E{number}(FROM A TO A)")).collect();
    let mut definitions = vec!["CREATE NODE TABLE A(id INT64 PRIMARY KEY)"];
    definitions.extend(tables.iter().map(String::as_str));
    let edges = "1,1\n".repeat(60_000);
    let rows = [("A", "1\n"), ("E0", &edges), ("E1", &edges), ("E2", &edges), ("E3", &edges)];
    let connection = graph(&definitions, &rows);
    // 60,000⁴ is more than 2⁶³ and less than 2⁶⁴.
    let chain = "(a)-[:E0]->()-[:E1]->()-[:E2]->()-[:E3]->()";
    for text in [
        format!("MATCH (a:A) RETURN COUNT {{ {chain} }}"),
        format!("MATCH (a:A) WHERE COUNT {{ {chain} }} = 9223372036854775807 RETURN a"),
        format!("MATCH (a:A) OPTIONAL MATCH {chain} RETURN count(*)"),
        format!("MATCH {chain} RETURN count(*)"),
    ] {
        let error = connection.query(&text).expect_err(&text);
        let error = error.to_string();
        assert!(error.contains("number of matches") || error.contains("out of the range"), "{text}: {error}");
    }
    check(&connection, "MATCH (a:A) RETURN COUNT { (a)-[:E0]->()-[:E1]->() }", &["3600000000"]);
}

#[test]
fn what_is_always_null_fits_every_function() {
    let connection = graph(
        &[
            "CREATE NODE TABLE A(id INT64 PRIMARY KEY, l INT64[], x INT64)",
            "CREATE NODE TABLE B(id INT64 PRIMARY KEY)",
            "CREATE REL TABLE R(FROM A TO A, x INT64)",
        ],
        &[],
    );
    check(
        &connection,
        "RETURN head(reverse(NULL)), size(NULL + NULL), toUpper(NULL + 1)",
        &["NULL|NULL|NULL"],
    );
    check(&connection, "MATCH (n:A)-[:R]->(:B) RETURN head(reverse(n.l)), toUpper(n.x + n.x)", &[]);
    check(&connection, "MATCH (a:B)-[e:R* WSHORTEST(x) 1..4]->(b) RETURN cost(e)", &[]);
    check(&connection, "RETURN NULL = 1, NULL + 1 IS NULL, coalesce(abs(NULL), 2)", &["NULL|true|2"]);
}

#[test]
fn members_of_one_struct_are_told_apart() {
    let connection = graph(&[], &[]);
    let s = "UNWIND [{a: 1, b: 2}] AS s ";
    check(&connection, &format!("{s}RETURN abs(s.a) AS x, abs(s.b) AS y"), &["1|2"]);
    check(&connection, &format!("{s}WITH DISTINCT s.a AS x, s.b AS y RETURN x, y"), &["1|2"]);
    check(&connection, &format!("{s}RETURN s.a AS x, s.b AS y, count(*)"), &["1|2|1"]);
    check(&connection, &format!("{s}RETURN sum(s.a + 1), sum(s.b + 1), max(s.b + 1)"), &["2|3|3"]);
    check(&connection, &format!("{s}WITH s ORDER BY s.b, s.a RETURN s.a + 0 AS x, s.b + 0 AS y"), &["1|2"]);
}

#[test]
fn zeros_of_both_signs_are_shared_with_their_likes_only() {
    let connection = graph(&[], &[]);
    check(
        &connection,
        "UNWIND [1.0] AS x RETURN x * 0.0 AS a, x * -0.0 AS b, x * 0.0 AS c",
        &["0.0|-0.0|0.0"],
    );
}

#[test]
fn a_condition_keeps_values_from_a_later_one_that_would_fail() {
    let connection = graph(
        &[
            "CREATE NODE TABLE T(id INT64 PRIMARY KEY, x INT64, y INT64, s STRING)",
            "CREATE REL TABLE R(FROM T TO T)",
        ],
        &[("T", "1,0,5,abc\n2,3,4,7\n3,2,0,abc\n"), ("R", "2,1\n1,2\n")],
    );
    // The order of conjuncts follows from what they are, literals included: some of these had it the wrong way round.
    for number in 1..=40 {
        let k = number * 100;
        let text = format!("MATCH (n:T) WHERE n.x * n.y <> 0 AND {k} / (n.x * n.y) > 1 RETURN n.id");
        check(&connection, &text, &["2"]);
        let text =
            format!("MATCH (n:T) WHERE NOT n.s STARTS WITH 'a' AND cast(n.s, 'INT64') < {k} RETURN n.id");
        check(&connection, &text, &["2"]);
        let text = format!(
            "MATCH (n:T) WHERE NOT n.s = 'abc' WITH n MATCH (n)-[:R]->(m) WHERE cast(n.s, 'INT64') < {k} RETURN n.id, m.id"
        );
        check(&connection, &text, &["2|1"]);
    }
}

#[test]
fn each_of_equal_rows_has_random_values_of_its_own() {
    let connection = graph(
        &[
            "CREATE NODE TABLE P(id INT64 PRIMARY KEY)",
            "CREATE REL TABLE K(FROM P TO P)",
            "CREATE NODE TABLE X(id STRING PRIMARY KEY)",
        ],
        &[("P", "1\n2\n"), ("K", "1,2\n1,2\n1,2\n2,1\n2,1\n2,1\n")],
    );
    let ends = "MATCH (a:P {id: 1}), (b:P {id: 2}) MATCH (a)-[:K]->(b)";
    check(&connection, &format!("{ends} WITH a, rand() AS r RETURN count(*), count(DISTINCT r)"), &["3|3"]);
    check(
        &connection,
        &format!("{ends} WITH a, rand() AS r, rand() AS q WHERE r = q RETURN count(*)"),
        &["0"],
    );
    check(
        &connection,
        "MATCH (n:P)-[:K]->() WITH n.id AS id, rand() AS q, count(*) AS c RETURN count(*), sum(c)",
        &["6|6"],
    );
    check(
        &connection,
        "MATCH (n:P)-[:K]->() WITH n, n.id + rand() AS q, count(*) AS c RETURN count(*), sum(c)",
        &["6|6"],
    );
    check(&connection, "MATCH (n:P)-[:K]->() WITH DISTINCT rand() AS q RETURN count(q)", &["6"]);
    let optional = "MATCH (n:P) OPTIONAL MATCH (n)-[:K]->()";
    check(&connection, &format!("{optional} WITH DISTINCT rand() AS q RETURN count(q)"), &["6"]);
    connection
        .query(&format!("{ends} WITH a, toString(gen_random_uuid()) AS u CREATE (:X {{id: u}})"))
        .unwrap();
    check(&connection, "MATCH (x:X) RETURN count(*)", &["3"]);
    // Some of many equal rows pass, neither none nor all of them.
    connection
        .query("UNWIND range(1, 500) AS i MATCH (a:P {id: 1}), (b:P {id: 2}) CREATE (a)-[:K]->(b)")
        .unwrap();
    for text in [
        format!("{ends} WHERE rand() < 0.5 RETURN count(*)"),
        format!("{ends} WITH a WHERE rand() < 0.5 RETURN count(*)"),
    ] {
        let passed: i64 = connection.query(&text).unwrap().first().unwrap().get(0).unwrap();
        assert!((100..400).contains(&passed), "{text}: {passed}");
    }
}

#[test]
fn a_key_that_is_no_number_is_found_by_no_comparison() {
    let connection = graph(&["CREATE NODE TABLE D(k DOUBLE PRIMARY KEY)"], &[("D", "NaN\n1.0\n")]);
    check(&connection, "MATCH (d:D) WHERE d.k = 0.0 / 0.0 RETURN d.k", &[]);
    check(&connection, "UNWIND [0.0 / 0.0, 1.0] AS x MATCH (d:D {k: x}) RETURN d.k", &["1.0"]);
    check(&connection, "UNWIND [0.0 / 0.0, 1.0] AS x MATCH (d:D) WHERE d.k + 0 = x RETURN d.k", &["1.0"]);
}

#[test]
fn types_nest_only_so_deep_from_clause_to_clause() {
    let connection = graph(&[], &[]);
    let nested = |times: usize| format!("WITH 1 AS x {}RETURN size([x])", "WITH {a: x} AS x ".repeat(times));
    check(&connection, &nested(90), &["1"]);
    let error = connection.query(&nested(1000)).unwrap_err().to_string();
    assert!(error.contains("nests deeper than 100 levels"), "{error}");
}

#[test]
fn a_query_behind_the_bar_of_a_comprehension_is_no_label() {
    let connection = graph(
        &["CREATE NODE TABLE P(id INT64 PRIMARY KEY)", "CREATE REL TABLE K(FROM P TO P)"],
        &[("P", "1\n2\n"), ("K", "1,2\n")],
    );
    check(
        &connection,
        "MATCH (n:P) RETURN [v IN [1] WHERE n:P | COUNT { (n)-->() }] AS l ORDER BY n.id",
        &["[1]", "[0]"],
    );
    check(
        &connection,
        "MATCH (n:P) RETURN [v IN [1] WHERE n:P | EXISTS { (n)-->() }] AS l ORDER BY n.id",
        &["[true]", "[false]"],
    );
    check(
        &connection,
        "MATCH (n:P) RETURN [v IN [1] WHERE n:P | COLLECT { MATCH (n)-->(m) RETURN m.id }] AS l ORDER BY n.id",
        &["[[2]]", "[[]]"],
    );
}

/// Rows with a list beside a table whose keys are looked up for it, and the same question in a way that no index answers.
#[test]
fn keys_in_a_list_of_the_row_are_looked_up() {
    let numbers: String = (0..1000).map(|id| format!("{id},{}\n", id % 7)).collect();
    let names: String = (0..1000).map(|id| format!("n{id}\n")).collect();
    let connection = graph(
        &[
            "CREATE NODE TABLE N(id INT64 PRIMARY KEY, x INT64)",
            "CREATE NODE TABLE Small(id INT16 PRIMARY KEY, x INT64)",
            "CREATE NODE TABLE S(id STRING PRIMARY KEY)",
            "CREATE NODE TABLE L(lid INT64 PRIMARY KEY, x INT64, keys INT64[], names STRING[])",
            "CREATE REL TABLE Of(FROM L TO N)",
        ],
        &[
            ("N", &numbers),
            ("Small", &numbers),
            ("S", &names),
            ("L", "1,4,\"[3,5,3,5000]\",\"[n3,n9,n3]\"\n2,5,,\n3,6,[],\n"),
        ],
    );
    connection.query("MATCH (l:L {lid: 1}), (n:N) WHERE n.id < 20 CREATE (l)-[:Of]->(n)").expect("edges");
    // Keys that are in no page yet, and some that are gone.
    connection.query("CREATE (:N {id: 5000, x: 1}), (:S {id: 'n5000'})").expect("nodes");
    connection.query("MATCH (n:N {id: 997}) DELETE n").expect("one node less");
    let looked_up = |text: &str, rows: usize| {
        let plan =
            connection.query(&format!("EXPLAIN {text}")).unwrap_or_else(|error| panic!("{text}: {error}"));
        let plan: Vec<String> = plan.rows().map(|row| row.get(0).expect("a line")).collect();
        assert!(plan.iter().any(|line| line.contains("LookupElements")), "{text}:\n{}", plan.join("\n"));
        let answer = |text: &str| {
            let result = connection.query(text).unwrap_or_else(|error| panic!("{text}: {error}"));
            let mut rows: Vec<String> = result.rows().map(|row| format!("{:?}", row.values())).collect();
            rows.sort();
            rows
        };
        let other = text.replace("b.id IN", "coalesce(b.id, null) IN");
        assert_ne!(other, text);
        let found = answer(text);
        assert_eq!(found, answer(&other), "{text}");
        assert_eq!(found.len(), rows, "{text}: {found:?}");
    };
    looked_up("MATCH (a:L) WITH collect(a.x) AS l MATCH (b:N) WHERE b.id IN l RETURN b.id", 3);
    looked_up(
        "UNWIND [1, 5, 5, null, 997, 7777, 5000] AS x WITH collect(x) AS l MATCH (b:N) WHERE b.id IN l RETURN b.id",
        3,
    );
    looked_up(
        "UNWIND [[1, 1, null], null, [], [2, 5000]] AS l MATCH (b:N) WHERE b.id IN l RETURN l, b.id, b.x",
        3,
    );
    looked_up("MATCH (a:L) MATCH (b:N) WHERE b.id IN a.keys RETURN a.lid, b.id", 3);
    looked_up("MATCH (a:L), (b:N) WHERE b.id IN [a.lid, a.x, null, 1] AND b.x > 1 RETURN a.lid, b.id", 5);
    looked_up("MATCH (a:L) MATCH (b:S) WHERE b.id IN a.names RETURN a.lid, b.id", 2);
    looked_up("MATCH (a:L) MATCH (b:Small) WHERE b.id IN a.keys RETURN a.lid, b.id", 2);
    looked_up("MATCH (a:L {lid: 1})-[:Of]->(b:N) WHERE b.id IN a.keys RETURN b.id", 2);
    looked_up("MATCH (a:L) OPTIONAL MATCH (b:N) WHERE b.id IN a.keys RETURN a.lid, b.id", 5);
    looked_up("MATCH (a:L) WHERE EXISTS { MATCH (b:N) WHERE b.id IN a.keys AND b.x = 5 } RETURN a.lid", 1);
    looked_up(
        "WITH [1, 2.0, 2.5, 'x', 3, 3.0] AS l UNWIND [1, 2] AS i MATCH (b:N) WHERE b.id IN l RETURN i, b.id",
        6,
    );
    looked_up("MATCH (b:N) WHERE b.id IN COLLECT { MATCH (a:L) RETURN a.x } RETURN b.id", 3);
    let about_itself = "MATCH (b:N) WHERE b.id IN COLLECT { MATCH (b)<-[:Of]-(a:L) RETURN a.x } RETURN b.id";
    check(&connection, about_itself, &["4"]);
    // More nodes than a batch has rows.
    let text = "UNWIND range(1, 30) AS i WITH i, range(0, 995) AS l WITH i, [x IN l WHERE x % 2 = 0] AS l \
                MATCH (b:N) WHERE b.id IN l RETURN count(*), sum(b.id)";
    check(&connection, text, &[&format!("{}|{}", 30 * 498, 30 * 2 * (497 * 498 / 2))]);
}
