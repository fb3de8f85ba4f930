//! Random statements: their text, and what they do to the plain graph.

use crate::graph::{Graph, Knows, Person};
use crate::support::random::Random;

/// A statement and what it should do.
#[derive(Debug, Clone)]
pub enum Operation {
    Persons { first: i64, count: i64 },
    Person { id: i64, name: String, value: Option<i64> },
    City { name: String },
    Knows { tag: i64, from: i64, to: i64, weight: f64 },
    ManyKnows { tag: i64, from: i64, modulus: i64 },
    Moves { id: i64, city: String, since: i64 },
    Value { id: i64, value: Option<i64> },
    Values { modulus: i64, rest: i64, added: i64 },
    Rename { id: i64, name: String },
    Weight { tag: i64, weight: f64 },
    Weights { from: i64, factor: f64 },
    Forget { tag: i64 },
    Leave { id: i64 },
    Delete { id: i64 },
    Detach { id: i64 },
    DetachMany { modulus: i64, rest: i64 },
    Merge { id: i64, value: i64 },
    NewKey { id: i64, to: i64 },
}

/// Loads rows from a file, all or none: the statement, and whether it should succeed.
pub fn load(
    graph: &mut Graph,
    space: Space,
    folder: &std::path::Path,
    random: &mut Random,
) -> (String, bool) {
    match random.one_in(2) {
        true => load_persons(graph, space, folder, random),
        false => load_knows(graph, space, folder, random),
    }
}

/// Relationships between persons, some of whom may not exist.
fn load_knows(
    graph: &mut Graph,
    space: Space,
    folder: &std::path::Path,
    random: &mut Random,
) -> (String, bool) {
    let known: Vec<i64> = graph.persons.keys().copied().filter(|id| space.ids().contains(id)).collect();
    let end = |random: &mut Random| match random.one_in(20) || known.is_empty() {
        true => space.first + random.below(space.keys as u64) as i64,
        false => known[random.below(known.len() as u64) as usize],
    };
    let first = space.first + random.below(4 * space.keys as u64) as i64;
    let tags = (first..first + 1 + random.below(6) as i64).filter(|tag| !graph.knows.contains_key(tag));
    let edges: Vec<(i64, Knows)> = tags
        .map(|tag| {
            let (from, to) = (end(random), end(random));
            (tag, Knows { from, to, weight: random.below(50) as f64 / 2.0 })
        })
        .collect();
    let path = folder.join(format!("knows{}.csv", space.first));
    let line = |(tag, edge): &(i64, Knows)| format!("{},{},{tag},{}\n", edge.from, edge.to, edge.weight);
    std::fs::write(&path, edges.iter().map(line).collect::<String>()).unwrap();
    let text = format!("COPY Knows FROM '{}'", path.display());
    let there = |edge: &Knows| graph.persons.contains_key(&edge.from) && graph.persons.contains_key(&edge.to);
    if !edges.iter().all(|(_, edge)| there(edge)) {
        return (text, false);
    }
    graph.knows.extend(edges);
    (text, true)
}

fn load_persons(
    graph: &mut Graph,
    space: Space,
    folder: &std::path::Path,
    random: &mut Random,
) -> (String, bool) {
    let first = space.first + random.below(space.keys as u64) as i64;
    let ids = first..first + 1 + random.below(6) as i64;
    let path = folder.join(format!("load{}.csv", space.first));
    let line = |id: i64| format!("{id},loaded,{}\n", id % 11);
    std::fs::write(&path, ids.clone().map(line).collect::<String>()).unwrap();
    let text = format!("COPY Person FROM '{}'", path.display());
    if ids.clone().any(|id| graph.persons.contains_key(&id)) {
        return (text, false);
    }
    let person = |id: i64| (id, Person { name: "loaded".to_owned(), value: Some(id % 11) });
    graph.persons.extend(ids.map(person));
    (text, true)
}

/// How a client's keys and tags differ from other clients'.
#[derive(Debug, Clone, Copy)]
pub struct Space {
    pub first: i64,
    pub keys: i64,
}

impl Space {
    /// The keys of persons.
    pub fn ids(&self) -> std::ops::Range<i64> {
        self.first..self.first + self.keys
    }
}

