//! The plain graph, and what a database says that should be the same.

use std::collections::BTreeMap;

use quiredb::Connection;

use crate::support::rows;

pub const DEFINITIONS: &str = "\
    CREATE NODE TABLE Person(id INT64, name STRING, value INT64, PRIMARY KEY (id));\
    CREATE NODE TABLE City(name STRING, size INT64, PRIMARY KEY (name));\
    CREATE REL TABLE Knows(FROM Person TO Person, tag INT64, weight DOUBLE);\
    CREATE REL TABLE Lives(FROM Person TO City, since INT64, MANY_ONE)";

#[derive(Debug, Clone, PartialEq)]
pub struct Person {
    pub name: String,
    pub value: Option<i64>,
}

#[derive(Debug, Clone, PartialEq)]
pub struct Knows {
    pub from: i64,
    pub to: i64,
    pub weight: f64,
}

/// What the database should hold.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Graph {
    pub persons: BTreeMap<i64, Person>,
    pub cities: BTreeMap<String, i64>,
    /// By tag.
    pub knows: BTreeMap<i64, Knows>,
    /// By person.
    pub lives: BTreeMap<i64, (String, i64)>,
}

impl Graph {
    /// Whether a person has a relationship.
    pub fn is_connected(&self, id: i64) -> bool {
        self.lives.contains_key(&id) || self.knows.values().any(|edge| edge.from == id || edge.to == id)
    }

    /// Takes the relationships of a person away.
    pub fn detach(&mut self, id: i64) {
        self.lives.remove(&id);
        self.knows.retain(|_, edge| edge.from != id && edge.to != id);
    }

    /// What `contents` should give.
    pub fn lines(&self) -> Vec<String> {
        let number = |value: &Option<i64>| value.map_or("NULL".to_owned(), |value| value.to_string());
        let person =
            |(id, person): (&i64, &Person)| format!("person {id}|{}|{}", person.name, number(&person.value));
        let mut lines: Vec<String> = self.persons.iter().map(person).collect();
        lines.extend(self.cities.iter().map(|(name, size)| format!("city {name}|{size}")));
        for direction in ["along", "against"] {
            let knows = self.knows.iter();
            lines.extend(knows.map(|(tag, edge)| {
                format!("knows {direction} {tag}|{}|{}|{:?}", edge.from, edge.to, edge.weight)
            }));
            let lives = self.lives.iter();
            lines.extend(lives.map(|(id, (city, since))| format!("lives {direction} {id}|{city}|{since}")));
        }
        let persons = self.persons.keys().map(|id| {
            let out = self.knows.values().filter(|edge| edge.from == *id).count();
            let degree = out + self.knows.values().filter(|edge| edge.to == *id).count();
            format!("degree {id}|{degree}")
        });
        lines.extend(persons);
        lines.push(format!("persons {}", self.persons.len()));
        lines.push(format!("edges {}", self.knows.len()));
        lines.sort();
        lines
    }
}

/// What each query should say, with a word before each of its rows.
const QUERIES: &[(&str, &str)] = &[
    ("person", "MATCH (p:Person) RETURN p.id, p.name, p.value"),
    ("city", "MATCH (c:City) RETURN c.name, c.size"),
    ("knows along", "MATCH (a:Person)-[k:Knows]->(b:Person) RETURN k.tag, a.id, b.id, k.weight"),
    (
        "knows against",
        "MATCH (b:Person) WITH b MATCH (b)<-[k:Knows]-(a:Person) RETURN k.tag, a.id, b.id, k.weight",
    ),
    ("lives along", "MATCH (p:Person)-[l:Lives]->(c:City) RETURN p.id, c.name, l.since"),
    ("lives against", "MATCH (c:City) WITH c MATCH (c)<-[l:Lives]-(p:Person) RETURN p.id, c.name, l.since"),
    ("persons", "MATCH (p:Person) RETURN count(*)"),
    ("edges", "MATCH ()-[k:Knows]->() RETURN count(*)"),
];

/// All rows of the database, sorted; through scans, both directions of relationships, and the key index.
pub fn contents(connection: &Connection) -> Vec<String> {
    let mut lines = Vec::new();
    for (word, query) in QUERIES {
        lines.extend(rows(connection, query).into_iter().map(|row| format!("{word} {row}")));
    }
    let ids = rows(connection, "MATCH (p:Person) RETURN p.id");
    for id in ids {
        // By its key; an undirected pattern counts a loop once, and the model counts it at both of its ends.
        let out = rows(connection, &format!("MATCH (p:Person {{id: {id}}}) RETURN p.id"));
        assert_eq!(out, std::slice::from_ref(&id), "the key index does not know person {id}");
        let degree = |pattern: &str| {
            let query = format!("MATCH (p:Person {{id: {id}}}){pattern} RETURN count(*)");
            rows(connection, &query)[0].parse::<i64>().unwrap()
        };
        lines.push(format!("degree {id}|{}", degree("-[:Knows]->()") + degree("<-[:Knows]-()")));
    }
    lines.sort();
    lines
}
