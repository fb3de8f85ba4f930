//! The kit's values, read from its tables and made from results, as texts that are equal when the values are.

use std::collections::{BTreeMap, BTreeSet};

use quiredb::Value;
use quiredb::types::{NodeValue, PathValue, RelValue};

use super::schema::{KEY, PLAIN};

/// A value as the kit sees it.
#[derive(Debug, Clone, PartialEq)]
pub enum Tck {
    Null,
    Bool(bool),
    Integer(i128),
    Float(f64),
    Text(String),
    List(Vec<Tck>),
    Map(BTreeMap<String, Tck>),
    Node(BTreeSet<String>, BTreeMap<String, Tck>),
    Rel(String, BTreeMap<String, Tck>),
    /// Nodes and, between them, relationships with whether they point on.
    Path(Vec<Tck>, Vec<(Tck, bool)>),
}

impl Tck {
    /// A text that equal values share. With `any_order` the order of a list's elements does not count.
    pub fn canonical(&self, any_order: bool) -> String {
        let text = |value: &Tck| value.canonical(any_order);
        let map = |map: &BTreeMap<String, Tck>| {
            let entries: Vec<String> =
                map.iter().map(|(key, value)| format!("{key}: {}", text(value))).collect();
            format!("{{{}}}", entries.join(", "))
        };
        match self {
            Tck::Null => "null".to_owned(),
            Tck::Bool(value) => value.to_string(),
            Tck::Integer(value) => value.to_string(),
            Tck::Float(value) => format!("{:?}", value + 0.0),
            Tck::Text(value) => format!("'{value}'"),
            Tck::List(values) => {
                let mut texts: Vec<String> = values.iter().map(text).collect();
                if any_order {
                    texts.sort();
                }
                format!("[{}]", texts.join(", "))
            }
            Tck::Map(entries) => map(entries),
            Tck::Node(labels, properties) => format!("({labels:?} {})", map(properties)),
            Tck::Rel(name, properties) => format!("[:{name} {}]", map(properties)),
            Tck::Path(nodes, rels) => {
                let mut out = String::from("<");
                for (at, node) in nodes.iter().enumerate() {
                    out.push_str(&text(node));
                    if let Some((rel, forward)) = rels.get(at) {
                        out.push_str(&format!(" {} {forward} ", text(rel)));
                    }
                }
                out + ">"
            }
        }
    }
}

/// What a query gave.
pub fn of_value(value: &Value) -> Tck {
    match value {
        Value::Null => Tck::Null,
        Value::Bool(value) => Tck::Bool(*value),
        Value::Float(value) => Tck::Float(f64::from(*value)),
        Value::Double(value) => Tck::Float(*value),
        Value::String(value) => Tck::Text(value.clone()),
        Value::List(values) => Tck::List(values.iter().map(of_value).collect()),
        Value::Struct(fields) => {
            let shown = fields.iter().filter(|(name, _)| name != KEY);
            Tck::Map(shown.map(|(name, value)| (name.clone(), of_value(value))).collect())
        }
        Value::Map(entries) => {
            let key = |key: &Value| match key {
                Value::String(key) => key.clone(),
                other => other.to_string(),
            };
            Tck::Map(entries.iter().map(|(name, value)| (key(name), of_value(value))).collect())
        }
        Value::Node(node) => of_node(node),
        Value::Rel(rel) => of_rel(rel),
        Value::Path(path) => of_path(path),
        other => match other.as_i128() {
            Some(number) => Tck::Integer(number),
            None => Tck::Text(other.to_string()),
        },
    }
}

fn of_node(node: &NodeValue) -> Tck {
    let labels = node.labels.iter().filter(|label| *label != PLAIN).cloned().collect();
    Tck::Node(labels, properties(&node.properties))
}

fn of_rel(rel: &RelValue) -> Tck {
    Tck::Rel(rel.label.clone(), properties(&rel.properties))
}

fn of_path(path: &PathValue) -> Tck {
    let rels = path.rels.iter().zip(&path.nodes);
    let rels = rels.map(|(rel, from)| (of_rel(rel), rel.src == from.id)).collect();
    Tck::Path(path.nodes.iter().map(of_node).collect(), rels)
}

/// The properties that there are.
pub fn properties(properties: &[(String, Value)]) -> BTreeMap<String, Tck> {
    let there = properties.iter().filter(|(name, value)| name != KEY && !value.is_null());
    there.map(|(name, value)| (name.clone(), of_value(value))).collect()
}

/// Reads a value of the kit.
pub fn parse(text: &str) -> Tck {
    let mut reader = Reader { rest: text.trim() };
    let value = reader.value();
    assert!(reader.rest.trim().is_empty(), "{text}: {} is left", reader.rest);
    value
}

struct Reader<'t> {
    rest: &'t str,
}

