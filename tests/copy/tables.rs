//! Into which tables: keys, SERIAL, DEFAULT, UNIQUE, NOT NULL, multiplicities, FROM/TO pairs; empty ones and filled
//! ones, where the rows make new groups and the relationships new runs.

use quiredb::Database;

use crate::support::{World, count};

#[test]
fn every_type_of_key_finds_its_nodes() {
    let types = [
        ("INT64", ["-5", "0", "9223372036854775807"]),
        ("INT8", ["-128", "0", "127"]),
        ("UINT64", ["0", "1", "18446744073709551615"]),
        ("INT128", ["-170141183460469231731687303715884105728", "0", "7"]),
        ("STRING", ["", "b", "a key that is longer than a view's inline bytes"]),
        ("DATE", ["1969-12-31", "2024-02-29", "9999-12-31"]),
        ("TIMESTAMP", ["1969-12-31 23:59:59.999999", "2024-02-29 00:00:00", "2100-01-01 00:00:00"]),
        (
            "UUID",
            [
                "00000000-0000-0000-0000-000000000000",
                "7f8b5a30-0000-4000-8000-000000000001",
                "ffffffff-ffff-ffff-ffff-ffffffffffff",
            ],
        ),
        ("DOUBLE", ["-0.5", "1e300", "2.0"]),
        ("BOOL", ["true", "false", "true"]),
    ];
    for (data_type, keys) in types {
        let keys = if data_type == "BOOL" { &keys[..2] } else { &keys[..] };
        let world = World::new(&format!(
            "CREATE NODE TABLE K(k {data_type} PRIMARY KEY, n INT64); CREATE REL TABLE R(FROM K TO K, n INT64)"
        ));
        let nodes: String = keys.iter().enumerate().map(|(n, key)| format!("\"{key}\",{n}\n")).collect();
        world.copy("K", nodes, "").unwrap_or_else(|error| panic!("{data_type}: {error}"));
        let last = keys.len() - 1;
        let edges: String = keys
            .iter()
            .enumerate()
            .map(|(n, key)| format!("\"{key}\",\"{}\",{n}\n", keys[last - n]))
            .collect();
        world.copy("R", edges, "").unwrap_or_else(|error| panic!("{data_type}: {error}"));
        let expected: Vec<String> = (0..keys.len()).map(|n| format!("{n}|{n}|{}", last - n)).collect();
        let expected: Vec<&str> = expected.iter().map(String::as_str).collect();
        world.check("MATCH (a:K)-[r:R]->(b:K) RETURN r.n, a.n, b.n ORDER BY r.n", &expected);
        world.check("MATCH (b:K)<-[r:R]-(a:K) RETURN r.n, a.n, b.n ORDER BY r.n", &expected);
        world.sound();
    }
}

#[test]
fn composite_keys_find_their_nodes() {
    let world = World::new(
        "CREATE NODE TABLE P(town STRING, number INT32, name STRING, PRIMARY KEY (town, number)); \
         CREATE NODE TABLE Q(id INT64 PRIMARY KEY); \
         CREATE REL TABLE R(FROM P TO Q, since DATE); CREATE REL TABLE S(FROM Q TO P); \
         CREATE REL TABLE L(FROM P TO P)",
    );
    world.copy("P", "Ulm,1,a\nUlm,2,b\nBonn,1,c\n", "").unwrap();
    world.copy("Q", "7\n8\n", "").unwrap();
    world.copy("R", "Ulm,2,7,2020-01-01\nBonn,1,7,\n", "").unwrap();
    world.copy("S", "8,Ulm,1\n7,Bonn,1\n", "").unwrap();
    world.copy("L", "Ulm,1,Bonn,1\nUlm,1,Ulm,1\n", "").unwrap();
    let r = "MATCH (p:P)-[r:R]->(q:Q) RETURN p.name, q.id, r.since ORDER BY p.name";
    world.check(r, &["b|7|2020-01-01", "c|7|NULL"]);
    world.check("MATCH (p:P)<-[:S]-(q:Q) RETURN q.id, p.name ORDER BY q.id", &["7|c", "8|a"]);
    world.check("MATCH (p:P)-[:L]->(q:P) RETURN p.name, q.name ORDER BY q.name", &["a|a", "a|c"]);
    let error = world.copy("P", "Ulm,3,d\nBonn,1,e\n", "").unwrap_err().to_string();
    assert!(error.contains("line 2") && error.contains("key"), "{error}");
    let error = world.copy("R", "Ulm,3,7,\n", "").unwrap_err().to_string();
    assert!(error.contains("no P with the key Ulm, 3") && error.contains("line 1"), "{error}");
    world.sound();
}

