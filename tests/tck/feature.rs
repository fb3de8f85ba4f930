//! Feature files as scenarios, with the examples of outlines filled in.

use std::path::{Path, PathBuf};

/// What a scenario expects of its query.
#[derive(Debug, Clone)]
pub enum Expected {
    Rows {
        columns: Vec<String>,
        rows: Vec<Vec<String>>,
        ordered: bool,
        lists_unordered: bool,
    },
    Empty,
    /// Whether it has to come before anything runs, or only then; none for either.
    Error {
        compile: Option<bool>,
    },
    /// Only its effects are looked at.
    Nothing,
}

/// One scenario.
#[derive(Debug, Clone)]
pub struct Scenario {
    /// Folder and file, `clauses/merge/Merge1`.
    pub feature: String,
    pub name: String,
    /// A named graph to start with.
    pub graph: Option<String>,
    pub setup: Vec<String>,
    pub parameters: Vec<(String, String)>,
    pub procedures: bool,
    /// The query, what it gives, and what it changes: control queries follow the one under test.
    pub queries: Vec<Checked>,
}

/// A query with what is expected of it.
#[derive(Debug, Clone)]
pub struct Checked {
    pub text: String,
    pub expected: Expected,
    /// `+nodes` and so on; none where the scenario says nothing about them.
    pub effects: Option<Vec<(String, i64)>>,
}

/// The folder of the kit; it lies beside the repository where it is checked out for tests.
pub fn folder() -> Option<PathBuf> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    ["../shared/tck", "../../shared/tck"].iter().map(|path| root.join(path)).find(|path| path.is_dir())
}

/// The scenarios of all features below a folder.
pub fn scenarios(features: &Path, part: &str) -> Vec<Scenario> {
    let mut files = Vec::new();
    collect(&features.join(part), &mut files);
    files.sort();
    let mut all = Vec::new();
    for file in files {
        let name = file.strip_prefix(features).expect("below the folder").with_extension("");
        let text = std::fs::read_to_string(&file).expect("the feature can be read");
        of_file(&name.display().to_string(), &text, &mut all);
    }
    all
}

fn collect(folder: &Path, files: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).expect("the folder can be read") {
        let path = entry.expect("the entry can be read").path();
        if path.is_dir() {
            collect(&path, files);
        } else if path.extension().is_some_and(|extension| extension == "feature") {
            files.push(path);
        }
    }
}

fn of_file(feature: &str, text: &str, all: &mut Vec<Scenario>) {
    let lines: Vec<&str> = text.lines().collect();
    let starts: Vec<usize> =
        (0..lines.len()).filter(|at| lines[*at].trim_start().starts_with("Scenario")).collect();
    let first = starts.first().copied().unwrap_or(lines.len());
    let background = lines[..first].iter().position(|line| line.trim().starts_with("Background:"));
    let background = background.map_or(&[][..], |at| &lines[at + 1..first]);
    for (position, start) in starts.iter().enumerate() {
        let end = starts.get(position + 1).copied().unwrap_or(lines.len());
        let name = lines[*start].trim().split_once(':').map_or("", |(_, name)| name.trim());
        let mut body: Vec<&str> = background.to_vec();
        body.extend(&lines[start + 1..end]);
        for filled in outlines(&body) {
            all.push(scenario(feature, name, &filled));
        }
    }
}

/// The body once per row of its examples.
fn outlines(body: &[&str]) -> Vec<Vec<String>> {
    let mut steps: Vec<String> = Vec::new();
    let mut filled = Vec::new();
    let mut header: Option<Vec<String>> = None;
    let mut in_examples = false;
    let mut tables = Vec::new();
    for line in body {
        let trimmed = line.trim();
        if trimmed.starts_with("Examples:") {
            (in_examples, header) = (true, None);
        } else if in_examples && trimmed.starts_with('|') {
            let row = cells(trimmed);
            match &header {
                None => header = Some(row),
                Some(names) => tables.push((names.clone(), row)),
            }
        } else if !in_examples {
            steps.push((*line).to_owned());
        }
    }
    if tables.is_empty() {
        return vec![steps];
    }
    for (names, row) in tables {
        let fill = |line: &String| {
            let pairs = names.iter().zip(&row);
            pairs.fold(line.clone(), |line, (name, value)| line.replace(&format!("<{name}>"), value))
        };
        filled.push(steps.iter().map(fill).collect());
    }
    filled
}