impl Operation {
    /// The next statement; it fails on purpose now and then.
    pub fn random(random: &mut Random, space: Space) -> Operation {
        let key = |random: &mut Random| space.first + random.below(space.keys as u64) as i64;
        let tag = |random: &mut Random| space.first + random.below(4 * space.keys as u64) as i64;
        let small = |random: &mut Random| random.below(1000) as i64;
        let city = |random: &mut Random| format!("c{}-{}", space.first, random.below(5));
        let weight = |random: &mut Random| random.below(100) as f64 / 4.0;
        match random.below(24) {
            0 => Operation::Persons { first: key(random), count: 1 + random.below(12) as i64 },
            1..=4 => {
                let value = (!random.one_in(4)).then(|| small(random));
                Operation::Person { id: key(random), name: name(random), value }
            }
            5 => Operation::City { name: city(random) },
            6..=9 => {
                let (from, to) = (key(random), key(random));
                Operation::Knows { tag: tag(random), from, to, weight: weight(random) }
            }
            10 => Operation::ManyKnows {
                tag: tag(random),
                from: key(random),
                modulus: 2 + random.below(5) as i64,
            },
            11 => Operation::Moves { id: key(random), city: city(random), since: small(random) },
            12 | 13 => {
                let value = (!random.one_in(5)).then(|| small(random));
                Operation::Value { id: key(random), value }
            }
            14 => {
                let modulus = 2 + random.below(4) as i64;
                let rest = random.below(modulus as u64) as i64;
                Operation::Values { modulus, rest, added: small(random) }
            }
            15 => Operation::Rename { id: key(random), name: name(random) },
            16 => Operation::Weight { tag: tag(random), weight: weight(random) },
            17 => Operation::Weights { from: key(random), factor: 0.5 },
            18 => Operation::Forget { tag: tag(random) },
            19 => Operation::Leave { id: key(random) },
            20 => Operation::Delete { id: key(random) },
            21 if random.one_in(4) => {
                let modulus = 3 + random.below(5) as i64;
                Operation::DetachMany { modulus, rest: random.below(modulus as u64) as i64 }
            }
            21 => Operation::Detach { id: key(random) },
            22 => Operation::Merge { id: key(random), value: small(random) },
            _ => Operation::NewKey { id: key(random), to: key(random) },
        }
    }

    /// The statement.
    pub fn text(&self, space: Space) -> String {
        let null = |value: &Option<i64>| value.map_or("NULL".to_owned(), |value| value.to_string());
        let own = format!("p.id >= {} AND p.id < {}", space.first, space.first + space.keys);
        match self {
            Operation::Persons { first, count } => format!(
                "UNWIND range({first}, {}) AS i CREATE (:Person {{id: i, name: 'many', value: i % 7}})",
                first + count - 1
            ),
            Operation::Person { id, name, value } => {
                format!("CREATE (:Person {{id: {id}, name: '{name}', value: {}}})", null(value))
            }
            Operation::City { name } => format!(
                "MERGE (c:City {{name: '{name}'}}) ON CREATE SET c.size = 1 ON MATCH SET c.size = c.size + 1"
            ),
            Operation::Knows { tag, from, to, weight } => format!(
                "MATCH (a:Person {{id: {from}}}), (b:Person {{id: {to}}}) \
                 CREATE (a)-[:Knows {{tag: {tag}, weight: {weight:?}}}]->(b)"
            ),
            Operation::ManyKnows { tag, from, modulus } => format!(
                "MATCH (a:Person {{id: {from}}}), (p:Person) WHERE {own} AND p.id % {modulus} = 0 \
                 CREATE (a)-[:Knows {{tag: {tag} * 1000 + p.id - {}, weight: 1.0}}]->(p)",
                space.first
            ),
            Operation::Moves { id, city, since } => format!(
                "MATCH (a:Person {{id: {id}}}), (c:City {{name: '{city}'}}) CREATE (a)-[:Lives {{since: {since}}}]->(c)"
            ),
            Operation::Value { id, value } => {
                format!("MATCH (p:Person {{id: {id}}}) SET p.value = {}", null(value))
            }
            Operation::Values { modulus, rest, added } => {
                format!(
                    "MATCH (p:Person) WHERE {own} AND p.id % {modulus} = {rest} SET p.value = p.value + {added}"
                )
            }
            Operation::Rename { id, name } => {
                format!("MATCH (p:Person {{id: {id}}}) SET p += {{name: '{name}'}}")
            }
            Operation::Weight { tag, weight } => {
                format!("MATCH ()-[k:Knows {{tag: {tag}}}]->() SET k.weight = {weight:?}")
            }
            Operation::Weights { from, factor } => {
                format!("MATCH (:Person {{id: {from}}})-[k:Knows]->() SET k.weight = k.weight * {factor:?}")
            }
            Operation::Forget { tag } => format!("MATCH ()-[k:Knows {{tag: {tag}}}]->() DELETE k"),
            Operation::Leave { id } => format!("MATCH (:Person {{id: {id}}})-[l:Lives]->() DELETE l"),
            Operation::Delete { id } => format!("MATCH (p:Person {{id: {id}}}) DELETE p"),
            Operation::Detach { id } => format!("MATCH (p:Person {{id: {id}}}) DETACH DELETE p"),
            Operation::DetachMany { modulus, rest } => {
                format!("MATCH (p:Person) WHERE {own} AND p.id % {modulus} = {rest} DETACH DELETE p")
            }
            Operation::Merge { id, value } => format!(
                "MERGE (p:Person {{id: {id}}}) ON CREATE SET p.name = 'merged', p.value = {value} \
                 ON MATCH SET p.value = {value}"
            ),
            Operation::NewKey { id, to } => format!("MATCH (p:Person {{id: {id}}}) SET p.id = {to}"),
        }
    }

