//! From "no rule matches here" to a sentence that helps.

use super::{Builder, Rule, is_keyword};
use crate::parser::ast::Span;
use crate::parser::error::{ParseError, ParseErrorKind};
use crate::types::edit_distance;
use pest::error::{ErrorVariant, InputLocation};

impl Builder<'_> {
    /// The error for the furthest place that the grammar reached in the statement at `span`.
    pub(super) fn diagnose(&self, span: Span, error: pest::error::Error<Rule>) -> Box<ParseError> {
        let offset = match error.location {
            InputLocation::Pos(offset) | InputLocation::Span((offset, _)) => offset,
        };
        let rules = match error.variant {
            ErrorVariant::ParsingError { positives, .. } => positives,
            ErrorVariant::CustomError { .. } => Vec::new(),
        };
        let statement = span.of(self.text);
        let at = offset.min(statement.len());
        let found = token(&statement[at..]);
        let start = span.start + at as u32;
        let place = Span::new(start, start + found.len() as u32);
        let expected = expected_words(&rules);
        let (kind, message) = match found {
            "" => (ParseErrorKind::UnexpectedEnd, "the statement ends too early".to_owned()),
            found => (ParseErrorKind::Unexpected, format!("unexpected `{found}`")),
        };
        let hint = hint(&statement[..at], found, &statement[at..], &rules, &expected);
        let mut result = ParseError::new(kind, place, self.text, message);
        result.message = with_expected(&result.message, &expected);
        result.expected = expected;
        result.hint = hint;
        Box::new(result)
    }
}

/// At most so many words say what was expected.
const WORDS_MAX: usize = 8;

fn with_expected(message: &str, expected: &[String]) -> String {
    let mut told =
        gathered(gathered(expected.to_vec(), &OPERATORS, "an operator", 1), &CLAUSES, "a clause", 4);
    let others = told.len() > WORDS_MAX;
    told.truncate(if others { WORDS_MAX - 1 } else { WORDS_MAX });
    match &told[..] {
        [] => message.to_owned(),
        all if others => format!("{message}, expected {} or others", all.join(", ")),
        [only] => format!("{message}, expected {only}"),
        [first @ .., last] => format!("{message}, expected {} or {last}", first.join(", ")),
    }
}

const OPERATORS: [&str; 9] = ["an operator", "AND", "OR", "XOR", "IN", "IS", "CONTAINS", "STARTS", "ENDS"];
const CLAUSES: [&str; 15] = [
    "MATCH", "OPTIONAL", "WITH", "RETURN", "UNWIND", "CREATE", "MERGE", "SET", "DELETE", "DETACH", "REMOVE",
    "FOREACH", "CALL", "LOAD", "UNION",
];

/// The words with one for those of a kind, where there are at least so many.
fn gathered(words: Vec<String>, kind: &[&str], name: &str, least: usize) -> Vec<String> {
    let is_one = |word: &String| kind.contains(&word.as_str());
    if words.iter().filter(|word| is_one(word)).count() < least {
        return words;
    }
    let at = words.iter().position(is_one).unwrap_or(0);
    let mut rest: Vec<String> = words.into_iter().filter(|word| !is_one(word)).collect();
    rest.insert(at.min(rest.len()), name.to_owned());
    rest
}

/// The word or sign at the start of a text.
fn token(text: &str) -> &str {
    let is_word = |character: char| character.is_alphanumeric() || character == '_';
    let Some(first) = text.chars().next() else { return "" };
    let length = match first {
        _ if is_word(first) => text.find(|character| !is_word(character)).unwrap_or(text.len()),
        '=' if text.starts_with("==") => 2,
        '!' if text.starts_with("!=") => 2,
        '\'' | '"' => text[1..].find(first).map_or(text.len(), |end| end + 2),
        _ => first.len_utf8(),
    };
    &text[..length]
}

/// What could have stood there, in words, the most telling first and without repetition.
fn expected_words(rules: &[Rule]) -> Vec<String> {
    let mut words: Vec<String> = Vec::new();
    for rule in rules {
        for word in words_of(*rule) {
            if !words.contains(&word) {
                words.push(word);
            }
        }
    }
    if words.iter().any(|word| word == "an expression") {
        words.retain(|word| !KINDS_OF_EXPRESSION.contains(&word.as_str()));
    }
    words
}

/// What need not be told beside "an expression".
const KINDS_OF_EXPRESSION: [&str; 5] =
    ["a property map", "a list", "a parameter", "a string in quotes", "a number"];

