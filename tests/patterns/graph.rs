//! Random graphs: a plain copy of one, and the statements that make it in a database. A part is loaded into pages, the rest
//! is changed by statements, of which some come after the last checkpoint.

use std::path::Path;

use quiredb::Connection;

use crate::support::random::Random;

/// A value as the evaluator and the comparison of results see it; a variable's binding, too.
#[derive(Debug, Clone, PartialEq)]
pub enum V {
    Null,
    Bool(bool),
    Number(f64),
    Text(String),
    /// By position in the graph.
    Node(usize),
    Rel(usize),
    List(Vec<V>),
}

/// What a property is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    Integer,
    Double,
    Text,
}

pub const TABLES: [&str; 3] = ["A", "B", "C"];
/// Properties of nodes; not every table has each of them.
pub const NODE_PROPERTIES: [(&str, Kind, [bool; 3]); 4] = [
    ("id", Kind::Integer, [true, true, true]),
    ("x", Kind::Integer, [true, true, true]),
    ("s", Kind::Text, [true, false, true]),
    ("y", Kind::Double, [false, true, true]),
];

pub struct RelType {
    pub name: &'static str,
    /// Tables of both ends.
    pub pairs: &'static [(usize, usize)],
    pub has_text: bool,
}

pub const TYPES: [RelType; 6] = [
    RelType { name: "Knows", pairs: &[(0, 0)], has_text: true },
    RelType { name: "Has", pairs: &[(0, 1)], has_text: false },
    RelType { name: "In", pairs: &[(1, 2)], has_text: false },
    RelType { name: "Next", pairs: &[(2, 2)], has_text: false },
    RelType { name: "Back", pairs: &[(1, 0)], has_text: true },
    RelType { name: "Link", pairs: &[(0, 0), (0, 1), (1, 2)], has_text: true },
];
pub const REL_PROPERTIES: [(&str, Kind); 3] =
    [("tag", Kind::Integer), ("w", Kind::Integer), ("t", Kind::Text)];

const TEXTS: [&str; 8] =
    ["a", "ab", "abc", "b", "", "a rather long text that no view holds", "z", "a rather long text, again"];

#[derive(Debug, Clone)]
pub struct Node {
    pub table: usize,
    pub id: i64,
    /// In the order of `NODE_PROPERTIES`, the key left out.
    pub values: [V; 3],
}

#[derive(Debug, Clone)]
pub struct Rel {
    pub kind: usize,
    pub from: usize,
    pub to: usize,
    pub tag: i64,
    pub values: [V; 2],
}

/// A graph, and how it comes about. What was deleted leaves a hole.
#[derive(Debug, Clone, Default)]
pub struct Graph {
    pub nodes: Vec<Option<Node>>,
    pub rels: Vec<Option<Rel>>,
    steps: Vec<Step>,
}

#[derive(Debug, Clone)]
enum Step {
    Statement(String),
    Copy { table: String, options: String, lines: String },
}

/// How large a graph is.
#[derive(Debug, Clone, Copy)]
pub struct Size {
    pub nodes: u64,
    pub rels: u64,
    /// Different values of a property.
    pub distinct: u64,
}

fn number(random: &mut Random, size: Size) -> V {
    if random.one_in(6) { V::Null } else { V::Number(random.below(size.distinct) as f64) }
}

pub fn text(random: &mut Random) -> V {
    if random.one_in(7) { V::Null } else { V::Text(TEXTS[random.below(8) as usize].to_owned()) }
}

fn double(random: &mut Random, size: Size) -> V {
    if random.one_in(5) { V::Null } else { V::Number(random.below(size.distinct * 2) as f64 / 4.0) }
}

/// A value as a text of the language.
pub fn literal(value: &V, kind: Kind) -> String {
    match value {
        V::Null => "NULL".to_owned(),
        V::Bool(truth) => truth.to_string(),
        V::Number(number) if kind == Kind::Double => format!("{number:?}"),
        V::Number(number) => format!("{}", *number as i64),
        V::Text(text) => format!("'{text}'"),
        other => panic!("{other:?} is no constant"),
    }
}

/// A value as a field of a file.
fn field(value: &V) -> String {
    match value {
        V::Null => String::new(),
        V::Number(number) => number.to_string(),
        V::Text(text) => format!("\"{text}\""),
        other => panic!("{other:?} is in no file"),
    }
}

