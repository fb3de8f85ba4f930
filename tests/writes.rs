//! CREATE, MERGE, SET, REMOVE and DELETE through the public API.

#[path = "writes/calls.rs"]
mod calls;
#[path = "writes/checks.rs"]
mod checks;
#[path = "writes/create.rs"]
mod create;
#[path = "writes/definitions.rs"]
mod definitions;
#[path = "writes/delete.rs"]
mod delete;
#[path = "writes/early.rs"]
mod early;
#[path = "writes/early_beside.rs"]
mod early_beside;
#[path = "writes/errors.rs"]
mod errors;
#[path = "writes/extremes.rs"]
mod extremes;
#[path = "writes/loads.rs"]
mod loads;
#[path = "writes/merge.rs"]
mod merge;
#[path = "writes/model.rs"]
mod model;
#[path = "writes/patches.rs"]
mod patches;
#[path = "writes/plans.rs"]
mod plans;
#[path = "writes/set.rs"]
mod set;
#[path = "writes/transactions.rs"]
mod transactions;
#[path = "writes/unique.rs"]
mod unique;
#[path = "writes/visibility.rs"]
mod visibility;

mod support;

use quiredb::{Connection, Database, QueryResult, Value};

/// A small schema without rows.
struct Graph {
    database: Database,
    connection: Connection,
}

impl Graph {
    fn new() -> Graph {
        let database = Database::in_memory().expect("a database in memory");
        let connection = database.connect().expect("a connection");
        let graph = Graph { database, connection };
        for definition in [
            "CREATE NODE TABLE P(id INT64 PRIMARY KEY, name STRING, age INT64)",
            "CREATE NODE TABLE C(id INT64 PRIMARY KEY, name STRING)",
            "CREATE REL TABLE K(FROM P TO P, since INT64)",
            "CREATE REL TABLE Lives(FROM P TO C)",
            "CREATE REL TABLE Likes(FROM P TO P, FROM P TO C)",
        ] {
            graph.run(definition);
        }
        graph
    }

    #[track_caller]
    fn run(&self, text: &str) -> QueryResult {
        self.connection.query(text).unwrap_or_else(|error| panic!("{text}: {error}"))
    }

    /// The rows of a statement, see `rows`.
    #[track_caller]
    fn check(&self, text: &str, expected: &str) {
        assert_eq!(rows(&self.run(text)), expected, "{text}");
    }

    /// Nodes created and deleted, relationships created and deleted, properties set, labels added.
    #[track_caller]
    fn counts(&self, text: &str, expected: [u64; 6]) {
        let result = self.run(text);
        let changes = result.summary().changes;
        let found = [
            changes.nodes_created,
            changes.nodes_deleted,
            changes.rels_created,
            changes.rels_deleted,
            changes.properties_set,
            changes.labels_added,
        ];
        assert_eq!(found, expected, "{text}");
        assert!(result.summary().wrote, "{text}");
    }

    /// The message of a statement that must fail.
    #[track_caller]
    fn fails(&self, text: &str) -> String {
        match self.connection.query(text) {
            Ok(result) => panic!("{text}: {}", rows(&result)),
            Err(error) => error.message().to_owned(),
        }
    }
}

/// Rows between spaces, values between bars, NULL as nothing.
fn rows(result: &QueryResult) -> String {
    let value = |value: &Value| match value {
        Value::Null => String::new(),
        other => other.to_string(),
    };
    let row = |values: Vec<Value>| values.iter().map(value).collect::<Vec<_>>().join("|");
    result.to_values().into_iter().map(row).collect::<Vec<_>>().join(" ")
}

/// The number that a query gives.
#[track_caller]
fn ints(graph: &Graph, text: &str) -> i64 {
    graph.run(text).first().expect("a row").get(0).expect("a number")
}