impl Reader<'_> {
    fn skip(&mut self, expected: &str) -> bool {
        self.rest = self.rest.trim_start();
        match self.rest.strip_prefix(expected) {
            Some(rest) => {
                self.rest = rest;
                true
            }
            None => false,
        }
    }

    fn word(&mut self) -> String {
        self.rest = self.rest.trim_start();
        if self.skip("`") {
            let end = self.rest.find('`').expect("a closing backtick");
            let word = self.rest[..end].to_owned();
            self.rest = &self.rest[end + 1..];
            return word;
        }
        let end = self.rest.find(|c: char| !(c.is_alphanumeric() || c == '_')).unwrap_or(self.rest.len());
        let word = self.rest[..end].to_owned();
        self.rest = &self.rest[end..];
        word
    }

    fn value(&mut self) -> Tck {
        self.rest = self.rest.trim_start();
        if self.skip("[:") {
            return self.rel();
        }
        if self.skip("[") {
            let mut values = Vec::new();
            while !self.skip("]") {
                values.push(self.value());
                self.skip(",");
            }
            return Tck::List(values);
        }
        if self.rest.starts_with('{') {
            return Tck::Map(self.map());
        }
        if self.skip("(") {
            return self.node();
        }
        if self.skip("<") {
            return self.path();
        }
        if self.skip("'") {
            return Tck::Text(self.text());
        }
        let end = self.rest.find([',', ']', '}', ' ']).unwrap_or(self.rest.len());
        let (word, rest) = self.rest.split_at(end);
        self.rest = rest;
        match word {
            "null" => Tck::Null,
            "true" => Tck::Bool(true),
            "false" => Tck::Bool(false),
            "NaN" => Tck::Float(f64::NAN),
            "Inf" => Tck::Float(f64::INFINITY),
            "-Inf" => Tck::Float(f64::NEG_INFINITY),
            number => match number.parse() {
                Ok(integer) => Tck::Integer(integer),
                Err(_) => Tck::Float(number.parse().unwrap_or_else(|_| panic!("no value: {number}"))),
            },
        }
    }

    fn text(&mut self) -> String {
        let mut text = String::new();
        let mut chars = self.rest.char_indices();
        while let Some((at, c)) = chars.next() {
            match c {
                '\'' => {
                    self.rest = &self.rest[at + 1..];
                    return text;
                }
                '\\' => text.extend(chars.next().map(|(_, c)| c)),
                c => text.push(c),
            }
        }
        panic!("a text without end: {}", self.rest)
    }

    fn map(&mut self) -> BTreeMap<String, Tck> {
        let mut entries = BTreeMap::new();
        if self.skip("{") {
            while !self.skip("}") {
                let key = self.word();
                assert!(self.skip(":"), "no colon behind {key}");
                entries.insert(key, self.value());
                self.skip(",");
            }
        }
        entries
    }

    fn node(&mut self) -> Tck {
        let mut labels = BTreeSet::new();
        while self.skip(":") {
            labels.insert(self.word());
        }
        let properties = self.map();
        assert!(self.skip(")"), "a node without end: {}", self.rest);
        Tck::Node(labels, properties)
    }

    fn rel(&mut self) -> Tck {
        let name = self.word();
        let properties = self.map();
        assert!(self.skip("]"), "a relationship without end: {}", self.rest);
        Tck::Rel(name, properties)
    }

    fn path(&mut self) -> Tck {
        let mut nodes = Vec::new();
        let mut rels = Vec::new();
        loop {
            assert!(self.skip("("), "a path needs nodes: {}", self.rest);
            nodes.push(self.node());
            if self.skip(">") {
                return Tck::Path(nodes, rels);
            }
            let backward = self.skip("<-");
            assert!(backward || self.skip("-"), "a path needs relationships: {}", self.rest);
            assert!(self.skip("[:"), "a path needs relationships: {}", self.rest);
            let rel = self.rel();
            assert!(self.skip("->") || self.skip("-"), "a path needs relationships: {}", self.rest);
            rels.push((rel, !backward));
        }
    }
}

/// A value of the kit as a parameter.
pub fn parameter(value: &Tck) -> Value {
    match value {
        Tck::Null => Value::Null,
        Tck::Bool(value) => Value::Bool(*value),
        Tck::Integer(value) => Value::Int64(i64::try_from(*value).expect("64 bits")),
        Tck::Float(value) => Value::Double(*value),
        Tck::Text(value) => Value::String(value.clone()),
        Tck::List(values) => Value::List(values.iter().map(parameter).collect()),
        Tck::Map(entries) => {
            Value::Struct(entries.iter().map(|(key, value)| (key.clone(), parameter(value))).collect())
        }
        other => panic!("no parameter: {other:?}"),
    }
}
