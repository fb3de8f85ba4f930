//! Writing statements inside explicit transactions.

use quiredb::{ErrorKind, params};

use super::{Graph, rows};

#[test]
fn statements_of_a_transaction_see_each_other_and_end_together() {
    let graph = Graph::new();
    let other = graph.database.connect().expect("a connection");
    let transaction = graph.connection.begin().expect("a transaction");
    let run = |text: &str| rows(&transaction.query(text).unwrap_or_else(|error| panic!("{text}: {error}")));
    run("CREATE (:P {id: 1})-[:K {since: 1}]->(:P {id: 2})");
    assert_eq!(run("MATCH (a:P)-[r:K]->(b) RETURN a.id, r.since, b.id"), "1|1|2");
    assert_eq!(run("MATCH (n:P {id: 2}) SET n.age = 7 RETURN n.age"), "7");
    assert_eq!(rows(&other.query("MATCH (n:P) RETURN count(*)").unwrap()), "0");
    assert_eq!(run("MERGE (n:P {id: 2}) RETURN n.age"), "7");
    transaction.commit().expect("committed");
    assert_eq!(rows(&other.query("MATCH (n:P) RETURN count(*), sum(n.age)").unwrap()), "2|7");
}

#[test]
fn a_failed_statement_undoes_itself_only() {
    let graph = Graph::new();
    let transaction = graph.connection.begin().expect("a transaction");
    transaction.query("CREATE (:P {id: 1})").unwrap();
    let error = transaction.query("UNWIND [2, 3, 1] AS i CREATE (:P {id: i})").expect_err("a key twice");
    assert_eq!(error.kind(), ErrorKind::Constraint);
    transaction
        .query("CREATE (a:P {id: 5}) WITH a UNWIND [1, 0] AS i SET a.age = 1 / i")
        .expect_err("division");
    assert_eq!(rows(&transaction.query("MATCH (n:P) RETURN n.id").unwrap()), "1");
    transaction.query("CREATE (:P {id: 2})").unwrap();
    transaction.commit().expect("committed");
    graph.check("MATCH (n:P) RETURN n.id ORDER BY n.id", "1 2");
}

#[test]
fn rollback_forgets_everything() {
    let graph = Graph::new();
    graph.run("CREATE (:P {id: 1})");
    graph.run("BEGIN TRANSACTION");
    graph.run("MATCH (n:P) DETACH DELETE n");
    graph.run("CREATE (:P {id: 2})");
    graph.check("MATCH (n:P) RETURN n.id", "2");
    graph.run("ROLLBACK");
    graph.check("MATCH (n:P) RETURN n.id", "1");
    drop(graph.connection.begin().map(|transaction| transaction.query("CREATE (:P {id: 3})").map(|_| ())));
    graph.check("MATCH (n:P) RETURN n.id", "1");
}

#[test]
fn a_read_only_transaction_refuses_to_write() {
    let graph = Graph::new();
    graph.run("BEGIN TRANSACTION READ ONLY");
    let error = graph.connection.query("CREATE (:P {id: 1})").expect_err("read-only");
    assert_eq!(error.kind(), ErrorKind::Transaction);
    graph.run("COMMIT");
    graph.check("MATCH (n:P) RETURN count(*)", "0");
}

#[test]
fn the_second_writer_of_a_row_is_told() {
    let graph = Graph::new();
    graph.run("CREATE (:P {id: 1, age: 0})");
    let other = graph.database.connect().expect("a connection");
    let first = graph.connection.begin().expect("a transaction");
    let second = other.begin().expect("a transaction");
    first.query("MATCH (n:P {id: 1}) SET n.age = 1").unwrap();
    let error = second.query("MATCH (n:P {id: 1}) SET n.age = 2").expect_err("a conflict");
    assert_eq!((error.kind(), error.is_retryable()), (ErrorKind::Conflict, true));
    first.commit().expect("committed");
    second.rollback().expect("rolled back");
    graph.check("MATCH (n:P) RETURN n.age", "1");
}

#[test]
fn statements_of_their_own_wait_and_run_again() {
    let graph = Graph::new();
    graph.run("CREATE (:P {id: 1, age: 0})");
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                let connection = graph.database.connect().expect("a connection");
                let add =
                    connection.prepare("MATCH (n:P {id: 1}) SET n.age = n.age + $by").expect("prepared");
                for _ in 0..50 {
                    add.execute_with(params! { by: 1 }).expect("added");
                }
            });
        }
    });
    graph.check("MATCH (n:P) RETURN n.age", "200");
    // The same for what is made once.
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                let connection = graph.database.connect().expect("a connection");
                for id in 100..130 {
                    let merge =
                        "MERGE (n:P {id: $id}) ON CREATE SET n.age = 1 ON MATCH SET n.age = n.age + 1";
                    connection.query_with(merge, params! { id: id }).expect("merged");
                }
            });
        }
    });
    graph.check("MATCH (n:P) WHERE n.id >= 100 RETURN count(*), sum(n.age)", "30|120");
}
