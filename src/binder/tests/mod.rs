//! Tests over a small catalog: a text and what it means in one line, or the mistake and the part of the text it is at.

mod benchmarks;
mod definitions;
mod errors;
mod expressions;
mod patterns;
mod projections;
mod writes;

use super::BoundStatement;
use super::bind::{BinderSettings, ParameterTypes, bind};
use super::describe::describe;
use super::error::{BindError, BindErrorKind};
use crate::catalog::{Catalog, Dialect, SchemaMode};
use crate::parser::parse_statement;
use crate::types::{DataType, TimestampUnit};

/// Applies definitions one after another.
pub(super) fn catalog_of(definitions: &[&str]) -> Catalog {
    let mut catalog = Catalog::new(Dialect::OpenCypher, SchemaMode::Strict);
    for definition in definitions {
        match bind_text(definition, &catalog, Dialect::OpenCypher) {
            Ok(BoundStatement::CreateNodeTable { schema, .. }) => {
                catalog.create_node_table(schema).unwrap();
            }
            Ok(BoundStatement::CreateRelTable { schema, .. }) => {
                catalog.create_rel_type(schema).unwrap();
            }
            other => panic!("{definition}: {other:?}"),
        }
    }
    catalog
}

/// People, cities and posts.
pub(super) fn social() -> Catalog {
    catalog_of(&[
        "CREATE NODE TABLE Person(id INT64 PRIMARY KEY, name STRING, age INT32, born DATE, tags STRING[], score DOUBLE)",
        "CREATE NODE TABLE City(id INT64 PRIMARY KEY, name STRING, place STRUCT(x DOUBLE, y DOUBLE))",
        "CREATE NODE TABLE Post(id STRING PRIMARY KEY, text STRING)",
        "CREATE REL TABLE Knows(FROM Person TO Person, since INT64)",
        "CREATE REL TABLE LivesIn(FROM Person TO City)",
        "CREATE REL TABLE Likes(FROM Person TO Post, FROM Person TO City, weight DOUBLE)",
    ])
}

pub(super) fn bind_text(
    text: &str,
    catalog: &Catalog,
    dialect: Dialect,
) -> Result<BoundStatement, BindError> {
    let statement = parse_statement(text).unwrap_or_else(|error| panic!("{text}: {error}"));
    let parameters: ParameterTypes = [
        ("i", DataType::Int64),
        ("s", DataType::String),
        ("l", DataType::list(DataType::Int64)),
        ("t", DataType::Timestamp(TimestampUnit::Us)),
    ]
    .into_iter()
    .collect();
    bind(&statement, text, catalog, &parameters, &BinderSettings { dialect })
}

#[track_caller]
fn check_in(dialect: Dialect, catalog: &Catalog, text: &str, expected: &str) {
    match bind_text(text, catalog, dialect) {
        Ok(bound) => assert_eq!(describe(&bound, catalog), expected, "{text}"),
        Err(error) => panic!("{text}: {error} at {:?}", error.span.of(text)),
    }
}

/// The meaning in openCypher over the social catalog.
#[track_caller]
pub(super) fn check(text: &str, expected: &str) {
    check_in(Dialect::OpenCypher, &social(), text, expected);
}

/// The meaning in Kuzu's dialect.
#[track_caller]
pub(super) fn check_kuzu(text: &str, expected: &str) {
    check_in(Dialect::Kuzu, &social(), text, expected);
}

/// The mistake, and what of the text it points at.
#[track_caller]
pub(super) fn check_error(text: &str, kind: BindErrorKind, at: &str) -> BindError {
    match bind_text(text, &social(), Dialect::OpenCypher) {
        Ok(bound) => panic!("{text}: {}", describe(&bound, &social())),
        Err(error) => {
            assert_eq!((error.kind, error.span.of(text)), (kind, at), "{text}: {error}");
            assert!(error.line >= 1 && error.column >= 1, "{text}: {error:?}");
            error
        }
    }
}