impl Graph {
    /// A graph from a seed.
    pub fn random(random: &mut Random, size: Size) -> Graph {
        let mut graph = Graph::default();
        graph.define();
        for table in 0..TABLES.len() {
            // Sometimes a table is empty, and sometimes a file comes in two parts.
            let rows = if random.one_in(16) { 0 } else { 1 + size.nodes / 3 + random.below(size.nodes) };
            let first = random.below(rows + 1);
            graph.copy_nodes(table, first, random, size);
            graph.copy_nodes(table, rows - first, random, size);
        }
        for (kind, of) in TYPES.iter().enumerate() {
            for pair in of.pairs {
                let rows = if random.one_in(16) { 0 } else { size.rels / 3 + random.below(size.rels) };
                let first = if random.one_in(2) { rows } else { random.below(rows + 1) };
                graph.copy_rels(kind, *pair, first, random, size);
                graph.copy_rels(kind, *pair, rows - first, random, size);
            }
        }
        for round in 0..2 {
            let changes = if random.one_in(4) { 0 } else { random.below(12) };
            (0..changes).for_each(|_| graph.change(random, size));
            if round == 0 && random.one_in(2) {
                graph.steps.push(Step::Statement("CHECKPOINT".to_owned()));
            }
        }
        graph
    }

    fn define(&mut self) {
        for (at, table) in TABLES.iter().enumerate() {
            let columns = NODE_PROPERTIES.iter().filter(|(_, _, has)| has[at]);
            let columns: Vec<String> =
                columns.map(|(name, kind, _)| format!("{name} {}", type_name(*kind))).collect();
            let text = format!("CREATE NODE TABLE {table}({}, PRIMARY KEY (id))", columns.join(", "));
            self.steps.push(Step::Statement(text));
        }
        for of in &TYPES {
            let pairs: Vec<String> =
                of.pairs.iter().map(|(a, b)| format!("FROM {} TO {}", TABLES[*a], TABLES[*b])).collect();
            let text = if of.has_text { ", t STRING" } else { "" };
            let text =
                format!("CREATE REL TABLE {}({}, tag INT64, w INT64{text})", of.name, pairs.join(", "));
            self.steps.push(Step::Statement(text));
        }
    }

    fn new_node(&mut self, table: usize, random: &mut Random, size: Size) -> Node {
        let id = (table * 10_000 + self.nodes.len()) as i64;
        let has = |at: usize| NODE_PROPERTIES[at].2[table];
        let mut values = [number(random, size), text(random), double(random, size)];
        (0..3).filter(|at| !has(at + 1)).for_each(|at| values[at] = V::Null);
        let node = Node { table, id, values };
        self.nodes.push(Some(node.clone()));
        node
    }

    fn copy_nodes(&mut self, table: usize, rows: u64, random: &mut Random, size: Size) {
        let mut lines = String::new();
        for _ in 0..rows {
            let node = self.new_node(table, random, size);
            let values = (0..3).filter(|at| NODE_PROPERTIES[at + 1].2[table]);
            let fields: Vec<String> = values.map(|at| field(&node.values[at])).collect();
            lines += &format!("{},{}\n", node.id, fields.join(","));
        }
        if rows > 0 {
            let table = TABLES[table].to_owned();
            self.steps.push(Step::Copy { table, options: String::new(), lines });
        }
    }

    /// A node of a table; some are met more often than others.
    fn any_node(&self, table: usize, random: &mut Random) -> Option<usize> {
        let of = |node: &Option<Node>| node.as_ref().is_some_and(|node| node.table == table);
        let all: Vec<usize> = (0..self.nodes.len()).filter(|at| of(&self.nodes[*at])).collect();
        let among = if random.one_in(2) { all.len() } else { all.len().min(4) };
        (!all.is_empty()).then(|| all[random.below(among as u64) as usize])
    }

    fn new_rel(&mut self, kind: usize, pair: (usize, usize), random: &mut Random, size: Size) -> Option<Rel> {
        let (from, to) = (self.any_node(pair.0, random)?, self.any_node(pair.1, random)?);
        let text = if TYPES[kind].has_text { text(random) } else { V::Null };
        let tag = 100_000 + self.rels.len() as i64;
        let rel = Rel { kind, from, to, tag, values: [number(random, size), text] };
        self.rels.push(Some(rel.clone()));
        Some(rel)
    }

    fn id(&self, node: usize) -> i64 {
        self.nodes[node].as_ref().expect("a node that is there").id
    }

    fn copy_rels(&mut self, kind: usize, pair: (usize, usize), rows: u64, random: &mut Random, size: Size) {
        let mut lines = String::new();
        for _ in 0..rows {
            let Some(rel) = self.new_rel(kind, pair, random, size) else { break };
            let text =
                if TYPES[kind].has_text { format!(",{}", field(&rel.values[1])) } else { String::new() };
            let (from, to) = (self.id(rel.from), self.id(rel.to));
            lines += &format!("{from},{to},{},{}{text}\n", rel.tag, field(&rel.values[0]));
        }
        if !lines.is_empty() {
            let options = format!(" (from = '{}', to = '{}')", TABLES[pair.0], TABLES[pair.1]);
            let options = if TYPES[kind].pairs.len() > 1 { options } else { String::new() };
            self.steps.push(Step::Copy { table: TYPES[kind].name.to_owned(), options, lines });
        }
    }

