//! UNIQUE properties beside the key, whoever writes them and whenever.

use quiredb::{Database, ErrorKind};

use super::Graph;

fn graph() -> Graph {
    let graph = Graph::new();
    graph.run("CREATE NODE TABLE U(id INT64 PRIMARY KEY, code STRING UNIQUE, n INT64 UNIQUE)");
    graph.run("CREATE REL TABLE O(FROM U TO U, FROM U TO P, tag STRING UNIQUE)");
    graph
}

#[track_caller]
fn taken(graph: &Graph, text: &str) {
    let error = graph.connection.query(text).expect_err(text);
    assert_eq!(error.kind(), ErrorKind::Constraint, "{text}: {error}");
    assert!(error.message().contains("UNIQUE"), "{text}: {error}");
}

#[test]
fn values_are_taken_and_free_again() {
    let graph = graph();
    graph.run("UNWIND range(1, 3000) AS i CREATE (:U {id: i, code: 'c' + string(i), n: i * 10})");
    taken(&graph, "CREATE (:U {id: 0, code: 'c2999'})");
    taken(&graph, "CREATE (:U {id: 0, n: 30})");
    taken(&graph, "UNWIND [[-10, 'x'], [-11, 'y'], [-12, 'x']] AS r CREATE (:U {id: r[0], code: r[1]})");
    taken(&graph, "MATCH (u:U {id: 1}) SET u.code = 'c2'");
    let told = graph.fails("CREATE (:U {id: 0, code: 'c2999'})");
    let expected = "the U with the primary key 2999 has the value c2999 of the UNIQUE column U.code already";
    assert!(told.starts_with(expected), "{told}");
    let told = graph.fails("UNWIND [-20, -21] AS id CREATE (:U {id: id, code: 'x'})");
    assert!(told.starts_with("another row of the same statement has the value x of"), "{told}");
    // What a failed statement wanted is free.
    graph.run("CREATE (:U {id: 0, code: 'x', n: 5}), (:U {id: -1})");
    graph.run("MATCH (u:U {id: 1}) SET u.code = u.code, u.n = 7");
    graph.run("CREATE (:U {id: -2, n: 10})");
    graph.run("MATCH (u:U {id: 2}) SET u.code = NULL");
    graph.run("MATCH (u:U {id: 3}) DELETE u");
    graph.run("CREATE (:U {id: -3, code: 'c2'}), (:U {id: -4, code: 'c3', n: 30})");
    taken(&graph, "CREATE (:U {id: -5, code: 'c3'})");
    graph.run("CHECKPOINT");
    taken(&graph, "CREATE (:U {id: -5, code: 'c2'})");
    for round in 0..20 {
        graph.run(&format!("CREATE (:U {{id: {}, code: 'again'}})", 10_000 + round));
        taken(&graph, "CREATE (:U {id: 9999, code: 'again'})");
        graph.run("MATCH (u:U {code: 'again'}) DELETE u");
    }
    graph.run("MATCH (a:U {id: 4}), (b:U {id: 5}) CREATE (a)-[:O {tag: 't'}]->(b)");
    taken(&graph, "MATCH (a:U {id: 6}), (b:U {id: 5}) CREATE (a)-[:O {tag: 't'}]->(b)");
}

#[test]
fn a_row_that_comes_back_has_its_value_again() {
    let graph = graph();
    graph.run("CREATE (:U {id: 1, code: 'a'})");
    graph.run("BEGIN TRANSACTION");
    graph.run("MATCH (u:U {id: 1}) DELETE u");
    graph.run("CREATE (:U {id: 2, code: 'a'})");
    graph.run("ROLLBACK");
    taken(&graph, "CREATE (:U {id: 3, code: 'a'})");
}

