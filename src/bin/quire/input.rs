//! Lines in, statements out. A semicolon ends a statement unless it stands in a string, a quoted name or a comment.

use quiredb::parser::{ScanState, StatementScanner, split_statements};

/// A statement and where it stands in its source.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Piece {
    pub text: String,
    /// From 1.
    pub line: u32,
    /// In characters, from 1.
    pub column: u32,
}

/// Text that is not a whole statement yet.
#[derive(Debug)]
pub struct StatementBuffer {
    text: String,
    /// Where the next statement may start; what is before has been handed out.
    start: usize,
    scanner: StatementScanner,
    /// The place of `text[start]` in the source.
    line: u32,
    column: u32,
}

impl Default for StatementBuffer {
    fn default() -> StatementBuffer {
        StatementBuffer {
            text: String::new(),
            start: 0,
            scanner: StatementScanner::new(),
            line: 1,
            column: 1,
        }
    }
}

impl StatementBuffer {
    /// Appends a line, its line end included.
    pub fn push(&mut self, line: &str) {
        if self.start > 0 {
            // What is left begins inside of a line; it is scanned once more, and only once.
            self.text.drain(..self.start);
            self.start = 0;
            self.scanner = StatementScanner::new();
        }
        self.text.push_str(line);
    }

    /// The next whole statement.
    pub fn next(&mut self) -> Option<Piece> {
        loop {
            let end = self.scanner.next_end(&self.text)?;
            if let Some(piece) = self.take(end) {
                return Some(piece);
            }
        }
    }

    /// What is left at the end of the source.
    pub fn finish(&mut self) -> Option<Piece> {
        self.take(self.text.len())
    }

    /// Whether no statement has begun, so that a line may be a command.
    pub fn is_blank(&self) -> bool {
        let rest = self.text.get(self.start..).unwrap_or("");
        let split = split_statements(rest);
        split.tail.is_none() && matches!(split.state, ScanState::Plain | ScanState::LineComment)
    }

    /// Forgets what has begun, and passes over a line that is none of a statement.
    pub fn skip_line(&mut self) {
        self.advance(self.text.len());
        self.line += 1;
        self.column = 1;
    }

    /// Hands out the text up to `end`, without the semicolon; `None` when there is nothing in it.
    fn take(&mut self, end: usize) -> Option<Piece> {
        let chunk = self.text.get(self.start..end)?;
        let split = split_statements(chunk);
        let span = split.statements.first().copied().or(split.tail);
        let piece = span.map(|span| {
            let (line, column) = span.line_column(chunk);
            Piece {
                text: span.of(chunk).to_owned(),
                line: self.line + line - 1,
                column: if line == 1 { self.column + column - 1 } else { column },
            }
        });
        self.advance(end);
        piece
    }

    fn advance(&mut self, end: usize) {
        let passed = self.text.get(self.start..end).unwrap_or("");
        self.line += passed.bytes().filter(|byte| *byte == b'\n').count() as u32;
        let last = passed.rsplit_once('\n').map(|(_, last)| last);
        let characters = last.unwrap_or(passed).chars().count() as u32;
        self.column = if last.is_some() { 1 + characters } else { self.column + characters };
        self.start = end;
        if self.start == self.text.len() {
            self.text.clear();
            self.start = 0;
            self.scanner = StatementScanner::new();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(lines: &[&str], expected: &[(&str, u32, u32)]) {
        let mut buffer = StatementBuffer::default();
        let mut found = Vec::new();
        for line in lines {
            buffer.push(line);
            found.extend(std::iter::from_fn(|| buffer.next()));
        }
        found.extend(buffer.finish());
        let found: Vec<(&str, u32, u32)> =
            found.iter().map(|piece| (piece.text.as_str(), piece.line, piece.column)).collect();
        assert_eq!(found, expected);
        assert!(buffer.is_blank());
    }

    #[test]
    fn semicolons_end_statements() {
        check(&["RETURN 1;\n"], &[("RETURN 1", 1, 1)]);
        check(&["A; B\n", " C; D"], &[("A", 1, 1), ("B\n C", 1, 4), ("D", 2, 5)]);
        check(&[";;\n", "  A ;"], &[("A", 2, 3)]);
        check(&["\n", "A\n", ";\n"], &[("A", 2, 1)]);
    }

    #[test]
    fn strings_names_and_comments_end_nothing() {
        check(&["RETURN ';';\n"], &[("RETURN ';'", 1, 1)]);
        check(&["RETURN \"a;\n", "b\";\n"], &[("RETURN \"a;\nb\"", 1, 1)]);
        check(&["RETURN 1 AS `a;b`;\n"], &[("RETURN 1 AS `a;b`", 1, 1)]);
        check(&["// no; statement\n", "A; /* b; */ C;"], &[("A", 2, 1), ("C", 2, 13)]);
        check(&["RETURN 'it\\'s;';\n"], &[("RETURN 'it\\'s;'", 1, 1)]);
    }

    #[test]
    fn commands_stand_between_statements() {
        let mut buffer = StatementBuffer::default();
        buffer.push("// comment\n");
        assert!(buffer.is_blank());
        buffer.skip_line();
        buffer.push("MATCH (n)\n");
        assert!(!buffer.is_blank());
        buffer.push("RETURN n;\n");
        assert_eq!(buffer.next(), Some(Piece { text: "MATCH (n)\nRETURN n".to_owned(), line: 3, column: 1 }));
        assert!(buffer.is_blank());
        buffer.push("/* open\n");
        assert!(!buffer.is_blank());
    }
}