/// The cells of a table row; `\|` is a bar inside of a cell.
fn cells(line: &str) -> Vec<String> {
    let line = line.trim().replace("\\|", "\u{1}");
    let inner = line.strip_prefix('|').unwrap_or(&line);
    let inner = inner.strip_suffix('|').unwrap_or(inner);
    inner.split('|').map(|cell| cell.trim().replace('\u{1}', "|").replace("\\n", "\n")).collect()
}

fn scenario(feature: &str, name: &str, lines: &[String]) -> Scenario {
    let mut scenario = Scenario {
        feature: feature.to_owned(),
        name: name.to_owned(),
        graph: None,
        setup: Vec::new(),
        parameters: Vec::new(),
        procedures: false,
        queries: Vec::new(),
    };
    let mut at = 0;
    while at < lines.len() {
        let line = lines[at].trim();
        at += 1;
        let step =
            ["Given ", "And ", "When ", "Then ", "But "].iter().find_map(|word| line.strip_prefix(word));
        let Some(step) = step else { continue };
        let text = doc_string(lines, &mut at);
        let table = table(lines, &mut at);
        let last = scenario.queries.last_mut();
        if let Some(graph) = step.strip_prefix("the ").and_then(|rest| rest.strip_suffix(" graph")) {
            scenario.graph = Some(graph.to_owned());
        } else if step.starts_with("there exists a procedure") {
            scenario.procedures = true;
        } else if step.starts_with("having executed") {
            scenario.setup.extend(text);
        } else if step.starts_with("parameters are") {
            scenario.parameters = table.into_iter().map(pair).collect();
        } else if step.starts_with("executing") {
            let text = text.unwrap_or_default();
            scenario.queries.push(Checked { text, expected: Expected::Nothing, effects: None });
        } else if let Some(query) = last {
            expect(query, step, table);
        }
    }
    scenario
}

fn pair(mut row: Vec<String>) -> (String, String) {
    row.resize(2, String::new());
    let value = row.pop().unwrap_or_default();
    (row.pop().unwrap_or_default(), value)
}

fn expect(query: &mut Checked, step: &str, mut table: Vec<Vec<String>>) {
    if step.starts_with("the result should be empty") {
        query.expected = Expected::Empty;
    } else if step.starts_with("the result should be") {
        let columns = if table.is_empty() { Vec::new() } else { table.remove(0) };
        query.expected = Expected::Rows {
            columns,
            rows: table,
            ordered: step.contains("in order"),
            lists_unordered: step.contains("ignoring element order"),
        };
    } else if step.contains("should be raised at") {
        let compile = match step {
            _ if step.contains("at compile time") => Some(true),
            _ if step.contains("at runtime") => Some(false),
            _ => None,
        };
        query.expected = Expected::Error { compile };
    } else if step.starts_with("no side effects") {
        query.effects = Some(Vec::new());
    } else if step.starts_with("the side effects should be") {
        let number = |(name, count): (String, String)| (name, count.parse().expect("a number"));
        query.effects = Some(table.into_iter().map(pair).map(number).collect());
    }
}

fn doc_string(lines: &[String], at: &mut usize) -> Option<String> {
    if lines.get(*at)?.trim() != "\"\"\"" {
        return None;
    }
    let length = lines[*at + 1..].iter().position(|line| line.trim() == "\"\"\"")?;
    let text = lines[*at + 1..*at + 1 + length].join("\n");
    *at += length + 2;
    Some(text)
}

fn table(lines: &[String], at: &mut usize) -> Vec<Vec<String>> {
    let mut rows = Vec::new();
    while let Some(line) = lines.get(*at).filter(|line| line.trim().starts_with('|')) {
        rows.push(cells(line));
        *at += 1;
    }
    rows
}