#[test]
fn rows_that_are_in_pages_before_the_commit_count() {
    let folder = tempfile::tempdir().expect("a folder");
    // Groups are written early from a quarter of the changes' half on.
    let builder = Database::builder().memory_limit(32 << 20).buffer_pool_size(32 << 20);
    let database = builder.open(folder.path().join("graph")).expect("a database");
    let connection = database.connect().expect("a connection");
    connection.query("CREATE NODE TABLE N(id INT64 PRIMARY KEY, text STRING)").expect("a table");
    let make = |keys: i64| {
        format!("UNWIND range(1, 240000) AS i CREATE (:N {{id: i % {keys}, text: 'text of ' + string(i)}})")
    };
    let error = connection.query(&make(239_999)).expect_err("a key comes twice");
    assert!(error.message().contains("primary key"), "{error}");
    let count = |text: &str| {
        connection.query(text).expect("rows").first().expect("a row").get::<i64>(0).expect("a number")
    };
    assert_eq!(count("MATCH (n:N) RETURN count(*)"), 0);
    connection.query(&make(240_000)).expect("all keys differ");
    assert_eq!(count("MATCH (n:N) RETURN count(DISTINCT n.id)"), 240_000);
    assert!(connection.query("CREATE (:N {id: 7})").is_err());
}

#[test]
fn transactions_and_loads_meet() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("u.csv");
    let rows: String = (0..500).map(|i| format!("{},l{i},{}\n", 10_000 + i, -i - 1)).collect();
    std::fs::write(&file, rows).expect("a file");
    let copy = format!("COPY U FROM '{}' (header = false)", file.display());
    let graph = graph();
    graph.run("CREATE (:U {id: 1, code: 'a'})");
    graph.run(&copy);
    taken(&graph, "CREATE (:U {id: 2, code: 'l7'})");
    graph.run("BEGIN TRANSACTION");
    graph.run("CREATE (:U {id: 3, code: 'own'})");
    graph.run("MATCH (u:U {code: 'l7'}) SET u.code = 'm7'");
    assert!(graph.connection.query("CREATE (:U {id: 4, code: 'own'})").is_err());
    graph.run("CREATE (:U {id: 4, code: 'l7'})");
    let other = graph.database.connect().expect("a connection");
    let mine = "BEGIN TRANSACTION; CREATE (:U {id: 5, code: 'own'})";
    assert_eq!(other.query(mine).expect_err("held").kind(), ErrorKind::Conflict);
    other.query("ROLLBACK").expect("the end");
    graph.run("ROLLBACK");
    other.query("CREATE (:U {id: 5, code: 'own'})").expect("free again");
    taken(&graph, "CREATE (:U {id: 4, code: 'l7'})");
    // A load inside a transaction, and writes around it.
    let more = folder.path().join("more.csv");
    std::fs::write(&more, "20000,more,1\n").expect("a file");
    graph.run("BEGIN TRANSACTION");
    graph.run("CREATE (:U {id: 6, code: 'before'})");
    graph.run(&format!("COPY U FROM '{}' (header = false)", more.display()));
    graph.run("CREATE (:U {id: 7, code: 'after'})");
    assert!(graph.connection.query("CREATE (:U {id: 8, code: 'more'})").is_err());
    graph.run("COMMIT");
    for code in ["before", "more", "after", "own", "l499"] {
        taken(&graph, &format!("CREATE (:U {{id: 9, code: '{code}'}})"));
    }
}

#[test]
fn what_is_on_disk_counts() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("graph");
    let open = || Database::open(&path).expect("a database");
    {
        let connection = open().connect().expect("a connection");
        connection.query("CREATE NODE TABLE U(id INT64 PRIMARY KEY, code STRING UNIQUE)").expect("a table");
        connection.query("UNWIND range(1, 100) AS i CREATE (:U {id: i, code: string(i)})").expect("rows");
    }
    let database = open();
    let connection = database.connect().expect("a connection");
    connection.query("CREATE (:U {id: 0, code: '55'})").expect_err("taken");
    connection.query("CREATE (:U {id: 0, code: '555'})").expect("free");
}

#[test]
fn many_writers_keep_values_apart() {
    let graph = graph();
    std::thread::scope(|scope| {
        for thread in 0..4_i64 {
            let connection = graph.database.connect().expect("a connection");
            scope.spawn(move || {
                for i in 0..100_i64 {
                    let id = thread * 1000 + i;
                    // All want the same fifty values.
                    let _ = connection.query(&format!("CREATE (:U {{id: {id}, code: 'v{}'}})", i % 50));
                    if i % 3 == 0 {
                        let _ = connection.query(&format!("MATCH (u:U {{id: {id}}}) DELETE u"));
                    }
                }
            });
        }
    });
    graph.check("MATCH (u:U) WITH u.code AS code, count(*) AS n WHERE n > 1 RETURN count(*)", "0");
    graph.check("MATCH (u:U) RETURN count(DISTINCT u.code) >= 33", "true");
}
