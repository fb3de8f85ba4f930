//! One linear look at the text before it is parsed: where statements end, and how deep brackets nest.

use super::MAX_DEPTH;
use super::ast::Span;
use super::error::{ParseError, ParseErrorKind};

/// What the scanner is inside of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum ScanState {
    /// Between words: the text so far can end here.
    #[default]
    Plain,
    /// A string in single quotes.
    SingleQuote,
    /// A string in double quotes.
    DoubleQuote,
    /// A name in backticks.
    Backtick,
    /// A comment up to the end of the line.
    LineComment,
    /// A comment up to `*/`.
    BlockComment,
}

/// Finds the semicolons that end statements, in a text that may still grow at its end.
///
/// A shell keeps one scanner beside its buffer and calls [`next_end`](StatementScanner::next_end) after
/// each line; no byte is looked at twice.
#[derive(Debug, Clone, Default)]
pub struct StatementScanner {
    state: ScanState,
    position: usize,
    opened_at: usize,
}

impl StatementScanner {
    /// A scanner at the start of a text.
    pub fn new() -> StatementScanner {
        StatementScanner::default()
    }

    /// What the text seen so far ends inside of; [`ScanState::Plain`] when nothing is open.
    pub fn state(&self) -> ScanState {
        self.state
    }

    /// The offset behind the next semicolon that ends a statement, or `None` when `text` holds no more.
    /// `text` must begin with what earlier calls were given.
    pub fn next_end(&mut self, text: &str) -> Option<usize> {
        let bytes = text.as_bytes();
        while self.position < bytes.len() {
            let byte = bytes[self.position];
            let next = bytes.get(self.position + 1).copied();
            match self.state {
                ScanState::Plain if byte == b';' => {
                    self.position += 1;
                    return Some(self.position);
                }
                ScanState::Plain => match self.plain(byte, next) {
                    Some(length) => self.position += length,
                    None => return None,
                },
                _ => match self.inside(byte, next) {
                    Some(length) => self.position += length,
                    None => return None,
                },
            }
        }
        None
    }

    /// One step outside of quotes and comments; `None` when the next byte must be known first.
    fn plain(&mut self, byte: u8, next: Option<u8>) -> Option<usize> {
        let (state, length) = match byte {
            b'\'' => (ScanState::SingleQuote, 1),
            b'"' => (ScanState::DoubleQuote, 1),
            b'`' => (ScanState::Backtick, 1),
            b'/' => match next? {
                b'/' => (ScanState::LineComment, 2),
                b'*' => (ScanState::BlockComment, 2),
                _ => return Some(1),
            },
            _ => return Some(1),
        };
        self.opened_at = self.position;
        self.state = state;
        Some(length)
    }

    /// One step inside of a quote or comment; `None` when the next byte must be known first.
    fn inside(&mut self, byte: u8, next: Option<u8>) -> Option<usize> {
        let (closes, length) = match (self.state, byte) {
            (ScanState::SingleQuote | ScanState::DoubleQuote, b'\\') => {
                next?;
                (false, 2)
            }
            (ScanState::SingleQuote, b'\'') | (ScanState::DoubleQuote, b'"') => (true, 1),
            (ScanState::Backtick, b'`') => (true, 1),
            (ScanState::LineComment, b'\n') => (true, 1),
            (ScanState::BlockComment, b'*') => match next? {
                b'/' => (true, 2),
                _ => (false, 1),
            },
            _ => (false, 1),
        };
        if closes {
            self.state = ScanState::Plain;
        }
        Some(length)
    }

    /// The error for what is still open at the end of `text`.
    fn unterminated(&self, text: &str) -> Option<ParseError> {
        let (what, closer) = match self.state {
            ScanState::Plain | ScanState::LineComment => return None,
            ScanState::SingleQuote => ("this string is never closed", "'"),
            ScanState::DoubleQuote => ("this string is never closed", "\""),
            ScanState::Backtick => ("this quoted name is never closed", "`"),
            ScanState::BlockComment => ("this comment is never closed", "*/"),
        };
        let start = self.opened_at as u32;
        let width = if self.state == ScanState::BlockComment { 2 } else { 1 };
        let mut error =
            ParseError::new(ParseErrorKind::Unterminated, Span::new(start, start + width), text, what);
        error.expected = vec![format!("`{closer}`")];
        if matches!(self.state, ScanState::SingleQuote | ScanState::DoubleQuote) {
            error.hint = Some(format!("Write `\\{closer}` for a quote inside a string"));
        }
        Some(error)
    }
}

/// The statements of a text, and what is left behind the last semicolon.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StatementSplit {
    /// The statements that end in a semicolon, without it and without white space around them. Empty
    /// statements are left out.
    pub statements: Vec<Span>,
    /// What follows the last semicolon, when that is more than white space.
    pub tail: Option<Span>,
    /// What the tail ends inside of.
    pub state: ScanState,
}

