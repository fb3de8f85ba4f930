//! CREATE, MERGE, SET, REMOVE and DELETE through the public API.

#[path = "writes/plans.rs"]
mod plans;

use quiredb::{Connection, Database};

/// A database with these definitions and statements.
fn database(statements: &[&str]) -> (Database, Connection) {
    let database = Database::in_memory().expect("a database in memory");
    let connection = database.connect().expect("a connection");
    for statement in statements {
        connection.query(statement).unwrap_or_else(|error| panic!("{statement}: {error}"));
    }
    (database, connection)
}
