//! From what a statement names (paths, globs, lists of them) to the files that are read, in order.

use std::fs;
use std::path::{Component, Path, PathBuf};

use super::row_error::{CsvError, CsvResult};

/// Resolves every pattern to files. The order of the patterns is kept; the files of one pattern are sorted by
/// name, so that a load is the same on every machine. Relative paths start at `base`, or else at the working
/// directory of the process.
pub fn expand_files<S: AsRef<str>>(patterns: &[S], base: Option<&Path>) -> CsvResult<Vec<PathBuf>> {
    if patterns.is_empty() {
        return Err(CsvError::NoFiles { pattern: String::new() });
    }
    let mut files = Vec::new();
    for pattern in patterns {
        expand_pattern(pattern.as_ref(), base, &mut files)?;
    }
    Ok(files)
}

fn expand_pattern(pattern: &str, base: Option<&Path>, files: &mut Vec<PathBuf>) -> CsvResult<()> {
    let literal = with_base(base, Path::new(pattern));
    // A file whose name happens to contain a glob character is meant before the pattern is.
    if !has_glob(pattern) || literal.is_file() {
        let metadata = fs::metadata(&literal).map_err(|source| CsvError::io("opening", &literal, source))?;
        if metadata.is_dir() {
            return Err(CsvError::unusable(
                &literal,
                "it is a directory; a pattern such as 'folder/*.csv' names its files",
            ));
        }
        files.push(literal);
        return Ok(());
    }
    let mut fixed = PathBuf::new();
    let mut segments = Vec::new();
    for component in Path::new(pattern).components() {
        match component {
            Component::Normal(name) if !segments.is_empty() || has_glob(&name.to_string_lossy()) => {
                segments.push(name.to_string_lossy().into_owned());
            }
            other if segments.is_empty() => fixed.push(other),
            other => segments.push(other.as_os_str().to_string_lossy().into_owned()),
        }
    }
    let mut found = Vec::new();
    walk(&with_base(base, &fixed), &segments, &mut found)?;
    if found.is_empty() {
        return Err(CsvError::NoFiles { pattern: pattern.to_string() });
    }
    found.sort();
    found.dedup();
    files.append(&mut found);
    Ok(())
}

fn with_base(base: Option<&Path>, path: &Path) -> PathBuf {
    match base {
        Some(base) => base.join(path),
        None => path.to_path_buf(),
    }
}

fn has_glob(text: &str) -> bool {
    text.contains(['*', '?', '['])
}

fn walk(directory: &Path, segments: &[String], found: &mut Vec<PathBuf>) -> CsvResult<()> {
    let Some((segment, rest)) = segments.split_first() else { return Ok(()) };
    if segment == "**" {
        if rest.is_empty() {
            walk(directory, &["*".to_string()], found)?;
        } else {
            walk(directory, rest, found)?;
        }
        for (path, _) in entries(directory)?.into_iter().filter(|(path, _)| is_real_directory(path)) {
            walk(&path, segments, found)?;
        }
        return Ok(());
    }
    if !has_glob(segment) {
        return descend(&directory.join(segment), rest, found);
    }
    for (path, name) in entries(directory)? {
        let hidden = name.starts_with('.') && !segment.starts_with('.');
        if !hidden && glob_matches(segment, &name) {
            descend(&path, rest, found)?;
        }
    }
    Ok(())
}

fn descend(path: &Path, rest: &[String], found: &mut Vec<PathBuf>) -> CsvResult<()> {
    if !rest.is_empty() {
        return if path.is_dir() { walk(path, rest, found) } else { Ok(()) };
    }
    if path.is_file() {
        found.push(path.to_path_buf());
    }
    Ok(())
}

/// Links to directories are not followed by `**`, so that a cycle of links ends.
fn is_real_directory(path: &Path) -> bool {
    fs::symlink_metadata(path).is_ok_and(|metadata| metadata.is_dir())
}

fn entries(directory: &Path) -> CsvResult<Vec<(PathBuf, String)>> {
    let shown = if directory.as_os_str().is_empty() { Path::new(".") } else { directory };
    let fault = |source| CsvError::io("listing", shown, source);
    let mut entries = Vec::new();
    for entry in fs::read_dir(shown).map_err(fault)? {
        let name = entry.map_err(fault)?.file_name();
        entries.push((directory.join(&name), name.to_string_lossy().into_owned()));
    }
    Ok(entries)
}

