//! Random statements beside a plain graph in memory: after each one both hold the same, and the statement says that it
//! changed what the plain graph changed. Vectors of three rows, checkpoints and transactions come in between.

use std::collections::BTreeMap;

use quiredb::{ChangeCounts, Connection, Database, Params, Value, params};

use super::rows;
use super::support::random::Random;
use super::support::{is_long, number_of};

#[derive(Debug, Clone, PartialEq, Default)]
struct Node {
    name: Option<String>,
    age: Option<i64>,
}

#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Rel {
    from: i64,
    to: i64,
    since: Option<i64>,
}

/// The plain graph. Relationships have numbers, so that two equal ones are two.
#[derive(Debug, Clone, Default)]
struct Model {
    nodes: BTreeMap<i64, Node>,
    rels: BTreeMap<u64, Rel>,
    next_rel: u64,
}

/// What a statement does; `None` when it has to fail.
type Expected = Option<ChangeCounts>;

impl Model {
    fn add_rel(&mut self, from: i64, to: i64, since: Option<i64>) -> u64 {
        self.next_rel += 1;
        self.rels.insert(self.next_rel, Rel { from, to, since });
        self.next_rel
    }

    fn found(&self, from: i64, to: i64, since: Option<i64>) -> Vec<u64> {
        let same = |rel: &Rel| rel.from == from && rel.to == to && since.is_none_or(|s| rel.since == Some(s));
        self.rels.iter().filter(|(_, rel)| same(rel)).map(|(number, _)| *number).collect()
    }

    fn text(&self) -> (String, String) {
        let number = |value: &Option<i64>| value.map_or(String::new(), |number| number.to_string());
        let nodes = self.nodes.iter().map(|(id, node)| {
            format!("{id}|{}|{}", node.name.clone().unwrap_or_default(), number(&node.age))
        });
        let mut rels: Vec<&Rel> = self.rels.values().collect();
        // NULL comes last.
        rels.sort_by_key(|rel| (rel.from, rel.to, rel.since.is_none(), rel.since));
        let rels = rels.iter().map(|rel| format!("{}|{}|{}", rel.from, rel.to, number(&rel.since)));
        (nodes.collect::<Vec<_>>().join(" "), rels.collect::<Vec<_>>().join(" "))
    }
}

fn list(values: &[i64]) -> Value {
    Value::List(values.iter().map(|value| Value::Int64(*value)).collect())
}

fn pairs(values: &[(i64, i64)]) -> Value {
    Value::List(values.iter().map(|(a, b)| list(&[*a, *b])).collect())
}