#[test]
fn serials_go_on_after_every_load() {
    let world = World::new(
        "CREATE NODE TABLE T(id SERIAL PRIMARY KEY, name STRING); \
         CREATE NODE TABLE U(id INT64 PRIMARY KEY, n SERIAL)",
    );
    world.copy("T", "a\nb\n", "").unwrap();
    assert!(world.copy("T", "c\nd,e\n", "").is_err());
    world.copy("T", "c\n", "").unwrap();
    world.copy("T (id, name)", "10,d\n", "").unwrap();
    world.copy("T", "e\n", "").unwrap();
    world.check("MATCH (t:T) RETURN t.id, t.name ORDER BY t.id", &["0|a", "1|b", "2|c", "10|d", "11|e"]);
    world.copy("U", "5\n6\n", "").unwrap();
    world.copy("U", "4\nx\n7\n", "IGNORE_ERRORS = true").unwrap();
    world.check("MATCH (u:U) RETURN u.id, u.n ORDER BY u.n", &["5|0", "6|1", "4|2", "7|3"]);
}

#[test]
fn defaults_fill_what_the_file_leaves_out() {
    let world = World::new(
        "CREATE NODE TABLE T(id INT64 PRIMARY KEY, name STRING DEFAULT 'none', n INT32 DEFAULT 42, \
         d DATE DEFAULT date('2020-02-29'), l INT64[] DEFAULT [1, 2]); \
         CREATE REL TABLE R(FROM T TO T, w DOUBLE DEFAULT 0.5)",
    );
    world.copy("T (id)", "1\n2\n", "").unwrap();
    world.copy("T", "3,x,,,\n", "").unwrap();
    world.copy("R (w)", "1,2,7\n", "").unwrap();
    let all = "MATCH (t:T) RETURN t.id, t.name, t.n, t.d, t.l ORDER BY t.id";
    world.check(all, &["1|none|42|2020-02-29|[1,2]", "2|none|42|2020-02-29|[1,2]", "3|x|NULL|NULL|NULL"]);
    world.check("MATCH ()-[r:R]->() RETURN r.w", &["7.0"]);
}

#[test]
fn several_pairs_of_a_relationship_are_told_apart() {
    let world = World::new(
        "CREATE NODE TABLE A(id INT64 PRIMARY KEY); CREATE NODE TABLE B(id STRING PRIMARY KEY); \
         CREATE REL TABLE R(FROM A TO B, FROM B TO A, FROM A TO A, n INT64)",
    );
    world.copy("A", "1\n2\n", "").unwrap();
    world.copy("B", "x\ny\n", "").unwrap();
    world.copy("R", "1,y,10\n", "from = 'A', to = 'B'").unwrap();
    world.copy("R", "y,1,20\nx,2,21\n", "from = 'B', to = 'A'").unwrap();
    world.copy("R", "1,1,30\n1,2,31\n", "from = 'A', to = 'A'").unwrap();
    let error = world.copy("R", "1,y,10\n", "").unwrap_err().to_string();
    assert!(error.contains("several FROM/TO pairs"), "{error}");
    let error = world.copy("R", "1,y,10\n", "from = 'B', to = 'B'").unwrap_err().to_string();
    assert!(error.contains("no such FROM/TO pair"), "{error}");
    world.check(
        "MATCH (a)-[r:R]->(b) RETURN r.n, a.id, b.id ORDER BY r.n",
        &["10|1|y", "20|y|1", "21|x|2", "30|1|1", "31|1|2"],
    );
    // Values of several types stay what they are, and other tables' rows do not come in between.
    world.check("MATCH (n) RETURN n.id ORDER BY label(n), n.id", &["1", "2", "x", "y"]);
    world.check("MATCH (n) WHERE n.id = 2 RETURN n.id", &["2"]);
    world.check("MATCH (n) WHERE n.id = 'x' RETURN n.id", &["x"]);
    world.check("MATCH (b)<-[r:R]-(a:B) RETURN r.n, b.id ORDER BY r.n", &["20|1", "21|2"]);
    world.sound();
}

#[test]
fn multiplicities_hold_within_a_file_and_against_the_table() {
    // Kind, an edge that breaks the rule after (1, 2), and one that does not.
    let cases = [
        ("MANY_MANY", None, "1,2"),
        ("MANY_ONE", Some("1,3"), "3,2"),
        ("ONE_MANY", Some("3,2"), "1,3"),
        ("ONE_ONE", Some("1,3"), "3,1"),
        ("ONE_ONE", Some("3,2"), "2,3"),
    ];
    for (kind, bad, good) in cases {
        let world = World::new(&format!(
            "CREATE NODE TABLE A(id INT64 PRIMARY KEY); CREATE REL TABLE R(FROM A TO A, {kind})"
        ));
        world.copy("A", "1\n2\n3\n", "").unwrap();
        if let Some(bad) = bad {
            let error = world.copy("R", format!("1,2\n{bad}\n"), "").unwrap_err().to_string();
            assert!(error.contains("line 2") && error.contains("the table allows one"), "{kind}: {error}");
            assert_eq!(count(&world.connection, "MATCH ()-[r:R]->() RETURN count(*)"), 0);
        }
        world.copy("R", "1,2\n", "").unwrap();
        if let Some(bad) = bad {
            let error = world.copy("R", format!("{bad}\n"), "").unwrap_err().to_string();
            assert!(error.contains("line 1") && error.contains("the table allows one"), "{kind}: {error}");
            let both = format!("{bad}\n{good}\n");
            assert_eq!(world.copy("R", both, "IGNORE_ERRORS = true").unwrap(), 1, "{kind}");
        } else {
            world.copy("R", good, "").unwrap();
        }
        assert_eq!(count(&world.connection, "MATCH ()-[r:R]->() RETURN count(*)"), 2);
        world.sound();
    }
}