/// Whether a file name matches a pattern of `*`, `?` and `[a-z]` or `[!a-z]` sets. Anything else, an open
/// bracket without its end included, stands for itself.
pub(super) fn glob_matches(pattern: &str, name: &str) -> bool {
    let pattern: Vec<char> = pattern.chars().collect();
    let name: Vec<char> = name.chars().collect();
    let (mut at, mut position) = (0, 0);
    // Where to go on when a guess about the last star was too short: star positions never need more than that.
    let mut retry: Option<(usize, usize)> = None;
    while position < name.len() {
        if pattern.get(at) == Some(&'*') {
            retry = Some((at + 1, position));
            at += 1;
        } else if let Some(next) = match_one(&pattern, at, name[position]) {
            at = next;
            position += 1;
        } else if let Some((after_star, start)) = retry {
            retry = Some((after_star, start + 1));
            at = after_star;
            position = start + 1;
        } else {
            return false;
        }
    }
    pattern[at..].iter().all(|&character| character == '*')
}

/// Matches one character; the position in the pattern behind it on success.
fn match_one(pattern: &[char], at: usize, character: char) -> Option<usize> {
    match *pattern.get(at)? {
        '?' => Some(at + 1),
        '[' => match set_end(pattern, at) {
            Some(end) => set_contains(&pattern[at + 1..end], character).then_some(end + 1),
            None => (character == '[').then_some(at + 1),
        },
        literal => (literal == character).then_some(at + 1),
    }
}

/// The closing bracket; one that stands first in the set is a member of it.
fn set_end(pattern: &[char], open: usize) -> Option<usize> {
    let negated = usize::from(matches!(pattern.get(open + 1), Some('!' | '^')));
    let first = open + 1 + negated;
    (first + 1..pattern.len()).find(|&position| pattern[position] == ']')
}

fn set_contains(set: &[char], character: char) -> bool {
    let negated = matches!(set.first(), Some('!' | '^'));
    let members = if negated { &set[1..] } else { set };
    let mut inside = false;
    let mut index = 0;
    while index < members.len() {
        if members.get(index + 1) == Some(&'-') && index + 2 < members.len() {
            inside |= (members[index]..=members[index + 2]).contains(&character);
            index += 3;
        } else {
            inside |= members[index] == character;
            index += 1;
        }
    }
    inside != negated
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(pattern: &str, name: &str, expected: bool) {
        assert_eq!(glob_matches(pattern, name), expected, "{pattern} on {name}");
    }

    #[test]
    fn names_and_patterns() {
        check("*.csv", "a.csv", true);
        check("*.csv", "a.csv.gz", false);
        check("a?c", "abc", true);
        check("a?c", "ac", false);
        check("part-[0-9][0-9].csv", "part-07.csv", true);
        check("part-[!0-9]*", "part-7", false);
        check("[]x]", "]", true);
        check("[ab", "[ab", true);
        check("*a*b*", "xxaxxbxx", true);
        check("*a*b", "xxaxxbxx", false);
        check("", "", true);
        check("**", "anything", true);
        check("é?", "éü", true);
    }

    fn names(files: &[PathBuf], base: &Path) -> Vec<String> {
        files.iter().map(|file| file.strip_prefix(base).unwrap().to_string_lossy().into_owned()).collect()
    }

    #[test]
    fn patterns_are_sorted_and_lists_keep_their_order() {
        let directory = tempfile::tempdir().unwrap();
        let base = directory.path();
        fs::create_dir_all(base.join("x/y")).unwrap();
        for name in ["b.csv", "a.csv", "x/c.csv", "x/y/d.csv", ".hidden.csv", "a[1].csv"] {
            fs::write(base.join(name), "1\n").unwrap();
        }
        let expand = |patterns: &[&str]| names(&expand_files(patterns, Some(base)).unwrap(), base);
        assert_eq!(expand(&["?.csv"]), ["a.csv", "b.csv"]);
        assert_eq!(expand(&["b.csv", "a.csv"]), ["b.csv", "a.csv"]);
        assert_eq!(expand(&["**/*.csv"]), ["a.csv", "a[1].csv", "b.csv", "x/c.csv", "x/y/d.csv"]);
        assert_eq!(expand(&["x/**"]), ["x/c.csv", "x/y/d.csv"]);
        assert_eq!(expand(&["*/c.csv"]), ["x/c.csv"]);
        assert_eq!(expand(&["a[1].csv"]), ["a[1].csv"]);
        assert_eq!(expand(&["x/../?.csv"]), ["x/../a.csv", "x/../b.csv"]);
    }

    #[test]
    fn what_is_missing_is_named() {
        let directory = tempfile::tempdir().unwrap();
        let message =
            |pattern: &str| expand_files(&[pattern], Some(directory.path())).unwrap_err().to_string();
        assert!(message("no.csv").contains("no.csv"));
        assert!(message("*.csv").contains("no file matches '*.csv'"));
        fs::create_dir(directory.path().join("folder")).unwrap();
        assert!(message("folder").contains("is a directory"));
    }
}