/// A statement with its parameters and what it makes of the plain graph.
fn statement(random: &mut Random, model: &mut Model) -> (String, Params, Expected) {
    const IDS: u64 = 14;
    let ids: Vec<i64> = (0..1 + random.below(6)).map(|_| random.below(IDS) as i64).collect();
    let edges: Vec<(i64, i64)> =
        (0..1 + random.below(6)).map(|_| (random.below(IDS) as i64, random.below(IDS) as i64)).collect();
    let x = random.below(5) as i64;
    let mut c = ChangeCounts::default();
    let known =
        |model: &Model, (a, b): &(i64, i64)| model.nodes.contains_key(a) && model.nodes.contains_key(b);
    match random.below(13) {
        0 | 1 => {
            for id in &ids {
                match model.nodes.get_mut(id) {
                    Some(node) => {
                        let age = node.age.map(|age| age + 1);
                        c.properties_set += u64::from(age.is_some());
                        node.age = age;
                    }
                    None => {
                        model.nodes.insert(*id, Node { name: None, age: Some(x) });
                        c.nodes_created += 1;
                        c.labels_added += 1;
                        c.properties_set += 2;
                    }
                }
            }
            let text = "UNWIND $ids AS i MERGE (n:P {id: i}) ON CREATE SET n.age = $x ON MATCH SET n.age = n.age + 1";
            (text.into(), params! { ids: list(&ids), x: x }, Some(c))
        }
        2 => {
            for edge in edges.iter().filter(|edge| known(model, edge)).cloned().collect::<Vec<_>>() {
                model.add_rel(edge.0, edge.1, Some(x));
                c.rels_created += 1;
                c.properties_set += 1;
            }
            let text = "UNWIND $edges AS e MATCH (a:P {id: e[0]}), (b:P {id: e[1]}) CREATE (a)-[:K {since: $x}]->(b)";
            (text.into(), params! { edges: pairs(&edges), x: x }, Some(c))
        }
        3 => {
            // What a row finds depends on what earlier rows have set.
            for (a, b) in edges.iter().filter(|edge| known(model, edge)).cloned().collect::<Vec<_>>() {
                let found = model.found(a, b, Some(x));
                c.properties_set += found.len() as u64;
                for number in &found {
                    model.rels.get_mut(number).expect("found").since = Some(x + 1);
                }
                if found.is_empty() {
                    model.add_rel(a, b, Some(x));
                    c.rels_created += 1;
                    c.properties_set += 1;
                }
            }
            let text = "UNWIND $edges AS e MATCH (a:P {id: e[0]}), (b:P {id: e[1]}) \
                        MERGE (a)-[r:K {since: $x}]->(b) ON MATCH SET r.since = r.since + 1";
            (text.into(), params! { edges: pairs(&edges), x: x }, Some(c))
        }
        4 => {
            for (a, b) in edges.iter().filter(|edge| known(model, edge)).cloned().collect::<Vec<_>>() {
                if model.found(a, b, None).is_empty() {
                    model.add_rel(a, b, None);
                    c.rels_created += 1;
                }
            }
            let text = "UNWIND $edges AS e MATCH (a:P {id: e[0]}), (b:P {id: e[1]}) MERGE (a)-[:K]->(b)";
            (text.into(), params! { edges: pairs(&edges) }, Some(c))
        }
        5 => {
            for (a, b) in edges.iter().filter(|edge| known(model, edge)).collect::<Vec<_>>() {
                let sum = model.nodes[a].age.zip(model.nodes[b].age).map(|(a, b)| (a + b) % 100);
                let node = model.nodes.get_mut(b).expect("known");
                c.properties_set += u64::from(sum.is_some() || node.age.is_some());
                node.age = sum;
                node.name = Some(format!("{a}"));
                c.properties_set += 1;
            }
            let text = "UNWIND $edges AS e MATCH (a:P {id: e[0]}), (b:P {id: e[1]}) \
                        SET b.age = (a.age + b.age) % 100, b.name = toString(a.id)";
            (text.into(), params! { edges: pairs(&edges) }, Some(c))
        }
        6 => {
            for id in &ids[..1] {
                if model.nodes.remove(id).is_some() {
                    c.nodes_deleted += 1;
                    let before = model.rels.len();
                    model.rels.retain(|_, rel| rel.from != *id && rel.to != *id);
                    c.rels_deleted += (before - model.rels.len()) as u64;
                }
            }
            ("MATCH (n:P {id: $id}) DETACH DELETE n".into(), params! { id: ids[0] }, Some(c))
        }
        7 => {
            let before = model.rels.len();
            model.rels.retain(|_, rel| rel.since != Some(x));
            c.rels_deleted += (before - model.rels.len()) as u64;
            ("MATCH (a:P)-[r:K]->(b:P) WHERE r.since = $x DELETE r".into(), params! { x: x }, Some(c))
        }
        8 => {
            for node in model.nodes.values_mut().filter(|node| node.age.is_some_and(|age| age % 3 == 0)) {
                node.age = node.age.map(|age| age + x);
                node.name = node.age.map(|age| age.to_string());
                c.properties_set += 2;
            }
            let text = "MATCH (n:P) WHERE n.age % 3 = 0 SET n.age = n.age + $x, n.name = toString(n.age)";
            (text.into(), params! { x: x }, Some(c))
        }
        9 => {
            let ages: BTreeMap<i64, Option<i64>> =
                model.nodes.iter().map(|(id, node)| (*id, node.age)).collect();
            for rel in model.rels.values_mut().filter(|rel| rel.from == ids[0]) {
                c.properties_set += u64::from(ages[&rel.to].is_some() || rel.since.is_some());
                rel.since = ages[&rel.to];
            }
            let text = "MATCH (a:P {id: $id})-[r:K]->(b:P) SET r = {since: b.age}";
            (text.into(), params! { id: ids[0] }, Some(c))
        }
        10 => {
            let (a, b) = edges[0];
            if model.found(a, b, Some(x)).is_empty() {
                if a == b || model.nodes.contains_key(&a) || model.nodes.contains_key(&b) {
                    let text = "MERGE (a:P {id: $a})-[:K {since: $x}]->(b:P {id: $b})";
                    return (text.into(), params! { a: a, b: b, x: x }, None);
                }
                model.nodes.insert(a, Node::default());
                model.nodes.insert(b, Node::default());
                model.add_rel(a, b, Some(x));
                c = ChangeCounts {
                    nodes_created: 2,
                    rels_created: 1,
                    properties_set: 3,
                    labels_added: 2,
                    ..c
                };
            }
            let text = "MERGE (a:P {id: $a})-[:K {since: $x}]->(b:P {id: $b})";
            (text.into(), params! { a: a, b: b, x: x }, Some(c))
        }
        11 => {
            let mut fresh = model.clone();
            for id in &ids {
                let taken =
                    fresh.nodes.insert(*id, Node { name: Some("new".into()), age: Some(*id) }).is_some();
                if taken {
                    let text = "UNWIND $ids AS i CREATE (:P {id: i, name: 'new', age: i})";
                    return (text.into(), params! { ids: list(&ids) }, None);
                }
                c.nodes_created += 1;
                c.labels_added += 1;
                c.properties_set += 3;
            }
            *model = fresh;
            let text = "UNWIND $ids AS i CREATE (:P {id: i, name: 'new', age: i})";
            (text.into(), params! { ids: list(&ids) }, Some(c))
        }
        _ => {
            let id = ids[0];
            let attached = model.rels.values().any(|rel| rel.from == id || rel.to == id);
            let text = "MATCH (n:P {id: $id}) DELETE n";
            if attached {
                return (text.into(), params! { id: id }, None);
            }
            c.nodes_deleted = u64::from(model.nodes.remove(&id).is_some());
            (text.into(), params! { id: id }, Some(c))
        }
    }
}