fn words_of(rule: Rule) -> Vec<String> {
    if is_keyword(rule) {
        let word =
            format!("{rule:?}").trim_start_matches("kw_").trim_end_matches("_word").to_ascii_uppercase();
        return vec![word];
    }
    let words: &[&str] = match rule {
        Rule::statement => &["a statement"],
        Rule::query | Rule::single_query => &["a query"],
        Rule::expression | Rule::projection_item | Rule::projection | Rule::sort_item | Rule::argument => {
            &["an expression"]
        }
        Rule::name | Rule::qualified_name | Rule::index_name | Rule::constraint_name => &["a name"],
        Rule::variable => &["a variable"],
        Rule::reference => &["an expression"],
        Rule::map_entry => &["`key: value`"],
        Rule::node_pattern | Rule::path_element | Rule::path_pattern | Rule::pattern_list | Rule::entity => {
            &["a pattern such as `(n)`"]
        }
        Rule::relationship | Rule::pattern_tail => &["a relationship such as `-[:TYPE]->`"],
        Rule::labels | Rule::label_expression | Rule::label_predicate | Rule::label_operand => &["a label"],
        Rule::properties | Rule::map_literal => &["a property map"],
        Rule::where_part => &["WHERE"],
        Rule::order_part => &["ORDER BY"],
        Rule::skip_part => &["SKIP"],
        Rule::limit_part => &["LIMIT"],
        Rule::union_part => &["UNION"],
        Rule::yield_part => &["YIELD"],
        Rule::match_clause => &["MATCH"],
        Rule::call_arguments => &["arguments in parentheses"],
        Rule::string | Rule::files => &["a string in quotes"],
        Rule::integer | Rule::signed_integer | Rule::float | Rule::hexadecimal | Rule::octal => &["a number"],
        Rule::type_name | Rule::type_word => &["a data type"],
        Rule::column => &["a column with its type"],
        Rule::endpoints => &["FROM table TO table"],
        Rule::options | Rule::option => &["options in parentheses"],
        Rule::scan_source => &["a file name in quotes or a query in parentheses"],
        Rule::if_not_exists => &["IF NOT EXISTS"],
        Rule::if_exists => &["IF EXISTS"],
        Rule::EOI => &["the end of the statement"],
        Rule::star => &["`*`"],
        Rule::set_assign => &["`=`"],
        Rule::set_merge => &["`+=`"],
        Rule::bar | Rule::bar_part => &["`|`"],
        Rule::range => &["a range such as `1..3`"],
        Rule::list => &["a list"],
        Rule::parenthesized | Rule::group => &["an expression"],
        Rule::parameter => &["a parameter"],
        Rule::case_branch => &["WHEN"],
        Rule::case_else => &["ELSE"],
        rule if format!("{rule:?}").starts_with("op_") => &["an operator"],
        _ => &[],
    };
    words.iter().map(|word| (*word).to_owned()).collect()
}

/// What the author probably wanted.
fn hint(before: &str, found: &str, rest: &str, rules: &[Rule], expected: &[String]) -> Option<String> {
    let before = before.trim_end();
    sign_hint(before, found, rest, rules)
        .map(str::to_owned)
        .or_else(|| unquoted_string(found, rules))
        .or_else(|| foreign_word(before, found).map(str::to_owned))
        .or_else(|| did_you_mean(found, expected))
        .or_else(|| misspelt_before(before))
        .or_else(|| reserved_word(found, rules, expected))
        .or_else(|| forgotten_return(before, found, expected))
}

/// Signs that other languages use, or that are half of a sign of ours.
fn sign_hint(before: &str, found: &str, rest: &str, rules: &[Rule]) -> Option<&'static str> {
    let entry = rules.contains(&Rule::map_entry);
    match found {
        "==" | "=" if found == "==" || before.ends_with('=') => Some("Cypher compares with a single `=`"),
        "!=" => Some("Cypher writes `<>` for \"not equal\""),
        "&" if before.ends_with('&') || rest.starts_with("&&") => Some("Cypher writes AND"),
        ">" | "(" if before.ends_with('-') => Some("A relationship is written `--`, `-->` or `-[:TYPE]->`"),
        "," | ")" | "]" if before.ends_with(',') => Some("There is a comma too much before it"),
        _ if entry && rest[found.len()..].trim_start().starts_with('=') => {
            Some("Inside braces a property is written `key: value`")
        }
        _ => None,
    }
}

fn unquoted_string(found: &str, rules: &[Rule]) -> Option<String> {
    let is_word = found.chars().next().is_some_and(char::is_alphanumeric);
    (rules.contains(&Rule::string) && is_word).then(|| format!("Put quotes around it: '{found}'"))
}