    fn matched(&self, name: &str, node: usize) -> String {
        let node = self.nodes[node].as_ref().expect("a node that is there");
        format!("({name}:{} {{id: {}}})", TABLES[node.table], node.id)
    }

    /// One statement that changes the graph.
    fn change(&mut self, random: &mut Random, size: Size) {
        let statement = match random.below(8) {
            0 | 1 => {
                let table = random.below(3) as usize;
                let node = self.new_node(table, random, size);
                let given = (0..3).filter(|at| node.values[*at] != V::Null);
                let given = given.map(|at| {
                    let (name, kind, _) = NODE_PROPERTIES[at + 1];
                    format!(", {name}: {}", literal(&node.values[at], kind))
                });
                format!("CREATE (:{} {{id: {}{}}})", TABLES[table], node.id, given.collect::<String>())
            }
            2..=4 => {
                let kind = random.below(TYPES.len() as u64) as usize;
                let pairs = TYPES[kind].pairs;
                let pair = pairs[random.below(pairs.len() as u64) as usize];
                let Some(rel) = self.new_rel(kind, pair, random, size) else { return };
                let text = match TYPES[kind].has_text {
                    true => format!(", t: {}", literal(&rel.values[1], Kind::Text)),
                    false => String::new(),
                };
                let (a, b) = (self.matched("a", rel.from), self.matched("b", rel.to));
                let w = literal(&rel.values[0], Kind::Integer);
                format!(
                    "MATCH {a}, {b} CREATE (a)-[:{} {{tag: {}, w: {w}{text}}}]->(b)",
                    TYPES[kind].name, rel.tag
                )
            }
            5 => {
                let Some(at) = self.any_node(random.below(3) as usize, random) else { return };
                let value = number(random, size);
                let text =
                    format!("MATCH {} SET n.x = {}", self.matched("n", at), literal(&value, Kind::Integer));
                self.nodes[at].as_mut().expect("it is there").values[0] = value;
                text
            }
            6 => {
                let alive: Vec<usize> = (0..self.rels.len()).filter(|at| self.rels[*at].is_some()).collect();
                if alive.is_empty() {
                    return;
                }
                let at = alive[random.below(alive.len() as u64) as usize];
                let rel = self.rels[at].as_mut().expect("it is there");
                let pattern = format!("MATCH ()-[r:{}]->() WHERE r.tag = {}", TYPES[rel.kind].name, rel.tag);
                if random.one_in(2) {
                    let value = number(random, size);
                    rel.values[0] = value.clone();
                    format!("{pattern} SET r.w = {}", literal(&value, Kind::Integer))
                } else {
                    self.rels[at] = None;
                    format!("{pattern} DELETE r")
                }
            }
            _ => {
                let Some(at) = self.any_node(random.below(3) as usize, random) else { return };
                let text = format!("MATCH {} DETACH DELETE n", self.matched("n", at));
                self.nodes[at] = None;
                let gone = |rel: &Rel| rel.from == at || rel.to == at;
                self.rels.iter_mut().filter(|rel| rel.as_ref().is_some_and(gone)).for_each(|rel| *rel = None);
                text
            }
        };
        self.steps.push(Step::Statement(statement));
    }

    /// Makes the graph in an empty database.
    pub fn load(&self, connection: &Connection, folder: &Path) {
        let file = folder.join("rows.csv");
        let run = |text: &str| {
            connection.query(text).unwrap_or_else(|error| panic!("{text}: {error}"));
        };
        for step in &self.steps {
            match step {
                Step::Statement(text) => run(text),
                Step::Copy { table, options, lines } => {
                    std::fs::write(&file, lines).expect("the file can be written");
                    run(&format!("COPY {table} FROM '{}'{options}", file.display()));
                }
            }
        }
    }

    /// The statements, for who wants to see what went wrong.
    pub fn script(&self) -> String {
        let line = |step: &Step| match step {
            Step::Statement(text) => format!("{text};\n"),
            Step::Copy { table, options, lines } => format!("COPY {table}{options} <<\n{lines}"),
        };
        self.steps.iter().map(line).collect()
    }
}

fn type_name(kind: Kind) -> &'static str {
    match kind {
        Kind::Integer => "INT64",
        Kind::Double => "DOUBLE",
        Kind::Text => "STRING",
    }
}