#[track_caller]
fn check_same(connection: &Connection, model: &Model, context: &str) {
    let (nodes, rels) = model.text();
    let ask = |text: &str| rows(&connection.query(text).unwrap_or_else(|error| panic!("{context}: {error}")));
    assert_eq!(ask("MATCH (n:P) RETURN n.id, n.name, n.age ORDER BY n.id"), nodes, "{context}");
    let forward = "MATCH (a:P)-[r:K]->(b:P) RETURN a.id, b.id, r.since ORDER BY a.id, b.id, r.since";
    assert_eq!(ask(forward), rels, "{context}");
    let backward =
        "MATCH (b:P)<-[r:K]-(a:P) WHERE b.id >= 0 RETURN a.id, b.id, r.since ORDER BY a.id, b.id, r.since";
    assert_eq!(ask(backward), rels, "{context}");
}

fn run(seed: u64, steps: usize) {
    let mut random = Random::new(seed);
    let size = if random.one_in(2) { 3 } else { 2048 };
    let database = Database::builder().vector_size(size).in_memory().expect("a database");
    let connection = database.connect().expect("a connection");
    for definition in [
        "CREATE NODE TABLE P(id INT64 PRIMARY KEY, name STRING, age INT64)",
        "CREATE REL TABLE K(FROM P TO P, since INT64)",
    ] {
        connection.query(definition).expect(definition);
    }
    let mut model = Model::default();
    let mut held: Option<Model> = None;
    for step in 0..steps {
        if random.one_in(12) {
            match held.take() {
                None => {
                    connection.query("BEGIN TRANSACTION").expect("begun");
                    held = Some(model.clone());
                }
                Some(before) if random.one_in(2) => {
                    connection.query("ROLLBACK").expect("rolled back");
                    model = before;
                }
                Some(_) => {
                    connection.query("COMMIT").expect("committed");
                }
            }
        }
        if held.is_none() && random.one_in(15) {
            database.checkpoint().expect("a checkpoint");
        }
        let (text, params, expected) = statement(&mut random, &mut model);
        let context = format!("seed {seed}, step {step}: {text} {params:?}");
        match (connection.query_with(&text, params), expected) {
            (Ok(result), Some(counts)) => assert_eq!(result.summary().changes, counts, "{context}"),
            (Err(_), None) => {}
            (Ok(_), None) => panic!("{context} must fail"),
            (Err(error), Some(_)) => panic!("{context}: {error}"),
        }
        check_same(&connection, &model, &context);
    }
}

#[test]
fn random_statements_do_what_a_plain_graph_does() {
    if let Some(seed) = number_of("QUIRE_SEED") {
        return run(seed, 400);
    }
    for seed in 0..if is_long() { 500 } else { 5 } {
        run(seed, 60);
    }
}
