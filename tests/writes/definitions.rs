//! Definitions and loads between writes, and opening again.

use quiredb::Database;

use super::{Graph, rows};

#[test]
fn definitions_leave_written_rows() {
    let graph = Graph::new();
    graph.run("CREATE (:P {id: 1})-[:K {since: 4}]->(:P {id: 2})");
    graph.run("CREATE NODE TABLE Later(id INT64 PRIMARY KEY)");
    graph.run("CREATE (:Later {id: 5}), (:P {id: 3})");
    graph.check("MATCH (a:P)-[r:K]->(b) RETURN a.id, r.since, b.id", "1|4|2");
    graph.check("MATCH (n) RETURN count(*)", "4");
    graph.run("DROP TABLE Later");
    graph.check("MATCH (n) RETURN count(*)", "3");
    graph.check("MERGE (n:P {id: 3}) RETURN n.id", "3");
}

#[test]
fn loads_and_writes_stand_beside_each_other() {
    let graph = Graph::new();
    let directory = std::env::temp_dir().join(format!("quire-writes-{}", std::process::id()));
    std::fs::create_dir_all(&directory).expect("a directory");
    let file = directory.join("people.csv");
    std::fs::write(&file, "10,x,1\n11,y,2\n").expect("a file");
    graph.run("CREATE (:P {id: 1, name: 'w'})");
    graph.run(&format!("COPY P FROM '{}'", file.display()));
    graph.run("CREATE (:P {id: 2})");
    graph.check("MATCH (n:P) RETURN n.id, n.name ORDER BY n.id", "1|w 2| 10|x 11|y");
    graph.run("MATCH (n:P {id: 10}) SET n.name = 'z'");
    graph.fails(&format!("COPY P FROM '{}'", file.display()));
    graph.check("MATCH (n:P {id: 10}) RETURN n.name", "z");
    std::fs::remove_dir_all(&directory).expect("the directory is gone");
}

#[test]
fn what_was_written_is_there_after_opening_again() {
    let directory = std::env::temp_dir().join(format!("quire-reopened-{}", std::process::id()));
    let _ = std::fs::remove_dir_all(&directory);
    {
        let database = Database::open(&directory).expect("a database");
        let connection = database.connect().expect("a connection");
        for text in [
            "CREATE NODE TABLE P(id INT64 PRIMARY KEY, name STRING)",
            "CREATE REL TABLE K(FROM P TO P)",
            "UNWIND range(1, 100) AS i CREATE (:P {id: i, name: 'n' + toString(i)})",
            "MATCH (a:P), (b:P) WHERE b.id = a.id + 1 CREATE (a)-[:K]->(b)",
            "MATCH (n:P) WHERE n.id > 90 DETACH DELETE n",
            "MATCH (n:P {id: 1}) SET n.name = 'first'",
        ] {
            connection.query(text).unwrap_or_else(|error| panic!("{text}: {error}"));
        }
    }
    let database = Database::open(&directory).expect("the database");
    let connection = database.connect().expect("a connection");
    let check = |text: &str, expected: &str| {
        assert_eq!(rows(&connection.query(text).expect(text)), expected, "{text}")
    };
    check("MATCH (n:P) RETURN count(*), sum(n.id)", "90|4095");
    check("MATCH (:P)-[r:K]->(:P) RETURN count(*)", "89");
    check("MATCH (n:P {id: 1})-[:K]->(m) RETURN n.name, m.name", "first|n2");
    check("MERGE (n:P {id: 95}) RETURN n.name", "");
    drop(connection);
    database.close().expect("closed");
    std::fs::remove_dir_all(&directory).expect("the directory is gone");
}
