//! Errors on standard error: what, where, and the text underlined.

use std::fmt::Write;
use std::io::IsTerminal;

use quiredb::Error;

use crate::input::Piece;

/// Where a statement comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Source<'s> {
    /// Somebody has just typed it: lines count from its own first one.
    Prompt,
    /// Standard input or the command line.
    Text,
    /// A script of this name.
    Script(&'s str),
}

/// Prints an error of a statement.
pub fn statement_error(error: &Error, piece: &Piece, source: Source<'_>) {
    eprint!("{}", describe(error, piece, source, use_color()));
}

/// Prints an error that has no place in a text.
pub fn plain_error(message: &str) {
    eprintln!("{}: {message}", label(use_color()));
}

fn label(color: bool) -> &'static str {
    if color { "\u{1b}[1;31merror\u{1b}[0m" } else { "error" }
}

fn use_color() -> bool {
    std::io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty())
}

fn describe(error: &Error, piece: &Piece, source: Source<'_>, color: bool) -> String {
    let mut text = format!("{}: {}", label(color), error.message());
    // Writing to a string cannot fail, here and below.
    let script = if let Source::Script(name) = source { format!("{name}, ") } else { String::new() };
    let (first_line, first_column) = match source {
        Source::Prompt => (1, 1),
        _ => (piece.line, piece.column),
    };
    if let Some(span) = error.span() {
        let line = first_line + span.line - 1;
        let column = if span.line == 1 { first_column + span.column - 1 } else { span.column };
        let _ = write!(text, " ({script}line {line}, column {column})");
        let before = span.snippet.chars().take(span.column as usize - 1);
        let padding: String = before.map(|letter| if letter == '\t' { '\t' } else { ' ' }).collect();
        let _ = write!(text, "\n  {}\n  {padding}{}", span.snippet, "^".repeat(span.length as usize));
    } else if source != Source::Prompt {
        let _ = write!(text, " ({script}statement of line {first_line})");
    }
    if let Some(hint) = error.hint() {
        let _ = write!(text, "\nhint: {hint}");
    }
    text.push('\n');
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_those_of_the_script() {
        let connection = quiredb::Database::in_memory().unwrap().connect().unwrap();
        let error = connection.query("RETURN\n\tnobody").unwrap_err();
        let piece = Piece { text: String::new(), line: 7, column: 5 };
        let shown = describe(&error, &piece, Source::Script("a.cypher"), false);
        let mut lines = shown.lines();
        assert!(lines.next().unwrap().ends_with("(a.cypher, line 8, column 2)"), "{shown}");
        assert_eq!(lines.next(), Some("  \tnobody"));
        assert_eq!(lines.next(), Some("  \t^^^^^^"));
        let error = connection.query("RETURN nobody").unwrap_err();
        assert!(describe(&error, &piece, Source::Text, false).contains("(line 7, column 12)"));
        assert!(describe(&error, &piece, Source::Prompt, false).contains("(line 1, column 8)"));
    }
}
