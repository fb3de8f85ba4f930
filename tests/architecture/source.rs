//! Source files as the rules read them: without comments, the contents of strings, and code that only tests see.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

/// A source file of the library or the command.
pub struct Source {
    /// The path below the package, with `/` between its parts.
    pub path: String,
    /// The lines as they were written.
    pub lines: Vec<String>,
    /// The same lines without comments, contents of strings and test code.
    pub code: Vec<String>,
}

impl Source {
    /// The modules from the crate's root to this file: `["storage", "page"]` for `src/storage/page/mod.rs`.
    pub fn module(&self) -> Vec<&str> {
        let inner = self.path.trim_start_matches("src/").trim_end_matches(".rs");
        let mut parts: Vec<&str> = inner.split('/').collect();
        if matches!(parts.last(), Some(&"mod" | &"lib")) {
            parts.pop();
        }
        parts
    }

    /// Where a line stands, for messages.
    pub fn at(&self, line: usize) -> String {
        format!("{}:{}: {}", self.path, line + 1, self.lines[line].trim())
    }

    /// Whether a comment stands on this line, or ends just above the statement that the line belongs to.
    pub fn is_explained(&self, line: usize) -> bool {
        if self.lines[line].contains("//") {
            return true;
        }
        let mut at = line;
        while at > 0 && !is_statement_start(&self.code[at]) {
            at -= 1;
        }
        at > 0 && self.lines[at - 1].trim_start().starts_with("//")
    }
}

/// Continued lines of the house style begin with what cannot begin a statement.
fn is_statement_start(line: &str) -> bool {
    !line.trim_start().starts_with(['.', '?', ')', ']', '}', '&', '|', '+', '-'])
}

/// All sources below `src`, without files that only tests see.
pub fn sources() -> Vec<Source> {
    let root = PathBuf::from(env!("CARGO_MANIFEST_DIR"));
    let mut paths = Vec::new();
    collect(&root.join("src"), &mut paths);
    paths.sort();
    let texts: Vec<(PathBuf, String)> = paths
        .into_iter()
        .map(|path| {
            let text = std::fs::read_to_string(&path).expect("a source file is text");
            (path, text)
        })
        .collect();
    let tests: BTreeSet<PathBuf> =
        texts.iter().flat_map(|(path, text)| test_modules(path, &code_of(text))).collect();
    let is_test =
        |path: &Path| tests.iter().any(|test| path.starts_with(test) || path == test.with_extension("rs"));
    texts
        .into_iter()
        .filter(|(path, _)| !is_test(path))
        .map(|(path, text)| Source {
            path: path.strip_prefix(&root).expect("below the package").to_string_lossy().replace('\\', "/"),
            lines: text.lines().map(str::to_owned).collect(),
            code: without_tests(&code_of(&text)),
        })
        .collect()
}

fn collect(folder: &Path, out: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).expect("the folder is there") {
        let path = entry.expect("the entry is there").path();
        if path.is_dir() {
            collect(&path, out);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            out.push(path);
        }
    }
}

/// Modules in files of their own that are declared for tests only, as paths without `.rs`.
fn test_modules(path: &Path, code: &str) -> Vec<PathBuf> {
    let folder = match path.file_stem().and_then(|stem| stem.to_str()) {
        Some("mod" | "lib" | "main") | None => path.parent().expect("a file has a folder").to_path_buf(),
        Some(_) => path.with_extension(""),
    };
    let lines: Vec<&str> = code.lines().collect();
    let pairs = lines.iter().zip(lines.iter().skip(1));
    pairs
        .filter(|(attribute, _)| is_for_tests(attribute))
        .filter_map(|(_, line)| line.trim().strip_suffix(';')?.split_once("mod ").map(|(_, name)| name))
        .map(|name| folder.join(name))
        .collect()
}

/// Whether what follows the line is seen by tests only.
fn is_for_tests(line: &str) -> bool {
    line.trim() == "#[cfg(test)]" || line.trim().starts_with("#[cfg(all(test,")
}