/// Words that are right elsewhere: in another language, or in another place.
fn foreign_word(before: &str, found: &str) -> Option<&'static str> {
    let found = found.to_ascii_uppercase();
    let upper = before.to_ascii_uppercase();
    match found.as_str() {
        "SELECT" if before.is_empty() => Some("Cypher reads with `MATCH (n) RETURN n`"),
        "INSERT" if before.is_empty() => Some("Cypher writes with `CREATE (:Label {key: value})`"),
        "TABLE" if upper.ends_with("CREATE") => Some("Write CREATE NODE TABLE or CREATE REL TABLE"),
        "WHERE" if upper.contains("RETURN") => {
            Some("WHERE stands before RETURN; behind it, use WITH … WHERE … RETURN")
        }
        "NOT" => Some("Write `NOT x IN list`, `x IS NOT NULL`"),
        _ => None,
    }
}

/// The words that start clauses and statements or stand between their parts.
const WORDS: [&str; 58] = [
    "MATCH",
    "OPTIONAL",
    "WHERE",
    "RETURN",
    "WITH",
    "UNWIND",
    "CREATE",
    "MERGE",
    "DELETE",
    "DETACH",
    "REMOVE",
    "FOREACH",
    "UNION",
    "CALL",
    "YIELD",
    "LOAD",
    "COPY",
    "FROM",
    "ORDER",
    "LIMIT",
    "SKIP",
    "DISTINCT",
    "CONTAINS",
    "STARTS",
    "ENDS",
    "CASE",
    "WHEN",
    "THEN",
    "ELSE",
    "EXISTS",
    "COUNT",
    "TABLE",
    "NODE",
    "PRIMARY",
    "DEFAULT",
    "ALTER",
    "DROP",
    "RENAME",
    "BEGIN",
    "TRANSACTION",
    "COMMIT",
    "ROLLBACK",
    "CHECKPOINT",
    "EXPLAIN",
    "PROFILE",
    "EXPORT",
    "IMPORT",
    "DATABASE",
    "ATTACH",
    "INSTALL",
    "EXTENSION",
    "COMMENT",
    "SEQUENCE",
    "MACRO",
    "INDEX",
    "CONSTRAINT",
    "HEADERS",
    "DESC",
];

fn did_you_mean(found: &str, expected: &[String]) -> Option<String> {
    if found.len() < 3 || !found.chars().all(|character| character.is_ascii_alphabetic()) {
        return None;
    }
    let found = found.to_ascii_uppercase();
    if found == "START" {
        // As SQL and other dialects have it.
        return Some("Write BEGIN TRANSACTION".to_owned());
    }
    let distance = |word: &str| {
        let allowed = if word.len() < 5 { 1 } else { 2 };
        edit_distance(&found, word, allowed).filter(|distance| *distance > 0)
    };
    let from_expected =
        expected.iter().flat_map(|words| words.split(' ')).find(|word| distance(word).is_some());
    let from_all =
        || WORDS.into_iter().filter(|word| distance(word).is_some()).min_by_key(|word| distance(word));
    from_expected.or_else(from_all).map(|word| format!("Did you mean {word}?"))
}

/// The word before can be the wrong one: `MATCH (n) RETURN n ODER BY n` fails behind `ODER`.
fn misspelt_before(before: &str) -> Option<String> {
    let word = before.rsplit(|character: char| !character.is_ascii_alphabetic()).next()?;
    match word.len() {
        0..4 => None,
        _ if WORDS.contains(&word.to_ascii_uppercase().as_str()) => None,
        _ => did_you_mean(word, &[]),
    }
}

fn reserved_word(found: &str, rules: &[Rule], expected: &[String]) -> Option<String> {
    let is_word = found.chars().next().is_some_and(char::is_alphabetic);
    match (is_word, expected.iter().any(|words| words == "an expression")) {
        (true, true) => Some(format!("An expression is missing before {found}")),
        (true, false) if rules.contains(&Rule::variable) => {
            Some(format!("{found} is a word of the language; as a name it stands in backticks: `{found}`"))
        }
        _ => None,
    }
}

/// `MATCH (n) n.name`: something that could be returned stands where a clause should.
fn forgotten_return(before: &str, found: &str, expected: &[String]) -> Option<String> {
    let wants_clause = expected.iter().any(|word| word == "RETURN");
    let is_word = found.chars().next().is_some_and(|first| first.is_alphabetic() || first == '*');
    let missing = wants_clause && is_word && !before.to_ascii_uppercase().contains("RETURN");
    missing.then(|| "Is RETURN missing before it?".to_owned())
}

#[cfg(test)]
mod tests {
    use crate::parser::{ParseErrorKind, parse};

    /// The place, the message and the hint of the error.
    fn check(text: &str, line_column: (u32, u32), message: &str, hint: &str) {
        let error = parse(text).expect_err(text);
        assert_eq!((error.line, error.column), line_column, "{text}");
        assert!(error.message.contains(message), "{text}: {}", error.message);
        assert!(error.hint.unwrap_or_default().contains(hint), "{text}: no `{hint}`");
    }

