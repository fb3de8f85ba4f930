//! The rules of the house that a compiler does not check: which module may know which, where `unsafe` may stand, what
//! a panic needs beside it, and how long a file may grow.

#[path = "architecture/source.rs"]
mod source;

use source::{Source, sources};

/// What each folder may import, besides itself. Files directly in `src` and their folders are the public API, which
/// may import everything.
const IMPORTS: &[(&str, &[&str])] = &[
    ("types", &[]),
    ("parser", &["types"]),
    ("vector", &["types"]),
    ("catalog", &["types"]),
    ("functions", &["vector", "types"]),
    ("ingest", &["vector", "types"]),
    ("binder", &["parser", "functions", "catalog", "types"]),
    ("planner", &["binder", "functions", "catalog", "types"]),
    ("storage", &["catalog", "vector", "types"]),
    ("transaction", &["storage", "catalog", "vector", "types"]),
    ("executor", &["planner", "functions", "ingest", "transaction", "storage", "catalog", "vector", "types"]),
];

/// The only files with `unsafe`; `specs/architecture.md` gives the reason of each.
const UNSAFE_FILES: &[&str] = &[
    "src/storage/backend/posix_sys.rs",
    "src/storage/buffer_pool/cast.rs",
    "src/storage/buffer_pool/frame.rs",
    "src/storage/buffer_pool/mapping.rs",
    "src/vector/simd.rs",
];

/// No file is longer.
const LINES_MAX: usize = 800;
/// Files beyond this are listed.
const LINES_LONG: usize = 400;

fn assert_none(rule: &str, found: &[String]) {
    assert!(found.is_empty(), "{rule}:\n{}", found.join("\n"));
}

/// Lines of code that match, with their place.
fn lines_where(sources: &[Source], matches: impl Fn(&Source, usize) -> bool) -> Vec<String> {
    let lines = sources.iter().flat_map(|source| (0..source.code.len()).map(move |line| (source, line)));
    lines.filter(|(source, line)| matches(source, *line)).map(|(source, line)| source.at(line)).collect()
}

fn has_word(line: &str, word: &str) -> bool {
    line.match_indices(word).any(|(at, _)| {
        let is_word = |c: char| c.is_alphanumeric() || c == '_';
        !line[..at].ends_with(is_word) && !line[at + word.len()..].starts_with(is_word)
    })
}

#[test]
fn imports_point_down() {
    let mut found = Vec::new();
    for source in sources() {
        let module = source.module();
        let Some((own, allowed)) = IMPORTS.iter().find(|(name, _)| module.first() == Some(name)) else {
            continue;
        };
        for (line, name) in root_names(&source) {
            if name != *own && !allowed.contains(&name.as_str()) {
                found.push(format!("{} ({own} may not know {name})", source.at(line)));
            }
        }
    }
    assert_none("imports that point up", &found);
}

/// The first name of every path that starts at the crate's root, with its line.
fn root_names(source: &Source) -> Vec<(usize, String)> {
    let mut found = Vec::new();
    let root_by_super = "super::".repeat(source.module().len());
    for (number, line) in source.code.iter().enumerate() {
        for start in ["crate::", root_by_super.as_str()] {
            for (at, _) in line.match_indices(start) {
                let rest = &line[at + start.len()..];
                if start != "crate::" && (line[..at].ends_with("super::") || rest.starts_with("super::")) {
                    continue;
                }
                let whole: String = source.code[number..].iter().map(String::as_str).collect();
                let names = match rest.strip_prefix('{') {
                    Some(_) => group_names(&whole[whole.find("{").unwrap_or(0)..]),
                    None => vec![first_word(rest)],
                };
                found.extend(names.into_iter().map(|name| (number, name)));
            }
        }
    }
    found
}

fn first_word(text: &str) -> String {
    text.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect()
}

/// The names directly inside `{…}`.
fn group_names(text: &str) -> Vec<String> {
    let (mut names, mut depth, mut name) = (Vec::new(), 0, String::new());
    for c in text.chars() {
        match c {
            '{' => depth += 1,
            '}' => depth -= 1,
            _ => {}
        }
        if depth == 0 || (depth == 1 && c == ',') {
            names.push(first_word(name.trim_start_matches('{').trim_start()));
            name.clear();
        } else {
            name.push(c);
        }
        if depth == 0 {
            break;
        }
    }
    names.retain(|name| !name.is_empty());
    names
}