/// Blanks items behind `#[cfg(test)]`: up to the line that closes them at the same depth.
fn without_tests(code: &str) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    let mut rest = code.lines();
    while let Some(line) = rest.next() {
        if !is_for_tests(line) {
            lines.push(line.to_owned());
            continue;
        }
        lines.push(String::new());
        let depth = line.len() - line.trim_start().len();
        for line in rest.by_ref() {
            lines.push(String::new());
            let closes =
                line.len() - line.trim_start().len() == depth && line.trim_end().ends_with(['}', ';', ',']);
            if closes {
                break;
            }
        }
    }
    lines
}

/// The text with comments and the contents of strings and characters blanked; lines stay where they are.
fn code_of(text: &str) -> String {
    let bytes = text.as_bytes();
    let mut out = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while at < bytes.len() {
        let end = match bytes[at] {
            b'/' if bytes[at..].starts_with(b"//") => end_of(bytes, at, b"\n").saturating_sub(1),
            b'/' if bytes[at..].starts_with(b"/*") => end_of(bytes, at + 2, b"*/"),
            b'"' => end_of_quoted(bytes, at),
            b'r' if !preceded_by_word(bytes, at) => end_of_raw(bytes, at).unwrap_or(at),
            b'\'' => end_of_character(bytes, at).unwrap_or(at),
            _ => at,
        };
        if end <= at {
            out.push(bytes[at]);
            at += 1;
        } else {
            out.extend(bytes[at..end].iter().map(|byte| if *byte == b'\n' { b'\n' } else { b' ' }));
            at = end;
        }
    }
    String::from_utf8(out).expect("whole characters were blanked")
}

fn preceded_by_word(bytes: &[u8], at: usize) -> bool {
    at > 0 && (bytes[at - 1].is_ascii_alphanumeric() || bytes[at - 1] == b'_')
}

/// Just behind the next `mark`, or the end.
fn end_of(bytes: &[u8], from: usize, mark: &[u8]) -> usize {
    let found = bytes[from..].windows(mark.len()).position(|window| window == mark);
    found.map_or(bytes.len(), |position| from + position + mark.len())
}

fn end_of_quoted(bytes: &[u8], from: usize) -> usize {
    let mut at = from + 1;
    while at < bytes.len() && bytes[at] != b'"' {
        at += if bytes[at] == b'\\' { 2 } else { 1 };
    }
    (at + 1).min(bytes.len())
}

/// `r"…"` and `r#"…"#`, with any number of hashes.
fn end_of_raw(bytes: &[u8], from: usize) -> Option<usize> {
    let hashes = bytes[from + 1..].iter().take_while(|byte| **byte == b'#').count();
    let quote = from + 1 + hashes;
    (bytes.get(quote) == Some(&b'"')).then(|| {
        let mark: Vec<u8> = std::iter::once(b'"').chain(std::iter::repeat_n(b'#', hashes)).collect();
        end_of(bytes, quote + 1, &mark)
    })
}

/// A character, which a lifetime is not: its quote closes behind one character or an escape.
fn end_of_character(bytes: &[u8], from: usize) -> Option<usize> {
    let rest = std::str::from_utf8(&bytes[from + 1..]).ok()?;
    let mut characters = rest.char_indices();
    let (_, first) = characters.next()?;
    if first == '\\' {
        characters.next()?;
        return rest.get(2..)?.find('\'').map(|end| from + 1 + 2 + end + 1);
    }
    let (end, quote) = characters.next()?;
    (quote == '\'').then_some(from + 1 + end + 1)
}

#[test]
fn comments_strings_and_characters_are_blanked() {
    let check = |text: &str, expected: &str| assert_eq!(code_of(text), expected, "{text}");
    check("a // b\nc", "a     \nc");
    check("a /* b\n */ c", "a     \n    c");
    check("f(\"x\\\"y\", 'z', '\\'', 'q: &'a T)", "f(      ,    ,     , 'q: &'a T)");
    check("r#\"a\"b\"# + bar\"\"", "         + bar  ");
}

#[test]
fn code_of_tests_is_blanked() {
    let check = |text: &str, expected: &[&str]| assert_eq!(without_tests(text), expected, "{text}");
    check("a\n#[cfg(test)]\nmod tests {\n    x;\n}\nb", &["a", "", "", "", "", "b"]);
    check("    #[cfg(test)]\n    field: u8,\n    other: u8,", &["", "", "    other: u8,"]);
}