impl StatementSplit {
    /// Whether every statement is ended by a semicolon and nothing is open.
    pub fn is_complete(&self) -> bool {
        self.tail.is_none() && matches!(self.state, ScanState::Plain | ScanState::LineComment)
    }
}

/// Cuts a text at the semicolons outside of strings, quoted names and comments.
pub fn split_statements(text: &str) -> StatementSplit {
    let mut scanner = StatementScanner::new();
    let mut statements = Vec::new();
    let mut start = 0;
    while let Some(end) = scanner.next_end(text) {
        statements.extend(trimmed(text, start, end - 1));
        start = end;
    }
    StatementSplit { statements, tail: trimmed(text, start, text.len()), state: scanner.state() }
}

/// As [`split_statements`], the tail included; an open string, name or comment is an error.
pub(super) fn statement_spans(text: &str) -> Result<Vec<Span>, ParseError> {
    let mut scanner = StatementScanner::new();
    let mut spans = Vec::new();
    let mut start = 0;
    while let Some(end) = scanner.next_end(text) {
        spans.extend(trimmed(text, start, end - 1));
        start = end;
    }
    match scanner.unterminated(text) {
        Some(error) => Err(error),
        None => {
            spans.extend(trimmed(text, start, text.len()));
            Ok(spans)
        }
    }
}

/// The span without white space and comments in front and white space behind; `None` when nothing is left.
fn trimmed(text: &str, start: usize, end: usize) -> Option<Span> {
    let mut rest = text.get(start..end)?;
    loop {
        rest = rest.trim_start_matches(is_space);
        let after = if rest.starts_with("//") {
            rest.find('\n').map_or(rest.len(), |position| position + 1)
        } else if rest.starts_with("/*") {
            rest.get(2..)?.find("*/").map_or(rest.len(), |position| position + 4)
        } else {
            break;
        };
        rest = rest.get(after..)?;
    }
    let start = end - rest.len();
    let rest = rest.trim_end_matches(is_space);
    (!rest.is_empty()).then(|| Span::new(start as u32, (start + rest.len()) as u32))
}

/// White space as the grammar knows it.
fn is_space(character: char) -> bool {
    character.is_whitespace() || character == '\u{FEFF}'
}

/// An open bracket, or `CASE`, which nests without one.
#[derive(Clone, Copy)]
struct Opened {
    byte: u8,
    at: usize,
}

/// What stands before a word decides whether `END` closes a `CASE` or is a name.
#[derive(Clone, Copy, PartialEq)]
enum Before {
    /// An operator, a comma, an opening bracket or a word that wants an operand.
    WantsOperand,
    /// The end of an operand.
    Operand,
    /// A dot, colon or dollar sign: the word is a name.
    Qualifier,
}

/// How deep the brackets of a statement nest, counting `CASE` as one. The count is never too low, so
/// that it bounds the recursion of everything behind it.
pub(super) fn bracket_depth(text: &str, span: Span) -> Result<usize, ParseError> {
    let bytes = text.as_bytes();
    let mut scanner = StatementScanner { position: span.start as usize, ..StatementScanner::default() };
    let end = span.end as usize;
    let mut open: Vec<Opened> = Vec::new();
    let mut deepest = 0;
    let mut before = Before::WantsOperand;
    while scanner.position < end {
        let at = scanner.position;
        let byte = bytes[at];
        if scanner.state != ScanState::Plain {
            scanner.position += scanner.inside(byte, bytes.get(at + 1).copied()).unwrap_or(1);
            continue;
        }
        scanner.position += scanner.plain(byte, bytes.get(at + 1).copied()).unwrap_or(1);
        match byte {
            b'(' | b'[' | b'{' => {
                open.push(Opened { byte, at });
                before = Before::WantsOperand;
            }
            b')' | b']' | b'}' => {
                close(text, &mut open, byte, at)?;
                before = Before::Operand;
            }
            _ if is_word(byte) => {
                let word_end = (at..end).find(|&index| !is_word(bytes[index])).unwrap_or(end);
                let word = &bytes[at..word_end];
                before = see_word(word, before, &mut open, at);
                scanner.position = word_end;
            }
            b'.' | b':' | b'$' => before = Before::Qualifier,
            b'\'' | b'"' | b'`' => before = Before::Operand,
            b'/' if scanner.state != ScanState::Plain => {}
            _ if byte.is_ascii_whitespace() => {}
            _ => before = Before::WantsOperand,
        }
        deepest = deepest.max(open.len());
        if deepest > MAX_DEPTH {
            return Err(ParseError::too_deep(Span::new(at as u32, at as u32 + 1), text));
        }
    }
    match open.iter().rev().find(|opened| opened.byte != b'c') {
        Some(opened) => Err(never_closed(text, *opened)),
        None => Ok(deepest),
    }
}

