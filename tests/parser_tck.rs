//! Every query of the openCypher TCK parses, apart from those that must fail at compile time.

use std::path::{Path, PathBuf};

use quiredb::parser::parse;

/// One query of a scenario.
struct Query {
    place: String,
    text: String,
    /// Whether the scenario expects an error before anything runs, of which a syntax error is one kind.
    may_fail: bool,
}

/// The folder with the features; it lies beside the repository where it is checked out for tests.
fn features() -> Option<PathBuf> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    ["../shared/tck/features", "../../shared/tck/features"]
        .iter()
        .map(|path| root.join(path))
        .find(|path| path.is_dir())
}

fn feature_files(folder: &Path, files: &mut Vec<PathBuf>) {
    let entries = std::fs::read_dir(folder).expect("the folder can be read");
    for entry in entries {
        let path = entry.expect("the entry can be read").path();
        if path.is_dir() {
            feature_files(&path, files);
        } else if path.extension().is_some_and(|extension| extension == "feature") {
            files.push(path);
        }
    }
}

/// The queries of one scenario with its example values filled in.
fn scenario_queries(place: &str, lines: &[&str], queries: &mut Vec<Query>) {
    let mut found: Vec<(String, bool)> = Vec::new();
    let mut index = 0;
    let mut may_fail = false;
    let mut examples: Vec<Vec<String>> = Vec::new();
    let mut in_examples = false;
    while index < lines.len() {
        let line = lines[index].trim();
        if line.starts_with("\"\"\"") {
            let is_query = lines[..index].last().is_some_and(|step| {
                step.contains("executing query")
                    || step.contains("having executed")
                    || step.contains("control query")
            });
            let body: Vec<&str> = lines[index + 1..]
                .iter()
                .take_while(|line| !line.trim().starts_with("\"\"\""))
                .copied()
                .collect();
            index += body.len() + 1;
            if is_query {
                found.push((body.join("\n"), lines_say_main(lines, index - body.len() - 1)));
            }
        } else if line.contains("SyntaxError should be raised at compile time") {
            may_fail = true;
        } else if line.starts_with("Examples:") {
            in_examples = true;
            examples.clear();
        } else if in_examples && line.starts_with('|') {
            examples.push(cells(line));
        }
        index += 1;
    }
    let filled: Vec<Vec<(String, String)>> = match examples.split_first() {
        Some((header, rows)) => {
            rows.iter().map(|row| header.iter().cloned().zip(row.iter().cloned()).collect()).collect()
        }
        None => vec![Vec::new()],
    };
    for values in filled {
        for (text, is_main) in &found {
            let text = values
                .iter()
                .fold(text.clone(), |text, (name, value)| text.replace(&format!("<{name}>"), value));
            queries.push(Query { place: place.to_owned(), text, may_fail: may_fail && *is_main });
        }
    }
}

/// Whether the docstring that opens at `index` is the query under test and not its preparation.
fn lines_say_main(lines: &[&str], index: usize) -> bool {
    lines[..index].last().is_some_and(|step| step.contains("executing query"))
}

/// The cells of a table row; `\|` is a bar inside of a cell.
fn cells(line: &str) -> Vec<String> {
    let line = line.replace("\\|", "\u{1}");
    let inner = line.trim().trim_start_matches('|').trim_end_matches('|');
    inner.split('|').map(|cell| cell.trim().replace('\u{1}', "|")).collect()
}

fn file_queries(path: &Path, queries: &mut Vec<Query>) {
    let text = std::fs::read_to_string(path).expect("the feature can be read");
    let lines: Vec<&str> = text.lines().collect();
    let is_start = |line: &&str| {
        let line = line.trim_start();
        line.starts_with("Scenario:")
            || line.starts_with("Scenario Outline:")
            || line.starts_with("Background:")
    };
    let starts: Vec<usize> = (0..lines.len()).filter(|&index| is_start(&lines[index])).collect();
    for (position, start) in starts.iter().enumerate() {
        let end = starts.get(position + 1).copied().unwrap_or(lines.len());
        let name = path.file_stem().map(|stem| stem.to_string_lossy().into_owned()).unwrap_or_default();
        let place = format!("{name}: {}", lines[*start].trim());
        scenario_queries(&place, &lines[*start..end], queries);
    }
}

#[test]
fn every_query_of_the_tck_parses() {
    let Some(folder) = features() else {
        println!("skipped: the TCK's feature files are not beside this repository");
        return;
    };
    let mut files = Vec::new();
    feature_files(&folder, &mut files);
    files.sort();
    let mut queries = Vec::new();
    for file in &files {
        file_queries(file, &mut queries);
    }
    let (mut parsed, mut refused_rightly, mut failures) = (0, 0, Vec::new());
    for query in &queries {
        match parse(&query.text) {
            Ok(_) => parsed += 1,
            Err(_) if query.may_fail => refused_rightly += 1,
            Err(error) => failures.push(format!("{}\n{}\n  {error}", query.place, query.text)),
        }
    }
    println!(
        "{} queries in {} files: {parsed} parse, {refused_rightly} with an expected syntax error are refused, {} fail",
        queries.len(),
        files.len(),
        failures.len()
    );
    assert!(queries.len() > 2000, "only {} queries were found", queries.len());
    assert!(failures.is_empty(), "{}", failures[..failures.len().min(25)].join("\n\n"));
}
