//! The kit's graphs have no schema; a strict database has one. It is derived from the texts of a scenario: every label is
//! a table with a key that counts by itself, every type leads from every table to every other one, and every name that
//! is used as a property is a column of type ANY everywhere. New nodes without a label get a table that the results
//! do not show.

use std::collections::{BTreeMap, BTreeSet};

use quiredb::parser::ast::{Clause, NodePattern, PathPattern, StatementKind};
use quiredb::parser::parse;

/// The key of every table.
pub const KEY: &str = "_key";
/// The table of nodes without a label.
pub const PLAIN: &str = "_Plain";

/// The names that the texts of a scenario use.
#[derive(Debug, Default)]
pub struct Names {
    pub labels: BTreeSet<String>,
    pub types: BTreeSet<String>,
    pub properties: BTreeMap<String, String>,
    pub plain: bool,
}

#[derive(Clone, Copy, PartialEq)]
enum Bracket {
    Round,
    Rel,
    Square,
    Brace,
}

impl Names {
    /// Adds the names of a text.
    pub fn read(&mut self, text: &str) {
        let chars: Vec<char> = text.chars().collect();
        let mut open: Vec<Bracket> = Vec::new();
        // The last name, and the last character that was no space.
        let (mut name, mut last) = (String::new(), ' ');
        let mut at = 0;
        while at < chars.len() {
            let c = chars[at];
            at += 1;
            if c.is_whitespace() {
                continue;
            }
            match c {
                '\'' | '"' => {
                    let start = at;
                    while at < chars.len() && chars[at] != c {
                        at += 1 + usize::from(chars[at] == '\\');
                    }
                    let content: String = chars[start..at.min(chars.len())].iter().collect();
                    at += 1;
                    if last == '[' && !content.is_empty() {
                        self.property(&content);
                    }
                }
                '/' if chars.get(at) == Some(&'/') => {
                    while at < chars.len() && chars[at] != '\n' {
                        at += 1;
                    }
                    continue;
                }
                '(' => open.push(Bracket::Round),
                '[' => open.push(if last == '-' { Bracket::Rel } else { Bracket::Square }),
                '{' => open.push(Bracket::Brace),
                ')' | ']' | '}' => drop(open.pop()),
                ':' if open.last() == Some(&Bracket::Brace) && !name.is_empty() => {
                    self.property(&name.clone());
                }
                _ if c.is_alphabetic() || c == '_' || c == '`' => {
                    let before = last;
                    name.clear();
                    if c == '`' {
                        while at < chars.len() && chars[at] != '`' {
                            name.push(chars[at]);
                            at += 1;
                        }
                        at += 1;
                    } else {
                        name.push(c);
                        while at < chars.len() && (chars[at].is_alphanumeric() || chars[at] == '_') {
                            name.push(chars[at]);
                            at += 1;
                        }
                    }
                    self.named(&name.clone(), before, open.last().copied());
                    last = 'a';
                    continue;
                }
                _ => {}
            }
            last = c;
            if c != ':' {
                name.clear();
            }
        }
    }

    fn named(&mut self, name: &str, before: char, open: Option<Bracket>) {
        match (before, open) {
            ('.', _) => self.property(name),
            (':' | '|', Some(Bracket::Rel)) => drop(self.types.insert(name.to_owned())),
            (':', Some(Bracket::Brace)) => {}
            (':', _) => drop(self.labels.insert(name.to_owned())),
            _ => {}
        }
    }

    fn property(&mut self, name: &str) {
        // Names that differ in case are different columns.
        self.properties.insert(name.to_owned(), format!("`{name}` ANY"));
    }

    /// The definitions.
    pub fn definitions(&self) -> Vec<String> {
        let labels = self.labels.iter().filter(|label| !self.types.contains(*label)).map(String::as_str);
        let tables: Vec<&str> = labels.chain(self.plain.then_some(PLAIN)).collect();
        let tables = if tables.is_empty() && !self.types.is_empty() { vec![PLAIN] } else { tables };
        let columns: String = self.properties.values().map(|column| format!(", {column}")).collect();
        let mut all: Vec<String> = tables
            .iter()
            .map(|table| format!("CREATE NODE TABLE `{table}`({KEY} SERIAL PRIMARY KEY{columns})"))
            .collect();
        let pairs: Vec<String> = tables
            .iter()
            .flat_map(|from| tables.iter().map(move |to| format!("FROM `{from}` TO `{to}`")))
            .collect();
        let pairs = pairs.join(", ");
        let rel = |name: &String| format!("CREATE REL TABLE `{name}`({pairs}, {KEY} INT64{columns})");
        all.extend(self.types.iter().map(rel));
        all
    }
}

/// The text with a label for every new node that has none; also whether MERGE looks for one.
pub fn labelled(text: &str) -> (String, bool, bool) {
    let Ok(statements) = parse(text) else { return (text.to_owned(), false, false) };
    let mut places: Vec<usize> = Vec::new();
    let mut merges = false;
    for statement in &statements {
        let StatementKind::Query(query) = &statement.kind else { continue };
        let branches = std::iter::once(&query.first).chain(query.unions.iter().map(|part| &part.query));
        for branch in branches {
            let mut known: BTreeSet<String> = BTreeSet::new();
            for clause in &branch.clauses {
                match clause {
                    Clause::Match(found) => {
                        found.patterns.iter().for_each(|path| note(path, &mut known, &mut Vec::new()))
                    }
                    Clause::Create(create) => {
                        create.patterns.iter().for_each(|path| note(path, &mut known, &mut places));
                    }
                    Clause::Merge(merge) => {
                        let before = places.len();
                        note(&merge.pattern, &mut known, &mut places);
                        merges |= places.len() > before;
                    }
                    Clause::Unwind(unwind) => drop(known.insert(unwind.variable.text.clone())),
                    Clause::With(with) => {
                        if with.projection.star.is_none() {
                            known.clear();
                        }
                        known.extend(with.projection.items.iter().map(|item| item.name.clone()));
                    }
                    _ => {}
                }
            }
        }
    }
    let plain = !places.is_empty();
    let mut text = text.to_owned();
    places.sort_unstable();
    for place in places.into_iter().rev() {
        text.insert_str(place, &format!(":{PLAIN}"));
    }
    (text, plain, merges)
}

/// Notes the names of a path, and where its new nodes without labels could have one.
fn note(path: &PathPattern, known: &mut BTreeSet<String>, places: &mut Vec<usize>) {
    let nodes: Vec<&NodePattern> =
        std::iter::once(&path.start).chain(path.steps.iter().map(|step| &step.node)).collect();
    for node in nodes {
        let name = node.variable.as_ref();
        let new = name.is_none_or(|name| known.insert(name.text.clone()));
        if new && node.labels.is_none() {
            places.push(name.map_or(node.span.start as usize + 1, |name| name.span.end as usize));
        }
    }
}