    /// Does it to the graph; whether the statement should succeed. A failed one leaves the graph as it was.
    pub fn apply(&self, graph: &mut Graph, space: Space) -> bool {
        let before = graph.clone();
        let done = self.try_apply(graph, space);
        if !done {
            *graph = before;
        }
        done
    }

    fn try_apply(&self, graph: &mut Graph, space: Space) -> bool {
        let own = space.first..space.first + space.keys;
        match self.clone() {
            Operation::Persons { first, count } => {
                for id in first..first + count {
                    let person = Person { name: "many".to_owned(), value: Some(id % 7) };
                    if graph.persons.insert(id, person).is_some() {
                        return false;
                    }
                }
            }
            Operation::Person { id, name, value } => {
                return graph.persons.insert(id, Person { name, value }).is_none();
            }
            Operation::City { name } => *graph.cities.entry(name).or_insert(0) += 1,
            Operation::Knows { tag, from, to, weight } => {
                // Tags are not a key: one in use would be there twice, so the model takes the tag as taken.
                if graph.persons.contains_key(&from) && graph.persons.contains_key(&to) {
                    graph.knows.insert(tag, Knows { from, to, weight });
                }
            }
            Operation::ManyKnows { tag, from, modulus } => {
                if graph.persons.contains_key(&from) {
                    let ends = graph.persons.keys().filter(|id| own.contains(id) && **id % modulus == 0);
                    for to in ends.copied().collect::<Vec<i64>>() {
                        let tag = tag * 1000 + to - space.first;
                        graph.knows.insert(tag, Knows { from, to, weight: 1.0 });
                    }
                }
            }
            Operation::Moves { id, city, since } => {
                if graph.persons.contains_key(&id) && graph.cities.contains_key(&city) {
                    return graph.lives.insert(id, (city, since)).is_none();
                }
            }
            Operation::Value { id, value } => {
                if let Some(person) = graph.persons.get_mut(&id) {
                    person.value = value;
                }
            }
            Operation::Values { modulus, rest, added } => {
                let hit =
                    graph.persons.iter_mut().filter(|(id, _)| own.contains(id) && **id % modulus == rest);
                hit.for_each(|(_, person)| person.value = person.value.map(|value| value + added));
            }
            Operation::Rename { id, name } => {
                if let Some(person) = graph.persons.get_mut(&id) {
                    person.name = name;
                }
            }
            Operation::Weight { tag, weight } => {
                if let Some(edge) = graph.knows.get_mut(&tag) {
                    edge.weight = weight;
                }
            }
            Operation::Weights { from, factor } => {
                let hit = graph.knows.values_mut().filter(|edge| edge.from == from);
                hit.for_each(|edge| edge.weight *= factor);
            }
            Operation::Forget { tag } => drop(graph.knows.remove(&tag)),
            Operation::Leave { id } => drop(graph.lives.remove(&id)),
            Operation::Delete { id } => {
                if graph.is_connected(id) {
                    return false;
                }
                graph.persons.remove(&id);
            }
            Operation::Detach { id } => {
                graph.detach(id);
                graph.persons.remove(&id);
            }
            Operation::DetachMany { modulus, rest } => {
                let hit = graph.persons.keys().filter(|id| own.contains(id) && **id % modulus == rest);
                for id in hit.copied().collect::<Vec<i64>>() {
                    graph.detach(id);
                    graph.persons.remove(&id);
                }
            }
            Operation::Merge { id, value } => {
                let fresh = Person { name: "merged".to_owned(), value: None };
                graph.persons.entry(id).or_insert(fresh).value = Some(value);
            }
            Operation::NewKey { id, to } => {
                if id == to || !graph.persons.contains_key(&id) {
                    return true;
                }
                if graph.persons.contains_key(&to) {
                    return false;
                }
                if let Some(person) = graph.persons.remove(&id) {
                    graph.persons.insert(to, person);
                }
                if let Some(home) = graph.lives.remove(&id) {
                    graph.lives.insert(to, home);
                }
                for edge in graph.knows.values_mut() {
                    for end in [&mut edge.from, &mut edge.to] {
                        if *end == id {
                            *end = to;
                        }
                    }
                }
            }
        }
        true
    }

    /// Whether the statement would make a second relationship with a tag that is in use: the model cannot say that.
    pub fn is_ambiguous(&self, graph: &Graph, space: Space) -> bool {
        match self {
            Operation::Knows { tag, .. } => graph.knows.contains_key(tag),
            Operation::ManyKnows { tag, .. } => {
                let range = tag * 1000..tag * 1000 + space.keys;
                graph.knows.range(range).next().is_some()
            }
            _ => false,
        }
    }
}

fn name(random: &mut Random) -> String {
    let lengths = [0, 3, 12, 13, 40];
    let length = lengths[random.below(5) as usize];
    (0..length).map(|_| char::from(b'a' + random.below(26) as u8)).collect()
}