#[test]
fn every_folder_has_a_place() {
    let found: Vec<String> = std::fs::read_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/src"))
        .expect("src is there")
        .map(|entry| entry.expect("the entry is there").path())
        .filter(|path| path.is_dir() && !path.with_extension("rs").is_file())
        .map(|path| path.file_name().expect("a folder has a name").to_string_lossy().into_owned())
        .filter(|name| name != "bin" && IMPORTS.iter().all(|(known, _)| known != name))
        .collect();
    assert_none("folders that the table of imports does not know", &found);
}

#[test]
fn the_command_uses_the_public_interface() {
    let names = |source: &Source| {
        let library = source.code.iter().any(|line| line.contains("#[path"));
        library.then(|| source.path.clone())
    };
    let found: Vec<String> =
        sources().iter().filter(|source| source.path.starts_with("src/bin/")).filter_map(names).collect();
    assert_none("files of the command that take in files of the library", &found);
}

#[test]
fn unsafe_stands_in_few_files_and_says_why() {
    let sources = sources();
    let elsewhere = lines_where(&sources, |source, line| {
        has_word(&source.code[line], "unsafe") && !UNSAFE_FILES.contains(&source.path.as_str())
    });
    assert_none("unsafe code outside of its files", &elsewhere);
    let opened = lines_where(&sources, |source, line| {
        source.code[line].contains("allow(unsafe_code)") && !UNSAFE_FILES.contains(&source.path.as_str())
    });
    assert_none("files that allow unsafe code", &opened);
    let unexplained = lines_where(&sources, |source, line| {
        has_word(&source.code[line], "unsafe") && !has_safety_comment(source, line)
    });
    assert_none("unsafe code without a line that says why it is sound", &unexplained);
    let unused: Vec<String> = UNSAFE_FILES
        .iter()
        .filter(|path| {
            !sources.iter().any(|s| s.path == **path && s.code.iter().any(|l| has_word(l, "unsafe")))
        })
        .map(|path| (*path).to_owned())
        .collect();
    assert_none("files that have no unsafe code any more", &unused);
}

/// A block or an implementation needs `// SAFETY:` in the comment above its statement or on its line; a function,
/// whose promise the caller keeps, a section `# Safety` in its documentation.
fn has_safety_comment(source: &Source, line: usize) -> bool {
    let is_said = |line: &str| line.contains("SAFETY:") || line.contains("# Safety");
    if is_said(&source.lines[line]) {
        return true;
    }
    let before = source.lines[..line].iter().rev().map(|line| line.trim_start());
    before
        .take_while(|line| line.starts_with("//") || line.starts_with("#[") || line.ends_with('='))
        .any(is_said)
}

#[test]
fn nothing_is_left_for_later() {
    let sources = sources();
    let macros = ["todo!", "unimplemented!", "dbg!"];
    let unfinished =
        lines_where(&sources, |source, line| macros.iter().any(|name| source.code[line].contains(name)));
    assert_none("code that is not written yet", &unfinished);
    let marked = lines_where(&sources, |source, line| {
        ["TODO", "FIXME", "XXX", "HACK"].iter().any(|mark| has_word(&source.lines[line], mark))
    });
    assert_none("marks of unfinished work", &marked);
}

#[test]
fn panics_say_why_they_cannot_happen() {
    let sources = sources();
    let panics = [".unwrap()", ".expect(", "panic!", "unreachable!"];
    let unexplained = lines_where(&sources, |source, line| {
        let code = &source.code[line];
        // A parser has a method of this name, which gives a result.
        let code = code.replace("self.expect(", "");
        panics.iter().any(|name| code.contains(name)) && !source.is_explained(line)
    });
    assert_none("panics without a comment on the line or above the statement", &unexplained);
}

#[test]
fn files_stay_short() {
    let sources = sources();
    let longer = |most: usize| -> Vec<String> {
        let longer = sources.iter().filter(|source| source.lines.len() > most);
        longer.map(|source| format!("{} has {} lines", source.path, source.lines.len())).collect()
    };
    let long = longer(LINES_LONG);
    println!("{} files of more than {LINES_LONG} lines:\n{}", long.len(), long.join("\n"));
    assert_none("files that are too long", &longer(LINES_MAX));
}