    #[test]
    fn brackets() {
        check("MATCH (n RETURN n", (1, 7), "`(` is never closed", "");
        check("MATCH (n)\nWHERE n.x IN [1, 2) RETURN n", (2, 19), "`)` does not close the `[`", "");
        check("RETURN 1)", (1, 9), "`)` closes nothing", "");
        check("MATCH (a)-[:R->(b) RETURN a", (1, 11), "`[` is never closed", "");
    }

    #[test]
    fn what_is_never_closed() {
        check("RETURN 'it's'", (1, 13), "string is never closed", "inside a string");
        check("RETURN 1 /* x", (1, 10), "comment is never closed", "");
        check("RETURN `x", (1, 8), "quoted name is never closed", "");
    }

    #[test]
    fn signs_of_other_languages() {
        check("MATCH (n) WHERE n.x == 1 RETURN n", (1, 22), "unexpected", "single `=`");
        check("MATCH (n) WHERE n.x != 1 RETURN n", (1, 21), "unexpected `!=`", "<>");
        check("RETURN a && b", (1, 11), "unexpected", "AND");
        check("MATCH (n {a = 1}) RETURN n", (1, 11), "unexpected", "key: value");
        check("MATCH (a)->(b) RETURN a", (1, 11), "unexpected `>`", "-->");
        check("RETURN foo(1,)", (1, 14), "an expression", "comma");
    }

    #[test]
    fn misspelt_words() {
        check("MATCH (n) RETRUN n", (1, 11), "unexpected `RETRUN`", "Did you mean RETURN?");
        check("MATHC (n) RETURN n", (1, 1), "a statement", "Did you mean MATCH?");
        check("MATCH (n) RETURN n\nODER BY n", (2, 1), "unexpected `ODER`", "Did you mean ORDER?");
        check("MATCH (n) RETURN n LIMT 3", (1, 20), "unexpected `LIMT`", "Did you mean LIMIT?");
        check("CREATE NODE TABLE t(id INT64 PRIMRY KEY)", (1, 30), "PRIMRY", "Did you mean PRIMARY?");
        check("START TRANSACTION", (1, 1), "unexpected `START`", "Write BEGIN TRANSACTION");
        check("RETURN 1; RETRUN 2", (1, 11), "unexpected `RETRUN`", "Did you mean RETURN?");
    }

    #[test]
    fn missing_parts() {
        check("MATCH (n) n.name", (1, 11), "unexpected `n`", "RETURN");
        check("MATCH (n)", (1, 1), "cannot end with MATCH", "Add RETURN");
        check("RETURN 1 2", (1, 10), "expected the end of the statement, a clause", "");
        check("MATCH (a)-(b) RETURN a", (1, 11), "expected", "`-[:TYPE]->`");
        check("MATCH (a) WHERE a.x 3 RETURN a", (1, 21), "expected", "");
        check("MATCH (n) RETURN n MATCH (m) RETURN m", (1, 20), "MATCH cannot follow RETURN", "WITH");
        check("RETURN n ORDER n", (1, 16), "expected BY", "");
        check("MATCH (n) WHERE RETURN n", (1, 17), "expected an expression", "missing before RETURN");
        check("COPY t FROM", (1, 12), "a file name in quotes", "");
        check("RETURN 1 +", (1, 11), "ends too early, expected an expression", "");
    }

    #[test]
    fn words_in_the_wrong_place() {
        check("MATCH (match) RETURN 1", (1, 8), "unexpected `match`", "backticks");
        check("SELECT * FROM t", (1, 1), "unexpected `SELECT`", "MATCH");
        check("CREATE TABLE t(id INT64)", (1, 8), "unexpected `TABLE`", "CREATE NODE TABLE");
        check("MATCH (n) RETURN n WHERE n.x", (1, 20), "unexpected `WHERE`", "before RETURN");
        check("RETURN a NOT IN [1]", (1, 10), "unexpected `NOT`", "NOT x IN list");
    }

    #[test]
    fn literals() {
        check("RETURN '\\q'", (1, 9), "not an escape", "backslash");
        check("RETURN '\\uD800'", (1, 9), "not a character", "");
        check("RETURN 1e999", (1, 8), "too large", "");
        check("RETURN 12abc", (1, 8), "unexpected `12abc`", "");
    }

    #[test]
    fn columns_count_characters() {
        check("RETURN 'äöü' §", (1, 14), "unexpected `§`", "");
        let error = parse("RETURN 'äöü' §").expect_err("the sign is unknown");
        assert_eq!(error.span.of("RETURN 'äöü' §"), "§");
        assert_eq!(error.kind, ParseErrorKind::Unexpected);
    }
}