/// Rows and edges whose right answers are sums.
#[test]
fn loads_into_filled_tables_make_new_groups_and_runs() {
    let folder = tempfile::tempdir().unwrap();
    let builder = || Database::builder().threads(2).buffer_pool_size(32 << 20);
    let database = builder().open(folder.path().join("db")).unwrap();
    let world = World::of(
        database,
        "CREATE NODE TABLE N(id INT64 PRIMARY KEY, name STRING); CREATE REL TABLE R(FROM N TO N, w INT64)",
    );
    // Each load of edges (a, a * 7 mod nodes so far) has its own weight.
    let (mut nodes, mut edges) = (0i64, Vec::new());
    for (round, rows) in [(1i64, 70_000i64), (2, 1), (3, 3_000), (4, 66_000)] {
        let text: String = (nodes..nodes + rows).map(|id| format!("{id},name {id}\n")).collect();
        assert_eq!(world.copy("N", text, "").unwrap(), rows);
        nodes += rows;
        let new: Vec<(i64, i64)> =
            (0..nodes).filter(|a| a % (round * 3) == 0).map(|a| (a, a * 7 % nodes)).collect();
        let text: String = new.iter().map(|(a, b)| format!("{a},{b},{round}\n")).collect();
        assert_eq!(world.copy("R", text, "").unwrap(), new.len() as i64);
        edges.extend(new.into_iter().map(|(a, b)| (a, b, round)));
    }
    world.sound();
    let folder_of_files = world.folder;
    drop(world.connection);
    world.database.close().unwrap();
    let database = builder().open(folder.path().join("db")).unwrap();
    let connection = database.connect().unwrap();
    drop(folder_of_files);
    assert_eq!(count(&connection, "MATCH (n:N) RETURN count(*)"), nodes);
    assert_eq!(
        count(&connection, "MATCH (n:N) WHERE n.name = 'name ' + CAST(n.id AS STRING) RETURN count(*)"),
        nodes
    );
    for (arrow, name) in [("(a:N)-[r:R]->(b:N)", "forward"), ("(b:N)<-[r:R]-(a:N)", "backward")] {
        let found = crate::support::rows(
            &connection,
            &format!(
                "MATCH {arrow} RETURN count(*), sum(a.id), sum(b.id), sum(r.w), sum(a.id * r.w % 1009), sum(b.id * r.w % 1013)"
            ),
        );
        let sum = |of: &dyn Fn(&(i64, i64, i64)) -> i64| edges.iter().map(of).sum::<i64>();
        let expected = [
            edges.len() as i64,
            sum(&|e| e.0),
            sum(&|e| e.1),
            sum(&|e| e.2),
            sum(&|e| e.0 * e.2 % 1009),
            sum(&|e| e.1 * e.2 % 1013),
        ];
        let expected: Vec<String> = expected.iter().map(i64::to_string).collect();
        assert_eq!(found, [expected.join("|")], "{name}");
    }
    for node in [0, 21, 69_999, 70_000, 70_001, 139_000] {
        let query = format!("MATCH (a:N {{id: {node}}})-[r:R]->(b:N) RETURN r.w, b.id ORDER BY r.w");
        let mut expected: Vec<_> = edges.iter().filter(|e| e.0 == node).map(|e| (e.2, e.1)).collect();
        expected.sort_unstable();
        let expected: Vec<String> = expected.iter().map(|(w, b)| format!("{w}|{b}")).collect();
        assert_eq!(crate::support::rows(&connection, &query), expected);
        let query = format!("MATCH (b:N {{id: {node}}})<-[r:R]-(a:N) RETURN r.w, a.id ORDER BY r.w, a.id");
        let mut expected: Vec<_> = edges.iter().filter(|e| e.1 == node).map(|e| (e.2, e.0)).collect();
        expected.sort_unstable();
        let expected: Vec<String> = expected.iter().map(|(w, a)| format!("{w}|{a}")).collect();
        assert_eq!(crate::support::rows(&connection, &query), expected);
    }
}