/// Notes `CASE` and `END`; returns what the word is for the next one.
fn see_word(word: &[u8], before: Before, open: &mut Vec<Opened>, at: usize) -> Before {
    const WANT_OPERAND: [&[u8]; 11] =
        [b"case", b"when", b"then", b"else", b"and", b"or", b"xor", b"not", b"in", b"with", b"contains"];
    if before == Before::Qualifier {
        return Before::Operand;
    }
    if word.eq_ignore_ascii_case(b"case") {
        open.push(Opened { byte: b'c', at });
    } else if word.eq_ignore_ascii_case(b"end")
        && before == Before::Operand
        && open.last().is_some_and(|opened| opened.byte == b'c')
    {
        open.pop();
    }
    match WANT_OPERAND.iter().any(|wants| word.eq_ignore_ascii_case(wants)) {
        true => Before::WantsOperand,
        false => Before::Operand,
    }
}

/// Bytes above 127 belong to letters, or to signs that the grammar refuses anyway.
fn is_word(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_' || byte >= 0x80
}

/// Takes the bracket that `closer` closes from the stack, with every `CASE` inside of it.
fn close(text: &str, open: &mut Vec<Opened>, closer: u8, at: usize) -> Result<(), ParseError> {
    while open.last().is_some_and(|opened| opened.byte == b'c') {
        open.pop();
    }
    let span = Span::new(at as u32, at as u32 + 1);
    match open.pop() {
        Some(opened) if closer_of(opened.byte) == closer => Ok(()),
        Some(opened) => {
            let (line, column) = Span::new(opened.at as u32, opened.at as u32).line_column(text);
            let message = format!(
                "`{}` does not close the `{}` of line {line}, column {column}",
                closer as char, opened.byte as char
            );
            let mut error = ParseError::new(ParseErrorKind::Bracket, span, text, message);
            error.expected = vec![format!("`{}`", closer_of(opened.byte) as char)];
            Err(error)
        }
        None => {
            let message = format!("`{}` closes nothing", closer as char);
            Err(ParseError::new(ParseErrorKind::Bracket, span, text, message))
        }
    }
}

fn never_closed(text: &str, opened: Opened) -> ParseError {
    let span = Span::new(opened.at as u32, opened.at as u32 + 1);
    let message = format!("`{}` is never closed", opened.byte as char);
    let mut error = ParseError::new(ParseErrorKind::Bracket, span, text, message);
    error.expected = vec![format!("`{}`", closer_of(opened.byte) as char)];
    error
}

fn closer_of(opener: u8) -> u8 {
    match opener {
        b'(' => b')',
        b'[' => b']',
        _ => b'}',
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, statements: &[&str], tail: Option<&str>, complete: bool) {
        let split = split_statements(text);
        let found: Vec<&str> = split.statements.iter().map(|span| span.of(text)).collect();
        assert_eq!(found, statements, "{text}");
        assert_eq!(split.tail.map(|span| span.of(text)), tail, "{text}");
        assert_eq!(split.is_complete(), complete, "{text}");
    }

    #[test]
    fn semicolons_that_end_nothing() {
        check("RETURN ';'; RETURN \";\\\";\" ;", &["RETURN ';'", "RETURN \";\\\";\""], None, true);
        check("RETURN `;``;`; // ;\n;/* ; */;", &["RETURN `;``;`"], None, true);
        check("RETURN 1; // done", &["RETURN 1"], None, true);
        check(";;  ;", &[], None, true);
    }

    #[test]
    fn what_is_not_complete() {
        check("RETURN 1", &[], Some("RETURN 1"), false);
        check("RETURN 1; RETURN 'a;", &["RETURN 1"], Some("RETURN 'a;"), false);
        check("/* ;", &[], None, false);
        check("RETURN 'a\\';", &[], Some("RETURN 'a\\';"), false);
    }

    #[test]
    fn a_growing_text_is_read_once() {
        let text = "RETURN '/*;' /* ' ; */ ; RETURN \"\\\";\" // ;\n ; x";
        let mut scanner = StatementScanner::new();
        let mut ends = Vec::new();
        for length in 1..=text.len() {
            while let Some(end) = scanner.next_end(&text[..length]) {
                ends.push(end);
            }
        }
        let mut whole = StatementScanner::new();
        let expected: Vec<usize> = std::iter::from_fn(|| whole.next_end(text)).collect();
        assert_eq!(ends, expected);
        assert_eq!(ends.len(), 2);
    }

    #[test]
    fn depth_is_never_counted_too_low() {
        let depth = |text: &str| bracket_depth(text, Span::new(0, text.len() as u32));
        assert_eq!(depth("([{}])()"), Ok(3));
        assert_eq!(depth("'((((' // ((((\n /* (( */ `((`"), Ok(0));
        assert_eq!(depth("CASE WHEN a THEN b END CASE WHEN a THEN b END"), Ok(1));
        assert_eq!(depth("CASE WHEN end THEN CASE WHEN end THEN 1 END END"), Ok(2));
        assert_eq!(depth("n.case + n.end"), Ok(0));
        assert!(depth(&"(".repeat(501)).is_err());
        assert!(depth(&"CASE WHEN end THEN ".repeat(501)).is_err());
    }
}
